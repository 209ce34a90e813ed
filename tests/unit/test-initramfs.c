/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/initramfs.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/file.h"

#define RELEASE "6.1-test"
#define MODULES "/usr/lib/modules/" RELEASE

/* A tree in memory: path → content, and links that whole paths are replaced by. */
typedef struct {
	GHashTable *files; /* path → GBytes */
	GHashTable *links; /* path → path */
	AshTempDir *scratch;
	char *init_path;
} Fixture;

/* "module xz content\n" */
static const guint8 xz[] = {0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36,
		0x02, 0x00, 0x21, 0x01, 0x1c, 0x00, 0x00, 0x00, 0x10, 0xcf, 0x58, 0xcc, 0x01, 0x00,
		0x11, 0x6d, 0x6f, 0x64, 0x75, 0x6c, 0x65, 0x20, 0x78, 0x7a, 0x20, 0x63, 0x6f, 0x6e,
		0x74, 0x65, 0x6e, 0x74, 0x0a, 0x00, 0x00, 0x00, 0x79, 0x86, 0x08, 0x6c, 0x00, 0x01,
		0x26, 0x12, 0x47, 0x47, 0xe1, 0x10, 0x90, 0x42, 0x99, 0x0d, 0x01, 0x00, 0x00, 0x00,
		0x00, 0x01, 0x59, 0x5a};

static void add(Fixture *fixture, const char *path, const void *data, gsize size)
{
	g_hash_table_insert(fixture->files, g_strdup(path), g_bytes_new(data, size));
}

static void add_text(Fixture *fixture, const char *path, const char *text)
{
	add(fixture, path, text, strlen(text));
}

static char *resolve(gpointer data, const char *path)
{
	const Fixture *fixture = data;
	const char *target = g_hash_table_lookup(fixture->links, path);

	path = target != NULL ? target : path;
	return g_hash_table_contains(fixture->files, path) ? g_strdup(path) : NULL;
}

static gboolean read_file(gpointer data, const char *path, size_t max_bytes, GBytes **out_bytes,
		GError **error)
{
	const Fixture *fixture = data;
	GBytes *bytes = g_hash_table_lookup(fixture->files, path);

	g_assert_nonnull(bytes);
	g_assert_cmpuint(g_bytes_get_size(bytes), <=, max_bytes);
	*out_bytes = g_bytes_ref(bytes);
	return TRUE;
}

static void set_up(Fixture *fixture, gconstpointer unused)
{
	static const char elf[64] = "\177ELF\2\1\1"; /* no segments: static, and needs nothing */
	g_autoptr(GError) error = NULL;

	fixture->files = g_hash_table_new_full(
			g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_bytes_unref);
	fixture->links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "ash-test", &fixture->scratch, &error));
	fixture->init_path = g_build_filename(fixture->scratch->path, "init", NULL);
	g_assert_true(ash_file_replace(
			AT_FDCWD, fixture->init_path, elf, sizeof elf, 0755, &error));

	add_text(fixture, MODULES "/modules.dep",
			"kernel/virtio_blk.ko.xz: kernel/virtio-core.ko\n"
			"kernel/virtio-core.ko:\n"
			"kernel/unwanted.ko:\n"
			"kernel/watch_dog.ko: kernel/virtio-core.ko\n");
	add_text(fixture, MODULES "/modules.alias",
			"alias virtio:d2v* virtio_blk\nalias virtio:d1v* unwanted\n"
			"alias core virtio-core\n");
	add_text(fixture, MODULES "/modules.builtin", "kernel/fs/ext4/ext4.ko\n");
	add_text(fixture, MODULES "/modules.softdep", "softdep virtio_blk pre: watch-dog\n");
	add(fixture, MODULES "/kernel/virtio_blk.ko.xz", xz, sizeof xz);
	add_text(fixture, MODULES "/kernel/virtio-core.ko", "core");
	add_text(fixture, MODULES "/kernel/unwanted.ko", "unwanted");
	add_text(fixture, MODULES "/kernel/watch_dog.ko", "dog");
}

static void tear_down(Fixture *fixture, gconstpointer unused)
{
	g_hash_table_unref(fixture->files);
	g_hash_table_unref(fixture->links);
	ash_temp_dir_free(fixture->scratch);
	g_free(fixture->init_path);
}

static GBytes *compose(Fixture *fixture, const char *const *modules, GError **error)
{
	AshInitramfsSource source = {.resolve = resolve, .read = read_file, .data = fixture};
	AshInitramfsOptions options = {.kernel_release = RELEASE,
			.modules = modules,
			.init_path = fixture->init_path};
	GBytes *cpio = NULL;

	gboolean is_done = ash_initramfs_compose_from(&source, &options, &cpio, error);
	g_assert_cmpint(is_done, ==, cpio != NULL);
	return cpio;
}

static gboolean contains(GBytes *archive, const char *text)
{
	gsize size = 0;
	const char *data = g_bytes_get_data(archive, &size);
	return memmem(data, size, text, strlen(text)) != NULL;
}

