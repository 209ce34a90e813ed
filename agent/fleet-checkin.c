/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fleet-checkin.h"

#include <gio/gio.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/fleet-answer.h"
#include "agent/fleet-identity.h"
#include "agent/fleet-rest.h"
#include "lib/auto.h"
#include "lib/checkin.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/fetch-request.h"
#include "lib/json.h"
#include "lib/x509.h"

enum {
	TIMEOUT_S = 60, /* of a request, beside what the server is told that it may wait */
	MAX_DEPTH = 24,
	MAX_SEQ_TRIES = 2,
	MAX_LOST = 1 << 20,
};

/* What the next process is told, and this one was. */
typedef struct {
	uint64_t seq, limit; /* the next number, and the first that is not ours; 0: none are */
	uint64_t whole;
	/* SHA-256 of what the fleet has acknowledged; NULL: nothing */
	char *state, *health, *facts, *workloads;
	bool is_clock_odd; /* a new certificate had ended by this host's clock: the server judges alone */
} Memory;

typedef struct {
	const char *dir;
	JsonObject *report; /* of the input */
	const char *url;
	uint64_t wait_s;
	Memory memory;
	AshFleetIdentity *identity;
	AshFetchSession *session; /* NULL: none yet */
	/* the result */
	AshFleetOutcome outcome;
	char *text;
	uint64_t next_s;
	bool has_waited, must_come; /* for ashlar-link, see format_result */
	JsonNode *answer;           /* of a check-in; NULL */
} Round;

/* ---- memory -------------------------------------------------------------------------------------- */

static void memory_clear(Memory *memory)
{
	g_free(memory->state);
	g_free(memory->health);
	g_free(memory->facts);
	g_free(memory->workloads);
}

static void memory_parse(Memory *memory, const char *text)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(bytes, ASH_FLEET_CHECKIN_MAX_LINE, 2, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node))
		return;
	JsonObject *object = json_node_get_object(node);
	memory->seq = ash_json_find_uint(object, "seq");
	memory->limit = ash_json_find_uint(object, "limit");
	memory->whole = ash_json_find_uint(object, "whole");
	memory->state = g_strdup(ash_json_find_text(object, "state"));
	memory->health = g_strdup(ash_json_find_text(object, "health"));
	memory->facts = g_strdup(ash_json_find_text(object, "facts"));
	memory->workloads = g_strdup(ash_json_find_text(object, "workloads"));
	memory->is_clock_odd = ash_json_find_bool(object, "clock");
}

static char *memory_format(const Memory *memory)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_uint(builder, "seq", memory->seq);
	ash_json_add_uint(builder, "limit", memory->limit);
	ash_json_add_uint(builder, "whole", memory->whole);
	ash_json_add_text(builder, "state", memory->state);
	ash_json_add_text(builder, "health", memory->health);
	ash_json_add_text(builder, "facts", memory->facts);
	ash_json_add_text(builder, "workloads", memory->workloads);
	ash_json_add_bool(builder, "clock", memory->is_clock_odd);
	json_builder_end_object(builder);
	return g_strchomp(ash_json_format(builder, false));
}

/* ---- results ------------------------------------------------------------------------------------- */

/* One line that a terminal and a log may show. */
static char *clean(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);

	for (char *c = valid; *c != '\0'; c++)
		if (g_ascii_iscntrl(*c))
			*c = ' ';
	return g_utf8_substring(valid, 0, MIN(g_utf8_strlen(valid, -1), ASH_CHECKIN_MAX_TEXT / 4));
}

static bool end(Round *round, AshFleetOutcome outcome, uint64_t next_s, const char *format, ...)
		G_GNUC_PRINTF(4, 5);
/* Always false: the round goes no further. */
static bool end(Round *round, AshFleetOutcome outcome, uint64_t next_s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	g_free(round->text);
	round->text = clean(text);
	round->outcome = outcome;
	round->next_s = MIN(next_s, ASH_FLEET_ANSWER_MAX_NEXT_S);
	return false;
}

