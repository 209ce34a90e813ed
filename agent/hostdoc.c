/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hostdoc.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "agent/hostdoc-value.h"
#include "lib/error.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_hostdoc_error, ash_hostdoc_error)

enum {
	MAX_SHOWN_CHARS = 60,
	MIN_IPV6_MTU = 1280,
};

/* ---- the struct ---------------------------------------------------------------------------- */

static AshHostNetwork *network_new(void)
{
	AshHostNetwork *network = g_new0(AshHostNetwork, 1);

	network->addresses = g_new0(char *, 1);
	network->gateway = g_new0(char *, 1);
	network->dns = g_new0(char *, 1);
	return network;
}

static void network_free(gpointer data)
{
	AshHostNetwork *network = data;

	g_free(network->name);
	g_free(network->mac);
	g_strfreev(network->addresses);
	g_strfreev(network->gateway);
	g_strfreev(network->dns);
	g_free(network);
}

AshHostdoc *ash_hostdoc_new(void)
{
	AshHostdoc *doc = g_new0(AshHostdoc, 1);

	doc->updates.check_s = 3600;
	doc->updates.is_automatic = true;
	doc->updates.windows = g_new0(char *, 1);
	doc->updates.tries = 3;
	doc->updates.keep = 2;
	doc->has_fleet_workloads = true;
	doc->networks = g_ptr_array_new_with_free_func(network_free);
	doc->ntp = g_new0(char *, 1);
	doc->ssh_keys = g_new0(char *, 1);
	return doc;
}

void ash_hostdoc_free(AshHostdoc *doc)
{
	if (doc == NULL)
		return;
	g_free(doc->hostname);
	g_free(doc->updates.url);
	g_free(doc->updates.ca);
	g_strfreev(doc->updates.windows);
	g_ptr_array_unref(doc->networks);
	g_strfreev(doc->ntp);
	g_strfreev(doc->ssh_keys);
	g_free(doc->fleet_url);
	g_free(doc->fleet_ca);
	g_free(doc->fleet_token);
	g_free(doc);
}

AshHostdoc *ash_hostdoc_copy(const AshHostdoc *doc)
{
	AshHostdoc *new = g_new0(AshHostdoc, 1);

	*new = *doc;
	new->hostname = g_strdup(doc->hostname);
	new->updates.url = g_strdup(doc->updates.url);
	new->updates.ca = g_strdup(doc->updates.ca);
	new->updates.windows = g_strdupv(doc->updates.windows);
	/* They are replaced as a list, never changed in place. */
	new->networks = g_ptr_array_ref(doc->networks);
	new->ntp = g_strdupv(doc->ntp);
	new->ssh_keys = g_strdupv(doc->ssh_keys);
	new->fleet_url = g_strdup(doc->fleet_url);
	new->fleet_ca = g_strdup(doc->fleet_ca);
	new->fleet_token = g_strdup(doc->fleet_token);
	return new;
}

/* ---- kinds of values ----------------------------------------------------------------------- */

typedef struct Key Key;

/* @what: the key's full name, for messages; @target: the struct that @key's offset is in */
typedef gboolean (*ParseKey)(const AshYamlNode *node, const Key *key, const char *what,
		gpointer target, GError **error);

struct Key {
	const char *name;
	ParseKey parse;
	size_t offset;
	AshHostdocCheck check; /* texts */
	bool is_hidden;        /* its value is not shown in messages */
	uint64_t min, max;     /* numbers */
	const Key *keys;       /* maps */
};

/* What a person recognises: not too long, and nothing that steers a terminal. */
static char *shown(const char *text)
{
	GString *line = g_string_new(NULL);
	glong n_chars = 0;

	for (const char *p = text; *p != '\0' && n_chars < MAX_SHOWN_CHARS; n_chars++) {
		gunichar c = g_utf8_get_char(p);
		g_string_append_unichar(line, g_unichar_isprint(c) ? c : '?');
		p += g_utf8_skip[(guchar) *p];
		if (*p != '\0' && n_chars + 1 == MAX_SHOWN_CHARS)
			g_string_append(line, "…");
	}
	return g_string_free(line, FALSE);
}

static gboolean check_text(const AshYamlNode *node, const Key *key, const char *what,
		const char *text, GError **error)
{
	g_autofree char *problem = key->check(text);

	if (problem == NULL)
		return TRUE;
	g_autofree char *value = key->is_hidden ? g_strdup("") : shown(text);
	return ash_yaml_throw(node, error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_VALUE,
			"%s%s%s%s %s", what, key->is_hidden ? "" : " '", value,
			key->is_hidden ? "" : "'", problem);
}

