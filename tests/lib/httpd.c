/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fnmatch.h>
#include <gio/gio.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A small HTTP server for tests: files of one directory, on 127.0.0.1, one request a connection.
 *
 *	httpd [--faults FILE] [--log FILE] DIRECTORY
 *
 * prints its port on stdout, and ends when stdin ends. Ranges ("bytes=N-") are supported. FILE of
 * --faults is read at each request, so that a test can change its mind; a line is
 *
 *	GLOB truncate N     the body ends after N bytes, once per path
 *	GLOB stall N        after N bytes nothing more comes, the connection stays
 *	GLOB status S N     the answer is status S, N times per path (0: always)
 *	GLOB wrong 0        the first byte of the body is another one
 *	GLOB norange 0      range requests are answered with all of it
 *	GLOB endless 0      a body without a length that never ends
 *	GLOB chunked 0      the same in chunks, with the file's bytes at its beginning
 *	GLOB sparse N       the file, and then zeros up to the N bytes that the header says
 *	GLOB drip N         N bytes a second, one by one
 *	GLOB hole 0         the request is read, and there is no answer
 *	GLOB redirect URL   302 to URL
 *
 * --log gets a line "PATH STATUS FIRST-BYTE" for each request, and "PATH sent N" when the other side has
 * closed an endless, chunked or sparse one.
 */

static char *faults_path = NULL;
static char *log_path = NULL;
static const char *root_dir = NULL;
static GMutex lock;
static GHashTable *counts = NULL; /* "LINE PATH" → times used; under lock */

typedef struct {
	char *kind; /* NULL: none */
	gint64 number;
	char *text; /* what the number stands in */
} Fault;

static void log_request(const char *path, int status, gint64 first)
{
	if (log_path == NULL)
		return;
	g_mutex_lock(&lock);
	FILE *log = fopen(log_path, "ae");
	if (log != NULL) {
		fprintf(log, "%s %d %" G_GINT64_FORMAT "\n", path, status, first);
		fclose(log);
	}
	g_mutex_unlock(&lock);
}

/* Counts one use of @line for @path; false when it has been used @max times (0: no limit). */
static bool use_up(const char *line, const char *path, gint64 max)
{
	g_autofree char *key = g_strdup_printf("%s %s", line, path);

	g_mutex_lock(&lock);
	gint64 used = GPOINTER_TO_INT(g_hash_table_lookup(counts, key));
	bool is_left = max == 0 || used < max;
	if (is_left)
		g_hash_table_insert(counts, g_steal_pointer(&key), GINT_TO_POINTER((int) used + 1));
	g_mutex_unlock(&lock);
	return is_left;
}

static Fault find_fault(const char *path)
{
	g_autofree char *text = NULL;
	Fault fault = {0};

	if (faults_path == NULL || !g_file_get_contents(faults_path, &text, NULL, NULL))
		return fault;
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		g_auto(GStrv) words = g_strsplit(*line, " ", -1);
		guint count = g_strv_length(words);
		if (count < 3 || fnmatch(words[0], path, 0) != 0)
			continue;
		gint64 max = g_str_equal(words[1], "truncate") ? 1 : 0;
		if (g_str_equal(words[1], "status") && count > 3)
			max = g_ascii_strtoll(words[3], NULL, 10);
		if (!use_up(*line, path, max))
			continue;
		fault.kind = g_strdup(words[1]);
		fault.number = g_ascii_strtoll(words[2], NULL, 10);
		fault.text = g_strdup(words[2]);
		return fault;
	}
	return fault;
}

static bool send_all(GOutputStream *out, const void *data, gsize size)
{
	return g_output_stream_write_all(out, data, size, NULL, NULL, NULL);
}

static void send_status(GOutputStream *out, const char *path, int status)
{
	g_autofree char *head = g_strdup_printf(
			"HTTP/1.1 %d Status\r\nContent-Length: 6\r\nConnection: close\r\n\r\nerror\n",
			status);

	log_request(path, status, 0);
	send_all(out, head, strlen(head));
}

static void log_sent(const char *path, guint64 bytes)
{
	if (log_path == NULL)
		return;
	g_mutex_lock(&lock);
	FILE *log = fopen(log_path, "ae");
	if (log != NULL) {
		fprintf(log, "%s sent %" G_GUINT64_FORMAT "\n", path, bytes);
		fclose(log);
	}
	g_mutex_unlock(&lock);
}

