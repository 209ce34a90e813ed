/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "fleet/route.h"
#include "fleet/selector.h"

/* Which hosts a request may see, for answers that count or list many: what ash_route_may_host says of one. */

typedef struct {
	AshSelector *selector; /* NULL: all */
	int64_t now;
} AshScope;

gboolean ash_scope_init(AshRequest *request, AshScope *out_scope, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_scope_clear(AshScope *scope);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshScope, ash_scope_clear)

bool ash_scope_has(const AshScope *scope, const AshHost *host);

/* A question: are all hosts that @selector matches now of the request's? To be asked before what goes to them is
 * changed.
 */
gboolean ash_scope_covers(AshRequest *request, const char *selector, bool *out_covers,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What @selector may stand for in what the request writes down: in its canonical form, within the request's scope. It may
 * be more than is read again. ASH_SELECTOR_ERROR. Newly allocated.
 */
gboolean ash_scope_narrow(AshRequest *request, const char *selector, char **out_selector,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
