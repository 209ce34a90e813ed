/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/route.h"

#include <string.h>

#include "fleet/content.h"
#include "fleet/router.h"
#include "lib/json.h"

static const AshRoute first[] = {
		{"GET", "/", ASH_ROLE_NONE, "", NULL},
		{"GET", "/v1/hosts", ASH_ROLE_VIEWER, "", NULL},
		{"GET", "/v1/hosts/{id}", ASH_ROLE_VIEWER, "", NULL},
		{"POST", "/v1/hosts/{id}", ASH_ROLE_ADMIN, "", NULL},
		{"GET", "/v1/hosts/count", ASH_ROLE_VIEWER, "", NULL},
		{"GET", "/v1/hosts/{id}/why", ASH_ROLE_VIEWER, "", NULL},
		{NULL},
};
static const AshRoute second[] = {
		{"DELETE", "/v1/hosts/{id}", ASH_ROLE_ADMIN, "", NULL},
		{"GET", "/content/{path*}", ASH_ROLE_NONE, "", NULL},
		{"PUT", "/v1/hosts/{id}/{what}", ASH_ROLE_ADMIN, "", NULL},
		{NULL},
};
static const AshRoute *const some[] = {first, second, NULL};

static void test_match(void)
{
	static const struct {
		const char *method, *path;
		const char *pattern; /* NULL: none */
		const char *rest;    /* the parts, or what is allowed */
	} cases[] = {
			{"GET", "/", "/", ""},
			{"HEAD", "/", "/", ""},
			{"GET", "/v1/hosts", "/v1/hosts", ""},
			{"GET", "/v1/hosts/count", "/v1/hosts/count", ""},
			{"GET", "/v1/hosts/counts", "/v1/hosts/{id}", "counts"},
			{"POST", "/v1/hosts/count", "/v1/hosts/{id}", "count"},
			{"DELETE", "/v1/hosts/a%2Fb", "/v1/hosts/{id}", "a/b"},
			{"GET", "/v1/hosts/a%252Fb/why", "/v1/hosts/{id}/why", "a%2Fb"},
			{"PUT", "/v1/hosts/a/b", "/v1/hosts/{id}/{what}", "a|b"},
			{"PUT", "/v1/hosts/a/why", "/v1/hosts/{id}/{what}", "a|why"},
			{"GET", "/content/a/b/c", "/content/{path*}", "a/b/c"},
			{"GET", "/content/a/../b", "/content/{path*}", "a/../b"},
			{"GET", "/content/", NULL, NULL},
			{"GET", "/content", NULL, NULL},
			{"GET", "/v1/hosts/", NULL, NULL},
			{"GET", "//", NULL, NULL},
			{"GET", "", NULL, NULL},
			{"GET", "v1/hosts", NULL, NULL},
			{"GET", "/v1/hosts%00", NULL, NULL},
			{"PATCH", "/v1/hosts", NULL, "GET, HEAD"},
			{"PATCH", "/v1/hosts/x", NULL, "DELETE, GET, HEAD, POST"},
			{"get", "/v1/hosts", NULL, "GET, HEAD"},
			{"DELETE", "/v1/hosts/x/why", NULL, "GET, HEAD, PUT"},
	};
	g_autoptr(AshRouter) router = ash_router_new(some);

	g_assert_cmpuint(ash_router_count(router), ==, 9);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_auto(AshRouterMatch) match = {0};
		g_test_message("%s %s", cases[i].method, cases[i].path);
		ash_router_match(router, cases[i].method, cases[i].path, &match);
		if (cases[i].pattern == NULL) {
			g_assert_null(match.route);
			g_auto(GStrv) allow = g_strsplit(
					match.allow != NULL ? match.allow : "", ", ", -1);
			g_auto(GStrv) want = g_strsplit(
					cases[i].rest != NULL ? cases[i].rest : "", ", ", -1);
			g_assert_cmpuint(g_strv_length(allow), ==, g_strv_length(want));
			for (size_t j = 0; want[j] != NULL; j++)
				g_assert_true(g_strv_contains(
						(const char *const *) allow, want[j]));
			continue;
		}
		g_assert_nonnull(match.route);
		g_assert_cmpstr(match.route->pattern, ==, cases[i].pattern);
		g_assert_true(ash_router_at(router, match.index) == match.route);
		g_ptr_array_add(match.parts, NULL);
		g_autofree char *parts = g_strjoinv("|", (char **) match.parts->pdata);
		g_assert_cmpstr(parts, ==, cases[i].rest);
	}
}

