/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/store/db.h"

/* Every host, in memory: what a check-in, a selector, a list or the scheduler needs without asking the database, which
 * is the truth at start and after every change (the listener of fleet/event.h keeps this up with other servers). A few
 * hundred bytes for each host; texts that many hosts share are there once.
 */

typedef enum {
	ASH_HOST_PENDING, /* joined, not approved */
	ASH_HOST_ACTIVE,
	ASH_HOST_HELD,    /* shown, answered 403: a clone, or an operator's doing */
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
	ASH_LIVE_MAX_LABELS = 64,       /* of a host */
	ASH_LIVE_MAX_LABEL_BYTES = 128, /* of a key and of a value */
};

/* One label or fact; both texts interned for the life of the process. */
typedef struct {
	const char *key, *value;
} AshPair;

typedef struct {
	uint8_t id[ASH_HOST_ID_BYTES];
	const char *name; /* interned like all texts here; never NULL */
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
	uint32_t label_count, fact_count;
	const AshPair *labels, *facts; /* sorted by key; replaced whole */
	uint16_t open_orders;
} AshHost;

typedef struct AshLive AshLive;

gboolean ash_live_load(AshDbPool *pool, AshLive **out_live, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_live_free(AshLive *live);

bool ash_host_id_parse(
		const char *hex, uint8_t out_id[ASH_HOST_ID_BYTES]); /* 64 digits, lower-case */
void ash_host_id_format(const uint8_t id[ASH_HOST_ID_BYTES], char out_hex[65]);

/* A copy, with a reference on its pairs; false: not known. ash_host_clear ends it. */
bool ash_live_get(AshLive *live, const uint8_t *id, AshHost *out_host);
void ash_host_clear(AshHost *host);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshHost, ash_host_clear)

/* @change edits the entry under its lock; entries are made when they are not there and @may_add. Wakes what waits for
 * the host (ash_live_wait) when desired, state or open_orders became another.
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

/* Setting pairs from JSON objects ({"site":"bern"}; numbers and booleans become texts), within the limits. */
gboolean ash_pairs_parse(const char *json, unsigned max_count, AshPair **out_pairs,
		uint32_t *out_count, GError **error) G_GNUC_WARN_UNUSED_RESULT;
const char *ash_pairs_get(const AshPair *pairs, uint32_t count, const char *key); /* NULL */
const char *ash_live_intern(const char *text);
const char *ash_health_text(AshHealth health);
const char *ash_host_state_text(AshHostState state);

/* Long-poll: @wake is called once, from any thread, when something is wanted of the host, when @deadline_us
 * (g_get_monotonic_time) has passed, or when another wait for the same host takes its place. Returns FALSE, without
 * having called it, when @desired is not the host's any more.
 */
typedef void (*AshLiveWake)(gpointer data);
bool ash_live_wait(AshLive *live, const uint8_t *id, int64_t desired, int64_t deadline_us,
		AshLiveWake wake, gpointer data);
void ash_live_wake_all(AshLive *live); /* at the end */
