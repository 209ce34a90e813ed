/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/tree.h"
#include "lib/progress.h"

/* Writes an ext4 file system into a file, at an offset: no mount, no loop device, no root. ext4.c is
 * the one file that may include ext2fs headers.
 *
 * mke2fs makes the empty file system; its content is then written from a list of inodes by
 * libext2fs, in the list's order: inode numbers and blocks follow from it, every time stamp is the
 * caller's. Thus the same list and options give the same bytes, which 'mke2fs -d' does not promise
 * (docs/decisions/0004-root-file-system-writer.md).
 *
 *	ash_ext4_measure(inodes, free_bytes, &size, &inode_count);
 *	ash_ext4_write(&options, inodes, dirfd, …);
 *
 * Each file is one run of blocks where the free space allows. The `verity` feature is on, 64bit is
 * off. It refuses to know what the files are for.
 */

#define ASH_EXT4_ERROR (ash_ext4_error_quark())
GQuark ash_ext4_error_quark(void);

typedef enum {
	ASH_EXT4_ERROR_FULL,    /* blocks or inodes do not suffice */
	ASH_EXT4_ERROR_CHANGED, /* a source file is not of the size that the list gives */
	ASH_EXT4_ERROR_LIMIT,   /* an attribute, a name or a file is too large for ext4 */
	ASH_EXT4_ERROR_FAILED,  /* what libext2fs says */
} AshExt4Error;

enum {
	ASH_EXT4_BLOCK_BYTES = 4096,
	ASH_EXT4_MAX_LINKS = 60000, /* of a file; the format ends at 65000 */
};

/* A name in a directory. */
typedef struct {
	char *name;
	guint inode; /* index in the list */
} AshExt4Name;

typedef struct {
	AshNodeKind kind;
	uint32_t mode; /* permission bits */
	uint32_t uid;
	uint32_t gid;
	GVariant *xattrs; /* a(ayay), or NULL */
	bool is_immutable;
	uint32_t links;  /* files and links: in how many directories it is named */
	uint64_t size;   /* files */
	char *source;    /* files: path below the directory given to ash_ext4_write */
	GBytes *content; /* files without source */
	char *target;    /* links */
	guint parent;    /* directories: index */
	GArray *names;   /* directories: AshExt4Name, sorted by bytes */
} AshExt4Inode;

AshExt4Inode *ash_ext4_inode_new(AshNodeKind kind, uint32_t mode);
void ash_ext4_inode_free(AshExt4Inode *inode);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshExt4Inode, ash_ext4_inode_free)

typedef struct {
	const char *path;      /* exists */
	uint64_t offset_bytes; /* of the file system in it */
	uint64_t size_bytes;   /* a multiple of the block size */
	uint64_t inode_count;  /* at least; mke2fs rounds up */
	const char *label;     /* at most 16 bytes */
	const char *uuid;      /* text form */
	const char *hash_seed; /* text form of a UUID */
	uint64_t time_s;       /* of every inode and of the superblock; not 0 */
} AshExt4Options;

/* ash_ext4_measure:
 * @inodes: AshExt4Inode; index 0 is the root directory
 *
 * The size of a file system that holds @inodes and leaves at least @free_bytes and as many inodes
 * again, in whole MiB.
 */
void ash_ext4_measure(const GPtrArray *inodes, uint64_t free_bytes, uint64_t *out_size_bytes,
		uint64_t *out_inode_count);

/* ash_ext4_write:
 * @source_dirfd: where AshExt4Inode.source begins
 */
gboolean ash_ext4_write(const AshExt4Options *options, const GPtrArray *inodes, int source_dirfd,
		AshProgress *progress, GError **error) G_GNUC_WARN_UNUSED_RESULT;
