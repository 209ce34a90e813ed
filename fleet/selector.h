/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "fleet/live.h"

/* Which hosts: one small language for the page, the command line, the API, rollouts, policies and scopes. PURE.
 *
 *	site = bern and (role in (web, db) or not has gpu) and memory >= 8GiB and version < 2.0.0
 *	name ~ "edge-*"            host 3f9a…            all              none
 *
 * or-expression of and-expressions of terms; 'not' binds closest. Terms: KEY OP VALUE with = != < <= > >= ~ (glob with *
 * and ?), KEY in (V, …), has KEY, host ID-PREFIX (8 digits at least), all, none, ( … ). KEY: a label, else a fact
 * ("label.KEY", "fact.KEY" to be exact), or one of the host's own: name, id, state, health, agent, version, commit,
 * image, variant, arch, channel (a label), rollout, verdict, enrolled (age: > 7d), seen (age), and of its workloads
 * workload.NAME (the version that it reports; "" none) and workload.NAME.ready (true or false), joined by 'and', 'or'.
 * VALUE: bare word of letters, digits and . _ - : / + @, or "quoted" with \" and \\; the words and, or, not, in, has,
 * host, all, none are quoted where a key is meant. = and != compare texts. < <= > >= compare numbers with their units
 * (KiB, MiB, GiB, TiB, k, M, G, T, s, min, h, d), versions by lib/version.h when the key is version, kernel or
 * workload.NAME, ages when
 * it is enrolled or seen, and otherwise nothing: that is an error where the selector is read, or 'false' for a host's
 * value that is no number. A key that a host lacks: only != and not are true. One of the host's own that is empty (no
 * variant, no rollout) equals "", and 'has' says no.
 */

#define ASH_SELECTOR_ERROR (ash_selector_error_quark())
GQuark ash_selector_error_quark(void);
typedef enum {
	ASH_SELECTOR_ERROR_SYNTAX, /* "column 14: …" */
	ASH_SELECTOR_ERROR_LIMIT,
} AshSelectorError;

enum {
	ASH_SELECTOR_MAX_BYTES = 4096,
	ASH_SELECTOR_MAX_TERMS = 256,
	ASH_SELECTOR_MAX_DEPTH = 32,
};

typedef struct AshSelector AshSelector;

/* "" and "all" match every host. */
gboolean ash_selector_parse(const char *text, AshSelector **out_selector, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
AshSelector *ash_selector_ref(AshSelector *selector);
void ash_selector_unref(AshSelector *selector);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshSelector, ash_selector_unref)

bool ash_selector_matches(const AshSelector *selector, const AshHost *host, int64_t now_s);
/* Its one canonical form. */
char *ash_selector_format(const AshSelector *selector);
/* Both: what an operator's scope leaves of what was asked for. */
AshSelector *ash_selector_and(AshSelector *a, AshSelector *b);
/* Does it read only what does not change by itself (labels, facts, name, image…)? Then matches may be kept. */
bool ash_selector_is_stable(const AshSelector *selector);

/* ---- a key alone: what hosts are counted, sorted or budgeted by ---- */

typedef struct AshSelectorKey AshSelectorKey;

enum {
	ASH_SELECTOR_KEY_BYTES = 72, /* for texts that are made: an id, an age */
};

gboolean ash_selector_key_parse(const char *text, AshSelectorKey **out_key, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_selector_key_free(AshSelectorKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshSelectorKey, ash_selector_key_free)
/* NULL: the host lacks it. The host's own text, or @buffer; ages in seconds. */
const char *ash_selector_key_value(const AshSelectorKey *key, const AshHost *host, int64_t now_s,
		char buffer[ASH_SELECTOR_KEY_BYTES]);
