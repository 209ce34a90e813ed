/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "agent/boot-entry.h"
#include "agent/ostree.h"
#include "agent/worker.h"

/* The deployments on the disk. One is made of
 *
 *	/ostree/deploy/ashlar/deploy/COMMIT.SERIAL        the tree, immutable but for /etc
 *	/ostree/by-commit/COMMIT.SERIAL                   a link to it, made once, never changed
 *	ESP /ashlar/COMMIT16/{vmlinuz,initramfs.img}
 *	ESP /loader/entries/….conf                        one entry; more after a power cut
 *
 * and ref ashlar/deployed/COMMIT says that every object of the commit was read back once.
 */

#define ASH_DEPLOYMENT_TREES "ostree/deploy/ashlar/deploy"
#define ASH_DEPLOYMENT_LINKS "ostree/by-commit"
#define ASH_DEPLOYMENT_ESP "/ashlar"
#define ASH_DEPLOYMENT_REF "ashlar/deployed/"

typedef struct {
	char *name; /* "COMMIT.SERIAL" */
	char *commit;
	unsigned serial;
	bool is_booted, has_link;
	const AshBootEntry *entry; /* the first that names it, borrowed from the list; or NULL */
} AshDeployment;

void ash_deployment_free(AshDeployment *deployment);

/* A question: is @name one of a deployment? */
bool ash_deployment_parse_name(const char *name, char **out_commit, unsigned *out_serial);

/* Is @commit 64 lower-case digits? */
bool ash_deployment_is_commit(const char *commit);

/* ash_deployment_list:
 * @entries: AshBootEntry, as ash_esp_list has them; outlives the result
 *
 * All whose tree is there (AshDeployment), as the boot loader would try them; those without an entry
 * last.
 */
gboolean ash_deployment_list(const AshWorker *worker, const GPtrArray *entries,
		GPtrArray **out_deployments, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The first of @deployments with @commit, or NULL. */
const AshDeployment *ash_deployment_find(const GPtrArray *deployments, const char *commit);

/* A question: would the machine get as far as the deployment's init by @entry? It has tries, kernel and
 * initramfs are there and not empty, its link leads to a tree with a /usr.
 */
bool ash_deployment_is_bootable(const AshWorker *worker, const AshBootEntry *entry);

/* "/ashlar/COMMIT16/vmlinuz", "…/initramfs.img" */
char *ash_deployment_esp_path(const char *commit, const char *file);

/* The verb. */
gboolean ash_deployment_inspect(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
