/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/job.h"
#include "agent/workload/registry-order.h"
#include "agent/workload/workloadd.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

/* Staging: the image of a version is brought into the host's repository and checked out, so that a start needs
 * nothing but what is there. ashlar-worker does it (agent/workload/image-import.h has its verbs); what it found of
 * the image is kept beside the definition.
 */

enum {
	MAX_STAGED_BYTES = 4 << 20,
	MAX_DEPTH = 16,
};

/* ---- what is kept of an image ---- */

static char *staged_path(const AshWorkloadd *daemon, const char *name, const char *digest)
{
	return ash_workloadd_path(daemon, ASH_STORE_KEPT "/%s/%s.staged", name, digest);
}

gboolean ash_workloadd_load_image(const AshWorkloadd *daemon, const char *name, const char *digest,
		AshImage **out_image, GError **error)
{
	g_autofree char *path = staged_path(daemon, name, digest);
	g_autoptr(GBytes) text = NULL;

	ASH_PREFIX("the staged image %s", path);
	return ash_file_read(AT_FDCWD, path, MAX_STAGED_BYTES, &text, error) &&
	       ash_image_parse(g_bytes_get_data(text, NULL), out_image, error);
}

/* ---- jobs ---- */

static void next_job(AshUnit *unit);

static void stage_failed(AshUnit *unit, const char *text, bool is_final)
{
	const AshMachineEvent event = {
			.kind = ASH_MACHINE_EVENT_STAGE_FAILED,
			.text = text,
			.is_forced = is_final,
	};

	ash_workloadd_must_step(unit, &event);
}

/* Is what was staged still what is to be staged? */
static bool is_still_wanted(const AshUnit *unit)
{
	return (unit->machine->state == ASH_MACHINE_FETCHING ||
			       unit->machine->state == ASH_MACHINE_STAGING) &&
	       g_strcmp0(unit->job_digest, unit->machine->target.digest) == 0;
}

static void take_line(AshUnit *unit, JsonObject *object)
{
	JsonObject *progress = ash_json_find_object(object, "progress");
	JsonNode *result = json_object_get_member(object, "result");
	JsonNode *failure = json_object_get_member(object, "error");

	if (progress != NULL) {
		unit->job_done = ash_json_find_uint(progress, "done");
		unit->job_total = ash_json_find_uint(progress, "total");
	} else if (result != NULL && JSON_NODE_HOLDS_OBJECT(result)) {
		g_free(unit->job_result);
		unit->job_result = json_to_string(result, FALSE);
	} else if (failure != NULL && JSON_NODE_HOLDS_OBJECT(failure)) {
		g_free(unit->job_error);
		unit->job_error = json_to_string(failure, FALSE);
	}
}

static bool parse(const char *text, JsonNode **out_node)
{
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));

	return ash_json_parse(bytes, ASH_JOB_MAX_LINE_BYTES, MAX_DEPTH, out_node, NULL) &&
	       JSON_NODE_HOLDS_OBJECT(*out_node);
}

static void on_line(const char *line, gpointer data)
{
	g_autoptr(JsonNode) node = NULL;

	/* A line that is none is noise of a library; the exit code says the rest. */
	if (parse(line, &node))
		take_line(data, json_node_get_object(node));
}

static bool begin_fetch(AshUnit *unit, GError **error);

static void job_failed(AshUnit *unit)
{
	/* Words of agent/job.h, image-import.h and registry-order.h after which another try does no better. */
	static const char *const final[] = {"image", "wrong-arch", NULL};
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) local = NULL;
	JsonObject *failure = unit->job_error != NULL && parse(unit->job_error, &node)
					      ? json_node_get_object(node)
					      : NULL;
	const char *word = ash_json_find_text(failure, "word");
	const char *text = ash_json_find_text(failure, "text");
	bool is_first = strcmp(unit->job_verb, "image-import") == 0;
	g_autofree char *why = text != NULL ? g_strdup_printf("image: %s", text)
					    : g_strdup_printf("%s ended without saying why",
							      unit->job_verb);

	if (is_first && !unit->has_fetched && g_strcmp0(word, "missing") == 0 &&
			unit->target->workload->image.kind == ASH_WORKLOAD_IMAGE_OCI) {
		if (!begin_fetch(unit, &local))
			stage_failed(unit, local->message, false);
		return;
	}
	stage_failed(unit, why, word != NULL && g_strv_contains(final, word));
}

