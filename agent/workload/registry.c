/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/registry.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "agent/staging.h"
#include "agent/workload/registry-auth.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/fetch-request.h"
#include "lib/file.h"
#include "lib/oci.h"

#define BLOBS "oci/blobs/sha256"
#define ACCEPT                                                                                     \
	"Accept: application/vnd.oci.image.index.v1+json, "                                        \
	"application/vnd.oci.image.manifest.v1+json, "                                             \
	"application/vnd.docker.distribution.manifest.list.v2+json, "                              \
	"application/vnd.docker.distribution.manifest.v2+json"

enum {
	LOW_SPEED_S = 20,
	TRIES = 3,
	ANSWER_TIMEOUT_MS = 60000,
	DEADLINE_S = 1800, /* and the time that all bytes need at the least rate that is fine: */
	FINE_BYTES_PER_S = 65536,
	PARALLEL = 4,
};

/* One endpoint being asked. */
typedef struct {
	const AshRegistryPull *pull;
	const AshRegistryEndpoint *endpoint;
	AshFetchSession *session;
	char *host;          /* of endpoint->url */
	char *authorization; /* header value; NULL: none is needed, or not known yet */
	uint64_t total;
} Client;

/* ---- who we are ------------------------------------------------------------------------------------ */

static char *format_basic(const AshRegistryEndpoint *endpoint)
{
	g_autofree char *pair = g_strdup_printf("%s:%s", endpoint->username, endpoint->password);
	g_autofree char *encoded = g_base64_encode((const guchar *) pair, strlen(pair));

	return g_strconcat("Basic ", encoded, NULL);
}

static bool has_password(const Client *client)
{
	return *client->endpoint->username != '\0' || *client->endpoint->password != '\0';
}

/* Whoever answers for the registry names the token server: the password is not for just anybody. */
static gboolean may_tell(const Client *client, const char *realm, GError **error)
{
	g_autofree char *host = ash_registry_url_host(realm);

	if (host == NULL || (g_str_has_prefix(realm, "http:") && !ash_registry_is_loopback(host)))
		return ash_throw(error, ASH_REGISTRY_AUTH_ERROR,
				ASH_REGISTRY_AUTH_ERROR_UNSUPPORTED,
				"the registry names a token server without TLS");
	if (!has_password(client) || g_ascii_strcasecmp(host, client->host) == 0 ||
			g_strv_contains((const char *const *) client->endpoint->token_hosts, host))
		return TRUE;
	return ash_throw(error, ASH_REGISTRY_AUTH_ERROR, ASH_REGISTRY_AUTH_ERROR_DENIED,
			"%s wants its password to be told to %s: allow that with token-hosts in "
			"registries.yaml",
			client->host, host);
}

static gboolean fetch_token(Client *client, const AshRegistryChallenge *challenge, GError **error)
{
	g_autofree char *scope = g_strdup_printf("repository:%s:pull", client->pull->order->name);
	g_autofree char *url = ash_registry_challenge_url(challenge, scope);
	g_autofree char *basic = format_basic(client->endpoint);
	g_autofree char *header = g_strconcat("Authorization: ", basic, NULL);
	const char *const headers[] = {header, NULL};
	const AshFetchRequest request = {.url = url,
			.headers = has_password(client) ? headers : NULL,
			.timeout_ms = ANSWER_TIMEOUT_MS,
			.max_bytes = ASH_REGISTRY_AUTH_MAX_ANSWER_BYTES};
	g_autoptr(AshFetchAnswer) answer = NULL;
	g_autofree char *token = NULL;

	if (!may_tell(client, challenge->realm, error) ||
			!ash_fetch_session_request(client->session, &request, &answer, error))
		return FALSE;
	if (answer->status == 401 || answer->status == 403)
		return ash_throw(error, ASH_REGISTRY_AUTH_ERROR, ASH_REGISTRY_AUTH_ERROR_DENIED,
				"the token server of %s says %u: %s", client->host, answer->status,
				has_password(client) ? "not with this password"
						     : "a password is needed");
	if (answer->status != 200)
		return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_HTTP,
				"the token server of %s says %u", client->host, answer->status);
	if (!ash_registry_token_parse(answer->body, &token, error))
		return FALSE;
	g_free(client->authorization);
	client->authorization = g_strconcat("Bearer ", token, NULL);
	return TRUE;
}

