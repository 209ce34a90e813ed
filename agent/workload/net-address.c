/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/net-address.h"

#include <arpa/inet.h>
#include <string.h>

#include "agent/workload/net.h"
#include "lib/error.h"

static uint32_t mask_of(unsigned prefix)
{
	return prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
}

bool ash_net_range_find(const char *text, AshNetRange *out_range)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t) (slash - text) : strlen(text);
	char address[INET_ADDRSTRLEN];
	struct in_addr parsed;
	guint64 prefix = 32;

	if (length >= sizeof address)
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	if (inet_pton(AF_INET, address, &parsed) != 1)
		return false;
	if (slash && (!g_ascii_isdigit(slash[1]) || !g_ascii_string_to_unsigned(slash + 1, 10, 0,
								    32, &prefix, NULL)))
		return false;
	out_range->prefix = (unsigned) prefix;
	out_range->address = ntohl(parsed.s_addr) & mask_of(out_range->prefix);
	return true;
}

bool ash_net_range_has(const AshNetRange *range, uint32_t address)
{
	return (address & mask_of(range->prefix)) == range->address;
}

static const AshNetRange unreachable[] = {
		{0x00000000, 8},
		{0x7f000000, 8},
		{0xa9fe0000, 16},
		{0xe0000000, 3},
};

bool ash_net_range_is_never(const AshNetRange *range)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(unreachable); i++)
		if (range->prefix >= unreachable[i].prefix &&
				ash_net_range_has(&unreachable[i], range->address))
			return true;
	return false;
}

bool ash_net_address_is_never(uint32_t address)
{
	return ash_net_range_is_never(&(AshNetRange){address, 32});
}

char *ash_net_address_text(uint32_t address)
{
	return g_strdup_printf("%u.%u.%u.%u", address >> 24, address >> 16 & 255,
			address >> 8 & 255, address & 255);
}

/* ---- settings ---- */

#define DEFAULT_RANGE "10.213.0.0/16"

static void free_static(gpointer data)
{
	AshNetStatic *item = data;

	g_free(item->instance);
	g_free(item);
}

void ash_net_settings_free(AshNetSettings *settings)
{
	if (!settings)
		return;
	g_ptr_array_unref(settings->bridged);
	g_free(settings);
}

static bool is_private(const AshNetRange *range)
{
	static const AshNetRange privates[] = {
			{0x0a000000, 8}, {0xac100000, 12}, {0xc0a80000, 16}, {0x64400000, 10}};

	for (unsigned i = 0; i < G_N_ELEMENTS(privates); i++)
		if (range->prefix >= privates[i].prefix &&
				ash_net_range_has(&privates[i], range->address))
			return true;
	return false;
}

#define WRONG(node, ...)                                                                           \
	return ash_yaml_throw(node, error, ASH_NET_ERROR, ASH_NET_ERROR_REFUSED, __VA_ARGS__)

static gboolean read_range(const AshYamlNode *node, AshNetRange *out_range, GError **error)
{
	g_autofree char *text = NULL;

	if (!ash_yaml_string(node, "range", &text, error))
		return FALSE;
	if (!ash_net_range_find(text, out_range) || !is_private(out_range) ||
			out_range->prefix < 12 || out_range->prefix > 24)
		WRONG(node, "range: '%s', expected a private IPv4 range of /12 to /24", text);
	return TRUE;
}

static gboolean read_static(const AshYamlNode *node, AshNetSettings *settings, GError **error)
{
	AshNetStatic *item = g_new0(AshNetStatic, 1);
	g_autofree char *address = NULL, *gateway = NULL;
	AshNetRange range;

	g_ptr_array_add(settings->bridged, item);
	if (node->kind != ASH_YAML_MAP)
		WRONG(node, "bridged: expected {instance, address, gateway}");
	for (unsigned i = 0; i < node->pairs->len; i++) {
		const AshYamlPair *pair = g_ptr_array_index(node->pairs, i);
		char **slot = strcmp(pair->key, "instance") == 0  ? &item->instance
			      : strcmp(pair->key, "address") == 0 ? &address
			      : strcmp(pair->key, "gateway") == 0 ? &gateway
								  : NULL;
		if (!slot)
			WRONG(pair->value, "bridged: '%s' is not known", pair->key);
		if (!ash_yaml_string(pair->value, pair->key, slot, error))
			return FALSE;
	}
	if (!item->instance || !address || !strchr(address, '/') ||
			!ash_net_range_find(address, &range))
		WRONG(node, "bridged: expected an instance, and an address with its prefix");
	item->prefix = range.prefix;
	*strchr(address, '/') = '\0';
	if (!ash_net_range_find(address, &range) || ash_net_range_is_never(&range))
		WRONG(node, "bridged: '%s' is no address for a workload", address);
	item->address = range.address;
	if (gateway && (!ash_net_range_find(gateway, &range) || range.prefix != 32))
		WRONG(node, "bridged: '%s' is no gateway", gateway);
	item->gateway = gateway ? range.address : 0;
	return TRUE;
}

static gboolean read_settings(const AshYamlNode *root, AshNetSettings *settings, GError **error)
{
	if (root->kind == ASH_YAML_NULL)
		return TRUE;
	if (root->kind != ASH_YAML_MAP)
		WRONG(root, "expected keys range, bridged");
	for (unsigned i = 0; i < root->pairs->len; i++) {
		const AshYamlPair *pair = g_ptr_array_index(root->pairs, i);
		if (strcmp(pair->key, "range") == 0) {
			if (!read_range(pair->value, &settings->range, error))
				return FALSE;
		} else if (strcmp(pair->key, "bridged") == 0) {
			if (pair->value->kind != ASH_YAML_LIST)
				WRONG(pair->value, "bridged: expected a list");
			for (unsigned k = 0; k < pair->value->items->len; k++)
				if (!read_static(g_ptr_array_index(pair->value->items, k), settings,
						    error))
					return FALSE;
		} else {
			WRONG(pair->value, "'%s' is not known, expected range or bridged",
					pair->key);
		}
	}
	return TRUE;
}

