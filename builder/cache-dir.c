/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/cache-dir.h"

#include <glib.h>
#include <unistd.h>

char *ash_cache_dir_default(void)
{
	const char *dir = g_getenv("ASHLAR_CACHE");

	if (dir != NULL && *dir != '\0')
		return g_canonicalize_filename(dir, NULL);
	if (geteuid() == 0)
		return g_strdup("/var/cache/ashlar");
	return g_build_filename(g_get_user_cache_dir(), "ashlar", NULL);
}
