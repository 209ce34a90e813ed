/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/mux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	OPEN = 1,
	DATA,
	CREDIT,
	CLOSE,
	BEAT,
	/* Above this no data is added; what control frames a peer that keeps the rules can cause fits beside. */
	OUT_FULL_BYTES = 64 << 10,
	OUT_BYTES = OUT_FULL_BYTES + ASH_MUX_HEADER_BYTES + ASH_MUX_MAX_DATA + (16 << 10),
	IN_BYTES = 2 * (ASH_MUX_HEADER_BYTES + ASH_MUX_MAX_DATA),
};

typedef struct {
	bool is_used;
	bool has_sent_close, has_got_close;
	uint16_t number;
	int fd;           /* -1: closed here */
	uint32_t credit;  /* bytes that may be sent */
	uint32_t taken;   /* by `fd` since credit was given for it */
	uint8_t *waiting; /* for `fd`, ASH_MUX_WINDOW of room */
	size_t waiting_at, waiting_size;
} Stream;

struct AshMux {
	int port;
	bool is_launcher;
	AshMuxCalls calls;
	Stream streams[ASH_MUX_MAX_STREAMS];
	uint8_t in[IN_BYTES], out[OUT_BYTES];
	size_t in_size, out_at, out_size;
	bool is_broken;
};

/* ---- frames out ---- */

static void put(uint8_t *at, uint32_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		at[i] = (uint8_t) (value >> 8 * i);
}

static uint32_t get(const uint8_t *at, int bytes)
{
	uint32_t value = 0;

	for (int i = 0; i < bytes; i++)
		value |= (uint32_t) at[i] << 8 * i;
	return value;
}

static size_t out_waiting(const AshMux *mux)
{
	return mux->out_size - mux->out_at;
}

/* Room for a frame with @size bytes behind its header; NULL: the other side does not read what it asks for. */
static uint8_t *add_frame(AshMux *mux, uint16_t kind, uint16_t number, uint32_t value, size_t size)
{
	size_t whole = ASH_MUX_HEADER_BYTES + size;

	if (mux->out_at > 0) {
		memmove(mux->out, mux->out + mux->out_at, out_waiting(mux));
		mux->out_size -= mux->out_at;
		mux->out_at = 0;
	}
	if (mux->out_size + whole > sizeof mux->out) {
		mux->is_broken = true;
		return NULL;
	}
	uint8_t *frame = mux->out + mux->out_size;
	put(frame, kind, 2);
	put(frame + 2, number, 2);
	put(frame + 4, value, 4);
	mux->out_size += whole;
	return frame + ASH_MUX_HEADER_BYTES;
}

static void flush(AshMux *mux)
{
	while (out_waiting(mux) > 0) {
		ssize_t n = write(mux->port, mux->out + mux->out_at, out_waiting(mux));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			mux->is_broken |= n < 0 && errno != EAGAIN;
			return;
		}
		mux->out_at += (size_t) n;
	}
}

/* ---- streams ---- */

static Stream *find_stream(AshMux *mux, uint16_t number)
{
	for (size_t i = 0; i < ASH_MUX_MAX_STREAMS; i++)
		if (mux->streams[i].is_used && mux->streams[i].number == number)
			return &mux->streams[i];
	return NULL;
}

static Stream *new_stream(AshMux *mux, uint16_t number, int fd)
{
	for (size_t i = 0; i < ASH_MUX_MAX_STREAMS; i++) {
		Stream *stream = &mux->streams[i];
		if (stream->is_used)
			continue;
		uint8_t *waiting = malloc(ASH_MUX_WINDOW);
		if (waiting == NULL)
			return NULL;
		*stream = (Stream){.is_used = true,
				.number = number,
				.fd = fd,
				.credit = ASH_MUX_WINDOW,
				.waiting = waiting};
		return stream;
	}
	return NULL;
}

/* The socket goes; the number does when the other side has said so too. */
static void end_stream(AshMux *mux, Stream *stream)
{
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
	stream->waiting_size = stream->waiting_at = 0;
	free(stream->waiting);
	stream->waiting = NULL;
	if (!stream->has_sent_close)
		add_frame(mux, CLOSE, stream->number, 0, 0);
	stream->has_sent_close = true;
	stream->is_used = !stream->has_got_close;
}

