/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <string.h>

#include "fleet/store/backend.h"
#include "lib/crypto.h"
#include "lib/error.h"

/* PostgreSQL, 12 or later, UTF-8; a connection straight to it, or through a pooler that keeps sessions.
 *
 * Each connection is in pipeline mode all the time. What is executed "later" is sent and not waited for; the next
 * statement that is waited for reads those answers first. So a group of statements costs one round trip.
 *
 * A writing transaction takes one lock among all servers (advisory, LOCK_WRITER) before anything else and keeps it to
 * its end. That makes writers take turns as they do in SQLite, what they read is true until they commit, and numbers
 * of table event appear to readers in their order.
 *
 * Nothing waits for ever: the server ends a statement after STATEMENT_S and an abandoned transaction after IDLE_S; who
 * hears nothing for SILENCE_S holds the connection for dead.
 */

enum {
	MAX_PARAMETERS = 64,
	MAX_LATER = 1000, /* answers unread: they must fit where the server puts them */
	CONNECT_S = 5,
	STATEMENT_S = 60,
	IDLE_S = 30, /* less than STATEMENT_S: who waits for one that hangs is not ended with it */
	SILENCE_S = 75,
	OID_BLOB = 17,
	OID_INT = 20,
	OLDEST = 120000,
};

typedef struct {
	AshDb base;
	PGconn *conn;
	GHashTable *statements; /* by the address of their text: its copy; "s" and the address name them */
	unsigned later;         /* statements sent whose answers are not read */
	GError *later_error; /* the first of theirs */
	GHashTable *leads;   /* names of locks */
	char *schema;
	bool is_patient; /* until the transaction's end */
	int64_t writer_key;
} Postgres;

typedef struct {
	AshDbRow base;
	const PGresult *result;
} Row;

typedef PGresult Result;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Result, PQclear)

/* ---- errors ---- */

static const struct {
	const char *state; /* or its class, two characters */
	AshDbError code;
} states[] = {
		{"08", ASH_DB_ERROR_LOST},
		{"57P", ASH_DB_ERROR_LOST},   /* shut down, crashed, not up yet */
		{"53300", ASH_DB_ERROR_LOST}, /* too many connections */
		{"25P03", ASH_DB_ERROR_LOST}, /* idle too long within a transaction */
		{"25006", ASH_DB_ERROR_FULL}, /* a standby, read-only */
		{"23", ASH_DB_ERROR_CONFLICT},
		{"40", ASH_DB_ERROR_CONFLICT},
		{"53", ASH_DB_ERROR_FULL},
		{"58", ASH_DB_ERROR_FULL}, /* the disk */
		{"55P03", ASH_DB_ERROR_BUSY},
		{"57014", ASH_DB_ERROR_BUSY}, /* statement time-out */
		{"XX001", ASH_DB_ERROR_CORRUPT},
		{"XX002", ASH_DB_ERROR_CORRUPT},
};

static AshDbError code_of(const char *state)
{
	for (size_t i = 0; state != NULL && i < G_N_ELEMENTS(states); i++)
		if (g_str_has_prefix(state, states[i].state))
			return states[i].code;
	return ASH_DB_ERROR_FAILED;
}

static gboolean throw_lost(Postgres *db, const char *why, GError **error)
{
	/* libpq's further lines guess. */
	g_autofree char *text = g_strstrip(g_strndup(why, strcspn(why, "\n")));

	db->base.is_lost = true;
	return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_LOST, "PostgreSQL: %s",
			text[0] != '\0' ? text : "the connection ended");
}

/* Only the message: details quote values, which may be secrets. */
static gboolean throw_result(Postgres *db, const PGresult *result, GError **error)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (PQstatus(db->conn) != CONNECTION_OK || state == NULL)
		return throw_lost(db, text != NULL ? text : PQerrorMessage(db->conn), error);
	AshDbError code = code_of(state);
	/* Read-only because it was begun so. */
	if (db->base.transaction == ASH_DB_READING && strcmp(state, "25006") == 0)
		code = ASH_DB_ERROR_FAILED;
	if (code == ASH_DB_ERROR_LOST)
		db->base.is_lost = true;
	return ash_throw(error, ASH_DB_ERROR, (int) code,
			code == ASH_DB_ERROR_CORRUPT
					? "PostgreSQL: %s: restore a backup into a new database"
					: "PostgreSQL: %s",
			text != NULL ? text : state);
}

