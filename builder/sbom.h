/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/commit.h"

/* Software bills of materials: what is in a commit, for other people's tools. PURE: everything comes
 * from what the commit says of itself, the time and the document's identifier too, so that one commit
 * has one document, byte for byte.
 *
 * SPDX 2.3 (ISO/IEC 5962 as it went on) and CycloneDX 1.6, both as JSON. The image is the root. A
 * package whose files were taken out again is listed, and marked: in SPDX as a build dependency of the
 * image, in CycloneDX with the scope "excluded". Packages are named by package URLs (purl).
 */

typedef enum {
	ASH_SBOM_SPDX,
	ASH_SBOM_CYCLONEDX,
} AshSbomFormat;

/* The document, with a newline at its end. */
char *ash_sbom_format(const AshCommit *commit, AshSbomFormat format);

/* ---- for sbom-*.c -------------------------------------------------------------------------------- */

/* "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=trixie". @version, @arch, @distro, @upstream may be
 * NULL or "".
 */
char *ash_sbom_purl(const char *name, const char *version, const char *arch, const char *distro,
		const char *upstream);

/* "A B <a@b>" → name, address; the address is NULL when there is none. */
void ash_sbom_split_maintainer(const char *maintainer, char **out_name, char **out_address);

/* Values of package @index: its source package's name and version, which a package leaves out where
 * they are its own.
 */
const char *ash_sbom_source(const AshCommit *commit, guint index);
const char *ash_sbom_source_version(const AshCommit *commit, guint index);

/* The homepage when it is an absolute http or https URL in plain ASCII, else NULL. Borrowed. */
const char *ash_sbom_homepage(const AshCommit *commit, guint index);

char *ash_sbom_timestamp(const AshCommit *commit); /* "2026-11-22T16:00:00Z" */
char *ash_sbom_uuid(const AshCommit *commit);      /* follows from the commit's checksum */
char *ash_sbom_name(const AshCommit *commit);      /* "NAME-VERSION-ARCH" */

char *ash_sbom_format_spdx(const AshCommit *commit);
char *ash_sbom_format_cyclonedx(const AshCommit *commit);
