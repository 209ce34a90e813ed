/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Ctrl-C and SIGTERM, turned into an ordinary error.
 *
 * A program that calls ash_interrupt_install() does not die in the middle of a step: long loops ask
 * ash_interrupt_check(), lib/spawn and lib/fetch wait on ash_interrupt_fd(), and all of them fail
 * with G_IO_ERROR_CANCELLED, so that cleanups run and the cache stays whole. A second signal ends
 * the process at once (the cache survives kill -9 too, this is only tidier).
 */

void ash_interrupt_install(void);

/* True once a signal came. */
bool ash_interrupt_pending(void);

/* Fails with G_IO_ERROR_CANCELLED once a signal came. Cheap; any thread. */
gboolean ash_interrupt_check(GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Waits, but not longer than until a signal comes: then it fails as ash_interrupt_check. */
gboolean ash_interrupt_pause(unsigned ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A descriptor that is readable once a signal came, for poll(); -1 before _install(). Do not read
 * from it: it stays readable for everyone.
 */
int ash_interrupt_fd(void);
