/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

/* How long metadata counts, as options have it: a number with s, m, h or d behind it; days without. At
 * most ten years, at least a second. @option is for the message (ASH_CLI_ERROR_USAGE); @text may be
 * NULL, then it is @otherwise_s.
 */
gboolean ash_lifetime_parse(const char *text, const char *option, int64_t otherwise_s,
		int64_t *out_seconds, GError **error) G_GNUC_WARN_UNUSED_RESULT;

enum {
	ASH_LIFETIME_DAY_S = 24 * 60 * 60,
};
