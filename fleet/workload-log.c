/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/workload-log.h"

#include <string.h>

#include "fleet/host.h"
#include "fleet/server.h"
#include "lib/checkin.h"
#include "lib/json.h"

enum {
	TURN_US = 500000,
	ALIVE_US = 2000000,
	MAX_DEPTH = 4,
	STALE_S = 600, /* of an order whose server ended */
};

/* Its memory is held by the table, for each of its orders, by the stream until that has ended, and by who begins it. */
typedef struct {
	gint references;
	AshWorkloadLogs *logs;
	int64_t order, until_us, told_us;
	int64_t next;     /* the order that takes its place; 0: none yet */
	int64_t renew_us; /* when there is to be one */
	int64_t ends_us;  /* when the newest of them does */
	int64_t left_s;   /* of what was asked for, behind these orders */
	char *which, *actor;
	char host[65];
	AshHttpStream *stream; /* NULL: not begun */
	GString *pending;      /* events for it until then */
	char *end;             /* why it ends; NULL: it goes on */
	bool has_ended;        /* @order, and @next goes on */
	bool is_seen;          /* that, before the lines of other servers were read */
	bool is_over;
} Reader;

typedef struct {
	int64_t order;
	char host[65];
} Drop;

struct AshWorkloadLogs {
	AshServer *server;
	GThread *thread;
	uint64_t listener;
	GMutex lock;
	GCond wake;
	GHashTable *readers; /* of order → Reader; of @next too */
	GArray *drops;       /* Drop: orders that nobody reads any more */
	bool is_ending;
};

/* ---- a reader: all under the lock ---- */

static void reader_unref(gpointer data)
{
	Reader *reader = data;

	if (!g_atomic_int_dec_and_test(&reader->references))
		return;
	g_string_free(reader->pending, TRUE);
	g_free(reader->end);
	g_free(reader->which);
	g_free(reader->actor);
	g_free(reader);
}

static void put(Reader *reader, const char *text, size_t size)
{
	if (reader->stream != NULL)
		ash_http_stream_send(reader->stream, text, size);
	else if (reader->pending->len + size <= 2 * ASH_CHECKIN_MAX_LOGS)
		g_string_append_len(reader->pending, text, (gssize) size);
}

static void send_event(Reader *reader, const char *event, const char *text)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_string(json, "text", text);
	json_builder_end_object(json);
	g_autofree char *data = g_strchomp(ash_json_format(json, false));
	g_autofree char *all = g_strdup_printf("event: %s\ndata: %s\n\n", event, data);
	put(reader, all, strlen(all));
}

static void send_lines(Reader *reader, JsonArray *lines)
{
	for (guint i = 0; lines != NULL && i < json_array_get_length(lines); i++)
		send_event(reader, "line", json_array_get_string_element(lines, i));
}

static void send_missed(Reader *reader, int64_t lines)
{
	g_autofree char *all = g_strdup_printf(
			"event: missed\ndata: {\"text\":\"%" G_GINT64_FORMAT
			" lines are missing here: they came faster than they were fetched\","
			"\"lines\":%" G_GINT64_FORMAT "}\n\n",
			lines, lines);

	if (lines > 0)
		put(reader, all, strlen(all));
}

static void forget_next(Reader *reader)
{
	if (reader->next != 0)
		g_hash_table_remove(reader->logs->readers, &reader->next);
	reader->next = 0;
}

/* From now on it is its next order's, whose place in the table it takes along. */
static void go_over(Reader *reader)
{
	GHashTable *readers = reader->logs->readers;

	g_hash_table_steal(readers, &reader->next);
	g_hash_table_remove(readers, &reader->order);
	reader->order = reader->next;
	reader->next = 0;
	reader->has_ended = reader->is_seen = false;
	g_hash_table_insert(readers, &reader->order, reader);
}

/* @why NULL: nobody is there to be told. */
static void close_reader(Reader *reader, const char *why)
{
	if (reader->is_over)
		return;
	reader->is_over = true;
	forget_next(reader);
	if (why != NULL)
		send_event(reader, "end", why);
	/* One that has not begun ends when it has. */
	if (reader->stream == NULL)
		return;
	ash_http_stream_end(g_steal_pointer(&reader->stream));
	g_hash_table_remove(reader->logs->readers, &reader->order);
}

