/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "fleet/cli-client.h"
#include "fleet/cli-stream.h"
#include "fleet/cli.h"
#include "lib/json.h"

enum {
	MAX_EVENTS = 1000, /* one answer */
};

static char *opt_kind, *opt_host, *opt_rollout;
static int opt_limit = 50;
static gboolean opt_follow;

static const GOptionEntry event_options[] = {
		{"follow", 'f', 0, G_OPTION_ARG_NONE, &opt_follow,
				"Go on with what happens from now on", NULL},
		{"kind", 'k', 0, G_OPTION_ARG_STRING, &opt_kind, "host.report, rollout.*, …",
				"KIND"},
		{"host", 0, 0, G_OPTION_ARG_STRING, &opt_host, "Of this host", "HOST"},
		{"rollout", 0, 0, G_OPTION_ARG_STRING, &opt_rollout, "Of this rollout", "ROLLOUT"},
		{"limit", 'n', 0, G_OPTION_ARG_INT, &opt_limit, "The newest so many; default: 50",
				"N"},
		{0},
};
static const GOptionEntry audit_options[] = {
		{"limit", 'n', 0, G_OPTION_ARG_INT, &opt_limit, "The newest so many; default: 50",
				"N"},
		{0},
};

static void print_event(bool json, JsonObject *event)
{
	g_autofree char *at = ash_cli_cell(event, "at", ASH_CLI_TIME);
	g_autofree char *kind = ash_cli_cell(event, "kind", ASH_CLI_TEXT);
	g_autofree char *host = ash_cli_cell(event, "host_name", ASH_CLI_TEXT);
	g_autofree char *text = ash_cli_cell(event, "text", ASH_CLI_TEXT);

	if (json) {
		g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
		json_node_set_object(node, event);
		ash_cli_print_json(node);
	} else {
		printf("%s  %-18s %-16s %s\n", at, kind, host, text);
	}
	fflush(stdout);
}

/* "rollout.*" is all that begin so, as for the server. */
static bool is_of_kind(const char *kind)
{
	g_autofree char *start = g_strndup(opt_kind, strlen(opt_kind) - 1);

	return kind != NULL && (g_str_has_suffix(opt_kind, ".*") ? g_str_has_prefix(kind, start)
								 : strcmp(kind, opt_kind) == 0);
}

static bool is_wanted(JsonObject *event)
{
	if (opt_kind != NULL && *opt_kind != '\0' && !is_of_kind(ash_json_find_text(event, "kind")))
		return false;
	if (opt_rollout != NULL &&
			g_strcmp0(opt_rollout, ash_json_find_text(event, "rollout")) != 0)
		return false;
	return opt_host == NULL || g_strcmp0(opt_host, ash_json_find_text(event, "host")) == 0;
}

/* The server's events have whole ids; people have names. */
static gboolean find_host(AshCliClient *client, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (opt_host == NULL)
		return TRUE;
	g_autofree char *path = ash_cli_path("/v1/hosts/", opt_host, "");
	if (!ash_cli_client_call(client, "GET", path, NULL, &node, error))
		return FALSE;
	const char *id = node != NULL && JSON_NODE_HOLDS_OBJECT(node)
					 ? ash_json_find_text(json_node_get_object(node), "id")
					 : NULL;
	if (id != NULL) {
		g_free(opt_host);
		opt_host = g_strdup(id);
	}
	return TRUE;
}

static gboolean on_event(const char *kind, JsonObject *event, gpointer data, GError **error)
{
	if (event != NULL && is_wanted(event))
		print_event(*(bool *) data, event);
	return TRUE;
}

static gboolean events(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *limit = g_strdup_printf("%d", opt_limit);
	g_autofree char *path = ash_cli_argument(g_strdup("/v1/events?order=new"), "limit", limit);
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonNode) node = NULL;
	int64_t last = 0;

	if (!ash_cli_count("limit", opt_limit, 1, MAX_EVENTS, error) ||
			!ash_cli_client_new(&client, error) || !find_host(client, error))
		return FALSE;
	path = ash_cli_argument(g_steal_pointer(&path), "kind", opt_kind);
	path = ash_cli_argument(g_steal_pointer(&path), "host", opt_host);
	path = ash_cli_argument(g_steal_pointer(&path), "rollout", opt_rollout);
	if (!ash_cli_client_call(client, "GET", path, NULL, &node, error))
		return FALSE;
	JsonArray *items =
			node != NULL && JSON_NODE_HOLDS_OBJECT(node)
					? ash_json_find_objects(json_node_get_object(node), "items")
					: NULL;
	/* The oldest of them first, as they go on. */
	for (guint i = items != NULL ? json_array_get_length(items) : 0; i > 0; i--) {
		JsonObject *event = json_array_get_object_element(items, i - 1);
		last = MAX(last, (int64_t) ash_json_find_uint(event, "seq"));
		print_event(context->json, event);
	}
	if (!opt_follow)
		return TRUE;
	return ash_cli_stream_follow(client, last > 0 ? last : -1, on_event, &context->json, error);
}

static gboolean audit(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"SEQ", "seq", ASH_CLI_NUMBER},
			{"AT", "at", ASH_CLI_TIME},
			{"WHO", "actor", ASH_CLI_TEXT},
			{"FROM", "address", ASH_CLI_TEXT},
			{"WHAT", "action", ASH_CLI_TEXT},
			{"OBJECT", "object", ASH_CLI_TEXT},
			{"REASON", "reason", ASH_CLI_TEXT},
			{0},
	};

	return ash_cli_count("limit", opt_limit, 1, ASH_CLI_MAX_ITEMS, error) &&
	       ash_cli_list_newest(context, "/v1/audit", (unsigned) opt_limit, columns,
			       "nothing was changed yet", error);
}

static gboolean audit_verify(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, "/v1/audit/verify", &node, error))
		return FALSE;
	JsonObject *object = json_node_get_object(node);
	bool ok = ash_json_find_bool(object, "ok");
	if (context->json)
		; /* all is said */
	else if (ok)
		printf("%" G_GUINT64_FORMAT " rows, all in place; the last is %s\n",
				ash_json_find_uint(object, "count"),
				ash_json_find_text(object, "head"));
	else
		printf("row %" G_GUINT64_FORMAT " was changed, or is missing\n",
				ash_json_find_uint(object, "first_bad"));
	if (!ok)
		*out_exit = ASH_EXIT_NEGATIVE;
	return TRUE;
}

const AshCliCommand ash_fleet_cmd_event[] = {
		{.name = "events",
				.summary = "What happened, and with --follow what happens",
				.options = event_options,
				.run = events},
		{.name = "audit",
				.summary = "Who changed what: the newest, in their order",
				.options = audit_options,
				.run = audit},
		{.name = "audit verify",
				.summary = "Is the audit log whole? Exit code 8: no",
				.run = audit_verify},
		{0},
};