/* ---- talking ---- */

/* Until there is something to read, or the server has taken what is to be sent. */
static gboolean wait_for_server(Postgres *db, int64_t until_us, GError **error)
{
	int unsent = PQflush(db->conn);
	struct pollfd fd = {.fd = PQsocket(db->conn),
			.events = (short) (POLLIN | (unsent > 0 ? POLLOUT : 0))};

	if (unsent < 0)
		return throw_lost(db, PQerrorMessage(db->conn), error);
	int64_t left_ms = db->is_patient ? -1 : (until_us - g_get_monotonic_time()) / 1000;
	if (left_ms < 0 && !db->is_patient)
		return throw_lost(db, "no answer", error);
	if (poll(&fd, 1, (int) left_ms) < 0 && errno != EINTR)
		return throw_lost(db, g_strerror(errno), error);
	if ((fd.revents & (POLLIN | POLLERR | POLLHUP)) != 0 && PQconsumeInput(db->conn) == 0)
		return throw_lost(db, PQerrorMessage(db->conn), error);
	return TRUE;
}

/* *@out_result NULL: the end of a statement's answers. */
static gboolean next_result(Postgres *db, PGresult **out_result, GError **error)
{
	int64_t until_us = g_get_monotonic_time() + SILENCE_S * G_USEC_PER_SEC;

	while (PQisBusy(db->conn))
		if (!wait_for_server(db, until_us, error))
			return FALSE;
	*out_result = PQgetResult(db->conn);
	return TRUE;
}

/* Once a statement failed those behind it are skipped. */
static gboolean throw_skipped(Postgres *db, GError **error)
{
	if (db->later_error == NULL)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED,
				"PostgreSQL: an earlier statement failed");
	g_propagate_error(error, g_error_copy(db->later_error));
	return FALSE;
}

/* The answers of the one statement that is next. What goes wrong with the statement is *@out_failure; only a lost
 * connection is an error here: then there are no more answers.
 */
static gboolean read_statement(Postgres *db, AshDbEach each, gpointer data, int64_t *out_changed,
		GError **out_failure, GError **error)
{
	Row row = {.base.backend = &ash_db_postgres};

	for (;;) {
		g_autoptr(Result) result = NULL;
		if (!next_result(db, &result, error))
			return FALSE;
		if (result == NULL)
			return TRUE;
		ExecStatusType status = PQresultStatus(result);
		row.result = result;
		/* After a failure the rest is only read away. */
		if (*out_failure != NULL)
			continue;
		if (status == PGRES_SINGLE_TUPLE) {
			if (!each(&row.base, data, out_failure) && *out_failure == NULL)
				g_assert_not_reached();
		} else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
			bool is_reading = g_str_has_prefix(PQcmdStatus(result), "SELECT");
			if (out_changed != NULL)
				*out_changed = is_reading ? 0
							  : g_ascii_strtoll(PQcmdTuples(result),
									    NULL, 10);
		} else if (status == PGRES_PIPELINE_ABORTED)
			throw_skipped(db, out_failure);
		else
			throw_result(db, result, out_failure);
	}
}

/* Ends what was sent so far; after that the server goes on even when something failed. */
static gboolean send_sync(Postgres *db, GError **error)
{
	return PQpipelineSync(db->conn) == 1 ? TRUE
					     : throw_lost(db, PQerrorMessage(db->conn), error);
}

static gboolean read_sync(Postgres *db, GError **error)
{
	for (;;) {
		g_autoptr(Result) result = NULL;
		if (!next_result(db, &result, error))
			return FALSE;
		if (result != NULL && PQresultStatus(result) == PGRES_PIPELINE_SYNC)
			return TRUE;
		if (PQstatus(db->conn) != CONNECTION_OK)
			return throw_lost(db, PQerrorMessage(db->conn), error);
	}
}

static gboolean read_later(Postgres *db, GError **error)
{
	while (db->later > 0) {
		g_autoptr(GError) failure = NULL;
		if (!read_statement(db, NULL, NULL, NULL, &failure, error))
			return FALSE;
		db->later--;
		if (failure != NULL && db->later_error == NULL)
			db->later_error = g_steal_pointer(&failure);
	}
	return TRUE;
}

