/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/order.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/workload.h"

G_DEFINE_QUARK(ash_order_error, ash_order_error)

enum {
	MAX_BAD = 1024,
};

static const char *const verbs[] = {
		[ASH_ORDER_NONE] = "none",
		[ASH_ORDER_CHECK] = "check",
		[ASH_ORDER_FETCH] = "fetch",
};

static void workload_free(gpointer data)
{
	AshOrderWorkload *workload = data;

	g_free(workload->name);
	g_free(workload->version);
	g_free(workload);
}

void ash_order_free(AshOrder *order)
{
	if (order == NULL)
		return;
	g_free(order->url);
	g_free(order->ca);
	g_free(order->proxy);
	g_free(order->name);
	g_free(order->variant);
	g_free(order->arch);
	g_free(order->version);
	g_free(order->commit);
	g_free(order->wanted);
	g_clear_pointer(&order->bad, g_hash_table_unref);
	g_clear_pointer(&order->workloads, g_ptr_array_unref);
	ash_release_free(order->release);
	g_free(order);
}

/* A copy of the member, "" when it is not there. */
static gboolean take_text(JsonObject *object, const char *key, char **out_text, GError **error)
{
	const char *text = "";

	if (!ash_json_text_opt(object, key, &text, error))
		return FALSE;
	g_free(*out_text);
	*out_text = g_strdup(text);
	return TRUE;
}

static gboolean take_source(AshOrder *order, JsonObject *object, GError **error)
{
	if (!take_text(object, "url", &order->url, error) ||
			!take_text(object, "ca", &order->ca, error) ||
			!take_text(object, "proxy", &order->proxy, error) ||
			!ash_json_uint_opt(object, "rate_limit", G_MAXINT64, &order->rate_limit,
					error) ||
			!ash_json_uint_opt(object, "root_version", G_MAXINT32, &order->root_version,
					error))
		return FALSE;
	size_t length = strlen(order->url);
	while (length > 0 && order->url[length - 1] == '/')
		order->url[--length] = '\0';
	if (length > ASH_ORDER_MAX_URL_BYTES)
		return ash_throw(error, ASH_ORDER_ERROR, ASH_ORDER_ERROR_SYNTAX,
				"the address is longer than %d bytes", ASH_ORDER_MAX_URL_BYTES);
	if (g_ascii_strncasecmp(order->url, "http://", 7) != 0 &&
			g_ascii_strncasecmp(order->url, "https://", 8) != 0)
		return ash_throw(error, ASH_ORDER_ERROR, ASH_ORDER_ERROR_SYNTAX,
				"the address does not begin with http:// or https://");
	return TRUE;
}

static gboolean take_bad(AshOrder *order, JsonObject *object, GError **error)
{
	order->bad = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	JsonObject *bad = NULL;
	if (!json_object_has_member(object, "bad"))
		return TRUE;
	if (!ash_json_object(object, "bad", &bad, error))
		return FALSE;
	if (json_object_get_size(bad) > MAX_BAD)
		return ash_throw(error, ASH_ORDER_ERROR, ASH_ORDER_ERROR_SYNTAX,
				"more than %d bad commits", MAX_BAD);
	g_autoptr(GList) commits = json_object_get_members(bad);
	for (GList *l = commits; l != NULL; l = l->next) {
		const char *kind = NULL;
		if (!ash_json_text(bad, l->data, &kind, error))
			return FALSE;
		g_hash_table_insert(order->bad, g_strdup(l->data), g_strdup(kind));
	}
	return TRUE;
}

