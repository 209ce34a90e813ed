/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/deb.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/archive.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"

G_DEFINE_QUARK(ash_deb_error, ash_deb_error)

enum {
	/* Larger files go through a temporary file, so that memory stays small. */
	MAX_IN_MEMORY_BYTES = 4 << 20,
};

typedef struct {
	void *data;
	size_t size;
} Mapping;

static void mapping_clear(Mapping *mapping)
{
	if (mapping->data != NULL)
		munmap(mapping->data, mapping->size);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Mapping, mapping_clear)

static gboolean map_file(int fd, const char *what, Mapping *mapping, GError **error)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return ash_throw_errno(error, "%s", what);
	if (!S_ISREG(st.st_mode) || st.st_size < 8)
		return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_FORMAT,
				"%s: not a Debian package", what);
	void *data = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return ash_throw_errno(error, "%s", what);
	mapping->data = data;
	mapping->size = (size_t) st.st_size;
	return TRUE;
}

/* Puts a module's own domain on what the archive layer and the tree say. */
static gboolean fail_archive(GError **error, GError *take_cause, const char *what)
{
	g_autoptr(GError) cause = take_cause;

	if (cause->domain == ASH_TREE_ERROR)
		return ash_throw(error, ASH_DEB_ERROR,
				cause->code == ASH_TREE_ERROR_TOO_DEEP ? ASH_DEB_ERROR_TOO_BIG
								       : ASH_DEB_ERROR_UNSAFE,
				"%s: %s", what, cause->message);
	if (cause->domain == ASH_ARCHIVE_ERROR)
		return ash_throw(error, ASH_DEB_ERROR,
				cause->code == ASH_ARCHIVE_ERROR_TOO_BIG ? ASH_DEB_ERROR_TOO_BIG
									 : ASH_DEB_ERROR_FORMAT,
				"%s: %s", what, cause->message);
	g_propagate_prefixed_error(error, g_steal_pointer(&cause), "%s: ", what);
	return FALSE;
}

/* Steps to the ar member whose name begins with @prefix. GNU ar's trailing '/' is not part of it. */
static gboolean find_member(AshArchive *ar, const char *prefix, const char *what, GError **error)
{
	g_autoptr(GError) cause = NULL;

	for (;;) {
		const AshEntry *entry;
		if (!ash_archive_next(ar, &entry, &cause))
			return fail_archive(error, g_steal_pointer(&cause), what);
		if (entry == NULL)
			return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_FORMAT,
					"%s: not a Debian package: it has no member '%s…'", what,
					prefix);
		if (g_str_has_prefix(entry->path, prefix))
			return TRUE;
		/* deb(5): unknown members may follow, with names that begin with '_'. */
		if (entry->path[0] != '_' && !g_str_has_prefix(entry->path, "control.tar") &&
				strcmp(entry->path, "debian-binary") != 0)
			return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_FORMAT,
					"%s: unexpected member '%s', expected '%s…'", what,
					entry->path, prefix);
	}
}

static gboolean open_deb(
		const Mapping *mapping, const char *what, AshArchive **out_ar, GError **error)
{
	g_autoptr(AshArchive) ar = NULL;
	g_autoptr(GBytes) version = NULL;
	g_autoptr(GError) cause = NULL;

	if (!ash_archive_open_memory(ASH_ARCHIVE_AR, mapping->data, mapping->size, &ar, &cause))
		return fail_archive(error, g_steal_pointer(&cause), what);
	if (!find_member(ar, "debian-binary", what, error))
		return FALSE;
	if (!ash_archive_read_all(ar, 64, &version, &cause))
		return fail_archive(error, g_steal_pointer(&cause), what);
	if (!g_str_has_prefix(g_bytes_get_data(version, NULL), "2."))
		return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_FORMAT,
				"%s: package format '%.16s', expected 2.x", what,
				(const char *) g_bytes_get_data(version, NULL));
	*out_ar = g_steal_pointer(&ar);
	return TRUE;
}

typedef gboolean (*ControlVisit)(const char *name, GBytes *content, gpointer data, GError **error);

