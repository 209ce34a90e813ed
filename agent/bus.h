/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* D-Bus and the event loop, by libsystemd (sd-bus, sd-event): the one file of this room that may
 * include it. GDBus would bring a thread and three megabytes to a process that sleeps
 * (docs/decisions/0006).
 *
 * One loop per process. Callbacks run on it, one at a time. The bus is the system bus, or what
 * DBUS_SYSTEM_BUS_ADDRESS names.
 */

#define ASH_BUS_ERROR (ash_bus_error_quark())
GQuark ash_bus_error_quark(void);

typedef enum {
	ASH_BUS_ERROR_FAILED,
	ASH_BUS_ERROR_REMOTE,       /* the other side answered with an error: "NAME: text" */
	ASH_BUS_ERROR_NOT_RUNNING,  /* nobody has the name */
	ASH_BUS_ERROR_DENIED,
	ASH_BUS_ERROR_WRONG_STATE,  /* org.ashlar.Host1.Error.WrongState */
} AshBusError;

#define ASH_BUS_NAME "org.ashlar.Host1"
#define ASH_BUS_PATH "/org/ashlar/Host1"
#define ASH_BUS_INTERFACE "org.ashlar.Host1"

typedef struct AshBus AshBus;

/* ---- the loop ---- */

gboolean ash_bus_new(AshBus **out_bus, GError **error) G_GNUC_WARN_UNUSED_RESULT; /* loop only */
void ash_bus_free(AshBus *bus);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshBus, ash_bus_free)
/* Until ash_bus_quit, SIGTERM or SIGINT; tells systemd READY=1, WATCHDOG=1 by itself. */
gboolean ash_bus_run(AshBus *bus, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_bus_quit(AshBus *bus);
int64_t ash_bus_now_us(void); /* CLOCK_BOOTTIME */

/* The one timer: @callback once at @at_us (CLOCK_BOOTTIME; INT64_MAX: never); wakes a sleeping
 * machine's process only then. Setting it again moves it.
 */
typedef void (*AshBusTimer)(gpointer data);
gboolean ash_bus_set_timer(AshBus *bus, int64_t at_us, AshBusTimer callback, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Calls back when the wall clock is set (TFD_TIMER_CANCEL_ON_SET). */
gboolean ash_bus_watch_clock(AshBus *bus, AshBusTimer callback, gpointer data, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* A child process: @input on its stdin, each line of its stdout to @on_line, then @on_exit once with
 * the wait status. Its stderr is ours. Killed with us. @max_line_bytes: a longer line kills it.
 */
typedef struct AshBusChild AshBusChild;
typedef void (*AshBusLine)(const char *line, gpointer data);
typedef void (*AshBusExit)(int wait_status, gpointer data);
gboolean ash_bus_spawn(AshBus *bus, const char *const *argv, const char *input,
		size_t max_line_bytes, AshBusLine on_line, AshBusExit on_exit, gpointer data,
		AshBusChild **out_child, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_bus_child_kill(AshBusChild *child); /* on_exit still comes; the child is freed after it */

/* ---- the server: org.ashlar.Host1 ---- */

typedef struct {
	const char *method; /* "Check" */
	const char *text;   /* its string argument, "" for none */
	uint64_t id;        /* OrderDone, OrderProgress */
	uint64_t done, total;
	uint32_t uid;       /* of the caller */
} AshBusCall;

/* Answers a method: sets *out_json (taken; NULL: empty answer), or fails: ASH_BUS_ERROR_WRONG_STATE and
 * others become org.ashlar.Host1.Error.*.
 */
typedef gboolean (*AshBusMethod)(const AshBusCall *call, gpointer data, char **out_json,
		GError **error);
/* Connects, takes the name and serves; @get_property for State and Order, a string each. */
gboolean ash_bus_serve(AshBus *bus, AshBusMethod method,
		char *(*get_property)(const char *name, gpointer data), gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_bus_changed(AshBus *bus, const char *property); /* PropertiesChanged */
void ash_bus_emit_event(AshBus *bus, const char *json);  /* signal Event */

/* ---- the client ---- */

/* Connects without taking a name. */
gboolean ash_bus_connect(AshBus *bus, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Waits for the answer. @text NULL: no argument. @out_json "" when the answer is empty. */
gboolean ash_bus_call(AshBus *bus, const char *method, const char *text, char **out_json,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_bus_call_order_done(AshBus *bus, uint64_t id, const char *result, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_bus_call_order_progress(AshBus *bus, uint64_t id, uint64_t done, uint64_t total,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_bus_get_property(AshBus *bus, const char *property, char **out_value, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Calls back with each new value of @property, and with NULL when the server goes away; "" when it
 * (re)appears, upon which the caller reads again.
 */
typedef void (*AshBusProperty)(const char *value, gpointer data);
gboolean ash_bus_watch(AshBus *bus, const char *property, AshBusProperty callback, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- systemd ---- */

typedef struct {
	const char *unit;          /* "ashlar-check-web.service" */
	const char *const *argv;   /* absolute argv[0] */
	uint64_t timeout_us;       /* RuntimeMaxSec */
	bool is_sandboxed;         /* agent/bus.c has the list of properties */
} AshBusUnit;

/* result: "success", "exit-code", "timeout", …; status: its main process's exit status; output: "" */
typedef void (*AshBusUnitDone)(const char *result, int status, gpointer data);
/* Starts a transient service and calls back when it has ended. */
gboolean ash_bus_start_unit(AshBus *bus, const AshBusUnit *unit, AshBusUnitDone done, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* ActiveState and SubState of @unit, e.g. "active", "running"; a unit that does not exist is "inactive",
 * "dead".
 */
gboolean ash_bus_unit_state(AshBus *bus, const char *unit, char **out_active, char **out_sub,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_bus_stop_unit(AshBus *bus, const char *unit, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_bus_reboot(AshBus *bus, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* STATUS= for systemctl. */
void ash_bus_status(const char *text);
