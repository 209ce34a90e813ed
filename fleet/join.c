/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/join.h"

#include <string.h>

#include "fleet/event.h"
#include "fleet/host.h"
#include "fleet/live.h"
#include "fleet/token.h"
#include "lib/checkin.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/x509.h"

G_DEFINE_QUARK(ash_join_error, ash_join_error)

enum {
	MAX_TOKEN = 128,
	INSTANCE_DIGITS = 32,
};

/* ---- what was asked ---- */

static gboolean take_facts(JsonObject *body, char **out_facts, GError **error)
{
	JsonObject *facts = NULL;
	AshPair *pairs = NULL;
	uint32_t count = 0;

	if (!json_object_has_member(body, "facts"))
		return TRUE;
	if (!ash_json_object(body, "facts", &facts, error) ||
			!ash_pairs_from_object(facts, ASH_CHECKIN_MAX_FACTS,
					ASH_LIVE_MAX_FACT_BYTES, &pairs, &count, error))
		return FALSE;
	*out_facts = ash_pairs_format(pairs, count);
	ash_pairs_unref(pairs, count);
	return strlen(*out_facts) <= ASH_LIVE_MAX_PAIRS_BYTES ||
	       ash_throw(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_REQUEST,
			       "'facts' are larger than %d bytes", ASH_LIVE_MAX_PAIRS_BYTES);
}

static gboolean check_csr(const char *csr, char **out_id, GError **error)
{
	if (strlen(csr) > ASH_CHECKIN_MAX_CSR)
		return ash_throw(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_REQUEST,
				"'csr' is longer than %d bytes", ASH_CHECKIN_MAX_CSR);
	return ash_x509_csr_check(csr, out_id, error);
}

static gboolean parse(JsonObject *body, AshJoin *join, GError **error)
{
	join->token = "";
	if (!ash_json_text_opt(body, "token", &join->token, error) ||
			!ash_json_text(body, "csr", &join->csr, error) ||
			!ash_json_text(body, "name", &join->name, error) ||
			!ash_json_text(body, "instance", &join->instance, error) ||
			!take_facts(body, &join->facts, error))
		return FALSE;
	if (strlen(join->token) > MAX_TOKEN)
		return ash_throw(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_REQUEST,
				"'token' is longer than %d bytes", MAX_TOKEN);
	if (!ash_host_name_is_valid(join->name))
		return ash_throw(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_REQUEST,
				"'name' is a hostname: 1 to %d letters, digits and . _ -",
				ASH_HOST_MAX_NAME);
	if (strlen(join->instance) != INSTANCE_DIGITS ||
			strspn(join->instance, "0123456789abcdef") != INSTANCE_DIGITS)
		return ash_throw(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_REQUEST,
				"'instance' is %d hexadecimal digits", INSTANCE_DIGITS);
	return check_csr(join->csr, &join->id, error);
}

gboolean ash_join_parse(JsonObject *body, AshJoin *out_join, GError **error)
{
	g_auto(AshJoin) join = {0};

	if (!parse(body, &join, error))
		return FALSE;
	*out_join = join;
	memset(&join, 0, sizeof join);
	return TRUE;
}

void ash_join_clear(AshJoin *join)
{
	g_free(join->id);
	g_free(join->facts);
	memset(join, 0, sizeof *join);
}

void ash_join_result_clear(AshJoinResult *result)
{
	g_free(result->certificate);
	memset(result, 0, sizeof *result);
}

/* ---- certificates ---- */

/* Those that ended long ago tell nobody anything; withdrawn ones stay until they end. */
static gboolean tidy(AshDb *db, const char *id, int64_t now_s, GError **error)
{
	return ash_db_exec(db, "DELETE FROM certificate WHERE host = $1 AND not_after < $2",
			ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(now_s - ASH_JOIN_KEEP_CERTIFICATE_S)),
			NULL, error);
}

static gboolean issue(AshDb *db, const char *id, const char *csr, const AshJoinPlace *place,
		char **out_certificate, GError **error)
{
	g_autofree char *certificate = NULL;
	g_autofree char *serial = NULL;
	int64_t not_before_s = 0;
	int64_t not_after_s = 0;

	if (!ash_ca_issue_host(place->ca, csr, id, place->now_s, place->life_s, &certificate,
			    &serial, &not_before_s, &not_after_s, error) ||
			!tidy(db, id, place->now_s, error) ||
			!ash_db_exec(db,
					"INSERT INTO certificate (serial, host, not_before, not_after) "
					"VALUES ($1, $2, $3, $4)",
					ASH_DB_VALUES(ASH_DB_T(serial), ASH_DB_T(id),
							ASH_DB_I(not_before_s),
							ASH_DB_I(not_after_s)),
					NULL, error))
		return FALSE;
	*out_certificate = g_steal_pointer(&certificate);
	return TRUE;
}

static gboolean tell(AshDb *db, const char *id, const AshJoinPlace *place, const char *kind,
		const char *text, const char *data, GError **error)
{
	const AshEvent event = {
			.at_s = place->now_s, .kind = kind, .host = id, .text = text, .data = data};

	return ash_db_lock_events(db, error) && ash_event_append(db, &event, error);
}

/* ---- joining ---- */

