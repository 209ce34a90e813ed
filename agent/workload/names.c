/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/names.h"

#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <string.h>

enum {
	MEMBER_TTL_S = 5, /* members come and go */
	PLAIN_BYTES = 512,
	EDNS_BYTES = ASH_NAMES_MAX_BYTES,
	MAX_SERVERS = 3,
};

typedef ldns_pkt Packet;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Packet, ldns_pkt_free)

/* ---- who is who ---- */

const AshNetWire *ash_names_client(const AshNetPlan *plan, unsigned space, uint32_t address)
{
	for (unsigned i = 0; i < plan->wires->len; i++) {
		const AshNetWire *wire = g_ptr_array_index(plan->wires, i);
		if (wire->space == space && wire->address == address &&
				wire->mode != ASH_NETWORK_BRIDGED)
			return wire;
	}
	return NULL;
}

bool ash_names_is_egress(const AshNetWire *wire, const char *name)
{
	GPtrArray *egress = wire->wanted->network->egress;

	for (unsigned i = 0; i < egress->len; i++) {
		const AshWorkloadEgress *item = g_ptr_array_index(egress, i);
		if (item->is_name && strcmp(item->target, name) == 0)
			return true;
	}
	return false;
}

static bool is_open(const AshNetWire *wire)
{
	GPtrArray *egress = wire->wanted->network->egress;

	for (unsigned i = 0; i < egress->len; i++) {
		const AshWorkloadEgress *item = g_ptr_array_index(egress, i);
		if (strcmp(item->target, "*") == 0)
			return true;
	}
	return false;
}

bool ash_names_is_allowed(const AshNetPlan *plan, uint32_t address)
{
	return !ash_net_address_is_never(address) && !ash_net_range_has(&plan->range, address);
}

static bool is_called(const AshNetWire *wire, const char *name)
{
	const char *instance = wire->wanted->instance;
	size_t length = strcspn(instance, "@");

	return strcmp(instance, name) == 0 ||
	       (strncmp(instance, name, length) == 0 && name[length] == '\0') ||
	       g_strv_contains((const char *const *) wire->wanted->names, name);
}

/* The addresses that @name has for @client without asking anybody. */
static GArray *find_members(const AshNetPlan *plan, const AshNetWire *client, const char *name)
{
	g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	const AshNetSpace *space = g_ptr_array_index(plan->spaces, client->space);

	for (unsigned i = 0; i < plan->wires->len; i++) {
		const AshNetWire *wire = g_ptr_array_index(plan->wires, i);
		bool is_neighbour = *client->bridge && strcmp(client->bridge, wire->bridge) == 0 &&
				    !(client->wanted->network->is_isolated &&
						    wire->wanted->network->is_isolated &&
						    wire != client);
		bool is_provider = space->owner == wire;
		if ((is_neighbour || is_provider) && is_called(wire, name) &&
				found->len < ASH_NAMES_MAX_ADDRESSES)
			g_array_append_val(found, wire->address);
	}
	return g_steal_pointer(&found);
}

/* ---- packets ---- */

void ash_names_question_clear(AshNamesQuestion *question)
{
	g_clear_pointer(&question->packet, g_bytes_unref);
}

static GBytes *to_bytes(const ldns_pkt *packet)
{
	uint8_t *wire = NULL;
	size_t size = 0;

	if (ldns_pkt2wire(&wire, packet, &size) != LDNS_STATUS_OK)
		return NULL;
	GBytes *bytes = g_bytes_new(wire, size);
	LDNS_FREE(wire);
	return bytes;
}

static ldns_rr *new_question(const char *name, uint16_t type)
{
	ldns_rdf *owner = ldns_dname_new_frm_str(name);

	if (!owner)
		return NULL;
	ldns_rr *question = ldns_rr_new();
	ldns_rr_set_question(question, true);
	ldns_rr_set_owner(question, owner);
	ldns_rr_set_type(question, (ldns_rr_type) type);
	ldns_rr_set_class(question, LDNS_RR_CLASS_IN);
	return question;
}

static ldns_rr *new_address(const char *name, uint32_t address, uint32_t ttl_s)
{
	uint32_t bytes = htonl(address);
	ldns_rr *record = ldns_rr_new();

	ldns_rr_set_owner(record, ldns_dname_new_frm_str(name));
	ldns_rr_set_type(record, LDNS_RR_TYPE_A);
	ldns_rr_set_class(record, LDNS_RR_CLASS_IN);
	ldns_rr_set_ttl(record, ttl_s);
	ldns_rr_push_rdf(record, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, sizeof bytes, &bytes));
	return record;
}

