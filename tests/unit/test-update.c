/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/update-store.h"
#include "agent/update.h"

/* The machine as ashlard drives it: each step is saved and read again, as if the power had gone. */

#define V1 "1111111111111111111111111111111111111111111111111111111111111111"
#define V2 "2222222222222222222222222222222222222222222222222222222222222222"
#define V3 "3333333333333333333333333333333333333333333333333333333333333333"

typedef struct {
	AshUpdate *update;
	AshUpdateWorld world;
	GPtrArray *notes;
	bool entered;
	int boots;
} Host;

static void save_and_load(Host *host)
{
	g_autofree char *text = ash_update_format(host->update);
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	g_autoptr(GError) error = NULL;
	AshUpdate *loaded = NULL;

	g_assert_true(ash_update_parse(bytes, &loaded, &error));
	g_assert_no_error(error);
	/* What is not kept on purpose. */
	loaded->next_check_s = host->update->next_check_s;
	loaded->source_failures = host->update->source_failures;
	loaded->retry_at_s = host->update->retry_at_s;
	loaded->is_check_only = host->update->is_check_only;
	loaded->state = host->update->state;
	loaded->since_s = host->update->since_s;
	loaded->fleet_misses = host->update->fleet_misses;
	if (ash_update_settled_state(host->update) != host->update->state) {
		g_free(loaded->wanted);
		loaded->wanted = g_strdup(host->update->wanted);
	}
	ash_update_free(host->update);
	host->update = loaded;
}

static bool try(Host *host, AshUpdateEvent event)
{
	g_autoptr(GError) error = NULL;
	bool done = ash_update_step(
			host->update, &host->world, &event, host->notes, &host->entered, &error);

	if (!done)
		g_assert_error(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_WRONG_STATE);
	save_and_load(host);
	return done;
}

static void step(Host *host, AshUpdateEvent event, AshUpdateState expected)
{
	g_assert_true(try(host, event));
	g_assert_cmpstr(ash_update_state_text(host->update->state), ==,
			ash_update_state_text(expected));
}

static AshUpdateEvent done(void)
{
	return (AshUpdateEvent){.kind = ASH_UPDATE_EVENT_DONE};
}

static AshUpdateEvent failed(const char *word, bool may_retry)
{
	return (AshUpdateEvent){.kind = ASH_UPDATE_EVENT_FAILED,
			.word = word,
			.text = "words",
			.may_retry = may_retry};
}

static AshUpdateEvent timer(void)
{
	return (AshUpdateEvent){.kind = ASH_UPDATE_EVENT_TIMER};
}

static AshUpdateEvent verdict(bool is_good)
{
	return (AshUpdateEvent){
			.kind = ASH_UPDATE_EVENT_VERDICT, .is_good = is_good, .text = "web: 503"};
}

static AshUpdateEvent found(const char *commit, const char *version)
{
	return (AshUpdateEvent){.kind = ASH_UPDATE_EVENT_DONE,
			.commit = commit,
			.version = version,
			.document = "{\"a\":1}",
			.newest_signed_s = 500};
}

static AshUpdateEvent plan(const char *method)
{
	return (AshUpdateEvent){.kind = ASH_UPDATE_EVENT_DONE,
			.method = method,
			.delta = strcmp(method, "delta") == 0 ? "{}" : NULL,
			.bytes = 7};
}

/* A boot of @commit; @left, @done_: the counter of the target's entry. */
static AshUpdateEvent boot(Host *host, const char *commit, const char *version, bool is_counted,
		int left, int done_)
{
	static char id[2][16];
	char *text = id[host->boots++ % 2];

	g_snprintf(text, sizeof id[0], "boot-%d", host->boots);
	return (AshUpdateEvent){.kind = ASH_UPDATE_EVENT_START,
			.boot_id = text,
			.commit = commit,
			.version = version,
			.is_counted = is_counted,
			.target_tries_left = left,
			.target_tries_done = done_,
			.target_has_entry = true};
}

