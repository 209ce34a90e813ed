/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "agent/workload/call-policy.h"

/* The broker: carries calls from one workload to another, under the owner's policy (agent/workload/call-policy.h).
 *
 * Each instance that requires calls has a socket of its own, DIR/channel/broker.sock, which it sees as
 * /run/ashlar/broker.sock: who calls is known by the socket, and there is no way to say another name. A
 * connection is one call (agent/workload/call-frame.h) and has a process of its own, which reads the policy as it is
 * then, runs the provider's program inside the provider's instance by `ashlar-launch exec`, and carries its standard
 * input and output. The program finds ASHLAR_CALLER, ASHLAR_SERVICE and ASHLAR_ARGUMENT in its environment.
 *
 * What is asked for and waits for a decision stands in ASH_BROKER_PENDING/ID.json; root answers by the file
 * ID.answer beside it, "allow" or "deny" (`ashlarctl workload answer`).
 *
 * Who there is stands in ASH_BROKER_TABLE, which ashlar-workloadd replaces; it is read again then.
 */

#define ASH_BROKER_ERROR (ash_broker_error_quark())
GQuark ash_broker_error_quark(void);

typedef enum {
	ASH_BROKER_ERROR_SYNTAX,  /* the table is not one */
	ASH_BROKER_ERROR_REFUSED, /* a call that may not be, or cannot; the text is for the caller */
} AshBrokerError;

#define ASH_BROKER_TABLE "/run/ashlar/broker.json"
#define ASH_BROKER_PENDING "/run/ashlar/pending"
#define ASH_BROKER_SOCKET "channel/broker.sock" /* in an instance's directory */

enum {
	ASH_BROKER_MAX_TABLE_BYTES = 4 << 20,
	ASH_BROKER_MAX_INSTANCES = 1024,
	ASH_BROKER_MAX_CALLS = 256,            /* at once */
	ASH_BROKER_MAX_CALLS_OF_INSTANCE = 32, /* so that one cannot take them all */
	ASH_BROKER_MAX_PENDING_OF_INSTANCE = 8,
	ASH_BROKER_FIRST_FRAME_S = 5,
	ASH_BROKER_ANSWER_S = 3600, /* a pending call is denied then */
	ASH_BROKER_CALL_S = 3600,   /* a call's longest life */
	ASH_BROKER_BEGIN_S = 180,   /* until its instance runs: a machine may be emulated */
	ASH_BROKER_ID_CHARS = 8,
};

typedef struct {
	char *name;
	char **argv;
} AshBrokerService;

/* {"instance":"web@2","workload":"web","dir":"/run/ashlar/workload/web@2","requires":["sign.Text"],
 *  "provides":[{"name":"sign.Text","command":["/usr/bin/sign"]}]}
 *
 * "disposable":true is a workload that has no instance until it is called: "dir" is "" then.
 */
typedef struct {
	char *instance, *workload, *dir;
	char **requires;
	GPtrArray *provides; /* AshBrokerService */
	bool is_disposable;
} AshBrokerInstance;

/* {"instances":[…]} → AshBrokerInstance. PURE. */
gboolean ash_broker_table_parse(GBytes *text, GPtrArray **out_instances, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The instance of @workload that provides @service; NULL. */
const AshBrokerInstance *ash_broker_table_find(
		const GPtrArray *instances, const char *workload, const char *service);

typedef struct {
	const char *root;   /* "": the host */
	const char *launch; /* the program ashlar-launch */
} AshBrokerPlaces;

/* Serves until SIGTERM. */
gboolean ash_broker_run(const AshBrokerPlaces *places, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* One connection, to its end; in a process of its own. */
void ash_broker_serve_call(const AshBrokerPlaces *places, const GPtrArray *instances,
		const AshBrokerInstance *caller, int fd);

/* A file that somebody else is to write, whole, into a directory that is there. */
typedef struct {
	const char *path;
	size_t max_bytes;
	unsigned seconds;
	const char *late; /* what the caller is told when they are over */
} AshBrokerWait;
/* Until it is there, the caller at @caller_fd is gone, or the time is over: ASH_BROKER_ERROR_REFUSED. */
gboolean ash_broker_wait(const AshBrokerWait *wait, int caller_fd, GBytes **out_text,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- instances for one call ---- */

/* How the process of a call and ashlar-workloadd come together: the process writes the line "begin WORKLOAD ID PID" to
 * the broker's standard output and waits for ASH_BROKER_CALLS/ID.json, {"dir":DIR} of an instance that runs, or
 * {"refused":why}. That instance ends when the process PID does, however it ends.
 */
#define ASH_BROKER_CALLS "/run/ashlar/call"

/* The directory of an instance of @provider for the call of this process. */
gboolean ash_broker_begin(const char *root, const AshBrokerInstance *provider, int caller_fd,
		char **out_dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- calls that wait ---- */

/* "allow" or "deny" for the pending call @id; ASH_BROKER_ERROR_REFUSED when there is none. */
gboolean ash_broker_answer(const char *root, const char *id, bool may, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Waits for the answer to a question. */
gboolean ash_broker_ask(const char *root, const AshCallQuestion *question, const char *target,
		int caller_fd, bool *out_may, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* {"pending":[{"id","service","argument","source","target","since"}]} */
char *ash_broker_pending(const char *root);
