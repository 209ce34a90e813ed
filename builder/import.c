/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/import.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <stdbool.h>
#include <unistd.h>

#include "builder/deb.h"
#include "builder/source.h"
#include "lib/error.h"
#include "lib/fetch.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/text.h"

enum {
	FETCH_PARALLEL = 8,
	KEPT_HASH_DIGITS = 16,
};

typedef struct {
	AshCache *cache;
	AshRepo *repo;
	const AshManifest *manifest;
	const AshLock *lock;
	AshProgress *progress;
	GPtrArray *packages; /* AshPackage or NULL, by index of the lock */
	GThreadPool *pool;
	GArray *fetched; /* guint: index of the lock, by index of the fetch item */
	gint done;       /* atomic */
	gint damaged;    /* atomic: files of debs/ that were not the locked ones any more */
	bool is_retry;   /* a damaged file was just downloaded: there is nothing left to try */
	guint missing;
	GMutex lock_error;
	GError *error; /* the first */
} Import;

char *ash_import_deb_path(const AshCache *cache, const AshLockPackage *locked)
{
	g_autofree char *version = g_strdup(locked->version);
	g_autofree char *hash = g_strndup(locked->sha256, KEPT_HASH_DIGITS);

	/* An epoch's colon would need quoting in every shell. */
	g_strdelimit(version, ":", '%');
	g_autofree char *name = g_strdup_printf(
			"debs/%s_%s_%s_%s.deb", locked->name, version, locked->arch, hash);
	return ash_cache_path(cache, name);
}

static void keep_error(Import *import, GError *take_error)
{
	g_mutex_lock(&import->lock_error);
	if (import->error == NULL)
		import->error = g_steal_pointer(&take_error);
	g_mutex_unlock(&import->lock_error);
	g_clear_error(&take_error);
}

static bool has_error(Import *import)
{
	g_mutex_lock(&import->lock_error);
	bool found = import->error != NULL;
	g_mutex_unlock(&import->lock_error);
	return found;
}

/* GThreadPool's data cannot be NULL: indices are one up. */
static void import_one(gpointer data, gpointer user_data)
{
	Import *import = user_data;
	guint index = GPOINTER_TO_UINT(data) - 1;
	const AshLockPackage *locked = import->lock->packages->pdata[index];
	g_autofree char *path = ash_import_deb_path(import->cache, locked);
	g_autoptr(GError) error = NULL;
	AshPackage *package = NULL;

	if (has_error(import))
		return;
	if (!ash_package_import(import->repo, locked, path, &package, &error)) {
		/* What a disk or a person has spoilt is not the archive's fault: it is fetched again. */
		if (g_error_matches(error, ASH_DEB_ERROR, ASH_DEB_ERROR_MISMATCH) &&
				!import->is_retry && unlink(path) == 0) {
			g_atomic_int_inc(&import->damaged);
			return;
		}
		keep_error(import, g_steal_pointer(&error));
		return;
	}
	import->packages->pdata[index] = package;
	int done = g_atomic_int_add(&import->done, 1) + 1;
	ash_progress_update(import->progress, (uint64_t) done, import->missing,
			ASH_PROGRESS_UNIT_ITEMS);
}

/* The kernel's package takes as long as a hundred small ones: it must not come last. */
static int compare_sizes(gconstpointer a, gconstpointer b, gpointer user_data)
{
	const Import *import = user_data;
	const AshLockPackage *x = import->lock->packages->pdata[GPOINTER_TO_UINT(a) - 1];
	const AshLockPackage *y = import->lock->packages->pdata[GPOINTER_TO_UINT(b) - 1];

	return x->size < y->size ? 1 : x->size > y->size ? -1 : 0;
}

static gboolean push(Import *import, guint index, GError **error)
{
	return g_thread_pool_push(import->pool, GUINT_TO_POINTER(index + 1), error);
}

static gboolean on_fetched(size_t item, gpointer data, GError **error)
{
	Import *import = data;

	if (has_error(import))
		return ash_throw(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "an import failed");
	return push(import, g_array_index(import->fetched, guint, item), error);
}

/* What a fetch needs, owned here. */
typedef struct {
	GPtrArray *uris;  /* char ** */
	GPtrArray *texts; /* char * */
	GArray *items;    /* AshFetchItem */
} Downloads;

