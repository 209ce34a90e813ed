/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/elf.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

/* A small ELF file of any class and byte order: header, three segments (interpreter, everything
 * loaded at BASE, dynamic section), strings.
 */
enum {
	BASE = 0x10000,
	PHDRS_AT = 64,
	DYNAMIC_AT = 256,
	STRINGS_AT = 512,
	INTERP_AT = 640,
	FILE_BYTES = 704,
};

typedef struct {
	uint8_t data[FILE_BYTES];
	bool is_64;
	bool is_big;
} File;

static void put(File *file, size_t at, size_t size, uint64_t value)
{
	for (size_t i = 0; i < size; i++)
		file->data[at + (file->is_big ? size - 1 - i : i)] = (uint8_t) (value >> (8 * i));
}

#define PUT(file, at, type, field, value)                                                          \
	do {                                                                                       \
		if ((file)->is_64)                                                                 \
			put(file, (at) + offsetof(Elf64_##type, field),                            \
					sizeof(((Elf64_##type *) NULL)->field), value);            \
		else                                                                               \
			put(file, (at) + offsetof(Elf32_##type, field),                            \
					sizeof(((Elf32_##type *) NULL)->field), value);            \
	} while (0)

static void put_segment(File *file, unsigned index, uint32_t type, uint64_t offset, uint64_t size)
{
	size_t at = PHDRS_AT + index * (file->is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));

	PUT(file, at, Phdr, p_type, type);
	PUT(file, at, Phdr, p_offset, offset);
	PUT(file, at, Phdr, p_vaddr, BASE + offset);
	PUT(file, at, Phdr, p_filesz, size);
}

static void put_dynamic(File *file, unsigned index, uint64_t tag, uint64_t value)
{
	size_t at = DYNAMIC_AT + index * (file->is_64 ? sizeof(Elf64_Dyn) : sizeof(Elf32_Dyn));

	PUT(file, at, Dyn, d_tag, tag);
	PUT(file, at, Dyn, d_un.d_val, value);
}

static void make(File *file, bool is_64, bool is_big)
{
	static const char strings[] = "\0liba.so.1\0libb.so.2\0/opt/lib:$ORIGIN\0/old\0me.so";

	memset(file, 0, sizeof *file);
	file->is_64 = is_64;
	file->is_big = is_big;
	memcpy(file->data, ELFMAG, SELFMAG);
	file->data[EI_CLASS] = is_64 ? ELFCLASS64 : ELFCLASS32;
	file->data[EI_DATA] = is_big ? ELFDATA2MSB : ELFDATA2LSB;
	PUT(file, 0, Ehdr, e_machine, EM_X86_64);
	PUT(file, 0, Ehdr, e_phoff, PHDRS_AT);
	PUT(file, 0, Ehdr, e_phentsize, is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));
	PUT(file, 0, Ehdr, e_phnum, 3);
	put_segment(file, 0, PT_INTERP, INTERP_AT, 12);
	put_segment(file, 1, PT_LOAD, 0, FILE_BYTES);
	put_segment(file, 2, PT_DYNAMIC, DYNAMIC_AT, 128);
	put_dynamic(file, 0, DT_NEEDED, 1);
	put_dynamic(file, 1, DT_NEEDED, 11);
	put_dynamic(file, 2, DT_RPATH, 38);
	put_dynamic(file, 3, DT_RUNPATH, 21);
	put_dynamic(file, 4, DT_SONAME, 43);
	put_dynamic(file, 5, DT_STRTAB, BASE + STRINGS_AT);
	put_dynamic(file, 6, DT_STRSZ, sizeof strings);
	memcpy(file->data + STRINGS_AT, strings, sizeof strings);
	memcpy(file->data + INTERP_AT, "/lib/ld.so.1", 12);
	file->data[INTERP_AT + 11] = '\0';
}

static gboolean parse(const void *data, size_t size, AshElf **out_elf, GError **error)
{
	/* A copy of just that size: a sanitizer sees each byte read behind its end. */
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	return ash_elf_parse(bytes, out_elf, error);
}

static void test_classes(void)
{
	for (unsigned i = 0; i < 4; i++) {
		File file;
		g_autoptr(AshElf) elf = NULL;
		g_autoptr(GError) error = NULL;

		make(&file, i & 1, i & 2);
		gboolean is_done = parse(file.data, sizeof file.data, &elf, &error);
		g_assert_no_error(error);
		g_assert_true(is_done);
		g_assert_cmpuint(elf->machine, ==, EM_X86_64);
		g_assert_cmpstr(elf->interp, ==, "/lib/ld.so.");
		g_assert_cmpuint(elf->needed->len, ==, 2);
		g_assert_cmpstr(g_ptr_array_index(elf->needed, 0), ==, "liba.so.1");
		g_assert_cmpstr(g_ptr_array_index(elf->needed, 1), ==, "libb.so.2");
		g_assert_cmpstr(elf->runpath, ==, "/opt/lib:$ORIGIN");
		g_assert_cmpstr(elf->soname, ==, "me.so");
	}
}

static void test_self(void)
{
	g_autoptr(AshElf) elf = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *data = NULL;
	gsize size = 0;

	g_assert_true(g_file_get_contents("/proc/self/exe", &data, &size, NULL));
	gboolean is_done = parse(data, size, &elf, &error);
	g_assert_no_error(error);
	g_assert_true(is_done);
	g_assert_nonnull(elf->interp);
	bool has_libc = false;
	for (guint i = 0; i < elf->needed->len; i++)
		has_libc = has_libc || strcmp(g_ptr_array_index(elf->needed, i), "libc.so.6") == 0;
	g_assert_true(has_libc);
}

static void assert_code(const File *file, int code)
{
	g_autoptr(AshElf) elf = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_false(parse(file->data, sizeof file->data, &elf, &error));
	g_assert_error(error, ASH_ELF_ERROR, code);
	g_assert_null(elf);
}

static void test_errors(void)
{
	File file;

	make(&file, true, false);
	file.data[1] = 'X';
	assert_code(&file, ASH_ELF_ERROR_NOT_ELF);
	make(&file, true, false);
	file.data[EI_CLASS] = 9;
	assert_code(&file, ASH_ELF_ERROR_NOT_ELF);
	make(&file, true, false);
	PUT(&file, 0, Ehdr, e_phoff, UINT64_MAX - 8);
	assert_code(&file, ASH_ELF_ERROR_CORRUPT);
	make(&file, true, false);
	PUT(&file, 0, Ehdr, e_phentsize, 1);
	assert_code(&file, ASH_ELF_ERROR_CORRUPT);
	make(&file, true, false);
	PUT(&file, 0, Ehdr, e_phnum, ASH_ELF_MAX_SEGMENTS + 1);
	assert_code(&file, ASH_ELF_ERROR_TOO_MANY);
	make(&file, true, false);
	put_dynamic(&file, 1, DT_NEEDED, UINT64_MAX - 3);
	assert_code(&file, ASH_ELF_ERROR_CORRUPT);
	make(&file, true, false);
	put_dynamic(&file, 5, DT_STRTAB, 1);
	assert_code(&file, ASH_ELF_ERROR_CORRUPT);
	make(&file, true, false);
	put_dynamic(&file, 6, DT_STRSZ, UINT64_MAX);
	assert_code(&file, ASH_ELF_ERROR_CORRUPT);
	make(&file, true, false);
	put_segment(&file, 0, PT_INTERP, FILE_BYTES, 8);
	assert_code(&file, ASH_ELF_ERROR_CORRUPT);
	make(&file, true, false);
	put_segment(&file, 2, PT_DYNAMIC, UINT64_MAX, 8);
	assert_code(&file, ASH_ELF_ERROR_CORRUPT);
}

static void test_too_many_needed(void)
{
	size_t dynamic_bytes = (ASH_ELF_MAX_DYNAMIC + 1) * sizeof(Elf64_Dyn);
	g_autofree uint8_t *data = g_malloc0(FILE_BYTES + dynamic_bytes);
	g_autoptr(AshElf) elf = NULL;
	g_autoptr(GError) error = NULL;
	File file;

	make(&file, true, false);
	put_segment(&file, 2, PT_DYNAMIC, FILE_BYTES, (ASH_ELF_MAX_NEEDED + 1) * sizeof(Elf64_Dyn));
	memcpy(data, file.data, FILE_BYTES);
	for (size_t i = 0; i <= ASH_ELF_MAX_NEEDED; i++)
		data[FILE_BYTES + i * sizeof(Elf64_Dyn)] = DT_NEEDED;
	g_assert_false(parse(data, FILE_BYTES + dynamic_bytes, &elf, &error));
	g_assert_error(error, ASH_ELF_ERROR, ASH_ELF_ERROR_TOO_MANY);
	g_clear_error(&error);

	put_segment(&file, 2, PT_DYNAMIC, FILE_BYTES, dynamic_bytes);
	memcpy(data, file.data, FILE_BYTES);
	g_assert_false(parse(data, FILE_BYTES + dynamic_bytes, &elf, &error));
	g_assert_error(error, ASH_ELF_ERROR, ASH_ELF_ERROR_TOO_MANY);
}

/* Cut off anywhere, and with each byte changed: an error or a result, never a read outside. */
static void test_damaged(void)
{
	for (unsigned kind = 0; kind < 4; kind++) {
		for (size_t i = 0; i < 2 * FILE_BYTES; i++) {
			g_autoptr(AshElf) elf = NULL;
			g_autoptr(GError) error = NULL;
			File file;

			make(&file, kind & 1, kind & 2);
			size_t size = i < FILE_BYTES ? i : FILE_BYTES;
			if (i >= FILE_BYTES)
				file.data[i - FILE_BYTES] ^= 0xff;
			if (!parse(file.data, size, &elf, &error))
				g_assert_nonnull(error);
		}
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/elf/classes", test_classes);
	g_test_add_func("/elf/self", test_self);
	g_test_add_func("/elf/errors", test_errors);
	g_test_add_func("/elf/too-many-needed", test_too_many_needed);
	g_test_add_func("/elf/damaged", test_damaged);
	return g_test_run();
}
