/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builder/manifest.h"
#include "lib/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	MAX_INPUT_BYTES = 64 << 10, /* larger ones only make it slow */
};

static AshTempDir *dir;

static void remove_dir(void)
{
	g_clear_pointer(&dir, ash_temp_dir_free);
}

static int open_input(void)
{
	if (dir == NULL) {
		g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "fuzz-manifest", &dir, NULL));
		atexit(remove_dir);
	}
	return openat(dir->fd, "fuzz.yaml", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* A manifest that was accepted has digests. It lies in a directory where it finds nothing to include
 * but itself.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const variants[] = {NULL, "debug"};
	g_autoptr(GError) error = NULL;

	if (size > MAX_INPUT_BYTES)
		return 0;
	int fd = open_input();
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(pwrite(fd, data, size, 0), ==, (ssize_t) size);
	close(fd);
	g_autofree char *path = g_build_filename(dir->path, "fuzz.yaml", NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(variants); i++) {
		g_autoptr(AshManifest) manifest = NULL;
		g_clear_error(&error);
		if (!ash_manifest_load(path, "amd64", variants[i], NULL, &manifest, &error)) {
			g_assert_true(error->domain == ASH_MANIFEST_ERROR);
			g_assert_true(g_str_has_prefix(error->message, "/"));
			continue;
		}
		g_autofree char *digest = ash_manifest_digest(manifest);
		g_assert_cmpuint(strlen(digest), ==, 64);
	}
	return 0;
}
