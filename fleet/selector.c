/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "fleet/selector-private.h"
#include "fleet/workload-said.h"
#include "lib/version.h"
#include "lib/workload.h"

G_DEFINE_QUARK(ash_selector_error, ash_selector_error)

static const char *const reserved[] = {"all", "and", "has", "host", "in", "none", "not", "or"};

/* What a host has of its own. Stable: does not change by itself while a rollout runs. */
static const struct {
	const char *name;
	AshSelectorKeyKind kind;
	bool is_stable;
	size_t offset;
} own_keys[] = {
		{"name", ASH_SELECTOR_KEY_OWN, true, offsetof(AshHost, name)},
		{"id", ASH_SELECTOR_KEY_ID, true, 0},
		{"state", ASH_SELECTOR_KEY_STATE, false, 0},
		{"health", ASH_SELECTOR_KEY_HEALTH, false, 0},
		{"agent", ASH_SELECTOR_KEY_OWN, false, offsetof(AshHost, agent_state)},
		{"version", ASH_SELECTOR_KEY_OWN, false, offsetof(AshHost, version)},
		{"commit", ASH_SELECTOR_KEY_OWN, false, offsetof(AshHost, commit)},
		{"image", ASH_SELECTOR_KEY_OWN, true, offsetof(AshHost, image)},
		{"variant", ASH_SELECTOR_KEY_OWN, true, offsetof(AshHost, variant)},
		{"arch", ASH_SELECTOR_KEY_OWN, true, offsetof(AshHost, arch)},
		{"rollout", ASH_SELECTOR_KEY_OWN, false, offsetof(AshHost, rollout)},
		{"verdict", ASH_SELECTOR_KEY_OWN, false, offsetof(AshHost, verdict)},
		{"enrolled", ASH_SELECTOR_KEY_ENROLLED, false, 0},
		{"seen", ASH_SELECTOR_KEY_SEEN, false, 0},
		{"channel", ASH_SELECTOR_KEY_LABEL, true, 0},
};

static const struct {
	const char *name;
	double factor;
} units[] = {
		{"", 1},
		{"KiB", 1024.0},
		{"MiB", 1024.0 * 1024},
		{"GiB", 1024.0 * 1024 * 1024},
		{"TiB", 1024.0 * 1024 * 1024 * 1024},
		{"k", 1e3},
		{"M", 1e6},
		{"G", 1e9},
		{"T", 1e12},
		{"s", 1},
		{"min", 60},
		{"h", 3600},
		{"d", 86400},
};

bool ash_selector_is_reserved(const char *word)
{
	for (size_t i = 0; i < G_N_ELEMENTS(reserved); i++)
		if (g_str_equal(word, reserved[i]))
			return true;
	return false;
}

bool ash_selector_is_bare(char c)
{
	return g_ascii_isalnum(c) || (c != '\0' && strchr("._-:/+@", c) != NULL);
}

bool ash_selector_number(const char *text, double *out_number)
{
	const char *at = text + (*text == '-' ? 1 : 0);
	double number = 0, digit = 1;

	if (!g_ascii_isdigit(*at))
		return false;
	for (; g_ascii_isdigit(*at); at++)
		number = number * 10 + (*at - '0');
	if (*at == '.' && g_ascii_isdigit(at[1]))
		for (at++; g_ascii_isdigit(*at); at++)
			number += (*at - '0') * (digit /= 10);
	for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
		if (strcmp(at, units[i].name) != 0)
			continue;
		*out_number = number * units[i].factor * (*text == '-' ? -1 : 1);
		return true;
	}
	return false;
}

/* ---- keys ---------------------------------------------------------------------------------------- */

static void set_pair_key(AshSelectorKey *key, AshSelectorKeyKind kind, const char *name)
{
	key->kind = kind;
	key->name = g_strdup(name);
	key->is_stable = true;
	key->is_version = g_str_equal(name, "kernel") || g_str_equal(name, "version");
}

