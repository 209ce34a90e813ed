/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/vm.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builder/image-arch.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/spawn.h"

G_DEFINE_QUARK(ash_vm_error, ash_vm_error)

enum {
	MIN_QEMU_MAJOR = 10,
	MAX_CPUINFO_BYTES = 4 << 20,
	MAX_FIRMWARE_BYTES = 128 << 20,
};

typedef struct {
	const char *debian;
	const char *program;
	const char *machine;
	const char *emulated_cpu;
	const char *code; /* firmware */
	const char *vars;
} Machine;

/* Five-level page tables (la57) cost an emulated guest about a tenth of its boot. */
static const Machine machines[] = {
		{"amd64", "qemu-system-x86_64", "q35", "max,la57=off",
				"/usr/share/OVMF/OVMF_CODE_4M.fd",
				"/usr/share/OVMF/OVMF_VARS_4M.fd"},
		{"arm64", "qemu-system-aarch64", "virt", "max", "/usr/share/AAVMF/AAVMF_CODE.fd",
				"/usr/share/AAVMF/AAVMF_VARS.fd"},
		{"riscv64", "qemu-system-riscv64", "virt", "max",
				"/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd",
				"/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd"},
};

static const Machine *find_machine(const char *arch)
{
	for (size_t i = 0; i < G_N_ELEMENTS(machines); i++)
		if (strcmp(machines[i].debian, arch) == 0)
			return &machines[i];
	return NULL;
}

/* ---- what this machine can do -------------------------------------------------------------- */

static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *p = strstr(text, word); p != NULL; p = strstr(p + 1, word))
		if (p > text && g_ascii_isspace(p[-1]) &&
				(p[length] == '\0' || g_ascii_isspace(p[length])))
			return true;
	return false;
}

bool ash_vm_have_kvm(void)
{
	g_autoptr(GBytes) cpuinfo = NULL;
	g_autoptr(GError) local = NULL;
	ash_autofd int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return false;
#if defined(__x86_64__) || defined(__i386__)
	if (!ash_file_read(AT_FDCWD, "/proc/cpuinfo", MAX_CPUINFO_BYTES, &cpuinfo, &local)) {
		g_debug("no answer about virtualisation: %s", local->message);
		return false;
	}
	const char *text = g_bytes_get_data(cpuinfo, NULL);
	return has_word(text, "vmx") || has_word(text, "svm");
#else
	return true;
#endif
}

static gboolean choose_accel(AshVmAccel wanted, const char *arch, bool *out_has_kvm, GError **error)
{
	const char *variable = g_getenv("ASHLAR_ACCEL");
	const char *native = ash_image_arch_native();

	if (wanted == ASH_VM_ACCEL_AUTO && variable != NULL && *variable != '\0') {
		if (strcmp(variable, "kvm") != 0 && strcmp(variable, "tcg") != 0)
			return ash_throw(error, ASH_VM_ERROR, ASH_VM_ERROR_ENVIRONMENT,
					"ASHLAR_ACCEL is '%s', expected kvm or tcg", variable);
		wanted = strcmp(variable, "kvm") == 0 ? ASH_VM_ACCEL_KVM : ASH_VM_ACCEL_TCG;
	}
	if (wanted == ASH_VM_ACCEL_AUTO)
		*out_has_kvm = native != NULL && strcmp(native, arch) == 0 && ash_vm_have_kvm();
	else
		*out_has_kvm = wanted == ASH_VM_ACCEL_KVM;
	return TRUE;
}

static gboolean check_qemu(const Machine *machine, bool has_kvm, GError **error)
{
	const char *argv[] = {machine->program, "--version", NULL};
	AshSpawn spawn = {.argv = argv, .timeout_ms = 30000};
	g_autoptr(GBytes) output = NULL;

	if (!ash_spawn_run(&spawn, &output, error))
		return FALSE;
	const char *text = g_bytes_get_data(output, NULL);
	const char *version = strstr(text, "version ");
	long major = version != NULL ? strtol(version + strlen("version "), NULL, 10) : 0;
	if (has_kvm || major >= MIN_QEMU_MAJOR)
		return TRUE;
	return ash_throw(error, ASH_VM_ERROR, ASH_VM_ERROR_ENVIRONMENT,
			"without KVM, QEMU %d or later is needed (this is %ld): older ones miscompile Debian 13's kernel; run 'make deps'",
			MIN_QEMU_MAJOR, major);
}

