/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/workload/filter.h"
#include "agent/workload/launch.h"

/* What ashlar-enter needs to be started: the orders of enter.h, itself, and the socket for its answers. */
typedef struct {
	int orders_fd, program_fd;
	int answer_fd, far_fd; /* ours; what goes inside as ASH_ENTER_FD_ANSWER */
} AshEntry;
void ash_entry_free(AshEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshEntry, ash_entry_free)

typedef struct {
	char *const *command; /* NULL: the launch's */
	bool has_userns;      /* users inside are 0 to 65535, capabilities are theirs */
	bool is_init;         /* stays as first process */
	char *const *removed; /* paths inside; NULL */
} AshEntryHow;

/* Loads the filter too. ASH_LAUNCH_ERROR_REFUSED, where a grant cannot be given. */
gboolean ash_entry_new(const AshLaunch *launch, const AshEntryHow *how, AshEntry **out_entry,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ashlar-enter lies beside this program. */
char *ash_entry_program(void);

/* In a child before exec, system calls only: descriptors 3, 4 and 5 are what enter.h says. 0 or an errno. */
int ash_entry_place(const AshEntry *entry);

/* One answer of ashlar-enter, with the number of who sent it as this side counts; @out_text has
 * ASH_ENTER_MAX_ANSWER_BYTES and one more, *out_listener is -1 before. false: there is none. *out_is_end: nobody holds
 * the other end any more.
 */
bool ash_entry_take(
		int answer_fd, char *out_text, pid_t *out_pid, int *out_listener, bool *out_is_end);

/* "net_raw" → its bit; false for a name that is none. */
bool ash_entry_capability(const char *name, unsigned *out_bit);
/* "CAP_NET_RAW"; NULL beyond the last one that is known. */
char *ash_entry_capability_name(unsigned bit);
/* The bits of the launch's; of an init's own set with boot. Fails with ASH_LAUNCH_ERROR_REFUSED. */
gboolean ash_entry_capabilities(const AshLaunch *launch, uint64_t *out_set, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
AshFilterPolicy ash_entry_policy(const AshLaunch *launch);
