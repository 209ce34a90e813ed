/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/webhook.h"

#include <string.h>

#include "fleet/api-event.h"
#include "fleet/server.h"
#include "fleet/workload-told.h"
#include "lib/error.h"
#include "lib/fetch-request.h"
#include "lib/json.h"

enum {
	THREADS = 4,
	BATCH = 200,        /* events that are looked at at once, and deliveries in a row */
	MAX_ANSWER = 200,   /* bytes of what a receiver said that are kept */
	MAX_BODY = 4 << 10, /* of an answer */
	IDLE_S = 60,
};

struct AshWebhooks {
	AshServer *server;
	GThread *thread;
	GThreadPool *pool;
	uint64_t listener;
	AshDb *lead_db; /* holds the lock, of several servers; NULL: not had */
	GMutex lock;
	GCond wake;
	bool is_ending, is_woken;
	GHashTable *busy; /* ids that are being delivered, or were when the table was read last: is_over */
};

/* A webhook as the table has it. */
typedef struct {
	AshWebhooks *webhooks;
	char *id, *url, *secret, *kinds;
	int64_t cursor;
	int64_t seq; /* being delivered; 0: none */
	int64_t since, attempts, next_at;
} Hook;

static void hook_free(gpointer data)
{
	Hook *hook = data;

	if (hook == NULL)
		return;
	g_free(hook->id);
	g_free(hook->url);
	g_free(hook->secret);
	g_free(hook->kinds);
	g_free(hook);
}

/* ---- PURE ---- */

int64_t ash_webhook_delay(unsigned attempts)
{
	if (attempts == 0)
		return 0;
	return attempts > 10 ? ASH_WEBHOOK_MAX_DELAY_S
			     : MIN(INT64_C(1) << (attempts - 1), ASH_WEBHOOK_MAX_DELAY_S);
}

static bool is_of(const char *wanted, const char *kind)
{
	size_t size = strlen(wanted);

	if (g_str_has_suffix(wanted, ".*"))
		return strncmp(wanted, kind, size - 1) == 0;
	return strcmp(wanted, kind) == 0;
}

bool ash_webhook_wants(const char *kinds, const char *kind)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(kinds, strlen(kinds));
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(bytes, 1 << 16, 2, &node, NULL) || !JSON_NODE_HOLDS_ARRAY(node))
		return false;
	JsonArray *array = json_node_get_array(node);
	for (guint i = 0; i < json_array_get_length(array); i++) {
		const char *wanted = json_array_get_string_element(array, i);
		if (wanted != NULL && is_of(wanted, kind))
			return true;
	}
	return json_array_get_length(array) == 0;
}

char *ash_webhook_sign(const char *secret, int64_t now, const char *body, size_t size)
{
	g_autoptr(GString) text = g_string_new(NULL);

	g_string_append_printf(text, "%" G_GINT64_FORMAT ".", now);
	g_string_append_len(text, body, (gssize) size);
	g_autofree char *hex = g_compute_hmac_for_data(G_CHECKSUM_SHA256, (const guchar *) secret,
			strlen(secret), (const guchar *) text->str, text->len);
	return g_strdup_printf("t=%" G_GINT64_FORMAT ",v1=%s", now, hex);
}

/* ---- what is next ---- */

typedef struct {
	Hook *hook;
	int64_t looked_at, found;
} Search;

static gboolean look_at(const AshEvent *event, gpointer data, GError **error)
{
	Search *search = data;

	if (search->found != 0)
		return TRUE;
	search->looked_at = event->seq;
	/* They take the place of one another: there is no end to them. */
	if (!g_str_equal(event->kind, ASH_WORKLOAD_TOLD_KIND) &&
			ash_webhook_wants(search->hook->kinds, event->kind))
		search->found = event->seq;
	return TRUE;
}

