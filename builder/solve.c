/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/solve.h"

#include <solv/bitmap.h>
#include <solv/pool.h>
#include <solv/queue.h>
#include <solv/repo.h>
#include <solv/solver.h>
#include <string.h>

#include "builder/solve-state.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_solve_error, ash_solve_error)

typedef Solver AshSolver;

static void solver_cleanup(AshSolver *solver)
{
	solver_free(solver);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshSolver, solver_cleanup)

void ash_solve_state_clear(AshSolveState *state)
{
	if (state->pool != NULL) {
		if (state->pool->considered != NULL) {
			map_free(state->pool->considered);
			g_clear_pointer(&state->pool->considered, g_free);
		}
		pool_free(state->pool);
	}
	g_clear_pointer(&state->candidates, g_array_unref);
	g_clear_pointer(&state->roots, g_array_unref);
	g_clear_pointer(&state->indices, g_ptr_array_unref);
	g_clear_pointer(&state->sources, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshSolveState, ash_solve_state_clear)

/* ---- repositories ---------------------------------------------------------------------------- */

static gboolean open_sources(AshSolveState *state, const AshIndexOptions *options, GError **error)
{
	const AshManifest *manifest = state->manifest;

	ash_progress_begin(state->progress, "index", "looking at the repositories");
	for (guint i = 0; i < state->sources->len; i++)
		if (!ash_index_open(g_ptr_array_index(state->sources, i), options, state->indices,
				    error))
			return FALSE;
	if (manifest->debs != NULL && manifest->debs->len > 0) {
		g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
		for (guint i = 0; i < manifest->debs->len; i++)
			g_ptr_array_add(paths, g_strdup(g_ptr_array_index(manifest->debs, i)));
		if (!ash_index_open_debs(state->debs, g_steal_pointer(&paths), options->cache_dir,
				    state->indices, error))
			return FALSE;
	}
	if (state->indices->len == 0 && *options->first_skipped != NULL) {
		g_propagate_error(error, g_steal_pointer(options->first_skipped));
		return FALSE;
	}
	if (state->indices->len == 0)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_NONE,
				"no repository can be used for suite '%s'", manifest->suite);
	ash_progress_end(state->progress, "%u indices", state->indices->len);
	return TRUE;
}

gboolean ash_solve_make_pool(AshSolveState *state, const char *arch, GError **error)
{
	state->pool = pool_create();
	if (pool_setdisttype(state->pool, DISTTYPE_DEB) < 0)
		return ash_throw(error, ASH_SOLVE_ERROR, ASH_SOLVE_ERROR_FAILED,
				"this libsolv cannot solve for Debian");
	pool_setarchpolicy(state->pool, arch);
	return TRUE;
}

static gboolean load_pool(AshSolveState *state, const AshIndexOptions *options, GError **error)
{
	if (!ash_solve_make_pool(state, options->arch, error))
		return FALSE;
	ash_progress_begin(state->progress, "load", "reading the indices");
	for (guint i = 0; i < state->indices->len; i++)
		if (!ash_solve_load_index(
				    state, g_ptr_array_index(state->indices, i), options, error))
			return FALSE;
	ash_progress_end(state->progress, "%d packages", state->pool->nsolvables - 2);
	return TRUE;
}

/* ---- solving --------------------------------------------------------------------------------- */

static void push_roots(const AshSolveState *state, Queue *jobs)
{
	for (guint i = 0; i < state->roots->len; i++) {
		const AshSolveRoot *root = &g_array_index(state->roots, AshSolveRoot, i);
		Id candidate = ash_solve_candidate(state, root->dep);
		if (root->solvable != 0)
			queue_push2(jobs, SOLVER_INSTALL | SOLVER_SOLVABLE, root->solvable);
		else if (candidate != 0)
			queue_push2(jobs, SOLVER_INSTALL | SOLVER_SOLVABLE_NAME, root->dep);
		else
			queue_push2(jobs, SOLVER_INSTALL | SOLVER_SOLVABLE_PROVIDES, root->dep);
	}
}

