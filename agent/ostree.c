/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ostree.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixinputstream.h>
#include <ostree.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/ostree-private.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_ostree_error, ash_ostree_error)

enum {
	MAX_DEPTH = 128, /* of directories */
	CHUNK_BYTES = 256 << 10,
	HEX = OSTREE_SHA256_STRING_LEN,
};

/* Errors of the operating system keep their domain, so that a full disk is told as one. */
gboolean ash_ostree_fail(GError **error, GError *take_cause, int code, const char *what)
{
	g_autoptr(GError) cause = take_cause;

	/* Some of libostree's failures have no words. */
	if (cause == NULL)
		return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_FAILED,
				"%s: failed without words", what);
	if (strstr(cause->message, "min-free-space") != NULL)
		return ash_throw(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "%s: %s", what,
				cause->message);
	if (cause->domain == G_IO_ERROR && cause->code != G_IO_ERROR_FAILED &&
			cause->code != G_IO_ERROR_NOT_FOUND &&
			cause->code != G_IO_ERROR_INVALID_DATA &&
			cause->code != G_IO_ERROR_PARTIAL_INPUT &&
			cause->code != G_IO_ERROR_INVALID_ARGUMENT)
		return ash_throw(error, cause->domain, cause->code, "%s: %s", what, cause->message);
	if (g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
		code = ASH_OSTREE_ERROR_NOT_FOUND;
	return ash_throw(error, ASH_OSTREE_ERROR, code, "%s: %s", what, cause->message);
}

gboolean ash_ostree_open(int sysroot_fd, AshOstree **out_repo, GError **error)
{
	g_autoptr(GError) cause = NULL;
	OstreeRepo *ostree = ostree_repo_open_at(sysroot_fd, "ostree/repo", NULL, &cause);

	if (ostree == NULL)
		return ash_ostree_fail(error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_FAILED,
				"opening the repository");
	AshOstree *repo = g_new0(AshOstree, 1);
	repo->ostree = ostree;
	*out_repo = repo;
	return TRUE;
}

void ash_ostree_free(AshOstree *repo)
{
	if (repo == NULL)
		return;
	ash_ostree_abort(repo);
	g_object_unref(repo->ostree);
	g_free(repo);
}

/* ---- names ----------------------------------------------------------------------------------- */

static char *format_name(const char *hex, const char *kind)
{
	return g_strdup_printf("%.2s/%s.%s", hex, hex + 2, kind);
}

char *ash_ostree_commit_object(const char *commit)
{
	return format_name(commit, "commit");
}

/* Names are made here, or by import from what children() said: anything else is our own bug. */
static OstreeObjectType parse_name(const char *object, char out_hex[HEX + 1])
{
	static const struct {
		const char *kind;
		OstreeObjectType type;
	} rows[] = {
			{".commit", OSTREE_OBJECT_TYPE_COMMIT},
			{".dirtree", OSTREE_OBJECT_TYPE_DIR_TREE},
			{".dirmeta", OSTREE_OBJECT_TYPE_DIR_META},
			{".file", OSTREE_OBJECT_TYPE_FILE},
	};

	g_assert(strlen(object) > HEX + 1 && object[2] == '/');
	memcpy(out_hex, object, 2);
	memcpy(out_hex + 2, object + 3, HEX - 2);
	out_hex[HEX] = '\0';
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (strcmp(object + HEX + 1, rows[i].kind) == 0)
			return rows[i].type;
	g_assert_not_reached();
}

/* ---- reading --------------------------------------------------------------------------------- */

