/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/assignment.h"

#include <string.h>

#include "fleet/selector.h"
#include "fleet/workload-said.h"
#include "lib/checkin.h"

typedef struct {
	AshAssignment of; /* owned texts */
	AshSelector *selector;
} Row;

struct AshAssignmentBook {
	GPtrArray *rows;       /* Row, by workload, rank, id */
	GHashTable *withdrawn; /* "NAME/VERSION" */
};

static void row_free(gpointer data)
{
	Row *row = data;
	const char *const texts[] = {row->of.id, row->of.workload, row->of.version,
			row->of.selector, row->of.parameters, row->of.note, row->of.moved_by};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		g_free((gpointer) (uintptr_t) texts[i]);
	ash_selector_unref(row->selector);
	g_free(row);
}

bool ash_assignment_id_is_valid(const char *id)
{
	return *id != '\0' && strlen(id) <= ASH_ASSIGNMENT_MAX_ID && g_ascii_isalnum(*id) &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			  "._-") == strlen(id);
}

/* ---- the book ---- */

AshAssignmentBook *ash_assignment_book_new(void)
{
	AshAssignmentBook *book = g_new0(AshAssignmentBook, 1);

	book->rows = g_ptr_array_new_with_free_func(row_free);
	book->withdrawn = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	return book;
}

void ash_assignment_book_free(AshAssignmentBook *book)
{
	if (book == NULL)
		return;
	g_ptr_array_unref(book->rows);
	g_hash_table_unref(book->withdrawn);
	g_free(book);
}

gboolean ash_assignment_book_add(
		AshAssignmentBook *book, const AshAssignment *assignment, GError **error)
{
	AshSelector *selector = NULL;

	if (!ash_selector_parse(assignment->selector, &selector, error))
		return FALSE;
	Row *row = g_new0(Row, 1);
	row->selector = selector;
	row->of = (AshAssignment){.id = g_strdup(assignment->id),
			.workload = g_strdup(assignment->workload),
			.version = g_strdup(assignment->version),
			.selector = g_strdup(assignment->selector),
			.parameters = g_strdup(assignment->parameters),
			.note = g_strdup(assignment->note),
			.moved_by = g_strdup(assignment->moved_by),
			.rank = assignment->rank,
			.serial = assignment->serial};
	g_ptr_array_add(book->rows, row);
	return TRUE;
}

void ash_assignment_book_withdraw(AshAssignmentBook *book, const char *name, const char *version)
{
	g_hash_table_add(book->withdrawn, g_strconcat(name, "/", version, NULL));
}

void ash_assignment_book_remove(AshAssignmentBook *book, const char *id)
{
	for (guint i = book->rows->len; i-- > 0;)
		if (g_str_equal(((const Row *) book->rows->pdata[i])->of.id, id))
			g_ptr_array_remove_index(book->rows, i);
}

static int compare_rows(gconstpointer a, gconstpointer b)
{
	const AshAssignment *x = &(*(Row *const *) a)->of, *y = &(*(Row *const *) b)->of;
	int order = strcmp(x->workload, y->workload);

	if (order != 0)
		return order;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp(x->id, y->id);
}

void ash_assignment_book_sort(AshAssignmentBook *book)
{
	g_ptr_array_sort(book->rows, compare_rows);
}

bool ash_assignment_book_is_empty(const AshAssignmentBook *book)
{
	return book->rows->len == 0;
}

static gboolean take_assignment(const AshDbRow *row, gpointer data, GError **error)
{
	g_autoptr(GError) refused = NULL;
	const AshAssignment assignment = {.id = ash_db_row_text(row, 0),
			.workload = ash_db_row_text(row, 1),
			.version = ash_db_row_text(row, 2),
			.selector = ash_db_row_text(row, 3),
			.rank = ash_db_row_int(row, 4),
			.parameters = ash_db_row_text(row, 5),
			.serial = ash_db_row_int(row, 6),
			.moved_by = ash_db_row_text(row, 7),
			.note = ash_db_row_text(row, 8)};

	/* One that cannot be read any more must not take the fleet down. */
	if (!ash_assignment_book_add(data, &assignment, &refused))
		g_warning("assignment '%s' is not followed: %s", assignment.id, refused->message);
	return TRUE;
}

