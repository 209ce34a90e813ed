/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/workload/broker.h"
#include "agent/workload/call-frame.h"
#include "lib/auto.h"
#include "lib/error.h"

/* One call in a process of its own: what it leaks or breaks is gone with it. */

enum {
	PIECE_BYTES = 32 << 10,
	LOOK_MS = 60000, /* at the time limit */
	LAST_FRAME_MS = 10000,
	MAX_OUT_BYTES = 256 << 10, /* that the caller has not taken: nothing more is read */
};

typedef struct {
	const AshBrokerPlaces *places;
	const GPtrArray *instances;
	const AshBrokerInstance *caller;
	int fd; /* the connection */
	GByteArray *in, *out;
	size_t given; /* of the first frame of `in` */
	pid_t pid;
	int input, output, errors; /* of the program; -1: closed */
} Call;

/* ---- frames over the connection ---- */

/* As much as the caller takes now. false: it is away. */
static bool flush(Call *call)
{
	guint at = 0;

	while (at < call->out->len) {
		ssize_t n = send(call->fd, call->out->data + at, call->out->len - at,
				MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0 && errno != EINTR)
			return false;
		at += (guint) MAX(n, 0);
	}
	g_byte_array_remove_range(call->out, 0, at);
	return true;
}

static void add_frame(Call *call, AshCallFrameKind kind, const void *data, size_t size)
{
	ash_call_frame_add(call->out, kind, data, size);
}

/* All of it, for a caller that reads. */
static bool flush_all(Call *call)
{
	while (flush(call) && call->out->len > 0) {
		struct pollfd polled = {.fd = call->fd, .events = POLLOUT};
		if (poll(&polled, 1, LAST_FRAME_MS) <= 0)
			return false;
	}
	return call->out->len == 0;
}

static bool receive(Call *call)
{
	guint8 data[PIECE_BYTES];
	ssize_t n = recv(call->fd, data, sizeof data, 0);

	if (n > 0)
		g_byte_array_append(call->in, data, (guint) n);
	return n > 0 || (n < 0 && errno == EINTR);
}

/* The first frame, within a few seconds: a connection that says nothing is nothing. */
static gboolean receive_first(Call *call, AshCallFrame *out_frame, GError **error)
{
	gint64 deadline =
			g_get_monotonic_time() + (gint64) ASH_BROKER_FIRST_FRAME_S * G_USEC_PER_SEC;

	for (;;) {
		AshCallFrameState state =
				ash_call_frame_take(call->in->data, call->in->len, out_frame);
		if (state == ASH_CALL_FRAME_WHOLE)
			return TRUE;
		gint64 left_ms = (deadline - g_get_monotonic_time()) / 1000;
		struct pollfd polled = {.fd = call->fd, .events = POLLIN};
		if (state == ASH_CALL_FRAME_WRONG)
			return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED,
					"that is no frame");
		if (left_ms <= 0 || poll(&polled, 1, (int) left_ms) <= 0 || !receive(call))
			return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED,
					"no call came");
	}
}

/* ---- may it be? ---- */

static bool requires(const AshBrokerInstance *instance, const char *service)
{
	return g_strv_contains((const char *const *) instance->requires, service);
}

static gboolean decide(Call *call, const AshCallQuestion *question, const char **out_target,
		GPtrArray **out_rules, GError **error)
{
	const AshCallRule *rule;
	bool may = false;

	if (!ash_call_policy_load(call->places->root, out_rules, error))
		return FALSE;
	AshCallVerdict verdict = ash_call_policy_decide(*out_rules, question, out_target, &rule);
	if (verdict == ASH_CALL_ASK) {
		add_frame(call, ASH_CALL_FRAME_PENDING, NULL, 0);
		if (!flush_all(call) || !ash_broker_ask(call->places->root, question, *out_target,
							call->fd, &may, error))
			return FALSE;
		verdict = may ? ASH_CALL_ALLOW : ASH_CALL_DENY;
	}
	g_message("call %s+%s of %s to %s: %s", question->service, question->argument,
			question->source,
			*out_target           ? *out_target
			: question->target[0] ? question->target
					      : "nobody",
			ash_call_verdict_name(verdict));
	/* Which rule it was is the owner's business, not the caller's. */
	return verdict == ASH_CALL_ALLOW
			       ? TRUE
			       : ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED,
						 "%s may not call %s", question->source,
						 question->service);
}

/* ---- the program ---- */

