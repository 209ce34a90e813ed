/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/cli-stream.h"

#include <gio/gio.h>
#include <stdbool.h>
#include <string.h>

#include "lib/error.h"
#include "lib/interrupt.h"
#include "lib/json.h"

enum {
	MAX_EVENT = 1 << 20,
	MAX_DEPTH = 32,
	MAX_PAUSE_S = 30,
};

typedef struct {
	GString *line, *data, *kind;
	int64_t last;
	AshCliEach each;
	gpointer of;
	bool is_done; /* the caller has seen enough */
	bool came;    /* something came over this connection */
} Stream;

static void stream_init(Stream *stream, int64_t last, AshCliEach each, gpointer of)
{
	*stream = (Stream){.line = g_string_new(NULL),
			.data = g_string_new(NULL),
			.kind = g_string_new(NULL),
			.last = last,
			.each = each,
			.of = of};
}

static void stream_clear(Stream *stream)
{
	g_string_free(stream->line, TRUE);
	g_string_free(stream->data, TRUE);
	g_string_free(stream->kind, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Stream, stream_clear)

static gboolean tell(Stream *stream, JsonObject *event, GError **error)
{
	const char *kind = stream->kind->len > 0 ? stream->kind->str : "message";
	g_autoptr(GError) local = NULL;

	if (stream->each(kind, event, stream->of, &local))
		return TRUE;
	stream->is_done = true;
	if (local != NULL)
		g_propagate_error(error, g_steal_pointer(&local));
	else
		ash_throw(error, G_IO_ERROR, G_IO_ERROR_CLOSED, "enough");
	return FALSE;
}

static gboolean end_event(Stream *stream, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new(stream->data->str, stream->data->len);
	g_autoptr(JsonNode) node = NULL;

	if (stream->data->len == 0)
		return TRUE;
	g_string_truncate(stream->data, 0);
	if (!ash_json_parse(bytes, MAX_EVENT, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return TRUE;
	stream->last = MAX(stream->last,
			(int64_t) ash_json_find_uint(json_node_get_object(node), "seq"));
	gboolean ok = tell(stream, json_node_get_object(node), error);
	g_string_truncate(stream->kind, 0);
	return ok;
}

static const char *value_of(const char *line, const char *field)
{
	size_t size = strlen(field);

	if (strncmp(line, field, size) != 0)
		return NULL;
	return line[size] == ' ' ? line + size + 1 : line + size;
}

static gboolean take_line(Stream *stream, GError **error)
{
	const char *data = value_of(stream->line->str, "data:");
	const char *kind = value_of(stream->line->str, "event:");

	if (data != NULL)
		g_string_append(stream->data, data);
	if (kind != NULL)
		g_string_assign(stream->kind, kind);
	return stream->line->len > 0 || end_event(stream, error);
}

static gboolean take_piece(const char *data, size_t size, gpointer of, GError **error)
{
	Stream *stream = of;

	stream->came = true;
	for (size_t i = 0; i < size; i++) {
		if (data[i] != '\n') {
			g_string_append_c(stream->line, data[i]);
			if (stream->line->len + stream->data->len > MAX_EVENT)
				return ash_throw(error, ASH_CLI_CLIENT_ERROR,
						ASH_CLI_CLIENT_ERROR_ANSWER,
						"an event of the stream is too large");
			continue;
		}
		if (!take_line(stream, error))
			return FALSE;
		g_string_truncate(stream->line, 0);
	}
	return tell(stream, NULL, error);
}

static gboolean read_once(AshCliClient *client, Stream *stream, const char *path, GError **error)
{
	g_string_truncate(stream->line, 0);
	g_string_truncate(stream->data, 0);
	g_string_truncate(stream->kind, 0);
	stream->came = false;
	return ash_cli_client_read(client, path, take_piece, stream, error);
}

static bool has_enough(const Stream *stream, const GError *error)
{
	return stream->is_done && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CLOSED);
}

gboolean ash_cli_stream_read(AshCliClient *client, const char *path, AshCliEach each, gpointer data,
		GError **error)
{
	g_auto(Stream) stream;
	g_autoptr(GError) local = NULL;

	stream_init(&stream, -1, each, data);
	if (read_once(client, &stream, path, &local) || has_enough(&stream, local))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

static bool may_pass(const GError *error)
{
	return error->domain == ASH_FETCH_ERROR ||
	       g_error_matches(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_UNREACHABLE);
}

gboolean ash_cli_stream_follow(
		AshCliClient *client, int64_t after, AshCliEach each, gpointer data, GError **error)
{
	g_auto(Stream) stream;
	unsigned pause_s = 1;

	stream_init(&stream, after, each, data);
	for (;;) {
		g_autoptr(GError) local = NULL;
		g_autofree char *path =
				stream.last >= 0
						? g_strdup_printf("/v1/stream?after=%" G_GINT64_FORMAT,
								  stream.last)
						: g_strdup("/v1/stream");
		gboolean ok = read_once(client, &stream, path, &local);
		if (has_enough(&stream, local))
			return TRUE;
		if (!ok && (stream.is_done || !may_pass(local))) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
		pause_s = stream.came ? 1 : MIN(pause_s * 2, MAX_PAUSE_S);
		if (!ash_interrupt_pause(pause_s * 1000, error))
			return FALSE;
	}
}