/* ashlard started again in the same boot. */
static AshUpdateEvent restart(Host *host, const char *commit, const char *version, bool is_counted)
{
	host->boots--;
	return boot(host, commit, version, is_counted, 2, 1);
}

static bool noted_since(const Host *host, guint since, const char *event)
{
	for (guint i = since; i < host->notes->len; i++)
		if (strcmp(((AshUpdateNote *) host->notes->pdata[i])->event, event) == 0)
			return true;
	return false;
}

static bool noted(const Host *host, const char *event)
{
	return noted_since(host, 0, event);
}

static void host_init(Host *host)
{
	*host = (Host){
			.update = ash_update_new(),
			.world = {.now_s = 1000,
					.has_source = true,
					.is_automatic = true,
					.window_open = true,
					.check_s = 3600,
					.keep = 2},
			.notes = g_ptr_array_new_with_free_func(
					(GDestroyNotify) ash_update_note_free),
	};
	step(host, boot(host, V1, "1", false, -1, 0), ASH_UPDATE_IDLE);
	g_assert_true(ash_update_is_good(host->update, V1));
}

static void host_clear(Host *host)
{
	ash_update_free(host->update);
	g_ptr_array_unref(host->notes);
}

/* To DEPLOYING, by a timer. */
static void bring(Host *host, const char *commit, const char *version)
{
	host->world.now_s += 10000;
	step(host, timer(), ASH_UPDATE_CHECKING);
	step(host, done(), ASH_UPDATE_VERIFYING);
	step(host, found(commit, version), ASH_UPDATE_PLANNING);
	step(host, plan("delta"), ASH_UPDATE_FETCHING);
	step(host, done(), ASH_UPDATE_IMPORTING);
	step(host, done(), ASH_UPDATE_DEPLOYING);
}

static void test_good(void)
{
	Host host;

	host_init(&host);
	bring(&host, V2, "2");
	step(&host, done(), ASH_UPDATE_REBOOTING);
	step(&host, boot(&host, V2, "2", true, 2, 1), ASH_UPDATE_TRIAL);
	g_assert_true(host.entered);
	step(&host, verdict(true), ASH_UPDATE_BLESSING);
	step(&host, done(), ASH_UPDATE_CLEANING);
	step(&host, done(), ASH_UPDATE_IDLE);
	g_assert_true(ash_update_is_good(host.update, V2));
	g_assert_null(host.update->target.commit);
	g_assert_cmpint(host.update->clock_floor_s, ==, 500);
	g_assert_cmpuint(host.update->failed->len, ==, 0);
	g_autoptr(GPtrArray) keep = ash_update_keep(host.update, 2);
	g_assert_cmpuint(keep->len, ==, 2);
	g_assert_cmpstr(keep->pdata[0], ==, V2);
	g_assert_cmpstr(keep->pdata[1], ==, V1);
	host_clear(&host);
}

/* A kernel that never starts: the boot loader spends the tries, then the old one is there. */
static void test_never_started(void)
{
	Host host;

	host_init(&host);
	bring(&host, V2, "2");
	step(&host, done(), ASH_UPDATE_REBOOTING);
	step(&host, boot(&host, V1, "1", false, 0, 3), ASH_UPDATE_CLEANING);
	const AshUpdateFailed *bad = ash_update_find_failed(host.update, V2);
	g_assert_nonnull(bad);
	g_assert_false(bad->is_held);
	g_assert_cmpstr(bad->reason, ==, "it did not start, in 3 tries");
	g_assert_true(noted(&host, "bad"));
	g_assert_true(noted(&host, "returned"));
	step(&host, done(), ASH_UPDATE_IDLE);
	host_clear(&host);
}

