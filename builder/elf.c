/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/elf.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_elf_error, ash_elf_error)

/* The file, and how its numbers are stored. */
typedef struct {
	const uint8_t *data;
	size_t size;
	bool is_64;
	bool is_big;
} Image;

/* A segment, whatever the class. */
typedef struct {
	uint32_t type;
	uint64_t offset;
	uint64_t address;
	uint64_t file_bytes;
} Segment;

/* What the dynamic section says; 0 where it is silent. */
typedef struct {
	uint64_t strings_address;
	uint64_t strings_bytes;
	uint64_t soname;
	uint64_t rpath;
	uint64_t runpath;
	bool has_soname;
	bool has_rpath;
	bool has_runpath;
	GArray *needed; /* uint64_t */
} Dynamic;

void ash_elf_free(AshElf *elf)
{
	if (elf == NULL)
		return;
	g_free(elf->interp);
	g_free(elf->soname);
	g_free(elf->runpath);
	g_clear_pointer(&elf->needed, g_ptr_array_unref);
	g_free(elf);
}

static gboolean corrupt(GError **error, const char *what)
{
	return ash_throw(error, ASH_ELF_ERROR, ASH_ELF_ERROR_CORRUPT,
			"%s lies outside of the ELF file", what);
}

static bool is_inside(const Image *image, uint64_t offset, uint64_t size)
{
	return offset <= image->size && size <= image->size - offset;
}

/* A number of @size bytes at @offset, which is_inside() has allowed. */
static uint64_t number_at(const Image *image, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++) {
		unsigned at = image->is_big ? i : size - 1 - i;
		value = value << 8 | image->data[offset + at];
	}
	return value;
}

