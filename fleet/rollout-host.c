/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/rollout-private.h"
#include "lib/crypto.h"

/* ---- finding ---- */

AshRolloutMember *ash_rollout_host_at(const AshRollout *rollout, uint32_t number)
{
	return &g_array_index(rollout->hosts, AshRolloutMember, number);
}

static size_t slot_of(const AshRollout *rollout, const uint8_t *id)
{
	uint64_t hash = 0;

	memcpy(&hash, id + 8, sizeof hash); /* SHA-256: any bytes will do */
	size_t slot = hash & (rollout->index_size - 1);
	while (rollout->index[slot] != 0 &&
			memcmp(ash_rollout_host_at(rollout, rollout->index[slot] - 1)->id, id,
					ASH_ROLLOUT_ID_BYTES) != 0)
		slot = (slot + 1) & (rollout->index_size - 1);
	return slot;
}

bool ash_rollout_host_find(const AshRollout *rollout, const uint8_t *id, uint32_t *out_number)
{
	if (rollout->index_size == 0)
		return false;
	uint32_t found = rollout->index[slot_of(rollout, id)];
	if (found == 0)
		return false;
	*out_number = found - 1;
	return true;
}

static void grow_index(AshRollout *rollout)
{
	rollout->index_size = MAX(rollout->index_size * 2, 64);
	g_free(rollout->index);
	rollout->index = g_new0(uint32_t, rollout->index_size);
	for (uint32_t i = 0; i < rollout->hosts->len; i++)
		rollout->index[slot_of(rollout, ash_rollout_host_at(rollout, i)->id)] = i + 1;
}

uint64_t ash_rollout_rank(const char *rollout_id, const uint8_t *host)
{
	char text[ASH_ROLLOUT_MAX_TEXT + 1 + 65];
	uint8_t digest[ASH_SHA256_BYTES];
	size_t size = MIN(strlen(rollout_id), (size_t) ASH_ROLLOUT_MAX_TEXT);
	uint64_t rank = 0;

	memcpy(text, rollout_id, size);
	text[size++] = '\0';
	ash_rollout_id_format(host, text + size);
	ash_sha256(text, size + 64, digest);
	for (unsigned i = 0; i < 8; i++)
		rank = rank << 8 | digest[i];
	return rank;
}

uint32_t ash_rollout_host_add(AshRollout *rollout, const uint8_t *id)
{
	AshRolloutMember host = {.position = UINT32_MAX,
			.outcome = ASH_ROLLOUT_GONE,
			.reach = ASH_ROLLOUT_AWAY};
	uint32_t number = rollout->hosts->len;
	unsigned budgets = rollout->spec->budgets->len;

	memcpy(host.id, id, sizeof host.id);
	host.rank = ash_rollout_rank(rollout->spec->id, id);
	host.since = host.away = rollout->now;
	g_array_append_val(rollout->hosts, host);
	if (rollout->hosts->len * 2 > rollout->index_size)
		grow_index(rollout);
	else
		rollout->index[slot_of(rollout, id)] = number + 1;
	if (budgets > 0 && (size_t) rollout->hosts->len * budgets > rollout->groups_size) {
		size_t old = rollout->groups_size;
		rollout->groups_size = MAX(old * 2, 64 * (size_t) budgets);
		rollout->groups = g_renew(uint32_t, rollout->groups, rollout->groups_size);
		memset(rollout->groups + old, 0,
				(rollout->groups_size - old) * sizeof *rollout->groups);
	}
	ash_rollout_host_end(rollout, number);
	return number;
}

/* ---- groups of budgets ---- */

static uint32_t group_index(AshRollout *rollout, unsigned budget, const char *value)
{
	if (value == NULL || *value == '\0')
		return 0;
	gpointer found = g_hash_table_lookup(rollout->by_value[budget], value);
	if (found != NULL)
		return GPOINTER_TO_UINT(found);
	AshRolloutGroup *group = g_new0(AshRolloutGroup, 1);
	group->value = g_strdup(value);
	g_ptr_array_add(rollout->lists[budget], group);
	g_hash_table_insert(rollout->by_value[budget], group->value,
			GUINT_TO_POINTER(rollout->lists[budget]->len));
	return rollout->lists[budget]->len;
}