static void test_bad_health(void)
{
	Host host;

	host_init(&host);
	bring(&host, V2, "2");
	step(&host, done(), ASH_UPDATE_REBOOTING);
	step(&host, boot(&host, V2, "2", true, 2, 1), ASH_UPDATE_TRIAL);
	step(&host, verdict(false), ASH_UPDATE_CONDEMNING);
	/* Remembered before the host leaves. */
	g_assert_nonnull(ash_update_find_failed(host.update, V2));
	step(&host, done(), ASH_UPDATE_RETURNING);
	step(&host, boot(&host, V1, "1", false, 0, 1), ASH_UPDATE_CLEANING);
	step(&host, done(), ASH_UPDATE_IDLE);
	g_assert_cmpstr(ash_update_find_failed(host.update, V2)->reason, ==, "web: 503");
	g_assert_true(ash_update_forgive(host.update, "2"));
	g_assert_null(ash_update_find_failed(host.update, V2));
	host_clear(&host);
}

/* Three trial boots, each ended by a power cut or by the deadline: the third is followed by V1. */
static void test_trial_spent(void)
{
	Host host;

	host_init(&host);
	bring(&host, V2, "2");
	step(&host, done(), ASH_UPDATE_REBOOTING);
	step(&host, boot(&host, V2, "2", true, 2, 1), ASH_UPDATE_TRIAL);
	step(&host, boot(&host, V2, "2", true, 1, 2), ASH_UPDATE_TRIAL);
	step(&host, restart(&host, V2, "2", true), ASH_UPDATE_TRIAL);
	g_assert_true(host.entered);
	step(&host, boot(&host, V2, "2", true, 0, 3), ASH_UPDATE_TRIAL);
	step(&host, boot(&host, V1, "1", false, 0, 3), ASH_UPDATE_CLEANING);
	g_assert_nonnull(ash_update_find_failed(host.update, V2));
	host_clear(&host);
}

/* The state is lost with /var: the counter on the ESP says that this is a trial. */
static void test_state_lost(void)
{
	Host host;

	host_init(&host);
	ash_update_free(host.update);
	host.update = ash_update_new();
	step(&host, boot(&host, V2, "2", true, 2, 1), ASH_UPDATE_TRIAL);
	g_assert_cmpstr(host.update->target.commit, ==, V2);
	g_assert_false(ash_update_is_good(host.update, V2));
	step(&host, verdict(true), ASH_UPDATE_BLESSING);
	step(&host, done(), ASH_UPDATE_CLEANING);
	g_assert_true(ash_update_is_good(host.update, V2));
	host_clear(&host);
}

static void test_nothing_to_return_to(void)
{
	Host host;

	host_init(&host);
	bring(&host, V2, "2");
	step(&host, done(), ASH_UPDATE_REBOOTING);
	step(&host, boot(&host, V2, "2", true, 2, 1), ASH_UPDATE_TRIAL);
	step(&host, verdict(false), ASH_UPDATE_CONDEMNING);
	step(&host, failed("no-fallback", false), ASH_UPDATE_IDLE);
	g_assert_nonnull(host.update->degraded);
	g_assert_true(noted(&host, "degraded"));
	host_clear(&host);
}

/* Condemned, but the boot loader comes back with it again and again: no endless loop. */
static void test_cannot_leave(void)
{
	Host host;

	host_init(&host);
	bring(&host, V2, "2");
	step(&host, done(), ASH_UPDATE_REBOOTING);
	step(&host, boot(&host, V2, "2", true, 2, 1), ASH_UPDATE_TRIAL);
	step(&host, verdict(false), ASH_UPDATE_CONDEMNING);
	for (int i = 0; i < ASH_UPDATE_MAX_ATTEMPTS; i++) {
		step(&host, done(), ASH_UPDATE_RETURNING);
		step(&host, boot(&host, V2, "2", false, 0, 3), ASH_UPDATE_CONDEMNING);
	}
	step(&host, done(), ASH_UPDATE_RETURNING);
	step(&host, boot(&host, V2, "2", false, 0, 3), ASH_UPDATE_IDLE);
	g_assert_nonnull(host.update->degraded);
	host_clear(&host);
}

