/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/rollout-spec.h"

#include <math.h>
#include <string.h>

#include "lib/error.h"
#include "lib/json.h"
#include "lib/window.h"

G_DEFINE_QUARK(ash_rollout_spec_error, ash_rollout_spec_error)

enum {
	MAX_SECONDS = 366 * 86400,
	MAX_SELECTOR_BYTES = 4096,
	MAX_DEPTH = 8,
};

static void budget_free(gpointer data)
{
	AshRolloutBudget *budget = data;

	g_free(budget->label);
	g_free(budget);
}

AshRolloutSpec *ash_rollout_spec_new(void)
{
	AshRolloutSpec *spec = g_new0(AshRolloutSpec, 1);
	char **texts[] = {&spec->id, &spec->name, &spec->release, &spec->commit, &spec->version,
			&spec->selector, &spec->channel, &spec->canaries, &spec->assignment,
			&spec->workload, &spec->from};

	for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
		*texts[i] = g_strdup("");
	spec->tolerated = spec->alpha = 0.01;
	spec->first = 4;
	spec->growth = 4;
	spec->soak_s = 300;
	spec->deadline_s = 5400;
	spec->begin_s = 86400;
	spec->lapse_s = 900;
	spec->patience_s = 86400;
	spec->budgets = g_ptr_array_new_with_free_func(budget_free);
	spec->windows = g_new0(char *, 1);
	spec->table = g_array_new(FALSE, FALSE, sizeof(AshRolloutLimit));
	return spec;
}

void ash_rollout_spec_free(AshRolloutSpec *spec)
{
	if (spec == NULL)
		return;
	g_free(spec->id);
	g_free(spec->name);
	g_free(spec->release);
	g_free(spec->commit);
	g_free(spec->version);
	g_free(spec->selector);
	g_free(spec->channel);
	g_free(spec->canaries);
	g_free(spec->assignment);
	g_free(spec->workload);
	g_free(spec->from);
	g_ptr_array_unref(spec->budgets);
	g_strfreev(spec->windows);
	g_array_unref(spec->table);
	g_free(spec);
}

/* ---- the table ---- */

/* log Σ exp: the plain sum leaves the range of a double at some ten thousand hosts. */
static double log_mixture(double p0, double f, double m)
{
	static const double factors[] = {1.5, 2, 3, 5, 10, 20, 50};
	double terms[G_N_ELEMENTS(factors)], highest = -INFINITY, sum = 0;

	for (unsigned i = 0; i < G_N_ELEMENTS(factors); i++) {
		double p = MIN(p0 * factors[i], 0.9);
		terms[i] = f * log(p / p0) + (m - f) * log((1 - p) / (1 - p0));
		highest = MAX(highest, terms[i]);
	}
	for (unsigned i = 0; i < G_N_ELEMENTS(factors); i++)
		sum += exp(terms[i] - highest);
	return highest + log(sum / (double) G_N_ELEMENTS(factors));
}

