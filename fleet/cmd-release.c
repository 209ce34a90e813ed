/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

static char *opt_name, *opt_packages, *opt_spdx, *opt_cyclonedx, *opt_below, *opt_format,
		*opt_dead_end, *opt_withdrawn, *opt_notes;
static gboolean opt_barrier, opt_no_barrier;

static const GOptionEntry list_options[] = {
		{"name", 0, 0, G_OPTION_ARG_STRING, &opt_name, "Of this image only", "NAME"},
		{0},
};
static const GOptionEntry add_options[] = {
		{"packages", 0, 0, G_OPTION_ARG_FILENAME, &opt_packages,
				"JSON list of name, version, arch", "FILE"},
		{"spdx", 0, 0, G_OPTION_ARG_FILENAME, &opt_spdx, "Its SBOM, as SPDX", "FILE"},
		{"cyclonedx", 0, 0, G_OPTION_ARG_FILENAME, &opt_cyclonedx, "Its SBOM, as CycloneDX",
				"FILE"},
		{"barrier", 0, 0, G_OPTION_ARG_NONE, &opt_barrier, "No host passes it by", NULL},
		ASH_CLI_REASON,
		{0},
};
static const GOptionEntry set_options[] = {
		{"barrier", 0, 0, G_OPTION_ARG_NONE, &opt_barrier, "No host passes it by", NULL},
		{"no-barrier", 0, 0, G_OPTION_ARG_NONE, &opt_no_barrier, "Hosts may pass it by",
				NULL},
		{"dead-end", 0, 0, G_OPTION_ARG_STRING, &opt_dead_end,
				"Why no update leads away from it; empty: one does", "TEXT"},
		{"withdrawn", 0, 0, G_OPTION_ARG_STRING, &opt_withdrawn,
				"Why nobody gets it any more; empty: it may be given", "TEXT"},
		{"notes", 0, 0, G_OPTION_ARG_STRING, &opt_notes, "For people", "TEXT"},
		ASH_CLI_REASON,
		{0},
};
static const GOptionEntry below_options[] = {
		{"below", 'b', 0, G_OPTION_ARG_STRING, &opt_below,
				"Only versions before this one, in Debian's order", "VERSION"},
		{0},
};
static const GOptionEntry sbom_options[] = {
		{"format", 'f', 0, G_OPTION_ARG_STRING, &opt_format, "spdx (default) or cyclonedx",
				"NAME"},
		{0},
};

static gboolean releases(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"ID", "id", ASH_CLI_NUMBER},
			{"NAME", "name", ASH_CLI_TEXT},
			{"VARIANT", "variant", ASH_CLI_TEXT},
			{"ARCH", "arch", ASH_CLI_TEXT},
			{"VERSION", "version", ASH_CLI_TEXT},
			{"HOSTS", "hosts", ASH_CLI_NUMBER},
			{"CHANNELS", "channels", ASH_CLI_LIST},
			{"ADDED", "added_at", ASH_CLI_TIME},
			{"BARRIER", "is_barrier", ASH_CLI_BOOL},
			{"WITHDRAWN", "withdrawn", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = ash_cli_argument(g_strdup("/v1/releases"), "name", opt_name);

	return ash_cli_list(context, path, 0, columns,
			"no releases; 'ashlar-fleet releases scan' looks for published ones",
			error);
}

static gboolean show(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"id", "id", ASH_CLI_TEXT},
			{"name", "name", ASH_CLI_TEXT},
			{"variant", "variant", ASH_CLI_TEXT},
			{"architecture", "arch", ASH_CLI_TEXT},
			{"version", "version", ASH_CLI_TEXT},
			{"commit", "commit", ASH_CLI_TEXT},
			{"notes", "notes", ASH_CLI_TEXT},
			{"added", "added_at", ASH_CLI_TIME},
			{"barrier", "is_barrier", ASH_CLI_BOOL},
			{"dead end", "dead_end", ASH_CLI_TEXT},
			{"withdrawn", "withdrawn", ASH_CLI_TEXT},
			{"hosts", "hosts", ASH_CLI_TEXT},
			{"channels", "channels", ASH_CLI_LIST},
			{"packages", "package_count", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = ash_cli_path("/v1/releases/", args[0], "");

	return ash_cli_show(context, path, columns, error);
}