static void test_content(Fixture *fixture, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) archive = compose(fixture, NULL, &error);

	g_assert_no_error(error);
	g_assert_true(contains(archive, "usr/lib/modules/" RELEASE "/kernel/virtio_blk.ko"));
	g_assert_false(contains(archive, "virtio_blk.ko.xz"));
	g_assert_true(contains(archive, "module xz content\n"));
	g_assert_false(contains(archive, "unwanted"));
	/* Soft dependencies have become hard ones; the last is loaded first. */
	g_assert_true(contains(archive,
			"kernel/virtio_blk.ko: kernel/watch_dog.ko kernel/virtio-core.ko\n"));
	g_assert_true(contains(archive, "alias virtio:d2v* virtio_blk\nalias core virtio_core\n"));
	g_assert_true(contains(archive, "initrd-release"));
	g_assert_false(contains(archive, "ostree-prepare-root"));
}

static void test_same_bytes(Fixture *fixture, gconstpointer unused)
{
	g_autoptr(GBytes) a = compose(fixture, NULL, NULL);
	g_autoptr(GBytes) b = compose(fixture, NULL, NULL);
	g_assert_true(g_bytes_equal(a, b));
}

static void test_wanted_modules(Fixture *fixture, gconstpointer unused)
{
	static const char *const wanted[] = {"unwanted", "watch-dog", "ext4", NULL};
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) archive = compose(fixture, wanted, &error);

	g_assert_no_error(error);
	g_assert_true(contains(archive, "unwanted\nvirtio_core\nwatch_dog\n"));
}

static void test_unknown_module(Fixture *fixture, gconstpointer unused)
{
	static const char *const wanted[] = {"virtio_bkl", NULL};
	g_autoptr(GError) error = NULL;

	g_assert_null(compose(fixture, wanted, &error));
	g_assert_error(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_NO_MODULE);
	g_assert_nonnull(strstr(error->message, "did you mean 'virtio_blk'?"));
}

static void test_missing_module_file(Fixture *fixture, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;

	g_hash_table_remove(fixture->files, MODULES "/kernel/virtio-core.ko");
	g_assert_null(compose(fixture, NULL, &error));
	g_assert_error(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_NO_MODULE);
}

static void test_no_kernel(Fixture *fixture, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;

	g_hash_table_remove(fixture->files, MODULES "/modules.dep");
	g_assert_null(compose(fixture, NULL, &error));
	g_assert_error(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_NO_KERNEL);
}

/* This program stands for ostree-prepare-root: it is linked dynamically, whatever it needs. */
static gboolean add_prepare_root(Fixture *fixture)
{
	g_autofree char *data = NULL;
	gsize size = 0;

	if (!g_file_get_contents("/proc/self/exe", &data, &size, NULL))
		return FALSE;
	add(fixture, "/usr/lib/ostree/ostree-prepare-root", data, size);
	return TRUE;
}

static void test_missing_library(Fixture *fixture, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(add_prepare_root(fixture));
	g_assert_null(compose(fixture, NULL, &error));
	g_assert_error(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_NO_LIBRARY);
}

/* Any other file of the tree may be read: then it is the machine's own. */
static char *resolve_machine(gpointer data, const char *path)
{
	char *known = resolve(data, path);
	if (known != NULL)
		return known;
	if (!g_str_has_prefix(path, "/usr/lib") || g_str_has_prefix(path, "/usr/lib/modules") ||
			g_str_has_prefix(path, "/usr/lib/ostree"))
		return NULL;
	/* As the tree: /lib is /usr/lib on a merged machine. */
	g_autofree char *real = realpath(path, NULL);
	return g_strdup(real);
}

static gboolean read_machine(gpointer data, const char *path, size_t max_bytes, GBytes **out_bytes,
		GError **error)
{
	const Fixture *fixture = data;

	if (g_hash_table_contains(fixture->files, path))
		return read_file(data, path, max_bytes, out_bytes, error);
	return ash_file_read(AT_FDCWD, path, max_bytes, out_bytes, error);
}

static void test_libraries(Fixture *fixture, gconstpointer unused)
{
	AshInitramfsSource source = {
			.resolve = resolve_machine, .read = read_machine, .data = fixture};
	AshInitramfsOptions options = {.kernel_release = RELEASE, .init_path = fixture->init_path};
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) archive = NULL;

	g_assert_true(add_prepare_root(fixture));
	add_text(fixture, "/usr/etc/ostree/prepare-root.conf", "[sysroot]\nreadonly=true\n");
	gboolean is_done = ash_initramfs_compose_from(&source, &options, &archive, &error);
	g_assert_no_error(error);
	g_assert_true(is_done);
	g_assert_true(contains(archive, "/libc.so.6"));
	g_assert_true(contains(archive, "/libglib-2.0.so.0"));
	/* Needed by a library only. */
	g_assert_true(contains(archive, "/libpcre2-8.so.0"));
	g_assert_true(contains(archive, "etc/ostree/prepare-root.conf"));
	g_assert_true(contains(archive, "readonly=true"));
}

