/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/interrupt.h"

#include <errno.h>
#include <gio/gio.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/error.h"

static volatile sig_atomic_t pending_signal = 0;
static int event_fd = -1;

static void on_signal(int number)
{
	int saved_errno = errno;
	const uint64_t one = 1;

	pending_signal = number;
	/* Full means that it is readable already. */
	if (event_fd >= 0 && write(event_fd, &one, sizeof one) < 0)
		errno = 0;
	errno = saved_errno;
}

void ash_interrupt_install(void)
{
	/* SA_RESETHAND: the second Ctrl-C has the default effect. */
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int) SA_RESETHAND};

	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

bool ash_interrupt_pending(void)
{
	return pending_signal != 0;
}

gboolean ash_interrupt_check(GError **error)
{
	if (pending_signal == 0)
		return TRUE;
	return ash_throw(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "interrupted");
}

int ash_interrupt_fd(void)
{
	return event_fd;
}

gboolean ash_interrupt_pause(unsigned ms, GError **error)
{
	GPollFD wait = {.fd = ash_interrupt_fd(), .events = G_IO_IN};

	g_poll(&wait, wait.fd >= 0 ? 1 : 0, (gint) ms);
	return ash_interrupt_check(error);
}
