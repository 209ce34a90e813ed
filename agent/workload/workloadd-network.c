/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/workload/net-listen.h"
#include "agent/workload/workloadd.h"
#include "lib/auto.h"
#include "lib/cli.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/spawn.h"

/* The network of all instances: who is in it, and ashlar-net that makes it so (agent/workload/net.h). */

#define HOST_SOCKETS "/proc/self/net"

enum {
	NET_TIMEOUT_MS = 60 * 1000,
	LOOK_US = 60 * 1000 * 1000,
	TEST_LOOK_US = 1000 * 1000,
	MAX_DRIFT_BYTES = 1 << 20,
	MAX_DRIFT_TOLD = 3,
	MAX_DEPTH = 4,
};

typedef struct {
	AshRun *run; /* NULL: of a definition that has none yet */
	char *name, *provider;
	const AshWorkload *workload;
	uint32_t uid;
	bool is_shut; /* it does not run: others' way through it is closed */
	bool is_in;
	char *problem;
} Member;

static void member_free(gpointer data)
{
	Member *member = data;

	g_free(member->name);
	g_free(member->provider);
	g_free(member->problem);
	g_free(member);
}

/* ---- who is in it ---- */

static const AshMachineInstance *instance_of(const AshRun *run)
{
	return run->unit->machine->instances->pdata[run->index];
}

static bool has_link(const AshRun *run)
{
	const AshWorkloadd *daemon = run->unit->daemon;

	return daemon->links != NULL && ash_net_link_find(daemon->links, run->name) != NULL;
}

static bool is_up(const AshRun *run)
{
	AshInstanceState state = instance_of(run)->state;

	return state == ASH_INSTANCE_STARTING || state == ASH_INSTANCE_RUNNING ||
	       state == ASH_INSTANCE_STOPPING;
}

/* Who ended keeps its namespace for when it is started again. @is_strict: who only begins does not count. */
static bool belongs(const AshRun *run, const AshRun *joining, bool is_strict)
{
	AshInstanceState state = instance_of(run)->state;

	if (run == joining)
		return true;
	if (state == ASH_INSTANCE_DOWN || state == ASH_INSTANCE_WAITING)
		return false;
	if (state == ASH_INSTANCE_STARTING && run->process == NULL)
		return !is_strict || has_link(run);
	return is_up(run) || has_link(run);
}

/* The instance that is the way out for number @index of @workload: each has one, if the provider has as many. NULL:
 * there is none.
 */
static AshRun *find_provider(const AshWorkloadd *daemon, const AshWorkload *workload, guint index)
{
	const AshUnit *unit = ash_workloadd_find(daemon, workload->network.provider);

	if (unit == NULL || unit->runs->len == 0 || ash_unit_active(unit) == NULL)
		return NULL;
	return unit->runs->pdata[index % unit->runs->len];
}

static Member *find_member(const GPtrArray *members, const char *name)
{
	for (guint i = 0; i < members->len; i++) {
		Member *member = members->pdata[i];
		if (strcmp(member->name, name) == 0)
			return member;
	}
	return NULL;
}

static Member *add_member(GPtrArray *members, const AshWorkloadd *daemon, const char *name,
		const AshWorkload *workload, guint index)
{
	Member *member = g_new0(Member, 1);
	const AshRun *provider = workload->network.mode == ASH_NETWORK_PROVIDER
						 ? find_provider(daemon, workload, index)
						 : NULL;

	member->name = g_strdup(name);
	member->workload = workload;
	member->provider = g_strdup(provider != NULL ? provider->name : workload->network.provider);
	g_ptr_array_add(members, member);
	return member;
}

static void add_run(GPtrArray *members, AshRun *run, bool is_shut)
{
	AshWorkloadd *daemon = run->unit->daemon;
	const AshWorkload *workload = ash_unit_active(run->unit)->workload;
	uint32_t uid = 0;

	if (workload->network.mode == ASH_NETWORK_NONE ||
			!ash_state_uid_base(daemon->state, run->name, &uid, NULL))
		return;
	Member *member = add_member(members, daemon, run->name, workload, run->index);
	member->run = run;
	member->uid = uid;
	member->is_shut = is_shut;
}

/* A provider that does not run stays, shut, while it has clients: their wires end in its namespace. */
static void add_providers(GPtrArray *members, const AshWorkloadd *daemon)
{
	for (guint i = 0; i < members->len; i++) { /* grows meanwhile */
		const Member *member = members->pdata[i];
		if (member->workload->network.mode != ASH_NETWORK_PROVIDER || member->run == NULL)
			continue;
		AshRun *provider = find_provider(daemon, member->workload, member->run->index);
		if (provider != NULL && has_link(provider) &&
				find_member(members, provider->name) == NULL)
			add_run(members, provider, true);
	}
}

