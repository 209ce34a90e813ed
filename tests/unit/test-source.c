/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/source.h"

#include <glib/gstdio.h>
#include <string.h>

#include "builder/apt.h"
#include "builder/deb-release.h"
#include "lib/file.h"

static GBytes *bytes_of(const char *text)
{
	return g_bytes_new_static(text, strlen(text));
}

/* ---- suites ---------------------------------------------------------------------------------- */

static void test_map_suite(void)
{
	static const struct {
		const char *machine;
		const char *suite;
		const char *want;
	} cases[] = {
			{"bookworm", "trixie", "trixie"},
			{"stable", "trixie", "trixie"},
			{"bookworm-updates", "trixie", "trixie-updates"},
			{"stable-security", "trixie", "trixie-security"},
			{"buster/updates", "trixie", "trixie-security"},
			{"bookworm-backports", "trixie", NULL},
			{"bookworm-backports-sloppy", "trixie", NULL},
			{"bookworm-proposed-updates", "trixie", NULL},
			{"bookworm-debug", "trixie", NULL},
			{"experimental", "trixie", NULL},
			{"bookworm", "sid", "sid"},
			{"bookworm-updates", "sid", NULL},
			{"bookworm-security", "unstable", NULL},
			{"./", "trixie", NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *got = ash_source_map_suite(cases[i].machine, cases[i].suite);
		g_assert_cmpstr(got, ==, cases[i].want);
	}
}

/* ---- apt ------------------------------------------------------------------------------------- */

static void test_list(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) entries = ash_apt_entries_new();
	g_autoptr(GBytes) text = bytes_of(
			"# comment\n"
			"deb http://h/debian/ bookworm main contrib # more\n"
			"deb-src http://h/debian bookworm main\n"
			"\n"
			"deb [arch=amd64 signed-by=/k.gpg trusted=yes] https://g/x bookworm-updates main\n");

	g_assert_true(ash_apt_parse_list("a.list", text, entries, &error));
	g_assert_cmpuint(entries->len, ==, 2);
	const AshAptEntry *first = g_ptr_array_index(entries, 0);
	const AshAptEntry *second = g_ptr_array_index(entries, 1);
	g_assert_cmpstr(first->mark, ==, "a.list:2");
	g_assert_cmpstr(first->uri, ==, "http://h/debian");
	g_assert_cmpstr(first->components[1], ==, "contrib");
	g_assert_null(first->components[2]);
	g_assert_null(first->keyring);
	g_assert_cmpstr(second->keyring, ==, "/k.gpg");
	g_assert_true(second->is_trusted);
	g_assert_cmpstr(second->suite, ==, "bookworm-updates");
}

static void test_sources(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) entries = ash_apt_entries_new();
	g_autoptr(GBytes) text = bytes_of("Types: deb deb-src\n"
					  "URIs: http://h/debian http://g/debian\n"
					  "Suites: stable stable-updates\n"
					  "Components: main\n"
					  "Signed-By: /k.gpg\n"
					  "\n"
					  "Enabled: no\n"
					  "Types: deb\n"
					  "URIs: http://off/\n"
					  "Suites: stable\n"
					  "\n"
					  "Types: deb-src\n"
					  "URIs: http://src/\n"
					  "Suites: stable\n"
					  "\n"
					  "Types: deb\n"
					  "URIs: http://inline\n"
					  "Suites: stable\n"
					  "Signed-By:\n"
					  " -----BEGIN PGP PUBLIC KEY BLOCK-----\n"
					  " .\n"
					  " mQ==\n"
					  " -----END PGP PUBLIC KEY BLOCK-----\n");

	g_assert_true(ash_apt_parse_sources("a.sources", text, entries, &error));
	g_assert_cmpuint(entries->len, ==, 5);
	const AshAptEntry *third = g_ptr_array_index(entries, 2);
	g_assert_cmpstr(third->uri, ==, "http://g/debian");
	g_assert_cmpstr(third->suite, ==, "stable");
	g_assert_cmpstr(third->keyring, ==, "/k.gpg");
	const AshAptEntry *last = g_ptr_array_index(entries, 4);
	g_assert_cmpstr(last->uri, ==, "http://inline");
	g_assert_null(last->keyring);
	g_assert_nonnull(strstr(last->inline_key, "mQ=="));
}

