/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

#include "lib/workload.h"

/* Definitions on a host: what its owner and its fleet want, and those versions that are kept because they run
 * or may be gone back to.
 *
 *	/etc/ashlar/workloads.d/NAME.yaml              local: the owner's; counts before a signed one
 *	/var/lib/ashlar/workload/signed/NAME/VERSION.json    taken in by ashlar-worker after TUF
 *	/etc/ashlar/parameters.d/NAME.yaml             {PARAMETER: VALUE…}
 *	/var/lib/ashlar/workload/pinned/NAME           the signed version asked for; without it the newest
 *	/var/lib/ashlar/workload/fleet/NAME.json       {"version", "parameters"}: the signed version that the fleet
 *	                                               wants, with its values; counts before a pin, and the
 *	                                               owner's values before its
 *	/var/lib/ashlar/workload/definitions/NAME/DIGEST.json
 *	                                               {"definition", "parameters", "origin", "file"}
 *
 * The digest is that of the definition with its parameters, so that either makes another version of it.
 */

#define ASH_STORE_ERROR (ash_store_error_quark())
GQuark ash_store_error_quark(void);

typedef enum {
	ASH_STORE_ERROR_NAME,    /* the file's name and the workload's differ */
	ASH_STORE_ERROR_SYNTAX,  /* a kept definition, a parameter */
	ASH_STORE_ERROR_MISSING, /* there is no such definition */
	ASH_STORE_ERROR_LIMIT,
} AshStoreError;

#define ASH_STORE_LOCAL "/etc/ashlar/workloads.d"
#define ASH_STORE_SIGNED "/var/lib/ashlar/workload/signed"
#define ASH_STORE_PARAMETERS "/etc/ashlar/parameters.d"
#define ASH_STORE_PINNED "/var/lib/ashlar/workload/pinned"
#define ASH_STORE_FLEET "/var/lib/ashlar/workload/fleet"
#define ASH_STORE_KEPT "/var/lib/ashlar/workload/definitions"

enum {
	ASH_STORE_MAX_WORKLOADS = 256,
	ASH_STORE_MAX_VERSIONS = 1024, /* of one workload, signed */
};

typedef struct {
	char *name, *digest;
	char *canonical;       /* ash_workload_format, before its parameters are in it */
	GHashTable *values;    /* parameters: name → text */
	AshWorkload *workload; /* with them */
	bool is_signed;
	char *file; /* where it was read, without the root */
} AshDefinition;

void ash_definition_free(AshDefinition *definition);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshDefinition, ash_definition_free)

/* @text: YAML or JSON; @values: NULL for none; @file: for messages. */
gboolean ash_definition_make(const char *file, GBytes *text, GHashTable *values, bool is_signed,
		AshDefinition **out_definition, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What was found of one name: a definition, or why it cannot be used. */
typedef struct {
	char *name;
	AshDefinition *definition; /* NULL */
	char *problem;             /* NULL */
} AshStoreEntry;

/* All that is wanted on the host below @root, by name. Fails only when a directory cannot be read. */
gboolean ash_store_scan(const char *root, GPtrArray **out_entries, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The owner's. */
gboolean ash_store_parameters(const char *root, const char *name, GHashTable **out_values,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Reads one signed definition that is here, with the owner's values over @values (NULL: the fleet's, of its file).
 * ASH_STORE_ERROR_MISSING: it is not here.
 */
gboolean ash_store_load_signed(const char *root, const char *name, const char *version,
		GHashTable *values, AshDefinition **out_definition, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* A question: has the owner a definition of that name? */
bool ash_store_has_local(const char *root, const char *name);

/* Writes a local definition; @text is what somebody wrote, comments and all. */
gboolean ash_store_put_local(const char *root, const char *name, const char *text, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The signed workload of that name is wanted, in its newest version unless a pin says another. */
gboolean ash_store_want(const char *root, const char *name, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Which version, here by now or not; NULL: the newest. */
gboolean ash_store_pin(const char *root, const char *name, const char *version, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The local file, the pin, what the fleet said and all signed versions: nothing of it is wanted any more. */
gboolean ash_store_unwant(const char *root, const char *name, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- what the fleet wants: store-fleet.c ---- */

/* "version" and "parameters" of @object. */
gboolean ash_store_read_wish(JsonObject *object, char **out_version, GHashTable **out_values,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* NULL, both: it wants nothing of that name. */
gboolean ash_store_load_fleet(const char *root, const char *name, char **out_version,
		GHashTable **out_values, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_store_list_fleet(const char *root, char ***out_names, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_store_put_fleet(const char *root, const char *name, const char *version,
		GHashTable *values, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* And the signed versions, unless the owner has pinned one. */
gboolean ash_store_drop_fleet(const char *root, const char *name, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- kept versions ---- */

gboolean ash_store_keep(const char *root, const AshDefinition *definition, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_store_load(const char *root, const char *name, const char *digest,
		AshDefinition **out_definition, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Removes all kept ones of @name but those of @digests (NULL-terminated). */
gboolean ash_store_clean(const char *root, const char *name, const char *const *digests,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
