/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/workload/qemu-private.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/spawn.h"

enum {
	BLOCK_BYTES = 4096,
	INODE_BYTES = 256,
	SLACK_BYTES = 4 << 20, /* tables, bitmaps, the lost+found directory */
	MAX_DEPTH_FDS = 32,
	MAKE_TIMEOUT_MS = 30 * 60 * 1000,
};

static struct {
	uint64_t blocks, inodes;
	GHashTable *links; /* inodes of files with several names */
} tally;

/* nftw() has no argument for us; the launcher has one thread. */
static int count(const char *path, const struct stat *info, int kind, struct FTW *at)
{
	(void) path, (void) kind, (void) at;
	/* Of links mke2fs makes one each, also of those that share an inode here. */
	if (info->st_nlink > 1 && !S_ISDIR(info->st_mode) && !S_ISLNK(info->st_mode) &&
			!g_hash_table_add(tally.links, g_memdup2(&(gint64){(gint64) info->st_ino},
								       sizeof(gint64))))
		return 0;
	tally.inodes++;
	tally.blocks += ((uint64_t) info->st_size + BLOCK_BYTES - 1) / BLOCK_BYTES;
	if (S_ISDIR(info->st_mode))
		tally.blocks++;
	return 0;
}

/* Blocks with a tenth more: extents and attributes that do not fit their inodes. */
static gboolean measure(
		const char *root, uint64_t *out_blocks, uint64_t *out_inodes, GError **error)
{
	tally.blocks = tally.inodes = 0;
	tally.links = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	int result = nftw(root, count, MAX_DEPTH_FDS, FTW_PHYS | FTW_MOUNT);
	g_clear_pointer(&tally.links, g_hash_table_unref);
	if (result != 0)
		return ash_throw_errno(error, "%s", root);
	*out_inodes = tally.inodes + 16;
	*out_blocks = tally.blocks * 11 / 10 +
		      (*out_inodes * INODE_BYTES + SLACK_BYTES) / BLOCK_BYTES;
	return TRUE;
}

/* Only a whole image, on the disk, gets the name that is looked for. */
static gboolean make(const char *root, const char *path, GError **error)
{
	uint64_t blocks = 0, inodes = 0;
	g_autofree char *temporary = g_strconcat(path, ".new", NULL);

	if (!measure(root, &blocks, &inodes, error))
		return FALSE;
	if (unlink(temporary) < 0 && errno != ENOENT)
		return ash_throw_errno(error, "%s", temporary);
	g_autofree char *blocks_text = g_strdup_printf("%" G_GUINT64_FORMAT, blocks);
	g_autofree char *inodes_text = g_strdup_printf("%" G_GUINT64_FORMAT, inodes);
	/* Features by name: what a host's mke2fs.conf says does not matter. */
	const char *argv[] = {"mke2fs", "-q", "-F", "-b", "4096", "-m", "0", "-I", "256", "-O",
			"none,extent,flex_bg,sparse_super,large_file,huge_file,dir_index,dir_nlink,"
			"extra_isize,filetype,ext_attr,metadata_csum",
			"-E", "lazy_itable_init=1", "-N", inodes_text, "-L", "ashlar-image", "-d",
			root, temporary, blocks_text, NULL};
	const char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "MKE2FS_CONFIG=/dev/null", NULL};
	const AshSpawn spawn = {.argv = argv, .env = env, .timeout_ms = MAKE_TIMEOUT_MS};
	if (!ash_spawn_run(&spawn, NULL, error))
		return FALSE;
	ash_autofd int fd = open(temporary, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return ash_throw_errno(error, "%s", temporary);
	if (rename(temporary, path) < 0)
		return ash_throw_errno(error, "%s", path);
	return ash_file_sync_parent(AT_FDCWD, path, error);
}

gboolean ash_qemu_disk_root(const AshLaunch *launch, int *out_fd, GError **error)
{
	g_autofree char *path =
			g_strdup_printf("%s/guest-%s.ext4", launch->cache, launch->image_digest);
	g_autofree char *lock_path = g_strconcat(path, ".lock", NULL);

	ASH_PREFIX("the image as a disk");
	if (!ash_file_ensure_dir(AT_FDCWD, launch->cache, 0700, error))
		return FALSE;
	/* Two instances that start at once make it once. */
	ash_autofd int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return ash_throw_errno(error, "%s", lock_path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT) {
		if (!make(launch->root, path, error))
			return FALSE;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	*out_fd = fd;
	return TRUE;
}

static gboolean add_volume(const AshLaunchBind *bind, AshQemuSetup *setup, GError **error)
{
	int flags = bind->is_read_only ? O_RDONLY : O_RDWR;

	if (setup->disks->len >= ASH_QEMU_MAX_DISKS)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"more than %d disks", ASH_QEMU_MAX_DISKS);
	AshQemuDisk disk = {
			.fd = open(bind->source, flags | O_CLOEXEC | O_NOFOLLOW),
			.is_read_only = bind->is_read_only,
	};
	if (disk.fd < 0)
		return ash_throw_errno(error, "%s", bind->source);
	disk.serial = g_strdup_printf("volume%u", setup->disks->len);
	disk.path = g_strdup(bind->target);
	g_array_append_val(setup->disks, disk);
	return TRUE;
}

const AshLaunchBind *ash_qemu_find_channel(const AshLaunch *launch)
{
	for (guint i = 0; i < launch->binds->len; i++) {
		const AshLaunchBind *bind = launch->binds->pdata[i];
		if (!bind->is_file && strcmp(bind->target, ASH_LAUNCH_CHANNEL) == 0)
			return bind;
	}
	return NULL;
}

gboolean ash_qemu_disk_add(const AshLaunch *launch, AshQemuSetup *setup, GError **error)
{
	const AshLaunchBind *channel = ash_qemu_find_channel(launch);

	if (launch->devices && launch->devices[0])
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"devices: %s: a device of the host cannot be in a virtual machine: run it as a container",
				launch->devices[0]);
	if (channel && launch->machine.contract != ASH_MACHINE_HOST_KERNEL)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"requires, heartbeat: a machine with a kernel of its own has no " ASH_LAUNCH_CHANNEL
				": leave 'machine' away, or run it as a container");
	for (guint i = 0; i < launch->binds->len; i++) {
		const AshLaunchBind *bind = launch->binds->pdata[i];
		struct stat info;
		if (bind == channel)
			continue;
		if (stat(bind->source, &info) < 0)
			return ash_throw_errno(error, "%s", bind->source);
		if (!S_ISREG(info.st_mode))
			return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
					"%s: a %s of the host cannot be in a virtual machine at %s: give it a volume or a file, use a call in place of a socket, or run it as a container",
					bind->source,
					S_ISSOCK(info.st_mode) ? "socket" : "directory",
					bind->target);
		if (!bind->is_file && g_str_has_suffix(bind->source, ".img") &&
				!add_volume(bind, setup, error))
			return FALSE;
	}
	return TRUE;
}
