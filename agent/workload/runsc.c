/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/runsc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/workload/enter.h"
#include "agent/workload/entry.h"
#include "agent/workload/filter.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/spawn.h"

enum {
	STATE_TIMEOUT_MS = 10 * 1000,
	MAX_STATE_BYTES = 1 << 20,
	MAX_STATE_DEPTH = 16,
};

#define PROGRAM "/usr/bin/runsc"

/* ---- config.json --------------------------------------------------------------------------------- */

static void add_process(JsonBuilder *builder, const AshLaunch *launch, uint64_t capabilities)
{
	static const char *const sets[] = {
			"bounding", "effective", "inheritable", "permitted", "ambient"};
	static char program[] = ASH_ENTER_IDLE_PATH, word[] = ASH_ENTER_IDLE_WORD;
	char *idle[] = {program, word, NULL};
	g_autoptr(GStrvBuilder) names = g_strv_builder_new();

	for (unsigned bit = 0; bit < 64; bit++) {
		g_autofree char *name = ash_entry_capability_name(bit);
		if (name != NULL && (capabilities & (UINT64_C(1) << bit)) != 0)
			g_strv_builder_add(names, name);
	}
	g_auto(GStrv) list = g_strv_builder_end(names);
	ash_json_begin_object(builder, "process");
	ash_json_begin_object(builder, "user");
	ash_json_add_uint(builder, "uid", launch->uid);
	ash_json_add_uint(builder, "gid", launch->gid);
	json_builder_end_object(builder);
	ash_json_add_texts(builder, "args", launch->is_idle ? idle : launch->command);
	ash_json_add_texts(builder, "env", launch->environment);
	ash_json_add_text(builder, "cwd", *launch->directory != '\0' ? launch->directory : "/");
	ash_json_begin_object(builder, "capabilities");
	for (size_t i = 0; i < G_N_ELEMENTS(sets); i++)
		ash_json_add_texts(builder, sets[i], list);
	json_builder_end_object(builder);
	ash_json_begin_array(builder, "rlimits");
	if (launch->descriptors != 0) {
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "type", "RLIMIT_NOFILE");
		ash_json_add_uint(builder, "hard", launch->descriptors);
		ash_json_add_uint(builder, "soft", launch->descriptors);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	ash_json_add_bool(builder, "noNewPrivileges", true);
	json_builder_end_object(builder);
}

static void add_mount(JsonBuilder *builder, const char *type, const char *source,
		const char *target, const char *options)
{
	g_auto(GStrv) list = g_strsplit(options, ",", -1);

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "destination", target);
	ash_json_add_text(builder, "type", type);
	ash_json_add_text(builder, "source", source);
	ash_json_add_texts(builder, "options", list);
	json_builder_end_object(builder);
}

static void add_mounts(JsonBuilder *builder, const AshLaunch *launch, const AshView *view)
{
	g_autofree char *tmp = g_strdup_printf("nosuid,nodev,mode=1777,size=%" G_GUINT64_FORMAT,
			MAX(launch->disk_bytes, 4096));

	ash_json_begin_array(builder, "mounts");
	add_mount(builder, "proc", "proc", "/proc", "nosuid,nodev,noexec");
	add_mount(builder, "tmpfs", "tmpfs", "/dev", "nosuid,mode=0755,size=64k");
	add_mount(builder, "sysfs", "sysfs", "/sys", "nosuid,nodev,noexec,ro");
	add_mount(builder, "tmpfs", "tmpfs", "/tmp", tmp);
	for (guint i = 0; i < view->binds->len; i++) {
		const AshLaunchBind *bind = view->binds->pdata[i];
		add_mount(builder, "bind", bind->source, bind->target,
				bind->is_read_only ? "bind,ro,nosuid,nodev"
						   : "bind,rw,nosuid,nodev");
	}
	json_builder_end_array(builder);
}

