/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/scope.h"

#include "fleet/server.h"

gboolean ash_scope_init(AshRequest *request, AshScope *out_scope, GError **error)
{
	out_scope->selector = NULL;
	out_scope->now = request->server->now();
	return *request->scope == '\0' ||
	       ash_selector_parse(request->scope, &out_scope->selector, error);
}

void ash_scope_clear(AshScope *scope)
{
	g_clear_pointer(&scope->selector, ash_selector_unref);
}

bool ash_scope_has(const AshScope *scope, const AshHost *host)
{
	return scope->selector == NULL || ash_selector_matches(scope->selector, host, scope->now);
}
