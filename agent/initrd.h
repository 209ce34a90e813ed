/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

/* The first process of the initramfs (/init): loads the modules that the disk needs, waits for the
 * root file system, mounts it, lets ostree-prepare-root choose the deployment, and becomes the
 * host's init.
 *
 * Static, libc only, no threads. It lives for a second and its memory goes with it, so nothing is
 * freed that is not made in a loop. Its bytes are part of every image: no time stamps, no paths of the
 * build machine.
 *
 * Kernel command line:
 *
 *	root=PARTLABEL=… | PARTUUID=… | UUID=… (ext4) | /dev/…     required
 *	rootfstype=ext4  rootflags=…  ro | rw (default: ro)
 *	ostree=PATH             run ostree-prepare-root; without it the root is used as it is
 *	init=PATH               default /sbin/init
 *	ashlar.root_timeout_s=N how long the root may take to appear (default 60, at most 3600)
 *	rootdelay=N             the same, but never less than the default
 *	rootwait                accepted: waiting is what happens anyway, up to the limit
 *	MODULE.PARAMETER=…  modprobe.blacklist=A,B
 *	ashlar.watchdog_s=N     start /dev/watchdog0 with this time-out; it is left running, so the
 *	                        host's init must take it over (systemd: RuntimeWatchdogSec=)
 *	ashlar.debug            say more, and stay instead of rebooting after a failure
 *	rd.*                    belongs to other initramfs generators, ignored
 *
 * After a failure one line says what was expected and what was seen, and the machine reboots after
 * ten seconds, so that the boot loader's counting leads back to a deployment that works.
 */

enum {
	ASH_INITRD_MAX_CMDLINE_BYTES = 8192, /* the kernel's own limit is 2048 on most machines */
	ASH_INITRD_MAX_FILE_BYTES = 8 << 20, /* modules.dep, modules.alias, /etc/modules */
	ASH_INITRD_DEFAULT_TIMEOUT_S = 60,
	ASH_INITRD_MAX_TIMEOUT_S = 3600,
	ASH_INITRD_UUID_CHARS = 36,
};

/* ---- initrd-log.c: what is said, and the way out after a failure ---- */

typedef enum {
	ASH_INITRD_ERR = 3, /* the numbers are those of syslog, as /dev/kmsg wants them */
	ASH_INITRD_WARNING = 4,
	ASH_INITRD_INFO = 6,
	ASH_INITRD_DEBUG = 7,
} AshInitrdLevel;

/* Opens /dev/console as descriptors 0 to 2 and /dev/kmsg; called again changes nothing. */
void ash_initrd_log_open(void);
void ash_initrd_log_set_debug(bool debug);

/* To the kernel's log; errors go to the console as well when the kernel would not show them there.
 */
