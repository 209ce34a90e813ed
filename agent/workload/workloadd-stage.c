/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/job.h"
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

static void job_failed(AshUnit *unit)
{
	/* Words of agent/job.h and image-import.h after which another try does no better. */
	static const char *const final[] = {"image", "wrong-arch", NULL};
	g_autoptr(JsonNode) node = NULL;
	JsonObject *failure = unit->job_error != NULL && parse(unit->job_error, &node)
					      ? json_node_get_object(node)
					      : NULL;
	const char *word = ash_json_find_text(failure, "word");
	const char *text = ash_json_find_text(failure, "text");
	g_autofree char *why =
			text != NULL ? g_strdup_printf("image: %s", text)
				     : g_strdup_printf("'ashlar-worker %s' ended without saying why",
						       unit->job_verb);

	stage_failed(unit, why, word != NULL && g_strv_contains(final, word));
}

static void on_job_exit(int status, gpointer data)
{
	AshUnit *unit = data;

	unit->job = NULL;
	if (!is_still_wanted(unit)) {
		g_clear_pointer(&unit->job_verb, g_free);
		ash_workloadd_settle(unit->daemon);
	} else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || unit->job_result == NULL) {
		job_failed(unit);
	} else {
		next_job(unit);
	}
}

/* @take_input: of ash_json_format */
static void start_job(AshUnit *unit, const char *verb, char *take_input)
{
	g_autofree char *input = take_input;
	AshWorkloadd *daemon = unit->daemon;
	g_autofree char *program = g_build_filename(daemon->libexec, "ashlar-worker", NULL);
	const char *with_root[] = {program, "--root", daemon->root, verb, NULL};
	const char *plain[] = {program, verb, NULL};
	g_autoptr(GError) local = NULL;

	g_free(unit->job_verb);
	unit->job_verb = g_strdup(verb);
	g_clear_pointer(&unit->job_result, g_free);
	g_clear_pointer(&unit->job_error, g_free);
	unit->job_done = unit->job_total = 0;
	if (!ash_bus_spawn(daemon->bus, daemon->is_test ? with_root : plain, input,
			    ASH_JOB_MAX_LINE_BYTES, on_line, on_job_exit, unit, &unit->job,
			    &local)) {
		g_clear_pointer(&unit->job_verb, g_free);
		stage_failed(unit, local->message, false);
	}
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

static void next_job(AshUnit *unit)
{
	g_autoptr(GError) local = NULL;
	bool is_import = strcmp(unit->job_verb, "image-import") == 0;

	if (!(is_import ? begin_checkout(unit, &local) : end_checkout(unit, &local)))
		stage_failed(unit, local->message, false);
}

void ash_unit_stage(AshUnit *unit)
{
	g_autoptr(GError) local = NULL;

	if (unit->job != NULL || ash_bus_now_us() < unit->machine->retry_us)
		return;
	if (unit->target == NULL) {
		stage_failed(unit, "its definition is not there any more", true);
		return;
	}
	if (!ash_workloadd_fits(unit->daemon, unit->target->workload,
			    unit->target->workload->instances, &local)) {
		stage_failed(unit, local->message, false);
		return;
	}
	g_free(unit->job_digest);
	unit->job_digest = g_strdup(unit->machine->target.digest);
	start_job(unit, "image-import", ash_image_import_order(&unit->target->workload->image, ""));
}
