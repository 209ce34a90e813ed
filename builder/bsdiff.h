/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/* What turns one file into another, by the method of Colin Percival ("Naive differences of executable
 * code"), in the form that OSTree's static deltas hold it. PURE.
 *
 * A stream of steps; each has three numbers of 8 bytes (little-endian, the highest bit is the sign): bytes
 * to add to as many of the old file, bytes to take as they are, and how far to go in the old file then;
 * and these bytes. Code that moved differs in the addresses it names, at most: the bytes to add are zeros
 * nearly all, which a compressor makes little of.
 *
 * Where the same bytes are in the old file is looked up in a table of hashes, not in a suffix array: it
 * is faster and smaller, and may miss matches that OSTree's own finds.
 */

enum {
	ASH_BSDIFF_MAX_BYTES = 1 << 30, /* of either file; the caller sees to it */
};

/* Appends to @out. Takes time in proportion to the sizes, and 4 bytes for each of the old file's. */
void ash_bsdiff(const uint8_t *from, size_t from_size, const uint8_t *to, size_t to_size,
		GByteArray *out);
