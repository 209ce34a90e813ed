/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/net-apply.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/workload/net-state.h"
#include "agent/workload/net-table.h"
#include "agent/workload/net-wire.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

/* Notes of this boot: the text of the rules that a space was given, and how the kernel lists them. */
#define NOTE_TEXT "text-"
#define NOTE_LISTING "listing-"
#define NOTE_ROUTER "router"
#define HOST "host"

typedef struct {
	const char *root;
	const AshNetPlan *plan;
	AshNetView *home;
	GPtrArray *views; /* AshNetView of each space, by its number; NULL while it is not there */
	GHashTable *remade; /* wires, by pointer */
	bool is_thorough, is_router;
} Work;

static void free_view(gpointer data)
{
	ash_net_view_free(data);
}

static const char *space_name(const Work *work, unsigned number)
{
	const AshNetSpace *space = g_ptr_array_index(work->plan->spaces, number);

	return space->owner ? space->owner->wanted->instance : HOST;
}

/* The view of a space; the host's is there from the beginning. */
static gboolean open_space(Work *work, unsigned number, AshNetView **out_view, GError **error)
{
	g_autofree char *path = ash_net_space_path(work->root, space_name(work, number));
	AshNetView *view = number == 0 ? work->home : g_ptr_array_index(work->views, number);

	if (!view) {
		if (!ash_net_view_open(path, &view, error))
			return FALSE;
		g_ptr_array_index(work->views, number) = view;
	}
	*out_view = view;
	return TRUE;
}

/* ---- what has to go ---- */

static bool is_wanted_device(const AshNetPlan *plan, unsigned space, const char *name)
{
	for (unsigned i = 0; i < plan->wires->len; i++) {
		const AshNetWire *wire = g_ptr_array_index(plan->wires, i);
		if (wire->space == space && strcmp(wire->interface, name) == 0)
			return true;
	}
	for (unsigned i = 0; space == 0 && i < plan->bridges->len; i++) {
		const AshNetBridge *bridge = g_ptr_array_index(plan->bridges, i);
		if (strcmp(bridge->interface, name) == 0)
			return true;
	}
	return false;
}

static gboolean remove_devices(
		const AshNetPlan *plan, unsigned space, AshNetView *view, GError **error)
{
	GHashTableIter iter;
	gpointer name;

	g_hash_table_iter_init(&iter, view->devices);
	while (g_hash_table_iter_next(&iter, &name, NULL)) {
		if (!g_str_has_prefix(name, ASH_NET_PREFIX) ||
				(plan && is_wanted_device(plan, space, name)))
			continue;
		if (!ash_net_device_remove(view->place, name, error))
			return FALSE;
		g_hash_table_iter_remove(&iter);
	}
	return TRUE;
}

static gboolean remove_spaces(const char *root, const AshNetPlan *plan, GError **error)
{
	g_autofree char *directory = g_strconcat(root, ASH_NET_NAMESPACES, NULL);
	g_autoptr(GDir) entries = g_dir_open(directory, 0, NULL);

	for (const char *name; entries && (name = g_dir_read_name(entries));) {
		g_autofree char *path = ash_net_space_path(root, name);
		if (plan && ash_net_plan_find(plan, name))
			continue;
		if (!ash_net_space_remove(path, error))
			return FALSE;
	}
	return TRUE;
}

static bool is_space(const AshNetPlan *plan, const char *name)
{
	const AshNetWire *wire = plan ? ash_net_plan_find(plan, name) : NULL;

	return strcmp(name, HOST) == 0 || (wire && ash_net_plan_space_of(plan, wire) != 0);
}

/* A namespace that stays and provides no more: rules, wires and forwarding go. */
static gboolean retire_space(const Work *work, const char *name, GError **error)
{
	g_autofree char *path = ash_net_space_path(work->root, name);
	g_autofree char *text = g_strconcat(NOTE_TEXT, name, NULL);
	g_autofree char *listing = g_strconcat(NOTE_LISTING, name, NULL);
	g_autoptr(AshNetView) view = NULL;

	if (ash_net_space_is(path)) {
		g_autofree char *none = ash_net_rules_none();
		if (!ash_net_view_open(path, &view, error) ||
				!remove_devices(NULL, 0, view, error) ||
				!ash_net_place_enter(view->place, error))
			return FALSE;
		gboolean is_done = ash_net_table_run(none, error) &&
				   ash_net_sysctl("0", error, "ipv4/ip_forward");
		if (!ash_net_place_enter(work->home->place, is_done ? error : NULL) || !is_done)
			return FALSE;
	}
	return ash_net_note_save(work->root, listing, NULL, error) &&
	       ash_net_note_save(work->root, text, NULL, error);
}

