/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/bus.h"
#include "agent/health.h"

/* Runs a check as a transient unit of its own: ashlar-check-NAME.service, an unprivileged user made for
 * it, no writable path, limits on memory, tasks and time, so that a check cannot hurt. Kinds other than
 * `unit` and `command` are done by /usr/lib/ashlar/ashlar-check KIND ARGUMENT…; `unit` asks systemd.
 */
typedef void (*AshHealthDone)(const char *name, bool is_passing, const char *text, gpointer data);

gboolean ash_health_run(AshBus *bus, const AshHealthCheck *check, AshHealthDone done, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The argv of the unit; PURE. NULL for `unit`. */
char **ash_health_argv(const AshHealthCheck *check);
