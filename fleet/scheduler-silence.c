/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/scheduler-private.h"

/* Who is not heard of for silent_after, and who is again. Memory knows when each host was last heard of by this server,
 * and finds whom to ask the table about, which knows it of all servers.
 */

typedef struct {
	AshScheduler *scheduler;
	int64_t before_s;         /* not heard of since: silent */
	GPtrArray *silent, *back; /* char * ids */
} Look;

static bool look_at(const AshHost *host, gpointer data)
{
	const Look *look = data;
	int64_t heard_s = host->last_seen_s > 0 ? host->last_seen_s : host->enrolled_s;
	char id[65];

	if (host->state != ASH_HOST_ACTIVE || look->silent->len >= ASH_SCHEDULER_TURN_HOSTS)
		return look->silent->len < ASH_SCHEDULER_TURN_HOSTS;
	ash_host_id_format(host->id, id);
	if (heard_s < look->before_s && !g_hash_table_contains(look->scheduler->silent, id))
		g_ptr_array_add(look->silent, g_strdup(id));
	return true;
}

static gboolean take_silent(const AshDbRow *row, gpointer data, GError **error)
{
	AshScheduler *scheduler = data;

	g_hash_table_add(scheduler->silent, g_strdup(ash_db_row_text(row, 0)));
	return TRUE;
}

gboolean ash_scheduler_silence_load(AshScheduler *scheduler, GError **error)
{
	g_hash_table_remove_all(scheduler->silent);
	return ash_db_query(scheduler->db, "SELECT id FROM host WHERE silent_since > 0", NULL,
			take_silent, scheduler, error);
}

static gboolean tell(AshScheduler *scheduler, const char *kind, const char *id, GError **error)
{
	ash_scheduler_look_again(scheduler, id);
	return ash_event_append(scheduler->db,
			&(AshEvent){.at_s = scheduler->now_s, .kind = kind, .host = id}, error);
}

static void heard_by_another(AshHost *host, gpointer data)
{
	host->last_seen_s = MAX(host->last_seen_s, *(const int64_t *) data);
}

static gboolean say_silent(
		AshScheduler *scheduler, const char *id, int64_t before_s, GError **error)
{
	uint8_t bytes[ASH_HOST_ID_BYTES];
	int64_t changed = 0, seen_s = 0;

	if (!ash_db_exec(scheduler->db,
			    "UPDATE host SET silent_since = $2, health_word = 'silent', health_since = "
			    "$2 WHERE id = $1 AND silent_since = 0 AND last_seen < $3",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(scheduler->now_s),
					    ASH_DB_I(before_s)),
			    &changed, error))
		return FALSE;
	if (changed > 0) {
		g_hash_table_add(scheduler->silent, g_strdup(id));
		return tell(scheduler, "host.silent", id, error);
	}
	if (!ash_db_query_int(scheduler->db, "SELECT last_seen FROM host WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), NULL, &seen_s, error))
		return FALSE;
	if (ash_host_id_parse(id, bytes))
		ash_live_change(scheduler->server->live, bytes, false, heard_by_another, &seen_s);
	return TRUE;
}

/* Its check-in has told how it is, unless it said nothing new. */
static gboolean say_back(AshScheduler *scheduler, const char *id, GError **error)
{
	uint8_t bytes[ASH_HOST_ID_BYTES];
	g_auto(AshHost) host = {0};
	const char *health = ash_health_text(ASH_HEALTH_UNKNOWN);

	if (ash_host_id_parse(id, bytes) && ash_live_get(scheduler->server->live, bytes, &host))
		health = ash_health_text(ash_host_derive_health(&host));
	if (!ash_db_exec(scheduler->db,
			    "UPDATE host SET silent_since = 0, health_since = CASE WHEN health_word = "
			    "'silent' THEN $2 ELSE health_since END, health_word = CASE WHEN health_word "
			    "= 'silent' THEN $3 ELSE health_word END WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(scheduler->now_s),
					    ASH_DB_T(health)),
			    NULL, error))
		return FALSE;
	g_hash_table_remove(scheduler->silent, id);
	return tell(scheduler, "host.back", id, error);
}

static gboolean take_back(const AshDbRow *row, gpointer data, GError **error)
{
	g_ptr_array_add(data, g_strdup(ash_db_row_text(row, 0)));
	return TRUE;
}

static gboolean say(Look *look, GError **error)
{
	AshScheduler *scheduler = look->scheduler;

	if (!ash_db_lock_events(scheduler->db, error))
		return FALSE;
	for (unsigned i = 0; i < look->silent->len; i++)
		if (!say_silent(scheduler, g_ptr_array_index(look->silent, i), look->before_s,
				    error))
			return FALSE;
	for (unsigned i = 0; i < look->back->len; i++)
		if (!say_back(scheduler, g_ptr_array_index(look->back, i), error))
			return FALSE;
	return ash_db_commit(scheduler->db, error);
}

gboolean ash_scheduler_silence(AshScheduler *scheduler, GError **error)
{
	int64_t silent_after_s = scheduler->server->config->silent_after_s;
	g_autoptr(GPtrArray) silent = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) back = g_ptr_array_new_with_free_func(g_free);
	Look look = {scheduler, scheduler->now_s - silent_after_s, silent, back};

	scheduler->silence_s =
			scheduler->now_s + CLAMP(silent_after_s / 2, 1, ASH_SCHEDULER_SILENCE_S);
	/* Nobody could be heard before: each gets its time from then on. */
	if (look.before_s >= scheduler->heard_since_s)
		ash_live_each(scheduler->server->live, look_at, &look);
	if (!ash_db_query(scheduler->db,
			    "SELECT id FROM host WHERE silent_since > 0 AND last_seen > $1 LIMIT $2",
			    ASH_DB_VALUES(ASH_DB_I(look.before_s),
					    ASH_DB_I(ASH_SCHEDULER_TURN_HOSTS)),
			    take_back, back, error))
		return FALSE;
	if (silent->len + back->len == 0)
		return TRUE;
	if (silent->len >= ASH_SCHEDULER_TURN_HOSTS || back->len >= ASH_SCHEDULER_TURN_HOSTS)
		scheduler->silence_s = scheduler->now_s;
	if (!ash_db_begin(scheduler->db, true, error))
		return FALSE;
	if (say(&look, error))
		return TRUE;
	ash_db_rollback(scheduler->db);
	return FALSE;
}
