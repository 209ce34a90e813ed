/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/http.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/file.h"

/* Plain connections: what is told apart by certificates is in tests/integration/fleet-http.sh. */

typedef struct {
	AshHttp *http;
	GMutex lock;
	GCond changed;
	AshHttpCall *kept;     /* of /keep */
	AshHttpStream *stream; /* of /stream */
	bool has_ended;
	unsigned last_status;
	gint handled;
	AshTempDir *dir;
	char *file;
} Fixture;

static void put(Fixture *fixture, AshHttpCall *call)
{
	g_mutex_lock(&fixture->lock);
	fixture->kept = call;
	g_cond_broadcast(&fixture->changed);
	g_mutex_unlock(&fixture->lock);
}

static AshHttpCall *wait_for_call(Fixture *fixture)
{
	g_mutex_lock(&fixture->lock);
	while (fixture->kept == NULL)
		g_cond_wait(&fixture->changed, &fixture->lock);
	AshHttpCall *call = g_steal_pointer(&fixture->kept);
	g_mutex_unlock(&fixture->lock);
	return call;
}

static void on_stream_end(gpointer data)
{
	Fixture *fixture = data;

	g_mutex_lock(&fixture->lock);
	fixture->has_ended = true;
	g_cond_broadcast(&fixture->changed);
	g_mutex_unlock(&fixture->lock);
}

static gboolean append_argument(const char *name, const char *value, gpointer data)
{
	g_string_append_printf(data, "[%s=%s]", name, value);
	return TRUE;
}

static void echo(AshHttpCall *call)
{
	g_autoptr(GString) text = g_string_new(NULL);
	GBytes *body = ash_http_body(call);

	g_string_append_printf(text, "%s %s from %s ", ash_http_method(call), ash_http_path(call),
			ash_http_peer(call));
	ash_http_each_argument(call, append_argument, text);
	g_string_append_printf(text, " body=%s", (const char *) g_bytes_get_data(body, NULL));
	ash_http_add_header(call, "X-Test", "yes");
	ash_http_reply(call, 200, "text/plain", g_string_free_to_bytes(g_steal_pointer(&text)));
}

static void work(AshHttpCall *call, gpointer data)
{
	echo(call);
}

static void handle(AshHttpCall *call, gpointer data)
{
	Fixture *fixture = data;
	const char *path = ash_http_path(call);

	g_atomic_int_inc(&fixture->handled);
	if (g_str_equal(path, "/keep")) {
		put(fixture, call);
	} else if (g_str_equal(path, "/work")) {
		g_assert_true(ash_http_blocking(call, work, NULL));
	} else if (g_str_equal(path, "/file")) {
		int fd = open(fixture->file, O_RDONLY | O_CLOEXEC);
		ash_http_reply_file(call, fd, "text/plain", NULL, "no-cache");
	} else if (g_str_equal(path, "/stream")) {
		g_mutex_lock(&fixture->lock);
		fixture->stream = ash_http_stream_begin(call, on_stream_end, fixture);
		g_cond_broadcast(&fixture->changed);
		g_mutex_unlock(&fixture->lock);
	} else {
		echo(call);
	}
}

static size_t admit(AshHttpCall *call, gpointer data)
{
	if (g_str_equal(ash_http_path(call), "/busy"))
		ash_http_reply_later(call, 503, 7, "busy", "Later.");
	if (g_str_equal(ash_http_path(call), "/none"))
		return 0;
	return 1000;
}

static void ended(AshHttpCall *call, unsigned status, int64_t took_us, gpointer data)
{
	Fixture *fixture = data;

	g_mutex_lock(&fixture->lock);
	fixture->last_status = status;
	g_cond_broadcast(&fixture->changed);
	g_mutex_unlock(&fixture->lock);
}

static void set_up(Fixture *fixture, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	const AshHttpOptions options = {.address = "127.0.0.1:0",
			.threads = 2,
			.workers = 2,
			.max_body_bytes = 100000,
			.admit = admit,
			.handle = handle,
			.ended = ended,
			.data = fixture};

	g_assert_true(ash_http_start(&options, &fixture->http, &error));
	g_assert_no_error(error);
	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "test-http", &fixture->dir, &error));
	fixture->file = g_build_filename(fixture->dir->path, "file", NULL);
	g_assert_true(g_file_set_contents(fixture->file, "0123456789", 10, &error));
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
	ash_http_free(fixture->http);
	ash_temp_dir_free(fixture->dir);
	g_free(fixture->file);
}

static int dial(Fixture *fixture)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
			.sin_port = htons((uint16_t) ash_http_port(fixture->http)),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_assert_cmpint(connect(fd, (const struct sockaddr *) (const void *) &to, sizeof to), ==,
			0);
	return fd;
}

