/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <json-glib/json-glib.h>

#include "fleet/desired.h"
#include "fleet/release.h"
#include "fleet/rollout.h"
#include "fleet/route.h"
#include "fleet/selector.h"

/* What the API of rollouts, channels and policies has in common. */

extern const AshRoute ash_api_policy_routes[];
extern const AshRoute ash_api_rollout_routes[];
extern const AshRoute ash_why_routes[];

/* 200 with the document, which is complete. */
gboolean ash_api_rollout_reply(AshRequest *request, JsonBuilder *json);
/* RELEASE-short of six columns from @first on: id, name, variant, arch, version, commit; id 0: null. */
void ash_api_rollout_release(JsonBuilder *json, const AshDbRow *row, unsigned first);
/* Errors of selectors, windows, specs become 400. FALSE. */
gboolean ash_api_rollout_refuse(GError **error);
/* "release" of the body, a number or a text; NULL without. */
gboolean ash_api_rollout_release_member(AshRequest *request, const char *member, char **out_what,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* "poll" of a policy: 0, the server's own, or from 5 s (more often a host would do little else, and each time is a connection
 * and a write) to a day (as the server's own: less often nothing reaches it). An error's text.
 */
const char *ash_api_policy_poll_trouble(int64_t poll_s); /* NULL: it is fine */
/* 404, 409. */
gboolean ash_api_rollout_find_release(AshRequest *request, const char *what,
		AshFleetRelease **out_release, GError **error) G_GNUC_WARN_UNUSED_RESULT;
const char *ash_api_rollout_element(JsonArray *array, unsigned index); /* NULL: not a text */

/* AshRoute.run of GET /v1/rollouts/{id}/hosts; api-rollout-host.c. */
gboolean ash_api_rollout_hosts(AshRequest *request, GError **error);

/* 200 with ROLLOUT, or 404. */
gboolean ash_api_rollout_show(AshRequest *request, const char *id, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Making one; api-rollout-make.c. */

/* The body without what is made here. */
JsonObject *ash_api_rollout_members(AshRequest *request);
gboolean ash_api_rollout_check_windows(const AshRolloutSpec *spec, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Of a channel or a policy. */
gboolean ash_api_policy_check_name(const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
bool ash_api_rollout_is_dry(AshRequest *request); /* a question */
/* Plans it; answers a dry run with the plan, else makes it and answers with it. @release: 0 of a workload. */
gboolean ash_api_rollout_make(AshRequest *request, AshRolloutSpec *spec, int64_t release,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* POST /v1/rollouts with "release", and with "assignment"; api-rollout-workload.c. */
gboolean ash_api_rollout_make_host(AshRequest *request, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_api_rollout_make_workload(AshRequest *request, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* What a spec would do now; api-rollout-plan.c. */
typedef struct {
	uint32_t hosts, already, canaries, away, misfit, behind; /* candidates, and who is none */
	GPtrArray *warnings;                                     /* char * */
	GPtrArray *rivals; /* other rollouts; api-rollout-rival.c. Empty of a workload */
	AshDesiredBook *book;
} AshApiRolloutPlan;
void ash_api_rollout_plan_clear(AshApiRolloutPlan *plan);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshApiRolloutPlan, ash_api_rollout_plan_clear)
/* Plans @spec for the hosts of now. @release: 0 of a workload. */
gboolean ash_api_rollout_plan(AshRequest *request, AshRolloutSpec *spec, int64_t release,
		AshApiRolloutPlan *out_plan, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Rollouts of releases that are not over; api-rollout-rival.c. They point into @book. */
gboolean ash_api_rollout_rivals(AshDb *db, const AshDesiredBook *book, GPtrArray **out_rivals,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A host that is to be moved: who may move it too? */
void ash_api_rollout_rivals_count(
		GPtrArray *rivals, const AshDesiredBook *book, const AshHost *host, int64_t now_s);
void ash_api_rollout_rivals_warn(const GPtrArray *rivals, uint32_t hosts, GPtrArray *warnings);
/* "overlaps":[{"rollout","name","version","state","hosts"}] into the open object. */
void ash_api_rollout_rivals_add(const GPtrArray *rivals, JsonBuilder *json);
/* Answers 409 "beside" when some share hosts and the body does not say "beside": true; *out_refused then. */
gboolean ash_api_rollout_rivals_check(AshRequest *request, const AshApiRolloutPlan *plan,
		bool *out_refused, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* In the transaction that makes it: 409 when one has come that was not looked at. */
gboolean ash_api_rollout_rivals_recheck(AshRequest *request, const GPtrArray *rivals,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Answers a dry run. */
gboolean ash_api_rollout_reply_plan(
		AshRequest *request, const AshRolloutSpec *spec, const AshApiRolloutPlan *plan);
