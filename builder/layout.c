/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/layout.h"

#include <stdbool.h>
#include <string.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_layout_error, ash_layout_error)

#define TMPFILES_PATH "usr/lib/tmpfiles.d/00-ashlar-var.conf"
#define FACTORY_DIR "usr/share/factory/var"

/* Directories of the root that become links into /var. */
static const struct {
	const char *path;
	const char *target; /* of the link */
	const char *var;    /* where that leads, below var/ */
	uint32_t mode;
} moved[] = {
		{"home", "var/home", "home", 0755},
		{"srv", "var/srv", "srv", 0755},
		{"opt", "var/opt", "opt", 0755},
		{"root", "var/roothome", "roothome", 0700},
		{"usr/local", "../var/usrlocal", "usrlocal", 0755},
		{"mnt", "var/mnt", "mnt", 0755},
};

/* Below /var: what a running system makes anew, and what only package tools read. */
static const char *const dropped[] = {"backups", "cache/apt", "cache/debconf", "cache/ldconfig",
		"cache/man", "lib/apt", "lib/dpkg", "lib/pam", "lib/shells.state",
		"lib/systemd/catalog", "lib/systemd/deb-systemd-helper-enabled",
		"lib/systemd/deb-systemd-user-helper-enabled",
		"lib/systemd/deb-systemd-helper-masked", "lib/ucf", "lib/usbutils", "lib/vim",
		"lib/xml-core", "lib/python", "lib/misc", NULL};

/* Empty directories of the root. */
static const struct {
	const char *name;
	uint32_t mode;
} mount_points[] = {
		{"boot", 0755},
		{"dev", 0755},
		{"efi", 0755},
		{"media", 0755},
		{"proc", 0555},
		{"run", 0755},
		{"sys", 0555},
		{"sysroot", 0755},
		{"tmp", 01777},
		{"var", 0755},
};

static gboolean put_link(AshTree *tree, const char *path, const char *target, GError **error)
{
	AshNode *link = ash_node_new(ASH_NODE_LINK, 0777);

	link->target = g_strdup(target);
	return ash_tree_insert(tree, path, link, error);
}

/* Moves what @path holds to "var/VAR" of the same tree, before /var is taken apart. */
static gboolean move_to_var(
		AshTree *tree, const char *path, const char *var, uint32_t mode, GError **error)
{
	g_autofree char *to = g_strconcat("var/", var, NULL);
	g_autoptr(AshNode) content = ash_tree_steal(tree, path);

	if (content == NULL || content->kind != ASH_NODE_DIR) {
		g_clear_pointer(&content, ash_node_free);
		content = ash_node_new(ASH_NODE_DIR, mode);
	}
	return ash_tree_insert(tree, to, g_steal_pointer(&content), error);
}

/* Packages that install into /opt (third parties do) must come with the image: each of their
 * directories stays in /usr/lib/opt, with a link from /var/opt.
 */
static gboolean move_opt(AshTree *tree, GError **error)
{
	AshNode *opt = ash_tree_find(tree, "opt");

	if (opt == NULL || opt->kind != ASH_NODE_DIR || g_hash_table_size(opt->children) == 0)
		return TRUE;
	g_autoptr(AshNode) content = ash_tree_steal(tree, "opt");
	g_autoptr(GPtrArray) names = ash_node_sorted_names(content);
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *path = g_strconcat("opt/", names->pdata[i], NULL);
		g_autofree char *target = g_strconcat("/usr/lib/opt/", names->pdata[i], NULL);
		if (!put_link(tree, path, target, error))
			return FALSE;
	}
	return ash_tree_insert(tree, "usr/lib/opt", g_steal_pointer(&content), error);
}

/* ---- /var ------------------------------------------------------------------------------------- */

/* A question; such a byte would end a line, or look as if it did. */
static bool has_control(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (g_ascii_iscntrl(*p))
			return true;
	return false;
}

/* tmpfiles.d(5): '%' starts a specifier everywhere; the path may be quoted, with the escapes of C in it,
 * the argument is the rest of the line as it stands.
 */
static void append_field(GString *text, const char *value, bool is_path)
{
	bool is_quoted = is_path && (strpbrk(value, " \"'\\") != NULL || has_control(value));

	if (is_quoted)
		g_string_append_c(text, '"');
	for (const char *p = value; *p != '\0'; p++) {
		if (g_ascii_iscntrl(*p)) {
			g_string_append_printf(text, "\\x%02x", (unsigned char) *p);
			continue;
		}
		if (*p == '%')
			g_string_append_c(text, '%');
		if (is_quoted && (*p == '"' || *p == '\\'))
			g_string_append_c(text, '\\');
		g_string_append_c(text, *p);
	}
	if (is_quoted)
		g_string_append_c(text, '"');
}

static void append_line(GString *text, const char *type, const char *path, const AshNode *node,
		const char *argument)
{
	g_string_append_printf(text, "%s ", type);
	append_field(text, path, true);
	if (node->kind == ASH_NODE_LINK)
		g_string_append(text, " - - - -");
	else
		g_string_append_printf(text, " %04o %u %u -", node->mode, node->uid, node->gid);
	if (argument != NULL) {
		g_string_append_c(text, ' ');
		append_field(text, argument, false);
	}
	g_string_append_c(text, '\n');
}

