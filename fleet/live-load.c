/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/live-inside.h"
#include "fleet/live-text.h"
#include "lib/checkin.h"
#include "lib/error.h"

/* ---- one row ---- */

/* Of the row_… below. What is short comes first: SQLite reads a row's overflow pages only for what lies in them. */
#define COLUMNS                                                                                      \
	"id, name, state, health_word, health_since, last_seen, reported_at, enrolled_at, "          \
	"agent_state, verdict, \"commit\", version, image, variant, arch, failed_commit, boot, "     \
	"host.said, seq, event, desired, release, rollout, verb, instance, silent_since, is_clone, " \
	"labels, facts, host_workload.wanted, host_workload.said"
#define FROM " FROM host LEFT JOIN host_workload ON host_workload.host = host.id"

/* A row that cannot be read (another hand than ours was at work) is a host without labels rather than no start. */
static void take_pairs(const AshDbRow *row, unsigned column, unsigned max_count, AshHost *host,
		void (*take)(AshHost *host, AshPair *take_pairs, uint32_t count))
{
	g_autoptr(GError) error = NULL;
	AshPair *pairs = NULL;
	uint32_t count = 0;

	if (!ash_pairs_parse(ash_db_row_text(row, column), max_count, &pairs, &count, &error))
		g_warning("host %s, column %u: %s; left out", ash_db_row_text(row, 0), column,
				error->message);
	take(host, pairs, count);
}

static const char *intern_row(const AshDbRow *row, unsigned column)
{
	return ash_live_intern(ash_db_row_text(row, column));
}

static void read_report(const AshDbRow *row, AshHost *host)
{
	host->health = ASH_HEALTH_UNKNOWN;
	ash_health_find(ash_db_row_text(row, 3), &host->health);
	host->health_since_s = ash_db_row_int(row, 4);
	host->reported_s = ash_db_row_int(row, 6);
	ash_host_set_text(&host->agent_state, ash_db_row_text(row, 8));
	ash_host_set_text(&host->verdict, ash_db_row_text(row, 9));
	ash_host_set_text(&host->commit, ash_db_row_text(row, 10));
	ash_host_set_text(&host->version, ash_db_row_text(row, 11));
	ash_host_set_text(&host->image, ash_db_row_text(row, 12));
	ash_host_set_text(&host->variant, ash_db_row_text(row, 13));
	ash_host_set_text(&host->arch, ash_db_row_text(row, 14));
	ash_host_set_text(&host->failed_commit, ash_db_row_text(row, 15));
	ash_host_set_boot(host, ash_db_row_text(row, 16));
	host->said = (uint8_t) ash_db_row_int(row, 17);
	host->seq = ash_db_row_int(row, 18);
	host->event = ash_db_row_int(row, 19);
	take_pairs(row, 28, ASH_CHECKIN_MAX_FACTS, host, ash_host_take_facts);
	ash_host_set_text(&host->workloads, ash_db_row_text(row, 30));
}

/* Over an empty host, or over one that is known: there a check-in may have been faster than the reading of the row. */
static void read_row(const AshDbRow *row, AshHost *host)
{
	AshHostState before = host->state;

	ash_host_set_text(&host->name, ash_db_row_text(row, 1));
	host->state = ASH_HOST_PENDING;
	ash_host_state_find(ash_db_row_text(row, 2), &host->state);
	host->is_clone = ash_db_row_int(row, 26) != 0;
	/* Whoever let it go on knows of both: it begins anew. */
	if (before == ASH_HOST_HELD && host->state == ASH_HOST_ACTIVE)
		memset(host->boots, 0, sizeof host->boots);
	host->last_seen_s = MAX(host->last_seen_s, ash_db_row_int(row, 5));
	host->enrolled_s = ash_db_row_int(row, 7);
	if (ash_db_row_int(row, 18) >= host->seq)
		read_report(row, host);
	if (ash_db_row_int(row, 20) >= host->desired) {
		host->desired = ash_db_row_int(row, 20);
		host->release = ash_db_row_int(row, 21);
		host->rollout = intern_row(row, 22);
		host->verb = intern_row(row, 23);
		ash_host_set_text(&host->wanted, ash_db_row_text(row, 29));
	}
	host->instance = ash_host_hash(ash_db_row_text(row, 24));
	/* Said by the scheduler, which has not said yet that it is back when it was heard of since. */
	if (ash_db_row_int(row, 25) > host->last_seen_s) {
		host->health = ASH_HEALTH_SILENT;
		host->health_since_s = ash_db_row_int(row, 25);
	}
	take_pairs(row, 27, ASH_LIVE_MAX_LABELS, host, ash_host_take_labels);
}

