/* SPDX-License-Identifier: Apache-2.0 */
/* What a workload might try, one probe each, run inside by tests/system/workload-escape.sh. Static, libc only.
 *
 *	escape [NAME…]     a line each: "NAME open" when it got through, "NAME closed"
 *	escape --count     how many there are
 *	escape --exhaust   "NAME N" for forks, descriptors, inodes, kilobytes, shared, terminals: how much it could take
 *	escape --is-raised ends with 0 if it has more than who started it
 *
 * ESCAPE_MARK: a file of the host; ESCAPE_HOST: its name; ESCAPE_ABSTRACT: an abstract socket that listens there;
 * ESCAPE_FILE: a path that a grant may show; ESCAPE_SETUID: this program, as a set-uid file of root's. Nothing is changed where a probe gets through: what is asked is
 * refused later than by the right to ask.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct {
	const char *name;
	bool (*probe)(void);
} Probe;

/* The right to ask was there, whatever came of it. */
static bool passed(long result)
{
	return result >= 0 || (errno != EPERM && errno != EACCES && errno != ENOSYS &&
					      errno != EROFS && errno != ENOENT);
}

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value != NULL ? value : "/nothing";
}

/* ---- out of the root ----------------------------------------------------------------------------- */

static bool probe_mark(void)
{
	return access(setting("ESCAPE_MARK"), F_OK) == 0;
}

static bool probe_chroot_escape(void)
{
	(void) !mkdir("/tmp/jail", 0700);
	if (chroot("/tmp/jail") < 0)
		return false;
	for (int i = 0; i < 64; i++)
		(void) !chdir("..");
	return chroot(".") == 0 && probe_mark();
}

static bool probe_chroot(void)
{
	return chroot("/tmp") == 0;
}

static bool probe_descriptors(void)
{
	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return true;
	return false;
}

static bool probe_first_root(void)
{
	char path[4096];

	snprintf(path, sizeof path, "/proc/1/root%s", setting("ESCAPE_MARK"));
	return access(path, F_OK) == 0;
}

static bool probe_first_exe(void)
{
	return opens("/proc/1/exe", O_WRONLY) || opens("/proc/self/exe", O_RDWR);
}

static bool probe_first_mem(void)
{
	return opens("/proc/1/mem", O_RDWR);
}

static bool probe_handle(void)
{
	struct {
		struct file_handle handle;
		char room[128];
	} name = {.handle.handle_bytes = 8, .handle.handle_type = 1};

	name.room[0] = 2; /* an inode of the host's root, as the Docker exploit has it */
	return passed(syscall(SYS_open_by_handle_at, AT_FDCWD, &name, O_RDONLY));
}

static bool probe_granted_file(void)
{
	return opens(setting("ESCAPE_FILE"), O_RDONLY);
}

/* ---- mounts -------------------------------------------------------------------------------------- */

static bool probe_mount_tmpfs(void)
{
	return mount("tmpfs", "/tmp", "tmpfs", 0, NULL) == 0;
}
static bool probe_mount_proc(void)
{
	return mount("proc", "/tmp", "proc", 0, NULL) == 0;
}
static bool probe_mount_bind(void)
{
	return mount("/usr", "/tmp", NULL, MS_BIND, NULL) == 0;
}
static bool probe_mount_overlay(void)
{
	return mount("overlay", "/tmp", "overlay", 0, "lowerdir=/usr:/etc") == 0;
}
static bool probe_mount_cgroup(void)
{
	return mount("cgroup", "/tmp", "cgroup", 0, "memory") == 0 ||
	       mount("cgroup2", "/tmp", "cgroup2", 0, NULL) == 0;
}
static bool probe_remount(void)
{
	return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0;
}
static bool probe_umount(void)
{
	return umount2("/tmp", MNT_DETACH) == 0;
}
static bool probe_pivot_root(void)
{
	return passed(syscall(SYS_pivot_root, "/tmp", "/tmp"));
}
static bool probe_fsopen(void)
{
	return fsopen("tmpfs", 0) >= 0;
}
static bool probe_open_tree(void)
{
	return open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE) >= 0;
}
static bool probe_mount_setattr(void)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};

	return mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof attr) == 0;
}
static bool probe_move_mount(void)
{
	return passed(move_mount(AT_FDCWD, "/proc", AT_FDCWD, "/tmp", 0));
}

/* ---- namespaces ---------------------------------------------------------------------------------- */

