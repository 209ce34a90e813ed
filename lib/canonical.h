/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

/* JSON that has one form only, so that it can be signed: OLPC canonical JSON, as TUF uses it. Members
 * sorted by their bytes, no blanks, strings with only '"' and '\' escaped, integers only.
 */

/* A number with a fraction or exponent is G_IO_ERROR_INVALID_DATA. No newline at the end. */
gboolean ash_canonical_json(JsonNode *node, char **out_text, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
