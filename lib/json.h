/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Members of the object that is open in a JsonBuilder, one statement each. */

/* NULL and "" are left out. */
void ash_json_add_text(JsonBuilder *builder, const char *key, const char *value);
/* There always: "" is a value, and NULL is "". */
void ash_json_add_string(JsonBuilder *builder, const char *key, const char *value);
void ash_json_add_uint(JsonBuilder *builder, const char *key, uint64_t value);
void ash_json_add_int(JsonBuilder *builder, const char *key, int64_t value);
void ash_json_add_bool(JsonBuilder *builder, const char *key, bool value);

/* An array of strings. */
void ash_json_add_texts(JsonBuilder *builder, const char *key, char *const *values);

/* Until json_builder_end_array, json_builder_end_object. */
void ash_json_begin_array(JsonBuilder *builder, const char *key);
void ash_json_begin_object(JsonBuilder *builder, const char *key);

/* The whole document, with a newline at its end. */
char *ash_json_format(JsonBuilder *builder, bool is_pretty);

/* ---- reading ---- */

#define ASH_JSON_ERROR (ash_json_error_quark())
GQuark ash_json_error_quark(void);

typedef enum {
	ASH_JSON_ERROR_SYNTAX,
	ASH_JSON_ERROR_TYPE, /* a member is missing, of another type, or out of range */
	ASH_JSON_ERROR_LIMIT,
} AshJsonError;

enum {
	ASH_JSON_MAX_VALUES = 1 << 19, /* in one document: each costs about 100 bytes of memory */
};

/* ash_json_parse: @text of at most @max_bytes and nested at most @max_depth deep, UTF-8, one value;
 * RFC 8259 and nothing
 * beside it; an object that names a member twice is refused, so are integers beyond 64 bits and NUL. Messages say the line, never quote the input whole.
 */
gboolean ash_json_parse(GBytes *text, size_t max_bytes, unsigned max_depth, JsonNode **out_node,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Members of @object; a missing one is ASH_JSON_ERROR_TYPE ("'version' is missing"), unless the
 * function is named _opt: then the output is left as it is. Strings hold no NUL.
 */
gboolean ash_json_text(JsonObject *object, const char *key, const char **out_value, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_json_text_opt(JsonObject *object, const char *key, const char **out_value,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_json_uint(JsonObject *object, const char *key, uint64_t max, uint64_t *out_value,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_json_uint_opt(JsonObject *object, const char *key, uint64_t max, uint64_t *out_value,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_json_int_opt(JsonObject *object, const char *key, int64_t *out_value, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_json_bool_opt(JsonObject *object, const char *key, bool *out_value, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_json_object(JsonObject *object, const char *key, JsonObject **out_value,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_json_array(JsonObject *object, const char *key, JsonArray **out_value, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* A list of texts, to be freed; a missing one of _opt is empty. */
gboolean ash_json_text_list(JsonObject *object, const char *key, char ***out_values, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_json_text_list_opt(JsonObject *object, const char *key, char ***out_values,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Questions, for answers that may say less, or more, than this program knows: what is missing or of
 * another type is NULL, false, 0. @object may be NULL. What is returned is borrowed from it.
 */
const char *ash_json_find_text(JsonObject *object, const char *key);
bool ash_json_find_bool(JsonObject *object, const char *key);
uint64_t ash_json_find_uint(JsonObject *object, const char *key);
JsonObject *ash_json_find_object(JsonObject *object, const char *key);
/* Not empty, and nothing but objects; NULL too when it is otherwise. */
JsonArray *ash_json_find_objects(JsonObject *object, const char *key);