/* In answer to a 401. */
static gboolean authorize(Client *client, const char *header, GError **error)
{
	g_autoptr(AshRegistryChallenge) challenge = NULL;

	if (!ash_registry_challenge_parse(header, &challenge, error))
		return FALSE;
	if (challenge->is_bearer)
		return fetch_token(client, challenge, error);
	if (!has_password(client))
		return ash_throw(error, ASH_REGISTRY_AUTH_ERROR, ASH_REGISTRY_AUTH_ERROR_DENIED,
				"%s wants a password: it is to stand in registries.yaml",
				client->host);
	g_free(client->authorization);
	client->authorization = format_basic(client->endpoint);
	return TRUE;
}

/* ---- documents ------------------------------------------------------------------------------------- */

static gboolean ask_once(Client *client, const char *url, size_t max_bytes,
		AshFetchAnswer **out_answer, GError **error)
{
	static const char *const wanted[] = {"WWW-Authenticate", "Location", NULL};
	g_autofree char *host = ash_registry_url_host(url);
	bool is_home = g_strcmp0(host, client->host) == 0 && client->authorization != NULL;
	g_autofree char *header = g_strconcat("Authorization: ", client->authorization, NULL);
	const char *const headers[] = {ACCEPT, is_home ? header : NULL, NULL};
	const AshFetchRequest request = {.url = url,
			.headers = headers,
			.wanted = wanted,
			.timeout_ms = ANSWER_TIMEOUT_MS,
			.max_bytes = max_bytes};

	return ash_fetch_session_request(client->session, &request, out_answer, error);
}

static gboolean throw_status(const Client *client, unsigned status, GError **error)
{
	if (status == 401 || status == 403)
		return ash_throw(error, ASH_REGISTRY_AUTH_ERROR, ASH_REGISTRY_AUTH_ERROR_DENIED,
				"%s says %u: not for us", client->host, status);
	return ash_throw(error, ASH_FETCH_ERROR,
			status == 404 || status == 410 ? ASH_FETCH_ERROR_GONE
						       : ASH_FETCH_ERROR_HTTP,
			"%s says %u%s", client->host, status, status == 404 ? " (not there)" : "");
}

/* Follows where it is sent, without the password, and never from https to http. */
static gboolean redirect(char **url, const char *location, GError **error)
{
	char *next = g_uri_resolve_relative(*url, location, G_URI_FLAGS_ENCODED, NULL);
	g_autofree char *host = next != NULL ? ash_registry_url_host(next) : NULL;
	bool is_worse = next != NULL && g_str_has_prefix(*url, "https:") &&
			!g_str_has_prefix(next, "https:");

	g_free(*url);
	*url = next;
	if (host == NULL || is_worse)
		return ash_throw(error, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_ANSWER,
				"the registry sends us to where we do not go");
	return TRUE;
}

static gboolean ask(Client *client, const char *kind, const char *reference, size_t max_bytes,
		GBytes **out_body, GError **error)
{
	g_autofree char *first = g_strdup_printf("%s/v2/%s/%s/%s", client->endpoint->url,
			client->pull->order->name, kind, reference);
	g_autofree char *url = g_strdup(first);
	bool has_authorized = false;

	for (unsigned redirects = 0; redirects <= ASH_REGISTRY_MAX_REDIRECTS;) {
		g_autoptr(AshFetchAnswer) answer = NULL;
		if (!ask_once(client, url, max_bytes, &answer, error))
			return FALSE;
		if (answer->status == 200) {
			*out_body = g_steal_pointer(&answer->body);
			return TRUE;
		}
		if (answer->status == 401 && !has_authorized && strcmp(url, first) == 0) {
			has_authorized = true;
			if (!authorize(client, answer->headers[0], error))
				return FALSE;
		} else if (answer->status / 100 == 3 && *answer->headers[1] != '\0') {
			redirects++;
			if (!redirect(&url, answer->headers[1], error))
				return FALSE;
		} else {
			return throw_status(client, answer->status, error);
		}
	}
	return ash_throw(error, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_ANSWER,
			"the registry sends us from one place to the next");
}

