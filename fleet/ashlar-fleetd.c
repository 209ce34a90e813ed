/* SPDX-License-Identifier: Apache-2.0 */
#include <glib-unix.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "fleet/audit.h"
#include "fleet/backup.h"
#include "fleet/ca.h"
#include "fleet/server.h"
#include "lib/cli.h"
#include "lib/error.h"
#include "lib/json.h"

enum {
	RENEW_EVERY_S = 6 * 60 * 60,
};

/* ---- serve ---- */

static char *listen_option;

static const GOptionEntry serve_options[] = {
		{"listen", 0, 0, G_OPTION_ARG_STRING, &listen_option,
				"instead of the settings' address; port 0: any that is free",
				"ADDRESS:PORT"},
		{NULL},
};

typedef struct {
	AshServer *server;
	GMainLoop *loop;
} Serving;

static gboolean on_end(gpointer data)
{
	Serving *serving = data;

	sd_notify(0, "STOPPING=1");
	g_main_loop_quit(serving->loop);
	return G_SOURCE_CONTINUE;
}

static gboolean on_reload(gpointer data)
{
	Serving *serving = data;
	g_autoptr(GError) error = NULL;

	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());
	if (ash_server_reload(serving->server, &error))
		g_message("settings and certificates are read anew");
	else
		g_warning("settings stay as they were: %s", error->message);
	sd_notify(0, "READY=1");
	return G_SOURCE_CONTINUE;
}

static gboolean on_renew(gpointer data)
{
	Serving *serving = data;
	g_autoptr(GError) error = NULL;

	if (!ash_server_renew(serving->server, &error))
		g_warning("%s; will try again in 6 hours", error->message);
	return G_SOURCE_CONTINUE;
}

static gboolean on_watchdog(gpointer data)
{
	sd_notify(0, "WATCHDOG=1");
	return G_SOURCE_CONTINUE;
}

static void say_started(AshCliContext *context, AshServer *server, const char *token)
{
	const AshFleetConfig *config = server->config;
	const char *name = config->names[0] != NULL ? config->names[0] : g_get_host_name();
	g_autofree char *address =
			g_strdup_printf("https://%s:%u/", name, ash_http_port(server->http));

	if (context->json) {
		g_autoptr(JsonBuilder) builder = json_builder_new();
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "address", address);
		ash_json_add_uint(builder, "port", ash_http_port(server->http));
		ash_json_add_text(builder, "fleet", server->fleet_id);
		ash_json_add_text(builder, "ca_sha256", ash_ca_fingerprint(server->ca));
		ash_json_add_text(builder, "token", token);
		json_builder_end_object(builder);
		g_autofree char *text = ash_json_format(builder, false);
		fputs(text, stdout);
	} else {
		printf("address    %s\n", address);
		printf("authority  %s\n", ash_ca_fingerprint(server->ca));
		if (token != NULL)
			printf("token      %s\n           an admin's; it is not shown again "
			       "(ashlar-fleetd token makes another)\n",
					token);
	}
	fflush(stdout);
}

static gboolean serve(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(AshServer) server = NULL;
	g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
	g_autofree char *token = NULL;
	uint64_t watchdog_us = 0;

	if (*args[0] == '\0')
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"DIR is empty: say in which directory the fleet is, '.' for this one");
	if (!ash_server_start(args[0], listen_option, &server, &token, error))
		return FALSE;
	Serving serving = {.server = server, .loop = loop};
	g_unix_signal_add(SIGTERM, on_end, &serving);
	g_unix_signal_add(SIGINT, on_end, &serving);
	g_unix_signal_add(SIGHUP, on_reload, &serving);
	g_timeout_add_seconds(RENEW_EVERY_S, on_renew, &serving);
	if (sd_watchdog_enabled(0, &watchdog_us) > 0)
		g_timeout_add((guint) (watchdog_us / 2000), on_watchdog, NULL);
	say_started(context, server, token);
	sd_notify(0, "READY=1");
	g_main_loop_run(loop);
	return TRUE;
}

/* ---- the rest ---- */

static char *note_option;

static const GOptionEntry token_options[] = {
		{"note", 0, 0, G_OPTION_ARG_STRING, &note_option, "what it is for", "TEXT"},
		{NULL},
};

