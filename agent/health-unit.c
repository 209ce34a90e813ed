/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/health-run.h"
#include "agent/paths.h"

/* The part of agent/health-run.h that is PURE. */

#define CHECK_PROGRAM ASH_PATH_LIBEXEC "/ashlar-check"
#define GRACE_US ((uint64_t) 2 * 1000 * 1000)

char **ash_health_argv(const AshHealthCheck *check)
{
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();

	if (check->kind == ASH_HEALTH_UNIT || check->error != NULL)
		return NULL;
	if (check->kind == ASH_HEALTH_COMMAND)
		return g_strdupv(check->command);
	g_autofree char *timeout = g_strdup_printf("%ums", check->timeout_ms);
	g_strv_builder_add_many(argv, CHECK_PROGRAM, "--timeout", timeout,
			ash_health_kind_name(check->kind), check->target, NULL);
	if (check->kind == ASH_HEALTH_SPACE) {
		g_autofree char *bytes = g_strdup_printf("%" G_GUINT64_FORMAT, check->bytes);
		g_autofree char *inodes = g_strdup_printf("%" G_GUINT64_FORMAT, check->inodes);
		g_strv_builder_add_many(argv, bytes, inodes, NULL);
	}
	return g_strv_builder_end(argv);
}

uint64_t ash_health_unit_timeout_us(const AshHealthCheck *check)
{
	uint64_t timeout_us = (uint64_t) check->timeout_ms * 1000;

	return check->kind == ASH_HEALTH_COMMAND ? timeout_us : timeout_us + GRACE_US;
}

/* Without what it printed. */
static char *describe_end(const AshHealthCheck *check, const char *result, int status)
{
	if (strcmp(result, "success") == 0)
		return g_strdup("exit code 0");
	/* systemd.exec(5): from 200 on the program was not even started, but for one that says so. */
	if (strcmp(result, "exit-code") == 0 && status == 203)
		return g_strdup_printf("cannot be run (exit code %d)", status);
	if (strcmp(result, "exit-code") == 0)
		return g_strdup_printf("exit code %d", status);
	if (strcmp(result, "timeout") == 0)
		return g_strdup_printf("not done within %u ms", check->timeout_ms);
	if (strcmp(result, "oom-kill") == 0)
		return g_strdup("used too much memory");
	if (strcmp(result, "signal") == 0 || strcmp(result, "core-dump") == 0)
		return g_strdup_printf("killed by signal %d", status);
	g_autofree char *word = ash_health_clean_text(result, strlen(result));
	return g_strdup_printf("could not be run (%s)", word);
}

bool ash_health_judge(const AshHealthCheck *check, const char *result, int status,
		const char *output, size_t size, char **out_text)
{
	bool is_passing = strcmp(result, "success") == 0;
	/* ashlar-check says what it saw; of other programs the exit code counts first. */
	bool is_ours = check->kind != ASH_HEALTH_COMMAND && strcmp(result, "exit-code") == 0 &&
		       status == 1;
	g_autofree char *printed = ash_health_clean_text(output, size);
	g_autofree char *end = describe_end(check, result, status);

	if (*printed == '\0')
		*out_text = g_steal_pointer(&end);
	else if (is_passing || is_ours)
		*out_text = g_steal_pointer(&printed);
	else
		*out_text = g_strdup_printf("%s: %s", end, printed);
	return is_passing;
}
