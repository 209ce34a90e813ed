/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/vm.h"

#include <string.h>

#include "builder/vm-smoke.h"

static AshVmOptions basic_options(void)
{
	return (AshVmOptions){.image = "x", .memory_mib = 512, .cpus = 2};
}

static char *command_line(const AshVmOptions *options, const char *image, const char *socket_dir)
{
	AshVmPlan plan = {.options = options,
			.arch = "amd64",
			.image_path = image,
			.firmware_code = "/c.fd",
			.firmware_vars = "/v,1.fd",
			.socket_dir = socket_dir};
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) argv = NULL;

	g_assert_true(ash_vm_arguments(&plan, &argv, &error));
	return g_strjoinv(" ", argv);
}

static void assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		g_error("'%s' is not in: %s", part, text);
}

static void test_arguments(void)
{
	static const char *const forwards[] = {"8080:80", "2222:22", NULL};
	static const char *const arguments[] = {"quiet", "a=b,c", NULL};
	AshVmOptions options = basic_options();

	options.forwards = forwards;
	options.kernel_arguments = arguments;
	g_autofree char *line = command_line(&options, "/a,b.qcow2", NULL);
	assert_has(line, "qemu-system-x86_64 ");
	assert_has(line, " -accel tcg ");
	assert_has(line, " -m 512 ");
	assert_has(line, " -smp 2 ");
	/* A comma in a name must not begin another option. */
	assert_has(line, "format=qcow2,snapshot=on,file=/a,,b.qcow2");
	assert_has(line, "file=/v,,1.fd");
	assert_has(line, "hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=tcp:127.0.0.1:2222-:22");
	assert_has(line, "io.systemd.boot.kernel-cmdline-extra=quiet a=b,,c");
	assert_has(line, "stdio,id=console");
	g_assert_null(strstr(line, ASH_VM_REPORT_PORT));

	g_autofree char *watched = command_line(&options, "/a.raw", "/s");
	assert_has(watched, "format=raw,snapshot=on,file=/a.raw");
	assert_has(watched, "socket,id=report,path=/s/report");
	assert_has(watched, "virtserialport,chardev=report,name=" ASH_VM_REPORT_PORT);
	g_assert_null(strstr(watched, "stdio"));
}

/* A machine that is kept has a disk of its own, a watchdog, and its document. */
static void test_kept(void)
{
	AshVmOptions options = basic_options();
	AshVmPlan plan = {.options = &options,
			.arch = "amd64",
			.image_path = "/a.raw",
			.firmware_code = "/c.fd",
			.firmware_vars = "/k/vars.fd",
			.state_disk = "/k,1/disk.qcow2",
			.host_document = "hostname: one\n"};
	g_auto(GStrv) argv = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_vm_arguments(&plan, &argv, &error));
	g_autofree char *line = g_strjoinv(" ", argv);
	assert_has(line, "format=qcow2,discard=unmap,file=/k,,1/disk.qcow2");
	g_assert_null(strstr(line, "snapshot=on"));
	g_assert_null(strstr(line, "/a.raw"));
	assert_has(line, "-device i6300esb -action watchdog=reset");
	assert_has(line, "io.systemd.credential.binary:ashlar.host=aG9zdG5hbWU6IG9uZQo=");
}

static void test_argument_errors(void)
{
	static const char *const bad[] = {"80", "80:", "0:1", "1:65536", "a:b", "1:2:3", "-1:2"};
	AshVmOptions options = basic_options();
	AshVmPlan plan = {.options = &options,
			.arch = "amd64",
			.image_path = "/a.raw",
			.firmware_code = "",
			.firmware_vars = ""};
	g_auto(GStrv) argv = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		const char *forwards[] = {bad[i], NULL};
		g_autoptr(GError) error = NULL;
		options.forwards = forwards;
		g_assert_false(ash_vm_arguments(&plan, &argv, &error));
		g_assert_error(error, ASH_VM_ERROR, ASH_VM_ERROR_FORWARD);
	}
	options.forwards = NULL;
	g_autoptr(GError) error = NULL;
	plan.image_path = "/a.iso";
	g_assert_false(ash_vm_arguments(&plan, &argv, &error));
	g_assert_error(error, ASH_VM_ERROR, ASH_VM_ERROR_IMAGE);
	g_clear_error(&error);
	plan.arch = "vax";
	g_assert_false(ash_vm_arguments(&plan, &argv, &error));
	g_assert_error(error, ASH_VM_ERROR, ASH_VM_ERROR_IMAGE);
}

