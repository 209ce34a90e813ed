/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/ctl.h"
#include "lib/json.h"

static const char *mark(JsonObject *check)
{
	if (!json_object_has_member(check, "passing") ||
			json_object_get_null_member(check, "passing"))
		return "–";
	return ash_json_find_bool(check, "passing") ? "✓" : "✗";
}

static void print_checks(JsonObject *health)
{
	g_autoptr(GPtrArray) checks = ash_ctl_list(health, "checks");
	g_autoptr(GPtrArray) table = ash_ctl_table_new();

	for (guint i = 0; i < checks->len; i++) {
		JsonObject *check = checks->pdata[i];
		const char *name = ash_json_find_text(check, "name");
		const char *kind = ash_json_find_text(check, "kind");
		const char *target = ash_json_find_text(check, "target");
		const char *text = ash_json_find_text(check, "text");
		g_autofree char *since = ash_ctl_time(ash_json_find_text(check, "since"));
		g_autofree char *what = g_strdup_printf(
				"%s %s", kind != NULL ? kind : "", target != NULL ? target : "");
		const char *class = ash_json_find_text(check, "class");
		ash_ctl_table_add(table, mark(check), name != NULL ? name : "",
				class != NULL ? class : "", what, since, text != NULL ? text : "",
				NULL);
	}
	ash_ctl_table_print(table);
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(AshBus) bus = NULL;
	g_autoptr(JsonNode) root = NULL;
	g_autofree char *json = NULL;

	if (!ash_bus_new(&bus, error) || !ash_ctl_call(bus, "GetHealth", NULL, &json, error) ||
			!ash_ctl_parse(json, &root, error))
		return FALSE;
	JsonObject *health = json_node_get_object(root);
	if (g_strcmp0(ash_json_find_text(health, "verdict"), "good") != 0)
		*out_exit = ASH_EXIT_NEGATIVE;
	if (context->json) {
		puts(g_strchomp(json));
		return TRUE;
	}
	g_autofree char *verdict = ash_ctl_clean(ash_json_find_text(health, "verdict"));
	g_autofree char *reason = ash_ctl_clean(ash_json_find_text(health, "reason"));
	g_autofree char *deadline = ash_ctl_time(ash_json_find_text(health, "deadline"));
	printf("%s%s%s\n", verdict, *reason != '\0' ? ": " : "", reason);
	if (*deadline != '\0')
		printf("decided %s at the latest; required checks have to hold for %" G_GUINT64_FORMAT
		       " s\n",
				deadline, ash_json_find_uint(health, "soak_s"));
	print_checks(health);
	return TRUE;
}

const AshCliCommand ash_ctl_health = {
		.name = "health",
		.summary = "Say what the health checks found",
		.details = "Ends with 0 when the verdict is good, with 8 when it is not.",
		.run = run,
};
