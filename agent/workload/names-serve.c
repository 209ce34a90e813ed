/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/names-serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"

enum {
	TRY_MS = 2000, /* then the next resolver */
	TRIES = 3,
	STREAM_MS = 10000,
	PORT = 53,
};

/* A workload that asks by TCP: one question at a time, the next ones wait in its bytes. */
typedef struct {
	int fd;
	unsigned space;
	uint32_t address;
	int64_t until_us;
	size_t filled;
	bool is_waiting; /* for a resolver */
	uint8_t bytes[2 + ASH_NAMES_MAX_BYTES];
} Stream;

/* A question that was forwarded. */
typedef struct {
	AshNamesQuestion question;
	const AshNetWire *client;
	const AshNamesDoor *door;
	struct sockaddr_in from;
	Stream *stream; /* NULL: by UDP */
	int fd;
	unsigned tries;
	int64_t until_us;
} Pending;

typedef struct {
	const AshNetPlan *plan;
	const AshNamesDoor *doors;
	unsigned count;
	const GArray *servers;
	int orders;
	GPtrArray *pending, *streams;
} Server;

static void free_pending(gpointer data)
{
	Pending *pending = data;

	if (pending->fd >= 0)
		close(pending->fd);
	ash_names_question_clear(&pending->question);
	g_free(pending);
}

static void free_stream(gpointer data)
{
	Stream *stream = data;

	close(stream->fd);
	g_free(stream);
}

/* ---- to the client ---- */

/* What does not go out at once is lost, as packets are; the client asks again. */
static void reply_stream(Stream *stream, GBytes *packet)
{
	gsize size;
	const uint8_t *data = g_bytes_get_data(packet, &size);
	g_autofree uint8_t *framed = g_malloc(size + 2);

	framed[0] = (uint8_t) (size >> 8);
	framed[1] = (uint8_t) size;
	memcpy(framed + 2, data, size);
	if (send(stream->fd, framed, size + 2, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t) size + 2)
		stream->until_us = 0;
	stream->is_waiting = false;
}

static void reply_datagram(const AshNamesDoor *door, const struct sockaddr_in *to,
		const AshNamesQuestion *question, GBytes *packet)
{
	bool fits = g_bytes_get_size(packet) <= question->max_bytes;
	g_autoptr(GBytes) bytes = fits ? g_bytes_ref(packet) : ash_names_truncated(question);

	if (bytes)
		(void) sendto(door->udp, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
				MSG_DONTWAIT, (const struct sockaddr *) to, sizeof *to);
}

static void reply(const Pending *pending, GBytes *packet)
{
	if (pending->stream)
		reply_stream(pending->stream, packet);
	else
		reply_datagram(pending->door, &pending->from, &pending->question, packet);
}

/* ---- to the resolvers ---- */

/* A socket, and so a port, for each try: who guesses has to guess that too. */
static bool ask_server(const Server *server, Pending *pending)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	if (pending->fd >= 0)
		close(pending->fd);
	pending->fd = -1;
	if (server->servers->len == 0 || pending->tries == TRIES)
		return false;
	to.sin_addr.s_addr = htonl(g_array_index(
			server->servers, uint32_t, pending->tries++ % server->servers->len));
	pending->until_us = g_get_monotonic_time() + TRY_MS * 1000;
	pending->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (pending->fd < 0)
		return false;
	GBytes *packet = pending->question.packet;
	/* What cannot be sent now is tried again when the time is up. */
	if (connect(pending->fd, (struct sockaddr *) &to, sizeof to) == 0)
		(void) send(pending->fd, g_bytes_get_data(packet, NULL), g_bytes_get_size(packet),
				MSG_DONTWAIT);
	return true;
}

static bool is_too_much(const Server *server, const AshNetWire *client)
{
	unsigned own = 0;

	for (unsigned i = 0; i < server->pending->len; i++)
		own += ((const Pending *) g_ptr_array_index(server->pending, i))->client == client;
	return own >= ASH_NAMES_MAX_OF_ONE || server->pending->len >= ASH_NAMES_MAX_PENDING;
}

static void forward(Server *server, const AshNetWire *client, const AshNamesQuestion *question,
		const AshNamesDoor *door, const struct sockaddr_in *from, Stream *stream)
{
	Pending *pending = g_new0(Pending, 1);

	pending->question = *question;
	pending->question.packet = g_bytes_ref(question->packet);
	pending->client = client;
	pending->door = door;
	pending->stream = stream;
	pending->fd = -1;
	if (from)
		pending->from = *from;
	if (is_too_much(server, client) || !ask_server(server, pending)) {
		g_autoptr(GBytes) failure = ash_names_failure(question);
		reply(pending, failure);
		free_pending(pending);
		return;
	}
	if (stream)
		stream->is_waiting = true;
	g_ptr_array_add(server->pending, pending);
}

