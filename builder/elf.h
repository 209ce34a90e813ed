/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

/* What the dynamic linker needs to know of an ELF file: its interpreter, the libraries it asks for
 * and where it says to look for them. PURE: bytes in, values out; every offset of the file is checked
 * before it is followed, so the bytes may be anything.
 *
 * Reads 32 and 64 bit, little and big endian (gABI; <elf.h>).
 */

#define ASH_ELF_ERROR (ash_elf_error_quark())
GQuark ash_elf_error_quark(void);

typedef enum {
	ASH_ELF_ERROR_NOT_ELF,  /* other magic, or shorter than a header */
	ASH_ELF_ERROR_CORRUPT,  /* an offset or a string lies outside of the file */
	ASH_ELF_ERROR_TOO_MANY, /* more than ASH_ELF_MAX_* of something */
} AshElfError;

enum {
	ASH_ELF_MAX_SEGMENTS = 1024,
	ASH_ELF_MAX_DYNAMIC = 65536,
	ASH_ELF_MAX_NEEDED = 1024,
};

typedef struct {
	uint8_t class;     /* ELFCLASS32 or ELFCLASS64 */
	uint16_t machine;  /* EM_… */
	char *interp;      /* PT_INTERP, or NULL */
	char *soname;      /* DT_SONAME, or NULL */
	char *runpath;     /* DT_RUNPATH, else DT_RPATH, or NULL; colon-separated */
	GPtrArray *needed; /* DT_NEEDED in order: char * */
} AshElf;

gboolean ash_elf_parse(GBytes *bytes, AshElf **out_elf, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void ash_elf_free(AshElf *elf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshElf, ash_elf_free)
