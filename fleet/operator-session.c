/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/audit.h"
#include "fleet/operator.h"
#include "fleet/password.h"
#include "lib/crypto.h"
#include "lib/error.h"

/* Log-ins that fail: what is waited for, after how many. */
typedef struct {
	unsigned free;     /* so many without a wait; then 1 s, 2 s, 4 s… */
	int64_t longest_s; /* a whole name is never locked for long: anybody could lock out everybody */
} Patience;

enum {
	PAIR,
	ADDRESS,
	NAME,
	KEYS,
	MAX_FAILURES = 20000, /* rows */
	ID_BYTES = 8,
};

static const Patience patience[KEYS] = {
		[PAIR] = {3, 15 * 60},
		[ADDRESS] = {20, 15 * 60},
		[NAME] = {50, 60},
};

typedef struct {
	char *keys[KEYS];
	int64_t failures[KEYS], failed_at[KEYS];
} Failures;

static void failures_clear(Failures *failures)
{
	for (int i = 0; i < KEYS; i++)
		g_free(failures->keys[i]);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Failures, failures_clear)

static char *make_key(const char *kind, const char *a, const char *b)
{
	g_autofree char *text = g_strjoin("\n", kind, a, b, NULL);

	return ash_sha256_hex(text, strlen(text));
}

static int64_t wait_of(int key, const Failures *failures, int64_t now)
{
	int64_t beyond = failures->failures[key] - patience[key].free;

	if (beyond < 0)
		return 0;
	int64_t wait = beyond > 20 ? patience[key].longest_s : INT64_C(1) << beyond;
	/* A clock that was set back must not lock for years: the wait begins with the next failure. */
	if (failures->failed_at[key] > now)
		return 0;
	return MAX(failures->failed_at[key] + MIN(wait, patience[key].longest_s) - now, 0);
}

static gboolean take_failure(const AshDbRow *row, gpointer data, GError **error)
{
	Failures *failures = data;

	for (int i = 0; i < KEYS; i++) {
		if (strcmp(failures->keys[i], ash_db_row_text(row, 0)) == 0) {
			failures->failures[i] = ash_db_row_int(row, 1);
			failures->failed_at[i] = ash_db_row_int(row, 2);
		}
	}
	return TRUE;
}

static gboolean check_patience(
		AshDb *db, Failures *failures, int64_t now, int64_t *out_wait_s, GError **error)
{
	int64_t wait = 0;

	if (!ash_db_query(db,
			    "SELECT key, failures, failed_at FROM login_failure WHERE key IN ($1, "
			    "$2, $3)",
			    ASH_DB_VALUES(ASH_DB_T(failures->keys[PAIR]),
					    ASH_DB_T(failures->keys[ADDRESS]),
					    ASH_DB_T(failures->keys[NAME])),
			    take_failure, failures, error))
		return FALSE;
	for (int i = 0; i < KEYS; i++)
		wait = MAX(wait, wait_of(i, failures, now));
	*out_wait_s = wait;
	if (wait > 0)
		return ash_throw(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_LATER,
				"too many log-ins failed: try again in %" G_GINT64_FORMAT
				" seconds",
				wait);
	return TRUE;
}

static gboolean write_failure(AshDb *db, const Failures *failures, int64_t now, GError **error)
{
	if (!ash_db_begin(db, true, error))
		return FALSE;
	for (int i = 0; i < KEYS; i++) {
		if (!ash_db_exec(db,
				    "INSERT INTO login_failure (key, failures, failed_at) VALUES "
				    "($1, 1, $2) ON CONFLICT (key) DO UPDATE SET failures = "
				    "login_failure.failures + 1, failed_at = excluded.failed_at",
				    ASH_DB_VALUES(ASH_DB_T(failures->keys[i]), ASH_DB_I(now)), NULL,
				    error)) {
			ash_db_rollback(db);
			return FALSE;
		}
	}
	if (!ash_db_exec(db,
			    "DELETE FROM login_failure WHERE key IN (SELECT key FROM login_failure "
			    "ORDER BY failed_at DESC LIMIT 100 OFFSET $1)",
			    ASH_DB_VALUES(ASH_DB_I(MAX_FAILURES)), NULL, error) ||
			!ash_db_commit(db, error)) {
		ash_db_rollback(db);
		return FALSE;
	}
	return TRUE;
}

typedef struct {
	char *password, *role, *scope;
} Account;

static void account_clear(Account *account)
{
	g_free(account->password);
	g_free(account->role);
	g_free(account->scope);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Account, account_clear)

static gboolean take_account(const AshDbRow *row, gpointer data, GError **error)
{
	Account *account = data;

	account->password = g_strdup(ash_db_row_text(row, 0));
	account->role = g_strdup(ash_db_row_text(row, 1));
	account->scope = g_strdup(ash_db_row_text(row, 2));
	return TRUE;
}

