/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fleet-rest.h"

#include <glib.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/auto.h"

enum {
	MAX_MAPPINGS = 512,
	MAX_LINE_BYTES = 512,
};

typedef struct {
	uintptr_t begin, end;
} Mapping;

/* "BEGIN-END r-xp …": of a file, and never written to. Code and constants alone are so; what was relocated has pages of
 * its own that no file could give back, although it is read-only by now.
 */
static bool parse_mapping(const char *line, Mapping *out_mapping)
{
	unsigned long begin = 0, end = 0, inode = 0;
	char rights[8] = "";

	if (sscanf(line, "%lx-%lx %7s %*s %*s %lu", &begin, &end, rights, &inode) != 4)
		return false;
	*out_mapping = (Mapping){begin, end};
	if (inode == 0 || (strcmp(rights, "r-xp") != 0 && strcmp(rights, "r--p") != 0))
		out_mapping->begin = out_mapping->end;
	return true;
}

void ash_fleet_rest(void)
{
	static Mapping mappings[MAX_MAPPINGS];
	Mapping current = {0};
	size_t count = 0;
	unsigned long kib = 0;
	char line[MAX_LINE_BYTES];

	malloc_trim(0);
	/* First all is read, then given back: reading needs code. */
	g_autoptr(AshStream) smaps = fopen("/proc/self/smaps", "re");
	while (smaps != NULL && count < MAX_MAPPINGS && fgets(line, sizeof line, smaps) != NULL) {
		if (parse_mapping(line, &current))
			continue;
		if (sscanf(line, "Anonymous: %lu kB", &kib) == 1 && kib == 0 &&
				current.begin < current.end)
			mappings[count++] = current;
	}
	for (size_t i = 0; i < count; i++)
		/* glibc's prototype has no const; nothing is written. */
		madvise((void *) mappings[i].begin, mappings[i].end - mappings[i].begin,
				MADV_DONTNEED);
}
