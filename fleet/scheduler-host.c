/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/scheduler-private.h"
#include "lib/json.h"

enum {
	MAX_REPORT_BYTES = 256 << 10,
	MAX_REPORT_DEPTH = 16,
};

/* What the table says of a host beside what memory has. */
typedef struct {
	bool is_there, is_by_hand, is_silent;
} Extra;

AshSchedulerEngine *ash_scheduler_find(AshScheduler *scheduler, const char *rollout)
{
	for (unsigned i = 0; i < scheduler->engines->len; i++) {
		AshSchedulerEngine *engine = g_ptr_array_index(scheduler->engines, i);
		if (g_str_equal(engine->id, rollout))
			return engine;
	}
	return NULL;
}

void ash_scheduler_look_again(AshScheduler *scheduler, const char *host)
{
	if (g_hash_table_contains(scheduler->is_again, host))
		return;
	char *id = g_strdup(host);
	g_hash_table_add(scheduler->is_again, id);
	g_queue_push_tail(&scheduler->again, id);
}

/* ---- what it means to an engine ------------------------------------------------------------------ */

static const AshDesiredRelease *target_of(
		const AshScheduler *scheduler, const AshSchedulerEngine *engine)
{
	return ash_desired_book_release(scheduler->turn_book, engine->release);
}

static bool can_take(const AshScheduler *scheduler, const AshSchedulerEngine *engine,
		const AshHost *host)
{
	const AshDesiredRelease *target = target_of(scheduler, engine), *hop = NULL;
	AshDesiredStep step;

	if (ash_scheduler_workload(engine) != NULL)
		return ash_scheduler_workload_can_take(scheduler, engine, host);
	if (target == NULL || host->state != ASH_HOST_ACTIVE ||
			!ash_selector_matches(engine->selector, host, scheduler->now_s))
		return false;
	step = ash_desired_route(scheduler->turn_book, host, target, &hop);
	return step == ASH_DESIRED_HAS || step == ASH_DESIRED_TAKE;
}

static bool is_canary(const AshScheduler *scheduler, const AshSchedulerEngine *engine,
		const AshHost *host)
{
	return engine->canaries != NULL &&
	       ash_selector_matches(engine->canaries, host, scheduler->now_s);
}

static void join(AshScheduler *scheduler, AshSchedulerEngine *engine, const AshHost *host)
{
	char buffers[ASH_ROLLOUT_MAX_BUDGETS][ASH_SELECTOR_KEY_BYTES];
	const char *groups[ASH_ROLLOUT_MAX_BUDGETS] = {NULL};

	for (unsigned i = 0; i < engine->budgets->len; i++)
		groups[i] = ash_selector_key_value(g_ptr_array_index(engine->budgets, i), host,
				scheduler->now_s, buffers[i]);
	ash_rollout_join(engine->rollout, host->id, is_canary(scheduler, engine, host),
			engine->budgets->len > 0 ? groups : NULL);
}

static bool is_unsettled(AshRolloutOutcome outcome)
{
	return outcome == ASH_ROLLOUT_ASSIGNED || outcome == ASH_ROLLOUT_OFFERED;
}

/* Of releases, or of the same workload. */
static bool is_rival(const AshSchedulerEngine *engine, const AshSchedulerEngine *other)
{
	return other != engine &&
	       g_strcmp0(ash_scheduler_workload(other), ash_scheduler_workload(engine)) == 0;
}

/* Another rollout, an operator's hand or its channel moves it. */
static bool is_taken(AshScheduler *scheduler, const AshSchedulerEngine *engine, const AshHost *host,
		const Extra *extra)
{
	const AshDesiredRelease *wanted = NULL;
	AshRolloutHost there;
	bool is_release = ash_scheduler_workload(engine) == NULL;

	if (extra->is_by_hand && is_release)
		return true;
	for (unsigned i = 0; i < scheduler->engines->len; i++) {
		const AshSchedulerEngine *other = g_ptr_array_index(scheduler->engines, i);
		if (is_rival(engine, other) && ash_rollout_host(other->rollout, host->id, &there) &&
				is_unsettled(there.outcome))
			return true;
	}
	if (!is_release || *host->rollout != '\0' || host->release == 0)
		return false;
	wanted = ash_desired_book_release(scheduler->turn_book, host->release);
	return wanted != NULL && !g_str_equal(wanted->commit, host->commit);
}