/* What was sent "later", then the statement that was sent last, to the end. */
static gboolean finish(
		Postgres *db, AshDbEach each, gpointer data, int64_t *out_changed, GError **error)
{
	g_autoptr(GError) failure = NULL;

	if (!send_sync(db, error) || !read_later(db, error))
		return FALSE;
	if (each != NULL)
		PQsetSingleRowMode(db->conn);
	if (!read_statement(db, each, data, out_changed, &failure, error) || !read_sync(db, error))
		return FALSE;
	if (failure == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&failure));
	return FALSE;
}

/* Only what was sent "later". */
static gboolean settle(Postgres *db, GError **error)
{
	if (db->later > 0 &&
			(!send_sync(db, error) || !read_later(db, error) || !read_sync(db, error)))
		return FALSE;
	return db->later_error == NULL ? TRUE : throw_skipped(db, error);
}

/* ---- statements ---- */

typedef struct {
	int count;
	Oid types[MAX_PARAMETERS];
	const char *values[MAX_PARAMETERS];
	int sizes[MAX_PARAMETERS], formats[MAX_PARAMETERS];
	char integers[MAX_PARAMETERS][24];
} Parameters;

/* Texts have no type, so that the server finds it from where they stand: NULL may be a number's. */
static void fill(Parameters *to, const AshDbValue *values)
{
	to->count = 0;
	for (const AshDbValue *value = values; value != NULL && value->type != ASH_DB_END;
			value++) {
		int i = to->count++;
		gsize size = 0;
		g_assert(i < MAX_PARAMETERS);
		to->types[i] = 0;
		to->formats[i] = 0;
		to->values[i] = value->text;
		if (value->type == ASH_DB_INT) {
			to->types[i] = OID_INT;
			g_snprintf(to->integers[i], sizeof to->integers[i], "%" G_GINT64_FORMAT,
					value->integer);
			to->values[i] = to->integers[i];
		} else if (value->type == ASH_DB_BLOB) {
			to->types[i] = OID_BLOB;
			to->formats[i] = 1;
			const char *data = value->blob != NULL
							   ? g_bytes_get_data(value->blob, &size)
							   : NULL;
			g_assert(size <= G_MAXINT);
			to->values[i] = value->blob == NULL ? NULL : data != NULL ? data : "";
		}
		to->sizes[i] = (int) size;
	}
}

static void name_of(const char *sql, char out_name[24])
{
	g_snprintf(out_name, 24, "s%" G_GINTPTR_MODIFIER "x", (uintptr_t) sql);
}

/* Waited for: what is not prepared must not be taken for it. */
static gboolean ensure_prepared(
		Postgres *db, const char *sql, const Parameters *parameters, GError **error)
{
	const char *known = g_hash_table_lookup(db->statements, sql);
	char name[24];

	if (known != NULL) {
		/* A text that was put together at an address that another had before. */
		g_assert(strcmp(known, sql) == 0);
		return TRUE;
	}
	name_of(sql, name);
	if (!settle(db, error))
		return FALSE;
	if (PQsendPrepare(db->conn, name, sql, parameters->count, parameters->types) != 1)
		return throw_lost(db, PQerrorMessage(db->conn), error);
	if (!finish(db, NULL, NULL, NULL, error))
		return FALSE;
	g_hash_table_insert(db->statements, (gpointer) (uintptr_t) sql, g_strdup(sql));
	return TRUE;
}

static gboolean send_prepared(
		Postgres *db, const char *sql, const Parameters *parameters, GError **error)
{
	char name[24];

	if (!ensure_prepared(db, sql, parameters, error))
		return FALSE;
	name_of(sql, name);
	if (PQsendQueryPrepared(db->conn, name, parameters->count, parameters->values,
			    parameters->sizes, parameters->formats, 0) == 1)
		return TRUE;
	return throw_lost(db, PQerrorMessage(db->conn), error);
}

static gboolean send_once(
		Postgres *db, const char *sql, const Parameters *parameters, GError **error)
{
	if (PQsendQueryParams(db->conn, sql, parameters->count, parameters->types,
			    parameters->values, parameters->sizes, parameters->formats, 0) == 1)
		return TRUE;
	return throw_lost(db, PQerrorMessage(db->conn), error);
}