static void add_mapping(JsonBuilder *builder, const char *key, const AshLaunch *launch)
{
	ash_json_begin_array(builder, key);
	json_builder_begin_object(builder);
	ash_json_add_uint(builder, "containerID", 0);
	ash_json_add_uint(builder, "hostID", launch->uid_base);
	ash_json_add_uint(builder, "size", ASH_LAUNCH_UIDS);
	json_builder_end_object(builder);
	json_builder_end_array(builder);
}

static void add_seccomp(JsonBuilder *builder, const AshLaunch *launch)
{
	AshFilterPolicy policy = ash_entry_policy(launch);
	g_auto(GStrv) names = ash_filter_calls(&policy);

	ash_json_begin_object(builder, "seccomp");
	ash_json_add_text(builder, "defaultAction", "SCMP_ACT_ERRNO");
	ash_json_begin_array(builder, "syscalls");
	json_builder_begin_object(builder);
	ash_json_add_texts(builder, "names", names);
	ash_json_add_text(builder, "action", "SCMP_ACT_ALLOW");
	json_builder_end_object(builder);
	json_builder_end_array(builder);
	json_builder_end_object(builder);
}

static void add_linux(JsonBuilder *builder, const AshLaunch *launch)
{
	static const char *const namespaces[] = {"pid", "ipc", "uts", "mount", "user", "network"};
	bool is_host = strcmp(launch->netns, "host") == 0;

	ash_json_begin_object(builder, "linux");
	ash_json_begin_array(builder, "namespaces");
	for (size_t i = 0; i < G_N_ELEMENTS(namespaces); i++) {
		bool is_network = strcmp(namespaces[i], "network") == 0;
		if (is_network && is_host)
			continue;
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "type", namespaces[i]);
		if (is_network)
			ash_json_add_text(builder, "path", launch->netns);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	add_mapping(builder, "uidMappings", launch);
	add_mapping(builder, "gidMappings", launch);
	add_seccomp(builder, launch);
	json_builder_end_object(builder);
}

static gboolean check_grants(const AshLaunch *launch, GError **error)
{
	if (launch->devices[0] != NULL)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"device '%s' cannot be given to class userkernel: its kernel has no driver "
				"for it; use class container",
				launch->devices[0]);
	if (launch->is_recording)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"system calls are recorded in class container or sandbox");
	return TRUE;
}

char *ash_runsc_config(const AshLaunch *launch, const AshView *view, GError **error)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autofree char *name = ash_view_host_name(launch);
	uint64_t capabilities = 0;

	if (!check_grants(launch, error) || !ash_entry_capabilities(launch, &capabilities, error))
		return NULL;
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "ociVersion", "1.0.2");
	ash_json_add_text(builder, "hostname", name);
	ash_json_begin_object(builder, "root");
	ash_json_add_text(builder, "path", view->root);
	ash_json_add_bool(builder, "readonly", true);
	json_builder_end_object(builder);
	add_process(builder, launch, capabilities);
	add_mounts(builder, launch, view);
	add_linux(builder, launch);
	json_builder_end_object(builder);
	return ash_json_format(builder, true);
}

/* ---- the runtime --------------------------------------------------------------------------------- */

static char **make_argv(const AshLaunch *launch, const char *verb)
{
	const char *network = *launch->netns == '\0'               ? "none"
			      : strcmp(launch->netns, "host") == 0 ? "host"
								   : "sandbox";
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
	g_autofree char *state = g_strconcat("--root=", launch->dir, "/runsc", NULL);
	g_autofree char *net = g_strconcat("--network=", network, NULL);
	g_autofree char *bundle = g_strconcat("--bundle=", launch->dir, NULL);
	g_autofree char *name = ash_view_host_name(launch);

	/* Limits are of the unit that this runs in; no cgroups of its own. */
	g_strv_builder_add_many(argv, "runsc", state, net, "--ignore-cgroups", "--oci-seccomp",
			"--host-uds=open", NULL);
	g_strv_builder_add(argv, verb);
	if (strcmp(verb, "run") == 0)
		g_strv_builder_add(argv, bundle);
	g_strv_builder_add(argv, name);
	return g_strv_builder_end(argv);
}

