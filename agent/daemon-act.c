/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/daemon.h"
#include "lib/error.h"
#include "lib/json.h"

/* ---- what jobs and orders are told of this host -------------------------------------------------- */

const AshJobDeployment *ash_daemon_booted(const AshDaemon *daemon)
{
	for (guint i = 0; daemon->system != NULL && i < daemon->system->deployments->len; i++) {
		const AshJobDeployment *deployment = daemon->system->deployments->pdata[i];
		if (deployment->is_booted)
			return deployment;
	}
	return NULL;
}

JsonBuilder *ash_daemon_open_object(void)
{
	JsonBuilder *builder = json_builder_new();

	json_builder_begin_object(builder);
	return builder;
}

/* JSON that is known to be right, as a member. */
void ash_daemon_add_json(JsonBuilder *builder, const char *key, const char *text)
{
	json_builder_set_member_name(builder, key);
	json_builder_add_value(builder, text != NULL ? json_from_string(text, NULL)
						     : json_node_new(JSON_NODE_NULL));
}

/* "name" to "now": the part that orders and the verify job have in common. */
void ash_daemon_add_host(JsonBuilder *builder, AshDaemon *daemon)
{
	const AshUpdate *update = daemon->update;
	const AshJobDeployment *now = ash_daemon_booted(daemon);

	ash_json_add_string(builder, "name", now != NULL ? now->name : "");
	ash_json_add_string(builder, "variant", now != NULL ? now->variant : "");
	ash_json_add_string(builder, "arch", now != NULL ? now->arch : "");
	ash_json_add_string(builder, "version", now != NULL ? now->version : "");
	ash_json_add_string(builder, "commit", update->booted.commit);
	json_builder_set_member_name(builder, "wanted");
	if (update->wanted != NULL)
		json_builder_add_string_value(builder, update->wanted);
	else
		json_builder_add_null_value(builder);
	ash_json_begin_object(builder, "bad");
	for (guint i = 0; i < update->failed->len; i++) {
		const AshUpdateFailed *failed = update->failed->pdata[i];
		/* Asked for by its version, what was held may be taken again; by the fleet, what was
		 * left for it. */
		if (failed->is_held && g_strcmp0(failed->version, update->wanted) == 0 &&
				(update->is_forced ||
						strcmp(failed->reason, ASH_UPDATE_LEFT_FOR_FLEET) ==
								0))
			continue;
		ash_json_add_string(builder, failed->commit, failed->is_held ? "held" : "bad");
	}
	json_builder_end_object(builder);
	ash_json_add_int(builder, "now", ash_daemon_trusted_now_s(daemon));
}

const AshJobDeployment *ash_daemon_deployment(const AshDaemon *daemon, const char *commit)
{
	for (guint i = 0; daemon->system != NULL && i < daemon->system->deployments->len; i++) {
		const AshJobDeployment *deployment = daemon->system->deployments->pdata[i];
		if (g_strcmp0(deployment->commit, commit) == 0)
			return deployment;
	}
	return NULL;
}

/* ---- the action of each state -------------------------------------------------------------------- */

gboolean ash_daemon_reboot(AshDaemon *daemon, GError **error)
{
	if (!daemon->is_test)
		return ash_bus_reboot(daemon->bus, error);
	g_message("the machine reboots");
	ash_bus_quit(daemon->bus);
	return TRUE;
}

static void reboot(AshDaemon *daemon)
{
	g_autoptr(GError) local = NULL;

	daemon->reboot_again_us =
			ash_bus_now_us() + (int64_t) ASH_DAEMON_REBOOT_AGAIN_S * G_USEC_PER_SEC;
	if (!ash_daemon_reboot(daemon, &local))
		g_warning("reboot: %s; trying again in %d s", local->message,
				ASH_DAEMON_REBOOT_AGAIN_S);
}

/* Nobody needs to reboot this machine for want of a verdict any more. */
static void stop_deadline(AshDaemon *daemon)
{
	g_autoptr(GError) local = NULL;

	if (!daemon->is_test && !ash_bus_stop_unit(daemon->bus, "ashlar-deadline.timer", &local))
		g_debug("ashlar-deadline.timer: %s", local->message);
}

