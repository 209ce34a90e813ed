/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/worker.h"

/* What the machine boots next. libostree's own deployments are not used: they are two links that swap and
 * must agree with files on another file system (ostreedev/ostree#2283). Here a deployment is named by one
 * link that is made once; the switch is one file that appears on the ESP (agent/deployment.h).
 *
 * At every instant of every function the boot loader's first entry that has tries is whole: its kernel,
 * initramfs, link and tree are on the disk.
 */

/* The verbs. */
gboolean ash_deploy_run(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_deploy_switch(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_deploy_bless(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_deploy_condemn(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
