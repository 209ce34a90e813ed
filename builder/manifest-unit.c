/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/manifest-load.h"

/* The items of a manifest's lists that act on the tree: units with their drop-ins, scripts. */

enum {
	MAX_DROPINS = 64, /* of one unit */
};

/* ---- units --------------------------------------------------------------------------------------- */

#define IN(field) .offset = offsetof(AshManifestDropin, field)
static const AshSchemaKey dropin_keys[] = {
		{.name = "name",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_REQUIRED,
				.form = ASH_FORM_DROPIN,
				IN(name),
				.doc = "The drop-in's file name.",
				.example = "name: 20-limits.conf"},
		ASH_MANIFEST_CONTENT_KEYS("drop-in"),
		{0},
};
#undef IN

static void dropin_free(gpointer data)
{
	AshManifestDropin *dropin = data;

	g_free(dropin->name);
	g_clear_pointer(&dropin->content, g_bytes_unref);
	g_free(dropin);
}

static gboolean finish_dropin(
		AshManifestLoader *loader, const AshYamlNode *node, gpointer item, GError **error)
{
	AshManifestDropin *dropin = item;
	bool is_executable;

	if (!ash_manifest_take_content(
			    loader, node, "drop-in", &dropin->content, &is_executable, error))
		return FALSE;
	if (dropin->content == NULL)
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_MISSING,
				"a drop-in needs 'content' or 'source'");
	return TRUE;
}

static const AshSchemaObject dropin_object = {
		.noun = "drop-in",
		.size = sizeof(AshManifestDropin),
		.keys = dropin_keys,
		.free = dropin_free,
		.finish = finish_dropin,
		.identity = -1,
};

#define IN(field) .offset = offsetof(AshManifestUnit, field)
static const AshSchemaKey unit_keys[] = {
		{.name = "name",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_REQUIRED,
				.form = ASH_FORM_UNIT,
				IN(name),
				.doc = "The unit's name.",
				.example = "name: web.service"},
		ASH_MANIFEST_CONTENT_KEYS("unit"),
		{.name = "dropins",
				.type = ASH_SCHEMA_ITEMS,
				.object = &dropin_object,
				IN(dropins),
				.doc = "Settings to add to the unit, each in a file of its own; at most "
				       "64.",
				.example = "dropins:\n"
					   "  - name: 10-memory.conf\n"
					   "    content: |\n"
					   "      [Service]\n"
					   "      MemoryMax=64M"},
		{.name = "enable",
				.type = ASH_SCHEMA_BOOL,
				IN(enable),
				.default_text = "false",
				.doc = "Starts the unit at boot, as its [Install] section says.",
				.example = "enable: true"},
		{.name = "disable",
				.type = ASH_SCHEMA_BOOL,
				IN(disable),
				.default_text = "false",
				.doc = "Undoes what a package's preset enables.",
				.example = "disable: true"},
		{.name = "mask",
				.type = ASH_SCHEMA_BOOL,
				IN(mask),
				.default_text = "false",
				.doc = "Makes it impossible to start the unit.",
				.example = "mask: true"},
		{0},
};
#undef IN

static void unit_free(gpointer data)
{
	AshManifestUnit *unit = data;

	g_free(unit->name);
	g_clear_pointer(&unit->content, g_bytes_unref);
	g_clear_pointer(&unit->dropins, g_ptr_array_unref);
	g_free(unit);
}

static AshManifestDropin *find_dropin(
		const GPtrArray *dropins, guint limit, const char *name, guint *out_index)
{
	for (guint i = 0; i < limit; i++) {
		AshManifestDropin *dropin = dropins->pdata[i];
		if (strcmp(dropin->name, name) == 0) {
			*out_index = i;
			return dropin;
		}
	}
	return NULL;
}

