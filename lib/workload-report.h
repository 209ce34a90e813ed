/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "lib/workload.h"

/* What a workload may touch: every grant as one line, one score, and what changes between two versions.
 * PURE; the same for the host, the builder and the fleet.
 */

/* Grants in the order in which a report shows them. */
typedef enum {
	ASH_GRANT_ISOLATION,
	ASH_GRANT_NETWORK,
	ASH_GRANT_PUBLISH,
	ASH_GRANT_EGRESS,
	ASH_GRANT_REQUIRES,
	ASH_GRANT_PROVIDES,
	ASH_GRANT_VOLUME,
	ASH_GRANT_SECRET,
	ASH_GRANT_DEVICE,
	ASH_GRANT_CAPABILITY,
	ASH_GRANT_SYSTEM_CALL,
	ASH_GRANT_USER, /* may be root inside; boot: true */
	ASH_GRANT_RESOURCE,
	ASH_GRANT_SCOPE,
} AshGrantKind;

typedef struct {
	AshGrantKind kind;
	char *name; /* what makes it the same grant in another version: "net_bind_service", "8080/tcp" */
	char *text;      /* a line for people */
	unsigned points; /* of exposure, tenths; their sum is the score */
	uint64_t amount; /* RESOURCE, VOLUME: bytes or the like; wider when higher. 0 otherwise */
} AshGrant;

typedef struct {
	GPtrArray *grants; /* AshGrant, in the order of their kinds, then by name */
	unsigned score;    /* tenths: 0 touches nothing, 100 is the host itself; never above */
	/* "nothing" (no grant but what it runs in and uses up), "little", "much" (from 40), "the host"
	 * (from 80)
	 */
	const char *words;
	char **calls_removed; /* of the default profile, for ash_workload_report_diff */
} AshWorkloadReport;

const char *ash_grant_kind_name(AshGrantKind kind); /* "capability", … */

/* @effective: the class that it would really run in on this host; workload->isolation elsewhere. */
AshWorkloadReport *ash_workload_report(const AshWorkload *workload, AshIsolationClass effective);
void ash_workload_report_free(AshWorkloadReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshWorkloadReport, ash_workload_report_free)

/* Does the default profile leave @call out, or did it in some version? With it in a list of its own a workload has more
 * than the default.
 */
bool ash_workload_report_is_beyond(const char *call);

typedef struct {
	AshGrant *from, *to; /* borrowed from the reports; NULL: not there */
	bool is_wider;       /* `to` may touch more than `from` */
} AshGrantChange;

/* ash_workload_report_diff: AshGrantChange for each grant that is not the same, in the order of the report.
 * @out_is_wider: may `to` touch anything that `from` may not? A grant that another one of `from` has in
 * it (a network's part of a network, a mode below the host's own network) is not wider. Where that cannot
 * be known (is this system call in the default profile?) it is called wider.
 */
GPtrArray *ash_workload_report_diff(
		const AshWorkloadReport *from, const AshWorkloadReport *to, bool *out_is_wider);
