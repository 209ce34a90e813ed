/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "lib/workload.h"

/* What the host itself listens on. A published port would take it away, and nobody would be told: packets are
 * redirected before a socket sees them, so the kernel does not refuse what bind() would be refused for.
 */

/* @directory: tcp, tcp6, udp and udp6 as in /proc/net; what cannot be read has nothing. Fails with
 * ASH_NET_ERROR_CLASH, where a port of @network is one that a socket listens on, at an address that meets it.
 */
gboolean ash_net_listen_check(const char *directory, const AshWorkloadNetwork *network,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