static gboolean check_dropins(const AshManifestUnit *unit, const AshYamlNode *node, GError **error)
{
	const GPtrArray *dropins = unit->dropins;
	guint index;

	if (dropins->len > MAX_DROPINS)
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_VALUE,
				"unit '%s' has more than %d drop-ins", unit->name, MAX_DROPINS);
	for (guint i = 0; i < dropins->len; i++) {
		const AshManifestDropin *dropin = dropins->pdata[i];
		const AshManifestDropin *other = find_dropin(dropins, i, dropin->name, &index);
		if (other != NULL)
			return ash_manifest_throw(ash_yaml_get(node, "dropins")->items->pdata[i],
					error, ASH_MANIFEST_ERROR_DUPLICATE,
					"drop-in '%s' is already at %s", dropin->name, other->mark);
	}
	return TRUE;
}

static gboolean finish_unit(
		AshManifestLoader *loader, const AshYamlNode *node, gpointer item, GError **error)
{
	AshManifestUnit *unit = item;
	bool is_executable;

	if (!ash_manifest_take_content(loader, node, "unit", &unit->content, &is_executable, error))
		return FALSE;
	if (unit->enable + unit->disable + unit->mask > 1)
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_VALUE,
				"unit '%s' has only one of 'enable', 'disable' and 'mask'",
				unit->name);
	if (unit->mask && unit->content != NULL)
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_VALUE,
				"unit '%s' is masked, its content would never be read", unit->name);
	if (unit->content == NULL && unit->dropins->len == 0 && !unit->enable && !unit->disable &&
			!unit->mask)
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_MISSING,
				"unit '%s' needs 'content', 'source', 'dropins', 'enable', "
				"'disable' or 'mask'",
				unit->name);
	return check_dropins(unit, node, error);
}

static void merge_unit(gpointer earlier, gpointer later)
{
	AshManifestUnit *unit = earlier;
	AshManifestUnit *over = later;
	guint index;

	unit->mark = over->mark;
	if (over->content != NULL) {
		g_clear_pointer(&unit->content, g_bytes_unref);
		unit->content = g_steal_pointer(&over->content);
		unit->mask = false;
	}
	if (over->enable || over->disable || over->mask) {
		unit->enable = over->enable;
		unit->disable = over->disable;
		unit->mask = over->mask;
	}
	if (unit->mask)
		g_clear_pointer(&unit->content, g_bytes_unref);
	while (over->dropins->len > 0) {
		AshManifestDropin *dropin = g_ptr_array_steal_index(over->dropins, 0);
		if (find_dropin(unit->dropins, unit->dropins->len, dropin->name, &index) != NULL) {
			dropin_free(unit->dropins->pdata[index]);
			unit->dropins->pdata[index] = dropin;
		} else {
			g_ptr_array_add(unit->dropins, dropin);
		}
	}
}

const AshSchemaObject ash_manifest_object_unit = {
		.noun = "unit",
		.size = sizeof(AshManifestUnit),
		.keys = unit_keys,
		.free = unit_free,
		.finish = finish_unit,
		.identity = offsetof(AshManifestUnit, name),
		.merge = merge_unit,
};

/* ---- postprocess --------------------------------------------------------------------------------- */

#define IN(field) .offset = offsetof(AshManifestScript, field)
static const AshSchemaKey script_keys[] = {
		{.name = "name",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_DEFAULT_IS_WORDS,
				.form = ASH_FORM_LINE,
				IN(name),
				.default_text = "postprocess 1, postprocess 2, …",
				.doc = "What messages call the script.",
				.example = "name: stamp"},
		ASH_MANIFEST_CONTENT_KEYS("script"),
		{0},
};
#undef IN

static void script_free(gpointer data)
{
	AshManifestScript *script = data;

	g_free(script->name);
	g_clear_pointer(&script->content, g_bytes_unref);
	g_free(script);
}

static gboolean finish_script(
		AshManifestLoader *loader, const AshYamlNode *node, gpointer item, GError **error)
{
	AshManifestScript *script = item;
	bool is_executable;

	if (!ash_manifest_take_content(
			    loader, node, "script", &script->content, &is_executable, error))
		return FALSE;
	if (script->content == NULL)
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_MISSING,
				"a script needs 'content' or 'source'");
	return TRUE;
}

const AshSchemaObject ash_manifest_object_script = {
		.noun = "script",
		.size = sizeof(AshManifestScript),
		.keys = script_keys,
		.free = script_free,
		.finish = finish_script,
		.identity = -1,
};
