/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/operator.h"

#include <string.h>

#include "lib/crypto.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_operator_error, ash_operator_error)

enum {
	SECRET_BYTES = 32,
	MAX_ID = 32,
	BELIEVED_S = 60, /* so long memory is asked and not the database */
	FLUSH_S = 60,    /* also the grain of last_used */
	FAILURE_S = 24 * 60 * 60,
};

struct AshOperators {
	AshDbPool *pool;
	int64_t (*now)(void);
	AshEvents *events;
	uint64_t listener;
	GMutex lock;
	GCond wake;
	GThread *thread;
	bool is_ending;
	uint64_t generation; /* grows with each forgetting */
	GHashTable *known;   /* "t:ID" or "s:HASH" → Known */
	GHashTable *used;    /* token's id → Used */
};

typedef struct {
	AshOperator *who;
	int64_t read_at;
} Known;

typedef struct {
	int64_t at; /* a whole minute */
	bool is_written;
} Used;

/* ---- words ---- */

static const char *const role_texts[] = {
		[ASH_ROLE_NONE] = "none",
		[ASH_ROLE_HOST] = "host",
		[ASH_ROLE_VIEWER] = "viewer",
		[ASH_ROLE_OPERATOR] = "operator",
		[ASH_ROLE_ADMIN] = "admin",
};

const char *ash_role_text(AshRole role)
{
	return role_texts[role];
}

bool ash_role_parse(const char *text, AshRole *out_role)
{
	for (AshRole role = ASH_ROLE_VIEWER; role <= ASH_ROLE_ADMIN; role++) {
		if (strcmp(text, role_texts[role]) == 0) {
			*out_role = role;
			return true;
		}
	}
	return false;
}

bool ash_operator_name_is_valid(const char *name)
{
	size_t size = strlen(name);

	return size > 0 && size <= ASH_OPERATOR_MAX_NAME && g_ascii_isalnum(name[0]) &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-") ==
			       size;
}

/* ---- secrets ---- */

char *ash_operator_random(void)
{
	return ash_crypto_random_hex(SECRET_BYTES);
}

static bool is_hex(const char *text, size_t size)
{
	return strspn(text, "0123456789abcdef") == size;
}

bool ash_operator_split_secret(const char *secret, char **out_id, char **out_hash)
{
	const char *dot = strchr(secret, '.');

	if (dot == NULL || dot == secret || dot - secret > MAX_ID ||
			!is_hex(secret, (size_t) (dot - secret)) ||
			strlen(dot + 1) != ASH_SHA256_HEX || !is_hex(dot + 1, ASH_SHA256_HEX))
		return false;
	*out_id = g_strndup(secret, (gsize) (dot - secret));
	*out_hash = ash_sha256_hex(dot + 1, ASH_SHA256_HEX);
	return true;
}

/* ---- operators ---- */

AshOperator *ash_operator_ref(AshOperator *who)
{
	return g_atomic_rc_box_acquire(who);
}

static void clear(gpointer data)
{
	AshOperator *who = data;

	g_free(who->actor);
	g_free(who->scope);
	g_clear_pointer(&who->selector, ash_selector_unref);
	g_free(who->csrf);
	g_free(who->hash);
}

void ash_operator_unref(AshOperator *who)
{
	if (who != NULL)
		g_atomic_rc_box_release_full(who, clear);
}

gboolean ash_operator_new(const char *actor, const char *role, const char *scope,
		AshOperator **out_operator, GError **error)
{
	g_autoptr(AshOperator) who = g_atomic_rc_box_new0(AshOperator);

	/* What is not understood gives no right at all. */
	if (!ash_role_parse(role, &who->role))
		return ash_throw(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_REFUSED,
				"%s has a role that this server does not know", actor);
	if (*scope != '\0' && !ash_selector_parse(scope, &who->selector, error)) {
		g_prefix_error(error, "the scope of %s: ", actor);
		return FALSE;
	}
	who->actor = g_strdup(actor);
	who->scope = g_strdup(scope);
	*out_operator = g_steal_pointer(&who);
	return TRUE;
}

