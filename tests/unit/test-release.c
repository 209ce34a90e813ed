/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/release.h"

#include "lib/json.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

static char *document(const char *name, const char *variant, const char *version, char commit)
{
	g_autofree char *digits = g_strnfill(64, commit);

	return g_strdup_printf(
			"{\"type\":\"ashlar-release\",\"format\":1,\"name\":\"%s\",\"variant\":\"%s\","
			"\"architecture\":\"amd64\",\"version\":\"%s\",\"commit\":\"%s\","
			"\"replaces-min\":\"\",\"created\":\"2026-11-22T10:00:00Z\",\"size\":{"
			"\"bytes\":1,\"inodes\":1,\"boot-bytes\":1,\"archive-bytes\":1,"
			"\"largest-object-bytes\":1},\"deltas\":[],\"notes\":\"what changed\"}",
			name, variant, version, digits);
}

static gboolean add(AshDb *db, const char *text, const AshFleetReleaseContents *contents,
		int64_t *out_id, bool *out_is_new, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));

	if (!ash_db_begin(db, true, error))
		return FALSE;
	if (!ash_fleet_release_add(db, bytes, contents, false, 5, out_id, out_is_new, error) ||
			!ash_db_commit(db, error)) {
		ash_db_rollback(db);
		return FALSE;
	}
	return TRUE;
}

static int64_t must_add(AshDb *db, const char *name, const char *variant, const char *version,
		char commit, const char *packages)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *text = document(name, variant, version, commit);
	g_autoptr(JsonNode) node = json_from_string(packages, NULL);
	const AshFleetReleaseContents contents = {.packages = json_node_get_array(node)};
	int64_t id = 0;
	bool is_new = false;

	MUST(add(db, text, &contents, &id, &is_new, &error));
	g_assert_true(is_new);
	return id;
}

static void test_add(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	int64_t id = must_add(db, "host", "", "1.0", 'a', "[]");
	g_autofree char *same = document("host", "", "1.0", 'a');
	g_autofree char *other = document("host", "", "1.0", 'b');
	const AshFleetReleaseContents nothing = {0};
	int64_t again = 0;
	bool is_new = true;

	MUST(add(db, same, &nothing, &again, &is_new, &error));
	g_assert_false(is_new);
	g_assert_cmpint(again, ==, id);
	g_assert_false(add(db, other, &nothing, &again, &is_new, &error));
	g_assert_error(error, ASH_FLEET_RELEASE_ERROR, ASH_FLEET_RELEASE_ERROR_EXISTS);
	g_clear_error(&error);
	g_assert_false(add(db, "{}", &nothing, &again, &is_new, &error));
	g_assert_error(error, ASH_FLEET_RELEASE_ERROR, ASH_FLEET_RELEASE_ERROR_DOCUMENT);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM release"), ==, 1);
}

static void test_contents(Store *store)
{
	static const struct {
		const char *packages, *spdx, *cyclonedx;
	} bad[] = {
			{"[1]", NULL, NULL},
			{"[{\"version\":\"1\"}]", NULL, NULL},
			{"[{\"name\":\"a\"}]", NULL, NULL},
			{"[{\"name\":\"a\",\"version\":1}]", NULL, NULL},
			{"[]", "[]", NULL},
			{"[]", "{}", NULL},
			{"[]", "{\"spdxVersion\"", NULL},
			{"[]", NULL, "{\"spdxVersion\":\"SPDX-2.3\"}"},
	};
	g_autoptr(AshDb) db = store_take(store);
	g_autofree char *text = document("host", "", "1.0", 'a');

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(JsonNode) node = json_from_string(bad[i].packages, NULL);
		const AshFleetReleaseContents contents = {
				json_node_get_array(node), bad[i].spdx, bad[i].cyclonedx};
		int64_t id = 0;
		bool is_new = false;
		g_assert_false(add(db, text, &contents, &id, &is_new, &error));
		g_assert_error(error, ASH_FLEET_RELEASE_ERROR, ASH_FLEET_RELEASE_ERROR_DOCUMENT);
	}
	/* Nothing of it stayed. */
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM release"), ==, 0);

	g_autoptr(GError) error = NULL;
	g_autoptr(JsonArray) many = json_array_new();
	for (int i = 0; i <= ASH_FLEET_RELEASE_MAX_PACKAGES; i++)
		json_array_add_object_element(many, json_object_new());
	const AshFleetReleaseContents contents = {.packages = many};
	int64_t id = 0;
	bool is_new = false;
	g_assert_false(add(db, text, &contents, &id, &is_new, &error));
	g_assert_error(error, ASH_FLEET_RELEASE_ERROR, ASH_FLEET_RELEASE_ERROR_DOCUMENT);
}

