/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/workload/mux.h"

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
 *	idle=1                                               no command: it stays until it is asked to end
 *	channel=1                                            /run/ashlar/broker.sock and heartbeat are there
 *
 * Three virtio-serial ports: "org.ashlar.output" takes what the command prints; on "org.ashlar.control" come
 * lines "stop" and go the lines "running", when the command is about to be started, and "exit CODE" (128+N for a signal),
 * after everything that was written is on its disk. Then the guest powers off. "org.ashlar.channel" carries streams
 * (agent/workload/mux.h): the guest opens one for each call, the host one for each command that it runs in here.
 */

enum {
	ASH_GUEST_MAX_BYTES = 1 << 20,
	ASH_GUEST_DISK_TIMEOUT_MS = 60000,
	ASH_GUEST_MAX_LIST = 512, /* of any repeated record */
	ASH_GUEST_MAX_POLL = ASH_MUX_MAX_POLL + 4,
	/* The first frame of a stream that the host opens; its text is records: command=…, env=KEY=VALUE, check=1. The
	 * rest is as in agent/workload/call-frame.h.
	 */
	ASH_GUEST_FRAME_RUN = 7,
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
	bool is_booted, is_idle, has_channel;
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
/* In a child that is about to become a command of the workload's: its user, its rights, its directory. */
void ash_guest_become(const AshGuest *guest);
/* Runs the command until it ends; @control may ask to stop it. */
int ash_guest_run(const AshGuest *guest, int control, int output);
/* Becomes the image's own init; a child of it serves the channel. */
void ash_guest_boot(AshGuest *guest);

/* ---- guest-serve.c: the channel ---- */

void ash_guest_serve_open(void); /* while /sys and /dev are those of the beginning */
void ash_guest_serve_begin(const AshGuest *guest);
/* What is waited for, 0 when there is no channel; at most ASH_GUEST_MAX_POLL less two. */
size_t ash_guest_serve_wants(struct pollfd *fds);
void ash_guest_serve_take(const struct pollfd *fds, size_t n);
_Noreturn void ash_guest_serve_forever(const AshGuest *guest);

/* ---- guest-exec.c ---- */

/* A command that the host wants run, by the stream @fd; in a process of its own. */
void ash_guest_exec(const AshGuest *guest, int fd);

/* ---- guest-check.c ---- */

/* A health check: milliseconds, its kind, its target. Prints a line; the exit code. */
int ash_guest_check(const char *const *words, unsigned n);
