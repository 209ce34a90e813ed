/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fleet/event.h"
#include "fleet/store/db.h"

/* Every host, in memory: what a check-in, a selector, a list or the scheduler needs without asking the database, which
 * is the truth at start and after every change (the listener of fleet/event.h keeps this up with other servers). A few
 * hundred bytes for each host; texts that many hosts share are there once.
 *
 * Whoever changes a host in the database calls ash_live_reload when that is committed; whoever forgets is helped by the
 * listener a moment later, except after host.report and host.event of this process, whose check-ins keep this up.
 *
 * Texts of a host are counted references into one pool (fleet/live-text.h), for hosts make up new ones all the time.
 * 'rollout' and 'verb' alone are not counted: they are literals, or of ash_live_intern.
 */

typedef enum {
	ASH_HOST_PENDING, /* joined, not approved */
	ASH_HOST_ACTIVE,
	ASH_HOST_HELD,    /* an operator's doing: told "hold"; or a clone, answered 403 */
	ASH_HOST_RETIRED, /* its certificates are revoked; history stays */
} AshHostState;

typedef enum {
	ASH_HEALTH_UNKNOWN, /* has not checked in */
	ASH_HEALTH_GOOD,
	ASH_HEALTH_DEGRADED, /* verdict degraded, or the agent says it cannot go on */
	ASH_HEALTH_UPDATING, /* any state between fetching and the verdict of a trial */
	ASH_HEALTH_BAD, /* verdict bad, or it came back from a bad release and stands on the old one */
	ASH_HEALTH_SILENT, /* not heard of for silent_after */
} AshHealth;

enum {
	ASH_HOST_ID_BYTES = 32,
	ASH_LIVE_MAX_LABELS = 64,            /* of a host */
	ASH_LIVE_MAX_LABEL_BYTES = 128,      /* of a key and of a label's value */
	ASH_LIVE_MAX_FACT_BYTES = 1024,      /* of a fact's value: ASH_CHECKIN_MAX_TEXT */
	ASH_LIVE_MAX_PAIRS_BYTES = 32 << 10, /* of the JSON text of all labels, or all facts */
	ASH_LIVE_BOOTS = 3,
};

/* AshHost.said: what the database has of it. */
enum {
	ASH_HOST_SAID_STATE = 1,
	ASH_HOST_SAID_HEALTH = 2,
	ASH_HOST_SAID_FACTS = 4,
	ASH_HOST_SAID_STUCK = 8,     /* "degraded": it cannot go on by itself */
	ASH_HOST_SAID_RETURNED = 16, /* it remembers as bad a release newer than the one it runs */
	ASH_HOST_SAID_WORKLOADS = 32,
};

/* One label or fact. Valid as long as a reference on the array is held. */
typedef struct {
	const char *key, *value;
} AshPair;

typedef struct {
	uint8_t id[ASH_HOST_ID_BYTES];
	const char *name; /* like all texts here never NULL */
	AshHostState state;
	AshHealth health;
	int64_t health_since_s, last_seen_s, reported_s, enrolled_s;
	const char *agent_state;                               /* "idle", "trial"…; "" */
	const char *verdict;                                   /* "good"… */
	const char *commit, *version, *image, *variant, *arch; /* booted; image: the name */
	const char *failed_commit; /* the newest that it remembers as bad; "" */
	const char *boot;
	int64_t seq, event, desired; /* acknowledged; desired: of table host */
	int64_t release;             /* wanted: release.id; 0: none */
	const char *rollout, *verb;
	const char *wanted;    /* workloads: fleet/wanted.h; "" */
	const char *workloads; /* that it says it has: fleet/workload-said.h; "" */
	uint32_t label_count, fact_count;
	const AshPair *labels, *facts; /* sorted by key; replaced whole */
	uint16_t open_orders;
	bool is_clone;        /* held, because two machines have its identity */
	uint8_t said, behind; /* behind: check-ins of this boot that came too late (fleet/checkin.h) */
	uint64_t instance;    /* hash of table host's; 0: it has none */
	uint64_t boots[ASH_LIVE_BOOTS]; /* hashes of boots before 'boot', newest first; 0: none */
} AshHost;

typedef struct AshLive AshLive;

gboolean ash_live_load(AshDbPool *pool, AshLive **out_live, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Listens from where ash_live_load read; ended by ash_live_free, which comes before ash_events_free. */
void ash_live_follow(AshLive *live, AshDbPool *pool, AshEvents *events);
/* Without a database: tests, simulators. */
AshLive *ash_live_new(void);
void ash_live_free(AshLive *live);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshLive, ash_live_free)

bool ash_host_id_parse(
		const char *hex, uint8_t out_id[ASH_HOST_ID_BYTES]); /* 64 digits, lower-case */
void ash_host_id_format(const uint8_t id[ASH_HOST_ID_BYTES], char out_hex[65]);

