/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/ext4.h"

#include <errno.h>
#include <et/com_err.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/spawn.h"

G_DEFINE_QUARK(ash_ext4_error, ash_ext4_error)

enum {
	INODE_BYTES = 256,
	JOURNAL_MIB = 16,
	/* The first inode that is neither reserved nor lost+found. */
	FIRST_INODE = EXT2_GOOD_OLD_FIRST_INO + 1,
	COPY_BYTES = 1 << 20,
	DIR_TAIL_BYTES = sizeof(struct ext2_dir_entry_tail),
	/* A symbolic link this long or longer needs a block. */
	INLINE_TARGET_BYTES = 60,
};

#define MIB ((uint64_t) 1 << 20)

static const char lost_and_found[] = "lost+found";

/* What is open while the inodes are written. */
typedef struct {
	ext2_filsys fs;
	int fd; /* the image, for file data */
	uint64_t offset_bytes;
	uint64_t time_s;
	int source_dirfd;
	const GPtrArray *inodes;
	blk64_t next_block; /* nothing is free below */
	uint8_t *buffer;    /* COPY_BYTES */
} Writer;

/* A run of neighbouring blocks. */
typedef struct {
	blk64_t first;
	uint32_t count;
} Run;

static void writer_clear(Writer *writer)
{
	if (writer->fs != NULL)
		ext2fs_free(writer->fs);
	writer->fs = NULL;
	ash_close_fd(&writer->fd);
	g_clear_pointer(&writer->buffer, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Writer, writer_clear)

static gboolean throw_code(errcode_t code, GError **error, const char *what)
{
	bool is_full = code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL ||
		       code == EXT2_ET_DIR_NO_SPACE;

	return ash_throw(error, ASH_EXT4_ERROR,
			is_full ? ASH_EXT4_ERROR_FULL : ASH_EXT4_ERROR_FAILED, "%s: %s", what,
			error_message(code));
}

AshExt4Inode *ash_ext4_inode_new(AshNodeKind kind, uint32_t mode)
{
	AshExt4Inode *inode = g_new0(AshExt4Inode, 1);

	inode->kind = kind;
	inode->mode = mode;
	if (kind == ASH_NODE_DIR)
		inode->names = g_array_new(FALSE, FALSE, sizeof(AshExt4Name));
	return inode;
}

void ash_ext4_inode_free(AshExt4Inode *inode)
{
	if (inode == NULL)
		return;
	for (guint i = 0; inode->names != NULL && i < inode->names->len; i++)
		g_free(g_array_index(inode->names, AshExt4Name, i).name);
	g_clear_pointer(&inode->names, g_array_unref);
	g_clear_pointer(&inode->xattrs, g_variant_unref);
	g_clear_pointer(&inode->content, g_bytes_unref);
	g_free(inode->source);
	g_free(inode->target);
	g_free(inode);
}

/* ---- sizes --------------------------------------------------------------------------------- */

static uint64_t blocks_of(uint64_t bytes)
{
	return (bytes + ASH_EXT4_BLOCK_BYTES - 1) / ASH_EXT4_BLOCK_BYTES;
}

static unsigned entry_bytes(const char *name)
{
	/* Inode, lengths and type, then the name, in fours. */
	return (unsigned) (8 + strlen(name) + 3) & ~3U;
}

/* How many blocks the names need when they are put in one after the other. */
static uint64_t dir_blocks(const AshExt4Inode *dir)
{
	unsigned used = entry_bytes(".") + entry_bytes("..");
	uint64_t blocks = 1;

	for (guint i = 0; i < dir->names->len; i++) {
		unsigned bytes = entry_bytes(g_array_index(dir->names, AshExt4Name, i).name);
		if (used + bytes > ASH_EXT4_BLOCK_BYTES - DIR_TAIL_BYTES) {
			blocks++;
			used = 0;
		}
		used += bytes;
	}
	return blocks;
}

static uint64_t inode_blocks(const AshExt4Inode *inode)
{
	switch (inode->kind) {
	case ASH_NODE_DIR:
		return dir_blocks(inode);
	case ASH_NODE_FILE:
		return blocks_of(inode->size);
	case ASH_NODE_LINK:
		return strlen(inode->target) >= INLINE_TARGET_BYTES ? 1 : 0;
	default:
		g_assert_not_reached();
	}
}

void ash_ext4_measure(const GPtrArray *inodes, uint64_t free_bytes, uint64_t *out_size_bytes,
		uint64_t *out_inode_count)
{
	uint64_t blocks = blocks_of(free_bytes);
	uint64_t count = 2 * (uint64_t) inodes->len + FIRST_INODE;

	for (guint i = 0; i < inodes->len; i++) {
		const AshExt4Inode *inode = inodes->pdata[i];
		/* Attributes outside of the inode take a block. */
		blocks += inode_blocks(inode) + (inode->xattrs != NULL ? 1 : 0);
	}
	blocks += count * INODE_BYTES / ASH_EXT4_BLOCK_BYTES +
		  JOURNAL_MIB * MIB / ASH_EXT4_BLOCK_BYTES;
	/* Per group of 32768 blocks: two bitmaps, what rounding up its part of the inode table
	 * costs, and at times a copy of the superblock and the descriptors.
	 */
	blocks += (blocks / 32768 + 2) * 16 + 64;
	/* mke2fs wants the journal to be a small part of the whole. */
	blocks = MAX(blocks, 4 * JOURNAL_MIB * MIB / ASH_EXT4_BLOCK_BYTES);
	*out_size_bytes = (blocks_of(blocks * ASH_EXT4_BLOCK_BYTES) * ASH_EXT4_BLOCK_BYTES + MIB -
					  1) /
			  MIB * MIB;
	*out_inode_count = count;
}

/* ---- the empty file system ----------------------------------------------------------------- */

static gboolean make_empty(const AshExt4Options *options, GError **error)
{
	g_autofree char *extended = g_strdup_printf(
			"offset=%" G_GUINT64_FORMAT
			",hash_seed=%s,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,"
			"nodiscard,packed_meta_blocks=1",
			options->offset_bytes, options->hash_seed);
	g_autofree char *inodes = g_strdup_printf("%" G_GUINT64_FORMAT, options->inode_count);
	g_autofree char *journal = g_strdup_printf("size=%d", JOURNAL_MIB);
	g_autofree char *blocks = g_strdup_printf(
			"%" G_GUINT64_FORMAT, options->size_bytes / ASH_EXT4_BLOCK_BYTES);
	/* 1.47.0 reads the first variable, 1.47.2 the second; the machine's own mke2fs.conf is no
	 * business of ours.
	 */
	g_autofree char *fake_time =
			g_strdup_printf("E2FSPROGS_FAKE_TIME=%" G_GUINT64_FORMAT, options->time_s);
	g_autofree char *epoch =
			g_strdup_printf("SOURCE_DATE_EPOCH=%" G_GUINT64_FORMAT, options->time_s);
	const char *env[] = {fake_time, epoch, "MKE2FS_CONFIG=/dev/null", NULL};
	const char *argv[] = {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m",
			"0", "-o", "Linux", "-O",
			"none,has_journal,ext_attr,dir_index,filetype,extent,flex_bg,sparse_super,"
			"large_file,huge_file,dir_nlink,extra_isize,metadata_csum,verity",
			"-G", "16", "-J", journal, "-N", inodes, "-U", options->uuid, "-L",
			options->label, "-E", extended, options->path, blocks, NULL};
	AshSpawn spawn = {.argv = argv, .env = env, .timeout_ms = 300000};

	return ash_spawn_run(&spawn, NULL, error);
}

static gboolean writer_open(Writer *writer, const AshExt4Options *options, GError **error)
{
	g_autofree char *io_options =
			g_strdup_printf("offset=%" G_GUINT64_FORMAT, options->offset_bytes);
	errcode_t code = ext2fs_open2(options->path, io_options, EXT2_FLAG_RW, 0,
			ASH_EXT4_BLOCK_BYTES, unix_io_manager, &writer->fs);

	if (code != 0)
		return throw_code(code, error, options->path);
	code = ext2fs_read_bitmaps(writer->fs);
	if (code != 0)
		return throw_code(code, error, "reading the bitmaps");
	writer->fs->now = (time_t) options->time_s;
	writer->fd = open(options->path, O_RDWR | O_CLOEXEC);
	if (writer->fd < 0)
		return ash_throw_errno(error, "%s", options->path);
	writer->offset_bytes = options->offset_bytes;
	writer->time_s = options->time_s;
	writer->buffer = g_malloc(COPY_BYTES);
	writer->next_block = writer->fs->super->s_first_data_block;
	return TRUE;
}

/* ---- blocks -------------------------------------------------------------------------------- */

/* Takes the next free run of at most @wanted blocks. */
static gboolean take_run(Writer *writer, uint64_t wanted, Run *out_run, GError **error)
{
	ext2fs_block_bitmap map = writer->fs->block_map;
	blk64_t last = ext2fs_blocks_count(writer->fs->super) - 1;
	blk64_t first = 0;
	blk64_t end = 0;
	errcode_t code = ENOENT;

	if (writer->next_block <= last)
		code = ext2fs_find_first_zero_block_bitmap2(map, writer->next_block, last, &first);
	if (code == ENOENT)
		return ash_throw(error, ASH_EXT4_ERROR, ASH_EXT4_ERROR_FULL,
				"the root file system is too small for its content");
	if (code != 0)
		return throw_code(code, error, "searching free blocks");
	/* An extent holds 32768 blocks. */
	blk64_t limit = MIN(first + MIN(wanted, 32768) - 1, last);
	code = ext2fs_find_first_set_block_bitmap2(map, first, limit, &end);
	if (code == ENOENT)
		end = limit + 1;
	else if (code != 0)
		return throw_code(code, error, "searching free blocks");
	out_run->first = first;
	out_run->count = (uint32_t) (end - first);
	ext2fs_block_alloc_stats_range(writer->fs, first, (blk_t) out_run->count, +1);
	writer->next_block = end;
	return TRUE;
}

/* Blocks for @inode, mapped by extents; appends what was taken to @runs. */
static gboolean map_blocks(Writer *writer, ext2_ino_t number, struct ext2_inode *inode,
		uint64_t count, GArray *runs, GError **error)
{
	ext2_extent_handle_t handle = NULL;
	struct ext2fs_extent extent = {0};
	gboolean ok = TRUE;

	errcode_t code = ext2fs_extent_open2(writer->fs, number, inode, &handle);
	if (code != 0)
		return throw_code(code, error, "making an extent tree");
	while (ok && (uint64_t) extent.e_lblk + extent.e_len < count) {
		Run run = {0};
		uint64_t done = (uint64_t) extent.e_lblk + extent.e_len;
		ok = take_run(writer, count - done, &run, error);
		if (!ok)
			break;
		extent.e_lblk = done;
		extent.e_pblk = run.first;
		extent.e_len = run.count;
		extent.e_flags = 0;
		code = ext2fs_extent_insert(handle, EXT2_EXTENT_INSERT_AFTER, &extent);
		if (code != 0)
			ok = throw_code(code, error, "adding an extent");
		g_array_append_val(runs, run);
	}
	ext2fs_extent_free(handle);
	if (!ok)
		return FALSE;
	code = ext2fs_iblk_add_blocks(writer->fs, inode, count);
	return code == 0 ? TRUE : throw_code(code, error, "counting blocks");
}

static gboolean write_at(Writer *writer, const void *data, size_t size, uint64_t at, GError **error)
{
	const uint8_t *bytes = data;

	while (size > 0) {
		ssize_t n = pwrite(writer->fd, bytes, size, (off_t) (writer->offset_bytes + at));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "writing the image");
		bytes += n;
		at += (uint64_t) n;
		size -= (size_t) n;
	}
	return TRUE;
}

