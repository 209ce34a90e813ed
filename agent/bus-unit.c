/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/bus-private.h"
#include "lib/auto.h"
#include "lib/error.h"

/* Units of systemd, by org.freedesktop.systemd1(5).
 *
 * A transient unit that ends is forgotten by systemd at once, with its result. So we hold a reference
 * (AddRef) until we have read Result; when we die the bus drops the reference. Signals only say that
 * something changed: what is believed is what systemd answers when asked, since a check, of all
 * programs, could send such a signal itself.
 */

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define UNIT_PREFIX "/org/freedesktop/systemd1/unit"
#define MANAGER SYSTEMD ".Manager"
#define UNIT SYSTEMD ".Unit"
#define SERVICE SYSTEMD ".Service"

enum {
	STOP_US = 2 * 1000 * 1000,   /* between SIGTERM and SIGKILL */
	GRACE_US = 30 * 1000 * 1000, /* what systemd may take beyond the unit's own limits */
};

/* One unit that runs. */
typedef struct {
	AshBus *bus;
	char *unit, *path;
	int fd; /* its stdout */
	GByteArray *output;
	bool has_line;
	sd_event_source *io, *deadline;
	sd_bus_slot *match;
	AshBusUnitDone done;
	gpointer data;
} AshBusRun;

void ash_bus_run_free(gpointer data)
{
	AshBusRun *run = data;

	sd_bus_slot_unref(run->match);
	sd_event_source_disable_unref(run->io);
	sd_event_source_disable_unref(run->deadline);
	ash_close_fd(&run->fd);
	g_byte_array_unref(run->output);
	g_free(run->unit);
	g_free(run->path);
	g_free(run);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshBusRun, ash_bus_run_free)

/* ---- asking ---- */

/* A call of the manager with one string or two; the answer is nothing to us. */
static gboolean manage(AshBus *bus, const char *method, const char *first, const char *second,
		GError **error)
{
	g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;
	g_autoptr(sd_bus_message) message = NULL;
	g_autoptr(sd_bus_message) reply = NULL;

	ASH_PREFIX("systemd: %s %s", method, first != NULL ? first : "");
	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	int r = sd_bus_message_new_method_call(
			bus->bus, &message, SYSTEMD, SYSTEMD_PATH, MANAGER, method);
	if (r >= 0 && first != NULL)
		r = sd_bus_message_append(message, "s", first);
	if (r >= 0 && second != NULL)
		r = sd_bus_message_append(message, "s", second);
	if (r < 0)
		return ash_bus_throw(error, r, "making a call");
	r = sd_bus_call(bus->bus, message, 0, &remote, &reply);
	return r >= 0 || sd_bus_error_has_name(&remote, SYSTEMD ".NoSuchUnit")
			       ? TRUE
			       : ash_bus_throw_remote(error, &remote, r);
}

static gboolean get_text(AshBus *bus, const char *path, const char *interface, const char *property,
		char **out_value, GError **error)
{
	g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;
	g_autoptr(sd_bus_message) reply = NULL;
	const char *value = NULL;
	int r = sd_bus_get_property(
			bus->bus, SYSTEMD, path, interface, property, &remote, &reply, "s");

	if (r < 0)
		return ash_bus_throw_remote(error, &remote, r);
	r = sd_bus_message_read(reply, "s", &value);
	if (r < 0)
		return ash_bus_throw(error, r, "systemd's property %s", property);
	*out_value = ash_bus_clean(value, ASH_BUS_MAX_TEXT_BYTES);
	return TRUE;
}

/* systemd loads a unit that somebody asks about; one that is not there is "inactive", "dead" too. */
gboolean ash_bus_unit_state(
		AshBus *bus, const char *unit, char **out_active, char **out_sub, GError **error)
{
	g_autofree char *path = NULL;
	g_autofree char *active = NULL;

	ASH_PREFIX("systemd: %s", unit);
	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	int r = sd_bus_path_encode(UNIT_PREFIX, unit, &path);
	if (r < 0)
		return ash_bus_throw(error, r, "the name");
	if (!get_text(bus, path, UNIT, "ActiveState", &active, error) ||
			!get_text(bus, path, UNIT, "SubState", out_sub, error))
		return FALSE;
	*out_active = g_steal_pointer(&active);
	return TRUE;
}

gboolean ash_bus_stop_unit(AshBus *bus, const char *unit, GError **error)
{
	return manage(bus, "StopUnit", unit, "replace", error);
}