/* What asks for a fleet does not make one where somebody mistyped its directory. */
static gboolean need_fleet(const char *dir, GError **error)
{
	static const char *const names[] = {"fleetd.yaml", "ca.pem", "fleet.db"};

	for (size_t i = 0; *dir != '\0' && i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(dir, names[i], NULL);
		if (g_file_test(path, G_FILE_TEST_EXISTS))
			return TRUE;
	}
	return ash_throw(error, ASH_SERVER_ERROR, ASH_SERVER_ERROR_OTHER,
			"there is no fleet in '%s': 'ashlar-fleetd serve' makes one", dir);
}

static gboolean token(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *secret = NULL;

	if (!need_fleet(args[0], error) ||
			!ash_server_make_token(args[0],
					note_option != NULL ? note_option : "made by hand", &secret,
					error))
		return FALSE;
	if (context->json)
		printf("{\"token\":\"%s\"}\n", secret);
	else
		printf("%s\n", secret);
	return TRUE;
}

static gboolean backup(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	if (*args[1] == '\0')
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"BACKUP is empty: say which directory is to be made");
	return need_fleet(args[0], error) && ash_backup_make(args[0], args[1], error);
}

static gboolean restore(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	if (*args[0] == '\0' || *args[1] == '\0')
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"DIR and BACKUP are names, not empty");
	return ash_backup_restore(args[0], args[1], error);
}

static gboolean check_audit(AshDb *db, GError **error)
{
	AshAuditVerdict verdict = {0};

	if (!ash_audit_verify(db, &verdict, error))
		return FALSE;
	if (verdict.first_bad == 0)
		return TRUE;
	return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_CORRUPT,
			"row %" G_GINT64_FORMAT " of the audit log was changed, or is missing",
			verdict.first_bad);
}

static gboolean check(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(AshFleetConfig) config = NULL;
	g_autoptr(AshDbPool) pool = NULL;
	g_autoptr(AshDb) db = NULL;

	return need_fleet(args[0], error) &&
	       ash_server_open_database(args[0], &config, &pool, error) &&
	       ash_db_pool_take(pool, &db, error) && ash_db_check(db, error) &&
	       check_audit(db, error);
}

static const AshCliCommand commands[] = {
		{.name = "serve",
				.synopsis = "DIR",
				.summary = "serve a fleet; everything that DIR lacks is made",
				.options = serve_options,
				.min_args = 1,
				.max_args = 1,
				.run = serve},
		{.name = "token",
				.synopsis = "DIR",
				.summary = "make another admin's token, when all are lost",
				.options = token_options,
				.min_args = 1,
				.max_args = 1,
				.run = token},
		{.name = "backup",
				.synopsis = "DIR BACKUP",
				.summary = "copy all but the content into a new directory, while it is in use",
				.min_args = 2,
				.max_args = 2,
				.run = backup},
		{.name = "restore",
				.synopsis = "DIR BACKUP",
				.summary = "put a backup into a new directory and an empty database",
				.min_args = 2,
				.max_args = 2,
				.run = restore},
		{.name = "check",
				.synopsis = "DIR",
				.summary = "read the whole database and say what is wrong",
				.min_args = 1,
				.max_args = 1,
				.run = check},
		{0},
};

static int exit_for(const GError *error)
{
	if (error->domain == ASH_FLEET_CONFIG_ERROR ||
			g_error_matches(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_NONE) ||
			g_error_matches(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_DAMAGED))
		return ASH_EXIT_INPUT;
	if (error->domain == ASH_SERVER_ERROR || error->domain == ASH_HTTP_ERROR ||
			error->domain == ASH_CA_ERROR || error->domain == ASH_BACKUP_ERROR)
		return ASH_EXIT_ENVIRONMENT;
	if (g_error_matches(error, ASH_DB_ERROR, ASH_DB_ERROR_LOST))
		return ASH_EXIT_UNREACHABLE;
	if (error->domain == ASH_DB_ERROR)
		return ASH_EXIT_ENVIRONMENT;
	return 0;
}

int main(int argc, char **argv)
{
	static const AshCliProgram program = {.name = "ashlar-fleetd",
			.summary = "The server of a fleet of Ashlar hosts.",
			.commands = commands,
			.exit_for = exit_for};

	return ash_cli_main(&program, argc, argv);
}
