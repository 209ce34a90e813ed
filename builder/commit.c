/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/commit.h"

void ash_commit_free(AshCommit *commit)
{
	if (commit == NULL)
		return;
	g_free(commit->commit);
	g_free(commit->version);
	g_free(commit->name);
	g_free(commit->kind);
	g_free(commit->arch);
	g_free(commit->variant);
	g_free(commit->suite);
	g_free(commit->kernel_release);
	g_free(commit->manifest_digest);
	g_free(commit->lock_digest);
	g_strfreev(commit->kernel_arguments);
	g_clear_pointer(&commit->packages, g_ptr_array_unref);
	g_free(commit);
}

/* NULL for a missing or empty value. */
static char *lookup(GVariant *metadata, const char *key)
{
	g_autofree char *value = NULL;

	if (!g_variant_lookup(metadata, key, "s", &value) || *value == '\0')
		return NULL;
	return g_steal_pointer(&value);
}

static GPtrArray *lookup_packages(GVariant *metadata)
{
	g_autoptr(GPtrArray) packages =
			g_ptr_array_new_with_free_func((GDestroyNotify) g_hash_table_unref);
	g_autoptr(GVariant) list = g_variant_lookup_value(
			metadata, "ashlar.packages", G_VARIANT_TYPE("aa{ss}"));

	for (gsize i = 0, n = list == NULL ? 0 : g_variant_n_children(list); i < n; i++) {
		g_autoptr(GVariant) entry = g_variant_get_child_value(list, i);
		GHashTable *fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
		GVariantIter iter;
		char *key, *value;
		g_variant_iter_init(&iter, entry);
		while (g_variant_iter_next(&iter, "{ss}", &key, &value))
			g_hash_table_insert(fields, key, value);
		g_ptr_array_add(packages, fields);
	}
	return g_steal_pointer(&packages);
}

gboolean ash_commit_load(AshRepo *repo, const char *rev, AshCommit **out_commit, GError **error)
{
	g_autoptr(AshCommit) commit = g_new0(AshCommit, 1);
	g_autoptr(GVariant) metadata = NULL;

	if (!ash_repo_resolve(repo, rev, &commit->commit, error) ||
			!ash_repo_load_commit(repo, commit->commit, &metadata, NULL,
					&commit->timestamp_s, error))
		return FALSE;
	commit->version = lookup(metadata, "version");
	commit->name = lookup(metadata, "ashlar.name");
	commit->kind = lookup(metadata, "ashlar.kind");
	commit->arch = lookup(metadata, "ashlar.architecture");
	commit->variant = lookup(metadata, "ashlar.variant");
	commit->suite = lookup(metadata, "ashlar.suite");
	commit->kernel_release = lookup(metadata, "ostree.linux");
	commit->manifest_digest = lookup(metadata, "ashlar.manifest-digest");
	commit->lock_digest = lookup(metadata, "ashlar.lock-digest");
	if (!g_variant_lookup(
			    metadata, "ashlar.kernel-arguments", "^as", &commit->kernel_arguments))
		commit->kernel_arguments = g_new0(char *, 1);
	commit->packages = lookup_packages(metadata);
	*out_commit = g_steal_pointer(&commit);
	return TRUE;
}

static void add_string(GVariantDict *dict, const char *key, const char *value)
{
	g_variant_dict_insert(dict, key, "s", value != NULL ? value : "");
}

static int compare_keys(gconstpointer a, gconstpointer b)
{
	return g_strcmp0(a, b);
}

static int compare_entries(gconstpointer a, gconstpointer b)
{
	return g_strcmp0(*(const char *const *) a, *(const char *const *) b);
}

static GVariant *format_packages(const GPtrArray *packages)
{
	g_auto(GVariantBuilder) list = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{ss}"));

	for (guint i = 0; i < packages->len; i++) {
		GHashTable *fields = packages->pdata[i];
		g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(fields), compare_keys);
		g_variant_builder_open(&list, G_VARIANT_TYPE("a{ss}"));
		for (const GList *key = keys; key != NULL; key = key->next)
			g_variant_builder_add(&list, "{ss}", key->data,
					g_hash_table_lookup(fields, key->data));
		g_variant_builder_close(&list);
	}
	return g_variant_builder_end(&list);
}

/* A GVariantDict keeps its entries in the order of a hash table, which differs from run to run; the
 * metadata is part of the commit's checksum, so the keys are sorted.
 */
static GVariant *sort_entries(GVariant *take_dict)
{
	g_autoptr(GVariant) dict = g_variant_ref_sink(take_dict);
	g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
	g_auto(GVariantBuilder) sorted = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);
	GVariantIter iter;
	char *key;

	g_variant_iter_init(&iter, dict);
	while (g_variant_iter_next(&iter, "{sv}", &key, NULL))
		g_ptr_array_add(keys, key);
	g_ptr_array_sort(keys, compare_entries);
	for (guint i = 0; i < keys->len; i++) {
		g_autoptr(GVariant) value = g_variant_lookup_value(dict, keys->pdata[i], NULL);
		g_variant_builder_add(&sorted, "{sv}", keys->pdata[i], value);
	}
	return g_variant_builder_end(&sorted);
}

GVariant *ash_commit_metadata(const AshCommit *commit)
{
	static const char *const no_arguments[] = {NULL};
	g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

	add_string(&dict, "version", commit->version);
	add_string(&dict, "ashlar.name", commit->name);
	add_string(&dict, "ashlar.kind", commit->kind);
	add_string(&dict, "ashlar.architecture", commit->arch);
	add_string(&dict, "ashlar.variant", commit->variant);
	add_string(&dict, "ashlar.suite", commit->suite);
	add_string(&dict, "ashlar.manifest-digest", commit->manifest_digest);
	add_string(&dict, "ashlar.lock-digest", commit->lock_digest);
	if (commit->kernel_release != NULL) {
		add_string(&dict, "ostree.linux", commit->kernel_release);
		g_variant_dict_insert(&dict, "ostree.bootable", "b", TRUE);
	}
	g_variant_dict_insert(&dict, "ashlar.kernel-arguments", "^as",
			commit->kernel_arguments != NULL
					? (const char *const *) commit->kernel_arguments
					: no_arguments);
	if (commit->packages != NULL)
		g_variant_dict_insert_value(
				&dict, "ashlar.packages", format_packages(commit->packages));
	return sort_entries(g_variant_dict_end(&dict));
}

const char *ash_commit_package(const AshCommit *commit, guint index, const char *key)
{
	const char *value = g_hash_table_lookup(commit->packages->pdata[index], key);

	return value != NULL ? value : "";
}
