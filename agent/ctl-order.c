/* SPDX-License-Identifier: Apache-2.0 */
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#include "agent/ctl.h"

#include "lib/error.h"
#include "lib/json.h"

enum {
	LOOK_EVERY_US = 1000 * 1000,    /* a person looks at a bar */
	PATIENCE_US = 60 * 1000 * 1000, /* for an ashlard that is gone: systemd starts it again */
};

typedef struct {
	const AshCliContext *context;
	AshBus *bus;
	const char *method, *wanted;
	char *json; /* the last status */
	JsonNode *root;
	char *state;
	int64_t gone_since_us;           /* 0: it is there */
	char *failed_word, *failed_text; /* of the last event that tells a failure */
	bool is_part;                    /* of another command, which says how that went */
	bool is_behind; /* it is over, but not all that was told before has been heard */
	bool has_ended;
	GError *error; /* why we stopped looking */
} Wait;

static void wait_clear(Wait *wait)
{
	ash_bus_free(wait->bus);
	g_free(wait->json);
	g_clear_pointer(&wait->root, json_node_unref);
	g_free(wait->state);
	g_free(wait->failed_word);
	g_free(wait->failed_text);
	g_clear_error(&wait->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Wait, wait_clear)

/* ---- what is seen on the way ---- */

static bool is_among(const char *word, const char *const *words)
{
	return word != NULL && g_strv_contains(words, word);
}

static void hear(Wait *wait, const char *json)
{
	static const char *const failures[] = {"refused", "fetch-failed", "deploy-failed",
			"source-failed", "bad", "degraded", NULL};
	g_autoptr(JsonNode) root = NULL;

	/* "" and NULL: on_state sees them too. An event that cannot be read is no reason to stop. */
	if (json == NULL || *json == '\0' || !ash_ctl_parse(json, &root, NULL))
		return;
	JsonObject *event = json_node_get_object(root);
	const char *kind = ash_json_find_text(event, "event");
	g_autofree char *version = ash_ctl_clean(ash_json_find_text(event, "version"));
	g_autofree char *text = ash_ctl_clean(ash_json_find_text(event, "text"));
	ash_progress_note(wait->context->progress, "%s%s%s%s%s", kind != NULL ? kind : "event",
			*version != '\0' ? " " : "", version, *text != '\0' ? ": " : "", text);
	if (!is_among(kind, failures))
		return;
	g_free(wait->failed_word);
	g_free(wait->failed_text);
	wait->failed_word = g_strdup(ash_json_find_text(event, "word"));
	wait->failed_text = g_strdup_printf(
			"%s%s%s: %s", kind, *version != '\0' ? " " : "", version, text);
}

static void show(Wait *wait, const char *state)
{
	static const struct {
		const char *state, *text;
	} texts[] = {
			{"checking", "looking for a release"},
			{"fetching", "fetching"},
			{"ready", "ready"},
			{"deploying", "writing the deployment"},
	};
	JsonObject *target = ash_json_find_object(json_node_get_object(wait->root), "target");
	uint64_t bytes = ash_json_find_uint(target, "bytes");

	if (g_strcmp0(wait->state, state) != 0) {
		for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
			if (strcmp(texts[i].state, state) == 0)
				ash_progress_begin(wait->context->progress, state, texts[i].text);
		g_free(wait->state);
		wait->state = g_strdup(state);
	}
	if (bytes > 0 && strcmp(state, "fetching") == 0)
		ash_progress_update(wait->context->progress, ash_json_find_uint(target, "done"),
				bytes, ASH_PROGRESS_UNIT_BYTES);
}

/* ---- looking ---- */

static void stop(Wait *wait, GError *take_error)
{
	wait->error = take_error;
	wait->has_ended = true;
	ash_bus_quit(wait->bus);
}

/* Does the order still go on in @state? */
static bool is_working(const Wait *wait, const char *state)
{
	static const char *const check[] = {"checking", NULL};
	static const char *const others[] = {"checking", "fetching", "ready", "deploying", NULL};

	return is_among(state, strcmp(wait->method, "Check") == 0 ? check : others);
}

/* Gone for a while is fine: it may have been restarted. */
static gboolean bear_absence(Wait *wait, GError **error)
{
	int64_t now_us = ash_bus_now_us();

	if (wait->gone_since_us == 0)
		wait->gone_since_us = now_us;
	if (now_us - wait->gone_since_us < PATIENCE_US)
		return TRUE;
	return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_RUNNING,
			"ashlard ended and did not come back (see 'systemctl status ashlard')");
}

