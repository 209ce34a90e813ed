/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/daemon.h"
#include "agent/order.h"
#include "lib/error.h"
#include "lib/json.h"

/* ---- orders -------------------------------------------------------------------------------------- */

/* Every order but "none" has a deadline. */
static bool is_standing(const AshDaemon *daemon)
{
	return daemon->order_deadline_us != INT64_MAX;
}

static void set_order(AshDaemon *daemon, char *take_order, int64_t deadline_s)
{
	g_free(daemon->order);
	daemon->order = take_order;
	daemon->order_done = daemon->order_total = 0;
	daemon->order_deadline_us =
			deadline_s == 0 ? INT64_MAX
					: ash_bus_now_us() + deadline_s * G_USEC_PER_SEC;
	ash_bus_changed(daemon->bus, "Order");
}

void ash_daemon_drop_order(AshDaemon *daemon)
{
	if (!is_standing(daemon))
		return;
	set_order(daemon,
			g_strdup_printf("{\"id\":%" G_GUINT64_FORMAT ",\"verb\":\"none\"}",
					++daemon->order_id),
			0);
}

/* Up to the host, whatever the verb. */
static JsonBuilder *begin_order(AshDaemon *daemon, const char *verb)
{
	const AshUpdateSettings *settings = &daemon->settings->updates;
	JsonBuilder *builder = ash_daemon_open_object();

	ash_json_add_uint(builder, "id", ++daemon->order_id);
	ash_json_add_string(builder, "verb", verb);
	ash_json_add_string(builder, "url", settings->url);
	ash_json_add_string(builder, "ca", settings->ca);
	ash_json_add_uint(builder, "rate_limit", settings->rate_limit_bytes_s);
	ash_json_add_string(builder, "proxy", "");
	ash_json_add_uint(builder, "root_version", daemon->source.root_version);
	ash_daemon_add_host(builder, daemon);
	return builder;
}

void ash_daemon_give_image_order(AshDaemon *daemon, const char *document)
{
	g_autoptr(JsonBuilder) builder = begin_order(daemon, "fetch");

	ash_daemon_add_json(builder, "release", document);
	ash_json_add_string(builder, "method", "objects");
	ash_daemon_add_json(builder, "delta", NULL);
	json_builder_end_object(builder);
	set_order(daemon, g_strchomp(ash_json_format(builder, false)), ASH_DAEMON_FETCH_STALL_S);
}

void ash_daemon_give_order(AshDaemon *daemon, const char *verb)
{
	g_autoptr(JsonBuilder) builder = begin_order(daemon, verb);
	bool is_fetch = strcmp(verb, "fetch") == 0;

	/* An image that was on its way is begun again. */
	daemon->workloads.is_fetching = false;
	if (!is_fetch) {
		ash_daemon_add_workloads(builder, daemon);
		ash_daemon_workload_check_begins(daemon);
	}
	if (is_fetch) {
		ash_daemon_add_json(builder, "release", daemon->update->document);
		ash_json_add_string(builder, "method", daemon->update->method);
		ash_daemon_add_json(builder, "delta", daemon->update->delta);
	}
	json_builder_end_object(builder);
	set_order(daemon, g_strchomp(ash_json_format(builder, false)),
			is_fetch ? ASH_DAEMON_FETCH_STALL_S : ASH_DAEMON_CHECK_ORDER_S);
}

static void order_failed(AshDaemon *daemon, const char *word, const char *text, bool may_retry)
{
	AshUpdateEvent event = {
			.kind = ASH_UPDATE_EVENT_FAILED,
			.word = word,
			.text = text,
			.may_retry = may_retry,
	};

	ash_daemon_drop_order(daemon);
	if (daemon->workloads.is_fetching) {
		ash_daemon_image_fetched(daemon, word, text);
		return;
	}
	ash_daemon_take_source(daemon, word, text);
	ash_daemon_must_step(daemon, &event);
}

void ash_daemon_order_late(AshDaemon *daemon)
{
	order_failed(daemon, "timeout", "ashlar-link does not answer: is it running?", true);
}

void ash_daemon_order_progress(AshDaemon *daemon, uint64_t id, uint64_t done, uint64_t total)
{
	if (id != daemon->order_id || !is_standing(daemon))
		return;
	daemon->order_done = done;
	daemon->order_total = total;
	daemon->order_deadline_us =
			ash_bus_now_us() + (int64_t) ASH_DAEMON_FETCH_STALL_S * G_USEC_PER_SEC;
	ash_daemon_set_timer(daemon);
}

void ash_daemon_order_done(AshDaemon *daemon, uint64_t id, const char *result)
{
	g_autoptr(GBytes) bytes = g_bytes_new(result, strlen(result));
	g_autoptr(JsonNode) node = NULL;
	AshUpdateEvent event = {.kind = ASH_UPDATE_EVENT_DONE};
	bool is_ok = false, may_retry = false;
	const char *word = "failed", *text = "ashlar-link's answer is not understood", *why = NULL;

	/* An answer to an order that is no longer: after a restart, or twice. */
	if (id != daemon->order_id || !is_standing(daemon))
		return;
	if (ash_json_parse(bytes, ASH_ORDER_MAX_BYTES, 16, &node, NULL) &&
			JSON_NODE_HOLDS_OBJECT(node)) {
		JsonObject *object = json_node_get_object(node);
		is_ok = ash_json_find_bool(object, "ok");
		may_retry = ash_json_find_bool(object, "retry");
		word = ash_json_find_text(object, "word") ?: word;
		text = ash_json_find_text(object, "text") ?: text;
		why = ash_json_find_text(object, "why");
	}
	if (!is_ok) {
		order_failed(daemon, why != NULL ? why : word, text, may_retry);
		return;
	}
	ash_daemon_drop_order(daemon);
	if (daemon->workloads.is_fetching)
		ash_daemon_image_fetched(daemon, NULL, NULL);
	else
		ash_daemon_must_step(daemon, &event);
}
