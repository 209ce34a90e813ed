/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fleet/cli-client.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/text.h"

enum {
	PAGE = 1000,
	SHORT_DIGITS = 12,
	GAP = 2,
	MAX_COLUMNS = 16,
	MAX_PASSWORD = 1024,
};

char *ash_cli_reason;
const GOptionEntry ash_cli_reason_options[] = {ASH_CLI_REASON, {0}};

/* ---- values for people ---- */

char *ash_cli_plain(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	g_autoptr(GString) plain = g_string_new(NULL);

	/* C1 controls too: some terminals obey them. */
	for (char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
		gunichar c = g_utf8_get_char(at);
		g_string_append_unichar(plain, g_unichar_iscntrl(c) ? ' ' : c);
	}
	return g_string_free(g_steal_pointer(&plain), FALSE);
}

static JsonNode *find_member(JsonObject *object, const char *member)
{
	g_auto(GStrv) words = g_strsplit(member, "|", 2);
	g_auto(GStrv) parts = g_strsplit(member, ".", 2);

	if (object == NULL)
		return NULL;
	if (words[1] != NULL) {
		JsonNode *first = find_member(object, words[0]);
		return first != NULL ? first : find_member(object, words[1]);
	}
	if (parts[1] == NULL || json_object_has_member(object, member))
		return json_object_get_member(object, member);
	return find_member(ash_json_find_object(object, parts[0]), parts[1]);
}

static char *time_text(int64_t at_s)
{
	g_autoptr(GDateTime) at = g_date_time_new_from_unix_local(at_s);

	return at != NULL ? g_date_time_format(at, "%Y-%m-%d %H:%M:%S") : g_strdup("-");
}

static char *ago_text(int64_t at_s)
{
	int64_t distance = g_get_real_time() / G_USEC_PER_SEC - at_s;
	int64_t size = ABS(distance);
	static const struct {
		int64_t below, unit;
		const char *word;
	} rows[] = {{120, 1, "s"}, {7200, 60, "min"}, {172800, 3600, "h"},
			{INT64_MAX, 86400, "days"}};

	for (unsigned i = 0;; i++)
		if (size < rows[i].below)
			return g_strdup_printf(distance < 0 ? "in %" G_GINT64_FORMAT " %s"
							    : "%" G_GINT64_FORMAT " %s ago",
					size / rows[i].unit, rows[i].word);
}

static char *value_text(JsonNode *node)
{
	if (node == NULL || json_node_is_null(node))
		return g_strdup("");
	if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING)
		return ash_cli_plain(json_node_get_string(node));
	g_autofree char *text = json_to_string(node, FALSE);
	return ash_cli_plain(text);
}

