/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/workload/workloadd.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"

enum {
	MAX_MEMINFO = 64 << 10,
	HOST_PART = 10, /* a tenth of the memory is the host's own */
};

/* MemTotal of /proc/meminfo; UINT64_MAX when nobody says. */
static uint64_t host_memory(const AshWorkloadd *daemon)
{
	g_autofree char *own = ash_workloadd_path(daemon, "/proc/meminfo");
	g_autoptr(GBytes) text = NULL;
	uint64_t kib = 0;

	if (!ash_file_read(AT_FDCWD, own, MAX_MEMINFO, &text, NULL) &&
			!ash_file_read(AT_FDCWD, "/proc/meminfo", MAX_MEMINFO, &text, NULL))
		return UINT64_MAX;
	const char *line = strstr(g_bytes_get_data(text, NULL), "MemTotal:");
	if (line == NULL || sscanf(line, "MemTotal: %" G_GINT64_MODIFIER "u kB", &kib) != 1)
		return UINT64_MAX;
	return kib << 10;
}

typedef struct {
	uint64_t memory_bytes;
	uint64_t cpu_milli;
} Sum;

/* Of all instances that live, but those of @but. */
static Sum sum_living(const AshWorkloadd *daemon, const char *but)
{
	Sum sum = {0};

	for (guint i = 0; i < daemon->units->len; i++) {
		const AshUnit *unit = daemon->units->pdata[i];
		const AshDefinition *active = ash_unit_active(unit);
		if (active == NULL || g_strcmp0(unit->machine->name, but) == 0)
			continue;
		for (guint k = 0; k < unit->machine->instances->len; k++) {
			const AshMachineInstance *instance = unit->machine->instances->pdata[k];
			bool counts = ash_instance_is_live(instance->state) ||
				      instance->state == ASH_INSTANCE_BACKOFF;
			/* Room for one call is always kept. */
			uint64_t times = !counts ? 0 : MAX(unit->calls->len, 1);
			sum.memory_bytes += active->workload->memory_bytes * times;
			sum.cpu_milli += active->workload->cpu_milli * times;
		}
	}
	return sum;
}

gboolean ash_workloadd_fits(AshWorkloadd *daemon, const AshWorkload *workload, unsigned instances,
		GError **error)
{
	/* 0: one more beside those of its own that live. */
	unsigned count = instances != 0 ? instances : 1;
	Sum sum = sum_living(daemon, instances != 0 ? workload->name : NULL);
	uint64_t memory = host_memory(daemon);
	uint64_t offered = memory == UINT64_MAX ? memory : memory - memory / HOST_PART;
	uint64_t processors = (uint64_t) MAX(sysconf(_SC_NPROCESSORS_ONLN), 1) * 1000;
	uint64_t wanted = workload->memory_bytes * count;
	uint64_t wanted_cpu = (uint64_t) workload->cpu_milli * count;

	if (sum.memory_bytes + wanted > offered) {
		g_autofree char *text_wanted = ash_text_size(wanted);
		g_autofree char *text_taken = ash_text_size(sum.memory_bytes);
		g_autofree char *text_offered = ash_text_size(offered);
		return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_FULL,
				"the host is too small: it wants %s of memory, others that run have %s, and there are %s for all",
				text_wanted, text_taken, text_offered);
	}
	if (sum.cpu_milli + wanted_cpu > processors)
		return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_FULL,
				"the host is too small: it wants %.3g processors, others that run have %.3g, and there are %.3g",
				(double) wanted_cpu / 1000, (double) sum.cpu_milli / 1000,
				(double) processors / 1000);
	return TRUE;
}
