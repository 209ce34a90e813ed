/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/hwdb.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "builder/sandbox.h"
#include "lib/auto.h"
#include "lib/error.h"

static const char *const source_dirs[] = {"usr/lib/udev/hwdb.d", "etc/udev/hwdb.d", NULL};

bool ash_hwdb_is_needed(const AshTree *tree)
{
	return ash_tree_find(tree, ASH_HWDB_PROGRAM) != NULL &&
	       ash_tree_find(tree, "var/lib/dpkg/info/udev.postinst") != NULL &&
	       ash_tree_find(tree, source_dirs[0]) != NULL;
}

/* The program's own code is mostly in libsystemd-shared, in a directory "systemd" beside the libraries. */
static bool has_systemd_library(const AshTree *tree)
{
	const AshNode *lib = ash_tree_find(tree, "usr/lib");
	GHashTableIter iter;
	gpointer dir;

	if (lib == NULL || lib->kind != ASH_NODE_DIR)
		return false;
	g_hash_table_iter_init(&iter, lib->children);
	while (g_hash_table_iter_next(&iter, NULL, &dir)) {
		const AshNode *systemd = ash_node_child(dir, "systemd");
		if (systemd != NULL && systemd->kind == ASH_NODE_DIR)
			return true;
	}
	return false;
}

bool ash_hwdb_depends_on(const AshNode *data)
{
	const AshTree tree = {.root = (AshNode *) (uintptr_t) data};

	if (data == NULL)
		return false;
	for (const char *const *dir = source_dirs; *dir != NULL; dir++)
		if (ash_tree_find(&tree, *dir) != NULL)
			return true;
	return ash_tree_find(&tree, ASH_HWDB_PROGRAM) != NULL || has_systemd_library(&tree);
}

gboolean ash_hwdb_prepare(AshRepo *repo, const char *checkout, const char *scratch,
		AshNode **out_node, GError **error)
{
	ASH_PREFIX("compiling the hardware database");
	/* As udev's postinst calls it. */
	static const char *const argv[] = {"/" ASH_HWDB_PROGRAM, "--usr", "update", NULL};
	g_autofree char *path = g_build_filename(scratch, "upper", ASH_HWDB_PATH, NULL);
	AshSandbox sandbox = {.lower = checkout, .scratch = scratch, .argv = argv};
	struct stat st;

	if (!ash_sandbox_run(&sandbox, NULL, error))
		return FALSE;
	ash_autofd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		*out_node = NULL;
		return TRUE;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return ash_throw_errno(error, "%s", path);
	g_autoptr(AshNode) node = ash_node_new(ASH_NODE_FILE, st.st_mode & 07777);
	if (!ash_repo_write_file_fd(repo, node, fd, error))
		return FALSE;
	*out_node = g_steal_pointer(&node);
	return TRUE;
}
