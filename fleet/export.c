/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/export.h"

#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/json.h"
#include "lib/yaml.h"

G_DEFINE_QUARK(ash_export_error, ash_export_error)

enum {
	MAX_ELEMENT = 4096, /* bytes of a text in a list or map; checks of its kind say less */
};

static void item_free(gpointer data)
{
	AshExportItem *item = data;

	g_free(item->name);
	g_clear_pointer(&item->value, json_object_unref);
	g_free(item);
}

AshExport *ash_export_new(void)
{
	AshExport *all = g_new0(AshExport, 1);

	all->items = g_ptr_array_new_with_free_func(item_free);
	return all;
}

void ash_export_free(AshExport *all)
{
	if (all == NULL)
		return;
	g_ptr_array_unref(all->items);
	g_free(all);
}

const char *ash_export_kind_text(AshExportKind kind)
{
	return ash_export_tables[kind].kind;
}

void ash_export_add(AshExport *all, AshExportKind kind, const char *name, JsonObject *take_value)
{
	AshExportItem *item = g_new0(AshExportItem, 1);

	item->kind = kind;
	item->name = g_strdup(name);
	item->value = take_value;
	g_ptr_array_add(all->items, item);
}

static int compare_items(gconstpointer a, gconstpointer b)
{
	const AshExportItem *ia = *(AshExportItem *const *) a;
	const AshExportItem *ib = *(AshExportItem *const *) b;

	return ia->kind != ib->kind ? (ia->kind < ib->kind ? -1 : 1) : strcmp(ia->name, ib->name);
}

void ash_export_sort(AshExport *all)
{
	g_ptr_array_sort(all->items, compare_items);
}

/* ---- reading YAML ---- */

static gboolean throw_at(const AshYamlNode *node, GError **error, const char *text)
{
	return ash_yaml_throw(node, error, ASH_EXPORT_ERROR, ASH_EXPORT_ERROR_INVALID, "%s", text);
}

static gboolean read_text(const AshYamlNode *node, const char *what, unsigned max, char **out_text,
		GError **error)
{
	g_autofree char *text = NULL;

	if (!ash_yaml_string(node, what, &text, error))
		return FALSE;
	if (strlen(text) > max)
		return throw_at(node, error, "this text is too long");
	for (const char *c = text; *c != '\0'; c++)
		if (g_ascii_iscntrl(*c) && *c != '\n')
			return throw_at(node, error, "a text holds no control characters");
	*out_text = g_steal_pointer(&text);
	return TRUE;
}

static gboolean read_texts(const AshYamlNode *node, const AshExportMember *member, JsonArray *array,
		GError **error)
{
	if (node == NULL || node->kind == ASH_YAML_NULL)
		return TRUE;
	if (node->kind != ASH_YAML_LIST || node->items->len > member->max)
		return throw_at(node, error, "expected a list of texts that is not that long");
	for (guint i = 0; i < node->items->len; i++) {
		g_autofree char *text = NULL;
		if (!read_text(node->items->pdata[i], member->name, MAX_ELEMENT, &text, error))
			return FALSE;
		json_array_add_string_element(array, text);
	}
	return TRUE;
}

static int compare_pairs(gconstpointer a, gconstpointer b)
{
	return strcmp((*(AshYamlPair *const *) a)->key, (*(AshYamlPair *const *) b)->key);
}

static gboolean read_map(const AshYamlNode *node, const AshExportMember *member, JsonObject *object,
		GError **error)
{
	if (node == NULL || node->kind == ASH_YAML_NULL)
		return TRUE;
	if (node->kind != ASH_YAML_MAP || node->pairs->len > member->max)
		return throw_at(node, error, "expected a map of texts that is not that long");
	g_autoptr(GPtrArray) pairs = g_ptr_array_copy(node->pairs, NULL, NULL);
	g_ptr_array_set_free_func(pairs, NULL);
	g_ptr_array_sort(pairs, compare_pairs);
	for (guint i = 0; i < pairs->len; i++) {
		const AshYamlPair *pair = pairs->pdata[i];
		g_autofree char *text = NULL;
		if (!read_text(pair->value, pair->key, MAX_ELEMENT, &text, error))
			return FALSE;
		json_object_set_string_member(object, pair->key, text);
	}
	return TRUE;
}

