/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bus.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/timerfd.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "agent/bus-private.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/interrupt.h"

G_DEFINE_QUARK(ash_bus_error, ash_bus_error)

enum {
	TIMER_ACCURACY_US = 1000 * 1000,
};

#define DBUS_ERROR "org.freedesktop.DBus.Error."
#define OUR_ERROR ASH_BUS_NAME ".Error."

/* Of several rows for a code the first is what is sent. */
static const struct {
	const char *name;
	AshBusError code;
} error_names[] = {
		{OUR_ERROR "Failed", ASH_BUS_ERROR_REMOTE},
		{OUR_ERROR "Failed", ASH_BUS_ERROR_FAILED},
		{OUR_ERROR "WrongState", ASH_BUS_ERROR_WRONG_STATE},
		{OUR_ERROR "InvalidArgument", ASH_BUS_ERROR_INVALID_ARGUMENT},
		{OUR_ERROR "NotFound", ASH_BUS_ERROR_NOT_FOUND},
		{DBUS_ERROR "AccessDenied", ASH_BUS_ERROR_DENIED},
		{DBUS_ERROR "InteractiveAuthorizationRequired", ASH_BUS_ERROR_DENIED},
		{DBUS_ERROR "ServiceUnknown", ASH_BUS_ERROR_NOT_RUNNING},
		{DBUS_ERROR "NameHasNoOwner", ASH_BUS_ERROR_NOT_RUNNING},
		{DBUS_ERROR "NoReply", ASH_BUS_ERROR_NOT_RUNNING}, /* it ended before it answered */
		{DBUS_ERROR "Timeout", ASH_BUS_ERROR_FAILED},
		{DBUS_ERROR "Disconnected", ASH_BUS_ERROR_FAILED},
};

/* ---- errors and texts ---- */

gboolean ash_bus_throw(GError **error, int result, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_FAILED, "%s: %s", text,
			g_strerror(-result));
}

gboolean ash_bus_throw_remote(GError **error, const sd_bus_error *remote, int result)
{
	if (result == -EINTR && !ash_interrupt_check(error))
		return FALSE;
	if (remote->name == NULL)
		return ash_bus_throw(error, result, "asking the bus");
	g_autofree char *text = ash_bus_printable(
			remote->message != NULL ? remote->message : "", ASH_BUS_MAX_TEXT_BYTES);
	for (size_t i = 0; i < G_N_ELEMENTS(error_names); i++)
		if (strcmp(error_names[i].name, remote->name) == 0)
			return ash_throw(error, ASH_BUS_ERROR, (int) error_names[i].code, "%s",
					text);
	return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_REMOTE, "%s: %s", remote->name, text);
}

const char *ash_bus_error_name(const GError *error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(error_names); i++)
		if (g_error_matches(error, ASH_BUS_ERROR, (int) error_names[i].code))
			return error_names[i].name;
	return error_names[0].name;
}

char *ash_bus_clean(const char *text, size_t max_bytes)
{
	char *clean = g_utf8_make_valid(text, (gssize) strnlen(text, max_bytes));
	size_t size = strnlen(clean, max_bytes);

	/* Each broken byte has become three; and not in the middle of a character. */
	while (size > 0 && ((unsigned char) clean[size] & 0xc0) == 0x80)
		size--;
	clean[size] = '\0';
	return clean;
}

char *ash_bus_printable(const char *text, size_t max_bytes)
{
	char *clean = ash_bus_clean(text, max_bytes);

	for (char *c = clean; *c != '\0'; c++) {
		/* U+0080 to U+009F are control characters too: C2 80 to C2 9F. */
		bool is_c1 = (unsigned char) c[0] == 0xc2 && (unsigned char) c[1] < 0xa0;
		if (g_ascii_iscntrl(*c) || is_c1)
			*c = '?';
		if (is_c1)
			*++c = '?';
	}
	return clean;
}

/* ---- the loop ---- */

gboolean ash_bus_new(AshBus **out_bus, GError **error)
{
	g_autoptr(AshBus) bus = g_new0(AshBus, 1);

	bus->children = g_ptr_array_new_with_free_func(ash_bus_child_free);
	bus->watches = g_ptr_array_new_with_free_func(ash_bus_watch_free);
	bus->units = g_ptr_array_new_with_free_func(ash_bus_run_free);
	int r = sd_event_new(&bus->event);
	if (r < 0)
		return ash_bus_throw(error, r, "making an event loop");
	*out_bus = g_steal_pointer(&bus);
	return TRUE;
}

void ash_bus_free(AshBus *bus)
{
	if (bus == NULL)
		return;
	g_clear_pointer(&bus->children, g_ptr_array_unref);
	g_clear_pointer(&bus->units, g_ptr_array_unref);
	g_clear_pointer(&bus->watches, g_ptr_array_unref);
	sd_event_source_disable_unref(bus->timer);
	sd_event_source_disable_unref(bus->clock);
	sd_bus_flush_close_unref(bus->bus);
	sd_event_unref(bus->event);
	g_free(bus->owner);
	g_free(bus);
}