#define UNSHARE(name, flag)                                                                        \
	static bool probe_unshare_##name(void)                                                     \
	{                                                                                          \
		return unshare(flag) == 0;                                                         \
	}
UNSHARE(user, CLONE_NEWUSER)
UNSHARE(mount, CLONE_NEWNS)
UNSHARE(net, CLONE_NEWNET)
UNSHARE(pid, CLONE_NEWPID)
UNSHARE(uts, CLONE_NEWUTS)
UNSHARE(ipc, CLONE_NEWIPC)
UNSHARE(cgroup, CLONE_NEWCGROUP)

static bool forks(long pid)
{
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid((pid_t) pid, NULL, __WALL);
	return pid > 0;
}
static bool probe_clone_user(void)
{
	return forks(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL));
}
static bool probe_clone_net(void)
{
	return forks(syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, NULL, NULL, NULL, NULL));
}
static bool probe_clone3_user(void)
{
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};

	return forks(syscall(SYS_clone3, &args, sizeof args));
}
static bool probe_setns(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY);

	return fd >= 0 && setns(fd, 0) == 0;
}

/* ---- devices, files of the kernel ---------------------------------------------------------------- */

static bool probe_mknod_char(void)
{
	return mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)) == 0;
}
static bool probe_mknod_block(void)
{
	return mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0)) == 0;
}
#define OPENS(name, path, flags)                                                                   \
	static bool probe_##name(void)                                                             \
	{                                                                                          \
		return opens(path, flags);                                                         \
	}
OPENS(dev_mem, "/dev/mem", O_RDONLY)
OPENS(dev_port, "/dev/port", O_RDONLY)
OPENS(dev_kmsg, "/dev/kmsg", O_RDONLY)
OPENS(dev_disk, "/dev/vda", O_RDONLY)
OPENS(dev_loop, "/dev/loop-control", O_RDWR)
OPENS(dev_kvm, "/dev/kvm", O_RDWR)
OPENS(dev_fuse, "/dev/fuse", O_RDWR)
OPENS(dev_mapper, "/dev/mapper/control", O_RDWR)
OPENS(dev_tun, "/dev/net/tun", O_RDWR)
OPENS(core_pattern, "/proc/sys/kernel/core_pattern", O_WRONLY)
OPENS(modprobe_path, "/proc/sys/kernel/modprobe", O_WRONLY)
OPENS(vm_sysctl, "/proc/sys/vm/drop_caches", O_WRONLY)
OPENS(sysrq, "/proc/sysrq-trigger", O_WRONLY)
OPENS(kcore, "/proc/kcore", O_RDONLY)
OPENS(uevent_helper, "/sys/kernel/uevent_helper", O_WRONLY)
OPENS(power_state, "/sys/power/state", O_WRONLY)
OPENS(release_agent, "/sys/fs/cgroup/memory/release_agent", O_WRONLY)
OPENS(memory_limit, "/sys/fs/cgroup/memory/memory.limit_in_bytes", O_WRONLY)
OPENS(device_list, "/sys/fs/cgroup/devices/devices.allow", O_WRONLY)

static bool probe_firmware(void)
{
	return access("/sys/firmware/acpi", F_OK) == 0 || access("/sys/firmware/efi", F_OK) == 0 ||
	       access("/sys/firmware/dmi", F_OK) == 0;
}
static bool probe_kallsyms(void)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	char line[512];
	bool is_seen = false;

	while (file != NULL && !is_seen && fgets(line, sizeof line, file) != NULL)
		is_seen = strspn(line, "0") != strcspn(line, " ");
	if (file != NULL)
		fclose(file);
	return is_seen;
}

/* ---- writing ------------------------------------------------------------------------------------- */

static bool creates(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		unlink(path);
	return fd >= 0;
}
static bool probe_write_root(void)
{
	return creates("/escape") || creates("/usr/escape") || creates("/etc/escape");
}
static bool probe_write_run(void)
{
	return creates("/run/escape");
}
static bool probe_write_dev(void)
{
	return creates("/dev/escape") || mkfifo("/dev/escape", 0600) == 0;
}
static bool probe_setuid(void)
{
	return getuid() != 0 && setuid(0) == 0;
}
static bool probe_chown(void)
{
	return creates("/tmp/owned") && open("/tmp/owned", O_CREAT | O_WRONLY, 0600) >= 0 &&
	       chown("/tmp/owned", getuid() + 1, getgid() + 1) == 0;
}

static bool probe_setuid_file(void)
{
	execl(setting("ESCAPE_SETUID"), "escape", "--is-raised", NULL);
	return false;
}

