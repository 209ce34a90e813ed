/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/health-spec.h"
#include "lib/yaml.h"

/* A workload: a service declared to run on hosts, with everything that it may touch. PURE.
 *
 * Nothing is ambient: what is not written here is not there. workload(5) says the same to people; the
 * signed target workload/NAME/VERSION.json is ash_workload_format's JSON, which the same parser reads
 * (JSON is YAML).
 *
 *	workload: web                    [a-z][a-z0-9-]*, at most 32
 *	version: 1.2.0                   Debian's ordering and alphabet (lib/version.h), at most 64
 *	summary: A web server
 *	image: oci:HOST[:PORT]/NAME@sha256:HEX   or oci:…:TAG (not in a signed one: those are pinned),
 *	       oci-dir:/PATH[:TAG], docker-archive:/PATH[:TAG], ostree:REF[@COMMIT]
 *	command: [/usr/bin/web, --port, "8080"]  default: the image's entry point and command
 *	environment: {GREETING: "${greeting}"}
 *	directory: /srv                  working directory; default: the image's, or /
 *	user: "1000:1000"                or a name of the image's passwd; default: the image's, or 0:0
 *	parameters:                      what a host or fleet may set; ${NAME} in command and environment
 *	  - {name: greeting, type: string, default: hello, max: 64}      types: string int bool choice
 *	  - {name: level, type: choice, choices: [low, high], default: low}      int: min, max
 *	isolation: container             sandbox container userkernel vm vm-emulated; or
 *	isolation: {class: vm, at-least: hardware}     at-least: sandbox container userkernel hardware;
 *	                                 default: what the class itself promises, and for vm-emulated
 *	                                 nothing. Refused when the host cannot, never lowered.
 *	boot: false                      true: the image's own init (container, vm)
 *	machine: {contract: linux, kernel: /boot/vmlinuz, initrd: /boot/initrd, arguments: "quiet",
 *	          modules: [/boot/m]}    vm and vm-emulated: contracts linux pvh multiboot; without it the
 *	                                 host's own kernel runs the command as in a container
 *	resources: {cpu: 0.5, memory: 64MiB, tasks: 64, disk: 100MiB, descriptors: 1024}
 *	                                 cpu in processors; disk: what is written outside of volumes (tmp)
 *	network: none                    nat, internal, hostonly, natnet, bridged, host, or
 *	network:
 *	  mode: nat
 *	  name: backend                  natnet, internal, hostonly, bridged: which network (bridge)
 *	  isolated: true                 the same: others there that are isolated do not see it, nor it them
 *	  provider: vpn                  mode provider: the workload that is the way out
 *	  publish: ["8080:80", "127.0.0.1:5353:53/udp"]     nat, natnet, provider
 *	  egress: ["192.0.2.0/24:443", "example.org:443", "*:53/udp"]     default: none but names; "*" all
 *	  bandwidth: 10MiB               a second, each way;   connections: 1000
 *	provides:
 *	  - {name: db, socket: /run/db/db.sock}      a unix socket that it makes; or
 *	  - {name: sign.Text, call: [/usr/bin/sign]} a program of it that the broker starts for each call
 *	requires:
 *	  - {name: db, socket: /run/db/db.sock}      where it expects it; must be routed
 *	  - {name: sign.Text}                        through /run/ashlar/broker.sock
 *	volumes:
 *	  - {name: data, path: /var/lib/web, size: 1GiB, read-only: false}
 *	capabilities: [net_bind_service]             Linux's names without CAP_, in its own user namespace
 *	devices: [/dev/net/tun]
 *	secrets: [{name: tls, path: /run/secrets/tls}]       from the host's /etc/ashlar/secrets, 0400
 *	system-calls: default            or {add: [io_uring_setup], remove: [...]}, or {only: [read, …]}
 *	health: {soak: 30s, deadline: 5min, checks: […]}     lib/health-spec.h's; they run inside
 *	heartbeat: {every: 30s}          a line to /run/ashlar/heartbeat (a datagram socket), or it hangs
 *	restart: {policy: always, first: 1s, longest: 5min, budget: 5, within: 10min}
 *	                                 policies: always on-failure never
 *	scope: user                      system: starts first; no user workload may name it
 *	instances: 1                     web@1 … web@N
 *	after: [db]                      workloads that are to be ready before
 *	required: false                  counts in the verdict of the host's trial boot
 *	disposable: false                one instance per call, of which nothing stays
 */

