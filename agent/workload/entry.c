/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/workload/enter.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

/* Newer than the headers that this may be compiled with. */
enum {
	MFD_NOEXEC_SEAL_FLAG = 0x8,
	MFD_EXEC_FLAG = 0x10
};

/* By their numbers. */
static const char *const capability_names[] = {"chown", "dac_override", "dac_read_search", "fowner",
		"fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable",
		"net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock",
		"ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct",
		"sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config",
		"mknod", "lease", "audit_write", "audit_control", "setfcap", "mac_override",
		"mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon",
		"bpf", "checkpoint_restore"};

/* What an init needs of its own user namespace; none of it reaches beyond. */
static const char *const boot_capabilities[] = {"chown", "dac_override", "dac_read_search",
		"fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable",
		"net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_owner",
		"sys_chroot", "sys_ptrace", "sys_admin", "sys_boot", "sys_nice", "sys_resource",
		"sys_tty_config", "mknod", "lease", "audit_write", "setfcap", NULL};

/* Without a user namespace a capability is the host's own: only those that a network namespace bounds. */
static const char *const bounded_capabilities[] = {
		"net_bind_service", "net_broadcast", "net_raw", NULL};

void ash_entry_free(AshEntry *entry)
{
	if (entry == NULL)
		return;
	ash_close_fd(&entry->orders_fd);
	ash_close_fd(&entry->program_fd);
	ash_close_fd(&entry->answer_fd);
	ash_close_fd(&entry->far_fd);
	g_free(entry);
}

/* ---- capabilities, filter ------------------------------------------------------------------------ */

bool ash_entry_capability(const char *name, unsigned *out_bit)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(capability_names); i++)
		if (strcmp(capability_names[i], name) == 0) {
			*out_bit = i;
			return true;
		}
	return false;
}

char *ash_entry_capability_name(unsigned bit)
{
	g_autofree char *name = NULL;

	if (bit >= G_N_ELEMENTS(capability_names))
		return NULL;
	name = g_ascii_strup(capability_names[bit], -1);
	return g_strconcat("CAP_", name, NULL);
}

static gboolean add_capability(
		const AshLaunch *launch, const char *name, uint64_t *set, GError **error)
{
	unsigned bit = 0;

	if (!ash_entry_capability(name, &bit))
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"'%.40s' is no capability", name);
	if (launch->isolation == ASH_ISOLATION_CLASS_SANDBOX &&
			!g_strv_contains(bounded_capabilities, name))
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"capability '%s' in class sandbox would be the host's own; "
				"use class container",
				name);
	*set |= UINT64_C(1) << bit;
	return TRUE;
}

/* Over a network that stands outside of the container's own users, these have no force (user_namespaces(7)). Low ports are
 * opened in another way where the namespace is not the host's own (agent/workload/nspawn.c).
 */
static gboolean check_network(const AshLaunch *launch, uint64_t *set, GError **error)
{
	static const char *const powers[] = {
			"net_admin", "net_raw", "net_broadcast", "net_bind_service", NULL};
	bool is_host = strcmp(launch->netns, "host") == 0;

	if (launch->isolation != ASH_ISOLATION_CLASS_CONTAINER || *launch->netns == '\0')
		return TRUE;
	for (const char *const *name = powers; *name != NULL; name++) {
		uint64_t bit = 0;
		bool is_port = name[1] == NULL;
		if (g_strv_contains((const char *const *) launch->capabilities, *name) &&
				(is_host || !is_port))
			return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
					"capabilities: %s: a container has no power over a network that the host made: 'isolation: sandbox' or 'network: none' has",
					*name);
		if (!add_capability(launch, *name, &bit, error))
			return FALSE;
		*set &= ~bit;
	}
	return TRUE;
}

gboolean ash_entry_capabilities(const AshLaunch *launch, uint64_t *out_set, GError **error)
{
	uint64_t set = 0;

	for (const char *const *name = boot_capabilities; launch->is_booted && *name != NULL;
			name++)
		if (!add_capability(launch, *name, &set, error))
			return FALSE;
	for (char **name = launch->capabilities; *name != NULL; name++)
		if (!add_capability(launch, *name, &set, error))
			return FALSE;
	if (!check_network(launch, &set, error))
		return FALSE;
	*out_set = set;
	return TRUE;
}

