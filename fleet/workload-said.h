/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

#include "fleet/rollout.h"

/* What a host says of its workloads ("workloads" of lib/checkin.h) in short: what selectors, rollouts, counts and events
 * go by. One line for each workload, by name; memory holds the text of each host, and hosts that say the same share it.
 * PURE.
 *
 *	web 1.2.0 +s
 *	web 1.2.0 -s f=1.3.0,1.4.0 m=1.5.0/untrusted
 *	db - -
 *
 * NAME, the VERSION that is there ("-": none), then '+' ready, '-' not ready, '!' failed, and 's' signed; f= the versions
 * that it remembers as failed, m= what the fleet wants and is not there, with the word why.
 */

enum {
	ASH_WORKLOAD_SAID_NAME = 33, /* with NUL */
	ASH_WORKLOAD_SAID_VERSION = 65,
	ASH_WORKLOAD_SAID_WORD = 33,
	ASH_WORKLOAD_SAID_MAX_FAILED = 8, /* versions of one workload; the host's first */
};

typedef struct {
	char name[ASH_WORKLOAD_SAID_NAME];
	char version[ASH_WORKLOAD_SAID_VERSION]; /* "": none is there */
	bool is_ready, is_failed, is_signed;
	unsigned failed_count;
	char failed[ASH_WORKLOAD_SAID_MAX_FAILED][ASH_WORKLOAD_SAID_VERSION];
	char missing[ASH_WORKLOAD_SAID_VERSION]; /* version; "": nothing is missing, or no version */
	char word[ASH_WORKLOAD_SAID_WORD];       /* why; "": nothing is missing */
} AshWorkloadSaid;

#define ASH_WORKLOAD_SAID_ERROR (ash_workload_said_error_quark())
GQuark ash_workload_said_error_quark(void);
typedef enum {
	ASH_WORKLOAD_SAID_ERROR_REQUEST, /* a member is missing or wrong; the text names it */
	ASH_WORKLOAD_SAID_ERROR_LIMIT,
} AshWorkloadSaidError;

/* @report: the member "workloads". "" when there are none. ASH_WORKLOAD_SAID_ERROR, ASH_JSON_ERROR. */
gboolean ash_workload_said_parse(JsonObject *report, char **out_said, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Each line, in order; false stops. */
typedef bool (*AshWorkloadSaidEach)(const AshWorkloadSaid *said, gpointer data);
void ash_workload_said_each(const char *said, AshWorkloadSaidEach each, gpointer data);
/* A question; false: the host says nothing of it. */
bool ash_workload_said_find(const char *said, const char *name, AshWorkloadSaid *out_said);
bool ash_workload_said_has_failed(const AshWorkloadSaid *said, const char *version);
/* Whose word does not change by itself: the host does not try this version again. */
bool ash_workload_said_is_final(const char *word);

/* What that means to a rollout of @version. */
AshRolloutSaid ash_workload_said_rollout(const char *said, const char *name, const char *version);

/* What became of one workload between two reports: a word of events, a sentence. */
typedef struct {
	const char *word; /* "ready", "not-ready", "failed", "rolled-back", "removed", "missing" */
	const char *name, *version;
	const char *text;
} AshWorkloadChange;
typedef void (*AshWorkloadChangeEach)(const AshWorkloadChange *change, gpointer data);
void ash_workload_said_compare(
		const char *before, const char *after, AshWorkloadChangeEach each, gpointer data);
