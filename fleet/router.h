/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "fleet/route.h"

/* Which route a path and method mean. Patterns: segments between '/', each a word, {name} for any one segment, or, as
 * the last, {name*} for all the rest. Of several that fit, the one whose words come first rules: /v1/hosts/count before
 * /v1/hosts/{id}. Built once, never changed. PURE.
 */
typedef struct AshRouter AshRouter;

enum {
	ASH_ROUTER_MAX_PATH = 2048,
	ASH_ROUTER_MAX_SEGMENTS = 24,
};

AshRouter *ash_router_new(const AshRoute *const *routes);
void ash_router_free(AshRouter *router);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRouter, ash_router_free)

typedef struct {
	const AshRoute *route; /* NULL: none */
	unsigned index;        /* of the route: 0, 1… in the arrays' order */
	GPtrArray *parts;      /* what stood for {…}; "%2F" and "%25" in it are decoded here */
	char *allow; /* when only the method does not fit: those that do, for the header Allow; NULL: none */
} AshRouterMatch;

/* HEAD is GET. @path as ash_http_path has it. */
void ash_router_match(const AshRouter *router, const char *method, const char *path,
		AshRouterMatch *out_match);
void ash_router_match_clear(AshRouterMatch *match);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshRouterMatch, ash_router_match_clear)

unsigned ash_router_count(const AshRouter *router);
const AshRoute *ash_router_at(const AshRouter *router, unsigned index);
