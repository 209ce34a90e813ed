/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/metrics.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "fleet/operator.h"
#include "fleet/retention.h"
#include "fleet/route-private.h"
#include "fleet/server.h"
#include "fleet/workload-said.h"
#include "lib/error.h"

enum {
	CLASSES = 6, /* 0: unanswered, 1xx … 5xx */
	MAX_VERSIONS = 50,
};

/* Upper ends, in microseconds. */
static const int64_t buckets[] = {
		500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 10000000};

typedef struct {
	gsize classes[CLASSES];
	gsize buckets[G_N_ELEMENTS(buckets) + 1];
	gsize sum_us;
} Counts;

struct AshMetrics {
	const AshRouter *router;
	Counts *routes; /* one more than there are: for what is no route */
};

AshMetrics *ash_metrics_new(const AshRouter *router)
{
	AshMetrics *metrics = g_new0(AshMetrics, 1);

	metrics->router = router;
	metrics->routes = g_new0(Counts, ash_router_count(router) + 1);
	return metrics;
}

void ash_metrics_free(AshMetrics *metrics)
{
	if (metrics == NULL)
		return;
	g_free(metrics->routes);
	g_free(metrics);
}

void ash_metrics_count(AshMetrics *metrics, int route, unsigned status, int64_t took_us)
{
	unsigned none = ash_router_count(metrics->router);
	Counts *counts = &metrics->routes[route < 0 ? none : (unsigned) route];
	size_t bucket = 0;

	while (bucket < G_N_ELEMENTS(buckets) && took_us > buckets[bucket])
		bucket++;
	g_atomic_pointer_add(&counts->classes[MIN(status / 100, CLASSES - 1)], 1);
	g_atomic_pointer_add(&counts->buckets[bucket], 1);
	g_atomic_pointer_add(&counts->sum_us, (gssize) took_us);
}

/* ---- text ---- */

static void begin(GString *text, const char *name, const char *type, const char *help)
{
	g_string_append_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void append_label(GString *text, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '"')
			g_string_append_c(text, '\\');
		if (*value == '\n')
			g_string_append(text, "\\n");
		else
			g_string_append_c(text, *value);
	}
}

static void number(
		GString *text, const char *name, const char *type, const char *help, uint64_t value)
{
	begin(text, name, type, help);
	g_string_append_printf(text, "%s %" G_GUINT64_FORMAT "\n", name, value);
}

static void seconds(GString *text, int64_t us)
{
	g_string_append_printf(text, "%" G_GINT64_FORMAT ".%06" G_GINT64_FORMAT,
			us / G_USEC_PER_SEC, us % G_USEC_PER_SEC);
}

typedef void (*EachRoute)(GString *text, const char *labels, Counts *counts);

static void each_route(GString *text, AshMetrics *metrics, EachRoute each)
{
	unsigned count = ash_router_count(metrics->router);

	for (unsigned i = 0; i <= count; i++) {
		Counts *counts = &metrics->routes[i];
		const AshRoute *route = i < count ? ash_router_at(metrics->router, i) : NULL;
		gsize sum = 0;
		for (size_t c = 0; c < CLASSES; c++)
			sum += (gsize) g_atomic_pointer_get(&counts->classes[c]);
		g_autofree char *labels = g_strdup_printf("method=\"%s\",route=\"%s\"",
				route != NULL ? route->method : "",
				route != NULL ? route->pattern : "");
		if (sum > 0)
			each(text, labels, counts);
	}
}

static void append_classes(GString *text, const char *labels, Counts *counts)
{
	for (size_t c = 0; c < CLASSES; c++) {
		gsize value = (gsize) g_atomic_pointer_get(&counts->classes[c]);
		const char *suffix = c == 0 ? "none" : "xx";
		char digit[] = {(char) ('0' + c), '\0'};
		if (value > 0)
			g_string_append_printf(text,
					"ashlar_http_requests_total{%s,status=\"%s%s\"} %" G_GSIZE_FORMAT
					"\n",
					labels, c == 0 ? "" : digit, suffix, value);
	}
}

static void append_buckets(GString *text, const char *labels, Counts *counts)
{
	static const char name[] = "ashlar_http_request_duration_seconds";
	gsize sum = 0;

	for (size_t i = 0; i <= G_N_ELEMENTS(buckets); i++) {
		sum += (gsize) g_atomic_pointer_get(&counts->buckets[i]);
		g_string_append_printf(text, "%s_bucket{%s,le=\"", name, labels);
		if (i < G_N_ELEMENTS(buckets))
			seconds(text, buckets[i]);
		else
			g_string_append(text, "+Inf");
		g_string_append_printf(text, "\"} %" G_GSIZE_FORMAT "\n", sum);
	}
	g_string_append_printf(text, "%s_sum{%s} ", name, labels);
	seconds(text, (int64_t) (gsize) g_atomic_pointer_get(&counts->sum_us));
	g_string_append_printf(text, "\n%s_count{%s} %" G_GSIZE_FORMAT "\n", name, labels, sum);
}

