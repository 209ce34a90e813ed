/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/yaml.h"

#include <inttypes.h>
#include <string.h>
#include <yaml.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_yaml_error, ash_yaml_error)

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(yaml_parser_t, yaml_parser_delete)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(yaml_event_t, yaml_event_delete)

enum {
	/* Maps up to this size look for duplicate keys one by one, larger ones in a hash table, or a
	 * hostile map of a million keys would take hours. */
	SMALL_MAP = 16,
};

/* A list or map that is still open. */
typedef struct {
	AshYamlNode *node; /* borrowed from its parent, or from Builder.root */
	AshYamlPair *key;  /* MAP: has a key, waits for its value; owned by node->pairs */
	GHashTable *seen;  /* MAP: borrowed keys, once there are more than SMALL_MAP */
} Frame;

typedef struct {
	const char *file; /* interned */
	AshYamlNode *root;
	Frame stack[ASH_YAML_MAX_DEPTH];
	unsigned depth;
	unsigned n_nodes;
	unsigned n_documents;
} Builder;

/* ---- nodes --------------------------------------------------------------------------------------- */

static void pair_free(gpointer data)
{
	AshYamlPair *pair = data;

	g_free(pair->key);
	ash_yaml_free(pair->value);
	g_free(pair);
}

static void item_free(gpointer data)
{
	ash_yaml_free(data);
}

void ash_yaml_free(AshYamlNode *node)
{
	if (node == NULL)
		return;
	g_free(node->scalar);
	g_clear_pointer(&node->items, g_ptr_array_unref);
	g_clear_pointer(&node->pairs, g_ptr_array_unref);
	g_free(node);
}

static AshYamlNode *node_new(const Builder *builder, AshYamlKind kind, const yaml_mark_t *mark)
{
	AshYamlNode *node = g_new0(AshYamlNode, 1);

	node->kind = kind;
	node->file = builder->file;
	node->line = (unsigned) mark->line + 1;
	node->column = (unsigned) mark->column + 1;
	if (kind == ASH_YAML_LIST)
		node->items = g_ptr_array_new_with_free_func(item_free);
	if (kind == ASH_YAML_MAP)
		node->pairs = g_ptr_array_new_with_free_func(pair_free);
	return node;
}

/* ---- errors -------------------------------------------------------------------------------------- */

G_GNUC_PRINTF(5, 6)
static gboolean throw_at(const Builder *builder, const yaml_mark_t *mark, GError **error,
		AshYamlError code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	return ash_throw(error, ASH_YAML_ERROR, (int) code, "%s:%zu:%zu: %s", builder->file,
			mark->line + 1, mark->column + 1, text);
}

gboolean ash_yaml_throw(const AshYamlNode *node, GError **error, GQuark domain, int code,
		const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	return ash_throw(error, domain, code, "%s:%u:%u: %s", node->file, node->line, node->column,
			text);
}

/* The reader (encoding) knows byte offsets only. */
static void mark_from_offset(GBytes *text, size_t offset, yaml_mark_t *out_mark)
{
	size_t size;
	const char *data = g_bytes_get_data(text, &size);

	memset(out_mark, 0, sizeof *out_mark);
	for (size_t i = 0; i < MIN(offset, size); i++) {
		if (data[i] == '\n') {
			out_mark->line++;
			out_mark->column = 0;
		} else if (((unsigned char) data[i] & 0xc0) != 0x80) {
			out_mark->column++;
		}
	}
}

static gboolean throw_parser(
		const Builder *builder, const yaml_parser_t *parser, GBytes *text, GError **error)
{
	yaml_mark_t mark = parser->problem_mark;

	if (parser->error == YAML_READER_ERROR)
		mark_from_offset(text, parser->problem_offset, &mark);
	/* libyaml says what it was doing and what it met: "while parsing a flow mapping", "did not
	 * find expected ',' or '}'". */
	return throw_at(builder, &mark, error, ASH_YAML_ERROR_SYNTAX, "not YAML: %s%s%s",
			parser->problem != NULL ? parser->problem : "cannot be parsed",
			parser->context != NULL ? " " : "",
			parser->context != NULL ? parser->context : "");
}

