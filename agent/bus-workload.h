/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/bus.h"

/* org.ashlar.Workload1: what ashlar-workloadd offers, and how it is asked. Each method takes one string and
 * answers with one, both JSON objects ("" counts as {}); the signals Event and Changed have one. Errors have the names of
 * org.ashlar.Host1's. agent/workload/api.h says what is in the JSON.
 */

#define ASH_BUS_WORKLOAD_NAME "org.ashlar.Workload1"
#define ASH_BUS_WORKLOAD_PATH "/org/ashlar/Workload1"
#define ASH_BUS_WORKLOAD_INTERFACE "org.ashlar.Workload1"

enum {
	ASH_BUS_WORKLOAD_MAX_BYTES = 1 << 20, /* of what is asked: a definition with its quotes */
	ASH_BUS_WORKLOAD_TIMEOUT_S = 120,     /* of a call: volumes are made, networks changed */
};

/* A question, PURE: is there such a method, and may @uid call it? What only reads is for everybody, the rest
 * is root's. data/org.ashlar.Workload1.conf says the same.
 */
bool ash_bus_workload_may_call(const char *method, uint32_t uid);

/* Connects, takes the name and serves. call->method, ->text and ->uid are set. */
gboolean ash_bus_workload_serve(AshBus *bus, AshBusMethod method, gpointer data, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_bus_workload_emit(AshBus *bus, const char *json); /* signal Event */
void ash_bus_workload_changed(AshBus *bus); /* signal Changed: the status file is another */

/* Waits for the answer; the daemon is started by the bus when it does not run. @text NULL: {} */
gboolean ash_bus_workload_call(AshBus *bus, const char *method, const char *text, char **out_json,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same without waiting for it. @done comes once, on the loop, never before this returns: @json is the answer, or
 * NULL and @error says why there is none. It does not come when @bus is freed before.
 */
typedef void (*AshBusWorkloadDone)(const char *json, const GError *error, gpointer data);
gboolean ash_bus_workload_ask(AshBus *bus, const char *method, const char *text,
		AshBusWorkloadDone done, gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Calls back at each signal Changed. Starts nobody. Who is told falsely reads a file for nothing. */
typedef void (*AshBusWorkloadChanged)(gpointer data);
gboolean ash_bus_workload_watch(AshBus *bus, AshBusWorkloadChanged changed, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