static void drop_orders(Reader *reader)
{
	const int64_t orders[] = {reader->order, reader->next};

	for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
		Drop drop = {.order = orders[i]};
		g_strlcpy(drop.host, reader->host, sizeof drop.host);
		if (orders[i] != 0)
			g_array_append_val(reader->logs->drops, drop);
	}
	g_cond_signal(&reader->logs->wake);
}

/* The connection has gone. */
static void on_end(gpointer data)
{
	Reader *reader = data;
	AshWorkloadLogs *logs = reader->logs;

	g_mutex_lock(&logs->lock);
	if (!reader->is_over) {
		drop_orders(reader);
		close_reader(reader, NULL);
	}
	g_mutex_unlock(&logs->lock);
	reader_unref(reader);
}

int64_t ash_workload_logs_turn_s(int64_t follow_s)
{
	const char *text = g_getenv("ASHLAR_FLEET_LOG_S");
	gint64 most_s = ASH_CHECKIN_MAX_LOG_S;

	if (text != NULL && !g_ascii_string_to_signed(
					    text, 10, 1, ASH_CHECKIN_MAX_LOG_S, &most_s, NULL))
		most_s = ASH_CHECKIN_MAX_LOG_S;
	return MIN(follow_s, most_s);
}

/* What is still to be followed, with the rest of the order that is under way. */
static int64_t left_of(const Reader *reader)
{
	int64_t rest_us = reader->ends_us - g_get_monotonic_time();

	return reader->left_s + (rest_us > 0 ? rest_us / G_USEC_PER_SEC : 0);
}

/* Its newest order lasts @turn_s from now on, of @all_s. */
static void begin_turn(Reader *reader, int64_t turn_s, int64_t all_s)
{
	int64_t now_us = g_get_monotonic_time();

	reader->left_s = MAX(all_s - turn_s, 0);
	reader->ends_us = now_us + turn_s * G_USEC_PER_SEC;
	reader->until_us = reader->ends_us + ASH_WORKLOAD_LOGS_PATIENCE_S * G_USEC_PER_SEC;
	reader->renew_us = reader->left_s == 0 ? INT64_MAX
					       : now_us + MAX(turn_s - ASH_WORKLOAD_LOGS_MARGIN_S,
									  turn_s / 2) *
										 G_USEC_PER_SEC;
}

bool ash_workload_logs_expect(
		AshWorkloadLogs *logs, int64_t order, const AshWorkloadLogsReading *reading)
{
	Reader *reader = g_new0(Reader, 1);

	reader->references = 1;
	reader->logs = logs;
	reader->order = order;
	reader->which = g_strdup(reading->which);
	reader->actor = g_strdup(reading->actor);
	reader->pending = g_string_new(NULL);
	g_strlcpy(reader->host, reading->host, sizeof reader->host);
	begin_turn(reader, ash_workload_logs_turn_s(reading->follow_s), reading->follow_s);
	g_mutex_lock(&logs->lock);
	bool has_room = g_hash_table_size(logs->readers) < ASH_WORKLOAD_LOGS_MAX_READERS;
	if (has_room)
		g_hash_table_replace(logs->readers, &reader->order, reader);
	g_cond_signal(&logs->wake);
	g_mutex_unlock(&logs->lock);
	if (!has_room)
		reader_unref(reader);
	return has_room;
}

void ash_workload_logs_forget(AshWorkloadLogs *logs, int64_t order)
{
	g_mutex_lock(&logs->lock);
	g_hash_table_remove(logs->readers, &order);
	g_mutex_unlock(&logs->lock);
}

void ash_workload_logs_begin(AshWorkloadLogs *logs, int64_t order, AshHttpCall *call)
{
	g_mutex_lock(&logs->lock);
	Reader *reader = g_hash_table_lookup(logs->readers, &order);
	if (reader != NULL)
		g_atomic_int_add(&reader->references, 2);
	g_mutex_unlock(&logs->lock);
	if (reader == NULL) {
		ash_http_reply_error(call, 410, "gone", "The order has ended already.");
		return;
	}
	AshHttpStream *stream = ash_http_stream_begin(call, on_end, reader);
	g_mutex_lock(&logs->lock);
	/* What has ended already is sent before its end. */
	ash_http_stream_send(stream, reader->pending->str, reader->pending->len);
	reader->stream = stream;
	if (reader->is_over) {
		ash_http_stream_end(g_steal_pointer(&reader->stream));
		g_hash_table_remove(logs->readers, &order);
	}
	g_mutex_unlock(&logs->lock);
	reader_unref(reader);
}

