/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/workload/entry.h"
#include "agent/workload/guest.h"
#include "agent/workload/qemu-private.h"
#include "lib/auto.h"
#include "lib/cpio.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	MAX_KERNEL_BYTES = 256 << 20,
	MAX_INITRD_BYTES = 1 << 30,
	MAX_MODULE_BYTES = 64 << 20,
	MAX_LIST_BYTES = 16 << 20,
	MAX_FILE_BYTES = 16 << 20, /* a secret, or another file that is bound */
	MAX_PROGRAM_BYTES = 16 << 20,
};

/* What such a guest has for devices. Those that are built in are not among the modules. */
static const char *const drivers[] = {"virtio_pci", "virtio_blk", "virtio_console", "virtio_net",
		"virtio_rng", "ext4", NULL};

/* ---- the record ---- */

static void add(GByteArray *record, const char *key, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void add(GByteArray *record, const char *key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *value = g_strdup_vprintf(format, args);
	va_end(args);
	g_byte_array_append(record, (const guint8 *) key, (guint) strlen(key));
	g_byte_array_append(record, (const guint8 *) "=", 1);
	g_byte_array_append(record, (const guint8 *) value, (guint) strlen(value) + 1);
}

static void add_list(GByteArray *record, const char *key, char *const *values)
{
	for (; values && *values; values++)
		add(record, key, "%s", *values);
}

static void add_capabilities(GByteArray *record, char *const *names)
{
	for (; names && *names; names++) {
		unsigned bit;
		if (ash_entry_capability(*names, &bit))
			add(record, "capability", "%u", bit);
	}
}

static void add_binds(GByteArray *record, const AshLaunch *launch, const AshQemuSetup *setup)
{
	for (guint i = 1; i < setup->disks->len; i++) {
		const AshQemuDisk *disk = &g_array_index(setup->disks, AshQemuDisk, i);
		add(record, "volume", "%s:%s:%s", disk->serial, disk->is_read_only ? "ro" : "rw",
				disk->path);
	}
	for (guint i = 0; i < launch->binds->len; i++) {
		const AshLaunchBind *bind = launch->binds->pdata[i];
		if (bind->is_file)
			add(record, "file", "%u:%s", i, bind->target);
	}
}

GBytes *ash_qemu_guest_record(
		const AshLaunch *launch, const AshQemuSetup *setup, const char *const *modules)
{
	GByteArray *record = g_byte_array_new();

	add_list(record, "command", launch->command);
	add_list(record, "env", launch->environment);
	for (; *modules; modules++)
		add(record, "module", "%s", *modules);
	add_list(record, "nameserver", launch->nameservers);
	add_list(record, "host", launch->hosts);
	add(record, "directory", "%s", launch->directory ? launch->directory : "/");
	add(record, "hostname", "%s", launch->instance);
	add(record, "uid", "%u", launch->uid);
	add(record, "gid", "%u", launch->gid);
	add(record, "tasks", "%u", launch->tasks);
	add(record, "descriptors", "%u", launch->descriptors);
	add(record, "tmp", "%" G_GUINT64_FORMAT, launch->disk_bytes);
	add(record, "boot", "%d", launch->is_booted);
	add_capabilities(record, launch->capabilities);
	if (launch->address && launch->address[0] != '\0') {
		add(record, "address", "%s", launch->address);
		if (launch->gateway && launch->gateway[0] != '\0')
			add(record, "gateway", "%s", launch->gateway);
	}
	add_binds(record, launch, setup);
	if (launch->is_idle)
		add(record, "idle", "1");
	if (ash_qemu_find_channel(launch))
		add(record, "channel", "1");
	return g_byte_array_free_to_bytes(record);
}

/* ---- the archive ---- */

/* "PATH: DEPENDENCY …" of the module called @name; NULL: it is none, so built in or not needed. */
static const char *find_line(char *const *lines, const char *name)
{
	for (; *lines; lines++) {
		const char *colon = strchr(*lines, ':');
		if (!colon)
			continue;
		g_autofree char *path = g_strndup(*lines, (gsize) (colon - *lines));
		g_autofree char *base = g_path_get_basename(path);
		char *dot = strstr(base, ".ko");
		if (!dot)
			continue;
		*dot = '\0';
		if (strcmp(g_strdelimit(base, "-", '_'), name) == 0)
			return *lines;
	}
	return NULL;
}

typedef struct {
	const char *dir; /* of the kernel */
	const char *release;
	AshCpio *cpio;
	char **lines; /* of modules.dep */
	GString *dep; /* those that are taken */
} Modules;

static gboolean add_file(AshCpio *cpio, const char *from, const char *to, uint32_t mode,
		size_t max_bytes, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;

	return ash_file_read(AT_FDCWD, from, max_bytes, &bytes, error) &&
	       ash_cpio_add_file(cpio, to, mode, bytes, error);
}

static gboolean add_module_file(const Modules *modules, const char *path, GError **error)
{
	g_autofree char *from = g_build_filename(modules->dir, path, NULL);
	g_autofree char *to = g_strdup_printf("usr/lib/modules/%s/%s", modules->release, path);

	return add_file(modules->cpio, from, to, 0644, MAX_MODULE_BYTES, error);
}

static gboolean add_driver(Modules *modules, const char *name, GError **error)
{
	const char *line = find_line(modules->lines, name);

	if (!line)
		return TRUE;
	g_auto(GStrv) paths = g_strsplit(line, " ", -1);
	char *colon = strrchr(paths[0], ':');
	if (colon)
		*colon = '\0';
	for (char **path = paths; *path; path++)
		if (**path != '\0' && !add_module_file(modules, *path, error))
			return FALSE;
	g_string_append_printf(modules->dep, "%s\n", line);
	/* What it stands on has lines of its own there. */
	for (char **path = paths + 1; *path; path++)
		if (**path != '\0')
			g_string_append_printf(modules->dep, "%s:\n", *path);
	return TRUE;
}

static gboolean add_modules(AshCpio *cpio, const char *dir, GError **error)
{
	g_autofree char *dep_path = g_build_filename(dir, "modules.dep", NULL);
	g_autofree char *release = g_path_get_basename(dir);
	g_autofree char *to = g_strdup_printf("usr/lib/modules/%s/modules.dep", release);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(GString) dep = g_string_new(NULL);

	if (!ash_file_read(AT_FDCWD, dep_path, MAX_LIST_BYTES, &text, error))
		return FALSE;
	g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(text, NULL), "\n", -1);
	Modules modules = {
			.dir = dir, .release = release, .cpio = cpio, .lines = lines, .dep = dep};
	for (const char *const *driver = drivers; *driver; driver++)
		if (!add_driver(&modules, *driver, error))
			return FALSE;
	g_autoptr(GBytes) bytes = g_bytes_new(dep->str, dep->len);
	return ash_cpio_add_file(cpio, to, 0644, bytes, error);
}