static bool is_new(const Member *member)
{
	return member->run == NULL || member->run->process == NULL || !has_link(member->run);
}

static int compare_members(gconstpointer a, gconstpointer b)
{
	const Member *left = *(Member *const *) a, *right = *(Member *const *) b;

	return is_new(left) != is_new(right) ? is_new(left) - is_new(right)
					     : strcmp(left->name, right->name);
}

/* Those that run in it first: who comes later gives way. @except: another definition takes its place. */
static GPtrArray *find_members(
		AshWorkloadd *daemon, const AshRun *joining, bool is_strict, const AshUnit *except)
{
	GPtrArray *members = g_ptr_array_new_with_free_func(member_free);

	for (guint i = 0; i < daemon->units->len; i++) {
		const AshUnit *unit = daemon->units->pdata[i];
		/* What is disposable has none itself, but each of its calls has. */
		const GPtrArray *runs = ash_unit_is_disposable(unit) ? unit->calls : unit->runs;
		for (guint k = 0; unit != except && ash_unit_active(unit) != NULL && k < runs->len;
				k++) {
			AshRun *run = runs->pdata[k];
			if (belongs(run, joining, is_strict))
				add_run(members, run, run != joining && !is_up(run));
		}
	}
	add_providers(members, daemon);
	g_ptr_array_sort(members, compare_members);
	return members;
}

/* ---- the document ---- */

static void add_to(AshNet *net, const Member *member)
{
	g_autoptr(GPtrArray) nothing = g_ptr_array_new();
	AshWorkloadNetwork network = member->workload->network;
	const char *const names[] = {member->workload->name, NULL};

	if (member->is_shut)
		network.egress = nothing;
	ash_net_add(net, member->name, &network, member->provider,
			ash_workload_is_vm(member->workload), member->uid, names);
}

static gboolean check_bridge(const AshWorkload *workload, GError **error)
{
	if (workload->network.mode != ASH_NETWORK_BRIDGED ||
			if_nametoindex(workload->network.name) != 0)
		return TRUE;
	return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_HELD,
			"this host has no bridge '%s'", workload->network.name);
}

/* Takes @member in, if it fits to who is there. */
static void try_member(AshNet *net, Member *member)
{
	g_autoptr(GError) local = NULL;

	g_clear_pointer(&member->problem, g_free);
	add_to(net, member);
	member->is_in = check_bridge(member->workload, &local) && ash_net_check(net, &local);
	if (member->is_in)
		return;
	g_ptr_array_set_size(net->instances, (gint) net->instances->len - 1);
	member->problem = g_strdup(local->message);
}

/* All of @members that fit; the others have their problem. Mostly all fit, and are looked at once. */
static AshNet *make_network(GPtrArray *members)
{
	g_autoptr(AshNet) net = ash_net_new();
	bool is_good = true, has_changed = true;

	for (guint i = 0; i < members->len; i++) {
		Member *member = members->pdata[i];
		add_to(net, member);
		member->is_in = true;
		is_good = is_good && check_bridge(member->workload, NULL);
	}
	if (is_good && ash_net_check(net, NULL))
		return g_steal_pointer(&net);
	g_ptr_array_set_size(net->instances, 0);
	for (guint i = 0; i < members->len; i++)
		((Member *) members->pdata[i])->is_in = false;
	/* Again while somebody came in: a client is before its provider, perhaps. */
	while (has_changed) {
		has_changed = false;
		for (guint i = 0; i < members->len; i++) {
			Member *member = members->pdata[i];
			if (!member->is_in)
				try_member(net, member);
			else
				continue;
			has_changed |= member->is_in;
		}
	}
	return g_steal_pointer(&net);
}

static gboolean check_provider(const AshRun *run, const AshWorkload *workload, GError **error)
{
	const char *name = workload->network.provider;
	const AshRun *provider;

	if (workload->network.mode != ASH_NETWORK_PROVIDER)
		return TRUE;
	provider = find_provider(run->unit->daemon, workload, run->index);
	if (provider == NULL)
		return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_HELD,
				"its provider '%s' is not on this host", name);
	if (instance_of(provider)->state != ASH_INSTANCE_RUNNING)
		return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_HELD,
				"waits for its provider '%s'", name);
	return TRUE;
}

gboolean ash_run_check_network(AshRun *run, GError **error)
{
	const AshWorkload *workload = ash_unit_active(run->unit)->workload;

	if (workload->network.mode == ASH_NETWORK_NONE)
		return TRUE;
	ASH_PREFIX("network");
	if (!check_provider(run, workload, error) || !check_bridge(workload, error) ||
			!ash_net_listen_check(HOST_SOCKETS, &workload->network, error))
		return FALSE;
	g_autoptr(GPtrArray) members = find_members(run->unit->daemon, run, false, NULL);
	/* That it is made is what says of each member whether it is in. */
	ash_net_free(make_network(members));
	const Member *own = find_member(members, run->name);
	if (own == NULL || own->is_in)
		return TRUE;
	return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_REFUSED, "%s", own->problem);
}