static char *format_result(Round *round)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autofree char *memory = memory_format(&round->memory);

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "outcome", ash_fleet_outcome_text(round->outcome));
	ash_json_add_text(builder, "text", round->text);
	if (round->identity != NULL)
		ash_json_add_text(builder, "id", round->identity->id);
	ash_json_add_uint(builder, "next", round->next_s);
	/* The check-in was one that the server might keep; there is more to say, soon. */
	ash_json_add_bool(builder, "waited", round->has_waited);
	ash_json_add_bool(builder, "again", round->must_come);
	ash_json_add_text(builder, "memory", memory);
	if (round->answer != NULL) {
		json_builder_set_member_name(builder, "answer");
		json_builder_add_value(builder, g_steal_pointer(&round->answer));
	}
	json_builder_end_object(builder);
	return g_strchomp(ash_json_format(builder, false));
}

/* ---- asking -------------------------------------------------------------------------------------- */

static bool open_session(Round *round, bool has_certificate)
{
	const AshFleetIdentity *identity = round->identity;
	g_autoptr(GError) local = NULL;
	AshFetchOptions options = {.ca_pem = ash_json_find_text(round->report, "ca"),
			.is_http_only = true,
			.is_tls13_only = true};

	if (has_certificate) {
		options.certificate_pem = identity->certificate_pem;
		options.key_pem = identity->key_pem;
	}
	g_clear_pointer(&round->session, ash_fetch_session_free);
	return ash_fetch_session_new(&options, &round->session, &local) ||
	       end(round, ASH_FLEET_FAILED, 0, "%s", local->message);
}

typedef struct {
	unsigned status;
	JsonNode *node;          /* an object; NULL: the answer was none */
	const char *kind, *text; /* of an error; "" */
	uint64_t next_s;         /* what the body or Retry-After says; 0: nothing */
} Reply;

