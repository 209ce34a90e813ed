/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/enter-step.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool lower(int resource, uint64_t value)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t) resource, &limit) < 0)
		return false;
	/* Raising needs a privilege that nobody here is to have: what is lower stays. */
	if (limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit((__rlimit_resource_t) resource, &limit) == 0;
}

void ash_enter_limit(const AshEnterOrders *orders)
{
	if (!lower(RLIMIT_CORE, 0) ||
			(orders->descriptors != 0 && !lower(RLIMIT_NOFILE, orders->descriptors)) ||
			(orders->tasks != 0 && !lower(RLIMIT_NPROC, orders->tasks)))
		ash_enter_fail("limits");
}

static bool set_capabilities(uint64_t set, bool is_inheritable)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	for (unsigned i = 0; i < 2; i++) {
		data[i].effective = data[i].permitted = (uint32_t) (set >> (32 * i));
		data[i].inheritable = is_inheritable ? data[i].permitted : 0;
	}
	return syscall(SYS_capset, &header, data) == 0;
}

/* Above the last one that the kernel has, which is told by EINVAL. */
static bool drop_bounding(uint64_t keep)
{
	for (unsigned i = 0; i < 64; i++)
		if ((keep & (UINT64_C(1) << i)) == 0 && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
			return errno == EINVAL;
	return true;
}

static bool raise_ambient(uint64_t set)
{
	for (unsigned i = 0; i < 64; i++)
		if ((set & (UINT64_C(1) << i)) != 0 &&
				prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			return false;
	return true;
}

static uint64_t permitted(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data) < 0)
		ash_enter_fail("capabilities");
	return data[0].permitted | (uint64_t) data[1].permitted << 32;
}

void ash_enter_drop(const AshEnterOrders *orders)
{
	uint64_t keep = orders->capabilities;

	if ((permitted() & keep) != keep) {
		errno = EPERM;
		ash_enter_fail("granted capabilities");
	}
	if (!drop_bounding(keep))
		ash_enter_fail("bounding set");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		ash_enter_fail("keeping capabilities");
	if (setgroups(0, NULL) < 0)
		ash_enter_fail("groups");
	if (setresgid(orders->gid, orders->gid, orders->gid) < 0)
		ash_enter_fail("group");
	if (setresuid(orders->uid, orders->uid, orders->uid) < 0)
		ash_enter_fail("user");
	if (!set_capabilities(keep, true))
		ash_enter_fail("capabilities");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || !raise_ambient(keep))
		ash_enter_fail("ambient set");
	if ((orders->flags & ASH_ENTER_HAS_BOOT) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		ash_enter_fail("no_new_privs");
	/* Said again: what changes a user forgets it. */
	if (prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0) < 0)
		ash_enter_fail("death with the launcher");
}
