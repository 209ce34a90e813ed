/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/x509.h"

enum {
	MAX_TOKEN = 1024,
};

static char *opt_token_file, *opt_ca, *opt_fingerprint, *opt_name;
static int opt_hours = 48;

static const GOptionEntry login_options[] = {
		{"token-file", 0, 0, G_OPTION_ARG_FILENAME, &opt_token_file,
				"The API token; default: from standard input", "FILE"},
		{"name", 0, 0, G_OPTION_ARG_STRING, &opt_name,
				"By name and password instead, for 12 hours; the password comes from "
				"standard input",
				"NAME"},
		{"ca", 0, 0, G_OPTION_ARG_FILENAME, &opt_ca,
				"The certificate of the fleet's authority; default: the system's",
				"FILE"},
		{"fingerprint", 0, 0, G_OPTION_ARG_STRING, &opt_fingerprint,
				"Take the authority from the server when its SHA-256 is this",
				"SHA256"},
		{0},
};

static const GOptionEntry timeline_options[] = {
		{"hours", 0, 0, G_OPTION_ARG_INT, &opt_hours, "So far back, 1 to 2160; default: 48",
				"N"},
		{0},
};

/* Never an argument: other users see those. */
static gboolean read_token(char **out_token, GError **error)
{
	char line[MAX_TOKEN + 2] = "";
	g_autoptr(GBytes) bytes = NULL;

	if (opt_token_file != NULL) {
		if (!ash_file_read(AT_FDCWD, opt_token_file, MAX_TOKEN, &bytes, error))
			return FALSE;
		g_strlcpy(line, g_bytes_get_data(bytes, NULL), sizeof line);
	} else {
		if (isatty(STDIN_FILENO))
			fputs("Token: ", stderr);
		if (fgets(line, sizeof line, stdin) == NULL)
			line[0] = '\0';
	}
	g_strstrip(line);
	if (line[0] == '\0')
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"no token; give it on standard input or with --token-file");
	*out_token = g_strdup(line);
	return TRUE;
}

static gboolean log_in(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *secret = NULL, *name = NULL;
	g_autoptr(GBytes) ca = NULL;

	if (opt_ca != NULL && opt_fingerprint != NULL)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--ca and --fingerprint are two ways to say the same; give one");
	if (opt_ca != NULL && !ash_file_read(AT_FDCWD, opt_ca, ASH_X509_MAX_PEM, &ca, error))
		return FALSE;
	if (opt_name != NULL && opt_token_file != NULL)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--name and --token-file are two who; give one");
	if (opt_name != NULL ? !ash_cli_password("Password", &secret, error)
			     : !read_token(&secret, error))
		return FALSE;
	AshCliLogin login = {.url = args[0],
			.ca_pem = ca != NULL ? g_bytes_get_data(ca, NULL) : NULL,
			.fingerprint = opt_fingerprint,
			.token = opt_name == NULL ? secret : NULL,
			.name = opt_name,
			.password = secret};
	if (!ash_cli_client_login(&login, &name, error))
		return FALSE;
	ash_progress_note(context->progress, "logged in to %s as %s", args[0], name);
	return TRUE;
}

static gboolean logout(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_client_logout(error);
}

static gboolean password(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *old = NULL, *new = NULL, *again = NULL;

	if (!ash_cli_password("Password until now", &old, error) ||
			!ash_cli_password("New password", &new, error) ||
			(isatty(STDIN_FILENO) && !ash_cli_password("Again", &again, error)))
		return FALSE;
	if (again != NULL && strcmp(again, new) != 0)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"these are two; nothing was done");
	if (!ash_cli_client_password(old, new, error))
		return FALSE;
	ash_progress_note(context->progress, "changed; all other sessions have ended");
	return TRUE;
}

static gboolean whoami(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"name", "name", ASH_CLI_TEXT},
			{"role", "role", ASH_CLI_TEXT},
			{"scope", "scope", ASH_CLI_TEXT},
			{0},
	};

	return ash_cli_show(context, "/v1/session", columns, error);
}

