/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "builder/cmd.h"
#include "builder/diff.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/text.h"

enum {
	SHOWN_FILES = 10,
	MAX_KEY_COLUMNS = 48,
};

static char *opt_repo;
static gboolean opt_files;

static const GOptionEntry options[] = {
		{"repo", 0, 0, G_OPTION_ARG_FILENAME, &opt_repo,
				"The OSTree repository (default: out/repo)", "DIR"},
		{"files", 0, 0, G_OPTION_ARG_NONE, &opt_files,
				"Print every file, not the largest changes only", NULL},
		{0},
};

static const char *sign(const AshDiffChange *change)
{
	return change->from == NULL ? "+" : change->to == NULL ? "-" : "~";
}

static const char *or_none(const char *text)
{
	return *text != '\0' ? text : "none";
}

/* Hashes are cut as far as they stay apart for the eye. */
static int columns(const char *text)
{
	return ash_text_is_sha256(text) ? 12 : -1;
}

static int key_width(const GPtrArray *changes, guint count)
{
	size_t width = 0;

	for (guint i = 0; i < count; i++) {
		const AshDiffChange *change = changes->pdata[i];
		size_t length = (size_t) g_utf8_strlen(change->key, -1);
		if (length <= MAX_KEY_COLUMNS)
			width = MAX(width, length);
	}
	return (int) width;
}

/* "1 added, 2 changed" */
static char *count_changes(const GPtrArray *changes)
{
	static const char *const words[] = {"added", "removed", "changed"};
	unsigned counts[3] = {0};
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < changes->len; i++) {
		const char *what = sign(changes->pdata[i]);
		counts[*what == '+' ? 0 : *what == '-' ? 1 : 2]++;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if (counts[i] > 0)
			g_string_append_printf(text, "%s%u %s", text->len > 0 ? ", " : "",
					counts[i], words[i]);
	return g_string_free(text, FALSE);
}

static void print_section(const char *title, const GPtrArray *changes)
{
	g_autofree char *counts = count_changes(changes);
	int width = key_width(changes, changes->len);

	if (changes->len == 0)
		return;
	printf("%s: %s\n", title, counts);
	for (guint i = 0; i < changes->len; i++) {
		const AshDiffChange *change = changes->pdata[i];
		const char *only = change->from != NULL ? change->from : change->to;
		g_autofree char *text = NULL;
		if (change->from == NULL || change->to == NULL)
			text = g_strdup_printf("%.*s", columns(only), only);
		else
			text = g_strdup_printf("%.*s -> %.*s", columns(change->from),
					or_none(change->from), columns(change->to),
					or_none(change->to));
		printf("  %s %-*s%s%s\n", sign(change), *text != '\0' ? width : 0, change->key,
				*text != '\0' ? "  " : "", text);
	}
}

static char *signed_size(uint64_t from, uint64_t to)
{
	g_autofree char *size = ash_text_size(to > from ? to - from : from - to);

	return g_strdup_printf("%s%s", to > from ? "+" : to < from ? "-" : "", size);
}

/* What else but bytes. */
static char *describe_file(const AshDiffChange *change)
{
	if (change->from == NULL || change->to == NULL ||
			(*change->from == '\0' && *change->to == '\0'))
		return g_strdup("");
	return g_strdup_printf("  (%s -> %s)", or_none(change->from), or_none(change->to));
}

static void print_files(const AshDiff *diff)
{
	g_autofree char *counts = NULL;
	g_autofree char *from = ash_text_size(diff->from_bytes);
	g_autofree char *to = ash_text_size(diff->to_bytes);
	g_autofree char *delta = signed_size(diff->from_bytes, diff->to_bytes);
	g_autoptr(GPtrArray) largest = NULL;

	if (diff->files == NULL || diff->files->len == 0)
		return;
	counts = count_changes(diff->files);
	largest = opt_files ? g_ptr_array_ref(diff->files) : ash_diff_largest_files(diff);
	guint shown = opt_files ? largest->len : MIN(largest->len, SHOWN_FILES);
	printf("Files: %s; %s -> %s (%s)\n", counts, from, to, delta);
	for (guint i = 0; i < shown; i++) {
		const AshDiffChange *change = largest->pdata[i];
		g_autofree char *bytes = signed_size(change->from_bytes, change->to_bytes);
		g_autofree char *detail = describe_file(change);
		printf("  %s %9s  %s%s\n", sign(change), bytes, change->key, detail);
	}
	if (shown < largest->len)
		printf("  and %u more; --files prints them all\n", largest->len - shown);
}

