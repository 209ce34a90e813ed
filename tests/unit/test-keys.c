/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/keys.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builder/lifetime.h"
#include "builder/passphrase.h"
#include "lib/cli.h"
#include "lib/file.h"
#include "lib/json.h"

enum {
	DAY_S = ASH_LIFETIME_DAY_S,
};

static const AshKeysMake plain = {
		.root_keys = 1, .root_threshold = 1, .expiry_s = 365 * DAY_S, .passphrase = NULL};

typedef struct {
	AshTempDir *temp;
	char *dir, *other, *passphrase;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
	g_assert_true(ash_temp_dir_new("/var/tmp", "test-keys", &fixture->temp, NULL));
	fixture->dir = g_build_filename(fixture->temp->path, "keys", NULL);
	fixture->other = g_build_filename(fixture->temp->path, "other", NULL);
	fixture->passphrase = g_build_filename(fixture->temp->path, "passphrase", NULL);
	g_assert_true(g_file_set_contents(fixture->passphrase, "horse\nmore\n", -1, NULL));
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
	ash_temp_dir_free(fixture->temp);
	g_free(fixture->dir);
	g_free(fixture->other);
	g_free(fixture->passphrase);
}

static AshKeys *open_keys(const Fixture *fixture, const char *passphrase_file)
{
	const char *const dirs[] = {fixture->dir, fixture->other, NULL};
	AshKeys *keys = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_keys_open(dirs, passphrase_file, false, &keys, &error));
	g_assert_no_error(error);
	return keys;
}

static void assert_open_fails(const Fixture *fixture, GQuark domain, int code)
{
	const char *const dirs[] = {fixture->dir, NULL};
	g_autoptr(AshKeys) keys = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_false(ash_keys_open(dirs, NULL, false, &keys, &error));
	g_assert_error(error, domain, code);
}

static JsonNode *make_node(void)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *expires = ash_signing_time(60);

	ash_signing_begin(json, "snapshot", 3, expires);
	json_builder_end_object(json);
	return json_builder_get_root(json);
}

static bool is_signed(GBytes *bytes, const AshSigningRole *role)
{
	g_autoptr(JsonNode) node = NULL;
	JsonObject *object;
	uint64_t version = 0;

	g_assert_true(ash_signing_parse(bytes, "snapshot", &node, &object, &version, NULL));
	g_assert_cmpuint(version, ==, 3);
	return ash_signing_check(node, role, NULL);
}

static void test_make(Fixture *fixture, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_keys_make(fixture->dir, &plain, &error));
	g_assert_no_error(error);
	g_autoptr(AshKeys) keys = open_keys(fixture, NULL);
	g_assert_cmpuint(ash_keys_root(keys)->version, ==, 1);
	for (AshRole role = 0; role < (AshRole) ASH_N_ROLES; role++) {
		struct stat st;
		AshRole found = ASH_ROLE_ROOT;
		const AshSigningRole *publics = ash_keys_role(keys, role);
		g_assert_cmpuint(publics->ids->len, ==, 1);
		g_autofree char *path = ash_keys_find_private(keys, role, publics->ids->pdata[0]);
		g_assert_nonnull(path);
		g_assert_cmpint(stat(path, &st), ==, 0);
		g_assert_cmpint(st.st_mode & 07777, ==, 0600);
		g_assert_true(ash_role_find(ash_role_name(role), &found));
		g_assert_cmpint(found, ==, role);
	}
	g_assert_false(ash_keys_make(fixture->dir, &plain, &error));
	g_assert_error(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_EXISTS);
}

