/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/ctl.h"
#include "lib/error.h"

static gboolean opt_wait;

static const GOptionEntry wait_options[] = {
		{"wait", 'w', 0, G_OPTION_ARG_NONE, &opt_wait,
				"Wait for the end; the exit code says how it went", NULL},
		{0},
};

/* ---- orders: they begin something ---- */

static gboolean run_bundle(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = g_canonicalize_filename(args[0], NULL);

	return ash_ctl_order(context, "Bundle", path, opt_wait, error);
}

static gboolean run_check(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_ctl_order(context, "Check", NULL, opt_wait, error);
}

static gboolean run_rollback(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_ctl_order(context, "Rollback", args[0] != NULL ? args[0] : "", opt_wait, error);
}

static gboolean run_update(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_ctl_order(context, "Update", args[0] != NULL ? args[0] : "", opt_wait, error);
}

/* ---- settings: done when they return ---- */

static gboolean change(const AshCliContext *context, const char *method, const char *target,
		const char *done, GError **error)
{
	g_autoptr(AshBus) bus = NULL;
	g_autofree char *json = NULL;

	if (!ash_cli_need_root("only root may change what this host keeps and takes", error) ||
			!ash_bus_new(&bus, error) ||
			!ash_ctl_call(bus, method, target, &json, error))
		return FALSE;
	/* ashlard has nothing to say to these; a reader of JSON still gets an object. */
	if (context->json)
		printf("{\"text\":\"%s %s\"}\n", done, target);
	else
		printf("%s %s\n", done, target);
	return TRUE;
}

static gboolean run_forgive(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return change(context, "Forgive", args[0], "forgiven:", error);
}

static gboolean run_pin(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return change(context, "Pin", args[0], "pinned:", error);
}

static gboolean run_unpin(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return change(context, "Unpin", args[0], "no longer pinned:", error);
}

const AshCliCommand ash_ctl_bundle = {
		.name = "bundle",
		.synopsis = "FILE",
		.summary = "Update from a file made by 'ashlar bundle'",
		.options = wait_options,
		.min_args = 1,
		.max_args = 1,
		.run = run_bundle,
};

const AshCliCommand ash_ctl_check = {
		.name = "check",
		.summary = "Look for a release now",
		.options = wait_options,
		.run = run_check,
};

const AshCliCommand ash_ctl_forgive = {
		.name = "forgive",
		.synopsis = "VERSION|COMMIT|document|all",
		.summary = "Let what failed here, or was left, be taken again",
		.min_args = 1,
		.max_args = 1,
		.run = run_forgive,
};

const AshCliCommand ash_ctl_pin = {
		.name = "pin",
		.synopsis = "VERSION|COMMIT",
		.summary = "Never remove a deployment",
		.min_args = 1,
		.max_args = 1,
		.run = run_pin,
};

const AshCliCommand ash_ctl_rollback = {
		.name = "rollback",
		.synopsis = "[VERSION|COMMIT]",
		.summary = "Reboot into another deployment, and hold back what runs now",
		.options = wait_options,
		.max_args = 1,
		.run = run_rollback,
};

const AshCliCommand ash_ctl_unpin = {
		.name = "unpin",
		.synopsis = "VERSION|COMMIT",
		.summary = "Let a pinned deployment be removed when its time comes",
		.min_args = 1,
		.max_args = 1,
		.run = run_unpin,
};

const AshCliCommand ash_ctl_update = {
		.name = "update",
		.synopsis = "[VERSION]",
		.summary = "Take the newest release, or VERSION, and reboot at once",
		.options = wait_options,
		.max_args = 1,
		.run = run_update,
};
