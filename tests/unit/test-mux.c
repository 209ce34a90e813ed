/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/mux.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Both sides in one process, over a socket pair for a port. */
typedef struct {
	AshMux *launcher, *guest;
	int ports[2];
	int opened[ASH_MUX_MAX_STREAMS]; /* our ends of what the other side opened */
	unsigned n_opened, n_beats;
	bool refuses;
} Pair;

static int on_open(void *data)
{
	Pair *pair = data;
	int fds[2];

	if (pair->refuses)
		return -1;
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==,
			0);
	pair->opened[pair->n_opened++] = fds[0];
	return fds[1];
}

static void on_beat(void *data)
{
	((Pair *) data)->n_beats++;
}

static void begin(Pair *pair)
{
	const AshMuxCalls calls = {on_open, on_beat, pair};

	*pair = (Pair){0};
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
					pair->ports),
			==, 0);
	pair->launcher = ash_mux_new(pair->ports[0], true, &calls);
	pair->guest = ash_mux_new(pair->ports[1], false, &calls);
}

static void end(Pair *pair)
{
	ash_mux_free(pair->launcher);
	ash_mux_free(pair->guest);
	for (unsigned i = 0; i < pair->n_opened; i++)
		close(pair->opened[i]);
	close(pair->ports[0]);
	close(pair->ports[1]);
}

static bool turn(AshMux *mux)
{
	struct pollfd fds[ASH_MUX_MAX_POLL];
	size_t n = ash_mux_wants(mux, fds);

	g_assert_cmpint(poll(fds, n, 0), >=, 0);
	return ash_mux_take(mux, fds, n);
}

static void settle(Pair *pair)
{
	for (int i = 0; i < 64; i++) {
		g_assert_true(turn(pair->launcher));
		g_assert_true(turn(pair->guest));
	}
}

static int open_stream(AshMux *mux)
{
	int fds[2];

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==,
			0);
	if (ash_mux_open(mux, fds[1]))
		return fds[0];
	close(fds[0]);
	return -1;
}

static void test_both_ways(void)
{
	Pair pair;
	char text[8] = "";

	begin(&pair);
	int call = open_stream(pair.guest);
	settle(&pair);
	g_assert_cmpuint(pair.n_opened, ==, 1);
	g_assert_cmpint(write(call, "there", 5), ==, 5);
	g_assert_cmpint(write(pair.opened[0], "back", 4), ==, 4);
	ash_mux_beat(pair.guest);
	settle(&pair);
	g_assert_cmpint(read(pair.opened[0], text, 5), ==, 5);
	g_assert_cmpstr(text, ==, "there");
	g_assert_cmpint(read(call, text, 4), ==, 4);
	g_assert_cmpuint(pair.n_beats, ==, 1);
	/* What was written before the end arrives before the end. */
	g_assert_cmpint(write(call, "last", 4), ==, 4);
	close(call);
	settle(&pair);
	g_assert_cmpint(read(pair.opened[0], text, 8), ==, 4);
	g_assert_cmpint(read(pair.opened[0], text, 8), ==, 0);
	end(&pair);
}

/* One that nobody reads stands still at its window; another goes on. */
static void test_one_stands_still(void)
{
	static char piece[32 << 10];
	Pair pair;
	size_t stuck = 0, through = 0;

	begin(&pair);
	int full = open_stream(pair.guest);
	settle(&pair);
	int other = open_stream(pair.guest);
	settle(&pair);
	for (int i = 0; i < 200; i++) {
		ssize_t n = write(full, piece, sizeof piece);
		stuck += n > 0 ? (size_t) n : 0;
		(void) !write(other, piece, sizeof piece);
		settle(&pair);
		while ((n = read(pair.opened[1], piece, sizeof piece)) > 0)
			through += (size_t) n;
	}
	g_assert_cmpuint(stuck, <, 2 << 20);
	g_assert_cmpuint(through, >, 4 << 20);
	/* Read at last, it goes on where it stood, and nothing was lost. */
	size_t arrived = 0;
	for (int i = 0; i < 400; i++) {
		for (ssize_t n; (n = read(pair.opened[0], piece, sizeof piece)) > 0;)
			arrived += (size_t) n;
		settle(&pair);
	}
	g_assert_cmpuint(arrived, ==, stuck);
	close(full);
	close(other);
	end(&pair);
}

