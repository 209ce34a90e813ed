/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>

#include "agent/hostdoc.h"
#include "agent/provision.h"
#include "lib/cli.h"
#include "lib/file.h"
#include "lib/spawn.h"

/* Applies the host document, once at each boot: ashlar-provision(8). */

static char *opt_check, *opt_root, *opt_seed;
static gboolean opt_dry_run, opt_version;

static const GOptionEntry options[] = {
		{"check", 0, 0, G_OPTION_ARG_FILENAME, &opt_check,
				"Say whether FILE is a good host document, and do nothing else",
				"FILE"},
		{"dry-run", 0, 0, G_OPTION_ARG_NONE, &opt_dry_run,
				"Print what would change, and change nothing", NULL},
		{"seed", 0, 0, G_OPTION_ARG_FILENAME, &opt_seed,
				"Take the directory DIR for the seed disk", "DIR"},
		{"root", 0, 0, G_OPTION_ARG_FILENAME, &opt_root,
				"Work on the host whose root is DIR", "DIR"},
		{"version", 0, 0, G_OPTION_ARG_NONE, &opt_version, "Print the version", NULL},
		{0},
};

G_GNUC_PRINTF(1, 2)
static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	fprintf(stderr, "ashlar-provision: %s\n", text);
}

static int check_document(const char *path)
{
	g_autoptr(AshHostdoc) doc = NULL;
	g_autoptr(GBytes) text = NULL;
	g_autoptr(GError) error = NULL;

	if (!ash_file_read(AT_FDCWD, path, ASH_HOSTDOC_MAX_BYTES, &text, &error) ||
			!ash_hostdoc_parse(path, text, &doc, &error)) {
		say("%s", error->message);
		return ASH_EXIT_INPUT;
	}
	printf("%s: good\n", path);
	return ASH_EXIT_OK;
}

/* Until udevd has seen what is plugged in, and has loaded the drivers for it. What takes longer than the
 * bound is left out at this boot; the last document stays in force meanwhile.
 */
static void wait_for_disks(void)
{
	g_autoptr(GError) error = NULL;

	if (!ash_spawn_simple(&error, "udevadm", "settle", "--timeout=20", NULL))
		say("not all devices are there: %s", error->message);
}

static int print_diff(const char *root, const AshProvision *provision)
{
	g_autofree char *diff = ash_provision_diff(root, provision);

	printf("# document: %s\n", provision->where != NULL ? provision->where : "none");
	fputs(*diff != '\0' ? diff : "# nothing would change\n", stdout);
	return provision->refused != NULL ? ASH_EXIT_INPUT : ASH_EXIT_OK;
}

static int provision_host(const char *root)
{
	const AshProvisionPlaces places = {
			.root = root,
			.credentials = g_getenv("CREDENTIALS_DIRECTORY"),
			.seed = opt_seed,
			.wait_for_disks = *root == '\0' ? wait_for_disks : NULL,
	};
	g_autoptr(AshProvision) provision = ash_provision_plan(&places);
	g_autoptr(GError) error = NULL;

	for (guint i = 0; i < provision->warnings->len; i++)
		say("%s", (const char *) provision->warnings->pdata[i]);
	if (provision->refused != NULL) {
		say("the host document is refused: %s", provision->refused->message);
		say("in force is: %s", provision->where != NULL ? provision->where : "none");
	}
	if (opt_dry_run)
		return print_diff(root, provision);
	if (!ash_provision_apply(root, provision, &error)) {
		say("%s", error->message);
		return ASH_EXIT_FAILED;
	}
	return provision->refused != NULL ? ASH_EXIT_INPUT : ASH_EXIT_OK;
}

static int run(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;

	g_option_context_set_summary(context, "Applies the host document to this host, at boot.");
	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error)) {
		say("%s; see 'ashlar-provision --help'", error->message);
		return ASH_EXIT_USAGE;
	}
	if (argc > 1) {
		say("unexpected argument '%s'; see 'ashlar-provision --help'", argv[1]);
		return ASH_EXIT_USAGE;
	}
	if (opt_version) {
		printf("ashlar-provision %s\n", ASH_VERSION);
		return ASH_EXIT_OK;
	}
	return opt_check != NULL ? check_document(opt_check)
				 : provision_host(opt_root != NULL ? opt_root : "");
}

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	int code = run(argc, argv);
	if (fflush(stdout) != 0 && code == ASH_EXIT_OK)
		code = ASH_EXIT_FAILED;
	g_free(opt_check);
	g_free(opt_root);
	g_free(opt_seed);
	return code;
}
