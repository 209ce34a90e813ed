/* SPDX-License-Identifier: Apache-2.0 */
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

#include "builder/cmd.h"
#include "builder/vm-smoke.h"
#include "builder/vm.h"
#include "lib/error.h"
#include "lib/text.h"

enum {
	DEFAULT_MEMORY_MIB = 1024,
	DEFAULT_CPUS = 1,
	MAX_MEMORY_MIB = 1 << 22,
	MAX_CPUS = 256,
	MAX_TIMEOUT_S = 86400,
};

static gboolean opt_smoke;
static gboolean opt_console;
static int opt_memory = DEFAULT_MEMORY_MIB;
static int opt_cpus = DEFAULT_CPUS;
static int opt_timeout;
static char **opt_forwards;
static char **opt_arguments;
static char *opt_firmware;
static char *opt_accel;
static char *opt_report_file;
static char *opt_state;
static char *opt_host_document;

static const GOptionEntry options[] = {
		{"smoke", 0, 0, G_OPTION_ARG_NONE, &opt_smoke,
				"Wait for the host to report that it is up, then end", NULL},
		{"console", 0, 0, G_OPTION_ARG_NONE, &opt_console,
				"With --smoke: show the serial console meanwhile", NULL},
		{"memory", 'm', 0, G_OPTION_ARG_INT, &opt_memory, "Memory in MiB (default: 1024)",
				"MIB"},
		{"cpus", 0, 0, G_OPTION_ARG_INT, &opt_cpus, "Virtual processors (default: 1)", "N"},
		{"forward", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_forwards,
				"Lead a TCP port of 127.0.0.1 to the guest; may be repeated",
				"HOST:GUEST"},
		{"kernel-argument", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_arguments,
				"Add to the kernel's command line; may be repeated", "ARG"},
		{"firmware", 0, 0, G_OPTION_ARG_FILENAME, &opt_firmware,
				"Another UEFI firmware, two files", "CODE:VARS"},
		{"accel", 0, 0, G_OPTION_ARG_STRING, &opt_accel,
				"auto, kvm or tcg (default: $ASHLAR_ACCEL or auto)", "A"},
		{"timeout", 0, 0, G_OPTION_ARG_INT, &opt_timeout,
				"End after S seconds (--smoke: 180, emulated 600; else never)",
				"S"},
		{"report-file", 0, 0, G_OPTION_ARG_FILENAME, &opt_report_file,
				"Keep what the console shows in FILE", "FILE"},
		{"state", 0, 0, G_OPTION_ARG_FILENAME, &opt_state,
				"Keep the machine in DIR: its disk over the image, its firmware's variables",
				"DIR"},
		{"host-document", 0, 0, G_OPTION_ARG_FILENAME, &opt_host_document,
				"Hand the host its document, see hostdoc(5)", "FILE"},
		{0},
};

static gboolean check_range(const char *name, int value, int min, int max, GError **error)
{
	if (value >= min && value <= max)
		return TRUE;
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
			"--%s must be from %d to %d, not %d", name, min, max, value);
}

static gboolean parse_accel(AshVmAccel *out_accel, GError **error)
{
	static const char *const names[] = {[ASH_VM_ACCEL_AUTO] = "auto",
			[ASH_VM_ACCEL_KVM] = "kvm",
			[ASH_VM_ACCEL_TCG] = "tcg",
			NULL};

	*out_accel = ASH_VM_ACCEL_AUTO;
	if (opt_accel == NULL)
		return TRUE;
	for (int i = 0; names[i] != NULL; i++) {
		if (strcmp(names[i], opt_accel) == 0) {
			*out_accel = (AshVmAccel) i;
			return TRUE;
		}
	}
	g_autofree char *hint = ash_text_suggestion(opt_accel, names);
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
			"--accel '%s' is none of auto, kvm, tcg%s", opt_accel, hint);
}

