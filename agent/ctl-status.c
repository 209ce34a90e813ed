/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/ctl-workload.h"
#include "agent/ctl.h"

#include "lib/json.h"
#include "lib/text.h"

/* "LABEL      text"; nothing for an empty text. */
static void print_line(const char *label, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void print_line(const char *label, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	g_autofree char *clean = ash_ctl_clean(text);
	if (*clean != '\0')
		printf("  %-10s %s\n", label, clean);
}

/* The text, or "" for none. */
static const char *or_empty(const char *text)
{
	return text != NULL ? text : "";
}

static void print_state(JsonObject *status)
{
	g_autofree char *since = ash_ctl_time(ash_json_find_text(status, "since"));
	g_autofree char *state = ash_ctl_clean(ash_json_find_text(status, "state"));
	g_autofree char *detail = ash_ctl_clean(ash_json_find_text(status, "detail"));

	printf("%s%s%s%s%s\n", state, *since != '\0' ? ", since " : "", since,
			*detail != '\0' ? ": " : "", detail);
}

static void print_running(JsonObject *status)
{
	JsonObject *booted = ash_json_find_object(status, "booted");
	const char *variant = or_empty(ash_json_find_text(booted, "variant"));
	const char *reason = or_empty(ash_json_find_text(status, "verdict_reason"));
	g_autofree char *commit = ash_ctl_commit(booted);
	JsonNode *warnings = json_object_get_member(status, "warnings");
	JsonArray *mistakes = warnings != NULL && JSON_NODE_HOLDS_ARRAY(warnings)
					      ? json_node_get_array(warnings)
					      : NULL;

	if (booted != NULL)
		print_line("running", "%s  %s%s%s %s  %s",
				or_empty(ash_json_find_text(booted, "version")),
				or_empty(ash_json_find_text(booted, "name")),
				*variant != '\0' ? "-" : "", variant,
				or_empty(ash_json_find_text(booted, "arch")), commit);
	print_line("health", "%s%s%s", or_empty(ash_json_find_text(status, "verdict")),
			*reason != '\0' ? ": " : "", reason);
	print_line("degraded", "%s", or_empty(ash_json_find_text(status, "degraded")));
	for (guint i = 0; mistakes != NULL && i < json_array_get_length(mistakes); i++)
		print_line("settings", "%s", json_array_get_string_element(mistakes, i));
}

static void print_way(JsonObject *status)
{
	JsonObject *trial = ash_json_find_object(status, "trial");
	JsonObject *target = ash_json_find_object(status, "target");
	JsonObject *available = ash_json_find_object(status, "available");
	g_autofree char *reboot_at = ash_ctl_time(ash_json_find_text(status, "reboot_at"));

	if (trial != NULL) {
		g_autofree char *deadline = ash_ctl_time(ash_json_find_text(trial, "deadline"));
		print_line("trial", "%s; has to be healthy %s",
				or_empty(ash_json_find_text(trial, "version")), deadline);
	}
	if (target != NULL) {
		uint64_t bytes = ash_json_find_uint(target, "bytes");
		g_autofree char *done = ash_text_size(ash_json_find_uint(target, "done"));
		g_autofree char *all = ash_text_size(bytes);
		print_line("target", "%s%s, %s of %s%s%s",
				or_empty(ash_json_find_text(target, "version")),
				ash_json_find_bool(target, "is_recall") ? " (a recall)" : "", done,
				all, ash_json_find_text(target, "method") != NULL ? " as " : "",
				or_empty(ash_json_find_text(target, "method")));
	}
	if (available != NULL) {
		g_auto(GStrv) notes = g_strsplit(
				or_empty(ash_json_find_text(available, "notes")), "\n", 2);
		const char *first = notes[0] != NULL ? notes[0] : "";
		print_line("available", "%s%s%s",
				or_empty(ash_json_find_text(available, "version")),
				*first != '\0' ? ": " : "", first);
	}
	print_line("reboot", "%s", reboot_at);
}

static char *deployment_words(JsonObject *deployment)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
	const char *bad = ash_json_find_text(deployment, "bad");

	if (ash_json_find_bool(deployment, "booted"))
		g_ptr_array_add(words, g_strdup("running"));
	if (ash_json_find_bool(deployment, "good"))
		g_ptr_array_add(words, g_strdup("good"));
	if (ash_json_find_bool(deployment, "pinned"))
		g_ptr_array_add(words, g_strdup("pinned"));
	if (json_object_has_member(deployment, "tries_left"))
		g_ptr_array_add(words,
				g_strdup_printf("%" G_GUINT64_FORMAT " tries left",
						ash_json_find_uint(deployment, "tries_left")));
	if (bad != NULL)
		g_ptr_array_add(words, g_strconcat("bad: ", bad, NULL));
	g_ptr_array_add(words, NULL);
	return g_strjoinv(", ", (char **) words->pdata);
}

