/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/daemon.h"
#include "lib/json.h"
#include "lib/target.h"
#include "lib/text.h"
#include "lib/window.h"

static void add_time(JsonBuilder *builder, const char *key, int64_t wall_s)
{
	if (wall_s <= 0 || wall_s == INT64_MAX)
		return;
	g_autofree char *text = ash_text_utc(wall_s);
	ash_json_add_text(builder, key, text);
}

static int64_t to_wall(int64_t boottime_us)
{
	if (boottime_us <= 0 || boottime_us == INT64_MAX)
		return 0;
	return ash_daemon_now_s() + (boottime_us - ash_bus_now_us()) / G_USEC_PER_SEC;
}

/* ---- GetStatus ----------------------------------------------------------------------------------- */

static int64_t reboot_at(AshDaemon *daemon, AshUpdateWorld *world)
{
	int64_t change_s = INT64_MAX;

	ash_daemon_world(daemon, world);
	ash_daemon_window(daemon, world->now_s, &world->window_open, &change_s);
	return change_s;
}

/* Why it cannot go on by itself; NULL: it can. */
static const char *trouble_of(const AshDaemon *daemon)
{
	return daemon->update->degraded != NULL ? daemon->update->degraded : daemon->trouble;
}

/* A sentence on what goes on. */
char *ash_daemon_detail(AshDaemon *daemon, AshUpdateState state)
{
	const AshUpdate *update = daemon->update;
	const char *version = update->target.version != NULL ? update->target.version : "a release";

	switch (state) {
	case ASH_UPDATE_CLEANING:
		return g_strdup("removing what is no longer needed");
	case ASH_UPDATE_IDLE:
		if (!daemon->has_started)
			return g_strdup("starting");
		return g_strdup(daemon->settings->updates.url == NULL
						? "no source of releases is set"
						: "waiting for the next check");
	case ASH_UPDATE_CHECKING:
		return g_strdup_printf(
				"looking for a release at %s", daemon->settings->updates.url);
	case ASH_UPDATE_BUNDLING:
		return g_strdup_printf("reading %s", update->bundle);
	case ASH_UPDATE_VERIFYING:
		return g_strdup("verifying what came");
	case ASH_UPDATE_PLANNING:
		return g_strdup_printf("planning the way to %s", version);
	case ASH_UPDATE_FETCHING:
		return g_strdup_printf("fetching %s as %s", version,
				g_strcmp0(update->method, "delta") == 0 ? "a delta" : "objects");
	case ASH_UPDATE_IMPORTING:
		return g_strdup_printf("verifying and importing %s", version);
	case ASH_UPDATE_READY:
		return g_strdup_printf("%s is here and waits for its window", version);
	case ASH_UPDATE_DEPLOYING:
		return g_strdup_printf("deploying %s", version);
	case ASH_UPDATE_SWITCHING:
		return g_strdup_printf("going back to %s", version);
	case ASH_UPDATE_REBOOTING:
		return g_strdup_printf("rebooting into %s", version);
	case ASH_UPDATE_TRIAL:
		return g_strdup_printf("%s is on trial", version);
	case ASH_UPDATE_BLESSING:
		return g_strdup_printf("%s is good", version);
	case ASH_UPDATE_CONDEMNING:
	case ASH_UPDATE_RETURNING:
		return g_strdup_printf("%s is bad, returning: %s", version, update->bad_reason);
	}
	return g_strdup("");
}

static void add_booted(JsonBuilder *builder, AshDaemon *daemon)
{
	const AshJobDeployment *now = ash_daemon_booted(daemon);

	ash_json_begin_object(builder, "booted");
	if (now != NULL) {
		ash_json_add_text(builder, "commit", now->commit);
		ash_json_add_text(builder, "version", now->version);
		ash_json_add_text(builder, "name", now->name);
		ash_json_add_string(builder, "variant", now->variant);
		ash_json_add_text(builder, "arch", now->arch);
	}
	json_builder_end_object(builder);
}

