/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

/* One metadata file of The Update Framework (specification 1.0.34, section 4): its form, and whether
 * those signed it who should have. Knows no other file, no clock and no disk; errors are
 * ASH_TUF_ERROR. PURE.
 *
 * What is parsed here has the form that its type asks for, so that what reads it later cannot fail.
 * Members that are not known are kept: signatures are over the whole of "signed".
 */

typedef struct {
	const char *type; /* static: "root", "timestamp", "snapshot", "targets" */
	uint64_t version; /* from 1 */
	int64_t expires_s;
	bool is_consistent; /* of root: consistent_snapshot */
	GBytes *bytes;
	JsonNode *node;        /* the whole file */
	JsonObject *body;      /* its "signed", borrowed */
	JsonArray *signatures; /* borrowed */
} AshTufMetadata;

/* ash_tuf_metadata_parse:
 * @type: one of the four above; a file of another type is ASH_TUF_ERROR_SYNTAX
 *
 * Nothing is believed yet: see ash_tuf_metadata_verify.
 */
gboolean ash_tuf_metadata_parse(GBytes *bytes, const char *type, size_t max_bytes,
		AshTufMetadata **out_metadata, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_tuf_metadata_free(AshTufMetadata *metadata);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshTufMetadata, ash_tuf_metadata_free)

/* Who may sign for a role; borrowed from the metadata that says so (root, or a delegating targets). */
typedef struct {
	JsonObject *keys;
	JsonArray *keyids;
	uint64_t threshold;
} AshTufAuthority;

/* @role: one of the four types. */
void ash_tuf_metadata_get_authority(
		const AshTufMetadata *root, const char *role, AshTufAuthority *out_authority);

/* The form of a "roles" entry beside its "keys", for parsers. */
gboolean ash_tuf_authority_parse(JsonObject *keys, JsonObject *role, AshTufAuthority *out_authority,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_tuf_metadata_verify: at least the threshold of valid signatures, each by another key: neither a
 * second signature of one keyid nor one key under two keyids counts. Keys of unknown kinds do not
 * count. A keyid that stands twice among the signatures is refused, whatever the rest says.
 */
gboolean ash_tuf_metadata_verify(const AshTufMetadata *metadata, const AshTufAuthority *authority,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Fingerprints of the usable keys of @authority (lib/crypto.h), as a set of strings. */
GHashTable *ash_tuf_authority_fingerprints(const AshTufAuthority *authority);

/* What timestamp and snapshot say of another metadata file. */
typedef struct {
	uint64_t version;
	bool has_length;
	uint64_t length;
	JsonObject *hashes; /* borrowed, or NULL */
} AshTufFile;

/* A question. @name: "snapshot.json", "ROLE.json" */
bool ash_tuf_metadata_find_file(
		const AshTufMetadata *metadata, const char *name, AshTufFile *out_file);

/* "hashes" as metadata has them: each of a known kind must be that of @bytes, and one at least must be
 * of a known kind. ASH_TUF_ERROR_HASH.
 */
gboolean ash_tuf_hashes_verify(JsonObject *hashes, GBytes *bytes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