static gboolean overview(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"hosts", "hosts", ASH_CLI_TEXT},
			{"by state", "by_state", ASH_CLI_MAP},
			{"by health", "by_health", ASH_CLI_MAP},
			{"server", "server.version", ASH_CLI_TEXT},
			{"database", "server.database", ASH_CLI_TEXT},
			{"trouble", "server.trouble", ASH_CLI_TEXT},
			{0},
	};
	static const AshCliColumn attention[] = {
			{"ATTENTION", "kind", ASH_CLI_TEXT},
			{"WHAT", "text", ASH_CLI_TEXT},
			{0},
	};
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, "/v1/overview", &node, error))
		return FALSE;
	if (context->json)
		return TRUE;
	JsonObject *object = json_node_get_object(node);
	ash_cli_print_page(object, columns);
	JsonArray *list = ash_json_find_objects(object, "attention");
	if (list != NULL) {
		putchar('\n');
		ash_cli_print_table(list, attention);
	}
	return TRUE;
}

/* "1.0 12, 1.1 3" */
static char *counts_text(JsonArray *versions, JsonObject *point)
{
	JsonNode *node = json_object_get_member(point, "counts");
	JsonArray *counts = node != NULL && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node)
									: NULL;
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; counts != NULL && i < json_array_get_length(counts) &&
			  i < json_array_get_length(versions);
			i++) {
		gint64 count = json_array_get_int_element(counts, i);
		g_autofree char *version =
				ash_cli_plain(json_array_get_string_element(versions, i));
		if (count > 0)
			g_string_append_printf(text, "%s%s %" G_GINT64_FORMAT,
					text->len > 0 ? ", " : "",
					*version != '\0' ? version : "unknown", count);
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static gboolean timeline(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	if (!ash_cli_count("hours", opt_hours, 1, 2160, error))
		return FALSE;
	g_autofree char *hours = g_strdup_printf("%d", opt_hours);
	g_autofree char *path = ash_cli_argument(g_strdup("/v1/overview/timeline"), "hours", hours);
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	JsonObject *object = json_node_get_object(node);
	JsonNode *versions = json_object_get_member(object, "versions");
	JsonArray *points = ash_json_find_objects(object, "points");
	if (context->json || points == NULL || versions == NULL || !JSON_NODE_HOLDS_ARRAY(versions))
		return TRUE;
	for (guint i = 0; i < json_array_get_length(points); i++) {
		JsonObject *point = json_array_get_object_element(points, i);
		g_autofree char *at = ash_cli_cell(point, "at", ASH_CLI_TIME);
		g_autofree char *text = counts_text(json_node_get_array(versions), point);
		printf("%s  %s\n", at, text);
	}
	return TRUE;
}

const AshCliCommand ash_fleet_cmd_login[] = {
		{.name = "login",
				.synopsis = "URL",
				.summary = "Remember a server, and who you are: an API token, or a name",
				.details = "Kept in ~/.config/ashlar/fleet.json, for you alone. ASHLAR_FLEET_URL, "
					   "ASHLAR_FLEET_TOKEN and ASHLAR_FLEET_CA (a file) rule over it.",
				.options = login_options,
				.min_args = 1,
				.max_args = 1,
				.run = log_in},
		{.name = "logout", .summary = "Forget them", .run = logout},
		{.name = "password",
				.summary = "Change one's own, of who logged in with --name",
				.details = "Two lines of standard input: the password until now, and the new "
					   "one.",
				.run = password},
		{.name = "whoami",
				.summary = "Who this is for the server: name, role and scope",
				.run = whoami},
		{.name = "overview",
				.summary = "The fleet in a few lines, and what needs attention",
				.run = overview},
		{.name = "overview timeline",
				.summary = "How many hosts ran which version, and when",
				.options = timeline_options,
				.run = timeline},
		{0},
};
