/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/bundle-image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "builder/publication.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/oci.h"

/* ---- finding ------------------------------------------------------------------------------------- */

static const struct {
	const char *before, *after;
	bool is_nameless; /* may be anything */
} places[] = {
		{"blobs/sha256/", "", false},
		{"", "", false},
		{"", ".manifest.json", false},
		{"oci/blobs/sha256/", "", false},
		{"manifest.json", NULL, true},
};

/* *out_fd -1: it is another one. The descriptor is at its beginning. */
static gboolean open_place(
		const char *path, const char *sha256, bool is_nameless, int *out_fd, GError **error)
{
	ash_autofd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	g_autofree char *hex = NULL;

	*out_fd = -1;
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || ash_throw_errno(error, "%s", path);
	if (!ash_sha256_fd(fd, &hex, NULL, error))
		return FALSE;
	if (strcmp(hex, sha256) != 0)
		return is_nameless ||
		       ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_DAMAGED,
				       "%s has the digest sha256:%s", path, hex);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return ash_throw_errno(error, "%s", path);
	*out_fd = g_steal_fd(&fd);
	return TRUE;
}

/* *out_fd -1: nobody has it. */
static gboolean find_blob(
		const AshBundleImages *images, const char *sha256, int *out_fd, GError **error)
{
	*out_fd = -1;
	for (const char *const *dir = images->dirs; *dir != NULL; dir++)
		for (size_t i = 0; *out_fd < 0 && i < G_N_ELEMENTS(places); i++) {
			const char *after = places[i].after;
			g_autofree char *path = g_strconcat(*dir, "/", places[i].before,
					after != NULL ? sha256 : "", after, NULL);
			if (!open_place(path, sha256, places[i].is_nameless, out_fd, error))
				return FALSE;
		}
	return TRUE;
}

static gboolean read_document(int fd, GBytes **out_text, GError **error)
{
	g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", fd);

	return ash_file_read(AT_FDCWD, self, ASH_OCI_MAX_MANIFEST_BYTES, out_text, error);
}

/* ---- adding -------------------------------------------------------------------------------------- */

static gboolean put(AshBundleImages *images, const char *sha256, int fd, GError **error)
{
	char *name = g_strconcat(ASH_BUNDLE_IMAGE_BLOBS, sha256, NULL);

	if (!g_hash_table_add(images->added, name))
		return TRUE;
	return ash_interrupt_check(error) && ash_archive_add_fd(images->writer, name, fd, error);
}

static gboolean add_blob(
		AshBundleImages *images, const char *what, const char *sha256, GError **error)
{
	g_autofree char *name = g_strconcat(ASH_BUNDLE_IMAGE_BLOBS, sha256, NULL);
	ash_autofd int fd = -1;

	if (g_hash_table_contains(images->added, name))
		return TRUE;
	if (!find_blob(images, sha256, &fd, error))
		return FALSE;
	if (fd < 0)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND,
				"%s sha256:%s is not there", what, sha256);
	return put(images, sha256, fd, error);
}

static gboolean add_manifest(AshBundleImages *images, GBytes *text, GError **error)
{
	g_autoptr(AshOciManifest) manifest = NULL;

	if (!ash_oci_manifest_parse(text, &manifest, error) ||
			!add_blob(images, "the config", manifest->config->sha256, error))
		return FALSE;
	for (guint i = 0; i < manifest->layers->len; i++) {
		const AshOciDescriptor *layer = manifest->layers->pdata[i];
		if (!add_blob(images, "the layer", layer->sha256, error))
			return FALSE;
	}
	return TRUE;
}

/* OCI's word for Debian's. */
static const char *oci_arch(const char *arch)
{
	static const char *const rows[][2] = {
			{"armhf", "arm"},
			{"i386", "386"},
			{"ppc64el", "ppc64le"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (strcmp(rows[i][0], arch) == 0)
			return rows[i][1];
	return arch;
}

static gboolean add_any(AshBundleImages *images, const char *sha256, int depth, bool *out_is_here,
		GError **error);

/* What is no image of a file system (signatures, attestations) says that it is for no system at all. */
static bool may_be_wanted(const AshOciDescriptor *entry)
{
	return *entry->os == '\0' || strcmp(entry->os, "linux") == 0;
}

static gboolean add_index(AshBundleImages *images, GBytes *text, int depth, GError **error)
{
	g_autoptr(AshOciIndex) index = NULL;
	const AshOciDescriptor *needed = NULL;
	bool has_any = false;

	if (!ash_oci_index_parse(text, &index, error) ||
			(images->arch != NULL &&
					!ash_oci_index_choose(index, NULL, oci_arch(images->arch),
							&needed, error)))
		return FALSE;
	for (guint i = 0; i < index->manifests->len; i++) {
		const AshOciDescriptor *entry = index->manifests->pdata[i];
		bool is_here = false;
		if (!may_be_wanted(entry))
			continue;
		if (!add_any(images, entry->sha256, depth + 1, &is_here, error))
			return FALSE;
		if (!is_here && entry == needed)
			return ash_throw(error, ASH_PUBLICATION_ERROR,
					ASH_PUBLICATION_ERROR_NOT_FOUND,
					"its image for %s, sha256:%s, is not there", images->arch,
					entry->sha256);
		has_any = has_any || is_here;
	}
	return has_any || ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND,
					  "of the images in its index none is there");
}

/* *out_is_here false: nothing was added. */
static gboolean add_any(AshBundleImages *images, const char *sha256, int depth, bool *out_is_here,
		GError **error)
{
	ash_autofd int fd = -1;
	g_autoptr(GBytes) text = NULL;
	bool is_index = false;

	if (depth > ASH_OCI_MAX_NESTING)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_LIMIT,
				"indices in indices, more than %d deep", ASH_OCI_MAX_NESTING);
	if (!find_blob(images, sha256, &fd, error))
		return FALSE;
	*out_is_here = fd >= 0;
	if (fd < 0)
		return TRUE;
	if (!read_document(fd, &text, error) || !ash_oci_is_index(text, &is_index, error))
		return FALSE;
	if (is_index ? !add_index(images, text, depth, error) : !add_manifest(images, text, error))
		return FALSE;
	return put(images, sha256, fd, error);
}

gboolean ash_bundle_images_add(AshBundleImages *images, const char *sha256, GError **error)
{
	bool is_here = false;

	if (!add_any(images, sha256, 0, &is_here, error))
		return FALSE;
	return is_here || ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND,
					  "sha256:%s is not there", sha256);
}
