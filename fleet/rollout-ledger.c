/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "fleet/rollout-private.h"
#include "lib/error.h"

/* ---- writing ---- */

static const char digits[] = "0123456789abcdef";

void ash_rollout_id_format(const uint8_t *id, char out_hex[65])
{
	for (unsigned i = 0; i < ASH_ROLLOUT_ID_BYTES; i++) {
		out_hex[2 * i] = digits[id[i] >> 4];
		out_hex[2 * i + 1] = digits[id[i] & 15];
	}
	out_hex[64] = '\0';
}

char *ash_rollout_clean(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text != NULL ? text : "", -1);

	for (char *at = valid; *at != '\0'; at++)
		if ((unsigned char) *at < ' ' || *at == 0x7f)
			*at = ' ';
	if (strlen(valid) > ASH_ROLLOUT_MAX_TEXT) {
		char *end = g_utf8_find_prev_char(valid, valid + ASH_ROLLOUT_MAX_TEXT + 1);
		*end = '\0';
	}
	return g_strdup(g_strstrip(valid));
}

static void put(AshRollout *rollout, const char *line)
{
	rollout->lines++;
	if (rollout->sink.line != NULL)
		rollout->sink.line(line, rollout->sink.data);
}

void ash_rollout_flush(AshRollout *rollout)
{
	if (rollout->kept->len == 0)
		return;
	put(rollout, rollout->kept->str);
	g_string_truncate(rollout->kept, 0);
	g_string_truncate(rollout->prefix, 0);
	rollout->kept_hosts = 0;
}

/* The time is told with the first line that needs it, so that looking at the clock makes no line. */
static void tell_time(AshRollout *rollout)
{
	char line[32];

	if (rollout->is_time_told)
		return;
	ash_rollout_flush(rollout);
	rollout->is_time_told = true;
	g_snprintf(line, sizeof line, "t %u", rollout->now);
	put(rollout, line);
}

void ash_rollout_tell(AshRollout *rollout, const char *format, ...)
{
	g_autofree char *line = NULL;
	va_list args;

	va_start(args, format);
	line = g_strdup_vprintf(format, args);
	va_end(args);
	g_strchomp(line);
	tell_time(rollout);
	ash_rollout_flush(rollout);
	put(rollout, line);
}

void ash_rollout_tell_host(
		AshRollout *rollout, const char *prefix, const uint8_t *id, const uint32_t *boot)
{
	char text[80];

	tell_time(rollout);
	if (rollout->kept_hosts >= ASH_ROLLOUT_MAX_LINE_HOSTS ||
			strcmp(rollout->prefix->str, prefix) != 0)
		ash_rollout_flush(rollout);
	if (rollout->kept->len == 0) {
		g_string_assign(rollout->prefix, prefix);
		g_string_assign(rollout->kept, prefix);
	}
	text[0] = ' ';
	ash_rollout_id_format(id, text + 1);
	if (boot != NULL)
		g_snprintf(text + 65, sizeof text - 65, ":%08x", *boot);
	g_string_append(rollout->kept, text);
	rollout->kept_hosts++;
}

/* ---- checkpoints ---- */

static const char checkpoint_begin[] = "= begin ";

bool ash_rollout_is_checkpoint(const char *line)
{
	return g_str_has_prefix(line, checkpoint_begin);
}

bool ash_rollout_wants_checkpoint(const AshRollout *rollout)
{
	return rollout->lines - rollout->lines_at_checkpoint >
	       20000 + (uint64_t) rollout->hosts->len;
}

static void append_host(const AshRollout *rollout, uint32_t number, GString *line)
{
	const AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	char id[65];

	ash_rollout_id_format(host->id, id);
	g_string_append_printf(line, " %s,%u,%u,%u,%u,%u,%u,%u,%u,%u,%08x,", id, host->outcome,
			host->reach, host->said, host->flags, host->ring, host->since,
			host->rebooted, host->away, host->good, host->boot);
	g_string_append_uri_escaped(line, ash_rollout_reason(rollout, host->reason), NULL, FALSE);
	for (unsigned i = 0; i < rollout->spec->budgets->len; i++) {
		g_string_append_c(line, ',');
		g_string_append_uri_escaped(
				line, ash_rollout_host_group(rollout, number, i), NULL, FALSE);
	}
}