static gboolean check_room(AshDb *db, uint64_t max_hosts, GError **error)
{
	int64_t count = 0;

	if (!ash_db_query_int(db, "SELECT COUNT(*) FROM host WHERE state <> 'retired'", NULL, NULL,
			    &count, error))
		return FALSE;
	return (uint64_t) count < max_hosts ||
	       ash_throw(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_FULL,
			       "This fleet has as many hosts as it may have.");
}

static gboolean use_token(AshDb *db, const AshJoin *join, const AshJoinPlace *place, char **out_id,
		char **out_labels, bool *out_is_pending, GError **error)
{
	g_autoptr(GError) local = NULL;

	if (ash_token_use(db, join->token, place->now_s, out_id, out_labels, out_is_pending,
			    &local))
		return TRUE;
	if (g_error_matches(local, ASH_TOKEN_ERROR, ASH_TOKEN_ERROR_REFUSED))
		return ash_throw(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_TOKEN, "%s", local->message);
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

static gboolean add_host(AshDb *db, const AshJoin *join, const AshJoinPlace *place,
		bool *out_is_pending, GError **error)
{
	g_autofree char *token = NULL;
	g_autofree char *labels = NULL;
	bool is_pending = false;

	if (!use_token(db, join, place, &token, &labels, &is_pending, error) ||
			!check_room(db, place->max_hosts, error))
		return FALSE;
	unsigned said = join->facts != NULL ? ASH_HOST_SAID_FACTS : 0;
	if (!ash_db_exec(db,
			    "INSERT INTO host (id, name, state, labels, facts, said, instance, "
			    "enrolled_at, address, token) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
			    "$10)",
			    ASH_DB_VALUES(ASH_DB_T(join->id), ASH_DB_T(join->name),
					    ASH_DB_T(is_pending ? "pending" : "active"),
					    ASH_DB_T(labels),
					    ASH_DB_T(join->facts != NULL ? join->facts : "{}"),
					    ASH_DB_I(said), ASH_DB_T(join->instance),
					    ASH_DB_I(place->now_s), ASH_DB_T(place->address),
					    ASH_DB_T(token)),
			    NULL, error))
		return FALSE;
	*out_is_pending = is_pending;
	/* Neither has a character that JSON would escape. */
	g_autofree char *data =
			g_strdup_printf("{\"name\":\"%s\",\"token\":\"%s\"}", join->name, token);
	return tell(db, join->id, place, is_pending ? "host.pending" : "host.joined",
			is_pending ? "asks to join" : "joined", data, error);
}

/* It comes again, with a new disk maybe: what it says of itself now counts. */
static gboolean welcome_back(AshDb *db, const AshJoin *join, const AshJoinPlace *place,
		const char *state, bool *out_is_pending, GError **error)
{
	if (g_str_equal(state, "retired"))
		return ash_throw(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_RETIRED,
				"This host is retired.");
	if (g_str_equal(state, "held"))
		return ash_throw(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_HELD,
				"This host is held: its operator knows why.");
	*out_is_pending = g_str_equal(state, "pending");
	if (!ash_db_exec(db, "UPDATE host SET name = $2, instance = $3, address = $4 WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(join->id), ASH_DB_T(join->name),
					    ASH_DB_T(join->instance), ASH_DB_T(place->address)),
			    NULL, error))
		return FALSE;
	return join->facts == NULL ||
	       ash_db_exec(db, "UPDATE host SET facts = $2 WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_T(join->id), ASH_DB_T(join->facts)), NULL,
			       error);
}

gboolean ash_join_run(AshDb *db, const AshJoin *join, const AshJoinPlace *place,
		AshJoinResult *out_result, GError **error)
{
	g_autofree char *state = NULL;
	g_autofree char *certificate = NULL;
	bool is_pending = false;

	if (!ash_db_query_string(db, "SELECT state FROM host WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(join->id)), &state, error))
		return FALSE;
	if (state == NULL ? !add_host(db, join, place, &is_pending, error)
			  : !welcome_back(db, join, place, state, &is_pending, error))
		return FALSE;
	if (!is_pending && !issue(db, join->id, join->csr, place, &certificate, error))
		return FALSE;
	if (state != NULL && !is_pending &&
			!tell(db, join->id, place, "host.renewed", "joined again", NULL, error))
		return FALSE;
	out_result->is_pending = is_pending;
	out_result->is_new = state == NULL;
	out_result->certificate = g_steal_pointer(&certificate);
	return TRUE;
}

gboolean ash_join_renew(AshDb *db, const char *id, const char *csr, const AshJoinPlace *place,
		char **out_certificate, GError **error)
{
	g_autofree char *key = NULL;
	g_autofree char *state = NULL;

	if (!check_csr(csr, &key, error))
		return FALSE;
	if (!g_str_equal(key, id))
		return ash_throw(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_KEY,
				"The request is for another key than this certificate's.");
	/* An operator who holds a host is to hear of it on. */
	if (!ash_db_query_string(db,
			    "SELECT CASE WHEN state = 'held' AND is_clone = 0 THEN 'active' ELSE state "
			    "END FROM host WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), &state, error))
		return FALSE;
	if (state == NULL || g_str_equal(state, "retired"))
		return ash_throw(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_RETIRED,
				"This host is retired.");
	if (!g_str_equal(state, "active"))
		return ash_throw(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_HELD, "This host is %s.",
				state);
	return issue(db, id, csr, place, out_certificate, error) &&
	       tell(db, id, place, "host.renewed", "has a new certificate", NULL, error);
}