/* Moves the cursor over what is not asked for. *out_found false: nothing is left. */
static gboolean find_next(AshDb *db, Hook *hook, bool *out_found, GError **error)
{
	int64_t from = hook->cursor;
	Search search = {.hook = hook};

	do {
		search.looked_at = 0;
		if (!ash_event_read(db, hook->cursor, BATCH, look_at, &search, error))
			return FALSE;
		if (search.found == 0 && search.looked_at != 0)
			hook->cursor = search.looked_at;
	} while (search.found == 0 && search.looked_at != 0);
	*out_found = search.found != 0;
	if (search.found == 0)
		return hook->cursor == from ||
		       ash_db_exec(db, "UPDATE webhook SET cursor = $2 WHERE id = $1 AND cursor = $3",
				       ASH_DB_VALUES(ASH_DB_T(hook->id), ASH_DB_I(hook->cursor),
						       ASH_DB_I(from)),
				       NULL, error);
	hook->seq = search.found;
	hook->since = hook->next_at = hook->webhooks->server->now();
	hook->attempts = 0;
	/* Written before it is done; not when an operator set the cursor elsewhere meanwhile. */
	int64_t changed = 0;
	if (!ash_db_exec(db,
			    "INSERT INTO webhook_delivery (webhook, seq, since, next_at, state) SELECT "
			    "id, $2, $3, $3, 'waiting' FROM webhook WHERE id = $1 AND cursor = $4 AND "
			    "paused = '' ON CONFLICT (webhook, seq) DO UPDATE SET since = "
			    "excluded.since, next_at = excluded.next_at, state = 'waiting', attempts = "
			    "0",
			    ASH_DB_VALUES(ASH_DB_T(hook->id), ASH_DB_I(hook->seq),
					    ASH_DB_I(hook->since), ASH_DB_I(from)),
			    &changed, error))
		return FALSE;
	*out_found = changed > 0;
	return TRUE;
}

/* ---- one attempt ---- */

typedef struct {
	AshServer *server;
	char *kind, *body;
} Message;

static gboolean take_message(const AshEvent *event, gpointer data, GError **error)
{
	Message *message = data;
	g_auto(AshHost) host = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();
	const char *name = message->server->live != NULL
					   ? ash_api_event_host_name(message->server->live,
							     event->host, &host)
					   : "";

	json_builder_begin_object(json);
	ash_api_event_add(json, event, name);
	json_builder_end_object(json);
	g_autoptr(JsonNode) node = json_builder_get_root(json);
	message->kind = g_strdup(event->kind);
	message->body = json_to_string(node, FALSE);
	return TRUE;
}

/* *out_is_done: the receiver has it. *out_answer: what was said, for people. */
static void send(AshFetchSession *session, const Hook *hook, const Message *message,
		bool *out_is_done, bool *out_is_gone, char **out_answer)
{
	g_autofree char *signature = ash_webhook_sign(hook->secret, hook->webhooks->server->now(),
			message->body, strlen(message->body));
	g_autofree char *kind = g_strconcat("Ashlar-Event: ", message->kind, NULL);
	g_autofree char *delivery = g_strdup_printf(
			"Ashlar-Delivery: %s.%" G_GINT64_FORMAT, hook->id, hook->seq);
	g_autofree char *sign = g_strconcat("Ashlar-Signature: ", signature, NULL);
	const char *const headers[] = {kind, delivery, sign, NULL};
	const AshFetchRequest request = {
			.method = "POST",
			.url = hook->url,
			.headers = headers,
			.body = message->body,
			.timeout_ms = ASH_WEBHOOK_TIMEOUT_S * 1000,
			.max_bytes = MAX_BODY,
	};
	g_autoptr(AshFetchAnswer) answer = NULL;
	g_autoptr(GError) error = NULL;

	*out_is_done = *out_is_gone = false;
	if (!ash_fetch_session_request(session, &request, &answer, &error)) {
		*out_answer = g_strndup(error->message, MAX_ANSWER);
		return;
	}
	*out_is_done = answer->status >= 200 && answer->status < 300;
	*out_is_gone = answer->status == 410;
	*out_answer = g_strdup_printf("status %u", answer->status);
}

