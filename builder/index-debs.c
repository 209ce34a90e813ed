/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/index-debs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builder/deb.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"

static int compare_paths(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* The digest is over what stat() tells of each file, so that an unchanged directory of many .debs is
 * not read again. A file that changes within a tick of the clock and keeps its size and inode is missed;
 * the import checks each file's hash.
 */
static gboolean digest_files(GPtrArray *paths, char **out_digest, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < paths->len; i++) {
		const char *path = g_ptr_array_index(paths, i);
		struct stat st;
		if (stat(path, &st) < 0)
			return ash_throw_errno(error, "%s", path);
		g_string_append_printf(text,
				"%s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
				".%09ld %" G_GINT64_FORMAT ".%09ld %" G_GUINT64_FORMAT "\n",
				path, (gint64) st.st_size, (gint64) st.st_mtim.tv_sec,
				st.st_mtim.tv_nsec, (gint64) st.st_ctim.tv_sec, st.st_ctim.tv_nsec,
				(guint64) st.st_ino);
	}
	*out_digest = ash_sha256_hex(text->str, text->len);
	return TRUE;
}

gboolean ash_index_add_debs(const AshSource *source, const char *dir, GPtrArray *take_paths,
		GPtrArray *indices, GError **error)
{
	g_autoptr(GPtrArray) paths = take_paths;
	g_autofree char *digest = NULL;

	g_ptr_array_sort(paths, compare_paths);
	if (!digest_files(paths, &digest, error) ||
			!ash_file_ensure_dir(AT_FDCWD, dir, 0755, error))
		return FALSE;
	AshIndex *index = g_new0(AshIndex, 1);
	index->source = source;
	index->what = g_strdup(source->id);
	index->label = g_strdup("");
	index->dir = g_strdup(dir);
	index->digest = g_steal_pointer(&digest);
	index->debs = g_steal_pointer(&paths);
	g_ptr_array_add(indices, index);
	return TRUE;
}

gboolean ash_index_open_directory(
		const AshSource *source, const char *dir, GPtrArray *indices, GError **error)
{
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);

	ASH_PREFIX("%s", source->mark);
	g_autoptr(AshDir) stream = opendir(source->path);
	if (stream == NULL)
		return ash_throw_errno(error, "%s", source->path);
	for (;;) {
		const struct dirent *item = readdir(stream);
		if (item == NULL)
			break;
		if (g_str_has_suffix(item->d_name, ".deb"))
			g_ptr_array_add(paths, g_build_filename(source->path, item->d_name, NULL));
		if (paths->len > ASH_INDEX_MAX_DEBS)
			return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX,
					"%s: more than %d packages", source->path,
					ASH_INDEX_MAX_DEBS);
	}
	return ash_index_add_debs(source, dir, g_steal_pointer(&paths), indices, error);
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct {
	char *filename;
	char *sha256;
	char *size;
	AshDeb822Callback callback;
	gpointer closure;
	bool has_paragraph;
} ControlState;

/* Hands on the paragraph with the fields that an index adds. */
static gboolean on_control(const AshParagraph *paragraph, gpointer closure, GError **error)
{
	static const char *const added[] = {"Filename", "SHA256", "Size"};
	ControlState *state = closure;
	AshField fields[ASH_DEB822_MAX_FIELDS + G_N_ELEMENTS(added)];
	char *const values[] = {state->filename, state->sha256, state->size};
	size_t count = 0;

	if (state->has_paragraph)
		return ash_throw(error, ASH_DEB822_ERROR, ASH_DEB822_ERROR_SYNTAX,
				"line %u: a second paragraph", paragraph->line);
	state->has_paragraph = true;
	for (size_t i = 0; i < paragraph->count; i++) {
		bool is_ours = false;
		for (size_t k = 0; k < G_N_ELEMENTS(added); k++)
			is_ours = is_ours ||
				  g_ascii_strcasecmp(paragraph->fields[i].name, added[k]) == 0;
		if (!is_ours)
			fields[count++] = paragraph->fields[i];
	}
	for (size_t k = 0; k < G_N_ELEMENTS(added); k++)
		fields[count++] = (AshField){.name = added[k], .value = values[k]};
	const AshParagraph whole = {.fields = fields, .count = count, .line = paragraph->line};
	return state->callback(&whole, state->closure, error);
}

static gboolean read_deb(const AshIndex *index, const char *path, AshDeb822Callback callback,
		gpointer closure, GError **error)
{
	g_autofree char *base = g_path_get_basename(path);
	g_autofree char *sha256 = NULL;
	g_autoptr(GBytes) control = NULL;
	uint64_t size = 0;

	ash_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	if (!ash_deb_read_control(fd, base, &control, error))
		return FALSE;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return ash_throw_errno(error, "%s", path);
	if (!ash_sha256_fd(fd, &sha256, &size, error))
		return FALSE;
	g_autofree char *size_text = g_strdup_printf("%" G_GUINT64_FORMAT, size);
	/* Files of a directory are found again below it; single files by their whole path. */
	g_autofree char *filename = g_strdup(index->source->path != NULL ? base : path);
	ControlState state = {.filename = filename,
			.sha256 = sha256,
			.size = size_text,
			.callback = callback,
			.closure = closure};
	if (!ash_deb822_parse(
			    base, control, ASH_DEB822_MAX_STANZA_BYTES, on_control, &state, error))
		return FALSE;
	if (!state.has_paragraph)
		return ash_throw(error, ASH_DEB822_ERROR, ASH_DEB822_ERROR_SYNTAX,
				"%s: an empty control file", base);
	return TRUE;
}

gboolean ash_index_read_debs(
		const AshIndex *index, AshDeb822Callback callback, gpointer closure, GError **error)
{
	for (guint i = 0; i < index->debs->len; i++)
		if (!ash_interrupt_check(error) ||
				!read_deb(index, g_ptr_array_index(index->debs, i), callback,
						closure, error))
			return FALSE;
	return TRUE;
}