static void test_rollback(void)
{
	Host host;
	AshUpdateEvent back = {.kind = ASH_UPDATE_EVENT_ROLLBACK, .commit = V1, .version = "1"};
	AshUpdateEvent forth = {.kind = ASH_UPDATE_EVENT_ROLLBACK, .commit = V2, .version = "2"};

	host_init(&host);
	bring(&host, V2, "2");
	step(&host, done(), ASH_UPDATE_REBOOTING);
	step(&host, boot(&host, V2, "2", true, 2, 1), ASH_UPDATE_TRIAL);
	step(&host, verdict(true), ASH_UPDATE_BLESSING);
	step(&host, done(), ASH_UPDATE_CLEANING);
	step(&host, done(), ASH_UPDATE_IDLE);
	step(&host, back, ASH_UPDATE_SWITCHING);
	g_assert_true(ash_update_find_failed(host.update, V2)->is_held);
	step(&host, done(), ASH_UPDATE_REBOOTING);
	step(&host, boot(&host, V1, "1", false, -1, 0), ASH_UPDATE_CLEANING);
	g_assert_true(noted(&host, "rolled-back"));
	step(&host, done(), ASH_UPDATE_IDLE);
	/* Held does not mean removed: it is good, and the way back is open. */
	g_assert_true(ash_update_is_good(host.update, V2));
	step(&host, forth, ASH_UPDATE_SWITCHING);
	g_assert_null(ash_update_find_failed(host.update, V2));
	g_assert_true(ash_update_find_failed(host.update, V1)->is_held);
	host_clear(&host);
}

static void test_rollback_in_trial(void)
{
	Host host;
	AshUpdateEvent back = {.kind = ASH_UPDATE_EVENT_ROLLBACK, .commit = V1, .version = "1"};

	host_init(&host);
	bring(&host, V2, "2");
	step(&host, done(), ASH_UPDATE_REBOOTING);
	step(&host, boot(&host, V2, "2", true, 2, 1), ASH_UPDATE_TRIAL);
	step(&host, back, ASH_UPDATE_CONDEMNING);
	g_assert_true(ash_update_find_failed(host.update, V2)->is_held);
	host_clear(&host);
}

static void test_delta_fails(void)
{
	Host host;

	host_init(&host);
	host.world.now_s += 10000;
	step(&host, timer(), ASH_UPDATE_CHECKING);
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, found(V2, "2"), ASH_UPDATE_PLANNING);
	step(&host, plan("delta"), ASH_UPDATE_FETCHING);
	step(&host, failed("mismatch", false), ASH_UPDATE_FETCHING);
	g_assert_cmpstr(host.update->method, ==, "objects");
	step(&host, done(), ASH_UPDATE_IMPORTING);
	/* A bad object is fetched again, but not for ever. */
	step(&host, failed("corrupt", false), ASH_UPDATE_FETCHING);
	step(&host, done(), ASH_UPDATE_IMPORTING);
	step(&host, failed("corrupt", false), ASH_UPDATE_FETCHING);
	step(&host, done(), ASH_UPDATE_IMPORTING);
	step(&host, failed("corrupt", false), ASH_UPDATE_IDLE);
	g_assert_null(ash_update_find_failed(host.update, V2));
	host_clear(&host);
}

static void test_delta_cannot_be_applied(void)
{
	Host host;

	host_init(&host);
	host.world.now_s += 10000;
	step(&host, timer(), ASH_UPDATE_CHECKING);
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, found(V2, "2"), ASH_UPDATE_PLANNING);
	step(&host, plan("delta"), ASH_UPDATE_FETCHING);
	step(&host, done(), ASH_UPDATE_IMPORTING);
	step(&host, failed("delta", false), ASH_UPDATE_FETCHING);
	g_assert_cmpstr(host.update->method, ==, "objects");
	g_assert_null(host.update->delta);
	host_clear(&host);
}

