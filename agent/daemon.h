/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/bus.h"
#include "agent/daemon-workload.h"
#include "agent/fleet-member.h"
#include "agent/health.h"
#include "agent/history.h"
#include "agent/host-trial.h"
#include "agent/hostdoc.h"
#include "agent/job.h"
#include "agent/update.h"

/* ashlard: carries out what the update machine (agent/update.h) decides, and answers on the bus.
 *
 *	daemon.c         begins, steps the machine, keeps its state, sets the one timer
 *	daemon-act.c     the action of each state
 *	daemon-order.c   orders for ashlar-link
 *	daemon-job.c     jobs for ashlar-worker, and what comes of them
 *	daemon-health.c  runs the checks, gives the verdict
 *	daemon-report.c  GetStatus, GetHealth, Why
 *	daemon-call.c    the methods of org.ashlar.Host1
 *	daemon-fleet.c   what the fleet wants, its orders
 *	daemon-document.c a changed host document is tried
 *	daemon-tell.c    what the fleet is told
 *	daemon-journal.c the end of a journal, for the fleet
 *	daemon-workload.h what it does for workloads
 *
 * Order within a step: the machine decides → state.json is on disk → the history has it → the action
 * begins. What is told stands in state.json too until the history has it, so that it is there once, whatever
 * happens in between; what cannot be written to it is tried again. If the state cannot be written, nothing is
 * begun: the step is taken back and tried again after a minute, but for a trial, whose boot counter is on
 * another file system.
 *
 * With --root, for tests, ASHLAR_WAIT=SECONDS in the environment is the pause between attempts and before
 * the first check, five times that between checks, and agent/fault.h has these points for each state: "saved-STATE" after it is on disk,
 * "state-STATE" before its action begins, "begun-STATE" when that has begun. ASHLAR_TRIAL=SECONDS is how long a
 * host document is tried.
 */

enum {
	ASH_DAEMON_CHECK_ORDER_S = 600,  /* until a check that nobody answers is taken back */
	ASH_DAEMON_FETCH_STALL_S = 1800, /* without any progress */
	ASH_DAEMON_REBOOT_AGAIN_S = 300,
	ASH_DAEMON_SAVE_AGAIN_S = 60,
	ASH_DAEMON_FIRST_CHECK_S = 20, /* after the start, plus up to as much again */
};

/* What is known of the source, in memory only. */
typedef struct {
	int64_t last_check_s, last_success_s;
	char *error, *word; /* of the last check, if it failed */
	int64_t expires_s, newest_signed_s;
	uint64_t root_version, timestamp_version;
} AshDaemonSource;

typedef struct {
	AshHostTrial trial;
	char *digest, *previous; /* of the documents of this boot; NULL: none */
	int64_t deadline_us; /* until which there has to be contact; INT64_MAX: nothing is tried */
} AshDaemonDocument;

/* The end of a journal on its way to the fleet. */
typedef struct {
	AshBusChild *child; /* journalctl; NULL */
	GString *lines;
	int64_t deadline_us; /* INT64_MAX: no child */
	uint64_t order;      /* that asked for it; 0: an update failed */
	char *text;          /* whole; NULL: none */
	char *version;
	int64_t at_s;
	uint64_t sent; /* serial of the first report with it; 0: none */
} AshDaemonJournal;

struct AshDaemon {
	AshBus *bus;
	const char *root;    /* "" on a host; --root DIR for tests */
	const char *libexec; /* where ashlar-worker is */
	bool is_test;        /* --root: a reboot ends the process instead */
	int64_t wait_s;      /* between attempts */
	bool is_hurried;     /* ASHLAR_WAIT */
	char *boot_id;

	AshUpdate *update;
	char *saved; /* the text of state.json */
	AshHistory *history;
	AshHostdoc *settings;
	GPtrArray *windows; /* AshWindow of settings->updates.windows */
	char **warnings;    /* of the settings and the host document */
	AshDaemonDocument document;
	AshJobSystem *system; /* as of the last `inspect`; NULL before the first */

	AshHealth *health; /* NULL until the machine has started */
	bool is_trial;
	int64_t trial_deadline_us;
	AshVerdict verdict;
	char *verdict_reason;

	AshBusChild *job; /* the worker that runs, NULL */
	char *job_verb;
	bool job_is_cancelled;
	char *job_result, *job_error; /* JSON of its last line */
	uint64_t job_done, job_total;

