/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "builder/cmd.h"
#include "builder/keys.h"
#include "builder/lifetime.h"
#include "builder/passphrase.h"
#include "lib/error.h"
#include "lib/json.h"

enum {
	DEFAULT_DAYS = 365,
	SOON_DAYS = 30,
};

static int opt_root_keys = 1;
static int opt_root_threshold;
static char *opt_passphrase_file;
static gboolean opt_no_passphrase;
static char *opt_expiry;
static char **opt_keys;

static const GOptionEntry options[] = {
		{"root-keys", 0, 0, G_OPTION_ARG_INT, &opt_root_keys,
				"make: N keys for the root (1)", "N"},
		{"root-threshold", 0, 0, G_OPTION_ARG_INT, &opt_root_threshold,
				"make: M of them sign it (all)", "M"},
		{"passphrase-file", 0, 0, G_OPTION_ARG_FILENAME, &opt_passphrase_file,
				"The passphrase is the first line of FILE", "FILE"},
		{"no-passphrase", 0, 0, G_OPTION_ARG_NONE, &opt_no_passphrase,
				"Leave new private keys unencrypted", NULL},
		{"expiry", 0, 0, G_OPTION_ARG_STRING, &opt_expiry,
				"How long the root counts (365d)", "TIME"},
		{"keys", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_keys,
				"Look for private keys in DIR too; may be repeated", "DIR"},
		{0},
};

static gboolean open_keys(const char *dir, bool is_to_change, AshKeys **out_keys, GError **error)
{
	g_autoptr(GPtrArray) dirs = g_ptr_array_new();

	g_ptr_array_add(dirs, (gpointer) (uintptr_t) dir);
	for (char **other = opt_keys; other != NULL && *other != NULL; other++)
		g_ptr_array_add(dirs, *other);
	g_ptr_array_add(dirs, NULL);
	return ash_keys_open((const char *const *) dirs->pdata, opt_passphrase_file, is_to_change,
			out_keys, error);
}

/* NULL with --no-passphrase. */
static gboolean read_new_passphrase(char **out_passphrase, GError **error)
{
	if (opt_no_passphrase && opt_passphrase_file != NULL)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--no-passphrase and --passphrase-file exclude each other");
	*out_passphrase = NULL;
	return opt_no_passphrase || ash_passphrase_read(opt_passphrase_file, "the new keys", true,
						    out_passphrase, error);
}

/* ---- show ---------------------------------------------------------------------------------------- */

static void print_role(const AshKeys *keys, AshRole role)
{
	const AshSigningRole *publics = ash_keys_role(keys, role);

	printf("%-10s %" PRIu64 " of %u\n", ash_role_name(role), publics->threshold,
			publics->ids->len);
	for (guint i = 0; i < publics->ids->len; i++) {
		const char *id = publics->ids->pdata[i];
		g_autofree char *path = ash_keys_find_private(keys, role, id);
		printf("  %s  %s\n", id, path != NULL ? path : "(the private key is not here)");
	}
}

static void print_text(const AshKeys *keys)
{
	const AshRoot *root = ash_keys_root(keys);

	printf("root version %" PRIu64 ", %s %s\n", root->version,
			root->seconds_left > 0 ? "expires" : "expired", root->expires);
	for (AshRole role = 0; role < (AshRole) ASH_N_ROLES; role++)
		print_role(keys, role);
}

static void print_json(const AshKeys *keys)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	const AshRoot *root = ash_keys_root(keys);

	json_builder_begin_object(json);
	ash_json_add_uint(json, "version", root->version);
	ash_json_add_text(json, "expires", root->expires);
	ash_json_add_int(json, "seconds-left", root->seconds_left);
	ash_json_begin_object(json, "roles");
	for (AshRole role = 0; role < (AshRole) ASH_N_ROLES; role++) {
		const AshSigningRole *publics = ash_keys_role(keys, role);
		ash_json_begin_object(json, ash_role_name(role));
		ash_json_add_uint(json, "threshold", publics->threshold);
		ash_json_begin_array(json, "keys");
		for (guint i = 0; i < publics->ids->len; i++) {
			const char *id = publics->ids->pdata[i];
			g_autofree char *path = ash_keys_find_private(keys, role, id);
			json_builder_begin_object(json);
			ash_json_add_text(json, "id", id);
			ash_json_add_text(json, "public", publics->publics->pdata[i]);
			ash_json_add_text(json, "file", path);
			json_builder_end_object(json);
		}
		json_builder_end_array(json);
		json_builder_end_object(json);
	}
	json_builder_end_object(json);
	json_builder_end_object(json);
	g_autofree char *text = ash_json_format(json, false);
	fputs(text, stdout);
}

