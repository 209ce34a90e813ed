/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The update machine: which deployment a host should be on, and the next thing to do about it.
 *
 * PURE: no clock, no disk, no bus. agent/update-store.c keeps what is decided here, agent/ashlard.c
 * performs it: after each step the state is on disk before its action begins, and a state's action may
 * be begun again any number of times (it is, after every restart).
 *
 *	           timer, check, update              bundle
 *	  IDLE ───────────────▸ CHECKING    IDLE ───────────────▸ BUNDLING
 *	   ▴ ▴                      │done                             │done
 *	   │ └──nothing new,────────┴───────────▸ VERIFYING ◂─────────┘
 *	   │    not wanted, failed                    │a release to take
 *	   │                                          ▾            delta failed
 *	   │◂──no space──────────────────────────── PLANNING ─▸ FETCHING ◂────┐
 *	   │◂──network: backoff─────────────────────────┼──────────┤done      │
 *	   │                                  all there │          ▾          │
 *	   │                                            │       IMPORTING ────┘
 *	   │            next check (a recall may come)  ▾          │done
 *	   │                          CHECKING ◂────── READY ◂─────┘
 *	   │                                            │window open, or asked for
 *	   │◂──failed───────────────────────────── DEPLOYING
 *	   │                                            │done
 *	   │◂──started, but elsewhere: bad────────  REBOOTING ◂───done─── SWITCHING ◂──rollback── IDLE, READY
 *	   │                                            │started in it
 *	   │                                            ▾
 *	   │◂─CLEANING ◂──done── BLESSING ◂──good──── TRIAL ──bad, rollback──▸ CONDEMNING
 *	   │                                            │started elsewhere: bad      │
 *	   │◂───────────────────────────────────────────┘                            ▾
 *	   └◂───────────────started elsewhere──────────────────────────────────  RETURNING
 *
 * What VERIFYING finds again while it is READY stays READY, and nobody is told once more.
 *
 * (1) At most one commit is on its way.
 * (2) A commit in `failed` is never taken again until forgiven; it is put there before the host leaves.
 * (3) The booted deployment, pinned ones and the newest `keep` good ones are never removed.
 * (4) Where the machine is, is told by what booted, not by what was meant to: a booted entry that is
 *     still counted is a trial, whatever the state says.
 * (5) When there is nothing to go back to the host stays up, `degraded` says why.
 */

#define ASH_UPDATE_ERROR (ash_update_error_quark())
GQuark ash_update_error_quark(void);

typedef enum {
	ASH_UPDATE_ERROR_WRONG_STATE, /* the event is illegal in the state; the message names both */
	ASH_UPDATE_ERROR_NO_SOURCE,   /* nowhere to look for releases */
	ASH_UPDATE_ERROR_NOT_FOUND,   /* no such deployment */
} AshUpdateError;

typedef enum {
	ASH_UPDATE_IDLE,
	ASH_UPDATE_CHECKING,   /* link: order "check" */
	ASH_UPDATE_BUNDLING,   /* worker: bundle */
	ASH_UPDATE_VERIFYING,  /* worker: verify */
	ASH_UPDATE_PLANNING,   /* worker: plan */
	ASH_UPDATE_FETCHING,   /* link: order "fetch" */
	ASH_UPDATE_IMPORTING,  /* worker: import */
	ASH_UPDATE_READY,      /* timer: the window */
	ASH_UPDATE_DEPLOYING,  /* worker: deploy */
	ASH_UPDATE_SWITCHING,  /* worker: switch */
	ASH_UPDATE_REBOOTING,  /* reboot */
	ASH_UPDATE_TRIAL,      /* health */
	ASH_UPDATE_BLESSING,   /* worker: bless */
	ASH_UPDATE_CONDEMNING, /* worker: condemn */
	ASH_UPDATE_RETURNING,  /* reboot */
	ASH_UPDATE_CLEANING,   /* worker: clean */
} AshUpdateState;

/* "idle", "checking", …: each state's own word, as state.json has it. */
const char *ash_update_state_text(AshUpdateState state);
/* The word that people see: idle, checking, fetching, ready, deploying, rebooting, trial, returning,
 * cleaning.
 */
