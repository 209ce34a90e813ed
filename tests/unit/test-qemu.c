/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/workload/guest.h"
#include "agent/workload/qemu-private.h"
#include "lib/file.h"
#include "lib/spawn.h"

static char *joined(const AshQemuSetup *setup)
{
	g_auto(GStrv) argv = ash_qemu_arguments(setup);

	return g_strjoinv(" ", argv);
}

static void begin(AshQemuSetup *setup, AshIsolationClass effective)
{
	AshQemuDisk root = {.fd = -1, .serial = g_strdup("root"), .is_read_only = true};

	ash_qemu_setup_init(setup);
	setup->effective = effective;
	setup->memory_bytes = 128 << 20;
	setup->processors = 1;
	g_array_append_val(setup->disks, root);
}

/* What the wall stands on: nothing that is not asked for, QEMU's own sandbox, no write to the image. */
static void test_arguments(void)
{
	AshQemuSetup setup;

	begin(&setup, ASH_ISOLATION_CLASS_VM_EMULATED);
	g_autofree char *emulated = joined(&setup);
	g_assert_nonnull(strstr(emulated, "-nodefaults"));
	g_assert_nonnull(strstr(emulated,
			"-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"));
	g_assert_nonnull(strstr(emulated, "accel=tcg"));
	g_assert_null(strstr(emulated, "accel=kvm"));
	g_assert_nonnull(strstr(emulated, "node-name=disk0,read-only=on"));
	g_assert_null(strstr(emulated, "virtio-net"));
	g_assert_null(strstr(emulated, "-netdev"));
	setup.effective = ASH_ISOLATION_CLASS_VM;
	setup.mac = "52:54:00:00:00:01";
	g_autofree char *accelerated = joined(&setup);
	g_assert_nonnull(strstr(accelerated, "accel=kvm"));
	g_assert_nonnull(strstr(accelerated, "mac=52:54:00:00:00:01"));
	/* An emulator must never stand in for it. */
	g_assert_null(strstr(accelerated, "tcg"));
	ash_qemu_setup_clear(&setup);
}

static AshLaunchBind *bind_of(const char *source, const char *target, bool is_file)
{
	AshLaunchBind *bind = g_new0(AshLaunchBind, 1);

	bind->source = g_strdup(source);
	bind->target = g_strdup(target);
	bind->is_file = is_file;
	return bind;
}

static void free_bind(gpointer data)
{
	AshLaunchBind *bind = data;

	g_free(bind->source);
	g_free(bind->target);
	g_free(bind);
}

static AshLaunch *launch_of(void)
{
	AshLaunch *launch = g_new0(AshLaunch, 1);
	char a[] = "/bin/a", b[] = "two words", c[] = "", d[] = "A=1=2", e[] = "net_bind_service",
	     f[] = "chown";
	char *command[] = {a, b, c, NULL};
	char *environment[] = {d, NULL};
	char *capabilities[] = {e, f, NULL};

	launch->instance = g_strdup("web");
	launch->directory = g_strdup("/srv");
	launch->command = g_strdupv(command);
	launch->environment = g_strdupv(environment);
	launch->capabilities = g_strdupv(capabilities);
	launch->uid = 1000;
	launch->gid = 1001;
	launch->tasks = 9;
	launch->address = g_strdup("100.64.0.2");
	launch->gateway = g_strdup("100.64.0.1");
	launch->binds = g_ptr_array_new_with_free_func(free_bind);
	g_ptr_array_add(launch->binds, bind_of("/v/data.img", "/data", false));
	g_ptr_array_add(launch->binds, bind_of("/etc/ashlar/secrets/tls", "/run/tls", true));
	return launch;
}