static gboolean load_variant(
		AshOstree *repo, const char *object, GVariant **out_variant, GError **error)
{
	g_autoptr(GError) cause = NULL;
	char hex[HEX + 1];
	OstreeObjectType type = parse_name(object, hex);

	if (!ostree_repo_load_variant(repo->ostree, type, hex, out_variant, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT, object);
	return TRUE;
}

void ash_ostree_info_free(AshOstreeInfo *info)
{
	if (info == NULL)
		return;
	g_free(info->version);
	g_free(info->name);
	g_free(info->variant);
	g_free(info->arch);
	g_free(info->kernel_release);
	g_strfreev(info->kernel_arguments);
	g_free(info);
}

static char *lookup_text(GVariant *metadata, const char *key)
{
	const char *text = "";

	g_variant_lookup(metadata, key, "&s", &text);
	return g_strdup(text);
}

gboolean ash_ostree_load_info(
		AshOstree *repo, const char *commit, AshOstreeInfo **out_info, GError **error)
{
	g_autofree char *object = ash_ostree_commit_object(commit);
	g_autoptr(GVariant) variant = NULL;

	if (!load_variant(repo, object, &variant, error))
		return FALSE;
	g_autoptr(GVariant) metadata = g_variant_get_child_value(variant, 0);
	AshOstreeInfo *info = g_new0(AshOstreeInfo, 1);
	info->version = lookup_text(metadata, "version");
	info->name = lookup_text(metadata, "ashlar.name");
	info->variant = lookup_text(metadata, "ashlar.variant");
	info->arch = lookup_text(metadata, "ashlar.architecture");
	info->kernel_release = lookup_text(metadata, "ostree.linux");
	if (!g_variant_lookup(metadata, "ashlar.kernel-arguments", "^as", &info->kernel_arguments))
		info->kernel_arguments = g_new0(char *, 1);
	*out_info = info;
	return TRUE;
}

gboolean ash_ostree_has(AshOstree *repo, const char *object, bool *out_has, GError **error)
{
	g_autoptr(GError) cause = NULL;
	char hex[HEX + 1];
	OstreeObjectType type = parse_name(object, hex);
	gboolean has = FALSE;

	if (!ostree_repo_has_object(repo->ostree, type, hex, &has, NULL, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_FAILED, object);
	*out_has = has;
	return TRUE;
}

/* The object that the bytes of a checksum, child @index of @variant, name; NULL if they are none. */
static char *child_name(GVariant *variant, gsize index, const char *kind)
{
	g_autoptr(GVariant) bytes = g_variant_get_child_value(variant, index);
	gsize size;
	const guchar *csum = g_variant_get_fixed_array(bytes, &size, 1);
	char hex[HEX + 1];

	if (size != OSTREE_SHA256_DIGEST_LEN)
		return NULL;
	ostree_checksum_inplace_from_bytes(csum, hex);
	return format_name(hex, kind);
}

/* Child @index of @variant into @objects; false when it is no checksum. */
static bool add_child(GPtrArray *objects, GVariant *variant, gsize index, const char *kind)
{
	char *name = child_name(variant, index, kind);

	if (name != NULL)
		g_ptr_array_add(objects, name);
	return name != NULL;
}

gboolean ash_ostree_children(
		AshOstree *repo, const char *object, GPtrArray **out_objects, GError **error)
{
	g_autoptr(GPtrArray) objects = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GVariant) variant = NULL;
	bool is_sound = true;

	if (g_str_has_suffix(object, ".commit")) {
		if (!load_variant(repo, object, &variant, error))
			return FALSE;
		is_sound = add_child(objects, variant, 6, "dirtree") &&
			   add_child(objects, variant, 7, "dirmeta");
	} else if (g_str_has_suffix(object, ".dirtree")) {
		if (!load_variant(repo, object, &variant, error))
			return FALSE;
		g_autoptr(GVariant) files = g_variant_get_child_value(variant, 0);
		g_autoptr(GVariant) dirs = g_variant_get_child_value(variant, 1);
		for (gsize i = 0; i < g_variant_n_children(files) && is_sound; i++) {
			g_autoptr(GVariant) file = g_variant_get_child_value(files, i);
			is_sound = add_child(objects, file, 1, "file");
		}
		for (gsize i = 0; i < g_variant_n_children(dirs) && is_sound; i++) {
			g_autoptr(GVariant) dir = g_variant_get_child_value(dirs, i);
			is_sound = add_child(objects, dir, 1, "dirtree") &&
				   add_child(objects, dir, 2, "dirmeta");
		}
	}
	if (!is_sound)
		return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
				"%s: names an object by something that is no checksum", object);
	*out_objects = g_steal_pointer(&objects);
	return TRUE;
}