/* ---- memory ---- */

static void known_free(gpointer data)
{
	Known *known = data;

	ash_operator_unref(known->who);
	g_free(known);
}

static int64_t whole_minute(int64_t now)
{
	return now - now % FLUSH_S;
}

/* Under the lock. */
static void note_use(AshOperators *operators, const char *id)
{
	int64_t at = whole_minute(operators->now());
	Used *used = g_hash_table_lookup(operators->used, id);

	if (used == NULL) {
		used = g_new0(Used, 1);
		g_hash_table_insert(operators->used, g_strdup(id), used);
	}
	if (used->at != at) {
		used->at = at;
		used->is_written = false;
	}
}

/* Under the lock. */
static AshOperator *find_known(AshOperators *operators, const char *key)
{
	const Known *known = g_hash_table_lookup(operators->known, key);
	int64_t now = operators->now();

	/* A clock that was set back must not make memory last. */
	if (known == NULL || now - known->read_at >= BELIEVED_S || now < known->read_at ||
			(known->who->expires_at != 0 && known->who->expires_at <= now))
		return NULL;
	return ash_operator_ref(known->who);
}

void ash_operators_forget(AshOperators *operators)
{
	g_mutex_lock(&operators->lock);
	operators->generation++;
	g_hash_table_remove_all(operators->known);
	g_mutex_unlock(&operators->lock);
}

/* Not when something was forgotten while the database was read: what was read may be what was changed. */
static void keep(AshOperators *operators, const char *key, AshOperator *who, uint64_t generation)
{
	g_mutex_lock(&operators->lock);
	if (operators->generation == generation) {
		Known *known = g_new0(Known, 1);
		known->who = ash_operator_ref(who);
		known->read_at = operators->now();
		g_hash_table_replace(operators->known, g_strdup(key), known);
	}
	g_mutex_unlock(&operators->lock);
}

/* ---- proofs ---- */

typedef struct {
	char *key;  /* in memory; NULL: nothing is to be proven */
	char *id;   /* of a token */
	char *hash; /* SHA-256 of the secret */
	char *csrf; /* of a session */
	bool is_change;
	const char *said_csrf;
} Proof;

static void proof_clear(Proof *proof)
{
	g_free(proof->key);
	g_free(proof->id);
	g_free(proof->hash);
	g_free(proof->csrf);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Proof, proof_clear)

static gboolean refuse(GError **error)
{
	return ash_throw(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_REFUSED,
			"this token or session does not count, or not any more: log in again");
}

/* The value of our cookie among others; NULL: none. */
static char *find_cookie(const char *header)
{
	g_auto(GStrv) parts = g_strsplit(header, ";", 64);

	for (char **part = parts; *part != NULL; part++) {
		const char *text = g_strstrip(*part);
		if (g_str_has_prefix(text, ASH_OPERATOR_COOKIE "="))
			return g_strdup(text + strlen(ASH_OPERATOR_COOKIE "="));
	}
	return NULL;
}

char *ash_operator_csrf(const char *cookie)
{
	g_autofree char *text = g_strconcat("csrf:", cookie, NULL);

	return ash_sha256_hex(text, strlen(text));
}

static gboolean read_proof(const AshOperatorProof *said, Proof *out_proof, GError **error)
{
	if (said->authorization != NULL) {
		if (g_ascii_strncasecmp(said->authorization, "Bearer ", 7) != 0 ||
				!ash_operator_split_secret(said->authorization + 7, &out_proof->id,
						&out_proof->hash))
			return refuse(error);
		out_proof->key = g_strconcat("t:", out_proof->id, NULL);
		return TRUE;
	}
	g_autofree char *cookie = said->cookie != NULL ? find_cookie(said->cookie) : NULL;
	if (cookie == NULL)
		return TRUE;
	if (strlen(cookie) != ASH_SHA256_HEX || !is_hex(cookie, ASH_SHA256_HEX))
		return refuse(error);
	out_proof->hash = ash_sha256_hex(cookie, ASH_SHA256_HEX);
	out_proof->key = g_strconcat("s:", out_proof->hash, NULL);
	out_proof->csrf = ash_operator_csrf(cookie);
	out_proof->is_change = said->is_change;
	out_proof->said_csrf = said->csrf;
	return TRUE;
}

