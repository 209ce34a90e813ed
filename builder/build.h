/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "builder/cache.h"
#include "builder/lock.h"
#include "builder/manifest.h"
#include "builder/repo.h"
#include "lib/progress.h"

/* Manifest and lock → commit. The order of the steps, and what each depends on:
 *
 *	import      each .deb once                          deb/NAME/SHA256 in the cache
 *	assemble    the packages' hashes                    stage/assembled/DIGEST
 *	configure   the assembled tree, its scripts         stage/configured/DIGEST
 *	kernel      the kernel's package, `kernel-modules:`, kmod  stage/kernel/DIGEST
 *	hwdb        udev's hardware files, systemd-hwdb     stage/hwdb/DIGEST
 *	customise, postprocess, initramfs, layout, commit
 *	            all of the above, the manifest          stage/finished/DIGEST
 *
 * A step whose digest is known is skipped; each leaves a commit in the cache repository that can be
 * looked at (ostree --repo=CACHE/repo ls -R stage/configured/DIGEST). Configure, kernel and hwdb
 * run side by side. Nothing but the refs says that a step is done, and a ref is set in the same transaction
 * that stores the objects: a build that is killed leaves the cache as it was or further on.
 *
 * The same lock, manifest and ashlar give the same commit, whatever the machine, the directory, the
 * time, the number of threads.
 */

#define ASH_BUILD_ERROR (ash_build_error_quark())
GQuark ash_build_error_quark(void);

typedef enum {
	ASH_BUILD_ERROR_SCRIPT, /* a postprocess script or an initramfs generator failed */
	ASH_BUILD_ERROR_HOST,   /* the tree cannot be a host: no kernel, no ostree-prepare-root */
} AshBuildError;

typedef struct {
	unsigned threads; /* 0: one a processor */
	bool is_plain;    /* every maintainer script runs as it was shipped, without shortcuts */
	bool is_fresh; /* take nothing but packages from the cache; for measuring and verifying */
} AshBuildOptions;

typedef struct {
	char *commit;
	char *ref;         /* "host/NAME/ARCH", "host/NAME-VARIANT/ARCH", "workload/…" */
	bool is_unchanged; /* the output repository had it already, under this ref */
	guint imported;    /* packages that were not in the cache */
} AshBuildResult;

void ash_build_result_clear(AshBuildResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshBuildResult, ash_build_result_clear)

/* ash_build: needs root. @out: the repository that the finished commit goes to. */
gboolean ash_build(AshCache *cache, AshRepo *out, const AshManifest *manifest, const AshLock *lock,
		const AshBuildOptions *options, AshProgress *progress, AshBuildResult *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The ref that a manifest's commits get. */
char *ash_build_ref(const AshManifest *manifest);
