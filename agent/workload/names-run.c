/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/workload/names-serve.h"
#include "agent/workload/net-link.h"
#include "agent/workload/net-state.h"
#include "agent/workload/net-table.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	BACKLOG = 16,
	MAX_DESCRIPTORS = 1024,
	PORT = 53,
};

#define RESOLV_CONF "/etc/resolv.conf"

/* A door stays open over changes, as long as its namespace is the same: what comes in between waits. */
typedef struct {
	char *where; /* instance, "" for the host */
	ino_t space;
	uint32_t gateway;
	int udp, tcp;
} Door;

typedef struct {
	const char *root;
	struct passwd user;
	AshNet *net;
	AshNetPlan *plan;
	AshNetPlace *home;
	GPtrArray *doors; /* Door, by the number of the space */
	pid_t child;
	int orders;
} Parent;

static void free_door(gpointer data)
{
	Door *door = data;

	if (!door)
		return;
	if (door->udp >= 0)
		close(door->udp);
	if (door->tcp >= 0)
		close(door->tcp);
	g_free(door->where);
	g_free(door);
}

static void end_child(Parent *parent)
{
	if (parent->orders >= 0)
		close(parent->orders);
	parent->orders = -1;
	if (parent->child > 0) {
		kill(parent->child, SIGKILL);
		while (waitpid(parent->child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	parent->child = 0;
}

static void end_parent(Parent *parent)
{
	end_child(parent);
	g_clear_pointer(&parent->doors, g_ptr_array_unref);
	ash_net_plan_free(parent->plan);
	ash_net_free(parent->net);
	ash_net_place_free(parent->home);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Parent, end_parent)

/* ---- doors ---- */

static gboolean open_one(int type, uint32_t gateway, int *out_fd, GError **error)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
			.sin_port = htons(PORT),
			.sin_addr.s_addr = htonl(gateway)};
	ash_autofd int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	/* The address comes with the first wire. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
			setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof one) != 0 ||
			bind(fd, (struct sockaddr *) &at, sizeof at) != 0 ||
			(type == SOCK_STREAM && listen(fd, BACKLOG) != 0))
		return ash_throw_errno(error, "port 53 of a gateway");
	*out_fd = fd;
	fd = -1;
	return TRUE;
}

static gboolean open_door(const Parent *parent, unsigned number, Door *door, GError **error)
{
	g_autofree char *path = ash_net_space_path(parent->root, door->where);
	g_autoptr(AshNetPlace) place = NULL;

	if (number != 0 && (!ash_net_place_open(path, &place, error) ||
					   !ash_net_place_enter(place, error)))
		return FALSE;
	gboolean is_open = open_one(SOCK_DGRAM, door->gateway, &door->udp, error) &&
			   open_one(SOCK_STREAM, door->gateway, &door->tcp, error);
	return ash_net_place_enter(parent->home, is_open ? error : NULL) && is_open;
}

static Door *find_door(GPtrArray *doors, const char *where, ino_t space, uint32_t gateway)
{
	for (unsigned i = 0; doors && i < doors->len; i++) {
		Door *door = g_ptr_array_index(doors, i);
		if (door && strcmp(door->where, where) == 0 && door->space == space &&
				door->gateway == gateway) {
			g_ptr_array_index(doors, i) = NULL;
			return door;
		}
	}
	return NULL;
}

static gboolean open_doors(Parent *parent, GError **error)
{
	g_autoptr(GPtrArray) doors = g_ptr_array_new_with_free_func(free_door);

	for (unsigned i = 0; i < parent->plan->spaces->len; i++) {
		const AshNetSpace *space = g_ptr_array_index(parent->plan->spaces, i);
		const char *where = space->owner ? space->owner->wanted->instance : "";
		g_autofree char *path = ash_net_space_path(parent->root, where);
		struct stat status = {0};

		if (space->owner && stat(path, &status) != 0)
			return ash_throw_errno(error, "%s", path);
		Door *door = find_door(parent->doors, where, status.st_ino, space->gateway);
		if (door) {
			g_ptr_array_add(doors, door);
			continue;
		}
		door = g_new0(Door, 1);
		door->where = g_strdup(where);
		door->space = status.st_ino;
		door->gateway = space->gateway;
		door->udp = door->tcp = -1;
		g_ptr_array_add(doors, door);
		if (!open_door(parent, i, door, error))
			return FALSE;
	}
	g_clear_pointer(&parent->doors, g_ptr_array_unref);
	parent->doors = g_steal_pointer(&doors);
	return TRUE;
}

/* ---- the child ---- */

static bool is_kept(const Parent *parent, int fd, int orders)
{
	bool kept = fd == orders;

	for (unsigned i = 0; i < parent->doors->len; i++) {
		const Door *door = g_ptr_array_index(parent->doors, i);
		kept |= fd == door->udp || fd == door->tcp;
	}
	return kept;
}

/* In the child: it keeps its doors and the socket to the parent, and loses what it could do. */
static gboolean become_child(const Parent *parent, GError **error)
{
	const struct passwd *user = &parent->user;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || setgroups(0, NULL) != 0 ||
			setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
			setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0 ||
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
			prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return ash_throw_errno(error, "giving up privileges");
	return TRUE;
}

static gboolean live_as_child(const Parent *parent, int orders, GError **error)
{
	g_autofree char *path = g_strconcat(parent->root, RESOLV_CONF, NULL), *text = NULL;
	g_autoptr(GArray) doors = g_array_new(FALSE, FALSE, sizeof(AshNamesDoor));

	if (!g_file_get_contents(path, &text, NULL, NULL))
		text = g_strdup("");
	g_autoptr(GArray) servers = ash_names_servers(text);
	for (unsigned i = 0; i < parent->doors->len; i++) {
		const Door *door = g_ptr_array_index(parent->doors, i);
		AshNamesDoor open = {i, door->udp, door->tcp};
		g_array_append_val(doors, open);
	}
	for (int fd = STDERR_FILENO + 1; fd < MAX_DESCRIPTORS; fd++)
		if (!is_kept(parent, fd, orders))
			close(fd);
	return become_child(parent, error) &&
	       ash_names_serve(parent->plan, (const AshNamesDoor *) (gpointer) doors->data,
			       doors->len, servers, orders, error);
}

static gboolean start_child(Parent *parent, GError **error)
{
	int pair[2];
	sigset_t none;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return ash_throw_errno(error, "socketpair");
	parent->child = fork();
	if (parent->child == 0) {
		g_autoptr(GError) problem = NULL;
		close(pair[0]);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (!live_as_child(parent, pair[1], &problem))
			fprintf(stderr, "ashlar-net names: %s\n", problem->message);
		_exit(problem ? 1 : 0);
	}
	close(pair[1]);
	parent->orders = pair[0];
	if (parent->child < 0)
		return ash_throw_errno(error, "fork");
	return TRUE;
}

/* ---- what the child wants ---- */

static const AshNetWire *find_wire(const AshNetPlan *plan, uint32_t number)
{
	for (unsigned i = 0; i < plan->wires->len; i++) {
		const AshNetWire *wire = g_ptr_array_index(plan->wires, i);
		if (wire->number == number && wire->mode != ASH_NETWORK_BRIDGED)
			return wire;
	}
	return NULL;
}

/* An element that is there keeps the time it has, so it goes first; and it is only there to go if it was
 * added before.
 */
static char *elements_text(const char *set, const AshNamesOrder *order)
{
	g_autoptr(GString) plain = g_string_new(NULL), timed = g_string_new(NULL);

	for (uint32_t i = 0; i < order->count; i++) {
		g_autofree char *address = ash_net_address_text(order->addresses[i]);
		const char *comma = i == 0 ? "" : ", ";
		g_string_append_printf(plain, "%s%s", comma, address);
		g_string_append_printf(timed, "%s%s timeout %us", comma, address,
				order->ttl_s + ASH_NAMES_GRACE_S);
	}
	return g_strdup_printf("add element inet %s %s { %s }\ndelete element inet %s %s { %s }\n"
			       "add element inet %s %s { %s }\n",
			ASH_NET_TABLE, set, timed->str, ASH_NET_TABLE, set, plain->str,
			ASH_NET_TABLE, set, timed->str);
}

static gboolean add_elements(const Parent *parent, const AshNetWire *wire,
		const AshNamesOrder *order, GError **error)
{
	const AshNetSpace *space = g_ptr_array_index(parent->plan->spaces, wire->space);
	g_autofree char *set = ash_net_name_set(wire, order->name);
	g_autofree char *text = elements_text(set, order);
	g_autoptr(AshNetPlace) place = NULL;

	if (space->owner) {
		g_autofree char *path =
				ash_net_space_path(parent->root, space->owner->wanted->instance);
		if (!ash_net_place_open(path, &place, error) || !ash_net_place_enter(place, error))
			return FALSE;
	}
	gboolean is_done = ash_net_table_run(text, error);
	return ash_net_place_enter(parent->home, is_done ? error : NULL) && is_done;
}

static bool is_sound(const Parent *parent, const AshNamesOrder *order)
{
	if (order->count == 0 || order->count > ASH_NAMES_MAX_ADDRESSES ||
			order->ttl_s < ASH_NAMES_MIN_TTL_S || order->ttl_s > ASH_NAMES_MAX_TTL_S ||
			!memchr(order->name, '\0', sizeof order->name))
		return false;
	for (uint32_t i = 0; i < order->count; i++)
		if (!ash_names_is_allowed(parent->plan, order->addresses[i]))
			return false;
	return true;
}

/* The child is not believed: the name has to be in the egress of who asks. Where its way out leads through
 * others, it is let through there if their egress has it too.
 */
static gboolean carry_out(const Parent *parent, const AshNamesOrder *order, GError **error)
{
	ash_autofd int lock = -1;
	const AshNetWire *wire = find_wire(parent->plan, order->number);

	if (!wire || !is_sound(parent, order) || !ash_names_is_egress(wire, order->name))
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_REFUSED,
				"an address that nobody may have");
	if (!ash_net_lock(parent->root, &lock, error))
		return FALSE;
	for (;;) {
		if (ash_names_is_egress(wire, order->name) &&
				!add_elements(parent, wire, order, error))
			return FALSE;
		const AshNetSpace *space = g_ptr_array_index(parent->plan->spaces, wire->space);
		if (!space->owner)
			return TRUE;
		wire = space->owner;
	}
}

static bool on_order(const Parent *parent)
{
	g_autoptr(GError) problem = NULL;
	AshNamesOrder order;
	ssize_t size = recv(parent->orders, &order, sizeof order, MSG_DONTWAIT);
	char done = 1;

	if (size != sizeof order)
		return false;
	if (!carry_out(parent, &order, &problem)) {
		fprintf(stderr, "ashlar-net names: %s\n", problem->message);
		done = 0;
	}
	return send(parent->orders, &done, 1, MSG_NOSIGNAL) == 1;
}

/* ---- the parent ---- */

/* Who has the lock has made what the state says. It is given back before there is a child to inherit it. */
static gboolean load_plan(Parent *parent, GError **error)
{
	g_autoptr(AshNetSettings) settings = NULL;
	g_autoptr(AshNetState) state = NULL;
	g_autoptr(AshNetPlan) plan = NULL;
	ash_autofd int lock = -1;

	if (!ash_net_lock(parent->root, &lock, error) ||
			!ash_net_settings_load(parent->root, &settings, error) ||
			!ash_net_state_load(parent->root, &state, error) ||
			!ash_net_state_plan(
					parent->root, state, state->net, settings, &plan, error))
		return FALSE;
	ash_net_plan_free(parent->plan);
	ash_net_free(parent->net);
	parent->plan = g_steal_pointer(&plan);
	parent->net = g_steal_pointer(&state->net);
	return open_doors(parent, error);
}

static gboolean reload(Parent *parent, GError **error)
{
	end_child(parent);
	return load_plan(parent, error) && start_child(parent, error);
}

static gboolean find_user(const char *name, struct passwd *out_user, GError **error)
{
	const struct passwd *user = getpwnam(name);

	if (!user || user->pw_uid == 0)
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_REFUSED,
				"there is no user '%s' to be, or it is root", name);
	*out_user = *user;
	return TRUE;
}

