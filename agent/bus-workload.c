/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bus-workload.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-bus-vtable.h>

#include "agent/bus-private.h"
#include "lib/error.h"

static const char *const readers[] = {"List", "Status", "Report", "Graph", "Diff", NULL};
static const char *const writers[] = {"Run", "Start", "Stop", "Restart", "Remove", "Exec", "Logs",
		"Train", "Forgive", "Reload", "Want", "Pending", "Answer", NULL};

bool ash_bus_workload_may_call(const char *method, uint32_t uid)
{
	return g_strv_contains(readers, method) || (uid == 0 && g_strv_contains(writers, method));
}

/* ---- the server ---- */

/* Who called, by what the bus itself says of the connection. */
static gboolean get_caller(sd_bus_message *message, AshBusCall *call, GError **error)
{
	g_autoptr(sd_bus_creds) creds = NULL;
	uid_t uid = (uid_t) -1;
	int r = sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID, &creds);

	if (r >= 0)
		r = sd_bus_creds_get_euid(creds, &uid);
	if (r < 0)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_DENIED,
				"nobody knows who calls: %s", g_strerror(-r));
	call->uid = (uint32_t) uid;
	if (ash_bus_workload_may_call(call->method, call->uid))
		return TRUE;
	return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_DENIED,
			"%s is not for user %u: run it as root", call->method, call->uid);
}

static gboolean read_text(sd_bus_message *message, AshBusCall *call, GError **error)
{
	int r = sd_bus_message_read(message, "s", &call->text);

	if (r < 0)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT,
				"the argument cannot be read: %s", g_strerror(-r));
	if (strlen(call->text) > ASH_BUS_WORKLOAD_MAX_BYTES)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT,
				"the argument is longer than %d bytes", ASH_BUS_WORKLOAD_MAX_BYTES);
	return TRUE;
}

static int on_method(sd_bus_message *message, void *data, sd_bus_error *out_error)
{
	AshBus *bus = data;
	AshBusCall call = {.method = sd_bus_message_get_member(message), .text = ""};
	g_autoptr(GError) error = NULL;
	g_autofree char *json = NULL;

	if (!get_caller(message, &call, &error) || !read_text(message, &call, &error) ||
			!bus->method(&call, bus->server_data, &json, &error)) {
		g_autofree char *text = ash_bus_clean(error->message, ASH_BUS_MAX_TEXT_BYTES);
		return sd_bus_error_set(out_error, ash_bus_error_name(error), text);
	}
	g_autofree char *clean =
			ash_bus_clean(json != NULL ? json : "{}", ASH_BUS_MAX_ANSWER_BYTES);
	return sd_bus_reply_method_return(message, "s", clean);
}

/* UNPRIVILEGED: sd-bus shall not judge by capabilities; get_caller judges. */
#define METHOD(name)                                                                               \
	SD_BUS_METHOD_WITH_ARGS(name, SD_BUS_ARGS("s", request), SD_BUS_RESULT("s", answer),       \
			on_method, SD_BUS_VTABLE_UNPRIVILEGED)

/* clang-format off */
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	METHOD("List"),
	METHOD("Status"),
	METHOD("Report"),
	METHOD("Graph"),
	METHOD("Diff"),
	METHOD("Run"),
	METHOD("Start"),
	METHOD("Stop"),
	METHOD("Restart"),
	METHOD("Remove"),
	METHOD("Exec"),
	METHOD("Logs"),
	METHOD("Train"),
	METHOD("Forgive"),
	METHOD("Reload"),
	METHOD("Want"),
	METHOD("Pending"),
	METHOD("Answer"),
	SD_BUS_SIGNAL_WITH_ARGS("Event", SD_BUS_ARGS("s", event), 0),
	SD_BUS_SIGNAL_WITH_ARGS("Changed", SD_BUS_ARGS("s", nothing), 0),
	SD_BUS_VTABLE_END,
};
/* clang-format on */

gboolean ash_bus_workload_serve(AshBus *bus, AshBusMethod method, gpointer data, GError **error)
{
	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	bus->method = method;
	bus->server_data = data;
	/* First the object: who sees the name may call at once. */
	int r = sd_bus_add_object_vtable(bus->bus, NULL, ASH_BUS_WORKLOAD_PATH,
			ASH_BUS_WORKLOAD_INTERFACE, vtable, bus);
	if (r < 0)
		return ash_bus_throw(error, r, "offering %s", ASH_BUS_WORKLOAD_INTERFACE);
	r = sd_bus_request_name(bus->bus, ASH_BUS_WORKLOAD_NAME, 0);
	if (r == -EEXIST)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_FAILED,
				"another process has the name %s", ASH_BUS_WORKLOAD_NAME);
	return r >= 0 ? TRUE : ash_bus_throw(error, r, "taking the name %s", ASH_BUS_WORKLOAD_NAME);
}

/* Best effort: who misses one asks for the status. */
void ash_bus_workload_emit(AshBus *bus, const char *json)
{
	g_autofree char *clean = ash_bus_clean(json, ASH_BUS_MAX_TEXT_BYTES);

	if (bus->bus != NULL)
		sd_bus_emit_signal(bus->bus, ASH_BUS_WORKLOAD_PATH, ASH_BUS_WORKLOAD_INTERFACE,
				"Event", "s", clean);
}

