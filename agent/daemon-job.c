/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/wait.h>

#include "agent/daemon.h"
#include "agent/fleet-rest.h"
#include "agent/paths.h"
#include "lib/error.h"
#include "lib/json.h"

/* ---- jobs ---------------------------------------------------------------------------------------- */

static void job_ended(AshDaemon *daemon);

static void take_line(AshDaemon *daemon, JsonObject *object)
{
	JsonObject *progress = NULL;

	if (json_object_has_member(object, "progress")) {
		if (ash_json_object(object, "progress", &progress, NULL)) {
			daemon->job_done = ash_json_find_uint(progress, "done");
			daemon->job_total = ash_json_find_uint(progress, "total");
		}
		return;
	}
	for (guint i = 0; i < 2; i++) {
		const char *key = i == 0 ? "result" : "error";
		char **out = i == 0 ? &daemon->job_result : &daemon->job_error;
		JsonNode *node = json_object_get_member(object, key);
		if (node != NULL && JSON_NODE_HOLDS_OBJECT(node)) {
			g_free(*out);
			*out = json_to_string(node, FALSE);
		}
	}
}

static void on_job_line(const char *line, gpointer data)
{
	g_autoptr(GBytes) bytes = g_bytes_new(line, strlen(line));
	g_autoptr(JsonNode) node = NULL;

	/* A line that is none is noise of a library; the exit code says the rest. */
	if (ash_json_parse(bytes, ASH_JOB_MAX_LINE_BYTES, 32, &node, NULL) &&
			JSON_NODE_HOLDS_OBJECT(node))
		take_line(data, json_node_get_object(node));
}

static void on_job_exit(int status, gpointer data)
{
	AshDaemon *daemon = data;

	daemon->job = NULL;
	if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && daemon->job_error == NULL) ||
			(daemon->job_result == NULL && daemon->job_error == NULL)) {
		g_clear_pointer(&daemon->job_result, g_free);
		g_clear_pointer(&daemon->job_error, g_free);
		daemon->job_error = g_strdup_printf(
				"{\"word\":\"failed\",\"text\":\"ashlar-worker %s ended with %s %d\"}",
				daemon->job_verb, WIFEXITED(status) ? "code" : "signal",
				WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	}
	job_ended(daemon);
}

/* @take_input: a builder with an open object. */
static void start_job(AshDaemon *daemon, const char *verb, JsonBuilder *input)
{
	g_autofree char *program = g_build_filename(daemon->libexec, "ashlar-worker", NULL);
	const char *with_root[] = {program, "--root", daemon->root, verb, NULL};
	const char *plain[] = {program, verb, NULL};
	const char *const *argv = daemon->is_test ? with_root : plain;
	g_autoptr(GError) local = NULL;

	json_builder_end_object(input);
	g_autofree char *text = ash_json_format(input, false);
	g_free(daemon->job_verb);
	daemon->job_verb = g_strdup(verb);
	g_clear_pointer(&daemon->job_result, g_free);
	g_clear_pointer(&daemon->job_error, g_free);
	daemon->job_done = daemon->job_total = 0;
	if (ash_bus_spawn(daemon->bus, argv, text, ASH_JOB_MAX_LINE_BYTES, on_job_line, on_job_exit,
			    daemon, &daemon->job, &local))
		return;
	/* The event loop calls back for what ends; this has not begun. The next timer tries again. */
	g_warning("ashlar-worker %s: %s; trying again in %" G_GINT64_FORMAT " s", verb,
			local->message, daemon->wait_s);
	daemon->save_again_us = ash_bus_now_us() + daemon->wait_s * G_USEC_PER_SEC;
	ash_daemon_set_timer(daemon);
}

static void add_staging(JsonBuilder *builder, const AshDaemon *daemon)
{
	ash_json_add_string(builder, "staging",
			daemon->update->bundle != NULL ? ASH_PATH_BUNDLE : ASH_PATH_STAGING);
}

static void add_keep(JsonBuilder *builder, AshDaemon *daemon)
{
	g_autoptr(GPtrArray) keep = ash_update_keep(daemon->update, daemon->settings->updates.keep);

	ash_json_begin_array(builder, "keep");
	for (guint i = 0; i < keep->len; i++)
		json_builder_add_string_value(builder, keep->pdata[i]);
	json_builder_end_array(builder);
}

