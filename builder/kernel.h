/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/repo.h"
#include "builder/tree.h"

/* The kernel's modules: which are kept, how they are stored.
 *
 * Debian ships modules as .ko.xz. They are stored uncompressed, so that the delta to the next kernel
 * can see into them and so that unchanged ones stay the same object; what stores or sends an image
 * compresses it as a whole. `kernel-modules:` of the manifest keeps a subset, with everything that
 * the kept ones depend on. depmod of the image's own kmod then makes the lists.
 */

#define ASH_KERNEL_ERROR (ash_kernel_error_quark())
GQuark ash_kernel_error_quark(void);

typedef enum {
	ASH_KERNEL_ERROR_SEVERAL, /* more than one kernel in the tree */
	ASH_KERNEL_ERROR_NONE,    /* a host without a kernel */
	ASH_KERNEL_ERROR_PATTERN, /* a pattern that no module matches */
	ASH_KERNEL_ERROR_MODULE,  /* damaged */
} AshKernelError;

enum {
	ASH_KERNEL_MAX_MODULE_BYTES = 256 << 20,
};

/* The release of the one kernel in @tree, NULL when there is none. */
gboolean ash_kernel_find_release(const AshTree *tree, char **out_release, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ash_kernel_prepare:
 * @modules: the directory /usr/lib/modules/RELEASE as the package brings it
 * @keep: patterns on paths below it ("kernel/drivers/virtio/" and all below), or module names;
 *	empty: all
 * @checkout: a root directory with kmod, for depmod
 * @scratch: an empty directory
 *
 * Makes the directory as it is to be in the image. @repo has an open transaction. Any thread.
 */
gboolean ash_kernel_prepare(AshRepo *repo, const AshNode *modules, const char *release,
		const GPtrArray *keep, const char *checkout, const char *scratch,
		AshNode **out_modules, GError **error) G_GNUC_WARN_UNUSED_RESULT;
