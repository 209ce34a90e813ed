/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const AshPair labels[] = {{"role", "web"}, {"site", "bern"}};
static const AshPair facts[] = {{"cpus", "4"}, {"kernel", "6.12.48"}, {"memory", "8589934592"}};

/* Whatever is accepted is written so that it is accepted again, means the same, and is written the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *) data, size);
	g_autoptr(AshSelector) selector = NULL, again = NULL;
	g_autoptr(GError) error = NULL;
	AshHost host = {.name = "edge-17",
			.agent_state = "",
			.verdict = "",
			.commit = "",
			.version = "1.0",
			.image = "",
			.variant = "",
			.arch = "",
			.rollout = "",
			.label_count = G_N_ELEMENTS(labels),
			.labels = labels,
			.fact_count = G_N_ELEMENTS(facts),
			.facts = facts};

	if (!ash_selector_parse(text, &selector, &error)) {
		g_assert(error != NULL && g_utf8_validate(error->message, -1, NULL));
		return 0;
	}
	g_autofree char *canonical = ash_selector_format(selector);
	g_assert(ash_selector_parse(canonical, &again, NULL));
	g_autofree char *same = ash_selector_format(again);
	g_assert(strcmp(same, canonical) == 0);
	g_assert(ash_selector_matches(selector, &host, 1) == ash_selector_matches(again, &host, 1));
	g_autoptr(AshSelector) both = ash_selector_and(selector, again);
	g_assert(ash_selector_matches(both, &host, 1) == ash_selector_matches(selector, &host, 1));
	return 0;
}
