/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-event.h"
#include "fleet/change.h"
#include "fleet/scope.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* Events as they happen, as server-sent events. A stream ends after an hour, with the token or session that it was opened
 * by, and when anything of operators changed: the client comes again by itself, says what it saw last, and is asked anew
 * who it is.
 */

enum {
	LIFE_S = 60 * 60,
};

typedef struct {
	gint references; /* the connection's, and the one that began it */
	AshServer *server;
	AshScope scope;
	AshRole role;
	int64_t begin_s, end_s;
	int64_t begin_seq; /* the last event when it began */
	AshHttpStream *stream;
	GMutex lock;
	uint64_t listener; /* 0: none */
	bool is_over;      /* the connection has gone */
	gint is_ended;     /* by us */
} Follower;

static void end(Follower *follower)
{
	if (g_atomic_int_compare_and_exchange(&follower->is_ended, 0, 1))
		ash_http_stream_end(follower->stream);
}

static void follower_unref(Follower *follower)
{
	if (!g_atomic_int_dec_and_test(&follower->references))
		return;
	end(follower);
	ash_scope_clear(&follower->scope);
	g_mutex_clear(&follower->lock);
	g_free(follower);
}

static void on_end(gpointer data)
{
	Follower *follower = data;

	g_mutex_lock(&follower->lock);
	follower->is_over = true;
	uint64_t listener = follower->listener;
	g_mutex_unlock(&follower->lock);
	if (listener != 0)
		ash_events_leave(follower->server->events, listener);
	follower_unref(follower);
}

/* What it was told before it began is no reason; by number, since clocks are set. But who asks was looked up a moment before
 * that: what changed in between has a lower number.
 */
static bool changes_rights(const Follower *follower, const AshEvent *event)
{
	return event->seq > follower->begin_seq || event->at_s == follower->begin_s;
}

static void on_event(const AshEvent *event, gpointer data)
{
	Follower *follower = data;
	g_auto(AshHost) host = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (g_atomic_int_get(&follower->is_ended))
		return;
	follower->scope.now = follower->server->now();
	if (follower->scope.now >= follower->end_s) {
		end(follower);
		return;
	}
	bool is_about_operators = strcmp(event->kind, "operator.changed") == 0;
	const char *name = ash_api_event_host_name(follower->server->live, event->host, &host);
	bool may = is_about_operators
				   ? follower->role == ASH_ROLE_ADMIN
				   : *event->host == '\0' || follower->scope.selector == NULL ||
						     (host.name != NULL &&
								     ash_scope_has(&follower->scope,
										     &host));
	if (may) {
		json_builder_begin_object(json);
		ash_api_event_add(json, event, name);
		json_builder_end_object(json);
		g_autoptr(JsonNode) node = json_builder_get_root(json);
		g_autofree char *body = json_to_string(node, FALSE);
		g_autofree char *text =
				g_strdup_printf("id: %" G_GINT64_FORMAT "\nevent: %s\ndata: %s\n\n",
						event->seq, event->kind, body);
		ash_http_stream_send(follower->stream, text, strlen(text));
	}
	if (is_about_operators && changes_rights(follower, event))
		end(follower);
}

static gboolean read_after(AshRequest *request, int64_t *out_after, GError **error)
{
	const char *last = ash_http_header(request->call, "Last-Event-ID");

	/* The header is the browser's, when it comes again: newer than the address that it was given. */
	if (last == NULL || *last == '\0')
		last = ash_http_argument(request->call, "after");
	return ash_change_parse(last, -1, out_after, error);
}

static gboolean follow(AshRequest *request, GError **error)
{
	AshServer *server = request->server;
	int64_t after = -1;
	AshScope scope = {0};

	int64_t last = 0;

	if (!read_after(request, &after, error) || !ash_event_last(request->db, &last, error) ||
			!ash_scope_init(request, &scope, error))
		return FALSE;
	Follower *follower = g_new0(Follower, 1);
	follower->references = 2;
	follower->server = server;
	follower->scope = scope;
	follower->role = request->role;
	follower->begin_seq = last;
	follower->begin_s = server->now();
	follower->end_s = follower->begin_s + LIFE_S;
	if (request->expires_at != 0)
		follower->end_s = MIN(follower->end_s, request->expires_at);
	g_mutex_init(&follower->lock);
	follower->stream = ash_http_stream_begin(request->call, on_end, follower);

	uint64_t listener = ash_events_listen(server->events, after, on_event, follower);
	g_mutex_lock(&follower->lock);
	follower->listener = listener;
	bool is_over = follower->is_over;
	g_mutex_unlock(&follower->lock);
	if (is_over)
		ash_events_leave(server->events, listener);
	follower_unref(follower);
	return TRUE;
}

static const AshRouteMember arguments[] = {{0}};

const AshRoute ash_api_stream_routes[] = {
		{"GET", "/v1/stream", ASH_ROLE_VIEWER,
				"Events as they happen, as server-sent events behind 'after' or the header "
				"Last-Event-ID; without, from now on",
				follow, .arguments = arguments, .answer = NULL},
		{0},
};