static void reply_clear(Reply *reply)
{
	g_clear_pointer(&reply->node, json_node_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reply, reply_clear)

static JsonObject *object_of(const Reply *reply)
{
	return reply->node != NULL ? json_node_get_object(reply->node) : NULL;
}

static const char *or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* false: there was no answer; the round has ended. */
static bool ask(Round *round, const char *path, JsonBuilder *body, uint64_t wait_s,
		Reply *out_reply)
{
	g_autofree char *url = g_strconcat(round->url, path, NULL);
	g_autofree char *text = ash_json_format(body, false);
	g_autoptr(AshFetchAnswer) answer = NULL;
	g_autoptr(GError) local = NULL;
	const AshFetchRequest request = {.url = url,
			.body = text,
			.timeout_ms = (uint32_t) (TIMEOUT_S + wait_s) * 1000,
			.max_bytes = ASH_CHECKIN_MAX_BYTES,
			.on_quiet = wait_s > 0 ? ash_fleet_rest : NULL};

	if (!ash_fetch_session_request(round->session, &request, &answer, &local))
		return end(round, ASH_FLEET_UNREACHED, 0, "%s", local->message);
	out_reply->status = answer->status;
	if (!ash_json_parse(answer->body, ASH_CHECKIN_MAX_BYTES, ASH_CHECKIN_MAX_DEPTH,
			    &out_reply->node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(out_reply->node))
		g_clear_pointer(&out_reply->node, json_node_unref);
	out_reply->kind = or_empty(ash_json_find_text(object_of(out_reply), "kind"));
	out_reply->text = or_empty(ash_json_find_text(object_of(out_reply), "text"));
	out_reply->next_s = ash_json_find_uint(object_of(out_reply), "next");
	if (answer->retry_after_s > 0)
		out_reply->next_s = (uint64_t) answer->retry_after_s;
	return true;
}

/* What a status that is neither 200 nor 202 means, for every path alike. */
static bool end_with(Round *round, const Reply *reply)
{
	static const struct {
		const char *kind;
		AshFleetOutcome outcome;
	} kinds[] = {
			{"held", ASH_FLEET_HELD},
			{"pending", ASH_FLEET_PENDING},
			{"retired", ASH_FLEET_RETIRED},
	};
	const char *text = *reply->text != '\0' ? reply->text : "the server gives no reason";

	if (reply->status == 429 || reply->status == 503)
		return end(round, ASH_FLEET_BUSY, reply->next_s, "the server is busy: %s", text);
	if (reply->status >= 500)
		return end(round, ASH_FLEET_UNREACHED, reply->next_s, "the server fails (%u): %s",
				reply->status, text);
	for (size_t i = 0; reply->status == 403 && i < G_N_ELEMENTS(kinds); i++)
		if (strcmp(kinds[i].kind, reply->kind) == 0)
			return end(round, kinds[i].outcome, reply->next_s, "%s", text);
	if (reply->status == 401 || reply->status == 403)
		return end(round, ASH_FLEET_REFUSED, reply->next_s, "%s", text);
	if (reply->status == 200 || reply->status == 202)
		return end(round, ASH_FLEET_UNREACHED, 0, "the server's answer is not understood");
	return end(round, ASH_FLEET_UNREACHED, reply->next_s, "the server answers with %u: %s",
			reply->status, text);
}

/* ---- facts --------------------------------------------------------------------------------------- */

/* Ours on the way to the server: no packet is sent for that. NULL if there is no way. */
static char *find_address(const char *url)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
	g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);
	struct addrinfo *found = NULL;
	struct sockaddr_storage own;
	socklen_t size = sizeof own;
	char text[NI_MAXHOST];
	bool is_ok = false;

	if (uri == NULL || getaddrinfo(g_uri_get_host(uri), "443", &hints, &found) != 0)
		return NULL;
	for (const struct addrinfo *one = found; one != NULL && !is_ok; one = one->ai_next) {
		ash_autofd int fd = socket(one->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		size = sizeof own;
		is_ok = fd >= 0 && connect(fd, one->ai_addr, one->ai_addrlen) == 0 &&
			getsockname(fd, (struct sockaddr *) &own, &size) == 0 &&
			getnameinfo((struct sockaddr *) &own, size, text, sizeof text, NULL, 0,
					NI_NUMERICHOST) == 0;
	}
	freeaddrinfo(found);
	return is_ok ? g_strdup(text) : NULL;
}

static JsonNode *make_facts(Round *round)
{
	JsonNode *node = json_object_dup_member(round->report, "facts");
	g_autofree char *address = find_address(round->url);

	if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node)) {
		g_clear_pointer(&node, json_node_unref);
		node = json_node_new(JSON_NODE_OBJECT);
		json_node_take_object(node, json_object_new());
	}
	if (address != NULL)
		json_object_set_string_member(json_node_get_object(node), "address", address);
	return node;
}

/* ---- joining and renewing ------------------------------------------------------------------------ */

static bool take_certificate(Round *round, const Reply *reply)
{
	const char *pem = ash_json_find_text(object_of(reply), "certificate");
	g_autoptr(GError) local = NULL;

	if (pem == NULL)
		return end_with(round, reply);
	return ash_fleet_identity_set_certificate(round->identity, pem, &local) ||
	       end(round, ASH_FLEET_FAILED, 0, "%s", local->message);
}

static bool make_csr(Round *round, char **out_csr)
{
	g_autoptr(GError) local = NULL;

	return ash_x509_csr_make(round->identity->key_pem, round->identity->id, out_csr, &local) ||
	       end(round, ASH_FLEET_FAILED, 0, "%s", local->message);
}

static bool join(Round *round)
{
	g_autoptr(JsonBuilder) body = json_builder_new();
	g_autofree char *csr = NULL;
	g_auto(Reply) reply = {0};

	if (!make_csr(round, &csr) || !open_session(round, false))
		return false;
	json_builder_begin_object(body);
	ash_json_add_text(body, "token", ash_json_find_text(round->report, "token"));
	ash_json_add_text(body, "csr", csr);
	ash_json_add_text(body, "name", ash_json_find_text(round->report, "name"));
	ash_json_add_text(body, "instance", round->identity->instance);
	json_builder_set_member_name(body, "facts");
	json_builder_add_value(body, make_facts(round));
	json_builder_end_object(body);
	if (!ask(round, "/v1/join", body, 0, &reply))
		return false;
	if (reply.status == 202)
		return end(round, ASH_FLEET_PENDING, reply.next_s, "waits for approval");
	if (reply.status != 200)
		return end_with(round, &reply);
	if (!take_certificate(round, &reply))
		return false;
	round->memory.is_clock_odd =
			round->identity->not_after_s <= g_get_real_time() / G_USEC_PER_SEC;
	return open_session(round, true);
}