static gboolean postgres_run(AshDb *base, const char *sql, bool is_kept, const AshDbValue *values,
		AshDbEach each, gpointer data, int64_t *out_changed, GError **error)
{
	Postgres *db = (Postgres *) base;
	Parameters parameters;

	fill(&parameters, values);
	if (is_kept ? !send_prepared(db, sql, &parameters, error)
		    : !send_once(db, sql, &parameters, error))
		return FALSE;
	return finish(db, each, data, out_changed, error);
}

static gboolean postgres_run_later(
		AshDb *base, const char *sql, const AshDbValue *values, GError **error)
{
	Postgres *db = (Postgres *) base;
	Parameters parameters;

	fill(&parameters, values);
	if (db->later >= MAX_LATER && !settle(db, error))
		return FALSE;
	if (!send_prepared(db, sql, &parameters, error))
		return FALSE;
	db->later++;
	return TRUE;
}

/* ---- transactions ---- */

static void postgres_rollback(AshDb *base)
{
	Postgres *db = (Postgres *) base;
	g_autoptr(GError) error = NULL;

	/* Whatever failed is read away first: behind a failure ROLLBACK itself would be skipped. */
	(void) !settle(db, NULL);
	g_clear_error(&db->later_error);
	db->is_patient = false;
	if (!base->is_lost &&
			!postgres_run(base, "ROLLBACK", false, NULL, NULL, NULL, NULL, &error))
		base->is_lost = true;
}

static gboolean postgres_begin(AshDb *base, bool is_writing, GError **error)
{
	Postgres *db = (Postgres *) base;

	g_clear_error(&db->later_error);
	gboolean ok = TRUE;
	if (!is_writing)
		ok = postgres_run_later(base, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
				NULL, error);
	else
		ok = postgres_run_later(
				     base, "BEGIN ISOLATION LEVEL READ COMMITTED", NULL, error) &&
		     postgres_run_later(base, "SELECT pg_advisory_xact_lock($1)",
				     ASH_DB_VALUES(ASH_DB_I(db->writer_key)), error);
	if (!ok)
		postgres_rollback(base);
	return ok;
}

static gboolean postgres_commit(AshDb *base, GError **error)
{
	Postgres *db = (Postgres *) base;

	if (!postgres_run(base, "COMMIT", true, NULL, NULL, NULL, NULL, error))
		return FALSE;
	db->is_patient = false;
	return TRUE;
}

static gboolean postgres_be_patient(AshDb *base, GError **error)
{
	Postgres *db = (Postgres *) base;

	db->is_patient = true;
	return postgres_run(base, "SET LOCAL statement_timeout = 0", true, NULL, NULL, NULL, NULL,
			       error) &&
	       postgres_run(base, "SET LOCAL idle_in_transaction_session_timeout = 0", true, NULL,
			       NULL, NULL, NULL, error);
}

/* ---- opening ---- */

static int64_t key_of(const Postgres *db, const char *kind, const char *name)
{
	g_autofree char *text = g_strdup_printf("ashlar\n%s\n%s\n%s", db->schema, kind, name);
	uint8_t digest[ASH_SHA256_BYTES];
	int64_t key = 0;

	ash_sha256(text, strlen(text), digest);
	memcpy(&key, digest, sizeof key);
	return GINT64_FROM_BE(key);
}

static void ignore_notice(void *data, const char *message)
{
}

static void postgres_close(AshDb *base)
{
	Postgres *db = (Postgres *) base;

	PQfinish(db->conn);
	g_hash_table_unref(db->statements);
	g_hash_table_unref(db->leads);
	g_clear_error(&db->later_error);
	g_free(db->schema);
	g_free(db);
}

/* The user's own words, in @where, rule over these. */
static PGconn *connect(const char *where)
{
	g_autofree char *connect_s = g_strdup_printf("%d", CONNECT_S);
	g_autofree char *silence_ms = g_strdup_printf("%d", SILENCE_S * 1000);
	const char *const keywords[] = {"fallback_application_name", "connect_timeout",
			"keepalives_idle", "keepalives_interval", "keepalives_count",
			"tcp_user_timeout", "dbname", NULL};
	const char *const values[] = {
			"ashlar-fleetd", connect_s, "30", "10", "3", silence_ms, where, NULL};

	return PQconnectdbParams(keywords, values, 1);
}

