/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Where the passphrase of keys comes from: a file, the file that $ASHLAR_KEY_PASSPHRASE_FILE names, or
 * the terminal; never the command line, which everybody on the machine can read. Free with
 * ash_passphrase_free, which wipes it.
 */

#define ASH_PASSPHRASE_ERROR (ash_passphrase_error_quark())
GQuark ash_passphrase_error_quark(void);

typedef enum {
	ASH_PASSPHRASE_ERROR_NONE,     /* there is no file and no terminal */
	ASH_PASSPHRASE_ERROR_EMPTY,    /* or not one line of text */
	ASH_PASSPHRASE_ERROR_MISTYPED, /* the second time it was another */
} AshPassphraseError;

enum {
	ASH_PASSPHRASE_MAX_BYTES = 1024,
};

/* @file: the first line of it, or NULL for the variable and then the terminal.
 * @what: to ask for, "the new keys"; @is_new: ask twice
 */
gboolean ash_passphrase_read(const char *file, const char *what, bool is_new, char **out_passphrase,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_passphrase_free(char *passphrase);
