/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fleet/http-private.h"
#include "lib/auto.h"
#include "lib/json.h"

enum {
	FILE_BLOCK_BYTES = 64 << 10,
};

void ash_http_add_header(AshHttpCall *call, const char *name, const char *value)
{
	if (g_atomic_int_get(&call->is_claimed))
		return;
	if (call->headers == NULL)
		call->headers = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(call->headers, g_strdup(name));
	g_ptr_array_add(call->headers, g_strdup(value));
}

static void put_headers(AshHttpCall *call, struct MHD_Response *response)
{
	for (guint i = 0; call->headers != NULL && i + 1 < call->headers->len; i += 2)
		MHD_add_response_header(response, g_ptr_array_index(call->headers, i),
				g_ptr_array_index(call->headers, i + 1));
}

static bool has_header(AshHttpCall *call, const char *name)
{
	for (guint i = 0; call->headers != NULL && i + 1 < call->headers->len; i += 2)
		if (g_ascii_strcasecmp(g_ptr_array_index(call->headers, i), name) == 0)
			return true;
	return false;
}

static void free_bytes(void *data)
{
	g_bytes_unref(data);
}

static struct MHD_Response *response_of(GBytes *take_bytes)
{
	gsize size = 0;
	union {
		gconstpointer ours;
		void *theirs;
	} at = {.ours = take_bytes != NULL ? g_bytes_get_data(take_bytes, &size) : NULL};
	struct MHD_Response *response = NULL;

	if (take_bytes == NULL)
		response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	else
		response = MHD_create_response_from_buffer_with_free_callback_cls(
				size, at.theirs, free_bytes, take_bytes);
	g_assert(response != NULL);
	return response;
}

/* Ends the claim and the answerer's reference. */
static void send_response(AshHttpCall *call, unsigned status, const char *type,
		struct MHD_Response *take_response)
{
	if (type != NULL) {
		MHD_add_response_header(take_response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
		if (!has_header(call, "X-Content-Type-Options"))
			MHD_add_response_header(take_response, "X-Content-Type-Options", "nosniff");
	}
	put_headers(call, take_response);
	ash_http_answer(call, status, take_response);
	ash_http_call_unref(call);
}

void ash_http_reply(AshHttpCall *call, unsigned status, const char *type, GBytes *take_bytes)
{
	if (!ash_http_claim(call)) {
		g_clear_pointer(&take_bytes, g_bytes_unref);
		ash_http_call_unref(call);
		return;
	}
	if (take_bytes != NULL)
		g_atomic_pointer_add(&call->http->bytes_out, (gssize) g_bytes_get_size(take_bytes));
	send_response(call, status, take_bytes != NULL ? type : NULL, response_of(take_bytes));
}

void ash_http_reply_json(AshHttpCall *call, unsigned status, char *take_json)
{
	size_t size = strlen(take_json);

	if (!has_header(call, MHD_HTTP_HEADER_CACHE_CONTROL))
		ash_http_add_header(call, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	ash_http_reply(call, status, "application/json", g_bytes_new_take(take_json, size));
}

static char *error_json(const char *kind, const char *text, unsigned next_s)
{
	g_autoptr(JsonBuilder) builder = json_builder_new_immutable();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "kind", kind);
	ash_json_add_text(builder, "text", text);
	if (next_s > 0)
		ash_json_add_uint(builder, "next", next_s);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

void ash_http_reply_error(
		AshHttpCall *call, unsigned status, const char *kind, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_autofree char *raw = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	/* It may quote what was asked. */
	g_autofree char *text = g_utf8_make_valid(raw, -1);
	ash_http_reply_json(call, status, error_json(kind, text, 0));
}

void ash_http_reply_later(AshHttpCall *call, unsigned status, unsigned retry_s, const char *kind,
		const char *text)
{
	char seconds[16];

	g_snprintf(seconds, sizeof seconds, "%u", retry_s);
	ash_http_add_header(call, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
	ash_http_reply_json(call, status, error_json(kind, text, retry_s));
}

void ash_http_answer_ending(AshHttpCall *call)
{
	static const char text[] =
			"{\"kind\":\"ending\",\"text\":\"This server is being stopped.\",\"next\":5}\n";
	struct MHD_Response *response = response_of(g_bytes_new_static(text, sizeof text - 1));

	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "5");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	ash_http_answer(call, 503, response);
}

/* ---- files ---- */

/* "Sun, 06 Nov 1994 08:49:37 GMT": no locale may say it otherwise. */
static char *format_date(time_t at)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
			"Sep", "Oct", "Nov", "Dec"};
	struct tm tm;

