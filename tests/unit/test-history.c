/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "agent/history.h"
#include "lib/file.h"

static AshHistory *open_history(const char *root)
{
	g_autoptr(GError) error = NULL;
	AshHistory *history = NULL;

	g_assert_true(ash_history_open(root, &history, &error));
	g_assert_no_error(error);
	return history;
}

static void add(AshHistory *history, const char *event, const char *text)
{
	g_autoptr(GError) error = NULL;
	AshUpdateNote note = {.event = event, .text = g_strdup(text), .word = "space"};

	g_assert_true(ash_history_add(history, &note, "boot", 1700000000, NULL, &error));
	g_assert_no_error(error);
	g_free(note.text);
}

/* Ids of the last @limit events, "1 2 3". */
static char *ids(AshHistory *history, unsigned limit)
{
	g_autofree char *json = NULL;
	g_autoptr(GError) error = NULL;
	GString *text = g_string_new(NULL);

	g_assert_true(ash_history_format(history, limit, &json, &error));
	g_autoptr(JsonNode) node = json_from_string(json, &error);
	g_assert_no_error(error);
	JsonArray *events = json_object_get_array_member(json_node_get_object(node), "events");
	for (guint i = 0; i < json_array_get_length(events); i++)
		g_string_append_printf(text, "%s%d", i > 0 ? " " : "",
				(int) json_object_get_int_member(
						json_array_get_object_element(events, i), "id"));
	return g_string_free(text, FALSE);
}

typedef struct {
	AshTempDir *dir;
	char *file;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *state = NULL;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "history", &f->dir, &error));
	state = g_build_filename(f->dir->path, "var/lib/ashlar", NULL);
	g_assert_true(ash_file_ensure_dir(AT_FDCWD, state, 0700, &error));
	f->file = g_build_filename(state, "history.jsonl", NULL);
}

static void tear_down(Fixture *f, gconstpointer data)
{
	g_free(f->file);
	ash_temp_dir_free(f->dir);
}

static void test_ids(Fixture *f, gconstpointer data)
{
	AshHistory *history = open_history(f->dir->path);

	add(history, "booted", "one");
	add(history, "good", "two \"quoted\"\n\tline\xff");
	ash_history_free(history);
	history = open_history(f->dir->path);
	add(history, "bad", "three");
	g_autofree char *all = ids(history, 50), *last = ids(history, 1);
	g_assert_cmpstr(all, ==, "1 2 3");
	g_assert_cmpstr(last, ==, "3");
	ash_history_free(history);
}

/* The power went while a line was written: the line goes, the id is used again, nothing else. */
static void test_cut(Fixture *f, gconstpointer data)
{
	AshHistory *history = open_history(f->dir->path);
	g_autofree char *text = NULL;
	gsize size = 0;

	add(history, "booted", "one");
	add(history, "good", "two");
	ash_history_free(history);
	g_assert_true(g_file_get_contents(f->file, &text, &size, NULL));
	for (gsize cut = 1; cut < size; cut += 7) {
		g_assert_true(g_file_set_contents(f->file, text, (gssize) (size - cut), NULL));
		history = open_history(f->dir->path);
		add(history, "bad", "three");
		g_autofree char *all = ids(history, 50);
		g_assert_true(g_str_equal(all, "1 2") || g_str_equal(all, "1"));
		ash_history_free(history);
	}
}

static void test_bounded(Fixture *f, gconstpointer data)
{
	AshHistory *history = open_history(f->dir->path);
	g_autofree char *long_text = g_strnfill(100000, 'x');
	GStatBuf about;

	for (int i = 0; i < 700; i++)
		add(history, "booted", long_text);
	g_assert_cmpint(g_stat(f->file, &about), ==, 0);
	g_assert_cmpint(about.st_size, <=, ASH_HISTORY_MAX_BYTES);
	g_assert_cmpint(about.st_size, >, ASH_HISTORY_MAX_BYTES / 4);
	g_autofree char *last = ids(history, 2);
	g_assert_cmpstr(last, ==, "699 700");
	ash_history_free(history);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add("/history/ids", Fixture, NULL, set_up, test_ids, tear_down);
	g_test_add("/history/cut", Fixture, NULL, set_up, test_cut, tear_down);
	g_test_add("/history/bounded", Fixture, NULL, set_up, test_bounded, tear_down);
	return g_test_run();
}
