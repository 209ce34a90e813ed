/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#include "agent/fleet-member.h"
#include "agent/fleet-workload.h"
#include "agent/paths.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/text.h"

/* fleet.json: the text of an AshFleetMember, and the file. */

enum {
	FORMAT = 1,
	MAX_DEPTH = 6,
};

/* ---- writing ------------------------------------------------------------------------------------- */

static void add_wish(JsonBuilder *builder, const AshFleetWish *wish)
{
	if (wish == NULL)
		return;
	ash_json_begin_object(builder, "release");
	ash_json_add_text(builder, "name", wish->name);
	ash_json_add_text(builder, "variant", wish->variant);
	ash_json_add_text(builder, "arch", wish->arch);
	ash_json_add_text(builder, "version", wish->version);
	ash_json_add_text(builder, "commit", wish->commit);
	ash_json_add_text(builder, "verb", wish->is_return ? "return" : "update");
	json_builder_end_object(builder);
}

static void add_results(JsonBuilder *builder, const GPtrArray *results)
{
	ash_json_begin_array(builder, "results");
	for (guint i = 0; i < results->len; i++) {
		const AshFleetResult *result = results->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_uint(builder, "id", result->id);
		ash_json_add_bool(builder, "open", result->is_open);
		ash_json_add_bool(builder, "ok", result->is_ok);
		ash_json_add_bool(builder, "acknowledged", result->is_acknowledged);
		ash_json_add_text(builder, "text", result->text);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

char *ash_fleet_member_format(const AshFleetMember *member, bool is_whole)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_int(builder, "format", FORMAT);
	ash_json_add_text(builder, "url", member->url);
	ash_json_add_text(builder, "epoch", member->epoch);
	ash_json_add_text(builder, "id", member->id);
	ash_json_add_text(builder, "standing", ash_fleet_outcome_text(member->standing));
	ash_json_add_text(builder, "text", member->text);
	ash_json_add_int(builder, "since", member->since_s);
	if (is_whole)
		ash_json_add_int(builder, "contact", member->contact_s);
	ash_json_add_uint(builder, "have", member->have);
	add_wish(builder, member->release);
	ash_json_add_text(builder, "hold", member->hold);
	if (member->windows != NULL)
		ash_json_add_texts(builder, "windows", member->windows);
	ash_fleet_workload_add_list(builder, "workloads", member->workloads);
	ash_json_add_uint(builder, "returned", member->returned);
	ash_json_add_uint(builder, "event", member->event);
	add_results(builder, member->results);
	ash_json_add_text(builder, "journal_boot", member->journal_boot);
	ash_json_add_text(builder, "journal_version", member->journal_version);
	ash_json_add_int(builder, "journal_at", member->journal_at_s);
	ash_json_add_bool(builder, "leaving", member->is_leaving);
	json_builder_end_object(builder);
	return ash_json_format(builder, true);
}

/* ---- reading ------------------------------------------------------------------------------------- */

static gboolean parse_text(JsonObject *root, const char *key, char **out_text, GError **error)
{
	const char *text = *out_text;

	if (!ash_json_text_opt(root, key, &text, error))
		return FALSE;
	if (text != *out_text) {
		g_free(*out_text);
		*out_text = g_strdup(text);
	}
	return TRUE;
}

static gboolean parse_results(JsonObject *root, AshFleetMember *member, GError **error)
{
	JsonArray *array = NULL;

	if (!ash_json_array(root, "results", &array, error))
		return FALSE;
	if (json_array_get_length(array) > ASH_FLEET_MEMBER_MAX_RESULTS)
		return ash_throw(error, ASH_FLEET_ANSWER_ERROR, ASH_FLEET_ANSWER_ERROR_VALUE,
				"'results' has too many entries");
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonObject *object = ash_fleet_element(array, i, error);
		if (object == NULL)
			return FALSE;
		AshFleetResult *result = g_new0(AshFleetResult, 1);
		result->text = g_strdup("");
		g_ptr_array_add(member->results, result);
		if (!ash_json_uint(object, "id", G_MAXINT64, &result->id, error) ||
				!ash_json_bool_opt(object, "open", &result->is_open, error) ||
				!ash_json_bool_opt(object, "ok", &result->is_ok, error) ||
				!ash_json_bool_opt(object, "acknowledged", &result->is_acknowledged,
						error) ||
				!parse_text(object, "text", &result->text, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean parse_standing(JsonObject *root, AshFleetMember *member, GError **error)
{
	const char *text = NULL;

	if (!ash_json_text(root, "standing", &text, error))
		return FALSE;
	/* A later agent's word: the next check-in says it again. */
	for (int i = 0; i <= ASH_FLEET_FAILED; i++)
		if (strcmp(ash_fleet_outcome_text((AshFleetOutcome) i), text) == 0)
			member->standing = (AshFleetOutcome) i;
	return TRUE;
}

/* A time zone may be missing in this deployment: the host's own windows until the fleet says all anew. */
static void parse_windows(JsonObject *root, AshFleetMember *member)
{
	g_autoptr(GError) local = NULL;

	if (ash_fleet_windows_parse(root, "windows", &member->windows, &local))
		return;
	g_debug("%s", local->message);
	member->have = 0;
}

static gboolean parse_wish(JsonObject *root, AshFleetMember *member, GError **error)
{
	JsonObject *object = NULL;

	if (!json_object_has_member(root, "release"))
		return TRUE;
	return ash_json_object(root, "release", &object, error) &&
	       ash_fleet_wish_parse(object, &member->release, error);
}

gboolean ash_fleet_member_parse(GBytes *json, AshFleetMember **out_member, GError **error)
{
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshFleetMember) member = ash_fleet_member_new();

	if (!ash_json_parse(json, ASH_FLEET_MEMBER_MAX_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_FLEET_ANSWER_ERROR, ASH_FLEET_ANSWER_ERROR_VALUE,
				"expected an object");
	JsonObject *root = json_node_get_object(node);
	if (!parse_text(root, "url", &member->url, error) ||
			!parse_text(root, "epoch", &member->epoch, error) ||
			!parse_text(root, "id", &member->id, error) ||
			!parse_standing(root, member, error) ||
			!parse_text(root, "text", &member->text, error) ||
			!ash_json_int_opt(root, "since", &member->since_s, error) ||
			!ash_json_int_opt(root, "contact", &member->contact_s, error) ||
			!ash_json_uint(root, "have", G_MAXINT64, &member->have, error) ||
			!parse_wish(root, member, error) ||
			!parse_text(root, "hold", &member->hold, error) ||
			!ash_fleet_workload_parse_list(
					root, "workloads", &member->workloads, error) ||
			!ash_json_uint_opt(
					root, "returned", G_MAXINT64, &member->returned, error) ||
			!ash_json_uint_opt(root, "event", G_MAXINT64, &member->event, error) ||
			!parse_results(root, member, error) ||
			!parse_text(root, "journal_boot", &member->journal_boot, error) ||
			!parse_text(root, "journal_version", &member->journal_version, error) ||
			!ash_json_int_opt(root, "journal_at", &member->journal_at_s, error) ||
			!ash_json_bool_opt(root, "leaving", &member->is_leaving, error))
		return FALSE;
	parse_windows(root, member);
	*out_member = g_steal_pointer(&member);
	return TRUE;
}

/* ---- disk ---------------------------------------------------------------------------------------- */

static char *store_path(const char *root)
{
	return g_build_filename(root, ASH_PATH_STATE, "fleet.json", NULL);
}

gboolean ash_fleet_member_load(
		const char *root, AshFleetMember **out_member, char **out_warning, GError **error)
{
	g_autofree char *path = store_path(root);
	g_autofree char *broken = g_strconcat(path, ".broken", NULL);
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GError) local = NULL;

	*out_warning = NULL;
	if (ash_file_read(AT_FDCWD, path, ASH_FLEET_MEMBER_MAX_BYTES, &bytes, &local) &&
			ash_fleet_member_parse(bytes, out_member, &local))
		return TRUE;
	if (!g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
		if (local->domain == G_IO_ERROR) {
			g_propagate_prefixed_error(error, g_steal_pointer(&local), "%s: ", path);
			return FALSE;
		}
		if (rename(path, broken) != 0)
			return ash_throw_errno(error, "renaming %s", path);
		*out_warning = g_strdup_printf(
				"%s was broken and is put aside: %s", path, local->message);
	}
	*out_member = ash_fleet_member_new();
	return TRUE;
}

gboolean ash_fleet_member_save(
		const char *root, const AshFleetMember *member, char **inout_last, GError **error)
{
	g_autofree char *path = store_path(root);
	g_autofree char *text = ash_fleet_member_format(member, false);
	g_autofree char *whole = ash_fleet_member_format(member, true);

	if (g_strcmp0(*inout_last, text) == 0)
		return TRUE;
	if (!ash_file_replace(AT_FDCWD, path, whole, strlen(whole), 0600, error))
		return FALSE;
	g_free(*inout_last);
	*inout_last = g_steal_pointer(&text);
	return TRUE;
}
