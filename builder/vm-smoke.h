/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/vm.h"

/* Boots an image and waits for the host's own word on how its boot ended. */

typedef struct {
	bool is_up;       /* running, and no unit has failed */
	char *reason;     /* when not: one line */
	char *console;    /* when not: the console's last lines, without escape sequences */
	char *state;      /* as systemd calls it; NULL when there was no report */
	char **failed;    /* names of units; NULL when there was no report */
	uint64_t boot_ms; /* of the guest's clock, from the kernel's start; 0: not told */
	uint64_t wall_ms; /* of ours, from power on to the report */
	bool has_kvm;
} AshVmReport;

void ash_vm_report_free(AshVmReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshVmReport, ash_vm_report_free)

/* ash_vm_smoke: that the host is not up is an answer, not an error. options->timeout_s 0: 3 minutes,
 * 10 in emulation. */
gboolean ash_vm_smoke(const AshVmOptions *options, AshVmReport **out_report, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Takes one line of the guest's into @report; true once nothing more is to come. The guest is not
 * trusted. PURE. Two ways to say it are understood, see builder/vm.h.
 */
bool ash_vm_report_parse(const char *line, AshVmReport *report);