/* Between _begin and _end. */
void ash_rollout_host_set_groups(AshRollout *rollout, uint32_t number, const char *const *values)
{
	unsigned budgets = rollout->spec->budgets->len;

	for (unsigned i = 0; i < budgets; i++)
		rollout->groups[(size_t) number * budgets + i] =
				group_index(rollout, i, values != NULL ? values[i] : NULL);
}

static AshRolloutGroup *group_of(const AshRollout *rollout, uint32_t number, unsigned budget)
{
	unsigned budgets = rollout->spec->budgets->len;
	uint32_t index = rollout->groups[(size_t) number * budgets + budget];

	return index == 0 ? NULL : rollout->lists[budget]->pdata[index - 1];
}

const char *ash_rollout_host_group(const AshRollout *rollout, uint32_t number, unsigned budget)
{
	const AshRolloutGroup *group = group_of(rollout, number, budget);

	return group != NULL ? group->value : "";
}

unsigned ash_rollout_host_budget(const AshRollout *rollout, uint32_t number, uint32_t *out_max)
{
	unsigned i = 0;

	for (; i < rollout->spec->budgets->len; i++) {
		const AshRolloutBudget *budget = rollout->spec->budgets->pdata[i];
		const AshRolloutGroup *group = group_of(rollout, number, i);
		uint32_t max = budget->max;
		if (group == NULL)
			continue;
		if (budget->percent > 0)
			max = MAX(1, (uint32_t) ((uint64_t) group->members * budget->percent /
						     100));
		if (group->in_flight >= max) {
			*out_max = max;
			break;
		}
	}
	return i;
}

/* ---- sums ---- */

static bool is_open(const AshRolloutMember *host)
{
	return host->outcome == ASH_ROLLOUT_ASSIGNED || host->outcome == ASH_ROLLOUT_OFFERED;
}

static bool is_on_it(const AshRolloutMember *host)
{
	return host->said == ASH_ROLLOUT_SAID_TRIAL || host->said == ASH_ROLLOUT_SAID_GOOD ||
	       host->said == ASH_ROLLOUT_SAID_REBOOT;
}

/* May it be assigned; or, when reverting, does it have to be sent back? */
bool ash_rollout_host_may_go(const AshRollout *rollout, const AshRolloutMember *host)
{
	if (rollout->state == ASH_ROLLOUT_REVERTING)
		return (host->flags & (FLAG_PLACE | FLAG_SENT)) == FLAG_PLACE && is_on_it(host) &&
		       host->outcome != ASH_ROLLOUT_RETURNED;
	return host->outcome == ASH_ROLLOUT_WAITING && host->reach == ASH_ROLLOUT_READY &&
	       host->said != ASH_ROLLOUT_SAID_FAILED;
}

static void add_groups(
		AshRollout *rollout, uint32_t number, const AshRolloutMember *host, uint32_t one)
{
	for (unsigned i = 0; i < rollout->spec->budgets->len; i++) {
		AshRolloutGroup *group = group_of(rollout, number, i);
		if (group == NULL)
			continue;
		if (host->outcome != ASH_ROLLOUT_GONE)
			group->members += one;
		if (is_open(host))
			group->in_flight += one;
	}
}

/* @one: 1, or UINT32_MAX to subtract. */
static void add_sums(
		AshRollout *rollout, uint32_t number, const AshRolloutMember *host, uint32_t one)
{
	bool has_place = (host->flags & FLAG_PLACE) != 0,
	     is_gone = host->outcome == ASH_ROLLOUT_GONE;
	bool waits = host->outcome == ASH_ROLLOUT_WAITING && host->said != ASH_ROLLOUT_SAID_FAILED;

	rollout->counts[host->outcome] += one;
	if (!is_gone || has_place)
		rollout->total += one;
	if (has_place) {
		rollout->taken += one;
		rollout->ring_counts[host->ring][host->outcome] += one;
	}
	if (is_open(host))
		rollout->open += one;
	if ((host->flags & FLAG_COUNTED) != 0) {
		rollout->failures += one;
		if (host->ring == 0)
			rollout->first_failures += one;
	}
	if (waits && host->reach != ASH_ROLLOUT_AWAY)
		rollout->reachable += one;
	if ((host->flags & FLAG_CANARY) != 0 && host->outcome != ASH_ROLLOUT_ALREADY &&
			(!is_gone || has_place)) {
		rollout->canaries += one;
		if (waits && host->reach == ASH_ROLLOUT_READY)
			rollout->ready_canaries += one;
	}
	if ((host->flags & FLAG_SENT) != 0) {
		rollout->sent += one;
		if ((host->flags & FLAG_STUCK) == 0 && host->outcome != ASH_ROLLOUT_RETURNED &&
				host->reach != ASH_ROLLOUT_AWAY)
			rollout->sent_open += one;
	}
	add_groups(rollout, number, host, one);
}