static char *list_text(JsonNode *node)
{
	g_autoptr(GString) text = g_string_new(NULL);

	if (JSON_NODE_HOLDS_ARRAY(node)) {
		JsonArray *array = json_node_get_array(node);
		for (guint i = 0; i < json_array_get_length(array); i++) {
			g_autofree char *one = value_text(json_array_get_element(array, i));
			g_string_append_printf(text, "%s%s", i > 0 ? ", " : "", one);
		}
	} else if (JSON_NODE_HOLDS_OBJECT(node)) {
		JsonObject *object = json_node_get_object(node);
		g_autoptr(GList) members = json_object_get_members(object);
		for (GList *at = members; at != NULL; at = at->next) {
			g_autofree char *key = ash_cli_plain(at->data);
			g_autofree char *one = value_text(json_object_get_member(object, at->data));
			g_string_append_printf(text, "%s%s=%s", text->len > 0 ? " " : "", key, one);
		}
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
}

char *ash_cli_cell(JsonObject *object, const char *member, AshCliCell cell)
{
	JsonNode *node = find_member(object, member);
	g_autofree char *text = NULL;
	bool is_number = node != NULL && JSON_NODE_HOLDS_VALUE(node) &&
			 json_node_get_value_type(node) == G_TYPE_INT64;

	if (node == NULL)
		return g_strdup("-");
	switch (cell) {
	case ASH_CLI_TIME:
	case ASH_CLI_AGO:
		if (!is_number || json_node_get_int(node) == 0)
			return g_strdup("-");
		return cell == ASH_CLI_AGO ? ago_text(json_node_get_int(node))
					   : time_text(json_node_get_int(node));
	case ASH_CLI_BOOL:
		text = value_text(node);
		return g_strdup(strcmp(text, "true") == 0 || strcmp(text, "1") == 0 ? "yes" : "-");
	case ASH_CLI_LIST:
	case ASH_CLI_MAP:
		text = list_text(node);
		break;
	case ASH_CLI_SHORT:
		text = value_text(node);
		if (strlen(text) > SHORT_DIGITS && g_utf8_strlen(text, -1) > SHORT_DIGITS)
			*g_utf8_offset_to_pointer(text, SHORT_DIGITS) = '\0';
		break;
	case ASH_CLI_TEXT:
	case ASH_CLI_NUMBER:
		text = value_text(node);
		break;
	}
	return text != NULL && *text != '\0' ? g_steal_pointer(&text) : g_strdup("-");
}

/* ---- tables and pages ---- */

static void print_cell(const char *text, size_t width, bool is_right, bool is_last)
{
	size_t length = (size_t) g_utf8_strlen(text, -1);
	int pad = (int) (width > length ? width - length : 0);

	if (is_right)
		printf("%*s", pad, "");
	fputs(text, stdout);
	if (!is_last)
		printf("%*s", (is_right ? 0 : pad) + GAP, "");
}

void ash_cli_print_table(JsonArray *items, const AshCliColumn *columns)
{
	g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
	size_t widths[MAX_COLUMNS] = {0};
	guint count = 0;

	for (; columns[count].title != NULL; count++) {
		g_assert(count < MAX_COLUMNS);
		g_ptr_array_add(cells, g_strdup(columns[count].title));
	}
	for (guint i = 0; i < json_array_get_length(items); i++) {
		JsonNode *node = json_array_get_element(items, i);
		JsonObject *object =
				JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
		for (guint j = 0; j < count; j++)
			g_ptr_array_add(cells,
					ash_cli_cell(object, columns[j].member, columns[j].cell));
	}
	for (guint i = 0; i < cells->len; i++)
		widths[i % count] =
				MAX(widths[i % count], (size_t) g_utf8_strlen(cells->pdata[i], -1));
	for (guint i = 0; i < cells->len; i++) {
		guint column = i % count;
		bool is_last = column + 1 == count;
		print_cell(cells->pdata[i], widths[column], columns[column].cell == ASH_CLI_NUMBER,
				is_last);
		if (is_last)
			putchar('\n');
	}
}

void ash_cli_print_page(JsonObject *object, const AshCliColumn *columns)
{
	size_t width = 0;

	for (const AshCliColumn *column = columns; column->title != NULL; column++)
		width = MAX(width, strlen(column->title));
	for (const AshCliColumn *column = columns; column->title != NULL; column++) {
		g_autofree char *text = ash_cli_cell(object, column->member, column->cell);
		g_autofree char *title = g_ascii_strdown(column->title, -1);
		if (strcmp(text, "-") != 0)
			printf("%-*s  %s\n", (int) width, title, text);
	}
}

void ash_cli_print_list(JsonObject *object, const char *member, const AshCliColumn *columns)
{
	JsonArray *list = ash_json_find_objects(object, member);

	if (list == NULL || json_array_get_length(list) == 0)
		return;
	putchar('\n');
	ash_cli_print_table(list, columns);
}

void ash_cli_print_json(JsonNode *node)
{
	g_autofree char *text = json_to_string(node, FALSE);

	puts(text);
}

/* ---- calls ---- */

char *ash_cli_path(const char *start, const char *id, const char *rest)
{
	g_autofree char *escaped = ash_cli_escape(id);

	return g_strconcat(start, escaped, rest, NULL);
}

char *ash_cli_argument(char *take_path, const char *key, const char *value)
{
	g_autofree char *path = take_path;

	if (value == NULL || *value == '\0')
		return g_steal_pointer(&path);
	g_autofree char *escaped = ash_cli_escape(value);
	return g_strconcat(path, strchr(path, '?') != NULL ? "&" : "?", key, "=", escaped, NULL);
}

static gboolean not_promised(const char *path, GError **error)
{
	return ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_ANSWER,
			"the answer to '%s' is not what the API promises", path);
}

/* Adds a page to @items; @out_next: "" at the end. */
static gboolean get_page(AshCliClient *client, const char *path, JsonArray *items, char **out_next,
		GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_client_call(client, "GET", path, NULL, &node, error))
		return FALSE;
	JsonNode *list = node != NULL && JSON_NODE_HOLDS_OBJECT(node)
					 ? json_object_get_member(
							   json_node_get_object(node), "items")
					 : NULL;
	if (list == NULL || !JSON_NODE_HOLDS_ARRAY(list))
		return not_promised(path, error);
	JsonArray *page = json_node_get_array(list);
	for (guint i = 0; i < json_array_get_length(page); i++)
		json_array_add_element(items, json_node_copy(json_array_get_element(page, i)));
	JsonNode *next = json_object_get_member(json_node_get_object(node), "next");
	*out_next = json_array_get_length(page) > 0 ? value_text(next) : g_strdup("");
	return TRUE;
}

