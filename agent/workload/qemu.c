/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/workload/qemu-private.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	TAIL_BYTES = 2048, /* of what the guest's kernel and QEMU said, for a message */
	MAX_WORDS_BYTES = 4096,
	FIRST_OWN_FD = 200, /* above all that the child uses */
	OWN = 6,            /* descriptors that are waited for beside the channel's */
};

struct AshQemu {
	pid_t pid;
	AshMachineContract contract;
	bool is_booted;
	int control_fd, output_fd, serial_fd, monitor_fd, stderr_fd, channel_fd;
	AshQemuChannel *channel; /* NULL: a foreign kernel */
	void (*running)(gpointer data);
	gpointer running_data;
	GString *words;                /* from the control port, up to a newline */
	GString *serial, *stderr_text; /* tails */
	GString *events;               /* from the monitor, up to a newline */
	int exit_code;                 /* as the guest said; -1: it has not */
	bool was_reset;
	unsigned n_stops;
};

char *ash_qemu_program(const char *name)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *dir = g_path_get_dirname(self ? self : "/usr/lib/ashlar/ashlar-launch");

	return g_build_filename(dir, name, NULL);
}

/* ---- what it is started with ---- */

static void clear_disk(gpointer data)
{
	AshQemuDisk *disk = data;

	ash_close_fd(&disk->fd);
	g_free(disk->serial);
	g_free(disk->path);
}

static void clear_fd(gpointer data)
{
	ash_close_fd(data);
}

void ash_qemu_setup_init(AshQemuSetup *setup)
{
	*setup = (AshQemuSetup){
			.mac = "",
			.disks = g_array_new(FALSE, TRUE, sizeof(AshQemuDisk)),
			.module_fds = g_array_new(FALSE, FALSE, sizeof(int)),
			.kernel_fd = -1,
			.initrd_fd = -1,
			.tap_fd = -1,
			.control_fd = -1,
			.output_fd = -1,
			.serial_fd = -1,
			.monitor_fd = -1,
			.channel_fd = -1,
	};
	g_array_set_clear_func(setup->disks, clear_disk);
	g_array_set_clear_func(setup->module_fds, clear_fd);
}

void ash_qemu_setup_clear(AshQemuSetup *setup)
{
	g_array_unref(setup->disks);
	g_array_unref(setup->module_fds);
	g_free(setup->append);
	ash_close_fd(&setup->kernel_fd);
	ash_close_fd(&setup->initrd_fd);
	ash_close_fd(&setup->control_fd);
	ash_close_fd(&setup->output_fd);
	ash_close_fd(&setup->serial_fd);
	ash_close_fd(&setup->monitor_fd);
	ash_close_fd(&setup->channel_fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshQemuSetup, ash_qemu_setup_clear)

static gboolean add_root(const AshLaunch *launch, AshQemuSetup *setup, GError **error)
{
	AshQemuDisk root = {.is_read_only = true};

	if (!ash_qemu_disk_root(launch, &root.fd, error))
		return FALSE;
	root.serial = g_strdup("root");
	root.path = g_strdup("/");
	g_array_append_val(setup->disks, root);
	return TRUE;
}

static gboolean load(const AshLaunch *launch, AshIsolationClass effective, AshQemuSetup *setup,
		GError **error)
{
	setup->effective = effective;
	setup->contract = launch->machine.contract;
	setup->memory_bytes = launch->memory_bytes;
	setup->processors = MAX(1, (launch->cpu_milli + 999) / 1000);
	if (g_strcmp0(launch->netns, "host") == 0)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"network: host: a virtual machine has a network of its own: use nat, or run it as a container");
	if (launch->tap && launch->tap[0] != '\0')
		setup->mac = launch->mac;
	return add_root(launch, setup, error) && ash_qemu_disk_add(launch, setup, error) &&
	       ash_qemu_kernel_load(launch, setup, error);
}

/* ---- start ---- */

static gboolean lift(int *fd, GError **error)
{
	if (*fd < 0 || *fd >= FIRST_OWN_FD)
		return TRUE;
	int lifted = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_OWN_FD);
	if (lifted < 0)
		return ash_throw_errno(error, "descriptors");
	close(*fd);
	*fd = lifted;
	return TRUE;
}

static gboolean make_channel(int *out_ours, int *out_theirs, GError **error)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return ash_throw_errno(error, "socketpair");
	*out_ours = fds[0];
	*out_theirs = fds[1];
	return lift(out_ours, error) && lift(out_theirs, error);
}

