/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/audit.h"
#include "fleet/server.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/x509.h"

G_DEFINE_QUARK(ash_backup_error, ash_backup_error)

enum {
	MAX_PEM_BYTES = 256 << 10,
};

static const struct {
	const char *name;
	bool is_optional, stays; /* stays: what is there already is as good */
} files[] = {
		{"ca.key", false, false},
		{"ca.pem", false, false},
		{"fleetd.yaml", true, true},
};

/* ---- one file ---- */

static gboolean copy_to(int from, const char *path, GError **error)
{
	g_autofree char *part = g_strconcat(path, ".part", NULL);
	ash_autofd int to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (to < 0)
		return ash_throw_errno(error, "%s", part);
	if (!ash_file_copy_fd(from, to, error))
		return FALSE;
	if (fsync(to) < 0 || rename(part, path) < 0)
		return ash_throw_errno(error, "%s", path);
	return ash_file_sync_parent(AT_FDCWD, path, error);
}

/* *out_found false: there is none. */
static gboolean copy_file(const char *from_dir, const char *to_dir, const char *name,
		bool *out_found, GError **error)
{
	g_autofree char *from = g_build_filename(from_dir, name, NULL);
	g_autofree char *to = g_build_filename(to_dir, name, NULL);
	ash_autofd int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno != ENOENT)
		return ash_throw_errno(error, "%s", from);
	*out_found = fd >= 0;
	return fd < 0 || copy_to(fd, to, error);
}

/* ---- the archive of the audit log ---- */

/* "000000000001-000000000500.jsonl" */
static bool read_first(const char *name, int64_t *out_first)
{
	char *end = NULL;
	int64_t first = g_ascii_strtoll(name, &end, 10);

	*out_first = first;
	return first > 0 && *end == '-' && g_str_has_suffix(name, ".jsonl");
}

/* Those of rows up to @last: what comes behind it is in the database still. */
static gboolean copy_archive(const char *from_dir, const char *to_dir, int64_t last, GError **error)
{
	g_autofree char *from = g_build_filename(from_dir, "audit", NULL);
	g_autofree char *to = g_build_filename(to_dir, "audit", NULL);
	g_autoptr(GError) failure = NULL;
	g_autoptr(GDir) names = g_dir_open(from, 0, &failure);
	const char *name;
	int64_t first = 0;
	bool is_found = false;

	if (g_error_matches(failure, G_FILE_ERROR, G_FILE_ERROR_NOENT))
		return TRUE;
	if (names == NULL) {
		g_propagate_error(error, g_steal_pointer(&failure));
		return FALSE;
	}
	if (!ash_file_ensure_dir(AT_FDCWD, to, 0700, error))
		return FALSE;
	while ((name = g_dir_read_name(names)) != NULL)
		if (read_first(name, &first) && first <= last &&
				!copy_file(from, to, name, &is_found, error))
			return FALSE;
	return ash_file_sync_parent(AT_FDCWD, to, error);
}

/* ---- making ---- */

static gboolean fill(const char *dir, const char *to, GError **error)
{
	g_autoptr(AshFleetConfig) config = NULL;
	g_autoptr(AshDbPool) pool = NULL;
	g_autofree char *database = g_build_filename(to, "fleet.db", NULL);
	bool is_found = false;

	if (!ash_server_open_database(dir, &config, &pool, error) ||
			!ash_db_backup(pool, database, error))
		return FALSE;
	/* A file is there before its rows leave the database, so those that the copy lacks are there now. */
	if (!copy_archive(dir, to, INT64_MAX, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
		if (!copy_file(dir, to, files[i].name, &is_found, error))
			return FALSE;
		if (!is_found && !files[i].is_optional)
			return ash_throw(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_NONE,
					"%s has no %s: it is no fleet's directory", dir,
					files[i].name);
	}
	return TRUE;
}

gboolean ash_backup_make(const char *dir, const char *backup, GError **error)
{
	g_autofree char *path = g_canonicalize_filename(backup, NULL);
	g_autofree char *part = g_strconcat(path, ".part", NULL);
	bool is_there = false;

	if (!ash_file_exists(AT_FDCWD, path, &is_there, error))
		return FALSE;
	if (is_there)
		return ash_throw(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_THERE,
				"'%s' is there already: a backup is a directory of its own",
				backup);
	/* What an earlier one left when it was ended. */
	if (!ash_file_remove_tree(AT_FDCWD, part, error))
		return FALSE;
	if (mkdir(part, 0700) < 0)
		return ash_throw_errno(error, "%s", part);
	if (!fill(dir, part, error)) {
		if (!ash_file_remove_tree(AT_FDCWD, part, NULL))
			g_warning("'%s' is left", part);
		return FALSE;
	}
	if (rename(part, path) < 0)
		return ash_throw_errno(error, "%s", path);
	return ash_file_sync_parent(AT_FDCWD, path, error);
}

/* ---- restoring ---- */

static gboolean check_same(const char *dir, const char *backup, const char *name, bool *out_there,
		GError **error)
{
	g_autofree char *ours = g_build_filename(dir, name, NULL);
	g_autofree char *theirs = g_build_filename(backup, name, NULL);
	g_autoptr(GBytes) a = NULL, b = NULL;

	if (!ash_file_exists(AT_FDCWD, ours, out_there, error))
		return FALSE;
	if (!*out_there)
		return TRUE;
	if (!ash_file_read(AT_FDCWD, ours, MAX_PEM_BYTES, &a, error) ||
			!ash_file_read(AT_FDCWD, theirs, MAX_PEM_BYTES, &b, error))
		return FALSE;
	return g_bytes_equal(a, b) ? TRUE
				   : ash_throw(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_OTHER,
						     "%s is not the backup's: the directory is "
						     "another fleet's",
						     ours);
}

static gboolean restore_files(const char *dir, const char *backup, GError **error)
{
	bool is_there[G_N_ELEMENTS(files)] = {false}, is_found = false;

	for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
		g_autofree char *ours = g_build_filename(dir, files[i].name, NULL);
		if (files[i].stays ? !ash_file_exists(AT_FDCWD, ours, &is_there[i], error)
				   : !check_same(dir, backup, files[i].name, &is_there[i], error))
			return FALSE;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
		if (is_there[i])
			continue;
		if (!copy_file(backup, dir, files[i].name, &is_found, error))
			return FALSE;
		if (!is_found && !files[i].is_optional)
			return ash_throw(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_NONE,
					"'%s' has no %s: it is no backup, or not a whole one",
					backup, files[i].name);
	}
	return TRUE;
}

