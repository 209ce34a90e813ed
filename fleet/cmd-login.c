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

static char *opt_token_file, *opt_ca, *opt_fingerprint;

static const GOptionEntry login_options[] = {
		{"token-file", 0, 0, G_OPTION_ARG_FILENAME, &opt_token_file,
				"The API token; default: from standard input", "FILE"},
		{"ca", 0, 0, G_OPTION_ARG_FILENAME, &opt_ca,
				"The certificate of the fleet's authority; default: the system's",
				"FILE"},
		{"fingerprint", 0, 0, G_OPTION_ARG_STRING, &opt_fingerprint,
				"Take the authority from the server when its SHA-256 is this",
				"SHA256"},
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

static gboolean login(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *token = NULL, *name = NULL;
	g_autoptr(GBytes) ca = NULL;

	if (opt_ca != NULL && opt_fingerprint != NULL)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--ca and --fingerprint are two ways to say the same; give one");
	if (opt_ca != NULL && !ash_file_read(AT_FDCWD, opt_ca, ASH_X509_MAX_PEM, &ca, error))
		return FALSE;
	if (!read_token(&token, error) ||
			!ash_cli_client_login(args[0], token,
					ca != NULL ? g_bytes_get_data(ca, NULL) : NULL,
					opt_fingerprint, &name, error))
		return FALSE;
	ash_progress_note(context->progress, "logged in to %s as %s", args[0], name);
	return TRUE;
}

static gboolean logout(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_client_logout(error);
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

const AshCliCommand ash_fleet_cmd_login[] = {
		{.name = "login",
				.synopsis = "URL",
				.summary = "Remember a server and an API token",
				.details = "Kept in ~/.config/ashlar/fleet.json, for you alone. ASHLAR_FLEET_URL, "
					   "ASHLAR_FLEET_TOKEN and ASHLAR_FLEET_CA (a file) rule over it.",
				.options = login_options,
				.min_args = 1,
				.max_args = 1,
				.run = login},
		{.name = "logout", .summary = "Forget them", .run = logout},
		{.name = "whoami", .summary = "Name, role and scope of the token", .run = whoami},
		{.name = "overview",
				.summary = "The fleet in a few lines, and what needs attention",
				.run = overview},
		{0},
};
