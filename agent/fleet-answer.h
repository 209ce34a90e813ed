/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What ashlar-checkin brings home from the fleet, as ashlar-link hands it to ashlard (method FleetAnswer). Neither
 * it nor the server is believed: every member has a type and a maximum, and an answer with one that is wrong is
 * refused whole. PURE.
 *
 *	{"outcome":"joined",   how it went, below
 *	 "text":"…",           why not, "" if it did
 *	 "id":ID,              of this host in its fleet; left out before it has a key
 *	 "next":S,             not before so many seconds; for ashlar-link
 *	 "memory":"…",         for the next ashlar-checkin; only ashlar-link looks at it
 *	 "answer":{…}}         of POST /v1/checkin (lib/checkin.h), when it was 200
 *
 * Outcomes: joined (the check-in was answered), pending (waits for approval), held, refused (token, certificate),
 * retired, left (as it was told), unreached (no connection, no answer, or one that is not understood), busy (429,
 * 503), failed (this host's own fault).
 */

#define ASH_FLEET_ANSWER_ERROR (ash_fleet_answer_error_quark())
GQuark ash_fleet_answer_error_quark(void);

typedef enum {
	ASH_FLEET_ANSWER_ERROR_VALUE, /* a member says something that it may not; the message names it */
} AshFleetAnswerError;

enum {
	ASH_FLEET_ANSWER_MAX_BYTES = 600 << 10, /* an answer, and what is around it */
	ASH_FLEET_ANSWER_MAX_DEPTH = 16,
	ASH_FLEET_ANSWER_MAX_ORDERS = 32,
	ASH_FLEET_ANSWER_MAX_WINDOWS = 32,
	ASH_FLEET_ANSWER_MAX_NEXT_S = 7 * 86400,
	ASH_FLEET_ANSWER_MAX_ARGUMENT_BYTES = 256, /* of an order */
};

typedef enum {
	ASH_FLEET_JOINED,
	ASH_FLEET_PENDING,
	ASH_FLEET_HELD,
	ASH_FLEET_REFUSED,
	ASH_FLEET_RETIRED,
	ASH_FLEET_LEFT,
	ASH_FLEET_UNREACHED,
	ASH_FLEET_BUSY,
	ASH_FLEET_FAILED,
} AshFleetOutcome;

const char *ash_fleet_outcome_text(AshFleetOutcome outcome);

typedef struct {
	char *name, *variant, *arch, *version, *commit;
	bool is_return;
} AshFleetWish;
void ash_fleet_wish_free(AshFleetWish *release);

typedef struct {
	uint64_t id;
	char *verb;
	char *argument; /* "" for none. A word, but for verbs of workloads: these have a line of text */
} AshFleetOrder;

typedef struct {
	AshFleetOutcome outcome;
	char *text, *id;  /* "" for none */
	bool is_answered; /* what follows is there */
	uint64_t event, desired;
	AshFleetWish *release; /* NULL: stay */
	char *hold;            /* NULL: no */
	char **windows;        /* NULL: the host's own; each parses as an AshWindow */
	GPtrArray *workloads;  /* of agent/fleet-workload.h; NULL: the fleet manages none here */
	GPtrArray *orders;     /* AshFleetOrder; never NULL */
} AshFleetAnswer;

gboolean ash_fleet_answer_parse(const char *json, AshFleetAnswer **out_answer, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_fleet_answer_free(AshFleetAnswer *answer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshFleetAnswer, ash_fleet_answer_free)

/* The same value for state.json's neighbour fleet.json: {"name",…,"verb"}. */
gboolean ash_fleet_wish_parse(JsonObject *object, AshFleetWish **out_release, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The object at @index of @array; NULL with an error when it is none. */
JsonObject *ash_fleet_element(JsonArray *array, guint index, GError **error);
/* Reads an array of windows; NULL in *out_windows when @key is missing or null. */
gboolean ash_fleet_windows_parse(JsonObject *object, const char *key, char ***out_windows,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
