/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/boot-kernel.h"

#include <string.h>

enum {
	PE = 0x40,
	OPTIONAL = PE + 24,
	SECTION = OPTIONAL + 112,
	HEAD_BYTES = SECTION + 40,
	FILE_BYTES = 4096,
};

static void put16(guint8 *head, gsize at, unsigned value)
{
	head[at] = (guint8) value;
	head[at + 1] = (guint8) (value >> 8);
}

/* As a kernel begins: one section, up to the end of the file. */
static void make(guint8 *head)
{
	memset(head, 0, HEAD_BYTES);
	memcpy(head, "MZ", 2);
	put16(head, 0x3c, PE);
	memcpy(head + PE, "PE", 2);
#ifdef __aarch64__
	put16(head, PE + 4, 0xaa64);
#else
	put16(head, PE + 4, 0x8664);
#endif
	put16(head, PE + 6, 1);
	put16(head, PE + 20, 112);
	put16(head, OPTIONAL + 68, 10);
	put16(head, SECTION + 16, FILE_BYTES - 512);
	put16(head, SECTION + 20, 512);
}

static void check(const guint8 *head, gsize size, uint64_t file_bytes, const char *why)
{
	g_autoptr(GError) error = NULL;
	gboolean ok = ash_boot_kernel_check(head, size, file_bytes, &error);

	g_assert_true(ok == (why == NULL));
	if (why == NULL)
		return;
	g_assert_error(error, ASH_BOOT_KERNEL_ERROR, ASH_BOOT_KERNEL_ERROR_FORMAT);
	g_assert_nonnull(strstr(error->message, why));
}

static void test_header(void)
{
	guint8 head[HEAD_BYTES];

	make(head);
	check(head, sizeof head, FILE_BYTES, NULL);
	check((const guint8 *) "this is no kernel\n", 18, 18, "no EFI program");
	check(head, 0, 0, "no EFI program");
	put16(head, PE + 4, 0x14c);
	check(head, sizeof head, FILE_BYTES, "another processor");
	make(head);
	put16(head, OPTIONAL + 68, 3);
	check(head, sizeof head, FILE_BYTES, "no EFI application");
	make(head);
	put16(head, 0x3c + 2, 0xffff);
	check(head, sizeof head, FILE_BYTES, "no EFI program");
}

/* Whatever is missing at its end is noticed, wherever it was cut, and nothing is read behind it. */
static void test_cut_off(void)
{
	guint8 head[HEAD_BYTES];

	make(head);
	check(head, sizeof head, FILE_BYTES - 1, "it is cut off");
	for (gsize size = 0; size < HEAD_BYTES; size++) {
		g_autofree guint8 *part = g_memdup2(head, size);
		check(part, size, size, "no kernel that the firmware would start");
	}
	put16(head, PE + 6, 0xffff);
	check(head, sizeof head, FILE_BYTES, "its header is cut off");
	put16(head, PE + 6, 0);
	check(head, sizeof head, FILE_BYTES, "its header is cut off");
	make(head);
	/* Sizes that would wrap around. */
	memset(head + SECTION + 16, 0xff, 8);
	check(head, sizeof head, FILE_BYTES, "it is cut off");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/boot-kernel/header", test_header);
	g_test_add_func("/boot-kernel/cut-off", test_cut_off);
	return g_test_run();
}
