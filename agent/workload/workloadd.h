/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/bus-workload.h"
#include "agent/health.h"
#include "agent/workload/image.h"
#include "agent/workload/net.h"
#include "agent/workload/routes.h"
#include "agent/workload/state.h"
#include "agent/workload/store.h"
#include "agent/workload/supervise.h"

/* ashlar-workloadd: performs what the machines (agent/workload/machine.h) decide. Everything happens on the loop of
 * agent/bus.h, one thing at a time: an event becomes a step, the step is saved, then ash_workloadd_settle()
 * looks at every workload and does what its state asks for, until nothing is left to be done. So what was
 * begun before the daemon ended is begun again by the same code.
 */

#define ASH_WORKLOADD_ERROR (ash_workloadd_error_quark())
GQuark ash_workloadd_error_quark(void);

typedef enum {
	ASH_WORKLOADD_ERROR_NOT_FOUND,
	ASH_WORKLOADD_ERROR_HELD,  /* something that it needs is not there; it may come */
	ASH_WORKLOADD_ERROR_IMAGE, /* and no other try does better */
	ASH_WORKLOADD_ERROR_FULL,  /* the host is too small for it */
} AshWorkloaddError;

/* Directories of an instance, below the root. */
#define ASH_WORKLOADD_RUN "/run/ashlar/workload"       /* /INSTANCE: launch.h's DIR */
#define ASH_WORKLOADD_VOLUMES "/var/lib/ashlar/volume" /* /INSTANCE/VOLUME.img */
#define ASH_WORKLOADD_MOUNTS "/run/ashlar/volume"      /* /INSTANCE/VOLUME */
#define ASH_WORKLOADD_SECRETS "/etc/ashlar/secrets"
#define ASH_WORKLOADD_CACHE "/var/cache/ashlar/workload"
/* In DIR: what appears inside as /run/ashlar, with the heartbeat's socket; and what it provides. */
#define ASH_WORKLOADD_CHANNEL "channel"
#define ASH_WORKLOADD_PROVIDED "provide"

typedef struct AshWorkloadd AshWorkloadd;
typedef struct AshUnit AshUnit;

/* One instance, while the daemon runs. */
typedef struct {
	AshUnit *unit;
	guint index;
	char *name, *dir;
	AshSupervise *process; /* NULL: it does not run */
	char *digest;          /* of the version that the process is of */
	AshHealth *health;
	GPtrArray *checks; /* AshUnitCheck that run */
	AshBusFd *heartbeat;
	int news; /* what watches dir; -1 */
	bool has_beat;
	int64_t beat_us, begun_us;
	int64_t kill_us; /* INT64_MAX: not asked to stop */
	bool was_killed;
	char *address;         /* of its link; NULL */
	char *network_problem; /* why it is not in the network; NULL */
	char *routed;          /* ash_run_routes when it was started; NULL */
	/* Of a disposable workload: for one call. */
	char *call;       /* its ID; NULL: an instance like others */
	AshBusFd *caller; /* its end is the end of this */
	bool is_told;     /* whoever calls knows that it runs, or does not */
} AshRun;

/* One workload, while the daemon runs. */
struct AshUnit {
	AshWorkloadd *daemon;
	AshMachine *machine;                    /* borrowed from the state */
	AshDefinition *current, *target;        /* NULL when there is none, or it cannot be read */
	AshImage *image_current, *image_target; /* … of which is staged */
	char *wanted;                           /* digest of the definition that is wanted; NULL */
	char *problem;                          /* of the definition that is wanted; NULL */
	AshBusChild *job;                       /* staging */
	char *job_digest;                       /* of what is staged */
	char *job_verb, *job_result, *job_error;
	uint64_t job_done, job_total;
	bool has_fetched; /* since staging began */
	GPtrArray *runs;  /* AshRun, as many as the machine has instances */
	GPtrArray *calls; /* AshRun, one for each call that a disposable workload serves now */
	int64_t record_until_us; /* without its filter; 0: with it */
};

struct AshWorkloadd {
	const char *root, *libexec;
	bool is_test;
	AshBus *bus;
	char *boot_id;
	AshState *state;
	char *saved;   /* text of state.json */
	char *trouble; /* it cannot be written; NULL */
	int64_t save_again_us;
	GPtrArray *units; /* AshUnit */
	AshRoutes *routes;
	char *routes_problem;  /* NULL */
	char *network;         /* the document applied last */
	char *network_problem; /* why it could not be; NULL */
	GPtrArray *links;      /* AshNetLink; NULL */
	AshBusChild *look;     /* ashlar-net check, or repair */
	bool is_repairing;
	GString *drift;  /* what it says */
	int64_t look_us; /* when to look again */
	AshBusFd *watch;
	int watch_fd, etc_watches[3]; /* -1: the kernel tells nothing */
	char *fingerprint;            /* of the owner's files then */
	int64_t poll_us;
	int64_t reread_us;    /* INT64_MAX: nothing was changed */
	AshBusChild *cleaner; /* image-clean */
	bool must_clean;      /* images that nobody needs may be there */
	bool must_reload;     /* what was refused while a version took the place of another */
	bool is_settling, must_settle;
	char *status;        /* text of status.json */
	AshBusChild *broker; /* NULL: nobody calls anybody */
	char *broker_table;  /* the text that it was told last */
};

