/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/cache.h"
#include "builder/manifest.h"
#include "builder/repo.h"
#include "builder/tree.h"
#include "lib/progress.h"

/* The last part of a build: configured tree → commit. Customise, postprocess scripts, initramfs,
 * layout, metadata. Nearly all of it happens in memory; only scripts and dracut need a checkout.
 */

typedef struct {
	AshCache *cache;
	AshRepo *repo;
	const AshManifest *manifest;
	const GPtrArray *packages;  /* AshPackage */
	const char *kernel_release; /* NULL: no kernel, no initramfs, no layout of a host */
	const char *initrd_path;    /* the program ashlar-initrd */
	const char *lock_digest;
	const char *manifest_digest;
	uint64_t timestamp_s;
	bool is_fresh; /* take no initramfs from the cache */
	AshProgress *progress;
} AshFinish;

/* Changes @tree. The commit gets @ref in the cache repository. */
gboolean ash_finish(const AshFinish *finish, AshTree *tree, const char *ref, char **out_commit,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
