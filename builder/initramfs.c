/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/initramfs.h"

#include <fcntl.h>
#include <string.h>

#include "builder/elf.h"
#include "builder/kmod.h"
#include "lib/archive.h"
#include "lib/cpio.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_initramfs_error, ash_initramfs_error)

#define PREPARE_ROOT "/usr/lib/ostree/ostree-prepare-root"

enum {
	MAX_LIST_BYTES = 8 << 20,
	MAX_MODULE_BYTES = 64 << 20,
	MAX_LIBRARY_BYTES = 64 << 20,
	MAX_INIT_BYTES = 16 << 20,
	MAX_CONF_BYTES = 1 << 20,
	MAX_LIBRARIES = 256,
};

/* Everything that a root on a local disk of the usual machines needs. Dependencies come along. What a
 * kernel has built in, or does not have, is passed over.
 */
const AshInitramfsModule ash_initramfs_modules[] = {
		{"ext4", true, "the root file system"},
		{"virtio_pci", false, "virtio devices on a PCI bus: QEMU, most clouds"},
		{"virtio_mmio", false, "virtio devices without PCI: microvm, ARM"},
		{"virtio_blk", false, "virtio disks"},
		{"virtio_scsi", false, "virtio SCSI controllers"},
		{"nvme", false, "NVMe disks, real and in clouds"},
		{"ahci", false, "SATA disks; QEMU's q35 without virtio, VirtualBox"},
		{"ata_piix", false, "IDE disks of older virtual machines"},
		{"sd_mod", false, "disks behind SCSI, SATA and USB controllers"},
		{"vmw_pvscsi", false, "VMware's paravirtual SCSI controller"},
		{"mptspi", false, "the LSI controller that VMware and VirtualBox offer"},
		{"hv_vmbus", false, "Hyper-V's bus"},
		{"pci_hyperv", false, "devices that Hyper-V passes through, NVMe in Azure"},
		{"hv_storvsc", false, "Hyper-V disks"},
		{"xen_blkfront", false, "Xen disks, and those of older EC2 machines"},
		{"overlay", false,
				"ostree-prepare-root, when a deployment is unlocked; asked for by name"},
		{NULL, false, NULL},
};

typedef struct {
	const AshInitramfsSource *source;
	const AshInitramfsOptions *options;
	char *modules_dir; /* "/usr/lib/modules/RELEASE" */
	AshKmod *kmod;
	GPtrArray *modules; /* const AshKmodModule *, in the order of loading */
	AshCpio *cpio;
} Composer;

static void composer_clear(Composer *composer)
{
	g_free(composer->modules_dir);
	ash_kmod_free(composer->kmod);
	g_ptr_array_unref(composer->modules);
	ash_cpio_free(composer->cpio);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Composer, composer_clear)

/* NULL bytes when there is no such file. */
static gboolean read_optional(const AshInitramfsSource *source, const char *path, size_t max_bytes,
		GBytes **out_bytes, GError **error)
{
	g_autofree char *real = source->resolve(source->data, path);

	if (real == NULL) {
		*out_bytes = NULL;
		return TRUE;
	}
	return source->read(source->data, real, max_bytes, out_bytes, error);
}

static gboolean add_text(AshCpio *cpio, const char *path, const char *text, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	return ash_cpio_add_file(cpio, path, 0644, bytes, error);
}

/* ---- modules ---- */

static gboolean read_list(
		const Composer *composer, const char *name, GBytes **out_bytes, GError **error)
{
	g_autofree char *path = g_strdup_printf("%s/%s", composer->modules_dir, name);
	return read_optional(composer->source, path, MAX_LIST_BYTES, out_bytes, error);
}

