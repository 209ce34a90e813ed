/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/workload/workloadd.h"
#include "lib/error.h"

/* What the fleet wants, as ashlard says it: the whole list, any number of times. What cannot be had stays as it is,
 * and is named in the answer; what is not in the list any more goes.
 */

/* ---- one of them ---- */

typedef struct {
	const char *name; /* borrowed from the request */
	char *version;
	GHashTable *values;
} Wish;

static void wish_clear(Wish *wish)
{
	g_free(wish->version);
	g_clear_pointer(&wish->values, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Wish, wish_clear)

static gboolean parse_wish(JsonNode *node, Wish *wish, GError **error)
{
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT,
				"'workloads' is no list of objects");
	JsonObject *object = json_node_get_object(node);
	if (!ash_json_text(object, "name", &wish->name, error) ||
			!ash_store_read_wish(object, &wish->version, &wish->values, error))
		return FALSE;
	return ash_workload_is_name(wish->name) ||
	       ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT,
			       "'%.80s' is no name of a workload", wish->name);
}

static void add_refusal(JsonBuilder *builder, const Wish *wish, const char *word, const char *text)
{
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", wish->name);
	ash_json_add_text(builder, "version", wish->version);
	ash_json_add_text(builder, "word", word);
	ash_json_add_text(builder, "text", text);
	json_builder_end_object(builder);
}

/* Nothing is written of what could not be used afterwards: what runs goes on as it was. */
static gboolean want(AshWorkloadd *daemon, const Wish *wish, JsonBuilder *refusals, GError **error)
{
	g_autoptr(AshDefinition) definition = NULL;
	g_autoptr(GError) local = NULL;

	if (ash_store_has_local(daemon->root, wish->name)) {
		add_refusal(refusals, wish, "owner",
				"a definition of the host's owner has this name, and counts before it");
		return TRUE;
	}
	if (ash_store_load_signed(daemon->root, wish->name, wish->version, wish->values,
			    &definition, &local))
		return ash_store_put_fleet(
				daemon->root, wish->name, wish->version, wish->values, error);
	add_refusal(refusals, wish,
			g_error_matches(local, ASH_STORE_ERROR, ASH_STORE_ERROR_MISSING)
					? "missing"
					: "refused",
			local->message);
	return TRUE;
}

/* ---- all of them ---- */

static bool is_listed(JsonArray *list, const char *name)
{
	for (guint i = 0; i < json_array_get_length(list); i++) {
		JsonObject *object = json_array_get_object_element(list, i);
		if (g_strcmp0(ash_json_find_text(object, "name"), name) == 0)
			return true;
	}
	return false;
}

static gboolean drop_others(
		AshWorkloadd *daemon, JsonArray *list, JsonBuilder *builder, GError **error)
{
	g_auto(GStrv) names = NULL;

	if (!ash_store_list_fleet(daemon->root, &names, error))
		return FALSE;
	ash_json_begin_array(builder, "removed");
	for (char **name = names; *name != NULL; name++) {
		if (is_listed(list, *name))
			continue;
		if (!ash_store_drop_fleet(daemon->root, *name, error))
			return FALSE;
		g_message("%s: the fleet does not want it any more", *name);
		json_builder_add_string_value(builder, *name);
	}
	json_builder_end_array(builder);
	return TRUE;
}

gboolean ash_workloadd_want(
		AshWorkloadd *daemon, JsonObject *request, char **out_json, GError **error)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	JsonArray *list = NULL;

	if (!ash_json_array(request, "workloads", &list, error))
		return FALSE;
	if (json_array_get_length(list) > ASH_STORE_MAX_WORKLOADS)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT,
				"more than %d workloads", ASH_STORE_MAX_WORKLOADS);
	json_builder_begin_object(builder);
	ash_json_begin_array(builder, "refused");
	for (guint i = 0; i < json_array_get_length(list); i++) {
		g_auto(Wish) wish = {0};
		if (!parse_wish(json_array_get_element(list, i), &wish, error) ||
				!want(daemon, &wish, builder, error))
			return FALSE;
	}
	json_builder_end_array(builder);
	if (!drop_others(daemon, list, builder, error) || !ash_workloadd_reload(daemon, error))
		return FALSE;
	json_builder_end_object(builder);
	*out_json = ash_json_format(builder, false);
	return TRUE;
}
