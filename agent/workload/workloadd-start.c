/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/paths.h"
#include "agent/workload/workloadd.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	MAX_SECRET_BYTES = 1 << 20
};

/* ---- may it start? ---- */

static gboolean held(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean held(GError **error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_HELD, "%s", text);
}

static const AshWorkload *lookup(const char *name, gpointer data)
{
	const AshUnit *unit = ash_workloadd_find(data, name);
	const AshDefinition *active = unit != NULL ? ash_unit_active(unit) : NULL;

	if (active == NULL && unit != NULL)
		active = unit->target;
	return active != NULL && !unit->machine->is_removed ? active->workload : NULL;
}

/* Does @workload wait for @name, by whatever others? */
static bool leads_to(AshWorkloadd *daemon, const AshWorkload *workload, const char *name,
		GHashTable *seen)
{
	for (char **after = workload->after; after != NULL && *after != NULL; after++) {
		const AshWorkload *other = lookup(*after, daemon);
		if (strcmp(*after, name) == 0)
			return true;
		if (other != NULL && g_hash_table_add(seen, *after) &&
				leads_to(daemon, other, name, seen))
			return true;
	}
	return false;
}

/* It would wait for ever. */
static gboolean check_circle(AshWorkloadd *daemon, const AshWorkload *workload,
		const AshWorkload *other, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	if (workload->is_system && !other->is_system)
		return held(error,
				"after: '%s' has scope 'user', and is started behind those of scope 'system': give both the same scope",
				other->name);
	if (leads_to(daemon, other, workload->name, seen))
		return held(error,
				"after: waits for '%s', which waits for '%s' itself: one of them has to do without 'after'",
				other->name, workload->name);
	return TRUE;
}

static gboolean check_after(const AshRun *run, const AshWorkload *workload, GError **error)
{
	AshWorkloadd *daemon = run->unit->daemon;

	for (guint i = 0; workload->after != NULL && workload->after[i] != NULL; i++) {
		const char *name = workload->after[i];
		const AshWorkload *other = lookup(name, daemon);
		if (other == NULL)
			return held(error, "after: waits for '%s', which is not on this host",
					name);
		if (other->is_system && !workload->is_system)
			return held(error,
					"after: '%s' has scope 'system': a workload of scope 'user' cannot name it",
					name);
		if (ash_machine_is_ready(ash_workloadd_find(daemon, name)->machine))
			continue;
		if (!check_circle(daemon, workload, other, error))
			return FALSE;
		return held(error, "after: waits for '%s'", name);
	}
	return TRUE;
}

/* What everybody may need is there before anybody else. */
static gboolean check_scope(const AshRun *run, const AshWorkload *workload, GError **error)
{
	AshWorkloadd *daemon = run->unit->daemon;

	for (guint i = 0; !workload->is_system && i < daemon->units->len; i++) {
		const AshUnit *unit = daemon->units->pdata[i];
		const AshDefinition *active = ash_unit_active(unit);
		if (active == NULL || !active->workload->is_system || !unit->machine->is_wanted)
			continue;
		if (!ash_machine_is_ready(unit->machine))
			return held(error, "waits for '%s', which has scope 'system'",
					unit->machine->name);
	}
	return TRUE;
}

static gboolean check_secrets(const AshRun *run, const AshWorkload *workload, GError **error)
{
	for (guint i = 0; i < workload->secrets->len; i++) {
		const AshWorkloadSecret *secret = workload->secrets->pdata[i];
		g_autofree char *path = ash_workloadd_path(
				run->unit->daemon, ASH_WORKLOADD_SECRETS "/%s", secret->name);
		struct stat st;
		if (stat(path, &st) < 0)
			return held(error,
					"needs the secret '%s': put it into " ASH_WORKLOADD_SECRETS
					"/%s",
					secret->name, secret->name);
		/* Whoever opened a pipe would wait for who writes. */
		if (!S_ISREG(st.st_mode) || st.st_size > MAX_SECRET_BYTES)
			return held(error,
					"needs the secret '%s': " ASH_WORKLOADD_SECRETS "/%s is %s",
					secret->name, secret->name,
					S_ISREG(st.st_mode) ? "larger than 1 MiB" : "not a file");
	}
	return TRUE;
}

