/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/solve-state.h"

#include <fnmatch.h>
#include <solv/bitmap.h>
#include <solv/evr.h>
#include <solv/pool.h>
#include <solv/repo.h>
#include <string.h>

/* ---- which version of each package ----------------------------------------------------------- */

bool ash_solve_is_excluded(const AshSolveState *state, int solvable)
{
	const Pool *pool = state->pool;
	const char *name = pool_id2str(pool, pool_id2solvable(pool, solvable)->name);

	for (guint i = 0; i < state->manifest->exclude->len; i++) {
		const AshManifestPackage *item = g_ptr_array_index(state->manifest->exclude, i);
		if (g_str_equal(item->name, name))
			return true;
	}
	return false;
}

static bool fits_pin(const AshSolveState *state, const AshManifestPin *pin, const Solvable *s)
{
	const Pool *pool = state->pool;
	const AshIndex *index = s->repo->appdata;

	if (pin->version != NULL && fnmatch(pin->version, pool_id2str(pool, s->evr), 0) != 0)
		return false;
	return pin->suite == NULL || g_strcmp0(pin->suite, index->source->suite) == 0 ||
	       g_strcmp0(pin->suite, index->source->id) == 0;
}

static bool fits_pins(const AshSolveState *state, const Solvable *s)
{
	const char *name = pool_id2str(state->pool, s->name);

	for (guint i = 0; i < state->manifest->pins->len; i++) {
		const AshManifestPin *pin = g_ptr_array_index(state->manifest->pins, i);
		if (fnmatch(pin->package, name, 0) == 0 && !fits_pin(state, pin, s))
			return false;
	}
	return true;
}

static bool fits_relation(Pool *pool, const char *relation, const char *version, const Solvable *s)
{
	Id wanted = pool_str2id(pool, version, 1);
	int order = pool_evrcmp(pool, s->evr, wanted, EVRCMP_COMPARE);

	switch (relation[0]) {
	case '<':
		return order < 0 || (order == 0 && relation[1] == '=');
	case '>':
		return order > 0 || (order == 0 && relation[1] == '=');
	default:
		return order == 0;
	}
}

/* Versions asked for by name narrow the choice of that name. */
static bool fits_requests(const AshSolveState *state, GHashTable *requests, const Solvable *s)
{
	const AshManifestPackage *item = g_hash_table_lookup(requests, GINT_TO_POINTER(s->name));

	return item == NULL || fits_relation(state->pool, item->relation, item->version, s);
}

static GHashTable *collect_requests(const AshSolveState *state)
{
	GHashTable *requests = g_hash_table_new(NULL, NULL);

	for (guint i = 0; i < state->manifest->packages->len; i++) {
		AshManifestPackage *item = g_ptr_array_index(state->manifest->packages, i);
		if (item->relation != NULL)
			g_hash_table_insert(requests,
					GINT_TO_POINTER(pool_str2id(state->pool, item->name, 1)),
					item);
	}
	return requests;
}

/* Name id → version id of what must not move. */
static GHashTable *collect_kept(const AshSolveState *state)
{
	const char *const *update = state->options->update;
	GHashTable *kept = g_hash_table_new(NULL, NULL);

	if (!state->keep_previous || state->options->previous == NULL ||
			(update != NULL && *update == NULL))
		return kept;
	GPtrArray *packages = state->options->previous->packages;
	for (guint i = 0; i < packages->len; i++) {
		const AshLockPackage *package = g_ptr_array_index(packages, i);
		if (update == NULL || !g_strv_contains(update, package->name))
			g_hash_table_insert(kept,
					GINT_TO_POINTER(pool_str2id(state->pool, package->name, 1)),
					GINT_TO_POINTER(pool_str2id(
							state->pool, package->version, 1)));
	}
	return kept;
}

/* A source of higher priority wins over the version of the last lock too: whoever adds one, or gives a
 * .deb by hand, wants it. Among sources of one priority the locked version stays.
 */
