/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/yaml.h"

/* Addresses of workloads: IPv4 ranges, the owner's settings, and who gets which. PURE.
 *
 * All workloads of a host share one private range; the first address of it is the gateway that each of them
 * has, the others are given out, one to an instance: always the same as long as it is remembered, else
 * the one that its name hashes to, or the next that is free.
 */

typedef struct {
	uint32_t address; /* host's byte order, the bits behind the prefix are 0 */
	unsigned prefix;
} AshNetRange;

/* Questions. "192.0.2.7" is the range of one. */
bool ash_net_range_find(const char *text, AshNetRange *out_range);
bool ash_net_range_has(const AshNetRange *range, uint32_t address);
/* Inside what no workload may ever reach: loopback, link-local (so the metadata service of clouds),
 * multicast, "this" network.
 */
bool ash_net_range_is_never(const AshNetRange *range);
bool ash_net_address_is_never(uint32_t address);
char *ash_net_address_text(uint32_t address);

/* The owner's /etc/ashlar/network.yaml; every key may be missing:
 *
 *	range: 10.213.0.0/16             private, /12 to /24
 *	bridged:                         what instances of mode bridged have; others bring their own client
 *	  - {instance: web, address: 192.0.2.9/24, gateway: 192.0.2.1}
 */
typedef struct {
	char *instance;
	uint32_t address, gateway; /* 0: none */
	unsigned prefix;
} AshNetStatic;

typedef struct {
	AshNetRange range;
	GPtrArray *bridged; /* AshNetStatic */
} AshNetSettings;

enum {
	ASH_NET_SETTINGS_MAX_BYTES = 64 << 10,
	ASH_NET_MAX_REMEMBERED = 8192, /* instances of old whose address is kept for them */
};

/* @text NULL: there is no file. ASH_NET_ERROR_REFUSED, ASH_YAML_ERROR. */
gboolean ash_net_settings_parse(const char *file, GBytes *text, AshNetSettings **out_settings,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_net_settings_free(AshNetSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshNetSettings, ash_net_settings_free)

/* Who had what, oldest first. */
typedef struct {
	char *instance;
	uint32_t address;
} AshNetLease;
GPtrArray *ash_net_leases_new(void); /* of AshNetLease */
void ash_net_leases_add(GPtrArray *leases, const char *instance, uint32_t address);

/* ash_net_assign: gives each of @instances an address of @range. @leases is brought up to date: who is
 * wanted now is at its end; leases of others are dropped when they are too many, or no address is left.
 * @out_addresses: in the order of @instances. ASH_NET_ERROR_FULL.
 */
gboolean ash_net_assign(const AshNetRange *range, GPtrArray *leases, const char *const *instances,
		uint32_t **out_addresses, GError **error) G_GNUC_WARN_UNUSED_RESULT;
