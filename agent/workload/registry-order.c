/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/registry-order.h"

#include <gio/gio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/json.h"
#include "lib/oci.h"

G_DEFINE_QUARK(ash_registry_error, ash_registry_error)

enum {
	MAX_DEPTH = 8,
	MAX_NAME_BYTES = 512,
	MAX_TAG_BYTES = 128,
	MAX_URL_BYTES = 2048,
};

bool ash_registry_is_loopback(const char *host)
{
	g_autofree char *name = NULL;

	if (*host == '[') {
		const char *end = strchr(host, ']');
		return end != NULL && strncmp(host, "[::1]", 5) == 0;
	}
	name = g_strndup(host, strcspn(host, ":"));
	if (strcmp(name, "localhost") == 0)
		return true;
	g_autoptr(GInetAddress) address = g_inet_address_new_from_string(name);
	return address != NULL && g_inet_address_get_is_loopback(address);
}

char *ash_registry_url_host(const char *url)
{
	g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);
	const char *host = uri != NULL ? g_uri_get_host(uri) : NULL;

	if (host == NULL || *host == '\0' || g_uri_get_userinfo(uri) != NULL)
		return NULL;
	if (strcmp(g_uri_get_scheme(uri), "https") != 0 &&
			strcmp(g_uri_get_scheme(uri), "http") != 0)
		return NULL;
	g_autofree char *shown =
			strchr(host, ':') != NULL ? g_strdup_printf("[%s]", host) : g_strdup(host);
	if (g_uri_get_port(uri) < 0)
		return g_steal_pointer(&shown);
	return g_strdup_printf("%s:%d", shown, g_uri_get_port(uri));
}

/* ---- the order ----------------------------------------------------------------------------------- */

static void endpoint_free(AshRegistryEndpoint *endpoint)
{
	if (endpoint == NULL)
		return;
	g_free(endpoint->url);
	g_free(endpoint->username);
	g_free(endpoint->password);
	g_free(endpoint->ca);
	g_strfreev(endpoint->token_hosts);
	g_free(endpoint);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRegistryEndpoint, endpoint_free)

void ash_registry_order_free(AshRegistryOrder *order)
{
	if (order == NULL)
		return;
	g_free(order->location);
	g_free(order->tag);
	g_free(order->digest);
	g_free(order->proxy);
	g_free(order->name);
	g_clear_pointer(&order->endpoints, g_ptr_array_unref);
	g_free(order);
}

static gboolean get_text(JsonObject *object, const char *key, char **out_text, GError **error)
{
	const char *text = "";

	if (!ash_json_text_opt(object, key, &text, error))
		return FALSE;
	/* They become part of headers and URLs. */
	if (strcmp(key, "ca") != 0)
		for (const char *at = text; *at != '\0'; at++)
			if ((unsigned char) *at < ' ' || *at == 0x7f)
				return ash_throw(error, ASH_REGISTRY_ERROR,
						ASH_REGISTRY_ERROR_ORDER,
						"'%s' has a character that cannot be there", key);
	*out_text = g_strdup(text);
	return TRUE;
}

static gboolean check_url(const char *url, GError **error)
{
	g_autofree char *host = ash_registry_url_host(url);

	if (host == NULL || strlen(url) > MAX_URL_BYTES || strpbrk(url, "?# ") != NULL)
		return ash_throw(error, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_ORDER,
				"'%.100s' is no URL of a registry", url);
	if (g_str_has_prefix(url, "http:") && !ash_registry_is_loopback(host))
		return ash_throw(error, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_ORDER,
				"'%.100s': without TLS only this machine's own registry is asked",
				url);
	return TRUE;
}

static gboolean parse_endpoint(JsonNode *node, AshRegistryEndpoint **out, GError **error)
{
	g_autoptr(AshRegistryEndpoint) endpoint = g_new0(AshRegistryEndpoint, 1);

	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_ORDER,
				"an endpoint is not an object");
	JsonObject *object = json_node_get_object(node);
	if (!get_text(object, "url", &endpoint->url, error) || !check_url(endpoint->url, error) ||
			!get_text(object, "username", &endpoint->username, error) ||
			!get_text(object, "password", &endpoint->password, error) ||
			!get_text(object, "ca", &endpoint->ca, error) ||
			!ash_json_text_list_opt(
					object, "token_hosts", &endpoint->token_hosts, error))
		return FALSE;
	while (g_str_has_suffix(endpoint->url, "/"))
		endpoint->url[strlen(endpoint->url) - 1] = '\0';
	*out = g_steal_pointer(&endpoint);
	return TRUE;
}

