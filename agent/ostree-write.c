/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/ostree-private.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	HEX = OSTREE_SHA256_STRING_LEN,
	HEAD_BYTES = 26,        /* what is hashed before the bytes of a file without attributes */
	SMALL_BYTES = 1 << 20,  /* up to here a file is hashed before it is written */
	EARLY_BYTES = 64 << 10, /* from here on its writing begins at once */
};

/* ---- objects ----------------------------------------------------------------------------------- */

/* Files are written here and not by libostree: where that was compiled without a library for hashes, most of the
 * time goes into GLib's SHA-256, which is four times slower than the processor's own (docs/performance.md). The
 * bytes that are hashed are those of libostree's ostree_raw_file_to_content_stream; `ostree fsck` in the tests compares.
 *
 * Until the transaction ends they wait in tmp/ashlar-staged; what a process that died has left there goes when the
 * next begins.
 */
#define STAGED "tmp/ashlar-staged"

static gboolean open_staged(AshOstree *repo, GError **error)
{
	int repo_fd = ostree_repo_get_dfd(repo->ostree);

	if (repo->staged != NULL)
		return TRUE;
	if (!ash_file_remove_tree(repo_fd, STAGED, error) ||
			!ash_file_ensure_dir(repo_fd, STAGED, 0700, error))
		return FALSE;
	repo->staged_fd = openat(repo_fd, STAGED, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (repo->staged_fd < 0)
		return ash_throw_errno(error, "ostree/repo/" STAGED);
	repo->small = g_malloc(HEAD_BYTES + SMALL_BYTES);
	repo->staged = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	return TRUE;
}

void ash_ostree_drop_staged(AshOstree *repo)
{
	g_autoptr(GError) local = NULL;

	if (repo->staged == NULL)
		return;
	g_clear_pointer(&repo->staged, g_hash_table_unref);
	g_clear_pointer(&repo->small, g_free);
	ash_close_fd(&repo->staged_fd);
	if (!ash_file_remove_tree(ostree_repo_get_dfd(repo->ostree), STAGED, &local))
		g_debug("leaving " STAGED ": %s", local->message);
}

gboolean ash_ostree_publish_staged(AshOstree *repo, GError **error)
{
	int repo_fd = ostree_repo_get_dfd(repo->ostree);
	GHashTableIter iter;
	gpointer hex;

	if (repo->staged == NULL)
		return TRUE;
	/* A name must not be there before what it names: who finds an object believes it. */
	if (syncfs(repo_fd) < 0)
		return ash_throw_errno(error, "syncing the repository");
	g_hash_table_iter_init(&iter, repo->staged);
	while (g_hash_table_iter_next(&iter, &hex, NULL)) {
		g_autofree char *dir = g_strdup_printf("objects/%.2s", (const char *) hex);
		g_autofree char *path = g_strdup_printf("%s/%s.file", dir, (const char *) hex + 2);
		if (renameat(repo->staged_fd, hex, repo_fd, path) == 0)
			continue;
		if (errno != ENOENT)
			return ash_throw_errno(error, "rename(%s)", path);
		if (mkdirat(repo_fd, dir, 0755) < 0 && errno != EEXIST)
			return ash_throw_errno(error, "mkdir(%s)", dir);
		if (renameat(repo->staged_fd, hex, repo_fd, path) < 0)
			return ash_throw_errno(error, "rename(%s)", path);
	}
	ash_ostree_drop_staged(repo);
	return TRUE;
}

/* The variant (uuuusa(ayay)) of its owner, its size before it, and what brings it to where a variant may begin. Without
 * attributes that is four numbers, an empty text, no array, and where the text ends.
 */
static void put_head(const AshOstreeOwner *owner, uint8_t head[HEAD_BYTES])
{
	const uint32_t numbers[6] = {GUINT32_TO_BE(HEAD_BYTES - 8), 0, GUINT32_TO_BE(owner->uid),
			GUINT32_TO_BE(owner->gid), GUINT32_TO_BE(S_IFREG | owner->mode), 0};

	memcpy(head, numbers, sizeof numbers);
	head[24] = 0;
	head[25] = 17;
}

static AshSha256 *begin_hash(const AshOstreeOwner *owner)
{
	AshSha256 *hash = ash_sha256_new();

	if (owner->xattrs == NULL) {
		uint8_t whole[HEAD_BYTES];
		put_head(owner, whole);
		ash_sha256_update(hash, whole, sizeof whole);
		return hash;
	}
	g_autoptr(GVariant) header = g_variant_ref_sink(g_variant_new("(uuuus@a(ayay))",
			GUINT32_TO_BE(owner->uid), GUINT32_TO_BE(owner->gid),
			GUINT32_TO_BE(S_IFREG | owner->mode), 0, "", owner->xattrs));
	const uint32_t head[2] = {GUINT32_TO_BE((uint32_t) g_variant_get_size(header)), 0};
	ash_sha256_update(hash, head, sizeof head);
	ash_sha256_update(hash, g_variant_get_data(header), g_variant_get_size(header));
	return hash;
}

/* Calls @take with each piece; together they are to have @size bytes. */
typedef gboolean (*TakePiece)(gpointer data, const void *piece, size_t bytes, GError **error);

static gboolean read_pieces(uint64_t size, AshOstreeSource source, gpointer source_data,
		TakePiece take, gpointer data, GError **error)
{
	uint64_t total = 0;

	for (;;) {
		const void *piece = NULL;
		size_t bytes = 0;
		if (!source(source_data, &piece, &bytes, error))
			return FALSE;
		total += bytes;
		if (bytes == 0 || total > size)
			break;
		if (!take(data, piece, bytes, error))
			return FALSE;
	}
	if (total != size)
		return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
				"has another size than the %" G_GUINT64_FORMAT " bytes it says",
				size);
	return TRUE;
}

