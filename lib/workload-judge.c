/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/text.h"
#include "lib/workload-key.h"

/* What no key decides alone. Each rule says why, as a person will read it. */

typedef struct {
	const AshYamlNode *root;
	const AshWorkload *workload;
} Case;

/* The node of "network.publish", of its item @index, or the nearest one around that was written. */
static const AshYamlNode *locate(const Case *c, const char *path, guint index)
{
	g_auto(GStrv) keys = g_strsplit(path, ".", -1);
	const AshYamlNode *node = c->root;

	for (char **key = keys; *key != NULL; key++) {
		const AshYamlNode *inner = ash_yaml_get(node, *key);
		if (inner == NULL)
			return node;
		node = inner;
	}
	return node->kind == ASH_YAML_LIST && index < node->items->len ? node->items->pdata[index]
								       : node;
}

#define REFUSE(c, path, index, ...)                                                                \
	return ash_workload_throw(locate(c, path, index), error, "'" path "': " __VA_ARGS__)

static bool is_guest(const AshWorkload *workload)
{
	return workload->isolation == ASH_ISOLATION_CLASS_VM ||
	       workload->isolation == ASH_ISOLATION_CLASS_VM_EMULATED;
}

static bool has_host_kernel(const AshWorkload *workload)
{
	return workload->isolation == ASH_ISOLATION_CLASS_SANDBOX ||
	       workload->isolation == ASH_ISOLATION_CLASS_CONTAINER;
}

static const char *class_of(const AshWorkload *workload)
{
	return ash_isolation_class_name(workload->isolation);
}

/* ---- what it runs in ----------------------------------------------------------------------------- */

static gboolean judge_isolation(const Case *c, GError **error)
{
	const AshWorkload *w = c->workload;

	if (w->at_least > ash_isolation_class_strength(w->isolation))
		REFUSE(c, "isolation.at-least", 0, "%s never gives '%s'", class_of(w),
				ash_isolation_strength_name(w->at_least));
	if (w->is_booted && !is_guest(w) && w->isolation != ASH_ISOLATION_CLASS_CONTAINER)
		REFUSE(c, "boot", 0,
				"an image's own init needs a container or a vm, and this is a %s",
				class_of(w));
	if (w->is_booted && w->command != NULL)
		REFUSE(c, "command", 0,
				"with 'boot' the image's own init is what runs; start the program "
				"from a unit in the image");
	if (w->machine.contract == ASH_MACHINE_HOST_KERNEL)
		return TRUE;
	if (!is_guest(w))
		REFUSE(c, "machine", 0, "a kernel of its own needs a vm, and this is a %s",
				class_of(w));
	if (w->is_booted || w->command != NULL)
		REFUSE(c, "machine", 0,
				"its own kernel decides what runs; 'boot' and 'command' mean nothing "
				"beside it");
	if (*w->environment != NULL || w->directory != NULL || w->user != NULL)
		REFUSE(c, "machine", 0,
				"its own kernel decides what runs; 'environment', 'directory' and 'user' "
				"mean nothing beside it");
	if (*w->machine.initrd != '\0' && w->machine.contract != ASH_MACHINE_LINUX)
		REFUSE(c, "machine.initrd", 0, "only the contract 'linux' has one");
	if (*w->machine.modules != NULL && w->machine.contract != ASH_MACHINE_MULTIBOOT)
		REFUSE(c, "machine.modules", 0, "only the contract 'multiboot' has them");
	return TRUE;
}

/* What is put into it by parameters is known later. */
static gboolean judge_command(const Case *c, GError **error)
{
	if (c->workload->command != NULL && *c->workload->command[0] == '\0')
		REFUSE(c, "command", 0,
				"its first item is the program, and this is empty; without 'command' "
				"the image's own is started");
	return TRUE;
}

static gboolean judge_user(const Case *c, GError **error)
{
	g_auto(GStrv) parts =
			g_strsplit(c->workload->user != NULL ? c->workload->user : "", ":", 2);

	for (char **part = parts; *part != NULL; part++)
		if (g_ascii_isdigit(**part) &&
				!g_ascii_string_to_unsigned(*part, 10, 0, 65534, NULL, NULL))
			REFUSE(c, "user", 0, "a number is 0 to 65534");
	return TRUE;
}

