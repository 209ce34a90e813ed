/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/ext4.h"
#include "builder/tree.h"

/* The plan of a root file system that is an OSTree sysroot with one deployment. PURE: a commit's tree
 * and objects in, a list of inodes for builder/ext4.h out.
 *
 *	/boot/loader -> loader.0
 *	/boot/loader.0/entries/ostree-1.conf        what libostree reads; the firmware never does
 *	/ostree/repo                                mode bare, all objects of the commit, its refs
 *	/ostree/deploy/ashlar/deploy/COMMIT.0       files are hard links to the objects
 *	/ostree/deploy/ashlar/deploy/COMMIT.0.origin
 *	/ostree/deploy/ashlar/var                   empty
 *	/ostree/boot.0 -> boot.0.0
 *	/ostree/boot.0.0/ashlar/BOOTCSUM/0 -> ../../../deploy/ashlar/deploy/COMMIT.0
 *	/ostree/by-commit/COMMIT.0 -> ../deploy/ashlar/deploy/COMMIT.0
 *
 * The machine boots by an entry on the ESP that names the link in by-commit, which never changes.
 * libostree knows of no such link: it takes its list of deployments from /boot/loader/entries, whose
 * `ostree=` must lead through boot.N, and finds the booted one by the device and inode of '/'. So
 * both ways lead to the same directory.
 *
 * /etc of the deployment is a copy of /usr/etc with inodes of its own, for it may be written to.
 * The deployment's own directory is immutable, as libostree makes it: nothing can be added to '/'.
 */

#define ASH_SYSROOT_ERROR (ash_sysroot_error_quark())
GQuark ash_sysroot_error_quark(void);

typedef enum {
	ASH_SYSROOT_ERROR_OBJECTS, /* tree and objects do not belong together */
	ASH_SYSROOT_ERROR_LAYOUT,  /* no /usr, or an /etc beside /usr/etc */
} AshSysrootError;

/* The name of the one stateroot. */
#define ASH_SYSROOT_NAME "ashlar"

typedef struct {
	char *name;    /* "ab/cdef….file" */
	uint64_t size; /* in bytes; for files of the tree it is taken from there */
} AshSysrootObject;

typedef struct {
	const AshTree *tree;        /* with sizes */
	const GPtrArray *objects;   /* AshSysrootObject, sorted by name, each once */
	const char *commit;         /* 64 digits */
	const char *ref;            /* "host/NAME" */
	const char *title;          /* for the loader entry */
	const char *version;        /* may be "" */
	const char *kernel_release; /* NULL: no loader entry */
	const char *boot_checksum; /* 64 digits: of the kernel and the initramfs, as libostree has it */
	const char *kernel_options; /* without ostree= */
	const char *source_prefix;  /* of AshExt4Inode.source: "objects/" */
} AshSysrootInput;

/* ash_sysroot_plan:
 * @out_inodes: AshExt4Inode; index 0 is '/'; sources are source_prefix and the object's name
 */
gboolean ash_sysroot_plan(const AshSysrootInput *input, GPtrArray **out_inodes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* "/ostree/by-commit/COMMIT.0", for the kernel's command line. */
char *ash_sysroot_ostree_argument(const char *commit);

AshSysrootObject *ash_sysroot_object_new(const char *name, uint64_t size);
void ash_sysroot_object_free(AshSysrootObject *object);
