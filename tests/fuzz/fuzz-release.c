/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "builder/apt.h"
#include "builder/deb-release.h"
#include "builder/source.h"

enum {
	MAX_BYTES = 1 << 16
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Release files, gpgv's status lines, and both formats of apt sources. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDebRelease) release = NULL;
	g_autoptr(GBytes) body = NULL;

	if (size > MAX_BYTES)
		return 0;
	/* NUL-terminated behind its end, as everything that is read or fetched. */
	g_autofree char *text = g_strndup((const char *) data, size);
	g_autofree char *copy = g_malloc(size + 1);
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	g_autoptr(GBytes) bytes = g_bytes_new_static(copy, size);

	if (ash_deb_release_parse("Release", bytes, &release, &error))
		g_assert(ash_deb_release_find(release, "\n") == NULL);
	g_clear_error(&error);
	if (ash_deb_release_strip_signature("InRelease", bytes, &body, &error))
		g_assert(g_bytes_get_size(body) < size);
	g_clear_error(&error);
	if (!ash_deb_release_judge_status("InRelease", text, "keyring", &error))
		g_clear_error(&error);

	g_autoptr(GPtrArray) entries = ash_apt_entries_new();
	if (!ash_apt_parse_list("a.list", bytes, entries, &error))
		g_clear_error(&error);
	if (!ash_apt_parse_sources("a.sources", bytes, entries, &error))
		g_clear_error(&error);
	for (guint i = 0; i < entries->len; i++) {
		const AshAptEntry *entry = g_ptr_array_index(entries, i);
		g_autofree char *suite = ash_source_map_suite(entry->suite, "trixie");
		g_assert(suite == NULL || g_str_has_prefix(suite, "trixie"));
	}
	return 0;
}
