/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "fleet/event.h"
#include "fleet/route.h"

/* What API functions that change something have in common. */

/* What is to be done, within the transaction; nothing of it stays when it fails. */
typedef gboolean (*AshChange)(AshRequest *request, gpointer data, GError **error);

/* One writing transaction around @change, then whoever listens to the stream is woken. */
gboolean ash_change_run(AshRequest *request, AshChange change, gpointer data, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Appends an event of this request's actor. */
gboolean ash_change_event(AshRequest *request, const char *kind, const char *text, const char *data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Gives @error the code of an answer when it is of @domain and @code (-1: any); returns FALSE. */
gboolean ash_change_answer(GError **error, GQuark domain, int code, AshRouteError answer);

/* ash_change_require_reason: 400 without. */
gboolean ash_change_require_reason(AshRequest *request, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A text member of the body, or @otherwise; 400 above @max bytes or with control characters but newline. */
gboolean ash_change_text(AshRequest *request, const char *member, size_t max, const char *otherwise,
		const char **out_text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Within 0 to @max; or @otherwise. */
gboolean ash_change_number(AshRequest *request, const char *member, int64_t max, int64_t otherwise,
		int64_t *out_number, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* "123" of a path or argument, from 0; @otherwise for NULL and "". */
gboolean ash_change_parse(const char *text, int64_t otherwise, int64_t *out_number, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