static void test_malformed(void)
{
	static const char *const lists[] = {
			"dep http://h x\n", "deb http://h\n", "deb [a=b http://h x\n"};
	static const char *const sources[] = {"Types: deb\n", "no colon\n"};

	for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GPtrArray) entries = ash_apt_entries_new();
		g_autoptr(GBytes) text = bytes_of(lists[i]);
		g_assert_false(ash_apt_parse_list("a.list", text, entries, &error));
		g_assert_error(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX);
		g_assert_true(g_str_has_prefix(error->message, "a.list:1: "));
	}
	for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GPtrArray) entries = ash_apt_entries_new();
		g_autoptr(GBytes) text = bytes_of(sources[i]);
		g_assert_false(ash_apt_parse_sources("a.sources", text, entries, &error));
		g_assert_error(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX);
	}
}

/* ---- Release --------------------------------------------------------------------------------- */

#define DIGEST "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void test_release(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDebRelease) release = NULL;
	g_autoptr(GBytes) text =
			bytes_of("Origin: Debian\n"
				 "Label: Debian-Security\n"
				 "Suite: stable-security\n"
				 "Codename: trixie-security\n"
				 "Valid-Until: Mon, 02 Jan 2023 10:00:00 UTC\n"
				 "Acquire-By-Hash: yes\n"
				 "Architectures: all amd64\n"
				 "No-Support-for-Architecture-all: Packages\n"
				 "Components: main contrib\n"
				 "SHA256:\n " DIGEST "     12 main/binary-amd64/Packages\n");

	g_assert_true(ash_deb_release_parse("R", text, &release, &error));
	g_assert_cmpstr(release->origin, ==, "Debian");
	g_assert_cmpstr(release->codename, ==, "trixie-security");
	g_assert_true(release->acquire_by_hash);
	g_assert_true(release->has_all_in_each);
	const AshDebReleaseFile *file = ash_deb_release_find(release, "main/binary-amd64/Packages");
	g_assert_nonnull(file);
	g_assert_cmpuint(file->size, ==, 12);
	g_assert_cmpint(release->valid_until_s, ==, 1672653600);
	g_assert_true(ash_deb_release_check_date(release, "R", 1672653600, &error));
	g_assert_false(ash_deb_release_check_date(release, "R", 1672653601, &error));
	g_assert_error(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_EXPIRED);
}

static void test_release_malformed(void)
{
	static const char *const cases[] = {"", "a: 1\n\nb: 2\n", "SHA256:\n xyz 12 path\n",
			"SHA256:\n " DIGEST " -1 path\n", "SHA256:\n " DIGEST " 12\n",
			"Valid-Until: tomorrow\n", "Valid-Until: Mon, 02 Foo 2023 10:00:00 UTC\n",
			"Valid-Until: Mon, 02 Jan 2023 10:00:00 CET\n"};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(AshDebRelease) release = NULL;
		g_autoptr(GBytes) text = bytes_of(cases[i]);
		g_assert_false(ash_deb_release_parse("R", text, &release, &error));
		g_assert_error(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX);
	}
}

#define S "[GNUPG:] "
#define GOOD S "NEWSIG\n" S "GOODSIG AA Debian\n" S "VALIDSIG AAAA 2026-01-01 1 0 4 0 1 8 01 AAAA\n"

static void test_status(void)
{
	static const struct {
		const char *status;
		const char *complaint; /* NULL: believed */
	} cases[] = {
			{GOOD, NULL},
			{GOOD S "NEWSIG\n" S "ERRSIG BB 1 8 01 1 9\n" S "NO_PUBKEY BB\n", NULL},
			{"", "not signed"},
			{S "NODATA 1\n", "not signed"},
			{S "NO_PUBKEY BB\n" S "NO_PUBKEY CC\n", "signed by BB, CC, which is not"},
			{S "BADSIG AA Debian\n", "the signature of key AA is wrong"},
			{GOOD S "BADSIG BB x\n", "the signature of key BB is wrong"},
			{S "EXPKEYSIG AA x\n" S "VALIDSIG A 2 1 0 4 0 1 8 01 A\n", "has expired"},
			{S "REVKEYSIG AA x\n" S "VALIDSIG A 2 1 0 4 0 1 8 01 A\n", "was revoked"},
			{S "GOODSIG AA x\n" S "VALIDSIG A 2 1 0 4 0 1 2 01 A\n", "is broken"},
			{S "VALIDSIG A 2 1 0 4 0 1 8 01 A\n", "not signed"},
			{S "GOODSIG AA x\n", "not signed"},
			{"GOODSIG AA x\nVALIDSIG A 2 1 0 4 0 1 8 01 A\n", "not signed"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		gboolean is_ok = ash_deb_release_judge_status("R", cases[i].status, "/k", &error);
		g_assert_cmpint(is_ok, ==, cases[i].complaint == NULL);
		if (is_ok)
			continue;
		g_assert_error(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SIGNATURE);
		g_assert_nonnull(strstr(error->message, cases[i].complaint));
	}
}

static void test_second_message(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) body = NULL;
	g_autoptr(GBytes) second = bytes_of("-----BEGIN PGP SIGNED MESSAGE-----\n\na: 1\n"
					    "-----BEGIN PGP SIGNED MESSAGE-----\n\nb: 2\n"
					    "-----BEGIN PGP SIGNATURE-----\n");
	g_autoptr(GBytes) before = bytes_of("Origin: Debian\n-----BEGIN PGP SIGNED MESSAGE-----\n");

	g_assert_false(ash_deb_release_verify("R", second, NULL, "/none", NULL, &body, &error));
	g_assert_error(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SIGNATURE);
	g_clear_error(&error);
	g_assert_false(ash_deb_release_verify("R", before, NULL, "/none", NULL, &body, &error));
	g_assert_error(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SIGNATURE);
}

