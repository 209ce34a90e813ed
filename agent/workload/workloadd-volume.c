/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/workload/workloadd.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/spawn.h"
#include "lib/text.h"

/* Volumes: image files with ext4, so that what is written stays within the size that was granted. Made once, under
 * another name until they are whole; grown when a version asks for more, never shrunk; removed by `remove
 * --volumes` alone.
 */

enum {
	TOOL_TIMEOUT_MS = 10 * 60 * 1000,
};

bool ash_workload_is_vm(const AshWorkload *workload)
{
	return workload->isolation == ASH_ISOLATION_CLASS_VM ||
	       workload->isolation == ASH_ISOLATION_CLASS_VM_EMULATED;
}

static char *image_path(const AshRun *run, const AshWorkloadVolume *volume)
{
	return ash_workloadd_path(run->unit->daemon, ASH_WORKLOADD_VOLUMES "/%s/%s.img", run->name,
			volume->name);
}

static char *mount_path(const AshRun *run, const AshWorkloadVolume *volume)
{
	return ash_workloadd_path(
			run->unit->daemon, ASH_WORKLOADD_MOUNTS "/%s/%s", run->name, volume->name);
}

/* ---- space ---- */

/* What all volumes may still grow into: the file system has to have it, or it was promised twice. */
static uint64_t promised(const char *dir)
{
	g_autoptr(GDir) instances = g_dir_open(dir, 0, NULL);
	uint64_t bytes = 0;
	const char *instance;

	while (instances != NULL && (instance = g_dir_read_name(instances)) != NULL) {
		g_autofree char *path = g_build_filename(dir, instance, NULL);
		g_autoptr(GDir) volumes = g_dir_open(path, 0, NULL);
		const char *name;
		while (volumes != NULL && (name = g_dir_read_name(volumes)) != NULL) {
			g_autofree char *file = g_build_filename(path, name, NULL);
			struct stat status;
			if (lstat(file, &status) < 0)
				continue;
			uint64_t used = (uint64_t) status.st_blocks * 512;
			uint64_t size = (uint64_t) status.st_size;
			bytes += size > used ? size - used : 0;
		}
	}
	return bytes;
}

static gboolean check_space(const AshWorkloadd *daemon, uint64_t more, GError **error)
{
	g_autofree char *dir = ash_workloadd_path(daemon, ASH_WORKLOADD_VOLUMES);
	struct statvfs vfs;

	if (more == 0)
		return TRUE;
	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0700, error))
		return FALSE;
	if (statvfs(dir, &vfs) < 0)
		return ash_throw_errno(error, "%s", dir);
	uint64_t there = (uint64_t) vfs.f_bavail * vfs.f_frsize;
	uint64_t taken = promised(dir);
	if (taken + more <= there)
		return TRUE;
	g_autofree char *text_more = ash_text_size(more);
	g_autofree char *text_taken = ash_text_size(taken);
	g_autofree char *text_there = ash_text_size(there);
	return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_FULL,
			"no room for %s more; %s are free, of which other volumes may grow into %s",
			text_more, text_there, text_taken);
}

uint64_t ash_workloadd_volume_bytes(
		const AshWorkloadd *daemon, const char *instance, const char *volume)
{
	g_autofree char *image = ash_workloadd_path(
			daemon, ASH_WORKLOADD_VOLUMES "/%s/%s.img", instance, volume);
	struct stat status;

	return stat(image, &status) == 0 ? (uint64_t) status.st_size : 0;
}

gboolean ash_workloadd_has_room(
		const AshWorkloadd *daemon, const AshWorkload *workload, GError **error)
{
	uint64_t more = 0;

	for (uint32_t n = 1; n <= workload->instances; n++) {
		g_autofree char *instance = n == 1 ? g_strdup(workload->name)
						   : g_strdup_printf("%s@%u", workload->name, n);
		for (guint i = 0; i < workload->volumes->len; i++) {
			const AshWorkloadVolume *volume = workload->volumes->pdata[i];
			uint64_t size = ash_workloadd_volume_bytes(daemon, instance, volume->name);
			more += volume->size_bytes > size ? volume->size_bytes - size : 0;
		}
	}
	ASH_PREFIX("volumes");
	return check_space(daemon, more, error);
}

/* ---- making and growing ---- */

static gboolean set_size(const char *path, int flags, uint64_t bytes, GError **error)
{
	ash_autofd int fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || ftruncate(fd, (off_t) bytes) < 0 || fsync(fd) < 0)
		return ash_throw_errno(error, "%s", path);
	return TRUE;
}

static gboolean make_image(const AshRun *run, const AshWorkloadVolume *volume, const char *image,
		uint32_t uid, uint32_t gid, GError **error)
{
	g_autofree char *new_image = g_strconcat(image, ".new", NULL);
	g_autofree char *owner = g_strdup_printf("root_owner=%u:%u", uid, gid);
	g_autofree char *dir = g_path_get_dirname(image);

	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0700, error) ||
			!check_space(run->unit->daemon, volume->size_bytes, error) ||
			!ash_file_remove_tree(AT_FDCWD, new_image, error) ||
			!set_size(new_image, O_CREAT | O_EXCL, volume->size_bytes, error) ||
			!ash_spawn_simple(error, "mkfs.ext4", "-q", "-F", "-m", "0", "-E", owner,
					new_image, NULL))
		return FALSE;
	ash_autofd int fd = open(new_image, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fsync(fd) < 0 || rename(new_image, image) < 0)
		return ash_throw_errno(error, "%s", image);
	return ash_file_sync_parent(AT_FDCWD, image, error);
}

