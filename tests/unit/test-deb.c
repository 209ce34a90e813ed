/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/deb.h"

#include <string.h>
#include <sys/mman.h>

#include "lib/auto.h"
#include "lib/crypto.h"
#include "tests/lib/fixture.h"

static char *save(const Fixture *fixture, const GByteArray *deb)
{
	g_autoptr(GError) error = NULL;
	char *path = g_build_filename(fixture->dir->path, "test.deb", NULL);

	gboolean ok = g_file_set_contents(
			path, (const char *) deb->data, (gssize) deb->len, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	return path;
}

static AshTree *import(Fixture *fixture, const GByteArray *data)
{
	g_autoptr(GByteArray) deb = fixture_deb("pack", data->data, data->len);
	g_autofree char *path = save(fixture, deb);
	g_autofree char *hash = ash_sha256_hex(deb->data, deb->len);
	g_autoptr(GError) error = NULL;
	AshTree *tree = NULL;
	uint64_t newest_s = 0;

	gboolean ok = ash_deb_import(fixture->repo, path, hash, "pack 1", &tree, &newest_s, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	g_assert_cmpuint(newest_s, ==, data->len > 1024 ? 1700000000 : 0);
	return tree;
}

static void refuse_deb(Fixture *fixture, const GByteArray *deb, const char *hash, int code,
		const char *words)
{
	g_autofree char *path = save(fixture, deb);
	g_autoptr(GError) error = NULL;
	AshTree *tree = NULL;
	uint64_t newest_s = 77;

	g_assert_false(ash_deb_import(
			fixture->repo, path, hash, "pack 1", &tree, &newest_s, &error));
	g_assert_error(error, ASH_DEB_ERROR, code);
	if (!g_str_has_prefix(error->message, "pack 1: ") || strstr(error->message, words) == NULL)
		g_error("the message is: %s", error->message);
	g_assert_null(tree);
	g_assert_cmpuint(newest_s, ==, 77);
}

static void refuse(Fixture *fixture, GByteArray *data, int code, const char *words)
{
	tar_end(data);
	g_autoptr(GByteArray) deb = fixture_deb("pack", data->data, data->len);
	refuse_deb(fixture, deb, NULL, code, words);
	g_byte_array_set_size(data, 0);
}

static void test_import(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GByteArray) data = g_byte_array_new();

	fixture_init(&fixture);
	tar_add(data, "./", '5', 0755, NULL, NULL, 0);
	tar_add(data, "./usr/", '5', 0755, NULL, NULL, 0);
	tar_file(data, "./usr/one", "one");
	tar_add(data, "usr/two", '1', 0644, "./usr/one", NULL, 0);
	tar_add(data, "./usr/link", '2', 0777, "../../out", NULL, 0);
	tar_add(data, "usr/set", '0', 06755, NULL, "id", 2);
	tar_add(data, "var/tmp/", '5', 01777, NULL, NULL, 0);
	tar_end(data);
	g_autoptr(AshTree) tree = import(&fixture, data);
	g_autofree char *two = fixture_text(&fixture, tree, "data/usr/two");
	g_assert_cmpstr(two, ==, "one");
	g_assert_true(ash_node_equal(
			ash_tree_find(tree, "data/usr/one"), ash_tree_find(tree, "data/usr/two")));
	g_assert_cmpstr(fixture_target(tree, "data/usr/link"), ==, "../../out");
	g_assert_cmpuint(ash_tree_find(tree, "data/usr/set")->mode, ==, 06755);
	g_assert_cmpuint(ash_tree_find(tree, "data/var/tmp")->mode, ==, 01777);
	g_autofree char *control = fixture_text(&fixture, tree, "control/control");
	g_assert_true(g_str_has_prefix(control, "Package: pack\n"));
	/* Nothing but "data" and "control" beside each other. */
	g_assert_cmpuint(g_hash_table_size(tree->root->children), ==, 2);
}

static void test_empty(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GByteArray) data = g_byte_array_new();

	fixture_init(&fixture);
	tar_end(data);
	g_autoptr(AshTree) tree = import(&fixture, data);
	g_assert_nonnull(ash_tree_find(tree, "data"));
}