bool ash_mux_open(AshMux *mux, int fd)
{
	uint16_t number = mux->is_launcher ? 2 : 1;

	while (find_stream(mux, number) != NULL)
		number = (uint16_t) (number + 2);
	/* Some of the numbers stay for the other side. */
	if (number > ASH_MUX_MAX_STREAMS || new_stream(mux, number, fd) == NULL) {
		close(fd);
		return false;
	}
	add_frame(mux, OPEN, number, 0, 0);
	return true;
}

void ash_mux_beat(AshMux *mux)
{
	/* One that waits says as much as two. */
	if (out_waiting(mux) < OUT_FULL_BYTES)
		add_frame(mux, BEAT, 0, 0, 0);
}

/* From the port to the socket. */
static void give_waiting(AshMux *mux, Stream *stream)
{
	while (stream->waiting_size > 0) {
		ssize_t n = send(stream->fd, stream->waiting + stream->waiting_at,
				stream->waiting_size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			end_stream(mux, stream);
			return;
		}
		stream->waiting_at += (size_t) n;
		stream->waiting_size -= (size_t) n;
		stream->taken += (uint32_t) n;
	}
	if (stream->waiting_size == 0)
		stream->waiting_at = 0;
	if (stream->taken >= ASH_MUX_WINDOW / 2 && !stream->has_got_close) {
		add_frame(mux, CREDIT, stream->number, stream->taken, 0);
		stream->taken = 0;
	}
	if (stream->has_got_close && stream->waiting_size == 0)
		end_stream(mux, stream);
}

/* From the socket to the port. */
static void take_from(AshMux *mux, Stream *stream)
{
	uint8_t data[ASH_MUX_MAX_DATA];
	size_t most = stream->credit < sizeof data ? stream->credit : sizeof data;
	ssize_t n = recv(stream->fd, data, most, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_stream(mux, stream);
		return;
	}
	uint8_t *at = add_frame(mux, DATA, stream->number, (uint32_t) n, (size_t) n);
	if (at != NULL)
		memcpy(at, data, (size_t) n);
	stream->credit -= (uint32_t) n;
}

/* ---- frames in; each is false when a rule is broken ---- */

static bool take_open(AshMux *mux, uint16_t number)
{
	bool is_theirs = (number % 2 == 0) != mux->is_launcher;

	if (!is_theirs || number == 0 || find_stream(mux, number) != NULL)
		return false;
	int fd = mux->calls.open(mux->calls.data);
	if (fd >= 0 && new_stream(mux, number, fd) != NULL)
		return true;
	if (fd >= 0)
		close(fd);
	/* Their CLOSE comes as the answer to this one, and is let pass below. */
	add_frame(mux, CLOSE, number, 0, 0);
	return true;
}

static bool take_data(AshMux *mux, uint16_t number, const uint8_t *data, size_t size)
{
	Stream *stream = find_stream(mux, number);

	/* What was on its way when the socket went. */
	if (stream == NULL || stream->fd < 0)
		return true;
	if (stream->has_got_close || stream->waiting_size + size > ASH_MUX_WINDOW)
		return false;
	if (stream->waiting_at + stream->waiting_size + size > ASH_MUX_WINDOW) {
		memmove(stream->waiting, stream->waiting + stream->waiting_at,
				stream->waiting_size);
		stream->waiting_at = 0;
	}
	memcpy(stream->waiting + stream->waiting_at + stream->waiting_size, data, size);
	stream->waiting_size += size;
	give_waiting(mux, stream);
	return true;
}

static bool take_credit(AshMux *mux, uint16_t number, uint32_t value)
{
	Stream *stream = find_stream(mux, number);

	if (stream == NULL)
		return true;
	if (value > ASH_MUX_WINDOW || stream->credit + value > ASH_MUX_WINDOW)
		return false;
	stream->credit += value;
	return true;
}

static bool take_close(AshMux *mux, uint16_t number)
{
	Stream *stream = find_stream(mux, number);

	if (stream == NULL)
		return true;
	if (stream->has_got_close)
		return false;
	stream->has_got_close = true;
	if (stream->fd < 0)
		stream->is_used = false;
	else if (stream->waiting_size == 0)
		end_stream(mux, stream);
	return true;
}