static gboolean take_withdrawn(const AshDbRow *row, gpointer data, GError **error)
{
	ash_assignment_book_withdraw(data, ash_db_row_text(row, 0), ash_db_row_text(row, 1));
	return TRUE;
}

gboolean ash_assignment_book_load(AshDb *db, AshAssignmentBook **out_book, GError **error)
{
	g_autoptr(AshAssignmentBook) book = ash_assignment_book_new();

	if (!ash_db_query(db,
			    "SELECT id, workload, version, selector, rank, parameters, serial, "
			    "moved_by, note FROM assignment",
			    NULL, take_assignment, book, error) ||
			!ash_db_query(db,
					"SELECT name, version FROM workload WHERE withdrawn <> ''",
					NULL, take_withdrawn, book, error))
		return FALSE;
	ash_assignment_book_sort(book);
	*out_book = g_steal_pointer(&book);
	return TRUE;
}

/* ---- questions ---- */

const AshAssignment *ash_assignment_book_find(const AshAssignmentBook *book, const char *id)
{
	for (guint i = 0; i < book->rows->len; i++) {
		const Row *row = book->rows->pdata[i];
		if (g_str_equal(row->of.id, id))
			return &row->of;
	}
	return NULL;
}

bool ash_assignment_is_withdrawn(
		const AshAssignmentBook *book, const char *name, const char *version)
{
	char key[128];

	if (g_hash_table_size(book->withdrawn) == 0)
		return false;
	g_snprintf(key, sizeof key, "%s/%s", name, version);
	return g_hash_table_contains(book->withdrawn, key);
}

/* The first that matches of those of the workload that @at has; *out_next: behind them. */
static const AshAssignment *first_match(const AshAssignmentBook *book, guint at,
		const AshHost *host, int64_t now_s, guint *out_next)
{
	const Row *first = book->rows->pdata[at];
	const AshAssignment *found = NULL;

	for (; at < book->rows->len; at++) {
		const Row *row = book->rows->pdata[at];
		if (!g_str_equal(row->of.workload, first->of.workload))
			break;
		if (found == NULL && ash_selector_matches(row->selector, host, now_s))
			found = &row->of;
	}
	*out_next = at;
	return found;
}

const AshAssignment *ash_assignment_of(const AshAssignmentBook *book, const AshHost *host,
		const char *workload, int64_t now_s)
{
	guint next = 0;

	for (guint i = 0; i < book->rows->len; i++) {
		const Row *row = book->rows->pdata[i];
		if (g_str_equal(row->of.workload, workload))
			return first_match(book, i, host, now_s, &next);
	}
	return NULL;
}

void ash_assignment_each_of(const AshAssignmentBook *book, const AshHost *host, int64_t now_s,
		AshAssignmentEach each, gpointer data)
{
	for (guint i = 0; i < book->rows->len;) {
		const AshAssignment *match = first_match(book, i, host, now_s, &i);
		if (match != NULL)
			each(match, data);
	}
}

static bool is_same_row(const AshAssignment *a, const AshAssignment *b)
{
	return g_str_equal(a->id, b->id) && g_str_equal(a->workload, b->workload) &&
	       g_str_equal(a->version, b->version) && g_str_equal(a->selector, b->selector) &&
	       g_str_equal(a->parameters, b->parameters) && g_str_equal(a->moved_by, b->moved_by) &&
	       a->rank == b->rank && a->serial == b->serial;
}