static void test_many(void)
{
	Pair pair;
	int fds[ASH_MUX_MAX_STREAMS];
	unsigned n = 0;

	begin(&pair);
	for (int fd; n < ASH_MUX_MAX_STREAMS && (fd = open_stream(pair.launcher)) >= 0;)
		fds[n++] = fd;
	settle(&pair);
	g_assert_cmpuint(n, ==, ASH_MUX_MAX_STREAMS / 2);
	g_assert_cmpuint(pair.n_opened, ==, n);
	/* Their numbers are free again when both sides have closed them. */
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	settle(&pair);
	for (unsigned i = 0; i < pair.n_opened; i++)
		close(pair.opened[i]);
	pair.n_opened = 0;
	int fd = open_stream(pair.launcher);
	g_assert_cmpint(fd, >=, 0);
	settle(&pair);
	g_assert_cmpuint(pair.n_opened, ==, 1);
	/* Refused: the one who opened it sees its end. */
	pair.refuses = true;
	int refused = open_stream(pair.guest);
	settle(&pair);
	g_assert_cmpint(read(refused, &n, 1), ==, 0);
	close(refused);
	close(fd);
	end(&pair);
}

/* What breaks a rule ends the connection, and nothing else. */
static void test_rules(void)
{
	static const struct {
		const char *name;
		uint8_t frames[64];
		size_t size;
	} cases[] = {
			{"a kind that is none", {9, 0, 1, 0}, 8},
			{"a number of the launcher's", {1, 0, 2, 0}, 8},
			{"number 0", {1, 0, 0, 0}, 8},
			{"a number that is taken", {1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0}, 16},
			{"data that is too long", {2, 0, 1, 0, 1, 64, 0, 0}, 8},
			{"credit that was not used", {1, 0, 1, 0, 0, 0, 0, 0, 3, 0, 1, 0, 1}, 16},
			{"credit beyond all",
					{1, 0, 1, 0, 0, 0, 0, 0, 3, 0, 1, 0, 255, 255, 255, 255},
					16},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		Pair pair;
		bool goes_on = true;
		begin(&pair);
		g_test_message("%s", cases[i].name);
		g_assert_cmpint(write(pair.ports[1], cases[i].frames, cases[i].size), ==,
				(ssize_t) cases[i].size);
		for (int k = 0; k < 4 && goes_on; k++)
			goes_on = turn(pair.launcher);
		g_assert_false(goes_on);
		end(&pair);
	}
}

/* More than a window without credit for it. */
static void test_flood(void)
{
	static uint8_t frame[8 + ASH_MUX_MAX_DATA] = {2, 0, 1, 0, 0, 64, 0, 0};
	static const uint8_t open[8] = {1, 0, 1, 0};
	Pair pair;
	bool goes_on = true;

	begin(&pair);
	g_assert_cmpint(write(pair.ports[1], open, sizeof open), ==, 8);
	for (int i = 0; i < 100 && goes_on; i++) {
		(void) !write(pair.ports[1], frame, sizeof frame);
		goes_on = turn(pair.launcher);
	}
	g_assert_false(goes_on);
	end(&pair);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/mux/both-ways", test_both_ways);
	g_test_add_func("/mux/one-stands-still", test_one_stands_still);
	g_test_add_func("/mux/many", test_many);
	g_test_add_func("/mux/rules", test_rules);
	g_test_add_func("/mux/flood", test_flood);
	return g_test_run();
}
