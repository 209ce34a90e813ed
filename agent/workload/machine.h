/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/json.h"
#include "lib/workload.h"

/* The machine of one workload: which version of it is to run, what each of its instances does, and the
 * next thing to do about it.
 *
 * PURE: no clock, no disk, no bus. agent/workload/state.h keeps what is decided here, the daemon performs
 * it: after each step the state is on disk before its action begins, and every action may be begun again any
 * number of times (it is, after every restart). The actions follow from the state alone:
 *
 *	FETCHING, STAGING    stage `target`: import its image, resolve all that it names (not before retry_us)
 *	instance WAITING     GO when everything that it needs is there, HELD with what is missing otherwise
 *	instance STARTING    launch it, if it does not run; then judge its health until it is READY or BROKEN
 *	instance RUNNING     watch its health; in TRIAL for the VERDICT
 *	instance STOPPING    end it
 *	instance BACKOFF     TIMER at until_us
 *	ABSENT               clean up, then forget the machine
 *
 *	              DEFINED           STAGED, the first one ever
 *	   STOPPED ────────────▸ FETCHING ───────────────────────────▸ UP ◂──────────────┐
 *	      ▴ START: what is staged comes up │  not the first        │ DEFINED         │
 *	      │                                ▾                       ▾                 │
 *	      │                              TRIAL ◂─── SWITCHING ◂─ STAGING             │
 *	      │                                │ │  all down    STAGED (the old is up)   │
 *	      │                                │ └──────── good: target is current ──────▴
 *	      │ all down                       ▾ bad                                     │
 *	   STOPPING ◂── STOP, UNDEFINED     RETURNING ──────── all down, current again ──┘
 *	      └──▸ ABSENT (UNDEFINED)
 *
 * (1) Instances of two versions never live at the same time.
 * (2) A version in `failed` is never taken again until forgiven; it is put there before it is left.
 * (3) `current` changes by a good verdict alone (or by the first version there is).
 * (4) What is not wanted does not run; what was removed leaves nothing.
 * (5) An instance that ends by itself is started again after a pause that doubles, at most `budget` times
 *     `within` the time of its policy, then it is FAILED until somebody starts it.
 * (6) A trial that is interrupted (power, the daemon's end with the host) begins anew, three times at most.
 */

#define ASH_MACHINE_ERROR (ash_machine_error_quark())
GQuark ash_machine_error_quark(void);

typedef enum {
	ASH_MACHINE_ERROR_WRONG_STATE, /* the event is illegal in the state; the message names both */
	ASH_MACHINE_ERROR_BAD,         /* this version failed before */
	ASH_MACHINE_ERROR_SYNTAX,      /* what was read is no machine */
} AshMachineError;

enum {
	ASH_MACHINE_MAX_FAILED = 16,  /* the oldest goes */
	ASH_MACHINE_MAX_CRASHES = 32, /* that are remembered; a budget is never above it */
	ASH_MACHINE_MAX_TRIALS = 3,
	ASH_MACHINE_RETRY_US = 5 * 1000 * 1000, /* of staging; doubled with each failure, up to … */
};
#define ASH_MACHINE_MAX_RETRY_US (INT64_C(3600) * 1000 * 1000)

typedef enum {
	ASH_MACHINE_STOPPED,
	ASH_MACHINE_FETCHING,
	ASH_MACHINE_UP,
	ASH_MACHINE_STAGING,
	ASH_MACHINE_SWITCHING,
	ASH_MACHINE_TRIAL,
	ASH_MACHINE_RETURNING,
	ASH_MACHINE_STOPPING,
	ASH_MACHINE_ABSENT,
} AshMachineState;
const char *ash_machine_state_text(AshMachineState state); /* "fetching", … */

typedef enum {
	ASH_INSTANCE_DOWN, /* not to run now */
	ASH_INSTANCE_WAITING,
	ASH_INSTANCE_STARTING,
	ASH_INSTANCE_RUNNING,
	ASH_INSTANCE_STOPPING,
	ASH_INSTANCE_BACKOFF,
	ASH_INSTANCE_FAILED,
	ASH_INSTANCE_DONE, /* it ended, and its policy leaves it at that */
} AshInstanceState;
const char *ash_instance_state_text(AshInstanceState state); /* "waiting", … */
/* A question: may it have a process? */
bool ash_instance_is_live(AshInstanceState state);

/* One version of a workload, with all that makes it another one. */
typedef struct {
	char *version;
	char *digest; /* SHA-256 of the definition with its parameters; NULL: no version */
	char *commit; /* of its image in the host's repository; NULL until it is staged */
	unsigned instances;
} AshMachineRef;

typedef struct {
	char *version, *digest, *reason;
	int64_t at_s;
} AshMachineFailed;