static void on_job_exit(int status, gpointer data)
{
	AshUnit *unit = data;

	unit->job = NULL;
	if (!is_still_wanted(unit)) {
		g_clear_pointer(&unit->job_verb, g_free);
		ash_workloadd_settle(unit->daemon);
	} else if (!WIFEXITED(status) || unit->job_result == NULL) {
		job_failed(unit);
	} else {
		next_job(unit);
	}
}

/* @take_input: for its stdin; may hold passwords */
static void start_program(
		AshUnit *unit, const char *verb, const char *const *argv, char *take_input)
{
	g_autofree char *input = take_input;
	g_autoptr(GError) local = NULL;

	g_free(unit->job_verb);
	unit->job_verb = g_strdup(verb);
	g_clear_pointer(&unit->job_result, g_free);
	g_clear_pointer(&unit->job_error, g_free);
	unit->job_done = unit->job_total = 0;
	if (!ash_bus_spawn(unit->daemon->bus, argv, input, ASH_JOB_MAX_LINE_BYTES, on_line,
			    on_job_exit, unit, &unit->job, &local)) {
		g_clear_pointer(&unit->job_verb, g_free);
		stage_failed(unit, local->message, false);
	}
}

static void start_job(AshUnit *unit, const char *verb, char *take_input)
{
	const AshWorkloadd *daemon = unit->daemon;
	g_autofree char *program = g_build_filename(daemon->libexec, "ashlar-worker", NULL);
	const char *with_root[] = {program, "--root", daemon->root, verb, NULL};
	const char *plain[] = {program, verb, NULL};

	start_program(unit, verb, daemon->is_test ? with_root : plain, take_input);
}

/* Who downloads is nobody that matters: the user ashlar-link, and what it brings is believed by nobody. */
static bool begin_fetch(AshUnit *unit, GError **error)
{
	const AshWorkloadd *daemon = unit->daemon;
	g_autofree char *program = g_build_filename(daemon->libexec, "ashlar-fetch", NULL);
	g_autofree char *path = ash_workloadd_path(daemon, "/etc/ashlar/registries.yaml");
	const char *with_root[] = {program, "--root", daemon->root, "image", NULL};
	const char *plain[] = {"/usr/bin/setpriv", "--reuid=ashlar-link", "--regid=ashlar-link",
			"--clear-groups", "--bounding-set=-all", "--no-new-privs", program, "image",
			NULL};
	g_autoptr(AshRegistries) registries = NULL;

	if (!ash_registries_load(path, &registries, error))
		return false;
	unit->has_fetched = true;
	start_program(unit, "ashlar-fetch image", daemon->is_test ? with_root : plain,
			ash_registry_order(&unit->target->workload->image, registries));
	return true;
}

/* ---- the steps of staging ---- */

/* What was imported is kept, then checked out. */
static gboolean begin_checkout(AshUnit *unit, GError **error)
{
	g_autofree char *path = staged_path(unit->daemon, unit->machine->name, unit->job_digest);
	g_autoptr(AshImage) image = NULL;

	if (!ash_image_parse(unit->job_result, &image, error))
		return FALSE;
	g_autofree char *text = ash_image_format(image);
	if (!ash_file_replace(AT_FDCWD, path, text, strlen(text), 0600, error))
		return FALSE;
	start_job(unit, "image-checkout", ash_image_checkout_order(image->commit));
	return TRUE;
}

static gboolean end_checkout(AshUnit *unit, GError **error)
{
	g_autoptr(AshImage) image = NULL;

	g_clear_pointer(&unit->job_verb, g_free);
	if (!ash_workloadd_load_image(
			    unit->daemon, unit->machine->name, unit->job_digest, &image, error))
		return FALSE;
	const AshMachineEvent event = {.kind = ASH_MACHINE_EVENT_STAGED, .text = image->commit};
	ash_workloadd_must_step(unit, &event);
	return TRUE;
}

