/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/ctl.h"

/* What the verbs `ashlarctl workload …` share, agent/ctl-workload*.c. They know ashlar-workloadd by
 * agent/workload/api.h alone.
 */

/* {"name": @name}, and more: members in pairs of key and text, NULL at the end. */
char *ash_ctl_workload_request(const char *name, ...) G_GNUC_NULL_TERMINATED;
gboolean ash_ctl_workload_call(AshBus *bus, const char *method, const char *request,
		char **out_json, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Asks; with --json prints the answer as it came, and *out_root is NULL. */
gboolean ash_ctl_workload_ask(const AshCliContext *context, const char *method, const char *request,
		JsonNode **out_root, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A file of a definition, at most ASH_WORKLOAD_MAX_BYTES. */
gboolean ash_ctl_workload_read(const char *file, char **out_text, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* What is waited for. */
typedef enum {
	ASH_CTL_WORKLOAD_READY,
	ASH_CTL_WORKLOAD_STOPPED,
	ASH_CTL_WORKLOAD_REMOVED,
} AshCtlWorkloadGoal;

/* Until the workload is there, saying on the way what happens. Fails when it has failed, with why; after
 * @timeout_s seconds with ASH_CTL_ERROR_FAILED. @digest: of the version that is to run then;
 * NULL: any.
 */
gboolean ash_ctl_workload_wait(const AshCliContext *context, AshBus *bus, const char *name,
		AshCtlWorkloadGoal goal, const char *digest, unsigned timeout_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

extern const AshCliCommand ash_ctl_workload, ash_ctl_workload_answer, ash_ctl_workload_diff,
		ash_ctl_workload_exec, ash_ctl_workload_forgive, ash_ctl_workload_graph,
		ash_ctl_workload_list, ash_ctl_workload_logs, ash_ctl_workload_pending,
		ash_ctl_workload_remove, ash_ctl_workload_report, ash_ctl_workload_required,
		ash_ctl_workload_restart, ash_ctl_workload_run, ash_ctl_workload_start,
		ash_ctl_workload_status, ash_ctl_workload_stop, ash_ctl_workload_train;

/* "2 of 3 run; web is failed: …" for 'ashlarctl status'; NULL: there are no workloads. */
char *ash_ctl_workload_summary(void);
