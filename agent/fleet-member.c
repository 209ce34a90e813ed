/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fleet-member.h"

#include <string.h>

#include "agent/fleet-workload.h"

static void result_free(gpointer data)
{
	AshFleetResult *result = data;

	g_free(result->text);
	g_free(result);
}

AshFleetMember *ash_fleet_member_new(void)
{
	AshFleetMember *member = g_new0(AshFleetMember, 1);

	member->id = g_strdup("");
	member->text = g_strdup("");
	member->standing = ASH_FLEET_UNREACHED;
	member->results = g_ptr_array_new_with_free_func(result_free);
	return member;
}

void ash_fleet_member_free(AshFleetMember *member)
{
	if (member == NULL)
		return;
	g_free(member->url);
	g_free(member->epoch);
	g_free(member->id);
	g_free(member->text);
	ash_fleet_wish_free(member->release);
	g_free(member->hold);
	g_strfreev(member->windows);
	g_clear_pointer(&member->workloads, g_ptr_array_unref);
	g_ptr_array_unref(member->results);
	g_free(member->journal_boot);
	g_free(member->journal_version);
	g_free(member->trouble);
	g_free(member);
}

/* ---- which fleet --------------------------------------------------------------------------------- */

/* Not lib/crypto's: ashlard sleeps all day, and has no other use for that library. */
static char *make_epoch(const char *url, const char *token)
{
	g_autofree char *text = g_strconcat(url, "\n", token != NULL ? token : "", NULL);
	g_autofree char *hex = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);

	return g_strndup(hex, 32);
}

void ash_fleet_member_set_fleet(AshFleetMember *member, const char *url, const char *token)
{
	g_autofree char *epoch = url != NULL ? make_epoch(url, token) : NULL;
	bool is_same_url = g_strcmp0(member->url, url) == 0;
	bool has_token = token != NULL && *token != '\0';

	if (is_same_url && (!has_token || g_strcmp0(member->epoch, epoch) == 0)) {
		/* "Stop asking" holds for as long as this machine runs: somebody may have made it good. */
		if (member->standing == ASH_FLEET_RETIRED)
			member->standing = ASH_FLEET_UNREACHED;
		return;
	}
	AshFleetMember *fresh = ash_fleet_member_new();
	fresh->url = g_strdup(url);
	fresh->epoch = g_steal_pointer(&epoch);
	AshFleetMember old = *member;
	*member = *fresh;
	*fresh = old;
	ash_fleet_member_free(fresh);
}

/* ---- orders -------------------------------------------------------------------------------------- */

static AshFleetResult *find_result(const AshFleetMember *member, uint64_t id)
{
	for (guint i = 0; i < member->results->len; i++) {
		AshFleetResult *result = member->results->pdata[i];
		if (result->id == id)
			return result;
	}
	return NULL;
}

static void open_result(AshFleetMember *member, uint64_t id)
{
	AshFleetResult *result = g_new0(AshFleetResult, 1);

	while (member->results->len >= ASH_FLEET_MEMBER_MAX_RESULTS)
		g_ptr_array_remove_index(member->results, 0);
	result->id = id;
	result->is_open = true;
	result->text = g_strdup("");
	g_ptr_array_add(member->results, result);
}

static void take_orders(AshFleetMember *member, const AshFleetAnswer *answer, GPtrArray *out_orders)
{
	for (guint i = 0; i < answer->orders->len; i++) {
		AshFleetOrder *order = answer->orders->pdata[i];
		AshFleetResult *known = find_result(member, order->id);
		if (known == NULL) {
			open_result(member, order->id);
			g_ptr_array_add(out_orders, order);
		} else if (known->is_acknowledged) {
			/* The fleet has lost our answer; it gets it once more. */
			known->is_acknowledged = false;
			known->sent = 0;
		}
	}
}

void ash_fleet_member_end_order(AshFleetMember *member, uint64_t id, bool is_ok, const char *text)
{
	AshFleetResult *result = find_result(member, id);

	if (result == NULL)
		return;
	result->is_open = false;
	result->is_ok = is_ok;
	result->sent = 0;
	g_free(result->text);
	result->text = g_strdup(text);
}

