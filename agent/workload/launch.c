/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/launch.h"

#include "lib/error.h"

G_DEFINE_QUARK(ash_launch_error, ash_launch_error)

void ash_launch_free(AshLaunch *launch)
{
	if (!launch)
		return;
	g_free(launch->instance);
	g_free(launch->dir);
	g_free(launch->root);
	g_free(launch->image_digest);
	g_free(launch->cache);
	g_free(launch->machine.kernel);
	g_free(launch->machine.initrd);
	g_free(launch->machine.arguments);
	g_strfreev(launch->machine.modules);
	g_strfreev(launch->command);
	g_strfreev(launch->environment);
	g_free(launch->directory);
	g_free(launch->netns);
	g_free(launch->tap);
	g_free(launch->kernel);
	g_free(launch->address);
	g_free(launch->gateway);
	g_free(launch->mac);
	g_strfreev(launch->hosts);
	g_strfreev(launch->nameservers);
	g_clear_pointer(&launch->binds, g_ptr_array_unref);
	g_strfreev(launch->capabilities);
	g_strfreev(launch->devices);
	g_strfreev(launch->calls_added);
	g_strfreev(launch->calls_removed);
	g_strfreev(launch->calls_only);
	g_free(launch);
}
