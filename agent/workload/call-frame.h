/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What goes over a broker's socket (and, from a virtual machine, over its serial port): frames. One connection is
 * one call.
 *
 *	u32 kind, u32 size (little endian), then size bytes, at most ASH_CALL_FRAME_MAX_BYTES
 *
 *	to the broker    CALL  "SERVICE\0ARGUMENT\0TARGET\0"      first, once; ARGUMENT and TARGET may be empty
 *	                 DATA  the call's standard input; empty: its end
 *	to the caller    DATA, ERROR_DATA   standard output and error; empty: the end of it
 *	                 PENDING            somebody has to decide first
 *	                 REFUSED TEXT       and that is all
 *	                 EXIT u32           the exit code, last
 *
 * Who calls is not in it: it is known by the socket. PURE.
 */

enum {
	ASH_CALL_FRAME_HEADER_BYTES = 8,
	ASH_CALL_FRAME_MAX_BYTES = 64 << 10,
};

typedef enum {
	ASH_CALL_FRAME_CALL = 1,
	ASH_CALL_FRAME_DATA = 2,
	ASH_CALL_FRAME_ERROR_DATA = 3,
	ASH_CALL_FRAME_PENDING = 4,
	ASH_CALL_FRAME_REFUSED = 5,
	ASH_CALL_FRAME_EXIT = 6,
} AshCallFrameKind;

/* Adds a frame to @buffer. */
void ash_call_frame_add(GByteArray *buffer, AshCallFrameKind kind, const void *data, size_t size);

typedef struct {
	AshCallFrameKind kind;
	const uint8_t *data; /* borrowed */
	size_t size;
} AshCallFrame;

typedef enum {
	ASH_CALL_FRAME_WHOLE,
	ASH_CALL_FRAME_MORE,  /* not all of it is here */
	ASH_CALL_FRAME_WRONG, /* no such kind, or too long */
} AshCallFrameState;

/* The frame that @data begins with; it takes ASH_CALL_FRAME_HEADER_BYTES + out_frame->size bytes. */
AshCallFrameState ash_call_frame_take(const uint8_t *data, size_t size, AshCallFrame *out_frame);

/* The three texts of a CALL, borrowed: names by agent/workload/call-policy.h, or empty where they may be. A question. */
bool ash_call_frame_read_call(const AshCallFrame *frame, const char **out_service,
		const char **out_argument, const char **out_target);
