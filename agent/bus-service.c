/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bus-service.h"

#include <signal.h>
#include <string.h>

#include "agent/bus-private.h"
#include "lib/auto.h"
#include "lib/error.h"

/* By org.freedesktop.systemd1(5). A signal only says that something changed: what is believed is what
 * systemd answers.
 */

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define UNIT_PREFIX "/org/freedesktop/systemd1/unit"
#define MANAGER SYSTEMD ".Manager"

enum {
	FORGET_US = 50 * 1000,
	FORGET_TRIES = 40,
};

/* ---- descriptors ---- */

struct AshBusFd {
	sd_event_source *source;
	AshBusFdReady ready;
	gpointer data;
};

static int on_fd(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	AshBusFd *watched = data;

	watched->ready(fd, watched->data);
	return 0;
}

gboolean ash_bus_fd_new(AshBus *bus, int take_fd, AshBusFdReady ready, gpointer data,
		AshBusFd **out_fd, GError **error)
{
	AshBusFd *made = g_new0(AshBusFd, 1);

	made->ready = ready;
	made->data = data;
	int r = sd_event_add_io(bus->event, &made->source, take_fd, EPOLLIN, on_fd, made);
	if (r < 0) {
		ash_close_fd(&take_fd);
		g_free(made);
		return ash_bus_throw(error, r, "watching a descriptor");
	}
	sd_event_source_set_io_fd_own(made->source, 1);
	*out_fd = made;
	return TRUE;
}

void ash_bus_fd_free(AshBusFd *fd)
{
	if (fd == NULL)
		return;
	sd_event_source_disable_unref(fd->source);
	g_free(fd);
}

/* ---- starting ---- */

/* What the launcher sets up itself (user, namespaces, system calls) is not said here: it has to be root to
 * do so.
 */
static const AshBusSetting always[] = {
		{"Type", 's', .text = "exec"},
		{"CollectMode", 's', .text = "inactive-or-failed"},
		{"StandardInput", 's', .text = "null"},
		{"StandardOutput", 's', .text = "journal"},
		{"StandardError", 's', .text = "journal"},
		{"KillMode", 's', .text = "mixed"},
		{"OOMPolicy", 's', .text = "kill"},
		{"DevicePolicy", 's', .text = "closed"},
		{"MemorySwapMax", 't', 0},
		{"LimitCORE", 't', 0},
};

static int append_limits(sd_bus_message *message, const AshBusService *service)
{
	const AshBusSetting limits[] = {
			{"MemoryMax", 't', service->memory_bytes},
			{"TasksMax", 't', service->tasks},
			/* microseconds of processor time a second */
			{"CPUQuotaPerSecUSec", 't', (uint64_t) service->cpu_milli * 1000},
			{"IOWeight", 't', service->io_weight},
			{"TimeoutStopUSec", 't', (uint64_t) service->stop_timeout_ms * 1000},
			{"Delegate", 'b', service->is_delegated},
	};
	int r = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(limits) && r >= 0; i++)
		if (limits[i].number != 0)
			r = ash_bus_append_setting(message, &limits[i]);
	/* nspawn makes one in each network of its own; ashlar-launch takes it away again. */
	if (r >= 0)
		r = sd_bus_message_append(
				message, "(sv)", "DeviceAllow", "a(ss)", 1, "/dev/net/tun", "m");
	for (size_t i = 0; service->devices != NULL && service->devices[i] != NULL && r >= 0; i++)
		r = sd_bus_message_append(message, "(sv)", "DeviceAllow", "a(ss)", 1,
				service->devices[i], "rw");
	return r;
}

static int append_properties(sd_bus_message *message, const AshBusService *service)
{
	int r = sd_bus_message_open_container(message, 'a', "(sv)");

	for (size_t i = 0; i < G_N_ELEMENTS(always) && r >= 0; i++)
		r = ash_bus_append_setting(message, &always[i]);
	if (r >= 0)
		r = sd_bus_message_append(
				message, "(sv)", "Description", "s", service->description);
	if (r >= 0 && service->slice != NULL)
		r = sd_bus_message_append(message, "(sv)", "Slice", "s", service->slice);
	if (r >= 0 && service->user != NULL)
		r = sd_bus_message_append(message, "(sv)", "User", "s", service->user);
	if (r >= 0)
		r = append_limits(message, service);
	if (r >= 0)
		r = ash_bus_append_command(message, service->argv);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	return r;
}

