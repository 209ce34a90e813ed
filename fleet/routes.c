/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/route.h"

/* All arrays of routes: one line here, one below. */
extern const AshRoute ash_api_assignment_routes[];
extern const AshRoute ash_api_audit_routes[];
extern const AshRoute ash_api_ddi_artifact_routes[];
extern const AshRoute ash_api_ddi_manage_routes[];
extern const AshRoute ash_api_ddi_routes[];
extern const AshRoute ash_api_event_routes[];
extern const AshRoute ash_api_export_routes[];
extern const AshRoute ash_api_host_act_routes[];
extern const AshRoute ash_api_host_routes[];
extern const AshRoute ash_api_host_workload_routes[];
extern const AshRoute ash_api_join_routes[];
extern const AshRoute ash_api_lock_routes[];
extern const AshRoute ash_api_operator_routes[];
extern const AshRoute ash_api_overview_routes[];
extern const AshRoute ash_api_package_routes[];
extern const AshRoute ash_api_policy_routes[];
extern const AshRoute ash_api_release_add_routes[];
extern const AshRoute ash_api_release_routes[];
extern const AshRoute ash_api_rollout_routes[];
extern const AshRoute ash_api_session_routes[];
extern const AshRoute ash_api_stream_routes[];
extern const AshRoute ash_api_token_routes[];
extern const AshRoute ash_api_webhook_routes[];
extern const AshRoute ash_api_workload_log_routes[];
extern const AshRoute ash_api_workload_routes[];
extern const AshRoute ash_content_routes[];
extern const AshRoute ash_fleetlock_routes[];
extern const AshRoute ash_metrics_routes[];
extern const AshRoute ash_plumbing_routes[];
extern const AshRoute ash_web_routes[];
extern const AshRoute ash_why_routes[];

const AshRoute *const ash_routes[] = {
		ash_api_assignment_routes,
		ash_api_audit_routes,
		ash_api_ddi_artifact_routes,
		ash_api_ddi_manage_routes,
		ash_api_ddi_routes,
		ash_api_event_routes,
		ash_api_export_routes,
		ash_api_host_act_routes,
		ash_api_host_routes,
		ash_api_host_workload_routes,
		ash_api_join_routes,
		ash_api_lock_routes,
		ash_api_operator_routes,
		ash_api_overview_routes,
		ash_api_package_routes,
		ash_api_policy_routes,
		ash_api_release_add_routes,
		ash_api_release_routes,
		ash_api_rollout_routes,
		ash_api_session_routes,
		ash_api_stream_routes,
		ash_api_token_routes,
		ash_api_webhook_routes,
		ash_api_workload_log_routes,
		ash_api_workload_routes,
		ash_content_routes,
		ash_fleetlock_routes,
		ash_metrics_routes,
		ash_plumbing_routes,
		ash_web_routes,
		ash_why_routes,
		NULL,
};
