/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "lib/error.h"
#include "lib/text.h"
#include "lib/workload-key.h"

/* Reading by the table of workload-key.c. */

gboolean ash_workload_throw(const AshYamlNode *node, GError **error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	return ash_yaml_throw(
			node, error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_VALUE, "%s", text);
}

static const char *describe(const AshYamlNode *node)
{
	static const char *const kinds[] = {[ASH_YAML_NULL] = "nothing",
			[ASH_YAML_SCALAR] = "one value",
			[ASH_YAML_LIST] = "a list",
			[ASH_YAML_MAP] = "a map"};

	return kinds[node->kind];
}

/* ", as in '…'": its example in one line. */
static char *show(const AshWorkloadKey *key)
{
	g_auto(GStrv) lines = g_strsplit(key->example, "\n", -1);

	if (lines[1] == NULL)
		return g_strdup_printf(", as in '%s'", lines[0]);
	const char *first = g_strstrip(lines[1]);
	bool is_list = g_str_has_prefix(first, "- ");
	return g_strdup_printf(", as in '%s %s%s%s%s'", lines[0], is_list ? "[" : "{",
			first + (is_list ? 2 : 0), lines[2] != NULL ? ", …" : "",
			is_list ? "]" : "}");
}

/* @example: ", as in …"; "" */
static gboolean throw_kind(const char *name, const AshYamlNode *node, AshYamlKind kind,
		const char *example, GError **error)
{
	static const char *const expected[] = {[ASH_YAML_NULL] = "nothing",
			[ASH_YAML_SCALAR] = "one value",
			[ASH_YAML_LIST] = "a list",
			[ASH_YAML_MAP] = "a map"};

	return ash_workload_throw(node, error, "'%s' is %s, expected %s%s", name, describe(node),
			expected[kind], example);
}

static gboolean check_kind(const AshWorkloadKey *key, const AshYamlNode *node, AshYamlKind kind,
		GError **error)
{
	if (node->kind == kind)
		return TRUE;
	g_autofree char *example = show(key);
	return throw_kind(key->name, node, kind, example, error);
}

/* ---- text ---------------------------------------------------------------------------------------- */

/* Text that a terminal, JSON and YAML show and carry as it is. */
static bool is_text(const char *text)
{
	for (const char *p = text; *p != '\0'; p = ash_text_next_char(p)) {
		gunichar c = g_utf8_get_char(p);
		GUnicodeType type = g_unichar_type(c);
		if (c == '\n' || c == '\t')
			continue;
		if (type == G_UNICODE_CONTROL || type == G_UNICODE_FORMAT ||
				type == G_UNICODE_SURROGATE || type == G_UNICODE_LINE_SEPARATOR ||
				type == G_UNICODE_PARAGRAPH_SEPARATOR || (c & 0xfffe) == 0xfffe)
			return false;
	}
	return true;
}

static gboolean check_texts(const AshYamlNode *node, GError **error)
{
	if (node->kind == ASH_YAML_SCALAR) {
		if (strlen(node->scalar) > ASH_WORKLOAD_MAX_TEXT_BYTES)
			return ash_yaml_throw(node, error, ASH_WORKLOAD_ERROR,
					ASH_WORKLOAD_ERROR_LIMIT, "text of more than %d bytes",
					ASH_WORKLOAD_MAX_TEXT_BYTES);
		if (!is_text(node->scalar))
			return ash_workload_throw(node, error,
					"text with characters that cannot be seen; only tabs and "
					"line ends are allowed of these");
	}
	for (guint i = 0; node->kind == ASH_YAML_LIST && i < node->items->len; i++)
		if (!check_texts(node->items->pdata[i], error))
			return FALSE;
	for (guint i = 0; node->kind == ASH_YAML_MAP && i < node->pairs->len; i++) {
		const AshYamlPair *pair = node->pairs->pdata[i];
		if (!check_texts(pair->value, error))
			return FALSE;
	}
	return TRUE;
}

