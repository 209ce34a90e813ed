/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/http-private.h"

/* Server-sent events. The connection sleeps while there is nothing to send. A stream belongs to its sender until
 * ash_http_stream_end, and to the connection until that closes.
 */

enum {
	MAX_BEHIND_BYTES = 256 << 10,
	BLOCK_BYTES = 16 << 10,
	QUIET_US = 15 *
		   G_USEC_PER_SEC, /* then a comment goes out: shows who is gone, and that we are not */
};

struct AshHttpStream {
	gint references;
	GMutex lock;
	AshHttp *http;
	struct MHD_Connection *connection; /* NULL: gone */
	GString *text;                     /* from 'sent' on it is to go out */
	size_t sent;
	int64_t last_us;
	bool is_asleep, is_over, is_told;
	void (*on_end)(gpointer data);
	gpointer data;
};

static void stream_unref(AshHttpStream *stream)
{
	if (!g_atomic_int_dec_and_test(&stream->references))
		return;
	g_string_free(stream->text, TRUE);
	g_mutex_clear(&stream->lock);
	g_free(stream);
}

/* Under its lock. */
static void wake(AshHttpStream *stream)
{
	if (!stream->is_asleep || stream->connection == NULL)
		return;
	stream->is_asleep = false;
	MHD_resume_connection(stream->connection);
}

static ssize_t read_stream(void *data, uint64_t at, char *buffer, size_t size)
{
	AshHttpStream *stream = data;
	ssize_t result = 0;

	g_mutex_lock(&stream->lock);
	size_t left = stream->text->len - stream->sent;
	if (left > 0) {
		size_t count = MIN(left, size);
		memcpy(buffer, stream->text->str + stream->sent, count);
		stream->sent += count;
		if (stream->sent == stream->text->len) {
			g_string_truncate(stream->text, 0);
			stream->sent = 0;
		}
		result = (ssize_t) count;
	} else if (stream->is_over) {
		result = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		stream->is_asleep = true;
		MHD_suspend_connection(stream->connection);
	}
	g_mutex_unlock(&stream->lock);
	return result;
}

static void tell_end(AshHttpStream *stream)
{
	g_mutex_lock(&stream->lock);
	bool is_told = stream->is_told;
	stream->is_told = true;
	g_mutex_unlock(&stream->lock);
	if (!is_told && stream->on_end != NULL)
		stream->on_end(stream->data);
}

/* The connection has closed, or all is sent. */
static void free_stream(void *data)
{
	AshHttpStream *stream = data;
	AshHttp *http = stream->http;

	g_mutex_lock(&http->lock);
	g_ptr_array_remove_fast(http->streams, stream);
	g_mutex_unlock(&http->lock);
	g_mutex_lock(&stream->lock);
	stream->connection = NULL;
	stream->is_over = true;
	g_mutex_unlock(&stream->lock);
	tell_end(stream);
	stream_unref(stream);
}

AshHttpStream *ash_http_stream_begin(
		AshHttpCall *call, void (*on_end)(gpointer data), gpointer data)
{
	AshHttpStream *stream = g_new0(AshHttpStream, 1);
	AshHttp *http = call->http;

	stream->references = 2;
	g_mutex_init(&stream->lock);
	stream->http = http;
	stream->connection = call->connection;
	stream->text = g_string_new(":\n\n");
	stream->last_us = g_get_monotonic_time();
	stream->on_end = on_end;
	stream->data = data;

	g_mutex_lock(&http->lock);
	g_ptr_array_add(http->streams, stream);
	stream->is_over = g_atomic_int_get(&http->is_ending);
	g_mutex_unlock(&http->lock);
	struct MHD_Response *response = MHD_create_response_from_callback(
			MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, stream, free_stream);
	g_assert(response != NULL);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	/* nginx would keep it back until a buffer is full. */
	MHD_add_response_header(response, "X-Accel-Buffering", "no");
	if (ash_http_claim(call))
		ash_http_answer(call, 200, response);
	else
		MHD_destroy_response(response);
	ash_http_call_unref(call);
	return stream;
}

void ash_http_stream_send(AshHttpStream *stream, const char *text, size_t size)
{
	g_mutex_lock(&stream->lock);
	if (!stream->is_over) {
		stream->last_us = g_get_monotonic_time();
		if (stream->text->len - stream->sent + size > MAX_BEHIND_BYTES)
			stream->is_over = true;
		else
			g_string_append_len(stream->text, text, (gssize) size);
		wake(stream);
	}
	g_mutex_unlock(&stream->lock);
}

void ash_http_stream_end(AshHttpStream *stream)
{
	g_mutex_lock(&stream->lock);
	stream->is_over = true;
	wake(stream);
	g_mutex_unlock(&stream->lock);
	stream_unref(stream);
}

void ash_http_streams_tick(AshHttp *http, int64_t now_us)
{
	g_mutex_lock(&http->lock);
	for (guint i = 0; i < http->streams->len; i++) {
		AshHttpStream *stream = g_ptr_array_index(http->streams, i);
		g_mutex_lock(&stream->lock);
		bool is_quiet = now_us - stream->last_us > QUIET_US;
		g_mutex_unlock(&stream->lock);
		if (is_quiet)
			ash_http_stream_send(stream, ":\n\n", 3);
	}
	g_mutex_unlock(&http->lock);
}

void ash_http_streams_end(AshHttp *http)
{
	g_mutex_lock(&http->lock);
	for (guint i = 0; i < http->streams->len; i++) {
		AshHttpStream *stream = g_ptr_array_index(http->streams, i);
		g_mutex_lock(&stream->lock);
		stream->is_over = true;
		wake(stream);
		g_mutex_unlock(&stream->lock);
	}
	g_mutex_unlock(&http->lock);
}