/* A file that is JSON becomes the member @key. */
static gboolean add_file(JsonBuilder *body, const char *key, const char *file, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(JsonNode) node = NULL;

	if (file == NULL)
		return TRUE;
	if (!ash_file_read(AT_FDCWD, file, ASH_CLI_CLIENT_MAX_FILE, &bytes, error))
		return FALSE;
	ASH_PREFIX("%s", file);
	if (!ash_json_parse(bytes, ASH_CLI_CLIENT_MAX_FILE, 64, &node, error))
		return FALSE;
	json_builder_set_member_name(body, key);
	json_builder_add_value(body, g_steal_pointer(&node));
	return TRUE;
}

static gboolean add(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonBuilder) body = ash_cli_body();
	g_autoptr(GBytes) document = NULL;

	if (!ash_file_read(AT_FDCWD, args[0], ASH_CLI_CLIENT_MAX_FILE, &document, error))
		return FALSE;
	ash_json_add_text(body, "document", g_bytes_get_data(document, NULL));
	if (opt_barrier)
		ash_json_add_bool(body, "is_barrier", true);
	if (!add_file(body, "packages", opt_packages, error) ||
			!add_file(body, "spdx", opt_spdx, error) ||
			!add_file(body, "cyclonedx", opt_cyclonedx, error))
		return FALSE;
	return ash_cli_change(context, "POST", "/v1/releases", g_steal_pointer(&body), "added",
			NULL, error);
}

static gboolean scan(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"new releases", "added", ASH_CLI_LIST},
			{"recalled", "recalled", ASH_CLI_LIST},
			{"new workloads", "workloads", ASH_CLI_TEXT},
			{"known", "known", ASH_CLI_TEXT},
			{"expires", "expires_at", ASH_CLI_TIME},
			{0},
	};
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_change(context, "POST", "/v1/releases/scan", ash_cli_body(), NULL, &node,
			    error))
		return FALSE;
	if (context->json)
		ash_cli_print_json(node);
	else
		ash_cli_print_page(json_node_get_object(node), columns);
	return TRUE;
}

/* Absent: stays as it is; "": taken back. */
static void add_optional(JsonBuilder *body, const char *key, const char *text)
{
	if (text == NULL)
		return;
	ash_json_add_string(body, key, text);
}

static gboolean set(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/releases/", args[0], "");
	JsonBuilder *body = ash_cli_body();

	if (opt_barrier || opt_no_barrier)
		ash_json_add_bool(body, "is_barrier", opt_barrier);
	add_optional(body, "dead_end", opt_dead_end);
	add_optional(body, "withdrawn", opt_withdrawn);
	add_optional(body, "notes", opt_notes);
	return ash_cli_change(context, "POST", path, body, "done", NULL, error);
}

static const AshCliColumn package_columns[] = {
		{"PACKAGE", "name", ASH_CLI_TEXT},
		{"VERSION", "version", ASH_CLI_TEXT},
		{"ARCH", "arch", ASH_CLI_TEXT},
		{0},
};

static gboolean packages_of(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/releases/", args[0], "/packages");

	return ash_cli_list(
			context, path, 0, package_columns, "no package list is known of it", error);
}

static void print_part(
		JsonObject *object, const char *key, const char *title, const AshCliColumn *columns)
{
	JsonArray *list = ash_json_find_objects(object, key);

	if (list == NULL)
		return;
	printf("%s:\n", title);
	ash_cli_print_table(list, columns);
}