/* Calls @visit for each regular file of control.tar. The total of what is unpacked is bounded. */
static gboolean read_control_member(
		AshArchive *ar, const char *what, ControlVisit visit, gpointer data, GError **error)
{
	g_autoptr(AshArchive) tar = NULL;
	g_autoptr(GError) cause = NULL;
	size_t left = ASH_DEB_MAX_CONTROL_BYTES;
	int entries = 0;

	if (!find_member(ar, "control.tar", what, error))
		return FALSE;
	if (!ash_archive_open_source(
			    ASH_ARCHIVE_ANY_TAR, ash_archive_read_source, ar, &tar, &cause))
		return fail_archive(error, g_steal_pointer(&cause), what);
	for (;;) {
		const AshEntry *entry;
		g_autoptr(GBytes) content = NULL;
		if (!ash_archive_next(tar, &entry, &cause))
			return fail_archive(error, g_steal_pointer(&cause), what);
		if (entry == NULL)
			return TRUE;
		if (++entries > ASH_DEB_MAX_CONTROL_FILES)
			return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_TOO_BIG,
					"%s: more than %d files in its control archive", what,
					ASH_DEB_MAX_CONTROL_FILES);
		if (entry->kind == ASH_ENTRY_DIR)
			continue;
		const char *name = entry->path;
		if (g_str_has_prefix(name, "./"))
			name += 2;
		if (entry->kind != ASH_ENTRY_FILE || strchr(name, '/') != NULL || *name == '\0' ||
				*name == '.')
			return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_UNSAFE,
					"%s: its control archive holds '%s', expected plain files only",
					what, entry->path);
		g_autofree char *safe_name = g_strdup(name);
		if (!ash_archive_read_all(tar, left, &content, &cause))
			return fail_archive(error, g_steal_pointer(&cause), what);
		left -= g_bytes_get_size(content);
		if (!visit(safe_name, content, data, error))
			return FALSE;
	}
}

static gboolean keep_control(const char *name, GBytes *content, gpointer data, GError **error)
{
	GBytes **out_control = data;

	if (strcmp(name, "control") == 0 && *out_control == NULL)
		*out_control = g_bytes_ref(content);
	return TRUE;
}

gboolean ash_deb_read_control(int fd, const char *what, GBytes **out_control, GError **error)
{
	g_auto(Mapping) mapping = {0};
	g_autoptr(AshArchive) ar = NULL;
	g_autoptr(GBytes) control = NULL;

	if (!map_file(fd, what, &mapping, error) || !open_deb(&mapping, what, &ar, error) ||
			!read_control_member(ar, what, keep_control, &control, error))
		return FALSE;
	if (control == NULL)
		return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_FORMAT,
				"%s: its control archive has no file 'control'", what);
	*out_control = g_steal_pointer(&control);
	return TRUE;
}

/* ---- import ---------------------------------------------------------------------------------- */

typedef struct {
	AshRepo *repo;
	AshTree *tree;
	const char *what;
	GByteArray *buffer;
	uint64_t bytes_left;
	uint64_t newest_s;
	bool has_control;
} Import;

static gboolean store_control(const char *name, GBytes *content, gpointer data, GError **error)
{
	static const char *const scripts[] = {
			"preinst", "postinst", "prerm", "postrm", "config", NULL};
	Import *import = data;
	g_autofree char *path = g_strconcat("control/", name, NULL);
	/* As dpkg keeps them: what is run is executable, everything belongs to root. */
	g_autoptr(AshNode) node =
			ash_node_new(ASH_NODE_FILE, g_strv_contains(scripts, name) ? 0755 : 0644);

	if (strcmp(name, "control") == 0)
		import->has_control = true;
	gsize size;
	const void *bytes = g_bytes_get_data(content, &size);
	return ash_repo_write_file(import->repo, node, bytes, size, error) &&
	       ash_tree_insert(import->tree, path, g_steal_pointer(&node), error);
}