static void test_offline(void)
{
	Host host;
	int64_t before = 0;

	host_init(&host);
	host.world.now_s += 10000;
	for (int i = 0; i < 12; i++) {
		host.world.now_s = MAX(host.world.now_s, host.update->next_check_s);
		before = host.world.now_s;
		step(&host, timer(), ASH_UPDATE_CHECKING);
		step(&host, failed("offline", true), ASH_UPDATE_IDLE);
		int64_t wait = host.update->next_check_s - before;
		g_assert_cmpint(wait, >=, ASH_UPDATE_BACKOFF_S);
		g_assert_cmpint(wait, <=, ASH_UPDATE_MAX_BACKOFF_S);
		if (i == 2)
			g_assert_cmpint(wait, ==, 4 * ASH_UPDATE_BACKOFF_S);
	}
	/* Said once. */
	guint said = 0;
	for (guint i = 0; i < host.notes->len; i++)
		said += strcmp(((AshUpdateNote *) host.notes->pdata[i])->event, "source-failed") ==
			0;
	g_assert_cmpuint(said, ==, 1);
	host_clear(&host);
}

static void test_window(void)
{
	Host host;

	host_init(&host);
	host.world.window_open = false;
	host.world.now_s += 10000;
	step(&host, timer(), ASH_UPDATE_CHECKING);
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, found(V2, "2"), ASH_UPDATE_PLANNING);
	step(&host, plan("present"), ASH_UPDATE_READY);
	step(&host, timer(), ASH_UPDATE_READY);
	/* The network goes; what is ready stays so. */
	host.world.now_s += 10000;
	step(&host, timer(), ASH_UPDATE_CHECKING);
	step(&host, failed("offline", true), ASH_UPDATE_READY);
	/* It is found again: nobody is told twice. */
	guint told = host.notes->len;
	host.world.now_s += 10000;
	step(&host, timer(), ASH_UPDATE_CHECKING);
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, found(V2, "2"), ASH_UPDATE_READY);
	g_assert_false(noted_since(&host, told, "offered"));
	g_assert_false(noted_since(&host, told, "fetched"));
	/* Another one takes its place. */
	host.world.now_s += 10000;
	step(&host, timer(), ASH_UPDATE_CHECKING);
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, found(V3, "3"), ASH_UPDATE_PLANNING);
	g_assert_true(noted_since(&host, told, "offered"));
	step(&host, plan("present"), ASH_UPDATE_READY);
	host.world.window_open = true;
	step(&host, timer(), ASH_UPDATE_DEPLOYING);
	host_clear(&host);
}

/* Recalled while it waited for the window. */
static void test_recalled_when_ready(void)
{
	Host host;
	AshUpdateEvent nothing = {.kind = ASH_UPDATE_EVENT_DONE};

	host_init(&host);
	host.world.window_open = false;
	host.world.now_s += 10000;
	step(&host, timer(), ASH_UPDATE_CHECKING);
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, found(V2, "2"), ASH_UPDATE_PLANNING);
	step(&host, plan("present"), ASH_UPDATE_READY);
	host.world.now_s += 10000;
	step(&host, timer(), ASH_UPDATE_CHECKING);
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, nothing, ASH_UPDATE_IDLE);
	g_assert_null(host.update->target.commit);
	host_clear(&host);
}

static void test_not_automatic(void)
{
	Host host;
	AshUpdateEvent ask = {.kind = ASH_UPDATE_EVENT_UPDATE, .text = "2"};

	host_init(&host);
	host.world.is_automatic = false;
	host.world.window_open = false;
	host.world.now_s += 10000;
	step(&host, timer(), ASH_UPDATE_CHECKING);
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, found(V2, "2"), ASH_UPDATE_IDLE);
	step(&host, ask, ASH_UPDATE_CHECKING);
	g_assert_cmpstr(host.update->wanted, ==, "2");
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, found(V2, "2"), ASH_UPDATE_PLANNING);
	step(&host, plan("present"), ASH_UPDATE_DEPLOYING); /* no window for who asks */
	host_clear(&host);
}

static void fleet_wants(Host *host, const char *commit, const char *version)
{
	host->world.is_fleet = true;
	host->world.fleet_commit = commit;
	host->world.fleet_version = version;
}

/* A periodic check, up to what was verified. */
static void check(Host *host)
{
	host->world.now_s += 10000;
	step(host, timer(), ASH_UPDATE_CHECKING);
	step(host, done(), ASH_UPDATE_VERIFYING);
}