/* "workload.NAME", "workload.NAME.ready": a name has no dot. */
static bool set_workload_key(AshSelectorKey *key, const char *text)
{
	const char *dot = strchr(text, '.');
	g_autofree char *name =
			dot != NULL ? g_strndup(text, (gsize) (dot - text)) : g_strdup(text);

	if (!ash_workload_is_name(name) || (dot != NULL && !g_str_equal(dot, ".ready")))
		return false;
	key->kind = dot != NULL ? ASH_SELECTOR_KEY_WORKLOAD_READY : ASH_SELECTOR_KEY_WORKLOAD;
	key->is_version = dot == NULL;
	key->name = g_steal_pointer(&name);
	return true;
}

AshSelectorKey *ash_selector_key_new(const char *text)
{
	AshSelectorKey *key = g_new0(AshSelectorKey, 1);

	key->text = g_strdup(text);
	for (size_t i = 0; i < G_N_ELEMENTS(own_keys); i++) {
		if (!g_str_equal(text, own_keys[i].name))
			continue;
		key->kind = own_keys[i].kind;
		key->offset = own_keys[i].offset;
		key->is_stable = own_keys[i].is_stable;
		key->is_version = g_str_equal(text, "version");
		if (key->kind == ASH_SELECTOR_KEY_LABEL)
			key->name = g_strdup(text);
		return key;
	}
	if (g_str_has_prefix(text, "workload.") && set_workload_key(key, text + 9))
		return key;
	if (g_str_has_prefix(text, "label.") && text[6] != '\0')
		set_pair_key(key, ASH_SELECTOR_KEY_LABEL, text + 6);
	else if (g_str_has_prefix(text, "fact.") && text[5] != '\0')
		set_pair_key(key, ASH_SELECTOR_KEY_FACT, text + 5);
	else
		set_pair_key(key, ASH_SELECTOR_KEY_LABEL_OR_FACT, text);
	return key;
}

void ash_selector_key_free(AshSelectorKey *key)
{
	if (key == NULL)
		return;
	g_free(key->name);
	g_free(key->text);
	g_free(key);
}

bool ash_selector_key_is_text(const AshSelectorKey *key)
{
	return key->kind == ASH_SELECTOR_KEY_OWN || key->kind == ASH_SELECTOR_KEY_ID ||
	       key->kind == ASH_SELECTOR_KEY_WORKLOAD_READY ||
	       key->kind == ASH_SELECTOR_KEY_STATE || key->kind == ASH_SELECTOR_KEY_HEALTH;
}

bool ash_selector_key_is_age(const AshSelectorKey *key)
{
	return key->kind == ASH_SELECTOR_KEY_ENROLLED || key->kind == ASH_SELECTOR_KEY_SEEN;
}

/* Sorted by key. */
static const char *find_pair(const AshPair *pairs, uint32_t count, const char *name)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(name, pairs[middle].key);
		if (order == 0)
			return pairs[middle].value;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Seconds; -1: never. */
static int64_t age_of(const AshSelectorKey *key, const AshHost *host, int64_t now_s)
{
	int64_t at_s = key->kind == ASH_SELECTOR_KEY_SEEN ? host->last_seen_s : host->enrolled_s;

	return at_s > 0 ? MAX(now_s - at_s, 0) : -1;
}

static const char *workload_value(
		const AshSelectorKey *key, const AshHost *host, char buffer[ASH_SELECTOR_KEY_BYTES])
{
	AshWorkloadSaid said;
	bool is_there = ash_workload_said_find(host->workloads, key->name, &said);

	if (key->kind == ASH_SELECTOR_KEY_WORKLOAD_READY)
		return is_there && said.is_ready ? "true" : "false";
	g_strlcpy(buffer, is_there ? said.version : "", ASH_SELECTOR_KEY_BYTES);
	return buffer;
}

