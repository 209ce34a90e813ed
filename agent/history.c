/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/history.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/paths.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/text.h"

struct AshHistory {
	char *path;
	uint64_t next_id;
	size_t size;
};

void ash_history_free(AshHistory *history)
{
	if (history == NULL)
		return;
	g_free(history->path);
	g_free(history);
}

/* The id of a line that is whole and ours; 0 otherwise. */
static uint64_t line_id(const char *line, size_t length)
{
	g_autoptr(GBytes) bytes = g_bytes_new(line, length);
	g_autoptr(JsonNode) node = NULL;
	uint64_t id = 0;

	if (length > ASH_HISTORY_MAX_LINE ||
			!ash_json_parse(bytes, ASH_HISTORY_MAX_LINE, 4, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node) ||
			!ash_json_uint(json_node_get_object(node), "id", G_MAXINT64 - 1, &id, NULL))
		return 0;
	return id;
}

static gboolean read_all(const AshHistory *history, GBytes **out_bytes, GError **error)
{
	g_autoptr(GError) local = NULL;

	/* Twice the limit: what may be there when the power went before the older half did. */
	if (ash_file_read(AT_FDCWD, history->path, 2 * ASH_HISTORY_MAX_BYTES, out_bytes, &local))
		return TRUE;
	if (g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
		*out_bytes = g_bytes_new(NULL, 0);
		return TRUE;
	}
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

/* Finds the last id; the bytes of whole lines in @out_size. */
static void scan(AshHistory *history, GBytes *bytes, size_t *out_size)
{
	size_t size = 0;
	const char *text = g_bytes_get_data(bytes, &size);
	size_t whole = 0;

	history->next_id = 1;
	for (size_t at = 0; at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		if (end == NULL)
			break;
		size_t next = (size_t) (end - text) + 1;
		uint64_t id = line_id(text + at, next - 1 - at);
		if (id >= history->next_id)
			history->next_id = id + 1;
		at = whole = next;
	}
	*out_size = whole;
}

/* A history that is none must not keep a host from being updated. */
static gboolean put_aside(const AshHistory *history, GError **error)
{
	g_autofree char *broken = g_strconcat(history->path, ".broken", NULL);

	if (rename(history->path, broken) != 0)
		return ash_throw_errno(error, "renaming %s", history->path);
	return ash_file_sync_parent(AT_FDCWD, history->path, error);
}

gboolean ash_history_open(const char *root, AshHistory **out_history, GError **error)
{
	g_autoptr(AshHistory) history = g_new0(AshHistory, 1);
	g_autoptr(GBytes) bytes = NULL;

	history->path = g_build_filename(root, ASH_PATH_STATE, "history.jsonl", NULL);
	/* Once more before it is given up: it may have been for want of memory, or a bad moment of the disk. */
	if (!read_all(history, &bytes, NULL) && !read_all(history, &bytes, NULL) &&
			(!put_aside(history, error) || !read_all(history, &bytes, error)))
		return FALSE;
	scan(history, bytes, &history->size);
	if (history->size != g_bytes_get_size(bytes) &&
			truncate(history->path, (off_t) history->size) != 0)
		return ash_throw_errno(error, "cutting %s", history->path);
	*out_history = g_steal_pointer(&history);
	return TRUE;
}

uint64_t ash_history_next_id(const AshHistory *history)
{
	return history->next_id;
}

void ash_history_raise_id(AshHistory *history, uint64_t next_id)
{
	history->next_id = MAX(history->next_id, next_id);
}

/* Keeps the newer half, from the beginning of a line. */
static gboolean drop_older(AshHistory *history, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;

	if (!read_all(history, &bytes, error))
		return FALSE;
	size_t size = 0;
	const char *text = g_bytes_get_data(bytes, &size);
	const char *end = size > 0 ? memchr(text + size / 2, '\n', size - size / 2) : NULL;
	if (end == NULL)
		return TRUE;
	size_t from = (size_t) (end - text) + 1;
	if (!ash_file_replace(AT_FDCWD, history->path, text + from, size - from, 0600, error))
		return FALSE;
	history->size = size - from;
	return TRUE;
}

static char *format_line(const AshHistory *history, const AshUpdateNote *note, const char *boot_id,
		int64_t now_s)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autofree char *at = ash_text_utc(now_s);
	g_autofree char *text = g_utf8_make_valid(note->text, -1);

	if (strlen(text) > ASH_HISTORY_MAX_LINE / 8) {
		/* Characters may take six bytes each as JSON. */
		char *cut = g_utf8_find_prev_char(text, text + ASH_HISTORY_MAX_LINE / 8);
		*cut = '\0';
	}
	json_builder_begin_object(builder);
	ash_json_add_uint(builder, "id", history->next_id);
	ash_json_add_text(builder, "at", at);
	ash_json_add_text(builder, "event", note->event);
	ash_json_add_text(builder, "version", note->version);
	ash_json_add_text(builder, "commit", note->commit);
	ash_json_add_text(builder, "text", text);
	ash_json_add_text(builder, "word", note->word);
	ash_json_add_text(builder, "boot", boot_id);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

static gboolean append(AshHistory *history, const char *line, GError **error)
{
	ash_autofd int fd = open(history->path,
			O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return ash_throw_errno(error, "opening %s", history->path);
	if (!ash_file_write_all(fd, line, strlen(line), error) ||
			(fdatasync(fd) != 0 &&
					!ash_throw_errno(error, "syncing %s", history->path))) {
		/* Half a line would spoil the next one; a whole one would have its id. */
		if (ftruncate(fd, (off_t) history->size) != 0)
			g_debug("leaving half a line in %s: %m", history->path);
		return FALSE;
	}
	history->size += strlen(line);
	return TRUE;
}

gboolean ash_history_add(AshHistory *history, const AshUpdateNote *note, const char *boot_id,
		int64_t now_s, char **out_json, GError **error)
{
	g_autofree char *line = format_line(history, note, boot_id, now_s);

	ASH_PREFIX("history");
	if (!append(history, line, error))
		return FALSE;
	history->next_id++;
	if (history->size > ASH_HISTORY_MAX_BYTES && !drop_older(history, error))
		return FALSE;
	if (out_json != NULL)
		*out_json = g_strdup(g_strchomp(line));
	return TRUE;
}

gboolean ash_history_format(AshHistory *history, unsigned limit, char **out_json, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GString) text = g_string_new("{\"events\":[");

	if (!read_all(history, &bytes, error))
		return FALSE;
	size_t size = 0;
	const char *all = g_bytes_get_data(bytes, &size);
	/* What a disk has made of it may be anything: NUL too, and no line at all. */
	g_autofree char *copy = g_malloc(size + 1);
	for (size_t i = 0; i < size; i++)
		copy[i] = all[i] != '\0' ? all[i] : '?';
	copy[size] = '\0';
	g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);
	guint count = 0;
	while (lines[count] != NULL)
		count++;
	if (count > 0 && *lines[count - 1] == '\0')
		count--;
	for (guint i = count > limit ? count - limit : 0; i < count; i++) {
		if (line_id(lines[i], strlen(lines[i])) == 0)
			continue; /* damaged on the disk; the others stand */
		if (text->str[text->len - 1] != '[')
			g_string_append_c(text, ',');
		g_string_append(text, lines[i]);
	}
	g_string_append(text, "]}");
	*out_json = g_string_free(g_steal_pointer(&text), FALSE);
	return TRUE;
}

