/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <string.h>

#include "agent/workload/qemu-private.h"
#include "lib/error.h"

/* Sources: Linux's Documentation/arch/x86/boot.rst; The Multiboot Specification 0.6.96, 3.1; Xen's
 * public/elfnote.h and public/arch-x86/hvm/start_info.h; QEMU's hw/i386/x86-common.c for the order.
 */

enum {
	LINUX_MAGIC_OFFSET = 0x202,
	LINUX_MAGIC = 0x53726448, /* "HdrS" */
	MULTIBOOT_MAGIC = 0x1badb002,
	MULTIBOOT_HAS_ADDRESSES = 1 << 16,
	MULTIBOOT_SEARCH_BYTES = 8192,
	NOTE_PHYS32_ENTRY = 18,
	NOTE_HEADER_BYTES = 12,
};

typedef struct {
	const uint8_t *data;
	size_t size;
} Bytes;

/* Little-endian; 0 behind the end. */
static uint64_t number(const Bytes *bytes, uint64_t offset, unsigned width)
{
	uint64_t value = 0;

	if (offset > bytes->size || width > bytes->size - offset)
		return 0;
	for (unsigned i = width; i-- > 0;)
		value = value << 8 | bytes->data[offset + i];
	return value;
}

static bool is_elf(const Bytes *bytes)
{
	return bytes->size > EI_DATA && memcmp(bytes->data, ELFMAG, SELFMAG) == 0 &&
	       bytes->data[EI_DATA] == ELFDATA2LSB;
}

static bool is_linux(const Bytes *bytes)
{
	return number(bytes, LINUX_MAGIC_OFFSET, 4) == LINUX_MAGIC;
}

/* @out_flags: of its header. */
static bool is_multiboot(const Bytes *bytes, uint32_t *out_flags)
{
	size_t end = MIN(bytes->size, MULTIBOOT_SEARCH_BYTES);

	for (size_t at = 0; at + 12 <= end; at += 4) {
		uint32_t magic = (uint32_t) number(bytes, at, 4);
		uint32_t flags = (uint32_t) number(bytes, at + 4, 4);
		uint32_t sum = (uint32_t) number(bytes, at + 8, 4);
		if (magic == MULTIBOOT_MAGIC && (uint32_t) (magic + flags + sum) == 0) {
			*out_flags = flags;
			return true;
		}
	}
	return false;
}

/* The notes of one segment: three numbers, name and value, each up to the next multiple of @align. */
static bool has_pvh_note(const Bytes *notes, uint64_t align)
{
	for (uint64_t at = 0; at + NOTE_HEADER_BYTES <= notes->size;) {
		uint64_t name_bytes = number(notes, at, 4), value_bytes = number(notes, at + 4, 4);
		uint64_t name = at + NOTE_HEADER_BYTES;
		uint64_t value = (name + name_bytes + align - 1) / align * align;
		if (value > notes->size || value_bytes > notes->size - value)
			return false;
		if (number(notes, at + 8, 4) == NOTE_PHYS32_ENTRY && name_bytes == 4 &&
				memcmp(notes->data + name, "Xen", 4) == 0)
			return value_bytes >= 4;
		at = (value + value_bytes + align - 1) / align * align;
	}
	return false;
}

static bool is_pvh(const Bytes *bytes)
{
	if (!is_elf(bytes))
		return false;
	bool is_64 = bytes->data[EI_CLASS] == ELFCLASS64;
	uint64_t table = is_64 ? number(bytes, 32, 8) : number(bytes, 28, 4);
	uint64_t entry = number(bytes, is_64 ? 54 : 42, 2);
	uint64_t count = number(bytes, is_64 ? 56 : 44, 2);

	if (entry < (is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) || table > bytes->size)
		return false;
	for (uint64_t i = 0; i < count && table + (i + 1) * entry <= bytes->size; i++) {
		uint64_t at = table + i * entry;
		uint64_t offset = is_64 ? number(bytes, at + 8, 8) : number(bytes, at + 4, 4);
		uint64_t size = is_64 ? number(bytes, at + 32, 8) : number(bytes, at + 16, 4);
		uint64_t align = is_64 ? number(bytes, at + 48, 8) : number(bytes, at + 28, 4);
		if (number(bytes, at, 4) != PT_NOTE || offset > bytes->size ||
				size > bytes->size - offset)
			continue;
		const Bytes notes = {bytes->data + offset, (size_t) size};
		if (has_pvh_note(&notes, align == 8 ? 8 : 4))
			return true;
	}
	return false;
}

static const struct {
	const char *name, *what;
} contracts[] = {
		[ASH_MACHINE_HOST_KERNEL] = {"", "no kernel that is known"},
		[ASH_MACHINE_LINUX] = {"linux", "a Linux kernel (bzImage)"},
		[ASH_MACHINE_PVH] = {"pvh",
				"an ELF file with the note of PVH (XEN_ELFNOTE_PHYS32_ENTRY)"},
		[ASH_MACHINE_MULTIBOOT] = {"multiboot", "a file with the header of multiboot 1"},
};

/* What QEMU takes it for; ASH_MACHINE_HOST_KERNEL: nothing. */
static AshMachineContract find(const Bytes *bytes, uint32_t *out_flags)
{
	if (is_linux(bytes))
		return ASH_MACHINE_LINUX;
	if (is_multiboot(bytes, out_flags))
		return ASH_MACHINE_MULTIBOOT;
	return is_pvh(bytes) ? ASH_MACHINE_PVH : ASH_MACHINE_HOST_KERNEL;
}

gboolean ash_qemu_kernel_check(
		AshMachineContract contract, const char *path, GBytes *kernel, GError **error)
{
	Bytes bytes;
	uint32_t flags = 0;

	bytes.data = g_bytes_get_data(kernel, &bytes.size);
	AshMachineContract found = find(&bytes, &flags);
	if (found != contract)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_IMAGE,
				"%s of the image is %s%s%s; the contract '%s' starts %s", path,
				contracts[found].what, *contracts[found].name ? ", contract " : "",
				contracts[found].name, contracts[contract].name,
				contracts[contract].what);
	if (contract == ASH_MACHINE_MULTIBOOT && (flags & MULTIBOOT_HAS_ADDRESSES) == 0 &&
			(!is_elf(&bytes) || bytes.data[EI_CLASS] != ELFCLASS32))
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_IMAGE,
				"%s of the image has the header of multiboot, and is no 32-bit ELF file, nor are its addresses in the header",
				path);
	return TRUE;
}
