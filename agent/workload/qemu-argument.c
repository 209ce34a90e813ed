/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/qemu-private.h"

/* Debian's kernels have no virtio-mmio on the command line, so q35 and not microvm. */

static void add(GPtrArray *argv, const char *option, char *take_value)
{
	g_ptr_array_add(argv, g_strdup(option));
	if (take_value)
		g_ptr_array_add(argv, take_value);
}

static void add_machine(GPtrArray *argv, const AshQemuSetup *setup)
{
	bool is_emulated = setup->effective != ASH_ISOLATION_CLASS_VM;
	const char *machine =
#if defined(__aarch64__)
			"virt";
#else
			/* No legacy devices that nobody asked for: each is code that a guest can reach. */
			"q35,usb=off,vmport=off,smbus=off,sata=off,hpet=off,dump-guest-core=off,i8042=off";
#endif

	add(argv, "-nodefaults", NULL);
	add(argv, "-no-user-config", NULL);
	add(argv, "-no-reboot", NULL);
	add(argv, "-display", g_strdup("none"));
	add(argv, "-sandbox",
			g_strdup("on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
				 "resourcecontrol=deny"));
	add(argv, "-machine", g_strdup_printf("%s,accel=%s", machine, is_emulated ? "tcg" : "kvm"));
	add(argv, "-cpu", g_strdup(is_emulated ? "max" : "host"));
	add(argv, "-smp", g_strdup_printf("%u", setup->processors));
	add(argv, "-m", g_strdup_printf("%" G_GUINT64_FORMAT "k", setup->memory_bytes >> 10));
}

/* Commas are QEMU's. What follows the file is text for the kernel, which cannot know a module by our descriptor. */
static void append_escaped(GString *option, const char *text)
{
	for (; *text != '\0'; text++) {
		g_string_append_c(option, *text);
		if (*text == ',')
			g_string_append_c(option, ',');
	}
}

static void add_kernel(GPtrArray *argv, const AshQemuSetup *setup)
{
	add(argv, "-kernel", g_strdup_printf("/proc/self/fd/%d", ASH_QEMU_FD_KERNEL));
	g_autoptr(GString) initrd = g_string_new(NULL);
	if (setup->initrd_fd >= 0)
		g_string_append_printf(initrd, "/proc/self/fd/%d", ASH_QEMU_FD_INITRD);
	for (guint i = 0; i < setup->module_fds->len; i++) {
		g_string_append_printf(initrd, "%s/proc/self/fd/%d ", initrd->len > 0 ? "," : "",
				ASH_QEMU_FD_MODULES + (int) i);
		append_escaped(initrd, setup->modules[i]);
	}
	if (initrd->len > 0)
		add(argv, "-initrd", g_strdup(initrd->str));
	if (setup->append && setup->append[0] != '\0')
		add(argv, "-append", g_strdup(setup->append));
}

static void add_disks(GPtrArray *argv, const AshQemuSetup *setup)
{
	for (guint i = 0; i < setup->disks->len; i++) {
		const AshQemuDisk *disk = &g_array_index(setup->disks, AshQemuDisk, i);
		add(argv, "-add-fd",
				g_strdup_printf("fd=%d,set=%u", ASH_QEMU_FD_DISKS + (int) i,
						i + 1));
		add(argv, "-blockdev",
				g_strdup_printf("driver=raw,node-name=disk%u,read-only=%s,"
						"file.driver=file,file.locking=off,"
						"file.filename=/dev/fdset/%u,discard=unmap",
						i, disk->is_read_only ? "on" : "off", i + 1));
		add(argv, "-device",
				g_strdup_printf("virtio-blk-pci,drive=disk%u,serial=%s", i,
						disk->serial));
	}
}

static void add_channel(GPtrArray *argv, const char *id, int fd)
{
	add(argv, "-chardev", g_strdup_printf("socket,id=%s,fd=%d", id, fd));
}

static void add_ports(GPtrArray *argv)
{
	add(argv, "-device", g_strdup("virtio-serial-pci"));
	add_channel(argv, "control", ASH_QEMU_FD_CONTROL);
	add(argv, "-device", g_strdup("virtserialport,chardev=control,name=org.ashlar.control"));
	add_channel(argv, "output", ASH_QEMU_FD_OUTPUT);
	add(argv, "-device", g_strdup("virtserialport,chardev=output,name=org.ashlar.output"));
	add_channel(argv, "channel", ASH_QEMU_FD_CHANNEL);
	add(argv, "-device", g_strdup("virtserialport,chardev=channel,name=org.ashlar.channel"));
}

char **ash_qemu_arguments(const AshQemuSetup *setup)
{
	GPtrArray *argv = g_ptr_array_new();

	g_ptr_array_add(argv, g_strdup(ASH_QEMU_PROGRAM));
	add_machine(argv, setup);
	add_kernel(argv, setup);
	add_disks(argv, setup);
	add_ports(argv);
	add_channel(argv, "serial", ASH_QEMU_FD_SERIAL);
	add(argv, "-serial", g_strdup("chardev:serial"));
	add_channel(argv, "monitor", ASH_QEMU_FD_MONITOR);
	add(argv, "-mon", g_strdup("chardev=monitor,mode=control"));
	add(argv, "-device", g_strdup("virtio-rng-pci"));
#if !defined(__aarch64__)
	add(argv, "-device", g_strdup("isa-debug-exit,iobase=0xf4,iosize=1"));
#endif
	if (setup->tap_fd >= 0 || setup->mac[0] != '\0') {
		add(argv, "-netdev", g_strdup_printf("tap,id=net,fd=%d", ASH_QEMU_FD_TAP));
		add(argv, "-device",
				g_strdup_printf("virtio-net-pci,netdev=net,mac=%s,romfile=",
						setup->mac));
	}
	g_ptr_array_add(argv, NULL);
	return (char **) g_ptr_array_free(argv, FALSE);
}