/* ---- what comes ---- */

static Reader *find(AshWorkloadLogs *logs, int64_t order, const char *host)
{
	Reader *reader = g_hash_table_lookup(logs->readers, &order);

	return reader != NULL && g_str_equal(reader->host, host) ? reader : NULL;
}

char *ash_workload_logs_take(AshWorkloadLogs *logs, const char *host, JsonArray *array)
{
	g_autoptr(JsonArray) rest = json_array_new();

	g_mutex_lock(&logs->lock);
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonObject *log = json_array_get_object_element(array, i);
		int64_t order = (int64_t) ash_json_find_uint(log, "order");
		Reader *reader = find(logs, order, host);
		if (reader == NULL)
			json_array_add_object_element(rest, json_object_ref(log));
		else if (json_object_has_member(log, "lines"))
			send_lines(reader, json_object_get_array_member(log, "lines"));
	}
	g_mutex_unlock(&logs->lock);
	if (json_array_get_length(rest) == 0 || !ash_db_pool_is_shared(logs->server->pool))
		return NULL;
	g_autoptr(JsonNode) node = json_node_new(JSON_NODE_ARRAY);
	json_node_set_array(node, rest);
	return json_to_string(node, FALSE);
}

/* Nobody fetches them as fast as they come: the newest row that is there says what is missing behind it. */
static gboolean count_missed(
		AshDb *db, const char *host, int64_t order, guint lines, GError **error)
{
	return ash_db_exec(db,
			"UPDATE workload_log SET missed = missed + $2 WHERE id = (SELECT MAX(id) FROM "
			"workload_log WHERE host_order = $1) AND EXISTS (SELECT 1 FROM host_order WHERE "
			"id = $1 AND host = $3)",
			ASH_DB_VALUES(ASH_DB_I(order), ASH_DB_I(lines), ASH_DB_T(host)), NULL,
			error);
}

static gboolean pass_on(AshDb *db, const char *host, JsonObject *log, int64_t now_s, GError **error)
{
	JsonNode *lines = json_object_get_member(log, "lines");
	int64_t order = (int64_t) ash_json_find_uint(log, "order"), added = 0;

	if (lines == NULL)
		return TRUE;
	g_autofree char *text = json_to_string(lines, FALSE);
	if (!ash_db_exec(db,
			    "INSERT INTO workload_log (host_order, at, lines) SELECT id, CAST($2 AS "
			    "BIGINT), CAST($3 AS TEXT) FROM host_order WHERE id = $1 AND host = $4 AND verb "
			    "= 'workload-logs' AND state = 'open' AND (SELECT COUNT(*) FROM workload_log "
			    "WHERE host_order = $1) < $5",
			    ASH_DB_VALUES(ASH_DB_I(order), ASH_DB_I(now_s), ASH_DB_T(text),
					    ASH_DB_T(host), ASH_DB_I(ASH_WORKLOAD_LOGS_MAX_ROWS)),
			    &added, error))
		return FALSE;
	return added > 0 || !JSON_NODE_HOLDS_ARRAY(lines) ||
	       count_missed(db, host, order, json_array_get_length(json_node_get_array(lines)),
			       error);
}

gboolean ash_workload_logs_pass_on(
		AshDb *db, const char *host, const char *json, int64_t now_s, GError **error)
{
	g_autoptr(JsonNode) node = json_from_string(json, NULL);

	if (node == NULL || !JSON_NODE_HOLDS_ARRAY(node))
		return TRUE;
	JsonArray *array = json_node_get_array(node);
	for (guint i = 0; i < json_array_get_length(array); i++)
		if (!pass_on(db, host, json_array_get_object_element(array, i), now_s, error))
			return FALSE;
	return ash_db_exec(db,
			"DELETE FROM workload_log WHERE at < $1 AND NOT EXISTS (SELECT 1 FROM host_order "
			"WHERE id = workload_log.host_order AND state = 'open')",
			ASH_DB_VALUES(ASH_DB_I(now_s - ASH_WORKLOAD_LOGS_KEEP_S)), NULL, error);
}

/* ---- from the other servers ---- */