/* ---- what a lock names ----------------------------------------------------------------------- */

static char **uris_of(const char *kind, const char *suite, const char *uri, const char *path,
		GError **error)
{
	char id[] = "some";
	char dir[] = "/manifests";
	char trixie[] = "trixie";
	char *fields[4] = {g_strdup(kind), g_strdup(suite), g_strdup(uri), g_strdup(path)};
	const AshLockOrigin origin = {
			.id = id, .kind = fields[0], .suite = fields[1], .uri = fields[2]};
	AshManifest manifest = {.dir = dir, .suite = trixie, .repositories = g_ptr_array_new()};
	g_autoptr(AshLock) lock = ash_lock_new();
	AshLockPackage package = {.name = id, .version = id, .path = fields[3]};
	char **uris = NULL;

	package.origin = ash_lock_add_origin(lock, &origin);
	if (!ash_source_package_uris(&manifest, lock, &package, &uris, error))
		uris = NULL;
	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
		g_free(fields[i]);
	g_ptr_array_unref(manifest.repositories);
	return uris;
}

static void test_package_uris(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshTempDir) root = NULL;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "test-source", &root, &error));
	g_autofree char *dir = g_build_filename(root->path, "etc/apt", NULL);
	g_autofree char *list = g_build_filename(dir, "sources.list", NULL);
	g_assert_cmpint(g_mkdir_with_parents(dir, 0755), ==, 0);
	g_assert_true(g_file_set_contents(list,
			"deb http://h/debian bookworm main\n"
			"deb http://h/debian bookworm-updates main\n"
			"deb http://s/security bookworm-security main\n"
			"deb http://g/debian stable main\n"
			"deb ftp://f/debian stable main\n"
			"deb http://b/debian bookworm-backports main\n",
			-1, NULL));
	g_setenv("ASHLAR_APT_ROOT", root->path, TRUE);

	g_auto(GStrv) plain = uris_of("inherited", "trixie", NULL, "pool/a_1+b~c_all.deb", &error);
	g_assert_no_error(error);
	g_assert_cmpstr(plain[0], ==, "http://h/debian/pool/a_1+b~c_all.deb");
	g_assert_cmpstr(plain[1], ==, "http://g/debian/pool/a_1+b~c_all.deb");
	g_assert_null(plain[2]);
	g_auto(GStrv) security = uris_of("inherited", "trixie-security", NULL, "pool/x", &error);
	g_assert_cmpstr(security[0], ==, "http://s/security/pool/x");
	g_auto(GStrv) explicit = uris_of("repository", "x", "http://r/", "pool/x", &error);
	g_assert_cmpstr(explicit[0], ==, "http://r/pool/x");
	g_auto(GStrv) file = uris_of("file", NULL, NULL, "debs/x y.deb", &error);
	g_assert_cmpstr(file[0], ==, "file:///manifests/debs/x%20y.deb");
	g_auto(GStrv) none = uris_of("inherited", "forky", NULL, "pool/x", &error);
	g_assert_null(none);
	g_assert_error(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_UNKNOWN);
	g_unsetenv("ASHLAR_APT_ROOT");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/source/map-suite", test_map_suite);
	g_test_add_func("/source/list", test_list);
	g_test_add_func("/source/sources", test_sources);
	g_test_add_func("/source/malformed", test_malformed);
	g_test_add_func("/source/release", test_release);
	g_test_add_func("/source/release-malformed", test_release_malformed);
	g_test_add_func("/source/status", test_status);
	g_test_add_func("/source/second-message", test_second_message);
	g_test_add_func("/source/package-uris", test_package_uris);
	return g_test_run();
}
