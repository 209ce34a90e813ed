/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What the verbs of ashlar-worker (agent/job.h) stand on: where things are, who else works, how
 * progress and errors are said.
 *
 * On a host the process gets a mount namespace of its own, in which /sysroot is writable and the ESP
 * is mounted at /run/ashlar/esp; nobody else sees either. With --root DIR, for tests, DIR/sysroot and
 * DIR/efi are directories that are used as they are, nothing is mounted, and planted faults
 * (agent/fault.h) are honoured.
 */

#define ASH_WORKER_ERROR (ash_worker_error_quark())
GQuark ash_worker_error_quark(void);

/* The words of agent/job.h, in this order. */
typedef enum {
	ASH_WORKER_ERROR_FAILED,
	ASH_WORKER_ERROR_SPACE,
	ASH_WORKER_ERROR_MISSING,
	ASH_WORKER_ERROR_CORRUPT,
	ASH_WORKER_ERROR_DELTA,
	ASH_WORKER_ERROR_UNTRUSTED,
	ASH_WORKER_ERROR_WRONG_VARIANT,
	ASH_WORKER_ERROR_WRONG_ARCH,
	ASH_WORKER_ERROR_ESP,
	ASH_WORKER_ERROR_NO_ROOT,
	ASH_WORKER_ERROR_CANCELLED,
	ASH_WORKER_ERROR_NO_FALLBACK,
	ASH_WORKER_ERROR_KERNEL,
	ASH_WORKER_ERROR_IMAGE,
} AshWorkerError;

typedef struct {
	const char *prefix; /* of every path of agent/paths.h: "", or what --root says */
	bool is_test;       /* --root was given */
	char *staging;      /* prefix + ASH_PATH_STAGING */
	char *state;        /* prefix + ASH_PATH_STATE */

	/* Only for verbs that ask for the disk; -1, NULL otherwise. */
	char *sysroot;          /* path of the directory that holds ostree/ */
	int sysroot_fd, esp_fd; /* that, and the ESP's root */
	char *booted;           /* commit, from the kernel's command line; "" when it names none */
	unsigned booted_serial;
	int lock_fd;
} AshWorker;

/* A verb. @input: what stood on stdin. @result: an open object, to which members are added (lib/json.h).
 * Runs in the process's only thread; asks ash_interrupt_check() in long loops; reports progress.
 * May be killed at any instant and is then given again.
 */
typedef gboolean (*AshWorkerRun)(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error);

typedef enum {
	ASH_WORKER_NO_DISK,   /* staging and state alone */
	ASH_WORKER_READ_DISK, /* sysroot and ESP too, without the lock */
	ASH_WORKER_WRITE_DISK /* … and one such process at a time */
} AshWorkerAccess;

typedef struct {
	const char *verb;
	AshWorkerAccess access;
	AshWorkerRun run;
} AshWorkerVerb;

/* @root: of --root, or NULL. Needs root. */
gboolean ash_worker_init(AshWorker *worker, const char *root, AshWorkerAccess access,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_worker_clear(AshWorker *worker);

/* The "staging" of @input, if it names one: then worker->staging is that. */
gboolean ash_worker_use_staging(AshWorker *worker, JsonObject *input, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Adds the commits that "keep" of @input names, at most @max, to @keep, which owns its keys. */
gboolean ash_worker_read_keep(JsonObject *input, unsigned max, GHashTable *keep, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* prefix + @path. */
char *ash_worker_path(const AshWorker *worker, const char *path);

/* One line on stdout, at most five a second for one step; the first and the last of a step always. */
void ash_worker_progress(const char *step, uint64_t done, uint64_t total);

/* The word of agent/job.h for any error; sets *out_why (static, or NULL) for "untrusted". */
const char *ash_worker_error_word(const GError *error, const char **out_why);
