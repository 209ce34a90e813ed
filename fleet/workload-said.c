/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/workload-said.h"

#include <string.h>

#include "lib/checkin.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/version.h"
#include "lib/workload.h"

G_DEFINE_QUARK(ash_workload_said_error, ash_workload_said_error)

/* ---- one line ---- */

static const char *line_end(const char *at)
{
	return strchrnul(at, '\n');
}

/* Up to one of @ends, which is not taken; what is too long is cut: it is not of ours. */
static const char *take(const char *at, const char *ends, char *out, size_t size)
{
	size_t length = strcspn(at, ends);
	size_t copied = MIN(length, size - 1);

	memcpy(out, at, copied);
	out[copied] = '\0';
	return at + length;
}

static const char *take_failed(const char *at, AshWorkloadSaid *said)
{
	do {
		at = take(at + 1, ", \n", said->failed[said->failed_count],
				ASH_WORKLOAD_SAID_VERSION);
		said->failed_count++;
	} while (*at == ',' && said->failed_count < ASH_WORKLOAD_SAID_MAX_FAILED);
	return at + strcspn(at, " \n");
}

static void parse_line(const char *at, AshWorkloadSaid *said)
{
	memset(said, 0, sizeof *said);
	at = take(at, " \n", said->name, sizeof said->name);
	at = take(*at == ' ' ? at + 1 : at, " \n", said->version, sizeof said->version);
	if (g_str_equal(said->version, "-"))
		said->version[0] = '\0';
	for (at += *at == ' ' ? 1 : 0; *at != ' ' && *at != '\n' && *at != '\0'; at++) {
		said->is_ready |= *at == '+';
		said->is_failed |= *at == '!';
		said->is_signed |= *at == 's';
	}
	while (*at == ' ') {
		at++;
		if (g_str_has_prefix(at, "f=")) {
			at = take_failed(at + 1, said);
		} else if (g_str_has_prefix(at, "m=")) {
			at = take(at + 2, "/ \n", said->missing, sizeof said->missing);
			at = take(*at == '/' ? at + 1 : at, " \n", said->word, sizeof said->word);
		} else {
			at += strcspn(at, " \n");
		}
	}
}

void ash_workload_said_each(const char *said, AshWorkloadSaidEach each, gpointer data)
{
	AshWorkloadSaid line;

	while (*said != '\0') {
		parse_line(said, &line);
		if (!each(&line, data))
			return;
		said = line_end(said);
		said += *said == '\n' ? 1 : 0;
	}
}

bool ash_workload_said_find(const char *said, const char *name, AshWorkloadSaid *out_said)
{
	size_t length = strlen(name);

	while (*said != '\0') {
		if (strncmp(said, name, length) == 0 && said[length] == ' ') {
			parse_line(said, out_said);
			return true;
		}
		said = line_end(said);
		said += *said == '\n' ? 1 : 0;
	}
	return false;
}

bool ash_workload_said_has_failed(const AshWorkloadSaid *said, const char *version)
{
	for (unsigned i = 0; i < said->failed_count; i++)
		if (g_str_equal(said->failed[i], version))
			return true;
	return false;
}

bool ash_workload_said_is_final(const char *word)
{
	return g_str_equal(word, "untrusted") || g_str_equal(word, "refused");
}

AshRolloutSaid ash_workload_said_rollout(const char *said, const char *name, const char *version)
{
	AshWorkloadSaid line;

	if (!ash_workload_said_find(said, name, &line))
		return ASH_ROLLOUT_SAID_OTHER;
	if (ash_workload_said_has_failed(&line, version))
		return ASH_ROLLOUT_SAID_FAILED;
	if (g_str_equal(line.version, version))
		return line.is_ready ? ASH_ROLLOUT_SAID_GOOD : ASH_ROLLOUT_SAID_TRIAL;
	if (g_str_equal(line.missing, version) && ash_workload_said_is_final(line.word))
		return ASH_ROLLOUT_SAID_FAILED;
	return ASH_ROLLOUT_SAID_OTHER;
}

/* ---- from the report ---- */

static gboolean wrong(GError **error, const char *member, const char *wanted)
{
	return ash_throw(error, ASH_WORKLOAD_SAID_ERROR, ASH_WORKLOAD_SAID_ERROR_REQUEST,
			"'%s' is %s", member, wanted);
}