/* ---- one value ----------------------------------------------------------------------------------- */

static gboolean check_form(const AshWorkloadKey *key, const AshYamlNode *node, GError **error)
{
	if (!check_kind(key, node, ASH_YAML_SCALAR, error))
		return FALSE;
	if (ash_workload_form_matches(key->form, node->scalar))
		return TRUE;
	g_autofree char *shown =
			g_utf8_substring(node->scalar, 0, MIN(80, g_utf8_strlen(node->scalar, -1)));
	g_strdelimit(shown, "\n\t", ' ');
	return ash_workload_throw(node, error, "'%s' has '%s'%s, expected %s", key->name, shown,
			strlen(shown) < strlen(node->scalar) ? "…" : "",
			ash_workload_form_expected(key->form));
}

static gboolean store_number(
		const AshWorkloadKey *key, const AshYamlNode *node, uint32_t *slot, GError **error)
{
	guint64 value;

	if (!check_kind(key, node, ASH_YAML_SCALAR, error))
		return FALSE;
	if (!node->is_plain || (node->scalar[0] == '0' && node->scalar[1] != '\0') ||
			!g_ascii_string_to_unsigned(
					node->scalar, 10, key->min, key->max, &value, NULL))
		return ash_workload_throw(node, error,
				"'%s' has %s'%.80s', expected a number from %" PRIu64
				" to %" PRIu64,
				key->name, node->is_plain ? "" : "the text ", node->scalar,
				key->min, key->max);
	*slot = (uint32_t) value;
	return TRUE;
}

static gboolean store_integer(
		const AshWorkloadKey *key, const AshYamlNode *node, int64_t *slot, GError **error)
{
	gint64 value;

	if (!check_kind(key, node, ASH_YAML_SCALAR, error))
		return FALSE;
	if (!node->is_plain || !g_ascii_string_to_signed(node->scalar, 10, INT64_MIN, INT64_MAX,
					       &value, NULL))
		return ash_workload_throw(node, error, "'%s' has '%.80s', expected a whole number",
				key->name, node->scalar);
	*slot = value;
	return TRUE;
}

static gboolean store_cpu(
		const AshWorkloadKey *key, const AshYamlNode *node, uint32_t *slot, GError **error)
{
	uint32_t milli;

	if (!check_form(key, node, error))
		return FALSE;
	if (!ash_workload_parse_cpu(node->scalar, &milli) || milli < key->min || milli > key->max)
		return ash_workload_throw(node, error, "'%s' has '%s', expected 0.01 to 1024",
				key->name, node->scalar);
	*slot = milli;
	return TRUE;
}

static gboolean store_size(
		const AshWorkloadKey *key, const AshYamlNode *node, uint64_t *slot, GError **error)
{
	uint64_t bytes;

	if (!check_form(key, node, error))
		return FALSE;
	if (!ash_workload_parse_size(node->scalar, &bytes) || bytes < key->min || bytes > key->max)
		return ash_workload_throw(node, error,
				"'%s' has '%s', expected a size from %" PRIu64 "MiB to %" PRIu64
				"GiB",
				key->name, node->scalar, key->min >> 20, key->max >> 30);
	*slot = bytes;
	return TRUE;
}

static gboolean store_duration(
		const AshWorkloadKey *key, const AshYamlNode *node, uint32_t *slot, GError **error)
{
	uint32_t ms;

	if (!check_form(key, node, error))
		return FALSE;
	if (ash_health_parse_duration(node->scalar, &ms) && ms >= key->min && ms <= key->max) {
		*slot = ms;
		return TRUE;
	}
	g_autofree char *min = ash_workload_format_duration((uint32_t) key->min);
	g_autofree char *max = ash_workload_format_duration((uint32_t) key->max);
	return ash_workload_throw(node, error, "'%s' has '%s', expected a duration from %s to %s",
			key->name, node->scalar, min, max);
}

