/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/bus-workload.h"
#include "agent/ctl-workload.h"

/* `ashlarctl workload …`: what only looks. */

/* As people read it. */
static const char *state_of(JsonObject *workload)
{
	const char *state = ash_json_find_text(workload, "state");

	return state == NULL ? "" : strcmp(state, "undefined") == 0 ? "no definition" : state;
}

static const char *text_of(JsonObject *object, const char *key)
{
	const char *text = ash_json_find_text(object, key);

	return text != NULL ? text : "";
}

/* ---- list ---- */

static gboolean list(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonNode) root = NULL;

	if (!ash_ctl_workload_ask(context, "List", NULL, &root, error))
		return FALSE;
	if (root == NULL)
		return TRUE;
	g_autoptr(GPtrArray) workloads = ash_ctl_list(json_node_get_object(root), "workloads");
	g_autoptr(GPtrArray) table = ash_ctl_table_new();
	if (workloads->len == 0) {
		puts("no workloads; 'ashlarctl workload run FILE' starts one");
		return TRUE;
	}
	ash_ctl_table_add(table, "NAME", "VERSION", "STATE", "ISOLATION", "RESTARTS", "SINCE", "",
			NULL);
	for (guint i = 0; i < workloads->len; i++) {
		JsonObject *workload = workloads->pdata[i];
		const char *effective = ash_json_find_text(workload, "effective");
		g_autofree char *restarts = g_strdup_printf(
				"%" G_GUINT64_FORMAT, ash_json_find_uint(workload, "restarts"));
		g_autofree char *since = ash_ctl_time(ash_json_find_text(workload, "since"));
		ash_ctl_table_add(table, text_of(workload, "name"), text_of(workload, "version"),
				state_of(workload), effective != NULL ? effective : "", restarts,
				since, text_of(workload, "text"), NULL);
	}
	ash_ctl_table_print(table);
	const char *trouble = ash_json_find_text(json_node_get_object(root), "trouble");
	g_autofree char *clean = ash_ctl_clean(trouble);
	if (trouble != NULL)
		printf("%s\n", clean);
	return TRUE;
}

/* The same as list: `ashlarctl workload`. */
const AshCliCommand ash_ctl_workload = {
		.name = "workload",
		.synopsis = "",
		.summary = "Shows the workloads of this host ('workload list').",
		.run = list,
};

const AshCliCommand ash_ctl_workload_list = {
		.name = "workload list",
		.synopsis = "",
		.summary = "Shows the workloads of this host.",
		.run = list,
};

/* ---- status ---- */

static void print_row(const char *key, const char *value)
{
	g_autofree char *clean = ash_ctl_clean(value);

	if (*clean != '\0')
		printf("%-12s%s\n", key, clean);
}

static void print_instances(JsonObject *workload)
{
	g_autoptr(GPtrArray) instances = ash_ctl_list(workload, "instances");

	for (guint i = 0; i < instances->len; i++) {
		JsonObject *instance = instances->pdata[i];
		g_autoptr(GPtrArray) checks = ash_ctl_list(instance, "health");
		g_autoptr(GPtrArray) table = ash_ctl_table_new();
		g_autofree char *name = ash_ctl_clean(text_of(instance, "name"));
		g_autofree char *state = ash_ctl_clean(text_of(instance, "state"));
		g_autofree char *text = ash_ctl_clean(text_of(instance, "text"));
		g_autofree char *address = ash_ctl_clean(text_of(instance, "address"));
		printf("\n%s: %s%s%s%s%s", name, state, *text != '\0' ? ": " : "", text,
				*address != '\0' ? ", " : "", address);
		printf(", started again %" G_GUINT64_FORMAT " times\n",
				ash_json_find_uint(instance, "restarts"));
		for (guint k = 0; k < checks->len; k++) {
			JsonObject *check = checks->pdata[k];
			const char *mark = !json_object_has_member(check, "passing") ? "–"
					   : ash_json_find_bool(check, "passing")    ? "✓"
										     : "✗";
			ash_ctl_table_add(table, "", mark, text_of(check, "name"),
					text_of(check, "text"), NULL);
		}
		ash_ctl_table_print(table);
	}
}

static void print_volumes(JsonObject *workload)
{
	g_autoptr(GPtrArray) volumes = ash_ctl_list(workload, "volumes");

	for (guint i = 0; i < volumes->len; i++) {
		JsonObject *volume = volumes->pdata[i];
		uint64_t size = ash_json_find_uint(volume, "size");
		uint64_t asked = ash_json_find_uint(volume, "asked");
		g_autofree char *text_size = g_format_size_full(size, G_FORMAT_SIZE_IEC_UNITS);
		g_autofree char *text_asked = g_format_size_full(asked, G_FORMAT_SIZE_IEC_UNITS);
		bool is_larger = size > asked && asked > 0;
		g_autofree char *line = g_strdup_printf("%s of %s at %s, %s%s%s",
				text_of(volume, "name"), text_of(volume, "instance"),
				text_of(volume, "path"), text_size,
				is_larger ? "; none shrinks to the definition's " : "",
				is_larger ? text_asked : "");
		print_row(i == 0 ? "volumes" : "", line);
	}
}

