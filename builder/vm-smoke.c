/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/vm-smoke.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-glib/json-glib.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/interrupt.h"
#include "lib/spawn.h"

enum {
	MAX_FAILED_UNITS = 256,
	/* How long QEMU may take to quit when it is asked to. */
	QUIT_MS = 5000,
	TIMEOUT_KVM_S = 180,
	TIMEOUT_TCG_S = 600,
};

/* One socket that QEMU connects to, read line by line. */
typedef struct {
	int listen_fd;
	int fd;
	GString *line;
	size_t max_line_bytes;
} Channel;

enum {
	CONSOLE,
	REPORT,
	MONITOR,
	N_CHANNELS,
};

typedef struct {
	const AshVmOptions *options;
	AshVm *vm;
	Channel channels[N_CHANNELS];
	GQueue console; /* char *: the last lines */
	int console_file;
	AshVmReport *report;
	bool is_over;
	/* QEMU is waited for by a thread, which closes its end of the pipe when QEMU is gone. */
	GThread *thread;
	int ended_read;
	int ended_write;
	GError *ended; /* of the thread; valid once it is joined */
	gint64 started_us;
	unsigned timeout_s;
} Watch;

void ash_vm_report_free(AshVmReport *report)
{
	if (report == NULL)
		return;
	g_free(report->reason);
	g_free(report->console);
	g_free(report->state);
	g_strfreev(report->failed);
	g_free(report);
}

static void watch_clear(Watch *watch)
{
	for (int i = 0; i < N_CHANNELS; i++) {
		ash_close_fd(&watch->channels[i].listen_fd);
		ash_close_fd(&watch->channels[i].fd);
		if (watch->channels[i].line != NULL)
			g_string_free(watch->channels[i].line, TRUE);
	}
	g_queue_clear_full(&watch->console, g_free);
	ash_close_fd(&watch->console_file);
	ash_close_fd(&watch->ended_read);
	ash_close_fd(&watch->ended_write);
	g_clear_error(&watch->ended);
	g_clear_pointer(&watch->report, ash_vm_report_free);
	g_clear_pointer(&watch->vm, ash_vm_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Watch, watch_clear)

/* ---- the guest's report -------------------------------------------------------------------- */

static const char *get_text(JsonNode *node)
{
	return node != NULL && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
}

static JsonNode *get_member(JsonNode *node, const char *name)
{
	return node != NULL && JSON_NODE_HOLDS_OBJECT(node)
			       ? json_object_get_member(json_node_get_object(node), name)
			       : NULL;
}

/* Element @index, or NULL. */
static JsonNode *get_element(JsonNode *node, guint index)
{
	if (node == NULL || !JSON_NODE_HOLDS_ARRAY(node))
		return NULL;
	JsonArray *array = json_node_get_array(node);
	return index < json_array_get_length(array) ? json_array_get_element(array, index) : NULL;
}

/* A unit is its name, an object with its name, or D-Bus's structure that begins with its name. */
static void take_failed(AshVmReport *report, JsonNode *list)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	JsonNode *unit;

	for (guint i = 0; i < MAX_FAILED_UNITS && (unit = get_element(list, i)) != NULL; i++) {
		const char *name = get_text(unit);
		if (name == NULL)
			name = get_text(get_member(unit, "unit"));
		if (name == NULL)
			name = get_text(get_element(unit, 0));
		if (name != NULL)
			g_strv_builder_add(builder, name);
	}
	g_strfreev(report->failed);
	report->failed = g_strv_builder_end(builder);
}

static void take_state(AshVmReport *report, JsonNode *state, JsonNode *boot, uint64_t per_ms)
{
	bool has_boot = boot != NULL && JSON_NODE_HOLDS_VALUE(boot);

	g_free(report->state);
	report->state = g_strdup(get_text(state));
	report->boot_ms = has_boot ? (uint64_t) MAX(json_node_get_int(boot), 0) / per_ms : 0;
}

static void judge(AshVmReport *report)
{
	g_autofree char *names =
			report->failed != NULL ? g_strjoinv(", ", report->failed) : g_strdup("");

	g_clear_pointer(&report->reason, g_free);
	if (*names != '\0')
		report->reason = g_strdup_printf("failed units: %s", names);
	else if (g_strcmp0(report->state, "running") != 0)
		report->reason = g_strdup_printf("the host is '%s', not 'running'",
				report->state != NULL ? report->state : "unknown");
	report->is_up = report->reason == NULL;
}

