/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/fleet-member.h"

/* Whatever a server says: it is refused, or what comes of it can be written and read again, to the same text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *json = g_strndup((const char *) data, size);
	g_autoptr(AshFleetAnswer) answer = NULL;
	g_autoptr(AshFleetMember) member = ash_fleet_member_new();
	g_autoptr(AshFleetMember) again = NULL;
	g_autoptr(GPtrArray) orders = NULL;
	bool has_news = false;

	ash_fleet_member_set_fleet(member, "https://fleet.example", "a.b");
	if (!ash_fleet_answer_parse(json, &answer, NULL))
		return 0;
	ash_fleet_member_take(member, answer, 1, 1000, &orders, &has_news);
	g_autofree char *text = ash_fleet_member_format(member, true);
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	g_assert_true(ash_fleet_member_parse(bytes, &again, NULL));
	g_autofree char *same = ash_fleet_member_format(again, true);
	g_assert_cmpstr(text, ==, same);
	return 0;
}
