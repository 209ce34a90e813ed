/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/json.h"

static gboolean opt_yes;

static const GOptionEntry bulk_options[] = {
		ASH_CLI_REASON,
		{"yes", 'y', 0, G_OPTION_ARG_NONE, &opt_yes, "Do not ask", NULL},
		{0},
};

/* POST /v1/hosts/HOST/ACT */
static gboolean change(AshCliContext *context, const char *id, const char *act,
		JsonBuilder *take_body, GError **error)
{
	g_autofree char *rest = g_strconcat("/", act, NULL);
	g_autofree char *path = ash_cli_path("/v1/hosts/", id, rest);

	return ash_cli_change(context, "POST", path, take_body, "done", NULL, error);
}

static gboolean labels(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonBuilder) body = ash_cli_body();

	if (!ash_cli_add_labels(body, args + 1, error))
		return FALSE;
	return change(context, args[0], "labels", g_steal_pointer(&body), error);
}

static gboolean order(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	JsonBuilder *body = ash_cli_body();

	ash_json_add_text(body, "verb", args[1]);
	ash_json_add_text(body, "argument", args[2]);
	return change(context, args[0], "orders", body, error);
}

static gboolean release(AshCliContext *context, const char *host, const char *version,
		const char *verb, GError **error)
{
	JsonBuilder *body = ash_cli_body();

	ash_json_add_string(body, "version", version);
	ash_json_add_text(body, "verb", verb);
	return change(context, host, "release", body, error);
}

static gboolean update(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return release(context, args[0], args[1], "update", error);
}

static gboolean go_back(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return release(context, args[0], args[1], "return", error);
}

static gboolean follow(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return release(context, args[0], "", "update", error);
}

static gboolean approve(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return change(context, args[0], "approve", ash_cli_body(), error);
}

static gboolean hold(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_need("reason", ash_cli_reason, error) &&
	       change(context, args[0], "hold", ash_cli_body(), error);
}

static gboolean release_hold(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return change(context, args[0], "release-hold", ash_cli_body(), error);
}

static gboolean retire(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_need("reason", ash_cli_reason, error) &&
	       change(context, args[0], "retire", ash_cli_body(), error);
}

static gboolean forget(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return change(context, args[0], "forget", ash_cli_body(), error);
}

/* The act's own members, from the words behind the selector. */
static gboolean add_act(JsonBuilder *body, const char *act, char **words, GError **error)
{
	static const char *const plain[] = {"approve", "hold", "release-hold", "retire", NULL};

	ash_json_add_text(body, "act", act);
	if (strcmp(act, "labels") == 0)
		return ash_cli_add_labels(body, words, error);
	if (strcmp(act, "order") == 0) {
		if (words[0] == NULL)
			return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
					"which order: check, reboot, forgive, journal, facts, forget");
		ash_json_add_text(body, "verb", words[0]);
		ash_json_add_text(body, "argument", words[1]);
		return TRUE;
	}
	if (!g_strv_contains(plain, act))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"'%s' is none of: labels, order, approve, hold, release-hold, retire",
				act);
	return TRUE;
}

static gboolean bulk(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonBuilder) body = ash_cli_body();
	g_autoptr(JsonNode) changed = NULL;
	guint64 count = 0;

	if (!add_act(body, args[0], args + 2, error) ||
			!ash_cli_count_hosts(args[1], &count, error))
		return FALSE;
	g_autofree char *what =
			g_strdup_printf("%s on %" G_GUINT64_FORMAT " hosts", args[0], count);
	if (!ash_cli_confirm(opt_yes, count, what, error))
		return FALSE;
	ash_json_add_text(body, "selector", args[1]);
	ash_json_add_uint(body, "expect", count);
	if (!ash_cli_change(context, "POST", "/v1/hosts/bulk", g_steal_pointer(&body), NULL,
			    &changed, error))
		return FALSE;
	if (context->json)
		ash_cli_print_json(changed);
	else
		printf("%" G_GUINT64_FORMAT " hosts\n",
				ash_json_find_uint(json_node_get_object(changed), "changed"));
	return TRUE;
}

const AshCliCommand ash_fleet_cmd_host_change[] = {
		{.name = "host labels",
				.synopsis = "HOST KEY=VALUE|KEY-…",
				.summary = "Set and remove labels",
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = -1,
				.run = labels},
		{.name = "host order",
				.synopsis = "HOST VERB [ARGUMENT]",
				.summary = "check, reboot, forgive, journal, facts or forget",
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = 3,
				.run = order},
		{.name = "host approve",
				.synopsis = "HOST",
				.summary = "Let it in",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = approve},
		{.name = "host hold",
				.synopsis = "HOST",
				.summary = "It begins nothing new until the hold is released",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = hold},
		{.name = "host release-hold",
				.synopsis = "HOST",
				.summary = "It is one of the fleet again",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = release_hold},
		{.name = "host retire",
				.synopsis = "HOST",
				.summary = "Revoke its certificates; its history stays",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = retire},
		{.name = "host forget",
				.synopsis = "HOST",
				.summary = "Revoke its certificates and remove it with all its history",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = forget},
		{.name = "host update",
				.synopsis = "HOST VERSION",
				.summary = "Give this host a release by hand",
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = 2,
				.run = update},
		{.name = "host return",
				.synopsis = "HOST VERSION",
				.summary = "Send this host back to a deployment that it has",
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = 2,
				.run = go_back},
		{.name = "host follow",
				.synopsis = "HOST",
				.summary = "Take back what was given by hand: its channel rules again",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = follow},
		{.name = "hosts bulk",
				.synopsis = "ACT SELECTOR [ARGUMENT…]",
				.summary = "Labels, orders, approve, hold, retire for many",
				.details = "Asks for the number of hosts, which must still be the same when it is "
					   "done. labels takes KEY=VALUE and KEY-, order VERB and ARGUMENT.",
				.options = bulk_options,
				.min_args = 2,
				.max_args = -1,
				.run = bulk},
		{0},
};
