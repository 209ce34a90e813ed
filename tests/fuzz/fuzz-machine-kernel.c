/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "agent/workload/qemu-private.h"

/* A kernel of an image: of one contract at most. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) kernel = g_bytes_new_static(data, size);
	unsigned n = 0;

	for (AshMachineContract c = ASH_MACHINE_LINUX; c <= ASH_MACHINE_MULTIBOOT; c++) {
		g_autoptr(GError) error = NULL;
		if (ash_qemu_kernel_check(c, "/k", kernel, &error))
			n++;
		else
			g_assert_error(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_IMAGE);
	}
	g_assert_cmpuint(n, <=, 1);
	return 0;
}
