/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/routes.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"
#include "lib/yaml.h"

G_DEFINE_QUARK(ash_routes_error_quark, ash_routes_error)

static void route_free(gpointer data)
{
	AshRoute *route = data;

	g_free(route->from);
	g_free(route->service);
	g_free(route->to);
	g_free(route->as);
	g_free(route);
}

AshRoutes *ash_routes_new(void)
{
	AshRoutes *routes = g_new0(AshRoutes, 1);

	routes->routes = g_ptr_array_new_with_free_func(route_free);
	return routes;
}

void ash_routes_free(AshRoutes *routes)
{
	if (routes == NULL)
		return;
	g_ptr_array_unref(routes->routes);
	g_free(routes);
}

/* ---- reading ---- */

static gboolean refuse(const AshYamlNode *node, GError **error, const char *what)
{
	return ash_yaml_throw(node, error, ASH_ROUTES_ERROR, ASH_ROUTES_ERROR_VALUE, "%s", what);
}

/* Services are named as workload(5) has it: letters, digits, '.', '-', '_'; calls have a dot. */
static bool is_service(const char *text)
{
	size_t size = strlen(text);

	return size >= 1 && size <= 128 && g_ascii_isalpha(text[0]) &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
			       size;
}

static gboolean read_route(const AshYamlNode *map, AshRoute *route, GError **error)
{
	static const char *const keys[] = {"from", "service", "to", "as", NULL};
	char **const fields[] = {&route->from, &route->service, &route->to, &route->as};

	if (map->kind != ASH_YAML_MAP)
		return refuse(map, error,
				"a route is a map: {from: web, service: db, to: postgres}");
	for (guint i = 0; i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		size_t k = 0;
		while (keys[k] != NULL && strcmp(keys[k], pair->key) != 0)
			k++;
		if (keys[k] == NULL) {
			g_autofree char *hint = ash_text_suggestion(pair->key, keys);
			return ash_yaml_throw(pair->value, error, ASH_ROUTES_ERROR,
					ASH_ROUTES_ERROR_VALUE, "a route has no key '%s'%s",
					pair->key, hint);
		}
		if (!ash_yaml_string(pair->value, pair->key, fields[k], error))
			return FALSE;
		bool is_workload = k == 0 || k == 2;
		if (!(is_workload ? ash_workload_is_name(*fields[k]) : is_service(*fields[k])))
			return ash_yaml_throw(pair->value, error, ASH_ROUTES_ERROR,
					ASH_ROUTES_ERROR_VALUE, "%s: '%s' is no name of a %s",
					pair->key, *fields[k],
					is_workload ? "workload" : "service");
	}
	if (route->from == NULL || route->service == NULL || route->to == NULL)
		return refuse(map, error, "a route needs 'from', 'service' and 'to'");
	if (route->as == NULL)
		route->as = g_strdup(route->service);
	return TRUE;
}

static gboolean read_routes(const AshYamlNode *root, AshRoutes *routes, GError **error)
{
	if (root->kind == ASH_YAML_NULL)
		return TRUE;
	const AshYamlNode *list = root->kind == ASH_YAML_MAP ? ash_yaml_get(root, "routes") : NULL;
	if (list == NULL || root->pairs->len != 1 ||
			(list->kind != ASH_YAML_LIST && list->kind != ASH_YAML_NULL))
		return refuse(root, error, "expected one key, 'routes', with a list");
	guint count = list->kind == ASH_YAML_LIST ? list->items->len : 0;
	if (count > ASH_ROUTES_MAX)
		return ash_yaml_throw(list, error, ASH_ROUTES_ERROR, ASH_ROUTES_ERROR_LIMIT,
				"more than %d routes", ASH_ROUTES_MAX);
	for (guint i = 0; i < count; i++) {
		AshRoute *route = g_new0(AshRoute, 1);
		const AshYamlNode *item = list->items->pdata[i];
		gboolean ok = read_route(item, route, error);
		if (ok && ash_routes_find(routes, route->from, route->service) != NULL)
			ok = ash_yaml_throw(item, error, ASH_ROUTES_ERROR, ASH_ROUTES_ERROR_VALUE,
					"service '%s' of '%s' is routed twice", route->service,
					route->from);
		g_ptr_array_add(routes->routes, route);
		if (!ok)
			return FALSE;
	}
	return TRUE;
}