/* The owner before the mode, which a change of owner takes bits from; attributes between them: capabilities go with the owner. */
static gboolean set_owner(int fd, const AshOstreeOwner *owner, GError **error)
{
	const struct timespec times[2] = {{0}};
	gsize count = owner->xattrs != NULL ? g_variant_n_children(owner->xattrs) : 0;

	if ((owner->uid != geteuid() || owner->gid != getegid()) &&
			fchown(fd, owner->uid, owner->gid) < 0)
		return ash_throw_errno(error, "fchown");
	for (gsize i = 0; i < count; i++) {
		g_autoptr(GVariant) pair = g_variant_get_child_value(owner->xattrs, i);
		g_autoptr(GVariant) name = g_variant_get_child_value(pair, 0);
		g_autoptr(GVariant) value = g_variant_get_child_value(pair, 1);
		if (fsetxattr(fd, g_variant_get_bytestring(name), g_variant_get_data(value),
				    g_variant_get_size(value), 0) < 0)
			return ash_throw_errno(
					error, "attribute '%s'", g_variant_get_bytestring(name));
	}
	if (fchmod(fd, owner->mode) < 0 || futimens(fd, times) < 0)
		return ash_throw_errno(error, "fchmod");
	return TRUE;
}

/* Is the object there, or waiting? */
static gboolean is_known(AshOstree *repo, const char *hex, bool *out_is, GError **error)
{
	g_autofree char *path = g_strdup_printf("objects/%.2s/%s.file", hex, hex + 2);

	*out_is = true;
	return g_hash_table_contains(repo->staged, hex) ||
	       ash_file_exists(ostree_repo_get_dfd(repo->ostree), path, out_is, error);
}

/* Gives the file its owner. The disk may work on it while the next ones come; _publish_staged waits for that. */
static gboolean finish_file(int fd, const AshOstreeOwner *owner, uint64_t size, GError **error)
{
	if (!set_owner(fd, owner, error))
		return FALSE;
	/* Only a beginning: where that cannot be, nothing is lost. */
	if (size >= EARLY_BYTES && sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE) < 0)
		g_debug("sync_file_range: %s", g_strerror(errno));
	return TRUE;
}

/* ---- small files: hashed in memory, and only written when they are new ---- */

/* TakePiece; the end of what is filled */
static gboolean fill(gpointer data, const void *piece, size_t bytes, GError **error)
{
	uint8_t **end = data;

	memcpy(*end, piece, bytes);
	*end += bytes;
	return TRUE;
}

