/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* OSTree objects as far as a downloader has to understand them: what a commit and a tree refer to, and
 * whether a content object is the one that its name says. By GVariant and GIO alone: libostree's memory
 * has no place in a program that also speaks HTTP. The format is that of libostree's
 * ostree-repo-core.h ("archive" mode): metadata as it is hashed; content with a header, then raw
 * deflate.
 */

#define ASH_OBJECT_ERROR (ash_object_error_quark())
GQuark ash_object_error_quark(void);

typedef enum {
	ASH_OBJECT_ERROR_SYNTAX,
	ASH_OBJECT_ERROR_MISMATCH, /* it is another object */
	ASH_OBJECT_ERROR_TOO_BIG,  /* unpacked */
} AshObjectError;

enum {
	ASH_OBJECT_MAX_METADATA_BYTES = 10 << 20, /* as libostree has it */
	ASH_OBJECT_MAX_HEADER_BYTES = 1 << 20,
	ASH_OBJECT_CHECKSUM_BYTES = 32,
};

typedef enum {
	ASH_OBJECT_COMMIT,
	ASH_OBJECT_DIRTREE,
	ASH_OBJECT_DIRMETA,
	ASH_OBJECT_FILE,
} AshObjectKind;

/* "commit", "dirtree", "dirmeta", and "filez" in an archive, "file" in a bare repository. */
const char *ash_object_suffix(AshObjectKind kind, bool is_archive);

/* "ab/cdef….dirtree", below objects/. */
char *ash_object_path(AshObjectKind kind, const char *checksum, bool is_archive);

/* A question: 64 lower-case digits? */
bool ash_object_is_checksum(const char *text);

typedef void (*AshObjectVisit)(AshObjectKind kind, const char *checksum, gpointer data);

/* ash_object_visit: what @bytes, a commit or dirtree, refers to directly; commits: not their parent.
 * On failure some may have been visited.
 */
gboolean ash_object_visit(AshObjectKind kind, GBytes *bytes, AshObjectVisit visit, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_object_check_file: is the .filez at @fd's position the content object @checksum? At most
 * @max_bytes are unpacked, none of them kept.
 */
gboolean ash_object_check_file(int fd, const char *checksum, uint64_t max_bytes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
