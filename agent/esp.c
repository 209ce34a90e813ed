/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/esp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/fault.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"

G_DEFINE_QUARK(ash_esp_error, ash_esp_error)

#define ENTRIES "loader/entries"

/* Paths on the ESP begin with '/', as the boot loader wants them. */
static const char *below(const char *path)
{
	return path + strspn(path, "/");
}

/* FAT's syncfs hands all to the disk, but does not ask it to empty its cache; its fsync does. */
static gboolean sync_all(int dirfd, GError **error)
{
	if (syncfs(dirfd) < 0 || fsync(dirfd) < 0)
		return ash_throw_errno(error, "syncing the ESP");
	return TRUE;
}

static int compare(gconstpointer a, gconstpointer b)
{
	return ash_boot_entry_compare(*(const void *const *) a, *(const void *const *) b);
}

/* ---- reading --------------------------------------------------------------------------------- */

static gboolean load_entry(int fd, const char *name, AshBootEntry **out_entry, GError **error)
{
	g_autoptr(GBytes) text = NULL;

	return ash_file_read(fd, name, ASH_BOOT_ENTRY_MAX_BYTES, &text, error) &&
	       ash_boot_entry_parse(name, text, out_entry, error);
}

gboolean ash_esp_list(int dirfd, GPtrArray **out_entries, char ***out_warnings, GError **error)
{
	ASH_PREFIX("reading /" ENTRIES);
	g_autoptr(GPtrArray) entries =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_boot_entry_free);
	g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
	ash_autofd int fd = openat(dirfd, ENTRIES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned files = 0;

	if (fd < 0 && errno != ENOENT)
		return ash_throw_errno(error, "opening it");
	g_autoptr(AshDir) dir = fd >= 0 ? fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 3)) : NULL;
	if (fd >= 0 && dir == NULL)
		return ash_throw_errno(error, "opening it");
	errno = 0;
	for (struct dirent *file; dir != NULL && (file = readdir(dir)) != NULL; errno = 0) {
		g_autoptr(GError) cause = NULL;
		AshBootEntry *entry = NULL;
		if (file->d_name[0] == '.')
			continue;
		if (++files > ASH_ESP_MAX_ENTRIES)
			return ash_throw(error, ASH_ESP_ERROR, ASH_ESP_ERROR_LIMIT,
					"more than %d files", ASH_ESP_MAX_ENTRIES);
		if (load_entry(fd, file->d_name, &entry, &cause))
			g_ptr_array_add(entries, entry);
		else if (!g_error_matches(cause, ASH_BOOT_ENTRY_ERROR, ASH_BOOT_ENTRY_ERROR_NAME))
			g_ptr_array_add(warnings, g_strdup(cause->message));
	}
	if (errno != 0)
		return ash_throw_errno(error, "listing it");
	g_ptr_array_sort(entries, compare);
	*out_entries = g_steal_pointer(&entries);
	if (out_warnings != NULL) {
		g_ptr_array_add(warnings, NULL);
		*out_warnings = (char **) g_ptr_array_free(g_steal_pointer(&warnings), FALSE);
	}
	return TRUE;
}