/* ---- calls --------------------------------------------------------------------------------------- */

static bool probe_ptrace(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	bool is_attached = ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, __WALL);
	return is_attached;
}
static bool probe_process_vm(void)
{
	char from[8] = "x", to[8];
	struct iovec local = {.iov_base = to, .iov_len = 8},
		     remote = {.iov_base = from, .iov_len = 8};

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 8;
}
static bool probe_kcmp(void)
{
	return syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0) >= 0;
}
static bool probe_userfaultfd(void)
{
	return syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */) >= 0;
}
static bool probe_bpf(void)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY,
			.key_size = 4,
			.value_size = 4,
			.max_entries = 1};

	return passed(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
}
static bool probe_perf(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
			.size = sizeof attr,
			.config = PERF_COUNT_SW_TASK_CLOCK,
			.exclude_kernel = 1,
			.exclude_hv = 1};

	return passed(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}
static bool probe_io_uring(void)
{
	char params[120] = {0};

	return passed(syscall(SYS_io_uring_setup, 1, params));
}
static bool probe_keyctl(void)
{
	return passed(syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3, 1));
}
static bool probe_add_key(void)
{
	return passed(syscall(SYS_add_key, "user", "escape", "x", 1, -2));
}
static bool probe_klog(void)
{
	char text[64];

	return klogctl(3, text, sizeof text) >= 0;
}
static bool probe_clock(void)
{
	struct timespec bad = {.tv_nsec = -1};

	return passed(syscall(SYS_clock_settime, CLOCK_REALTIME, &bad));
}
static bool probe_settimeofday(void)
{
	struct timeval bad = {.tv_usec = -1};

	return passed(syscall(SYS_settimeofday, &bad, NULL));
}
static bool probe_adjtimex(void)
{
	struct timex change = {.modes = ADJ_TICK, .tick = 1};

	return passed(adjtimex(&change));
}
static bool probe_reboot(void)
{
	return passed(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x1234, NULL));
}
static bool probe_kexec(void)
{
	return passed(syscall(SYS_kexec_load, 0, 0, NULL, ~0UL));
}
static bool probe_module(void)
{
	return passed(syscall(SYS_init_module, NULL, 0, "")) ||
	       passed(syscall(SYS_finit_module, -1, "", 0));
}
static bool probe_swapon(void)
{
	return passed(syscall(SYS_swapon, "/tmp", 0)) || passed(syscall(SYS_swapoff, "/tmp"));
}
static bool probe_quota(void)
{
	return passed(syscall(SYS_quotactl, 0x80000200 /* Q_QUOTAON */, "/dev/zero", 0, "/tmp"));
}
static bool probe_acct(void)
{
	return passed(syscall(SYS_acct, "/tmp"));
}
static bool probe_personality(void)
{
	return personality(ADDR_NO_RANDOMIZE) >= 0;
}
static bool probe_sethostname(void)
{
	return sethostname("x", 1) == 0;
}
static bool probe_iopl(void)
{
#ifdef SYS_iopl
	return passed(syscall(SYS_iopl, 3)) || passed(syscall(SYS_ioperm, 0x80, 1, 1));
#else
	return false;
#endif
}
/* Into a terminal of its own; cut as the kernel does, and with bits above that. */
static bool probe_push(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	char name[64];

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
			ptsname_r(master, name, sizeof name) != 0)
		return false;
	setsid();
	int terminal = open(name, O_RDWR);
	return terminal >= 0 &&
	       (ioctl(terminal, TIOCSTI, "x") == 0 ||
			       syscall(SYS_ioctl, terminal, 0x100000000UL | TIOCSTI, "x") == 0);
}

/* ---- network ------------------------------------------------------------------------------------- */

#define SOCKET(name, family, type, protocol)                                                       \
	static bool probe_##name(void)                                                             \
	{                                                                                          \
		return socket(family, type, protocol) >= 0;                                        \
	}