/* Editors write it unasked, and nobody sees it. */
static gboolean check_mark(const Builder *builder, GBytes *text, GError **error)
{
	static const struct {
		const char *bytes, *what;
	} marks[] = {
			{"\xef\xbb\xbf", "the file begins with a byte order mark"},
			{"\xff\xfe", "the file is UTF-16"},
			{"\xfe\xff", "the file is UTF-16"},
	};
	const yaml_mark_t start = {0};
	size_t size;
	const char *data = g_bytes_get_data(text, &size);

	for (size_t i = 0; i < G_N_ELEMENTS(marks); i++) {
		size_t length = strlen(marks[i].bytes);
		if (size >= length && memcmp(data, marks[i].bytes, length) == 0)
			return throw_at(builder, &start, error, ASH_YAML_ERROR_SYNTAX,
					"not YAML: %s; save it as plain UTF-8", marks[i].what);
	}
	return TRUE;
}

/* ---- building the tree --------------------------------------------------------------------------- */

static bool is_duplicate(Frame *frame, const char *key)
{
	GPtrArray *pairs = frame->node->pairs;

	if (frame->seen == NULL && pairs->len >= SMALL_MAP) {
		frame->seen = g_hash_table_new(g_str_hash, g_str_equal);
		for (guint i = 0; i < pairs->len; i++)
			g_hash_table_add(frame->seen, ((AshYamlPair *) pairs->pdata[i])->key);
	}
	if (frame->seen != NULL)
		return g_hash_table_contains(frame->seen, key);
	return ash_yaml_get(frame->node, key) != NULL;
}

static gboolean add_key(Builder *builder, Frame *frame, const yaml_event_t *event, GError **error)
{
	const char *key = (const char *) event->data.scalar.value;

	if (*key == '\0')
		return throw_at(builder, &event->start_mark, error, ASH_YAML_ERROR_SYNTAX,
				"a key is missing before ':'");
	if (is_duplicate(frame, key))
		return throw_at(builder, &event->start_mark, error, ASH_YAML_ERROR_DUPLICATE,
				"key '%s' is here for the second time", key);

	AshYamlPair *pair = g_new0(AshYamlPair, 1);
	pair->key = g_strdup(key);
	pair->line = (unsigned) event->start_mark.line + 1;
	pair->column = (unsigned) event->start_mark.column + 1;
	/* Replaced by its value at the next event; a NULL node until then, so that every pair has one
	 * even when the document ends in an error. */
	pair->value = node_new(builder, ASH_YAML_NULL, &event->end_mark);
	g_ptr_array_add(frame->node->pairs, pair);
	if (frame->seen != NULL)
		g_hash_table_add(frame->seen, pair->key);
	frame->key = pair;
	return TRUE;
}

static void add_node(Builder *builder, AshYamlNode *take_node)
{
	if (builder->depth == 0) {
		builder->root = take_node;
		return;
	}
	Frame *frame = &builder->stack[builder->depth - 1];
	if (frame->node->kind == ASH_YAML_LIST) {
		g_ptr_array_add(frame->node->items, take_node);
		return;
	}
	g_assert(frame->key != NULL);
	ash_yaml_free(frame->key->value);
	frame->key->value = take_node;
	frame->key = NULL;
}

static bool wants_key(const Builder *builder)
{
	if (builder->depth == 0)
		return false;
	const Frame *frame = &builder->stack[builder->depth - 1];
	return frame->node->kind == ASH_YAML_MAP && frame->key == NULL;
}

/* What this dialect leaves out, for each node. */
static gboolean check_node(Builder *builder, const yaml_event_t *event, const yaml_char_t *anchor,
		const yaml_char_t *tag, GError **error)
{
	if (++builder->n_nodes > ASH_YAML_MAX_NODES)
		return throw_at(builder, &event->start_mark, error, ASH_YAML_ERROR_LIMIT,
				"more than %d values in one file", ASH_YAML_MAX_NODES);
	if (anchor != NULL)
		return throw_at(builder, &event->start_mark, error, ASH_YAML_ERROR_UNSUPPORTED,
				"anchors ('&%s') are not supported", (const char *) anchor);
	if (tag != NULL)
		return throw_at(builder, &event->start_mark, error, ASH_YAML_ERROR_UNSUPPORTED,
				"tags ('%s') are not supported", (const char *) tag);
	return TRUE;
}

