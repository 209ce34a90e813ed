/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/workload.h"

#include <string.h>

#include "fleet/assignment.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_fleet_workload_error, ash_fleet_workload_error)

#define COLUMNS "id, added_at, score, name, version, sha256, notes, withdrawn, isolation, words"

enum {
	MAX_PARAMETER_DEPTH = 2,
};

void ash_fleet_workload_free(AshFleetWorkload *workload)
{
	if (workload == NULL)
		return;
	g_free(workload->name);
	g_free(workload->version);
	g_free(workload->sha256);
	g_free(workload->notes);
	g_free(workload->withdrawn);
	g_free(workload->isolation);
	g_free(workload->words);
	g_free(workload);
}

/* ---- finding ---- */

static gboolean take_workload(const AshDbRow *row, gpointer data, GError **error)
{
	AshFleetWorkload *workload = g_new0(AshFleetWorkload, 1);

	workload->id = ash_db_row_int(row, 0);
	workload->added_at = ash_db_row_int(row, 1);
	workload->score = ash_db_row_int(row, 2);
	workload->name = g_strdup(ash_db_row_text(row, 3));
	workload->version = g_strdup(ash_db_row_text(row, 4));
	workload->sha256 = g_strdup(ash_db_row_text(row, 5));
	workload->notes = g_strdup(ash_db_row_text(row, 6));
	workload->withdrawn = g_strdup(ash_db_row_text(row, 7));
	workload->isolation = g_strdup(ash_db_row_text(row, 8));
	workload->words = g_strdup(ash_db_row_text(row, 9));
	g_ptr_array_add(data, workload);
	return TRUE;
}

static GPtrArray *new_list(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify) ash_fleet_workload_free);
}

static gboolean throw_none(GError **error, const char *name, const char *version)
{
	return ash_throw(error, ASH_FLEET_WORKLOAD_ERROR, ASH_FLEET_WORKLOAD_ERROR_NOT_FOUND,
			"there is no version '%.64s' of a workload '%.32s': publish it, then scan the "
			"publication",
			version, name);
}

gboolean ash_fleet_workload_find(AshDb *db, const char *name, const char *version,
		AshFleetWorkload **out_workload, GError **error)
{
	g_autoptr(GPtrArray) found = new_list();

	if (!ash_db_query(db, "SELECT " COLUMNS " FROM workload WHERE name = $1 AND version = $2",
			    ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_T(version)), take_workload, found,
			    error))
		return FALSE;
	if (found->len == 0)
		return throw_none(error, name, version);
	*out_workload = g_ptr_array_steal_index(found, 0);
	return TRUE;
}

gboolean ash_fleet_workload_list(AshDb *db, const char *name, int64_t after, unsigned limit,
		GPtrArray **out_workloads, GError **error)
{
	g_autoptr(GPtrArray) found = new_list();

	if (!ash_db_query(db,
			    "SELECT " COLUMNS
			    " FROM workload WHERE id > $1 AND ($2 = '' OR name = $2) "
			    "ORDER BY id LIMIT $3",
			    ASH_DB_VALUES(ASH_DB_I(after), ASH_DB_T(name), ASH_DB_I(limit)),
			    take_workload, found, error))
		return FALSE;
	*out_workloads = g_steal_pointer(&found);
	return TRUE;
}

gboolean ash_fleet_workload_load(AshDb *db, const char *name, const char *version,
		AshWorkload **out_workload, char **out_text, GError **error)
{
	g_autofree char *text = NULL;

	if (!ash_db_query_string(db,
			    "SELECT document FROM workload WHERE name = $1 AND version = $2",
			    ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_T(version)), &text, error))
		return FALSE;
	if (text == NULL)
		return throw_none(error, name, version);
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	if (!ash_workload_parse(name, bytes, out_workload, error))
		return FALSE;
	if (out_text != NULL)
		*out_text = g_steal_pointer(&text);
	return TRUE;
}

/* ---- adding ---- */

static gboolean throw_document(
		GError **error, const char *name, const char *version, const char *text)
{
	return ash_throw(error, ASH_FLEET_WORKLOAD_ERROR, ASH_FLEET_WORKLOAD_ERROR_DOCUMENT,
			"the definition of '%.32s' %.64s: %s", name, version, text);
}

static gboolean read_document(const char *name, const char *version, GBytes *document,
		AshWorkload **out_workload, GError **error)
{
	g_autoptr(AshWorkload) workload = NULL;
	g_autoptr(GError) failure = NULL;

	if (!ash_workload_parse(name, document, &workload, &failure))
		return throw_document(error, name, version, failure->message);
	if (strcmp(workload->name, name) != 0 || strcmp(workload->version, version) != 0)
		return throw_document(error, name, version, "it is of another name or version");
	*out_workload = g_steal_pointer(&workload);
	return TRUE;
}

static gboolean insert(AshDb *db, const AshWorkload *workload, const char *sha256, GBytes *document,
		int64_t now_s, GError **error)
{
	g_autofree char *text =
			g_strndup(g_bytes_get_data(document, NULL), g_bytes_get_size(document));
	g_autoptr(AshWorkloadReport) report = ash_workload_report(workload, workload->isolation);

	return ash_db_exec(db,
			"INSERT INTO workload (name, version, sha256, document, added_at, isolation, "
			"score, words) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			ASH_DB_VALUES(ASH_DB_T(workload->name), ASH_DB_T(workload->version),
					ASH_DB_T(sha256), ASH_DB_T(text), ASH_DB_I(now_s),
					ASH_DB_T(ash_isolation_class_name(workload->isolation)),
					ASH_DB_I(report->score), ASH_DB_T(report->words)),
			NULL, error);
}