/* @data, then zeros: up to @max bytes, or until the other side has enough. */
static void send_zeros(GOutputStream *out, const char *path, const char *head, const char *data,
		gsize size, guint64 max, bool is_chunked)
{
	g_autofree char *block = g_malloc0(65536);
	guint64 sent = 0;
	bool is_open = send_all(out, head, strlen(head));

	log_request(path, 200, 0);
	while (is_open && sent < max) {
		gsize piece = (gsize) MIN(max - sent, sent < size ? size - sent : 65536);
		g_autofree char *length = g_strdup_printf("%" G_GSIZE_MODIFIER "x\r\n", piece);
		is_open = (!is_chunked || send_all(out, length, strlen(length))) &&
			  send_all(out, sent < size ? data + sent : block, piece) &&
			  (!is_chunked || send_all(out, "\r\n", 2));
		sent += piece;
	}
	log_sent(path, sent);
}

static void send_endless(GOutputStream *out, const char *path)
{
	send_zeros(out, path, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", NULL, 0, G_MAXUINT64,
			false);
}

static void send_chunked(GOutputStream *out, const char *path, const char *data, gsize size)
{
	send_zeros(out, path,
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
			data, size, G_MAXUINT64, true);
}

static void send_sparse(
		GOutputStream *out, const char *path, const char *data, gsize size, gint64 length)
{
	g_autofree char *head = g_strdup_printf("HTTP/1.1 200 OK\r\nContent-Length: "
						"%" G_GINT64_FORMAT "\r\nConnection: close\r\n\r\n",
			length);

	send_zeros(out, path, head, data, size, (guint64) length, false);
}

static void send_drip(GOutputStream *out, const char *path, const char *data, gsize size,
		gint64 per_second)
{
	g_autofree char *head = g_strdup_printf("HTTP/1.1 200 OK\r\nContent-Length: "
						"%" G_GSIZE_FORMAT "\r\nConnection: close\r\n\r\n",
			size);

	log_request(path, 200, 0);
	bool is_open = send_all(out, head, strlen(head));
	for (gsize i = 0; is_open && i < size; i++) {
		is_open = send_all(out, data + i, 1);
		g_usleep((gulong) (G_USEC_PER_SEC / MAX(per_second, 1)));
	}
}

static void send_redirect(GOutputStream *out, const char *path, const char *to)
{
	g_autofree char *head = g_strdup_printf("HTTP/1.1 302 Found\r\nLocation: %s\r\n"
						"Content-Length: 0\r\nConnection: close\r\n\r\n",
			to);

	log_request(path, 302, 0);
	send_all(out, head, strlen(head));
}

static void send_file(GOutputStream *out, const char *path, char *data, gsize size, gint64 first,
		const Fault *fault)
{
	gsize end = size;
	bool is_partial = first > 0;

	if (g_strcmp0(fault->kind, "norange") == 0) {
		first = 0;
		is_partial = false;
	}
	if (first >= (gint64) size && size > 0) {
		send_status(out, path, 416);
		return;
	}
	if (g_strcmp0(fault->kind, "wrong") == 0 && size > 0)
		data[0] ^= 1;
	if (g_strcmp0(fault->kind, "truncate") == 0 || g_strcmp0(fault->kind, "stall") == 0)
		end = MIN(size, (gsize) (first + fault->number));
	g_autofree char *range = g_strdup_printf("Content-Range: bytes %" G_GINT64_FORMAT
						 "-%" G_GSIZE_FORMAT "/%" G_GSIZE_FORMAT "\r\n",
			first, size - 1, size);
	g_autofree char *head =
			g_strdup_printf("HTTP/1.1 %s\r\nContent-Length: %" G_GSIZE_FORMAT
					"\r\n%sAccept-Ranges: bytes\r\nConnection: close\r\n\r\n",
					is_partial ? "206 Partial Content" : "200 OK",
					size - (gsize) first, is_partial ? range : "");

	log_request(path, is_partial ? 206 : 200, first);
	if (!send_all(out, head, strlen(head)) || !send_all(out, data + first, end - (gsize) first))
		return;
	if (g_strcmp0(fault->kind, "stall") == 0)
		g_usleep(600 * G_USEC_PER_SEC);
}

