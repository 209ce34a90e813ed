/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/workload/net-plan.h"

/* Namespaces, interfaces, addresses and routes: rtnetlink. The seam of libmnl.
 *
 * A place is one network namespace, held open. What a function does in a place needs no more than its
 * socket; files below /proc/sys are those of the namespace that this thread is in, so places are entered for
 * them. Every failure is ASH_NET_ERROR_SYSTEM.
 */

typedef struct {
	int fd; /* the namespace */
	struct mnl_socket *socket;
	unsigned sequence;
} AshNetPlace;

/* @path NULL: the namespace that this process is in. The process is back in its own afterwards. */
gboolean ash_net_place_open(const char *path, AshNetPlace **out_place, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_net_place_free(AshNetPlace *place);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshNetPlace, ash_net_place_free)
gboolean ash_net_place_enter(const AshNetPlace *place, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A question: is @path a namespace that is still there? */
bool ash_net_space_is(const char *path);
/* Makes @path a new namespace; what was left there half made is taken over. The process stays in the new one. */
gboolean ash_net_space_make(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_net_space_remove(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* net/… below /proc/sys, of the namespace that this process is in. Where there is no such setting (a kernel
 * without IPv6), there is nothing to do.
 */
gboolean ash_net_sysctl(const char *value, GError **error, const char *format, ...)
		G_GNUC_PRINTF(3, 4) G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	char name[ASH_NET_INTERFACE_BYTES];
	int index, master;
	bool is_up, is_isolated;
	uint8_t mac[ASH_NET_MAC_BYTES];
	char *alias;
} AshNetDevice;

/* @out_devices: name → AshNetDevice */
gboolean ash_net_devices(AshNetPlace *place, GHashTable **out_devices, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* @out_lines: a set of "ashw12 10.213.0.1/32", and "10.213.0.12/32 dev ashw12" for routes, "default via
 * 10.213.0.1 dev eth0"; IPv4.
 */
gboolean ash_net_addresses(AshNetPlace *place, GHashTable *devices, GHashTable **out_lines,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Makes a pair: @name in @place, ASH_NET_INNER in the namespace @inner_fd. Both are down. */
gboolean ash_net_pair_make(AshNetPlace *place, const char *name, const uint8_t *mac, int inner_fd,
		const uint8_t *inner_mac, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* @mac NULL: that of its ports. One that is there already stays as it is. */
gboolean ash_net_bridge_make(AshNetPlace *place, const char *name, const uint8_t *mac,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A tap device that stays, of @uid; the process is in the namespace. */
gboolean ash_net_tap_make(const char *name, uint32_t uid, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_net_device_remove(AshNetPlace *place, const char *name, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_net_device_index(AshNetPlace *place, const char *name, int *out_index, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

gboolean ash_net_device_up(AshNetPlace *place, const char *name, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_net_device_join(AshNetPlace *place, const char *name, int bridge, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Of a port of a bridge: isolated ports see none but those that are not. */
gboolean ash_net_device_isolate(AshNetPlace *place, const char *name, bool is_wanted,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_net_device_label(AshNetPlace *place, const char *name, const char *alias,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_net_address_add(AshNetPlace *place, int index, uint32_t address, unsigned prefix,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* @gateway, @source 0: none; @prefix 0: to everywhere. */
gboolean ash_net_route_add(AshNetPlace *place, int index, uint32_t to, unsigned prefix,
		uint32_t gateway, uint32_t source, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A neighbour that is known, so that nobody else can say that he is it. */
gboolean ash_net_neighbour_add(AshNetPlace *place, int index, uint32_t address, const uint8_t *mac,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What leaves by the device, bytes a second; 0: no limit any more. */
gboolean ash_net_limit(AshNetPlace *place, int index, uint64_t bandwidth_bytes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