/* A field of both classes' structures, read relative to @base. */
#define FIELD(image, base, type, field)                                                            \
	((image)->is_64 ? number_at((image), (base) + offsetof(Elf64_##type, field),               \
					  sizeof(((Elf64_##type *) NULL)->field))                  \
			: number_at((image), (base) + offsetof(Elf32_##type, field),               \
					  sizeof(((Elf32_##type *) NULL)->field)))

#define STRUCT_BYTES(image, type) ((image)->is_64 ? sizeof(Elf64_##type) : sizeof(Elf32_##type))

static gboolean open_image(GBytes *bytes, Image *out_image, GError **error)
{
	Image image = {0};

	image.data = g_bytes_get_data(bytes, &image.size);
	if (image.size < EI_NIDENT || memcmp(image.data, ELFMAG, SELFMAG) != 0 ||
			(image.data[EI_CLASS] != ELFCLASS32 &&
					image.data[EI_CLASS] != ELFCLASS64) ||
			(image.data[EI_DATA] != ELFDATA2LSB && image.data[EI_DATA] != ELFDATA2MSB))
		return ash_throw(error, ASH_ELF_ERROR, ASH_ELF_ERROR_NOT_ELF, "not an ELF file");
	image.is_64 = image.data[EI_CLASS] == ELFCLASS64;
	image.is_big = image.data[EI_DATA] == ELFDATA2MSB;
	if (image.size < STRUCT_BYTES(&image, Ehdr))
		return ash_throw(error, ASH_ELF_ERROR, ASH_ELF_ERROR_NOT_ELF,
				"an ELF file that ends in its header");
	*out_image = image;
	return TRUE;
}

static gboolean read_segments(const Image *image, GArray *segments, GError **error)
{
	uint64_t offset = FIELD(image, 0, Ehdr, e_phoff);
	uint64_t entry_bytes = FIELD(image, 0, Ehdr, e_phentsize);
	uint64_t n = FIELD(image, 0, Ehdr, e_phnum);

	if (n > ASH_ELF_MAX_SEGMENTS)
		return ash_throw(error, ASH_ELF_ERROR, ASH_ELF_ERROR_TOO_MANY,
				"more than %d segments", ASH_ELF_MAX_SEGMENTS);
	if (n > 0 && entry_bytes < STRUCT_BYTES(image, Phdr))
		return corrupt(error, "a program header");
	if (!is_inside(image, offset, n * entry_bytes))
		return corrupt(error, "the table of program headers");
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = offset + i * entry_bytes;
		Segment segment = {
				.type = (uint32_t) FIELD(image, at, Phdr, p_type),
				.offset = FIELD(image, at, Phdr, p_offset),
				.address = FIELD(image, at, Phdr, p_vaddr),
				.file_bytes = FIELD(image, at, Phdr, p_filesz),
		};
		g_array_append_val(segments, segment);
	}
	return TRUE;
}

static const Segment *find_segment(const GArray *segments, uint32_t type)
{
	for (guint i = 0; i < segments->len; i++)
		if (g_array_index(segments, Segment, i).type == type)
			return &g_array_index(segments, Segment, i);
	return NULL;
}

/* The string at @offset, ended by NUL before @end. */
static gboolean read_string(const Image *image, uint64_t offset, uint64_t end, const char *what,
		char **out_text, GError **error)
{
	if (offset >= end || !is_inside(image, offset, end - offset))
		return corrupt(error, what);
	const uint8_t *start = image->data + offset;
	const uint8_t *nul = memchr(start, '\0', (size_t) (end - offset));
	if (nul == NULL)
		return corrupt(error, what);
	*out_text = g_strdup((const char *) start);
	return TRUE;
}

static gboolean read_dynamic(
		const Image *image, const Segment *segment, Dynamic *dynamic, GError **error)
{
	uint64_t entry_bytes = STRUCT_BYTES(image, Dyn);
	uint64_t n = segment->file_bytes / entry_bytes;

	if (!is_inside(image, segment->offset, segment->file_bytes))
		return corrupt(error, "the dynamic section");
	if (n > ASH_ELF_MAX_DYNAMIC)
		return ash_throw(error, ASH_ELF_ERROR, ASH_ELF_ERROR_TOO_MANY,
				"more than %d dynamic entries", ASH_ELF_MAX_DYNAMIC);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = segment->offset + i * entry_bytes;
		uint64_t tag = FIELD(image, at, Dyn, d_tag);
		uint64_t value = FIELD(image, at, Dyn, d_un.d_val);
		if (tag == DT_NULL)
			break;
		if (tag == DT_NEEDED)
			g_array_append_val(dynamic->needed, value);
		else if (tag == DT_STRTAB)
			dynamic->strings_address = value;
		else if (tag == DT_STRSZ)
			dynamic->strings_bytes = value;
		else if (tag == DT_SONAME) {
			dynamic->soname = value;
			dynamic->has_soname = true;
		} else if (tag == DT_RPATH) {
			dynamic->rpath = value;
			dynamic->has_rpath = true;
		} else if (tag == DT_RUNPATH) {
			dynamic->runpath = value;
			dynamic->has_runpath = true;
		}
	}
	if (dynamic->needed->len > ASH_ELF_MAX_NEEDED)
		return ash_throw(error, ASH_ELF_ERROR, ASH_ELF_ERROR_TOO_MANY,
				"more than %d needed libraries", ASH_ELF_MAX_NEEDED);
	return TRUE;
}

/* The string table is named by its address in memory; the segment that is loaded there has it. */
static gboolean find_strings(const Image *image, const GArray *segments, const Dynamic *dynamic,
		uint64_t *out_start, uint64_t *out_end, GError **error)
{
	for (guint i = 0; i < segments->len; i++) {
		const Segment *segment = &g_array_index(segments, Segment, i);
		if (segment->type != PT_LOAD || dynamic->strings_address < segment->address)
			continue;
		uint64_t into = dynamic->strings_address - segment->address;
		if (into >= segment->file_bytes ||
				dynamic->strings_bytes > segment->file_bytes - into ||
				!is_inside(image, segment->offset, segment->file_bytes))
			continue;
		*out_start = segment->offset + into;
		*out_end = *out_start + dynamic->strings_bytes;
		return TRUE;
	}
	return corrupt(error, "the dynamic string table");
}

/* @offset comes from the file: adding it to @start may wrap. */
static gboolean read_dynamic_string(const Image *image, uint64_t start, uint64_t end,
		uint64_t offset, const char *what, char **out_text, GError **error)
{
	if (offset >= end - start)
		return corrupt(error, what);
	return read_string(image, start + offset, end, what, out_text, error);
}

static gboolean read_names(const Image *image, const GArray *segments, const Dynamic *dynamic,
		AshElf *elf, GError **error)
{
	uint64_t start = 0;
	uint64_t end = 0;

	if (dynamic->needed->len == 0 && !dynamic->has_soname && !dynamic->has_rpath &&
			!dynamic->has_runpath)
		return TRUE;
	if (!find_strings(image, segments, dynamic, &start, &end, error))
		return FALSE;
	for (guint i = 0; i < dynamic->needed->len; i++) {
		char *name = NULL;
		if (!read_dynamic_string(image, start, end,
				    g_array_index(dynamic->needed, uint64_t, i),
				    "the name of a library", &name, error))
			return FALSE;
		g_ptr_array_add(elf->needed, name);
	}
	if (dynamic->has_soname && !read_dynamic_string(image, start, end, dynamic->soname,
						   "the soname", &elf->soname, error))
		return FALSE;
	/* As the dynamic linker: RUNPATH makes it forget RPATH. */
	if (dynamic->has_runpath || dynamic->has_rpath)
		return read_dynamic_string(image, start, end,
				dynamic->has_runpath ? dynamic->runpath : dynamic->rpath,
				"the library path", &elf->runpath, error);
	return TRUE;
}

gboolean ash_elf_parse(GBytes *bytes, AshElf **out_elf, GError **error)
{
	Image image;

	if (!open_image(bytes, &image, error))
		return FALSE;
	g_autoptr(GArray) segments = g_array_new(FALSE, FALSE, sizeof(Segment));
	if (!read_segments(&image, segments, error))
		return FALSE;

	g_autoptr(AshElf) elf = g_new0(AshElf, 1);
	elf->class = image.data[EI_CLASS];
	elf->machine = (uint16_t) FIELD(&image, 0, Ehdr, e_machine);
	elf->needed = g_ptr_array_new_with_free_func(g_free);
	const Segment *segment = find_segment(segments, PT_INTERP);
	if (segment != NULL) {
		if (!is_inside(&image, segment->offset, segment->file_bytes))
			return corrupt(error, "the interpreter");
		if (!read_string(&image, segment->offset, segment->offset + segment->file_bytes,
				    "the interpreter", &elf->interp, error))
			return FALSE;
	}
	segment = find_segment(segments, PT_DYNAMIC);
	if (segment != NULL) {
		g_autoptr(GArray) needed = g_array_new(FALSE, FALSE, sizeof(uint64_t));
		Dynamic dynamic = {.needed = needed};
		if (!read_dynamic(&image, segment, &dynamic, error) ||
				!read_names(&image, segments, &dynamic, elf, error))
			return FALSE;
	}
	*out_elf = g_steal_pointer(&elf);
	return TRUE;
}
