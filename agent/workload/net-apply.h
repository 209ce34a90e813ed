/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "agent/workload/net.h"

/* What ashlar-net does to the host. Needs CAP_NET_ADMIN and CAP_SYS_ADMIN; the process is alone in it, since it
 * goes from namespace to namespace.
 *
 * At each instant in between, and after a kill or a power cut, no workload reaches more than the old or the
 * new document says: outer ends are down until the rules are there, and the rules change in one
 * transaction for each namespace. The next apply finishes what was left.
 */

/* @net NULL: what was applied last. @is_thorough: looks into each namespace too. @out_links: AshNetLink */
gboolean ash_net_apply(const char *root, const AshNet *net, bool is_thorough, GPtrArray **out_links,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What is not as the document that was applied last has it:
 *	{"drift": [{"kind": "rule", "where": "host", "what": "…", "change": "removed"}]}
 * kinds rule, link, namespace, setting; change removed, added, differs. @out_is_drift: is there any?
 */
gboolean ash_net_drift(const char *root, char **out_json, bool *out_is_drift, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Removes all that is ours; addresses stay remembered. */
gboolean ash_net_clear(const char *root, GError **error) G_GNUC_WARN_UNUSED_RESULT;
