/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

#include "lib/checkin.h"

/* Workloads that the fleet wants on this host, as its answer names them (lib/checkin.h) and fleet.json keeps them:
 *
 *	[{"name":"web","version":"1.2.0","parameters":{"GREETING":"hello"}}]
 *
 * Names alone: what they mean has to be signed, and which parameters there are says the definition. PURE.
 */

enum {
	ASH_FLEET_WORKLOAD_MAX = ASH_CHECKIN_MAX_WANTED,
	ASH_FLEET_WORKLOAD_MAX_PARAMETERS = 64, /* of one */
	ASH_FLEET_WORKLOAD_MAX_KEY_BYTES = 64,
};

typedef struct {
	char *name, *version;
	GHashTable *parameters; /* name → text */
} AshFleetWorkload;

/* @out_list: AshFleetWorkload, not to be changed (share it by reference); NULL when @key is missing or null.
 * ASH_FLEET_ANSWER_ERROR, ASH_JSON_ERROR.
 */
gboolean ash_fleet_workload_parse_list(JsonObject *object, const char *key, GPtrArray **out_list,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The array as member @key; nothing for NULL. The same list is always the same text. */
void ash_fleet_workload_add_list(JsonBuilder *builder, const char *key, const GPtrArray *list);
bool ash_fleet_workload_is_same_list(const GPtrArray *a, const GPtrArray *b);
const AshFleetWorkload *ash_fleet_workload_find(const GPtrArray *list, const char *name); /* NULL */