/* ---- for the fleet ------------------------------------------------------------------------------- */

static void add_event(JsonObject *event, uint64_t id, JsonBuilder *builder)
{
	static const char *const texts[] = {"event", "version", "commit", "word", "text", "boot"};
	const char *at = ash_json_find_text(event, "at");
	g_autoptr(GDateTime) time = at != NULL ? g_date_time_new_from_iso8601(at, NULL) : NULL;

	json_builder_begin_object(builder);
	ash_json_add_uint(builder, "id", id);
	ash_json_add_int(builder, "at", time != NULL ? g_date_time_to_unix(time) : 0);
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *text = g_strdup(ash_json_find_text(event, texts[i]));
		for (char *c = text; c != NULL && *c != '\0'; c++)
			if (g_ascii_iscntrl(*c) && *c != '\n')
				*c = '?';
		ash_json_add_text(builder, texts[i], text);
	}
	json_builder_end_object(builder);
}

bool ash_history_add_after(
		const AshHistory *history, uint64_t after, unsigned max, JsonBuilder *builder)
{
	g_autoptr(GBytes) bytes = NULL;
	unsigned count = 0;
	size_t sum = 0;

	if (history->next_id <= after + 1 || !read_all(history, &bytes, NULL))
		return false;
	size_t size = 0;
	const char *text = g_bytes_get_data(bytes, &size);
	for (size_t at = 0; at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t length = end != NULL ? (size_t) (end - text) - at : size - at;
		g_autoptr(GBytes) line = g_bytes_new_static(text + at, length);
		g_autoptr(JsonNode) node = NULL;
		at += length + 1;
		if (!ash_json_parse(line, ASH_HISTORY_MAX_LINE, 4, &node, NULL) ||
				!JSON_NODE_HOLDS_OBJECT(node))
			continue;
		uint64_t id = ash_json_find_uint(json_node_get_object(node), "id");
		if (id <= after)
			continue;
		sum += length;
		if (count++ == max || sum > ASH_HISTORY_MAX_TOLD)
			return true;
		add_event(json_node_get_object(node), id, builder);
	}
	return false;
}
