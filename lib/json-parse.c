/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json.h"

#include <string.h>

#include "lib/error.h"

/* A parser of our own that builds JsonNode: json-glib's recurses without a limit, takes the last of
 * two members of one name, reads comments and numbers that wrap around, all of which are ways to make
 * two readers of one signed document see two things. Grammar: RFC 8259.
 */

typedef struct {
	const char *at;
	const char *start, *end;
	unsigned depth_left;
	size_t values_left;
} Reader;

static gboolean parse_value(Reader *reader, JsonNode **out_node, GError **error);

static gboolean fail(const Reader *reader, AshJsonError code, const char *what, GError **error)
{
	unsigned line = 1;

	for (const char *c = reader->start; c < reader->at && c < reader->end; c++)
		line += *c == '\n';
	return ash_throw(error, ASH_JSON_ERROR, (int) code, "line %u: %s", line, what);
}

static gboolean fail_syntax(const Reader *reader, const char *what, GError **error)
{
	return fail(reader, ASH_JSON_ERROR_SYNTAX, what, error);
}

/* NUL at the end: it is part of no token. */
static char peek(const Reader *reader)
{
	return reader->at < reader->end ? *reader->at : '\0';
}

static bool take(Reader *reader, char c)
{
	if (peek(reader) != c)
		return false;
	reader->at++;
	return true;
}

static void skip_blanks(Reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL)
		reader->at++;
}

static gboolean parse_hex4(Reader *reader, gunichar *out_unit, GError **error)
{
	gunichar unit = 0;

	for (unsigned i = 0; i < 4; i++) {
		int digit = g_ascii_xdigit_value(peek(reader));
		if (digit < 0)
			return fail_syntax(reader, "\\u needs four hexadecimal digits", error);
		unit = unit << 4 | (gunichar) digit;
		reader->at++;
	}
	*out_unit = unit;
	return TRUE;
}

static gboolean parse_unicode_escape(Reader *reader, GString *text, GError **error)
{
	gunichar high = 0;
	gunichar low = 0;

	if (!parse_hex4(reader, &high, error))
		return FALSE;
	if (high == 0)
		return fail_syntax(reader, "\\u0000 in a string", error);
	if (high >= 0xd800 && high <= 0xdbff) {
		if (!take(reader, '\\') || !take(reader, 'u'))
			return fail_syntax(reader, "half of a surrogate pair", error);
		if (!parse_hex4(reader, &low, error))
			return FALSE;
		if (low < 0xdc00 || low > 0xdfff)
			return fail_syntax(reader, "half of a surrogate pair", error);
		high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	} else if (high >= 0xdc00 && high <= 0xdfff) {
		return fail_syntax(reader, "half of a surrogate pair", error);
	}
	g_string_append_unichar(text, high);
	return TRUE;
}

static gboolean parse_escape(Reader *reader, GString *text, GError **error)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	char c = peek(reader);

	if (take(reader, 'u'))
		return parse_unicode_escape(reader, text, error);
	const char *found = c != '\0' ? strchr(from, c) : NULL;
	if (found == NULL)
		return fail_syntax(reader, "unknown escape in a string", error);
	reader->at++;
	g_string_append_c(text, to[found - from]);
	return TRUE;
}

static gboolean parse_string(Reader *reader, char **out_text, GError **error)
{
	if (!take(reader, '"'))
		return fail_syntax(reader, "a string is missing", error);
	g_autoptr(GString) text = g_string_new(NULL);
	for (;;) {
		const char *run = reader->at;
		while (reader->at < reader->end && (unsigned char) *reader->at >= ' ' &&
				*reader->at != '"' && *reader->at != '\\')
			reader->at++;
		g_string_append_len(text, run, reader->at - run);
		if (take(reader, '"'))
			break;
		if (!take(reader, '\\'))
			return fail_syntax(reader, "a string that does not end on its line", error);
		if (!parse_escape(reader, text, error))
			return FALSE;
	}
	*out_text = g_string_free(g_steal_pointer(&text), FALSE);
	return TRUE;
}

static bool take_digits(Reader *reader)
{
	const char *run = reader->at;

	while (g_ascii_isdigit(peek(reader)))
		reader->at++;
	return reader->at > run;
}

static gboolean parse_number(Reader *reader, JsonNode **out_node, GError **error)
{
	const char *run = reader->at;
	bool is_integer = true;

	(void) take(reader, '-');
	if (!take(reader, '0') && !take_digits(reader))
		return fail_syntax(reader, "no value", error);
	if (take(reader, '.')) {
		is_integer = false;
		if (!take_digits(reader))
			return fail_syntax(
					reader, "a number without digits after its point", error);
	}
	if (take(reader, 'e') || take(reader, 'E')) {
		is_integer = false;
		if (!take(reader, '+'))
			(void) take(reader, '-');
		if (!take_digits(reader))
			return fail_syntax(
					reader, "a number without digits in its exponent", error);
	}
	g_autofree char *text = g_strndup(run, (gsize) (reader->at - run));
	gint64 value = 0;
	if (!is_integer) {
		*out_node = json_node_init_double(json_node_alloc(), g_ascii_strtod(text, NULL));
		return TRUE;
	}
	if (!g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &value, NULL))
		return fail(reader, ASH_JSON_ERROR_TYPE, "a number out of range", error);
	*out_node = json_node_init_int(json_node_alloc(), value);
	return TRUE;
}