gboolean ash_bus_run(AshBus *bus, GError **error)
{
	static const int signals[] = {SIGTERM, SIGINT};
	sd_event_source *sources[G_N_ELEMENTS(signals)] = {NULL};
	sigset_t blocked, before;
	int r = 0;

	sigemptyset(&blocked);
	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
		sigaddset(&blocked, signals[i]);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	/* Without a callback the loop ends with 0. */
	for (size_t i = 0; i < G_N_ELEMENTS(signals) && r >= 0; i++)
		r = sd_event_add_signal(bus->event, &sources[i], signals[i], NULL, NULL);
	if (r >= 0 && sd_watchdog_enabled(0, NULL) > 0)
		r = sd_event_set_watchdog(bus->event, 1);
	if (r >= 0) {
		sd_notify(0, "READY=1");
		r = sd_event_loop(bus->event);
		sd_notify(0, "STOPPING=1");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
		sd_event_source_disable_unref(sources[i]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return ash_bus_throw(error, r, "the event loop");
	/* sd_bus_set_exit_on_disconnect ends it so. */
	if (r > 0)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_FAILED,
				"the connection to the bus broke");
	return TRUE;
}

void ash_bus_quit(AshBus *bus)
{
	sd_event_exit(bus->event, 0);
}

int64_t ash_bus_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t) now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *data)
{
	AshBus *bus = data;

	bus->on_timer(bus->timer_data);
	return 0;
}

gboolean ash_bus_set_timer(
		AshBus *bus, int64_t at_us, AshBusTimer callback, gpointer data, GError **error)
{
	bool is_never = at_us == INT64_MAX;
	uint64_t at = (uint64_t) MAX(at_us, 0);
	int r = 0;

	bus->on_timer = callback;
	bus->timer_data = data;
	if (bus->timer == NULL)
		r = sd_event_add_time(bus->event, &bus->timer, CLOCK_BOOTTIME, at,
				TIMER_ACCURACY_US, on_timer, bus);
	else
		r = sd_event_source_set_time(bus->timer, at);
	if (r >= 0)
		r = sd_event_source_set_enabled(
				bus->timer, is_never ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
	return r >= 0 ? TRUE : ash_bus_throw(error, r, "setting the timer");
}

/* A timer that never comes, and fails with ECANCELED when somebody sets the clock. */
static int arm_clock(int fd)
{
	const struct itimerspec never = {.it_value.tv_sec = (time_t) (INT64_MAX / G_USEC_PER_SEC)};

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static int on_clock(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	AshBus *bus = data;
	uint64_t count;

	if (read(fd, &count, sizeof count) >= 0 || errno != ECANCELED)
		return 0;
	arm_clock(fd);
	bus->on_clock(bus->clock_data);
	return 0;
}

gboolean ash_bus_watch_clock(AshBus *bus, AshBusTimer callback, gpointer data, GError **error)
{
	g_assert(bus->clock == NULL);
	ash_autofd int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd < 0 || arm_clock(fd) < 0)
		return ash_throw_errno(error, "watching the clock");
	bus->on_clock = callback;
	bus->clock_data = data;
	int r = sd_event_add_io(bus->event, &bus->clock, fd, EPOLLIN, on_clock, bus);
	if (r < 0)
		return ash_bus_throw(error, r, "watching the clock");
	sd_event_source_set_io_fd_own(bus->clock, 1);
	fd = -1;
	return TRUE;
}

/* ---- the connection ---- */

gboolean ash_bus_ensure_connected(AshBus *bus, GError **error)
{
	if (bus->bus != NULL)
		return TRUE;
	int r = sd_bus_open_system(&bus->bus);
	if (r < 0)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_RUNNING,
				"connecting to the system bus: %s", g_strerror(-r));
	r = sd_bus_set_method_call_timeout(
			bus->bus, (uint64_t) ASH_BUS_CALL_TIMEOUT_S * G_USEC_PER_SEC);
	if (r >= 0)
		r = sd_bus_attach_event(bus->bus, bus->event, SD_EVENT_PRIORITY_NORMAL);
	/* After attaching: without a loop this would end the process. */
	if (r >= 0)
		r = sd_bus_set_exit_on_disconnect(bus->bus, 1);
	if (r >= 0)
		return TRUE;
	bus->bus = sd_bus_close_unref(bus->bus);
	return ash_bus_throw(error, r, "connecting to the system bus");
}

void ash_bus_status(const char *text)
{
	g_autofree char *line = ash_bus_printable(text, ASH_BUS_MAX_OUTPUT_BYTES);

	sd_notifyf(0, "STATUS=%s", line);
}
