/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/worker.h"
#include "agent/workload/image-blob.h"
#include "agent/workload/image-store.h"
#include "agent/workload/layer.h"
#include "lib/oci.h"

/* The inside of image-import, for agent/workload/image*.c only. */

enum {
	ASH_IMAGE_MAX_NOTES_BYTES = 4096,
};

typedef struct {
	const AshWorker *worker;
	/* The request; borrowed. */
	const char *kind, *location, *tag, *asked;
	AshOstree *repo;
	AshImageStore store;
	const char *arch;
	GHashTable *refs;   /* as they were */
	GHashTable *layers; /* DIFFID → commit, of those that are there by now */
	int dir_fd;         /* what blobs are below */
	const char *blobs;  /* "blobs/sha256/" */
	char *digest;       /* of the manifest (agent/workload/image-store.h) */
	AshOciConfig *config;
	GBytes *config_text; /* NUL-terminated behind its end */
	char *commit;        /* of the image, when it is known */
	uint64_t left_bytes; /* of what an image may have */
	uint64_t unpacked_bytes;
	unsigned unpacked; /* layers that were not there */
} AshImageImport;

/* docker save's archives: sets digest and config, and brings the layers. */
gboolean ash_image_import_archive(AshImageImport *import, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A question; a layer of another image counts, and is remembered. */
gboolean ash_image_has_layer(AshImageImport *import, const char *diff_id, bool *out_has,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The most that a layer may unpack to by now, the tar's own bytes included. */
uint64_t ash_image_max_stream(const AshImageImport *import);
gboolean ash_image_unpack_blob(AshImageImport *import, const char *diff_id, AshImageBlob *blob,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* "3 devices, pipes or sockets (dev/sda, …)"; "" for nothing. */
char *ash_image_notes_format(const AshLayerNotes *notes);

/* Members of the result: "commit", "digest", "layers", "bytes", "notes", "config". */
gboolean ash_image_describe(AshOstree *repo, const char *commit, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Takes away what was downloaded; best effort. */
void ash_image_empty_staging(const AshWorker *worker);

/* Into the worker's words. Returns FALSE. */
gboolean ash_image_translate(GError **error, GError *take_cause);