typedef struct {
	AshInstanceState state;
	char *text; /* why it is so: what is missing, how it ended; NULL */
	int64_t since_s;
	bool is_broken; /* STOPPING: because it does not work; it counts as a crash when it is down */
	bool is_again;     /* STOPPING: to be started again at once */
	int64_t until_us;  /* BACKOFF */
	unsigned restarts; /* since it was last started by somebody */
	unsigned n_crashes;
	int64_t crash_us[ASH_MACHINE_MAX_CRASHES]; /* oldest first */
} AshMachineInstance;

typedef struct {
	char *name;
	AshMachineState state;
	int64_t since_s;
	bool is_wanted;
	bool is_removed;    /* STOPPING: ABSENT after it */
	bool drops_volumes; /* with it */
	AshMachineRef current, target;
	char *text;           /* why it does not go on; NULL */
	unsigned attempts;    /* of staging */
	unsigned trials;      /* of the target */
	int64_t retry_us;     /* of staging; 0: now */
	char *boot_id;        /* instants of CLOCK_BOOTTIME are of this boot */
	GPtrArray *instances; /* AshMachineInstance */
	GPtrArray *failed;    /* AshMachineFailed, newest last */
} AshMachine;

AshMachine *ash_machine_new(const char *name);
void ash_machine_free(AshMachine *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshMachine, ash_machine_free)

/* The version whose instances live or are to live now; NULL for none. */
const AshMachineRef *ash_machine_active(const AshMachine *machine);
const AshMachineFailed *ash_machine_find_failed(const AshMachine *machine, const char *digest);
/* One word for people: stopped, fetching, waiting, starting, running, updating, backoff, failed, stopping,
 * done. The worst of its instances counts.
 */
const char *ash_machine_word(const AshMachine *machine);
/* Are all of its instances ready (or done)? */
bool ash_machine_is_ready(const AshMachine *machine);

/* What the world is like at a step. */
typedef struct {
	int64_t now_us;             /* CLOCK_BOOTTIME */
	int64_t now_s;              /* wall clock */
	AshWorkloadRestart restart; /* of the active version */
} AshMachineWorld;

typedef enum {
	/* of the workload */
	ASH_MACHINE_EVENT_BOOT,      /* the daemon begins; boot_id, alive */
	ASH_MACHINE_EVENT_DEFINED,   /* ref, without its commit */
	ASH_MACHINE_EVENT_UNDEFINED, /* is_forced: its volumes go too */
	ASH_MACHINE_EVENT_START,
	ASH_MACHINE_EVENT_STOP,
	ASH_MACHINE_EVENT_RESTART,
	ASH_MACHINE_EVENT_STAGED,       /* text: commit */
	ASH_MACHINE_EVENT_STAGE_FAILED, /* text; is_forced: trying again is of no use */
	ASH_MACHINE_EVENT_VERDICT,      /* is_good, text */
	/* of an instance */
	ASH_MACHINE_EVENT_GO,
	ASH_MACHINE_EVENT_HELD, /* text */
	ASH_MACHINE_EVENT_READY,
	ASH_MACHINE_EVENT_BROKEN, /* text */
	ASH_MACHINE_EVENT_EXITED, /* is_good: code 0; is_forced: it never began and never will; text */
	ASH_MACHINE_EVENT_TIMER, /* until_us has come */
	ASH_MACHINE_EVENT_AGAIN, /* somebody wants it stopped and started, with nothing against it */
} AshMachineEventKind;

typedef struct {
	AshMachineEventKind kind;
	guint instance; /* its index, from 0 */
	bool is_good, is_forced;
	const char *text;
	const AshMachineRef *ref;
	const char *boot_id;
	const bool *alive; /* for each instance that the machine has */
} AshMachineEvent;

/* For the history and the signal Event: what happened in a step. */
typedef struct {
	const char *event; /* static: "defined", "fetching", "staged", "starting", "ready", "crashed", "failed",
	                      "trial", "updated", "rolled-back", "stopping", "stopped", "removed", … */
	int instance; /* -1: the whole workload */
	char *version, *text;
} AshMachineNote;
void ash_machine_note_free(AshMachineNote *note);

/* ash_machine_step:
 * @notes: AshMachineNote are added
 *
 * Afterwards @machine is to be saved, then the actions of its states performed. A failure leaves @machine
 * as it was. DEFINED of what is current, or already the target, changes nothing; of what is in `failed` it is
 * ASH_MACHINE_ERROR_BAD; while one version takes the place of another it is ASH_MACHINE_ERROR_WRONG_STATE and
 * to be said again later.
 */
gboolean ash_machine_step(AshMachine *machine, const AshMachineWorld *world,
		const AshMachineEvent *event, GPtrArray *notes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The instant (CLOCK_BOOTTIME) at which a TIMER, or staging again, is due; INT64_MAX: never. */
int64_t ash_machine_next_us(const AshMachine *machine);

/* TRUE if something was forgiven. @what: version, digest or "all". */
bool ash_machine_forgive(AshMachine *machine, const char *what);

/* ---- as JSON, for agent/workload/state.h ---- */

void ash_machine_add_json(const AshMachine *machine, JsonBuilder *builder);
gboolean ash_machine_read_json(JsonObject *object, AshMachine **out_machine, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