static gboolean lift_all(AshQemuSetup *setup, GError **error)
{
	for (guint i = 0; i < setup->disks->len; i++)
		if (!lift(&g_array_index(setup->disks, AshQemuDisk, i).fd, error))
			return FALSE;
	for (guint i = 0; i < setup->module_fds->len; i++)
		if (!lift(&g_array_index(setup->module_fds, int, i), error))
			return FALSE;
	return lift(&setup->kernel_fd, error) && lift(&setup->initrd_fd, error);
}

static gid_t kvm_group(AshIsolationClass effective)
{
	struct stat info;

	return effective == ASH_ISOLATION_CLASS_VM && stat("/dev/kvm", &info) == 0 ? info.st_gid
										   : 0;
}

static gboolean spawn(AshQemu *qemu, const AshLaunch *launch, AshQemuSetup *setup, GError **error)
{
	g_autofree char *program = g_find_program_in_path(ASH_QEMU_PROGRAM);
	ash_autofd int theirs = -1;
	ash_autofd int netns = -1;

	if (!program)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				ASH_QEMU_PROGRAM
				" is not installed: this image has no layer for virtual machines");
	if (!make_channel(&qemu->stderr_fd, &theirs, error) || !lift_all(setup, error))
		return FALSE;
	if (launch->netns && launch->netns[0] != '\0') {
		netns = open(launch->netns, O_RDONLY | O_CLOEXEC);
		if (netns < 0)
			return ash_throw_errno(error, "%s", launch->netns);
		if (!lift(&netns, error))
			return FALSE;
	}
	g_auto(GStrv) argv = ash_qemu_arguments(setup);
	const AshQemuChild child = {
			.program = program,
			.argv = argv,
			.setup = setup,
			.netns_fd = netns,
			.tap = launch->tap ? launch->tap : "",
			.uid = launch->uid_base,
			.kvm_gid = kvm_group(setup->effective),
			.stderr_fd = theirs,
	};
	qemu->pid = fork();
	if (qemu->pid < 0)
		return ash_throw_errno(error, "fork");
	if (qemu->pid == 0)
		ash_qemu_child_run(&child);
	return TRUE;
}

static gboolean make_channels(AshQemu *qemu, AshQemuSetup *setup, GError **error)
{
	return make_channel(&qemu->control_fd, &setup->control_fd, error) &&
	       make_channel(&qemu->output_fd, &setup->output_fd, error) &&
	       make_channel(&qemu->serial_fd, &setup->serial_fd, error) &&
	       make_channel(&qemu->monitor_fd, &setup->monitor_fd, error) &&
	       make_channel(&qemu->channel_fd, &setup->channel_fd, error);
}

gboolean ash_qemu_start(const AshLaunch *launch, AshIsolationClass effective, AshQemu **out_qemu,
		GError **error)
{
	g_auto(AshQemuSetup) setup;
	g_autoptr(AshQemu) qemu = g_new0(AshQemu, 1);

	ash_qemu_setup_init(&setup);
	qemu->control_fd = qemu->output_fd = qemu->serial_fd = qemu->monitor_fd = -1;
	qemu->stderr_fd = qemu->channel_fd = -1;
	qemu->exit_code = -1;
	qemu->contract = launch->machine.contract;
	qemu->is_booted = launch->is_booted;
	qemu->words = g_string_new(NULL);
	qemu->serial = g_string_new(NULL);
	qemu->stderr_text = g_string_new(NULL);
	qemu->events = g_string_new(NULL);
	if (!load(launch, effective, &setup, error) || !make_channels(qemu, &setup, error) ||
			(qemu->contract == ASH_MACHINE_HOST_KERNEL &&
					!ash_qemu_channel_new(launch, qemu->channel_fd,
							&qemu->channel, error)) ||
			!spawn(qemu, launch, &setup, error))
		return FALSE;
	*out_qemu = g_steal_pointer(&qemu);
	return TRUE;
}

void ash_qemu_free(AshQemu *qemu)
{
	if (!qemu)
		return;
	if (qemu->pid > 0) {
		kill(qemu->pid, SIGKILL);
		waitpid(qemu->pid, NULL, 0);
	}
	ash_qemu_channel_free(qemu->channel);
	ash_close_fd(&qemu->channel_fd);
	ash_close_fd(&qemu->control_fd);
	ash_close_fd(&qemu->output_fd);
	ash_close_fd(&qemu->serial_fd);
	ash_close_fd(&qemu->monitor_fd);
	ash_close_fd(&qemu->stderr_fd);
	g_string_free(qemu->words, TRUE);
	g_string_free(qemu->serial, TRUE);
	g_string_free(qemu->stderr_text, TRUE);
	g_string_free(qemu->events, TRUE);
	g_free(qemu);
}

