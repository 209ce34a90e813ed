/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/ca.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/config.h"
#include "lib/file.h"
#include "lib/x509.h"

enum {
	NOW = 1800000000,
	DAY = 86400,
};

typedef struct {
	AshTempDir *dir;
	AshCa *ca;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "test-ca", &fixture->dir, &error));
	g_assert_true(ash_ca_open(fixture->dir->path, NOW, &fixture->ca, &error));
	g_assert_no_error(error);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
	ash_ca_free(fixture->ca);
	ash_temp_dir_free(fixture->dir);
}

static void test_made_once(Fixture *fixture, gconstpointer data)
{
	g_autoptr(AshCa) again = NULL;
	g_autoptr(GError) error = NULL;
	struct stat st;

	g_assert_true(ash_ca_open(fixture->dir->path, NOW + DAY, &again, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(ash_ca_fingerprint(again), ==, ash_ca_fingerprint(fixture->ca));
	g_assert_cmpint(fstatat(fixture->dir->fd, "ca.key", &st, 0), ==, 0);
	g_assert_cmpuint(st.st_mode & 0777, ==, 0600);
}

static void test_key_is_gone(Fixture *fixture, gconstpointer data)
{
	g_autoptr(AshCa) again = NULL;
	g_autoptr(GError) error = NULL;

	/* Another authority in its place would leave every host outside. */
	g_assert_cmpint(unlinkat(fixture->dir->fd, "ca.key", 0), ==, 0);
	g_assert_false(ash_ca_open(fixture->dir->path, NOW, &again, &error));
	g_assert_error(error, ASH_CA_ERROR, ASH_CA_ERROR_MISSING);
}

static void test_host(Fixture *fixture, gconstpointer data)
{
	g_autofree char *key = NULL, *csr = NULL, *id = NULL, *pem = NULL, *serial = NULL;
	int64_t from_s = 0, to_s = 0;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_x509_key_make(&key, &error));
	g_assert_true(ash_x509_csr_make(key, "ignored", &csr, &error));
	g_assert_true(ash_x509_csr_check(csr, &id, &error));
	g_assert_true(ash_ca_issue_host(fixture->ca, csr, id, NOW, 90LL * DAY, &pem, &serial,
			&from_s, &to_s, &error));
	g_assert_no_error(error);
	g_assert_cmpint(to_s, ==, NOW + 90LL * DAY);
	g_assert_cmpint(from_s, <, NOW);
	g_assert_true(ash_x509_is_client_of(pem, ash_ca_certificate(fixture->ca), NOW));
	g_assert_false(ash_ca_is_revoked(fixture->ca, serial));
}

static void test_server(Fixture *fixture, gconstpointer data)
{
	char *names[] = {(char[]){"fleet.example.org"}, NULL};
	char *others[] = {(char[]){"other.example.org"}, NULL};
	struct {
		char **names;
		int64_t at_s;
		bool is_new;
	} cases[] = {
			{names, NOW, true}, {names, NOW + DAY, false},
			{names, NOW + 397LL * DAY * 3 / 5, false},
			{names, NOW + 397LL * DAY * 3 / 4, true}, /* at two thirds of its life */
			{others, NOW + 397LL * DAY * 3 / 4, true},
			{others, NOW + 397LL * DAY * 3 / 4, false},
			{others, NOW, true}, /* a clock that went back: not valid yet */
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *pem = NULL, *key = NULL;
		g_auto(AshX509Info) info = {0};
		g_autoptr(GError) error = NULL;
		bool is_new = false;
		g_assert_true(ash_ca_server_certificate(fixture->ca, cases[i].names,
				"https://x/crl", cases[i].at_s, &pem, &key, &is_new, &error));
		g_assert_no_error(error);
		g_test_message("case %zu", i);
		g_assert_true(is_new == cases[i].is_new);
		g_assert_true(ash_x509_key_is_of(pem, key));
		g_assert_true(ash_x509_info_parse(pem, &info, &error));
		g_assert_cmpstr(info.common_name, ==, cases[i].names[0]);
		g_assert_true(g_strv_contains((const char *const *) info.names, "localhost"));
		g_assert_true(g_strv_contains((const char *const *) info.names, "127.0.0.1"));
		g_assert_true(g_strv_contains((const char *const *) info.names, "::1"));
	}
}

static void test_revoked(Fixture *fixture, gconstpointer data)
{
	g_autofree char *path = g_build_filename(fixture->dir->path, "fleet.db", NULL);
	g_autofree char *address = g_strconcat("sqlite:", path, NULL);
	g_autoptr(AshDbPool) pool = NULL;
	g_autoptr(AshDb) db = NULL;
	g_autoptr(GBytes) crl = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_db_pool_open(address, 2, &pool, &error));
	g_assert_true(ash_db_pool_take(pool, &db, &error));
	g_assert_true(ash_db_migrate(db, &error));
	const char *sql =
			"INSERT INTO certificate (serial, host, not_before, not_after, revoked_at) "
			"VALUES ('41aa', 'h', 0, $1, $2), ('41bb', 'h', 0, $1, 0), "
			"('41cc', 'h', 0, $3, $2)";
	g_assert_true(ash_db_exec(db, sql,
			ASH_DB_VALUES(ASH_DB_I(NOW + DAY), ASH_DB_I(NOW - 1), ASH_DB_I(NOW - 1)),
			NULL, &error));
	g_assert_true(ash_ca_load_revoked(fixture->ca, db, NOW, &error));
	g_assert_no_error(error);
	g_assert_true(ash_ca_is_revoked(fixture->ca, "41aa"));
	g_assert_false(ash_ca_is_revoked(fixture->ca, "41bb"));
	/* It has ended, which is enough. */
	g_assert_false(ash_ca_is_revoked(fixture->ca, "41cc"));
	g_assert_true(ash_ca_crl(fixture->ca, NOW, &crl, &error));
	g_assert_no_error(error);
	ash_db_give(g_steal_pointer(&db));
}

