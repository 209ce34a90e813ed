/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/selector-private.h"
#include "lib/error.h"
#include "lib/version.h"

typedef enum {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_QUOTED,
	TOKEN_OPERATOR, /* = != < <= > >= ~ */
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_COMMA,
} TokenKind;

typedef struct {
	const char *begin, *at; /* of the text; behind the token */
	TokenKind kind;
	char *text; /* of the token, unquoted */
	unsigned column;
	unsigned terms, depth;
	GError **error;
} Reader;

static const struct {
	const char *text;
	AshSelectorOrder order;
} orders[] = {
		{"<", ASH_SELECTOR_BELOW},
		{"<=", ASH_SELECTOR_AT_MOST},
		{">", ASH_SELECTOR_ABOVE},
		{">=", ASH_SELECTOR_AT_LEAST},
};

/* ---- tokens -------------------------------------------------------------------------------------- */

static AshSelectorNode *read_or(Reader *reader);

static unsigned column_of(const Reader *reader, const char *at)
{
	return (unsigned) g_utf8_strlen(reader->begin, at - reader->begin) + 1;
}

static gpointer fail_at(Reader *reader, unsigned column, const char *what)
{
	return ash_throw_null(reader->error, ASH_SELECTOR_ERROR, ASH_SELECTOR_ERROR_SYNTAX,
			"column %u: %s", column, what);
}

/* "expected X, found 'y'" */
static gpointer fail_expected(Reader *reader, const char *expected)
{
	g_autofree char *what =
			reader->kind == TOKEN_END
					? g_strdup_printf("expected %s, but the selector ends",
							  expected)
					: g_strdup_printf("expected %s, found '%.60s'", expected,
							  reader->text);

	return fail_at(reader, reader->column, what);
}

static gpointer fail_limit(Reader *reader, const char *what, unsigned limit)
{
	return ash_throw_null(reader->error, ASH_SELECTOR_ERROR, ASH_SELECTOR_ERROR_LIMIT,
			"column %u: more than %u %s", reader->column, limit, what);
}

static bool read_quoted(Reader *reader)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (reader->at++; *reader->at != '"'; reader->at++) {
		if (*reader->at == '\\' && (reader->at[1] == '"' || reader->at[1] == '\\'))
			reader->at++;
		else if (*reader->at == '\\')
			return fail_at(reader, column_of(reader, reader->at),
					       "behind '\\' comes '\"' or '\\'") != NULL;
		if (*reader->at == '\0')
			return fail_at(reader, reader->column, "the quote is not closed") != NULL;
		g_string_append_c(text, *reader->at);
	}
	reader->at++;
	reader->kind = TOKEN_QUOTED;
	reader->text = g_strdup(text->str);
	return true;
}

static void take(Reader *reader, TokenKind kind, size_t size)
{
	reader->kind = kind;
	reader->text = g_strndup(reader->at, size);
	reader->at += size;
}

static bool read_strange(Reader *reader)
{
	const char *next = reader->at + g_utf8_skip[*(const guchar *) reader->at];
	g_autofree char *what =
			*reader->at == '*' || *reader->at == '?'
					? g_strdup("a pattern stands in quotes: ~ \"edge-*\"")
					: g_strdup_printf("'%.*s' is not expected here; values with other signs "
							  "than letters, digits and . _ - : / + @ stand in quotes",
							  (int) (next - reader->at), reader->at);

	return fail_at(reader, reader->column, what) != NULL;
}