static gboolean parse_array(Reader *reader, JsonNode **out_node, GError **error)
{
	g_autoptr(JsonArray) array = json_array_new();

	skip_blanks(reader);
	for (bool is_first = true; !take(reader, ']'); is_first = false) {
		JsonNode *value = NULL;

		if (!is_first && !take(reader, ','))
			return fail_syntax(reader, "',' or ']' is missing", error);
		if (!parse_value(reader, &value, error))
			return FALSE;
		json_array_add_element(array, value);
		skip_blanks(reader);
	}
	*out_node = json_node_init_array(json_node_alloc(), array);
	return TRUE;
}

static gboolean parse_member(Reader *reader, JsonObject *object, GError **error)
{
	g_autofree char *name = NULL;
	JsonNode *value = NULL;

	skip_blanks(reader);
	if (!parse_string(reader, &name, error))
		return FALSE;
	if (json_object_has_member(object, name))
		return fail_syntax(reader, "an object names a member twice", error);
	skip_blanks(reader);
	if (!take(reader, ':'))
		return fail_syntax(reader, "':' is missing", error);
	if (!parse_value(reader, &value, error))
		return FALSE;
	json_object_set_member(object, name, value);
	skip_blanks(reader);
	return TRUE;
}

static gboolean parse_object(Reader *reader, JsonNode **out_node, GError **error)
{
	g_autoptr(JsonObject) object = json_object_new();

	skip_blanks(reader);
	for (bool is_first = true; !take(reader, '}'); is_first = false) {
		if (!is_first && !take(reader, ','))
			return fail_syntax(reader, "',' or '}' is missing", error);
		if (!parse_member(reader, object, error))
			return FALSE;
	}
	*out_node = json_node_init_object(json_node_alloc(), object);
	return TRUE;
}

static gboolean parse_nested(Reader *reader, JsonNode **out_node, GError **error)
{
	bool is_array = *reader->at == '[';

	if (reader->depth_left == 0)
		return fail(reader, ASH_JSON_ERROR_LIMIT, "nested too deep", error);
	reader->at++;
	reader->depth_left--;
	if (is_array ? !parse_array(reader, out_node, error)
		     : !parse_object(reader, out_node, error))
		return FALSE;
	reader->depth_left++;
	return TRUE;
}

static gboolean parse_word(Reader *reader, JsonNode **out_node, GError **error)
{
	static const char *const words[] = {"null", "true", "false"};

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		size_t size = strlen(words[i]);
		if ((size_t) (reader->end - reader->at) < size ||
				memcmp(reader->at, words[i], size) != 0)
			continue;
		reader->at += size;
		*out_node = i == 0 ? json_node_init_null(json_node_alloc())
				   : json_node_init_boolean(json_node_alloc(), i == 1);
		return TRUE;
	}
	return parse_number(reader, out_node, error);
}

static gboolean parse_value(Reader *reader, JsonNode **out_node, GError **error)
{
	skip_blanks(reader);
	if (reader->values_left == 0)
		return fail(reader, ASH_JSON_ERROR_LIMIT, "too many values", error);
	reader->values_left--;
	char c = peek(reader);
	if (c == '{' || c == '[')
		return parse_nested(reader, out_node, error);
	if (c != '"')
		return parse_word(reader, out_node, error);
	g_autofree char *text = NULL;
	if (!parse_string(reader, &text, error))
		return FALSE;
	*out_node = json_node_init_string(json_node_alloc(), text);
	return TRUE;
}

gboolean ash_json_parse(GBytes *text, size_t max_bytes, unsigned max_depth, JsonNode **out_node,
		GError **error)
{
	gsize size = 0;
	const char *data = g_bytes_get_data(text, &size);
	g_autoptr(JsonNode) node = NULL;
	Reader reader = {
			.at = data,
			.start = data,
			.end = size > 0 ? data + size : data,
			.depth_left = max_depth,
			.values_left = ASH_JSON_MAX_VALUES,
	};

	if (size > max_bytes)
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_LIMIT,
				"larger than %zu bytes", max_bytes);
	if (size > 0 && !g_utf8_validate_len(data, size, &reader.at))
		return fail_syntax(&reader, "not UTF-8 text", error);
	reader.at = reader.start;
	if (!parse_value(&reader, &node, error))
		return FALSE;
	skip_blanks(&reader);
	if (reader.at != reader.end)
		return fail_syntax(&reader, "something follows the value", error);
	*out_node = g_steal_pointer(&node);
	return TRUE;
}

gboolean ash_json_text_list(JsonObject *object, const char *key, char ***out_values, GError **error)
{
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	JsonArray *array;

	if (!ash_json_array(object, key, &array, error))
		return FALSE;
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		if (json_node_get_value_type(node) != G_TYPE_STRING)
			return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE,
					"'%s' holds something that is no text", key);
		g_ptr_array_add(texts, g_strdup(json_node_get_string(node)));
	}
	g_ptr_array_add(texts, NULL);
	*out_values = (char **) g_ptr_array_free(g_steal_pointer(&texts), FALSE);
	return TRUE;
}

gboolean ash_json_text_list_opt(
		JsonObject *object, const char *key, char ***out_values, GError **error)
{
	if (json_object_has_member(object, key))
		return ash_json_text_list(object, key, out_values, error);
	*out_values = g_new0(char *, 1);
	return TRUE;
}
