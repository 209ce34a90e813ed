/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Settings of ashlar-fleetd: DIR/fleetd.yaml, every key with a default, so that an empty directory will do.
 *
 *	listen: "[::]:8443"            names: [fleet.example.org]    of the server's certificate, beside the hostname
 *	database: sqlite:fleet.db      (in DIR), or postgres:…
 *	certificate: FILE  key: FILE   somebody else's; without: the fleet's own CA makes it and renews it
 *	proxy: {certificate: SHA256}   a proxy in front ends TLS; its pinned client certificate
 *	content: DIR                   the publication that is served below /content/; default DIR/content
 *	poll: 5min                     hosts without long-poll, and how long a long-poll is kept
 *	certificate_life: 90d          silent_after: 15min     "not heard of" on the page
 *	max_hosts: 1000000  rate: {hosts: 0, operators: 50}    requests a second; 0: as fast as they can be served
 *	max_connections: 0             0: what the limit of open files allows
 *	retention: {events: 90d, ledgers: 365d, audit: 730d}       0: for ever; fleet/retention.h
 *	metrics: {open: false}         true: GET /metrics without a token
 *	ddi: {enabled: false, gateway_token: …}    fleetlock: {open: false}
 */
typedef struct AshFleetConfig AshFleetConfig;

#define ASH_FLEET_CONFIG_ERROR (ash_fleet_config_error_quark())
GQuark ash_fleet_config_error_quark(void);
typedef enum {
	ASH_FLEET_CONFIG_ERROR_SYNTAX, /* file:line:column, key, what was expected */
} AshFleetConfigError;

struct AshFleetConfig {
	char *dir, *listen, *database, *certificate, *key, *proxy_certificate, *content;
	char **names;
	int64_t poll_s, certificate_life_s, silent_after_s;
	int64_t keep_events_s, keep_ledgers_s, keep_audit_s; /* 0: for ever */
	uint64_t max_hosts, rate_hosts, rate_operators;
	uint64_t max_connections; /* 0: what the limit of open files allows, 200,000 at most */
	bool metrics_open, ddi_enabled, fleetlock_open;
	char *ddi_gateway_token; /* NULL: none */
};

enum {
	ASH_FLEET_CONFIG_MAX_BYTES = 64 << 10,
};

/* @file: for messages, and what @dir-relative paths are made of @dir. */
gboolean ash_fleet_config_parse(const char *file, GBytes *text, const char *dir,
		AshFleetConfig **out_config, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* DIR/fleetd.yaml; without one, the defaults. */
gboolean ash_fleet_config_load(const char *dir, AshFleetConfig **out_config, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_fleet_config_free(AshFleetConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshFleetConfig, ash_fleet_config_free)