/* ---- from the client ---- */

static const AshNetWire *client_of(const Server *server, const AshNamesDoor *door, uint32_t address)
{
	return ash_names_client(server->plan, door->space, address);
}

static void on_datagram(Server *server, const AshNamesDoor *door)
{
	uint8_t packet[ASH_NAMES_MAX_BYTES + 1];
	struct sockaddr_in from;
	socklen_t length = sizeof from;
	AshNamesQuestion question;

	ssize_t size = recvfrom(door->udp, packet, sizeof packet, MSG_DONTWAIT,
			(struct sockaddr *) &from, &length);
	if (size <= 0 || from.sin_family != AF_INET)
		return;
	const AshNetWire *client = client_of(server, door, ntohl(from.sin_addr.s_addr));
	ash_names_ask(server->plan, client, packet, (size_t) size, &question);
	if (question.verdict == ASH_NAMES_ANSWER)
		reply_datagram(door, &from, &question, question.packet);
	else if (question.verdict == ASH_NAMES_FORWARD)
		forward(server, client, &question, door, &from, NULL);
	ash_names_question_clear(&question);
}

static void on_connection(Server *server, const AshNamesDoor *door)
{
	struct sockaddr_in from;
	socklen_t length = sizeof from;
	int fd = accept4(door->tcp, (struct sockaddr *) &from, &length,
			SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (server->streams->len == ASH_NAMES_MAX_STREAMS) {
		close(fd);
		return;
	}
	Stream *stream = g_new0(Stream, 1);
	stream->fd = fd;
	stream->space = door->space;
	stream->address = ntohl(from.sin_addr.s_addr);
	stream->until_us = g_get_monotonic_time() + STREAM_MS * 1000;
	g_ptr_array_add(server->streams, stream);
}

/* The first question of what has come; libc asks for both kinds of addresses in one breath. */
static bool take_question(Server *server, Stream *stream)
{
	AshNamesQuestion question;
	size_t wanted = stream->filled < 2 ? 0 : (size_t) stream->bytes[0] << 8 | stream->bytes[1];

	if (wanted > ASH_NAMES_MAX_BYTES)
		stream->until_us = 0;
	if (stream->is_waiting || wanted == 0 || wanted > ASH_NAMES_MAX_BYTES ||
			stream->filled < 2 + wanted)
		return false;
	const AshNetWire *client = ash_names_client(server->plan, stream->space, stream->address);
	ash_names_ask(server->plan, client, stream->bytes + 2, wanted, &question);
	stream->filled -= 2 + wanted;
	memmove(stream->bytes, stream->bytes + 2 + wanted, stream->filled);
	if (question.verdict == ASH_NAMES_ANSWER)
		reply_stream(stream, question.packet);
	else if (question.verdict == ASH_NAMES_FORWARD)
		forward(server, client, &question, NULL, NULL, stream);
	ash_names_question_clear(&question);
	return true;
}

static void on_stream(Server *server, Stream *stream)
{
	ssize_t size = recv(stream->fd, stream->bytes + stream->filled,
			sizeof stream->bytes - stream->filled, MSG_DONTWAIT);

	if (size <= 0) {
		if (size == 0 || (errno != EAGAIN && errno != EINTR))
			stream->until_us = 0;
		return;
	}
	stream->filled += (size_t) size;
	while (take_question(server, stream))
		;
}

/* Those whose question was answered may have asked the next one already. */
static void go_on(Server *server)
{
	for (unsigned i = 0; i < server->streams->len; i++)
		while (take_question(server, g_ptr_array_index(server->streams, i)))
			;
}

/* ---- from the resolvers ---- */

/* The parent is asked and has answered before the workload hears of an address. */
static bool order_set(const Server *server, const Pending *pending, const AshNamesAnswer *answer)
{
	AshNamesOrder order = {.number = pending->client->number,
			.ttl_s = answer->ttl_s,
			.count = answer->count};
	char done = 0;

	memcpy(order.addresses, answer->addresses, sizeof order.addresses);
	g_strlcpy(order.name, pending->question.name, sizeof order.name);
	return send(server->orders, &order, sizeof order, MSG_NOSIGNAL) == sizeof order &&
	       recv(server->orders, &done, 1, 0) == 1 && done == 1;
}

/* true: it is over. */
static bool on_answer(const Server *server, Pending *pending)
{
	uint8_t packet[ASH_NAMES_MAX_BYTES + 1];
	AshNamesAnswer answer;
	ssize_t size = recv(pending->fd, packet, sizeof packet, MSG_DONTWAIT);

	if (size < 0 && errno == ECONNREFUSED)
		pending->until_us = 0;
	if (size <= 0 || !ash_names_answer(server->plan, &pending->question, packet, (size_t) size,
					 &answer))
		return false;
	if (answer.count > 0 && !order_set(server, pending, &answer)) {
		g_bytes_unref(answer.packet);
		answer.packet = ash_names_failure(&pending->question);
	}
	reply(pending, answer.packet);
	g_bytes_unref(answer.packet);
	return true;
}

/* ---- the loop ---- */

static bool is_waited_for(const Server *server, const Stream *stream)
{
	for (unsigned i = 0; i < server->pending->len; i++)
		if (((const Pending *) g_ptr_array_index(server->pending, i))->stream == stream)
			return true;
	return false;
}

static void expire(Server *server, int64_t now_us)
{
	for (unsigned i = server->pending->len; i-- > 0;) {
		Pending *pending = g_ptr_array_index(server->pending, i);
		if (pending->until_us > now_us || ask_server(server, pending))
			continue;
		g_autoptr(GBytes) failure = ash_names_failure(&pending->question);
		reply(pending, failure);
		g_ptr_array_remove_index_fast(server->pending, i);
	}
	for (unsigned i = server->streams->len; i-- > 0;) {
		const Stream *stream = g_ptr_array_index(server->streams, i);
		if (stream->until_us <= now_us && !is_waited_for(server, stream))
			g_ptr_array_remove_index_fast(server->streams, i);
	}
}

static void add_poll(GArray *polls, int fd, bool is_wanted)
{
	struct pollfd poll = {.fd = is_wanted ? fd : -1, .events = POLLIN};

	g_array_append_val(polls, poll);
}

/* In this order: orders, doors, streams, pending. */
static void fill_polls(const Server *server, GArray *polls)
{
	g_array_set_size(polls, 0);
	add_poll(polls, server->orders, true);
	for (unsigned i = 0; i < server->count; i++) {
		add_poll(polls, server->doors[i].udp, true);
		add_poll(polls, server->doors[i].tcp, true);
	}
	for (unsigned i = 0; i < server->streams->len; i++) {
		const Stream *stream = g_ptr_array_index(server->streams, i);
		add_poll(polls, stream->fd, !stream->is_waiting);
	}
	for (unsigned i = 0; i < server->pending->len; i++)
		add_poll(polls, ((const Pending *) g_ptr_array_index(server->pending, i))->fd,
				true);
}

static bool is_ready(const GArray *polls, unsigned at)
{
	return g_array_index(polls, struct pollfd, at).revents != 0;
}

static void dispatch(Server *server, const GArray *polls)
{
	unsigned streams = server->streams->len, pendings = server->pending->len;
	unsigned first_stream = 1 + 2 * server->count, first_pending = first_stream + streams;

	for (unsigned i = pendings; i-- > 0;)
		if (is_ready(polls, first_pending + i) &&
				on_answer(server, g_ptr_array_index(server->pending, i)))
			g_ptr_array_remove_index(server->pending, i);
	for (unsigned i = 0; i < streams; i++)
		if (is_ready(polls, first_stream + i))
			on_stream(server, g_ptr_array_index(server->streams, i));
	for (unsigned i = 0; i < server->count; i++) {
		if (is_ready(polls, 1 + 2 * i))
			on_datagram(server, &server->doors[i]);
		if (is_ready(polls, 2 + 2 * i))
			on_connection(server, &server->doors[i]);
	}
}

gboolean ash_names_serve(const AshNetPlan *plan, const AshNamesDoor *doors, unsigned count,
		const GArray *servers, int orders, GError **error)
{
	g_autoptr(GPtrArray) streams = g_ptr_array_new_with_free_func(free_stream);
	g_autoptr(GPtrArray) pending = g_ptr_array_new_with_free_func(free_pending);
	g_autoptr(GArray) polls = g_array_new(FALSE, FALSE, sizeof(struct pollfd));
	Server server = {plan, doors, count, servers, orders, pending, streams};

	for (;;) {
		fill_polls(&server, polls);
		if (poll((struct pollfd *) (gpointer) polls->data, polls->len, TRY_MS / 4) < 0 &&
				errno != EINTR)
			return ash_throw_errno(error, "poll");
		/* Only the end of the parent is ever to be read here: it answers when it is asked. */
		if (is_ready(polls, 0))
			return TRUE;
		dispatch(&server, polls);
		expire(&server, g_get_monotonic_time());
		go_on(&server);
	}
}
