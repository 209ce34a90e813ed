/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/bus-workload.h"
#include "agent/ctl-workload.h"
#include "lib/error.h"

/* Calls between workloads that the host's owner wants to be asked about. */

/* ---- pending ---- */

static char *describe_service(JsonObject *call)
{
	const char *service = ash_json_find_text(call, "service");
	const char *argument = ash_json_find_text(call, "argument");
	bool has_argument = argument != NULL && *argument != '\0';
	g_autofree char *text = g_strconcat(service != NULL ? service : "", has_argument ? "+" : "",
			has_argument ? argument : "", NULL);

	return ash_ctl_clean(text);
}

static gboolean pending(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonNode) root = NULL;
	g_autoptr(GPtrArray) table = ash_ctl_table_new();

	if (!ash_ctl_workload_ask(context, "Pending", NULL, &root, error))
		return FALSE;
	if (root == NULL)
		return TRUE;
	g_autoptr(GPtrArray) calls = ash_ctl_list(json_node_get_object(root), "pending");
	if (calls->len == 0) {
		puts("no call waits for a decision");
		return TRUE;
	}
	ash_ctl_table_add(table, "ID", "SERVICE", "FROM", "TO", "WAITS", NULL);
	for (guint i = 0; i < calls->len; i++) {
		JsonObject *call = calls->pdata[i];
		g_autofree char *service = describe_service(call);
		int64_t waits = g_get_real_time() / G_USEC_PER_SEC -
				(int64_t) ash_json_find_uint(call, "since");
		g_autofree char *time = g_strdup_printf("%" G_GINT64_FORMAT " s", MAX(waits, 0));
		ash_ctl_table_add(table, ash_json_find_text(call, "id"), service,
				ash_json_find_text(call, "source"),
				ash_json_find_text(call, "target"), time, NULL);
	}
	ash_ctl_table_print(table);
	return TRUE;
}

const AshCliCommand ash_ctl_workload_pending = {
		.name = "workload pending",
		.summary = "Shows the calls that wait for a decision.",
		.run = pending,
};

/* ---- answer ---- */

static gboolean answer(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	bool may = strcmp(args[1], "allow") == 0;
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autoptr(JsonNode) root = NULL;

	if (!may && strcmp(args[1], "deny") != 0)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"'%s' is neither 'allow' nor 'deny'", args[1]);
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "id", args[0]);
	ash_json_add_bool(builder, "allow", may);
	json_builder_end_object(builder);
	g_autofree char *request = ash_json_format(builder, false);
	if (!ash_ctl_workload_ask(context, "Answer", request, &root, error))
		return FALSE;
	if (root != NULL)
		printf("%s: %s\n", args[0], may ? "allowed" : "denied");
	return TRUE;
}

const AshCliCommand ash_ctl_workload_answer = {
		.name = "workload answer",
		.synopsis = "ID allow|deny",
		.summary = "Allows or denies a call that waits.",
		.min_args = 2,
		.max_args = 2,
		.run = answer,
};
