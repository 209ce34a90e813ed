/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Members of the object that is open in a JsonBuilder, one statement each. */

/* NULL and "" are left out. */
void ash_json_add_text(JsonBuilder *builder, const char *key, const char *value);
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
