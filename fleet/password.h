/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Passwords as they are kept: argon2id, 64 MiB, three passes (RFC 9106's choice for little memory), in libargon2's own
 * text form. The one file that may include argon2.h.
 *
 * A password is checked by two threads at most, and two more wait: log-ins can neither take all memory nor all of the
 * server's threads.
 */

#define ASH_PASSWORD_ERROR (ash_password_error_quark())
GQuark ash_password_error_quark(void);
typedef enum {
	ASH_PASSWORD_ERROR_BUSY,   /* enough are being checked: again in a second */
	ASH_PASSWORD_ERROR_FAILED, /* no memory, or what is kept is not of this form */
} AshPasswordError;

enum {
	ASH_PASSWORD_MEMORY_KIB = 64 << 10,
	ASH_PASSWORD_PASSES = 3,
};

gboolean ash_password_hash(const char *password, char **out_kept, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* @kept NULL or "": nobody's: takes as long, and answers no. */
gboolean ash_password_verify(const char *kept, const char *password, bool *out_is_right,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