/* ---- what it may do ------------------------------------------------------------------------------ */

/* Linux 6.12's, in the order of their numbers. */
static const char *const capability_names[] = {"chown", "dac_override", "dac_read_search", "fowner",
		"fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable",
		"net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock",
		"ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct",
		"sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config",
		"mknod", "lease", "audit_write", "audit_control", "setfcap", "mac_override",
		"mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon",
		"bpf", "checkpoint_restore", NULL};

/* They act on what there is once: the host's kernel, clock, disks and logs. */
static const char *const host_capabilities[] = {"audit_control", "audit_read", "block_suspend",
		"bpf", "dac_read_search", "mac_admin", "mac_override", "perfmon", "sys_boot",
		"sys_module", "sys_pacct", "sys_rawio", "sys_time", "syslog", "wake_alarm", NULL};

/* A sandbox has no users of its own: what these do ends at its own network and processes. */
static const char *const sandbox_capabilities[] = {
		"ipc_lock", "net_bind_service", "net_broadcast", "net_raw", NULL};

static gboolean judge_capability(const Case *c, guint i, const char *name, GError **error)
{
	if (!g_strv_contains(capability_names, name)) {
		g_autofree char *suggestion = ash_text_suggestion(name, capability_names);
		REFUSE(c, "capabilities", i, "Linux has no capability '%s'%s", name, suggestion);
	}
	if (g_strv_contains(host_capabilities, name))
		REFUSE(c, "capabilities", i,
				"'%s' acts on the host itself, which no workload may do", name);
	if (c->workload->isolation == ASH_ISOLATION_CLASS_SANDBOX &&
			!g_strv_contains(sandbox_capabilities, name))
		REFUSE(c, "capabilities", i,
				"'%s' in a sandbox, which has no users of its own, would hold on the "
				"host; take 'isolation: container'",
				name);
	return TRUE;
}

/* In the order in which they were written, which is not that of the sorted list. */
static guint written_index(const Case *c, const char *path, const char *text)
{
	const AshYamlNode *list = locate(c, path, G_MAXUINT);

	for (guint i = 0; list->kind == ASH_YAML_LIST && i < list->items->len; i++) {
		const AshYamlNode *item = list->items->pdata[i];
		if (item->kind == ASH_YAML_SCALAR && strcmp(item->scalar, text) == 0)
			return i;
	}
	return 0;
}

static gboolean judge_capabilities(const Case *c, GError **error)
{
	for (char **name = c->workload->capabilities; *name != NULL; name++)
		if (!judge_capability(c, written_index(c, "capabilities", *name), *name, error))
			return FALSE;
	return TRUE;
}

static gboolean judge_device(const Case *c, guint i, const char *path, GError **error)
{
	/* Whoever has one of these has the host. */
	static const char *const refused[] = {"/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg",
			"/dev/core", "/dev/sd*", "/dev/hd*", "/dev/vd*", "/dev/xvd*", "/dev/nvme*",
			"/dev/mmcblk*", "/dev/md*", "/dev/dm-*", "/dev/loop*", "/dev/nbd*",
			"/dev/sr*", "/dev/sg*", "/dev/bsg/*", "/dev/zram*", "/dev/ram*",
			"/dev/mapper/*", "/dev/disk/*", "/dev/block/*", "/dev/mtd*", "/dev/cpu/*",
			"/dev/uinput", "/dev/uhid", "/dev/vfio/*", "/dev/userfaultfd", "/dev/shm*",
			"/dev/mqueue*", "/dev/pts*", "/dev/fd*", "/dev/hugepages*", "/dev/tty*",
			"/dev/console", "/dev/vcs*", "/dev/watchdog*", "/dev/efi_capsule_loader",
			"/dev/tpm*", "/dev/nvram", "/dev/autofs", "/dev/cuse", "/dev/btrfs-control",
			"/dev/ptmx"};

	for (size_t j = 0; j < G_N_ELEMENTS(refused); j++)
		if (g_pattern_match_simple(refused[j], path))
			REFUSE(c, "devices", i, "'%s' reaches the host itself, or is not a device",
					path);
	return TRUE;
}

