/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* What ashlar-launch tells ashlar-enter, the first program inside a sandbox or a container: one sealed
 * memory file, so that neither arguments nor environment show it, and a socket for the answer. libc only.
 *
 * The file: an AshEnterOrders, then texts that end with NUL each: directory, arguments, environment,
 * writable paths, paths to remove; then the filters, each an array of struct sock_filter at a multiple of 8.
 *
 * The answers, a message each (SOCK_SEQPACKET):
 *	"running"           privileges are gone, the command is about to be started
 *	"failed STEP: why"  it was not; "exec" is a step
 *	"code N" "signal N" how the command ended (INIT)
 *	"listen"            with the descriptor of the filter that records
 */
enum {
	ASH_ENTER_FD_ORDERS = 3,
	ASH_ENTER_FD_ANSWER = 4,
	ASH_ENTER_FD_PROGRAM = 5, /* ashlar-enter itself: nspawn is told to start /proc/self/fd/5 */
	ASH_ENTER_MAX_BYTES = 4 << 20,
	ASH_ENTER_MAX_ANSWER_BYTES = 512,
	ASH_ENTER_MAX_FILTERS = 2,
	ASH_ENTER_EXIT_FAILED = 202,
};

/* Without orders, and with this as its argument: it is there, and confines nothing. For an instance without a command
 * whose runtime confines it, and places this program inside at ASH_ENTER_IDLE_PATH.
 */
#define ASH_ENTER_IDLE_WORD "idle"
#define ASH_ENTER_IDLE_PATH "/run/ashlar-idle"

#define ASH_ENTER_MAGIC 0x3165736c68736141u

enum {
	ASH_ENTER_INIT =
			1 << 0, /* stays as first process: forwards signals, reaps, tells the end */
	ASH_ENTER_SHIELD = 1 << 1,   /* Landlock: writing only below the writable paths */
	ASH_ENTER_RECORD = 1 << 2,   /* the last filter notifies: its descriptor is answered */
	ASH_ENTER_HAS_BOOT = 1 << 3, /* an init of its own: no limits, no session of ours */
	ASH_ENTER_IDLE = 1 << 5,     /* INIT without a command: until a signal ends it */
	ASH_ENTER_SCOPE = 1 << 4,    /* Landlock: abstract sockets of others are out of reach */
};

typedef struct {
	uint64_t magic;
	uint32_t size, flags;
	uint32_t uid, gid;
	uint64_t capabilities;                              /* what stays of them */
	uint64_t descriptors, tasks;                        /* limits; 0: as they are */
	uint32_t arguments, environment, writable, removed; /* how many */
	uint32_t filter_bytes[ASH_ENTER_MAX_FILTERS];
} AshEnterOrders;

/* With these flags of sendmsg the recording filter lets the answer through that carries its own descriptor. */
#define ASH_ENTER_ANSWER_FLAGS 0xc0c0 /* MSG_NOSIGNAL | MSG_MORE | MSG_EOR | MSG_DONTWAIT */
