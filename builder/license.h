/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stddef.h>

/* The licences of a package, from its debian/copyright in the machine-readable format 1.0 (DEP-5).
 * PURE.
 *
 * What comes out is an SPDX licence expression over all Files paragraphs: every licence that some
 * file of the package has, joined by AND, in byte order, none twice. Debian's short names become SPDX
 * identifiers where both mean one text; whatever else a package calls a licence becomes a
 * LicenseRef-NAME. Nothing is guessed: a bare "GPL", or a copyright file for people, gives no answer.
 */

enum {
	/* More than this gives "". */
	ASH_LICENSE_MAX_BYTES = 8 << 20,
	ASH_LICENSE_MAX_SYNOPSES = 2000, /* different ones */
	ASH_LICENSE_MAX_SYNOPSIS_BYTES = 1024,
};

/* "" when the file is not machine-readable. Newly allocated, ASCII. */
char *ash_license_expression(const char *copyright_text, size_t size);
