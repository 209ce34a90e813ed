/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "builder/license.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever comes in: an expression in the letters that SPDX knows, with its parentheses in pairs. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = ash_license_expression((const char *) data, size);
	int depth = 0;

	for (const char *p = text; *p != '\0'; p++) {
		g_assert_true(g_ascii_isalnum(*p) || *p == '-' || *p == '.' || *p == ' ' ||
				*p == '(' || *p == ')');
		depth += (*p == '(') - (*p == ')');
		g_assert_cmpint(depth, >=, 0);
	}
	g_assert_cmpint(depth, ==, 0);
	return 0;
}