static gboolean check_routes(const AshRun *run, const AshWorkload *workload, GError **error)
{
	AshWorkloadd *daemon = run->unit->daemon;
	g_autoptr(GPtrArray) links = NULL;

	if (!ash_routes_resolve(daemon->routes, workload, lookup, daemon, &links, error))
		return FALSE;
	for (guint i = 0; i < links->len; i++) {
		const AshRouteLink *link = links->pdata[i];
		if (link->required->socket == NULL)
			continue;
		g_autofree char *wanted = g_path_get_basename(link->required->socket);
		g_autofree char *there = g_path_get_basename(link->provided->socket);
		if (strcmp(wanted, there) != 0)
			return held(error,
					"the route of '%s': the socket is called '%s' in '%s', and '%s' here",
					link->required->name, there, link->route->to, wanted);
	}
	return TRUE;
}

gboolean ash_run_check(AshRun *run, GError **error)
{
	const AshDefinition *active = ash_unit_active(run->unit);

	if (active == NULL || ash_unit_image(run->unit) == NULL)
		return held(error,
				"its definition or its image is not there any more: 'ashlarctl workload run' brings it back");
	return check_after(run, active->workload, error) &&
	       check_scope(run, active->workload, error) &&
	       check_routes(run, active->workload, error) &&
	       check_secrets(run, active->workload, error) && ash_run_check_network(run, error) &&
	       ash_workloadd_fits(run->unit->daemon, active->workload, 0, error);
}

/* ---- what of the host appears inside ---- */

static AshLaunchBind *bind(AshLaunch *launch, const char *source, const char *target)
{
	return ash_launch_add_bind(launch, source, target);
}

/* The directory on the host in which a provider's socket at @socket (inside) lies. */
static char *provided_dir(const AshWorkloadd *daemon, const char *instance, const char *socket)
{
	g_autofree char *parent = g_path_get_dirname(socket);
	g_autofree char *name = g_strdelimit(g_strdup(parent + 1), "/", '-');

	return ash_workloadd_path(daemon, ASH_WORKLOADD_RUN "/%s/" ASH_WORKLOADD_PROVIDED "/%s",
			instance, name);
}

static gboolean ensure_owned_dir(
		const char *path, mode_t mode, uint32_t uid, uint32_t gid, GError **error)
{
	if (!ash_file_ensure_dir(AT_FDCWD, path, mode, error))
		return FALSE;
	if (chown(path, uid, gid) < 0)
		return ash_throw_errno(error, "chown %s", path);
	return TRUE;
}

static gboolean bind_provided(
		AshRun *run, const AshWorkload *workload, AshLaunch *launch, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < workload->provides->len; i++) {
		const AshWorkloadService *service = workload->provides->pdata[i];
		if (service->socket == NULL)
			continue;
		g_autofree char *parent = g_path_get_dirname(service->socket);
		g_autofree char *dir = provided_dir(run->unit->daemon, run->name, service->socket);
		if (!g_hash_table_add(seen, g_strdup(parent)))
			continue;
		if (!ensure_owned_dir(dir, 0755, launch->uid_base + launch->uid,
				    launch->uid_base + launch->gid, error))
			return FALSE;
		bind(launch, dir, parent);
	}
	return TRUE;
}

static gboolean bind_required(
		AshRun *run, const AshWorkload *workload, AshLaunch *launch, GError **error)
{
	AshWorkloadd *daemon = run->unit->daemon;
	g_autoptr(GPtrArray) links = NULL;

	if (!ash_routes_resolve(daemon->routes, workload, lookup, daemon, &links, error))
		return FALSE;
	for (guint i = 0; i < links->len; i++) {
		const AshRouteLink *link = links->pdata[i];
		if (link->required->socket == NULL)
			continue;
		g_autofree char *parent = g_path_get_dirname(link->required->socket);
		g_autofree char *dir =
				provided_dir(daemon, link->route->to, link->provided->socket);
		if (!ash_file_ensure_dir(AT_FDCWD, dir, 0755, error))
			return FALSE;
		bind(launch, dir, parent)->is_read_only = true;
	}
	return TRUE;
}

