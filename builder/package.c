/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/package.h"

#include <string.h>

#include "builder/deb.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_package_error, ash_package_error)

void ash_package_free(AshPackage *package)
{
	if (package == NULL)
		return;
	g_free(package->commit);
	ash_tree_free(package->tree);
	g_clear_pointer(&package->control, g_bytes_unref);
	g_clear_pointer(&package->fields, g_hash_table_unref);
	g_free(package->info_name);
	g_free(package);
}

char *ash_package_ref(const AshLockPackage *locked)
{
	g_autofree char *name = g_strdup(locked->name);

	/* '+' is no character of a ref. */
	g_strdelimit(name, "+", '_');
	return g_strdup_printf("deb/%s/%s", name, locked->sha256);
}

const char *ash_package_field(const AshPackage *package, const char *name)
{
	return g_hash_table_lookup(package->fields, name);
}

const AshNode *ash_package_data(const AshPackage *package)
{
	return ash_tree_find(package->tree, "data");
}

const AshNode *ash_package_control(const AshPackage *package, const char *name)
{
	const AshNode *dir = ash_tree_find(package->tree, "control");

	return dir == NULL ? NULL : ash_node_child(dir, name);
}

/* deb-control(5): "Name: value", lines that begin with a blank continue. */
static gboolean parse_control(AshPackage *package, GError **error)
{
	g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(package->control, NULL), "\n", -1);
	g_autoptr(GString) value = NULL;
	g_autofree char *name = NULL;

	package->fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	for (char **line = lines;; line++) {
		if (*line != NULL && (**line == ' ' || **line == '\t') && value != NULL) {
			g_string_append_c(value, '\n');
			g_string_append(value, *line);
			continue;
		}
		if (name != NULL)
			g_hash_table_insert(package->fields, g_steal_pointer(&name),
					g_string_free(g_steal_pointer(&value), FALSE));
		if (*line == NULL || **line == '\0')
			return TRUE;
		const char *colon = strchr(*line, ':');
		if (colon == NULL)
			return ash_throw(error, ASH_PACKAGE_ERROR, ASH_PACKAGE_ERROR_CONTROL,
					"%s: control line %u: expected 'Field: value', got '%.40s'",
					package->locked->name, (unsigned) (line - lines) + 1,
					*line);
		g_autofree char *field = g_strndup(*line, (gsize) (colon - *line));
		name = g_ascii_strdown(field, -1);
		value = g_string_new(colon + 1 + strspn(colon + 1, " \t"));
	}
}

static gboolean check_field(
		const AshPackage *package, const char *name, const char *expected, GError **error)
{
	const char *actual = ash_package_field(package, name);

	if (g_strcmp0(actual, expected) == 0)
		return TRUE;
	return ash_throw(error, ASH_PACKAGE_ERROR, ASH_PACKAGE_ERROR_IDENTITY,
			"%s %s: the package says '%s: %s', but the lock says '%s' (run 'ashlar lock --update %s')",
			package->locked->name, package->locked->version, name,
			actual != NULL ? actual : "", expected, package->locked->name);
}

/* Reads the control file and what follows from it. */
static gboolean complete(AshRepo *repo, AshPackage *package, GError **error)
{
	const AshLockPackage *locked = package->locked;

	if (!ash_repo_read_file(repo, package->tree, "control/control", ASH_DEB_MAX_CONTROL_BYTES,
			    &package->control, error) ||
			!parse_control(package, error) ||
			!check_field(package, "package", locked->name, error) ||
			!check_field(package, "version", locked->version, error) ||
			!check_field(package, "architecture", locked->arch, error))
		return FALSE;
	/* dpkg keeps the architecture in the file names of packages that could be installed for several
	 * at once.
	 */
	if (g_strcmp0(ash_package_field(package, "multi-arch"), "same") == 0)
		package->info_name = g_strdup_printf("%s:%s", locked->name, locked->arch);
	else
		package->info_name = g_strdup(locked->name);
	return TRUE;
}

gboolean ash_package_find(AshRepo *repo, const AshLockPackage *locked, AshPackage **out_package,
		GError **error)
{
	g_autofree char *ref = ash_package_ref(locked);
	g_autoptr(AshPackage) package = g_new0(AshPackage, 1);

	package->locked = locked;
	if (!ash_repo_find_ref(repo, ref, &package->commit, error))
		return FALSE;
	if (package->commit == NULL) {
		*out_package = NULL;
		return TRUE;
	}
	if (!ash_repo_load_tree(repo, package->commit, &package->tree, error) ||
			!ash_repo_load_commit(repo, package->commit, NULL, NULL, &package->newest_s,
					error) ||
			!complete(repo, package, error))
		return FALSE;
	*out_package = g_steal_pointer(&package);
	return TRUE;
}

gboolean ash_package_import(AshRepo *repo, const AshLockPackage *locked, const char *path,
		AshPackage **out_package, GError **error)
{
	g_autofree char *what = g_strdup_printf("%s %s", locked->name, locked->version);
	g_autofree char *ref = ash_package_ref(locked);
	g_autoptr(AshPackage) package = g_new0(AshPackage, 1);

	package->locked = locked;
	if (!ash_deb_import(repo, path, locked->sha256, what, &package->tree, &package->newest_s,
			    error) ||
			!complete(repo, package, error))
		return FALSE;
	AshRepoCommitInfo info = {.subject = what, .ref = ref, .timestamp_s = package->newest_s};
	if (!ash_repo_write_tree(repo, package->tree, &info, &package->commit, error))
		return FALSE;
	*out_package = g_steal_pointer(&package);
	return TRUE;
}
