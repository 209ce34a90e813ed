/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/shortcut.h"

#include <fcntl.h>
#include <string.h>

#include "lib/file.h"

const char *const ash_shortcut_leftovers[] = {
		"ashlar-update-ca-certificates", "ashlar-deb-systemd-helper", NULL};

static const char update_certs[] =
		"#!/usr/bin/perl\n"
		"use strict;\n"
		"my ($hooks, $plain, @args) = ('/etc/ca-certificates/update.d', 1, @ARGV);\n"
		"while (@args) {\n"
		"\tmy $arg = shift @args;\n"
		"\tif ($arg eq '--hooksdir') { $hooks = shift @args; } else { $plain = 0; }\n"
		"}\n"
		"my $conf = '/etc/ca-certificates.conf';\n"
		"my @others = (glob('/usr/local/share/ca-certificates/*'), $hooks eq '' ? () : glob(\"$hooks/*\"));\n"
		"exec('/ashlar-update-ca-certificates', @ARGV)\n"
		"\tif !$plain || @others || !-s $conf || !chdir('/etc/ssl/certs');\n"
		"my ($bundle, $added) = ('', 0);\n"
		"open(my $list, '<', $conf) or die \"$conf: $!\\n\";\n"
		"my @lines = map { chomp; $_ } <$list>;\n"
		"foreach (@lines) {\n"
		"\tnext unless /^!(.*)$/;\n"
		"\tmy ($pem) = $1 =~ m{([^/]*)$};\n"
		"\t$pem =~ s/\\.crt$//;\n"
		"\tunlink(\"$pem.pem\") if -l \"$pem.pem\";\n"
		"}\n"
		"foreach (@lines) {\n"
		"\tnext if /^$/ || /^[#!]/;\n"
		"\tmy $crt = \"/usr/share/ca-certificates/$_\";\n"
		"\tmy $file;\n"
		"\tif (!-f $crt || !open($file, '<', $crt)) {\n"
		"\t\twarn \"W: $crt not found, but listed in $conf.\\n\";\n"
		"\t\tnext;\n"
		"\t}\n"
		"\tmy ($pem) = m{([^/]*)$};\n"
		"\t$pem =~ s/\\.crt$//; $pem =~ s/ /_/g; $pem =~ s/[()]/=/g; $pem =~ s/,/_/g;\n"
		"\t$pem = \"/etc/ssl/certs/$pem.pem\";\n"
		"\tif (!-e $pem || (readlink($pem) // '') ne $crt) {\n"
		"\t\tunlink($pem); symlink($crt, $pem) or die \"$pem: $!\\n\"; $added++;\n"
		"\t}\n"
		"\tlocal $/; my $text = <$file>;\n"
		"\t$text .= \"\\n\" if $text ne '' && $text !~ /\\n\\z/;\n"
		"\t$bundle .= $text;\n"
		"}\n"
		"system('openssl rehash . >/dev/null') if $added;\n"
		"exit(0) if $bundle eq '';\n"
		"my $new = 'ca-certificates.crt.new';\n"
		"open(my $out, '>', $new) or die \"$new: $!\\n\";\n"
		"print $out $bundle; close($out) or die \"$new: $!\\n\";\n"
		"chmod(0644, $new); rename($new, 'ca-certificates.crt') or die \"$new: $!\\n\";\n"
		"print \"$added added; done.\\n\";\n";

static const char systemd_helper[] =
		"#!/bin/sh\n"
		"instance=system state=deb-systemd-helper-enabled quiet= action= unit= others=\n"
		"for arg do\n"
		"\tcase $arg in\n"
		"\t--quiet) quiet=1 ;;\n"
		"\t--system) ;;\n"
		"\t--user) instance=user state=deb-systemd-user-helper-enabled ;;\n"
		"\t-* | */*) others=1 ;;\n"
		"\t*) if [ -z \"$action\" ]; then action=$arg\n"
		"\t   elif [ -z \"$unit\" ]; then unit=$arg\n"
		"\t   else others=1; fi ;;\n"
		"\tesac\n"
		"done\n"
		"if [ -z \"$others\" ] && [ -n \"$unit\" ] && [ -n \"$DPKG_MAINTSCRIPT_PACKAGE\" ]; then\n"
		"\tlink=/etc/systemd/$instance/$unit\n"
		"\tstate=/var/lib/systemd/$state/$unit.dsh-also\n"
		"\tcase $action in\n"
		"\tunmask)\n"
		"\t\t[ -e \"$link\" ] || [ -L \"$link\" ] || exit 0 ;;\n"
		"\twas-enabled)\n"
		"\t\t[ -e \"$state\" ] || { [ -n \"$quiet\" ] || echo enabled >&2; exit 0; } ;;\n"
		"\tdebian-installed)\n"
		"\t\t[ -e \"$state\" ] || exit 1 ;;\n"
		"\tesac\n"
		"fi\n"
		"exec /ashlar-deb-systemd-helper \"$@\"\n";

static const struct {
	const char *name;
	const char *path; /* of the real program */
	const char *interpreter;
	const char *text;
} shortcuts[] = {
		{"update-ca-certificates", "usr/sbin/update-ca-certificates", "usr/bin/perl",
				update_certs},
		{"deb-systemd-helper", "usr/bin/deb-systemd-helper", "bin/sh", systemd_helper},
};

gboolean ash_shortcut_write(const char *dir, GError **error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(shortcuts); i++) {
		g_autofree char *path = g_build_filename(dir, shortcuts[i].name, NULL);
		if (!ash_file_replace(AT_FDCWD, path, shortcuts[i].text, strlen(shortcuts[i].text),
				    0755, error))
			return FALSE;
	}
	return TRUE;
}

void ash_shortcut_add_binds(
		GStrvBuilder *binds, const AshTree *tree, const char *checkout, const char *dir)
{
	for (size_t i = 0; i < G_N_ELEMENTS(shortcuts); i++) {
		const AshNode *real = ash_tree_find(tree, shortcuts[i].path);
		if (real == NULL || real->kind != ASH_NODE_FILE ||
				ash_tree_resolve(tree, shortcuts[i].interpreter, NULL) == NULL)
			continue;
		g_autofree char *aside = g_strdup_printf(
				"%s/%s:/ashlar-%s", checkout, shortcuts[i].path, shortcuts[i].name);
		g_autofree char *over = g_strdup_printf(
				"%s/%s:/%s", dir, shortcuts[i].name, shortcuts[i].path);
		g_strv_builder_add(binds, aside);
		g_strv_builder_add(binds, over);
	}
}