/* A copy for it alone: the owner's file is root's, and it may be replaced while it runs. */
static gboolean bind_secrets(
		AshRun *run, const AshWorkload *workload, AshLaunch *launch, GError **error)
{
	for (guint i = 0; i < workload->secrets->len; i++) {
		const AshWorkloadSecret *secret = workload->secrets->pdata[i];
		g_autofree char *from = ash_workloadd_path(
				run->unit->daemon, ASH_WORKLOADD_SECRETS "/%s", secret->name);
		g_autofree char *dir = g_build_filename(run->dir, "secrets", NULL);
		g_autofree char *to = g_build_filename(dir, secret->name, NULL);
		g_autoptr(GBytes) text = NULL;
		gsize size = 0;
		if (!ash_file_read(AT_FDCWD, from, MAX_SECRET_BYTES, &text, error) ||
				!ash_file_ensure_dir(AT_FDCWD, dir, 0711, error))
			return FALSE;
		const void *data = g_bytes_get_data(text, &size);
		if (!ash_file_replace(AT_FDCWD, to, data, size, 0400, error))
			return FALSE;
		if (chown(to, launch->uid_base + launch->uid, launch->uid_base + launch->gid) < 0)
			return ash_throw_errno(error, "chown %s", to);
		AshLaunchBind *made = bind(launch, to, secret->path);
		made->is_read_only = made->is_file = true;
	}
	return TRUE;
}

AshRun *ash_run_volumes(AshRun *run)
{
	return run->call != NULL ? run->unit->runs->pdata[0] : run;
}

static void bind_volumes(AshRun *run, const AshWorkload *workload, AshLaunch *launch)
{
	for (guint i = 0; i < workload->volumes->len; i++) {
		const AshWorkloadVolume *volume = workload->volumes->pdata[i];
		g_autofree char *source =
				ash_workload_is_vm(workload)
						? ash_workloadd_path(run->unit->daemon,
								  ASH_WORKLOADD_VOLUMES
								  "/%s/%s.img",
								  ash_run_volumes(run)->name,
								  volume->name)
						: ash_workloadd_path(run->unit->daemon,
								  ASH_WORKLOADD_MOUNTS "/%s/%s",
								  ash_run_volumes(run)->name,
								  volume->name);
		AshLaunchBind *made = bind(launch, source, volume->path);
		made->is_read_only = volume->is_read_only;
	}
}

static bool needs_channel(const AshWorkload *workload)
{
	if (workload->heartbeat_ms != 0)
		return true;
	for (guint i = 0; i < workload->requires->len; i++)
		if (((const AshWorkloadService *) workload->requires->pdata[i])->socket == NULL)
			return true;
	return false;
}

static gboolean bind_channel(
		AshRun *run, const AshWorkload *workload, AshLaunch *launch, GError **error)
{
	g_autofree char *dir = g_build_filename(run->dir, ASH_WORKLOADD_CHANNEL, NULL);

	if (!needs_channel(workload))
		return TRUE;
	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0755, error))
		return FALSE;
	/* The directory, not the sockets in it: they are made anew when the daemon begins again. */
	bind(launch, dir, ASH_LAUNCH_CHANNEL)->is_read_only = true;
	return ash_run_wait_for_broker(run, workload, error) &&
	       (workload->heartbeat_ms == 0 || ash_run_open_heartbeat(run, error));
}

/* ---- the launch ---- */

static char *dup_text(const char *text)
{
	return g_strdup(text != NULL ? text : "");
}

static void set(char **field, char *take_text)
{
	g_free(*field);
	*field = take_text;
}

static void set_list(char ***field, char *const *texts)
{
	g_strfreev(*field);
	*field = texts != NULL ? g_strdupv((char **) (uintptr_t) texts) : NULL;
}

static void set_network(AshRun *run, const AshWorkload *workload, AshLaunch *launch)
{
	const AshWorkloadd *daemon = run->unit->daemon;
	const AshNetLink *link =
			daemon->links != NULL ? ash_net_link_find(daemon->links, run->name) : NULL;

	g_clear_pointer(&run->address, g_free);
	if (workload->network.mode == ASH_NETWORK_HOST)
		set(&launch->netns, g_strdup("host"));
	if (link == NULL)
		return;
	set(&launch->netns, *link->netns == '/' ? ash_workloadd_path(daemon, "%s", link->netns)
						: g_strdup(link->netns));
	set(&launch->tap, dup_text(link->tap));
	set(&launch->address, dup_text(link->address));
	set(&launch->gateway, dup_text(link->gateway));
	set(&launch->mac, dup_text(link->mac));
	if (link->nameservers != NULL)
		set_list(&launch->nameservers, link->nameservers);
	run->address = g_strdup(link->address);
}

