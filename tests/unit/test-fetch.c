/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fetch.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/file.h"

/* Against tests/lib/httpd, which stands beside this program's directory. */

enum {
	CONTENT_BYTES = 300000
};

typedef struct {
	GSubprocess *server;
	AshTempDir *dir;
	char *base;   /* "http://127.0.0.1:PORT" */
	char *faults; /* path of the faults file */
	char *log;
	char *dest;
	char *sha256; /* of /file */
	GBytes *content;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *here = g_path_get_dirname(self);
	g_autofree char *program = g_build_filename(here, "..", "lib", "httpd", NULL);

	if (!ash_temp_dir_new(g_get_tmp_dir(), "test-fetch", &f->dir, &error))
		g_error("%s", error->message);
	g_autofree char *root = g_build_filename(f->dir->path, "root", NULL);
	g_assert_cmpint(g_mkdir(root, 0755), ==, 0);
	f->faults = g_build_filename(f->dir->path, "faults", NULL);
	f->log = g_build_filename(f->dir->path, "log", NULL);
	f->dest = g_build_filename(f->dir->path, "dest", NULL);

	g_autofree guint8 *bytes = g_malloc(CONTENT_BYTES);
	for (guint32 i = 0; i < CONTENT_BYTES; i++)
		bytes[i] = (guint8) (i * 2654435761U >> 24);
	f->sha256 = ash_sha256_hex(bytes, CONTENT_BYTES);
	f->content = g_bytes_new(bytes, CONTENT_BYTES);
	g_autofree char *file = g_build_filename(root, "file", NULL);
	g_file_set_contents(file, (const char *) bytes, CONTENT_BYTES, &error);
	g_assert_no_error(error);

	f->server = g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE,
			&error, program, "--faults", f->faults, "--log", f->log, root, NULL);
	g_assert_no_error(error);
	g_autoptr(GDataInputStream) lines =
			g_data_input_stream_new(g_subprocess_get_stdout_pipe(f->server));
	g_autofree char *port = g_data_input_stream_read_line(lines, NULL, NULL, &error);
	g_assert_no_error(error);
	f->base = g_strdup_printf("http://127.0.0.1:%s", port);
}

static void tear_down(Fixture *f, gconstpointer data)
{
	g_output_stream_close(g_subprocess_get_stdin_pipe(f->server), NULL, NULL);
	g_subprocess_wait(f->server, NULL, NULL);
	g_clear_object(&f->server);
	g_clear_pointer(&f->dir, ash_temp_dir_free);
	g_clear_pointer(&f->content, g_bytes_unref);
	g_free(f->base);
	g_free(f->faults);
	g_free(f->log);
	g_free(f->dest);
	g_free(f->sha256);
}

static void set_faults(Fixture *f, const char *text)
{
	g_assert_true(g_file_set_contents(f->faults, text, -1, NULL));
}

static char *read_log(Fixture *f)
{
	char *text = NULL;

	g_assert_true(g_file_get_contents(f->log, &text, NULL, NULL));
	return text;
}

static void assert_content(Fixture *f)
{
	g_autofree char *data = NULL;
	gsize size = 0;

	g_assert_true(g_file_get_contents(f->dest, &data, &size, NULL));
	g_autoptr(GBytes) bytes = g_bytes_new_static(data, size);
	g_assert_true(g_bytes_equal(bytes, f->content));
	g_autofree char *part = g_strconcat(f->dest, ".part", NULL);
	g_assert_false(g_file_test(part, G_FILE_TEST_EXISTS));
}

static gboolean fetch(Fixture *f, const char *path, const char *second, uint64_t size,
		uint64_t max_bytes, const char *sha256, GError **error)
{
	g_autofree char *first_uri = g_strconcat(f->base, path, NULL);
	g_autofree char *second_uri = second != NULL ? g_strconcat(f->base, second, NULL) : NULL;
	const char *const uris[] = {first_uri, second_uri, NULL};
	const AshFetchItem item = {.uris = uris,
			.dest = f->dest,
			.sha256 = sha256,
			.size = size,
			.max_bytes = max_bytes,
			.what = "thing 1.0"};

	return ash_fetch_run(&item, 1, 0, NULL, NULL, NULL, error);
}

static void assert_fails(Fixture *f, gboolean is_ok, GError **error, AshFetchError code)
{
	g_assert_false(is_ok);
	g_assert_error(*error, ASH_FETCH_ERROR, (int) code);
	g_assert_nonnull(strstr((*error)->message, "thing 1.0"));
	g_assert_false(g_file_test(f->dest, G_FILE_TEST_EXISTS));
	g_clear_error(error);
}

static void test_plain(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(fetch(f, "/file", NULL, CONTENT_BYTES, 0, f->sha256, &error));
	assert_content(f);
	g_assert_cmpint(g_unlink(f->dest), ==, 0);
	g_assert_true(fetch(f, "/file", NULL, 0, 1 << 20, NULL, &error));
	assert_content(f);
}