uint32_t ash_rollout_limit_of(double tolerated, double alpha, uint32_t m)
{
	double bound = log(1 / alpha);
	uint32_t low = 0, high = m + 1;

	/* Each term grows with f while p > p0, so the sum does: halve the interval. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (log_mixture(tolerated, middle, m) >= bound)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void add_limit(AshRolloutSpec *spec, uint32_t m)
{
	AshRolloutLimit limit = {m, ash_rollout_limit_of(spec->tolerated, spec->alpha, m)};

	g_array_append_val(spec->table, limit);
}

void ash_rollout_spec_plan(AshRolloutSpec *spec, uint32_t hosts, uint32_t canaries)
{
	uint64_t m = canaries > 0 ? canaries : spec->first;

	g_array_set_size(spec->table, 0);
	while (spec->table->len < ASH_ROLLOUT_MAX_RINGS) {
		uint32_t last = spec->table->len > 0 ? g_array_index(spec->table, AshRolloutLimit,
								       spec->table->len - 1)
								       .m
						     : 0;
		if (last < hosts && m > hosts)
			m = hosts;
		m = MIN(m, (uint64_t) ASH_ROLLOUT_MAX_HOSTS);
		add_limit(spec, (uint32_t) m);
		if (m == ASH_ROLLOUT_MAX_HOSTS)
			break;
		m = MAX(m * spec->growth, spec->first);
	}
}

/* ---- reading ---- */

static gboolean invalid(GError **error, const char *key, const char *what)
{
	return ash_throw(error, ASH_ROLLOUT_SPEC_ERROR, ASH_ROLLOUT_SPEC_ERROR_INVALID,
			"'%s' is %s", key, what);
}

static bool is_clean(const char *text, size_t max)
{
	if (strlen(text) > max)
		return false;
	for (; *text != '\0'; text++)
		if ((unsigned char) *text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static gboolean read_text(
		JsonObject *object, const char *key, size_t max, char **text, GError **error)
{
	JsonNode *node = json_object_get_member(object, key);

	if (node == NULL)
		return TRUE;
	if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_INT64 &&
			strcmp(key, "release") == 0) {
		g_free(*text);
		*text = g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
		return TRUE;
	}
	if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING ||
			!is_clean(json_node_get_string(node), max))
		return invalid(error, key, "not a text, or too long");
	g_free(*text);
	*text = g_strdup(json_node_get_string(node));
	return TRUE;
}

static gboolean read_share(JsonObject *object, const char *key, double least, double most,
		double *share, GError **error)
{
	JsonNode *node = json_object_get_member(object, key);

	if (node == NULL)
		return TRUE;
	bool is_number = JSON_NODE_HOLDS_VALUE(node) &&
			 (json_node_get_value_type(node) == G_TYPE_DOUBLE ||
					 json_node_get_value_type(node) == G_TYPE_INT64);
	double value = is_number ? json_node_get_double(node) : NAN;
	if (!(value >= least && value <= most))
		return ash_throw(error, ASH_ROLLOUT_SPEC_ERROR, ASH_ROLLOUT_SPEC_ERROR_INVALID,
				"'%s' is not a number from %g to %g", key, least, most);
	*share = value;
	return TRUE;
}

static gboolean read_whole(JsonObject *object, const char *key, int64_t least, int64_t most,
		int64_t *number, GError **error)
{
	JsonNode *node = json_object_get_member(object, key);

	if (node == NULL)
		return TRUE;
	if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64 ||
			json_node_get_int(node) < least || json_node_get_int(node) > most)
		return ash_throw(error, ASH_ROLLOUT_SPEC_ERROR, ASH_ROLLOUT_SPEC_ERROR_INVALID,
				"'%s' is not a whole number from %" G_GINT64_FORMAT
				" to %" G_GINT64_FORMAT,
				key, least, most);
	*number = json_node_get_int(node);
	return TRUE;
}

static const struct {
	const char *word;
	unsigned growth;
} growths[] = {{"careful", 2}, {"normal", 4}, {"urgent", 10}};

static gboolean read_growth(JsonObject *object, unsigned *growth, GError **error)
{
	JsonNode *node = json_object_get_member(object, "growth");
	int64_t number = *growth;

	if (node != NULL && JSON_NODE_HOLDS_VALUE(node) &&
			json_node_get_value_type(node) == G_TYPE_STRING) {
		for (unsigned i = 0; i < G_N_ELEMENTS(growths); i++)
			if (strcmp(json_node_get_string(node), growths[i].word) == 0) {
				*growth = growths[i].growth;
				return TRUE;
			}
		return invalid(error, "growth",
				"not careful, normal, urgent, or a number from 2 to 10");
	}
	if (!read_whole(object, "growth", 2, 10, &number, error))
		return FALSE;
	*growth = (unsigned) number;
	return TRUE;
}

