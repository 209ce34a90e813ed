/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The first process of a guest that runs on the host's kernel (agent/workload/qemu.h): mounts the image's
 * tree, configures the link, runs the command, and tells how it ended. Static, libc only; it stands on
 * agent/initrd.h's modules, files and log.
 *
 * What it is to do stands in /ashlar.guest of the initramfs, "KEY=VALUE" records that each end in a NUL:
 *
 *	command=…, env=KEY=VALUE, module=NAME, nameserver=ADDRESS, host=LINE     repeated, in order
 *	directory=/  uid=N  gid=N  hostname=TEXT  tasks=N  descriptors=N  tmp=BYTES  boot=1
 *	address=A.B.C.D  gateway=A.B.C.D                     of the only network card
 *	volume=SERIAL:ro|rw:/PATH                            the disk of that serial number, ext4
 *	file=NAME:/PATH                                      /files/NAME of the initramfs appears there
 *	capability=N                                         a number of Linux's; all others are dropped
 *
 * Two virtio-serial ports: "org.ashlar.output" takes what the command prints; on "org.ashlar.control" come
 * lines "stop" and goes one line "exit CODE" (128+N for a signal) or "error TEXT", after everything that was
 * written is on its disk. Then the guest powers off.
 */

enum {
	ASH_GUEST_MAX_BYTES = 1 << 20,
	ASH_GUEST_DISK_TIMEOUT_MS = 60000,
	ASH_GUEST_MAX_LIST = 512, /* of any repeated record */
};

typedef struct {
	const char *serial, *path;
	bool is_read_only;
} AshGuestVolume;

typedef struct {
	const char *name, *path;
} AshGuestFile;

typedef struct {
	char *command[ASH_GUEST_MAX_LIST + 1], *environment[ASH_GUEST_MAX_LIST + 1];
	char *modules[ASH_GUEST_MAX_LIST], *nameservers[ASH_GUEST_MAX_LIST];
	char *hosts[ASH_GUEST_MAX_LIST];
	AshGuestVolume volumes[ASH_GUEST_MAX_LIST];
	AshGuestFile files[ASH_GUEST_MAX_LIST];
	unsigned n_command, n_environment, n_modules, n_nameservers, n_hosts, n_volumes, n_files;
	uint64_t capabilities; /* a bit each */
	const char *directory, *hostname, *address, *gateway;
	uid_t uid;
	gid_t gid;
	uint64_t tasks, descriptors, tmp_bytes;
	bool is_booted;
} AshGuest;

/* ---- guest-record.c (PURE) ---- */

/* @text: changed in place and borrowed by *guest. false: @out_wrong is the record that is not one. */
bool ash_guest_parse(char *text, size_t size, AshGuest *guest, const char **out_wrong);

/* ---- guest-root.c ---- */

/* Everything below /root; then it is the root directory. Fails by ash_initrd_fail. */
void ash_guest_mount(const AshGuest *guest);
/* Volumes again, so that what was written is whole. */
void ash_guest_unmount(const AshGuest *guest);

/* ---- guest-link.c ---- */

void ash_guest_link(const AshGuest *guest);

/* ---- guest-run.c ---- */

/* The descriptor of the virtio-serial port of that name, or -1. */
int ash_guest_port(const char *name);
/* Runs the command until it ends; @control may ask to stop it. */
int ash_guest_run(const AshGuest *guest, int control, int output);
/* Becomes the image's own init. */
void ash_guest_boot(AshGuest *guest);
