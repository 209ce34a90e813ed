/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/workload.h"

/* Images for who runs workloads: whom to ask, with what, and what the answers say. Holds no libostree and no
 * network, so that a daemon can use it.
 *
 *	1. an `oci:` image that is not here: `ashlar-fetch image`, as the user ashlar-link, with
 *	   ash_registry_order (agent/workload/registry-order.h) on stdin; ends in staging, and says the digest
 *	2. `ashlar-worker image-import` with ash_image_import_order: ends in the repository, and says the commit
 *	   and what the image says of how it is run (ash_image_parse)
 *	3. `ashlar-worker image-checkout` with ash_image_checkout_order: the tree is at ash_image_path
 *	4. `ashlar-worker image-clean` with the commits of all definitions that may be started again
 *
 * Each may be killed and given again. 2 without 1 is tried first: an image that is here (by its digest) is
 * found without the network, and the word "missing" says that 1 is needed. Tags are looked up again by each 1.
 */

/* For ashlar-worker's stdin. @digest: what step 1 said, or ""; then that of the definition counts. */
char *ash_image_import_order(const AshWorkloadImage *image, const char *digest);
char *ash_image_checkout_order(const char *commit);
/* @commits: char *, no two the same or not. */
char *ash_image_clean_order(const GPtrArray *commits);

/* What image-import says. Lists are NULL-terminated, never NULL; texts "" when the image says nothing. */
typedef struct {
	char *commit;
	char *digest;   /* "sha256:…" of the manifest; "" for a tree of `ashlar build` */
	uint64_t bytes; /* of its layers, unpacked */
	uint64_t layers, unpacked; /* … how many of them were not here before */
	char *notes; /* what was left out: "1 devices, pipes or sockets (dev/sda)"; "" */
	char **entrypoint, **command, **environment, **labels;
	char *directory, *user, *stop_signal;
} AshImage;

/* @json: the object that ashlar-worker's "result" is. */
gboolean ash_image_parse(const char *json, AshImage **out_image, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The same object again, to be kept. */
char *ash_image_format(const AshImage *image);
void ash_image_free(AshImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshImage, ash_image_free)

/* Where image-checkout puts it. @sysroot: ASH_PATH_SYSROOT, with a test's root before it. For root alone. */
char *ash_image_path(const char *sysroot, const char *commit);

/* What is run: the definition's command in place of entry point and command, the definition's variables over the
 * image's. A PATH is always there. PURE, newly allocated.
 */
char **ash_image_fill_command(const AshImage *image, char *const *command);
char **ash_image_fill_environment(const AshImage *image, char *const *environment);

#define ASH_IMAGE_USER_ERROR (ash_image_user_error_quark())
GQuark ash_image_user_error_quark(void);

typedef enum {
	ASH_IMAGE_USER_ERROR_UNKNOWN, /* no such user or group in the image */
	ASH_IMAGE_USER_ERROR_FILE,    /* passwd or group cannot be read */
} AshImageUserError;

enum {
	ASH_IMAGE_MAX_PASSWD_BYTES = 1 << 20,
};

/* Who "user", "user:group", "1000", "1000:1000", "user:1000" and "" (root) are. PURE.
 * @passwd, @group: of the image; NULL: it has none. Without a group it is the user's own; 0 for a number that
 * passwd does not have.
 */
gboolean ash_image_find_user(GBytes *passwd, GBytes *group, const char *user, uint32_t *out_uid,
		uint32_t *out_gid, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same of a tree, whose links lead nowhere but into it. */
gboolean ash_image_load_user(const char *path, const char *user, uint32_t *out_uid,
		uint32_t *out_gid, GError **error) G_GNUC_WARN_UNUSED_RESULT;
