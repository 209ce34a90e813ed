/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/source.h"

#include <string.h>

#include "builder/apt.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_source_error, ash_source_error)

static void source_free(gpointer data)
{
	AshSource *source = data;

	g_free(source->mark);
	g_free(source->id);
	g_free(source->uri);
	g_free(source->path);
	g_free(source->suite);
	g_strfreev(source->components);
	g_free(source->keyring);
	g_free(source->inline_key);
	g_free(source);
}

static char *without_slash(const char *uri)
{
	size_t length = strlen(uri);

	while (length > 0 && uri[length - 1] == '/')
		length--;
	return g_strndup(uri, length);
}

/* ---- inherited ------------------------------------------------------------------------------- */

static bool is_rolling(const char *suite)
{
	return g_str_equal(suite, "sid") || g_str_equal(suite, "unstable");
}

char *ash_source_map_suite(const char *machine_suite, const char *suite)
{
	static const char *const never[] = {
			"-backports", "-backports-sloppy", "-proposed-updates", "-debug"};

	for (size_t i = 0; i < G_N_ELEMENTS(never); i++)
		if (g_str_has_suffix(machine_suite, never[i]))
			return NULL;
	if (g_str_equal(machine_suite, "experimental") ||
			g_str_equal(machine_suite, "proposed-updates"))
		return NULL;
	if (g_str_has_suffix(machine_suite, "-updates"))
		return is_rolling(suite) ? NULL : g_strconcat(suite, "-updates", NULL);
	/* "buster/updates" was the security suite's name for a long time. */
	if (g_str_has_suffix(machine_suite, "-security") ||
			g_str_has_suffix(machine_suite, "/updates"))
		return is_rolling(suite) ? NULL : g_strconcat(suite, "-security", NULL);
	if (strchr(machine_suite, '/') != NULL)
		return NULL;
	return g_strdup(suite);
}

static bool can_fetch(const char *uri)
{
	return g_str_has_prefix(uri, "http://") || g_str_has_prefix(uri, "https://") ||
	       g_str_has_prefix(uri, "file:/");
}

/* Two machine sources may become one, as stable and bookworm do. */
static AshSource *find_same(GPtrArray *sources, const char *uri, const char *suite)
{
	for (guint i = 0; i < sources->len; i++) {
		AshSource *source = g_ptr_array_index(sources, i);
		if (g_str_equal(source->uri, uri) && g_str_equal(source->suite, suite))
			return source;
	}
	return NULL;
}

static void merge_components(AshSource *source, char **components)
{
	g_autoptr(GStrvBuilder) merged = g_strv_builder_new();

	for (char **component = source->components; *component != NULL; component++)
		g_strv_builder_add(merged, *component);
	for (char **component = components; *component != NULL; component++)
		if (!g_strv_contains((const char *const *) source->components, *component))
			g_strv_builder_add(merged, *component);
	g_strfreev(source->components);
	source->components = g_strv_builder_end(merged);
}

static void add_inherited(GPtrArray *sources, const AshAptEntry *entry, const char *take_suite,
		bool is_known_debian)
{
	AshSource *source = find_same(sources, entry->uri, take_suite);

	if (source != NULL) {
		merge_components(source, entry->components);
		return;
	}
	source = g_new0(AshSource, 1);
	source->mark = g_strdup(entry->mark);
	source->id = g_strdup(take_suite);
	source->kind = "inherited";
	source->uri = g_strdup(entry->uri);
	source->suite = g_strdup(take_suite);
	source->components = g_strdupv(entry->components);
	source->is_trusted = entry->is_trusted;
	source->inline_key = g_strdup(entry->inline_key);
	if (source->inline_key == NULL)
		source->keyring = g_strdup(entry->keyring != NULL ? entry->keyring
								  : ASH_SOURCE_DEBIAN_KEYRING);
	source->is_known_debian = is_known_debian;
	source->priority = 500;
	g_ptr_array_add(sources, source);
}

static bool has_debian_keyring(const AshAptEntry *entry)
{
	return entry->keyring != NULL &&
	       g_str_has_prefix(entry->keyring, "/usr/share/keyrings/debian-archive-");
}

