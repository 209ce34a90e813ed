/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/workload-key.h"

/* Where things appear inside: nothing over or inside another, nothing over what Ashlar puts there. */

enum {
	MAX_SOCKET_BYTES = 107, /* struct sockaddr_un */
};

/* What something that appears inside is called, and where it stands. */
typedef struct {
	const char *key, *path;
	const AshYamlNode *node;
} Place;

static const AshYamlNode *item_of(const AshYamlNode *root, const char *key, guint i)
{
	return ash_yaml_get(root, key)->items->pdata[i];
}

/* Is @path @around, or below it? */
static bool is_inside(const char *path, const char *around)
{
	size_t length = strlen(around);

	return g_str_has_prefix(path, around) && (path[length] == '\0' || path[length] == '/');
}

static gboolean judge_reserved(
		const AshYamlNode *node, const char *key, const char *path, GError **error)
{
	static const char *const reserved[] = {"/proc", "/sys", "/dev", "/run/ashlar", "/etc/hosts",
			"/etc/resolv.conf", "/etc/hostname"};

	for (size_t i = 0; i < G_N_ELEMENTS(reserved); i++) {
		if (is_inside(path, reserved[i]))
			return ash_workload_throw(node, error, "'%s': nothing may be put over '%s'",
					key, reserved[i]);
		/* /etc may be a volume: its three files are put over that. */
		if (is_inside(reserved[i], path) && !g_str_has_prefix(path, "/etc"))
			return ash_workload_throw(node, error,
					"'%s': '%s' would hide '%s'; take a directory in it", key,
					path, reserved[i]);
	}
	return TRUE;
}

static gboolean add_place(GArray *places, const char *key, const char *path,
		const AshYamlNode *node, GError **error)
{
	Place place = {.key = key, .path = path, .node = node};

	if (!judge_reserved(node, key, path, error))
		return FALSE;
	for (guint i = 0; i < places->len; i++) {
		const Place *other = &g_array_index(places, Place, i);
		if (strcmp(path, other->path) == 0)
			return ash_workload_throw(node, error,
					"'%s': '%s' is taken by line %u, of '%s'", key, path,
					other->node->line, other->key);
		if (is_inside(path, other->path) || is_inside(other->path, path))
			return ash_workload_throw(node, error,
					"'%s': '%s' and '%s' ('%s') are inside each other", key,
					path, other->path, other->key);
	}
	g_array_append_val(places, place);
	return TRUE;
}

static gboolean judge_socket(
		const AshYamlNode *node, const char *key, const char *path, GError **error)
{
	if (strlen(path) > MAX_SOCKET_BYTES)
		return ash_workload_throw(node, error,
				"'%s': the path of a socket has at most %d bytes", key,
				MAX_SOCKET_BYTES);
	return TRUE;
}

static gboolean throw_twice(
		const AshYamlNode *node, const char *key, const char *name, GError **error)
{
	return ash_workload_throw(node, error, "'%s': there are two of the name '%s'", key, name);
}

/* Every item begins with its name. */
static gboolean judge_names(
		const AshYamlNode *root, const char *key, const GPtrArray *items, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < items->len; i++) {
		char *name = *(char **) items->pdata[i];
		if (!g_hash_table_add(seen, name))
			return throw_twice(item_of(root, key, i), key, name, error);
	}
	return TRUE;
}

static gboolean judge_provides(const AshYamlNode *root, const AshWorkload *w, GError **error)
{
	for (guint i = 0; i < w->provides->len; i++) {
		const AshWorkloadService *service = w->provides->pdata[i];
		const AshYamlNode *node = item_of(root, "provides", i);
		if ((service->socket == NULL) == (service->call == NULL))
			return ash_workload_throw(node, error,
					"'provides': '%s' needs a socket or a call, and has %s",
					service->name, service->call == NULL ? "none" : "both");
		if (service->call != NULL && (*service->call[0] != '/'))
			return ash_workload_throw(node, error,
					"'provides': the program of '%s' has no absolute path",
					service->name);
		if (service->socket == NULL)
			continue;
		/* Its directory is what the other side is given a look into. */
		g_autofree char *dir = g_path_get_dirname(service->socket);
		if (strchr(dir + 1, '/') == NULL)
			return ash_workload_throw(node, error,
					"'provides': the socket needs a directory of its own, as in "
					"/run/%s/%s.sock",
					w->name, service->name);
		if (!judge_socket(node, "provides", service->socket, error) ||
				!judge_reserved(node, "provides", dir, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_workload_judge_paths(const AshYamlNode *root, const AshWorkload *w, GError **error)
{
	g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(Place));

	if (!judge_names(root, "provides", w->provides, error) ||
			!judge_names(root, "requires", w->requires, error) ||
			!judge_names(root, "volumes", w->volumes, error) ||
			!judge_names(root, "secrets", w->secrets, error) ||
			!judge_provides(root, w, error))
		return FALSE;
	for (guint i = 0; i < w->volumes->len; i++) {
		const AshWorkloadVolume *volume = w->volumes->pdata[i];
		if (!add_place(places, "volumes", volume->path, item_of(root, "volumes", i), error))
			return FALSE;
	}
	for (guint i = 0; i < w->secrets->len; i++) {
		const AshWorkloadSecret *secret = w->secrets->pdata[i];
		if (!add_place(places, "secrets", secret->path, item_of(root, "secrets", i), error))
			return FALSE;
	}
	for (guint i = 0; i < w->requires->len; i++) {
		const AshWorkloadService *service = w->requires->pdata[i];
		const AshYamlNode *node = item_of(root, "requires", i);
		if (service->socket != NULL &&
				(!judge_socket(node, "requires", service->socket, error) ||
						!add_place(places, "requires", service->socket,
								node, error)))
			return FALSE;
	}
	if (w->directory != NULL &&
			(is_inside(w->directory, "/proc") || is_inside(w->directory, "/sys")))
		return ash_workload_throw(ash_yaml_get(root, "directory"), error,
				"'directory': not in /proc and /sys, which are the kernel's");
	return TRUE;
}