static void test_fleet(void)
{
	Host host;

	host_init(&host);
	fleet_wants(&host, NULL, NULL);
	check(&host);
	g_assert_null(host.update->wanted);
	step(&host, found(V2, "2"), ASH_UPDATE_IDLE); /* the newest, and the fleet says stay */
	fleet_wants(&host, V2, "2");
	host.world.is_fleet_held = true;
	check(&host);
	step(&host, found(V2, "2"), ASH_UPDATE_IDLE);
	host.world.is_fleet_held = false;
	check(&host);
	g_assert_cmpstr(host.update->wanted, ==, "2");
	step(&host, found(V3, "2"),
			ASH_UPDATE_IDLE); /* signed under that version is something else */
	check(&host);
	step(&host, found(V2, "2"), ASH_UPDATE_PLANNING);
	step(&host, plan("present"), ASH_UPDATE_DEPLOYING);
	host_clear(&host);
}

/* What is ready waits for the window, for the end of a hold, and goes when the fleet wants it no more. */
static void test_fleet_withdraws(void)
{
	Host host;

	host_init(&host);
	fleet_wants(&host, V2, "2");
	host.world.window_open = false;
	check(&host);
	step(&host, found(V2, "2"), ASH_UPDATE_PLANNING);
	step(&host, plan("present"), ASH_UPDATE_READY);
	host.world.window_open = true;
	host.world.is_fleet_held = true;
	step(&host, timer(), ASH_UPDATE_READY);
	fleet_wants(&host, NULL, NULL);
	step(&host, timer(), ASH_UPDATE_IDLE);
	g_assert_true(noted(&host, "refused"));
	g_assert_null(host.update->target.commit);
	host_clear(&host);
}

/* Who is at the host has the last word. */
static void test_fleet_and_operator(void)
{
	Host host;
	AshUpdateEvent ask = {.kind = ASH_UPDATE_EVENT_UPDATE, .text = "2"};

	host_init(&host);
	fleet_wants(&host, NULL, NULL);
	host.world.is_fleet_held = true;
	step(&host, ask, ASH_UPDATE_CHECKING);
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, found(V2, "2"), ASH_UPDATE_PLANNING);
	step(&host, plan("present"), ASH_UPDATE_DEPLOYING);
	host_clear(&host);
}

/* What the fleet wants is not in the source yet: looked for soon, then more and more seldom. */
static void test_fleet_waits_for_the_source(void)
{
	Host host;
	AshUpdateEvent nothing = {.kind = ASH_UPDATE_EVENT_DONE};

	host_init(&host);
	fleet_wants(&host, V2, "2");
	check(&host);
	step(&host, nothing, ASH_UPDATE_IDLE);
	g_assert_cmpint(host.update->next_check_s, ==, host.world.now_s + 60);
	check(&host);
	step(&host, nothing, ASH_UPDATE_IDLE);
	g_assert_cmpint(host.update->next_check_s, ==, host.world.now_s + 120);
	fleet_wants(&host, NULL, NULL);
	check(&host);
	step(&host, nothing, ASH_UPDATE_IDLE);
	g_assert_cmpint(host.update->next_check_s, ==, host.world.now_s + 3600);
	host_clear(&host);
}

static void test_check_only(void)
{
	Host host;
	AshUpdateEvent ask = {.kind = ASH_UPDATE_EVENT_CHECK};

	host_init(&host);
	step(&host, ask, ASH_UPDATE_CHECKING);
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, found(V2, "2"), ASH_UPDATE_IDLE);
	host_clear(&host);
}

static void test_bundle(void)
{
	Host host;
	AshUpdateEvent bundle = {.kind = ASH_UPDATE_EVENT_BUNDLE, .text = "/run/usb/b"};

	host_init(&host);
	host.world.has_source = false;
	step(&host, bundle, ASH_UPDATE_BUNDLING);
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, found(V2, "2"), ASH_UPDATE_PLANNING);
	step(&host, plan("delta"), ASH_UPDATE_IMPORTING);
	g_assert_cmpstr(host.update->bundle, ==, "/run/usb/b");
	step(&host, failed("delta", false), ASH_UPDATE_IDLE);
	host_clear(&host);
}

