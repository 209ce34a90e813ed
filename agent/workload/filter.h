/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Which system calls a workload may make, as programs for the kernel. The only seam to libseccomp.
 *
 * A list of what is allowed: what systemd's @system-service and Docker's default profile have in common,
 * without mounting, keyrings, modules, clocks, tracing, BPF, io_uring, userfaultfd, handles, protection keys
 * and namespaces. What is refused by name answers EPERM; everything else that is not listed, so also what
 * only a later kernel knows, answers ENOSYS, and libraries do without it. clone3 too: its flags cannot be
 * seen from a filter, and every libc falls back to clone.
 *
 * Four calls have conditions: clone makes no namespaces; socket opens unix, inet, inet6 and netlink's
 * routing protocol (libc asks that for names of interfaces and addresses; it tells only of the workload's
 * own network, and changes nothing without net_admin); ioctl does not push into terminals (TIOCSTI,
 * TIOCLINUX); personality only asks or is plain.
 *
 *	capabilities   bring the calls that are of no use without them (sys_chroot: chroot; net_raw: packet sockets)
 *	add            lifts conditions of a call too
 *	only           is the list in place of the default; conditions stay. execve, exit, exit_group,
 *	               rt_sigreturn and restart_syscall are always on it: without them nothing starts
 *	remove         has the last word
 */

#define ASH_FILTER_ERROR (ash_filter_error_quark())
GQuark ash_filter_error_quark(void);

typedef enum {
	ASH_FILTER_ERROR_CALL, /* a name that is no system call here */
	ASH_FILTER_ERROR_LIBRARY,
} AshFilterError;

enum {
	ASH_FILTER_PROGRAMS = 2,
	ASH_FILTER_MAX_BYTES = 1 << 20,
};

typedef struct {
	bool is_booted;    /* an init of its own: mounts, namespaces but users' */
	bool is_recording; /* every call is told to a listener, which decides (recorder.h) */
	char *const *capabilities, *const *added, *const *removed;
	char *const *only; /* NULL: the default */
} AshFilterPolicy;

typedef struct {
	GBytes *programs[ASH_FILTER_PROGRAMS]; /* arrays of struct sock_filter, in the order of loading */
} AshFilter;
void ash_filter_free(AshFilter *filter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshFilter, ash_filter_free)

/* Fifty milliseconds. */
gboolean ash_filter_build(const AshFilterPolicy *policy, AshFilter **out_filter, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* ash_filter_load: the same, kept in the directory @cache under all that it depends on. A cache that cannot
 * be written is no failure.
 */
gboolean ash_filter_load(const char *cache, const AshFilterPolicy *policy, AshFilter **out_filter,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Names that @policy allows, conditions or not; sorted. */
char **ash_filter_calls(const AshFilterPolicy *policy);

/* The number of a call here, negative for none; and the name of a number, NULL for none. */
int ash_filter_call_number(const char *name);
char *ash_filter_call_name(int number);
