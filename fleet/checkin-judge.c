/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/checkin.h"

static bool was_before(const AshHost *host, const char *boot)
{
	uint64_t hash = ash_host_hash(boot);

	for (unsigned i = 0; i < ASH_LIVE_BOOTS; i++)
		if (host->boots[i] == hash)
			return true;
	return false;
}

AshCheckinVerdict ash_checkin_judge(
		const AshHost *host, int64_t seq, const char *instance, const char *boot)
{
	bool is_boot = g_str_equal(host->boot, boot);

	if (host->instance != 0 && host->instance != ash_host_hash(instance))
		return ASH_CHECKIN_CLONE;
	if (seq == host->seq && is_boot)
		return ASH_CHECKIN_AGAIN;
	if (seq <= host->seq)
		return is_boot && host->behind + 1 >= ASH_CHECKIN_MAX_BEHIND ? ASH_CHECKIN_CLONE
									     : ASH_CHECKIN_BEHIND;
	return !is_boot && was_before(host, boot) ? ASH_CHECKIN_CLONE : ASH_CHECKIN_NEW;
}

static void take_report(AshHost *host, const AshCheckin *checkin)
{
	ash_host_set_text(&host->agent_state, checkin->report.state);
	ash_host_set_text(&host->verdict, checkin->report.verdict);
	ash_host_set_text(&host->commit, checkin->report.commit);
	ash_host_set_text(&host->version, checkin->report.version);
	ash_host_set_text(&host->image, checkin->report.image);
	ash_host_set_text(&host->variant, checkin->report.variant);
	ash_host_set_text(&host->arch, checkin->report.arch);
	ash_host_set_text(&host->failed_commit, checkin->report.failed_commit);
	unsigned said = host->said & ~(unsigned) (ASH_HOST_SAID_STUCK | ASH_HOST_SAID_RETURNED);
	said |= ASH_HOST_SAID_STATE;
	said |= checkin->report.is_stuck ? ASH_HOST_SAID_STUCK : 0;
	said |= checkin->report.is_returned ? ASH_HOST_SAID_RETURNED : 0;
	host->said = (uint8_t) said;
}

void ash_checkin_take_in(AshHost *host, AshCheckin *checkin, int64_t now_s)
{
	host->seq = MAX(host->seq, checkin->seq);
	host->last_seen_s = MAX(host->last_seen_s, now_s);
	if (!g_str_equal(host->boot, checkin->boot))
		host->behind = 0;
	ash_host_set_boot(host, checkin->boot);
	host->instance = ash_host_hash(checkin->instance);
	if (checkin->state != NULL)
		take_report(host, checkin);
	if (checkin->health != NULL)
		host->said |= ASH_HOST_SAID_HEALTH;
	if (checkin->state != NULL || checkin->health != NULL)
		host->reported_s = now_s;
	if (checkin->facts != NULL) {
		host->said |= ASH_HOST_SAID_FACTS;
		ash_pairs_ref(checkin->fact_pairs, checkin->fact_count);
		ash_host_take_facts(host, checkin->fact_pairs, checkin->fact_count);
	}
	if (checkin->workloads_said != NULL) {
		host->said |= ASH_HOST_SAID_WORKLOADS;
		ash_host_set_text(&host->workloads, checkin->workloads_said);
	}
	AshHealth health = ash_host_derive_health(host);
	if (health != host->health) {
		host->health = health;
		host->health_since_s = now_s;
	}
}

bool ash_checkin_is_news(const AshHost *before, const AshHost *after)
{
	return before->health != after->health ||
	       !g_str_equal(before->agent_state, after->agent_state) ||
	       !g_str_equal(before->commit, after->commit) ||
	       !g_str_equal(before->boot, after->boot) ||
	       !g_str_equal(before->verdict, after->verdict) ||
	       !g_str_equal(before->failed_commit, after->failed_commit);
}

unsigned ash_checkin_next_s(const uint8_t id[ASH_HOST_ID_BYTES], int64_t interval_s, int64_t now_s)
{
	uint32_t hash = 0;

	if (interval_s < 1)
		return 1;
	/* Other bytes than those that choose a shard or a ring. */
	memcpy(&hash, id + 8, sizeof hash);
	int64_t left = ((int64_t) (hash % (uint64_t) interval_s) - now_s) % interval_s;
	if (left < 0)
		left += interval_s;
	if (left < (interval_s + 3) / 4)
		left += interval_s;
	return (unsigned) left;
}
