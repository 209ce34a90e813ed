/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/workload-report.h"

#include <inttypes.h>
#include <string.h>

#include "lib/text.h"

/* Points are tenths of what having the host would be. They are a measure for comparing, with one promise:
 * another grant never makes the sum less.
 */

enum {
	MAX_SCORE = 100,
	MUCH = 40,
	THE_HOST = 80,
};

void ash_workload_report_free(AshWorkloadReport *report)
{
	if (report == NULL)
		return;
	g_ptr_array_unref(report->grants);
	g_strfreev(report->calls_removed);
	g_free(report);
}

static void grant_free(gpointer data)
{
	AshGrant *grant = data;

	g_free(grant->name);
	g_free(grant->text);
	g_free(grant);
}

const char *ash_grant_kind_name(AshGrantKind kind)
{
	static const char *const names[] = {
			[ASH_GRANT_ISOLATION] = "isolation",
			[ASH_GRANT_NETWORK] = "network",
			[ASH_GRANT_PUBLISH] = "publish",
			[ASH_GRANT_EGRESS] = "egress",
			[ASH_GRANT_REQUIRES] = "requires",
			[ASH_GRANT_PROVIDES] = "provides",
			[ASH_GRANT_VOLUME] = "volume",
			[ASH_GRANT_SECRET] = "secret",
			[ASH_GRANT_DEVICE] = "device",
			[ASH_GRANT_CAPABILITY] = "capability",
			[ASH_GRANT_SYSTEM_CALL] = "system-call",
			[ASH_GRANT_USER] = "user",
			[ASH_GRANT_RESOURCE] = "resource",
			[ASH_GRANT_SCOPE] = "scope",
	};

	return names[kind];
}

G_GNUC_PRINTF(6, 7)
static void add(AshWorkloadReport *report, AshGrantKind kind, const char *name, unsigned points,
		uint64_t amount, const char *format, ...)
{
	AshGrant *grant = g_new0(AshGrant, 1);
	va_list args;

	va_start(args, format);
	grant->text = g_strdup_vprintf(format, args);
	va_end(args);
	grant->kind = kind;
	grant->name = g_strdup(name);
	grant->points = points;
	grant->amount = amount;
	g_ptr_array_add(report->grants, grant);
}

/* A name's own points, or @otherwise. */
typedef struct {
	const char *name;
	unsigned points;
} Points;

static unsigned points_of(const Points *table, size_t n, const char *name, unsigned otherwise)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].points;
	return otherwise;
}

/* ---- what it runs in ----------------------------------------------------------------------------- */

static void add_isolation(AshWorkloadReport *report, const AshWorkload *w, AshIsolationClass class)
{
	static const struct {
		unsigned points;
		const char *text;
	} walls[] = {
			[ASH_ISOLATION_NONE] = {9, "nothing that is promised"},
			[ASH_ISOLATION_SANDBOX] = {8, "the host's kernel, behind a filter"},
			[ASH_ISOLATION_CONTAINER] = {5, "the host's kernel, with users of its own"},
			[ASH_ISOLATION_USERKERNEL] = {2, "a kernel in user space"},
			[ASH_ISOLATION_HARDWARE] = {0, "hardware of its own"},
	};
	AshIsolationStrength strength = ash_isolation_class_strength(class);

	/* Weaker is more. */
	add(report, ASH_GRANT_ISOLATION, "class", walls[strength].points,
			ASH_ISOLATION_HARDWARE - strength, "%s: %s",
			ash_isolation_class_name(class), walls[strength].text);
	add(report, ASH_GRANT_ISOLATION, "at-least", 0, ASH_ISOLATION_HARDWARE - w->at_least,
			"never with less than: %s", ash_isolation_strength_name(w->at_least));
}

/* ---- network ------------------------------------------------------------------------------------- */

static void add_peers(AshWorkloadReport *report, const AshWorkloadNetwork *network)
{
	const char *mode = ash_network_mode_name(network->mode);
	g_autofree char *name = g_strdup_printf("others %s/%s", mode, network->name);

	add(report, ASH_GRANT_NETWORK, name, network->is_isolated ? 3 : 5, !network->is_isolated,
			"other workloads on the %s network%s%s%s", mode,
			*network->name != '\0' ? " " : "", network->name,
			network->is_isolated ? " that are not isolated" : "");
}

static void add_egress(AshWorkloadReport *report, const AshWorkloadEgress *egress)
{
	g_autofree char *name = ash_workload_egress_text(egress);
	bool is_all = strcmp(egress->target, "*") == 0;
	unsigned points = is_all && egress->port == 0 ? 20 : is_all ? 10 : egress->is_name ? 3 : 5;

	add(report, ASH_GRANT_EGRESS, name, points, 0, "may connect to %s",
			is_all && egress->port == 0 ? "everything" : name);
}

