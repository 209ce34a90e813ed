/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "fleet/release.h"
#include "fleet/route.h"

/* What the API functions about releases and packages share. */

/* The release that stands at @index of the path. 404, 409. */
gboolean ash_api_release_get(AshRequest *request, unsigned index, AshFleetRelease **out_release,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Answers with release @id. */
gboolean ash_api_release_reply(AshRequest *request, int64_t id, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* "host 1.2.0 for amd64" */
char *ash_api_release_title(const AshFleetRelease *release);
/* Audit and event: @kind "release.added"… */
gboolean ash_api_release_tell(AshRequest *request, const char *kind, int64_t id, const char *before,
		const char *after, const char *what, GError **error) G_GNUC_WARN_UNUSED_RESULT;

extern const AshRoute ash_api_release_routes[];
extern const AshRoute ash_api_release_add_routes[];
extern const AshRoute ash_api_package_routes[];
