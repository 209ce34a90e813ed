/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/health-run.h"
#include "agent/workload/workloadd.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/yaml.h"

/* Is it well? Its checks by agent/health.h, its heartbeat, and the deadline of its start. */

enum {
	MAX_LINE = 4096,
	MAX_BEATS_OF_ROUND = 64,
	BEATS = 2,        /* so many times `every` without one is a hang */
	GRACE_MS = 2000,  /* what a check may take beyond its own time */
	TIMEOUT_WORD = 2, /* of ash_health_argv: what follows is said to a machine */
};

typedef struct {
	AshRun *run;
	char *name; /* of the check */
	AshHealthCheck spec;
	AshBusChild *child;
	char *line;
	int64_t until_us;
	bool is_late;
} AshUnitCheck;

/* ---- one check ---- */

static void check_free(AshUnitCheck *check)
{
	g_free(check->name);
	g_free(check->line);
	g_free(check);
}

static int find_check(const AshRun *run, const char *name)
{
	for (guint i = 0; run->health != NULL && i < ash_health_count(run->health); i++)
		if (strcmp(ash_health_get(run->health, i)->spec->name, name) == 0)
			return (int) i;
	return -1;
}

static void on_check_line(const char *line, gpointer data)
{
	AshUnitCheck *check = data;

	if (check->line == NULL)
		check->line = g_strdup(line);
}

static void on_check_exit(int status, gpointer data)
{
	AshUnitCheck *check = data;
	AshRun *run = check->run; /* NULL: nobody wants to know any more */
	const char *line = check->line != NULL ? check->line : "";
	const char *result = check->is_late             ? "timeout"
			     : !WIFEXITED(status)       ? "signal"
			     : WEXITSTATUS(status) == 0 ? "success"
							: "exit-code";
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
	g_autofree char *text = NULL;

	if (run == NULL) {
		check_free(check);
		return;
	}
	int index = find_check(run, check->name);
	if (index >= 0) {
		const AshHealthCheck *spec = ash_health_get(run->health, (guint) index)->spec;
		bool is_passing = ash_health_judge(spec, result, code, line, strlen(line), &text);
		ash_health_result(run->health, (guint) index, is_passing, text, ash_bus_now_us());
	}
	g_ptr_array_remove(run->checks, check);
	AshWorkloadd *daemon = run->unit->daemon;
	check_free(check);
	ash_workloadd_settle(daemon);
}

static void add_nameservers(GStrvBuilder *argv, const AshRun *run)
{
	const AshWorkloadd *daemon = run->unit->daemon;
	const AshNetLink *link =
			daemon->links != NULL ? ash_net_link_find(daemon->links, run->name) : NULL;

	for (guint i = 0; link != NULL && link->nameservers != NULL && link->nameservers[i] != NULL;
			i++)
		g_strv_builder_add_many(argv, "--nameserver", link->nameservers[i], NULL);
}

/* A command runs as the workload's own programs do; what looks from outside sees its network and its files. */
static char **check_argv(const AshRun *run, const AshHealthCheck *spec)
{
	const AshWorkloadd *daemon = run->unit->daemon;
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();

	if (spec->kind == ASH_HEALTH_COMMAND) {
		g_autofree char *launch = g_build_filename(daemon->libexec, "ashlar-launch", NULL);
		g_strv_builder_add_many(argv, launch, "exec", run->dir, "--", NULL);
		g_strv_builder_addv(argv, (const char **) (uintptr_t) spec->command);
		return g_strv_builder_end(argv);
	}
	g_auto(GStrv) plain = ash_health_argv(spec);
	if (plain == NULL)
		return NULL;
	if (ash_workload_is_vm(ash_unit_active(run->unit)->workload)) {
		/* Nothing but the guest itself can look into it. */
		g_autofree char *launch = g_build_filename(daemon->libexec, "ashlar-launch", NULL);
		g_strv_builder_add_many(argv, launch, "check", run->dir, "--", NULL);
		g_strv_builder_addv(argv, (const char **) (uintptr_t) (plain + TIMEOUT_WORD));
		return g_strv_builder_end(argv);
	}
	g_autofree char *program = g_build_filename(daemon->libexec, "ashlar-check", NULL);
	g_autofree char *pid = g_strdup_printf("%d", (int) ash_supervise_pid(run->dir));
	g_strv_builder_add_many(argv, program, "--inside", pid, NULL);
	add_nameservers(argv, run);
	g_strv_builder_addv(argv, (const char **) (uintptr_t) (plain + 1));
	return g_strv_builder_end(argv);
}

