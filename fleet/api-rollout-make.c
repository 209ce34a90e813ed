/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/api-rollout.h"
#include "fleet/api-workload.h"
#include "fleet/change.h"
#include "fleet/scope.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/window.h"

/* Making a rollout: of a release here, of an assignment's next version in api-rollout-workload.c. */

enum {
	ID_LENGTH = 12,
};

/* What an operator gives; what is made here is not his to say. */
JsonObject *ash_api_rollout_members(AshRequest *request)
{
	JsonObject *copy = json_object_new();
	JsonObjectIter iter;
	const char *key;
	JsonNode *value;
	static const char *const others[] = {"id", "commit", "version", "table", "reason",
			"assignment", "workload", "from", "widen", "beside", NULL};

	json_object_iter_init(&iter, request->body);
	while (json_object_iter_next(&iter, &key, &value))
		if (!g_strv_contains(others, key))
			json_object_set_member(copy, key, json_node_copy(value));
	return copy;
}

/* Together with the operator's scope it may be more than is read again. */
static gboolean narrow(AshRequest *request, char **selector, GError **error)
{
	g_autoptr(AshSelector) again = NULL;
	char *both = NULL;

	if (!ash_scope_narrow(request, *selector, &both, error))
		return ash_api_rollout_refuse(error);
	g_free(*selector);
	*selector = both;
	return ash_selector_parse(both, &again, error) || ash_api_rollout_refuse(error);
}

gboolean ash_api_rollout_check_windows(const AshRolloutSpec *spec, GError **error)
{
	for (char *const *text = spec->windows; text != NULL && *text != NULL; text++) {
		g_autoptr(AshWindow) window = NULL;
		if (!ash_window_parse(*text, &window, error))
			return ash_api_rollout_refuse(error);
	}
	return TRUE;
}

/* A channel reaches all hosts that follow it, not the rollout's alone. */
static gboolean check_channel(AshRequest *request, const char *channel, GError **error)
{
	if (*channel == '\0')
		return TRUE;
	if (*request->scope != '\0')
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_FORBIDDEN,
				"'channel' moves hosts outside of your scope: leave it out, or ask "
				"somebody without a scope");
	g_autoptr(GError) local = NULL;
	if (ash_api_policy_check_name(channel, &local))
		return TRUE;
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST, "'channel': %s",
			local->message);
}

static gboolean read_spec(AshRequest *request, AshRolloutSpec **out_spec,
		AshFleetRelease **out_release, GError **error)
{
	g_autoptr(AshRolloutSpec) spec = NULL;
	g_autoptr(JsonObject) members = ash_api_rollout_members(request);
	g_autoptr(AshFleetRelease) release = NULL;
	g_autofree char *what = NULL;

	if (!ash_api_rollout_release_member(request, "release", &what, error))
		return FALSE;
	if (what == NULL || *what == '\0')
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'release' is missing: an id, NAME/VERSION or VERSION");
	json_object_set_string_member(members, "release", what);
	if (!ash_rollout_spec_parse(members, &spec, error))
		return ash_api_rollout_refuse(error);
	if (!ash_api_rollout_check_windows(spec, error) ||
			!check_channel(request, spec->channel, error) ||
			!narrow(request, &spec->selector, error) ||
			!ash_api_rollout_find_release(request, what, &release, error))
		return FALSE;
	if (*release->withdrawn != '\0')
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"%s is withdrawn: %s", release->version, release->withdrawn);
	g_free(spec->commit);
	g_free(spec->version);
	spec->commit = g_strdup(release->commit);
	spec->version = g_strdup(release->version);
	*out_spec = g_steal_pointer(&spec);
	*out_release = g_steal_pointer(&release);
	return TRUE;
}

typedef struct {
	AshRolloutSpec *spec;
	int64_t release;
	char *text; /* of the spec */
	const AshApiRolloutPlan *plan;
} Make;

