/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "builder/manifest-load.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"

/* Digests of a flat manifest. Every value is hashed with its length in front, and every list with its
 * number of items, so that no two manifests can look alike: ["ab", "c"] is not ["a", "bc"]. Map keys
 * have their fixed place here, hence their order in the file does not count; lists keep theirs.
 *
 * DIGEST_VERSION is hashed first: raise it when the meaning of a key changes.
 */

#define DIGEST_VERSION "ashlar-manifest-1"

/* ---- parts --------------------------------------------------------------------------------------- */

static void add_number(AshSha256 *hash, uint64_t number)
{
	uint64_t value = GUINT64_TO_LE(number);

	ash_sha256_update(hash, &value, sizeof value);
}

static void add_bytes(AshSha256 *hash, GBytes *bytes)
{
	size_t size = 0;
	const void *data = bytes != NULL ? g_bytes_get_data(bytes, &size) : NULL;

	/* No content is not the same as empty content. */
	add_number(hash, bytes != NULL ? size + 1 : 0);
	if (size > 0)
		ash_sha256_update(hash, data, size);
}

static void add_text(AshSha256 *hash, const char *text)
{
	add_number(hash, text != NULL ? strlen(text) + 1 : 0);
	if (text != NULL)
		ash_sha256_update(hash, text, strlen(text));
}

static void add_words(AshSha256 *hash, char *const *words)
{
	size_t n = 0;

	while (words != NULL && words[n] != NULL)
		n++;
	add_number(hash, n);
	for (size_t i = 0; i < n; i++)
		add_text(hash, words[i]);
}

static void add_texts(AshSha256 *hash, const GPtrArray *texts)
{
	add_number(hash, texts->len);
	for (guint i = 0; i < texts->len; i++)
		add_text(hash, texts->pdata[i]);
}

/* The name of a file, whatever directory it is in. */
static void add_basename(AshSha256 *hash, const char *path)
{
	g_autofree char *base = path != NULL ? g_path_get_basename(path) : NULL;

	add_text(hash, base);
}

static void add_packages(AshSha256 *hash, const GPtrArray *packages)
{
	add_number(hash, packages->len);
	for (guint i = 0; i < packages->len; i++) {
		const AshManifestPackage *package = packages->pdata[i];
		add_text(hash, package->name);
		add_text(hash, package->relation);
		add_text(hash, package->version);
	}
}

static void add_pins(AshSha256 *hash, const GPtrArray *pins)
{
	add_number(hash, pins->len);
	for (guint i = 0; i < pins->len; i++) {
		const AshManifestPin *pin = pins->pdata[i];
		add_text(hash, pin->package);
		add_text(hash, pin->version);
		add_text(hash, pin->suite);
	}
}

static void add_repositories(AshSha256 *hash, const GPtrArray *repositories)
{
	add_number(hash, repositories->len);
	for (guint i = 0; i < repositories->len; i++) {
		const AshManifestRepository *repository = repositories->pdata[i];
		add_text(hash, repository->id);
		add_text(hash, repository->uri);
		add_number(hash, repository->path != NULL);
		add_words(hash, repository->suites);
		add_words(hash, repository->components);
		add_number(hash, repository->keyring != NULL);
		add_number(hash, repository->is_flat);
		add_number(hash, repository->is_trusted);
		add_number(hash, repository->priority);
	}
}

static void add_files(AshSha256 *hash, const GPtrArray *files)
{
	add_number(hash, files->len);
	for (guint i = 0; i < files->len; i++) {
		const AshManifestFile *file = files->pdata[i];
		add_text(hash, file->path);
		add_number(hash, file->kind);
		add_bytes(hash, file->content);
		add_text(hash, file->target);
		add_number(hash, file->mode);
		add_text(hash, file->user);
		add_text(hash, file->group);
	}
}

static void add_users(AshSha256 *hash, const GPtrArray *users)
{
	add_number(hash, users->len);
	for (guint i = 0; i < users->len; i++) {
		const AshManifestUser *user = users->pdata[i];
		add_text(hash, user->name);
		add_number(hash, (uint64_t) user->id);
		add_text(hash, user->gecos);
		add_text(hash, user->home);
		add_text(hash, user->shell);
		add_words(hash, user->groups);
	}
}

static void add_units(AshSha256 *hash, const GPtrArray *units)
{
	add_number(hash, units->len);
	for (guint i = 0; i < units->len; i++) {
		const AshManifestUnit *unit = units->pdata[i];
		add_text(hash, unit->name);
		add_bytes(hash, unit->content);
		add_number(hash, unit->dropins->len);
		for (guint j = 0; j < unit->dropins->len; j++) {
			const AshManifestDropin *dropin = unit->dropins->pdata[j];
			add_text(hash, dropin->name);
			add_bytes(hash, dropin->content);
		}
		add_number(hash, unit->enable);
		add_number(hash, unit->disable);
		add_number(hash, unit->mask);
	}
}

