/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "agent/boot-entry.h"

/* The input is a file's name, a newline, and its text. What is read is written again and must then be
 * read as the same.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = memchr(data, '\n', size);

	if (newline == NULL || newline - data > 255 ||
			memchr(data, '\0', (size_t) (newline - data)) != NULL)
		return 0;
	size_t length = (size_t) (newline - data);
	g_autofree char *file = g_strndup((const char *) data, length);
	g_autoptr(GBytes) text = g_bytes_new(newline + 1, size - length - 1);
	g_autoptr(AshBootEntry) entry = NULL;
	g_autoptr(AshBootEntry) again = NULL;
	if (!ash_boot_entry_parse(file, text, &entry, NULL))
		return 0;
	g_autofree char *written = ash_boot_entry_format(entry);
	g_autofree char *name = ash_boot_entry_rename(file, entry->tries_left, entry->tries_done);
	g_autoptr(GBytes) bytes = g_bytes_new(written, strlen(written));
	if (!ash_boot_entry_parse(name, bytes, &again, NULL))
		return 0;
	g_assert_cmpstr(again->commit, ==, entry->commit);
	g_assert_cmpuint(again->generation, ==, entry->generation);
	g_assert_cmpint(again->tries_left, ==, entry->tries_left);
	g_autofree char *same = ash_boot_entry_format(again);
	g_assert_cmpstr(same, ==, written);
	g_assert_cmpint(ash_boot_entry_compare(entry, again), ==,
			-ash_boot_entry_compare(again, entry));
	const char *const arguments[] = {"quiet", NULL};
	g_autofree char *options G_GNUC_UNUSED = ash_boot_entry_options(
			entry->options, arguments, arguments, "0", entry->serial);
	return 0;
}