void ash_rollout_checkpoint(AshRollout *rollout)
{
	g_autoptr(GString) line = g_string_new(NULL);
	g_autofree char *reason = g_uri_escape_string(
			ash_rollout_reason(rollout, rollout->reason), NULL, FALSE);

	tell_time(rollout);
	ash_rollout_flush(rollout);
	g_string_printf(line, "%s%u %u %u %u %u %u %u %u %u %u %u %u %s", checkpoint_begin,
			rollout->hosts->len, rollout->state, rollout->now, rollout->ring,
			rollout->return_ring, rollout->guard_seen, rollout->floor,
			rollout->floor_ring, rollout->settled_at, rollout->news_at,
			rollout->is_dirty ? 1U : 0U, rollout->due, reason);
	put(rollout, line->str);
	g_string_assign(line, "=");
	for (uint32_t i = 0; i < rollout->hosts->len; i++) {
		append_host(rollout, i, line);
		if (line->len < ASH_ROLLOUT_MAX_LINE_BYTES / 4)
			continue;
		put(rollout, line->str);
		g_string_assign(line, "=");
	}
	if (line->len > 1)
		put(rollout, line->str);
	put(rollout, "= end");
	rollout->lines_at_checkpoint = rollout->lines;
}

/* ---- reading ---- */

static gboolean refuse(GError **error, const char *what)
{
	return ash_throw(error, ASH_ROLLOUT_ERROR, ASH_ROLLOUT_ERROR_LINE, "%s", what);
}

static int digit_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 64 digits, and what follows them. */
static bool read_id(const char *text, uint8_t *out_id, const char **out_end)
{
	for (unsigned i = 0; i < ASH_ROLLOUT_ID_BYTES; i++) {
		int high = digit_of(text[2 * i]);
		int low = high < 0 ? -1 : digit_of(text[2 * i + 1]);
		if (low < 0)
			return false;
		out_id[i] = (uint8_t) (high << 4 | low);
	}
	*out_end = text + 64;
	return true;
}

static bool read_hex32(const char *text, uint32_t *out_value, const char **out_end)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 8; i++) {
		int digit = digit_of(text[i]);
		if (digit < 0)
			return false;
		value = value << 4 | (uint32_t) digit;
	}
	*out_value = value;
	*out_end = text + 8;
	return true;
}

/* A number without sign or leading zeros, and one character behind it, which is passed. */
static bool read_number(const char **text, char behind, uint32_t max, uint32_t *out_value)
{
	const char *at = *text;
	uint64_t value = 0;

	if (*at < '0' || *at > '9' || (*at == '0' && at[1] >= '0' && at[1] <= '9'))
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		value = value * 10 + (uint64_t) (*at - '0');
		if (value > max)
			return false;
	}
	if (*at != behind)
		return false;
	*text = *at != '\0' ? at + 1 : at;
	*out_value = (uint32_t) value;
	return true;
}

typedef struct {
	const char *word;
	enum {
		HOSTS_LEAVE,
		HOSTS_REACH,
		HOSTS_OFFERED,
		HOSTS_REPORT
	} kind;
	unsigned value;
} HostsVerb;

static const HostsVerb hosts_verbs[] = {
		{"leave ", HOSTS_LEAVE, 0},
		{"away ", HOSTS_REACH, ASH_ROLLOUT_AWAY},
		{"closed ", HOSTS_REACH, ASH_ROLLOUT_CLOSED},
		{"ready ", HOSTS_REACH, ASH_ROLLOUT_READY},
		{"offered ", HOSTS_OFFERED, 0},
		{"other ", HOSTS_REPORT, ASH_ROLLOUT_SAID_OTHER},
		{"reboot ", HOSTS_REPORT, ASH_ROLLOUT_SAID_REBOOT},
		{"trial ", HOSTS_REPORT, ASH_ROLLOUT_SAID_TRIAL},
		{"good ", HOSTS_REPORT, ASH_ROLLOUT_SAID_GOOD},
};