static gboolean write_small(AshOstree *repo, const AshOstreeOwner *owner, uint64_t size,
		const char *hex, GError **error)
{
	ash_autofd int fd = openat(repo->staged_fd, hex,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return ash_throw_errno(error, "ostree/repo/" STAGED "/%s", hex);
	if (ash_file_write_all(fd, repo->small + HEAD_BYTES, size, error) &&
			finish_file(fd, owner, size, error)) {
		g_hash_table_add(repo->staged, g_strdup(hex));
		return TRUE;
	}
	/* Best effort: the directory goes when the transaction ends. */
	unlinkat(repo->staged_fd, hex, 0);
	return FALSE;
}

static gboolean make_small(AshOstree *repo, const AshOstreeOwner *owner, uint64_t size,
		AshOstreeSource source, gpointer data, char **out_hex, GError **error)
{
	uint8_t *end = repo->small + HEAD_BYTES;
	bool is_there = false;

	if (!read_pieces(size, source, data, fill, &end, error))
		return FALSE;
	put_head(owner, repo->small);
	g_autofree char *hex = ash_sha256_hex(repo->small, HEAD_BYTES + size);
	if (!is_known(repo, hex, &is_there, error) ||
			(!is_there && !write_small(repo, owner, size, hex, error)))
		return FALSE;
	*out_hex = g_steal_pointer(&hex);
	return TRUE;
}

/* ---- others: written and hashed as they come, and without a name until that is known ---- */

typedef struct {
	int fd;
	AshSha256 *hash;
} Pour;

/* TakePiece */
static gboolean pour(gpointer data, const void *piece, size_t bytes, GError **error)
{
	const Pour *to = data;

	ash_sha256_update(to->hash, piece, bytes);
	return ash_file_write_all(to->fd, piece, bytes, error);
}

static gboolean make_large(AshOstree *repo, const AshOstreeOwner *owner, uint64_t size,
		AshOstreeSource source, gpointer data, char **out_hex, GError **error)
{
	uint8_t digest[ASH_SHA256_BYTES];
	bool is_there = false;
	g_autoptr(AshSha256) hash = begin_hash(owner);
	ash_autofd int fd = openat(repo->staged_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd < 0)
		return ash_throw_errno(error, "a temporary file in ostree/repo/" STAGED);
	Pour to = {.fd = fd, .hash = hash};
	if (!read_pieces(size, source, data, pour, &to, error))
		return FALSE;
	ash_sha256_finish(g_steal_pointer(&hash), digest);
	g_autofree char *hex = ash_sha256_format(digest);
	if (!is_known(repo, hex, &is_there, error))
		return FALSE;
	if (!is_there) {
		g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", fd);
		if (!finish_file(fd, owner, size, error))
			return FALSE;
		if (linkat(AT_FDCWD, self, repo->staged_fd, hex, AT_SYMLINK_FOLLOW) < 0)
			return ash_throw_errno(error, "linkat(%s)", hex);
		g_hash_table_add(repo->staged, g_strdup(hex));
	}
	*out_hex = g_steal_pointer(&hex);
	return TRUE;
}

gboolean ash_ostree_make_file(AshOstree *repo, const AshOstreeOwner *owner, uint64_t size,
		AshOstreeSource source, gpointer data, char **out_hex, GError **error)
{
	g_assert(repo->in_transaction);
	if (!open_staged(repo, error))
		return FALSE;
	return size <= SMALL_BYTES && owner->xattrs == NULL
			       ? make_small(repo, owner, size, source, data, out_hex, error)
			       : make_large(repo, owner, size, source, data, out_hex, error);
}

gboolean ash_ostree_make_link(AshOstree *repo, const AshOstreeOwner *owner, const char *target,
		char **out_hex, GError **error)
{
	g_autoptr(GError) cause = NULL;

	g_assert(repo->in_transaction);
	if (!g_utf8_validate(target, -1, NULL))
		return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
				"a link's target is not UTF-8");
	char *hex = ostree_repo_write_symlink(repo->ostree, NULL, owner->uid, owner->gid,
			owner->xattrs, target, NULL, &cause);
	if (hex == NULL)
		return ash_ostree_fail(error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT,
				"writing a link");
	*out_hex = hex;
	return TRUE;
}

static gboolean write_variant(AshOstree *repo, OstreeObjectType type, GVariant *variant,
		char **out_hex, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autofree guchar *csum = NULL;

	g_assert(repo->in_transaction);
	if (!ostree_repo_write_metadata(repo->ostree, type, NULL, variant, &csum, NULL, &cause))
		return ash_ostree_fail(error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT,
				ostree_object_type_to_string(type));
	*out_hex = ostree_checksum_from_bytes(csum);
	return TRUE;
}