static void add_scripts(AshSha256 *hash, const GPtrArray *scripts)
{
	add_number(hash, scripts->len);
	for (guint i = 0; i < scripts->len; i++) {
		const AshManifestScript *script = scripts->pdata[i];
		add_text(hash, script->name);
		add_bytes(hash, script->content);
	}
}

/* What both digests cover. */
static void add_solving(AshSha256 *hash, const AshManifest *manifest)
{
	add_text(hash, manifest->suite);
	add_text(hash, manifest->arch);
	add_number(hash, manifest->recommends);
	add_repositories(hash, manifest->repositories);
	add_packages(hash, manifest->packages);
	add_packages(hash, manifest->exclude);
	add_pins(hash, manifest->pins);
	add_number(hash, manifest->debs->len);
	for (guint i = 0; i < manifest->debs->len; i++)
		add_basename(hash, manifest->debs->pdata[i]);
}

/* Ends the computation and frees @hash. */
static char *finish(AshSha256 *hash)
{
	uint8_t digest[ASH_SHA256_BYTES];

	ash_sha256_finish(hash, digest);
	return ash_sha256_format(digest);
}

/* ---- the whole manifest -------------------------------------------------------------------------- */

char *ash_manifest_digest(const AshManifest *manifest)
{
	AshSha256 *hash = ash_sha256_new();

	add_text(hash, DIGEST_VERSION);
	add_solving(hash, manifest);
	add_number(hash, manifest->kind);
	add_text(hash, manifest->name);
	add_text(hash, manifest->version);
	add_text(hash, manifest->summary);
	add_text(hash, manifest->variant);
	add_files(hash, manifest->files);
	add_users(hash, manifest->users);
	add_users(hash, manifest->groups);
	add_units(hash, manifest->units);
	add_texts(hash, manifest->presets);
	add_texts(hash, manifest->kernel_arguments);
	add_texts(hash, manifest->remove_packages);
	add_texts(hash, manifest->remove_paths);
	add_texts(hash, manifest->keep_paths);
	add_scripts(hash, manifest->postprocess);
	add_number(hash, manifest->initramfs);
	add_texts(hash, manifest->initramfs_modules);
	add_texts(hash, manifest->kernel_modules);
	add_text(hash, manifest->hostname);
	add_text(hash, manifest->default_target);
	/* Behind all else, and only when it is there: digests from before there was such a key hold. */
	if (manifest->health != NULL) {
		g_autofree char *health = ash_health_spec_format(manifest->health);
		add_text(hash, health);
	}
	return finish(hash);
}

/* ---- what solving depends on --------------------------------------------------------------------- */

static gboolean add_content(AshSha256 *hash, const char *path, GError **error)
{
	g_autofree char *hex = NULL;
	uint64_t size;
	ash_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	ASH_PREFIX("%s", path);
	if (!ash_sha256_fd(fd, &hex, &size, error))
		return FALSE;
	add_text(hash, hex);
	return TRUE;
}

static int compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* The .debs in a directory, by name and content. */
static gboolean add_directory(AshSha256 *hash, const char *path, GError **error)
{
	g_autoptr(GDir) dir = g_dir_open(path, 0, error);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

	if (dir == NULL)
		return FALSE;
	for (const char *name; (name = g_dir_read_name(dir)) != NULL;)
		if (g_str_has_suffix(name, ".deb"))
			g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, compare_texts);
	add_texts(hash, names);
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *file = g_build_filename(path, names->pdata[i], NULL);
		if (!add_content(hash, file, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean add_local_content(AshSha256 *hash, const AshManifest *manifest, GError **error)
{
	for (guint i = 0; i < manifest->repositories->len; i++) {
		const AshManifestRepository *repository = manifest->repositories->pdata[i];
		if (repository->keyring != NULL && !add_content(hash, repository->keyring, error))
			return FALSE;
		if (repository->path != NULL && !add_directory(hash, repository->path, error))
			return FALSE;
	}
	for (guint i = 0; i < manifest->debs->len; i++) {
		const char *path = manifest->debs->pdata[i];
		if (access(path, F_OK) < 0 && errno == ENOENT)
			return ash_throw(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
					"%s is missing; the manifest's 'debs' are made before it is built ('make deb' makes Ashlar's own)",
					path);
		if (!add_content(hash, path, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_manifest_solve_digest(const AshManifest *manifest, char **out_digest, GError **error)
{
	g_autoptr(AshSha256) hash = ash_sha256_new();

	add_text(hash, DIGEST_VERSION);
	add_solving(hash, manifest);
	if (!add_local_content(hash, manifest, error))
		return FALSE;
	*out_digest = finish(g_steal_pointer(&hash));
	return TRUE;
}
