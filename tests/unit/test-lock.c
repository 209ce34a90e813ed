/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/lock.h"

#include <malloc.h>
#include <string.h>

#include "lib/file.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD                                                                                       \
	"ashlar-lock: 1\n"                                                                         \
	"inputs: " DIGEST "\n"                                                                     \
	"suite: trixie\n"                                                                          \
	"architecture: amd64\n"
#define ORIGINS                                                                                    \
	"origins:\n"                                                                               \
	"  - {id: debian, kind: inherited, label: Debian, suite: trixie}\n"
#define PACKAGE(name, version, arch, origin, size, sha256, path)                                   \
	"  - {name: " name ", version: " version ", arch: " arch ", origin: " origin               \
	", size: " size ", sha256: " sha256 ", path: " path "}\n"

static gboolean parse(const char *text, AshLock **out_lock, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));

	return ash_lock_parse("host.lock", bytes, out_lock, error);
}

static AshLock *make_lock(void)
{
	AshLock *lock = ash_lock_new();
	const AshLockOrigin inherited = {.id = (char[]){"debian"},
			.kind = (char[]){"inherited"},
			.label = (char[]){"Debian"},
			.suite = (char[]){"trixie"}};
	const AshLockOrigin flat = {.id = (char[]){"extra"},
			.kind = (char[]){"flat"},
			.uri = (char[]){"file:///srv/extra repo"},
			.suite = (char[]){"./"}};
	const AshLockPackage later = {.name = (char[]){"zlib1g"},
			.version = (char[]){"1:1.3"},
			.arch = (char[]){"amd64"},
			.sha256 = (char[]){DIGEST},
			.size = 1,
			.origin = 1,
			.path = (char[]){"zlib1g_1%3a1.3_amd64.deb"}};
	const AshLockPackage earlier = {.name = (char[]){"adduser"},
			.version = (char[]){"3.152"},
			.arch = (char[]){"all"},
			.sha256 = (char[]){DIGEST},
			.size = 190812,
			.origin = 0,
			.path = (char[]){"pool/main/a/adduser/adduser_3.152_all.deb"}};

	lock->suite = g_strdup("trixie");
	lock->arch = g_strdup("amd64");
	lock->variant = g_strdup("debug");
	lock->inputs = g_strdup(DIGEST);
	g_assert_cmpint(ash_lock_add_origin(lock, &inherited), ==, 0);
	g_assert_cmpint(ash_lock_add_origin(lock, &flat), ==, 1);
	ash_lock_add_package(lock, &later);
	ash_lock_add_package(lock, &earlier);
	return lock;
}

static void test_round_trip(void)
{
	g_autoptr(AshLock) lock = make_lock();
	g_autoptr(AshLock) again = NULL;
	g_autoptr(GError) error = NULL;
	AshLockOrigin *extra = lock->origins->pdata[1];

	/* A URI with a blank is no URI. */
	g_autofree char *bad = ash_lock_format(lock);
	g_assert_false(parse(bad, &again, &error));
	g_assert_error(error, ASH_LOCK_ERROR, ASH_LOCK_ERROR_SYNTAX);
	g_clear_error(&error);
	g_free(extra->uri);
	extra->uri = g_strdup("file:///srv/extra");

	g_autofree char *text = ash_lock_format(lock);
	g_assert_nonnull(strstr(text, "# Written by 'ashlar lock'."));
	g_assert_nonnull(strstr(text, "\n  - {name: adduser,"));
	parse(text, &again, &error);
	g_assert_no_error(error);
	g_autofree char *text_again = ash_lock_format(again);
	g_assert_cmpstr(text_again, ==, text);
	g_assert_cmpstr(again->variant, ==, "debug");
	g_assert_cmpstr(again->file, ==, "host.lock");
	g_assert_cmpuint(again->packages->len, ==, 2);

	const AshLockPackage *package = ash_lock_find(again, "adduser");
	g_assert_cmpstr(package->version, ==, "3.152");
	g_assert_cmpuint(package->size, ==, 190812);
	g_assert_cmpint(package->origin, ==, 0);
	g_assert_cmpint(ash_lock_find(again, "zlib1g")->origin, ==, 1);
	g_assert_null(ash_lock_find(again, "zlib"));
	const AshLockOrigin *origin = again->origins->pdata[1];
	g_assert_cmpstr(origin->uri, ==, "file:///srv/extra");
	g_assert_null(origin->label);
}

static void test_digest(void)
{
	g_autoptr(AshLock) sorted = make_lock();
	g_autoptr(AshLock) unsorted = make_lock();
	g_autofree char *text = ash_lock_format(sorted);
	g_autofree char *a = ash_lock_digest(sorted);
	g_autofree char *b = ash_lock_digest(unsorted);

	g_assert_cmpuint(strlen(text), >, 64);
	g_assert_cmpuint(strlen(a), ==, 64);
	g_assert_cmpstr(a, ==, b);
	AshLockPackage *package = unsorted->packages->pdata[0];
	package->origin = 0;
	g_autofree char *other_origin = ash_lock_digest(unsorted);
	g_assert_cmpstr(other_origin, ==, a);
	package->version[0] = '2';
	g_autofree char *other_version = ash_lock_digest(unsorted);
	g_assert_cmpstr(other_version, !=, a);
}

