/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Programs of the image that is being built (maintainer scripts, postprocess scripts, depmod, dracut)
 * run in systemd-nspawn: own namespaces, no network, on an overlay. The lower layer is a checkout of
 * hard links into the cache, and nothing but the upper layer can be written, so no script can reach
 * the cache. The overlay lives in a mount namespace of the child alone: it is gone when the child is,
 * however that ends.
 *
 * Tried: --register=no --keep-unit works where PID 1 is not systemd. --suppress-sync turns the
 * hundreds of fsync() of dpkg into nothing: the sandbox's result is stored by us, with a sync of its
 * own.
 */

#define ASH_SANDBOX_ERROR (ash_sandbox_error_quark())
GQuark ash_sandbox_error_quark(void);

typedef enum {
	ASH_SANDBOX_ERROR_FAILED, /* the program inside failed; the message has its last words */
	ASH_SANDBOX_ERROR_TIMEOUT,
} AshSandboxError;

typedef struct {
	const char *lower;   /* root directory to run in, never written */
	const char *scratch; /* existing directory on a file system that can be an upper layer; the
			      * result is in SCRATCH/upper */
	const char *const *argv;   /* inside; argv[0] absolute */
	const char *const *env;    /* NAME=VALUE, or NULL */
	const char *const *binds;  /* "OUTSIDE:INSIDE", read-only, or NULL */
	const char *writable_bind; /* "OUTSIDE:INSIDE" or NULL */
	void (*on_output)(const char *piece, size_t size, gpointer data); /* as in lib/spawn.h */
	gpointer on_output_data;
	uint32_t timeout_ms; /* 0: an hour */
} AshSandbox;

/* The command line of nspawn; pure. */
char **ash_sandbox_argv(const AshSandbox *sandbox, const char *root);

/* @out_log: what the program printed, or NULL. */
gboolean ash_sandbox_run(const AshSandbox *sandbox, GBytes **out_log, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
