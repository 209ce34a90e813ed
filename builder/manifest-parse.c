/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/manifest-load.h"
#include "lib/error.h"
#include "lib/text.h"

/* Reading by the table of schema.c: first the shape of every file, whatever is chosen, then the
 * values of the chosen parts, when variables have been put in.
 */

/* Where a map stands, as not every key may stand everywhere. */
typedef enum {
	PLACE_TOP,
	PLACE_ARCH,
	PLACE_VARIANT,
	PLACE_ITEM,
} Place;

typedef struct {
	guint index; /* in its list */
	unsigned layer;
} Known;

/* ---- messages ------------------------------------------------------------------------------------ */

gboolean ash_manifest_throw(const AshYamlNode *node, GError **error, AshManifestError code,
		const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	return ash_yaml_throw(node, error, ASH_MANIFEST_ERROR, (int) code, "%s", text);
}

AshMark ash_manifest_mark(const AshYamlNode *node)
{
	g_autofree char *mark = g_strdup_printf("%s:%u:%u", node->file, node->line, node->column);

	return g_intern_string(mark);
}

/* A pair's key as a node, for messages that point at it. */
static AshYamlNode key_node(const AshYamlNode *map, const AshYamlPair *pair)
{
	return (AshYamlNode){.file = map->file, .line = pair->line, .column = pair->column};
}

/* lib/yaml.h's words for a wrong type, in this module's domain. */
static gboolean rethrow_type(const GError *local, GError **error)
{
	return ash_throw(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_TYPE, "%s", local->message);
}

static const char *describe(const AshYamlNode *node)
{
	static const char *const kinds[] = {[ASH_YAML_NULL] = "nothing",
			[ASH_YAML_SCALAR] = "one value",
			[ASH_YAML_LIST] = "a list",
			[ASH_YAML_MAP] = "a map"};

	return kinds[node->kind];
}

/* ---- shape --------------------------------------------------------------------------------------- */

static bool is_allowed(const AshSchemaKey *key, Place place)
{
	if (place == PLACE_TOP || place == PLACE_ITEM || !(key->flags & ASH_SCHEMA_TOP_ONLY))
		return true;
	return place == PLACE_VARIANT && (key->flags & ASH_SCHEMA_IN_VARIANT);
}

static gboolean throw_unknown(const AshYamlNode *map, const AshYamlPair *pair,
		const AshSchemaKey *keys, Place place, GError **error)
{
	AshYamlNode at = key_node(map, pair);
	g_autoptr(GPtrArray) names = g_ptr_array_new();

	if (ash_schema_find(keys, pair->key) != NULL)
		return ash_manifest_throw(&at, error, ASH_MANIFEST_ERROR_UNKNOWN_KEY,
				"key '%s' is not allowed inside %s", pair->key,
				place == PLACE_ARCH ? "an architecture" : "a variant");
	for (const AshSchemaKey *key = keys; key->name != NULL; key++)
		if (is_allowed(key, place))
			g_ptr_array_add(names, (gpointer) (guintptr) key->name);
	g_ptr_array_add(names, NULL);
	g_autofree char *suggestion =
			ash_text_suggestion(pair->key, (const char *const *) (void *) names->pdata);
	return ash_manifest_throw(&at, error, ASH_MANIFEST_ERROR_UNKNOWN_KEY, "unknown key '%s'%s",
			pair->key, suggestion);
}

static gboolean check_kind(
		const char *name, const AshYamlNode *node, AshYamlKind kind, GError **error)
{
	static const char *const expected[] = {[ASH_YAML_NULL] = "nothing",
			[ASH_YAML_SCALAR] = "one value",
			[ASH_YAML_LIST] = "a list ([] for an empty one)",
			[ASH_YAML_MAP] = "a map ({} for an empty one)"};

	if (node->kind == kind)
		return TRUE;
	return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_TYPE, "'%s' is %s, expected %s",
			name, describe(node), expected[kind]);
}

static gboolean check_map(
		const AshSchemaKey *keys, const AshYamlNode *map, Place place, GError **error);

static gboolean check_items(const AshSchemaKey *key, const AshYamlNode *list, GError **error)
{
	bool is_text = key->object == NULL;

	if (!check_kind(key->name, list, ASH_YAML_LIST, error))
		return FALSE;
	for (guint i = 0; i < list->items->len; i++) {
		const AshYamlNode *item = list->items->pdata[i];
		if (item->kind != (is_text ? ASH_YAML_SCALAR : ASH_YAML_MAP))
			return ash_manifest_throw(item, error, ASH_MANIFEST_ERROR_TYPE,
					"an item of '%s' is %s, expected %s", key->name,
					describe(item), is_text ? "text" : "a map");
		if (!is_text && !check_map(key->object->keys, item, PLACE_ITEM, error))
			return FALSE;
	}
	return TRUE;
}

