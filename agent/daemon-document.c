/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>

#include "agent/daemon.h"
#include "agent/paths.h"
#include "lib/file.h"
#include "lib/json.h"

enum {
	MAX_OUTCOME_BYTES = 1 << 20,
};

static char *digest_of(const AshDaemon *daemon, const char *path)
{
	g_autofree char *full = g_strconcat(daemon->root, path, NULL);
	g_autoptr(GBytes) text = NULL;

	return ash_file_read(AT_FDCWD, full, ASH_HOSTDOC_MAX_BYTES, &text, NULL)
			       ? g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, text)
			       : NULL;
}

/* What ashlar-provision had to say at this boot is a mistake in the settings like any other. */
static void add_outcome(AshDaemon *daemon)
{
	g_autofree char *path = g_strconcat(daemon->root, ASH_PATH_RUN "/provision.json", NULL);
	g_autoptr(GStrvBuilder) warnings = g_strv_builder_new();
	g_autoptr(GBytes) text = NULL;
	g_autoptr(JsonNode) node = NULL;

	if (!ash_file_read(AT_FDCWD, path, MAX_OUTCOME_BYTES, &text, NULL) ||
			!ash_json_parse(text, MAX_OUTCOME_BYTES, 3, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node))
		return;
	const char *problem = ash_json_find_text(json_node_get_object(node), "error");
	if (problem == NULL)
		return;
	g_autofree char *line = g_strconcat("the host document: ", problem, NULL);
	g_strv_builder_add(warnings, line);
	for (char **old = daemon->warnings; *old != NULL; old++)
		g_strv_builder_add(warnings, *old);
	g_strfreev(daemon->warnings);
	daemon->warnings = g_strv_builder_end(warnings);
}

void ash_daemon_document_begin(AshDaemon *daemon)
{
	AshDaemonDocument *document = &daemon->document;
	const char *hurry = daemon->is_test ? g_getenv("ASHLAR_TRIAL") : NULL;
	uint64_t wait_s = ASH_HOST_TRIAL_S;

	if (hurry != NULL)
		(void) g_ascii_string_to_unsigned(hurry, 10, 1, 3600, &wait_s, NULL);
	add_outcome(daemon);
	document->digest = digest_of(daemon, ASH_PATH_STATE "/host.yaml");
	document->previous = digest_of(daemon, ASH_PATH_STATE "/host.yaml.previous");
	document->deadline_us = INT64_MAX;
	ash_host_trial_load(daemon->root, &document->trial);
	if (ash_host_trial_state(&document->trial, document->digest, document->previous) !=
			ASH_HOST_TRIAL_SETTLED)
		document->deadline_us = ash_bus_now_us() + (int64_t) wait_s * G_USEC_PER_SEC;
}

static bool save(AshDaemon *daemon)
{
	g_autoptr(GError) local = NULL;

	if (ash_host_trial_save(daemon->root, &daemon->document.trial, &local))
		return true;
	g_warning("%s", local->message);
	ash_host_trial_clear(&daemon->document.trial);
	ash_host_trial_load(daemon->root, &daemon->document.trial);
	return false;
}

void ash_daemon_document_contact(AshDaemon *daemon)
{
	AshDaemonDocument *document = &daemon->document;
	AshHostTrialState before = ash_host_trial_state(
			&document->trial, document->digest, document->previous);

	/* What cannot be written is true at the next contact, too. */
	if (!ash_host_trial_contact(&document->trial, document->digest, document->previous) ||
			!save(daemon))
		return;
	document->deadline_us = INT64_MAX;
	if (before == ASH_HOST_TRIAL_TRIED)
		ash_daemon_note(daemon, "document", "the host document is good: there is contact");
	if (before == ASH_HOST_TRIAL_RETURNED)
		ash_daemon_note(daemon, "document",
				"the host document that was tried stays left: there is contact without it");
}

void ash_daemon_document_late(AshDaemon *daemon)
{
	AshDaemonDocument *document = &daemon->document;
	AshUpdateState state = daemon->update->state;
	AshHostTrialState before = ash_host_trial_state(
			&document->trial, document->digest, document->previous);
	g_autoptr(GError) local = NULL;

	document->deadline_us = ash_bus_now_us() + daemon->wait_s * G_USEC_PER_SEC;
	/* A release on trial is judged first: it may be the reason. */
	if (!daemon->has_started || state == ASH_UPDATE_TRIAL || state == ASH_UPDATE_DEPLOYING ||
			state == ASH_UPDATE_SWITCHING || state == ASH_UPDATE_BLESSING ||
			state == ASH_UPDATE_CLEANING)
		return;
	/* It is written already where only the reboot did not come about. */
	if (!ash_host_trial_is_left(&document->trial, document->digest) &&
			before != ASH_HOST_TRIAL_SETTLED) {
		ash_host_trial_late(&document->trial, document->digest, document->previous,
				ash_daemon_now_s());
		if (!save(daemon))
			return;
		ash_daemon_note(daemon, "document",
				before == ASH_HOST_TRIAL_TRIED
						? "no contact since the host document changed: restarting into the one before"
						: "no contact with the document before either: restarting into the new one");
	}
	if (!ash_daemon_reboot(daemon, &local))
		g_warning("reboot: %s; trying again in %" G_GINT64_FORMAT " s", local->message,
				daemon->wait_s);
}

bool ash_daemon_forgive(AshDaemon *daemon, const char *what)
{
	bool is_all = strcmp(what, "all") == 0;
	bool is_document = (is_all || strcmp(what, "document") == 0) &&
			   ash_host_trial_forgive(&daemon->document.trial) && save(daemon);

	if (!ash_update_forgive(daemon->update, what) && !is_document)
		return false;
	ash_daemon_save(daemon);
	ash_daemon_note(daemon, "forgiven", what);
	return true;
}

void ash_daemon_document_clear(AshDaemonDocument *document)
{
	g_free(document->digest);
	g_free(document->previous);
	ash_host_trial_clear(&document->trial);
}
