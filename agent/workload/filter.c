/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/workload/enter.h"
#include "agent/workload/filter-list.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

G_DEFINE_QUARK(ash_filter_error, ash_filter_error)

#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
			CLONE_NEWPID | CLONE_NEWNET)
#ifndef TIOCSTI
#define TIOCSTI 0x5412
#endif
#define TIOCLINUX_NUMBER 0x541C

void ash_filter_free(AshFilter *filter)
{
	if (filter == NULL)
		return;
	for (unsigned i = 0; i < ASH_FILTER_PROGRAMS; i++)
		g_clear_pointer(&filter->programs[i], g_bytes_unref);
	g_free(filter);
}

static void context_release(scmp_filter_ctx *context)
{
	if (*context != NULL)
		seccomp_release(*context);
}
#define auto_context __attribute__((cleanup(context_release))) scmp_filter_ctx

static bool has(char *const *list, const char *name)
{
	return list != NULL && g_strv_contains((const char *const *) list, name);
}

/* ---- which calls --------------------------------------------------------------------------------- */

static void add_all(GHashTable *set, const char *const *names)
{
	for (; *names != NULL; names++)
		g_hash_table_add(set, (gpointer) (uintptr_t) *names);
}

static GHashTable *allowed(const AshFilterPolicy *policy)
{
	GHashTable *set = g_hash_table_new(g_str_hash, g_str_equal);

	add_all(set, ash_filter_always);
	add_all(set, policy->only != NULL ? (const char *const *) policy->only
					  : ash_filter_allowed);
	if (policy->is_booted && policy->only == NULL)
		add_all(set, ash_filter_booted);
	for (const AshFilterBring *bring = ash_filter_brings; bring->capability != NULL; bring++)
		if (has(policy->capabilities, bring->capability))
			for (size_t i = 0;
					i < G_N_ELEMENTS(bring->calls) && bring->calls[i] != NULL;
					i++)
				g_hash_table_add(set, (gpointer) (uintptr_t) bring->calls[i]);
	if (policy->added != NULL)
		add_all(set, (const char *const *) policy->added);
	for (char *const *name = policy->removed; name != NULL && *name != NULL; name++)
		g_hash_table_remove(set, *name);
	/* Taken away they would only keep the command from starting. */
	add_all(set, ash_filter_always);
	return set;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

char **ash_filter_calls(const AshFilterPolicy *policy)
{
	g_autoptr(GHashTable) set = allowed(policy);
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, set);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		if (seccomp_syscall_resolve_name(key) >= 0)
			g_ptr_array_add(names, g_strdup(key));
	if (names->len > 0)
		qsort(names->pdata, names->len, sizeof *names->pdata, compare_names);
	g_ptr_array_add(names, NULL);
	return (char **) g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

int ash_filter_call_number(const char *name)
{
	return seccomp_syscall_resolve_name(name);
}

char *ash_filter_call_name(int number)
{
	/* libseccomp's is of malloc, as GLib's are. */
	return seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
}

static gboolean check_names(char *const *names, GError **error)
{
	for (; names != NULL && *names != NULL; names++)
		if (seccomp_syscall_resolve_name(*names) == __NR_SCMP_ERROR)
			return ash_throw(error, ASH_FILTER_ERROR, ASH_FILTER_ERROR_CALL,
					"'%.64s' is no system call that this host knows", *names);
	return TRUE;
}

/* ---- programs ------------------------------------------------------------------------------------ */

static gboolean throw_library(int result, const char *what, GError **error)
{
	return ash_throw(error, ASH_FILTER_ERROR, ASH_FILTER_ERROR_LIBRARY, "libseccomp: %s: %s",
			what, g_strerror(-result));
}

typedef struct scmp_arg_cmp Compare;

static gboolean add_rule(scmp_filter_ctx context, uint32_t action, const char *name, unsigned count,
		const Compare *compares, GError **error)
{
	int number = seccomp_syscall_resolve_name(name);

	/* Negative: another architecture's. */
	if (number < 0)
		return TRUE;
	int result = seccomp_rule_add_array(context, action, number, count, compares);
	return result >= 0 || result == -EEXIST || throw_library(result, name, error);
}

static gboolean add_if(scmp_filter_ctx context, uint32_t action, const char *name, Compare compare,
		GError **error)
{
	return add_rule(context, action, name, 1, &compare, error);
}

static gboolean export_program(scmp_filter_ctx context, GBytes **out_program, GError **error)
{
	ash_autofd int fd = memfd_create("filter", MFD_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "memfd_create");
	int result = seccomp_export_bpf(context, fd);
	if (result < 0)
		return throw_library(result, "writing", error);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return ash_throw_errno(error, "lseek");
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
	return ash_file_read(AT_FDCWD, path, ASH_FILTER_MAX_BYTES, out_program, error);
}

static gboolean open_context(uint32_t action, scmp_filter_ctx *out_context, GError **error)
{
	auto_context context = seccomp_init(action);

	if (context == NULL)
		return throw_library(-ENOMEM, "beginning", error);
	/* Another architecture's calls have other numbers: none of them. */
	int result = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (result >= 0)
		result = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (result < 0)
		return throw_library(result, "beginning", error);
	*out_context = g_steal_pointer(&context);
	return TRUE;
}

/* Answers that say what is wrong, for what the list below refuses anyway. */
static gboolean add_socket_answers(
		scmp_filter_ctx context, const AshFilterPolicy *policy, GError **error)
{
	bool has_packet = has(policy->capabilities, "net_raw");
	bool has_netlink = has(policy->capabilities, "net_admin") || policy->is_booted;
	uint32_t refuse = SCMP_ACT_ERRNO(EAFNOSUPPORT);

	for (unsigned family = 0; family <= AF_NETLINK + 1; family++) {
		if (family == AF_UNIX || family == AF_INET || family == AF_INET6 ||
				family == AF_NETLINK || (family == AF_PACKET && has_packet))
			continue;
		if (!add_if(context, refuse, "socket", SCMP_A0_64(SCMP_CMP_EQ, family), error))
			return FALSE;
	}
	if (!add_if(context, refuse, "socket", SCMP_A0_64(SCMP_CMP_GT, AF_NETLINK + 1), error))
		return FALSE;
	Compare other[] = {SCMP_A0_64(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2_64(SCMP_CMP_NE, 0)};
	return has_netlink ||
	       add_rule(context, SCMP_ACT_ERRNO(EPROTONOSUPPORT), "socket", 2, other, error);
}

/* Arguments that are refused: these are compared as the kernel cuts them. */
static gboolean add_conditions(
		scmp_filter_ctx context, const AshFilterPolicy *policy, GError **error)
{
	static const uint32_t pushes[] = {TIOCSTI, TIOCLINUX_NUMBER};
	uint64_t refused = policy->is_booted ? CLONE_NEWUSER : NAMESPACES;
	uint32_t refuse = SCMP_ACT_ERRNO(EPERM);

	for (unsigned bit = 0; bit < 32 && !has(policy->added, "clone"); bit++) {
		uint64_t flag = UINT64_C(1) << bit;
		if ((refused & flag) != 0 && !has(policy->capabilities, "sys_admin") &&
				!add_if(context, refuse, "clone",
						SCMP_A0_64(SCMP_CMP_MASKED_EQ, flag, flag), error))
			return FALSE;
	}
	if (policy->is_booted && !has(policy->added, "unshare") &&
			!add_if(context, refuse, "unshare",
					SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER,
							CLONE_NEWUSER),
					error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(pushes) && !has(policy->added, "ioctl"); i++)
		if (!add_if(context, refuse, "ioctl",
				    SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xffffffff, pushes[i]), error))
			return FALSE;
	return has(policy->added, "socket") || add_socket_answers(context, policy, error);
}

static gboolean add_sockets(scmp_filter_ctx context, const AshFilterPolicy *policy, GError **error)
{
	Compare route[] = {SCMP_A0_64(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2_64(SCMP_CMP_EQ, 0)};
	bool has_netlink = has(policy->capabilities, "net_admin") || policy->is_booted;

	for (unsigned family = 0; family <= AF_PACKET; family++) {
		bool is_open = family == AF_UNIX || family == AF_INET || family == AF_INET6 ||
			       (family == AF_NETLINK && has_netlink) ||
			       (family == AF_PACKET && has(policy->capabilities, "net_raw"));
		if (is_open && !add_if(context, SCMP_ACT_ALLOW, "socket",
					       SCMP_A0_64(SCMP_CMP_EQ, family), error))
			return FALSE;
	}
	return has_netlink || add_rule(context, SCMP_ACT_ALLOW, "socket", 2, route, error);
}

static gboolean add_personalities(scmp_filter_ctx context, GError **error)
{
	static const uint64_t plain[] = {PER_LINUX, 0xffffffff, UINT64_MAX};

	for (size_t i = 0; i < G_N_ELEMENTS(plain); i++)
		if (!add_if(context, SCMP_ACT_ALLOW, "personality",
				    SCMP_A0_64(SCMP_CMP_EQ, plain[i]), error))
			return FALSE;
	return TRUE;
}

static gboolean add_list(scmp_filter_ctx context, const AshFilterPolicy *policy, GError **error)
{
	g_autoptr(GHashTable) set = allowed(policy);
	g_auto(GStrv) names = ash_filter_calls(policy);

	for (char **name = names; *name != NULL; name++) {
		gboolean is_added = FALSE;
		if (strcmp(*name, "socket") == 0 && !has(policy->added, *name))
			is_added = add_sockets(context, policy, error);
		else if (strcmp(*name, "personality") == 0 && !has(policy->added, *name))
			is_added = add_personalities(context, error);
		else
			is_added = add_rule(context, SCMP_ACT_ALLOW, *name, 0, NULL, error);
		if (!is_added)
			return FALSE;
	}
	for (const char *const *name = ash_filter_refused; *name != NULL; name++)
		if (!g_hash_table_contains(set, *name) &&
				!add_rule(context, SCMP_ACT_ERRNO(EPERM), *name, 0, NULL, error))
			return FALSE;
	for (char *const *name = policy->removed; name != NULL && *name != NULL; name++)
		if (!g_hash_table_contains(set, *name) &&
				!add_rule(context, SCMP_ACT_ERRNO(EPERM), *name, 0, NULL, error))
			return FALSE;
	return TRUE;
}

/* What depends on arguments holds as ever; which calls may be made at all is the listener's affair. */
static gboolean build_recording(AshFilter *filter, const AshFilterPolicy *policy, GError **error)
{
	auto_context context = NULL, conditions = NULL;
	/* The answer that carries the listener: nobody listens yet. */
	Compare answer[] = {SCMP_A0_64(SCMP_CMP_EQ, ASH_ENTER_FD_ANSWER),
			SCMP_A2_64(SCMP_CMP_EQ, ASH_ENTER_ANSWER_FLAGS)};

	return open_context(SCMP_ACT_ALLOW, &conditions, error) &&
	       add_conditions(conditions, policy, error) &&
	       export_program(conditions, &filter->programs[0], error) &&
	       open_context(SCMP_ACT_NOTIFY, &context, error) &&
	       add_rule(context, SCMP_ACT_ALLOW, "sendmsg", 2, answer, error) &&
	       export_program(context, &filter->programs[1], error);
}

gboolean ash_filter_build(const AshFilterPolicy *policy, AshFilter **out_filter, GError **error)
{
	g_autoptr(AshFilter) filter = g_new0(AshFilter, 1);
	auto_context conditions = NULL, list = NULL;

	if (!check_names(policy->added, error) || !check_names(policy->removed, error) ||
			!check_names(policy->only, error))
		return FALSE;
	if (policy->is_recording) {
		if (!build_recording(filter, policy, error))
			return FALSE;
	} else if (!open_context(SCMP_ACT_ALLOW, &conditions, error) ||
			!add_conditions(conditions, policy, error) ||
			!export_program(conditions, &filter->programs[0], error) ||
			!open_context(SCMP_ACT_ERRNO(ENOSYS), &list, error) ||
			!add_list(list, policy, error) ||
			!export_program(list, &filter->programs[1], error)) {
		return FALSE;
	}
	*out_filter = g_steal_pointer(&filter);
	return TRUE;
}

/* ---- kept ---------------------------------------------------------------------------------------- */

static void hash_names(GChecksum *sum, const char *kind, char *const *names)
{
	g_checksum_update(sum, (const guchar *) kind, (gssize) strlen(kind) + 1);
	for (; names != NULL && *names != NULL; names++)
		g_checksum_update(sum, (const guchar *) *names, (gssize) strlen(*names) + 1);
}

static char *file_name(const AshFilterPolicy *policy)
{
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	const struct scmp_version *version = seccomp_version();
	g_autofree char *head = g_strdup_printf("%s %s %x %u.%u.%u %d %d", ASH_FILTER_PROFILE,
			ASH_VERSION, seccomp_arch_native(), version->major, version->minor,
			version->micro, policy->is_booted, policy->is_recording);

	hash_names(sum, head, NULL);
	hash_names(sum, "capabilities", policy->capabilities);
	hash_names(sum, "added", policy->added);
	hash_names(sum, "removed", policy->removed);
	hash_names(sum, policy->only != NULL ? "only" : "default", policy->only);
	return g_strdup_printf("filter-%s", g_checksum_get_string(sum));
}

/* The length of the first program, then both. */
static AshFilter *read_kept(const char *path)
{
	g_autoptr(GBytes) bytes = NULL;

	if (!ash_file_read(AT_FDCWD, path, ASH_FILTER_MAX_BYTES, &bytes, NULL))
		return NULL;
	gsize size = 0;
	const guint8 *data = g_bytes_get_data(bytes, &size);
	uint64_t first = 0;
	if (size < sizeof first)
		return NULL;
	memcpy(&first, data, sizeof first);
	if (first > size - sizeof first)
		return NULL;
	AshFilter *filter = g_new0(AshFilter, 1);
	filter->programs[0] = g_bytes_new(data + sizeof first, first);
	filter->programs[1] = g_bytes_new(
			data + sizeof first + first, size - sizeof first - (size_t) first);
	return filter;
}

static void keep(const char *cache, const char *path, const AshFilter *filter)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	uint64_t first = g_bytes_get_size(filter->programs[0]);

	g_byte_array_append(bytes, (const guint8 *) &first, sizeof first);
	for (unsigned i = 0; i < ASH_FILTER_PROGRAMS; i++) {
		gsize size = 0;
		const guint8 *data = g_bytes_get_data(filter->programs[i], &size);
		if (size > 0)
			g_byte_array_append(bytes, data, (guint) size);
	}
	if (ash_file_ensure_dir(AT_FDCWD, cache, 0700, NULL))
		(void) !ash_file_replace(AT_FDCWD, path, bytes->data, bytes->len, 0600, NULL);
}

gboolean ash_filter_load(const char *cache, const AshFilterPolicy *policy, AshFilter **out_filter,
		GError **error)
{
	g_autofree char *name = file_name(policy);
	g_autofree char *path = g_build_filename(cache, name, NULL);

	*out_filter = read_kept(path);
	if (*out_filter != NULL)
		return TRUE;
	if (!ash_filter_build(policy, out_filter, error))
		return FALSE;
	keep(cache, path, *out_filter);
	return TRUE;
}