	uint64_t order_id; /* of the standing order; rises */
	char *order;       /* JSON; never NULL */
	int64_t order_deadline_us;
	uint64_t order_done, order_total;

	AshDaemonSource source;
	char *available; /* release document that the last check found; NULL */
	bool available_is_recall;
	char *refused; /* JSON array of the last verify; NULL */
	double jitter;

	AshFleetMember *fleet;    /* url NULL: in none */
	char *fleet_saved;        /* the text of fleet.json */
	GPtrArray *fleet_windows; /* AshWindow, instead of `windows`; NULL: none */
	uint64_t fleet_serial;    /* of the newest report; rises with news */
	unsigned fleet_whole;     /* how often all of the facts, state and health were asked for */
	bool fleet_has_left;      /* ashlar-link knows it */
	AshDaemonJournal journal;
	AshDaemonWorkloads workloads;

	bool has_started, is_ticking;
	/* @system may be older than the disk. */
	bool must_inspect;
	char *trouble; /* why the state cannot be written; NULL: it can */
	int64_t save_again_us, tell_again_us, reboot_again_us; /* INT64_MAX: not */
};

gboolean ash_daemon_new(const char *root, const char *libexec, AshDaemon **out_daemon,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_daemon_free(AshDaemon *daemon);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshDaemon, ash_daemon_free)

