/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fleet/rollout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keep_line(const char *text, gpointer data)
{
	g_ptr_array_add(data, g_strdup(text));
}

static AshRolloutSpec *spec_new(bool has_budget)
{
	AshRolloutSpec *spec = ash_rollout_spec_new();

	if (has_budget) {
		AshRolloutBudget *budget = g_new0(AshRolloutBudget, 1);
		budget->label = g_strdup("site");
		budget->max = 2;
		g_ptr_array_add(spec->budgets, budget);
	}
	spec->soak_s = 10;
	ash_rollout_spec_plan(spec, 20, 0);
	return spec;
}

typedef struct {
	const GPtrArray *lines;
	guint at;
} Reader;

static const char *next_line(gpointer data, GError **error)
{
	Reader *reader = data;

	return reader->at < reader->lines->len ? reader->lines->pdata[reader->at++] : NULL;
}

/* Lines that anybody wrote are fed one by one. What comes of them is a ledger, and replaying it agrees. Written short:
 * "@N" stands for the 64 digits of host N.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *) data, MIN(size, (size_t) 65536));
	g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
	AshRolloutSink sink = {.line = keep_line, .data = lines};
	bool has_budget = text[0] == 'b';
	g_autoptr(AshRollout) rollout = ash_rollout_new(spec_new(has_budget), &sink);
	g_auto(GStrv) parts = g_strsplit(text, "\n", 500);
	bool is_loaded = false;

	for (char **part = parts; *part != NULL; part++) {
		g_autoptr(GString) line = g_string_new(NULL);
		g_autoptr(GError) error = NULL;
		for (const char *at = *part; *at != '\0'; at++)
			if (*at == '@' && at[1] != '\0')
				g_string_append_printf(line, "%064x", (unsigned char) *++at);
			else
				g_string_append_c(line, *at);
		is_loaded = is_loaded || line->str[0] == '=';
		if (!ash_rollout_feed(rollout, line->str, &error))
			g_assert_true(error->domain == ASH_ROLLOUT_ERROR);
	}
	/* A state that was loaded is not of these lines. */
	if (is_loaded)
		return 0;
	g_autoptr(AshRollout) fresh = ash_rollout_new(spec_new(has_budget), NULL);
	Reader reader = {lines, 0};
	g_auto(AshRolloutReplay) replay = {0};
	g_assert_true(ash_rollout_replay(fresh, next_line, &reader, &replay, NULL));
	g_assert_true(replay.agrees);

	/* So does one that begins with a checkpoint of where it ended. */
	guint begin = lines->len;
	ash_rollout_checkpoint(rollout);
	Reader tail = {lines, begin};
	for (; tail.at < lines->len && !ash_rollout_is_checkpoint(lines->pdata[tail.at]);)
		tail.at++;
	AshRollout *loaded = NULL;
	g_assert_true(ash_rollout_load(spec_new(has_budget), next_line, &tail, &loaded, NULL));
	ash_rollout_free(loaded);
	return 0;
}