static gboolean save(const AshRegistryPull *pull, const char *sha256, GBytes *text, GError **error)
{
	g_autofree char *path = g_strconcat(BLOBS "/", sha256, NULL);

	return ash_staging_check_space(pull->staging_fd, g_bytes_get_size(text), error) &&
	       ash_file_replace(pull->staging_fd, path, g_bytes_get_data(text, NULL),
			       g_bytes_get_size(text), 0644, error);
}

/* A manifest or index by digest, or by tag: then *out_sha256 is what it has. One that an earlier try brought is not
 * asked for again; *out_is_new: it was, and is to be saved when it turns out to be one.
 */
static gboolean get_manifest(Client *client, const char *sha256, const char *tag, GBytes **out_text,
		char **out_sha256, bool *out_is_new, GError **error)
{
	g_autofree char *reference = sha256 != NULL ? g_strconcat("sha256:", sha256, NULL)
						    : g_strdup(*tag != '\0' ? tag : "latest");
	g_autofree char *path = sha256 != NULL ? g_strconcat(BLOBS "/", sha256, NULL) : NULL;
	g_autoptr(GBytes) text = NULL;
	g_autofree char *hex = NULL;

	if (path != NULL && ash_staging_read(client->pull->staging_fd, path,
					    ASH_OCI_MAX_MANIFEST_BYTES, &text, NULL)) {
		hex = ash_sha256_hex(g_bytes_get_data(text, NULL), g_bytes_get_size(text));
		if (strcmp(hex, sha256) != 0)
			g_clear_pointer(&text, g_bytes_unref);
		g_clear_pointer(&hex, g_free);
	}
	bool is_new = text == NULL;
	if (is_new && !ask(client, "manifests", reference, ASH_OCI_MAX_MANIFEST_BYTES, &text,
				      error))
		return FALSE;
	hex = ash_sha256_hex(g_bytes_get_data(text, NULL), g_bytes_get_size(text));
	if (sha256 != NULL && strcmp(hex, sha256) != 0)
		return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_MISMATCH,
				"manifest %s has the digest sha256:%s", reference, hex);
	*out_text = g_steal_pointer(&text);
	*out_sha256 = g_steal_pointer(&hex);
	*out_is_new = is_new;
	return TRUE;
}

/* ---- layers ---------------------------------------------------------------------------------------- */

