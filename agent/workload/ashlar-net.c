/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/workload/names-serve.h"
#include "agent/workload/net-apply.h"
#include "lib/cli.h"
#include "lib/error.h"

/* ashlar-net: the network of a host's workloads (agent/workload/net.h), asked for by ashlar-workloadd. */

static char *root_option = NULL, *user_option = NULL;

static const GOptionEntry root_options[] = {
		{"root", 0, 0, G_OPTION_ARG_FILENAME, &root_option, "where /run, /var and /etc are",
				"DIR"},
		{NULL},
};

static const GOptionEntry names_options[] = {
		{"root", 0, 0, G_OPTION_ARG_FILENAME, &root_option, "where /run, /var and /etc are",
				"DIR"},
		{"user", 0, 0, G_OPTION_ARG_STRING, &user_option,
				"who reads the packets (default: ashlar-names)", "NAME"},
		{NULL},
};

static const char *root(void)
{
	return root_option ? root_option : "";
}

static gboolean read_document(AshNet **out_net, GError **error)
{
	g_autoptr(GByteArray) text = g_byte_array_new();
	guint8 chunk[16384];
	ssize_t n;

	while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0) {
		g_byte_array_append(text, chunk, (guint) n);
		if (text->len > ASH_NET_MAX_BYTES)
			return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYNTAX,
					"the document is larger than %d bytes", ASH_NET_MAX_BYTES);
	}
	if (n < 0)
		return ash_throw_errno(error, "reading the document");
	g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(g_steal_pointer(&text));
	return ash_net_parse(bytes, out_net, error);
}

static void print_links(GPtrArray *links)
{
	g_autofree char *text = ash_net_links_format(links);

	fputs(text, stdout);
}

static gboolean run_apply(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(AshNet) net = NULL;
	g_autoptr(GPtrArray) links = NULL;

	if (!ash_cli_need_root("namespaces and rules are made", error) ||
			!read_document(&net, error) ||
			!ash_net_apply(root(), net, false, &links, error))
		return FALSE;
	print_links(links);
	return TRUE;
}

static gboolean run_repair(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(GPtrArray) links = NULL;

	if (!ash_cli_need_root("namespaces and rules are made", error) ||
			!ash_net_apply(root(), NULL, true, &links, error))
		return FALSE;
	print_links(links);
	return TRUE;
}

static gboolean run_check(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *text = NULL;
	bool is_drift;

	if (!ash_cli_need_root("namespaces and rules are looked at", error) ||
			!ash_net_drift(root(), &text, &is_drift, error))
		return FALSE;
	fputs(text, stdout);
	*out_exit = is_drift ? ASH_EXIT_NEGATIVE : ASH_EXIT_OK;
	return TRUE;
}

static gboolean run_clear(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_need_root("namespaces and rules are removed", error) &&
	       ash_net_clear(root(), error);
}

static gboolean run_names(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_need_root("it enters namespaces and changes rules", error) &&
	       ash_names_run(root(), user_option ? user_option : "ashlar-names", error);
}

static int exit_for(const GError *error)
{
	if (error->domain != ASH_NET_ERROR)
		return 0;
	return error->code == ASH_NET_ERROR_SYSTEM ? ASH_EXIT_FAILED : ASH_EXIT_INPUT;
}

static const AshCliCommand commands[] = {
		{.name = "apply",
				.summary = "make the network what the document on the standard input says",
				.options = root_options,
				.run = run_apply},
		{.name = "check",
				.summary = "print what is not as it was applied",
				.options = root_options,
				.run = run_check},
		{.name = "repair",
				.summary = "apply the last document again, thoroughly",
				.options = root_options,
				.run = run_repair},
		{.name = "clear",
				.summary = "remove all links, namespaces and rules of workloads",
				.options = root_options,
				.run = run_clear},
		{.name = "names",
				.summary = "answer workloads' questions for names, until SIGTERM",
				.options = names_options,
				.run = run_names},
		{0},
};

static const AshCliProgram program = {
		.name = "ashlar-net",
		.summary = "The network of this host's workloads",
		.commands = commands,
		.exit_for = exit_for,
};

int main(int argc, char **argv)
{
	return ash_cli_main(&program, argc, argv);
}