static gboolean set_up(Postgres *db, GError **error)
{
	g_autofree char *sql = g_strdup_printf(
			"SET client_min_messages = warning; SET statement_timeout = '%ds'; "
			"SET idle_in_transaction_session_timeout = '%ds'; SET jit = off; "
			"SET client_encoding = 'UTF8'; SET bytea_output = 'hex'; "
			/* Committed is on disk, whatever the server does for others. */
			"SELECT set_config('synchronous_commit', 'on', false) "
			"WHERE current_setting('synchronous_commit') = 'off'; "
			"SELECT current_schema()",
			STATEMENT_S, IDLE_S);

	if (PQserverVersion(db->conn) < OLDEST)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED,
				"PostgreSQL is older than version %d", OLDEST / 10000);
	if (g_strcmp0(PQparameterStatus(db->conn, "server_encoding"), "UTF8") != 0)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED,
				"the PostgreSQL database's encoding is not UTF8: make it with "
				"'createdb --encoding=UTF8 --template=template0'");
	g_autoptr(Result) result = PQexec(db->conn, sql);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return throw_result(db, result, error);
	if (PQgetisnull(result, 0, 0))
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED,
				"PostgreSQL: no schema of the search_path is there");
	db->schema = g_strdup(PQgetvalue(result, 0, 0));
	db->writer_key = key_of(db, "writer", "");
	if (PQsetnonblocking(db->conn, 1) != 0 || PQenterPipelineMode(db->conn) != 1)
		return throw_lost(db, PQerrorMessage(db->conn), error);
	return TRUE;
}

static gboolean postgres_open(const char *where, AshDbPool *pool, AshDb **out_db, GError **error)
{
	Postgres *db = g_new0(Postgres, 1);

	db->base.backend = &ash_db_postgres;
	db->base.pool = pool;
	db->statements = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	db->leads = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	db->conn = connect(where);
	if (db->conn == NULL)
		g_error("out of memory");
	PQsetNoticeProcessor(db->conn, ignore_notice, NULL);
	gboolean ok = PQstatus(db->conn) == CONNECTION_OK
				      ? set_up(db, error)
				      : throw_lost(db, PQerrorMessage(db->conn), error);
	if (!ok) {
		postgres_close(&db->base);
		return FALSE;
	}
	*out_db = &db->base;
	return TRUE;
}

/* A server that went away said so, or closed: both are there to be read, one after the other. */
static bool postgres_is_alive(AshDb *base)
{
	Postgres *db = (Postgres *) base;

	for (int i = 0; i < 2; i++)
		if (PQconsumeInput(db->conn) == 0 || PQstatus(db->conn) != CONNECTION_OK)
			return false;
	return true;
}

/* ---- one of several servers ---- */

static gboolean postgres_try_lead(AshDb *base, const char *name, bool *out_leads, GError **error)
{
	Postgres *db = (Postgres *) base;
	int64_t leads = 0;

	/* Had already: as long as the server still knows this connection. */
	if (g_hash_table_contains(db->leads, name)) {
		*out_leads = true;
		return ash_db_query(base, "SELECT 1", NULL, NULL, NULL, error);
	}
	if (!ash_db_query_int(base, "SELECT CASE WHEN pg_try_advisory_lock($1) THEN 1 ELSE 0 END",
			    ASH_DB_VALUES(ASH_DB_I(key_of(db, "lead", name))), NULL, &leads, error))
		return FALSE;
	if (leads != 0)
		g_hash_table_add(db->leads, g_strdup(name));
	*out_leads = leads != 0;
	return TRUE;
}

static void postgres_end_leads(AshDb *base)
{
	Postgres *db = (Postgres *) base;

	g_hash_table_remove_all(db->leads);
	/* Who cannot say so ends the connection, which does it. */
	if (!ash_db_query(base, "SELECT pg_advisory_unlock_all()", NULL, NULL, NULL, NULL))
		base->is_lost = true;
}

/* ---- care ---- */

static gboolean take_name(const AshDbRow *row, gpointer data, GError **error)
{
	g_ptr_array_add(data, g_strdup(ash_db_row_text(row, 0)));
	return TRUE;
}