void ash_daemon_begin_job(AshDaemon *daemon, const char *verb)
{
	const AshUpdate *update = daemon->update;
	g_autoptr(JsonBuilder) input = ash_daemon_open_object();

	if (daemon->job != NULL)
		return; /* the same job runs: the state was entered again */
	if (strcmp(verb, "verify") == 0) {
		ash_daemon_add_host(input, daemon);
		ash_daemon_add_workloads(input, daemon);
		add_staging(input, daemon);
	} else if (strcmp(verb, "plan") == 0) {
		ash_daemon_add_json(input, "release", update->document);
		add_staging(input, daemon);
		ash_json_add_bool(input, "bundle", update->bundle != NULL);
	} else if (strcmp(verb, "import") == 0) {
		ash_daemon_add_json(input, "release", update->document);
		ash_json_add_string(input, "method", update->method);
		ash_daemon_add_json(input, "delta", update->delta);
		add_staging(input, daemon);
	} else if (strcmp(verb, "deploy") == 0) {
		ash_daemon_add_json(input, "release", update->document);
		ash_json_add_int(input, "tries", daemon->settings->updates.tries);
	} else if (strcmp(verb, "clean") == 0) {
		add_keep(input, daemon);
		/* Nothing is on its way: what was tried has ended, well or not. */
		ash_json_add_bool(input, "staging", true);
	} else if (strcmp(verb, "bundle") == 0) {
		ash_json_add_string(input, "path", update->bundle);
	} else if (strcmp(verb, "bless") == 0) {
		ash_json_add_string(input, "commit", update->booted.commit);
	} else if (update->target.commit != NULL) {
		ash_json_add_string(input, "commit", update->target.commit);
	}
	start_job(daemon, verb, input);
}

bool ash_daemon_begin_image_job(AshDaemon *daemon, const char *document, bool is_bundled)
{
	g_autoptr(JsonBuilder) input = ash_daemon_open_object();

	if (daemon->job != NULL)
		return false;
	ash_daemon_add_json(input, "release", document);
	ash_json_add_string(input, "method", "objects");
	ash_daemon_add_json(input, "delta", NULL);
	ash_json_add_string(input, "staging", is_bundled ? ASH_PATH_BUNDLE : ASH_PATH_STAGING);
	start_job(daemon, "import", input);
	return daemon->job != NULL;
}

void ash_daemon_inspect(AshDaemon *daemon)
{
	g_autoptr(JsonBuilder) input = ash_daemon_open_object();

	daemon->must_inspect = true;
	if (daemon->job == NULL)
		start_job(daemon, "inspect", input);
}

/* ---- what comes of a job ------------------------------------------------------------------------- */

static void start_machine(AshDaemon *daemon)
{
	const AshJobDeployment *now = ash_daemon_booted(daemon);
	const AshJobDeployment *target =
			ash_daemon_deployment(daemon, daemon->update->target.commit);
	AshUpdateEvent event = {
			.kind = ASH_UPDATE_EVENT_START,
			.boot_id = daemon->boot_id,
			.commit = daemon->system->booted,
			.version = now != NULL ? now->version : "",
			.is_counted = now != NULL && now->tries_left >= 0,
			.target_tries_left = target != NULL ? target->tries_left : -1,
			.target_tries_done = target != NULL ? target->tries_done : 0,
			.target_has_entry = target != NULL && target->entry != NULL,
	};

	daemon->has_started = true;
	ash_daemon_must_step(daemon, &event);
	if (daemon->health == NULL)
		ash_daemon_health_begin(daemon, false);
	ash_bus_changed(daemon->bus, "State");
	ash_daemon_journal_begin(daemon, 0);
	ash_daemon_workload_begin(daemon);
	ash_daemon_fleet_news(daemon);
}