/* What the host writes is what the guest reads. */
static void test_record(void)
{
	g_autoptr(AshLaunch) launch = launch_of();
	static const char *const modules[] = {"virtio_blk", NULL};
	static AshGuest guest;
	AshQemuSetup setup;
	const char *wrong = NULL;

	begin(&setup, ASH_ISOLATION_CLASS_VM);
	AshQemuDisk volume = {.fd = -1, .serial = g_strdup("volume1"), .path = g_strdup("/data")};
	g_array_append_val(setup.disks, volume);
	g_autoptr(GBytes) record = ash_qemu_guest_record(launch, &setup, modules);
	gsize size;
	const char *text = g_bytes_get_data(record, &size);
	g_autofree char *copy = g_memdup2(text, size);
	g_assert_true(ash_guest_parse(copy, size, &guest, &wrong));
	g_assert_cmpuint(guest.n_command, ==, 3);
	g_assert_cmpstr(guest.command[1], ==, "two words");
	g_assert_cmpstr(guest.command[2], ==, "");
	g_assert_null(guest.command[3]);
	g_assert_cmpstr(guest.environment[0], ==, "A=1=2");
	g_assert_cmpuint(guest.uid, ==, 1000);
	g_assert_cmpuint(guest.gid, ==, 1001);
	g_assert_cmpuint(guest.tasks, ==, 9);
	g_assert_cmphex(guest.capabilities, ==, 1 << 10 | 1);
	g_assert_cmpstr(guest.gateway, ==, "100.64.0.1");
	g_assert_cmpuint(guest.n_volumes, ==, 1);
	g_assert_cmpstr(guest.volumes[0].serial, ==, "volume1");
	g_assert_cmpstr(guest.volumes[0].path, ==, "/data");
	g_assert_false(guest.volumes[0].is_read_only);
	g_assert_cmpuint(guest.n_files, ==, 1);
	g_assert_cmpstr(guest.files[0].name, ==, "1");
	g_assert_cmpstr(guest.files[0].path, ==, "/run/tls");
	ash_qemu_setup_clear(&setup);
}

static void test_record_wrong(void)
{
	static const char *const texts[] = {"command=/a", "command\0", "uid=x\0command=/a\0",
			"volume=a:ro\0", "volume=a:ro:rel\0", "capability=64\0", "strange=1\0"};
	static const size_t sizes[] = {10, 8, 17, 12, 16, 14, 10};
	static AshGuest guest;

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *copy = g_memdup2(texts[i], sizes[i]);
		const char *wrong = NULL;
		g_assert_false(ash_guest_parse(copy, sizes[i], &guest, &wrong));
		g_assert_nonnull(wrong);
	}
}

/* A module is known to its kernel by its path, whatever that has in it. */
/* busybox's links all say the same: in a checkout of OSTree they are one inode, on the disk each has its own. */
static void test_disk_links(void)
{
	enum {
		LINKS = 300
	};
	g_autoptr(GError) error = NULL;
	g_autofree char *dir = g_dir_make_tmp("ash-disk.XXXXXX", NULL);
	g_autofree char *root = g_build_filename(dir, "root", NULL);
	g_autofree char *first = g_build_filename(root, "link0", NULL);
	AshLaunch *launch = ash_launch_new();
	int fd = -1;

	if (!ash_spawn_have("mke2fs")) {
		g_test_skip("needs mke2fs");
	} else {
		g_assert_no_errno(mkdir(root, 0755));
		g_assert_no_errno(symlink("busybox", first));
		for (int i = 1; i < LINKS; i++) {
			g_autofree char *name = g_strdup_printf("%s/link%d", root, i);
			g_assert_no_errno(link(first, name));
		}
		g_free(launch->root);
		g_free(launch->cache);
		g_free(launch->image_digest);
		launch->root = g_strdup(root);
		launch->cache = g_build_filename(dir, "cache", NULL);
		launch->image_digest = g_strdup("0");
		g_assert_true(ash_qemu_disk_root(launch, &fd, &error));
		g_assert_no_error(error);
		close(fd);
	}
	ash_launch_free(launch);
	g_assert_true(ash_file_remove_tree(AT_FDCWD, dir, &error));
}

