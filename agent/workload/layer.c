/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/layer.h"

#include <string.h>

#include "lib/error.h"
#include "lib/interrupt.h"

enum {
	MAX_EMPTY = 1024, /* remembered */
};

typedef struct {
	const AshImageStore *store;
	AshArchive *archive;
	AshImageTree *root;
	AshLayerNotes *notes;
	char *nothing;     /* checksum of the empty file that stands for all markers */
	GHashTable *empty; /* "UID:GID:MODE" → checksum of an empty file */
	uint64_t left, bytes;
} Layer;

void ash_layer_notes_init(AshLayerNotes *notes)
{
	*notes = (AshLayerNotes){.names = g_ptr_array_new_with_free_func(g_free)};
}

void ash_layer_notes_clear(AshLayerNotes *notes)
{
	g_clear_pointer(&notes->names, g_ptr_array_unref);
}

/* ---- names --------------------------------------------------------------------------------------- */

/* "./a//b/" is "a/b"; "" is the root. */
static gboolean normalise(const char *path, char **out_path, GError **error)
{
	g_autoptr(GString) clean = g_string_new(NULL);
	unsigned depth = 0;

	if (strlen(path) > ASH_IMAGE_MAX_PATH_BYTES)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_LIMIT,
				"'%.60s…' is longer than %d bytes", path, ASH_IMAGE_MAX_PATH_BYTES);
	if (!g_utf8_validate(path, -1, NULL))
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_HOSTILE,
				"a name in the layer is not UTF-8");
	while (*path != '\0') {
		size_t size = strcspn(path, "/");
		bool is_dots = size == 2 && path[0] == '.' && path[1] == '.';
		bool is_dot = size == 1 && path[0] == '.';
		if (is_dots)
			return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_HOSTILE,
					"a path in the layer has '..'");
		if (size > ASH_IMAGE_MAX_NAME_BYTES)
			return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_LIMIT,
					"a name in the layer is longer than %d bytes",
					ASH_IMAGE_MAX_NAME_BYTES);
		if (size > 0 && !is_dot) {
			if (++depth > ASH_IMAGE_MAX_DEPTH)
				return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_LIMIT,
						"directories more than %d deep",
						ASH_IMAGE_MAX_DEPTH);
			g_string_append_printf(clean, "%s%.*s", clean->len > 0 ? "/" : "",
					(int) size, path);
		}
		path += size;
		path += strspn(path, "/");
	}
	*out_path = g_string_free(g_steal_pointer(&clean), FALSE);
	return TRUE;
}

static AshImageTree *imply(AshImageTree *parent, const char *name, gpointer data, GError **error)
{
	const Layer *layer = data;
	AshImageTree *child = ash_image_tree_new(NULL, NULL);

	ash_image_tree_put_file(child, ASH_IMAGE_IMPLIED, layer->nothing);
	ash_image_tree_put_dir(parent, name, child);
	return child;
}

/* NULL: what it would be in is no directory. */
static gboolean find_parent(Layer *layer, const char *path, AshImageTree **out_dir, GError **error)
{
	const char *slash = strrchr(path, '/');
	g_autofree char *parent = g_strndup(path, slash != NULL ? (gsize) (slash - path) : 0);

	return ash_image_tree_find_dir(
			layer->root, layer->store, parent, imply, layer, out_dir, error);
}

/* ---- owners -------------------------------------------------------------------------------------- */

static bool keeps_xattr(const char *name, gsize size, bool is_link)
{
	/* A capability that says for which user namespace is of the machine that made it (revision 3: 24 bytes). */
	if (strcmp(name, "security.capability") == 0)
		return !is_link && size == 20;
	return !is_link && g_str_has_prefix(name, "user.") && name[5] != '\0';
}

static gboolean filter_xattrs(Layer *layer, const AshEntry *entry, GVariant **out, GError **error)
{
	g_auto(GVariantBuilder) kept = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(ayay)"));
	gsize count = g_variant_n_children(entry->xattrs);
	gsize kept_count = 0, bytes = 0;

	for (gsize i = 0; i < count; i++) {
		g_autoptr(GVariant) pair = g_variant_get_child_value(entry->xattrs, i);
		g_autoptr(GVariant) name = g_variant_get_child_value(pair, 0);
		g_autoptr(GVariant) value = g_variant_get_child_value(pair, 1);
		gsize size = g_variant_get_size(value);
		const char *text = g_variant_get_bytestring(name);
		if (!keeps_xattr(text, size, entry->kind == ASH_ENTRY_LINK)) {
			layer->notes->xattrs++;
			continue;
		}
		kept_count++;
		bytes += size + strlen(text);
		g_variant_builder_add_value(&kept, pair);
	}
	if (kept_count > ASH_LAYER_MAX_XATTRS || bytes > ASH_LAYER_MAX_XATTR_BYTES)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_LIMIT,
				"extended attributes of %zu bytes; %d are the most", bytes,
				ASH_LAYER_MAX_XATTR_BYTES);
	*out = kept_count > 0 ? g_variant_ref_sink(g_variant_builder_end(&kept)) : NULL;
	return TRUE;
}

