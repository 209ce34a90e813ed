/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/desired.h"
#include "fleet/event.h"
#include "lib/json.h"
#include "lib/target.h"

enum {
	MAX_LIST_BYTES = 64 << 10,
	MAX_DEPTH = 12,
};

/* ---- reading ------------------------------------------------------------------------------------- */

static char *replaces_min_of(const char *document)
{
	g_autoptr(GBytes) json = g_bytes_new_static(document, strlen(document));
	g_autoptr(AshRelease) release = NULL;

	/* It was checked when it was added; one that is not understood any more says nothing here, and the host
	 * judges by itself. */
	if (!ash_release_parse(json, &release, NULL))
		return g_strdup("");
	return g_strdup(release->replaces_min);
}

static gboolean add_release(const AshDbRow *row, gpointer data, GError **error)
{
	g_autofree char *replaces_min = replaces_min_of(ash_db_row_text(row, 9));

	ash_desired_book_add_release(
			data, &(AshDesiredRelease){.id = ash_db_row_int(row, 0),
					      .name = ash_db_row_text(row, 1),
					      .variant = ash_db_row_text(row, 2),
					      .arch = ash_db_row_text(row, 3),
					      .version = ash_db_row_text(row, 4),
					      .commit = ash_db_row_text(row, 5),
					      .is_barrier = ash_db_row_int(row, 6) != 0,
					      .dead_end = ash_db_row_text(row, 7),
					      .withdrawn = ash_db_row_text(row, 8),
					      .replaces_min = replaces_min});
	return TRUE;
}

static gboolean add_channel(const AshDbRow *row, gpointer data, GError **error)
{
	ash_desired_book_add_channel(data, ash_db_row_text(row, 0), ash_db_row_int(row, 1));
	return TRUE;
}

/* The texts of a JSON array; empty for anything else. */
static char **texts_of(JsonNode *node)
{
	g_autoptr(GStrvBuilder) texts = g_strv_builder_new();

	if (node != NULL && JSON_NODE_HOLDS_ARRAY(node)) {
		JsonArray *array = json_node_get_array(node);
		for (unsigned i = 0; i < json_array_get_length(array); i++) {
			JsonNode *element = json_array_get_element(array, i);
			if (JSON_NODE_HOLDS_VALUE(element) &&
					json_node_get_value_type(element) == G_TYPE_STRING)
				g_strv_builder_add(texts, json_node_get_string(element));
		}
	}
	return g_strv_builder_end(texts);
}

static JsonNode *parse(const char *text)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	JsonNode *node = NULL;

	return ash_json_parse(bytes, MAX_LIST_BYTES, MAX_DEPTH, &node, NULL) ? node : NULL;
}

static gboolean add_policy(const AshDbRow *row, gpointer data, GError **error)
{
	g_autoptr(JsonNode) node = parse(ash_db_row_text(row, 3));
	g_auto(GStrv) windows = texts_of(node);
	g_autoptr(GError) refused = NULL;

	/* One that cannot be read any more must not take the fleet down. */
	if (!ash_desired_book_add_policy(data, ash_db_row_text(row, 0), ash_db_row_int(row, 1),
			    ash_db_row_text(row, 2), (const char *const *) windows,
			    ash_db_row_int(row, 4), &refused))
		g_warning("policy '%s' is not followed: %s", ash_db_row_text(row, 0),
				refused->message);
	return TRUE;
}

static gboolean add_rollout(const AshDbRow *row, gpointer data, GError **error)
{
	g_autoptr(JsonNode) node = parse(ash_db_row_text(row, 1));

	if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node))
		return TRUE;
	g_auto(GStrv) windows =
			texts_of(json_object_get_member(json_node_get_object(node), "windows"));
	ash_desired_book_add_rollout(data, ash_db_row_text(row, 0), (const char *const *) windows);
	return TRUE;
}

gboolean ash_desired_book_load(AshDb *db, AshDesiredBook **out_book, GError **error)
{
	g_autoptr(AshDesiredBook) book = ash_desired_book_new();
	AshAssignmentBook *assignments = NULL;

	if (!ash_assignment_book_load(db, &assignments, error))
		return FALSE;
	ash_desired_book_take_assignments(book, assignments);
	if (!ash_db_query(db,
			    "SELECT id, name, variant, arch, version, \"commit\", is_barrier, "
			    "dead_end, withdrawn, document FROM release",
			    NULL, add_release, book, error) ||
			!ash_db_query(db, "SELECT name, release FROM channel", NULL, add_channel,
					book, error) ||
			!ash_db_query(db,
					"SELECT name, rank, selector, windows, poll_s FROM policy",
					NULL, add_policy, book, error) ||
			!ash_db_query(db,
					"SELECT id, spec FROM rollout WHERE state IN ('running', "
					"'paused', 'halted', 'reverting', 'starting')",
					NULL, add_rollout, book, error))
		return FALSE;
	*out_book = g_steal_pointer(&book);
	return TRUE;
}

/* ---- writing ------------------------------------------------------------------------------------- */

static char *event_data(int64_t desired, const AshDesiredWant *want)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_int(builder, "desired", desired);
	ash_json_add_int(builder, "release", want->release);
	ash_json_add_text(builder, "verb", want->verb);
	ash_json_add_text(builder, "rollout", want->rollout);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

gboolean ash_desired_write(AshDb *db, const char *host, const AshDesiredWant *want, int64_t now_s,
		bool *out_changed, GError **error)
{
	int64_t desired = 0;
	bool is_changed = false;

	if (!ash_db_query_int(db,
			    "UPDATE host SET desired = desired + 1, release = $2, rollout = $3, "
			    "verb = $4, by_hand = $5 WHERE id = $1 AND (release <> $2 OR rollout <> "
			    "$3 OR verb <> $4 OR by_hand <> $5) RETURNING desired",
			    ASH_DB_VALUES(ASH_DB_T(host), ASH_DB_I(want->release),
					    ASH_DB_T(want->rollout), ASH_DB_T(want->verb),
					    ASH_DB_I(want->is_by_hand)),
			    &is_changed, &desired, error))
		return FALSE;
	if (is_changed) {
		g_autofree char *data = event_data(desired, want);
		if (!ash_event_append(db,
				    &(AshEvent){.at_s = now_s,
						    .kind = "host.desired",
						    .host = host,
						    .rollout = want->rollout,
						    .actor = want->actor,
						    .text = want->text,
						    .data = data},
				    error))
			return FALSE;
	}
	*out_changed = is_changed;
	return TRUE;
}
