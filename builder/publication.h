/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/keys.h"

/* The directory that hosts update from, served by any static web server; publication(5) has its layout:
 *
 *	metadata/   N.root.json, N.targets.json, N.workloads.json, N.snapshot.json, timestamp.json
 *	targets/    documents, as DIR/HASH.NAME
 *	repo/       OSTree repository, mode archive, with static deltas
 *	sbom/       what is in each release (builder/inventory.h)
 *	pending/    releases that are not published yet (builder/draft.h); 0700, not for readers
 *
 * A reader sees the state before ash_publication_save or the one behind it, never a mixture: a file once
 * named by metadata never changes, and all that is new is on disk before timestamp.json is replaced, by
 * one rename. A save that was interrupted, at any instant, is made good by the next.
 *
 * What is found in the directory is not believed: it is built upon only when our own keys signed it.
 */

#define ASH_PUBLICATION_ERROR (ash_publication_error_quark())
GQuark ash_publication_error_quark(void);

typedef enum {
	ASH_PUBLICATION_ERROR_NOT_FOUND,  /* no publication there, no such version in it */
	ASH_PUBLICATION_ERROR_OTHER_ROOT, /* it was published with other keys */
	ASH_PUBLICATION_ERROR_DAMAGED,    /* metadata that is not what was published */
	ASH_PUBLICATION_ERROR_EXISTS,     /* a version is there with another commit */
	ASH_PUBLICATION_ERROR_VERSION,    /* impossible, or in the wrong order */
	ASH_PUBLICATION_ERROR_AMBIGUOUS,  /* several hosts, and none was named */
} AshPublicationError;

/* What the targets metadata says of one document. */
typedef struct {
	char *path; /* "host/NAME/ARCH/VERSION.json", "workload/NAME/VERSION.json" */
	char *sha256;
	uint64_t bytes;
	char *custom; /* JSON */
	/* from custom; "" where it does not say */
	bool is_recall;
	char *name, *variant, *arch, *version, *commit, *to;
} AshPublicationTarget;

/* Which metadata files there are. Versions are 0 when nothing is published. */
typedef struct {
	uint64_t timestamp, snapshot, targets, workloads;
} AshPublicationVersions;

typedef struct {
	char *dir;
	int fd;        /* of the directory: it holds the lock */
	AshKeys *keys; /* borrowed; NULL: opened for reading */
	AshPublicationVersions published;
	uint64_t roots;     /* of the chain, as many are published */
	GPtrArray *targets; /* AshPublicationTarget, sorted by path */
	/* Of the delegated role, in the same form; and paths that never get another document. */
	GPtrArray *workloads, *withdrawn;
	bool needs_targets; /* the targets metadata has to be written anew */
	bool needs_workloads;
	int64_t targets_left_s, workloads_left_s; /* until what is published expires */
	GBytes *targets_bytes, *workloads_bytes;  /* as published, or about to be */
} AshPublication;

/* Fails with ASH_PUBLICATION_ERROR_NOT_FOUND unless @dir is a publication, or an empty directory, which can become one:
 * a name that was mistyped must not.
 */
gboolean ash_publication_check_dir(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_publication_open: waits for another program that writes there.
 * @keys: NULL to read only; then nothing is verified (hosts do that), and all must be there
 */
gboolean ash_publication_open(const char *dir, AshKeys *keys, AshPublication **out_publication,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_publication_free(AshPublication *publication);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshPublication, ash_publication_free)

char *ash_publication_repo(const AshPublication *publication);

/* NULL when there is none. */
AshPublicationTarget *ash_publication_find(const AshPublication *publication, const char *path);
AshPublicationTarget *ash_publication_find_workload(
		const AshPublication *publication, const char *path);

/* Which host is meant; borrowed. NULL stands for "the only one there is", and is filled in with what the
 * publication holds (interned).
 */
typedef struct {
	const char *name, *variant, *arch;
} AshPublicationHost;

gboolean ash_publication_find_host(const AshPublication *publication, AshPublicationHost *host,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The release @version of @host. ASH_PUBLICATION_ERROR_NOT_FOUND says which there are. */
gboolean ash_publication_get_release(const AshPublication *publication,
		const AshPublicationHost *host, const char *version,
		AshPublicationTarget **out_target, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Releases of @host, the newest first; borrowed. */
GPtrArray *ash_publication_releases(
		const AshPublication *publication, const AshPublicationHost *host);

/* Writes a document and adds it to what the next save publishes, in place of one of that path. */
gboolean ash_publication_add(AshPublication *publication, const char *path, GBytes *document,
		const char *custom, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same for the delegated role "workloads"; and taking one away, for ever. */
gboolean ash_publication_add_workload(AshPublication *publication, const char *path,
		GBytes *document, const char *custom, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_publication_withdraw(AshPublication *publication, const char *path);
bool ash_publication_is_withdrawn(const AshPublication *publication, const char *path);

/* Where a document lies below targets/: "host/NAME/ARCH/HASH.VERSION.json". */
char *ash_publication_location(const AshPublicationTarget *target);

typedef struct {
	int64_t targets_s, snapshot_s, timestamp_s;
} AshPublicationLifetimes;

/* ash_publication_save: signs and publishes. Targets and workloads only when they have to be: then
 * their private keys must be here.
 * @out_is_late: half the life of the targets' or workloads' metadata is over, and it could not be renewed
 * because its key is not here
 */
gboolean ash_publication_save(AshPublication *publication, const AshPublicationLifetimes *lifetimes,
		bool *out_is_late, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes metadata, documents and deltas that none of the newest @keep snapshots names, and objects of
 * commits that no release has.
 */
gboolean ash_publication_prune(AshPublication *publication, unsigned keep, uint64_t *out_bytes,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- for the files of this noun ---- */

/* "metadata/N.ROLE.json" */
char *ash_publication_metadata(uint64_t version, const char *role);
/* Reads @name below the directory; ASH_SIGNING_MAX_BYTES. */
gboolean ash_publication_read(const AshPublication *publication, const char *name,
		GBytes **out_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_publication_target_free(AshPublicationTarget *target);
/* From an entry of the metadata's "targets". */
gboolean ash_publication_target_parse(const char *path, JsonObject *object,
		AshPublicationTarget **out_target, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All of them, sorted by path: AshPublicationTarget. */
gboolean ash_publication_parse_targets(JsonObject *signed_object, GPtrArray **out_targets,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The member "meta" of snapshot or timestamp, for @file ("targets.json"). */
gboolean ash_publication_read_meta(JsonObject *signed_object, const char *file,
		uint64_t *out_version, const char **out_sha256, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