/* Maps whose keys are names: variables, architectures, variants. */
static gboolean check_names(const AshSchemaKey *key, const AshYamlNode *map, GError **error)
{
	bool is_part = key->type == ASH_SCHEMA_PARTS;
	Place place = key->form == ASH_FORM_ARCH ? PLACE_ARCH : PLACE_VARIANT;

	if (!check_kind(key->name, map, ASH_YAML_MAP, error))
		return FALSE;
	for (guint i = 0; i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		AshYamlNode at = key_node(map, pair);
		if (!ash_form_matches(key->form, pair->key))
			return ash_manifest_throw(&at, error, ASH_MANIFEST_ERROR_VALUE,
					"'%s' in '%s': expected %s", pair->key, key->name,
					ash_form_expected(key->form));
		if (!is_part && !check_kind(pair->key, pair->value, ASH_YAML_SCALAR, error))
			return FALSE;
		if (is_part && pair->value->kind != ASH_YAML_NULL &&
				!check_map(ash_schema_manifest, pair->value, place, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean check_value(const AshSchemaKey *key, const AshYamlNode *node, GError **error)
{
	switch (key->type) {
	case ASH_SCHEMA_TEXT:
	case ASH_SCHEMA_BOOL:
	case ASH_SCHEMA_NUMBER:
	case ASH_SCHEMA_ID:
	case ASH_SCHEMA_MODE:
	case ASH_SCHEMA_CHOICE:
		return check_kind(key->name, node, ASH_YAML_SCALAR, error);
	case ASH_SCHEMA_WORDS:
	case ASH_SCHEMA_TEXTS:
	case ASH_SCHEMA_ITEMS:
		return check_items(key, node, error);
	case ASH_SCHEMA_OBJECT:
		return check_kind(key->name, node, ASH_YAML_MAP, error) &&
		       check_map(key->object->keys, node, PLACE_ITEM, error);
	case ASH_SCHEMA_VARIABLES:
	case ASH_SCHEMA_PARTS:
		return check_names(key, node, error);
	}
	g_assert_not_reached();
}

static gboolean check_map(
		const AshSchemaKey *keys, const AshYamlNode *map, Place place, GError **error)
{
	if (map->kind != ASH_YAML_MAP)
		return ash_manifest_throw(map, error, ASH_MANIFEST_ERROR_TYPE,
				"here is %s, expected a map of keys and values", describe(map));
	for (guint i = 0; i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		const AshSchemaKey *key = ash_schema_find(keys, pair->key);
		if (key == NULL || !is_allowed(key, place))
			return throw_unknown(map, pair, keys, place, error);
		if (!check_value(key, pair->value, error))
			return FALSE;
	}
	for (const AshSchemaKey *key = keys; key->name != NULL; key++)
		if ((key->flags & ASH_SCHEMA_REQUIRED) && ash_yaml_get(map, key->name) == NULL)
			return ash_manifest_throw(map, error, ASH_MANIFEST_ERROR_MISSING,
					"key '%s' is missing here", key->name);
	return TRUE;
}

gboolean ash_manifest_check(const AshYamlNode *root, GError **error)
{
	if (root->kind == ASH_YAML_NULL)
		return TRUE;
	return check_map(ash_schema_manifest, root, PLACE_TOP, error);
}

/* ---- values -------------------------------------------------------------------------------------- */

static gboolean check_form(const AshSchemaKey *key, const AshYamlNode *node, GError **error)
{
	if (ash_form_matches(key->form, node->scalar))
		return TRUE;
	return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_VALUE,
			"'%s' has '%.80s'%s, expected %s", key->name, node->scalar,
			strlen(node->scalar) > 80 ? "…" : "", ash_form_expected(key->form));
}

static gboolean store_number(
		const AshSchemaKey *key, const AshYamlNode *node, gpointer slot, GError **error)
{
	g_autofree char *what = g_strdup_printf("'%s'", key->name);
	g_autoptr(GError) local = NULL;
	uint64_t value;

	if (!ash_yaml_uint(node, what, key->max, &value, &local))
		return rethrow_type(local, error);
	if (key->type == ASH_SCHEMA_ID)
		*(int64_t *) slot = (int64_t) value;
	else
		*(uint32_t *) slot = (uint32_t) value;
	return TRUE;
}

static gboolean store_bool(
		const AshSchemaKey *key, const AshYamlNode *node, bool *slot, GError **error)
{
	g_autofree char *what = g_strdup_printf("'%s'", key->name);
	g_autoptr(GError) local = NULL;

	return ash_yaml_bool(node, what, slot, &local) || rethrow_type(local, error);
}

static gboolean store_choice(
		const AshSchemaKey *key, const AshYamlNode *node, unsigned *slot, GError **error)
{
	for (unsigned i = 0; key->choices[i] != NULL; i++) {
		if (strcmp(key->choices[i], node->scalar) == 0) {
			*slot = i;
			return TRUE;
		}
	}
	g_autofree char *choices = g_strjoinv(", ", (char **) (guintptr) key->choices);
	g_autofree char *suggestion = ash_text_suggestion(node->scalar, key->choices);
	return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_VALUE,
			"'%s' has '%s', expected one of: %s%s", key->name, node->scalar, choices,
			suggestion);
}

static gboolean store_words(
		const AshSchemaKey *key, const AshYamlNode *list, char ***slot, GError **error)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; i < list->items->len; i++) {
		const AshYamlNode *item = list->items->pdata[i];
		if (!check_form(key, item, error))
			return FALSE;
		g_ptr_array_add(words, g_strdup(item->scalar));
	}
	g_ptr_array_add(words, NULL);
	g_strfreev(*slot);
	*slot = (char **) g_ptr_array_steal(words, NULL);
	return TRUE;
}