static char *const *command_of(const AshBrokerInstance *provider, const char *service)
{
	for (guint i = 0; i < provider->provides->len; i++) {
		const AshBrokerService *one = provider->provides->pdata[i];
		if (strcmp(one->name, service) == 0)
			return one->argv;
	}
	g_assert_not_reached();
}

static GPtrArray *arguments(const Call *call, const AshCallQuestion *question, const char *dir,
		char *const *command)
{
	GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

	g_ptr_array_add(argv, g_strdup(call->places->launch));
	g_ptr_array_add(argv, g_strdup("exec"));
	g_ptr_array_add(argv, g_strdup_printf("--setenv=ASHLAR_CALLER=%s", question->source));
	g_ptr_array_add(argv, g_strdup_printf("--setenv=ASHLAR_SERVICE=%s", question->service));
	g_ptr_array_add(argv, g_strdup_printf("--setenv=ASHLAR_ARGUMENT=%s", question->argument));
	g_ptr_array_add(argv, g_strdup(dir));
	g_ptr_array_add(argv, g_strdup("--"));
	for (; *command; command++)
		g_ptr_array_add(argv, g_strdup(*command));
	g_ptr_array_add(argv, NULL);
	return argv;
}

static gboolean start(Call *call, GPtrArray *argv, GError **error)
{
	int pipes[3][2];

	for (size_t i = 0; i < 3; i++)
		if (pipe2(pipes[i], O_CLOEXEC) < 0)
			return ash_throw_errno(error, "pipe");
	call->pid = fork();
	if (call->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(pipes[0][0], 0);
		dup2(pipes[1][1], 1);
		dup2(pipes[2][1], 2);
		execv(argv->pdata[0], (char **) argv->pdata);
		_exit(127);
	}
	close(pipes[0][0]);
	close(pipes[1][1]);
	close(pipes[2][1]);
	call->input = pipes[0][1];
	fcntl(call->input, F_SETFL, O_NONBLOCK);
	call->output = pipes[1][0];
	call->errors = pipes[2][0];
	return call->pid > 0 ? TRUE : ash_throw_errno(error, "fork");
}

/* ---- both ways ---- */

static void take_output(Call *call, int *fd, AshCallFrameKind kind)
{
	guint8 data[PIECE_BYTES];
	ssize_t n = read(*fd, data, sizeof data);

	if (n < 0 && errno == EINTR)
		return;
	/* An empty frame is its end. */
	add_frame(call, kind, data, (size_t) MAX(n, 0));
	if (n <= 0)
		ash_close_fd(fd);
}

/* The frame of input that `in` begins with, if it is all there. Anything but DATA ends the call. */
static bool find_input(Call *call, AshCallFrame *out_frame)
{
	AshCallFrameState state = ash_call_frame_take(call->in->data, call->in->len, out_frame);

	if (call->input < 0 || state == ASH_CALL_FRAME_MORE)
		return false;
	if (state == ASH_CALL_FRAME_WHOLE && out_frame->kind == ASH_CALL_FRAME_DATA)
		return true;
	kill(call->pid, SIGTERM);
	ash_close_fd(&call->input);
	return false;
}

/* As much as the pipe takes now: the program may be waiting for us to read what it writes. */
static void give_input(Call *call)
{
	AshCallFrame frame;

	while (find_input(call, &frame)) {
		if (frame.size == 0)
			ash_close_fd(&call->input);
		while (call->given < frame.size && call->input >= 0) {
			ssize_t n = write(call->input, frame.data + call->given,
					frame.size - call->given);
			if (n < 0 && errno == EAGAIN)
				return;
			if (n < 0 && errno != EINTR)
				ash_close_fd(&call->input);
			call->given += (size_t) MAX(n, 0);
		}
		call->given = 0;
		g_byte_array_remove_range(
				call->in, 0, (guint) (ASH_CALL_FRAME_HEADER_BYTES + frame.size));
	}
}

