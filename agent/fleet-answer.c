/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fleet-answer.h"

#include <string.h>

#include "agent/fleet-workload.h"
#include "lib/checkin.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/text.h"
#include "lib/version.h"
#include "lib/window.h"

G_DEFINE_QUARK(ash_fleet_answer_error, ash_fleet_answer_error)

static const char *const outcomes[] = {
		[ASH_FLEET_JOINED] = "joined",
		[ASH_FLEET_PENDING] = "pending",
		[ASH_FLEET_HELD] = "held",
		[ASH_FLEET_REFUSED] = "refused",
		[ASH_FLEET_RETIRED] = "retired",
		[ASH_FLEET_LEFT] = "left",
		[ASH_FLEET_UNREACHED] = "unreached",
		[ASH_FLEET_BUSY] = "busy",
		[ASH_FLEET_FAILED] = "failed",
};

const char *ash_fleet_outcome_text(AshFleetOutcome outcome)
{
	return outcomes[outcome];
}

void ash_fleet_wish_free(AshFleetWish *release)
{
	if (release == NULL)
		return;
	g_free(release->name);
	g_free(release->variant);
	g_free(release->arch);
	g_free(release->version);
	g_free(release->commit);
	g_free(release);
}

static void order_free(gpointer data)
{
	AshFleetOrder *order = data;

	g_free(order->verb);
	g_free(order->argument);
	g_free(order);
}

void ash_fleet_answer_free(AshFleetAnswer *answer)
{
	if (answer == NULL)
		return;
	g_free(answer->text);
	g_free(answer->id);
	ash_fleet_wish_free(answer->release);
	g_free(answer->hold);
	g_strfreev(answer->windows);
	g_clear_pointer(&answer->workloads, g_ptr_array_unref);
	g_ptr_array_unref(answer->orders);
	g_free(answer);
}

/* ---- values -------------------------------------------------------------------------------------- */

static gboolean refuse(GError **error, const char *key, const char *what)
{
	return ash_throw(error, ASH_FLEET_ANSWER_ERROR, ASH_FLEET_ANSWER_ERROR_VALUE, "'%s' %s",
			key, what);
}

/* A copy of a text of at most @max bytes, that a terminal and a log may show. */
static gboolean take_text(
		JsonObject *object, const char *key, size_t max, char **out_text, GError **error)
{
	const char *text = "";

	if (!ash_json_text_opt(object, key, &text, error))
		return FALSE;
	if (strlen(text) > max)
		return refuse(error, key, "is too long");
	for (const char *c = text; *c != '\0'; c++)
		if (g_ascii_iscntrl(*c) && *c != '\n')
			return refuse(error, key, "has control characters");
	*out_text = g_strdup(text);
	return TRUE;
}

static bool is_word(const char *text)
{
	return strspn(text, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS ".+~_-") == strlen(text) &&
	       *text != '.' && *text != '-';
}

static gboolean take_word(JsonObject *object, const char *key, char **out_text, GError **error)
{
	return take_text(object, key, ASH_VERSION_MAX_BYTES, out_text, error) &&
	       (is_word(*out_text) || refuse(error, key, "is no name"));
}

gboolean ash_fleet_wish_parse(JsonObject *object, AshFleetWish **out_release, GError **error)
{
	AshFleetWish *release = g_new0(AshFleetWish, 1);
	const char *verb = NULL;
	gboolean is_ok = take_word(object, "name", &release->name, error) &&
			 take_word(object, "variant", &release->variant, error) &&
			 take_word(object, "arch", &release->arch, error) &&
			 take_word(object, "version", &release->version, error) &&
			 take_word(object, "commit", &release->commit, error) &&
			 ash_json_text(object, "verb", &verb, error);

	if (is_ok && !ash_version_is_valid(release->version))
		is_ok = refuse(error, "version", "is none");
	else if (is_ok && !ash_text_is_sha256(release->commit))
		is_ok = refuse(error, "commit", "is not 64 hexadecimal digits");
	else if (is_ok && strcmp(verb, "update") != 0 && strcmp(verb, "return") != 0)
		is_ok = refuse(error, "verb", "is neither update nor return");
	if (!is_ok) {
		ash_fleet_wish_free(release);
		return FALSE;
	}
	release->is_return = strcmp(verb, "return") == 0;
	*out_release = release;
	return TRUE;
}

static bool has_value(JsonObject *object, const char *key)
{
	return json_object_has_member(object, key) && !json_object_get_null_member(object, key);
}

gboolean ash_fleet_windows_parse(
		JsonObject *object, const char *key, char ***out_windows, GError **error)
{
	g_autoptr(GStrvBuilder) texts = g_strv_builder_new();
	JsonArray *array = NULL;

	*out_windows = NULL;
	if (!has_value(object, key))
		return TRUE;
	if (!ash_json_array(object, key, &array, error))
		return FALSE;
	if (json_array_get_length(array) > ASH_FLEET_ANSWER_MAX_WINDOWS)
		return refuse(error, key, "has too many entries");
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		g_autoptr(AshWindow) window = NULL;
		if (json_node_get_value_type(node) != G_TYPE_STRING)
			return refuse(error, key, "holds something that is no text");
		if (!ash_window_parse(json_node_get_string(node), &window, error))
			return FALSE;
		g_strv_builder_add(texts, json_node_get_string(node));
	}
	*out_windows = g_strv_builder_end(texts);
	return TRUE;
}