static void test_modules(void)
{
	AshQemuSetup setup;
	char plain[] = "/boot/m", odd[] = "/boot/a,b c";
	char *const modules[] = {plain, odd, NULL};
	const int none = -1;

	begin(&setup, ASH_ISOLATION_CLASS_VM_EMULATED);
	setup.modules = modules;
	g_array_append_val(setup.module_fds, none);
	g_array_append_val(setup.module_fds, none);
	g_autofree char *text = joined(&setup);
	g_assert_nonnull(strstr(
			text, " -initrd /proc/self/fd/20 /boot/m,/proc/self/fd/21 /boot/a,,b c "));
	ash_qemu_setup_clear(&setup);
}

/* What stands in a kernel. */
typedef struct {
	size_t at;
	uint32_t word;
} Word;

static GBytes *kernel_of(size_t size, const Word *words)
{
	uint8_t *data = g_malloc0(size);

	for (; words->word != 0; words++)
		for (size_t i = 0; i < 4; i++)
			data[words->at + i] = (uint8_t) (words->word >> 8 * i);
	return g_bytes_new_take(data, size);
}

#define MAGIC 0x1badb002
#define ELF_32                                                                                     \
	{0, 0x464c457f},                                                                           \
	{                                                                                          \
		4, 0x010101                                                                        \
	}
#define ELF_64                                                                                     \
	{0, 0x464c457f},                                                                           \
	{                                                                                          \
		4, 0x010102                                                                        \
	}
#define NOTES_32                                                                                   \
	{28, 52}, {42, 32}, {44, 1}, {52, 4}, {56, 96},                                            \
	{                                                                                          \
		68, 20                                                                             \
	}
#define NOTES_64                                                                                   \
	{32, 64}, {54, 56}, {56, 1}, {64, 4}, {72, 128},                                           \
	{                                                                                          \
		96, 20                                                                             \
	}
#define NOTE(at)                                                                                   \
	{at, 4}, {at + 4, 4}, {at + 8, 18}, {at + 12, 0x6e6558},                                   \
	{                                                                                          \
		at + 16, 0x100000                                                                  \
	}

static void test_kernel(void)
{
	static const struct {
		AshMachineContract contract; /* ASH_MACHINE_HOST_KERNEL: of none */
		size_t size;
		Word words[16];
	} cases[] = {
			{ASH_MACHINE_LINUX, 1024, {{0x202, 0x53726448}, {0}}},
			{ASH_MACHINE_LINUX, 1024,
					{{0x202, 0x53726448}, {0, MAGIC}, {8, -(uint32_t) MAGIC},
							{0}}},
			{ASH_MACHINE_HOST_KERNEL, 0x204, {{0x200, 0x53726448}, {0}}},
			{ASH_MACHINE_MULTIBOOT, 256,
					{ELF_32, {64, MAGIC}, {72, -(uint32_t) MAGIC}, {0}}},
			{ASH_MACHINE_MULTIBOOT, 256,
					{{64, MAGIC}, {68, 0x10000},
							{72, -(uint32_t) MAGIC - 0x10000}, {0}}},
			/* In front of the note: so does QEMU. */
			{ASH_MACHINE_MULTIBOOT, 256,
					{ELF_32, NOTES_32, NOTE(96), {128, MAGIC},
							{136, -(uint32_t) MAGIC}, {0}}},
			{ASH_MACHINE_HOST_KERNEL, 256, {{64, MAGIC}, {72, 1}, {0}}},
			{ASH_MACHINE_HOST_KERNEL, 256, {{66, MAGIC}, {74, -(uint32_t) MAGIC}, {0}}},
			{ASH_MACHINE_HOST_KERNEL, 72, {{64, MAGIC}, {0}}},
			{ASH_MACHINE_HOST_KERNEL, 16384,
					{{8192, MAGIC}, {8200, -(uint32_t) MAGIC}, {0}}},
			{ASH_MACHINE_PVH, 256, {ELF_32, NOTES_32, NOTE(96), {0}}},
			{ASH_MACHINE_PVH, 256, {ELF_64, NOTES_64, NOTE(128), {0}}},
			{ASH_MACHINE_PVH, 148, {ELF_64, NOTES_64, NOTE(128), {0}}},
			{ASH_MACHINE_HOST_KERNEL, 256, {ELF_64, NOTES_64, {0}}},
			{ASH_MACHINE_HOST_KERNEL, 256, {NOTES_64, NOTE(128), {0}}},
			{ASH_MACHINE_HOST_KERNEL, 256,
					{ELF_32, NOTES_32, NOTE(96), {104, 17}, {0}}},
			{ASH_MACHINE_HOST_KERNEL, 256,
					{ELF_32, NOTES_32, NOTE(96), {96, 0xffffffff}, {0}}},
			{ASH_MACHINE_HOST_KERNEL, 256,
					{ELF_32, NOTES_32, NOTE(96), {68, 0xffffffff}, {0}}},
			{ASH_MACHINE_HOST_KERNEL, 0, {{0}}},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GBytes) kernel = kernel_of(cases[i].size, cases[i].words);
		for (AshMachineContract c = ASH_MACHINE_LINUX; c <= ASH_MACHINE_MULTIBOOT; c++) {
			g_autoptr(GError) error = NULL;
			gboolean is_right = ash_qemu_kernel_check(c, "/k", kernel, &error);
			g_test_message("case %zu, contract %d", i, (int) c);
			g_assert_true(is_right == (c == cases[i].contract));
			if (!is_right)
				g_assert_error(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_IMAGE);
		}
	}
}