static gboolean load_kmod(Composer *composer, GError **error)
{
	g_autoptr(GBytes) dep = NULL;
	g_autoptr(GBytes) alias = NULL;
	g_autoptr(GBytes) builtin = NULL;
	g_autoptr(GBytes) softdep = NULL;

	if (!read_list(composer, "modules.dep", &dep, error) ||
			!read_list(composer, "modules.alias", &alias, error) ||
			!read_list(composer, "modules.builtin", &builtin, error) ||
			!read_list(composer, "modules.softdep", &softdep, error))
		return FALSE;
	if (dep == NULL)
		return ash_throw(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_NO_KERNEL,
				"the tree has no %s/modules.dep", composer->modules_dir);
	return ash_kmod_parse(dep, alias, builtin, softdep, &composer->kmod, error);
}

/* Adds @name to the modules, and to @always with what it needs when it is to be loaded at boot. */
static bool want(Composer *composer, const char *name, GPtrArray *always)
{
	if (always != NULL)
		ash_kmod_closure(composer->kmod, name, always);
	return ash_kmod_closure(composer->kmod, name, composer->modules) ||
	       ash_kmod_is_builtin(composer->kmod, name);
}

static gboolean choose_modules(Composer *composer, GPtrArray *always, GError **error)
{
	const char *const *wanted = composer->options->modules;

	for (const AshInitramfsModule *module = ash_initramfs_modules; module->name != NULL;
			module++)
		want(composer, module->name, module->is_loaded_always ? always : NULL);
	for (size_t i = 0; wanted != NULL && wanted[i] != NULL; i++) {
		if (want(composer, wanted[i], always))
			continue;
		g_autofree const char **names = ash_kmod_names(composer->kmod);
		g_autofree char *hint = ash_text_suggestion(wanted[i], names);
		return ash_throw(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_NO_MODULE,
				"kernel %s has no module '%s'%s", composer->options->kernel_release,
				wanted[i], hint);
	}
	return TRUE;
}

/* The path within the archive: plain, whatever it was in the tree. */
static char *plain_path(const char *path)
{
	const char *suffix = g_strrstr(path, ".ko");
	return suffix != NULL ? g_strndup(path, (gsize) (suffix - path) + 3) : g_strdup(path);
}

static gboolean add_module_file(Composer *composer, const AshKmodModule *module, GError **error)
{
	g_autofree char *path = g_strdup_printf("%s/%s", composer->modules_dir, module->path);
	g_autofree char *real = composer->source->resolve(composer->source->data, path);
	g_autoptr(GBytes) stored = NULL;
	g_autoptr(GBytes) plain = NULL;
	gsize size = 0;

	if (real == NULL)
		return ash_throw(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_NO_MODULE,
				"modules.dep names '%s', but the tree has no such file", path);
	ASH_PREFIX("%s", path);
	if (!composer->source->read(composer->source->data, real, MAX_MODULE_BYTES, &stored, error))
		return FALSE;
	const void *data = g_bytes_get_data(stored, &size);
	if (g_str_has_suffix(module->path, ".ko"))
		plain = g_bytes_ref(stored);
	else if (!ash_archive_decompress(data, size, MAX_MODULE_BYTES, &plain, error))
		return FALSE;
	g_autofree char *target = plain_path(path);
	return ash_cpio_add_file(composer->cpio, target, 0644, plain, error);
}

/* Soft dependencies become hard ones here: the program that loads knows of no others. They go last,
 * where what is loaded first stands.
 */
static void append_dep_line(const Composer *composer, const AshKmodModule *module, GString *text)
{
	g_autoptr(GPtrArray) chain = g_ptr_array_new();
	g_autofree char *path = plain_path(module->path);

	ash_kmod_closure(composer->kmod, module->name, chain);
	g_string_append_printf(text, "%s:", path);
	for (guint i = chain->len; i > 0; i--) {
		const AshKmodModule *dep = g_ptr_array_index(chain, i - 1);
		g_autofree char *dep_path = plain_path(dep->path);
		if (dep != module)
			g_string_append_printf(text, " %s", dep_path);
	}
	g_string_append_c(text, '\n');
}