void ash_bus_workload_changed(AshBus *bus)
{
	if (bus->bus != NULL)
		sd_bus_emit_signal(bus->bus, ASH_BUS_WORKLOAD_PATH, ASH_BUS_WORKLOAD_INTERFACE,
				"Changed", "s", "");
}

/* ---- the client ---- */

enum {
	CALL_TIMEOUT_US = ASH_BUS_WORKLOAD_TIMEOUT_S * G_USEC_PER_SEC,
};

static gboolean make_call(AshBus *bus, const char *method, const char *text,
		sd_bus_message **out_message, GError **error)
{
	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	int r = sd_bus_message_new_method_call(bus->bus, out_message, ASH_BUS_WORKLOAD_NAME,
			ASH_BUS_WORKLOAD_PATH, ASH_BUS_WORKLOAD_INTERFACE, method);
	if (r >= 0)
		r = sd_bus_message_append(*out_message, "s", text != NULL ? text : "{}");
	return r >= 0 ? TRUE : ash_bus_throw(error, r, "calling %s", method);
}

static gboolean read_answer(sd_bus_message *reply, const char **out_answer, GError **error)
{
	int r = sd_bus_message_read(reply, "s", out_answer);

	if (r < 0)
		return ash_bus_throw(error, r, "an answer of %s", ASH_BUS_WORKLOAD_NAME);
	if (strlen(*out_answer) > ASH_BUS_MAX_ANSWER_BYTES)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_FAILED,
				"an answer of %s is longer than %d bytes", ASH_BUS_WORKLOAD_NAME,
				ASH_BUS_MAX_ANSWER_BYTES);
	return TRUE;
}

gboolean ash_bus_workload_call(
		AshBus *bus, const char *method, const char *text, char **out_json, GError **error)
{
	g_auto(sd_bus_error) remote = SD_BUS_ERROR_NULL;
	g_autoptr(sd_bus_message) message = NULL;
	g_autoptr(sd_bus_message) reply = NULL;
	const char *answer = NULL;

	if (!make_call(bus, method, text, &message, error))
		return FALSE;
	int r = sd_bus_call(bus->bus, message, CALL_TIMEOUT_US, &remote, &reply);
	if (r < 0)
		return ash_bus_throw_remote(error, &remote, r);
	if (!read_answer(reply, &answer, error))
		return FALSE;
	*out_json = g_strdup(answer);
	return TRUE;
}

/* ---- the client that does not wait ---- */

typedef struct {
	AshBusWorkloadDone done;
	gpointer data;
} Ask;

static int on_answer(sd_bus_message *reply, void *data, sd_bus_error *out_error)
{
	const Ask ask = *(const Ask *) data;
	g_autoptr(GError) error = NULL;
	const char *answer = NULL;

	if (sd_bus_message_is_method_error(reply, NULL))
		ash_bus_throw_remote(&error, sd_bus_message_get_error(reply),
				-sd_bus_message_get_errno(reply));
	else if (!read_answer(reply, &answer, &error))
		answer = NULL;
	ask.done(answer, error, ask.data);
	return 0;
}

/* It, and what its callback is given, live as long as the call is on its way, or the bus. */
static void let_float(sd_bus_slot *slot)
{
	int r = sd_bus_slot_set_destroy_callback(slot, g_free);

	if (r >= 0)
		r = sd_bus_slot_set_floating(slot, 1);
	g_assert(r >= 0);
	sd_bus_slot_unref(slot);
}

gboolean ash_bus_workload_ask(AshBus *bus, const char *method, const char *text,
		AshBusWorkloadDone done, gpointer data, GError **error)
{
	g_autoptr(sd_bus_message) message = NULL;
	sd_bus_slot *slot = NULL;
	Ask *ask = NULL;

	if (!make_call(bus, method, text, &message, error))
		return FALSE;
	ask = g_new0(Ask, 1);
	*ask = (Ask){done, data};
	int r = sd_bus_call_async(bus->bus, &slot, message, on_answer, ask, CALL_TIMEOUT_US);
	if (r < 0) {
		g_free(ask);
		return ash_bus_throw(error, r, "calling %s", method);
	}
	let_float(slot);
	return TRUE;
}

typedef struct {
	AshBusWorkloadChanged changed;
	gpointer data;
} Watch;

static int on_changed(sd_bus_message *message, void *data, sd_bus_error *out_error)
{
	const Watch *watch = data;

	watch->changed(watch->data);
	return 0;
}

gboolean ash_bus_workload_watch(
		AshBus *bus, AshBusWorkloadChanged changed, gpointer data, GError **error)
{
	sd_bus_slot *slot = NULL;

	if (!ash_bus_ensure_connected(bus, error))
		return FALSE;
	Watch *watch = g_new0(Watch, 1);
	*watch = (Watch){changed, data};
	int r = sd_bus_match_signal(bus->bus, &slot, ASH_BUS_WORKLOAD_NAME, ASH_BUS_WORKLOAD_PATH,
			ASH_BUS_WORKLOAD_INTERFACE, "Changed", on_changed, watch);
	if (r < 0) {
		g_free(watch);
		return ash_bus_throw(error, r, "watching %s", ASH_BUS_WORKLOAD_NAME);
	}
	let_float(slot);
	return TRUE;
}