static gboolean inherit(
		const char *suite, AshProgress *progress, GPtrArray *sources, GError **error)
{
	g_autoptr(GPtrArray) entries = NULL;

	if (!ash_apt_load(&entries, error))
		return FALSE;
	for (guint i = 0; i < entries->len; i++) {
		const AshAptEntry *entry = g_ptr_array_index(entries, i);
		g_autofree char *mapped = ash_source_map_suite(entry->suite, suite);
		if (mapped == NULL)
			continue;
		g_autofree char *origin = ash_apt_known_origin(entry);
		if (origin != NULL && !g_str_equal(origin, "Debian")) {
			ash_progress_note(progress, "%s: '%s' is not Debian's, leaving it out",
					entry->mark, entry->suite);
			continue;
		}
		if (!can_fetch(entry->uri)) {
			ash_progress_note(progress, "%s: not http, https or file, leaving it out",
					entry->mark);
			continue;
		}
		add_inherited(sources, entry, mapped, origin != NULL || has_debian_keyring(entry));
	}
	if (sources->len == 0)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_NONE,
				"the apt sources of this machine name no Debian archive; list "
				"'repositories:' in the manifest");
	return TRUE;
}

/* ---- explicit -------------------------------------------------------------------------------- */

static void add_explicit(
		GPtrArray *sources, const AshManifestRepository *repository, const char *suite)
{
	AshSource *source = g_new0(AshSource, 1);

	source->mark = g_strdup(repository->mark);
	source->id = g_strdup(repository->id);
	source->is_trusted = repository->is_trusted;
	source->priority = repository->priority;
	if (repository->path != NULL) {
		source->kind = "directory";
		source->path = g_strdup(repository->path);
	} else {
		source->kind = g_str_has_suffix(suite, "/") ? "flat" : "repository";
		source->uri = without_slash(repository->uri);
		source->suite = g_strdup(suite);
	}
	source->components = repository->components != NULL ? g_strdupv(repository->components)
							    : g_new0(char *, 1);
	if (!repository->is_trusted)
		source->keyring = g_strdup(repository->keyring != NULL ? repository->keyring
								       : ASH_SOURCE_DEBIAN_KEYRING);
	g_ptr_array_add(sources, source);
}

gboolean ash_source_list(const AshManifest *manifest, AshProgress *progress,
		GPtrArray **out_sources, GError **error)
{
	g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func(source_free);
	GPtrArray *repositories = manifest->repositories;

	if (repositories == NULL || repositories->len == 0) {
		if (!inherit(manifest->suite, progress, sources, error))
			return FALSE;
	} else {
		for (guint i = 0; i < repositories->len; i++) {
			const AshManifestRepository *item = g_ptr_array_index(repositories, i);
			if (item->path != NULL || item->suites == NULL || *item->suites == NULL) {
				add_explicit(sources, item, "./");
				continue;
			}
			for (char **suite = item->suites; *suite != NULL; suite++)
				add_explicit(sources, item, *suite);
		}
	}
	*out_sources = g_steal_pointer(&sources);
	return TRUE;
}

/* ---- a locked package's URIs ----------------------------------------------------------------- */

static void add_uri(GPtrArray *uris, const char *base, const char *path)
{
	/* Debian's file names need no escaping but for '~' and '+', which are fine in a path. */
	g_autofree char *escaped =
			g_uri_escape_string(path, G_URI_RESERVED_CHARS_ALLOWED_IN_PATH "~+", FALSE);
	g_autofree char *uri = g_strconcat(base, "/", escaped, NULL);

	if (!g_ptr_array_find_with_equal_func(uris, uri, g_str_equal, NULL))
		g_ptr_array_add(uris, g_steal_pointer(&uri));
}

static gboolean add_file_uri(GPtrArray *uris, const char *dir, const char *path, GError **error)
{
	g_autofree char *absolute_dir = g_canonicalize_filename(dir, NULL);
	g_autofree char *full = g_build_filename(absolute_dir, path, NULL);
	char *uri = g_filename_to_uri(full, NULL, error);

	if (uri == NULL)
		return FALSE;
	g_ptr_array_add(uris, uri);
	return TRUE;
}