bool ash_vm_report_parse(const char *line, AshVmReport *report)
{
	g_autoptr(JsonParser) parser = json_parser_new();
	g_autoptr(GError) local = NULL;
	JsonNode *root = json_parser_load_from_data(parser, line, -1, &local)
					 ? json_parser_get_root(parser)
					 : NULL;
	const char *type = get_text(get_member(root, "type"));
	JsonNode *data = get_element(get_member(root, "data"), 0);

	if (g_strcmp0(type, "a(ssssssouso)") == 0) {
		take_failed(report, data);
		return false;
	}
	if (g_strcmp0(type, "a{sv}") == 0) {
		take_state(report, get_member(get_member(data, "SystemState"), "data"),
				get_member(get_member(data, "FinishTimestampMonotonic"), "data"),
				1000);
	} else if (root != NULL && JSON_NODE_HOLDS_OBJECT(root)) {
		take_failed(report, get_member(root, "failed"));
		take_state(report, get_member(root, "state"), get_member(root, "boot_ms"), 1);
	} else {
		g_free(report->reason);
		report->is_up = false;
		report->reason = g_strdup_printf(
				"the host's report is not understood: %.200s", line);
		return true;
	}
	judge(report);
	return true;
}

/* ---- the console --------------------------------------------------------------------------- */

/* Behind the escape sequence at @p: ESC [ … letter, ESC ] … BEL or ESC \, ESC and one more. */
static const char *skip_escape(const char *p)
{
	if (p[1] == '[') {
		for (p += 2; *p != '\0' && !g_ascii_isalpha(*p);)
			p++;
	} else if (p[1] == ']') {
		for (p += 2; *p != '\0' && *p != '\a' && *p != '\033';)
			p++;
		if (*p == '\033')
			p++;
	} else {
		p++;
	}
	return *p != '\0' ? p + 1 : p;
}

/* Without control characters and escape sequences. */
static char *plain_line(const char *text)
{
	g_autoptr(GString) plain = g_string_new(NULL);

	for (const char *p = text; *p != '\0';) {
		if (*p == '\033') {
			p = skip_escape(p);
			continue;
		}
		if ((unsigned char) *p >= ' ' || *p == '\t')
			g_string_append_c(plain, *p);
		p++;
	}
	return g_utf8_make_valid(plain->str, -1);
}

static void end_with(Watch *watch, char *take_reason)
{
	if (watch->is_over) {
		g_free(take_reason);
		return;
	}
	g_free(watch->report->reason);
	watch->report->reason = take_reason;
	watch->report->is_up = false;
	watch->is_over = true;
}

static void on_console_line(Watch *watch, const char *text)
{
	static const struct {
		const char *text;
		const char *reason;
	} ends[] = {
			{"Kernel panic - not syncing", "kernel panic"},
			{"You are in emergency mode", "the host fell into emergency mode"},
			{"Entering emergency mode", "the initramfs fell into emergency mode"},
	};
	char *line = plain_line(text);

	for (size_t i = 0; i < G_N_ELEMENTS(ends); i++)
		if (strstr(line, ends[i].text) != NULL)
			end_with(watch, g_strdup_printf("%s: %s", ends[i].reason, line));
	if (*line == '\0') {
		g_free(line);
		return;
	}
	g_queue_push_tail(&watch->console, line);
	if (watch->console.length > ASH_VM_CONSOLE_LINES)
		g_free(g_queue_pop_head(&watch->console));
}

static char *console_text(Watch *watch)
{
	GString *text = g_string_new(NULL);

	if (watch->channels[CONSOLE].line->len > 0)
		on_console_line(watch, watch->channels[CONSOLE].line->str);
	for (const GList *item = watch->console.head; item != NULL; item = item->next)
		g_string_append_printf(text, "%s\n", (const char *) item->data);
	return g_string_free(text, FALSE);
}

/* ---- channels ------------------------------------------------------------------------------ */

