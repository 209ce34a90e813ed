/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "lib/workload.h"

/* Routes: who may reach whose service, written by the host's owner in /etc/ashlar/routes.yaml:
 *
 *	routes:
 *	  - {from: web, service: db, to: postgres}
 *	  - {from: web, service: metrics, to: collector, as: statsd}      provided under another name
 *
 * A workload that `requires` a service is not started before a route for it leads to a workload that
 * `provides` it. PURE, but for load.
 */

#define ASH_ROUTES_ERROR (ash_routes_error_quark())
GQuark ash_routes_error_quark(void);

typedef enum {
	ASH_ROUTES_ERROR_VALUE, /* FILE:LINE:COLUMN: … */
	ASH_ROUTES_ERROR_LIMIT,
	ASH_ROUTES_ERROR_UNROUTED, /* a requirement has no route; the message has it */
	ASH_ROUTES_ERROR_BROKEN,   /* a route leads nowhere */
	ASH_ROUTES_ERROR_SCOPE,    /* a user workload names a system one, or the like */
} AshRoutesError;

#define ASH_ROUTES_FILE "/etc/ashlar/routes.yaml"

enum {
	ASH_ROUTES_MAX_BYTES = 256 << 10,
	ASH_ROUTES_MAX = 1024,
};

typedef struct {
	char *from, *service, *to,
			*as; /* as: the name at the provider, mostly the same as service */
} AshRoute;

typedef struct {
	GPtrArray *routes; /* AshRoute */
} AshRoutes;

AshRoutes *ash_routes_new(void);
void ash_routes_free(AshRoutes *routes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRoutes, ash_routes_free)

gboolean ash_routes_parse(const char *file, GBytes *text, AshRoutes **out_routes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* A file that is not there has no routes. */
gboolean ash_routes_load(const char *root, AshRoutes **out_routes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

const AshRoute *ash_routes_find(const AshRoutes *routes, const char *from, const char *service);

/* Finds a workload's definition by its name; NULL: there is none. */
typedef const AshWorkload *(*AshRoutesLookup)(const char *name, gpointer data);

/* Where one requirement leads. */
typedef struct {
	const AshWorkloadService *required, *provided; /* borrowed */
	const AshRoute *route;                         /* borrowed */
} AshRouteLink;

/* ash_routes_resolve: each of @workload's requirements, in its order (AshRouteLink). A socket is routed to a
 * socket, a call to a call.
 */
gboolean ash_routes_resolve(const AshRoutes *routes, const AshWorkload *workload,
		AshRoutesLookup lookup, gpointer data, GPtrArray **out_links, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
