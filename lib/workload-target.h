/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "lib/tuf.h"

/* Signed definitions of workloads among TUF's targets: "workload/NAME/VERSION.json". PURE. */

/* "workload/NAME/VERSION.json" */
char *ash_workload_target_path(const char *name, const char *version);

/* ash_workload_target_choose: of @targets (AshTufTarget), the definition of @name in version @wanted ("" for
 * the newest). NULL when there is none. Borrowed.
 */
const AshTufTarget *ash_workload_target_choose(
		const GPtrArray *targets, const char *name, const char *wanted, char **out_version);