static bool is_null_word(const char *text)
{
	return *text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
	       strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

static gboolean on_scalar(Builder *builder, const yaml_event_t *event, GError **error)
{
	const char *text = (const char *) event->data.scalar.value;
	size_t length = event->data.scalar.length;

	if (!check_node(builder, event, event->data.scalar.anchor, event->data.scalar.tag, error))
		return FALSE;
	/* Only an escape ("\0") can bring one in. */
	if (memchr(text, '\0', length) != NULL)
		return throw_at(builder, &event->start_mark, error, ASH_YAML_ERROR_SYNTAX,
				"text holds a NUL character");
	if (wants_key(builder))
		return add_key(builder, &builder->stack[builder->depth - 1], event, error);

	bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	bool is_null = is_plain && is_null_word(text);
	AshYamlNode *node = node_new(
			builder, is_null ? ASH_YAML_NULL : ASH_YAML_SCALAR, &event->start_mark);
	node->is_plain = is_plain;
	if (!is_null)
		node->scalar = g_strndup(text, length);
	add_node(builder, node);
	return TRUE;
}

static gboolean on_open(Builder *builder, const yaml_event_t *event, AshYamlKind kind,
		const yaml_char_t *anchor, const yaml_char_t *tag, GError **error)
{
	if (!check_node(builder, event, anchor, tag, error))
		return FALSE;
	if (wants_key(builder))
		return throw_at(builder, &event->start_mark, error, ASH_YAML_ERROR_UNSUPPORTED,
				"a key must be a word, not a %s",
				kind == ASH_YAML_LIST ? "list" : "map");
	if (builder->depth == ASH_YAML_MAX_DEPTH)
		return throw_at(builder, &event->start_mark, error, ASH_YAML_ERROR_LIMIT,
				"nested more than %d deep", ASH_YAML_MAX_DEPTH);

	AshYamlNode *node = node_new(builder, kind, &event->start_mark);
	add_node(builder, node);
	builder->stack[builder->depth++] = (Frame){.node = node};
	return TRUE;
}

static void on_close(Builder *builder)
{
	Frame *frame = &builder->stack[--builder->depth];

	g_clear_pointer(&frame->seen, g_hash_table_unref);
}

static gboolean on_document(Builder *builder, const yaml_event_t *event, GError **error)
{
	if (++builder->n_documents > 1)
		return throw_at(builder, &event->start_mark, error, ASH_YAML_ERROR_UNSUPPORTED,
				"a second document ('---') in one file is not supported");
	if (event->data.document_start.tag_directives.start !=
			event->data.document_start.tag_directives.end)
		return throw_at(builder, &event->start_mark, error, ASH_YAML_ERROR_UNSUPPORTED,
				"tags ('%%TAG') are not supported");
	return TRUE;
}

static gboolean on_event(Builder *builder, const yaml_event_t *event, GError **error)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return on_document(builder, event, error);
	case YAML_ALIAS_EVENT:
		return throw_at(builder, &event->start_mark, error, ASH_YAML_ERROR_UNSUPPORTED,
				"aliases ('*%s') are not supported",
				(const char *) event->data.alias.anchor);
	case YAML_SCALAR_EVENT:
		return on_scalar(builder, event, error);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(builder, event, ASH_YAML_LIST, event->data.sequence_start.anchor,
				event->data.sequence_start.tag, error);
	case YAML_MAPPING_START_EVENT:
		return on_open(builder, event, ASH_YAML_MAP, event->data.mapping_start.anchor,
				event->data.mapping_start.tag, error);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		on_close(builder);
		return TRUE;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return TRUE;
	}
	g_assert_not_reached();
}

static gboolean run(Builder *builder, yaml_parser_t *parser, GBytes *text, GError **error)
{
	for (;;) {
		g_auto(yaml_event_t) event = {0};
		if (!yaml_parser_parse(parser, &event))
			return throw_parser(builder, parser, text, error);
		if (!on_event(builder, &event, error))
			return FALSE;
		if (event.type == YAML_STREAM_END_EVENT)
			return TRUE;
	}
}

gboolean ash_yaml_parse(const char *file, GBytes *text, AshYamlNode **out_root, GError **error)
{
	Builder builder = {.file = g_intern_string(file)};
	yaml_mark_t start = {0};
	g_auto(yaml_parser_t) parser = {0};
	size_t size;
	const unsigned char *data = g_bytes_get_data(text, &size);

	if (size > ASH_YAML_MAX_BYTES)
		return throw_at(&builder, &start, error, ASH_YAML_ERROR_LIMIT,
				"larger than %d bytes", ASH_YAML_MAX_BYTES);
	if (!check_mark(&builder, text, error))
		return FALSE;
	/* It fails only when memory is out, where GLib aborts as well. */
	g_assert(yaml_parser_initialize(&parser));
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
			&parser, data != NULL ? data : (const unsigned char *) "", size);

	gboolean ok = run(&builder, &parser, text, error);
	while (builder.depth > 0)
		on_close(&builder);
	if (!ok) {
		ash_yaml_free(builder.root);
		return FALSE;
	}
	if (builder.root == NULL)
		builder.root = node_new(&builder, ASH_YAML_NULL, &start);
	*out_root = builder.root;
	return TRUE;
}

/* ---- reading ------------------------------------------------------------------------------------- */

