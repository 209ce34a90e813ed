/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/workload/machine.h"
#include "lib/error.h"
#include "lib/text.h"
#include "lib/version.h"

/* ---- writing ---- */

static void add_ref(JsonBuilder *builder, const char *key, const AshMachineRef *ref)
{
	if (ref->digest == NULL)
		return;
	ash_json_begin_object(builder, key);
	ash_json_add_text(builder, "version", ref->version);
	ash_json_add_text(builder, "digest", ref->digest);
	ash_json_add_text(builder, "commit", ref->commit);
	ash_json_add_uint(builder, "instances", ref->instances);
	json_builder_end_object(builder);
}

static void add_instance(JsonBuilder *builder, const AshMachineInstance *instance)
{
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "state", ash_instance_state_text(instance->state));
	ash_json_add_text(builder, "text", instance->text);
	ash_json_add_int(builder, "since", instance->since_s);
	ash_json_add_bool(builder, "is_broken", instance->is_broken);
	ash_json_add_bool(builder, "is_again", instance->is_again);
	ash_json_add_int(builder, "until", instance->until_us);
	ash_json_add_uint(builder, "restarts", instance->restarts);
	ash_json_begin_array(builder, "crashes");
	for (unsigned i = 0; i < instance->n_crashes; i++)
		json_builder_add_int_value(builder, instance->crash_us[i]);
	json_builder_end_array(builder);
	json_builder_end_object(builder);
}

void ash_machine_add_json(const AshMachine *machine, JsonBuilder *builder)
{
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", machine->name);
	ash_json_add_text(builder, "state", ash_machine_state_text(machine->state));
	ash_json_add_int(builder, "since", machine->since_s);
	ash_json_add_bool(builder, "is_wanted", machine->is_wanted);
	ash_json_add_bool(builder, "is_removed", machine->is_removed);
	ash_json_add_bool(builder, "drops_volumes", machine->drops_volumes);
	add_ref(builder, "current", &machine->current);
	add_ref(builder, "target", &machine->target);
	ash_json_add_text(builder, "text", machine->text);
	ash_json_add_uint(builder, "attempts", machine->attempts);
	ash_json_add_uint(builder, "trials", machine->trials);
	ash_json_add_int(builder, "retry", machine->retry_us);
	ash_json_add_text(builder, "boot_id", machine->boot_id);
	ash_json_begin_array(builder, "instances");
	for (guint i = 0; i < machine->instances->len; i++)
		add_instance(builder, machine->instances->pdata[i]);
	json_builder_end_array(builder);
	ash_json_begin_array(builder, "failed");
	for (guint i = 0; i < machine->failed->len; i++) {
		const AshMachineFailed *failed = machine->failed->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "version", failed->version);
		ash_json_add_text(builder, "digest", failed->digest);
		ash_json_add_text(builder, "reason", failed->reason);
		ash_json_add_int(builder, "at", failed->at_s);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	json_builder_end_object(builder);
}

/* ---- reading ---- */

static gboolean refuse(GError **error, const char *what)
{
	return ash_throw(error, ASH_MACHINE_ERROR, ASH_MACHINE_ERROR_SYNTAX, "'%s' is not valid",
			what);
}

static gboolean read_text(JsonObject *object, const char *key, char **out_text, GError **error)
{
	const char *text = NULL;

	if (!ash_json_text_opt(object, key, &text, error))
		return FALSE;
	g_free(*out_text);
	*out_text = g_strdup(text);
	return TRUE;
}

static gboolean read_count(JsonObject *object, const char *key, uint64_t max, unsigned *out_count,
		GError **error)
{
	uint64_t count = 0;

	if (!ash_json_uint_opt(object, key, max, &count, error))
		return FALSE;
	*out_count = (unsigned) count;
	return TRUE;
}

static gboolean read_ref(JsonObject *machine, const char *key, AshMachineRef *ref, GError **error)
{
	JsonObject *object = NULL;

	if (!json_object_has_member(machine, key))
		return TRUE;
	ASH_PREFIX("%s", key);
	if (!ash_json_object(machine, key, &object, error) ||
			!read_text(object, "version", &ref->version, error) ||
			!read_text(object, "digest", &ref->digest, error) ||
			!read_text(object, "commit", &ref->commit, error) ||
			!read_count(object, "instances", ASH_WORKLOAD_MAX_INSTANCES,
					&ref->instances, error))
		return FALSE;
	if (ref->version == NULL || !ash_version_is_valid(ref->version))
		return refuse(error, "version");
	if (!ash_text_is_sha256(ref->digest))
		return refuse(error, "digest");
	return TRUE;
}

static gboolean read_crashes(JsonObject *object, AshMachineInstance *instance, GError **error)
{
	JsonArray *crashes = NULL;

	if (!ash_json_array(object, "crashes", &crashes, error))
		return FALSE;
	if (json_array_get_length(crashes) > ASH_MACHINE_MAX_CRASHES)
		return refuse(error, "crashes");
	for (guint i = 0; i < json_array_get_length(crashes); i++) {
		JsonNode *node = json_array_get_element(crashes, i);
		if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
			return refuse(error, "crashes");
		instance->crash_us[instance->n_crashes++] = json_node_get_int(node);
	}
	return TRUE;
}