/* The hash of what the disk has, not of what memory has. "" when there is no such file. */
static gboolean hash_on_disk(int dirfd, const char *path, char **out_hex, GError **error)
{
	uint64_t size;
	ash_autofd int fd = openat(dirfd, below(path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		*out_hex = g_strdup("");
		return TRUE;
	}
	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	/* All is written by now, so that the kernel lets its copies go. */
	(void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return ash_sha256_fd(fd, out_hex, &size, error);
}

/* ---- writing --------------------------------------------------------------------------------- */

static gboolean write_temp(
		int dirfd, const char *temp, int from_fd, GBytes *from_bytes, GError **error)
{
	ash_autofd int fd = openat(
			dirfd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return ash_throw_errno(error, "%s", temp);
	ASH_FAULT("esp-temp-made");
	if (from_bytes != NULL) {
		gsize size;
		const void *data = g_bytes_get_data(from_bytes, &size);
		if (!ash_file_write_all(fd, data, size, error))
			return FALSE;
	} else {
		if (lseek(from_fd, 0, SEEK_SET) < 0)
			return ash_throw_errno(error, "lseek");
		if (!ash_file_copy_fd(from_fd, fd, error))
			return FALSE;
	}
	ASH_FAULT("esp-temp-written");
	if (fsync(fd) < 0)
		return ash_throw_errno(error, "fsync(%s)", temp);
	return TRUE;
}

/* @from_bytes NULL: from @from_fd. */
static gboolean put(int dirfd, const char *path, int from_fd, GBytes *from_bytes,
		const char *sha256, GError **error)
{
	ASH_PREFIX("writing %s on the ESP", path);
	g_autofree char *temp = g_strconcat(below(path), ".tmp", NULL);
	g_autofree char *parent = g_path_get_dirname(below(path));
	g_autofree char *hex = NULL;

	if (!ash_file_ensure_dir(dirfd, parent, 0700, error))
		return FALSE;
	if (!write_temp(dirfd, temp, from_fd, from_bytes, error)) {
		unlinkat(dirfd, temp, 0);
		return FALSE;
	}
	/* On disk: a whole file under a name that the boot loader does not look at. */
	ASH_FAULT("esp-temp-synced");
	if (renameat(dirfd, temp, dirfd, below(path)) < 0) {
		ash_throw_errno(error, "rename");
		unlinkat(dirfd, temp, 0);
		return FALSE;
	}
	ASH_FAULT("esp-renamed");
	if (!sync_all(dirfd, error))
		return FALSE;
	/* On disk: the file under its name, if the disk has kept its word. */
	if (!hash_on_disk(dirfd, path, &hex, error))
		return FALSE;
	if (strcmp(hex, sha256) != 0)
		return ash_throw(error, ASH_ESP_ERROR, ASH_ESP_ERROR_READ_BACK,
				"what is there now is not what was written: the ESP or its disk may be "
				"damaged");
	return TRUE;
}

gboolean ash_esp_matches(
		int dirfd, const char *path, const char *sha256, bool *out_matches, GError **error)
{
	g_autofree char *hex = NULL;

	if (!hash_on_disk(dirfd, path, &hex, error))
		return FALSE;
	*out_matches = strcmp(hex, sha256) == 0;
	return TRUE;
}

gboolean ash_esp_put(int dirfd, const char *path, int from_fd, const char *sha256, GError **error)
{
	bool is_there;

	return ash_esp_matches(dirfd, path, sha256, &is_there, error) &&
	       (is_there || put(dirfd, path, from_fd, NULL, sha256, error));
}

gboolean ash_esp_put_entry(int dirfd, const AshBootEntry *entry, const char *file, GError **error)
{
	g_autofree char *path = g_strconcat("/" ENTRIES "/", file, NULL);
	char *text = ash_boot_entry_format(entry);
	g_autoptr(GBytes) bytes = g_bytes_new_take(text, strlen(text));
	g_autofree char *hex = ash_sha256_hex(text, strlen(text));

	return put(dirfd, path, -1, bytes, hex, error);
}

gboolean ash_esp_rename_entry(int dirfd, const char *from, const char *to, GError **error)
{
	ASH_PREFIX("renaming the boot entry %s to %s", from, to);
	ash_autofd int fd = openat(dirfd, ENTRIES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool has_from = false;
	bool has_to = false;

	if (fd < 0)
		return ash_throw_errno(error, "opening /" ENTRIES);
	if (renameat(fd, from, fd, to) < 0)
		return ash_throw_errno(error, "rename");
	ASH_FAULT("esp-entry-renamed");
	if (!sync_all(dirfd, error) || !ash_file_exists(fd, from, &has_from, error) ||
			!ash_file_exists(fd, to, &has_to, error))
		return FALSE;
	if (has_from || !has_to)
		return ash_throw(error, ASH_ESP_ERROR, ASH_ESP_ERROR_READ_BACK,
				"the directory does not show it");
	return TRUE;
}

gboolean ash_esp_remove(int dirfd, const char *path, GError **error)
{
	ASH_PREFIX("removing %s from the ESP", path);

	if (!ash_file_remove_tree(dirfd, below(path), error))
		return FALSE;
	ASH_FAULT("esp-removed");
	return sync_all(dirfd, error);
}