static void assert_found(AshDb *db, const char *what, int64_t id)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshFleetRelease) release = NULL;

	MUST(ash_fleet_release_find(db, what, &release, &error));
	g_assert_cmpint(release->id, ==, id);
}

static void assert_not_found(AshDb *db, const char *what, AshFleetReleaseError code)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshFleetRelease) release = NULL;

	g_assert_false(ash_fleet_release_find(db, what, &release, &error));
	g_assert_error(error, ASH_FLEET_RELEASE_ERROR, (int) code);
}

static void test_find(Store *store)
{
	g_autoptr(AshDb) db = store_take(store);
	int64_t plain = must_add(db, "host", "", "1.0", 'a', "[]");
	int64_t debug = must_add(db, "host", "debug", "1.0", 'b', "[]");
	int64_t next = must_add(db, "host", "", "1.1", 'c', "[]");
	g_autofree char *number = g_strdup_printf("%" G_GINT64_FORMAT, debug);

	assert_found(db, number, debug);
	assert_found(db, "1.1", next);
	assert_found(db, "host/1.1", next);
	assert_found(db, "host-debug/1.0", debug);
	assert_not_found(db, "1.0", ASH_FLEET_RELEASE_ERROR_AMBIGUOUS);
	assert_not_found(db, "host/1.0", ASH_FLEET_RELEASE_ERROR_AMBIGUOUS);
	assert_not_found(db, "2.0", ASH_FLEET_RELEASE_ERROR_NOT_FOUND);
	assert_not_found(db, "other/1.1", ASH_FLEET_RELEASE_ERROR_NOT_FOUND);
	assert_not_found(db, "999", ASH_FLEET_RELEASE_ERROR_NOT_FOUND);
	assert_not_found(db, "", ASH_FLEET_RELEASE_ERROR_NOT_FOUND);
	/* A number is an id before it is a version. */
	g_autofree char *first = g_strdup_printf("%" G_GINT64_FORMAT, plain);
	must_add(db, "host", "", first, 'd', "[]");
	assert_found(db, first, plain);
}

static void put(const AshFleetReleaseDifference *difference, gpointer data)
{
	g_string_append_printf(data, "%s/%s %s→%s\n", difference->name, difference->arch,
			difference->from != NULL ? difference->from : "",
			difference->to != NULL ? difference->to : "");
}

static void test_diff(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(GString) text = g_string_new(NULL);
	int64_t a = must_add(db, "host", "", "1.0", 'a',
			"[{\"name\":\"libc6\",\"version\":\"2.41-11\",\"arch\":\"amd64\"},"
			"{\"name\":\"libc6\",\"version\":\"2.41-11\",\"arch\":\"i386\"},"
			"{\"name\":\"gone\",\"version\":\"1\",\"arch\":\"all\"},"
			"{\"name\":\"same\",\"version\":\"1\",\"arch\":\"all\"}]");
	int64_t b = must_add(db, "host", "", "1.1", 'b',
			"[{\"name\":\"libc6\",\"version\":\"2.41-12\",\"arch\":\"amd64\"},"
			"{\"name\":\"libc6\",\"version\":\"2.41-11\",\"arch\":\"i386\"},"
			"{\"name\":\"new\",\"version\":\"3\",\"arch\":\"all\"},"
			"{\"name\":\"same\",\"version\":\"1\",\"arch\":\"all\"}]");

	MUST(ash_fleet_release_diff(db, a, b, put, text, &error));
	g_assert_cmpstr(text->str, ==, "gone/all 1→\nlibc6/amd64 2.41-11→2.41-12\nnew/all →3\n");
	g_string_truncate(text, 0);
	MUST(ash_fleet_release_diff(db, a, a, put, text, &error));
	g_assert_cmpstr(text->str, ==, "");
}

static void test_compare(void)
{
	static const struct {
		const char *a, *b;
		int order;
	} cases[] = {
			{"1.0", "1.0", 0},
			{"1.0~rc1", "1.0", -1},
			{"1.9", "1.10", -1},
			{"1:0.1", "9.9", 1},
			{"0:1.0", "1.0", 0},
			{"2:1.0", "10:0.1", -1},
			{"1.0-1", "1.0-1+deb13u1", -1},
			{"2.41-12", "2.41-9", 1},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		int order = ash_fleet_release_compare_packages(cases[i].a, cases[i].b);
		g_assert_cmpint((order > 0) - (order < 0), ==, cases[i].order);
		order = ash_fleet_release_compare_packages(cases[i].b, cases[i].a);
		g_assert_cmpint((order > 0) - (order < 0), ==, -cases[i].order);
	}
}

int main(int argc, char **argv)
{
	static const StoreCase cases[] = {
			{"add", test_add},
			{"contents", test_contents},
			{"find", test_find},
			{"diff", test_diff},
			{NULL, NULL},
	};

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/release/compare", test_compare);
	store_add("release", cases);
	return g_test_run();
}