gboolean ash_workloadd_new(const char *root, const char *libexec, AshWorkloadd **out_daemon,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_workloadd_free(AshWorkloadd *daemon);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshWorkloadd, ash_workloadd_free)
gboolean ash_workloadd_run(AshWorkloadd *daemon, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* root + @path */
char *ash_workloadd_path(const AshWorkloadd *daemon, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* A step of @unit's machine: saved, told, and looked at. */
gboolean ash_workloadd_step(AshUnit *unit, const AshMachineEvent *event, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The same where an event that comes too late is no error. */
void ash_workloadd_must_step(AshUnit *unit, const AshMachineEvent *event);
bool ash_workloadd_save(AshWorkloadd *daemon);
/* Does what the states ask for, writes the status file, sets the timer. */
void ash_workloadd_settle(AshWorkloadd *daemon);

/* ---- workloadd-unit.c: definitions and what belongs to them ---- */

AshUnit *ash_workloadd_find(const AshWorkloadd *daemon, const char *name); /* NULL */
/* @name may be an instance's; NULL with ASH_WORKLOADD_ERROR_NOT_FOUND. */
gboolean ash_workloadd_get(const AshWorkloadd *daemon, const char *name, AshUnit **out_unit,
		AshRun **out_run, GError **error) G_GNUC_WARN_UNUSED_RESULT;
AshRun *ash_run_new(AshUnit *unit, const char *take_name);
void ash_run_free(AshRun *run);
AshUnit *ash_workloadd_add_unit(AshWorkloadd *daemon, AshMachine *machine);
void ash_unit_free(AshUnit *unit);
/* The definition and image of the version that is to live; NULL. */
const AshDefinition *ash_unit_active(const AshUnit *unit);
const AshImage *ash_unit_image(const AshUnit *unit);
/* Loads what the machine names, has one AshRun for each of its instances. */
void ash_unit_sync(AshUnit *unit);
/* "web", "web@2" */
char *ash_unit_instance(const char *name, guint index);
/* Where the sockets that it requires lead, as a text. */
char *ash_run_routes(const AshRun *run);
/* Reads what is wanted on the host, and tells the machines. */
gboolean ash_workloadd_reload(AshWorkloadd *daemon, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Files of what was removed; then it is forgotten. */
void ash_unit_forget(AshUnit *unit);

/* ---- workloadd-stage.c ---- */

void ash_unit_stage(AshUnit *unit); /* begins, or goes on */
/* Begins to remove images that no version needs, if there may be some and nothing is staged. */
void ash_workloadd_clean_images(AshWorkloadd *daemon);
/* What image-import said of the image of a version; kept beside its definition. */
gboolean ash_workloadd_load_image(const AshWorkloadd *daemon, const char *name, const char *digest,
		AshImage **out_image, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- workloadd-start.c ---- */

/* May @run be started? ASH_WORKLOADD_ERROR_HELD says what is missing. */
gboolean ash_run_check(AshRun *run, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_run_start(AshRun *run, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same for one call; @ended instead of a step of the machine. */
gboolean ash_run_start_call(AshRun *run, AshSuperviseEnded ended, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Whose volumes @run has. */
AshRun *ash_run_volumes(AshRun *run);
gboolean ash_run_adopt(AshRun *run, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- workloadd-network.c ---- */

/* Could @run join the network now, beside those that are in it? ASH_WORKLOADD_ERROR_HELD: its provider does not run
 * yet, or the bridge is not there; ASH_NET_ERROR: it cannot be, whoever waits.
 */
gboolean ash_run_check_network(AshRun *run, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same of a definition that is to take the place of the one of its name: ASH_NET_ERROR. */
gboolean ash_workloadd_check_network(AshWorkloadd *daemon, const AshWorkload *workload,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Makes the network of all that live, with @joining (NULL: nobody) that is about to be started. Who cannot be in it
 * (its provider is gone) is left out and has its network_problem; it fails when that is @joining, and where
 * nothing could be changed.
 */
gboolean ash_workloadd_apply_network(AshWorkloadd *daemon, AshRun *joining, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Looks, when it is time, whether others changed the network, and puts it back. Nothing is looked at while nobody
 * has one.
 */
void ash_workloadd_look_at_network(AshWorkloadd *daemon);
int64_t ash_workloadd_next_look_us(const AshWorkloadd *daemon); /* INT64_MAX: none */

/* ---- workloadd-watch.c ---- */

/* What the owner changes in /etc/ashlar counts a moment later, without being told: routes.yaml, parameters.d, and
 * secrets that somebody waits for. Definitions count when they are run.
 */
gboolean ash_workloadd_watch(AshWorkloadd *daemon, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Hears what the launcher writes into its directory; before it starts. */
gboolean ash_run_listen(AshRun *run, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_run_unlisten(AshRun *run);
int64_t ash_run_next_news_us(const AshRun *run); /* when to look; INT64_MAX: it is heard */
int64_t ash_workloadd_next_reread_us(const AshWorkloadd *daemon);
void ash_workloadd_reread(AshWorkloadd *daemon); /* when it is time */

/* ---- workloadd-broker.c ---- */

/* Tells the broker who there is; it runs while an instance lives that may call. */
gboolean ash_workloadd_match_broker(AshWorkloadd *daemon, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Its socket is there before @run starts; its directory is. */
gboolean ash_run_wait_for_broker(const AshRun *run, const AshWorkload *workload, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- workloadd-disposable.c: an instance for each call ---- */

enum {
	ASH_WORKLOADD_MAX_CALLS = 16, /* of one workload at once */
};

/* A question: has the version that is to live no instance of its own, but one for each call? */
bool ash_unit_is_disposable(const AshUnit *unit);
/* Its instance has no process. Volumes are mounted as long as it lives. */
void ash_unit_act_disposable(AshUnit *unit);
/* What the broker says. */
void ash_workloadd_take_line(AshWorkloadd *daemon, const char *line);
/* Those that have begun are told of, those that take too long end. */
void ash_unit_look_at_calls(AshUnit *unit);
int64_t ash_unit_next_call_us(const AshUnit *unit);
/* Ends what calls of an earlier daemon have left, before anything else begins. */
void ash_workloadd_sweep_calls(AshWorkloadd *daemon);
/* Without waiting for it. */
void ash_unit_end_calls(AshUnit *unit);

/* ---- workloadd-capacity.c ---- */

/* Would the host hold all that lives and @definition too (instead of its other version)? ASH_WORKLOADD_ERROR_FULL
 * with figures. @instances: how many of it count.
 */
gboolean ash_workloadd_fits(AshWorkloadd *daemon, const AshWorkload *workload, unsigned instances,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- workloadd-volume.c ---- */

/* Makes, checks, grows and mounts the volumes of @run. @uid, @gid: who owns a new one. */
gboolean ash_run_mount(AshRun *run, const AshWorkload *workload, uint32_t uid, uint32_t gid,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_run_unmount(AshRun *run); /* best effort */
gboolean ash_workloadd_remove_volumes(AshWorkloadd *daemon, const char *name, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Can the disk hold what the volumes of @workload are to be, beside those that are there? */
gboolean ash_workloadd_has_room(const AshWorkloadd *daemon, const AshWorkload *workload,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What a volume holds: it has grown with its definitions, and never shrinks. 0: it is not there */
uint64_t ash_workloadd_volume_bytes(
		const AshWorkloadd *daemon, const char *instance, const char *volume);
/* A question: has @instance a volume? */
bool ash_workloadd_has_volumes(const AshWorkloadd *daemon, const char *instance);
/* Virtual machines get the file itself. */
bool ash_workload_is_vm(const AshWorkload *workload);

/* ---- workloadd-health.c ---- */

void ash_run_watch(AshRun *run); /* begins: health and heartbeat */
void ash_run_unwatch(AshRun *run);
void ash_run_look(AshRun *run);     /* runs what is due; steps when something has to be said */
void ash_unit_judge(AshUnit *unit); /* a trial's verdict */
int64_t ash_run_next_us(const AshRun *run);
/* The socket is there before it starts. */
gboolean ash_run_open_heartbeat(AshRun *run, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- workloadd-tell.c ---- */

void ash_workloadd_add_workload(
		const AshUnit *unit, JsonBuilder *builder); /* of api.h, all of it */
char *ash_workloadd_list(const AshWorkloadd *daemon);
char *ash_workloadd_status(const AshUnit *unit);
char *ash_workloadd_graph(const AshWorkloadd *daemon);
char *ash_workloadd_report(const AshUnit *unit);
char *ash_workloadd_diff(const AshWorkload *from, const AshWorkload *to);
/* Replaces ASH_WORKLOAD_STATUS_FILE if something changed. */
void ash_workloadd_write_status(AshWorkloadd *daemon);

/* ---- workloadd-want.c ---- */

/* The method Want of agent/workload/api.h. */
gboolean ash_workloadd_want(AshWorkloadd *daemon, JsonObject *request, char **out_json,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- workloadd-call.c ---- */

gboolean ash_workloadd_call(const AshBusCall *call, gpointer data, char **out_json, GError **error);
