/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

/* What an image needs to know of an architecture. */

typedef struct {
	const char *debian; /* "amd64" */
	const char *efi;    /* "x64", as in systemd-bootx64.efi and BOOTX64.EFI */
	const char *root_type; /* GPT type of a root partition, Discoverable Partitions Specification */
	const char *serial; /* the first serial port's device */
} AshImageArch;

/* @debian: Debian's name; NULL when there is no row for it */
const AshImageArch *ash_image_arch_find(const char *debian);

/* The machine this runs on, Debian's name, or NULL for one that has no row. */
const char *ash_image_arch_native(void);
