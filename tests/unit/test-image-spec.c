/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/image-spec.h"

#include <fcntl.h>
#include <string.h>

#include "builder/image-boot.h"
#include "lib/yaml.h"

static AshImageSpec *parse(const char *text, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	AshImageSpec *spec = NULL;

	if (!ash_image_spec_parse("x.yaml", bytes, &spec, error))
		return NULL;
	return spec;
}

static void test_defaults(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshImageSpec) spec = parse("", &error);
	g_autoptr(AshImageSpec) defaults = ash_image_spec_new();

	g_assert_no_error(error);
	g_autofree char *a = ash_image_spec_format(spec);
	g_autofree char *b = ash_image_spec_format(defaults);
	g_assert_cmpstr(a, ==, b);
}

static void test_all_keys(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshImageSpec) spec = parse("formats: [raw, kernel]\n"
					     "disk: {size: 8GiB}\n"
					     "esp: {label: e, size: 64MiB}\n"
					     "root: {label: r, size: 1GiB, free: 10MiB}\n"
					     "var: {minimum: 1GiB}\n"
					     "console: ttyS1,115200\n"
					     "kernel-arguments: [quiet, a=b]\n",
			&error);

	g_assert_no_error(error);
	g_assert_true(spec->formats[ASH_IMAGE_RAW]);
	g_assert_true(spec->formats[ASH_IMAGE_KERNEL]);
	g_assert_false(spec->formats[ASH_IMAGE_QCOW2]);
	g_assert_cmpuint(spec->disk_bytes, ==, G_GUINT64_CONSTANT(8) << 30);
	g_assert_cmpuint(spec->esp_bytes, ==, 64 << 20);
	g_assert_cmpuint(spec->root_bytes, ==, 1 << 30);
	g_assert_cmpuint(spec->root_free_bytes, ==, 10 << 20);
	g_assert_cmpuint(spec->var_bytes, ==, 1 << 30);
	g_assert_cmpstr(spec->esp_label, ==, "e");
	g_assert_cmpstr(spec->root_label, ==, "r");
	g_assert_cmpstr(spec->console, ==, "ttyS1,115200");
	g_assert_cmpstr(spec->kernel_arguments[1], ==, "a=b");
	g_assert_null(spec->kernel_arguments[2]);
}