/* ---- hosts ---- */

enum {
	STATES = ASH_HOST_RETIRED + 1,
	HEALTHS = ASH_HEALTH_SILENT + 1,
};

typedef struct {
	uint64_t states[STATES], healths[HEALTHS];
	GHashTable *versions; /* interned text → count */
} Hosts;

static bool count_host(const AshHost *host, gpointer data)
{
	Hosts *hosts = data;
	union {
		const char *ours;
		gpointer theirs;
	} version = {.ours = host->version};

	hosts->states[host->state]++;
	if (host->state != ASH_HOST_ACTIVE)
		return true;
	hosts->healths[host->health]++;
	if (host->version[0] != '\0') {
		gsize count = GPOINTER_TO_SIZE(
				g_hash_table_lookup(hosts->versions, version.theirs));
		g_hash_table_insert(hosts->versions, g_strdup(version.ours),
				GSIZE_TO_POINTER(count + 1));
	}
	return true;
}

static void labelled(GString *text, const char *name, const char *label, const char *value,
		uint64_t count)
{
	g_string_append_printf(text, "%s{%s=\"", name, label);
	append_label(text, value);
	g_string_append_printf(text, "\"} %" G_GUINT64_FORMAT "\n", count);
}

static void append_hosts(GString *text, AshLive *live)
{
	g_autoptr(GHashTable) versions =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	Hosts hosts = {.versions = versions};
	GHashTableIter iter;
	gpointer version = NULL, count = NULL;
	unsigned shown = 0;

	ash_live_each(live, count_host, &hosts);
	begin(text, "ashlar_hosts", "gauge", "Hosts by state");
	for (int i = 0; i < STATES; i++)
		labelled(text, "ashlar_hosts", "state", ash_host_state_text((AshHostState) i),
				hosts.states[i]);
	begin(text, "ashlar_hosts_health", "gauge", "Active hosts by health");
	for (int i = 0; i < HEALTHS; i++)
		labelled(text, "ashlar_hosts_health", "health", ash_health_text((AshHealth) i),
				hosts.healths[i]);
	begin(text, "ashlar_hosts_version", "gauge", "Active hosts by the version they run");
	g_hash_table_iter_init(&iter, versions);
	while (g_hash_table_iter_next(&iter, &version, &count) && shown++ < MAX_VERSIONS)
		labelled(text, "ashlar_hosts_version", "version", version, GPOINTER_TO_SIZE(count));
}

/* ---- workloads ---- */

static bool count_workload(const AshWorkloadSaid *said, gpointer data)
{
	uint64_t *counts = g_hash_table_lookup(data, said->name);

	if (counts == NULL) {
		counts = g_new0(uint64_t, 2);
		g_hash_table_insert(data, g_strdup(said->name), counts);
	}
	counts[said->is_ready]++;
	return true;
}

static bool count_workloads(const AshHost *host, gpointer data)
{
	if (host->state == ASH_HOST_ACTIVE)
		ash_workload_said_each(host->workloads, count_workload, data);
	return true;
}

static void append_workloads(GString *text, AshLive *live)
{
	g_autoptr(GHashTable) names =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	GHashTableIter iter;
	gpointer name = NULL, value = NULL;
	unsigned shown = 0;

	ash_live_each(live, count_workloads, names);
	begin(text, "ashlar_workload_hosts", "gauge",
			"Active hosts that have a workload, or are to have it, by whether it is ready");
	g_hash_table_iter_init(&iter, names);
	while (g_hash_table_iter_next(&iter, &name, &value) && shown++ < MAX_VERSIONS) {
		const uint64_t *counts = value;
		for (unsigned i = 0; i < 2; i++)
			g_string_append_printf(text,
					"ashlar_workload_hosts{workload=\"%s\",ready=\"%s\"} "
					"%" G_GUINT64_FORMAT "\n",
					(const char *) name, i == 1 ? "true" : "false", counts[i]);
	}
}

static gboolean take_rollouts(const AshDbRow *row, gpointer data, GError **error)
{
	labelled(data, "ashlar_rollouts", "state", ash_db_row_text(row, 0),
			(uint64_t) ash_db_row_int(row, 1));
	return TRUE;
}

static void append_rollouts(GString *text, AshDb *db)
{
	g_autoptr(GError) error = NULL;

	begin(text, "ashlar_rollouts", "gauge", "Rollouts by state");
	if (!ash_db_query(db, "SELECT state, COUNT(*) FROM rollout GROUP BY state", NULL,
			    take_rollouts, text, &error))
		g_debug("metrics: %s", error->message);
}

