/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Where the host document comes from (agent/hostdoc.h has the list), and its text. Nothing is written,
 * nothing is judged but that it can be read: a source that is there and cannot be read is an error, and
 * the sources after it are not asked, so that a damaged disk cannot bring an old document back.
 */

typedef struct {
	const char *root;        /* "" for this machine */
	const char *credentials; /* $CREDENTIALS_DIRECTORY; NULL: systemd's own, below @root */
	const char *seed;        /* a directory to take for the seed disk; NULL: look for one */
	/* Called once, when no disk with a label is there: to wait for those that still come. May be
	 * NULL.
	 */
	void (*wait_for_disks)(void);
} AshProvisionPlaces;

typedef struct {
	const char *source;  /* "credential", "disk", "esp", "none" */
	char *where;         /* for messages: "/dev/sr0 (cidata): user-data"; NULL with "none" */
	GBytes *text;        /* NULL with "none"; ends in NUL */
	GPtrArray *warnings; /* text: what was left aside */
} AshProvisionSource;

void ash_provision_source_free(AshProvisionSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshProvisionSource, ash_provision_source_free)

/* ash_provision_source_find: also on failure *out_source says which source it was; its text is NULL. */
gboolean ash_provision_source_find(const AshProvisionPlaces *places,
		AshProvisionSource **out_source, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_provision_source_add_hostname: @document with "hostname: @name" as its first key, in the style
 * that it is written in; as it is when it has a host name, or is none. PURE.
 */
GBytes *ash_provision_source_add_hostname(GBytes *document, const char *name);