static void add_port(AshWorkloadReport *report, const AshWorkloadPort *port)
{
	bool is_local = strcmp(port->address, "::1") == 0 ||
			g_str_has_prefix(port->address, "127.");
	g_autofree char *name = g_strdup_printf("%s%s%u/%s", port->address,
			*port->address != '\0' ? " " : "", port->host_port,
			port->is_udp ? "udp" : "tcp");

	add(report, ASH_GRANT_PUBLISH, name, is_local ? 2 : 5, 0,
			"port %s of %s leads to its port %u", name,
			is_local ? "the host itself" : "the host", port->port);
}

static void add_network(AshWorkloadReport *report, const AshWorkloadNetwork *network)
{
	switch (network->mode) {
	case ASH_NETWORK_NONE:
		return;
	case ASH_NETWORK_HOST:
		add(report, ASH_GRANT_NETWORK, "host", 60, 0,
				"the host's own network, and all that listens on it");
		return;
	case ASH_NETWORK_BRIDGED: {
		g_autofree char *bridge = g_strconcat("bridge ", network->name, NULL);
		add(report, ASH_GRANT_NETWORK, bridge, 40, !network->is_isolated,
				"all that is on the host's bridge %s%s", network->name,
				network->is_isolated ? ", but what is isolated too" : "");
		return;
	}
	case ASH_NETWORK_PROVIDER: {
		g_autofree char *provider = g_strconcat("provider ", network->provider, NULL);
		add(report, ASH_GRANT_NETWORK, provider, 4, 0, "a way out through the workload %s",
				network->provider);
		break;
	}
	case ASH_NETWORK_NATNET:
		add_peers(report, network);
		add(report, ASH_GRANT_NETWORK, "out", 4, 0,
				"names, and a way out for what follows");
		break;
	case ASH_NETWORK_NAT:
		add(report, ASH_GRANT_NETWORK, "out", 4, 0,
				"names, and a way out for what follows");
		break;
	case ASH_NETWORK_HOSTONLY:
		add_peers(report, network);
		add(report, ASH_GRANT_NETWORK, "services of the host", 10, 0,
				"what listens on the host");
		break;
	case ASH_NETWORK_INTERNAL:
		add_peers(report, network);
		break;
	}
	for (guint i = 0; i < network->publish->len; i++)
		add_port(report, network->publish->pdata[i]);
	for (guint i = 0; i < network->egress->len; i++)
		add_egress(report, network->egress->pdata[i]);
}

/* ---- things -------------------------------------------------------------------------------------- */

static void add_services(AshWorkloadReport *report, const AshWorkload *w)
{
	for (guint i = 0; i < w->requires->len; i++) {
		const AshWorkloadService *service = w->requires->pdata[i];
		add(report, ASH_GRANT_REQUIRES, service->name, 2, 0,
				"%s the service %s, where routed",
				service->socket != NULL ? "reaches" : "calls", service->name);
	}
	for (guint i = 0; i < w->provides->len; i++) {
		const AshWorkloadService *service = w->provides->pdata[i];
		add(report, ASH_GRANT_PROVIDES, service->name, 1, 0,
				"%s the service %s, where routed",
				service->socket != NULL ? "listens as" : "is called as",
				service->name);
	}
}

static void add_files(AshWorkloadReport *report, const AshWorkload *w)
{
	for (guint i = 0; i < w->volumes->len; i++) {
		const AshWorkloadVolume *volume = w->volumes->pdata[i];
		g_autofree char *name = g_strconcat(
				volume->name, volume->is_read_only ? " (read only)" : "", NULL);
		g_autofree char *size = ash_text_size(volume->size_bytes);
		add(report, ASH_GRANT_VOLUME, name, volume->is_read_only ? 1 : 2,
				volume->size_bytes, "%s the volume %s, of %s, at %s",
				volume->is_read_only ? "reads" : "keeps data in", volume->name,
				size, volume->path);
	}
	for (guint i = 0; i < w->secrets->len; i++) {
		const AshWorkloadSecret *secret = w->secrets->pdata[i];
		add(report, ASH_GRANT_SECRET, secret->name, 5, 0, "knows the host's secret %s",
				secret->name);
	}
	static const Points devices[] = {{"/dev/net/tun", 3}, {"/dev/fuse", 4}, {"/dev/null", 0},
			{"/dev/zero", 0}, {"/dev/full", 0}, {"/dev/random", 0},
			{"/dev/urandom", 0}};
	for (char **path = w->devices; *path != NULL; path++)
		add(report, ASH_GRANT_DEVICE, *path,
				points_of(devices, G_N_ELEMENTS(devices), *path, 10), 0,
				"uses the device %s", *path);
}

