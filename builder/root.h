/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/signing.h"

/* One version of the TUF root: which keys speak for which role. Errors are those of signing.h. */

typedef enum {
	ASH_ROLE_ROOT,
	ASH_ROLE_TARGETS,
	ASH_ROLE_SNAPSHOT,
	ASH_ROLE_TIMESTAMP,
	ASH_ROLE_WORKLOADS, /* delegated by targets; not in the root */
} AshRole;

enum {
	ASH_ROOT_N_ROLES = ASH_ROLE_TIMESTAMP + 1,
	ASH_N_ROLES = ASH_ROLE_WORKLOADS + 1,
};

typedef struct {
	uint64_t version;
	AshSigningRole *roles[ASH_ROOT_N_ROLES];
	int64_t seconds_left; /* until it expires */
	char *expires;
	GBytes *bytes; /* as it is published */
} AshRoot;

/* "root", "targets", …: also the name of the metadata file. */
const char *ash_role_name(AshRole role);
/* A question. */
bool ash_role_find(const char *name, AshRole *out_role);

/* Also checks that it is signed by its own root keys. */
gboolean ash_root_parse(GBytes *bytes, AshRoot **out_root, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_root_free(AshRoot *root);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRoot, ash_root_free)

/* The member "signed" of version @version with these roles, for ash_signing_seal. */
JsonNode *ash_root_build(AshSigningRole *const *roles, uint64_t version, const char *expires);

/* Was @next signed by the root keys of @root, and is it the version behind it? */
gboolean ash_root_check_next(const AshRoot *root, const AshRoot *next, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
