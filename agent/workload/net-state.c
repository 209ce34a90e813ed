/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/net-state.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

enum {
	MAX_DEPTH = 9,
	MAX_NOTE_BYTES = 64 << 20,
};

void ash_net_state_free(AshNetState *state)
{
	if (!state)
		return;
	ash_net_free(state->net);
	g_ptr_array_unref(state->leases);
	g_free(state);
}

/* NULL: there is no such file. */
static gboolean load_file(const char *path, size_t max_bytes, GBytes **out_text, GError **error)
{
	g_autoptr(GError) problem = NULL;

	if (ash_file_read(AT_FDCWD, path, max_bytes, out_text, &problem))
		return TRUE;
	if (!g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&problem));
		return FALSE;
	}
	*out_text = NULL;
	return TRUE;
}

static gboolean read_lease(JsonObject *item, GPtrArray *leases, GError **error)
{
	const char *instance, *address;
	AshNetRange range;

	if (!ash_json_text(item, "instance", &instance, error) ||
			!ash_json_text(item, "address", &address, error))
		return FALSE;
	if (ash_net_range_find(address, &range))
		ash_net_leases_add(leases, instance, range.address);
	return TRUE;
}

static gboolean read_leases(JsonObject *object, GPtrArray *leases, GError **error)
{
	JsonArray *array;

	if (!ash_json_array(object, "leases", &array, error))
		return FALSE;
	for (unsigned i = 0; i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		if (!JSON_NODE_HOLDS_OBJECT(node))
			return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYNTAX,
					"a lease is no object");
		if (!read_lease(json_node_get_object(node), leases, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean read_state(JsonNode *root, AshNetState *state, GError **error)
{
	const char *document;

	if (!JSON_NODE_HOLDS_OBJECT(root))
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYNTAX, "no object");
	JsonObject *object = json_node_get_object(root);
	if (!read_leases(object, state->leases, error) ||
			!ash_json_text(object, "document", &document, error))
		return FALSE;
	g_autoptr(GBytes) text = g_bytes_new(document, strlen(document));
	AshNet *net;
	/* One that another version took is no reason to do nothing: who has which address is what matters. */
	if (ash_net_parse(text, &net, NULL)) {
		ash_net_free(state->net);
		state->net = net;
	}
	return TRUE;
}

gboolean ash_net_state_load(const char *root, AshNetState **out_state, GError **error)
{
	g_autofree char *path = g_strconcat(root, ASH_NET_STATE, NULL);
	g_autoptr(AshNetState) state = g_new0(AshNetState, 1);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(JsonNode) node = NULL;

	state->net = ash_net_new();
	state->leases = ash_net_leases_new();
	ASH_PREFIX("%s", path);
	if (!load_file(path, ASH_NET_STATE_MAX_BYTES, &text, error))
		return FALSE;
	if (text && (!ash_json_parse(text, ASH_NET_STATE_MAX_BYTES, MAX_DEPTH, &node, error) ||
				    !read_state(node, state, error)))
		return FALSE;
	*out_state = g_steal_pointer(&state);
	return TRUE;
}

gboolean ash_net_state_save(const char *root, const AshNetState *state, GError **error)
{
	g_autofree char *path = g_strconcat(root, ASH_NET_STATE, NULL);
	g_autofree char *directory = g_path_get_dirname(path);
	g_autofree char *document = ash_net_format(state->net);
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autoptr(GBytes) old = NULL;

	json_builder_begin_object(builder);
	ash_json_begin_array(builder, "leases");
	for (unsigned i = 0; i < state->leases->len; i++) {
		const AshNetLease *lease = g_ptr_array_index(state->leases, i);
		g_autofree char *address = ash_net_address_text(lease->address);
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "instance", lease->instance);
		ash_json_add_text(builder, "address", address);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	ash_json_add_text(builder, "document", document);
	json_builder_end_object(builder);
	g_autofree char *text = ash_json_format(builder, false);
	/* Nothing to write, and to wait for, when it is the same. */
	if (load_file(path, ASH_NET_STATE_MAX_BYTES, &old, NULL) && old &&
			g_bytes_get_size(old) == strlen(text) &&
			memcmp(g_bytes_get_data(old, NULL), text, strlen(text)) == 0)
		return TRUE;
	return ash_file_ensure_dir(AT_FDCWD, directory, 0700, error) &&
	       ash_file_replace(AT_FDCWD, path, text, strlen(text), 0600, error);
}

gboolean ash_net_settings_load(const char *root, AshNetSettings **out_settings, GError **error)
{
	g_autofree char *path = g_strconcat(root, ASH_NET_SETTINGS, NULL);
	g_autoptr(GBytes) text = NULL;

	return load_file(path, ASH_NET_SETTINGS_MAX_BYTES, &text, error) &&
	       ash_net_settings_parse(ASH_NET_SETTINGS, text, out_settings, error);
}

gboolean ash_net_state_plan(const char *root, AshNetState *state, const AshNet *net,
		const AshNetSettings *settings, AshNetPlan **out_plan, GError **error)
{
	g_autofree char *path = g_strconcat(root, "/etc/machine-id", NULL), *machine = NULL;
	g_autofree uint32_t *addresses = NULL;
	g_autoptr(GPtrArray) names = g_ptr_array_new();

	if (!g_file_get_contents(path, &machine, NULL, NULL))
		machine = g_strdup("");
	for (unsigned i = 0; i < net->instances->len; i++) {
		const AshNetInstance *instance = g_ptr_array_index(net->instances, i);
		g_ptr_array_add(names, instance->instance);
	}
	g_ptr_array_add(names, NULL);
	return ash_net_assign(&settings->range, state->leases, (const char *const *) names->pdata,
			       &addresses, error) &&
	       ash_net_plan_new(net, settings, addresses, g_strchomp(machine), out_plan, error);
}

gboolean ash_net_lock(const char *root, int *out_fd, GError **error)
{
	g_autofree char *directory = g_strconcat(root, ASH_NET_NOTES, NULL);
	g_autofree char *path = g_strconcat(directory, "/lock", NULL);

	if (!ash_file_ensure_dir(AT_FDCWD, directory, 0700, error))
		return FALSE;
	ash_autofd int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) != 0)
		return ash_throw_errno(error, "%s", path);
	*out_fd = fd;
	fd = -1;
	return TRUE;
}

gboolean ash_net_note_load(const char *root, const char *name, char **out_text, GError **error)
{
	g_autofree char *path = g_strconcat(root, ASH_NET_NOTES "/", name, NULL);
	g_autoptr(GBytes) text = NULL;

	if (!load_file(path, MAX_NOTE_BYTES, &text, error))
		return FALSE;
	*out_text = text ? g_strndup(g_bytes_get_data(text, NULL), g_bytes_get_size(text)) : NULL;
	return TRUE;
}

gboolean ash_net_note_save(const char *root, const char *name, const char *text, GError **error)
{
	g_autofree char *path = g_strconcat(root, ASH_NET_NOTES "/", name, NULL);

	if (text)
		return ash_file_replace(AT_FDCWD, path, text, strlen(text), 0600, error);
	if (unlink(path) != 0 && errno != ENOENT)
		return ash_throw_errno(error, "unlink(%s)", path);
	return TRUE;
}

char *ash_net_space_path(const char *root, const char *instance)
{
	return g_strconcat(root, ASH_NET_NAMESPACES, "/", instance, NULL);
}
