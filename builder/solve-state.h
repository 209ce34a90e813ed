/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "builder/index.h"
#include "builder/solve.h"

/* What the parts of solving share. For builder/solve*.c only, which are one seam: ids are libsolv's
 * (`Id`), said as int here so that this header needs none of its own.
 *
 *	solve.c           the sequence, and the lock that comes out
 *	solve-load.c      index → solvables, and their cache
 *	solve-choose.c    which version of each package may be used at all; apt's choice among alternatives
 *	solve-explain.c   what is wrong, in words
 *
 * The rules, in the order in which they bind:
 * (1) Of each package name one version takes part, as in apt: that of the previous lock if it may not
 *     move and still fits, else of the repository with the highest priority, else the highest version;
 *     pins and versions asked for in the manifest narrow the choice first.
 * (2) Debian's essential packages (Essential: yes) are in, for hosts and workloads: maintainer scripts
 *     use them without saying so. What is not wanted at run time the manifest removes afterwards.
 * (3) Among alternatives ("a | b", or several providers) apt's rule holds: the first that can be
 *     had, unless one is in already; providers by their Priority, then by name. libsolv has no such
 *     rule, so a walk in apt's order makes a proposal, and libsolv proves or repairs it.
 */

struct s_Pool;
struct s_Solver;

typedef struct {
	int dep;          /* id of "name" or "name >= version" */
	int solvable;     /* a certain package, or 0 */
	const char *mark; /* where it was asked for; NULL: essential */
} AshSolveRoot;

typedef struct {
	const AshManifest *manifest; /* borrowed, as all that follow */
	const AshSolveOptions *options;
	AshProgress *progress;
	GPtrArray *sources; /* AshSource */
	AshSource *debs;    /* stands for the manifest's local .debs */
	GPtrArray *indices; /* AshIndex; that of a repo is its appdata */
	struct s_Pool *pool;
	GArray *candidates; /* int: by name id, the solvable that takes part, 0 for none */
	GArray *roots;      /* AshSolveRoot */
	bool keep_previous;
} AshSolveState;

/* ---- solve.c */

/* state->pool, empty, for packages of @arch. */
gboolean ash_solve_make_pool(AshSolveState *state, const char *arch, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Frees what the state owns: pool, candidates, roots, indices, sources. */
void ash_solve_state_clear(AshSolveState *state);

/* From a filled pool to what is to be installed: ids of solvables (int). */
gboolean ash_solve_packages(AshSolveState *state, GArray **out_set, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- solve-load.c */

/* Adds the index's packages to the pool, from the cache when that is whole, else from the index. */
gboolean ash_solve_load_index(AshSolveState *state, AshIndex *index, const AshIndexOptions *options,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same from the text of an index, without any file; for tests. */
gboolean ash_solve_load_text(AshSolveState *state, AshIndex *index, const char *arch, GBytes *text,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The name that all essential packages provide. */
#define ASH_SOLVE_ESSENTIAL "(essential)"
/* Key of a number: 1 required … 5 extra. */
#define ASH_SOLVE_PRIORITY_KEY "ashlar:priority"

/* "a >= 1" to a, relation, 1 and "a | b" to a, REL_OR, b; false for a plain name. */
bool ash_solve_split(const struct s_Pool *pool, int dep, int *out_left, int *out_relation,
		int *out_right);

/* ---- solve-choose.c */

/* Fills state->candidates and makes them (without the excluded ones, if @with_excluded is false) the
 * only packages that the pool offers.
 */
gboolean ash_solve_choose(AshSolveState *state, bool with_excluded, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The solvable of that name (id) that takes part; 0 for none. */
int ash_solve_candidate(const AshSolveState *state, int name);

gboolean ash_solve_add_roots(AshSolveState *state, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* apt's choice: ids of solvables (int), roots first. */
GArray *ash_solve_propose(const AshSolveState *state);

bool ash_solve_is_excluded(const AshSolveState *state, int solvable);

/* ---- solve-explain.c */

gboolean ash_solve_throw_problems(
		const AshSolveState *state, struct s_Solver *solver, GError **error);
/* @set: int, what would be installed with the excluded packages in. */
gboolean ash_solve_throw_excluded(const AshSolveState *state, GArray *set, GError **error);
/* Nothing provides what @root asks for. */
gboolean ash_solve_throw_unknown(
		const AshSolveState *state, const AshManifestPackage *package, GError **error);
gboolean ash_solve_throw_pin(const AshSolveState *state, const AshManifestPin *pin, GError **error);
