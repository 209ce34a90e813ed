/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/health.h"

#include <inttypes.h>
#include <string.h>

#include "lib/text.h"

/* In service: seldom while all is well, sooner where something failed. */
#define PASSING_INTERVAL_US (INT64_C(300) * 1000 * 1000)
#define FAILING_INTERVAL_US (INT64_C(60) * 1000 * 1000)
#define GRID_US (INT64_C(10) * 1000 * 1000)

struct AshHealth {
	AshHealthSpec *spec;
	bool is_trial, has_pace;
	int64_t start_us;
	GPtrArray *states; /* AshHealthState, as spec->checks */
	/* Of a trial, what cannot change any more. */
	char *broken; /* why it is */
	bool is_late, is_held;
};

const char *ash_verdict_text(AshVerdict verdict)
{
	static const char *const texts[] = {
			[ASH_VERDICT_PENDING] = "pending",
			[ASH_VERDICT_GOOD] = "good",
			[ASH_VERDICT_DEGRADED] = "degraded",
			[ASH_VERDICT_BAD] = "bad",
	};

	return texts[verdict];
}

/* ---- life ---------------------------------------------------------------------------------------- */

static void state_free(gpointer data)
{
	AshHealthState *state = data;

	g_free(state->text);
	g_free(state);
}

AshHealth *ash_health_new(AshHealthSpec *take_spec, bool is_trial, int64_t start_us)
{
	AshHealth *health = g_new0(AshHealth, 1);

	health->spec = take_spec;
	health->is_trial = is_trial;
	health->start_us = start_us;
	health->states = g_ptr_array_new_with_free_func(state_free);
	for (guint i = 0; i < take_spec->checks->len; i++) {
		AshHealthState *state = g_new0(AshHealthState, 1);
		state->spec = take_spec->checks->pdata[i];
		state->next_us = start_us;
		state->text = g_strdup("");
		g_ptr_array_add(health->states, state);
	}
	return health;
}

void ash_health_keep_pace(AshHealth *health)
{
	health->has_pace = true;
}

void ash_health_free(AshHealth *health)
{
	if (health == NULL)
		return;
	g_ptr_array_unref(health->states);
	g_free(health->broken);
	ash_health_spec_free(health->spec);
	g_free(health);
}

guint ash_health_count(const AshHealth *health)
{
	return health->states->len;
}

const AshHealthState *ash_health_get(const AshHealth *health, guint index)
{
	g_assert(index < health->states->len);
	return health->states->pdata[index];
}

static AshHealthState *get(AshHealth *health, guint index)
{
	g_assert(index < health->states->len);
	return health->states->pdata[index];
}

static int64_t soak_us(const AshHealth *health)
{
	return (int64_t) health->spec->soak_ms * 1000;
}

uint32_t ash_health_soak_ms(const AshHealth *health)
{
	return health->spec->soak_ms;
}

int64_t ash_health_deadline_us(const AshHealth *health)
{
	return health->is_trial ? health->start_us + (int64_t) health->spec->deadline_ms * 1000
				: INT64_MAX;
}

/* ---- when ---------------------------------------------------------------------------------------- */

int ash_health_due(const AshHealth *health, int64_t now_us)
{
	int due = -1;

	for (guint i = 0; i < health->states->len; i++) {
		const AshHealthState *state = ash_health_get(health, i);
		if (state->is_running || state->next_us > now_us)
			continue;
		if (due < 0 || state->next_us < ash_health_get(health, (guint) due)->next_us)
			due = (int) i;
	}
	return due;
}

static int64_t next_run_us(const AshHealth *health, const AshHealthState *state)
{
	int64_t interval_us = (int64_t) state->spec->interval_ms * 1000;
	int64_t next_us = state->last_us + interval_us;

	if (!health->is_trial && !(health->has_pace && state->spec->has_interval)) {
		next_us = state->last_us + MAX(interval_us, state->is_passing
									    ? PASSING_INTERVAL_US
									    : FAILING_INTERVAL_US);
		return (next_us + GRID_US - 1) / GRID_US * GRID_US;
	}
	int64_t held_us = state->passing_since_us + soak_us(health);
	if (health->is_trial && state->is_passing && held_us > state->last_us)
		next_us = MIN(next_us, held_us);
	return next_us;
}

void ash_health_started(AshHealth *health, guint index, int64_t now_us)
{
	AshHealthState *state = get(health, index);

	state->is_running = true;
	state->next_us = now_us;
}

