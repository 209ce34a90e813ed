/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/initrd.h"

enum {
	MAX_PATH = 4096,
	POLL_MS = 20,
};

/* The disk of that serial number, as soon as it is there. */
static void find_disk(const char *serial, char *out_path, size_t size)
{
	int64_t deadline = ash_initrd_now_ms() + ASH_GUEST_DISK_TIMEOUT_MS;

	for (;; usleep(POLL_MS * 1000)) {
		DIR *disks = opendir("/sys/block");
		for (struct dirent *disk; disks && (disk = readdir(disks));) {
			char path[512], found[64] = "";
			snprintf(path, sizeof path, "/sys/block/%s/serial", disk->d_name);
			if (!ash_initrd_read_line(path, found, sizeof found) ||
					strcmp(found, serial) != 0)
				continue;
			snprintf(out_path, size, "/dev/%s", disk->d_name);
			closedir(disks);
			return;
		}
		if (disks)
			closedir(disks);
		if (ash_initrd_now_ms() > deadline)
			ash_initrd_fail("the disk '%s' does not come", serial);
	}
}

static void mount_or_fail(const char *what, const char *where, const char *type,
		unsigned long flags, const char *data)
{
	if (mount(what, where, type, flags, data) < 0)
		ash_initrd_fail("cannot mount %s (%s) at %s: %s", what, type, where,
				strerror(errno));
}

static void mount_disk(const char *serial, const char *where, bool is_read_only)
{
	char disk[300];

	find_disk(serial, disk, sizeof disk);
	mount_or_fail(disk, where, "ext4", MS_NODEV | (is_read_only ? MS_RDONLY : MS_NOSUID),
			is_read_only ? "noload" : "errors=remount-ro");
}

static void write_lines(const char *path, const char *prefix, char *const *lines, unsigned n)
{
	FILE *file = fopen(path, "we");

	if (!file)
		ash_initrd_fail("cannot write %s: %s", path, strerror(errno));
	for (unsigned i = 0; i < n; i++)
		fprintf(file, "%s%s\n", prefix, lines[i]);
	if (fclose(file) != 0)
		ash_initrd_fail("cannot write %s: %s", path, strerror(errno));
}