static gboolean find_choice(
		const AshWorkloadKey *key, const AshYamlNode *node, unsigned *out_i, GError **error)
{
	if (!check_kind(key, node, ASH_YAML_SCALAR, error))
		return FALSE;
	for (unsigned i = 0; key->choices[i] != NULL; i++) {
		if (strcmp(key->choices[i], node->scalar) == 0) {
			*out_i = i;
			return TRUE;
		}
	}
	g_autofree char *choices = g_strjoinv(", ", (char **) (guintptr) key->choices);
	g_autofree char *suggestion = ash_text_suggestion(node->scalar, key->choices);
	return ash_workload_throw(node, error, "'%s' has '%.80s', expected one of: %s%s", key->name,
			node->scalar, choices, suggestion);
}

static gboolean store_bool(
		const AshWorkloadKey *key, const AshYamlNode *node, bool *slot, GError **error)
{
	g_autofree char *what = g_strdup_printf("'%s'", key->name);
	g_autoptr(GError) local = NULL;

	return ash_yaml_bool(node, what, slot, &local) ||
	       ash_throw(error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_VALUE, "%s", local->message);
}

/* ---- several values ------------------------------------------------------------------------------ */

static gboolean check_list(const AshWorkloadKey *key, const AshYamlNode *list, GError **error)
{
	if (!check_kind(key, list, ASH_YAML_LIST, error))
		return FALSE;
	if (list->items->len > key->max)
		return ash_yaml_throw(list, error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_LIMIT,
				"'%s' has %u items, expected at most %" PRIu64, key->name,
				list->items->len, key->max);
	if (list->items->len == 0 && (key->flags & ASH_WORKLOAD_KEY_SOME))
		return ash_workload_throw(list, error, "'%s' is empty", key->name);
	return TRUE;
}

static int compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static gboolean store_texts(const AshWorkloadKey *key, const AshYamlNode *list, char ***slot,
		bool is_set, GError **error)
{
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	if (!check_list(key, list, error))
		return FALSE;
	for (guint i = 0; i < list->items->len; i++) {
		const AshYamlNode *item = list->items->pdata[i];
		if (!check_form(key, item, error))
			return FALSE;
		if (!g_hash_table_add(seen, item->scalar) && is_set)
			return ash_workload_throw(item, error, "'%s' names '%s' twice", key->name,
					item->scalar);
		g_ptr_array_add(texts, g_strdup(item->scalar));
	}
	if (is_set)
		g_ptr_array_sort(texts, compare_texts);
	g_ptr_array_add(texts, NULL);
	g_strfreev(*slot);
	*slot = (char **) g_ptr_array_steal(texts, NULL);
	return TRUE;
}

static gboolean store_variables(
		const AshWorkloadKey *key, const AshYamlNode *map, char ***slot, GError **error)
{
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

	if (!check_kind(key, map, ASH_YAML_MAP, error))
		return FALSE;
	if (map->pairs->len > key->max)
		return ash_yaml_throw(map, error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_LIMIT,
				"'%s' has %u items, expected at most %" PRIu64, key->name,
				map->pairs->len, key->max);
	for (guint i = 0; i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		AshYamlNode at = {.kind = ASH_YAML_SCALAR,
				.file = map->file,
				.line = pair->line,
				.column = pair->column,
				.scalar = pair->key};
		if (!check_texts(&at, error) || !check_form(key, &at, error))
			return FALSE;
		if (pair->value->kind != ASH_YAML_SCALAR)
			return throw_kind(pair->key, pair->value, ASH_YAML_SCALAR,
					" (\"\" for an empty one)", error);
		g_ptr_array_add(texts, g_strconcat(pair->key, "=", pair->value->scalar, NULL));
	}
	g_ptr_array_sort(texts, compare_texts);
	g_ptr_array_add(texts, NULL);
	g_strfreev(*slot);
	*slot = (char **) g_ptr_array_steal(texts, NULL);
	return TRUE;
}