static gboolean take_row(const AshDbRow *row, gpointer data, GError **error)
{
	AshWorkloadLogs *logs = data;
	const char *text = ash_db_row_text(row, 2);
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	g_autoptr(JsonNode) node = NULL;
	int64_t order = ash_db_row_int(row, 1);

	if (!ash_json_parse(bytes, 8 * ASH_CHECKIN_MAX_LOGS, MAX_DEPTH, &node, NULL) ||
			!JSON_NODE_HOLDS_ARRAY(node))
		return TRUE;
	g_mutex_lock(&logs->lock);
	Reader *reader = g_hash_table_lookup(logs->readers, &order);
	if (reader != NULL) {
		send_lines(reader, json_node_get_array(node));
		send_missed(reader, ash_db_row_int(row, 3));
	}
	g_mutex_unlock(&logs->lock);
	return TRUE;
}

static gboolean fetch_order(AshWorkloadLogs *logs, AshDb *db, int64_t order, GError **error)
{
	if (!ash_db_begin(db, true, error))
		return FALSE;
	if (ash_db_query(db,
			    "SELECT id, host_order, lines, missed FROM workload_log WHERE host_order = $1 "
			    "ORDER BY id",
			    ASH_DB_VALUES(ASH_DB_I(order)), take_row, logs, error) &&
			ash_db_exec(db, "DELETE FROM workload_log WHERE host_order = $1",
					ASH_DB_VALUES(ASH_DB_I(order)), NULL, error) &&
			ash_db_commit(db, error))
		return TRUE;
	ash_db_rollback(db);
	return FALSE;
}

static GArray *orders_of(AshWorkloadLogs *logs)
{
	GArray *orders = g_array_new(FALSE, FALSE, sizeof(int64_t));
	GHashTableIter iter;
	gpointer key;

	g_mutex_lock(&logs->lock);
	g_hash_table_iter_init(&iter, logs->readers);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		g_array_append_vals(orders, key, 1);
	g_mutex_unlock(&logs->lock);
	return orders;
}

static int compare_orders(gconstpointer a, gconstpointer b)
{
	const int64_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static gboolean fetch_all(AshWorkloadLogs *logs, AshDb *db, GError **error)
{
	g_autoptr(GArray) orders = orders_of(logs);

	/* A reader's older order before its next. */
	g_array_sort(orders, compare_orders);

	for (guint i = 0; i < orders->len; i++) {
		int64_t order = g_array_index(orders, int64_t, i), count = 0;
		if (!ash_db_query_int(db, "SELECT COUNT(*) FROM workload_log WHERE host_order = $1",
				    ASH_DB_VALUES(ASH_DB_I(order)), NULL, &count, error) ||
				(count > 0 && !fetch_order(logs, db, order, error)))
			return FALSE;
	}
	return TRUE;
}

/* ---- the thread ---- */

static gboolean drop_all(AshWorkloadLogs *logs, AshDb *db, const GArray *drops, GError **error)
{
	if (drops->len == 0)
		return TRUE;
	if (!ash_db_begin(db, true, error))
		return FALSE;
	for (guint i = 0; i < drops->len; i++) {
		const Drop *drop = &g_array_index(drops, Drop, i);
		if (!ash_host_drop_order(db, drop->host, drop->order, logs->server->now(), error)) {
			ash_db_rollback(db);
			return FALSE;
		}
	}
	if (!ash_db_commit(db, error)) {
		ash_db_rollback(db);
		return FALSE;
	}
	ash_events_wake(logs->server->events);
	return TRUE;
}

/* ---- orders that go on ---- */

typedef struct {
	int64_t order, turn_s;
	char host[65];
	char *which, *actor;
} Renewal;

static void renewal_clear(gpointer data)
{
	Renewal *renewal = data;

	g_free(renewal->which);
	g_free(renewal->actor);
}

static GArray *find_due(AshWorkloadLogs *logs)
{
	GArray *due = g_array_new(FALSE, FALSE, sizeof(Renewal));
	GHashTableIter iter;
	gpointer value;
	int64_t now_us = g_get_monotonic_time();

	g_array_set_clear_func(due, renewal_clear);
	g_mutex_lock(&logs->lock);
	g_hash_table_iter_init(&iter, logs->readers);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const Reader *reader = value;
		if (reader->is_over || reader->end != NULL || reader->next != 0 ||
				reader->stream == NULL || now_us < reader->renew_us)
			continue;
		Renewal renewal = {reader->order, ash_workload_logs_turn_s(left_of(reader)), "",
				g_strdup(reader->which), g_strdup(reader->actor)};
		g_strlcpy(renewal.host, reader->host, sizeof renewal.host);
		g_array_append_val(due, renewal);
	}
	g_mutex_unlock(&logs->lock);
	return due;
}