static gboolean channel_listen(Channel *channel, const char *dir, const char *name, GError **error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	g_autofree char *path = g_build_filename(dir, name, NULL);

	if (strlen(path) >= sizeof address.sun_path)
		return ash_throw(error, ASH_VM_ERROR, ASH_VM_ERROR_FAILED,
				"'%s' is too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path));
	channel->line = g_string_new(NULL);
	channel->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (channel->listen_fd < 0 ||
			bind(channel->listen_fd, (struct sockaddr *) &address, sizeof address) <
					0 ||
			listen(channel->listen_fd, 1) < 0)
		return ash_throw_errno(error, "%s", path);
	return TRUE;
}

static void on_line(Watch *watch, int which, const char *line)
{
	if (which == CONSOLE) {
		on_console_line(watch, line);
	} else if (which == REPORT && !watch->is_over) {
		watch->is_over = ash_vm_report_parse(line, watch->report);
	}
}

static void on_bytes(Watch *watch, int which, const char *bytes, size_t size)
{
	Channel *channel = &watch->channels[which];
	g_autoptr(GError) local = NULL;

	if (which == CONSOLE && watch->console_file >= 0 &&
			!ash_file_write_all(watch->console_file, bytes, size, &local)) {
		g_debug("the console is not kept any more: %s", local->message);
		ash_close_fd(&watch->console_file);
	}
	if (which == CONSOLE && watch->options->show_console)
		fwrite(bytes, 1, size, stderr);
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != '\n' && channel->line->len < channel->max_line_bytes) {
			g_string_append_c(channel->line, bytes[i]);
			continue;
		}
		on_line(watch, which, channel->line->str);
		g_string_truncate(channel->line, 0);
	}
}

static gboolean channel_ready(Watch *watch, int which, GError **error)
{
	Channel *channel = &watch->channels[which];
	char bytes[8192];

	if (channel->fd < 0) {
		channel->fd = accept4(channel->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (channel->fd < 0 && errno != EINTR && errno != ECONNABORTED)
			return ash_throw_errno(error, "accept");
		if (channel->fd >= 0)
			ash_close_fd(&channel->listen_fd);
		return TRUE;
	}
	ssize_t n = read(channel->fd, bytes, sizeof bytes);
	if (n > 0)
		on_bytes(watch, which, bytes, (size_t) n);
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		ash_close_fd(&channel->fd);
	return TRUE;
}

/* ---- QEMU ---------------------------------------------------------------------------------- */

static gpointer run_qemu(gpointer data)
{
	Watch *watch = data;
	AshSpawn spawn = {
			.argv = (const char *const *) watch->vm->argv,
			/* Our own deadline comes first; this one is for the case that we hang. */
			.timeout_ms = (watch->timeout_s + 60) * 1000,
	};

	if (!ash_spawn_run(&spawn, NULL, &watch->ended))
		g_debug("QEMU: %s", watch->ended->message);
	ash_close_fd(&watch->ended_write);
	return NULL;
}

static bool wait_for_end(Watch *watch, int timeout_ms)
{
	struct pollfd fd = {.fd = watch->ended_read, .events = POLLIN};

	return poll(&fd, 1, timeout_ms) > 0;
}

static void kill_qemu(Watch *watch)
{
	g_autofree char *path = g_build_filename(watch->vm->scratch->path, "pid", NULL);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_file_read(AT_FDCWD, path, 64, &text, &local)) {
		g_debug("no process to end: %s", local->message);
		return;
	}
	long pid = strtol(g_bytes_get_data(text, NULL), NULL, 10);
	if (pid > 1)
		kill((pid_t) pid, SIGKILL);
}

/* It writes its overlay to a file that is gone already, so nothing is lost by ending it at once. */
static void stop_qemu(Watch *watch)
{
	static const char quit[] = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"quit\"}\n";
	int fd = watch->channels[MONITOR].fd;

	if (watch->thread == NULL)
		return;
	bool is_asked = fd >= 0 && send(fd, quit, strlen(quit), MSG_NOSIGNAL) > 0;
	if (!is_asked || !wait_for_end(watch, QUIT_MS))
		kill_qemu(watch);
	g_thread_join(g_steal_pointer(&watch->thread));
}

