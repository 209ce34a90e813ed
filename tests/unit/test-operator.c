/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/operator.h"

#include "fleet/password.h"
#include "lib/crypto.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

static int64_t the_time = 1000000;

static int64_t now(void)
{
	return the_time;
}

/* A bearer token in a header. */
static gboolean identify(
		AshOperators *operators, const char *secret, AshOperator **out_who, GError **error)
{
	g_autofree char *header = g_strconcat("Bearer ", secret, NULL);
	const AshOperatorProof proof = {.authorization = header, .is_change = true};

	return ash_operator_identify(operators, NULL, &proof, out_who, error);
}

static void assert_refused(AshOperators *operators, const char *secret)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshOperator) who = NULL;

	g_assert_false(identify(operators, secret, &who, &error));
	g_assert_error(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_REFUSED);
	g_assert_null(who);
}

static void assert_is(AshOperators *operators, const char *secret, const char *actor, AshRole role)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshOperator) who = NULL;

	MUST(identify(operators, secret, &who, &error));
	g_assert_cmpstr(who->actor, ==, actor);
	g_assert_cmpint(who->role, ==, role);
	g_assert_false(who->is_session);
}

static char *make_token(
		AshDb *db, const char *role, const char *scope, int64_t expires_at, char **out_id)
{
	g_autoptr(GError) error = NULL;
	const AshOperatorToken token = {
			.role = role,
			.scope = scope,
			.note = "",
			.created_by = "test",
			.expires_at = expires_at,
	};
	char *secret = NULL;

	MUST(ash_db_begin(db, true, &error));
	MUST(ash_operator_make_token(db, &token, the_time, out_id, &secret, &error));
	MUST(ash_db_commit(db, &error));
	return secret;
}

static void add_operator(AshDb *db, const char *name, const char *password, const char *role)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *kept = NULL;

	MUST(ash_password_hash(password, &kept, &error));
	g_assert_null(strstr(kept, password));
	MUST(ash_db_exec(db,
			"INSERT INTO operator (name, password, role, created_at) VALUES ($1, $2, $3, "
			"1)",
			ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_T(kept), ASH_DB_T(role)), NULL,
			&error));
}

/* ---- tokens ---- */

static void test_token(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshOperators) operators = ash_operators_new(store->pool, now);
	g_autofree char *id = NULL;
	g_autofree char *secret = make_token(db, "operator", "site = bern", 0, &id);
	g_autofree char *actor = g_strconcat("token:", id, NULL);

	assert_is(operators, secret, actor, ASH_ROLE_OPERATOR);
	/* The database has no secret, whole or in part. */
	g_autofree char *hash = NULL;
	MUST(ash_db_query_string(db, "SELECT hash FROM api_token", NULL, &hash, &error));
	g_autofree char *expected = ash_sha256_hex(strchr(secret, '.') + 1, 64);
	g_assert_cmpstr(hash, ==, expected);

	/* One digit off, at the end and at the beginning. */
	g_autofree char *wrong = g_strdup(secret);
	wrong[strlen(wrong) - 1] = wrong[strlen(wrong) - 1] == '0' ? '1' : '0';
	assert_refused(operators, wrong);
	g_free(wrong);
	wrong = g_strdup(secret);
	wrong[0] = wrong[0] == '0' ? '1' : '0';
	assert_refused(operators, wrong);
	static const char *const forms[] = {"", ".", "a.", ".b", "abc", "0123.45", "zz.zz", "'.'"};
	for (size_t i = 0; i < G_N_ELEMENTS(forms); i++)
		assert_refused(operators, forms[i]);
	g_autofree char *longer = g_strconcat(secret, "0", NULL);
	assert_refused(operators, longer);
}

static void test_token_scope(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshOperators) operators = ash_operators_new(store->pool, now);
	g_autofree char *id = NULL;
	g_autofree char *other_id = NULL;
	g_autofree char *secret = make_token(db, "viewer", "site = bern", 0, &id);
	g_autofree char *broken = make_token(db, "viewer", "site = = =", 0, &other_id);
	g_autoptr(AshOperator) who = NULL;

	MUST(identify(operators, secret, &who, &error));
	g_assert_cmpstr(who->scope, ==, "site = bern");
	g_assert_nonnull(who->selector);
	/* A scope that cannot be read lets nobody in. */
	g_autoptr(AshOperator) nobody = NULL;
	g_assert_false(identify(operators, broken, &nobody, &error));
	g_assert_error(error, ASH_SELECTOR_ERROR, ASH_SELECTOR_ERROR_SYNTAX);
}