static gboolean convert_var(
		AshTree *tree, const AshNode *dir, GString *path, GString *text, GError **error)
{
	g_autoptr(GPtrArray) names = ash_node_sorted_names(dir);
	gsize len = path->len;

	for (guint i = 0; i < names->len; i++) {
		const AshNode *child = ash_node_child(dir, names->pdata[i]);
		g_string_append_c(path, '/');
		g_string_append(path, names->pdata[i]);
		/* path begins with "/var". */
		if (g_strv_contains(dropped, path->str + strlen("/var/"))) {
			g_string_truncate(path, len);
			continue;
		}
		if (child->kind == ASH_NODE_DIR) {
			append_line(text, "d", path->str, child, NULL);
			if (!convert_var(tree, child, path, text, error))
				return FALSE;
		} else if (child->kind == ASH_NODE_LINK && !has_control(child->target)) {
			append_line(text, "L", path->str, child, child->target);
		} else if (!g_str_has_prefix(path->str, "/var/log/") &&
				!g_str_has_prefix(path->str, "/var/cache/")) {
			g_autofree char *factory =
					g_strconcat("/usr/share/factory", path->str, NULL);
			/* Without an argument the source is the same, so that one which could not be
			 * written is not needed.
			 */
			append_line(text, "C", path->str, child,
					has_control(factory) ? NULL : factory);
			if (!ash_tree_insert(tree, factory, ash_node_copy(child), error))
				return FALSE;
		}
		g_string_truncate(path, len);
	}
	return TRUE;
}

static gboolean empty_var(AshRepo *repo, AshTree *tree, GError **error)
{
	g_autoptr(AshNode) var = ash_tree_steal(tree, "var");
	g_autoptr(GString) text = g_string_new(
			"# What the packages and the manifest have in /var, which is empty in an image.\n");
	g_autoptr(GString) path = g_string_new("/var");
	g_autoptr(AshNode) node = ash_node_new(ASH_NODE_FILE, 0644);

	if (var != NULL && var->kind == ASH_NODE_DIR && !convert_var(tree, var, path, text, error))
		return FALSE;
	return ash_repo_write_file(repo, node, text->str, text->len, error) &&
	       ash_tree_insert(tree, TMPFILES_PATH, g_steal_pointer(&node), error);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static gboolean move_kernel(AshTree *tree, const char *release, GError **error)
{
	static const char *const images[] = {"vmlinuz", "vmlinux", "Image", NULL};
	g_autoptr(AshNode) kernel = NULL;

	for (const char *const *image = images; *image != NULL && kernel == NULL; image++) {
		g_autofree char *from = g_strdup_printf("boot/%s-%s", *image, release);
		kernel = ash_tree_steal(tree, from);
	}
	if (kernel == NULL)
		return ash_throw(error, ASH_LAYOUT_ERROR, ASH_LAYOUT_ERROR_NO_KERNEL,
				"the modules are those of kernel %s, but there is no /boot/vmlinuz-%s",
				release, release);
	g_autofree char *to = g_strdup_printf("usr/lib/modules/%s/vmlinuz", release);
	g_autofree char *config = g_strdup_printf("boot/config-%s", release);
	g_autofree char *config_to = g_strdup_printf("usr/lib/modules/%s/config", release);
	g_autoptr(AshNode) config_node = ash_tree_steal(tree, config);
	if (config_node != NULL &&
			!ash_tree_insert(tree, config_to, g_steal_pointer(&config_node), error))
		return FALSE;
	/* The links that Debian keeps in / lead nowhere without /boot. */
	ash_tree_remove(tree, "vmlinuz");
	ash_tree_remove(tree, "vmlinuz.old");
	ash_tree_remove(tree, "initrd.img");
	ash_tree_remove(tree, "initrd.img.old");
	return ash_tree_insert(tree, to, g_steal_pointer(&kernel), error);
}

gboolean ash_layout_host(AshRepo *repo, AshTree *tree, const char *kernel_release, GError **error)
{
	ASH_PREFIX("laying out the tree");

	if (kernel_release != NULL && !move_kernel(tree, kernel_release, error))
		return FALSE;
	if (!move_opt(tree, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(moved); i++)
		if (!move_to_var(tree, moved[i].path, moved[i].var, moved[i].mode, error))
			return FALSE;
	if (!empty_var(repo, tree, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(moved); i++)
		if (!put_link(tree, moved[i].path, moved[i].target, error))
			return FALSE;

	AshNode *etc = ash_tree_steal(tree, "etc");
	if (etc != NULL && !ash_tree_insert(tree, "usr/etc", etc, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(mount_points); i++)
		if (!ash_tree_insert(tree, mount_points[i].name,
				    ash_node_new(ASH_NODE_DIR, mount_points[i].mode), error))
			return FALSE;
	return put_link(tree, "ostree", "sysroot/ostree", error);
}
