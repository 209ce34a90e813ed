/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "agent/hostdoc.h"
#include "agent/provision-source.h"

/* What the host document changes on a host: ashlar-provision(8) runs this once at each boot, before the
 * network. A plan is made first and looked at or carried out afterwards.
 *
 *	/var/lib/ashlar/host.yaml            the document in force, as it came (0600: it holds tokens)
 *	/var/lib/ashlar/host.yaml.previous   the one before it
 *	/var/lib/ashlar/host-trial.json      read: which document is not to be used (agent/host-trial.h)
 *	/proc/sys/kernel/hostname            the document's name; else that of /etc/hostname; else "ashlar-"
 *	                                     and eight digits that follow from /etc/machine-id
 *	/run/systemd/network/40-ashlar-NN.network
 *	/run/systemd/timesyncd.conf.d/40-ashlar.conf
 *	/run/ashlar/ssh/authorized_keys      only while there are keys
 *	/var/lib/ashlar-ssh/host_ed25519     made once, where there are keys and ssh-keygen
 *	/run/ashlar/provision.json           the outcome, for ashlard
 *
 * Nothing is written to /etc: what is in force is in /var, which updates and rollbacks leave alone.
 *
 * provision.json: {"source":S,"where":…,"digest":SHA-256 of the document in force,"hostname":…,
 *	"changed":B,"error":…,"warnings":[…]}; S: "credential", "disk", "esp": the document came from
 *	there; "last", "previous": it was kept from an earlier boot; "none": there is none. "error" is
 *	there when a document was refused, or something could not be written.
 */

#define ASH_PROVISION_HOSTNAME "/proc/sys/kernel/hostname"

typedef struct {
	char *path; /* without the root */
	char *text; /* NULL: the file goes */
	unsigned mode;
} AshProvisionFile;

typedef struct {
	AshHostdoc *doc;    /* in force; never NULL */
	const char *source; /* as in provision.json */
	char *where;        /* for people; NULL: no document */
	char *digest;       /* NULL: no document */
	char *hostname;     /* NULL: cannot be told, stays as it is */
	bool is_changed;    /* another document than at the last boot */
	GPtrArray *files; /* AshProvisionFile, in the order in which they are written; only changes */
	GPtrArray *warnings;
	GError *refused; /* why the document at hand is not the one in force; NULL: it is */
} AshProvision;

void ash_provision_free(AshProvision *provision);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshProvision, ash_provision_free)

/* Looks for a document, judges it, and compares what follows from it with what is there. It always has
 * a result: a bad document is one, too.
 */
AshProvision *ash_provision_plan(const AshProvisionPlaces *places);

/* What would change, for people: "--- PATH" and lines with - and + for each file. "" for nothing. */
char *ash_provision_diff(const char *root, const AshProvision *provision);

/* Writes what changes, and the outcome. Goes on after a failure and reports the first. */
gboolean ash_provision_apply(const char *root, const AshProvision *provision, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* "ashlar-1a2b3c4d" from the text of /etc/machine-id, from which the id cannot be computed back; NULL
 * when @machine_id is none. PURE.
 */
char *ash_provision_default_hostname(const char *machine_id);
