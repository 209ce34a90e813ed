/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/canonical.h"

#include <gio/gio.h>
#include <string.h>

#include "lib/json.h"

static char *canonical(const char *json, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(json, strlen(json));
	g_autoptr(JsonNode) node = NULL;
	char *text = NULL;

	g_assert_true(ash_json_parse(bytes, 1000, 32, &node, error));
	return ash_canonical_json(node, &text, error) ? text : NULL;
}

static void test_forms(void)
{
	static const struct {
		const char *json, *canonical;
	} cases[] = {
			{" { } ", "{}"},
			{"[ ]", "[]"},
			{"{\"b\": [1, -0, true, false, null], \"a\": {\"d\": \"\", \"c\": -12}}",
					"{\"a\":{\"c\":-12,\"d\":\"\"},\"b\":[1,0,true,false,null]}"},
			/* Bytes, not the reader's language: capitals first, umlauts last. */
			{"{\"b\":1,\"B\":2,\"\xc3\xa4\":3,\"aa\":4,\"a\":5,\"\":6}",
					"{\"\":6,\"B\":2,\"a\":5,\"aa\":4,\"b\":1,\"\xc3\xa4\":3}"},
			/* Two escapes, all else as it is. */
			{"\"\\\"\\\\\\/\\n\\t\\u0001\\u00e9\"", "\"\\\"\\\\/\n\t\001\xc3\xa9\""},
			{"{\"\\\"\": 1}", "{\"\\\"\":1}"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *text = canonical(cases[i].json, &error);

		g_assert_no_error(error);
		g_assert_cmpstr(text, ==, cases[i].canonical);
	}
}

static void test_fractions_are_refused(void)
{
	static const char *const cases[] = {"1.5", "[1e2]", "{\"a\":[-0.0]}"};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(canonical(cases[i], &error));
		g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/canonical/forms", test_forms);
	g_test_add_func("/canonical/fractions-are-refused", test_fractions_are_refused);
	return g_test_run();
}
