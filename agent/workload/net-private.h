/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/workload/net.h"

/* Between the files of net: net.c is what is wanted and whether it can be, net-json.c how it is written. */

AshNetInstance *ash_net_instance_new(void);
void ash_net_port_add(AshWorkloadNetwork *network, const char *address, uint64_t host_port,
		uint64_t number, bool is_udp);
void ash_net_egress_add(AshWorkloadNetwork *network, const char *target, bool target_is_name,
		uint64_t port, bool is_udp);
/* @text NULL: "". */
void ash_net_set_text(char **slot, const char *text);