/* What does not work now will at a later check-in: a third of its life is left. */
static void renew(Round *round)
{
	g_autoptr(JsonBuilder) body = json_builder_new();
	g_autofree char *csr = NULL;
	g_auto(Reply) reply = {0};
	g_autoptr(GError) local = NULL;

	if (!make_csr(round, &csr))
		return;
	json_builder_begin_object(body);
	ash_json_add_text(body, "csr", csr);
	json_builder_end_object(body);
	const char *pem = NULL;
	if (ask(round, "/v1/renew", body, 0, &reply) && reply.status == 200)
		pem = ash_json_find_text(object_of(&reply), "certificate");
	if (pem == NULL)
		fprintf(stderr, "ashlar-checkin: the certificate is not renewed: %s\n",
				reply.status != 0 ? reply.text : round->text);
	else if (!ash_fleet_identity_set_certificate(round->identity, pem, &local))
		fprintf(stderr, "ashlar-checkin: %s\n", local->message);
	else
		open_session(round, true);
}

static bool has_certificate(const Round *round)
{
	const AshFleetIdentity *identity = round->identity;

	return identity->certificate_pem != NULL &&
	       (round->memory.is_clock_odd ||
			       g_get_real_time() / G_USEC_PER_SEC < identity->not_after_s);
}

static bool is_renewal_due(const Round *round)
{
	const AshFleetIdentity *identity = round->identity;
	int64_t life_s = identity->not_after_s - identity->not_before_s;

	return !round->memory.is_clock_odd &&
	       g_get_real_time() / G_USEC_PER_SEC > identity->not_before_s + life_s / 3 * 2;
}

/* ---- the check-in -------------------------------------------------------------------------------- */

static bool take_number(Round *round, uint64_t *out_seq)
{
	Memory *memory = &round->memory;
	g_autoptr(GError) local = NULL;

	if (memory->seq >= memory->limit &&
			!ash_fleet_identity_reserve(round->identity, memory->seq, &memory->seq,
					&memory->limit, &local))
		return end(round, ASH_FLEET_FAILED, 0, "%s", local->message);
	*out_seq = memory->seq++;
	return true;
}

static char *hash_of(JsonNode *node)
{
	g_autofree char *text = json_to_string(node, FALSE);

	return ash_sha256_hex(text, strlen(text));
}

/* Takes @take_node; adds it if it is not what the fleet has. Returns its hash. */
static char *add_news(JsonBuilder *body, const char *key, JsonNode *take_node, const char *known,
		bool *has_news)
{
	g_autoptr(JsonNode) node = take_node;
	char *hash = hash_of(node);

	if (g_strcmp0(hash, known) == 0)
		return hash;
	*has_news = true;
	json_builder_set_member_name(body, key);
	json_builder_add_value(body, g_steal_pointer(&node));
	return hash;
}

/* Is it something to say: there, and no empty list? */
static bool copy_member(JsonBuilder *body, JsonObject *from, const char *key)
{
	JsonNode *node = json_object_dup_member(from, key);

	if (node == NULL)
		return false;
	bool is_empty = JSON_NODE_HOLDS_ARRAY(node) &&
			json_array_get_length(json_node_get_array(node)) == 0;
	json_builder_set_member_name(body, key);
	json_builder_add_value(body, node);
	return !is_empty;
}

/* It may be left out; then what the fleet has stays. */
static char *add_workloads(JsonBuilder *body, JsonObject *report, const char *known, bool *has_news)
{
	JsonNode *node = json_object_dup_member(report, "workloads");

	return node != NULL ? add_news(body, "workloads", node, known, has_news) : g_strdup(known);
}

