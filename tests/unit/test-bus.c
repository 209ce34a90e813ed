/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

/* A bus of the test's own, and this program again as the server (argument "server"), so that each side
 * is a process as on a host.
 */

enum {
	STRANGER = 65534,
	BIG_BYTES = 1 << 20,
	PATIENCE_S = 60, /* how long a test waits for what has to come */
};

/* ---- processes ---- */

static void die_with_parent(gpointer data)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static GPid start_process(const char *const *argv, int *out_stdout)
{
	g_autoptr(GError) error = NULL;
	GPid pid = 0;

	g_spawn_async_with_pipes(NULL, (char **) (uintptr_t) argv, NULL,
			G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH, die_with_parent, NULL,
			&pid, NULL, out_stdout, NULL, &error);
	g_assert_no_error(error);
	return pid;
}

static GPid start_self(const char *verb, int *out_stdout)
{
	const char *argv[] = {"/proc/self/exe", verb, NULL};

	return start_process(argv, out_stdout);
}

static int end_process(GPid pid, int signal)
{
	int status = 0;

	if (signal != 0)
		kill(pid, signal);
	while (waitpid(pid, &status, 0) < 0)
		g_assert_cmpint(errno, ==, EINTR);
	return status;
}

static char *read_line(int fd)
{
	g_autoptr(GString) line = g_string_new(NULL);
	char c;

	while (read(fd, &c, 1) == 1 && c != '\n')
		g_string_append_c(line, c);
	return g_string_free(g_steal_pointer(&line), FALSE);
}

/* ---- the server ---- */

static AshBus *server_bus;
static char *server_state;

static gboolean server_method(
		const AshBusCall *call, gpointer data, char **out_json, GError **error)
{
	g_assert_cmpstr(data, ==, "data");
	if (strcmp(call->method, "GetStatus") == 0) {
		*out_json = g_strdup_printf("{\"uid\":%u}", call->uid);
	} else if (strcmp(call->method, "GetHistory") == 0) {
		*out_json = g_strconcat("limit ", call->text, NULL);
	} else if (strcmp(call->method, "Why") == 0) {
		*out_json = g_strnfill(BIG_BYTES, 'w');
	} else if (strcmp(call->method, "GetHealth") == 0) {
		*out_json = g_strdup("not UTF-8: \xff");
	} else if (strcmp(call->method, "Update") == 0) {
		g_free(server_state);
		server_state = g_strdup(call->text);
		ash_bus_changed(server_bus, "State");
		ash_bus_emit_event(server_bus, "{\"event\":\"offered\"}");
	} else if (strcmp(call->method, "Rollback") == 0) {
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_WRONG_STATE,
				"fetching: wait \x1b[31m");
	} else if (strcmp(call->method, "Pin") == 0) {
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_FOUND, "no such");
	} else if (strcmp(call->method, "Unpin") == 0) {
		return ash_throw(error, G_FILE_ERROR, G_FILE_ERROR_NOSPC, "disk full");
	} else if (strcmp(call->method, "OrderDone") == 0) {
		g_free(server_state);
		server_state = g_strdup_printf(
				"done %" G_GUINT64_FORMAT " %zu", call->id, strlen(call->text));
	} else if (strcmp(call->method, "OrderProgress") == 0) {
		g_free(server_state);
		server_state = g_strdup_printf("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
					       "/%" G_GUINT64_FORMAT,
				call->id, call->done, call->total);
	} else if (strcmp(call->method, "Check") == 0) {
		ash_bus_quit(server_bus);
	}
	return TRUE;
}

static char *server_property(const char *name, gpointer data)
{
	if (strcmp(name, "Order") == 0)
		return g_strnfill(BIG_BYTES, 'o');
	return g_strdup(server_state != NULL ? server_state : "idle");
}

static int server_main(void)
{
	g_autoptr(GError) error = NULL;
	char data[] = "data";

	gboolean ok = ash_bus_new(&server_bus, &error) &&
		      ash_bus_serve(server_bus, server_method, server_property, data, &error) &&
		      ash_bus_run(server_bus, &error);
	if (!ok)
		g_printerr("# server: %s\n", error->message);
	ash_bus_free(server_bus);
	g_free(server_state);
	return ok ? 0 : 1;
}

/* ---- a client that waits ---- */

typedef struct {
	AshBus *bus;
	GString *seen; /* what was called back, each in brackets */
	const char *until;
} Client;

