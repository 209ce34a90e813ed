/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/repo.h"
#include "builder/tree.h"

/* Enabling, disabling and masking systemd units in a tree, as `systemctl --root` would, but in
 * memory: the links in /etc/systemd/system that follow from [Install]. Semantics: systemd.unit(5),
 * "[Install] section options"; systemd.preset(5).
 */

#define ASH_UNITS_ERROR (ash_units_error_quark())
GQuark ash_units_error_quark(void);

typedef enum {
	ASH_UNITS_ERROR_NO_UNIT,    /* no such unit in the tree, with the nearest names */
	ASH_UNITS_ERROR_NO_INSTALL, /* it has no [Install] section: nothing says how to enable it */
	ASH_UNITS_ERROR_MASKED, /* a unit file of the manifest stands where the mask should go */
} AshUnitsError;

enum {
	ASH_UNITS_MAX_BYTES = 1 << 20, /* one unit file */
};

/* @name may be an instance, "getty@tty1.service". */
gboolean ash_units_enable(AshRepo *repo, AshTree *tree, const char *name, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Removes the links that enabling made, by whoever. */
void ash_units_disable(AshTree *tree, const char *name);

gboolean ash_units_mask(AshTree *tree, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Applies the presets of the tree (/etc/systemd/system-preset, /usr/lib/systemd/system-preset; the
 * first line that matches decides, none: enable) to every unit with an [Install] section.
 */
gboolean ash_units_preset_all(AshRepo *repo, AshTree *tree, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
