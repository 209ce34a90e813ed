/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-event.h"
#include "fleet/audit.h"
#include "fleet/change.h"
#include "lib/error.h"
#include "lib/json.h"

/* The audit log, as it is: texts that hold JSON stay texts, so that whoever reads it can compute the hashes. */

typedef struct {
	JsonBuilder *json;
	int64_t limit, count, last;
} Page;

static gboolean take_entry(const AshAudit *audit, gpointer data, GError **error)
{
	Page *page = data;

	if (++page->count > page->limit)
		return TRUE;
	json_builder_begin_object(page->json);
	ash_json_add_int(page->json, "seq", audit->seq);
	ash_json_add_int(page->json, "at", audit->at_s);
	ash_json_add_string(page->json, "actor", audit->actor);
	ash_json_add_string(page->json, "role", audit->role);
	ash_json_add_string(page->json, "address", audit->address);
	ash_json_add_string(page->json, "action", audit->action);
	ash_json_add_string(page->json, "object", audit->object);
	ash_json_add_string(page->json, "reason", audit->reason);
	ash_json_add_string(page->json, "before", audit->before);
	ash_json_add_string(page->json, "after", audit->after);
	ash_json_add_string(page->json, "hash", audit->hash);
	json_builder_end_object(page->json);
	page->last = audit->seq;
	return TRUE;
}

static gboolean take_row(const AshDbRow *row, gpointer data, GError **error)
{
	const AshAudit audit = {
			.seq = ash_db_row_int(row, 0),
			.at_s = ash_db_row_int(row, 1),
			.actor = ash_db_row_text(row, 2),
			.role = ash_db_row_text(row, 3),
			.address = ash_db_row_text(row, 4),
			.action = ash_db_row_text(row, 5),
			.object = ash_db_row_text(row, 6),
			.reason = ash_db_row_text(row, 7),
			.before = ash_db_row_text(row, 8),
			.after = ash_db_row_text(row, 9),
			.hash = ash_db_row_text(row, 10),
	};

	return take_entry(&audit, data, error);
}

static gboolean read_newest(AshDb *db, int64_t before, Page *page, GError **error)
{
	return ash_db_query(db,
			"SELECT seq, at, actor, role, address, action, object, reason, before, after, "
			"hash FROM audit WHERE seq < $1 ORDER BY seq DESC LIMIT $2",
			ASH_DB_VALUES(ASH_DB_I(before), ASH_DB_I(page->limit + 1)), take_row, page,
			error);
}

static gboolean list_audit(AshRequest *request, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	Page page = {.json = json, .limit = ash_route_limit(request)};
	const char *order = ash_http_argument(request->call, "order");
	bool is_new = g_strcmp0(order, "new") == 0;
	int64_t after = 0;

	if (order != NULL && !is_new && strcmp(order, "old") != 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'order' is old or new (the newest first)");
	if (!ash_change_parse(ash_route_after(request), is_new ? G_MAXINT64 : 0, &after, error))
		return FALSE;
	json_builder_begin_object(json);
	ash_json_begin_array(json, "items");
	gboolean ok = is_new ? read_newest(request->db, after, &page, error)
			     : ash_audit_read(request->db, after, (unsigned) page.limit + 1,
					       take_entry, &page, error);
	json_builder_end_array(json);
	if (page.count > page.limit) {
		g_autofree char *next = g_strdup_printf("%" G_GINT64_FORMAT, page.last);
		ash_json_add_text(json, "next", next);
	}
	return ok && ash_route_reply(request, json);
}

static gboolean verify_audit(AshRequest *request, GError **error)
{
	AshAuditVerdict verdict = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_audit_verify(request->db, &verdict, error))
		return FALSE;
	json_builder_begin_object(json);
	ash_json_add_bool(json, "ok", verdict.first_bad == 0);
	ash_json_add_int(json, "count", verdict.count);
	ash_json_add_int(json, "anchor", verdict.anchor);
	ash_json_add_text(json, "head", verdict.head);
	ash_json_add_int(json, "first_bad", verdict.first_bad);
	return ash_route_reply(request, json);
}

static const AshRouteMember arguments[] = {
		{"order", "string", false, "old (default), or new: the newest first"}, {0}};

const AshRoute ash_api_audit_routes[] = {
		{"GET", "/v1/audit", ASH_ROLE_ADMIN, "Who changed what, and why", list_audit,
				.arguments = arguments,
				.answer = "{\"items\":[{\"seq\":1,\"at\":1,\"actor\":\"ada\",\"role\":"
					  "\"admin\",\"address\":\"192.0.2.1\",\"action\":"
					  "\"operator.create\",\"object\":\"operator:bob\",\"reason\":"
					  "\"\",\"before\":\"\",\"after\":\"{}\",\"hash\":\"…\"}]}"},
		{"GET", "/v1/audit/verify", ASH_ROLE_ADMIN,
				"Computes each row's hash again from the one before", verify_audit,
				.answer = "{\"ok\":true,\"count\":1,\"anchor\":0,\"head\":\"…\",\"first_bad\":0}"},
		{0},
};
