/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/bus.h"

/* Services of systemd that go on, in contrast to agent/bus.h's units, which end; and descriptors that are
 * looked at by the loop.
 */

typedef struct {
	const char *unit, *description; /* "ashlar-w-web.service" */
	const char *slice;              /* "ashlar.slice" */
	const char *user;               /* NULL: root */
	const char *const *argv;        /* absolute argv[0] */
	uint64_t memory_bytes;          /* MemoryMax, swap is not allowed; 0: no limit */
	uint64_t tasks;                 /* TasksMax; 0: systemd's own */
	uint32_t cpu_milli;             /* CPUQuota; 0: no limit */
	uint64_t io_weight;             /* IOWeight, 1 to 10000; 0: systemd's own */
	const char *const
			*devices; /* read and written; NULL: DevicePolicy=closed and nothing else */
	bool is_delegated;        /* it makes control groups of its own below its */
	uint32_t stop_timeout_ms; /* between SIGTERM and SIGKILL */
} AshBusService;

/* Starts a transient service, whose output goes to the journal. One of its name that still runs is an
 * error.
 */
gboolean ash_bus_service_start(AshBus *bus, const AshBusService *service, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* A question: does it run, or is it about to? */
gboolean ash_bus_service_runs(AshBus *bus, const char *unit, bool *out_runs, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Begins to end it: SIGTERM, then SIGKILL. One that is not there is fine. */
gboolean ash_bus_service_stop(AshBus *bus, const char *unit, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* SIGKILL to all of it, now. */
gboolean ash_bus_service_kill(AshBus *bus, const char *unit, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Calls @ended once, on the loop, when the unit is over; also when it was before, but never before this
 * returns. Freed by the caller, in the callback too.
 */
typedef struct AshBusServiceWatch AshBusServiceWatch;
typedef void (*AshBusServiceEnded)(gpointer data);
gboolean ash_bus_service_watch(AshBus *bus, const char *unit, AshBusServiceEnded ended,
		gpointer data, AshBusServiceWatch **out_watch, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_bus_service_watch_free(AshBusServiceWatch *watch);

/* @fd is owned from here on; @ready whenever it can be read. Freed by the caller, in the callback too. */
typedef struct AshBusFd AshBusFd;
typedef void (*AshBusFdReady)(int fd, gpointer data);
gboolean ash_bus_fd_new(AshBus *bus, int take_fd, AshBusFdReady ready, gpointer data,
		AshBusFd **out_fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_bus_fd_free(AshBusFd *fd);
