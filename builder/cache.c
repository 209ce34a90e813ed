/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/interrupt.h"

enum {
	/* How often a lock is tried again; flock(2) cannot wait for it and for an interrupt. */
	RETRY_MS = 100,
	TELL_AFTER_MS = 1000,
};

struct AshCache {
	char *dir;
	int lock_fd;
	int write_fd; /* -1 outside of _begin_write */
};

static gboolean open_lock(const char *dir, const char *name, int *out_fd, GError **error)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return ash_throw_errno(error, "opening '%s'", path);
	*out_fd = fd;
	return TRUE;
}

static gboolean wait_for(
		int fd, int operation, const char *dir, AshProgress *progress, GError **error)
{
	for (unsigned waited_ms = 0;; waited_ms += RETRY_MS) {
		struct pollfd interrupt = {.fd = ash_interrupt_fd(), .events = POLLIN};
		if (flock(fd, operation | LOCK_NB) == 0)
			return TRUE;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return ash_throw_errno(error, "locking '%s'", dir);
		if (waited_ms == TELL_AFTER_MS)
			ash_progress_note(progress, "another ashlar is using %s, waiting", dir);
		/* A negative descriptor is never ready: then this only sleeps. */
		if (poll(&interrupt, 1, RETRY_MS) < 0 && errno != EINTR)
			return ash_throw_errno(error, "waiting for '%s'", dir);
		if (!ash_interrupt_check(error))
			return FALSE;
	}
}

/* Only while nobody else has the cache open. */
static void sweep_scratch(const AshCache *cache)
{
	g_autoptr(GError) local = NULL;
	g_autofree char *path = ash_cache_path(cache, "scratch");

	if (!ash_file_remove_tree(AT_FDCWD, path, &local))
		g_debug("leaving some of %s behind: %s", path, local->message);
}

static gboolean make_layout(const AshCache *cache, GError **error)
{
	static const char *const dirs[] = {"debs", "index", "scratch"};

	for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++) {
		g_autofree char *path = ash_cache_path(cache, dirs[i]);
		if (!ash_file_ensure_dir(AT_FDCWD, path, 0700, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_cache_open(const char *dir, AshCacheLock lock, AshProgress *progress,
		AshCache **out_cache, GError **error)
{
	g_autoptr(AshCache) cache = g_new0(AshCache, 1);

	cache->lock_fd = cache->write_fd = -1;
	cache->dir = g_canonicalize_filename(dir, NULL);
	ASH_PREFIX("opening the cache");
	if (!ash_file_ensure_dir(AT_FDCWD, cache->dir, 0700, error) ||
			!open_lock(cache->dir, "lock", &cache->lock_fd, error))
		return FALSE;
	if (flock(cache->lock_fd, LOCK_EX | LOCK_NB) == 0)
		sweep_scratch(cache);
	else if (errno != EWOULDBLOCK)
		return ash_throw_errno(error, "locking '%s'", cache->dir);
	/* From exclusive to shared others may come first. That is fine: nothing was looked at. */
	if (!wait_for(cache->lock_fd, lock == ASH_CACHE_EXCLUSIVE ? LOCK_EX : LOCK_SH, cache->dir,
			    progress, error) ||
			!make_layout(cache, error))
		return FALSE;
	*out_cache = g_steal_pointer(&cache);
	return TRUE;
}

void ash_cache_free(AshCache *cache)
{
	if (cache == NULL)
		return;
	ash_close_fd(&cache->write_fd);
	ash_close_fd(&cache->lock_fd);
	g_free(cache->dir);
	g_free(cache);
}

const char *ash_cache_dir(const AshCache *cache)
{
	return cache->dir;
}

char *ash_cache_path(const AshCache *cache, const char *name)
{
	return g_build_filename(cache->dir, name, NULL);
}

gboolean ash_cache_make_scratch(
		const AshCache *cache, const char *prefix, AshTempDir **out_dir, GError **error)
{
	g_autofree char *scratch = ash_cache_path(cache, "scratch");

	return ash_temp_dir_new(scratch, prefix, out_dir, error);
}

gboolean ash_cache_begin_write(AshCache *cache, AshProgress *progress, GError **error)
{
	ash_autofd int fd = -1;

	g_assert(cache->write_fd < 0);
	if (!open_lock(cache->dir, "write-lock", &fd, error) ||
			!wait_for(fd, LOCK_EX, cache->dir, progress, error))
		return FALSE;
	cache->write_fd = fd;
	fd = -1;
	return TRUE;
}

void ash_cache_end_write(AshCache *cache)
{
	ash_close_fd(&cache->write_fd);
	cache->write_fd = -1;
}

void ash_cache_mark_used(const AshCache *cache, const char *name)
{
	g_autofree char *path = g_canonicalize_filename(name, cache->dir);

	if (utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW) < 0)
		g_debug("not marking %s as used: %s", path, g_strerror(errno));
}

void ash_cache_mark_ref_used(const AshCache *cache, const char *ref)
{
	g_autofree char *name = g_build_filename("repo/refs/heads", ref, NULL);

	ash_cache_mark_used(cache, name);
}
