/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/call-policy.h"

#include <fcntl.h>
#include <string.h>

#include "lib/error.h"
#include "lib/file.h"

G_DEFINE_QUARK(ash_call_policy_error, ash_call_policy_error)

static const char *const verdicts[] = {"deny", "allow", "ask"};

const char *ash_call_verdict_name(AshCallVerdict verdict)
{
	return verdicts[verdict];
}

bool ash_call_is_name(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > ASH_CALL_MAX_NAME_BYTES || !g_ascii_isalnum(text[0]))
		return false;
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
	       length;
}

static void free_rule(gpointer data)
{
	AshCallRule *rule = data;

	g_free(rule->service);
	g_free(rule->argument);
	g_free(rule->source);
	g_free(rule->target);
	g_free(rule->redirect);
	g_free(rule);
}

GPtrArray *ash_call_policy_new(void)
{
	return g_ptr_array_new_with_free_func(free_rule);
}

/* ---- one line ---- */

typedef struct {
	const char *file;
	unsigned line;
} Mark;

static gboolean fail(const Mark *mark, GError **error, const char *what, const char *word,
		const char *expected)
{
	return ash_throw(error, ASH_CALL_POLICY_ERROR, ASH_CALL_POLICY_ERROR_SYNTAX,
			"%s:%u: %s '%s': expected %s", mark->file, mark->line, what, word,
			expected);
}

static bool is_name_or_all(const char *text)
{
	return strcmp(text, "*") == 0 || ash_call_is_name(text);
}

static gboolean take_service(AshCallRule *rule, const char *word, const Mark *mark, GError **error)
{
	const char *plus = strchr(word, '+');

	rule->service = plus ? g_strndup(word, (gsize) (plus - word)) : g_strdup(word);
	rule->argument = plus ? g_strdup(plus + 1) : NULL;
	if (!is_name_or_all(rule->service))
		return fail(mark, error, "service", word, "a name such as sign.Text, or *");
	if (rule->argument && rule->argument[0] != '\0' && !ash_call_is_name(rule->argument))
		return fail(mark, error, "argument", word, "SERVICE+NAME");
	return TRUE;
}

static gboolean take_verdict(AshCallRule *rule, const char *word, const Mark *mark, GError **error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(verdicts); i++)
		if (strcmp(word, verdicts[i]) == 0) {
			rule->verdict = (AshCallVerdict) i;
			return TRUE;
		}
	return fail(mark, error, "action", word, "allow, deny or ask");
}

static gboolean take_redirect(AshCallRule *rule, const char *word, const Mark *mark, GError **error)
{
	if (!g_str_has_prefix(word, "target=") || !ash_call_is_name(word + strlen("target=")))
		return fail(mark, error, "option", word, "target=WORKLOAD");
	if (rule->verdict == ASH_CALL_DENY)
		return fail(mark, error, "option", word, "nothing behind deny");
	rule->redirect = g_strdup(word + strlen("target="));
	return TRUE;
}

static gboolean take_rule(
		AshCallRule *rule, char *const *words, guint n, const Mark *mark, GError **error)
{
	if (n < 4 || n > 5)
		return ash_throw(error, ASH_CALL_POLICY_ERROR, ASH_CALL_POLICY_ERROR_SYNTAX,
				"%s:%u: %u words: expected SERVICE SOURCE TARGET allow|deny|ask [target=WORKLOAD]",
				mark->file, mark->line, n);
	if (!take_service(rule, words[0], mark, error))
		return FALSE;
	if (!is_name_or_all(words[1]))
		return fail(mark, error, "source", words[1], "the name of a workload, or *");
	if (!is_name_or_all(words[2]) && strcmp(words[2], "@default") != 0)
		return fail(mark, error, "target", words[2],
				"the name of a workload, * or @default");
	rule->source = g_strdup(words[1]);
	rule->target = g_strdup(words[2]);
	if (!take_verdict(rule, words[3], mark, error) ||
			(n == 5 && !take_redirect(rule, words[4], mark, error)))
		return FALSE;
	if (strcmp(words[2], "@default") == 0 && rule->verdict != ASH_CALL_DENY && !rule->redirect)
		return fail(mark, error, "target", words[2],
				"target=WORKLOAD at the end: a call that names nobody has to go to somebody");
	return TRUE;
}

