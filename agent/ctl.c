/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ctl.h"

#include <stdio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_ctl_error, ash_ctl_error)

enum {
	MAX_DEPTH = 16,
	COMMIT_DIGITS = 12,
	COLUMN_GAP = 2,
};

AshCtlError ash_ctl_error_for_word(const char *word)
{
	static const struct {
		const char *word;
		AshCtlError code;
	} rows[] = {
			{"offline", ASH_CTL_ERROR_UNREACHABLE},
			{"timeout", ASH_CTL_ERROR_UNREACHABLE},
			{"slow", ASH_CTL_ERROR_UNREACHABLE},
			{"http", ASH_CTL_ERROR_UNREACHABLE},
			{"gone", ASH_CTL_ERROR_UNREACHABLE},
			{"tls", ASH_CTL_ERROR_UNTRUSTED},
			{"too-big", ASH_CTL_ERROR_UNTRUSTED},
			{"mismatch", ASH_CTL_ERROR_UNTRUSTED},
			{"untrusted", ASH_CTL_ERROR_UNTRUSTED},
			{"corrupt", ASH_CTL_ERROR_UNTRUSTED},
			/* of lib/tuf.h and of the verify job */
			{"signature", ASH_CTL_ERROR_UNTRUSTED},
			{"version", ASH_CTL_ERROR_UNTRUSTED},
			{"rollback", ASH_CTL_ERROR_UNTRUSTED},
			{"expired", ASH_CTL_ERROR_UNTRUSTED},
			{"hash", ASH_CTL_ERROR_UNTRUSTED},
			{"document", ASH_CTL_ERROR_UNTRUSTED},
			{"syntax", ASH_CTL_ERROR_UNTRUSTED},
			{"no-root", ASH_CTL_ERROR_UNTRUSTED},
			{"wrong-variant", ASH_CTL_ERROR_UNTRUSTED},
			{"wrong-arch", ASH_CTL_ERROR_UNTRUSTED},
			{"space", ASH_CTL_ERROR_ENVIRONMENT},
			{"esp", ASH_CTL_ERROR_ENVIRONMENT},
			{"bad", ASH_CTL_ERROR_NEGATIVE},
			{"kernel", ASH_CTL_ERROR_NEGATIVE},
			{"held", ASH_CTL_ERROR_NEGATIVE},
			{"lower", ASH_CTL_ERROR_NEGATIVE},
			{"recalled", ASH_CTL_ERROR_NEGATIVE},
			{"replaces-min", ASH_CTL_ERROR_NEGATIVE},
			{"same", ASH_CTL_ERROR_NEGATIVE},
	};

	for (size_t i = 0; word != NULL && i < G_N_ELEMENTS(rows); i++)
		if (strcmp(rows[i].word, word) == 0)
			return rows[i].code;
	return ASH_CTL_ERROR_FAILED;
}

/* ---- asking ---- */

gboolean ash_ctl_call(
		AshBus *bus, const char *method, const char *text, char **out_json, GError **error)
{
	g_autoptr(GError) local = NULL;
	const char *argument = text != NULL ? text : "";

	if (!ash_bus_argument_check(method, argument, strlen(argument), error))
		return FALSE;
	if (ash_bus_call(bus, method, text, out_json, &local))
		return TRUE;
	if (g_error_matches(local, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_RUNNING))
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_RUNNING,
				"ashlard is not running (see 'systemctl status ashlard'): %s",
				local->message);
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