static bool is_better(Pool *pool, GHashTable *kept, const Solvable *a, const Solvable *b)
{
	Id version = GPOINTER_TO_INT(g_hash_table_lookup(kept, GINT_TO_POINTER(a->name)));

	if (a->repo->priority != b->repo->priority)
		return a->repo->priority > b->repo->priority;
	if (version != 0 && (a->evr == version) != (b->evr == version))
		return a->evr == version;
	/* Equal ones: the source that was listed first stays. */
	return pool_evrcmp(pool, a->evr, b->evr, EVRCMP_COMPARE) > 0;
}

/* Name patterns are for those who say them; a name that nothing has is a mistake. */
static gboolean check_pins(const AshSolveState *state, GError **error)
{
	Pool *pool = state->pool;

	for (guint i = 0; i < state->manifest->pins->len; i++) {
		const AshManifestPin *pin = g_ptr_array_index(state->manifest->pins, i);
		bool is_glob = strpbrk(pin->package, "*?[") != NULL;
		Id name = pool_str2id(pool, pin->package, 0);
		if (!is_glob && ash_solve_candidate(state, name) == 0)
			return ash_solve_throw_pin(state, pin, error);
	}
	return TRUE;
}

gboolean ash_solve_choose(AshSolveState *state, bool with_excluded, GError **error)
{
	Pool *pool = state->pool;
	g_autoptr(GHashTable) requests = collect_requests(state);
	g_autoptr(GHashTable) kept = collect_kept(state);
	Id id = 0;

	g_clear_pointer(&state->candidates, g_array_unref);
	state->candidates = g_array_sized_new(FALSE, TRUE, sizeof(int), (guint) pool->ss.nstrings);
	g_array_set_size(state->candidates, (guint) pool->ss.nstrings);
	FOR_POOL_SOLVABLES(id)
	{
		const Solvable *s = pool_id2solvable(pool, id);
		int *best = &g_array_index(state->candidates, int, (guint) s->name);
		if (!fits_requests(state, requests, s) || !fits_pins(state, s))
			continue;
		if (*best == 0 || is_better(pool, kept, s, pool_id2solvable(pool, *best)))
			*best = id;
	}
	if (!check_pins(state, error))
		return FALSE;

	if (pool->considered == NULL)
		pool->considered = g_new0(Map, 1);
	else
		map_free(pool->considered);
	map_init(pool->considered, pool->nsolvables);
	for (guint name = 0; name < state->candidates->len; name++) {
		id = g_array_index(state->candidates, int, name);
		if (id != 0 && (with_excluded || !ash_solve_is_excluded(state, id)))
			MAPSET(pool->considered, id);
	}
	pool_createwhatprovides(pool);
	return TRUE;
}

/* ---- what is asked for ----------------------------------------------------------------------- */

int ash_solve_candidate(const AshSolveState *state, int name)
{
	/* Names that came up since are nobody's. */
	if (name <= 0 || (guint) name >= state->candidates->len)
		return 0;
	return g_array_index(state->candidates, int, (guint) name);
}

static void add_root(AshSolveState *state, Id dep, Id solvable, const char *mark)
{
	const AshSolveRoot root = {.dep = dep, .solvable = solvable, .mark = mark};

	g_array_append_val(state->roots, root);
}

static bool is_provided(Pool *pool, Id dep)
{
	return *pool_whatprovides_ptr(pool, dep) != 0;
}

