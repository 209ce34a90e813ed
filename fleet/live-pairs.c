/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "fleet/live-text.h"
#include "fleet/live.h"
#include "lib/error.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_pairs_error, ash_pairs_error)

/* Keys are counted texts (all hosts have the same few); values are the array's own, behind it in the same block. */
typedef struct {
	uint32_t refs;
	uint32_t count;
	AshPair pairs[];
} Block;

/* What is gathered before the size of the block is known. Borrowed texts. */
typedef struct {
	const char *key, *value;
	char number[32];
} Raw;

static Block *block_of(const AshPair *pairs)
{
	return (Block *) (uintptr_t) ((const char *) pairs - offsetof(Block, pairs));
}

const AshPair *ash_pairs_ref(const AshPair *pairs, uint32_t count)
{
	if (count > 0)
		__atomic_add_fetch(&block_of(pairs)->refs, 1, __ATOMIC_RELAXED);
	return pairs;
}

void ash_pairs_unref(const AshPair *pairs, uint32_t count)
{
	if (pairs == NULL || count == 0)
		return;
	Block *block = block_of(pairs);
	if (__atomic_sub_fetch(&block->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (uint32_t i = 0; i < block->count; i++)
		ash_live_text_unref(block->pairs[i].key);
	g_free(block);
}

static int compare_raw(gconstpointer a, gconstpointer b)
{
	return strcmp(((const Raw *) a)->key, ((const Raw *) b)->key);
}

static void make_block(GArray *raws, AshPair **out_pairs, uint32_t *out_count)
{
	size_t bytes = 0;

	if (raws->len == 0) {
		*out_pairs = NULL;
		*out_count = 0;
		return;
	}
	g_array_sort(raws, compare_raw);
	for (guint i = 0; i < raws->len; i++)
		bytes += strlen(g_array_index(raws, Raw, i).value) + 1;
	Block *block = g_malloc(sizeof *block + raws->len * sizeof(AshPair) + bytes);
	char *at = (char *) &block->pairs[raws->len];
	block->refs = 1;
	block->count = raws->len;
	for (guint i = 0; i < raws->len; i++) {
		const Raw *raw = &g_array_index(raws, Raw, i);
		block->pairs[i].key = ash_live_text_take(raw->key);
		block->pairs[i].value = at;
		at = g_stpcpy(at, raw->value) + 1;
	}
	*out_pairs = block->pairs;
	*out_count = raws->len;
}

static bool is_key_char(char c)
{
	return g_ascii_isalnum(c) || (c != '\0' && strchr("._-/", c) != NULL);
}

static gboolean check_key(const char *key, GError **error)
{
	size_t length = strlen(key);

	if (length > ASH_LIVE_MAX_LABEL_BYTES)
		return ash_throw(error, ASH_PAIRS_ERROR, ASH_PAIRS_ERROR_LIMIT,
				"a key is longer than %d bytes", ASH_LIVE_MAX_LABEL_BYTES);
	for (const char *c = key; *c != '\0'; c++)
		if (!is_key_char(*c))
			length = 0;
	if (length == 0)
		return ash_throw(error, ASH_PAIRS_ERROR, ASH_PAIRS_ERROR_KEY,
				"a key is made of letters, digits and . _ - /");
	return TRUE;
}

static gboolean check_value(const Raw *raw, size_t max_bytes, GError **error)
{
	if (strlen(raw->value) > max_bytes)
		return ash_throw(error, ASH_PAIRS_ERROR, ASH_PAIRS_ERROR_LIMIT,
				"the value of '%s' is longer than %zu bytes", raw->key, max_bytes);
	for (const char *c = raw->value; *c != '\0'; c++)
		if (g_ascii_iscntrl(*c))
			return ash_throw(error, ASH_PAIRS_ERROR, ASH_PAIRS_ERROR_TYPE,
					"the value of '%s' holds a control character", raw->key);
	return TRUE;
}

static gboolean add_node(GArray *raws, const char *key, JsonNode *node, size_t max_value_bytes,
		GError **error)
{
	g_array_set_size(raws, raws->len + 1);
	Raw *raw = &g_array_index(raws, Raw, raws->len - 1);
	raw->key = key;
	raw->value = NULL;
	GType type = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : G_TYPE_INVALID;
	if (type == G_TYPE_STRING)
		raw->value = json_node_get_string(node);
	else if (type == G_TYPE_INT64)
		g_snprintf(raw->number, sizeof raw->number, "%" G_GINT64_FORMAT,
				json_node_get_int(node));
	else if (type == G_TYPE_DOUBLE)
		g_ascii_dtostr(raw->number, sizeof raw->number, json_node_get_double(node));
	else if (type == G_TYPE_BOOLEAN)
		g_strlcpy(raw->number, json_node_get_boolean(node) ? "true" : "false",
				sizeof raw->number);
	else
		return ash_throw(error, ASH_PAIRS_ERROR, ASH_PAIRS_ERROR_TYPE,
				"the value of '%s' is neither text nor number", key);
	if (type == G_TYPE_STRING && !check_value(raw, max_value_bytes, error))
		return FALSE;
	return check_key(key, error);
}

/* Numbers stand in the array that grew meanwhile. */
static void point_at_numbers(GArray *raws)
{
	for (guint i = 0; i < raws->len; i++) {
		Raw *raw = &g_array_index(raws, Raw, i);
		if (raw->value == NULL)
			raw->value = raw->number;
	}
}

gboolean ash_pairs_from_object(JsonObject *object, unsigned max_count, size_t max_value_bytes,
		AshPair **out_pairs, uint32_t *out_count, GError **error)
{
	if (json_object_get_size(object) > max_count)
		return ash_throw(error, ASH_PAIRS_ERROR, ASH_PAIRS_ERROR_LIMIT,
				"more than %u members", max_count);
	g_autoptr(GArray) raws = g_array_new(FALSE, FALSE, sizeof(Raw));
	JsonObjectIter iter;
	const char *key;
	JsonNode *node;
	json_object_iter_init(&iter, object);
	while (json_object_iter_next(&iter, &key, &node))
		if (!add_node(raws, key, node, max_value_bytes, error))
			return FALSE;
	/* Sorting moves them, so numbers are texts of their own until the block is there. */
	g_autoptr(GStringChunk) numbers = g_string_chunk_new(256);
	for (guint i = 0; i < raws->len; i++) {
		Raw *raw = &g_array_index(raws, Raw, i);
		if (raw->value == NULL)
			raw->value = g_string_chunk_insert(numbers, raw->number);
	}
	make_block(raws, out_pairs, out_count);
	return TRUE;
}

/* What ash_pairs_format wrote, without an escape and a blank: a million of these are read at start, and building
 * JsonNodes of them would take most of it. Cuts @text into pieces. FALSE: look at it with the real parser.
 */
static bool scan_text(char **at, const char **out_text)
{
	if (**at != '"')
		return false;
	*out_text = *at + 1;
	size_t length = strcspn(*out_text, "\"\\");
	*at += 1 + length;
	if (**at != '"')
		return false;
	*(*at)++ = '\0';
	return true;
}

static bool scan_pair(char **at, Raw *raw)
{
	if (!scan_text(at, &raw->key) || *(*at)++ != ':')
		return false;
	if (**at == '"')
		return scan_text(at, &raw->value);
	size_t sign = **at == '-';
	size_t length = sign + strspn(*at + sign, "0123456789");
	/* 18 digits are within 64 bits for certain. */
	if (length == sign || length > 18 || ((*at)[sign] == '0' && length > 1))
		return false;
	memcpy(raw->number, *at, length);
	raw->number[length] = '\0';
	raw->value = NULL;
	*at += length;
	return true;
}

static bool scan_object(char *text, GArray *raws)
{
	char *at = text;

	if (*at++ != '{')
		return false;
	if (at[0] == '}')
		return at[1] == '\0';
	for (;;) {
		g_array_set_size(raws, raws->len + 1);
		if (!scan_pair(&at, &g_array_index(raws, Raw, raws->len - 1)))
			return false;
		if (*at == '}')
			return at[1] == '\0';
		if (*at++ != ',')
			return false;
	}
}

static bool scan(char *text, unsigned max_count, AshPair **out_pairs, uint32_t *out_count)
{
	g_autoptr(GArray) raws = g_array_new(FALSE, FALSE, sizeof(Raw));

	if (!scan_object(text, raws) || raws->len > max_count)
		return false;
	point_at_numbers(raws);
	for (guint i = 0; i < raws->len; i++) {
		const Raw *raw = &g_array_index(raws, Raw, i);
		/* Sorted, as ash_pairs_format writes them; so none is there twice, and nothing moves. */
		if (i > 0 && strcmp(g_array_index(raws, Raw, i - 1).key, raw->key) >= 0)
			return false;
		if (!check_key(raw->key, NULL) || !check_value(raw, ASH_LIVE_MAX_FACT_BYTES, NULL))
			return false;
	}
	make_block(raws, out_pairs, out_count);
	return true;
}

gboolean ash_pairs_parse(const char *json, unsigned max_count, AshPair **out_pairs,
		uint32_t *out_count, GError **error)
{
	size_t size = strlen(json);

	if (size <= ASH_LIVE_MAX_PAIRS_BYTES && g_utf8_validate(json, (gssize) size, NULL)) {
		g_autofree char *copy = g_strdup(json);
		if (scan(copy, max_count, out_pairs, out_count))
			return TRUE;
	}
	g_autoptr(GBytes) bytes = g_bytes_new_static(json, size);
	g_autoptr(JsonNode) node = NULL;
	if (!ash_json_parse(bytes, ASH_LIVE_MAX_PAIRS_BYTES, 2, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_PAIRS_ERROR, ASH_PAIRS_ERROR_TYPE, "not an object");
	return ash_pairs_from_object(json_node_get_object(node), max_count, ASH_LIVE_MAX_FACT_BYTES,
			out_pairs, out_count, error);
}

const char *ash_pairs_get(const AshPair *pairs, uint32_t count, const char *key)
{
	uint32_t from = 0;
	uint32_t to = count;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;
		int order = strcmp(pairs[middle].key, key);
		if (order == 0)
			return pairs[middle].value;
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

char *ash_pairs_format(const AshPair *pairs, uint32_t count)
{
	GString *text = g_string_new("{");

	for (uint32_t i = 0; i < count; i++) {
		g_string_append_printf(text, "%s\"%s\":\"", i > 0 ? "," : "", pairs[i].key);
		for (const char *c = pairs[i].value; *c != '\0'; c++) {
			if (*c == '"' || *c == '\\')
				g_string_append_c(text, '\\');
			g_string_append_c(text, *c);
		}
		g_string_append_c(text, '"');
	}
	g_string_append_c(text, '}');
	return g_string_free(text, FALSE);
}
