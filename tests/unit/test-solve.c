/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/solve.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#include "builder/source.h"
#include "lib/file.h"

/* Runs the cases of tests/golden/solve/ (ASH_ROOT: the root of the tree). A case is a text of sections:
 *
 *	== index NAME [PRIORITY]     packages: "name version", and lines "<tab>Field: value"
 *	== manifest                  what a manifest has beside `repositories:`
 *	== previous                  "name version" of a lock
 *	== update                    names that may move; "*" for all
 *	== expect                    "name version", sorted
 *	== error CODE                the message; @ stands for the manifest's directory
 *
 * ASH_GOLDEN_PRINT=1 prints what came out.
 */

#define DIGEST "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

typedef struct {
	AshTempDir *dir;
	GString *repositories;
	GString *manifest;
	AshLock *previous;
	GPtrArray *update; /* NULL: no section */
	char *expected;    /* of either last section */
	char *error_code;  /* NULL: packages are expected */
} Case;

static const struct {
	const char *name;
	AshSolveError code;
} codes[] = {
		{"UNKNOWN_PACKAGE", ASH_SOLVE_ERROR_UNKNOWN_PACKAGE},
		{"CONFLICT", ASH_SOLVE_ERROR_CONFLICT},
		{"EXCLUDED", ASH_SOLVE_ERROR_EXCLUDED},
};

static void write_file(const Case *c, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(c->dir->path, name, NULL);
	g_autofree char *parent = g_path_get_dirname(path);

	g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void read_index(Case *c, const char *name, const char *priority, char **lines)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (; *lines != NULL; lines++) {
		if (**lines == '\t') {
			g_string_append_printf(text, "%s\n", *lines + 1);
			continue;
		}
		g_auto(GStrv) words = g_strsplit(*lines, " ", 2);
		if (g_strv_length(words) != 2)
			continue;
		g_string_append_printf(text,
				"\nPackage: %s\nVersion: %s\nArchitecture: all\nSize: 1\n"
				"SHA256: " DIGEST "\nFilename: pool/%s_%s.deb\n",
				words[0], words[1], words[0], words[1]);
	}
	g_autofree char *file = g_build_filename(name, "Packages", NULL);
	write_file(c, file, text->str);
	g_string_append_printf(c->repositories,
			"  - name: %s\n    uri: file://%s/%s\n    suites: [\"./\"]\n"
			"    trusted: true\n    priority: %s\n",
			name, c->dir->path, name, priority != NULL ? priority : "500");
}

static void read_previous(Case *c, char **lines)
{
	char id[] = "old";
	char kind[] = "flat";
	char path[] = "x";
	char all[] = "all";
	char digest[] = DIGEST;
	const AshLockOrigin origin = {.id = id, .kind = kind};

	c->previous = ash_lock_new();
	ash_lock_add_origin(c->previous, &origin);
	for (; *lines != NULL; lines++) {
		g_auto(GStrv) words = g_strsplit(*lines, " ", 2);
		if (g_strv_length(words) != 2)
			continue;
		const AshLockPackage package = {.name = words[0],
				.version = words[1],
				.arch = all,
				.sha256 = digest,
				.path = path};
		ash_lock_add_package(c->previous, &package);
	}
}

static void read_section(Case *c, char **head, char **lines)
{
	if (g_str_equal(head[0], "index")) {
		read_index(c, head[1], head[2], lines);
	} else if (g_str_equal(head[0], "previous")) {
		read_previous(c, lines);
	} else if (g_str_equal(head[0], "update")) {
		c->update = g_ptr_array_new_with_free_func(g_free);
		for (; *lines != NULL; lines++)
			if (**lines != '\0' && !g_str_equal(*lines, "*"))
				g_ptr_array_add(c->update, g_strdup(*lines));
		g_ptr_array_add(c->update, NULL);
	} else if (g_str_equal(head[0], "manifest")) {
		g_autofree char *text = g_strjoinv("\n", lines);
		g_string_append_printf(c->manifest, "%s\n", text);
	} else {
		g_autofree char *text = g_strjoinv("\n", lines);
		c->expected = g_strdup(g_strchomp(text));
		if (g_str_equal(head[0], "error"))
			c->error_code = g_strdup(head[1]);
		else
			g_assert_cmpstr(head[0], ==, "expect");
	}
}

