/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/workload/instance.h"

/* Between the files of instance. */

/* The class that it would really run in. ASH_LAUNCH_ERROR_REFUSED, when that is not what it asks for. */
gboolean ash_instance_effective(const AshLaunch *launch, AshIsolationClass *out_effective,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

bool ash_instance_is_machine(const AshLaunch *launch);

/* Best effort, whole or not at all. */
void ash_instance_write(int dir_fd, const char *name, const char *text);
