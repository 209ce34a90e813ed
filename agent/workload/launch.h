/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/workload.h"

/* A launch: all that `ashlar-launch` needs to start one instance of a workload, with every name
 * resolved. ashlar-workloadd writes it to DIR/launch.json before the unit starts; nothing else is asked for.
 *
 * DIR is /run/ashlar/workload/INSTANCE (root, 0700). The launcher adds to it what belongs to this start
 * and ashlar-workloadd reads back: "effective" (the class, as ash_isolation_class_name), "pid" (of the
 * workload's first process, as the host counts), "exit" (JSON {"code":N} or {"signal":N}, or
 * {"refused":"why","code":N} with one of the codes below when nothing was started).
 *
 * Exit codes of ashlar-launch: the workload's own; 128+N for a signal; 200 to 209 when it was not started
 * (200 refused: this host cannot give the isolation demanded; 201 the image or a volume cannot be used;
 * 202 the runtime failed). Words are on stderr, as the workload's own output is.
 */

#define ASH_LAUNCH_ERROR (ash_launch_error_quark())
GQuark ash_launch_error_quark(void);

typedef enum {
	ASH_LAUNCH_ERROR_SYNTAX,  /* launch.json is not one */
	ASH_LAUNCH_ERROR_REFUSED, /* isolation that cannot be had here */
	ASH_LAUNCH_ERROR_IMAGE,
	ASH_LAUNCH_ERROR_RUNTIME,
} AshLaunchError;

enum {
	ASH_LAUNCH_MAX_BYTES = 1 << 20,
	ASH_LAUNCH_EXIT_REFUSED = 200,
	ASH_LAUNCH_EXIT_IMAGE = 201,
	ASH_LAUNCH_EXIT_RUNTIME = 202,
	ASH_LAUNCH_UIDS = 65536, /* a range for each instance, from uid_base */
};

/* Where the broker's socket and the heartbeat's are: a bind of a directory. In a machine they are carried by a port. */
#define ASH_LAUNCH_CHANNEL "/run/ashlar"

/* Something of the host's that appears inside: volumes, route sockets, secrets, the broker's socket. */
typedef struct {
	char *source, *target; /* absolute; a directory, a regular file or a socket */
	bool is_read_only;
	bool is_file;
} AshLaunchBind;

typedef struct {
	char *instance; /* "web", "web@2" */
	char *dir;      /* as above */
	char *root; /* the image's tree: a directory that is never written to, owned as in the image */
	char *image_digest; /* of what root holds (a commit): what is derived from it is cached under it */
	char *cache; /* directory for that: filters, file systems of guests; root's own, may be emptied */
	AshIsolationClass isolation;
	AshIsolationStrength at_least;
	bool is_booted;
	bool is_idle; /* no command: it is there for those that are run in it, until it is asked to end */
	AshWorkloadMachine machine;
	char **command, **environment;
	char *directory;
	uint32_t uid, gid; /* inside; resolved from the image's passwd */
	uint32_t uid_base; /* first uid of its range on the host, a multiple of 65536; never shared */
	uint32_t cpu_milli;
	uint64_t memory_bytes, disk_bytes;
	uint32_t tasks, descriptors;
	char *netns; /* path of its network namespace; "": an empty one of its own; "host" */
	char *tap;   /* vm: name of the tap device in that namespace; "" */
	char *kernel; /* vm on the host's kernel: the directory of its vmlinuz and modules; "": that which runs */
	char *address, *gateway, *mac; /* vm: what the guest configures; "" */
	char **hosts;                  /* lines for /etc/hosts and … */
	char **nameservers;            /* … /etc/resolv.conf; empty: none */
	GPtrArray *binds;              /* AshLaunchBind */
	char **capabilities, **devices;
	char **calls_added, **calls_removed, **calls_only;
	bool is_recording; /* ashlarctl workload train: system calls are recorded (recorder.h) */
} AshLaunch;

/* Every text is "", every list empty, calls_only NULL; a container. */
AshLaunch *ash_launch_new(void);
AshLaunchBind *ash_launch_add_bind(AshLaunch *launch, const char *source, const char *target);

/* The file's members are called as the struct's, and none is unknown; what is missing is as in
 * ash_launch_new, but for isolation, and dir, root, cache, instance, uid_base, which have to be there.
 * parse(format(l)) is l. A failure is ASH_LAUNCH_ERROR_SYNTAX.
 */
gboolean ash_launch_parse(GBytes *text, AshLaunch **out_launch, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
char *ash_launch_format(const AshLaunch *launch);
void ash_launch_free(AshLaunch *launch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshLaunch, ash_launch_free)
