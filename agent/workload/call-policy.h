/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Who may call what of whom: the host's owner says so, in /etc/ashlar/policy.d/NAME.policy, read in order of
 * NAME. A rule is a line; the first that fits decides; where none fits the call is denied. PURE but for _load.
 *
 *	# SERVICE[+ARGUMENT]  SOURCE  TARGET  allow|deny|ask [target=WORKLOAD]
 *	sign.Text             web     signer  allow
 *	sign.Text+mail        mailer  *       allow target=signer
 *	sign.Text             *       signer  ask
 *	*                     *       *       deny
 *
 * SERVICE, SOURCE and TARGET are names of workloads and services or "*"; TARGET "@default" is a call that names
 * nobody. Without +ARGUMENT a rule fits every argument; "SERVICE+" fits the empty one. "ask" waits until
 * somebody on the host decides. target= sends the call to another than was named; a call that names nobody has
 * to be sent to somebody. (The form, and "the first that fits", are those of qrexec's policy:
 * QubesOS/qubes-core-qrexec, doc/multifile-policy.)
 */

#define ASH_CALL_POLICY_ERROR (ash_call_policy_error_quark())
GQuark ash_call_policy_error_quark(void);

typedef enum {
	ASH_CALL_POLICY_ERROR_SYNTAX, /* FILE:LINE: … */
	ASH_CALL_POLICY_ERROR_LIMIT,
} AshCallPolicyError;

enum {
	ASH_CALL_POLICY_MAX_FILE_BYTES = 1 << 20,
	ASH_CALL_POLICY_MAX_RULES = 10000,
	ASH_CALL_MAX_NAME_BYTES = 64, /* of a service, an argument */
};

#define ASH_CALL_POLICY_DIR "/etc/ashlar/policy.d"

typedef enum {
	ASH_CALL_DENY,
	ASH_CALL_ALLOW,
	ASH_CALL_ASK,
} AshCallVerdict;
const char *ash_call_verdict_name(AshCallVerdict verdict); /* "deny", … */

typedef struct {
	char *service, *argument; /* argument NULL: any */
	char *source, *target;
	AshCallVerdict verdict;
	char *redirect;   /* NULL: the call's own target */
	const char *file; /* interned */
	unsigned line;
} AshCallRule;

/* A question: 1 to ASH_CALL_MAX_NAME_BYTES of [A-Za-z0-9._-], beginning with a letter or digit. */
bool ash_call_is_name(const char *text);

/* Adds the rules of one file to @rules (AshCallRule, from ash_call_policy_new); on failure none of it. */
GPtrArray *ash_call_policy_new(void);
gboolean ash_call_policy_parse(const char *file, const char *text, GPtrArray *rules, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* All files below @root ("": the host's). A broken one fails the whole: who denies by a rule must not be
 * ignored. No directory: no rules.
 */
gboolean ash_call_policy_load(const char *root, GPtrArray **out_rules, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	const char *service, *argument; /* "" for none */
	const char *source;
	const char *target; /* "": names nobody */
} AshCallQuestion;

/* @out_target: whom it goes to, borrowed; NULL when denied. @out_rule: what decided; NULL: none fits. */
AshCallVerdict ash_call_policy_decide(const GPtrArray *rules, const AshCallQuestion *question,
		const char **out_target, const AshCallRule **out_rule);