/* ---- what a result changes ----------------------------------------------------------------------- */

static bool is_failing(const AshHealthState *state)
{
	return state->has_result && !state->is_passing && state->failures >= state->spec->failures;
}

/* A required check that has held for the soak time, by the deadline. */
static bool has_held(const AshHealth *health, const AshHealthState *state)
{
	int64_t held_us = state->passing_since_us + soak_us(health);

	return state->has_result && state->is_passing && state->last_us >= held_us &&
	       held_us <= ash_health_deadline_us(health);
}

static guint count_required(const AshHealth *health)
{
	guint n = 0;

	for (guint i = 0; i < health->states->len; i++)
		n += ash_health_get(health, i)->spec->is_required ? 1 : 0;
	return n;
}

static bool have_all_held(const AshHealth *health)
{
	for (guint i = 0; i < health->states->len; i++) {
		const AshHealthState *state = ash_health_get(health, i);
		if (state->spec->is_required && !has_held(health, state))
			return false;
	}
	return count_required(health) > 0;
}

/* What a trial came to at the time of a result stays, even when nobody asks before the next. */
static void settle(AshHealth *health, const AshHealthState *state)
{
	bool is_settled = health->broken != NULL || health->is_late || health->is_held;

	if (!health->is_trial || is_settled)
		return;
	if (state->spec->is_required && state->has_passed && is_failing(state))
		health->broken = g_strdup_printf(
				"required check '%s' passed and then failed %u times in a row: %s",
				state->spec->name, state->failures, state->text);
	else if (have_all_held(health))
		health->is_held = true;
	else if (state->last_us >= ash_health_deadline_us(health))
		health->is_late = true;
}

void ash_health_result(
		AshHealth *health, guint index, bool is_passing, const char *text, int64_t now_us)
{
	AshHealthState *state = get(health, index);

	if (is_passing && (!state->has_result || !state->is_passing))
		state->passing_since_us = now_us;
	state->has_result = true;
	state->is_passing = is_passing;
	state->has_passed = state->has_passed || is_passing;
	state->failures = is_passing ? 0 : MIN(state->failures, G_MAXUINT - 1) + 1;
	state->is_running = false;
	state->last_us = now_us;
	state->next_us = next_run_us(health, state);
	g_free(state->text);
	state->text = ash_health_clean_text(text, strlen(text));
	settle(health, state);
}

void ash_health_end_trial(AshHealth *health, int64_t now_us)
{
	if (!health->is_trial)
		return;
	health->is_trial = false;
	g_clear_pointer(&health->broken, g_free);
	health->is_late = false;
	health->is_held = false;
	for (guint i = 0; i < health->states->len; i++) {
		AshHealthState *state = get(health, i);
		if (state->has_result && !state->is_running)
			state->next_us = next_run_us(health, state);
	}
}

/* ---- the verdict --------------------------------------------------------------------------------- */

static const AshHealthState *find_failing(const AshHealth *health, guint *out_n)
{
	const AshHealthState *first = NULL;

	*out_n = 0;
	for (guint i = 0; i < health->states->len; i++) {
		const AshHealthState *state = ash_health_get(health, i);
		if (!is_failing(state))
			continue;
		first = first != NULL ? first : state;
		++*out_n;
	}
	return first;
}

static int64_t next_instant_us(const AshHealth *health, int64_t now_us)
{
	int64_t next_us = INT64_MAX;

	for (guint i = 0; i < health->states->len; i++) {
		const AshHealthState *state = ash_health_get(health, i);
		if (!state->is_running)
			next_us = MIN(next_us, state->next_us);
	}
	if (!health->is_trial)
		return next_us;
	if (count_required(health) == 0 && now_us < health->start_us + soak_us(health))
		next_us = MIN(next_us, health->start_us + soak_us(health));
	if (now_us < ash_health_deadline_us(health))
		next_us = MIN(next_us, ash_health_deadline_us(health));
	return next_us;
}

static char *describe_good(const AshHealth *health)
{
	if (health->states->len == 0)
		return g_strdup("there are no checks");
	guint n_failing = 0;
	const AshHealthState *state = find_failing(health, &n_failing);
	if (state == NULL)
		return g_strdup_printf("all %u checks hold", health->states->len);
	return g_strdup_printf("%s '%s' fails (%s)%s",
			state->spec->is_required ? "required check" : "wanted check",
			state->spec->name, state->text, n_failing > 1 ? ", others too" : "");
}

