/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fleet/audit.h"
#include "fleet/event.h"
#include "fleet/store/db.h"
#include "fleet/writer.h"

/* For tests/system/fleet-store.sh:
 *
 *	fleet-store-load ADDRESS write NAME     group commits until SIGTERM; each event that is on disk is a line on
 *	                                        standard output, "NAME NUMBER"; what fails is said and tried again
 *	fleet-store-load ADDRESS check [FILE]   reads all; each line of FILE is an event, once
 *	fleet-store-load ADDRESS follow         listens from the beginning to the event of kind "end"
 *	fleet-store-load ADDRESS end            appends it
 *	fleet-store-load ADDRESS lead NAME      tries until it leads, and says so
 *	fleet-store-load ADDRESS backup FILE    fleet-store-load ADDRESS restore FILE
 *	fleet-store-load ADDRESS bench ITEMS ROWS
 */

enum {
	IN_FLIGHT = 500
};

static _Atomic bool is_ending;

static void end(int signal)
{
	is_ending = true;
}

static const char *const codes[] = {
		"FAILED", "CONFLICT", "FULL", "CORRUPT", "LOST", "BUSY", "SCHEMA"};

static int fail(const GError *error)
{
	const char *code = error->domain == ASH_DB_ERROR ? codes[error->code] : "OTHER";

	fprintf(stderr, "%s %s\n", code, error->message);
	return 1;
}

static gboolean open_pool(const char *address, AshDbPool **out_pool, AshDb **out_db, GError **error)
{
	g_autoptr(AshDbPool) pool = NULL;

	if (!ash_db_pool_open(address, 8, &pool, error) || !ash_db_pool_take(pool, out_db, error))
		return FALSE;
	*out_pool = g_steal_pointer(&pool);
	return TRUE;
}

/* ---- write ---- */

typedef struct {
	const char *name;
	int64_t number;
} Item;

static struct {
	GMutex mutex;
	GCond changed;
	Item items[IN_FLIGHT];
	GQueue idle; /* Item * */
	int last_code;
} load;

static gboolean apply(AshDb *db, gpointer data, GError **error)
{
	const Item *item = data;

	return ash_event_append(db,
			&(AshEvent){.at_s = 1,
					.kind = "host.event",
					.host = item->name,
					.host_event = item->number},
			error);
}

static AshWriter *writer;
static void done(gpointer data, const GError *error);
static const AshWriteKind kind = {apply, done};

static void done(gpointer data, const GError *error)
{
	Item *item = data;

	if (error == NULL) {
		g_autofree char *line = g_strdup_printf(
				"%s %" G_GINT64_FORMAT "\n", item->name, item->number);
		if (write(STDOUT_FILENO, line, strlen(line)) != (ssize_t) strlen(line))
			abort();
	}
	g_mutex_lock(&load.mutex);
	/* Once for each kind of trouble. */
	if (error != NULL && load.last_code != error->code)
		fail(error);
	load.last_code = error != NULL ? error->code : -1;
	if (error == NULL)
		item->number = 0;
	g_queue_push_tail(&load.idle, item);
	g_cond_signal(&load.changed);
	g_mutex_unlock(&load.mutex);
}

static int run_write(AshDbPool *pool, const char *name, GError **error)
{
	int64_t next = 1;

	if (!ash_writer_start(pool, &writer, error))
		return fail(*error);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		g_queue_push_tail(&load.idle, &load.items[i]);
	while (!is_ending) {
		g_mutex_lock(&load.mutex);
		while (load.idle.length == 0)
			g_cond_wait(&load.changed, &load.mutex);
		Item *item = g_queue_pop_head(&load.idle);
		bool is_again = item->number != 0;
		g_mutex_unlock(&load.mutex);
		item->name = name;
		if (is_again)
			g_usleep(1000);
		else
			item->number = next++;
		if (!ash_writer_queue(writer, &kind, item))
			abort();
	}
	ash_writer_free(writer);
	return 0;
}

/* ---- check ---- */

static gboolean collect(const AshDbRow *row, gpointer data, GError **error)
{
	g_hash_table_add(data, g_strdup_printf("%s %" G_GINT64_FORMAT, ash_db_row_text(row, 0),
					       ash_db_row_int(row, 1)));
	return TRUE;
}

