/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/image-tar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"

enum {
	BLOCK_BYTES = 512,
	/* What a ustar number of eight or twelve characters holds. */
	MAX_ID = 07777777,
};

#define MAX_SIZE UINT64_C(077777777777)

/* The header of POSIX 1003.1 ustar. */
typedef struct {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char target[100];
	char magic[6];
	char version[2];
	char user[32];
	char group[32];
	char device_major[8];
	char device_minor[8];
	char prefix[155];
	char rest[12];
} Header;

G_STATIC_ASSERT(sizeof(Header) == BLOCK_BYTES);

typedef struct {
	AshRepo *repo;
	int fd;
	uint64_t time_s;
} Tar;

static void put_number(char *field, size_t width, uint64_t value)
{
	g_autofree char *text = g_strdup_printf("%0*" PRIo64, (int) width - 1, value);

	/* What does not fit is in a pax record, which wins. */
	if (strlen(text) < width)
		memcpy(field, text, width);
	else
		memset(field, '0', width - 1);
}

static void put_text(char *field, size_t width, const char *text)
{
	memcpy(field, text, MIN(width, strlen(text)));
}

static gboolean pad(const Tar *tar, uint64_t size, GError **error)
{
	static const char zeros[BLOCK_BYTES];
	size_t rest = (size_t) (size % BLOCK_BYTES);

	return rest == 0 || ash_file_write_all(tar->fd, zeros, BLOCK_BYTES - rest, error);
}

static gboolean write_header(const Tar *tar, char type, const char *path, const AshNode *node,
		uint64_t size, GError **error)
{
	Header header = {0};
	unsigned sum = 0;

	put_text(header.name, sizeof header.name, path);
	put_number(header.mode, sizeof header.mode, node->mode & 07777);
	put_number(header.uid, sizeof header.uid, node->uid);
	put_number(header.gid, sizeof header.gid, node->gid);
	put_number(header.size, sizeof header.size, size);
	put_number(header.mtime, sizeof header.mtime, tar->time_s);
	header.type = type;
	if (type == '2')
		put_text(header.target, sizeof header.target, node->target);
	memcpy(header.magic, "ustar", 6);
	memcpy(header.version, "00", 2);
	memset(header.checksum, ' ', sizeof header.checksum);
	for (size_t i = 0; i < sizeof header; i++)
		sum += ((const unsigned char *) &header)[i];
	g_snprintf(header.checksum, sizeof header.checksum, "%06o", sum);
	return ash_file_write_all(tar->fd, &header, sizeof header, error);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void add_record(GByteArray *records, const char *key, const void *value, size_t size)
{
	size_t rest = strlen(key) + size + 3;
	size_t length = rest + 1;

	for (;;) {
		g_autofree char *digits = g_strdup_printf("%zu", length);
		if (strlen(digits) + rest == length)
			break;
		length = strlen(digits) + rest;
	}
	g_autofree char *head = g_strdup_printf("%zu %s=", length, key);
	g_byte_array_append(records, (const guint8 *) head, (guint) strlen(head));
	g_byte_array_append(records, value, (guint) size);
	g_byte_array_append(records, (const guint8 *) "\n", 1);
}

static void add_number(GByteArray *records, const char *key, uint64_t value, uint64_t max)
{
	if (value <= max)
		return;
	g_autofree char *text = g_strdup_printf("%" PRIu64, value);
	add_record(records, key, text, strlen(text));
}

static void add_xattrs(GByteArray *records, GVariant *xattrs)
{
	for (gsize i = 0; xattrs != NULL && i < g_variant_n_children(xattrs); i++) {
		g_autoptr(GVariant) name = NULL;
		g_autoptr(GVariant) value = NULL;
		gsize size = 0;
		g_variant_get_child(xattrs, i, "(@ay@ay)", &name, &value);
		g_autofree char *key =
				g_strconcat("SCHILY.xattr.", g_variant_get_bytestring(name), NULL);
		const void *data = g_variant_get_fixed_array(value, &size, 1);
		add_record(records, key, data, size);
	}
}

/* What the plain header cannot say goes in front of it. */
static gboolean write_records(const Tar *tar, const char *path, const AshNode *node, uint64_t size,
		GError **error)
{
	g_autoptr(GByteArray) records = g_byte_array_new();
	const AshNode plain = {.mode = 0644};

	if (strlen(path) > sizeof((Header *) NULL)->name)
		add_record(records, "path", path, strlen(path));
	if (node->kind == ASH_NODE_LINK && strlen(node->target) > sizeof((Header *) NULL)->target)
		add_record(records, "linkpath", node->target, strlen(node->target));
	add_number(records, "uid", node->uid, MAX_ID);
	add_number(records, "gid", node->gid, MAX_ID);
	add_number(records, "size", size, MAX_SIZE);
	add_xattrs(records, node->xattrs);
	if (records->len == 0)
		return TRUE;
	return write_header(tar, 'x', "././@PaxHeader", &plain, records->len, error) &&
	       ash_file_write_all(tar->fd, records->data, records->len, error) &&
	       pad(tar, records->len, error);
}

static gboolean write_entry(const char *path, AshNode *node, gpointer data, GError **error)
{
	static const char types[] = {
			[ASH_NODE_DIR] = '5', [ASH_NODE_FILE] = '0', [ASH_NODE_LINK] = '2'};
	const Tar *tar = data;
	uint64_t size = node->kind == ASH_NODE_FILE ? node->size : 0;
	g_autofree char *name = g_strconcat(
			".", path, node->kind == ASH_NODE_DIR && path[1] != '\0' ? "/" : "", NULL);
	ash_autofd int fd = -1;

	if (!ash_interrupt_check(error) || !write_records(tar, name, node, size, error) ||
			!write_header(tar, types[node->kind], name, node, size, error))
		return FALSE;
	if (node->kind != ASH_NODE_FILE)
		return TRUE;
	return ash_repo_open_file(tar->repo, node, &fd, error) &&
	       ash_file_copy_fd(fd, tar->fd, error) && pad(tar, size, error);
}

gboolean ash_image_tar_write(AshRepo *repo, AshTree *tree, uint64_t time_s, int fd, GError **error)
{
	static const char end[2 * BLOCK_BYTES];
	Tar tar = {.repo = repo, .fd = fd, .time_s = time_s};

	ASH_PREFIX("tar archive");
	if (ash_tree_find(tree, "/etc") == NULL) {
		AshNode *etc = ash_tree_steal(tree, "/usr/etc");
		if (etc != NULL && !ash_tree_insert(tree, "/etc", etc, error))
			return FALSE;
	}
	return ash_tree_walk(tree, write_entry, &tar, error) &&
	       ash_file_write_all(fd, end, sizeof end, error);
}
