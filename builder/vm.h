/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/file.h"

/* A virtual machine that boots an image as a PC or board with UEFI would: QEMU on a throw-away overlay,
 * so that the image is never written to. It dies with this process.
 *
 * KVM is used where it really works: a /dev/kvm that opens may still hang a guest, so the processor
 * must say vmx or svm too. In emulation QEMU 10 is demanded: QEMU 7.2, Debian 12's own, corrupts
 * flags in cmpxchg16b, of which trixie's kernel dies.
 *
 * The guest reports how its boot ended on the virtio-serial port ASH_VM_REPORT_PORT, in JSON. Either one
 * line, {"state":"running","failed":[],"boot_ms":8123}, where "failed" holds names of units, or objects
 * with a "unit" as 'systemctl --output=json' prints them. Or, with no shell in the guest, what
 * 'busctl --json=short call' prints of two methods of systemd's: ListUnitsFiltered ["failed"], then
 * Properties.GetAll of the manager.
 */

#define ASH_VM_ERROR (ash_vm_error_quark())
GQuark ash_vm_error_quark(void);

typedef enum {
	ASH_VM_ERROR_ENVIRONMENT, /* QEMU or firmware is missing or too old; no KVM, but asked for */
	ASH_VM_ERROR_IMAGE,       /* not there, or of no format that is known */
	ASH_VM_ERROR_FORWARD,     /* not HOSTPORT:GUESTPORT */
	ASH_VM_ERROR_FAILED,
} AshVmError;

#define ASH_VM_REPORT_PORT "org.ashlar.report"

enum {
	ASH_VM_MAX_REPORT_BYTES = 1 << 16,
	ASH_VM_CONSOLE_LINES = 30, /* kept for the reason of a failure */
	ASH_VM_MAX_LINE_BYTES = 4096,
	ASH_VM_MAX_DOCUMENT_BYTES = 32 << 10, /* what an SMBIOS string is sure to carry */
};

typedef enum {
	ASH_VM_ACCEL_AUTO,
	ASH_VM_ACCEL_KVM,
	ASH_VM_ACCEL_TCG,
} AshVmAccel;

typedef struct {
	const char *image; /* raw, qcow2, vmdk, vdi or vhdx, by its name */
	AshVmAccel accel;
	unsigned memory_mib;
	unsigned cpus;
	const char *firmware;                /* "CODE:VARS"; NULL: the architecture's */
	const char *const *forwards;         /* "8080:80"; TCP on 127.0.0.1; NULL: none */
	const char *const *kernel_arguments; /* added by systemd-boot 256 and later; NULL: none */
	unsigned timeout_s;                  /* 0: none */
	const char *console_file;            /* where the console's output is kept; NULL: nowhere */
	bool show_console;                   /* smoke: on stderr too */
	/* The machine's own disk and firmware variables, made when they are not there: what it writes stays. The
	 * image below must stay as it is. NULL: a throw-away overlay. */
	const char *state_dir;
	const char *host_document; /* a file that the host finds as credential ashlar.host; NULL: none */
} AshVmOptions;

/* A question: would KVM work? */
bool ash_vm_have_kvm(void);

/* "amd64" of "out/host-1.0-amd64.qcow2"; NULL when the name does not say. PURE. */
char *ash_vm_guess_arch(const char *image_name);

/* What is different between watching and sitting in front of it. */
typedef struct {
	const AshVmOptions *options;
	bool has_kvm;
	const char *arch;
	const char *image_path; /* links resolved */
	const char *firmware_code;
	const char *firmware_vars; /* a copy that may be written to */
	const char *state_disk;    /* qcow2 over the image; NULL: a throw-away overlay */
	const char *host_document; /* its text; NULL: none */
	const char *socket_dir;    /* NULL: console and monitor on the terminal */
} AshVmPlan;

/* QEMU's command line. PURE. */
gboolean ash_vm_arguments(const AshVmPlan *plan, char ***out_argv, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* What ash_vm_prepare found and made; @scratch goes with it. */
typedef struct {
	AshTempDir *scratch;
	char **argv;
	bool has_kvm;
} AshVm;

/* Checks everything that can be checked before, and makes the scratch directory.
 * @is_watched: with sockets console, report and monitor in the scratch directory
 */
gboolean ash_vm_prepare(const AshVmOptions *options, bool is_watched, AshVm **out_vm,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_vm_free(AshVm *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshVm, ash_vm_free)

/* Boots it with its serial console on this terminal, until it is powered off. */
gboolean ash_vm_run_console(const AshVmOptions *options, GError **error) G_GNUC_WARN_UNUSED_RESULT;
