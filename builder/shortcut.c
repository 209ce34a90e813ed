/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/shortcut.h"

#include <fcntl.h>
#include <string.h>

#include "lib/file.h"

const char *const ash_shortcut_leftovers[] = {
		"ashlar-update-ca-certificates", "ashlar-deb-systemd-helper", NULL};

/* The files of builder/shortcuts/, as they are; the Makefile knows that this object depends on them. */
#define EMBED(symbol, path)                                                                        \
	__asm__(".pushsection .rodata\n"                                                           \
		".global ash_shortcut_" #symbol "\n"                                               \
		"ash_shortcut_" #symbol ": .incbin \"" path "\"\n"                                 \
		".byte 0\n"                                                                        \
		".popsection\n");                                                                  \
	extern const char ash_shortcut_##symbol[]

EMBED(update_certs, "builder/shortcuts/update-ca-certificates");
EMBED(systemd_helper, "builder/shortcuts/deb-systemd-helper");

static const struct {
	const char *name;
	const char *path; /* of the real program */
	const char *interpreter;
	const char *text;
} shortcuts[] = {
		{"update-ca-certificates", "usr/sbin/update-ca-certificates", "usr/bin/perl",
				ash_shortcut_update_certs},
		{"deb-systemd-helper", "usr/bin/deb-systemd-helper", "bin/sh",
				ash_shortcut_systemd_helper},
};

gboolean ash_shortcut_write(const char *dir, GError **error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(shortcuts); i++) {
		g_autofree char *path = g_build_filename(dir, shortcuts[i].name, NULL);
		if (!ash_file_replace(AT_FDCWD, path, shortcuts[i].text, strlen(shortcuts[i].text),
				    0755, error))
			return FALSE;
	}
	return TRUE;
}

void ash_shortcut_add_binds(
		GStrvBuilder *binds, const AshTree *tree, const char *checkout, const char *dir)
{
	for (size_t i = 0; i < G_N_ELEMENTS(shortcuts); i++) {
		const AshNode *real = ash_tree_find(tree, shortcuts[i].path);
		if (real == NULL || real->kind != ASH_NODE_FILE ||
				ash_tree_resolve(tree, shortcuts[i].interpreter, NULL) == NULL)
			continue;
		g_autofree char *aside = g_strdup_printf(
				"%s/%s:/ashlar-%s", checkout, shortcuts[i].path, shortcuts[i].name);
		g_autofree char *over = g_strdup_printf(
				"%s/%s:/%s", dir, shortcuts[i].name, shortcuts[i].path);
		g_strv_builder_add(binds, aside);
		g_strv_builder_add(binds, over);
	}
}