static void test_truncated_is_resumed(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	set_faults(f, "/file truncate 100000\n");
	g_assert_true(fetch(f, "/file", NULL, CONTENT_BYTES, 0, f->sha256, &error));
	assert_content(f);
	g_autofree char *log = read_log(f);
	g_assert_cmpstr(log, ==, "/file 200 0\n/file 206 100000\n");
}

static void test_other_process_resumes(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *part = g_strconcat(f->dest, ".part", NULL);
	const char *content = g_bytes_get_data(f->content, NULL);

	g_assert_true(g_file_set_contents(part, content, 70000, NULL));
	g_assert_true(fetch(f, "/file", NULL, CONTENT_BYTES, 0, f->sha256, &error));
	assert_content(f);
	g_assert_true(g_file_set_contents(part, content, CONTENT_BYTES, NULL));
	g_assert_true(fetch(f, "/file", NULL, CONTENT_BYTES, 0, f->sha256, &error));
	assert_content(f);
	g_autofree char *log = read_log(f);
	g_assert_cmpstr(log, ==, "/file 206 70000\n");
}

static void test_wrong_part_starts_over(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *part = g_strconcat(f->dest, ".part", NULL);

	g_assert_true(g_file_set_contents(part, "not the beginning of it", -1, NULL));
	g_assert_true(fetch(f, "/file", NULL, CONTENT_BYTES, 0, f->sha256, &error));
	assert_content(f);
	g_autofree char *log = read_log(f);
	g_assert_cmpstr(log, ==, "/file 206 23\n/file 200 0\n");
}

static void test_server_without_ranges(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	set_faults(f, "/file truncate 100000\n/file norange 0\n");
	g_assert_true(fetch(f, "/file", NULL, CONTENT_BYTES, 0, f->sha256, &error));
	assert_content(f);
}

static void test_server_errors(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	assert_fails(f, fetch(f, "/none", NULL, 10, 0, NULL, &error), &error, ASH_FETCH_ERROR_GONE);
	g_autofree char *once = read_log(f);
	g_assert_cmpstr(once, ==, "/none 404 0\n");

	set_faults(f, "/file status 503 2\n");
	g_assert_true(fetch(f, "/file", NULL, CONTENT_BYTES, 0, f->sha256, &error));
	assert_content(f);
	g_assert_cmpint(g_unlink(f->dest), ==, 0);

	set_faults(f, "/file status 500 0\n");
	assert_fails(f, fetch(f, "/file", NULL, CONTENT_BYTES, 0, f->sha256, &error), &error,
			ASH_FETCH_ERROR_HTTP);
	set_faults(f, "/file status 403 0\n");
	assert_fails(f, fetch(f, "/file", NULL, CONTENT_BYTES, 0, f->sha256, &error), &error,
			ASH_FETCH_ERROR_HTTP);
}

static void test_next_uri(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(fetch(f, "/none", "/file", CONTENT_BYTES, 0, f->sha256, &error));
	assert_content(f);
}

static void test_mismatch(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *part = g_strconcat(f->dest, ".part", NULL);

	set_faults(f, "/file wrong 0\n");
	assert_fails(f, fetch(f, "/file", NULL, CONTENT_BYTES, 0, f->sha256, &error), &error,
			ASH_FETCH_ERROR_MISMATCH);
	g_assert_false(g_file_test(part, G_FILE_TEST_EXISTS));
	set_faults(f, "");
	assert_fails(f, fetch(f, "/file", NULL, CONTENT_BYTES - 1, 0, f->sha256, &error), &error,
			ASH_FETCH_ERROR_MISMATCH);
	assert_fails(f, fetch(f, "/file", NULL, CONTENT_BYTES + 1, 0, f->sha256, &error), &error,
			ASH_FETCH_ERROR_MISMATCH);
	g_assert_false(g_file_test(part, G_FILE_TEST_EXISTS));
}

static void test_too_big(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *uri = g_strconcat(f->base, "/file", NULL);
	g_autoptr(GBytes) bytes = NULL;

	assert_fails(f, fetch(f, "/file", NULL, 0, CONTENT_BYTES - 1, NULL, &error), &error,
			ASH_FETCH_ERROR_TOO_BIG);
	set_faults(f, "/file endless 0\n");
	assert_fails(f, fetch(f, "/file", NULL, 0, CONTENT_BYTES, NULL, &error), &error,
			ASH_FETCH_ERROR_TOO_BIG);
	g_assert_false(ash_fetch_bytes(uri, 1000, &bytes, &error));
	g_assert_error(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_TOO_BIG);
}