static void print_json(const AshVmReport *report)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	json_builder_set_member_name(builder, "up");
	json_builder_add_boolean_value(builder, report->is_up);
	json_builder_set_member_name(builder, "reason");
	json_builder_add_string_value(builder, report->reason);
	json_builder_set_member_name(builder, "state");
	json_builder_add_string_value(builder, report->state);
	json_builder_set_member_name(builder, "failed");
	json_builder_begin_array(builder);
	for (char **unit = report->failed; unit != NULL && *unit != NULL; unit++)
		json_builder_add_string_value(builder, *unit);
	json_builder_end_array(builder);
	json_builder_set_member_name(builder, "boot-ms");
	json_builder_add_int_value(builder, (gint64) report->boot_ms);
	json_builder_set_member_name(builder, "wall-ms");
	json_builder_add_int_value(builder, (gint64) report->wall_ms);
	json_builder_set_member_name(builder, "kvm");
	json_builder_add_boolean_value(builder, report->has_kvm);
	json_builder_end_object(builder);
	g_autoptr(JsonNode) root = json_builder_get_root(builder);
	g_autofree char *text = json_to_string(root, FALSE);
	printf("%s\n", text);
}

static gboolean smoke(AshCliContext *context, const AshVmOptions *vm, int *out_exit, GError **error)
{
	g_autoptr(AshVmReport) report = NULL;

	ash_progress_begin(context->progress, "boot", "waiting for the host to be up");
	if (!ash_vm_smoke(vm, &report, error))
		return FALSE;
	g_autofree char *kernel = ash_text_duration((int64_t) report->boot_ms * 1000);
	ash_progress_end(context->progress, "%s", report->is_up ? "up" : "not up");
	if (context->json)
		print_json(report);
	else if (report->is_up)
		printf("up: state %s, no failed unit, %s from the kernel's start (%s)\n",
				report->state, kernel, report->has_kvm ? "KVM" : "emulated");
	if (report->is_up)
		return TRUE;
	if (!context->json) {
		fprintf(stderr, "not up: %s\n", report->reason);
		if (*report->console != '\0')
			fprintf(stderr, "The console's last lines:\n%s", report->console);
	}
	*out_exit = ASH_EXIT_NEGATIVE;
	return TRUE;
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	AshVmOptions vm = {.image = args[0],
			.firmware = opt_firmware,
			.forwards = (const char *const *) opt_forwards,
			.kernel_arguments = (const char *const *) opt_arguments,
			.console_file = opt_report_file,
			.state_dir = opt_state,
			.host_document = opt_host_document,
			.show_console = opt_console};

	if (!check_range("memory", opt_memory, 64, MAX_MEMORY_MIB, error) ||
			!check_range("cpus", opt_cpus, 1, MAX_CPUS, error) ||
			!check_range("timeout", opt_timeout, 0, MAX_TIMEOUT_S, error) ||
			!parse_accel(&vm.accel, error))
		return FALSE;
	vm.memory_mib = (unsigned) opt_memory;
	vm.cpus = (unsigned) opt_cpus;
	vm.timeout_s = (unsigned) opt_timeout;
	if (opt_smoke)
		return smoke(context, &vm, out_exit, error);
	ash_progress_note(context->progress,
			"the serial console follows; Ctrl-A x ends the machine, Ctrl-A h lists more keys");
	return ash_vm_run_console(&vm, error);
}

const AshCliCommand ash_cmd_run = {
		.name = "run",
		.synopsis = "IMAGE",
		.summary = "Boot a disk image in QEMU; the image is not changed.",
		.details = "The machine writes to a throw-away overlay unless it is kept (--state). Its "
			   "serial console is this terminal: Ctrl-A x ends it.\n\n"
			   "KVM is used where the processor and /dev/kvm offer it, emulation otherwise.",
		.options = options,
		.min_args = 1,
		.max_args = 1,
		.run = run,
};
