/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *wanted; /* "NAME:KIND", or NULL */

void ash_fault_enable(void)
{
	wanted = getenv("ASHLAR_FAULT");
}

bool ash_fault_hits(const char *name)
{
	size_t length = strlen(name);

	if (wanted == NULL || strncmp(wanted, name, length) != 0 || wanted[length] != ':')
		return false;
	const char *kind = wanted + length + 1;
	if (strcmp(kind, "kill") == 0)
		kill(getpid(), SIGKILL);
	errno = strcmp(kind, "enospc") == 0 ? ENOSPC : EIO;
	return true;
}
