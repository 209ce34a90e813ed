/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cpio.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static GBytes *bytes_of(const char *text)
{
	return g_bytes_new(text, strlen(text));
}

static GBytes *finish(AshCpio *cpio)
{
	g_autoptr(GError) error = NULL;
	GBytes *bytes = NULL;

	gboolean is_done = ash_cpio_finish(cpio, &bytes, &error);
	g_assert_no_error(error);
	g_assert_true(is_done);
	return bytes;
}

static unsigned long field(const char *header, unsigned index)
{
	char text[9] = {0};

	memcpy(text, header + 6 + 8 * index, 8);
	return strtoul(text, NULL, 16);
}

/* What the archive holds, one entry a line: inode, mode, links, time, size, device, path, content. */
static char *list(GBytes *archive)
{
	GString *text = g_string_new(NULL);
	gsize size = 0;
	const char *data = g_bytes_get_data(archive, &size);

	for (gsize at = 0;;) {
		const char *header = data + at;
		g_assert_cmpuint(at + 110, <=, size);
		g_assert_cmpint(memcmp(header, "070701", 6), ==, 0);
		unsigned long content_bytes = field(header, 6);
		unsigned long name_bytes = field(header, 11);
		const char *name = header + 110;
		at = (at + 110 + name_bytes + 3) & ~3UL;
		if (strcmp(name, "TRAILER!!!") == 0)
			break;
		g_string_append_printf(text, "%lu %lo %lu %lu %lu %lu:%lu %s '%.*s'\n",
				field(header, 0), field(header, 1), field(header, 4),
				field(header, 5), content_bytes, field(header, 9),
				field(header, 10), name, (int) content_bytes, data + at);
		at = (at + content_bytes + 3) & ~3UL;
	}
	g_assert_cmpuint(size % 512, ==, 0);
	return g_string_free(text, FALSE);
}

static void fill(AshCpio *cpio, bool backwards)
{
	g_autoptr(GBytes) one = bytes_of("one");
	g_autoptr(GBytes) two = bytes_of("twotwo");

	for (int i = 0; i < 4; i++) {
		gboolean is_done = FALSE;
		switch (backwards ? 3 - i : i) {
		case 0:
			is_done = ash_cpio_add_file(cpio, "/init", 0755, one, NULL);
			break;
		case 1:
			is_done = ash_cpio_add_file(cpio, "a/b/c", 0644, two, NULL);
			break;
		case 2:
			is_done = ash_cpio_add_link(cpio, "a/link", "b/c", NULL);
			break;
		default:
			is_done = ash_cpio_add_char_device(cpio, "dev/console", 0600, 5, 1, NULL);
		}
		g_assert_true(is_done);
	}
}

static void test_content(void)
{
	g_autoptr(AshCpio) cpio = ash_cpio_new();

	fill(cpio, false);
	g_assert_true(ash_cpio_has(cpio, "/init"));
	g_assert_false(ash_cpio_has(cpio, "nothing"));
	g_autoptr(GBytes) archive = finish(cpio);
	g_autofree char *text = list(archive);
	g_assert_cmpstr(text, ==,
			"1 40755 2 0 0 0:0 a ''\n"
			"2 40755 2 0 0 0:0 a/b ''\n"
			"3 100644 1 0 6 0:0 a/b/c 'twotwo'\n"
			"4 120777 1 0 3 0:0 a/link 'b/c'\n"
			"5 40755 2 0 0 0:0 dev ''\n"
			"6 20600 1 0 0 5:1 dev/console ''\n"
			"7 100755 1 0 3 0:0 init 'one'\n");
}

static void test_order_of_adding_does_not_matter(void)
{
	g_autoptr(AshCpio) forward = ash_cpio_new();
	g_autoptr(AshCpio) backward = ash_cpio_new();

	fill(forward, false);
	fill(backward, true);
	fill(backward, false); /* the same entry twice is fine */
	g_autoptr(GBytes) a = finish(forward);
	g_autoptr(GBytes) b = finish(backward);
	g_autoptr(GBytes) again = finish(forward);
	g_assert_true(g_bytes_equal(a, b));
	g_assert_true(g_bytes_equal(a, again));
}

static void test_errors(void)
{
	static const char *const bad[] = {"", "/", "a//b", "a/../b", "..", "./a", "a/"};
	g_autoptr(AshCpio) cpio = ash_cpio_new();
	g_autoptr(GBytes) one = bytes_of("one");
	g_autoptr(GBytes) two = bytes_of("two");
	g_autoptr(GBytes) archive = NULL;
	g_autoptr(GError) error = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_assert_false(ash_cpio_add_dir(cpio, bad[i], 0755, &error));
		g_assert_error(error, ASH_CPIO_ERROR, ASH_CPIO_ERROR_BAD_PATH);
		g_clear_error(&error);
	}
	g_assert_true(ash_cpio_add_file(cpio, "a", 0644, one, &error));
	g_assert_false(ash_cpio_add_file(cpio, "a", 0644, two, &error));
	g_assert_error(error, ASH_CPIO_ERROR, ASH_CPIO_ERROR_DUPLICATE);
	g_clear_error(&error);
	g_assert_false(ash_cpio_add_dir(cpio, "a", 0755, &error));
	g_assert_error(error, ASH_CPIO_ERROR, ASH_CPIO_ERROR_DUPLICATE);
	g_clear_error(&error);
	g_assert_true(ash_cpio_add_file(cpio, "a/below", 0644, two, &error));
	g_assert_false(ash_cpio_finish(cpio, &archive, &error));
	g_assert_error(error, ASH_CPIO_ERROR, ASH_CPIO_ERROR_BAD_PATH);
}

static void test_too_big(void)
{
	g_autoptr(AshCpio) cpio = ash_cpio_new();
	g_autoptr(GBytes) huge = g_bytes_new_static("", (gsize) G_MAXUINT32 + 1);
	g_autoptr(GError) error = NULL;

	/* Its size is enough to be refused: the bytes are never looked at. */
	g_assert_false(ash_cpio_add_file(cpio, "huge", 0644, huge, &error));
	g_assert_error(error, ASH_CPIO_ERROR, ASH_CPIO_ERROR_TOO_BIG);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cpio/content", test_content);
	g_test_add_func("/cpio/order-of-adding-does-not-matter",
			test_order_of_adding_does_not_matter);
	g_test_add_func("/cpio/errors", test_errors);
	g_test_add_func("/cpio/too-big", test_too_big);
	return g_test_run();
}
