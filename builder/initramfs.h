/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#include "builder/repo.h"
#include "builder/tree.h"

/* The initramfs of a host: an archive around one static program (agent/initrd.h), the modules that
 * a disk may need, and ostree-prepare-root with its libraries.
 *
 *	/init                              ashlar-initrd
 *	/usr/sbin/modprobe → ../../init    the kernel's requests for modules end there too
 *	/etc/modules                       what is loaded whatever the devices say, in order
 *	/etc/initrd-release                the mark by which programs know where they are
 *	/usr/lib/ostree/ostree-prepare-root, prepare-root.conf, libraries
 *	/usr/lib/modules/RELEASE/…         .ko files, modules.dep, modules.alias
 *
 * The archive is not compressed and holds no compressed module, so that the next release's differs
 * in few bytes, and what stores or sends it may compress it. Its bytes depend on the tree, the
 * options and the init program, and on nothing else. docs/decisions/0003-own-initramfs.md has the
 * reasons and the figures.
 */

#define ASH_INITRAMFS_ERROR (ash_initramfs_error_quark())
GQuark ash_initramfs_error_quark(void);

typedef enum {
	ASH_INITRAMFS_ERROR_NO_KERNEL,  /* the tree has no modules.dep for this release */
	ASH_INITRAMFS_ERROR_NO_MODULE,  /* a module that was asked for is not in the tree */
	ASH_INITRAMFS_ERROR_NO_LIBRARY, /* ostree-prepare-root needs something the tree lacks */
	ASH_INITRAMFS_ERROR_NO_INIT,    /* init_path is no static program */
	ASH_INITRAMFS_ERROR_TOO_BIG,
} AshInitramfsError;

typedef struct {
	const char *kernel_release;
	const char *const *modules; /* NULL-terminated, or NULL: wanted beside the default list;
				       loaded at boot, in this order */
	const char *init_path;      /* of ashlar-initrd on the build machine */
} AshInitramfsOptions;

/* ash_initramfs_compose: the archive for the host whose root is @tree, contents from @repo. */
gboolean ash_initramfs_compose(AshRepo *repo, const AshTree *tree,
		const AshInitramfsOptions *options, GBytes **out_cpio, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ash_initramfs_digest: SHA-256 in hexadecimal of all that the archive can depend on: the same digest
 * means the same archive. Reads nothing but the tree and the init program. It covers every library of
 * the tree, so it changes a little more often than the archive does.
 */
gboolean ash_initramfs_digest(const AshTree *tree, const AshInitramfsOptions *options,
		char **out_digest, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same composition from anything that has paths and contents; what the two above are made of. */
typedef struct {
	/* The path of the regular file that @path leads to, links followed, or NULL. */
	char *(*resolve)(gpointer data, const char *path);
	/* Its content; @path as resolve gave it. */
	gboolean (*read)(gpointer data, const char *path, size_t max_bytes, GBytes **out_bytes,
			GError **error);
	gpointer data;
} AshInitramfsSource;

gboolean ash_initramfs_compose_from(const AshInitramfsSource *source,
		const AshInitramfsOptions *options, GBytes **out_cpio, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The default list, ended by a NULL name. */
typedef struct {
	const char *name;
	bool is_loaded_always; /* no device asks for it by itself */
	const char *reason;
} AshInitramfsModule;

extern const AshInitramfsModule ash_initramfs_modules[];