/* Something is followed: each second counts. */
static bool is_following(JsonObject *report)
{
	return json_object_has_member(report, "logs");
}

/* @sent: filled with the hashes of what is in it, or is known to be there. */
static JsonBuilder *make_body(Round *round, uint64_t seq, Memory *sent)
{
	JsonBuilder *body = json_builder_new();
	JsonObject *report = round->report;
	Memory *memory = &round->memory;
	uint64_t whole = ash_json_find_uint(report, "whole");
	bool is_whole = whole != memory->whole;
	bool has_news = false, is_other = false;

	json_builder_begin_object(body);
	ash_json_add_uint(body, "seq", seq);
	ash_json_add_text(body, "instance", round->identity->instance);
	copy_member(body, report, "boot");
	copy_member(body, report, "have");
	sent->state = add_news(body, "state", json_object_dup_member(report, "state"),
			is_whole ? NULL : memory->state, &has_news);
	sent->health = add_news(body, "health", json_object_dup_member(report, "health"),
			is_whole ? NULL : memory->health, &is_other);
	sent->facts = add_news(body, "facts", make_facts(round), is_whole ? NULL : memory->facts,
			&is_other);
	sent->workloads =
			add_workloads(body, report, is_whole ? NULL : memory->workloads, &has_news);
	sent->whole = whole;
	has_news = copy_member(body, report, "logs") || has_news;
	has_news = copy_member(body, report, "events") || has_news;
	has_news = copy_member(body, report, "orders") || has_news;
	has_news = copy_member(body, report, "journal") || has_news;
	/* News is to be acknowledged at once; then there is nothing to say, and time to wait. Free space and the
	 * like change all the time, and are no news. */
	round->has_waited = round->wait_s > 0 && !has_news;
	ash_json_add_uint(body, "wait", round->has_waited ? round->wait_s : 0);
	json_builder_end_object(body);
	return body;
}

static bool is_needed(JsonObject *answer, const char *what)
{
	JsonNode *node = json_object_get_member(answer, "need");

	if (node == NULL || !JSON_NODE_HOLDS_ARRAY(node))
		return false;
	JsonArray *array = json_node_get_array(node);
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *one = json_array_get_element(array, i);
		if (json_node_get_value_type(one) == G_TYPE_STRING &&
				strcmp(json_node_get_string(one), what) == 0)
			return true;
	}
	return false;
}

static void keep_hash(JsonObject *answer, const char *what, char **known, char **sent)
{
	g_free(*known);
	*known = is_needed(answer, what) ? NULL : g_steal_pointer(sent);
}

static void take_answer(Round *round, Reply *reply, Memory *sent)
{
	JsonObject *answer = object_of(reply);
	Memory *memory = &round->memory;

	keep_hash(answer, "state", &memory->state, &sent->state);
	keep_hash(answer, "health", &memory->health, &sent->health);
	keep_hash(answer, "facts", &memory->facts, &sent->facts);
	keep_hash(answer, "workloads", &memory->workloads, &sent->workloads);
	memory->whole = sent->whole;
	end(round, ASH_FLEET_JOINED, reply->next_s, "%s", "");
	bool has_more = ash_json_find_bool(round->report, "more");
	round->must_come = has_more || memory->state == NULL || memory->health == NULL ||
			   memory->facts == NULL || is_following(round->report) ||
			   is_needed(answer, "workloads");
	if (has_more || is_following(round->report))
		round->next_s = 1;
	round->answer = g_steal_pointer(&reply->node);
}