SOCKET(socket_alg, AF_ALG, SOCK_SEQPACKET, 0)
SOCKET(socket_packet, AF_PACKET, SOCK_RAW, 0)
SOCKET(socket_vsock, AF_VSOCK, SOCK_STREAM, 0)
SOCKET(socket_raw, AF_INET, SOCK_RAW, IPPROTO_ICMP)
SOCKET(socket_raw6, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
SOCKET(netlink_audit, AF_NETLINK, SOCK_RAW, 9)
SOCKET(netlink_uevent, AF_NETLINK, SOCK_RAW, 15)
SOCKET(netlink_netfilter, AF_NETLINK, SOCK_RAW, 12)

static bool probe_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
			.sin_port = htons(80),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd >= 0 && bind(fd, (struct sockaddr *) &address, sizeof address) == 0;
}
static bool reaches(const char *path, bool is_abstract)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t size = strlen(path);

	if (fd < 0 || size + 2 > sizeof address.sun_path)
		return false;
	memcpy(address.sun_path + is_abstract, path, size);
	return connect(fd, (struct sockaddr *) &address,
			       (socklen_t) (offsetof(struct sockaddr_un, sun_path) + size +
					       is_abstract)) == 0;
}
/* A packet from an address that is not its own. */
static bool probe_spoof(void)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000263)};
	struct sockaddr_in to = {.sin_family = AF_INET,
			.sin_port = htons(9),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;

	if (fd < 0)
		return false;
	if (setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on) == 0)
		return true;
	return setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on) == 0 &&
	       bind(fd, (struct sockaddr *) &from, sizeof from) == 0 &&
	       sendto(fd, "x", 1, 0, (struct sockaddr *) &to, sizeof to) == 1;
}
static bool probe_abstract(void)
{
	return reaches(setting("ESCAPE_ABSTRACT"), true);
}
static bool probe_bus(void)
{
	return reaches("/run/dbus/system_bus_socket", false) ||
	       reaches("/run/systemd/private", false) ||
	       reaches("/run/systemd/journal/stdout", false);
}
static bool probe_interfaces(void)
{
	struct if_nameindex *list = if_nameindex();
	unsigned count = 0;

	for (; list != NULL && list[count].if_index != 0; count++)
		if (strncmp(list[count].if_name, "lo", 3) != 0 &&
				strncmp(list[count].if_name, "sit", 3) != 0 &&
				strncmp(list[count].if_name, "tunl", 4) != 0 &&
				strncmp(list[count].if_name, "ip6", 3) != 0 &&
				strncmp(list[count].if_name, "gre", 3) != 0 &&
				strncmp(list[count].if_name, "erspan", 6) != 0)
			return true;
	return false;
}

/* ---- neighbours ---------------------------------------------------------------------------------- */

static bool probe_hostname(void)
{
	char name[256] = "";

	gethostname(name, sizeof name - 1);
	return strcmp(name, setting("ESCAPE_HOST")) == 0;
}
static bool probe_processes(void)
{
	/* Those of the probes themselves are lower. */
	for (pid_t pid = 500; pid < 8192; pid++)
		if (kill(pid, 0) == 0 || errno == EPERM)
			return true;
	return false;
}

#define PROBE(name)                                                                                \
	{                                                                                          \
#name, probe_##name                                                                \
	}
static const Probe probes[] = {PROBE(mark), PROBE(chroot_escape), PROBE(chroot), PROBE(descriptors),
		PROBE(first_root), PROBE(first_exe), PROBE(first_mem), PROBE(handle),
		PROBE(granted_file), PROBE(mount_tmpfs), PROBE(mount_proc), PROBE(mount_bind),
		PROBE(mount_overlay), PROBE(mount_cgroup), PROBE(remount), PROBE(umount),
		PROBE(pivot_root), PROBE(fsopen), PROBE(open_tree), PROBE(mount_setattr),
		PROBE(move_mount), PROBE(unshare_user), PROBE(unshare_mount), PROBE(unshare_net),
		PROBE(unshare_pid), PROBE(unshare_uts), PROBE(unshare_ipc), PROBE(unshare_cgroup),
		PROBE(clone_user), PROBE(clone_net), PROBE(clone3_user), PROBE(setns),
		PROBE(mknod_char), PROBE(mknod_block), PROBE(dev_mem), PROBE(dev_port),
		PROBE(dev_kmsg), PROBE(dev_disk), PROBE(dev_loop), PROBE(dev_kvm), PROBE(dev_fuse),
		PROBE(dev_mapper), PROBE(dev_tun), PROBE(core_pattern), PROBE(modprobe_path),
		PROBE(vm_sysctl), PROBE(sysrq), PROBE(kcore), PROBE(uevent_helper),
		PROBE(power_state), PROBE(release_agent), PROBE(memory_limit), PROBE(device_list),
		PROBE(firmware), PROBE(kallsyms), PROBE(write_root), PROBE(write_run),
		PROBE(write_dev), PROBE(setuid), PROBE(setuid_file), PROBE(chown), PROBE(ptrace),
		PROBE(process_vm), PROBE(kcmp), PROBE(userfaultfd), PROBE(bpf), PROBE(perf),
		PROBE(io_uring), PROBE(keyctl), PROBE(add_key), PROBE(klog), PROBE(clock),
		PROBE(settimeofday), PROBE(adjtimex), PROBE(reboot), PROBE(kexec), PROBE(module),
		PROBE(swapon), PROBE(quota), PROBE(acct), PROBE(personality), PROBE(sethostname),
		PROBE(iopl), PROBE(push), PROBE(socket_alg), PROBE(socket_packet),
		PROBE(socket_vsock), PROBE(socket_raw), PROBE(socket_raw6), PROBE(netlink_audit),
		PROBE(netlink_uevent), PROBE(netlink_netfilter), PROBE(port), PROBE(spoof),
		PROBE(abstract), PROBE(bus), PROBE(interfaces), PROBE(hostname), PROBE(processes)};
