/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* Standard input and outputs of a command that is run in an instance.
 *
 * A file or a device of the host's is nothing for it, and gVisor makes the property of its own user what it is given, be it
 * /dev/null or a terminal. So the command gets pipes, or for gVisor a terminal of its own, and this process carries the bytes.
 * What is a pipe or a socket already has somebody at its other end who knows, and goes through as it is. So does a terminal
 * in the other classes, whose filter refuses to type into it: who types ahead types for the shell.
 */
typedef struct AshStreams AshStreams;

/* Looks at 0, 1 and 2 of this process. @takes_terminals: those do not go through; with one as input and output the command gets
 * another of the same size.
 */
gboolean ash_streams_new(bool takes_terminals, AshStreams **out_streams, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* After fork, async-signal-safe: they become 0, 1 and 2. False with errno. */
bool ash_streams_take(const AshStreams *streams);
/* In the first process of the command: a session of its own, whose terminal it is. Nothing to do without one. */
bool ash_streams_lead(const AshStreams *streams);

/* Carries until @child has ended and what it wrote is through; reaps it. SIGTERM, SIGINT, SIGHUP and SIGQUIT end this process as
 * ever, with the terminal as it was.
 */
gboolean ash_streams_carry(AshStreams *streams, pid_t child, int *out_status, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

void ash_streams_free(AshStreams *streams);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshStreams, ash_streams_free)