gboolean ash_solve_add_roots(AshSolveState *state, GError **error)
{
	Pool *pool = state->pool;
	Id p = 0;
	Id pp = 0;

	g_array_set_size(state->roots, 0);
	FOR_PROVIDES(p, pp, pool_str2id(pool, ASH_SOLVE_ESSENTIAL, 1))
	add_root(state, 0, p, NULL);
	FOR_POOL_SOLVABLES(p)
	{
		const AshIndex *index = pool_id2solvable(pool, p)->repo->appdata;
		if (index->source == state->debs && MAPTST(pool->considered, p))
			add_root(state, 0, p, state->debs->mark);
	}
	for (guint i = 0; i < state->manifest->packages->len; i++) {
		const AshManifestPackage *item = g_ptr_array_index(state->manifest->packages, i);
		Id dep = pool_str2id(pool, item->name, 1);
		/* The relation has narrowed the candidates; a virtual package is asked for by its
		 * name, or with a version that a provider states.
		 */
		if (item->relation != NULL && !is_provided(pool, dep))
			return ash_solve_throw_unknown(state, item, error);
		if (!is_provided(pool, dep))
			return ash_solve_throw_unknown(state, item, error);
		add_root(state, dep, 0, item->mark);
	}
	return TRUE;
}

/* ---- apt's choice among alternatives --------------------------------------------------------- */

/* As apt's MarkInstall: everything asked for is marked first; then, from each package in turn and
 * depth first, each dependency that nothing marked satisfies marks its first alternative that does not
 * conflict with what is marked. A stack of our own: a chain of dependencies may be as long as the index.
 */
typedef struct {
	Pool *pool;
	const AshSolveState *state;
	Map marked;
	Map blocked;    /* something marked conflicts with these */
	GArray *chosen; /* int: marked, in order */
	GArray *stack;  /* Frame */
	Id priority_key;
} Walk;

typedef struct {
	Id solvable;
	unsigned next; /* position in its dependencies */
} Frame;

static bool conflicts_with_marked(const Walk *walk, Id id)
{
	Pool *pool = walk->pool;
	Solvable *s = pool_id2solvable(pool, id);

	if (MAPTST(&walk->blocked, id))
		return true;
	if (s->conflicts == 0)
		return false;
	for (const Id *dep = s->repo->idarraydata + s->conflicts; *dep != 0; dep++) {
		Id p = 0;
		Id pp = 0;
		FOR_PROVIDES(p, pp, *dep)
		if (p != id && MAPTST(&walk->marked, p))
			return true;
	}
	return false;
}

static void mark(Walk *walk, Id id)
{
	Pool *pool = walk->pool;
	Solvable *s = pool_id2solvable(pool, id);

	if (MAPTST(&walk->marked, id))
		return;
	MAPSET(&walk->marked, id);
	g_array_append_val(walk->chosen, id);
	if (s->conflicts == 0)
		return;
	for (const Id *dep = s->repo->idarraydata + s->conflicts; *dep != 0; dep++) {
		Id p = 0;
		Id pp = 0;
		FOR_PROVIDES(p, pp, *dep)
		if (p != id)
			MAPSET(&walk->blocked, p);
	}
}

static bool is_satisfied(const Walk *walk, Id dep)
{
	Pool *pool = walk->pool;
	Id p = 0;
	Id pp = 0;

	FOR_PROVIDES(p, pp, dep)
	if (MAPTST(&walk->marked, p))
		return true;
	return false;
}

static Id name_of(const Pool *pool, Id dep)
{
	int relation = 0;
	int right = 0;

	while (ash_solve_split(pool, dep, &dep, &relation, &right))
		;
	return dep;
}

/* The package of that name first; then by Priority, then by name. */
static bool is_preferred(const Walk *walk, Id name, Id a, Id b)
{
	Pool *pool = walk->pool;
	Solvable *sa = pool_id2solvable(pool, a);
	Solvable *sb = pool_id2solvable(pool, b);

	if ((sa->name == name) != (sb->name == name))
		return sa->name == name;
	unsigned long long pa = solvable_lookup_num(sa, walk->priority_key, 5);
	unsigned long long pb = solvable_lookup_num(sb, walk->priority_key, 5);
	if (pa != pb)
		return pa < pb;
	return strcmp(pool_id2str(pool, sa->name), pool_id2str(pool, sb->name)) < 0;
}

