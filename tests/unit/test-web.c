/* SPDX-License-Identifier: Apache-2.0 */
#include <gio/gio.h>
#include <string.h>

#include "fleet/web.h"

static char *text_of(const AshWebFile *file)
{
	gsize size;
	const char *data = g_bytes_get_data(file->bytes, &size);
	return g_strndup(data, size);
}

static char *unpack(GBytes *bytes)
{
	g_autoptr(GInputStream) from = g_memory_input_stream_new_from_bytes(bytes);
	g_autoptr(GConverter) gzip =
			G_CONVERTER(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP));
	g_autoptr(GInputStream) stream = g_converter_input_stream_new(from, gzip);
	g_autoptr(GOutputStream) to = g_memory_output_stream_new_resizable();
	g_autoptr(GError) error = NULL;
	g_output_stream_splice(to, stream, G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, NULL, &error);
	g_assert_no_error(error);
	g_autoptr(GBytes) all = g_memory_output_stream_steal_as_bytes(G_MEMORY_OUTPUT_STREAM(to));
	gsize size;
	const char *data = g_bytes_get_data(all, &size);
	return g_strndup(data, size);
}

/* Each file that index.html and the modules name is there, so no page stays half empty. */
static void test_complete(void)
{
	AshWebFile index;
	g_assert_true(ash_web_find("/", false, &index));
	g_assert_cmpstr(index.type, ==, "text/html; charset=utf-8");
	g_assert_false(index.is_forever);

	g_autofree char *text = text_of(&index);
	g_assert_null(strchr(text, '@'));
	g_autoptr(GRegex) regex = g_regex_new("(?:href|src)=\"([^\"]+)\"", 0, 0, NULL);
	g_autoptr(GMatchInfo) match = NULL;
	unsigned count = 0;
	for (g_regex_match(regex, text, 0, &match); g_match_info_matches(match);
			g_match_info_next(match, NULL), count++) {
		g_autofree char *path = g_match_info_fetch(match, 1);
		AshWebFile plain, gzip;
		g_assert_true(ash_web_find(path, false, &plain));
		g_assert_true(ash_web_find(path, true, &gzip));
		g_assert_true(plain.is_forever && gzip.is_gzip && !plain.is_gzip);
		g_assert_cmpstr(plain.etag, !=, gzip.etag);
		g_autofree char *a = text_of(&plain), *b = unpack(gzip.bytes);
		g_assert_cmpstr(a, ==, b);

		g_autoptr(GRegex) imports =
				g_regex_new("from *[\"']\\./([^\"']+)[\"']", 0, 0, NULL);
		g_autoptr(GMatchInfo) import = NULL;
		for (g_regex_match(imports, a, 0, &import); g_match_info_matches(import);
				g_match_info_next(import, NULL)) {
			g_autofree char *name = g_match_info_fetch(import, 1);
			g_autofree char *folder = g_path_get_dirname(path);
			g_autofree char *other = g_strdup_printf("%s/%s", folder, name);
			AshWebFile file;
			g_assert_true(ash_web_find(other, false, &file));
		}
	}
	g_assert_cmpuint(count, >, 8);
}

static void test_absent(void)
{
	static const char *const paths[] = {"", "/web", "/web/", "/web/0000000000000000/app.mjs",
			"/web/build", "/web//app.mjs", "/web/../index.html", "/hosts",
			"/web/app.mjs"};
	AshWebFile file;
	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
		g_assert_false(ash_web_find(paths[i], true, &file));
}

/* Nothing on the page is of another server, and nothing runs that the policy would not let run. */
static void test_own_only(void)
{
	AshWebFile index;
	g_assert_true(ash_web_find("/", false, &index));
	g_autofree char *text = text_of(&index);
	g_assert_null(strstr(text, "://"));
	g_assert_null(strstr(text, "<style"));
	g_assert_null(strstr(text, "style="));
	g_assert_false(g_regex_match_simple("<script[^>]*>[^<]", text, 0, 0));
	g_assert_false(g_regex_match_simple("\\son[a-z]+=", text, 0, 0));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/web/complete", test_complete);
	g_test_add_func("/web/absent", test_absent);
	g_test_add_func("/web/own-only", test_own_only);
	return g_test_run();
}