typedef struct {
	const Composer *composer;
	GString *text;
} AliasLines;

static void append_alias_line(const char *pattern, const char *module, gpointer data)
{
	AliasLines *lines = data;
	const AshKmodModule *found = ash_kmod_find(lines->composer->kmod, module);

	for (guint i = 0; i < lines->composer->modules->len; i++)
		if (g_ptr_array_index(lines->composer->modules, i) == found)
			g_string_append_printf(lines->text, "alias %s %s\n", pattern, module);
}

static gboolean add_modules(Composer *composer, GError **error)
{
	g_autoptr(GPtrArray) always = g_ptr_array_new();
	g_autoptr(GString) dep = g_string_new(NULL);
	g_autoptr(GString) alias = g_string_new(NULL);
	g_autoptr(GString) list = g_string_new(NULL);
	g_autofree char *dep_path = g_strdup_printf("%s/modules.dep", composer->modules_dir);
	g_autofree char *alias_path = g_strdup_printf("%s/modules.alias", composer->modules_dir);
	AliasLines lines = {.composer = composer, .text = alias};

	if (!load_kmod(composer, error) || !choose_modules(composer, always, error))
		return FALSE;
	for (guint i = 0; i < composer->modules->len; i++) {
		const AshKmodModule *module = g_ptr_array_index(composer->modules, i);
		if (!add_module_file(composer, module, error))
			return FALSE;
		append_dep_line(composer, module, dep);
	}
	ash_kmod_each_alias(composer->kmod, append_alias_line, &lines);
	for (guint i = 0; i < always->len; i++) {
		const AshKmodModule *module = g_ptr_array_index(always, i);
		g_string_append_printf(list, "%s\n", module->name);
	}
	return add_text(composer->cpio, dep_path, dep->str, error) &&
	       add_text(composer->cpio, alias_path, alias->str, error) &&
	       add_text(composer->cpio, "/etc/modules", list->str, error);
}

/* ---- ostree-prepare-root and what it is linked against ---- */

typedef struct {
	char *path;      /* in the tree, and in the archive */
	const char *why; /* borrowed: the path of what needs it */
} Library;

/* /lib and /lib64 are links to below /usr, in the tree and in the archive. */
static char *below_usr(const char *path)
{
	if (g_str_has_prefix(path, "/lib"))
		return g_strconcat("/usr", path, NULL);
	return g_strdup(path);
}

/* @directory may begin with $ORIGIN; @origin is the directory of the file that says so. */
static char *expand_origin(const char *directory, const char *origin)
{
	static const char *const words[] = {"${ORIGIN}", "$ORIGIN"};

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		if (!g_str_has_prefix(directory, words[i]))
			continue;
		g_autofree char *path = g_strconcat(origin, directory + strlen(words[i]), NULL);
		return g_canonicalize_filename(path, "/");
	}
	return g_canonicalize_filename(directory, "/");
}

/* Where the dynamic linker would look: the file's own library path, then the system's directories,
 * of which the first is the one that holds the dynamic linker itself (/usr/lib/MULTIARCH).
 */
static char *find_library(const Composer *composer, const char *name, const char *needed_by,
		const AshElf *elf, const char *system_dir)
{
	const char *fallback[] = {system_dir, "/usr/lib", "/usr/lib64", NULL};
	g_autofree char *origin = g_path_get_dirname(needed_by);
	g_auto(GStrv) own = g_strsplit(elf->runpath != NULL ? elf->runpath : "", ":", -1);
	g_autoptr(GPtrArray) candidates = g_ptr_array_new_with_free_func(g_free);

	if (strchr(name, '/') != NULL)
		g_ptr_array_add(candidates, g_strdup(name));
	for (size_t i = 0; strchr(name, '/') == NULL && own[i] != NULL; i++) {
		g_autofree char *directory = expand_origin(own[i], origin);
		if (own[i][0] != '\0')
			g_ptr_array_add(candidates, g_build_filename(directory, name, NULL));
	}
	for (size_t i = 0; strchr(name, '/') == NULL && fallback[i] != NULL; i++)
		g_ptr_array_add(candidates, g_build_filename(fallback[i], name, NULL));
	for (guint i = 0; i < candidates->len; i++) {
		g_autofree char *path = below_usr(g_ptr_array_index(candidates, i));
		g_autofree char *real = composer->source->resolve(composer->source->data, path);
		if (real != NULL)
			return g_steal_pointer(&path);
	}
	return NULL;
}

