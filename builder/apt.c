/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/apt.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "builder/deb822.h"
#include "builder/source.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	HEAD_BYTES = 4096
};

static void entry_free(gpointer data)
{
	AshAptEntry *entry = data;

	g_free(entry->mark);
	g_free(entry->uri);
	g_free(entry->suite);
	g_strfreev(entry->components);
	g_free(entry->keyring);
	g_free(entry->inline_key);
	g_free(entry);
}

GPtrArray *ash_apt_entries_new(void)
{
	return g_ptr_array_new_with_free_func(entry_free);
}

static char *root_path(const char *path)
{
	const char *root = g_getenv("ASHLAR_APT_ROOT");

	return g_build_filename(root != NULL ? root : "/", path, NULL);
}

/* Signed-By is a path, fingerprints (of keys that apt has elsewhere: of no use here), or a key. */
static void set_signed_by(AshAptEntry *entry, const char *value)
{
	if (value == NULL)
		return;
	if (strstr(value, "-----BEGIN PGP") != NULL)
		entry->inline_key = g_strdup(value);
	else if (*value == '/')
		entry->keyring = g_strndup(value, strcspn(value, ", \t\n"));
}

static void add_entry(GPtrArray *entries, const char *file, unsigned line, const char *uri,
		const char *suite, char **components, const char *signed_by, bool is_trusted)
{
	AshAptEntry *entry = g_new0(AshAptEntry, 1);
	size_t length = strlen(uri);

	while (length > 0 && uri[length - 1] == '/')
		length--;
	entry->mark = g_strdup_printf("%s:%u", file, line);
	entry->uri = g_strndup(uri, length);
	entry->suite = g_strdup(suite);
	entry->components = g_strdupv(components);
	entry->is_trusted = is_trusted;
	set_signed_by(entry, signed_by);
	g_ptr_array_add(entries, entry);
}

/* Cloud images of Debian say "mirror+file:PATH": a file with one URI a line. The first is as good as
 * any for us.
 */
static char *resolve_mirror(const char *uri)
{
	static const char prefix[] = "mirror+file:";
	g_autoptr(GError) local = NULL;
	g_autoptr(GBytes) text = NULL;

	if (!g_str_has_prefix(uri, prefix))
		return g_strdup(uri);
	g_autofree char *path = root_path(uri + strlen(prefix));
	if (!ash_file_read(AT_FDCWD, path, ASH_APT_MAX_FILE_BYTES, &text, &local))
		return g_strdup(uri);
	g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(text, NULL), "\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		g_strstrip(*line);
		if (**line != '\0' && **line != '#')
			return g_strndup(*line, strcspn(*line, " \t"));
	}
	return g_strdup(uri);
}

/* ---- one-line format ------------------------------------------------------------------------- */

typedef struct {
	char *signed_by;
	bool is_trusted;
} LineOptions;

static void line_options_clear(LineOptions *options)
{
	g_free(options->signed_by);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(LineOptions, line_options_clear)

/* Cuts "[a=b c=d]" out of @line, which has it at its begin. */
static bool cut_options(char **line, LineOptions *options)
{
	char *here = g_strchug(*line);

	*line = here;
	if (*here != '[')
		return true;
	char *end = strchr(here, ']');
	if (end == NULL)
		return false;
	*end = '\0';
	g_auto(GStrv) words = g_strsplit_set(here + 1, " \t", -1);
	for (char **word = words; *word != NULL; word++) {
		if (g_str_has_prefix(*word, "signed-by=")) {
			g_free(options->signed_by);
			options->signed_by = g_strdup(*word + strlen("signed-by="));
		} else if (g_str_has_prefix(*word, "trusted=")) {
			options->is_trusted = g_str_equal(*word, "trusted=yes");
		}
	}
	*line = end + 1;
	return true;
}

static char **split_words(const char *text)
{
	g_auto(GStrv) words = g_strsplit_set(text, " \t\r", -1);
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

	for (char **word = words; *word != NULL; word++)
		if (**word != '\0')
			g_strv_builder_add(builder, *word);
	return g_strv_builder_end(builder);
}

static gboolean parse_line(
		const char *file, unsigned line, char *text, GPtrArray *entries, GError **error)
{
	g_auto(LineOptions) options = {0};
	char *comment = strchr(text, '#');

	if (comment != NULL)
		*comment = '\0';
	text = g_strstrip(text);
	if (*text == '\0')
		return TRUE;
	size_t type = strcspn(text, " \t");
	bool is_deb = type == 3 && strncmp(text, "deb", 3) == 0;
	bool is_src = type == 7 && strncmp(text, "deb-src", 7) == 0;
	char *rest = text + type;
	if ((!is_deb && !is_src) || !cut_options(&rest, &options))
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX,
				"%s:%u: not a line of sources.list(5)", file, line);
	g_auto(GStrv) words = split_words(rest);
	if (g_strv_length(words) < 2)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX,
				"%s:%u: expected a URI and a suite", file, line);
	if (is_src)
		return TRUE;
	g_autofree char *uri = resolve_mirror(words[0]);
	add_entry(entries, file, line, uri, words[1], words + 2, options.signed_by,
			options.is_trusted);
	return TRUE;
}

gboolean ash_apt_parse_list(const char *file, GBytes *text, GPtrArray *entries, GError **error)
{
	gsize size = 0;
	const char *data = g_bytes_get_data(text, &size);
	g_autofree char *copy = g_strndup(data, size);
	g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);

	for (unsigned i = 0; lines[i] != NULL; i++)
		if (!parse_line(file, i + 1, lines[i], entries, error))
			return FALSE;
	return TRUE;
}