static gboolean take_workloads(AshOrder *order, JsonObject *object, GError **error)
{
	JsonArray *list = NULL;

	order->workloads = g_ptr_array_new_with_free_func(workload_free);
	if (!json_object_has_member(object, "workloads"))
		return TRUE;
	if (!ash_json_array(object, "workloads", &list, error))
		return FALSE;
	if (json_array_get_length(list) > ASH_ORDER_MAX_WORKLOADS)
		return ash_throw(error, ASH_ORDER_ERROR, ASH_ORDER_ERROR_SYNTAX,
				"more than %d workloads", ASH_ORDER_MAX_WORKLOADS);
	for (guint i = 0; i < json_array_get_length(list); i++) {
		JsonNode *node = json_array_get_element(list, i);
		AshOrderWorkload *workload = g_new0(AshOrderWorkload, 1);
		g_ptr_array_add(order->workloads, workload);
		if (!JSON_NODE_HOLDS_OBJECT(node) ||
				!take_text(json_node_get_object(node), "name", &workload->name,
						NULL) ||
				!take_text(json_node_get_object(node), "version",
						&workload->version, NULL) ||
				!ash_workload_is_name(workload->name))
			return ash_throw(error, ASH_ORDER_ERROR, ASH_ORDER_ERROR_SYNTAX,
					"'workloads' holds what is no name and version");
	}
	return TRUE;
}

static gboolean take_host(AshOrder *order, JsonObject *object, GError **error)
{
	if (!take_text(object, "name", &order->name, error) ||
			!take_text(object, "variant", &order->variant, error) ||
			!take_text(object, "arch", &order->arch, error) ||
			!take_text(object, "version", &order->version, error) ||
			!take_text(object, "commit", &order->commit, error) ||
			!ash_json_int_opt(object, "now", &order->now_s, error) ||
			!take_bad(order, object, error))
		return FALSE;
	if (json_object_has_member(object, "wanted") &&
			!json_object_get_null_member(object, "wanted") &&
			!take_text(object, "wanted", &order->wanted, error))
		return FALSE;
	if (g_strcmp0(order->wanted, "") == 0)
		g_clear_pointer(&order->wanted, g_free);
	return TRUE;
}

static gboolean take_delta(AshOrder *order, JsonObject *object, GError **error)
{
	JsonObject *delta = NULL;
	const char *from = NULL;

	if (!ash_json_object(object, "delta", &delta, error) ||
			!ash_json_text(delta, "from", &from, error))
		return FALSE;
	for (guint i = 0; i < order->release->deltas->len; i++) {
		const AshTargetDelta *one = g_ptr_array_index(order->release->deltas, i);
		if (g_str_equal(one->from, from))
			order->delta = one;
	}
	if (order->delta == NULL)
		return ash_throw(error, ASH_ORDER_ERROR, ASH_ORDER_ERROR_DELTA,
				"the release has no delta from '%s'", from);
	return TRUE;
}

static gboolean take_release(AshOrder *order, JsonObject *object, GError **error)
{
	JsonObject *release = NULL;
	const char *method = NULL;

	if (!ash_json_object(object, "release", &release, error) ||
			!ash_json_text(object, "method", &method, error))
		return FALSE;
	g_autofree char *text = json_to_string(json_object_get_member(object, "release"), FALSE);
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	if (!ash_release_parse(bytes, &order->release, error))
		return FALSE;
	if (g_str_equal(method, "delta"))
		return take_delta(order, object, error);
	if (g_str_equal(method, "objects"))
		return TRUE;
	return ash_throw(error, ASH_ORDER_ERROR, ASH_ORDER_ERROR_SYNTAX, "no method '%s'", method);
}

