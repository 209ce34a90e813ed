/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "lib/auto.h"

/* FIPS 180-2, appendix B. */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void test_known(void)
{
	g_autofree char *abc = ash_sha256_hex("abc", 3);
	g_autofree char *empty = ash_sha256_hex("", 0);

	g_assert_cmpstr(abc, ==, ABC);
	g_assert_cmpstr(empty, ==, EMPTY);
}

static void test_in_parts(void)
{
	g_autofree char *chunk = g_strnfill(1000, 'a');
	AshSha256 *hash = ash_sha256_new();
	uint8_t digest[ASH_SHA256_BYTES];

	for (int i = 0; i < 1000; i++)
		ash_sha256_update(hash, chunk, 1000);
	ash_sha256_finish(hash, digest);
	g_autofree char *hex = ash_sha256_format(digest);
	g_assert_cmpstr(hex, ==, MILLION_A);
	ash_sha256_free(ash_sha256_new());
	ash_sha256_free(NULL);
}

static void test_descriptor(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = g_build_filename(g_get_tmp_dir(), "ash-crypto", NULL);
	g_autofree char *hex = NULL;
	uint64_t size = 0;

	ash_autofd int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(write(fd, "xabc", 4), ==, 4);
	g_assert_cmpint(lseek(fd, 1, SEEK_SET), ==, 1);
	g_assert_true(ash_sha256_fd(fd, &hex, &size, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(hex, ==, ABC);
	g_assert_cmpuint(size, ==, 3);
	unlink(path);

	g_autofree char *untouched = NULL;
	g_assert_false(ash_sha256_fd(-1, &untouched, NULL, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FAILED);
	g_assert_null(untouched);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
	g_test_add_func("/crypto/known", test_known);
	g_test_add_func("/crypto/in-parts", test_in_parts);
	g_test_add_func("/crypto/descriptor", test_descriptor);
	return g_test_run();
}
