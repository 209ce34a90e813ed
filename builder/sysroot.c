/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/sysroot.h"

#include <string.h>

#include "lib/crypto.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_sysroot_error, ash_sysroot_error)

#define DEPLOY_DIR "/ostree/deploy/" ASH_SYSROOT_NAME

static const char repo_config[] = "[core]\n"
				  "repo_version=1\n"
				  "mode=bare\n"
				  "\n"
				  "[sysroot]\n"
				  "bootloader=none\n"
				  "readonly=true\n";

typedef struct {
	const AshSysrootInput *input;
	GPtrArray *inodes;  /* AshExt4Inode */
	GHashTable *shared; /* object name → index + 1 of its inode */
} Plan;

AshSysrootObject *ash_sysroot_object_new(const char *name, uint64_t size)
{
	AshSysrootObject *object = g_new0(AshSysrootObject, 1);

	object->name = g_strdup(name);
	object->size = size;
	return object;
}

void ash_sysroot_object_free(AshSysrootObject *object)
{
	if (object == NULL)
		return;
	g_free(object->name);
	g_free(object);
}

char *ash_sysroot_ostree_argument(const char *commit)
{
	return g_strdup_printf("/ostree/by-commit/%s.0", commit);
}

/* ---- adding by path ------------------------------------------------------------------------ */

static AshExt4Inode *inode_at(const Plan *plan, guint index)
{
	return plan->inodes->pdata[index];
}

static guint append(Plan *plan, AshExt4Inode *take_inode)
{
	g_ptr_array_add(plan->inodes, take_inode);
	return plan->inodes->len - 1;
}

static void name_inode(Plan *plan, guint dir, const char *name, guint inode)
{
	AshExt4Name entry = {.name = g_strdup(name), .inode = inode};

	g_array_append_val(inode_at(plan, dir)->names, entry);
	if (inode_at(plan, inode)->kind == ASH_NODE_DIR)
		inode_at(plan, inode)->parent = dir;
	else
		inode_at(plan, inode)->links++;
}

static guint find_name(const Plan *plan, guint dir, const char *name)
{
	const GArray *names = inode_at(plan, dir)->names;

	for (guint i = 0; i < names->len; i++)
		if (strcmp(g_array_index(names, AshExt4Name, i).name, name) == 0)
			return g_array_index(names, AshExt4Name, i).inode;
	return 0;
}

/* The directory at @path, made with its parents, 0755 root:root. */
static guint ensure_dir(Plan *plan, const char *path)
{
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	guint dir = 0;

	for (char **part = parts; *part != NULL; part++) {
		if (**part == '\0')
			continue;
		guint child = find_name(plan, dir, *part);
		if (child == 0) {
			child = append(plan, ash_ext4_inode_new(ASH_NODE_DIR, 0755));
			name_inode(plan, dir, *part, child);
		}
		dir = child;
	}
	return dir;
}

static void add_at(Plan *plan, const char *path, AshExt4Inode *take_inode)
{
	g_autofree char *dir_path = g_path_get_dirname(path);
	g_autofree char *name = g_path_get_basename(path);
	guint dir = ensure_dir(plan, dir_path);

	name_inode(plan, dir, name, append(plan, take_inode));
}

static void add_text(Plan *plan, const char *path, const char *text)
{
	AshExt4Inode *inode = ash_ext4_inode_new(ASH_NODE_FILE, 0644);

	inode->size = strlen(text);
	inode->content = g_bytes_new(text, inode->size);
	add_at(plan, path, inode);
}

static void add_link(Plan *plan, const char *path, const char *target)
{
	AshExt4Inode *inode = ash_ext4_inode_new(ASH_NODE_LINK, 0777);

	inode->target = g_strdup(target);
	add_at(plan, path, inode);
}

/* ---- the deployment ------------------------------------------------------------------------ */

static char *object_name(const AshNode *node)
{
	g_autofree char *hex = ash_sha256_format(node->csum);

	return g_strdup_printf("%.2s/%s.file", hex, hex + 2);
}

static AshExt4Inode *inode_of_node(const Plan *plan, const AshNode *node)
{
	AshExt4Inode *inode = ash_ext4_inode_new(node->kind, node->mode);

	inode->uid = node->uid;
	inode->gid = node->gid;
	inode->xattrs = node->xattrs != NULL ? g_variant_ref(node->xattrs) : NULL;
	if (node->kind == ASH_NODE_FILE) {
		g_autofree char *name = object_name(node);
		inode->source = g_strconcat(plan->input->source_prefix, name, NULL);
		inode->size = node->size;
	} else if (node->kind == ASH_NODE_LINK) {
		inode->target = g_strdup(node->target);
	}
	return inode;
}

