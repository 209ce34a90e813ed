/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/checkin.h"

#include <string.h>

#include "fleet/desired.h"
#include "fleet/http.h"
#include "fleet/route.h"
#include "fleet/scheduler.h"
#include "fleet/server.h"
#include "fleet/workload-log.h"
#include "lib/checkin.h"
#include "lib/error.h"

enum {
	NEED_S = 5,   /* what is missing is to come so soon */
	HELD_S = 300, /* a host that is held asks again */
	LATER_S = 5,  /* a queue that is full: from here, spread over the next */
	LATER_SPREAD_S = 25,
	FAILING_S = 15, /* a disk that is full */
	FAILING_SPREAD_S = 45,
};

/* A call that is on its way. While it waits nothing but this is kept. */
typedef struct {
	AshServer *server;
	AshHttpCall *call;
	uint8_t id[ASH_HOST_ID_BYTES];
	char hex[65];
	int64_t seq, have, wait_s;
	bool has_waited;
	AshCheckinWork *work; /* NULL while it waits */
} Visit;

static void queue(Visit *visit);
static void settle(Visit *visit);

static void free_work(AshCheckinWork *work)
{
	if (work == NULL)
		return;
	ash_checkin_work_reset(work);
	ash_checkin_free(work->checkin);
	ash_host_clear(&work->before);
	ash_host_clear(&work->after);
	g_free(work->logs);
	g_free(work);
}

static void end(Visit *visit)
{
	free_work(visit->work);
	g_free(visit);
}

/* ---- answers ---- */

static unsigned spread(const Visit *visit, unsigned from_s, unsigned over_s)
{
	uint32_t hash = 0;

	memcpy(&hash, visit->id + 12, sizeof hash);
	return from_s + (hash ^ g_random_int()) % over_s;
}

static void refuse(
		Visit *visit, unsigned status, const char *kind, const char *text, unsigned next_s)
{
	ash_http_reply_later(visit->call, status, next_s, kind, text);
	end(visit);
}

static void refuse_busy(Visit *visit)
{
	AshWriterCounts counts = {0};

	ash_writer_counts(visit->server->writer, &counts);
	if (counts.is_failing)
		refuse(visit, 503, "storage",
				"The fleet server cannot write at the moment; nothing was taken.",
				spread(visit, FAILING_S, FAILING_SPREAD_S));
	else
		refuse(visit, 503, "busy", "The fleet server is busy; nothing was taken.",
				spread(visit, LATER_S, LATER_SPREAD_S));
}

static void refuse_state(Visit *visit, AshHostState state)
{
	if (state == ASH_HOST_RETIRED)
		refuse(visit, 403, "retired", "This host is retired.", HELD_S);
	else if (state == ASH_HOST_PENDING)
		refuse(visit, 403, "pending", "This host waits for an operator's approval.",
				HELD_S);
	else
		refuse(visit, 403, "held", "Two machines have the identity of this host.",
				spread(visit, HELD_S, HELD_S));
}

static void refuse_behind(Visit *visit, int64_t seq)
{
	ash_http_reply_json(visit->call, 409,
			g_strdup_printf("{\"kind\":\"seq\",\"text\":\"A later check-in was "
					"acknowledged already.\",\"seq\":%" G_GINT64_FORMAT "}\n",
					seq));
	end(visit);
}

/* Workloads are asked for where the fleet wants some: other hosts, and older agents, need not say that they have none. */
static void add_need(GString *json, const AshHost *host)
{
	static const struct {
		uint8_t bit;
		const char *text;
	} parts[] = {{ASH_HOST_SAID_STATE, "\"state\""}, {ASH_HOST_SAID_HEALTH, "\"health\""},
			{ASH_HOST_SAID_FACTS, "\"facts\""},
			{ASH_HOST_SAID_WORKLOADS, "\"workloads\""}};
	const char *comma = "";
	unsigned said = host->said;

	if (*host->wanted == '\0')
		said |= ASH_HOST_SAID_WORKLOADS;
	g_string_append(json, ",\"need\":[");
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		if ((said & parts[i].bit) != 0)
			continue;
		g_string_append(json, comma);
		g_string_append(json, parts[i].text);
		comma = ",";
	}
	g_string_append_c(json, ']');
}

static AshDesiredBook *get_book(const Visit *visit)
{
	return visit->server->scheduler != NULL ? ash_scheduler_book(visit->server->scheduler)
						: NULL;
}

static bool lacks(const AshHost *host)
{
	const unsigned all = ASH_HOST_SAID_STATE | ASH_HOST_SAID_HEALTH | ASH_HOST_SAID_FACTS;

	return (host->said & all) != all;
}

