/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "builder/repo.h"
#include "builder/tree.h"
#include "lib/target.h"

/* What the commits of a publication weigh: as trees on a host, and as objects on the wire. */

/* What a plain pull moves. */
typedef struct {
	uint64_t objects;
	uint64_t bytes;
	uint64_t largest_bytes;
} AshContentSize;

/* @archive: of mode archive, with @commit in it. @from: a commit that the host has, or NULL. */
gboolean ash_content_measure(AshRepo *archive, const char *commit, const char *from,
		AshContentSize *out_size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Sets @release's bytes, inodes and boot_bytes: bytes in blocks of 4096, a file that is there several
 * times once; inodes of files, links and directories; the kernel and the initramfs.
 */
void ash_content_measure_tree(const AshTree *tree, AshRelease *release);

/* Where OSTree keeps a delta below a repository: "deltas/AB/CDEF…-…/superblock". */
char *ash_content_delta_path(const char *from, const char *to);

/* ash_content_make_delta: the delta from @from to @to in @archive; one that is there already is taken as
 * it is, since its hash may be published. NULL when plain objects are not larger: then none is kept.
 * On disk, synced, under its name when whole.
 */
gboolean ash_content_make_delta(AshRepo *archive, const char *from, const char *to,
		AshTargetDelta **out_delta, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The file of the object @name, as ash_repo_list_objects has it, below an archive. */
char *ash_content_object_path(const char *name);