static void test_errors(void)
{
	static const struct {
		const char *text;
		int code;
		const char *message; /* its beginning */
	} cases[] = {
			{"disc: {size: 1GiB}", ASH_IMAGE_SPEC_ERROR_UNKNOWN_KEY,
					"x.yaml:1:1: unknown key 'disc' in an image (did you mean 'disk'?)"},
			{"disk:\n  sizze: 1GiB", ASH_IMAGE_SPEC_ERROR_UNKNOWN_KEY,
					"x.yaml:2:3: unknown key 'sizze' in disk (did you mean 'size'?)"},
			{"disk: 4GiB", ASH_IMAGE_SPEC_ERROR_TYPE,
					"x.yaml:1:7: disk: expected a map"},
			{"formats: raw", ASH_IMAGE_SPEC_ERROR_TYPE,
					"x.yaml:1:10: formats: expected a list"},
			{"formats: [qcow]", ASH_IMAGE_SPEC_ERROR_FORMAT,
					"x.yaml:1:11: unknown image format 'qcow' (did you mean 'qcow2'?)"},
			{"disk: {size: 4GB}", ASH_IMAGE_SPEC_ERROR_VALUE,
					"x.yaml:1:14: disk.size '4GB' is not a size"},
			{"disk: {size: -4GiB}", ASH_IMAGE_SPEC_ERROR_VALUE, "x.yaml:1:14:"},
			{"disk: {size: 17TiB}", ASH_IMAGE_SPEC_ERROR_VALUE,
					"x.yaml:1:14: disk.size '17TiB' is larger than 16TiB"},
			{"disk: {size: 99999999999999999999MiB}", ASH_IMAGE_SPEC_ERROR_VALUE,
					"x.yaml:1:14:"},
			{"esp: {size: 8MiB}", ASH_IMAGE_SPEC_ERROR_VALUE,
					"x.yaml:1:13: esp.size must be"},
			{"esp: {label: 'a b'}", ASH_IMAGE_SPEC_ERROR_VALUE, "x.yaml:1:14:"},
			{"root: {label: seventeen-letters}", ASH_IMAGE_SPEC_ERROR_VALUE,
					"x.yaml:1:15:"},
			{"console: 'tty S0'", ASH_IMAGE_SPEC_ERROR_VALUE, "x.yaml:1:10:"},
			{"kernel-arguments: ['a b']", ASH_IMAGE_SPEC_ERROR_VALUE, "x.yaml:1:20:"},
			{"kernel-arguments: ['']", ASH_IMAGE_SPEC_ERROR_VALUE, "x.yaml:1:20:"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(parse(cases[i].text, &error));
		g_assert_error(error, ASH_IMAGE_SPEC_ERROR, cases[i].code);
		g_assert_true(g_str_has_prefix(error->message, cases[i].message));
	}
}

static void test_limits(void)
{
	g_autoptr(GString) text = g_string_new("kernel-arguments: [");
	g_autoptr(GError) error = NULL;

	for (int i = 0; i <= ASH_IMAGE_SPEC_MAX_ARGUMENTS; i++)
		g_string_append(text, i == 0 ? "a" : ", a");
	g_string_append(text, "]\n");
	g_assert_null(parse(text->str, &error));
	g_assert_error(error, ASH_IMAGE_SPEC_ERROR, ASH_IMAGE_SPEC_ERROR_VALUE);
}

static void test_duplicate(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(parse("console: none\nconsole: serial\n", &error));
	g_assert_error(error, ASH_YAML_ERROR, ASH_YAML_ERROR_DUPLICATE);
}

static void test_format_error(void)
{
	g_autoptr(GError) error = NULL;
	AshImageFormat format = ASH_IMAGE_TAR;

	g_assert_false(ash_image_format_parse("vhd", &format, &error));
	g_assert_error(error, ASH_IMAGE_SPEC_ERROR, ASH_IMAGE_SPEC_ERROR_FORMAT);
	g_assert_cmpint(format, ==, ASH_IMAGE_TAR);
}

/* What the boot loader and the kernel get to read. */
static void test_boot(void)
{
	char name[] = "web";
	char version[] = "1.2+3";
	char commit_id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	char argument[] = "quiet";
	char *arguments[] = {argument, NULL};
	AshCommit commit = {.commit = commit_id,
			.name = name,
			.version = version,
			.kernel_arguments = arguments};
	const AshImageArch *arch = ash_image_arch_find("arm64");
	g_autoptr(AshImageSpec) spec = ash_image_spec_new();

	g_autofree char *options = ash_image_boot_options(&commit, spec, arch);
	g_assert_cmpstr(options, ==, "root=PARTLABEL=ashlar-root ro quiet console=ttyAMA0");
	g_autofree char *entry_name = ash_image_boot_entry_name(&commit);
	g_assert_cmpstr(entry_name, ==, "ashlar-1.2_3-01234567.conf");
	g_autofree char *entry = ash_image_boot_entry(&commit, arch, "a ostree=/b");
	g_assert_cmpstr(entry, ==,
			"title Ashlar web 1.2+3\n"
			"version 1.2+3\n"
			"sort-key ashlar-99999999\n"
			"architecture aa64\n"
			"linux /ashlar/0123456789abcdef/vmlinuz\n"
			"initrd /ashlar/0123456789abcdef/initramfs.img\n"
			"options a ostree=/b\n");
	g_assert_null(ash_image_arch_find("pdp11"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
	g_test_add_func("/image-spec/defaults", test_defaults);
	g_test_add_func("/image-spec/all-keys", test_all_keys);
	g_test_add_func("/image-spec/errors", test_errors);
	g_test_add_func("/image-spec/limits", test_limits);
	g_test_add_func("/image-spec/duplicate", test_duplicate);
	g_test_add_func("/image-spec/format-error", test_format_error);
	g_test_add_func("/image-spec/boot", test_boot);
	return g_test_run();
}