static gboolean store_texts(AshManifestLoader *loader, const AshSchemaKey *key,
		const AshYamlNode *list, GPtrArray *array, GError **error)
{
	for (guint i = 0; i < list->items->len; i++) {
		const AshYamlNode *item = list->items->pdata[i];
		if (!check_form(key, item, error))
			return FALSE;
		gpointer element = key->make != NULL ? key->make(loader, item, error)
						     : g_strdup(item->scalar);
		if (element == NULL)
			return FALSE;
		g_ptr_array_add(array, element);
	}
	return TRUE;
}

static gboolean store_map(AshManifestLoader *loader, const AshSchemaKey *keys, gpointer base,
		const AshYamlNode *map, GError **error);

/* Adds @take_item to its list, or puts it in the place of the item that it replaces. */
static gboolean add_item(AshManifestLoader *loader, const AshSchemaKey *key, GPtrArray *array,
		const AshYamlNode *node, gpointer take_item, GError **error)
{
	const AshSchemaObject *object = key->object;
	const char *identity = object->identity < 0 ? NULL
						    : *(char **) G_STRUCT_MEMBER_P(
								      take_item, object->identity);

	if (identity == NULL) {
		g_ptr_array_add(array, take_item);
		return TRUE;
	}
	g_autofree char *name = g_strdup_printf("%zu:%s", key->offset, identity);
	Known *known = g_hash_table_lookup(loader->known, name);
	if (known == NULL) {
		known = g_new0(Known, 1);
		known->index = array->len;
		known->layer = loader->layer;
		g_hash_table_insert(loader->known, g_steal_pointer(&name), known);
		g_ptr_array_add(array, take_item);
		return TRUE;
	}
	if (known->layer == loader->layer) {
		ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_DUPLICATE,
				"%s '%s' is already at %s", object->noun, identity,
				*(AshMark *) array->pdata[known->index]);
		object->free(take_item);
		return FALSE;
	}
	known->layer = loader->layer;
	if (object->merge != NULL) {
		object->merge(array->pdata[known->index], take_item);
		object->free(take_item);
	} else {
		object->free(array->pdata[known->index]);
		array->pdata[known->index] = take_item;
	}
	return TRUE;
}

