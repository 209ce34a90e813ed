/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/workload/qemu-private.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/spawn.h"

/* A device that opens, answers its version and even makes a machine may still run nothing (seen in nested
 * virtualization), so a guest has to say that it ran.
 */

enum {
	PROBE_TIMEOUT_MS = 3000,
	PROBE_EXIT = 2 * 33 + 1, /* what agent/workload/kvm-probe.S writes, as QEMU ends with it */
	MAX_ANSWER_BYTES = 4096,
};

static const char *const names[] = {"absent", "unusable", "usable"};

const char *ash_kvm_name(AshKvm kvm)
{
	return names[kvm];
}

static AshKvm boot(char **out_why)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *probe = ash_qemu_program("ashlar-kvm-probe");
	const char *argv[] = {ASH_QEMU_PROGRAM, "-M", "q35,accel=kvm", "-cpu", "host", "-m", "16",
			"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
			"-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-kernel", probe, NULL};
	const AshSpawn spawn = {.argv = argv, .timeout_ms = PROBE_TIMEOUT_MS};
	int code;

	if (!ash_spawn_run_status(&spawn, NULL, &code, &error)) {
		*out_why = g_strdup_printf("the probe guest did not run: %s", error->message);
		return ASH_KVM_UNUSABLE;
	}
	if (code != PROBE_EXIT) {
		*out_why = g_strdup_printf(
				"the probe guest did not say that it ran (QEMU ended with %d)",
				code);
		return ASH_KVM_UNUSABLE;
	}
	*out_why = g_strdup("the probe guest has run");
	return ASH_KVM_USABLE;
}

static AshKvm look(char **out_why)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		*out_why = g_strdup_printf("/dev/kvm: %s", g_strerror(errno));
		return ASH_KVM_ABSENT;
	}
	close(fd);
	return boot(out_why);
}

static bool read_boot_id(char **out_id)
{
	return g_file_get_contents("/proc/sys/kernel/random/boot_id", out_id, NULL, NULL) &&
	       *g_strstrip(*out_id) != '\0';
}

/* "BOOT-ID\nusable\nwhy\n": of this boot, or it does not count. */
static bool recall(const char *path, const char *boot_id, AshKvm *out_kvm, char **out_why)
{
	g_autoptr(GBytes) bytes = NULL;

	if (!ash_file_read(AT_FDCWD, path, MAX_ANSWER_BYTES, &bytes, NULL))
		return false;
	g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(bytes, NULL), "\n", 4);
	if (g_strv_length(lines) < 4 || strcmp(lines[0], boot_id) != 0)
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (strcmp(lines[1], names[i]) == 0) {
			*out_kvm = (AshKvm) i;
			*out_why = g_strdup(lines[2]);
			return true;
		}
	return false;
}

AshKvm ash_kvm_probe(const char *dir, char **out_why)
{
	g_autofree char *path = g_build_filename(dir, "kvm", NULL);
	g_autofree char *boot_id = NULL;
	g_autofree char *why = NULL;
	AshKvm kvm;

	if (!read_boot_id(&boot_id) || !recall(path, boot_id, &kvm, &why)) {
		kvm = look(&why);
		g_autofree char *text = g_strdup_printf("%s\n%s\n%s\n", boot_id ? boot_id : "",
				names[kvm], g_strdelimit(why, "\n", ' '));
		/* Without it the guest is booted again next time, which is slower and no worse. */
		g_autoptr(GError) error = NULL;
		if (!ash_file_replace(AT_FDCWD, path, text, strlen(text), 0644, &error))
			g_message("%s", error->message);
	}
	if (out_why)
		*out_why = g_steal_pointer(&why);
	return kvm;
}
