/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "fleet/reboot-lock.h"
#include "lib/json.h"

static char *opt_lease, *opt_paused;
static int opt_slots = ASH_CLI_NOT_GIVEN;
static gboolean opt_frees_late, opt_keeps_late;

static const GOptionEntry set_options[] = {
		{"slots", 0, 0, G_OPTION_ARG_INT, &opt_slots,
				"So many reboot at once, 0 to 100000; a new group: 1", "N"},
		{"lease", 0, 0, G_OPTION_ARG_STRING, &opt_lease,
				"After so long a holder is late; a new group: 1h", "TIME"},
		{"frees-late", 0, 0, G_OPTION_ARG_NONE, &opt_frees_late,
				"A late holder loses its slot", NULL},
		{"keeps-late", 0, 0, G_OPTION_ARG_NONE, &opt_keeps_late,
				"A late holder is only shown, as in a new group", NULL},
		{"paused", 0, 0, G_OPTION_ARG_STRING, &opt_paused,
				"Nobody gets a slot, and why; empty: they do", "TEXT"},
		ASH_CLI_REASON,
		{0},
};

static void print_group(JsonObject *group)
{
	static const AshCliColumn columns[] = {
			{"group", "group", ASH_CLI_TEXT},
			{"slots", "slots", ASH_CLI_TEXT},
			{"lease", "lease", ASH_CLI_TEXT},
			{"frees late", "frees_late", ASH_CLI_BOOL},
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

static gboolean show(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/locks/", args[0], "");
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	if (!context->json)
		print_group(json_node_get_object(node));
	return TRUE;
}

static gboolean set(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/locks/", args[0], "");
	g_autoptr(JsonBuilder) body = ash_cli_body();
	int64_t lease_s = 0;

	if (!ash_cli_count("slots", opt_slots, 0, ASH_REBOOT_LOCK_MAX_SLOTS, error) ||
			(opt_lease != NULL &&
					!ash_cli_seconds("lease", opt_lease, &lease_s, error)))
		return FALSE;
	/* What is not sent stays as it is. */
	if (opt_slots != ASH_CLI_NOT_GIVEN)
		ash_json_add_int(body, "slots", opt_slots);
	if (opt_lease != NULL)
		ash_json_add_int(body, "lease", lease_s);
	if (opt_frees_late || opt_keeps_late)
		ash_json_add_bool(body, "frees_late", opt_frees_late);
	if (opt_paused != NULL)
		ash_json_add_string(body, "paused", opt_paused);
	return ash_cli_change(context, "PUT", path, g_steal_pointer(&body), "done", NULL, error);
}

static gboolean release(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/locks/", args[0], "/release");
	JsonBuilder *body;

	if (!ash_cli_need("reason", ash_cli_reason, error))
		return FALSE;
	body = ash_cli_body();
	ash_json_add_text(body, "id", args[1]);
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
		{.name = "locks show",
				.synopsis = "GROUP",
				.summary = "One group, and who holds it",
				.min_args = 1,
				.max_args = 1,
				.run = show},
		{.name = "locks set",
				.synopsis = "GROUP",
				.summary = "Make a group, or change what is asked for",
				.options = set_options,
				.min_args = 1,
				.max_args = 1,
				.run = set},
		{.name = "locks release",
				.synopsis = "GROUP ID",
				.summary = "Take a slot away from its holder, with a reason",
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = 2,
				.run = release},
		{.name = "locks remove",
				.synopsis = "GROUP",
				.summary = "Remove a group",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = remove_group},
		{0},
};
