/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "fleet/http-private.h"
#include "lib/x509.h"

enum {
	MAX_PROXIED_CERTIFICATE = 16 << 10,
	MAX_WORKERS_QUEUE = 1024,
	BUSY_RETRY_S = 2,
};

const char *ash_http_method(const AshHttpCall *call)
{
	return call->method;
}

const char *ash_http_path(const AshHttpCall *call)
{
	return call->path;
}

const char *ash_http_header(const AshHttpCall *call, const char *name)
{
	return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);
}

const char *ash_http_argument(const AshHttpCall *call, const char *name)
{
	return MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, name);
}

typedef struct {
	AshHttpEachArgument each;
	gpointer data;
} Each;

static enum MHD_Result each_argument(
		void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
	Each *each = data;

	return each->each(name, value != NULL ? value : "", each->data) ? MHD_YES : MHD_NO;
}

void ash_http_each_argument(const AshHttpCall *call, AshHttpEachArgument each, gpointer data)
{
	Each with = {.each = each, .data = data};

	MHD_get_connection_values(call->connection, MHD_GET_ARGUMENT_KIND, each_argument, &with);
}

GBytes *ash_http_body(const AshHttpCall *borrowed)
{
	union {
		const AshHttpCall *ours;
		AshHttpCall *changed;
	} call = {.ours = borrowed};

	/* Made when it is asked for the first time; a call is read by one thread at a time. */
	if (call.changed->body_bytes != NULL)
		return call.changed->body_bytes;
	if (call.changed->body == NULL) {
		call.changed->body_bytes = g_bytes_new_static("", 0);
		return call.changed->body_bytes;
	}
	g_byte_array_append(call.changed->body, (const guint8 *) "", 1);
	g_byte_array_set_size(call.changed->body, call.changed->body->len - 1);
	call.changed->body_bytes = g_byte_array_free_to_bytes(g_steal_pointer(&call.changed->body));
	return call.changed->body_bytes;
}

/* ---- who it is ---- */

static void format_address(const struct sockaddr *address, char *out, size_t size)
{
	union {
		const struct sockaddr *any;
		const struct sockaddr_in *v4;
		const struct sockaddr_in6 *v6;
	} at = {.any = address};

	out[0] = '\0';
	if (address->sa_family == AF_INET)
		inet_ntop(AF_INET, &at.v4->sin_addr, out, (socklen_t) size);
	else if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&at.v6->sin6_addr))
		inet_ntop(AF_INET, &at.v6->sin6_addr.s6_addr[12], out, (socklen_t) size);
	else if (address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &at.v6->sin6_addr, out, (socklen_t) size);
}

/* The last address of the list is what the proxy itself has seen; the others are what the client says. */
static bool forwarded_for(const AshHttpCall *call, char *out, size_t size)
{
	const char *list = ash_http_header(call, "X-Forwarded-For");
	const char *comma = list != NULL ? strrchr(list, ',') : NULL;
	uint8_t parsed[16];

	if (list == NULL)
		return false;
	g_autofree char *last = g_strstrip(g_strdup(comma != NULL ? comma + 1 : list));
	if (inet_pton(AF_INET, last, parsed) != 1 && inet_pton(AF_INET6, last, parsed) != 1)
		return false;
	g_strlcpy(out, last, size);
	return true;
}

const char *ash_http_peer(const AshHttpCall *borrowed)
{
	union {
		const AshHttpCall *ours;
		AshHttpCall *changed;
	} call = {.ours = borrowed};
	char *peer = call.changed->peer;
	size_t size = sizeof call.changed->peer;

	if (peer[0] != '\0' || (borrowed->link->is_proxy && forwarded_for(borrowed, peer, size)))
		return peer;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
			borrowed->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info != NULL && info->client_addr != NULL)
		format_address(info->client_addr, peer, size);
	return peer;
}

/* As nginx's $ssl_client_escaped_cert: PEM with '%' escapes. */
static void judge_proxied(AshHttpCall *call)
{
	const char *escaped = ash_http_header(call, "X-Client-Cert");
	g_auto(AshX509Info) info = {0};

	call->is_proxy_judged = true;
	if (escaped == NULL || strlen(escaped) > MAX_PROXIED_CERTIFICATE ||
			call->http->client_ca_pem == NULL)
		return;
	g_autofree char *pem = g_uri_unescape_string(escaped, NULL);
	if (pem == NULL || !ash_x509_info_parse(pem, &info, NULL) ||
			!ash_x509_is_client_of(pem, call->http->client_ca_pem,
					g_get_real_time() / G_USEC_PER_SEC))
		return;
	call->proxy_key = g_steal_pointer(&info.fingerprint);
	call->proxy_serial = g_steal_pointer(&info.serial);
}

static bool is_proxied(const AshHttpCall *borrowed)
{
	union {
		const AshHttpCall *ours;
		AshHttpCall *changed;
	} call = {.ours = borrowed};

	if (!borrowed->link->is_proxy)
		return false;
	if (!borrowed->is_proxy_judged)
		judge_proxied(call.changed);
	return true;
}

/* A kept connection may outlast the certificate that it began with. */
static bool has_ended(const AshHttpConnection *link)
{
	return g_get_real_time() / G_USEC_PER_SEC >= link->key_ends_s;
}

const char *ash_http_peer_key(const AshHttpCall *call)
{
	if (is_proxied(call))
		return call->proxy_key;
	return call->link->key != NULL && !has_ended(call->link) ? call->link->key : NULL;
}

const char *ash_http_peer_serial(const AshHttpCall *call)
{
	if (is_proxied(call))
		return call->proxy_serial;
	return call->link->key != NULL && !has_ended(call->link) ? call->link->serial : NULL;
}

bool ash_http_is_secure(const AshHttpCall *call)
{
	return call->link->credentials != NULL;
}

void ash_http_set_data(AshHttpCall *call, gpointer data, GDestroyNotify destroy)
{
	call->data = data;
	call->destroy = destroy;
}

gpointer ash_http_data(const AshHttpCall *call)
{
	return call->data;
}

/* ---- work that may wait ---- */

typedef struct {
	AshHttpCall *call;
	AshHttpHandler function;
	gpointer data;
} Task;

void ash_http_work(gpointer data, gpointer unused)
{
	Task *task = data;

	task->function(task->call, task->data);
	g_free(task);
}

bool ash_http_blocking(AshHttpCall *call, AshHttpHandler function, gpointer data)
{
	AshHttp *http = call->http;
	Task *task = g_new(Task, 1);
	bool is_taken = false;

	*task = (Task){.call = call, .function = function, .data = data};
	g_mutex_lock(&http->lock);
	if (http->workers != NULL && g_thread_pool_unprocessed(http->workers) < MAX_WORKERS_QUEUE)
		is_taken = g_thread_pool_push(http->workers, task, NULL);
	g_mutex_unlock(&http->lock);
	if (is_taken)
		return true;
	g_free(task);
	g_atomic_pointer_add(&http->refused, 1);
	ash_http_reply_later(call, 503, BUSY_RETRY_S, "busy",
			"This server has more to do than it can do now.");
	return false;
}
