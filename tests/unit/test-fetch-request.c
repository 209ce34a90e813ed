/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fetch-request.h"

#include <gio/gio.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Against a server of this process: a thread a connection, TLS 1.3 with certificates on both sides, or
 * none.
 */

typedef struct {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	char *key_pem, *crt_pem;
} Identity;

typedef struct {
	int listener;
	char *base;
	gint connections;                             /* atomic */
	gnutls_certificate_credentials_t credentials; /* NULL: no TLS */
} Server;

static Identity ca, other_ca, server_id, client_id;

static char *export_crt(gnutls_x509_crt_t crt)
{
	gnutls_datum_t datum = {0};

	g_assert_cmpint(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &datum), ==, 0);
	char *text = g_strndup((const char *) datum.data, datum.size);
	gnutls_free(datum.data);
	return text;
}

/* @issuer NULL: a CA of its own. */
static void make(Identity *id, const char *name, const Identity *issuer)
{
	gnutls_datum_t datum = {0};
	guint8 serial = 1;
	const guint8 loopback[4] = {127, 0, 0, 1};

	gnutls_x509_privkey_init(&id->key);
	gnutls_x509_privkey_generate(id->key, GNUTLS_PK_ECDSA,
			GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	gnutls_x509_privkey_export2_pkcs8(
			id->key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &datum);
	id->key_pem = g_strndup((const char *) datum.data, datum.size);
	gnutls_free(datum.data);
	gnutls_x509_crt_init(&id->crt);
	gnutls_x509_crt_set_version(id->crt, 3);
	gnutls_x509_crt_set_serial(id->crt, &serial, 1);
	gnutls_x509_crt_set_activation_time(id->crt, time(NULL) - 3600);
	gnutls_x509_crt_set_expiration_time(id->crt, time(NULL) + 3600);
	gnutls_x509_crt_set_dn_by_oid(
			id->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned) strlen(name));
	gnutls_x509_crt_set_key(id->crt, id->key);
	gnutls_x509_crt_set_basic_constraints(id->crt, issuer == NULL, -1);
	gnutls_x509_crt_set_subject_alt_name(
			id->crt, GNUTLS_SAN_IPADDRESS, loopback, 4, GNUTLS_FSAN_SET);
	g_assert_cmpint(gnutls_x509_crt_sign2(id->crt, issuer != NULL ? issuer->crt : id->crt,
					issuer != NULL ? issuer->key : id->key, GNUTLS_DIG_SHA256,
					0),
			==, 0);
	id->crt_pem = export_crt(id->crt);
}

/* ---- the server ---------------------------------------------------------------------------------- */

typedef struct {
	int fd;
	gnutls_session_t tls; /* NULL: none */
} Connection;

static ssize_t receive(Connection *c, void *data, size_t size)
{
	return c->tls != NULL ? gnutls_record_recv(c->tls, data, size) : recv(c->fd, data, size, 0);
}

static void send_text(Connection *c, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = c->tls != NULL ? gnutls_record_send(c->tls, text, size)
					   : send(c->fd, text, size, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		text += n;
		size -= (size_t) n;
	}
}

static void answer_with(
		Connection *c, int status, const char *header, const char *body, size_t size)
{
	g_autofree char *head = g_strdup_printf("HTTP/1.1 %d Status\r\nContent-Length: %zu\r\n"
						"Content-Type: application/json\r\n%s\r\n",
			status, size, header);
	send_text(c, head, strlen(head));
	send_text(c, body, size);
}

static void answer_stream(Connection *c)
{
	static const char *const pieces[] = {
			"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
			"7\r\nid: 1\n\n\r\n", "7\r\nid: 2\n\n\r\n", "0\r\n\r\n"};

	for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++)
		send_text(c, pieces[i], strlen(pieces[i]));
}

