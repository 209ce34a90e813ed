/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/cli.h"
#include "lib/json.h"

static char *opt_role, *opt_scope, *opt_note, *opt_expires;
static gboolean opt_password, opt_disable, opt_enable;

static const GOptionEntry user_options[] = {
		{"role", 0, 0, G_OPTION_ARG_STRING, &opt_role, "viewer, operator or admin", "ROLE"},
		{"scope", 0, 0, G_OPTION_ARG_STRING, &opt_scope,
				"Sees and changes only these hosts", "SELECTOR"},
		{"password", 0, 0, G_OPTION_ARG_NONE, &opt_password,
				"Read a password from standard input", NULL},
		{"disable", 0, 0, G_OPTION_ARG_NONE, &opt_disable, "May not log in", NULL},
		{"enable", 0, 0, G_OPTION_ARG_NONE, &opt_enable, "May log in again", NULL},
		ASH_CLI_REASON,
		{0},
};
static const GOptionEntry token_options[] = {
		{"role", 0, 0, G_OPTION_ARG_STRING, &opt_role,
				"viewer (default), operator or admin", "ROLE"},
		{"scope", 0, 0, G_OPTION_ARG_STRING, &opt_scope,
				"Sees and changes only these hosts", "SELECTOR"},
		{"note", 0, 0, G_OPTION_ARG_STRING, &opt_note, "What it is for", "TEXT"},
		{"expires", 'e', 0, G_OPTION_ARG_STRING, &opt_expires,
				"After 7d, …; default: never", "TIME"},
		ASH_CLI_REASON,
		{0},
};

static gboolean add_password(JsonBuilder *body, GError **error)
{
	g_autofree char *password = NULL;

	if (!opt_password)
		return TRUE;
	if (!ash_cli_password("Password", &password, error))
		return FALSE;
	ash_json_add_text(body, "password", password);
	return TRUE;
}

static const AshCliColumn user_columns[] = {
		{"NAME", "name", ASH_CLI_TEXT},
		{"ROLE", "role", ASH_CLI_TEXT},
		{"SCOPE", "scope", ASH_CLI_TEXT},
		{"CREATED", "created_at", ASH_CLI_TIME},
		{"PASSWORD", "has_password", ASH_CLI_BOOL},
		{"SESSIONS", "sessions", ASH_CLI_NUMBER},
		{"DISABLED", "disabled", ASH_CLI_BOOL},
		{0},
};

static gboolean users(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_list(context, "/v1/operators", 0, user_columns, "no users", error);
}

static gboolean users_show(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/operators/", args[0], "");

	return ash_cli_show(context, path, user_columns, error);
}

static gboolean send_user(
		AshCliContext *context, const char *path, const char *name, GError **error)
{
	g_autoptr(JsonBuilder) body = ash_cli_body();

	ash_json_add_text(body, "name", name);
	ash_json_add_text(body, "role", opt_role);
	if (opt_scope != NULL) {
		ash_json_add_string(body, "scope", opt_scope);
	}
	if (opt_disable || opt_enable)
		ash_json_add_bool(body, "disabled", opt_disable);
	return add_password(body, error) &&
	       ash_cli_change(context, "POST", path, g_steal_pointer(&body), "done", NULL, error);
}

static gboolean users_add(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_need("role", opt_role, error) &&
	       send_user(context, "/v1/operators", args[0], error);
}

static gboolean users_set(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/operators/", args[0], "");

	return send_user(context, path, NULL, error);
}

static gboolean users_remove(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/operators/", args[0], "");

	return ash_cli_change(context, "DELETE", path, NULL, "removed", NULL, error);
}

static gboolean tokens(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"ID", "id", ASH_CLI_TEXT},
			{"ROLE", "role", ASH_CLI_TEXT},
			{"SCOPE", "scope", ASH_CLI_TEXT},
			{"NOTE", "note", ASH_CLI_TEXT},
			{"CREATED", "created_at", ASH_CLI_TIME},
			{"EXPIRES", "expires_at", ASH_CLI_TIME},
			{"LAST USED", "last_used", ASH_CLI_TIME},
			{"REVOKED", "revoked_at", ASH_CLI_TIME},
			{0},
	};

	return ash_cli_list(context, "/v1/api-tokens", 0, columns, "no API tokens", error);
}

static gboolean tokens_add(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonBuilder) body = ash_cli_body();
	g_autoptr(JsonNode) node = NULL;
	int64_t expires_s = 0;

	if (opt_expires != NULL && !ash_cli_seconds("expires", opt_expires, &expires_s, error))
		return FALSE;
	ash_json_add_text(body, "role", opt_role != NULL ? opt_role : "viewer");
	ash_json_add_text(body, "scope", opt_scope);
	ash_json_add_text(body, "note", opt_note);
	ash_json_add_int(body, "expires_in", expires_s);
	if (!ash_cli_change(context, "POST", "/v1/api-tokens", g_steal_pointer(&body), NULL, &node,
			    error))
		return FALSE;
	ash_cli_print_secret(context, node);
	return TRUE;
}

static gboolean tokens_revoke(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/api-tokens/", args[0], "/revoke");

	return ash_cli_change(context, "POST", path, ash_cli_body(), "revoked", NULL, error);
}

const AshCliCommand ash_fleet_cmd_operator[] = {
		{.name = "users", .summary = "List who may log in", .run = users},
		{.name = "users show",
				.synopsis = "NAME",
				.summary = "One of them",
				.min_args = 1,
				.max_args = 1,
				.run = users_show},
		{.name = "users add",
				.synopsis = "NAME",
				.summary = "Let somebody in",
				.options = user_options,
				.min_args = 1,
				.max_args = 1,
				.run = users_add},
		{.name = "users set",
				.synopsis = "NAME",
				.summary = "Role, scope, password; disable and enable",
				.options = user_options,
				.min_args = 1,
				.max_args = 1,
				.run = users_set},
		{.name = "users remove",
				.synopsis = "NAME",
				.summary = "Remove somebody",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = users_remove},
		{.name = "api-tokens", .summary = "List API tokens", .run = tokens},
		{.name = "api-tokens add",
				.summary = "Make one; its secret is shown once",
				.options = token_options,
				.run = tokens_add},
		{.name = "api-tokens revoke",
				.synopsis = "ID",
				.summary = "It is refused from now on",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = tokens_revoke},
		{0},
};
