/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/deb822.h"

#include <string.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_deb822_error, ash_deb822_error)

/* The paragraph that is being read begins at @start of @buffer; lines before @scan are in @fields.
 * Fields hold offsets until the paragraph ends, since the buffer may move as it grows.
 */
typedef struct {
	size_t name;
	size_t value;
	size_t end;
	unsigned line;
} Span;

struct AshDeb822 {
	char *what;
	size_t max_bytes;
	AshDeb822Callback callback;
	gpointer closure;
	GByteArray *buffer;
	size_t start;
	size_t scan;
	unsigned line; /* of the next line to scan */
	Span spans[ASH_DEB822_MAX_FIELDS];
	size_t count;
};

AshDeb822 *ash_deb822_new(const char *what, size_t max_paragraph_bytes, AshDeb822Callback callback,
		gpointer closure)
{
	AshDeb822 *parser = g_new0(AshDeb822, 1);

	parser->what = g_strdup(what);
	parser->max_bytes = max_paragraph_bytes;
	parser->callback = callback;
	parser->closure = closure;
	parser->buffer = g_byte_array_new();
	parser->line = 1;
	return parser;
}

void ash_deb822_free(AshDeb822 *parser)
{
	if (parser == NULL)
		return;
	g_byte_array_unref(parser->buffer);
	g_free(parser->what);
	g_free(parser);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static gboolean check_duplicate(
		const AshField *fields, size_t count, const char *what, GError **error)
{
	/* Quadratic, but for the first letter: paragraphs have some twenty fields. */
	for (size_t i = 1; i < count; i++)
		for (size_t k = 0; k < i; k++)
			if ((fields[i].name[0] | 0x20) == (fields[k].name[0] | 0x20) &&
					g_ascii_strcasecmp(fields[i].name, fields[k].name) == 0)
				return ash_throw(error, ASH_DEB822_ERROR, ASH_DEB822_ERROR_SYNTAX,
						"%s:%u: '%s' is given twice", what, fields[i].line,
						fields[i].name);
	return TRUE;
}

static gboolean emit(AshDeb822 *parser, GError **error)
{
	AshField fields[ASH_DEB822_MAX_FIELDS];
	char *text = (char *) parser->buffer->data;

	if (parser->count == 0)
		return TRUE;
	for (size_t i = 0; i < parser->count; i++) {
		const Span *span = &parser->spans[i];
		size_t end = span->end;
		while (end > span->value && (is_blank(text[end - 1]) || text[end - 1] == '\n'))
			end--;
		size_t value = span->value;
		while (value < end && (is_blank(text[value]) || text[value] == '\n'))
			value++;
		text[end] = '\0';
		fields[i] = (AshField){.name = text + span->name,
				.value = text + value,
				.line = span->line};
	}
	if (!check_duplicate(fields, parser->count, parser->what, error))
		return FALSE;
	const AshParagraph paragraph = {
			.fields = fields, .count = parser->count, .line = fields[0].line};
	parser->count = 0;
	return parser->callback(&paragraph, parser->closure, error);
}

static gboolean add_field(AshDeb822 *parser, size_t begin, size_t end, GError **error)
{
	char *text = (char *) parser->buffer->data;
	char *colon = memchr(text + begin, ':', end - begin);

	if (colon == NULL || colon == text + begin)
		return ash_throw(error, ASH_DEB822_ERROR, ASH_DEB822_ERROR_SYNTAX,
				"%s:%u: expected 'Field: value'", parser->what, parser->line);
	for (const char *c = text + begin; c < colon; c++)
		if (!g_ascii_isgraph(*c))
			return ash_throw(error, ASH_DEB822_ERROR, ASH_DEB822_ERROR_SYNTAX,
					"%s:%u: not a field name", parser->what, parser->line);
	if (parser->count == ASH_DEB822_MAX_FIELDS)
		return ash_throw(error, ASH_DEB822_ERROR, ASH_DEB822_ERROR_LIMIT,
				"%s:%u: more than %d fields", parser->what, parser->line,
				ASH_DEB822_MAX_FIELDS);
	*colon = '\0';
	size_t value = (size_t) (colon - text) + 1;
	while (value < end && is_blank(text[value]))
		value++;
	parser->spans[parser->count++] =
			(Span){.name = begin, .value = value, .end = end, .line = parser->line};
	return TRUE;
}

/* One line, [begin, end) without its '\n'; there is a byte at end that may be written to. */
static gboolean scan_line(AshDeb822 *parser, size_t begin, size_t end, GError **error)
{
	const char *text = (const char *) parser->buffer->data;
	size_t first = begin;

	if (begin < end && text[begin] == '#')
		return TRUE;
	while (first < end && is_blank(text[first]))
		first++;
	if (first == end)
		return emit(parser, error);
	if (first == begin)
		return add_field(parser, begin, end, error);
	if (parser->count == 0)
		return ash_throw(error, ASH_DEB822_ERROR, ASH_DEB822_ERROR_SYNTAX,
				"%s:%u: a continuation without a field", parser->what,
				parser->line);
	parser->spans[parser->count - 1].end = end;
	return TRUE;
}

static gboolean scan(AshDeb822 *parser, GError **error)
{
	for (;;) {
		const char *text = (const char *) parser->buffer->data;
		size_t size = parser->buffer->len;
		const char *end = parser->scan < size ? memchr(text + parser->scan, '\n',
									size - parser->scan)
						      : NULL;
		if (end == NULL)
			return TRUE;
		size_t at = (size_t) (end - text);
		if (!scan_line(parser, parser->scan, at, error))
			return FALSE;
		parser->scan = at + 1;
		parser->line++;
		if (parser->count == 0)
			parser->start = parser->scan;
	}
}

gboolean ash_deb822_feed(AshDeb822 *parser, const void *data, size_t size, GError **error)
{
	if (size == 0)
		return TRUE;
	if (memchr(data, '\0', size) != NULL)
		return ash_throw(error, ASH_DEB822_ERROR, ASH_DEB822_ERROR_SYNTAX,
				"%s: a NUL byte after line %u", parser->what, parser->line);
	/* Pieces larger than the limit would defeat it. */
	while (size > 0) {
		size_t piece = MIN(size, (size_t) 1 << 16);
		g_byte_array_append(parser->buffer, data, (guint) piece);
		data = (const char *) data + piece;
		size -= piece;
		if (!scan(parser, error))
			return FALSE;
		g_byte_array_remove_range(parser->buffer, 0, (guint) parser->start);
		for (size_t i = 0; i < parser->count; i++) {
			parser->spans[i].name -= parser->start;
			parser->spans[i].value -= parser->start;
			parser->spans[i].end -= parser->start;
		}
		parser->scan -= parser->start;
		parser->start = 0;
		if (parser->buffer->len > parser->max_bytes)
			return ash_throw(error, ASH_DEB822_ERROR, ASH_DEB822_ERROR_LIMIT,
					"%s:%u: a paragraph of more than %zu bytes", parser->what,
					parser->line, parser->max_bytes);
	}
	return TRUE;
}

gboolean ash_deb822_finish(AshDeb822 *parser, GError **error)
{
	return ash_deb822_feed(parser, "\n\n", 2, error);
}

gboolean ash_deb822_parse(const char *what, GBytes *text, size_t max_paragraph_bytes,
		AshDeb822Callback callback, gpointer closure, GError **error)
{
	g_autoptr(AshDeb822) parser = ash_deb822_new(what, max_paragraph_bytes, callback, closure);
	gsize size = 0;
	const void *data = g_bytes_get_data(text, &size);

	return ash_deb822_feed(parser, data, size, error) && ash_deb822_finish(parser, error);
}

const char *ash_paragraph_get(const AshParagraph *paragraph, const char *name)
{
	for (size_t i = 0; i < paragraph->count; i++)
		if (g_ascii_strcasecmp(paragraph->fields[i].name, name) == 0)
			return paragraph->fields[i].value;
	return NULL;
}

char **ash_paragraph_get_words(const AshParagraph *paragraph, const char *name)
{
	const char *value = ash_paragraph_get(paragraph, name);
	g_autoptr(GStrvBuilder) words = g_strv_builder_new();

	if (value != NULL) {
		g_auto(GStrv) split = g_strsplit_set(value, " \t\r\n", -1);
		for (char **word = split; *word != NULL; word++)
			if (**word != '\0')
				g_strv_builder_add(words, *word);
	}
	return g_strv_builder_end(words);
}
