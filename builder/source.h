/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/lock.h"
#include "builder/manifest.h"
#include "lib/progress.h"

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

/* A repository to solve from: one base URI with one suite, or one directory of .debs. */
typedef struct {
	char *mark;       /* where it was written */
	char *id;         /* as AshLockOrigin.id; for kind "inherited" a name for messages only */
	const char *kind; /* "inherited", "repository", "flat", "directory"; a literal */
	char *uri;        /* without a '/' at its end; NULL for a directory */
	char *path;       /* directory: absolute */
	char *suite;      /* flat: ends in '/' */
	char **components;
	char *keyring;        /* path; NULL with inline_key or is_trusted */
	char *inline_key;     /* or NULL */
	bool is_trusted;      /* no signature is asked for */
	bool is_known_debian; /* inherited: by its keyring, or by what apt last saw there */
	uint32_t priority;
} AshSource;

#define ASH_SOURCE_DEBIAN_KEYRING "/usr/share/keyrings/debian-archive-keyring.gpg"

/* ash_source_list:
 * @out_sources: AshSource; at least one unless the manifest has local .debs
 *
 * Reads configuration, never the network. What is not inherited, and why, goes to @progress as notes.
 */
gboolean ash_source_list(const AshManifest *manifest, AshProgress *progress,
		GPtrArray **out_sources, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The suite that follows from @machine_suite of an apt source when images are of @suite; NULL when
 * none does (backports and the like).
 */
char *ash_source_map_suite(const char *machine_suite, const char *suite);

/* The URIs at which a locked package may be had, best first; NULL-terminated. For kind "file" the
 * one file: URI.
 */
gboolean ash_source_package_uris(const AshManifest *manifest, const AshLock *lock,
		const AshLockPackage *package, char ***out_uris, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