gboolean ash_bus_reboot(AshBus *bus, GError **error)
{
	/* Not the manager's own Reboot, which does not stop services. */
	return manage(bus, "StartUnit", "reboot.target", "replace-irreversibly", error);
}

/* ---- output ---- */

static void read_output(AshBusRun *run)
{
	guint8 chunk[4096];

	/* A bound, because what left the unit's process may go on writing. */
	for (unsigned i = 0; i < 64; i++) {
		ssize_t n = read(run->fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			sd_event_source_set_enabled(run->io, SD_EVENT_OFF);
		if (n <= 0)
			return;
		if (run->has_line)
			continue;
		const guint8 *newline = memchr(chunk, '\n', (size_t) n);
		size_t size = newline != NULL ? (size_t) (newline - chunk) : (size_t) n;
		size = MIN(size, ASH_BUS_MAX_OUTPUT_BYTES - run->output->len);
		g_byte_array_append(run->output, chunk, (guint) size);
		run->has_line = newline != NULL || run->output->len == ASH_BUS_MAX_OUTPUT_BYTES;
	}
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	read_output(data);
	return 0;
}

/* ---- the end ---- */

static void finish(AshBusRun *run, const char *result, int status)
{
	guint index = 0;
	gboolean found = g_ptr_array_find(run->bus->units, run, &index);

	g_assert(found);
	g_autoptr(AshBusRun) owned = g_ptr_array_steal_index_fast(run->bus->units, index);
	/* Nobody waits for the answer; if it gets lost, the reference ends with our connection. */
	sd_bus_call_method_async(owned->bus->bus, NULL, SYSTEMD, SYSTEMD_PATH, MANAGER, "UnrefUnit",
			NULL, NULL, "s", owned->unit);
	read_output(owned);
	g_byte_array_append(owned->output, (const guint8 *) "", 1);
	g_autofree char *output = ash_bus_printable(
			(const char *) owned->output->data, ASH_BUS_MAX_OUTPUT_BYTES);
	owned->done(result, status, g_strchomp(output), owned->data);
}

static gboolean is_over(AshBusRun *run, bool *out_answer, GError **error)
{
	g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;
	g_autoptr(sd_bus_message) reply = NULL;
	g_autofree char *active = NULL;
	uint32_t job = 0;
	const char *job_path = NULL;

	if (!get_text(run->bus, run->path, UNIT, "ActiveState", &active, error))
		return FALSE;
	int r = sd_bus_get_property(
			run->bus->bus, SYSTEMD, run->path, UNIT, "Job", &remote, &reply, "(uo)");
	if (r < 0)
		return ash_bus_throw_remote(error, &remote, r);
	r = sd_bus_message_read(reply, "(uo)", &job, &job_path);
	if (r < 0)
		return ash_bus_throw(error, r, "a unit's job");
	/* Before its start it is inactive too, but has a job. */
	*out_answer = job == 0 &&
		      (strcmp(active, "inactive") == 0 || strcmp(active, "failed") == 0);
	return TRUE;
}

static gboolean read_result(AshBusRun *run, char **out_result, int *out_status, GError **error)
{
	g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;
	int32_t status = 0;
	int r = sd_bus_get_property_trivial(run->bus->bus, SYSTEMD, run->path, SERVICE,
			"ExecMainStatus", &remote, 'i', &status);

	if (r < 0)
		return ash_bus_throw_remote(error, &remote, r);
	*out_status = status;
	return get_text(run->bus, run->path, SERVICE, "Result", out_result, error);
}

/* Asks systemd, and calls back if the unit has ended. */
static void look(AshBusRun *run)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *result = NULL;
	bool over = false;
	int status = 0;

	if (!is_over(run, &over, &error)) {
		/* Gone, or systemd does not answer: we shall never know. */
		finish(run, "resources", 0);
		return;
	}
	if (!over)
		return;
	if (!read_result(run, &result, &status, &error))
		finish(run, "resources", 0);
	else
		finish(run, result, status);
}

static int on_changed(sd_bus_message *message, void *data, sd_bus_error *out_error)
{
	look(data);
	return 0;
}

/* systemd should have ended it long ago. */
static int on_deadline(sd_event_source *source, uint64_t now_us, void *data)
{
	AshBusRun *run = data;
	g_autoptr(GError) ignored = NULL;

	if (!ash_bus_stop_unit(run->bus, run->unit, &ignored))
		g_clear_error(&ignored);
	finish(run, "timeout", 0);
	return 0;
}

/* ---- the beginning ---- */

