/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/image-archive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/interrupt.h"

enum {
	CHUNK_BYTES = 256 << 10,
};

typedef struct {
	AshImageImport *import;
	int fd;
	char *chunk;
	GHashTable *links; /* path → path it is a link to */
	AshOciArchive *manifest;
} Reader;

/* Called for each entry. *out_stop: nothing more is wanted. */
typedef gboolean (*Each)(Reader *reader, AshArchive *archive, const AshEntry *entry,
		const char *path, bool *out_stop, GError **error);

static gboolean read_chunk(gpointer data, const void **out_data, size_t *out_size, GError **error)
{
	Reader *reader = data;
	ssize_t n;

	if (!ash_interrupt_check(error))
		return FALSE;
	do
		n = read(reader->fd, reader->chunk, CHUNK_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ash_throw_errno(error, "%s", reader->import->location);
	*out_data = reader->chunk;
	*out_size = (size_t) n;
	return TRUE;
}

/* "ID/../HEX.tar" is "HEX.tar"; NULL for what leads out of the archive. */
static char *normalise(const char *path)
{
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	g_autoptr(GPtrArray) clean = g_ptr_array_new();

	for (char **part = parts; *part != NULL; part++) {
		if (strcmp(*part, "..") == 0) {
			if (clean->len == 0)
				return NULL;
			g_ptr_array_remove_index(clean, clean->len - 1);
		} else if (**part != '\0' && strcmp(*part, ".") != 0) {
			g_ptr_array_add(clean, *part);
		}
	}
	g_ptr_array_add(clean, NULL);
	return g_strjoinv("/", (char **) clean->pdata);
}

static gboolean read_all(Reader *reader, Each each, GError **error)
{
	g_autoptr(AshArchive) archive = NULL;
	bool is_enough = false;

	if (lseek(reader->fd, 0, SEEK_SET) < 0)
		return ash_throw_errno(error, "%s", reader->import->location);
	if (!ash_archive_open_source(ASH_ARCHIVE_ANY_TAR, read_chunk, reader, &archive, error))
		return FALSE;
	for (unsigned count = 0; !is_enough; count++) {
		const AshEntry *entry = NULL;
		if (!ash_archive_next(archive, &entry, error))
			return FALSE;
		if (entry == NULL)
			return TRUE;
		if (count >= ASH_IMAGE_ARCHIVE_MAX_ENTRIES)
			return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_LIMIT,
					"more than %d entries", ASH_IMAGE_ARCHIVE_MAX_ENTRIES);
		g_autofree char *path = normalise(entry->path);
		if (path != NULL && !each(reader, archive, entry, path, &is_enough, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean see_entry(Reader *reader, AshArchive *archive, const AshEntry *entry,
		const char *path, bool *out_stop, GError **error)
{
	g_autoptr(GBytes) text = NULL;

	if (entry->kind == ASH_ENTRY_LINK) {
		g_autofree char *dir = g_path_get_dirname(path);
		g_autofree char *joined = g_strconcat(dir, "/", entry->target, NULL);
		char *target = normalise(joined);
		if (target != NULL)
			g_hash_table_replace(reader->links, g_strdup(path), target);
		return TRUE;
	}
	if (entry->kind != ASH_ENTRY_FILE || strcmp(path, "manifest.json") != 0 ||
			reader->manifest != NULL)
		return TRUE;
	return ash_archive_read_all(archive, ASH_OCI_MAX_MANIFEST_BYTES, &text, error) &&
	       ash_oci_archive_parse(text, reader->import->tag, &reader->manifest, error);
}

static bool is_named(Reader *reader, const char *wanted, const char *path)
{
	g_autofree char *clean = normalise(wanted);
	const char *link = clean != NULL ? g_hash_table_lookup(reader->links, clean) : NULL;

	return clean != NULL && strcmp(link != NULL ? link : clean, path) == 0;
}

static gboolean see_config(Reader *reader, AshArchive *archive, const AshEntry *entry,
		const char *path, bool *out_stop, GError **error)
{
	AshImageImport *import = reader->import;

	if (entry->kind != ASH_ENTRY_FILE || !is_named(reader, reader->manifest->config, path))
		return TRUE;
	if (!ash_archive_read_all(archive, ASH_OCI_MAX_CONFIG_BYTES, &import->config_text, error) ||
			!ash_oci_config_parse(import->config_text, &import->config, error) ||
			!ash_oci_config_check(import->config, import->arch, error))
		return FALSE;
	import->digest = ash_sha256_hex(g_bytes_get_data(import->config_text, NULL),
			g_bytes_get_size(import->config_text));
	*out_stop = true;
	return TRUE;
}

static gboolean see_layer(Reader *reader, AshArchive *archive, const AshEntry *entry,
		const char *path, bool *out_stop, GError **error)
{
	AshImageImport *import = reader->import;
	char **ids = import->config->diff_ids;

	for (guint i = 0; entry->kind == ASH_ENTRY_FILE && ids[i] != NULL; i++) {
		g_autoptr(AshImageBlob) blob = NULL;
		bool has = false;
		if (!is_named(reader, reader->manifest->layers[i], path))
			continue;
		if (!ash_image_has_layer(import, ids[i], &has, error))
			return FALSE;
		if (has)
			continue;
		ASH_PREFIX("layer '%.80s'", path);
		return ash_image_blob_open_source(ash_archive_read_source, archive, ids[i],
				       ash_image_max_stream(import), &blob, error) &&
		       ash_image_unpack_blob(import, ids[i], blob, error);
	}
	return TRUE;
}

static gboolean read_archive(Reader *reader, GError **error)
{
	AshImageImport *import = reader->import;
	bool has = false;

	if (!read_all(reader, see_entry, error))
		return FALSE;
	if (reader->manifest == NULL)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_CORRUPT,
				"there is no manifest.json in it: not an archive of docker save");
	if (!read_all(reader, see_config, error))
		return FALSE;
	if (import->config == NULL)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_MISSING,
				"there is no '%.80s' in it", reader->manifest->config);
	char **ids = import->config->diff_ids;
	if (g_strv_length(ids) != g_strv_length(reader->manifest->layers))
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX,
				"the config names %u layers, manifest.json %u", g_strv_length(ids),
				g_strv_length(reader->manifest->layers));
	if (!read_all(reader, see_layer, error))
		return FALSE;
	for (guint i = 0; ids[i] != NULL; i++) {
		if (!ash_image_has_layer(import, ids[i], &has, error))
			return FALSE;
		if (!has)
			return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_MISSING,
					"there is no '%.80s' in it", reader->manifest->layers[i]);
	}
	return TRUE;
}

gboolean ash_image_import_archive(AshImageImport *import, GError **error)
{
	ash_autofd int fd = open(import->location, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_MISSING, "there is no %s",
				import->location);
	if (fd < 0)
		return ash_throw_errno(error, "%s", import->location);
	Reader reader = {.import = import,
			.fd = fd,
			.chunk = g_malloc(CHUNK_BYTES),
			.links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free)};
	gboolean is_ok = read_archive(&reader, error);
	ash_oci_archive_free(reader.manifest);
	g_hash_table_unref(reader.links);
	g_free(reader.chunk);
	return is_ok;
}
