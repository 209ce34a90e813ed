/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The lists that depmod makes of a kernel's modules: modules.dep, modules.alias, modules.builtin,
 * modules.softdep. PURE: text in, values out. The text may be anything: lines that make no sense are
 * passed over, as kmod does, and more lines than ASH_KMOD_MAX_LINES are an error.
 *
 * In names of modules '-' and '_' are the same; all names given out have '_'.
 */

#define ASH_KMOD_ERROR (ash_kmod_error_quark())
GQuark ash_kmod_error_quark(void);

typedef enum {
	ASH_KMOD_ERROR_TOO_MANY,  /* lines */
	ASH_KMOD_ERROR_NOT_FOUND, /* a wanted module is neither in the tree nor in the kernel */
} AshKmodError;

enum {
	ASH_KMOD_MAX_LINES = 1 << 18,
};

typedef struct {
	char *name;      /* "virtio_blk" */
	char *path;      /* "kernel/drivers/block/virtio_blk.ko.xz" */
	GPtrArray *deps; /* of char *: paths as modules.dep has them, the last is loaded first */
} AshKmodModule;

typedef struct AshKmod AshKmod;

/* Any text may be NULL (no such file). */
gboolean ash_kmod_parse(GBytes *dep, GBytes *alias, GBytes *builtin, GBytes *softdep,
		AshKmod **out_kmod, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_kmod_free(AshKmod *kmod);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshKmod, ash_kmod_free)

/* "kernel/fs/ext4/ext4.ko.xz" → "ext4", "crc32c-intel" → "crc32c_intel" */
char *ash_kmod_name(const char *path);

/* By name or by path; NULL when there is none. Borrowed. */
const AshKmodModule *ash_kmod_find(const AshKmod *kmod, const char *name);
const AshKmodModule *ash_kmod_find_path(const AshKmod *kmod, const char *path);

bool ash_kmod_is_builtin(const AshKmod *kmod, const char *name);

/* ash_kmod_closure: adds to @modules (of const AshKmodModule *, borrowed) what @name needs, in the
 * order of loading, and it itself at the end: hard dependencies, and the soft ones that are wanted
 * before or after it. Each module is there once. @name may be an alias ("crypto-crc32c"): all modules
 * that answer to it are added. Says whether there was a module.
 */
bool ash_kmod_closure(const AshKmod *kmod, const char *name, GPtrArray *modules);

/* The soft dependencies that @name wants loaded first (of char *), or NULL. Borrowed. */
const GPtrArray *ash_kmod_softdeps(const AshKmod *kmod, const char *name);

/* Calls @visit for each line of modules.alias. */
typedef void (*AshKmodVisitAlias)(const char *pattern, const char *module, gpointer data);
void ash_kmod_each_alias(const AshKmod *kmod, AshKmodVisitAlias visit, gpointer data);

/* All names, NULL-terminated, sorted; free with g_free, the names are borrowed. */
const char **ash_kmod_names(const AshKmod *kmod);
