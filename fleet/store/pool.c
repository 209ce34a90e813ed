/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/store/backend.h"

#include <string.h>

#include "lib/error.h"

enum {
	MIN_CONNECTIONS = 4, /* the writer and the reader of events keep one each */
	FIRST_PAUSE_MS = 100,
	LAST_PAUSE_MS = 5000,
	TAKE_S = 30, /* who waits longer for a connection waits for somebody who waits, too */
};

struct AshDbPool {
	const AshDbBackend *backend;
	char *where;
	unsigned connections; /* at most */

	GMutex mutex;
	GCond changed;
	unsigned taken;
	GPtrArray *idle; /* AshDb *; the last one given is the first one taken */
	/* A server that does not answer is not asked by every thread, each waiting for its time-out. */
	int64_t pause_ms, paused_until_us;
	char *trouble;

	GMutex turn_mutex;
	GCond turn_changed;
	uint64_t next_turn, turn;
};

gboolean ash_db_address_parse(const char *address, const AshDbBackend **out_backend,
		const char **out_where, GError **error)
{
	static const AshDbBackend *const backends[] = {
			&ash_db_sqlite, &ash_db_sqlite_file, &ash_db_postgres};

	for (size_t i = 0; i < G_N_ELEMENTS(backends); i++) {
		size_t size = strlen(backends[i]->scheme);
		if (strncmp(address, backends[i]->scheme, size) == 0 && address[size] == ':') {
			*out_backend = backends[i];
			*out_where = address + size + 1;
			return TRUE;
		}
	}
	return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED,
			"a database's address begins with 'sqlite:' or 'postgres:'");
}

gboolean ash_db_pool_open(
		const char *address, unsigned connections, AshDbPool **out_pool, GError **error)
{
	const AshDbBackend *backend = NULL;
	const char *where = NULL;

	if (!ash_db_address_parse(address, &backend, &where, error))
		return FALSE;
	g_autoptr(AshDbPool) pool = g_new0(AshDbPool, 1);
	pool->backend = backend;
	pool->where = g_strdup(where);
	pool->connections = MAX(connections, MIN_CONNECTIONS);
	pool->idle = g_ptr_array_new();
	g_mutex_init(&pool->mutex);
	g_cond_init(&pool->changed);
	g_mutex_init(&pool->turn_mutex);
	g_cond_init(&pool->turn_changed);
	/* One now: what cannot be opened is said at start. */
	AshDb *db = NULL;
	if (!ash_db_pool_take(pool, &db, error))
		return FALSE;
	ash_db_give(db);
	*out_pool = g_steal_pointer(&pool);
	return TRUE;
}

void ash_db_pool_free(AshDbPool *pool)
{
	if (pool == NULL)
		return;
	g_assert(pool->taken == 0);
	for (guint i = 0; i < pool->idle->len; i++)
		pool->backend->close(pool->idle->pdata[i]);
	g_ptr_array_unref(pool->idle);
	g_mutex_clear(&pool->mutex);
	g_cond_clear(&pool->changed);
	g_mutex_clear(&pool->turn_mutex);
	g_cond_clear(&pool->turn_changed);
	g_free(pool->trouble);
	g_free(pool->where);
	g_free(pool);
}

bool ash_db_pool_is_shared(const AshDbPool *pool)
{
	return pool->backend->is_shared;
}

const char *ash_db_pool_where(const AshDbPool *pool)
{
	return pool->where;
}

/* With the mutex, for one that is counted as taken already. */
static void leave(AshDbPool *pool)
{
	pool->taken--;
	g_cond_signal(&pool->changed);
}

static gboolean open_one(AshDbPool *pool, AshDb **out_db, GError **error)
{
	g_autoptr(GError) local = NULL;

	gboolean ok = pool->backend->open(pool->where, pool, out_db, &local);
	g_mutex_lock(&pool->mutex);
	g_clear_pointer(&pool->trouble, g_free);
	if (ok)
		pool->pause_ms = 0;
	else {
		if (g_error_matches(local, ASH_DB_ERROR, ASH_DB_ERROR_LOST)) {
			pool->pause_ms = CLAMP(pool->pause_ms * 2, FIRST_PAUSE_MS, LAST_PAUSE_MS);
			pool->paused_until_us = g_get_monotonic_time() + pool->pause_ms * 1000;
			pool->trouble = g_strdup(local->message);
		}
		leave(pool);
	}
	g_mutex_unlock(&pool->mutex);
	if (!ok)
		g_propagate_error(error, g_steal_pointer(&local));
	return ok;
}

gboolean ash_db_pool_take(AshDbPool *pool, AshDb **out_db, GError **error)
{
	int64_t until_us = g_get_monotonic_time() + TAKE_S * G_USEC_PER_SEC;

	g_mutex_lock(&pool->mutex);
	while (pool->taken >= pool->connections)
		if (!g_cond_wait_until(&pool->changed, &pool->mutex, until_us)) {
			g_mutex_unlock(&pool->mutex);
			return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_BUSY,
					"all %u connections to the database are in use",
					pool->connections);
		}
	pool->taken++;
	while (pool->idle->len > 0) {
		AshDb *db = g_ptr_array_steal_index(pool->idle, pool->idle->len - 1);
		if (pool->backend->is_alive(db)) {
			g_mutex_unlock(&pool->mutex);
			*out_db = db;
			return TRUE;
		}
		pool->backend->close(db);
	}
	if (pool->trouble != NULL && g_get_monotonic_time() < pool->paused_until_us) {
		ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_LOST, "%s", pool->trouble);
		leave(pool);
		g_mutex_unlock(&pool->mutex);
		return FALSE;
	}
	g_mutex_unlock(&pool->mutex);
	return open_one(pool, out_db, error);
}

void ash_db_give(AshDb *db)
{
	if (db == NULL)
		return;
	AshDbPool *pool = db->pool;
	ash_db_rollback(db);
	if (db->leads && !db->is_lost)
		pool->backend->end_leads(db);
	db->leads = false;
	bool is_kept = !db->is_lost;
	if (!is_kept)
		pool->backend->close(db);
	g_mutex_lock(&pool->mutex);
	if (is_kept)
		g_ptr_array_add(pool->idle, db);
	leave(pool);
	g_mutex_unlock(&pool->mutex);
}

void ash_db_turn_take(AshDb *db)
{
	AshDbPool *pool = db->pool;

	g_assert(!db->has_turn);
	g_mutex_lock(&pool->turn_mutex);
	uint64_t mine = pool->next_turn++;
	while (pool->turn != mine)
		g_cond_wait(&pool->turn_changed, &pool->turn_mutex);
	g_mutex_unlock(&pool->turn_mutex);
	db->has_turn = true;
}

void ash_db_turn_give(AshDb *db)
{
	AshDbPool *pool = db->pool;

	if (!db->has_turn)
		return;
	db->has_turn = false;
	g_mutex_lock(&pool->turn_mutex);
	pool->turn++;
	g_cond_broadcast(&pool->turn_changed);
	g_mutex_unlock(&pool->turn_mutex);
}
