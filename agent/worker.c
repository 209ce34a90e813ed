/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/boot-entry.h"
#include "agent/boot-kernel.h"
#include "agent/esp.h"
#include "agent/fault.h"
#include "agent/paths.h"
#include "agent/staging.h"
#include "lib/auto.h"
#include "lib/cli.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/json.h"
#include "lib/target.h"
#include "lib/text.h"
#include "lib/tuf.h"

G_DEFINE_QUARK(ash_worker_error, ash_worker_error)

#define ESP_LABEL "ashlar-esp"
#define ESP_MOUNT ASH_PATH_RUN "/esp"

enum {
	MAX_CMDLINE_BYTES = 64 << 10,
	MAX_UEVENT_BYTES = 4096,
	LOCK_TRIES = 100,
	LOCK_PAUSE_US = 100000,
	PROGRESS_INTERVAL_US = 200000,
};

static const char *const words[] = {
		[ASH_WORKER_ERROR_FAILED] = "failed",
		[ASH_WORKER_ERROR_SPACE] = "space",
		[ASH_WORKER_ERROR_MISSING] = "missing",
		[ASH_WORKER_ERROR_CORRUPT] = "corrupt",
		[ASH_WORKER_ERROR_DELTA] = "delta",
		[ASH_WORKER_ERROR_UNTRUSTED] = "untrusted",
		[ASH_WORKER_ERROR_WRONG_VARIANT] = "wrong-variant",
		[ASH_WORKER_ERROR_WRONG_ARCH] = "wrong-arch",
		[ASH_WORKER_ERROR_ESP] = "esp",
		[ASH_WORKER_ERROR_NO_ROOT] = "no-root",
		[ASH_WORKER_ERROR_CANCELLED] = "cancelled",
		[ASH_WORKER_ERROR_NO_FALLBACK] = "no-fallback",
		[ASH_WORKER_ERROR_KERNEL] = "kernel",
		[ASH_WORKER_ERROR_IMAGE] = "image",
};

const char *ash_worker_error_word(const GError *error, const char **out_why)
{
	AshWorkerError word = ASH_WORKER_ERROR_FAILED;

	*out_why = NULL;
	if (error->domain == ASH_WORKER_ERROR)
		word = (AshWorkerError) error->code;
	else if (g_error_matches(error, ASH_TUF_ERROR, ASH_TUF_ERROR_NO_ROOT))
		word = ASH_WORKER_ERROR_NO_ROOT;
	else if (error->domain == ASH_TUF_ERROR)
		word = ASH_WORKER_ERROR_UNTRUSTED;
	else if (g_error_matches(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_WRONG_VARIANT))
		word = ASH_WORKER_ERROR_WRONG_VARIANT;
	else if (g_error_matches(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_WRONG_ARCH))
		word = ASH_WORKER_ERROR_WRONG_ARCH;
	else if (error->domain == ASH_TARGET_ERROR)
		word = ASH_WORKER_ERROR_UNTRUSTED;
	else if (error->domain == ASH_BOOT_KERNEL_ERROR)
		word = ASH_WORKER_ERROR_KERNEL;
	else if (error->domain == ASH_ESP_ERROR || error->domain == ASH_BOOT_ENTRY_ERROR)
		word = ASH_WORKER_ERROR_ESP;
	else if (g_error_matches(error, ASH_STAGING_ERROR, ASH_STAGING_ERROR_MISSING))
		word = ASH_WORKER_ERROR_MISSING;
	else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE) ||
			g_error_matches(error, ASH_STAGING_ERROR, ASH_STAGING_ERROR_SPACE))
		word = ASH_WORKER_ERROR_SPACE;
	else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
		word = ASH_WORKER_ERROR_CANCELLED;
	if (word == ASH_WORKER_ERROR_UNTRUSTED)
		*out_why = error->domain == ASH_TUF_ERROR ? ash_tuf_error_word(error) : "document";
	return words[word];
}

