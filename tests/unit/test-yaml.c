/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/yaml.h"

#include <string.h>

static gboolean parse(const char *text, AshYamlNode **out_root, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));

	return ash_yaml_parse("f.yaml", bytes, out_root, error);
}

static AshYamlNode *must_parse(const char *text)
{
	g_autoptr(GError) error = NULL;
	AshYamlNode *root = NULL;
	gboolean ok = parse(text, &root, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	return root;
}

static void test_tree(void)
{
	g_autoptr(AshYaml) root = must_parse("a: 1\n"
					     "list:\n"
					     "  - x\n"
					     "  - \"1\"\n"
					     "  - ~\n"
					     "map: {é: 'b c', k: [z]}\n"
					     "text: |\n"
					     "  one\n"
					     "  two\n");

	g_assert_cmpint(root->kind, ==, ASH_YAML_MAP);
	g_assert_cmpuint(root->pairs->len, ==, 4);
	const AshYamlNode *list = ash_yaml_get(root, "list");
	g_assert_cmpint(list->kind, ==, ASH_YAML_LIST);
	g_assert_cmpuint(list->items->len, ==, 3);
	const AshYamlNode *x = list->items->pdata[0];
	g_assert_cmpstr(x->scalar, ==, "x");
	g_assert_true(x->is_plain);
	g_assert_cmpuint(x->line, ==, 3);
	g_assert_cmpuint(x->column, ==, 5);
	g_assert_cmpstr(x->file, ==, "f.yaml");
	const AshYamlNode *quoted = list->items->pdata[1];
	g_assert_false(quoted->is_plain);
	g_assert_cmpint(((AshYamlNode *) list->items->pdata[2])->kind, ==, ASH_YAML_NULL);

	/* Columns count characters, not bytes. */
	const AshYamlNode *map = ash_yaml_get(root, "map");
	const AshYamlPair *second = map->pairs->pdata[1];
	g_assert_cmpstr(second->key, ==, "k");
	g_assert_cmpuint(second->column, ==, 17);
	g_assert_cmpstr(ash_yaml_get(map, "é")->scalar, ==, "b c");
	g_assert_cmpstr(ash_yaml_get(root, "text")->scalar, ==, "one\ntwo\n");
	g_assert_null(ash_yaml_get(root, "missing"));
	g_assert_null(ash_yaml_get(list, "missing"));
}

static void test_empty(void)
{
	static const char *const texts[] = {"", "# only a comment\n", "---\n", "~", "null"};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(AshYaml) root = must_parse(texts[i]);
		g_assert_cmpint(root->kind, ==, ASH_YAML_NULL);
		g_assert_cmpuint(root->line, >=, 1);
	}
}