static void test_deploy_fails(void)
{
	Host host;

	host_init(&host);
	bring(&host, V2, "2");
	step(&host, failed("space", false), ASH_UPDATE_IDLE);
	g_assert_null(ash_update_find_failed(host.update, V2)); /* room can be made */
	bring(&host, V2, "2");
	step(&host, failed("failed", false), ASH_UPDATE_DEPLOYING);
	step(&host, failed("failed", false), ASH_UPDATE_DEPLOYING);
	step(&host, failed("failed", false), ASH_UPDATE_IDLE);
	g_assert_null(ash_update_find_failed(
			host.update, V2)); /* it never ran: tried again later */
	bring(&host, V2, "2");
	step(&host, failed("kernel", false), ASH_UPDATE_IDLE);
	g_assert_nonnull(ash_update_find_failed(host.update, V2)); /* at once, and for good */
	host_clear(&host);
}

static void test_bless_fails(void)
{
	Host host;

	host_init(&host);
	bring(&host, V2, "2");
	step(&host, done(), ASH_UPDATE_REBOOTING);
	step(&host, boot(&host, V2, "2", true, 2, 1), ASH_UPDATE_TRIAL);
	step(&host, verdict(true), ASH_UPDATE_BLESSING);
	step(&host, failed("esp", false), ASH_UPDATE_BLESSING);
	g_assert_nonnull(host.update->degraded);
	g_assert_cmpint(ash_update_next_s(host.update, &host.world), >, host.world.now_s);
	host.world.now_s += 10000;
	step(&host, timer(), ASH_UPDATE_BLESSING);
	g_assert_true(host.entered);
	/* A reboot in between does not bring the question up again. */
	step(&host, boot(&host, V2, "2", true, 1, 2), ASH_UPDATE_BLESSING);
	step(&host, done(), ASH_UPDATE_CLEANING);
	g_assert_null(host.update->degraded);
	host_clear(&host);
}

/* Every event in every state: either legal, or refused without a trace. */
static void test_illegal(void)
{
	AshUpdateEvent events[] = {
			{.kind = ASH_UPDATE_EVENT_CHECK},
			{.kind = ASH_UPDATE_EVENT_UPDATE, .text = ""},
			{.kind = ASH_UPDATE_EVENT_BUNDLE, .text = "/x"},
			{.kind = ASH_UPDATE_EVENT_ROLLBACK, .commit = V1, .version = "1"},
			done(),
			verdict(false),
			verdict(true),
	};
	guint refused = 0;

	for (int state = ASH_UPDATE_IDLE; state <= ASH_UPDATE_CLEANING; state++)
		for (guint i = 0; i < G_N_ELEMENTS(events); i++) {
			Host host;
			host_init(&host);
			host.update->state = (AshUpdateState) state;
			ash_update_ref_set(&host.update->target, V2, "2");
			host.update->document = g_strdup("{}");
			host.update->method = g_strdup("objects");
			host.update->bundle = g_strdup("/y");
			host.update->bad_reason = g_strdup("bad");
			AshUpdateEvent event = events[i];
			if (event.kind == ASH_UPDATE_EVENT_DONE && state == ASH_UPDATE_PLANNING)
				event.method = "objects";
			g_autofree char *before = ash_update_format(host.update);
			if (!try(&host, event)) {
				g_autofree char *after = ash_update_format(host.update);
				g_assert_cmpstr(before, ==, after);
				refused++;
			}
			host_clear(&host);
		}
	g_assert_cmpuint(refused, >, 60);
}

