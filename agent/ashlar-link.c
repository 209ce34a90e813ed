/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/bus.h"
#include "agent/fleet-rest.h"
#include "agent/link-fleet.h"
#include "agent/order.h"
#include "agent/paths.h"
#include "lib/cli.h"
#include "lib/error.h"

/* ashlar-link(8): the half of the agent that has the network and nothing else. It sleeps until ashlard
 * gives an order, has ashlar-fetch carry it out, and answers. It remembers nothing: restarted, it
 * begins with the order that stands.
 *
 *	no child ──order──▸ child ──exit──▸ OrderDone, no child
 *	                      │ another order, or ashlard gone
 *	                      └─▸ killed ──exit──▸ the next order, or no child
 *
 * agent/link-fleet.h has the other half of its life, which knows nothing of this one.
 */

enum {
	PROGRESS_US = G_USEC_PER_SEC,
};

typedef struct {
	AshBus *bus;
	const char *argv[10];
	AshBusChild *child; /* NULL: nothing is done */
	bool is_killed;     /* its answer is of no interest any more */
	uint64_t id;        /* of the order that it carries out, or the last one; 0: none */
	char *result;       /* what it printed last */
	char *next;         /* the order to begin when it has ended */
	int64_t progress_us;
	const char *checkin, *identity;
	AshLinkFleet *fleet;
} Link;

static void take_order(Link *link, const char *json);

static void on_line(const char *line, gpointer data)
{
	Link *link = data;
	g_autofree char *result = NULL;
	g_autoptr(GError) local = NULL;
	uint64_t done = 0;
	uint64_t total = 0;

	if (!ash_order_parse_line(line, &done, &total, &result, &local)) {
		fprintf(stderr, "ashlar-link: %s\n", local->message);
		return;
	}
	if (result != NULL) {
		g_free(link->result);
		link->result = g_steal_pointer(&result);
		return;
	}
	if (ash_bus_now_us() - link->progress_us < PROGRESS_US)
		return;
	link->progress_us = ash_bus_now_us();
	/* Only for people to look at: the answer is what counts. */
	if (!ash_bus_call_order_progress(link->bus, link->id, done, total, &local))
		fprintf(stderr, "ashlar-link: %s\n", local->message);
}

/* For a child that had nothing to say. */
static char *describe(int wait_status)
{
	g_autofree char *text = NULL;

	if (WIFSIGNALED(wait_status))
		text = g_strdup_printf("ashlar-fetch ended by signal %d", WTERMSIG(wait_status));
	else
		text = g_strdup_printf("ashlar-fetch ended with code %d and no result",
				WEXITSTATUS(wait_status));
	g_autofree char *line = ash_order_format_failure("failed", NULL, text, true);
	g_autofree char *result = NULL;
	uint64_t unused = 0;
	gboolean is_ours = ash_order_parse_line(line, &unused, &unused, &result, NULL);
	g_assert(is_ours);
	return g_steal_pointer(&result);
}

static void answer(Link *link, const char *result)
{
	g_autoptr(GError) local = NULL;

	/* If ashlard is gone, it will give the order again; if it is another order by now, the answer to
	 * this one is ignored.
	 */
	if (!ash_bus_call_order_done(link->bus, link->id, result, &local))
		fprintf(stderr, "ashlar-link: answering order %" G_GUINT64_FORMAT ": %s\n",
				link->id, local->message);
}

static void on_exit_of_child(int wait_status, gpointer data)
{
	Link *link = data;
	g_autofree char *result = g_steal_pointer(&link->result);
	g_autofree char *next = g_steal_pointer(&link->next);

	link->child = NULL;
	if (!link->is_killed) {
		if (result == NULL)
			result = describe(wait_status);
		answer(link, result);
	}
	if (next != NULL)
		take_order(link, next);
}

static void start(Link *link, uint64_t id, const char *json)
{
	g_autoptr(GError) local = NULL;

	link->id = id;
	link->is_killed = false;
	link->progress_us = 0;
	g_clear_pointer(&link->result, g_free);
	if (ash_bus_spawn(link->bus, link->argv, json, ASH_ORDER_MAX_LINE_BYTES, on_line,
			    on_exit_of_child, link, &link->child, &local))
		return;
	g_autofree char *line = ash_order_format_failure("failed", NULL, local->message, true);
	g_autofree char *result = NULL;
	uint64_t unused = 0;
	if (ash_order_parse_line(line, &unused, &unused, &result, NULL))
		answer(link, result);
}

static void stop(Link *link)
{
	g_clear_pointer(&link->next, g_free);
	if (link->child == NULL || link->is_killed)
		return;
	link->is_killed = true;
	ash_bus_child_kill(link->child);
}

