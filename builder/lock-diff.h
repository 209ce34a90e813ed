/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/lock.h"

/* What differs between two locks, package by package; and where a manifest's lock stands. PURE. */

typedef struct {
	char *name;
	char *from; /* version; NULL: added */
	char *to;   /* version; NULL: removed */
} AshLockChange;

/* @before may be NULL. AshLockChange, sorted by name; a package whose content changed under the same
 * version counts too.
 */
GPtrArray *ash_lock_diff(const AshLock *before, const AshLock *after);

/* "dir/host.yaml" → "dir/host.lock", with a variant "dir/host.VARIANT.lock". */
char *ash_lock_default_path(const char *manifest_path, const char *variant);
