/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/overview.h"
#include "fleet/scheduler.h"
#include "fleet/server.h"
#include "lib/json.h"

/* What an operator should look at, each a sentence with a way to it: of hosts a few by name and then a number. */

typedef enum {
	BAD,
	SILENT,
	HELD,
	PENDING,
	KINDS,
} Kind;

static const struct {
	const char *kind;
	const char *one;  /* with the name */
	const char *more; /* with the count of the rest */
	const char *link; /* to all of them */
} kinds[KINDS] = {
		[BAD] = {"bad", "Host %s is bad.", "%u more hosts are bad.",
				"/hosts?selector=health%20%3D%20bad"},
		[SILENT] = {"silent", "Host %s is not heard of.", "%u more hosts are not heard of.",
				"/hosts?selector=health%20%3D%20silent"},
		[HELD] = {"held", "Host %s is held.", "%u more hosts are held.",
				"/hosts?selector=state%20%3D%20held"},
		[PENDING] = {"pending", "Host %s waits for approval.",
				"%u more hosts wait for approval.",
				"/hosts?selector=state%20%3D%20pending"},
};

typedef struct {
	char id[65];
	char *name;
} Named;

typedef struct {
	const AshScope *scope;
	GArray *named[KINDS];
	unsigned counts[KINDS];
} Search;

static void named_clear(gpointer data)
{
	g_free(((Named *) data)->name);
}

static bool look_at(const AshHost *host, gpointer data)
{
	Search *search = data;
	Kind kind = KINDS;

	if (host->state == ASH_HOST_HELD)
		kind = HELD;
	else if (host->state == ASH_HOST_PENDING)
		kind = PENDING;
	else if (host->state == ASH_HOST_ACTIVE && host->health == ASH_HEALTH_BAD)
		kind = BAD;
	else if (host->state == ASH_HOST_ACTIVE && host->health == ASH_HEALTH_SILENT)
		kind = SILENT;
	if (kind == KINDS || !ash_scope_has(search->scope, host))
		return true;
	if (search->counts[kind]++ < ASH_OVERVIEW_MAX_ATTENTION) {
		Named named = {.name = g_strdup(host->name)};
		ash_host_id_format(host->id, named.id);
		g_array_append_val(search->named[kind], named);
	}
	return true;
}

/* Begins an item; who calls ends it. */
static void begin(JsonBuilder *json, const char *kind, const char *text, const char *link)
{
	json_builder_begin_object(json);
	ash_json_add_text(json, "kind", kind);
	ash_json_add_text(json, "text", text);
	ash_json_add_text(json, "link", link);
}

