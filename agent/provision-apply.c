/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/paths.h"
#include "agent/provision.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/spawn.h"

enum {
	MAX_DIFF_BYTES = 1 << 20,
	KEYGEN_TIMEOUT_MS = 30000,
};

#define STATUS ASH_PATH_RUN "/provision.json"
#define SSH_STATE "/var/lib/ashlar-ssh"
#define SSH_HOST_KEY SSH_STATE "/host_ed25519"
#define SSH_KEYGEN "/usr/bin/ssh-keygen"

/* ---- looking ------------------------------------------------------------------------------- */

static void append_lines(GString *diff, char mark, char *const *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		g_string_append_printf(diff, "%c%s\n", mark, lines[i]);
}

/* Lines of @text; the end of the last line begins no other. */
static char **split(const char *text)
{
	g_autofree char *copy = g_strdup(text);

	g_strchomp(copy);
	return *copy != '\0' ? g_strsplit(copy, "\n", -1) : g_new0(char *, 1);
}

/* What is between the first and the last line that differ: such files are short. */
static void append_diff(GString *diff, const char *old_text, const char *new_text)
{
	g_auto(GStrv) old = split(old_text);
	g_auto(GStrv) new = split(new_text);
	size_t n_old = g_strv_length(old), n_new = g_strv_length(new), same = 0;

	while (same < n_old && same < n_new && strcmp(old[same], new[same]) == 0)
		same++;
	while (n_old > same && n_new > same && strcmp(old[n_old - 1], new[n_new - 1]) == 0) {
		n_old--;
		n_new--;
	}
	append_lines(diff, '-', old + same, n_old - same);
	append_lines(diff, '+', new + same, n_new - same);
}

char *ash_provision_diff(const char *root, const AshProvision *provision)
{
	GString *diff = g_string_new(NULL);

	for (guint i = 0; i < provision->files->len; i++) {
		const AshProvisionFile *file = provision->files->pdata[i];
		g_autofree char *full = g_strconcat(root, file->path, NULL);
		g_autoptr(GBytes) old = NULL;
		if (!ash_file_read(AT_FDCWD, full, MAX_DIFF_BYTES, &old, NULL))
			old = g_bytes_new_static("", 1);
		g_string_append_printf(diff, "--- %s%s\n", file->path,
				file->text == NULL ? " (goes)" : "");
		append_diff(diff, g_bytes_get_data(old, NULL),
				file->text != NULL ? file->text : "");
	}
	return g_string_free(diff, FALSE);
}

/* ---- writing ------------------------------------------------------------------------------- */

/* A file of the kernel cannot be replaced. */
static gboolean write_in_place(const char *path, const char *text, GError **error)
{
	ash_autofd int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	return ash_file_write_all(fd, text, strlen(text), error);
}

static gboolean write_file(const char *root, const AshProvisionFile *file, GError **error)
{
	g_autofree char *path = g_strconcat(root, file->path, NULL);
	g_autofree char *directory = g_path_get_dirname(path);

	if (strcmp(file->path, ASH_PROVISION_HOSTNAME) == 0)
		return write_in_place(path, file->text, error);
	if (file->text == NULL)
		return unlink(path) == 0 ? TRUE : ash_throw_errno(error, "%s", path);
	return ash_file_ensure_dir(AT_FDCWD, directory,
			       g_str_has_prefix(file->path, ASH_PATH_STATE "/") ? 0700 : 0755,
			       error) &&
	       ash_file_replace(AT_FDCWD, path, file->text, strlen(file->text), file->mode, error);
}

static gboolean sync_file(const char *path, GError **error)
{
	ash_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && fsync(fd) == 0 ? TRUE : ash_throw_errno(error, "%s", path);
}

/* ssh-keygen does not sync what it writes, and a host whose key is empty after a power cut cannot be
 * logged into again. So it writes into a directory that is thrown away, and the private key, whose
 * presence says that both are there, gets its name last.
 */
static gboolean make_host_key(const char *state, const char *path, GError **error)
{
	g_autofree char *public = g_strconcat(path, ".pub", NULL);
	g_autoptr(AshTempDir) scratch = NULL;

	if (!ash_file_ensure_dir(AT_FDCWD, state, 0755, error) ||
			!ash_temp_dir_new(state, "new", &scratch, error))
		return FALSE;
	g_autofree char *new = g_build_filename(scratch->path, "key", NULL);
	g_autofree char *new_public = g_strconcat(new, ".pub", NULL);
	const char *argv[] = {
			"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", new, NULL};
	AshSpawn spawn = {.argv = argv, .timeout_ms = KEYGEN_TIMEOUT_MS};
	if (!ash_spawn_run(&spawn, NULL, error) || !sync_file(new, error) ||
			!sync_file(new_public, error))
		return FALSE;
	if (rename(new_public, public) < 0 || rename(new, path) < 0)
		return ash_throw_errno(error, "%s", path);
	return ash_file_sync_parent(AT_FDCWD, path, error);
}

static gboolean ensure_host_key(const char *root, const AshHostdoc *doc, GError **error)
{
	g_autofree char *program = g_strconcat(root, SSH_KEYGEN, NULL);
	g_autofree char *state = g_strconcat(root, SSH_STATE, NULL);
	g_autofree char *path = g_strconcat(root, SSH_HOST_KEY, NULL);
	bool has_program = false, has_key = false;

	if (doc->ssh_keys[0] == NULL)
		return TRUE;
	if (!ash_file_exists(AT_FDCWD, program, &has_program, error) ||
			!ash_file_exists(AT_FDCWD, path, &has_key, error))
		return FALSE;
	return !has_program || has_key || make_host_key(state, path, error);
}

/* ---- the outcome --------------------------------------------------------------------------- */

static gboolean write_status(const char *root, const AshProvision *provision, const GError *failed,
		GError **error)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	const GError *problem = provision->refused != NULL ? provision->refused : failed;

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "source", provision->source);
	ash_json_add_text(builder, "where", provision->where);
	ash_json_add_text(builder, "digest", provision->digest);
	ash_json_add_text(builder, "hostname", provision->hostname);
	ash_json_add_bool(builder, "changed", provision->is_changed);
	ash_json_add_text(builder, "error", problem != NULL ? problem->message : NULL);
	ash_json_begin_array(builder, "warnings");
	for (guint i = 0; i < provision->warnings->len; i++)
		json_builder_add_string_value(builder, provision->warnings->pdata[i]);
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	g_autofree char *text = ash_json_format(builder, false);
	AshProvisionFile file = {.path = (char *) (uintptr_t) STATUS, .text = text, .mode = 0644};
	return write_file(root, &file, error);
}

static void keep_first(GError **first, GError *taken)
{
	if (*first == NULL)
		*first = taken;
	else
		g_clear_error(&taken);
}

gboolean ash_provision_apply(const char *root, const AshProvision *provision, GError **error)
{
	GError *first = NULL;

	for (guint i = 0; i < provision->files->len; i++) {
		GError *local = NULL;
		if (!write_file(root, provision->files->pdata[i], &local))
			keep_first(&first, local);
	}
	GError *local = NULL;
	if (!ensure_host_key(root, provision->doc, &local))
		keep_first(&first, g_steal_pointer(&local));
	if (!write_status(root, provision, first, &local))
		keep_first(&first, g_steal_pointer(&local));
	if (first == NULL)
		return TRUE;
	g_propagate_error(error, first);
	return FALSE;
}