static void test_unsafe(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GByteArray) data = g_byte_array_new();

	fixture_init(&fixture);
	tar_file(data, "../evil", "x");
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "'../evil' leads out");
	tar_file(data, "./usr/../../evil", "x");
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "leads out");
	tar_file(data, "usr/..", "x");
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "leads out");
	tar_file(data, "/etc/evil", "x");
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "absolute path '/etc/evil'");
	tar_file(data, "usr/./x", "x");
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "cannot be a path");
	tar_add(data, "dev/null", '3', 0666, NULL, NULL, 0);
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "'dev/null' is a device");
	tar_add(data, "pipe", '6', 0666, NULL, NULL, 0);
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "'pipe' is a device, pipe");
	tar_add(data, "x", '1', 0644, "../../etc/passwd", NULL, 0);
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "leads out");
	tar_add(data, "x", '1', 0644, "/etc/passwd", NULL, 0);
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "absolute path");
	tar_add(data, "x", '1', 0644, "etc/passwd", NULL, 0);
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "no earlier file of this package");
	tar_add(data, "etc/", '5', 0755, NULL, NULL, 0);
	tar_add(data, "x", '1', 0644, "etc", NULL, 0);
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "no earlier file of this package");
	tar_add(data, "control", '2', 0777, "/", NULL, 0);
	tar_file(data, "control/x", "x");
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "is not a directory");
	static const char *const roots[] = {"./", ".", "././", ".//", NULL};
	for (const char *const *root = roots; *root != NULL; root++) {
		tar_add(data, *root, '2', 0777, "/", NULL, 0);
		refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "is not a directory");
	}
	tar_file(data, "a", "x");
	tar_add(data, "./", '1', 0644, "a", NULL, 0);
	refuse(&fixture, data, ASH_DEB_ERROR_UNSAFE, "is not a directory");
}

static void test_too_big(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GByteArray) data = g_byte_array_new();
	fixture_init(&fixture);
	/* A file that says it has 17 GiB, one with more levels than a tree may have, a long path. */
	tar_add(data, "huge", '0', 0644, NULL, NULL, G_GUINT64_CONSTANT(17) << 30);
	refuse(&fixture, data, ASH_DEB_ERROR_TOO_BIG, "unpacks to more than");
	g_autoptr(GString) deep = g_string_new("");
	for (int i = 0; i <= ASH_TREE_MAX_DEPTH; i++)
		g_string_append(deep, "d/");
	tar_add(data, "././@LongLink", 'L', 0, NULL, deep->str, deep->len + 1);
	tar_file(data, "d", "");
	refuse(&fixture, data, ASH_DEB_ERROR_TOO_BIG, "levels");
	g_string_truncate(deep, 0);
	while (deep->len <= ASH_DEB_MAX_PATH_BYTES)
		g_string_append(deep, "a-long-directory-name-that-is-repeated/");
	tar_add(data, "././@LongLink", 'L', 0, NULL, deep->str, deep->len + 1);
	tar_file(data, "d", "");
	refuse(&fixture, data, ASH_DEB_ERROR_TOO_BIG, "a path of more than");
}

/* The whole control archive counts, not each of its files. */
static void test_control_limits(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GByteArray) control = g_byte_array_new();
	g_autoptr(GByteArray) deb = g_byte_array_new();
	const gsize half = ASH_DEB_MAX_CONTROL_BYTES / 2;
	g_autofree char *zeroes = g_malloc0(half);

	fixture_init(&fixture);
	tar_add(control, "md5sums", '0', 0644, NULL, zeroes, half);
	tar_add(control, "templates", '0', 0644, NULL, zeroes, half);
	tar_file(control, "control", "x");
	tar_end(control);
	ar_begin(deb);
	ar_add(deb, "debian-binary", "2.0\n", 4);
	ar_add(deb, "control.tar", control->data, control->len);
	refuse_deb(&fixture, deb, NULL, ASH_DEB_ERROR_TOO_BIG, "larger than");

	g_byte_array_set_size(control, 0);
	g_byte_array_set_size(deb, 0);
	for (int i = 0; i <= ASH_DEB_MAX_CONTROL_FILES; i++) {
		g_autofree char *name = g_strdup_printf("file%d", i);
		tar_file(control, name, "");
	}
	tar_end(control);
	ar_begin(deb);
	ar_add(deb, "debian-binary", "2.0\n", 4);
	ar_add(deb, "control.tar", control->data, control->len);
	refuse_deb(&fixture, deb, NULL, ASH_DEB_ERROR_TOO_BIG, "more than 256 files");
}

