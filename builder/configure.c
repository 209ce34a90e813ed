/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/configure.h"

#include <fcntl.h>
#include <string.h>

#include "builder/delta.h"
#include "builder/hwdb.h"
#include "builder/sandbox.h"
#include "builder/shortcut.h"
#include "lib/error.h"
#include "lib/file.h"

G_DEFINE_QUARK(ash_configure_error, ash_configure_error)

/* Not part of an image, whatever scripts leave there. */
static const char *const skipped[] = {"dev", "proc", "run", "sys", "tmp", "ashlar", NULL};

/* What carries times, random numbers, inode numbers, or a copy of what is there anyway. */
static const char *const volatile_paths[] = {
		"etc/.pwd.lock",
		"etc/group-",
		"etc/gshadow-",
		"etc/machine-id",
		"etc/passwd-",
		"etc/shadow-",
		"etc/subgid-",
		"etc/subuid-",
		"var/cache/ldconfig/aux-cache",
		"var/lib/dbus/machine-id",
		"var/lib/dpkg/lock",
		"var/lib/dpkg/lock-frontend",
		"var/lib/dpkg/triggers/Lock",
		"var/lib/dpkg/status-old",
		"var/lib/dpkg/diversions-old",
		"var/lib/dpkg/statoverride-old",
		"var/lib/systemd/random-seed",
		"var/cache/debconf/config.dat-old",
		"var/cache/debconf/templates.dat-old",
		"var/log/alternatives.log",
		"var/log/dpkg.log",
		"var/log/bootstrap.log",
};

/* Programs that hooks call and whose result is made later: the initramfs by finish.c, the lists of
 * modules by kernel.c.
 */
static const char *const postponed[] = {"usr/bin/dracut", "usr/sbin/dracut",
		"usr/sbin/update-initramfs", "usr/sbin/mkinitramfs", "usr/sbin/depmod", NULL};

/* ---- the order of preinst scripts ------------------------------------------------------------- */

typedef struct {
	GHashTable *by_name; /* name → AshPackage */
	GHashTable *visited;
	GPtrArray *order;
} Order;

static void visit(Order *order, AshPackage *package);

static void visit_field(Order *order, const AshPackage *package, const char *field)
{
	const char *value = ash_package_field(package, field);

	if (value == NULL)
		return;
	g_auto(GStrv) items = g_strsplit_set(value, ",|", -1);
	for (char **item = items; *item != NULL; item++) {
		char *name = g_strstrip(*item);
		name[strcspn(name, " \t\n(:")] = '\0';
		AshPackage *other = g_hash_table_lookup(order->by_name, name);
		if (other != NULL)
			visit(order, other);
	}
}

static void visit(Order *order, AshPackage *package)
{
	/* Added before its dependencies are looked at, so that a circle ends. */
	if (!g_hash_table_add(order->visited, package))
		return;
	visit_field(order, package, "pre-depends");
	visit_field(order, package, "depends");
	g_ptr_array_add(order->order, package);
}

static GPtrArray *install_order(const GPtrArray *packages)
{
	g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) visited = g_hash_table_new(NULL, NULL);
	Order order = {.by_name = by_name, .visited = visited, .order = g_ptr_array_new()};

	for (guint i = 0; i < packages->len; i++) {
		AshPackage *package = packages->pdata[i];
		g_hash_table_insert(by_name, package->locked->name, package);
	}
	AshPackage *base_passwd = g_hash_table_lookup(by_name, "base-passwd");
	if (base_passwd != NULL) {
		g_hash_table_add(visited, base_passwd);
		g_ptr_array_add(order.order, base_passwd);
	}
	for (guint i = 0; i < packages->len; i++)
		visit(&order, packages->pdata[i]);
	return order.order;
}

/* ---- the script ------------------------------------------------------------------------------ */

char *ash_configure_script(const GPtrArray *packages)
{
	g_autoptr(GString) script = g_string_new(
			"#!/bin/sh\nset -e\n"
			"preinst()\n{\n"
			"\tDPKG_MAINTSCRIPT_PACKAGE=$1 DPKG_MAINTSCRIPT_ARCH=$3 "
			"DPKG_MAINTSCRIPT_NAME=preinst \\\n"
			"\tDPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 DPKG_ADMINDIR=/var/lib/dpkg "
			"DPKG_ROOT= DPKG_RUNNING_VERSION=1.22 \\\n"
			"\t\t\"/var/lib/dpkg/info/$2.preinst\" install </dev/null || {\n"
			"\t\techo \"the preinst script of $1 failed with code $?\"; exit 1; }\n"
			"}\n");
	g_autoptr(GPtrArray) order = install_order(packages);

	for (guint i = 0; i < order->len; i++) {
		const AshPackage *package = order->pdata[i];
		if (ash_package_control(package, "preinst") != NULL)
			g_string_append_printf(script, "preinst %s %s %s\n", package->locked->name,
					package->info_name, package->locked->arch);
	}
	/* No --force-depends: what the lock names must fit together. */
	g_string_append(script,
			"exec dpkg --force-unsafe-io --force-confold --configure -a </dev/null\n");
	return g_string_free(g_steal_pointer(&script), FALSE);
}

bool ash_configure_is_needed(const GPtrArray *packages)
{
	static const char *const scripts[] = {"preinst", "postinst", NULL};

	for (guint i = 0; i < packages->len; i++)
		for (const char *const *script = scripts; *script != NULL; script++)
			if (ash_package_control(packages->pdata[i], *script) != NULL)
				return true;
	return false;
}

/* Binds @outside over the program at @path, if the tree has that. */
static void bind_over(
		GStrvBuilder *binds, const AshTree *tree, const char *outside, const char *path)
{
	g_autofree char *real = NULL;

	if (ash_tree_resolve(tree, path, &real) == NULL)
		return;
	g_autofree char *bind = g_strconcat(outside, ":", real, NULL);
	g_strv_builder_add(binds, bind);
}

