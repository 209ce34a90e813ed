/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <sched.h>
#include <sys/mount.h>

#include "lib/cli.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/spawn.h"

G_DEFINE_QUARK(ash_sandbox_error, ash_sandbox_error)

enum {
	DEFAULT_TIMEOUT_MS = 3600 * 1000,
	MAX_LOG_BYTES = 16 << 20,
};

char **ash_sandbox_argv(const AshSandbox *sandbox, const char *root)
{
	static const char *const fixed[] = {
			"systemd-nspawn",
			"--quiet",
			"--register=no",
			"--keep-unit",
			"--as-pid2",
			"--console=pipe",
			"--private-network",
			"--resolv-conf=off",
			"--timezone=off",
			"--link-journal=no",
			"--suppress-sync=yes",
			/* A host's own name must not reach what is built. */
			"--hostname=ashlar-build",
			"--machine=ashlar-build",
			NULL,
	};
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();

	for (const char *const *arg = fixed; *arg != NULL; arg++)
		g_strv_builder_add(argv, *arg);
	for (const char *const *bind = sandbox->binds; bind != NULL && *bind != NULL; bind++) {
		g_autofree char *arg = g_strconcat("--bind-ro=", *bind, NULL);
		g_strv_builder_add(argv, arg);
	}
	if (sandbox->writable_bind != NULL) {
		g_autofree char *arg = g_strconcat("--bind=", sandbox->writable_bind, NULL);
		g_strv_builder_add(argv, arg);
	}
	for (const char *const *env = sandbox->env; env != NULL && *env != NULL; env++) {
		g_autofree char *arg = g_strconcat("--setenv=", *env, NULL);
		g_strv_builder_add(argv, arg);
	}
	g_strv_builder_add(argv, "-D");
	g_strv_builder_add(argv, root);
	g_strv_builder_add(argv, "--");
	for (const char *const *arg = sandbox->argv; *arg != NULL; arg++)
		g_strv_builder_add(argv, *arg);
	return g_strv_builder_end(argv);
}

typedef struct {
	const char *merged;
	const char *overlay_options;
} Mounts;

/* In the child: a mount namespace of its own, and the overlay in it. */
static int mount_overlay(gconstpointer data)
{
	const Mounts *mounts = data;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			mount("overlay", mounts->merged, "overlay", 0, mounts->overlay_options) < 0)
		return errno;
	return 0;
}

static gboolean check_paths(const AshSandbox *sandbox, GError **error)
{
	/* These separate the options of the mount; nobody names a cache like that on purpose. */
	if (strpbrk(sandbox->lower, ",:\\") == NULL && strpbrk(sandbox->scratch, ",:\\") == NULL)
		return TRUE;
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_ENVIRONMENT,
			"'%s' cannot be the build directory: its path holds one of ',', ':' and '\\'",
			sandbox->scratch);
}

gboolean ash_sandbox_run(const AshSandbox *sandbox, GBytes **out_log, GError **error)
{
	g_autofree char *upper = g_build_filename(sandbox->scratch, "upper", NULL);
	g_autofree char *work = g_build_filename(sandbox->scratch, "work", NULL);
	g_autofree char *merged = g_build_filename(sandbox->scratch, "root", NULL);
	/* No redirects and no metadata-only copies: the upper layer must be readable by itself. */
	g_autofree char *options = g_strdup_printf(
			"lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=off,metacopy=off,index=off,volatile",
			sandbox->lower, upper, work);
	Mounts mounts = {.merged = merged, .overlay_options = options};
	g_auto(GStrv) argv = ash_sandbox_argv(sandbox, merged);
	/* nspawn locks its root by a file beside it unless told otherwise. */
	const char *const env[] = {"SYSTEMD_NSPAWN_LOCK=0", "SYSTEMD_LOG_LEVEL=warning", NULL};
	AshSpawn spawn = {
			.argv = (const char *const *) argv,
			.env = env,
			.prepare = mount_overlay,
			.prepare_data = &mounts,
			.on_output = sandbox->on_output,
			.on_output_data = sandbox->on_output_data,
			.merge_stderr = true,
			.max_output_bytes = MAX_LOG_BYTES,
			.timeout_ms = sandbox->timeout_ms != 0 ? sandbox->timeout_ms
							       : DEFAULT_TIMEOUT_MS,
	};
	g_autoptr(GError) cause = NULL;

	if (!check_paths(sandbox, error) || !ash_file_ensure_dir(AT_FDCWD, upper, 0755, error) ||
			!ash_file_ensure_dir(AT_FDCWD, work, 0755, error) ||
			!ash_file_ensure_dir(AT_FDCWD, merged, 0755, error))
		return FALSE;
	if (ash_spawn_run(&spawn, out_log, &cause))
		return TRUE;
	if (g_error_matches(cause, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_FAILED))
		return ash_throw(error, ASH_SANDBOX_ERROR, ASH_SANDBOX_ERROR_FAILED,
				"in the sandbox, %s", cause->message);
	if (g_error_matches(cause, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_TIMEOUT))
		return ash_throw(error, ASH_SANDBOX_ERROR, ASH_SANDBOX_ERROR_TIMEOUT,
				"in the sandbox, '%s' did not end within %u s", sandbox->argv[0],
				spawn.timeout_ms / 1000);
	g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}