static void take_system(AshDaemon *daemon)
{
	g_autoptr(GError) local = NULL;
	AshJobSystem *system = NULL;

	if (daemon->job_result == NULL ||
			!ash_job_system_parse(daemon->job_result, &system, &local)) {
		g_warning("inspect: %s; trying again in %" G_GINT64_FORMAT " s",
				local != NULL ? local->message : daemon->job_error, daemon->wait_s);
		daemon->save_again_us = ash_bus_now_us() + daemon->wait_s * G_USEC_PER_SEC;
		ash_daemon_set_timer(daemon);
		return;
	}
	ash_job_system_free(daemon->system);
	daemon->system = system;
	daemon->must_inspect = false;
	if (*system->booted == '\0') {
		g_warning("the kernel's command line names no deployment: there is nothing to update");
		return;
	}
	if (!daemon->has_started) {
		start_machine(daemon);
		return;
	}
	/* Deployments are part of what the fleet is told. */
	ash_daemon_fleet_news(daemon);
	ash_daemon_fleet_act(daemon);
}

void ash_daemon_take_source(AshDaemon *daemon, const char *word, const char *text)
{
	AshDaemonSource *source = &daemon->source;
	g_autofree char *new_text = g_strdup(text), *new_word = g_strdup(word);

	source->last_check_s = ash_daemon_now_s();
	if (word == NULL)
		source->last_success_s = source->last_check_s;
	g_free(source->error);
	g_free(source->word);
	source->error = g_steal_pointer(&new_text);
	source->word = g_steal_pointer(&new_word);
	if (word != NULL)
		ash_daemon_workload_check_failed(daemon);
}

/* The parts of verify's answer that are kept for status and why. */
static gboolean take_verified(
		AshDaemon *daemon, JsonObject *result, AshUpdateEvent *event, GError **error)
{
	JsonObject *tuf = NULL, *release = NULL;
	int64_t newest_signed_s = 0;

	if (!ash_json_bool_opt(result, "is_recall", &event->is_recall, error) ||
			!ash_json_int_opt(result, "newest_signed", &newest_signed_s, error) ||
			!ash_json_int_opt(result, "expires", &daemon->source.expires_s, error))
		return FALSE;
	event->newest_signed_s = daemon->source.newest_signed_s = newest_signed_s;
	if (json_object_has_member(result, "tuf") && ash_json_object(result, "tuf", &tuf, NULL)) {
		daemon->source.root_version = ash_json_find_uint(tuf, "root");
		daemon->source.timestamp_version = ash_json_find_uint(tuf, "timestamp");
	}
	g_clear_pointer(&daemon->refused, g_free);
	g_clear_pointer(&daemon->available, g_free);
	JsonNode *refusals = json_object_get_member(result, "refusals");
	if (refusals != NULL && JSON_NODE_HOLDS_ARRAY(refusals))
		daemon->refused = json_to_string(refusals, FALSE);
	JsonNode *node = json_object_get_member(result, "release");
	if (node == NULL || JSON_NODE_HOLDS_NULL(node))
		return TRUE;
	if (!ash_json_object(result, "release", &release, error) ||
			!ash_json_text(release, "commit", &event->commit, error) ||
			!ash_json_text(release, "version", &event->version, error))
		return FALSE;
	daemon->available = json_to_string(node, FALSE);
	daemon->available_is_recall = event->is_recall;
	event->document = daemon->available;
	return TRUE;
}

static gboolean take_plan(
		JsonObject *result, AshUpdateEvent *event, char **out_delta, GError **error)
{
	JsonNode *delta = json_object_get_member(result, "delta");

	if (!ash_json_text(result, "method", &event->method, error) ||
			!ash_json_uint_opt(result, "bytes", G_MAXINT64, &event->bytes, error))
		return FALSE;
	if (delta != NULL && JSON_NODE_HOLDS_OBJECT(delta))
		event->delta = *out_delta = json_to_string(delta, FALSE);
	return TRUE;
}

static char *error_text(const char *json)
{
	g_autoptr(GBytes) bytes = g_bytes_new(json, strlen(json));
	g_autoptr(JsonNode) node = NULL;
	const char *text = NULL;

	if (ash_json_parse(bytes, ASH_JOB_MAX_LINE_BYTES, 32, &node, NULL) &&
			JSON_NODE_HOLDS_OBJECT(node))
		text = ash_json_find_text(json_node_get_object(node), "text");
	return g_strdup(text != NULL ? text : "ashlar-worker failed without words");
}