static void test_sign(Fixture *fixture, gconstpointer data)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GBytes) none = NULL;
	g_autoptr(JsonNode) node = make_node();
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_keys_make(fixture->dir, &plain, NULL));
	g_autoptr(AshKeys) keys = open_keys(fixture, NULL);
	const AshSigningRole *snapshot = ash_keys_role(keys, ASH_ROLE_SNAPSHOT);
	g_assert_true(ash_keys_sign(keys, ASH_ROLE_SNAPSHOT, NULL, node, &bytes, NULL));
	g_assert_true(is_signed(bytes, snapshot));
	g_assert_false(is_signed(bytes, ash_keys_role(keys, ASH_ROLE_TARGETS)));

	/* One other byte in what was signed. */
	g_autofree char *text = g_strdup(g_bytes_get_data(bytes, NULL));
	char *at = strstr(text, "\"expires\":\"2");
	g_assert_nonnull(at);
	at[strlen("\"expires\":\"")] = '3';
	g_autoptr(GBytes) changed = g_bytes_new(text, strlen(text));
	g_assert_false(is_signed(changed, snapshot));

	/* One good signature of the two that it takes. */
	g_autoptr(AshSigningRole) two = ash_signing_role_copy(snapshot);
	ash_signing_role_add(two, ash_keys_role(keys, ASH_ROLE_TARGETS)->publics->pdata[0]);
	two->threshold = 2;
	g_assert_false(is_signed(bytes, two));
	g_assert_false(ash_signing_role_equal(snapshot, two));

	g_autofree char *path = ash_keys_find_private(keys, ASH_ROLE_TARGETS,
			ash_keys_role(keys, ASH_ROLE_TARGETS)->ids->pdata[0]);
	g_assert_cmpint(unlink(path), ==, 0);
	g_assert_false(ash_keys_has(keys, ASH_ROLE_TARGETS));
	g_assert_false(ash_keys_sign(keys, ASH_ROLE_TARGETS, NULL, node, &none, &error));
	g_assert_error(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_PRIVATE);
	g_autofree char *name = g_path_get_basename(path);
	g_assert_nonnull(strstr(error->message, name));
}

/* Every role in turn, and then no role: a chain that each version's root keys signed. */
static void test_rotate(Fixture *fixture, gconstpointer data)
{
	AshKeysMake make = plain;

	make.root_keys = 3;
	make.root_threshold = 2;
	g_assert_true(ash_keys_make(fixture->dir, &make, NULL));
	for (AshRole role = 0; role <= (AshRole) ASH_N_ROLES; role++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(AshKeys) keys = open_keys(fixture, NULL);
		AshSigningRole *old[ASH_N_ROLES];
		uint64_t version = ash_keys_root(keys)->version;
		for (AshRole r = 0; r < (AshRole) ASH_N_ROLES; r++)
			old[r] = ash_signing_role_copy(ash_keys_role(keys, r));
		g_assert_true(ash_keys_rotate(keys, role, 10 * DAY_S, NULL, &error));
		g_assert_no_error(error);

		g_autoptr(AshKeys) again = open_keys(fixture, NULL);
		g_assert_cmpuint(ash_keys_root(again)->version, ==,
				version + (role != ASH_ROLE_WORKLOADS));
		for (AshRole r = 0; r < (AshRole) ASH_N_ROLES; r++) {
			const AshSigningRole *now = ash_keys_role(again, r);
			g_assert_cmpint(ash_signing_role_equal(old[r], now), ==, r != role);
			g_assert_cmpuint(old[r]->threshold, ==, now->threshold);
			g_assert_true(ash_keys_has(again, r));
			ash_signing_role_free(old[r]);
		}
	}
}

static void test_rotate_without_root(Fixture *fixture, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_keys_make(fixture->dir, &plain, NULL));
	g_autoptr(AshKeys) keys = open_keys(fixture, NULL);
	g_autofree char *path = ash_keys_find_private(
			keys, ASH_ROLE_ROOT, ash_keys_role(keys, ASH_ROLE_ROOT)->ids->pdata[0]);
	g_autofree char *name = g_path_get_basename(path);
	g_autofree char *moved = g_build_filename(fixture->other, name, NULL);
	g_assert_cmpint(mkdir(fixture->other, 0700), ==, 0);
	g_assert_cmpint(rename(path, moved), ==, 0);
	g_assert_true(ash_keys_has(keys, ASH_ROLE_ROOT));
	g_assert_cmpint(unlink(moved), ==, 0);
	g_assert_false(ash_keys_rotate(keys, ASH_ROLE_TARGETS, DAY_S, NULL, &error));
	g_assert_error(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_PRIVATE);
	/* Nothing was made on the way. */
	g_autoptr(AshKeys) again = open_keys(fixture, NULL);
	g_assert_cmpuint(ash_keys_roots(again)->len, ==, 1);
}