static bool has_ref(const AshRegistryPull *pull, const char *kind, const char *hex)
{
	g_autofree char *path = g_strdup_printf(
			"%s/ostree/repo/refs/heads/ashlar/oci/%s/%s", pull->sysroot, kind, hex);

	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

typedef struct {
	GPtrArray *texts; /* what the items borrow */
	GArray *items;
} Wanted;

static void wanted_init(Wanted *wanted)
{
	wanted->texts = g_ptr_array_new_with_free_func(g_free);
	wanted->items = g_array_new(FALSE, TRUE, sizeof(AshFetchItem));
}

static void wanted_clear(Wanted *wanted)
{
	g_ptr_array_unref(wanted->texts);
	g_array_unref(wanted->items);
}

/* Adds what is not there yet; there is what has its name and its size, and import hashes it anyway. */
static gboolean want(
		Wanted *wanted, const Client *client, const AshOciDescriptor *blob, GError **error)
{
	g_autofree char *name = g_strconcat(BLOBS "/", blob->sha256, NULL);
	bool is_there = false;

	if (!ash_file_exists(client->pull->staging_fd, name, &is_there, error))
		return FALSE;
	for (guint i = 0; i < wanted->items->len && !is_there; i++)
		is_there = strcmp(g_array_index(wanted->items, AshFetchItem, i).sha256,
					   blob->sha256) == 0;
	if (is_there)
		return TRUE;
	char *url = g_strdup_printf("%s/v2/%s/blobs/sha256:%s", client->endpoint->url,
			client->pull->order->name, blob->sha256);
	char *dest = g_strdup_printf("%s/%s", client->pull->staging, name);
	char *what = g_strdup_printf("blob %.12s", blob->sha256);
	const char **uris = g_new0(const char *, 2);
	uris[0] = url;
	g_ptr_array_add(wanted->texts, url);
	g_ptr_array_add(wanted->texts, dest);
	g_ptr_array_add(wanted->texts, what);
	g_ptr_array_add(wanted->texts, uris);
	const AshFetchItem item = {.uris = uris,
			.dest = dest,
			.sha256 = blob->sha256,
			.size = blob->size,
			/* An empty file has no layer in it, and 0 stands for "not known". */
			.max_bytes = MAX(blob->size, 1),
			.what = what};
	g_array_append_val(wanted->items, item);
	return TRUE;
}

static gboolean run_items(Client *client, Wanted *wanted, GError **error)
{
	for (guint i = 0; i < wanted->items->len; i++)
		g_array_index(wanted->items, AshFetchItem, i).authorization = client->authorization;
	return ash_fetch_session_run(client->session,
			(const AshFetchItem *) (gpointer) wanted->items->data, wanted->items->len,
			PARALLEL, NULL, NULL, error);
}

/* A token may end while layers come: then a new one is asked for, once, and what came is gone on with. */
static gboolean fetch_items(Client *client, Wanted *wanted, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autoptr(GBytes) ignored = NULL;
	uint64_t bytes = 0;

	for (guint i = 0; i < wanted->items->len; i++)
		bytes += g_array_index(wanted->items, AshFetchItem, i).size;
	if (wanted->items->len == 0)
		return TRUE;
	client->total += bytes;
	if (!ash_staging_check_space(client->pull->staging_fd, bytes, error))
		return FALSE;
	if (run_items(client, wanted, &cause))
		return TRUE;
	if (client->authorization == NULL ||
			!g_error_matches(cause, ASH_FETCH_ERROR, ASH_FETCH_ERROR_HTTP)) {
		g_propagate_error(error, g_steal_pointer(&cause));
		return FALSE;
	}
	const AshRegistryOrder *order = client->pull->order;
	const char *reference = *order->digest != '\0' ? order->digest
				: *order->tag != '\0'  ? order->tag
						       : "latest";
	return ask(client, "manifests", reference, ASH_OCI_MAX_MANIFEST_BYTES, &ignored, error) &&
	       run_items(client, wanted, error);
}

static gboolean get_blobs(Client *client, const AshOciManifest *manifest, GError **error)
{
	const AshRegistryPull *pull = client->pull;
	g_autofree char *path = g_strconcat(BLOBS "/", manifest->config->sha256, NULL);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(AshOciConfig) config = NULL;
	Wanted wanted;

	wanted_init(&wanted);
	gboolean is_ok = want(&wanted, client, manifest->config, error) &&
			 fetch_items(client, &wanted, error) &&
			 ash_staging_read(pull->staging_fd, path, ASH_OCI_MAX_CONFIG_BYTES, &text,
					 error) &&
			 ash_oci_config_parse(text, &config, error) &&
			 ash_oci_config_check(config, pull->arch, error);
	wanted_clear(&wanted);
	if (!is_ok)
		return FALSE;
	if (g_strv_length(config->diff_ids) != manifest->layers->len)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX,
				"the config names %u layers, the manifest %u",
				g_strv_length(config->diff_ids), manifest->layers->len);
	wanted_init(&wanted);
	for (guint i = 0; i < manifest->layers->len && is_ok; i++)
		is_ok = has_ref(pull, "layer", config->diff_ids[i]) ||
			want(&wanted, client, manifest->layers->pdata[i], error);
	is_ok = is_ok && fetch_items(client, &wanted, error);
	wanted_clear(&wanted);
	return is_ok;
}

/* ---- an endpoint ----------------------------------------------------------------------------------- */