/* The image has to have what something is mounted upon: its root cannot be written to. */
static void bind_file(const char *from, const char *to)
{
	char target[MAX_PATH];

	snprintf(target, sizeof target, "/root%s", to);
	mount_or_fail(from, target, NULL, MS_BIND, NULL);
	if (mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		ash_initrd_fail("cannot make %s read-only: %s", to, strerror(errno));
}

static bool is_there(const char *path)
{
	char target[MAX_PATH];

	snprintf(target, sizeof target, "/root%s", path);
	return access(target, F_OK) == 0;
}

static void mount_kernel_file_systems(const AshGuest *guest)
{
	char data[64];

	mount_or_fail("proc", "/root/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	if (is_there("/sys"))
		mount_or_fail("sysfs", "/root/sys", "sysfs",
				MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL);
	if (is_there("/run"))
		mount_or_fail("tmpfs", "/root/run", "tmpfs", MS_NOSUID | MS_NODEV,
				"mode=0755,size=16m");
	snprintf(data, sizeof data, "mode=1777,size=%llu",
			(unsigned long long) (guest->tmp_bytes ? guest->tmp_bytes : 1 << 20));
	if (is_there("/tmp"))
		mount_or_fail("tmpfs", "/root/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
				data);
}

/* A mount point below a tmpfs of ours can be made. */
static void make_target(const char *path, bool is_dir)
{
	char target[MAX_PATH];

	if (strncmp(path, "/run/", 5) != 0 && strncmp(path, "/tmp/", 5) != 0)
		return;
	snprintf(target, sizeof target, "/root%s", path);
	for (char *slash = strchr(target + strlen("/root/"), '/'); slash;
			slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(target, 0755);
		*slash = '/';
	}
	if (is_dir)
		mkdir(target, 0755);
	else {
		int fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd >= 0)
			close(fd);
	}
}

/* A volume that nobody used yet is root's; from now on it is the user's. */
static void hand_over(const AshGuest *guest, const AshGuestVolume *volume, const char *target)
{
	struct stat info;

	if (volume->is_read_only || stat(target, &info) < 0 || info.st_uid != 0)
		return;
	if (chown(target, guest->uid, guest->gid) < 0)
		ash_initrd_fail("%s: %s", volume->path, strerror(errno));
}

static void mount_granted(const AshGuest *guest)
{
	for (unsigned i = 0; i < guest->n_volumes; i++) {
		char target[MAX_PATH];
		make_target(guest->volumes[i].path, true);
		snprintf(target, sizeof target, "/root%s", guest->volumes[i].path);
		mount_disk(guest->volumes[i].serial, target, guest->volumes[i].is_read_only);
		hand_over(guest, &guest->volumes[i], target);
	}
	for (unsigned i = 0; i < guest->n_files; i++) {
		char from[MAX_PATH];
		make_target(guest->files[i].path, false);
		snprintf(from, sizeof from, "/files/%s", guest->files[i].name);
		if (chown(from, guest->uid, guest->gid) < 0 || chmod(from, 0400) < 0)
			ash_initrd_fail("%s: %s", from, strerror(errno));
		bind_file(from, guest->files[i].path);
	}
}

static void mount_names(const AshGuest *guest)
{
	mkdir("/files", 0755);
	if (guest->n_hosts > 0 && is_there("/etc/hosts")) {
		write_lines("/files/.hosts", "", guest->hosts, guest->n_hosts);
		bind_file("/files/.hosts", "/etc/hosts");
	}
	if (guest->n_nameservers > 0 && is_there("/etc/resolv.conf")) {
		write_lines("/files/.resolv", "nameserver ", guest->nameservers,
				guest->n_nameservers);
		bind_file("/files/.resolv", "/etc/resolv.conf");
	}
}

/* As in a container: the disks and the control port are not the command's business. */
static void make_devices(void)
{
	static const struct {
		const char *name;
		unsigned minor_;
		mode_t mode;
	} nodes[] = {{"null", 3, 0666}, {"zero", 5, 0666}, {"full", 7, 0666}, {"random", 8, 0666},
			{"urandom", 9, 0666}};
	static const char *const links[][2] = {{"fd", "/proc/self/fd"},
			{"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
			{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"}};
	static const char *const kept[] = {"pts", "shm"};
	char path[64], from[64];

	mount_or_fail("tmpfs", "/root/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k");
	for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
		snprintf(path, sizeof path, "/root/dev/%s", nodes[i].name);
		if (mknod(path, S_IFCHR | nodes[i].mode, makedev(1, nodes[i].minor_)) < 0 ||
				chmod(path, nodes[i].mode) < 0)
			ash_initrd_fail("%s: %s", path, strerror(errno));
	}
	for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
		snprintf(path, sizeof path, "/root/dev/%s", links[i][0]);
		if (symlink(links[i][1], path) < 0)
			ash_initrd_fail("%s: %s", path, strerror(errno));
	}
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
		snprintf(path, sizeof path, "/root/dev/%s", kept[i]);
		snprintf(from, sizeof from, "/dev/%s", kept[i]);
		if (mkdir(path, 0755) < 0 || mount(from, path, NULL, MS_MOVE, NULL) < 0)
			ash_initrd_fail("%s: %s", path, strerror(errno));
	}
}

static void mount_devices(const AshGuest *guest)
{
	if (!guest->is_booted)
		make_devices();
	else if (mount("/dev", "/root/dev", NULL, MS_MOVE, NULL) < 0)
		ash_initrd_fail("cannot move /dev: %s", strerror(errno));
}

void ash_guest_mount(const AshGuest *guest)
{
	mkdir("/root", 0755);
	mount_disk("root", "/root", true);
	mount_kernel_file_systems(guest);
	mount_names(guest);
	mount_granted(guest);
	mount_devices(guest);
	if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
			chdir("/") < 0)
		ash_initrd_fail("cannot make the image's tree the root: %s", strerror(errno));
}

void ash_guest_unmount(const AshGuest *guest)
{
	sync();
	for (unsigned i = guest->n_volumes; i-- > 0;)
		if (umount2(guest->volumes[i].path, 0) < 0)
			ash_initrd_log(ASH_INITRD_WARNING, "%s: %s", guest->volumes[i].path,
					strerror(errno));
	sync();
}