gboolean ash_ostree_make_dirmeta(
		AshOstree *repo, const AshOstreeOwner *owner, char **out_hex, GError **error)
{
	GVariant *xattrs = owner->xattrs;

	if (xattrs == NULL)
		xattrs = g_variant_new_array(G_VARIANT_TYPE("(ayay)"), NULL, 0);
	g_autoptr(GVariant) variant = g_variant_ref_sink(g_variant_new("(uuu@a(ayay))",
			GUINT32_TO_BE(owner->uid), GUINT32_TO_BE(owner->gid),
			GUINT32_TO_BE(S_IFDIR | owner->mode), xattrs));
	return write_variant(repo, OSTREE_OBJECT_TYPE_DIR_META, variant, out_hex, error);
}

static int compare_entries(gconstpointer a, gconstpointer b)
{
	return strcmp((*(const AshOstreeEntry *const *) a)->name,
			(*(const AshOstreeEntry *const *) b)->name);
}

gboolean ash_ostree_make_dirtree(
		AshOstree *repo, GPtrArray *entries, char **out_hex, GError **error)
{
	g_auto(GVariantBuilder) files = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(say)"));
	g_auto(GVariantBuilder) dirs = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(sayay)"));

	g_ptr_array_sort(entries, compare_entries);
	for (guint i = 0; i < entries->len; i++) {
		const AshOstreeEntry *entry = entries->pdata[i];
		if (!g_utf8_validate(entry->name, -1, NULL))
			return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
					"a file's name is not UTF-8");
		if (entry->tree == NULL)
			g_variant_builder_add(&files, "(s@ay)", entry->name,
					ostree_checksum_to_bytes_v(entry->object));
		else
			g_variant_builder_add(&dirs, "(s@ay@ay)", entry->name,
					ostree_checksum_to_bytes_v(entry->tree),
					ostree_checksum_to_bytes_v(entry->object));
	}
	g_autoptr(GVariant) variant =
			g_variant_ref_sink(g_variant_new("(a(say)a(sayay))", &files, &dirs));
	return write_variant(repo, OSTREE_OBJECT_TYPE_DIR_TREE, variant, out_hex, error);
}

gboolean ash_ostree_make_commit(AshOstree *repo, const char *dirtree, const char *dirmeta,
		GVariant *metadata, char **out_commit, GError **error)
{
	g_autoptr(GVariant) variant = g_variant_ref_sink(g_variant_new(
			"(@a{sv}@ay@a(say)sst@ay@ay)", metadata,
			g_variant_new_array(G_VARIANT_TYPE_BYTE, NULL, 0),
			g_variant_new_array(G_VARIANT_TYPE("(say)"), NULL, 0), "", "",
			GUINT64_TO_BE((guint64) 0), ostree_checksum_to_bytes_v(dirtree),
			ostree_checksum_to_bytes_v(dirmeta)));

	return write_variant(repo, OSTREE_OBJECT_TYPE_COMMIT, variant, out_commit, error);
}

/* ---- transactions ------------------------------------------------------------------------------ */

static gboolean sync_all(AshOstree *repo, GError **error)
{
	if (syncfs(ostree_repo_get_dfd(repo->ostree)) < 0)
		return ash_throw_errno(error, "syncing the repository");
	return TRUE;
}

gboolean ash_ostree_commit_together(AshOstree *repo, GError **error)
{
	/* Files are synced before they get their names, directories and commits here. */
	if (repo->staged == NULL && !sync_all(repo, error))
		return FALSE;
	ostree_repo_set_disable_fsync(repo->ostree, TRUE);
	gboolean is_ok = ash_ostree_commit(repo, error);
	ostree_repo_set_disable_fsync(repo->ostree, FALSE);
	return is_ok && sync_all(repo, error);
}