static gboolean get_all(AshCliClient *client, const char *path, unsigned max, JsonArray *items,
		GError **error)
{
	g_autofree char *next = g_strdup("");

	do {
		guint have = json_array_get_length(items);
		g_autofree char *limit =
				g_strdup_printf("%u", max == 0 ? PAGE : MIN(PAGE, max - have));
		g_autofree char *page = ash_cli_argument(
				ash_cli_argument(g_strdup(path), "limit", limit), "after", next);
		g_clear_pointer(&next, g_free);
		if (!get_page(client, page, items, &next, error))
			return FALSE;
	} while (next != NULL && *next != '\0' && (max == 0 || json_array_get_length(items) < max));
	return TRUE;
}

static void print_list(AshCliContext *context, JsonArray *items, const AshCliColumn *columns,
		const char *nothing)
{
	if (context->json) {
		g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
		json_node_take_object(node, json_object_new());
		json_object_set_array_member(
				json_node_get_object(node), "items", json_array_ref(items));
		ash_cli_print_json(node);
	} else if (json_array_get_length(items) == 0) {
		ash_progress_note(context->progress, "%s", nothing);
	} else {
		ash_cli_print_table(items, columns);
	}
}

gboolean ash_cli_list(AshCliContext *context, const char *path, unsigned max,
		const AshCliColumn *columns, const char *nothing, GError **error)
{
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonArray) items = json_array_new();

	if (!ash_cli_client_new(&client, error) || !get_all(client, path, max, items, error))
		return FALSE;
	print_list(context, items, columns, nothing);
	return TRUE;
}

gboolean ash_cli_list_newest(AshCliContext *context, const char *path, unsigned max,
		const AshCliColumn *columns, const char *nothing, GError **error)
{
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonArray) items = json_array_new(), sorted = json_array_new();
	g_autofree char *newest = ash_cli_argument(g_strdup(path), "order", "new");

	if (!ash_cli_client_new(&client, error) || !get_all(client, newest, max, items, error))
		return FALSE;
	for (guint i = json_array_get_length(items); i > 0; i--)
		json_array_add_element(
				sorted, json_node_copy(json_array_get_element(items, i - 1)));
	print_list(context, sorted, columns, nothing);
	return TRUE;
}

gboolean ash_cli_get(AshCliContext *context, const char *path, JsonNode **out_node, GError **error)
{
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_client_new(&client, error) ||
			!ash_cli_client_call(client, "GET", path, NULL, &node, error))
		return FALSE;
	if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node))
		return not_promised(path, error);
	if (context->json)
		ash_cli_print_json(node);
	*out_node = g_steal_pointer(&node);
	return TRUE;
}

gboolean ash_cli_show(AshCliContext *context, const char *path, const AshCliColumn *columns,
		GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	if (!context->json)
		ash_cli_print_page(json_node_get_object(node), columns);
	return TRUE;
}

void ash_cli_print_secret(AshCliContext *context, JsonNode *node)
{
	const char *secret = ash_json_find_text(json_node_get_object(node), "secret");

	if (context->json)
		ash_cli_print_json(node);
	else if (secret != NULL)
		puts(secret);
	ash_progress_note(context->progress, "it is not shown again");
}

JsonBuilder *ash_cli_body(void)
{
	JsonBuilder *builder = json_builder_new();

	json_builder_begin_object(builder);
	return builder;
}

gboolean ash_cli_change(AshCliContext *context, const char *method, const char *path,
		JsonBuilder *take_body, const char *done, JsonNode **out_node, GError **error)
{
	g_autoptr(JsonBuilder) builder = take_body;
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonNode) node = NULL;
	g_autofree char *body = NULL;

	if (builder == NULL && ash_cli_reason != NULL)
		builder = ash_cli_body();
	if (builder != NULL) {
		ash_json_add_text(builder, "reason", ash_cli_reason);
		json_builder_end_object(builder);
		body = ash_json_format(builder, false);
	}
	if (!ash_cli_client_new(&client, error) ||
			!ash_cli_client_call(client, method, path, body, &node, error))
		return FALSE;
	if (out_node != NULL) {
		if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node))
			return not_promised(path, error);
		*out_node = g_steal_pointer(&node);
	} else if (context->json && node != NULL) {
		ash_cli_print_json(node);
	} else if (done != NULL) {
		ash_progress_note(context->progress, "%s", done);
	}
	return TRUE;
}

