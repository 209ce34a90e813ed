/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-rollout.h"
#include "fleet/api-workload.h"
#include "fleet/change.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* Rollouts of workloads: an assignment's hosts go to another version in rings. */

static gboolean refuse(GError **error)
{
	return ash_change_answer(error, ASH_FLEET_WORKLOAD_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
}

/* Which hosts is the assignment's to say. */
static gboolean check_members(AshRequest *request, GError **error)
{
	static const char *const others[] = {"release", "selector", "channel"};

	for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
		if (json_object_has_member(request->body, others[i]))
			return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
					"'%s' is not of a rollout with 'assignment': it goes to the "
					"hosts that this counts for",
					others[i]);
	return TRUE;
}

static gboolean check_version(AshRequest *request, const AshAssignment *assignment,
		const char *version, char **out_sha256, GError **error)
{
	g_autoptr(AshFleetWorkload) row = NULL;
	g_autoptr(AshWorkload) workload = NULL;
	g_autofree char *parameters = NULL;

	if (!ash_fleet_workload_find(request->db, assignment->workload, version, &row, error))
		return refuse(error);
	if (*row->withdrawn != '\0')
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"%s %s is withdrawn: %s", row->name, row->version, row->withdrawn);
	if (strcmp(version, assignment->version) == 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"assignment '%s' brings %s %s already", assignment->id, row->name,
				row->version);
	if (!ash_fleet_workload_load(
			    request->db, assignment->workload, version, &workload, NULL, error) ||
			!ash_fleet_workload_check_parameters_text(
					workload, assignment->parameters, &parameters, error))
		return refuse(error);
	*out_sha256 = g_strdup(row->sha256);
	return TRUE;
}

static gboolean read_spec(AshRequest *request, const AshAssignment *assignment, const char *version,
		const char *sha256, AshRolloutSpec **out_spec, GError **error)
{
	g_autoptr(JsonObject) members = ash_api_rollout_members(request);
	g_autoptr(AshRolloutSpec) spec = NULL;

	json_object_set_string_member(members, "assignment", assignment->id);
	json_object_set_string_member(members, "workload", assignment->workload);
	json_object_set_string_member(members, "from", assignment->version);
	json_object_set_string_member(members, "selector", assignment->selector);
	json_object_set_string_member(members, "version", version);
	json_object_set_string_member(members, "commit", sha256);
	if (!ash_rollout_spec_parse(members, &spec, error))
		return ash_api_rollout_refuse(error);
	if (!ash_api_rollout_check_windows(spec, error))
		return FALSE;
	*out_spec = g_steal_pointer(&spec);
	return TRUE;
}

gboolean ash_api_rollout_make_workload(AshRequest *request, GError **error)
{
	const char *id = NULL, *version = NULL;
	g_autoptr(AshAssignmentBook) book = NULL;
	g_autoptr(AshRolloutSpec) spec = NULL;
	g_autofree char *sha256 = NULL;
	bool is_refused = false;

	if (!ash_change_text(request, "assignment", ASH_ASSIGNMENT_MAX_ID, "", &id, error) ||
			!ash_change_text(request, "version", 64, "", &version, error) ||
			!check_members(request, error) ||
			!ash_assignment_book_load(request->db, &book, error))
		return FALSE;
	const AshAssignment *assignment = ash_assignment_book_find(book, id);
	if (assignment == NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no assignment '%.64s'", id);
	if (!ash_api_assignment_check_scope(request, assignment->selector, error) ||
			!check_version(request, assignment, version, &sha256, error) ||
			!read_spec(request, assignment, version, sha256, &spec, error) ||
			!ash_api_workload_check_wider(request, assignment->workload,
					assignment->version, version,
					!ash_api_rollout_is_dry(request), &is_refused, error))
		return FALSE;
	return is_refused || ash_api_rollout_make(request, spec, 0, error);
}