static void test_long_paths(void)
{
	g_autoptr(AshRouter) router = ash_router_new(some);
	g_autoptr(GString) path = g_string_new("/content");
	g_auto(AshRouterMatch) match = {0};

	for (int i = 0; i < 900; i++)
		g_string_append(path, "/a");
	ash_router_match(router, "GET", path->str, &match);
	g_assert_nonnull(match.route);
	g_assert_cmpstr(g_ptr_array_index(match.parts, 0), ==, path->str + strlen("/content/"));
	ash_router_match_clear(&match);
	g_string_append(path, "/b");
	while (path->len <= ASH_ROUTER_MAX_PATH)
		g_string_append_c(path, 'c');
	ash_router_match(router, "GET", path->str, &match);
	g_assert_null(match.route);
	g_assert_null(match.allow);
}

static bool is_known_type(const char *types)
{
	static const char *const known[] = {
			"integer", "number", "string", "boolean", "object", "array", "any", NULL};
	g_auto(GStrv) list = g_strsplit(types, "|", -1);

	for (size_t i = 0; list[i] != NULL; i++)
		if (!g_strv_contains(known, list[i]))
			return false;
	return list[0] != NULL;
}

static void check_members(const AshRouteMember *member)
{
	for (; member != NULL && member->name != NULL; member++)
		g_assert_true(is_known_type(member->type));
}

/* What the table promises by its form alone. */
static void test_table(void)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (size_t i = 0; ash_routes[i] != NULL; i++)
		for (const AshRoute *route = ash_routes[i]; route->method != NULL; route++) {
			char *key = g_strdup_printf("%s %s", route->method, route->pattern);
			g_test_message("%s", key);
			g_assert_true(g_hash_table_add(seen, key));
			g_assert_nonnull(route->run);
			g_assert_true(route->summary != NULL && route->summary[0] != '\0');
			/* Network threads know hosts by their certificates, and no operators. */
			g_assert_true(!route->is_direct || route->role <= ASH_ROLE_HOST);
			/* Hosts are told by certificates before anything of theirs is read. */
			check_members(route->arguments);
			check_members(route->members);
			if (route->answer == NULL)
				continue;
			g_autoptr(GBytes) bytes =
					g_bytes_new_static(route->answer, strlen(route->answer));
			g_autoptr(JsonNode) node = NULL;
			g_autoptr(GError) error = NULL;
			g_assert_true(ash_json_parse(bytes, 1 << 20, 32, &node, &error));
			g_assert_no_error(error);
		}
}

static void test_openapi(void)
{
	g_autofree char *text = ash_route_openapi(ash_routes);
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) error = NULL;
	size_t operations = 0, routes = 0;

	g_assert_true(ash_json_parse(bytes, 16 << 20, 32, &node, &error));
	g_assert_no_error(error);
	JsonObject *paths = ash_json_find_object(json_node_get_object(node), "paths");
	g_autoptr(GList) values = json_object_get_values(paths);
	for (GList *at = values; at != NULL; at = at->next)
		operations += json_object_get_size(json_node_get_object(at->data));
	for (size_t i = 0; ash_routes[i] != NULL; i++)
		for (const AshRoute *route = ash_routes[i]; route->method != NULL; route++)
			routes++;
	g_assert_cmpuint(operations, ==, routes);
	JsonObject *health = ash_json_find_object(paths, "/healthz");
	g_assert_cmpstr(ash_json_find_text(ash_json_find_object(health, "get"), "x-role"), ==,
			"none");
}

static void test_content(void)
{
	static const struct {
		const char *path;
		bool is_valid, is_forever;
	} cases[] = {
			{"metadata/timestamp.json", true, false},
			{"metadata/12.root.json", true, true},
			{"repo/objects/ab/cdef.filez", true, true},
			{"repo/refs/heads/host/stable", true, false},
			{"../ca.key", false, false},
			{"a/../../ca.key", false, false},
			{"a//b", false, false},
			{"/etc/passwd", false, false},
			{".git/config", false, false},
			{"a/.hidden", false, false},
			{"", false, false},
			{"a/", false, false},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_test_message("%s", cases[i].path);
		g_assert_true(ash_content_path_is_valid(cases[i].path) == cases[i].is_valid);
		bool is_forever = strstr(ash_content_cache(cases[i].path), "immutable") != NULL;
		if (cases[i].is_valid)
			g_assert_true(is_forever == cases[i].is_forever);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/route/match", test_match);
	g_test_add_func("/route/long-paths", test_long_paths);
	g_test_add_func("/route/table", test_table);
	g_test_add_func("/route/openapi", test_openapi);
	g_test_add_func("/route/content", test_content);
	return g_test_run();
}