gboolean ash_fleet_workload_add(AshDb *db, const char *name, const char *version, GBytes *document,
		int64_t now_s, bool *out_is_new, GError **error)
{
	g_autoptr(AshWorkload) workload = NULL;
	g_autofree char *known = NULL;
	g_autofree char *sha256 = ash_sha256_hex(
			g_bytes_get_data(document, NULL), g_bytes_get_size(document));

	if (!read_document(name, version, document, &workload, error) ||
			!ash_db_query_string(db,
					"SELECT sha256 FROM workload WHERE name = $1 AND version = $2",
					ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_T(version)), &known,
					error))
		return FALSE;
	if (known != NULL && strcmp(known, sha256) != 0)
		return ash_throw(error, ASH_FLEET_WORKLOAD_ERROR, ASH_FLEET_WORKLOAD_ERROR_EXISTS,
				"version %s of workload '%s' is there with another content (%.12s): "
				"give this one another version",
				version, name, known);
	if (known == NULL && !insert(db, workload, sha256, document, now_s, error))
		return FALSE;
	*out_is_new = known == NULL;
	return TRUE;
}

/* ---- between versions ---- */

void ash_fleet_workload_add_changes(JsonBuilder *json, const AshWorkload *from,
		const AshWorkload *to, bool *out_is_wider)
{
	g_autoptr(AshWorkloadReport) before = ash_workload_report(from, from->isolation);
	g_autoptr(AshWorkloadReport) after = ash_workload_report(to, to->isolation);
	g_autoptr(GPtrArray) changes = ash_workload_report_diff(before, after, out_is_wider);

	ash_json_begin_array(json, "changes");
	for (guint i = 0; i < changes->len; i++) {
		const AshGrantChange *change = changes->pdata[i];
		const AshGrant *grant = change->to != NULL ? change->to : change->from;
		json_builder_begin_object(json);
		ash_json_add_string(json, "kind", ash_grant_kind_name(grant->kind));
		ash_json_add_string(json, "name", grant->name);
		ash_json_add_string(json, "from", change->from != NULL ? change->from->text : "");
		ash_json_add_string(json, "to", change->to != NULL ? change->to->text : "");
		ash_json_add_bool(json, "is_wider", change->is_wider);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
}

/* ---- parameters ---- */

static gboolean throw_parameter(GError **error, const char *name, const char *text)
{
	return ash_throw(error, ASH_FLEET_WORKLOAD_ERROR, ASH_FLEET_WORKLOAD_ERROR_PARAMETER,
			"parameter '%.64s' %s", name, text);
}

/* NULL: neither text nor whole number nor boolean. */
static char *text_of(JsonNode *node)
{
	if (!JSON_NODE_HOLDS_VALUE(node))
		return NULL;
	switch (json_node_get_value_type(node)) {
	case G_TYPE_STRING:
		return g_strdup(json_node_get_string(node));
	case G_TYPE_INT64:
		return g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
	case G_TYPE_BOOLEAN:
		return g_strdup(json_node_get_boolean(node) ? "true" : "false");
	default:
		return NULL;
	}
}

static gboolean take_values(JsonObject *parameters, GHashTable *values, GError **error)
{
	JsonObjectIter iter;
	const char *name = NULL;
	JsonNode *node = NULL;

	if (parameters == NULL)
		return TRUE;
	json_object_iter_init(&iter, parameters);
	while (json_object_iter_next(&iter, &name, &node)) {
		char *text = text_of(node);
		if (text == NULL)
			return throw_parameter(error, name,
					"is neither a text nor a whole number nor true or false");
		g_hash_table_insert(values, g_strdup(name), text);
	}
	return TRUE;
}

static char *format_values(GHashTable *values)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autoptr(GList) names = g_hash_table_get_keys(values);

	names = g_list_sort(names, (GCompareFunc) strcmp);
	json_builder_begin_object(json);
	for (GList *at = names; at != NULL; at = at->next)
		ash_json_add_string(json, at->data, g_hash_table_lookup(values, at->data));
	json_builder_end_object(json);
	return g_strchomp(ash_json_format(json, false));
}

gboolean ash_fleet_workload_check_parameters(const AshWorkload *workload, JsonObject *parameters,
		char **out_json, GError **error)
{
	g_autoptr(GHashTable) values =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autoptr(AshWorkload) copy = NULL;
	g_autoptr(GError) failure = NULL;
	g_autofree char *text = ash_workload_format(workload);
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));

	if (!take_values(parameters, values, error) ||
			!ash_workload_parse(workload->name, bytes, &copy, error))
		return FALSE;
	if (!ash_workload_fill(copy, values, &failure))
		return ash_throw(error, ASH_FLEET_WORKLOAD_ERROR,
				ASH_FLEET_WORKLOAD_ERROR_PARAMETER, "%s %s: %s", workload->name,
				workload->version, failure->message);
	g_autofree char *json = format_values(values);
	if (strlen(json) > ASH_ASSIGNMENT_MAX_PARAMETERS)
		return ash_throw(error, ASH_FLEET_WORKLOAD_ERROR,
				ASH_FLEET_WORKLOAD_ERROR_PARAMETER,
				"the parameters are more than %d bytes",
				ASH_ASSIGNMENT_MAX_PARAMETERS);
	*out_json = g_steal_pointer(&json);
	return TRUE;
}

gboolean ash_fleet_workload_check_parameters_text(const AshWorkload *workload,
		const char *parameters, char **out_json, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(parameters, strlen(parameters));
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(bytes, ASH_ASSIGNMENT_MAX_PARAMETERS, MAX_PARAMETER_DEPTH, &node,
			    error))
		return FALSE;
	return ash_fleet_workload_check_parameters(workload,
			JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL, out_json,
			error);
}
