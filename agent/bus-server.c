/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <systemd/sd-bus-vtable.h>

#include "agent/bus-private.h"
#include "lib/auto.h"
#include "lib/error.h"

#define LINK_USER "ashlar-link"

enum {
	NOBODY = UINT32_MAX,
};

/* The user ashlar-link by /etc/passwd, where the image has it; NOBODY when there is none. Not by
 * getpwnam, which would load libraries into this process for good.
 */
static uint32_t link_uid(void)
{
	g_autoptr(AshStream) passwd = fopen("/etc/passwd", "re");
	const struct passwd *user = NULL;

	while (passwd != NULL && (user = fgetpwent(passwd)) != NULL)
		if (strcmp(user->pw_name, LINK_USER) == 0)
			return (uint32_t) user->pw_uid;
	return NOBODY;
}

/* Who called, by what the bus itself says of the connection. */
static gboolean get_caller(sd_bus_message *message, AshBusCall *call, GError **error)
{
	g_autoptr(sd_bus_creds) creds = NULL;
	uid_t uid = (uid_t) NOBODY;
	int r = sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID, &creds);

	if (r >= 0)
		r = sd_bus_creds_get_euid(creds, &uid);
	if (r < 0)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_DENIED,
				"nobody knows who calls: %s", g_strerror(-r));
	call->uid = (uint32_t) uid;
	uint32_t link = uid == 0 ? 0 : link_uid();
	if (uid != (uid_t) NOBODY && ash_bus_may_call(call->method, call->uid, link))
		return TRUE;
	return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_DENIED,
			"%s is not for user %u: run it as root", call->method, call->uid);
}

static gboolean read_arguments(sd_bus_message *message, AshBusCall *call, GError **error)
{
	const char *signature = sd_bus_message_get_signature(message, 1);
	int r = 0;

	if (g_strcmp0(signature, "s") == 0)
		r = sd_bus_message_read(message, "s", &call->text);
	else if (g_strcmp0(signature, "ts") == 0)
		r = sd_bus_message_read(message, "ts", &call->id, &call->text);
	else if (g_strcmp0(signature, "ttt") == 0)
		r = sd_bus_message_read(message, "ttt", &call->id, &call->done, &call->total);
	if (r < 0)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT,
				"the arguments cannot be read: %s", g_strerror(-r));
	return ash_bus_argument_check(call->method, call->text, strlen(call->text), error);
}

static int on_method(sd_bus_message *message, void *data, sd_bus_error *out_error)
{
	AshBus *bus = data;
	AshBusCall call = {.method = sd_bus_message_get_member(message), .text = ""};
	g_autoptr(GError) error = NULL;
	g_autofree char *json = NULL;

	if (!get_caller(message, &call, &error) || !read_arguments(message, &call, &error) ||
			!bus->method(&call, bus->server_data, &json, &error)) {
		g_autofree char *text = ash_bus_clean(error->message, ASH_BUS_MAX_TEXT_BYTES);
		return sd_bus_error_set(out_error, ash_bus_error_name(error), text);
	}
	if (!ash_bus_has_answer(call.method))
		return sd_bus_reply_method_return(message, "");
	g_autofree char *clean = ash_bus_clean(json != NULL ? json : "", ASH_BUS_MAX_ANSWER_BYTES);
	return sd_bus_reply_method_return(message, "s", clean);
}

static int on_get_property(sd_bus *connection, const char *path, const char *interface,
		const char *property, sd_bus_message *reply, void *data, sd_bus_error *out_error)
{
	AshBus *bus = data;
	g_autofree char *value = bus->get_property(property, bus->server_data);
	g_autofree char *clean = ash_bus_clean(value, ASH_BUS_MAX_ANSWER_BYTES);

	return sd_bus_message_append(reply, "s", clean);
}

/* UNPRIVILEGED: sd-bus shall not judge by capabilities; get_caller judges. */
#define ANYBODY SD_BUS_VTABLE_UNPRIVILEGED

/* clang-format off */
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("GetStatus", SD_BUS_NO_ARGS,
		SD_BUS_RESULT("s", status), on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("GetHealth", SD_BUS_NO_ARGS,
		SD_BUS_RESULT("s", health), on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("GetHistory", SD_BUS_ARGS("s", limit),
		SD_BUS_RESULT("s", events), on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("Why", SD_BUS_NO_ARGS,
		SD_BUS_RESULT("s", reasons), on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("Check", SD_BUS_NO_ARGS,
		SD_BUS_RESULT("s", answer), on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("Update", SD_BUS_ARGS("s", version),
		SD_BUS_RESULT("s", answer), on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("Rollback", SD_BUS_ARGS("s", target),
		SD_BUS_RESULT("s", answer), on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("Bundle", SD_BUS_ARGS("s", path),
		SD_BUS_RESULT("s", answer), on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("Pin", SD_BUS_ARGS("s", target),
		SD_BUS_NO_RESULT, on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("Unpin", SD_BUS_ARGS("s", target),
		SD_BUS_NO_RESULT, on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("Forgive", SD_BUS_ARGS("s", target),
		SD_BUS_NO_RESULT, on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("OrderDone", SD_BUS_ARGS("t", id, "s", result),
		SD_BUS_NO_RESULT, on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("OrderProgress", SD_BUS_ARGS("t", id, "t", done, "t", total),
		SD_BUS_NO_RESULT, on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("FleetReport", SD_BUS_NO_ARGS,
		SD_BUS_RESULT("s", report), on_method, ANYBODY),
	SD_BUS_METHOD_WITH_ARGS("FleetAnswer", SD_BUS_ARGS("t", serial, "s", result),
		SD_BUS_NO_RESULT, on_method, ANYBODY),
	SD_BUS_PROPERTY("State", "s", on_get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Order", "s", on_get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Fleet", "s", on_get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_SIGNAL_WITH_ARGS("Event", SD_BUS_ARGS("s", event), 0),
	SD_BUS_VTABLE_END,
};
/* clang-format on */

gboolean ash_bus_serve(AshBus *bus, AshBusMethod method,
		char *(*get_property)(const char *name, gpointer data), gpointer data,
		GError **error)
{
	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	bus->method = method;
	bus->get_property = get_property;
	bus->server_data = data;
	/* First the object: who sees the name may call at once. */
	int r = sd_bus_add_object_vtable(
			bus->bus, NULL, ASH_BUS_PATH, ASH_BUS_INTERFACE, vtable, bus);
	if (r < 0)
		return ash_bus_throw(error, r, "offering %s", ASH_BUS_INTERFACE);
	r = sd_bus_request_name(bus->bus, ASH_BUS_NAME, 0);
	if (r == -EEXIST)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_FAILED,
				"another process has the name %s", ASH_BUS_NAME);
	if (r < 0)
		return ash_bus_throw(error, r, "taking the name %s", ASH_BUS_NAME);
	return TRUE;
}

/* Signals are best effort: who misses one reads the property. A broken connection ends the loop. */
void ash_bus_changed(AshBus *bus, const char *property)
{
	if (bus->bus != NULL)
		sd_bus_emit_properties_changed(
				bus->bus, ASH_BUS_PATH, ASH_BUS_INTERFACE, property, NULL);
}

void ash_bus_emit_event(AshBus *bus, const char *json)
{
	g_autofree char *clean = ash_bus_clean(json, ASH_BUS_MAX_TEXT_BYTES);

	if (bus->bus != NULL)
		sd_bus_emit_signal(bus->bus, ASH_BUS_PATH, ASH_BUS_INTERFACE, "Event", "s", clean);
}
