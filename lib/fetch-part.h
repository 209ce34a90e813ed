/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/crypto.h"

/* What has come of a download: the file "DEST.part", or bytes in memory, with the hash of the bytes
 * that are there. For lib/fetch.c only.
 *
 * Two processes may want one file: the .part file is locked, and who finds it locked uses a private
 * one. Both end with a rename of the same content.
 */

typedef struct {
	const char *dest;   /* borrowed; NULL: into memory */
	GByteArray *memory; /* borrowed */
	const char *sha256; /* borrowed; NULL: not known, then nothing is hashed or resumed */
	uint64_t max_bytes;
	char *path; /* what fd was opened by */
	bool is_private;
	int fd;              /* locked; -1: none */
	AshSha256 *hash;     /* of the first @offset bytes; NULL without sha256 */
	uint64_t offset;     /* bytes that are there */
	uint64_t resumed_at; /* of these, from an earlier attempt */
} AshPart;

/* Opens and adopts what an earlier attempt left; in memory there is never anything. Does nothing when
 * it is open already.
 */
gboolean ash_part_open(AshPart *part, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Throws away what is there. */
gboolean ash_part_start_over(AshPart *part, GError **error) G_GNUC_WARN_UNUSED_RESULT;

gboolean ash_part_append(AshPart *part, const void *data, size_t size, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Keeps the file for the next process if that can tell whether it is right, else removes it. */
void ash_part_clear(AshPart *part);

void ash_part_close(AshPart *part);  /* the file stays */
void ash_part_remove(AshPart *part); /* it goes */