/* The manifest says where its .debs are: in a layer's directory, or beside the sources. Its hash tells
 * one from another of the same name. */
static gboolean add_local(GPtrArray *uris, const AshManifest *manifest, const AshLock *lock,
		const AshLockPackage *package, GError **error)
{
	g_autofree char *dir = lock->file != NULL ? g_path_get_dirname(lock->file)
						  : g_strdup(manifest->dir);
	g_autofree char *name = g_path_get_basename(package->path);

	for (guint i = 0; manifest->debs != NULL && i < manifest->debs->len; i++) {
		const char *path = manifest->debs->pdata[i];
		g_autofree char *uri = NULL;
		if (!g_str_equal(strrchr(path, '/') + 1, name))
			continue;
		uri = g_filename_to_uri(path, NULL, error);
		if (uri == NULL)
			return FALSE;
		g_ptr_array_add(uris, g_steal_pointer(&uri));
	}
	return add_file_uri(uris, dir, package->path, error);
}

/* Sources that might be Debian's: the package's hash decides in the end. */
static gboolean add_inherited_uris(GPtrArray *uris, const AshManifest *manifest,
		const AshLockOrigin *origin, const char *path, GError **error)
{
	g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func(source_free);

	if (!inherit(manifest->suite, NULL, sources, error))
		return FALSE;
	for (int want_known = 1; want_known >= 0; want_known--)
		for (guint i = 0; i < sources->len; i++) {
			const AshSource *source = g_ptr_array_index(sources, i);
			if (source->is_known_debian == (want_known == 1) &&
					g_str_equal(source->suite, origin->suite))
				add_uri(uris, source->uri, path);
		}
	return TRUE;
}

/* A repository with several suites has an origin for each: "main-trixie". */
static bool is_origin_of(const char *repository, const char *origin)
{
	size_t length = strlen(repository);

	return strncmp(repository, origin, length) == 0 &&
	       (origin[length] == '\0' || origin[length] == '-');
}

static gboolean add_explicit_uris(GPtrArray *uris, const AshManifest *manifest,
		const AshLockOrigin *origin, const char *path, GError **error)
{
	GPtrArray *repositories = manifest->repositories;

	/* The manifest's word is newer than the lock's: a mirror may have moved. */
	for (guint i = 0; repositories != NULL && i < repositories->len; i++) {
		const AshManifestRepository *item = g_ptr_array_index(repositories, i);
		if (!is_origin_of(item->id, origin->id))
			continue;
		if (item->path != NULL)
			return add_file_uri(uris, item->path, path, error);
		g_autofree char *base = without_slash(item->uri);
		add_uri(uris, base, path);
	}
	if (origin->uri != NULL) {
		g_autofree char *base = without_slash(origin->uri);
		add_uri(uris, base, path);
	}
	return TRUE;
}

gboolean ash_source_package_uris(const AshManifest *manifest, const AshLock *lock,
		const AshLockPackage *package, char ***out_uris, GError **error)
{
	g_autoptr(GPtrArray) uris = g_ptr_array_new_with_free_func(g_free);

	g_assert(package->origin >= 0 && (guint) package->origin < lock->origins->len);
	const AshLockOrigin *origin = g_ptr_array_index(lock->origins, (guint) package->origin);
	gboolean is_ok = FALSE;
	if (g_str_equal(origin->kind, "file"))
		is_ok = add_local(uris, manifest, lock, package, error);
	else if (g_str_equal(origin->kind, "inherited"))
		is_ok = add_inherited_uris(uris, manifest, origin, package->path, error);
	else
		is_ok = add_explicit_uris(uris, manifest, origin, package->path, error);
	if (!is_ok)
		return FALSE;
	if (uris->len == 0)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_UNKNOWN,
				"%s %s: this machine has no source for '%s', suite '%s'",
				package->name, package->version, origin->id,
				origin->suite != NULL ? origin->suite : "");
	g_ptr_array_add(uris, NULL);
	*out_uris = (char **) g_ptr_array_free(g_steal_pointer(&uris), FALSE);
	return TRUE;
}
