/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/deb822.h"

#include <string.h>

enum {
	MAX_BYTES = 4096
};

/* "a=1;b=2|a=3": fields with ';' between, '|' behind each paragraph. */
static gboolean collect(const AshParagraph *paragraph, gpointer closure, GError **error)
{
	GString *text = closure;

	for (size_t i = 0; i < paragraph->count; i++)
		g_string_append_printf(text, "%s=%s;", paragraph->fields[i].name,
				paragraph->fields[i].value);
	g_string_append_printf(text, "%u|", paragraph->line);
	return TRUE;
}

static gboolean parse(const char *input, GString *text, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(input, strlen(input));

	return ash_deb822_parse("control", bytes, MAX_BYTES, collect, text, error);
}

static void test_paragraphs(void)
{
	static const struct {
		const char *input;
		const char *want;
	} cases[] = {
			{"", ""},
			{"\n\n\n", ""},
			{"a: 1\n", "a=1;1|"},
			{"a: 1", "a=1;1|"},
			{"a:1\nb:\t2 \n\nc: 3\n", "a=1;b=2;1|c=3;4|"},
			{"\n\na: 1\n \t\n\nb: 2\n\n", "a=1;3|b=2;6|"},
			{"a: 1\n two\n\tthree\nb: 2\n", "a=1\n two\n\tthree;b=2;1|"},
			{"a:\n x\n", "a=x;1|"},
			{"# comment\na: 1\n# in between\n more\n", "a=1\n# in between\n more;2|"},
			{"a: 1\r\n\r\nb: 2\r\n", "a=1;1|b=2;3|"},
			{"a: :\n", "a=:;1|"},
			{"a:\n", "a=;1|"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GString) text = g_string_new(NULL);
		g_assert_true(parse(cases[i].input, text, &error));
		g_assert_no_error(error);
		g_assert_cmpstr(text->str, ==, cases[i].want);
	}
}

static void test_errors(void)
{
	static const struct {
		const char *input;
		AshDeb822Error code;
		const char *message;
	} cases[] = {
			{" x\n", ASH_DEB822_ERROR_SYNTAX, "control:1: "},
			{"a: 1\nno colon\n", ASH_DEB822_ERROR_SYNTAX, "control:2: "},
			{"a: 1\n: 2\n", ASH_DEB822_ERROR_SYNTAX, "control:2: "},
			{"a b: 1\n", ASH_DEB822_ERROR_SYNTAX, "control:1: not a field name"},
			{"a: 1\nb: 2\nA: 3\n", ASH_DEB822_ERROR_SYNTAX,
					"control:3: 'A' is given twice"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GString) text = g_string_new(NULL);
		g_assert_false(parse(cases[i].input, text, &error));
		g_assert_error(error, ASH_DEB822_ERROR, (int) cases[i].code);
		g_assert_true(g_str_has_prefix(error->message, cases[i].message));
	}
}

static void test_nul(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(GBytes) bytes = g_bytes_new_static("a: 1\0b: 2\n", 10);

	g_assert_false(ash_deb822_parse("x", bytes, MAX_BYTES, collect, text, &error));
	g_assert_error(error, ASH_DEB822_ERROR, ASH_DEB822_ERROR_SYNTAX);
}

static void test_limits(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(GString) input = g_string_new(NULL);

	for (int i = 0; i < ASH_DEB822_MAX_FIELDS; i++)
		g_string_append_printf(input, "f%d: x\n", i);
	g_assert_true(parse(input->str, text, &error));
	g_string_append(input, "last: x\n");
	g_assert_false(parse(input->str, text, &error));
	g_assert_error(error, ASH_DEB822_ERROR, ASH_DEB822_ERROR_LIMIT);
	g_clear_error(&error);

	g_string_assign(input, "a: ");
	for (int i = 0; i < MAX_BYTES - 8; i++)
		g_string_append_c(input, 'x');
	g_assert_true(parse(input->str, text, &error));
	for (int i = 0; i < 16; i++)
		g_string_append_c(input, 'x');
	g_assert_false(parse(input->str, text, &error));
	g_assert_error(error, ASH_DEB822_ERROR, ASH_DEB822_ERROR_LIMIT);
	g_clear_error(&error);

	/* Many paragraphs are no large one. */
	g_string_assign(input, "");
	for (int i = 0; i < 10000; i++)
		g_string_append(input, "a: 1\nb: 2\n\n");
	g_assert_true(parse(input->str, text, &error));
}

static gboolean check_words(const AshParagraph *paragraph, gpointer closure, GError **error)
{
	g_auto(GStrv) words = ash_paragraph_get_words(paragraph, "LIST");
	g_auto(GStrv) none = ash_paragraph_get_words(paragraph, "missing");

	g_assert_cmpuint(g_strv_length(words), ==, 3);
	g_assert_cmpstr(words[2], ==, "c");
	g_assert_cmpuint(g_strv_length(none), ==, 0);
	g_assert_null(ash_paragraph_get(paragraph, "missing"));
	return TRUE;
}

static void test_words(void)
{
	g_autoptr(GError) error = NULL;
	const char *input = "List: a  b\n c\n";
	g_autoptr(GBytes) bytes = g_bytes_new_static(input, strlen(input));

	g_assert_true(ash_deb822_parse("x", bytes, MAX_BYTES, check_words, NULL, &error));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/deb822/paragraphs", test_paragraphs);
	g_test_add_func("/deb822/errors", test_errors);
	g_test_add_func("/deb822/nul", test_nul);
	g_test_add_func("/deb822/limits", test_limits);
	g_test_add_func("/deb822/words", test_words);
	return g_test_run();
}
