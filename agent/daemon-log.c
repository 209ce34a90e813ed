/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/wait.h>

#include "agent/bus-workload.h"
#include "agent/daemon.h"
#include "lib/checkin.h"
#include "lib/json.h"
#include "lib/workload.h"

/* Orders of the fleet for workloads. ashlar-workloadd carries them out; what one writes is followed here, by a process
 * that ends, and goes with the check-ins of about each second while somebody reads.
 */

enum {
	ANSWER_DEPTH = 8,
	SLACK_S = 15, /* for the lines that are there already */
};

#define JOURNALCTL "/usr/bin/journalctl"
#define TAIL "/usr/bin/tail"

typedef struct {
	AshDaemon *daemon;
	uint64_t order;
	uint64_t lines, seconds;
	AshBusChild *child;  /* NULL: not begun, or over */
	int64_t deadline_us; /* when it is ended */
	GPtrArray *pending;  /* texts that the fleet has not acknowledged */
	size_t pending_bytes;
	guint sent;    /* of these, in the last report */
	uint64_t left; /* lines that were dropped */
	bool is_over, is_killed, is_ok;
	bool was_told;     /* over, and in the last report */
	bool is_announced; /* there is news of it that no report has had yet */
} Log;

void ash_daemon_log_free(gpointer data)
{
	Log *log = data;

	g_ptr_array_unref(log->pending);
	g_free(log);
}

/* ---- orders -------------------------------------------------------------------------------------- */

static void end_order(AshDaemon *daemon, uint64_t order, bool is_ok, const char *text)
{
	g_autofree char *clean = ash_bus_printable(text, ASH_CHECKIN_MAX_TEXT / 2);

	ash_fleet_member_end_order(daemon->fleet, order, is_ok, clean);
	ash_daemon_fleet_save(daemon);
	ash_daemon_fleet_news(daemon);
}

/* "web", "web/2", "web/web@2" → as ashlar-workloadd names it: "web", "web@2". false: it is none. */
static bool parse_name(const char *text, char **out_name)
{
	const char *slash = strchr(text, '/');
	g_autofree char *workload =
			slash != NULL ? g_strndup(text, (size_t) (slash - text)) : g_strdup(text);
	uint64_t number = 1;

	if (!ash_workload_is_name(workload))
		return false;
	if (slash == NULL) {
		*out_name = g_steal_pointer(&workload);
		return true;
	}
	const char *instance = slash + 1;
	if (g_str_has_prefix(instance, workload) && instance[strlen(workload)] == '@')
		instance += strlen(workload) + 1;
	else if (strcmp(instance, workload) == 0)
		instance = "1";
	if (!g_ascii_string_to_unsigned(instance, 10, 1, ASH_WORKLOAD_MAX_INSTANCES, &number, NULL))
		return false;
	*out_name = g_strdup_printf("%s@%u", workload, (unsigned) number);
	return true;
}

