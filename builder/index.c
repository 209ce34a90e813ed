/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/index.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "builder/deb-release.h"
#include "builder/index-debs.h"
#include "lib/archive.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/fetch.h"
#include "lib/file.h"

enum {
	READ_BYTES = 1 << 16,
	BARE_MAX_BYTES = 128 << 20, /* of a Packages file that is read into memory */
};

static void index_free(gpointer data)
{
	AshIndex *index = data;

	g_free(index->what);
	g_free(index->component);
	g_free(index->label);
	g_free(index->dir);
	g_free(index->digest);
	g_free(index->path);
	g_free(index->by_hash_path);
	g_free(index->sha256);
	g_clear_pointer(&index->debs, g_ptr_array_unref);
	g_free(index);
}

GPtrArray *ash_index_list_new(void)
{
	return g_ptr_array_new_with_free_func(index_free);
}

static bool is_flat(const AshSource *source)
{
	return g_str_equal(source->kind, "flat");
}

/* Where the Release file stands, with a '/' at its end unless empty: "dists/trixie/", "debs/", "". */
static char *release_dir(const AshSource *source)
{
	const char *suite = source->suite;

	if (!is_flat(source))
		return g_strdup_printf("dists/%s/", suite);
	while (g_str_has_prefix(suite, "./"))
		suite += 2;
	return g_str_equal(suite, "/") ? g_strdup("") : g_strdup(suite);
}

static char *cache_dir_of(const AshSource *source, const char *cache_dir)
{
	g_autofree char *key =
			source->uri != NULL ? g_strdup_printf("%s\n%s", source->uri, source->suite)
					    : g_strdup_printf("path\n%s", source->path);
	g_autofree char *digest = ash_sha256_hex(key, strlen(key));

	digest[16] = '\0';
	return g_build_filename(cache_dir, "index", digest, NULL);
}

/* ---- the Release file ------------------------------------------------------------------------ */

typedef struct {
	GBytes *text;      /* InRelease or Release, as fetched */
	GBytes *signature; /* Release.gpg; NULL for InRelease */
	char *what;        /* URI, for messages */
} Fetched;

static void fetched_clear(Fetched *fetched)
{
	g_clear_pointer(&fetched->text, g_bytes_unref);
	g_clear_pointer(&fetched->signature, g_bytes_unref);
	g_clear_pointer(&fetched->what, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fetched, fetched_clear)

static gboolean fetch_one(const AshSource *source, const char *dir, const char *name, size_t max,
		GBytes **out_bytes, char **out_uri, GError **error)
{
	g_autofree char *uri = g_strdup_printf("%s/%s%s", source->uri, dir, name);

	if (!ash_fetch_bytes(uri, max, out_bytes, error))
		return FALSE;
	if (out_uri != NULL)
		*out_uri = g_steal_pointer(&uri);
	return TRUE;
}

/* InRelease; where there is none, Release with Release.gpg. */
static gboolean fetch_release(const AshSource *source, Fetched *fetched, GError **error)
{
	g_autofree char *dir = release_dir(source);
	g_autoptr(GError) local = NULL;

	if (fetch_one(source, dir, "InRelease", ASH_DEB_RELEASE_MAX_BYTES, &fetched->text,
			    &fetched->what, &local))
		return TRUE;
	if (!g_error_matches(local, ASH_FETCH_ERROR, ASH_FETCH_ERROR_GONE)) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	if (!fetch_one(source, dir, "Release", ASH_DEB_RELEASE_MAX_BYTES, &fetched->text,
			    &fetched->what, error))
		return FALSE;
	return source->is_trusted ||
	       fetch_one(source, dir, "Release.gpg", ASH_DEB_RELEASE_MAX_SIGNATURE_BYTES,
			       &fetched->signature, NULL, error);
}

static gboolean load_cached(const char *dir, const char *name, GBytes **out_bytes)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);

	/* A question: what cannot be read is not there. */
	return ash_file_read(AT_FDCWD, path, ASH_DEB_RELEASE_MAX_BYTES, out_bytes, NULL);
}

static gboolean load_release(
		const AshSource *source, const char *dir, Fetched *fetched, GError **error)
{
	fetched->what = g_strdup_printf("%s %s (cached)", source->uri, source->suite);
	if (load_cached(dir, "InRelease", &fetched->text))
		return TRUE;
	if (load_cached(dir, "Release", &fetched->text) &&
			(source->is_trusted ||
					load_cached(dir, "Release.gpg", &fetched->signature)))
		return TRUE;
	return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_OFFLINE,
			"%s %s was never fetched, and --offline was asked for", source->uri,
			source->suite);
}

