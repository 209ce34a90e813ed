/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/solve-state.h"

#include <fnmatch.h>
#include <solv/bitmap.h>
#include <solv/pool.h>
#include <solv/problems.h>
#include <solv/queue.h>
#include <solv/repo.h>
#include <solv/rules.h>
#include <solv/solver.h>
#include <string.h>

#include "lib/error.h"
#include "lib/text.h"

enum {
	MAX_LINES = 12,
	MAX_VERSIONS = 4,
};

/* ---- words ----------------------------------------------------------------------------------- */

static const char *relation_text(int flags)
{
	switch (flags) {
	case REL_GT:
		return ">>";
	case REL_GT | REL_EQ:
		return ">=";
	case REL_LT:
		return "<<";
	case REL_LT | REL_EQ:
		return "<=";
	default:
		return "=";
	}
}

/* "libfoo (>= 2) | libbar", as control files have it. */
static char *dep_text(const Pool *pool, Id dep)
{
	g_autoptr(GString) text = g_string_new(NULL);
	int left = 0;
	int relation = 0;
	int right = 0;

	while (ash_solve_split(pool, dep, &left, &relation, &right) && relation == REL_OR) {
		g_autofree char *first = dep_text(pool, left);
		g_string_append_printf(text, "%s | ", first);
		dep = right;
	}
	if (ash_solve_split(pool, dep, &left, &relation, &right))
		g_string_append_printf(text, "%s (%s %s)", pool_id2str(pool, left),
				relation_text(relation), pool_id2str(pool, right));
	else
		g_string_append(text, pool_id2str(pool, dep));
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static const char *solvable_name(const Pool *pool, Id id)
{
	return pool_id2str(pool, pool_id2solvable(pool, id)->name);
}

static const char *solvable_version(const Pool *pool, Id id)
{
	return pool_id2str(pool, pool_id2solvable(pool, id)->evr);
}

static char *solvable_text(const Pool *pool, Id id)
{
	return g_strdup_printf("%s %s", solvable_name(pool, id), solvable_version(pool, id));
}

/* "1.26.3-3 (trixie/main), 1.22.1-9 (…)": all versions there are, wanted or not; "" for none. */
static char *versions_text(const Pool *pool, Id name)
{
	g_autoptr(GString) text = g_string_new(NULL);
	unsigned count = 0;
	Id id = 0;

	FOR_POOL_SOLVABLES(id)
	{
		const Solvable *s = pool_id2solvable(pool, id);
		if (s->name != name || ++count > MAX_VERSIONS)
			continue;
		const AshIndex *index = s->repo->appdata;
		g_string_append_printf(text, "%s%s (%s)", count > 1 ? ", " : "",
				pool_id2str(pool, s->evr), index->what);
	}
	if (count > MAX_VERSIONS)
		g_string_append_printf(text, " and %u more", count - MAX_VERSIONS);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static bool is_pinned(const AshSolveState *state, const char *name, const char **out_mark)
{
	for (guint i = 0; i < state->manifest->pins->len; i++) {
		const AshManifestPin *pin = g_ptr_array_index(state->manifest->pins, i);
		if (fnmatch(pin->package, name, 0) == 0) {
			*out_mark = pin->mark;
			return true;
		}
	}
	return false;
}

static bool is_name_excluded(const AshSolveState *state, const char *name, const char **out_mark)
{
	for (guint i = 0; i < state->manifest->exclude->len; i++) {
		const AshManifestPackage *item = g_ptr_array_index(state->manifest->exclude, i);
		if (g_str_equal(item->name, name)) {
			*out_mark = item->mark;
			return true;
		}
	}
	return false;
}

/* Why one simple dependency cannot be had: "only libfoo 1.5 is available". */
static void append_reason(const AshSolveState *state, GString *text, Id dep)
{
	const Pool *pool = state->pool;
	Id name = dep;
	int relation = 0;
	int right = 0;
	const char *mark = NULL;

	while (ash_solve_split(pool, name, &name, &relation, &right))
		;
	const char *word = pool_id2str(pool, name);
	Id candidate = ash_solve_candidate(state, name);
	g_autofree char *versions = versions_text(pool, name);
	if (is_name_excluded(state, word, &mark))
		g_string_append_printf(text, "'%s' is excluded (%s)", word, mark);
	else if (candidate != 0 && is_pinned(state, word, &mark))
		g_string_append_printf(text, "%s is pinned to %s (%s)", word,
				solvable_version(pool, candidate), mark);
	else if (candidate != 0)
		g_string_append_printf(text, "only %s %s is available", word,
				solvable_version(pool, candidate));
	else if (*versions != '\0')
		g_string_append_printf(text, "%s is there as %s, none of which may be used", word,
				versions);
	else
		g_string_append_printf(text, "there is no package '%s'", word);
}

static void append_reasons(const AshSolveState *state, GString *text, Id dep)
{
	const Pool *pool = state->pool;
	int left = 0;
	int relation = 0;
	int right = 0;

	while (ash_solve_split(pool, dep, &left, &relation, &right) && relation == REL_OR) {
		append_reason(state, text, left);
		g_string_append(text, ", and ");
		dep = right;
	}
	append_reason(state, text, dep);
}

/* ---- what libsolv found ---------------------------------------------------------------------- */

static void add_line(GPtrArray *lines, char *take_line)
{
	if (g_ptr_array_find_with_equal_func(lines, take_line, g_str_equal, NULL))
		g_free(take_line);
	else
		g_ptr_array_add(lines, take_line);
}

/* @how, @what: of the job that libsolv was given. */
static void add_asked(const AshSolveState *state, GPtrArray *lines, Id how, Id what)
{
	bool is_solvable = (how & SOLVER_SELECTMASK) == SOLVER_SOLVABLE;

	for (guint i = 0; i < state->roots->len; i++) {
		const AshSolveRoot *root = &g_array_index(state->roots, AshSolveRoot, i);
		if (root->mark == NULL || what != (is_solvable ? root->solvable : root->dep))
			continue;
		g_autofree char *name = is_solvable ? solvable_text(state->pool, what)
						    : dep_text(state->pool, what);
		add_line(lines, g_strdup_printf("%s: '%s' is asked for", root->mark, name));
		return;
	}
}

/* A rule between packages: @from needs or fights @dep, which @to has. */
static void add_package_rule(const AshSolveState *state, SolverRuleinfo kind, Id from, Id to,
		Id dep, GPtrArray *needs, GPtrArray *clashes)
{
	const Pool *pool = state->pool;
	g_autofree char *words = dep != 0 ? dep_text(pool, dep) : g_strdup("");
	g_autofree char *source = from > 0 ? solvable_text(pool, from) : g_strdup("");
	g_autofree char *target = to > 0 ? solvable_text(pool, to) : g_strdup("");
	g_autoptr(GString) reasons = g_string_new(NULL);

	/* The kinds that are not named cannot come up here: nothing is installed before. */
	switch ((int) kind) {
	case SOLVER_RULE_PKG_REQUIRES:
		add_line(needs, g_strdup_printf("%s needs %s", source, words));
		break;
	case SOLVER_RULE_PKG_NOTHING_PROVIDES_DEP:
		append_reasons(state, reasons, dep);
		add_line(clashes, g_strdup_printf("%s needs %s, but %s", source, words,
						  reasons->str));
		break;
	case SOLVER_RULE_PKG_CONFLICTS:
		add_line(clashes,
				g_strdup_printf("%s cannot be together with %s (it conflicts with %s)",
						source, target, words));
		break;
	case SOLVER_RULE_PKG_SAME_NAME:
		add_line(clashes,
				g_strdup_printf("%s and %s are the same package", source, target));
		break;
	case SOLVER_RULE_PKG_SELF_CONFLICT:
		add_line(clashes, g_strdup_printf("%s conflicts with itself (%s)", source, words));
		break;
	case SOLVER_RULE_PKG_NOT_INSTALLABLE:
		add_line(clashes, g_strdup_printf("%s cannot be installed", source));
		break;
	default:
		break;
	}
}

static void add_rule(const AshSolveState *state, Solver *solver, Id rule, GPtrArray *asked,
		GPtrArray *needs, GPtrArray *clashes)
{
	Id from = 0;
	Id to = 0;
	Id dep = 0;
	SolverRuleinfo kind = solver_ruleinfo(solver, rule, &from, &to, &dep);

	/* For a job the three are its index, how and what. */
	if ((kind & SOLVER_RULE_TYPEMASK) == SOLVER_RULE_JOB)
		add_asked(state, asked, to, dep);
	else if ((kind & SOLVER_RULE_TYPEMASK) == SOLVER_RULE_PKG)
		add_package_rule(state, kind, from, to, dep, needs, clashes);
}

static int compare_lines(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void append_lines(GString *text, GPtrArray *lines)
{
	g_ptr_array_sort(lines, compare_lines);
	for (guint i = 0; i < lines->len && i < MAX_LINES; i++)
		g_string_append_printf(text, "\n  %s", (char *) g_ptr_array_index(lines, i));
	if (lines->len > MAX_LINES)
		g_string_append_printf(text, "\n  and %u lines more", lines->len - MAX_LINES);
}

gboolean ash_solve_throw_problems(
		const AshSolveState *state, struct s_Solver *solver, GError **error)
{
	g_autoptr(GPtrArray) asked = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) needs = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) clashes = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GString) text = g_string_new(NULL);
	Queue rules;

	queue_init(&rules);
	for (unsigned i = 1; i <= solver_problem_count(solver); i++) {
		queue_empty(&rules);
		solver_findallproblemrules(solver, (Id) i, &rules);
		for (int k = 0; k < rules.count; k++)
			add_rule(state, solver, rules.elements[k], asked, needs, clashes);
	}
	queue_free(&rules);
	append_lines(text, asked);
	append_lines(text, needs);
	append_lines(text, clashes);
	return ash_throw(error, ASH_SOLVE_ERROR, ASH_SOLVE_ERROR_CONFLICT,
			"these packages cannot be had together:%s", text->str);
}

