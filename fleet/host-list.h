/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/live.h"
#include "fleet/selector.h"

/* Pages of hosts out of memory: each page looks at all hosts once and keeps no more than it has room for. A page goes on
 * behind the place of the last host of the one before, so hosts that change meanwhile are not told twice unless they
 * moved.
 */

#define ASH_HOST_LIST_ERROR (ash_host_list_error_quark())
GQuark ash_host_list_error_quark(void);
typedef enum {
	ASH_HOST_LIST_ERROR_REQUEST, /* no such order, or not a place in it */
} AshHostListError;

typedef struct {
	AshSelector *selector; /* NULL: all; borrowed */
	AshSelector *scope;    /* NULL: all; borrowed */
	const char *sort; /* name, seen (latest first), health (worst first), version; "" is name */
	const char *after; /* "" from the beginning */
	unsigned limit;
	int64_t now_s;
} AshHostQuery;

/* @out_hosts: copies, in order, at most limit. @out_next: 'after' of the next page; NULL: there is none. */
gboolean ash_host_list(AshLive *live, const AshHostQuery *query, GArray **out_hosts,
		char **out_next, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* All ids that match: AshHostId each, in no order. */
typedef struct {
	uint8_t id[ASH_HOST_ID_BYTES];
} AshHostId;
GArray *ash_host_list_ids(AshLive *live, const AshHostQuery *query);
