/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/host-list.h"

#include <string.h>

#include "lib/error.h"
#include "lib/version.h"

G_DEFINE_QUARK(ash_host_list_error, ash_host_list_error)

/* Text of a host's place in an order; with the id behind it no two are the same. */
typedef struct {
	const char *name;
	int (*compare)(const char *a, const char *b);
	char *(*key)(const AshHost *host);
} Order;

static int compare_numbers(const char *a, const char *b)
{
	int64_t x = g_ascii_strtoll(a, NULL, 10);
	int64_t y = g_ascii_strtoll(b, NULL, 10);

	return x < y ? -1 : x > y;
}

/* What is no version comes first, by its letters. */
static int compare_versions(const char *a, const char *b)
{
	bool is_a = a[0] == '\0' || ash_version_is_valid(a);
	bool is_b = b[0] == '\0' || ash_version_is_valid(b);

	if (is_a && is_b)
		return ash_version_compare(a, b);
	return is_a != is_b ? (int) is_a - (int) is_b : strcmp(a, b);
}

static char *key_name(const AshHost *host)
{
	return g_strdup(host->name);
}

static char *key_seen(const AshHost *host)
{
	return g_strdup_printf("%" G_GINT64_FORMAT, -host->last_seen_s);
}

static char *key_health(const AshHost *host)
{
	static const int rank[] = {
			[ASH_HEALTH_BAD] = 0,
			[ASH_HEALTH_SILENT] = 1,
			[ASH_HEALTH_DEGRADED] = 2,
			[ASH_HEALTH_UPDATING] = 3,
			[ASH_HEALTH_UNKNOWN] = 4,
			[ASH_HEALTH_GOOD] = 5,
	};

	return g_strdup_printf("%d", rank[host->health]);
}

static char *key_version(const AshHost *host)
{
	return g_strdup(host->version);
}

static const Order orders[] = {
		{"name", strcmp, key_name},
		{"seen", compare_numbers, key_seen},
		{"health", compare_numbers, key_health},
		{"version", compare_versions, key_version},
};

typedef struct {
	char *key;
	AshHost host;
} Place;

typedef struct {
	const AshHostQuery *query;
	const Order *order;
	char *after_key; /* NULL: from the beginning */
	uint8_t after_id[ASH_HOST_ID_BYTES];
	GArray *places; /* Place: a heap, the last in order on top */
	bool is_more;
} Search;

static void clear_place(gpointer data)
{
	Place *place = data;

	g_free(place->key);
	ash_host_clear(&place->host);
}

static int compare_places(const Order *order, const char *a, const uint8_t *a_id, const char *b,
		const uint8_t *b_id)
{
	int result = order->compare(a, b);

	return result != 0 ? result : memcmp(a_id, b_id, ASH_HOST_ID_BYTES);
}

static Place *place_at(Search *search, guint at)
{
	return &g_array_index(search->places, Place, at);
}

static bool is_behind(Search *search, guint a, guint b)
{
	Place *x = place_at(search, a);
	Place *y = place_at(search, b);

	return compare_places(search->order, x->key, x->host.id, y->key, y->host.id) > 0;
}

static void swap(Search *search, guint a, guint b)
{
	Place place = *place_at(search, a);

	*place_at(search, a) = *place_at(search, b);
	*place_at(search, b) = place;
}

static void sift_up(Search *search, guint at)
{
	while (at > 0 && is_behind(search, at, (at - 1) / 2)) {
		swap(search, at, (at - 1) / 2);
		at = (at - 1) / 2;
	}
}

static void sift_down(Search *search, guint at)
{
	for (;;) {
		guint last = at;
		for (guint child = at * 2 + 1; child <= at * 2 + 2; child++)
			if (child < search->places->len && is_behind(search, child, last))
				last = child;
		if (last == at)
			return;
		swap(search, at, last);
		at = last;
	}
}

static bool matches(const AshHostQuery *query, const AshHost *host)
{
	return (query->scope == NULL || ash_selector_matches(query->scope, host, query->now_s)) &&
	       (query->selector == NULL ||
			       ash_selector_matches(query->selector, host, query->now_s));
}