static void print(const AshCliContext *context, const AshKeys *keys)
{
	if (context->json)
		print_json(keys);
	else
		print_text(keys);
	if (ash_keys_root(keys)->seconds_left < SOON_DAYS * ASH_LIFETIME_DAY_S)
		ash_progress_warn(context->progress,
				"the root %s %s: run 'ashlar key extend', publish it, and make images "
				"with it",
				ash_keys_root(keys)->seconds_left > 0 ? "expires" : "expired",
				ash_keys_root(keys)->expires);
}

static gboolean run_show(AshCliContext *context, const char *dir, GError **error)
{
	g_autoptr(AshKeys) keys = NULL;

	if (!open_keys(dir, false, &keys, error))
		return FALSE;
	print(context, keys);
	return TRUE;
}

/* ---- make, rotate, extend ------------------------------------------------------------------------ */

static gboolean run_make(AshCliContext *context, const char *dir, GError **error)
{
	AshKeysMake make = {0};
	g_autoptr(AshKeys) keys = NULL;
	char *passphrase = NULL;

	if (opt_root_threshold == 0)
		opt_root_threshold = opt_root_keys;
	if (opt_root_keys < 1 || opt_root_keys > ASH_SIGNING_MAX_KEYS || opt_root_threshold < 1 ||
			opt_root_threshold > opt_root_keys)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"the root takes 1 to %d keys, and at most as many to sign",
				ASH_SIGNING_MAX_KEYS);
	make.root_keys = (unsigned) opt_root_keys;
	make.root_threshold = (unsigned) opt_root_threshold;
	if (!ash_lifetime_parse(opt_expiry, "expiry", DEFAULT_DAYS * ASH_LIFETIME_DAY_S,
			    &make.expiry_s, error) ||
			!read_new_passphrase(&passphrase, error))
		return FALSE;
	make.passphrase = passphrase;
	gboolean ok = ash_keys_make(dir, &make, error);
	ash_passphrase_free(passphrase);
	if (!ok || !open_keys(dir, false, &keys, error))
		return FALSE;
	print(context, keys);
	ash_progress_note(context->progress,
			"images trust what is in %s/root.json; keep root-*.pem away from machines that "
			"publish",
			dir);
	return TRUE;
}

static gboolean change_root(AshCliContext *context, const char *dir, AshRole role, GError **error)
{
	g_autoptr(AshKeys) keys = NULL;
	int64_t expiry_s = 0;
	char *passphrase = NULL;
	bool makes_keys = role != (AshRole) ASH_N_ROLES;

	if (!ash_lifetime_parse(opt_expiry, "expiry", DEFAULT_DAYS * ASH_LIFETIME_DAY_S, &expiry_s,
			    error) ||
			!open_keys(dir, true, &keys, error) ||
			(makes_keys && !read_new_passphrase(&passphrase, error)))
		return FALSE;
	gboolean ok = ash_keys_rotate(keys, role, expiry_s, passphrase, error);
	ash_passphrase_free(passphrase);
	if (!ok)
		return FALSE;
	print(context, keys);
	ash_progress_note(context->progress, "hosts learn of it with the next 'ashlar publish'%s",
			makes_keys ? "; leave the files of the old keys there until then, so that no "
				     "host is without metadata that it can check, then destroy them"
				   : "");
	return TRUE;
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	const char *action = args[0];
	AshRole role = ASH_ROLE_ROOT;

	bool is_rotate = strcmp(action, "rotate") == 0;
	if (is_rotate != (args[2] != NULL))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				is_rotate ? "'ashlar key rotate' takes a directory and a role: root, "
					    "targets, snapshot, timestamp or workloads"
					  : "'ashlar key %s' takes a directory only",
				action);
	if (strcmp(action, "make") == 0)
		return run_make(context, args[1], error);
	if (strcmp(action, "show") == 0)
		return run_show(context, args[1], error);
	if (strcmp(action, "extend") == 0)
		return change_root(context, args[1], (AshRole) ASH_N_ROLES, error);
	if (!is_rotate)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"unknown action '%s'; there are make, show, rotate and extend",
				action);
	if (!ash_role_find(args[2], &role))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"unknown role '%s'; there are root, targets, snapshot, timestamp and "
				"workloads",
				args[2]);
	return change_root(context, args[1], role, error);
}

const AshCliCommand ash_cmd_key = {
		.name = "key",
		.synopsis = "make|show|rotate|extend DIR [ROLE]",
		.summary = "Make and change the keys that hosts trust.",
		.details = "make: a key for each of the roles root, targets, snapshot, timestamp and "
			   "workloads, and the signed root.json that goes into images.\n\n"
			   "rotate: new keys for ROLE, in a next version of the root that hosts follow.\n\n"
			   "extend: a next version of the root with a later expiry.\n\n"
			   "The passphrase comes from --passphrase-file, the file that "
			   "ASHLAR_KEY_PASSPHRASE_FILE names, or the terminal.",
		.options = options,
		.min_args = 2,
		.max_args = 3,
		.run = run,
};
