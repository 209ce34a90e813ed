/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/workload/enter-step.h"

/* Of linux/landlock.h as it stands in 6.12: the header that this is compiled with may be older. */
enum {
	EXECUTE = 1 << 0,
	WRITE_FILE = 1 << 1,
	READ_FILE = 1 << 2,
	READ_DIR = 1 << 3,
	REMOVE_DIR = 1 << 4,
	REMOVE_FILE = 1 << 5,
	MAKE_CHAR = 1 << 6,
	MAKE_DIR = 1 << 7,
	MAKE_REG = 1 << 8,
	MAKE_SOCK = 1 << 9,
	MAKE_FIFO = 1 << 10,
	MAKE_BLOCK = 1 << 11,
	MAKE_SYM = 1 << 12,
	REFER = 1 << 13,         /* ABI 2 */
	TRUNCATE = 1 << 14,      /* ABI 3 */
	SCOPE_ABSTRACT = 1 << 0, /* ABI 6 */
	RULE_PATH_BENEATH = 1,
	CREATE_VERSION = 1 << 0,
};

struct ruleset {
	uint64_t fs, net, scoped;
};
struct beneath {
	uint64_t access;
	int32_t parent_fd;
} __attribute__((packed));

static void allow(int ruleset, const char *path, uint64_t access)
{
	struct beneath rule = {.access = access};
	struct stat st;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0 && errno == ENOENT)
		return;
	if (rule.parent_fd < 0 || fstat(rule.parent_fd, &st) < 0)
		ash_enter_fail("Landlock: a writable path");
	if (!S_ISDIR(st.st_mode))
		rule.access &= WRITE_FILE | TRUNCATE;
	if (rule.access != 0 &&
			syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
		ash_enter_fail("Landlock: a rule");
	close(rule.parent_fd);
}

void ash_enter_shield(const AshEnterOrders *orders, const char *const *writable)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
	struct ruleset attr = {0};

	/* A kernel without it: the mounts are read-only anyway. */
	if (abi < 1)
		return;
	if ((orders->flags & ASH_ENTER_SHIELD) != 0) {
		attr.fs = WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_CHAR | MAKE_DIR | MAKE_REG |
			  MAKE_SOCK | MAKE_FIFO | MAKE_BLOCK | MAKE_SYM;
		/* Without ABI 2 nothing could be moved between directories; such a kernel is not Debian's. */
		attr.fs |= abi >= 2 ? REFER : 0;
		attr.fs |= abi >= 3 ? TRUNCATE : 0;
	}
	attr.scoped = abi >= 6 && (orders->flags & ASH_ENTER_SCOPE) != 0 ? SCOPE_ABSTRACT : 0;
	if (attr.fs == 0 && attr.scoped == 0)
		return;
	size_t size = abi >= 6 ? sizeof attr : abi >= 4 ? 16 : 8;
	int ruleset = (int) syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (ruleset < 0)
		ash_enter_fail("Landlock");
	if (attr.fs != 0) {
		/* Files that are there (devices, /proc/self) may be written, none made. */
		allow(ruleset, "/dev", attr.fs & (WRITE_FILE | TRUNCATE));
		allow(ruleset, "/proc", attr.fs & (WRITE_FILE | TRUNCATE));
		for (uint32_t i = 0; i < orders->writable; i++)
			allow(ruleset, writable[i], attr.fs & ~(uint64_t) (MAKE_CHAR | MAKE_BLOCK));
	}
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		ash_enter_fail("Landlock: restricting");
	close(ruleset);
}

/* ---- system calls -------------------------------------------------------------------------------- */

/* Its own descriptor, to the launcher, which answers from here on. */
static void send_listener(int listener)
{
	static const char text[] = "listen";
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec piece = {.iov_base = (void *) (uintptr_t) text, .iov_len = sizeof text - 1};
	struct msghdr message = {.msg_iov = &piece,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof control.room};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &listener, sizeof listener);
	if (sendmsg(ASH_ENTER_FD_ANSWER, &message, ASH_ENTER_ANSWER_FLAGS) < 0)
		_exit(ASH_ENTER_EXIT_FAILED);
}

void ash_enter_filter(const AshEnterOrders *orders, const void *const *filters)
{
	for (unsigned i = 0; i < ASH_ENTER_MAX_FILTERS; i++) {
		struct sock_fprog program = {.len = (unsigned short) (orders->filter_bytes[i] /
								      sizeof(struct sock_filter)),
				.filter = (struct sock_filter *) (uintptr_t) filters[i]};
		bool is_recorded = i == ASH_ENTER_MAX_FILTERS - 1 &&
				   (orders->flags & ASH_ENTER_RECORD) != 0;
		if (program.len == 0)
			continue;
		long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				is_recorded ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &program);
		if (result < 0)
			ash_enter_fail("system-call filter");
		if (is_recorded)
			send_listener((int) result);
	}
}
