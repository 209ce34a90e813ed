/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/workload/qemu-private.h"
#include "lib/json.h"

/* Source: QEMU's docs/interop/qmp-spec.rst and its event SHUTDOWN. */

enum {
	MAX_LINE_BYTES = 64 << 10,
	MAX_DEPTH = 8,
};

static bool says_reset(const char *line, size_t size)
{
	g_autoptr(GBytes) text = g_bytes_new(line, size);
	g_autoptr(JsonNode) node = NULL;
	JsonObject *data = NULL;

	if (!ash_json_parse(text, MAX_LINE_BYTES, MAX_DEPTH, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node))
		return false;
	JsonObject *object = json_node_get_object(node);
	return g_strcmp0(ash_json_find_text(object, "event"), "SHUTDOWN") == 0 &&
	       ash_json_object(object, "data", &data, NULL) &&
	       g_strcmp0(ash_json_find_text(data, "reason"), "guest-reset") == 0;
}

bool ash_qemu_event_take(GString *lines, const char *data, size_t size)
{
	bool was_reset = false;

	g_string_append_len(lines, data, (gssize) size);
	for (char *end; (end = memchr(lines->str, '\n', lines->len));) {
		was_reset |= says_reset(lines->str, (size_t) (end - lines->str));
		g_string_erase(lines, 0, end - lines->str + 1);
	}
	if (lines->len > MAX_LINE_BYTES)
		g_string_truncate(lines, 0);
	return was_reset;
}
