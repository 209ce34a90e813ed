/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "fleet/route.h"

/* What the API functions about operators, sessions and tokens share. */

/* 400 unless it is a role that people have, and a selector; admins have no scope. */
gboolean ash_api_operator_check_role(const char *role, const char *scope, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* A password of the body as it is kept; NULL without the member. 400, 503. */
gboolean ash_api_operator_hash(AshRequest *request, const char *member, char **out_kept,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

extern const AshRoute ash_api_operator_routes[];
extern const AshRoute ash_api_session_routes[];
extern const AshRoute ash_api_token_routes[];