/* "./usr/bin/x" and "usr/bin/x/" → "data/usr/bin/x"; refuses what would leave the tree. */
static gboolean tree_path(const Import *import, const char *path, char **out_path, GError **error)
{
	const char *p = path;

	while (g_str_has_prefix(p, "./"))
		p += 2;
	if (strcmp(p, ".") == 0)
		p = "";
	if (path[0] == '/')
		return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_UNSAFE,
				"%s: brings the absolute path '%s'", import->what, path);
	if (strlen(path) > ASH_DEB_MAX_PATH_BYTES)
		return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_TOO_BIG,
				"%s: a path of more than %d bytes: '%.64s…'", import->what,
				ASH_DEB_MAX_PATH_BYTES, path);
	g_auto(GStrv) names = g_strsplit(p, "/", -1);
	for (char **name = names; *name != NULL; name++)
		if (strcmp(*name, "..") == 0)
			return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_UNSAFE,
					"%s: the path '%s' leads out of the package", import->what,
					path);
	*out_path = g_strconcat("data/", p, NULL);
	return TRUE;
}

static gboolean spool(Import *import, AshArchive *tar, AshNode *node, GError **error)
{
	g_autofree char *dir = g_build_filename(ash_repo_path(import->repo), "tmp", NULL);
	ash_autofd int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return ash_throw_errno(error, "%s", dir);
	for (;;) {
		const void *data;
		size_t size;
		if (!ash_archive_read(tar, &data, &size, error))
			return FALSE;
		if (size == 0)
			break;
		if (!ash_file_write_all(fd, data, size, error))
			return FALSE;
	}
	return ash_repo_write_file_fd(import->repo, node, fd, error);
}

static gboolean store_content(Import *import, AshArchive *tar, const AshEntry *entry, AshNode *node,
		GError **error)
{
	if (entry->size < 0 || (uint64_t) entry->size > import->bytes_left)
		return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_TOO_BIG,
				"%s: unpacks to more than %" G_GUINT64_FORMAT " bytes",
				import->what, ASH_DEB_MAX_DATA_BYTES);
	import->bytes_left -= (uint64_t) entry->size;
	if (entry->size > MAX_IN_MEMORY_BYTES)
		return spool(import, tar, node, error);
	g_byte_array_set_size(import->buffer, 0);
	for (;;) {
		const void *data;
		size_t size;
		if (!ash_archive_read(tar, &data, &size, error))
			return FALSE;
		if (size == 0)
			break;
		g_byte_array_append(import->buffer, data, (guint) size);
	}
	return ash_repo_write_file(
			import->repo, node, import->buffer->data, import->buffer->len, error);
}

static gboolean insert_hardlink(
		Import *import, const char *path, const AshEntry *entry, GError **error)
{
	g_autofree char *target = NULL;

	if (!tree_path(import, entry->target, &target, error))
		return FALSE;
	const AshNode *node = ash_tree_find(import->tree, target);
	if (node == NULL || node->kind == ASH_NODE_DIR)
		return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_UNSAFE,
				"%s: '%s' is a hard link to '%s', which is no earlier file of this package",
				import->what, entry->path, entry->target);
	return ash_tree_insert(import->tree, path, ash_node_copy(node), error);
}

/* "data/", with as many slashes as the archive had. */
static bool is_package_root(const char *tree_path)
{
	const char *rest = tree_path + strlen("data");

	return rest[strspn(rest, "/")] == '\0';
}