gboolean ash_ctl_parse(const char *json, JsonNode **out_root, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new(json, strlen(json));
	g_autoptr(JsonNode) root = NULL;

	ASH_PREFIX("ashlard's answer");
	if (!ash_json_parse(bytes, ASH_BUS_MAX_ANSWER_BYTES, MAX_DEPTH, &root, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(root))
		return ash_throw(error, ASH_CTL_ERROR, ASH_CTL_ERROR_FAILED, "not an object");
	*out_root = g_steal_pointer(&root);
	return TRUE;
}

gboolean ash_ctl_report(const AshCliContext *context, const char *method, const char *text,
		JsonNode **out_root, GError **error)
{
	g_autoptr(AshBus) bus = NULL;
	g_autofree char *json = NULL;

	if (!ash_bus_new(&bus, error) || !ash_ctl_call(bus, method, text, &json, error))
		return FALSE;
	if (context->json) {
		puts(g_strchomp(json));
		*out_root = NULL;
		return TRUE;
	}
	return ash_ctl_parse(json, out_root, error);
}

/* ---- members ---- */

GPtrArray *ash_ctl_list(JsonObject *object, const char *key)
{
	GPtrArray *list = g_ptr_array_new();
	JsonNode *node = object != NULL ? json_object_get_member(object, key) : NULL;

	if (node == NULL || !JSON_NODE_HOLDS_ARRAY(node))
		return list;
	JsonArray *array = json_node_get_array(node);
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *item = json_array_get_element(array, i);
		if (JSON_NODE_HOLDS_OBJECT(item))
			g_ptr_array_add(list, json_node_get_object(item));
	}
	return list;
}

/* ---- for people ---- */

char *ash_ctl_clean(const char *text)
{
	return ash_bus_printable(text != NULL ? text : "", ASH_BUS_MAX_TEXT_BYTES);
}

static char *relative(int64_t distance_s)
{
	static const struct {
		int64_t seconds;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	int64_t size_s = ABS(distance_s);

	for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
		/* "90 min", not "1 h". */
		if (size_s < 2 * units[i].seconds)
			continue;
		int64_t count = size_s / units[i].seconds;
		return g_strdup_printf(distance_s < 0 ? "%" G_GINT64_FORMAT " %s ago"
						      : "in %" G_GINT64_FORMAT " %s",
				count, units[i].unit);
	}
	return g_strdup("now");
}

char *ash_ctl_time(const char *rfc3339)
{
	g_autoptr(GDateTime) utc =
			rfc3339 != NULL ? g_date_time_new_from_iso8601(rfc3339, NULL) : NULL;
	g_autoptr(GDateTime) local = utc != NULL ? g_date_time_to_local(utc) : NULL;
	g_autoptr(GDateTime) now = g_date_time_new_now_local();

	if (local == NULL)
		return g_strdup("");
	bool is_today = g_date_time_get_year(local) == g_date_time_get_year(now) &&
			g_date_time_get_day_of_year(local) == g_date_time_get_day_of_year(now);
	g_autofree char *absolute =
			g_date_time_format(local, is_today ? "%H:%M" : "%Y-%m-%d %H:%M");
	g_autofree char *distance = relative(g_date_time_to_unix(local) - g_date_time_to_unix(now));
	return g_strdup_printf("%s (%s)", distance, absolute);
}

char *ash_ctl_commit(JsonObject *object)
{
	const char *commit = ash_json_find_text(object, "commit");

	return g_strndup(commit != NULL ? commit : "", COMMIT_DIGITS);
}

GPtrArray *ash_ctl_table_new(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify) g_strfreev);
}

void ash_ctl_table_add(GPtrArray *table, ...)
{
	g_autoptr(GStrvBuilder) row = g_strv_builder_new();
	va_list cells;

	va_start(cells, table);
	for (const char *cell = va_arg(cells, const char *); cell != NULL;
			cell = va_arg(cells, const char *)) {
		g_autofree char *clean = ash_ctl_clean(cell);
		g_strv_builder_add(row, clean);
	}
	va_end(cells);
	g_ptr_array_add(table, g_strv_builder_end(row));
}

void ash_ctl_table_print(const GPtrArray *table)
{
	if (table->len == 0)
		return;
	guint columns = g_strv_length(table->pdata[0]);
	g_autofree glong *widths = g_new0(glong, columns);
	for (guint i = 0; i < table->len; i++)
		for (guint c = 0; c < columns; c++)
			widths[c] = MAX(widths[c],
					g_utf8_strlen(((char **) table->pdata[i])[c], -1));
	for (guint i = 0; i < table->len; i++) {
		char **row = table->pdata[i];
		g_autoptr(GString) line = g_string_new(NULL);
		for (guint c = 0; c < columns; c++)
			g_string_append_printf(line, "%s%*s", row[c],
					(int) (widths[c] - g_utf8_strlen(row[c], -1) + COLUMN_GAP),
					"");
		puts(g_strchomp(line->str));
	}
}
