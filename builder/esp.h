/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

/* The EFI system partition: FAT32 written into a file at an offset, by mkfs.vfat and mtools. The same
 * list and options give the same bytes: files are put in one by one in the list's order, and every
 * time stamp is the caller's.
 */

typedef struct {
	char *path;      /* on the ESP, "/EFI/BOOT/BOOTX64.EFI" */
	char *source;    /* a file on this machine; NULL: @content */
	GBytes *content; /* or NULL */
} AshEspFile;

AshEspFile *ash_esp_file_new(const char *path, const char *source, GBytes *content);
void ash_esp_file_free(AshEspFile *file);

typedef struct {
	const char *path; /* exists */
	uint64_t offset_bytes;
	uint64_t size_bytes;
	uint32_t volume_id;
	uint64_t time_s;     /* FAT begins in 1980; an earlier time becomes that */
	const char *scratch; /* a directory for temporary files */
} AshEspOptions;

/* @files: AshEspFile */
gboolean ash_esp_write(const AshEspOptions *options, const GPtrArray *files, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