static void test_init_must_be_static(Fixture *fixture, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;

	g_free(fixture->init_path);
	fixture->init_path = g_strdup("/proc/self/exe");
	g_assert_null(compose(fixture, NULL, &error));
	g_assert_error(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_NO_INIT);
}

/* ---- from a repository ---- */

static void test_repository(Fixture *fixture, gconstpointer unused)
{
	g_autofree char *path = g_build_filename(fixture->scratch->path, "repo", NULL);
	AshInitramfsOptions options = {.kernel_release = RELEASE, .init_path = fixture->init_path};
	g_autoptr(AshTree) tree = ash_tree_new();
	g_autoptr(GBytes) expected = compose(fixture, NULL, NULL);
	g_autoptr(AshRepo) repo = NULL;
	g_autoptr(GBytes) archive = NULL;
	g_autoptr(GError) error = NULL;
	GHashTableIter iter;
	gpointer name = NULL;
	gpointer value = NULL;

	if (geteuid() != 0) {
		g_test_skip("objects keep their owner: needs root");
		return;
	}
	g_assert_true(ash_repo_open(path, true, &repo, &error));
	g_assert_true(ash_repo_begin(repo, &error));
	g_hash_table_iter_init(&iter, fixture->files);
	while (g_hash_table_iter_next(&iter, &name, &value)) {
		AshNode *node = ash_node_new(ASH_NODE_FILE, 0644);
		gsize size = 0;
		const void *data = g_bytes_get_data(value, &size);
		gboolean is_done = ash_repo_write_file(repo, node, data, size, &error);
		g_assert_no_error(error);
		g_assert_true(is_done);
		g_assert_true(ash_tree_insert(tree, name, node, &error));
	}
	g_assert_true(ash_repo_commit(repo, &error));
	gboolean is_done = ash_initramfs_compose(repo, tree, &options, &archive, &error);
	g_assert_no_error(error);
	g_assert_true(is_done);
	g_assert_true(g_bytes_equal(archive, expected));
}

/* ---- the digest ---- */

static void put_file(AshTree *tree, const char *path, uint8_t content)
{
	g_autoptr(GError) error = NULL;
	AshNode *node = ash_node_new(ASH_NODE_FILE, 0644);

	node->csum[0] = content;
	node->has_csum = true;
	gboolean is_done = ash_tree_insert(tree, path, node, &error);
	g_assert_no_error(error);
	g_assert_true(is_done);
}

static char *digest(const AshTree *tree, const Fixture *fixture, const char *const *modules)
{
	AshInitramfsOptions options = {.kernel_release = RELEASE,
			.modules = modules,
			.init_path = fixture->init_path};
	g_autoptr(GError) error = NULL;
	char *text = NULL;

	gboolean is_done = ash_initramfs_digest(tree, &options, &text, &error);
	g_assert_no_error(error);
	g_assert_true(is_done);
	return text;
}

static void test_digest(Fixture *fixture, gconstpointer unused)
{
	static const struct {
		const char *path;
		bool matters;
	} cases[] = {
			{MODULES "/modules.dep", true},
			{MODULES "/kernel/new.ko", true},
			{"/usr/lib/x86_64-linux-gnu/libc.so.6", true},
			{"/usr/lib/deep/er/libprivate.so.1", true},
			{"/usr/lib/ostree/ostree-prepare-root", true},
			{"/usr/etc/ostree/prepare-root.conf", true},
			{"/usr/bin/bash", false},
			{"/usr/lib/os-release", false},
			{"/usr/lib/modules/other/modules.dep", false},
	};
	static const char *const one[] = {"one", NULL};
	static const char *const two[] = {"on", "e", NULL};
	g_autoptr(AshTree) tree = ash_tree_new();

	put_file(tree, MODULES "/modules.dep", 1);
	g_autofree char *last = digest(tree, fixture, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		put_file(tree, cases[i].path, 2);
		char *now = digest(tree, fixture, NULL);
		g_test_message("%s", cases[i].path);
		g_assert_cmpint(strcmp(now, last) != 0, ==, cases[i].matters);
		g_free(last);
		last = now;
	}
	g_autofree char *with_one = digest(tree, fixture, one);
	g_autofree char *with_two = digest(tree, fixture, two);
	g_assert_cmpstr(with_one, !=, last);
	g_assert_cmpstr(with_one, !=, with_two);
	g_assert_true(ash_file_replace(AT_FDCWD, fixture->init_path, "other", 5, 0755, NULL));
	g_autofree char *other_init = digest(tree, fixture, NULL);
	g_assert_cmpstr(other_init, !=, last);
}

#define ADD(name, function)                                                                        \
	g_test_add("/initramfs/" name, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	ADD("content", test_content);
	ADD("same-bytes", test_same_bytes);
	ADD("wanted-modules", test_wanted_modules);
	ADD("unknown-module", test_unknown_module);
	ADD("missing-module-file", test_missing_module_file);
	ADD("no-kernel", test_no_kernel);
	ADD("missing-library", test_missing_library);
	ADD("libraries", test_libraries);
	ADD("init-must-be-static", test_init_must_be_static);
	ADD("repository", test_repository);
	ADD("digest", test_digest);
	return g_test_run();
}