void ash_daemon_act(AshDaemon *daemon)
{
	daemon->reboot_again_us = INT64_MAX;
	ash_bus_status(ash_update_state_public(daemon->update->state));
	if (!daemon->has_started) {
		ash_daemon_inspect(daemon);
		return;
	}
	switch (daemon->update->state) {
	case ASH_UPDATE_IDLE:
	case ASH_UPDATE_READY:
		if (!daemon->workloads.is_fetching)
			ash_daemon_drop_order(daemon);
		break;
	case ASH_UPDATE_CHECKING:
		ash_daemon_give_order(daemon, "check");
		break;
	case ASH_UPDATE_FETCHING:
		ash_daemon_give_order(daemon, "fetch");
		break;
	case ASH_UPDATE_BUNDLING:
		ash_daemon_begin_job(daemon, "bundle");
		break;
	case ASH_UPDATE_VERIFYING:
		ash_daemon_begin_job(daemon, "verify");
		break;
	case ASH_UPDATE_PLANNING:
		ash_daemon_begin_job(daemon, "plan");
		break;
	case ASH_UPDATE_IMPORTING:
		ash_daemon_begin_job(daemon, "import");
		break;
	case ASH_UPDATE_DEPLOYING:
		ash_daemon_begin_job(daemon, "deploy");
		break;
	case ASH_UPDATE_SWITCHING:
		ash_daemon_begin_job(daemon, "switch");
		break;
	case ASH_UPDATE_BLESSING:
		stop_deadline(daemon);
		ash_daemon_begin_job(daemon, "bless");
		break;
	case ASH_UPDATE_CONDEMNING:
		ash_daemon_begin_job(daemon, "condemn");
		break;
	case ASH_UPDATE_CLEANING:
		ash_daemon_begin_job(daemon, "clean");
		break;
	case ASH_UPDATE_TRIAL:
		ash_daemon_health_begin(daemon, true);
		break;
	case ASH_UPDATE_REBOOTING:
	case ASH_UPDATE_RETURNING:
		reboot(daemon);
		break;
	}
}

/* ---- deployments by name ------------------------------------------------------------------------- */

static bool is_named(const AshJobDeployment *deployment, const char *what)
{
	return g_strcmp0(deployment->version, what) == 0 ||
	       (strlen(what) >= 8 && g_str_has_prefix(deployment->commit, what));
}

/* The newest good one that is not running. */
static const AshJobDeployment *previous(const AshDaemon *daemon)
{
	const AshUpdate *update = daemon->update;

	for (guint i = update->good->len; i-- > 0;) {
		const AshUpdateRef *ref = update->good->pdata[i];
		const AshJobDeployment *found = ash_daemon_deployment(daemon, ref->commit);
		if (found != NULL && !found->is_booted)
			return found;
	}
	return NULL;
}

const AshJobDeployment *ash_daemon_find(AshDaemon *daemon, const char *what, GError **error)
{
	const AshJobDeployment *found = NULL;

	if (*what == '\0') {
		found = previous(daemon);
		return found != NULL ? found
				     : ash_throw_null(error, ASH_UPDATE_ERROR,
						       ASH_UPDATE_ERROR_NOT_FOUND,
						       "there is no other good deployment on this host");
	}
	for (guint i = 0; daemon->system != NULL && i < daemon->system->deployments->len; i++) {
		const AshJobDeployment *deployment = daemon->system->deployments->pdata[i];
		if (!is_named(deployment, what))
			continue;
		if (found != NULL && g_strcmp0(found->commit, deployment->commit) != 0)
			return ash_throw_null(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NOT_FOUND,
					"'%s' names several deployments: give a commit", what);
		found = deployment;
	}
	return found != NULL ? found
			     : ash_throw_null(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NOT_FOUND,
					       "no deployment '%s' on this host; 'ashlarctl status' lists them",
					       what);
}
