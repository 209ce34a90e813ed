/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

/* What kind of machine this is, for the fleet's list of hosts: lib/checkin.h has the names. From /proc, /sys,
 * /etc/machine-id and uname(2); a fact that cannot be told is left out. Nothing here is secret: of the machine id, which
 * others may use as a key, only a hash is told. The address is ashlar-checkin's to add, which has a network.
 *
 * Facts change seldom: free space is told in steps of a 64th of the disk.
 */

/* Members into the open object. @root: "" for this machine; @hostname: NULL, the kernel's. */
void ash_fleet_facts_add(JsonBuilder *builder, const char *root, const char *hostname);
