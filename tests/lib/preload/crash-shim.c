/* SPDX-License-Identifier: Apache-2.0 */
/* Planted bugs for tests/system/power-cut.sh, as a library to be preloaded: what the program under test
 * would do if somebody had left out a line. CRASH_SHIM names the bug:
 *
 *	no-sync         fsync, fdatasync, syncfs and sync do nothing
 *	flip            one byte of each large write below /efi/ is another: a disk that does not keep its
 *	                word
 *	slow            none; each rename and link waits a little, so that the disk sees them apart
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fsync(int fd);
int fdatasync(int fd);
int syncfs(int fd);
void sync(void);
int renameat(int from_dir, const char *from, int to_dir, const char *to);
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int rename(const char *from, const char *to);
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
ssize_t copy_file_range(
		int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned flags);
ssize_t write(int fd, const void *data, size_t size);

static bool is_bug(const char *name)
{
	const char *bug = getenv("CRASH_SHIM");

	return bug != NULL && strstr(bug, name) != NULL;
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static int sync_fd(const char *name, int fd)
{
	int (*real)(int) = (int (*)(int)) next(name);

	return is_bug("no-sync") ? 0 : real(fd);
}

int fsync(int fd)
{
	return sync_fd("fsync", fd);
}

int fdatasync(int fd)
{
	return sync_fd("fdatasync", fd);
}

int syncfs(int fd)
{
	return sync_fd("syncfs", fd);
}

void sync(void)
{
	void (*real)(void) = (void (*)(void)) next("sync");

	if (!is_bug("no-sync"))
		real();
}

static void linger(void)
{
	if (is_bug("slow"))
		usleep(3000);
}

/* Is the directory below which @name would be in the ESP? */
static bool is_on_esp(int dir, const char *name)
{
	char link[64], path[4096] = "";

	if (*name == '/')
		return strstr(name, "/efi/") != NULL;
	snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
	ssize_t size = readlink(link, path, sizeof path - 2);
	if (size < 0)
		return false;
	path[size] = '/';
	path[size + 1] = '\0';
	return strstr(path, "/efi/") != NULL;
}

ssize_t copy_file_range(
		int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned flags)
{
	ssize_t (*real)(int, off64_t *, int, off64_t *, size_t, unsigned) = (ssize_t(*)(
			int, off64_t *, int, off64_t *, size_t, unsigned)) next("copy_file_range");

	if (is_bug("flip")) {
		errno = EXDEV;
		return -1;
	}
	return real(from, from_at, to, to_at, size, flags);
}

ssize_t write(int fd, const void *data, size_t size)
{
	ssize_t (*real)(int, const void *, size_t) =
			(ssize_t(*)(int, const void *, size_t)) next("write");

	if (size < 4096 || !is_bug("flip") || !is_on_esp(fd, ""))
		return real(fd, data, size);
	char *copy = malloc(size);
	if (copy == NULL)
		return -1;
	memcpy(copy, data, size);
	copy[size / 2] ^= 1;
	ssize_t done = real(fd, copy, size);
	free(copy);
	return done;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	int (*real)(int, const char *, int, const char *) =
			(int (*)(int, const char *, int, const char *)) next("renameat");

	linger();
	return real(from_dir, from, to_dir, to);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	int (*real)(int, const char *, int, const char *, unsigned) =
			(int (*)(int, const char *, int, const char *, unsigned)) next("renameat2");

	linger();
	return real(from_dir, from, to_dir, to, flags);
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	int (*real)(int, const char *, int, const char *, int) =
			(int (*)(int, const char *, int, const char *, int)) next("linkat");

	linger();
	return real(from_dir, from, to_dir, to, flags);
}
