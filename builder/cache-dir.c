/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/cache-dir.h"

#include <glib.h>
#include <unistd.h>

char *ash_cache_dir_default(void)
{
	if (geteuid() == 0)
		return g_strdup("/var/cache/ashlar");
	return g_build_filename(g_get_user_cache_dir(), "ashlar", NULL);
}