static gboolean check_file_system(const char *image, const char *name, GError **error)
{
	const char *argv[] = {"e2fsck", "-p", image, NULL};
	const AshSpawn spawn = {.argv = argv, .timeout_ms = TOOL_TIMEOUT_MS};
	int code = 0;

	/* 1: it was mended. */
	if (!ash_spawn_run_status(&spawn, NULL, &code, error))
		return FALSE;
	return code <= 1 ? TRUE
			 : ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_HELD,
					   "volume '%s' is damaged: look at it with 'e2fsck -f %s'",
					   name, image);
}

static gboolean grow(const AshRun *run, const AshWorkloadVolume *volume, const char *image,
		GError **error)
{
	struct stat status;

	if (stat(image, &status) < 0)
		return ash_throw_errno(error, "%s", image);
	uint64_t size = (uint64_t) status.st_size;
	/* Also when it was grown and the power went before resize2fs did its part: that costs little. */
	if (size < volume->size_bytes &&
			(!check_space(run->unit->daemon, volume->size_bytes - size, error) ||
					!set_size(image, 0, volume->size_bytes, error)))
		return FALSE;
	return ash_spawn_simple(error, "resize2fs", "-f", image, NULL);
}

static gboolean needs_growth(const char *image, const AshWorkloadVolume *volume)
{
	struct stat status;

	return stat(image, &status) == 0 && (uint64_t) status.st_size < volume->size_bytes;
}

/* ---- mounting ---- */

static bool is_mounted(const char *path)
{
	g_autofree char *parent = g_path_get_dirname(path);
	struct stat own, above;

	return stat(path, &own) == 0 && stat(parent, &above) == 0 && own.st_dev != above.st_dev;
}

static gboolean mount_image(const char *image, const char *path, GError **error)
{
	return ash_file_ensure_dir(AT_FDCWD, path, 0700, error) &&
	       ash_spawn_simple(error, "mount", "-t", "ext4", "-o", "loop,nosuid,nodev", image,
			       path, NULL);
}

static gboolean mount_one(AshRun *run, const AshWorkload *workload, const AshWorkloadVolume *volume,
		uint32_t uid, uint32_t gid, GError **error)
{
	g_autofree char *image = image_path(run, volume);
	g_autofree char *path = mount_path(run, volume);
	bool is_there = false;

	ASH_PREFIX("volume '%s'", volume->name);
	if (is_mounted(path))
		return TRUE;
	if (!ash_file_exists(AT_FDCWD, image, &is_there, error))
		return FALSE;
	/* In a machine users are not shifted, and its first process hands over what is root's. */
	bool is_vm = ash_workload_is_vm(workload);
	if (!is_there && !make_image(run, volume, image, is_vm ? 0 : uid, is_vm ? 0 : gid, error))
		return FALSE;
	if (is_there && (!check_file_system(image, volume->name, error) ||
					(needs_growth(image, volume) &&
							!grow(run, volume, image, error))))
		return FALSE;
	if (!is_vm)
		return mount_image(image, path, error);
	/* QEMU runs as that user, and gets it by descriptor. */
	if (chown(image, uid, gid) < 0)
		return ash_throw_errno(error, "chown %s", image);
	return TRUE;
}

gboolean ash_run_mount(AshRun *run, const AshWorkload *workload, uint32_t uid, uint32_t gid,
		GError **error)
{
	g_autofree char *dir = ash_workloadd_path(run->unit->daemon, ASH_WORKLOADD_VOLUMES);

	if (workload->volumes->len == 0)
		return TRUE;
	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0700, error))
		return FALSE;
	for (guint i = 0; i < workload->volumes->len; i++)
		if (!mount_one(run, workload, workload->volumes->pdata[i], uid, gid, error))
			return FALSE;
	return TRUE;
}

static void unmount_below(const char *dir)
{
	g_autoptr(GDir) volumes = g_dir_open(dir, 0, NULL);
	const char *name;

	while (volumes != NULL && (name = g_dir_read_name(volumes)) != NULL) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		/* Somebody may still look at it from another namespace: then it goes with him. */
		if (is_mounted(path) && umount2(path, UMOUNT_NOFOLLOW) < 0 &&
				umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			g_warning("%s: %s", path, g_strerror(errno));
		else if (rmdir(path) < 0)
			g_message("%s: %s", path, g_strerror(errno));
	}
	if (rmdir(dir) < 0 && errno != ENOENT)
		g_message("%s: %s", dir, g_strerror(errno));
}

void ash_run_unmount(AshRun *run)
{
	g_autofree char *dir = ash_workloadd_path(
			run->unit->daemon, ASH_WORKLOADD_MOUNTS "/%s", run->name);

	unmount_below(dir);
}

/* ---- removing ---- */

bool ash_workloadd_has_volumes(const AshWorkloadd *daemon, const char *instance)
{
	g_autofree char *dir = ash_workloadd_path(daemon, ASH_WORKLOADD_VOLUMES "/%s", instance);

	return access(dir, F_OK) == 0;
}

gboolean ash_workloadd_remove_volumes(AshWorkloadd *daemon, const char *name, GError **error)
{
	for (guint i = 0; i < ASH_WORKLOAD_MAX_INSTANCES; i++) {
		g_autofree char *instance = ash_unit_instance(name, i);
		g_autofree char *mounts =
				ash_workloadd_path(daemon, ASH_WORKLOADD_MOUNTS "/%s", instance);
		g_autofree char *dir =
				ash_workloadd_path(daemon, ASH_WORKLOADD_VOLUMES "/%s", instance);
		unmount_below(mounts);
		if (!ash_file_remove_tree(AT_FDCWD, dir, error))
			return FALSE;
	}
	return TRUE;
}