static GPtrArray *split(char *line)
{
	GPtrArray *words = g_ptr_array_new();

	for (char *word; (word = strsep(&line, " \t\r"));)
		if (word[0] != '\0')
			g_ptr_array_add(words, word);
	return words;
}

static gboolean parse_line(char *line, const Mark *mark, GPtrArray *rules, GError **error)
{
	line[strcspn(line, "#")] = '\0';
	g_autoptr(GPtrArray) words = split(line);
	if (words->len == 0)
		return TRUE;
	if (rules->len >= ASH_CALL_POLICY_MAX_RULES)
		return ash_throw(error, ASH_CALL_POLICY_ERROR, ASH_CALL_POLICY_ERROR_LIMIT,
				"%s:%u: more than %d rules", mark->file, mark->line,
				ASH_CALL_POLICY_MAX_RULES);
	AshCallRule *rule = g_new0(AshCallRule, 1);
	rule->file = mark->file;
	rule->line = mark->line;
	g_ptr_array_add(rules, rule);
	return take_rule(rule, (char *const *) words->pdata, words->len, mark, error);
}

gboolean ash_call_policy_parse(const char *file, const char *text, GPtrArray *rules, GError **error)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	guint n_before = rules->len;
	Mark mark = {.file = g_intern_string(file)};

	for (char **line = lines; *line; line++) {
		mark.line++;
		if (!parse_line(*line, &mark, rules, error)) {
			g_ptr_array_set_size(rules, (gint) n_before);
			return FALSE;
		}
	}
	return TRUE;
}

/* ---- all files ---- */

static int by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static gboolean load_file(const char *dir, const char *name, GPtrArray *rules, GError **error)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autoptr(GBytes) bytes = NULL;

	if (!ash_file_read(AT_FDCWD, path, ASH_CALL_POLICY_MAX_FILE_BYTES, &bytes, error))
		return FALSE;
	return ash_call_policy_parse(path, g_bytes_get_data(bytes, NULL), rules, error);
}

gboolean ash_call_policy_load(const char *root, GPtrArray **out_rules, GError **error)
{
	g_autofree char *path = g_strconcat(root, ASH_CALL_POLICY_DIR, NULL);
	g_autoptr(GPtrArray) rules = ash_call_policy_new();
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) local = NULL;
	g_autoptr(GDir) dir = g_dir_open(path, 0, &local);

	if (!dir && !g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	for (const char *name; dir && (name = g_dir_read_name(dir));)
		if (g_str_has_suffix(name, ".policy"))
			g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, by_name);
	for (guint i = 0; i < names->len; i++)
		if (!load_file(path, names->pdata[i], rules, error))
			return FALSE;
	*out_rules = g_steal_pointer(&rules);
	return TRUE;
}

/* ---- the decision ---- */

static bool fits_name(const char *rule, const char *name)
{
	return strcmp(rule, "*") == 0 || strcmp(rule, name) == 0;
}

static bool fits(const AshCallRule *rule, const AshCallQuestion *question)
{
	const char *target = question->target[0] != '\0' ? question->target : "@default";

	return fits_name(rule->service, question->service) &&
	       (!rule->argument || strcmp(rule->argument, question->argument) == 0) &&
	       fits_name(rule->source, question->source) && fits_name(rule->target, target);
}

AshCallVerdict ash_call_policy_decide(const GPtrArray *rules, const AshCallQuestion *question,
		const char **out_target, const AshCallRule **out_rule)
{
	*out_target = NULL;
	*out_rule = NULL;
	for (guint i = 0; i < rules->len; i++) {
		const AshCallRule *rule = rules->pdata[i];
		if (!fits(rule, question))
			continue;
		*out_rule = rule;
		const char *target = rule->redirect ? rule->redirect : question->target;
		/* "* * * allow" does not say whom a call goes to that names nobody. */
		if (rule->verdict == ASH_CALL_DENY || target[0] == '\0')
			return ASH_CALL_DENY;
		*out_target = target;
		return rule->verdict;
	}
	return ASH_CALL_DENY;
}
