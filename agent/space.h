/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What an update needs on the two file systems, told before anything is written. PURE.
 *
 * The figures are upper bounds from what is signed and from what is on the disk: a refusal that was not
 * necessary costs a clean-up, a disk that fills up in the middle costs more. Nothing is deleted to make
 * room: that is for whoever reads the refusal.
 */

typedef struct {
	uint64_t objects;      /* that are not here yet; 0 when all are */
	uint64_t object_bytes; /* of these, unpacked */
	uint64_t copy_bytes;   /* a private copy of the delta */
	uint64_t dirs, files; /* of the tree: a directory takes an inode and a block, a hard link a name */
	uint64_t etc_bytes,
			etc_inodes; /* of both copies: the defaults, and what may replace them */
	uint64_t boot_bytes;        /* kernel and initramfs; 0 when the ESP has them */
	uint64_t root_bytes, esp_cluster; /* size of the root; bytes of a cluster of the ESP */
} AshSpacePlan;

typedef struct {
	uint64_t root_bytes, root_inodes, esp_bytes;
} AshSpace;

/* An upper bound for what @packed bytes of objects unpack to, of a tree that has @tree_bytes and takes
 * @archive_bytes packed: twice the tree's own ratio, at most the whole tree.
 */
uint64_t ash_space_unpacked(uint64_t packed, uint64_t archive_bytes, uint64_t tree_bytes);

AshSpace ash_space_need(const AshSpacePlan *plan);

/* Fails with ASH_WORKER_ERROR_SPACE: what is needed, what is there, what is to be freed. */
gboolean ash_space_check(const AshSpace *need, const AshSpace *free, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