static void test_control_unsafe(void)
{
	if (!fixture_may_run())
		return;
	static const struct {
		const char *path;
		char type;
	} rows[] = {{"../control", '0'}, {"a/b", '0'}, {"/control", '0'}, {"control", '2'},
			{"control", '3'}, {"..", '0'}, {".hidden", '0'}};
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GByteArray) control = g_byte_array_new();
		g_autoptr(GByteArray) deb = g_byte_array_new();
		tar_add(control, rows[i].path, rows[i].type, 0644,
				rows[i].type == '2' ? "/etc/passwd" : NULL, NULL, 0);
		tar_end(control);
		ar_begin(deb);
		ar_add(deb, "debian-binary", "2.0\n", 4);
		ar_add(deb, "control.tar", control->data, control->len);
		refuse_deb(&fixture, deb, NULL, ASH_DEB_ERROR_UNSAFE, "expected plain files only");
	}
}

static void test_format(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GByteArray) data = g_byte_array_new();
	g_autoptr(GByteArray) text = g_byte_array_new();
	g_autoptr(GByteArray) version = g_byte_array_new();
	g_autoptr(GByteArray) member = g_byte_array_new();

	fixture_init(&fixture);
	refuse_deb(&fixture, text, NULL, ASH_DEB_ERROR_FORMAT, "not a Debian package");
	g_byte_array_append(text, (const guint8 *) "just a text file\n", 17);
	refuse_deb(&fixture, text, NULL, ASH_DEB_ERROR_FORMAT, "");
	ar_begin(version);
	ar_add(version, "debian-binary", "3.0\n", 4);
	refuse_deb(&fixture, version, NULL, ASH_DEB_ERROR_FORMAT, "expected 2.x");
	ar_begin(member);
	ar_add(member, "debian-binary", "2.0\n", 4);
	ar_add(member, "data.tar", "", 0);
	refuse_deb(&fixture, member, NULL, ASH_DEB_ERROR_FORMAT, "unexpected member 'data.tar'");

	tar_file(data, "a", "text of some length");
	tar_end(data);
	g_autoptr(GByteArray) deb = fixture_deb("pack", data->data, data->len);
	/* Cut anywhere, it is damaged; what it has at its end is padding. */
	for (guint len = 8; len < deb->len - 1100; len += 97) {
		g_autoptr(GByteArray) cut = g_byte_array_new();
		g_byte_array_append(cut, deb->data, len);
		refuse_deb(&fixture, cut, NULL, ASH_DEB_ERROR_FORMAT, "");
	}
}

static void test_hash(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GByteArray) data = g_byte_array_new();

	fixture_init(&fixture);
	tar_end(data);
	g_autoptr(GByteArray) deb = fixture_deb("pack", data->data, data->len);
	g_autofree char *hash = ash_sha256_hex("", 0);
	refuse_deb(&fixture, deb, hash, ASH_DEB_ERROR_MISMATCH, "but the lock says e3b0c442");
}

static void test_read_control(void)
{
	g_autoptr(GByteArray) deb = fixture_deb("pack", "", 0);
	g_autoptr(GBytes) control = NULL;
	g_autoptr(GError) error = NULL;
	ash_autofd int fd = memfd_create("deb", MFD_CLOEXEC);

	g_assert_true(ash_file_write_all(fd, deb->data, deb->len, &error));
	g_assert_true(ash_deb_read_control(fd, "x.deb", &control, &error));
	g_assert_no_error(error);
	g_assert_true(g_str_has_prefix(g_bytes_get_data(control, NULL), "Package: pack\n"));
	g_clear_pointer(&control, g_bytes_unref);
	g_assert_cmpint(ftruncate(fd, 100), ==, 0);
	g_assert_false(ash_deb_read_control(fd, "x.deb", &control, &error));
	g_assert_error(error, ASH_DEB_ERROR, ASH_DEB_ERROR_FORMAT);
	g_assert_true(g_str_has_prefix(error->message, "x.deb: "));
	g_assert_null(control);
}

