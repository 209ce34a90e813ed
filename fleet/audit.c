/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/audit.h"

#include <string.h>

#include "lib/canonical.h"
#include "lib/crypto.h"

static const char no_hash[] = "0000000000000000000000000000000000000000000000000000000000000000";

static void add(JsonObject *object, const char *key, const char *value)
{
	json_object_set_string_member(object, key, value != NULL ? value : "");
}

/* Canonical; with "hash" where the row has one. */
static gboolean format(const AshAudit *audit, char **out_text, GError **error)
{
	g_autoptr(JsonObject) object = json_object_new();
	g_autoptr(JsonNode) node = json_node_alloc();

	json_object_set_int_member(object, "seq", audit->seq);
	json_object_set_int_member(object, "at", audit->at_s);
	add(object, "actor", audit->actor);
	add(object, "role", audit->role);
	add(object, "address", audit->address);
	add(object, "action", audit->action);
	add(object, "object", audit->object);
	add(object, "reason", audit->reason);
	add(object, "before", audit->before);
	add(object, "after", audit->after);
	if (audit->hash != NULL)
		add(object, "hash", audit->hash);
	json_node_init_object(node, object);
	return ash_canonical_json(node, out_text, error);
}

static gboolean hash_of(const AshAudit *audit, const char *before, char **out_hash, GError **error)
{
	g_autofree char *text = NULL;
	AshAudit row = *audit;

	row.hash = NULL;
	if (!format(&row, &text, error))
		return FALSE;
	g_autofree char *chained = g_strdup_printf("%s\n%s", before, text);
	*out_hash = ash_sha256_hex(chained, strlen(chained));
	return TRUE;
}

/* ---- appending ---- */

typedef struct {
	int64_t seq;
	char hash[sizeof no_hash];
} Head;

static gboolean take_head(const AshDbRow *row, gpointer data, GError **error)
{
	Head *head = data;

	head->seq = ash_db_row_int(row, 0);
	g_strlcpy(head->hash, ash_db_row_text(row, 1), sizeof head->hash);
	return TRUE;
}

/* PostgreSQL takes nothing else, and what is hashed is to be what is read. */
static char *make_utf8(const char *text)
{
	return g_utf8_make_valid(text != NULL ? text : "", -1);
}

gboolean ash_audit_append(AshDb *db, const AshAudit *audit, GError **error)
{
	g_autofree char *actor = make_utf8(audit->actor), *role = make_utf8(audit->role),
			*address = make_utf8(audit->address), *action = make_utf8(audit->action),
			*object = make_utf8(audit->object), *reason = make_utf8(audit->reason),
			*before = make_utf8(audit->before), *after = make_utf8(audit->after),
			*hash = NULL;
	Head head = {.seq = 0};

	g_strlcpy(head.hash, no_hash, sizeof head.hash);
	if (!ash_db_query(db, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", NULL,
			    take_head, &head, error))
		return FALSE;
	AshAudit row = {.seq = head.seq + 1,
			.at_s = audit->at_s,
			.actor = actor,
			.role = role,
			.address = address,
			.action = action,
			.object = object,
			.reason = reason,
			.before = before,
			.after = after};
	if (!hash_of(&row, head.hash, &hash, error))
		return FALSE;
	return ash_db_exec_later(db,
			"INSERT INTO audit (seq, at, actor, role, address, action, object, reason, "
			"before, after, hash) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
			ASH_DB_VALUES(ASH_DB_I(row.seq), ASH_DB_I(row.at_s), ASH_DB_T(actor),
					ASH_DB_T(role), ASH_DB_T(address), ASH_DB_T(action),
					ASH_DB_T(object), ASH_DB_T(reason), ASH_DB_T(before),
					ASH_DB_T(after), ASH_DB_T(hash)),
			error);
}

/* ---- reading ---- */

typedef struct {
	AshAuditEach each;
	gpointer data;
} Reader;