static void test_stall(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *part = g_strconcat(f->dest, ".part", NULL);

	/* curl looks at an average of some seconds, so one try takes longer than the second asked for. */
	g_setenv("ASHLAR_FETCH_TRIES", "1", TRUE);
	set_faults(f, "/file stall 5000\n");
	assert_fails(f, fetch(f, "/file", NULL, CONTENT_BYTES, 0, f->sha256, &error), &error,
			ASH_FETCH_ERROR_TIMEOUT);
	g_unsetenv("ASHLAR_FETCH_TRIES");
	/* What came is kept for the next run. */
	g_assert_true(g_file_test(part, G_FILE_TEST_EXISTS));
	set_faults(f, "");
	g_assert_true(fetch(f, "/file", NULL, CONTENT_BYTES, 0, f->sha256, &error));
	assert_content(f);
}

static void test_offline(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = NULL;

	g_assert_false(ash_fetch_bytes("http://127.0.0.1:1/x", 100, &bytes, &error));
	g_assert_error(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_OFFLINE);
}

static void test_bytes_and_files(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *uri = g_strconcat(f->base, "/file", NULL);
	g_autofree char *file_uri = g_strdup_printf("file://%s/root/file", f->dir->path);
	g_autofree char *missing = g_strdup_printf("file://%s/root/none", f->dir->path);
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GBytes) from_file = NULL;
	g_autoptr(GBytes) nothing = NULL;

	g_assert_true(ash_fetch_bytes(uri, CONTENT_BYTES, &bytes, &error));
	g_assert_true(g_bytes_equal(bytes, f->content));
	g_assert_true(ash_fetch_bytes(file_uri, CONTENT_BYTES, &from_file, &error));
	g_assert_true(g_bytes_equal(from_file, f->content));
	g_assert_false(ash_fetch_bytes(missing, CONTENT_BYTES, &nothing, &error));
	g_assert_error(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_GONE);
	g_clear_error(&error);
	g_assert_false(ash_fetch_bytes("gopher://127.0.0.1/", 10, &nothing, &error));
	g_assert_error(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_FAILED);
}

static void test_passwords_are_not_said(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = NULL;

	g_assert_false(ash_fetch_bytes("http://me:s3cret@127.0.0.1:1/x", 100, &bytes, &error));
	g_assert_null(strstr(error->message, "s3cret"));
	g_assert_nonnull(strstr(error->message, "http://127.0.0.1:1/x"));
}

static gboolean count_done(size_t index, gpointer data, GError **error)
{
	guint *seen = data;

	(*seen)++;
	return TRUE;
}

static void test_many(Fixture *f, gconstpointer data)
{
	enum {
		COUNT = 40
	};
	g_autoptr(GError) error = NULL;
	g_autofree char *uri = g_strconcat(f->base, "/file", NULL);
	const char *const uris[] = {uri, NULL};
	AshFetchItem items[COUNT];
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	guint seen = 0;

	for (guint i = 0; i < COUNT; i++) {
		g_ptr_array_add(names, g_strdup_printf("%s-%u", f->dest, i));
		items[i] = (AshFetchItem){.uris = uris,
				.dest = g_ptr_array_index(names, i),
				.sha256 = f->sha256,
				.size = CONTENT_BYTES};
	}
	g_assert_true(ash_fetch_run(items, COUNT, 4, count_done, &seen, NULL, &error));
	g_assert_cmpuint(seen, ==, COUNT);
	for (guint i = 0; i < COUNT; i++)
		g_assert_true(g_file_test(g_ptr_array_index(names, i), G_FILE_TEST_IS_REGULAR));
}

/* Two items with one destination stand for two processes. */
static void test_two_at_once(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *uri = g_strconcat(f->base, "/file", NULL);
	const char *const uris[] = {uri, NULL};
	const AshFetchItem item = {
			.uris = uris, .dest = f->dest, .sha256 = f->sha256, .size = CONTENT_BYTES};
	const AshFetchItem items[] = {item, item};

	g_assert_true(ash_fetch_run(items, 2, 2, NULL, NULL, NULL, &error));
	assert_content(f);
}

int main(int argc, char **argv)
{
	g_setenv("ASHLAR_FETCH_STALL_S", "1", TRUE);
	g_setenv("ASHLAR_FETCH_PAUSE_MS", "5", TRUE);
	g_setenv("no_proxy", "127.0.0.1", TRUE);
	g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/fetch/" name, Fixture, NULL, set_up, function, tear_down)
	ADD("plain", test_plain);
	ADD("truncated-is-resumed", test_truncated_is_resumed);
	ADD("other-process-resumes", test_other_process_resumes);
	ADD("wrong-part-starts-over", test_wrong_part_starts_over);
	ADD("server-without-ranges", test_server_without_ranges);
	ADD("server-errors", test_server_errors);
	ADD("next-uri", test_next_uri);
	ADD("mismatch", test_mismatch);
	ADD("too-big", test_too_big);
	ADD("stall", test_stall);
	ADD("offline", test_offline);
	ADD("bytes-and-files", test_bytes_and_files);
	ADD("passwords-are-not-said", test_passwords_are_not_said);
	ADD("many", test_many);
	ADD("two-at-once", test_two_at_once);
	return g_test_run();
}
