/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* The program is static and links with nothing of ours; its parts that decide something are tested
 * as they are.
 */
#include "agent/initrd-cmdline.c"
#include "agent/initrd-file.c"
#include "agent/initrd-log.c"
#include "agent/initrd-root.c"

typedef struct {
	AshInitrdCmdline cmdline;
	char *text;
} Parsed;

static void parsed_clear(Parsed *parsed)
{
	free(parsed->cmdline.words);
	g_free(parsed->text);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Parsed, parsed_clear)

static Parsed parse(const char *text)
{
	Parsed parsed = {.text = g_strdup(text)};

	ash_initrd_cmdline_parse(parsed.text, &parsed.cmdline);
	return parsed;
}

static void test_defaults(void)
{
	g_auto(Parsed) parsed = parse("");

	g_assert_null(parsed.cmdline.root);
	g_assert_cmpstr(parsed.cmdline.rootfstype, ==, "ext4");
	g_assert_cmpstr(parsed.cmdline.init, ==, "/sbin/init");
	g_assert_false(parsed.cmdline.is_rw);
	g_assert_cmpuint(parsed.cmdline.timeout_s, ==, ASH_INITRD_DEFAULT_TIMEOUT_S);
	g_assert_cmpuint(parsed.cmdline.watchdog_s, ==, 0);
	g_assert_cmpuint(parsed.cmdline.n_words, ==, 0);
}

static void test_cmdline(void)
{
	g_auto(Parsed) parsed = parse(
			"  ro root=/dev/vda1 rw\troot=\"PARTLABEL=my root\" rootflags=noatime,data=x "
			"ostree=/ostree/a init=/bin/x ashlar.root_timeout_s=5 ashlar.debug rd.break "
			"ashlar.watchdog_s=30 root= rootwait\n-- root=/dev/vdb init=/bin/y");

	g_assert_cmpstr(parsed.cmdline.root, ==, "PARTLABEL=my root");
	g_assert_cmpstr(parsed.cmdline.rootflags, ==, "noatime,data=x");
	g_assert_cmpstr(parsed.cmdline.ostree, ==, "/ostree/a");
	g_assert_cmpstr(parsed.cmdline.init, ==, "/bin/x");
	g_assert_true(parsed.cmdline.is_rw);
	g_assert_true(parsed.cmdline.is_debug);
	g_assert_cmpuint(parsed.cmdline.timeout_s, ==, 5);
	g_assert_cmpuint(parsed.cmdline.watchdog_s, ==, 30);
	g_assert_cmpuint(parsed.cmdline.n_words, ==, 13);
}

static void test_timeouts(void)
{
	static const struct {
		const char *text;
		unsigned timeout_s;
	} cases[] = {
			{"ashlar.root_timeout_s=0", 0},
			{"ashlar.root_timeout_s=99999999999999999999", ASH_INITRD_MAX_TIMEOUT_S},
			{"ashlar.root_timeout_s=-1", ASH_INITRD_DEFAULT_TIMEOUT_S},
			{"ashlar.root_timeout_s=5x", ASH_INITRD_DEFAULT_TIMEOUT_S},
			{"ashlar.root_timeout_s=", ASH_INITRD_DEFAULT_TIMEOUT_S},
			{"rootdelay=5", ASH_INITRD_DEFAULT_TIMEOUT_S},
			{"rootdelay=90", 90},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_auto(Parsed) parsed = parse(cases[i].text);
		g_assert_cmpuint(parsed.cmdline.timeout_s, ==, cases[i].timeout_s);
	}
}

static void test_module_params(void)
{
	g_auto(Parsed) parsed =
			parse("virtio-blk.num=4 virtio_blk.flag virtio_blk2.no=1 virtio_blk. "
			      "virtio_blk.text=\"a b\" other.x=1");
	char buffer[64];
	char tiny[8];

	ash_initrd_cmdline_module_params(&parsed.cmdline, "virtio_blk", buffer, sizeof buffer);
	g_assert_cmpstr(buffer, ==, "num=4 flag text=\"a b\"");
	ash_initrd_cmdline_module_params(&parsed.cmdline, "none", buffer, sizeof buffer);
	g_assert_cmpstr(buffer, ==, "");
	/* What does not fit is left out whole. */
	ash_initrd_cmdline_module_params(&parsed.cmdline, "virtio_blk", tiny, sizeof tiny);
	g_assert_cmpstr(tiny, ==, "num=4");
}

static void test_blacklist(void)
{
	g_auto(Parsed) parsed = parse("modprobe.blacklist=a-b,c");
	g_auto(Parsed) nothing = parse("");

	g_assert_true(ash_initrd_cmdline_is_blacklisted(&parsed.cmdline, "a_b"));
	g_assert_true(ash_initrd_cmdline_is_blacklisted(&parsed.cmdline, "c"));
	g_assert_false(ash_initrd_cmdline_is_blacklisted(&parsed.cmdline, "a"));
	g_assert_false(ash_initrd_cmdline_is_blacklisted(&parsed.cmdline, "cc"));
	g_assert_false(ash_initrd_cmdline_is_blacklisted(&nothing.cmdline, "c"));
	g_assert_true(ash_initrd_same_module("a-b", "a_b"));
	g_assert_false(ash_initrd_same_module("a", "ab"));
	g_assert_false(ash_initrd_same_module("ab", "a"));
}