static gboolean start_check(AshRun *run, const AshHealthCheck *spec, GError **error)
{
	g_auto(GStrv) argv = check_argv(run, spec);
	AshUnitCheck *check = g_new0(AshUnitCheck, 1);

	check->run = run;
	check->name = g_strdup(spec->name);
	check->until_us = ash_bus_now_us() + (int64_t) (spec->timeout_ms + GRACE_MS) * 1000;
	gboolean ok = argv != NULL ? ash_bus_spawn(run->unit->daemon->bus,
						     (const char *const *) argv, NULL, MAX_LINE,
						     on_check_line, on_check_exit, check,
						     &check->child, error)
				   : ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_HELD,
						     "a workload has no units of systemd to look at");
	if (!ok) {
		check_free(check);
		return FALSE;
	}
	g_ptr_array_add(run->checks, check);
	return TRUE;
}

static void run_due(AshRun *run)
{
	int index;

	/* Before its first process is known there is nothing to look into. */
	if (ash_supervise_pid(run->dir) == 0)
		return;
	while ((index = ash_health_due(run->health, ash_bus_now_us())) >= 0) {
		const AshHealthState *state = ash_health_get(run->health, (guint) index);
		g_autoptr(GError) local = NULL;
		ash_health_started(run->health, (guint) index, ash_bus_now_us());
		if (!start_check(run, state->spec, &local))
			ash_health_result(run->health, (guint) index, false, local->message,
					ash_bus_now_us());
	}
}

static void end_late(AshRun *run)
{
	for (guint i = 0; i < run->checks->len; i++) {
		AshUnitCheck *check = run->checks->pdata[i];
		if (check->is_late || ash_bus_now_us() < check->until_us)
			continue;
		check->is_late = true;
		ash_bus_child_kill(check->child);
	}
}

/* ---- heartbeat ---- */

static void on_beat(int fd, gpointer data)
{
	AshRun *run = data;
	char line[256];
	bool is_first = !run->has_beat;

	/* Who sends without end shall not have the daemon for itself: the rest is heard in the next round. */
	for (unsigned i = 0; i < MAX_BEATS_OF_ROUND &&
			     recv(fd, line, sizeof line, MSG_DONTWAIT | MSG_TRUNC) >= 0;
			i++)
		run->has_beat = true;
	run->beat_us = ash_bus_now_us();
	if (is_first && run->has_beat)
		ash_workloadd_settle(run->unit->daemon);
}

gboolean ash_run_open_heartbeat(AshRun *run, GError **error)
{
	g_autofree char *path =
			g_build_filename(run->dir, ASH_WORKLOADD_CHANNEL, "heartbeat", NULL);
	g_autofree char *dir = g_path_get_dirname(path);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	ash_autofd int dir_fd = -1;

	ash_bus_fd_free(run->heartbeat);
	run->heartbeat = NULL;
	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0755, error))
		return FALSE;
	if (unlink(path) < 0 && errno != ENOENT)
		return ash_throw_errno(error, "%s", path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ash_throw_errno(error, "socket");
	/* The path may be longer than such an address. */
	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	g_snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/heartbeat", dir_fd);
	if (dir_fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof address) < 0 ||
			chmod(path, 0666) < 0) {
		gboolean ok = ash_throw_errno(error, "the heartbeat's socket %s", path);
		ash_close_fd(&fd);
		return ok;
	}
	return ash_bus_fd_new(run->unit->daemon->bus, fd, on_beat, run, &run->heartbeat, error);
}

static int64_t beat_deadline_us(const AshRun *run)
{
	const AshDefinition *active = ash_unit_active(run->unit);

	if (run->heartbeat == NULL || active == NULL || !run->has_beat)
		return INT64_MAX;
	return run->beat_us + (int64_t) active->workload->heartbeat_ms * BEATS * 1000;
}

/* ---- the whole ---- */

void ash_run_watch(AshRun *run)
{
	const AshDefinition *active = ash_unit_active(run->unit);
	int64_t now_us = ash_bus_now_us();

	g_clear_pointer(&run->health, ash_health_free);
	run->health = ash_health_new(ash_health_spec_copy(active->workload->health), true, now_us);
	ash_health_keep_pace(run->health);
	run->has_beat = false;
	run->begun_us = run->beat_us = now_us;
	run->kill_us = INT64_MAX;
	run->was_killed = false;
}

void ash_run_unwatch(AshRun *run)
{
	for (guint i = 0; i < run->checks->len; i++) {
		AshUnitCheck *check = run->checks->pdata[i];
		check->run = NULL; /* frees itself */
		ash_bus_child_kill(check->child);
	}
	g_ptr_array_set_size(run->checks, 0);
	g_clear_pointer(&run->health, ash_health_free);
	g_clear_pointer(&run->heartbeat, ash_bus_fd_free);
	ash_run_unlisten(run);
}

