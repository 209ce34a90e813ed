/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/json.h"
#include "lib/pattern.h"
#include "lib/yaml.h"

/* The one table that says what a manifest may hold: each key's name, type, default, place, meaning
 * and example. manifest-parse.c reads manifests by it, schema-print.c prints the JSON Schema and the
 * key reference of manifest(5) from it. A new key is a row in schema.c (and a field in manifest.h).
 */

typedef struct AshManifestLoader AshManifestLoader;
typedef struct AshSchemaKey AshSchemaKey;

/* What a piece of text must look like; schema-form.c has one pattern for each. */
typedef enum {
	ASH_FORM_ANY, /* whatever */
	ASH_FORM_LINE,
	ASH_FORM_NAME,
	ASH_FORM_VERSION,
	ASH_FORM_VARIABLE,
	ASH_FORM_VARIANT,
	ASH_FORM_ARCH,
	ASH_FORM_SUITE,
	ASH_FORM_REPOSITORY_SUITE,
	ASH_FORM_COMPONENT,
	ASH_FORM_URI,
	ASH_FORM_LOCAL_PATH,
	ASH_FORM_PACKAGE,
	ASH_FORM_PACKAGE_NAME,
	ASH_FORM_PACKAGE_GLOB,
	ASH_FORM_VERSION_GLOB,
	ASH_FORM_PATH,
	ASH_FORM_PATH_GLOB,
	ASH_FORM_LINK_TARGET,
	ASH_FORM_MODE,
	ASH_FORM_USER,
	ASH_FORM_OWNER,
	ASH_FORM_GECOS,
	ASH_FORM_UNIT,
	ASH_FORM_TARGET,
	ASH_FORM_DROPIN,
	ASH_FORM_PRESET,
	ASH_FORM_KERNEL_ARGUMENT,
	ASH_FORM_MODULE,
	ASH_FORM_MODULE_GLOB,
	ASH_FORM_HOSTNAME,
	ASH_FORM_DURATION,
	ASH_FORM_SIZE,
	ASH_FORM_CHECK,
	ASH_FORM_HOST,
	ASH_FORM_ADDRESS,
	ASH_FORM_HTTP,
	ASH_FORM_LAST = ASH_FORM_HTTP,
} AshForm;

typedef enum {
	ASH_SCHEMA_TEXT,      /* char * */
	ASH_SCHEMA_BOOL,      /* bool */
	ASH_SCHEMA_NUMBER,    /* uint32_t, at most .max */
	ASH_SCHEMA_ID,        /* int64_t, at most .max */
	ASH_SCHEMA_MODE,      /* uint32_t, written in octal */
	ASH_SCHEMA_CHOICE,    /* an enum; its values count .choices */
	ASH_SCHEMA_WORDS,     /* char **: a list of text; the later list replaces the earlier */
	ASH_SCHEMA_TEXTS,     /* GPtrArray: a list of text, concatenated; .make may convert */
	ASH_SCHEMA_ITEMS,     /* GPtrArray of .object */
	ASH_SCHEMA_OBJECT,    /* a map whose .object->keys are fields of the struct around it; with
				 .object->finish they are not, and that alone reads them */
	ASH_SCHEMA_VARIABLES, /* a map of text; read by manifest-include.c */
	ASH_SCHEMA_PARTS,     /* a map of parts: the top table without TOP_ONLY keys */
} AshSchemaType;

typedef enum {
	ASH_SCHEMA_TOP_ONLY = 1 << 0, /* not inside an architecture or a variant */
	ASH_SCHEMA_REQUIRED = 1 << 1,
	ASH_SCHEMA_IN_VARIANT = 1 << 2,       /* with TOP_ONLY: inside a variant too */
	ASH_SCHEMA_DEFAULT_IS_WORDS = 1 << 3, /* .default_text is for people, code sets it */
	ASH_SCHEMA_NOT_STORED = 1 << 4, /* .offset means nothing; somebody else reads the node */
} AshSchemaFlags;

typedef struct {
	const char *noun; /* "file" */
	size_t size;      /* of the struct; its first field is AshMark mark. 0: an OBJECT's */
	const AshSchemaKey *keys; /* ends with a NULL name */
	GDestroyNotify free;
	/* Fills and checks what no key decides alone; @node is the item's map. Or NULL. */
	gboolean (*finish)(AshManifestLoader *loader, const AshYamlNode *node, gpointer item,
			GError **error);
	/* Items are told apart by this char * field, so that a later layer's replaces an earlier
	 * one's, and two in one layer are an error; a NULL field is like no other. -1: never. */
	int identity;
	/* Puts what @later says over @earlier instead of replacing it. Or NULL. */
	void (*merge)(gpointer earlier, gpointer later);
} AshSchemaObject;

struct AshSchemaKey {
	const char *name;
	AshSchemaType type;
	unsigned flags; /* AshSchemaFlags */
	AshForm form;   /* of the text, or of each text in the list, or of each map key */
	size_t offset;
	uint64_t max;
	const char *const *choices; /* NULL-terminated */
	const AshSchemaObject *object;
	/* TEXTS: makes the element of @node's text; NULL means error. Default: a copy of it. */
	gpointer (*make)(AshManifestLoader *loader, const AshYamlNode *node, GError **error);
	GDestroyNotify free_made;
	const char *default_text; /* as one would write it, or NULL */
	const char *doc;          /* sentences for manifest(5) and the JSON Schema */
	const char *example;      /* YAML of this key alone, lines without a final newline */
};

/* The top level of a manifest. */
extern const AshSchemaKey ash_schema_manifest[];

const AshSchemaKey *ash_schema_find(const AshSchemaKey *keys, const char *name);

/* The type of the key 'health', which is the same in a workload's definition. */
void ash_schema_put_health(JsonBuilder *json);

/* A question: is @text of this form? */
bool ash_form_matches(AshForm form, const char *text);
/* "a package name: …", to stand behind "expected "; static. */
const char *ash_form_expected(AshForm form);
const AshPattern *ash_form_pattern(AshForm form); /* static */
/* The parts in parentheses of the pattern; NULL when @text is not of this form. */
char **ash_form_split(AshForm form, const char *text);