static gboolean add_bound_files(AshCpio *cpio, const AshLaunch *launch, GError **error)
{
	for (guint i = 0; i < launch->binds->len; i++) {
		const AshLaunchBind *bind = launch->binds->pdata[i];
		g_autofree char *to = g_strdup_printf("files/%u", i);
		if (bind->is_file && !add_file(cpio, bind->source, to, 0400, MAX_FILE_BYTES, error))
			return FALSE;
	}
	return TRUE;
}

/* Whatever the file's mode is: QEMU is another user, and a memfd is all it needs. */
static gboolean to_memory(GBytes *bytes, int *out_fd, GError **error)
{
	gsize size;
	const void *data = g_bytes_get_data(bytes, &size);
	ash_autofd int fd = memfd_create("ashlar-guest", MFD_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "memfd_create");
	if (!ash_file_write_all(fd, data, size, error))
		return FALSE;
	*out_fd = g_steal_fd(&fd);
	return TRUE;
}

static gboolean load_file(const char *path, size_t max_bytes, int *out_fd, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;

	return ash_file_read(AT_FDCWD, path, max_bytes, &bytes, error) &&
	       to_memory(bytes, out_fd, error);
}

static gboolean make_initramfs(
		const AshLaunch *launch, const char *dir, AshQemuSetup *setup, GError **error)
{
	g_autoptr(AshCpio) cpio = ash_cpio_new();
	g_autofree char *program = ash_qemu_program("ashlar-guest");
	g_autoptr(GBytes) record = ash_qemu_guest_record(launch, setup, drivers);
	g_autoptr(GBytes) archive = NULL;

	return add_file(cpio, program, "init", 0755, MAX_PROGRAM_BYTES, error) &&
	       ash_cpio_add_char_device(cpio, "dev/console", 0600, 5, 1, error) &&
	       ash_cpio_add_file(cpio, "ashlar.guest", 0400, record, error) &&
	       add_modules(cpio, dir, error) && add_bound_files(cpio, launch, error) &&
	       ash_cpio_finish(cpio, &archive, error) &&
	       to_memory(archive, &setup->initrd_fd, error);
}

