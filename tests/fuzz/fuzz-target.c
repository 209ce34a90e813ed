/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read is written, read again and written the same. */
static void try_release(GBytes *json)
{
	g_autoptr(AshRelease) release = NULL;
	g_autoptr(AshRelease) again = NULL;

	if (!ash_release_parse(json, &release, NULL))
		return;
	g_autofree char *text = ash_release_format(release);
	g_autoptr(GBytes) written = g_bytes_new_static(text, strlen(text));
	/* Escapes may make the text longer than its maximum. */
	if (strlen(text) > ASH_TARGET_MAX_BYTES)
		return;
	g_assert_true(ash_release_parse(written, &again, NULL));
	g_autofree char *text2 = ash_release_format(again);
	g_assert_cmpstr(text, ==, text2);
	for (guint i = 0; i < release->deltas->len; i++) {
		const AshTargetDelta *delta = release->deltas->pdata[i];
		g_assert_null(strstr(delta->path, ".."));
		g_assert_true(g_str_has_prefix(delta->path, "deltas/"));
	}
}

static void try_recall(GBytes *json)
{
	g_autoptr(AshRecall) recall = NULL;

	if (!ash_recall_parse(json, &recall, NULL))
		return;
	g_autofree char *text = ash_recall_format(recall);
	g_assert_nonnull(strstr(text, "ashlar-recall"));
}

/* A path, a NUL, and its custom. */
static void try_entry(const char *text, size_t size)
{
	const AshTargetHost host = {.name = "host", .variant = "", .arch = "amd64"};
	const char *custom = memchr(text, '\0', size);

	ash_target_entry_free(ash_target_entry_new(
			&host, text, custom == NULL || custom == text + size ? NULL : custom + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) json = g_bytes_new(data, size);
	g_autofree char *text = g_malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	try_release(json);
	try_recall(json);
	try_entry(text, size);
	return 0;
}
