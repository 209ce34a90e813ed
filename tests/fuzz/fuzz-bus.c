/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "agent/bus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the method, the rest is its argument. */
static const char *const methods[] = {
		"GetStatus",
		"GetHealth",
		"GetHistory",
		"Why",
		"Check",
		"Update",
		"Rollback",
		"Bundle",
		"Pin",
		"Unpin",
		"Forgive",
		"OrderDone",
		"OrderProgress",
		"NoSuchMethod",
};

/* What was let through may be used as the name of a version, or opened. */
static void check_accepted(const char *method, const char *text, size_t size)
{
	g_assert_cmpuint(strlen(text), ==, size);
	g_assert_true(g_utf8_validate(text, (gssize) size, NULL));
	if (strcmp(method, "OrderDone") == 0) {
		g_assert_cmpuint(size, <=, ASH_BUS_MAX_ANSWER_BYTES);
		return;
	}
	for (size_t i = 0; i < size; i++)
		g_assert_false(g_ascii_iscntrl(text[i]));
	if (strcmp(method, "Bundle") == 0) {
		g_assert_true(text[0] == '/' && size <= ASH_BUS_MAX_PATH_BYTES);
		g_auto(GStrv) parts = g_strsplit(text, "/", -1);
		g_assert_false(g_strv_contains((const char *const *) parts, ".."));
	} else {
		g_assert_cmpuint(size, <=, 64);
		g_assert_null(strchr(text, '/'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GError) error = NULL;

	if (size < 1)
		return 0;
	const char *method = methods[data[0] % G_N_ELEMENTS(methods)];
	g_autofree char *text = g_strndup((const char *) data + 1, size - 1);
	/* Of what the bus hands over the length is that of the string; a NUL inside is tried too. */
	memcpy(text, data + 1, size - 1);
	if (ash_bus_argument_check(method, text, size - 1, &error))
		check_accepted(method, text, size - 1);
	else
		g_assert_error(error, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT);
	g_autofree char *printable = ash_bus_printable(text, 40);
	g_assert_cmpuint(strlen(printable), <=, 40);
	g_assert_true(g_utf8_validate(printable, -1, NULL));
	return 0;
}