#define ASH_WORKLOAD_ERROR (ash_workload_error_quark())
GQuark ash_workload_error_quark(void);

typedef enum {
	ASH_WORKLOAD_ERROR_VALUE, /* FILE:LINE:COLUMN: key: what is wrong, what is expected */
	ASH_WORKLOAD_ERROR_LIMIT,
} AshWorkloadError;

enum {
	ASH_WORKLOAD_MAX_BYTES = 256 << 10,
	ASH_WORKLOAD_MAX_NAME_BYTES = 32,
	ASH_WORKLOAD_MAX_ITEMS = 64,         /* of any list */
	ASH_WORKLOAD_MAX_SYSTEM_CALLS = 512, /* of its three lists */
	ASH_WORKLOAD_MAX_ARGUMENTS = 256,
	ASH_WORKLOAD_MAX_TEXT_BYTES = 4096, /* of one argument, value, path */
	ASH_WORKLOAD_MAX_INSTANCES = 64,
};

/* In the order of their strength; HARDWARE is what `vm` has. */
typedef enum {
	ASH_ISOLATION_NONE, /* vm-emulated promises nothing */
	ASH_ISOLATION_SANDBOX,
	ASH_ISOLATION_CONTAINER,
	ASH_ISOLATION_USERKERNEL,
	ASH_ISOLATION_HARDWARE,
} AshIsolationStrength;

typedef enum {
	ASH_ISOLATION_CLASS_SANDBOX,
	ASH_ISOLATION_CLASS_CONTAINER,
	ASH_ISOLATION_CLASS_USERKERNEL,
	ASH_ISOLATION_CLASS_VM,
	ASH_ISOLATION_CLASS_VM_EMULATED,
} AshIsolationClass;
const char *ash_isolation_class_name(AshIsolationClass isolation); /* "vm-emulated" */
const char *ash_isolation_strength_name(
		AshIsolationStrength strength); /* "hardware"; NONE: "none" */
AshIsolationStrength ash_isolation_class_strength(AshIsolationClass isolation);
bool ash_isolation_class_find(const char *name, AshIsolationClass *out_class); /* a question */

typedef enum {
	ASH_WORKLOAD_IMAGE_OCI,            /* registry */
	ASH_WORKLOAD_IMAGE_OCI_DIR,        /* image layout */
	ASH_WORKLOAD_IMAGE_DOCKER_ARCHIVE, /* of docker save, skopeo */
	ASH_WORKLOAD_IMAGE_OSTREE,
} AshWorkloadImageKind;

typedef struct {
	AshWorkloadImageKind kind;
	char *text;     /* as written */
	char *location; /* OCI: "HOST[:PORT]/NAME"; paths; OSTREE: ref */
	char *tag;      /* "" for none */
	char *digest; /* "sha256:…" of the manifest or index, OSTREE: commit; "" when not pinned */
} AshWorkloadImage;

typedef enum {
	ASH_PARAMETER_STRING,
	ASH_PARAMETER_INT,
	ASH_PARAMETER_BOOL,
	ASH_PARAMETER_CHOICE,
} AshParameterType;

typedef struct {
	char *name;
	AshParameterType type;
	char *value;      /* the default, as text; NULL: has to be set */
	int64_t min, max; /* INT: range; STRING: max bytes */
	char **choices;
} AshWorkloadParameter;

typedef enum {
	ASH_NETWORK_NONE,
	ASH_NETWORK_NAT,
	ASH_NETWORK_NATNET,
	ASH_NETWORK_INTERNAL,
	ASH_NETWORK_HOSTONLY,
	ASH_NETWORK_BRIDGED,
	ASH_NETWORK_PROVIDER,
	ASH_NETWORK_HOST,
} AshNetworkMode;
const char *ash_network_mode_name(AshNetworkMode mode);

typedef struct {
	char *address; /* "" for every address of the host */
	uint16_t host_port, port;
	bool is_udp;
} AshWorkloadPort;