static gboolean get_image(Client *client, char **out_digest, GError **error)
{
	const AshRegistryPull *pull = client->pull;
	const char *asked = ash_oci_digest_find(pull->order->digest);
	g_autofree char *first = NULL;
	g_autofree char *at = g_strdup(asked);

	for (int depth = 0; depth <= ASH_OCI_MAX_NESTING; depth++) {
		g_autoptr(GBytes) text = NULL;
		g_autoptr(AshOciIndex) index = NULL;
		g_autoptr(AshOciManifest) manifest = NULL;
		g_autofree char *sha256 = NULL;
		const AshOciDescriptor *entry = NULL;
		bool is_index = false, is_new = false;
		if (!get_manifest(client, at, pull->order->tag, &text, &sha256, &is_new, error) ||
				!ash_oci_is_index(text, &is_index, error))
			return FALSE;
		if (first == NULL)
			first = g_strdup(sha256);
		if (!is_index) {
			if (!ash_oci_manifest_parse(text, &manifest, error) ||
					(is_new && !save(pull, sha256, text, error)) ||
					(!has_ref(pull, "image", first) &&
							!get_blobs(client, manifest, error)))
				return FALSE;
			*out_digest = g_strconcat("sha256:", first, NULL);
			return TRUE;
		}
		if (!ash_oci_index_parse(text, &index, error) ||
				!ash_oci_index_choose(index, NULL, pull->arch, &entry, error) ||
				(is_new && !save(pull, sha256, text, error)))
			return FALSE;
		g_free(at);
		at = g_strdup(entry->sha256);
	}
	return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_LIMIT,
			"indices in indices, more than %d deep", ASH_OCI_MAX_NESTING);
}

static void on_bytes(uint64_t received, gpointer data)
{
	const Client *client = data;

	if (client->pull->on_bytes != NULL)
		client->pull->on_bytes(received, client->total, client->pull->data);
}

static gboolean ask_endpoint(const AshRegistryPull *pull, const AshRegistryEndpoint *endpoint,
		char **out_digest, uint64_t *bytes, GError **error)
{
	Client client = {.pull = pull, .endpoint = endpoint};
	const AshFetchOptions options = {.ca_pem = endpoint->ca,
			.proxy = pull->order->proxy,
			.is_http_only = true,
			.low_speed_s = LOW_SPEED_S,
			.tries = TRIES,
			.deadline_s = DEADLINE_S + ASH_OCI_MAX_PACKED_BYTES / FINE_BYTES_PER_S,
			.on_bytes = on_bytes,
			.data = &client};

	client.host = ash_registry_url_host(endpoint->url);
	if (!ash_fetch_session_new(&options, &client.session, error)) {
		g_free(client.host);
		return FALSE;
	}
	ash_fetch_session_set_budget(client.session,
			ASH_OCI_MAX_PACKED_BYTES + 4 * (uint64_t) ASH_OCI_MAX_CONFIG_BYTES);
	gboolean is_ok = get_image(&client, out_digest, error);
	*bytes += ash_fetch_session_received(client.session);
	ash_fetch_session_free(client.session);
	g_free(client.host);
	g_free(client.authorization);
	return is_ok;
}

/* What another endpoint can make good: all but what is wrong here, or with the image itself. */
static bool may_differ(const GError *error)
{
	return error->domain == ASH_FETCH_ERROR || error->domain == ASH_REGISTRY_ERROR ||
	       error->domain == ASH_REGISTRY_AUTH_ERROR;
}

gboolean ash_registry_pull(
		const AshRegistryPull *pull, char **out_digest, uint64_t *out_bytes, GError **error)
{
	ASH_PREFIX("pulling %s", pull->order->location);
	const char *asked = ash_oci_digest_find(pull->order->digest);
	GPtrArray *endpoints = pull->order->endpoints;
	uint64_t bytes = 0;

	if (asked != NULL && has_ref(pull, "image", asked)) {
		*out_digest = g_strdup(pull->order->digest);
		*out_bytes = 0;
		return TRUE;
	}
	if (!ash_file_ensure_dir(pull->staging_fd, BLOBS, 0755, error))
		return FALSE;
	for (guint i = 0; i < endpoints->len; i++) {
		g_autoptr(GError) cause = NULL;
		if (ask_endpoint(pull, endpoints->pdata[i], out_digest, &bytes, &cause)) {
			*out_bytes = bytes;
			return TRUE;
		}
		if (i + 1 == endpoints->len || !may_differ(cause)) {
			g_propagate_error(error, g_steal_pointer(&cause));
			return FALSE;
		}
		g_debug("%s, asking the next", cause->message);
	}
	g_assert_not_reached();
}