/* One that has just ended stands there for a moment, until systemd has tidied it away. */
static void forget(AshBus *bus, const char *unit)
{
	g_auto(sd_bus_error) ignored = SD_BUS_ERROR_NULL;

	sd_bus_call_method(bus->bus, SYSTEMD, SYSTEMD_PATH, MANAGER, "ResetFailedUnit", &ignored,
			NULL, "s", unit);
	g_usleep(FORGET_US);
}

static gboolean start_once(
		AshBus *bus, const AshBusService *service, bool *out_exists, GError **error)
{
	g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;
	g_autoptr(sd_bus_message) message = NULL;
	g_autoptr(sd_bus_message) reply = NULL;

	int r = sd_bus_message_new_method_call(
			bus->bus, &message, SYSTEMD, SYSTEMD_PATH, MANAGER, "StartTransientUnit");
	if (r >= 0)
		r = sd_bus_message_append(message, "ss", service->unit, "fail");
	if (r >= 0)
		r = append_properties(message, service);
	if (r >= 0)
		r = sd_bus_message_append(message, "a(sa(sv))", 0);
	if (r < 0)
		return ash_bus_throw(error, r, "describing the unit");
	r = sd_bus_call(bus->bus, message, 0, &remote, &reply);
	*out_exists = r < 0 && sd_bus_error_has_name(&remote, SYSTEMD ".UnitExists");
	return r >= 0 ? TRUE : ash_bus_throw_remote(error, &remote, r);
}

gboolean ash_bus_service_start(AshBus *bus, const AshBusService *service, GError **error)
{
	ASH_PREFIX("starting %s", service->unit);
	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	for (unsigned tries = 0;; tries++) {
		g_autoptr(GError) local = NULL;
		bool exists = false;
		if (start_once(bus, service, &exists, &local))
			return TRUE;
		if (!exists || tries >= FORGET_TRIES) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
		forget(bus, service->unit);
	}
}

/* ---- asking, ending ---- */

/* A question: is something to be done about it yet? A unit that was only just asked for is inactive. */
static bool has_job(AshBus *bus, const char *unit)
{
	g_auto(sd_bus_error) ignored = SD_BUS_ERROR_NULL;
	g_autoptr(sd_bus_message) reply = NULL;
	g_autofree char *path = NULL;
	uint32_t job = 0;

	if (sd_bus_path_encode(UNIT_PREFIX, unit, &path) < 0 ||
			sd_bus_get_property(bus->bus, SYSTEMD, path, SYSTEMD ".Unit", "Job",
					&ignored, &reply, "(uo)") < 0 ||
			sd_bus_message_enter_container(reply, 'r', "uo") < 0 ||
			sd_bus_message_read(reply, "u", &job) < 0)
		return false;
	return job != 0;
}

gboolean ash_bus_service_runs(AshBus *bus, const char *unit, bool *out_runs, GError **error)
{
	g_autofree char *active = NULL;
	g_autofree char *sub = NULL;

	if (!ash_bus_unit_state(bus, unit, &active, &sub, error))
		return FALSE;
	*out_runs = (strcmp(active, "inactive") != 0 && strcmp(active, "failed") != 0) ||
		    has_job(bus, unit);
	return TRUE;
}

/* A unit that is not there is fine. */
static gboolean finish(GError **error, const sd_bus_error *remote, const char *unit, int r)
{
	ASH_PREFIX("systemd: %s", unit);
	if (r >= 0 || sd_bus_error_has_name(remote, SYSTEMD ".NoSuchUnit"))
		return TRUE;
	return ash_bus_throw_remote(error, remote, r);
}