/* @out->xattrs is the caller's. */
static gboolean get_owner(Layer *layer, const AshEntry *entry, AshOstreeOwner *out, GError **error)
{
	*out = (AshOstreeOwner){.mode = entry->mode};
	if (entry->uid < 0 || entry->uid >= UINT32_MAX || entry->gid < 0 ||
			entry->gid >= UINT32_MAX)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_HOSTILE,
				"its owner is no user or group that could be");
	out->uid = (uint32_t) entry->uid;
	out->gid = (uint32_t) entry->gid;
	return entry->xattrs == NULL || filter_xattrs(layer, entry, &out->xattrs, error);
}

/* ---- entries ------------------------------------------------------------------------------------- */

static gboolean nothing_source(
		gpointer data, const void **out_data, size_t *out_size, GError **error)
{
	*out_size = 0;
	return TRUE;
}

/* A layer of a million empty files is one object, and not written a million times. */
static gboolean make_empty(
		Layer *layer, const AshOstreeOwner *owner, const char **out_hex, GError **error)
{
	g_autofree char *key = g_strdup_printf("%u:%u:%o", owner->uid, owner->gid, owner->mode);
	char *hex = g_hash_table_lookup(layer->empty, key);

	if (hex == NULL) {
		if (!layer->store->make_file(layer->store->data, owner, 0, nothing_source, NULL,
				    &hex, error))
			return FALSE;
		if (g_hash_table_size(layer->empty) >= MAX_EMPTY)
			g_hash_table_remove_all(layer->empty);
		g_hash_table_insert(layer->empty, g_steal_pointer(&key), hex);
	}
	*out_hex = hex;
	return TRUE;
}

static gboolean put_regular(Layer *layer, const AshEntry *entry, const AshOstreeOwner *owner,
		AshImageTree *dir, const char *name, GError **error)
{
	g_autofree char *hex = NULL;
	const char *empty = NULL;

	if (entry->size < 0 || (uint64_t) entry->size > layer->left)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_LIMIT,
				"has %" G_GINT64_FORMAT " bytes; %" G_GUINT64_FORMAT
				" are left of what an image may have",
				entry->size, layer->left);
	if (entry->size == 0 && owner->xattrs == NULL) {
		if (!make_empty(layer, owner, &empty, error))
			return FALSE;
		ash_image_tree_put_file(dir, name, empty);
		return TRUE;
	}
	if (!layer->store->make_file(layer->store->data, owner, (uint64_t) entry->size,
			    ash_archive_read_source, layer->archive, &hex, error))
		return FALSE;
	layer->left -= (uint64_t) entry->size;
	layer->bytes += (uint64_t) entry->size;
	ash_image_tree_put_file(dir, name, hex);
	return TRUE;
}

static gboolean put_link(Layer *layer, const AshEntry *entry, const AshOstreeOwner *owner,
		AshImageTree *dir, const char *name, GError **error)
{
	g_autofree char *hex = NULL;

	if (*entry->target == '\0' || strlen(entry->target) > ASH_IMAGE_MAX_PATH_BYTES)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_HOSTILE,
				"a link to nothing, or to more than there can be");
	if (!layer->store->make_link(layer->store->data, owner, entry->target, &hex, error))
		return FALSE;
	ash_image_tree_put_file(dir, name, hex);
	return TRUE;
}

/* A file of this layer, or one of those below, which is found when the layer is laid on them. */
static gboolean put_hard_link(Layer *layer, const AshEntry *entry, AshImageTree *dir,
		const char *name, GError **error)
{
	const AshOstreeOwner owner = {.mode = 0};
	g_autofree char *target = NULL;
	g_autofree char *hex = NULL;
	const char *found = NULL;

	if (!normalise(entry->target, &target, error) ||
			!ash_image_tree_find_file(layer->root, layer->store, target, &found, error))
		return FALSE;
	if (found != NULL) {
		ash_image_tree_put_file(dir, name, found);
		return TRUE;
	}
	if (*target == '\0' || g_hash_table_contains(dir->dirs, name))
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_HOSTILE,
				"a hard link to or in place of a directory");
	g_autofree char *marker = g_strconcat(ASH_IMAGE_LINK, name, NULL);
	if (!layer->store->make_link(layer->store->data, &owner, target, &hex, error))
		return FALSE;
	ash_image_tree_remove(dir, name);
	ash_image_tree_put_file(dir, marker, hex);
	return TRUE;
}

static gboolean put_dir(Layer *layer, const AshOstreeOwner *owner, AshImageTree *parent,
		const char *name, GError **error)
{
	AshImageTree *dir = name != NULL ? g_hash_table_lookup(parent->dirs, name) : layer->root;
	char *meta = NULL;

	if (!layer->store->make_dirmeta(layer->store->data, owner, &meta, error))
		return FALSE;
	if (dir == NULL) {
		dir = ash_image_tree_new(NULL, NULL);
		ash_image_tree_put_dir(parent, name, dir);
	}
	g_free(dir->meta);
	dir->meta = meta;
	g_hash_table_remove(dir->files, ASH_IMAGE_IMPLIED);
	return TRUE;
}