/* @is_applied false: only reads, so that a line is applied as a whole or not at all. */
static gboolean feed_hosts(AshRollout *rollout, const HostsVerb *verb, const char *at,
		bool is_applied, GError **error)
{
	uint8_t id[ASH_ROLLOUT_ID_BYTES];
	uint32_t boot = 0;

	for (unsigned count = 1;; count++) {
		if (count > ASH_ROLLOUT_MAX_LINE_HOSTS)
			return refuse(error, "too many hosts on a line");
		if (!read_id(at, id, &at))
			return refuse(error, "expected a host's 64 digits");
		if (verb->kind == HOSTS_REPORT && (*at != ':' || !read_hex32(at + 1, &boot, &at)))
			return refuse(error, "expected ':' and 8 digits behind the host");
		if (is_applied && verb->kind == HOSTS_LEAVE)
			ash_rollout_leave(rollout, id);
		else if (is_applied && verb->kind == HOSTS_REACH)
			ash_rollout_reach(rollout, id, (AshRolloutReach) verb->value);
		else if (is_applied && verb->kind == HOSTS_OFFERED)
			ash_rollout_offered(rollout, id);
		else if (is_applied)
			ash_rollout_report_hash(
					rollout, id, (AshRolloutSaid) verb->value, boot, NULL);
		if (*at == '\0')
			return TRUE;
		if (*at++ != ' ')
			return refuse(error, "expected a blank between hosts");
	}
}

/* "a,b%2Cc" into @values, one for each budget. */
static gboolean read_groups(const AshRollout *rollout, const char *text, size_t size,
		GPtrArray *values, GError **error)
{
	g_autofree char *all = g_strndup(text, size);
	g_auto(GStrv) parts = g_strsplit(all, ",", ASH_ROLLOUT_MAX_BUDGETS + 1);
	unsigned budgets = rollout->spec->budgets->len;

	if (g_strv_length(parts) != budgets && !(budgets == 1 && *all == '\0'))
		return refuse(error, "another number of values than of budgets");
	for (unsigned i = 0; i < budgets; i++) {
		char *value = g_uri_unescape_string(parts[0] != NULL ? parts[i] : "", NULL);
		if (value == NULL || strlen(value) > ASH_ROLLOUT_MAX_TEXT ||
				!g_utf8_validate(value, -1, NULL)) {
			g_free(value);
			return refuse(error, "a group's value is not readable");
		}
		g_ptr_array_add(values, value);
	}
	return TRUE;
}

static gboolean feed_join(AshRollout *rollout, const char *at, bool is_applied, GError **error)
{
	g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
	uint8_t id[ASH_ROLLOUT_ID_BYTES];
	bool is_canary = g_str_has_prefix(at, "c ");

	at += is_canary ? 2 : 0;
	if ((rollout->spec->budgets->len > 0) != g_str_has_prefix(at, "g="))
		return refuse(error, "values where there are no budgets, or none where there are");
	if (rollout->spec->budgets->len > 0) {
		size_t size = strcspn(at + 2, " ");
		if (!read_groups(rollout, at + 2, size, values, error))
			return FALSE;
		at += 2 + size;
		if (*at++ != ' ')
			return refuse(error, "expected hosts");
	}
	g_ptr_array_add(values, NULL);
	for (unsigned count = 1;; count++) {
		if (count > ASH_ROLLOUT_MAX_LINE_HOSTS || !read_id(at, id, &at))
			return refuse(error, "expected 1 to 100 hosts of 64 digits");
		if (is_applied)
			ash_rollout_join(rollout, id, is_canary,
					(const char *const *) values->pdata);
		if (*at == '\0')
			return TRUE;
		if (*at++ != ' ')
			return refuse(error, "expected a blank between hosts");
	}
}

static gboolean feed_failed(AshRollout *rollout, const char *at, GError **error)
{
	uint8_t id[ASH_ROLLOUT_ID_BYTES];
	uint32_t boot = 0;

	if (!read_id(at, id, &at) || *at != ':' || !read_hex32(at + 1, &boot, &at) ||
			(*at != ' ' && *at != '\0'))
		return refuse(error, "expected HOST:BOOT REASON");
	ash_rollout_report_hash(
			rollout, id, ASH_ROLLOUT_SAID_FAILED, boot, *at == ' ' ? at + 1 : "");
	return TRUE;
}