static gboolean write_done(AshDb *db, const Hook *hook, GError **error)
{
	int64_t changed = 0;

	if (!ash_db_exec(db,
			    "DELETE FROM webhook_delivery WHERE webhook = $1 AND seq = $2 AND state = "
			    "'waiting'",
			    ASH_DB_VALUES(ASH_DB_T(hook->id), ASH_DB_I(hook->seq)), &changed,
			    error))
		return FALSE;
	/* Else an operator began somewhere else: what was delivered now may come again. */
	return changed == 0 ||
	       ash_db_exec(db,
			       "UPDATE webhook SET cursor = $2, delivered = delivered + 1, last_at = "
			       "$3 WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_T(hook->id), ASH_DB_I(hook->seq),
					       ASH_DB_I(hook->webhooks->server->now())),
			       NULL, error);
}

static gboolean write_failed(
		AshDb *db, Hook *hook, bool is_gone, const char *answer, GError **error)
{
	int64_t now = hook->webhooks->server->now();
	int64_t changed = 0;

	hook->attempts++;
	hook->next_at = now + ash_webhook_delay((unsigned) hook->attempts);
	bool is_given_up = now - hook->since >= ASH_WEBHOOK_GIVE_UP_S;
	if (!ash_db_exec(db,
			    "UPDATE webhook_delivery SET attempts = $3, next_at = $4, answer = $5, "
			    "state = $6 WHERE webhook = $1 AND seq = $2 AND state = 'waiting'",
			    ASH_DB_VALUES(ASH_DB_T(hook->id), ASH_DB_I(hook->seq),
					    ASH_DB_I(hook->attempts),
					    ASH_DB_I(is_given_up ? now : hook->next_at),
					    ASH_DB_T(answer),
					    ASH_DB_T(is_given_up ? "given-up" : "waiting")),
			    &changed, error))
		return FALSE;
	if (changed > 0 && is_given_up &&
			!ash_db_exec(db, "UPDATE webhook SET cursor = $2 WHERE id = $1",
					ASH_DB_VALUES(ASH_DB_T(hook->id), ASH_DB_I(hook->seq)),
					NULL, error))
		return FALSE;
	return !is_gone ||
	       ash_db_exec(db, "UPDATE webhook SET paused = $2 WHERE id = $1 AND paused = ''",
			       ASH_DB_VALUES(ASH_DB_T(hook->id),
					       ASH_DB_T("its receiver answered 410 Gone")),
			       NULL, error);
}

static gboolean write_result(AshDb *db, Hook *hook, bool is_done, bool is_gone, const char *answer,
		GError **error)
{
	if (!ash_db_begin(db, true, error))
		return FALSE;
	if (!(is_done ? write_done(db, hook, error)
		      : write_failed(db, hook, is_gone, answer, error)) ||
			!ash_db_commit(db, error)) {
		ash_db_rollback(db);
		return FALSE;
	}
	return TRUE;
}

/* The connection is given back while the receiver is waited for. */
static gboolean deliver_one(AshFetchSession *session, Hook *hook, bool *out_goes_on, GError **error)
{
	AshServer *server = hook->webhooks->server;
	g_autoptr(AshDb) db = NULL;
	Message message = {.server = server};
	bool is_found = true;
	bool is_done = true;
	bool is_gone = false;
	g_autofree char *answer = NULL;

	*out_goes_on = false;
	if (!ash_db_pool_take(server->pool, &db, error) ||
			(hook->seq == 0 && !find_next(db, hook, &is_found, error)))
		return FALSE;
	if (!is_found)
		return TRUE;
	gboolean ok = ash_event_read(db, hook->seq - 1, 1, take_message, &message, error);
	g_autofree G_GNUC_UNUSED char *kind = message.kind;
	g_autofree char *body = message.body;
	if (!ok)
		return FALSE;
	g_clear_pointer(&db, ash_db_give);
	/* An event that is not kept any more cannot be delivered. */
	if (body != NULL)
		send(session, hook, &message, &is_done, &is_gone, &answer);
	if (!ash_db_pool_take(server->pool, &db, error) ||
			!write_result(db, hook, is_done, is_gone, answer, error))
		return FALSE;
	hook->cursor = is_done ? hook->seq : hook->cursor;
	hook->seq = 0;
	*out_goes_on = is_done;
	return TRUE;
}

static bool is_ending(AshWebhooks *webhooks)
{
	g_mutex_lock(&webhooks->lock);
	bool answer = webhooks->is_ending;
	g_mutex_unlock(&webhooks->lock);
	return answer;
}