/* Each required check has passed, and a heartbeat came. */
static bool is_ready(const AshRun *run, const AshWorkload *workload)
{
	if (ash_supervise_pid(run->dir) == 0 || (workload->heartbeat_ms != 0 && !run->has_beat))
		return false;
	for (guint i = 0; i < ash_health_count(run->health); i++) {
		const AshHealthState *state = ash_health_get(run->health, i);
		if (state->spec->is_required && !state->is_passing)
			return false;
	}
	return true;
}

/* Why it does not work; NULL when it may. */
static char *find_fault(const AshRun *run, bool is_starting)
{
	g_autofree char *reason = NULL;
	int64_t next_us = 0;

	if (ash_bus_now_us() >= beat_deadline_us(run))
		return g_strdup_printf("no heartbeat for %" G_GINT64_FORMAT " s",
				(ash_bus_now_us() - run->beat_us) / G_USEC_PER_SEC);
	if (ash_health_verdict(run->health, ash_bus_now_us(), &next_us, &reason) == ASH_VERDICT_BAD)
		return g_steal_pointer(&reason);
	if (is_starting && ash_bus_now_us() >= ash_health_deadline_us(run->health))
		return g_strdup("was not ready before its deadline");
	for (guint i = 0; !is_starting && i < ash_health_count(run->health); i++) {
		const AshHealthState *state = ash_health_get(run->health, i);
		if (state->spec->is_required && !state->is_passing &&
				state->failures >= state->spec->failures)
			return g_strdup_printf("%s: %s", state->spec->name, state->text);
	}
	return NULL;
}

static bool is_soaked(const AshRun *run)
{
	int64_t next_us = 0;
	AshVerdict verdict = ash_health_verdict(run->health, ash_bus_now_us(), &next_us, NULL);

	return verdict == ASH_VERDICT_GOOD || verdict == ASH_VERDICT_DEGRADED;
}

void ash_run_look(AshRun *run)
{
	const AshDefinition *active = ash_unit_active(run->unit);
	const AshMachineInstance *instance = run->unit->machine->instances->pdata[run->index];
	bool is_starting = instance->state == ASH_INSTANCE_STARTING;

	if (run->health == NULL || run->process == NULL || active == NULL ||
			(!is_starting && instance->state != ASH_INSTANCE_RUNNING))
		return;
	end_late(run);
	run_due(run);
	g_autofree char *fault = find_fault(run, is_starting);
	AshMachineEvent event = {
			.kind = ASH_MACHINE_EVENT_BROKEN, .instance = run->index, .text = fault};
	if (fault != NULL) {
		ash_workloadd_must_step(run->unit, &event);
	} else if (is_starting && is_ready(run, active->workload)) {
		event.kind = ASH_MACHINE_EVENT_READY;
		ash_run_unlisten(run);
		ash_workloadd_must_step(run->unit, &event);
	} else if (!is_starting && run->unit->machine->state != ASH_MACHINE_TRIAL &&
			ash_health_deadline_us(run->health) != INT64_MAX && is_soaked(run)) {
		ash_health_end_trial(run->health, ash_bus_now_us());
	}
}

void ash_unit_judge(AshUnit *unit)
{
	const AshMachineEvent event = {.kind = ASH_MACHINE_EVENT_VERDICT, .is_good = true};

	if (unit->machine->state != ASH_MACHINE_TRIAL)
		return;
	for (guint i = 0; i < unit->runs->len; i++) {
		const AshRun *run = unit->runs->pdata[i];
		const AshMachineInstance *instance = unit->machine->instances->pdata[i];
		if (instance->state == ASH_INSTANCE_DONE ||
				(instance->state == ASH_INSTANCE_RUNNING &&
						ash_unit_is_disposable(unit)))
			continue;
		if (instance->state != ASH_INSTANCE_RUNNING || run->health == NULL ||
				!is_soaked(run))
			return;
	}
	ash_workloadd_must_step(unit, &event);
}

int64_t ash_run_next_us(const AshRun *run)
{
	int64_t at_us = INT64_MAX;

	if (run->process == NULL)
		return at_us;
	if (run->kill_us != INT64_MAX)
		return run->was_killed ? INT64_MAX : run->kill_us;
	if (run->health == NULL)
		return at_us;
	if (ash_supervise_pid(run->dir) == 0)
		return MIN(ash_health_deadline_us(run->health), ash_run_next_news_us(run));
	ash_health_verdict(run->health, ash_bus_now_us(), &at_us, NULL);
	at_us = MIN(at_us, beat_deadline_us(run));
	for (guint i = 0; i < run->checks->len; i++) {
		const AshUnitCheck *check = run->checks->pdata[i];
		at_us = MIN(at_us, check->is_late ? INT64_MAX : check->until_us);
	}
	return at_us;
}
