/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "fleet/checkin.h"

/* The body of a check-in; what parses is taken into a host. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) body = g_bytes_new(data, size);
	g_autoptr(AshCheckin) checkin = NULL;

	if (!ash_checkin_parse(body, &checkin, NULL))
		return 0;
	g_auto(AshHost) host = {0};
	ash_host_init(&host);
	ash_checkin_judge(&host, checkin->seq, checkin->instance, checkin->boot);
	ash_checkin_take_in(&host, checkin, 1);
	g_assert(host.seq == checkin->seq);
	return 0;
}