static void become_runsc(char **argv) __attribute__((noreturn));
static void become_runsc(char **argv)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", home[] = "HOME=/";
	static char *const environment[] = {path, home, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	syscall(SYS_close_range, 3U, ~0U, 4U /* CLOEXEC */);
	execve(PROGRAM, argv, environment);
	_exit(ASH_LAUNCH_EXIT_RUNTIME);
}

/* runsc makes its input the property of the user that the sandbox runs as, also when that is the
 * host's /dev/null. So it gets one of its own, with nothing in it.
 */
static void take_empty_input(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0 || dup2(ends[0], STDIN_FILENO) < 0)
		_exit(ASH_LAUNCH_EXIT_RUNTIME);
}

gboolean ash_runsc_start(
		const AshLaunch *launch, const AshView *view, pid_t *out_pid, GError **error)
{
	g_autofree char *config = ash_runsc_config(launch, view, error);
	g_autofree char *path = g_build_filename(launch->dir, "config.json", NULL);
	g_auto(GStrv) argv = make_argv(launch, "run");

	if (config == NULL ||
			!ash_file_replace(AT_FDCWD, path, config, strlen(config), 0600, error))
		return FALSE;
	pid_t pid = fork();
	if (pid < 0)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME, "fork: %s",
				g_strerror(errno));
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
			_exit(ASH_LAUNCH_EXIT_RUNTIME);
		take_empty_input();
		become_runsc(argv);
	}
	*out_pid = pid;
	return TRUE;
}

bool ash_runsc_is_running(const AshLaunch *launch)
{
	g_auto(GStrv) argv = make_argv(launch, "state");
	const AshSpawn spawn = {.argv = (const char *const *) argv,
			.max_output_bytes = MAX_STATE_BYTES,
			.timeout_ms = STATE_TIMEOUT_MS};
	g_autoptr(GBytes) text = NULL;
	g_autoptr(JsonNode) root = NULL;

	if (!ash_spawn_run(&spawn, &text, NULL) ||
			!ash_json_parse(text, MAX_STATE_BYTES, MAX_STATE_DEPTH, &root, NULL))
		return false;
	return JSON_NODE_HOLDS_OBJECT(root) &&
	       g_strcmp0(ash_json_find_text(json_node_get_object(root), "status"), "running") == 0;
}

gboolean ash_runsc_exec(const AshLaunch *launch, char *const *command, char *const *environment,
		GError **error)
{
	g_auto(GStrv) head = make_argv(launch, "exec");
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
	g_autofree char *user = g_strdup_printf("--user=%u:%u", launch->uid, launch->gid);
	guint count = g_strv_length(head);

	for (guint i = 0; i + 1 < count; i++)
		g_strv_builder_add(argv, head[i]);
	g_strv_builder_add(argv, user);
	for (char *const *one = environment; one != NULL && *one != NULL; one++)
		g_strv_builder_add_many(argv, "--env", *one, NULL);
	g_strv_builder_add(argv, head[count - 1]);
	for (; *command != NULL; command++)
		g_strv_builder_add(argv, *command);
	g_auto(GStrv) all = g_strv_builder_end(argv);
	if (access(PROGRAM, X_OK) == 0)
		become_runsc(all);
	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME, "%s: %s", PROGRAM,
			g_strerror(errno));
}

void ash_runsc_signal(const AshLaunch *launch, int number)
{
	g_auto(GStrv) head = make_argv(launch, "kill");
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
	g_autofree char *text = g_strdup_printf("%d", number);

	for (char **arg = head; *arg != NULL; arg++)
		g_strv_builder_add(argv, *arg);
	g_strv_builder_add(argv, text);
	g_auto(GStrv) all = g_strv_builder_end(argv);
	pid_t pid = fork();
	if (pid == 0)
		become_runsc(all);
}

void ash_runsc_remove(const AshLaunch *launch)
{
	g_autofree char *state = g_build_filename(launch->dir, "runsc", NULL);
	g_autofree char *config = g_build_filename(launch->dir, "config.json", NULL);

	(void) !unlink(config);
	(void) !ash_file_remove_tree(AT_FDCWD, state, NULL);
}