/* ---- excluded packages ----------------------------------------------------------------------- */

typedef struct {
	const AshSolveState *state;
	Map in_set;
	GHashTable *from; /* solvable → the one that needs it, 0 for what was asked for */
	GArray *queue;    /* int */
} Search;

static void reach(Search *search, Id id, Id from)
{
	gpointer key = GINT_TO_POINTER(id);

	if (!MAPTST(&search->in_set, id) || g_hash_table_contains(search->from, key))
		return;
	g_hash_table_insert(search->from, key, GINT_TO_POINTER(from));
	g_array_append_val(search->queue, id);
}

static void reach_roots(Search *search)
{
	Pool *pool = search->state->pool;
	GArray *roots = search->state->roots;

	for (guint i = 0; i < roots->len; i++) {
		const AshSolveRoot *root = &g_array_index(roots, AshSolveRoot, i);
		Id p = 0;
		Id pp = 0;
		if (root->solvable != 0) {
			reach(search, root->solvable, 0);
			continue;
		}
		FOR_PROVIDES(p, pp, root->dep)
		reach(search, p, 0);
	}
}

static void reach_needs(Search *search, Id id)
{
	Pool *pool = search->state->pool;
	const Solvable *s = pool_id2solvable(pool, id);

	if (s->requires == 0)
		return;
	for (const Id *dep = s->repo->idarraydata + s->requires; *dep != 0; dep++) {
		Id p = 0;
		Id pp = 0;
		if (*dep == SOLVABLE_PREREQMARKER)
			continue;
		FOR_PROVIDES(p, pp, *dep)
		reach(search, p, id);
	}
}