static gboolean parse_text(const AshYamlNode *node, const Key *key, const char *what,
		gpointer target, GError **error)
{
	char **field = G_STRUCT_MEMBER_P(target, key->offset);
	g_autofree char *text = NULL;

	if (!ash_yaml_string(node, what, &text, error) || !check_text(node, key, what, text, error))
		return FALSE;
	g_free(*field);
	*field = g_steal_pointer(&text);
	return TRUE;
}

/* Names of files are put behind it with a '/'. */
static gboolean parse_url(const AshYamlNode *node, const Key *key, const char *what,
		gpointer target, GError **error)
{
	if (!parse_text(node, key, what, target, error))
		return FALSE;
	char *url = G_STRUCT_MEMBER(char *, target, key->offset);
	for (size_t n = strlen(url); url[n - 1] == '/'; n--)
		url[n - 1] = '\0';
	return TRUE;
}

static gboolean need_list(const AshYamlNode *node, const char *what, GError **error)
{
	if (node->kind != ASH_YAML_LIST)
		return ash_yaml_throw(node, error, ASH_YAML_ERROR, ASH_YAML_ERROR_TYPE,
				"%s: expected a list", what);
	if (node->items->len > ASH_HOSTDOC_MAX_LIST)
		return ash_yaml_throw(node, error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_LIMIT,
				"%s has %u entries, at most %d are allowed", what, node->items->len,
				ASH_HOSTDOC_MAX_LIST);
	return TRUE;
}

static gboolean parse_texts(const AshYamlNode *node, const Key *key, const char *what,
		gpointer target, GError **error)
{
	char ***field = G_STRUCT_MEMBER_P(target, key->offset);
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

	if (!need_list(node, what, error))
		return FALSE;
	for (guint i = 0; i < node->items->len; i++) {
		const AshYamlNode *item = node->items->pdata[i];
		g_autofree char *text = NULL;
		if (!ash_yaml_string(item, what, &text, error) ||
				!check_text(item, key, what, text, error))
			return FALSE;
		g_ptr_array_add(texts, g_steal_pointer(&text));
	}
	g_ptr_array_add(texts, NULL);
	g_strfreev(*field);
	*field = (char **) g_ptr_array_steal(texts, NULL);
	return TRUE;
}

static gboolean parse_bool(const AshYamlNode *node, const Key *key, const char *what,
		gpointer target, GError **error)
{
	return ash_yaml_bool(node, what, G_STRUCT_MEMBER_P(target, key->offset), error);
}

static gboolean parse_number(const AshYamlNode *node, const Key *key, const char *what,
		gpointer target, GError **error)
{
	uint64_t value = 0;

	if (!ash_yaml_uint(node, what, UINT32_MAX, &value, error))
		return FALSE;
	if (value < key->min || value > key->max)
		return ash_yaml_throw(node, error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_VALUE,
				"%s %" PRIu64 " is not from %" PRIu64 " to %" PRIu64, what, value,
				key->min, key->max);
	G_STRUCT_MEMBER(unsigned, target, key->offset) = (unsigned) value;
	return TRUE;
}

static gboolean parse_quantity(const AshYamlNode *node, const Key *key, const char *what,
		gpointer target, bool (*parse)(const char *, uint64_t *), const char *expected,
		GError **error)
{
	g_autofree char *text = NULL;

	if (!ash_yaml_string(node, what, &text, error))
		return FALSE;
	if (parse(text, G_STRUCT_MEMBER_P(target, key->offset)))
		return TRUE;
	g_autofree char *value = shown(text);
	return ash_yaml_throw(node, error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_VALUE,
			"%s '%s' is not %s", what, value, expected);
}

static gboolean parse_duration(const AshYamlNode *node, const Key *key, const char *what,
		gpointer target, GError **error)
{
	return parse_quantity(node, key, what, target, ash_hostdoc_parse_duration,
			"a time from 1min to 7d, as in '90s', '15min', '1h' or '1d'", error);
}

static gboolean parse_rate(const AshYamlNode *node, const Key *key, const char *what,
		gpointer target, GError **error)
{
	return parse_quantity(node, key, what, target, ash_hostdoc_parse_rate,
			"0 or a size from 1KiB to 1024GiB, as in '500KiB' or '2MiB'", error);
}

/* ---- maps ---------------------------------------------------------------------------------- */