static gboolean read_budget_max(JsonNode *node, AshRolloutBudget *budget, GError **error)
{
	static const char what[] = "not a number from 1, or a share like \"10%\"";

	if (node == NULL || !JSON_NODE_HOLDS_VALUE(node))
		return invalid(error, "max", what);
	if (json_node_get_value_type(node) == G_TYPE_INT64) {
		int64_t max = json_node_get_int(node);
		if (max < 1 || max > ASH_ROLLOUT_MAX_HOSTS)
			return invalid(error, "max", what);
		budget->max = (unsigned) max;
		return TRUE;
	}
	const char *text = json_node_get_value_type(node) == G_TYPE_STRING
					   ? json_node_get_string(node)
					   : "";
	guint64 value = 0;
	g_autofree char *number = g_strndup(text, strcspn(text, "%"));
	bool is_share = g_str_has_suffix(text, "%");
	if (!g_ascii_string_to_unsigned(
			    number, 10, 1, is_share ? 100 : ASH_ROLLOUT_MAX_HOSTS, &value, NULL) ||
			strlen(text) != strlen(number) + (is_share ? 1 : 0))
		return invalid(error, "max", what);
	*(is_share ? &budget->percent : &budget->max) = (unsigned) value;
	return TRUE;
}

static gboolean read_budgets(JsonObject *object, GPtrArray *budgets, GError **error)
{
	JsonNode *node = json_object_get_member(object, "budgets");

	if (node == NULL)
		return TRUE;
	if (!JSON_NODE_HOLDS_ARRAY(node) ||
			json_array_get_length(json_node_get_array(node)) > ASH_ROLLOUT_MAX_BUDGETS)
		return invalid(error, "budgets", "not a list of at most 4");
	JsonArray *array = json_node_get_array(node);
	ASH_PREFIX("budgets");
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *element = json_array_get_element(array, i);
		if (!JSON_NODE_HOLDS_OBJECT(element) ||
				json_object_get_size(json_node_get_object(element)) != 2)
			return invalid(error, "budgets", "not a list of {\"label\", \"max\"}");
		JsonObject *entry = json_node_get_object(element);
		AshRolloutBudget *budget = g_new0(AshRolloutBudget, 1);
		budget->label = g_strdup("");
		g_ptr_array_add(budgets, budget);
		if (!read_text(entry, "label", 128, &budget->label, error) ||
				!read_budget_max(json_object_get_member(entry, "max"), budget,
						error))
			return FALSE;
		if (*budget->label == '\0')
			return invalid(error, "label", "missing");
	}
	return TRUE;
}

static gboolean read_windows(JsonObject *object, char ***windows, GError **error)
{
	JsonNode *node = json_object_get_member(object, "windows");
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

	if (node == NULL)
		return TRUE;
	if (!JSON_NODE_HOLDS_ARRAY(node) ||
			json_array_get_length(json_node_get_array(node)) > ASH_ROLLOUT_MAX_WINDOWS)
		return invalid(error, "windows", "not a list of at most 16 texts");
	JsonArray *array = json_node_get_array(node);
	ASH_PREFIX("windows");
	for (guint i = 0; i < json_array_get_length(array); i++) {
		g_autoptr(AshWindow) window = NULL;
		JsonNode *element = json_array_get_element(array, i);
		if (!JSON_NODE_HOLDS_VALUE(element) ||
				json_node_get_value_type(element) != G_TYPE_STRING ||
				!is_clean(json_node_get_string(element), ASH_ROLLOUT_MAX_TEXT))
			return invalid(error, "windows", "not a list of texts");
		if (!ash_window_parse(json_node_get_string(element), &window, error))
			return FALSE;
		g_ptr_array_add(texts, g_strdup(json_node_get_string(element)));
	}
	g_ptr_array_add(texts, NULL);
	g_strfreev(*windows);
	*windows = (char **) g_ptr_array_free(g_steal_pointer(&texts), FALSE);
	return TRUE;
}

static gboolean read_on_halt(JsonObject *object, bool *reverts, GError **error)
{
	g_autofree char *word = g_strdup("hold");

	if (!read_text(object, "on_halt", 16, &word, error))
		return FALSE;
	if (strcmp(word, "hold") != 0 && strcmp(word, "revert") != 0)
		return invalid(error, "on_halt", "neither hold nor revert");
	*reverts = strcmp(word, "revert") == 0;
	return TRUE;
}

