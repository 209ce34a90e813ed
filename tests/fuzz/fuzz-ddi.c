/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fleet/ddi.h"
#include "lib/json.h"

/* What devices say by hawkBit's DDI: feedback, and attributes onto those that are there. */

static JsonObject *parse(const char *text, JsonNode **out_root)
{
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));

	if (!ash_json_parse(bytes, 64 << 10, 16, out_root, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(*out_root))
		return NULL;
	return json_node_get_object(*out_root);
}

static void try_feedback(JsonObject *body)
{
	AshDdiFeedback feedback = {0};

	if (!ash_ddi_feedback_parse(body, &feedback, NULL))
		return;
	g_assert_nonnull(feedback.execution);
	g_assert_nonnull(feedback.finished);
	for (char **message = feedback.messages; message && *message; message++) {
		g_assert_cmpuint(strlen(*message), <=, ASH_DDI_MAX_MESSAGE_BYTES);
		g_assert_true(g_utf8_validate(*message, -1, NULL));
	}
	g_assert_true(!feedback.messages ||
			g_strv_length(feedback.messages) <= ASH_DDI_MAX_MESSAGES);
	g_strfreev(feedback.messages);
}

/* Said twice it is the same, and what is kept can be read. */
static void try_attributes(JsonObject *body)
{
	g_autofree char *once = NULL, *twice = NULL;
	g_autoptr(JsonNode) kept = NULL;

	if (!ash_ddi_merge_attributes("{\"a\":\"1\",\"serial\":\"9\"}", body, &once, NULL))
		return;
	g_assert_true(ash_ddi_merge_attributes(once, body, &twice, NULL));
	g_assert_cmpstr(once, ==, twice);
	JsonObject *object = parse(once, &kept);
	g_assert_nonnull(object);
	g_assert_cmpuint(json_object_get_size(object), <=, ASH_DDI_MAX_ATTRIBUTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *) data, size);
	g_autoptr(JsonNode) root = NULL;
	JsonObject *body = parse(text, &root);

	(void) ash_ddi_is_id(text);
	if (body == NULL)
		return 0;
	try_feedback(body);
	try_attributes(body);
	return 0;
}