static char *make_request(const char *name, const char *key, const char *value)
{
	g_autoptr(JsonBuilder) builder = ash_daemon_open_object();

	ash_json_add_string(builder, "name", name);
	if (key != NULL)
		ash_json_add_string(builder, key, value);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

typedef struct {
	AshDaemon *daemon;
	uint64_t order;
} Ask;

static void on_done(const char *json, const GError *error, gpointer data)
{
	g_autofree Ask *ask = data;
	g_autoptr(GBytes) bytes = json != NULL ? g_bytes_new(json, strlen(json)) : NULL;
	g_autoptr(JsonNode) node = NULL;
	const char *state = NULL;

	if (bytes != NULL &&
			ash_json_parse(bytes, ASH_BUS_MAX_ANSWER_BYTES, ANSWER_DEPTH, &node,
					NULL) &&
			JSON_NODE_HOLDS_OBJECT(node))
		state = ash_json_find_text(json_node_get_object(node), "state");
	end_order(ask->daemon, ask->order, json != NULL,
			json == NULL ? error->message : (state != NULL ? state : "done"));
}

/* false: the order has ended. */
static bool ask(AshDaemon *daemon, uint64_t order, const char *method, const char *request,
		AshBusWorkloadDone done)
{
	g_autoptr(GError) local = NULL;
	Ask *ask = g_new0(Ask, 1);

	*ask = (Ask){daemon, order};
	if (ash_bus_workload_ask(daemon->bus, method, request, done, ask, &local))
		return true;
	g_free(ask);
	end_order(daemon, order, false, local->message);
	return false;
}

/* ---- following ----------------------------------------------------------------------------------- */

static void announce(Log *log)
{
	if (log->is_announced)
		return;
	log->is_announced = true;
	ash_daemon_fleet_news(log->daemon);
}

static void forget_lines(Log *log, guint count)
{
	for (guint i = 0; i < count; i++)
		log->pending_bytes -= strlen(log->pending->pdata[i]) + 1;
	if (count > 0)
		g_ptr_array_remove_range(log->pending, 0, count);
}

static void add_line(Log *log, const char *line)
{
	char *text = ash_bus_printable(line, ASH_CHECKIN_MAX_TEXT);

	g_ptr_array_add(log->pending, text);
	log->pending_bytes += strlen(text) + 1;
	if (log->pending_bytes <= ASH_DAEMON_MAX_LOG_BYTES)
		return;
	/* Half of it at a time, not a line with each line. What was sent may be of it, and is sent again then. */
	log->left += log->pending->len / 2;
	log->sent = 0;
	forget_lines(log, log->pending->len / 2);
}

static void on_line(const char *line, gpointer data)
{
	add_line(data, line);
	announce(data);
}

static void on_exit_of_child(int wait_status, gpointer data)
{
	Log *log = data;

	log->child = NULL;
	log->is_over = true;
	log->is_ok = log->is_killed || (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0);
	log->deadline_us = INT64_MAX;
	log->is_announced = false;
	announce(log);
}

static void drop(Log *log)
{
	g_ptr_array_remove(log->daemon->workloads.logs, log);
}

static void follow(Log *log, JsonObject *place)
{
	AshDaemon *daemon = log->daemon;
	const char *unit = ash_json_find_text(place, "unit");
	const char *file = ash_json_find_text(place, "file");
	g_autofree char *lines = g_strdup_printf("%" G_GUINT64_FORMAT, log->lines);
	bool is_following = log->seconds > 0;
	const char *journal[] = {JOURNALCTL, "--quiet", "--no-pager", "--output=cat", "--lines",
			lines, "--unit", unit, is_following ? "--follow" : NULL, NULL};
	const char *tail[] = {TAIL, "--lines", lines, is_following ? "--follow=name" : "--",
			is_following ? "--" : file, is_following ? file : NULL, NULL};
	g_autoptr(GError) local = NULL;

	if (unit == NULL && file == NULL) {
		end_order(daemon, log->order, false,
				"ashlar-workloadd does not say where it writes");
		drop(log);
		return;
	}
	if (!ash_bus_spawn(daemon->bus, unit != NULL ? journal : tail, NULL, ASH_BUS_MAX_TEXT_BYTES,
			    on_line, on_exit_of_child, log, &log->child, &local)) {
		end_order(daemon, log->order, false, local->message);
		drop(log);
		return;
	}
	log->deadline_us = ash_bus_now_us() +
			   (int64_t) (is_following ? log->seconds : SLACK_S) * G_USEC_PER_SEC;
	announce(log);
	ash_daemon_set_timer(daemon);
}

static Log *find_log(const AshDaemon *daemon, uint64_t order)
{
	for (guint i = 0; i < daemon->workloads.logs->len; i++) {
		Log *log = daemon->workloads.logs->pdata[i];
		if (log->order == order)
			return log;
	}
	return NULL;
}

static void on_place(const char *json, const GError *error, gpointer data)
{
	g_autofree Ask *ask = data;
	g_autoptr(GBytes) bytes = json != NULL ? g_bytes_new(json, strlen(json)) : NULL;
	g_autoptr(JsonNode) node = NULL;
	Log *log = find_log(ask->daemon, ask->order);

	/* Nobody reads any more. */
	if (log == NULL)
		return;
	if (bytes != NULL &&
			ash_json_parse(bytes, ASH_BUS_MAX_ANSWER_BYTES, ANSWER_DEPTH, &node,
					NULL) &&
			JSON_NODE_HOLDS_OBJECT(node)) {
		follow(log, json_node_get_object(node));
		return;
	}
	end_order(ask->daemon, ask->order, false,
			json == NULL ? error->message
				     : "ashlar-workloadd's answer is not understood");
	drop(log);
}

/* Whoever reads goes on reading: what is followed for the order @before goes on for this one. false: it does not. */
static bool take_over(
		AshDaemon *daemon, const AshFleetOrder *order, const char *before, uint64_t seconds)
{
	uint64_t number = 0;

	if (!g_ascii_string_to_unsigned(before, 10, 1, G_MAXINT64, &number, NULL))
		return false;
	Log *log = find_log(daemon, number);
	if (log == NULL || log->child == NULL || log->is_killed || log->is_over)
		return false;
	log->order = order->id;
	log->seconds = MIN(seconds, ASH_CHECKIN_MAX_LOG_S);
	log->deadline_us = ash_bus_now_us() + (int64_t) log->seconds * G_USEC_PER_SEC;
	end_order(daemon, number, true, "that is all");
	ash_daemon_set_timer(daemon);
	return true;
}

/* "NAME[/INSTANCE] LINES SECONDS [ORDER]" */
static void begin_log(AshDaemon *daemon, const AshFleetOrder *order)
{
	g_auto(GStrv) words = g_strsplit(order->argument, " ", 5);
	g_autofree char *name = NULL;
	uint64_t lines = 0, seconds = 0;
	guint count = g_strv_length(words);

	if (count < 3 || count > 4 || !parse_name(words[0], &name) ||
			!g_ascii_string_to_unsigned(words[1], 10, 0, G_MAXINT64, &lines, NULL) ||
			!g_ascii_string_to_unsigned(words[2], 10, 0, G_MAXINT64, &seconds, NULL)) {
		end_order(daemon, order->id, false, "expected NAME, lines and seconds");
		return;
	}
	if (count == 4 && take_over(daemon, order, words[3], seconds))
		return;
	if (daemon->workloads.logs->len >= ASH_DAEMON_MAX_LOGS) {
		end_order(daemon, order->id, false, "as many are followed already as can be");
		return;
	}
	Log *log = g_new0(Log, 1);
	*log = (Log){.daemon = daemon,
			.order = order->id,
			.lines = MIN(lines, ASH_CHECKIN_MAX_LOG_LINES),
			.seconds = MIN(seconds, ASH_CHECKIN_MAX_LOG_S),
			.deadline_us = INT64_MAX,
			.pending = g_ptr_array_new_with_free_func(g_free)};
	g_ptr_array_add(daemon->workloads.logs, log);
	g_autoptr(JsonBuilder) builder = ash_daemon_open_object();
	ash_json_add_string(builder, "name", name);
	ash_json_add_bool(builder, "where", true);
	json_builder_end_object(builder);
	g_autofree char *request = ash_json_format(builder, false);
	if (!ask(daemon, order->id, "Logs", request, on_place))
		drop(log);
}

void ash_daemon_workload_order(AshDaemon *daemon, const AshFleetOrder *order)
{
	static const struct {
		const char *verb, *method;
	} rows[] = {
			{"workload-start", "Start"},
			{"workload-stop", "Stop"},
			{"workload-restart", "Restart"},
	};
	g_auto(GStrv) words = g_strsplit(order->argument, " ", 3);
	g_autofree char *name = NULL;
	g_autofree char *request = NULL;

	if (strcmp(order->verb, "workload-logs") == 0) {
		begin_log(daemon, order);
		return;
	}
	if (words[0] == NULL || !parse_name(words[0], &name)) {
		end_order(daemon, order->id, false, "that is no name of a workload");
		return;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (strcmp(rows[i].verb, order->verb) != 0 || words[1] != NULL)
			continue;
		request = make_request(name, NULL, NULL);
		ask(daemon, order->id, rows[i].method, request, on_done);
		return;
	}
	if (strcmp(order->verb, "workload-forgive") == 0 && words[1] != NULL && words[2] == NULL) {
		request = make_request(name, "version", words[1]);
		ask(daemon, order->id, "Forgive", request, on_done);
		return;
	}
	end_order(daemon, order->id, false, "this agent does not know such an order");
}

/* ---- reports ------------------------------------------------------------------------------------- */

static size_t report_one(Log *log, JsonBuilder *builder, size_t room)
{
	size_t used = 0;
	guint count = 0;

	json_builder_begin_object(builder);
	ash_json_add_uint(builder, "order", log->order);
	ash_json_begin_array(builder, "lines");
	if (log->left > 0) {
		g_autofree char *text = g_strdup_printf(
				"[%" G_GUINT64_FORMAT " lines were too many]", log->left);
		json_builder_add_string_value(builder, text);
	}
	for (; count < log->pending->len; count++) {
		const char *line = log->pending->pdata[count];
		/* Quotes and backslashes become two. */
		if (used + 2 * strlen(line) + 3 > room)
			break;
		used += 2 * strlen(line) + 3;
		json_builder_add_string_value(builder, line);
	}
	json_builder_end_array(builder);
	log->sent = count;
	log->is_announced = false;
	log->was_told = log->is_over && count == log->pending->len;
	/* Not before its last line. */
	if (log->was_told)
		ash_fleet_member_end_order(log->daemon->fleet, log->order, log->is_ok,
				log->is_ok ? "that is all"
					   : "what it writes cannot be followed any longer");
	ash_json_add_bool(builder, "more", !log->was_told);
	json_builder_end_object(builder);
	return used;
}

void ash_daemon_log_report(AshDaemon *daemon, JsonBuilder *builder)
{
	size_t room = ASH_DAEMON_MAX_LOG_REPORT;

	if (daemon->workloads.logs->len == 0)
		return;
	ash_json_begin_array(builder, "logs");
	for (guint i = 0; i < daemon->workloads.logs->len; i++)
		room -= report_one(daemon->workloads.logs->pdata[i], builder, room);
	json_builder_end_array(builder);
}

static bool is_ordered(const AshFleetAnswer *answer, uint64_t order)
{
	for (guint i = 0; i < answer->orders->len; i++)
		if (((const AshFleetOrder *) answer->orders->pdata[i])->id == order)
			return true;
	return false;
}

static void kill_log(Log *log)
{
	log->is_killed = true;
	log->deadline_us = INT64_MAX;
	ash_bus_child_kill(log->child);
}

void ash_daemon_log_answered(AshDaemon *daemon, const AshFleetAnswer *answer)
{
	GPtrArray *logs = daemon->workloads.logs;

	for (guint i = logs->len; i-- > 0;) {
		Log *log = logs->pdata[i];
		forget_lines(log, log->sent);
		log->sent = 0;
		log->left = 0;
		if (log->was_told)
			g_ptr_array_remove_index(logs, i);
		/* Whoever read it is gone, or the order is. */
		else if (log->child != NULL && !log->is_killed && !is_ordered(answer, log->order))
			kill_log(log);
	}
}

int64_t ash_daemon_log_next_us(const AshDaemon *daemon)
{
	int64_t at_us = INT64_MAX;

	for (guint i = 0; i < daemon->workloads.logs->len; i++)
		at_us = MIN(at_us, ((const Log *) daemon->workloads.logs->pdata[i])->deadline_us);
	return at_us;
}

void ash_daemon_log_late(AshDaemon *daemon)
{
	for (guint i = 0; i < daemon->workloads.logs->len; i++) {
		Log *log = daemon->workloads.logs->pdata[i];
		if (log->child != NULL && ash_bus_now_us() >= log->deadline_us)
			kill_log(log);
	}
}