void ash_fleet_member_end_open(AshFleetMember *member, const char *text)
{
	for (guint i = 0; i < member->results->len; i++) {
		const AshFleetResult *result = member->results->pdata[i];
		if (result->is_open)
			ash_fleet_member_end_order(member, result->id, false, text);
	}
}

bool ash_fleet_member_has_unsaid(const AshFleetMember *member)
{
	for (guint i = 0; i < member->results->len; i++) {
		const AshFleetResult *result = member->results->pdata[i];
		if (!result->is_open && !result->is_acknowledged)
			return true;
	}
	return false;
}

static void acknowledge(AshFleetMember *member, uint64_t serial)
{
	for (guint i = 0; i < member->results->len; i++) {
		AshFleetResult *result = member->results->pdata[i];
		if (!result->is_open && result->sent != 0 && result->sent <= serial)
			result->is_acknowledged = true;
	}
}

/* ---- answers ------------------------------------------------------------------------------------- */

static void stand(AshFleetMember *member, AshFleetOutcome standing, const char *text, int64_t now_s)
{
	if (member->standing != standing)
		member->since_s = now_s;
	member->standing = standing;
	g_free(member->text);
	member->text = g_strdup(text);
}

static bool is_same_release(const AshFleetWish *a, const AshFleetWish *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a->commit, b->commit) == 0 && strcmp(a->version, b->version) == 0 &&
	       a->is_return == b->is_return;
}

static bool is_same_list(char **a, char **b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return g_strv_equal((const char *const *) a, (const char *const *) b);
}

static AshFleetWish *copy_release(const AshFleetWish *from)
{
	if (from == NULL)
		return NULL;
	AshFleetWish *to = g_new0(AshFleetWish, 1);
	to->name = g_strdup(from->name);
	to->variant = g_strdup(from->variant);
	to->arch = g_strdup(from->arch);
	to->version = g_strdup(from->version);
	to->commit = g_strdup(from->commit);
	to->is_return = from->is_return;
	return to;
}

static bool take_desired(AshFleetMember *member, const AshFleetAnswer *answer)
{
	if (answer->desired == member->have)
		return false;
	bool has_news = !is_same_release(member->release, answer->release) ||
			g_strcmp0(member->hold, answer->hold) != 0 ||
			!is_same_list(member->windows, answer->windows) ||
			!ash_fleet_workload_is_same_list(member->workloads, answer->workloads);
	member->have = answer->desired;
	ash_fleet_wish_free(member->release);
	member->release = copy_release(answer->release);
	g_free(member->hold);
	member->hold = g_strdup(answer->hold);
	g_strfreev(member->windows);
	member->windows = g_strdupv(answer->windows);
	g_clear_pointer(&member->workloads, g_ptr_array_unref);
	if (answer->workloads != NULL)
		member->workloads = g_ptr_array_ref(answer->workloads);
	/* A return that is said anew is done anew, also to where it went before. */
	return has_news || (member->release != NULL && member->release->is_return);
}

void ash_fleet_member_take(AshFleetMember *member, const AshFleetAnswer *answer, uint64_t serial,
		int64_t now_s, GPtrArray **out_orders, bool *out_has_news)
{
	AshFleetOutcome outcome = answer->outcome;

	*out_orders = g_ptr_array_new();
	*out_has_news = false;
	g_clear_pointer(&member->trouble, g_free);
	if (*answer->id != '\0') {
		g_free(member->id);
		member->id = g_strdup(answer->id);
	}
	if (outcome == ASH_FLEET_UNREACHED || outcome == ASH_FLEET_BUSY ||
			outcome == ASH_FLEET_FAILED) {
		member->trouble = g_strdup(answer->text);
		return;
	}
	member->contact_s = now_s;
	*out_has_news = (member->standing == ASH_FLEET_HELD) != (outcome == ASH_FLEET_HELD);
	stand(member, outcome, answer->text, now_s);
	if (!answer->is_answered)
		return;
	member->event = MAX(member->event, answer->event);
	acknowledge(member, serial);
	take_orders(member, answer, *out_orders);
	if (take_desired(member, answer))
		*out_has_news = true;
}