static bool look(const AshHost *host, gpointer data)
{
	Search *search = data;

	if (!matches(search->query, host))
		return true;
	g_autofree char *key = search->order->key(host);
	if (search->after_key != NULL && compare_places(search->order, key, host->id,
							 search->after_key, search->after_id) <= 0)
		return true;
	if (search->places->len < search->query->limit) {
		g_array_set_size(search->places, search->places->len + 1);
		Place *place = place_at(search, search->places->len - 1);
		place->key = g_steal_pointer(&key);
		ash_host_copy(host, &place->host);
		sift_up(search, search->places->len - 1);
		return true;
	}
	search->is_more = true;
	Place *top = place_at(search, 0);
	if (compare_places(search->order, key, host->id, top->key, top->host.id) >= 0)
		return true;
	clear_place(top);
	top->key = g_steal_pointer(&key);
	ash_host_copy(host, &top->host);
	sift_down(search, 0);
	return true;
}

static gboolean find_order(const char *name, const Order **out_order, GError **error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
		if (name[0] != '\0' && !g_str_equal(name, orders[i].name))
			continue;
		*out_order = &orders[i];
		return TRUE;
	}
	return ash_throw(error, ASH_HOST_LIST_ERROR, ASH_HOST_LIST_ERROR_REQUEST,
			"'sort' is name, seen, health or version");
}

/* "KEY~ID" */
static gboolean parse_after(Search *search, GError **error)
{
	const char *after = search->query->after;
	const char *tilde = strrchr(after, '~');

	if (after[0] == '\0')
		return TRUE;
	if (tilde == NULL || !ash_host_id_parse(tilde + 1, search->after_id))
		return ash_throw(error, ASH_HOST_LIST_ERROR, ASH_HOST_LIST_ERROR_REQUEST,
				"'after' is what 'next' of the page before was");
	search->after_key = g_strndup(after, (gsize) (tilde - after));
	return TRUE;
}

static gint compare_in_order(gconstpointer a, gconstpointer b, gpointer data)
{
	const Place *x = a;
	const Place *y = b;

	return compare_places(data, x->key, x->host.id, y->key, y->host.id);
}

gboolean ash_host_list(AshLive *live, const AshHostQuery *query, GArray **out_hosts,
		char **out_next, GError **error)
{
	g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(Place));
	Search search = {.query = query, .places = places};

	g_assert(query->limit > 0);
	g_array_set_clear_func(places, clear_place);
	if (!find_order(query->sort, &search.order, error) || !parse_after(&search, error))
		return FALSE;
	g_autofree G_GNUC_UNUSED char *after_key = search.after_key;
	ash_live_each(live, look, &search);
	g_array_sort_with_data(places, compare_in_order, (gpointer) (uintptr_t) search.order);
	GArray *hosts = g_array_new(FALSE, FALSE, sizeof(AshHost));
	g_array_set_clear_func(hosts, (GDestroyNotify) ash_host_clear);
	for (guint i = 0; i < places->len; i++) {
		AshHost host;
		ash_host_copy(&place_at(&search, i)->host, &host);
		g_array_append_val(hosts, host);
	}
	*out_next = NULL;
	if (search.is_more) {
		char hex[65];
		Place *last = place_at(&search, places->len - 1);
		ash_host_id_format(last->host.id, hex);
		*out_next = g_strconcat(last->key, "~", hex, NULL);
	}
	*out_hosts = hosts;
	return TRUE;
}

typedef struct {
	const AshHostQuery *query;
	GArray *ids;
} Ids;

static bool take_id(const AshHost *host, gpointer data)
{
	Ids *ids = data;

	if (matches(ids->query, host))
		g_array_append_vals(ids->ids, host->id, 1);
	return true;
}

GArray *ash_host_list_ids(AshLive *live, const AshHostQuery *query)
{
	Ids ids = {query, g_array_new(FALSE, FALSE, sizeof(AshHostId))};

	ash_live_each(live, take_id, &ids);
	return ids.ids;
}