static gboolean add_program_file(
		Composer *composer, const char *path, AshElf **out_elf, GError **error)
{
	const AshInitramfsSource *source = composer->source;
	g_autofree char *real = source->resolve(source->data, path);
	g_autoptr(GBytes) bytes = NULL;

	if (real == NULL)
		return ash_throw(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_NO_LIBRARY,
				"the tree has no %s", path);
	ASH_PREFIX("%s", path);
	/* Stored under the name by which it is asked for: no links, and the same path when the next
	 * version has another number. */
	return source->read(source->data, real, MAX_LIBRARY_BYTES, &bytes, error) &&
	       ash_elf_parse(bytes, out_elf, error) &&
	       ash_cpio_add_file(composer->cpio, path, 0755, bytes, error);
}

/* Adds the libraries that @elf (of the file @path) needs to @todo. */
static gboolean queue_libraries(Composer *composer, const char *path, const AshElf *elf,
		const char *interp, const char *system_dir, GPtrArray *todo, GError **error)
{
	g_autofree char *interp_name = interp != NULL ? g_path_get_basename(interp) : NULL;

	for (guint i = 0; i < elf->needed->len; i++) {
		const char *name = g_ptr_array_index(elf->needed, i);
		/* The dynamic linker is there already, by the path that the program has for it. */
		if (g_strcmp0(name, interp_name) == 0)
			continue;
		g_autofree char *library = find_library(composer, name, path, elf, system_dir);
		if (library == NULL)
			return ash_throw(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_NO_LIBRARY,
					"%s needs '%s', which the tree does not have", path, name);
		if (!g_ptr_array_find_with_equal_func(todo, library, g_str_equal, NULL))
			g_ptr_array_add(todo, g_steal_pointer(&library));
		if (todo->len > MAX_LIBRARIES)
			return ash_throw(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_TOO_BIG,
					PREPARE_ROOT " needs more than %d libraries",
					MAX_LIBRARIES);
	}
	return TRUE;
}

static gboolean add_interpreter(
		Composer *composer, const AshElf *elf, char **out_system_dir, GError **error)
{
	g_autoptr(AshElf) unused = NULL;

	if (elf->interp == NULL) {
		*out_system_dir = g_strdup("/usr/lib");
		return TRUE;
	}
	g_autofree char *path = below_usr(elf->interp);
	g_autofree char *real = composer->source->resolve(composer->source->data, path);
	if (real == NULL)
		return ash_throw(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_NO_LIBRARY,
				PREPARE_ROOT " needs '%s', which the tree does not have",
				elf->interp);
	*out_system_dir = g_path_get_dirname(real);
	return add_program_file(composer, path, &unused, error);
}