static gboolean diff(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn changed[] = {
			{"PACKAGE", "name", ASH_CLI_TEXT},
			{"FROM", "from", ASH_CLI_TEXT},
			{"TO", "to", ASH_CLI_TEXT},
			{"ARCH", "arch", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *other = ash_cli_path("/diff/", args[1], "");
	g_autofree char *path = ash_cli_path("/v1/releases/", args[0], other);
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	if (context->json)
		return TRUE;
	print_part(json_node_get_object(node), "added", "added", package_columns);
	print_part(json_node_get_object(node), "removed", "removed", package_columns);
	print_part(json_node_get_object(node), "changed", "changed", changed);
	return TRUE;
}

static gboolean sbom(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_argument(ash_cli_path("/v1/releases/", args[0], "/sbom"),
			"format", opt_format != NULL ? opt_format : "spdx");
	g_autoptr(AshCliClient) client = NULL;
	g_autofree char *text = NULL;

	if (!ash_cli_client_new(&client, error) || !ash_cli_client_text(client, path, &text, error))
		return FALSE;
	puts(text);
	return TRUE;
}

static gboolean packages(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"HOST", "name", ASH_CLI_TEXT},
			{"ID", "id", ASH_CLI_SHORT},
			{"RUNS", "version", ASH_CLI_TEXT},
			{"PACKAGE", "package", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = ash_cli_argument(
			ash_cli_path("/v1/packages/", args[0], "/hosts"), "below", opt_below);
	g_autofree char *first = ash_cli_argument(g_strdup(path), "limit", "1");
	g_autofree char *nothing =
			opt_below != NULL ? g_strconcat("no host runs it below ", opt_below, NULL)
					  : g_strdup("no host runs it");
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_client_new(&client, error) ||
			!ash_cli_client_call(client, "GET", first, NULL, &node, error) ||
			!ash_cli_list(context, path, 0, columns, nothing, error))
		return FALSE;
	guint64 unlisted =
			node != NULL && JSON_NODE_HOLDS_OBJECT(node)
					? ash_json_find_uint(json_node_get_object(node), "unlisted")
					: 0;
	/* Without it an empty list would say that nobody has the hole. */
	if (unlisted > 0)
		ash_progress_note(context->progress,
				"of %" G_GUINT64_FORMAT
				" hosts it is not known: what they run came "
				"without a list of packages ('ashlar-fleet releases')",
				unlisted);
	return TRUE;
}

#define RELEASE "RELEASE: its number, NAME/VERSION, or VERSION where that is the only one."

const AshCliCommand ash_fleet_cmd_release[] = {
		{.name = "releases",
				.summary = "List releases",
				.options = list_options,
				.run = releases},
		{.name = "releases show",
				.synopsis = "RELEASE",
				.summary = "All about one",
				.details = RELEASE,
				.min_args = 1,
				.max_args = 1,
				.run = show},
		{.name = "releases add",
				.synopsis = "DOCUMENT",
				.summary = "Add one by its signed document",
				.options = add_options,
				.min_args = 1,
				.max_args = 1,
				.run = add},
		{.name = "releases scan",
				.summary = "Add what is new in the publication, workloads too",
				.options = ash_cli_reason_options,
				.run = scan},
		{.name = "releases set",
				.synopsis = "RELEASE",
				.summary = "Barrier, dead end, withdrawn, notes",
				.details = RELEASE,
				.options = set_options,
				.min_args = 1,
				.max_args = 1,
				.run = set},
		{.name = "releases packages",
				.synopsis = "RELEASE",
				.summary = "What is in it",
				.details = RELEASE,
				.min_args = 1,
				.max_args = 1,
				.run = packages_of},
		{.name = "releases diff",
				.synopsis = "RELEASE OTHER",
				.summary = "Which packages differ",
				.details = RELEASE,
				.min_args = 2,
				.max_args = 2,
				.run = diff},
		{.name = "releases sbom",
				.synopsis = "RELEASE",
				.summary = "Its software bill of materials",
				.details = RELEASE,
				.options = sbom_options,
				.min_args = 1,
				.max_args = 1,
				.run = sbom},
		{.name = "packages",
				.synopsis = "PACKAGE",
				.summary = "Which hosts run it, below a version",
				.options = below_options,
				.min_args = 1,
				.max_args = 1,
				.run = packages},
		{0},
};
