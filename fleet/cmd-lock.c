/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "lib/json.h"

static char *opt_lease, *opt_paused, *opt_reason;
static int opt_slots = 1;
static gboolean opt_frees_late;

static const GOptionEntry set_options[] = {
		{"slots", 0, 0, G_OPTION_ARG_INT, &opt_slots, "So many reboot at once; default: 1",
				"N"},
		{"lease", 0, 0, G_OPTION_ARG_STRING, &opt_lease,
				"After so long a holder is late; default: 1h", "TIME"},
		{"frees-late", 0, 0, G_OPTION_ARG_NONE, &opt_frees_late,
				"A late holder loses its slot; otherwise it is only shown", NULL},
		{"paused", 0, 0, G_OPTION_ARG_STRING, &opt_paused,
				"Nobody gets a slot, and why; empty: they do", "TEXT"},
		{"reason", 'r', 0, G_OPTION_ARG_STRING, &opt_reason, "Why, for the audit log",
				"TEXT"},
		{0},
};
static const GOptionEntry reason_options[] = {
		{"reason", 'r', 0, G_OPTION_ARG_STRING, &opt_reason, "Why, for the audit log",
				"TEXT"},
		{0},
};

static void print_group(JsonObject *group)
{
	static const AshCliColumn columns[] = {
			{"group", "group", ASH_CLI_TEXT},
			{"slots", "slots", ASH_CLI_TEXT},
			{"lease", "lease", ASH_CLI_TEXT},
			{"paused", "paused", ASH_CLI_TEXT},
			{0},
	};
	static const AshCliColumn holders[] = {
			{"  HOLDER", "id", ASH_CLI_TEXT},
			{"SINCE", "since", ASH_CLI_TIME},
			{"LEASE UNTIL", "lease_until", ASH_CLI_TIME},
			{"LATE", "late", ASH_CLI_BOOL},
			{0},
	};
	JsonArray *list = ash_json_find_objects(group, "holders");

	ash_cli_print_page(group, columns);
	if (list != NULL)
		ash_cli_print_table(list, holders);
}

static gboolean locks(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, "/v1/locks", &node, error))
		return FALSE;
	if (context->json)
		return TRUE;
	JsonArray *items = ash_json_find_objects(json_node_get_object(node), "items");
	for (guint i = 0; items != NULL && i < json_array_get_length(items); i++)
		print_group(json_array_get_object_element(items, i));
	return TRUE;
}

static gboolean set(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/locks/", args[0], "");
	g_autoptr(JsonBuilder) body = ash_cli_body();
	int64_t lease_s = 3600;

	if (opt_lease != NULL && !ash_cli_seconds("lease", opt_lease, &lease_s, error))
		return FALSE;
	ash_json_add_int(body, "slots", opt_slots);
	ash_json_add_int(body, "lease", lease_s);
	ash_json_add_bool(body, "frees_late", opt_frees_late);
	ash_json_add_string(body, "paused", opt_paused);
	ash_json_add_text(body, "reason", opt_reason);
	return ash_cli_change(context, "PUT", path, g_steal_pointer(&body), "done", NULL, error);
}

static gboolean release(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/locks/", args[0], "/release");
	JsonBuilder *body;

	if (!ash_cli_need("reason", opt_reason, error))
		return FALSE;
	body = ash_cli_body();
	ash_json_add_text(body, "id", args[1]);
	ash_json_add_text(body, "reason", opt_reason);
	return ash_cli_change(context, "POST", path, body, "released", NULL, error);
}

static gboolean remove_group(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/locks/", args[0], "");

	return ash_cli_change(context, "DELETE", path, NULL, "removed", NULL, error);
}

const AshCliCommand ash_fleet_cmd_lock[] = {
		{.name = "locks",
				.summary = "Reboot locks (FleetLock) and who holds them",
				.run = locks},
		{.name = "locks set",
				.synopsis = "GROUP",
				.summary = "Make or change a group",
				.options = set_options,
				.min_args = 1,
				.max_args = 1,
				.run = set},
		{.name = "locks release",
				.synopsis = "GROUP ID",
				.summary = "Take a slot away from its holder, with a reason",
				.options = reason_options,
				.min_args = 2,
				.max_args = 2,
				.run = release},
		{.name = "locks remove",
				.synopsis = "GROUP",
				.summary = "Remove a group",
				.min_args = 1,
				.max_args = 1,
				.run = remove_group},
		{0},
};
