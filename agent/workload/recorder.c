/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/recorder.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "agent/workload/filter.h"
#include "lib/auto.h"

enum {
	MAX_NUMBER = 1024
};

struct AshRecorder {
	int fd;
	bool is_called[MAX_NUMBER];
};

AshRecorder *ash_recorder_new(int listener_fd)
{
	AshRecorder *recorder = g_new0(AshRecorder, 1);

	recorder->fd = listener_fd;
	return recorder;
}

void ash_recorder_free(AshRecorder *recorder)
{
	if (recorder == NULL)
		return;
	ash_close_fd(&recorder->fd);
	g_free(recorder);
}

int ash_recorder_fd(const AshRecorder *recorder)
{
	return recorder->fd;
}

void ash_recorder_take(AshRecorder *recorder)
{
	struct seccomp_notif call = {0};
	struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	if (ioctl(recorder->fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
		/* ENOENT: who called was killed meanwhile. Anything else: nobody calls any more. */
		if (errno != EINTR && errno != EAGAIN && errno != ENOENT)
			ash_close_fd(&recorder->fd);
		else if (errno == ENOENT)
			return;
		return;
	}
	if (call.data.nr >= 0 && call.data.nr < MAX_NUMBER)
		recorder->is_called[call.data.nr] = true;
	answer.id = call.id;
	(void) !ioctl(recorder->fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

char *ash_recorder_names(const AshRecorder *recorder)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GString) text = g_string_new(NULL);

	for (int number = 0; number < MAX_NUMBER; number++) {
		char *name = recorder->is_called[number] ? ash_filter_call_name(number) : NULL;
		if (name != NULL)
			g_ptr_array_add(names, name);
	}
	if (names->len > 1)
		qsort(names->pdata, names->len, sizeof *names->pdata, compare_names);
	for (guint i = 0; i < names->len; i++)
		g_string_append_printf(text, "%s\n", (const char *) names->pdata[i]);
	return g_string_free(g_steal_pointer(&text), FALSE);
}