/* With the addresses in the file's own format, that has to be one that the contract has. */
static void test_kernel_wide(void)
{
	static const Word words[] = {ELF_64, {64, MAGIC}, {72, -(uint32_t) MAGIC}, {0}};
	g_autoptr(GBytes) kernel = kernel_of(256, words);
	g_autoptr(GError) error = NULL;

	g_assert_false(ash_qemu_kernel_check(ASH_MACHINE_MULTIBOOT, "/k", kernel, &error));
	g_assert_error(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_IMAGE);
	g_assert_nonnull(strstr(error->message, "no 32-bit ELF file"));
}

static void test_event(void)
{
	static const char reset[] = "{\"timestamp\": {\"seconds\": 1}, \"event\": \"SHUTDOWN\", "
				    "\"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n";
	static const char *const others[] = {"{\"return\": {}}\r\n", "guest-reset\n", "\n", "[]\n",
			"{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-shutdown\"}}\n",
			"{\"event\": \"SHUTDOWN\", \"data\": \"guest-reset\"}\n"};
	g_autoptr(GString) lines = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
		g_assert_false(ash_qemu_event_take(lines, others[i], strlen(others[i])));
	g_assert_false(ash_qemu_event_take(lines, reset, 30));
	g_assert_true(ash_qemu_event_take(lines, reset + 30, sizeof reset - 1 - 30));
	g_assert_cmpuint(lines->len, ==, 0);
	/* A line without an end is not kept for ever. */
	g_autofree char *endless = g_strnfill(70 << 10, 'x');
	g_assert_false(ash_qemu_event_take(lines, endless, strlen(endless)));
	g_assert_cmpuint(lines->len, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/qemu/disk-links", test_disk_links);
	g_test_add_func("/qemu/modules", test_modules);
	g_test_add_func("/qemu/kernel", test_kernel);
	g_test_add_func("/qemu/kernel-wide", test_kernel_wide);
	g_test_add_func("/qemu/event", test_event);
	g_test_add_func("/qemu/arguments", test_arguments);
	g_test_add_func("/qemu/record", test_record);
	g_test_add_func("/qemu/record-wrong", test_record_wrong);
	return g_test_run();
}
