/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/boot-kernel.h"

#include <stdbool.h>
#include <string.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_boot_kernel_error, ash_boot_kernel_error)

/* Microsoft PE/COFF Specification: MS-DOS stub, signature, COFF header, optional header, sections. */
enum {
	AT_PE = 0x3c, /* where the signature is */
	SIGNATURE_BYTES = 4,
	COFF_BYTES = 20, /* Machine, NumberOfSections at 2, SizeOfOptionalHeader at 16 */
	OPTIONAL_MIN_BYTES = 70,
	AT_SUBSYSTEM = 68,
	SECTION_BYTES = 40, /* SizeOfRawData at 16, PointerToRawData at 20 */
	SUBSYSTEM_EFI_APPLICATION = 10,
#if defined(__x86_64__)
	MACHINE = 0x8664,
#elif defined(__aarch64__)
	MACHINE = 0xaa64,
#else
#error "which machine is this?"
#endif
};

static unsigned get16(const guint8 *at)
{
	return at[0] | (unsigned) at[1] << 8;
}

static uint32_t get32(const guint8 *at)
{
	return get16(at) | (uint32_t) get16(at + 2) << 16;
}

static gboolean throw_format(GError **error, const char *why)
{
	return ash_throw(error, ASH_BOOT_KERNEL_ERROR, ASH_BOOT_KERNEL_ERROR_FORMAT,
			"no kernel that the firmware would start: %s", why);
}

/* Is each section's data in the file? */
static bool is_whole(const guint8 *sections, unsigned n, uint64_t file_bytes)
{
	for (unsigned i = 0; i < n; i++) {
		const guint8 *section = sections + (gsize) i * SECTION_BYTES;
		if ((uint64_t) get32(section + 16) + get32(section + 20) > file_bytes)
			return false;
	}
	return true;
}

gboolean ash_boot_kernel_check(const guint8 *head, gsize size, uint64_t file_bytes, GError **error)
{
	if (size < AT_PE + 4 || memcmp(head, "MZ", 2) != 0)
		return throw_format(error, "it is no EFI program");
	gsize at = get32(head + AT_PE);
	if (at > size || size - at < SIGNATURE_BYTES + COFF_BYTES + OPTIONAL_MIN_BYTES ||
			memcmp(head + at, "PE\0", SIGNATURE_BYTES) != 0)
		return throw_format(error, "it is no EFI program");
	const guint8 *coff = head + at + SIGNATURE_BYTES;
	unsigned sections = get16(coff + 2);
	gsize optional_bytes = get16(coff + 16);
	at += SIGNATURE_BYTES + COFF_BYTES;
	if (get16(coff) != MACHINE)
		return throw_format(error, "it is for another processor");
	if (optional_bytes < OPTIONAL_MIN_BYTES ||
			get16(head + at + AT_SUBSYSTEM) != SUBSYSTEM_EFI_APPLICATION)
		return throw_format(error, "it is no EFI application");
	if (sections == 0 || size - at < optional_bytes + (gsize) sections * SECTION_BYTES)
		return throw_format(error, "its header is cut off");
	if (!is_whole(head + at + optional_bytes, sections, file_bytes))
		return throw_format(error, "it is cut off");
	return TRUE;
}