char *ash_vm_guess_arch(const char *image_name)
{
	g_autofree char *base = g_path_get_basename(image_name);
	char *dot = strrchr(base, '.');

	if (dot != NULL)
		*dot = '\0';
	const char *dash = strrchr(base, '-');
	if (dash == NULL || find_machine(dash + 1) == NULL)
		return NULL;
	return g_strdup(dash + 1);
}

/* ---- the command line ---------------------------------------------------------------------- */

static const char *disk_format(const char *path)
{
	static const char *const pairs[][2] = {{".qcow2", "qcow2"}, {".raw", "raw"},
			{".vmdk", "vmdk"}, {".vdi", "vdi"}, {".vhdx", "vhdx"}, {".img", "raw"}};

	for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++)
		if (g_str_has_suffix(path, pairs[i][0]))
			return pairs[i][1];
	return NULL;
}

static gboolean throw_format(const char *path, GError **error)
{
	return ash_throw(error, ASH_VM_ERROR, ASH_VM_ERROR_IMAGE,
			"'%s' is no disk image by its name, expected .qcow2, .raw, .img, .vmdk, .vdi or .vhdx",
			path);
}

/* A comma ends an option's value unless it is doubled. */
static char *quote(const char *text)
{
	g_auto(GStrv) parts = g_strsplit(text, ",", -1);

	return g_strjoinv(",,", parts);
}

G_GNUC_PRINTF(2, 3)
static void add(GPtrArray *argv, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_ptr_array_add(argv, g_strdup_vprintf(format, args));
	va_end(args);
}

static bool parse_port(const char *text, guint64 *out_port)
{
	return g_ascii_string_to_unsigned(text, 10, 1, 65535, out_port, NULL);
}

static gboolean add_network(GPtrArray *argv, const char *const *forwards, GError **error)
{
	g_autoptr(GString) netdev = g_string_new("user,id=net");

	for (; forwards != NULL && *forwards != NULL; forwards++) {
		g_auto(GStrv) ports = g_strsplit(*forwards, ":", -1);
		guint64 host = 0;
		guint64 guest = 0;
		if (g_strv_length(ports) != 2 || !parse_port(ports[0], &host) ||
				!parse_port(ports[1], &guest))
			return ash_throw(error, ASH_VM_ERROR, ASH_VM_ERROR_FORWARD,
					"'%s' is not HOSTPORT:GUESTPORT, as in 8080:80", *forwards);
		g_string_append_printf(netdev, ",hostfwd=tcp:127.0.0.1:%" PRIu64 "-:%" PRIu64, host,
				guest);
	}
	add(argv, "-netdev");
	add(argv, "%s", netdev->str);
	add(argv, "-device");
	add(argv, "virtio-net-pci,netdev=net,romfile=");
	return TRUE;
}

static void add_drives(GPtrArray *argv, const AshVmPlan *plan, const char *format)
{
	g_autofree char *code = quote(plan->firmware_code);
	g_autofree char *vars = quote(plan->firmware_vars);
	g_autofree char *image =
			quote(plan->state_disk != NULL ? plan->state_disk : plan->image_path);

	add(argv, "-drive");
	add(argv, "if=pflash,unit=0,format=raw,readonly=on,file=%s", code);
	add(argv, "-drive");
	add(argv, "if=pflash,unit=1,format=raw,file=%s", vars);
	add(argv, "-drive");
	if (plan->state_disk != NULL)
		add(argv, "if=none,id=disk,format=qcow2,discard=unmap,file=%s", image);
	else
		add(argv, "if=none,id=disk,format=%s,snapshot=on,file=%s", format, image);
	add(argv, "-device");
	add(argv, "virtio-blk-pci,drive=disk,bootindex=1");
}

/* A machine that lives on may hang in an update: the host feeds this from its initramfs on. */
static void add_watchdog(GPtrArray *argv, const AshVmPlan *plan)
{
	if (plan->state_disk == NULL || strcmp(plan->arch, "amd64") != 0)
		return;
	add(argv, "-device");
	add(argv, "i6300esb");
	add(argv, "-action");
	add(argv, "watchdog=reset");
}

static void add_document(GPtrArray *argv, const char *document)
{
	if (document == NULL)
		return;
	g_autofree char *encoded = g_base64_encode((const guchar *) document, strlen(document));
	add(argv, "-smbios");
	add(argv, "type=11,value=io.systemd.credential.binary:ashlar.host=%s", encoded);
}

