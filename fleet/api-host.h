/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <json-glib/json-glib.h>

#include "fleet/live.h"
#include "fleet/route.h"
#include "fleet/selector.h"

/* What the files of /v1/hosts share. */

/* {id} of the path: the whole id; 404 for hosts outside of the operator's scope. Freed with the request. */
gboolean ash_api_host_id(AshRequest *request, const char **out_id, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* HOST of the API, into the open object. @reason: of its state; "" */
void ash_api_host_add(JsonBuilder *json, const AshHost *host, const char *reason);
/* The argument or member "selector" and the scope. Both to be unreferenced. */
gboolean ash_api_host_selectors(AshRequest *request, const char *text, AshSelector **out_selector,
		AshSelector **out_scope, GError **error) G_GNUC_WARN_UNUSED_RESULT;