/* Before the commit: the host's lines may come with it. false: nobody reads any more. */
static bool expect_next(AshWorkloadLogs *logs, const Renewal *renewal, int64_t next)
{
	g_mutex_lock(&logs->lock);
	Reader *reader = find(logs, renewal->order, renewal->host);
	bool is_there = reader != NULL && !reader->is_over && reader->end == NULL;
	if (is_there) {
		reader->next = next;
		g_atomic_int_inc(&reader->references);
		g_hash_table_insert(logs->readers, &reader->next, reader);
		begin_turn(reader, renewal->turn_s, left_of(reader));
	}
	g_mutex_unlock(&logs->lock);
	return is_there;
}

/* It ends as it would have. */
static void give_up(AshWorkloadLogs *logs, const Renewal *renewal)
{
	g_mutex_lock(&logs->lock);
	Reader *reader = find(logs, renewal->order, renewal->host);
	if (reader != NULL) {
		forget_next(reader);
		reader->renew_us = INT64_MAX;
	}
	g_mutex_unlock(&logs->lock);
}

static gboolean renew(AshWorkloadLogs *logs, AshDb *db, const Renewal *renewal, GError **error)
{
	const AshHostBy by = {renewal->actor, "", logs->server->now()};
	g_autofree char *argument = g_strdup_printf("%s 0 %" G_GINT64_FORMAT " %" G_GINT64_FORMAT,
			renewal->which, renewal->turn_s, renewal->order);
	int64_t next = 0;

	if (!ash_db_begin(db, true, error))
		return FALSE;
	if (ash_host_order(db, renewal->host, "workload-logs", argument, &by, &next, error) &&
			expect_next(logs, renewal, next) && ash_db_commit(db, error)) {
		ash_events_wake(logs->server->events);
		return TRUE;
	}
	ash_db_rollback(db);
	give_up(logs, renewal);
	return error == NULL || *error == NULL;
}

static gboolean renew_all(AshWorkloadLogs *logs, AshDb *db, const GArray *due, GError **error)
{
	for (guint i = 0; i < due->len; i++)
		if (!renew(logs, db, &g_array_index(due, Renewal, i), error))
			return FALSE;
	return TRUE;
}

/* Who is gone is found out by sending: the host is not to go on for nobody. */
static void tell_alive(Reader *reader, int64_t now_us)
{
	if (reader->stream == NULL || now_us - reader->told_us < ALIVE_US)
		return;
	reader->told_us = now_us;
	put(reader, ":\n\n", 3);
}

/* What has ended by now: its lines are in the table, and are read before it is told. */
static void see_ends(AshWorkloadLogs *logs)
{
	GHashTableIter iter;
	gpointer value;

	g_mutex_lock(&logs->lock);
	g_hash_table_iter_init(&iter, logs->readers);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		Reader *reader = value;
		reader->is_seen = reader->end != NULL || reader->has_ended;
	}
	g_mutex_unlock(&logs->lock);
}

static bool is_to_end(const Reader *reader, int64_t now_us)
{
	return (reader->is_seen && reader->end != NULL) || reader->until_us <= now_us;
}

static void end_some(AshWorkloadLogs *logs, bool are_read)
{
	g_autoptr(GPtrArray) ended = g_ptr_array_new();
	GHashTableIter iter;
	gpointer key, value;
	int64_t now_us = g_get_monotonic_time();

	g_mutex_lock(&logs->lock);
	g_hash_table_iter_init(&iter, logs->readers);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		Reader *reader = value;
		tell_alive(reader, now_us);
		reader->is_seen = reader->is_seen && are_read;
		if (key == &reader->order && !reader->is_over &&
				(is_to_end(reader, now_us) || reader->is_seen))
			g_ptr_array_add(ended, value);
	}
	for (guint i = 0; i < ended->len; i++) {
		Reader *reader = ended->pdata[i];
		if (!is_to_end(reader, now_us)) {
			go_over(reader);
			continue;
		}
		if (reader->end == NULL || reader->next != 0)
			drop_orders(reader);
		close_reader(reader,
				reader->end != NULL ? reader->end : "the host has not answered");
	}
	g_mutex_unlock(&logs->lock);
}