enum {
	PROBES = sizeof probes / sizeof *probes
};

/* In a process of its own: a probe may leave its root, or hang, or be killed for trying. */
static bool is_open(const Probe *probe)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(5);
		_exit(probe->probe() ? 0 : 1);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- how much of what all share --------------------------------------------------------------------- */

enum {
	MOST = 4096, /* of anything: so much is too much */
};

/* Those that were made wait until all of them are counted. */
static long count_forks(void)
{
	pid_t pids[MOST];
	long count = 0;

	for (; count < MOST && (pids[count] = fork()) >= 0; count++)
		if (pids[count] == 0) {
			pause();
			_exit(0);
		}
	for (long i = 0; i < count; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return count;
}
static long count_descriptors(void)
{
	long count = 0;

	while (count < MOST && open("/dev/null", O_RDONLY) >= 0)
		count++;
	return count;
}
static long count_inodes(void)
{
	char path[64];
	long count = 0;

	for (; count < MOST; count++) {
		snprintf(path, sizeof path, "/tmp/inode-%ld", count);
		int fd = open(path, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof path, "/tmp/inode-%ld", i);
		unlink(path);
	}
	return count;
}
static long fill(const char *path, long most)
{
	static const char block[1024] = "x";
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	long count = 0;

	while (fd >= 0 && count < most && write(fd, block, sizeof block) == (ssize_t) sizeof block)
		count++;
	unlink(path);
	return count;
}
static long count_kilobytes(void)
{
	return fill("/tmp/bytes", MOST);
}
static long count_shared(void)
{
	return fill("/dev/shm/bytes", 32L * MOST);
}
/* By processes that have some each: descriptors have an end of their own. */
static long count_terminals(void)
{
	int pipes[2];
	pid_t pids[8];
	long count = 0;
	unsigned char each;

	if (pipe(pipes) < 0)
		return -1;
	for (int i = 0; i < 8; i++)
		if ((pids[i] = fork()) == 0) {
			for (each = 0; each < 200 && posix_openpt(O_RDWR | O_NOCTTY) >= 0; each++)
				;
			(void) !write(pipes[1], &each, 1);
			pause();
			_exit(0);
		}
	for (int i = 0; i < 8 && read(pipes[0], &each, 1) == 1; i++)
		count += each;
	for (int i = 0; i < 8; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
	return count;
}

static const struct {
	const char *name;
	long (*count)(void);
} tolls[] = {{"forks", count_forks}, {"descriptors", count_descriptors}, {"inodes", count_inodes},
		{"kilobytes", count_kilobytes}, {"shared", count_shared},
		{"terminals", count_terminals}};

static void exhaust(void)
{
	for (size_t i = 0; i < sizeof tolls / sizeof *tolls; i++) {
		fflush(stdout);
		pid_t pid = fork();
		if (pid == 0) {
			printf("%s %ld\n", tolls[i].name, tolls[i].count());
			fflush(stdout);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

static bool is_wanted(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--count") == 0) {
		printf("%d\n", PROBES);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--is-raised") == 0)
		return geteuid() != getuid() || getegid() != getgid() ? 0 : 1;
	if (argc == 2 && strcmp(argv[1], "--exhaust") == 0) {
		exhaust();
		return 0;
	}
	for (int i = 0; i < PROBES; i++) {
		if (!is_wanted(argc, argv, probes[i].name))
			continue;
		printf("%s %s\n", probes[i].name, is_open(&probes[i]) ? "open" : "closed");
		fflush(stdout);
	}
	return 0;
}
