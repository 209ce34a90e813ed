/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/schema.h"

#include <string.h>

#include "builder/manifest-load.h"

#define IN_MANIFEST(field) .offset = offsetof(AshManifest, field)

static const char *const kinds[] = {"host", "workload", NULL};
static const char *const generators[] = {"native", "dracut", "none", NULL};

static const AshSchemaKey remove_keys[] = {
		{.name = "packages",
				.type = ASH_SCHEMA_TEXTS,
				.form = ASH_FORM_PACKAGE_GLOB,
				IN_MANIFEST(remove_packages),
				.doc = "Packages, or globs of packages, whose files go once all packages "
				       "are configured. They must be installed for that; what is only "
				       "needed at run time by a package manager can go this way.",
				.example = "packages: [apt, \"dpkg*\"]"},
		{.name = "paths",
				.type = ASH_SCHEMA_TEXTS,
				.form = ASH_FORM_PATH_GLOB,
				IN_MANIFEST(remove_paths),
				.doc = "Globs of paths that go. '*' and '?' stay within one directory, "
				       "'**' crosses directories.",
				.example = "paths: [/usr/share/doc/**, /usr/share/man]"},
		{0},
};

static const AshSchemaObject remove_object = {
		.noun = "removal", .keys = remove_keys, .identity = -1};

static const AshSchemaKey initramfs_keys[] = {
		{.name = "generator",
				.type = ASH_SCHEMA_CHOICE,
				.choices = generators,
				.flags = ASH_SCHEMA_DEFAULT_IS_WORDS,
				IN_MANIFEST(initramfs),
				.default_text = "native for a host, none for a workload",
				.doc = "What makes the initramfs: 'native' is Ashlar's own, small and "
				       "fast; 'dracut' runs the dracut of the image's packages; 'none' "
				       "makes none.",
				.example = "generator: dracut"},
		{.name = "modules",
				.type = ASH_SCHEMA_TEXTS,
				.form = ASH_FORM_MODULE,
				IN_MANIFEST(initramfs_modules),
				.doc = "Kernel modules that the initramfs must hold beside those it has "
				       "anyway.",
				.example = "modules: [virtio_net, nvme]"},
		{0},
};

static const AshSchemaObject initramfs_object = {
		.noun = "initramfs", .keys = initramfs_keys, .identity = -1};