gboolean ash_operator_prove(AshOperators *operators, AshDb *db, const char *name,
		const char *password, const char *address, AshOperator **out_operator,
		int64_t *out_wait_s, GError **error)
{
	int64_t now = ash_operators_now(operators);
	g_auto(Failures) failures = {
			.keys = {make_key("pair", name, address),
					make_key("address", address, NULL),
					make_key("name", name, NULL)},
	};
	g_auto(Account) account = {0};
	bool is_right = false;

	*out_wait_s = 0;
	if (!check_patience(db, &failures, now, out_wait_s, error) ||
			!ash_db_query(db,
					"SELECT password, role, scope FROM operator WHERE name = $1 "
					"AND disabled_at = 0",
					ASH_DB_VALUES(ASH_DB_T(name)), take_account, &account,
					error) ||
			!ash_password_verify(account.password,
					strlen(password) <= ASH_OPERATOR_MAX_PASSWORD ? password
										      : "",
					&is_right, error))
		return FALSE;
	if (!is_right) {
		if (!write_failure(db, &failures, now, error))
			return FALSE;
		return ash_throw(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_REFUSED,
				"the name or the password is wrong");
	}
	/* What others tried at this name goes on counting; this person's own mistakes do not. */
	return ash_db_exec(db, "DELETE FROM login_failure WHERE key = $1",
			       ASH_DB_VALUES(ASH_DB_T(failures.keys[PAIR])), NULL, error) &&
	       ash_operator_new(name, account.role, account.scope, out_operator, error);
}

/* ---- sessions ---- */

gboolean ash_operator_make_session(AshDb *db, const AshOperator *who, const char *address,
		int64_t now, char **out_cookie, AshOperator **out_session, GError **error)
{
	g_autofree char *cookie = ash_operator_random();
	g_autofree char *hash = ash_sha256_hex(cookie, strlen(cookie));
	int64_t expires_at = now + ASH_OPERATOR_SESSION_S;
	g_autoptr(AshOperator) session = NULL;

	if (who->expires_at != 0)
		expires_at = MIN(expires_at, who->expires_at);
	if (!ash_operator_new(who->actor, ash_role_text(who->role), who->scope, &session, error) ||
			!ash_db_exec(db,
					"DELETE FROM session WHERE hash IN (SELECT hash FROM session "
					"WHERE operator = $1 ORDER BY created_at DESC, hash LIMIT "
					"1000 OFFSET $2)",
					ASH_DB_VALUES(ASH_DB_T(who->actor),
							ASH_DB_I(ASH_OPERATOR_MAX_SESSIONS - 1)),
					NULL, error) ||
			!ash_db_exec(db,
					"INSERT INTO session (hash, operator, created_at, expires_at, "
					"address) VALUES ($1, $2, $3, $4, $5)",
					ASH_DB_VALUES(ASH_DB_T(hash), ASH_DB_T(who->actor),
							ASH_DB_I(now), ASH_DB_I(expires_at),
							ASH_DB_T(address)),
					NULL, error))
		return FALSE;
	session->is_session = true;
	session->csrf = ash_operator_csrf(cookie);
	session->hash = g_steal_pointer(&hash);
	session->expires_at = expires_at;
	*out_cookie = g_steal_pointer(&cookie);
	*out_session = g_steal_pointer(&session);
	return TRUE;
}

gboolean ash_operator_end_sessions(AshDb *db, const char *actor, GError **error)
{
	return ash_db_exec(db, "DELETE FROM session WHERE operator = $1",
			ASH_DB_VALUES(ASH_DB_T(actor)), NULL, error);
}

gboolean ash_operator_end_session(AshDb *db, const AshOperator *session, GError **error)
{
	return ash_db_exec(db, "DELETE FROM session WHERE hash = $1",
			ASH_DB_VALUES(ASH_DB_T(session->hash)), NULL, error);
}

/* ---- tokens ---- */

gboolean ash_operator_make_token(AshDb *db, const AshOperatorToken *token, int64_t now,
		char **out_id, char **out_secret, GError **error)
{
	g_autofree char *id = ash_crypto_random_hex(ID_BYTES);
	g_autofree char *random = ash_operator_random();
	g_autofree char *hash = ash_sha256_hex(random, strlen(random));

	if (!ash_db_exec(db,
			    "INSERT INTO api_token (id, hash, role, scope, note, created_at, "
			    "created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_T(hash), ASH_DB_T(token->role),
					    ASH_DB_T(token->scope), ASH_DB_T(token->note),
					    ASH_DB_I(now), ASH_DB_T(token->created_by),
					    ASH_DB_I(token->expires_at)),
			    NULL, error))
		return FALSE;
	*out_secret = g_strconcat(id, ".", random, NULL);
	*out_id = g_steal_pointer(&id);
	return TRUE;
}

static gboolean make_first(AshDb *db, int64_t now, char **out_secret, GError **error)
{
	const AshOperatorToken token = {
			.role = "admin",
			.scope = "",
			.note = "made at the first start",
			.created_by = "ashlar-fleetd",
	};
	g_autofree char *id = NULL;
	int64_t count = 0;
	bool is_found = false;

	*out_secret = NULL;
	if (!ash_db_query_int(db,
			    "SELECT (SELECT COUNT(*) FROM operator) + (SELECT COUNT(*) FROM "
			    "api_token)",
			    NULL, &is_found, &count, error))
		return FALSE;
	if (count > 0)
		return TRUE;
	if (!ash_operator_make_token(db, &token, now, &id, out_secret, error))
		return FALSE;
	g_autofree char *object = g_strconcat("api-token:", id, NULL);
	const AshAudit audit = {
			.at_s = now,
			.actor = token.created_by,
			.action = "api-token.create",
			.object = object,
			.reason = token.note,
	};
	return ash_audit_append(db, &audit, error);
}

gboolean ash_operator_make_first(AshDb *db, int64_t now, char **out_secret, GError **error)
{
	g_autofree char *secret = NULL;

	if (!ash_db_begin(db, true, error))
		return FALSE;
	if (!make_first(db, now, &secret, error) || !ash_db_commit(db, error)) {
		ash_db_rollback(db);
		return FALSE;
	}
	*out_secret = g_steal_pointer(&secret);
	return TRUE;
}