static char *describe_pending(const AshHealth *health)
{
	guint n_passing = 0;
	const AshHealthState *first = NULL;

	for (guint i = 0; i < health->states->len; i++) {
		const AshHealthState *state = ash_health_get(health, i);
		if (!state->spec->is_required)
			continue;
		n_passing += state->is_passing ? 1 : 0;
		if (first == NULL && !state->is_passing)
			first = state;
	}
	if (first == NULL)
		return g_strdup_printf("%u required checks pass, the soak time is %u s", n_passing,
				health->spec->soak_ms / 1000);
	return g_strdup_printf("%u of %u required checks pass; '%s' %s%s", n_passing,
			count_required(health), first->spec->name,
			first->has_result ? "fails: " : "has not run yet", first->text);
}

static char *describe_bad(const AshHealth *health)
{
	if (health->broken != NULL)
		return g_strdup(health->broken);
	g_autofree char *pending = describe_pending(health);
	return g_strdup_printf("the deadline of %u s is over: %s", health->spec->deadline_ms / 1000,
			pending);
}

static AshVerdict judge_trial(const AshHealth *health, int64_t now_us)
{
	guint n_failing = 0;
	bool is_held = health->is_held ||
		       (count_required(health) == 0 &&
				       now_us >= health->start_us + soak_us(health));

	if (health->broken != NULL || health->is_late)
		return ASH_VERDICT_BAD;
	if (is_held)
		return find_failing(health, &n_failing) != NULL ? ASH_VERDICT_DEGRADED
								: ASH_VERDICT_GOOD;
	return now_us >= ash_health_deadline_us(health) ? ASH_VERDICT_BAD : ASH_VERDICT_PENDING;
}

AshVerdict ash_health_verdict(
		const AshHealth *health, int64_t now_us, int64_t *out_next_us, char **out_reason)
{
	AshVerdict verdict = ASH_VERDICT_GOOD;
	guint n_failing = 0;

	if (health->is_trial)
		verdict = judge_trial(health, now_us);
	else if (find_failing(health, &n_failing) != NULL)
		verdict = ASH_VERDICT_DEGRADED;
	*out_next_us = next_instant_us(health, now_us);
	if (out_reason == NULL)
		return verdict;
	*out_reason = verdict == ASH_VERDICT_BAD       ? describe_bad(health)
		      : verdict == ASH_VERDICT_PENDING ? describe_pending(health)
						       : describe_good(health);
	return verdict;
}

/* ---- text ---------------------------------------------------------------------------------------- */

/* Neither a terminal nor a log may be told to do anything, and no line may look like another. */
static bool is_shown(gunichar c)
{
	return g_unichar_isprint(c) && c != 0x2028 && c != 0x2029 && c != 0xfeff;
}

static char *clean_line(const char *line, size_t size)
{
	g_autofree char *valid = g_utf8_make_valid(line, (gssize) size);
	g_autoptr(GString) text = g_string_new(NULL);

	for (const char *p = valid; *p != '\0'; p = ash_text_next_char(p)) {
		gunichar c = g_utf8_get_char(p);
		if (c == '\t')
			g_string_append_c(text, ' ');
		else if (is_shown(c))
			g_string_append_unichar(text, c);
	}
	g_strstrip(text->str);
	text->len = strlen(text->str);
	if (text->len <= ASH_HEALTH_MAX_TEXT_BYTES)
		return g_string_free(g_steal_pointer(&text), FALSE);
	const char *end = g_utf8_find_prev_char(
			text->str, text->str + ASH_HEALTH_MAX_TEXT_BYTES - strlen("…") + 1);
	g_string_truncate(text, (gsize) (end - text->str));
	g_string_append(text, "…");
	return g_string_free(g_steal_pointer(&text), FALSE);
}

char *ash_health_clean_text(const char *data, size_t size)
{
	/* More than the text can need, whatever is in it; a check may print megabytes. */
	size = MIN(size, 16 * ASH_HEALTH_MAX_TEXT_BYTES);
	while (size > 0) {
		const char *newline = memchr(data, '\n', size);
		size_t length = newline != NULL ? (size_t) (newline - data) : size;
		g_autofree char *text = clean_line(data, length);
		if (*text != '\0')
			return g_steal_pointer(&text);
		if (newline == NULL)
			break;
		data += length + 1;
		size -= length + 1;
	}
	return g_strdup("");
}