/* ---- deb822 format --------------------------------------------------------------------------- */

typedef struct {
	const char *file;
	GPtrArray *entries;
} SourcesState;

static bool is_yes(const char *value, bool fallback)
{
	static const char *const yes[] = {"yes", "true", "on", "1", "enable", "with", NULL};

	if (value == NULL)
		return fallback;
	g_autofree char *lower = g_ascii_strdown(value, -1);
	return g_strv_contains(yes, lower);
}

static gboolean on_source(const AshParagraph *paragraph, gpointer closure, GError **error)
{
	SourcesState *state = closure;
	g_auto(GStrv) types = ash_paragraph_get_words(paragraph, "Types");
	g_auto(GStrv) uris = ash_paragraph_get_words(paragraph, "URIs");
	g_auto(GStrv) suites = ash_paragraph_get_words(paragraph, "Suites");
	g_auto(GStrv) components = ash_paragraph_get_words(paragraph, "Components");

	if (*types == NULL || *uris == NULL || *suites == NULL)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX,
				"%s:%u: Types, URIs and Suites are needed", state->file,
				paragraph->line);
	if (!is_yes(ash_paragraph_get(paragraph, "Enabled"), true) ||
			!g_strv_contains((const char *const *) types, "deb"))
		return TRUE;
	for (char **uri = uris; *uri != NULL; uri++) {
		g_autofree char *resolved = resolve_mirror(*uri);
		for (char **suite = suites; *suite != NULL; suite++)
			add_entry(state->entries, state->file, paragraph->line, resolved, *suite,
					components, ash_paragraph_get(paragraph, "Signed-By"),
					is_yes(ash_paragraph_get(paragraph, "Trusted"), false));
	}
	return TRUE;
}

gboolean ash_apt_parse_sources(const char *file, GBytes *text, GPtrArray *entries, GError **error)
{
	SourcesState state = {.file = file, .entries = entries};
	g_autoptr(GError) local = NULL;

	if (ash_deb822_parse(file, text, ASH_APT_MAX_FILE_BYTES, on_source, &state, &local))
		return TRUE;
	return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX, "%s", local->message);
}

/* ---- files ----------------------------------------------------------------------------------- */

static gboolean load_file(const char *path, GPtrArray *entries, GError **error)
{
	g_autofree char *full = root_path(path);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_file_read(AT_FDCWD, full, ASH_APT_MAX_FILE_BYTES, &text, &local)) {
		if (g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
			return TRUE;
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	if (g_str_has_suffix(path, ".sources"))
		return ash_apt_parse_sources(path, text, entries, error);
	return ash_apt_parse_list(path, text, entries, error);
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static gboolean list_parts(GPtrArray *names, GError **error)
{
	g_autofree char *dir_path = root_path("/etc/apt/sources.list.d");
	g_autoptr(AshDir) dir = opendir(dir_path);

	if (dir == NULL)
		return errno == ENOENT || ash_throw_errno(error, "%s", dir_path);
	for (;;) {
		const struct dirent *item = readdir(dir);
		if (item == NULL)
			break;
		if (g_str_has_suffix(item->d_name, ".list") ||
				g_str_has_suffix(item->d_name, ".sources"))
			g_ptr_array_add(names, g_strdup(item->d_name));
		if (names->len > ASH_APT_MAX_FILES)
			return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX,
					"%s: more than %d files", dir_path, ASH_APT_MAX_FILES);
	}
	g_ptr_array_sort(names, compare_names);
	return TRUE;
}

gboolean ash_apt_load(GPtrArray **out_entries, GError **error)
{
	g_autoptr(GPtrArray) entries = ash_apt_entries_new();
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

	if (!load_file("/etc/apt/sources.list", entries, error) || !list_parts(names, error))
		return FALSE;
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *path = g_build_filename("/etc/apt/sources.list.d",
				(const char *) g_ptr_array_index(names, i), NULL);
		if (!load_file(path, entries, error))
			return FALSE;
	}
	*out_entries = g_steal_pointer(&entries);
	return TRUE;
}

/* apt's name for a fetched file: the URI without its scheme, '/' as '_' and '_' as "%5f". */
static char *list_path(const AshAptEntry *entry, const char *name)
{
	g_autofree char *uri = g_strdup_printf("%s/dists/%s/%s", entry->uri, entry->suite, name);
	const char *rest = strstr(uri, "://");
	g_autoptr(GString) file = g_string_new(NULL);

	for (const char *c = rest != NULL ? rest + 3 : uri; *c != '\0'; c++) {
		if (*c == '/')
			g_string_append_c(file, '_');
		else if (*c == '_')
			g_string_append(file, "%5f");
		else
			g_string_append_c(file, *c);
	}
	g_autofree char *dir = root_path("/var/lib/apt/lists");
	return g_build_filename(dir, file->str, NULL);
}

/* Only the head is read: the fields stand before the long lists of hashes, and this is asked for each
 * source and package.
 */
static char *origin_in_head(int fd)
{
	char head[HEAD_BYTES + 1];
	ssize_t size = pread(fd, head, HEAD_BYTES, 0);

	head[MAX(size, 0)] = '\0';
	g_auto(GStrv) lines = g_strsplit(head, "\n", -1);
	for (char **line = lines; *line != NULL; line++)
		if (g_str_has_prefix(*line, "Origin:"))
			return g_strdup(g_strstrip(*line + strlen("Origin:")));
	return g_strdup("");
}

char *ash_apt_known_origin(const AshAptEntry *entry)
{
	static const char *const names[] = {"InRelease", "Release"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = list_path(entry, names[i]);
		ash_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd >= 0)
			return origin_in_head(fd);
	}
	return NULL;
}
