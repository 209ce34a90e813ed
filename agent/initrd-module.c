/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/initrd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/module.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
	MAX_PARAMS_BYTES = 2048,
	MAX_MODALIAS_BYTES = 1024,
	/* A pass that loads something is followed by another; no tree of buses is deeper. */
	MAX_PASSES = 16,
};

typedef struct {
	char *name; /* without directory and suffix */
	char *path; /* below the kernel's directory */
	char *deps; /* paths, blank-separated; the last is loaded first */
	bool was_tried;
} Module;

typedef struct {
	char *pattern;
	char *module;
} Alias;

static const AshInitrdCmdline *cmdline; /* borrowed from main() */
static char directory[512];
static Module *modules;
static size_t n_modules;
static Alias *aliases;
static size_t n_aliases;
static unsigned n_loaded;

static size_t count_lines(const char *text)
{
	size_t n = 1;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static char *name_of(const char *path)
{
	const char *base = strrchr(path, '/');
	char *name = ash_initrd_strdup(base != NULL ? base + 1 : path);
	char *dot = strstr(name, ".ko");

	if (dot != NULL)
		*dot = '\0';
	return name;
}

static char *read_list(const char *name)
{
	char path[sizeof directory + 32];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return ash_initrd_read_file(path, ASH_INITRD_MAX_FILE_BYTES, NULL);
}

/* modules.dep: "PATH: DEPENDENCY DEPENDENCY…" */
static void read_dep(char *text)
{
	modules = ash_initrd_alloc(count_lines(text) * sizeof *modules);
	for (char *line; (line = strsep(&text, "\n")) != NULL;) {
		char *colon = strchr(line, ':');
		if (colon == NULL)
			continue;
		*colon = '\0';
		modules[n_modules++] =
				(Module){.name = name_of(line), .path = line, .deps = colon + 1};
	}
}

/* modules.alias: "alias PATTERN MODULE" */
static void read_alias(char *text)
{
	aliases = ash_initrd_alloc(count_lines(text) * sizeof *aliases);
	for (char *line; (line = strsep(&text, "\n")) != NULL;) {
		char *keyword = strsep(&line, " ");
		char *pattern = strsep(&line, " ");
		if (strcmp(keyword, "alias") != 0 || pattern == NULL || line == NULL)
			continue;
		aliases[n_aliases++] = (Alias){.pattern = pattern, .module = line};
	}
}

void ash_initrd_module_setup(const AshInitrdCmdline *the_cmdline)
{
	struct utsname kernel;

	cmdline = the_cmdline;
	if (uname(&kernel) < 0)
		return;
	snprintf(directory, sizeof directory, "/usr/lib/modules/%s", kernel.release);
	char *dep = read_list("modules.dep");
	char *alias = read_list("modules.alias");
	/* Not a failure: everything that the root needs may be built into the kernel. */
	if (dep == NULL)
		ash_initrd_log(ASH_INITRD_WARNING,
				"no modules for this kernel (%s/modules.dep: %s), going on without",
				directory, strerror(errno));
	else
		read_dep(dep);
	if (alias != NULL)
		read_alias(alias);
}

static int insert_file(const char *path, const char *name)
{
	char full[sizeof directory + 512];
	char params[MAX_PARAMS_BYTES];

	snprintf(full, sizeof full, "%s/%s", directory, path);
	int fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t length = strlen(path);
	bool is_plain = length > 3 && strcmp(path + length - 3, ".ko") == 0;
	ash_initrd_cmdline_module_params(cmdline, name, params, sizeof params);
	long result = syscall(
			SYS_finit_module, fd, params, is_plain ? 0 : MODULE_INIT_COMPRESSED_FILE);
	int saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return result == 0 ? 0 : -1;
}

/* Once for each module: what failed once fails again. */
static unsigned insert(Module *module)
{
	if (module->was_tried)
		return 0;
	module->was_tried = true;
	if (insert_file(module->path, module->name) == 0) {
		ash_initrd_log(ASH_INITRD_DEBUG, "module %s loaded", module->name);
		n_loaded++;
		return 1;
	}
	/* EEXIST: it is there already. ENODEV: the driver found no hardware, which is no fault. */
	ash_initrd_log(errno == EEXIST || errno == ENODEV ? ASH_INITRD_DEBUG : ASH_INITRD_WARNING,
			"module %s not loaded: %s", module->name, strerror(errno));
	return 0;
}

static Module *find_by_path(const char *path, size_t length)
{
	for (size_t i = 0; i < n_modules; i++)
		if (strncmp(modules[i].path, path, length) == 0 && modules[i].path[length] == '\0')
			return &modules[i];
	return NULL;
}

static Module *find_by_name(const char *name)
{
	for (size_t i = 0; i < n_modules; i++)
		if (ash_initrd_same_module(modules[i].name, name))
			return &modules[i];
	return NULL;
}

static unsigned load_with_deps(Module *module)
{
	unsigned n = 0;

	if (module->was_tried)
		return 0;
	for (const char *end = module->deps + strlen(module->deps); end > module->deps;) {
		const char *start = end;
		while (start > module->deps && start[-1] != ' ')
			start--;
		Module *dep = start < end ? find_by_path(start, (size_t) (end - start)) : NULL;
		if (dep != NULL)
			n += insert(dep);
		end = start > module->deps ? start - 1 : start;
	}
	return n + insert(module);
}

unsigned ash_initrd_module_load(const char *name)
{
	unsigned n = 0;
	Module *module = find_by_name(name);

	if (module != NULL && !ash_initrd_cmdline_is_blacklisted(cmdline, module->name))
		return load_with_deps(module);
	for (size_t i = 0; i < n_aliases; i++) {
		if (fnmatch(aliases[i].pattern, name, 0) != 0)
			continue;
		module = find_by_name(aliases[i].module);
		if (module != NULL && !ash_initrd_cmdline_is_blacklisted(cmdline, module->name))
			n += load_with_deps(module);
	}
	return n;
}

void ash_initrd_module_load_list(void)
{
	char *text = ash_initrd_read_file("/etc/modules", ASH_INITRD_MAX_FILE_BYTES, NULL);

	for (char *line; text != NULL && (line = strsep(&text, "\n")) != NULL;)
		if (line[0] != '\0' && line[0] != '#')
			ash_initrd_module_load(line);
}

/* One bus: /sys/bus/NAME/devices/DEVICE/modalias. */
static unsigned coldplug_bus(const char *bus)
{
	char path[1024];
	char modalias[MAX_MODALIAS_BYTES];
	unsigned n = 0;

	snprintf(path, sizeof path, "/sys/bus/%s/devices", bus);
	DIR *devices = opendir(path);
	if (devices == NULL)
		return 0;
	for (struct dirent *device; (device = readdir(devices)) != NULL;) {
		if (device->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/sys/bus/%s/devices/%s/modalias", bus, device->d_name);
		if (ash_initrd_read_line(path, modalias, sizeof modalias) && modalias[0] != '\0')
			n += ash_initrd_module_load(modalias);
	}
	closedir(devices);
	return n;
}

static bool is_paravirtual(const char *bus)
{
	static const char *const buses[] = {"virtio", "vmbus", "xen"};

	for (size_t i = 0; i < sizeof buses / sizeof buses[0]; i++)
		if (strcmp(bus, buses[i]) == 0)
			return true;
	return false;
}

void ash_initrd_module_coldplug(bool only_paravirtual)
{
	unsigned n = 1;

	for (int pass = 0; n > 0 && pass < MAX_PASSES; pass++) {
		n = 0;
		DIR *buses = opendir("/sys/bus");
		if (buses == NULL)
			return;
		for (struct dirent *bus; (bus = readdir(buses)) != NULL;)
			if (bus->d_name[0] != '.' &&
					(!only_paravirtual || is_paravirtual(bus->d_name)))
				n += coldplug_bus(bus->d_name);
		closedir(buses);
	}
}

unsigned ash_initrd_module_count(void)
{
	return n_loaded;
}