const char *ash_selector_key_value(const AshSelectorKey *key, const AshHost *host, int64_t now_s,
		char buffer[ASH_SELECTOR_KEY_BYTES])
{
	const char *value = NULL;
	const char *own = NULL;

	switch (key->kind) {
	case ASH_SELECTOR_KEY_OWN:
		memcpy(&own, (const char *) host + key->offset, sizeof own);
		return own;
	case ASH_SELECTOR_KEY_ID:
		ash_host_id_format(host->id, buffer);
		return buffer;
	case ASH_SELECTOR_KEY_STATE:
		return ash_host_state_text(host->state);
	case ASH_SELECTOR_KEY_HEALTH:
		return ash_health_text(host->health);
	case ASH_SELECTOR_KEY_ENROLLED:
	case ASH_SELECTOR_KEY_SEEN:
		if (age_of(key, host, now_s) < 0)
			return NULL;
		g_snprintf(buffer, ASH_SELECTOR_KEY_BYTES, "%" G_GINT64_FORMAT,
				age_of(key, host, now_s));
		return buffer;
	case ASH_SELECTOR_KEY_LABEL_OR_FACT:
		value = find_pair(host->labels, host->label_count, key->name);
		return value != NULL ? value : find_pair(host->facts, host->fact_count, key->name);
	case ASH_SELECTOR_KEY_LABEL:
		return find_pair(host->labels, host->label_count, key->name);
	case ASH_SELECTOR_KEY_FACT:
		return find_pair(host->facts, host->fact_count, key->name);
	case ASH_SELECTOR_KEY_WORKLOAD:
	case ASH_SELECTOR_KEY_WORKLOAD_READY:
		return workload_value(key, host, buffer);
	}
	g_assert_not_reached();
}

/* ---- nodes --------------------------------------------------------------------------------------- */

AshSelectorNode *ash_selector_node_new(AshSelectorNodeKind kind)
{
	AshSelectorNode *node = g_new0(AshSelectorNode, 1);

	node->kind = kind;
	node->children = g_ptr_array_new_with_free_func((GDestroyNotify) ash_selector_node_free);
	node->values = g_ptr_array_new_with_free_func(g_free);
	return node;
}

void ash_selector_node_free(AshSelectorNode *node)
{
	if (node == NULL)
		return;
	ash_selector_key_free(node->key);
	g_ptr_array_unref(node->children);
	g_ptr_array_unref(node->values);
	g_free(node);
}

static bool is_node_stable(const AshSelectorNode *node)
{
	for (unsigned i = 0; i < node->children->len; i++)
		if (!is_node_stable(g_ptr_array_index(node->children, i)))
			return false;
	return node->key == NULL || node->key->is_stable;
}

AshSelector *ash_selector_take(AshSelectorNode *take_root)
{
	AshSelector *selector = g_new0(AshSelector, 1);

	g_atomic_ref_count_init(&selector->references);
	selector->root = take_root;
	selector->is_stable = is_node_stable(take_root);
	return selector;
}

AshSelector *ash_selector_ref(AshSelector *selector)
{
	g_atomic_ref_count_inc(&selector->references);
	return selector;
}

void ash_selector_unref(AshSelector *selector)
{
	if (selector == NULL || !g_atomic_ref_count_dec(&selector->references))
		return;
	ash_selector_node_free(selector->root);
	g_free(selector);
}

bool ash_selector_is_stable(const AshSelector *selector)
{
	return selector->is_stable;
}

/* ---- matching ------------------------------------------------------------------------------------ */

/* * and ?; goes back to the last '*' alone, so that no pattern takes longer than both lengths multiplied. */
static bool glob_matches(const char *pattern, const char *text)
{
	const char *star = NULL, *star_text = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			star_text = text;
		} else if (*pattern == '?') {
			pattern++;
			text += g_utf8_skip[*(const guchar *) text];
		} else if (*pattern == *text) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star;
			star_text += g_utf8_skip[*(const guchar *) star_text];
			text = star_text;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool has_order(AshSelectorOrder order, int compared)
{
	switch (order) {
	case ASH_SELECTOR_BELOW:
		return compared < 0;
	case ASH_SELECTOR_AT_MOST:
		return compared <= 0;
	case ASH_SELECTOR_ABOVE:
		return compared > 0;
	case ASH_SELECTOR_AT_LEAST:
		return compared >= 0;
	}
	g_assert_not_reached();
}

static bool number_matches(const AshSelectorNode *node, double number)
{
	return has_order(node->order, number < node->number ? -1 : number > node->number ? 1 : 0);
}

static bool is_id_of(const AshSelectorNode *node, const AshHost *host)
{
	return memcmp(node->id, host->id, node->digits / 2) == 0 &&
	       (node->digits % 2 == 0 ||
			       (host->id[node->digits / 2] & 0xf0) == node->id[node->digits / 2]);
}

