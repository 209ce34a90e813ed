/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "agent/workload/instance-private.h"
#include "agent/workload/qemu.h"
#include "lib/error.h"

typedef struct {
	AshIsolationClass isolation;
	const char *program, *package;
} Need;

static const Need needs[] = {
		{ASH_ISOLATION_CLASS_CONTAINER, "/usr/bin/systemd-nspawn", "systemd-container"},
		{ASH_ISOLATION_CLASS_USERKERNEL, "/usr/bin/runsc", "runsc"}};

static gboolean refuse(GError **error, const char *isolation, const char *why)
{
	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
			"isolation '%s' cannot be had here: %s", isolation, why);
}

bool ash_instance_is_machine(const AshLaunch *launch)
{
	return launch->isolation == ASH_ISOLATION_CLASS_VM ||
	       launch->isolation == ASH_ISOLATION_CLASS_VM_EMULATED;
}

gboolean ash_instance_effective(
		const AshLaunch *launch, AshIsolationClass *out_effective, GError **error)
{
	const char *name = ash_isolation_class_name(launch->isolation);

	for (size_t i = 0; i < G_N_ELEMENTS(needs); i++) {
		g_autofree char *why = g_strdup_printf(
				"%s is missing (package %s)", needs[i].program, needs[i].package);
		if (needs[i].isolation == launch->isolation && access(needs[i].program, X_OK) < 0)
			return refuse(error, name, why);
	}
	if (ash_instance_is_machine(launch))
		return ash_qemu_effective(launch, out_effective, error);
	if (launch->is_booted && launch->isolation != ASH_ISOLATION_CLASS_CONTAINER)
		return refuse(error, name, "an init of its own (boot) runs in container and vm");
	AshIsolationStrength strength = ash_isolation_class_strength(launch->isolation);
	if (strength < launch->at_least)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"isolation '%s' is of strength '%s', and at least '%s' is demanded",
				name, ash_isolation_strength_name(strength),
				ash_isolation_strength_name(launch->at_least));
	*out_effective = launch->isolation;
	return TRUE;
}