static void add_channels(GPtrArray *argv, const AshVmPlan *plan)
{
	if (plan->socket_dir == NULL) {
		g_autofree char *log = plan->options->console_file != NULL
						       ? quote(plan->options->console_file)
						       : NULL;
		add(argv, "-chardev");
		add(argv, "stdio,id=console,mux=on,signal=off%s%s", log != NULL ? ",logfile=" : "",
				log != NULL ? log : "");
		add(argv, "-mon");
		add(argv, "chardev=console,mode=readline");
	} else {
		g_autofree char *dir = quote(plan->socket_dir);
		static const char *const names[] = {"console", "report", "monitor"};
		for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
			add(argv, "-chardev");
			add(argv, "socket,id=%s,path=%s/%s", names[i], dir, names[i]);
		}
		add(argv, "-mon");
		add(argv, "chardev=monitor,mode=control");
		add(argv, "-device");
		add(argv, "virtio-serial-pci");
		add(argv, "-device");
		add(argv, "virtserialport,chardev=report,name=" ASH_VM_REPORT_PORT);
		add(argv, "-pidfile");
		add(argv, "%s/pid", plan->socket_dir);
	}
	add(argv, "-serial");
	add(argv, "chardev:console");
}

/* systemd-boot takes kernel arguments from SMBIOS strings of type 11. */
static void add_kernel_arguments(GPtrArray *argv, const char *const *arguments)
{
	if (arguments == NULL || *arguments == NULL)
		return;
	g_autofree char *joined = g_strjoinv(" ", (char **) (uintptr_t) arguments);
	g_autofree char *value = quote(joined);
	add(argv, "-smbios");
	add(argv, "type=11,value=io.systemd.boot.kernel-cmdline-extra=%s", value);
}

gboolean ash_vm_arguments(const AshVmPlan *plan, char ***out_argv, GError **error)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
	const Machine *machine = find_machine(plan->arch);
	const char *format = disk_format(plan->image_path);

	if (machine == NULL)
		return ash_throw(error, ASH_VM_ERROR, ASH_VM_ERROR_IMAGE,
				"images for architecture '%s' are not known how to be booted",
				plan->arch);
	if (format == NULL)
		return throw_format(plan->image_path, error);
	add(argv, "%s", machine->program);
	add(argv, "-name");
	add(argv, "ashlar");
	add(argv, "-nodefaults");
	add(argv, "-no-user-config");
	add(argv, "-display");
	add(argv, "none");
	add(argv, "-machine");
	add(argv, "%s", machine->machine);
	add(argv, "-accel");
	add(argv, "%s", plan->has_kvm ? "kvm" : "tcg");
	add(argv, "-cpu");
	add(argv, "%s", plan->has_kvm ? "host" : machine->emulated_cpu);
	add(argv, "-smp");
	add(argv, "%u", plan->options->cpus);
	add(argv, "-m");
	add(argv, "%u", plan->options->memory_mib);
	add_drives(argv, plan, format);
	if (!add_network(argv, plan->options->forwards, error))
		return FALSE;
	add(argv, "-device");
	add(argv, "virtio-rng-pci");
	add_channels(argv, plan);
	add_watchdog(argv, plan);
	add_kernel_arguments(argv, plan->options->kernel_arguments);
	add_document(argv, plan->host_document);
	g_ptr_array_add(argv, NULL);
	*out_argv = (char **) g_ptr_array_steal(argv, NULL);
	return TRUE;
}

/* ---- preparing ----------------------------------------------------------------------------- */

void ash_vm_free(AshVm *vm)
{
	if (vm == NULL)
		return;
	ash_temp_dir_free(vm->scratch);
	g_strfreev(vm->argv);
	g_free(vm);
}

/* The disk of a machine that lives on. */
static gboolean prepare_disk(
		const char *state_dir, const char *image, char **out_disk, GError **error)
{
	g_autofree char *dir = NULL, *temp = NULL;

	if (!ash_file_ensure_dir(AT_FDCWD, state_dir, 0755, error))
		return FALSE;
	dir = realpath(state_dir, NULL);
	if (dir == NULL)
		return ash_throw_errno(error, "%s", state_dir);
	*out_disk = g_build_filename(dir, "disk.qcow2", NULL);
	if (access(*out_disk, F_OK) == 0)
		return TRUE;
	temp = g_strconcat(*out_disk, ".new", NULL);
	if (!ash_spawn_simple(error, "qemu-img", "create", "-q", "-f", "qcow2", "-F",
			    disk_format(image), "-b", image, temp, NULL))
		return FALSE;
	return rename(temp, *out_disk) == 0 || ash_throw_errno(error, "%s", *out_disk);
}

static gboolean read_document(const char *path, char **out_text, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;

	ASH_PREFIX("host document '%s'", path);
	if (!ash_file_read(AT_FDCWD, path, ASH_VM_MAX_DOCUMENT_BYTES, &bytes, error))
		return FALSE;
	*out_text = g_strdup(g_bytes_get_data(bytes, NULL));
	return TRUE;
}

