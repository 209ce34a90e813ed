/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

/* What status does a URL have just now? One GET, by libcurl: no redirect, no proxy, no second try, and
 * not a byte of the body. The counterpart of lib/fetch.h, which wants the content and tries hard.
 */

#define ASH_PROBE_ERROR (ash_probe_error_quark())
GQuark ash_probe_error_quark(void);

typedef enum {
	ASH_PROBE_ERROR_NO_ANSWER, /* name, connection, TLS, or not HTTP; curl's words */
	ASH_PROBE_ERROR_TIMEOUT,   /* not within timeout_ms */
} AshProbeError;

/* @url: http: or https:; @out_status: 100 to 999, whatever it is. */
gboolean ash_fetch_probe(const char *url, uint32_t timeout_ms, unsigned *out_status, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
