/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/yaml.h"

/* The host document: what one machine is told when it is made, as YAML. And the settings of the agent,
 * which are its `updates:` and `workloads:` parts and may also stand in agent.d (agent/paths.h).
 *
 *	hostname: web-3                      RFC 1123, at most 64 bytes
 *	updates:
 *	  url: https://updates.example/host  where 'ashlar publish' put it; none: no checks
 *	  ca: |                              PEM; believed instead of the system's for this url
 *	  check: 1h                          how often (default 1h, 1min to 7d), plus up to a tenth
 *	  automatic: true                    false: only when 'ashlarctl update' says so (default true); in a
 *	                                     fleet true means what the fleet wants, and nothing else
 *	  windows: ["Sat,Sun 02:00-05:00 Europe/Berlin"]     when it may reboot (default: always)
 *	  rate-limit: 500KiB                 a second; 0: none (default)
 *	  tries: 3                           boots that a new deployment gets (default 3, 1 to 9)
 *	  keep: 2                            good deployments that stay (default 2, 2 to 8)
 *	network:                             each becomes a networkd unit; none: DHCP everywhere
 *	  - match: {name: "en*"}             or mac: 52:54:00:…
 *	                                     (wired interfaces only; one that no entry names has DHCP)
 *	    dhcp: true                       default: true unless there are addresses
 *	    addresses: [192.0.2.10/24, "2001:db8::10/64"]
 *	    gateway: [192.0.2.1]
 *	    dns: [192.0.2.53]                instead of those that DHCP names
 *	    mtu: 1400                        576 to 65535; 1280 at least for IPv6
 *	ntp: [time.example]
 *	ssh:                                 off unless there are keys; see docs/host.md
 *	  keys: ["ssh-ed25519 AAAA…"]
 *	fleet:                               none: the host follows nobody
 *	  url: https://fleet.example:8443    ashlar-fleetd
 *	  ca: |                              PEM; believed instead of the system's for this url
 *	  token: ID.SECRET                   to join with; may go when it has. Another one: join anew
 *	workloads:
 *	  fleet: true                        false: none that the fleet wants (default true)
 *
 * Where it comes from, first found wins, at each boot:
 *	1. the systemd credential `ashlar.host` (SMBIOS type 11 io.systemd.credential:ashlar.host=… or
 *	   …binary:…, and fw_cfg opt/io.systemd.credentials/ashlar.host): $CREDENTIALS_DIRECTORY/ashlar.host
 *	2. a disk with the label CIDATA, cidata or config-2 (NoCloud, ConfigDrive): the file ashlar.yaml on
 *	   it; else user-data, if its first line is "#ashlar", and local-hostname of meta-data (on
 *	   ConfigDrive openstack/latest/user_data, and hostname of meta_data.json)
 *	3. /ashlar/host.yaml on the ESP
 * A document that does not parse is refused whole, said loudly, and the last one in force (ASH_PATH_STATE
 * /host.yaml) is used; when that is refused too, the one before it (host.yaml.previous). With no source,
 * the last one stays too.
 */

#define ASH_HOSTDOC_ERROR (ash_hostdoc_error_quark())
GQuark ash_hostdoc_error_quark(void);

typedef enum {
	ASH_HOSTDOC_ERROR_UNKNOWN_KEY, /* FILE:LINE:COLUMN: …, with the nearest key */
	ASH_HOSTDOC_ERROR_VALUE,       /* FILE:LINE:COLUMN: KEY 'VALUE' is not …, expected … */
	ASH_HOSTDOC_ERROR_LIMIT,       /* the text, a list or the number of files is too large */
	ASH_HOSTDOC_ERROR_LEFT,        /* it was tried and left (agent/host-trial.h) */
} AshHostdocError;

enum {
	ASH_HOSTDOC_MAX_BYTES = 256 << 10,
	ASH_HOSTDOC_MAX_LIST = 64,     /* entries of each list */
	ASH_HOSTDOC_MAX_SETTINGS = 64, /* files in agent.d; those after them are left out */
};

typedef struct {
	char *url, *ca; /* NULL: none; the url without '/' at its end */
	uint64_t check_s;
	bool is_automatic;
	char **windows; /* each parses as an AshWindow; never NULL */
	uint64_t rate_limit_bytes_s;
	unsigned tries, keep;
} AshUpdateSettings;

typedef struct {
	char *name, *mac; /* one of them */
	bool dhcp;
	char **addresses, **gateway, **dns; /* never NULL */
	unsigned mtu;                       /* 0: default */
} AshHostNetwork;

typedef struct {
	char *hostname;                           /* NULL: none */
	AshUpdateSettings updates;                /* defaults where nothing is said */
	GPtrArray *networks;                      /* AshHostNetwork */
	char **ntp, **ssh_keys;                   /* never NULL */
	char *fleet_url, *fleet_ca, *fleet_token; /* NULL: none */
	bool has_fleet_workloads;                 /* the fleet may put workloads here (default) */
	/* What a file said is not known, and nothing older stands for it: `is_automatic` is false. */
	bool is_doubtful;
} AshHostdoc;

AshHostdoc *ash_hostdoc_new(void); /* defaults */
AshHostdoc *ash_hostdoc_copy(const AshHostdoc *doc);
void ash_hostdoc_free(AshHostdoc *doc);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshHostdoc, ash_hostdoc_free)

/* ash_hostdoc_merge: over what @doc has already; on failure @doc is as it was.
 * @map: a map, or a NULL node (an empty document)
 *
 * A list that is named replaces the whole list. Besides ASH_HOSTDOC_ERROR, ASH_YAML_ERROR_TYPE.
 */
gboolean ash_hostdoc_merge(AshHostdoc *doc, const AshYamlNode *map, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ash_hostdoc_parse: one whole document over the defaults. @file is for messages. */
gboolean ash_hostdoc_parse(const char *file, GBytes *text, AshHostdoc **out_doc, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ash_hostdoc_load: all of agent.d below @root (documents that may hold `updates:` and `workloads:` alone), then the
 * document in force (host.yaml, else host.yaml.previous). Whatever is missing is fine.
 * @root: "" for this machine
 * @out_warnings: NULL-terminated, each mistake with FILE:LINE:COLUMN. May be NULL
 *
 * A mistake never takes away what held: in place of a file of agent.d with one stands the text of it that was good
 * last (ash_hostdoc_keep). Where there is none, the good keys of the file hold, and the result is doubtful, which
 * also the host document does not overrule. It is doubtful, too, when neither document can be used.
 */
gboolean ash_hostdoc_load(const char *root, AshHostdoc **out_doc, char ***out_warnings,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_hostdoc_keep: the files of agent.d that are good become those that were good last, in ASH_PATH_SETTINGS, and what
 * stands there for files that are gone goes.
 */
gboolean ash_hostdoc_keep(const char *root, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* networkd's text for one network; PURE. */
char *ash_hostdoc_network_unit(const AshHostNetwork *network);