/* Every value of every row, wherever it is kept. */
static gboolean read_tables(AshDb *base, GError **error)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

	if (!postgres_be_patient(base, error) ||
			!ash_db_query(base, ash_db_postgres.tables, NULL, take_name, names, error))
		return FALSE;
	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		g_autofree char *sql = g_strdup_printf(
				"SELECT sum(length(t::text)) FROM \"%s\" AS t", name);
		ASH_PREFIX("table '%s'", name);
		if (!ash_db_query_text(base, sql, NULL, NULL, NULL, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean postgres_check(AshDb *base, GError **error)
{
	if (!ash_db_begin(base, false, error))
		return FALSE;
	gboolean ok = read_tables(base, error);
	ash_db_rollback(base);
	return ok;
}

/* The sequence of the one column of $1 that counts up. */
#define SEQUENCE_OF                                                                                \
	"(SELECT pg_get_serial_sequence(quote_ident(table_name), column_name)::regclass "          \
	"FROM information_schema.columns WHERE table_schema = current_schema() "                   \
	"AND table_name = $1 AND column_default LIKE 'nextval%')"

static gboolean postgres_get_serial(
		AshDb *base, const char *table, int64_t *out_last, GError **error)
{
	return ash_db_query_int(base, "SELECT coalesce(pg_sequence_last_value(" SEQUENCE_OF "), 0)",
			ASH_DB_VALUES(ASH_DB_T(table)), NULL, out_last, error);
}

static gboolean postgres_set_serial(AshDb *base, const char *table, int64_t last, GError **error)
{
	return ash_db_query(base, "SELECT setval(" SEQUENCE_OF ", $2)",
			ASH_DB_VALUES(ASH_DB_T(table), ASH_DB_I(last)), NULL, NULL, error);
}

/* ---- rows ---- */

static const PGresult *result_of(const AshDbRow *row, unsigned column)
{
	const PGresult *result = ((const Row *) row)->result;

	g_assert((int) column < PQnfields(result));
	return result;
}

static const char *postgres_row_text(const AshDbRow *row, unsigned column)
{
	const PGresult *result = result_of(row, column);

	return PQgetisnull(result, 0, (int) column) ? NULL : PQgetvalue(result, 0, (int) column);
}

static int64_t postgres_row_int(const AshDbRow *row, unsigned column)
{
	const char *text = postgres_row_text(row, column);

	return text != NULL ? g_ascii_strtoll(text, NULL, 10) : 0;
}

static GBytes *postgres_row_blob(const AshDbRow *row, unsigned column)
{
	const char *text = postgres_row_text(row, column);
	size_t size = 0;

	if (text == NULL)
		return NULL;
	unsigned char *data = PQunescapeBytea((const unsigned char *) text, &size);
	g_assert(data != NULL);
	GBytes *bytes = g_bytes_new(data, size);
	PQfreemem(data);
	return bytes;
}

static AshDbType postgres_row_type(const AshDbRow *row, unsigned column)
{
	const PGresult *result = result_of(row, column);

	if (PQgetisnull(result, 0, (int) column))
		return ASH_DB_END;
	switch (PQftype(result, (int) column)) {
	case OID_INT:
		return ASH_DB_INT;
	case OID_BLOB:
		return ASH_DB_BLOB;
	default:
		return ASH_DB_TEXT;
	}
}

static const AshDbWord words[] = {
		/* By bytes, as SQLite has it, and not by a language that the next server may know otherwise. */
		{"TEXT", "TEXT COLLATE \"C\""},
		{NULL, NULL},
};

const AshDbBackend ash_db_postgres = {
		.scheme = "postgres",
		.is_shared = true,
		.words = words,
		.table_end = "",
		.has_table = "SELECT 1 FROM pg_catalog.pg_tables "
			     "WHERE schemaname = current_schema() AND tablename = $1",
		.tables = "SELECT tablename FROM pg_catalog.pg_tables "
			  "WHERE schemaname = current_schema() ORDER BY tablename",
		.columns = "SELECT column_name FROM information_schema.columns "
			   "WHERE table_schema = current_schema() AND table_name = $1 "
			   "ORDER BY ordinal_position",
		.open = postgres_open,
		.close = postgres_close,
		.is_alive = postgres_is_alive,
		.run = postgres_run,
		.run_later = postgres_run_later,
		.begin = postgres_begin,
		.commit = postgres_commit,
		.rollback = postgres_rollback,
		.be_patient = postgres_be_patient,
		.try_lead = postgres_try_lead,
		.end_leads = postgres_end_leads,
		.check = postgres_check,
		.get_serial = postgres_get_serial,
		.set_serial = postgres_set_serial,
		.row_int = postgres_row_int,
		.row_text = postgres_row_text,
		.row_blob = postgres_row_blob,
		.row_type = postgres_row_type,
};
