/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "agent/workload/names.h"

/* What workloads ask, and what resolvers answer. The first byte says who asks, and how the input is split. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static AshNet *net;
static AshNetPlan *plan;

static void make_plan(void)
{
	static const char document[] =
			"{\"instances\":[{\"instance\":\"a\",\"mode\":\"natnet\"},"
			"{\"instance\":\"b\",\"mode\":\"natnet\",\"egress\":[{\"target\":\"*\"}]},"
			"{\"instance\":\"c\",\"mode\":\"nat\","
			"\"egress\":[{\"target\":\"example.org\"}]}]}";
	static const uint32_t addresses[] = {0x0ad50002, 0x0ad50003, 0x0ad50004};
	g_autoptr(GBytes) text = g_bytes_new_static(document, sizeof document - 1);
	g_autoptr(AshNetSettings) settings = NULL;

	g_assert_true(ash_net_parse(text, &net, NULL));
	g_assert_true(ash_net_settings_parse("-", NULL, &settings, NULL));
	g_assert_true(ash_net_plan_new(net, settings, addresses, "", &plan, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AshNamesQuestion question;
	AshNamesAnswer answer;

	if (plan == NULL)
		make_plan();
	if (size < 3)
		return 0;
	const AshNetWire *client =
			data[0] % 4 == 3 ? NULL : g_ptr_array_index(plan->wires, data[0] % 4);
	size_t split = MIN((size_t) data[1] << 8 | data[2], size - 3);
	ash_names_ask(plan, client, data + 3, split, &question);
	if (question.verdict != ASH_NAMES_IGNORE)
		g_assert_nonnull(question.packet);
	if (question.verdict == ASH_NAMES_FORWARD) {
		g_autofree uint8_t *reply = g_memdup2(data + 3 + split, size - 3 - split);
		/* As the resolver that was asked would do. */
		if (size - 3 - split >= 2) {
			reply[0] = (uint8_t) (question.forward_id >> 8);
			reply[1] = (uint8_t) question.forward_id;
		}
		if (reply && ash_names_answer(plan, &question, reply, size - 3 - split, &answer)) {
			for (unsigned i = 0; i < answer.count; i++)
				g_assert_true(ash_names_is_allowed(plan, answer.addresses[i]));
			g_bytes_unref(answer.packet);
		}
	}
	ash_names_question_clear(&question);
	return 0;
}
