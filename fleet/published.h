/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A publication (publication(5)) as the fleet server reads it, to know which releases there are. Nothing is verified but
 * that files are those that the metadata names: hosts prove the signatures, and this server is not to be trusted with
 * that.
 */

#define ASH_PUBLISHED_ERROR (ash_published_error_quark())
GQuark ash_published_error_quark(void);
typedef enum {
	ASH_PUBLISHED_ERROR_NONE,    /* nothing is published there */
	ASH_PUBLISHED_ERROR_DAMAGED, /* says which file */
} AshPublishedError;

enum {
	ASH_PUBLISHED_MAX_METADATA_BYTES = 16 << 20,
	ASH_PUBLISHED_MAX_SBOM_BYTES = 16 << 20,
};

typedef struct {
	char *file; /* below the publication */
	char *sha256;
	bool is_recall, is_workload;
	char *name, *variant, *arch, *version,
			*commit; /* commit: "" of a recall; of a workload name and version */
} AshPublishedEntry;

typedef struct {
	char *dir;
	GPtrArray *entries; /* AshPublishedEntry: releases, lower versions first, then recalls, then workloads */
	int64_t expires_at;        /* the first of timestamp, snapshot and targets */
	const char *expires_first; /* its name; static */
} AshPublished;

gboolean ash_published_open(const char *dir, AshPublished **out_published, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_published_free(AshPublished *published);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshPublished, ash_published_free)

/* Its document, of the size and hash that the metadata says. */
gboolean ash_published_read(const AshPublished *published, const AshPublishedEntry *entry,
		GBytes **out_document, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Of sbom/; NULL where there is none. @out_packages: an object with the array "packages". */
gboolean ash_published_read_contents(const AshPublished *published, const char *commit,
		JsonNode **out_packages, char **out_spdx, char **out_cyclonedx, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
