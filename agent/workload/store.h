/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "lib/workload.h"

/* Definitions on a host: what its owner and its fleet want, and those versions that are kept because they run
 * or may be gone back to.
 *
 *	/etc/ashlar/workloads.d/NAME.yaml              local: the owner's; counts before a signed one
 *	/var/lib/ashlar/workload/signed/NAME/VERSION.json    taken in by ashlar-worker after TUF
 *	/etc/ashlar/parameters.d/NAME.yaml             {PARAMETER: VALUE…}
 *	/var/lib/ashlar/workload/pinned/NAME           the signed version asked for; without it the newest
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

gboolean ash_store_parameters(const char *root, const char *name, GHashTable **out_values,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes a local definition; @text is what somebody wrote, comments and all. */
gboolean ash_store_put_local(const char *root, const char *name, const char *text, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* ASH_STORE_ERROR_MISSING when the signed version is not on this host; NULL: the newest. */
gboolean ash_store_pin(const char *root, const char *name, const char *version, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The local file, the pin and all signed versions: nothing of it is wanted any more. */
gboolean ash_store_unwant(const char *root, const char *name, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- kept versions ---- */

gboolean ash_store_keep(const char *root, const AshDefinition *definition, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_store_load(const char *root, const char *name, const char *digest,
		AshDefinition **out_definition, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Removes all kept ones of @name but those of @digests (NULL-terminated). */
gboolean ash_store_clean(const char *root, const char *name, const char *const *digests,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