/* The firmware keeps its variables in a file, which every machine needs for itself. */
static gboolean prepare_firmware(const AshVmOptions *options, const Machine *machine,
		const AshVm *vm, char **out_code, char **out_vars, GError **error)
{
	const char *wanted = options->firmware;
	g_auto(GStrv) parts = wanted != NULL ? g_strsplit(wanted, ":", 2) : NULL;
	const char *code = parts != NULL ? parts[0] : machine->code;
	const char *vars = parts != NULL && parts[0] != NULL ? parts[1] : machine->vars;
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GError) local = NULL;

	if (vars == NULL)
		return ash_throw(error, ASH_VM_ERROR, ASH_VM_ERROR_ENVIRONMENT,
				"firmware '%s' is not CODE:VARS, two files", wanted);
	if (access(code, R_OK) < 0)
		return ash_throw(error, ASH_VM_ERROR, ASH_VM_ERROR_ENVIRONMENT,
				"UEFI firmware '%s' is missing; run 'make deps'", code);
	if (!ash_file_read(AT_FDCWD, vars, MAX_FIRMWARE_BYTES, &bytes, &local))
		return ash_throw(error, ASH_VM_ERROR, ASH_VM_ERROR_ENVIRONMENT,
				"UEFI variables '%s': %s", vars, local->message);
	*out_code = g_strdup(code);
	*out_vars = g_build_filename(
			options->state_dir != NULL ? options->state_dir : vm->scratch->path,
			"vars.fd", NULL);
	if (options->state_dir != NULL && access(*out_vars, F_OK) == 0)
		return TRUE;
	return ash_file_replace(AT_FDCWD, *out_vars, g_bytes_get_data(bytes, NULL),
			g_bytes_get_size(bytes), 0600, error);
}

gboolean ash_vm_prepare(
		const AshVmOptions *options, bool is_watched, AshVm **out_vm, GError **error)
{
	g_autoptr(AshVm) vm = g_new0(AshVm, 1);
	g_autofree char *path = realpath(options->image, NULL);

	if (path == NULL)
		return ash_throw(error, ASH_VM_ERROR, ASH_VM_ERROR_IMAGE,
				"image '%s': %s; 'ashlar image' makes one", options->image,
				g_strerror(errno));
	g_autofree char *named = ash_vm_guess_arch(path);
	const char *arch = named != NULL ? named : ash_image_arch_native();
	const Machine *machine = arch != NULL ? find_machine(arch) : NULL;
	if (machine == NULL)
		return ash_throw(error, ASH_VM_ERROR, ASH_VM_ERROR_IMAGE,
				"'%s' does not say for which architecture it is, and this machine's is not one of ours",
				path);
	g_autofree char *code = NULL;
	g_autofree char *vars = NULL;
	g_autofree char *disk = NULL;
	g_autofree char *document = NULL;
	if (disk_format(path) == NULL)
		return throw_format(path, error);
	if (!choose_accel(options->accel, arch, &vm->has_kvm, error) ||
			!check_qemu(machine, vm->has_kvm, error) ||
			!ash_temp_dir_new("/var/tmp", "ashlar-vm", &vm->scratch, error) ||
			(options->state_dir != NULL &&
					!prepare_disk(options->state_dir, path, &disk, error)) ||
			(options->host_document != NULL &&
					!read_document(options->host_document, &document, error)) ||
			!prepare_firmware(options, machine, vm, &code, &vars, error))
		return FALSE;
	AshVmPlan plan = {
			.options = options,
			.has_kvm = vm->has_kvm,
			.arch = arch,
			.image_path = path,
			.firmware_code = code,
			.firmware_vars = vars,
			.state_disk = disk,
			.host_document = document,
			.socket_dir = is_watched ? vm->scratch->path : NULL,
	};
	if (!ash_vm_arguments(&plan, &vm->argv, error))
		return FALSE;
	*out_vm = g_steal_pointer(&vm);
	return TRUE;
}

gboolean ash_vm_run_console(const AshVmOptions *options, GError **error)
{
	g_autoptr(AshVm) vm = NULL;

	if (!ash_vm_prepare(options, false, &vm, error))
		return FALSE;
	AshSpawn spawn = {
			.argv = (const char *const *) vm->argv,
			.inherit_terminal = true,
			.timeout_ms = options->timeout_s * 1000,
	};
	return ash_spawn_run(&spawn, NULL, error);
}