JsonObject *ash_fleet_element(JsonArray *array, guint index, GError **error)
{
	JsonNode *node = json_array_get_element(array, index);

	if (JSON_NODE_HOLDS_OBJECT(node))
		return json_node_get_object(node);
	return ash_throw_null(error, ASH_FLEET_ANSWER_ERROR, ASH_FLEET_ANSWER_ERROR_VALUE,
			"a list holds something that is no object");
}

/* ---- the server's answer ------------------------------------------------------------------------- */

static gboolean take_argument(JsonObject *object, AshFleetOrder *order, GError **error)
{
	if (!g_str_has_prefix(order->verb, "workload-"))
		return take_word(object, "argument", &order->argument, error);
	return take_text(object, "argument", ASH_FLEET_ANSWER_MAX_ARGUMENT_BYTES, &order->argument,
			       error) &&
	       (strchr(order->argument, '\n') == NULL ||
			       refuse(error, "argument", "is more than a line"));
}

static gboolean take_orders(AshFleetAnswer *answer, JsonObject *object, GError **error)
{
	JsonArray *array = NULL;

	if (!has_value(object, "orders"))
		return TRUE;
	if (!ash_json_array(object, "orders", &array, error))
		return FALSE;
	if (json_array_get_length(array) > ASH_FLEET_ANSWER_MAX_ORDERS)
		return refuse(error, "orders", "has too many entries");
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonObject *one = ash_fleet_element(array, i, error);
		if (one == NULL)
			return FALSE;
		AshFleetOrder *order = g_new0(AshFleetOrder, 1);
		g_ptr_array_add(answer->orders, order);
		/* A verb that this agent does not know is answered, not refused with all the rest. */
		if (!ash_json_uint(one, "id", G_MAXINT64, &order->id, error) ||
				!take_word(one, "verb", &order->verb, error) ||
				!take_argument(one, order, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean take_answer(AshFleetAnswer *answer, JsonObject *object, GError **error)
{
	JsonObject *release = NULL;

	if (!ash_json_uint_opt(object, "event", G_MAXINT64, &answer->event, error) ||
			!ash_json_uint(object, "desired", G_MAXINT64, &answer->desired, error) ||
			!ash_fleet_windows_parse(object, "windows", &answer->windows, error) ||
			!ash_fleet_workload_parse_list(
					object, "workloads", &answer->workloads, error) ||
			!take_orders(answer, object, error))
		return FALSE;
	if (has_value(object, "hold") &&
			!take_text(object, "hold", ASH_CHECKIN_MAX_TEXT, &answer->hold, error))
		return FALSE;
	if (has_value(object, "release") &&
			(!ash_json_object(object, "release", &release, error) ||
					!ash_fleet_wish_parse(release, &answer->release, error)))
		return FALSE;
	answer->is_answered = true;
	return TRUE;
}

static gboolean take_outcome(AshFleetAnswer *answer, JsonObject *object, GError **error)
{
	const char *outcome = NULL;

	if (!ash_json_text(object, "outcome", &outcome, error) ||
			!take_text(object, "text", 4 * ASH_CHECKIN_MAX_TEXT, &answer->text,
					error) ||
			!take_word(object, "id", &answer->id, error))
		return FALSE;
	if (*answer->id != '\0' && !ash_text_is_sha256(answer->id))
		return refuse(error, "id", "is not 64 hexadecimal digits");
	for (size_t i = 0; i < G_N_ELEMENTS(outcomes); i++) {
		if (strcmp(outcomes[i], outcome) != 0)
			continue;
		answer->outcome = (AshFleetOutcome) i;
		return TRUE;
	}
	return refuse(error, "outcome", "is none that is known");
}

gboolean ash_fleet_answer_parse(const char *json, AshFleetAnswer **out_answer, GError **error)
{
	ASH_PREFIX("the fleet's answer");
	g_autoptr(GBytes) bytes = g_bytes_new_static(json, strlen(json));
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshFleetAnswer) answer = g_new0(AshFleetAnswer, 1);
	JsonObject *inner = NULL;

	answer->orders = g_ptr_array_new_with_free_func(order_free);
	if (!ash_json_parse(bytes, ASH_FLEET_ANSWER_MAX_BYTES, ASH_FLEET_ANSWER_MAX_DEPTH, &node,
			    error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_FLEET_ANSWER_ERROR, ASH_FLEET_ANSWER_ERROR_VALUE,
				"not an object");
	JsonObject *object = json_node_get_object(node);
	if (!take_outcome(answer, object, error))
		return FALSE;
	if (answer->outcome == ASH_FLEET_JOINED &&
			(!ash_json_object(object, "answer", &inner, error) ||
					!take_answer(answer, inner, error)))
		return FALSE;
	*out_answer = g_steal_pointer(&answer);
	return TRUE;
}
