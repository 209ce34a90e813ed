/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For a process that is about to sleep for minutes, or that has just started and will use little of what that took:
 * gives back what it can have again when it wakes up, freed heap and the
 * pages of programs and libraries, which are in files. Best effort; costs a few page faults later.
 */
void ash_fleet_rest(void);
