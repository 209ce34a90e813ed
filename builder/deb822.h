/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* Debian control data (deb822(5)): paragraphs of "Field: value" lines, separated by empty lines, as in
 * package indices, Release files, *.sources, and the control file of a .deb.
 *
 * A push parser: text comes in pieces of any size and each whole paragraph goes to a callback, so that
 * an index of 50 MB needs the memory of its largest paragraph. Strict: a line that is neither a field
 * nor a continuation, a NUL byte, a field given twice, or a paragraph above the limits is an error with
 * its line number. Lines that begin with '#' are comments.
 *
 *	g_autoptr(AshDeb822) parser = ash_deb822_new("Packages", max, on_paragraph, data);
 *	while (…) if (!ash_deb822_feed(parser, piece, size, error)) …
 *	if (!ash_deb822_finish(parser, error)) …
 */

#define ASH_DEB822_ERROR (ash_deb822_error_quark())
GQuark ash_deb822_error_quark(void);

typedef enum {
	ASH_DEB822_ERROR_SYNTAX,
	ASH_DEB822_ERROR_LIMIT, /* a paragraph has too many bytes or fields */
} AshDeb822Error;

enum {
	ASH_DEB822_MAX_FIELDS = 128,
	ASH_DEB822_MAX_STANZA_BYTES = 1 << 20, /* a good maximum for a package's paragraph */
};

typedef struct {
	const char *name; /* as written */
	char *value;      /* without blanks at both ends; lines after the first keep their blank */
	unsigned line;
} AshField;

/* Valid during the callback only; values may be written to. */
typedef struct {
	const AshField *fields;
	size_t count;
	unsigned line; /* of the first field */
} AshParagraph;

typedef gboolean (*AshDeb822Callback)(
		const AshParagraph *paragraph, gpointer closure, GError **error);

typedef struct AshDeb822 AshDeb822;

/* @what: for messages, which begin "WHAT:LINE: " */
AshDeb822 *ash_deb822_new(const char *what, size_t max_paragraph_bytes, AshDeb822Callback callback,
		gpointer closure);
void ash_deb822_free(AshDeb822 *parser);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshDeb822, ash_deb822_free)

gboolean ash_deb822_feed(AshDeb822 *parser, const void *data, size_t size, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The text has ended; the last paragraph needs no empty line behind it. */
gboolean ash_deb822_finish(AshDeb822 *parser, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* All of it at once. */
gboolean ash_deb822_parse(const char *what, GBytes *text, size_t max_paragraph_bytes,
		AshDeb822Callback callback, gpointer closure, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The value of field @name, in any case of letters; NULL when there is none. */
const char *ash_paragraph_get(const AshParagraph *paragraph, const char *name);

/* The value split at blanks and line ends; empty without the field. */
char **ash_paragraph_get_words(const AshParagraph *paragraph, const char *name);
