/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/store/db.h"

/* Releases that the fleet knows: the signed documents of a publication (lib/target.h, publication(5)), with what is in
 * them. Documents are taken as they come: that they are signed is the hosts' to prove; a wrong one is refused there.
 * What operators say of a release (a barrier, a dead end, withdrawn) is the fleet's own.
 */

#define ASH_FLEET_RELEASE_ERROR (ash_fleet_release_error_quark())
GQuark ash_fleet_release_error_quark(void);
typedef enum {
	ASH_FLEET_RELEASE_ERROR_NOT_FOUND,
	ASH_FLEET_RELEASE_ERROR_AMBIGUOUS, /* says which there are */
	ASH_FLEET_RELEASE_ERROR_EXISTS,    /* that version, with another commit */
	ASH_FLEET_RELEASE_ERROR_DOCUMENT, /* not a release document, list of packages, bill of materials */
} AshFleetReleaseError;

enum {
	ASH_FLEET_RELEASE_MAX_PACKAGES = 20000,
	ASH_FLEET_RELEASE_MAX_TEXT = 256, /* of a package's name, version, architecture */
	ASH_FLEET_RELEASE_MAX_SBOM_BYTES = 16 << 20,
	ASH_FLEET_RELEASE_MAX_WHY = 1024, /* of dead_end, withdrawn */
};

/* A row, but for the document. */
typedef struct {
	int64_t id, added_at;
	char *name, *variant, *arch, *version, *commit, *notes;
	char *dead_end, *withdrawn; /* "": not */
	bool is_barrier;
} AshFleetRelease;

void ash_fleet_release_free(AshFleetRelease *release);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshFleetRelease, ash_fleet_release_free)

/* @what: id, NAME/VERSION (NAME with "-VARIANT" where there is one) or VERSION, if only one has it. NOT_FOUND,
 * AMBIGUOUS.
 */
gboolean ash_fleet_release_find(AshDb *db, const char *what, AshFleetRelease **out_release,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Those behind id @after, oldest first; @name "": of all names. */
gboolean ash_fleet_release_list(AshDb *db, const char *name, int64_t after, unsigned limit,
		GPtrArray **out_releases, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What is in it; each may be NULL. */
typedef struct {
	JsonArray *packages;          /* {"name","version","arch"} */
	const char *spdx, *cyclonedx; /* JSON texts */
} AshFleetReleaseContents;

/* In the open writing transaction of @db. A release that is there with the same commit is no failure: contents that it
 * lacks are added. EXISTS, DOCUMENT.
 */
gboolean ash_fleet_release_add(AshDb *db, GBytes *document, const AshFleetReleaseContents *contents,
		bool is_barrier, int64_t now, int64_t *out_id, bool *out_is_new, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Packages are told apart by name and architecture. */
typedef struct {
	const char *name, *arch;
	const char *from, *to; /* NULL: not there */
} AshFleetReleaseDifference;
typedef void (*AshFleetReleaseEach)(const AshFleetReleaseDifference *difference, gpointer data);
gboolean ash_fleet_release_diff(AshDb *db, int64_t from, int64_t to, AshFleetReleaseEach each,
		gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Debian's order of package versions, epochs too. */
int ash_fleet_release_compare_packages(const char *a, const char *b);
