/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/x509.h"

#include <gio/gio.h>
#include <string.h>

#include "lib/spawn.h"
#include "lib/text.h"

enum {
	NOW = 1800000000,
	DAY = 86400,
};

typedef struct {
	char *ca_key, *ca;
	AshX509Authority *authority;
	char *key, *csr, *id;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	gboolean ok = ash_x509_ca_make("Ashlar fleet 0123", NOW, NOW + 3650LL * DAY,
				      &fixture->ca_key, &fixture->ca, &error) &&
		      ash_x509_authority_new(
				      fixture->ca, fixture->ca_key, &fixture->authority, &error) &&
		      ash_x509_key_make(&fixture->key, &error) &&
		      ash_x509_csr_make(fixture->key, "web-1", &fixture->csr, &error) &&
		      ash_x509_key_fingerprint(fixture->key, &fixture->id, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
	g_free(fixture->ca_key);
	g_free(fixture->ca);
	ash_x509_authority_free(fixture->authority);
	g_free(fixture->key);
	g_free(fixture->csr);
	g_free(fixture->id);
}

static void test_client(Fixture *fixture, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *fingerprint = NULL;
	g_autofree char *pem = NULL;
	g_autofree char *serial = NULL;
	g_auto(AshX509Info) info = {0};

	g_assert_true(ash_x509_csr_check(fixture->csr, &fingerprint, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(fingerprint, ==, fixture->id);
	g_assert_true(ash_text_is_sha256(fingerprint));

	AshX509Wish wish = {.common_name = fixture->id,
			.not_before_s = NOW - 60,
			.not_after_s = NOW + 90LL * DAY};
	g_assert_true(ash_x509_issue(
			fixture->authority, fixture->csr, &wish, &pem, &serial, &error));
	g_assert_no_error(error);
	g_assert_true(ash_x509_info_parse(pem, &info, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(info.fingerprint, ==, fixture->id);
	g_assert_cmpstr(info.serial, ==, serial);
	g_assert_cmpuint(strlen(serial), ==, 32);
	/* A name of at most 64 characters, whatever the request said. */
	g_assert_cmpstr(info.common_name, ==, fixture->id);
	g_assert_cmpint(info.not_before_s, ==, NOW - 60);
	g_assert_cmpint(info.not_after_s, ==, NOW + 90LL * DAY);
	g_assert_false(info.is_ca);
	g_assert_true(ash_x509_key_is_of(pem, fixture->key));
	g_assert_false(ash_x509_key_is_of(pem, fixture->ca_key));

	g_assert_true(ash_x509_is_client_of(pem, fixture->ca, NOW));
	g_assert_false(ash_x509_is_client_of(pem, fixture->ca, NOW - 61));
	g_assert_false(ash_x509_is_client_of(pem, fixture->ca, NOW + 90LL * DAY));
	g_assert_false(ash_x509_is_client_of("", fixture->ca, NOW));
}

static void test_another_ca(Fixture *fixture, gconstpointer data)
{
	g_autofree char *other_key = NULL;
	g_autofree char *other = NULL;
	g_autofree char *pem = NULL;
	g_autoptr(AshX509Authority) authority = NULL;
	g_autoptr(GError) error = NULL;
	AshX509Wish wish = {.common_name = "x", .not_before_s = NOW, .not_after_s = NOW + DAY};

	/* The same name: only the key tells them apart. */
	g_assert_true(ash_x509_ca_make(
			"Ashlar fleet 0123", NOW, NOW + 3650LL * DAY, &other_key, &other, &error));
	g_assert_true(ash_x509_authority_new(other, other_key, &authority, &error));
	g_assert_true(ash_x509_issue(authority, fixture->csr, &wish, &pem, NULL, &error));
	g_assert_no_error(error);
	g_assert_true(ash_x509_is_client_of(pem, other, NOW));
	g_assert_false(ash_x509_is_client_of(pem, fixture->ca, NOW));

	g_autoptr(AshX509Authority) mixed = NULL;
	g_assert_false(ash_x509_authority_new(other, fixture->ca_key, &mixed, &error));
	g_assert_error(error, ASH_X509_ERROR, ASH_X509_ERROR_KEY);
}

static void test_server(Fixture *fixture, gconstpointer data)
{
	const char *names[] = {"fleet.example.org", "localhost", "127.0.0.1", "::1", NULL};
	AshX509Wish wish = {.common_name = "fleet.example.org",
			.names = names,
			.crl_url = "https://fleet.example.org:8443/v1/crl",
			.not_before_s = NOW,
			.not_after_s = NOW + 397LL * DAY};
	g_auto(AshX509Info) info = {0};
	g_autofree char *pem = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_x509_issue(fixture->authority, fixture->csr, &wish, &pem, NULL, &error));
	g_assert_no_error(error);
	g_assert_true(ash_x509_info_parse(pem, &info, &error));
	g_assert_no_error(error);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		g_assert_cmpstr(info.names[i], ==, names[i]);
	/* A server's certificate is not a host's, though one authority signs both. */
	g_assert_false(ash_x509_is_client_of(pem, fixture->ca, NOW));
}

/* Another byte in the middle of the DNS name: what is no name is left out, not cut off, nor handed on. */
static void test_names_that_are_none(Fixture *fixture, gconstpointer data)
{
	static const char bytes[] = {'\0', '\xd4', '\n', ' '};
	const char *names[] = {"good.example.evil", "localhost", NULL};
	AshX509Wish wish = {.common_name = "x",
			.names = names,
			.not_before_s = NOW,
			.not_after_s = NOW + DAY};
	g_autofree char *pem = NULL;
	g_autoptr(GError) error = NULL;
	gsize size = 0;

	g_assert_true(ash_x509_issue(fixture->authority, fixture->csr, &wish, &pem, NULL, &error));
	g_autofree char *body = g_strndup(strchr(pem, '\n'), strcspn(strchr(pem, '\n'), "-"));
	g_autofree guchar *der = g_base64_decode(body, &size);
	guchar *dot = memmem(der, size, ".example.evil", 13);
	g_assert_nonnull(dot);
	for (size_t i = 0; i < G_N_ELEMENTS(bytes); i++) {
		g_auto(AshX509Info) info = {0};
		dot[8] = (guchar) bytes[i];
		g_assert_true(ash_x509_info_parse_der(der, size, &info, &error));
		g_assert_cmpuint(g_strv_length(info.names), ==, 1);
		g_assert_cmpstr(info.names[0], ==, "localhost");
	}
}

/* Changes one digit of the base64 text so that it stays DER of the same shape: the signature's last byte. */
static char *spoil_signature(const char *pem)
{
	g_autofree char *copy = g_strdup(pem);
	char *end = strstr(copy, "\n-----END");

	g_assert_nonnull(end);
	do
		end--;
	while (*end == '=' || *end == '\n');
	end -= 8;
	*end = *end == 'A' ? 'B' : 'A';
	return g_steal_pointer(&copy);
}

static void test_refused_requests(Fixture *fixture, gconstpointer data)
{
	g_autofree char *fingerprint = NULL;
	g_autofree char *spoiled = spoil_signature(fixture->csr);
	g_autoptr(GError) error = NULL;

	g_assert_false(ash_x509_csr_check(spoiled, &fingerprint, &error));
	g_assert_error(error, ASH_X509_ERROR, ASH_X509_ERROR_SIGNATURE);
	g_clear_error(&error);

	g_assert_false(ash_x509_csr_check("", &fingerprint, &error));
	g_assert_error(error, ASH_X509_ERROR, ASH_X509_ERROR_PARSE);
	g_clear_error(&error);
	g_assert_false(ash_x509_csr_check(fixture->ca, &fingerprint, &error));
	g_assert_error(error, ASH_X509_ERROR, ASH_X509_ERROR_PARSE);
	g_clear_error(&error);
	g_autofree char *long_text = g_strnfill(ASH_X509_MAX_PEM + 1, 'A');
	g_assert_false(ash_x509_csr_check(long_text, &fingerprint, &error));
	g_assert_error(error, ASH_X509_ERROR, ASH_X509_ERROR_PARSE);
	g_clear_error(&error);
	g_assert_false(ash_x509_csr_make("no key", "x", &fingerprint, &error));
	g_assert_error(error, ASH_X509_ERROR, ASH_X509_ERROR_PARSE);
	g_assert_null(fingerprint);
}

static void test_rsa_is_refused(Fixture *fixture, gconstpointer data)
{
	g_autoptr(GBytes) csr = NULL;
	g_autofree char *fingerprint = NULL;
	g_autoptr(GError) error = NULL;

	if (!ash_spawn_have("openssl")) {
		g_test_skip("openssl is missing");
		return;
	}
	const char *argv[] = {"openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout",
			"/dev/null", "-subj", "/CN=x", NULL};
	g_assert_true(ash_spawn_run(&(AshSpawn){.argv = argv}, &csr, &error));
	g_assert_no_error(error);
	g_assert_false(ash_x509_csr_check(g_bytes_get_data(csr, NULL), &fingerprint, &error));
	g_assert_error(error, ASH_X509_ERROR, ASH_X509_ERROR_KEY);
}

static void test_crl(Fixture *fixture, gconstpointer data)
{
	const char *serials[] = {"41", "7f00ff"};
	const char *bad[] = {"xyz"};
	int64_t times[] = {NOW - 5, NOW};
	g_autoptr(GBytes) der = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_x509_crl_make(
			fixture->authority, serials, times, 2, 7, NOW, NOW + DAY, &der, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(g_bytes_get_size(der), >, 100);
	g_clear_pointer(&der, g_bytes_unref);
	g_assert_false(ash_x509_crl_make(
			fixture->authority, bad, times, 1, 8, NOW, NOW + DAY, &der, &error));
	g_assert_error(error, ASH_X509_ERROR, ASH_X509_ERROR_FAILED);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*run)(Fixture *fixture, gconstpointer data);
	} tests[] = {
			{"/x509/client", test_client},
			{"/x509/another-ca", test_another_ca},
			{"/x509/server", test_server},
			{"/x509/names-that-are-none", test_names_that_are_none},
			{"/x509/refused-requests", test_refused_requests},
			{"/x509/rsa-is-refused", test_rsa_is_refused},
			{"/x509/crl", test_crl},
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].run, tear_down);
	return g_test_run();
}
