/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "builder/commit.h"
#include "builder/esp.h"
#include "builder/ext4.h"
#include "builder/gpt.h"
#include "builder/image-arch.h"
#include "builder/image-boot.h"
#include "builder/image-tar.h"
#include "builder/sysroot.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/spawn.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_image_error, ash_image_error)

#define OBJECTS "objects/"

/* Everything that is known before the first byte is written. */
typedef struct {
	AshRepo *repo;            /* borrowed */
	const AshImageSpec *spec; /* borrowed */
	AshProgress *progress;    /* borrowed */
	const char *output_dir;
	AshTempDir *scratch; /* in output_dir, so that renaming works */
	AshCommit *commit;
	AshTree *tree;
	const AshImageArch *arch; /* NULL: no disk can be made */
	char *stem;               /* "NAME-VERSION-ARCH" */
	char *seed;               /* of every identifier on the disk */
	char *options;            /* kernel arguments without ostree= */
	char *command_line;       /* with it */
	char *kernel;             /* paths of the objects on this machine */
	char *initramfs;
	char *loader;
	char *boot_checksum;
	char *disk; /* the raw disk, once made */
	GPtrArray *files;
} Image;

static void image_clear(Image *image)
{
	g_clear_pointer(&image->scratch, ash_temp_dir_free);
	g_clear_pointer(&image->commit, ash_commit_free);
	g_clear_pointer(&image->tree, ash_tree_free);
	g_clear_pointer(&image->files, g_ptr_array_unref);
	g_free(image->stem);
	g_free(image->seed);
	g_free(image->options);
	g_free(image->command_line);
	g_free(image->kernel);
	g_free(image->initramfs);
	g_free(image->loader);
	g_free(image->boot_checksum);
	g_free(image->disk);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Image, image_clear)

void ash_image_file_free(AshImageFile *file)
{
	if (file == NULL)
		return;
	g_free(file->path);
	g_free(file->link);
	g_free(file);
}

/* ---- reading the commit -------------------------------------------------------------------- */

static void replace_empty(char **field, const char *value)
{
	if (*field != NULL && **field != '\0')
		return;
	g_free(*field);
	*field = g_strdup(value);
}

/* A commit that 'ashlar build' did not make lacks what it would have said. */
static void complete_commit(Image *image, const char *rev)
{
	g_autofree char *base = g_path_get_basename(rev);
	const char *native = ash_image_arch_native();

	replace_empty(&image->commit->name, base);
	/* Else the image of a variant would take the place of the host's own. */
	if (image->commit->variant != NULL) {
		char *name = image->commit->name;
		image->commit->name = g_strdup_printf("%s-%s", name, image->commit->variant);
		g_free(name);
	}
	replace_empty(&image->commit->version, "0");
	replace_empty(&image->commit->kind, "host");
	replace_empty(&image->commit->arch, native != NULL ? native : "unknown");
	if (image->commit->kernel_release == NULL || *image->commit->kernel_release == '\0') {
		g_free(image->commit->kernel_release);
		image->commit->kernel_release = ash_image_boot_find_kernel(image->tree);
	}
	if (image->commit->timestamp_s == 0)
		image->commit->timestamp_s = 1;
}

/* Names become parts of file names. */
static char *file_name_part(const char *text)
{
	char *part = g_strdelimit(g_strdup(text), "/ \t\n", '_');

	if (*part == '.')
		*part = '_';
	return part;
}

static gboolean open_image(Image *image, const char *rev, GError **error)
{
	g_autofree char *checksum = NULL;

	if (!ash_repo_resolve(image->repo, rev, &checksum, error) ||
			!ash_commit_load(image->repo, checksum, &image->commit, error) ||
			!ash_repo_load_tree(image->repo, checksum, &image->tree, error))
		return FALSE;
	complete_commit(image, rev);
	g_autofree char *spec_text = ash_image_spec_format(image->spec);
	g_autofree char *name = file_name_part(image->commit->name);
	g_autofree char *version = file_name_part(image->commit->version);
	g_autofree char *arch = file_name_part(image->commit->arch);
	image->arch = ash_image_arch_find(image->commit->arch);
	image->stem = g_strdup_printf("%s-%s-%s", name, version, arch);
	image->seed = g_strdup_printf("%s\n%s", checksum, spec_text);
	return ash_file_ensure_dir(AT_FDCWD, image->output_dir, 0755, error) &&
	       ash_temp_dir_new(image->output_dir, ".ashlar-image", &image->scratch, error);
}

