/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/root.h"

#include <string.h>

#include "lib/error.h"
#include "lib/json.h"

static const char *const names[] = {
		[ASH_ROLE_ROOT] = "root",
		[ASH_ROLE_TARGETS] = "targets",
		[ASH_ROLE_SNAPSHOT] = "snapshot",
		[ASH_ROLE_TIMESTAMP] = "timestamp",
		[ASH_ROLE_WORKLOADS] = "workloads",
};

const char *ash_role_name(AshRole role)
{
	return names[role];
}

bool ash_role_find(const char *name, AshRole *out_role)
{
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (strcmp(names[i], name) == 0) {
			*out_role = (AshRole) i;
			return true;
		}
	return false;
}

void ash_root_free(AshRoot *root)
{
	if (root == NULL)
		return;
	for (size_t i = 0; i < ASH_ROOT_N_ROLES; i++)
		ash_signing_role_free(root->roles[i]);
	g_free(root->expires);
	g_clear_pointer(&root->bytes, g_bytes_unref);
	g_free(root);
}

gboolean ash_root_parse(GBytes *bytes, AshRoot **out_root, GError **error)
{
	g_autoptr(AshRoot) root = g_new0(AshRoot, 1);
	g_autoptr(JsonNode) node = NULL;
	JsonObject *object, *keys, *roles;
	const char *expires = NULL;

	if (!ash_signing_parse(bytes, "root", &node, &object, &root->version, error) ||
			!ash_json_object(object, "keys", &keys, error) ||
			!ash_json_object(object, "roles", &roles, error) ||
			!ash_json_text(object, "expires", &expires, error) ||
			!ash_signing_expiry(object, &root->seconds_left, error))
		return FALSE;
	for (size_t i = 0; i < ASH_ROOT_N_ROLES; i++) {
		JsonObject *role;
		if (!ash_json_object(roles, names[i], &role, error) ||
				!ash_signing_role_parse(keys, role, &root->roles[i], error))
			return FALSE;
	}
	if (!ash_signing_check(node, root->roles[ASH_ROLE_ROOT], error))
		return FALSE;
	root->expires = g_strdup(expires);
	root->bytes = g_bytes_ref(bytes);
	*out_root = g_steal_pointer(&root);
	return TRUE;
}

JsonNode *ash_root_build(AshSigningRole *const *roles, uint64_t version, const char *expires)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	ash_signing_begin(json, "root", version, expires);
	ash_json_add_bool(json, "consistent_snapshot", true);
	ash_signing_add_keys(json, (const AshSigningRole *const *) roles, ASH_ROOT_N_ROLES);
	ash_json_begin_object(json, "roles");
	for (size_t i = 0; i < ASH_ROOT_N_ROLES; i++) {
		ash_json_begin_object(json, names[i]);
		ash_signing_add_role(json, roles[i]);
		json_builder_end_object(json);
	}
	json_builder_end_object(json);
	json_builder_end_object(json);
	return json_builder_get_root(json);
}

gboolean ash_root_check_next(const AshRoot *root, const AshRoot *next, GError **error)
{
	g_autoptr(JsonNode) node = NULL;
	JsonObject *object;
	uint64_t version = 0;

	if (next->version != root->version + 1)
		return ash_throw(error, ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SYNTAX,
				"version %" G_GUINT64_FORMAT " of the root does not follow version "
				"%" G_GUINT64_FORMAT,
				next->version, root->version);
	return ash_signing_parse(next->bytes, "root", &node, &object, &version, error) &&
	       ash_signing_check(node, root->roles[ASH_ROLE_ROOT], error);
}
