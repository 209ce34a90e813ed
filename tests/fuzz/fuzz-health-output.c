/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/health-run.h"
#include "lib/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max_bytes)
{
	g_assert(strlen(text) <= max_bytes);
	g_assert(g_utf8_validate(text, -1, NULL));
	for (const char *p = text; *p != '\0'; p = ash_text_next_char(p))
		g_assert(g_unichar_isprint(g_utf8_get_char(p)));
}

/* The first byte chooses how the check ended; the rest is what it printed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const results[] = {"success", "exit-code", "timeout", "signal",
			"core-dump", "oom-kill", "resources", "\x1b[31m\xff\n"};
	AshHealthCheck check = {.kind = ASH_HEALTH_COMMAND, .timeout_ms = 1000};
	g_autofree char *text = NULL;

	if (size == 0)
		return 0;
	const char *result = results[data[0] % G_N_ELEMENTS(results)];
	check.kind = data[0] & 0x80 ? ASH_HEALTH_TCP : ASH_HEALTH_COMMAND;
	/* A copy of its own, so that one byte too far is seen. */
	g_autofree char *output = g_memdup2(data + 1, size - 1);
	bool is_passing = ash_health_judge(&check, result, data[0] & 0x7f, output, size - 1, &text);
	g_assert(is_passing == (strcmp(result, "success") == 0));
	g_assert(*text != '\0');
	check_text(text, ASH_HEALTH_MAX_TEXT_BYTES + 50);
	g_autofree char *again = ash_health_clean_text(text, strlen(text));
	check_text(again, ASH_HEALTH_MAX_TEXT_BYTES);
	return 0;
}