static gboolean feed_act(AshRollout *rollout, const char *line, bool *out_is_act, GError **error)
{
	static const char *const words[] = {"pause ", "resume ", "revert ", "cancel "};

	for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
		if (!g_str_has_prefix(line, words[i]))
			continue;
		const char *at = line + strlen(words[i]);
		size_t size = strcspn(at, " ");
		g_autofree char *actor = g_strndup(at, size);
		if (size == 0)
			return refuse(error, "expected who did it");
		*out_is_act = true;
		return ash_rollout_act(rollout, (AshRolloutAct) i,
				strcmp(actor, "-") == 0 ? "" : actor,
				at[size] == ' ' ? at + size + 1 : "", error);
	}
	*out_is_act = false;
	return TRUE;
}

/* ---- a checkpoint, as the first that a new engine is fed ---- */

static gboolean load_begin(AshRollout *rollout, const char *at, GError **error)
{
	uint32_t hosts, state, now, ring, back, guard, floor_f, floor_ring, settled, news, dirty,
			due;
	uint32_t rings = rollout->spec->table->len, any = UINT32_MAX, late = 4000000000U;

	if (!read_number(&at, ' ', ASH_ROLLOUT_MAX_HOSTS, &hosts) ||
			!read_number(&at, ' ', ASH_ROLLOUT_CANCELLED, &state) ||
			!read_number(&at, ' ', late, &now) || now == 0 ||
			!read_number(&at, ' ', rings - 1, &ring) ||
			!read_number(&at, ' ', rings - 1, &back) ||
			!read_number(&at, ' ', any, &guard) ||
			!read_number(&at, ' ', any, &floor_f) ||
			!read_number(&at, ' ', rings, &floor_ring) ||
			!read_number(&at, ' ', late, &settled) ||
			!read_number(&at, ' ', late, &news) || !read_number(&at, ' ', 1, &dirty) ||
			!read_number(&at, ' ', any, &due))
		return refuse(error, "not a checkpoint of this rollout");
	g_autofree char *reason = g_uri_unescape_string(at, NULL);
	if (reason == NULL)
		return refuse(error, "not a checkpoint of this rollout");
	g_autofree char *clean = ash_rollout_clean(reason);
	rollout->loading = hosts;
	rollout->is_loading = true;
	rollout->state = (AshRolloutState) state;
	rollout->now = now;
	rollout->ring = ring;
	rollout->return_ring = back;
	rollout->guard_seen = guard;
	rollout->floor = floor_f;
	rollout->floor_ring = floor_ring;
	rollout->settled_at = settled;
	rollout->news_at = news;
	rollout->is_dirty = dirty == 1;
	rollout->due = due;
	rollout->reason = ash_rollout_reason_index(rollout, clean);
	rollout->is_time_told = true;
	return TRUE;
}

static bool read_host(const char **text, uint32_t rings, AshRolloutMember *out_host)
{
	uint32_t outcome, reach, said, flags, ring;
	const char *at = *text;
	AshRolloutMember host = {0};

	if (!read_id(at, host.id, &at) || *at++ != ',' ||
			!read_number(&at, ',', ASH_ROLLOUT_OUTCOMES - 1, &outcome) ||
			!read_number(&at, ',', ASH_ROLLOUT_READY, &reach) ||
			!read_number(&at, ',', ASH_ROLLOUT_SAID_FAILED, &said) ||
			!read_number(&at, ',', 2 * FLAG_STUCK - 1, &flags) ||
			!read_number(&at, ',', rings - 1, &ring) ||
			!read_number(&at, ',', 4000000000U, &host.since) ||
			!read_number(&at, ',', 4000000000U, &host.rebooted) ||
			!read_number(&at, ',', 4000000000U, &host.away) ||
			!read_number(&at, ',', 4000000000U, &host.good) ||
			!read_hex32(at, &host.boot, &at) || *at++ != ',')
		return false;
	host.outcome = (uint8_t) outcome;
	host.reach = (uint8_t) reach;
	host.said = (uint8_t) said;
	host.flags = (uint8_t) flags;
	host.ring = (uint8_t) ring;
	*out_host = host;
	*text = at;
	return true;
}