/* ---- builder/package.h ------------------------------------------------------------------------- */

static void test_package(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GByteArray) data = g_byte_array_new();
	g_autoptr(GError) error = NULL;
	g_autoptr(AshPackage) package = NULL;
	g_autoptr(AshPackage) found = NULL;
	char name[] = "pack";
	char version[] = "1";
	char arch[] = "all";

	fixture_init(&fixture);
	tar_file(data, "usr/file", "content");
	tar_end(data);
	g_autoptr(GByteArray) deb = fixture_deb("pack", data->data, data->len);
	g_autofree char *path = save(&fixture, deb);
	g_autofree char *hash = ash_sha256_hex(deb->data, deb->len);
	AshLockPackage locked = {.name = name,
			.version = version,
			.arch = arch,
			.sha256 = hash,
			.size = deb->len};
	g_assert_true(ash_package_find(fixture.repo, &locked, &found, &error));
	g_assert_null(found);
	g_assert_true(ash_package_import(fixture.repo, &locked, path, &package, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(ash_package_field(package, "description"), ==, "test");
	g_assert_nonnull(ash_package_control(package, "control"));
	g_assert_null(ash_package_control(package, "postinst"));
	g_assert_cmpuint(package->newest_s, ==, 1700000000);
	g_assert_true(ash_repo_commit(fixture.repo, &error));
	g_assert_true(ash_package_find(fixture.repo, &locked, &found, &error));
	g_assert_cmpstr(found->commit, ==, package->commit);
	g_assert_cmpuint(found->newest_s, ==, 1700000000);
	g_assert_nonnull(ash_node_child(ash_package_data(found), "usr"));

	/* The same file under another name: the lock was tampered with, or the archive. */
	char other[] = "other";
	locked.name = other;
	g_assert_true(ash_repo_begin(fixture.repo, &error));
	g_clear_pointer(&package, ash_package_free);
	g_assert_false(ash_package_import(fixture.repo, &locked, path, &package, &error));
	g_assert_error(error, ASH_PACKAGE_ERROR, ASH_PACKAGE_ERROR_IDENTITY);
}

static void test_package_control(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GByteArray) data = g_byte_array_new();
	g_autoptr(GError) error = NULL;
	g_autoptr(AshPackage) package = NULL;
	char name[] = "pack";
	char version[] = "1";
	char arch[] = "all";

	fixture_init(&fixture);
	tar_end(data);
	g_autoptr(GByteArray) deb = fixture_deb("pack", data->data, data->len);
	for (guint i = 0; i + 8 < deb->len; i++)
		if (memcmp(deb->data + i, "Version:", 8) == 0)
			memcpy(deb->data + i, "Version ", 8);
	g_autofree char *path = save(&fixture, deb);
	g_autofree char *hash = ash_sha256_hex(deb->data, deb->len);
	const AshLockPackage locked = {.name = name,
			.version = version,
			.arch = arch,
			.sha256 = hash,
			.size = deb->len};
	g_assert_false(ash_package_import(fixture.repo, &locked, path, &package, &error));
	g_assert_error(error, ASH_PACKAGE_ERROR, ASH_PACKAGE_ERROR_CONTROL);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/deb/import", test_import);
	g_test_add_func("/deb/empty", test_empty);
	g_test_add_func("/deb/unsafe", test_unsafe);
	g_test_add_func("/deb/too-big", test_too_big);
	g_test_add_func("/deb/control-limits", test_control_limits);
	g_test_add_func("/deb/control-unsafe", test_control_unsafe);
	g_test_add_func("/deb/format", test_format);
	g_test_add_func("/deb/hash", test_hash);
	g_test_add_func("/deb/read-control", test_read_control);
	g_test_add_func("/package/import-and-find", test_package);
	g_test_add_func("/package/control", test_package_control);
	return g_test_run();
}