static void add_capabilities(
		AshWorkloadReport *report, const AshWorkload *w, AshIsolationClass class)
{
	static const Points powers[] = {{"sys_admin", 40}, {"sys_ptrace", 15}, {"net_admin", 10},
			{"sys_resource", 8}, {"mknod", 6}, {"checkpoint_restore", 8},
			{"net_raw", 4}, {"setpcap", 4}, {"setfcap", 4}, {"sys_nice", 3},
			{"sys_chroot", 2}, {"net_bind_service", 1}, {"chown", 1}, {"fowner", 1},
			{"fsetid", 1}, {"kill", 1}, {"ipc_lock", 1}, {"lease", 1},
			{"net_broadcast", 1}, {"dac_override", 2}, {"setuid", 2}, {"setgid", 2}};
	bool has_own_kernel = class != ASH_ISOLATION_CLASS_SANDBOX &&
			      class != ASH_ISOLATION_CLASS_CONTAINER;

	for (char **name = w->capabilities; *name != NULL; name++)
		add(report, ASH_GRANT_CAPABILITY, *name,
				has_own_kernel ? 1
					       : points_of(powers, G_N_ELEMENTS(powers), *name, 5),
				0, "has %s over what is its own", *name);
}

/* Parts of the kernel in which ways out have been found again and again. */
static const Points risky_calls[] = {{"bpf", 15}, {"clone", 2}, {"clone3", 2}, {"fsmount", 6},
		{"fsopen", 6}, {"io_uring_enter", 4}, {"io_uring_register", 4},
		{"io_uring_setup", 8}, {"keyctl", 6}, {"add_key", 4}, {"request_key", 4},
		{"mount", 6}, {"mount_setattr", 6}, {"move_mount", 6}, {"move_pages", 4},
		{"name_to_handle_at", 4}, {"open_by_handle_at", 15}, {"open_tree", 6},
		{"perf_event_open", 10}, {"pivot_root", 6}, {"process_vm_readv", 6},
		{"process_vm_writev", 6}, {"ptrace", 8}, {"setns", 8}, {"umount2", 4},
		{"unshare", 8}, {"userfaultfd", 8}, {"vmsplice", 3}};

bool ash_workload_report_is_beyond(const char *call)
{
	static const char *const calls[] = {"_sysctl", "acct", "add_key", "adjtimex", "afs_syscall",
			"bpf", "chroot", "clock_adjtime", "clock_adjtime64", "clock_settime",
			"clock_settime64", "clone3", "create_module", "delete_module",
			"epoll_ctl_old", "epoll_wait_old", "fanotify_init", "fanotify_mark",
			"finit_module", "fsconfig", "fsmount", "fsopen", "fspick",
			"get_kernel_syms", "getpmsg", "init_module", "io_uring_enter",
			"io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp",
			"kexec_file_load", "kexec_load", "keyctl", "listmount", "lookup_dcookie",
			"lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "mbind",
			"migrate_pages", "modify_ldt", "mount", "mount_setattr", "move_mount",
			"move_pages", "name_to_handle_at", "nfsservctl", "open_by_handle_at",
			"open_tree", "open_tree_attr", "perf_event_open", "personality",
			"pidfd_getfd", "pivot_root", "pkey_alloc", "pkey_free", "pkey_mprotect",
			"process_vm_readv", "process_vm_writev", "ptrace", "putpmsg",
			"query_module", "quotactl", "quotactl_fd", "reboot", "request_key",
			"security", "set_mempolicy", "setdomainname", "sethostname", "setns",
			"settimeofday", "statmount", "stime", "subpage_prot", "swapoff", "swapon",
			"switch_endian", "sysfs", "syslog", "tuxcall", "umount", "umount2",
			"unshare", "uretprobe", "uselib", "userfaultfd", "ustat", "vhangup", "vm86",
			"vm86old", "vmsplice", "vserver", NULL};

	return g_strv_contains(calls, call);
}

static void add_calls(AshWorkloadReport *report, const AshWorkload *w)
{
	guint n_removed = g_strv_length(w->calls_removed);
	g_autofree char *removed = g_strjoinv(", ", w->calls_removed);

	if (w->calls_only != NULL) {
		for (char **call = w->calls_only; *call != NULL; call++)
			add(report, ASH_GRANT_SYSTEM_CALL, *call,
					!ash_workload_report_is_beyond(*call)
							? 0
							: points_of(risky_calls,
									  G_N_ELEMENTS(risky_calls),
									  *call, 2),
					0, "uses the system call %s", *call);
		return;
	}
	add(report, ASH_GRANT_SYSTEM_CALL, "(default)", 0, 0, "the default system calls%s%s",
			n_removed > 0 ? " without " : "", removed);
	for (char **call = w->calls_added; *call != NULL; call++)
		add(report, ASH_GRANT_SYSTEM_CALL, *call,
				points_of(risky_calls, G_N_ELEMENTS(risky_calls), *call, 2), 0,
				"uses the system call %s too", *call);
}

