/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/lock-diff.h"

#include <string.h>

static void change_free(gpointer data)
{
	AshLockChange *change = data;

	g_free(change->name);
	g_free(change->from);
	g_free(change->to);
	g_free(change);
}

static void add_change(GPtrArray *changes, const char *name, const char *from, const char *to)
{
	AshLockChange *change = g_new0(AshLockChange, 1);

	change->name = g_strdup(name);
	change->from = g_strdup(from);
	change->to = g_strdup(to);
	g_ptr_array_add(changes, change);
}

static int compare_changes(gconstpointer a, gconstpointer b)
{
	const AshLockChange *ca = *(const AshLockChange *const *) a;
	const AshLockChange *cb = *(const AshLockChange *const *) b;

	return strcmp(ca->name, cb->name);
}

static GHashTable *by_name(const AshLock *lock)
{
	GHashTable *table = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; lock != NULL && i < lock->packages->len; i++) {
		AshLockPackage *package = g_ptr_array_index(lock->packages, i);
		g_hash_table_insert(table, package->name, package);
	}
	return table;
}

GPtrArray *ash_lock_diff(const AshLock *before, const AshLock *after)
{
	GPtrArray *changes = g_ptr_array_new_with_free_func(change_free);
	g_autoptr(GHashTable) old = by_name(before);
	g_autoptr(GHashTable) new = by_name(after);

	for (guint i = 0; i < after->packages->len; i++) {
		const AshLockPackage *package = g_ptr_array_index(after->packages, i);
		const AshLockPackage *was = g_hash_table_lookup(old, package->name);
		if (was == NULL)
			add_change(changes, package->name, NULL, package->version);
		else if (!g_str_equal(was->sha256, package->sha256))
			add_change(changes, package->name, was->version, package->version);
	}
	for (guint i = 0; before != NULL && i < before->packages->len; i++) {
		const AshLockPackage *package = g_ptr_array_index(before->packages, i);
		if (!g_hash_table_contains(new, package->name))
			add_change(changes, package->name, package->version, NULL);
	}
	g_ptr_array_sort(changes, compare_changes);
	return changes;
}

char *ash_lock_default_path(const char *manifest_path, const char *variant)
{
	size_t length = strlen(manifest_path);

	if (g_str_has_suffix(manifest_path, ".yaml"))
		length -= strlen(".yaml");
	else if (g_str_has_suffix(manifest_path, ".yml"))
		length -= strlen(".yml");
	g_autofree char *stem = g_strndup(manifest_path, length);
	return variant != NULL ? g_strdup_printf("%s.%s.lock", stem, variant)
			       : g_strdup_printf("%s.lock", stem);
}
