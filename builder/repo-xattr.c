/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "builder/repo.h"
#include "lib/error.h"

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

gboolean ash_repo_read_xattrs(int fd, const char *what, GVariant **out_xattrs, GError **error)
{
	char names[4096];
	ssize_t len = flistxattr(fd, names, sizeof names);
	g_autoptr(GPtrArray) sorted = g_ptr_array_new();

	if (len < 0 && errno != ENOTSUP)
		return ash_throw_errno(error, "listxattr(%s)", what);
	for (const char *name = names; name < names + len; name += strlen(name) + 1)
		if (!g_str_has_prefix(name, "trusted.overlay."))
			g_ptr_array_add(sorted, (gpointer) (uintptr_t) name);
	if (sorted->len == 0) {
		*out_xattrs = NULL;
		return TRUE;
	}
	g_ptr_array_sort(sorted, compare_names);
	g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(ayay)"));
	for (guint i = 0; i < sorted->len; i++) {
		char value[4096];
		const char *name = sorted->pdata[i];
		ssize_t n = fgetxattr(fd, name, value, sizeof value);
		if (n < 0)
			return ash_throw_errno(error, "getxattr(%s, %s)", what, name);
		g_variant_builder_add(&builder, "(@ay@ay)", g_variant_new_bytestring(name),
				g_variant_new_fixed_array(
						G_VARIANT_TYPE_BYTE, value, (gsize) n, 1));
	}
	*out_xattrs = g_variant_ref_sink(g_variant_builder_end(&builder));
	return TRUE;
}
