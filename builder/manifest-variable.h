/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "lib/yaml.h"

/* ${name} in the text of a manifest. PURE.
 *
 * "$${" stands for "${"; any other '$' for itself. A value may name other variables, up to
 * ASH_VARIABLES_MAX_DEPTH deep. Errors are ASH_MANIFEST_ERROR_VARIABLE, at the node that was to be
 * expanded.
 */

enum {
	ASH_VARIABLES_MAX_DEPTH = 8,
	ASH_VARIABLES_MAX_VALUE_BYTES = 64 << 10, /* of one value, when expanded */
	ASH_VARIABLES_MAX_TOTAL_BYTES = 64 << 20, /* of all text that held a variable */
};

typedef struct AshVariables AshVariables;

AshVariables *ash_variables_new(void);
void ash_variables_free(AshVariables *variables);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshVariables, ash_variables_free)

/* A later value replaces the earlier one. */
void ash_variables_set(AshVariables *variables, const char *name, const char *value);
bool ash_variables_has(const AshVariables *variables, const char *name);
/* Sorted; free with g_free, the names are borrowed. */
const char **ash_variables_names(const AshVariables *variables);

/* Expands every scalar at and below @node in place. A plain scalar stays one, and a quoted one that
 * held a variable becomes one, so that it may turn into a number or a boolean.
 */
gboolean ash_variables_expand(AshVariables *variables, AshYamlNode *node, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