gboolean ash_ostree_objects(
		AshOstree *repo, const char *commit, GHashTable **out_objects, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) todo = g_ptr_array_new();
	char *first = ash_ostree_commit_object(commit);

	g_hash_table_add(seen, first);
	g_ptr_array_add(todo, first);
	while (todo->len > 0) {
		const char *object = g_ptr_array_remove_index_fast(todo, todo->len - 1);
		g_autoptr(GPtrArray) children = NULL;
		bool has = false;
		if (!ash_ostree_has(repo, object, &has, error))
			return FALSE;
		if (!has)
			return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_NOT_FOUND,
					"object %s is missing", object);
		if (!ash_ostree_children(repo, object, &children, error))
			return FALSE;
		for (guint i = 0; i < children->len; i++)
			if (!g_hash_table_contains(seen, children->pdata[i])) {
				char *child = g_strdup(children->pdata[i]);
				g_hash_table_add(seen, child);
				g_ptr_array_add(todo, child);
			}
	}
	*out_objects = g_steal_pointer(&seen);
	return TRUE;
}

/* The kernel forgets what it has read of the object, if nobody has it open for writing. */
static void drop_cache(AshOstree *repo, const char *object)
{
	g_autofree char *path = g_strconcat("objects/", object, NULL);
	ash_autofd int fd = openat(ostree_repo_get_dfd(repo->ostree), path,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	/* A symbolic link has nothing to forget. */
	if (fd >= 0)
		(void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static gboolean hash_stream(GInputStream *stream, char **out_hex, GError **error)
{
	g_autoptr(AshSha256) hash = ash_sha256_new();
	g_autofree char *chunk = g_malloc(CHUNK_BYTES);
	uint8_t digest[ASH_SHA256_BYTES];
	gssize n;

	while ((n = g_input_stream_read(stream, chunk, CHUNK_BYTES, NULL, error)) > 0)
		ash_sha256_update(hash, chunk, (size_t) n);
	if (n < 0)
		return FALSE;
	ash_sha256_finish(g_steal_pointer(&hash), digest);
	*out_hex = ash_sha256_format(digest);
	return TRUE;
}

/* What fsck does for a file: owner, mode, attributes and content from the disk have its name as their hash. GLib's own
 * SHA-256, which libostree takes, needs several times the processor's.
 */
static gboolean verify_file(AshOstree *repo, const char *object, const char *hex, GError **error)
{
	g_autoptr(GInputStream) input = NULL;
	g_autoptr(GInputStream) stream = NULL;
	g_autoptr(GFileInfo) info = NULL;
	g_autoptr(GVariant) xattrs = NULL;
	g_autoptr(GError) cause = NULL;
	g_autofree char *actual = NULL;
	guint64 length = 0;

	if (!ostree_repo_load_file(repo->ostree, hex, &input, &info, &xattrs, NULL, &cause) ||
			!ostree_validate_structureof_file_mode(
					g_file_info_get_attribute_uint32(info, "unix::mode"),
					&cause) ||
			!ostree_raw_file_to_content_stream(
					input, info, xattrs, &stream, &length, NULL, &cause) ||
			!hash_stream(stream, &actual, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT, object);
	return strcmp(actual, hex) == 0
			       ? TRUE
			       : ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
						 "%s: is on the disk as %s", object, actual);
}

gboolean ash_ostree_verify(AshOstree *repo, const char *object, GError **error)
{
	g_autoptr(GError) cause = NULL;
	char hex[HEX + 1];
	OstreeObjectType type = parse_name(object, hex);

	drop_cache(repo, object);
	if (type == OSTREE_OBJECT_TYPE_FILE)
		return verify_file(repo, object, hex, error);
	if (!ostree_repo_fsck_object(repo->ostree, type, hex, NULL, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT, object);
	return TRUE;
}

gboolean ash_ostree_drop(AshOstree *repo, const char *object, GError **error)
{
	g_autofree char *path = g_strconcat("objects/", object, NULL);

	if (unlinkat(ostree_repo_get_dfd(repo->ostree), path, 0) < 0 && errno != ENOENT)
		return ash_throw_errno(error, "unlink(%s)", path);
	return TRUE;
}

static gboolean walk(AshOstree *repo, const char *tree, const char *prefix, int depth,
		AshOstreeVisit visit, gpointer data, GError **error)
{
	g_autoptr(GVariant) variant = NULL;

	if (depth > MAX_DEPTH)
		return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
				"%s: directories more than %d deep", tree, MAX_DEPTH);
	if (!load_variant(repo, tree, &variant, error))
		return FALSE;
	for (gsize kind = 0; kind < 2; kind++) {
		g_autoptr(GVariant) entries = g_variant_get_child_value(variant, kind);
		for (gsize i = 0; i < g_variant_n_children(entries); i++) {
			g_autoptr(GVariant) entry = g_variant_get_child_value(entries, i);
			g_autofree char *object =
					child_name(entry, 1, kind == 0 ? "file" : "dirtree");
			const char *name;
			g_variant_get_child(entry, 0, "&s", &name);
			g_autofree char *path = g_strconcat(prefix, name, NULL);
			g_autofree char *below = g_strconcat(path, "/", NULL);
			if (object == NULL)
				return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
						"%s: no checksum", tree);
			if (!visit(path, object, kind == 1, data, error) ||
					(kind == 1 && !walk(repo, object, below, depth + 1, visit,
								      data, error)))
				return FALSE;
		}
	}
	return TRUE;
}

gboolean ash_ostree_walk(AshOstree *repo, const char *commit, AshOstreeVisit visit, gpointer data,
		GError **error)
{
	g_autofree char *object = ash_ostree_commit_object(commit);
	g_autoptr(GVariant) variant = NULL;

	if (!load_variant(repo, object, &variant, error))
		return FALSE;
	g_autofree char *tree = child_name(variant, 6, "dirtree");
	if (tree == NULL)
		return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
				"%s: no checksum", object);
	return walk(repo, tree, "", 0, visit, data, error);
}

gboolean ash_ostree_is_object(AshOstree *repo, const char *object, int dirfd, const char *path,
		bool *out_is, GError **error)
{
	g_autofree char *at = g_strconcat("objects/", object, NULL);
	g_autofree char *got = NULL;
	g_autoptr(GError) cause = NULL;
	char hex[HEX + 1];
	struct stat a, b;

	if (fstatat(dirfd, path, &a, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return ash_throw_errno(error, "%s", path);
		*out_is = false;
		return TRUE;
	}
	if (fstatat(ostree_repo_get_dfd(repo->ostree), at, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
			a.st_dev == b.st_dev && a.st_ino == b.st_ino) {
		*out_is = true;
		return TRUE;
	}
	*out_is = false;
	if (!S_ISREG(a.st_mode) && !S_ISLNK(a.st_mode))
		return TRUE;
	parse_name(object, hex);
	if (!ostree_checksum_file_at(
			    dirfd, path, NULL, OSTREE_OBJECT_TYPE_FILE, 0, &got, NULL, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_FAILED, path);
	*out_is = strcmp(got, hex) == 0;
	return TRUE;
}

/* ---- writing --------------------------------------------------------------------------------- */

gboolean ash_ostree_begin(AshOstree *repo, GError **error)
{
	g_autoptr(GError) cause = NULL;

	g_assert(!repo->in_transaction);
	if (!ostree_repo_prepare_transaction(repo->ostree, NULL, NULL, &cause))
		return ash_ostree_fail(error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_FAILED,
				"beginning a transaction");
	repo->in_transaction = true;
	return TRUE;
}

gboolean ash_ostree_commit(AshOstree *repo, GError **error)
{
	g_autoptr(GError) cause = NULL;

	g_assert(repo->in_transaction);
	if (!ash_ostree_publish_staged(repo, error)) {
		ash_ostree_abort(repo);
		return FALSE;
	}
	if (!ostree_repo_commit_transaction(repo->ostree, NULL, NULL, &cause)) {
		ash_ostree_abort(repo);
		return ash_ostree_fail(error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_FAILED,
				"ending a transaction");
	}
	repo->in_transaction = false;
	return TRUE;
}

void ash_ostree_abort(AshOstree *repo)
{
	g_autoptr(GError) local = NULL;

	ash_ostree_drop_staged(repo);
	if (!repo->in_transaction)
		return;
	repo->in_transaction = false;
	if (!ostree_repo_abort_transaction(repo->ostree, NULL, &local))
		g_debug("aborting a transaction: %s, ignoring", local->message);
}

gboolean ash_ostree_write_metadata(
		AshOstree *repo, const char *object, GBytes *bytes, GError **error)
{
	static const char *const formats[] = {
			[OSTREE_OBJECT_TYPE_DIR_TREE] = "(a(say)a(sayay))",
			[OSTREE_OBJECT_TYPE_DIR_META] = "(uuua(ayay))",
			[OSTREE_OBJECT_TYPE_COMMIT] = "(a{sv}aya(say)sstayay)",
	};
	g_autoptr(GError) cause = NULL;
	char hex[HEX + 1];
	OstreeObjectType type = parse_name(object, hex);

	g_assert(type != OSTREE_OBJECT_TYPE_FILE);
	g_autoptr(GVariant) variant = g_variant_ref_sink(
			g_variant_new_from_bytes(G_VARIANT_TYPE(formats[type]), bytes, FALSE));
	if (!ostree_repo_write_metadata(repo->ostree, type, hex, variant, NULL, NULL, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT, object);
	return TRUE;
}

gboolean ash_ostree_write_content(AshOstree *repo, const char *object, int fd, uint64_t size,
		uint64_t max_bytes, uint64_t *out_bytes, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autoptr(GInputStream) packed = g_unix_input_stream_new(fd, FALSE);
	g_autoptr(GInputStream) content = NULL;
	g_autoptr(GInputStream) object_stream = NULL;
	g_autoptr(GFileInfo) info = NULL;
	g_autoptr(GVariant) xattrs = NULL;
	guint64 length = 0;
	char hex[HEX + 1];

	g_assert(parse_name(object, hex) == OSTREE_OBJECT_TYPE_FILE);
	if (!ostree_content_stream_parse(
			    TRUE, packed, size, FALSE, &content, &info, &xattrs, NULL, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT, object);
	/* libostree unpacks just as many bytes as the header says. */
	uint64_t bytes = (uint64_t) g_file_info_get_size(info);
	if (bytes > max_bytes)
		return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
				"%s: says that it unpacks to %" G_GUINT64_FORMAT
				" bytes; what is signed leaves %" G_GUINT64_FORMAT,
				object, bytes, max_bytes);
	if (!ostree_raw_file_to_content_stream(
			    content, info, xattrs, &object_stream, &length, NULL, &cause) ||
			!ostree_repo_write_content(repo->ostree, hex, object_stream, length, NULL,
					NULL, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT, object);
	*out_bytes = bytes;
	return TRUE;
}

gboolean ash_ostree_apply_delta(AshOstree *repo, int fd, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
	g_autoptr(GFile) file = g_file_new_for_path(path);

	if (!ostree_repo_static_delta_execute_offline(repo->ostree, file, FALSE, NULL, &cause))
		return ash_ostree_fail(error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_FAILED,
				"applying the delta");
	return TRUE;
}

gboolean ash_ostree_checkout(
		AshOstree *repo, const char *commit, int dirfd, const char *path, GError **error)
{
	g_autoptr(GError) cause = NULL;
	OstreeRepoCheckoutAtOptions options = {
			.mode = OSTREE_REPO_CHECKOUT_MODE_NONE,
			.overwrite_mode = OSTREE_REPO_CHECKOUT_OVERWRITE_NONE,
	};

	if (!ostree_repo_checkout_at(repo->ostree, &options, dirfd, path, commit, NULL, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_FAILED, path);
	return TRUE;
}

/* ---- refs ------------------------------------------------------------------------------------ */

gboolean ash_ostree_refs(AshOstree *repo, GHashTable **out_refs, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (!ostree_repo_list_refs(repo->ostree, NULL, out_refs, NULL, &cause))
		return ash_ostree_fail(error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_FAILED,
				"listing refs");
	return TRUE;
}

gboolean ash_ostree_set_ref(AshOstree *repo, const char *ref, const char *commit, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (!ostree_repo_set_ref_immediate(repo->ostree, NULL, ref, commit, NULL, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_FAILED, ref);
	return TRUE;
}

gboolean ash_ostree_prune(AshOstree *repo, GError **error)
{
	g_autoptr(GError) cause = NULL;
	gint total, pruned;
	guint64 bytes;

	if (!ostree_repo_prune(repo->ostree, OSTREE_REPO_PRUNE_FLAGS_REFS_ONLY, -1, &total, &pruned,
			    &bytes, NULL, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_FAILED, "pruning");
	return TRUE;
}
