/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where caches are kept when no option says: $ASHLAR_CACHE, else /var/cache/ashlar for root, else
 * $XDG_CACHE_HOME/ashlar (~/.cache/ashlar). Newly allocated; the directory need not exist.
 */
char *ash_cache_dir_default(void);