/* As it was computed: integers that grow, [[m, f*], …]. */
static gboolean read_table(JsonObject *object, GArray *table, GError **error)
{
	JsonNode *node = json_object_get_member(object, "table");
	AshRolloutLimit last = {0, 0};

	if (node == NULL)
		return TRUE;
	if (!JSON_NODE_HOLDS_ARRAY(node) ||
			json_array_get_length(json_node_get_array(node)) > ASH_ROLLOUT_MAX_RINGS)
		return invalid(error, "table", "not a list of at most 40 limits");
	JsonArray *array = json_node_get_array(node);
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *element = json_array_get_element(array, i);
		int64_t pair[2] = {0, 0};
		bool ok = JSON_NODE_HOLDS_ARRAY(element) &&
			  json_array_get_length(json_node_get_array(element)) == 2;
		for (guint j = 0; ok && j < 2; j++) {
			JsonNode *part = json_array_get_element(json_node_get_array(element), j);
			ok = JSON_NODE_HOLDS_VALUE(part) &&
			     json_node_get_value_type(part) == G_TYPE_INT64;
			pair[j] = ok ? json_node_get_int(part) : 0;
		}
		if (!ok || pair[0] <= last.m || pair[0] > ASH_ROLLOUT_MAX_HOSTS || pair[1] < 1 ||
				pair[1] < last.f || pair[1] > pair[0] + 1)
			return invalid(error, "table", "not a list of [hosts, failures] that grow");
		last = (AshRolloutLimit){(uint32_t) pair[0], (uint32_t) pair[1]};
		g_array_append_val(table, last);
	}
	return TRUE;
}

static gboolean check_members(JsonObject *object, GError **error)
{
	static const char *const known[] = {"id", "name", "release", "commit", "version",
			"selector", "channel", "canaries", "assignment", "workload", "from",
			"tolerated", "alpha", "first", "growth", "soak", "deadline", "begin",
			"lapse", "patience", "ring_pause", "max_in_flight", "budgets", "windows",
			"on_halt", "table", "reason", NULL};
	g_autoptr(GList) members = json_object_get_members(object);

	for (GList *at = members; at != NULL; at = at->next)
		if (!g_strv_contains(known, at->data))
			return invalid(error, at->data, "not a member of a rollout's document");
	return TRUE;
}