gboolean ash_ostree_forget(AshOstree *repo, GError **error)
{
	g_assert(!repo->in_transaction);
	int fd = openat(ostree_repo_get_dfd(repo->ostree), "tmp",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ash_throw_errno(error, "ostree/repo/tmp");
	g_autoptr(AshDir) dir = fdopendir(fd);
	if (dir == NULL) {
		ash_throw_errno(error, "ostree/repo/tmp");
		close(fd);
		return FALSE;
	}
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		if (g_str_has_prefix(entry->d_name, "staging-") &&
				!ash_file_remove_tree(fd, entry->d_name, error))
			return FALSE;
	return TRUE;
}

/* ---- reading ----------------------------------------------------------------------------------- */

static gboolean load(AshOstree *repo, OstreeObjectType type, const char *hex,
		GVariant **out_variant, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (!ostree_repo_load_variant(repo->ostree, type, hex, out_variant, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT, hex);
	return TRUE;
}

/* Child @index of @variant, which is to be a checksum. */
static gboolean read_hex(GVariant *variant, gsize index, char out_hex[HEX + 1], GError **error)
{
	g_autoptr(GVariant) bytes = g_variant_get_child_value(variant, index);
	gsize size;
	const guchar *csum = g_variant_get_fixed_array(bytes, &size, 1);

	if (size != OSTREE_SHA256_DIGEST_LEN)
		return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
				"an object is named by something that is no checksum");
	ostree_checksum_inplace_from_bytes(csum, out_hex);
	return TRUE;
}

gboolean ash_ostree_load_dirtree(
		AshOstree *repo, const char *hex, AshOstreeEach each, gpointer data, GError **error)
{
	g_autoptr(GVariant) variant = NULL;

	if (!load(repo, OSTREE_OBJECT_TYPE_DIR_TREE, hex, &variant, error))
		return FALSE;
	for (gsize kind = 0; kind < 2; kind++) {
		g_autoptr(GVariant) entries = g_variant_get_child_value(variant, kind);
		for (gsize i = 0; i < g_variant_n_children(entries); i++) {
			g_autoptr(GVariant) child = g_variant_get_child_value(entries, i);
			char object[HEX + 1], tree[HEX + 1];
			AshOstreeEntry entry = {.object = object, .tree = kind == 1 ? tree : NULL};
			g_variant_get_child(child, 0, "&s", &entry.name);
			/* Its tree and its meta, or its content. */
			if (!read_hex(child, kind == 1 ? 2 : 1, object, error) ||
					(kind == 1 && !read_hex(child, 1, tree, error)) ||
					!each(&entry, data, error))
				return FALSE;
		}
	}
	return TRUE;
}

gboolean ash_ostree_load_commit(AshOstree *repo, const char *commit, char **out_dirtree,
		char **out_dirmeta, GVariant **out_metadata, GError **error)
{
	g_autoptr(GVariant) variant = NULL;
	char dirtree[HEX + 1], dirmeta[HEX + 1];

	if (!load(repo, OSTREE_OBJECT_TYPE_COMMIT, commit, &variant, error) ||
			!read_hex(variant, 6, dirtree, error) ||
			!read_hex(variant, 7, dirmeta, error))
		return FALSE;
	if (out_dirtree != NULL)
		*out_dirtree = g_strdup(dirtree);
	if (out_dirmeta != NULL)
		*out_dirmeta = g_strdup(dirmeta);
	if (out_metadata != NULL)
		*out_metadata = g_variant_get_child_value(variant, 0);
	return TRUE;
}

gboolean ash_ostree_load_link(AshOstree *repo, const char *hex, char **out_target, GError **error)
{
	g_autofree char *path = g_strdup_printf("objects/%.2s/%s.file", hex, hex + 2);
	char target[PATH_MAX];
	ssize_t size = readlinkat(ostree_repo_get_dfd(repo->ostree), path, target, sizeof target);

	if (size >= 0) {
		*out_target = g_strndup(target, (gsize) size);
		return TRUE;
	}
	if (errno == EINVAL) {
		*out_target = NULL;
		return TRUE;
	}
	if (errno != ENOENT)
		return ash_throw_errno(error, "%s", path);
	if (repo->staged != NULL && g_hash_table_contains(repo->staged, hex)) {
		*out_target = NULL;
		return TRUE;
	}
	/* It may still wait for the end of the transaction. */
	g_autoptr(GError) cause = NULL;
	g_autoptr(GFileInfo) info = NULL;
	if (!ostree_repo_load_file(repo->ostree, hex, NULL, &info, NULL, NULL, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT, path);
	*out_target = g_strdup(g_file_info_get_symlink_target(info));
	return TRUE;
}

gboolean ash_ostree_object_size(
		AshOstree *repo, const char *object, uint64_t *out_bytes, GError **error)
{
	g_autofree char *path = g_strconcat("objects/", object, NULL);
	struct stat st;

	if (fstatat(ostree_repo_get_dfd(repo->ostree), path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_NOT_FOUND,
					"object %s is missing", object);
		return ash_throw_errno(error, "%s", path);
	}
	*out_bytes = (uint64_t) st.st_size;
	return TRUE;
}
