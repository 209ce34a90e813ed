/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* D-Bus and the event loop, by libsystemd (sd-bus, sd-event): agent/bus*.c alone may include it. Why
 * not GDBus: docs/decisions/0006.
 *
 * One loop per process, run once. Callbacks run on it, one at a time; a callback may call anything
 * here but ash_bus_free. The bus is the system bus, or what DBUS_SYSTEM_BUS_ADDRESS names. When the
 * connection breaks ash_bus_run fails: systemd starts the process again, which is simpler than to
 * connect again, and what is needed is on disk.
 *
 * What others send has a maximum (below). What is above it is refused, as a value of a property it
 * is dropped. Control characters in what another says in an error become '?'.
 */

#define ASH_BUS_ERROR (ash_bus_error_quark())
GQuark ash_bus_error_quark(void);

typedef enum {
	ASH_BUS_ERROR_FAILED,
	ASH_BUS_ERROR_REMOTE,           /* the other side failed: its text, or "NAME: text" */
	ASH_BUS_ERROR_NOT_RUNNING,      /* nobody has the name, or there is no bus */
	ASH_BUS_ERROR_DENIED,           /* org.freedesktop.DBus.Error.AccessDenied */
	ASH_BUS_ERROR_WRONG_STATE,      /* org.ashlar.Host1.Error.WrongState */
	ASH_BUS_ERROR_INVALID_ARGUMENT, /* org.ashlar.Host1.Error.InvalidArgument */
	ASH_BUS_ERROR_NOT_FOUND,        /* org.ashlar.Host1.Error.NotFound */
} AshBusError;

enum {
	ASH_BUS_MAX_TEXT_BYTES = 64 << 10,  /* arguments, events, texts of errors */
	ASH_BUS_MAX_ANSWER_BYTES = 2 << 20, /* answers, properties, the result of an order */
	ASH_BUS_MAX_PATH_BYTES = 4095,
	ASH_BUS_MAX_HISTORY = 10000,     /* GetHistory's limit */
	ASH_BUS_MAX_OUTPUT_BYTES = 1024, /* of a unit: its first line */
	ASH_BUS_CALL_TIMEOUT_S = 25,
};

#define ASH_BUS_NAME "org.ashlar.Host1"
#define ASH_BUS_PATH "/org/ashlar/Host1"
#define ASH_BUS_INTERFACE "org.ashlar.Host1"

/* @text as valid UTF-8 of at most @max_bytes, '?' for each control character: what comes from elsewhere
 * and goes to a terminal or a log.
 */
char *ash_bus_printable(const char *text, size_t max_bytes);

typedef struct AshBus AshBus;

/* ---- the loop ---- */

gboolean ash_bus_new(AshBus **out_bus, GError **error) G_GNUC_WARN_UNUSED_RESULT; /* loop only */
void ash_bus_free(AshBus *bus);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshBus, ash_bus_free)
/* Until ash_bus_quit, SIGTERM or SIGINT; tells systemd READY=1, and WATCHDOG=1 by itself when the unit
 * has a watchdog (without one nothing wakes up for it).
 */
