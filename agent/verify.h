/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/worker.h"
#include "lib/tuf.h"

/* The verb `verify` of ashlar-worker: what, of all that lies in staging, may this host believe? Runs the
 * whole TUF workflow offline, with the metadata that ashlard itself trusts (ASH_PATH_STATE/tuf); then
 * chooses among the signed releases, and reads the documents that were chosen, which have to say what
 * their names and the metadata say. Nothing is taken from whom the network belongs to.
 *
 * Where that trust begins: with the image's root.json (ASH_PATH_ROOT_JSON), once; from then on it
 * follows the chain of roots. Another image may bring another root.json:
 *
 *	of a lower or the same version    the trusted one stays. A host that goes back to an old
 *	                                  deployment must not believe old keys again.
 *	of a higher version               it is taken over, with or without the chain that leads there.
 *	                                  An image runs as root before this program does, and was signed
 *	                                  by a release key that the trusted root names, or put on the disk
 *	                                  by its owner: who can choose it can write our state as well, so
 *	                                  nothing is given away. And it is the way out for a host that was
 *	                                  off for years and whose publisher no longer keeps old roots.
 *
 * The other trusted metadata stays as far as the new root's keys verify it, so that versions cannot go
 * back. A root.json of ours that is damaged is replaced as well.
 *
 * Errors: ASH_TUF_ERROR, ASH_TARGET_ERROR, ASH_WORKER_ERROR, G_IO_ERROR.
 */
gboolean ash_verify_run(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The path of the staging directory that @input names, with the worker's prefix: ASH_PATH_STAGING or
 * ASH_PATH_BUNDLE and no other.
 */
gboolean ash_verify_staging(const AshWorker *worker, JsonObject *input, char **out_path,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* For other verbs that believe what was signed: the worker's own trust, brought up to what lies in the
 * staging directory @staging_fd as of @now_s.
 */
gboolean ash_verify_open(const AshWorker *worker, int *staging_fd, int64_t now_s, AshTuf **out_tuf,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* AshTufFetch from the staging directory whose descriptor @data points to. */
gboolean ash_verify_read_metadata(const char *name, size_t max_bytes, gpointer data,
		GBytes **out_bytes, GError **error);
/* The document of @target in staging, verified. ASH_WORKER_ERROR_MISSING, _UNTRUSTED, ASH_TUF_ERROR. */
gboolean ash_verify_read_document(int staging_fd, const AshTufTarget *target, size_t max_bytes,
		GBytes **out_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;