static const AshBusSetting always[] = {
		{"Type", 's', .text = "exec"},
		{"CollectMode", 's', .text = "inactive-or-failed"},
		{"AddRef", 'b', 1},
		{"StandardInput", 's', .text = "null"},
		{"StandardError", 's', .text = "journal"},
		{"KillMode", 's', .text = "control-group"},
		{"TimeoutStopUSec", 't', STOP_US},
		{"TimeoutStartUSec", 't', GRACE_US / 2},
};

/* Whoever it runs as, it can change nothing. */
static const AshBusSetting sandbox[] = {
		{"NoNewPrivileges", 'b', 1},
		{"AmbientCapabilities", 't', 0},
		{"ProtectSystem", 's', .text = "strict"},
		{"ProtectKernelTunables", 'b', 1},
		{"ProtectKernelModules", 'b', 1},
		{"ProtectKernelLogs", 'b', 1},
		{"ProtectControlGroups", 'b', 1},
		{"ProtectClock", 'b', 1},
		{"RestrictSUIDSGID", 'b', 1},
		{"RestrictRealtime", 'b', 1},
		{"RestrictNamespaces", 't', 0}, /* none is allowed */
		{"LockPersonality", 'b', 1},
		{"MemoryMax", 't', 128 << 20},
		{"MemorySwapMax", 't', 0},
		{"TasksMax", 't', 64},
		{"LimitNOFILE", 't', 1024},
		{"LimitCORE", 't', 0},
		/* That it began and ended well is nothing for the journal, which is on a disk. */
		{"LogLevelMax", 'i', 5},
};

/* A check reads what everybody may read and talks to the network: a user that exists only as long as it
 * runs, no privilege, a /tmp of its own.
 */
static const AshBusSetting stranger[] = {
		{"DynamicUser", 'b', 1},
		{"CapabilityBoundingSet", 't', 0},
		{"ProtectHome", 's', .text = "yes"},
		{"PrivateTmp", 'b', 1},
		{"PrivateDevices", 'b', 1},
		{"ProtectProc", 's', .text = "invisible"},
};

/* Our own program, which looks whether a path is there and what space is left: as root, for a stranger
 * cannot see all of them, with CAP_DAC_READ_SEARCH (bit 2) of all that root may.
 */
static const AshBusSetting looker[] = {
		{"CapabilityBoundingSet", 't', 1 << 2},
		{"PrivateNetwork", 'b', 1},
};

int ash_bus_append_setting(sd_bus_message *message, const AshBusSetting *setting)
{
	switch (setting->type) {
	case 'b':
		return sd_bus_message_append(
				message, "(sv)", setting->name, "b", (int) setting->number);
	case 'i':
		return sd_bus_message_append(
				message, "(sv)", setting->name, "i", (int32_t) setting->number);
	case 't':
		return sd_bus_message_append(message, "(sv)", setting->name, "t", setting->number);
	default:
		return sd_bus_message_append(message, "(sv)", setting->name, "s", setting->text);
	}
}

/* ExecStartEx is a(sasas): path, argv, flags. Without the flag systemd would put variables of its own in
 * the place of a '$' in the arguments.
 */
int ash_bus_append_command(sd_bus_message *message, const char *const *argv)
{
	int r = sd_bus_message_open_container(message, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append(message, "s", "ExecStartEx");
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'v', "a(sasas)");
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "(sasas)");
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'r', "sasas");
	if (r >= 0)
		r = sd_bus_message_append(message, "s", argv[0]);
	if (r >= 0)
		r = sd_bus_message_append_strv(message, (char **) (uintptr_t) argv);
	if (r >= 0)
		r = sd_bus_message_append(message, "as", 1, "no-env-expand");
	for (int depth = 0; depth < 4 && r >= 0; depth++)
		r = sd_bus_message_close_container(message);
	return r;
}

static int append_sandbox(sd_bus_message *message, bool is_look)
{
	const AshBusSetting *own = is_look ? looker : stranger;
	size_t n_own = is_look ? G_N_ELEMENTS(looker) : G_N_ELEMENTS(stranger);
	int r = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(sandbox) && r >= 0; i++)
		r = ash_bus_append_setting(message, &sandbox[i]);
	for (size_t i = 0; i < n_own && r >= 0; i++)
		r = ash_bus_append_setting(message, &own[i]);
	if (r >= 0 && is_look)
		r = sd_bus_message_append(message, "(sv)", "RestrictAddressFamilies", "(bas)", 1, 1,
				"AF_UNIX");
	else if (r >= 0)
		r = sd_bus_message_append(message, "(sv)", "RestrictAddressFamilies", "(bas)", 1, 4,
				"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK");
	if (r >= 0)
		r = sd_bus_message_append(message, "(sv)", "SystemCallFilter", "(bas)", 1, 1,
				"@system-service");
	if (r >= 0)
		r = sd_bus_message_append(
				message, "(sv)", "SystemCallArchitectures", "as", 1, "native");
	return r;
}