static void print_failed(JsonObject *workload)
{
	g_autoptr(GPtrArray) failed = ash_ctl_list(workload, "failed");

	for (guint i = 0; i < failed->len; i++) {
		JsonObject *item = failed->pdata[i];
		g_autofree char *version = ash_ctl_clean(text_of(item, "version"));
		g_autofree char *reason = ash_ctl_clean(text_of(item, "reason"));
		g_autofree char *at = ash_ctl_time(ash_json_find_text(item, "at"));
		printf("%-12s%s, %s: %s\n", i == 0 ? "failed" : "", version, at, reason);
	}
}

static gboolean status(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *request = ash_ctl_workload_request(args[0], NULL);
	g_autoptr(JsonNode) root = NULL;
	g_autoptr(AshBus) bus = NULL;
	g_autofree char *json = NULL;

	if (!ash_bus_new(&bus, error) ||
			!ash_ctl_workload_call(bus, "Status", request, &json, error) ||
			!ash_ctl_parse(json, &root, error))
		return FALSE;
	JsonObject *workload = json_node_get_object(root);
	if (!ash_json_find_bool(workload, "ready"))
		*out_exit = ASH_EXIT_NEGATIVE;
	if (context->json) {
		puts(g_strchomp(json));
		return TRUE;
	}
	g_autofree char *since = ash_ctl_time(ash_json_find_text(workload, "since"));
	const char *origin = ash_json_find_text(workload, "origin");
	g_autofree char *version = g_strconcat(text_of(workload, "version"),
			origin != NULL ? " (" : NULL, origin, ")", NULL);
	const char *effective = ash_json_find_text(workload, "effective");
	g_autofree char *isolation = g_strconcat(text_of(workload, "isolation"),
			effective != NULL ? ", really " : NULL, effective, NULL);
	print_row("workload", text_of(workload, "name"));
	print_row("version", version);
	print_row("state", state_of(workload));
	print_row("since", since);
	print_row("why", text_of(workload, "text"));
	print_row("recording", ash_json_find_bool(workload, "recording")
					       ? "its system calls, with the default filter"
					       : "");
	print_row("next", text_of(workload, "target"));
	print_row("isolation", isolation);
	print_row("image", text_of(workload, "image"));
	print_row("network", text_of(workload, "network"));
	print_row("definition", text_of(workload, "file"));
	print_volumes(workload);
	print_failed(workload);
	print_instances(workload);
	return TRUE;
}

const AshCliCommand ash_ctl_workload_status = {
		.name = "workload status",
		.synopsis = "NAME",
		.summary = "Shows one workload, its instances and their health.",
		.details = "Ends with exit code 8 when it is not ready.",
		.min_args = 1,
		.max_args = 1,
		.run = status,
};

/* ---- report ---- */

static gboolean report(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *request = ash_ctl_workload_request(args[0], NULL);
	g_autoptr(JsonNode) root = NULL;

	if (!ash_ctl_workload_ask(context, "Report", request, &root, error))
		return FALSE;
	if (root == NULL)
		return TRUE;
	JsonObject *object = json_node_get_object(root);
	g_autoptr(GPtrArray) grants = ash_ctl_list(object, "grants");
	g_autoptr(GPtrArray) table = ash_ctl_table_new();
	uint64_t score = ash_json_find_uint(object, "score");
	g_autofree char *name = ash_ctl_clean(text_of(object, "name"));
	g_autofree char *version = ash_ctl_clean(text_of(object, "version"));
	g_autofree char *words = ash_ctl_clean(text_of(object, "words"));
	printf("%s %s touches %s: %" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT
	       " of 10; it runs as %s\n\n",
			name, version, words, score / 10, score % 10, text_of(object, "effective"));
	for (guint i = 0; i < grants->len; i++) {
		JsonObject *grant = grants->pdata[i];
		uint64_t points = ash_json_find_uint(grant, "points");
		g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT,
				points / 10, points % 10);
		ash_ctl_table_add(table, points > 0 ? text : "", text_of(grant, "text"), NULL);
	}
	ash_ctl_table_print(table);
	return TRUE;
}

