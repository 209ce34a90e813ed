/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <json-glib/json-glib.h>

#include "fleet/route.h"
#include "fleet/store/db.h"

/* Lists of the API by pages, of a statement's rows: {"items":[…],"next":"…"}. The statement asks for one row more than a
 * page has, and goes on behind the key that "next" said.
 */

typedef struct {
	const char *sql; /* as ash_db_query takes it */
	const AshDbValue *values;
	/* Members of the object that is open. */
	void (*add)(JsonBuilder *json, const AshDbRow *row, gpointer data);
	char *(*key)(const AshDbRow *row); /* newly allocated; NULL: column 0 */
	/* What may not be seen is left out of its page, which is so much shorter. NULL: all may. */
	bool (*may_see)(const AshDbRow *row, gpointer data);
	gpointer data;
} AshPage;

/* How many rows the statement is to ask for. */
int64_t ash_page_rows(AshRequest *request);
/* 200 with the page. */
gboolean ash_page_reply(AshRequest *request, const AshPage *page, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Into the open array, at most @limit; *out_next NULL when these were the last. */
gboolean ash_page_query(AshDb *db, const AshPage *page, int64_t limit, JsonBuilder *json,
		char **out_next, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The statement's one row, into the open object. */
gboolean ash_page_find(AshDb *db, const AshPage *page, JsonBuilder *json, bool *out_found,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