static gboolean write_and_read(AshWorkloadLogs *logs, const GArray *drops, const GArray *due,
		bool is_shared, GError **error)
{
	g_autoptr(AshDb) db = NULL;

	return ash_db_pool_take(logs->server->pool, &db, error) &&
	       drop_all(logs, db, drops, error) && renew_all(logs, db, due, error) &&
	       (!is_shared || fetch_all(logs, db, error));
}

/* Lines before the end of their order: what has ended before they are read, when they were. */
static void turn(AshWorkloadLogs *logs, const GArray *drops)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) due = find_due(logs);
	bool is_shared = ash_db_pool_is_shared(logs->server->pool);
	bool are_read = true;

	see_ends(logs);
	if ((is_shared || drops->len > 0 || due->len > 0) &&
			!write_and_read(logs, drops, due, is_shared, &error)) {
		g_warning("logs of workloads: %s", error->message);
		are_read = !is_shared;
	}
	end_some(logs, are_read);
}

static gpointer run(gpointer data)
{
	AshWorkloadLogs *logs = data;

	g_mutex_lock(&logs->lock);
	while (!logs->is_ending || logs->drops->len > 0) {
		if (g_hash_table_size(logs->readers) == 0 && logs->drops->len == 0)
			g_cond_wait(&logs->wake, &logs->lock);
		else if (logs->drops->len == 0)
			g_cond_wait_until(
					&logs->wake, &logs->lock, g_get_monotonic_time() + TURN_US);
		g_autoptr(GArray) drops = logs->drops;
		logs->drops = g_array_new(FALSE, FALSE, sizeof(Drop));
		g_mutex_unlock(&logs->lock);
		turn(logs, drops);
		g_mutex_lock(&logs->lock);
	}
	g_mutex_unlock(&logs->lock);
	return NULL;
}

/* ---- how orders end ---- */

static void hear(const AshEvent *event, gpointer data)
{
	AshWorkloadLogs *logs = data;

	if (!g_str_equal(event->kind, "host.order"))
		return;
	g_autoptr(JsonNode) node = json_from_string(event->data, NULL);
	if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node))
		return;
	JsonObject *order = json_node_get_object(node);
	const char *state = ash_json_find_text(order, "state");
	g_mutex_lock(&logs->lock);
	int64_t id = (int64_t) ash_json_find_uint(order, "id");
	Reader *reader = find(logs, id, event->host);
	if (reader != NULL && state != NULL && !g_str_equal(state, "open") && reader->end == NULL) {
		if (id == reader->order && reader->next != 0)
			reader->has_ended = true;
		else
			reader->end = g_strdup(
					g_str_equal(state, "done") ? "that is all" : event->text);
		g_cond_signal(&logs->wake);
	}
	g_mutex_unlock(&logs->lock);
}

/* ---- life ---- */

static void drop_stale(AshServer *server)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = NULL;

	if (!ash_db_pool_take(server->pool, &db, &error) ||
			!ash_db_exec(db,
					"UPDATE host_order SET state = 'dropped', ended_at = $1 WHERE "
					"verb = 'workload-logs' AND state = 'open' AND created_at < $2",
					ASH_DB_VALUES(ASH_DB_I(server->now()),
							ASH_DB_I(server->now() - STALE_S)),
					NULL, &error))
		g_warning("orders of logs: %s", error->message);
}

AshWorkloadLogs *ash_workload_logs_start(AshServer *server)
{
	AshWorkloadLogs *logs = g_new0(AshWorkloadLogs, 1);

	logs->server = server;
	g_mutex_init(&logs->lock);
	g_cond_init(&logs->wake);
	logs->readers = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, reader_unref);
	logs->drops = g_array_new(FALSE, FALSE, sizeof(Drop));
	drop_stale(server);
	logs->listener = ash_events_listen(server->events, -1, hear, logs);
	logs->thread = g_thread_new("workload-logs", run, logs);
	return logs;
}

void ash_workload_logs_free(AshWorkloadLogs *logs)
{
	if (logs == NULL)
		return;
	ash_events_leave(logs->server->events, logs->listener);
	g_mutex_lock(&logs->lock);
	logs->is_ending = true;
	g_cond_signal(&logs->wake);
	g_mutex_unlock(&logs->lock);
	g_thread_join(logs->thread);
	g_hash_table_unref(logs->readers);
	g_array_unref(logs->drops);
	g_mutex_clear(&logs->lock);
	g_cond_clear(&logs->wake);
	g_free(logs);
}