static gboolean load_host(AshRollout *rollout, const char *at, size_t size, GError **error)
{
	g_autofree char *text = g_strndup(at, size);
	g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
	const char *rest = text;
	uint32_t number = 0;
	AshRolloutMember read;

	if (rollout->loading == 0 || !read_host(&rest, rollout->spec->table->len, &read) ||
			ash_rollout_host_find(rollout, read.id, &number))
		return refuse(error, "not a host of this checkpoint");
	size_t reason_size = strcspn(rest, ",");
	g_autofree char *escaped = g_strndup(rest, reason_size);
	g_autofree char *reason = g_uri_unescape_string(escaped, NULL);
	g_autofree char *clean = ash_rollout_clean(reason);
	if (rest[reason_size] == ',' &&
			!read_groups(rollout, rest + reason_size + 1,
					strlen(rest + reason_size + 1), values, error))
		return FALSE;
	if (values->len != rollout->spec->budgets->len)
		return refuse(error, "another number of values than of budgets");
	number = ash_rollout_host_add(rollout, read.id);
	ash_rollout_host_begin(rollout, number);
	AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	read.rank = host->rank;
	read.position = host->position;
	read.reason = ash_rollout_reason_index(rollout, clean);
	*host = read;
	if (values->len > 0)
		ash_rollout_host_set_groups(rollout, number, (const char *const *) values->pdata);
	ash_rollout_host_end(rollout, number);
	rollout->loading--;
	return TRUE;
}

static gboolean load_line(AshRollout *rollout, const char *line, GError **error)
{
	if (strcmp(line, "= end") == 0) {
		if (rollout->loading != 0)
			return refuse(error, "the checkpoint is not whole");
		rollout->is_loading = false;
		return TRUE;
	}
	if (!g_str_has_prefix(line, "= "))
		return refuse(error, "the checkpoint has no end");
	for (const char *at = line + 2;;) {
		size_t size = strcspn(at, " ");
		if (!load_host(rollout, at, size, error))
			return FALSE;
		if (at[size] == '\0')
			return TRUE;
		at += size + 1;
	}
}

/* ---- one line ---- */

static gboolean feed_absent(AshRollout *rollout, const char *at, GError **error)
{
	uint32_t seconds = 0;

	if (!read_number(&at, '\0', 4000000000U, &seconds) || seconds == 0 ||
			seconds > rollout->now)
		return refuse(error, "expected seconds, no more than have been");
	ash_rollout_absent(rollout, seconds);
	return TRUE;
}

static gboolean feed_line(AshRollout *rollout, const char *line, GError **error)
{
	const char *at = line + 2;
	bool is_act = false;
	uint32_t now;

	if (rollout->is_loading)
		return load_line(rollout, line, error);
	if (ash_rollout_is_checkpoint(line)) {
		if (rollout->lines > 0 || rollout->hosts->len > 0)
			return refuse(error, "a checkpoint within a ledger is made, not fed");
		return load_begin(rollout, line + strlen(checkpoint_begin), error);
	}
	if (strcmp(line, "step") == 0) {
		ash_rollout_step(rollout);
		return TRUE;
	}
	if (g_str_has_prefix(line, "t ")) {
		if (!read_number(&at, '\0', 4000000000U, &now) || now < rollout->now ||
				(now == rollout->now && rollout->is_time_told))
			return refuse(error, "the time is none, or not behind the last");
		ash_rollout_at(rollout, now);
		tell_time(rollout);
		return TRUE;
	}
	if (g_str_has_prefix(line, "absent "))
		return feed_absent(rollout, line + 7, error);
	if (g_str_has_prefix(line, "join "))
		return feed_join(rollout, line + 5, false, error) &&
		       feed_join(rollout, line + 5, true, error);
	if (g_str_has_prefix(line, "failed "))
		return feed_failed(rollout, line + 7, error);
	for (unsigned i = 0; i < G_N_ELEMENTS(hosts_verbs); i++) {
		const HostsVerb *verb = &hosts_verbs[i];
		if (g_str_has_prefix(line, verb->word))
			return feed_hosts(rollout, verb, line + strlen(verb->word), false, error) &&
			       feed_hosts(rollout, verb, line + strlen(verb->word), true, error);
	}
	if (!feed_act(rollout, line, &is_act, error))
		return FALSE;
	return is_act ? TRUE : refuse(error, "not a line of news");
}

