/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/ext4.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/file.h"
#include "lib/spawn.h"

enum {
	OFFSET = 1 << 20,
	BIG_BYTES = (3 << 20) + 17,
	MANY_NAMES = 500, /* more than one block of a directory */
};

typedef struct {
	AshTempDir *dir;
	GPtrArray *inodes;
	uint8_t *big;
} Fixture;

static guint add(Fixture *f, guint dir, const char *name, AshExt4Inode *take_inode)
{
	guint index = f->inodes->len;

	g_ptr_array_add(f->inodes, take_inode);
	if (name == NULL)
		return index;
	AshExt4Inode *parent = f->inodes->pdata[dir];
	AshExt4Name entry = {.name = g_strdup(name), .inode = index};
	g_array_append_val(parent->names, entry);
	if (take_inode->kind == ASH_NODE_DIR)
		take_inode->parent = dir;
	else
		take_inode->links = 1;
	return index;
}

static AshExt4Inode *file_new(const void *data, size_t size)
{
	AshExt4Inode *inode = ash_ext4_inode_new(ASH_NODE_FILE, 0640);

	inode->content = g_bytes_new(data, size);
	inode->size = size;
	return inode;
}

static AshExt4Inode *link_new(const char *target)
{
	AshExt4Inode *inode = ash_ext4_inode_new(ASH_NODE_LINK, 0777);

	inode->target = g_strdup(target);
	return inode;
}

static GVariant *one_xattr(const char *name, const void *value, size_t size)
{
	GVariantBuilder builder;

	g_variant_builder_init(&builder, G_VARIANT_TYPE("a(ayay)"));
	g_variant_builder_add(&builder, "(@ay@ay)", g_variant_new_bytestring(name),
			g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, value, size, 1));
	return g_variant_ref_sink(g_variant_builder_end(&builder));
}

/* In byte order of names, as ash_ext4_write wants them. */
static void set_up(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "ext4", &f->dir, &error));
	f->inodes = g_ptr_array_new_with_free_func((GDestroyNotify) ash_ext4_inode_free);
	f->big = g_malloc(BIG_BYTES);
	for (size_t i = 0; i < BIG_BYTES; i++)
		f->big[i] = (uint8_t) (i * 7 + i / 4096);
	g_assert_true(ash_file_replace(f->dir->fd, "big", f->big, BIG_BYTES, 0600, &error));

	add(f, 0, NULL, ash_ext4_inode_new(ASH_NODE_DIR, 0755));
	AshExt4Inode *big = ash_ext4_inode_new(ASH_NODE_FILE, 0755);
	big->source = g_strdup("big");
	big->size = BIG_BYTES;
	big->uid = 100000;
	big->gid = 7;
	add(f, 0, "big", big);
	guint many = add(f, 0, "many", ash_ext4_inode_new(ASH_NODE_DIR, 01777));
	for (int i = 0; i < MANY_NAMES; i++) {
		g_autofree char *name = g_strdup_printf("a-rather-long-name-of-a-file-%05d", i);
		add(f, many, name, file_new("x", i == 0 ? 0 : 1));
	}
	AshExt4Inode *plain = file_new("hello\n", 6);
	plain->xattrs = one_xattr("user.note", "kept", 4);
	guint plain_index = add(f, 0, "plain", plain);
	AshExt4Name again = {.name = g_strdup("plain-again"), .inode = plain_index};
	g_array_append_val(((AshExt4Inode *) f->inodes->pdata[0])->names, again);
	plain->links++;
	AshExt4Inode *sealed = ash_ext4_inode_new(ASH_NODE_DIR, 0700);
	sealed->is_immutable = true;
	add(f, 0, "sealed", sealed);
	add(f, 0, "short-link", link_new("plain"));
	g_autofree char *far = g_strnfill(200, 'f');
	add(f, 0, "target-is-long", link_new(far));
}

static void tear_down(Fixture *f, gconstpointer data)
{
	g_clear_pointer(&f->dir, ash_temp_dir_free);
	g_clear_pointer(&f->inodes, g_ptr_array_unref);
	g_clear_pointer(&f->big, g_free);
}

static bool have_tools(void)
{
	if (ash_spawn_have("mke2fs") && ash_spawn_have("e2fsck") && ash_spawn_have("debugfs"))
		return true;
	g_test_skip("needs e2fsprogs");
	return false;
}

static char *make(Fixture *f, const char *name, uint64_t size_bytes, GError **error)
{
	g_autofree char *path = g_build_filename(f->dir->path, name, NULL);
	ash_autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	uint64_t measured = 0;
	uint64_t inode_count = 0;

	ash_ext4_measure(f->inodes, 1 << 20, &measured, &inode_count);
	if (size_bytes == 0)
		size_bytes = measured;
	AshExt4Options options = {.path = path,
			.offset_bytes = OFFSET,
			.size_bytes = size_bytes,
			.inode_count = inode_count,
			.label = "test-root",
			.uuid = "01234567-89ab-8def-8123-456789abcdef",
			.hash_seed = "11234567-89ab-8def-8123-456789abcdef",
			.time_s = 1700000000};
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(ftruncate(fd, (off_t) (OFFSET + size_bytes)), ==, 0);
	return ash_ext4_write(&options, f->inodes, f->dir->fd, NULL, error) ? g_steal_pointer(&path)
									    : NULL;
}