/* The inode that the object has, or will have, in the repository. Past the number of links that the
 * format allows a new one begins; the object keeps the first.
 */
static guint shared_inode(Plan *plan, const AshNode *node)
{
	g_autofree char *name = object_name(node);
	guint known = GPOINTER_TO_UINT(g_hash_table_lookup(plan->shared, name));

	if (known == 0) {
		guint index = append(plan, inode_of_node(plan, node));
		g_hash_table_insert(
				plan->shared, g_steal_pointer(&name), GUINT_TO_POINTER(index + 1));
		return index;
	}
	/* One link is kept for the object's own name. */
	if (inode_at(plan, known - 1)->links + 1 < ASH_EXT4_MAX_LINKS)
		return known - 1;
	return append(plan, inode_of_node(plan, node));
}

/* @is_copy: with inodes of their own. */
static gboolean add_children(
		Plan *plan, guint dir, const AshNode *node, bool is_copy, GError **error)
{
	g_autoptr(GPtrArray) names = ash_node_sorted_names(node);

	for (guint i = 0; i < names->len; i++) {
		const AshNode *child = ash_node_child(node, names->pdata[i]);
		if (child->kind != ASH_NODE_DIR && !child->has_csum)
			return ash_throw(error, ASH_SYSROOT_ERROR, ASH_SYSROOT_ERROR_OBJECTS,
					"'%s' has no object", (const char *) names->pdata[i]);
		guint index = child->kind == ASH_NODE_DIR || is_copy
					      ? append(plan, inode_of_node(plan, child))
					      : shared_inode(plan, child);
		name_inode(plan, dir, names->pdata[i], index);
		if (child->kind == ASH_NODE_DIR &&
				!add_children(plan, index, child, is_copy, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean add_deployment(Plan *plan, GError **error)
{
	const AshTree *tree = plan->input->tree;
	const AshNode *usr_etc = ash_tree_find(tree, "/usr/etc");
	g_autofree char *name = g_strdup_printf("%s.0", plan->input->commit);

	if (ash_tree_find(tree, "/usr") == NULL)
		return ash_throw(error, ASH_SYSROOT_ERROR, ASH_SYSROOT_ERROR_LAYOUT,
				"the commit has no /usr: it is not the tree of a host");
	if (usr_etc != NULL && ash_tree_find(tree, "/etc") != NULL)
		return ash_throw(error, ASH_SYSROOT_ERROR, ASH_SYSROOT_ERROR_LAYOUT,
				"the commit has both /etc and /usr/etc");
	guint parent = ensure_dir(plan, DEPLOY_DIR "/deploy");
	guint root = append(plan, inode_of_node(plan, tree->root));
	name_inode(plan, parent, name, root);
	inode_at(plan, root)->is_immutable = true;
	if (!add_children(plan, root, tree->root, false, error))
		return FALSE;
	if (usr_etc == NULL)
		return TRUE;
	guint etc = append(plan, inode_of_node(plan, usr_etc));
	name_inode(plan, root, "etc", etc);
	return add_children(plan, etc, usr_etc, true, error);
}

/* ---- the repository ------------------------------------------------------------------------ */

static gboolean add_object(Plan *plan, const AshSysrootObject *object, GError **error)
{
	g_autofree char *path = g_strconcat("/ostree/repo/objects/", object->name, NULL);
	guint known = GPOINTER_TO_UINT(g_hash_table_lookup(plan->shared, object->name));

	if (known == 0 && g_str_has_suffix(object->name, ".file"))
		return ash_throw(error, ASH_SYSROOT_ERROR, ASH_SYSROOT_ERROR_OBJECTS,
				"object %s is in no directory of the commit", object->name);
	if (known == 0) {
		AshExt4Inode *inode = ash_ext4_inode_new(ASH_NODE_FILE, 0644);
		inode->source = g_strconcat(plan->input->source_prefix, object->name, NULL);
		inode->size = object->size;
		add_at(plan, path, inode);
		return TRUE;
	}
	g_autofree char *dir_path = g_path_get_dirname(path);
	g_autofree char *name = g_path_get_basename(path);
	name_inode(plan, ensure_dir(plan, dir_path), name, known - 1);
	return TRUE;
}

static gboolean add_repository(Plan *plan, GError **error)
{
	static const char *const dirs[] = {"extensions", "refs/heads", "refs/mirrors",
			"refs/remotes", "state", "tmp/cache"};
	const AshSysrootInput *input = plan->input;
	g_autofree char *line = g_strconcat(input->commit, "\n", NULL);
	g_autofree char *ref = g_strconcat("/ostree/repo/refs/heads/", input->ref, NULL);
	guint files = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++) {
		g_autofree char *path = g_strconcat("/ostree/repo/", dirs[i], NULL);
		ensure_dir(plan, path);
	}
	add_text(plan, "/ostree/repo/config", repo_config);
	add_text(plan, ref, line);
	/* What libostree names a deployment's commit with, so that pruning keeps it. */
	add_text(plan, "/ostree/repo/refs/heads/ostree/0/0/0", line);
	ensure_dir(plan, "/ostree/repo/objects");
	for (guint i = 0; i < input->objects->len; i++) {
		const AshSysrootObject *object = input->objects->pdata[i];
		files += g_str_has_suffix(object->name, ".file") ? 1 : 0;
		if (!add_object(plan, object, error))
			return FALSE;
	}
	if (files != g_hash_table_size(plan->shared))
		return ash_throw(error, ASH_SYSROOT_ERROR, ASH_SYSROOT_ERROR_OBJECTS,
				"the commit names %u files, its objects are %u",
				g_hash_table_size(plan->shared), files);
	return TRUE;
}

/* ---- what libostree reads ------------------------------------------------------------------ */

static void add_loader(Plan *plan)
{
	const AshSysrootInput *input = plan->input;
	g_autofree char *boot_link = g_strdup_printf(
			"/ostree/boot.0.0/" ASH_SYSROOT_NAME "/%s/0", input->boot_checksum);
	g_autofree char *target = g_strdup_printf(
			"../../../deploy/" ASH_SYSROOT_NAME "/deploy/%s.0", input->commit);
	g_autofree char *entry = g_strdup_printf(
			"title %s\n"
			"version 1\n"
			"options %s%sostree=/ostree/boot.0/" ASH_SYSROOT_NAME "/%s/0\n"
			"linux /ostree/" ASH_SYSROOT_NAME "-%s/vmlinuz-%s\n"
			"initrd /ostree/" ASH_SYSROOT_NAME "-%s/initramfs-%s.img\n",
			input->title, input->kernel_options,
			*input->kernel_options != '\0' ? " " : "", input->boot_checksum,
			input->boot_checksum, input->kernel_release, input->boot_checksum,
			input->kernel_release);

	add_link(plan, "/boot/loader", "loader.0");
	add_text(plan, "/boot/loader.0/entries/ostree-1.conf", entry);
	add_link(plan, "/ostree/boot.0", "boot.0.0");
	add_link(plan, boot_link, target);
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(((const AshExt4Name *) a)->name, ((const AshExt4Name *) b)->name);
}

gboolean ash_sysroot_plan(const AshSysrootInput *input, GPtrArray **out_inodes, GError **error)
{
	g_autoptr(GPtrArray) inodes =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_ext4_inode_free);
	g_autoptr(GHashTable) shared = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	Plan plan = {.input = input, .inodes = inodes, .shared = shared};
	g_autofree char *link = ash_sysroot_ostree_argument(input->commit);
	g_autofree char *target = g_strdup_printf(
			"../deploy/" ASH_SYSROOT_NAME "/deploy/%s.0", input->commit);
	g_autofree char *origin_path =
			g_strdup_printf(DEPLOY_DIR "/deploy/%s.0.origin", input->commit);
	g_autofree char *origin = g_strdup_printf("[origin]\nrefspec=%s\n", input->ref);

	ASH_PREFIX("planning the root file system of %.8s", input->commit);
	append(&plan, ash_ext4_inode_new(ASH_NODE_DIR, 0755));
	ensure_dir(&plan, "/boot");
	ensure_dir(&plan, DEPLOY_DIR "/var");
	if (!add_deployment(&plan, error) || !add_repository(&plan, error))
		return FALSE;
	add_text(&plan, origin_path, origin);
	add_link(&plan, link, target);
	if (input->kernel_release != NULL)
		add_loader(&plan);
	for (guint i = 0; i < inodes->len; i++)
		if (inode_at(&plan, i)->kind == ASH_NODE_DIR)
			g_array_sort(inode_at(&plan, i)->names, compare_names);
	*out_inodes = g_steal_pointer(&inodes);
	return TRUE;
}
