/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/initrd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void *ash_initrd_alloc(size_t size)
{
	void *memory = calloc(1, size);
	if (memory == NULL)
		ash_initrd_fail("out of memory: %zu more bytes are needed", size);
	return memory;
}

char *ash_initrd_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	return memcpy(ash_initrd_alloc(size), text, size);
}

/* Reads until the end or until @size is full; the number of bytes, or -1. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, buffer + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t) n;
	}
	return (ssize_t) done;
}

char *ash_initrd_read_file(const char *path, size_t max_bytes, size_t *out_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return NULL;

	/* Grown as needed: files in /proc say that they have no size. */
	size_t space = 16384;
	size_t size = 0;
	char *buffer = ash_initrd_alloc(space);
	for (;;) {
		ssize_t n = read_all(fd, buffer + size, space - size - 1);
		if (n < 0 || size + (size_t) n > max_bytes) {
			int saved_errno = n < 0 ? errno : EFBIG;
			free(buffer);
			close(fd);
			errno = saved_errno;
			return NULL;
		}
		size += (size_t) n;
		if (size < space - 1)
			break;
		char *bigger = ash_initrd_alloc(space * 2);
		memcpy(bigger, buffer, size);
		free(buffer);
		buffer = bigger;
		space *= 2;
	}
	close(fd);
	buffer[size] = '\0';
	if (out_size != NULL)
		*out_size = size;
	return buffer;
}

bool ash_initrd_read_line(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return false;
	ssize_t n = read_all(fd, buffer, size - 1);
	close(fd);
	if (n < 0)
		return false;
	buffer[n] = '\0';
	buffer[strcspn(buffer, "\n")] = '\0';
	return true;
}

int64_t ash_initrd_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
