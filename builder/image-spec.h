/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* How a tree becomes a disk: images/NAME.yaml, described in image(5).
 *
 * Parsing is strict: an unknown key, a wrong type, an impossible value or a duplicate is an error
 * that begins with FILE:LINE:COLUMN.
 */

#define ASH_IMAGE_SPEC_ERROR (ash_image_spec_error_quark())
GQuark ash_image_spec_error_quark(void);

typedef enum {
	ASH_IMAGE_SPEC_ERROR_UNKNOWN_KEY, /* with the nearest key */
	ASH_IMAGE_SPEC_ERROR_TYPE,
	ASH_IMAGE_SPEC_ERROR_VALUE,  /* right type, impossible value */
	ASH_IMAGE_SPEC_ERROR_FORMAT, /* no such image format */
} AshImageSpecError;

enum {
	ASH_IMAGE_SPEC_MAX_BYTES = 1 << 16,
	ASH_IMAGE_SPEC_MAX_ARGUMENTS = 64,
	ASH_IMAGE_SPEC_MAX_ARGUMENT_BYTES = 512,
	ASH_IMAGE_SPEC_MAX_LABEL_BYTES = 16, /* ext4's limit */
};

typedef enum {
	ASH_IMAGE_RAW,
	ASH_IMAGE_QCOW2,
	ASH_IMAGE_VMDK,
	ASH_IMAGE_VDI,
	ASH_IMAGE_VHDX,
	ASH_IMAGE_TAR,
	ASH_IMAGE_KERNEL, /* kernel, initramfs and command line, as three files */
	ASH_IMAGE_N_FORMATS,
} AshImageFormat;

typedef struct {
	bool formats[ASH_IMAGE_N_FORMATS];
	uint64_t disk_bytes;
	char *esp_label; /* GPT partition names; the ESP's file system is always "ASHLAR" */
	uint64_t esp_bytes;
	char *root_label;
	uint64_t root_bytes;      /* 0: as small as the content and root_free_bytes allow */
	uint64_t root_free_bytes; /* room for the next deployment */
	uint64_t var_bytes;       /* what the disk leaves for /var at least */
	char *console;            /* "serial": the architecture's; "none"; or a device, "ttyS1" */
	char **kernel_arguments;
} AshImageSpec;

/* The defaults alone. */
AshImageSpec *ash_image_spec_new(void);
void ash_image_spec_free(AshImageSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshImageSpec, ash_image_spec_free)

/* @file: for messages */
gboolean ash_image_spec_parse(const char *file, GBytes *text, AshImageSpec **out_spec,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_image_spec_load(const char *path, AshImageSpec **out_spec, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Everything that the bytes of a disk depend on, one line each; for digests. */
char *ash_image_spec_format(const AshImageSpec *spec);

const char *ash_image_format_name(AshImageFormat format);

/* ASH_IMAGE_SPEC_ERROR_FORMAT, with the nearest name. */
gboolean ash_image_format_parse(const char *name, AshImageFormat *out_format, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