/* ---- the line: a set of positions ---- */

static void line_clear(AshRolloutLine *line)
{
	for (unsigned i = 0; i < LINE_LEVELS; i++)
		g_clear_pointer(&line->words[i], g_free);
	line->size = 0;
}

static void line_init(AshRolloutLine *line, uint32_t size)
{
	size_t words = size;

	line_clear(line);
	line->size = size;
	for (unsigned i = 0; i < LINE_LEVELS; i++) {
		words = words / 64 + 1;
		line->words[i] = g_new0(uint64_t, words);
	}
}

static void line_set(AshRolloutLine *line, uint32_t position, bool is_in)
{
	for (unsigned i = 0; i < LINE_LEVELS; i++) {
		uint64_t *word = &line->words[i][position / 64];
		uint64_t bit = (uint64_t) 1 << (position % 64);
		*word = is_in ? *word | bit : *word & ~bit;
		is_in = *word != 0;
		position /= 64;
	}
}

uint32_t ash_rollout_line_next(const AshRollout *rollout, uint32_t from)
{
	const AshRolloutLine *line = &rollout->line;
	uint32_t at = from;
	unsigned level = 0;

	if (from >= line->size)
		return UINT32_MAX;
	/* Up until a word has one at or behind the place, then down to its first. */
	for (;;) {
		uint64_t word = line->words[level][at / 64] & (UINT64_MAX << (at % 64));
		if (word != 0) {
			at = at / 64 * 64 + (uint32_t) __builtin_ctzll(word);
			break;
		}
		at = at / 64 + 1;
		if (++level == LINE_LEVELS || (at / 64) > (line->size >> (6 * level)) / 64)
			return UINT32_MAX;
	}
	for (; level > 0; level--)
		at = at * 64 + (uint32_t) __builtin_ctzll(line->words[level - 1][at]);
	return at;
}

/* ---- alarms: a heap by time, then number ---- */

static bool alarm_before(const AshRolloutAlarm *a, const AshRolloutAlarm *b)
{
	return a->due < b->due || (a->due == b->due && a->host < b->host);
}

static void sift_down(GArray *alarms, uint32_t at)
{
	AshRolloutAlarm *heap = (AshRolloutAlarm *) (void *) alarms->data;

	for (;;) {
		uint32_t least = at, left = 2 * at + 1;
		if (left < alarms->len && alarm_before(&heap[left], &heap[least]))
			least = left;
		if (left + 1 < alarms->len && alarm_before(&heap[left + 1], &heap[least]))
			least = left + 1;
		if (least == at)
			return;
		AshRolloutAlarm swap = heap[at];
		heap[at] = heap[least];
		heap[least] = swap;
		at = least;
	}
}

static void push_alarm(AshRollout *rollout, uint32_t number, uint32_t due)
{
	AshRolloutAlarm alarm = {due, number};
	uint32_t at = rollout->alarms->len;

	g_array_append_val(rollout->alarms, alarm);
	AshRolloutAlarm *heap = (AshRolloutAlarm *) (void *) rollout->alarms->data;
	for (; at > 0 && alarm_before(&heap[at], &heap[(at - 1) / 2]); at = (at - 1) / 2) {
		AshRolloutAlarm swap = heap[at];
		heap[at] = heap[(at - 1) / 2];
		heap[(at - 1) / 2] = swap;
	}
}

static void pop_alarm(AshRollout *rollout)
{
	GArray *alarms = rollout->alarms;

	g_array_index(alarms, AshRolloutAlarm, 0) =
			g_array_index(alarms, AshRolloutAlarm, alarms->len - 1);
	g_array_set_size(alarms, alarms->len - 1);
	sift_down(alarms, 0);
}

uint32_t ash_rollout_alarm_next(AshRollout *rollout)
{
	while (rollout->alarms->len > 0) {
		AshRolloutAlarm alarm = g_array_index(rollout->alarms, AshRolloutAlarm, 0);
		if (ash_rollout_host_at(rollout, alarm.host)->due == alarm.due)
			return alarm.due;
		pop_alarm(rollout);
	}
	return UINT32_MAX;
}