static void test_mount_flags(void)
{
	char data[64];
	char tiny[4];

	unsigned long flags = ash_initrd_mount_flags(
			"noatime,errors=remount-ro,,defaults,x", MS_RDONLY, data, sizeof data);
	g_assert_cmpuint(flags, ==, MS_RDONLY | MS_NOATIME);
	g_assert_cmpstr(data, ==, "errors=remount-ro,x");
	flags = ash_initrd_mount_flags("rw", MS_RDONLY, data, sizeof data);
	g_assert_cmpuint(flags, ==, 0);
	flags = ash_initrd_mount_flags(NULL, MS_RDONLY, data, sizeof data);
	g_assert_cmpuint(flags, ==, MS_RDONLY);
	g_assert_cmpstr(data, ==, "");
	ash_initrd_mount_flags("too-long,x", 0, tiny, sizeof tiny);
	g_assert_cmpstr(tiny, ==, "x");
}

static int open_temp(const void *data, size_t size)
{
	g_autofree char *name = NULL;
	int fd = g_file_open_tmp("ash-test-XXXXXX", &name, NULL);

	g_assert_cmpint(fd, >=, 0);
	unlink(name);
	g_assert_cmpint(write(fd, data, size), ==, (ssize_t) size);
	return fd;
}

static void test_gpt(void)
{
	uint8_t disk[2048] = {0};
	char uuid[ASH_INITRD_UUID_CHARS + 1];

	memcpy(disk + 512, "EFI PART", 8);
	disk[512 + 72] = 2;   /* first block of the entries */
	disk[512 + 80] = 4;   /* entries */
	disk[512 + 84] = 128; /* bytes of each */
	disk[1024 + 128] = 1; /* the second one is in use */
	for (uint8_t i = 0; i < 16; i++)
		disk[1024 + 128 + 16 + i] = i;
	int fd = open_temp(disk, sizeof disk);
	g_assert_true(ash_initrd_gpt_partuuid(fd, 512, 2, uuid));
	g_assert_cmpstr(uuid, ==, "03020100-0504-0706-0809-0a0b0c0d0e0f");
	g_assert_false(ash_initrd_gpt_partuuid(fd, 512, 1, uuid)); /* not in use */
	g_assert_false(ash_initrd_gpt_partuuid(fd, 512, 0, uuid));
	g_assert_false(ash_initrd_gpt_partuuid(fd, 512, 5, uuid));
	g_assert_false(ash_initrd_gpt_partuuid(fd, 4096, 2, uuid));
	close(fd);

	static const struct {
		size_t at;
		uint8_t value;
	} damages[] = {{512, 'X'}, {512 + 76, 1}, {512 + 81, 0xff}, {512 + 84, 8}, {512 + 86, 1},
			{512 + 73, 0xff}};
	for (size_t i = 0; i < G_N_ELEMENTS(damages); i++) {
		uint8_t damaged[sizeof disk];
		memcpy(damaged, disk, sizeof disk);
		damaged[damages[i].at] = damages[i].value;
		fd = open_temp(damaged, sizeof damaged);
		g_assert_false(ash_initrd_gpt_partuuid(fd, 512, 2, uuid));
		close(fd);
	}
}

static void test_ext4(void)
{
	uint8_t disk[2048] = {0};
	char uuid[ASH_INITRD_UUID_CHARS + 1];

	int fd = open_temp(disk, sizeof disk);
	g_assert_false(ash_initrd_ext4_uuid(fd, uuid));
	close(fd);
	disk[1024 + 56] = 0x53;
	disk[1024 + 57] = 0xef;
	for (uint8_t i = 0; i < 16; i++)
		disk[1024 + 104 + i] = (uint8_t) (0xf0 | i);
	fd = open_temp(disk, sizeof disk);
	g_assert_true(ash_initrd_ext4_uuid(fd, uuid));
	g_assert_cmpstr(uuid, ==, "f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff");
	close(fd);
	fd = open_temp(disk, 1100);
	g_assert_false(ash_initrd_ext4_uuid(fd, uuid));
	close(fd);
}

static void test_read_file(void)
{
	size_t size = 0;
	char line[8];
	g_autofree char *big = g_strnfill(70000, 'x');
	int fd = open_temp(big, 70000);
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

	char *text = ash_initrd_read_file(path, 70000, &size);
	g_assert_cmpuint(size, ==, 70000);
	g_assert_cmpstr(text, ==, big);
	free(text);
	g_assert_null(ash_initrd_read_file(path, 69999, NULL));
	g_assert_cmpint(errno, ==, EFBIG);
	g_assert_null(ash_initrd_read_file("/nonexistent", 1, NULL));
	g_assert_true(ash_initrd_read_line(path, line, sizeof line));
	g_assert_cmpstr(line, ==, "xxxxxxx");
	close(fd);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/initrd/defaults", test_defaults);
	g_test_add_func("/initrd/cmdline", test_cmdline);
	g_test_add_func("/initrd/timeouts", test_timeouts);
	g_test_add_func("/initrd/module-params", test_module_params);
	g_test_add_func("/initrd/blacklist", test_blacklist);
	g_test_add_func("/initrd/mount-flags", test_mount_flags);
	g_test_add_func("/initrd/gpt", test_gpt);
	g_test_add_func("/initrd/ext4", test_ext4);
	g_test_add_func("/initrd/read-file", test_read_file);
	return g_test_run();
}
