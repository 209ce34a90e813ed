/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdint.h>

#include "fleet/cli-client.h"

/* Server-sent events, as the server's streams have them: "event: KIND", "id: SEQ", "data: {…}", an empty line. An event
 * has 1 MiB at most; comments (": …") are signs of life.
 */

/* @kind: "message" where none was said. @event NULL: what came at once has been handed over, or nothing came but a sign
 * of life; so that who draws does it once. FALSE ends the stream: without an error it has seen enough.
 */
typedef gboolean (*AshCliEach)(const char *kind, JsonObject *event, gpointer data, GError **error);

/* GET @path once, until its end or until @each ends it. */
gboolean ash_cli_stream_read(AshCliClient *client, const char *path, AshCliEach each, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* GET /v1/stream behind @after, -1: from now on, until @each ends it. A connection that ends is made anew behind the last
 * event that came, with pauses.
 */
gboolean ash_cli_stream_follow(AshCliClient *client, int64_t after, AshCliEach each, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
