/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/image-spec.h"
#include "builder/repo.h"
#include "lib/progress.h"

/* Commit → disk images and archives.
 *
 * The disk is put together in one sparse file, with no loop device, no mount and no unpacked tree:
 * the partition table (builder/gpt.h), the ESP (builder/esp.h), the root file system
 * (builder/sysroot.h plans it, builder/ext4.h writes it). Other disk formats are converted from it by
 * qemu-img. The same commit and spec give the same raw, qcow2 and tar, byte for byte, in any
 * directory, at any time.
 *
 * A file appears under its final name, NAME-VERSION-ARCH.FORMAT, only when it is whole; then the link
 * NAME.FORMAT is switched to it. The name of a variant's image is NAME-VARIANT.
 */

#define ASH_IMAGE_ERROR (ash_image_error_quark())
GQuark ash_image_error_quark(void);

typedef enum {
	ASH_IMAGE_ERROR_NOT_BOOTABLE, /* no kernel, initramfs or boot loader in the commit */
	ASH_IMAGE_ERROR_TOO_SMALL,    /* the spec's sizes do not suffice; says what is needed */
	ASH_IMAGE_ERROR_ARCH,         /* no UEFI images for this architecture */
} AshImageError;

typedef struct {
	AshImageFormat format;
	char *path;          /* OUTPUT/NAME-VERSION-ARCH.FORMAT */
	char *link;          /* OUTPUT/NAME.FORMAT */
	uint64_t size_bytes; /* as ls shows it */
	uint64_t disk_bytes; /* that it takes on this machine's disk; less for a sparse file */
} AshImageFile;

void ash_image_file_free(AshImageFile *file);

/* ash_image_build:
 * @rev: as ash_repo_resolve
 * @formats: which to make, ASH_IMAGE_N_FORMATS long
 * @output_dir: made when missing
 * @out_files: AshImageFile
 */
gboolean ash_image_build(AshRepo *repo, const char *rev, const AshImageSpec *spec,
		const bool *formats, const char *output_dir, AshProgress *progress,
		GPtrArray **out_files, GError **error) G_GNUC_WARN_UNUSED_RESULT;