AshYamlNode *ash_yaml_get(const AshYamlNode *map, const char *key)
{
	if (map->kind != ASH_YAML_MAP)
		return NULL;
	for (guint i = 0; i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		if (strcmp(pair->key, key) == 0)
			return pair->value;
	}
	return NULL;
}

static const char *describe(const AshYamlNode *node)
{
	switch (node->kind) {
	case ASH_YAML_NULL:
		return "nothing";
	case ASH_YAML_SCALAR:
		return "text";
	case ASH_YAML_LIST:
		return "a list";
	case ASH_YAML_MAP:
		return "a map";
	}
	g_assert_not_reached();
}

static gboolean throw_type(
		const AshYamlNode *node, const char *what, const char *expected, GError **error)
{
	if (node->kind == ASH_YAML_SCALAR)
		return ash_yaml_throw(node, error, ASH_YAML_ERROR, ASH_YAML_ERROR_TYPE,
				"%s is %s'%s', expected %s", what, node->is_plain ? "" : "text ",
				node->scalar, expected);
	return ash_yaml_throw(node, error, ASH_YAML_ERROR, ASH_YAML_ERROR_TYPE,
			"%s is %s, expected %s", what, describe(node), expected);
}

gboolean ash_yaml_string(
		const AshYamlNode *node, const char *what, char **out_value, GError **error)
{
	if (node->kind != ASH_YAML_SCALAR)
		return throw_type(node, what, "text", error);
	*out_value = g_strdup(node->scalar);
	return TRUE;
}

gboolean ash_yaml_bool(const AshYamlNode *node, const char *what, bool *out_value, GError **error)
{
	bool is_word = node->kind == ASH_YAML_SCALAR && node->is_plain;

	if (is_word && strcmp(node->scalar, "true") == 0)
		*out_value = true;
	else if (is_word && strcmp(node->scalar, "false") == 0)
		*out_value = false;
	else
		return throw_type(node, what, "true or false", error);
	return TRUE;
}

gboolean ash_yaml_uint(const AshYamlNode *node, const char *what, uint64_t max, uint64_t *out_value,
		GError **error)
{
	bool is_number = node->kind == ASH_YAML_SCALAR && node->is_plain;
	const char *text = is_number ? node->scalar : "";
	size_t length = strlen(text);
	guint64 value;

	g_autofree char *expected = g_strdup_printf("a whole number from 0 to %" PRIu64, max);
	/* A leading zero means octal to some and nothing to others. */
	if (length == 0 || strspn(text, "0123456789") != length || (length > 1 && text[0] == '0'))
		return throw_type(node, what, expected, error);
	if (!g_ascii_string_to_unsigned(text, 10, 0, max, &value, NULL))
		return throw_type(node, what, expected, error);
	*out_value = value;
	return TRUE;
}

/* ---- writing ------------------------------------------------------------------------------------- */

/* Words and numbers that some YAML reader, of 1.1 or 1.2, takes for something else than text. */
static bool looks_typed(const char *text)
{
	static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off", "y",
			"n", ".inf", ".nan"};

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if (g_ascii_strcasecmp(text, words[i]) == 0)
			return true;
	if (text[0] == '0' && strchr("xob", text[1] | 0x20) != NULL)
		return true;
	return strspn(text, "0123456789.eE+_-") == strlen(text);
}

static bool is_bare(const char *text)
{
	if (!g_ascii_isalnum(*text) && *text != '/' && *text != '.' && *text != '_')
		return false;
	for (const char *p = text; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && strchr("/._+~=%@^-", *p) == NULL)
			return false;
	return !looks_typed(text);
}

char *ash_yaml_quote(const char *text)
{
	if (is_bare(text))
		return g_strdup(text);

	/* U+2028 and U+2029 are line breaks to YAML, U+FEFF is a mark of its encoding. */
	GString *quoted = g_string_new("\"");
	for (const char *p = text; *p != '\0'; p += g_utf8_skip[(guchar) *p]) {
		gunichar c = g_utf8_get_char(p);
		if (c == '"' || c == '\\')
			g_string_append_printf(quoted, "\\%c", (int) c);
		else if (c == '\n')
			g_string_append(quoted, "\\n");
		else if (c == '\t')
			g_string_append(quoted, "\\t");
		else if (g_unichar_isprint(c) && c != 0x2028 && c != 0x2029 && c != 0xfeff)
			g_string_append_unichar(quoted, c);
		else
			g_string_append_printf(quoted, "\\U%08X", c);
	}
	g_string_append_c(quoted, '"');
	return g_string_free(quoted, FALSE);
}