static int run_check(AshDb *db, const char *path, GError **error)
{
	g_autoptr(GHashTable) there = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autofree char *text = NULL;
	unsigned lines = 0, missing = 0;

	if (!ash_db_check(db, error))
		return fail(*error);
	if (path == NULL)
		return 0;
	if (!ash_db_query(db, "SELECT host, host_event FROM event WHERE host_event IS NOT NULL",
			    NULL, collect, there, error) ||
			!g_file_get_contents(path, &text, NULL, error))
		return fail(*error);
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++)
		if (!g_hash_table_contains(there, line)) {
			fprintf(stderr, "acknowledged and not there: %s\n", line);
			missing++;
		}
	printf("%u acknowledged, %u missing\n", lines, missing);
	return missing > 0 || lines == 0;
}

/* ---- follow ---- */

static struct {
	GMutex mutex;
	GCond changed;
	int64_t last, count;
	bool has_ended;
} heard;

static void hear(const AshEvent *event, gpointer data)
{
	g_mutex_lock(&heard.mutex);
	if (event->seq <= heard.last)
		abort();
	heard.last = event->seq;
	heard.count++;
	heard.has_ended = strcmp(event->kind, "end") == 0;
	g_cond_signal(&heard.changed);
	g_mutex_unlock(&heard.mutex);
}

static int run_follow(AshDbPool *pool, AshDb *db, GError **error)
{
	AshEvents *events = NULL;
	int64_t count = 0;

	if (!ash_events_start(pool, &events, error))
		return fail(*error);
	ash_events_listen(events, 0, hear, NULL);
	g_mutex_lock(&heard.mutex);
	while (!heard.has_ended)
		g_cond_wait(&heard.changed, &heard.mutex);
	g_mutex_unlock(&heard.mutex);
	ash_events_free(events);
	/* The one from before may have ended with the server. */
	ash_db_give(db);
	if (!ash_db_pool_take(pool, &db, error))
		return fail(*error);
	gboolean ok = ash_db_query_int(db, "SELECT count(*) FROM event WHERE seq <= $1",
			ASH_DB_VALUES(ASH_DB_I(heard.last)), NULL, &count, error);
	ash_db_give(db);
	if (!ok)
		return fail(*error);
	printf("heard %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT "\n", heard.count, count);
	return heard.count != count;
}

static int run_end(AshDb *db, GError **error)
{
	return ash_db_begin(db, true,
			       error) && ash_event_append(db, &(AshEvent){.kind = "end"}, error) &&
					       ash_db_commit(db, error)
			       ? 0
			       : fail(*error);
}

/* ---- lead ---- */

static int run_lead(AshDbPool *pool, AshDb *db, const char *name)
{
	int leads_before = -1;

	while (!is_ending) {
		g_autoptr(GError) error = NULL;
		bool leads = false;

		if (db == NULL && !ash_db_pool_take(pool, &db, &error))
			leads = false;
		else if (!ash_db_try_lead(db, name, &leads, &error)) {
			ash_db_give(db);
			db = NULL;
		}
		if ((int) leads != leads_before)
			printf("%s\n", leads ? "leads" : "waits");
		fflush(stdout);
		leads_before = leads;
		g_usleep(20000);
	}
	ash_db_give(db);
	return 0;
}

/* ---- bench ---- */

static struct {
	GMutex mutex;
	GCond changed;
	int64_t left;
} race;

static gboolean apply_host(AshDb *db, gpointer data, GError **error)
{
	return ash_db_exec_later(db,
			"UPDATE host SET report = $1, reported_at = $2, seq = seq + 1 WHERE id = $3",
			ASH_DB_VALUES(ASH_DB_T("{\"state\":\"idle\",\"verdict\":\"good\"}"),
					ASH_DB_I(1), ASH_DB_T(data)),
			error);
}

static void done_host(gpointer data, const GError *error)
{
	if (error != NULL)
		exit(fail(error));
	g_free(data);
	g_mutex_lock(&race.mutex);
	if (--race.left == 0)
		g_cond_signal(&race.changed);
	g_mutex_unlock(&race.mutex);
}

static char *host_id(int64_t number)
{
	return g_strdup_printf("%064" PRIx64, (uint64_t) number);
}

static void say(const char *what, int64_t count, int64_t began_us)
{
	double seconds = (double) (g_get_monotonic_time() - began_us) / G_USEC_PER_SEC;

	printf("%-40s %9" G_GINT64_FORMAT " in %6.2f s: %9.0f/s\n", what, count, seconds,
			(double) count / seconds);
	fflush(stdout);
}

static gboolean count_row(const AshDbRow *row, gpointer data, GError **error)
{
	*(int64_t *) data += (int64_t) strlen(ash_db_row_text(row, 0)) + ash_db_row_int(row, 3);
	return TRUE;
}

static gboolean make_hosts(AshDb *db, int64_t rows, GError **error)
{
	if (!ash_db_begin(db, true, error))
		return FALSE;
	for (int64_t i = 0; i < rows; i++) {
		g_autofree char *id = host_id(i);
		if (!ash_db_exec_later(db,
				    "INSERT INTO host (id, name, state, labels, facts, enrolled_at) "
				    "VALUES ($1, $2, 'active', $3, $4, 1)",
				    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_T("host.example.org"),
						    ASH_DB_T("{\"site\":\"bern\",\"ring\":\"3\"}"),
						    ASH_DB_T("{\"memory\":17179869184,\"cpus\":8}")),
				    error))
			return FALSE;
	}
	return ash_db_commit(db, error);
}

