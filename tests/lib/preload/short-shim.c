/* SPDX-License-Identifier: Apache-2.0 */
/* A file system that does less than it is asked, as a library to be preloaded. SHORT_SHIM says how:
 *
 *	short    each write of more than a byte does half of it, each third call is interrupted before it does
 *	         anything (EINTR); so are reads of files. Copies within the kernel are short alone: libostree does not
 *	         expect EINTR of them, and without a signal, of which a worker handles none, there is none
 *	full:N   there is room for N bytes in all files together: the write that meets the end does what fits, all
 *	         later ones fail with ENOSPC, as on a real full disk
 *
 * SHORT_SHIM_LOG names a file that gets, at the end, how many calls were cut and how many bytes were written.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned long calls, cut;
static unsigned long long written;

static bool is_short(void)
{
	const char *how = getenv("SHORT_SHIM");

	return how != NULL && strcmp(how, "short") == 0;
}

/* Room in all; ~0: any. */
static unsigned long long room(void)
{
	const char *how = getenv("SHORT_SHIM");

	return how != NULL && strncmp(how, "full:", 5) == 0 ? strtoull(how + 5, NULL, 10) : ~0ULL;
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* How much of @size is done; -1: none, errno says why. */
static ssize_t limit(int fd, size_t size, bool may_interrupt)
{
	if (!is_file(fd))
		return (ssize_t) size;
	if (is_short()) {
		if (may_interrupt && __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) % 3 == 0) {
			__atomic_add_fetch(&cut, 1, __ATOMIC_SEQ_CST);
			errno = EINTR;
			return -1;
		}
		if (size > 1)
			__atomic_add_fetch(&cut, 1, __ATOMIC_SEQ_CST);
		return (ssize_t) (size > 1 ? size / 2 : size);
	}
	unsigned long long all = room();
	unsigned long long before = __atomic_load_n(&written, __ATOMIC_SEQ_CST);
	if (all == ~0ULL || size <= all - (before < all ? before : all))
		return (ssize_t) size;
	__atomic_add_fetch(&cut, 1, __ATOMIC_SEQ_CST);
	if (before >= all) {
		errno = ENOSPC;
		return -1;
	}
	return (ssize_t) (all - before);
}

static ssize_t count(int fd, ssize_t n)
{
	if (n > 0 && is_file(fd))
		__atomic_add_fetch(&written, (unsigned long long) n, __ATOMIC_SEQ_CST);
	return n;
}

ssize_t write(int fd, const void *data, size_t size);
ssize_t write(int fd, const void *data, size_t size)
{
	ssize_t (*real)(int, const void *, size_t) =
			(ssize_t(*)(int, const void *, size_t)) next("write");
	ssize_t part = limit(fd, size, true);

	return part < 0 ? -1 : count(fd, real(fd, data, (size_t) part));
}

ssize_t pwrite(int fd, const void *data, size_t size, off64_t at);
ssize_t pwrite(int fd, const void *data, size_t size, off64_t at)
{
	ssize_t (*real)(int, const void *, size_t, off64_t) =
			(ssize_t(*)(int, const void *, size_t, off64_t)) next("pwrite64");
	ssize_t part = limit(fd, size, true);

	return part < 0 ? -1 : count(fd, real(fd, data, (size_t) part, at));
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at);
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
	return pwrite(fd, data, size, at);
}

/* The first piece alone: short as well. */
ssize_t writev(int fd, const struct iovec *pieces, int n)
{
	ssize_t (*real)(int, const struct iovec *, int) =
			(ssize_t(*)(int, const struct iovec *, int)) next("writev");

	if (n > 0 && is_file(fd) && (is_short() || room() != ~0ULL))
		return write(fd, pieces[0].iov_base, pieces[0].iov_len);
	return count(fd, real(fd, pieces, n));
}

ssize_t copy_file_range(
		int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned flags)
{
	ssize_t (*real)(int, off64_t *, int, off64_t *, size_t, unsigned) = (ssize_t(*)(
			int, off64_t *, int, off64_t *, size_t, unsigned)) next("copy_file_range");
	struct stat st;

	/* It may be asked for much more than there is. */
	if (fstat(from, &st) == 0 && size > (size_t) st.st_size)
		size = (size_t) st.st_size + 1;
	ssize_t part = limit(to, size, false);
	return part < 0 ? -1 : count(to, real(from, from_at, to, to_at, (size_t) part, flags));
}

ssize_t sendfile(int to, int from, off64_t *at, size_t size);
ssize_t sendfile(int to, int from, off64_t *at, size_t size)
{
	ssize_t (*real)(int, int, off64_t *, size_t) =
			(ssize_t(*)(int, int, off64_t *, size_t)) next("sendfile64");
	ssize_t part = limit(to, size, false);

	return part < 0 ? -1 : count(to, real(to, from, at, (size_t) part));
}

ssize_t sendfile64(int to, int from, off64_t *at, size_t size);
ssize_t sendfile64(int to, int from, off64_t *at, size_t size)
{
	return sendfile(to, from, at, size);
}

ssize_t read(int fd, void *data, size_t size)
{
	ssize_t (*real)(int, void *, size_t) = (ssize_t(*)(int, void *, size_t)) next("read");

	if (!is_short())
		return real(fd, data, size);
	ssize_t part = limit(fd, size, true);
	return part < 0 ? -1 : real(fd, data, (size_t) part);
}

__attribute__((destructor)) static void tell(void)
{
	const char *path = getenv("SHORT_SHIM_LOG");
	FILE *log = path != NULL ? fopen(path, "we") : NULL;

	if (log == NULL)
		return;
	fprintf(log, "%lu %llu\n", cut, written);
	fclose(log);
}