/* @out_node keeps @out_object alive. */
static gboolean parse_object(const char *json, size_t max_bytes, JsonNode **out_node,
		JsonObject **out_object, GError **error)
{
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new_static(json, strlen(json));

	if (!ash_json_parse(bytes, max_bytes, ASH_ORDER_MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_ORDER_ERROR, ASH_ORDER_ERROR_SYNTAX, "not an object");
	*out_object = json_node_get_object(node);
	*out_node = g_steal_pointer(&node);
	return TRUE;
}

static gboolean take_verb(
		JsonObject *object, uint64_t *out_id, AshOrderVerb *out_verb, GError **error)
{
	const char *verb = NULL;
	uint64_t id = 0;

	if (!ash_json_uint(object, "id", G_MAXINT64, &id, error) ||
			!ash_json_text(object, "verb", &verb, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
		if (!g_str_equal(verb, verbs[i]))
			continue;
		*out_id = id;
		*out_verb = (AshOrderVerb) i;
		return TRUE;
	}
	return ash_throw(error, ASH_ORDER_ERROR, ASH_ORDER_ERROR_SYNTAX, "no verb '%s'", verb);
}

gboolean ash_order_peek(const char *json, uint64_t *out_id, AshOrderVerb *out_verb, GError **error)
{
	ASH_PREFIX("order");
	g_autoptr(JsonNode) node = NULL;
	JsonObject *object = NULL;

	if (!parse_object(json, ASH_ORDER_MAX_BYTES, &node, &object, error))
		return FALSE;
	return take_verb(object, out_id, out_verb, error);
}

gboolean ash_order_parse(const char *json, AshOrder **out_order, GError **error)
{
	ASH_PREFIX("order");
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshOrder) order = g_new0(AshOrder, 1);
	JsonObject *object = NULL;

	if (!parse_object(json, ASH_ORDER_MAX_BYTES, &node, &object, error) ||
			!take_verb(object, &order->id, &order->verb, error))
		return FALSE;
	if (order->verb != ASH_ORDER_NONE &&
			(!take_source(order, object, error) || !take_host(order, object, error) ||
					!take_workloads(order, object, error)))
		return FALSE;
	if (order->verb == ASH_ORDER_FETCH && !take_release(order, object, error))
		return FALSE;
	*out_order = g_steal_pointer(&order);
	return TRUE;
}

AshTargetHost ash_order_host(const AshOrder *order)
{
	return (AshTargetHost){.name = order->name,
			.variant = order->variant,
			.arch = order->arch,
			.version = order->version,
			.commit = order->commit};
}

const char *ash_order_is_bad(const char *commit, gconstpointer order)
{
	return g_hash_table_lookup(((const AshOrder *) order)->bad, commit);
}

/* ---- what ashlar-fetch prints ---------------------------------------------------------------- */

gboolean ash_order_parse_line(const char *line, uint64_t *out_done, uint64_t *out_total,
		char **out_result, GError **error)
{
	ASH_PREFIX("ashlar-fetch");
	g_autoptr(JsonNode) node = NULL;
	JsonObject *object = NULL;
	JsonObject *member = NULL;
	uint64_t done = 0;
	uint64_t total = 0;

	if (!parse_object(line, ASH_ORDER_MAX_LINE_BYTES, &node, &object, error))
		return FALSE;
	if (json_object_has_member(object, "result")) {
		if (!ash_json_object(object, "result", &member, error))
			return FALSE;
		*out_result = json_to_string(json_object_get_member(object, "result"), FALSE);
		return TRUE;
	}
	if (!ash_json_object(object, "progress", &member, error) ||
			!ash_json_uint(member, "done", G_MAXINT64, &done, error) ||
			!ash_json_uint(member, "total", G_MAXINT64, &total, error))
		return FALSE;
	*out_done = done;
	*out_total = total;
	*out_result = NULL;
	return TRUE;
}

char *ash_order_format_progress(uint64_t done, uint64_t total)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_begin_object(builder, "progress");
	ash_json_add_uint(builder, "done", done);
	ash_json_add_uint(builder, "total", total);
	json_builder_end_object(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

char *ash_order_format_ok(uint64_t bytes, int64_t seconds)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_begin_object(builder, "result");
	ash_json_add_bool(builder, "ok", true);
	ash_json_add_uint(builder, "bytes", bytes);
	ash_json_add_int(builder, "seconds", seconds);
	json_builder_end_object(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

char *ash_order_format_failure(const char *word, const char *why, const char *text, bool may_pass)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autofree char *valid = g_utf8_make_valid(text, -1);

	json_builder_begin_object(builder);
	ash_json_begin_object(builder, "result");
	ash_json_add_bool(builder, "ok", false);
	ash_json_add_text(builder, "word", word);
	ash_json_add_text(builder, "why", why);
	ash_json_add_text(builder, "text", valid);
	ash_json_add_bool(builder, "retry", may_pass);
	json_builder_end_object(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}
