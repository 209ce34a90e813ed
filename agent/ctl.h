/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "agent/bus.h"
#include "lib/cli.h"
#include "lib/json.h"

/* The verbs of `ashlarctl`, in agent/ctl-*.c; ashlarctl.c has the table. All that is here knows ashlard
 * by agent/report.h alone. A member that is missing, or of another type, counts as not said: an
 * ashlarctl may be older than the ashlard it asks.
 */

#define ASH_CTL_ERROR (ash_ctl_error_quark())
GQuark ash_ctl_error_quark(void);

/* The exit code of what came of an order. */
typedef enum {
	ASH_CTL_ERROR_FAILED = ASH_EXIT_FAILED,
	ASH_CTL_ERROR_UNTRUSTED = ASH_EXIT_UNTRUSTED,
	ASH_CTL_ERROR_UNREACHABLE = ASH_EXIT_UNREACHABLE,
	ASH_CTL_ERROR_ENVIRONMENT = ASH_EXIT_ENVIRONMENT,
	ASH_CTL_ERROR_NEGATIVE = ASH_EXIT_NEGATIVE, /* a release is there, and refused */
} AshCtlError;

/* ashlarctl's exit code for a word of agent/order.h, agent/job.h or lib/target.h. */
AshCtlError ash_ctl_error_for_word(const char *word);

extern const AshCliCommand ash_ctl_bundle;
extern const AshCliCommand ash_ctl_check;
extern const AshCliCommand ash_ctl_forgive;
extern const AshCliCommand ash_ctl_health;
extern const AshCliCommand ash_ctl_history;
extern const AshCliCommand ash_ctl_pin;
extern const AshCliCommand ash_ctl_rollback;
extern const AshCliCommand ash_ctl_status;
extern const AshCliCommand ash_ctl_unpin;
extern const AshCliCommand ash_ctl_update;
extern const AshCliCommand ash_ctl_why;

/* ---- asking ---- */

/* Calls @method; errors say what to do. The argument is checked before anybody is asked. */
gboolean ash_ctl_call(AshBus *bus, const char *method, const char *text, char **out_json,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_ctl_parse(const char *json, JsonNode **out_root, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Asks, and with --json prints the answer as it came; then *out_root is NULL and nothing is left to do. */
gboolean ash_ctl_report(const AshCliContext *context, const char *method, const char *text,
		JsonNode **out_root, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Waits until what @method began has ended, saying on the way what happens, and prints how it ended.
 * @bus: not run before; @wanted: the version that was asked for, or NULL.
 */
gboolean ash_ctl_order(const AshCliContext *context, const char *method, const char *text,
		bool is_waiting, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A check, as part of another command: waits until it has ended, and prints no result. */
gboolean ash_ctl_look(const AshCliContext *context, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Objects of an array; others are left out. */
GPtrArray *ash_ctl_list(JsonObject *object, const char *key);

/* ---- for people ---- */

/* Without control characters: some of it comes from the network. "" for NULL. */
char *ash_ctl_clean(const char *text);
/* "5 min ago (14:05)", "in 9 h (2026-11-23 02:00)", local time; "" for NULL or what is no time. */
char *ash_ctl_time(const char *rfc3339);
/* The first 12 digits. */
char *ash_ctl_commit(JsonObject *object);

/* Rows of cells, padded to the widest of each column. */
GPtrArray *ash_ctl_table_new(void);
/* NULL-terminated cells, copied and cleaned; all rows have the same number. */
void ash_ctl_table_add(GPtrArray *table, ...) G_GNUC_NULL_TERMINATED;
void ash_ctl_table_print(const GPtrArray *table);