static unsigned next_s(
		const Visit *visit, const AshHost *host, const AshDesiredWhen *when, int64_t now)
{
	int64_t poll_s = when->poll_s > 0 ? when->poll_s : visit->server->config->poll_s;

	if (lacks(host))
		return NEED_S;
	return visit->wait_s > 0 ? 0 : ash_checkin_next_s(visit->id, poll_s, now);
}

static void add_wish(GString *json, const AshCheckinWork *work, const AshDesiredWhen *when)
{
	g_string_append_printf(
			json, ",\"release\":%s", work->release != NULL ? work->release : "null");
	g_string_append_printf(json, ",\"workloads\":%s",
			work->workloads != NULL ? work->workloads : "null");
	if (work->hold != NULL)
		g_string_append_printf(json, ",\"hold\":%s", work->hold);
	if (when->windows == NULL || when->windows[0] == NULL)
		return;
	g_string_append(json, ",\"windows\":[");
	/* A window's text has neither quotes nor backslashes: lib/window.h. */
	for (size_t i = 0; when->windows[i] != NULL; i++)
		g_string_append_printf(json, "%s\"%s\"", i > 0 ? "," : "", when->windows[i]);
	g_string_append_c(json, ']');
}

/* @work NULL: nothing was asked of the table, for nothing is new. */
static void answer(Visit *visit, const AshHost *host)
{
	const AshCheckinWork *work = visit->work;
	int64_t now = visit->server->now();
	AshDesiredWhen when = {0};
	g_autoptr(AshDesiredBook) book = get_book(visit);
	GString *json = g_string_sized_new(256);

	if (book != NULL)
		ash_desired_when(book, host, host->rollout, now, &when);
	g_string_append_printf(json, "{\"seq\":%" G_GINT64_FORMAT ",\"event\":%" G_GINT64_FORMAT,
			visit->seq, work != NULL ? work->event : host->event);
	add_need(json, host);
	g_string_append_printf(json, ",\"next\":%u,\"desired\":%" G_GINT64_FORMAT,
			next_s(visit, host, &when, now),
			work != NULL ? work->desired : visit->have);
	if (work != NULL && work->has_wish)
		add_wish(json, work, &when);
	if (work != NULL && work->orders != NULL)
		g_string_append_printf(json, ",\"orders\":%s", work->orders->str);
	g_string_append(json, "}\n");
	ash_http_reply_json(visit->call, 200, g_string_free(json, FALSE));
	end(visit);
}

/* ---- waiting ---- */

static void wake(gpointer data)
{
	Visit *visit = data;
	g_auto(AshHost) host = {0};

	visit->has_waited = true;
	if (!ash_live_get(visit->server->live, visit->id, &host)) {
		refuse(visit, 403, "unknown", "This fleet does not know this host.", HELD_S);
		return;
	}
	if (!ash_host_may_report(&host)) {
		refuse_state(visit, host.state);
		return;
	}
	if (host.desired == visit->have && host.open_orders == 0) {
		answer(visit, &host);
		return;
	}
	visit->work = g_new0(AshCheckinWork, 1);
	visit->work->verdict = ASH_CHECKIN_AGAIN;
	visit->work->before = host;
	memset(&host, 0, sizeof host);
	queue(visit);
}

static bool may_wait(const Visit *visit, const AshHost *host)
{
	return visit->wait_s > 0 && !visit->has_waited && !visit->work->has_wish && !lacks(host);
}

static void wait_or_answer(Visit *visit, const AshHost *host)
{
	int64_t wait_s = MIN(visit->wait_s, MAX(visit->server->config->poll_s, 1));

	if (!may_wait(visit, host)) {
		answer(visit, host);
		return;
	}
	g_clear_pointer(&visit->work, free_work);
	if (!ash_live_wait(visit->server->live, visit->id, visit->have,
			    g_get_monotonic_time() + wait_s * G_USEC_PER_SEC, wake, visit))
		wake(visit);
}

/* ---- after the commit ---- */

static void take_in(AshHost *host, gpointer data)
{
	AshCheckinWork *work = data;

	if (work->state != ASH_HOST_ACTIVE) {
		host->state = work->state;
		host->is_clone = work->state == ASH_HOST_HELD;
		return;
	}
	if (work->found == ASH_CHECKIN_BEHIND)
		host->behind = (uint8_t) MIN(host->behind + 1, UINT8_MAX);
	/* A later one may have been written in the same group. */
	if (work->found != ASH_CHECKIN_NEW || work->checkin->seq < host->seq)
		return;
	ash_checkin_take_in(host, work->checkin, work->now_s);
	host->event = MAX(host->event, work->event);
	host->open_orders = (uint16_t) MAX((int) host->open_orders - (int) work->ended_orders, 0);
}

