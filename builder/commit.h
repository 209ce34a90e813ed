/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "builder/repo.h"

/* What a commit says of itself, beside its tree: the metadata that 'ashlar build' writes and that
 * image, diff, sbom, lint and verify read. Everything is an entry of the OSTree commit's a{sv}
 * metadata; the keys are
 *
 *	version                 s      the manifest's `version:`
 *	ostree.linux            s      kernel release, "6.12.107+deb13-cloud-amd64" (hosts)
 *	ostree.bootable         b      true (hosts)
 *	ashlar.name             s      the manifest's `name:`
 *	ashlar.kind             s      "host" or "workload"
 *	ashlar.architecture     s      Debian's name
 *	ashlar.variant          s      "" for none
 *	ashlar.suite            s
 *	ashlar.manifest-digest  s      ash_manifest_digest()
 *	ashlar.lock-digest      s      ash_lock_digest()
 *	ashlar.kernel-arguments as
 *	ashlar.packages         aa{ss} sorted by name; per package the keys name, version, arch,
 *	                               sha256, size (of the .deb), installed-size (bytes), source,
 *	                               source-version, maintainer, homepage, section, summary, licenses
 *	                               (SPDX expression over Debian copyright short names, "" when the
 *	                               copyright file is not machine-readable), removed ("true" when its
 *	                               files were taken out again); a missing key means ""
 */

typedef struct {
	char *commit; /* 64 digits */
	char *version;
	char *name;
	char *kind;
	char *arch;
	char *variant; /* NULL for none */
	char *suite;
	char *kernel_release; /* NULL for a workload */
	char *manifest_digest;
	char *lock_digest;
	char **kernel_arguments;
	GPtrArray *packages; /* GHashTable: char * → char *, the keys above */
	uint64_t timestamp_s;
} AshCommit;

/* @rev: as ash_repo_resolve. A commit that 'ashlar build' did not make has empty fields. */
gboolean ash_commit_load(AshRepo *repo, const char *rev, AshCommit **out_commit, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_commit_free(AshCommit *commit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshCommit, ash_commit_free)

/* The a{sv} for ash_repo_write_tree. Floating. */
GVariant *ash_commit_metadata(const AshCommit *commit);

/* Value of @key of package @index, "" when missing. */
const char *ash_commit_package(const AshCommit *commit, guint index, const char *key);