static gboolean parse_endpoints(JsonObject *object, GPtrArray *endpoints, GError **error)
{
	JsonArray *array = NULL;

	if (!ash_json_array(object, "endpoints", &array, error))
		return FALSE;
	guint count = json_array_get_length(array);
	if (count == 0 || count > ASH_REGISTRY_MAX_MIRRORS + 1)
		return ash_throw(error, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_ORDER,
				"%u endpoints; 1 to %d are asked", count,
				ASH_REGISTRY_MAX_MIRRORS + 1);
	for (guint i = 0; i < count; i++) {
		AshRegistryEndpoint *endpoint = NULL;
		if (!parse_endpoint(json_array_get_element(array, i), &endpoint, error))
			return FALSE;
		g_ptr_array_add(endpoints, endpoint);
	}
	return TRUE;
}

/* [a-z0-9] and . _ - / between them, as the distribution specification has it. */
static bool is_name(const char *name)
{
	char before = '/';

	if (strlen(name) > MAX_NAME_BYTES)
		return false;
	for (const char *at = name; *at != '\0'; before = *at++) {
		bool is_letter = g_ascii_islower(*at) || g_ascii_isdigit(*at);
		if (!is_letter && strchr("._-/", *at) == NULL)
			return false;
		if (!is_letter && (before == '/' || before == '.'))
			return false;
	}
	return g_ascii_islower(before) || g_ascii_isdigit(before);
}

static bool is_tag(const char *tag)
{
	for (const char *at = tag; *at != '\0'; at++)
		if (!g_ascii_isalnum(*at) && *at != '_' &&
				(at == tag || (*at != '.' && *at != '-')))
			return false;
	return strlen(tag) <= MAX_TAG_BYTES;
}

gboolean ash_registry_order_parse(GBytes *text, AshRegistryOrder **out_order, GError **error)
{
	ASH_PREFIX("the order");
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshRegistryOrder) order = g_new0(AshRegistryOrder, 1);

	order->endpoints = g_ptr_array_new_with_free_func((GDestroyNotify) endpoint_free);
	if (!ash_json_parse(text, ASH_REGISTRY_MAX_ORDER_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_ORDER,
				"not an object");
	JsonObject *object = json_node_get_object(node);
	if (!get_text(object, "location", &order->location, error) ||
			!get_text(object, "tag", &order->tag, error) ||
			!get_text(object, "digest", &order->digest, error) ||
			!get_text(object, "proxy", &order->proxy, error) ||
			!parse_endpoints(object, order->endpoints, error))
		return FALSE;
	const char *slash = strchr(order->location, '/');
	if (slash == NULL || slash == order->location || !is_name(slash + 1))
		return ash_throw(error, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_ORDER,
				"'%.100s' is not HOST/NAME", order->location);
	order->name = g_strdup(slash + 1);
	if (!is_tag(order->tag) ||
			(*order->digest != '\0' && ash_oci_digest_find(order->digest) == NULL))
		return ash_throw(error, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_ORDER,
				"neither a tag nor a digest");
	*out_order = g_steal_pointer(&order);
	return TRUE;
}

/* ---- making it ----------------------------------------------------------------------------------- */

static const AshRegistry *find_registry(const AshRegistries *registries, const char *host)
{
	for (guint i = 0; i < registries->entries->len; i++) {
		const AshRegistry *entry = registries->entries->pdata[i];
		if (g_ascii_strcasecmp(entry->host, host) == 0)
			return entry;
	}
	return NULL;
}

static void add_endpoint(JsonBuilder *builder, const char *url, const AshRegistry *entry)
{
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "url", url);
	if (entry != NULL) {
		ash_json_add_text(builder, "username", entry->username);
		ash_json_add_text(builder, "password", entry->password);
		ash_json_add_text(builder, "ca", entry->ca);
		ash_json_add_texts(builder, "token_hosts", entry->token_hosts);
	}
	json_builder_end_object(builder);
}

char *ash_registry_order(const AshWorkloadImage *image, const AshRegistries *registries)
{
	g_autofree char *host = g_strndup(image->location, strcspn(image->location, "/"));
	const AshRegistry *entry = find_registry(registries, host);
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "location", image->location);
	ash_json_add_text(builder, "tag", image->tag);
	ash_json_add_text(builder, "digest", image->digest);
	ash_json_add_text(builder, "proxy", registries->proxy);
	ash_json_begin_array(builder, "endpoints");
	for (char **mirror = entry != NULL ? entry->mirrors : NULL;
			mirror != NULL && *mirror != NULL; mirror++) {
		g_autofree char *at = ash_registry_url_host(*mirror);
		add_endpoint(builder, *mirror, find_registry(registries, at));
	}
	g_autofree char *url = g_strdup_printf(
			"%s://%s", entry != NULL && entry->is_plain ? "http" : "https", host);
	add_endpoint(builder, url, entry);
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}