static void job_failed(AshDaemon *daemon)
{
	g_autoptr(GBytes) bytes = g_bytes_new(daemon->job_error, strlen(daemon->job_error));
	g_autoptr(JsonNode) node = NULL;
	const char *word = "failed", *text = "ashlar-worker failed without words", *why = NULL;

	if (ash_json_parse(bytes, ASH_JOB_MAX_LINE_BYTES, 32, &node, NULL) &&
			JSON_NODE_HOLDS_OBJECT(node)) {
		JsonObject *object = json_node_get_object(node);
		word = ash_json_find_text(object, "word") ?: word;
		text = ash_json_find_text(object, "text") ?: text;
		why = ash_json_find_text(object, "why");
	}
	AshUpdateEvent event = {
			.kind = ASH_UPDATE_EVENT_FAILED,
			.word = why != NULL ? why : word,
			.text = text,
	};
	/* What was refused was fetched. */
	if (strcmp(daemon->job_verb, "verify") == 0 && daemon->update->bundle == NULL)
		ash_daemon_document_contact(daemon);
	if (strcmp(daemon->job_verb, "verify") == 0 || strcmp(daemon->job_verb, "bundle") == 0)
		ash_daemon_take_source(daemon, event.word, text);
	ash_daemon_must_step(daemon, &event);
}

static void job_done(AshDaemon *daemon)
{
	g_autoptr(GBytes) bytes = g_bytes_new(daemon->job_result, strlen(daemon->job_result));
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) local = NULL;
	g_autofree char *delta = NULL;
	AshUpdateEvent event = {.kind = ASH_UPDATE_EVENT_DONE};
	bool has_workloads = false, is_source = daemon->update->bundle == NULL;
	gboolean is_fine = ash_json_parse(bytes, ASH_JOB_MAX_LINE_BYTES, 32, &node, &local);
	JsonObject *result = is_fine ? json_node_get_object(node) : NULL;

	if (is_fine && strcmp(daemon->job_verb, "verify") == 0) {
		is_fine = take_verified(daemon, result, &event, &local);
		if (is_fine) {
			ash_daemon_take_source(daemon, NULL, NULL);
			if (is_source)
				ash_daemon_document_contact(daemon);
			has_workloads = true;
		}
	} else if (is_fine && strcmp(daemon->job_verb, "plan") == 0) {
		is_fine = take_plan(result, &event, &delta, &local);
	}
	if (!is_fine) {
		event = (AshUpdateEvent){.kind = ASH_UPDATE_EVENT_FAILED,
				.word = "failed",
				.text = local->message};
	}
	g_autofree char *document = g_strdup(event.document);
	event.document = document;
	ash_daemon_must_step(daemon, &event);
	/* Behind the machine, which goes first. */
	if (has_workloads)
		ash_daemon_workload_verified(daemon, result, is_source);
	ash_daemon_image_next(daemon);
}

static void image_job_ended(AshDaemon *daemon)
{
	g_autofree char *failure = daemon->job_error != NULL ? error_text(daemon->job_error) : NULL;

	ash_daemon_image_imported(daemon, failure);
	/* A state that was entered meanwhile waits for its job. */
	if (daemon->job == NULL)
		ash_daemon_act(daemon);
}

/* Jobs after which the disk is another. */
static bool changes_disk(const char *verb)
{
	static const char *const verbs[] = {
			"import", "deploy", "switch", "bless", "condemn", "clean", NULL};

	return g_strv_contains(verbs, verb);
}

static void job_ended(AshDaemon *daemon)
{
	g_autofree char *verb = g_strdup(daemon->job_verb);

	if (strcmp(verb, "inspect") == 0) {
		bool is_start = !daemon->has_started;
		take_system(daemon);
		/* What only the start needed: settings, the history, the pages of libraries that set themselves up. */
		if (is_start)
			ash_fleet_rest();
		/* A state that was entered meanwhile waits for its job. */
		if (daemon->has_started && daemon->job == NULL)
			ash_daemon_act(daemon);
		return;
	}
	if (daemon->workloads.is_importing) {
		image_job_ended(daemon);
		return;
	}
	if (daemon->job_error != NULL)
		job_failed(daemon);
	else
		job_done(daemon);
	daemon->must_inspect = daemon->must_inspect || changes_disk(verb);
	if (daemon->must_inspect && daemon->job == NULL)
		ash_daemon_inspect(daemon);
}