static void test_token_ends(Store *store)
{
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshOperators) operators = ash_operators_new(store->pool, now);
	g_autofree char *id = NULL;
	g_autofree char *secret = make_token(db, "admin", "", the_time + 10, &id);
	g_autofree char *actor = g_strconcat("token:", id, NULL);

	assert_is(operators, secret, actor, ASH_ROLE_ADMIN);
	the_time += 10;
	assert_refused(operators, secret);
	the_time -= 10;
	store_run(db, "UPDATE api_token SET revoked_at = 5");
	/* Known from before, until somebody says so or a minute is over. */
	assert_is(operators, secret, actor, ASH_ROLE_ADMIN);
	ash_operators_forget(operators);
	assert_refused(operators, secret);

	store_run(db, "UPDATE api_token SET revoked_at = 0, expires_at = 0");
	assert_is(operators, secret, actor, ASH_ROLE_ADMIN);
	store_run(db, "UPDATE api_token SET revoked_at = 5");
	the_time += 60;
	assert_refused(operators, secret);
}

static void test_revoked_elsewhere(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autofree char *id = NULL;
	AshEvents *events = NULL;
	AshOperators *operators = ash_operators_new(store->pool, now);
	g_autofree char *secret = make_token(db, "viewer", "", 0, &id);
	g_autofree char *actor = g_strconcat("token:", id, NULL);
	bool is_gone = false;

	MUST(ash_events_start(store->pool, &events, &error));
	ash_operators_listen(operators, events);
	assert_is(operators, secret, actor, ASH_ROLE_VIEWER);
	MUST(ash_db_begin(db, true, &error));
	store_run(db, "UPDATE api_token SET revoked_at = 5");
	MUST(ash_event_append(db, &(AshEvent){.at_s = 1, .kind = "operator.changed"}, &error));
	MUST(ash_db_commit(db, &error));
	ash_events_wake(events);
	/* On the thread of the stream. */
	for (unsigned i = 0; i < 10000 && !is_gone; i++) {
		g_autoptr(AshOperator) who = NULL;
		is_gone = !identify(operators, secret, &who, NULL);
		g_usleep(1000);
	}
	g_assert_true(is_gone);
	ash_operators_free(operators);
	ash_events_free(events);
}

static void test_last_used(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshOperators) operators = ash_operators_new(store->pool, now);
	g_autofree char *id = NULL;
	g_autofree char *secret = make_token(db, "viewer", "", 0, &id);
	g_autofree char *actor = g_strconcat("token:", id, NULL);

	the_time = 6000017;
	assert_is(operators, secret, actor, ASH_ROLE_VIEWER);
	g_assert_cmpint(store_int(db, "SELECT last_used FROM api_token"), ==, 0);
	MUST(ash_operators_flush(operators, db, &error));
	g_assert_cmpint(store_int(db, "SELECT last_used FROM api_token"), ==, 6000000);
	the_time = 6000059;
	assert_is(operators, secret, actor, ASH_ROLE_VIEWER);
	store_run(db, "UPDATE api_token SET last_used = 7");
	MUST(ash_operators_flush(operators, db, &error));
	/* The same minute is not written again. */
	g_assert_cmpint(store_int(db, "SELECT last_used FROM api_token"), ==, 7);
	the_time = 6000060;
	assert_is(operators, secret, actor, ASH_ROLE_VIEWER);
	MUST(ash_operators_flush(operators, db, &error));
	g_assert_cmpint(store_int(db, "SELECT last_used FROM api_token"), ==, 6000060);
}

static void test_peek(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshOperators) operators = ash_operators_new(store->pool, now);
	g_autofree char *id = NULL;
	g_autofree char *secret = make_token(db, "viewer", "", 0, &id);
	g_autofree char *header = g_strconcat("bearer ", secret, NULL);
	const AshOperatorProof proof = {.authorization = header};
	bool is_known = true;
	AshOperator *who = NULL;

	MUST(ash_operator_peek(operators, &proof, &is_known, &who, &error));
	g_assert_false(is_known);
	g_assert_null(who);
	MUST(ash_operator_identify(operators, NULL, &proof, &who, &error));
	g_clear_pointer(&who, ash_operator_unref);
	MUST(ash_operator_peek(operators, &proof, &is_known, &who, &error));
	g_assert_true(is_known);
	g_assert_cmpint(who->role, ==, ASH_ROLE_VIEWER);
	g_clear_pointer(&who, ash_operator_unref);
	MUST(ash_operator_peek(operators, &(AshOperatorProof){0}, &is_known, &who, &error));
	g_assert_true(is_known);
	g_assert_null(who);
}