static gboolean take_list(JsonObject *object, const char *key, JsonArray **out_list, GError **error)
{
	*out_list = NULL;
	if (!json_object_has_member(object, key) || json_object_get_null_member(object, key))
		return TRUE;
	if (!ash_json_array(object, key, out_list, error))
		return FALSE;
	if (json_array_get_length(*out_list) > ASH_CHECKIN_MAX_WORKLOAD_ITEMS)
		return ash_throw(error, ASH_WORKLOAD_SAID_ERROR, ASH_WORKLOAD_SAID_ERROR_LIMIT,
				"'%s' has more than %d elements", key,
				ASH_CHECKIN_MAX_WORKLOAD_ITEMS);
	for (guint i = 0; i < json_array_get_length(*out_list); i++)
		if (!JSON_NODE_HOLDS_OBJECT(json_array_get_element(*out_list, i)))
			return wrong(error, key, "an array of objects");
	return TRUE;
}

static gboolean take_version(
		JsonObject *object, char out_version[ASH_WORKLOAD_SAID_VERSION], GError **error)
{
	const char *version = "";

	if (!ash_json_text_opt(object, "version", &version, error))
		return FALSE;
	if (*version != '\0' && (strlen(version) >= ASH_WORKLOAD_SAID_VERSION ||
						!ash_version_is_valid(version)))
		return wrong(error, "version", "a version");
	g_strlcpy(out_version, version, ASH_WORKLOAD_SAID_VERSION);
	return TRUE;
}

/* The line of this name, made when there is none. */
static gboolean get_line(
		GPtrArray *lines, JsonObject *object, AshWorkloadSaid **out_line, GError **error)
{
	const char *name = NULL;

	if (!ash_json_text(object, "name", &name, error))
		return FALSE;
	if (strlen(name) >= ASH_WORKLOAD_SAID_NAME || !ash_workload_is_name(name))
		return wrong(error, "name", "a workload's name");
	for (guint i = 0; i < lines->len; i++) {
		AshWorkloadSaid *line = lines->pdata[i];
		if (g_str_equal(line->name, name)) {
			*out_line = line;
			return TRUE;
		}
	}
	AshWorkloadSaid *line = g_new0(AshWorkloadSaid, 1);
	g_strlcpy(line->name, name, sizeof line->name);
	g_ptr_array_add(lines, line);
	*out_line = line;
	return TRUE;
}

static gboolean take_item(GPtrArray *lines, JsonObject *object, GError **error)
{
	AshWorkloadSaid *line = NULL;
	JsonArray *failed = NULL;
	bool is_ready = false;

	if (!get_line(lines, object, &line, error) || !take_version(object, line->version, error) ||
			!ash_json_bool_opt(object, "ready", &is_ready, error) ||
			!take_list(object, "failed", &failed, error))
		return FALSE;
	line->is_ready = is_ready;
	line->is_failed =
			!is_ready && g_strcmp0(ash_json_find_text(object, "state"), "failed") == 0;
	line->is_signed = g_strcmp0(ash_json_find_text(object, "origin"), "signed") == 0;
	line->failed_count = 0;
	for (guint i = 0; failed != NULL && i < json_array_get_length(failed) &&
			  line->failed_count < ASH_WORKLOAD_SAID_MAX_FAILED;
			i++) {
		char *version = line->failed[line->failed_count];
		if (!take_version(json_array_get_object_element(failed, i), version, error))
			return FALSE;
		line->failed_count += *version != '\0' ? 1 : 0;
	}
	return TRUE;
}

static bool is_word(const char *word)
{
	return *word != '\0' && strlen(word) < ASH_WORKLOAD_SAID_WORD &&
	       strspn(word, "abcdefghijklmnopqrstuvwxyz-") == strlen(word);
}

static gboolean take_missing(GPtrArray *lines, JsonObject *object, GError **error)
{
	AshWorkloadSaid *line = NULL;
	const char *word = "";

	if (!get_line(lines, object, &line, error) || !take_version(object, line->missing, error) ||
			!ash_json_text_opt(object, "word", &word, error))
		return FALSE;
	g_strlcpy(line->word, is_word(word) ? word : "other", sizeof line->word);
	return TRUE;
}

static int compare_lines(gconstpointer a, gconstpointer b)
{
	return strcmp((*(AshWorkloadSaid *const *) a)->name, (*(AshWorkloadSaid *const *) b)->name);
}

static void format_line(GString *text, const AshWorkloadSaid *line)
{
	g_string_append_printf(text, "%s%s %s %s%s", text->len > 0 ? "\n" : "", line->name,
			line->version[0] != '\0' ? line->version : "-",
			line->is_ready    ? "+"
			: line->is_failed ? "!"
					  : "-",
			line->is_signed ? "s" : "");
	for (unsigned i = 0; i < line->failed_count; i++)
		g_string_append_printf(text, "%s%s", i == 0 ? " f=" : ",", line->failed[i]);
	if (line->word[0] != '\0')
		g_string_append_printf(text, " m=%s/%s", line->missing, line->word);
}