gboolean ash_workloadd_check_network(
		AshWorkloadd *daemon, const AshWorkload *workload, GError **error)
{
	const AshUnit *unit = ash_workloadd_find(daemon, workload->name);
	AshNetworkMode mode = workload->network.mode;

	/* What a provider or a bridge has to do with it is seen when they are there. */
	if (mode == ASH_NETWORK_NONE || mode == ASH_NETWORK_PROVIDER)
		return TRUE;
	g_autoptr(GPtrArray) members = find_members(daemon, NULL, false, unit);
	g_autoptr(AshNet) net = make_network(members);
	for (guint i = 0; i < workload->instances; i++) {
		g_autofree char *name = ash_unit_instance(workload->name, i);
		Member *member = add_member(members, daemon, name, workload, i);
		add_to(net, member);
	}
	/* What has the host's network may listen there itself, and ends before. */
	const AshDefinition *active = unit != NULL ? ash_unit_active(unit) : NULL;
	bool is_host = active != NULL && active->workload->network.mode == ASH_NETWORK_HOST;
	ASH_PREFIX("network");
	return ash_net_check(net, error) &&
	       (is_host || ash_net_listen_check(HOST_SOCKETS, &workload->network, error));
}

/* ---- making it so ---- */

static gboolean run_net(
		AshWorkloadd *daemon, const char *document, GBytes **out_answer, GError **error)
{
	g_autofree char *program = g_build_filename(daemon->libexec, "ashlar-net", NULL);
	const char *with_root[] = {program, "apply", "--root", daemon->root, NULL};
	const char *plain[] = {program, "apply", NULL};
	ash_autofd int fd = memfd_create("ashlar-network", MFD_CLOEXEC);
	const AshSpawn spawn = {
			.argv = daemon->is_test ? with_root : plain,
			.stdin_fd = fd,
			.max_output_bytes = ASH_NET_MAX_BYTES,
			.timeout_ms = NET_TIMEOUT_MS,
	};

	if (fd < 0)
		return ash_throw_errno(error, "memfd_create");
	return ash_file_write_all(fd, document, strlen(document), error) &&
	       (lseek(fd, 0, SEEK_SET) == 0 || ash_throw_errno(error, "lseek")) &&
	       ash_spawn_run(&spawn, out_answer, error);
}

/* Namespaces that an earlier life of the daemon left. */
static bool has_rest(const AshWorkloadd *daemon)
{
	g_autofree char *path = ash_workloadd_path(daemon, ASH_NET_NAMESPACES);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

	return dir != NULL && g_dir_read_name(dir) != NULL;
}

static bool has_wire(const AshWorkloadd *daemon)
{
	for (guint i = 0; daemon->links != NULL && i < daemon->links->len; i++)
		if (*((const AshNetLink *) daemon->links->pdata[i])->interface != '\0')
			return true;
	return false;
}

static void look_later(AshWorkloadd *daemon)
{
	daemon->look_us = has_wire(daemon) ? ash_bus_now_us() + (daemon->is_test ? TEST_LOOK_US
										 : LOOK_US)
					   : INT64_MAX;
}

static gboolean apply(AshWorkloadd *daemon, const AshNet *net, GError **error)
{
	g_autofree char *document = ash_net_format(net);
	g_autoptr(GBytes) answer = NULL;
	GPtrArray *links = NULL;

	if (g_strcmp0(document, daemon->network) == 0 ||
			(daemon->network == NULL && net->instances->len == 0 && !has_rest(daemon)))
		return TRUE;
	ASH_PREFIX("network");
	if (!run_net(daemon, document, &answer, error) ||
			!ash_net_links_parse(answer, &links, error))
		return FALSE;
	g_clear_pointer(&daemon->links, g_ptr_array_unref);
	daemon->links = links;
	g_free(daemon->network);
	daemon->network = g_steal_pointer(&document);
	g_clear_pointer(&daemon->network_problem, g_free);
	look_later(daemon);
	return TRUE;
}

/* Who runs without its network shall not go on to: the next look at it ends it. */
static void note_problems(AshWorkloadd *daemon, const GPtrArray *members)
{
	for (guint i = 0; i < members->len; i++) {
		const Member *member = members->pdata[i];
		AshRun *run = member->run;
		if (g_strcmp0(run->network_problem, member->problem) == 0)
			continue;
		g_free(run->network_problem);
		run->network_problem = g_strdup(member->problem);
		daemon->must_settle |= member->problem != NULL && run->process != NULL;
	}
}

