/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/fleet-answer.h"

/* What this host knows of its fleet: fleet.json beside state.json, ashlard's own. What the fleet wants, which of its
 * orders were carried out, how far it has the history. PURE but for load and save.
 *
 * The fleet can name releases, hold this host back, give windows and a few orders; a release still has to be signed
 * and newer, or to be a deployment that is on the disk. Without the fleet all of this stays as it was said last.
 *
 * An order is written down here before it is carried out, and never carried out again while its id is remembered:
 * the newest ASH_FLEET_MEMBER_MAX_RESULTS. Its answer stays until a check-in with it was acknowledged, and is given
 * again when the order comes again.
 */

enum {
	ASH_FLEET_MEMBER_MAX_BYTES = 2 << 20, /* of fleet.json */
	ASH_FLEET_MEMBER_MAX_RESULTS = 128,
};

typedef struct {
	uint64_t id;
	bool is_open; /* begun; how it ends is not known yet */
	bool is_ok, is_acknowledged;
	char *text;
	uint64_t sent; /* serial of the first report that had it; 0: none; in memory only */
} AshFleetResult;

typedef struct {
	/* Which fleet: another address or token is another epoch, and all else begins anew. */
	char *url, *epoch;
	char *id; /* "" before there is a key */
	/* How it stands: ASH_FLEET_JOINED, _PENDING, _HELD, _REFUSED, _RETIRED, _LEFT; _UNREACHED before
	 * the first word. */
	AshFleetOutcome standing;
	char *text;                 /* why, "" for none */
	int64_t since_s, contact_s; /* of the standing; when the fleet answered last (0: never) */
	uint64_t have;              /* "desired" of the answer that was taken in last */
	AshFleetWish *release;      /* NULL: stay */
	char *hold;                 /* NULL: no */
	char **windows;             /* NULL: the host's own */
	GPtrArray *workloads;       /* of agent/fleet-workload.h; NULL: it manages none here */
	uint64_t returned;          /* the `have` whose return was begun */
	uint64_t event;             /* the last that the fleet has */
	GPtrArray *results;         /* AshFleetResult, oldest first */
	/* The boot whose journal the fleet is to have: an id, or "-1"; NULL: none. */
	char *journal_boot, *journal_version;
	int64_t journal_at_s;
	bool is_leaving; /* told to forget its fleet; until that has been acknowledged */
	/* In memory only. */
	char *trouble; /* why the last try did not reach the fleet; NULL: it did */
} AshFleetMember;

AshFleetMember *ash_fleet_member_new(void);
void ash_fleet_member_free(AshFleetMember *member);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshFleetMember, ash_fleet_member_free)

/* What the host document says now. A token that is gone is not another one; another fleet or another token is. */
void ash_fleet_member_set_fleet(AshFleetMember *member, const char *url, const char *token);

/* Takes in what came of the check-in with report @serial. @out_orders: those of the answer that are to be carried out
 * now, borrowed from @answer; each has an open result by now. Sets *out_has_news when `release`, `hold`, `windows`
 * or `workloads` are others than before.
 */
void ash_fleet_member_take(AshFleetMember *member, const AshFleetAnswer *answer, uint64_t serial,
		int64_t now_s, GPtrArray **out_orders, bool *out_has_news);

/* How an order ended. */
void ash_fleet_member_end_order(AshFleetMember *member, uint64_t id, bool is_ok, const char *text);
/* A process that ended while orders were open: what they did is not known. */
void ash_fleet_member_end_open(AshFleetMember *member, const char *text);
bool ash_fleet_member_has_unsaid(const AshFleetMember *member); /* results that are to be sent */

gboolean ash_fleet_member_parse(GBytes *json, AshFleetMember **out_member, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* @is_whole: with what changes at every check-in and is not worth a write. */
char *ash_fleet_member_format(const AshFleetMember *member, bool is_whole);

/* As ash_update_load: a broken file is put aside, and @out_warning says so. */
gboolean ash_fleet_member_load(const char *root, AshFleetMember **out_member, char **out_warning,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Writes only if something differs that is worth it; *inout_last is what was written last. */
gboolean ash_fleet_member_save(const char *root, const AshFleetMember *member, char **inout_last,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