static void collect_set(Solver *solver, GArray *set)
{
	Queue decisions;

	queue_init(&decisions);
	solver_get_decisionqueue(solver, &decisions);
	for (int i = 0; i < decisions.count; i++)
		if (decisions.elements[i] > SYSTEMSOLVABLE)
			g_array_append_val(set, decisions.elements[i]);
	queue_free(&decisions);
}

static bool has_all(GArray *set, GArray *wanted, int solvables)
{
	Map map;
	bool is_complete = true;

	map_init(&map, solvables);
	for (guint i = 0; i < set->len; i++)
		MAPSET(&map, g_array_index(set, int, i));
	for (guint i = 0; i < wanted->len; i++)
		if (!MAPTST(&map, g_array_index(wanted, int, i)))
			is_complete = false;
	map_free(&map);
	return is_complete;
}

/* Runs libsolv once; @how: of the proposed packages, SOLVER_INSTALL | SOLVER_WEAK or SOLVER_FAVOR.
 * *out_set is NULL when there is no solution, and *out_solver knows why.
 */
static void run_solver(const AshSolveState *state, GArray *proposal, Id how, AshSolver **out_solver,
		GArray **out_set)
{
	Queue jobs;

	queue_init(&jobs);
	push_roots(state, &jobs);
	for (guint i = 0; i < proposal->len; i++)
		queue_push2(&jobs, how | SOLVER_SOLVABLE, g_array_index(proposal, int, i));
	Solver *solver = solver_create(state->pool);
	solver_set_flag(solver, SOLVER_FLAG_IGNORE_RECOMMENDED, !state->manifest->recommends);
	if (solver_solve(solver, &jobs) == 0) {
		*out_set = g_array_new(FALSE, FALSE, sizeof(int));
		collect_set(solver, *out_set);
	}
	queue_free(&jobs);
	*out_solver = solver;
}

/* *out_set is NULL when there is no solution. When libsolv cannot have all that was proposed, some of
 * it was there only for the sake of what fell out: then the proposal is no more than a preference.
 */
static void solve(const AshSolveState *state, AshSolver **out_solver, GArray **out_set)
{
	g_autoptr(GArray) proposal = ash_solve_propose(state);
	g_autoptr(AshSolver) first = NULL;
	g_autoptr(GArray) set = NULL;

	run_solver(state, proposal, SOLVER_INSTALL | SOLVER_WEAK, &first, &set);
	if (set == NULL || has_all(set, proposal, state->pool->nsolvables)) {
		*out_solver = g_steal_pointer(&first);
		*out_set = g_steal_pointer(&set);
		return;
	}
	run_solver(state, proposal, SOLVER_FAVOR, out_solver, out_set);
}

/* Why nothing came out: an excluded package, or more than that. */
static gboolean explain(AshSolveState *state, AshSolver *solver, GError **error)
{
	g_autoptr(AshSolver) second = NULL;
	g_autoptr(GArray) set = NULL;

	if (state->manifest->exclude->len == 0)
		return ash_solve_throw_problems(state, solver, error);
	if (!ash_solve_choose(state, true, error) || !ash_solve_add_roots(state, error))
		return FALSE;
	solve(state, &second, &set);
	return set != NULL ? ash_solve_throw_excluded(state, set, error)
			   : ash_solve_throw_problems(state, second, error);
}

static gboolean solve_once(AshSolveState *state, bool keep_previous, bool may_fail,
		GArray **out_set, GError **error)
{
	g_autoptr(AshSolver) solver = NULL;
	g_autoptr(GArray) set = NULL;

	state->keep_previous = keep_previous;
	if (!ash_solve_choose(state, false, error) || !ash_solve_add_roots(state, error))
		return FALSE;
	solve(state, &solver, &set);
	if (set == NULL && !may_fail)
		return explain(state, solver, error);
	*out_set = g_steal_pointer(&set);
	return TRUE;
}

