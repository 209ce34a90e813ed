/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/provision.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/provision-disk.h"
#include "lib/auto.h"
#include "lib/file.h"
#include "lib/spawn.h"

static AshTempDir *scratch(void)
{
	g_autoptr(GError) error = NULL;
	AshTempDir *dir = NULL;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "provision", &dir, &error));
	return dir;
}

static void put(const AshTempDir *root, const char *path, const void *data, size_t size)
{
	g_autofree char *full = g_build_filename(root->path, path, NULL);
	g_autofree char *directory = g_path_get_dirname(full);
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
	g_file_set_contents(full, data, (gssize) size, &error);
	g_assert_no_error(error);
}

static void put_text(const AshTempDir *root, const char *path, const char *text)
{
	put(root, path, text, strlen(text));
}

/* The few bytes by which a file system is known. */
static void put_iso(const AshTempDir *root, const char *path, const char *label)
{
	g_autofree char *image = g_malloc0(34816);

	memcpy(image + 32768, "\1CD001\1", 7);
	memset(image + 32768 + 40, ' ', 32);
	memcpy(image + 32768 + 40, label, strlen(label));
	put(root, path, image, 34816);
}

static void put_fat(const AshTempDir *root, const char *path, const char *label, bool is_fat32)
{
	char image[1024] = {0};

	image[510] = 0x55;
	image[511] = (char) 0xaa;
	memcpy(image + (is_fat32 ? 82 : 54), is_fat32 ? "FAT32   " : "FAT16   ", 8);
	memset(image + (is_fat32 ? 71 : 43), ' ', 11);
	memcpy(image + (is_fat32 ? 71 : 43), label, strlen(label));
	put(root, path, image, sizeof image);
}

static void assert_label(
		const AshTempDir *root, const char *path, const char *type, const char *label)
{
	char found[ASH_PROVISION_LABEL_CHARS + 1] = "?";
	const char *found_type = NULL;
	ash_autofd int fd = openat(root->fd, path, O_RDONLY | O_CLOEXEC);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(ash_provision_disk_label(fd, &found_type, found), ==, type != NULL);
	g_assert_cmpstr(found_type, ==, type);
	if (type != NULL)
		g_assert_cmpstr(found, ==, label);
}

static void test_labels(void)
{
	g_autoptr(AshTempDir) root = scratch();

	put_iso(root, "iso", "cidata");
	assert_label(root, "iso", "iso9660", "cidata");
	put_iso(root, "full", "0123456789abcdef0123456789abcdef");
	assert_label(root, "full", "iso9660", "0123456789abcdef0123456789abcdef");
	put_iso(root, "odd", "a b\x1b");
	assert_label(root, "odd", "iso9660", "a?b?");
	put_fat(root, "fat16", "CIDATA", false);
	assert_label(root, "fat16", "vfat", "CIDATA");
	put_fat(root, "fat32", "CONFIG-2", true);
	assert_label(root, "fat32", "vfat", "CONFIG-2");
	put_fat(root, "unnamed", "", true);
	assert_label(root, "unnamed", "vfat", "");
	put(root, "short", "x", 1);
	assert_label(root, "short", NULL, NULL);
	g_autofree char *zeros = g_malloc0(40000);
	put(root, "zeros", zeros, 40000);
	assert_label(root, "zeros", NULL, NULL);
}

/* On a machine without disks none is found; the first by name wins; what this machine made itself is no
 * seed.
 */
static void test_find_seed(void)
{
	g_autoptr(AshTempDir) root = scratch();

	g_assert_null(ash_provision_disk_find_seed(root->path));
	put_text(root, "sys/class/block/loop0/uevent", "");
	put_fat(root, "dev/loop0", "CIDATA", false);
	put_text(root, "sys/class/block/sr0/uevent", "");
	put_text(root, "sys/class/block/vda/uevent", "");
	put_fat(root, "dev/vda", "ASHLAR-ESP", true);
	put_text(root, "sys/class/block/cciss!c0d0/uevent", "");
	g_assert_null(ash_provision_disk_find_seed(root->path));

	put_fat(root, "dev/vdb", "CiData", false);
	put_text(root, "sys/class/block/vdb/uevent", "");
	put_iso(root, "dev/vdc", "cidata");
	put_text(root, "sys/class/block/vdc/uevent", "");
	g_autoptr(AshProvisionDisk) seed = ash_provision_disk_find_seed(root->path);
	g_assert_cmpstr(seed->path, ==, "/dev/vdb");
	g_assert_cmpstr(seed->type, ==, "vfat");
	g_assert_cmpstr(seed->label, ==, "CiData");
	put_iso(root, "dev/cciss/c0d0", "config-2");
	g_autoptr(AshProvisionDisk) first = ash_provision_disk_find_seed(root->path);
	g_assert_cmpstr(first->path, ==, "/dev/cciss/c0d0");
}