static bool has_value(const AshSelectorNode *node, const char *value)
{
	for (unsigned i = 0; i < node->values->len; i++)
		if (strcmp(value, g_ptr_array_index(node->values, i)) == 0)
			return true;
	return false;
}

/* Those that read the host's value; NULL: it has none. */
static bool value_matches(const AshSelectorNode *node, const char *value, bool is_own)
{
	double number = 0;

	if (value == NULL)
		return node->kind == ASH_SELECTOR_NOT_EQUAL;
	if (node->kind == ASH_SELECTOR_IN)
		return has_value(node, value);
	if (node->kind == ASH_SELECTOR_NOT_EQUAL)
		return !has_value(node, value);
	if (node->kind == ASH_SELECTOR_HAS)
		return !is_own || *value != '\0';
	const char *asked = g_ptr_array_index(node->values, 0);
	if (node->kind == ASH_SELECTOR_GLOB)
		return glob_matches(asked, value);
	if (node->kind == ASH_SELECTOR_VERSION)
		return ash_version_is_valid(value) &&
		       has_order(node->order, ash_version_compare(value, asked));
	return ash_selector_number(value, &number) && number_matches(node, number);
}

static bool node_matches(const AshSelectorNode *node, const AshHost *host, int64_t now_s)
{
	char buffer[ASH_SELECTOR_KEY_BYTES];

	switch (node->kind) {
	case ASH_SELECTOR_ALL:
		return true;
	case ASH_SELECTOR_NONE:
		return false;
	case ASH_SELECTOR_OR:
	case ASH_SELECTOR_AND:
		for (unsigned i = 0; i < node->children->len; i++)
			if (node_matches(g_ptr_array_index(node->children, i), host, now_s) ==
					(node->kind == ASH_SELECTOR_OR))
				return node->kind == ASH_SELECTOR_OR;
		return node->kind == ASH_SELECTOR_AND;
	case ASH_SELECTOR_NOT:
		return !node_matches(g_ptr_array_index(node->children, 0), host, now_s);
	case ASH_SELECTOR_HOST:
		return is_id_of(node, host);
	case ASH_SELECTOR_AGE:
		return age_of(node->key, host, now_s) >= 0 &&
		       number_matches(node, (double) age_of(node->key, host, now_s));
	case ASH_SELECTOR_HAS:
	case ASH_SELECTOR_IN:
	case ASH_SELECTOR_NOT_EQUAL:
	case ASH_SELECTOR_GLOB:
	case ASH_SELECTOR_NUMBER:
	case ASH_SELECTOR_VERSION:
		return value_matches(node, ash_selector_key_value(node->key, host, now_s, buffer),
				node->key->kind == ASH_SELECTOR_KEY_OWN ||
						node->key->kind == ASH_SELECTOR_KEY_WORKLOAD);
	}
	g_assert_not_reached();
}

bool ash_selector_matches(const AshSelector *selector, const AshHost *host, int64_t now_s)
{
	return node_matches(selector->root, host, now_s);
}

/* ---- the canonical form -------------------------------------------------------------------------- */

static void format_word(GString *text, const char *word, bool is_key)
{
	bool is_bare = *word != '\0' && !(is_key && ash_selector_is_reserved(word));

	for (const char *at = word; *at != '\0'; at++)
		is_bare = is_bare && ash_selector_is_bare(*at);
	if (is_bare) {
		g_string_append(text, word);
		return;
	}
	g_string_append_c(text, '"');
	for (; *word != '\0'; word++) {
		if (*word == '"' || *word == '\\')
			g_string_append_c(text, '\\');
		g_string_append_c(text, *word);
	}
	g_string_append_c(text, '"');
}

static void format_list(GString *text, const AshSelectorNode *node)
{
	g_string_append(text, " in (");
	for (unsigned i = 0; i < node->values->len; i++) {
		g_string_append(text, i > 0 ? ", " : "");
		format_word(text, g_ptr_array_index(node->values, i), false);
	}
	g_string_append_c(text, ')');
}

