/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/bundle.h"
#include "agent/check.h"
#include "agent/clean.h"
#include "agent/deploy.h"
#include "agent/deployment.h"
#include "agent/import.h"
#include "agent/job.h"
#include "agent/plan.h"
#include "agent/verify-workload.h"
#include "agent/verify.h"
#include "agent/worker.h"
#include "agent/workload/image-import.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/json.h"

enum {
	MAX_DEPTH = 16,
	EXIT_USAGE = 2,
};

/* The work that ashlard gives away, see agent/job.h: one verb, one JSON object on stdin, one answer. */
static const AshWorkerVerb verbs[] = {
		{"bless", ASH_WORKER_WRITE_DISK, ash_deploy_bless},
		{"bundle", ASH_WORKER_NO_DISK, ash_bundle_run},
		{"check", ASH_WORKER_READ_DISK, ash_check_run},
		{"clean", ASH_WORKER_WRITE_DISK, ash_clean_run},
		{"condemn", ASH_WORKER_WRITE_DISK, ash_deploy_condemn},
		{"deploy", ASH_WORKER_WRITE_DISK, ash_deploy_run},
		{"image-checkout", ASH_WORKER_WRITE_DISK, ash_image_checkout_run},
		{"image-clean", ASH_WORKER_WRITE_DISK, ash_image_clean_run},
		{"image-import", ASH_WORKER_WRITE_DISK, ash_image_import_run},
		{"image-list", ASH_WORKER_READ_DISK, ash_image_list_run},
		{"import", ASH_WORKER_WRITE_DISK, ash_import_run},
		{"inspect", ASH_WORKER_READ_DISK, ash_deployment_inspect},
		{"plan", ASH_WORKER_READ_DISK, ash_plan_run},
		{"switch", ASH_WORKER_WRITE_DISK, ash_deploy_switch},
		{"verify", ASH_WORKER_NO_DISK, ash_verify_run},
		{"workload-verify", ASH_WORKER_NO_DISK, ash_verify_workload_run},
};

static const AshWorkerVerb *find_verb(const char *name)
{
	for (size_t i = 0; name != NULL && i < G_N_ELEMENTS(verbs); i++)
		if (strcmp(verbs[i].verb, name) == 0)
			return &verbs[i];
	return NULL;
}

static gboolean read_input(JsonNode **out_input, GError **error)
{
	ASH_PREFIX("reading the order on stdin");
	g_autoptr(GBytes) text = NULL;
	g_autoptr(JsonNode) node = NULL;

	if (!ash_file_read(AT_FDCWD, "/proc/self/fd/0", ASH_JOB_MAX_INPUT_BYTES, &text, error) ||
			!ash_json_parse(text, ASH_JOB_MAX_INPUT_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE, "not an object");
	*out_input = g_steal_pointer(&node);
	return TRUE;
}

static gboolean run(
		const AshWorkerVerb *verb, const char *root, JsonBuilder *result, GError **error)
{
	g_autoptr(JsonNode) input = NULL;
	AshWorker worker;

	if (!read_input(&input, error) || !ash_worker_init(&worker, root, verb->access, error) ||
			!ash_worker_use_staging(&worker, json_node_get_object(input), error))
		return FALSE;
	gboolean ok = verb->run(&worker, json_node_get_object(input), result, error);
	ash_worker_clear(&worker);
	return ok;
}

static void print(JsonBuilder *builder)
{
	g_autofree char *line = ash_json_format(builder, false);

	fputs(line, stdout);
	fflush(stdout);
}

static void print_error(const GError *error)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	const char *why;
	const char *word = ash_worker_error_word(error, &why);
	/* What comes from outside may hold anything. */
	g_autofree char *text = g_utf8_make_valid(error->message, -1);

	json_builder_begin_object(builder);
	ash_json_begin_object(builder, "error");
	ash_json_add_text(builder, "word", word);
	ash_json_add_text(builder, "why", why);
	ash_json_add_text(builder, "text", text);
	ash_json_add_text(builder, "domain", g_quark_to_string(error->domain));
	ash_json_add_int(builder, "code", error->code);
	json_builder_end_object(builder);
	json_builder_end_object(builder);
	print(builder);
}

static int usage(void)
{
	fputs("Usage: ashlar-worker [--root DIR] VERB < ORDER\nVerbs:", stderr);
	for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
		fprintf(stderr, " %s", verbs[i].verb);
	fputs("\nStarted by ashlard and ashlar-workloadd; not for people.\n", stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	g_autoptr(JsonBuilder) result = json_builder_new();
	g_autoptr(GError) error = NULL;
	const char *root = NULL;

	if (argc == 4 && strcmp(argv[1], "--root") == 0) {
		root = argv[2];
		argc -= 2;
		argv += 2;
	}
	const AshWorkerVerb *verb = argc == 2 ? find_verb(argv[1]) : NULL;
	if (verb == NULL)
		return usage();
	ash_interrupt_install();
	json_builder_begin_object(result);
	ash_json_begin_object(result, "result");
	if (!run(verb, root, result, &error)) {
		print_error(error);
		return 1;
	}
	json_builder_end_object(result);
	json_builder_end_object(result);
	print(result);
	return 0;
}