static void print_deployments(JsonObject *status)
{
	g_autoptr(GPtrArray) deployments = ash_ctl_list(status, "deployments");
	g_autoptr(GPtrArray) table = ash_ctl_table_new();

	if (deployments->len == 0)
		return;
	ash_ctl_table_add(table, "  ", "DEPLOYED", "COMMIT", "", NULL);
	for (guint i = 0; i < deployments->len; i++) {
		JsonObject *deployment = deployments->pdata[i];
		g_autofree char *commit = ash_ctl_commit(deployment);
		g_autofree char *words = deployment_words(deployment);
		ash_ctl_table_add(table, ash_json_find_bool(deployment, "booted") ? "▸ " : "  ",
				or_empty(ash_json_find_text(deployment, "version")), commit, words,
				NULL);
	}
	puts("");
	ash_ctl_table_print(table);
}

static void print_failed(JsonObject *status)
{
	g_autoptr(GPtrArray) failed = ash_ctl_list(status, "failed");
	g_autoptr(GPtrArray) table = ash_ctl_table_new();

	if (failed->len == 0)
		return;
	ash_ctl_table_add(table, "  ", "NOT TAKEN", "COMMIT", "", "", NULL);
	for (guint i = 0; i < failed->len; i++) {
		JsonObject *item = failed->pdata[i];
		g_autofree char *commit = ash_ctl_commit(item);
		g_autofree char *at = ash_ctl_time(ash_json_find_text(item, "at"));
		g_autofree char *why = g_strdup_printf("%s: %s",
				or_empty(ash_json_find_text(item, "kind")),
				or_empty(ash_json_find_text(item, "reason")));
		ash_ctl_table_add(table, "  ", or_empty(ash_json_find_text(item, "version")),
				commit, at, why, NULL);
	}
	puts("");
	ash_ctl_table_print(table);
}

static void print_source(JsonObject *status)
{
	JsonObject *source = ash_json_find_object(status, "source");
	JsonObject *space = ash_json_find_object(status, "space");
	const char *last_error = ash_json_find_text(source, "last_error");
	g_autofree char *checked = ash_ctl_time(ash_json_find_text(source, "last_check"));
	g_autofree char *succeeded = ash_ctl_time(ash_json_find_text(source, "last_success"));
	g_autofree char *expires = ash_ctl_time(ash_json_find_text(source, "expires"));

	puts("");
	print_line("source", "%s",
			ash_json_find_text(source, "url") != NULL
					? ash_json_find_text(source, "url")
					: "none: no updates are looked for");
	if (*checked != '\0' && last_error == NULL)
		print_line("checked", "%s", checked);
	else if (last_error != NULL)
		print_line("checked", "%s, failed: %s%s%s%s", checked, last_error,
				*succeeded != '\0' ? " (last success " : "", succeeded,
				*succeeded != '\0' ? ")" : "");
	print_line("expires", "%s", expires);
	if (space == NULL)
		return;
	g_autofree char *root_free = ash_text_size(ash_json_find_uint(space, "root_free"));
	g_autofree char *root = ash_text_size(ash_json_find_uint(space, "root"));
	g_autofree char *esp_free = ash_text_size(ash_json_find_uint(space, "esp_free"));
	g_autofree char *esp = ash_text_size(ash_json_find_uint(space, "esp"));
	print_line("free", "%s of %s on the root file system, %s of %s on the ESP", root_free, root,
			esp_free, esp);
}

static void print_fleet(JsonObject *status)
{
	JsonObject *fleet = ash_json_find_object(status, "fleet");
	JsonObject *wants = ash_json_find_object(fleet, "wants");
	const char *text = or_empty(ash_json_find_text(fleet, "text"));
	const char *trouble = ash_json_find_text(fleet, "last_error");
	g_autofree char *contact = ash_ctl_time(ash_json_find_text(fleet, "last_contact"));

	if (fleet == NULL)
		return;
	puts("");
	print_line("fleet", "%s", or_empty(ash_json_find_text(fleet, "url")));
	print_line("known as", "%s", or_empty(ash_json_find_text(fleet, "id")));
	print_line("standing", "%s%s%s", or_empty(ash_json_find_text(fleet, "state")),
			*text != '\0' ? ": " : "", text);
	if (trouble != NULL)
		print_line("contact", "%s%snot reached: %s", contact, *contact != '\0' ? "; " : "",
				trouble);
	else
		print_line("contact", "%s", contact);
	print_line("wants", "%s%s",
			wants != NULL && g_strcmp0(ash_json_find_text(wants, "verb"), "return") == 0
					? "back to "
					: "",
			or_empty(ash_json_find_text(wants, "version")));
	print_line("held", "%s", or_empty(ash_json_find_text(fleet, "hold")));
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonNode) root = NULL;

	if (!ash_ctl_report(context, "GetStatus", NULL, &root, error))
		return FALSE;
	if (root == NULL)
		return TRUE;
	JsonObject *status = json_node_get_object(root);
	print_state(status);
	print_running(status);
	print_way(status);
	print_deployments(status);
	print_failed(status);
	print_source(status);
	print_fleet(status);
	g_autofree char *workloads = ash_ctl_workload_summary();
	if (workloads != NULL) {
		puts("");
		print_line("workloads", "%s", workloads);
	}
	return TRUE;
}

const AshCliCommand ash_ctl_status = {
		.name = "status",
		.summary = "Say what runs here, how it is, and what comes next",
		.run = run,
};
