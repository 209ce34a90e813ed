/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/package.h"

#include <string.h>

#include "builder/deb.h"
#include "builder/deb822.h"
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

static gboolean take_fields(const AshParagraph *paragraph, gpointer data, GError **error)
{
	GHashTable *fields = data;

	for (size_t i = 0; i < paragraph->count; i++)
		g_hash_table_insert(fields, g_ascii_strdown(paragraph->fields[i].name, -1),
				g_strdup(paragraph->fields[i].value));
	return TRUE;
}

static gboolean parse_control(AshPackage *package, GError **error)
{
	g_autofree char *what = g_strdup_printf("control file of %s", package->locked->name);
	g_autoptr(GError) cause = NULL;

	package->fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	if (!ash_deb822_parse(what, package->control, ASH_DEB822_MAX_STANZA_BYTES, take_fields,
			    package->fields, &cause))
		return ash_throw(error, ASH_PACKAGE_ERROR, ASH_PACKAGE_ERROR_CONTROL, "%s",
				cause->message);
	return TRUE;
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