/* The object of the file at @path, or NULL. */
static char *find_object(const Image *image, const char *path)
{
	const AshNode *node = ash_tree_resolve(image->tree, path, NULL);

	if (node == NULL || node->kind != ASH_NODE_FILE)
		return NULL;
	g_autofree char *hex = ash_sha256_format(node->csum);
	return g_strdup_printf(
			"%s/" OBJECTS "%.2s/%s.file", ash_repo_path(image->repo), hex, hex + 2);
}

static gboolean hash_file(AshSha256 *hash, const char *path, GError **error)
{
	ash_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	g_autofree uint8_t *buffer = g_malloc(1 << 17);

	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	for (;;) {
		ssize_t n = read(fd, buffer, 1 << 17);
		if (n < 0)
			return ash_throw_errno(error, "%s", path);
		if (n == 0)
			return TRUE;
		ash_sha256_update(hash, buffer, (size_t) n);
	}
}

/* As libostree computes it for a kernel in /usr/lib/modules. */
static gboolean hash_boot_files(Image *image, GError **error)
{
	g_autoptr(AshSha256) hash = ash_sha256_new();
	uint8_t digest[ASH_SHA256_BYTES];

	if (!hash_file(hash, image->kernel, error) || !hash_file(hash, image->initramfs, error))
		return FALSE;
	ash_sha256_finish(g_steal_pointer(&hash), digest);
	image->boot_checksum = ash_sha256_format(digest);
	return TRUE;
}

static gboolean find_boot_files(Image *image, GError **error)
{
	const AshCommit *commit = image->commit;
	const char *release = commit->kernel_release;

	if (image->arch == NULL)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_ARCH,
				"disk images for architecture '%s' are not known how to be made",
				commit->arch);
	if (release == NULL)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_NOT_BOOTABLE,
				"commit %.12s has no single kernel in /usr/lib/modules, so only format 'tar' can be made of it",
				commit->commit);
	g_autofree char *kernel = g_strdup_printf("/usr/lib/modules/%s/vmlinuz", release);
	g_autofree char *initramfs = g_strdup_printf("/usr/lib/modules/%s/initramfs.img", release);
	g_autofree char *loader = g_strdup_printf(
			"/usr/lib/systemd/boot/efi/systemd-boot%s.efi", image->arch->efi);
	image->kernel = find_object(image, kernel);
	image->initramfs = find_object(image, initramfs);
	image->loader = find_object(image, loader);
	if (image->kernel == NULL || image->initramfs == NULL)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_NOT_BOOTABLE,
				"commit %.12s has no %s", commit->commit,
				image->kernel == NULL ? kernel : initramfs);
	if (image->loader == NULL)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_NOT_BOOTABLE,
				"commit %.12s has no %s: add package 'systemd-boot-efi' to the manifest",
				commit->commit, loader);
	g_autofree char *link = ash_sysroot_ostree_argument(commit->commit);
	image->options = ash_image_boot_options(commit, image->spec, image->arch);
	image->command_line = g_strdup_printf("%s ostree=%s", image->options, link);
	return hash_boot_files(image, error);
}

/* ---- the disk ------------------------------------------------------------------------------ */

static gboolean list_objects(Image *image, int repo_fd, GPtrArray **out_objects, GError **error)
{
	g_autoptr(GPtrArray) objects =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_sysroot_object_free);
	g_autoptr(GPtrArray) names = NULL;

	if (!ash_repo_list_objects(image->repo, image->commit->commit, &names, error))
		return FALSE;
	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		g_autofree char *path = g_strconcat(OBJECTS, name, NULL);
		struct stat st = {0};
		if (!g_str_has_suffix(name, ".file") &&
				fstatat(repo_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return ash_throw_errno(error, "%s", path);
		g_ptr_array_add(objects, ash_sysroot_object_new(name, (uint64_t) st.st_size));
	}
	*out_objects = g_steal_pointer(&objects);
	return TRUE;
}