/* The next token; false with an error. */
static bool advance(Reader *reader)
{
	while (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n')
		reader->at++;
	g_clear_pointer(&reader->text, g_free);
	reader->column = column_of(reader, reader->at);
	char c = *reader->at;
	if (c == '\0') {
		take(reader, TOKEN_END, 0);
	} else if (c == '"') {
		return read_quoted(reader);
	} else if (ash_selector_is_bare(c)) {
		size_t size = 1;
		while (ash_selector_is_bare(reader->at[size]))
			size++;
		take(reader, TOKEN_WORD, size);
	} else if (c == '(' || c == ')' || c == ',') {
		take(reader, c == '(' ? TOKEN_OPEN : c == ')' ? TOKEN_CLOSE : TOKEN_COMMA, 1);
	} else if (c == '=' || c == '~' || (c == '!' && reader->at[1] == '=')) {
		take(reader, TOKEN_OPERATOR, c == '!' ? 2 : 1);
	} else if (c == '<' || c == '>') {
		take(reader, TOKEN_OPERATOR, reader->at[1] == '=' ? 2 : 1);
	} else {
		return read_strange(reader);
	}
	return true;
}

static bool is_word(const Reader *reader, const char *word)
{
	return reader->kind == TOKEN_WORD && g_str_equal(reader->text, word);
}

/* ---- terms --------------------------------------------------------------------------------------- */

static bool count_term(Reader *reader)
{
	if (++reader->terms <= ASH_SELECTOR_MAX_TERMS)
		return true;
	return fail_limit(reader, "terms", ASH_SELECTOR_MAX_TERMS) != NULL;
}

static AshSelectorKey *read_key(Reader *reader)
{
	if (reader->kind != TOKEN_QUOTED &&
			(reader->kind != TOKEN_WORD || ash_selector_is_reserved(reader->text)))
		return fail_expected(reader, "a key, as in 'site = bern'");
	if (*reader->text == '\0')
		return fail_at(reader, reader->column, "a key is not empty");
	g_autoptr(AshSelectorKey) key = ash_selector_key_new(reader->text);
	return advance(reader) ? g_steal_pointer(&key) : NULL;
}

static bool read_value(Reader *reader, AshSelectorNode *node)
{
	if (reader->kind != TOKEN_WORD && reader->kind != TOKEN_QUOTED)
		return fail_expected(reader, "a value") != NULL;
	g_ptr_array_add(node->values, g_strdup(reader->text));
	return advance(reader);
}

/* "(V, V…)" */
static AshSelectorNode *read_in(Reader *reader, AshSelectorNode *take_node)
{
	g_autoptr(AshSelectorNode) node = take_node;

	if (!advance(reader))
		return NULL;
	if (reader->kind != TOKEN_OPEN)
		return fail_expected(reader, "'(' and a list of values behind 'in'");
	do {
		if (!advance(reader) || (node->values->len > 0 && !count_term(reader)) ||
				!read_value(reader, node))
			return NULL;
	} while (reader->kind == TOKEN_COMMA);
	if (reader->kind != TOKEN_CLOSE)
		return fail_expected(reader, "',' or ')'");
	return advance(reader) ? g_steal_pointer(&node) : NULL;
}

/* What the key and the value make of '<'. @column: of the value. */
static AshSelectorNode *order_node(Reader *reader, AshSelectorNode *take_node,
		AshSelectorOrder order, const char *operator, unsigned column)
{
	g_autoptr(AshSelectorNode) node = take_node;
	const char *value = g_ptr_array_index(node->values, 0);

	node->order = order;
	if (node->key->is_version) {
		node->kind = ASH_SELECTOR_VERSION;
		return ash_version_is_valid(value) ? g_steal_pointer(&node)
						   : fail_at(reader, column, "not a version");
	}
	g_autofree char *what = g_strdup_printf(
			"'%s' compares numbers, '%s' is a text: it takes = != ~ in", operator,
			node->key->text);
	if (ash_selector_key_is_text(node->key))
		return fail_at(reader, column, what);
	bool is_age = ash_selector_key_is_age(node->key);
	node->kind = is_age ? ASH_SELECTOR_AGE : ASH_SELECTOR_NUMBER;
	if (ash_selector_number(value, &node->number))
		return g_steal_pointer(&node);
	return fail_at(reader, column,
			is_age ? "expected an age, as in 7d, 12h, 30min"
			       : "expected a number, as in 4, 8GiB, 30min");
}

/* KEY OP VALUE */
static AshSelectorNode *read_comparison(Reader *reader)
{
	g_autoptr(AshSelectorNode) node = ash_selector_node_new(ASH_SELECTOR_IN);

	node->key = read_key(reader);
	if (node->key == NULL)
		return NULL;
	if (is_word(reader, "in"))
		return read_in(reader, g_steal_pointer(&node));
	if (reader->kind != TOKEN_OPERATOR)
		return fail_expected(reader, "one of = != < <= > >= ~ in");
	g_autofree char *operator= g_strdup(reader->text);
	unsigned operator_column = reader->column;
	if (!advance(reader))
		return NULL;
	unsigned column = reader->column;
	if (!read_value(reader, node))
		return NULL;
	for (size_t i = 0; i < G_N_ELEMENTS(orders); i++)
		if (g_str_equal(operator, orders[i].text))
			return order_node(reader, g_steal_pointer(&node), orders[i].order, operator,
					column);
	if (ash_selector_key_is_age(node->key))
		return fail_at(reader, operator_column, "an age takes < <= > >=");
	if (g_str_equal(operator, "~"))
		node->kind = ASH_SELECTOR_GLOB;
	else if (g_str_equal(operator, "!="))
		node->kind = ASH_SELECTOR_NOT_EQUAL;
	return g_steal_pointer(&node);
}

static AshSelectorNode *read_has(Reader *reader)
{
	g_autoptr(AshSelectorNode) node = ash_selector_node_new(ASH_SELECTOR_HAS);

	if (!advance(reader))
		return NULL;
	node->key = read_key(reader);
	return node->key != NULL ? g_steal_pointer(&node) : NULL;
}

static AshSelectorNode *read_host(Reader *reader)
{
	g_autoptr(AshSelectorNode) node = ash_selector_node_new(ASH_SELECTOR_HOST);

	if (!advance(reader))
		return NULL;
	size_t size = strlen(reader->text);
	if ((reader->kind != TOKEN_WORD && reader->kind != TOKEN_QUOTED) || size < 8 ||
			size > 2 * ASH_HOST_ID_BYTES ||
			strspn(reader->text, "0123456789abcdef") != size)
		return fail_expected(reader, "the first 8 to 64 digits of a host's id");
	node->digits = (unsigned) size;
	for (size_t i = 0; i < size; i++) {
		int digit = g_ascii_xdigit_value(reader->text[i]);
		node->id[i / 2] |= (uint8_t) (i % 2 == 0 ? digit << 4 : digit);
	}
	return advance(reader) ? g_steal_pointer(&node) : NULL;
}

static AshSelectorNode *read_constant(Reader *reader, AshSelectorNodeKind kind)
{
	return advance(reader) ? ash_selector_node_new(kind) : NULL;
}

static AshSelectorNode *read_term(Reader *reader)
{
	if (reader->kind == TOKEN_OPEN) {
		if (!advance(reader))
			return NULL;
		g_autoptr(AshSelectorNode) node = read_or(reader);
		if (node == NULL)
			return NULL;
		if (reader->kind != TOKEN_CLOSE)
			return fail_expected(reader, "'and', 'or' or ')'");
		return advance(reader) ? g_steal_pointer(&node) : NULL;
	}
	if (!count_term(reader))
		return NULL;
	if (is_word(reader, "all"))
		return read_constant(reader, ASH_SELECTOR_ALL);
	if (is_word(reader, "none"))
		return read_constant(reader, ASH_SELECTOR_NONE);
	if (is_word(reader, "has"))
		return read_has(reader);
	if (is_word(reader, "host"))
		return read_host(reader);
	return read_comparison(reader);
}

/* ---- and, or, not: 'a and (b and c)' becomes one list, 'not not a' is a --------------------------- */

static AshSelectorNode *negate(AshSelectorNode *take_node)
{
	if (take_node->kind == ASH_SELECTOR_NOT) {
		AshSelectorNode *inner = g_ptr_array_steal_index(take_node->children, 0);
		ash_selector_node_free(take_node);
		return inner;
	}
	AshSelectorNode *node = ash_selector_node_new(ASH_SELECTOR_NOT);
	g_ptr_array_add(node->children, take_node);
	return node;
}

static AshSelectorNode *read_not(Reader *reader)
{
	bool is_not = is_word(reader, "not");

	if (!is_not && reader->kind != TOKEN_OPEN)
		return read_term(reader);
	if (++reader->depth > ASH_SELECTOR_MAX_DEPTH)
		return fail_limit(reader, "levels", ASH_SELECTOR_MAX_DEPTH);
	if (is_not && !advance(reader))
		return NULL;
	AshSelectorNode *node = is_not ? read_not(reader) : read_term(reader);
	reader->depth--;
	return node != NULL && is_not ? negate(node) : node;
}

static void append(AshSelectorNode *list, AshSelectorNode *take_node)
{
	if (take_node->kind != list->kind) {
		g_ptr_array_add(list->children, take_node);
		return;
	}
	while (take_node->children->len > 0)
		g_ptr_array_add(list->children, g_ptr_array_steal_index(take_node->children, 0));
	ash_selector_node_free(take_node);
}

static AshSelectorNode *read_list(Reader *reader, AshSelectorNodeKind kind, const char *word,
		AshSelectorNode *(*read)(Reader *) )
{
	g_autoptr(AshSelectorNode) list = ash_selector_node_new(kind);

	while (true) {
		AshSelectorNode *node = read(reader);
		if (node == NULL)
			return NULL;
		append(list, node);
		if (!is_word(reader, word))
			break;
		if (!advance(reader))
			return NULL;
	}
	if (list->children->len == 1)
		return g_ptr_array_steal_index(list->children, 0);
	return g_steal_pointer(&list);
}

static AshSelectorNode *read_and(Reader *reader)
{
	return read_list(reader, ASH_SELECTOR_AND, "and", read_not);
}

static AshSelectorNode *read_or(Reader *reader)
{
	return read_list(reader, ASH_SELECTOR_OR, "or", read_and);
}

static AshSelectorNode *read_all(Reader *reader)
{
	if (!advance(reader))
		return NULL;
	if (reader->kind == TOKEN_END)
		return ash_selector_node_new(ASH_SELECTOR_ALL);
	g_autoptr(AshSelectorNode) node = read_or(reader);
	if (node == NULL)
		return NULL;
	if (reader->kind != TOKEN_END)
		return fail_expected(reader, "'and', 'or' or the end");
	return g_steal_pointer(&node);
}

static gboolean check_text(const char *text, GError **error)
{
	const char *end = NULL;

	if (strlen(text) > ASH_SELECTOR_MAX_BYTES)
		return ash_throw(error, ASH_SELECTOR_ERROR, ASH_SELECTOR_ERROR_LIMIT,
				"a selector has at most %d bytes", ASH_SELECTOR_MAX_BYTES);
	if (!g_utf8_validate(text, -1, &end))
		return ash_throw(error, ASH_SELECTOR_ERROR, ASH_SELECTOR_ERROR_SYNTAX,
				"column %ld: not UTF-8", g_utf8_strlen(text, end - text) + 1);
	for (const char *at = text; *at != '\0'; at++)
		if (g_ascii_iscntrl(*at) && *at != '\t' && *at != '\n')
			return ash_throw(error, ASH_SELECTOR_ERROR, ASH_SELECTOR_ERROR_SYNTAX,
					"column %ld: a control character",
					g_utf8_strlen(text, at - text) + 1);
	return TRUE;
}

gboolean ash_selector_parse(const char *text, AshSelector **out_selector, GError **error)
{
	Reader reader = {.begin = text, .at = text, .error = error};

	if (!check_text(text, error))
		return FALSE;
	AshSelectorNode *root = read_all(&reader);
	g_free(reader.text);
	if (root == NULL)
		return FALSE;
	g_autoptr(AshSelector) selector = ash_selector_take(root);
	/* What is kept is the canonical form, which has more blanks. */
	g_autofree char *canonical = ash_selector_format(selector);
	if (strlen(canonical) > ASH_SELECTOR_MAX_BYTES)
		return ash_throw(error, ASH_SELECTOR_ERROR, ASH_SELECTOR_ERROR_LIMIT,
				"a selector has at most %d bytes", ASH_SELECTOR_MAX_BYTES);
	*out_selector = g_steal_pointer(&selector);
	return TRUE;
}

gboolean ash_selector_key_parse(const char *text, AshSelectorKey **out_key, GError **error)
{
	Reader reader = {.begin = text, .at = text, .error = error};

	if (!check_text(text, error))
		return FALSE;
	g_autoptr(AshSelectorKey) key = advance(&reader) ? read_key(&reader) : NULL;
	if (key != NULL && reader.kind != TOKEN_END)
		g_clear_pointer(&key, ash_selector_key_free);
	if (key == NULL && (error == NULL || *error == NULL))
		fail_expected(&reader, "one key alone");
	g_free(reader.text);
	if (key == NULL)
		return FALSE;
	*out_key = g_steal_pointer(&key);
	return TRUE;
}
