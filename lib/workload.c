/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/workload.h"

#include <string.h>

#include "lib/error.h"
#include "lib/workload-key.h"

G_DEFINE_QUARK(ash_workload_error, ash_workload_error)

/* ---- words --------------------------------------------------------------------------------------- */

const char *ash_isolation_class_name(AshIsolationClass isolation)
{
	return ash_workload_classes[isolation];
}

const char *ash_isolation_strength_name(AshIsolationStrength strength)
{
	return ash_workload_strengths[strength];
}

AshIsolationStrength ash_isolation_class_strength(AshIsolationClass isolation)
{
	static const AshIsolationStrength strengths[] = {
			[ASH_ISOLATION_CLASS_SANDBOX] = ASH_ISOLATION_SANDBOX,
			[ASH_ISOLATION_CLASS_CONTAINER] = ASH_ISOLATION_CONTAINER,
			[ASH_ISOLATION_CLASS_USERKERNEL] = ASH_ISOLATION_USERKERNEL,
			[ASH_ISOLATION_CLASS_VM] = ASH_ISOLATION_HARDWARE,
			[ASH_ISOLATION_CLASS_VM_EMULATED] = ASH_ISOLATION_NONE,
	};

	return strengths[isolation];
}

bool ash_isolation_class_find(const char *name, AshIsolationClass *out_class)
{
	for (unsigned i = 0; ash_workload_classes[i] != NULL; i++) {
		if (strcmp(ash_workload_classes[i], name) != 0)
			continue;
		*out_class = (AshIsolationClass) i;
		return true;
	}
	return false;
}

const char *ash_network_mode_name(AshNetworkMode mode)
{
	return ash_workload_modes[mode];
}

bool ash_workload_is_name(const char *text)
{
	return ash_workload_form_matches(ASH_WORKLOAD_FORM_NAME, text);
}

bool ash_workload_is_pinned(const AshWorkload *workload)
{
	return *workload->image.digest != '\0';
}

/* ---- life ---------------------------------------------------------------------------------------- */

void ash_workload_port_free(gpointer port)
{
	g_free(((AshWorkloadPort *) port)->address);
	g_free(port);
}

void ash_workload_egress_free(gpointer egress)
{
	g_free(((AshWorkloadEgress *) egress)->target);
	g_free(egress);
}

void ash_workload_parameter_free(gpointer parameter)
{
	AshWorkloadParameter *gone = parameter;

	g_free(gone->name);
	g_free(gone->value);
	g_strfreev(gone->choices);
	g_free(gone);
}

void ash_workload_service_free(gpointer service)
{
	AshWorkloadService *gone = service;

	g_free(gone->name);
	g_free(gone->socket);
	g_strfreev(gone->call);
	g_free(gone);
}

void ash_workload_volume_free(gpointer volume)
{
	AshWorkloadVolume *gone = volume;

	g_free(gone->name);
	g_free(gone->path);
	g_free(gone);
}

void ash_workload_secret_free(gpointer secret)
{
	AshWorkloadSecret *gone = secret;

	g_free(gone->name);
	g_free(gone->path);
	g_free(gone);
}

static void clear_image(AshWorkloadImage *image)
{
	g_free(image->text);
	g_free(image->location);
	g_free(image->tag);
	g_free(image->digest);
}

static void clear_machine(AshWorkloadMachine *machine)
{
	g_free(machine->kernel);
	g_free(machine->initrd);
	g_free(machine->arguments);
	g_strfreev(machine->modules);
}

void ash_workload_free(AshWorkload *workload)
{
	if (workload == NULL)
		return;
	clear_image(&workload->image);
	clear_machine(&workload->machine);
	GPtrArray *lists[] = {workload->parameters, workload->provides, workload->requires,
			workload->volumes, workload->secrets, workload->network.publish,
			workload->network.egress};
	for (size_t i = 0; i < G_N_ELEMENTS(lists); i++)
		g_clear_pointer(&lists[i], g_ptr_array_unref);
	char **texts[] = {workload->command, workload->environment, workload->capabilities,
			workload->devices, workload->calls_added, workload->calls_removed,
			workload->calls_only, workload->after};
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		g_strfreev(texts[i]);
	g_free(workload->name);
	g_free(workload->version);
	g_free(workload->summary);
	g_free(workload->directory);
	g_free(workload->user);
	g_free(workload->network.name);
	g_free(workload->network.provider);
	ash_health_spec_free(workload->health);
	g_free(workload);
}
