/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json.h"

#include <string.h>

enum {
	DEPTH = 4,
	BYTES = 1000
};

static JsonNode *parse(const char *text, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	JsonNode *node = NULL;

	return ash_json_parse(bytes, BYTES, DEPTH, &node, error) ? node : NULL;
}

static void test_values(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonNode) node =
			parse(" {\"a\": [1, -2, 0, true, false, null, 1.5e3],\r\n"
			      "\t\"b\\u00e9\\ud83d\\ude00\\n\": {}, \"\": \"\\\"\\\\\\/\"}\n",
					&error);

	g_assert_no_error(error);
	JsonObject *object = json_node_get_object(node);
	JsonArray *array = json_object_get_array_member(object, "a");
	g_assert_cmpuint(json_array_get_length(array), ==, 7);
	g_assert_cmpint(json_array_get_int_element(array, 1), ==, -2);
	g_assert_true(json_array_get_boolean_element(array, 3));
	g_assert_true(json_array_get_null_element(array, 5));
	g_assert_cmpfloat(json_array_get_double_element(array, 6), ==, 1500);
	g_assert_true(json_object_has_member(object, "b\xc3\xa9\xf0\x9f\x98\x80\n"));
	g_assert_cmpstr(json_object_get_string_member(object, ""), ==, "\"\\/");

	g_autoptr(JsonNode) limits = parse("[9223372036854775807,-9223372036854775808]", &error);
	g_assert_no_error(error);
	g_assert_cmpint(json_array_get_int_element(json_node_get_array(limits), 0), ==, G_MAXINT64);
	g_assert_cmpint(json_array_get_int_element(json_node_get_array(limits), 1), ==, G_MININT64);
}

static void test_refused(void)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
			{"", ASH_JSON_ERROR_SYNTAX},
			{" ", ASH_JSON_ERROR_SYNTAX},
			{"{", ASH_JSON_ERROR_SYNTAX},
			{"{}{}", ASH_JSON_ERROR_SYNTAX},
			{"[1,]", ASH_JSON_ERROR_SYNTAX},
			{"[,1]", ASH_JSON_ERROR_SYNTAX},
			{"[1 2]", ASH_JSON_ERROR_SYNTAX},
			{"{\"a\":1,}", ASH_JSON_ERROR_SYNTAX},
			{"{\"a\" 1}", ASH_JSON_ERROR_SYNTAX},
			{"{a:1}", ASH_JSON_ERROR_SYNTAX},
			{"{'a':1}", ASH_JSON_ERROR_SYNTAX},
			{"/* */ {}", ASH_JSON_ERROR_SYNTAX},
			{"01", ASH_JSON_ERROR_SYNTAX},
			{"+1", ASH_JSON_ERROR_SYNTAX},
			{"-", ASH_JSON_ERROR_SYNTAX},
			{"1.", ASH_JSON_ERROR_SYNTAX},
			{"1e", ASH_JSON_ERROR_SYNTAX},
			{"0x10", ASH_JSON_ERROR_SYNTAX},
			{"NaN", ASH_JSON_ERROR_SYNTAX},
			{"tru", ASH_JSON_ERROR_SYNTAX},
			{"truex", ASH_JSON_ERROR_SYNTAX},
			{"\"a", ASH_JSON_ERROR_SYNTAX},
			{"\"a\nb\"", ASH_JSON_ERROR_SYNTAX},
			{"\"\\x\"", ASH_JSON_ERROR_SYNTAX},
			{"\"\\u12\"", ASH_JSON_ERROR_SYNTAX},
			{"\"\\u0000\"", ASH_JSON_ERROR_SYNTAX},
			{"\"\\ud800\"", ASH_JSON_ERROR_SYNTAX},
			{"\"\\ud800\\u0041\"", ASH_JSON_ERROR_SYNTAX},
			{"\"\\udc00\"", ASH_JSON_ERROR_SYNTAX},
			{"\"\xff\"", ASH_JSON_ERROR_SYNTAX},
			{"{\"a\":1,\"a\":1}", ASH_JSON_ERROR_SYNTAX},
			{"{\"a\":1,\"\\u0061\":1}", ASH_JSON_ERROR_SYNTAX},
			{"9223372036854775808", ASH_JSON_ERROR_TYPE},
			{"-9223372036854775809", ASH_JSON_ERROR_TYPE},
			{"[[[[[1]]]]]", ASH_JSON_ERROR_LIMIT},
			{"{\"a\":[{\"a\":[{}]}]}", ASH_JSON_ERROR_LIMIT},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;

		g_test_message("%s", cases[i].text);
		g_assert_null(parse(cases[i].text, &error));
		g_assert_error(error, ASH_JSON_ERROR, cases[i].code);
	}
	g_autoptr(GBytes) with_nul = g_bytes_new_static("{\0}", 3);
	g_autoptr(GError) error = NULL;
	JsonNode *untouched = NULL;
	g_assert_false(ash_json_parse(with_nul, BYTES, DEPTH, &untouched, &error));
	g_assert_error(error, ASH_JSON_ERROR, ASH_JSON_ERROR_SYNTAX);
	g_assert_null(untouched);
}

