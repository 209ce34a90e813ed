/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

/* The tables in the kernel, in the network namespace that this process is in. The seam of libnftables. */

/* One transaction: all of @text or nothing. ASH_NET_ERROR_SYSTEM. */
gboolean ash_net_table_run(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What is in our tables, as lines, without counters and what comes and goes in the sets of names; "" where
 * there are none.
 */
gboolean ash_net_table_list(char **out_text, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What the sets of names hold: set → elements, with the time that each has left. */
gboolean ash_net_table_names(GHashTable **out_kept, GError **error) G_GNUC_WARN_UNUSED_RESULT;