/* ---- what people type ---- */

gboolean ash_cli_count_hosts(const char *selector, guint64 *out_count, GError **error)
{
	g_autofree char *path = ash_cli_argument(g_strdup("/v1/hosts/count"), "selector", selector);
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonNode) counted = NULL;

	if (!ash_cli_client_new(&client, error) ||
			!ash_cli_client_call(client, "GET", path, NULL, &counted, error))
		return FALSE;
	*out_count = counted != NULL && JSON_NODE_HOLDS_OBJECT(counted)
				     ? ash_json_find_uint(json_node_get_object(counted), "count")
				     : 0;
	return TRUE;
}

gboolean ash_cli_confirm(bool is_sure, guint64 count, const char *what, GError **error)
{
	char line[64] = "";
	guint64 typed = 0;

	if (is_sure)
		return TRUE;
	if (!isatty(STDIN_FILENO))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"%s: nobody is there to ask; say --yes", what);
	fprintf(stderr, "%s. Type the number of hosts (%" G_GUINT64_FORMAT ") to go on: ", what,
			count);
	if (fgets(line, sizeof line, stdin) == NULL ||
			!g_ascii_string_to_unsigned(
					g_strstrip(line), 10, 0, G_MAXUINT64, &typed, NULL) ||
			typed != count)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE, "nothing was done");
	return TRUE;
}

gboolean ash_cli_password(const char *what, char **out_password, GError **error)
{
	char line[MAX_PASSWORD + 2] = "";

	if (isatty(STDIN_FILENO)) {
		g_autofree char *prompt = g_strconcat(what, ": ", NULL);
		char *typed = getpass(prompt);
		g_strlcpy(line, typed != NULL ? typed : "", sizeof line);
	} else if (fgets(line, sizeof line, stdin) == NULL) {
		line[0] = '\0';
	}
	line[strcspn(line, "\r\n")] = '\0';
	if (line[0] == '\0' || strlen(line) > MAX_PASSWORD)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				line[0] == '\0' ? "no password came" : "the password is too long");
	*out_password = g_strdup(line);
	return TRUE;
}

gboolean ash_cli_count(const char *option, int value, int min, int max, GError **error)
{
	return value == ASH_CLI_NOT_GIVEN || (value >= min && value <= max) ||
	       ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
			       "--%s is a number from %d to %d, not %d", option, min, max, value);
}

gboolean ash_cli_seconds(const char *option, const char *text, int64_t *out_seconds, GError **error)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	size_t size = strlen(text);
	int64_t factor = 1;
	guint64 number = 0;

	for (unsigned i = 0; size > 1 && i < G_N_ELEMENTS(units); i++)
		if (text[size - 1] == units[i].unit) {
			factor = units[i].seconds;
			size--;
			break;
		}
	g_autofree char *digits = g_strndup(text, size);
	if (!g_ascii_string_to_unsigned(digits, 10, 0, 1000000000, &number, NULL))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--%s takes a time like 90s, 15m, 2h or 30d, not '%s'", option,
				text);
	*out_seconds = (int64_t) number * factor;
	return TRUE;
}

gboolean ash_cli_add_labels(JsonBuilder *builder, char **words, GError **error)
{
	for (char **word = words; *word != NULL; word++)
		if (strchr(*word, '=') == NULL && !g_str_has_suffix(*word, "-"))
			return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
					"a label is set by KEY=VALUE and removed by KEY-, not by '%s'",
					*word);
	ash_json_begin_object(builder, "set");
	for (char **word = words; *word != NULL; word++) {
		const char *equals = strchr(*word, '=');
		if (equals == NULL)
			continue;
		g_autofree char *key = g_strndup(*word, (size_t) (equals - *word));
		ash_json_add_string(builder, key, equals + 1);
	}
	json_builder_end_object(builder);
	ash_json_begin_array(builder, "remove");
	for (char **word = words; *word != NULL; word++) {
		if (strchr(*word, '=') != NULL)
			continue;
		g_autofree char *key = g_strndup(*word, strlen(*word) - 1);
		json_builder_add_string_value(builder, key);
	}
	json_builder_end_array(builder);
	return TRUE;
}

gboolean ash_cli_need(const char *option, const char *value, GError **error)
{
	if (value != NULL && *value != '\0')
		return TRUE;
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE, "--%s is needed", option);
}