static void format_comparison(GString *text, const AshSelectorNode *node)
{
	static const char *const order_texts[] = {" < ", " <= ", " > ", " >= "};

	format_word(text, node->key->text, true);
	if (node->kind == ASH_SELECTOR_IN && node->values->len > 1) {
		format_list(text, node);
		return;
	}
	if (node->kind == ASH_SELECTOR_IN)
		g_string_append(text, " = ");
	else if (node->kind == ASH_SELECTOR_NOT_EQUAL)
		g_string_append(text, " != ");
	else if (node->kind == ASH_SELECTOR_GLOB)
		g_string_append(text, " ~ ");
	else
		g_string_append(text, order_texts[node->order]);
	format_word(text, g_ptr_array_index(node->values, 0), false);
}

static void format_id(GString *text, const AshSelectorNode *node)
{
	g_string_append(text, "host ");
	for (unsigned i = 0; i < node->digits; i++)
		g_string_append_c(text, "0123456789abcdef"[i % 2 == 0 ? node->id[i / 2] >> 4
								      : node->id[i / 2] & 15]);
}

static void format_node(GString *text, const AshSelectorNode *node, AshSelectorNodeKind around)
{
	/* 'or' binds least, then 'and', then 'not'; the kinds stand in that order. */
	bool is_list = node->kind == ASH_SELECTOR_OR || node->kind == ASH_SELECTOR_AND;
	bool is_inside = is_list && around > node->kind;

	g_string_append(text, is_inside ? "(" : node->kind == ASH_SELECTOR_NOT ? "not " : "");
	for (unsigned i = 0; i < node->children->len; i++) {
		if (i > 0)
			g_string_append(text, node->kind == ASH_SELECTOR_OR ? " or " : " and ");
		format_node(text, g_ptr_array_index(node->children, i), node->kind);
	}
	g_string_append(text, is_inside ? ")" : "");
	if (is_list || node->kind == ASH_SELECTOR_NOT)
		return;
	if (node->kind == ASH_SELECTOR_ALL || node->kind == ASH_SELECTOR_NONE) {
		g_string_append(text, node->kind == ASH_SELECTOR_ALL ? "all" : "none");
	} else if (node->kind == ASH_SELECTOR_HAS) {
		g_string_append(text, "has ");
		format_word(text, node->key->text, true);
	} else if (node->kind == ASH_SELECTOR_HOST) {
		format_id(text, node);
	} else {
		format_comparison(text, node);
	}
}

char *ash_selector_format(const AshSelector *selector)
{
	GString *text = g_string_new(NULL);

	format_node(text, selector->root, ASH_SELECTOR_ALL);
	return g_string_free(text, FALSE);
}

/* ---- both ---------------------------------------------------------------------------------------- */

static AshSelectorKey *copy_key(const AshSelectorKey *key)
{
	return key != NULL ? ash_selector_key_new(key->text) : NULL;
}

static AshSelectorNode *copy_node(const AshSelectorNode *node)
{
	AshSelectorNode *copy = ash_selector_node_new(node->kind);

	copy->key = copy_key(node->key);
	for (unsigned i = 0; i < node->children->len; i++)
		g_ptr_array_add(copy->children, copy_node(g_ptr_array_index(node->children, i)));
	for (unsigned i = 0; i < node->values->len; i++)
		g_ptr_array_add(copy->values, g_strdup(g_ptr_array_index(node->values, i)));
	copy->order = node->order;
	copy->number = node->number;
	memcpy(copy->id, node->id, sizeof copy->id);
	copy->digits = node->digits;
	return copy;
}

static void append_copy(AshSelectorNode *list, const AshSelectorNode *node)
{
	if (node->kind == ASH_SELECTOR_AND)
		for (unsigned i = 0; i < node->children->len; i++)
			append_copy(list, g_ptr_array_index(node->children, i));
	else if (node->kind != ASH_SELECTOR_ALL)
		g_ptr_array_add(list->children, copy_node(node));
}

AshSelector *ash_selector_and(AshSelector *a, AshSelector *b)
{
	g_autoptr(AshSelectorNode) list = ash_selector_node_new(ASH_SELECTOR_AND);

	append_copy(list, a->root);
	append_copy(list, b->root);
	if (list->children->len == 0)
		return ash_selector_take(ash_selector_node_new(ASH_SELECTOR_ALL));
	if (list->children->len == 1)
		return ash_selector_take(g_ptr_array_steal_index(list->children, 0));
	return ash_selector_take(g_steal_pointer(&list));
}