static gboolean read_pem(const char *backup, const char *name, char **out_text, GError **error)
{
	g_autofree char *path = g_build_filename(backup, name, NULL);
	g_autoptr(GBytes) bytes = NULL;
	bool is_there = false;
	gsize size = 0;

	if (!ash_file_exists(AT_FDCWD, path, &is_there, error))
		return FALSE;
	if (!is_there)
		return ash_throw(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_NONE,
				"'%s' has no %s: it is no backup, or not a whole one", backup,
				name);
	if (!ash_file_read(AT_FDCWD, path, MAX_PEM_BYTES, &bytes, error))
		return FALSE;
	const char *text = g_bytes_get_data(bytes, &size);
	*out_text = g_strndup(text, size);
	return TRUE;
}

/* Before anything is written: what would be found later would leave half of it there. */
static gboolean check_authority(const char *backup, GError **error)
{
	g_autofree char *certificate = NULL;
	g_autofree char *key = NULL;

	if (!read_pem(backup, "ca.pem", &certificate, error) ||
			!read_pem(backup, "ca.key", &key, error))
		return FALSE;
	return ash_x509_key_is_of(certificate, key) ||
	       ash_throw(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_DAMAGED,
			       "ca.key and ca.pem of the backup '%s' are damaged, or not of one "
			       "another: take an older one; nothing was restored",
			       backup);
}

static gboolean check_database(const char *database, int64_t *out_last, GError **error)
{
	g_autofree char *address = g_strdup_printf("sqlite-file:%s", database);
	g_autoptr(AshDbPool) pool = NULL;
	g_autoptr(AshDb) db = NULL;
	AshAuditAnchor anchor = {0};
	bool is_there = false;

	if (!ash_file_exists(AT_FDCWD, database, &is_there, error))
		return FALSE;
	if (!is_there)
		return ash_throw(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_NONE,
				"there is no '%s': it is no backup, or not a whole one", database);
	if (!ash_db_pool_open(address, 1, &pool, error) || !ash_db_pool_take(pool, &db, error) ||
			!ash_db_check(db, error) || !ash_audit_get_anchor(db, &anchor, error)) {
		if (error != NULL && *error != NULL && (*error)->domain == ASH_DB_ERROR &&
				(*error)->code == ASH_DB_ERROR_CORRUPT) {
			(*error)->domain = ASH_BACKUP_ERROR;
			(*error)->code = ASH_BACKUP_ERROR_DAMAGED;
		}
		return FALSE;
	}
	*out_last = anchor.seq;
	return TRUE;
}

static gboolean fill_from(const char *dir, const char *backup, const char *database, bool is_whole,
		int64_t last, GError **error)
{
	g_autoptr(AshFleetConfig) config = NULL;

	if (is_whole && (!restore_files(dir, backup, error) ||
					!copy_archive(backup, dir, last, error)))
		return FALSE;
	return ash_fleet_config_load(dir, &config, error) &&
	       ash_db_restore(config->database, database, error);
}

static const char *const kept_names[] = {"lock", "ca.key", "ca.pem", "fleetd.yaml", "audit",
		"fleet.db", "fleet.db-wal", "fleet.db-shm"};

/* What was not there before goes again. */
static void take_back(const char *dir, bool was_there, const bool *had)
{
	if (!was_there && !ash_file_remove_tree(AT_FDCWD, dir, NULL))
		g_warning("'%s' is left, with half of a backup", dir);
	for (size_t i = 0; was_there && i < G_N_ELEMENTS(kept_names); i++) {
		g_autofree char *path = g_build_filename(dir, kept_names[i], NULL);
		if (!had[i] && !ash_file_remove_tree(AT_FDCWD, path, NULL))
			g_warning("'%s' is left", path);
	}
}

gboolean ash_backup_restore(const char *dir, const char *backup, GError **error)
{
	bool is_whole = g_file_test(backup, G_FILE_TEST_IS_DIR), was_there = false;
	g_autofree char *database =
			is_whole ? g_build_filename(backup, "fleet.db", NULL) : g_strdup(backup);
	bool had[G_N_ELEMENTS(kept_names)] = {false};
	ash_autofd int lock = -1;
	int64_t last = 0;

	if (!check_database(database, &last, error) ||
			(is_whole && !check_authority(backup, error)) ||
			!ash_file_exists(AT_FDCWD, dir, &was_there, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(kept_names); i++) {
		g_autofree char *path = g_build_filename(dir, kept_names[i], NULL);
		if (was_there && !ash_file_exists(AT_FDCWD, path, &had[i], error))
			return FALSE;
	}
	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0700, error) || !ash_server_lock(dir, &lock, error))
		return FALSE;
	if (fill_from(dir, backup, database, is_whole, last, error))
		return TRUE;
	take_back(dir, was_there, had);
	return FALSE;
}
