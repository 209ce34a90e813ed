/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/manifest-variable.h"
#include "builder/manifest.h"
#include "builder/schema.h"
#include "lib/yaml.h"

/* What the steps of loading a manifest share; for builder/manifest*.c and schema.c only.
 *
 *	read       manifest-include.c  files in the order of their weight: a file that is included
 *	                               stands before the one that includes it; structure is checked
 *	                               by the table (manifest-parse.c), whatever is chosen later
 *	choose     manifest.c          the parts that apply: own, architecture, variant
 *	expand     manifest-variable.c ${…} in the chosen parts, in place
 *	store      manifest-parse.c    values into the AshManifest; manifest-item.c for each item
 *	complete   manifest.c          defaults that depend on other values
 */

/* One file that was read. */
typedef struct {
	char *path;        /* for messages: relative as the including file was */
	char *real_path;   /* absolute, links resolved: the same file is read once */
	AshYamlNode *root; /* a map, or an empty document */
} AshManifestSource;

struct AshManifestLoader {
	AshManifest *manifest; /* being filled */
	GPtrArray *sources;    /* AshManifestSource, later ones win */
	AshVariables *variables;
	/* What was written where, to find duplicates: "OFFSET:identity" → Known. */
	GHashTable *known;
	unsigned layer; /* which part is being stored, from 1 */
};

/* manifest-include.c: reads @path and what it includes into loader->sources, and sets
 * loader->variables to theirs and to @set's.
 */
gboolean ash_manifest_read(AshManifestLoader *loader, const char *path, const char *const *set,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The absolute path of @relative as written at @node. */
char *ash_manifest_resolve(const AshYamlNode *node, const char *relative);

/* Reads a file that a manifest names at @node, and remembers it among the inputs. */
gboolean ash_manifest_read_source(AshManifestLoader *loader, const AshYamlNode *node,
		GBytes **out_content, bool *out_is_executable, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* manifest-parse.c: are keys known, in their place, and of the right shape? Values are not looked
 * at, as they may hold variables.
 */
gboolean ash_manifest_check(const AshYamlNode *root, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Stores one part over what is there. */
gboolean ash_manifest_store(AshManifestLoader *loader, const AshYamlNode *part, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Makes the lists of @keys in the zeroed struct at @base and stores the defaults that are values. */
void ash_manifest_store_defaults(const AshSchemaKey *keys, gpointer base);

/* manifest-item.c, manifest-unit.c: the objects of the table. */
extern const AshSchemaObject ash_manifest_object_repository;
extern const AshSchemaObject ash_manifest_object_pin;
extern const AshSchemaObject ash_manifest_object_file;
extern const AshSchemaObject ash_manifest_object_user;
extern const AshSchemaObject ash_manifest_object_group;
extern const AshSchemaObject ash_manifest_object_unit;
extern const AshSchemaObject ash_manifest_object_script;
extern const AshSchemaObject ash_manifest_object_health; /* manifest-health.c */
gpointer ash_manifest_make_package(
		AshManifestLoader *loader, const AshYamlNode *node, GError **error);
gpointer ash_manifest_make_deb(AshManifestLoader *loader, const AshYamlNode *node, GError **error);
void ash_manifest_package_free(gpointer package);

/* An item's `content:` or `source:`, at most one; NULL when there is neither. The bytes are
 * NUL-terminated behind their end. @noun: for messages.
 */
gboolean ash_manifest_take_content(AshManifestLoader *loader, const AshYamlNode *node,
		const char *noun, GBytes **out_content, bool *out_is_executable, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The rows for these two keys. */
#define ASH_MANIFEST_CONTENT_KEYS(noun)                                                            \
	{.name = "content",                                                                        \
			.type = ASH_SCHEMA_TEXT,                                                   \
			.flags = ASH_SCHEMA_NOT_STORED,                                            \
			.doc = "The " noun "'s content, as text.",                                 \
			.example = "content: |\n  one line\n  another"},                           \
	{                                                                                          \
		.name = "source", .type = ASH_SCHEMA_TEXT, .flags = ASH_SCHEMA_NOT_STORED,         \
		.form = ASH_FORM_LOCAL_PATH,                                                       \
		.doc = "A file that holds the " noun "'s content, relative to this manifest.",     \
		.example = "source: files/example"                                                 \
	}

/* "FILE:LINE:COLUMN", interned. */
AshMark ash_manifest_mark(const AshYamlNode *node);

/* Sets @error to "FILE:LINE:COLUMN: …" of the ASH_MANIFEST_ERROR domain; returns FALSE. */
gboolean ash_manifest_throw(const AshYamlNode *node, GError **error, AshManifestError code,
		const char *format, ...) G_GNUC_PRINTF(4, 5);