gboolean ash_bus_service_stop(AshBus *bus, const char *unit, GError **error)
{
	g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;

	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	int r = sd_bus_call_method(bus->bus, SYSTEMD, SYSTEMD_PATH, MANAGER, "StopUnit", &remote,
			NULL, "ss", unit, "replace");
	return finish(error, &remote, unit, r);
}

gboolean ash_bus_service_kill(AshBus *bus, const char *unit, GError **error)
{
	g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;

	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	int r = sd_bus_call_method(bus->bus, SYSTEMD, SYSTEMD_PATH, MANAGER, "KillUnit", &remote,
			NULL, "ssi", unit, "all", (int32_t) SIGKILL);
	return finish(error, &remote, unit, r);
}

/* ---- watching ---- */

struct AshBusServiceWatch {
	AshBus *bus;
	char *unit;
	sd_bus_slot *changed, *removed;
	sd_event_source *first; /* the first look */
	AshBusServiceEnded ended;
	gpointer data;
};

static void look(AshBusServiceWatch *watch)
{
	g_autoptr(GError) ignored = NULL;
	bool runs = false;

	/* systemd does not answer while it is loaded anew; the next signal comes. */
	if (!ash_bus_service_runs(watch->bus, watch->unit, &runs, &ignored) || runs)
		return;
	watch->changed = sd_bus_slot_unref(watch->changed);
	watch->removed = sd_bus_slot_unref(watch->removed);
	watch->ended(watch->data);
}

static int on_signal(sd_bus_message *message, void *data, sd_bus_error *out_error)
{
	look(data);
	return 0;
}

static int on_first(sd_event_source *source, void *data)
{
	AshBusServiceWatch *watch = data;

	watch->first = sd_event_source_disable_unref(watch->first);
	look(watch);
	return 0;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshBusServiceWatch, ash_bus_service_watch_free)

gboolean ash_bus_service_watch(AshBus *bus, const char *unit, AshBusServiceEnded ended,
		gpointer data, AshBusServiceWatch **out_watch, GError **error)
{
	g_autoptr(AshBusServiceWatch) watch = g_new0(AshBusServiceWatch, 1);
	g_autofree char *path = NULL;
	g_autofree char *match = NULL;

	ASH_PREFIX("watching %s", unit);
	watch->bus = bus;
	watch->unit = g_strdup(unit);
	watch->ended = ended;
	watch->data = data;
	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	int r = sd_bus_path_encode(UNIT_PREFIX, unit, &path);
	if (r >= 0)
		r = sd_bus_match_signal(bus->bus, &watch->changed, SYSTEMD, path,
				"org.freedesktop.DBus.Properties", "PropertiesChanged", on_signal,
				watch);
	/* One that is forgotten at once may not say that it changed. */
	match = g_strdup_printf("type='signal',sender='" SYSTEMD "',path='" SYSTEMD_PATH
				"',interface='" MANAGER "',member='UnitRemoved',arg0='%s'",
			unit);
	if (r >= 0)
		r = sd_bus_add_match(bus->bus, &watch->removed, match, on_signal, watch);
	if (r >= 0)
		r = sd_event_add_defer(bus->event, &watch->first, on_first, watch);
	if (r < 0)
		return ash_bus_throw(error, r, "asking for signals");
	/* systemd sends none until somebody asks for them. */
	if (!bus->is_subscribed) {
		g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;
		r = sd_bus_call_method(bus->bus, SYSTEMD, SYSTEMD_PATH, MANAGER, "Subscribe",
				&remote, NULL, NULL);
		if (r < 0)
			return ash_bus_throw_remote(error, &remote, r);
		bus->is_subscribed = true;
	}
	*out_watch = g_steal_pointer(&watch);
	return TRUE;
}

void ash_bus_service_watch_free(AshBusServiceWatch *watch)
{
	if (watch == NULL)
		return;
	sd_bus_slot_unref(watch->changed);
	sd_bus_slot_unref(watch->removed);
	sd_event_source_disable_unref(watch->first);
	g_free(watch->unit);
	g_free(watch);
}