static gboolean plan_root(Image *image, int repo_fd, GPtrArray **out_inodes, GError **error)
{
	g_autoptr(GPtrArray) objects = NULL;
	const AshCommit *commit = image->commit;
	g_autofree char *title = g_strdup_printf("Ashlar %s %s", commit->name, commit->version);
	g_autofree char *ref = g_strdup_printf("%s/%s", commit->kind, commit->name);
	AshSysrootInput input = {
			.tree = image->tree,
			.commit = commit->commit,
			.ref = ref,
			.title = title,
			.version = commit->version,
			.kernel_release = commit->kernel_release,
			.boot_checksum = image->boot_checksum,
			.kernel_options = image->options,
			.source_prefix = OBJECTS,
	};

	if (!list_objects(image, repo_fd, &objects, error))
		return FALSE;
	input.objects = objects;
	return ash_sysroot_plan(&input, out_inodes, error);
}

enum {
	ESP,
	ROOT,
	N_PARTITIONS,
};

typedef struct {
	AshGptPartition partitions[N_PARTITIONS];
	uint64_t inode_count;
} Layout;

static void layout_clear(Layout *layout)
{
	for (int i = 0; i < N_PARTITIONS; i++)
		g_free(layout->partitions[i].uuid);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Layout, layout_clear)

static gboolean throw_too_small(
		const char *key, uint64_t have, uint64_t need, const char *why, GError **error)
{
	return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_TOO_SMALL,
			"%s is %" PRIu64 "MiB, but %s needs %" PRIu64 "MiB", key,
			have / ASH_GPT_MIB, why, need / ASH_GPT_MIB);
}

static gboolean lay_out(const Image *image, const GPtrArray *inodes, Layout *layout, GError **error)
{
	const AshImageSpec *spec = image->spec;
	AshGptPartition *esp = &layout->partitions[ESP];
	AshGptPartition *root = &layout->partitions[ROOT];
	uint64_t root_free = spec->root_bytes == 0 ? spec->root_free_bytes : 0;
	uint64_t root_need = 0;

	ash_ext4_measure(inodes, root_free, &root_need, &layout->inode_count);
	if (spec->root_bytes != 0 && spec->root_bytes < root_need)
		return throw_too_small(
				"root.size", spec->root_bytes, root_need, "its content", error);
	*esp = (AshGptPartition){
			.type = ASH_GPT_TYPE_ESP,
			.uuid = ash_gpt_uuid(image->seed, "esp partition"),
			.label = spec->esp_label,
			.start_bytes = ASH_GPT_MARGIN_BYTES,
			.size_bytes = spec->esp_bytes,
	};
	*root = (AshGptPartition){
			.type = image->arch->root_type,
			.uuid = ash_gpt_uuid(image->seed, "root partition"),
			.label = spec->root_label,
			.start_bytes = esp->start_bytes + esp->size_bytes,
			.size_bytes = spec->root_bytes != 0 ? spec->root_bytes : root_need,
	};
	uint64_t disk_need = root->start_bytes + root->size_bytes + spec->var_bytes +
			     ASH_GPT_MARGIN_BYTES;
	if (spec->disk_bytes < disk_need)
		return throw_too_small("disk.size", spec->disk_bytes, disk_need,
				"ESP, root and var.minimum together", error);
	return TRUE;
}

static void add_esp_text(GPtrArray *files, const char *path, const char *text)
{
	g_autoptr(GBytes) content = g_bytes_new(text, strlen(text));

	g_ptr_array_add(files, ash_esp_file_new(path, NULL, content));
}

