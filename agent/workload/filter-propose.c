/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/workload/filter-list.h"
#include "agent/workload/filter.h"

static bool is_always(const char *name)
{
	return g_strv_contains(ash_filter_always, name);
}

static void add_line(GString *text, char mark, const char *name)
{
	g_string_append_printf(text, "%c    - %s\n", mark, name);
}

/* Both sorted: one walk. */
static void merge(GString *text, char *const *now, char *const *wanted)
{
	while (*now != NULL || *wanted != NULL) {
		int order = *now == NULL ? 1 : *wanted == NULL ? -1 : strcmp(*now, *wanted);
		const char *name = order <= 0 ? *now : *wanted;
		if (!is_always(name))
			add_line(text, order == 0 ? ' ' : order < 0 ? '-' : '+', name);
		now += order <= 0;
		wanted += order >= 0;
	}
}

char *ash_filter_propose(const AshFilterPolicy *policy, char *const *recorded)
{
	g_autoptr(GString) text = g_string_new(NULL);
	static char *none[] = {NULL};
	bool is_list = policy->only != NULL;

	if (is_list) {
		g_auto(GStrv) now = ash_filter_calls(policy);
		g_string_append(text, " system-calls:\n   only:\n");
		merge(text, now, recorded);
		return strpbrk(text->str, "+-") == NULL ||
						       (strstr(text->str, "\n-") == NULL &&
								       strstr(text->str, "\n+") ==
										       NULL)
				       ? g_strdup("")
				       : g_string_free(g_steal_pointer(&text), FALSE);
	}
	g_string_append(text, "-system-calls: default\n+system-calls:\n+  only:\n");
	merge(text, none, recorded);
	return g_string_free(g_steal_pointer(&text), FALSE);
}