bool ash_rollout_alarm(AshRollout *rollout, uint32_t *out_number)
{
	if (ash_rollout_alarm_next(rollout) > rollout->now)
		return false;
	*out_number = g_array_index(rollout->alarms, AshRolloutAlarm, 0).host;
	pop_alarm(rollout);
	ash_rollout_host_at(rollout, *out_number)->due = 0;
	return true;
}

/* When something happens to it by itself; 0: nothing. */
static uint32_t due_of(const AshRollout *rollout, const AshRolloutMember *host)
{
	const AshRolloutSpec *spec = rollout->spec;
	bool is_away = host->reach == ASH_ROLLOUT_AWAY;

	if ((host->flags & (FLAG_SENT | FLAG_STUCK)) == FLAG_SENT &&
			host->outcome != ASH_ROLLOUT_RETURNED)
		return host->rebooted + (uint32_t) spec->deadline_s;
	switch ((AshRolloutOutcome) host->outcome) {
	case ASH_ROLLOUT_ASSIGNED:
		return host->since + (uint32_t) spec->lapse_s;
	case ASH_ROLLOUT_WITHDRAWN:
		return (host->flags & FLAG_OFFERED) != 0 ? 0
							 : host->since + (uint32_t) spec->lapse_s;
	case ASH_ROLLOUT_OFFERED:
		if (host->good != 0)
			return is_away ? host->away + (uint32_t) spec->deadline_s
				       : host->good + (uint32_t) spec->soak_s;
		if (host->rebooted != 0)
			return host->rebooted + (uint32_t) spec->deadline_s;
		return is_away ? MAX(host->away, host->since) + (uint32_t) spec->deadline_s
			       : host->since + (uint32_t) spec->begin_s;
	case ASH_ROLLOUT_FAILED:
	case ASH_ROLLOUT_SILENT:
		return host->good != 0 && !is_away ? host->good + (uint32_t) spec->soak_s : 0;
	case ASH_ROLLOUT_WAITING:
	case ASH_ROLLOUT_ALREADY:
	case ASH_ROLLOUT_CONFIRMED:
	case ASH_ROLLOUT_RETURNED:
	case ASH_ROLLOUT_GONE:
	case ASH_ROLLOUT_OUTCOMES:
		break;
	}
	return 0;
}

void ash_rollout_host_begin(AshRollout *rollout, uint32_t number)
{
	add_sums(rollout, number, ash_rollout_host_at(rollout, number), UINT32_MAX);
}

void ash_rollout_host_end(AshRollout *rollout, uint32_t number)
{
	AshRolloutMember *host = ash_rollout_host_at(rollout, number);

	add_sums(rollout, number, host, 1);
	if (number < rollout->withdraw_at && ash_rollout_is_over_for(rollout, host))
		rollout->withdraw_at = number;
	if (host->position < rollout->line.size)
		line_set(&rollout->line, host->position, ash_rollout_host_may_go(rollout, host));
	uint32_t due = due_of(rollout, host);
	if (due != host->due) {
		host->due = due;
		if (due != 0)
			push_alarm(rollout, number, due);
	}
}

/* ---- order ---- */

typedef struct {
	uint64_t rank;
	uint32_t number;
	uint32_t class; /* canaries first */
} Key;

static Key key_of(const AshRollout *rollout, uint32_t number)
{
	const AshRolloutMember *host = ash_rollout_host_at(rollout, number);

	return (Key){host->rank, number, (host->flags & FLAG_CANARY) != 0 ? 0 : 1};
}

static int compare_keys(const Key *a, const Key *b, const AshRollout *rollout)
{
	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return memcmp(ash_rollout_host_at(rollout, a->number)->id,
			ash_rollout_host_at(rollout, b->number)->id, ASH_ROLLOUT_ID_BYTES);
}

/* One pass by 16 bits of what the order is about: the class, then the rank's first 31 bits. */
static void sort_pass(const Key *from, Key *to, uint32_t count, unsigned shift)
{
	g_autofree uint32_t *starts = g_new0(uint32_t, 65537);

	for (uint32_t i = 0; i < count; i++)
		starts[(((uint64_t) from[i].class << 63 | from[i].rank >> 1) >> shift & 65535) +
				1]++;
	for (unsigned i = 1; i <= 65536; i++)
		starts[i] += starts[i - 1];
	for (uint32_t i = 0; i < count; i++)
		to[starts[((uint64_t) from[i].class << 63 | from[i].rank >> 1) >> shift &
				65535]++] = from[i];
}