const AshCliCommand ash_ctl_workload_report = {
		.name = "workload report",
		.synopsis = "NAME",
		.summary = "Shows everything that a workload may touch, with a score.",
		.min_args = 1,
		.max_args = 1,
		.run = report,
};

/* ---- diff ---- */

static void print_diff(JsonObject *object, const GPtrArray *changes)
{
	g_autofree char *name = ash_ctl_clean(text_of(object, "name"));
	g_autofree char *before = ash_ctl_clean(text_of(object, "from"));
	g_autofree char *after = ash_ctl_clean(text_of(object, "to"));
	printf("%s %s → %s: %s\n", name, before, after,
			ash_json_find_bool(object, "is-wider") ? "may touch more"
			: changes->len > 0                     ? "may touch no more"
							       : "may touch the same");
	for (guint i = 0; i < changes->len; i++) {
		JsonObject *change = changes->pdata[i];
		g_autofree char *old = ash_ctl_clean(text_of(change, "from"));
		g_autofree char *new = ash_ctl_clean(text_of(change, "to"));
		if (*old != '\0')
			printf("- %s\n", old);
		if (*new != '\0')
			printf("+ %s%s\n", new,
					ash_json_find_bool(change, "is-wider") ? "   (wider)" : "");
	}
}

static gboolean make_diff_request(char **args, char **out_request, GError **error)
{
	g_autofree char *from = NULL;
	g_autofree char *to = NULL;

	if (args[1] == NULL) {
		*out_request = ash_ctl_workload_request(args[0], NULL);
		return TRUE;
	}
	if (!ash_ctl_workload_read(args[0], &from, error) ||
			!ash_ctl_workload_read(args[1], &to, error))
		return FALSE;
	*out_request = ash_ctl_workload_request(NULL, "old", from, "new", to, NULL);
	return TRUE;
}

static gboolean diff(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *request = NULL;
	g_autoptr(JsonNode) root = NULL;
	g_autoptr(AshBus) bus = NULL;
	g_autofree char *json = NULL;

	if (!make_diff_request(args, &request, error) || !ash_bus_new(&bus, error) ||
			!ash_ctl_workload_call(bus, "Diff", request, &json, error) ||
			!ash_ctl_parse(json, &root, error))
		return FALSE;
	JsonObject *object = json_node_get_object(root);
	g_autoptr(GPtrArray) changes = ash_ctl_list(object, "changes");
	if (changes->len > 0)
		*out_exit = ASH_EXIT_NEGATIVE;
	if (context->json)
		puts(g_strchomp(json));
	else
		print_diff(object, changes);
	return TRUE;
}

const AshCliCommand ash_ctl_workload_diff = {
		.name = "workload diff",
		.synopsis = "NAME | OLD NEW",
		.summary = "Shows what another version may touch that this one may not.",
		.details = "With a NAME, of the version that is on its way; with two files, of these. Ends with\n"
			   "exit code 8 when there is a difference.",
		.min_args = 1,
		.max_args = 2,
		.run = diff,
};

/* ---- graph ---- */

static gboolean graph(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonNode) root = NULL;

	if (!ash_ctl_workload_ask(context, "Graph", NULL, &root, error))
		return FALSE;
	if (root == NULL)
		return TRUE;
	JsonObject *object = json_node_get_object(root);
	g_autoptr(GPtrArray) nodes = ash_ctl_list(object, "nodes");
	g_autoptr(GPtrArray) edges = ash_ctl_list(object, "edges");
	g_autoptr(GPtrArray) missing = ash_ctl_list(object, "missing");
	for (guint i = 0; i < nodes->len; i++) {
		JsonObject *node = nodes->pdata[i];
		const char *name = text_of(node, "name");
		g_autofree char *clean = ash_ctl_clean(name);
		printf("%s (%s)\n", clean, text_of(node, "state"));
		for (guint k = 0; k < edges->len; k++) {
			JsonObject *edge = edges->pdata[k];
			if (strcmp(text_of(edge, "from"), name) != 0)
				continue;
			g_autofree char *service = ash_ctl_clean(text_of(edge, "service"));
			g_autofree char *to = ash_ctl_clean(text_of(edge, "to"));
			printf("  %s %s%s→ %s\n", text_of(edge, "kind"), service,
					*service != '\0' ? " " : "", to);
		}
		for (guint k = 0; k < missing->len; k++) {
			g_autofree char *service =
					ash_ctl_clean(text_of(missing->pdata[k], "service"));
			if (strcmp(text_of(missing->pdata[k], "from"), name) == 0)
				printf("  %s → no route\n", service);
		}
	}
	return TRUE;
}

const AshCliCommand ash_ctl_workload_graph = {
		.name = "workload graph",
		.synopsis = "",
		.summary = "Shows who reaches whom, and missing routes.",
		.run = graph,
};
