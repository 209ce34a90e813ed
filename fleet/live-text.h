/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

/* Texts that many hosts share, each there once and counted. Hosts say new ones for ever (boots, names, versions), so
 * what nobody holds any more goes. From any thread.
 *
 * A text is a plain const char * that must have come from here before it is given back here.
 */

/* A reference; "" for NULL. */
const char *ash_live_text_take(const char *text);
/* One more of a text that is held. */
void ash_live_text_ref(const char *text);
void ash_live_text_unref(const char *text);
/* The one "" that all share. */
const char *ash_live_text_empty(void);
/* How many different ones there are. */
uint64_t ash_live_text_count(void);
