/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What the signed targets say: releases of a host, and recalls. The documents themselves are TUF
 * targets (lib/tuf.h proves them); this module gives their bytes a meaning, and chooses. PURE.
 *
 *	host/NAME/ARCH/VERSION.json            a release; NAME is the manifest's, with "-VARIANT"
 *	host/NAME/ARCH/recall/VERSION.json     an order to leave release VERSION
 *
 * In the targets metadata each has "custom" (what choosing needs, so that only one release document
 * is fetched): {"kind":"release","version":V,"replaces-min":V,"commit":C} or
 * {"kind":"recall","version":V,"to":V|""}. The document must say the same, or it is refused.
 *
 * A release document, JSON:
 *
 *	{"type":"ashlar-release","format":1,
 *	 "name":"host","variant":"","architecture":"amd64","version":"1.4.0",
 *	 "commit":"<64 hex>",
 *	 "replaces-min":"1.0.0",             lowest version it may replace; "" for any
 *	 "created":"2026-11-22T10:00:00Z",
 *	 "size":{"bytes":N,"inodes":N,       of the checked-out tree
 *	         "boot-bytes":N,             kernel + initramfs, as copied to the ESP
 *	         "archive-bytes":N,          all its objects, as a plain pull moves them
 *	         "largest-object-bytes":N},  the largest of them, as moved
 *	 "deltas":[{"from":"<64 hex>","path":"deltas/ab/cdef…/superblock","sha256":"<64 hex>",
 *	            "bytes":N,               one file, all parts inside
 *	            "objects":N,"object-bytes":N}],   what a plain pull from there would move
 *	 "notes":"…"}
 *
 * A recall document:
 *
 *	{"type":"ashlar-recall","format":1,"name":…,"variant":…,"architecture":…,
 *	 "version":"1.5.0","to":"1.4.0","reason":"…","created":…}
 *
 * "to" names a release that is among the targets; "" means: only do not take VERSION any more.
 *
 * Unknown members are ignored (a later builder may add some); a higher "format" is refused.
 */

#define ASH_TARGET_ERROR (ash_target_error_quark())
GQuark ash_target_error_quark(void);

typedef enum {
	ASH_TARGET_ERROR_SYNTAX,     /* not JSON, a member missing or of a wrong type or range */
	ASH_TARGET_ERROR_FORMAT,     /* a later format than this program knows */
	ASH_TARGET_ERROR_WRONG_NAME, /* path, custom and document disagree, or for another host */
	ASH_TARGET_ERROR_WRONG_VARIANT,
	ASH_TARGET_ERROR_WRONG_ARCH,
} AshTargetError;

enum {
	ASH_TARGET_MAX_BYTES = 1 << 20,
	ASH_TARGET_MAX_DELTAS = 256,
	ASH_TARGET_MAX_NOTES_BYTES = 64 << 10,
};

typedef struct {
	char *from; /* commit */
	char *path; /* below the published repository: "deltas/…" */
	char *sha256;
	uint64_t bytes;
	uint64_t objects, object_bytes;
} AshTargetDelta;

typedef struct {
	char *name, *variant, *arch, *version; /* variant "" for none */
	char *commit;
	char *replaces_min; /* "" for any */
	char *created;
	uint64_t bytes, inodes, boot_bytes, archive_bytes, largest_object_bytes;
	GPtrArray *deltas; /* AshTargetDelta */
	char *notes;       /* may be "" */
} AshRelease;

typedef struct {
	char *name, *variant, *arch, *version;
	char *to; /* "" for none */
	char *reason;
	char *created;
} AshRecall;

gboolean ash_release_parse(GBytes *json, AshRelease **out_release, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
char *ash_release_format(const AshRelease *release);
void ash_release_free(AshRelease *release);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRelease, ash_release_free)
void ash_target_delta_free(AshTargetDelta *delta);

gboolean ash_recall_parse(GBytes *json, AshRecall **out_recall, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
char *ash_recall_format(const AshRecall *recall);
void ash_recall_free(AshRecall *recall);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRecall, ash_recall_free)

/* "host/NAME[-VARIANT]/ARCH/VERSION.json" */
char *ash_release_path(
		const char *name, const char *variant, const char *arch, const char *version);
char *ash_recall_path(const char *name, const char *variant, const char *arch, const char *version);

/* What a host is. */
typedef struct {
	const char *name, *variant, *arch, *version, *commit; /* of the running deployment */
} AshTargetHost;

/* What the targets metadata has of one target; from its path and custom. */
typedef struct {
	char *path;
	bool is_recall;
	char *version;
	char *replaces_min; /* releases */
	char *commit;       /* releases */
	char *to;           /* recalls */
} AshTargetEntry;

/* A question: does @path with @custom_json (may be NULL) concern @host? NULL when not. */
AshTargetEntry *ash_target_entry_new(
		const AshTargetHost *host, const char *path, const char *custom_json);
void ash_target_entry_free(AshTargetEntry *entry);

/* Does the document that was fetched say what the metadata said, and is it for @host? WRONG_NAME,
 * WRONG_VARIANT, WRONG_ARCH.
 */
gboolean ash_release_check(const AshRelease *release, const AshTargetHost *host,
		const AshTargetEntry *entry, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_recall_check(const AshRecall *recall, const AshTargetHost *host,
		const AshTargetEntry *entry, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What is to be said of a release that was not chosen, for 'ashlarctl why'. */
typedef struct {
	char *version;
	char *commit;
	const char *reason; /* static: "bad", "held", "lower", "recalled", "replaces-min", "same" */
	char *text;         /* a sentence */
} AshTargetRefusal;
void ash_target_refusal_free(AshTargetRefusal *refusal);

/* ash_target_choose:
 * @entries: AshTargetEntry
 * @is_bad: is this commit one that failed here ("bad") or that an operator left ("held")? NULL: no
 * @wanted: only this version, or NULL for the newest; refusals are then of this version only
 * @out_index: of the release to take, -1 for none: the running one is the right one
 * @out_is_recall: it is lower than the running version, by a recall
 * @out_refusals: AshTargetRefusal, newest first; may be NULL
 *
 * If the running version is recalled and the recall says where to, that release is the choice, lower
 * or not; if it says nothing, or what it names cannot be taken, a newer one if there is. Otherwise the
 * highest version above the running one that is neither recalled nor bad and may replace it.
 */
void ash_target_choose(const AshTargetHost *host, const GPtrArray *entries,
		const char *(*is_bad)(const char *commit, gconstpointer data), gconstpointer data,
		const char *wanted, int *out_index, bool *out_is_recall, GPtrArray **out_refusals);