static void test_limits(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonNode) deepest = parse("[[[[1]]]]", &error);
	JsonNode *untouched = NULL;

	g_assert_no_error(error);
	g_assert_nonnull(deepest);
	g_autofree char *long_text = g_strnfill(BYTES + 1, ' ');
	long_text[0] = '1';
	g_assert_null(parse(long_text, &error));
	g_assert_error(error, ASH_JSON_ERROR, ASH_JSON_ERROR_LIMIT);
	g_clear_error(&error);
	long_text[BYTES] = '\0';
	g_autoptr(JsonNode) longest = parse(long_text, &error);
	g_assert_no_error(error);
	g_assert_nonnull(longest);

	g_autoptr(GString) many = g_string_new("[0");
	for (size_t i = 0; i < ASH_JSON_MAX_VALUES; i++)
		g_string_append(many, ",0");
	g_string_append_c(many, ']');
	g_autoptr(GBytes) bytes = g_bytes_new_static(many->str, many->len);
	g_assert_false(ash_json_parse(bytes, many->len, DEPTH, &untouched, &error));
	g_assert_error(error, ASH_JSON_ERROR, ASH_JSON_ERROR_LIMIT);
}

static void test_messages_say_the_line(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(parse("{\n\"a\": 1,\n\"a\": 2}", &error));
	g_assert_cmpstr(error->message, ==, "line 3: an object names a member twice");
}

static void test_members(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonNode) node = parse(
			"{\"t\":\"x\",\"u\":5,\"i\":-5,\"b\":true,\"o\":{},\"a\":[],\"n\":null,\"f\":1.5}",
			&error);
	JsonObject *object = json_node_get_object(node);
	const char *text = NULL;
	uint64_t number = 7;
	int64_t integer = 7;
	bool flag = false;
	JsonObject *inner = NULL;
	JsonArray *array = NULL;

	g_assert_no_error(error);
	g_assert_true(ash_json_text(object, "t", &text, &error));
	g_assert_cmpstr(text, ==, "x");
	g_assert_true(ash_json_text_opt(object, "missing", &text, &error));
	g_assert_cmpstr(text, ==, "x");
	g_assert_true(ash_json_uint_opt(object, "missing", 9, &number, &error));
	g_assert_cmpuint(number, ==, 7);
	g_assert_true(ash_json_uint(object, "u", 5, &number, &error));
	g_assert_cmpuint(number, ==, 5);
	g_assert_true(ash_json_int_opt(object, "i", &integer, &error));
	g_assert_cmpint(integer, ==, -5);
	g_assert_true(ash_json_bool_opt(object, "b", &flag, &error));
	g_assert_true(flag);
	g_assert_true(ash_json_object(object, "o", &inner, &error));
	g_assert_nonnull(inner);
	g_assert_true(ash_json_array(object, "a", &array, &error));
	g_assert_nonnull(array);

	static const char *const not_uints[] = {"missing", "t", "i", "f", "n", "o", "b"};
	for (size_t i = 0; i < G_N_ELEMENTS(not_uints); i++) {
		g_assert_false(ash_json_uint(object, not_uints[i], 9, &number, &error));
		g_assert_error(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE);
		g_clear_error(&error);
	}
	g_assert_false(ash_json_uint(object, "u", 4, &number, &error));
	g_assert_error(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE);
	g_clear_error(&error);
	g_assert_false(ash_json_text_opt(object, "u", &text, &error));
	g_assert_error(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE);
	g_clear_error(&error);
	g_assert_false(ash_json_text_opt(object, "n", &text, &error));
	g_assert_error(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE);
	g_clear_error(&error);
	g_assert_false(ash_json_object(object, "a", &inner, &error));
	g_assert_error(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE);
	g_clear_error(&error);
	g_assert_false(ash_json_array(object, "missing", &array, &error));
	g_assert_cmpstr(error->message, ==, "'missing' is missing");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/json/values", test_values);
	g_test_add_func("/json/refused", test_refused);
	g_test_add_func("/json/limits", test_limits);
	g_test_add_func("/json/messages-say-the-line", test_messages_say_the_line);
	g_test_add_func("/json/members", test_members);
	return g_test_run();
}