AshFilterPolicy ash_entry_policy(const AshLaunch *launch)
{
	return (AshFilterPolicy){.is_booted = launch->is_booted,
			.is_recording = launch->is_recording,
			.capabilities = launch->capabilities,
			.added = launch->calls_added,
			.removed = launch->calls_removed,
			.only = launch->calls_only};
}

/* ---- orders -------------------------------------------------------------------------------------- */

static gboolean throw_memory(const char *what, GError **error)
{
	int cause = errno;

	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME, "%s: %s", what,
			g_strerror(cause));
}

static gboolean seal(const char *name, unsigned flags, const void *data, size_t size, int *out_fd,
		GError **error)
{
	/* Kernels before 6.3 know nothing of execution, and let it be. */
	ash_autofd int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return throw_memory("memfd_create", error);
	if (!ash_file_write_all(fd, data, size, error))
		return FALSE;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return throw_memory("sealing", error);
	*out_fd = g_steal_fd(&fd);
	return TRUE;
}

static uint32_t add_texts(GByteArray *bytes, char *const *texts)
{
	uint32_t count = 0;

	for (; texts != NULL && *texts != NULL; texts++, count++)
		g_byte_array_append(bytes, (const guint8 *) *texts, (guint) strlen(*texts) + 1);
	return count;
}

static uint32_t add_writable(GByteArray *bytes, const AshLaunch *launch)
{
	static char tmp[] = "/tmp", shm[] = "/dev/shm", mqueue[] = "/dev/mqueue";
	static char *const always[] = {tmp, shm, mqueue, NULL};
	uint32_t count = add_texts(bytes, always);

	for (guint i = 0; i < launch->binds->len; i++) {
		const AshLaunchBind *bind = launch->binds->pdata[i];
		char *path[] = {bind->target, NULL};
		if (!bind->is_read_only)
			count += add_texts(bytes, path);
	}
	return count;
}

static void add_filters(GByteArray *bytes, AshEnterOrders *orders, const AshFilter *filter)
{
	static const guint8 zeros[8] = {0};

	if (bytes->len % 8 != 0)
		g_byte_array_append(bytes, zeros, 8 - bytes->len % 8);
	for (unsigned i = 0; i < ASH_FILTER_PROGRAMS; i++) {
		gsize size = 0;
		const guint8 *data = g_bytes_get_data(filter->programs[i], &size);
		orders->filter_bytes[i] = (uint32_t) size;
		if (size > 0)
			g_byte_array_append(bytes, data, (guint) size);
	}
}

static uint32_t flags_of(const AshLaunch *launch, const AshEntryHow *how, uint64_t capabilities)
{
	unsigned admin = 0;
	uint32_t flags = 0;

	ash_entry_capability("sys_admin", &admin);
	flags |= how->is_init ? ASH_ENTER_INIT : 0;
	flags |= how->is_init && launch->is_idle ? ASH_ENTER_IDLE : 0;
	flags |= launch->is_recording ? ASH_ENTER_RECORD : 0;
	flags |= launch->is_booted ? ASH_ENTER_HAS_BOOT : 0;
	/* Who is behind Landlock cannot mount. */
	if (!launch->is_booted && (capabilities & (UINT64_C(1) << admin)) == 0)
		flags |= ASH_ENTER_SHIELD;
	/* Abstract sockets belong to a network. */
	flags |= strcmp(launch->netns, "host") == 0 && !launch->is_booted ? ASH_ENTER_SCOPE : 0;
	return flags;
}

