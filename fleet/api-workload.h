/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <json-glib/json-glib.h>

#include "fleet/assignment.h"
#include "fleet/published.h"
#include "fleet/route.h"
#include "fleet/scope.h"
#include "fleet/workload.h"

/* What the files of the API of workloads and assignments share. */

extern const AshRoute ash_api_workload_routes[];
extern const AshRoute ash_api_assignment_routes[];
extern const AshRoute ash_api_host_workload_routes[];
extern const AshRoute ash_api_workload_log_routes[];

/* Errors of definitions and parameters become 400, 404, 409. FALSE. */
gboolean ash_api_workload_refuse(GError **error);

/* Takes what is new of @published; withdraws what is there no more. @recalled: titles. */
gboolean ash_api_workload_scan(AshRequest *request, const AshPublished *published,
		unsigned *out_added, GPtrArray *recalled, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Answers 409 "wider" when @to may touch more than @from; *out_refused then. Nothing is wider than nothing (@from ""). The
 * member "widen" with a reason lets it pass; @needs_reason false: without one too.
 */
gboolean ash_api_workload_check_wider(AshRequest *request, const char *name, const char *from,
		const char *to, bool needs_reason, bool *out_refused, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ASSIGNMENT's array: of one workload, "": all. */
gboolean ash_api_assignment_add_all(AshRequest *request, const char *workload, JsonBuilder *json,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* How many hosts of the operator's scope it counts for. */
unsigned ash_api_assignment_count(
		AshRequest *request, const AshAssignmentBook *book, const char *id, GError **error);
/* 403 when @selector matches hosts outside of the operator's scope. */
gboolean ash_api_assignment_check_scope(AshRequest *request, const char *selector, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The rollout of it that has not ended; NULL: none. */
gboolean ash_api_assignment_rollout(AshDb *db, const char *id, char **out_rollout, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