static void done(gpointer item, const GError *error)
{
	Visit *visit = item;
	AshCheckinWork *work = visit->work;

	if (error != NULL) {
		refuse_busy(visit);
		return;
	}
	if (work->has_appended)
		ash_events_wake(visit->server->events);
	if (work->checkin != NULL)
		ash_live_change(visit->server->live, visit->id, false, take_in, work);
	settle(visit);
}

static void settle(Visit *visit)
{
	AshCheckinWork *work = visit->work;
	g_auto(AshHost) host = {0};

	if (!work->is_known || !ash_live_get(visit->server->live, visit->id, &host))
		refuse(visit, 403, "unknown", "This fleet does not know this host.", HELD_S);
	else if (work->state != ASH_HOST_ACTIVE)
		refuse_state(visit, work->state);
	else if (work->found == ASH_CHECKIN_BEHIND)
		refuse_behind(visit, work->seq);
	else
		wait_or_answer(visit, &host);
}

static gboolean apply(AshDb *db, gpointer item, GError **error)
{
	Visit *visit = item;

	return ash_checkin_apply(db, visit->work, error);
}

static void queue(Visit *visit)
{
	static const AshWriteKind kind = {apply, done};
	AshCheckinWork *work = visit->work;

	work->id = visit->hex;
	work->address = ash_http_peer(visit->call);
	work->have = visit->have;
	work->now_s = visit->server->now();
	if (!ash_writer_queue(visit->server->writer, &kind, visit))
		refuse_busy(visit);
}

/* ---- the network thread ---- */

static void add_behind(AshHost *host, gpointer data)
{
	host->behind = (uint8_t) MIN(host->behind + 1, UINT8_MAX);
}

/* A copy of its own: both are cleared. */
static void prepare(Visit *visit, AshHost *take_host, AshCheckin *take_checkin)
{
	AshCheckinWork *work = g_new0(AshCheckinWork, 1);

	visit->work = work;
	visit->seq = take_checkin->seq;
	visit->have = take_checkin->have;
	visit->wait_s = take_checkin->wait_s;
	work->checkin = take_checkin;
	work->before = *take_host;
	memset(take_host, 0, sizeof *take_host);
	work->verdict = ash_checkin_judge(&work->before, take_checkin->seq, take_checkin->instance,
			take_checkin->boot);
	if (work->verdict != ASH_CHECKIN_NEW)
		return;
	if (take_checkin->logs != NULL && visit->server->logs != NULL)
		work->logs = ash_workload_logs_take(
				visit->server->logs, visit->hex, take_checkin->logs);
	ash_host_copy(&work->before, &work->after);
	ash_checkin_take_in(&work->after, take_checkin, visit->server->now());
	work->is_news = ash_checkin_is_news(&work->before, &work->after);
}

static void go_on(Visit *visit)
{
	AshCheckinWork *work = visit->work;

	if (work->verdict == ASH_CHECKIN_BEHIND) {
		ash_live_change(visit->server->live, visit->id, false, add_behind, NULL);
		refuse_behind(visit, work->before.seq);
		return;
	}
	/* Its answer was lost, and nothing is new: no disk is needed. */
	if (work->verdict == ASH_CHECKIN_AGAIN && work->before.desired == visit->have &&
			work->before.open_orders == 0) {
		work->is_known = true;
		work->state = ASH_HOST_ACTIVE;
		work->found = ASH_CHECKIN_AGAIN;
		work->event = work->before.event;
		work->desired = work->before.desired;
		settle(visit);
		return;
	}
	queue(visit);
}

gboolean ash_checkin_run(AshRequest *request, GError **error)
{
	g_autoptr(GError) local = NULL;
	g_auto(AshHost) host = {0};
	AshCheckin *checkin = NULL;
	Visit *visit = g_new0(Visit, 1);

	visit->server = request->server;
	visit->call = request->call;
	if (!ash_host_id_parse(request->actor, visit->id) ||
			!ash_live_get(request->server->live, visit->id, &host)) {
		refuse(visit, 403, "unknown", "This fleet does not know this host.", HELD_S);
		return TRUE;
	}
	ash_host_id_format(visit->id, visit->hex);
	if (!ash_host_may_report(&host)) {
		refuse_state(visit, host.state);
		return TRUE;
	}
	if (!ash_checkin_parse(ash_http_body(request->call), &checkin, &local)) {
		ash_http_reply_error(request->call, 400, "request", "%s", local->message);
		end(visit);
		return TRUE;
	}
	prepare(visit, &host, checkin);
	go_on(visit);
	return TRUE;
}
