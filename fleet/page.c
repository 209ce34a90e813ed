/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/page.h"

#include "lib/json.h"

typedef struct {
	const AshPage *page;
	JsonBuilder *json;
	int64_t limit, count;
	char *last;
} Fill;

static gboolean take_item(const AshDbRow *row, gpointer data, GError **error)
{
	Fill *fill = data;
	const AshPage *page = fill->page;

	if (++fill->count > fill->limit)
		return TRUE;
	g_free(fill->last);
	fill->last = page->key != NULL ? page->key(row) : g_strdup(ash_db_row_text(row, 0));
	if (page->may_see != NULL && !page->may_see(row, page->data))
		return TRUE;
	json_builder_begin_object(fill->json);
	page->add(fill->json, row, page->data);
	json_builder_end_object(fill->json);
	return TRUE;
}

gboolean ash_page_query(AshDb *db, const AshPage *page, int64_t limit, JsonBuilder *json,
		char **out_next, GError **error)
{
	Fill fill = {.page = page, .json = json, .limit = limit};
	gboolean ok = ash_db_query(db, page->sql, page->values, take_item, &fill, error);
	g_autofree char *last = fill.last;

	if (ok)
		*out_next = fill.count > limit ? g_steal_pointer(&last) : NULL;
	return ok;
}

int64_t ash_page_rows(AshRequest *request)
{
	return ash_route_limit(request) + 1;
}

gboolean ash_page_reply(AshRequest *request, const AshPage *page, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *next = NULL;

	json_builder_begin_object(json);
	ash_json_begin_array(json, "items");
	if (!ash_page_query(request->db, page, ash_route_limit(request), json, &next, error))
		return FALSE;
	json_builder_end_array(json);
	ash_json_add_text(json, "next", next);
	return ash_route_reply(request, json);
}

static gboolean take_members(const AshDbRow *row, gpointer data, GError **error)
{
	Fill *fill = data;

	if (fill->count++ == 0)
		fill->page->add(fill->json, row, fill->page->data);
	return TRUE;
}

gboolean ash_page_find(
		AshDb *db, const AshPage *page, JsonBuilder *json, bool *out_found, GError **error)
{
	Fill fill = {.page = page, .json = json};

	if (!ash_db_query(db, page->sql, page->values, take_members, &fill, error))
		return FALSE;
	*out_found = fill.count > 0;
	return TRUE;
}
