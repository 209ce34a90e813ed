/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What another process has used; 0 when it is none. */

static double process_cpu_s(int pid)
{
	char path[64];
	char text[1024] = "";
	unsigned long user = 0;
	unsigned long system = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = pid > 0 ? fopen(path, "re") : NULL;
	if (file == NULL)
		return 0;
	if (fgets(text, sizeof text, file) != NULL && strrchr(text, ')') != NULL)
		sscanf(strrchr(text, ')') + 2,
				"%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
				&system);
	fclose(file);
	return (double) (user + system) / (double) sysconf(_SC_CLK_TCK);
}

static long process_kb(int pid)
{
	char path[64];
	char line[256];
	long kb = 0;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = pid > 0 ? fopen(path, "re") : NULL;
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kb) == 1)
			break;
	fclose(file);
	return kb;
}