/* "OUTSIDE:INSIDE" for the scripts and for each program that another stands in for. */
static char **make_binds(const AshTree *tree, const char *checkout, const char *script_dir,
		bool has_shortcuts)
{
	g_autoptr(GStrvBuilder) binds = g_strv_builder_new();
	g_autofree char *script = g_strconcat(script_dir, ":/ashlar", NULL);
	g_autofree char *nothing = g_strconcat(checkout, "/usr/bin/true", NULL);

	g_strv_builder_add(binds, script);
	for (const char *const *path = postponed; *path != NULL; path++)
		bind_over(binds, tree, nothing, *path);
	if (has_shortcuts) {
		ash_shortcut_add_binds(binds, tree, checkout, script_dir);
		if (ash_hwdb_is_needed(tree))
			bind_over(binds, tree, nothing, ASH_HWDB_PROGRAM);
	}
	return g_strv_builder_end(binds);
}

/* The last lines of a log, indented, for the message. */
static char *log_tail(const char *text)
{
	enum {
		KEPT_LINES = 20
	};
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	guint count = g_strv_length(lines);
	g_autoptr(GString) tail = g_string_new("");

	for (guint i = count > KEPT_LINES ? count - KEPT_LINES : 0; i < count; i++)
		if (*lines[i] != '\0')
			g_string_append_printf(tail, "\n    %s", lines[i]);
	return g_string_free(g_steal_pointer(&tail), FALSE);
}

/* Counts dpkg's lines, one for each package. */
typedef struct {
	AshProgress *progress;
	GString *line; /* the one that has not ended yet */
	guint done;
	guint total;
} Count;

static void count_lines(const char *piece, size_t size, gpointer data)
{
	Count *count = data;

	for (size_t i = 0; i < size; i++) {
		if (piece[i] != '\n') {
			g_string_append_c(count->line, piece[i]);
			continue;
		}
		if (g_str_has_prefix(count->line->str, "Setting up "))
			ash_progress_update(count->progress, ++count->done, count->total,
					ASH_PROGRESS_UNIT_ITEMS);
		g_string_truncate(count->line, 0);
	}
}

static gboolean run_scripts(const GPtrArray *packages, const char *checkout, const char *scratch,
		const AshConfigureOptions *options, const AshTree *tree, GError **error)
{
	static const char *const argv[] = {"/bin/sh", "/ashlar/configure", NULL};
	g_autofree char *epoch =
			g_strdup_printf("SOURCE_DATE_EPOCH=%" G_GUINT64_FORMAT, options->now_s);
	/* INITRD=No is what the hooks of Debian's kernel packages ask for. */
	const char *const env[] = {"DEBIAN_FRONTEND=noninteractive",
			"DEBCONF_NONINTERACTIVE_SEEN=true", "DEBCONF_NOWARNINGS=yes", "INITRD=No",
			epoch, "LC_ALL=C.UTF-8", "TZ=UTC", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
			NULL};
	g_autofree char *script = ash_configure_script(packages);
	g_autofree char *script_dir = g_build_filename(scratch, "script", NULL);
	g_autofree char *script_path = g_build_filename(script_dir, "configure", NULL);
	g_autoptr(GError) cause = NULL;

	if (!ash_file_ensure_dir(AT_FDCWD, script_dir, 0755, error) ||
			!ash_file_replace(AT_FDCWD, script_path, script, strlen(script), 0755,
					error) ||
			!ash_shortcut_write(script_dir, error))
		return FALSE;
	g_auto(GStrv) binds = make_binds(tree, checkout, script_dir, options->has_shortcuts);
	g_autoptr(GString) line = g_string_new("");
	Count count = {.progress = options->progress, .line = line, .total = packages->len};
	AshSandbox sandbox = {
			.lower = checkout,
			.scratch = scratch,
			.argv = argv,
			.env = env,
			.binds = (const char *const *) binds,
			.on_output = count_lines,
			.on_output_data = &count,
	};
	if (ash_sandbox_run(&sandbox, NULL, &cause))
		return TRUE;
	if (!g_error_matches(cause, ASH_SANDBOX_ERROR, ASH_SANDBOX_ERROR_FAILED)) {
		g_propagate_error(error, g_steal_pointer(&cause));
		return FALSE;
	}
	g_autofree char *tail = log_tail(cause->message);
	return ash_throw(error, ASH_CONFIGURE_ERROR, ASH_CONFIGURE_ERROR_SCRIPT,
			"a maintainer script failed; the end of what was printed:%s", tail);
}

gboolean ash_configure(AshRepo *repo, const GPtrArray *packages, const char *checkout,
		const char *scratch, const AshConfigureOptions *options, AshTree *tree,
		GError **error)
{
	g_autofree char *upper = g_build_filename(scratch, "upper", NULL);

	if (ash_tree_resolve(tree, "usr/bin/dpkg", NULL) == NULL ||
			ash_tree_resolve(tree, "bin/sh", NULL) == NULL)
		return ash_throw(error, ASH_CONFIGURE_ERROR, ASH_CONFIGURE_ERROR_DPKG,
				"the packages have scripts to run, but among them are no dpkg and no shell (add 'dpkg' and 'dash')");
	if (!run_scripts(packages, checkout, scratch, options, tree, error) ||
			!ash_delta_apply(repo, upper, skipped, tree, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(volatile_paths); i++)
		ash_tree_remove(tree, volatile_paths[i]);
	for (const char *const *name = ash_shortcut_leftovers; *name != NULL; name++)
		ash_tree_remove(tree, *name);
	return TRUE;
}