static void add_target(JsonBuilder *builder, AshDaemon *daemon)
{
	const AshUpdate *update = daemon->update;
	bool is_order = daemon->order_deadline_us != INT64_MAX;

	if (update->target.commit == NULL)
		return;
	ash_json_begin_object(builder, "target");
	ash_json_add_text(builder, "version", update->target.version);
	ash_json_add_text(builder, "commit", update->target.commit);
	ash_json_add_text(builder, "method", update->method);
	ash_json_add_uint(builder, "bytes", update->bytes);
	if (is_order || daemon->job != NULL) {
		ash_json_add_uint(
				builder, "done", is_order ? daemon->order_done : daemon->job_done);
		ash_json_add_uint(builder, "total",
				is_order ? daemon->order_total : daemon->job_total);
	}
	ash_json_add_bool(builder, "is_recall", update->is_recall);
	json_builder_end_object(builder);
}

static void add_trial(JsonBuilder *builder, AshDaemon *daemon)
{
	const AshUpdate *update = daemon->update;

	if (update->state != ASH_UPDATE_TRIAL)
		return;
	ash_json_begin_object(builder, "trial");
	ash_json_add_text(builder, "version", update->target.version);
	add_time(builder, "since", update->since_s);
	add_time(builder, "deadline", to_wall(daemon->trial_deadline_us));
	json_builder_end_object(builder);
}

static void add_available(JsonBuilder *builder, AshDaemon *daemon)
{
	g_autoptr(AshRelease) release = NULL;

	if (daemon->available == NULL || daemon->update->target.commit != NULL)
		return;
	g_autoptr(GBytes) bytes = g_bytes_new(daemon->available, strlen(daemon->available));
	if (!ash_release_parse(bytes, &release, NULL) ||
			g_strcmp0(release->commit, daemon->update->booted.commit) == 0)
		return;
	ash_json_begin_object(builder, "available");
	ash_json_add_text(builder, "version", release->version);
	ash_json_add_text(builder, "commit", release->commit);
	ash_json_add_text(builder, "notes", release->notes);
	ash_json_add_bool(builder, "is_recall", daemon->available_is_recall);
	json_builder_end_object(builder);
}