static void append_retention(GString *text, AshServer *server, AshDb *db)
{
	begin(text, "ashlar_retention_removed_total", "counter",
			"Rows removed because they were old, by what they belong to");
	for (int i = 0; i < ASH_RETENTIONS; i++)
		labelled(text, "ashlar_retention_removed_total", "of",
				ash_retention_text((AshRetention) i),
				ash_retention_removed((AshRetention) i));
	begin(text, "ashlar_retention_oldest_seconds", "gauge", "Age of the oldest that is kept");
	for (int i = 0; i < ASH_RETENTIONS; i++) {
		int64_t at_s = 0;
		if (ash_retention_oldest(db, (AshRetention) i, &at_s, NULL))
			labelled(text, "ashlar_retention_oldest_seconds", "of",
					ash_retention_text((AshRetention) i),
					at_s > 0 ? (uint64_t) MAX(server->now() - at_s, 0) : 0);
	}
}

static uint64_t resident_bytes(void)
{
	g_autofree char *text = NULL;
	guint64 pages = 0;

	if (!g_file_get_contents("/proc/self/statm", &text, NULL, NULL))
		return 0;
	char *blank = strchr(text, ' ');
	if (blank != NULL)
		pages = g_ascii_strtoull(blank + 1, NULL, 10);
	return pages * (uint64_t) sysconf(_SC_PAGESIZE);
}

static void append_server(GString *text, AshServer *server)
{
	AshHttpCounts http = {0};
	AshWriterCounts writer = {0};

	ash_http_counts(server->http, &http);
	ash_writer_counts(server->writer, &writer);
	begin(text, "ashlar_build_info", "gauge", "The version of this server");
	labelled(text, "ashlar_build_info", "version", ASH_VERSION, 1);
	number(text, "process_resident_memory_bytes", "gauge", "Memory in use", resident_bytes());
	number(text, "process_start_time_seconds", "gauge", "When it started",
			(uint64_t) server->started_at);
	number(text, "ashlar_http_connections", "gauge", "Open connections", http.connections);
	number(text, "ashlar_http_waiting", "gauge", "Calls that wait for their answer",
			http.waiting);
	number(text, "ashlar_http_refused_total", "counter", "Calls refused for want of room",
			http.refused);
	number(text, "ashlar_http_received_bytes_total", "counter", "Bytes of bodies that came",
			http.bytes_in);
	number(text, "ashlar_http_sent_bytes_total", "counter", "Bytes of bodies that were sent",
			http.bytes_out);
	number(text, "ashlar_writer_groups_total", "counter", "Transactions of group commit",
			writer.groups);
	number(text, "ashlar_writer_items_total", "counter", "Items written by them", writer.items);
	number(text, "ashlar_writer_failures_total", "counter", "Items that could not be written",
			writer.failures);
	number(text, "ashlar_writer_queue", "gauge", "Items that wait to be written",
			writer.queued);
	number(text, "ashlar_writer_failing", "gauge", "1: the last group could not be written",
			writer.is_failing);
	begin(text, "ashlar_writer_commit_seconds", "gauge", "How long the last commit took");
	g_string_append(text, "ashlar_writer_commit_seconds ");
	seconds(text, writer.last_commit_us);
	g_string_append_c(text, '\n');
}

char *ash_metrics_format(AshMetrics *metrics, AshServer *server, AshDb *db)
{
	g_autoptr(GString) text = g_string_sized_new(32 << 10);

	append_server(text, server);
	append_hosts(text, server->live);
	append_workloads(text, server->live);
	append_rollouts(text, db);
	append_retention(text, server, db);
	begin(text, "ashlar_http_requests_total", "counter", "Answers by route and status");
	each_route(text, metrics, append_classes);
	begin(text, "ashlar_http_request_duration_seconds", "histogram",
			"From the header of a request to the end of its answer");
	each_route(text, metrics, append_buckets);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static gboolean run(AshRequest *request, GError **error)
{
	/* Who asks for what is open to all is not looked at by fleet/route.c. */
	bool is_open = request->server->config->metrics_open;
	if (!is_open && !ash_route_authenticate((AshRouteRequest *) request, error))
		return FALSE;
	if (!is_open && request->role < ASH_ROLE_VIEWER)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_UNAUTHORIZED,
				"This needs a token (Authorization: Bearer), or 'metrics: {open: true}' "
				"in the server's settings.");
	if (!ash_route_need_all_hosts(request, "figures are", error))
		return FALSE;
	char *text = ash_metrics_format(ash_route_metrics(), request->server, request->db);
	ash_http_reply(request->call, 200, "text/plain; version=0.0.4; charset=utf-8",
			g_bytes_new_take(text, strlen(text)));
	return TRUE;
}

/* Of the least role, for the setting may open it; 'run' asks for viewer otherwise. */
const AshRoute ash_metrics_routes[] = {
		{"GET", "/metrics", ASH_ROLE_NONE, "Figures for Prometheus; viewer unless opened",
				run},
		{NULL},
};
