/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/bus.h"

/* ashlar-link's part in the fleet: when to check in. What is said and what comes of it is for ashlard, how it is said
 * for ashlar-checkin, a process that ends; so this sleeps with next to no memory (docs/decisions/0009).
 *
 *	asleep ──time, or news from ashlard──▸ FleetReport ▸ ashlar-checkin ▸ FleetAnswer ──▸ asleep
 *
 * What is new is brought there at once. Then ashlar-checkin waits there for what the fleet wants next, and is ended and
 * begun again when ashlard has news meanwhile. A server that does not let it wait says when to come again. When the fleet is not reached, the pause doubles from 5 s to 15 minutes, half of it by
 * chance; Retry-After rules over that, and news does not shorten it. The first check-in comes up to 20 s after the
 * start, so that hosts that were switched on together do not come together.
 *
 * ASHLAR_WAIT in the environment (seconds, for tests) stands for the 15 minutes and the 20 s, a tenth of it for the 5 s.
 */

typedef struct AshLinkFleet AshLinkFleet;

/* Uses the bus's timer. @checkin: absolute; @identity: of agent/fleet-identity.h. Borrowed, all three. */
AshLinkFleet *ash_link_fleet_new(AshBus *bus, const char *checkin, const char *identity);
void ash_link_fleet_free(AshLinkFleet *fleet);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshLinkFleet, ash_link_fleet_free)

/* Watches the property Fleet. */
gboolean ash_link_fleet_begin(AshLinkFleet *fleet, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* PURE: the pause after @failures failures in a row (1: the first), in microseconds.
 * @chance: 0 to 1; @asked_s: what the server asked for, 0: nothing
 */
int64_t ash_link_fleet_pause_us(unsigned failures, double chance, int64_t asked_s, int64_t max_s);
