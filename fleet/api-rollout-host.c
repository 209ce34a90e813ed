/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-rollout.h"
#include "fleet/page.h"
#include "fleet/scheduler.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* The hosts of a rollout. Those that had their turn have a row; of those that wait, or had the release before, which may
 * be all hosts of the fleet, the engine alone knows. They come behind the others, in the order of the rollout; their
 * keys begin with IN_LINE.
 */

#define IN_LINE "+"

typedef struct {
	AshRequest *request;
	int64_t count; /* rows on the page */
} Rows;

static bool may_see(const AshDbRow *row, gpointer data)
{
	return ash_route_may_host(((const Rows *) data)->request, ash_db_row_text(row, 0));
}

static void add_row(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	((Rows *) data)->count++;
	ash_json_add_string(json, "host", ash_db_row_text(row, 0));
	ash_json_add_string(json, "name", ash_db_row_text(row, 1));
	ash_json_add_int(json, "ring", ash_db_row_int(row, 2));
	ash_json_add_string(json, "outcome", ash_db_row_text(row, 3));
	ash_json_add_int(json, "since", ash_db_row_int(row, 4));
	ash_json_add_string(json, "reason", ash_db_row_text(row, 5));
}

/* ---- those in line ---- */

typedef struct {
	uint8_t id[ASH_ROLLOUT_ID_BYTES];
	AshRolloutOutcome outcome;
	unsigned ring;
	int64_t since_s;
	char *reason;
} Waiting;

typedef struct {
	const uint8_t *after; /* NULL: from the first */
	const char *outcome;  /* "": waiting and already */
	int64_t limit;
	GArray *found; /* Waiting; one more than the limit says that there are more */
} Line;

static bool take_host(const AshRolloutHost *host, gpointer data)
{
	Line *line = data;

	if ((host->outcome != ASH_ROLLOUT_WAITING && host->outcome != ASH_ROLLOUT_ALREADY) ||
			(*line->outcome != '\0' &&
					!g_str_equal(line->outcome,
							ash_rollout_outcome_text(host->outcome))))
		return true;
	Waiting waiting = {.outcome = host->outcome,
			.ring = host->ring,
			.since_s = host->since_s,
			.reason = g_strdup(host->reason)};
	memcpy(waiting.id, host->id, sizeof waiting.id);
	g_array_append_val(line->found, waiting);
	return line->found->len <= line->limit;
}

static void walk(const AshRollout *rollout, gpointer data)
{
	const Line *line = data;

	ash_rollout_each_after(rollout, line->after, take_host, data);
}

static void waiting_clear(gpointer data)
{
	g_free(((Waiting *) data)->reason);
}

static void add_waiting(AshRequest *request, JsonBuilder *json, const Waiting *waiting)
{
	g_auto(AshHost) host = {0};
	char id[65];

	ash_host_id_format(waiting->id, id);
	if (!ash_route_may_host(request, id))
		return;
	bool is_known = ash_live_get(request->server->live, waiting->id, &host);
	json_builder_begin_object(json);
	ash_json_add_string(json, "host", id);
	ash_json_add_string(json, "name", is_known ? host.name : "");
	ash_json_add_int(json, "ring", waiting->ring);
	ash_json_add_string(json, "outcome", ash_rollout_outcome_text(waiting->outcome));
	ash_json_add_int(json, "since", waiting->since_s);
	ash_json_add_string(json, "reason", waiting->reason);
	json_builder_end_object(json);
}

/* @after: an id, or "". */
static gboolean add_line(AshRequest *request, const char *after, const char *outcome, int64_t limit,
		JsonBuilder *json, char **out_next, GError **error)
{
	g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Waiting));
	uint8_t id[ASH_ROLLOUT_ID_BYTES];
	Line line = {.outcome = outcome, .limit = limit, .found = found};
	bool is_there = false;
	char last[65];

	g_array_set_clear_func(found, waiting_clear);
	if (*after != '\0' && !ash_host_id_parse(after, id))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'after' is the 'next' of the page before");
	line.after = *after != '\0' ? id : NULL;
	if (!ash_scheduler_ask(request->server->scheduler, request->db, ash_route_part(request, 0),
			    walk, &line, &is_there, error))
		return FALSE;
	for (guint i = 0; i < found->len && i < limit; i++)
		add_waiting(request, json, &g_array_index(found, Waiting, i));
	if (found->len > limit) {
		ash_host_id_format(g_array_index(found, Waiting, limit - 1).id, last);
		*out_next = g_strconcat(IN_LINE, last, NULL);
	}
	return TRUE;
}

/* ---- all ---- */

static gboolean add_rows(AshRequest *request, const char *outcome, int64_t limit, JsonBuilder *json,
		int64_t *out_count, char **out_next, GError **error)
{
	Rows rows = {.request = request};
	const AshPage page = {
			.sql = "SELECT rollout_host.host, COALESCE(host.name, ''), ring, outcome, since, "
			       "rollout_host.reason FROM rollout_host LEFT JOIN host ON host.id = "
			       "rollout_host.host WHERE rollout_host.rollout = $1 AND "
			       "rollout_host.host > $2 AND (outcome = $3 OR ($3 = '' AND outcome NOT IN "
			       "('waiting', 'already'))) ORDER BY rollout_host.host LIMIT $4",
			.values = ASH_DB_VALUES(ASH_DB_T(ash_route_part(request, 0)),
					ASH_DB_T(ash_route_after(request)), ASH_DB_T(outcome),
					ASH_DB_I(limit + 1)),
			.add = add_row,
			.may_see = may_see,
			.data = &rows,
	};

	if (!ash_page_query(request->db, &page, limit, json, out_next, error))
		return FALSE;
	*out_count = rows.count;
	return TRUE;
}

static gboolean check_asked(AshRequest *request, const char *outcome, GError **error)
{
	AshRolloutOutcome found = 0;
	bool is_there = false;
	int64_t one = 0;

	if (*outcome != '\0' && !ash_rollout_outcome_find(outcome, &found))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'outcome' is waiting, assigned, offered, confirmed, failed, silent, "
				"withdrawn, returned, already or gone");
	if (!ash_db_query_int(request->db, "SELECT 1 FROM rollout WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(ash_route_part(request, 0))), &is_there, &one,
			    error))
		return FALSE;
	return is_there ||
	       ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
			       "there is no rollout '%.64s'", ash_route_part(request, 0));
}

gboolean ash_api_rollout_hosts(AshRequest *request, GError **error)
{
	const char *outcome = ash_route_argument(request, "outcome");
	const char *after = ash_route_after(request);
	int64_t limit = ash_route_limit(request);
	bool waits = g_str_equal(outcome, "waiting") || g_str_equal(outcome, "already");
	bool is_in_line = g_str_has_prefix(after, IN_LINE);
	int64_t count = 0;
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *next = NULL;

	if (!check_asked(request, outcome, error))
		return FALSE;
	json_builder_begin_object(json);
	ash_json_begin_array(json, "items");
	if (!waits && !is_in_line && !add_rows(request, outcome, limit, json, &count, &next, error))
		return FALSE;
	/* What is left of the page. */
	bool has_room = next == NULL && (waits || is_in_line || *outcome == '\0') && count < limit;
	if (has_room && !add_line(request, is_in_line ? after + strlen(IN_LINE) : "", outcome,
					limit - count, json, &next, error))
		return FALSE;
	/* The rows ended where the page does: the line is another page. */
	if (next == NULL && count == limit && *outcome == '\0')
		next = g_strdup(IN_LINE);
	json_builder_end_array(json);
	ash_json_add_text(json, "next", next);
	return ash_route_reply(request, json);
}
