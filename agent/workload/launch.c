/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/launch.h"

#include <stddef.h>
#include <string.h>

#include "lib/error.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_launch_error, ash_launch_error)

enum {
	MAX_DEPTH = 4
};

/* Every member that is of a plain type, in the order of the file. */
typedef enum {
	TEXT,
	TEXTS,
	U32,
	U64,
	BOOL
} FieldType;

typedef struct {
	const char *key;
	FieldType type;
	size_t offset;
	bool is_path; /* TEXT: absolute, or empty */
} Field;

#define FIELD(type, member)                                                                        \
	{                                                                                          \
#member, type, offsetof(AshLaunch, member), false                                  \
	}
#define PATH(member)                                                                               \
	{                                                                                          \
#member, TEXT, offsetof(AshLaunch, member), true                                   \
	}

static const Field fields[] = {FIELD(TEXT, instance), PATH(dir), PATH(root),
		FIELD(TEXT, image_digest), PATH(cache), FIELD(BOOL, is_booted),
		FIELD(TEXTS, command), FIELD(TEXTS, environment), PATH(directory), FIELD(U32, uid),
		FIELD(U32, gid), FIELD(U32, uid_base), FIELD(U32, cpu_milli),
		FIELD(U64, memory_bytes), FIELD(U64, disk_bytes), FIELD(U32, tasks),
		FIELD(U32, descriptors), FIELD(TEXT, netns), FIELD(TEXT, tap), PATH(kernel),
		FIELD(TEXT, address), FIELD(TEXT, gateway), FIELD(TEXT, mac), FIELD(TEXTS, hosts),
		FIELD(TEXTS, nameservers), FIELD(TEXTS, capabilities), FIELD(TEXTS, devices),
		FIELD(TEXTS, calls_added), FIELD(TEXTS, calls_removed), FIELD(TEXTS, calls_only),
		FIELD(BOOL, is_recording), FIELD(BOOL, is_idle)};

static const char *const others[] = {"isolation", "at_least", "machine", "binds", NULL};
static const char *const contracts[] = {"host-kernel", "linux", "pvh", "multiboot", NULL};

static void *at(const AshLaunch *launch, const Field *field)
{
	return (char *) (uintptr_t) launch + field->offset;
}

static void bind_free(gpointer data)
{
	AshLaunchBind *bind = data;

	g_free(bind->source);
	g_free(bind->target);
	g_free(bind);
}

AshLaunchBind *ash_launch_add_bind(AshLaunch *launch, const char *source, const char *target)
{
	AshLaunchBind *bind = g_new0(AshLaunchBind, 1);

	bind->source = g_strdup(source);
	bind->target = g_strdup(target);
	g_ptr_array_add(launch->binds, bind);
	return bind;
}

AshLaunch *ash_launch_new(void)
{
	AshLaunch *launch = g_new0(AshLaunch, 1);

	launch->isolation = ASH_ISOLATION_CLASS_CONTAINER;
	launch->binds = g_ptr_array_new_with_free_func(bind_free);
	launch->machine.kernel = g_strdup("");
	launch->machine.initrd = g_strdup("");
	launch->machine.arguments = g_strdup("");
	launch->machine.modules = g_new0(char *, 1);
	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
		if (fields[i].type == TEXT)
			*(char **) at(launch, &fields[i]) = g_strdup("");
		else if (fields[i].type == TEXTS &&
				fields[i].offset != offsetof(AshLaunch, calls_only))
			*(char ***) at(launch, &fields[i]) = g_new0(char *, 1);
	}
	return launch;
}

void ash_launch_free(AshLaunch *launch)
{
	if (launch == NULL)
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
		if (fields[i].type == TEXT)
			g_free(*(char **) at(launch, &fields[i]));
		else if (fields[i].type == TEXTS)
			g_strfreev(*(char ***) at(launch, &fields[i]));
	}
	g_free(launch->machine.kernel);
	g_free(launch->machine.initrd);
	g_free(launch->machine.arguments);
	g_strfreev(launch->machine.modules);
	g_clear_pointer(&launch->binds, g_ptr_array_unref);
	g_free(launch);
}

/* ---- reading ------------------------------------------------------------------------------------- */

static gboolean read_text(JsonObject *object, const char *key, char **out_text, GError **error)
{
	const char *text = NULL;

	if (!ash_json_text_opt(object, key, &text, error))
		return FALSE;
	if (text == NULL)
		return TRUE;
	g_free(*out_text);
	*out_text = g_strdup(text);
	return TRUE;
}

