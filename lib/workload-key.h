/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/pattern.h"
#include "lib/workload.h"
#include "lib/yaml.h"

/* The one table that says what a workload's definition may hold: each key's name, type, default, meaning
 * and example. workload-parse.c reads definitions by it; the builder prints the JSON Schema and the key
 * reference of workload(5) from it. A new key is a row in workload-key.c, a field in workload.h, and a
 * line in workload-format.c (tests/unit/test-workload.c misses it otherwise). PURE; for lib/workload*.c
 * and builder/workload-schema.c.
 */

/* What a piece of text must look like. */
typedef enum {
	ASH_WORKLOAD_FORM_ANY,
	ASH_WORKLOAD_FORM_LINE,
	ASH_WORKLOAD_FORM_NAME,
	ASH_WORKLOAD_FORM_VERSION,
	ASH_WORKLOAD_FORM_IMAGE,
	ASH_WORKLOAD_FORM_PATH,
	ASH_WORKLOAD_FORM_DIRECTORY,
	ASH_WORKLOAD_FORM_USER,
	ASH_WORKLOAD_FORM_PARAMETER,
	ASH_WORKLOAD_FORM_VARIABLE,
	ASH_WORKLOAD_FORM_DURATION,
	ASH_WORKLOAD_FORM_SIZE,
	ASH_WORKLOAD_FORM_CPU,
	ASH_WORKLOAD_FORM_PUBLISH,
	ASH_WORKLOAD_FORM_EGRESS,
	ASH_WORKLOAD_FORM_SERVICE,
	ASH_WORKLOAD_FORM_SECRET,
	ASH_WORKLOAD_FORM_CAPABILITY,
	ASH_WORKLOAD_FORM_DEVICE,
	ASH_WORKLOAD_FORM_CALL,
} AshWorkloadForm;

typedef enum {
	ASH_WORKLOAD_TEXT,      /* char * */
	ASH_WORKLOAD_BOOL,      /* bool */
	ASH_WORKLOAD_NUMBER,    /* uint32_t, .min to .max */
	ASH_WORKLOAD_INTEGER,   /* int64_t */
	ASH_WORKLOAD_CPU,       /* uint32_t, thousandths */
	ASH_WORKLOAD_SIZE,      /* uint64_t, .min to .max */
	ASH_WORKLOAD_DURATION,  /* uint32_t, ms, .min to .max */
	ASH_WORKLOAD_CHOICE,    /* an enum; its values count .choices, from .min */
	ASH_WORKLOAD_SWITCH,    /* bool: the first of .choices is false, the second true */
	ASH_WORKLOAD_TEXTS,     /* char **, at most .max, in the order of the file */
	ASH_WORKLOAD_SET,       /* the same, sorted, each once */
	ASH_WORKLOAD_VARIABLES, /* char **: a map of text to "KEY=value", sorted */
	ASH_WORKLOAD_MADE,      /* GPtrArray: a list of text, each made into something by .make */
	ASH_WORKLOAD_ITEMS,     /* GPtrArray: a list of maps with .keys */
	ASH_WORKLOAD_MAP,       /* a map whose .keys are fields of the struct around it */
	ASH_WORKLOAD_IMAGE,     /* AshWorkloadImage, from text */
	ASH_WORKLOAD_HEALTH,    /* AshHealthSpec *: lib/health-spec.h's map */
} AshWorkloadType;

typedef enum {
	ASH_WORKLOAD_KEY_REQUIRED = 1 << 0,
	ASH_WORKLOAD_KEY_MAYBE = 1 << 1, /* TEXTS, SET: NULL when missing, else empty */
	ASH_WORKLOAD_KEY_SOME = 1 << 2,  /* a list that is there is not empty */
} AshWorkloadKeyFlags;

