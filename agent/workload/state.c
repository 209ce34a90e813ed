/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/state.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#include "agent/workload/launch.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_state_error_quark, ash_state_error)

enum {
	FORMAT = 1,
	MAX_DEPTH = 8,
};

AshState *ash_state_new(void)
{
	AshState *state = g_new0(AshState, 1);

	state->machines = g_ptr_array_new_with_free_func((GDestroyNotify) ash_machine_free);
	state->uids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	return state;
}

void ash_state_free(AshState *state)
{
	if (state == NULL)
		return;
	g_ptr_array_unref(state->machines);
	g_hash_table_unref(state->uids);
	g_free(state);
}

AshMachine *ash_state_find(const AshState *state, const char *name)
{
	for (guint i = 0; i < state->machines->len; i++) {
		AshMachine *machine = state->machines->pdata[i];
		if (strcmp(machine->name, name) == 0)
			return machine;
	}
	return NULL;
}

void ash_state_remove(AshState *state, AshMachine *machine)
{
	gboolean found = g_ptr_array_remove(state->machines, machine);

	g_assert(found);
}

/* ---- users ---- */

static bool is_taken(const AshState *state, uint32_t base)
{
	GHashTableIter iter;
	gpointer value = NULL;

	g_hash_table_iter_init(&iter, state->uids);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		if (GPOINTER_TO_UINT(value) == base)
			return true;
	return false;
}

gboolean ash_state_uid_base(
		AshState *state, const char *instance, uint32_t *out_base, GError **error)
{
	gpointer known = g_hash_table_lookup(state->uids, instance);

	if (known != NULL) {
		*out_base = GPOINTER_TO_UINT(known);
		return TRUE;
	}
	g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
	GHashTableIter iter;
	gpointer value = NULL;
	g_hash_table_iter_init(&iter, state->uids);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		g_hash_table_add(taken, value);
	for (uint32_t base = ASH_STATE_FIRST_UID; base <= ASH_STATE_LAST_UID;
			base += ASH_LAUNCH_UIDS) {
		if (g_hash_table_contains(taken, GUINT_TO_POINTER(base)))
			continue;
		g_hash_table_insert(state->uids, g_strdup(instance), GUINT_TO_POINTER(base));
		*out_base = base;
		return TRUE;
	}
	return ash_throw(error, ASH_STATE_ERROR, ASH_STATE_ERROR_FULL,
			"no range of users is left for '%s': %u instances have one; 'ashlarctl workload remove --volumes' gives one back",
			instance, g_hash_table_size(state->uids));
}

/* ---- text ---- */

static int compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(a, b);
}

char *ash_state_format(const AshState *state)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(state->uids), compare_texts);

	json_builder_begin_object(builder);
	ash_json_add_int(builder, "format", FORMAT);
	ash_json_begin_array(builder, "uids");
	for (GList *i = names; i != NULL; i = i->next) {
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "instance", i->data);
		ash_json_add_uint(builder, "base",
				GPOINTER_TO_UINT(g_hash_table_lookup(state->uids, i->data)));
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	ash_json_begin_array(builder, "workloads");
	for (guint i = 0; i < state->machines->len; i++)
		ash_machine_add_json(state->machines->pdata[i], builder);
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, true);
}

static gboolean refuse(GError **error, const char *what)
{
	return ash_throw(error, ASH_STATE_ERROR, ASH_STATE_ERROR_SYNTAX, "'%s' is not valid", what);
}

static gboolean read_uids(JsonObject *root, AshState *state, GError **error)
{
	JsonArray *array = NULL;

	if (!ash_json_array(root, "uids", &array, error))
		return FALSE;
	if (json_array_get_length(array) > ASH_STATE_MAX_UIDS)
		return refuse(error, "uids");
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		const char *instance = NULL;
		uint64_t base = 0;
		if (!JSON_NODE_HOLDS_OBJECT(node))
			return refuse(error, "uids");
		JsonObject *item = json_node_get_object(node);
		if (!ash_json_text(item, "instance", &instance, error) ||
				!ash_json_uint(item, "base", ASH_STATE_LAST_UID, &base, error))
			return FALSE;
		if (base < ASH_STATE_FIRST_UID || base % ASH_LAUNCH_UIDS != 0 ||
				is_taken(state, (uint32_t) base))
			return refuse(error, "base");
		g_hash_table_insert(
				state->uids, g_strdup(instance), GUINT_TO_POINTER((guint) base));
	}
	return TRUE;
}

gboolean ash_state_parse(GBytes *text, AshState **out_state, GError **error)
{
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshState) state = ash_state_new();
	JsonArray *array = NULL;
	uint64_t format = 0;

	if (!ash_json_parse(text, ASH_STATE_MAX_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return refuse(error, "state");
	JsonObject *root = json_node_get_object(node);
	if (!ash_json_uint(root, "format", FORMAT, &format, error) ||
			!read_uids(root, state, error) ||
			!ash_json_array(root, "workloads", &array, error))
		return FALSE;
	if (format != FORMAT)
		return refuse(error, "format");
	if (json_array_get_length(array) > ASH_STATE_MAX_WORKLOADS)
		return refuse(error, "workloads");
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *item = json_array_get_element(array, i);
		AshMachine *machine = NULL;
		if (!JSON_NODE_HOLDS_OBJECT(item))
			return refuse(error, "workloads");
		if (!ash_machine_read_json(json_node_get_object(item), &machine, error))
			return FALSE;
		bool is_double = ash_state_find(state, machine->name) != NULL;
		g_ptr_array_add(state->machines, machine);
		if (is_double)
			return refuse(error, "name");
	}
	*out_state = g_steal_pointer(&state);
	return TRUE;
}

/* ---- disk ---- */

gboolean ash_state_load(const char *root, AshState **out_state, char **out_warning, GError **error)
{
	g_autofree char *path = g_build_filename(root, ASH_STATE_FILE, NULL);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(GError) local = NULL;

	*out_warning = NULL;
	if (!ash_file_read(AT_FDCWD, path, ASH_STATE_MAX_BYTES, &text, &local)) {
		if (g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
			*out_state = ash_state_new();
			return TRUE;
		}
		if (!g_error_matches(local, ASH_FILE_ERROR, ASH_FILE_ERROR_TOO_BIG)) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
	} else if (ash_state_parse(text, out_state, &local)) {
		return TRUE;
	}
	g_autofree char *aside = g_strconcat(path, ".broken", NULL);
	if (rename(path, aside) < 0)
		return ash_throw_errno(error, "putting %s aside", path);
	*out_warning = g_strdup_printf(
			"%s cannot be read (%s) and was put aside as %s; all versions begin anew",
			path, local->message, aside);
	*out_state = ash_state_new();
	return TRUE;
}

gboolean ash_state_save(const char *root, const AshState *state, char **saved, GError **error)
{
	g_autofree char *path = g_build_filename(root, ASH_STATE_FILE, NULL);
	g_autofree char *text = ash_state_format(state);

	if (g_strcmp0(text, *saved) == 0)
		return TRUE;
	if (!ash_file_replace(AT_FDCWD, path, text, strlen(text), 0600, error))
		return FALSE;
	g_free(*saved);
	*saved = g_steal_pointer(&text);
	return TRUE;
}
