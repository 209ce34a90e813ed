/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/live.h"
#include "fleet/route.h"
#include "fleet/store/db.h"

/* POST /v1/checkin (lib/checkin.h), in four steps that each have a file:
 *
 *	parse    checkin-parse.c   bytes → AshCheckin, with every limit; PURE
 *	judge    checkin-judge.c   beside the host in memory: new, again, behind, a clone; PURE
 *	apply    checkin-apply.c   what is new, in the writer's transaction (fleet/writer.h); checkin-workload.c
 *	answer   checkin.c         on the network thread what needs no disk; the rest after the commit
 *
 * On disk before the answer: seq, last_seen and address (one UPDATE, which is all of a check-in with no news), state,
 * health, facts, boot, events with their acknowledgement, ended orders, journal, and that a release was offered. In
 * memory alone: that a host waits, and which boots it had before the last (so a clone is known at its third word after
 * a restart of the server).
 */

#define ASH_CHECKIN_ERROR (ash_checkin_error_quark())
GQuark ash_checkin_error_quark(void);
typedef enum {
	ASH_CHECKIN_ERROR_REQUEST, /* a member is missing or wrong; the text names it */
	ASH_CHECKIN_ERROR_LIMIT,   /* … or beyond its maximum */
} AshCheckinError;

enum {
	ASH_CHECKIN_MAX_ORDERS = 64,           /* ended ones in one check-in */
	ASH_CHECKIN_MAX_REPORT = 64 << 10,     /* of "state" and of "health", as text */
	ASH_CHECKIN_MAX_WORD = 128,            /* of a word, a boot, a name in the report */
	ASH_CHECKIN_MAX_EVENT_BYTES = 4 << 10, /* of one event's object, as text */
};

typedef struct {
	int64_t id, at_s;
	char *text; /* "EVENT VERSION: TEXT", what lists show */
	char *json; /* as it came */
} AshCheckinEvent;

typedef struct {
	int64_t id;
	bool is_ok;
	const char *text; /* borrowed from the document */
} AshCheckinOrder;

/* Borrows from its document. NULL and {0}: left out. */
typedef struct {
	JsonNode *document;
	int64_t seq, wait_s, have;
	const char *instance, *boot;
	char *state, *health, *facts; /* JSON, for the table */
	/* Of state; never NULL where state is there. */
	struct {
		const char *state, *verdict, *commit, *version, *image, *variant, *arch,
				*failed_commit;
		bool is_stuck, is_returned; /* ASH_HOST_SAID_STUCK, _RETURNED */
	} report;
	AshPair *fact_pairs;
	uint32_t fact_count;
	AshCheckinEvent *events;
	unsigned event_count;
	AshCheckinOrder *orders;
	unsigned order_count;
	const char *journal, *journal_version;
	int64_t journal_at_s;
	char *workloads;      /* JSON, for the table */
	char *workloads_said; /* the same in short: fleet/workload-said.h */
	JsonArray *logs;      /* of objects that fleet/workload-log.h reads; NULL: none */
} AshCheckin;

/* Errors: ASH_CHECKIN_ERROR, ASH_JSON_ERROR, ASH_PAIRS_ERROR: all 400. */
gboolean ash_checkin_parse(GBytes *body, AshCheckin **out_checkin, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_checkin_free(AshCheckin *checkin);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshCheckin, ash_checkin_free)

typedef enum {
	ASH_CHECKIN_NEW,
	ASH_CHECKIN_AGAIN,  /* acknowledged already; its answer was lost */
	ASH_CHECKIN_BEHIND, /* 409: the host goes on above the seq that it is told */
	ASH_CHECKIN_CLONE,  /* two hosts with one identity */
} AshCheckinVerdict;

/* A copied disk has the same key and instance, but boots of its own: whose boot was replaced by another and then speaks
 * again is not alone. A word that falls behind (the copy has a life of its own) is told so and goes on above; when that
 * happens ASH_CHECKIN_MAX_BEHIND times in one boot, somebody else keeps getting ahead. A late double of an old request is
 * behind too, so it holds nobody by itself.
 */
enum {
	ASH_CHECKIN_MAX_BEHIND = 3,
};
AshCheckinVerdict ash_checkin_judge(
		const AshHost *host, int64_t seq, const char *instance, const char *boot);

/* What of @host changes by an acknowledged check-in: seq, boot, report, facts, health. */
void ash_checkin_take_in(AshHost *host, AshCheckin *checkin, int64_t now_s);
/* Would rollouts of releases want to know? State, booted commit, boot, verdict, failed commit, health. */
bool ash_checkin_is_news(const AshHost *before, const AshHost *after);

/* When a host that does not wait comes again: on its own place in the interval, by its id, at least a quarter of it away.
 * PURE.
 */
unsigned ash_checkin_next_s(const uint8_t id[ASH_HOST_ID_BYTES], int64_t interval_s, int64_t now_s);

/* ---- the transaction ---- */

enum {
	ASH_CHECKIN_MAX_OPEN_ORDERS = 32, /* in one answer */
};

/* One check-in on its way. In: up to 'is_renewed'; out: what the transaction found, anew each time it is tried. */
typedef struct {
	const char *id, *address;
	AshCheckin *checkin; /* NULL: nothing to be written, only what is wanted of the host (after a wait) */
	AshHost before; /* as memory had it */
	AshHost after;  /* with the check-in taken in */
	bool is_news;
	AshCheckinVerdict verdict;
	int64_t have, now_s;

	AshHostState state; /* another than active: 403. Of a host that an operator holds: active */
	bool is_known;
	int64_t seq, event; /* the table's, after this */
	int64_t desired;
	char *logs;        /* in: what no reader here waits for; NULL */
	bool has_appended; /* events to wake for */
	unsigned ended_orders;
	bool has_wish;   /* desired is not 'have': what follows is answered */
	char *release;   /* JSON; NULL: stay */
	char *workloads; /* JSON; NULL: the fleet manages none */
	char *hold;      /* JSON: why an operator holds it; NULL: nobody does */
	GString *orders; /* JSON array; NULL: none open */
	unsigned order_count;
	AshCheckinVerdict found; /* may be worse than verdict: another server took a later one */
	char *rollout;
} AshCheckinWork;

gboolean ash_checkin_apply(AshDb *db, AshCheckinWork *work, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_checkin_work_reset(AshCheckinWork *work); /* the second half */

/* ---- of the transaction: checkin-workload.c ---- */

/* The report, and an event for what changed in it. */
gboolean ash_checkin_write_workloads(AshDb *db, AshCheckinWork *work, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* @wanted: of table host_workload; what a rollout offers is offered by this. */
gboolean ash_checkin_answer_workloads(AshDb *db, AshCheckinWork *work, const char *wanted,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* May it be answered with what @rollout wants? Turns 'assigned' into 'offered'. @otherwise: of a rollout that does not know
 * the host.
 */
gboolean ash_checkin_offer(AshDb *db, AshCheckinWork *work, const char *rollout, bool otherwise,
		bool *out_may, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_checkin_append(AshDb *db, AshCheckinWork *work, const AshEvent *event, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- the route ---- */

/* AshRoute.run of POST /v1/checkin: direct, answers now or later. */
gboolean ash_checkin_run(AshRequest *request, GError **error);