static void deliver(gpointer data, gpointer unused)
{
	Hook *hook = data;
	AshWebhooks *webhooks = hook->webhooks;
	const AshFetchOptions options = {.is_http_only = true, .tries = 1};
	g_autoptr(AshFetchSession) session = NULL;
	g_autoptr(GError) error = NULL;
	bool goes_on = true;

	if (ash_fetch_session_new(&options, &session, &error))
		for (int i = 0; i < BATCH && goes_on && !is_ending(webhooks); i++)
			if (!deliver_one(session, hook, &goes_on, &error))
				break;
	if (error != NULL)
		g_warning("webhook %s: %s", hook->id, error->message);
	g_mutex_lock(&webhooks->lock);
	g_hash_table_insert(webhooks->busy, g_strdup(hook->id), GINT_TO_POINTER(true));
	webhooks->is_woken = webhooks->is_woken || error == NULL;
	g_cond_signal(&webhooks->wake);
	g_mutex_unlock(&webhooks->lock);
	hook_free(hook);
}

/* ---- who is due ---- */

typedef struct {
	AshWebhooks *webhooks;
	GPtrArray *hooks;
} Due;

static gboolean take_hook(const AshDbRow *row, gpointer data, GError **error)
{
	Due *due = data;
	Hook *hook = g_new0(Hook, 1);

	hook->webhooks = due->webhooks;
	hook->id = g_strdup(ash_db_row_text(row, 0));
	hook->url = g_strdup(ash_db_row_text(row, 1));
	hook->secret = g_strdup(ash_db_row_text(row, 2));
	hook->kinds = g_strdup(ash_db_row_text(row, 3));
	hook->cursor = ash_db_row_int(row, 4);
	hook->seq = ash_db_row_int(row, 5);
	hook->since = ash_db_row_int(row, 6);
	hook->attempts = ash_db_row_int(row, 7);
	hook->next_at = ash_db_row_int(row, 8);
	g_ptr_array_add(due->hooks, hook);
	return TRUE;
}

static gboolean find_due(AshWebhooks *webhooks, AshDb *db, GPtrArray *hooks, int64_t *out_last,
		GError **error)
{
	Due due = {webhooks, hooks};

	return ash_event_last(db, out_last, error) &&
	       ash_db_query(db,
			       "SELECT id, url, secret, kinds, cursor, coalesce(seq, 0), "
			       "coalesce(since, 0), coalesce(attempts, 0), coalesce(next_at, 0) FROM "
			       "webhook LEFT JOIN webhook_delivery ON webhook_delivery.webhook = "
			       "webhook.id AND webhook_delivery.state = 'waiting' WHERE paused = ''",
			       NULL, take_hook, &due, error);
}

/* Takes what is due out of @hooks to the threads; returns when the next is. */
static int64_t start_due(AshWebhooks *webhooks, GPtrArray *hooks, int64_t last)
{
	int64_t now = webhooks->server->now();
	int64_t next = now + IDLE_S;

	g_mutex_lock(&webhooks->lock);
	for (guint i = hooks->len; i-- > 0;) {
		Hook *hook = hooks->pdata[i];
		bool has_work = hook->seq != 0 || hook->cursor < last;
		if (!has_work || g_hash_table_contains(webhooks->busy, hook->id))
			continue;
		/* A clock that was set back does not make it wait for years. */
		if (hook->seq != 0 && hook->next_at > now &&
				hook->next_at - now <= ASH_WEBHOOK_MAX_DELAY_S) {
			next = MIN(next, hook->next_at);
			continue;
		}
		g_hash_table_insert(webhooks->busy, g_strdup(hook->id), GINT_TO_POINTER(false));
		g_thread_pool_push(webhooks->pool, g_ptr_array_steal_index(hooks, i), NULL);
	}
	g_mutex_unlock(&webhooks->lock);
	return next;
}