static void test_refused(void)
{
	static const struct {
		const char *text;
		AshYamlError code;
		const char *message;
	} cases[] = {
			{"a: {b: c", ASH_YAML_ERROR_SYNTAX, "f.yaml:2:1: not YAML"},
			{"a: b: c", ASH_YAML_ERROR_SYNTAX, "f.yaml:1:5: not YAML"},
			{"a: b\n\tc: d", ASH_YAML_ERROR_SYNTAX, "f.yaml:2:1: not YAML"},
			{"a: b\nc: \xff", ASH_YAML_ERROR_SYNTAX, "f.yaml:2:4: not YAML"},
			{"a: \x01", ASH_YAML_ERROR_SYNTAX, "f.yaml:1:4: not YAML"},
			{"a: \"x\\0y\"", ASH_YAML_ERROR_SYNTAX, "f.yaml:1:4: text holds a NUL"},
			{"\"\": x", ASH_YAML_ERROR_SYNTAX, "f.yaml:1:1: a key is missing"},
			{"a: 1\nb: 2\na: 3", ASH_YAML_ERROR_DUPLICATE,
					"f.yaml:3:1: key 'a' is here for the second time"},
			{"- {x: 1, x: 1}", ASH_YAML_ERROR_DUPLICATE, "f.yaml:1:10: key 'x'"},
			{"a: &x 1", ASH_YAML_ERROR_UNSUPPORTED, "f.yaml:1:4: anchors ('&x')"},
			{"a: *x", ASH_YAML_ERROR_UNSUPPORTED, "f.yaml:1:4: aliases ('*x')"},
			{"a: !!str 1", ASH_YAML_ERROR_UNSUPPORTED, "f.yaml:1:4: tags"},
			{"a: ! 1", ASH_YAML_ERROR_UNSUPPORTED, "f.yaml:1:4: tags"},
			{"%TAG !e! tag:e:\n---\na: 1", ASH_YAML_ERROR_UNSUPPORTED, ": tags"},
			{"a: 1\n---\nb: 2", ASH_YAML_ERROR_UNSUPPORTED,
					"f.yaml:2:1: a second document"},
			{"[a]: b", ASH_YAML_ERROR_UNSUPPORTED, "f.yaml:1:1: a key must be a word"},
			{"{a: b}: c", ASH_YAML_ERROR_UNSUPPORTED, "not a map"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		AshYamlNode *root = NULL;
		g_test_message("%s", cases[i].text);
		g_assert_false(parse(cases[i].text, &root, &error));
		g_assert_error(error, ASH_YAML_ERROR, (int) cases[i].code);
		if (strstr(error->message, cases[i].message) == NULL)
			g_error("'%s' lacks '%s'", error->message, cases[i].message);
		g_assert_null(root);
	}
}

static void assert_limit(GString *take_text, const char *message)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_string_free_to_bytes(take_text);
	AshYamlNode *root = NULL;

	g_assert_false(ash_yaml_parse("f.yaml", bytes, &root, &error));
	g_assert_error(error, ASH_YAML_ERROR, ASH_YAML_ERROR_LIMIT);
	g_assert_nonnull(strstr(error->message, message));
}

static GString *nested(size_t depth)
{
	GString *text = g_string_new(NULL);

	for (size_t i = 0; i < depth; i++)
		g_string_append_c(text, '[');
	for (size_t i = 0; i < depth; i++)
		g_string_append_c(text, ']');
	return text;
}

static void test_limits(void)
{
	g_autoptr(GString) deepest = nested(ASH_YAML_MAX_DEPTH);
	g_autoptr(AshYaml) root = must_parse(deepest->str);
	g_assert_cmpint(root->kind, ==, ASH_YAML_LIST);
	assert_limit(nested(ASH_YAML_MAX_DEPTH + 1), "f.yaml:1:33: nested more than 32 deep");
	/* libyaml looks ahead; that must not be where the time or the stack goes. */
	assert_limit(nested(100000), "nested");

	GString *many = g_string_new("[");
	for (int i = 0; i < ASH_YAML_MAX_NODES; i++)
		g_string_append(many, "a,");
	assert_limit(many, "more than 1000000 values");

	GString *big = g_string_sized_new(ASH_YAML_MAX_BYTES + 1);
	for (size_t i = 0; i <= ASH_YAML_MAX_BYTES; i++)
		g_string_append_c(big, ' ');
	assert_limit(big, "larger than 16777216 bytes");
}

/* A map so large that looking for duplicates one by one would take minutes. */
static void test_large_map(void)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(GError) error = NULL;
	AshYamlNode *none = NULL;

	for (int i = 0; i < 100000; i++)
		g_string_append_printf(text, "key%d: x\n", i);
	g_autoptr(AshYaml) root = must_parse(text->str);
	g_assert_cmpuint(root->pairs->len, ==, 100000);
	g_string_append(text, "key17: x\n");
	g_assert_false(parse(text->str, &none, &error));
	g_assert_error(error, ASH_YAML_ERROR, ASH_YAML_ERROR_DUPLICATE);
}