gboolean ash_workload_said_parse(JsonObject *report, char **out_said, GError **error)
{
	g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GString) text = g_string_new(NULL);
	JsonArray *items = NULL;
	JsonArray *missing = NULL;

	if (!take_list(report, "items", &items, error) ||
			!take_list(report, "missing", &missing, error))
		return FALSE;
	for (guint i = 0; items != NULL && i < json_array_get_length(items); i++)
		if (!take_item(lines, json_array_get_object_element(items, i), error))
			return FALSE;
	for (guint i = 0; missing != NULL && i < json_array_get_length(missing); i++)
		if (!take_missing(lines, json_array_get_object_element(missing, i), error))
			return FALSE;
	g_ptr_array_sort(lines, compare_lines);
	for (guint i = 0; i < lines->len; i++)
		format_line(text, lines->pdata[i]);
	*out_said = g_string_free(g_steal_pointer(&text), FALSE);
	return TRUE;
}

/* ---- what changed ---- */

typedef struct {
	const char *other; /* the report beside it */
	AshWorkloadChangeEach each;
	gpointer data;
} Compare;

static void tell(const Compare *compare, const char *word, const char *name, const char *version,
		const char *text)
{
	compare->each(&(AshWorkloadChange){word, name, version, text}, compare->data);
}

/* The version that failed since. */
static const char *newly_failed(const AshWorkloadSaid *before, const AshWorkloadSaid *now)
{
	for (unsigned i = 0; i < now->failed_count; i++)
		if (!ash_workload_said_has_failed(before, now->failed[i]))
			return now->failed[i];
	return NULL;
}

static bool tell_failed(
		const Compare *compare, const AshWorkloadSaid *before, const AshWorkloadSaid *now)
{
	const char *failed = newly_failed(before, now);
	g_autofree char *text = NULL;

	if (failed == NULL && now->is_failed && !before->is_failed)
		failed = now->version;
	if (failed == NULL)
		return false;
	bool is_back = now->version[0] != '\0' && !g_str_equal(now->version, failed);
	text = is_back ? g_strdup_printf("%s %s failed; %s runs again", now->name, failed,
					 now->version)
		       : g_strdup_printf("%s %s failed", now->name, failed);
	tell(compare, is_back ? "rolled-back" : "failed", now->name, failed, text);
	return true;
}

static bool compare_line(const AshWorkloadSaid *now, gpointer data)
{
	const Compare *compare = data;
	AshWorkloadSaid before = {0};
	bool was_there = ash_workload_said_find(compare->other, now->name, &before);
	bool is_other = !g_str_equal(before.version, now->version);
	bool has_failed = tell_failed(compare, &before, now);

	if (now->word[0] != '\0' && (!g_str_equal(before.word, now->word) ||
						    !g_str_equal(before.missing, now->missing))) {
		g_autofree char *text = g_strdup_printf("%s%s%s is not there: %s", now->name,
				now->missing[0] != '\0' ? " " : "", now->missing, now->word);
		tell(compare, "missing", now->name, now->missing, text);
	}
	if (now->version[0] == '\0') {
		g_autofree char *text =
				g_strdup_printf("%s %s was removed", now->name, before.version);
		if (was_there && is_other)
			tell(compare, "removed", now->name, before.version, text);
	} else if (!has_failed && (is_other || before.is_ready != now->is_ready)) {
		g_autofree char *text = g_strdup_printf("%s %s is %sready", now->name, now->version,
				now->is_ready ? "" : "not ");
		tell(compare, now->is_ready ? "ready" : "not-ready", now->name, now->version, text);
	}
	return true;
}

static bool find_removed(const AshWorkloadSaid *before, gpointer data)
{
	const Compare *compare = data;
	AshWorkloadSaid now;

	if (before->version[0] != '\0' &&
			!ash_workload_said_find(compare->other, before->name, &now)) {
		g_autofree char *text =
				g_strdup_printf("%s %s was removed", before->name, before->version);
		tell(compare, "removed", before->name, before->version, text);
	}
	return true;
}

void ash_workload_said_compare(
		const char *before, const char *after, AshWorkloadChangeEach each, gpointer data)
{
	Compare forwards = {before, each, data};
	Compare backwards = {after, each, data};

	ash_workload_said_each(after, compare_line, &forwards);
	ash_workload_said_each(before, find_removed, &backwards);
}
