/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "agent/workload/net-link.h"

/* One wire, from nothing to a workload that can be started on it. A wire is right when the alias of its
 * outer end is its label, which is put there last: what a kill or a power cut has left is made again.
 */

/* What is in one place. */
typedef struct {
	AshNetPlace *place;
	GHashTable *devices; /* name → AshNetDevice */
	GHashTable *lines;   /* addresses and routes */
} AshNetView;

gboolean ash_net_view_open(const char *path, AshNetView **out_view, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_net_view_refresh(AshNetView *view, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_net_view_free(AshNetView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshNetView, ash_net_view_free)

/* What is wrong with the outer end, as words to be freed; NULL: nothing. */
char *ash_net_wire_fault(const AshNetPlan *plan, const AshNetWire *wire, const AshNetView *outer);
/* The same for the inner end; *out_fault NULL: nothing. The process comes back to @home. */
gboolean ash_net_wire_fault_inside(const AshNetWire *wire, const char *path, char **out_fault,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Makes the pair and what is inside; the outer end is down. @is_provider: its namespace forwards. The process
 * comes back to @home.
 */
gboolean ash_net_wire_make(const AshNetWire *wire, const char *path, bool is_provider,
		AshNetView *outer, const AshNetPlace *home, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* When the rules are there: the outer end comes up. The process is in its place. */
gboolean ash_net_wire_start(const AshNetPlan *plan, const AshNetWire *wire, AshNetPlace *place,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What a wire or a bridge that is kept may have to have otherwise than before; the process is in its place. */
gboolean ash_net_set_loopback(const char *interface, bool has_loopback, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

char *ash_net_bridge_fault(
		const AshNetPlan *plan, const AshNetBridge *bridge, const AshNetView *host);
gboolean ash_net_bridge_start(const AshNetPlan *plan, const AshNetBridge *bridge,
		AshNetPlace *place, GError **error) G_GNUC_WARN_UNUSED_RESULT;
