/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/pull-object.h"

/* An OSTree object as it comes from a server: as commit, as tree, and as packed content. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(AshObjectKind kind, const char *checksum, gpointer data)
{
	g_assert_true(ash_object_is_checksum(checksum));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	int fd = memfd_create("object", MFD_CLOEXEC);

	(void) !ash_object_visit(ASH_OBJECT_COMMIT, bytes, ignore, NULL, NULL);
	(void) !ash_object_visit(ASH_OBJECT_DIRTREE, bytes, ignore, NULL, NULL);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(write(fd, data, size), ==, (gssize) size);
	g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
	g_assert_false(ash_object_check_file(fd, "not a checksum", 1 << 20, NULL));
	close(fd);
	return 0;
}