gboolean ash_solve_packages(AshSolveState *state, GArray **out_set, GError **error)
{
	bool has_previous = state->options->previous != NULL;

	if (!solve_once(state, has_previous, has_previous, out_set, error))
		return FALSE;
	if (*out_set != NULL)
		return TRUE;
	ash_progress_note(state->progress,
			"the locked versions do not fit together any more, choosing anew");
	return solve_once(state, false, false, out_set, error);
}

/* ---- the lock -------------------------------------------------------------------------------- */

/* "Debian" and "trixie-updates" → "debian-updates": one id for each suite. */
static char *origin_id(const AshSolveState *state, const AshIndex *index)
{
	const AshSource *source = index->source;
	const char *suite = source->suite;

	if (!g_str_equal(source->kind, "inherited")) {
		unsigned same = 0;
		for (guint i = 0; i < state->sources->len; i++) {
			const AshSource *other = g_ptr_array_index(state->sources, i);
			same += g_str_equal(other->id, source->id) ? 1 : 0;
		}
		g_autofree char *id = same > 1 ? g_strdup_printf("%s-%s", source->id, suite)
					       : g_strdup(source->id);
		return g_ascii_strdown(g_strcanon(id,
						       "abcdefghijklmnopqrstuvwxyz"
						       "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
						       '-'),
				-1);
	}
	const char *dash = g_str_has_suffix(suite, "-updates") ? "-updates" : "";
	g_autofree char *id =
			g_strconcat(*index->label != '\0' ? index->label : "debian", dash, NULL);
	g_strcanon(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", '-');
	return g_ascii_strdown(id, -1);
}

static int find_origin(const AshLock *lock, const char *id)
{
	for (guint i = 0; i < lock->origins->len; i++) {
		const AshLockOrigin *origin = g_ptr_array_index(lock->origins, i);
		if (g_str_equal(origin->id, id))
			return (int) i;
	}
	return -1;
}

static gboolean add_origin(const AshSolveState *state, AshLock *lock, const AshIndex *index,
		int *out_index, GError **error)
{
	const AshSource *source = index->source;
	g_autofree char *id = origin_id(state, index);
	g_autofree char *uri = g_strdup(source->uri);
	g_autofree char *kind = g_strdup(source->kind);

	*out_index = find_origin(lock, id);
	if (*out_index >= 0)
		return TRUE;
	AshLockOrigin origin = {.id = id, .kind = kind, .suite = source->suite};
	if (g_str_equal(kind, "inherited")) {
		origin.label = index->label;
	} else if (source->path != NULL) {
		/* A directory is a flat repository without its index. */
		uri = g_filename_to_uri(source->path, NULL, error);
		if (uri == NULL)
			return FALSE;
		g_free(kind);
		origin.kind = kind = g_strdup("flat");
		origin.uri = uri;
	} else if (!g_str_equal(kind, "file")) {
		origin.uri = uri;
	}
	*out_index = ash_lock_add_origin(lock, &origin);
	return TRUE;
}

/* Local .debs are named relative to the manifest, beside which the lock stands; those of a layer that is
 * somewhere else by their file name, as where that is differs from machine to machine.
 */
static const char *local_path(const AshSolveState *state, const char *path)
{
	const char *dir = state->manifest->dir;
	size_t length = g_str_equal(dir, "/") ? 0 : strlen(dir);

	if (strncmp(path, dir, length) == 0 && path[length] == '/')
		return path + length + 1;
	return strrchr(path, '/') + 1;
}

static gboolean add_package(const AshSolveState *state, AshLock *lock, Id id, GError **error)
{
	Pool *pool = state->pool;
	Solvable *s = pool_id2solvable(pool, id);
	const AshIndex *index = s->repo->appdata;
	const char *path = solvable_lookup_str(s, SOLVABLE_MEDIAFILE);
	Id type = 0;
	const char *sha256 = solvable_lookup_checksum(s, SOLVABLE_CHECKSUM, &type);
	int origin = 0;

	if (path == NULL || sha256 == NULL)
		return ash_throw(error, ASH_SOLVE_ERROR, ASH_SOLVE_ERROR_FAILED,
				"the cached index of %s is incomplete", index->what);
	if (index->source == state->debs)
		path = local_path(state, path);
	if (!add_origin(state, lock, index, &origin, error))
		return FALSE;
	g_autofree char *name = g_strdup(pool_id2str(pool, s->name));
	g_autofree char *version = g_strdup(pool_id2str(pool, s->evr));
	g_autofree char *arch = g_strdup(pool_id2str(pool, s->arch));
	g_autofree char *path_copy = g_strdup(path);
	g_autofree char *sha256_copy = g_strdup(sha256);
	const AshLockPackage package = {.name = name,
			.version = version,
			.arch = arch,
			.sha256 = sha256_copy,
			.size = solvable_lookup_num(s, SOLVABLE_DOWNLOADSIZE, 0),
			.origin = origin,
			.path = path_copy};
	ash_lock_add_package(lock, &package);
	return TRUE;
}

static int compare_ids(gconstpointer a, gconstpointer b)
{
	return *(const int *) a - *(const int *) b;
}

static int compare_packages(gconstpointer a, gconstpointer b)
{
	const AshLockPackage *pa = *(const AshLockPackage *const *) a;
	const AshLockPackage *pb = *(const AshLockPackage *const *) b;
	int order = strcmp(pa->name, pb->name);

	return order != 0 ? order : strcmp(pa->arch, pb->arch);
}

static gboolean make_lock(
		const AshSolveState *state, GArray *set, AshLock **out_lock, GError **error)
{
	g_autoptr(AshLock) lock = ash_lock_new();
	const AshManifest *manifest = state->manifest;

	lock->suite = g_strdup(manifest->suite);
	lock->arch = g_strdup(manifest->arch);
	lock->variant = g_strdup(manifest->variant);
	if (!ash_manifest_solve_digest(manifest, &lock->inputs, error))
		return FALSE;
	if (set->len > ASH_LOCK_MAX_PACKAGES)
		return ash_throw(error, ASH_SOLVE_ERROR, ASH_SOLVE_ERROR_FAILED,
				"%u packages are more than a lock may have", set->len);
	/* By id: origins come in the order of the sources, whatever libsolv decided first. */
	g_array_sort(set, compare_ids);
	for (guint i = 0; i < set->len; i++)
		if (!add_package(state, lock, g_array_index(set, int, i), error))
			return FALSE;
	g_ptr_array_sort(lock->packages, compare_packages);
	*out_lock = g_steal_pointer(&lock);
	return TRUE;
}

/* ---- the sequence ---------------------------------------------------------------------------- */

static gboolean solve_all(AshSolveState *state, AshLock **out_lock, GError **error)
{
	g_autoptr(GArray) set = NULL;

	ash_progress_begin(state->progress, "solve", "choosing packages");
	if (!ash_solve_packages(state, &set, error) || !make_lock(state, set, out_lock, error))
		return FALSE;
	ash_progress_end(state->progress, "%u packages", set->len);
	return TRUE;
}

gboolean ash_solve_manifest(const AshManifest *manifest, const AshSolveOptions *options,
		AshProgress *progress, AshLock **out_lock, GError **error)
{
	char local_id[] = "local";
	char local_mark[] = "debs";
	AshSource debs = {.mark = local_mark,
			.id = local_id,
			.kind = "file",
			.is_trusted = true,
			.priority = G_MAXINT32};
	g_auto(AshSolveState) state = {.manifest = manifest,
			.options = options,
			.progress = progress,
			.debs = &debs,
			.indices = ash_index_list_new(),
			.roots = g_array_new(FALSE, FALSE, sizeof(AshSolveRoot))};
	g_autoptr(GError) skipped = NULL;
	const AshIndexOptions index_options = {.first_skipped = &skipped,
			.cache_dir = options->cache_dir,
			.arch = manifest->arch,
			.offline = options->offline,
			.progress = progress};

	return ash_source_list(manifest, progress, &state.sources, error) &&
	       open_sources(&state, &index_options, error) &&
	       load_pool(&state, &index_options, error) && solve_all(&state, out_lock, error);
}