typedef struct {
	char *target; /* "192.0.2.0/24", "2001:db8::/32", a name, or "*" */
	bool is_name;
	uint16_t port; /* 0: all */
	bool is_udp;
} AshWorkloadEgress;

typedef struct {
	AshNetworkMode mode;
	char *name;       /* "" for the mode's own default network */
	char *provider;   /* "" unless PROVIDER */
	bool is_isolated; /* does not see others of the network that are isolated too */
	GPtrArray *publish, *egress;
	uint64_t bandwidth_bytes; /* a second; 0: no limit */
	uint32_t connections;     /* 0: no limit */
} AshWorkloadNetwork;

typedef struct {
	char *name;
	char *socket; /* NULL: a call */
	char **call;  /* provides: argv; NULL */
} AshWorkloadService;

typedef struct {
	char *name, *path;
	uint64_t size_bytes;
	bool is_read_only;
} AshWorkloadVolume;

typedef struct {
	char *name, *path;
} AshWorkloadSecret;

typedef enum {
	ASH_MACHINE_HOST_KERNEL, /* no `machine:`: the host's kernel and our init in the guest */
	ASH_MACHINE_LINUX,
	ASH_MACHINE_PVH,
	ASH_MACHINE_MULTIBOOT,
} AshMachineContract;

typedef struct {
	AshMachineContract contract;
	char *kernel, *initrd, *arguments; /* paths in the image; "" */
	char **modules;
} AshWorkloadMachine;

typedef enum {
	ASH_RESTART_ALWAYS,
	ASH_RESTART_ON_FAILURE,
	ASH_RESTART_NEVER,
} AshRestartPolicy;

typedef struct {
	AshRestartPolicy policy;
	uint32_t first_ms, longest_ms; /* backoff */
	unsigned budget;
	uint32_t within_ms;
} AshWorkloadRestart;

typedef struct {
	char *name, *version, *summary;
	AshWorkloadImage image;
	char **command;         /* NULL: the image's */
	char **environment;     /* "KEY=value", sorted by key; NULL-terminated, never NULL */
	char *directory, *user; /* NULL: the image's */
	GPtrArray *parameters;
	AshIsolationClass isolation;
	AshIsolationStrength at_least;
	bool is_booted, is_system, is_required, is_disposable;
	AshWorkloadMachine machine;
	uint32_t cpu_milli; /* thousandths of a processor */
	uint64_t memory_bytes, disk_bytes;
	uint32_t tasks, descriptors;
	AshWorkloadNetwork network;
	GPtrArray *provides, *requires; /* AshWorkloadService */
	GPtrArray *volumes, *secrets;
	char **capabilities; /* "net_bind_service", sorted */
	char **devices;
	char **calls_added, **calls_removed,
			**calls_only; /* sorted; calls_only NULL: the default profile */
	AshHealthSpec *health;
	uint32_t heartbeat_ms; /* 0: none */
	AshWorkloadRestart restart;
	unsigned instances;
	char **after;
} AshWorkload;

void ash_workload_free(AshWorkload *workload);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshWorkload, ash_workload_free)

/* ash_workload_parse: a whole definition, YAML or JSON, at most ASH_WORKLOAD_MAX_BYTES; @file is for
 * messages. ASH_WORKLOAD_ERROR, ASH_YAML_ERROR, ASH_HEALTH_SPEC_ERROR.
 */
gboolean ash_workload_parse(const char *file, GBytes *text, AshWorkload **out_workload,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Canonical JSON with every default written out: parse(format(w)) is w. For hashing, signing, diffing. */
char *ash_workload_format(const AshWorkload *workload);

/* ash_workload_fill: puts values ("NAME" → text) in place of ${NAME} in command and environment. Names
 * that are not declared, values out of type or range, and missing ones are ASH_WORKLOAD_ERROR_VALUE.
 */
gboolean ash_workload_fill(AshWorkload *workload, GHashTable *values, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* As a definition has them: "127.0.0.1:8080:80", "[2001:db8::/32]:443/udp", "*". */
char *ash_workload_port_text(const AshWorkloadPort *port);
char *ash_workload_egress_text(const AshWorkloadEgress *egress);

/* Questions. */
bool ash_workload_is_name(const char *text);
bool ash_workload_is_pinned(const AshWorkload *workload); /* the image names a digest */