static void test_passphrase(Fixture *fixture, gconstpointer data)
{
	AshKeysMake make = plain;
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(JsonNode) node = make_node();
	g_autoptr(GError) error = NULL;
	char *read = NULL;

	make.passphrase = "horse";
	g_assert_true(ash_keys_make(fixture->dir, &make, NULL));
	g_autoptr(AshKeys) keys = open_keys(fixture, fixture->passphrase);
	g_assert_true(ash_keys_sign(keys, ASH_ROLE_SNAPSHOT, NULL, node, &bytes, &error));
	g_assert_no_error(error);

	g_assert_true(g_file_set_contents(fixture->passphrase, "donkey", -1, NULL));
	g_autoptr(AshKeys) wrong = open_keys(fixture, fixture->passphrase);
	g_assert_false(ash_keys_sign(wrong, ASH_ROLE_SNAPSHOT, NULL, node, &bytes, &error));
	g_assert_error(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_PASSPHRASE);
	g_clear_error(&error);

	g_assert_true(g_file_set_contents(fixture->passphrase, "\nhorse", -1, NULL));
	g_assert_false(ash_passphrase_read(fixture->passphrase, "x", true, &read, &error));
	g_assert_error(error, ASH_PASSPHRASE_ERROR, ASH_PASSPHRASE_ERROR_EMPTY);
}

static void replace_in_file(const char *dir, const char *name, const char *from, const char *to)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autofree char *text = NULL;

	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	char *at = strstr(text, from);
	g_assert_nonnull(at);
	g_autofree char *changed =
			g_strdup_printf("%.*s%s%s", (int) (at - text), text, to, at + strlen(from));
	g_assert_true(g_file_set_contents(path, changed, -1, NULL));
}

static void test_broken(Fixture *fixture, gconstpointer data)
{
	assert_open_fails(fixture, ASH_KEYS_ERROR, ASH_KEYS_ERROR_NOT_FOUND);
	g_assert_true(ash_keys_make(fixture->dir, &plain, NULL));
	g_autoptr(AshKeys) keys = open_keys(fixture, NULL);
	g_assert_true(ash_keys_rotate(keys, ASH_ROLE_ROOT, DAY_S, NULL, NULL));

	/* The chain without its first link. */
	g_autofree char *first = g_build_filename(fixture->dir, "1.root.json", NULL);
	g_autofree char *second = g_build_filename(fixture->dir, "2.root.json", NULL);
	g_autofree char *aside = g_build_filename(fixture->dir, "aside", NULL);
	g_assert_cmpint(rename(first, aside), ==, 0);
	g_assert_cmpint(rename(second, first), ==, 0);
	assert_open_fails(fixture, ASH_KEYS_ERROR, ASH_KEYS_ERROR_BROKEN);
	g_assert_cmpint(rename(first, second), ==, 0);
	g_assert_cmpint(rename(aside, first), ==, 0);

	replace_in_file(fixture->dir, "1.root.json", "\"consistent_snapshot\":true",
			"\"consistent_snapshot\":false");
	assert_open_fails(fixture, ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SIGNATURE);
	replace_in_file(fixture->dir, "1.root.json", "\"_type\":\"root\"", "\"_type\":\"rood\"");
	assert_open_fails(fixture, ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SYNTAX);
}

static void test_lifetime(void)
{
	static const struct {
		const char *text;
		int64_t seconds; /* 0: refused */
	} cases[] = {
			{"90d", 90 * DAY_S},
			{"90", 90 * DAY_S},
			{"12h", 12 * 60 * 60},
			{"30m", 30 * 60},
			{"1s", 1},
			{"3653d", (int64_t) 3653 * DAY_S},
			{"3654d", 0},
			{"0d", 0},
			{"-1d", 0},
			{"", 0},
			{"d", 0},
			{"1w", 0},
			{"1dd", 0},
			{"1 d", 0},
			{"99999999999999999999d", 0},
			{NULL, 42},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		int64_t seconds = 0;
		g_autoptr(GError) error = NULL;
		bool ok = ash_lifetime_parse(cases[i].text, "expiry", 42, &seconds, &error);
		g_test_message("%s", cases[i].text);
		g_assert_cmpint(ok, ==, cases[i].seconds > 0);
		g_assert_cmpint(seconds, ==, cases[i].seconds);
		if (!ok)
			g_assert_error(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/keys/" name, Fixture, NULL, set_up, function, tear_down)
	ADD("make", test_make);
	ADD("sign", test_sign);
	ADD("rotate", test_rotate);
	ADD("rotate-without-root", test_rotate_without_root);
	ADD("passphrase", test_passphrase);
	ADD("broken", test_broken);
	g_test_add_func("/keys/lifetime", test_lifetime);
	return g_test_run();
}
