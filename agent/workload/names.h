/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/workload/net-plan.h"

/* Names for workloads: what is answered to whom. PURE, but for the random number of a forwarded question.
 * The seam of ldns.
 *
 * Who asks is known by where the question comes in and its source address, which the rules have made sure of.
 *
 *	members of its natnet, internal or hostonly network, by instance ("web@2"), workload ("web": all of
 *	them) and the names that it was given; a client its provider: the address; AAAA: nothing, NOERROR
 *	a name of its egress: forwarded (A alone), its addresses go into the set of the rules, and then back
 *	anything, when its egress has "*": forwarded as it is
 *	all else: REFUSED
 *
 * Addresses that no workload may reach, and those of the workloads' own range, are taken out of what is
 * forwarded. RFC 1035, 6891.
 */

enum {
	ASH_NAMES_MAX_BYTES = 4096,   /* of one packet */
	ASH_NAMES_MAX_ADDRESSES = 64, /* of one answer */
	ASH_NAMES_MIN_TTL_S = 5,
	ASH_NAMES_MAX_TTL_S = 3600,
	ASH_NAMES_GRACE_S = 5, /* an address stays in the set a little longer than in the answer */
	ASH_NAMES_NAME_BYTES = 256,
};

typedef enum {
	ASH_NAMES_IGNORE, /* no question */
	ASH_NAMES_ANSWER,
	ASH_NAMES_FORWARD,
} AshNamesVerdict;

typedef struct {
	AshNamesVerdict verdict;
	GBytes *packet;                  /* ANSWER: for the client; FORWARD: for a resolver */
	char name[ASH_NAMES_NAME_BYTES]; /* in small letters, without the last dot */
	uint16_t id, forward_id, type;
	uint16_t max_bytes; /* that the client takes by UDP */
	bool is_open;       /* FORWARD: whatever comes back is the client's */
} AshNamesQuestion;

void ash_names_question_clear(AshNamesQuestion *question);

/* @client: NULL for who is not known. */
void ash_names_ask(const AshNetPlan *plan, const AshNetWire *client, const uint8_t *packet,
		size_t size, AshNamesQuestion *out_question);

typedef struct {
	GBytes *packet; /* for the client */
	uint32_t addresses[ASH_NAMES_MAX_ADDRESSES];
	unsigned count; /* of addresses that have to be in the set first */
	uint32_t ttl_s;
} AshNamesAnswer;

/* A question: is @packet the answer to @question? */
bool ash_names_answer(const AshNetPlan *plan, const AshNamesQuestion *question,
		const uint8_t *packet, size_t size, AshNamesAnswer *out_answer);
/* SERVFAIL: no resolver has answered. */
GBytes *ash_names_failure(const AshNamesQuestion *question);
/* What is too large for UDP, as an empty answer that says so. */
GBytes *ash_names_truncated(const AshNamesQuestion *question);

/* Who sends from @address in @space; NULL. */
const AshNetWire *ash_names_client(const AshNetPlan *plan, unsigned space, uint32_t address);
/* A question: is @name in the egress of @wire? */
bool ash_names_is_egress(const AshNetWire *wire, const char *name);
bool ash_names_is_allowed(const AshNetPlan *plan, uint32_t address);

/* "nameserver 192.0.2.53" lines, IPv4: at most 3. @out_servers: of uint32_t, as the host counts */
GArray *ash_names_servers(const char *resolv_conf);