static gboolean put_whiteout(Layer *layer, AshImageTree *dir, const char *name, GError **error)
{
	const char *gone = name + strlen(ASH_IMAGE_WHITEOUT);

	/* aufs's own housekeeping, from Docker's early days. */
	if (g_str_has_prefix(name, ASH_IMAGE_RESERVED) && strcmp(name, ASH_IMAGE_OPAQUE) != 0)
		return TRUE;
	if (*gone == '\0' || strcmp(gone, ".") == 0 || strcmp(gone, "..") == 0)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_HOSTILE,
				"a whiteout of no name");
	ash_image_tree_put_file(dir, name, layer->nothing);
	return TRUE;
}

/* There is to be nothing of the layers below in its place. */
static gboolean leave_out(
		Layer *layer, const char *path, AshImageTree *dir, const char *name, GError **error)
{
	g_autofree char *whiteout = g_strconcat(ASH_IMAGE_WHITEOUT, name, NULL);

	if (layer->notes->devices++ < ASH_LAYER_MAX_NAMED)
		g_ptr_array_add(layer->notes->names, g_strdup(path));
	ash_image_tree_remove(dir, name);
	ash_image_tree_put_file(dir, whiteout, layer->nothing);
	return TRUE;
}

static gboolean put_named(Layer *layer, const AshEntry *entry, const AshOstreeOwner *owner,
		const char *path, GError **error)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	AshImageTree *dir = NULL;

	if (!find_parent(layer, path, &dir, error))
		return FALSE;
	/* Programs say of a directory that became a file that what was in it is gone, too. */
	if (g_str_has_prefix(name, ASH_IMAGE_WHITEOUT))
		return dir == NULL || put_whiteout(layer, dir, name, error);
	if (dir == NULL)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_HOSTILE,
				"it is below something that is no directory");
	g_autofree char *marker = g_strconcat(ASH_IMAGE_LINK, name, NULL);
	g_hash_table_remove(dir->files, marker);
	switch (entry->kind) {
	case ASH_ENTRY_FILE:
		return put_regular(layer, entry, owner, dir, name, error);
	case ASH_ENTRY_DIR:
		return put_dir(layer, owner, dir, name, error);
	case ASH_ENTRY_LINK:
		return put_link(layer, entry, owner, dir, name, error);
	case ASH_ENTRY_HARDLINK:
		return put_hard_link(layer, entry, dir, name, error);
	case ASH_ENTRY_OTHER:
		break;
	}
	return leave_out(layer, path, dir, name, error);
}

static gboolean put_entry(Layer *layer, const AshEntry *entry, GError **error)
{
	g_autofree char *shown = g_utf8_make_valid(entry->path, -1);
	ASH_PREFIX("'%.200s'", shown);
	g_autofree char *path = NULL;
	AshOstreeOwner owner;

	if (!normalise(entry->path, &path, error) || !get_owner(layer, entry, &owner, error))
		return FALSE;
	G_GNUC_UNUSED g_autoptr(GVariant) xattrs = owner.xattrs;
	if (*path != '\0')
		return put_named(layer, entry, &owner, path, error);
	if (entry->kind != ASH_ENTRY_DIR)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_HOSTILE,
				"the root of an image is a directory");
	return put_dir(layer, &owner, NULL, NULL, error);
}

static gboolean unpack(Layer *layer, GError **error)
{
	const AshOstreeOwner owner = {.mode = 0644};
	const char *nothing = NULL;

	if (!make_empty(layer, &owner, &nothing, error))
		return FALSE;
	layer->nothing = g_strdup(nothing);
	ash_image_tree_put_file(layer->root, ASH_IMAGE_IMPLIED, nothing);
	for (unsigned count = 0;; count++) {
		const AshEntry *entry = NULL;
		if (!ash_interrupt_check(error) || !ash_archive_next(layer->archive, &entry, error))
			return FALSE;
		if (entry == NULL)
			return TRUE;
		if (count >= ASH_IMAGE_MAX_FILES)
			return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_LIMIT,
					"a layer of more than %d files", ASH_IMAGE_MAX_FILES);
		if (!put_entry(layer, entry, error))
			return FALSE;
	}
}

gboolean ash_layer_unpack(AshArchiveSource source, gpointer data, uint64_t max_bytes,
		const AshImageStore *store, AshLayerNotes *notes, AshImageTree **out_tree,
		uint64_t *out_bytes, GError **error)
{
	g_autoptr(AshArchive) archive = NULL;
	g_autoptr(AshImageTree) root = ash_image_tree_new(NULL, NULL);

	if (!ash_archive_open_source(ASH_ARCHIVE_PLAIN_TAR, source, data, &archive, error))
		return FALSE;
	Layer layer = {.store = store,
			.archive = archive,
			.root = root,
			.notes = notes,
			.empty = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
			.left = max_bytes};
	gboolean is_ok = unpack(&layer, error);
	g_hash_table_unref(layer.empty);
	g_free(layer.nothing);
	if (!is_ok)
		return FALSE;
	*out_tree = g_steal_pointer(&root);
	*out_bytes = layer.bytes;
	return TRUE;
}
