/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/workload/broker.h"
#include "agent/workload/call-frame.h"
#include "agent/workload/call-policy.h"

/* What a workload sends to the broker, and what its owner writes; the first byte says which. */

static void frames(const uint8_t *data, size_t size)
{
	const char *service, *argument, *target;

	for (AshCallFrame frame; ash_call_frame_take(data, size, &frame) == ASH_CALL_FRAME_WHOLE;) {
		(void) !ash_call_frame_read_call(&frame, &service, &argument, &target);
		data += ASH_CALL_FRAME_HEADER_BYTES + frame.size;
		size -= ASH_CALL_FRAME_HEADER_BYTES + frame.size;
	}
}

static void policy(const uint8_t *data, size_t size)
{
	g_autoptr(GPtrArray) rules = ash_call_policy_new();
	g_autofree char *text = g_strndup((const char *) data, size);
	const AshCallQuestion question = {"sign.Text", "a", "web", ""};
	const AshCallRule *rule;
	const char *found;

	if (ash_call_policy_parse("p", text, rules, NULL) &&
			ash_call_policy_decide(rules, &question, &found, &rule) != ASH_CALL_DENY)
		g_assert(found && found[0] != '\0');
}

static void table(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(GPtrArray) instances = NULL;

	(void) !ash_broker_table_parse(bytes, &instances, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		frames(data + 1, size - 1);
		break;
	case 1:
		policy(data + 1, size - 1);
		break;
	default:
		table(data + 1, size - 1);
	}
	return 0;
}