static void answer(Connection *c, const char *path, const char *request)
{
	g_autofree char *big = g_strnfill(100000, 'x');
	char bytes[1];

	if (g_str_has_prefix(path, "/status/"))
		answer_with(c, atoi(path + 8), "Retry-After: 7\r\n", "{\"kind\":\"busy\"}", 15);
	else if (g_str_equal(path, "/elsewhere"))
		answer_with(c, 302, "Location: /echo\r\n", "", 0);
	else if (g_str_equal(path, "/big"))
		answer_with(c, 200, "", big, 100000);
	else if (g_str_equal(path, "/stream"))
		answer_stream(c);
	else if (g_str_equal(path, "/hang"))
		receive(c, bytes, 1);
	else
		answer_with(c, 200, "", request, strlen(request));
}

static bool read_request(Connection *c, GString *request)
{
	char buffer[4096];

	for (;;) {
		const char *end = strstr(request->str, "\r\n\r\n");
		const char *length = strstr(request->str, "Content-Length: ");
		size_t body = length != NULL ? (size_t) atol(length + 16) : 0;
		if (end != NULL && request->len >= (size_t) (end - request->str) + 4 + body)
			return true;
		ssize_t n = receive(c, buffer, sizeof buffer);
		if (n <= 0)
			return false;
		g_string_append_len(request, buffer, n);
	}
}

static bool shake_hands(const Server *server, Connection *c)
{
	if (server->credentials == NULL)
		return true;
	gnutls_init(&c->tls, GNUTLS_SERVER);
	gnutls_priority_set_direct(c->tls, "NORMAL", NULL);
	gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, server->credentials);
	gnutls_certificate_server_set_request(c->tls, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_cert(c->tls, NULL, 0);
	gnutls_transport_set_int(c->tls, c->fd);
	int code = gnutls_handshake(c->tls);
	if (code < 0)
		gnutls_alert_send_appropriate(c->tls, code);
	return code >= 0;
}

static gpointer serve_one(gpointer data)
{
	g_autofree gpointer *pair = data;
	Server *server = pair[0];
	Connection c = {.fd = GPOINTER_TO_INT(pair[1])};
	bool is_open = shake_hands(server, &c);

	while (is_open) {
		g_autoptr(GString) request = g_string_new(NULL);
		is_open = read_request(&c, request);
		if (!is_open)
			break;
		g_auto(GStrv) words = g_strsplit(request->str, " ", 3);
		answer(&c, words[1], request->str);
	}
	if (c.tls != NULL)
		gnutls_deinit(c.tls);
	/* What the other side has sent by now must not turn the alert into a reset. */
	char rest[256];
	shutdown(c.fd, SHUT_WR);
	while (recv(c.fd, rest, sizeof rest, 0) > 0)
		;
	close(c.fd);
	return NULL;
}

static gpointer serve(gpointer data)
{
	Server *server = data;

	for (;;) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return NULL;
		g_atomic_int_inc(&server->connections);
		gpointer *pair = g_new0(gpointer, 2);
		pair[0] = server;
		pair[1] = GINT_TO_POINTER(fd);
		g_thread_unref(g_thread_new("connection", serve_one, pair));
	}
}

