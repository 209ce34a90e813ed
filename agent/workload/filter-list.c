/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/filter-list.h"

#include <stddef.h>

/* clang-format off */
const char *const ash_filter_always[] = {"execve", "exit", "exit_group", "rt_sigreturn",
	"restart_syscall", "sigreturn", NULL};

const char *const ash_filter_allowed[] = {
	/* memory, threads, time */
	"arch_prctl", "brk", "cacheflush", "cachestat", "clock_getres", "clock_getres_time64",
	"clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "futex",
	"futex_requeue", "futex_time64", "futex_wait", "futex_waitv", "futex_wake",
	"get_mempolicy", "get_robust_list", "get_thread_area", "getcpu", "getitimer", "getrandom",
	"gettid", "gettimeofday", "madvise", "map_shadow_stack", "mbind", "membarrier",
	"memfd_create", "memfd_secret", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mmap2",
	"mprotect", "mremap", "mseal", "msync", "munlock", "munlockall", "munmap", "nanosleep",
	"pause", "process_madvise", "process_mrelease", "remap_file_pages", "riscv_flush_icache",
	"riscv_hwprobe", "rseq", "set_mempolicy", "set_mempolicy_home_node", "set_robust_list",
	"set_thread_area", "set_tid_address", "set_tls", "setitimer", "time", "timer_create",
	"timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime",
	"timer_settime64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64",
	"timerfd_settime", "timerfd_settime64", "times",
	/* files */
	"access", "arm_fadvise64_64", "chdir", "chmod", "chown", "chown32", "close", "close_range",
	"copy_file_range", "creat", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64",
	"fadvise64_64", "fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown",
	"fchown32", "fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr",
	"flock", "fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs",
	"fstatfs64", "fsync", "ftruncate", "ftruncate64", "futimesat", "getcwd", "getdents",
	"getdents64", "getxattr", "getxattrat", "inotify_add_watch", "inotify_init",
	"inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy", "io_getevents",
	"io_pgetevents", "io_pgetevents_time64", "io_setup", "io_submit", "ioctl", "lchown",
	"lchown32", "lgetxattr", "link", "linkat", "listxattr", "listxattrat", "llistxattr",
	"lremovexattr", "lseek", "_llseek", "lsetxattr", "lstat", "lstat64", "mkdir", "mkdirat",
	"mknod", "mknodat", "newfstatat", "open", "openat", "openat2", "pread64", "preadv",
	"preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink",
	"readlinkat", "readv", "removexattr", "removexattrat", "rename", "renameat", "renameat2",
	"rmdir", "sendfile", "sendfile64", "setxattr", "setxattrat", "splice", "stat", "stat64",
	"statfs", "statfs64", "statx", "symlink", "symlinkat", "sync", "sync_file_range",
	"sync_file_range2", "syncfs", "tee", "truncate", "truncate64", "umask", "unlink",
	"unlinkat", "utime", "utimensat", "utimensat_time64", "utimes", "vmsplice", "write",
	"writev",
	/* waiting */
	"_newselect", "alarm", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait",
	"epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "pipe", "pipe2", "poll", "ppoll",
	"ppoll_time64", "pselect6", "pselect6_time64", "select", "signalfd", "signalfd4",
	/* between processes */
	"ipc", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
	"mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl",
	"msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop",
	"semtimedop_time64", "shmat", "shmctl", "shmdt", "shmget",
	/* network */
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt",
	"listen", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg",
	"sendmsg", "sendto", "setsockopt", "shutdown", "socket", "socketpair",
	/* processes */
	"capget", "capset", "clone", "execveat", "fork", "getegid", "getegid32", "geteuid",
	"geteuid32", "getgid", "getgid32", "getgroups", "getgroups32", "getpgid", "getpgrp",
	"getpid", "getppid", "getpriority", "getresgid", "getresgid32", "getresuid",
	"getresuid32", "getrlimit", "getrusage", "getsid", "getuid", "getuid32", "ioprio_get",
	"ioprio_set", "kill", "landlock_add_rule", "landlock_create_ruleset",
	"landlock_restrict_self", "nice", "personality", "pidfd_open", "pidfd_send_signal",
	"prctl", "prlimit64", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
	"rt_sigqueueinfo", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
	"rt_tgsigqueueinfo", "sched_get_priority_max", "sched_get_priority_min",
	"sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler",
	"sched_rr_get_interval", "sched_rr_get_interval_time64", "sched_setaffinity",
	"sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp",
	"setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups",
	"setgroups32", "setpgid", "setpriority", "setregid", "setregid32", "setresgid",
	"setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setrlimit",
	"setsid", "setuid", "setuid32", "sigaction", "sigaltstack", "signal", "sigpending",
	"sigprocmask", "sigsuspend", "sysinfo", "tgkill", "tkill", "ugetrlimit", "uname", "vfork",
	"wait4", "waitid", "waitpid", NULL};

const char *const ash_filter_booted[] = {"chroot", "fanotify_init", "fanotify_mark", "fsconfig",
	"fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "name_to_handle_at",
	"open_tree", "pivot_root", "reboot", "setdomainname", "sethostname", "setns", "umount",
	"umount2", "unshare", "vhangup", NULL};

const char *const ash_filter_refused[] = {"acct", "add_key", "adjtimex", "bpf", "chroot",
	"clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64", "delete_module",
	"fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module",
	"ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "listmount",
	"lookup_dcookie", "migrate_pages", "modify_ldt", "mount", "mount_setattr", "move_mount",
	"move_pages", "name_to_handle_at", "open_by_handle_at", "open_tree", "perf_event_open",
	"pidfd_getfd", "pivot_root", "process_vm_readv", "process_vm_writev", "ptrace", "quotactl",
	"quotactl_fd", "reboot", "request_key", "setdomainname", "sethostname", "setns",
	"settimeofday", "statmount", "stime", "swapoff", "swapon", "syslog", "umount", "umount2",
	"unshare", "ustat", "vhangup", NULL};

const AshFilterBring ash_filter_brings[] = {
	{"bpf", {"bpf"}},
	{"dac_read_search", {"open_by_handle_at", "name_to_handle_at"}},
	{"perfmon", {"perf_event_open"}},
	{"sys_admin", {"mount", "umount", "umount2", "sethostname", "setdomainname", "pivot_root", "quotactl"}},
	{"sys_boot", {"reboot"}},
	{"sys_chroot", {"chroot"}},
	{"sys_module", {"init_module", "finit_module", "delete_module"}},
	{"sys_pacct", {"acct"}},
	{"sys_ptrace", {"ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd"}},
	{"sys_rawio", {"ioperm", "iopl"}},
	{"sys_time", {"adjtimex", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64", "settimeofday", "stime"}},
	{"sys_tty_config", {"vhangup"}},
	{"syslog", {"syslog"}},
	{NULL, {NULL}}};
/* clang-format on */
