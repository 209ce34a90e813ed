/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Windows of time in which something may happen: "Sat,Sun 02:00-05:00 Europe/Berlin". PURE: the
 * instant comes from the caller, time zones from the system's database (GTimeZone).
 *
 *	[DAYS] HH:MM-HH:MM [ZONE]       DAYS: Mon, Mon-Fri, Sat,Sun (default: every day); ZONE: an IANA
 *	                                name or UTC (default: UTC)
 *
 * A window that ends at or before its begin ends on the next day. Where clocks are put forward over a
 * begin or end, it is the first instant after the gap; where they are put back, the begin is the
 * first and the end the last of the two.
 */

#define ASH_WINDOW_ERROR (ash_window_error_quark())
GQuark ash_window_error_quark(void);

typedef enum {
	ASH_WINDOW_ERROR_SYNTAX,
	ASH_WINDOW_ERROR_ZONE, /* no such time zone on this machine */
} AshWindowError;

typedef struct AshWindow AshWindow;

gboolean ash_window_parse(const char *text, AshWindow **out_window, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
char *ash_window_format(const AshWindow *window);
void ash_window_free(AshWindow *window);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshWindow, ash_window_free)

/* ash_window_next: over several windows (AshWindow; none: always open)
 * @now_s: seconds since 1970
 * @out_open: is one open now
 * @out_change_s: when that changes; INT64_MAX: never
 */
void ash_window_next(
		const GPtrArray *windows, int64_t now_s, bool *out_open, int64_t *out_change_s);