gboolean ash_worker_use_staging(AshWorker *worker, JsonObject *input, GError **error)
{
	JsonNode *node = json_object_get_member(input, "staging");

	/* `clean` has a member of that name too, which is a boolean. */
	if (node == NULL || json_node_get_value_type(node) != G_TYPE_STRING)
		return TRUE;
	const char *path = json_node_get_string(node);
	if (strcmp(path, ASH_PATH_STAGING) != 0 && strcmp(path, ASH_PATH_BUNDLE) != 0)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_FAILED,
				"'%s' is no staging directory", path);
	g_free(worker->staging);
	worker->staging = ash_worker_path(worker, path);
	return TRUE;
}

char *ash_worker_path(const AshWorker *worker, const char *path)
{
	return g_strconcat(worker->prefix, path, NULL);
}

/* ---- the disk -------------------------------------------------------------------------------- */

static bool is_read_only(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) < 0 || (fs.f_flag & ST_RDONLY) != 0;
}

/* /sysroot is read-only for everybody; here alone it is not. */
static gboolean make_writable(const char *path, GError **error)
{
	if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_NOATIME, NULL) < 0)
		return ash_throw_errno(error, "making %s writable", path);
	/* The whole file system may be read-only still, when nothing else wanted to write so far. */
	if (is_read_only(path) && mount(NULL, path, NULL, MS_REMOUNT | MS_NOATIME, NULL) < 0)
		return ash_throw_errno(error, "making the file system of %s writable", path);
	return TRUE;
}

/* The device whose partition is called ESP_LABEL; by the kernel's own list when udev's links are not
 * there.
 */
static char *find_esp(void)
{
	const char *link = "/dev/disk/by-partlabel/" ESP_LABEL;
	g_autoptr(GDir) dir = NULL;

	if (access(link, F_OK) == 0)
		return g_strdup(link);
	dir = g_dir_open("/sys/class/block", 0, NULL);
	for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
		g_autofree char *path = g_strdup_printf("/sys/class/block/%s/uevent", name);
		g_autoptr(GBytes) text = NULL;
		if (!ash_file_read(AT_FDCWD, path, MAX_UEVENT_BYTES, &text, NULL))
			continue;
		g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(text, NULL), "\n", -1);
		if (g_strv_contains((const char *const *) lines, "PARTNAME=" ESP_LABEL))
			return g_strdup_printf("/dev/%s", name);
	}
	return NULL;
}

static gboolean mount_esp(GError **error)
{
	g_autofree char *device = find_esp();

	if (device == NULL)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_ESP,
				"there is no partition '%s'", ESP_LABEL);
	if (!ash_file_ensure_dir(AT_FDCWD, ESP_MOUNT, 0700, error))
		return FALSE;
	if (mount(device, ESP_MOUNT, "vfat", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME,
			    "umask=0077") < 0)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_ESP,
				"mounting the ESP (%s): %s", device, g_strerror(errno));
	if (is_read_only(ESP_MOUNT))
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_ESP,
				"the ESP (%s) is read-only: its file system may be damaged",
				device);
	return TRUE;
}

static gboolean enter_namespace(GError **error)
{
	if (unshare(CLONE_NEWNS) < 0)
		return ash_throw_errno(error, "making a mount namespace");
	/* What is mounted here stays here; what goes outside goes here too. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return ash_throw_errno(error, "making mounts private");
	return make_writable(ASH_PATH_SYSROOT, error) && mount_esp(error);
}

/* One process at a time may change the disk. The lock goes with the process, whatever ends it. */
static gboolean take_lock(AshWorker *worker, GError **error)
{
	ash_autofd int fd =
			openat(worker->sysroot_fd, "ostree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "%s/ostree", worker->sysroot);
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK)
			return ash_throw_errno(error, "locking %s/ostree", worker->sysroot);
		if (i >= LOCK_TRIES)
			return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_FAILED,
					"another process is changing %s/ostree", worker->sysroot);
		if (!ash_interrupt_check(error))
			return FALSE;
		g_usleep(LOCK_PAUSE_US);
	}
	worker->lock_fd = g_steal_fd(&fd);
	return TRUE;
}