static gboolean read_instance(JsonObject *object, AshMachineInstance *instance, GError **error)
{
	const char *state = NULL;

	if (!ash_json_text(object, "state", &state, error) ||
			!read_text(object, "text", &instance->text, error) ||
			!ash_json_int_opt(object, "since", &instance->since_s, error) ||
			!ash_json_bool_opt(object, "is_broken", &instance->is_broken, error) ||
			!ash_json_bool_opt(object, "is_again", &instance->is_again, error) ||
			!ash_json_int_opt(object, "until", &instance->until_us, error) ||
			!read_count(object, "restarts", UINT32_MAX, &instance->restarts, error) ||
			!read_crashes(object, instance, error))
		return FALSE;
	for (int i = ASH_INSTANCE_DOWN; i <= ASH_INSTANCE_DONE; i++) {
		if (strcmp(ash_instance_state_text((AshInstanceState) i), state) != 0)
			continue;
		instance->state = (AshInstanceState) i;
		return TRUE;
	}
	return refuse(error, "state");
}

static gboolean read_instances(JsonObject *object, AshMachine *machine, GError **error)
{
	JsonArray *array = NULL;

	if (!ash_json_array(object, "instances", &array, error))
		return FALSE;
	if (json_array_get_length(array) > ASH_WORKLOAD_MAX_INSTANCES)
		return refuse(error, "instances");
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		if (!JSON_NODE_HOLDS_OBJECT(node))
			return refuse(error, "instances");
		AshMachineInstance *instance = g_new0(AshMachineInstance, 1);
		g_ptr_array_add(machine->instances, instance);
		if (!read_instance(json_node_get_object(node), instance, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean read_failed(JsonObject *object, AshMachine *machine, GError **error)
{
	JsonArray *array = NULL;

	if (!ash_json_array(object, "failed", &array, error))
		return FALSE;
	if (json_array_get_length(array) > ASH_MACHINE_MAX_FAILED)
		return refuse(error, "failed");
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		const char *version = NULL, *digest = NULL, *reason = "";
		int64_t at_s = 0;
		if (!JSON_NODE_HOLDS_OBJECT(node))
			return refuse(error, "failed");
		JsonObject *item = json_node_get_object(node);
		if (!ash_json_text(item, "version", &version, error) ||
				!ash_json_text(item, "digest", &digest, error) ||
				!ash_json_text_opt(item, "reason", &reason, error) ||
				!ash_json_int_opt(item, "at", &at_s, error))
			return FALSE;
		AshMachineFailed *failed = g_new0(AshMachineFailed, 1);
		failed->version = g_strdup(version);
		failed->digest = g_strdup(digest);
		failed->reason = g_strdup(reason);
		failed->at_s = at_s;
		g_ptr_array_add(machine->failed, failed);
	}
	return TRUE;
}

static gboolean read_state(JsonObject *object, AshMachine *machine, GError **error)
{
	const char *state = NULL;

	if (!ash_json_text(object, "state", &state, error))
		return FALSE;
	for (int i = ASH_MACHINE_STOPPED; i <= ASH_MACHINE_ABSENT; i++) {
		if (strcmp(ash_machine_state_text((AshMachineState) i), state) != 0)
			continue;
		machine->state = (AshMachineState) i;
		return TRUE;
	}
	return refuse(error, "state");
}

/* What the steps take for granted. */
static gboolean check(const AshMachine *machine, GError **error)
{
	bool has_current = machine->current.digest != NULL;
	bool has_target = machine->target.digest != NULL;

	switch (machine->state) {
	case ASH_MACHINE_UP:
	case ASH_MACHINE_RETURNING:
		return has_current ? TRUE : refuse(error, "current");
	case ASH_MACHINE_FETCHING:
		return has_target ? TRUE : refuse(error, "target");
	case ASH_MACHINE_STAGING:
		return has_current && has_target ? TRUE : refuse(error, "target");
	case ASH_MACHINE_SWITCHING:
	case ASH_MACHINE_TRIAL:
		return has_current && has_target && machine->target.commit != NULL
				       ? TRUE
				       : refuse(error, "target");
	case ASH_MACHINE_STOPPED:
	case ASH_MACHINE_STOPPING:
	case ASH_MACHINE_ABSENT:
		break;
	}
	return TRUE;
}

gboolean ash_machine_read_json(JsonObject *object, AshMachine **out_machine, GError **error)
{
	const char *name = NULL;

	if (!ash_json_text(object, "name", &name, error))
		return FALSE;
	if (!ash_workload_is_name(name))
		return refuse(error, "name");
	ASH_PREFIX("workload '%s'", name);
	g_autoptr(AshMachine) machine = ash_machine_new(name);
	if (!read_state(object, machine, error) ||
			!ash_json_int_opt(object, "since", &machine->since_s, error) ||
			!ash_json_bool_opt(object, "is_wanted", &machine->is_wanted, error) ||
			!ash_json_bool_opt(object, "is_removed", &machine->is_removed, error) ||
			!ash_json_bool_opt(
					object, "drops_volumes", &machine->drops_volumes, error) ||
			!read_ref(object, "current", &machine->current, error) ||
			!read_ref(object, "target", &machine->target, error) ||
			!read_text(object, "text", &machine->text, error) ||
			!read_count(object, "attempts", UINT32_MAX, &machine->attempts, error) ||
			!read_count(object, "trials", UINT32_MAX, &machine->trials, error) ||
			!ash_json_int_opt(object, "retry", &machine->retry_us, error) ||
			!read_text(object, "boot_id", &machine->boot_id, error) ||
			!read_instances(object, machine, error) ||
			!read_failed(object, machine, error) || !check(machine, error))
		return FALSE;
	*out_machine = g_steal_pointer(&machine);
	return TRUE;
}
