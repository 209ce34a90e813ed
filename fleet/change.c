/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/change.h"

#include <string.h>

#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

gboolean ash_change_run(AshRequest *request, AshChange change, gpointer data, GError **error)
{
	if (!ash_db_begin(request->db, true, error))
		return FALSE;
	if (!change(request, data, error) || !ash_db_commit(request->db, error)) {
		ash_db_rollback(request->db);
		return FALSE;
	}
	if (request->server->events != NULL)
		ash_events_wake(request->server->events);
	return TRUE;
}

gboolean ash_change_event(AshRequest *request, const char *kind, const char *text, const char *data,
		GError **error)
{
	const AshEvent event = {
			.at_s = request->server->now(),
			.kind = kind,
			.actor = request->actor,
			.text = text,
			.data = data,
	};

	return ash_event_append(request->db, &event, error);
}

gboolean ash_change_answer(GError **error, GQuark domain, int code, AshRouteError answer)
{
	if (error != NULL && *error != NULL && (*error)->domain == domain &&
			(code < 0 || (*error)->code == code)) {
		(*error)->domain = ASH_ROUTE_ERROR;
		(*error)->code = (int) answer;
	}
	return FALSE;
}

gboolean ash_change_require_reason(AshRequest *request, GError **error)
{
	if (*request->reason != '\0')
		return TRUE;
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
			"'reason' is missing: say why, for the audit log");
}

static bool is_text(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if (g_ascii_iscntrl(*c) && *c != '\n')
			return false;
	return true;
}

gboolean ash_change_text(AshRequest *request, const char *member, size_t max, const char *otherwise,
		const char **out_text, GError **error)
{
	const char *text = otherwise;

	if (!ash_json_text_opt(request->body, member, &text, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	if (text != NULL && (strlen(text) > max || !is_text(text)))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'%s' is text of at most %" G_GSIZE_FORMAT
				" bytes without control characters",
				member, max);
	*out_text = text;
	return TRUE;
}

gboolean ash_change_number(AshRequest *request, const char *member, int64_t max, int64_t otherwise,
		int64_t *out_number, GError **error)
{
	int64_t number = otherwise;

	if (!ash_json_int_opt(request->body, member, &number, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	if (number != otherwise && (number < 0 || number > max))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'%s' is a number from 0 to %" G_GINT64_FORMAT, member, max);
	*out_number = number;
	return TRUE;
}

gboolean ash_change_parse(const char *text, int64_t otherwise, int64_t *out_number, GError **error)
{
	guint64 number = 0;

	if (text == NULL || *text == '\0') {
		*out_number = otherwise;
		return TRUE;
	}
	if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &number, NULL))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'%.32s' is no number", text);
	*out_number = (int64_t) number;
	return TRUE;
}