/* Two at a time would pull its hosts back and forth. */
static gboolean check_assignment(AshRequest *request, const AshRolloutSpec *spec, GError **error)
{
	g_autofree char *other = NULL;
	g_autofree char *version = NULL;

	if (*spec->assignment == '\0')
		return TRUE;
	if (!ash_api_assignment_rollout(request->db, spec->assignment, &other, error) ||
			!ash_db_query_string(request->db,
					"SELECT version FROM assignment WHERE id = $1",
					ASH_DB_VALUES(ASH_DB_T(spec->assignment)), &version, error))
		return FALSE;
	if (other != NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"rollout %s moves this assignment: cancel or revert it first",
				other);
	return g_strcmp0(version, spec->from) == 0 ||
	       ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
			       "assignment '%s' was changed by somebody else: look again",
			       spec->assignment);
}

static gboolean insert(AshRequest *request, gpointer data, GError **error)
{
	const Make *making = data;
	const AshRolloutSpec *spec = making->spec;
	g_autofree char *object = g_strconcat("rollout:", spec->id, NULL);
	g_autofree char *text = g_strdup_printf("rollout %s of %s%s%s was made",
			*spec->name != '\0' ? spec->name : spec->id, spec->workload,
			*spec->workload != '\0' ? " " : "", spec->version);

	return ash_db_lock_events(request->db, error) && check_assignment(request, spec, error) &&
	       (making->release == 0 || ash_api_rollout_rivals_recheck(
							request, making->plan->rivals, error)) &&
	       ash_db_exec(request->db,
			       "INSERT INTO rollout (id, name, release, spec, state, created_at, "
			       "created_by, assignment, workload, version) VALUES ($1, $2, $3, $4, "
			       "'starting', $5, $6, $7, $8, $9)",
			       ASH_DB_VALUES(ASH_DB_T(spec->id), ASH_DB_T(spec->name),
					       ASH_DB_I(making->release), ASH_DB_T(making->text),
					       ASH_DB_I(request->server->now()),
					       ASH_DB_T(request->actor), ASH_DB_T(spec->assignment),
					       ASH_DB_T(spec->workload), ASH_DB_T(spec->version)),
			       NULL, error) &&
	       ash_route_audit(request, "rollout.create", object, NULL, making->text, error) &&
	       ash_event_append(request->db,
			       &(AshEvent){.at_s = request->server->now(),
					       .kind = "rollout.created",
					       .rollout = spec->id,
					       .actor = request->actor,
					       .text = text},
			       error);
}

static char *new_id(void)
{
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	char *id = g_new0(char, ID_LENGTH + 1);

	for (unsigned i = 0; i < ID_LENGTH; i++)
		id[i] = letters[g_random_int_range(0, (gint32) sizeof letters - 1)];
	return id;
}

bool ash_api_rollout_is_dry(AshRequest *request)
{
	const char *dry_run = ash_route_argument(request, "dry_run");

	return g_str_equal(dry_run, "1") || g_str_equal(dry_run, "true");
}

gboolean ash_api_rollout_make(
		AshRequest *request, AshRolloutSpec *spec, int64_t release, GError **error)
{
	g_auto(AshApiRolloutPlan) plan = {0};
	bool is_refused = false;

	if (!ash_api_rollout_plan(request, spec, release, &plan, error))
		return FALSE;
	if (ash_api_rollout_is_dry(request))
		return ash_api_rollout_reply_plan(request, spec, &plan);
	if (plan.hosts + plan.already == 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT, "%s",
				(const char *) g_ptr_array_index(plan.warnings, 0));
	if (!ash_api_rollout_rivals_check(request, &plan, &is_refused, error))
		return FALSE;
	if (is_refused)
		return TRUE;
	g_free(spec->id);
	spec->id = new_id();
	g_autofree char *text = ash_rollout_spec_format(spec);
	Make making = {spec, release, text, &plan};
	return ash_change_run(request, insert, &making, error) &&
	       ash_api_rollout_show(request, spec->id, error);
}

gboolean ash_api_rollout_make_host(AshRequest *request, GError **error)
{
	g_autoptr(AshRolloutSpec) spec = NULL;
	g_autoptr(AshFleetRelease) release = NULL;

	return read_spec(request, &spec, &release, error) &&
	       ash_api_rollout_make(request, spec, release->id, error);
}