static gboolean ask(Wait *wait, bool *out_over, GError **error)
{
	g_autoptr(GError) local = NULL;
	g_autoptr(JsonNode) root = NULL;
	g_autofree char *json = NULL;

	if (!ash_bus_call(wait->bus, "GetStatus", NULL, &json, &local)) {
		if (g_error_matches(local, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_RUNNING))
			return bear_absence(wait, error);
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	wait->gone_since_us = 0;
	if (!ash_ctl_parse(json, &root, error))
		return FALSE;
	g_clear_pointer(&wait->root, json_node_unref);
	wait->root = g_steal_pointer(&root);
	g_free(wait->json);
	wait->json = g_strchomp(g_steal_pointer(&json));
	const char *state = ash_json_find_text(json_node_get_object(wait->root), "state");
	if (state == NULL)
		return ash_throw(error, ASH_CTL_ERROR, ASH_CTL_ERROR_FAILED,
				"ashlard's answer has no state");
	show(wait, state);
	*out_over = !is_working(wait, state);
	return TRUE;
}

static void look(gpointer data)
{
	Wait *wait = data;
	g_autoptr(GError) error = NULL;
	bool is_over = false;

	if (wait->has_ended)
		return;
	gboolean ok = ask(wait, &is_over, &error);
	/* What happened before the answer came may tell why it ended. */
	bool is_behind = ash_bus_has_pending(wait->bus);
	if (!ok || (is_over && !is_behind)) {
		stop(wait, g_steal_pointer(&error));
		return;
	}
	wait->is_behind = is_over;
	if (!ash_bus_set_timer(wait->bus, ash_bus_now_us() + LOOK_EVERY_US, look, wait, &error))
		stop(wait, g_steal_pointer(&error));
}

static void on_state(const char *state, gpointer data)
{
	look(data);
}

static void on_event(const char *json, gpointer data)
{
	Wait *wait = data;

	hear(wait, json);
	if (wait->is_behind)
		look(wait);
}

/* ---- the end ---- */

static gboolean fail_as(const char *word, const char *text, GError **error)
{
	g_autofree char *clean = ash_ctl_clean(text);

	return ash_throw(error, ASH_CTL_ERROR, (int) ash_ctl_error_for_word(word), "%s", clean);
}

/* What was asked for is remembered as bad or held; FALSE with that, TRUE otherwise. */
static gboolean check_remembered(const Wait *wait, GError **error)
{
	g_autoptr(GPtrArray) failed = ash_ctl_list(json_node_get_object(wait->root), "failed");

	for (guint i = 0; wait->wanted != NULL && i < failed->len; i++) {
		JsonObject *release = failed->pdata[i];
		const char *version = ash_json_find_text(release, "version");
		const char *reason = ash_json_find_text(release, "reason");
		if (g_strcmp0(version, wait->wanted) != 0)
			continue;
		g_autofree char *text = g_strdup_printf(
				"%s is not taken again: %s ('ashlarctl forgive' lets it)", version,
				reason != NULL ? reason : "it was bad");
		return fail_as(ash_json_find_text(release, "kind"), text, error);
	}
	return TRUE;
}

/* It is idle again; the sentence, or why it is a failure. */
static gboolean judge_idle(const Wait *wait, char **out_text, GError **error)
{
	JsonObject *status = json_node_get_object(wait->root);
	JsonObject *source = ash_json_find_object(status, "source");
	const char *booted = ash_json_find_text(ash_json_find_object(status, "booted"), "version");
	const char *last_error = ash_json_find_text(source, "last_error");
	bool is_check = strcmp(wait->method, "Check") == 0;

	/* A release that is refused is an answer to a check, not a failure. */
	if (wait->failed_text != NULL && !is_check)
		return fail_as(wait->failed_word, wait->failed_text, error);
	if (last_error != NULL && (is_check || strcmp(wait->method, "Update") == 0))
		return fail_as(ash_json_find_text(source, "word"), last_error, error);
	if (!check_remembered(wait, error))
		return FALSE;
	if (strcmp(wait->method, "Rollback") == 0 ||
			(wait->wanted != NULL && g_strcmp0(wait->wanted, booted) != 0))
		return ash_throw(error, ASH_CTL_ERROR, ASH_CTL_ERROR_FAILED,
				"nothing was done; 'ashlarctl why' and 'ashlarctl history' say more");
	*out_text = g_strdup_printf("nothing newer than %s", booted != NULL ? booted : "this");
	return TRUE;
}

static gboolean judge(const Wait *wait, char **out_text, GError **error)
{
	JsonObject *status = json_node_get_object(wait->root);
	const char *available =
			ash_json_find_text(ash_json_find_object(status, "available"), "version");
	const char *target = ash_json_find_text(ash_json_find_object(status, "target"), "version");

	if (strcmp(wait->method, "Check") == 0 && (available != NULL || target != NULL))
		*out_text = g_strdup_printf(
				"%s is available", available != NULL ? available : target);
	else if (strcmp(wait->state, "idle") == 0 || strcmp(wait->method, "Check") == 0)
		return judge_idle(wait, out_text, error);
	else
		*out_text = g_strdup_printf("%s%s%s", wait->state, target != NULL ? " into " : "",
				target != NULL ? target : "");
	return TRUE;
}

static gboolean wait_for_end(Wait *wait, const char *text, GError **error)
{
	g_autofree char *sentence = NULL;

	ash_progress_note(wait->context->progress, "%s", text);
	if (!ash_bus_set_timer(wait->bus, 0, look, wait, error) || !ash_bus_run(wait->bus, error))
		return FALSE;
	if (!wait->has_ended)
		return ash_throw(error, G_IO_ERROR, G_IO_ERROR_CANCELLED,
				"interrupted; what was begun goes on");
	if (wait->error != NULL) {
		g_propagate_error(error, g_steal_pointer(&wait->error));
		return FALSE;
	}
	if (!judge(wait, &sentence, error))
		return FALSE;
	ash_progress_end(wait->context->progress, "%s", wait->state);
	g_autofree char *clean = ash_ctl_clean(sentence);
	if (!wait->is_part)
		puts(wait->context->json ? wait->json : clean);
	return TRUE;
}

static bool is_checking(AshBus *bus)
{
	g_autoptr(JsonNode) root = NULL;
	g_autofree char *json = NULL;

	return ash_bus_call(bus, "GetStatus", NULL, &json, NULL) &&
	       ash_ctl_parse(json, &root, NULL) &&
	       g_strcmp0(ash_json_find_text(json_node_get_object(root), "state"), "checking") == 0;
}

/* Hosts look for releases by themselves. Whoever asks for something just then is not sent away, but waits
 * for the moment that it takes.
 */
static gboolean call_after_check(
		Wait *wait, const char *method, const char *text, char **out_json, GError **error)
{
	int64_t until_us = ash_bus_now_us() + PATIENCE_US;
	bool is_told = false, is_last = false;

	for (;;) {
		g_autoptr(GError) local = NULL;
		if (ash_ctl_call(wait->bus, method, text, out_json, &local))
			return TRUE;
		if (!g_error_matches(local, ASH_BUS_ERROR, ASH_BUS_ERROR_WRONG_STATE) || is_last ||
				ash_bus_now_us() >= until_us) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
		if (!is_checking(wait->bus)) {
			/* It may have ended between the two calls. */
			is_last = true;
			continue;
		}
		if (!is_told)
			ash_progress_note(wait->context->progress, "waiting for a check to end");
		is_told = true;
		g_usleep(LOOK_EVERY_US / 4);
	}
}

static gboolean order(const AshCliContext *context, const char *method, const char *text,
		bool is_waiting, bool is_part, GError **error)
{
	g_auto(Wait) wait = {.context = context, .method = method, .is_part = is_part};
	g_autoptr(JsonNode) root = NULL;
	g_autofree char *json = NULL;

	if (strcmp(method, "Update") == 0 && *text != '\0')
		wait.wanted = text;
	if (!ash_cli_need_root("only root may change what this host runs", error) ||
			!ash_bus_new(&wait.bus, error))
		return FALSE;
	/* First the watch: nothing that happens after the call is missed. */
	if (is_waiting && (!ash_bus_watch(wait.bus, "State", on_state, &wait, error) ||
					  !ash_bus_watch_events(wait.bus, on_event, &wait, error)))
		return FALSE;
	if (!call_after_check(&wait, method, text, &json, error))
		return FALSE;
	g_strchomp(json);
	if (!is_waiting && context->json) {
		puts(json);
		return TRUE;
	}
	if (!ash_ctl_parse(json, &root, error))
		return FALSE;
	g_autofree char *answer =
			ash_ctl_clean(ash_json_find_text(json_node_get_object(root), "text"));
	if (is_waiting)
		return wait_for_end(&wait, answer, error);
	puts(answer);
	return TRUE;
}

gboolean ash_ctl_order(const AshCliContext *context, const char *method, const char *text,
		bool is_waiting, GError **error)
{
	return order(context, method, text, is_waiting, false, error);
}

gboolean ash_ctl_look(const AshCliContext *context, GError **error)
{
	return order(context, "Check", NULL, true, true, error);
}