/* What is known or was read, held against what was said. */
static gboolean judge(const Proof *proof, const AshOperator *who, GError **error)
{
	if (!ash_crypto_same_secret(who->hash, proof->hash))
		return refuse(error);
	if (proof->is_change && (proof->said_csrf == NULL || !ash_crypto_same_secret(proof->csrf,
									     proof->said_csrf)))
		return ash_throw(error, ASH_OPERATOR_ERROR, ASH_OPERATOR_ERROR_CSRF,
				"changes by cookie take the header " ASH_OPERATOR_CSRF_HEADER
				", as GET /v1/session tells it");
	return TRUE;
}

gboolean ash_operator_peek(AshOperators *operators, const AshOperatorProof *said, bool *out_known,
		AshOperator **out_operator, GError **error)
{
	g_auto(Proof) proof = {0};
	g_autoptr(AshOperator) who = NULL;

	if (!read_proof(said, &proof, error))
		return FALSE;
	if (proof.key != NULL) {
		g_mutex_lock(&operators->lock);
		who = find_known(operators, proof.key);
		if (who != NULL && proof.id != NULL)
			note_use(operators, proof.id);
		g_mutex_unlock(&operators->lock);
		if (who != NULL && !judge(&proof, who, error))
			return FALSE;
	}
	*out_known = proof.key == NULL || who != NULL;
	*out_operator = g_steal_pointer(&who);
	return TRUE;
}

/* ---- the database ---- */

typedef struct {
	bool is_found;
	char *hash, *actor, *role, *scope;
	int64_t expires_at;
} Row;

static void row_clear(Row *row)
{
	g_free(row->hash);
	g_free(row->actor);
	g_free(row->role);
	g_free(row->scope);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Row, row_clear)

static void set_text(char **text, const char *value)
{
	g_free(*text);
	*text = g_strdup(value);
}

static gboolean take_token(const AshDbRow *from, gpointer data, GError **error)
{
	Row *row = data;

	row->is_found = true;
	set_text(&row->hash, ash_db_row_text(from, 0));
	set_text(&row->role, ash_db_row_text(from, 1));
	set_text(&row->scope, ash_db_row_text(from, 2));
	row->expires_at = ash_db_row_int(from, 3);
	return TRUE;
}

static gboolean take_session(const AshDbRow *from, gpointer data, GError **error)
{
	Row *row = data;

	row->is_found = true;
	set_text(&row->actor, ash_db_row_text(from, 0));
	row->expires_at = ash_db_row_int(from, 1);
	return TRUE;
}

static gboolean take_operator(const AshDbRow *from, gpointer data, GError **error)
{
	Row *row = data;

	row->is_found = true;
	set_text(&row->role, ash_db_row_text(from, 0));
	set_text(&row->scope, ash_db_row_text(from, 1));
	return TRUE;
}

static gboolean read_token(AshDb *db, const char *id, Row *row, GError **error)
{
	row->is_found = false;
	return ash_db_query(db,
			"SELECT hash, role, scope, expires_at FROM api_token WHERE id = $1 AND "
			"revoked_at = 0",
			ASH_DB_VALUES(ASH_DB_T(id)), take_token, row, error);
}