static gboolean load_host_kernel(const AshLaunch *launch, AshQemuSetup *setup, GError **error)
{
	struct utsname running;
	g_autofree char *dir = NULL;

	uname(&running);
	dir = launch->kernel && launch->kernel[0] != '\0'
			      ? g_strdup(launch->kernel)
			      : g_build_filename("/usr/lib/modules", running.release, NULL);
	ASH_PREFIX("the host's kernel for a guest");
	g_autofree char *vmlinuz = g_build_filename(dir, "vmlinuz", NULL);
	if (setup->memory_bytes < ASH_QEMU_MIN_MEMORY_BYTES)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"resources: memory: a virtual machine needs %d MiB at least, this one has %" G_GUINT64_FORMAT,
				ASH_QEMU_MIN_MEMORY_BYTES >> 20, setup->memory_bytes >> 20);
	/* panic=-1 with QEMU's -no-reboot: a guest that falls ends. */
	setup->append = g_strdup(
#if defined(__aarch64__)
			"console=ttyAMA0 "
#else
			"console=ttyS0 no_timer_check "
#endif
			"quiet loglevel=4 panic=-1");
	return load_file(vmlinuz, MAX_KERNEL_BYTES, &setup->kernel_fd, error) &&
	       make_initramfs(launch, dir, setup, error);
}

static gboolean refuse(GError **error, const char *path, const char *why)
{
	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_IMAGE, "%s of the image: %s",
			path, why);
}

/* A file of the image: links in it must not lead out of it. */
static gboolean read_of_image(const AshLaunch *launch, const char *path, size_t max_bytes,
		GBytes **out_bytes, GError **error)
{
	ash_autofd int root = open(launch->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* Nothing that is opened here waits for somebody who writes to it. */
	struct open_how how = {
			.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT};
	struct stat info;

	if (root < 0)
		return ash_throw_errno(error, "%s", launch->root);
	ash_autofd int fd = (int) syscall(SYS_openat2, root, path, &how, sizeof how);
	if (fd < 0 || fstat(fd, &info) < 0)
		return refuse(error, path, g_strerror(errno));
	if (!S_ISREG(info.st_mode))
		return refuse(error, path, "this is no file");
	g_autofree char *name = g_strdup_printf("/proc/self/fd/%d", fd);
	g_autoptr(GError) cause = NULL;
	if (!ash_file_read(AT_FDCWD, name, max_bytes, out_bytes, &cause))
		return refuse(error, path, cause->message);
	return TRUE;
}

static gboolean load_kernel(const AshLaunch *launch, AshQemuSetup *setup, GError **error)
{
	const AshWorkloadMachine *machine = &launch->machine;
	g_autoptr(GBytes) kernel = NULL;

#if defined(__aarch64__)
	if (machine->contract != ASH_MACHINE_LINUX)
		return refuse(error, machine->kernel,
				"the contracts 'pvh' and 'multiboot' are those of x86 processors");
	return read_of_image(launch, machine->kernel, MAX_KERNEL_BYTES, &kernel, error) &&
	       to_memory(kernel, &setup->kernel_fd, error);
#else
	return read_of_image(launch, machine->kernel, MAX_KERNEL_BYTES, &kernel, error) &&
	       ash_qemu_kernel_check(machine->contract, machine->kernel, kernel, error) &&
	       to_memory(kernel, &setup->kernel_fd, error);
#endif
}

static gboolean load_part(const AshLaunch *launch, const char *path, int *out_fd, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;

	return read_of_image(launch, path, MAX_INITRD_BYTES, &bytes, error) &&
	       to_memory(bytes, out_fd, error);
}

static gboolean load_image_kernel(const AshLaunch *launch, AshQemuSetup *setup, GError **error)
{
	const AshWorkloadMachine *machine = &launch->machine;

	ASH_PREFIX("machine");
	setup->append = g_strdup(machine->arguments ? machine->arguments : "");
	setup->modules = machine->modules;
	if (!load_kernel(launch, setup, error))
		return FALSE;
	if (machine->initrd && machine->initrd[0] != '\0' &&
			!load_part(launch, machine->initrd, &setup->initrd_fd, error))
		return FALSE;
	for (char **module = machine->modules; module && *module; module++) {
		int fd;
		if (!load_part(launch, *module, &fd, error))
			return FALSE;
		g_array_append_val(setup->module_fds, fd);
	}
	return TRUE;
}

gboolean ash_qemu_kernel_load(const AshLaunch *launch, AshQemuSetup *setup, GError **error)
{
	return setup->contract == ASH_MACHINE_HOST_KERNEL ? load_host_kernel(launch, setup, error)
							  : load_image_kernel(launch, setup, error);
}