/* e2fsprogs reads from the beginning of a file. */
static char *without_offset(Fixture *f, const char *path)
{
	g_autoptr(GError) error = NULL;
	char *plain = g_build_filename(f->dir->path, "plain.ext4", NULL);
	ash_autofd int from = open(path, O_RDONLY | O_CLOEXEC);
	ash_autofd int to = open(plain, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	g_assert_cmpint(lseek(from, OFFSET, SEEK_SET), ==, OFFSET);
	g_assert_true(ash_file_copy_fd(from, to, &error));
	return plain;
}

static char *debugfs(const char *path, const char *request)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) output = NULL;
	const char *argv[] = {"debugfs", "-R", request, path, NULL};
	AshSpawn spawn = {.argv = argv};

	g_assert_true(ash_spawn_run(&spawn, &output, &error));
	return g_strdup(g_bytes_get_data(output, NULL));
}

static void assert_shows(const char *path, const char *request, const char *wanted)
{
	g_autofree char *text = debugfs(path, request);

	if (strstr(text, wanted) == NULL)
		g_error("debugfs '%s' does not show '%s' but %s", request, wanted, text);
}

static void test_content(Fixture *f, gconstpointer data)
{
	static const struct {
		const char *request;
		const char *wanted;
	} cases[] = {
			{"stat /big", "Mode:  0755"},
			{"stat /big", "User: 100000   Group:     7"},
			{"stat /big", "Size: 3145745"},
			{"stat /big", "mtime: 0x6553f100:00000000"},
			{"stat /big", "crtime: 0x6553f100:00000000"},
			{"stat /plain", "Links: 2"},
			{"stat /plain-again", "Links: 2"},
			{"ea_get /plain user.note", "user.note (4) = \"kept\""},
			{"stat /sealed", "Flags: 0x80010"},
			{"stat /many", "Mode:  01777"},
			{"stat /many", "Links: 2"},
			{"stat /short-link", "Fast link dest: \"plain\""},
			{"stat /target-is-long", "Size: 200"},
			{"cat /plain", "hello\n"},
			{"stat /", "Links: 5"},
			{"stats", "Filesystem volume name:   test-root"},
	};
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) dumped = NULL;

	if (!have_tools())
		return;
	g_autofree char *image = make(f, "image", 0, &error);
	g_assert_no_error(error);
	g_autofree char *plain = without_offset(f, image);
	g_assert_true(ash_spawn_simple(&error, "e2fsck", "-fn", plain, NULL));
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		assert_shows(plain, cases[i].request, cases[i].wanted);

	g_autofree char *copy = g_build_filename(f->dir->path, "dumped", NULL);
	g_autofree char *request = g_strdup_printf("dump /big %s", copy);
	g_autofree char *said G_GNUC_UNUSED = debugfs(plain, request);
	g_assert_true(ash_file_read(AT_FDCWD, copy, 2 * BIG_BYTES, &dumped, &error));
	g_autoptr(GBytes) big = g_bytes_new_static(f->big, BIG_BYTES);
	g_assert_true(g_bytes_equal(dumped, big));
}

/* No clock, no order of a directory and no inode number of this machine's gets in. */
static void test_same_bytes(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) a_bytes = NULL;
	g_autoptr(GBytes) b_bytes = NULL;

	if (!have_tools())
		return;
	g_autofree char *a = make(f, "a", 0, &error);
	g_assert_no_error(error);
	g_usleep(1100000);
	umask(0077);
	g_autofree char *b = make(f, "b-with-a-longer-name", 0, &error);
	g_assert_no_error(error);
	g_assert_true(ash_file_read(AT_FDCWD, a, 1 << 28, &a_bytes, &error));
	g_assert_true(ash_file_read(AT_FDCWD, b, 1 << 28, &b_bytes, &error));
	g_assert_true(g_bytes_equal(a_bytes, b_bytes));
}

static void test_full(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	if (!have_tools())
		return;
	/* The journal fits, the big file does not. */
	AshExt4Inode *big = f->inodes->pdata[1];
	big->size = 64 << 20;
	g_autofree char *path = g_build_filename(f->dir->path, "big", NULL);
	g_assert_cmpint(truncate(path, (off_t) big->size), ==, 0);
	g_assert_null(make(f, "small", 48 << 20, &error));
	g_assert_error(error, ASH_EXT4_ERROR, ASH_EXT4_ERROR_FULL);
}

static void test_changed(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	if (!have_tools())
		return;
	g_assert_true(ash_file_replace(f->dir->fd, "big", f->big, BIG_BYTES - 1, 0600, &error));
	g_assert_null(make(f, "short", 0, &error));
	g_assert_error(error, ASH_EXT4_ERROR, ASH_EXT4_ERROR_CHANGED);
	g_clear_error(&error);
	f->big = g_realloc(f->big, BIG_BYTES + 1);
	f->big[BIG_BYTES] = 1;
	g_assert_true(ash_file_replace(f->dir->fd, "big", f->big, BIG_BYTES + 1, 0600, &error));
	g_assert_null(make(f, "long", 0, &error));
	g_assert_error(error, ASH_EXT4_ERROR, ASH_EXT4_ERROR_CHANGED);
}

static void test_big_attribute(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	g_autofree uint8_t *value = g_malloc0(1 << 16);
	AshExt4Inode *inode = f->inodes->pdata[1];

	if (!have_tools())
		return;
	inode->xattrs = one_xattr("user.big", value, 1 << 16);
	g_assert_null(make(f, "attribute", 0, &error));
	g_assert_error(error, ASH_EXT4_ERROR, ASH_EXT4_ERROR_LIMIT);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
	g_test_add("/ext4/content", Fixture, NULL, set_up, test_content, tear_down);
	g_test_add("/ext4/same-bytes", Fixture, NULL, set_up, test_same_bytes, tear_down);
	g_test_add("/ext4/full", Fixture, NULL, set_up, test_full, tear_down);
	g_test_add("/ext4/changed", Fixture, NULL, set_up, test_changed, tear_down);
	g_test_add("/ext4/big-attribute", Fixture, NULL, set_up, test_big_attribute, tear_down);
	return g_test_run();
}
