/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Many connections over the one virtio-serial port between a machine and its launcher. Both sides run this; libc only,
 * for the one side is ashlar-guest. A stream is a connected socket at each end, and what is written to one is read from
 * the other. Frames:
 *
 *	u16 kind, u16 stream, u32 value (little endian)
 *
 *	OPEN          a stream begins; the launcher's have even numbers, the guest's odd ones
 *	DATA          value bytes follow, at most ASH_MUX_MAX_DATA
 *	CREDIT        value bytes more may be sent; a stream begins with ASH_MUX_WINDOW
 *	CLOSE         nothing more comes; when both have said so the number is free
 *	BEAT          the workload is alive; stream and value are 0
 *
 * Nobody sends more than he has credit for, so each side always reads the port, and one stream that stands still
 * holds up no other. Who breaks a rule is not listened to any more. A socket that is closed for one direction is closed
 * for both.
 */

enum {
	ASH_MUX_HEADER_BYTES = 8,
	ASH_MUX_MAX_DATA = 16 << 10,
	ASH_MUX_WINDOW = 64 << 10,
	ASH_MUX_MAX_STREAMS = 64, /* of both sides together */
	ASH_MUX_MAX_POLL = ASH_MUX_MAX_STREAMS + 1,
};

typedef struct {
	/* The other side opens a stream: a connected socket, non-blocking, which is taken; -1: it is refused. */
	int (*open)(void *data);
	void (*beat)(void *data);
	void *data;
} AshMuxCalls;

typedef struct AshMux AshMux;

/* @port: borrowed, non-blocking. NULL without memory. */
AshMux *ash_mux_new(int port, bool is_launcher, const AshMuxCalls *calls);
void ash_mux_free(AshMux *mux); /* closes all streams */

/* A stream of ours; @fd, a connected non-blocking socket, is taken in any case. false: there are too many. */
bool ash_mux_open(AshMux *mux, int fd);
void ash_mux_beat(AshMux *mux);

/* What is waited for: at most ASH_MUX_MAX_POLL entries; how many there are. */
size_t ash_mux_wants(const AshMux *mux, struct pollfd *fds);
/* With what poll() said of just these. false: the other side is away, or has broken a rule: free it. */
bool ash_mux_take(AshMux *mux, const struct pollfd *fds, size_t n);
