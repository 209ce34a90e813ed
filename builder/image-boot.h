/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/commit.h"
#include "builder/image-arch.h"
#include "builder/image-spec.h"
#include "builder/tree.h"

/* What the firmware, the boot loader and the kernel are told. PURE.
 *
 * An entry names its deployment by a link that never changes, and files of an entry are never
 * touched by a later one: kernel and initramfs are in a directory named after the commit.
 */

/* The only directory of /usr/lib/modules that has a kernel; NULL when there is none or more. */
char *ash_image_boot_find_kernel(const AshTree *tree);

/* "root=PARTLABEL=… ro …", without ostree=; "ro" only where the commit says neither ro nor rw. */
char *ash_image_boot_options(
		const AshCommit *commit, const AshImageSpec *spec, const AshImageArch *arch);

/* "/ashlar/COMMIT16", the directory on the ESP. */
char *ash_image_boot_dir(const char *commit);

/* "ashlar-VERSION-COMMIT8.conf". A '+' of the version becomes '_': systemd-boot counts tries by it. */
char *ash_image_boot_entry_name(const AshCommit *commit);

/* The entry's text; @options with ostree=. */
char *ash_image_boot_entry(const AshCommit *commit, const AshImageArch *arch, const char *options);

extern const char ash_image_boot_loader_conf[];