static gboolean store_made(const AshWorkloadKey *key, const AshYamlNode *list, GPtrArray *array,
		GError **error)
{
	if (!check_list(key, list, error))
		return FALSE;
	for (guint i = 0; i < list->items->len; i++) {
		const AshYamlNode *item = list->items->pdata[i];
		if (!check_form(key, item, error))
			return FALSE;
		gpointer made = key->make(item, error);
		if (made == NULL)
			return FALSE;
		g_ptr_array_add(array, made);
	}
	return TRUE;
}

static void store_defaults(const AshWorkloadKey *keys, gpointer base);
static gboolean store_map(const AshWorkloadKey *around, const AshWorkloadKey *keys, gpointer base,
		const AshYamlNode *map, GError **error);

static gboolean store_items(const AshWorkloadKey *key, const AshYamlNode *list, GPtrArray *array,
		GError **error)
{
	if (!check_list(key, list, error))
		return FALSE;
	for (guint i = 0; i < list->items->len; i++) {
		gpointer item = g_malloc0(key->item_size);
		g_ptr_array_add(array, item);
		store_defaults(key->keys, item);
		if (!store_map(key, key->keys, item, list->items->pdata[i], error))
			return FALSE;
	}
	return TRUE;
}

/* ---- maps ---------------------------------------------------------------------------------------- */

static gboolean store_value(
		const AshWorkloadKey *key, gpointer base, const AshYamlNode *node, GError **error);

static gboolean store_word(
		const AshWorkloadKey *key, gpointer base, const AshYamlNode *node, GError **error)
{
	AshWorkloadKey named = *key;
	unsigned nothing;

	if (*key->word == '\0')
		return find_choice(key, node, &nothing, error);
	named = *ash_workload_key_find(key->keys, key->word);
	/* The message names what was written. */
	named.name = key->name;
	return store_value(&named, base, node, error);
}

static gboolean store_value(
		const AshWorkloadKey *key, gpointer base, const AshYamlNode *node, GError **error)
{
	void *slot = G_STRUCT_MEMBER_P(base, key->offset);
	unsigned i = 0;

	switch (key->type) {
	case ASH_WORKLOAD_TEXT:
		if (!check_form(key, node, error))
			return FALSE;
		g_free(*(char **) slot);
		*(char **) slot = g_strdup(node->scalar);
		return TRUE;
	case ASH_WORKLOAD_BOOL:
		return store_bool(key, node, slot, error);
	case ASH_WORKLOAD_NUMBER:
		return store_number(key, node, slot, error);
	case ASH_WORKLOAD_INTEGER:
		return store_integer(key, node, slot, error);
	case ASH_WORKLOAD_CPU:
		return store_cpu(key, node, slot, error);
	case ASH_WORKLOAD_SIZE:
		return store_size(key, node, slot, error);
	case ASH_WORKLOAD_DURATION:
		return store_duration(key, node, slot, error);
	case ASH_WORKLOAD_CHOICE:
		if (!find_choice(key, node, &i, error))
			return FALSE;
		*(unsigned *) slot = i + (unsigned) key->min;
		return TRUE;
	case ASH_WORKLOAD_SWITCH:
		if (!find_choice(key, node, &i, error))
			return FALSE;
		*(bool *) slot = i == 1;
		return TRUE;
	case ASH_WORKLOAD_TEXTS:
	case ASH_WORKLOAD_SET:
		return store_texts(key, node, slot, key->type == ASH_WORKLOAD_SET, error);
	case ASH_WORKLOAD_VARIABLES:
		return store_variables(key, node, slot, error);
	case ASH_WORKLOAD_MADE:
		return store_made(key, node, *(GPtrArray **) slot, error);
	case ASH_WORKLOAD_ITEMS:
		return store_items(key, node, *(GPtrArray **) slot, error);
	case ASH_WORKLOAD_MAP:
		if (key->word != NULL && node->kind == ASH_YAML_SCALAR)
			return store_word(key, base, node, error);
		return store_map(key, key->keys, base, node, error);
	case ASH_WORKLOAD_IMAGE:
		return check_form(key, node, error) && ash_workload_parse_image(node, slot, error);
	case ASH_WORKLOAD_HEALTH:
		return check_kind(key, node, ASH_YAML_MAP, error) &&
		       ash_health_spec_merge(*(AshHealthSpec **) slot, node, error);
	}
	g_assert_not_reached();
}