static gboolean judge_devices(const Case *c, GError **error)
{
	const AshWorkload *w = c->workload;

	if (*w->devices != NULL && !has_host_kernel(w))
		REFUSE(c, "devices", 0,
				"a %s has a kernel of its own and none of the host's devices",
				class_of(w));
	for (char **path = w->devices; *path != NULL; path++)
		if (!judge_device(c, written_index(c, "devices", *path), *path, error))
			return FALSE;
	return TRUE;
}

static gboolean judge_call_names(const Case *c, const char *path, char **names, GError **error)
{
	for (; names != NULL && *names != NULL; names++) {
		if (ash_workload_is_call(*names))
			continue;
		g_autofree char *suggestion = ash_text_suggestion(*names, ash_workload_calls);
		return ash_workload_throw(locate(c, path, written_index(c, path, *names)), error,
				"'%s': Linux has no system call '%s'%s", path, *names, suggestion);
	}
	return TRUE;
}

static gboolean judge_calls(const Case *c, GError **error)
{
	static const char *const refused[] = {"init_module", "finit_module", "delete_module",
			"kexec_load", "kexec_file_load", "iopl", "ioperm", NULL};
	const AshWorkload *w = c->workload;
	bool has_changes = *w->calls_added != NULL || *w->calls_removed != NULL;

	if ((has_changes || w->calls_only != NULL) && !has_host_kernel(w))
		REFUSE(c, "system-calls", 0,
				"a %s has a kernel of its own, whose calls are not the host's",
				class_of(w));
	if (has_changes && w->calls_only != NULL)
		REFUSE(c, "system-calls.only", 0,
				"it is the whole list; 'add' and 'remove' change "
				"the default profile");
	if (!judge_call_names(c, "system-calls.add", w->calls_added, error) ||
			!judge_call_names(c, "system-calls.remove", w->calls_removed, error) ||
			!judge_call_names(c, "system-calls.only", w->calls_only, error))
		return FALSE;
	for (char **call = w->calls_added; *call != NULL; call++) {
		if (g_strv_contains(refused, *call))
			REFUSE(c, "system-calls.add", written_index(c, "system-calls.add", *call),
					"'%s' changes the host's kernel, which no workload may do",
					*call);
		if (g_strv_contains((const char *const *) w->calls_removed, *call))
			REFUSE(c, "system-calls.remove",
					written_index(c, "system-calls.remove", *call),
					"'%s' is added as well", *call);
	}
	for (char **call = w->calls_only; call != NULL && *call != NULL; call++)
		if (g_strv_contains(refused, *call))
			REFUSE(c, "system-calls.only", written_index(c, "system-calls.only", *call),
					"'%s' changes the host's kernel, which no workload may do",
					*call);
	return TRUE;
}

/* ---- life ---------------------------------------------------------------------------------------- */

static gboolean judge_health(const Case *c, GError **error)
{
	const GPtrArray *checks = c->workload->health->checks;

	for (guint i = 0; i < checks->len; i++) {
		const AshHealthCheck *check = checks->pdata[i];
		if (check->kind == ASH_HEALTH_UNIT && !c->workload->is_booted)
			REFUSE(c, "health.checks", 0,
					"check '%s' looks at a unit, and without 'boot: true' there is "
					"no systemd inside",
					check->name);
	}
	return TRUE;
}

static gboolean judge_disposable(const Case *c, GError **error)
{
	const AshWorkload *w = c->workload;
	bool has_call = false;

	if (!w->is_disposable)
		return TRUE;
	for (guint i = 0; i < w->provides->len; i++) {
		const AshWorkloadService *service = w->provides->pdata[i];
		has_call = has_call || service->call != NULL;
		if (service->call == NULL)
			REFUSE(c, "provides", i,
					"what is disposable lives for one call and has no "
					"socket that others could wait at");
	}
	if (!has_call)
		REFUSE(c, "disposable", 0, "it lives for one call, and 'provides' has none");
	for (guint i = 0; i < w->volumes->len; i++)
		if (!((const AshWorkloadVolume *) w->volumes->pdata[i])->is_read_only)
			REFUSE(c, "volumes", i,
					"nothing stays of what is disposable, so a volume "
					"has to be read-only");
	if (w->is_booted || w->instances > 1 || w->heartbeat_ms > 0 ||
			w->network.publish->len > 0 || w->is_required)
		REFUSE(c, "disposable", 0,
				"it lives for one call; 'boot', 'instances', "
				"'heartbeat', 'publish' and 'required' are for what stays");
	return TRUE;
}