static gboolean read_texts(JsonObject *object, const char *key, char ***out_texts, GError **error)
{
	g_autoptr(GStrvBuilder) texts = g_strv_builder_new();
	JsonArray *array = NULL;

	if (!json_object_has_member(object, key))
		return TRUE;
	if (!ash_json_array(object, key, &array, error))
		return FALSE;
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		if (json_node_get_value_type(node) != G_TYPE_STRING)
			return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE,
					"'%s' does not hold strings alone", key);
		g_strv_builder_add(texts, json_node_get_string(node));
	}
	g_strfreev(*out_texts);
	*out_texts = g_strv_builder_end(texts);
	return TRUE;
}

static gboolean check_path(const char *key, const char *path, GError **error)
{
	if (*path == '/' || *path == '\0')
		return TRUE;
	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
			"'%s' is not an absolute path", key);
}

static gboolean read_field(
		JsonObject *object, const Field *field, AshLaunch *launch, GError **error)
{
	void *value = at(launch, field);

	switch (field->type) {
	case TEXT:
		return read_text(object, field->key, value, error) &&
		       (!field->is_path || check_path(field->key, *(char **) value, error));
	case TEXTS:
		return read_texts(object, field->key, value, error);
	case U32: {
		uint64_t number = 0;
		if (!ash_json_uint_opt(object, field->key, UINT32_MAX, &number, error))
			return FALSE;
		*(uint32_t *) value = (uint32_t) number;
		return TRUE;
	}
	case U64:
		return ash_json_uint_opt(object, field->key, INT64_MAX, value, error);
	case BOOL:
		return ash_json_bool_opt(object, field->key, value, error);
	}
	g_assert_not_reached();
}

static gboolean check_members(JsonObject *object, bool (*is_known)(const char *key), GError **error)
{
	g_autoptr(GList) members = json_object_get_members(object);

	for (GList *member = members; member != NULL; member = member->next)
		if (!is_known(member->data))
			return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
					"unknown member '%.80s'", (const char *) member->data);
	return TRUE;
}

static bool is_known_in_launch(const char *key)
{
	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
		if (strcmp(fields[i].key, key) == 0)
			return true;
	return g_strv_contains(others, key);
}

static bool is_known_in_bind(const char *key)
{
	static const char *const keys[] = {"source", "target", "is_read_only", "is_file", NULL};

	return g_strv_contains(keys, key);
}

static bool is_known_in_machine(const char *key)
{
	static const char *const keys[] = {
			"contract", "kernel", "initrd", "arguments", "modules", NULL};

	return g_strv_contains(keys, key);
}

static gboolean read_bind(JsonNode *node, AshLaunch *launch, GError **error)
{
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
				"'binds' does not hold objects alone");
	JsonObject *object = json_node_get_object(node);
	const char *source = NULL, *target = NULL;
	if (!check_members(object, is_known_in_bind, error) ||
			!ash_json_text(object, "source", &source, error) ||
			!ash_json_text(object, "target", &target, error))
		return FALSE;
	if (*source != '/' || *target != '/')
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
				"a bind's source or target is not an absolute path");
	AshLaunchBind *bind = ash_launch_add_bind(launch, source, target);
	return ash_json_bool_opt(object, "is_read_only", &bind->is_read_only, error) &&
	       ash_json_bool_opt(object, "is_file", &bind->is_file, error);
}

static gboolean read_binds(JsonObject *object, AshLaunch *launch, GError **error)
{
	JsonArray *array = NULL;

	if (!json_object_has_member(object, "binds"))
		return TRUE;
	if (!ash_json_array(object, "binds", &array, error))
		return FALSE;
	for (guint i = 0; i < json_array_get_length(array); i++)
		if (!read_bind(json_array_get_element(array, i), launch, error))
			return FALSE;
	return TRUE;
}

static gboolean find_contract(const char *name, AshMachineContract *out_contract, GError **error)
{
	for (size_t i = 0; contracts[i] != NULL; i++)
		if (strcmp(contracts[i], name) == 0) {
			*out_contract = (AshMachineContract) i;
			return TRUE;
		}
	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
			"unknown contract '%.80s'", name);
}

static gboolean read_machine(JsonObject *launch_object, AshLaunch *launch, GError **error)
{
	AshWorkloadMachine *machine = &launch->machine;
	const char *contract = contracts[0];
	JsonObject *object = NULL;

	if (!json_object_has_member(launch_object, "machine"))
		return TRUE;
	return ash_json_object(launch_object, "machine", &object, error) &&
	       check_members(object, is_known_in_machine, error) &&
	       ash_json_text_opt(object, "contract", &contract, error) &&
	       find_contract(contract, &machine->contract, error) &&
	       read_text(object, "kernel", &machine->kernel, error) &&
	       read_text(object, "initrd", &machine->initrd, error) &&
	       read_text(object, "arguments", &machine->arguments, error) &&
	       read_texts(object, "modules", &machine->modules, error);
}

