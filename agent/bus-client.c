/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/bus-private.h"
#include "lib/error.h"

#define DRIVER_NAME "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"
#define PROPERTIES "org.freedesktop.DBus.Properties"

typedef struct {
	char *property; /* NULL: events */
	AshBusProperty callback;
	gpointer data;
} AshBusWatch;

void ash_bus_watch_free(gpointer data)
{
	AshBusWatch *watch = data;

	g_free(watch->property);
	g_free(watch);
}

gboolean ash_bus_connect(AshBus *bus, GError **error)
{
	return ash_bus_ensure_connected(bus, error);
}

/* ---- calls ---- */

static gboolean call(
		AshBus *bus, sd_bus_message *message, sd_bus_message **out_reply, GError **error)
{
	g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;
	int r = sd_bus_call(bus->bus, message, 0, &remote, out_reply);

	return r >= 0 ? TRUE : ash_bus_throw_remote(error, &remote, r);
}

static gboolean new_call(
		AshBus *bus, const char *method, sd_bus_message **out_message, GError **error)
{
	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	int r = sd_bus_message_new_method_call(bus->bus, out_message, ASH_BUS_NAME, ASH_BUS_PATH,
			ASH_BUS_INTERFACE, method);
	return r >= 0 ? TRUE : ash_bus_throw(error, r, "calling %s", method);
}

gboolean ash_bus_call(
		AshBus *bus, const char *method, const char *text, char **out_json, GError **error)
{
	g_autoptr(sd_bus_message) message = NULL;
	g_autoptr(sd_bus_message) reply = NULL;
	const char *answer = "";
	int r = 0;

	if (!new_call(bus, method, &message, error))
		return FALSE;
	if (text != NULL)
		r = sd_bus_message_append(message, "s", text);
	if (r < 0)
		return ash_bus_throw(error, r, "the argument of %s", method);
	if (!call(bus, message, &reply, error))
		return FALSE;
	if (!sd_bus_message_is_empty(reply))
		r = sd_bus_message_read(reply, "s", &answer);
	if (r < 0)
		return ash_bus_throw(error, r, "the answer to %s", method);
	if (strlen(answer) > ASH_BUS_MAX_ANSWER_BYTES)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_FAILED,
				"the answer to %s is longer than %d bytes", method,
				ASH_BUS_MAX_ANSWER_BYTES);
	*out_json = g_strdup(answer);
	return TRUE;
}

static gboolean call_with_result(
		AshBus *bus, const char *method, uint64_t id, const char *result, GError **error)
{
	g_autoptr(sd_bus_message) message = NULL;
	g_autoptr(sd_bus_message) reply = NULL;

	if (!new_call(bus, method, &message, error))
		return FALSE;
	int r = sd_bus_message_append(message, "ts", id, result);
	if (r < 0)
		return ash_bus_throw(error, r, "the argument of %s", method);
	return call(bus, message, &reply, error);
}

gboolean ash_bus_call_order_done(AshBus *bus, uint64_t id, const char *result, GError **error)
{
	return call_with_result(bus, "OrderDone", id, result, error);
}

gboolean ash_bus_call_fleet_answer(AshBus *bus, uint64_t serial, const char *result, GError **error)
{
	return call_with_result(bus, "FleetAnswer", serial, result, error);
}

gboolean ash_bus_call_order_progress(
		AshBus *bus, uint64_t id, uint64_t done, uint64_t total, GError **error)
{
	g_autoptr(sd_bus_message) message = NULL;
	g_autoptr(sd_bus_message) reply = NULL;

	if (!new_call(bus, "OrderProgress", &message, error))
		return FALSE;
	int r = sd_bus_message_append(message, "ttt", id, done, total);
	if (r < 0)
		return ash_bus_throw(error, r, "the progress of an order");
	return call(bus, message, &reply, error);
}

gboolean ash_bus_get_property(AshBus *bus, const char *property, char **out_value, GError **error)
{
	g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;
	g_autoptr(sd_bus_message) reply = NULL;
	const char *value = NULL;

	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	int r = sd_bus_get_property(bus->bus, ASH_BUS_NAME, ASH_BUS_PATH, ASH_BUS_INTERFACE,
			property, &remote, &reply, "s");
	if (r < 0)
		return ash_bus_throw_remote(error, &remote, r);
	r = sd_bus_message_read(reply, "s", &value);
	if (r < 0)
		return ash_bus_throw(error, r, "the property %s", property);
	if (strlen(value) > ASH_BUS_MAX_ANSWER_BYTES)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_FAILED,
				"the property %s is longer than %d bytes", property,
				ASH_BUS_MAX_ANSWER_BYTES);
	*out_value = g_strdup(value);
	return TRUE;
}

/* ---- watching ---- */

static bool is_from_server(AshBus *bus, sd_bus_message *message)
{
	const char *sender = sd_bus_message_get_sender(message);

	return bus->owner != NULL && sender != NULL && strcmp(sender, bus->owner) == 0;
}