/* ---- all of them ---- */

static gboolean add_row(const AshDbRow *row, gpointer data, GError **error)
{
	AshLive *live = data;
	uint8_t id[ASH_HOST_ID_BYTES];

	if (!ash_host_id_parse(ash_db_row_text(row, 0), id)) {
		g_warning("host '%s' in the database is none; left out", ash_db_row_text(row, 0));
		return TRUE;
	}
	AshLiveShard *shard = ash_live_lock(live, id);
	read_row(row, &ash_live_add(shard, id)->host);
	g_mutex_unlock(&shard->lock);
	return TRUE;
}

static gboolean count_orders(const AshDbRow *row, gpointer data, GError **error)
{
	AshLive *live = data;
	uint8_t id[ASH_HOST_ID_BYTES];

	if (!ash_host_id_parse(ash_db_row_text(row, 0), id))
		return TRUE;
	AshLiveShard *shard = ash_live_lock(live, id);
	AshLiveEntry *entry = ash_live_find(shard, id);
	if (entry != NULL)
		entry->host.open_orders = (uint16_t) MIN(ash_db_row_int(row, 1), UINT16_MAX);
	g_mutex_unlock(&shard->lock);
	return TRUE;
}

gboolean ash_live_load(AshDbPool *pool, AshLive **out_live, GError **error)
{
	ASH_PREFIX("reading the hosts");
	g_autoptr(AshLive) live = ash_live_new();
	g_autoptr(AshDb) db = NULL;

	if (!ash_db_pool_take(pool, &db, error))
		return FALSE;
	/* Before the hosts: what happens while they are read is read again by the listener. */
	if (!ash_event_last(db, &live->loaded_event, error))
		return FALSE;
	if (!ash_db_query(db, "SELECT " COLUMNS FROM, NULL, add_row, live, error))
		return FALSE;
	if (!ash_db_query(db,
			    "SELECT host, COUNT(*) FROM host_order WHERE state = 'open' "
			    "GROUP BY host",
			    NULL, count_orders, live, error))
		return FALSE;
	*out_live = g_steal_pointer(&live);
	return TRUE;
}

/* ---- one of them anew ---- */

typedef struct {
	AshLive *live;
	bool is_there;
} Reload;

static gboolean reload_row(const AshDbRow *row, gpointer data, GError **error)
{
	Reload *reload = data;
	AshLiveWaiter waiter = {0};
	uint8_t id[ASH_HOST_ID_BYTES];

	reload->is_there = ash_host_id_parse(ash_db_row_text(row, 0), id);
	if (!reload->is_there)
		return TRUE;
	AshLiveShard *shard = ash_live_lock(reload->live, id);
	AshLiveEntry *entry = ash_live_find(shard, id);
	if (entry == NULL)
		entry = ash_live_add(shard, id);
	AshHost before = entry->host;
	read_row(row, &entry->host);
	entry->host.open_orders = (uint16_t) MIN(ash_db_row_int(row, 31), UINT16_MAX);
	if (entry->wait > 0 && (before.desired != entry->host.desired ||
					       before.state != entry->host.state ||
					       before.open_orders != entry->host.open_orders))
		waiter = ash_live_unwait(shard, entry);
	g_mutex_unlock(&shard->lock);
	if (waiter.wake != NULL)
		waiter.wake(waiter.data);
	return TRUE;
}