void ash_scheduler_keep_from_rivals(
		AshScheduler *scheduler, const AshSchedulerEngine *engine, const uint8_t *host)
{
	AshRolloutHost there;

	for (unsigned i = 0; i < scheduler->engines->len; i++) {
		const AshSchedulerEngine *other = g_ptr_array_index(scheduler->engines, i);
		if (is_rival(engine, other) && ash_rollout_host(other->rollout, host, &there) &&
				there.reach == ASH_ROLLOUT_READY)
			ash_rollout_reach(other->rollout, host, ASH_ROLLOUT_CLOSED);
	}
}

static AshRolloutReach reach_of(AshScheduler *scheduler, AshSchedulerEngine *engine,
		const AshHost *host, const Extra *extra)
{
	bool is_open = true;
	int64_t change_s = INT64_MAX;

	if (extra->is_silent)
		return ASH_ROLLOUT_AWAY;
	ash_desired_windows(scheduler->turn_book, host, engine->id, scheduler->now_s, &is_open,
			&change_s);
	engine->window_s = MIN(engine->window_s, change_s);
	return is_open && !is_taken(scheduler, engine, host, extra) ? ASH_ROLLOUT_READY
								    : ASH_ROLLOUT_CLOSED;
}

static gboolean take_text(const AshDbRow *row, gpointer data, GError **error)
{
	*(char **) data = g_strdup(ash_db_row_text(row, 0));
	return TRUE;
}

/* Why it failed, in the host's own words: "failed" of its report. */
static char *failure_of(JsonObject *report, const char *commit)
{
	JsonArray *failed = NULL;

	if (report == NULL || !json_object_has_member(report, "failed") ||
			!ash_json_array(report, "failed", &failed, NULL))
		return g_strdup("");
	for (unsigned i = 0; i < json_array_get_length(failed); i++) {
		JsonNode *node = json_array_get_element(failed, i);
		if (!JSON_NODE_HOLDS_OBJECT(node))
			continue;
		JsonObject *entry = json_node_get_object(node);
		const char *reason = ash_json_find_text(entry, "reason");
		if (reason != NULL && g_strcmp0(ash_json_find_text(entry, "commit"), commit) == 0)
			return g_strdup(reason);
	}
	return g_strdup("");
}