static const char *root_mark(const AshSolveState *state, Id id)
{
	Pool *pool = state->pool;

	for (guint i = 0; i < state->roots->len; i++) {
		const AshSolveRoot *root = &g_array_index(state->roots, AshSolveRoot, i);
		Id p = 0;
		Id pp = 0;
		if (root->solvable == id)
			return root->mark;
		if (root->dep == 0)
			continue;
		FOR_PROVIDES(p, pp, root->dep)
		if (p == id)
			return root->mark;
	}
	return NULL;
}

/* "host.yaml:3:5: nginx → libfoo → systemd" */
static char *chain_text(const Search *search, Id id)
{
	const Pool *pool = search->state->pool;
	g_autoptr(GString) text = g_string_new(solvable_name(pool, id));
	Id here = id;

	for (;;) {
		Id from = GPOINTER_TO_INT(g_hash_table_lookup(search->from, GINT_TO_POINTER(here)));
		if (from == 0)
			break;
		g_autofree char *step = g_strdup_printf("%s → ", solvable_name(pool, from));
		g_string_prepend(text, step);
		here = from;
	}
	const char *mark = root_mark(search->state, here);
	return mark != NULL ? g_strdup_printf("%s: %s", mark, text->str)
			    : g_strdup_printf("essential: %s", text->str);
}