static void test_first(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshOperators) operators = ash_operators_new(store->pool, now);
	g_autofree char *secret = NULL;
	g_autofree char *again = NULL;
	g_autoptr(AshOperator) who = NULL;

	MUST(ash_operator_make_first(db, the_time, &secret, &error));
	g_assert_nonnull(secret);
	MUST(identify(operators, secret, &who, &error));
	g_assert_cmpint(who->role, ==, ASH_ROLE_ADMIN);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM audit"), ==, 1);
	MUST(ash_operator_make_first(db, the_time, &again, &error));
	g_assert_null(again);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM api_token"), ==, 1);
}

/* ---- sessions ---- */

static gboolean log_in(AshOperators *operators, AshDb *db, const char *name, const char *password,
		const char *address, char **out_cookie, int64_t *out_wait_s, GError **error)
{
	g_autoptr(AshOperator) who = NULL;
	g_autoptr(AshOperator) session = NULL;

	if (!ash_operator_prove(operators, db, name, password, address, &who, out_wait_s, error))
		return FALSE;
	return ash_db_begin(db, true, error) &&
	       ash_operator_make_session(db, who, address, the_time, out_cookie, &session, error) &&
	       ash_db_commit(db, error);
}

static void test_session(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshOperators) operators = ash_operators_new(store->pool, now);
	g_autofree char *cookie = NULL;
	g_autoptr(AshOperator) who = NULL;
	int64_t wait_s = 0;

	add_operator(db, "ada", "correct horse", "operator");
	MUST(log_in(operators, db, "ada", "correct horse", "::1", &cookie, &wait_s, &error));
	g_autofree char *kept = NULL;
	MUST(ash_db_query_string(db, "SELECT hash FROM session", NULL, &kept, &error));
	g_assert_cmpstr(kept, !=, cookie);

	g_autofree char *header = g_strdup_printf("theme=dark; ashlar_session=%s; a=b", cookie);
	AshOperatorProof proof = {.cookie = header};
	MUST(ash_operator_identify(operators, db, &proof, &who, &error));
	g_assert_cmpstr(who->actor, ==, "ada");
	g_assert_true(who->is_session);
	g_autofree char *csrf = g_strdup(who->csrf);
	g_clear_pointer(&who, ash_operator_unref);

	proof.is_change = true;
	g_assert_false(ash_operator_identify(operators, db, &proof, &who, &error));
	g_assert_error(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_CSRF);
	g_clear_error(&error);
	proof.csrf = kept;
	g_assert_false(ash_operator_identify(operators, db, &proof, &who, &error));
	g_assert_error(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_CSRF);
	g_clear_error(&error);
	proof.csrf = csrf;
	MUST(ash_operator_identify(operators, db, &proof, &who, &error));
	g_clear_pointer(&who, ash_operator_unref);

	/* What the database has is no cookie. */
	g_autofree char *stolen = g_strconcat("ashlar_session=", kept, NULL);
	g_assert_false(ash_operator_identify(
			operators, db, &(AshOperatorProof){.cookie = stolen}, &who, &error));
	g_assert_error(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_REFUSED);
	g_clear_error(&error);
	/* Cookies of others are nobody's. */
	MUST(ash_operator_identify(operators, db,
			&(AshOperatorProof){.cookie = "x=y; not_ashlar_session=1"}, &who, &error));
	g_assert_null(who);

	/* A header rules over the cookie, and is no way around the second value. */
	proof.authorization = "Bearer nothing";
	g_assert_false(ash_operator_identify(operators, db, &proof, &who, &error));
	g_assert_error(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_REFUSED);
	g_clear_error(&error);
	proof.authorization = NULL;

	the_time += ASH_OPERATOR_SESSION_S;
	g_assert_false(ash_operator_identify(operators, db, &proof, &who, &error));
	g_assert_error(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_REFUSED);
	MUST(ash_operators_flush(operators, db, (g_clear_error(&error), &error)));
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM session"), ==, 0);
}

