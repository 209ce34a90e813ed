/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/wanted.h"

#include <string.h>

#include "fleet/event.h"
#include "lib/json.h"

enum {
	MAX_BYTES = 1 << 20,
	MAX_DEPTH = 6,
	MAX_NAMED = 6, /* in a sentence */
};

static void wanted_free(gpointer data)
{
	AshWanted *item = data;

	g_free(item->name);
	g_free(item->version);
	g_free(item->parameters);
	g_free(item->assignment);
	g_free(item->rollout);
	g_free(item->otherwise);
	g_free(item);
}

GPtrArray *ash_wanted_new(void)
{
	return g_ptr_array_new_with_free_func(wanted_free);
}

void ash_wanted_add(GPtrArray *wanted, const AshWanted *item)
{
	AshWanted *copy = g_new0(AshWanted, 1);

	*copy = (AshWanted){g_strdup(item->name), g_strdup(item->version),
			g_strdup(item->parameters), g_strdup(item->assignment),
			g_strdup(item->rollout), g_strdup(item->otherwise), item->serial};
	g_ptr_array_add(wanted, copy);
}

AshWanted *ash_wanted_find(const GPtrArray *wanted, const char *name)
{
	for (guint i = 0; i < wanted->len; i++) {
		AshWanted *item = wanted->pdata[i];
		if (g_str_equal(item->name, name))
			return item;
	}
	return NULL;
}

/* ---- reading ---- */

static char *copy_text(JsonObject *object, const char *key)
{
	const char *text = ash_json_find_text(object, key);

	return g_strdup(text != NULL ? text : "");
}

static AshWanted *read_item(JsonObject *object)
{
	AshWanted *item = g_new0(AshWanted, 1);
	JsonNode *parameters = json_object_get_member(object, "parameters");

	item->name = copy_text(object, "name");
	item->version = copy_text(object, "version");
	item->assignment = copy_text(object, "assignment");
	item->rollout = copy_text(object, "rollout");
	item->otherwise = copy_text(object, "otherwise");
	item->serial = (int64_t) ash_json_find_uint(object, "serial");
	item->parameters = parameters != NULL && JSON_NODE_HOLDS_OBJECT(parameters)
					   ? json_to_string(parameters, FALSE)
					   : g_strdup("{}");
	return item;
}

GPtrArray *ash_wanted_parse(const char *text)
{
	GPtrArray *wanted = ash_wanted_new();
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	g_autoptr(JsonNode) node = NULL;

	if (*text == '\0' || !ash_json_parse(bytes, MAX_BYTES, MAX_DEPTH, &node, NULL) ||
			!JSON_NODE_HOLDS_ARRAY(node))
		return wanted;
	JsonArray *array = json_node_get_array(node);
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *element = json_array_get_element(array, i);
		if (JSON_NODE_HOLDS_OBJECT(element))
			g_ptr_array_add(wanted, read_item(json_node_get_object(element)));
	}
	return wanted;
}

/* ---- writing: names, versions and ids need no quoting (lib/workload.h, lib/version.h, fleet/assignment.h) ---- */

static void add_item(GString *json, const AshWanted *item, bool is_for_host)
{
	g_string_append_printf(json,
			"%s{\"name\":\"%s\",\"version\":\"%s\",\"parameters\":%s,"
			"\"assignment\":\"%s\"",
			json->len > 1 ? "," : "", item->name, item->version, item->parameters,
			item->assignment);
	if (*item->rollout != '\0')
		g_string_append_printf(json, ",\"rollout\":\"%s\"", item->rollout);
	if (*item->rollout != '\0' && !is_for_host)
		g_string_append_printf(json,
				",\"serial\":%" G_GINT64_FORMAT ",\"otherwise\":\"%s\"",
				item->serial, item->otherwise);
	g_string_append_c(json, '}');
}

static char *format(const GPtrArray *wanted, bool is_for_host)
{
	GString *json = g_string_new("[");

	for (guint i = 0; i < wanted->len; i++)
		add_item(json, wanted->pdata[i], is_for_host);
	g_string_append_c(json, ']');
	return g_string_free(json, FALSE);
}

char *ash_wanted_format(const GPtrArray *wanted)
{
	return format(wanted, false);
}

char *ash_wanted_answer(const GPtrArray *wanted)
{
	return format(wanted, true);
}

bool ash_wanted_is_same(const GPtrArray *a, const GPtrArray *b)
{
	if (a->len != b->len)
		return false;
	for (guint i = 0; i < a->len; i++) {
		const AshWanted *x = a->pdata[i], *y = b->pdata[i];
		if (!g_str_equal(x->name, y->name) || !g_str_equal(x->version, y->version) ||
				!g_str_equal(x->parameters, y->parameters))
			return false;
	}
	return true;
}

char *ash_wanted_text(const GPtrArray *wanted)
{
	GString *text = g_string_new(wanted->len == 0 ? "none" : NULL);

	for (guint i = 0; i < wanted->len; i++) {
		if (i == MAX_NAMED) {
			g_string_append_printf(text, " and %u more", wanted->len - i);
			break;
		}
		const AshWanted *item = wanted->pdata[i];
		g_string_append_printf(
				text, "%s%s %s", i > 0 ? ", " : "", item->name, item->version);
	}
	return g_string_free(text, FALSE);
}

/* ---- the table ---- */

static gboolean tell(AshDb *db, const char *host, const GPtrArray *wanted, const char *rollout,
		int64_t now_s, GError **error)
{
	bool is_there = false;
	int64_t desired = 0;

	if (!ash_db_query_int(db,
			    "UPDATE host SET desired = desired + 1 WHERE id = $1 RETURNING desired",
			    ASH_DB_VALUES(ASH_DB_T(host)), &is_there, &desired, error))
		return FALSE;
	if (!is_there)
		return TRUE;
	g_autofree char *list = ash_wanted_text(wanted);
	g_autofree char *text = g_strdup_printf("workloads: %s", list);
	g_autofree char *data = g_strdup_printf("{\"desired\":%" G_GINT64_FORMAT "}", desired);
	return ash_event_append(db,
			&(AshEvent){.at_s = now_s,
					.kind = "host.desired",
					.host = host,
					.rollout = rollout,
					.text = text,
					.data = data},
			error);
}

gboolean ash_wanted_write(AshDb *db, const char *host, const char *before, const char *text,
		const char *rollout, int64_t now_s, GError **error)
{
	if (g_str_equal(before, text))
		return TRUE;
	g_autoptr(GPtrArray) old = ash_wanted_parse(before);
	g_autoptr(GPtrArray) wanted = ash_wanted_parse(text);
	if (!ash_db_exec(db,
			    "INSERT INTO host_workload (host, wanted) VALUES ($1, $2) ON CONFLICT "
			    "(host) DO UPDATE SET wanted = excluded.wanted",
			    ASH_DB_VALUES(ASH_DB_T(host), ASH_DB_T(text)), NULL, error))
		return FALSE;
	bool is_same = ash_wanted_is_same(old, wanted) && *before != '\0';
	return is_same || tell(db, host, wanted, rollout, now_s, error);
}
