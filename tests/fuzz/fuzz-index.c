/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "builder/solve-state.h"

enum {
	MAX_BYTES = 1 << 15
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A package index, and solving from it, explanations included. The corpus has packages a and b. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name_a[] = "a";
	char name_b[] = "b";
	char excluded[] = "x";
	char what[] = "index";
	AshManifestPackage wanted[] = {
			{.mark = "m:1:1", .name = name_a}, {.mark = "m:1:2", .name = name_b}};
	AshManifestPackage unwanted = {.mark = "m:2:1", .name = excluded};
	AshSource source = {
			.mark = what, .id = what, .kind = "flat", .suite = what, .priority = 500};
	AshIndex index = {.source = &source, .what = what};
	AshManifest manifest = {.packages = g_ptr_array_new(),
			.exclude = g_ptr_array_new(),
			.pins = g_ptr_array_new()};
	const AshSolveOptions options = {.cache_dir = "/nowhere"};
	AshSolveState state = {.manifest = &manifest,
			.options = &options,
			.roots = g_array_new(FALSE, FALSE, sizeof(AshSolveRoot))};
	g_autoptr(GBytes) text = g_bytes_new(data, MIN(size, MAX_BYTES));
	g_autoptr(GArray) set = NULL;
	g_autoptr(GError) error = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++)
		g_ptr_array_add(manifest.packages, &wanted[i]);
	g_ptr_array_add(manifest.exclude, &unwanted);
	manifest.recommends = size % 2 == 0;
	gboolean is_ok = ash_solve_make_pool(&state, "amd64", &error) &&
			 ash_solve_load_text(&state, &index, "amd64", text, &error) &&
			 ash_solve_packages(&state, &set, &error);
	g_assert(is_ok ? set != NULL && set->len >= 1 : error != NULL);
	ash_solve_state_clear(&state);
	g_ptr_array_unref(manifest.packages);
	g_ptr_array_unref(manifest.exclude);
	g_ptr_array_unref(manifest.pins);
	return 0;
}