void ash_qemu_set_running(AshQemu *qemu, void (*running)(gpointer data), gpointer data)
{
	qemu->running = running;
	qemu->running_data = data;
}

pid_t ash_qemu_pid(const AshQemu *qemu)
{
	return qemu->pid;
}

gboolean ash_qemu_effective(
		const AshLaunch *launch, AshIsolationClass *out_effective, GError **error)
{
	g_autofree char *program = g_find_program_in_path(ASH_QEMU_PROGRAM);
	g_autofree char *why = NULL;

	if (!program)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"isolation: %s needs " ASH_QEMU_PROGRAM
				", which is not installed: add the layer for virtual machines to the host's image",
				ash_isolation_class_name(launch->isolation));
	if (launch->isolation == ASH_ISOLATION_CLASS_VM_EMULATED &&
			launch->at_least > ASH_ISOLATION_NONE)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"isolation: vm-emulated promises nothing, and '%s' is demanded at least",
				ash_isolation_strength_name(launch->at_least));
	if (launch->isolation == ASH_ISOLATION_CLASS_VM &&
			ash_kvm_probe(launch->cache, &why) != ASH_KVM_USABLE)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"isolation: vm needs a KVM that works, and this host has none: %s ('isolation: vm-emulated' runs it without any promise)",
				why);
	*out_effective = launch->isolation;
	return TRUE;
}

/* ---- until it has ended ---- */

static void keep_tail(GString *tail, const char *data, size_t size)
{
	g_string_append_len(tail, data, (gssize) size);
	if (tail->len > TAIL_BYTES)
		g_string_erase(tail, 0, (gssize) (tail->len - TAIL_BYTES));
}

static void tell_running(AshQemu *qemu)
{
	if (qemu->running)
		qemu->running(qemu->running_data);
	qemu->running = NULL;
}

static void take_word(AshQemu *qemu, const char *line)
{
	if (strcmp(line, "running") == 0)
		tell_running(qemu);
	if (g_str_has_prefix(line, "exit "))
		qemu->exit_code = (int) (strtol(line + strlen("exit "), NULL, 10) & 0xff);
}

/* The guest is believed in nothing but its own exit code. */
static void take_words(AshQemu *qemu, const char *data, size_t size)
{
	g_string_append_len(qemu->words, data, (gssize) size);
	for (char *end; (end = memchr(qemu->words->str, '\n', qemu->words->len));) {
		*end = '\0';
		take_word(qemu, qemu->words->str);
		g_string_erase(qemu->words, 0, end - qemu->words->str + 1);
	}
	if (qemu->words->len > MAX_WORDS_BYTES)
		g_string_truncate(qemu->words, 0);
}

static void write_out(const char *data, size_t size)
{
	/* Whoever does not read any more loses it; the guest goes on. */
	while (size > 0) {
		ssize_t n = write(STDOUT_FILENO, data, size);
		if (n < 0 && errno != EINTR)
			return;
		data += MAX(n, 0);
		size -= (size_t) MAX(n, 0);
	}
}

/* false: the other side is away. */
static bool take(AshQemu *qemu, int fd)
{
	char data[16 << 10];
	ssize_t size = read(fd, data, sizeof data);

	if (size <= 0)
		return size < 0 && errno == EINTR;
	if (fd == qemu->control_fd)
		take_words(qemu, data, (size_t) size);
	else if (fd == qemu->monitor_fd)
		qemu->was_reset |= ash_qemu_event_take(qemu->events, data, (size_t) size);
	else if (fd == qemu->stderr_fd)
		keep_tail(qemu->stderr_text, data, (size_t) size);
	else if (fd == qemu->output_fd)
		write_out(data, (size_t) size);
	else if (fd == qemu->serial_fd) {
		if (qemu->contract != ASH_MACHINE_HOST_KERNEL || qemu->is_booted)
			write_out(data, (size_t) size);
		keep_tail(qemu->serial, data, (size_t) size);
	}
	return true;
}

