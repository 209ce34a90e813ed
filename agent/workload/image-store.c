/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/image-store.h"

static gboolean make_file(gpointer data, const AshOstreeOwner *owner, uint64_t size,
		AshOstreeSource source, gpointer source_data, char **out_hex, GError **error)
{
	return ash_ostree_make_file(data, owner, size, source, source_data, out_hex, error);
}

static gboolean make_link(gpointer data, const AshOstreeOwner *owner, const char *target,
		char **out_hex, GError **error)
{
	return ash_ostree_make_link(data, owner, target, out_hex, error);
}

static gboolean make_dirmeta(
		gpointer data, const AshOstreeOwner *owner, char **out_hex, GError **error)
{
	return ash_ostree_make_dirmeta(data, owner, out_hex, error);
}

static gboolean make_dirtree(gpointer data, GPtrArray *entries, char **out_hex, GError **error)
{
	return ash_ostree_make_dirtree(data, entries, out_hex, error);
}

static gboolean load_dirtree(gpointer data, const char *hex, AshOstreeEach each, gpointer each_data,
		GError **error)
{
	return ash_ostree_load_dirtree(data, hex, each, each_data, error);
}

static gboolean load_link(gpointer data, const char *hex, char **out_target, GError **error)
{
	return ash_ostree_load_link(data, hex, out_target, error);
}

void ash_image_store_init(AshImageStore *store, AshOstree *repo)
{
	*store = (AshImageStore){.make_file = make_file,
			.make_link = make_link,
			.make_dirmeta = make_dirmeta,
			.make_dirtree = make_dirtree,
			.load_dirtree = load_dirtree,
			.load_link = load_link,
			.data = repo};
}