static gboolean read_member(const AshYamlNode *node, const AshExportMember *member,
		JsonObject *value, GError **error)
{
	g_autofree char *text = NULL;
	JsonArray *array;
	JsonObject *map;
	bool boolean = strcmp(member->otherwise, "true") == 0;
	uint64_t number = 0;

	switch (member->type) {
	case ASH_EXPORT_TEXT:
		if (node != NULL && !read_text(node, member->name, member->max, &text, error))
			return FALSE;
		json_object_set_string_member(
				value, member->name, text != NULL ? text : member->otherwise);
		return TRUE;
	case ASH_EXPORT_NUMBER:
		number = g_ascii_strtoull(member->otherwise, NULL, 10);
		if (node != NULL && !ash_yaml_uint(node, member->name, member->max, &number, error))
			return FALSE;
		json_object_set_int_member(value, member->name, (gint64) number);
		return TRUE;
	case ASH_EXPORT_BOOL:
		if (node != NULL && !ash_yaml_bool(node, member->name, &boolean, error))
			return FALSE;
		json_object_set_boolean_member(value, member->name, boolean);
		return TRUE;
	case ASH_EXPORT_TEXTS:
		array = json_array_new();
		json_object_set_array_member(value, member->name, array);
		return read_texts(node, member, array, error);
	case ASH_EXPORT_MAP:
		break;
	}
	map = json_object_new();
	json_object_set_object_member(value, member->name, map);
	return read_map(node, member, map, error);
}

static gboolean check_keys(const AshYamlNode *node, const AshExportTable *table, GError **error)
{
	for (guint i = 0; i < node->pairs->len; i++) {
		const AshYamlPair *pair = node->pairs->pdata[i];
		bool is_known = strcmp(pair->key, table->key) == 0;
		for (const AshExportMember *member = table->members; member->name != NULL; member++)
			is_known = is_known || strcmp(pair->key, member->name) == 0;
		if (!is_known)
			return ash_yaml_throw(pair->value, error, ASH_EXPORT_ERROR,
					ASH_EXPORT_ERROR_INVALID, "unknown key '%.64s' of a %s",
					pair->key, table->kind);
	}
	return TRUE;
}

static gboolean read_item(
		AshExport *all, AshExportKind kind, const AshYamlNode *node, GError **error)
{
	const AshExportTable *table = &ash_export_tables[kind];
	g_autofree char *name = NULL;
	g_autoptr(JsonObject) value = json_object_new();
	g_autoptr(GError) failure = NULL;

	if (node->kind != ASH_YAML_MAP)
		return throw_at(node, error, "expected a map");
	const AshYamlNode *key = ash_yaml_get(node, table->key);
	if (key == NULL)
		return ash_yaml_throw(node, error, ASH_EXPORT_ERROR, ASH_EXPORT_ERROR_INVALID,
				"a %s has a '%s'", table->kind, table->key);
	if (!check_keys(node, table, error) || !read_text(key, table->key, 2048, &name, error))
		return FALSE;
	for (const AshExportMember *member = table->members; member->name != NULL; member++)
		if (!read_member(ash_yaml_get(node, member->name), member, value, error))
			return FALSE;
	if (!table->check(name, value, &failure))
		return throw_at(node, error, failure->message);
	ash_export_add(all, kind, name, g_steal_pointer(&value));
	return TRUE;
}

static gboolean read_section(
		AshExport *all, AshExportKind kind, const AshYamlNode *node, GError **error)
{
	all->has[kind] = true;
	if (node->kind == ASH_YAML_NULL)
		return TRUE;
	if (node->kind != ASH_YAML_LIST)
		return throw_at(node, error, "expected a list");
	if (all->items->len + node->items->len > ASH_EXPORT_MAX_ITEMS)
		return throw_at(node, error, "this is too much for one document");
	for (guint i = 0; i < node->items->len; i++)
		if (!read_item(all, kind, node->items->pdata[i], error))
			return FALSE;
	return TRUE;
}

static gboolean read_root(AshExport *all, const AshYamlNode *root, GError **error)
{
	uint64_t format = 0;

	if (root->kind != ASH_YAML_MAP)
		return throw_at(root, error, "expected 'format: 1' and sections");
	for (guint i = 0; i < root->pairs->len; i++) {
		const AshYamlPair *pair = root->pairs->pdata[i];
		AshExportKind kind = 0;
		while (kind < ASH_EXPORT_KINDS &&
				strcmp(ash_export_tables[kind].section, pair->key) != 0)
			kind++;
		if (strcmp(pair->key, "format") == 0) {
			if (!ash_yaml_uint(pair->value, "format", 1000, &format, error))
				return FALSE;
		} else if (kind == ASH_EXPORT_KINDS) {
			g_autofree char *text =
					g_strdup_printf("there is no section '%.64s'", pair->key);
			return throw_at(pair->value, error, text);
		} else if (!read_section(all, kind, pair->value, error)) {
			return FALSE;
		}
	}
	return format == 1 || throw_at(root, error, "this program reads 'format: 1'");
}

