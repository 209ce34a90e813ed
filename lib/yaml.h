/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* YAML as a tree of nodes that remember where they stand. The one file that may include yaml.h.
 *
 * Strict: one document; duplicate keys, anchors, aliases, tags and non-scalar keys are errors; at
 * most ASH_YAML_MAX_BYTES, _MAX_NODES, _MAX_DEPTH.
 */

#define ASH_YAML_ERROR (ash_yaml_error_quark())
GQuark ash_yaml_error_quark(void);

typedef enum {
	ASH_YAML_ERROR_SYNTAX,
	ASH_YAML_ERROR_DUPLICATE,
	ASH_YAML_ERROR_UNSUPPORTED, /* anchors, aliases, tags, several documents */
	ASH_YAML_ERROR_TYPE,        /* a node is not what the caller asked for */
	ASH_YAML_ERROR_LIMIT,
} AshYamlError;

enum {
	ASH_YAML_MAX_BYTES = 16 << 20,
	ASH_YAML_MAX_NODES = 1000000,
	ASH_YAML_MAX_DEPTH = 32,
};

typedef enum {
	ASH_YAML_NULL,
	ASH_YAML_SCALAR,
	ASH_YAML_LIST,
	ASH_YAML_MAP,
} AshYamlKind;

typedef struct AshYamlNode AshYamlNode;

typedef struct {
	char *key;
	unsigned line, column; /* of the key */
	AshYamlNode *value;
} AshYamlPair;

struct AshYamlNode {
	AshYamlKind kind;
	const char *file;      /* borrowed: interned string */
	unsigned line, column; /* from 1 */
	char *scalar;          /* SCALAR; holds no NUL */
	bool is_plain;         /* SCALAR without quotes: 12, true, 0644 may be numbers */
	GPtrArray *items;      /* LIST: AshYamlNode */
	GPtrArray *pairs;      /* MAP: AshYamlPair, in the file's order */
};

/* @file: for messages and AshYamlNode.file. An empty document is a NULL node (kind ASH_YAML_NULL). */
gboolean ash_yaml_parse(const char *file, GBytes *text, AshYamlNode **out_root, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_yaml_free(AshYamlNode *node);
typedef AshYamlNode AshYaml;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshYaml, ash_yaml_free)

AshYamlNode *ash_yaml_get(const AshYamlNode *map, const char *key); /* NULL when missing */

/* Typed reads; a wrong type is ASH_YAML_ERROR_TYPE with "FILE:LINE:COLUMN: …, expected …". */
gboolean ash_yaml_string(const AshYamlNode *node, const char *what, char **out_value,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_yaml_bool(const AshYamlNode *node, const char *what, bool *out_value, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_yaml_uint(const AshYamlNode *node, const char *what, uint64_t max, uint64_t *out_value,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Sets @error to "FILE:LINE:COLUMN: FORMAT" in any domain; returns FALSE. */
gboolean ash_yaml_throw(const AshYamlNode *node, GError **error, GQuark domain, int code,
		const char *format, ...) G_GNUC_PRINTF(5, 6);

/* A double-quoted YAML scalar of @text when it needs quotes, else @text itself; for writers. */
char *ash_yaml_quote(const char *text);