/* The state says what is wanted, the notes say that rules were changed and namespaces made again. */
static gboolean watch_directories(const char *root, int inotify, GError **error)
{
	g_autofree char *state = g_strconcat(root, ASH_NET_STATE, NULL);
	g_autofree char *directory = g_path_get_dirname(state);
	g_autofree char *notes = g_strconcat(root, ASH_NET_NOTES, NULL);
	const char *const watched[] = {directory, notes};

	for (unsigned i = 0; i < G_N_ELEMENTS(watched); i++) {
		if (!ash_file_ensure_dir(AT_FDCWD, watched[i], 0700, error))
			return FALSE;
		if (inotify_add_watch(inotify, watched[i], IN_MOVED_TO) < 0)
			return ash_throw_errno(error, "watching %s", watched[i]);
	}
	return TRUE;
}

static gboolean watch(const char *root, int *out_inotify, int *out_signals, GError **error)
{
	ash_autofd int inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	sigset_t signals;

	if (inotify < 0)
		return ash_throw_errno(error, "inotify");
	if (!watch_directories(root, inotify, error))
		return FALSE;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
		return ash_throw_errno(error, "sigprocmask");
	*out_signals = signalfd(-1, &signals, SFD_CLOEXEC);
	if (*out_signals < 0)
		return ash_throw_errno(error, "signalfd");
	*out_inotify = inotify;
	inotify = -1;
	return TRUE;
}

static void drain(int fd)
{
	char bytes[4096];

	while (read(fd, bytes, sizeof bytes) > 0)
		;
}

gboolean ash_names_run(const char *root, const char *user, GError **error)
{
	g_auto(Parent) parent = {.root = root, .orders = -1};
	ash_autofd int inotify = -1, signals = -1;

	/* Watching begins before the first look, so that no change is missed. */
	if (!find_user(user, &parent.user, error) || !watch(root, &inotify, &signals, error) ||
			!ash_net_place_open(NULL, &parent.home, error) || !reload(&parent, error))
		return FALSE;
	for (;;) {
		struct pollfd polls[] = {{.fd = signals, .events = POLLIN},
				{.fd = inotify, .events = POLLIN},
				{.fd = parent.orders, .events = POLLIN}};

		if (poll(polls, G_N_ELEMENTS(polls), -1) < 0 && errno != EINTR)
			return ash_throw_errno(error, "poll");
		if (polls[0].revents != 0)
			return TRUE;
		if (polls[1].revents != 0) {
			drain(inotify);
			if (!reload(&parent, error))
				return FALSE;
			continue;
		}
		if (polls[2].revents != 0 && !on_order(&parent))
			return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYSTEM,
					"the process that reads the packets has ended");
	}
}