static gboolean reload_locked(
		AshLive *live, AshDb *db, const char *id, const uint8_t *bytes, GError **error)
{
	Reload reload = {.live = live};

	if (!ash_db_query(db,
			    "SELECT " COLUMNS
			    ", (SELECT COUNT(*) FROM host_order WHERE host = host.id "
			    "AND state = 'open')" FROM " WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), reload_row, &reload, error))
		return FALSE;
	if (!reload.is_there)
		ash_live_remove(live, bytes);
	return TRUE;
}

gboolean ash_live_reload(AshLive *live, AshDb *db, const char *id, GError **error)
{
	uint8_t bytes[ASH_HOST_ID_BYTES];

	if (!ash_host_id_parse(id, bytes))
		return TRUE;
	GMutex *lock = &live->shards[bytes[ASH_HOST_ID_BYTES - 1] % ASH_LIVE_SHARDS].reload_lock;
	g_mutex_lock(lock);
	gboolean ok = reload_locked(live, db, id, bytes, error);
	g_mutex_unlock(lock);
	return ok;
}

/* ---- what others changed ---- */

/* Ids gather here while the thread reads those before. */
typedef struct {
	AshLive *live;
	AshDbPool *pool;
	AshEvents *events;
	uint64_t listener;
	GThread *thread;
	GMutex lock;
	GCond more;
	GHashTable *ids;
	bool is_ending;
} Follower;

static void hear(const AshEvent *event, gpointer data)
{
	Follower *follower = data;

	if (event->host == NULL || event->host[0] == '\0')
		return;
	/* Many, and of this process's own check-ins, which have told the memory. */
	if (!ash_db_pool_is_shared(follower->pool) &&
			(g_str_equal(event->kind, "host.report") ||
					g_str_equal(event->kind, "host.event")))
		return;
	g_mutex_lock(&follower->lock);
	g_hash_table_add(follower->ids, g_strdup(event->host));
	g_cond_signal(&follower->more);
	g_mutex_unlock(&follower->lock);
}

/* The connection is given back when there is nothing to do: it may have died meanwhile. */
static bool reload_all(Follower *follower, GHashTable *ids)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = NULL;
	GHashTableIter iter;
	gpointer id;
	bool ok = ash_db_pool_take(follower->pool, &db, &error);

	g_hash_table_iter_init(&iter, ids);
	while (ok && g_hash_table_iter_next(&iter, &id, NULL)) {
		ok = ash_live_reload(follower->live, db, id, &error);
		if (ok)
			g_hash_table_iter_remove(&iter);
	}
	if (!ok)
		g_warning("a host that changed could not be read, will retry in 1 s: %s",
				error->message);
	return ok;
}

/* What could not be read is put back. */
static void keep(Follower *follower, GHashTable *ids)
{
	GHashTableIter iter;
	gpointer id;

	g_mutex_lock(&follower->lock);
	g_hash_table_iter_init(&iter, ids);
	while (g_hash_table_iter_next(&iter, &id, NULL)) {
		g_hash_table_iter_steal(&iter);
		g_hash_table_add(follower->ids, id);
	}
	if (!follower->is_ending)
		g_cond_wait_until(&follower->more, &follower->lock,
				g_get_monotonic_time() + G_TIME_SPAN_SECOND);
	g_mutex_unlock(&follower->lock);
}

static GHashTable *new_ids(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static gpointer run_follower(gpointer data)
{
	Follower *follower = data;

	for (;;) {
		g_mutex_lock(&follower->lock);
		while (!follower->is_ending && g_hash_table_size(follower->ids) == 0)
			g_cond_wait(&follower->more, &follower->lock);
		bool is_ending = follower->is_ending;
		g_autoptr(GHashTable) ids = follower->ids;
		follower->ids = new_ids();
		g_mutex_unlock(&follower->lock);
		if (is_ending)
			return NULL;
		if (!reload_all(follower, ids))
			keep(follower, ids);
	}
}

static void unfollow(AshLive *live)
{
	Follower *follower = live->follower;

	ash_events_leave(follower->events, follower->listener);
	g_mutex_lock(&follower->lock);
	follower->is_ending = true;
	g_cond_signal(&follower->more);
	g_mutex_unlock(&follower->lock);
	g_thread_join(follower->thread);
	g_hash_table_unref(follower->ids);
	g_mutex_clear(&follower->lock);
	g_cond_clear(&follower->more);
	g_free(follower);
}

void ash_live_follow(AshLive *live, AshDbPool *pool, AshEvents *events)
{
	Follower *follower = g_new0(Follower, 1);

	follower->live = live;
	follower->pool = pool;
	follower->events = events;
	follower->ids = new_ids();
	g_mutex_init(&follower->lock);
	g_cond_init(&follower->more);
	live->follower = follower;
	live->unfollow = unfollow;
	follower->thread = g_thread_new("live-follow", run_follower, follower);
	follower->listener = ash_events_listen(events, live->loaded_event, hear, follower);
}
