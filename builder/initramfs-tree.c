/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>

#include "builder/initramfs.h"
#include "lib/file.h"

/* The composition from a tree and its repository. */

enum {
	MAX_INIT_BYTES = 16 << 20,
	/* Part of the digest: counts up when the same inputs make another archive. */
	FORMAT_VERSION = 1,
};

typedef struct {
	AshRepo *repo;
	const AshTree *tree;
} TreeSource;

static char *resolve(gpointer data, const char *path)
{
	const TreeSource *source = data;
	g_autofree char *real = NULL;
	const AshNode *node = ash_tree_resolve(source->tree, path, &real);

	return node != NULL && node->kind == ASH_NODE_FILE ? g_steal_pointer(&real) : NULL;
}

static gboolean read_file(gpointer data, const char *path, size_t max_bytes, GBytes **out_bytes,
		GError **error)
{
	const TreeSource *source = data;
	return ash_repo_read_file(source->repo, source->tree, path, max_bytes, out_bytes, error);
}

gboolean ash_initramfs_compose(AshRepo *repo, const AshTree *tree,
		const AshInitramfsOptions *options, GBytes **out_cpio, GError **error)
{
	TreeSource data = {.repo = repo, .tree = tree};
	AshInitramfsSource source = {.resolve = resolve, .read = read_file, .data = &data};

	return ash_initramfs_compose_from(&source, options, out_cpio, error);
}

/* A NUL after each piece, so that "ab" "c" and "a" "bc" differ. */
static void add_text(GChecksum *sum, const char *text)
{
	g_checksum_update(sum, (const guchar *) text, (gssize) strlen(text) + 1);
}

static void add_node(GChecksum *sum, const char *path, const AshNode *node)
{
	add_text(sum, path);
	if (node->kind == ASH_NODE_LINK)
		add_text(sum, node->target);
	else if (node->kind == ASH_NODE_FILE)
		/* Also when the node was edited since: the content is the one of this checksum. */
		g_checksum_update(sum, node->csum, sizeof node->csum);
}

/* @node and all below it; with @libraries_only just links, and files that may be libraries. */
static void add_nodes(GChecksum *sum, const char *path, const AshNode *node, bool libraries_only)
{
	if (!libraries_only || node->kind == ASH_NODE_LINK || strstr(path, ".so") != NULL)
		add_node(sum, path, node);
	if (node->kind != ASH_NODE_DIR)
		return;
	g_autoptr(GPtrArray) names = ash_node_sorted_names(node);
	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		g_autofree char *child_path = g_strconcat(path, "/", name, NULL);
		add_nodes(sum, child_path, ash_node_child(node, name), libraries_only);
	}
}

gboolean ash_initramfs_digest(const AshTree *tree, const AshInitramfsOptions *options,
		char **out_digest, GError **error)
{
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	g_autofree char *version = g_strdup_printf("ashlar-initramfs %d", FORMAT_VERSION);
	g_autofree char *modules = g_strconcat("/usr/lib/modules/", options->kernel_release, NULL);
	/* /usr/lib as a whole for libraries: a RUNPATH may point anywhere below it. */
	const struct {
		const char *path;
		bool libraries_only;
	} parts[] = {
			{modules, false},
			{"/usr/lib/ostree", false},
			{"/etc/ostree", false},
			{"/usr/etc/ostree", false},
			{"/usr/lib", true},
			{"/usr/lib64", true},
	};
	g_autoptr(GBytes) init = NULL;
	gsize size = 0;

	if (!ash_file_read(AT_FDCWD, options->init_path, MAX_INIT_BYTES, &init, error))
		return FALSE;
	const void *data = g_bytes_get_data(init, &size);
	add_text(sum, version);
	add_text(sum, options->kernel_release);
	for (size_t i = 0; options->modules != NULL && options->modules[i] != NULL; i++)
		add_text(sum, options->modules[i]);
	add_text(sum, "");
	g_checksum_update(sum, data, (gssize) size);
	for (const AshInitramfsModule *module = ash_initramfs_modules; module->name != NULL;
			module++)
		add_text(sum, module->name);
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		const AshNode *node = ash_tree_find(tree, parts[i].path);
		if (node != NULL)
			add_nodes(sum, parts[i].path, node, parts[i].libraries_only);
	}
	*out_digest = g_strdup(g_checksum_get_string(sum));
	return TRUE;
}