static gboolean find_booted(AshWorker *worker, GError **error)
{
	g_autofree char *path = ash_worker_path(worker, "/proc/cmdline");
	g_autoptr(GBytes) text = NULL;

	if (!ash_file_read(AT_FDCWD, path, MAX_CMDLINE_BYTES, &text, error))
		return FALSE;
	g_auto(GStrv) parts = g_strsplit_set(g_bytes_get_data(text, NULL), " \t\n", -1);
	for (char **part = parts; *part != NULL; part++) {
		g_autofree char *commit = NULL;
		unsigned serial;
		if (!ash_boot_entry_parse_link(*part, &commit, &serial))
			continue;
		g_free(worker->booted);
		worker->booted = g_steal_pointer(&commit);
		worker->booted_serial = serial;
	}
	if (worker->booted == NULL)
		worker->booted = g_strdup("");
	return TRUE;
}

static gboolean open_disk(AshWorker *worker, AshWorkerAccess access, GError **error)
{
	g_autofree char *esp = worker->is_test ? ash_worker_path(worker, ASH_PATH_ESP)
					       : g_strdup(ESP_MOUNT);

	if (!worker->is_test && !enter_namespace(error))
		return FALSE;
	worker->sysroot = ash_worker_path(worker, ASH_PATH_SYSROOT);
	worker->sysroot_fd = open(worker->sysroot, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (worker->sysroot_fd < 0)
		return ash_throw_errno(error, "%s", worker->sysroot);
	worker->esp_fd = open(esp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (worker->esp_fd < 0)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_ESP, "%s: %s", esp,
				g_strerror(errno));
	return find_booted(worker, error) &&
	       (access != ASH_WORKER_WRITE_DISK || take_lock(worker, error));
}

gboolean ash_worker_init(
		AshWorker *worker, const char *root, AshWorkerAccess access, GError **error)
{
	*worker = (AshWorker){
			.prefix = root != NULL ? root : "",
			.is_test = root != NULL,
			.sysroot_fd = -1,
			.esp_fd = -1,
			.lock_fd = -1,
	};
	if (worker->is_test)
		ash_fault_enable();
	if (!ash_cli_need_root("it changes what the host boots", error))
		return FALSE;
	worker->staging = ash_worker_path(worker, ASH_PATH_STAGING);
	worker->state = ash_worker_path(worker, ASH_PATH_STATE);
	if (access == ASH_WORKER_NO_DISK || open_disk(worker, access, error))
		return TRUE;
	ash_worker_clear(worker);
	return FALSE;
}

void ash_worker_clear(AshWorker *worker)
{
	ash_close_fd(&worker->lock_fd);
	ash_close_fd(&worker->esp_fd);
	ash_close_fd(&worker->sysroot_fd);
	g_clear_pointer(&worker->staging, g_free);
	g_clear_pointer(&worker->state, g_free);
	g_clear_pointer(&worker->sysroot, g_free);
	g_clear_pointer(&worker->booted, g_free);
}

/* ---- what is said ---------------------------------------------------------------------------- */

void ash_worker_progress(const char *step, uint64_t done, uint64_t total)
{
	static const char *last_step;
	static gint64 last_us;
	gint64 now_us = g_get_monotonic_time();
	g_autoptr(JsonBuilder) builder = json_builder_new();

	if (g_strcmp0(step, last_step) == 0 && done != total &&
			now_us - last_us < PROGRESS_INTERVAL_US)
		return;
	last_step = step;
	last_us = now_us;
	json_builder_begin_object(builder);
	ash_json_begin_object(builder, "progress");
	ash_json_add_text(builder, "step", step);
	ash_json_add_uint(builder, "done", done);
	ash_json_add_uint(builder, "total", total);
	json_builder_end_object(builder);
	json_builder_end_object(builder);
	g_autofree char *line = ash_json_format(builder, false);
	fputs(line, stdout);
	fflush(stdout);
}

gboolean ash_worker_read_keep(JsonObject *input, unsigned max, GHashTable *keep, GError **error)
{
	JsonArray *array;

	if (!ash_json_array(input, "keep", &array, error))
		return FALSE;
	if (json_array_get_length(array) > max)
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_LIMIT,
				"'keep' names more than %u commits", max);
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		const char *commit = json_node_get_value_type(node) == G_TYPE_STRING
						     ? json_node_get_string(node)
						     : "";
		if (!ash_text_is_sha256(commit))
			return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE,
					"'keep' holds something that is no commit");
		g_hash_table_add(keep, g_strdup(commit));
	}
	return TRUE;
}