static void say(int fd, const char *text)
{
	g_autoptr(GError) error = NULL;

	if (!ash_file_write_all(fd, text, strlen(text), &error))
		g_assert_no_error(error);
}

/* All until the other side closes. */
static char *hear(int fd)
{
	g_autoptr(GString) text = g_string_new(NULL);
	char piece[4096];
	ssize_t n = 0;

	while ((n = read(fd, piece, sizeof piece)) > 0)
		g_string_append_len(text, piece, n);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

/* One request on a connection of its own. @head: without the blank line. */
static char *ask(Fixture *fixture, const char *head, const char *body)
{
	ash_autofd int fd = dial(fixture);
	g_autofree char *text =
			g_strdup_printf("%s\r\nHost: x\r\nConnection: close\r\n\r\n%s", head, body);

	say(fd, text);
	return hear(fd);
}

#define assert_has(text, part) g_assert_nonnull(strstr(text, part))

static void test_request(Fixture *fixture, gconstpointer data)
{
	g_autofree char *answer = ask(fixture,
			"POST /a%20b%2Fc%00d?x=1%2F2&y&z=a+b HTTP/1.1\r\nContent-Length: 5",
			"hello");

	assert_has(answer, "HTTP/1.1 200 ");
	assert_has(answer, "X-Test: yes");
	assert_has(answer, "X-Content-Type-Options: nosniff");
	/* A segment may hold a '/', and nothing ends a text early. */
	assert_has(answer, "POST /a b%2Fc%00d from 127.0.0.1 [x=1/2][y=][z=a b] body=hello");
}

static void test_head(Fixture *fixture, gconstpointer data)
{
	g_autofree char *answer = ask(fixture, "HEAD /x HTTP/1.1", "");

	assert_has(answer, "Content-Length: ");
	g_assert_true(g_str_has_suffix(answer, "\r\n\r\n"));
}

static void test_kept_alive(Fixture *fixture, gconstpointer data)
{
	ash_autofd int fd = dial(fixture);

	/* Two at once, and one more behind them: each is answered, in order. */
	say(fd, "GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /work HTTP/1.1\r\nHost: x\r\n\r\n");
	say(fd, "GET /three HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	g_autofree char *answer = hear(fd);
	const char *one = strstr(answer, "GET /one");
	const char *two = strstr(answer, "GET /work");
	const char *three = strstr(answer, "GET /three");
	g_assert_true(one != NULL && two != NULL && three != NULL && one < two && two < three);
}

static void test_body_too_big(Fixture *fixture, gconstpointer data)
{
	g_autofree char *big = g_strnfill(1001, 'x');
	g_autofree char *told = ask(fixture, "POST /x HTTP/1.1\r\nContent-Length: 1001", big);
	g_autofree char *asked = ask(fixture,
			"POST /x HTTP/1.1\r\nContent-Length: 1001\r\nExpect: 100-continue", "");
	g_autofree char *large = ask(fixture, "POST /x HTTP/1.1\r\nContent-Length: 2000000", "");
	g_autofree char *chunk = g_strdup_printf("3e9\r\n%s\r\n0\r\n\r\n", big);
	g_autofree char *untold =
			ask(fixture, "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked", chunk);
	g_autofree char *none = ask(fixture, "POST /none HTTP/1.1\r\nContent-Length: 1", "x");

	assert_has(told, "HTTP/1.1 413 ");
	/* Before anything of it came. */
	assert_has(asked, "HTTP/1.1 413 ");
	assert_has(large, "HTTP/1.1 413 ");
	assert_has(untold, "HTTP/1.1 413 ");
	assert_has(none, "HTTP/1.1 413 ");
	g_assert_cmpint(g_atomic_int_get(&fixture->handled), ==, 0);

	big[1000] = '\0';
	g_autofree char *fits = ask(fixture, "POST /x HTTP/1.1\r\nContent-Length: 1000", big);
	assert_has(fits, "HTTP/1.1 200 ");
}

static void test_refused_early(Fixture *fixture, gconstpointer data)
{
	g_autofree char *answer = ask(fixture, "POST /busy HTTP/1.1\r\nContent-Length: 900", "");

	assert_has(answer, "HTTP/1.1 503 ");
	assert_has(answer, "Retry-After: 7");
	assert_has(answer, "{\"kind\":\"busy\",\"text\":\"Later.\",\"next\":7}");
	g_assert_cmpint(g_atomic_int_get(&fixture->handled), ==, 0);
}

static gpointer answer_kept(gpointer data)
{
	AshHttpCall *call = data;

	ash_http_reply_json(call, 202, g_strdup("{\"late\":true}"));
	return NULL;
}

static void test_answered_later(Fixture *fixture, gconstpointer data)
{
	ash_autofd int fd = dial(fixture);

	say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	AshHttpCall *call = wait_for_call(fixture);
	g_thread_join(g_thread_new("answer", answer_kept, call));
	g_autofree char *answer = hear(fd);
	assert_has(answer, "HTTP/1.1 202 ");
	assert_has(answer, "{\"late\":true}");
}

static void test_client_gone_meanwhile(Fixture *fixture, gconstpointer data)
{
	int fd = dial(fixture);

	say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
	AshHttpCall *call = wait_for_call(fixture);
	close(fd);
	answer_kept(call);
	g_mutex_lock(&fixture->lock);
	while (fixture->last_status == 0)
		g_cond_wait(&fixture->changed, &fixture->lock);
	g_mutex_unlock(&fixture->lock);
	g_autofree char *answer = ask(fixture, "GET /x HTTP/1.1", "");
	assert_has(answer, "HTTP/1.1 200 ");
}

static void test_end_answers_who_waits(Fixture *fixture, gconstpointer data)
{
	ash_autofd int fd = dial(fixture);

	say(fd, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n");
	AshHttpCall *call = wait_for_call(fixture);
	ash_http_stop(fixture->http, 0);
	g_autofree char *answer = hear(fd);
	assert_has(answer, "HTTP/1.1 503 ");
	assert_has(answer, "\"kind\":\"ending\"");
	/* Whoever was to answer may still do so: it is nothing. */
	answer_kept(call);
}

static void test_file(Fixture *fixture, gconstpointer data)
{
	static const struct {
		const char *header, *status, *range, *end;
	} cases[] = {
			{"X: y", "200", NULL, "\r\n\r\n0123456789"},
			{"Range: bytes=2-4", "206", "Content-Range: bytes 2-4/10", "\r\n\r\n234"},
			{"Range: bytes=7-", "206", "Content-Range: bytes 7-9/10", "\r\n\r\n789"},
			{"Range: bytes=-3", "206", "Content-Range: bytes 7-9/10", "\r\n\r\n789"},
			{"Range: bytes=0-99", "206", "Content-Range: bytes 0-9/10",
					"\r\n\r\n0123456789"},
			{"Range: bytes=10-", "416", "Content-Range: bytes */10", "\r\n\r\n"},
			{"Range: bytes=-0", "416", "Content-Range: bytes */10", "\r\n\r\n"},
			{"Range: bytes=4-2", "200", NULL, "\r\n\r\n0123456789"},
			{"Range: bytes=1-2,4-5", "200", NULL, "\r\n\r\n0123456789"},
			{"Range: lines=1-2", "200", NULL, "\r\n\r\n0123456789"},
			{"Range: bytes=1-2\r\nIf-Range: \"other\"", "200", NULL,
					"\r\n\r\n0123456789"},
			{"If-None-Match: *", "304", NULL, "\r\n\r\n"},
			{"If-None-Match: \"other\"", "200", NULL, "\r\n\r\n0123456789"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *head =
				g_strdup_printf("GET /file HTTP/1.1\r\n%s", cases[i].header);
		g_autofree char *answer = ask(fixture, head, "");
		g_test_message("%s", cases[i].header);
		g_assert_cmpint(strncmp(answer + 9, cases[i].status, 3), ==, 0);
		if (cases[i].range != NULL)
			assert_has(answer, cases[i].range);
		g_assert_true(g_str_has_suffix(answer, cases[i].end));
		assert_has(answer, "ETag: \"");
		assert_has(answer, "Cache-Control: no-cache");
	}
}

static void test_file_again(Fixture *fixture, gconstpointer data)
{
	g_autofree char *first = ask(fixture, "GET /file HTTP/1.1", "");
	const char *etag = strstr(first, "ETag: ") + strlen("ETag: ");
	g_autofree char *tag = g_strndup(etag, strcspn(etag, "\r"));
	const char *modified = strstr(first, "Last-Modified: ") + strlen("Last-Modified: ");
	g_autofree char *date = g_strndup(modified, strcspn(modified, "\r"));
	g_autofree char *by_tag =
			g_strdup_printf("GET /file HTTP/1.1\r\nIf-None-Match: \"x\", W/%s", tag);
	g_autofree char *by_date =
			g_strdup_printf("GET /file HTTP/1.1\r\nIf-Modified-Since: %s", date);
	g_autofree char *second = ask(fixture, by_tag, "");
	g_autofree char *third = ask(fixture, by_date, "");

	assert_has(second, "HTTP/1.1 304 ");
	assert_has(third, "HTTP/1.1 304 ");
}

static AshHttpStream *wait_for_stream(Fixture *fixture)
{
	g_mutex_lock(&fixture->lock);
	while (fixture->stream == NULL)
		g_cond_wait(&fixture->changed, &fixture->lock);
	AshHttpStream *stream = fixture->stream;
	g_mutex_unlock(&fixture->lock);
	return stream;
}

static void wait_for_end(Fixture *fixture)
{
	g_mutex_lock(&fixture->lock);
	while (!fixture->has_ended)
		g_cond_wait(&fixture->changed, &fixture->lock);
	g_mutex_unlock(&fixture->lock);
}

static void test_stream(Fixture *fixture, gconstpointer data)
{
	ash_autofd int fd = dial(fixture);

	say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	AshHttpStream *stream = wait_for_stream(fixture);
	for (int i = 0; i < 3; i++) {
		g_autofree char *text = g_strdup_printf("id: %d\ndata: x\n\n", i);
		ash_http_stream_send(stream, text, strlen(text));
	}
	ash_http_stream_end(stream);
	g_autofree char *answer = hear(fd);
	assert_has(answer, "Content-Type: text/event-stream");
	for (int i = 0; i < 3; i++) {
		g_autofree char *text = g_strdup_printf("id: %d\ndata: x\n\n", i);
		assert_has(answer, text);
	}
	wait_for_end(fixture);
}

static void test_stream_that_is_not_read(Fixture *fixture, gconstpointer data)
{
	ash_autofd int fd = dial(fixture);
	g_autofree char *much = g_strnfill(64 << 10, 'x');

	say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	AshHttpStream *stream = wait_for_stream(fixture);
	/* More than the kernel's buffers and ours take: dropped, instead of kept for ever. */
	for (int i = 0; i < 400; i++)
		ash_http_stream_send(stream, much, strlen(much));
	ash_http_stream_end(stream);
	shutdown(fd, SHUT_RDWR);
	wait_for_end(fixture);
}

static void test_stream_ends_with_the_server(Fixture *fixture, gconstpointer data)
{
	ash_autofd int fd = dial(fixture);

	say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	AshHttpStream *stream = wait_for_stream(fixture);
	ash_http_stop(fixture->http, 5);
	g_autofree char *answer = hear(fd);
	assert_has(answer, "text/event-stream");
	wait_for_end(fixture);
	ash_http_stream_end(stream);
}

static void test_nonsense(Fixture *fixture, gconstpointer data)
{
	static const char *const cases[] = {"\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02",
			"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		ash_autofd int fd = dial(fixture);
		say(fd, cases[i]);
		shutdown(fd, SHUT_WR);
		g_autofree char *answer = hear(fd);
		g_assert_null(strstr(answer, "HTTP/1.1 200"));
	}
	g_autofree char *big = g_strnfill(20000, 'x');
	g_autofree char *head = g_strdup_printf("GET /x HTTP/1.1\r\nX-Big: %s", big);
	g_autofree char *answer = ask(fixture, head, "");
	assert_has(answer, "HTTP/1.1 431 ");
}

static void test_listen(Fixture *fixture, gconstpointer data)
{
	g_autofree char *taken = g_strdup_printf("127.0.0.1:%u", ash_http_port(fixture->http));
	const char *addresses[] = {taken, "nonsense", ":1", "127.0.0.1:", "192.0.2.1:0"};

	for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
		const AshHttpOptions options = {.address = addresses[i], .handle = handle};
		g_autoptr(GError) error = NULL;
		g_autoptr(AshHttp) http = NULL;
		g_assert_false(ash_http_start(&options, &http, &error));
		g_assert_error(error, ASH_HTTP_ERROR, ASH_HTTP_ERROR_LISTEN);
	}
	const AshHttpOptions options = {.address = "127.0.0.1:0",
			.certificate_pem = "no",
			.key_pem = "no",
			.handle = handle};
	g_autoptr(GError) error = NULL;
	g_autoptr(AshHttp) http = NULL;
	g_assert_false(ash_http_start(&options, &http, &error));
	g_assert_error(error, ASH_HTTP_ERROR, ASH_HTTP_ERROR_TLS);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*run)(Fixture *fixture, gconstpointer data);
	} tests[] = {
			{"/http/request", test_request},
			{"/http/head", test_head},
			{"/http/kept-alive", test_kept_alive},
			{"/http/body-too-big", test_body_too_big},
			{"/http/refused-early", test_refused_early},
			{"/http/answered-later", test_answered_later},
			{"/http/client-gone-meanwhile", test_client_gone_meanwhile},
			{"/http/end-answers-who-waits", test_end_answers_who_waits},
			{"/http/file", test_file},
			{"/http/file-again", test_file_again},
			{"/http/stream", test_stream},
			{"/http/stream-not-read", test_stream_that_is_not_read},
			{"/http/stream-ends-with-the-server", test_stream_ends_with_the_server},
			{"/http/nonsense", test_nonsense},
			{"/http/listen", test_listen},
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].run, tear_down);
	return g_test_run();
}