	gmtime_r(&at, &tm);
	return g_strdup_printf("%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
			months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* If-None-Match rules; without it, If-Modified-Since, by its text: whoever asks sends what was said. */
static bool is_unchanged(AshHttpCall *call, const char *etag, const char *modified)
{
	const char *tags = ash_http_header(call, MHD_HTTP_HEADER_IF_NONE_MATCH);
	const char *since = ash_http_header(call, MHD_HTTP_HEADER_IF_MODIFIED_SINCE);

	if (tags == NULL)
		return since != NULL && strcmp(since, modified) == 0;
	g_auto(GStrv) list = g_strsplit(tags, ",", 64);
	for (size_t i = 0; list[i] != NULL; i++) {
		const char *tag = g_strstrip(list[i]);
		if (g_str_has_prefix(tag, "W/"))
			tag += 2;
		if (strcmp(tag, "*") == 0 || strcmp(tag, etag) == 0)
			return true;
	}
	return false;
}

typedef enum {
	RANGE_NONE, /* all of it: not asked for, or in a way that may be overlooked */
	RANGE_PART,
	RANGE_BEYOND,
} Range;

/* "bytes=A-B", "bytes=A-", "bytes=-N"; of several, none. */
static Range parse_range(const char *text, uint64_t size, uint64_t *out_from, uint64_t *out_count)
{
	guint64 from = 0, to = 0;
	const char *dash = NULL;

	if (text == NULL || !g_str_has_prefix(text, "bytes="))
		return RANGE_NONE;
	text += strlen("bytes=");
	dash = strchr(text, '-');
	if (dash == NULL || strchr(text, ',') != NULL)
		return RANGE_NONE;
	g_autofree char *first = g_strndup(text, (size_t) (dash - text));
	bool has_to = g_ascii_string_to_unsigned(dash + 1, 10, 0, G_MAXUINT64, &to, NULL);
	if (first[0] == '\0') {
		if (!has_to)
			return RANGE_NONE;
		if (to == 0 || size == 0)
			return RANGE_BEYOND;
		*out_count = MIN(to, size);
		*out_from = size - *out_count;
		return RANGE_PART;
	}
	if (!g_ascii_string_to_unsigned(first, 10, 0, G_MAXUINT64, &from, NULL) ||
			(!has_to && dash[1] != '\0') || (has_to && to < from))
		return RANGE_NONE;
	if (from >= size)
		return RANGE_BEYOND;
	*out_from = from;
	*out_count = has_to ? MIN(to - from + 1, size - from) : size - from;
	return RANGE_PART;
}

typedef struct {
	int fd;
	uint64_t from;
} File;

static ssize_t read_file(void *data, uint64_t at, char *buffer, size_t size)
{
	File *file = data;

	for (;;) {
		ssize_t n = pread(file->fd, buffer, size, (off_t) (file->from + at));
		if (n > 0)
			return n;
		if (n < 0 && errno == EINTR)
			continue;
		/* Shorter than it was: the length is told already, so the connection ends. */
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
}

static void close_file(void *data)
{
	File *file = data;

	close(file->fd);
	g_free(file);
}

/* Plain connections get it by sendfile(2), encrypted ones in blocks as large as records are. */
static struct MHD_Response *file_response(
		AshHttpCall *call, int take_fd, uint64_t from, uint64_t count)
{
	struct MHD_Response *response = NULL;

	if (call->link->credentials == NULL && count > 0) {
		response = MHD_create_response_from_fd_at_offset64(count, take_fd, from);
	} else {
		File *file = g_new(File, 1);
		*file = (File){.fd = take_fd, .from = from};
		response = MHD_create_response_from_callback(count,
				(size_t) MIN(MAX(count, 1), FILE_BLOCK_BYTES), read_file, file,
				close_file);
	}
	g_assert(response != NULL);
	return response;
}

static void reply_beyond(AshHttpCall *call, uint64_t size)
{
	g_autofree char *value = g_strdup_printf("bytes */%" G_GUINT64_FORMAT, size);

	ash_http_add_header(call, MHD_HTTP_HEADER_CONTENT_RANGE, value);
	ash_http_reply(call, 416, NULL, NULL);
}

static bool may_have_part(AshHttpCall *call, const char *etag, const char *modified)
{
	const char *condition = ash_http_header(call, MHD_HTTP_HEADER_IF_RANGE);

	return condition == NULL || strcmp(condition, etag) == 0 ||
	       strcmp(condition, modified) == 0;
}

void ash_http_reply_file(AshHttpCall *call, int take_fd, const char *type, const char *etag,
		const char *cache)
{
	ash_autofd int fd = take_fd;
	uint64_t from = 0, count = 0;
	Range range = RANGE_NONE;
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		ash_http_reply_error(call, 404, "not-found", "there is no such file");
		return;
	}
	uint64_t size = (uint64_t) st.st_size;
	g_autofree char *modified = format_date(st.st_mtime);
	g_autofree char *tag = etag != NULL ? g_strdup(etag)
					    : g_strdup_printf("\"%" G_GINT64_MODIFIER
							      "x-%" G_GINT64_MODIFIER "x.%lx\"",
							      size, (guint64) st.st_mtim.tv_sec,
							      (unsigned long) st.st_mtim.tv_nsec);
	ash_http_add_header(call, MHD_HTTP_HEADER_ETAG, tag);
	ash_http_add_header(call, MHD_HTTP_HEADER_LAST_MODIFIED, modified);
	ash_http_add_header(call, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
	if (cache != NULL)
		ash_http_add_header(call, MHD_HTTP_HEADER_CACHE_CONTROL, cache);
	if (is_unchanged(call, tag, modified)) {
		ash_http_reply(call, 304, NULL, NULL);
		return;
	}
	count = size;
	if (may_have_part(call, tag, modified))
		range = parse_range(
				ash_http_header(call, MHD_HTTP_HEADER_RANGE), size, &from, &count);
	if (range == RANGE_BEYOND) {
		reply_beyond(call, size);
		return;
	}
	if (range == RANGE_PART) {
		g_autofree char *value =
				g_strdup_printf("bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT
						"/%" G_GUINT64_FORMAT,
						from, from + count - 1, size);
		ash_http_add_header(call, MHD_HTTP_HEADER_CONTENT_RANGE, value);
	}
	if (!ash_http_claim(call)) {
		ash_http_call_unref(call);
		return;
	}
	g_atomic_pointer_add(&call->http->bytes_out, (gssize) count);
	send_response(call, range == RANGE_PART ? 206 : 200, type,
			file_response(call, g_steal_fd(&fd), from, count));
}
