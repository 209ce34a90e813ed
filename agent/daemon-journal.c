/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/wait.h>

#include "agent/daemon.h"
#include "lib/checkin.h"

/* Why an update failed stands in the journal of the boot that failed. It is fetched once, in the next boot, by
 * journalctl, a process that ends; the fleet gets its end.
 */

enum {
	MAX_LINE_BYTES = 64 << 10,
	TIMEOUT_S = 60,
};

#define JOURNALCTL "/usr/bin/journalctl"

void ash_daemon_journal_clear(AshDaemonJournal *journal)
{
	if (journal->lines != NULL)
		g_string_free(journal->lines, TRUE);
	g_free(journal->text);
	g_free(journal->version);
	*journal = (AshDaemonJournal){.deadline_us = INT64_MAX};
}

void ash_daemon_journal_want(AshDaemon *daemon, const char *version, const char *boot)
{
	AshFleetMember *fleet = daemon->fleet;
	g_autofree char *new_version = g_strdup(version), *new_boot = g_strdup(boot);

	if (!ash_daemon_is_in_fleet(daemon))
		return;
	g_free(fleet->journal_version);
	g_free(fleet->journal_boot);
	fleet->journal_version = g_steal_pointer(&new_version);
	fleet->journal_boot = g_steal_pointer(&new_boot);
	fleet->journal_at_s = ash_daemon_now_s();
	ash_daemon_fleet_save(daemon);
}

static void on_line(const char *line, gpointer data)
{
	GString *lines = ((AshDaemon *) data)->journal.lines;
	g_autofree char *clean = ash_bus_printable(line, ASH_CHECKIN_MAX_TEXT);

	g_string_append(lines, clean);
	g_string_append_c(lines, '\n');
	/* The end counts; dropped a half at a time, not at each line. */
	if (lines->len <= 2 * ASH_CHECKIN_MAX_JOURNAL)
		return;
	const char *from = strchr(lines->str + lines->len - ASH_CHECKIN_MAX_JOURNAL, '\n');
	g_string_erase(lines, 0, from != NULL ? from + 1 - lines->str : (gssize) lines->len);
}

static char *take_end(GString *lines)
{
	if (lines->len <= ASH_CHECKIN_MAX_JOURNAL)
		return g_strdup(lines->str);
	const char *from = strchr(lines->str + lines->len - ASH_CHECKIN_MAX_JOURNAL, '\n');
	return g_strdup(from != NULL ? from + 1 : "");
}

static void end_order(AshDaemon *daemon, bool is_ok)
{
	if (daemon->journal.order == 0)
		return;
	ash_fleet_member_end_order(daemon->fleet, daemon->journal.order, is_ok,
			is_ok ? "here it is" : "there is no journal to send");
	daemon->journal.order = 0;
	ash_daemon_fleet_save(daemon);
}

/* A boot without a journal: nobody shall look for it at every start. */
static void give_up(AshDaemon *daemon, const char *why)
{
	g_warning("the journal for the fleet: %s", why);
	if (daemon->journal.order != 0) {
		end_order(daemon, false);
	} else {
		g_clear_pointer(&daemon->fleet->journal_boot, g_free);
		ash_daemon_fleet_save(daemon);
	}
	ash_daemon_journal_clear(&daemon->journal);
	ash_daemon_fleet_news(daemon);
}

static void on_exit_of_child(int wait_status, gpointer data)
{
	AshDaemon *daemon = data;
	AshDaemonJournal *journal = &daemon->journal;

	journal->child = NULL;
	journal->deadline_us = INT64_MAX;
	journal->text = take_end(journal->lines);
	if (*journal->text == '\0') {
		give_up(daemon, WIFEXITED(wait_status) ? "it is empty" : "journalctl was killed");
		return;
	}
	g_string_truncate(journal->lines, 0);
	end_order(daemon, true);
	ash_daemon_fleet_news(daemon);
}

void ash_daemon_journal_late(AshDaemon *daemon)
{
	daemon->journal.deadline_us = INT64_MAX;
	if (daemon->journal.child != NULL)
		ash_bus_child_kill(daemon->journal.child);
}

/* Which boot, and of which version; false: nothing is wanted, or not yet. */
static bool choose(AshDaemon *daemon, uint64_t order, const char **out_boot)
{
	AshDaemonJournal *journal = &daemon->journal;
	const AshFleetMember *fleet = daemon->fleet;
	const char *version = daemon->update->booted.version;

	*out_boot = "0";
	if (order == 0) {
		/* Not while the boot that failed still runs. */
		if (fleet->journal_boot == NULL ||
				strcmp(fleet->journal_boot, daemon->boot_id) == 0)
			return false;
		*out_boot = fleet->journal_boot;
		version = fleet->journal_version;
	}
	journal->order = order;
	journal->version = g_strdup(version != NULL ? version : "");
	journal->at_s = order == 0 ? fleet->journal_at_s : ash_daemon_now_s();
	return true;
}

/* journalctl does not know ids with hyphens, as the kernel writes them. */
static char *boot_option(const char *boot)
{
	if (!g_uuid_string_is_valid(boot))
		return g_strconcat("--boot=", boot, NULL);
	g_auto(GStrv) parts = g_strsplit(boot, "-", -1);
	g_autofree char *digits = g_strjoinv("", parts);
	return g_strconcat("--boot=", digits, NULL);
}

void ash_daemon_journal_begin(AshDaemon *daemon, uint64_t order)
{
	AshDaemonJournal *journal = &daemon->journal;
	const char *boot = NULL;
	g_autoptr(GError) local = NULL;

	if (journal->child != NULL || journal->text != NULL) {
		/* The one that is on its way goes first. */
		if (order != 0)
			ash_fleet_member_end_order(daemon->fleet, order, false,
					"another journal is on its way");
		return;
	}
	if (!ash_daemon_is_in_fleet(daemon) || !choose(daemon, order, &boot))
		return;
	g_autofree char *program = g_strconcat(daemon->root, JOURNALCTL, NULL);
	g_autofree char *which = boot_option(boot);
	const char *const argv[] = {program, which, "--no-pager", "--quiet", "--lines=500",
			"--output=short-iso", NULL};
	journal->lines = g_string_new(NULL);
	if (!ash_bus_spawn(daemon->bus, argv, NULL, MAX_LINE_BYTES, on_line, on_exit_of_child,
			    daemon, &journal->child, &local)) {
		give_up(daemon, local->message);
		return;
	}
	journal->deadline_us = ash_bus_now_us() + (int64_t) TIMEOUT_S * G_USEC_PER_SEC;
	ash_daemon_set_timer(daemon);
}

void ash_daemon_journal_acknowledge(AshDaemon *daemon, uint64_t serial)
{
	AshDaemonJournal *journal = &daemon->journal;

	if (journal->text == NULL || journal->sent == 0 || journal->sent > serial)
		return;
	if (daemon->fleet->journal_at_s == journal->at_s)
		g_clear_pointer(&daemon->fleet->journal_boot, g_free);
	ash_daemon_journal_clear(journal);
}