static void answer(GOutputStream *out, const char *path, gint64 first)
{
	g_autofree char *unescaped = g_uri_unescape_string(path, "/");
	g_autofree char *data = NULL;
	gsize size = 0;

	if (unescaped == NULL || strstr(unescaped, "..") != NULL) {
		send_status(out, path, 400);
		return;
	}
	Fault fault = find_fault(unescaped);
	g_autofree char *kind = fault.kind;
	g_autofree char *text = fault.text;
	g_autofree char *file = g_build_filename(root_dir, unescaped, NULL);
	if (g_strcmp0(kind, "status") == 0)
		send_status(out, path, (int) fault.number);
	else if (g_strcmp0(kind, "endless") == 0)
		send_endless(out, path);
	else if (g_strcmp0(kind, "hole") == 0)
		g_usleep(600 * G_USEC_PER_SEC);
	else if (g_strcmp0(kind, "redirect") == 0)
		send_redirect(out, path, text);
	else if (!g_file_get_contents(file, &data, &size, NULL))
		send_status(out, path, 404);
	else if (g_strcmp0(kind, "chunked") == 0)
		send_chunked(out, path, data, size);
	else if (g_strcmp0(kind, "sparse") == 0)
		send_sparse(out, path, data, size, fault.number);
	else if (g_strcmp0(kind, "drip") == 0)
		send_drip(out, path, data, size, fault.number);
	else
		send_file(out, path, data, size, first, &fault);
}

static gboolean on_connection(GThreadedSocketService *service, GSocketConnection *connection,
		GObject *source, gpointer data)
{
	GInputStream *raw = g_io_stream_get_input_stream(G_IO_STREAM(connection));
	g_autoptr(GDataInputStream) in = g_data_input_stream_new(raw);
	g_autofree char *path = NULL;
	gint64 first = 0;

	g_data_input_stream_set_newline_type(in, G_DATA_STREAM_NEWLINE_TYPE_CR_LF);
	for (;;) {
		g_autofree char *line = g_data_input_stream_read_line(in, NULL, NULL, NULL);
		if (line == NULL || *line == '\0')
			break;
		if (path == NULL) {
			g_auto(GStrv) words = g_strsplit(line, " ", 3);
			path = g_strdup(g_strv_length(words) == 3 ? words[1] : "/..");
		}
		if (g_ascii_strncasecmp(line, "Range: bytes=", 13) == 0)
			first = g_ascii_strtoll(line + 13, NULL, 10);
	}
	if (path != NULL)
		answer(g_io_stream_get_output_stream(G_IO_STREAM(connection)), path, first);
	g_io_stream_close(G_IO_STREAM(connection), NULL, NULL);
	return TRUE;
}

static gboolean on_stdin(GIOChannel *channel, GIOCondition condition, gpointer data)
{
	char byte = 0;

	if (read(STDIN_FILENO, &byte, 1) > 0)
		return G_SOURCE_CONTINUE;
	_exit(0);
}

int main(int argc, char **argv)
{
	const GOptionEntry entries[] = {
			{"faults", 0, 0, G_OPTION_ARG_FILENAME, &faults_path, "faults", "FILE"},
			{"log", 0, 0, G_OPTION_ARG_FILENAME, &log_path, "requests", "FILE"},
			{NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
	};
	g_autoptr(GOptionContext) options = g_option_context_new("DIRECTORY");
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(options, entries, NULL);
	if (!g_option_context_parse(options, &argc, &argv, &error) || argc != 2) {
		fprintf(stderr, "httpd: %s\n", error != NULL ? error->message : "one directory");
		return 2;
	}
	root_dir = argv[1];
	counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GSocketService) service = g_threaded_socket_service_new(64);
	g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
	g_autoptr(GSocketAddress) address = g_inet_socket_address_new(loopback, 0);
	g_autoptr(GSocketAddress) effective = NULL;
	if (!g_socket_listener_add_address(G_SOCKET_LISTENER(service), address,
			    G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL, &effective,
			    &error)) {
		fprintf(stderr, "httpd: %s\n", error->message);
		return 1;
	}
	g_signal_connect(service, "run", G_CALLBACK(on_connection), NULL);
	g_autoptr(GIOChannel) channel = g_io_channel_unix_new(STDIN_FILENO);
	g_io_add_watch(channel, G_IO_IN | G_IO_HUP | G_IO_ERR, on_stdin, NULL);
	printf("%u\n", g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(effective)));
	fflush(stdout);
	g_autoptr(GMainLoop) main_loop = g_main_loop_new(NULL, FALSE);
	g_main_loop_run(main_loop);
	return 0;
}
