/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

#include "lib/tuf-metadata.h"

/* Whom a targets role trusts for which paths (specification 1.0.34, section 4.5). PURE. */

enum {
	ASH_TUF_MAX_ROLE_BYTES = 200, /* of a role's file name without ".json" */
};

/* Borrowed from the delegating metadata, but for the file name. */
typedef struct {
	const char *role;
	char *file; /* "ROLE.json", percent-encoded: one component of a path or URL, whatever the role */
	AshTufAuthority authority;
	bool is_terminating;
	JsonArray *paths;         /* or NULL */
	JsonArray *hash_prefixes; /* or NULL; one of both is there */
} AshTufDelegation;

/* The "delegations" of @targets_body, in their order; none if there are none. */
gboolean ash_tuf_delegations_parse(JsonObject *targets_body, GPtrArray **out_delegations,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_tuf_delegation_free(AshTufDelegation *delegation);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshTufDelegation, ash_tuf_delegation_free)

bool ash_tuf_delegation_covers(const AshTufDelegation *delegation, const char *path);

/* A shell pattern of '*', '?' and '[…]', none of which match a '/'. Takes time in proportion to the
 * product of both lengths at most, whoever wrote the pattern. Both are UTF-8.
 */
bool ash_tuf_path_matches(const char *pattern, const char *path);