static GBytes *make_reply(const AshNamesQuestion *question, ldns_pkt_rcode code,
		const uint32_t *addresses, unsigned count, uint32_t ttl_s, bool is_truncated)
{
	g_autoptr(Packet) reply = ldns_pkt_new();
	ldns_rr *asked = new_question(question->name, question->type);

	ldns_pkt_set_id(reply, question->id);
	ldns_pkt_set_qr(reply, true);
	ldns_pkt_set_rd(reply, true);
	ldns_pkt_set_ra(reply, true);
	ldns_pkt_set_tc(reply, is_truncated);
	ldns_pkt_set_rcode(reply, (uint8_t) code);
	if (asked)
		ldns_pkt_push_rr(reply, LDNS_SECTION_QUESTION, asked);
	for (unsigned i = 0; i < count; i++)
		ldns_pkt_push_rr(reply, LDNS_SECTION_ANSWER,
				new_address(question->name, addresses[i], ttl_s));
	return to_bytes(reply);
}

GBytes *ash_names_failure(const AshNamesQuestion *question)
{
	return make_reply(question, LDNS_RCODE_SERVFAIL, NULL, 0, 0, false);
}

GBytes *ash_names_truncated(const AshNamesQuestion *question)
{
	return make_reply(question, LDNS_RCODE_NOERROR, NULL, 0, 0, true);
}

static GBytes *make_query(AshNamesQuestion *question)
{
	ldns_rr *asked = new_question(question->name, question->type);

	if (!asked)
		return NULL;
	g_autoptr(Packet) query = ldns_pkt_new();
	question->forward_id = (uint16_t) g_random_int();
	ldns_pkt_set_id(query, question->forward_id);
	ldns_pkt_set_rd(query, true);
	ldns_pkt_set_edns_udp_size(query, EDNS_BYTES);
	ldns_pkt_push_rr(query, LDNS_SECTION_QUESTION, asked);
	return to_bytes(query);
}

/* The name of the one question of @packet; false: there is not one, or it is longer than names are. */
static bool read_name(const ldns_pkt *packet, char *out_name, uint16_t *out_type)
{
	const ldns_rr_list *questions = ldns_pkt_question(packet);

	if (!questions || ldns_rr_list_rr_count(questions) != 1)
		return false;
	ldns_rr *question = ldns_rr_list_rr(questions, 0);
	if (ldns_rr_get_class(question) != LDNS_RR_CLASS_IN || !ldns_rr_owner(question))
		return false;
	char *text = ldns_rdf2str(ldns_rr_owner(question));
	size_t length = text ? strlen(text) : 0;
	bool fits = length > 1 && length < ASH_NAMES_NAME_BYTES;
	if (fits) {
		g_autofree char *small = g_ascii_strdown(text, -1);
		if (small[length - 1] == '.')
			small[length - 1] = '\0';
		g_strlcpy(out_name, small, ASH_NAMES_NAME_BYTES);
		*out_type = (uint16_t) ldns_rr_get_type(question);
	}
	LDNS_FREE(text);
	return fits;
}

static void decide(const AshNetPlan *plan, const AshNetWire *client, AshNamesQuestion *question)
{
	g_autoptr(GArray) members = client ? find_members(plan, client, question->name) : NULL;
	bool is_open_to = client && is_open(client);

	question->verdict = ASH_NAMES_ANSWER;
	if (members && members->len > 0) {
		unsigned count = question->type == LDNS_RR_TYPE_A ? members->len : 0;
		question->packet = make_reply(question, LDNS_RCODE_NOERROR,
				(const uint32_t *) (gpointer) members->data, count, MEMBER_TTL_S,
				false);
	} else if (client && (is_open_to || ash_names_is_egress(client, question->name))) {
		/* Other kinds of records are of no use to who may reach IPv4 addresses of it only. */
		if (!is_open_to && question->type != LDNS_RR_TYPE_A) {
			question->packet =
					make_reply(question, LDNS_RCODE_NOERROR, NULL, 0, 0, false);
			return;
		}
		question->verdict = ASH_NAMES_FORWARD;
		question->is_open = is_open_to && !ash_names_is_egress(client, question->name);
		question->packet = make_query(question);
	} else {
		question->packet = make_reply(question, LDNS_RCODE_REFUSED, NULL, 0, 0, false);
	}
	if (!question->packet)
		question->verdict = ASH_NAMES_IGNORE;
}