static gboolean leads(AshWebhooks *webhooks, bool *out_leads, GError **error)
{
	AshDbPool *pool = webhooks->server->pool;

	if (!ash_db_pool_is_shared(pool)) {
		*out_leads = true;
		return TRUE;
	}
	if (webhooks->lead_db == NULL && !ash_db_pool_take(pool, &webhooks->lead_db, error))
		return FALSE;
	if (ash_db_try_lead(webhooks->lead_db, "webhooks", out_leads, error) && *out_leads)
		return TRUE;
	bool is_error = error != NULL && *error != NULL;
	g_clear_pointer(&webhooks->lead_db, ash_db_give);
	*out_leads = false;
	return !is_error;
}

static int64_t turn(AshWebhooks *webhooks)
{
	g_autoptr(AshDb) db = NULL;
	g_autoptr(GPtrArray) hooks = g_ptr_array_new_with_free_func(hook_free);
	g_autoptr(GError) error = NULL;
	bool is_leader = false;
	int64_t last = 0;

	if (!leads(webhooks, &is_leader, &error) ||
			(is_leader && (!ash_db_pool_take(webhooks->server->pool, &db, &error) ||
						      !find_due(webhooks, db, hooks, &last,
								      &error)))) {
		g_warning("webhooks: %s", error->message);
		return webhooks->server->now() + 5;
	}
	g_clear_pointer(&db, ash_db_give);
	return start_due(webhooks, hooks, last);
}

static gboolean is_over(gpointer id, gpointer value, gpointer unused)
{
	return value != NULL;
}

static gpointer run(gpointer data)
{
	AshWebhooks *webhooks = data;

	g_mutex_lock(&webhooks->lock);
	while (!webhooks->is_ending) {
		webhooks->is_woken = false;
		/* Before the table is read: a delivery that ends after that makes what was read old. */
		g_hash_table_foreach_remove(webhooks->busy, is_over, NULL);
		g_mutex_unlock(&webhooks->lock);
		int64_t next = turn(webhooks);
		int64_t wait_s = next - webhooks->server->now();
		wait_s = CLAMP(wait_s, 1, IDLE_S);
		int64_t until = g_get_monotonic_time() + wait_s * G_TIME_SPAN_SECOND;
		g_mutex_lock(&webhooks->lock);
		while (!webhooks->is_ending && !webhooks->is_woken &&
				g_cond_wait_until(&webhooks->wake, &webhooks->lock, until))
			;
	}
	g_mutex_unlock(&webhooks->lock);
	return NULL;
}

/* ---- life ---- */

void ash_webhooks_wake(AshWebhooks *webhooks)
{
	if (webhooks == NULL)
		return;
	g_mutex_lock(&webhooks->lock);
	webhooks->is_woken = true;
	g_cond_signal(&webhooks->wake);
	g_mutex_unlock(&webhooks->lock);
}

static void on_event(const AshEvent *event, gpointer data)
{
	ash_webhooks_wake(data);
}

gboolean ash_webhooks_start(AshServer *server, AshWebhooks **out_webhooks, GError **error)
{
	AshWebhooks *webhooks = g_new0(AshWebhooks, 1);

	webhooks->server = server;
	g_mutex_init(&webhooks->lock);
	g_cond_init(&webhooks->wake);
	webhooks->busy = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	webhooks->pool = g_thread_pool_new(deliver, NULL, THREADS, FALSE, NULL);
	webhooks->listener = ash_events_listen(server->events, -1, on_event, webhooks);
	webhooks->thread = g_thread_new("webhooks", run, webhooks);
	*out_webhooks = webhooks;
	return TRUE;
}

void ash_webhooks_free(AshWebhooks *webhooks)
{
	if (webhooks == NULL)
		return;
	ash_events_leave(webhooks->server->events, webhooks->listener);
	g_mutex_lock(&webhooks->lock);
	webhooks->is_ending = true;
	g_cond_signal(&webhooks->wake);
	g_mutex_unlock(&webhooks->lock);
	g_thread_join(webhooks->thread);
	g_thread_pool_free(webhooks->pool, FALSE, TRUE);
	g_clear_pointer(&webhooks->lead_db, ash_db_give);
	g_hash_table_unref(webhooks->busy);
	g_mutex_clear(&webhooks->lock);
	g_cond_clear(&webhooks->wake);
	g_free(webhooks);
}