/* false: the caller is away. */
static bool wait_once(Call *call, bool is_caller_there)
{
	AshCallFrame frame;
	bool has_input = find_input(call, &frame);
	/* What one side does not take yet is not read from the other either. */
	bool takes_output = call->out->len < MAX_OUT_BYTES;
	short events = (short) ((has_input ? 0 : POLLIN) | (call->out->len > 0 ? POLLOUT : 0));
	struct pollfd fds[] = {
			{.fd = is_caller_there ? call->fd : -1, .events = events},
			{.fd = takes_output ? call->output : -1, .events = POLLIN},
			{.fd = takes_output ? call->errors : -1, .events = POLLIN},
			{.fd = has_input ? call->input : -1, .events = POLLOUT},
	};

	if (poll(fds, G_N_ELEMENTS(fds), LOOK_MS) < 0 && errno != EINTR)
		return false;
	if (fds[1].revents)
		take_output(call, &call->output, ASH_CALL_FRAME_DATA);
	if (fds[2].revents)
		take_output(call, &call->errors, ASH_CALL_FRAME_ERROR_DATA);
	if (fds[0].revents & POLLIN && !receive(call))
		is_caller_there = false;
	give_input(call);
	if (!is_caller_there)
		g_byte_array_set_size(call->out, 0);
	return is_caller_there && !(fds[0].revents & (POLLHUP | POLLERR)) && flush(call);
}

static void carry(Call *call)
{
	gint64 deadline = g_get_monotonic_time() + (gint64) ASH_BROKER_CALL_S * G_USEC_PER_SEC;
	bool is_caller_there = true;

	while (call->output >= 0 || call->errors >= 0) {
		bool is_there = wait_once(call, is_caller_there);
		if (is_caller_there && !is_there)
			/* Nobody is there to read the answer. */
			kill(call->pid, SIGTERM);
		is_caller_there = is_there;
		if (g_get_monotonic_time() > deadline)
			kill(call->pid, SIGKILL);
	}
}

static void finish(Call *call)
{
	int status = 0;

	ash_close_fd(&call->input);
	waitpid(call->pid, &status, 0);
	uint32_t code = (uint32_t) (WIFEXITED(status) ? WEXITSTATUS(status)
						      : 128 + WTERMSIG(status));
	guint8 bytes[] = {(guint8) code, 0, 0, 0};
	add_frame(call, ASH_CALL_FRAME_EXIT, bytes, sizeof bytes);
}

static gboolean serve(Call *call, GError **error)
{
	g_autoptr(GPtrArray) rules = NULL;
	g_autofree char *dir = NULL;
	AshCallFrame frame;
	AshCallQuestion question = {.source = call->caller->workload};
	const char *target;

	if (!receive_first(call, &frame, error))
		return FALSE;
	if (!ash_call_frame_read_call(
			    &frame, &question.service, &question.argument, &question.target))
		return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED,
				"the first frame is no call");
	g_autofree char *service = g_strdup(question.service);
	g_autofree char *argument = g_strdup(question.argument);
	g_autofree char *wanted = g_strdup(question.target);
	question = (AshCallQuestion){service, argument, call->caller->workload, wanted};
	g_byte_array_remove_range(call->in, 0, (guint) (ASH_CALL_FRAME_HEADER_BYTES + frame.size));
	if (!requires(call->caller, service))
		return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED,
				"%s does not say that it requires %s", question.source, service);
	if (!decide(call, &question, &target, &rules, error))
		return FALSE;
	const AshBrokerInstance *provider = ash_broker_table_find(call->instances, target, service);
	if (!provider)
		return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED,
				"%s does not run, or does not provide %s", target, service);
	dir = g_strconcat(call->places->root, provider->dir, NULL);
	if (provider->is_disposable) {
		g_clear_pointer(&dir, g_free);
		if (!ash_broker_begin(call->places->root, provider, call->fd, &dir, error))
			return FALSE;
	}
	g_autoptr(GPtrArray) argv = arguments(call, &question, dir, command_of(provider, service));
	if (!start(call, argv, error))
		return FALSE;
	carry(call);
	finish(call);
	return TRUE;
}

void ash_broker_serve_call(const AshBrokerPlaces *places, const GPtrArray *instances,
		const AshBrokerInstance *caller, int fd)
{
	g_autoptr(GError) error = NULL;
	Call call = {
			.places = places,
			.instances = instances,
			.caller = caller,
			.fd = fd,
			.in = g_byte_array_new(),
			.out = g_byte_array_new(),
			.input = -1,
			.output = -1,
			.errors = -1,
	};

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	if (!serve(&call, &error)) {
		/* What is wrong with the host is for its log alone. */
		const char *text = error->domain == ASH_BROKER_ERROR
						   ? error->message
						   : "the host could not carry the call";
		g_message("call of %s: %s", caller->instance, error->message);
		add_frame(&call, ASH_CALL_FRAME_REFUSED, text, strlen(text));
	}
	if (!flush_all(&call))
		g_message("call of %s: nobody read its end", caller->instance);
	g_byte_array_unref(call.in);
	g_byte_array_unref(call.out);
	close(fd);
}
