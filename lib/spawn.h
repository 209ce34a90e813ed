/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Child processes: an argv array, never a shell; a cleared environment; a deadline; what the child
 * said on stderr is in the error. The child dies with its parent (PR_SET_PDEATHSIG), and is killed
 * with its whole process group on interrupt (lib/interrupt.h) and at the deadline.
 */

#define ASH_SPAWN_ERROR (ash_spawn_error_quark())
GQuark ash_spawn_error_quark(void);

typedef enum {
	ASH_SPAWN_ERROR_NOT_FOUND, /* no such program in PATH */
	ASH_SPAWN_ERROR_FAILED,    /* it ended with another code than 0, or by a signal */
	ASH_SPAWN_ERROR_TIMEOUT,
	ASH_SPAWN_ERROR_TOO_BIG, /* it printed more than max_output_bytes */
} AshSpawnError;

typedef struct {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *const *env; /* added to PATH, LC_ALL=C.UTF-8, HOME=/root, TZ=UTC; may be NULL */
	const char *cwd;        /* NULL: the caller's */
	int stdin_fd;           /* borrowed; 0 or less: /dev/null */
	int stdout_fd;          /* borrowed; 0: capture or discard */
	int pass_fd;            /* borrowed; kept open as descriptor 3 of the child; 0: none */
	/* Runs in the child between fork and exec: system calls only. 0, or an errno that becomes the
	 * error. For namespaces and mounts that must go when the child goes.
	 */
	int (*prepare)(gconstpointer data);
	gconstpointer prepare_data;
	/* Called with each piece of what the child prints on stdout, as it comes, to show progress; the
	 * pieces end anywhere. NULL: none.
	 */
	void (*on_output)(const char *piece, size_t size, gpointer data);
	gpointer on_output_data;
	bool merge_stderr;       /* stderr goes where stdout goes */
	bool inherit_terminal;   /* stdin, stdout, stderr of the caller, its process group too */
	size_t max_output_bytes; /* of captured stdout; 0: 16 MiB */
	uint32_t timeout_ms;     /* 0: none */
} AshSpawn;

/* ash_spawn_run:
 * @out_stdout: NULL to discard; NUL-terminated behind its end
 *
 * Runs and waits. Anything but exit code 0 is ASH_SPAWN_ERROR_FAILED; the message holds the end of
 * what the child printed on stderr (of stdout when they are merged). An interrupt is
 * G_IO_ERROR_CANCELLED.
 */
gboolean ash_spawn_run(const AshSpawn *spawn, GBytes **out_stdout, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ash_spawn_run_status: as ash_spawn_run, but an exit code is an answer, not an error. Death by a
 * signal is still ASH_SPAWN_ERROR_FAILED.
 */
gboolean ash_spawn_run_status(const AshSpawn *spawn, GBytes **out_stdout, int *out_exit_code,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Sugar for the plain case: ash_spawn_simple(error, "mkfs.vfat", "-F", "32", path, NULL). */
gboolean ash_spawn_simple(GError **error, const char *program, ...) G_GNUC_NULL_TERMINATED
		G_GNUC_WARN_UNUSED_RESULT;

/* A question: is there such a program in PATH? */
bool ash_spawn_have(const char *program);