static gboolean import_entry(Import *import, AshArchive *tar, const AshEntry *entry, GError **error)
{
	g_autofree char *path = NULL;

	if (!tree_path(import, entry->path, &path, error))
		return FALSE;
	if (entry->kind != ASH_ENTRY_DIR && is_package_root(path))
		return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_UNSAFE,
				"%s: its root '%s' is not a directory", import->what, entry->path);
	if (entry->mtime_s > 0)
		import->newest_s = MAX(import->newest_s, (uint64_t) entry->mtime_s);
	if (entry->kind == ASH_ENTRY_OTHER)
		return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_UNSAFE,
				"%s: '%s' is a device, pipe or socket, expected files, directories and links",
				import->what, entry->path);
	if (entry->kind == ASH_ENTRY_HARDLINK)
		return insert_hardlink(import, path, entry, error);

	if (entry->kind == ASH_ENTRY_DIR) {
		AshNode *dir = NULL;
		if (!ash_tree_ensure_dir(import->tree, path, &dir, error))
			return FALSE;
		dir->mode = entry->mode;
		dir->uid = (uint32_t) entry->uid;
		dir->gid = (uint32_t) entry->gid;
		return TRUE;
	}
	g_autoptr(AshNode) node = ash_node_new(
			entry->kind == ASH_ENTRY_FILE ? ASH_NODE_FILE : ASH_NODE_LINK, entry->mode);
	node->uid = (uint32_t) entry->uid;
	node->gid = (uint32_t) entry->gid;
	if (entry->xattrs != NULL)
		node->xattrs = g_variant_ref(entry->xattrs);
	if (entry->kind == ASH_ENTRY_LINK) {
		node->mode = 0777;
		node->target = g_strdup(entry->target);
	} else if (!store_content(import, tar, entry, node, error)) {
		return FALSE;
	}
	return ash_tree_insert(import->tree, path, g_steal_pointer(&node), error);
}

static gboolean import_data(Import *import, AshArchive *ar, GError **error)
{
	g_autoptr(AshArchive) tar = NULL;
	AshNode *data = NULL;

	if (!find_member(ar, "data.tar", import->what, error) ||
			!ash_tree_ensure_dir(import->tree, "data", &data, error) ||
			!ash_archive_open_source(ASH_ARCHIVE_ANY_TAR, ash_archive_read_source, ar,
					&tar, error))
		return FALSE;
	for (int entries = 0;; entries++) {
		const AshEntry *entry;
		if (!ash_interrupt_check(error) || !ash_archive_next(tar, &entry, error))
			return FALSE;
		if (entry == NULL)
			return TRUE;
		if (entries >= ASH_DEB_MAX_ENTRIES)
			return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_TOO_BIG,
					"%s: more than %d files", import->what,
					ASH_DEB_MAX_ENTRIES);
		if (!import_entry(import, tar, entry, error))
			return FALSE;
	}
}

static gboolean import_control(Import *import, AshArchive *ar, GError **error)
{
	if (!read_control_member(ar, import->what, store_control, import, error))
		return FALSE;
	if (!import->has_control)
		return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_FORMAT,
				"%s: its control archive has no file 'control'", import->what);
	return TRUE;
}

static gboolean check_hash(const Mapping *mapping, const char *sha256, const char *path,
		const char *what, GError **error)
{
	if (sha256 == NULL)
		return TRUE;
	g_autofree char *actual = ash_sha256_hex(mapping->data, mapping->size);
	if (strcmp(actual, sha256) == 0)
		return TRUE;
	return ash_throw(error, ASH_DEB_ERROR, ASH_DEB_ERROR_MISMATCH,
			"%s: %s has SHA-256 %s, but the lock says %s", what, path, actual, sha256);
}

gboolean ash_deb_import(AshRepo *repo, const char *path, const char *sha256, const char *what,
		AshTree **out_tree, uint64_t *out_newest_s, GError **error)
{
	g_auto(Mapping) mapping = {0};
	g_autoptr(AshArchive) ar = NULL;
	g_autoptr(AshTree) tree = ash_tree_new();
	g_autoptr(GByteArray) buffer = g_byte_array_new();
	g_autoptr(GError) cause = NULL;
	ash_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	Import import = {
			.repo = repo,
			.tree = tree,
			.what = what,
			.buffer = buffer,
			.bytes_left = ASH_DEB_MAX_DATA_BYTES,
	};
	if (!map_file(fd, what, &mapping, error) ||
			!check_hash(&mapping, sha256, path, what, error) ||
			!open_deb(&mapping, what, &ar, error))
		return FALSE;
	if (!import_control(&import, ar, &cause) || !import_data(&import, ar, &cause)) {
		if (cause->domain == ASH_DEB_ERROR || cause->domain == G_IO_ERROR) {
			g_propagate_error(error, g_steal_pointer(&cause));
			return FALSE;
		}
		return fail_archive(error, g_steal_pointer(&cause), what);
	}
	*out_newest_s = import.newest_s;
	*out_tree = g_steal_pointer(&tree);
	return TRUE;
}
