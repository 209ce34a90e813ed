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

typedef struct {
	const AshScope *scope;
	const AshSelector *selector;
	bool is_outside;
} Cover;

static bool look_outside(const AshHost *host, gpointer data)
{
	Cover *cover = data;

	cover->is_outside = ash_selector_matches(cover->selector, host, cover->scope->now) &&
			    !ash_scope_has(cover->scope, host);
	return !cover->is_outside;
}

gboolean ash_scope_covers(
		AshRequest *request, const char *selector, bool *out_covers, GError **error)
{
	g_autoptr(AshSelector) asked = NULL;
	g_auto(AshScope) scope = {0};
	Cover cover = {.scope = &scope};

	if (*request->scope != '\0') {
		if (!ash_scope_init(request, &scope, error) ||
				!ash_selector_parse(selector, &asked, error))
			return FALSE;
		cover.selector = asked;
		ash_live_each(request->server->live, look_outside, &cover);
	}
	*out_covers = !cover.is_outside;
	return TRUE;
}

gboolean ash_scope_narrow(
		AshRequest *request, const char *selector, char **out_selector, GError **error)
{
	g_autoptr(AshSelector) asked = NULL, scope = NULL;

	if (!ash_selector_parse(selector, &asked, error) ||
			!ash_selector_parse(request->scope, &scope, error))
		return FALSE;
	g_autoptr(AshSelector) both = ash_selector_and(scope, asked);
	*out_selector = ash_selector_format(both);
	return TRUE;
}