static void test_typed(void)
{
	g_autoptr(AshYaml) root = must_parse("t: true\nf: false\nq: \"true\"\ny: yes\n"
					     "n: 12\nz: 0\no: 012\nm: -1\nh: 0x10\nb: "
					     "99999999999999999999\nl: []\ne:\nqn: \"12\"\n");
	static const char *const not_bools[] = {"q", "y", "n", "l", "e"};
	static const char *const not_numbers[] = {"t", "o", "m", "h", "b", "l", "e", "qn"};
	bool flag = false;
	uint64_t number = 1;

	g_assert_true(ash_yaml_bool(ash_yaml_get(root, "t"), "'t'", &flag, NULL) && flag);
	g_assert_true(ash_yaml_bool(ash_yaml_get(root, "f"), "'f'", &flag, NULL) && !flag);
	for (size_t i = 0; i < G_N_ELEMENTS(not_bools); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_false(ash_yaml_bool(
				ash_yaml_get(root, not_bools[i]), "'it'", &flag, &error));
		g_assert_error(error, ASH_YAML_ERROR, ASH_YAML_ERROR_TYPE);
		g_assert_nonnull(strstr(error->message, "expected true or false"));
	}
	g_assert_true(ash_yaml_uint(ash_yaml_get(root, "n"), "'n'", 12, &number, NULL));
	g_assert_cmpuint(number, ==, 12);
	g_assert_true(ash_yaml_uint(ash_yaml_get(root, "z"), "'z'", 12, &number, NULL));
	g_assert_cmpuint(number, ==, 0);
	g_assert_false(ash_yaml_uint(ash_yaml_get(root, "n"), "'n'", 11, &number, NULL));
	for (size_t i = 0; i < G_N_ELEMENTS(not_numbers); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_false(ash_yaml_uint(ash_yaml_get(root, not_numbers[i]), "'it'", UINT64_MAX,
				&number, &error));
		g_assert_error(error, ASH_YAML_ERROR, ASH_YAML_ERROR_TYPE);
	}

	g_autofree char *text = NULL;
	g_autoptr(GError) error = NULL;
	g_assert_true(ash_yaml_string(ash_yaml_get(root, "o"), "'o'", &text, NULL));
	g_assert_cmpstr(text, ==, "012");
	g_assert_false(ash_yaml_string(ash_yaml_get(root, "l"), "'l'", &text, &error));
	g_assert_cmpstr(error->message, ==, "f.yaml:11:4: 'l' is a list, expected text");
}

static void test_quote(void)
{
	static const struct {
		const char *text;
		const char *quoted;
	} cases[] = {
			{"adduser", "adduser"},
			{"pool/main/a.deb", "pool/main/a.deb"},
			{"1.2.3-4+deb13u1", "1.2.3-4+deb13u1"},
			{"3.152", "\"3.152\""},
			{"1:2.3", "\"1:2.3\""},
			{"", "\"\""},
			{"no", "\"no\""},
			{"Null", "\"Null\""},
			{"0x1f", "\"0x1f\""},
			{"-x", "\"-x\""},
			{"a b", "\"a b\""},
			{"a\"\\\n\t", "\"a\\\"\\\\\\n\\t\""},
			{"\x7f", "\"\\U0000007F\""},
			{"é", "\"é\""},
			{"\xe2\x80\xa8 x", "\"\\U00002028 x\""},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *quoted = ash_yaml_quote(cases[i].text);
		g_assert_cmpstr(quoted, ==, cases[i].quoted);
		/* In a list it reads as what it was. */
		g_autofree char *list = g_strdup_printf("[%s]", quoted);
		g_autoptr(AshYaml) root = must_parse(list);
		const AshYamlNode *item = root->items->pdata[0];
		g_assert_cmpint(item->kind, ==, ASH_YAML_SCALAR);
		g_assert_cmpstr(item->scalar, ==, cases[i].text);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/yaml/tree", test_tree);
	g_test_add_func("/yaml/empty", test_empty);
	g_test_add_func("/yaml/refused", test_refused);
	g_test_add_func("/yaml/limits", test_limits);
	g_test_add_func("/yaml/large-map", test_large_map);
	g_test_add_func("/yaml/typed", test_typed);
	g_test_add_func("/yaml/quote", test_quote);
	return g_test_run();
}