static gboolean retire_spaces(const Work *work, GError **error)
{
	g_autofree char *directory = g_strconcat(work->root, ASH_NET_NOTES, NULL);
	g_autoptr(GDir) entries = g_dir_open(directory, 0, NULL);

	for (const char *name; entries && (name = g_dir_read_name(entries));) {
		if (!g_str_has_prefix(name, NOTE_TEXT) ||
				is_space(work->plan, name + strlen(NOTE_TEXT)))
			continue;
		if (!retire_space(work, name + strlen(NOTE_TEXT), error))
			return FALSE;
	}
	return TRUE;
}

/* ---- what has to be there ---- */

static gboolean make_bridges(Work *work, GError **error)
{
	for (unsigned i = 0; i < work->plan->bridges->len; i++) {
		const AshNetBridge *bridge = g_ptr_array_index(work->plan->bridges, i);
		g_autofree char *fault = ash_net_bridge_fault(work->plan, bridge, work->home);
		if (!fault && !ash_net_set_loopback(bridge->interface, bridge->has_loopback, error))
			return FALSE;
		if (!fault)
			continue;
		/* Nobody but the gateway may answer before the rules are there; there are no ports yet. */
		if (!ash_net_bridge_make(
				    work->home->place, bridge->interface, bridge->mac, error) ||
				!ash_net_bridge_start(work->plan, bridge, work->home->place, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean is_wire_right(Work *work, const AshNetWire *wire, const char *path,
		const AshNetView *outer, bool *out_is_right, GError **error)
{
	g_autofree char *fault = ash_net_wire_fault(work->plan, wire, outer);

	if (!fault && !ash_net_space_is(path))
		fault = g_strdup("no namespace");
	if (!fault && work->is_thorough && !ash_net_wire_fault_inside(wire, path, &fault, error))
		return FALSE;
	*out_is_right = fault == NULL;
	return TRUE;
}

static gboolean make_wires(Work *work, GError **error)
{
	for (unsigned i = 0; i < work->plan->wires->len; i++) {
		const AshNetWire *wire = g_ptr_array_index(work->plan->wires, i);
		g_autofree char *path = ash_net_space_path(work->root, wire->wanted->instance);
		bool is_provider = ash_net_plan_space_of(work->plan, wire) != 0, is_right;
		AshNetView *outer;

		if (!open_space(work, wire->space, &outer, error) ||
				!is_wire_right(work, wire, path, outer, &is_right, error))
			return FALSE;
		if (is_right)
			continue;
		if (!ash_net_wire_make(wire, path, is_provider, outer, work->home->place, error))
			return FALSE;
		g_hash_table_add(work->remade, g_ptr_array_index(work->plan->wires, i));
	}
	return TRUE;
}

/* ---- rules ---- */

static bool is_any_remade(const Work *work, unsigned space)
{
	GHashTableIter iter;
	gpointer wire;

	g_hash_table_iter_init(&iter, work->remade);
	while (g_hash_table_iter_next(&iter, &wire, NULL))
		if (((const AshNetWire *) wire)->space == space)
			return true;
	return false;
}

/* Are the rules of @space, in which this process is, what they would be made to be? Then they stay, and
 * what they have counted with them.
 */
static gboolean are_rules_right(const Work *work, unsigned space, const char *text,
		bool *out_are_right, GError **error)
{
	const char *name = space_name(work, space);
	g_autofree char *text_note = g_strconcat(NOTE_TEXT, name, NULL);
	g_autofree char *listing_note = g_strconcat(NOTE_LISTING, name, NULL);
	g_autofree char *old = NULL, *listing = NULL, *now = NULL;

	*out_are_right = false;
	if (!ash_net_note_load(work->root, text_note, &old, error))
		return FALSE;
	if (is_any_remade(work, space) || g_strcmp0(old, text) != 0)
		return TRUE;
	if (!ash_net_note_load(work->root, listing_note, &listing, error) ||
			!ash_net_table_list(&now, error))
		return FALSE;
	*out_are_right = g_strcmp0(listing, now) == 0;
	return TRUE;
}

/* 1. the note that this space has rules, and which; 2. the rules; 3. how the kernel lists them. */
static gboolean change_rules(const Work *work, unsigned space, const char *text, GError **error)
{
	const char *name = space_name(work, space);
	g_autofree char *text_note = g_strconcat(NOTE_TEXT, name, NULL);
	g_autofree char *listing_note = g_strconcat(NOTE_LISTING, name, NULL);
	g_autoptr(GHashTable) kept = NULL;
	g_autofree char *full = NULL, *listing = NULL;

	if (!ash_net_note_save(work->root, listing_note, NULL, error) ||
			!ash_net_note_save(work->root, text_note, text, error))
		return FALSE;
	if (strstr(text, "set name_") && !ash_net_table_names(&kept, error))
		return FALSE;
	if (kept && g_hash_table_size(kept) > 0)
		full = ash_net_rules(work->plan, space, kept, work->is_router);
	return ash_net_table_run(full ? full : text, error) &&
	       ash_net_table_list(&listing, error) &&
	       ash_net_note_save(work->root, listing_note, listing, error);
}

static gboolean set_rules(const Work *work, unsigned space, GError **error)
{
	g_autofree char *text = work->plan->wires->len == 0 ? ash_net_rules_none()
							    : ash_net_rules(work->plan, space, NULL,
									      work->is_router);
	bool are_right;

	if (!are_rules_right(work, space, text, &are_right, error))
		return FALSE;
	return are_right || change_rules(work, space, text, error);
}

static gboolean start_wires(
		const Work *work, unsigned space, const AshNetView *view, GError **error)
{
	for (unsigned i = 0; i < work->plan->wires->len; i++) {
		const AshNetWire *wire = g_ptr_array_index(work->plan->wires, i);
		bool is_remade = g_hash_table_contains(work->remade, wire);

		if (wire->space != space)
			continue;
		if (is_remade && !ash_net_wire_start(work->plan, wire, view->place, error))
			return FALSE;
		if (!is_remade && !*wire->bridge &&
				!ash_net_set_loopback(wire->interface, wire->has_loopback, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean do_space(const Work *work, unsigned space, const AshNetView *view, GError **error)
{
	ASH_PREFIX("%s", space_name(work, space));

	if (space != 0 && !ash_net_sysctl("1", error, "ipv4/ip_forward"))
		return FALSE;
	return set_rules(work, space, error) && start_wires(work, space, view, error);
}

/* Providers first: what is behind them comes up when they are ready. */
static gboolean do_spaces(Work *work, GError **error)
{
	for (unsigned space = 0; space < work->plan->spaces->len; space++) {
		AshNetView *view;
		if (!open_space(work, space, &view, error) ||
				!remove_devices(work->plan, space, view, error) ||
				!ash_net_place_enter(view->place, error))
			return FALSE;
		gboolean is_done = do_space(work, space, view, error);
		if (!ash_net_place_enter(work->home->place, is_done ? error : NULL) || !is_done)
			return FALSE;
	}
	return TRUE;
}

/* ---- forwarding ---- */

#define IP_FORWARD "/proc/sys/net/ipv4/ip_forward"

/* How the host was before there were workloads. */
static gboolean read_router(Work *work, GError **error)
{
	g_autofree char *note = NULL, *now = NULL;

	if (!ash_net_note_load(work->root, NOTE_ROUTER, &note, error))
		return FALSE;
	if (!note && !g_file_get_contents(IP_FORWARD, &now, NULL, error))
		return FALSE;
	work->is_router = (note ? note : now)[0] == '1';
	return TRUE;
}

static gboolean set_forwarding(const Work *work, bool forwards, GError **error)
{
	if (forwards)
		return ash_net_note_save(work->root, NOTE_ROUTER, work->is_router ? "1" : "0",
				       error) &&
		       ash_net_sysctl("1", error, "ipv4/ip_forward");
	g_autofree char *note = NULL;
	if (!ash_net_note_load(work->root, NOTE_ROUTER, &note, error))
		return FALSE;
	if (!note)
		return TRUE;
	if (!work->is_router && !ash_net_sysctl("0", error, "ipv4/ip_forward"))
		return FALSE;
	return ash_net_note_save(work->root, NOTE_ROUTER, NULL, error);
}

/* ---- all ---- */

static gboolean carry_out(Work *work, GError **error)
{
	g_autofree char *directory = g_strconcat(work->root, ASH_NET_NAMESPACES, NULL);

	if (!ash_file_ensure_dir(AT_FDCWD, directory, 0755, error))
		return FALSE;
	/* 1. What is not wanted any more loses its way out, before others may get its address. */
	if (!remove_devices(work->plan, 0, work->home, error) || !retire_spaces(work, error) ||
			!remove_spaces(work->root, work->plan, error))
		return FALSE;
	/* 2. New wires, whose outer ends are down. */
	if (!make_bridges(work, error) || !make_wires(work, error))
		return FALSE;
	/* 3. The rules, in one transaction a space, and the outer ends. */
	if (!do_spaces(work, error))
		return FALSE;
	/* 4. Only then is anything forwarded. */
	return set_forwarding(work, ash_net_plan_forwards(work->plan), error);
}

static gboolean begin_work(const char *root, const AshNetPlan *plan, Work *work, GError **error)
{
	work->root = root;
	work->plan = plan;
	return ash_net_view_open(NULL, &work->home, error) && read_router(work, error);
}

static void end_work(Work *work)
{
	ash_net_view_free(work->home);
	g_clear_pointer(&work->views, g_ptr_array_unref);
	g_clear_pointer(&work->remade, g_hash_table_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Work, end_work)

gboolean ash_net_apply(const char *root, const AshNet *net, bool is_thorough, GPtrArray **out_links,
		GError **error)
{
	g_autoptr(AshNetSettings) settings = NULL;
	g_autoptr(AshNetState) state = NULL;
	g_autoptr(AshNetPlan) plan = NULL;
	g_auto(Work) work = {0};
	ash_autofd int lock = -1;

	if (!ash_net_lock(root, &lock, error) || !ash_net_settings_load(root, &settings, error) ||
			!ash_net_state_load(root, &state, error))
		return FALSE;
	const AshNet *wanted = net ? net : state->net;
	if (!ash_net_state_plan(root, state, wanted, settings, &plan, error) ||
			!begin_work(root, plan, &work, error))
		return FALSE;
	for (unsigned i = 0; i < plan->wires->len; i++) {
		const AshNetWire *wire = g_ptr_array_index(plan->wires, i);
		if (wire->mode == ASH_NETWORK_BRIDGED &&
				!g_hash_table_contains(work.home->devices, wire->bridge))
			return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_REFUSED,
					"'%s': this host has no bridge '%s'",
					wire->wanted->instance, wire->bridge);
	}
	if (net) {
		g_autofree char *text = ash_net_format(net);
		g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
		AshNet *copy;
		if (!ash_net_parse(bytes, &copy, error))
			return FALSE;
		ash_net_free(state->net);
		state->net = copy;
	}
	if (!ash_net_state_save(root, state, error))
		return FALSE;
	work.views = g_ptr_array_new_with_free_func(free_view);
	g_ptr_array_set_size(work.views, (int) plan->spaces->len);
	work.remade = g_hash_table_new(NULL, NULL);
	work.is_thorough = is_thorough;
	if (!carry_out(&work, error))
		return FALSE;
	*out_links = ash_net_plan_links(plan, state->net);
	return TRUE;
}

gboolean ash_net_clear(const char *root, GError **error)
{
	g_autoptr(AshNet) nothing = ash_net_new();
	g_autofree char *text = g_strconcat(NOTE_TEXT, HOST, NULL);
	g_autofree char *listing = g_strconcat(NOTE_LISTING, HOST, NULL);
	g_autoptr(GPtrArray) links = NULL;

	return ash_net_apply(root, nothing, false, &links, error) &&
	       ash_net_note_save(root, listing, NULL, error) &&
	       ash_net_note_save(root, text, NULL, error);
}