const char *ash_update_state_public(AshUpdateState state);
gboolean ash_update_state_parse(const char *text, AshUpdateState *out_state, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The reason of what is held because the fleet took the host back: when the fleet wants it again, it is taken. */
#define ASH_UPDATE_LEFT_FOR_FLEET "left because the fleet said so"

enum {
	ASH_UPDATE_MAX_FAILED = 64, /* the oldest goes */
	ASH_UPDATE_MAX_GOOD = 16,
	ASH_UPDATE_MAX_PINNED = 8,
	ASH_UPDATE_MAX_TOLD = 16,
	ASH_UPDATE_MAX_ATTEMPTS = 3, /* of a step that may pass, before the release is put aside */
	ASH_UPDATE_BACKOFF_S = 60,   /* doubled with each failure, up to the check interval */
	ASH_UPDATE_MAX_BACKOFF_S = 3600,
};

typedef struct {
	char *commit, *version;
	bool is_held; /* an operator left it; otherwise it was bad */
	char *reason;
	int64_t at_s;
} AshUpdateFailed;

/* A commit and its version. */
typedef struct {
	char *commit, *version;
} AshUpdateRef;

typedef struct {
	AshUpdateState state;
	int64_t since_s;
	char *boot_id;       /* in which `state` was entered */
	AshUpdateRef booted; /* as of the last start; NULLs before the first */

	/* The commit on its way; all NULL in IDLE. */
	AshUpdateRef target;
	AshUpdateRef from; /* what ran when it was deployed */
	char *document;    /* the release document, JSON; NULL for a switch */
	char *method;      /* "delta", "objects", "present"; NULL before PLANNING */
	char *delta;       /* JSON of the chosen delta; NULL */
	uint64_t bytes;    /* to fetch */
	bool is_recall, is_switch;
	bool is_forced;     /* somebody asked: no window, no `automatic` */
	bool is_check_only; /* of CHECKING and VERIFYING */
	char *wanted;       /* version asked for; NULL: the newest */
	char *bundle;       /* path; NULL: from the source */
	unsigned attempts;  /* of the present step */
	char *bad_reason;   /* CONDEMNING, RETURNING: why */

	unsigned source_failures; /* in a row */
	unsigned fleet_misses;    /* checks in a row that did not find what the fleet wants */
	int64_t next_check_s;     /* wall clock; 0: now */
	int64_t retry_at_s;       /* BLESSING: when to try again; 0: now */
	int64_t clock_floor_s;    /* the newest signed instant seen */
	char *degraded;           /* NULL: it goes on by itself */

	/* What steps told and is not in the history yet, and the id that the first will have there: a
	 * process that ends between state.json and history.jsonl tells it when it comes again. */
	GPtrArray *told; /* AshUpdateNote */
	uint64_t told_id;

	GPtrArray *failed; /* AshUpdateFailed, newest last */
	GPtrArray *good;   /* AshUpdateRef, newest last */
	GPtrArray *pinned; /* AshUpdateRef */
} AshUpdate;

AshUpdate *ash_update_new(void);
void ash_update_free(AshUpdate *update);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshUpdate, ash_update_free)
void ash_update_ref_free(AshUpdateRef *ref);
void ash_update_ref_set(AshUpdateRef *ref, const char *commit, const char *version);
void ash_update_failed_free(AshUpdateFailed *failed);

const AshUpdateFailed *ash_update_find_failed(const AshUpdate *update, const char *commit);
bool ash_update_is_good(const AshUpdate *update, const char *commit);
bool ash_update_is_pinned(const AshUpdate *update, const char *commit);

/* Each adds as the newest, instead of an older one of that commit. */
void ash_update_add_good(AshUpdate *update, const char *commit, const char *version);
void ash_update_remove_good(AshUpdate *update, const char *commit);
void ash_update_add_failed(AshUpdate *update, const AshUpdateRef *ref, bool is_held,
		const char *reason, int64_t now_s);

/* What the world is like at a step. */
typedef struct {
	int64_t now_s; /* wall clock */
	bool has_source;
	bool is_automatic;
	bool window_open;
	uint64_t check_s;
	double jitter; /* 0 to 1 */
	unsigned keep;
	int64_t backoff_s; /* 0: ASH_UPDATE_BACKOFF_S */
	/* In a fleet nothing is taken by itself but what the fleet wants, while it does not hold the host. */
	bool is_fleet, is_fleet_held;
	const char *fleet_version, *fleet_commit; /* NULL: it stays with what runs */
} AshUpdateWorld;

typedef enum {
	ASH_UPDATE_EVENT_START, /* ashlard begins; booted, boot_id, entry facts */
	ASH_UPDATE_EVENT_TIMER, /* an instant from ash_update_next_s has come, or the window moved */
	ASH_UPDATE_EVENT_CHECK,
	ASH_UPDATE_EVENT_UPDATE,   /* version or NULL */
	ASH_UPDATE_EVENT_BUNDLE,   /* path */
	ASH_UPDATE_EVENT_ROLLBACK, /* commit, version: a deployment that is there */
	ASH_UPDATE_EVENT_DONE,     /* the order or job of the state ended well */
	ASH_UPDATE_EVENT_FAILED,   /* …or not: word, text, may_retry */
	ASH_UPDATE_EVENT_VERDICT,  /* is_good, text */
} AshUpdateEventKind;

typedef struct {
	AshUpdateEventKind kind;
	const char *commit, *version; /* START: of what booted; ROLLBACK */
	const char *text; /* UPDATE: the version; BUNDLE: path; FAILED, VERDICT: why; ROLLBACK: why, or NULL */
	const char *word; /* FAILED */
	bool may_retry;   /* FAILED */
	bool is_good;     /* VERDICT */
	/* START */
	const char *boot_id;
	bool is_counted;       /* the booted entry still has a counter */
	int target_tries_left; /* of the target's entry; -1: not counted or no entry */
	int target_tries_done;
	bool target_has_entry;
	/* DONE of VERIFYING; document NULL: nothing to take */
	const char *document;
	bool is_recall;
	int64_t newest_signed_s;
	/* DONE of PLANNING */
	const char *method, *delta;
	uint64_t bytes;
} AshUpdateEvent;

/* For the history (agent/report.h): what happened in a step. */
typedef struct {
	const char *event; /* static */
	char *commit, *version, *text;
	const char *word; /* static or interned */
} AshUpdateNote;
void ash_update_note_free(AshUpdateNote *note);

/* ash_update_step:
 * @notes: AshUpdateNote are added
 *
 * Afterwards @update is to be saved, then the action of its state performed if the state was entered
 * (*out_entered), again or anew. A failure leaves @update as it was.
 */
gboolean ash_update_step(AshUpdate *update, const AshUpdateWorld *world,
		const AshUpdateEvent *event, GPtrArray *notes, bool *out_entered, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The wall-clock instant at which TIMER is due; INT64_MAX: never. The window's is the caller's. */
int64_t ash_update_next_s(const AshUpdate *update, const AshUpdateWorld *world);

/* The commits that must stay; char *, the booted one first. */
GPtrArray *ash_update_keep(const AshUpdate *update, unsigned keep);

/* TRUE if something was forgiven. @what: commit, version or "all". */
bool ash_update_forgive(AshUpdate *update, const char *what);