static gboolean judge_life(const Case *c, GError **error)
{
	const AshWorkload *w = c->workload;

	if (w->restart.longest_ms < w->restart.first_ms)
		REFUSE(c, "restart.longest", 0, "it is shorter than the first wait");
	if (w->instances > 1 && w->network.publish->len > 0)
		REFUSE(c, "network.publish", 0,
				"a port of the host leads to one instance, and there are %u; publish "
				"from one workload before them",
				w->instances);
	for (char **name = w->after; *name != NULL; name++)
		if (strcmp(*name, w->name) == 0)
			REFUSE(c, "after", written_index(c, "after", *name),
					"it cannot wait for itself");
	return judge_health(c, error) && judge_disposable(c, error);
}

/* ---- parameters ---------------------------------------------------------------------------------- */

static gboolean judge_parameter(
		const Case *c, guint i, const AshWorkloadParameter *p, GError **error)
{
	const AshYamlNode *node = locate(c, "parameters", i);
	bool has_range = ash_yaml_get(node, "min") != NULL || ash_yaml_get(node, "max") != NULL;

	for (guint j = 0; j < i; j++) {
		const AshWorkloadParameter *other = c->workload->parameters->pdata[j];
		if (strcmp(other->name, p->name) == 0)
			REFUSE(c, "parameters", i, "there are two of the name '%s'", p->name);
	}
	if ((*p->choices != NULL) != (p->type == ASH_PARAMETER_CHOICE))
		REFUSE(c, "parameters", i, "'%s': 'choices' and 'type: choice' belong together",
				p->name);
	if (has_range && p->type != ASH_PARAMETER_INT && p->type != ASH_PARAMETER_STRING)
		REFUSE(c, "parameters", i, "'%s': 'min' and 'max' are for int and string", p->name);
	if (p->type == ASH_PARAMETER_STRING &&
			(p->min != 0 || p->max < 1 || p->max > ASH_WORKLOAD_MAX_TEXT_BYTES))
		REFUSE(c, "parameters", i,
				"'%s': of a string, 'max' is 1 to %d and there is no 'min'",
				p->name, ASH_WORKLOAD_MAX_TEXT_BYTES);
	if (p->min > p->max)
		REFUSE(c, "parameters", i, "'%s': 'min' is above 'max'", p->name);
	g_autofree char *expected =
			p->value != NULL ? ash_workload_parameter_expected(p, p->value) : NULL;
	if (expected != NULL)
		REFUSE(c, "parameters", i, "'%s': the default is not %s", p->name, expected);
	return TRUE;
}

static gboolean judge_names(const Case *c, const char *key, char **texts, GError **error)
{
	for (guint i = 0; texts != NULL && texts[i] != NULL; i++) {
		g_autofree char *unknown = ash_workload_unknown_name(c->workload, texts[i]);
		if (unknown != NULL)
			return ash_workload_throw(locate(c, key, i), error,
					"'%s': there is no parameter '%s'; a literal ${ is written "
					"$${",
					key, unknown);
	}
	return TRUE;
}

static gboolean judge_parameters(const Case *c, GError **error)
{
	const AshWorkload *w = c->workload;

	for (guint i = 0; i < w->parameters->len; i++)
		if (!judge_parameter(c, i, w->parameters->pdata[i], error))
			return FALSE;
	return judge_names(c, "command", w->command, error) &&
	       judge_names(c, "environment", w->environment, error);
}

gboolean ash_workload_judge(const AshYamlNode *root, const AshWorkload *workload, GError **error)
{
	Case c = {.root = root, .workload = workload};

	return judge_isolation(&c, error) && judge_command(&c, error) && judge_user(&c, error) &&
	       judge_parameters(&c, error) && judge_capabilities(&c, error) &&
	       judge_devices(&c, error) && judge_calls(&c, error) &&
	       ash_workload_judge_network(root, workload, error) &&
	       ash_workload_judge_paths(root, workload, error) && judge_life(&c, error);
}