static char *read_failure(AshScheduler *scheduler, const char *id, const char *commit)
{
	g_autofree char *text = NULL;
	g_autoptr(JsonNode) node = NULL;

	if (!ash_db_query(scheduler->db, "SELECT report FROM host WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), take_text, &text, NULL) ||
			text == NULL)
		return g_strdup("");
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	if (!ash_json_parse(bytes, MAX_REPORT_BYTES, MAX_REPORT_DEPTH, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node))
		return g_strdup("");
	return failure_of(json_node_get_object(node), commit);
}

/* What it says about the rollout's release; on the way to a barrier, about that: a reboot into it is not the one that the
 * rollout waits for, and one that is bad ends its way.
 */
static AshRolloutSaid said_of(const AshScheduler *scheduler, const AshSchedulerEngine *engine,
		const AshHost *host, const char **out_commit)
{
	const AshRolloutSpec *spec = ash_rollout_spec(engine->rollout);
	const AshDesiredRelease *wanted =
			ash_desired_book_release(scheduler->turn_book, host->release);
	char id[65];

	ash_host_id_format(host->id, id);
	*out_commit = spec->commit;
	if (ash_scheduler_workload(engine) != NULL)
		return ash_scheduler_workload_said(engine, host);
	if (wanted == NULL || !g_hash_table_contains(engine->by_way, id) ||
			g_str_equal(host->commit, spec->commit))
		return ash_rollout_said(spec, host->commit, host->failed_commit, host->agent_state,
				host->verdict);
	*out_commit = wanted->commit;
	return g_str_equal(host->failed_commit, wanted->commit) ? ASH_ROLLOUT_SAID_FAILED
								: ASH_ROLLOUT_SAID_OTHER;
}

static void report(AshScheduler *scheduler, AshSchedulerEngine *engine, const AshHost *host,
		const AshRolloutHost *known)
{
	const char *commit = NULL;
	AshRolloutSaid said = said_of(scheduler, engine, host, &commit);
	g_autofree char *reason = NULL;
	char id[65];

	/* Of the many that wait nothing is to be told but that they wait. */
	if (said == ASH_ROLLOUT_SAID_OTHER &&
			(known == NULL || known->outcome == ASH_ROLLOUT_WAITING))
		return;
	if (said == ASH_ROLLOUT_SAID_FAILED) {
		ash_host_id_format(host->id, id);
		reason = ash_scheduler_workload(engine) != NULL
					 ? ash_scheduler_workload_failure(scheduler, engine, id)
					 : read_failure(scheduler, id, commit);
	}
	ash_rollout_report(
			engine->rollout, host->id, said, host->boot, reason != NULL ? reason : "");
}

/* It stands on a barrier and is fine there: on with it, towards the rollout's release. A revert leads back to the barrier:
 * what lies below it may not be able to read what is there by now.
 */
static gboolean pass_barrier(AshScheduler *scheduler, const AshSchedulerEngine *engine,
		const AshHost *host, GError **error)
{
	const AshDesiredRelease *target = target_of(scheduler, engine), *hop = NULL;
	const AshDesiredRelease *wanted =
			ash_desired_book_release(scheduler->turn_book, host->release);
	AshRolloutHost there;
	bool is_changed = false;
	char id[65];

	if (target == NULL || wanted == NULL || wanted == target ||
			!g_str_equal(host->rollout, engine->id) ||
			!g_str_equal(host->verb, "update") ||
			!g_str_equal(host->commit, wanted->commit) ||
			!g_str_equal(host->verdict, "good") ||
			!ash_rollout_host(engine->rollout, host->id, &there) ||
			there.outcome != ASH_ROLLOUT_OFFERED ||
			ash_desired_route(scheduler->turn_book, host, target, &hop) !=
					ASH_DESIRED_TAKE)
		return TRUE;
	ash_host_id_format(host->id, id);
	g_autofree char *text = g_strdup_printf("on from the barrier %s", wanted->version);
	const AshDesiredWant want = {
			.release = hop->id, .rollout = engine->id, .verb = "update", .text = text};
	scheduler->has_written = true;
	if (hop == target)
		g_hash_table_remove(engine->by_way, id);
	return ash_desired_write(scheduler->db, id, &want, scheduler->now_s, &is_changed, error) &&
	       ash_db_exec(scheduler->db,
			       "UPDATE rollout_host SET previous = $3 WHERE rollout = $1 AND host = $2",
			       ASH_DB_VALUES(ASH_DB_T(engine->id), ASH_DB_T(id),
					       ASH_DB_I(wanted->id)),
			       NULL, error);
}

static void tell_engine(AshScheduler *scheduler, AshSchedulerEngine *engine, const AshHost *host,
		const Extra *extra)
{
	AshRolloutHost known;
	bool is_known = ash_rollout_host(engine->rollout, host->id, &known);
	/* Those who came for it are judged by what they do, whatever the selector says of them now: it may name
	 * the version. */
	bool came = is_known && known.outcome != ASH_ROLLOUT_WAITING &&
		    known.outcome != ASH_ROLLOUT_ALREADY && known.outcome != ASH_ROLLOUT_ASSIGNED &&
		    known.outcome != ASH_ROLLOUT_GONE;
	bool may_take = can_take(scheduler, engine, host);

	if (!came && !may_take) {
		if (is_known)
			ash_rollout_leave(engine->rollout, host->id);
		return;
	}
	if (host->state != ASH_HOST_ACTIVE) {
		ash_rollout_leave(engine->rollout, host->id);
		return;
	}
	if (may_take)
		join(scheduler, engine, host);
	ash_rollout_reach(engine->rollout, host->id, reach_of(scheduler, engine, host, extra));
	report(scheduler, engine, host, is_known ? &known : NULL);
}

/* ---- what its channel wants ---------------------------------------------------------------------- */

/* A rollout that is under way wants something of it. */
static bool is_engaged(AshScheduler *scheduler, const AshHost *host)
{
	const AshSchedulerEngine *engine =
			*host->rollout != '\0' ? ash_scheduler_find(scheduler, host->rollout)
					       : NULL;
	AshRolloutHost there;
	AshRolloutNow now;

	if (engine == NULL || !ash_rollout_host(engine->rollout, host->id, &there))
		return false;
	ash_rollout_now(engine->rollout, &now);
	return is_unsettled(there.outcome) || there.outcome == ASH_ROLLOUT_SILENT ||
	       now.state == ASH_ROLLOUT_REVERTING;
}

static bool has_arrived(const AshDesiredBook *book, const AshHost *host)
{
	const AshDesiredRelease *wanted = ash_desired_book_release(book, host->release);

	return wanted != NULL && g_str_equal(wanted->commit, host->commit);
}

/* What is to be wanted of it now; false: leave it as it is. */
static bool channel_want(AshScheduler *scheduler, const AshHost *host, AshDesiredWant *out_want)
{
	const AshDesiredBook *book = scheduler->turn_book;
	const AshDesiredRelease *hop = NULL;

	if (host->state != ASH_HOST_ACTIVE || is_engaged(scheduler, host))
		return false;
	hop = ash_desired_by_channel(book, host);
	if (hop == NULL && (host->release == 0 || has_arrived(book, host)))
		return false;
	*out_want = (AshDesiredWant){.release = hop != NULL ? hop->id : 0,
			.rollout = "",
			.verb = hop != NULL ? "update" : "",
			.text = hop != NULL ? "its channel points to it"
					    : "nothing is wanted of it"};
	return out_want->release != host->release;
}

static gboolean give_channel(
		AshScheduler *scheduler, const char *id, const AshHost *host, GError **error)
{
	AshDesiredWant want;
	bool is_changed = false;

	if (!channel_want(scheduler, host, &want))
		return TRUE;
	if (!ash_desired_write(scheduler->db, id, &want, scheduler->now_s, &is_changed, error))
		return FALSE;
	if (is_changed) {
		scheduler->has_written = true;
		/* What it is to do now may keep a rollout from having it. */
		ash_scheduler_look_again(scheduler, id);
	}
	return TRUE;
}

static bool sweep_one(const AshHost *host, gpointer data)
{
	AshScheduler *scheduler = data;
	AshDesiredWant want;
	char id[65];

	if (channel_want(scheduler, host, &want)) {
		ash_host_id_format(host->id, id);
		ash_scheduler_look_again(scheduler, id);
	}
	return true;
}

void ash_scheduler_sweep(AshScheduler *scheduler)
{
	ash_live_each(scheduler->server->live, sweep_one, scheduler);
}

/* ---- policies ------------------------------------------------------------------------------------ */

typedef struct {
	AshScheduler *scheduler;
	const AshDesiredBook *old;
} Retell;

static bool is_same(const char *const *a, const char *const *b)
{
	static const char *const none[] = {NULL};

	return g_strv_equal(a != NULL ? a : none, b != NULL ? b : none);
}

static bool retell_one(const AshHost *host, gpointer data)
{
	const Retell *retell = data;
	AshScheduler *scheduler = retell->scheduler;
	AshDesiredWhen before = {0}, now = {0};
	char id[65];

	if (host->state != ASH_HOST_ACTIVE)
		return true;
	ash_desired_when(retell->old, host, host->rollout, scheduler->now_s, &before);
	ash_desired_when(scheduler->turn_book, host, host->rollout, scheduler->now_s, &now);
	if (before.poll_s == now.poll_s && is_same(before.windows, now.windows))
		return true;
	ash_host_id_format(host->id, id);
	g_hash_table_add(scheduler->retell, g_strdup(id));
	ash_scheduler_look_again(scheduler, id);
	return true;
}

/* A leader that comes after this one knows no older book: whoever was not told by then is told with the next thing
 * that is wanted of it.
 */
void ash_scheduler_retell(AshScheduler *scheduler, const AshDesiredBook *old)
{
	Retell retell = {scheduler, old};

	ash_live_each(scheduler->server->live, retell_one, &retell);
}

/* A larger "desired" is what makes the host's link take in the answer, which has the windows. */
static gboolean tell_when(AshScheduler *scheduler, const char *id, GError **error)
{
	int64_t desired = 0;
	bool is_there = false;

	if (!g_hash_table_remove(scheduler->retell, id))
		return TRUE;
	if (!ash_db_query_int(scheduler->db,
			    "UPDATE host SET desired = desired + 1 WHERE id = $1 RETURNING desired",
			    ASH_DB_VALUES(ASH_DB_T(id)), &is_there, &desired, error))
		return FALSE;
	if (!is_there)
		return TRUE;
	scheduler->has_written = true;
	g_autofree char *data = g_strdup_printf("{\"desired\":%" G_GINT64_FORMAT "}", desired);
	AshEvent event = {.at_s = scheduler->now_s,
			.kind = "host.desired",
			.host = id,
			.text = "it may change at other times now",
			.data = data};
	return ash_event_append(scheduler->db, &event, error);
}

/* ---- one host ------------------------------------------------------------------------------------ */

static gboolean take_extra(const AshDbRow *row, gpointer data, GError **error)
{
	*(Extra *) data = (Extra){.is_there = true,
			.is_by_hand = ash_db_row_int(row, 0) != 0,
			.is_silent = ash_db_row_int(row, 1) != 0};
	return TRUE;
}

gboolean ash_scheduler_look(AshScheduler *scheduler, const char *id, GError **error)
{
	uint8_t bytes[ASH_HOST_ID_BYTES];
	g_auto(AshHost) host = {0};
	Extra extra = {0};

	if (!ash_host_id_parse(id, bytes))
		return TRUE;
	/* The transaction's view: memory may be behind what has been committed. */
	if (!ash_db_query(scheduler->db, "SELECT by_hand, silent_since FROM host WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), take_extra, &extra, error) ||
			!ash_live_reload(scheduler->server->live, scheduler->db, id, error))
		return FALSE;
	if (!extra.is_there || !ash_live_get(scheduler->server->live, bytes, &host)) {
		for (unsigned i = 0; i < scheduler->engines->len; i++) {
			AshSchedulerEngine *engine = g_ptr_array_index(scheduler->engines, i);
			ash_rollout_leave(engine->rollout, bytes);
		}
		return TRUE;
	}
	for (unsigned i = 0; i < scheduler->engines->len; i++) {
		AshSchedulerEngine *engine = g_ptr_array_index(scheduler->engines, i);
		tell_engine(scheduler, engine, &host, &extra);
		if (!pass_barrier(scheduler, engine, &host, error))
			return FALSE;
	}
	return (extra.is_by_hand || give_channel(scheduler, id, &host, error)) &&
	       ash_scheduler_workload_look(scheduler, id, &host, error) &&
	       tell_when(scheduler, id, error);
}

/* ---- all hosts ----------------------------------------------------------------------------------- */

/* Those of one kind are told one behind the other, for the ledger writes a hundred of them on a line: so they are gathered
 * first, and sorted.
 */
typedef struct {
	uint8_t id[ASH_HOST_ID_BYTES];
	uint32_t kind;
	AshRolloutReach reach;
	bool has_it;
} Candidate;

/* Canary or not, and its value of each budget. */
typedef struct {
	bool is_canary;
	char *groups[ASH_ROLLOUT_MAX_BUDGETS];
} Kind;

typedef struct {
	AshScheduler *scheduler;
	AshSchedulerEngine *engine;
	GHashTable *by_hand;
	GArray *candidates;
	GPtrArray *kinds;
	GHashTable *by_text; /* of a kind → its number + 1 */
} Gather;

static void free_kind(gpointer data)
{
	Kind *kind = data;

	for (unsigned i = 0; i < ASH_ROLLOUT_MAX_BUDGETS; i++)
		g_free(kind->groups[i]);
	g_free(kind);
}

static uint32_t kind_of(const Gather *all, const AshHost *host)
{
	Kind *kind = g_new0(Kind, 1);
	g_autoptr(GString) text = g_string_new(NULL);
	char buffer[ASH_SELECTOR_KEY_BYTES];

	kind->is_canary = is_canary(all->scheduler, all->engine, host);
	g_string_append_c(text, kind->is_canary ? 'c' : '-');
	for (unsigned i = 0; i < all->engine->budgets->len; i++) {
		const char *value =
				ash_selector_key_value(g_ptr_array_index(all->engine->budgets, i),
						host, all->scheduler->now_s, buffer);
		kind->groups[i] = g_strdup(value);
		g_string_append_c(text, '\n');
		g_string_append(text, value != NULL ? value : "");
	}
	uint32_t number = GPOINTER_TO_UINT(g_hash_table_lookup(all->by_text, text->str));
	if (number > 0) {
		free_kind(kind);
		return number - 1;
	}
	g_ptr_array_add(all->kinds, kind);
	g_hash_table_insert(all->by_text, g_strdup(text->str), GUINT_TO_POINTER(all->kinds->len));
	return all->kinds->len - 1;
}

static bool has_it(const AshSchedulerEngine *engine, const AshHost *host)
{
	if (ash_scheduler_workload(engine) != NULL)
		return ash_scheduler_workload_said(engine, host) != ASH_ROLLOUT_SAID_OTHER;
	return g_str_equal(host->commit, ash_rollout_spec(engine->rollout)->commit);
}

static bool gather(const AshHost *host, gpointer data)
{
	const Gather *all = data;
	Candidate candidate = {0};
	char id[65];

	if (!can_take(all->scheduler, all->engine, host))
		return true;
	ash_host_id_format(host->id, id);
	Extra extra = {.is_there = true,
			.is_by_hand = g_hash_table_contains(all->by_hand, id),
			.is_silent = g_hash_table_contains(all->scheduler->silent, id)};
	memcpy(candidate.id, host->id, sizeof candidate.id);
	candidate.kind = kind_of(all, host);
	candidate.reach = reach_of(all->scheduler, all->engine, host, &extra);
	candidate.has_it = has_it(all->engine, host);
	g_array_append_val(all->candidates, candidate);
	return true;
}

static int compare_candidates(gconstpointer a, gconstpointer b)
{
	const Candidate *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return memcmp(x->id, y->id, sizeof x->id);
}

static void tell_reach(AshSchedulerEngine *engine, const GArray *candidates, AshRolloutReach reach)
{
	for (unsigned i = 0; i < candidates->len; i++) {
		const Candidate *candidate = &g_array_index(candidates, Candidate, i);
		if (candidate->reach == reach)
			ash_rollout_reach(engine->rollout, candidate->id, reach);
	}
}

static void tell_all(AshScheduler *scheduler, AshSchedulerEngine *engine, const Gather *all)
{
	for (unsigned i = 0; i < all->candidates->len; i++) {
		const Candidate *candidate = &g_array_index(all->candidates, Candidate, i);
		const Kind *kind = g_ptr_array_index(all->kinds, candidate->kind);
		ash_rollout_join(engine->rollout, candidate->id, kind->is_canary,
				engine->budgets->len > 0 ? (const char *const *) kind->groups
							 : NULL);
	}
	tell_reach(engine, all->candidates, ASH_ROLLOUT_READY);
	tell_reach(engine, all->candidates, ASH_ROLLOUT_CLOSED);
	for (unsigned i = 0; i < all->candidates->len; i++) {
		const Candidate *candidate = &g_array_index(all->candidates, Candidate, i);
		g_auto(AshHost) host = {0};
		if (candidate->has_it &&
				ash_live_get(scheduler->server->live, candidate->id, &host))
			report(scheduler, engine, &host, NULL);
	}
}

static gboolean take_id(const AshDbRow *row, gpointer data, GError **error)
{
	g_hash_table_add(data, g_strdup(ash_db_row_text(row, 0)));
	return TRUE;
}

gboolean ash_scheduler_join_all(AshScheduler *scheduler, AshSchedulerEngine *engine, GError **error)
{
	g_autoptr(GArray) candidates = g_array_new(FALSE, FALSE, sizeof(Candidate));
	g_autoptr(GHashTable) by_hand =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) by_text =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) kinds = g_ptr_array_new_with_free_func(free_kind);
	Gather all = {scheduler, engine, by_hand, candidates, kinds, by_text};

	if (!ash_db_query(scheduler->db, "SELECT id FROM host WHERE by_hand > 0", NULL, take_id,
			    by_hand, error))
		return FALSE;
	ash_live_each(scheduler->server->live, gather, &all);
	g_array_sort(candidates, compare_candidates);
	tell_all(scheduler, engine, &all);
	return TRUE;
}