/* What may stand at the top level and, unless TOP_ONLY, in parts; in the order of the manual. */
const AshSchemaKey ash_schema_manifest[] = {
		{.name = "kind",
				.type = ASH_SCHEMA_CHOICE,
				.flags = ASH_SCHEMA_TOP_ONLY,
				.choices = kinds,
				IN_MANIFEST(kind),
				.default_text = "host",
				.doc = "What is made: an operating system that boots, or the file system "
				       "of a workload that runs on one.",
				.example = "kind: host"},
		{.name = "name",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_TOP_ONLY | ASH_SCHEMA_DEFAULT_IS_WORDS,
				.form = ASH_FORM_NAME,
				IN_MANIFEST(name),
				.default_text = "the file's name without .yaml",
				.doc = "Names the tree in commits, file names and releases.",
				.example = "name: edge-host"},
		{.name = "version",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_TOP_ONLY,
				.form = ASH_FORM_VERSION,
				IN_MANIFEST(version),
				.default_text = "0",
				.doc = "The version of what is made. Hosts refuse to go to a lower one.",
				.example = "version: 1.4.0"},
		{.name = "summary",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_TOP_ONLY,
				.form = ASH_FORM_LINE,
				IN_MANIFEST(summary),
				.doc = "One line that tells people what this is.",
				.example = "summary: Runs containers, nothing else"},
		{.name = "include",
				.type = ASH_SCHEMA_TEXTS,
				.flags = ASH_SCHEMA_TOP_ONLY | ASH_SCHEMA_NOT_STORED,
				.form = ASH_FORM_LOCAL_PATH,
				.doc = "Other manifests that this one builds on, relative to this file. "
				       "They count before this file, in this order; what this file says "
				       "wins. A file that is included twice counts once, at its first "
				       "place. Here ${…} knows only the variables of this file and of "
				       "those that include it.",
				.example = "include: [layers/base.yaml]"},
		{.name = "variables",
				.type = ASH_SCHEMA_VARIABLES,
				.flags = ASH_SCHEMA_TOP_ONLY | ASH_SCHEMA_NOT_STORED,
				.form = ASH_FORM_VARIABLE,
				.doc = "Names for text: ${name} stands for it in every value, in this "
				       "file, in those it includes and in those that include it. The "
				       "including file's value wins, --set on the command line wins over "
				       "all. $${ is a literal ${. A value may hold other variables, up "
				       "to 8 deep.",
				.example = "variables:\n  suite: trixie"},
		{.name = "suite",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_SUITE,
				IN_MANIFEST(suite),
				.default_text = "trixie",
				.doc = "The Debian suite that packages come from.",
				.example = "suite: forky"},
		{.name = "recommends",
				.type = ASH_SCHEMA_BOOL,
				IN_MANIFEST(recommends),
				.default_text = "false",
				.doc = "Whether packages that others recommend are installed too.",
				.example = "recommends: true"},
		{.name = "repositories",
				.type = ASH_SCHEMA_ITEMS,
				.object = &ash_manifest_object_repository,
				IN_MANIFEST(repositories),
				.doc = "Where packages come from. Without any, the build machine's own "
				       "Debian sources are used, with the suite replaced; no mirror "
				       "needs to be named.",
				.example = "repositories:\n"
					   "  - name: extra\n"
					   "    uri: file:///srv/debian\n"
					   "    suites: [trixie]\n"
					   "    keyring: keys/extra.gpg"},
		{.name = "packages",
				.type = ASH_SCHEMA_TEXTS,
				.form = ASH_FORM_PACKAGE,
				.make = ash_manifest_make_package,
				.free_made = ash_manifest_package_free,
				IN_MANIFEST(packages),
				.doc = "What to install, by name or by the name of a virtual package, "
				       "with a version where it matters. What these depend on, and "
				       "Debian's essential packages, come by themselves. An item cannot "
				       "be taken back by a later part; 'exclude' forbids a package.",
				.example = "packages: [systemd, \"nginx (>= 1.26)\", curl=8.14.1-2]"},
		{.name = "exclude",
				.type = ASH_SCHEMA_TEXTS,
				.form = ASH_FORM_PACKAGE_NAME,
				.make = ash_manifest_make_package,
				.free_made = ash_manifest_package_free,
				IN_MANIFEST(exclude),
				.doc = "Packages that must not be installed. When one is needed anyway "
				       "the build stops and says by whom.",
				.example = "exclude: [exim4-base]"},
		{.name = "pins",
				.type = ASH_SCHEMA_ITEMS,
				.object = &ash_manifest_object_pin,
				IN_MANIFEST(pins),
				.doc = "Holds packages to a version or to a suite.",
				.example = "pins:\n  - {package: \"nginx*\", version: \"1.26.*\"}"},
		{.name = "debs",
				.type = ASH_SCHEMA_TEXTS,
				.form = ASH_FORM_LOCAL_PATH,
				.make = ash_manifest_make_deb,
				IN_MANIFEST(debs),
				.doc = "Local .deb files to install, relative to this file.",
				.example = "debs: [./local_1.0_amd64.deb]"},
		{.name = "files",
				.type = ASH_SCHEMA_ITEMS,
				.object = &ash_manifest_object_file,
				IN_MANIFEST(files),
				.doc = "Files, links and directories to put into the tree after packages "
				       "are configured. The file of a later layer replaces that of an "
				       "earlier one.",
				.example = "files:\n  - {path: /etc/motd, content: \"Hello\\n\"}"},
		{.name = "users",
				.type = ASH_SCHEMA_ITEMS,
				.object = &ash_manifest_object_user,
				IN_MANIFEST(users),
				.doc = "System users, made by systemd-sysusers.",
				.example = "users:\n  - {name: app, uid: 990, home: /var/lib/app}"},
		{.name = "groups",
				.type = ASH_SCHEMA_ITEMS,
				.object = &ash_manifest_object_group,
				IN_MANIFEST(groups),
				.doc = "System groups, made by systemd-sysusers.",
				.example = "groups:\n  - {name: app, gid: 990}"},
		{.name = "units",
				.type = ASH_SCHEMA_ITEMS,
				.object = &ash_manifest_object_unit,
				IN_MANIFEST(units),
				.doc = "systemd units: new ones, and what happens to those of packages. "
				       "When several layers name a unit, later content and state replace "
				       "earlier ones, drop-ins add up.",
				.example = "units:\n"
					   "  - {name: ssh.service, mask: true}\n"
					   "  - name: web.service\n"
					   "    source: units/web.service\n"
					   "    enable: true"},
		{.name = "presets",
				.type = ASH_SCHEMA_TEXTS,
				.form = ASH_FORM_PRESET,
				IN_MANIFEST(presets),
				.doc = "Lines of a systemd.preset(5) file; the first that matches wins.",
				.example = "presets: [\"enable web.service\", \"disable *\"]"},
		{.name = "kernel-arguments",
				.type = ASH_SCHEMA_TEXTS,
				.form = ASH_FORM_KERNEL_ARGUMENT,
				IN_MANIFEST(kernel_arguments),
				.doc = "Words of the kernel's command line.",
				.example = "kernel-arguments: [quiet, \"panic=10\"]"},
		{.name = "remove",
				.type = ASH_SCHEMA_OBJECT,
				.flags = ASH_SCHEMA_NOT_STORED,
				.object = &remove_object,
				.doc = "What goes from the tree once it is complete.",
				.example = "remove:\n  packages: [apt]\n  paths: [/usr/share/doc/**]"},
		{.name = "keep",
				.type = ASH_SCHEMA_TEXTS,
				.form = ASH_FORM_PATH_GLOB,
				IN_MANIFEST(keep_paths),
				.doc = "Globs of paths that stay, whatever 'remove' says.",
				.example = "keep: [/usr/share/doc/*/copyright]"},
		{.name = "postprocess",
				.type = ASH_SCHEMA_ITEMS,
				.object = &ash_manifest_object_script,
				IN_MANIFEST(postprocess),
				.doc = "Scripts that run in the finished tree, in this order, sandboxed "
				       "and without network.",
				.example = "postprocess:\n"
					   "  - name: stamp\n"
					   "    content: |\n"
					   "      #!/bin/sh\n"
					   "      echo built > /usr/lib/stamp"},
		{.name = "initramfs",
				.type = ASH_SCHEMA_OBJECT,
				.flags = ASH_SCHEMA_NOT_STORED,
				.object = &initramfs_object,
				.doc = "The first file system that the kernel sees.",
				.example = "initramfs:\n  generator: native\n  modules: [virtio_net]"},
		{.name = "kernel-modules",
				.type = ASH_SCHEMA_TEXTS,
				.form = ASH_FORM_MODULE_GLOB,
				IN_MANIFEST(kernel_modules),
				.doc = "The kernel modules to keep, by name or by a glob below the "
				       "kernel's module directory, with what they depend on. Without "
				       "any, all stay.",
				.example = "kernel-modules: [\"kernel/drivers/virtio/**\", ext4]"},
		{.name = "hostname",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_HOSTNAME,
				IN_MANIFEST(hostname),
				.doc = "The content of /etc/hostname. Without it the host gets its name "
				       "when it is provisioned.",
				.example = "hostname: edge"},
		{.name = "default-target",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_DEFAULT_IS_WORDS,
				.form = ASH_FORM_TARGET,
				IN_MANIFEST(default_target),
				.default_text = "multi-user.target",
				.doc = "The systemd target that the host boots to.",
				.example = "default-target: rescue.target"},
		{.name = "health",
				.type = ASH_SCHEMA_OBJECT,
				.flags = ASH_SCHEMA_NOT_STORED,
				.object = &ash_manifest_object_health,
				.doc = "What tells that the host works; health(5) says how it is judged. "
				       "A check of a later layer replaces that of an earlier one. It is "
				       "written to /usr/lib/ashlar/health.d/manifest.yaml. For hosts "
				       "only.",
				.example = "health:\n"
					   "  soak: 60s\n"
					   "  checks:\n"
					   "    - {name: web, http: \"http://127.0.0.1:8080/health\"}"},
		{.name = "architectures",
				.type = ASH_SCHEMA_PARTS,
				.flags = ASH_SCHEMA_TOP_ONLY | ASH_SCHEMA_IN_VARIANT |
					 ASH_SCHEMA_NOT_STORED,
				.form = ASH_FORM_ARCH,
				.doc = "What to add for one architecture. When there is such a key "
				       "anywhere, only the architectures that it names can be built.",
				.example = "architectures:\n"
					   "  amd64:\n"
					   "    packages: [linux-image-cloud-amd64]\n"
					   "  arm64:\n"
					   "    packages: [linux-image-cloud-arm64]"},
		{.name = "variants",
				.type = ASH_SCHEMA_PARTS,
				.flags = ASH_SCHEMA_TOP_ONLY | ASH_SCHEMA_NOT_STORED,
				.form = ASH_FORM_VARIANT,
				.doc = "What to add when the build asks for this variant. Variants of "
				       "one name in several files all apply.",
				.example = "variants:\n  debug:\n    packages: [strace]"},
		{0},
};

const AshSchemaKey *ash_schema_find(const AshSchemaKey *keys, const char *name)
{
	for (; keys->name != NULL; keys++)
		if (strcmp(keys->name, name) == 0)
			return keys;
	return NULL;
}