static gboolean save_one(const char *dir, const char *name, GBytes *bytes, GError **error)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	gsize size = 0;

	if (bytes == NULL) {
		if (unlink(path) < 0 && errno != ENOENT)
			return ash_throw_errno(error, "%s", path);
		return TRUE;
	}
	const void *data = g_bytes_get_data(bytes, &size);
	return ash_file_replace(AT_FDCWD, path, data, size, 0644, error);
}

/* Only what was believed is kept. An InRelease has its signature inside. */
static gboolean save_release(const char *dir, const Fetched *fetched, GError **error)
{
	bool is_inline = g_str_has_suffix(fetched->what, "/InRelease");

	return ash_file_ensure_dir(AT_FDCWD, dir, 0755, error) &&
	       save_one(dir, "Release.gpg", fetched->signature, error) &&
	       save_one(dir, "Release", is_inline ? NULL : fetched->text, error) &&
	       save_one(dir, "InRelease", is_inline ? fetched->text : NULL, error);
}

static gboolean signed_text(
		const AshSource *source, const Fetched *fetched, GBytes **out_text, GError **error)
{
	if (!source->is_trusted)
		return ash_deb_release_verify(fetched->what, fetched->text, fetched->signature,
				source->keyring, source->inline_key, out_text, error);
	if (!ash_deb_release_strip_signature(fetched->what, fetched->text, out_text, NULL))
		*out_text = g_bytes_ref(fetched->text);
	return TRUE;
}

static gboolean check_suite(const AshSource *source, const AshDebRelease *release, const char *what,
		GError **error)
{
	if (is_flat(source) || g_strcmp0(release->suite, source->suite) == 0 ||
			g_strcmp0(release->codename, source->suite) == 0)
		return TRUE;
	return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_MISMATCH,
			"%s: is for suite '%s' (%s), not '%s'", what,
			release->suite != NULL ? release->suite : "",
			release->codename != NULL ? release->codename : "", source->suite);
}

/* A foreign archive is no reason to fail, and its key is not in Debian's keyring: so whose it says it is
 * counts before its signature. Nothing else is taken from that text, and a source that is known to be
 * Debian's is not asked, or whoever stands between could make the security archive go away.
 */
static bool claims_debian(const Fetched *fetched)
{
	g_autoptr(GBytes) claimed = NULL;
	g_autoptr(AshDebRelease) claim = NULL;

	if (!ash_deb_release_strip_signature(fetched->what, fetched->text, &claimed, NULL))
		claimed = g_bytes_ref(fetched->text);
	return ash_deb_release_parse(fetched->what, claimed, &claim, NULL) &&
	       g_strcmp0(claim->origin, "Debian") == 0;
}

/* *out_release is NULL when the source is inherited and not Debian's. */
static gboolean believe_release(const AshSource *source, const AshIndexOptions *options,
		const Fetched *fetched, AshDebRelease **out_release, GError **error)
{
	bool is_inherited = g_str_equal(source->kind, "inherited");
	g_autoptr(AshDebRelease) release = NULL;
	g_autoptr(GBytes) text = NULL;

	if (is_inherited && !source->is_known_debian && !claims_debian(fetched)) {
		ash_progress_note(options->progress, "%s: not an archive of Debian, leaving it out",
				source->mark);
		*out_release = NULL;
		return TRUE;
	}
	if (!signed_text(source, fetched, &text, error) ||
			!ash_deb_release_parse(fetched->what, text, &release, error) ||
			!check_suite(source, release, fetched->what, error))
		return FALSE;
	if (is_inherited && g_strcmp0(release->origin, "Debian") != 0)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_MISMATCH,
				"%s: is not Debian's any more, but of '%s'", fetched->what,
				release->origin != NULL ? release->origin : "");
	if (!options->offline && !ash_deb_release_check_date(release, fetched->what,
						 g_get_real_time() / G_USEC_PER_SEC, error))
		return FALSE;
	*out_release = g_steal_pointer(&release);
	return TRUE;
}

/* ---- which indices --------------------------------------------------------------------------- */

static AshIndex *index_new(const AshSource *source, const char *dir)
{
	AshIndex *index = g_new0(AshIndex, 1);

	index->source = source;
	index->dir = g_strdup(dir);
	index->label = g_strdup("");
	return index;
}

