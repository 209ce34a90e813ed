/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/workload/image-tree.h"
#include "lib/archive.h"

/* One layer of an image, a tar that anybody may have made, into objects and a tree (agent/workload/image-tree.h).
 * PURE but for the store that it is given.
 *
 * What a path of the tar says is looked up in the layer's own tree and nowhere else: "/etc/x" and "./etc/x" are
 * "etc/x"; ".." in a path is refused; a link on the way is followed inside the tree. What a later entry says rules
 * over an earlier one. Kept are files, directories, links, hard links, owners, modes, and of extended attributes
 * user.* and security.capability: others are of the machine that made the layer, or of this one. Devices, pipes and sockets
 * are left out and counted: a workload gets those that it is granted.
 *
 * Refused: names that are not UTF-8 or longer than ASH_IMAGE_MAX_NAME_BYTES, more than ASH_IMAGE_MAX_FILES entries,
 * more bytes than the caller allows, hard links to directories, a file as a directory.
 */

enum {
	ASH_LAYER_MAX_XATTRS = 32, /* of one file */
	ASH_LAYER_MAX_XATTR_BYTES =
			2 << 10, /* all of them: what a file system has room for in a block */
	ASH_LAYER_MAX_NAMED = 4, /* of what was left out, by name */
};

/* What was left out; to be said. */
typedef struct {
	uint64_t devices, xattrs;
	GPtrArray *names; /* of the first devices */
} AshLayerNotes;

void ash_layer_notes_init(AshLayerNotes *notes);
void ash_layer_notes_clear(AshLayerNotes *notes);

/* @source: the tar, not compressed; it is read up to its end of archive, not further.
 * @max_bytes: of all files. *out_bytes: what they have.
 * ASH_IMAGE_ERROR_*, ASH_ARCHIVE_ERROR_*, and those of @store and @source.
 */
gboolean ash_layer_unpack(AshArchiveSource source, gpointer data, uint64_t max_bytes,
		const AshImageStore *store, AshLayerNotes *notes, AshImageTree **out_tree,
		uint64_t *out_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;
