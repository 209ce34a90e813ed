/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

/* One-statement error paths on top of GError.
 *
 * Every fallible function returns gboolean (or a pointer) and takes a GError **. A failing
 * branch is one statement:
 *
 *	return ash_throw(error, ASH_LOCK_ERROR, ASH_LOCK_ERROR_SYNTAX, "line %u: …", line);
 *	return ash_throw_errno(error, "renameat(%s)", name);
 *
 * A callee that knows what it is working on adds that once per scope:
 *
 *	ASH_PREFIX("reading %s", path);
 *
 * so that messages read from the outside in: "reading host.lock: line 3: …".
 */

/* Sets @error and returns FALSE, always. */
gboolean ash_throw(GError **error, GQuark domain, int code, const char *format, ...)
		G_GNUC_PRINTF(4, 5);

/* The same for functions that return a pointer. */
gpointer ash_throw_null(GError **error, GQuark domain, int code, const char *format, ...)
		G_GNUC_PRINTF(4, 5);

/* ash_throw_errno: reads errno before anything else; the domain is G_IO_ERROR with the code that
 * GLib maps errno to, the message "FORMAT: strerror".
 */
gboolean ash_throw_errno(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* For ASH_PREFIX only. */
typedef struct {
	GError **error;
	char *text;
} AshErrorPrefix;

AshErrorPrefix ash_error_prefix_begin(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
void ash_error_prefix_end(AshErrorPrefix *prefix);

/* Needs a variable `error` of type GError ** in scope. */
#define ASH_PREFIX(...)                                                                            \
	__attribute__((cleanup(ash_error_prefix_end)))                                             \
	G_GNUC_UNUSED AshErrorPrefix ash_error_prefix_auto =                                       \
			ash_error_prefix_begin(error, __VA_ARGS__)

/* The analyzer sees one file at a time and would follow paths on which these return something else. */
#if defined(__clang_analyzer__) && !defined(ASH_ERROR_IS_DEFINED_HERE)
#define ash_throw(...) (ash_throw(__VA_ARGS__), FALSE)
#define ash_throw_errno(...) (ash_throw_errno(__VA_ARGS__), FALSE)
#define ash_throw_null(...) (ash_throw_null(__VA_ARGS__), NULL)
#endif