/* Root in name or number, or whoever the image says. */
static bool may_be_root(const AshWorkload *w)
{
	g_auto(GStrv) parts = g_strsplit(w->user != NULL ? w->user : "0", ":", 2);

	return strspn(parts[0], "0") == strlen(parts[0]) || strcmp(parts[0], "root") == 0;
}

static void add_resource(AshWorkloadReport *report, const char *name, uint64_t amount,
		const char *unit, const char *none)
{
	if (amount == 0 && none != NULL)
		add(report, ASH_GRANT_RESOURCE, name, 0, UINT64_MAX, "%s: %s", name, none);
	else
		add(report, ASH_GRANT_RESOURCE, name, 0, amount, "%s: %" PRIu64 "%s", name, amount,
				unit);
}

static void add_bytes(AshWorkloadReport *report, const char *name, uint64_t bytes)
{
	g_autofree char *size = ash_text_size(bytes);

	add(report, ASH_GRANT_RESOURCE, name, 0, bytes, "%s: %s", name, size);
}

static void add_resources(AshWorkloadReport *report, const AshWorkload *w)
{
	const AshWorkloadNetwork *network = &w->network;
	bool has_link = network->mode != ASH_NETWORK_NONE && network->mode != ASH_NETWORK_HOST;

	add(report, ASH_GRANT_RESOURCE, "cpu", 0, w->cpu_milli,
			"cpu: %" PRIu32 ".%02" PRIu32 " processors", w->cpu_milli / 1000,
			w->cpu_milli % 1000 / 10);
	add_bytes(report, "memory", w->memory_bytes);
	add_resource(report, "tasks", w->tasks, "", NULL);
	add_bytes(report, "disk", w->disk_bytes);
	add_resource(report, "descriptors", w->descriptors, " a process", NULL);
	add_resource(report, "instances", w->instances, "", NULL);
	if (!has_link)
		return;
	if (network->bandwidth_bytes > 0)
		add_bytes(report, "bandwidth", network->bandwidth_bytes);
	else
		add_resource(report, "bandwidth", 0, "", "no limit");
	add_resource(report, "connections", network->connections, "", "no limit");
}

/* ---- whole --------------------------------------------------------------------------------------- */

static int compare_grants(gconstpointer a, gconstpointer b)
{
	const AshGrant *ga = *(const AshGrant *const *) a;
	const AshGrant *gb = *(const AshGrant *const *) b;

	return ga->kind != gb->kind ? (int) ga->kind - (int) gb->kind : strcmp(ga->name, gb->name);
}

static void count(AshWorkloadReport *report)
{
	bool has_any = false;
	unsigned score = 0;

	for (guint i = 0; i < report->grants->len; i++) {
		const AshGrant *grant = report->grants->pdata[i];
		score += grant->points;
		has_any = has_any || (grant->points > 0 && grant->kind != ASH_GRANT_ISOLATION &&
						     grant->kind != ASH_GRANT_USER);
	}
	report->score = MIN(score, MAX_SCORE);
	report->words = report->score >= THE_HOST ? "the host"
			: report->score >= MUCH   ? "much"
			: has_any                 ? "little"
						  : "nothing";
}

AshWorkloadReport *ash_workload_report(const AshWorkload *w, AshIsolationClass effective)
{
	AshWorkloadReport *report = g_new0(AshWorkloadReport, 1);

	report->grants = g_ptr_array_new_with_free_func(grant_free);
	report->calls_removed = g_strdupv(w->calls_removed);
	add_isolation(report, w, effective);
	add_network(report, &w->network);
	add_services(report, w);
	add_files(report, w);
	add_capabilities(report, w, effective);
	add_calls(report, w);
	if (may_be_root(w))
		add(report, ASH_GRANT_USER, "root", 2, 0, "may be root inside");
	if (w->is_booted)
		add(report, ASH_GRANT_USER, "boot", 10, 0, "a whole system with its own init");
	add_resources(report, w);
	if (w->is_system)
		add(report, ASH_GRANT_SCOPE, "system", 3, 0, "starts before the others");
	if (w->is_required)
		add(report, ASH_GRANT_SCOPE, "required", 3, 0,
				"a new version of the host is taken back when it fails");
	g_ptr_array_sort(report->grants, compare_grants);
	count(report);
	return report;
}