static void test_save(void)
{
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(GError) error = NULL;
	g_autoptr(AshLock) lock = make_lock();
	g_autoptr(AshLock) loaded = NULL;

	g_clear_pointer(&((AshLockOrigin *) lock->origins->pdata[1])->uri, g_free);
	((AshLockOrigin *) lock->origins->pdata[1])->uri = g_strdup("https://localhost/x");
	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "test-lock", &dir, &error));
	g_autofree char *path = g_build_filename(dir->path, "host.lock", NULL);
	g_assert_true(ash_lock_save(lock, path, &error));
	g_assert_true(ash_lock_load(path, &loaded, &error));
	g_assert_cmpstr(loaded->file, ==, path);
	g_autofree char *missing = g_build_filename(dir->path, "missing.lock", NULL);
	AshLock *none = NULL;
	g_assert_false(ash_lock_load(missing, &none, &error));
	g_assert_true(error->domain != ASH_LOCK_ERROR);
}

static void test_refused(void)
{
	static const struct {
		const char *text;
		AshLockError code;
		const char *message;
	} cases[] = {
			{"", ASH_LOCK_ERROR_SYNTAX, "host.lock:1:1: this is not a lock"},
			{"kind: host\n", ASH_LOCK_ERROR_SYNTAX, "this is not a lock"},
			{"a: [", ASH_LOCK_ERROR_SYNTAX, "host.lock:2:1: not YAML"},
			{"ashlar-lock: 2\nnews: 1\n", ASH_LOCK_ERROR_VERSION,
					"host.lock:1:14: the lock's format is 2"},
			{"ashlar-lock: 0\n", ASH_LOCK_ERROR_VERSION, "format is 0"},
			{"ashlar-lock: one\n", ASH_LOCK_ERROR_SYNTAX, "expected a whole number"},
			{HEAD ORIGINS, ASH_LOCK_ERROR_SYNTAX, "key 'packages' is missing"},
			{HEAD "packages: []\n", ASH_LOCK_ERROR_SYNTAX, "key 'origins' is missing"},
			{"ashlar-lock: 1\norigins: []\npackages: []\n", ASH_LOCK_ERROR_SYNTAX,
					"key 'inputs' is missing"},
			{HEAD ORIGINS "pakcages: []\n", ASH_LOCK_ERROR_SYNTAX,
					"host.lock:7:1: unknown key 'pakcages' (did you mean "
					"'packages'?)"},
			{HEAD "origins: {}\npackages: []\n", ASH_LOCK_ERROR_SYNTAX,
					"'origins' is not a list"},
			{HEAD "origins: [x]\npackages: []\n", ASH_LOCK_ERROR_SYNTAX,
					"expected a map"},
			{HEAD "origins: [{id: a, kind: strange}]\npackages: []\n",
					ASH_LOCK_ERROR_SYNTAX,
					"host.lock:5:25: 'kind' is 'strange', expected inherited"},
			{HEAD "origins: [{id: a, kind: inherited}]\npackages: []\n",
					ASH_LOCK_ERROR_SYNTAX, "has 'label' and 'suite'"},
			{HEAD "origins: [{id: a, kind: flat}]\npackages: []\n",
					ASH_LOCK_ERROR_SYNTAX, "kind 'flat' has a 'uri'"},
			{HEAD "origins: [{id: a, kind: file, uri: file:///x}]\npackages: []\n",
					ASH_LOCK_ERROR_SYNTAX, "kind 'file' has no 'uri'"},
			{HEAD "origins: [{id: a, kind: flat, uri: gopher://x}]\npackages: []\n",
					ASH_LOCK_ERROR_SYNTAX, "expected a URI"},
			{HEAD "origins: [{id: a, kind: file}, {id: a, kind: file}]\npackages: "
			      "[]\n",
					ASH_LOCK_ERROR_SYNTAX, "origin 'a' is here for the second"},
			{HEAD ORIGINS "packages:\n" PACKAGE(
					 "Ab", "1", "all", "debian", "1", DIGEST, "x.deb"),
					ASH_LOCK_ERROR_SYNTAX, "'name' is 'Ab', expected the name"},
			{HEAD ORIGINS "packages:\n" PACKAGE(
					 "../ab", "1", "all", "debian", "1", DIGEST, "x.deb"),
					ASH_LOCK_ERROR_SYNTAX, "'name' is '../ab'"},
			{HEAD ORIGINS "packages:\n" PACKAGE(
					 "ab", "1/2", "all", "debian", "1", DIGEST, "x.deb"),
					ASH_LOCK_ERROR_SYNTAX, "expected a version"},
			{HEAD ORIGINS "packages:\n" PACKAGE(
					 "ab", "1", "all", "other", "1", DIGEST, "x.deb"),
					ASH_LOCK_ERROR_SYNTAX, "none of the ids"},
			{HEAD ORIGINS "packages:\n" PACKAGE(
					 "ab", "1", "all", "[]", "1", DIGEST, "x.deb"),
					ASH_LOCK_ERROR_SYNTAX, "none of the ids"},
			{HEAD ORIGINS "packages:\n" PACKAGE(
					 "ab", "1", "all", "debian", "-1", DIGEST, "x.deb"),
					ASH_LOCK_ERROR_SYNTAX, "expected a whole number"},
			{HEAD ORIGINS "packages:\n" PACKAGE(
					 "ab", "1", "all", "debian", "0", DIGEST, "x.deb"),
					ASH_LOCK_ERROR_SYNTAX, "0 bytes"},
			{HEAD ORIGINS "packages:\n" PACKAGE("ab", "1", "all", "debian",
					 "9999999999999", DIGEST, "x.deb"),
					ASH_LOCK_ERROR_SYNTAX, "expected a whole number"},
			{HEAD ORIGINS "packages:\n" PACKAGE(
					 "ab", "1", "all", "debian", "1", "ab12", "x.deb"),
					ASH_LOCK_ERROR_SYNTAX, "expected 64 hexadecimal digits"},
			{HEAD ORIGINS "packages:\n" PACKAGE(
					 "ab", "1", "all", "debian", "1", DIGEST, "../x.deb"),
					ASH_LOCK_ERROR_SYNTAX, "expected a relative path"},
			{HEAD ORIGINS "packages:\n" PACKAGE(
					 "ab", "1", "all", "debian", "1", DIGEST, "/x.deb"),
					ASH_LOCK_ERROR_SYNTAX, "expected a relative path"},
			{HEAD ORIGINS "packages:\n" PACKAGE(
					 "ab", "1", "all", "debian", "1", DIGEST, "a//x.deb"),
					ASH_LOCK_ERROR_SYNTAX, "expected a relative path"},
			{HEAD ORIGINS "packages:\n" PACKAGE(
					 "ab", "1", "all", "debian", "1", DIGEST, "\"x\\n.deb\""),
					ASH_LOCK_ERROR_SYNTAX, "expected a relative path"},
			{HEAD ORIGINS "packages:\n" PACKAGE("ab", "1", "all", "debian", "1", DIGEST,
					 "x.deb") PACKAGE("ab", "2", "all", "debian", "1", DIGEST,
					 "y.deb"),
					ASH_LOCK_ERROR_SYNTAX,
					"host.lock:9:5: package 'ab:all' is here for the second"},
			{HEAD ORIGINS "packages: [{name: ab}]\n", ASH_LOCK_ERROR_SYNTAX,
					"key 'version' is missing"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		AshLock *lock = NULL;
		g_test_message("%s", cases[i].text);
		g_assert_false(parse(cases[i].text, &lock, &error));
		g_assert_error(error, ASH_LOCK_ERROR, (int) cases[i].code);
		if (strstr(error->message, cases[i].message) == NULL)
			g_error("'%s' lacks '%s'", error->message, cases[i].message);
		g_assert_true(g_str_has_prefix(error->message, "host.lock:"));
		g_assert_null(lock);
	}
}

static GString *many_packages(int n)
{
	GString *text = g_string_new(HEAD ORIGINS "packages:\n");

	for (int i = 0; i < n; i++)
		g_string_append_printf(text,
				"  - {name: package%d, version: \"1.%d\", arch: all, origin: debian, "
				"size: %d, sha256: " DIGEST ", path: pool/main/p/package%d/"
				"package%d_1.%d_all.deb}\n",
				i, i, i + 1, i, i, i);
	return text;
}

static void test_many(void)
{
	g_autoptr(GString) most = many_packages(ASH_LOCK_MAX_PACKAGES);
	g_autoptr(GString) more = many_packages(ASH_LOCK_MAX_PACKAGES + 1);
	g_autoptr(GError) error = NULL;
	g_autoptr(AshLock) lock = NULL;
	AshLock *none = NULL;
	g_autoptr(GTimer) timer = g_timer_new();

	/* MALLOC_PERTURB_ fills the free heap whenever libyaml makes a string longer. */
	mallopt(M_PERTURB, 0);
	parse(most->str, &lock, &error);
	g_assert_no_error(error);
	g_test_message("%u packages in %.2f s", lock->packages->len, g_timer_elapsed(timer, NULL));
	g_assert_cmpuint(lock->packages->len, ==, ASH_LOCK_MAX_PACKAGES);
	g_assert_false(parse(more->str, &none, &error));
	g_assert_error(error, ASH_LOCK_ERROR, ASH_LOCK_ERROR_SYNTAX);
	g_assert_nonnull(strstr(error->message, "more than 20000 items"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/lock/round-trip", test_round_trip);
	g_test_add_func("/lock/digest", test_digest);
	g_test_add_func("/lock/save", test_save);
	g_test_add_func("/lock/refused", test_refused);
	g_test_add_func("/lock/many", test_many);
	return g_test_run();
}
