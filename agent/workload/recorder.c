/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/recorder.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/syscall.h>

#include "agent/workload/filter-list.h"
#include "lib/auto.h"

enum {
	MAX_NUMBER = 1024
};

struct AshRecorder {
	int fd;
	bool is_allowed[MAX_NUMBER], is_called[MAX_NUMBER];
	bool has_personality; /* added: without its condition */
};

static void allow(AshRecorder *recorder, const AshFilterPolicy *policy)
{
	g_auto(GStrv) names = ash_filter_calls(policy);

	for (char **name = names; *name != NULL; name++) {
		int number = ash_filter_call_number(*name);
		if (number >= 0 && number < MAX_NUMBER)
			recorder->is_allowed[number] = true;
	}
}

AshRecorder *ash_recorder_new(int listener_fd, const AshFilterPolicy *policy)
{
	AshRecorder *recorder = g_new0(AshRecorder, 1);
	AshFilterPolicy default_profile = *policy;

	recorder->fd = listener_fd;
	recorder->has_personality =
			policy->added != NULL &&
			g_strv_contains((const char *const *) policy->added, "personality");
	default_profile.only = NULL;
	allow(recorder, policy);
	allow(recorder, &default_profile);
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

/* As the filter itself refuses it. */
static int refusal(int number)
{
	g_autofree char *name = ash_filter_call_name(number);

	return name != NULL && g_strv_contains(ash_filter_refused, name) ? -EPERM : -ENOSYS;
}

/* The one condition that a filter which refuses cannot say: it has three exceptions. */
static bool is_plain(const AshRecorder *recorder, const struct seccomp_data *call)
{
	uint64_t wanted = call->args[0];

	return recorder->has_personality || call->nr != SYS_personality || wanted == PER_LINUX ||
	       wanted == UINT32_MAX || wanted == UINT64_MAX;
}

void ash_recorder_take(AshRecorder *recorder)
{
	struct seccomp_notif call = {0};
	struct seccomp_notif_resp answer = {0};

	if (ioctl(recorder->fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
		/* ENOENT: who called was killed meanwhile. Anything else: nobody calls any more. */
		if (errno != EINTR && errno != EAGAIN && errno != ENOENT)
			ash_close_fd(&recorder->fd);
		else if (errno == ENOENT)
			return;
		return;
	}
	bool is_known = call.data.nr >= 0 && call.data.nr < MAX_NUMBER;
	if (is_known)
		recorder->is_called[call.data.nr] = true;
	answer.id = call.id;
	if (is_known && recorder->is_allowed[call.data.nr] && is_plain(recorder, &call.data))
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		answer.error = refusal(call.data.nr);
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
		g_autofree char *name =
				recorder->is_called[number] ? ash_filter_call_name(number) : NULL;
		if (name != NULL)
			g_ptr_array_add(names, g_strconcat(recorder->is_allowed[number] ? "" : "!",
							       name, NULL));
	}
	if (names->len > 1)
		qsort(names->pdata, names->len, sizeof *names->pdata, compare_names);
	for (guint i = 0; i < names->len; i++)
		g_string_append_printf(text, "%s\n", (const char *) names->pdata[i]);
	return g_string_free(g_steal_pointer(&text), FALSE);
}
