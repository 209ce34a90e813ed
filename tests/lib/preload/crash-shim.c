/* SPDX-License-Identifier: Apache-2.0 */
/* Planted bugs for tests/system/power-cut.sh, as a library to be preloaded: what the program under test
 * would do if somebody had left out a line. CRASH_SHIM names the bug:
 *
 *	no-sync         fsync, fdatasync, syncfs and sync do nothing
 *	early-rename    a file below /efi/ gets its name before its content, and the kernel writes back
 *	                in between, as it may at any instant
 *	slow            none; each rename and link waits a little, so that the disk sees them apart
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fsync(int fd);
int fdatasync(int fd);
int syncfs(int fd);
void sync(void);
int renameat(int from_dir, const char *from, int to_dir, const char *to);
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int rename(const char *from, const char *to);
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);

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

/* Empties the file, renames it, and only then gives it its content again. */
static int rename_early(int from_dir, const char *from, int to_dir, const char *to,
		int (*real)(int, const char *, int, const char *))
{
	struct stat about;
	int fd = openat(from_dir, from, O_RDWR | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
		if (fd >= 0)
			close(fd);
		return real(from_dir, from, to_dir, to);
	}
	char *content = malloc((size_t) about.st_size + 1);
	ssize_t size = content != NULL ? pread(fd, content, (size_t) about.st_size, 0) : -1;
	int result = -1;
	if (size == about.st_size && ftruncate(fd, 0) == 0) {
		result = real(from_dir, from, to_dir, to);
		((int (*)(int)) next("syncfs"))(fd);
		usleep(50000);
		if (pwrite(fd, content, (size_t) size, 0) != size)
			result = -1;
	}
	free(content);
	close(fd);
	return result;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	int (*real)(int, const char *, int, const char *) =
			(int (*)(int, const char *, int, const char *)) next("renameat");

	linger();
	if (is_bug("early-rename") && is_on_esp(to_dir, to))
		return rename_early(from_dir, from, to_dir, to, real);
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