static void test_session_of_disabled(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshOperators) operators = ash_operators_new(store->pool, now);
	g_autofree char *cookie = NULL;
	g_autoptr(AshOperator) who = NULL;
	int64_t wait_s = 0;

	add_operator(db, "ada", "correct horse", "operator");
	MUST(log_in(operators, db, "ada", "correct horse", "::1", &cookie, &wait_s, &error));
	g_autofree char *header = g_strconcat("ashlar_session=", cookie, NULL);
	const AshOperatorProof proof = {.cookie = header};
	store_run(db, "UPDATE operator SET role = 'viewer'");
	MUST(ash_operator_identify(operators, db, &proof, &who, &error));
	g_assert_cmpint(who->role, ==, ASH_ROLE_VIEWER);
	g_clear_pointer(&who, ash_operator_unref);
	/* Even if its session were left over. */
	store_run(db, "UPDATE operator SET disabled_at = 5");
	ash_operators_forget(operators);
	g_assert_false(ash_operator_identify(operators, db, &proof, &who, &error));
	g_assert_error(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_REFUSED);
	g_clear_error(&error);
	g_assert_false(log_in(
			operators, db, "ada", "correct horse", "::1", &cookie, &wait_s, &error));
	g_assert_error(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_REFUSED);
}

static void test_sessions_are_few(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshOperator) who = NULL;
	g_autofree char *first = NULL;

	MUST(ash_operator_new("ada", "viewer", "", &who, &error));
	for (int i = 0; i < ASH_OPERATOR_MAX_SESSIONS + 5; i++) {
		g_autoptr(AshOperator) session = NULL;
		g_autofree char *cookie = NULL;
		MUST(ash_db_begin(db, true, &error));
		MUST(ash_operator_make_session(
				db, who, "::1", the_time + i, &cookie, &session, &error));
		MUST(ash_db_commit(db, &error));
		if (i == 0)
			first = g_strdup(session->hash);
	}
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM session"), ==,
			ASH_OPERATOR_MAX_SESSIONS);
	bool is_found = true;
	int64_t value = 0;
	MUST(ash_db_query_int(db, "SELECT 1 FROM session WHERE hash = $1",
			ASH_DB_VALUES(ASH_DB_T(first)), &is_found, &value, &error));
	g_assert_false(is_found);
}

/* ---- guessing ---- */

/* Tries a wrong password; returns how long is to be waited, 0: it was looked at. */
static int64_t guess(AshOperators *operators, AshDb *db, const char *name, const char *address)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshOperator) who = NULL;
	int64_t wait_s = 0;

	g_assert_false(ash_operator_prove(
			operators, db, name, "wrong horse", address, &who, &wait_s, &error));
	g_assert_cmpint(error->domain, ==, ASH_OPERATOR_ERROR);
	g_assert_cmpint(error->code, ==,
			wait_s > 0 ? ASH_OPERATOR_ERROR_LATER : ASH_OPERATOR_ERROR_REFUSED);
	if (wait_s == 0)
		g_assert_cmpstr(error->message, ==, "the name or the password is wrong");
	return wait_s;
}

static void test_guessing(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshOperators) operators = ash_operators_new(store->pool, now);
	static const char *const names[] = {"ada", "nobody"};
	static const int64_t waits[] = {1, 2, 4};
	g_autofree char *cookie = NULL;
	int64_t wait_s = 0;

	add_operator(db, "ada", "correct horse", "operator");
	/* The same for who is there and who is not. */
	for (size_t n = 0; n < G_N_ELEMENTS(names); n++) {
		for (int i = 0; i < 3; i++)
			g_assert_cmpint(guess(operators, db, names[n], "192.0.2.1"), ==, 0);
		for (size_t i = 0; i < G_N_ELEMENTS(waits); i++) {
			g_assert_cmpint(guess(operators, db, names[n], "192.0.2.1"), ==, waits[i]);
			the_time += waits[i];
			g_assert_cmpint(guess(operators, db, names[n], "192.0.2.1"), ==, 0);
		}
	}
	/* The right password too has to wait there, and nowhere else. */
	g_assert_false(log_in(operators, db, "ada", "correct horse", "192.0.2.1", &cookie, &wait_s,
			&error));
	g_assert_error(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_LATER);
	g_clear_error(&error);
	MUST(log_in(operators, db, "ada", "correct horse", "192.0.2.9", &cookie, &wait_s, &error));
	the_time += 15 * 60;
	g_free(g_steal_pointer(&cookie));
	MUST(log_in(operators, db, "ada", "correct horse", "192.0.2.1", &cookie, &wait_s, &error));
	/* And then mistakes are free again. */
	g_assert_cmpint(guess(operators, db, "ada", "192.0.2.1"), ==, 0);
	/* A clock that is set back locks nobody out until it is where it was. */
	for (int i = 0; i < 4; i++)
		guess(operators, db, "ada", "192.0.2.7");
	g_assert_cmpint(guess(operators, db, "ada", "192.0.2.7"), >, 0);
	the_time -= 60 * 60;
	g_free(g_steal_pointer(&cookie));
	MUST(log_in(operators, db, "ada", "correct horse", "192.0.2.7", &cookie, &wait_s, &error));
	the_time += 60 * 60;
	/* Nothing that was typed is kept. */
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM login_failure WHERE key LIKE '%nobody%' "
				      "OR key LIKE '%192%2%'AND length(key) <> 64"),
			==, 0);
	the_time += 25 * 60 * 60;
	MUST(ash_operators_flush(operators, db, &error));
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM login_failure"), ==, 0);
}

