/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/lock.h"
#include "builder/manifest.h"

/* Repositories: those of the manifest, or the build machine's own apt sources (sources.list and
 * deb822 *.sources, those whose Release file says Origin: Debian) with the suite replaced: X →
 * SUITE, X-updates → SUITE-updates, X-security → SUITE-security. Backports never.
 */

#define ASH_SOURCE_ERROR (ash_source_error_quark())
GQuark ash_source_error_quark(void);

typedef enum {
	ASH_SOURCE_ERROR_SYNTAX,    /* a sources file or a Release file is malformed */
	ASH_SOURCE_ERROR_NONE,      /* the build machine has no Debian source to inherit */
	ASH_SOURCE_ERROR_SIGNATURE, /* not signed by the keyring, or altered */
	ASH_SOURCE_ERROR_EXPIRED,   /* Valid-Until has passed */
	ASH_SOURCE_ERROR_MISMATCH, /* Packages is not what Release says; Release is for another suite */
	ASH_SOURCE_ERROR_UNKNOWN, /* a lock names an origin that this machine does not have */
} AshSourceError;

/* The URIs at which a locked package may be had, best first; NULL-terminated. For kind "file" the
 * one file: URI.
 */
gboolean ash_source_package_uris(const AshManifest *manifest, const AshLock *lock,
		const AshLockPackage *package, char ***out_uris, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