static gboolean write_esp(const Image *image, const AshGptPartition *partition, GError **error)
{
	g_autoptr(GPtrArray) files =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_esp_file_free);
	const AshCommit *commit = image->commit;
	g_autofree char *efi = g_ascii_strup(image->arch->efi, -1);
	g_autofree char *fallback = g_strdup_printf("/EFI/BOOT/BOOT%s.EFI", efi);
	g_autofree char *loader =
			g_strdup_printf("/EFI/systemd/systemd-boot%s.efi", image->arch->efi);
	g_autofree char *dir = ash_image_boot_dir(commit->commit);
	g_autofree char *kernel = g_strconcat(dir, "/vmlinuz", NULL);
	g_autofree char *initramfs = g_strconcat(dir, "/initramfs.img", NULL);
	g_autofree char *entry_name = ash_image_boot_entry_name(commit);
	g_autofree char *entry_path = g_strconcat("/loader/entries/", entry_name, NULL);
	g_autofree char *entry = ash_image_boot_entry(commit, image->arch, image->command_line);
	g_autofree char *volume = ash_gpt_uuid(image->seed, "esp volume");
	AshEspOptions options = {
			.path = image->disk,
			.offset_bytes = partition->start_bytes,
			.size_bytes = partition->size_bytes,
			.volume_id = (uint32_t) g_ascii_strtoull(volume, NULL, 16),
			.time_s = commit->timestamp_s,
			.scratch = image->scratch->path,
	};

	g_ptr_array_add(files, ash_esp_file_new(fallback, image->loader, NULL));
	g_ptr_array_add(files, ash_esp_file_new(loader, image->loader, NULL));
	add_esp_text(files, "/loader/loader.conf", ash_image_boot_loader_conf);
	g_ptr_array_add(files, ash_esp_file_new(kernel, image->kernel, NULL));
	g_ptr_array_add(files, ash_esp_file_new(initramfs, image->initramfs, NULL));
	add_esp_text(files, entry_path, entry);
	return ash_esp_write(&options, files, error);
}

static gboolean write_root(const Image *image, const Layout *layout, const GPtrArray *inodes,
		int repo_fd, GError **error)
{
	const AshGptPartition *partition = &layout->partitions[ROOT];
	g_autofree char *uuid = ash_gpt_uuid(image->seed, "root file system");
	g_autofree char *hash_seed = ash_gpt_uuid(image->seed, "root hash seed");
	AshExt4Options options = {
			.path = image->disk,
			.offset_bytes = partition->start_bytes,
			.size_bytes = partition->size_bytes,
			.inode_count = MAX(layout->inode_count,
					partition->size_bytes / (32 * (uint64_t) 1024)),
			.label = image->spec->root_label,
			.uuid = uuid,
			.hash_seed = hash_seed,
			.time_s = image->commit->timestamp_s,
	};

	return ash_ext4_write(&options, inodes, repo_fd, image->progress, error);
}