static void client_seen(const char *value, gpointer data)
{
	Client *client = data;

	g_string_append_printf(client->seen, "[%s]", value != NULL ? value : "gone");
	if (client->until != NULL && strstr(client->seen->str, client->until) != NULL)
		ash_bus_quit(client->bus);
}

static void client_timeout(gpointer data)
{
	g_error("it did not come; so far: %s", ((Client *) data)->seen->str);
}

/* A new connection each time: a loop runs once. */
static void client_init(Client *client, const char *until)
{
	g_autoptr(GError) error = NULL;
	gboolean ok = ash_bus_new(&client->bus, &error) &&
		      ash_bus_set_timer(client->bus,
				      ash_bus_now_us() + (int64_t) PATIENCE_S * G_USEC_PER_SEC,
				      client_timeout, client, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	client->seen = g_string_new(NULL);
	client->until = until;
}

static void client_clear(Client *client)
{
	ash_bus_free(client->bus);
	g_string_free(client->seen, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Client, client_clear)

static void client_run(Client *client)
{
	g_autoptr(GError) error = NULL;
	gboolean ok = ash_bus_run(client->bus, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
}

/* Starts a server and waits until it has the name. */
static GPid start_server(void)
{
	g_auto(Client) client = {0};
	g_autoptr(GError) error = NULL;

	client_init(&client, "[]");
	gboolean ok = ash_bus_watch(client.bus, "State", client_seen, &client, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	GPid pid = start_self("server", NULL);
	client_run(&client);
	return pid;
}

static void assert_call(AshBus *bus, const char *method, const char *text, const char *wanted)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *answer = NULL;
	gboolean ok = ash_bus_call(bus, method, text, &answer, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	g_assert_cmpstr(answer, ==, wanted);
}

static void assert_fails(AshBus *bus, const char *method, const char *text, AshBusError code,
		const char *wanted)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *answer = NULL;

	g_assert_false(ash_bus_call(bus, method, text, &answer, &error));
	g_assert_error(error, ASH_BUS_ERROR, (int) code);
	g_assert_null(answer);
	if (!g_pattern_match_simple(wanted, error->message))
		g_error("wanted: %s, got: %s", wanted, error->message);
}

static void assert_property(AshBus *bus, const char *property, const char *wanted)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *value = NULL;
	gboolean ok = ash_bus_get_property(bus, property, &value, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	g_assert_cmpstr(value, ==, wanted);
}

/* ---- cases: the loop ---- */

static int64_t timer_due_us;

static void timer_quits(gpointer data)
{
	g_assert_cmpint(ash_bus_now_us(), >=, timer_due_us);
	ash_bus_quit(data);
}

static void timer_must_not_come(gpointer data)
{
	g_error("a timer came that was moved");
}

static void test_timer(void)
{
	g_autoptr(AshBus) bus = NULL;
	g_autoptr(GError) error = NULL;

	timer_due_us = ash_bus_now_us() + 20 * 1000;
	gboolean ok = ash_bus_new(&bus, &error) &&
		      ash_bus_set_timer(bus, 0, timer_must_not_come, NULL, &error) &&
		      ash_bus_set_timer(bus, INT64_MAX, timer_must_not_come, NULL, &error) &&
		      ash_bus_set_timer(bus, timer_due_us, timer_quits, bus, &error) &&
		      ash_bus_run(bus, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
}

static void test_signal_ends_loop(void)
{
	g_autoptr(AshBus) bus = NULL;
	g_autoptr(GError) error = NULL;
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	kill(getpid(), SIGTERM);
	gboolean ok = ash_bus_new(&bus, &error) && ash_bus_run(bus, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	sigprocmask(SIG_UNBLOCK, &term, NULL);
}

typedef struct {
	AshBus *bus;
	AshBusChild *child;
	GString *lines;
	bool kill_at_line;
	int status;
} ChildCase;

static void child_line(const char *line, gpointer data)
{
	ChildCase *c = data;

	if (strlen(line) > 1000)
		g_string_append_printf(c->lines, "[%zu]", strlen(line));
	else
		g_string_append_printf(c->lines, "[%s]", line);
	if (c->kill_at_line)
		ash_bus_child_kill(c->child);
}

static void child_exit(int wait_status, gpointer data)
{
	ChildCase *c = data;

	c->status = wait_status;
	ash_bus_quit(c->bus);
}

/* What the child said and how it ended: "[a][b] exit 0". */
static char *run_child(
		const char *const *argv, const char *input, size_t max_line_bytes, bool kills)
{
	g_autoptr(AshBus) bus = NULL;
	g_autoptr(GError) error = NULL;
	g_autoptr(GString) lines = g_string_new(NULL);
	ChildCase c = {.lines = lines, .kill_at_line = kills};

	gboolean ok = ash_bus_new(&bus, &error);
	c.bus = bus;
	ok = ok && ash_bus_spawn(bus, argv, input, max_line_bytes, child_line, child_exit, &c,
				   &c.child, &error);
	ok = ok && ash_bus_run(bus, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	g_string_append_printf(lines, " %s %d", WIFEXITED(c.status) ? "exit" : "signal",
			WIFEXITED(c.status) ? WEXITSTATUS(c.status) : WTERMSIG(c.status));
	return g_string_free(g_steal_pointer(&lines), FALSE);
}

#define SH(script)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		"/bin/sh", "-c", script, NULL                                                      \
	}

static void test_child(void)
{
	static const char *const cat[] = {"/bin/cat", NULL};
	static const struct {
		const char *name, *script, *input;
		size_t max_line_bytes;
		bool kills;
		const char *wanted;
	} cases[] = {
			{"lines", "cat", "a\n\nb\nc", 100, false, "[a][][b][c] exit 0"},
			{"no input", "cat", NULL, 100, false, " exit 0"},
			{"exit code", "echo x; exit 3", NULL, 100, false, "[x] exit 3"},
			{"signal", "kill -9 $$", NULL, 100, false, " signal 9"},
			{"just short enough", "echo 12345", NULL, 5, false, "[12345] exit 0"},
			{"long line", "echo ok; echo 123456; sleep 1000", NULL, 5, false,
					"[ok] signal 9"},
			{"line without end", "printf 123456; sleep 1000", NULL, 5, false,
					" signal 9"},
			{"NUL", "printf 'a\\000b\\n'; sleep 1000", NULL, 100, false, " signal 9"},
			{"killed by us", "printf 'a\\nb\\n'; sleep 1000", NULL, 100, true,
					"[a] signal 9"},
			{"environment", "echo ${SECRET-none}$HOME", NULL, 100, false,
					"[none/] exit 0"},
			{"descriptors", "ls /proc/self/fd | wc -l", NULL, 100, false, "[4] exit 0"},
			/* Its standard error is ours, which prove waits for. */
			{"who keeps the pipe is not waited for",
					"setsid sleep 20 2>/dev/null & echo a", NULL, 100, false,
					"[a] exit 0"},
	};

	g_setenv("SECRET", "secret", TRUE);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_test_message("%s", cases[i].name);
		g_autofree char *got = run_child(SH(cases[i].script), cases[i].input,
				cases[i].max_line_bytes, cases[i].kills);
		g_assert_cmpstr(got, ==, cases[i].wanted);
	}
	g_autofree char *big = g_strnfill(3 << 20, 'x');
	g_autofree char *got = run_child(cat, big, 4 << 20, false);
	g_assert_cmpstr(got, ==, "[3145728] exit 0");
}

static void test_child_missing(void)
{
	static const char *const argv[] = {"/nonexistent/program", NULL};
	g_autoptr(AshBus) bus = NULL;
	g_autoptr(GError) error = NULL;
	AshBusChild *child = NULL;

	g_assert_true(ash_bus_new(&bus, NULL));
	g_assert_false(ash_bus_spawn(
			bus, argv, NULL, 100, child_line, child_exit, NULL, &child, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
	g_assert_null(child);
}

/* The process of this number is gone, or will be soon. */
static void assert_ends(pid_t pid)
{
	ash_autofd int fd = (int) syscall(SYS_pidfd_open, pid, 0);
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	if (fd < 0)
		return;
	g_assert_cmpint(poll(&poll_fd, 1, PATIENCE_S * 1000), ==, 1);
}

static void spawner_line(const char *line, gpointer data)
{
	g_print("%s\n", line);
}

static void spawner_exit(int wait_status, gpointer data)
{
	g_error("the child ended");
}

/* As a process of its own: has a child with a child, prints the child's number, and waits. */
static int spawner_main(void)
{
	g_autoptr(AshBus) bus = NULL;
	AshBusChild *child = NULL;

	g_assert_true(ash_bus_new(&bus, NULL));
	g_assert_true(ash_bus_spawn(bus, SH("echo $$; exec sleep 1000"), NULL, 100, spawner_line,
			spawner_exit, NULL, &child, NULL));
	g_assert_true(ash_bus_run(bus, NULL));
	return 0;
}

static void test_child_dies_with_us(void)
{
	static const int signals[] = {SIGKILL, SIGTERM};

	for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
		int out = -1;
		GPid pid = start_self("spawner", &out);
		g_autofree char *line = read_line(out);
		pid_t child = (pid_t) g_ascii_strtoll(line, NULL, 10);
		g_assert_cmpint(child, >, 0);
		end_process(pid, signals[i]);
		assert_ends(child);
		close(out);
	}
}

/* ---- cases: the bus ---- */

static void test_calls(void)
{
	g_auto(Client) client = {0};
	GPid server = start_server();
	g_autofree char *root = g_strdup_printf("{\"uid\":%u}", (unsigned) getuid());
	g_autofree char *big_w = g_strnfill(BIG_BYTES, 'w');
	g_autofree char *big_o = g_strnfill(BIG_BYTES, 'o');

	client_init(&client, NULL);
	assert_call(client.bus, "GetStatus", NULL, root);
	assert_call(client.bus, "GetHistory", "12", "limit 12");
	assert_call(client.bus, "Why", NULL, big_w);
	assert_call(client.bus, "GetHealth", NULL, "not UTF-8: \xef\xbf\xbd");
	assert_property(client.bus, "State", "idle");
	assert_property(client.bus, "Order", big_o);
	/* A wrong signature, a wrong method. */
	assert_fails(client.bus, "GetStatus", "x", ASH_BUS_ERROR_REMOTE, "*Invalid*");
	assert_fails(client.bus, "Nonsense", NULL, ASH_BUS_ERROR_REMOTE, "*UnknownMethod*");
	assert_fails(client.bus, "GetHistory", "x", ASH_BUS_ERROR_INVALID_ARGUMENT, "*decimal*");
	g_autofree char *huge = g_strnfill(ASH_BUS_MAX_TEXT_BYTES + 1, 'h');
	assert_fails(client.bus, "GetHistory", huge, ASH_BUS_ERROR_INVALID_ARGUMENT, "*longer*");
	end_process(server, SIGTERM);
	assert_fails(client.bus, "GetStatus", NULL, ASH_BUS_ERROR_NOT_RUNNING, "*");
}

static void test_root_calls(void)
{
	g_auto(Client) client = {0};
	g_autoptr(GError) error = NULL;

	if (getuid() != 0) {
		g_test_skip("needs root");
		return;
	}
	GPid server = start_server();
	client_init(&client, NULL);
	/* Control characters must not reach a terminal. */
	assert_fails(client.bus, "Rollback", "", ASH_BUS_ERROR_WRONG_STATE, "fetching: wait ?[31m");
	assert_fails(client.bus, "Pin", "1", ASH_BUS_ERROR_NOT_FOUND, "no such");
	assert_fails(client.bus, "Unpin", "1", ASH_BUS_ERROR_REMOTE, "disk full");
	assert_call(client.bus, "Update", "", "");
	gboolean ok = ash_bus_call_order_progress(client.bus, 7, 8, UINT64_MAX, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	assert_property(client.bus, "State", "7 8/18446744073709551615");
	g_autofree char *fill = g_strnfill(ASH_BUS_MAX_ANSWER_BYTES - 1, '1');
	g_autofree char *result = g_strconcat("{", fill, NULL);
	ok = ash_bus_call_order_done(client.bus, UINT64_MAX, result, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	assert_property(client.bus, "State", "done 18446744073709551615 2097152");
	g_autofree char *longer = g_strconcat(result, "1", NULL);
	g_assert_false(ash_bus_call_order_done(client.bus, 1, longer, &error));
	g_assert_error(error, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT);
	end_process(server, SIGTERM);
}

static void test_watch(void)
{
	g_auto(Client) client = {0};
	g_auto(Client) caller = {0};
	g_autoptr(GError) error = NULL;

	if (getuid() != 0) {
		g_test_skip("needs root");
		return;
	}
	client_init(&client, "[gone][gone]");
	client_init(&caller, NULL);
	gboolean ok = ash_bus_watch(client.bus, "State", client_seen, &client, &error) &&
		      ash_bus_watch_events(client.bus, client_seen, &client, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	GPid server = start_server();
	assert_call(caller.bus, "Update", "ready", "");
	assert_call(caller.bus, "Update", "trial", "");
	assert_call(caller.bus, "Check", NULL, "");
	client_run(&client);
	g_assert_cmpstr(client.seen->str, ==,
			"[][][ready][{\"event\":\"offered\"}][trial][{\"event\":\"offered\"}]"
			"[gone][gone]");
	g_assert_cmpint(end_process(server, 0), ==, 0);
}

/* Signals as the server sends them, from another connection, to every connection there is. */
static void forge_signals(void)
{
	g_autoptr(GError) error = NULL;
	const char *address = g_getenv("DBUS_SYSTEM_BUS_ADDRESS");
	g_autoptr(GDBusConnection) connection = g_dbus_connection_new_for_address_sync(address,
			G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
					G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
			NULL, NULL, &error);
	g_assert_no_error(error);
	g_autoptr(GVariant) reply = g_dbus_connection_call_sync(connection, "org.freedesktop.DBus",
			"/org/freedesktop/DBus", "org.freedesktop.DBus", "ListNames", NULL, NULL,
			G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
	g_assert_no_error(error);
	g_autoptr(GVariant) list = g_variant_get_child_value(reply, 0);
	g_autofree const char **names = g_variant_get_strv(list, NULL);
	for (const char **name = names; *name != NULL; name++) {
		if (**name != ':')
			continue;
		g_dbus_connection_emit_signal(connection, *name, ASH_BUS_PATH,
				"org.freedesktop.DBus.Properties", "PropertiesChanged",
				g_variant_new_parsed("(%s, {'State': <'forged'>}, @as [])",
						ASH_BUS_INTERFACE),
				NULL);
		g_dbus_connection_emit_signal(connection, *name, ASH_BUS_PATH, ASH_BUS_INTERFACE,
				"Event", g_variant_new("(s)", "forged"), NULL);
		g_dbus_connection_emit_signal(connection, *name, "/org/freedesktop/DBus",
				"org.freedesktop.DBus", "NameOwnerChanged",
				g_variant_new("(sss)", ASH_BUS_NAME, "", "forged"), NULL);
	}
	g_dbus_connection_flush_sync(connection, NULL, NULL);
}

static void test_forged_signals(void)
{
	g_auto(Client) client = {0};
	g_autoptr(GError) error = NULL;
	GPid server = start_server();

	client_init(&client, "[gone]");
	gboolean ok = ash_bus_watch(client.bus, "State", client_seen, &client, &error) &&
		      ash_bus_watch_events(client.bus, client_seen, &client, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	forge_signals();
	end_process(server, SIGTERM);
	client_run(&client);
	g_assert_null(strstr(client.seen->str, "forged"));
	g_assert_cmpstr(client.seen->str, ==, "[gone][gone]");
}

/* As a process of its own, that gives root away. */
static int stranger_main(void)
{
	g_auto(Client) client = {0};

	client_init(&client, NULL);
	assert_call(client.bus, "GetStatus", NULL, "{\"uid\":65534}");
	assert_fails(client.bus, "Check", NULL, ASH_BUS_ERROR_DENIED, "*run it as root");
	assert_fails(client.bus, "Update", "", ASH_BUS_ERROR_DENIED, "*run it as root");
	assert_fails(client.bus, "Forgive", "all", ASH_BUS_ERROR_DENIED, "*run it as root");
	g_autoptr(GError) error = NULL;
	g_assert_false(ash_bus_call_order_done(client.bus, 1, "{}", &error));
	g_assert_error(error, ASH_BUS_ERROR, ASH_BUS_ERROR_DENIED);
	return 0;
}

static void test_stranger(void)
{
	if (getuid() != 0) {
		g_test_skip("needs root");
		return;
	}
	GPid server = start_server();
	pid_t pid = fork();
	if (pid == 0) {
		if (setresgid(STRANGER, STRANGER, STRANGER) == 0 &&
				setresuid(STRANGER, STRANGER, STRANGER) == 0)
			_exit(stranger_main());
		_exit(1);
	}
	g_assert_cmpint(end_process(pid, 0), ==, 0);
	end_process(server, SIGTERM);
}

static void test_second_server(void)
{
	g_auto(Client) client = {0};
	g_autofree char *root = g_strdup_printf("{\"uid\":%u}", (unsigned) getuid());
	GPid server = start_server();
	GPid second = start_self("server", NULL);

	g_assert_cmpint(WEXITSTATUS(end_process(second, 0)), ==, 1);
	/* Who answers is in its loop, where signals are heard. */
	client_init(&client, NULL);
	assert_call(client.bus, "GetStatus", NULL, root);
	g_assert_cmpint(end_process(server, SIGTERM), ==, 0);
}

static void test_no_bus(void)
{
	g_autoptr(AshBus) bus = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *address = g_strdup(g_getenv("DBUS_SYSTEM_BUS_ADDRESS"));

	g_setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", TRUE);
	g_assert_true(ash_bus_new(&bus, NULL));
	g_assert_false(ash_bus_connect(bus, &error));
	g_assert_error(error, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_RUNNING);
	g_setenv("DBUS_SYSTEM_BUS_ADDRESS", address, TRUE);
}

/* ---- the bus itself ---- */

static GPid start_bus(const char *dir, int *out_stdout)
{
	static const char config[] =
			"<!DOCTYPE busconfig PUBLIC '-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN'"
			" 'http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd'>\n"
			"<busconfig><listen>unix:path=%s/bus</listen>"
			"<auth>EXTERNAL</auth><policy context='default'><allow user='*'/>"
			"<allow own='*'/><allow send_type='method_call'/><allow send_type='signal'/>"
			"<allow send_requested_reply='true' send_type='method_return'/>"
			"<allow send_requested_reply='true' send_type='error'/>"
			"<allow receive_type='method_call'/><allow receive_type='signal'/>"
			"<allow receive_type='method_return'/><allow receive_type='error'/>"
			"</policy></busconfig>\n";
	g_autofree char *path = g_build_filename(dir, "bus.conf", NULL);
	g_autofree char *text = g_strdup_printf(config, dir);
	g_autofree char *option = g_strconcat("--config-file=", path, NULL);
	const char *argv[] = {"dbus-daemon", option, "--nofork", "--print-address=1", NULL};

	g_assert_true(g_file_set_contents(path, text, -1, NULL));
	g_assert_cmpint(chmod(dir, 0755), ==, 0);
	GPid pid = start_process(argv, out_stdout);
	g_autofree char *address = read_line(*out_stdout);
	g_assert_true(g_str_has_prefix(address, "unix:"));
	g_setenv("DBUS_SYSTEM_BUS_ADDRESS", address, TRUE);
	return pid;
}

static void test_bus_breaks(gconstpointer bus_pid)
{
	g_auto(Client) client = {0};
	g_autoptr(GError) error = NULL;
	GPid server = start_server();

	client_init(&client, NULL);
	g_assert_true(ash_bus_connect(client.bus, &error));
	assert_property(client.bus, "State", "idle");
	kill(GPOINTER_TO_INT(bus_pid), SIGKILL);
	/* So that systemd starts it again. */
	g_assert_cmpint(WEXITSTATUS(end_process(server, 0)), ==, 1);
	g_assert_false(ash_bus_run(client.bus, &error));
	g_assert_error(error, ASH_BUS_ERROR, ASH_BUS_ERROR_FAILED);
}

int main(int argc, char **argv)
{
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(GError) error = NULL;
	int bus_stdout = -1;

	if (argc > 1 && strcmp(argv[1], "server") == 0)
		return server_main();
	if (argc > 1 && strcmp(argv[1], "spawner") == 0)
		return spawner_main();
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/bus/timer", test_timer);
	g_test_add_func("/bus/signal-ends-loop", test_signal_ends_loop);
	g_test_add_func("/bus/child", test_child);
	g_test_add_func("/bus/child-missing", test_child_missing);
	g_test_add_func("/bus/child-dies-with-us", test_child_dies_with_us);
	g_autofree char *daemon = g_find_program_in_path("dbus-daemon");
	if (daemon == NULL)
		return g_test_run();
	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "ash-bus", &dir, &error));
	GPid bus = start_bus(dir->path, &bus_stdout);
	g_test_add_func("/bus/calls", test_calls);
	g_test_add_func("/bus/root-calls", test_root_calls);
	g_test_add_func("/bus/watch", test_watch);
	g_test_add_func("/bus/forged-signals", test_forged_signals);
	g_test_add_func("/bus/stranger", test_stranger);
	g_test_add_func("/bus/second-server", test_second_server);
	g_test_add_func("/bus/no-bus", test_no_bus);
	/* The last one: it ends the bus. */
	g_test_add_data_func("/bus/breaks", GINT_TO_POINTER(bus), test_bus_breaks);
	int result = g_test_run();
	end_process(bus, SIGKILL);
	close(bus_stdout);
	return result;
}
