/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <json-glib/json-glib.h>

#include "fleet/route.h"

extern const AshRoute ash_api_webhook_routes[];

/* What an import makes webhooks with. 400. */
gboolean ash_api_webhook_check_url(const char *url, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_api_webhook_check_kinds(JsonArray *kinds, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* In the open writing transaction, with its audit. @kinds: checked JSON text. */
gboolean ash_api_webhook_insert(AshRequest *request, const char *url, const char *kinds,
		const char *note, char **out_id, char **out_secret, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
