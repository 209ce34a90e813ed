/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/ctl.h"
#include "lib/json.h"

static const char *mark(JsonObject *condition)
{
	if (!json_object_has_member(condition, "met") ||
			json_object_get_null_member(condition, "met"))
		return "–";
	return ash_json_find_bool(condition, "met") ? "✓" : "✗";
}

static void print_answer(JsonObject *why)
{
	g_autofree char *answer = ash_ctl_clean(ash_json_find_text(why, "answer"));
	g_autofree char *blocker = ash_ctl_clean(ash_json_find_text(why, "blocker"));
	g_autofree char *because = ash_ctl_clean(ash_json_find_text(why, "because"));
	g_autofree char *version = ash_ctl_clean(
			ash_json_find_text(ash_json_find_object(why, "running"), "version"));

	printf("%s%s%s\n", answer, *blocker != '\0' ? ": " : "", blocker);
	printf("  runs %s%s%s\n", version, *because != '\0' ? ", " : "", because);
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonNode) root = NULL;

	if (!ash_ctl_report(context, "Why", NULL, &root, error))
		return FALSE;
	if (root == NULL)
		return TRUE;
	JsonObject *why = json_node_get_object(root);
	g_autoptr(GPtrArray) conditions = ash_ctl_list(why, "conditions");
	g_autoptr(GPtrArray) refused = ash_ctl_list(why, "refused");
	g_autoptr(GPtrArray) table = ash_ctl_table_new();
	g_autoptr(GPtrArray) releases = ash_ctl_table_new();
	print_answer(why);
	for (guint i = 0; i < conditions->len; i++) {
		JsonObject *condition = conditions->pdata[i];
		const char *name = ash_json_find_text(condition, "condition");
		const char *text = ash_json_find_text(condition, "text");
		ash_ctl_table_add(table, mark(condition), name != NULL ? name : "",
				text != NULL ? text : "", NULL);
	}
	if (table->len > 0)
		puts("");
	ash_ctl_table_print(table);
	for (guint i = 0; i < refused->len; i++) {
		JsonObject *release = refused->pdata[i];
		const char *version = ash_json_find_text(release, "version");
		const char *reason = ash_json_find_text(release, "reason");
		const char *text = ash_json_find_text(release, "text");
		ash_ctl_table_add(releases, "✗", version != NULL ? version : "",
				reason != NULL ? reason : "", text != NULL ? text : "", NULL);
	}
	if (releases->len > 0)
		puts("\nreleases that are not taken:");
	ash_ctl_table_print(releases);
	return TRUE;
}

const AshCliCommand ash_ctl_why = {
		.name = "why",
		.summary = "Say why this release runs, and not another",
		.run = run,
};