static void add_deployments(JsonBuilder *builder, AshDaemon *daemon)
{
	ash_json_begin_array(builder, "deployments");
	for (guint i = 0; daemon->system != NULL && i < daemon->system->deployments->len; i++) {
		const AshJobDeployment *deployment = daemon->system->deployments->pdata[i];
		const AshUpdateFailed *failed =
				ash_update_find_failed(daemon->update, deployment->commit);
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "commit", deployment->commit);
		ash_json_add_text(builder, "version", deployment->version);
		ash_json_add_bool(builder, "booted", deployment->is_booted);
		ash_json_add_bool(builder, "pinned",
				ash_update_is_pinned(daemon->update, deployment->commit));
		ash_json_add_bool(builder, "good",
				ash_update_is_good(daemon->update, deployment->commit));
		if (deployment->tries_left >= 0)
			ash_json_add_int(builder, "tries_left", deployment->tries_left);
		ash_json_add_text(builder, "entry", deployment->entry);
		ash_json_add_text(builder, "bad", failed != NULL ? failed->reason : NULL);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

static void add_failed(JsonBuilder *builder, const AshUpdate *update)
{
	ash_json_begin_array(builder, "failed");
	for (guint i = update->failed->len; i-- > 0;) {
		const AshUpdateFailed *failed = update->failed->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "commit", failed->commit);
		ash_json_add_text(builder, "version", failed->version);
		ash_json_add_text(builder, "kind", failed->is_held ? "held" : "bad");
		ash_json_add_text(builder, "reason", failed->reason);
		add_time(builder, "at", failed->at_s);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

static void add_source(JsonBuilder *builder, AshDaemon *daemon)
{
	const AshDaemonSource *source = &daemon->source;
	AshUpdateWorld world;

	ash_json_begin_object(builder, "source");
	ash_json_add_text(builder, "url", daemon->settings->updates.url);
	add_time(builder, "last_check", source->last_check_s);
	add_time(builder, "last_success", source->last_success_s);
	ash_json_add_text(builder, "last_error", source->error);
	ash_json_add_text(builder, "word", source->word);
	add_time(builder, "expires", source->expires_s);
	ash_daemon_world(daemon, &world);
	add_time(builder, "next_check", ash_update_next_s(daemon->update, &world));
	ash_json_add_uint(builder, "root_version", source->root_version);
	ash_json_add_uint(builder, "timestamp_version", source->timestamp_version);
	json_builder_end_object(builder);
}

static void add_space(JsonBuilder *builder, const AshJobSystem *system)
{
	if (system == NULL)
		return;
	ash_json_begin_object(builder, "space");
	ash_json_add_uint(builder, "root_free", system->root_free_bytes);
	ash_json_add_uint(builder, "root", system->root_bytes);
	ash_json_add_uint(builder, "esp_free", system->esp_free_bytes);
	ash_json_add_uint(builder, "esp", system->esp_bytes);
	json_builder_end_object(builder);
}

char *ash_daemon_status(AshDaemon *daemon)
{
	const AshUpdate *update = daemon->update;
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autofree char *sentence = ash_daemon_detail(daemon, update->state);
	AshUpdateWorld world;

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "state", ash_update_state_public(update->state));
	add_time(builder, "since", update->since_s);
	ash_json_add_text(builder, "detail", sentence);
	add_booted(builder, daemon);
	ash_json_add_text(builder, "verdict", ash_verdict_text(daemon->verdict));
	ash_json_add_text(builder, "verdict_reason", daemon->verdict_reason);
	add_trial(builder, daemon);
	add_target(builder, daemon);
	add_available(builder, daemon);
	if (update->state == ASH_UPDATE_READY)
		add_time(builder, "reboot_at", reboot_at(daemon, &world));
	add_deployments(builder, daemon);
	add_failed(builder, update);
	add_source(builder, daemon);
	ash_daemon_fleet_status(daemon, builder);
	add_space(builder, daemon->system);
	ash_json_add_text(builder, "degraded", trouble_of(daemon));
	ash_json_add_texts(builder, "warnings", daemon->warnings);
	ash_json_add_text(builder, "agent", ASH_VERSION);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

/* ---- GetHealth ----------------------------------------------------------------------------------- */

static const char *kind_text(AshHealthKind kind)
{
	static const char *const texts[] = {
			[ASH_HEALTH_UNIT] = "unit",
			[ASH_HEALTH_COMMAND] = "command",
			[ASH_HEALTH_TCP] = "tcp",
			[ASH_HEALTH_HTTP] = "http",
			[ASH_HEALTH_DNS] = "dns",
			[ASH_HEALTH_FILE] = "file",
			[ASH_HEALTH_SPACE] = "space",
	};

	return texts[kind];
}

static void add_check(JsonBuilder *builder, const AshHealthState *state)
{
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", state->spec->name);
	ash_json_add_text(builder, "kind", kind_text(state->spec->kind));
	ash_json_add_text(builder, "class", state->spec->is_required ? "required" : "wanted");
	ash_json_add_text(builder, "target",
			state->spec->command != NULL ? state->spec->command[0]
						     : state->spec->target);
	json_builder_set_member_name(builder, "passing");
	if (state->has_result)
		json_builder_add_boolean_value(builder, state->is_passing);
	else
		json_builder_add_null_value(builder);
	ash_json_add_uint(builder, "failures", state->failures);
	if (state->has_result && state->is_passing)
		add_time(builder, "since", to_wall(state->passing_since_us));
	add_time(builder, "last", to_wall(state->last_us));
	ash_json_add_text(builder, "text", state->text);
	json_builder_end_object(builder);
}

char *ash_daemon_health_report(AshDaemon *daemon)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "verdict", ash_verdict_text(daemon->verdict));
	ash_json_add_text(builder, "reason", daemon->verdict_reason);
	if (daemon->is_trial)
		add_time(builder, "deadline", to_wall(daemon->trial_deadline_us));
	ash_json_begin_array(builder, "checks");
	for (guint i = 0; daemon->health != NULL && i < ash_health_count(daemon->health); i++)
		add_check(builder, ash_health_get(daemon->health, i));
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

/* ---- Why ----------------------------------------------------------------------------------------- */

typedef struct {
	JsonBuilder *builder;
	char *blocker;
	bool is_for_fleet;
} Why;

/* The first condition that is not met is the answer. */
static void condition(Why *why, const char *name, bool is_met, const char *format, ...)
		G_GNUC_PRINTF(4, 5);
static void condition(Why *why, const char *name, bool is_met, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	json_builder_begin_object(why->builder);
	ash_json_add_text(why->builder, "condition", name);
	ash_json_add_bool(why->builder, "met", is_met);
	ash_json_add_text(why->builder, "text", text);
	json_builder_end_object(why->builder);
	if (!is_met && why->blocker == NULL)
		why->blocker = g_strdup(text);
}

static char *when(int64_t wall_s)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(wall_s);

	return time != NULL ? g_date_time_format(time, "%Y-%m-%d %H:%M UTC") : g_strdup("never");
}