static void test_broken_text(void)
{
	static const char *const texts[] = {
			"",
			"[]",
			"{}",
			"{\"format\":1}",
			"{\"format\":1,\"state\":\"flying\"}",
			"{\"format\":1,\"state\":\"trial\"}",
			"{\"format\":1,\"state\":\"idle\",\"good\":[1]}",
			"{\"format\":1,\"state\":\"idle\",\"good\":[{\"commit\":\"../x\"}]}",
			"{\"format\":1,\"state\":\"idle\",\"attempts\":-1}",
	};

	for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(GBytes) bytes = g_bytes_new_static(texts[i], strlen(texts[i]));
		g_autoptr(GError) error = NULL;
		AshUpdate *update = NULL;
		g_assert_false(ash_update_parse(bytes, &update, &error));
		g_assert_nonnull(error);
	}
	/* A later agent wrote it, and this one came back: what is known is taken. */
	g_autoptr(GBytes) later = g_bytes_new_static(
			"{\"format\":9,\"state\":\"dancing\",\"failed\":[{\"commit\":\"" V2
			"\",\"kind\":\"bad\",\"version\":\"2\"}]}",
			strlen("{\"format\":9,\"state\":\"dancing\",\"failed\":[{\"commit\":\"" V2
			       "\",\"kind\":\"bad\",\"version\":\"2\"}]}"));
	g_autoptr(AshUpdate) update = NULL;
	g_assert_true(ash_update_parse(later, &update, NULL));
	g_assert_cmpint(update->state, ==, ASH_UPDATE_IDLE);
	g_assert_nonnull(ash_update_find_failed(update, V2));
}

/* A host that looks and finds nothing writes nothing. */
static void test_idle_is_silent(void)
{
	Host host;
	AshUpdateEvent nothing = {.kind = ASH_UPDATE_EVENT_DONE};

	host_init(&host);
	host.world.now_s += 10000;
	step(&host, timer(), ASH_UPDATE_CHECKING);
	step(&host, done(), ASH_UPDATE_VERIFYING);
	step(&host, nothing, ASH_UPDATE_IDLE);
	g_autofree char *before = ash_update_format(host.update);
	g_ptr_array_set_size(host.notes, 0);
	for (int i = 0; i < 3; i++) {
		AshUpdateEvent events[] = {timer(), done(), nothing};
		host.world.now_s += 10000;
		for (guint j = 0; j < G_N_ELEMENTS(events); j++) {
			g_assert_true(try(&host, events[j]));
			g_autofree char *text = ash_update_format(host.update);
			g_assert_cmpstr(text, ==, before);
		}
	}
	g_assert_cmpuint(host.notes->len, ==, 0);
	host_clear(&host);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/update/good", test_good);
	g_test_add_func("/update/never-started", test_never_started);
	g_test_add_func("/update/bad-health", test_bad_health);
	g_test_add_func("/update/trial-spent", test_trial_spent);
	g_test_add_func("/update/state-lost", test_state_lost);
	g_test_add_func("/update/nothing-to-return-to", test_nothing_to_return_to);
	g_test_add_func("/update/cannot-leave", test_cannot_leave);
	g_test_add_func("/update/rollback", test_rollback);
	g_test_add_func("/update/rollback-in-trial", test_rollback_in_trial);
	g_test_add_func("/update/delta-fails", test_delta_fails);
	g_test_add_func("/update/delta-cannot-be-applied", test_delta_cannot_be_applied);
	g_test_add_func("/update/offline", test_offline);
	g_test_add_func("/update/window", test_window);
	g_test_add_func("/update/recalled-when-ready", test_recalled_when_ready);
	g_test_add_func("/update/not-automatic", test_not_automatic);
	g_test_add_func("/update/fleet", test_fleet);
	g_test_add_func("/update/fleet-withdraws", test_fleet_withdraws);
	g_test_add_func("/update/fleet-and-operator", test_fleet_and_operator);
	g_test_add_func("/update/fleet-waits-for-the-source", test_fleet_waits_for_the_source);
	g_test_add_func("/update/check-only", test_check_only);
	g_test_add_func("/update/bundle", test_bundle);
	g_test_add_func("/update/deploy-fails", test_deploy_fails);
	g_test_add_func("/update/bless-fails", test_bless_fails);
	g_test_add_func("/update/illegal", test_illegal);
	g_test_add_func("/update/broken-text", test_broken_text);
	g_test_add_func("/update/idle-is-silent", test_idle_is_silent);
	return g_test_run();
}