/* false: the round has ended, *out_again says whether another try is due. */
static bool check_in(Round *round, bool *out_is_unknown, bool *out_again)
{
	Memory sent = {0};
	g_auto(Reply) reply = {0};
	uint64_t seq = 0;

	*out_is_unknown = *out_again = false;
	if (!take_number(round, &seq))
		return false;
	g_autoptr(JsonBuilder) body = make_body(round, seq, &sent);
	bool is_answered = ask(
			round, "/v1/checkin", body, round->has_waited ? round->wait_s : 0, &reply);
	if (is_answered && reply.status == 200 && reply.node != NULL) {
		take_answer(round, &reply, &sent);
	} else if (is_answered && reply.status == 409 && strcmp(reply.kind, "seq") == 0) {
		uint64_t theirs = ash_json_find_uint(object_of(&reply), "seq");
		*out_again = true;
		round->memory.seq = MAX(round->memory.seq, theirs + 1);
		end(round, ASH_FLEET_UNREACHED, 0,
				"the fleet has heard of check-in %" G_GUINT64_FORMAT
				" already: is there a copy of this host?",
				theirs);
	} else if (is_answered) {
		*out_is_unknown = reply.status == 401 || strcmp(reply.kind, "unknown") == 0;
		end_with(round, &reply);
	}
	memory_clear(&sent);
	return round->answer != NULL;
}

static void run(Round *round)
{
	bool is_unknown = false, again = false;
	bool has_joined = false;

	if (!has_certificate(round)) {
		if (!join(round))
			return;
		has_joined = true;
	} else if (!open_session(round, true)) {
		return;
	} else if (is_renewal_due(round)) {
		renew(round);
	}
	for (int i = 0; i < MAX_SEQ_TRIES; i++) {
		if (check_in(round, &is_unknown, &again))
			return;
		/* The certificate has ended for the server, or is of a CA of before. */
		if (is_unknown && !has_joined) {
			if (!join(round))
				return;
			has_joined = true;
		} else if (!again) {
			return;
		}
	}
}

/* ---- in and out ---------------------------------------------------------------------------------- */

static void run_with(Round *round, JsonObject *input)
{
	g_autoptr(GError) local = NULL;

	round->report = ash_json_find_object(input, "report");
	round->wait_s = MIN(ash_json_find_uint(input, "wait"), ASH_CHECKIN_MAX_WAIT_S);
	memory_parse(&round->memory, or_empty(ash_json_find_text(input, "memory")));
	/* The fleet may have heard of those: their numbers are used up. */
	round->memory.seq += MIN(ash_json_find_uint(input, "lost"), MAX_LOST) * MAX_SEQ_TRIES;
	const char *epoch = ash_json_find_text(round->report, "epoch");
	round->url = ash_json_find_text(round->report, "url");
	if (ash_json_find_bool(round->report, "leave")) {
		if (ash_fleet_identity_leave(round->dir, &local))
			end(round, ASH_FLEET_LEFT, 0, "as it was told");
		else
			end(round, ASH_FLEET_FAILED, 0, "%s", local->message);
	} else if (epoch == NULL || round->url == NULL) {
		end(round, ASH_FLEET_FAILED, 0, "a report without a fleet");
	} else if (g_ascii_strncasecmp(round->url, "https://", 8) != 0) {
		end(round, ASH_FLEET_FAILED, 0, "the fleet's address does not begin with https://");
	} else if (!ash_fleet_identity_open(round->dir, epoch, &round->identity, &local)) {
		end(round, ASH_FLEET_FAILED, 0, "%s", local->message);
	} else {
		run(round);
	}
}

char *ash_fleet_checkin_run(const char *dir, const char *input)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(input, strlen(input));
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) local = NULL;
	Round round = {.dir = dir, .outcome = ASH_FLEET_FAILED};

	if (ash_json_parse(bytes, ASH_FLEET_CHECKIN_MAX_INPUT, MAX_DEPTH, &node, &local) &&
			JSON_NODE_HOLDS_OBJECT(node))
		run_with(&round, json_node_get_object(node));
	else
		end(&round, ASH_FLEET_FAILED, 0, "%s",
				local != NULL ? local->message : "no object");
	char *line = format_result(&round);
	memory_clear(&round.memory);
	ash_fetch_session_free(round.session);
	ash_fleet_identity_free(round.identity);
	g_clear_pointer(&round.answer, json_node_unref);
	g_free(round.text);
	return line;
}