static void add_source_conditions(Why *why, AshDaemon *daemon)
{
	const AshDaemonSource *source = &daemon->source;
	const char *url = daemon->settings->updates.url;

	condition(why, "source is set", url != NULL, "%s",
			url != NULL ? url : "no source of releases is set in the host document");
	if (url == NULL)
		return;
	if (source->last_check_s == 0) {
		condition(why, "source was asked", false, "nothing was looked for since the start");
		return;
	}
	g_autofree char *last = when(source->last_check_s);
	g_autofree char *text = g_strdup_printf("verified, %s", last);
	condition(why, "source answers and is believed", source->error == NULL, "%s",
			source->error != NULL ? source->error : text);
}

/* Why the fleet has nothing against it, or what. A host that follows nobody has no such condition. */
static void add_fleet_conditions(Why *why, AshDaemon *daemon)
{
	const AshFleetMember *fleet = daemon->fleet;
	const AshFleetWish *wish = fleet->release;
	AshUpdateWorld world;

	if (!ash_daemon_is_in_fleet(daemon))
		return;
	ash_daemon_world(daemon, &world);
	if (!why->is_for_fleet) {
		g_autofree char *last = fleet->contact_s != 0 ? when(fleet->contact_s) : NULL;
		condition(why, "the fleet is reached", fleet->trouble == NULL, "%s%s%s%s",
				fleet->trouble == NULL ? (last != NULL ? "last " : "not yet")
				: last != NULL         ? "the fleet has not been reached since "
						       : "the fleet was never reached",
				last != NULL ? last : "", fleet->trouble != NULL ? ": " : "",
				fleet->trouble != NULL ? fleet->trouble : "");
		condition(why, "the host has joined", fleet->standing == ASH_FLEET_JOINED, "%s%s%s",
				fleet->standing == ASH_FLEET_UNREACHED
						? "joining"
						: ash_fleet_outcome_text(fleet->standing),
				*fleet->text != '\0' ? ": " : "", fleet->text);
	}
	condition(why, "the fleet does not hold it", fleet->hold == NULL, "%s%s",
			fleet->hold != NULL ? "held by the fleet: " : "no",
			fleet->hold != NULL ? fleet->hold : "");
	if (wish != NULL && wish->is_return)
		condition(why, "the fleet's release runs",
				g_strcmp0(wish->commit, daemon->update->booted.commit) == 0,
				ash_daemon_deployment(daemon, wish->commit) != NULL
						? "the fleet wants it back on %s"
						: "the fleet wants it back on %s, which is not on this host",
				wish->version);
	else if (world.fleet_version != NULL)
		condition(why, "the fleet wants something newer", true, "%s", world.fleet_version);
	else
		condition(why, "the fleet's release runs", true, "the fleet wants nothing newer");
}

/* What a check found is not what the fleet wants. */
static void add_wish_conditions(Why *why, AshDaemon *daemon, const AshRelease *release)
{
	AshUpdateWorld world;

	ash_daemon_world(daemon, &world);
	if (!world.is_fleet || daemon->update->is_forced)
		return;
	if (world.fleet_version == NULL)
		condition(why, "the fleet wants it", release == NULL,
				"the fleet wants nothing newer: run 'ashlarctl update' to go on without it");
	else if (release == NULL)
		condition(why, "the fleet's release is in the source", false,
				"%s is not there, or is refused", world.fleet_version);
	else if (strcmp(release->commit, world.fleet_commit) != 0)
		condition(why, "the fleet wants it", false,
				"the fleet wants %s as %.12s, signed is %s as %.12s",
				world.fleet_version, world.fleet_commit, release->version,
				release->commit);
}

/* Of the release that the last check found, or what refused all of them. */
static void add_release_conditions(Why *why, AshDaemon *daemon, bool *out_has_release)
{
	g_autoptr(AshRelease) release = NULL;

	*out_has_release = false;
	if (daemon->source.last_success_s == 0 && daemon->update->document == NULL)
		return;
	const char *document = daemon->update->document != NULL ? daemon->update->document
								: daemon->available;
	if (document != NULL) {
		g_autoptr(GBytes) bytes = g_bytes_new(document, strlen(document));
		*out_has_release = ash_release_parse(bytes, &release, NULL);
	}
	if (!*out_has_release) {
		condition(why, "there is a release to take", true, "none but what runs");
		add_wish_conditions(why, daemon, NULL);
		return;
	}
	condition(why, "there is a release to take", true, "%s", release->version);
	bool may_begin = daemon->settings->updates.is_automatic || daemon->update->is_forced;
	condition(why, "updates are automatic, or asked for", may_begin, "%s",
			may_begin ? "yes"
			: daemon->settings->is_doubtful
					? "a file of settings has a mistake, see 'ashlarctl status': mend it, or run 'ashlarctl update'"
					: "automatic updates are off: run 'ashlarctl update'");
	add_wish_conditions(why, daemon, release);
}