/* One alternative: its best provider that may be marked; 0 for none. */
static Id choose_provider(const Walk *walk, Id dep)
{
	Pool *pool = walk->pool;
	Id best = 0;
	Id p = 0;
	Id pp = 0;

	FOR_PROVIDES(p, pp, dep)
	{
		if (conflicts_with_marked(walk, p))
			continue;
		if (best == 0 || is_preferred(walk, name_of(pool, dep), p, best))
			best = p;
	}
	return best;
}

static Id choose(const Walk *walk, Id dep)
{
	int left = 0;
	int relation = 0;
	int right = 0;

	while (ash_solve_split(walk->pool, dep, &left, &relation, &right) && relation == REL_OR) {
		Id first = choose_provider(walk, left);
		if (first != 0)
			return first;
		dep = right;
	}
	return choose_provider(walk, dep);
}

/* The dependency at @position of s, Recommends after Depends when they are wanted; 0 behind the last. */
static Id dependency_at(const Walk *walk, Id id, unsigned position)
{
	const Solvable *s = pool_id2solvable(walk->pool, id);
	const Offset lists[] = {s->requires, walk->state->manifest->recommends ? s->recommends : 0};

	for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
		if (lists[i] == 0)
			continue;
		for (const Id *dep = s->repo->idarraydata + lists[i]; *dep != 0; dep++)
			if (*dep != SOLVABLE_PREREQMARKER && position-- == 0)
				return *dep;
	}
	return 0;
}

static void follow(Walk *walk, Id from)
{
	Frame frame = {.solvable = from};

	g_array_append_val(walk->stack, frame);
	while (walk->stack->len > 0) {
		Frame *top = &g_array_index(walk->stack, Frame, walk->stack->len - 1);
		Id dep = dependency_at(walk, top->solvable, top->next);
		if (dep == 0) {
			g_array_set_size(walk->stack, walk->stack->len - 1);
			continue;
		}
		top->next++;
		if (is_satisfied(walk, dep))
			continue;
		Id chosen = choose(walk, dep);
		if (chosen == 0)
			continue;
		mark(walk, chosen);
		frame.solvable = chosen;
		g_array_append_val(walk->stack, frame);
	}
}

GArray *ash_solve_propose(const AshSolveState *state)
{
	Pool *pool = state->pool;
	Walk walk = {.pool = pool,
			.state = state,
			.chosen = g_array_new(FALSE, FALSE, sizeof(int)),
			.stack = g_array_new(FALSE, FALSE, sizeof(Frame)),
			.priority_key = pool_str2id(pool, ASH_SOLVE_PRIORITY_KEY, 1)};

	map_init(&walk.marked, pool->nsolvables);
	map_init(&walk.blocked, pool->nsolvables);
	/* Names before virtual names: one of those asked for may be the provider. */
	for (int is_virtual = 0; is_virtual <= 1; is_virtual++)
		for (guint i = 0; i < state->roots->len; i++) {
			const AshSolveRoot *root = &g_array_index(state->roots, AshSolveRoot, i);
			Id id = root->solvable;
			if (id == 0)
				id = ash_solve_candidate(state, root->dep);
			if (id != 0 && !MAPTST(pool->considered, id))
				id = 0;
			if (id != 0 && is_virtual == 0)
				mark(&walk, id);
			else if (id == 0 && is_virtual == 1 && !is_satisfied(&walk, root->dep)) {
				id = choose(&walk, root->dep);
				if (id != 0)
					mark(&walk, id);
			}
		}
	guint asked_for = walk.chosen->len;
	for (guint i = 0; i < asked_for; i++)
		follow(&walk, g_array_index(walk.chosen, int, i));
	map_free(&walk.marked);
	map_free(&walk.blocked);
	g_array_unref(walk.stack);
	return walk.chosen;
}