static void downloads_clear(Downloads *downloads)
{
	g_clear_pointer(&downloads->uris, g_ptr_array_unref);
	g_clear_pointer(&downloads->texts, g_ptr_array_unref);
	g_clear_pointer(&downloads->items, g_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Downloads, downloads_clear)

static gboolean add_download(
		Import *import, Downloads *downloads, guint index, char *take_path, GError **error)
{
	const AshLockPackage *locked = import->lock->packages->pdata[index];
	char *what = g_strdup_printf("%s %s", locked->name, locked->version);
	char **uris = NULL;

	g_ptr_array_add(downloads->texts, take_path);
	g_ptr_array_add(downloads->texts, what);
	if (!ash_source_package_uris(import->manifest, import->lock, locked, &uris, error))
		return FALSE;
	g_ptr_array_add(downloads->uris, uris);
	AshFetchItem item = {
			.uris = (const char *const *) uris,
			.dest = take_path,
			.sha256 = locked->sha256,
			.size = locked->size,
			.what = what,
	};
	g_array_append_val(downloads->items, item);
	g_array_append_val(import->fetched, index);
	return TRUE;
}

/* Pushes what is in debs/ already, and downloads the rest. */
static gboolean feed(Import *import, AshImportStats *stats, GError **error)
{
	g_auto(Downloads) downloads = {
			.uris = g_ptr_array_new_with_free_func((GDestroyNotify) g_strfreev),
			.texts = g_ptr_array_new_with_free_func(g_free),
			.items = g_array_new(FALSE, FALSE, sizeof(AshFetchItem)),
	};
	g_autoptr(GError) cause = NULL;

	g_array_set_size(import->fetched, 0);
	for (guint i = 0; i < import->lock->packages->len; i++) {
		const AshLockPackage *locked = import->lock->packages->pdata[i];
		bool exists = false;
		if (import->packages->pdata[i] != NULL)
			continue;
		char *path = ash_import_deb_path(import->cache, locked);
		if (!ash_file_exists(AT_FDCWD, path, &exists, error)) {
			g_free(path);
			return FALSE;
		}
		if (exists) {
			g_free(path);
			if (!push(import, i, error))
				return FALSE;
		} else if (!add_download(import, &downloads, i, path, error)) {
			return FALSE;
		} else {
			stats->downloaded_bytes += locked->size;
		}
	}
	if (downloads.items->len == 0)
		return TRUE;
	const AshFetchItem *items = (const AshFetchItem *) (gconstpointer) downloads.items->data;
	if (ash_fetch_run(items, downloads.items->len, FETCH_PARALLEL, on_fetched, import,
			    import->progress, &cause))
		return TRUE;
	if (g_error_matches(cause, ASH_FETCH_ERROR, ASH_FETCH_ERROR_GONE))
		return ash_throw(error, cause->domain, cause->code,
				"%s; the archive has it no more (run 'ashlar lock --update' to lock what it has now)",
				cause->message);
	g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}

static gboolean find_all(Import *import, GError **error)
{
	import->missing = 0;
	for (guint i = 0; i < import->lock->packages->len; i++) {
		AshPackage *package = NULL;
		if (import->packages->pdata[i] != NULL)
			continue;
		if (!ash_interrupt_check(error) ||
				!ash_package_find(import->repo, import->lock->packages->pdata[i],
						&package, error))
			return FALSE;
		import->packages->pdata[i] = package;
		import->missing += package == NULL;
	}
	return TRUE;
}

static gboolean import_missing(
		Import *import, unsigned threads, AshImportStats *stats, GError **error)
{
	g_autofree char *text = g_strdup_printf("importing %u packages", import->missing);
	g_autoptr(GError) feed_error = NULL;

	import->done = 0;
	ash_progress_begin(import->progress, "import", text);
	if (!ash_repo_begin(import->repo, error))
		return FALSE;
	import->pool = g_thread_pool_new(import_one, import,
			(int) (threads > 0 ? threads : g_get_num_processors()), TRUE, error);
	if (import->pool == NULL)
		return FALSE;
	g_thread_pool_set_sort_function(import->pool, compare_sizes, import);
	gboolean ok = feed(import, stats, &feed_error);
	if (!ok)
		keep_error(import, g_steal_pointer(&feed_error));
	g_thread_pool_free(import->pool, FALSE, TRUE);

	/* What has been imported is whole, and kept, whatever became of the rest. */
	if (!ash_repo_commit(import->repo, import->error == NULL ? error : NULL) &&
			import->error == NULL)
		return FALSE;
	if (import->error != NULL) {
		g_propagate_error(error, g_steal_pointer(&import->error));
		return FALSE;
	}
	stats->imported += (guint) import->done;
	g_autofree char *size = ash_text_size(stats->downloaded_bytes);
	ash_progress_end(import->progress, "%d packages imported, %s downloaded", import->done,
			size);
	return TRUE;
}

static gboolean import_all(Import *import, unsigned threads, AshImportStats *stats, GError **error)
{
	/* Another build may have brought them while this one waited. */
	if (!find_all(import, error))
		return FALSE;
	if (import->missing == 0)
		return TRUE;
	if (!import_missing(import, threads, stats, error))
		return FALSE;
	if (import->damaged == 0)
		return TRUE;
	ash_progress_note(import->progress,
			"%d packages had been damaged in the cache, fetching them again",
			import->damaged);
	import->is_retry = true;
	return find_all(import, error) && import_missing(import, threads, stats, error);
}

gboolean ash_import_lock(AshCache *cache, AshRepo *repo, const AshManifest *manifest,
		const AshLock *lock, unsigned threads, AshProgress *progress,
		GPtrArray **out_packages, AshImportStats *out_stats, GError **error)
{
	g_autoptr(GPtrArray) packages =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_package_free);
	g_autoptr(GArray) fetched = g_array_new(FALSE, FALSE, sizeof(guint));
	Import import = {
			.cache = cache,
			.repo = repo,
			.manifest = manifest,
			.lock = lock,
			.progress = progress,
			.packages = packages,
			.fetched = fetched,
	};
	AshImportStats stats = {0};

	g_ptr_array_set_size(packages, (gint) lock->packages->len);
	if (!find_all(&import, error))
		return FALSE;
	if (import.missing > 0) {
		if (!ash_cache_begin_write(cache, progress, error))
			return FALSE;
		g_mutex_init(&import.lock_error);
		gboolean ok = import_all(&import, threads, &stats, error);
		g_mutex_clear(&import.lock_error);
		g_clear_error(&import.error);
		ash_cache_end_write(cache);
		if (!ok)
			return FALSE;
	}
	*out_packages = g_steal_pointer(&packages);
	*out_stats = stats;
	return TRUE;
}
