/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/live.h"
#include "fleet/store/db.h"

/* A host as the database has it: what is done to one, by whom, in the caller's open writing transaction, with its event.
 * ash_db_lock_events is taken here. The caller brings memory up to date by ash_live_reload after the commit, and tells
 * the audit log.
 */

#define ASH_HOST_ERROR (ash_host_error_quark())
GQuark ash_host_error_quark(void);
typedef enum {
	ASH_HOST_ERROR_NOT_FOUND,
	ASH_HOST_ERROR_AMBIGUOUS, /* the prefix or the name is of several */
	ASH_HOST_ERROR_STATE,     /* not from the state that it is in */
	ASH_HOST_ERROR_REQUEST,   /* a verb, an argument, a label that may not be */
	ASH_HOST_ERROR_LIMIT,     /* too many labels, too many open orders */
} AshHostError;

enum {
	ASH_HOST_MIN_PREFIX = 8,
	ASH_HOST_MAX_NAME = 253,
	ASH_HOST_MAX_OPEN_ORDERS = 32,
	ASH_HOST_MAX_ARGUMENT = 1024,
	ASH_HOST_MAX_REASON = 1024,
	ASH_HOST_MAX_JOURNALS = 5,
};

/* Who does it, and when. */
typedef struct {
	const char *actor;  /* "": the host itself, or the server */
	const char *reason; /* "" */
	int64_t now_s;
} AshHostBy;

/* @word: the whole id, at least ASH_HOST_MIN_PREFIX digits of it, or a name that one host alone has. */
gboolean ash_host_resolve(AshDb *db, const char *word, char **out_id, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The same among those that the asker may know of. */
typedef bool (*AshHostMay)(const char *id, gpointer data);
gboolean ash_host_resolve_among(AshDb *db, const char *word, AshHostMay may, gpointer data,
		char **out_id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* 1 to ASH_HOST_MAX_NAME of letters, digits and . _ - */
bool ash_host_name_is_valid(const char *name);

gboolean ash_host_approve(AshDb *db, const char *id, const AshHostBy *by, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_host_hold(AshDb *db, const char *id, const AshHostBy *by, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Active again; its instance is learned anew. */
gboolean ash_host_release_hold(AshDb *db, const char *id, const AshHostBy *by, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Its certificates are withdrawn and its open orders dropped; what it said stays. */
gboolean ash_host_retire(AshDb *db, const char *id, const AshHostBy *by, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The same, and nothing of it stays but its events and its withdrawn certificates. */
gboolean ash_host_forget(AshDb *db, const char *id, const AshHostBy *by, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Another host says that it is this one: held, event host.clone. *out_changed: it was active. */
gboolean ash_host_hold_clone(AshDb *db, const char *id, const char *text, int64_t now_s,
		bool *out_changed, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @set: texts, numbers, booleans; NULL: none. @remove: keys; NULL: none. @out_before, @out_after: JSON, may be NULL. */
gboolean ash_host_change_labels(AshDb *db, const char *id, JsonObject *set, char *const *remove,
		const AshHostBy *by, char **out_before, char **out_after, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* An order is answered with until the host says how it ended; "desired" grows, so that a host that waits is told now.
 * @verb: of lib/checkin.h; the argument of those of workloads is checked by who makes them.
 */
gboolean ash_host_order(AshDb *db, const char *id, const char *verb, const char *argument,
		const AshHostBy *by, int64_t *out_order, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Nobody waits for it any more: the host is not told it again. */
gboolean ash_host_drop_order(AshDb *db, const char *id, int64_t order, int64_t now_s,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What the host says of one; *out_changed false: not an open order of this host. */
gboolean ash_host_end_order(AshDb *db, const char *id, int64_t order, bool is_done,
		const char *result, int64_t now_s, bool *out_changed, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