static void print_text(const AshDiffSide *a, const AshDiffSide *b, const AshDiff *diff)
{
	if (ash_diff_is_empty(diff)) {
		printf("%s and %s do not differ\n", a->name, b->name);
		return;
	}
	printf("%s -> %s\n", a->name, b->name);
	print_section("Settings", diff->fields);
	print_section("Kernel arguments", diff->arguments);
	print_section("Packages", diff->packages);
	print_files(diff);
}

/* ---- JSON -------------------------------------------------------------------------------------- */

static void add_side(JsonBuilder *json, const char *key, const AshDiffSide *side)
{
	static const char *const kinds[] = {
			[ASH_DIFF_MANIFEST] = "manifest",
			[ASH_DIFF_LOCK] = "lock",
			[ASH_DIFF_COMMIT] = "commit",
			[ASH_DIFF_IMAGE] = "image",
	};

	ash_json_begin_object(json, key);
	ash_json_add_text(json, "kind", kinds[side->kind]);
	ash_json_add_text(json, "name", side->name);
	ash_json_add_text(json, "commit", side->commit);
	json_builder_end_object(json);
}

static void add_value(JsonBuilder *json, const char *key, const char *value)
{
	json_builder_set_member_name(json, key);
	if (value != NULL)
		json_builder_add_string_value(json, value);
	else
		json_builder_add_null_value(json);
}

static void add_changes(JsonBuilder *json, const char *section, const char *key,
		const GPtrArray *changes, bool with_bytes)
{
	ash_json_begin_array(json, section);
	for (guint i = 0; i < changes->len; i++) {
		const AshDiffChange *change = changes->pdata[i];
		json_builder_begin_object(json);
		ash_json_add_text(json, key, change->key);
		add_value(json, "from", change->from);
		add_value(json, "to", change->to);
		if (with_bytes) {
			ash_json_add_uint(json, "from-bytes", change->from_bytes);
			ash_json_add_uint(json, "to-bytes", change->to_bytes);
		}
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
}

static void print_json(const AshDiffSide *a, const AshDiffSide *b, const AshDiff *diff)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	add_side(json, "a", a);
	add_side(json, "b", b);
	ash_json_add_bool(json, "equal", ash_diff_is_empty(diff));
	add_changes(json, "settings", "key", diff->fields, false);
	add_changes(json, "kernel-arguments", "argument", diff->arguments, false);
	add_changes(json, "packages", "package", diff->packages, false);
	if (diff->files != NULL) {
		add_changes(json, "files", "path", diff->files, true);
		ash_json_add_uint(json, "from-bytes", diff->from_bytes);
		ash_json_add_uint(json, "to-bytes", diff->to_bytes);
	}
	json_builder_end_object(json);
	g_autofree char *text = ash_json_format(json, false);
	fputs(text, stdout);
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	const char *repo = opt_repo != NULL ? opt_repo : "out/repo";
	g_autoptr(AshDiffSide) a = NULL;
	g_autoptr(AshDiffSide) b = NULL;

	if (!ash_diff_side_load(args[0], repo, &a, error) ||
			!ash_diff_side_load(args[1], repo, &b, error))
		return FALSE;
	g_autoptr(AshDiff) diff = ash_diff_new(a, b);
	if (context->json)
		print_json(a, b, diff);
	else
		print_text(a, b, diff);
	if (!ash_diff_is_empty(diff))
		*out_exit = ASH_EXIT_NEGATIVE;
	return TRUE;
}

const AshCliCommand ash_cmd_diff = {
		.name = "diff",
		.synopsis = "A B",
		.summary = "Compares manifests, locks, commits and images",
		.details = "A and B are manifests (.yaml), locks (.lock), disk images, or commits: a ref, a "
			   "checksum or its beginning.\n\n"
			   "Like is compared with like; a lock with a commit by their packages; a manifest "
			   "with either by settings and by what it asks for.\n\n"
			   "Ends with 0 when they do not differ, with 8 when they do.",
		.options = options,
		.min_args = 2,
		.max_args = 2,
		.run = run,
};