/* The same thing twice has no meaning. */
static gboolean check_unique(const AshExport *all, GError **error)
{
	for (guint i = 1; i < all->items->len; i++) {
		const AshExportItem *a = all->items->pdata[i - 1];
		const AshExportItem *b = all->items->pdata[i];
		if (a->kind == b->kind && strcmp(a->name, b->name) == 0)
			return ash_throw(error, ASH_EXPORT_ERROR, ASH_EXPORT_ERROR_INVALID,
					"import: the %s '%.128s' stands there twice",
					ash_export_kind_text(a->kind), a->name);
	}
	return TRUE;
}

gboolean ash_export_parse(GBytes *yaml, AshExport **out_export, GError **error)
{
	g_autoptr(AshYaml) root = NULL;
	g_autoptr(AshExport) all = ash_export_new();

	if (g_bytes_get_size(yaml) > ASH_EXPORT_MAX_BYTES)
		return ash_throw(error, ASH_EXPORT_ERROR, ASH_EXPORT_ERROR_INVALID,
				"import: more than %d bytes", ASH_EXPORT_MAX_BYTES);
	if (!ash_yaml_parse("import", yaml, &root, error) || !read_root(all, root, error))
		return FALSE;
	ash_export_sort(all);
	if (!check_unique(all, error))
		return FALSE;
	*out_export = g_steal_pointer(&all);
	return TRUE;
}

/* ---- writing YAML ---- */

static void put_text(GString *out, const char *text)
{
	g_autofree char *quoted = ash_yaml_quote(text);

	g_string_append(out, quoted);
}

static void put_member(GString *out, const AshExportMember *member, JsonObject *value)
{
	g_string_append_printf(out, "    %s:", member->name);
	if (member->type == ASH_EXPORT_TEXT) {
		g_string_append_c(out, ' ');
		put_text(out, json_object_get_string_member(value, member->name));
	} else if (member->type == ASH_EXPORT_NUMBER) {
		g_string_append_printf(out, " %" G_GINT64_FORMAT,
				json_object_get_int_member(value, member->name));
	} else if (member->type == ASH_EXPORT_BOOL) {
		g_string_append(out, json_object_get_boolean_member(value, member->name)
						     ? " true"
						     : " false");
	} else if (member->type == ASH_EXPORT_TEXTS) {
		JsonArray *array = json_object_get_array_member(value, member->name);
		guint count = json_array_get_length(array);
		if (count == 0)
			g_string_append(out, " []");
		for (guint i = 0; i < count; i++) {
			g_string_append(out, "\n      - ");
			put_text(out, json_array_get_string_element(array, i));
		}
	} else {
		JsonObject *map = json_object_get_object_member(value, member->name);
		g_autoptr(GList) keys = json_object_get_members(map);
		if (keys == NULL)
			g_string_append(out, " {}");
		for (GList *i = keys; i != NULL; i = i->next) {
			g_string_append(out, "\n      ");
			put_text(out, i->data);
			g_string_append(out, ": ");
			put_text(out, json_object_get_string_member(map, i->data));
		}
	}
	g_string_append_c(out, '\n');
}

char *ash_export_format(const AshExport *all, const char *head)
{
	GString *out = g_string_new(head);
	guint next = 0;

	g_string_append(out, "format: 1\n");
	for (AshExportKind kind = 0; kind < ASH_EXPORT_KINDS; kind++) {
		const AshExportTable *table = &ash_export_tables[kind];
		bool is_empty = true;
		if (!all->has[kind])
			continue;
		g_string_append_printf(out, "%s:", table->section);
		for (; next < all->items->len; next++) {
			const AshExportItem *item = all->items->pdata[next];
			if (item->kind != kind)
				break;
			g_string_append_printf(out, "%s  - %s: ", is_empty ? "\n" : "", table->key);
			is_empty = false;
			put_text(out, item->name);
			g_string_append_c(out, '\n');
			for (const AshExportMember *member = table->members; member->name != NULL;
					member++)
				put_member(out, member, item->value);
		}
		g_string_append(out, is_empty ? " []\n" : "");
	}
	return g_string_free(out, FALSE);
}

/* ---- the fleet as it is ---- */

typedef struct {
	AshExport *all;
	AshExportKind kind;
	bool is_all;
} Load;

static JsonNode *parse_column(const char *text, JsonNodeType type)
{
	g_autoptr(JsonNode) node = json_from_string(text, NULL);

	if (node != NULL && JSON_NODE_TYPE(node) == type)
		return g_steal_pointer(&node);
	return NULL;
}

/* Members in their order, whatever wrote them. */
static void set_map(JsonObject *value, const char *name, const char *text)
{
	g_autoptr(JsonNode) node = parse_column(text, JSON_NODE_OBJECT);
	JsonObject *map = json_object_new();
	g_autoptr(GList) keys =
			node != NULL ? json_object_get_members(json_node_get_object(node)) : NULL;

	keys = g_list_sort(keys, (GCompareFunc) strcmp);
	for (GList *i = keys; i != NULL; i = i->next) {
		JsonNode *member = json_object_get_member(json_node_get_object(node), i->data);
		if (JSON_NODE_HOLDS_VALUE(member) &&
				json_node_get_value_type(member) == G_TYPE_STRING)
			json_object_set_string_member(map, i->data, json_node_get_string(member));
	}
	json_object_set_object_member(value, name, map);
}

