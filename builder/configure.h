/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/package.h"
#include "builder/repo.h"
#include "builder/tree.h"
#include "lib/progress.h"

/* Runs the packages' maintainer scripts, once, in the sandbox: preinst of each package that has one,
 * then `dpkg --configure -a`. What they changed is applied to @tree.
 *
 * Order of the preinst scripts: Pre-Depends and Depends first, names break ties; base-passwd's comes
 * before all, it makes /etc/passwd. All files are unpacked already, so each script finds what it
 * may call.
 *
 * Initramfs generators are bound over by `true`: the image's initramfs is made later, once
 * (Debian's own hooks make it twice). Everything is reproducible: SOURCE_DATE_EPOCH is set, and
 * what still carries a time or a random number is removed from the result (see configure.c).
 */

#define ASH_CONFIGURE_ERROR (ash_configure_error_quark())
GQuark ash_configure_error_quark(void);

typedef enum {
	ASH_CONFIGURE_ERROR_SCRIPT, /* a maintainer script failed; the message has its last words */
	ASH_CONFIGURE_ERROR_DPKG,   /* the tree has no dpkg or no shell to run scripts with */
} AshConfigureError;

/* A question: has any of them a script to run? */
bool ash_configure_is_needed(const GPtrArray *packages);

typedef struct {
	uint64_t now_s; /* what scripts that ask for SOURCE_DATE_EPOCH are told the time is */
	AshProgress *progress; /* a step is open; or NULL */
	bool has_shortcuts; /* programs known to be slow are replaced by equal ones, see configure.c */
} AshConfigureOptions;

/* @checkout: a checkout of @tree; @scratch: an empty directory. @repo has an open transaction. */
gboolean ash_configure(AshRepo *repo, const GPtrArray *packages, const char *checkout,
		const char *scratch, const AshConfigureOptions *options, AshTree *tree,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The script that the sandbox runs; pure, for tests and for keys of the cache. */
char *ash_configure_script(const GPtrArray *packages);