static gboolean read_texts(JsonObject *object, AshRolloutSpec *spec, GError **error)
{
	const struct {
		const char *key;
		size_t max;
		char **text;
	} texts[] = {
			{"id", 64, &spec->id},
			{"name", ASH_ROLLOUT_MAX_TEXT, &spec->name},
			{"release", ASH_ROLLOUT_MAX_TEXT, &spec->release},
			{"commit", 64, &spec->commit},
			{"version", ASH_ROLLOUT_MAX_TEXT, &spec->version},
			{"selector", MAX_SELECTOR_BYTES, &spec->selector},
			{"channel", ASH_ROLLOUT_MAX_TEXT, &spec->channel},
			{"canaries", MAX_SELECTOR_BYTES, &spec->canaries},
			{"assignment", 64, &spec->assignment},
			{"workload", 64, &spec->workload},
			{"from", 64, &spec->from},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
		if (!read_text(object, texts[i].key, texts[i].max, texts[i].text, error))
			return FALSE;
	return TRUE;
}

static gboolean read_numbers(JsonObject *object, AshRolloutSpec *spec, GError **error)
{
	int64_t first = spec->first, in_flight = 0;
	const struct {
		const char *key;
		int64_t least, most;
		int64_t *number;
	} numbers[] = {
			{"first", 1, 100000, &first},
			{"max_in_flight", 0, ASH_ROLLOUT_MAX_HOSTS, &in_flight},
			{"soak", 0, MAX_SECONDS, &spec->soak_s},
			{"deadline", 1, MAX_SECONDS, &spec->deadline_s},
			{"begin", 1, MAX_SECONDS, &spec->begin_s},
			{"lapse", 1, MAX_SECONDS, &spec->lapse_s},
			{"patience", 1, MAX_SECONDS, &spec->patience_s},
			{"ring_pause", 0, MAX_SECONDS, &spec->ring_pause_s},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++)
		if (!read_whole(object, numbers[i].key, numbers[i].least, numbers[i].most,
				    numbers[i].number, error))
			return FALSE;
	spec->first = (unsigned) first;
	spec->max_in_flight = (unsigned) in_flight;
	return read_share(object, "tolerated", 0.00001, 0.5, &spec->tolerated, error) &&
	       read_share(object, "alpha", 0.000001, 0.5, &spec->alpha, error) &&
	       read_growth(object, &spec->growth, error);
}

gboolean ash_rollout_spec_parse(JsonObject *object, AshRolloutSpec **out_spec, GError **error)
{
	g_autoptr(AshRolloutSpec) spec = ash_rollout_spec_new();

	if (!check_members(object, error) || !read_texts(object, spec, error) ||
			!read_numbers(object, spec, error) ||
			!read_budgets(object, spec->budgets, error) ||
			!read_windows(object, &spec->windows, error) ||
			!read_on_halt(object, &spec->reverts, error) ||
			!read_table(object, spec->table, error))
		return FALSE;
	if (*spec->release == '\0' && *spec->assignment == '\0')
		return invalid(error, "release", "missing");
	*out_spec = g_steal_pointer(&spec);
	return TRUE;
}

gboolean ash_rollout_spec_parse_text(const char *text, AshRolloutSpec **out_spec, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(bytes, ASH_ROLLOUT_MAX_SPEC_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_ROLLOUT_SPEC_ERROR, ASH_ROLLOUT_SPEC_ERROR_INVALID,
				"a rollout's document is an object");
	return ash_rollout_spec_parse(json_node_get_object(node), out_spec, error);
}

/* ---- writing ---- */

static void add_share(JsonBuilder *builder, const char *key, double share)
{
	json_builder_set_member_name(builder, key);
	json_builder_add_double_value(builder, share);
}

static void add_budgets(JsonBuilder *builder, const GPtrArray *budgets)
{
	ash_json_begin_array(builder, "budgets");
	for (guint i = 0; i < budgets->len; i++) {
		const AshRolloutBudget *budget = budgets->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "label", budget->label);
		if (budget->percent > 0) {
			g_autofree char *share = g_strdup_printf("%u%%", budget->percent);
			ash_json_add_text(builder, "max", share);
		} else {
			ash_json_add_uint(builder, "max", budget->max);
		}
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

static void add_table(JsonBuilder *builder, const GArray *table)
{
	ash_json_begin_array(builder, "table");
	for (guint i = 0; i < table->len; i++) {
		const AshRolloutLimit *limit = &g_array_index(table, AshRolloutLimit, i);
		json_builder_begin_array(builder);
		json_builder_add_int_value(builder, limit->m);
		json_builder_add_int_value(builder, limit->f);
		json_builder_end_array(builder);
	}
	json_builder_end_array(builder);
}

char *ash_rollout_spec_format(const AshRolloutSpec *spec)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "id", spec->id);
	ash_json_add_text(builder, "name", spec->name);
	ash_json_add_text(builder, "release", spec->release);
	ash_json_add_text(builder, "commit", spec->commit);
	ash_json_add_text(builder, "version", spec->version);
	ash_json_add_text(builder, "selector", spec->selector);
	ash_json_add_text(builder, "channel", spec->channel);
	ash_json_add_text(builder, "canaries", spec->canaries);
	ash_json_add_text(builder, "assignment", spec->assignment);
	ash_json_add_text(builder, "workload", spec->workload);
	ash_json_add_text(builder, "from", spec->from);
	add_share(builder, "tolerated", spec->tolerated);
	add_share(builder, "alpha", spec->alpha);
	ash_json_add_uint(builder, "first", spec->first);
	ash_json_add_uint(builder, "growth", spec->growth);
	ash_json_add_int(builder, "soak", spec->soak_s);
	ash_json_add_int(builder, "deadline", spec->deadline_s);
	ash_json_add_int(builder, "begin", spec->begin_s);
	ash_json_add_int(builder, "lapse", spec->lapse_s);
	ash_json_add_int(builder, "patience", spec->patience_s);
	ash_json_add_int(builder, "ring_pause", spec->ring_pause_s);
	ash_json_add_uint(builder, "max_in_flight", spec->max_in_flight);
	add_budgets(builder, spec->budgets);
	ash_json_add_texts(builder, "windows", spec->windows);
	ash_json_add_text(builder, "on_halt", spec->reverts ? "revert" : "hold");
	add_table(builder, spec->table);
	json_builder_end_object(builder);
	return g_strchomp(ash_json_format(builder, false));
}