/* "Packages" in the best compression that the Release file lists; false when it lists none. */
static bool add_packages(const AshSource *source, const AshDebRelease *release, const char *dir,
		const char *component, const char *arch, GPtrArray *indices)
{
	static const char *const suffixes[] = {".zst", ".xz", ".gz", ""};
	g_autofree char *base = release_dir(source);
	g_autofree char *below = component != NULL
						 ? g_strdup_printf("%s/binary-%s/", component, arch)
						 : g_strdup("");

	for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++) {
		g_autofree char *name = g_strdup_printf("%sPackages%s", below, suffixes[i]);
		const AshDebReleaseFile *file = ash_deb_release_find(release, name);
		if (file == NULL)
			continue;
		AshIndex *index = index_new(source, dir);
		index->what = component != NULL
					      ? g_strdup_printf("%s/%s", source->suite, component)
					      : g_strdup_printf("%s %s", source->id, source->suite);
		index->component = g_strdup(component);
		g_free(index->label);
		index->label = g_strdup(release->label != NULL ? release->label : "");
		index->digest = g_strdup(file->sha256);
		index->sha256 = g_strdup(file->sha256);
		index->size = file->size;
		index->path = g_strconcat(base, name, NULL);
		if (release->acquire_by_hash)
			index->by_hash_path = g_strdup_printf(
					"%s%sby-hash/SHA256/%s", base, below, file->sha256);
		g_ptr_array_add(indices, index);
		return true;
	}
	return false;
}

static char *joined_components(const AshDebRelease *release)
{
	return release->components != NULL ? g_strjoinv(", ", release->components)
					   : g_strdup("none");
}

static gboolean add_component(const AshSource *source, const AshDebRelease *release,
		const AshIndexOptions *options, const char *dir, const char *component,
		GPtrArray *indices, GError **error)
{
	bool has_arch = add_packages(source, release, dir, component, options->arch, indices);
	bool has_all = !release->has_all_in_each &&
		       add_packages(source, release, dir, component, "all", indices);

	if (has_arch || has_all)
		return TRUE;
	if (g_str_equal(source->kind, "inherited")) {
		ash_progress_note(options->progress,
				"%s: no component '%s' in '%s', leaving it out", source->mark,
				component, source->suite);
		return TRUE;
	}
	g_autofree char *components = joined_components(release);
	return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_MISMATCH,
			"%s: suite '%s' of '%s' has no component '%s' for %s; components: %s",
			source->mark, source->suite, source->uri, component, options->arch,
			components);
}

static gboolean add_indices(const AshSource *source, const AshDebRelease *release,
		const AshIndexOptions *options, const char *dir, GPtrArray *indices, GError **error)
{
	if (is_flat(source)) {
		if (add_packages(source, release, dir, NULL, options->arch, indices))
			return TRUE;
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_MISMATCH,
				"%s: the Release file of '%s' lists no Packages file", source->mark,
				source->uri);
	}
	for (char **component = source->components; *component != NULL; component++)
		if (!add_component(source, release, options, dir, *component, indices, error))
			return FALSE;
	return TRUE;
}

/* A flat repository that nobody signed and that has no Release file: only its Packages file is there,
 * so each look at it fetches it. Small, or made by hand; never a reason to trust more.
 */
static gboolean open_bare_flat(const AshSource *source, const AshIndexOptions *options,
		const char *dir, GPtrArray *indices, GError **error)
{
	static const char *const names[] = {"Packages.xz", "Packages.gz", "Packages"};
	g_autofree char *base = release_dir(source);
	g_autoptr(GError) last = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autoptr(GBytes) bytes = NULL;
		g_clear_error(&last);
		if (options->offline || !fetch_one(source, base, names[i], BARE_MAX_BYTES, &bytes,
							NULL, &last))
			continue;
		gsize size = 0;
		const void *data = g_bytes_get_data(bytes, &size);
		AshIndex *index = index_new(source, dir);
		index->what = g_strdup_printf("%s %s", source->id, source->suite);
		index->digest = ash_sha256_hex(data, size);
		index->sha256 = g_strdup(index->digest);
		index->size = size;
		index->path = g_strconcat(base, names[i], NULL);
		g_ptr_array_add(indices, index);
		return ash_file_ensure_dir(AT_FDCWD, dir, 0755, error);
	}
	if (last == NULL)
		return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_OFFLINE,
				"%s has no Release file, so --offline cannot use it", source->uri);
	g_propagate_error(error, g_steal_pointer(&last));
	return FALSE;
}

/* May a failure to get the Release file be passed over? */
static bool may_skip(const AshSource *source, const GError *error)
{
	return g_str_equal(source->kind, "inherited") && !source->is_known_debian &&
	       error->domain == ASH_FETCH_ERROR;
}

