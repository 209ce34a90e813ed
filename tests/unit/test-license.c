/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/license.h"

#define HEADER                                                                                     \
	"Format: https://www.example.org/doc/packaging-manuals/copyright-format/1.0/\n"            \
	"Upstream-Name: x\n\n"

static char *expression(const char *text)
{
	return ash_license_expression(text, strlen(text));
}

/* One Files paragraph with this License line. */
static const struct {
	const char *license;
	const char *expression;
} names[] = {
		{"GPL-2", "GPL-2.0-only"},
		{"GPL-2+", "GPL-2.0-or-later"},
		{"gpl-2.0.0+", "GPL-2.0-or-later"},
		{"GPL-3.0-or-later", "GPL-3.0-or-later"},
		{"GPL-2.0-only", "GPL-2.0-only"},
		{"GPL-4", "LicenseRef-GPL-4"},
		{"GPL-", "LicenseRef-GPL"},
		{"GPL-0", "LicenseRef-GPL-0"},
		{"GPL", "LicenseRef-GPL"},
		{"GPL-2+-or-X11", "LicenseRef-GPL-2-or-later-or-X11"},
		{"LGPL-2.1+", "LGPL-2.1-or-later"},
		{"LGPL-2", "LGPL-2.0-only"},
		{"AGPL-3+", "AGPL-3.0-or-later"},
		{"GFDL-1.3", "GFDL-1.3-only"},
		{"GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"},
		{"Expat", "MIT"},
		{"BSD-3-clause", "BSD-3-Clause"},
		{"Apache-2.0", "Apache-2.0"},
		{"public-domain", "LicenseRef-public-domain"},
		{"MIT/X11", "LicenseRef-MIT-X11"},
		{"__odd__ (name)", "LicenseRef-odd-name"},
		{"\xc3\xa9t\xc3\xa9", "LicenseRef-t"},
		{"+++", "LicenseRef-or-later"},
		{"GPL-2 with Linux-syscall-note exception", "GPL-2.0-only WITH Linux-syscall-note"},
		{"GPL-2+ with Autoconf exception",
				"LicenseRef-GPL-2-or-later-with-Autoconf-exception"},
		{"GPL-2 or BSD-3-clause", "BSD-3-Clause OR GPL-2.0-only"},
		{"GPL-2 and GPL-2", "GPL-2.0-only"},
		{"ISC AND Expat", "ISC AND MIT"},
		{"Expat or MIT", "MIT"},
		{"GPL-2 or ISC and X11", "GPL-2.0-only OR ISC AND X11"},
		{"GPL-1+ or Artistic, and BSD-2-clause",
				"(Artistic-1.0 OR GPL-1.0-or-later) AND BSD-2-Clause"},
		{"ISC and X11, or Zlib", "ISC AND X11 OR Zlib"},
		{"ISC, X11 and Zlib", "ISC AND X11 AND Zlib"},
		{"and or, or and", ""},
		{"or GPL-2", "GPL-2.0-only"},
		{"ISC, or", "ISC"},
		{"", ""},
};

static void test_names(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *text = g_strconcat(
				HEADER "Files: *\nLicense: ", names[i].license, "\n", NULL);
		g_autofree char *got = expression(text);
		g_assert_cmpstr(got, ==, names[i].expression);
	}
}

static const struct {
	const char *text;
	const char *expression;
} files[] = {
		{"", ""},
		{"This package was debianised by somebody.\n\nLicense: GPL-2\n", ""},
		{"Files: *\nLicense: GPL-2\n", ""},
		{"Format: something else\n\nFiles: *\nLicense: GPL-2\n", ""},
		{HEADER, ""},
		/* The header's own License is about the whole. */
		{"Format: x/copyright-format/1.0/\nLicense: ISC\n\nFiles: *\nLicense: X11\n",
				"ISC AND X11"},
		/* Texts of licences are no licences. */
		{HEADER "Files: *\nLicense: GPL-2\n\nLicense: GPL-3\n The text.\n", "GPL-2.0-only"},
		{HEADER "Files: *\nLicense: GPL-2\n text:\n License: ISC\n .\n more\n"
			"\nFiles: b c\n d\nCopyright: 2020\nLicense: Expat\n",
				"GPL-2.0-only AND MIT"},
		/* Comments, CR LF, several empty lines, no newline at the end. */
		{"# hello\n\n\nFormat: copyright-format\r\n\r\n\r\nFiles: *\r\nLicense: ISC\r\n"
		 "# x\r\n\r\n\nfiles: d\nlicense: X11",
				"ISC AND X11"},
		{HEADER "Files: a\nLicense: ISC or X11\n\nFiles: b\nLicense: X11 or ISC\n",
				"ISC OR X11"},
};

static void test_files(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
		g_autofree char *got = expression(files[i].text);
		g_assert_cmpstr(got, ==, files[i].expression);
	}
}

static void test_limits(void)
{
	g_autoptr(GString) text = g_string_new(HEADER);
	g_autofree char *name = g_strnfill(ASH_LICENSE_MAX_SYNOPSIS_BYTES, 'a');

	g_string_append_printf(text, "Files: *\nLicense: %s\n", name);
	g_autofree char *longest = expression(text->str);
	g_assert_true(g_str_has_prefix(longest, "LicenseRef-aaa"));
	g_string_truncate(text, text->len - 1);
	g_string_append(text, "a\n");
	g_autofree char *longer = expression(text->str);
	g_assert_cmpstr(longer, ==, "");

	g_string_assign(text, HEADER);
	for (int i = 0; i < ASH_LICENSE_MAX_SYNOPSES; i++)
		g_string_append_printf(text, "Files: *\nLicense: l%d\n\n", i);
	g_autofree char *most = expression(text->str);
	g_assert_true(g_str_has_prefix(most, "LicenseRef-l0 AND"));
	g_string_append(text, "Files: *\nLicense: one more\n");
	g_autofree char *more = expression(text->str);
	g_assert_cmpstr(more, ==, "");

	g_string_set_size(text, ASH_LICENSE_MAX_BYTES + 1);
	memset(text->str, 'a', text->len);
	g_autofree char *big = ash_license_expression(text->str, text->len);
	g_assert_cmpstr(big, ==, "");
	g_autofree char *nul = ash_license_expression(HEADER "\0", strlen(HEADER) + 1);
	g_assert_cmpstr(nul, ==, "");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/license/names", test_names);
	g_test_add_func("/license/files", test_files);
	g_test_add_func("/license/limits", test_limits);
	return g_test_run();
}