static gboolean throw_unknown(const AshYamlNode *map, const AshYamlPair *pair, const char *what,
		const Key *keys, GError **error)
{
	AshYamlNode at = {.file = map->file, .line = pair->line, .column = pair->column};
	g_autoptr(GPtrArray) names = g_ptr_array_new();

	for (const Key *key = keys; key->name != NULL; key++)
		g_ptr_array_add(names, (gpointer) (uintptr_t) key->name);
	g_ptr_array_add(names, NULL);
	g_autofree char *hint = ash_text_suggestion(pair->key, (const char *const *) names->pdata);
	g_autofree char *name = shown(pair->key);
	return ash_yaml_throw(&at, error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_UNKNOWN_KEY,
			"unknown key '%s' in %s%s", name, *what != '\0' ? what : "a host document",
			hint);
}

/* @what: "" for the document itself */
static gboolean parse_keys(const AshYamlNode *map, const char *what, const Key *keys,
		gpointer target, GError **error)
{
	if (map->kind != ASH_YAML_MAP)
		return ash_yaml_throw(map, error, ASH_YAML_ERROR, ASH_YAML_ERROR_TYPE,
				"%s: expected a map", *what != '\0' ? what : "a host document");
	for (guint i = 0; i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		const Key *key = keys;
		while (key->name != NULL && strcmp(key->name, pair->key) != 0)
			key++;
		if (key->name == NULL)
			return throw_unknown(map, pair, what, keys, error);
		g_autofree char *name = *what != '\0' ? g_strconcat(what, ".", key->name, NULL)
						      : g_strdup(key->name);
		if (!key->parse(pair->value, key, name, target, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean parse_map(const AshYamlNode *node, const Key *key, const char *what,
		gpointer target, GError **error)
{
	return parse_keys(node, what, key->keys, target, error);
}

/* ---- networks ------------------------------------------------------------------------------ */

#define IN_NETWORK(member) .offset = offsetof(AshHostNetwork, member)

static const Key match_keys[] = {
		{"name", parse_text, IN_NETWORK(name), .check = ash_hostdoc_check_interface},
		{"mac", parse_text, IN_NETWORK(mac), .check = ash_hostdoc_check_mac},
		{0},
};

static const Key network_keys[] = {
		{"match", parse_map, .keys = match_keys},
		{"dhcp", parse_bool, IN_NETWORK(dhcp)},
		{"addresses", parse_texts, IN_NETWORK(addresses),
				.check = ash_hostdoc_check_prefix},
		{"gateway", parse_texts, IN_NETWORK(gateway), .check = ash_hostdoc_check_address},
		{"dns", parse_texts, IN_NETWORK(dns), .check = ash_hostdoc_check_address},
		{"mtu", parse_number, IN_NETWORK(mtu), .min = 576, .max = 65535},
		{0},
};

static bool has_family(char *const *addresses, bool is_ipv6)
{
	for (; *addresses != NULL; addresses++)
		if (ash_hostdoc_is_ipv6(*addresses) == is_ipv6)
			return true;
	return false;
}

/* What networkd would take, and then not do. */
static gboolean check_network(
		const AshYamlNode *node, const AshHostNetwork *network, GError **error)
{
	if ((network->name == NULL) == (network->mac == NULL))
		return ash_yaml_throw(node, error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_VALUE,
				"a network needs 'match' with either 'name' or 'mac'");
	for (char **gateway = network->gateway; *gateway != NULL; gateway++) {
		/* A router of one's own link needs no address but the link's. */
		bool is_link_local = g_ascii_strncasecmp(*gateway, "fe80:", 5) == 0;
		if (!is_link_local &&
				!has_family(network->addresses, ash_hostdoc_is_ipv6(*gateway)))
			return ash_yaml_throw(ash_yaml_get(node, "gateway"), error,
					ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_VALUE,
					"gateway '%s' is of no use without an address of its kind in 'addresses'",
					*gateway);
	}
	if (network->mtu != 0 && network->mtu < MIN_IPV6_MTU &&
			has_family(network->addresses, true))
		return ash_yaml_throw(ash_yaml_get(node, "mtu"), error, ASH_HOSTDOC_ERROR,
				ASH_HOSTDOC_ERROR_VALUE,
				"mtu %u is too small for IPv6, which needs 1280", network->mtu);
	return TRUE;
}

static gboolean is_same_match(gconstpointer a, gconstpointer b)
{
	const AshHostNetwork *x = a, *y = b;

	if (x->mac != NULL && y->mac != NULL)
		return g_ascii_strcasecmp(x->mac, y->mac) == 0;
	return g_strcmp0(x->name, y->name) == 0 && x->mac == y->mac;
}

static gboolean parse_networks(const AshYamlNode *node, const Key *key, const char *what,
		gpointer target, GError **error)
{
	AshHostdoc *doc = target;
	g_autoptr(GPtrArray) networks = g_ptr_array_new_with_free_func(network_free);

	if (!need_list(node, what, error))
		return FALSE;
	for (guint i = 0; i < node->items->len; i++) {
		const AshYamlNode *item = node->items->pdata[i];
		AshHostNetwork *network = network_new();
		g_ptr_array_add(networks, network);
		if (!parse_keys(item, what, network_keys, network, error) ||
				!check_network(item, network, error))
			return FALSE;
		if (ash_yaml_get(item, "dhcp") == NULL)
			network->dhcp = network->addresses[0] == NULL;
		guint at = 0;
		if (g_ptr_array_find_with_equal_func(networks, network, is_same_match, &at) &&
				at != i)
			return ash_yaml_throw(item, error, ASH_HOSTDOC_ERROR,
					ASH_HOSTDOC_ERROR_VALUE,
					"this network matches the same as network %u", at + 1);
	}
	g_ptr_array_unref(doc->networks);
	doc->networks = g_steal_pointer(&networks);
	return TRUE;
}

/* ---- the document -------------------------------------------------------------------------- */

#define IN_DOC(member) .offset = offsetof(AshHostdoc, member)

static const Key updates_keys[] = {
		{"url", parse_url, IN_DOC(updates.url), .check = ash_hostdoc_check_url},
		{"ca", parse_text, IN_DOC(updates.ca), .check = ash_hostdoc_check_pem,
				.is_hidden = true},
		{"check", parse_duration, IN_DOC(updates.check_s)},
		{"automatic", parse_bool, IN_DOC(updates.is_automatic)},
		{"windows", parse_texts, IN_DOC(updates.windows),
				.check = ash_hostdoc_check_window},
		{"rate-limit", parse_rate, IN_DOC(updates.rate_limit_bytes_s)},
		{"tries", parse_number, IN_DOC(updates.tries), .min = 1, .max = 9},
		{"keep", parse_number, IN_DOC(updates.keep), .min = 2, .max = 8},
		{0},
};

static const Key ssh_keys[] = {
		{"keys", parse_texts, IN_DOC(ssh_keys), .check = ash_hostdoc_check_ssh_key},
		{0},
};

static const Key fleet_keys[] = {
		{"url", parse_url, IN_DOC(fleet_url), .check = ash_hostdoc_check_url},
		{"ca", parse_text, IN_DOC(fleet_ca), .check = ash_hostdoc_check_pem,
				.is_hidden = true},
		{"token", parse_text, IN_DOC(fleet_token), .check = ash_hostdoc_check_token,
				.is_hidden = true},
		{0},
};

static const Key workloads_keys[] = {
		{"fleet", parse_bool, IN_DOC(has_fleet_workloads)},
		{0},
};

static const Key keys[] = {
		{"hostname", parse_text, IN_DOC(hostname), .check = ash_hostdoc_check_hostname},
		{"updates", parse_map, .keys = updates_keys},
		{"network", parse_networks},
		{"ntp", parse_texts, IN_DOC(ntp), .check = ash_hostdoc_check_server},
		{"ssh", parse_map, .keys = ssh_keys},
		{"fleet", parse_map, .keys = fleet_keys},
		{"workloads", parse_map, .keys = workloads_keys},
		{0},
};

gboolean ash_hostdoc_merge(AshHostdoc *doc, const AshYamlNode *map, GError **error)
{
	g_autoptr(AshHostdoc) new = ash_hostdoc_copy(doc);

	if (map->kind == ASH_YAML_NULL)
		return TRUE;
	if (!parse_keys(map, "", keys, new, error))
		return FALSE;
	AshHostdoc old = *doc;
	*doc = *new;
	*new = old;
	return TRUE;
}

gboolean ash_hostdoc_parse(const char *file, GBytes *text, AshHostdoc **out_doc, GError **error)
{
	g_autoptr(AshHostdoc) doc = ash_hostdoc_new();
	g_autoptr(AshYaml) map = NULL;

	if (g_bytes_get_size(text) > ASH_HOSTDOC_MAX_BYTES)
		return ash_throw(error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_LIMIT,
				"%s: larger than the %d bytes that a host document may have", file,
				ASH_HOSTDOC_MAX_BYTES);
	if (!ash_yaml_parse(file, text, &map, error) || !ash_hostdoc_merge(doc, map, error))
		return FALSE;
	*out_doc = g_steal_pointer(&doc);
	return TRUE;
}