/* Ranks are even, so two passes leave but neighbours to be put right. */
static void sort_keys(const AshRollout *rollout, Key *keys, uint32_t count)
{
	if (count > 1000) {
		g_autofree Key *other = g_new(Key, count);
		sort_pass(keys, other, count, 32);
		sort_pass(other, keys, count, 48);
	}
	for (uint32_t i = 1; i < count; i++) {
		Key key = keys[i];
		uint32_t at = i;
		for (; at > 0 && compare_keys(&key, &keys[at - 1], rollout) < 0; at--)
			keys[at] = keys[at - 1];
		keys[at] = key;
	}
}

void ash_rollout_refill(AshRollout *rollout)
{
	line_init(&rollout->line, rollout->ordered);
	for (uint32_t i = 0; i < rollout->ordered; i++)
		if (ash_rollout_host_may_go(
				    rollout, ash_rollout_host_at(rollout, rollout->order[i])))
			line_set(&rollout->line, i, true);
}

void ash_rollout_order(AshRollout *rollout)
{
	uint32_t all = rollout->hosts->len, old = rollout->is_order_stale ? 0 : rollout->ordered;

	if (old == all)
		return;
	/* Hosts only join, so those that are new are at the end of the numbers. */
	g_autofree Key *fresh = g_new(Key, all - old);
	for (uint32_t i = old; i < all; i++)
		fresh[i - old] = key_of(rollout, i);
	sort_keys(rollout, fresh, all - old);

	uint32_t *merged = g_new(uint32_t, all);
	for (uint32_t at = 0, a = 0, b = 0; at < all; at++) {
		bool is_old = b == all - old;
		if (!is_old && a < old) {
			Key key = key_of(rollout, rollout->order[a]);
			is_old = compare_keys(&key, &fresh[b], rollout) < 0;
		}
		merged[at] = is_old ? rollout->order[a++] : fresh[b++].number;
	}
	g_free(rollout->order);
	rollout->order = merged;
	rollout->ordered = all;
	rollout->is_order_stale = false;
	line_init(&rollout->line, all);
	for (uint32_t i = 0; i < all; i++) {
		AshRolloutMember *host = ash_rollout_host_at(rollout, merged[i]);
		host->position = i;
		if (ash_rollout_host_may_go(rollout, host))
			line_set(&rollout->line, i, true);
	}
}

/* ---- reasons ---- */

uint32_t ash_rollout_reason_index(AshRollout *rollout, const char *text)
{
	if (text == NULL || *text == '\0')
		return 0;
	gpointer found = g_hash_table_lookup(rollout->by_reason, text);
	if (found != NULL)
		return GPOINTER_TO_UINT(found);
	char *copy = g_strdup(text);
	g_ptr_array_add(rollout->reasons, copy);
	g_hash_table_insert(rollout->by_reason, copy, GUINT_TO_POINTER(rollout->reasons->len));
	return rollout->reasons->len;
}

const char *ash_rollout_reason(const AshRollout *rollout, uint32_t reason)
{
	return reason == 0 ? "" : rollout->reasons->pdata[reason - 1];
}

void ash_rollout_hosts_clear(AshRollout *rollout)
{
	for (unsigned i = 0; i < ASH_ROLLOUT_MAX_BUDGETS; i++) {
		g_clear_pointer(&rollout->by_value[i], g_hash_table_unref);
		for (guint j = 0; rollout->lists[i] != NULL && j < rollout->lists[i]->len; j++) {
			AshRolloutGroup *group = rollout->lists[i]->pdata[j];
			g_free(group->value);
			g_free(group);
		}
		g_clear_pointer(&rollout->lists[i], g_ptr_array_unref);
	}
	g_clear_pointer(&rollout->by_reason, g_hash_table_unref);
	g_clear_pointer(&rollout->reasons, g_ptr_array_unref);
	g_clear_pointer(&rollout->hosts, g_array_unref);
	g_clear_pointer(&rollout->alarms, g_array_unref);
	g_clear_pointer(&rollout->groups, g_free);
	g_clear_pointer(&rollout->index, g_free);
	g_clear_pointer(&rollout->order, g_free);
	line_clear(&rollout->line);
}