static void set_column(JsonObject *value, const AshExportMember *member, const AshDbRow *row,
		unsigned column)
{
	if (member->type == ASH_EXPORT_TEXT) {
		json_object_set_string_member(value, member->name, ash_db_row_text(row, column));
	} else if (member->type == ASH_EXPORT_NUMBER) {
		json_object_set_int_member(value, member->name, ash_db_row_int(row, column));
	} else if (member->type == ASH_EXPORT_BOOL) {
		json_object_set_boolean_member(
				value, member->name, ash_db_row_int(row, column) != 0);
	} else if (member->type == ASH_EXPORT_TEXTS) {
		g_autoptr(JsonNode) node =
				parse_column(ash_db_row_text(row, column), JSON_NODE_ARRAY);
		json_object_set_array_member(value, member->name,
				node != NULL ? json_node_dup_array(node) : json_array_new());
	} else {
		set_map(value, member->name, ash_db_row_text(row, column));
	}
}

static gboolean take_row(const AshDbRow *row, gpointer data, GError **error)
{
	const Load *load = data;
	const AshExportTable *table = &ash_export_tables[load->kind];
	g_autoptr(JsonObject) value = json_object_new();

	for (unsigned i = 0; table->members[i].name != NULL; i++)
		set_column(value, &table->members[i], row, i + 1);
	if (load->kind == ASH_EXPORT_HOST && !load->is_all &&
			json_object_get_size(json_object_get_object_member(value, "labels")) == 0)
		return TRUE;
	ash_export_add(load->all, load->kind, ash_db_row_text(row, 0), g_steal_pointer(&value));
	return TRUE;
}

gboolean ash_export_load(AshDb *db, bool labels_of_all, AshExport **out_export, GError **error)
{
	g_autoptr(AshExport) all = ash_export_new();

	for (AshExportKind kind = 0; kind < ASH_EXPORT_KINDS; kind++) {
		Load load = {all, kind, labels_of_all};
		all->has[kind] = true;
		if (!ash_db_query(db, ash_export_tables[kind].sql, NULL, take_row, &load, error))
			return FALSE;
	}
	ash_export_sort(all);
	*out_export = g_steal_pointer(&all);
	return TRUE;
}

/* ---- the difference ---- */

static bool is_equal(const AshExportItem *a, const AshExportItem *b)
{
	g_autoptr(JsonNode) na = json_node_init_object(json_node_alloc(), a->value);
	g_autoptr(JsonNode) nb = json_node_init_object(json_node_alloc(), b->value);
	g_autofree char *ta = json_to_string(na, FALSE);
	g_autofree char *tb = json_to_string(nb, FALSE);

	return strcmp(ta, tb) == 0;
}

static GHashTable *index_of(const AshExport *all)
{
	GHashTable *index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < all->items->len; i++) {
		AshExportItem *item = all->items->pdata[i];
		g_hash_table_insert(index,
				g_strdup_printf("%s:%s", ash_export_kind_text(item->kind),
						item->name),
				item);
	}
	return index;
}

static const AshExportItem *look_up(GHashTable *index, const AshExportItem *item)
{
	g_autofree char *key =
			g_strdup_printf("%s:%s", ash_export_kind_text(item->kind), item->name);

	return g_hash_table_lookup(index, key);
}

GArray *ash_export_diff(const AshExport *now, const AshExport *wanted, unsigned *out_unknown)
{
	GArray *changes = g_array_new(FALSE, FALSE, sizeof(AshExportChange));
	g_autoptr(GHashTable) is = index_of(now);
	g_autoptr(GHashTable) will = index_of(wanted);

	*out_unknown = 0;
	for (guint i = 0; i < wanted->items->len; i++) {
		const AshExportItem *after = wanted->items->pdata[i];
		AshExportChange change = {after->kind, look_up(is, after), after};
		if (after->kind == ASH_EXPORT_HOST && change.before == NULL)
			(*out_unknown)++;
		else if (change.before == NULL || !is_equal(change.before, after))
			g_array_append_val(changes, change);
	}
	for (guint i = 0; i < now->items->len; i++) {
		const AshExportItem *before = now->items->pdata[i];
		AshExportChange change = {before->kind, before, NULL};
		if (wanted->has[before->kind] && before->kind != ASH_EXPORT_HOST &&
				look_up(will, before) == NULL)
			g_array_append_val(changes, change);
	}
	return changes;
}