static void test_find_partition(void)
{
	g_autoptr(AshTempDir) root = scratch();

	put_text(root, "sys/class/block/vda1/uevent", "DEVNAME=vda1\nPARTNAME=ashlar-esp2\n");
	put_text(root, "sys/class/block/vda2/uevent", "PARTNAME=ashlar-esp\nPARTN=2\n");
	g_autofree char *path = ash_provision_disk_find_partition(root->path, "ashlar-esp");
	g_assert_cmpstr(path, ==, "/dev/vda2");
	g_assert_null(ash_provision_disk_find_partition(root->path, "ashlar"));
}

static void test_read(void)
{
	g_autoptr(AshTempDir) root = scratch();
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) text = NULL;

	put_text(root, "a/file", "twelve bytes");
	g_assert_true(ash_provision_disk_read(root->fd, "a/file", 12, &text, &error));
	g_assert_cmpstr(g_bytes_get_data(text, NULL), ==, "twelve bytes");
	g_assert_false(ash_provision_disk_read(root->fd, "a/file", 11, &text, &error));
	g_assert_error(error, ASH_PROVISION_DISK_ERROR, ASH_PROVISION_DISK_ERROR_TOO_BIG);
	g_clear_error(&error);
	g_assert_false(ash_provision_disk_read(root->fd, "a", 12, &text, &error));
	g_assert_error(error, ASH_PROVISION_DISK_ERROR, ASH_PROVISION_DISK_ERROR_NO_FILE);
	g_clear_error(&error);
	g_assert_false(ash_provision_disk_read(root->fd, "b", 12, &text, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
	g_clear_error(&error);

	/* Links are not followed, wherever they stand; pipes are not waited for. */
	g_assert_cmpint(symlinkat("file", root->fd, "a/link"), ==, 0);
	g_assert_cmpint(symlinkat("a", root->fd, "l"), ==, 0);
	g_assert_cmpint(mkfifoat(root->fd, "pipe", 0600), ==, 0);
	static const char *const bad[] = {
			"a/link", "l/file", "a/../../etc/passwd", "/etc/passwd", "pipe"};
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_assert_false(ash_provision_disk_read(root->fd, bad[i], 4096, &text, &error));
		g_assert_false(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND));
		g_clear_error(&error);
	}
}

/* A device that is none, or holds nothing that can be mounted, is an error and no crash. */
static void test_mount_fails(void)
{
	g_autoptr(AshTempDir) root = scratch();
	g_autoptr(GError) error = NULL;
	int fd = -1;

	put_iso(root, "dev/vdb", "cidata");
	g_assert_false(ash_provision_disk_mount(root->path, "/dev/vdb", "iso9660", &fd, &error));
	g_assert_nonnull(error);
	g_assert_cmpint(fd, ==, -1);
	g_assert_nonnull(strstr(error->message, "/dev/vdb as iso9660"));
}

/* A block device over @path that goes when its last user goes; -1: this machine has none to give. */
static int open_loop(const char *path, char **out_device)
{
	ash_autofd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	ash_autofd int file = open(path, O_RDWR | O_CLOEXEC);
	int number = control >= 0 ? ioctl(control, LOOP_CTL_GET_FREE) : -1;

	if (number < 0)
		return -1;
	g_autofree char *device = g_strdup_printf("/dev/loop%d", number);
	struct loop_config config = {.fd = (__u32) file, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
	ash_autofd int fd = open(device, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config) < 0)
		return -1;
	*out_device = g_steal_pointer(&device);
	int result = fd;
	fd = -1;
	return result;
}

