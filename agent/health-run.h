/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/bus.h"
#include "agent/health.h"

/* Runs a check as a transient unit of its own, ashlar-check-NAME.service, which cannot hurt: limits on
 * memory, tasks and time, no writable path, no privilege. `command` is run as a user that exists only for
 * it; kinds other than `unit` and `command` are done by /usr/lib/ashlar/ashlar-check KIND ARGUMENT…;
 * `file` and `space` of these as root with no capability but to look everywhere, and without network;
 * `unit` asks systemd. agent/bus-unit.c has the lists of properties.
 *
 * What a check prints reaches people as one line (ash_health_clean_text).
 */
typedef void (*AshHealthDone)(const char *name, bool is_passing, const char *text, gpointer data);

/* Calls @done once, for some checks before this returns; so ash_health_started comes first. On failure
 * it is not called: the caller reports a failing result with the error's message. @check need not live
 * longer than the call, so a health may be freed while checks run.
 */
gboolean ash_health_run(AshBus *bus, const AshHealthCheck *check, AshHealthDone done, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- PURE ---- */

/* The argv of the unit. NULL for `unit`, and for a check with an `error`. */
char **ash_health_argv(const AshHealthCheck *check);

/* When systemd ends the unit: ashlar-check ends by itself before that, and says of what. */
uint64_t ash_health_unit_timeout_us(const AshHealthCheck *check);

/* What it means that the unit ended so (see AshBusUnitDone); @output: @size bytes of its stdout. */
bool ash_health_judge(const AshHealthCheck *check, const char *result, int status,
		const char *output, size_t size, char **out_text);