gboolean ash_bus_run(AshBus *bus, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_bus_quit(AshBus *bus);
int64_t ash_bus_now_us(void); /* CLOCK_BOOTTIME */

/* The one timer: @callback once, not before @at_us (CLOCK_BOOTTIME; INT64_MAX: never) and about a second
 * after it at the latest, so that the kernel can do several things in one wake-up. Setting it again
 * moves it. A suspended machine is not woken.
 */
typedef void (*AshBusTimer)(gpointer data);
gboolean ash_bus_set_timer(AshBus *bus, int64_t at_us, AshBusTimer callback, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Calls back when the wall clock is set (TFD_TIMER_CANCEL_ON_SET). */
gboolean ash_bus_watch_clock(AshBus *bus, AshBusTimer callback, gpointer data, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* A child process: @input (NULL: nothing) on its stdin, each line of its stdout to @on_line, then
 * @on_exit once with the wait status. argv[0] is absolute, the environment PATH, LC_ALL, HOME, TZ and
 * nothing else; its stderr is ours. It has a process group of its own, which is killed when it ends,
 * and it is killed with us. A line longer than @max_line_bytes, or with a NUL in it, kills it. No lines
 * come any more after it was killed.
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
	uint64_t id;        /* OrderDone, OrderProgress; FleetAnswer: the serial */
	uint64_t done, total;
	uint32_t uid; /* of the caller; may call this method, see ash_bus_may_call */
} AshBusCall;

/* A question, PURE: is @uid one who may call @method? @link_uid: the user ashlar-link. Everybody what
 * only reads, root everything, ashlar-link OrderDone, OrderProgress, FleetReport and FleetAnswer. data/org.ashlar.Host1.conf says
 * the same, so that others do not even get through to us.
 */
bool ash_bus_may_call(const char *method, uint32_t uid, uint32_t link_uid);

/* PURE: is @text what @method takes (ASH_BUS_ERROR_INVALID_ARGUMENT)? Versions and commits are 1 to 64 of
 * [A-Za-z0-9.+~-] and begin with a digit or letter; a path is absolute, without "..". The server checks
 * every call with it before AshBusMethod sees it.
 */
gboolean ash_bus_argument_check(const char *method, const char *text, size_t size, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Answers a method: sets *out_json (taken; NULL: empty answer), or fails. Codes of ASH_BUS_ERROR become
 * the names beside them above, everything else org.ashlar.Host1.Error.Failed.
 */
typedef gboolean (*AshBusMethod)(
		const AshBusCall *call, gpointer data, char **out_json, GError **error);
/* Connects, takes the name and serves; @get_property for State, Order and Fleet, a string each. */
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
gboolean ash_bus_call_fleet_answer(AshBus *bus, uint64_t serial, const char *result, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_bus_call_order_progress(AshBus *bus, uint64_t id, uint64_t done, uint64_t total,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_bus_get_property(AshBus *bus, const char *property, char **out_value, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Calls back with each new value of @property, and with NULL when the server goes away; "" when it
 * (re)appears, upon which the caller reads again. Only what the owner of the name sends counts:
 * anybody can send a signal that looks like it.
 */
typedef void (*AshBusProperty)(const char *value, gpointer data);
gboolean ash_bus_watch(AshBus *bus, const char *property, AshBusProperty callback, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same for the signal Event: each event's JSON, NULL, "". */
gboolean ash_bus_watch_events(AshBus *bus, AshBusProperty callback, gpointer data, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* A question: have messages come whose callbacks did not run yet? After a call: what was sent before
 * its answer, and will be seen after it.
 */
bool ash_bus_has_pending(AshBus *bus);

/* ---- systemd ---- */

typedef struct {
	const char *unit;        /* "ashlar-check-web.service" */
	const char *const *argv; /* absolute argv[0] */
	uint64_t timeout_us;     /* RuntimeMaxSec */
	bool is_sandboxed;       /* agent/bus-unit.c has the list of properties */
	bool is_look; /* with it: no user of its own and no network, but every path can be looked at */
} AshBusUnit;

/* @result: "success", "exit-code", "signal", "timeout", "oom-kill", …; @status: the exit status of its main
 * process (or the signal's number); @output: the first line of its stdout, printable UTF-8, cut at
 * ASH_BUS_MAX_OUTPUT_BYTES, "" for none. Its stderr goes to the journal.
 */
typedef void (*AshBusUnitDone)(const char *result, int status, const char *output, gpointer data);
/* Starts a transient service and calls back when it has ended, which it does by timeout_us at the
 * latest, systemd answering or not. A unit of this name that still runs (from before we were
 * restarted) is stopped, and the call fails; the next one goes well.
 */
gboolean ash_bus_start_unit(AshBus *bus, const AshBusUnit *unit, AshBusUnitDone done, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* ActiveState and SubState of @unit, e.g. "active", "running"; a unit that does not exist is "inactive",
 * "dead".
 */
gboolean ash_bus_unit_state(AshBus *bus, const char *unit, char **out_active, char **out_sub,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_bus_stop_unit(AshBus *bus, const char *unit, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* An orderly one, as 'systemctl reboot'; returns when it has begun. */
gboolean ash_bus_reboot(AshBus *bus, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* STATUS= for systemctl. */
void ash_bus_status(const char *text);