static gboolean read_row(const AshDbRow *row, gpointer data, GError **error)
{
	const Reader *reader = data;
	AshAudit audit = {
			.seq = ash_db_row_int(row, 0),
			.at_s = ash_db_row_int(row, 1),
			.actor = ash_db_row_text(row, 2),
			.role = ash_db_row_text(row, 3),
			.address = ash_db_row_text(row, 4),
			.action = ash_db_row_text(row, 5),
			.object = ash_db_row_text(row, 6),
			.reason = ash_db_row_text(row, 7),
			.before = ash_db_row_text(row, 8),
			.after = ash_db_row_text(row, 9),
			.hash = ash_db_row_text(row, 10),
	};

	return reader->each(&audit, reader->data, error);
}

gboolean ash_audit_read(AshDb *db, int64_t after, unsigned limit, AshAuditEach each, gpointer data,
		GError **error)
{
	Reader reader = {.each = each, .data = data};

	return ash_db_query(db,
			"SELECT seq, at, actor, role, address, action, object, reason, before, "
			"after, hash FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2",
			ASH_DB_VALUES(ASH_DB_I(after), ASH_DB_I(limit)), read_row, &reader, error);
}

/* ---- the chain ---- */

static gboolean take_anchor(const AshDbRow *row, gpointer data, GError **error)
{
	AshAuditAnchor *anchor = data;
	g_auto(GStrv) parts = g_strsplit(ash_db_row_text(row, 0), " ", 2);

	if (g_strv_length(parts) == 2 && strlen(parts[1]) == sizeof no_hash - 1) {
		anchor->seq = g_ascii_strtoll(parts[0], NULL, 10);
		g_strlcpy(anchor->hash, parts[1], sizeof anchor->hash);
	}
	return TRUE;
}

gboolean ash_audit_get_anchor(AshDb *db, AshAuditAnchor *out_anchor, GError **error)
{
	AshAuditAnchor anchor = {0};

	g_strlcpy(anchor.hash, no_hash, sizeof anchor.hash);
	if (!ash_db_query(db, "SELECT value FROM meta WHERE key = 'audit.anchor'", NULL,
			    take_anchor, &anchor, error))
		return FALSE;
	*out_anchor = anchor;
	return TRUE;
}

gboolean ash_audit_set_anchor(AshDb *db, const AshAuditAnchor *anchor, GError **error)
{
	g_autofree char *value =
			g_strdup_printf("%" G_GINT64_FORMAT " %s", anchor->seq, anchor->hash);

	return ash_db_exec(db,
			"INSERT INTO meta (key, value) VALUES ('audit.anchor', $1) ON CONFLICT (key) "
			"DO UPDATE SET value = excluded.value",
			ASH_DB_VALUES(ASH_DB_T(value)), NULL, error);
}

gboolean ash_audit_follows(const AshAuditAnchor *before, const AshAudit *audit, char **out_line,
		GError **error)
{
	g_autofree char *hash = NULL;

	*out_line = NULL;
	if (!hash_of(audit, before->hash, &hash, error))
		return FALSE;
	if (audit->seq != before->seq + 1 || strcmp(hash, audit->hash) != 0)
		return TRUE;
	return format(audit, out_line, error);
}

typedef struct {
	AshAuditAnchor at;
	AshAuditVerdict verdict;
} Walk;

static gboolean verify_row(const AshAudit *audit, gpointer data, GError **error)
{
	Walk *walk = data;
	g_autofree char *line = NULL;

	if (walk->verdict.first_bad != 0)
		return TRUE;
	if (!ash_audit_follows(&walk->at, audit, &line, error))
		return FALSE;
	if (line == NULL) {
		walk->verdict.first_bad = walk->at.seq + 1;
		return TRUE;
	}
	walk->at.seq = audit->seq;
	g_strlcpy(walk->at.hash, audit->hash, sizeof walk->at.hash);
	walk->verdict.count++;
	return TRUE;
}

gboolean ash_audit_verify(AshDb *db, AshAuditVerdict *out_verdict, GError **error)
{
	Walk walk = {0};

	if (!ash_audit_get_anchor(db, &walk.at, error))
		return FALSE;
	walk.verdict.anchor = walk.at.seq;
	/* From the least number on: there is to be none below the first, and none that is in an archive. */
	if (!ash_audit_read(db, INT64_MIN, UINT32_MAX, verify_row, &walk, error))
		return FALSE;
	*out_verdict = walk.verdict;
	g_strlcpy(out_verdict->head, walk.at.hash, sizeof out_verdict->head);
	return TRUE;
}