static gboolean read_isolation(JsonObject *object, AshLaunch *launch, GError **error)
{
	const char *name = NULL, *at_least = "none";

	if (!ash_json_text(object, "isolation", &name, error) ||
			!ash_json_text_opt(object, "at_least", &at_least, error))
		return FALSE;
	if (!ash_isolation_class_find(name, &launch->isolation))
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
				"unknown isolation '%.80s'", name);
	for (int i = ASH_ISOLATION_NONE; i <= ASH_ISOLATION_HARDWARE; i++)
		if (strcmp(ash_isolation_strength_name((AshIsolationStrength) i), at_least) == 0) {
			launch->at_least = (AshIsolationStrength) i;
			return TRUE;
		}
	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
			"unknown strength '%.80s'", at_least);
}

/* What no later step could make sense of. */
static gboolean check(const AshLaunch *launch, GError **error)
{
	if (*launch->instance == '\0' || strchr(launch->instance, '/') != NULL ||
			strlen(launch->instance) > 64)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
				"'instance' is not a name");
	if (*launch->dir == '\0' || *launch->root == '\0' || *launch->cache == '\0')
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
				"'dir', 'root' or 'cache' is missing");
	if (launch->command[0] == NULL && !launch->is_booted && !launch->is_idle &&
			launch->machine.contract == ASH_MACHINE_HOST_KERNEL)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
				"'command' is missing");
	/* Range 0 is the host's own users. */
	if (launch->uid_base == 0 || launch->uid_base % ASH_LAUNCH_UIDS != 0 ||
			launch->uid >= ASH_LAUNCH_UIDS || launch->gid >= ASH_LAUNCH_UIDS)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
				"'uid_base', 'uid' or 'gid' is out of range");
	for (guint i = 0; launch->environment[i] != NULL; i++)
		if (strchr(launch->environment[i], '=') == NULL)
			return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
					"'environment' holds what is not NAME=value");
	return TRUE;
}

static gboolean parse(GBytes *text, AshLaunch *launch, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(text, ASH_LAUNCH_MAX_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX, "not an object");
	JsonObject *object = json_node_get_object(node);
	if (!check_members(object, is_known_in_launch, error) ||
			!read_isolation(object, launch, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
		if (!read_field(object, &fields[i], launch, error))
			return FALSE;
	return read_machine(object, launch, error) && read_binds(object, launch, error) &&
	       check(launch, error);
}

gboolean ash_launch_parse(GBytes *text, AshLaunch **out_launch, GError **error)
{
	g_autoptr(AshLaunch) launch = ash_launch_new();
	g_autoptr(GError) cause = NULL;

	if (!parse(text, launch, &cause))
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
				"launch.json: %s", cause->message);
	*out_launch = g_steal_pointer(&launch);
	return TRUE;
}

/* ---- writing ------------------------------------------------------------------------------------- */

static void add_field(JsonBuilder *builder, const Field *field, const AshLaunch *launch)
{
	const void *value = at(launch, field);

	switch (field->type) {
	case TEXT:
		ash_json_add_text(builder, field->key, *(char *const *) value);
		break;
	case TEXTS:
		/* An empty list of the only calls is not the same as none. */
		if (*(char **const *) value != NULL)
			ash_json_add_texts(builder, field->key, *(char **const *) value);
		break;
	case U32:
		ash_json_add_uint(builder, field->key, *(const uint32_t *) value);
		break;
	case U64:
		ash_json_add_uint(builder, field->key, *(const uint64_t *) value);
		break;
	case BOOL:
		ash_json_add_bool(builder, field->key, *(const bool *) value);
		break;
	}
}

char *ash_launch_format(const AshLaunch *launch)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "isolation", ash_isolation_class_name(launch->isolation));
	ash_json_add_text(builder, "at_least", ash_isolation_strength_name(launch->at_least));
	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
		add_field(builder, &fields[i], launch);
	ash_json_begin_object(builder, "machine");
	ash_json_add_text(builder, "contract", contracts[launch->machine.contract]);
	ash_json_add_text(builder, "kernel", launch->machine.kernel);
	ash_json_add_text(builder, "initrd", launch->machine.initrd);
	ash_json_add_text(builder, "arguments", launch->machine.arguments);
	ash_json_add_texts(builder, "modules", launch->machine.modules);
	json_builder_end_object(builder);
	ash_json_begin_array(builder, "binds");
	for (guint i = 0; launch->binds != NULL && i < launch->binds->len; i++) {
		const AshLaunchBind *bind = launch->binds->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "source", bind->source);
		ash_json_add_text(builder, "target", bind->target);
		ash_json_add_bool(builder, "is_read_only", bind->is_read_only);
		ash_json_add_bool(builder, "is_file", bind->is_file);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, true);
}
