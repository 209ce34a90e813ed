/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/deb-release.h"

#include <stdio.h>
#include <string.h>

#include "builder/deb822.h"
#include "builder/source.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/text.h"

static void file_free(gpointer data)
{
	AshDebReleaseFile *file = data;

	g_free(file->sha256);
	g_free(file);
}

void ash_deb_release_free(AshDebRelease *release)
{
	if (release == NULL)
		return;
	g_free(release->origin);
	g_free(release->label);
	g_free(release->suite);
	g_free(release->codename);
	g_strfreev(release->components);
	g_clear_pointer(&release->files, g_hash_table_unref);
	g_free(release);
}

static int month_number(const char *name)
{
	static const char *const names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
			"Sep", "Oct", "Nov", "Dec"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (g_str_equal(names[i], name))
			return (int) i + 1;
	return 0;
}

/* "Sat, 22 Nov 2026 14:07:11 UTC": not strptime, which reads the names in the user's language. */
static bool parse_date(const char *text, int64_t *out_s)
{
	char month[4] = "";
	char zone[8] = "";
	int day = 0;
	int year = 0;
	int hour = 0;
	int minute = 0;
	int second = 0;

	if (sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d %7s", &day, month, &year, &hour, &minute,
			    &second, zone) != 7)
		return false;
	if (!g_str_equal(zone, "UTC") && !g_str_equal(zone, "GMT") && !g_str_equal(zone, "+0000"))
		return false;
	g_autoptr(GDateTime) time = g_date_time_new_utc(
			year, month_number(month), day, hour, minute, (gdouble) second);
	if (time == NULL)
		return false;
	*out_s = g_date_time_to_unix(time);
	return true;
}

typedef struct {
	const char *what;
	AshDebRelease *release;
	bool has_paragraph;
} ParseState;

/* Lines " HASH SIZE PATH" of the field SHA256. */
static gboolean parse_files(ParseState *state, char *value, unsigned line, GError **error)
{
	GHashTable *files = state->release->files;

	for (char *next = value; next != NULL; line++) {
		char *end = strchr(next, '\n');
		if (end != NULL)
			*end++ = '\0';
		char *here = g_strstrip(next);
		next = end;
		if (*here == '\0')
			continue;
		g_auto(GStrv) words = g_strsplit_set(here, " \t", -1);
		guint count = 0;
		for (guint i = 0; words[i] != NULL; i++)
			if (*words[i] != '\0') {
				char *word = words[i];
				words[i] = words[count];
				words[count++] = word;
			}
		guint64 size = 0;
		if (count != 3 || !ash_text_is_sha256(words[0]) ||
				!g_ascii_string_to_unsigned(
						words[1], 10, 0, G_MAXINT64, &size, NULL))
			return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX,
					"%s:%u: expected 'SHA-256 size path'", state->what, line);
		if (g_hash_table_size(files) >= ASH_DEB_RELEASE_MAX_FILES)
			return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX,
					"%s: more than %d files", state->what,
					ASH_DEB_RELEASE_MAX_FILES);
		AshDebReleaseFile *file = g_new0(AshDebReleaseFile, 1);
		file->sha256 = g_strdup(words[0]);
		file->size = size;
		g_hash_table_replace(files, g_strdup(words[2]), file);
	}
	return TRUE;
}

static char *copy_line(const AshParagraph *paragraph, const char *name)
{
	const char *value = ash_paragraph_get(paragraph, name);

	return value == NULL ? NULL : g_strdelimit(g_strdup(value), "\n", ' ');
}

static gboolean on_release(const AshParagraph *paragraph, gpointer closure, GError **error)
{
	ParseState *state = closure;
	AshDebRelease *release = state->release;

	if (state->has_paragraph)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX,
				"%s:%u: a second paragraph", state->what, paragraph->line);
	state->has_paragraph = true;
	release->origin = copy_line(paragraph, "Origin");
	release->label = copy_line(paragraph, "Label");
	release->suite = copy_line(paragraph, "Suite");
	release->codename = copy_line(paragraph, "Codename");
	if (ash_paragraph_get(paragraph, "Components") != NULL)
		release->components = ash_paragraph_get_words(paragraph, "Components");
	const char *by_hash = ash_paragraph_get(paragraph, "Acquire-By-Hash");
	release->acquire_by_hash = by_hash != NULL && g_ascii_strcasecmp(by_hash, "yes") == 0;

	g_auto(GStrv) architectures = ash_paragraph_get_words(paragraph, "Architectures");
	const char *no_all = ash_paragraph_get(paragraph, "No-Support-for-Architecture-all");
	release->has_all_in_each = !g_strv_contains((const char *const *) architectures, "all") ||
				   g_strcmp0(no_all, "Packages") == 0;

	const char *until = ash_paragraph_get(paragraph, "Valid-Until");
	if (until != NULL && !parse_date(until, &release->valid_until_s))
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX,
				"%s: Valid-Until '%s' is not a date", state->what, until);
	for (size_t i = 0; i < paragraph->count; i++) {
		const AshField *field = &paragraph->fields[i];
		if (g_ascii_strcasecmp(field->name, "SHA256") == 0)
			return parse_files(state, field->value, field->line + 1, error);
	}
	return TRUE;
}

gboolean ash_deb_release_parse(
		const char *what, GBytes *text, AshDebRelease **out_release, GError **error)
{
	g_autoptr(AshDebRelease) release = g_new0(AshDebRelease, 1);
	g_autoptr(GError) local = NULL;
	ParseState state = {.what = what, .release = release};

	release->files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, file_free);
	if (!ash_deb822_parse(what, text, ASH_DEB_RELEASE_MAX_BYTES, on_release, &state, &local)) {
		if (local->domain == ASH_SOURCE_ERROR) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX, "%s",
				local->message);
	}
	if (!state.has_paragraph)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX,
				"%s: not a Release file", what);
	*out_release = g_steal_pointer(&release);
	return TRUE;
}

const AshDebReleaseFile *ash_deb_release_find(const AshDebRelease *release, const char *path)
{
	return g_hash_table_lookup(release->files, path);
}

gboolean ash_deb_release_check_date(
		const AshDebRelease *release, const char *what, int64_t now_s, GError **error)
{
	if (release->valid_until_s == 0 || now_s <= release->valid_until_s)
		return TRUE;
	g_autoptr(GDateTime) until = g_date_time_new_from_unix_utc(release->valid_until_s);
	g_autofree char *text = until != NULL ? g_date_time_format_iso8601(until) : g_strdup("?");
	return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_EXPIRED,
			"%s: expired on %s: the archive is out of date, or this machine's clock is wrong",
			what, text);
}
