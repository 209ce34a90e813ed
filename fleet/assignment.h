/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/live.h"
#include "fleet/wanted.h"

/* Which hosts run which version of a workload. Of the assignments of one workload the first by rank, then id, that matches
 * a host counts there. The book holds all of them; it does not change once it is made, and is part of fleet/desired.h's.
 * PURE but ash_assignment_book_load.
 *
 * An assignment points to a version; whom a rollout has given another one keeps that (AshWanted.rollout) as long as the
 * pointer was not moved since by anything but this rollout: its serial is the one of then, or the rollout moved it. So a
 * rollout that has finished and is reverted sends its hosts back ring by ring, a cancelled one leaves them as they are,
 * and an operator who moves the pointer moves all.
 *
 * What is withdrawn is given to nobody: who has it keeps it, who has another version of it keeps that, and who has none
 * gets none.
 */

enum {
	ASH_ASSIGNMENT_MAX_ID = 64,
	ASH_ASSIGNMENT_MAX_PARAMETERS =
			3 << 10, /* bytes of the JSON text: 64 of them fit into an answer */
	ASH_ASSIGNMENT_MAX_NOTE = 1024,
	ASH_ASSIGNMENT_MAX_RANK = 1000000,
};

typedef struct {
	const char *id, *workload, *version, *selector, *parameters, *note, *moved_by;
	int64_t rank, serial;
} AshAssignment;

typedef struct AshAssignmentBook AshAssignmentBook;

AshAssignmentBook *ash_assignment_book_new(void);
void ash_assignment_book_free(AshAssignmentBook *book);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshAssignmentBook, ash_assignment_book_free)
gboolean ash_assignment_book_load(AshDb *db, AshAssignmentBook **out_book, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* While it is made. Texts are copied. Selector errors. */
gboolean ash_assignment_book_add(AshAssignmentBook *book, const AshAssignment *assignment,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_assignment_book_withdraw(AshAssignmentBook *book, const char *name, const char *version);
void ash_assignment_book_remove(AshAssignmentBook *book, const char *id);
/* Then, once. */
void ash_assignment_book_sort(AshAssignmentBook *book);

/* Questions; borrowed, NULL: none. */
const AshAssignment *ash_assignment_book_find(const AshAssignmentBook *book, const char *id);
/* The one that counts there. */
const AshAssignment *ash_assignment_of(const AshAssignmentBook *book, const AshHost *host,
		const char *workload, int64_t now_s);
/* Each that counts there, by workload. */
typedef void (*AshAssignmentEach)(const AshAssignment *assignment, gpointer data);
void ash_assignment_each_of(const AshAssignmentBook *book, const AshHost *host, int64_t now_s,
		AshAssignmentEach each, gpointer data);
bool ash_assignment_is_withdrawn(
		const AshAssignmentBook *book, const char *name, const char *version);
/* Does everybody get the same by both? */
bool ash_assignment_book_is_same(const AshAssignmentBook *a, const AshAssignmentBook *b);
bool ash_assignment_book_is_empty(const AshAssignmentBook *book);

/* ---- what is wanted of a host ---- */

/* What a rollout changes about it. */
typedef struct {
	const char *assignment, *rollout;
	const char *version; /* to be held at; NULL: not any more */
} AshAssignmentHold;

/* Text of fleet/wanted.h from what was wanted (@wanted, such a text), what it says (host->workloads) and the book.
 * @hold: may be NULL.
 */
char *ash_assignment_wanted(const AshAssignmentBook *book, const AshHost *host, const char *wanted,
		const AshAssignmentHold *hold, int64_t now_s);

bool ash_assignment_id_is_valid(
		const char *id); /* letters, digits, . _ -, the first none of these three */
