/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-host.h"
#include "fleet/api-workload.h"
#include "fleet/change.h"
#include "fleet/host.h"
#include "fleet/server.h"
#include "fleet/workload-log.h"
#include "lib/checkin.h"
#include "lib/error.h"

/* What a workload on a host writes, live: an order to the host, whose lines come back as server-sent events. */

typedef struct {
	const char *host;
	char *which, *argument;
	int64_t follow_s, order;
} Read;

static gboolean take_number(AshRequest *request, const char *name, int64_t least, int64_t most,
		int64_t otherwise, int64_t *out_number, GError **error)
{
	if (!ash_change_parse(ash_route_argument(request, name), otherwise, out_number, error))
		return FALSE;
	return (*out_number >= least && *out_number <= most) ||
	       ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
			       "'%s' is a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
			       name, least, most);
}

static gboolean make_argument(AshRequest *request, Read *reading, GError **error)
{
	const char *name = ash_route_part(request, 1);
	const char *instance = ash_route_argument(request, "instance");
	int64_t lines = 0;

	if (!take_number(request, "lines", 0, ASH_CHECKIN_MAX_LOG_LINES, 100, &lines, error) ||
			!take_number(request, "follow", 0, ASH_WORKLOAD_LOGS_MAX_FOLLOW_S, 0,
					&reading->follow_s, error))
		return FALSE;
	if (!ash_workload_is_name(name) || strlen(instance) > 64 ||
			strspn(instance, "abcdefghijklmnopqrstuvwxyz0123456789-@") !=
					strlen(instance))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'%.64s' is no workload's name, or 'instance' is none of it", name);
	reading->which = g_strconcat(name, *instance != '\0' ? "/" : "", instance, NULL);
	reading->argument = g_strdup_printf("%s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT,
			reading->which, lines, ash_workload_logs_turn_s(reading->follow_s));
	return TRUE;
}

static gboolean write_order(AshRequest *request, gpointer data, GError **error)
{
	Read *reading = data;
	const AshHostBy by = {request->actor, "", request->server->now()};
	g_autofree char *object = g_strconcat("host:", reading->host, NULL);

	if (!ash_host_order(request->db, reading->host, "workload-logs", reading->argument, &by,
			    &reading->order, error)) {
		ash_change_answer(error, ASH_HOST_ERROR, ASH_HOST_ERROR_NOT_FOUND,
				ASH_ROUTE_ERROR_NOT_FOUND);
		return ash_change_answer(error, ASH_HOST_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
	}
	g_autofree char *after = g_strdup_printf("{\"order\":%" G_GINT64_FORMAT
						 ",\"verb\":\"workload-logs\",\"argument\":"
						 "\"%s\"}",
			reading->order, reading->argument);
	if (!ash_route_audit(request, "host.workload-logs", object, NULL, after, error))
		return FALSE;
	const AshWorkloadLogsReading logs = {
			reading->host, reading->which, request->actor, reading->follow_s};
	return ash_workload_logs_expect(request->server->logs, reading->order, &logs) ||
	       ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_TOO_MANY,
			       "%d readers of logs are there already",
			       ASH_WORKLOAD_LOGS_MAX_READERS);
}

static gboolean follow(AshRequest *request, GError **error)
{
	Read reading = {0};

	gboolean ok = ash_api_host_id(request, &reading.host, error) &&
		      make_argument(request, &reading, error) &&
		      ash_change_run(request, write_order, &reading, error);
	g_free(reading.argument);
	g_free(reading.which);
	if (!ok) {
		if (reading.order != 0)
			ash_workload_logs_forget(request->server->logs, reading.order);
		return FALSE;
	}
	ash_workload_logs_begin(request->server->logs, reading.order, request->call);
	return TRUE;
}

static const AshRouteMember arguments[] = {
		{"lines", "integer", false, "the last so many, 0 to 1000; default 100"},
		{"follow", "integer", false,
				"seconds, 0 to 86400, for which what comes is sent too; default 0"},
		{"instance", "string", false, "one of its instances (web@2); default: all"},
		{0},
};

const AshRoute ash_api_workload_log_routes[] = {
		{"GET", "/v1/hosts/{id}/workloads/{name}/logs", ASH_ROLE_OPERATOR,
				"What a workload there writes, as server-sent events: 'line' with "
				"{\"text\"}, 'missed' with {\"text\",\"lines\"} where so many are "
				"missing, at the end 'end' with {\"text\"}, why",
				follow, .arguments = arguments, .answer = NULL},
		{0},
};