static gboolean throw_unknown(const char *what, const AshWorkloadKey *keys, const AshYamlNode *map,
		const AshYamlPair *pair, GError **error)
{
	AshYamlNode at = {.file = map->file, .line = pair->line, .column = pair->column};
	g_autoptr(GPtrArray) names = g_ptr_array_new();

	for (const AshWorkloadKey *key = keys; key->name != NULL; key++)
		g_ptr_array_add(names, (gpointer) (guintptr) key->name);
	g_ptr_array_add(names, NULL);
	g_autofree char *suggestion =
			ash_text_suggestion(pair->key, (const char *const *) (void *) names->pdata);
	g_autofree char *all = g_strjoinv(", ", (char **) (void *) names->pdata);
	bool is_near = *suggestion != '\0';
	return ash_workload_throw(&at, error, "unknown key '%.80s'%s%s%s%s%s%s", pair->key,
			what != NULL ? " in '" : "", what != NULL ? what : "",
			what != NULL ? "'" : "", suggestion,
			is_near        ? ""
			: what != NULL ? "; there are: "
				       : "; workload(5) has those that there are",
			is_near || what == NULL ? "" : all);
}

static gboolean throw_item(const AshWorkloadKey *key, const AshYamlNode *item, GError **error)
{
	g_autofree char *example = show(key);

	return ash_workload_throw(item, error, "an item of '%s' is %s, expected a map%s", key->name,
			describe(item), example);
}

/* @around: whose map, or item, it is; NULL: the whole definition */
static gboolean store_map(const AshWorkloadKey *around, const AshWorkloadKey *keys, gpointer base,
		const AshYamlNode *map, GError **error)
{
	const char *what = around != NULL ? around->name : NULL;

	if (what == NULL && map->kind != ASH_YAML_MAP)
		return ash_workload_throw(map, error,
				"here is %s, expected a definition: a map that begins with "
				"'workload: NAME'",
				describe(map));
	if (map->kind != ASH_YAML_MAP && around->type == ASH_WORKLOAD_ITEMS)
		return throw_item(around, map, error);
	if (around != NULL && !check_kind(around, map, ASH_YAML_MAP, error))
		return FALSE;
	for (guint i = 0; i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		const AshWorkloadKey *key = ash_workload_key_find(keys, pair->key);
		if (key == NULL)
			return throw_unknown(what, keys, map, pair, error);
		if (!store_value(key, base, pair->value, error))
			return FALSE;
	}
	for (const AshWorkloadKey *key = keys; key->name != NULL; key++)
		if ((key->flags & ASH_WORKLOAD_KEY_REQUIRED) &&
				ash_yaml_get(map, key->name) == NULL)
			return ash_workload_throw(map, error,
					"key '%s' is missing%s%s%s, as in '%s'", key->name,
					what != NULL ? " in '" : "", what != NULL ? what : "",
					what != NULL ? "'" : "", key->example);
	return TRUE;
}

/* ---- defaults ------------------------------------------------------------------------------------ */