/* A tree without OSTree has no such program, and boots from a plain root. */
static gboolean add_prepare_root(Composer *composer, GError **error)
{
	static const char *const confs[] = {"/usr/lib/ostree/prepare-root.conf",
			"/etc/ostree/prepare-root.conf", "/usr/etc/ostree/prepare-root.conf"};
	g_autofree char *present = composer->source->resolve(composer->source->data, PREPARE_ROOT);
	g_autofree char *system_dir = NULL;
	g_autoptr(AshElf) program = NULL;

	if (present == NULL)
		return TRUE;
	if (!add_program_file(composer, PREPARE_ROOT, &program, error) ||
			!add_interpreter(composer, program, &system_dir, error))
		return FALSE;
	g_autoptr(GPtrArray) todo = g_ptr_array_new_with_free_func(g_free);
	if (!queue_libraries(composer, PREPARE_ROOT, program, program->interp, system_dir, todo,
			    error))
		return FALSE;
	for (guint i = 0; i < todo->len; i++) {
		g_autofree char *path = g_strdup(g_ptr_array_index(todo, i));
		g_autoptr(AshElf) elf = NULL;
		if (!add_program_file(composer, path, &elf, error) ||
				!queue_libraries(composer, path, elf, program->interp, system_dir,
						todo, error))
			return FALSE;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(confs); i++) {
		g_autoptr(GBytes) conf = NULL;
		const char *path = confs[i] + (g_str_has_prefix(confs[i], "/usr/etc") ? 4 : 0);
		if (!read_optional(composer->source, confs[i], MAX_CONF_BYTES, &conf, error))
			return FALSE;
		if (conf != NULL && !ash_cpio_has(composer->cpio, path) &&
				!ash_cpio_add_file(composer->cpio, path, 0644, conf, error))
			return FALSE;
	}
	return TRUE;
}

/* ---- the whole ---- */

static gboolean add_init(Composer *composer, GError **error)
{
	const char *path = composer->options->init_path;
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(AshElf) elf = NULL;

	if (!ash_file_read(AT_FDCWD, path, MAX_INIT_BYTES, &bytes, error))
		return FALSE;
	ASH_PREFIX("%s", path);
	if (!ash_elf_parse(bytes, &elf, error))
		return FALSE;
	if (elf->interp != NULL || elf->needed->len > 0)
		return ash_throw(error, ASH_INITRAMFS_ERROR, ASH_INITRAMFS_ERROR_NO_INIT,
				"the first program of an initramfs has to be static");
	return ash_cpio_add_file(composer->cpio, "/init", 0755, bytes, error);
}

static gboolean add_frame(AshCpio *cpio, GError **error)
{
	static const char *const dirs[] = {"/dev", "/proc", "/sys", "/run", "/sysroot", "/tmp",
			"/usr/bin", "/usr/lib", "/usr/lib64", "/usr/sbin"};
	static const char *const links[][2] = {{"/bin", "usr/bin"}, {"/lib", "usr/lib"},
			{"/lib64", "usr/lib64"}, {"/sbin", "usr/sbin"},
			{"/usr/sbin/modprobe", "../../init"}};

	for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++)
		if (!ash_cpio_add_dir(cpio, dirs[i], 0755, error))
			return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(links); i++)
		if (!ash_cpio_add_link(cpio, links[i][0], links[i][1], error))
			return FALSE;
	/* The kernel opens it for /init before anything could be mounted. */
	return ash_cpio_add_char_device(cpio, "/dev/console", 0600, 5, 1, error) &&
	       add_text(cpio, "/etc/initrd-release",
			       "ID=ashlar-initrd\nNAME=\"Ashlar initramfs\"\n", error);
}

gboolean ash_initramfs_compose_from(const AshInitramfsSource *source,
		const AshInitramfsOptions *options, GBytes **out_cpio, GError **error)
{
	ASH_PREFIX("initramfs of kernel %s", options->kernel_release);
	g_auto(Composer) composer = {
			.source = source,
			.options = options,
			.modules_dir = g_strdup_printf(
					"/usr/lib/modules/%s", options->kernel_release),
			.modules = g_ptr_array_new(),
			.cpio = ash_cpio_new(),
	};

	return add_frame(composer.cpio, error) && add_init(&composer, error) &&
	       add_modules(&composer, error) && add_prepare_root(&composer, error) &&
	       ash_cpio_finish(composer.cpio, out_cpio, error);
}