/* It is in staging: its digest is what is imported. */
static void end_fetch(AshUnit *unit)
{
	g_autoptr(JsonNode) node = NULL;
	JsonObject *result = parse(unit->job_result, &node) ? json_node_get_object(node) : NULL;
	const char *digest = ash_json_find_text(result, "digest");

	if (!ash_json_find_bool(result, "ok") || digest == NULL) {
		g_free(unit->job_error);
		unit->job_error = g_steal_pointer(&unit->job_result);
		job_failed(unit);
		return;
	}
	start_job(unit, "image-import",
			ash_image_import_order(&unit->target->workload->image, digest));
}

static void next_job(AshUnit *unit)
{
	g_autoptr(GError) local = NULL;

	if (strcmp(unit->job_verb, "ashlar-fetch image") == 0) {
		end_fetch(unit);
		return;
	}
	bool is_import = strcmp(unit->job_verb, "image-import") == 0;

	if (!(is_import ? begin_checkout(unit, &local) : end_checkout(unit, &local)))
		stage_failed(unit, local->message, false);
}

void ash_unit_stage(AshUnit *unit)
{
	g_autoptr(GError) local = NULL;

	if (ash_bus_now_us() < unit->machine->retry_us)
		return;
	/* It has come: a timer that stays due would starve the end of the job that is waited for. */
	unit->machine->retry_us = 0;
	if (unit->job != NULL || unit->daemon->cleaner != NULL)
		return;
	if (unit->target == NULL) {
		stage_failed(unit, "its definition is not there any more", true);
		return;
	}
	if (!ash_workloadd_fits(unit->daemon, unit->target->workload,
			    unit->target->workload->instances, &local) ||
			!ash_workloadd_has_room(unit->daemon, unit->target->workload, &local)) {
		stage_failed(unit, local->message, false);
		return;
	}
	g_free(unit->job_digest);
	unit->job_digest = g_strdup(unit->machine->target.digest);
	unit->has_fetched = false;
	start_job(unit, "image-import", ash_image_import_order(&unit->target->workload->image, ""));
}

/* ---- images that nobody needs ---- */

static void on_clean_line(const char *line, gpointer data)
{
}

static void on_clean_exit(int status, gpointer data)
{
	AshWorkloadd *daemon = data;

	daemon->cleaner = NULL;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		g_warning("images that nobody needs could not be removed");
	ash_workloadd_settle(daemon);
}

static void add_commit(GPtrArray *commits, const AshMachineRef *ref)
{
	if (ref->commit != NULL)
		g_ptr_array_add(commits, ref->commit);
}

void ash_workloadd_clean_images(AshWorkloadd *daemon)
{
	g_autofree char *program = g_build_filename(daemon->libexec, "ashlar-worker", NULL);
	const char *with_root[] = {program, "--root", daemon->root, "image-clean", NULL};
	const char *plain[] = {program, "image-clean", NULL};
	g_autoptr(GPtrArray) commits = g_ptr_array_new();
	g_autoptr(GError) local = NULL;

	if (!daemon->must_clean || daemon->cleaner != NULL)
		return;
	for (guint i = 0; i < daemon->units->len; i++) {
		const AshUnit *unit = daemon->units->pdata[i];
		/* What is being staged is not in a state yet. */
		if (unit->job != NULL)
			return;
		add_commit(commits, &unit->machine->current);
		add_commit(commits, &unit->machine->target);
	}
	daemon->must_clean = false;
	g_autofree char *input = ash_image_clean_order(commits);
	if (!ash_bus_spawn(daemon->bus, daemon->is_test ? with_root : plain, input,
			    ASH_JOB_MAX_LINE_BYTES, on_clean_line, on_clean_exit, daemon,
			    &daemon->cleaner, &local))
		g_warning("%s", local->message);
}