static bool take_frame(AshMux *mux, const uint8_t *frame, size_t size)
{
	uint16_t number = (uint16_t) get(frame + 2, 2);
	uint32_t value = get(frame + 4, 4);

	switch (get(frame, 2)) {
	case OPEN:
		return take_open(mux, number);
	case DATA:
		return take_data(mux, number, frame + ASH_MUX_HEADER_BYTES, size);
	case CREDIT:
		return take_credit(mux, number, value);
	case CLOSE:
		return take_close(mux, number);
	case BEAT:
		mux->calls.beat(mux->calls.data);
		return true;
	default:
		return false;
	}
}

static bool take_frames(AshMux *mux)
{
	size_t at = 0;

	while (mux->in_size - at >= ASH_MUX_HEADER_BYTES) {
		const uint8_t *frame = mux->in + at;
		uint32_t size = get(frame, 2) == DATA ? get(frame + 4, 4) : 0;
		if (size > ASH_MUX_MAX_DATA)
			return false;
		if (mux->in_size - at < ASH_MUX_HEADER_BYTES + size)
			break;
		if (!take_frame(mux, frame, size))
			return false;
		at += ASH_MUX_HEADER_BYTES + size;
	}
	memmove(mux->in, mux->in + at, mux->in_size - at);
	mux->in_size -= at;
	return true;
}

static bool take_port(AshMux *mux)
{
	ssize_t n = read(mux->port, mux->in + mux->in_size, sizeof mux->in - mux->in_size);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	mux->in_size += (size_t) n;
	return take_frames(mux);
}

/* ---- the whole ---- */

AshMux *ash_mux_new(int port, bool is_launcher, const AshMuxCalls *calls)
{
	AshMux *mux = calloc(1, sizeof *mux);

	if (mux == NULL)
		return NULL;
	mux->port = port;
	mux->is_launcher = is_launcher;
	mux->calls = *calls;
	return mux;
}

void ash_mux_free(AshMux *mux)
{
	if (mux == NULL)
		return;
	for (size_t i = 0; i < ASH_MUX_MAX_STREAMS; i++) {
		if (mux->streams[i].is_used && mux->streams[i].fd >= 0)
			close(mux->streams[i].fd);
		free(mux->streams[i].waiting);
	}
	free(mux);
}

size_t ash_mux_wants(const AshMux *mux, struct pollfd *fds)
{
	bool has_room = out_waiting(mux) < OUT_FULL_BYTES;
	size_t n = 1;

	fds[0] = (struct pollfd){.fd = mux->port,
			.events = (short) (POLLIN | (out_waiting(mux) > 0 ? POLLOUT : 0))};
	for (size_t i = 0; i < ASH_MUX_MAX_STREAMS; i++) {
		const Stream *stream = &mux->streams[i];
		bool may_send = has_room && stream->credit > 0 && !stream->has_got_close;
		short events = (short) ((may_send ? POLLIN : 0) |
					(stream->waiting_size > 0 ? POLLOUT : 0));
		/* One that hung up would be told of again and again. */
		if (stream->is_used && stream->fd >= 0 && events != 0)
			fds[n++] = (struct pollfd){.fd = stream->fd, .events = events};
	}
	return n;
}

static void take_socket(AshMux *mux, const struct pollfd *polled)
{
	for (size_t i = 0; i < ASH_MUX_MAX_STREAMS; i++) {
		Stream *stream = &mux->streams[i];
		if (!stream->is_used || stream->fd != polled->fd)
			continue;
		if (polled->events & POLLOUT && polled->revents & (POLLOUT | POLLHUP | POLLERR))
			give_waiting(mux, stream);
		if (stream->fd >= 0 && polled->events & POLLIN &&
				polled->revents & (POLLIN | POLLHUP | POLLERR) &&
				out_waiting(mux) < OUT_FULL_BYTES)
			take_from(mux, stream);
		return;
	}
}

bool ash_mux_take(AshMux *mux, const struct pollfd *fds, size_t n)
{
	/* First the sockets: the port may open others with the same numbers. */
	for (size_t i = 1; i < n; i++)
		if (fds[i].revents != 0)
			take_socket(mux, &fds[i]);
	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR) && !take_port(mux))
		return false;
	flush(mux);
	return !mux->is_broken;
}