/* A session of a token is as good as that token is now. */
static gboolean read_session(AshDb *db, const char *hash, int64_t now, Row *row, GError **error)
{
	g_auto(Row) token = {0};

	if (!ash_db_query(db, "SELECT operator, expires_at FROM session WHERE hash = $1",
			    ASH_DB_VALUES(ASH_DB_T(hash)), take_session, row, error))
		return FALSE;
	if (!row->is_found)
		return TRUE;
	set_text(&row->hash, hash);
	if (!g_str_has_prefix(row->actor, "token:")) {
		row->is_found = false;
		return ash_db_query(db,
				"SELECT role, scope FROM operator WHERE name = $1 AND disabled_at = 0",
				ASH_DB_VALUES(ASH_DB_T(row->actor)), take_operator, row, error);
	}
	if (!read_token(db, row->actor + strlen("token:"), &token, error))
		return FALSE;
	row->is_found = token.is_found && (token.expires_at == 0 || token.expires_at > now);
	set_text(&row->role, token.role);
	set_text(&row->scope, token.scope);
	return TRUE;
}

static gboolean read_database(AshOperators *operators, AshDb *db, const Proof *proof,
		AshOperator **out_operator, GError **error)
{
	int64_t now = operators->now();
	g_auto(Row) row = {0};
	g_autoptr(AshOperator) who = NULL;

	if (proof->id != NULL) {
		if (!read_token(db, proof->id, &row, error))
			return FALSE;
		row.actor = g_strconcat("token:", proof->id, NULL);
	} else if (!read_session(db, proof->hash, now, &row, error)) {
		return FALSE;
	}
	if (!row.is_found || (row.expires_at != 0 && row.expires_at <= now))
		return refuse(error);
	if (!ash_operator_new(row.actor, row.role, row.scope, &who, error))
		return FALSE;
	who->hash = g_steal_pointer(&row.hash);
	who->expires_at = row.expires_at;
	who->is_session = proof->csrf != NULL;
	who->csrf = g_strdup(proof->csrf);
	*out_operator = g_steal_pointer(&who);
	return TRUE;
}

gboolean ash_operator_identify(AshOperators *operators, AshDb *db, const AshOperatorProof *said,
		AshOperator **out_operator, GError **error)
{
	g_auto(Proof) proof = {0};
	g_autoptr(AshOperator) who = NULL;
	g_autoptr(AshDb) taken = NULL;
	bool is_known = false;

	if (!ash_operator_peek(operators, said, &is_known, &who, error))
		return FALSE;
	if (!is_known) {
		g_mutex_lock(&operators->lock);
		uint64_t generation = operators->generation;
		g_mutex_unlock(&operators->lock);
		if ((db == NULL && !ash_db_pool_take(operators->pool, &taken, error)) ||
				!read_proof(said, &proof, error) ||
				!read_database(operators, db != NULL ? db : taken, &proof, &who,
						error) ||
				!judge(&proof, who, error))
			return FALSE;
		/* Only what is right: wrong secrets take no memory. */
		keep(operators, proof.key, who, generation);
		if (proof.id != NULL) {
			g_mutex_lock(&operators->lock);
			note_use(operators, proof.id);
			g_mutex_unlock(&operators->lock);
		}
	}
	*out_operator = g_steal_pointer(&who);
	return TRUE;
}

/* ---- what may be late ---- */

static gboolean write_used(AshOperators *operators, AshDb *db, GError **error)
{
	g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(int64_t));
	GHashTableIter i;
	gpointer id, value;

	g_mutex_lock(&operators->lock);
	g_hash_table_iter_init(&i, operators->used);
	while (g_hash_table_iter_next(&i, &id, &value)) {
		Used *used = value;
		if (used->is_written)
			continue;
		used->is_written = true;
		g_ptr_array_add(ids, g_strdup(id));
		g_array_append_val(times, used->at);
	}
	g_mutex_unlock(&operators->lock);
	for (guint n = 0; n < ids->len; n++)
		if (!ash_db_exec(db,
				    "UPDATE api_token SET last_used = $2 WHERE id = $1 AND last_used "
				    "< $2",
				    ASH_DB_VALUES(ASH_DB_T(ids->pdata[n]),
						    ASH_DB_I(g_array_index(times, int64_t, n))),
				    NULL, error))
			return FALSE;
	return TRUE;
}

