/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <poll.h>

#include "agent/workload/mux.h"
#include "agent/workload/qemu.h"

/* The parts of agent/workload/qemu.h.
 *
 *	qemu.c            starts, waits, ends
 *	qemu-argument.c   PURE: the command line
 *	qemu-child.c      between fork and exec: descriptors, namespaces, user
 *	qemu-disk.c       the image's tree as a file system
 *	qemu-initramfs.c  what the guest begins with
 *	qemu-kernel.c     PURE: which boot contract a file is of
 *	qemu-event.c      PURE: what QEMU says of the machine
 *	qemu-channel.c    calls, heartbeats and commands while it runs
 *	qemu-exec.c       a command in it, from another process
 */

#if defined(__x86_64__)
#define ASH_QEMU_PROGRAM "qemu-system-x86_64"
#elif defined(__aarch64__)
#define ASH_QEMU_PROGRAM "qemu-system-aarch64"
#else
#define ASH_QEMU_PROGRAM "qemu-system"
#endif

enum {
	ASH_QEMU_MIN_MEMORY_BYTES = 96 << 20, /* for the host's own kernel and its initramfs */
	ASH_QEMU_MAX_DISKS = 64,
	/* Descriptors of the child. */
	ASH_QEMU_FD_CONTROL = 10,
	ASH_QEMU_FD_OUTPUT,
	ASH_QEMU_FD_SERIAL,
	ASH_QEMU_FD_MONITOR,
	ASH_QEMU_FD_CHANNEL,
	ASH_QEMU_FD_TAP,
	ASH_QEMU_FD_KERNEL,
	ASH_QEMU_FD_INITRD,
	ASH_QEMU_FD_MODULES = 20,
	ASH_QEMU_FD_DISKS = 100,
};

typedef struct {
	int fd; /* ours; its number in the child is ASH_QEMU_FD_DISKS + index */
	char *serial;
	bool is_read_only;
	char *path; /* in the guest */
} AshQemuDisk;

/* Everything that a guest is started with; descriptors are -1 when it has none. */
typedef struct {
	AshIsolationClass effective;
	AshMachineContract contract;
	uint64_t memory_bytes;
	unsigned processors;
	const char *mac; /* "" without a network */
	char *append;    /* kernel command line */
	GArray *disks;   /* AshQemuDisk; the first is the root */
	int kernel_fd, initrd_fd, tap_fd;
	GArray *module_fds;   /* int */
	char *const *modules; /* borrowed: their paths in the image; as many */
	int control_fd, output_fd, serial_fd, monitor_fd, channel_fd;
} AshQemuSetup;

void ash_qemu_setup_init(AshQemuSetup *setup);
void ash_qemu_setup_clear(AshQemuSetup *setup);

/* "DIR/NAME" of a program beside this one. */
char *ash_qemu_program(const char *name);

/* ---- qemu-argument.c ---- */

/* PURE. The argument vector, argv[0] as ASH_QEMU_PROGRAM. */
char **ash_qemu_arguments(const AshQemuSetup *setup);

/* ---- qemu-disk.c ---- */

/* The root's file system, made unless it is in the cache; open for reading. */
gboolean ash_qemu_disk_root(const AshLaunch *launch, int *out_fd, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The volumes among the binds; what can be no disk and no file is an error. */
gboolean ash_qemu_disk_add(const AshLaunch *launch, AshQemuSetup *setup, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The bind that is no directory but the channel (ASH_LAUNCH_CHANNEL); NULL. */
const AshLaunchBind *ash_qemu_find_channel(const AshLaunch *launch);

/* ---- qemu-initramfs.c ---- */

/* kernel_fd, initrd_fd, module_fds and append of @setup. */
gboolean ash_qemu_kernel_load(const AshLaunch *launch, AshQemuSetup *setup, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* What /ashlar.guest says (agent/workload/guest.h); exported for its test. */
GBytes *ash_qemu_guest_record(
		const AshLaunch *launch, const AshQemuSetup *setup, const char *const *modules);

/* ---- qemu-kernel.c ---- */

/* PURE. QEMU looks by itself for what a file is, and starts that; so what it would find has to be what was asked for,
 * or it is ASH_LAUNCH_ERROR_IMAGE. A file that is of two contracts is of the first of linux, multiboot, pvh, as QEMU has
 * it. @path is for the message.
 */
gboolean ash_qemu_kernel_check(AshMachineContract contract, const char *path, GBytes *kernel,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- qemu-event.c ---- */

/* PURE. More of what came from the monitor; @lines keeps what has no end yet. true: one of the lines says that the
 * machine was reset, which is what a triple fault does, and a kernel that panics.
 */
bool ash_qemu_event_take(GString *lines, const char *data, size_t size);

/* ---- qemu-channel.c ---- */

#define ASH_QEMU_SOCKET "guest.sock" /* in the instance's directory; root's */

typedef struct AshQemuChannel AshQemuChannel;
enum {
	ASH_QEMU_CHANNEL_MAX_POLL = ASH_MUX_MAX_POLL + 1,
};

/* @port: borrowed. */
gboolean ash_qemu_channel_new(const AshLaunch *launch, int port, AshQemuChannel **out_channel,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_qemu_channel_free(AshQemuChannel *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshQemuChannel, ash_qemu_channel_free)
size_t ash_qemu_channel_wants(const AshQemuChannel *channel, struct pollfd *fds);
void ash_qemu_channel_take(AshQemuChannel *channel, const struct pollfd *fds, size_t n);

/* ---- qemu-child.c ---- */

/* What the child does between fork and exec; async-signal-safe calls only. All of it is prepared before. */
typedef struct {
	const char *program; /* absolute */
	char **argv;
	const AshQemuSetup *setup;
	int netns_fd; /* -1: none */
	const char *tap;
	uid_t uid;
	gid_t kvm_gid; /* of /dev/kvm; 0: none */
	int stderr_fd;
} AshQemuChild;

/* Never returns; says on stderr_fd what did not work, and ends with 1. */
_Noreturn void ash_qemu_child_run(const AshQemuChild *child);
