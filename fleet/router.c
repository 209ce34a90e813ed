/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/router.h"

#include <string.h>

typedef struct {
	const AshRoute *route;
	unsigned index;
	char **words; /* of the pattern; NULL-terminated */
	unsigned count;
	bool takes_rest;
} Entry;

struct AshRouter {
	GArray *entries;   /* Entry, the more special first */
	GArray *places;    /* unsigned: of the route with this index in entries */
	GHashTable *plain; /* patterns without {…} → first of their entries: index + 1 */
};

static bool is_any(const char *word)
{
	return word[0] == '{';
}

static void clear_entry(gpointer data)
{
	Entry *entry = data;

	g_strfreev(entry->words);
}

static int compare(gconstpointer left, gconstpointer right)
{
	const Entry *a = left, *b = right;

	for (unsigned i = 0; i < a->count && i < b->count; i++)
		if (is_any(a->words[i]) != is_any(b->words[i]))
			return is_any(a->words[i]) ? 1 : -1;
	if (a->takes_rest != b->takes_rest)
		return a->takes_rest ? 1 : -1;
	int order = strcmp(a->route->pattern, b->route->pattern);
	return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static void add(AshRouter *router, const AshRoute *route)
{
	Entry entry = {.route = route, .index = router->entries->len};

	g_assert(route->pattern[0] == '/' && strlen(route->pattern) < ASH_ROUTER_MAX_PATH);
	entry.words = g_strsplit(route->pattern + 1, "/", -1);
	entry.count = g_strv_length(entry.words);
	entry.takes_rest = g_str_has_suffix(route->pattern, "*}");
	g_assert(entry.count <= ASH_ROUTER_MAX_SEGMENTS);
	g_array_append_val(router->entries, entry);
}

AshRouter *ash_router_new(const AshRoute *const *routes)
{
	AshRouter *router = g_new0(AshRouter, 1);

	router->entries = g_array_new(FALSE, FALSE, sizeof(Entry));
	g_array_set_clear_func(router->entries, clear_entry);
	for (size_t i = 0; routes[i] != NULL; i++)
		for (const AshRoute *route = routes[i]; route->method != NULL; route++)
			add(router, route);
	g_array_sort(router->entries, compare);
	router->places = g_array_new(FALSE, TRUE, sizeof(unsigned));
	g_array_set_size(router->places, router->entries->len);
	router->plain = g_hash_table_new(g_str_hash, g_str_equal);
	for (unsigned i = router->entries->len; i-- > 0;) {
		Entry *entry = &g_array_index(router->entries, Entry, i);
		g_array_index(router->places, unsigned, entry->index) = i;
		union {
			const char *pattern;
			gpointer key;
		} at = {.pattern = entry->route->pattern};
		if (strchr(at.pattern, '{') == NULL)
			g_hash_table_replace(router->plain, at.key, GUINT_TO_POINTER(i + 1));
	}
	return router;
}

void ash_router_free(AshRouter *router)
{
	if (router == NULL)
		return;
	g_array_unref(router->entries);
	g_array_unref(router->places);
	g_hash_table_unref(router->plain);
	g_free(router);
}

unsigned ash_router_count(const AshRouter *router)
{
	return router->entries->len;
}

const AshRoute *ash_router_at(const AshRouter *router, unsigned index)
{
	unsigned place = g_array_index(router->places, unsigned, index);

	return g_array_index(router->entries, Entry, place).route;
}

static bool method_fits(const AshRoute *route, const char *method)
{
	return strcmp(route->method, method) == 0 ||
	       (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* The path's segments; NULL: more than any route has. */
static char **split(const char *path, unsigned *out_count)
{
	if (path[0] != '/' || strnlen(path, ASH_ROUTER_MAX_PATH + 1) > ASH_ROUTER_MAX_PATH)
		return NULL;
	char **words = g_strsplit(path + 1, "/", ASH_ROUTER_MAX_SEGMENTS + 1);
	*out_count = g_strv_length(words);
	return words;
}

static bool words_fit(const Entry *entry, char **words, unsigned count)
{
	if (entry->takes_rest ? count < entry->count : count != entry->count)
		return false;
	for (unsigned i = 0; i < entry->count; i++) {
		if (is_any(entry->words[i]) ? words[i][0] == '\0'
					    : strcmp(entry->words[i], words[i]) != 0)
			return false;
	}
	return true;
}

/* "%2F" and "%25" are left by whoever decoded the path, so that a name may hold a '/'. */
static char *decode(const char *text)
{
	g_autoptr(GString) decoded = g_string_sized_new(strlen(text) + 1);

	for (; *text != '\0'; text++) {
		bool is_slash = g_ascii_strncasecmp(text, "%2F", 3) == 0;
		if (!is_slash && strncmp(text, "%25", 3) != 0) {
			g_string_append_c(decoded, *text);
			continue;
		}
		g_string_append_c(decoded, is_slash ? '/' : '%');
		text += 2;
	}
	return g_string_free(g_steal_pointer(&decoded), FALSE);
}

static void take_parts(const Entry *entry, char **words, AshRouterMatch *match)
{
	match->parts = g_ptr_array_new_with_free_func(g_free);
	for (unsigned i = 0; i < entry->count; i++) {
		if (!is_any(entry->words[i]))
			continue;
		bool is_rest = entry->takes_rest && i + 1 == entry->count;
		g_autofree char *rest = is_rest ? g_strjoinv("/", words + i) : NULL;
		g_ptr_array_add(match->parts, decode(is_rest ? rest : words[i]));
	}
}

static void allow(GPtrArray *methods, const char *method)
{
	union {
		const char *ours;
		gpointer theirs;
	} at = {.ours = method};

	if (g_ptr_array_find_with_equal_func(methods, method, g_str_equal, NULL))
		return;
	g_ptr_array_add(methods, at.theirs);
	if (strcmp(method, "GET") == 0)
		allow(methods, "HEAD");
}

static char *allow_format(GPtrArray *methods)
{
	if (methods->len == 0)
		return NULL;
	g_ptr_array_add(methods, NULL);
	return g_strjoinv(", ", (char **) methods->pdata);
}

static bool match_plain(const AshRouter *router, const char *method, const char *path,
		AshRouterMatch *match, GPtrArray *methods)
{
	unsigned i = GPOINTER_TO_UINT(g_hash_table_lookup(router->plain, path));

	if (i == 0)
		return false;
	for (i--; i < router->entries->len; i++) {
		const Entry *entry = &g_array_index(router->entries, Entry, i);
		if (strcmp(entry->route->pattern, path) != 0)
			break;
		allow(methods, entry->route->method);
		if (!method_fits(entry->route, method))
			continue;
		match->route = entry->route;
		match->index = entry->index;
		match->parts = g_ptr_array_new_with_free_func(g_free);
		return true;
	}
	return false;
}

void ash_router_match(const AshRouter *router, const char *method, const char *path,
		AshRouterMatch *out_match)
{
	g_autoptr(GPtrArray) methods = g_ptr_array_new();
	unsigned count = 0;

	*out_match = (AshRouterMatch){0};
	if (match_plain(router, method, path, out_match, methods))
		return;
	g_auto(GStrv) words = split(path, &count);
	for (unsigned i = 0; words != NULL && i < router->entries->len; i++) {
		const Entry *entry = &g_array_index(router->entries, Entry, i);
		if (!words_fit(entry, words, count))
			continue;
		allow(methods, entry->route->method);
		if (!method_fits(entry->route, method))
			continue;
		out_match->route = entry->route;
		out_match->index = entry->index;
		take_parts(entry, words, out_match);
		return;
	}
	out_match->allow = allow_format(methods);
}

void ash_router_match_clear(AshRouterMatch *match)
{
	g_clear_pointer(&match->parts, g_ptr_array_unref);
	g_clear_pointer(&match->allow, g_free);
	match->route = NULL;
}