static void add_state_conditions(Why *why, AshDaemon *daemon)
{
	const AshUpdate *update = daemon->update;
	AshUpdateWorld world;

	if (update->state == ASH_UPDATE_READY) {
		int64_t at_s = reboot_at(daemon, &world);
		g_autofree char *text = when(at_s);
		condition(why, "the content is here", true, "%s is imported and verified",
				update->target.version);
		condition(why, "a window is open", world.window_open || update->is_forced,
				"the next window opens at %s", text);
	}
	if (update->state == ASH_UPDATE_TRIAL)
		condition(why, "the trial is over", false, "%s is on trial: %s",
				update->target.version,
				daemon->verdict_reason != NULL ? daemon->verdict_reason : "…");
	if (trouble_of(daemon) != NULL)
		condition(why, "the host can go on by itself", false, "%s", trouble_of(daemon));
}

static void add_because(JsonBuilder *builder, const AshUpdate *update)
{
	g_autofree char *text = NULL;

	for (guint i = update->failed->len; i-- > 0 && text == NULL;) {
		const AshUpdateFailed *failed = update->failed->pdata[i];
		text = g_strdup_printf("%s %s: %s", failed->version,
				failed->is_held ? "is held" : "was bad here", failed->reason);
	}
	if (text == NULL)
		text = g_strdup(ash_update_is_good(update, update->booted.commit)
						? "it is the newest that was good here"
						: "it is what booted");
	ash_json_add_text(builder, "because", text);
}

static const char *answer_word(const AshDaemon *daemon, const Why *why, bool has_release)
{
	AshUpdateState state = daemon->update->state;

	if (trouble_of(daemon) != NULL)
		return "stuck";
	if (state == ASH_UPDATE_READY || state == ASH_UPDATE_TRIAL)
		return "waiting";
	if (state != ASH_UPDATE_IDLE && state != ASH_UPDATE_CLEANING)
		return "working";
	if (daemon->source.word != NULL)
		return "refused";
	if (why->blocker != NULL)
		return "waiting";
	if (has_release)
		return "waiting";
	return daemon->refused != NULL && strcmp(daemon->refused, "[]") != 0 &&
					       strstr(daemon->refused, "\"reason\":\"bad\"") != NULL
			       ? "refused"
			       : "up to date";
}

static void add_conditions(Why *why, AshDaemon *daemon, bool *out_has_release)
{
	add_source_conditions(why, daemon);
	add_fleet_conditions(why, daemon);
	add_release_conditions(why, daemon, out_has_release);
	add_state_conditions(why, daemon);
}

char *ash_daemon_blocker(AshDaemon *daemon)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	Why why = {.builder = builder, .is_for_fleet = true};
	bool has_release = false;

	json_builder_begin_array(builder);
	add_conditions(&why, daemon, &has_release);
	json_builder_end_array(builder);
	return why.blocker;
}

char *ash_daemon_why(AshDaemon *daemon)
{
	const AshUpdate *update = daemon->update;
	g_autoptr(JsonBuilder) builder = json_builder_new();
	Why why = {.builder = builder};
	bool has_release = false;

	json_builder_begin_object(builder);
	ash_json_begin_object(builder, "running");
	ash_json_add_text(builder, "version", update->booted.version);
	ash_json_add_text(builder, "commit", update->booted.commit);
	json_builder_end_object(builder);
	add_because(builder, update);
	ash_json_begin_array(builder, "conditions");
	add_conditions(&why, daemon, &has_release);
	json_builder_end_array(builder);
	ash_json_add_text(builder, "answer", answer_word(daemon, &why, has_release));
	ash_json_add_text(builder, "blocker", why.blocker);
	ash_daemon_add_json(builder, "refused", daemon->refused != NULL ? daemon->refused : "[]");
	json_builder_end_object(builder);
	g_free(why.blocker);
	return ash_json_format(builder, false);
}
