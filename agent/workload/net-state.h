/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "agent/workload/net-plan.h"

/* What is remembered of the network: on disk the addresses given and the document applied last (the resolver
 * and `repair` read it), in /run what belongs to this boot. All below a root, for tests.
 */

enum {
	ASH_NET_STATE_MAX_BYTES = 2 * ASH_NET_MAX_BYTES,
};

typedef struct {
	AshNet *net;       /* never NULL */
	GPtrArray *leases; /* AshNetLease */
} AshNetState;

gboolean ash_net_state_load(const char *root, AshNetState **out_state, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_net_state_save(const char *root, const AshNetState *state, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_net_state_free(AshNetState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshNetState, ash_net_state_free)

gboolean ash_net_settings_load(const char *root, AshNetSettings **out_settings, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The plan of @net: takes up new leases in @state, which is to be saved before the plan is carried out. */
gboolean ash_net_state_plan(const char *root, AshNetState *state, const AshNet *net,
		const AshNetSettings *settings, AshNetPlan **out_plan, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Who holds it is the only one that changes anything; until the descriptor is closed. */
gboolean ash_net_lock(const char *root, int *out_fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#define ASH_NET_NOTES "/run/ashlar/net"

/* A text of this boot, below ASH_NET_NOTES; NULL when there is none. */
gboolean ash_net_note_load(const char *root, const char *name, char **out_text, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* @text NULL removes it. */
gboolean ash_net_note_save(const char *root, const char *name, const char *text, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ROOT/run/ashlar/netns/INSTANCE */
char *ash_net_space_path(const char *root, const char *instance);
