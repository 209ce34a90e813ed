/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ctl-workload.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/bus-workload.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/workload.h"

enum {
	MAX_DEPTH = 16,
	LOOK_US = 150 * 1000,
	PATIENCE_US = 30 * 1000 * 1000, /* for a daemon that is gone: it is started again */
};

/* ---- asking ---- */

char *ash_ctl_workload_request(const char *name, ...)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	va_list members;

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", name);
	va_start(members, name);
	for (const char *key = va_arg(members, const char *); key != NULL;
			key = va_arg(members, const char *))
		ash_json_add_text(builder, key, va_arg(members, const char *));
	va_end(members);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

gboolean ash_ctl_workload_call(AshBus *bus, const char *method, const char *request,
		char **out_json, GError **error)
{
	g_autoptr(GError) local = NULL;

	if (ash_bus_workload_call(bus, method, request, out_json, &local))
		return TRUE;
	if (g_error_matches(local, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_RUNNING))
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_RUNNING,
				"ashlar-workloadd is not running (see 'systemctl status ashlar-workloadd'): %s",
				local->message);
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

static gboolean parse(const char *json, JsonNode **out_root, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new(json, strlen(json));
	g_autoptr(JsonNode) root = NULL;

	ASH_PREFIX("ashlar-workloadd's answer");
	if (!ash_json_parse(bytes, ASH_BUS_MAX_ANSWER_BYTES, MAX_DEPTH, &root, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(root))
		return ash_throw(error, ASH_CTL_ERROR, ASH_CTL_ERROR_FAILED, "not an object");
	*out_root = g_steal_pointer(&root);
	return TRUE;
}

gboolean ash_ctl_workload_ask(const AshCliContext *context, const char *method, const char *request,
		JsonNode **out_root, GError **error)
{
	g_autoptr(AshBus) bus = NULL;
	g_autofree char *json = NULL;

	if (!ash_bus_new(&bus, error) || !ash_ctl_workload_call(bus, method, request, &json, error))
		return FALSE;
	if (context->json) {
		puts(g_strchomp(json));
		*out_root = NULL;
		return TRUE;
	}
	return parse(json, out_root, error);
}

gboolean ash_ctl_workload_read(const char *file, char **out_text, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(AshWorkload) workload = NULL;

	/* Here, so that what is wrong with it is said with the file's own name. */
	if (!ash_file_read(AT_FDCWD, file, ASH_WORKLOAD_MAX_BYTES, &bytes, error) ||
			!ash_workload_parse(file, bytes, &workload, error))
		return FALSE;
	*out_text = g_strdup(g_bytes_get_data(bytes, NULL));
	return TRUE;
}

/* ---- waiting ---- */

typedef struct {
	const AshCliContext *context;
	AshCtlWorkloadGoal goal;
	const char *name, *digest;
	char *shown, *words;
} Wait;

static void show(Wait *wait, JsonObject *status)
{
	static const struct {
		const char *phase, *text;
	} texts[] = {
			{"fetching", "bringing the image"},
			{"staging", "bringing the image; the old version runs"},
			{"switching", "stopping the old version"},
			{"trial", "trying the new version"},
			{"returning", "going back to the old version"},
			{"up", "starting"},
			{"stopping", "stopping"},
	};
	const char *phase = ash_json_find_text(status, "phase");
	const char *text = ash_json_find_text(status, "text");
	uint64_t total = ash_json_find_uint(status, "total");
	g_autofree char *now = g_strdup_printf(
			"%s %s", phase != NULL ? phase : "", text != NULL ? text : "");

	if (total > 0)
		ash_progress_update(wait->context->progress, ash_json_find_uint(status, "done"),
				total, ASH_PROGRESS_UNIT_BYTES);
	if (g_strcmp0(now, wait->shown) == 0)
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		if (g_strcmp0(texts[i].phase, phase) == 0) {
			ash_progress_begin(wait->context->progress, texts[i].phase, texts[i].text);
			g_free(wait->words);
			wait->words = g_strdup(texts[i].text);
		}
	if (text != NULL) {
		g_autofree char *clean = ash_ctl_clean(text);
		g_free(wait->words);
		wait->words = g_strdup(clean);
		ash_progress_note(wait->context->progress, "%s: %s", wait->name, clean);
	}
	g_free(wait->shown);
	wait->shown = g_steal_pointer(&now);
}

/* The wanted version, if it is among those that failed. */
static JsonObject *find_bad(const Wait *wait, JsonObject *status)
{
	g_autoptr(GPtrArray) failed = ash_ctl_list(status, "failed");

	for (guint i = failed->len; wait->digest != NULL && i-- > 0;) {
		JsonObject *item = failed->pdata[i];
		if (g_strcmp0(ash_json_find_text(item, "digest"), wait->digest) == 0)
			return item;
	}
	return NULL;
}

static gboolean throw_bad(const Wait *wait, JsonObject *status, JsonObject *bad, GError **error)
{
	const char *runs = ash_json_find_bool(status, "ready")
					   ? ash_json_find_text(status, "version")
					   : NULL;
	g_autofree char *version = ash_ctl_clean(ash_json_find_text(bad, "version"));
	g_autofree char *reason = ash_ctl_clean(ash_json_find_text(bad, "reason"));

	return ash_throw(error, ASH_CTL_ERROR, ASH_CTL_ERROR_NEGATIVE,
			"%s: version %s did not work (%s)%s%s%s", wait->name, version, reason,
			runs != NULL ? "; " : "", runs != NULL ? runs : "",
			runs != NULL ? " runs as before" : "");
}

static gboolean look_ready(const Wait *wait, JsonObject *status, bool *out_reached, GError **error)
{
	const char *state = ash_json_find_text(status, "state");
	bool is_up = g_strcmp0(ash_json_find_text(status, "phase"), "up") == 0;
	bool is_ready = ash_json_find_bool(status, "ready");
	bool is_version = wait->digest == NULL ||
			  g_strcmp0(ash_json_find_text(status, "digest"), wait->digest) == 0;
	JsonObject *bad = find_bad(wait, status);

	if (is_up && is_ready && is_version) {
		*out_reached = true;
		return TRUE;
	}
	if (bad != NULL && (!is_up || is_ready))
		return g_strcmp0(state, "updating") == 0 ? TRUE
							 : throw_bad(wait, status, bad, error);
	/* Another version may be on its way to one that has failed. */
	if ((g_strcmp0(state, "failed") != 0 && g_strcmp0(state, "stopped") != 0 &&
			    g_strcmp0(state, "undefined") != 0) ||
			ash_json_find_text(status, "target") != NULL)
		return TRUE;
	g_autofree char *text = ash_ctl_clean(ash_json_find_text(status, "text"));
	return ash_throw(error, ASH_CTL_ERROR, ASH_CTL_ERROR_NEGATIVE, "%s is %s%s%s", wait->name,
			state, *text != '\0' ? ": " : "", text);
}

static gboolean look(Wait *wait, AshBus *bus, bool *out_reached, GError **error)
{
	g_autofree char *request = ash_ctl_workload_request(wait->name, NULL);
	g_autofree char *json = NULL;
	g_autoptr(JsonNode) root = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_bus_workload_call(bus, "Status", request, &json, &local)) {
		if (g_error_matches(local, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_FOUND) &&
				wait->goal == ASH_CTL_WORKLOAD_REMOVED) {
			*out_reached = true;
			return TRUE;
		}
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	if (!parse(json, &root, error))
		return FALSE;
	JsonObject *status = json_node_get_object(root);
	show(wait, status);
	if (wait->goal == ASH_CTL_WORKLOAD_READY)
		return look_ready(wait, status, out_reached, error);
	if (wait->goal == ASH_CTL_WORKLOAD_STOPPED)
		*out_reached = g_strcmp0(ash_json_find_text(status, "phase"), "stopped") == 0;
	return TRUE;
}

gboolean ash_ctl_workload_wait(const AshCliContext *context, AshBus *bus, const char *name,
		AshCtlWorkloadGoal goal, const char *digest, unsigned timeout_s, GError **error)
{
	Wait wait = {context, goal, name, digest, NULL, NULL};
	int64_t end_us = ash_bus_now_us() + (int64_t) timeout_s * G_USEC_PER_SEC;
	int64_t gone_us = INT64_MAX;
	bool is_reached = false;
	gboolean ok = TRUE;

	while (ok && !is_reached) {
		g_autoptr(GError) local = NULL;
		ok = look(&wait, bus, &is_reached, &local);
		if (!ok && g_error_matches(local, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_RUNNING) &&
				ash_bus_now_us() - MIN(gone_us, ash_bus_now_us()) < PATIENCE_US) {
			gone_us = MIN(gone_us, ash_bus_now_us());
			ok = TRUE;
		} else if (!ok) {
			g_propagate_error(error, g_steal_pointer(&local));
			break;
		} else {
			gone_us = INT64_MAX;
		}
		if (!is_reached && ash_bus_now_us() >= end_us)
			ok = ash_throw(error, ASH_CTL_ERROR, ASH_CTL_ERROR_FAILED,
					"%s: not there after %u s: %s; it goes on", name, timeout_s,
					wait.words != NULL ? wait.words : "nothing was said");
		else if (!is_reached)
			ok = ash_interrupt_check(error);
		if (ok && !is_reached)
			g_usleep(LOOK_US);
	}
	g_free(wait.shown);
	g_free(wait.words);
	return ok;
}
