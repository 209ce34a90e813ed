/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/target.h"
#include "lib/version.h"

/* The policy: which of the signed releases a host takes. */

typedef struct {
	const char *running; /* version; "" when the host does not know its own */
	const GPtrArray *entries;
	const char *(*is_bad)(const char *commit, gconstpointer data);
	gconstpointer data;
} Choice;

void ash_target_refusal_free(AshTargetRefusal *refusal)
{
	if (refusal == NULL)
		return;
	g_free(refusal->version);
	g_free(refusal->commit);
	g_free(refusal->text);
	g_free(refusal);
}

static const AshTargetEntry *find_recall(const Choice *choice, const char *version)
{
	for (guint i = 0; i < choice->entries->len; i++) {
		const AshTargetEntry *entry = choice->entries->pdata[i];
		if (entry->is_recall && ash_version_compare(entry->version, version) == 0)
			return entry;
	}
	return NULL;
}

/* Why @release may not be taken, "lower" and "same" apart; NULL: it may. */
static const char *find_flaw(const Choice *choice, const AshTargetEntry *release, char **out_text)
{
	const char *min = release->replaces_min;
	const char *bad = choice->is_bad != NULL ? choice->is_bad(release->commit, choice->data)
						 : NULL;

	if (find_recall(choice, release->version) != NULL) {
		*out_text = g_strdup_printf("%s is recalled", release->version);
		return "recalled";
	}
	if (bad != NULL && strcmp(bad, "held") == 0) {
		*out_text = g_strdup_printf(
				"%s was left by an operator of this host", release->version);
		return "held";
	}
	if (bad != NULL) {
		*out_text = g_strdup_printf("%s failed on this host", release->version);
		return "bad";
	}
	if (*min != '\0' && ash_version_compare(choice->running, min) < 0) {
		*out_text = g_strdup_printf("%s replaces %s and later, and %s is running",
				release->version, min,
				*choice->running != '\0' ? choice->running : "an unknown version");
		return "replaces-min";
	}
	return NULL;
}

/* The same with the order of versions: a host goes up by itself. */
static const char *find_refusal(
		const Choice *choice, const AshTargetEntry *release, char **out_text)
{
	int order = ash_version_compare(release->version, choice->running);

	if (order == 0) {
		*out_text = g_strdup_printf("%s is running", release->version);
		return "same";
	}
	const char *flaw = find_flaw(choice, release, out_text);
	if (flaw == NULL && order < 0) {
		*out_text = g_strdup_printf(
				"%s is lower than %s, which is running, and no recall leads to it",
				release->version, choice->running);
		return "lower";
	}
	return flaw;
}

/* The release that a recall of the running version names, or -1. */
static int find_recalled_to(const Choice *choice)
{
	const AshTargetEntry *recall = find_recall(choice, choice->running);

	if (recall == NULL || *recall->to == '\0')
		return -1;
	for (guint i = 0; i < choice->entries->len; i++) {
		const AshTargetEntry *entry = choice->entries->pdata[i];
		g_autofree char *text = NULL;
		if (!entry->is_recall && ash_version_compare(entry->version, recall->to) == 0 &&
				ash_version_compare(entry->version, choice->running) != 0 &&
				find_flaw(choice, entry, &text) == NULL)
			return (int) i;
	}
	return -1;
}

static bool is_wanted(const AshTargetEntry *entry, const char *wanted)
{
	return wanted == NULL || ash_version_compare(entry->version, wanted) == 0;
}

static int compare_refusals(gconstpointer a, gconstpointer b)
{
	const AshTargetRefusal *const *ra = a;
	const AshTargetRefusal *const *rb = b;
	int order = ash_version_compare((*rb)->version, (*ra)->version);

	return order != 0 ? order : strcmp((*rb)->version, (*ra)->version);
}

static GPtrArray *list_refusals(const Choice *choice, const char *wanted, int chosen)
{
	GPtrArray *refusals =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_target_refusal_free);

	for (guint i = 0; i < choice->entries->len; i++) {
		const AshTargetEntry *entry = choice->entries->pdata[i];
		g_autofree char *text = NULL;
		if (entry->is_recall || (int) i == chosen || !is_wanted(entry, wanted))
			continue;
		const char *reason = find_refusal(choice, entry, &text);
		/* It could be taken, and another is newer. */
		if (reason == NULL)
			continue;
		AshTargetRefusal *refusal = g_new0(AshTargetRefusal, 1);
		refusal->version = g_strdup(entry->version);
		refusal->commit = g_strdup(entry->commit);
		refusal->reason = reason;
		refusal->text = g_steal_pointer(&text);
		g_ptr_array_add(refusals, refusal);
	}
	g_ptr_array_sort(refusals, compare_refusals);
	return refusals;
}

/* The highest version above the running one that may be taken, or -1. */
static int find_newest(const Choice *choice, const char *wanted)
{
	int newest = -1;

	for (guint i = 0; i < choice->entries->len; i++) {
		const AshTargetEntry *entry = choice->entries->pdata[i];
		g_autofree char *text = NULL;
		if (entry->is_recall || !is_wanted(entry, wanted) ||
				find_refusal(choice, entry, &text) != NULL)
			continue;
		const AshTargetEntry *best = newest < 0 ? NULL : choice->entries->pdata[newest];
		if (best == NULL || ash_version_compare(entry->version, best->version) > 0)
			newest = (int) i;
	}
	return newest;
}

void ash_target_choose(const AshTargetHost *host, const GPtrArray *entries,
		const char *(*is_bad)(const char *commit, gconstpointer data), gconstpointer data,
		const char *wanted, int *out_index, bool *out_is_recall, GPtrArray **out_refusals)
{
	bool is_known = host->version != NULL && ash_version_is_valid(host->version);
	const Choice choice = {
			.running = is_known ? host->version : "",
			.entries = entries,
			.is_bad = is_bad,
			.data = data,
	};
	int index = find_recalled_to(&choice);

	if (index >= 0 && !is_wanted(entries->pdata[index], wanted))
		index = -1;
	if (index < 0)
		index = find_newest(&choice, wanted);
	*out_is_recall = false;
	if (index >= 0) {
		const AshTargetEntry *entry = entries->pdata[index];
		*out_is_recall = ash_version_compare(entry->version, choice.running) < 0;
	}
	*out_index = index;
	if (out_refusals != NULL)
		*out_refusals = list_refusals(&choice, wanted, index);
}