typedef struct AshWorkloadKey AshWorkloadKey;
struct AshWorkloadKey {
	const char *name;
	AshWorkloadType type;
	unsigned flags;       /* AshWorkloadKeyFlags */
	AshWorkloadForm form; /* of the text, or of each text in the list, or of each key of a map */
	size_t offset;        /* in AshWorkload, or in the item */
	uint64_t min, max;
	const char *const *choices; /* NULL-terminated */
	const AshWorkloadKey *keys; /* ends with a NULL name */
	/* MAP: a lone word stands for {WORD: it}; "" with .choices: one of these stands for {}. */
	const char *word;
	size_t item_size; /* ITEMS */
	GDestroyNotify free_item;
	/* MADE: of text of the right form; NULL means error. */
	gpointer (*make)(const AshYamlNode *node, GError **error);
	const char *default_text; /* as one would write it; "" for a field that is empty; or NULL */
	const char *default_words; /* for people, where code decides */
	const char *doc;
	const char *example; /* YAML of this key alone, lines without a final newline */
};

extern const AshWorkloadKey ash_workload_keys[];
/* The words of `isolation`, `network`, … in the order of their enums. */
extern const char *const ash_workload_classes[],
		*const ash_workload_strengths[],
				*const ash_workload_modes[],
						*const ash_workload_contracts[],
								*const ash_workload_policies[],
										*const ash_workload_parameter_types
												[];
const AshWorkloadKey *ash_workload_key_find(const AshWorkloadKey *keys, const char *name);

/* Questions and words about forms, as builder/schema.h has them for manifests. */
bool ash_workload_form_matches(AshWorkloadForm form, const char *text);
const char *ash_workload_form_expected(AshWorkloadForm form);
const AshPattern *ash_workload_form_pattern(AshWorkloadForm form); /* static */
bool ash_workload_parse_size(const char *text, uint64_t *out_bytes);
bool ash_workload_parse_cpu(const char *text, uint32_t *out_milli);
char *ash_workload_format_duration(uint32_t ms);
/* "0::1" is "::1"; NULL when it is not an address. */
char *ash_workload_normal_address(const char *text);
/* "10.0.0.1", "2001:db8::/32": an address, or a network of which all other bits are zero. */
bool ash_workload_is_network(const char *text);

/* "FILE:LINE:COLUMN: …" in ASH_WORKLOAD_ERROR; returns FALSE. */
gboolean ash_workload_throw(const AshYamlNode *node, GError **error, const char *format, ...)
		G_GNUC_PRINTF(3, 4);

/* Texts of one key each, in workload-item.c. */
gboolean ash_workload_parse_image(
		const AshYamlNode *node, AshWorkloadImage *out_image, GError **error);
gpointer ash_workload_make_port(const AshYamlNode *node, GError **error);
gpointer ash_workload_make_egress(const AshYamlNode *node, GError **error);

void ash_workload_port_free(gpointer port);
void ash_workload_egress_free(gpointer egress);
void ash_workload_parameter_free(gpointer parameter);
void ash_workload_service_free(gpointer service);
void ash_workload_volume_free(gpointer volume);
void ash_workload_secret_free(gpointer secret);

/* The names of Linux's system calls, sorted; NULL-terminated. */
extern const char *const ash_workload_calls[];
bool ash_workload_is_call(const char *name);

/* What no key decides alone: combinations that cannot be had, or must not. @root: for positions. */
gboolean ash_workload_judge(const AshYamlNode *root, const AshWorkload *workload, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_workload_judge_network(const AshYamlNode *root, const AshWorkload *workload,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_workload_judge_paths(const AshYamlNode *root, const AshWorkload *workload,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The value that a parameter would have: checked, NULL when it is right, else what is expected. */
char *ash_workload_parameter_expected(const AshWorkloadParameter *parameter, const char *value);
/* The first ${NAME} of @text that is not declared or not well-formed; NULL when there is none. */
char *ash_workload_unknown_name(const AshWorkload *workload, const char *text);