static gboolean apply_members(AshWorkloadd *daemon, AshRun *joining, bool is_strict, GError **error)
{
	g_autoptr(GPtrArray) members = find_members(daemon, joining, is_strict, NULL);
	g_autoptr(AshNet) net = make_network(members);
	const Member *own = joining != NULL ? find_member(members, joining->name) : NULL;

	note_problems(daemon, members);
	if (!apply(daemon, net, error))
		return FALSE;
	if (own == NULL || own->is_in)
		return TRUE;
	return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_REFUSED, "network: %s", own->problem);
}

gboolean ash_workloadd_apply_network(AshWorkloadd *daemon, AshRun *joining, GError **error)
{
	g_autoptr(GError) local = NULL;

	/* Who begins at the same time may be the one that this host has no room for. */
	if (apply_members(daemon, joining, false, NULL) ||
			apply_members(daemon, joining, true, &local))
		return TRUE;
	if (g_strcmp0(daemon->network_problem, local->message) != 0) {
		g_free(daemon->network_problem);
		daemon->network_problem = g_strdup(local->message);
	}
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

/* ---- what others changed ---- */

static void on_line(const char *line, gpointer data)
{
	AshWorkloadd *daemon = data;

	if (daemon->drift->len < MAX_DRIFT_BYTES)
		g_string_append(daemon->drift, line);
}

static void add_drift(GString *text, JsonNode *node)
{
	JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
	const char *where = object != NULL ? ash_json_find_text(object, "where") : NULL;
	const char *what = object != NULL ? ash_json_find_text(object, "what") : NULL;
	const char *change = object != NULL ? ash_json_find_text(object, "change") : NULL;

	if (where != NULL && what != NULL && change != NULL)
		g_string_append_printf(text, "%s%s (%s, %s)", text->len > 0 ? "; " : "", what,
				change, where);
}

/* "RULE (removed, host); …" */
static char *describe_drift(const AshWorkloadd *daemon)
{
	g_autoptr(GBytes) bytes = g_bytes_new(daemon->drift->str, daemon->drift->len);
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(JsonNode) root = NULL;
	JsonArray *list = NULL;

	if (!ash_json_parse(bytes, MAX_DRIFT_BYTES, MAX_DEPTH, &root, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(root) ||
			!ash_json_array(json_node_get_object(root), "drift", &list, NULL))
		return g_strdup("it cannot be said what");
	guint count = json_array_get_length(list);
	for (guint i = 0; i < MIN(count, MAX_DRIFT_TOLD); i++)
		add_drift(text, json_array_get_element(list, i));
	if (count > MAX_DRIFT_TOLD)
		g_string_append_printf(text, "; and %u more", count - MAX_DRIFT_TOLD);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static void start_look(AshWorkloadd *daemon, bool is_repair);

static void on_end(int wait_status, gpointer data)
{
	AshWorkloadd *daemon = data;
	int code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;

	daemon->look = NULL;
	if (daemon->is_repairing) {
		g_clear_pointer(&daemon->network_problem, g_free);
		if (code != 0)
			daemon->network_problem = g_strdup(
					"network: others changed it, and it could not be put back");
		g_warning("%s", daemon->network_problem != NULL ? daemon->network_problem
								: "network: it is as it was again");
	} else if (code == ASH_EXIT_NEGATIVE) {
		g_autofree char *text = describe_drift(daemon);
		g_warning("network: others changed it: %s", text);
		start_look(daemon, true);
		return;
	} else if (code != 0) {
		g_warning("network: ashlar-net check ended (%d)", wait_status);
	}
	look_later(daemon);
	ash_workloadd_settle(daemon);
}

static void start_look(AshWorkloadd *daemon, bool is_repair)
{
	g_autofree char *program = g_build_filename(daemon->libexec, "ashlar-net", NULL);
	const char *verb = is_repair ? "repair" : "check";
	const char *with_root[] = {program, verb, "--root", daemon->root, NULL};
	const char *plain[] = {program, verb, NULL};
	g_autoptr(GError) local = NULL;

	daemon->is_repairing = is_repair;
	g_string_truncate(daemon->drift, 0);
	if (ash_bus_spawn(daemon->bus, daemon->is_test ? with_root : plain, NULL, MAX_DRIFT_BYTES,
			    on_line, on_end, daemon, &daemon->look, &local))
		return;
	g_warning("network: %s", local->message);
	look_later(daemon);
}

void ash_workloadd_look_at_network(AshWorkloadd *daemon)
{
	if (daemon->look == NULL && ash_bus_now_us() >= daemon->look_us)
		start_look(daemon, false);
}

int64_t ash_workloadd_next_look_us(const AshWorkloadd *daemon)
{
	return daemon->look == NULL ? daemon->look_us : INT64_MAX;
}