static void drop_ended(AshOperators *operators)
{
	GHashTableIter i;
	gpointer value;
	int64_t now = operators->now();

	g_mutex_lock(&operators->lock);
	g_hash_table_iter_init(&i, operators->known);
	while (g_hash_table_iter_next(&i, NULL, &value))
		if (now - ((Known *) value)->read_at >= BELIEVED_S)
			g_hash_table_iter_remove(&i);
	g_hash_table_iter_init(&i, operators->used);
	while (g_hash_table_iter_next(&i, NULL, &value))
		if (((Used *) value)->is_written && ((Used *) value)->at != whole_minute(now))
			g_hash_table_iter_remove(&i);
	g_mutex_unlock(&operators->lock);
}

gboolean ash_operators_flush(AshOperators *operators, AshDb *db, GError **error)
{
	int64_t now = operators->now();

	if (!ash_db_begin(db, true, error))
		return FALSE;
	if (!write_used(operators, db, error) ||
			!ash_db_exec(db, "DELETE FROM session WHERE expires_at <= $1",
					ASH_DB_VALUES(ASH_DB_I(now)), NULL, error) ||
			!ash_db_exec(db, "DELETE FROM login_failure WHERE failed_at < $1",
					ASH_DB_VALUES(ASH_DB_I(now - FAILURE_S)), NULL, error) ||
			!ash_db_commit(db, error)) {
		ash_db_rollback(db);
		return FALSE;
	}
	drop_ended(operators);
	return TRUE;
}

static void flush_once(AshOperators *operators)
{
	g_autoptr(AshDb) db = NULL;
	g_autoptr(GError) error = NULL;

	if (!ash_db_pool_take(operators->pool, &db, &error) ||
			!ash_operators_flush(operators, db, &error))
		g_warning("operators: %s", error->message);
}

static gpointer flush_thread(gpointer data)
{
	AshOperators *operators = data;

	g_mutex_lock(&operators->lock);
	while (!operators->is_ending) {
		int64_t until = g_get_monotonic_time() + FLUSH_S * G_TIME_SPAN_SECOND;
		while (!operators->is_ending &&
				g_cond_wait_until(&operators->wake, &operators->lock, until))
			;
		g_mutex_unlock(&operators->lock);
		flush_once(operators);
		g_mutex_lock(&operators->lock);
	}
	g_mutex_unlock(&operators->lock);
	return NULL;
}

/* ---- life ---- */

AshOperators *ash_operators_new(AshDbPool *pool, int64_t (*now)(void))
{
	AshOperators *operators = g_new0(AshOperators, 1);

	operators->pool = pool;
	operators->now = now;
	g_mutex_init(&operators->lock);
	g_cond_init(&operators->wake);
	operators->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, known_free);
	operators->used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	operators->thread = g_thread_new("operators", flush_thread, operators);
	return operators;
}

int64_t ash_operators_now(const AshOperators *operators)
{
	return operators->now();
}

static void on_event(const AshEvent *event, gpointer data)
{
	if (strcmp(event->kind, "operator.changed") == 0)
		ash_operators_forget(data);
}

void ash_operators_listen(AshOperators *operators, AshEvents *events)
{
	operators->events = events;
	operators->listener = ash_events_listen(events, -1, on_event, operators);
}

void ash_operators_free(AshOperators *operators)
{
	if (operators == NULL)
		return;
	if (operators->events != NULL)
		ash_events_leave(operators->events, operators->listener);
	g_mutex_lock(&operators->lock);
	operators->is_ending = true;
	g_cond_signal(&operators->wake);
	g_mutex_unlock(&operators->lock);
	g_thread_join(operators->thread);
	g_hash_table_unref(operators->known);
	g_hash_table_unref(operators->used);
	g_mutex_clear(&operators->lock);
	g_cond_clear(&operators->wake);
	g_free(operators);
}
