/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/store/db.h"
#include "lib/workload-report.h"
#include "lib/workload.h"

/* Definitions of workloads that the fleet knows: those of the publication (workload(5), publication(5)). As with releases,
 * that they are signed is the hosts' to prove; 'withdrawn' is the fleet's own.
 */

#define ASH_FLEET_WORKLOAD_ERROR (ash_fleet_workload_error_quark())
GQuark ash_fleet_workload_error_quark(void);
typedef enum {
	ASH_FLEET_WORKLOAD_ERROR_NOT_FOUND,
	ASH_FLEET_WORKLOAD_ERROR_EXISTS,   /* that version, with another content */
	ASH_FLEET_WORKLOAD_ERROR_DOCUMENT, /* not a definition, or of another name or version */
	ASH_FLEET_WORKLOAD_ERROR_PARAMETER, /* not declared, of another type, out of range, missing */
} AshFleetWorkloadError;

/* A row, but for the document. */
typedef struct {
	int64_t id, added_at, score;
	char *name, *version, *sha256, *notes, *withdrawn, *isolation, *words;
} AshFleetWorkload;

void ash_fleet_workload_free(AshFleetWorkload *workload);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshFleetWorkload, ash_fleet_workload_free)

/* NOT_FOUND */
gboolean ash_fleet_workload_find(AshDb *db, const char *name, const char *version,
		AshFleetWorkload **out_workload, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Those behind id @after, oldest first; @name "": of all names. */
gboolean ash_fleet_workload_list(AshDb *db, const char *name, int64_t after, unsigned limit,
		GPtrArray **out_workloads, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Its document, read. @out_text may be NULL. NOT_FOUND */
gboolean ash_fleet_workload_load(AshDb *db, const char *name, const char *version,
		AshWorkload **out_workload, char **out_text, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* In the open writing transaction of @db. The same content again is no failure. EXISTS, DOCUMENT. */
gboolean ash_fleet_workload_add(AshDb *db, const char *name, const char *version, GBytes *document,
		int64_t now_s, bool *out_is_new, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- between versions ---- */

/* "changes":[{"kind","name","from","to","is_wider"}] into the open object. */
void ash_fleet_workload_add_changes(JsonBuilder *json, const AshWorkload *from,
		const AshWorkload *to, bool *out_is_wider);

/* Texts from texts, numbers and booleans, within ASH_ASSIGNMENT_MAX_PARAMETERS; that all that @workload declares can be
 * filled in. @parameters NULL: none. @out_json: sorted. PARAMETER.
 */
gboolean ash_fleet_workload_check_parameters(const AshWorkload *workload, JsonObject *parameters,
		char **out_json, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_fleet_workload_check_parameters_text(const AshWorkload *workload,
		const char *parameters, char **out_json, GError **error) G_GNUC_WARN_UNUSED_RESULT;