static gboolean wait_step(Watch *watch, gint64 deadline_us, GError **error)
{
	struct pollfd fds[N_CHANNELS + 2] = {
			[N_CHANNELS] = {.fd = watch->ended_read, .events = POLLIN},
			[N_CHANNELS + 1] = {.fd = ash_interrupt_fd(), .events = POLLIN},
	};
	gint64 left_us = deadline_us - g_get_monotonic_time();

	for (int i = 0; i < N_CHANNELS; i++) {
		const Channel *channel = &watch->channels[i];
		fds[i] = (struct pollfd){.fd = channel->fd >= 0 ? channel->fd : channel->listen_fd,
				.events = POLLIN};
	}
	int ready = left_us <= 0 ? 0 : poll(fds, G_N_ELEMENTS(fds), (int) (left_us / 1000) + 1);
	if (ready < 0 && errno != EINTR)
		return ash_throw_errno(error, "poll");
	if (!ash_interrupt_check(error))
		return FALSE;
	if (ready == 0)
		end_with(watch, g_strdup_printf("no word from the host within %u s",
						watch->timeout_s));
	bool has_data = false;
	for (int i = 0; ready > 0 && i < N_CHANNELS; i++) {
		if (fds[i].revents == 0)
			continue;
		has_data = true;
		if (!channel_ready(watch, i, error))
			return FALSE;
	}
	if (ready > 0 && !has_data && fds[N_CHANNELS].revents != 0)
		end_with(watch, g_strdup("QEMU ended before the host was up"));
	return TRUE;
}

static gboolean open_watch(Watch *watch, GError **error)
{
	static const char *const names[] = {
			[CONSOLE] = "console", [REPORT] = "report", [MONITOR] = "monitor"};
	const char *path = watch->options->console_file;
	int fds[2];

	for (int i = 0; i < N_CHANNELS; i++) {
		watch->channels[i].max_line_bytes =
				i == CONSOLE ? ASH_VM_MAX_LINE_BYTES : ASH_VM_MAX_REPORT_BYTES;
		if (!channel_listen(&watch->channels[i], watch->vm->scratch->path, names[i], error))
			return FALSE;
	}
	if (pipe2(fds, O_CLOEXEC) < 0)
		return ash_throw_errno(error, "pipe");
	watch->ended_read = fds[0];
	watch->ended_write = fds[1];
	if (path == NULL)
		return TRUE;
	watch->console_file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return watch->console_file >= 0 ? TRUE : ash_throw_errno(error, "%s", path);
}

static gboolean watch_until_over(Watch *watch, GError **error)
{
	gint64 deadline_us = watch->started_us + (gint64) watch->timeout_s * 1000000;

	while (!watch->is_over)
		if (!wait_step(watch, deadline_us, error))
			return FALSE;
	return TRUE;
}

gboolean ash_vm_smoke(const AshVmOptions *options, AshVmReport **out_report, GError **error)
{
	g_auto(Watch) watch = {.options = options,
			.console_file = -1,
			.ended_read = -1,
			.ended_write = -1,
			.console = G_QUEUE_INIT};

	for (int i = 0; i < N_CHANNELS; i++)
		watch.channels[i].listen_fd = watch.channels[i].fd = -1;
	watch.report = g_new0(AshVmReport, 1);
	if (!ash_vm_prepare(options, true, &watch.vm, error) || !open_watch(&watch, error))
		return FALSE;
	watch.report->has_kvm = watch.vm->has_kvm;
	watch.timeout_s = options->timeout_s != 0 ? options->timeout_s
			  : watch.vm->has_kvm     ? TIMEOUT_KVM_S
						  : TIMEOUT_TCG_S;
	watch.started_us = g_get_monotonic_time();
	watch.thread = g_thread_new("qemu", run_qemu, &watch);
	gboolean ok = watch_until_over(&watch, error);
	stop_qemu(&watch);
	if (!ok)
		return FALSE;
	AshVmReport *report = watch.report;
	report->wall_ms = (uint64_t) (g_get_monotonic_time() - watch.started_us) / 1000;
	/* It says why, when it could not even begin. */
	if (report->state == NULL && watch.ended != NULL && watch.console.length == 0)
		return ash_throw(error, ASH_VM_ERROR, ASH_VM_ERROR_FAILED, "%s",
				watch.ended->message);
	if (!report->is_up)
		report->console = console_text(&watch);
	*out_report = g_steal_pointer(&watch.report);
	return TRUE;
}