void ash_names_ask(const AshNetPlan *plan, const AshNetWire *client, const uint8_t *packet,
		size_t size, AshNamesQuestion *out_question)
{
	g_autoptr(Packet) query = NULL;

	memset(out_question, 0, sizeof *out_question);
	if (size > ASH_NAMES_MAX_BYTES || ldns_wire2pkt(&query, packet, size) != LDNS_STATUS_OK)
		return;
	if (ldns_pkt_qr(query) || ldns_pkt_get_opcode(query) != LDNS_PACKET_QUERY ||
			!read_name(query, out_question->name, &out_question->type))
		return;
	out_question->id = ldns_pkt_id(query);
	out_question->max_bytes = MAX(ldns_pkt_edns_udp_size(query), PLAIN_BYTES);
	decide(plan, client, out_question);
}

/* ---- what comes back ---- */

/* Addresses of all A records: where the name leads by way of others, it is the end that matters. */
static void read_addresses(const AshNetPlan *plan, const ldns_pkt *packet, AshNamesAnswer *answer)
{
	const ldns_rr_list *records = ldns_pkt_answer(packet);
	uint32_t ttl_s = ASH_NAMES_MAX_TTL_S;

	for (size_t i = 0; records && i < ldns_rr_list_rr_count(records); i++) {
		ldns_rr *record = ldns_rr_list_rr(records, i);
		ttl_s = MIN(ttl_s, ldns_rr_ttl(record));
		if (ldns_rr_get_type(record) != LDNS_RR_TYPE_A || ldns_rr_rd_count(record) != 1 ||
				ldns_rdf_size(ldns_rr_rdf(record, 0)) != sizeof(uint32_t))
			continue;
		uint32_t address;
		memcpy(&address, ldns_rdf_data(ldns_rr_rdf(record, 0)), sizeof address);
		if (answer->count < ASH_NAMES_MAX_ADDRESSES &&
				ash_names_is_allowed(plan, ntohl(address)))
			answer->addresses[answer->count++] = ntohl(address);
	}
	answer->ttl_s = MAX(ttl_s, ASH_NAMES_MIN_TTL_S);
}

static GBytes *with_id(const uint8_t *packet, size_t size, uint16_t id)
{
	uint8_t *copy = g_memdup2(packet, size);

	copy[0] = (uint8_t) (id >> 8);
	copy[1] = (uint8_t) id;
	return g_bytes_new_take(copy, size);
}

bool ash_names_answer(const AshNetPlan *plan, const AshNamesQuestion *question,
		const uint8_t *packet, size_t size, AshNamesAnswer *out_answer)
{
	g_autoptr(Packet) reply = NULL;
	char name[ASH_NAMES_NAME_BYTES];
	uint16_t type;

	memset(out_answer, 0, sizeof *out_answer);
	if (size > ASH_NAMES_MAX_BYTES || ldns_wire2pkt(&reply, packet, size) != LDNS_STATUS_OK)
		return false;
	if (!ldns_pkt_qr(reply) || ldns_pkt_id(reply) != question->forward_id ||
			!read_name(reply, name, &type) || type != question->type ||
			strcmp(name, question->name) != 0)
		return false;
	if (question->is_open) {
		out_answer->packet = with_id(packet, size, question->id);
		return true;
	}
	read_addresses(plan, reply, out_answer);
	out_answer->packet = make_reply(question, ldns_pkt_get_rcode(reply), out_answer->addresses,
			out_answer->count, out_answer->ttl_s, false);
	return out_answer->packet != NULL;
}

GArray *ash_names_servers(const char *resolv_conf)
{
	GArray *servers = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	g_auto(GStrv) lines = g_strsplit(resolv_conf, "\n", -1);

	for (char **line = lines; *line && servers->len < MAX_SERVERS; line++) {
		AshNetRange range;
		g_auto(GStrv) words = g_strsplit_set(g_strstrip(*line), " \t", 3);
		if (words[0] && words[1] && strcmp(words[0], "nameserver") == 0 &&
				ash_net_range_find(words[1], &range) && range.prefix == 32)
			g_array_append_val(servers, range.address);
	}
	return servers;
}
