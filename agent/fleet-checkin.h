/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

/* One check-in with the fleet (lib/checkin.h): joins first if there is no certificate, renews it when two thirds of its
 * life are over. What ashlar-checkin does and ends; ashlar-link starts it and passes on what it says.
 *
 * Input:  {"report":{…},    ashlard's (agent/daemon-tell.c)
 *          "memory":"…",    what the one before has left for us; "" for none
 *          "lost":N,        check-ins since then that ended without a result
 *          "wait":S}        so long the server may keep the answer back
 * Result: as agent/fleet-answer.h has it, with "waited":B, whether the server was told to wait (it is not while there is
 *         something to say), and "again":B, whether there is more to say than what was said.
 *
 * The memory says which facts, state and health the fleet has acknowledged, so that they are not sent again, and which
 * numbers are left for check-ins. When it is lost, all is sent once more.
 */

enum {
	ASH_FLEET_CHECKIN_MAX_INPUT = 4 << 20,
	ASH_FLEET_CHECKIN_MAX_LINE = 700 << 10, /* of a result */
};

/* @dir: of agent/fleet-identity.h. Always a line, without a newline. */
char *ash_fleet_checkin_run(const char *dir, const char *input);