static gboolean store_items(AshManifestLoader *loader, const AshSchemaKey *key,
		const AshYamlNode *list, GPtrArray *array, GError **error)
{
	const AshSchemaObject *object = key->object;

	for (guint i = 0; i < list->items->len; i++) {
		const AshYamlNode *node = list->items->pdata[i];
		gpointer item = g_malloc0(object->size);
		*(AshMark *) item = ash_manifest_mark(node);
		ash_manifest_store_defaults(object->keys, item);
		if (!store_map(loader, object->keys, item, node, error) ||
				(object->finish != NULL &&
						!object->finish(loader, node, item, error))) {
			object->free(item);
			return FALSE;
		}
		if (!add_item(loader, key, array, node, item, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean store_value(AshManifestLoader *loader, const AshSchemaKey *key, gpointer base,
		const AshYamlNode *node, GError **error)
{
	/* Where the value of a key goes that is checked here and read elsewhere. */
	uint64_t nowhere = 0;
	void *slot = key->flags & ASH_SCHEMA_NOT_STORED ? (void *) &nowhere
							: G_STRUCT_MEMBER_P(base, key->offset);

	switch (key->type) {
	case ASH_SCHEMA_TEXT:
		if (!check_form(key, node, error))
			return FALSE;
		if (slot != &nowhere) {
			g_free(*(char **) slot);
			*(char **) slot = g_strdup(node->scalar);
		}
		return TRUE;
	case ASH_SCHEMA_BOOL:
		return store_bool(key, node, slot, error);
	case ASH_SCHEMA_NUMBER:
	case ASH_SCHEMA_ID:
		return store_number(key, node, slot, error);
	case ASH_SCHEMA_MODE:
		if (!check_form(key, node, error))
			return FALSE;
		*(uint32_t *) slot = (uint32_t) g_ascii_strtoull(node->scalar, NULL, 8);
		return TRUE;
	case ASH_SCHEMA_CHOICE:
		return store_choice(key, node, slot, error);
	case ASH_SCHEMA_WORDS:
		return store_words(key, node, slot, error);
	case ASH_SCHEMA_TEXTS:
		/* The one list that is not stored is `include`, read already. */
		return slot == &nowhere ||
		       store_texts(loader, key, node, *(GPtrArray **) slot, error);
	case ASH_SCHEMA_ITEMS:
		return store_items(loader, key, node, *(GPtrArray **) slot, error);
	case ASH_SCHEMA_OBJECT:
		return key->object->finish != NULL
				       ? key->object->finish(loader, node, base, error)
				       : store_map(loader, key->object->keys, base, node, error);
	case ASH_SCHEMA_VARIABLES:
	case ASH_SCHEMA_PARTS:
		return TRUE;
	}
	g_assert_not_reached();
}

static gboolean store_map(AshManifestLoader *loader, const AshSchemaKey *keys, gpointer base,
		const AshYamlNode *map, GError **error)
{
	for (guint i = 0; i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		const AshSchemaKey *key = ash_schema_find(keys, pair->key);
		g_assert(key != NULL);
		if (!store_value(loader, key, base, pair->value, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_manifest_store(AshManifestLoader *loader, const AshYamlNode *part, GError **error)
{
	if (part->kind == ASH_YAML_NULL)
		return TRUE;
	loader->layer++;
	return store_map(loader, ash_schema_manifest, loader->manifest, part, error);
}

/* ---- defaults ------------------------------------------------------------------------------------ */

static void store_default(const AshSchemaKey *key, gpointer slot)
{
	AshYamlNode node = {.kind = ASH_YAML_SCALAR, .file = "", .is_plain = true};
	g_autofree char *text = g_strdup(key->default_text);
	g_autoptr(GError) local = NULL;
	gboolean ok = TRUE;

	node.scalar = text;
	if (key->type == ASH_SCHEMA_TEXT)
		*(char **) slot = g_steal_pointer(&text);
	else if (key->type == ASH_SCHEMA_BOOL)
		ok = store_bool(key, &node, slot, &local);
	else if (key->type == ASH_SCHEMA_NUMBER)
		ok = store_number(key, &node, slot, &local);
	else if (key->type == ASH_SCHEMA_CHOICE)
		ok = store_choice(key, &node, slot, &local);
	else
		g_assert_not_reached();
	g_assert(ok);
}

void ash_manifest_store_defaults(const AshSchemaKey *keys, gpointer base)
{
	for (const AshSchemaKey *key = keys; key->name != NULL; key++) {
		gpointer slot = G_STRUCT_MEMBER_P(base, key->offset);
		if (key->type == ASH_SCHEMA_OBJECT)
			ash_manifest_store_defaults(key->object->keys, base);
		if (key->flags & ASH_SCHEMA_NOT_STORED)
			continue;
		if (key->type == ASH_SCHEMA_TEXTS)
			*(GPtrArray **) slot = g_ptr_array_new_with_free_func(
					key->free_made != NULL ? key->free_made : g_free);
		else if (key->type == ASH_SCHEMA_ITEMS)
			*(GPtrArray **) slot = g_ptr_array_new_with_free_func(key->object->free);
		else if (key->default_text != NULL && !(key->flags & ASH_SCHEMA_DEFAULT_IS_WORDS))
			store_default(key, slot);
	}
}