gboolean ash_routes_parse(const char *file, GBytes *text, AshRoutes **out_routes, GError **error)
{
	g_autoptr(AshYaml) root = NULL;
	g_autoptr(AshRoutes) routes = ash_routes_new();

	if (g_bytes_get_size(text) > ASH_ROUTES_MAX_BYTES)
		return ash_throw(error, ASH_ROUTES_ERROR, ASH_ROUTES_ERROR_LIMIT,
				"%s is larger than %d bytes", file, ASH_ROUTES_MAX_BYTES);
	if (!ash_yaml_parse(file, text, &root, error) || !read_routes(root, routes, error))
		return FALSE;
	*out_routes = g_steal_pointer(&routes);
	return TRUE;
}

gboolean ash_routes_load(const char *root, AshRoutes **out_routes, GError **error)
{
	g_autofree char *path = g_build_filename(root, ASH_ROUTES_FILE, NULL);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(GError) local = NULL;

	if (ash_file_read(AT_FDCWD, path, ASH_ROUTES_MAX_BYTES, &text, &local))
		return ash_routes_parse(path, text, out_routes, error);
	if (!g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	*out_routes = ash_routes_new();
	return TRUE;
}

/* ---- resolving ---- */

const AshRoute *ash_routes_find(const AshRoutes *routes, const char *from, const char *service)
{
	for (guint i = 0; i < routes->routes->len; i++) {
		const AshRoute *route = routes->routes->pdata[i];
		if (strcmp(route->from, from) == 0 && strcmp(route->service, service) == 0)
			return route;
	}
	return NULL;
}

static const AshWorkloadService *find_provided(const AshWorkload *workload, const char *name)
{
	for (guint i = 0; i < workload->provides->len; i++) {
		const AshWorkloadService *service = workload->provides->pdata[i];
		if (strcmp(service->name, name) == 0)
			return service;
	}
	return NULL;
}

static gboolean resolve_one(const AshRoutes *routes, const AshWorkload *workload,
		AshRoutesLookup lookup, gpointer data, AshRouteLink *link, GError **error)
{
	const char *name = link->required->name;

	link->route = ash_routes_find(routes, workload->name, name);
	if (link->route == NULL)
		return ash_throw(error, ASH_ROUTES_ERROR, ASH_ROUTES_ERROR_UNROUTED,
				"needs a route for '%s': add '- {from: %s, service: %s, to: WORKLOAD}' to %s",
				name, workload->name, name, ASH_ROUTES_FILE);
	const char *to = link->route->to;
	const AshWorkload *provider = lookup(to, data);
	if (provider == NULL)
		return ash_throw(error, ASH_ROUTES_ERROR, ASH_ROUTES_ERROR_BROKEN,
				"the route of '%s' leads to '%s', which is not on this host", name,
				to);
	if (provider->is_system && !workload->is_system)
		return ash_throw(error, ASH_ROUTES_ERROR, ASH_ROUTES_ERROR_SCOPE,
				"the route of '%s' leads to '%s', which has scope 'system': a workload of scope 'user' cannot name it",
				name, to);
	link->provided = find_provided(provider, link->route->as);
	if (link->provided == NULL)
		return ash_throw(error, ASH_ROUTES_ERROR, ASH_ROUTES_ERROR_BROKEN,
				"the route of '%s' leads to '%s', which does not provide '%s'",
				name, to, link->route->as);
	if ((link->provided->socket == NULL) != (link->required->socket == NULL))
		return ash_throw(error, ASH_ROUTES_ERROR, ASH_ROUTES_ERROR_BROKEN,
				"the route of '%s' leads from a %s to a %s of '%s'", name,
				link->required->socket != NULL ? "socket" : "call",
				link->provided->socket != NULL ? "socket" : "call", to);
	return TRUE;
}

gboolean ash_routes_resolve(const AshRoutes *routes, const AshWorkload *workload,
		AshRoutesLookup lookup, gpointer data, GPtrArray **out_links, GError **error)
{
	g_autoptr(GPtrArray) links = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; i < workload->requires->len; i++) {
		AshRouteLink *link = g_new0(AshRouteLink, 1);
		link->required = workload->requires->pdata[i];
		g_ptr_array_add(links, link);
		if (!resolve_one(routes, workload, lookup, data, link, error))
			return FALSE;
	}
	*out_links = g_steal_pointer(&links);
	return TRUE;
}
