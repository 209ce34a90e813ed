/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <gio/gio.h>
#include <string.h>

#include "fleet/store/db.h"
#include "lib/error.h"
#include "lib/file.h"

/* For unit tests of what uses the database: each runs over SQLite, and over PostgreSQL when ASH_TEST_POSTGRES has its
 * address (without "postgres:"; tests/lib/postgres.bash starts one), in an empty database of its own each time.
 */

typedef struct {
	AshTempDir *dir;
	char *address;
	AshDbPool *pool;
} Store;

typedef void (*StoreTest)(Store *store);

static inline void store_must(gboolean ok, GError **error)
{
	g_assert_no_error(*error);
	g_assert_true(ok);
}

static inline AshDb *store_take(Store *store)
{
	g_autoptr(GError) error = NULL;
	AshDb *db = NULL;

	store_must(ash_db_pool_take(store->pool, &db, &error), &error);
	return db;
}

static inline void store_run(AshDb *db, const char *sql)
{
	g_autoptr(GError) error = NULL;

	store_must(ash_db_query_text(db, sql, NULL, NULL, NULL, &error), &error);
}

/* Of a literal. */
static inline int64_t store_int(AshDb *db, const char *sql)
{
	g_autoptr(GError) error = NULL;
	int64_t value = 0;

	store_must(ash_db_query_int(db, sql, NULL, NULL, &value, &error), &error);
	return value;
}

static inline void store_open(Store *store, bool is_migrated)
{
	g_autoptr(GError) error = NULL;

	store_must(ash_db_pool_open(store->address, 6, &store->pool, &error), &error);
	g_autoptr(AshDb) db = store_take(store);
	if (is_migrated)
		store_must(ash_db_migrate(db, &error), &error);
}

/* A PostgreSQL schema of this name, empty; its address. */
static inline char *store_postgres(const char *name)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDbPool) pool = NULL;
	const char *where = g_getenv("ASH_TEST_POSTGRES");
	g_autofree char *address = g_strdup_printf("postgres:%s", where);
	g_autofree char *drop = g_strdup_printf("DROP SCHEMA IF EXISTS %s CASCADE", name);
	g_autofree char *create = g_strdup_printf("CREATE SCHEMA %s", name);
	AshDb *db = NULL;

	store_must(ash_db_pool_open(address, 4, &pool, &error), &error);
	store_must(ash_db_pool_take(pool, &db, &error), &error);
	store_run(db, drop);
	store_run(db, create);
	ash_db_give(db);
	return g_strdup_printf("%s options=-csearch_path=%s", address, name);
}

static inline bool store_is_postgres(const Store *store)
{
	return g_str_has_prefix(store->address, "postgres:");
}

static inline void store_with(StoreTest test, bool is_postgres)
{
	g_autoptr(GError) error = NULL;
	Store store = {0};

	store_must(ash_temp_dir_new(g_get_tmp_dir(), "ash-store", &store.dir, &error), &error);
	if (is_postgres)
		store.address = store_postgres("ash_test");
	else
		store.address = g_strdup_printf("sqlite:%s/fleet.db", store.dir->path);
	store_open(&store, true);
	test(&store);
	ash_db_pool_free(store.pool);
	ash_temp_dir_free(store.dir);
	g_free(store.address);
}

static inline void store_with_sqlite(gconstpointer data)
{
	store_with(*(const StoreTest *) data, false);
}

static inline void store_with_postgres(gconstpointer data)
{
	store_with(*(const StoreTest *) data, true);
}

typedef struct {
	const char *name; /* "rows"; NULL ends the table */
	StoreTest test;
} StoreCase;

/* "/NOUN/sqlite/NAME" and "/NOUN/postgres/NAME" */
static inline void store_add(const char *noun, const StoreCase *cases)
{
	for (const StoreCase *test = cases; test->name != NULL; test++) {
		g_autofree char *sqlite = g_strdup_printf("/%s/sqlite/%s", noun, test->name);
		g_autofree char *postgres = g_strdup_printf("/%s/postgres/%s", noun, test->name);
		g_test_add_data_func(sqlite, &test->test, store_with_sqlite);
		if (g_getenv("ASH_TEST_POSTGRES") != NULL)
			g_test_add_data_func(postgres, &test->test, store_with_postgres);
	}
}