static void say(int fd, const char *text)
{
	(void) !send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void stop(AshQemu *qemu)
{
	if (qemu->n_stops++ > 0) {
		kill(qemu->pid, SIGKILL);
		return;
	}
	if (qemu->contract == ASH_MACHINE_HOST_KERNEL && !qemu->is_booted) {
		say(qemu->control_fd, "stop\n");
		return;
	}
	say(qemu->monitor_fd, "{\"execute\":\"system_powerdown\"}\n");
}

static void take_signals(AshQemu *qemu, int signal_fd)
{
	struct signalfd_siginfo info;

	while (read(signal_fd, &info, sizeof info) == sizeof info)
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			stop(qemu);
}

/* What was written before the end is still to be read. */
static void drain(AshQemu *qemu)
{
	int *const fds[] = {&qemu->control_fd, &qemu->output_fd, &qemu->serial_fd,
			&qemu->monitor_fd, &qemu->stderr_fd};

	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
		while (*fds[i] >= 0 && take(qemu, *fds[i]))
			;
}

static char *last_words(const AshQemu *qemu)
{
	const GString *said = qemu->stderr_text->len > 0 ? qemu->stderr_text : qemu->serial;
	g_autofree char *text = g_utf8_make_valid(said->str, (gssize) said->len);

	for (char *c = text; *c != '\0'; c++)
		if (g_ascii_iscntrl(*c))
			*c = ' ';
	g_strstrip(text);
	return text[0] != '\0' ? g_strdup_printf(": …%s", text) : g_strdup("");
}

/* A guest on the host's kernel says how it ended; another one by QEMU's exit code: 2 * CODE + 1 after
 * the debug port, 0 after power off, and after a reset, which is none. A 1 with words on stderr is QEMU's own.
 */
static gboolean judge(AshQemu *qemu, int status, int *out_code, GError **error)
{
	if (qemu->exit_code >= 0) {
		*out_code = qemu->exit_code;
		return TRUE;
	}
	if (WIFSIGNALED(status) && qemu->n_stops > 0) {
		*out_code = 128 + WTERMSIG(status);
		return TRUE;
	}
	bool is_clean = WIFEXITED(status) &&
			(WEXITSTATUS(status) != 1 || qemu->stderr_text->len == 0);
	bool says = qemu->contract == ASH_MACHINE_HOST_KERNEL && !qemu->is_booted;
	bool is_reset = WIFEXITED(status) && WEXITSTATUS(status) == 0 && qemu->was_reset;
	if (is_clean && !says && !is_reset) {
		*out_code = WEXITSTATUS(status) >> 1;
		return TRUE;
	}
	g_autofree char *words = last_words(qemu);
	if (is_reset && !says)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"the machine was reset: its kernel has fallen, or wants to be started again%s",
				words);
	if (WIFSIGNALED(status))
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"QEMU was ended by signal %d%s", WTERMSIG(status), words);
	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
			"the guest ended before its command did (QEMU ended with %d)%s",
			WEXITSTATUS(status), words);
}

gboolean ash_qemu_wait(AshQemu *qemu, int signal_fd, int *out_code, GError **error)
{
	int *const fds[OWN - 1] = {&qemu->control_fd, &qemu->output_fd, &qemu->serial_fd,
			&qemu->monitor_fd, &qemu->stderr_fd};
	int status;

	/* Before that QEMU tells nothing, and takes no other word. */
	say(qemu->monitor_fd, "{\"execute\":\"qmp_capabilities\"}\n");
	/* An init of its own, or a kernel, says nothing of itself. */
	if (qemu->contract != ASH_MACHINE_HOST_KERNEL || qemu->is_booted)
		tell_running(qemu);
	/* stderr has its end with QEMU itself, and so has every other channel. */
	for (bool is_there = true; is_there;) {
		struct pollfd polled[OWN + ASH_QEMU_CHANNEL_MAX_POLL] = {
				{.fd = signal_fd, .events = POLLIN}};
		size_t n = qemu->channel ? ash_qemu_channel_wants(qemu->channel, polled + OWN) : 0;
		for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
			polled[i + 1] = (struct pollfd){.fd = *fds[i], .events = POLLIN};
		if (poll(polled, OWN + n, -1) < 0 && errno != EINTR)
			return ash_throw_errno(error, "poll");
		if (polled[0].revents)
			take_signals(qemu, signal_fd);
		if (n > 0)
			ash_qemu_channel_take(qemu->channel, polled + OWN, n);
		for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
			if (polled[i + 1].revents && !take(qemu, *fds[i])) {
				is_there &= fds[i] != &qemu->stderr_fd;
				ash_close_fd(fds[i]);
			}
	}
	drain(qemu);
	if (waitpid(qemu->pid, &status, 0) < 0)
		return ash_throw_errno(error, "waitpid");
	qemu->pid = 0;
	return judge(qemu, status, out_code, error);
}