/* Serves until told to stop. */
gboolean ash_daemon_run(AshDaemon *daemon, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- daemon.c ---- */

void ash_daemon_world(AshDaemon *daemon, AshUpdateWorld *out_world);
/* One step; the action of the new state has begun when it returns. */
gboolean ash_daemon_step(AshDaemon *daemon, const AshUpdateEvent *event, GError **error);
/* The same where the event cannot be illegal; a failure is logged. */
void ash_daemon_must_step(AshDaemon *daemon, const AshUpdateEvent *event);
void ash_daemon_note(AshDaemon *daemon, const char *event, const char *text);
/* Writes the state if it has changed; FALSE: tried again later. */
bool ash_daemon_save(AshDaemon *daemon);
void ash_daemon_set_timer(AshDaemon *daemon);
/* Wall clock, never below what was signed and seen. */
int64_t ash_daemon_now_s(void);
int64_t ash_daemon_trusted_now_s(const AshDaemon *daemon);

/* ---- daemon-job.c ---- */

/* The job of a state; nothing if one runs. */
void ash_daemon_begin_job(AshDaemon *daemon, const char *verb);
/* import of an image; false: not now. */
bool ash_daemon_begin_image_job(AshDaemon *daemon, const char *document, bool is_bundled);
/* Looks at the disk again; the first one starts the machine. */
void ash_daemon_inspect(AshDaemon *daemon);
/* How a check ended; @word NULL: well. */
void ash_daemon_take_source(AshDaemon *daemon, const char *word, const char *text);

/* ---- daemon-order.c ---- */

void ash_daemon_give_order(AshDaemon *daemon, const char *verb);
/* fetch of an image, by its release document. */
void ash_daemon_give_image_order(AshDaemon *daemon, const char *document);
void ash_daemon_drop_order(AshDaemon *daemon);
void ash_daemon_order_done(AshDaemon *daemon, uint64_t id, const char *result);
void ash_daemon_order_progress(AshDaemon *daemon, uint64_t id, uint64_t done, uint64_t total);
void ash_daemon_order_late(AshDaemon *daemon);

/* ---- daemon-act.c ---- */

void ash_daemon_act(AshDaemon *daemon);
/* Now, whatever the state; ends the process in tests. */
gboolean ash_daemon_reboot(AshDaemon *daemon, GError **error);
const AshJobDeployment *ash_daemon_booted(const AshDaemon *daemon); /* or NULL */
const AshJobDeployment *ash_daemon_deployment(const AshDaemon *daemon, const char *commit);
/* What an order or a job begins with: a builder with one open object. */
JsonBuilder *ash_daemon_open_object(void);
/* The members of an order and of the verify job that say which host this is: "name" to "now". */
void ash_daemon_add_host(JsonBuilder *builder, AshDaemon *daemon);
/* JSON that is known to be right, NULL is null. */
void ash_daemon_add_json(JsonBuilder *builder, const char *key, const char *json);
/* The deployment that @what names: a commit, a unique prefix of 8 digits or more, a version; "": the
 * one to go back to. NULL with ASH_UPDATE_ERROR_NOT_FOUND.
 */
const AshJobDeployment *ash_daemon_find(AshDaemon *daemon, const char *what, GError **error);

/* ---- daemon-health.c ---- */

void ash_daemon_health_begin(AshDaemon *daemon, bool is_trial);
/* Runs what is due, judges; returns when to come again (CLOCK_BOOTTIME). */
int64_t ash_daemon_health_tick(AshDaemon *daemon);

/* ---- daemon-report.c, JSON texts ---- */

char *ash_daemon_status(AshDaemon *daemon);
char *ash_daemon_health_report(AshDaemon *daemon);
char *ash_daemon_why(AshDaemon *daemon);
/* Without what the fleet itself has to do with it, and without times: for a report to the fleet. */
char *ash_daemon_blocker(AshDaemon *daemon);
/* What goes on, with a state of `update` or its settled one. */
char *ash_daemon_detail(AshDaemon *daemon, AshUpdateState state);

/* ---- daemon-fleet.c ---- */

gboolean ash_daemon_fleet_load(AshDaemon *daemon, GError **error);
bool ash_daemon_is_in_fleet(const AshDaemon *daemon);
/* The fleet's part of the world; its texts are borrowed until the next answer. */
void ash_daemon_fleet_world(AshDaemon *daemon, AshUpdateWorld *world);
/* May it reboot, and when does that change (INT64_MAX: never)? By the fleet's windows or the host's own. */
void ash_daemon_window(
		const AshDaemon *daemon, int64_t now_s, bool *out_is_open, int64_t *out_change_s);
/* There is something new to report. */
void ash_daemon_fleet_news(AshDaemon *daemon);
bool ash_daemon_fleet_save(AshDaemon *daemon);
/* Goes back, if the fleet wants it and the state allows it. */
void ash_daemon_fleet_act(AshDaemon *daemon);
gboolean ash_daemon_fleet_answer(AshDaemon *daemon, uint64_t serial, const char *json,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- daemon-document.c ---- */

/* After the settings were loaded. */
void ash_daemon_document_begin(AshDaemon *daemon);
/* The fleet or the source of releases was reached. */
void ash_daemon_document_contact(AshDaemon *daemon);
/* The deadline has come. */
void ash_daemon_document_late(AshDaemon *daemon);
/* @what: "document" (that was left), a commit, a version or "all"; false: nothing was to be forgiven. */
bool ash_daemon_forgive(AshDaemon *daemon, const char *what);
void ash_daemon_document_clear(AshDaemonDocument *document);

/* ---- daemon-tell.c ---- */

enum {
	ASH_DAEMON_MAX_REPORT_TEXT =
			300, /* of the many texts of a report: all of it is to be small */
};
/* A copy of those members of @from that @keys names (NULL-terminated), long texts cut. */
JsonNode *ash_daemon_pick(JsonObject *from, const char *const *keys);
/* The same of each of a list of objects, as member of @to; it is empty when there is none. */
void ash_daemon_pick_list(
		JsonObject *from, const char *key, const char *const *keys, JsonObject *to);
char *ash_daemon_fleet_report(AshDaemon *daemon);
char *ash_daemon_fleet_property(const AshDaemon *daemon);
/* The member "fleet" of GetStatus. */
void ash_daemon_fleet_status(AshDaemon *daemon, JsonBuilder *builder);

/* ---- daemon-journal.c ---- */

/* A boot of @version failed: its journal is to be fetched once there is another boot. */
void ash_daemon_journal_want(AshDaemon *daemon, const char *version, const char *boot);
/* Begins with what is wanted, if nothing is on its way. @order: 0, or of this boot, for an order */
void ash_daemon_journal_begin(AshDaemon *daemon, uint64_t order);
void ash_daemon_journal_late(AshDaemon *daemon);
/* The fleet has what was in report @serial. */
void ash_daemon_journal_acknowledge(AshDaemon *daemon, uint64_t serial);
void ash_daemon_journal_clear(AshDaemonJournal *journal);

/* ---- daemon-call.c ---- */

gboolean ash_daemon_call(const AshBusCall *call, gpointer data, char **out_json, GError **error);
char *ash_daemon_property(const char *name, gpointer data);