static gboolean make_orders(const AshLaunch *launch, const AshEntryHow *how,
		const AshFilter *filter, int *out_fd, GError **error)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	AshEnterOrders orders = {.magic = ASH_ENTER_MAGIC,
			.uid = launch->uid,
			.gid = launch->gid,
			.descriptors = launch->descriptors,
			.tasks = launch->tasks};
	static char top[] = "/";
	static char idle[] = "idle";
	char *nothing[] = {idle, NULL};
	bool is_idle = how->command == NULL && launch->is_idle;
	char *directory[] = {*launch->directory != '\0' ? launch->directory : top, NULL};

	if (!ash_entry_capabilities(launch, &orders.capabilities, error))
		return FALSE;
	if (!how->has_userns) {
		orders.uid += launch->uid_base;
		orders.gid += launch->uid_base;
	}
	orders.flags = flags_of(launch, how, orders.capabilities);
	g_byte_array_append(bytes, (const guint8 *) &orders, sizeof orders);
	add_texts(bytes, directory);
	orders.arguments = add_texts(bytes, is_idle                ? nothing
					    : how->command != NULL ? how->command
								   : launch->command);
	orders.environment = add_texts(bytes, launch->environment);
	orders.writable = add_writable(bytes, launch);
	orders.removed = add_texts(bytes, how->removed);
	add_filters(bytes, &orders, filter);
	orders.size = bytes->len;
	memcpy(bytes->data, &orders, sizeof orders);
	if (bytes->len > ASH_ENTER_MAX_BYTES)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"command and environment are too long");
	return seal("orders", MFD_NOEXEC_SEAL_FLAG, bytes->data, bytes->len, out_fd, error);
}

char *ash_entry_program(void)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *dir = g_path_get_dirname(self != NULL ? self : ASH_LIBDIR "/x");

	return g_build_filename(dir, "ashlar-enter", NULL);
}

/* A copy: nothing inside can reach the file. */
static gboolean open_program(int *out_fd, GError **error)
{
	g_autofree char *path = ash_entry_program();
	g_autoptr(GBytes) bytes = NULL;

	if (!ash_file_read(AT_FDCWD, path, ASH_ENTER_MAX_BYTES, &bytes, error))
		return FALSE;
	gsize size = 0;
	const void *data = g_bytes_get_data(bytes, &size);
	return seal("ashlar-enter", MFD_EXEC_FLAG, data, size, out_fd, error);
}

gboolean ash_entry_new(const AshLaunch *launch, const AshEntryHow *how, AshEntry **out_entry,
		GError **error)
{
	AshFilterPolicy policy = ash_entry_policy(launch);
	g_autoptr(AshEntry) entry = g_new0(AshEntry, 1);
	g_autoptr(AshFilter) filter = NULL;
	int pair[2], on = 1;

	entry->orders_fd = entry->program_fd = entry->answer_fd = entry->far_fd = -1;
	if (!ash_filter_load(launch->cache, &policy, &filter, error) ||
			!make_orders(launch, how, filter, &entry->orders_fd, error) ||
			!open_program(&entry->program_fd, error))
		return FALSE;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return throw_memory("socketpair", error);
	entry->answer_fd = pair[0];
	entry->far_fd = pair[1];
	/* Who answers is told by the kernel: the number of the first process, as this side counts. */
	if (setsockopt(entry->answer_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
		return throw_memory("SO_PASSCRED", error);
	*out_entry = g_steal_pointer(&entry);
	return TRUE;
}

int ash_entry_place(const AshEntry *entry)
{
	enum {
		FREE = 64
	}; /* above the places, so that none is overwritten before it is moved */
	const int from[] = {entry->orders_fd, entry->far_fd, entry->program_fd};
	int safe[3];

	for (int i = 0; i < 3; i++) {
		safe[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FREE);
		if (safe[i] < 0)
			return errno;
	}
	for (int i = 0; i < 3; i++)
		if (dup2(safe[i], ASH_ENTER_FD_ORDERS + i) < 0)
			return errno;
	return 0;
}

bool ash_entry_take(
		int answer_fd, char *out_text, pid_t *out_pid, int *out_listener, bool *out_is_end)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec piece = {.iov_base = out_text, .iov_len = ASH_ENTER_MAX_ANSWER_BYTES};
	struct msghdr message = {.msg_iov = &piece,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof control};

	ssize_t size = recvmsg(answer_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	*out_is_end = size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
	if (size <= 0)
		return false;
	out_text[size] = '\0';
	for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL;
			part = CMSG_NXTHDR(&message, part)) {
		if (part->cmsg_level != SOL_SOCKET)
			continue;
		if (part->cmsg_type == SCM_CREDENTIALS) {
			struct ucred sender;
			memcpy(&sender, CMSG_DATA(part), sizeof sender);
			*out_pid = sender.pid;
		} else if (part->cmsg_type == SCM_RIGHTS && *out_listener < 0) {
			memcpy(out_listener, CMSG_DATA(part), sizeof *out_listener);
		}
	}
	return true;
}