/* With ext4, which kernels of build machines have, in the place of ISO 9660 and FAT. */
static void test_mount(void)
{
	g_autoptr(AshTempDir) root = scratch();
	g_autofree char *image = g_build_filename(root->path, "image", NULL);
	g_autofree char *content = g_build_filename(root->path, "content", NULL);
	g_autofree char *device = NULL;
	g_autofree char *before = NULL;
	g_autofree char *during = NULL;
	g_autoptr(GBytes) text = NULL;
	g_autoptr(GError) error = NULL;
	struct statvfs fs;
	int mount = -1;

	put_text(root, "content/ashlar.yaml", "hostname: web\n");
	g_assert_true(ash_spawn_simple(
			&error, "mke2fs", "-q", "-t", "ext4", "-d", content, image, "4M", NULL));
	ash_autofd int loop = geteuid() == 0 ? open_loop(image, &device) : -1;
	if (loop < 0) {
		g_test_skip("needs root and a loop device");
		return;
	}
	g_assert_true(g_file_get_contents("/proc/self/mountinfo", &before, NULL, NULL));
	gboolean ok = ash_provision_disk_mount("", device, "ext4", &mount, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	ash_autofd int fd = mount;
	g_assert_true(ash_provision_disk_read(fd, "ashlar.yaml", 100, &text, &error));
	g_assert_cmpstr(g_bytes_get_data(text, NULL), ==, "hostname: web\n");
	g_assert_cmpint(fstatvfs(fd, &fs), ==, 0);
	g_assert_cmpuint(fs.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC), ==,
			ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC);
	/* Nobody else sees it. */
	g_assert_true(g_file_get_contents("/proc/self/mountinfo", &during, NULL, NULL));
	g_assert_cmpstr(during, ==, before);
}

/* Each way in which a document may be written stays one, with the name in it. */
static void test_add_hostname(void)
{
	static const struct {
		const char *text;
		const char *name; /* in the result */
		bool has_time;
	} cases[] = {
			{"", "given", false},
			{"#ashlar\n", "given", false},
			{"#ashlar", "given", false},
			{"#ashlar\nntp: [time.example]\n", "given", true},
			{"#ashlar\n---\nntp: [time.example]\n", "given", true},
			{"#ashlar\n\n# \xc3\xa4\n  ntp: [time.example]\n  ssh: {keys: []}\n",
					"given", true},
			{"#ashlar\n{ntp: [time.example]}\n", "given", true},
			{"#ashlar\n--- {ntp: [time.example]}\n", "given", true},
			{"#ashlar\n{}", "given", false},
			{"#ashlar\nntp: [time.example]\nhostname: own\n", "own", true},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GBytes) text = g_bytes_new(cases[i].text, strlen(cases[i].text) + 1);
		g_autoptr(GBytes) cut = g_bytes_new_from_bytes(text, 0, strlen(cases[i].text));
		g_autoptr(GBytes) named = ash_provision_source_add_hostname(cut, "given");
		g_autoptr(AshHostdoc) doc = NULL;
		g_autoptr(GError) error = NULL;
		if (!ash_hostdoc_parse(cases[i].text, named, &doc, &error))
			g_error("%zu: %s", i, error->message);
		g_assert_cmpstr(doc->hostname, ==, cases[i].name);
		g_assert_cmpint(doc->ntp[0] != NULL, ==, cases[i].has_time);
	}

	/* A broken document is left as it is, to be refused for what is wrong with it. */
	g_autoptr(GBytes) broken = g_bytes_new_static("ntp: [", 6);
	g_autoptr(GBytes) still = ash_provision_source_add_hostname(broken, "given");
	g_assert_true(broken == still);
}

static void test_default_hostname(void)
{
	static const char *const bad[] = {"", "uninitialized\n",
			"0123456789abcdef0123456789abcde\n", "0123456789abcdef0123456789abcdef0\n",
			"0123456789ABCDEF0123456789abcdef\n", "0123456789abcdef0123456789abcdef x"};
	g_autofree char *a = ash_provision_default_hostname("0123456789abcdef0123456789abcdef\n");
	g_autofree char *b = ash_provision_default_hostname("0123456789abcdef0123456789abcdee\n");

	/* Written down once: a host must not be renamed by an update. */
	g_assert_cmpstr(a, ==, "ashlar-508248c1");
	g_assert_cmpstr(a, !=, b);
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_null(ash_provision_default_hostname(bad[i]));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/provision/labels", test_labels);
	g_test_add_func("/provision/find-seed", test_find_seed);
	g_test_add_func("/provision/find-partition", test_find_partition);
	g_test_add_func("/provision/read", test_read);
	g_test_add_func("/provision/mount-fails", test_mount_fails);
	g_test_add_func("/provision/mount", test_mount);
	g_test_add_func("/provision/add-hostname", test_add_hostname);
	g_test_add_func("/provision/default-hostname", test_default_hostname);
	return g_test_run();
}
