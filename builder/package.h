/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "builder/lock.h"
#include "builder/repo.h"
#include "builder/tree.h"

/* A package in the cache repository: one commit for each .deb, named by the ref "deb/NAME/SHA256",
 * with the package's own tree below "data" and dpkg's control files below "control". Imported once,
 * whatever manifests use it.
 */

#define ASH_PACKAGE_ERROR (ash_package_error_quark())
GQuark ash_package_error_quark(void);

typedef enum {
	ASH_PACKAGE_ERROR_CONTROL,  /* its control file is not what Debian's policy says */
	ASH_PACKAGE_ERROR_IDENTITY, /* it is another package than the lock says */
} AshPackageError;

typedef struct {
	const AshLockPackage *locked; /* borrowed from the lock */
	char *commit;
	uint64_t newest_s; /* the latest modification time in it, seconds since 1970 */
	AshTree *tree;
	GBytes *control;    /* the text of control/control */
	GHashTable *fields; /* field name in lower case → value, continuation lines kept */
	char *info_name;    /* "libc6:amd64" or "dpkg": how dpkg names its files in info/ */
} AshPackage;

void ash_package_free(AshPackage *package);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshPackage, ash_package_free)

/* "deb/libc6/3f…"; newly allocated. */
char *ash_package_ref(const AshLockPackage *locked);

/* A question: the package if it is in the cache, else NULL. @locked must outlive it. */
gboolean ash_package_find(AshRepo *repo, const AshLockPackage *locked, AshPackage **out_package,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_package_import: imports the .deb at @path into @repo, whose transaction is open; any thread.
 * The file must be the locked one, by SHA-256, name, version and architecture.
 */
gboolean ash_package_import(AshRepo *repo, const AshLockPackage *locked, const char *path,
		AshPackage **out_package, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A field of the control file, by its name in lower case, or NULL. */
const char *ash_package_field(const AshPackage *package, const char *name);

/* The tree of files that it brings. Borrowed. */
const AshNode *ash_package_data(const AshPackage *package);

/* A control file ("postinst"), or NULL. Borrowed. */
const AshNode *ash_package_control(const AshPackage *package, const char *name);