static void test_config(Fixture *fixture, gconstpointer data)
{
	static const struct {
		const char *text;
		const char *message; /* NULL: it is fine */
	} cases[] = {
			{"", NULL},
			{"listen: '127.0.0.1:0'\nnames: [a.example.org, '192.0.2.1']\npoll: 30s\n"
			 "certificate_life: 12h\nsilent_after: 1min\nrate: {hosts: 5}\n"
			 "metrics: {open: true}\nddi: {enabled: true, gateway_token: 0123456789abcdef}\n"
			 "database: postgres:dbname=x\n",
					NULL},
			{"retention: {events: 30d, ledgers: 0, audit: 36500d}", NULL},
			{"retention: {events: 1h}", "x:1:21: expected a time from"},
			{"retention: {event: 1d}", "did you mean 'events'?"},
			{"polls: 3s", "x:1:1: unknown key 'polls' (did you mean 'poll'?)"},
			{"rate: {host: 3}",
					"x:1:8: unknown key 'rate.host' (did you mean 'hosts'?)"},
			{"poll: 3", "x:1:7: expected a time"},
			{"poll: 1s", "x:1:7: expected a time"},
			{"names: a", "x:1:8: expected a list"},
			{"names: ['a b']", "x:1:9: expected a name"},
			{"proxy: {certificate: 12}", "x:1:22: expected the SHA-256"},
			{"ddi: {gateway_token: short}", "x:1:22: a token has 16"},
			{"certificate: a.pem", "come together"},
			{"database: mysql", "begins with"},
			{"- 1", "expected keys"},
			{"poll: 5min\npoll: 5min", "poll"},
			{"metrics: {open: perhaps}", "x:1:17"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(AshFleetConfig) config = NULL;
		g_autoptr(GBytes) text = g_bytes_new_static(cases[i].text, strlen(cases[i].text));
		g_autoptr(GError) error = NULL;
		g_test_message("%s", cases[i].text);
		if (ash_fleet_config_parse("x", text, "/d", &config, &error)) {
			g_assert_null(cases[i].message);
			continue;
		}
		g_assert_error(error, ASH_FLEET_CONFIG_ERROR, ASH_FLEET_CONFIG_ERROR_SYNTAX);
		g_test_message("%s", error->message);
		g_assert_nonnull(cases[i].message);
		g_assert_nonnull(strstr(error->message, cases[i].message));
	}
	g_autoptr(AshFleetConfig) config = NULL;
	g_autoptr(GError) error = NULL;
	g_assert_true(ash_fleet_config_load(fixture->dir->path, &config, &error));
	g_assert_cmpstr(config->listen, ==, "[::]:8443");
	g_assert_true(g_str_has_prefix(config->database, "sqlite:/"));
	g_assert_true(g_str_has_prefix(config->content, fixture->dir->path));
	g_assert_cmpint(config->certificate_life_s, ==, 90LL * DAY);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*run)(Fixture *fixture, gconstpointer data);
	} tests[] = {
			{"/ca/made-once", test_made_once},
			{"/ca/key-is-gone", test_key_is_gone},
			{"/ca/host", test_host},
			{"/ca/server", test_server},
			{"/ca/revoked", test_revoked},
			{"/ca/config", test_config},
	};

	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].run, tear_down);
	return g_test_run();
}
