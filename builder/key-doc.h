/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/pattern.h"

/* A table of keys for readers: as JSON Schema (draft 2020-12) for editors, as key reference in scdoc for a manual page.
 * builder/schema.h has the table of manifests, lib/workload-key.h that of workloads; their rows are of different types.
 * So a table gives functions that say of a row what is to be said. PURE.
 */

/* What one row says; all of it is borrowed from the table. */
typedef struct {
	const char *name;  /* NULL: the table ends here */
	const char *doc;   /* sentences */
	const char *place; /* one more, in the reference alone, or NULL */
	const char *example;
	const char *default_value; /* in the schema, as one would write it, or NULL */
	GType default_type;        /* G_TYPE_BOOLEAN, G_TYPE_INT64; else it is text */
	const char *default_words; /* in the reference, or NULL */
	const char *form_of; /* what looks like .form: "The value", "Each item"; NULL: nothing */
	const AshPattern *form;
	const void *keys; /* the table of the map, or of the maps in the list; or NULL */
	bool is_required;
} AshKeyDoc;

typedef struct {
	const char *title, *description; /* of the whole */
	const void *keys;
	size_t key_size; /* of a row */
	AshKeyDoc (*describe)(const void *key);
	char *(*type)(const void *key); /* "list of text"; newly allocated */
	/* Members of the key's schema that say which values it takes. */
	void (*put_type)(JsonBuilder *json, const void *key);
	void (*put_definitions)(JsonBuilder *json); /* members of "$defs"; or NULL */
} AshKeyDocTable;

/* Both newly allocated. */
char *ash_key_doc_json(const AshKeyDocTable *table);
char *ash_key_doc_scdoc(const AshKeyDocTable *table);

/* What put_type and put_definitions are made of: members of the object that is open. */

/* Of a map with @keys; @is_here (or NULL) leaves keys out. */
void ash_key_doc_put_keys(JsonBuilder *json, const AshKeyDocTable *table, const void *keys,
		bool (*is_here)(const void *key));
/* "pattern": @form, or else the regex @other (""); nothing when any text will do. */
void ash_key_doc_put_pattern(JsonBuilder *json, const AshPattern *form, const char *other);
/* "propertyNames": all of @form. */
void ash_key_doc_put_names(JsonBuilder *json, const AshPattern *form);
void ash_key_doc_put_enum(JsonBuilder *json, const char *const *choices);
/* "type" of text: what YAML may take for a number or a truth is text here all the same. */
void ash_key_doc_put_text(JsonBuilder *json);
