/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/workload-target.h"

#include <string.h>

#include "lib/version.h"

char *ash_workload_target_path(const char *name, const char *version)
{
	return g_strdup_printf("workload/%s/%s.json", name, version);
}

/* "1.2" of "workload/NAME/1.2.json"; NULL when it is another's. */
static char *version_of(const AshTufTarget *target, const char *name)
{
	g_autofree char *prefix = g_strdup_printf("workload/%s/", name);

	if (!g_str_has_prefix(target->path, prefix) || !g_str_has_suffix(target->path, ".json"))
		return NULL;
	const char *begin = target->path + strlen(prefix);
	size_t length = strlen(begin);
	if (length < strlen(".json"))
		return NULL;
	g_autofree char *version = g_strndup(begin, length - strlen(".json"));
	return ash_version_is_valid(version) ? g_steal_pointer(&version) : NULL;
}

const AshTufTarget *ash_workload_target_choose(
		const GPtrArray *targets, const char *name, const char *wanted, char **out_version)
{
	const AshTufTarget *chosen = NULL;
	g_autofree char *highest = NULL;

	for (guint i = 0; i < targets->len; i++) {
		const AshTufTarget *target = targets->pdata[i];
		g_autofree char *version = version_of(target, name);
		if (version == NULL || (*wanted != '\0' && strcmp(version, wanted) != 0) ||
				(highest != NULL && ash_version_compare(version, highest) <= 0))
			continue;
		chosen = target;
		g_free(highest);
		highest = g_steal_pointer(&version);
	}
	if (chosen != NULL)
		*out_version = g_steal_pointer(&highest);
	return chosen;
}
