/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "builder/publication.h"
#include "builder/root.h"

/* The metadata of a publication, as the builder takes it up again from a disk or a server. */

static void check_role(JsonObject *keys, JsonObject *role)
{
	g_autoptr(AshSigningRole) parsed = NULL;

	if (!ash_signing_role_parse(keys, role, &parsed, NULL))
		return;
	g_assert_cmpuint(parsed->publics->len, <=, ASH_SIGNING_MAX_KEYS);
	g_assert_cmpuint(parsed->publics->len, ==, parsed->ids->len);
	g_assert_cmpuint(parsed->threshold, >=, 1);
	g_assert_cmpuint(parsed->threshold, <=, parsed->publics->len);
}

static void try_targets(GBytes *bytes)
{
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GPtrArray) targets = NULL;
	JsonObject *object = NULL;
	uint64_t version;
	int64_t left_s;

	if (!ash_signing_parse(bytes, "targets", &node, &object, &version, NULL))
		return;
	(void) !ash_signing_expiry(object, &left_s, NULL);
	if (!ash_publication_parse_targets(object, &targets, NULL))
		return;
	for (guint i = 0; i < targets->len; i++) {
		const AshPublicationTarget *target = targets->pdata[i];
		g_assert_nonnull(target->path);
	}
}

static void try_meta(GBytes *bytes)
{
	g_autoptr(JsonNode) node = NULL;
	JsonObject *object = NULL;
	const char *sha256 = NULL;
	uint64_t version;

	if (ash_signing_parse(bytes, "snapshot", &node, &object, &version, NULL))
		(void) !ash_publication_read_meta(object, "targets.json", &version, &sha256, NULL);
}

static void try_root(GBytes *bytes)
{
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshRoot) root = NULL;
	JsonObject *object = NULL;
	uint64_t version;

	if (ash_root_parse(bytes, &root, NULL))
		(void) !ash_root_check_next(root, root, NULL);
	if (!ash_signing_parse(bytes, "root", &node, &object, &version, NULL) ||
			!json_object_has_member(object, "keys") ||
			!json_object_has_member(object, "roles"))
		return;
	JsonNode *keys = json_object_get_member(object, "keys");
	JsonNode *roles = json_object_get_member(object, "roles");
	if (!JSON_NODE_HOLDS_OBJECT(keys) || !JSON_NODE_HOLDS_OBJECT(roles))
		return;
	g_autoptr(GList) each = json_object_get_values(json_node_get_object(roles));
	for (GList *at = each; at != NULL; at = at->next)
		if (JSON_NODE_HOLDS_OBJECT((JsonNode *) at->data))
			check_role(json_node_get_object(keys), json_node_get_object(at->data));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);

	try_root(bytes);
	try_targets(bytes);
	try_meta(bytes);
	return 0;
}
