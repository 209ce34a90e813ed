/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The documents of an OCI image: index, manifest and config, in OCI's and in Docker's (v2, schema 2) media
 * types. PURE; opencontainers/image-spec 1.1.
 *
 * All of it comes from outside. What is not understood is refused by name, never guessed at: schema 1,
 * layers that lie elsewhere ("foreign"), other digests than SHA-256, a document that could be read both as
 * an index and as a manifest, an index in an index deeper than ASH_OCI_MAX_NESTING.
 */

#define ASH_OCI_ERROR (ash_oci_error_quark())
GQuark ash_oci_error_quark(void);

typedef enum {
	ASH_OCI_ERROR_SYNTAX,
	ASH_OCI_ERROR_UNSUPPORTED,
	ASH_OCI_ERROR_LIMIT,
	ASH_OCI_ERROR_NOT_FOUND, /* no image for this architecture, or of that tag */
} AshOciError;

enum {
	ASH_OCI_MAX_MANIFEST_BYTES = 4 << 20, /* index, manifest */
	ASH_OCI_MAX_CONFIG_BYTES = 4 << 20,
	ASH_OCI_MAX_DEPTH = 16,
	ASH_OCI_MAX_MANIFESTS = 1024, /* of one index */
	ASH_OCI_MAX_NESTING = 3,      /* of an index in an index */
	ASH_OCI_MAX_LAYERS = 128,
	ASH_OCI_MAX_ITEMS = 1024,           /* arguments, environment, labels: of each */
	ASH_OCI_MAX_TEXT_BYTES = 128 << 10, /* of one of them */
};

/* Of all layers of one image as they are downloaded, and of one. */
#define ASH_OCI_MAX_PACKED_BYTES ((uint64_t) 16 << 30)

typedef struct {
	char *media_type; /* "" when the document does not say */
	char *sha256;     /* 64 digits */
	uint64_t size;
	/* Of an index's entries; "" when not said. */
	char *os, *arch, *variant;
	char *tag; /* annotation org.opencontainers.image.ref.name */
} AshOciDescriptor;

void ash_oci_descriptor_free(AshOciDescriptor *descriptor);

typedef struct {
	GPtrArray *manifests; /* AshOciDescriptor */
} AshOciIndex;

typedef struct {
	AshOciDescriptor *config;
	GPtrArray *layers; /* AshOciDescriptor, lowest first */
} AshOciManifest;

/* Texts "" and lists empty when not said; lists are NULL-terminated. */
typedef struct {
	char *os, *arch, *variant;
	char **diff_ids; /* SHA-256 of each layer's tar, lowest first: 64 digits */
	char **entrypoint, **command, **environment;
	char *directory, *user, *stop_signal;
	char **labels; /* "key=value", sorted */
} AshOciConfig;

/* A question that can fail: index or manifest? By what is in it; a media type that says otherwise is refused. */
gboolean ash_oci_is_index(GBytes *text, bool *out_is_index, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

gboolean ash_oci_index_parse(GBytes *text, AshOciIndex **out_index, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_oci_index_free(AshOciIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshOciIndex, ash_oci_index_free)

gboolean ash_oci_manifest_parse(GBytes *text, AshOciManifest **out_manifest, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_oci_manifest_free(AshOciManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshOciManifest, ash_oci_manifest_free)

gboolean ash_oci_config_parse(GBytes *text, AshOciConfig **out_config, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_oci_config_free(AshOciConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshOciConfig, ash_oci_config_free)

/* The entry of @index for @arch (ash_oci_architecture's words): borrowed. An entry that says no platform fits
 * when there is just one such and none that fits by name. @tag: NULL or "" for any, else only entries of that tag.
 * ASH_OCI_ERROR_NOT_FOUND says what there is.
 */
gboolean ash_oci_index_choose(const AshOciIndex *index, const char *tag, const char *arch,
		const AshOciDescriptor **out_entry, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Is the image of @config for @arch? ASH_OCI_ERROR_NOT_FOUND when it says that it is for another. */
gboolean ash_oci_config_check(const AshOciConfig *config, const char *arch, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* OCI's word for a machine as uname(2) names it: "x86_64" is "amd64"; others as they are. Static or @machine. */
const char *ash_oci_architecture(const char *machine);

/* "sha256:…" to its 64 digits, borrowed; NULL when it is not that. A question. */
const char *ash_oci_digest_find(const char *digest);

/* docker save's manifest.json: [{"Config":PATH,"RepoTags":[…],"Layers":[PATH…]}] */
typedef struct {
	char *config;  /* path in the archive, without "./" */
	char **layers; /* … lowest first */
} AshOciArchive;

/* @tag: "" when there is only one image; "NAME:TAG" or TAG. */
gboolean ash_oci_archive_parse(GBytes *text, const char *tag, AshOciArchive **out_archive,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_oci_archive_free(AshOciArchive *archive);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshOciArchive, ash_oci_archive_free)