static void server_start(Server *server, bool is_tls)
{
	struct sockaddr_in address = {
			.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;

	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(bind(server->listener, (struct sockaddr *) &address, size), ==, 0);
	g_assert_cmpint(listen(server->listener, 16), ==, 0);
	getsockname(server->listener, (struct sockaddr *) &address, &size);
	server->base = g_strdup_printf(
			"%s://127.0.0.1:%d", is_tls ? "https" : "http", ntohs(address.sin_port));
	if (is_tls) {
		gnutls_certificate_allocate_credentials(&server->credentials);
		gnutls_certificate_set_x509_key(
				server->credentials, &server_id.crt, 1, server_id.key);
		gnutls_certificate_set_x509_trust(server->credentials, &ca.crt, 1);
	}
	g_thread_unref(g_thread_new("server", serve, server));
}

static Server plain, secure;

/* ---- the tests ----------------------------------------------------------------------------------- */

static AshFetchSession *session_new(const AshFetchOptions *options)
{
	g_autoptr(GError) error = NULL;
	AshFetchSession *session = NULL;

	g_assert_true(ash_fetch_session_new(options, &session, &error));
	g_assert_no_error(error);
	return session;
}

static gboolean ask(AshFetchSession *session, const Server *server, const char *path,
		const AshFetchRequest *rest, AshFetchAnswer **out_answer, GError **error)
{
	g_autofree char *url = g_strconcat(server->base, path, NULL);
	AshFetchRequest request = *rest;

	request.url = url;
	if (request.max_bytes == 0)
		request.max_bytes = 4096;
	return ash_fetch_session_request(session, &request, out_answer, error);
}

static const char *body_of(const AshFetchAnswer *answer)
{
	return g_bytes_get_data(answer->body, NULL);
}

static void test_request(void)
{
	g_autoptr(AshFetchSession) session = session_new(&(AshFetchOptions){0});
	static const char *const headers[] = {"Authorization: Bearer a.b", NULL};
	g_autoptr(AshFetchAnswer) got = NULL, posted = NULL, put = NULL;
	g_autoptr(GError) error = NULL;
	gint before = g_atomic_int_get(&plain.connections);

	g_assert_true(ask(session, &plain, "/echo?a=b", &(AshFetchRequest){.headers = headers},
			&got, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(got->status, ==, 200);
	g_assert_cmpstr(got->content_type, ==, "application/json");
	g_assert_cmpint(got->retry_after_s, ==, 0);
	g_assert_true(g_str_has_prefix(body_of(got), "GET /echo?a=b HTTP/1.1\r\n"));
	g_assert_nonnull(strstr(body_of(got), "\r\nAuthorization: Bearer a.b\r\n"));
	g_assert_true(ask(session, &plain, "/echo", &(AshFetchRequest){.body = "{\"a\":1}"},
			&posted, &error));
	g_assert_true(g_str_has_prefix(body_of(posted), "POST /echo HTTP/1.1\r\n"));
	g_assert_nonnull(strstr(body_of(posted), "\r\nContent-Type: application/json\r\n"));
	g_assert_null(strstr(body_of(posted), "Expect"));
	g_assert_true(g_str_has_suffix(body_of(posted), "\r\n\r\n{\"a\":1}"));
	g_assert_true(ask(session, &plain, "/echo",
			&(AshFetchRequest){.method = "PUT", .body = "{}"}, &put, &error));
	g_assert_true(g_str_has_prefix(body_of(put), "PUT /echo HTTP/1.1\r\n"));
	/* One connection for all. */
	g_assert_cmpint(g_atomic_int_get(&plain.connections), ==, before + 1);
}

static void test_status_is_an_answer(void)
{
	g_autoptr(AshFetchSession) session = session_new(&(AshFetchOptions){0});
	g_autoptr(AshFetchAnswer) busy = NULL, redirect = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ask(session, &plain, "/status/503", &(AshFetchRequest){0}, &busy, &error));
	g_assert_cmpuint(busy->status, ==, 503);
	g_assert_cmpint(busy->retry_after_s, ==, 7);
	g_assert_cmpstr(body_of(busy), ==, "{\"kind\":\"busy\"}");
	g_assert_true(ask(session, &plain, "/elsewhere", &(AshFetchRequest){0}, &redirect, &error));
	g_assert_cmpuint(redirect->status, ==, 302);
}

static void test_limits(void)
{
	g_autoptr(AshFetchSession) session = session_new(&(AshFetchOptions){0});
	g_autoptr(AshFetchAnswer) answer = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_false(ask(session, &plain, "/big", &(AshFetchRequest){.max_bytes = 99999}, &answer,
			&error));
	g_assert_error(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_TOO_BIG);
	g_clear_error(&error);
	g_assert_true(ask(session, &plain, "/big", &(AshFetchRequest){.max_bytes = 100000}, &answer,
			&error));
	g_clear_pointer(&answer, ash_fetch_answer_free);
	g_assert_false(ask(session, &plain, "/hang", &(AshFetchRequest){.timeout_ms = 50}, &answer,
			&error));
	g_assert_error(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_TIMEOUT);
	g_clear_error(&error);
	g_assert_false(ash_fetch_session_request(session,
			&(AshFetchRequest){
					.url = "http://user:secret@127.0.0.1:1/", .max_bytes = 1},
			&answer, &error));
	g_assert_error(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_OFFLINE);
	g_assert_null(strstr(error->message, "secret"));
}

static gboolean on_piece(const char *data, size_t size, gpointer text, GError **error)
{
	g_string_append_len(text, data, (gssize) size);
	if (strstr(((GString *) text)->str, "id: 2") == NULL)
		return TRUE;
	g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_CLOSED, "enough");
	return FALSE;
}

static void test_stream(void)
{
	g_autoptr(AshFetchSession) session = session_new(&(AshFetchOptions){0});
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(AshFetchAnswer) answer = NULL;
	g_autoptr(GError) error = NULL;
	AshFetchRequest request = {.on_piece = on_piece, .data = text, .silence_s = 30};

	g_assert_false(ask(session, &plain, "/stream", &request, &answer, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CLOSED);
	g_assert_true(g_str_has_suffix(error->message, ": enough"));
	g_assert_true(g_str_has_prefix(text->str, "id: 1\n\nid: 2"));
	g_clear_error(&error);
	/* An error is an answer with a body, not a piece of the stream. */
	g_string_truncate(text, 0);
	g_assert_true(ask(session, &plain, "/status/401", &request, &answer, &error));
	g_assert_cmpuint(answer->status, ==, 401);
	g_assert_cmpuint(text->len, ==, 0);
	g_assert_cmpstr(body_of(answer), ==, "{\"kind\":\"busy\"}");
}

static void test_mutual_tls(void)
{
	g_autoptr(AshFetchSession) session = session_new(&(AshFetchOptions){.ca_pem = ca.crt_pem,
			.certificate_pem = client_id.crt_pem,
			.key_pem = client_id.key_pem,
			.is_tls13_only = true});
	g_autoptr(AshFetchAnswer) first = NULL, second = NULL;
	g_autoptr(GError) error = NULL;
	gint before = g_atomic_int_get(&secure.connections);

	g_assert_true(ask(session, &secure, "/echo", &(AshFetchRequest){.body = "{}"}, &first,
			&error));
	g_assert_no_error(error);
	g_assert_true(ask(session, &secure, "/echo", &(AshFetchRequest){.body = "{}"}, &second,
			&error));
	g_assert_cmpint(g_atomic_int_get(&secure.connections), ==, before + 1);
}

static void assert_refused(const AshFetchOptions *options)
{
	g_autoptr(AshFetchSession) session = session_new(options);
	g_autoptr(AshFetchAnswer) answer = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_false(ask(session, &secure, "/echo", &(AshFetchRequest){.body = "{}"}, &answer,
			&error));
	g_assert_error(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_TLS);
}

static void test_refused(void)
{
	/* Another CA than the server's; no certificate; one of a CA that the server does not know. */
	assert_refused(&(AshFetchOptions){.ca_pem = other_ca.crt_pem,
			.certificate_pem = client_id.crt_pem,
			.key_pem = client_id.key_pem});
	assert_refused(&(AshFetchOptions){.ca_pem = ca.crt_pem});
	assert_refused(&(AshFetchOptions){.ca_pem = ca.crt_pem,
			.certificate_pem = other_ca.crt_pem,
			.key_pem = other_ca.key_pem});
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	make(&ca, "ca", NULL);
	make(&other_ca, "other", NULL);
	make(&server_id, "127.0.0.1", &ca);
	make(&client_id, "client", &ca);
	server_start(&plain, false);
	server_start(&secure, true);
	g_test_add_func("/fetch-request/request", test_request);
	g_test_add_func("/fetch-request/status-is-an-answer", test_status_is_an_answer);
	g_test_add_func("/fetch-request/limits", test_limits);
	g_test_add_func("/fetch-request/stream", test_stream);
	g_test_add_func("/fetch-request/mutual-tls", test_mutual_tls);
	g_test_add_func("/fetch-request/refused", test_refused);
	return g_test_run();
}