typedef struct {
	AshScheduler *scheduler;
	AshSchedulerEngine *engine;
} Refresh;

/* Memory is asked first, so that a change which concerns a few does not read all of them from the table. */
static bool refresh_one(const AshRolloutHost *known, gpointer data)
{
	const Refresh *refresh = data;
	g_auto(AshHost) host = {0};
	Extra extra = {.is_there = true};
	char id[65];

	if (known->outcome != ASH_ROLLOUT_WAITING && known->outcome != ASH_ROLLOUT_WITHDRAWN &&
			known->outcome != ASH_ROLLOUT_ASSIGNED)
		return true;
	ash_host_id_format(known->id, id);
	extra.is_silent = g_hash_table_contains(refresh->scheduler->silent, id);
	if (!ash_live_get(refresh->scheduler->server->live, known->id, &host) ||
			!can_take(refresh->scheduler, refresh->engine, &host) ||
			reach_of(refresh->scheduler, refresh->engine, &host, &extra) !=
					known->reach)
		ash_scheduler_look_again(refresh->scheduler, id);
	return true;
}

void ash_scheduler_refresh(AshScheduler *scheduler, AshSchedulerEngine *engine)
{
	Refresh refresh = {scheduler, engine};

	engine->window_s = INT64_MAX;
	ash_rollout_each(engine->rollout, refresh_one, &refresh);
}
