/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "agent/workload/launch.h"

/* The classes `vm` and `vm-emulated`: one QEMU process for one instance.
 *
 * QEMU runs as the instance's own user (uid_base), without capabilities, in namespaces of its own with an
 * empty network, with its own sandbox on, and holds nothing but descriptors: the disks, the tap device, the
 * channels. Its devices are virtio (block, serial, net, random numbers) and, for foreign kernels, one
 * serial line.
 *
 * Without `machine:` the guest is the host's own kernel with ashlar-guest as its first process, so that the
 * image is the same as for a container: its tree is the read-only root (ext4 on virtio-blk, made once for
 * each image and kept in the cache), what stands in binds and is a file is copied in, a volume is its image
 * file (a bind whose source is "….img") as a second disk. Directories and sockets of the host cannot be
 * bound: ASH_LAUNCH_ERROR_REFUSED says which. The one exception is ASH_LAUNCH_CHANNEL: what is there in a container is
 * there in the guest too, and is carried over a virtio-serial port. Commands in the running guest take the same way.
 *
 * With `machine:` the kernel is the image's: contract linux (bzImage and initrd), pvh (an ELF file with the
 * note), multiboot (1, with modules); its root disk is the image as above, its console the serial line.
 * The file has to be of the contract that is named. A module's text is "FILE PATH": PATH is that in the image, FILE how
 * QEMU came by it; the first word of a multiboot command line is such a FILE, too.
 * A guest that ends by the debug port 0xf4 ends with the code that it wrote there, 0 to 127; one that powers off, with 0.
 * One that is reset (it reboots, panics, or falls by a triple fault) has failed: ASH_LAUNCH_ERROR_RUNTIME.
 *
 * Sources: QEMU's docs/system/{security,invocation}.rst, docs/interop/fdset; the PVH ABI in Xen's
 * public/arch-x86/hvm/start_info.h.
 */

/* What KVM is on this host. */
typedef enum {
	ASH_KVM_ABSENT,
	ASH_KVM_UNUSABLE, /* the device is there, and a guest does not run */
	ASH_KVM_USABLE,   /* our probe guest has run and has said so */
} AshKvm;
const char *ash_kvm_name(AshKvm kvm); /* "absent", "unusable", "usable" */

/* Boots the probe guest, for three seconds at most, once for each boot of the host: the answer is kept in
 * @dir. @out_why: a sentence; may be NULL.
 */
AshKvm ash_kvm_probe(const char *dir, char **out_why);

/* The class that @launch (one of the two) would really run in: ASH_LAUNCH_ERROR_REFUSED when that is less
 * than it demands, or QEMU is not installed. `vm` never becomes `vm-emulated`.
 */
gboolean ash_qemu_effective(const AshLaunch *launch, AshIsolationClass *out_effective,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

typedef struct AshQemu AshQemu;

/* Starts it. stdout and stderr of this process get what the guest prints. */
gboolean ash_qemu_start(const AshLaunch *launch, AshIsolationClass effective, AshQemu **out_qemu,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_qemu_free(AshQemu *qemu); /* kills it if it runs */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshQemu, ash_qemu_free)
pid_t ash_qemu_pid(const AshQemu *qemu);

/* Called in ash_qemu_wait, once, when the guest is about to start its command; a foreign kernel: at once. */
void ash_qemu_set_running(AshQemu *qemu, void (*running)(gpointer data), gpointer data);

/* Until the guest has ended. @signal_fd: a non-blocking signalfd; SIGTERM and SIGINT ask the guest to stop (its first
 * process gets SIGTERM, a foreign kernel the power button), a second one ends QEMU. *out_code: the
 * command's exit code, 128+N for a signal that killed it.
 */
gboolean ash_qemu_wait(AshQemu *qemu, int signal_fd, int *out_code, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* A command in the guest that another process waits for. Standard input and outputs are this process's. */
typedef struct {
	char *const *command,
			*const *environment; /* environment: in front of the workload's own; may be NULL */
	bool is_check; /* the command is "500ms", the kind of a health check, and its target */
} AshQemuExec;
gboolean ash_qemu_exec(const AshLaunch *launch, const AshQemuExec *exec, int *out_code,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