gboolean ash_index_open(const AshSource *source, const AshIndexOptions *options, GPtrArray *indices,
		GError **error)
{
	g_autofree char *dir = cache_dir_of(source, options->cache_dir);
	g_autoptr(AshDebRelease) release = NULL;
	g_autoptr(GError) local = NULL;
	g_auto(Fetched) fetched = {0};

	if (source->path != NULL)
		return ash_index_open_directory(source, dir, indices, error);
	if (options->offline ? !load_release(source, dir, &fetched, &local)
			     : !fetch_release(source, &fetched, &local)) {
		if (is_flat(source) && source->is_trusted &&
				(options->offline || g_error_matches(local, ASH_FETCH_ERROR,
								     ASH_FETCH_ERROR_GONE)))
			return open_bare_flat(source, options, dir, indices, error);
		if (!may_skip(source, local)) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
		ash_progress_note(options->progress, "%s: %s, leaving it out", source->mark,
				local->message);
		if (options->first_skipped != NULL && *options->first_skipped == NULL)
			*options->first_skipped = g_steal_pointer(&local);
		return TRUE;
	}
	if (!believe_release(source, options, &fetched, &release, error))
		return FALSE;
	if (release == NULL)
		return TRUE;
	return (options->offline || save_release(dir, &fetched, error)) &&
	       add_indices(source, release, options, dir, indices, error);
}

gboolean ash_index_open_debs(const AshSource *source, GPtrArray *take_paths, const char *cache_dir,
		GPtrArray *indices, GError **error)
{
	g_autofree char *dir = g_build_filename(cache_dir, "index", "debs", NULL);

	return ash_index_add_debs(source, dir, take_paths, indices, error);
}

/* ---- reading --------------------------------------------------------------------------------- */

static gboolean fetch_index(const AshIndex *index, const char *dest, GError **error)
{
	g_autofree char *by_hash = index->by_hash_path != NULL
						   ? g_strdup_printf("%s/%s", index->source->uri,
								     index->by_hash_path)
						   : NULL;
	g_autofree char *by_name = g_strdup_printf("%s/%s", index->source->uri, index->path);
	const char *const uris[] = {by_hash != NULL ? by_hash : by_name,
			by_hash != NULL ? by_name : NULL, NULL};
	g_autofree char *what = g_strdup_printf("the index of %s", index->what);
	const AshFetchItem item = {.uris = uris,
			.dest = dest,
			.sha256 = index->sha256,
			.size = index->size,
			.max_bytes = ASH_INDEX_MAX_BYTES,
			.what = what};
	g_autoptr(GError) local = NULL;

	if (ash_fetch_run(&item, 1, 1, NULL, NULL, NULL, &local))
		return TRUE;
	if (!g_error_matches(local, ASH_FETCH_ERROR, ASH_FETCH_ERROR_MISMATCH)) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_MISMATCH,
			"%s: not the file that the Release file names; the archive may just be changing, "
			"try again",
			local->message);
}

/* The text stands on disk, without a name, instead of in memory. */
static gboolean unpack(const char *path, const char *dir, int *out_fd, GError **error)
{
	ash_autofd int from = open(path, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return ash_throw_errno(error, "%s", path);
	ash_autofd int to = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (to < 0)
		return ash_throw_errno(error, "%s", dir);
	if (!ash_archive_decompress_fd(from, to, ASH_INDEX_MAX_BYTES, error))
		return FALSE;
	if (lseek(to, 0, SEEK_SET) < 0)
		return ash_throw_errno(error, "%s", dir);
	*out_fd = g_steal_fd(&to);
	return TRUE;
}

static gboolean feed(AshDeb822 *parser, int fd, GError **error)
{
	g_autofree char *piece = g_malloc(READ_BYTES);

	for (;;) {
		ssize_t size = read(fd, piece, READ_BYTES);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return ash_throw_errno(error, "read");
		if (size == 0)
			return ash_deb822_finish(parser, error);
		if (!ash_deb822_feed(parser, piece, (size_t) size, error))
			return FALSE;
	}
}

static gboolean read_packages(const AshIndex *index, const char *path, AshDeb822Callback callback,
		gpointer closure, GError **error)
{
	g_autoptr(AshDeb822) parser =
			ash_deb822_new(index->what, ASH_DEB822_MAX_STANZA_BYTES, callback, closure);
	ash_autofd int fd = -1;

	ASH_PREFIX("the index of %s", index->what);
	return unpack(path, index->dir, &fd, error) && feed(parser, fd, error);
}

gboolean ash_index_read(const AshIndex *index, const AshIndexOptions *options,
		AshDeb822Callback callback, gpointer closure, GError **error)
{
	if (index->debs != NULL)
		return ash_index_read_debs(index, callback, closure, error);
	if (options->offline)
		return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_OFFLINE,
				"the index of %s is not in the cache, and --offline was asked for",
				index->what);
	g_autofree char *path = g_strdup_printf("%s/%s.packages", index->dir, index->digest);
	gboolean is_ok = fetch_index(index, path, error) &&
			 read_packages(index, path, callback, closure, error);
	/* Its parsed form is what is kept. */
	if (unlink(path) < 0 && errno != ENOENT)
		g_debug("leaving '%s' behind", path);
	return is_ok;
}
