/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/auto.h"

#include <errno.h>

void ash_close_fd(int *fd)
{
	int saved_errno = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved_errno;
}