static int append_properties(sd_bus_message *message, const AshBusUnit *unit, int out_fd)
{
	int r = sd_bus_message_open_container(message, 'a', "(sv)");

	for (size_t i = 0; i < G_N_ELEMENTS(always) && r >= 0; i++)
		r = ash_bus_append_setting(message, &always[i]);
	if (r >= 0 && unit->is_sandboxed)
		r = append_sandbox(message, unit->is_look);
	if (r >= 0)
		r = sd_bus_message_append(message, "(sv)", "RuntimeMaxUSec", "t", unit->timeout_us);
	if (r >= 0)
		r = sd_bus_message_append(
				message, "(sv)", "StandardOutputFileDescriptor", "h", out_fd);
	if (r >= 0)
		r = ash_bus_append_command(message, unit->argv);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	return r;
}

static gboolean start(AshBus *bus, const AshBusUnit *unit, int out_fd, GError **error)
{
	g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;
	g_autoptr(sd_bus_message) message = NULL;
	g_autoptr(sd_bus_message) reply = NULL;
	int r = sd_bus_message_new_method_call(
			bus->bus, &message, SYSTEMD, SYSTEMD_PATH, MANAGER, "StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append(message, "ss", unit->unit, "fail");
	if (r >= 0)
		r = append_properties(message, unit, out_fd);
	if (r >= 0)
		r = sd_bus_message_append(message, "a(sa(sv))", 0);
	if (r < 0)
		return ash_bus_throw(error, r, "describing the unit");
	r = sd_bus_call(bus->bus, message, 0, &remote, &reply);
	if (sd_bus_error_has_name(&remote, SYSTEMD ".UnitExists")) {
		if (!ash_bus_stop_unit(bus, unit->unit, error))
			return FALSE;
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_FAILED,
				"one of this name still ran");
	}
	return r >= 0 ? TRUE : ash_bus_throw_remote(error, &remote, r);
}

static gboolean watch(AshBusRun *run, uint64_t timeout_us, GError **error)
{
	AshBus *bus = run->bus;
	uint64_t limit_us = MIN(timeout_us, (uint64_t) INT64_MAX / 4) + STOP_US + GRACE_US;
	int r = sd_bus_path_encode(UNIT_PREFIX, run->unit, &run->path);

	if (r >= 0)
		r = sd_event_add_io(bus->event, &run->io, run->fd, EPOLLIN, on_output, run);
	if (r >= 0)
		r = sd_event_add_time_relative(bus->event, &run->deadline, CLOCK_BOOTTIME, limit_us,
				G_USEC_PER_SEC, on_deadline, run);
	if (r >= 0)
		r = sd_bus_match_signal(bus->bus, &run->match, SYSTEMD, run->path,
				"org.freedesktop.DBus.Properties", "PropertiesChanged", on_changed,
				run);
	if (r < 0)
		return ash_bus_throw(error, r, "watching the unit");
	/* systemd sends no signals until somebody asks for them. */
	if (!bus->is_subscribed && !manage(bus, "Subscribe", NULL, NULL, error))
		return FALSE;
	bus->is_subscribed = true;
	return TRUE;
}

gboolean ash_bus_start_unit(AshBus *bus, const AshBusUnit *unit, AshBusUnitDone done, gpointer data,
		GError **error)
{
	g_autoptr(AshBusRun) run = g_new0(AshBusRun, 1);
	int out[2];

	ASH_PREFIX("starting %s", unit->unit);
	run->bus = bus;
	run->fd = -1;
	run->output = g_byte_array_new();
	run->unit = g_strdup(unit->unit);
	run->done = done;
	run->data = data;
	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	if (pipe2(out, O_CLOEXEC) < 0)
		return ash_throw_errno(error, "pipe");
	run->fd = out[0];
	ash_autofd int out_fd = out[1];
	if (fcntl(run->fd, F_SETFL, O_NONBLOCK) < 0)
		return ash_throw_errno(error, "fcntl");
	/* Watched before it starts, so that its end cannot be missed. */
	if (!watch(run, unit->timeout_us, error) || !start(bus, unit, out_fd, error))
		return FALSE;
	g_ptr_array_add(bus->units, g_steal_pointer(&run));
	return TRUE;
}
