/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/schema.h"

/* Debian Policy 5.6.1 and 5.6.12; suites and components as apt takes them; names of users as
 * systemd-sysusers does in its strict mode; units as in systemd.unit(5). */
#define NAME "[a-z0-9][a-z0-9+.-]+"
#define VERSION "[0-9A-Za-z][0-9A-Za-z.+~:-]*"
#define CONTROL "\\x00-\\x1f\\x7f"
/* A component of a path that is neither "." nor "..". */
#define COMPONENT "(?!\\.\\.?(?:/|$))[^/" CONTROL "]{1,255}"
#define HOST "[A-Za-z0-9_][A-Za-z0-9._-]{0,252}"
#define UNIT_NAME "[0-9A-Za-z:_.\\\\@-]{1,200}"

static AshPattern forms[] = {
		[ASH_FORM_ANY] = {NULL, "text"},
		[ASH_FORM_LINE] = {"[^" CONTROL "]+", "one line of text"},
		[ASH_FORM_NAME] = {"[a-z0-9][a-z0-9._-]{0,63}",
				"a name: lower-case letters, digits, '.', '_', '-', at most 64"},
		[ASH_FORM_VERSION] = {"[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63}",
				"a version: letters, digits, '.', '+', '~', '_', '-', at most 64"},
		[ASH_FORM_VARIABLE] = {"[A-Za-z_][A-Za-z0-9_-]{0,63}",
				"a variable's name: letters, digits, '_', '-', not beginning with "
				"a digit"},
		[ASH_FORM_VARIANT] = {"[a-z0-9][a-z0-9-]{0,63}",
				"a variant's name: lower-case letters, digits, '-'"},
		[ASH_FORM_ARCH] = {"[a-z0-9][a-z0-9-]{1,31}",
				"Debian's name of an architecture, such as amd64 or arm64"},
		[ASH_FORM_SUITE] = {"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
				"the name of a suite, such as trixie"},
		[ASH_FORM_REPOSITORY_SUITE] = {"\\./|(?:[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}/)*"
					       "[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}/?",
				"a suite, such as trixie, or a directory that ends in "
				"'/' for a flat repository"},
		[ASH_FORM_COMPONENT] = {"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}",
				"a component, such as main"},
		[ASH_FORM_URI] = {"https?://[^/" CONTROL " ]+(?:/[^" CONTROL " ]*)?"
				  "|file:///[^" CONTROL " ]*",
				"a URI that begins with http://, https:// or file:///"},
		[ASH_FORM_LOCAL_PATH] = {"[^" CONTROL "]{1,4095}", "the path of a file"},
		[ASH_FORM_PACKAGE] = {"(" NAME ")(?:(=)(" VERSION ")| *\\( *(=|>=|>>|<=|<<) *"
				      "(" VERSION ") *\\))?",
				"a package: 'name', 'name=version' or 'name (>= version)' with "
				"=, >=, >>, <= or <<, the name in lower case"},
		[ASH_FORM_PACKAGE_NAME] = {NAME, "the name of a package: at least two of "
						 "lower-case letters, digits, '+', '-', '.'"},
		[ASH_FORM_PACKAGE_GLOB] = {"[a-z0-9*?\\[][a-z0-9+.*?\\[\\]!-]*",
				"the name of a package, which may hold '*', '?' and '[…]'"},
		[ASH_FORM_VERSION_GLOB] = {"[0-9A-Za-z*?\\[][0-9A-Za-z.+~:*?\\[\\]!-]*",
				"a version, which may hold '*', '?' and '[…]'"},
		[ASH_FORM_PATH] = {"(?:/" COMPONENT ")+",
				"an absolute path without '.', '..', '//' or a final '/'"},
		[ASH_FORM_PATH_GLOB] = {"(?:/" COMPONENT ")+",
				"an absolute path without '.', '..', '//' or a final '/', which "
				"may hold '*', '?', '[…]' and '**'"},
		[ASH_FORM_LINK_TARGET] = {"[^" CONTROL "]{1,4095}", "where the link points to"},
		[ASH_FORM_MODE] = {"0[0-7]{3,4}", "an octal mode that begins with 0, such as 0644"},
		[ASH_FORM_USER] = {"[a-z_][a-z0-9_-]{0,30}",
				"a user or group name: at most 31 lower-case letters, digits, "
				"'_', '-', not beginning with a digit"},
		[ASH_FORM_OWNER] = {"[a-z_][a-z0-9_-]{0,30}|0|[1-9][0-9]{0,8}",
				"the name or number of a user or group"},
		[ASH_FORM_GECOS] = {"[^\":" CONTROL "]+", "one line of text without ':' and '\"'"},
		[ASH_FORM_UNIT] = {UNIT_NAME "\\.(?:service|socket|target|timer|mount|automount|"
					     "path|slice|swap|device)",
				"the name of a unit with its suffix, such as web.service"},
		[ASH_FORM_TARGET] = {UNIT_NAME "\\.target", "a target, such as multi-user.target"},
		[ASH_FORM_DROPIN] = {"[^/." CONTROL "][^/" CONTROL "]{0,200}\\.conf",
				"a file name that ends in .conf"},
		[ASH_FORM_PRESET] = {"(?:enable|disable|ignore) +[0-9A-Za-z:_.\\\\@*?\\[\\]!-]+"
				     "(?: +[0-9A-Za-z:_.\\\\@-]+)*",
				"a preset: 'enable UNIT', 'disable UNIT' or 'ignore UNIT'"},
		[ASH_FORM_KERNEL_ARGUMENT] = {"(?:[^\" " CONTROL "]|\"[^\"" CONTROL "]*\")+",
				"one kernel argument; blanks only between double quotes"},
		[ASH_FORM_MODULE] = {"[A-Za-z0-9][A-Za-z0-9_-]{0,127}",
				"the name of a kernel module, such as virtio_net"},
		[ASH_FORM_MODULE_GLOB] = {"(?!.*\\.\\.)[^/ " CONTROL "][^ " CONTROL "]*",
				"a kernel module, or a glob such as kernel/drivers/virtio/**"},
		[ASH_FORM_HOSTNAME] = {"(?=.{1,64}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
				       "(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*",
				"a host name: letters, digits, '-' and '.', at most 64"},
		/* The five of lib/health-spec.c, which has the last word. */
		[ASH_FORM_DURATION] = {"(?:0|[1-9][0-9]{0,9})(?:ms|s|min|h)",
				"a duration, as in 500ms, 10s, 5min or 1h"},
		[ASH_FORM_SIZE] = {"(?:0|[1-9][0-9]{0,18})(?:KiB|MiB|GiB|TiB)?",
				"a size, as in 4096, 100MiB or 2GiB"},
		[ASH_FORM_CHECK] = {"[a-z0-9][a-z0-9-]{0,47}",
				"a check's name: lower-case letters, digits and '-', at most 48"},
		[ASH_FORM_HOST] = {HOST, "the name of a host"},
		[ASH_FORM_ADDRESS] = {"(?:\\[[0-9A-Fa-f:.]{2,45}\\]|" HOST "):[1-9][0-9]{0,4}",
				"HOST:PORT, as in 127.0.0.1:80 or [::1]:80"},
		[ASH_FORM_HTTP] = {"https?://[^/?@ " CONTROL "]+(?:[/?][^#\"<>\\\\^`{|} " CONTROL
				   "]*)?",
				"a URL that begins with http:// or https://"},
};

bool ash_form_matches(AshForm form, const char *text)
{
	return ash_pattern_matches(&forms[form], text);
}

char **ash_form_split(AshForm form, const char *text)
{
	return ash_pattern_split(&forms[form], text);
}

const AshPattern *ash_form_pattern(AshForm form)
{
	return &forms[form];
}

const char *ash_form_expected(AshForm form)
{
	return forms[form].expected;
}
