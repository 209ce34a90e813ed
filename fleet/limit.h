/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Token buckets: each key may do @rate things a second, and @burst at once after a rest. A table of one size for ever:
 * when it is full, the key that has rested longest makes room. PURE but for its own memory; any thread.
 */
typedef struct AshLimit AshLimit;

/* @rate 0: nobody is limited. */
AshLimit *ash_limit_new(uint64_t rate, uint64_t burst);
void ash_limit_free(AshLimit *limit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshLimit, ash_limit_free)

/* May @key do one more at @now_us? No: *out_retry_s is when it may, 1 at least. */
bool ash_limit_take(AshLimit *limit, const char *key, int64_t now_us, unsigned *out_retry_s);