static gboolean create_disk(const Image *image, GError **error)
{
	ash_autofd int fd = open(image->disk, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return ash_throw_errno(error, "%s", image->disk);
	if (ftruncate(fd, (off_t) image->spec->disk_bytes) < 0)
		return ash_throw_errno(error, "%s", image->disk);
	return TRUE;
}

/* Better said now than by a child that breaks off half-way. Each converted disk is taken to be as
 * large as its content.
 */
static gboolean check_space(
		const Image *image, const GPtrArray *inodes, const bool *formats, GError **error)
{
	static const AshImageFormat converted[] = {
			ASH_IMAGE_QCOW2, ASH_IMAGE_VMDK, ASH_IMAGE_VDI, ASH_IMAGE_VHDX};
	struct statvfs st;
	uint64_t copies = 1;
	uint64_t content = 0;

	if (fstatvfs(image->scratch->fd, &st) < 0)
		return ash_throw_errno(error, "%s", image->output_dir);
	for (size_t i = 0; i < G_N_ELEMENTS(converted); i++)
		copies += formats[converted[i]] ? 1 : 0;
	for (guint i = 0; i < inodes->len; i++)
		content += ((const AshExt4Inode *) inodes->pdata[i])->size;
	uint64_t need = content * copies;
	uint64_t have = (uint64_t) st.f_bavail * st.f_frsize;
	if (have >= need)
		return TRUE;
	g_autofree char *need_text = ash_text_size(need);
	g_autofree char *have_text = ash_text_size(have);
	errno = ENOSPC;
	return ash_throw_errno(error, "'%s' has %s free, about %s are needed", image->output_dir,
			have_text, need_text);
}

static gboolean make_disk(Image *image, const bool *formats, GError **error)
{
	g_autoptr(GPtrArray) inodes = NULL;
	g_auto(Layout) layout = {0};
	g_autofree char *disk_uuid = ash_gpt_uuid(image->seed, "disk");
	ash_autofd int repo_fd =
			open(ash_repo_path(image->repo), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (repo_fd < 0)
		return ash_throw_errno(error, "%s", ash_repo_path(image->repo));
	ash_progress_begin(image->progress, "disk", "writing the disk");
	image->disk = g_build_filename(image->scratch->path, "disk.raw", NULL);
	if (!plan_root(image, repo_fd, &inodes, error) ||
			!check_space(image, inodes, formats, error) ||
			!lay_out(image, inodes, &layout, error) || !create_disk(image, error) ||
			!ash_gpt_write(image->disk, disk_uuid, layout.partitions, N_PARTITIONS,
					error) ||
			!write_esp(image, &layout.partitions[ESP], error) ||
			!write_root(image, &layout, inodes, repo_fd, error))
		return FALSE;
	g_autofree char *size = ash_text_size(layout.partitions[ROOT].size_bytes);
	ash_progress_end(image->progress, "%u inodes, root of %s", inodes->len, size);
	return TRUE;
}

/* ---- results ------------------------------------------------------------------------------- */

/* Gives the finished file its name, then the link. */
static gboolean publish(Image *image, AshImageFormat format, const char *temporary,
		const char *extension, GError **error)
{
	g_autofree char *name = g_strdup_printf("%s.%s", image->stem, extension);
	g_autofree char *short_name = file_name_part(image->commit->name);
	g_autofree char *new_link = g_build_filename(image->scratch->path, "link", NULL);
	AshImageFile *file = g_new0(AshImageFile, 1);
	struct stat st;

	g_ptr_array_add(image->files, file);
	file->format = format;
	file->path = g_build_filename(image->output_dir, name, NULL);
	file->link = g_strdup_printf("%s/%s.%s", image->output_dir, short_name, extension);
	ash_autofd int fd = open(temporary, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0 || fstat(fd, &st) < 0)
		return ash_throw_errno(error, "%s", temporary);
	file->size_bytes = (uint64_t) st.st_size;
	file->disk_bytes = (uint64_t) st.st_blocks * 512;
	if (rename(temporary, file->path) < 0)
		return ash_throw_errno(error, "%s", file->path);
	if (symlink(name, new_link) < 0 || rename(new_link, file->link) < 0)
		return ash_throw_errno(error, "%s", file->link);
	return ash_file_sync_parent(AT_FDCWD, file->path, error);
}

static gboolean convert(Image *image, AshImageFormat format, GError **error)
{
	static const char *const options[ASH_IMAGE_N_FORMATS] = {
			[ASH_IMAGE_QCOW2] = "compression_type=zstd",
			[ASH_IMAGE_VMDK] = "subformat=streamOptimized",
			[ASH_IMAGE_VHDX] = "subformat=dynamic",
	};
	const char *name = ash_image_format_name(format);
	g_autofree char *text = g_strdup_printf("converting to %s", name);
	g_autofree char *target = g_build_filename(image->scratch->path, name, NULL);
	const char *argv[16] = {"qemu-img", "convert", "-q", "-f", "raw", "-O", name};
	size_t n = 7;
	AshSpawn spawn = {.argv = argv, .timeout_ms = 1800000};

	ash_progress_begin(image->progress, name, text);
	if (format == ASH_IMAGE_QCOW2)
		argv[n++] = "-c";
	if (options[format] != NULL) {
		argv[n++] = "-o";
		argv[n++] = options[format];
	}
	argv[n++] = image->disk;
	argv[n++] = target;
	if (!ash_spawn_run(&spawn, NULL, error))
		return FALSE;
	return publish(image, format, target, name, error);
}

static gboolean make_tar(Image *image, GError **error)
{
	g_autofree char *target = g_build_filename(image->scratch->path, "tar", NULL);
	g_autoptr(AshTree) tree = ash_tree_copy(image->tree);
	ash_autofd int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	ash_progress_begin(image->progress, "tar", "writing the archive");
	if (fd < 0)
		return ash_throw_errno(error, "%s", target);
	return ash_image_tar_write(image->repo, tree, image->commit->timestamp_s, fd, error) &&
	       publish(image, ASH_IMAGE_TAR, target, "tar", error);
}

static gboolean copy_to_scratch(const Image *image, const char *source, const char *name,
		char **out, GError **error)
{
	g_autofree char *path = g_build_filename(image->scratch->path, name, NULL);
	ash_autofd int from = open(source, O_RDONLY | O_CLOEXEC);
	ash_autofd int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (from < 0 || to < 0)
		return ash_throw_errno(error, "%s", from < 0 ? source : path);
	if (!ash_file_copy_fd(from, to, error))
		return FALSE;
	*out = g_steal_pointer(&path);
	return TRUE;
}

/* They boot the disk's root file system, without its boot loader. */
static gboolean make_kernel(Image *image, GError **error)
{
	g_autofree char *kernel = NULL;
	g_autofree char *initramfs = NULL;
	g_autofree char *line = g_strconcat(image->command_line, "\n", NULL);
	g_autofree char *cmdline = g_build_filename(image->scratch->path, "cmdline", NULL);

	ash_progress_begin(image->progress, "kernel", "copying the kernel and its initramfs");
	return copy_to_scratch(image, image->kernel, "kernel", &kernel, error) &&
	       copy_to_scratch(image, image->initramfs, "initramfs", &initramfs, error) &&
	       ash_file_replace(AT_FDCWD, cmdline, line, strlen(line), 0644, error) &&
	       publish(image, ASH_IMAGE_KERNEL, kernel, "vmlinuz", error) &&
	       publish(image, ASH_IMAGE_KERNEL, initramfs, "initramfs.img", error) &&
	       publish(image, ASH_IMAGE_KERNEL, cmdline, "cmdline", error);
}

static gboolean make_one(Image *image, AshImageFormat format, GError **error)
{
	switch (format) {
	case ASH_IMAGE_RAW:
		/* Last of the disk formats, for the disk itself goes. */
		return publish(image, format, image->disk, "raw", error);
	case ASH_IMAGE_TAR:
		return make_tar(image, error);
	case ASH_IMAGE_KERNEL:
		return make_kernel(image, error);
	case ASH_IMAGE_QCOW2:
	case ASH_IMAGE_VMDK:
	case ASH_IMAGE_VDI:
	case ASH_IMAGE_VHDX:
		return convert(image, format, error);
	case ASH_IMAGE_N_FORMATS:
	default:
		g_assert_not_reached();
	}
}

gboolean ash_image_build(AshRepo *repo, const char *rev, const AshImageSpec *spec,
		const bool *formats, const char *output_dir, AshProgress *progress,
		GPtrArray **out_files, GError **error)
{
	static const AshImageFormat order[] = {ASH_IMAGE_QCOW2, ASH_IMAGE_VMDK, ASH_IMAGE_VDI,
			ASH_IMAGE_VHDX, ASH_IMAGE_RAW, ASH_IMAGE_TAR, ASH_IMAGE_KERNEL};
	g_auto(Image) image = {
			.repo = repo, .spec = spec, .progress = progress, .output_dir = output_dir};
	bool needs_disk = false;

	image.files = g_ptr_array_new_with_free_func((GDestroyNotify) ash_image_file_free);
	for (int i = 0; i < ASH_IMAGE_N_FORMATS; i++)
		needs_disk = needs_disk ||
			     (formats[i] && i != ASH_IMAGE_TAR && i != ASH_IMAGE_KERNEL);
	if (!open_image(&image, rev, error))
		return FALSE;
	if ((needs_disk || formats[ASH_IMAGE_KERNEL]) && !find_boot_files(&image, error))
		return FALSE;
	if (needs_disk && !make_disk(&image, formats, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
		if (!formats[order[i]])
			continue;
		if (!make_one(&image, order[i], error))
			return FALSE;
		const AshImageFile *file = image.files->pdata[image.files->len - 1];
		g_autofree char *size = ash_text_size(file->disk_bytes);
		ash_progress_end(progress, "%s, %s", file->path, size);
	}
	*out_files = g_steal_pointer(&image.files);
	return TRUE;
}
