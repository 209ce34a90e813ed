/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/store/db.h"

/* Devices that speak hawkBit's Direct Device Integration (rauc-hawkbit-updater, SWUpdate): targets, and what is to be
 * installed on them. An action is one installation on one target; its states and what feedback makes of them are those
 * of hawkBit's JpaControllerManagement (eclipse-hawkbit/hawkbit). Functions that write want an open writing transaction.
 */

#define ASH_DDI_ERROR (ash_ddi_error_quark())
GQuark ash_ddi_error_quark(void);
typedef enum {
	ASH_DDI_ERROR_NOT_FOUND,
	ASH_DDI_ERROR_GONE,    /* the action has ended: 410 */
	ASH_DDI_ERROR_STATE,   /* not one that is being cancelled: 405 */
	ASH_DDI_ERROR_EXISTS,  /* 409 */
	ASH_DDI_ERROR_REQUEST, /* 400 */
	ASH_DDI_ERROR_QUOTA,   /* 429 */
} AshDdiError;

enum {
	ASH_DDI_MAX_ID_BYTES = 256,
	ASH_DDI_MAX_TOKEN_BYTES = 128,
	ASH_DDI_MAX_ATTRIBUTES = 100,
	ASH_DDI_MAX_ATTRIBUTE_BYTES = 128,
	ASH_DDI_MAX_STATUSES = 1000, /* of an action */
	ASH_DDI_MAX_MESSAGES = 50,   /* of a status */
	ASH_DDI_MAX_MESSAGE_BYTES = 512,
	ASH_DDI_MAX_MODULES = 32, /* of an action */
	ASH_DDI_MAX_NAME_BYTES = 128,
	ASH_DDI_MAX_ACTIONS = 2000,   /* of a target */
	ASH_DDI_MAX_TARGETS = 100000, /* that come by themselves, with the gateway's token */
};

typedef struct {
	int64_t id, weight, revision;
	char *target, *name, *version, *modules, *kind, *state, *schedule;
	bool is_active;
} AshDdiAction;

void ash_ddi_action_free(AshDdiAction *action);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshDdiAction, ash_ddi_action_free)

bool ash_ddi_is_id(const char *text);

/* A target that is not there is made where @may_add; else ASH_DDI_ERROR_NOT_FOUND. */
gboolean ash_ddi_target_see(AshDb *db, const char *id, const char *address, int64_t now_s,
		bool may_add, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The action of @target; ASH_DDI_ERROR_NOT_FOUND. */
gboolean ash_ddi_action_get(AshDb *db, const char *target, int64_t id, AshDdiAction **out_action,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The one to offer: of the active ones that of the highest weight, then the oldest. NULL: none. */
gboolean ash_ddi_action_next(AshDb *db, const char *target, AshDdiAction **out_action,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The last one that was installed. NULL: none. */
gboolean ash_ddi_action_installed(AshDb *db, const char *target, AshDdiAction **out_action,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Is its window open at @now_s? @out_opens_s: when it will be; 0: it is, or never. */
bool ash_ddi_action_is_open(const AshDdiAction *action, int64_t now_s, int64_t *out_opens_s);

/* The deployment was looked at: noted once. */
gboolean ash_ddi_action_retrieved(AshDb *db, const AshDdiAction *action, int64_t now_s,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What a client says. */
typedef struct {
	const char *execution, *finished;
	char **messages; /* NULL-terminated; may be NULL */
	bool has_code;
	int64_t code;
} AshDdiFeedback;

gboolean ash_ddi_feedback(AshDb *db, const AshDdiAction *action, const AshDdiFeedback *feedback,
		int64_t now_s, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_ddi_cancel_feedback(AshDb *db, const AshDdiAction *action,
		const AshDdiFeedback *feedback, int64_t now_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* @is_confirmed false: denied; it goes on waiting. */
gboolean ash_ddi_confirm(AshDb *db, const AshDdiAction *action, bool is_confirmed,
		const AshDdiFeedback *feedback, int64_t now_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- operators' acts ---- */

typedef struct {
	const char *target, *name, *version, *kind, *schedule, *created_by;
	const char *modules; /* JSON array of ids */
	int64_t weight;
	bool needs_confirmation, beside; /* beside: the target's other actions go on */
} AshDdiAssignment;

gboolean ash_ddi_assign(AshDb *db, const AshDdiAssignment *assignment, int64_t now_s,
		int64_t *out_id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What waits for a confirmation is cancelled at once; else the client is asked to. */
gboolean ash_ddi_cancel(AshDb *db, const AshDdiAction *action, int64_t now_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Without asking the client. */
gboolean ash_ddi_quit(AshDb *db, const AshDdiAction *action, int64_t now_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* soft → forced */
gboolean ash_ddi_force(AshDb *db, const AshDdiAction *action, int64_t now_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* {"mode":…,"data":{…}} onto the JSON object @old. PURE. */
gboolean ash_ddi_merge_attributes(const char *old, JsonObject *body, char **out_new, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Of {"status":{…}}; @out_feedback borrows from @body but for its messages. PURE. */
gboolean ash_ddi_feedback_parse(JsonObject *body, AshDdiFeedback *out_feedback, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