static void read_case(Case *c, const char *path)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;

	g_file_get_contents(path, &text, NULL, &error);
	g_assert_no_error(error);
	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "test-solve", &c->dir, &error));
	c->repositories = g_string_new("repositories:\n");
	c->manifest = g_string_new(NULL);
	g_auto(GStrv) sections = g_strsplit(text, "== ", -1);
	/* What stands before the first is for people. */
	for (char **section = sections + 1; *section != NULL; section++) {
		g_auto(GStrv) lines = g_strsplit(*section, "\n", -1);
		g_auto(GStrv) head = g_strsplit(lines[0], " ", -1);
		read_section(c, head, lines + 1);
	}
	g_assert_nonnull(c->expected);
	g_string_append(c->manifest, c->repositories->str);
	write_file(c, "host.yaml", c->manifest->str);
}

static void clear_case(Case *c)
{
	g_clear_pointer(&c->dir, ash_temp_dir_free);
	g_string_free(c->repositories, TRUE);
	g_string_free(c->manifest, TRUE);
	g_clear_pointer(&c->previous, ash_lock_free);
	g_clear_pointer(&c->update, g_ptr_array_unref);
	g_free(c->expected);
	g_free(c->error_code);
}

static char *lock_text(const AshLock *lock)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < lock->packages->len; i++) {
		const AshLockPackage *package = g_ptr_array_index(lock->packages, i);
		g_string_append_printf(text, "%s%s %s", i > 0 ? "\n" : "", package->name,
				package->version);
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static char *error_text(const Case *c, const GError *error)
{
	g_auto(GStrv) parts = g_strsplit(error->message, c->dir->path, -1);

	return g_strjoinv("@", parts);
}

static const char *code_name(const GError *error)
{
	if (error == NULL)
		return NULL;
	g_assert_cmpstr(g_quark_to_string(error->domain), ==, "ash_solve_error");
	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		if ((int) codes[i].code == error->code)
			return codes[i].name;
	return "FAILED";
}

/* Twice: once from the index, once from its cached form. */
static void solve_case(const Case *c)
{
	g_autofree char *path = g_build_filename(c->dir->path, "host.yaml", NULL);
	g_autofree char *cache = g_build_filename(c->dir->path, "cache", NULL);
	g_autoptr(AshManifest) manifest = NULL;
	g_autoptr(AshLock) lock = NULL;
	g_autoptr(GError) error = NULL;
	const AshSolveOptions options = {.cache_dir = cache,
			.previous = c->previous,
			.update = c->update != NULL ? (const char *const *) c->update->pdata
						    : NULL};

	gboolean is_loaded = ash_manifest_load(path, "amd64", NULL, NULL, &manifest, &error);
	g_assert_no_error(error);
	g_assert_true(is_loaded);
	gboolean is_ok = ash_solve_manifest(manifest, &options, NULL, &lock, &error);
	g_autofree char *got = is_ok ? lock_text(lock) : error_text(c, error);
	if (g_getenv("ASH_GOLDEN_PRINT") != NULL)
		g_printerr("%s\n%s\n\n", is_ok ? "expect" : code_name(error), got);
	g_assert_cmpstr(code_name(error), ==, c->error_code);
	g_assert_cmpstr(got, ==, c->expected);
}

static void test_case(gconstpointer data)
{
	Case c = {0};

	read_case(&c, data);
	solve_case(&c);
	solve_case(&c);
	clear_case(&c);
}

int main(int argc, char **argv)
{
	const char *root = g_getenv("ASH_ROOT");
	g_autofree char *dir_path =
			g_build_filename(root != NULL ? root : ".", "tests/golden/solve", NULL);
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GDir) dir = g_dir_open(dir_path, 0, NULL);

	g_test_init(&argc, &argv, NULL);
	g_assert_nonnull(dir);
	for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
		g_autofree char *test = g_strconcat("/solve/", name, NULL);
		char *path = g_build_filename(dir_path, name, NULL);
		g_ptr_array_add(paths, path);
		g_test_add_data_func(test, path, test_case);
	}
	return g_test_run();
}
