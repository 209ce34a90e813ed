/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Entries of the boot loader: text and names, and which one would boot. PURE; agent/esp.h has the
 * files. Format: Boot Loader Specification type 1; counting: systemd's Automatic Boot Assessment.
 *
 *	/loader/entries/ashlar-GENERATION-COMMIT8[+LEFT[-DONE]].conf      on the ESP
 *		title Ashlar NAME VERSION
 *		version VERSION
 *		sort-key ashlar-INVERSE       8 digits: 99999999 - GENERATION
 *		architecture x64
 *		linux /ashlar/COMMIT16/vmlinuz
 *		initrd /ashlar/COMMIT16/initramfs.img
 *		options … ostree=/ostree/by-commit/COMMIT.SERIAL
 *
 * systemd-boot takes the first by: entries with no tries left last; sort-key ascending (those without
 * one after all others); version, then file name, descending. So the highest generation boots, and to
 * go back to an older deployment is to write one new file for it. The image's own entry has
 * generation 0 and any name. A deployment is named by what is in `options`, never by the file's name.
 *
 * Text is read as forgivingly as systemd-boot reads it: what it would boot must not be overlooked. Only
 * what cannot be text is refused. Lines that are not known here are lost when an entry is written anew.
 */

#define ASH_BOOT_ENTRY_ERROR (ash_boot_entry_error_quark())
GQuark ash_boot_entry_error_quark(void);

typedef enum {
	ASH_BOOT_ENTRY_ERROR_SYNTAX, /* FILE:LINE: … */
	ASH_BOOT_ENTRY_ERROR_NAME, /* not a name of an entry: the boot loader passes it over too */
} AshBootEntryError;

enum {
	ASH_BOOT_ENTRY_MAX_BYTES = 16 << 10,
	ASH_BOOT_ENTRY_MAX_TRIES = 9,
	ASH_BOOT_ENTRY_MAX_GENERATION = 99999999,
};

typedef struct {
	char *file;     /* name in /loader/entries, with its counter */
	int tries_left; /* -1: not counted */
	int tries_done;
	char *title, *version, *sort_key, *architecture; /* NULL when missing */
	char *machine_id;               /* orders entries of several systems; ours have none */
	char *linux_path, *initrd_path; /* "/ashlar/…"; NULL when missing */
	char *options;                  /* "" when missing */
	uint32_t generation;            /* from sort-key; 0 when it has another form */
	char *commit;                   /* from options; NULL: no deployment of ours */
	unsigned serial;
} AshBootEntry;

gboolean ash_boot_entry_parse(const char *file, GBytes *text, AshBootEntry **out_entry,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The file's text; from all fields but file, tries, generation of parsing (sort_key wins if set). */
char *ash_boot_entry_format(const AshBootEntry *entry);
/* "ostree=/ostree/by-commit/COMMIT.SERIAL", a question. */
bool ash_boot_entry_parse_link(const char *word, char **out_commit, unsigned *out_serial);

/* "ashlar-GENERATION-COMMIT8[+LEFT[-DONE]].conf" */
char *ash_boot_entry_name(uint32_t generation, const char *commit, int tries_left, int tries_done);
/* @file with another counter; tries_left -1 takes it away. */
char *ash_boot_entry_rename(const char *file, int tries_left, int tries_done);
void ash_boot_entry_free(AshBootEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshBootEntry, ash_boot_entry_free)

/* As systemd-boot 257 orders them; the first is what boots without a menu. */
int ash_boot_entry_compare(gconstpointer a, gconstpointer b);

/* ash_boot_entry_options: the options for a new deployment on this machine
 * @old_options: of an entry that works here
 * @old_arguments, @new_arguments: ashlar.kernel-arguments of the two commits
 *
 * What the image or the host's owner added to the old commit's arguments (root=, console=) stays.
 */
char *ash_boot_entry_options(const char *old_options, const char *const *old_arguments,
		const char *const *new_arguments, const char *commit, unsigned serial);