gboolean ash_solve_throw_excluded(const AshSolveState *state, GArray *set, GError **error)
{
	Search search = {.state = state,
			.from = g_hash_table_new(NULL, NULL),
			.queue = g_array_new(FALSE, FALSE, sizeof(int))};
	g_autoptr(GString) text = g_string_new(NULL);

	map_init(&search.in_set, state->pool->nsolvables);
	for (guint i = 0; i < set->len; i++)
		MAPSET(&search.in_set, g_array_index(set, int, i));
	reach_roots(&search);
	for (guint i = 0; i < search.queue->len; i++) {
		Id id = g_array_index(search.queue, int, i);
		const char *mark = NULL;
		if (!is_name_excluded(state, solvable_name(state->pool, id), &mark)) {
			reach_needs(&search, id);
			continue;
		}
		g_autofree char *chain = chain_text(&search, id);
		g_string_append_printf(text, "\n  %s: '%s' is excluded, but needed:\n  %s", mark,
				solvable_name(state->pool, id), chain);
	}
	map_free(&search.in_set);
	g_hash_table_unref(search.from);
	g_array_unref(search.queue);
	return ash_throw(error, ASH_SOLVE_ERROR, ASH_SOLVE_ERROR_EXCLUDED,
			"excluded packages are needed:%s", text->str);
}

/* ---- names that nothing has ------------------------------------------------------------------ */

static char *nearest_name(const AshSolveState *state, const char *word)
{
	const Pool *pool = state->pool;
	g_autoptr(GPtrArray) names = g_ptr_array_new();

	for (guint name = 0; name < state->candidates->len; name++)
		if (g_array_index(state->candidates, int, name) != 0) {
			const char *text = pool_id2str(pool, (Id) name);
			g_ptr_array_add(names, g_strdup(text));
		}
	g_ptr_array_add(names, NULL);
	char *suggestion = ash_text_suggestion(word, (const char *const *) names->pdata);
	g_ptr_array_set_free_func(names, g_free);
	return suggestion;
}

gboolean ash_solve_throw_unknown(
		const AshSolveState *state, const AshManifestPackage *package, GError **error)
{
	Id name = pool_str2id(state->pool, package->name, 0);
	const char *mark = NULL;

	if (is_name_excluded(state, package->name, &mark))
		return ash_throw(error, ASH_SOLVE_ERROR, ASH_SOLVE_ERROR_EXCLUDED,
				"%s: package '%s' is asked for, and excluded at %s", package->mark,
				package->name, mark);
	g_autofree char *versions = name != 0 ? versions_text(state->pool, name) : g_strdup("");
	if (*versions == '\0') {
		g_autofree char *suggestion = nearest_name(state, package->name);
		return ash_throw(error, ASH_SOLVE_ERROR, ASH_SOLVE_ERROR_UNKNOWN_PACKAGE,
				"%s: there is no package '%s'%s", package->mark, package->name,
				suggestion);
	}
	if (package->relation != NULL)
		return ash_throw(error, ASH_SOLVE_ERROR, ASH_SOLVE_ERROR_CONFLICT,
				"%s: no '%s' is %s %s; there is %s", package->mark, package->name,
				package->relation, package->version, versions);
	return ash_throw(error, ASH_SOLVE_ERROR, ASH_SOLVE_ERROR_CONFLICT,
			"%s: '%s' may not be used in any of its versions: %s", package->mark,
			package->name, versions);
}

gboolean ash_solve_throw_pin(const AshSolveState *state, const AshManifestPin *pin, GError **error)
{
	Id name = pool_str2id(state->pool, pin->package, 0);
	g_autofree char *versions = name != 0 ? versions_text(state->pool, name) : g_strdup("");

	if (*versions == '\0') {
		g_autofree char *suggestion = nearest_name(state, pin->package);
		return ash_throw(error, ASH_SOLVE_ERROR, ASH_SOLVE_ERROR_UNKNOWN_PACKAGE,
				"%s: there is no package '%s'%s", pin->mark, pin->package,
				suggestion);
	}
	return ash_throw(error, ASH_SOLVE_ERROR, ASH_SOLVE_ERROR_CONFLICT,
			"%s: no version of '%s' fits this pin (version %s, suite %s); there is %s",
			pin->mark, pin->package, pin->version != NULL ? pin->version : "any",
			pin->suite != NULL ? pin->suite : "any", versions);
}