gboolean ash_rollout_feed(AshRollout *rollout, const char *line, GError **error)
{
	size_t size = strnlen(line, ASH_ROLLOUT_MAX_LINE_BYTES + 1);

	if (size > ASH_ROLLOUT_MAX_LINE_BYTES || !g_utf8_validate(line, (gssize) size, NULL))
		return refuse(error, "the line is too long, or not UTF-8");
	rollout->is_feeding = true;
	gboolean ok = feed_line(rollout, line, error);
	ash_rollout_flush(rollout);
	rollout->is_feeding = false;
	return ok;
}

/* ---- replay ---- */

static void expect_line(const char *text, gpointer queue)
{
	g_queue_push_tail(queue, g_strdup(text));
}

static void differ(AshRolloutReplay *replay, const char *expected, const char *found)
{
	replay->agrees = false;
	replay->first_difference = replay->lines;
	g_free(replay->expected);
	replay->expected = g_strdup(expected);
	g_free(replay->found);
	replay->found = g_strdup(found);
}

/* Feeds what is news; returns FALSE when it differs from here on. */
static bool replay_line(AshRollout *rollout, GQueue *queue, const char *line, bool is_first,
		AshRolloutReplay *replay)
{
	g_autoptr(GError) local = NULL;
	bool is_state = line[0] == '=' && (rollout->is_loading || is_first);

	if (g_queue_is_empty(queue) && !is_state && ash_rollout_is_checkpoint(line)) {
		ash_rollout_checkpoint(rollout);
	} else if (g_queue_is_empty(queue)) {
		if (line[0] == '>') {
			differ(replay, "", line);
			return false;
		}
		if (!ash_rollout_feed(rollout, line, &local)) {
			differ(replay, local->message, line);
			return false;
		}
		if (is_state)
			return true;
	}
	g_autofree char *expected = g_queue_pop_head(queue);
	if (g_strcmp0(expected, line) == 0)
		return true;
	differ(replay, expected != NULL ? expected : "", line);
	return false;
}

gboolean ash_rollout_replay(AshRollout *fresh, AshRolloutNext next, gpointer data,
		AshRolloutReplay *out_replay, GError **error)
{
	GQueue queue = G_QUEUE_INIT;
	AshRolloutSink sink = {.line = expect_line, .data = &queue};
	AshRolloutReplay replay = {.agrees = true, .expected = g_strdup(""), .found = g_strdup("")};
	g_autoptr(GError) local = NULL;
	const char *line;

	ash_rollout_set_sink(fresh, &sink);
	while (replay.agrees && (line = next(data, &local)) != NULL) {
		replay.lines++;
		replay_line(fresh, &queue, line, replay.lines == 1, &replay);
	}
	if (replay.agrees && !g_queue_is_empty(&queue)) {
		replay.lines++;
		differ(&replay, g_queue_peek_head(&queue), "");
		replay.lines--;
	}
	if (replay.agrees && fresh->is_loading)
		differ(&replay, "= end", "");
	g_queue_clear_full(&queue, g_free);
	ash_rollout_set_sink(fresh, NULL);
	if (local != NULL) {
		ash_rollout_replay_clear(&replay);
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	*out_replay = replay;
	return TRUE;
}

void ash_rollout_replay_clear(AshRolloutReplay *replay)
{
	g_clear_pointer(&replay->expected, g_free);
	g_clear_pointer(&replay->found, g_free);
}

gboolean ash_rollout_load(AshRolloutSpec *take_spec, AshRolloutNext next, gpointer data,
		AshRollout **out_rollout, GError **error)
{
	g_autoptr(AshRollout) rollout = ash_rollout_new(take_spec, NULL);
	g_auto(AshRolloutReplay) replay = {0};

	if (!ash_rollout_replay(rollout, next, data, &replay, error))
		return FALSE;
	if (!replay.agrees)
		return ash_throw(error, ASH_ROLLOUT_ERROR, ASH_ROLLOUT_ERROR_LEDGER,
				"line %" G_GUINT64_FORMAT
				" is '%.200s', where '%.200s' was expected",
				replay.first_difference, replay.found, replay.expected);
	*out_rollout = g_steal_pointer(&rollout);
	return TRUE;
}
