/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "agent/bus.h"

/* What the files agent/bus*.c share; nobody else includes this. */

struct AshBus {
	sd_event *event;
	sd_bus *bus; /* NULL until connected */
	sd_event_source *timer, *clock;
	AshBusTimer on_timer, on_clock;
	gpointer timer_data, clock_data;
	GPtrArray *children; /* AshBusChild that run */
	/* the server */
	AshBusMethod method;
	char *(*get_property)(const char *name, gpointer data);
	gpointer server_data;
	/* the client */
	GPtrArray *watches; /* AshBusWatch */
	char *owner;        /* unique name of the server; NULL: not running */
	/* systemd */
	GPtrArray *units; /* AshBusRun that run */
	bool is_subscribed;
};

/* For g_ptr_array_set_free_func: kills and reaps, without a callback. */
void ash_bus_child_free(gpointer child);
void ash_bus_watch_free(gpointer watch);
void ash_bus_run_free(gpointer run);

/* Once; later calls do nothing. */
gboolean ash_bus_ensure_connected(AshBus *bus, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* FALSE, always: "FORMAT: strerror(-result)", as ASH_BUS_ERROR_FAILED. */
gboolean ash_bus_throw(GError **error, int result, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* FALSE, always: what @remote says, by the table of names; @result, a negative errno, if it says
 * nothing.
 */
gboolean ash_bus_throw_remote(GError **error, const sd_bus_error *remote, int result);
/* The name that goes over the bus for @error. */
const char *ash_bus_error_name(const GError *error);

/* @text is valid UTF-8 and at most @max_bytes long; else a copy that is. */
char *ash_bus_clean(const char *text, size_t max_bytes);
/* Does @method answer with a text? */
bool ash_bus_has_answer(const char *method);

/* A property of a transient unit, by systemd.exec(5) and its like. */
typedef struct {
	const char *name;
	char type;        /* b, i, t, s */
	uint64_t number;  /* b, i, t */
	const char *text; /* s */
} AshBusSetting;
/* "(sv)" of it, and of ExecStartEx, into the open array of properties; 0 or more, or a negative errno. */
int ash_bus_append_setting(sd_bus_message *message, const AshBusSetting *setting);
int ash_bus_append_command(sd_bus_message *message, const char *const *argv);

/* sd-bus has cleanup functions of its own form; these are GLib's. */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sd_bus_message, sd_bus_message_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sd_bus_creds, sd_bus_creds_unref)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(sd_bus_error, sd_bus_error_free)
