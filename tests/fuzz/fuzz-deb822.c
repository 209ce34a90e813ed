/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "builder/deb822.h"

enum {
	MAX_BYTES = 1 << 14
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static gboolean on_paragraph(const AshParagraph *paragraph, gpointer closure, GError **error)
{
	size_t *total = closure;

	g_assert(paragraph->count > 0);
	for (size_t i = 0; i < paragraph->count; i++) {
		g_assert(paragraph->fields[i].line >= paragraph->line);
		*total += strlen(paragraph->fields[i].name) + strlen(paragraph->fields[i].value);
	}
	g_auto(GStrv) words = ash_paragraph_get_words(paragraph, paragraph->fields[0].name);
	g_assert(words != NULL);
	return TRUE;
}

/* The same text in one piece, and byte by byte, must give the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GError) whole_error = NULL;
	g_autoptr(GError) piece_error = NULL;
	size_t whole = 0;
	size_t pieces = 0;
	g_autoptr(AshDeb822) a = ash_deb822_new("a", MAX_BYTES, on_paragraph, &whole);
	g_autoptr(AshDeb822) b = ash_deb822_new("a", MAX_BYTES, on_paragraph, &pieces);

	if (size > MAX_BYTES)
		return 0;
	gboolean is_whole_ok = ash_deb822_feed(a, data, size, &whole_error) &&
			       ash_deb822_finish(a, &whole_error);
	gboolean is_piece_ok = TRUE;
	for (size_t i = 0; i < size && is_piece_ok; i++)
		is_piece_ok = ash_deb822_feed(b, data + i, 1, &piece_error);
	is_piece_ok = is_piece_ok && ash_deb822_finish(b, &piece_error);
	g_assert(is_whole_ok == is_piece_ok);
	if (is_whole_ok)
		g_assert(whole == pieces);
	return 0;
}