/* A match by name lets through what any connection sends to us alone, so each sender is looked at. */
static int on_owner(sd_bus_message *message, void *data, sd_bus_error *out_error)
{
	AshBus *bus = data;
	const char *name = NULL, *before = NULL, *after = NULL;

	if (g_strcmp0(sd_bus_message_get_sender(message), DRIVER_NAME) != 0 ||
			sd_bus_message_read(message, "sss", &name, &before, &after) < 0 ||
			strcmp(name, ASH_BUS_NAME) != 0)
		return 0;
	g_free(bus->owner);
	bus->owner = *after != '\0' ? g_strdup(after) : NULL;
	for (guint i = 0; i < bus->watches->len; i++) {
		const AshBusWatch *watch = bus->watches->pdata[i];
		watch->callback(bus->owner != NULL ? "" : NULL, watch->data);
	}
	return 0;
}

static void tell(AshBus *bus, const char *property, const char *value, size_t max_bytes)
{
	if (strlen(value) > max_bytes)
		return;
	for (guint i = 0; i < bus->watches->len; i++) {
		const AshBusWatch *watch = bus->watches->pdata[i];
		if (g_strcmp0(watch->property, property) == 0)
			watch->callback(value, watch->data);
	}
}

/* "sa{sv}as": an interface, its properties with values, names of properties without. */
static int on_changed(sd_bus_message *message, void *data, sd_bus_error *out_error)
{
	AshBus *bus = data;
	const char *interface = NULL;

	if (!is_from_server(bus, message) || sd_bus_message_read(message, "s", &interface) < 0 ||
			strcmp(interface, ASH_BUS_INTERFACE) != 0 ||
			sd_bus_message_enter_container(message, 'a', "{sv}") < 0)
		return 0;
	while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
		const char *property = NULL, *value = NULL;
		if (sd_bus_message_read(message, "s", &property) < 0)
			return 0;
		if (sd_bus_message_enter_container(message, 'v', "s") <= 0) {
			if (sd_bus_message_skip(message, "v") < 0 ||
					sd_bus_message_exit_container(message) < 0)
				return 0;
			continue;
		}
		if (sd_bus_message_read(message, "s", &value) < 0)
			return 0;
		tell(bus, property, value, ASH_BUS_MAX_ANSWER_BYTES);
		if (sd_bus_message_exit_container(message) < 0 ||
				sd_bus_message_exit_container(message) < 0)
			return 0;
	}
	return 0;
}

static int on_event(sd_bus_message *message, void *data, sd_bus_error *out_error)
{
	AshBus *bus = data;
	const char *json = NULL;

	if (is_from_server(bus, message) && sd_bus_message_read(message, "s", &json) >= 0)
		tell(bus, NULL, json, ASH_BUS_MAX_TEXT_BYTES);
	return 0;
}

static gboolean find_owner(AshBus *bus, GError **error)
{
	g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;
	g_autoptr(sd_bus_message) reply = NULL;
	const char *owner = NULL;
	int r = sd_bus_call_method(bus->bus, DRIVER_NAME, DRIVER_PATH, DRIVER_NAME, "GetNameOwner",
			&remote, &reply, "s", ASH_BUS_NAME);

	if (sd_bus_error_has_name(&remote, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		return TRUE;
	if (r < 0)
		return ash_bus_throw_remote(error, &remote, r);
	r = sd_bus_message_read(reply, "s", &owner);
	if (r < 0)
		return ash_bus_throw(error, r, "the owner of %s", ASH_BUS_NAME);
	bus->owner = g_strdup(owner);
	return TRUE;
}

/* First the matches, then the question, so that no change falls in between. */
static gboolean begin_watching(AshBus *bus, GError **error)
{
	int r = sd_bus_add_match(bus->bus, NULL,
			"type='signal',sender='" DRIVER_NAME "',path='" DRIVER_PATH
			"',interface='" DRIVER_NAME
			"',member='NameOwnerChanged',arg0='" ASH_BUS_NAME "'",
			on_owner, bus);

	if (r >= 0)
		r = sd_bus_match_signal(bus->bus, NULL, ASH_BUS_NAME, ASH_BUS_PATH, PROPERTIES,
				"PropertiesChanged", on_changed, bus);
	if (r >= 0)
		r = sd_bus_match_signal(bus->bus, NULL, ASH_BUS_NAME, ASH_BUS_PATH,
				ASH_BUS_INTERFACE, "Event", on_event, bus);
	if (r < 0)
		return ash_bus_throw(error, r, "watching %s", ASH_BUS_NAME);
	return find_owner(bus, error);
}

static gboolean add_watch(AshBus *bus, const char *property, AshBusProperty callback, gpointer data,
		GError **error)
{
	if (!ash_bus_ensure_connected(bus, error) ||
			(bus->watches->len == 0 && !begin_watching(bus, error)))
		return FALSE;
	AshBusWatch *watch = g_new0(AshBusWatch, 1);
	watch->property = g_strdup(property);
	watch->callback = callback;
	watch->data = data;
	g_ptr_array_add(bus->watches, watch);
	return TRUE;
}

gboolean ash_bus_watch(AshBus *bus, const char *property, AshBusProperty callback, gpointer data,
		GError **error)
{
	return add_watch(bus, property, callback, data, error);
}

gboolean ash_bus_watch_events(AshBus *bus, AshBusProperty callback, gpointer data, GError **error)
{
	return add_watch(bus, NULL, callback, data, error);
}

bool ash_bus_has_pending(AshBus *bus)
{
	uint64_t count = 0;

	return bus->bus != NULL && sd_bus_get_n_queued_read(bus->bus, &count) >= 0 && count > 0;
}
