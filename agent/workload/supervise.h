/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "agent/bus-service.h"
#include "agent/workload/launch.h"

/* The process that runs one instance: ashlar-launch, as the transient service ashlar-w-INSTANCE.service of
 * systemd, or, for tests (--root), as a process of its own that outlives the daemon as a service does. Its
 * directory (agent/workload/launch.h) says how it goes; "launcher" in it, with --root, who it is.
 */

typedef struct {
	AshBus *bus;
	const char *root;    /* "": systemd */
	const char *libexec; /* where ashlar-launch is */
} AshSuperviseHost;

typedef struct AshSupervise AshSupervise;

/* How an instance ended. */
typedef struct {
	bool is_good;    /* code 0 */
	bool is_refused; /* it never began, and trying again is of no use */
	char *text;      /* "ended with code 3" */
} AshSuperviseEnd;
void ash_supervise_end_clear(AshSuperviseEnd *end);

/* Called once, on the loop; the supervise may be freed in it. */
typedef void (*AshSuperviseEnded)(const AshSuperviseEnd *end, gpointer data);

/* "ashlar-w-web@2.service" is "ashlar-w-web-2.service": in systemd's names '@' has a meaning. */
char *ash_supervise_unit(const char *instance);

/* @launch is written to its directory, which is made anew; it is started. */
gboolean ash_supervise_start(const AshSuperviseHost *host, const AshLaunch *launch,
		AshSuperviseEnded ended, gpointer data, AshSupervise **out_supervise,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* One that runs from before the daemon began; *out_supervise is NULL when it does not. @dir: its directory */
gboolean ash_supervise_adopt(const AshSuperviseHost *host, const char *instance, const char *dir,
		AshSuperviseEnded ended, gpointer data, AshSupervise **out_supervise,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* How the one that ran in @dir ended, by what it wrote. */
void ash_supervise_read_end(const char *dir, AshSuperviseEnd *out_end);
/* The class it really runs in, NULL before it says so; the first process, 0 before. */
char *ash_supervise_effective(const char *dir);
pid_t ash_supervise_pid(const char *dir);

void ash_supervise_stop(AshSupervise *supervise); /* SIGTERM to the launcher, which passes it on */
void ash_supervise_kill(AshSupervise *supervise); /* all of it, at once */
void ash_supervise_free(AshSupervise *supervise); /* it goes on */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshSupervise, ash_supervise_free)

/* With --root what it prints is in DIR of this; the older part goes. */
#define ASH_SUPERVISE_LOGS "/var/log/ashlar"
enum {
	ASH_SUPERVISE_MAX_LOG_BYTES = 4 << 20,
	ASH_SUPERVISE_STOP_MS = 10000, /* between SIGTERM and SIGKILL */
};
/* Halves the log of @instance if it is too long; best effort. */
void ash_supervise_trim_log(const char *root, const char *instance);