static void set_machine(AshLaunch *launch, const AshWorkload *workload)
{
	const AshWorkloadMachine *machine = &workload->machine;

	launch->machine.contract = machine->contract;
	set(&launch->machine.kernel, dup_text(machine->kernel));
	set(&launch->machine.initrd, dup_text(machine->initrd));
	set(&launch->machine.arguments, dup_text(machine->arguments));
	if (machine->modules != NULL)
		set_list(&launch->machine.modules, machine->modules);
}

static void set_grants(AshLaunch *launch, const AshWorkload *workload)
{
	launch->isolation = workload->isolation;
	launch->at_least = workload->at_least;
	launch->is_booted = workload->is_booted;
	launch->cpu_milli = workload->cpu_milli;
	launch->memory_bytes = workload->memory_bytes;
	launch->disk_bytes = workload->disk_bytes;
	launch->tasks = workload->tasks;
	launch->descriptors = workload->descriptors;
	if (workload->capabilities != NULL)
		set_list(&launch->capabilities, workload->capabilities);
	if (workload->devices != NULL)
		set_list(&launch->devices, workload->devices);
	if (workload->calls_added != NULL)
		set_list(&launch->calls_added, workload->calls_added);
	if (workload->calls_removed != NULL)
		set_list(&launch->calls_removed, workload->calls_removed);
	if (workload->calls_only != NULL)
		set_list(&launch->calls_only, workload->calls_only);
}

/* With --root: the kernel of the host that lies there. */
static char *find_kernel(const AshWorkloadd *daemon)
{
	g_autofree char *dir = ash_workloadd_path(daemon, "/usr/lib/modules");
	g_autoptr(GDir) releases = g_dir_open(dir, 0, NULL);
	const char *release = releases != NULL ? g_dir_read_name(releases) : NULL;

	return release != NULL ? g_build_filename(dir, release, NULL) : g_strdup("");
}

static gboolean check_command(const AshLaunch *launch, const AshWorkload *workload, GError **error)
{
	bool has_own_start = workload->is_booted ||
			     workload->machine.contract != ASH_MACHINE_HOST_KERNEL;

	if (launch->command[0] != NULL || has_own_start || launch->is_idle)
		return TRUE;
	return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_IMAGE,
			"command: neither the definition nor the image says what to run");
}

static gboolean make_launch(AshRun *run, AshLaunch *launch, GError **error)
{
	AshUnit *unit = run->unit;
	const AshWorkload *workload = ash_unit_active(unit)->workload;
	const AshImage *image = ash_unit_image(unit);
	g_autofree char *sysroot = ash_workloadd_path(unit->daemon, ASH_PATH_SYSROOT);

	set(&launch->instance, g_strdup(run->name));
	set(&launch->dir, g_strdup(run->dir));
	set(&launch->root, ash_image_path(sysroot, image->commit));
	set(&launch->image_digest, g_strdup(image->commit));
	set(&launch->cache, ash_workloadd_path(unit->daemon, ASH_WORKLOADD_CACHE));
	set(&launch->directory, g_strdup(workload->directory != NULL        ? workload->directory
						: *image->directory != '\0' ? image->directory
									    : "/"));
	g_strfreev(launch->environment);
	launch->environment = ash_image_fill_environment(image, workload->environment);
	g_strfreev(launch->command);
	launch->command = ash_image_fill_command(image, workload->command);
	launch->is_idle = run->call != NULL;
	set_grants(launch, workload);
	set_machine(launch, workload);
	set_network(run, workload, launch);
	launch->is_recording = unit->record_until_us != 0;
	if (unit->daemon->is_test && ash_workload_is_vm(workload))
		set(&launch->kernel, find_kernel(unit->daemon));
	if (!check_command(launch, workload, error) ||
			!ash_image_load_user(launch->root,
					workload->user != NULL ? workload->user : image->user,
					&launch->uid, &launch->gid, error) ||
			!ash_state_uid_base(
					unit->daemon->state, run->name, &launch->uid_base, error) ||
			!ash_file_ensure_dir(AT_FDCWD, launch->cache, 0700, error) ||
			!ash_file_ensure_dir(AT_FDCWD, run->dir, 0711, error))
		return FALSE;
	/* Whose range it is has to be on the disk before a file of that user is. */
	if (!ash_workloadd_save(unit->daemon))
		return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_HELD, "%s",
				unit->daemon->trouble);
	if (!ash_run_mount(ash_run_volumes(run), workload, launch->uid_base + launch->uid,
			    launch->uid_base + launch->gid, error))
		return FALSE;
	bind_volumes(run, workload, launch);
	return bind_channel(run, workload, launch, error) &&
	       bind_provided(run, workload, launch, error) &&
	       bind_required(run, workload, launch, error) &&
	       bind_secrets(run, workload, launch, error);
}