/* ---- words ---- */

static void test_words(void)
{
	static const char *const good[] = {"a", "ada", "ada@example", "A.b-c_9"};
	static const char *const bad[] = {"", "-a", "a b", "a:b", "é", "a/b", "token:1", "a\n"};
	AshRole role = ASH_ROLE_NONE;

	for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
		g_assert_true(ash_operator_name_is_valid(good[i]));
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(ash_operator_name_is_valid(bad[i]));
	g_autofree char *longest = g_strnfill(ASH_OPERATOR_MAX_NAME, 'a');
	g_autofree char *longer = g_strnfill(ASH_OPERATOR_MAX_NAME + 1, 'a');
	g_assert_true(ash_operator_name_is_valid(longest));
	g_assert_false(ash_operator_name_is_valid(longer));
	g_assert_true(ash_role_parse("admin", &role));
	g_assert_cmpint(role, ==, ASH_ROLE_ADMIN);
	g_assert_false(ash_role_parse("host", &role));
	g_assert_false(ash_role_parse("none", &role));
	g_assert_false(ash_role_parse("", &role));
}

static void test_password(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *a = NULL;
	g_autofree char *b = NULL;
	bool is_right = false;

	MUST(ash_password_hash("correct horse", &a, &error));
	MUST(ash_password_hash("correct horse", &b, &error));
	g_assert_cmpstr(a, !=, b);
	g_assert_true(g_str_has_prefix(a, "$argon2id$v=19$m=65536,t=3,p=1$"));
	MUST(ash_password_verify(a, "correct horse", &is_right, &error));
	g_assert_true(is_right);
	MUST(ash_password_verify(a, "correct horse ", &is_right, &error));
	g_assert_false(is_right);
	is_right = true;
	MUST(ash_password_verify("", "", &is_right, &error));
	g_assert_false(is_right);
	g_assert_false(ash_password_verify("plain", "plain", &is_right, &error));
	g_assert_error(error, ASH_PASSWORD_ERROR, ASH_PASSWORD_ERROR_FAILED);
}

static gpointer hash_once(gpointer data)
{
	g_autofree char *kept = NULL;
	g_autoptr(GError) error = NULL;

	if (ash_password_hash("correct horse", &kept, &error))
		return GINT_TO_POINTER(1);
	g_assert_error(error, ASH_PASSWORD_ERROR, ASH_PASSWORD_ERROR_BUSY);
	return NULL;
}

/* Two compute, two wait; whoever comes beyond is told so at once, and nobody for ever. */
static void test_password_crowd(void)
{
	GThread *threads[16];
	int done = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("crowd", hash_once, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		done += g_thread_join(threads[i]) != NULL;
	g_assert_cmpint(done, >=, 4);
	g_assert_nonnull(hash_once(NULL));
}

int main(int argc, char **argv)
{
	static const StoreCase cases[] = {
			{"token", test_token},
			{"token-scope", test_token_scope},
			{"token-ends", test_token_ends},
			{"revoked-elsewhere", test_revoked_elsewhere},
			{"last-used", test_last_used},
			{"peek", test_peek},
			{"first", test_first},
			{"session", test_session},
			{"session-of-disabled", test_session_of_disabled},
			{"sessions-are-few", test_sessions_are_few},
			{"guessing", test_guessing},
			{NULL, NULL},
	};

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/operator/words", test_words);
	g_test_add_func("/password/kept", test_password);
	g_test_add_func("/password/crowd", test_password_crowd);
	store_add("operator", cases);
	return g_test_run();
}
