/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/initramfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/file.h"

/* initramfs TREE RELEASE INIT OUTPUT [MODULE…]: composes the initramfs of a host whose root is the
 * directory TREE, for tests that have a tree but no repository.
 */

typedef struct {
	int fd;
	char *root; /* its real path */
} Directory;

static int open_inside(const Directory *directory, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	return (int) syscall(SYS_openat2, directory->fd, path, &how, sizeof how);
}

static char *resolve(gpointer data, const char *path)
{
	const Directory *directory = data;
	ash_autofd int fd = open_inside(directory, path);
	if (fd < 0)
		return NULL;
	g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
	g_autofree char *real = g_file_read_link(link, NULL);
	if (real == NULL || !g_str_has_prefix(real, directory->root))
		return NULL;
	return g_strdup(real + strlen(directory->root));
}

static gboolean read_file(gpointer data, const char *path, size_t max_bytes, GBytes **out_bytes,
		GError **error)
{
	const Directory *directory = data;
	return ash_file_read(directory->fd, path + strspn(path, "/"), max_bytes, out_bytes, error);
}

static int run(char **argv, GError **error)
{
	Directory directory = {.fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	AshInitramfsSource source = {.resolve = resolve, .read = read_file, .data = &directory};
	AshInitramfsOptions options = {.kernel_release = argv[2],
			.init_path = argv[3],
			.modules = (const char *const *) argv + 5};
	g_autoptr(GBytes) cpio = NULL;
	gsize size = 0;

	directory.root = realpath(argv[1], NULL);
	if (directory.fd < 0 || directory.root == NULL) {
		fprintf(stderr, "%s: %s\n", argv[1], g_strerror(errno));
		return 1;
	}
	gboolean is_done = ash_initramfs_compose_from(&source, &options, &cpio, error);
	free(directory.root);
	close(directory.fd);
	if (!is_done)
		return 1;
	const void *data = g_bytes_get_data(cpio, &size);
	return ash_file_replace(AT_FDCWD, argv[4], data, size, 0644, error) ? 0 : 1;
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;

	if (argc < 5) {
		fputs("usage: initramfs TREE RELEASE INIT OUTPUT [MODULE...]\n", stderr);
		return 2;
	}
	int result = run(argv, &error);
	if (error != NULL)
		fprintf(stderr, "%s\n", error->message);
	return result;
}
