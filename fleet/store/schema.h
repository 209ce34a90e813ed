/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/store/backend.h"

/* The schemas that were released, one text each, in their order: a new database runs them all, an older one those that
 * it lacks. Their SQL is written for both databases; what differs is AshDbBackend.words.
 */

enum {
	ASH_SCHEMA_VERSION = 1
};
extern const char *const ash_schema_steps[ASH_SCHEMA_VERSION];

/* 0: an empty database. A table 'meta' without a version is ASH_DB_ERROR_CORRUPT. */
gboolean ash_schema_get_version(AshDb *db, int64_t *out_version, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Up to version @count of @steps; ash_db_migrate with all that are released. */
gboolean ash_schema_migrate(AshDb *db, const char *const *steps, unsigned count, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* As ash_schema_migrate, of an empty database and within the open transaction. */
gboolean ash_schema_create(AshDb *db, const char *const *steps, unsigned count, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
