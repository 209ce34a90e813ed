/* SPDX-License-Identifier: Apache-2.0 */
/* The body that FleetLock's clients send: what is taken has an id and a group as the header says. */
#include "fleet/reboot-lock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autofree char *group = NULL, *id = NULL;
	g_autoptr(GError) error = NULL;

	if (ash_reboot_lock_parse(bytes, &group, &id, &error))
		g_assert(ash_reboot_lock_is_group(group) && ash_reboot_lock_is_id(id));
	else
		g_assert(error != NULL && group == NULL && id == NULL);
	return 0;
}