static void store_default(const AshWorkloadKey *key, gpointer base)
{
	void *slot = G_STRUCT_MEMBER_P(base, key->offset);

	switch (key->type) {
	case ASH_WORKLOAD_MAP:
		store_defaults(key->keys, base);
		return;
	case ASH_WORKLOAD_MADE:
	case ASH_WORKLOAD_ITEMS:
		*(GPtrArray **) slot = g_ptr_array_new_with_free_func(key->free_item);
		return;
	case ASH_WORKLOAD_TEXTS:
	case ASH_WORKLOAD_SET:
	case ASH_WORKLOAD_VARIABLES:
		if (!(key->flags & ASH_WORKLOAD_KEY_MAYBE))
			*(char ***) slot = g_new0(char *, 1);
		return;
	case ASH_WORKLOAD_HEALTH:
		*(AshHealthSpec **) slot = ash_health_spec_new();
		return;
	case ASH_WORKLOAD_TEXT:
		*(char **) slot = g_strdup(key->default_text);
		return;
	case ASH_WORKLOAD_BOOL:
	case ASH_WORKLOAD_NUMBER:
	case ASH_WORKLOAD_INTEGER:
	case ASH_WORKLOAD_CPU:
	case ASH_WORKLOAD_SIZE:
	case ASH_WORKLOAD_DURATION:
	case ASH_WORKLOAD_CHOICE:
	case ASH_WORKLOAD_SWITCH:
	case ASH_WORKLOAD_IMAGE:
		break;
	}
	if (key->default_text == NULL)
		return;
	g_autofree char *text = g_strdup(key->default_text);
	AshYamlNode node = {.kind = ASH_YAML_SCALAR, .file = "", .scalar = text, .is_plain = true};
	gboolean is_stored = store_value(key, base, &node, NULL);
	g_assert(is_stored);
}

static void store_defaults(const AshWorkloadKey *keys, gpointer base)
{
	for (const AshWorkloadKey *key = keys; key->name != NULL; key++)
		store_default(key, base);
}

/* What depends on another key, where nothing was said. */
static void complete(const AshYamlNode *root, AshWorkload *workload)
{
	const AshYamlNode *isolation = ash_yaml_get(root, "isolation");

	if (isolation == NULL || ash_yaml_get(isolation, "at-least") == NULL)
		workload->at_least = ash_isolation_class_strength(workload->isolation);
	for (guint i = 0; i < workload->parameters->len; i++) {
		AshWorkloadParameter *parameter = workload->parameters->pdata[i];
		const AshYamlNode *node = ash_yaml_get(root, "parameters")->items->pdata[i];
		bool is_int = parameter->type == ASH_PARAMETER_INT;
		if (ash_yaml_get(node, "min") == NULL)
			parameter->min = is_int ? INT64_MIN : 0;
		if (ash_yaml_get(node, "max") == NULL)
			parameter->max = is_int                                    ? INT64_MAX
					 : parameter->type == ASH_PARAMETER_STRING ? 256
										   : 0;
	}
}

/* ---- whole --------------------------------------------------------------------------------------- */

gboolean ash_workload_parse(
		const char *file, GBytes *text, AshWorkload **out_workload, GError **error)
{
	g_autoptr(AshYaml) root = NULL;
	g_autoptr(AshWorkload) workload = NULL;

	if (g_bytes_get_size(text) > ASH_WORKLOAD_MAX_BYTES)
		return ash_throw(error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_LIMIT,
				"%s: larger than %d KiB", file, ASH_WORKLOAD_MAX_BYTES >> 10);
	if (!ash_yaml_parse(file, text, &root, error) || !check_texts(root, error))
		return FALSE;
	workload = g_new0(AshWorkload, 1);
	store_defaults(ash_workload_keys, workload);
	if (!store_map(NULL, ash_workload_keys, workload, root, error))
		return FALSE;
	complete(root, workload);
	if (!ash_workload_judge(root, workload, error))
		return FALSE;
	/* What is signed and sent is this, and the same limit holds for it. */
	g_autofree char *formatted = ash_workload_format(workload);
	if (strlen(formatted) > ASH_WORKLOAD_MAX_BYTES)
		return ash_throw(error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_LIMIT,
				"%s: larger than %d KiB as JSON with all defaults", file,
				ASH_WORKLOAD_MAX_BYTES >> 10);
	*out_workload = g_steal_pointer(&workload);
	return TRUE;
}