gboolean ash_net_settings_parse(
		const char *file, GBytes *text, AshNetSettings **out_settings, GError **error)
{
	g_autoptr(AshNetSettings) settings = g_new0(AshNetSettings, 1);
	g_autoptr(AshYaml) root = NULL;

	settings->bridged = g_ptr_array_new_with_free_func(free_static);
	g_assert(ash_net_range_find(DEFAULT_RANGE, &settings->range));
	if (text && (!ash_yaml_parse(file, text, &root, error) ||
				    !read_settings(root, settings, error)))
		return FALSE;
	*out_settings = g_steal_pointer(&settings);
	return TRUE;
}

/* ---- who gets which ---- */

static void free_lease(gpointer data)
{
	AshNetLease *lease = data;

	g_free(lease->instance);
	g_free(lease);
}

GPtrArray *ash_net_leases_new(void)
{
	return g_ptr_array_new_with_free_func(free_lease);
}

void ash_net_leases_add(GPtrArray *leases, const char *instance, uint32_t address)
{
	AshNetLease *lease = g_new(AshNetLease, 1);

	lease->instance = g_strdup(instance);
	lease->address = address;
	g_ptr_array_add(leases, lease);
}

/* FNV-1a: the same on each host and in each version. */
static uint32_t hash_name(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (unsigned char) *name) * 16777619u;
	return hash ^ hash >> 16;
}

/* A table of what is taken: address → lease. */
typedef struct {
	const AshNetRange *range;
	uint32_t first, count; /* gateway and both ends of the range are nobody's */
	GHashTable *taken;     /* address → instance */
} Pool;

static bool is_free(const Pool *pool, uint32_t address)
{
	return !g_hash_table_contains(pool->taken, GUINT_TO_POINTER(address));
}

static uint32_t pick(const Pool *pool, const char *instance)
{
	uint32_t start = hash_name(instance) % pool->count;

	for (uint32_t i = 0; i < pool->count; i++) {
		uint32_t address = pool->first + (start + i) % pool->count;
		if (is_free(pool, address))
			return address;
	}
	return 0;
}

/* Drops what is not of the range, is there twice, or is too old to be kept. */
static void load_leases(Pool *pool, GPtrArray *leases, GHashTable *known)
{
	for (unsigned i = leases->len; i-- > 0;) {
		AshNetLease *lease = g_ptr_array_index(leases, i);
		bool fits = lease->address >= pool->first &&
			    lease->address - pool->first < pool->count &&
			    is_free(pool, lease->address) &&
			    !g_hash_table_contains(known, lease->instance) &&
			    g_hash_table_size(known) < ASH_NET_MAX_REMEMBERED;

		if (!fits) {
			g_ptr_array_remove_index(leases, i);
			continue;
		}
		g_hash_table_insert(known, lease->instance, lease);
		g_hash_table_insert(pool->taken, GUINT_TO_POINTER(lease->address), lease);
	}
}

/* The oldest lease of who is not wanted gives its address up. */
static bool forget_one(Pool *pool, GPtrArray *leases, GHashTable *known, GHashTable *wanted)
{
	for (unsigned i = 0; i < leases->len; i++) {
		AshNetLease *lease = g_ptr_array_index(leases, i);
		if (g_hash_table_contains(wanted, lease->instance))
			continue;
		g_hash_table_remove(pool->taken, GUINT_TO_POINTER(lease->address));
		g_hash_table_remove(known, lease->instance);
		g_ptr_array_remove_index(leases, i);
		return true;
	}
	return false;
}

gboolean ash_net_assign(const AshNetRange *range, GPtrArray *leases, const char *const *instances,
		uint32_t **out_addresses, GError **error)
{
	unsigned count = 0;
	g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
	g_autoptr(GHashTable) wanted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	Pool pool = {range, range->address + 2, (1u << (32 - range->prefix)) - 3, taken};

	for (; instances[count]; count++)
		g_hash_table_insert(wanted, g_strdup(instances[count]), NULL);
	g_autofree uint32_t *addresses = g_new0(uint32_t, count + 1);
	load_leases(&pool, leases, known);
	for (unsigned i = 0; i < count; i++) {
		const AshNetLease *lease = g_hash_table_lookup(known, instances[i]);
		uint32_t address = lease ? lease->address : pick(&pool, instances[i]);

		if (address == 0 && forget_one(&pool, leases, known, wanted))
			address = pick(&pool, instances[i]);
		if (address == 0)
			return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_FULL,
					"no address is left for '%s': give 'range' in %s a shorter prefix",
					instances[i], ASH_NET_SETTINGS);
		addresses[i] = address;
		if (!lease) {
			ash_net_leases_add(leases, instances[i], address);
			AshNetLease *added = g_ptr_array_index(leases, leases->len - 1);
			g_hash_table_insert(known, added->instance, added);
			g_hash_table_insert(taken, GUINT_TO_POINTER(address), added);
		}
	}
	/* Who is wanted now is remembered longest. */
	for (unsigned i = 0, checked = 0; checked < leases->len; checked++) {
		const AshNetLease *lease = g_ptr_array_index(leases, i);
		if (g_hash_table_contains(wanted, lease->instance))
			g_ptr_array_add(leases, g_ptr_array_steal_index(leases, i));
		else
			i++;
	}
	*out_addresses = g_steal_pointer(&addresses);
	return TRUE;
}