static gboolean race_groups(AshDbPool *pool, int64_t items, int64_t rows, GError **error)
{
	static const AshWriteKind host_kind = {apply_host, done_host};
	AshWriter *groups = NULL;

	if (!ash_writer_start(pool, &groups, error))
		return FALSE;
	race.left = items;
	for (int64_t i = 0; i < items; i++) {
		/* Anywhere in the table, as check-ins come. */
		char *id = host_id(i * 7919 % rows);
		while (!ash_writer_queue(groups, &host_kind, id))
			g_usleep(200);
	}
	g_mutex_lock(&race.mutex);
	while (race.left > 0)
		g_cond_wait(&race.changed, &race.mutex);
	g_mutex_unlock(&race.mutex);
	ash_writer_free(groups);
	return TRUE;
}

static gboolean race_alone(AshDb *db, int64_t items, int64_t rows, GError **error)
{
	for (int64_t i = 0; i < items; i++) {
		g_autofree char *id = host_id(i * 7919 % rows);
		if (!ash_db_begin(db, true, error) || !apply_host(db, id, error) ||
				!ash_db_commit(db, error))
			return FALSE;
	}
	return TRUE;
}

static int run_bench(AshDbPool *pool, AshDb *db, int64_t items, int64_t rows, GError **error)
{
	int64_t sum = 0;

	int64_t began_us = g_get_monotonic_time();
	if (!make_hosts(db, rows, error))
		return fail(*error);
	say("hosts inserted in one transaction", rows, began_us);
	began_us = g_get_monotonic_time();
	if (!ash_db_query(db,
			    "SELECT id, name, labels, seq, facts, report, health, state, last_seen, desired, "
			    "release, rollout, verb FROM host",
			    NULL, count_row, &sum, error))
		return fail(*error);
	say("hosts read", rows, began_us);
	began_us = g_get_monotonic_time();
	if (!race_groups(pool, items, rows, error))
		return fail(*error);
	say("updates in group commit", items, began_us);
	began_us = g_get_monotonic_time();
	if (!race_alone(db, items / 100, rows, error))
		return fail(*error);
	say("updates, one transaction each", items / 100, began_us);
	return 0;
}

/* ---- */

static int run(int argc, char **argv, GError **error)
{
	g_autoptr(AshDbPool) pool = NULL;
	g_autoptr(AshDb) db = NULL;
	const char *verb = argv[2], *argument = argc > 3 ? argv[3] : NULL;

	if (strcmp(verb, "restore") == 0)
		return ash_db_restore(argv[1], argument, error) ? 0 : fail(*error);
	if (!open_pool(argv[1], &pool, &db, error) || !ash_db_migrate(db, error))
		return fail(*error);
	if (strcmp(verb, "write") == 0)
		return run_write(pool, argument, error);
	if (strcmp(verb, "check") == 0)
		return run_check(db, argument, error);
	if (strcmp(verb, "follow") == 0)
		return run_follow(pool, g_steal_pointer(&db), error);
	if (strcmp(verb, "end") == 0)
		return run_end(db, error);
	if (strcmp(verb, "lead") == 0)
		return run_lead(pool, g_steal_pointer(&db), argument);
	if (strcmp(verb, "backup") == 0)
		return ash_db_backup(pool, argument, error) ? 0 : fail(*error);
	if (strcmp(verb, "bench") == 0 && argc == 5)
		return run_bench(pool, db, g_ascii_strtoll(argv[3], NULL, 10),
				g_ascii_strtoll(argv[4], NULL, 10), error);
	return 2;
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;

	if (argc < 3)
		return 2;
	signal(SIGTERM, end);
	return run(argc, argv, &error);
}