/* A copy, with references on its texts and pairs; false: not known. ash_host_clear ends it. */
bool ash_live_get(AshLive *live, const uint8_t *id, AshHost *out_host);
void ash_host_clear(AshHost *host);
/* An empty one, which may be changed and cleared. */
void ash_host_init(AshHost *host);
/* Another one, with references of its own; @out_copy is written over. */
void ash_host_copy(const AshHost *host, AshHost *out_copy);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshHost, ash_host_clear)

/* @change edits the entry under its lock; entries are made when they are not there and @may_add. Wakes what waits for
 * the host (ash_live_wait) when desired, state or open_orders became another. It must be quick, must not call @live, and
 * sets texts by ash_host_set_text and pairs by ash_host_take_labels and _facts.
 */
typedef void (*AshLiveChange)(AshHost *host, gpointer data);
bool ash_live_change(AshLive *live, const uint8_t *id, bool may_add, AshLiveChange change,
		gpointer data);
void ash_live_remove(AshLive *live, const uint8_t *id);
/* Reads one host anew from the database: after a change that others made. */
gboolean ash_live_reload(AshLive *live, AshDb *db, const char *id, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Each host once, in no order, under its lock: quick, and no call back into @live. FALSE stops. */
typedef bool (*AshLiveEach)(const AshHost *host, gpointer data);
void ash_live_each(AshLive *live, AshLiveEach each, gpointer data);
uint64_t ash_live_count(AshLive *live);

/* Are its check-ins taken in? While it is active, or an operator holds it; never of two machines at once. */
bool ash_host_may_report(const AshHost *host);

/* The health that follows from the rest of @host; SILENT is not derived, it is found by the clock. */
AshHealth ash_host_derive_health(const AshHost *host);

/* ---- texts and pairs ---- */

/* Any of the texts of a host but rollout and verb. @text NULL: "". */
void ash_host_set_text(const char **field, const char *text);
/* Both consume one reference. */
void ash_host_take_labels(AshHost *host, AshPair *take_pairs, uint32_t count);
void ash_host_take_facts(AshHost *host, AshPair *take_pairs, uint32_t count);
/* A boot that differs from the last: remembers that one among 'boots'. */
void ash_host_set_boot(AshHost *host, const char *boot);
/* What AshHost keeps of an instance or an earlier boot; never 0 but for "". */
uint64_t ash_host_hash(const char *text);

#define ASH_PAIRS_ERROR (ash_pairs_error_quark())
GQuark ash_pairs_error_quark(void);
typedef enum {
	ASH_PAIRS_ERROR_TYPE,  /* neither text nor number nor true nor false */
	ASH_PAIRS_ERROR_KEY,   /* not of letters, digits and . _ - / */
	ASH_PAIRS_ERROR_LIMIT, /* too many, too long */
} AshPairsError;

/* Pairs from JSON objects ({"site":"bern"}; numbers and booleans become texts), sorted by key, within the limits. The
 * array is the caller's reference; NULL when there are none. Errors: ASH_PAIRS_ERROR; ASH_JSON_ERROR.
 */
gboolean ash_pairs_parse(const char *json, unsigned max_count, AshPair **out_pairs,
		uint32_t *out_count, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_pairs_from_object(JsonObject *object, unsigned max_count, size_t max_value_bytes,
		AshPair **out_pairs, uint32_t *out_count, GError **error) G_GNUC_WARN_UNUSED_RESULT;
const AshPair *ash_pairs_ref(const AshPair *pairs, uint32_t count);
void ash_pairs_unref(const AshPair *pairs, uint32_t count);
const char *ash_pairs_get(const AshPair *pairs, uint32_t count, const char *key); /* NULL */
/* The object again, for the database and for answers. */
char *ash_pairs_format(const AshPair *pairs, uint32_t count);

/* For the life of the process: names of what operators and this program make, never what a host says. */
const char *ash_live_intern(const char *text);

const char *ash_health_text(AshHealth health);
bool ash_health_find(const char *text, AshHealth *out_health);
const char *ash_host_state_text(AshHostState state);
bool ash_host_state_find(const char *text, AshHostState *out_state);

/* ---- waiting ---- */

/* Long-poll: @wake is called once, from any thread, when something is wanted of the host, when @deadline_us
 * (g_get_monotonic_time) has passed (a tenth of a second ago at most: many are woken together), or when another wait
 * for the same host takes its place. Returns FALSE, without having called it, when @desired is not the host's any more,
 * or the host may not report, or all is ending.
 */
typedef void (*AshLiveWake)(gpointer data);
bool ash_live_wait(AshLive *live, const uint8_t *id, int64_t desired, int64_t deadline_us,
		AshLiveWake wake, gpointer data);
void ash_live_wake_all(AshLive *live); /* at the end; who waits from then on is refused */
uint64_t ash_live_waiting(AshLive *live);
