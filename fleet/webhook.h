/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/store/db.h"

/* Events told to other programs: POST to an address, once for each event of the kinds that were asked for, oldest first,
 * one at a time for each webhook, so that they arrive in order.
 *
 *	POST URL
 *	Content-Type: application/json
 *	Ashlar-Event: KIND          Ashlar-Delivery: WEBHOOK.SEQ      the same at each attempt: who gets it twice knows
 *	Ashlar-Signature: t=SECONDS,v1=HEX
 *	{"seq":…,"at":…,"kind":…,"host":…,"rollout":…,"actor":…,"text":…,"data":{…}}
 *
 * HEX is HMAC-SHA-256 with the webhook's secret (its 64 digits as text) of "SECONDS.BODY"; a receiver refuses SECONDS
 * that are minutes old. Any 2xx within 10 s is a delivery. What fails is tried again after 1 s, then ever longer up to
 * 15 min; after a day it is given up, recorded, and the next one's turn. 410 pauses the webhook. Nothing is followed
 * elsewhere.
 *
 * The cursor of each webhook and its deliveries are in the database: at least once, whatever ends when. One of several
 * servers delivers.
 */

typedef struct AshServer AshServer;
typedef struct AshWebhooks AshWebhooks;

enum {
	ASH_WEBHOOK_MAX = 100,
	ASH_WEBHOOK_MAX_URL = 2048,
	ASH_WEBHOOK_MAX_KINDS = 64,
	ASH_WEBHOOK_TIMEOUT_S = 10,
	ASH_WEBHOOK_GIVE_UP_S = 24 * 60 * 60,
	ASH_WEBHOOK_MAX_DELAY_S = 15 * 60,
};

/* Needs @server's pool, events and now. */
gboolean ash_webhooks_start(AshServer *server, AshWebhooks **out_webhooks, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_webhooks_free(AshWebhooks *webhooks); /* before ash_events_free */
/* After a commit that changed a webhook. NULL is fine. */
void ash_webhooks_wake(AshWebhooks *webhooks);

/* ---- PURE ---- */

/* Seconds until the attempt behind the @attempts that failed. */
int64_t ash_webhook_delay(unsigned attempts);
/* Is an event of this kind asked for? @kinds: JSON array; "[]": all. "rollout.*" stands for all that begin so. */
bool ash_webhook_wants(const char *kinds, const char *kind);
/* "t=…,v1=…" */
char *ash_webhook_sign(const char *secret, int64_t now, const char *body, size_t size);