/* Fills writer->buffer from @fd up to its size or the end; a regular file gives what is asked. */
static gboolean read_chunk(Writer *writer, int fd, size_t size, GError **error)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, writer->buffer + got, size - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "read");
		if (n == 0)
			return ash_throw(error, ASH_EXT4_ERROR, ASH_EXT4_ERROR_CHANGED,
					"the file is shorter than it was");
		got += (size_t) n;
	}
	return TRUE;
}

/* The blocks behind the file's end were never written, so their rest reads as zeros. */
static gboolean copy_file(
		Writer *writer, const AshExt4Inode *inode, const GArray *runs, GError **error)
{
	ash_autofd int fd = openat(
			writer->source_dirfd, inode->source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint64_t left = inode->size;

	ASH_PREFIX("%s", inode->source);
	if (fd < 0)
		return ash_throw_errno(error, "open");
	for (guint i = 0; i < runs->len; i++) {
		const Run *run = &g_array_index(runs, Run, i);
		uint64_t at = run->first * ASH_EXT4_BLOCK_BYTES;
		uint64_t room = (uint64_t) run->count * ASH_EXT4_BLOCK_BYTES;
		while (room > 0 && left > 0) {
			size_t size = (size_t) MIN(MIN(room, left), COPY_BYTES);
			if (!read_chunk(writer, fd, size, error) ||
					!write_at(writer, writer->buffer, size, at, error))
				return FALSE;
			at += size;
			room -= size;
			left -= size;
		}
	}
	if (read(fd, writer->buffer, 1) != 0)
		return ash_throw(error, ASH_EXT4_ERROR, ASH_EXT4_ERROR_CHANGED,
				"the file is longer than it was");
	return TRUE;
}

static gboolean write_bytes(
		Writer *writer, const void *data, size_t size, const GArray *runs, GError **error)
{
	const uint8_t *bytes = data;

	for (guint i = 0; i < runs->len; i++) {
		const Run *run = &g_array_index(runs, Run, i);
		size_t part = MIN(size, (size_t) run->count * ASH_EXT4_BLOCK_BYTES);
		if (!write_at(writer, bytes, part, run->first * ASH_EXT4_BLOCK_BYTES, error))
			return FALSE;
		bytes += part;
		size -= part;
	}
	return TRUE;
}

/* ---- inodes -------------------------------------------------------------------------------- */

static ext2_ino_t number_of(guint index)
{
	return index == 0 ? EXT2_ROOT_INO : FIRST_INODE + index - 1;
}

static void set_times(struct ext2_inode_large *raw, uint64_t time_s)
{
	uint32_t low = (uint32_t) time_s;
	/* The two bits above 32 of seconds that count from 1970, signed. */
	uint32_t high = (uint32_t) (((int64_t) time_s - (int32_t) low) >> 32) & 3;

	raw->i_atime = raw->i_ctime = raw->i_mtime = raw->i_crtime = low;
	raw->i_atime_extra = raw->i_ctime_extra = raw->i_mtime_extra = raw->i_crtime_extra = high;
}

static void fill_inode(const Writer *writer, const AshExt4Inode *inode, uint32_t links,
		struct ext2_inode_large *raw)
{
	static const uint16_t types[] = {
			[ASH_NODE_DIR] = LINUX_S_IFDIR,
			[ASH_NODE_FILE] = LINUX_S_IFREG,
			[ASH_NODE_LINK] = LINUX_S_IFLNK,
	};

	raw->i_mode = (uint16_t) (types[inode->kind] | (inode->mode & 07777));
	raw->i_uid = (uint16_t) inode->uid;
	raw->i_gid = (uint16_t) inode->gid;
	raw->osd2.linux2.l_i_uid_high = (uint16_t) (inode->uid >> 16);
	raw->osd2.linux2.l_i_gid_high = (uint16_t) (inode->gid >> 16);
	raw->i_links_count = (uint16_t) links;
	raw->i_extra_isize = sizeof *raw - EXT2_GOOD_OLD_INODE_SIZE;
	raw->i_flags = inode->is_immutable ? EXT2_IMMUTABLE_FL : 0;
	set_times(raw, writer->time_s);
}

static gboolean write_inode(
		Writer *writer, ext2_ino_t number, struct ext2_inode_large *raw, GError **error)
{
	errcode_t code = ext2fs_write_inode_full(
			writer->fs, number, EXT2_INODE(raw), (int) sizeof *raw);

	return code == 0 ? TRUE : throw_code(code, error, "writing an inode");
}

static gboolean set_xattrs(Writer *writer, ext2_ino_t number, GVariant *xattrs, GError **error)
{
	struct ext2_xattr_handle *handle = NULL;
	GVariantIter iter;
	GVariant *name = NULL;
	GVariant *value = NULL;

	errcode_t code = ext2fs_xattrs_open(writer->fs, number, &handle);
	if (code != 0)
		return throw_code(code, error, "opening extended attributes");
	g_variant_iter_init(&iter, xattrs);
	while (code == 0 && g_variant_iter_next(&iter, "(@ay@ay)", &name, &value)) {
		gsize size = 0;
		const void *data = g_variant_get_fixed_array(value, &size, 1);
		code = ext2fs_xattr_set(handle, g_variant_get_bytestring(name), data, size);
		g_clear_pointer(&name, g_variant_unref);
		g_clear_pointer(&value, g_variant_unref);
	}
	if (code == 0)
		code = ext2fs_xattrs_write(handle);
	ext2fs_xattrs_close(&handle);
	if (code == EXT2_ET_EA_NO_SPACE || code == EXT2_ET_EA_INODE_CORRUPTED ||
			code == EXT2_ET_FILE_TOO_BIG)
		return ash_throw(error, ASH_EXT4_ERROR, ASH_EXT4_ERROR_LIMIT,
				"the extended attributes do not fit into one block");
	return code == 0 ? TRUE : throw_code(code, error, "writing extended attributes");
}

/* ---- directories --------------------------------------------------------------------------- */

/* Puts entries one after the other into blocks. */
typedef struct {
	Writer *writer;
	ext2_ino_t number;
	const GArray *blocks; /* Run */
	guint run;
	uint32_t in_run;
	uint8_t *data;
	unsigned used;
	unsigned last; /* offset of the last entry */
} DirWriter;

static const unsigned dir_room = ASH_EXT4_BLOCK_BYTES - DIR_TAIL_BYTES;

/* The last entry of a block reaches to its end, or rather to the checksum there. */
static gboolean dir_flush(DirWriter *dir, GError **error)
{
	const Run *run = &g_array_index(dir->blocks, Run, dir->run);
	struct ext2_dir_entry *last = (struct ext2_dir_entry *) (void *) (dir->data + dir->last);

	last->rec_len = (uint16_t) (dir_room - dir->last);
	ext2fs_initialize_dirent_tail(dir->writer->fs,
			(struct ext2_dir_entry_tail *) (void *) (dir->data + dir_room));
	errcode_t code = ext2fs_write_dir_block4(
			dir->writer->fs, run->first + dir->in_run, dir->data, 0, dir->number);
	if (code != 0)
		return throw_code(code, error, "writing a directory");
	if (++dir->in_run == run->count) {
		dir->run++;
		dir->in_run = 0;
	}
	memset(dir->data, 0, ASH_EXT4_BLOCK_BYTES);
	dir->used = 0;
	return TRUE;
}

static gboolean dir_add(
		DirWriter *dir, const char *name, ext2_ino_t number, int file_type, GError **error)
{
	unsigned bytes = entry_bytes(name);

	if (dir->used + bytes > dir_room && !dir_flush(dir, error))
		return FALSE;
	struct ext2_dir_entry *entry = (struct ext2_dir_entry *) (void *) (dir->data + dir->used);
	size_t length = strlen(name);
	entry->inode = number;
	entry->rec_len = (uint16_t) bytes;
	entry->name_len = (uint16_t) (length | (unsigned) file_type << 8);
	memcpy(entry->name, name, length);
	dir->last = dir->used;
	dir->used += bytes;
	return TRUE;
}

static gboolean dir_add_all(DirWriter *dir, guint index, GError **error)
{
	static const int types[] = {
			[ASH_NODE_DIR] = EXT2_FT_DIR,
			[ASH_NODE_FILE] = EXT2_FT_REG_FILE,
			[ASH_NODE_LINK] = EXT2_FT_SYMLINK,
	};
	const AshExt4Inode *inode = dir->writer->inodes->pdata[index];

	if (!dir_add(dir, ".", number_of(index), EXT2_FT_DIR, error) ||
			!dir_add(dir, "..", number_of(inode->parent), EXT2_FT_DIR, error))
		return FALSE;
	for (guint i = 0; i < inode->names->len; i++) {
		const AshExt4Name *name = &g_array_index(inode->names, AshExt4Name, i);
		const AshExt4Inode *child = dir->writer->inodes->pdata[name->inode];
		if (!dir_add(dir, name->name, number_of(name->inode), types[child->kind], error))
			return FALSE;
	}
	if (index == 0 &&
			!dir_add(dir, lost_and_found, EXT2_GOOD_OLD_FIRST_INO, EXT2_FT_DIR, error))
		return FALSE;
	return dir_flush(dir, error);
}

static gboolean write_dir_blocks(Writer *writer, guint index, const GArray *runs, GError **error)
{
	g_autofree uint8_t *data = g_malloc0(ASH_EXT4_BLOCK_BYTES);
	DirWriter dir = {
			.writer = writer, .number = number_of(index), .blocks = runs, .data = data};

	return dir_add_all(&dir, index, error);
}

static uint32_t dir_links(const Writer *writer, guint index)
{
	const AshExt4Inode *inode = writer->inodes->pdata[index];
	/* ".", the name in its parent, and in the root lost+found's "..". */
	uint32_t links = index == 0 ? 3 : 2;

	for (guint i = 0; i < inode->names->len; i++) {
		const AshExt4Name *name = &g_array_index(inode->names, AshExt4Name, i);
		const AshExt4Inode *child = writer->inodes->pdata[name->inode];
		links += child->kind == ASH_NODE_DIR ? 1 : 0;
	}
	/* dir_nlink: 1 stands for "too many to count". */
	return links < 65000 ? links : 1;
}

/* The root directory has its inode and one block from mke2fs. */
static gboolean write_root(Writer *writer, GError **error)
{
	const AshExt4Inode *root = writer->inodes->pdata[0];
	g_autoptr(GArray) runs = g_array_new(FALSE, FALSE, sizeof(Run));
	struct ext2_inode_large raw = {0};
	Run run = {.count = 1};

	errcode_t code = ext2fs_read_inode_full(
			writer->fs, EXT2_ROOT_INO, EXT2_INODE(&raw), (int) sizeof raw);
	if (code == 0)
		code = ext2fs_bmap2(writer->fs, EXT2_ROOT_INO, EXT2_INODE(&raw), NULL, 0, 0, NULL,
				&run.first);
	if (code != 0)
		return throw_code(code, error, "reading the root directory");
	if (dir_blocks(root) > 1)
		return ash_throw(error, ASH_EXT4_ERROR, ASH_EXT4_ERROR_LIMIT,
				"the root directory has too many entries");
	g_array_append_val(runs, run);
	uint32_t flags = raw.i_flags;
	fill_inode(writer, root, dir_links(writer, 0), &raw);
	raw.i_flags |= flags;
	if (!write_inode(writer, EXT2_ROOT_INO, &raw, error) ||
			!write_dir_blocks(writer, 0, runs, error))
		return FALSE;
	return root->xattrs == NULL || set_xattrs(writer, EXT2_ROOT_INO, root->xattrs, error);
}

/* ---- one inode of each kind ---------------------------------------------------------------- */

static void set_inline_target(struct ext2_inode_large *raw, const char *target)
{
	memcpy(raw->i_block, target, strlen(target));
	raw->i_size = (uint32_t) strlen(target);
}

static gboolean write_content(Writer *writer, guint index, const GArray *runs, GError **error)
{
	const AshExt4Inode *inode = writer->inodes->pdata[index];

	if (inode->kind == ASH_NODE_DIR)
		return write_dir_blocks(writer, index, runs, error);
	if (inode->kind == ASH_NODE_LINK)
		return write_bytes(writer, inode->target, strlen(inode->target), runs, error);
	if (inode->source != NULL)
		return copy_file(writer, inode, runs, error);
	gsize size = 0;
	const void *data = g_bytes_get_data(inode->content, &size);
	return write_bytes(writer, data, size, runs, error);
}

static gboolean write_one(Writer *writer, guint index, GArray *runs, GError **error)
{
	const AshExt4Inode *inode = writer->inodes->pdata[index];
	bool is_dir = inode->kind == ASH_NODE_DIR;
	ext2_ino_t number = number_of(index);
	uint64_t blocks = inode_blocks(inode);
	struct ext2_inode_large raw = {0};

	if (number > writer->fs->super->s_inodes_count)
		return ash_throw(error, ASH_EXT4_ERROR, ASH_EXT4_ERROR_FULL,
				"the root file system has too few inodes");
	ext2fs_inode_alloc_stats2(writer->fs, number, +1, is_dir);
	fill_inode(writer, inode, is_dir ? dir_links(writer, index) : inode->links, &raw);
	g_array_set_size(runs, 0);
	if (inode->kind == ASH_NODE_LINK && blocks == 0) {
		set_inline_target(&raw, inode->target);
	} else {
		uint64_t size = is_dir                         ? blocks * ASH_EXT4_BLOCK_BYTES
				: inode->kind == ASH_NODE_LINK ? strlen(inode->target)
							       : inode->size;
		errcode_t code = ext2fs_inode_size_set(
				writer->fs, EXT2_INODE(&raw), (ext2_off64_t) size);
		if (code != 0)
			return throw_code(code, error, "setting a size");
		if (!map_blocks(writer, number, EXT2_INODE(&raw), blocks, runs, error))
			return FALSE;
	}
	if (!write_inode(writer, number, &raw, error) ||
			(runs->len > 0 && !write_content(writer, index, runs, error)))
		return FALSE;
	return inode->xattrs == NULL || set_xattrs(writer, number, inode->xattrs, error);
}

static uint64_t sum_sizes(const GPtrArray *inodes)
{
	uint64_t sum = 0;

	for (guint i = 0; i < inodes->len; i++)
		sum += ((const AshExt4Inode *) inodes->pdata[i])->size;
	return sum;
}

gboolean ash_ext4_write(const AshExt4Options *options, const GPtrArray *inodes, int source_dirfd,
		AshProgress *progress, GError **error)
{
	g_auto(Writer) writer = {.fd = -1, .inodes = inodes, .source_dirfd = source_dirfd};
	g_autoptr(GArray) runs = g_array_new(FALSE, FALSE, sizeof(Run));
	uint64_t total = sum_sizes(inodes);
	uint64_t done = 0;

	ASH_PREFIX("root file system");
	g_assert(inodes->len > 0 && options->time_s != 0);
	if (!make_empty(options, error) || !writer_open(&writer, options, error))
		return FALSE;
	for (guint i = 1; i < inodes->len; i++) {
		if (!ash_interrupt_check(error) || !write_one(&writer, i, runs, error))
			return FALSE;
		done += ((const AshExt4Inode *) inodes->pdata[i])->size;
		if (i % 256 == 0)
			ash_progress_update(progress, done, total, ASH_PROGRESS_UNIT_BYTES);
	}
	if (!write_root(&writer, error))
		return FALSE;
	errcode_t code = ext2fs_close_free(&writer.fs);
	return code == 0 ? TRUE : throw_code(code, error, "writing the superblock");
}