void ash_initrd_log(AshInitrdLevel level, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

/* Says why, then reboots after ten seconds; with ashlar.debug waits forever. */
noreturn void ash_initrd_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same without words and without waiting; usable where nothing else may work any more. */
noreturn void ash_initrd_reboot(void);

/* ---- initrd-file.c: small helpers ---- */

/* The file's content, NUL-terminated, or NULL with errno (EFBIG above @max_bytes). */
char *ash_initrd_read_file(const char *path, size_t max_bytes, size_t *out_size);

/* One line of at most @size - 1 bytes, without its newline; false when there is no such file. */
bool ash_initrd_read_line(const char *path, char *buffer, size_t size);

/* malloc and strdup that never return NULL: out of memory is a failure like others. */
void *ash_initrd_alloc(size_t size);
char *ash_initrd_strdup(const char *text);

/* CLOCK_BOOTTIME in milliseconds. */
int64_t ash_initrd_now_ms(void);

/* ---- initrd-cmdline.c: the kernel command line (PURE) ---- */

typedef struct {
	const char *root;       /* NULL when not given */
	const char *rootfstype; /* "ext4" */
	const char *rootflags;  /* NULL when not given */
	const char *ostree;     /* NULL when not given */
	const char *init;       /* "/sbin/init" */
	const char *blacklist;  /* comma-separated, NULL for none; the last one given */
	bool is_rw;
	bool is_debug;
	unsigned timeout_s;
	unsigned watchdog_s; /* 0: leave it alone */
	char **words;        /* all of them in order, quotes removed, NULL-terminated */
	size_t n_words;
} AshInitrdCmdline;

/* Cuts @text (changed in place, borrowed by the result) into words as the kernel does: double quotes
 * hold blanks together, "--" ends what is meant for the kernel.
 */
void ash_initrd_cmdline_parse(char *text, AshInitrdCmdline *out_cmdline);

/* The parameters for @module as finit_module wants them ("a=1 b"), into @buffer. '-' and '_' mean
 * the same in module names.
 */
void ash_initrd_cmdline_module_params(
		const AshInitrdCmdline *cmdline, const char *module, char *buffer, size_t size);

bool ash_initrd_cmdline_is_blacklisted(const AshInitrdCmdline *cmdline, const char *module);

/* Are the two module names the same but for '-' and '_'? */
bool ash_initrd_same_module(const char *a, const char *b);

/* ---- initrd-module.c: kernel modules ---- */

/* Reads the lists of the running kernel's directory in /usr/lib/modules. */
void ash_initrd_module_setup(const AshInitrdCmdline *cmdline);

/* Loads what /etc/modules names, in its order. */
void ash_initrd_module_load_list(void);

/* Loads what @name is: a module, or an alias as devices and request_module() have them. Returns the
 * number of modules that are new in the kernel.
 */
unsigned ash_initrd_module_load(const char *name);

/* Loads modules for all devices that are there, again until no new module comes of it. With
 * @only_paravirtual just for the buses of hypervisors: their disks answer at once, while real
 * controllers probe port by port.
 */
void ash_initrd_module_coldplug(bool only_paravirtual);

unsigned ash_initrd_module_count(void); /* loaded so far */

/* ---- initrd-uevent.c: what the kernel says about devices ---- */

/* Opens the socket; before the first cold-plug, so that nothing falls between. */
int ash_initrd_uevent_open(void);

/* Waits until an event comes or @deadline_ms (ash_initrd_now_ms) passes, then handles all that are
 * queued: new devices get their modules. False at the deadline.
 */
bool ash_initrd_uevent_wait(int fd, int64_t deadline_ms);

/* ---- initrd-root.c: the root file system ---- */

/* A question: is the device that @spec (root=) names there? Its path in @out_device. */
bool ash_initrd_root_find(const char *spec, char *out_device, size_t size);

/* "vda1 (esp), vda2 (ashlar-root)" or "none", for a message. */
void ash_initrd_root_list(char *buffer, size_t size);

/* The PARTUUID of partition @number from the GPT on @fd, lower case; false when there is none. */
bool ash_initrd_gpt_partuuid(int fd, unsigned block_bytes, unsigned number,
		char out_uuid[ASH_INITRD_UUID_CHARS + 1]);

/* The UUID of the ext4 (3, 2) file system on @fd, lower case; false when there is none. */
bool ash_initrd_ext4_uuid(int fd, char out_uuid[ASH_INITRD_UUID_CHARS + 1]);

/* Splits rootflags= into flags of mount(2), added to @flags, and the rest for the file system. */
unsigned long ash_initrd_mount_flags(
		const char *rootflags, unsigned long flags, char *out_data, size_t size);

/* ---- initrd-switch.c: into the real root ---- */

void ash_initrd_mount_basics(void);
void ash_initrd_mount_root(const AshInitrdCmdline *cmdline, const char *device);
void ash_initrd_prepare_ostree(const AshInitrdCmdline *cmdline);

/* Moves /dev, /proc, /sys and /run to /sysroot, makes it the root, empties the initramfs and executes
 * init with the arguments that the kernel left for it.
 */
noreturn void ash_initrd_switch_root(const AshInitrdCmdline *cmdline, char **argv);
