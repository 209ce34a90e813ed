/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/workload/net-apply.h"
#include "agent/workload/net-state.h"
#include "agent/workload/net-table.h"
#include "agent/workload/net-wire.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/json.h"

enum {
	MAX_REPORTED = 1000,
};

typedef struct {
	const char *root;
	AshNetPlan *plan;
	AshNetView *home;
	JsonBuilder *builder;
	unsigned count;
} Report;

static void say(Report *report, const char *kind, const char *where, const char *change,
		const char *what)
{
	if (report->count++ >= MAX_REPORTED)
		return;
	json_builder_begin_object(report->builder);
	ash_json_add_text(report->builder, "kind", kind);
	ash_json_add_text(report->builder, "where", where);
	ash_json_add_text(report->builder, "change", change);
	ash_json_add_text(report->builder, "what", what);
	json_builder_end_object(report->builder);
}

/* ---- rules ---- */

/* How often each line is there, with the table and the chain or set that it stands in. */
static GHashTable *count_lines(const char *text)
{
	g_autoptr(GHashTable) counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_autofree char *table = g_strdup(""), *part = g_strdup("");

	for (char **line = lines; *line; line++) {
		size_t depth = strspn(*line, "\t");
		const char *words = *line + depth;
		if (*words == '\0' || *words == '}')
			continue;
		if (depth < 2 && g_str_has_suffix(words, " {")) {
			char **slot = depth == 0 ? &table : &part;
			g_free(*slot);
			*slot = g_strndup(words, strlen(words) - 2);
			if (depth == 0)
				*part = '\0';
		}
		char *key = g_strdup_printf("%s: %s: %s", table, part, words);
		gsize count = GPOINTER_TO_SIZE(g_hash_table_lookup(counts, key));
		g_hash_table_replace(counts, key, GSIZE_TO_POINTER(count + 1));
	}
	return g_steal_pointer(&counts);
}

static void compare(Report *report, const char *where, GHashTable *these, GHashTable *those,
		const char *change)
{
	g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(these), (GCompareFunc) strcmp);

	for (GList *at = keys; at; at = at->next) {
		gsize here = GPOINTER_TO_SIZE(g_hash_table_lookup(these, at->data));
		gsize there = GPOINTER_TO_SIZE(g_hash_table_lookup(those, at->data));
		if (here > there)
			say(report, "rule", where, change, at->data);
	}
}

static gboolean check_rules(Report *report, const char *where, GError **error)
{
	g_autofree char *note = g_strconcat("listing-", where, NULL);
	g_autofree char *listing = NULL, *now = NULL;

	if (!ash_net_note_load(report->root, note, &listing, error) ||
			!ash_net_table_list(&now, error))
		return FALSE;
	if (!listing && report->plan->wires->len == 0 && *now == '\0')
		return TRUE;
	if (!listing) {
		say(report, "rule", where, "differs", "the last change was not finished");
		return TRUE;
	}
	if (strcmp(listing, now) == 0)
		return TRUE;
	g_autoptr(GHashTable) before = count_lines(listing), after = count_lines(now);
	unsigned count = report->count;
	compare(report, where, before, after, "removed");
	compare(report, where, after, before, "added");
	if (report->count == count)
		say(report, "rule", where, "differs", "the order of rules");
	return TRUE;
}

/* ---- links ---- */

static bool is_of_plan(const Report *report, unsigned space, const char *name)
{
	for (unsigned i = 0; i < report->plan->wires->len; i++) {
		const AshNetWire *wire = g_ptr_array_index(report->plan->wires, i);
		if (wire->space == space && strcmp(wire->interface, name) == 0)
			return true;
	}
	for (unsigned i = 0; i < report->plan->bridges->len; i++) {
		const AshNetBridge *bridge = g_ptr_array_index(report->plan->bridges, i);
		if (strcmp(bridge->interface, name) == 0)
			return true;
	}
	return false;
}

static gboolean check_wire(
		Report *report, const AshNetWire *wire, const AshNetView *view, GError **error)
{
	const char *who = wire->wanted->instance;
	g_autofree char *path = ash_net_space_path(report->root, who);
	g_autofree char *outside = ash_net_wire_fault(report->plan, wire, view), *inside = NULL;

	if (!ash_net_wire_fault_inside(wire, path, &inside, error))
		return FALSE;
	if (outside)
		say(report, "link", who, "differs", outside);
	if (inside)
		say(report, "link", who, "differs", inside);
	return TRUE;
}