static void test_guess_arch(void)
{
	static const struct {
		const char *name;
		const char *arch;
	} cases[] = {
			{"out/host-1.2-amd64.qcow2", "amd64"},
			{"host-1.2-rc-arm64.raw", "arm64"},
			{"host.qcow2", NULL},
			{"host-1.2-vax.raw", NULL},
			{"amd64", NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *arch = ash_vm_guess_arch(cases[i].name);
		g_assert_cmpstr(arch, ==, cases[i].arch);
	}
}

#define FAILED_UNIT                                                                                \
	"[\"a.service\",\"A\",\"loaded\",\"failed\",\"failed\",\"\",\"/o\",0,\"\",\"/\"]"

static void test_report(void)
{
	static const struct {
		const char *first; /* or NULL */
		const char *line;
		const char *reason; /* NULL: up */
		uint64_t boot_ms;
	} cases[] = {
			{NULL, "{\"state\":\"running\",\"failed\":[],\"boot_ms\":12}", NULL, 12},
			{NULL, "{\"state\":\"degraded\",\"failed\":[\"a.service\"]}",
					"failed units: a.service", 0},
			{NULL,
					"{\"state\":\"degraded\",\"failed\":[{\"unit\":\"a.service\"},"
					"{\"unit\":\"b.mount\"}]}",
					"failed units: a.service, b.mount", 0},
			{NULL, "{\"state\":\"starting\",\"failed\":[]}",
					"the host is 'starting', not 'running'", 0},
			{NULL, "{}", "the host is 'unknown', not 'running'", 0},
			{NULL, "{\"state\":1,\"failed\":2,\"boot_ms\":-3}",
					"the host is 'unknown', not 'running'", 0},
			{NULL, "nonsense", "the host's report is not understood: nonsense", 0},
			{NULL, "[]", "the host's report is not understood: []", 0},
			{"{\"type\":\"a(ssssssouso)\",\"data\":[[]]}",
					"{\"type\":\"a{sv}\",\"data\":[{\"SystemState\":{\"type\":\"s\","
					"\"data\":\"running\"},\"FinishTimestampMonotonic\":{\"type\":\"t\","
					"\"data\":8123456}}]}",
					NULL, 8123},
			{"{\"type\":\"a(ssssssouso)\",\"data\":[[" FAILED_UNIT "]]}",
					"{\"type\":\"a{sv}\",\"data\":[{\"SystemState\":{\"type\":\"s\","
					"\"data\":\"degraded\"}}]}",
					"failed units: a.service", 0},
			{NULL, "{\"type\":\"a{sv}\",\"data\":7}",
					"the host is 'unknown', not 'running'", 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(AshVmReport) report = g_new0(AshVmReport, 1);
		if (cases[i].first != NULL)
			g_assert_false(ash_vm_report_parse(cases[i].first, report));
		g_assert_true(ash_vm_report_parse(cases[i].line, report));
		g_assert_cmpstr(report->reason, ==, cases[i].reason);
		g_assert_cmpint(report->is_up, ==, cases[i].reason == NULL);
		g_assert_cmpuint(report->boot_ms, ==, cases[i].boot_ms);
	}
}

static void test_missing(void)
{
	AshVmOptions options = basic_options();
	g_autoptr(GError) error = NULL;
	AshVm *vm = NULL;

	options.image = "/nonexistent/host.qcow2";
	g_assert_false(ash_vm_prepare(&options, true, &vm, &error));
	g_assert_error(error, ASH_VM_ERROR, ASH_VM_ERROR_IMAGE);
	g_assert_null(vm);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
	g_test_add_func("/vm/arguments", test_arguments);
	g_test_add_func("/vm/kept", test_kept);
	g_test_add_func("/vm/argument-errors", test_argument_errors);
	g_test_add_func("/vm/guess-arch", test_guess_arch);
	g_test_add_func("/vm/report", test_report);
	g_test_add_func("/vm/missing", test_missing);
	return g_test_run();
}