bool ash_assignment_book_is_same(const AshAssignmentBook *a, const AshAssignmentBook *b)
{
	GHashTableIter iter;
	gpointer key;

	if (a->rows->len != b->rows->len ||
			g_hash_table_size(a->withdrawn) != g_hash_table_size(b->withdrawn))
		return false;
	for (guint i = 0; i < a->rows->len; i++)
		if (!is_same_row(&((const Row *) a->rows->pdata[i])->of,
				    &((const Row *) b->rows->pdata[i])->of))
			return false;
	g_hash_table_iter_init(&iter, a->withdrawn);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		if (!g_hash_table_contains(b->withdrawn, key))
			return false;
	return true;
}

/* ---- what is wanted of a host ---- */

typedef struct {
	const AshAssignmentBook *book;
	const AshHost *host;
	const GPtrArray *before;
	const AshAssignmentHold *hold;
} Rule;

/* The version that a rollout holds it at; NULL: none does. */
static const char *held_at(const Rule *rule, const AshAssignment *assignment,
		const char **out_rollout, int64_t *out_serial)
{
	const AshAssignmentHold *hold = rule->hold;
	const AshWanted *before = ash_wanted_find(rule->before, assignment->workload);
	bool is_asked = hold != NULL && g_str_equal(hold->assignment, assignment->id);

	if (is_asked && hold->version != NULL) {
		*out_rollout = hold->rollout;
		*out_serial = assignment->serial;
		return hold->version;
	}
	if (before == NULL || *before->rollout == '\0' ||
			!g_str_equal(before->assignment, assignment->id) ||
			(before->serial != assignment->serial &&
					!g_str_equal(before->rollout, assignment->moved_by)) ||
			(is_asked && g_str_equal(hold->rollout, before->rollout)))
		return NULL;
	*out_rollout = before->rollout;
	*out_serial = before->serial;
	return before->version;
}

/* What is withdrawn is for those alone that have it; others keep what they have. "": nothing. */
static const char *allowed(
		const Rule *rule, const char *name, const char *version, AshWorkloadSaid *said)
{
	bool is_known = ash_workload_said_find(rule->host->workloads, name, said);

	if (*version == '\0' || !ash_assignment_is_withdrawn(rule->book, name, version) ||
			(is_known && g_str_equal(said->version, version)))
		return version;
	return is_known && said->is_signed ? said->version : "";
}

static void add(const Rule *rule, const AshAssignment *assignment, GPtrArray *wanted)
{
	const char *rollout = "";
	int64_t serial = 0;
	AshWorkloadSaid said;
	const char *held = held_at(rule, assignment, &rollout, &serial);

	if (held != NULL && !g_str_equal(allowed(rule, assignment->workload, held, &said), held)) {
		held = NULL;
		rollout = "";
		serial = 0;
	}
	const char *pointed = allowed(rule, assignment->workload, assignment->version, &said);
	const char *version = held != NULL ? held : pointed;
	if (*version == '\0')
		return;
	const AshWanted item = {(char *) (uintptr_t) assignment->workload,
			(char *) (uintptr_t) version, (char *) (uintptr_t) assignment->parameters,
			(char *) (uintptr_t) assignment->id, (char *) (uintptr_t) rollout,
			(char *) (uintptr_t) (held != NULL ? pointed : ""), serial};
	ash_wanted_add(wanted, &item);
}

char *ash_assignment_wanted(const AshAssignmentBook *book, const AshHost *host, const char *wanted,
		const AshAssignmentHold *hold, int64_t now_s)
{
	if (book->rows->len == 0)
		return g_strdup(*wanted == '\0' ? "" : "[]");
	/* Without a rollout in it, what was does not count. */
	g_autoptr(GPtrArray) before =
			ash_wanted_parse(strstr(wanted, "\"rollout\":") != NULL ? wanted : "");
	g_autoptr(GPtrArray) now = ash_wanted_new();
	const Rule rule = {book, host, before, hold};
	for (guint i = 0; i < book->rows->len && now->len < ASH_CHECKIN_MAX_WANTED;) {
		const AshAssignment *match = first_match(book, i, host, now_s, &i);
		if (match != NULL)
			add(&rule, match, now);
	}
	return now->len == 0 && *wanted == '\0' ? g_strdup("") : ash_wanted_format(now);
}