static gboolean check_links(Report *report, unsigned space, const char *where,
		const AshNetView *view, GError **error)
{
	GHashTableIter iter;
	gpointer name;

	for (unsigned i = 0; i < report->plan->wires->len; i++) {
		const AshNetWire *wire = g_ptr_array_index(report->plan->wires, i);
		if (wire->space == space && !check_wire(report, wire, view, error))
			return FALSE;
	}
	for (unsigned i = 0; space == 0 && i < report->plan->bridges->len; i++) {
		g_autofree char *fault = ash_net_bridge_fault(
				report->plan, g_ptr_array_index(report->plan->bridges, i), view);
		if (fault)
			say(report, "link", where, "differs", fault);
	}
	g_hash_table_iter_init(&iter, view->devices);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		if (g_str_has_prefix(name, ASH_NET_PREFIX) && !is_of_plan(report, space, name))
			say(report, "link", where, "added", name);
	return TRUE;
}

static gboolean check_inside_space(Report *report, unsigned space, const char *where,
		const AshNetView *view, GError **error)
{
	g_autofree char *forwards = NULL;

	if (!check_rules(report, where, error))
		return FALSE;
	if (space == 0 && !ash_net_plan_forwards(report->plan))
		return TRUE;
	if (!g_file_get_contents("/proc/sys/net/ipv4/ip_forward", &forwards, NULL, error))
		return FALSE;
	if (forwards[0] != '1')
		say(report, "setting", where, "differs", "net.ipv4.ip_forward is 0");
	return TRUE;
}

static gboolean check_space(Report *report, unsigned number, GError **error)
{
	const AshNetSpace *space = g_ptr_array_index(report->plan->spaces, number);
	const char *where = space->owner ? space->owner->wanted->instance : "host";
	g_autofree char *path = space->owner ? ash_net_space_path(report->root, where) : NULL;
	g_autoptr(AshNetView) view = NULL;

	if (path && !ash_net_space_is(path)) {
		say(report, "namespace", where, "removed",
				"with the wires of who it is the way out");
		return TRUE;
	}
	if (!ash_net_view_open(path, &view, error) ||
			!check_links(report, number, where, view, error) ||
			!ash_net_place_enter(view->place, error))
		return FALSE;
	gboolean is_done = check_inside_space(report, number, where, view, error);
	return ash_net_place_enter(report->home->place, is_done ? error : NULL) && is_done;
}

static void check_namespaces(Report *report)
{
	g_autofree char *directory = g_strconcat(report->root, ASH_NET_NAMESPACES, NULL);
	g_autoptr(GDir) entries = g_dir_open(directory, 0, NULL);

	for (const char *name; entries && (name = g_dir_read_name(entries));)
		if (!ash_net_plan_find(report->plan, name))
			say(report, "namespace", name, "added", "nobody wants it");
}

static gboolean check_all(Report *report, GError **error)
{
	json_builder_begin_object(report->builder);
	ash_json_begin_array(report->builder, "drift");
	for (unsigned i = 0; i < report->plan->spaces->len; i++)
		if (!check_space(report, i, error))
			return FALSE;
	check_namespaces(report);
	json_builder_end_array(report->builder);
	json_builder_end_object(report->builder);
	return TRUE;
}

gboolean ash_net_drift(const char *root, char **out_json, bool *out_is_drift, GError **error)
{
	g_autoptr(AshNetSettings) settings = NULL;
	g_autoptr(AshNetState) state = NULL;
	g_autoptr(AshNetPlan) plan = NULL;
	g_autoptr(AshNetView) home = NULL;
	g_autoptr(JsonBuilder) builder = json_builder_new();
	ash_autofd int lock = -1;

	if (!ash_net_lock(root, &lock, error) || !ash_net_settings_load(root, &settings, error) ||
			!ash_net_state_load(root, &state, error) ||
			!ash_net_state_plan(root, state, state->net, settings, &plan, error) ||
			!ash_net_view_open(NULL, &home, error))
		return FALSE;
	Report report = {root, plan, home, builder, 0};
	if (!check_all(&report, error))
		return FALSE;
	*out_json = ash_json_format(builder, false);
	*out_is_drift = report.count > 0;
	return TRUE;
}
