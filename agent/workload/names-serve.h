/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "agent/workload/names.h"

/* The resolver of workloads, two processes. The parent has the network's privileges and reads nothing that
 * comes from it: it opens the doors (port 53 of each gateway), reads the state when ashlar-net has changed it, and
 * puts addresses into the sets of the rules when the child asks for it, and the owner's egress says so. The
 * child has none: it reads what workloads and resolvers send.
 */

enum {
	ASH_NAMES_MAX_PENDING =
			256, /* forwarded questions at a time; beyond that they are dropped */
	ASH_NAMES_MAX_STREAMS = 64,
	ASH_NAMES_MAX_OF_ONE = 64, /* forwarded questions of one workload */
};

/* What the child wants of the parent, who answers with one byte: 1 it is done. */
typedef struct {
	uint32_t number; /* of the wire */
	uint32_t ttl_s;
	uint32_t count;
	uint32_t addresses[ASH_NAMES_MAX_ADDRESSES];
	char name[ASH_NAMES_NAME_BYTES];
} AshNamesOrder;

typedef struct {
	unsigned space;
	int udp, tcp;
} AshNamesDoor;

/* The child's life; returns when @orders is closed, or something is wrong. @servers: of uint32_t */
gboolean ash_names_serve(const AshNetPlan *plan, const AshNamesDoor *doors, unsigned count,
		const GArray *servers, int orders, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* `ashlar-net names`: until SIGTERM. @user: whom the child is. */
gboolean ash_names_run(const char *root, const char *user, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
