/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The lock: the solved manifest. Written by 'ashlar lock', committed by users beside their manifest,
 * read by 'ashlar build'. YAML, one package a line, sorted by name, so that it diffs well. Names no
 * mirror when the repositories were inherited from the build machine. Described in lock(5).
 */

#define ASH_LOCK_ERROR (ash_lock_error_quark())
GQuark ash_lock_error_quark(void);

typedef enum {
	ASH_LOCK_ERROR_SYNTAX, /* not YAML, a wrong or missing key; the message says file:line:column */
	ASH_LOCK_ERROR_VERSION, /* written by a newer ashlar */
	ASH_LOCK_ERROR_STALE,   /* the manifest asks for something else now; run 'ashlar lock' */
} AshLockError;

enum {
	ASH_LOCK_MAX_BYTES = 16 << 20,
	ASH_LOCK_MAX_PACKAGES = 20000,
};

/* Where a package comes from. */
typedef struct {
	char *id;    /* "debian", "debian-security", "local", or what the manifest calls it */
	char *kind;  /* "inherited", "repository", "flat", "file" */
	char *label; /* inherited: the Release file's Label, "Debian" or "Debian-Security" */
	char *uri;   /* repository, flat: base URI as the manifest has it; NULL for inherited */
	char *suite; /* "trixie", "trixie-security"; NULL for file */
} AshLockOrigin;

typedef struct {
	char *name;
	char *version;
	char *arch;    /* "amd64", "all" */
	char *sha256;  /* of the .deb, 64 hexadecimal digits */
	uint64_t size; /* of the .deb, bytes */
	int origin;    /* index into AshLock.origins */
	/* Below the origin's base URI ("pool/main/a/…"); for kind "file" relative to the lock's
	 * directory. Checked: relative, no "..", no control characters.
	 */
	char *path;
} AshLockPackage;

typedef struct {
	char *file;          /* where it was read from; NULL when made by solving */
	char *suite;         /* "trixie" */
	char *arch;          /* "amd64" */
	char *variant;       /* or NULL */
	char *inputs;        /* SHA-256 of what solving depended on in the manifest */
	GPtrArray *origins;  /* AshLockOrigin */
	GPtrArray *packages; /* AshLockPackage, sorted by name then arch */
} AshLock;

AshLock *ash_lock_new(void);
void ash_lock_free(AshLock *lock);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshLock, ash_lock_free)

/* Takes ownership of nothing; copies. Returns the index. */
int ash_lock_add_origin(AshLock *lock, const AshLockOrigin *origin);
void ash_lock_add_package(AshLock *lock, const AshLockPackage *package);

/* @file: for messages only. */
gboolean ash_lock_parse(const char *file, GBytes *text, AshLock **out_lock, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
char *ash_lock_format(AshLock *lock); /* sorts the packages */

gboolean ash_lock_load(const char *path, AshLock **out_lock, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_lock_save(AshLock *lock, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

const AshLockPackage *ash_lock_find(const AshLock *lock, const char *name);

/* SHA-256 over name, version, arch, sha256 of all packages: names the package set, whatever the
 * origins. 64 digits.
 */
char *ash_lock_digest(const AshLock *lock);