static void on_ended(const AshSuperviseEnd *end, gpointer data)
{
	AshRun *run = data;
	AshUnit *unit = run->unit;
	const AshMachineEvent event = {
			.kind = ASH_MACHINE_EVENT_EXITED,
			.instance = run->index,
			.is_good = end->is_good,
			.is_forced = end->is_refused,
			.text = end->text,
	};

	g_clear_pointer(&run->process, ash_supervise_free);
	run->kill_us = INT64_MAX;
	run->was_killed = false;
	ash_run_unwatch(run);
	ash_run_unmount(run);
	ash_workloadd_must_step(unit, &event);
}

static AshSuperviseHost host_of(const AshRun *run)
{
	const AshWorkloadd *daemon = run->unit->daemon;

	return (AshSuperviseHost){daemon->bus, daemon->root, daemon->libexec};
}

gboolean ash_run_start_call(AshRun *run, AshSuperviseEnded ended, GError **error)
{
	g_autoptr(AshLaunch) launch = ash_launch_new();
	AshSuperviseHost host = host_of(run);

	return make_launch(run, launch, error) && ash_run_listen(run, error) &&
	       ash_supervise_start(&host, launch, ended, run, &run->process, error);
}

gboolean ash_run_start(AshRun *run, GError **error)
{
	if (!ash_run_start_call(run, on_ended, error)) {
		ash_run_unwatch(run);
		ash_run_unmount(run);
		return FALSE;
	}
	g_free(run->digest);
	run->digest = g_strdup(ash_unit_active(run->unit)->digest);
	g_free(run->routed);
	run->routed = ash_run_routes(run);
	return TRUE;
}

/* It was started without its filter, and whoever wanted to end that may be gone: it ends now. */
static void adopt_recording(const AshRun *run)
{
	g_autofree char *path = g_build_filename(run->dir, "launch.json", NULL);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(AshLaunch) launch = NULL;

	if (ash_file_read(AT_FDCWD, path, ASH_LAUNCH_MAX_BYTES, &text, NULL) &&
			ash_launch_parse(text, &launch, NULL) && launch->is_recording)
		run->unit->record_until_us = ash_bus_now_us();
}

gboolean ash_run_adopt(AshRun *run, GError **error)
{
	AshSuperviseHost host = host_of(run);
	const AshDefinition *active = ash_unit_active(run->unit);

	if (!ash_supervise_adopt(&host, run->name, run->dir, on_ended, run, &run->process, error))
		return FALSE;
	if (run->process == NULL || active == NULL)
		return TRUE;
	adopt_recording(run);
	g_free(run->digest);
	run->digest = g_strdup(active->digest);
	if (active->workload->heartbeat_ms != 0 && !ash_run_open_heartbeat(run, error))
		return FALSE;
	if (!ash_run_listen(run, error))
		return FALSE;
	ash_run_watch(run);
	/* One that hung meanwhile shall not go on to hang. */
	const AshMachineInstance *instance = run->unit->machine->instances->pdata[run->index];
	run->has_beat = instance->state == ASH_INSTANCE_RUNNING;
	return TRUE;
}