static void take_order(Link *link, const char *json)
{
	g_autoptr(GError) local = NULL;
	AshOrderVerb verb = ASH_ORDER_NONE;
	uint64_t id = 0;

	if (!ash_order_peek(json, &id, &verb, &local)) {
		fprintf(stderr, "ashlar-link: %s\n", local->message);
		return;
	}
	/* The same again: it is being done, or was answered. */
	if (id == link->id && verb != ASH_ORDER_NONE && !link->is_killed)
		return;
	stop(link);
	if (verb == ASH_ORDER_NONE)
		return;
	if (link->child != NULL)
		link->next = g_strdup(json);
	else
		start(link, id, json);
}

/* AshBusProperty */
static void on_order(const char *value, gpointer data)
{
	Link *link = data;
	g_autofree char *json = NULL;
	g_autoptr(GError) local = NULL;

	if (value == NULL) {
		stop(link);
		link->id = 0;
		return;
	}
	if (*value != '\0') {
		take_order(link, value);
		return;
	}
	/* Another ashlard counts its orders anew. */
	stop(link);
	link->id = 0;
	if (ash_bus_get_property(link->bus, "Order", &json, &local))
		take_order(link, json);
	else if (!g_error_matches(local, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_RUNNING))
		fprintf(stderr, "ashlar-link: %s\n", local->message);
}

static gboolean run(Link *link, GError **error)
{
	if (!ash_bus_new(&link->bus, error) || !ash_bus_connect(link->bus, error) ||
			!ash_bus_watch(link->bus, "Order", on_order, link, error))
		return FALSE;
	/* The watch tells what changes; what stands has to be asked for. */
	on_order("", link);
	link->fleet = ash_link_fleet_new(link->bus, link->checkin, link->identity);
	if (!ash_link_fleet_begin(link->fleet, error))
		return FALSE;
	/* What only the start needed. */
	ash_fleet_rest();
	return ash_bus_run(link->bus, error);
}

/* ---- the command line ------------------------------------------------------------------------ */

static char *root_option = NULL;
static char *staging_option = NULL;
static char *fetch_option = NULL;
static char *checkin_option = NULL;
static gboolean version_option = FALSE;

static const GOptionEntry entries[] = {
		{"root", 0, 0, G_OPTION_ARG_FILENAME, &root_option, "use the files below DIR",
				"DIR"},
		{"staging", 0, 0, G_OPTION_ARG_FILENAME, &staging_option,
				"where downloads go (default: " ASH_PATH_STAGING ")", "DIR"},
		{"fetch", 0, 0, G_OPTION_ARG_FILENAME, &fetch_option,
				"what downloads (default: " ASH_PATH_LIBEXEC "/ashlar-fetch)",
				"PROGRAM"},
		{"checkin", 0, 0, G_OPTION_ARG_FILENAME, &checkin_option,
				"what checks in with the fleet", "PROGRAM"},
		{"version", 0, 0, G_OPTION_ARG_NONE, &version_option, "print the version", NULL},
		{NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

static gboolean run_with_options(GError **error)
{
	const char *root = root_option != NULL ? root_option : "";
	g_autofree char *fetch = fetch_option != NULL ? g_strdup(fetch_option)
						      : g_strdup(ASH_PATH_LIBEXEC "/ashlar-fetch");
	g_autofree char *staging = staging_option != NULL
						   ? g_strdup(staging_option)
						   : g_strconcat(root, ASH_PATH_STAGING, NULL);
	g_autofree char *sysroot = g_strconcat(root, ASH_PATH_SYSROOT, NULL);
	g_autofree char *root_json = g_strconcat(root, ASH_PATH_ROOT_JSON, NULL);
	g_autofree char *identity = g_build_filename(staging, "fleet", NULL);
	Link link = {.argv = {fetch, "--staging", staging, "--sysroot", sysroot, "--root-json",
				     root_json, NULL},
			.checkin = checkin_option != NULL ? checkin_option
							  : ASH_PATH_LIBEXEC "/ashlar-checkin",
			.identity = identity};

	gboolean is_ok = run(&link, error);
	ash_bus_free(link.bus);
	ash_link_fleet_free(link.fleet);
	g_free(link.result);
	g_free(link.next);
	return is_ok;
}

int main(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, entries, NULL);
	g_option_context_set_summary(context,
			"Fetches for ashlard what it asks for, and checks in with the fleet.");
	if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
		fprintf(stderr, "ashlar-link: %s\n",
				error != NULL ? error->message : "takes no arguments; see --help");
		return ASH_EXIT_USAGE;
	}
	if (version_option) {
		puts("ashlar-link " ASH_VERSION);
		return ASH_EXIT_OK;
	}
	if (run_with_options(&error))
		return ASH_EXIT_OK;
	fprintf(stderr, "ashlar-link: %s\n", error->message);
	return ASH_EXIT_FAILED;
}
