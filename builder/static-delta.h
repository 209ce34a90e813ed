/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/* A static delta of OSTree in one file, and one part more for it. PURE. Format: libostree's
 * ostree-repo-static-delta-private.h; every part is a list of operations over a payload.
 *
 * Why: libostree sends a file of which half the blocks are there already as the other blocks. In an
 * initramfs these are whole libraries, and it is the one file that has a bit of everything: a patch of it
 * is a twentieth of that.
 */

typedef struct {
	uint8_t source[32];      /* the file object that is patched; the host has it */
	uint8_t object[32];      /* the one that comes of it */
	uint32_t uid, gid, mode; /* mode: file type included */
	GVariant *xattrs;        /* a(ayay) */
	uint64_t size;
	const GByteArray *patch; /* builder/bsdiff.h */
} AshStaticDeltaFile;

/* ash_static_delta_add: @delta, whose parts are all in it, said to be from the commit @from, with a part
 * that makes @file. What libostree wrote itself is believed.
 */
gboolean ash_static_delta_add(GBytes *delta, const uint8_t from[32], const AshStaticDeltaFile *file,
		GBytes **out_delta, GError **error) G_GNUC_WARN_UNUSED_RESULT;
