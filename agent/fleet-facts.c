/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fleet-facts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "agent/paths.h"
#include "lib/checkin.h"
#include "lib/file.h"
#include "lib/json.h"

enum {
	MAX_FILE_BYTES = 1 << 20,
	MAX_FACT_BYTES = 200,
	SPACE_STEPS = 64,
};

/* A small text file, NULL if it cannot be read; files below /proc and /sys have no size. */
static char *read_text(const char *root, const char *path)
{
	g_autofree char *full = g_strconcat(root, path, NULL);
	g_autoptr(GBytes) bytes = NULL;

	if (!ash_file_read(AT_FDCWD, full, MAX_FILE_BYTES, &bytes, NULL))
		return NULL;
	g_autofree char *text = g_utf8_make_valid(g_bytes_get_data(bytes, NULL), -1);
	return g_strdup(g_strstrip(text));
}

static void add_text(JsonBuilder *builder, const char *key, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	g_autofree char *text =
			g_utf8_substring(value, 0, MIN(g_utf8_strlen(value, -1), MAX_FACT_BYTES));
	for (char *c = text; *c != '\0'; c++)
		if (g_ascii_iscntrl(*c))
			*c = '?';
	ash_json_add_text(builder, key, text);
}

static void add_file(JsonBuilder *builder, const char *key, const char *root, const char *path)
{
	g_autofree char *text = read_text(root, path);

	add_text(builder, key, text);
}

/* The number behind @label, at the beginning of a line of /proc/meminfo and the like; 0: none. */
static uint64_t find_number(const char *text, const char *label)
{
	const char *line = text != NULL ? strstr(text, label) : NULL;

	return line != NULL ? g_ascii_strtoull(line + strlen(label), NULL, 10) : 0;
}

static void add_memory(JsonBuilder *builder, const char *root)
{
	g_autofree char *meminfo = read_text(root, "/proc/meminfo");
	g_autofree char *stat = read_text(root, "/proc/stat");
	uint64_t kib = find_number(meminfo, "MemTotal:");
	uint64_t booted_s = find_number(stat, "btime ");

	if (kib > 0)
		ash_json_add_uint(builder, "memory", kib * 1024);
	if (booted_s > 0)
		ash_json_add_uint(builder, "booted_at", booted_s);
}

static void add_machine(JsonBuilder *builder, const char *root)
{
	g_autofree char *id = read_text(root, "/etc/machine-id");

	if (id == NULL || strlen(id) != 32)
		return;
	g_autofree char *text = g_strconcat("ashlar fleet ", id, NULL);
	g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
	hash[32] = '\0';
	ash_json_add_text(builder, "machine", hash);
}

/* What a hypervisor writes into the firmware's tables. */
static const struct {
	const char *vendor, *virt;
} hypervisors[] = {
		{"QEMU", "qemu"},
		{"VMware", "vmware"},
		{"Xen", "xen"},
		{"innotek", "oracle"},
		{"Microsoft Corporation", "microsoft"},
		{"Amazon EC2", "amazon"},
		{"Google", "google"},
		{"Parallels", "parallels"},
};

static void add_virt(JsonBuilder *builder, const char *root)
{
	g_autofree char *vendor = read_text(root, "/sys/class/dmi/id/sys_vendor");
	g_autofree char *cpuinfo = read_text(root, "/proc/cpuinfo");

	for (size_t i = 0; vendor != NULL && i < G_N_ELEMENTS(hypervisors); i++) {
		if (!g_str_has_prefix(vendor, hypervisors[i].vendor))
			continue;
		ash_json_add_text(builder, "virt", hypervisors[i].virt);
		return;
	}
	ash_json_add_text(builder, "virt",
			cpuinfo != NULL && strstr(cpuinfo, " hypervisor") != NULL ? "other"
										  : "none");
}

static void add_disk(JsonBuilder *builder, const char *root)
{
	g_autofree char *path = g_strconcat(root, ASH_PATH_SYSROOT, NULL);
	struct statvfs vfs;

	if (statvfs(path, &vfs) < 0)
		return;
	uint64_t bytes = (uint64_t) vfs.f_blocks * vfs.f_frsize;
	uint64_t step = MAX(bytes / SPACE_STEPS, 1);
	uint64_t free_bytes = (uint64_t) vfs.f_bavail * vfs.f_frsize;
	ash_json_add_uint(builder, "disk.root", bytes);
	ash_json_add_uint(builder, "disk.root_free", free_bytes / step * step);
}

void ash_fleet_facts_add(JsonBuilder *builder, const char *root, const char *hostname)
{
	struct utsname names;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (hostname != NULL)
		add_text(builder, "hostname", hostname);
	else
		add_file(builder, "hostname", root, "/proc/sys/kernel/hostname");
	add_machine(builder, root);
	add_file(builder, "product", root, "/sys/class/dmi/id/product_name");
	add_file(builder, "vendor", root, "/sys/class/dmi/id/sys_vendor");
	add_virt(builder, root);
	if (cpus > 0)
		ash_json_add_uint(builder, "cpus", (uint64_t) cpus);
	add_memory(builder, root);
	if (uname(&names) == 0) {
		add_text(builder, "kernel", names.release);
		add_text(builder, "arch", names.machine);
	}
	add_file(builder, "boot", root, "/proc/sys/kernel/random/boot_id");
	add_disk(builder, root);
	ash_json_add_text(builder, "agent", ASH_VERSION);
}