/* Why it is held; "" where nobody said. */
static char *reason_of(AshDb *db, const char *host)
{
	char *reason = NULL;

	if (!ash_db_query_string(db, "SELECT reason FROM host WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(host)), &reason, NULL))
		return NULL;
	return reason;
}

static char *replace(const char *format, const char *mark, const char *value)
{
	g_auto(GStrv) parts = g_strsplit(format, mark, 2);

	return g_strjoinv(value, parts);
}

static void add_hosts(AshDb *db, JsonBuilder *json, const Search *search, Kind kind)
{
	const GArray *named = search->named[kind];

	for (guint i = 0; i < named->len; i++) {
		const Named *host = &g_array_index(named, Named, i);
		g_autofree char *sentence = replace(
				kinds[kind].one, "%s", *host->name != '\0' ? host->name : host->id);
		g_autofree char *reason = kind == HELD ? reason_of(db, host->id) : NULL;
		g_autofree char *text = reason != NULL && *reason != '\0'
							? g_strconcat(sentence, " ", reason, NULL)
							: g_strdup(sentence);
		g_autofree char *link = g_strconcat("/hosts/", host->id, NULL);
		begin(json, kinds[kind].kind, text, link);
		ash_json_add_text(json, "host", host->id);
		json_builder_end_object(json);
	}
	if (search->counts[kind] > named->len) {
		g_autofree char *number = g_strdup_printf("%u", search->counts[kind] - named->len);
		g_autofree char *text = replace(kinds[kind].more, "%u", number);
		begin(json, kinds[kind].kind, text, kinds[kind].link);
		ash_json_add_uint(json, "count", search->counts[kind] - named->len);
		json_builder_end_object(json);
	}
}

static void add_all_hosts(AshServer *server, AshDb *db, const AshScope *scope, JsonBuilder *json)
{
	Search search = {.scope = scope};

	for (Kind kind = 0; kind < KINDS; kind++) {
		search.named[kind] = g_array_new(FALSE, FALSE, sizeof(Named));
		g_array_set_clear_func(search.named[kind], named_clear);
	}
	ash_live_each(server->live, look_at, &search);
	for (Kind kind = 0; kind < KINDS; kind++) {
		add_hosts(db, json, &search, kind);
		g_array_unref(search.named[kind]);
	}
}

/* ---- rollouts, webhooks, locks ---- */

static gboolean take_rollout(const AshDbRow *row, gpointer data, GError **error)
{
	const char *id = ash_db_row_text(row, 0);
	const char *name = ash_db_row_text(row, 1);
	const char *state = ash_db_row_text(row, 2);
	const char *reason = ash_db_row_text(row, 3);
	const char *is = strcmp(state, "reverting") == 0 ? "sends hosts back" : "is";
	g_autofree char *text = g_strdup_printf("Rollout %s %s%s%s%s%s", *name != '\0' ? name : id,
			is, strcmp(state, "reverting") == 0 ? "" : " ",
			strcmp(state, "reverting") == 0 ? "" : state, *reason != '\0' ? ": " : ".",
			reason);
	g_autofree char *link = g_strconcat("/rollouts/", id, NULL);

	begin(data, "rollout", text, link);
	ash_json_add_text(data, "rollout", id);
	json_builder_end_object(data);
	return TRUE;
}

static gboolean take_webhook(const AshDbRow *row, gpointer data, GError **error)
{
	const char *paused = ash_db_row_text(row, 1);
	int64_t given_up = ash_db_row_int(row, 2);
	g_autofree char *text = NULL;

	if (*paused != '\0')
		text = g_strdup_printf("Webhook %s is paused: %s", ash_db_row_text(row, 0), paused);
	else
		text = g_strdup_printf("Webhook %s gave up %" G_GINT64_FORMAT
				       " events: its receiver did not take them for a day.",
				ash_db_row_text(row, 0), given_up);
	begin(data, "webhook", text, "/access");
	if (given_up > 0)
		ash_json_add_int(data, "count", given_up);
	json_builder_end_object(data);
	return TRUE;
}

typedef struct {
	AshServer *server;
	const AshScope *scope;
	JsonBuilder *json;
} Locks;

/* A holder may be a host's id; what is beyond the scope is not told. Others are no hosts of this fleet. */
static bool may_tell(const Locks *locks, const char *holder)
{
	uint8_t id[ASH_HOST_ID_BYTES];
	g_auto(AshHost) host = {0};

	if (locks->scope->selector == NULL)
		return true;
	return ash_host_id_parse(holder, id) && ash_live_get(locks->server->live, id, &host) &&
	       ash_scope_has(locks->scope, &host);
}

static gboolean take_lock(const AshDbRow *row, gpointer data, GError **error)
{
	const Locks *locks = data;
	const char *holder = ash_db_row_text(row, 1);

	if (!may_tell(locks, holder))
		return TRUE;
	g_autofree char *text = g_strdup_printf(
			"%.64s holds a slot of the lock '%s' longer than its lease.", holder,
			ash_db_row_text(row, 0));
	begin(locks->json, "lock", text, "/locks");
	json_builder_end_object(locks->json);
	return TRUE;
}

static gboolean add_rows(AshServer *server, AshDb *db, const AshScope *scope, JsonBuilder *json,
		GError **error)
{
	int64_t now = server->now();
	Locks locks = {server, scope, json};

	return ash_db_query(db,
			       "SELECT id, name, state, reason FROM rollout WHERE state IN ('paused', "
			       "'halted', 'reverting') ORDER BY created_at DESC LIMIT 20",
			       NULL, take_rollout, json, error) &&
	       ash_db_query(db,
			       "SELECT id, paused, given_up FROM (SELECT id, paused, (SELECT COUNT(*) "
			       "FROM webhook_delivery WHERE webhook = webhook.id AND state = "
			       "'given-up' AND next_at > $1) AS given_up FROM webhook) AS w WHERE "
			       "paused <> '' OR given_up > 0 ORDER BY id LIMIT 20",
			       ASH_DB_VALUES(ASH_DB_I(now - 7 * 86400)), take_webhook, json,
			       error) &&
	       ash_db_query(db,
			       "SELECT \"group\", id FROM lock_hold WHERE lease_until < $1 ORDER BY "
			       "lease_until LIMIT 20",
			       ASH_DB_VALUES(ASH_DB_I(now)), take_lock, &locks, error);
}

/* ---- the server ---- */

static void add_certificates(AshServer *server, const AshScope *scope, JsonBuilder *json)
{
	uint64_t count = 0;

	if (server->overview == NULL)
		return;
	g_autoptr(GArray) certificates = ash_overview_certificates(server->overview, &count);
	unsigned told = 0;
	for (guint i = 0; i < certificates->len && told < ASH_OVERVIEW_MAX_ATTENTION; i++) {
		const AshOverviewCertificate *certificate =
				&g_array_index(certificates, AshOverviewCertificate, i);
		uint8_t id[ASH_HOST_ID_BYTES];
		g_auto(AshHost) host = {0};
		if (!ash_host_id_parse(certificate->host, id) ||
				!ash_live_get(server->live, id, &host) ||
				!ash_scope_has(scope, &host))
			continue;
		int64_t left = certificate->not_after - server->now();
		g_autofree char *text =
				left > 0 ? g_strdup_printf("The certificate of host %s ends in %" G_GINT64_FORMAT
							   " hours, and it did not renew it.",
							   host.name, left / 3600)
					 : g_strdup_printf("The certificate of host %s has ended: it "
							   "joins again by itself when it is back.",
							   host.name);
		g_autofree char *link = g_strconcat("/hosts/", certificate->host, NULL);
		begin(json, "certificate", text, link);
		ash_json_add_text(json, "host", certificate->host);
		json_builder_end_object(json);
		told++;
	}
	if (scope->selector == NULL && count > told) {
		g_autofree char *text =
				g_strdup_printf("%" G_GUINT64_FORMAT
						" more certificates of hosts end within a week.",
						count - told);
		begin(json, "certificate", text, "/hosts");
		ash_json_add_uint(json, "count", count - told);
		json_builder_end_object(json);
	}
}

char *ash_overview_trouble(AshServer *server)
{
	g_autofree char *writer =
			server->writer != NULL ? ash_writer_trouble(server->writer) : NULL;
	g_autofree char *scheduler =
			server->scheduler != NULL ? ash_scheduler_trouble(server->scheduler) : NULL;
	bool has_scheduler = scheduler != NULL && *scheduler != '\0';

	if (writer != NULL && has_scheduler)
		return g_strconcat(writer, " ", scheduler, NULL);
	return writer != NULL  ? g_steal_pointer(&writer)
	       : has_scheduler ? g_steal_pointer(&scheduler)
			       : NULL;
}

static void add_server(AshServer *server, JsonBuilder *json)
{
	g_autofree char *trouble = ash_overview_trouble(server);
	g_autofree char *publication = server->overview != NULL
						       ? ash_overview_publication(server->overview)
						       : NULL;

	if (trouble != NULL) {
		begin(json, "server", trouble, "/activity");
		json_builder_end_object(json);
	}
	if (publication != NULL) {
		begin(json, "publication", publication, "/releases");
		json_builder_end_object(json);
	}
}

gboolean ash_overview_add_attention(AshServer *server, AshDb *db, const AshScope *scope,
		JsonBuilder *json, GError **error)
{
	ash_json_begin_array(json, "attention");
	add_server(server, json);
	if (!add_rows(server, db, scope, json, error))
		return FALSE;
	add_all_hosts(server, db, scope, json);
	ash_overview_add_workloads(server, scope, json);
	add_certificates(server, scope, json);
	json_builder_end_array(json);
	return TRUE;
}
