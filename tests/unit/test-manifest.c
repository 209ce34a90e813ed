/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/manifest.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "builder/schema.h"
#include "lib/file.h"

/* Each case is a manifest in a directory of its own; what several files make of one another is in
 * tests/golden/manifest.
 */

typedef struct {
	AshTempDir *dir;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "test-manifest", &fixture->dir, &error));
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
	ash_temp_dir_free(fixture->dir);
}

static char *put(Fixture *fixture, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(fixture->dir->path, name, NULL);
	g_autofree char *parent = g_path_get_dirname(path);
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
	g_file_set_contents(path, text, -1, &error);
	g_assert_no_error(error);
	return g_steal_pointer(&path);
}

/* Files that examples and cases name. */
static void put_companions(Fixture *fixture)
{
	static const char *const names[] = {"files/example", "units/web.service", "keys/extra.gpg",
			"local_1.0_amd64.deb", "debs/a_1_all.deb"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = put(fixture, names[i], "content of a companion\n");
		g_assert_nonnull(path);
	}
	g_autofree char *layer = put(fixture, "layers/base.yaml", "packages: [base-files]\n");
	g_autofree char *loop = put(fixture, "loop.yaml", "include: [host.yaml]\n");
	g_autofree char *broken = put(fixture, "broken.yaml", "a: [\n");
	g_assert_true(layer != NULL && loop != NULL && broken != NULL);
}

static gboolean load(Fixture *fixture, const char *text, const char *variant,
		const char *const *set, AshManifest **out_manifest, GError **error)
{
	g_autofree char *path = put(fixture, "host.yaml", text);

	return ash_manifest_load(path, "amd64", variant, set, out_manifest, error);
}

static AshManifest *must_load(Fixture *fixture, const char *text)
{
	g_autoptr(GError) error = NULL;
	AshManifest *manifest = NULL;

	load(fixture, text, NULL, NULL, &manifest, &error);
	g_assert_no_error(error);
	return manifest;
}

/* ---- refused ------------------------------------------------------------------------------------- */

static const struct {
	const char *text;
	AshManifestError code;
	const char *message; /* begins behind "…/host.yaml:" */
} refused[] = {
		{"a: [", ASH_MANIFEST_ERROR_SYNTAX, "2:1: not YAML"},
		{"a: *b", ASH_MANIFEST_ERROR_SYNTAX, "1:4: aliases"},
		{"- a", ASH_MANIFEST_ERROR_TYPE, "1:1: here is a list, expected a map"},
		{"name: a\nname: b", ASH_MANIFEST_ERROR_DUPLICATE, "2:1: key 'name'"},

		{"pakcages: []", ASH_MANIFEST_ERROR_UNKNOWN_KEY,
				"1:1: unknown key 'pakcages' (did you mean 'packages'?)"},
		{"xyzzy: []", ASH_MANIFEST_ERROR_UNKNOWN_KEY, "1:1: unknown key 'xyzzy'"},
		{"files:\n  - {path: /a, contnet: b}", ASH_MANIFEST_ERROR_UNKNOWN_KEY,
				"2:16: unknown key 'contnet' (did you mean 'content'?)"},
		{"variants: {a: {version: 1}}", ASH_MANIFEST_ERROR_UNKNOWN_KEY,
				"1:16: key 'version' is not allowed inside a variant"},
		{"architectures: {amd64: {variants: {}}}", ASH_MANIFEST_ERROR_UNKNOWN_KEY,
				"1:25: key 'variants' is not allowed inside an architecture"},
		{"architectures: {amd64: {architectures: {}}}", ASH_MANIFEST_ERROR_UNKNOWN_KEY,
				"inside an architecture"},
		/* Parts that are not chosen are checked as well. */
		{"variants: {other: {pakcages: []}}", ASH_MANIFEST_ERROR_UNKNOWN_KEY,
				"1:20: unknown key 'pakcages'"},

		{"packages: systemd", ASH_MANIFEST_ERROR_TYPE,
				"1:11: 'packages' is one value, expected a list"},
		{"packages:\n", ASH_MANIFEST_ERROR_TYPE, "'packages' is nothing, expected a list"},
		{"packages: [{a: b}]", ASH_MANIFEST_ERROR_TYPE,
				"1:12: an item of 'packages' is a map, expected text"},
		{"files: [x]", ASH_MANIFEST_ERROR_TYPE, "is one value, expected a map"},
		{"remove: []", ASH_MANIFEST_ERROR_TYPE, "'remove' is a list, expected a map"},
		{"suite: [a]", ASH_MANIFEST_ERROR_TYPE, "'suite' is a list, expected one value"},
		{"variables: {a: []}", ASH_MANIFEST_ERROR_TYPE, "'a' is a list"},
		{"recommends: yes", ASH_MANIFEST_ERROR_TYPE,
				"1:13: 'recommends' is 'yes', expected true or false"},
		{"repositories: [{uri: file:///a, priority: high}]", ASH_MANIFEST_ERROR_TYPE,
				"expected a whole number from 0 to 1000000"},

		{"kind: hots", ASH_MANIFEST_ERROR_VALUE,
				"1:7: 'kind' has 'hots', expected one of: host, workload (did you "
				"mean 'host'?)"},
		{"name: Big Host", ASH_MANIFEST_ERROR_VALUE, "expected a name"},
		{"version: 1/2", ASH_MANIFEST_ERROR_VALUE, "expected a version"},
		{"packages: [Nginx]", ASH_MANIFEST_ERROR_VALUE,
				"1:12: 'packages' has 'Nginx', expected a package"},
		{"packages: [-exim4]", ASH_MANIFEST_ERROR_VALUE, "'-exim4', expected a package"},
		{"packages: [\"a b\"]", ASH_MANIFEST_ERROR_VALUE, "expected a package"},
		{"packages: [\"nginx (> 1)\"]", ASH_MANIFEST_ERROR_VALUE, "expected a package"},
		{"packages: [\"nginx\\n\"]", ASH_MANIFEST_ERROR_VALUE, "expected a package"},
		{"exclude: [nginx=1]", ASH_MANIFEST_ERROR_VALUE, "expected the name of a package"},
		{"files: [{path: etc/x, content: a}]", ASH_MANIFEST_ERROR_VALUE,
				"expected an absolute path"},
		{"files: [{path: /etc/../x, content: a}]", ASH_MANIFEST_ERROR_VALUE,
				"expected an absolute path"},
		{"files: [{path: /etc//x, content: a}]", ASH_MANIFEST_ERROR_VALUE,
				"expected an absolute path"},
		{"files: [{path: /etc/, content: a}]", ASH_MANIFEST_ERROR_VALUE,
				"expected an absolute path"},
		{"files: [{path: /, directory: true}]", ASH_MANIFEST_ERROR_VALUE,
				"expected an absolute path"},
		{"files: [{path: /a, content: a, mode: 644}]", ASH_MANIFEST_ERROR_VALUE,
				"1:38: 'mode' has '644', expected an octal mode that begins with "
				"0, such as 0644"},
		{"files: [{path: /a, content: a, mode: 0888}]", ASH_MANIFEST_ERROR_VALUE,
				"expected an octal mode"},
		{"files: [{path: /a, content: a, source: files/example}]", ASH_MANIFEST_ERROR_VALUE,
				"either 'content' or 'source'"},
		{"files: [{path: /a, content: a, link: b}]", ASH_MANIFEST_ERROR_VALUE,
				"only one of"},
		{"files: [{path: /a, link: b, mode: 0644}]", ASH_MANIFEST_ERROR_VALUE,
				"a symbolic link has no mode"},
		{"files: [{path: /a, source: missing}]", ASH_MANIFEST_ERROR_VALUE,
				"1:28: cannot read the source"},
		{"files: [{path: /a, source: files}]", ASH_MANIFEST_ERROR_VALUE,
				"'files' is not a regular file"},
		{"files: [{path: /a, content: a, user: Root}]", ASH_MANIFEST_ERROR_VALUE,
				"name or number"},
		{"users: [{name: 9lives}]", ASH_MANIFEST_ERROR_VALUE, "a user or group name"},
		{"users: [{name: app, uid: 0}]", ASH_MANIFEST_ERROR_VALUE, "number 0 is root's"},
		{"users: [{name: app, uid: 65535}]", ASH_MANIFEST_ERROR_VALUE, "reserved"},
		{"users: [{name: app, summary: \"a:b\"}]", ASH_MANIFEST_ERROR_VALUE, "without ':'"},
		{"units: [{name: web, enable: true}]", ASH_MANIFEST_ERROR_VALUE,
				"the name of a unit with its suffix"},
		{"units: [{name: a/b.service, enable: true}]", ASH_MANIFEST_ERROR_VALUE,
				"the name of a unit"},
		{"units: [{name: a.service, enable: true, mask: true}]", ASH_MANIFEST_ERROR_VALUE,
				"only one of 'enable', 'disable' and 'mask'"},
		{"units: [{name: a.service, content: a, mask: true}]", ASH_MANIFEST_ERROR_VALUE,
				"masked"},
		{"units: [{name: a.service, dropins: [{name: ../a.conf, content: a}]}]",
				ASH_MANIFEST_ERROR_VALUE, "ends in .conf"},
		{"repositories: [{uri: \"ftp://x/\"}]", ASH_MANIFEST_ERROR_VALUE, "expected a URI"},
		{"repositories: [{uri: file:///a, path: debs}]", ASH_MANIFEST_ERROR_VALUE,
				"either 'uri' or 'path'"},
		{"repositories: [{path: debs, suites: [x]}]", ASH_MANIFEST_ERROR_VALUE,
				"has no 'suites'"},
		{"repositories: [{path: missing}]", ASH_MANIFEST_ERROR_VALUE, "no directory"},
		{"repositories: [{uri: file:///a, keyring: missing}]", ASH_MANIFEST_ERROR_VALUE,
				"no file 'missing'"},
		{"repositories: [{uri: file:///a, suites: [./, x/]}]", ASH_MANIFEST_ERROR_VALUE,
				"has one suite only"},
		{"repositories: [{uri: file:///a, suites: [./], components: [main]}]",
				ASH_MANIFEST_ERROR_VALUE, "has no components"},
		{"debs: [files/example]", ASH_MANIFEST_ERROR_VALUE, "is not a .deb"},
		{"debs: [missing.deb]", ASH_MANIFEST_ERROR_VALUE, "there is no file"},
		{"kernel-arguments: [\"a\\nb\"]", ASH_MANIFEST_ERROR_VALUE, "one kernel argument"},
		{"kernel-arguments: [quiet splash]", ASH_MANIFEST_ERROR_VALUE,
				"blanks only between"},
		{"presets: [start x.service]", ASH_MANIFEST_ERROR_VALUE, "expected a preset"},
		{"remove: {paths: [usr/share]}", ASH_MANIFEST_ERROR_VALUE, "absolute path"},
		{"initramfs: {generator: mkinitcpio}", ASH_MANIFEST_ERROR_VALUE,
				"expected one of: native, dracut, none"},
		{"hostname: -a", ASH_MANIFEST_ERROR_VALUE, "a host name"},
		{"default-target: x.service", ASH_MANIFEST_ERROR_VALUE, "a target"},
		{"variants: {Debug: {}}", ASH_MANIFEST_ERROR_VALUE, "1:12: 'Debug' in 'variants'"},
		{"variables: {1a: b}", ASH_MANIFEST_ERROR_VALUE, "a variable's name"},

		{"files:\n  - {path: /a, content: a}\n  - {path: /a, content: b}",
				ASH_MANIFEST_ERROR_DUPLICATE, "3:5: file '/a' is already at "},
		{"users: [{name: a}, {name: a}]", ASH_MANIFEST_ERROR_DUPLICATE, "user 'a'"},
		{"units: [{name: a.service, dropins: [{name: a.conf, content: a}, {name: a.conf, "
		 "content: b}]}]",
				ASH_MANIFEST_ERROR_DUPLICATE, "1:65: drop-in 'a.conf'"},
		{"repositories: [{name: repo2, uri: file:///a}, {uri: file:///b}]",
				ASH_MANIFEST_ERROR_DUPLICATE, "called 'repo2'"},

		{"files: [{content: a}]", ASH_MANIFEST_ERROR_MISSING, "1:9: key 'path' is missing"},
		{"files: [{path: /a}]", ASH_MANIFEST_ERROR_MISSING, "a file needs"},
		{"files: [{path: /a, directory: false}]", ASH_MANIFEST_ERROR_MISSING,
				"a file needs"},
		{"pins: [{package: a}]", ASH_MANIFEST_ERROR_MISSING, "'version' or 'suite'"},
		{"units: [{name: a.service}]", ASH_MANIFEST_ERROR_MISSING, "needs 'content'"},
		{"units: [{name: a.service, dropins: [{name: a.conf}]}]",
				ASH_MANIFEST_ERROR_MISSING, "a drop-in needs"},
		{"postprocess: [{name: a}]", ASH_MANIFEST_ERROR_MISSING, "a script needs"},
		{"repositories: [{name: a}]", ASH_MANIFEST_ERROR_MISSING, "needs 'uri' or 'path'"},

		{"include: [missing.yaml]", ASH_MANIFEST_ERROR_INCLUDE, "1:11: there is no file"},
		{"include: [files]", ASH_MANIFEST_ERROR_INCLUDE, "1:11: cannot include '"},
		{"include: [host.yaml]", ASH_MANIFEST_ERROR_INCLUDE, "includes itself"},
		{"include: [\"${later}\"]", ASH_MANIFEST_ERROR_VARIABLE, "'later' is not defined"},

		{"suite: ${sweet}\nvariables: {suite: a}", ASH_MANIFEST_ERROR_VARIABLE,
				"1:8: variable 'sweet' is not defined"},
		{"suite: ${suit}\nvariables: {suite: a}", ASH_MANIFEST_ERROR_VARIABLE,
				"(did you mean 'suite'?)"},
		{"suite: ${a}\nvariables: {a: \"${a}\"}", ASH_MANIFEST_ERROR_VARIABLE,
				"1:8: variable 'a' stands for itself"},
		{"suite: ${a}\nvariables: {a: \"${b}\", b: \"${a}\"}", ASH_MANIFEST_ERROR_VARIABLE,
				"stands for itself"},
		{"suite: ${a:-b}", ASH_MANIFEST_ERROR_VARIABLE, "is not a variable"},
		{"summary: \"${a\"", ASH_MANIFEST_ERROR_VARIABLE, "is not a variable"},

		{"architectures: {arm64: {}}", ASH_MANIFEST_ERROR_ARCH,
				"1:16: this manifest is not for architecture 'amd64', only for: "
				"arm64"},
};

static void test_refused(Fixture *fixture, gconstpointer data)
{
	bool is_covered[ASH_MANIFEST_ERROR_ARCH + 1] = {false};
	int n_wrong = 0;

	put_companions(fixture);
	for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
		g_autoptr(GError) error = NULL;
		AshManifest *manifest = NULL;
		g_test_message("%s", refused[i].text);
		if (load(fixture, refused[i].text, NULL, NULL, &manifest, &error))
			g_error("accepted: %s", refused[i].text);
		if (strstr(error->message, refused[i].message) == NULL ||
				error->code != (int) refused[i].code) {
			g_printerr("code %d '%s' instead of %d '%s'\n", error->code, error->message,
					(int) refused[i].code, refused[i].message);
			n_wrong++;
		}
		g_assert_true(g_str_has_prefix(error->message, fixture->dir->path));
		g_assert_null(manifest);
		is_covered[refused[i].code] = true;
	}
	g_assert_cmpint(n_wrong, ==, 0);
	/* It takes a variant to have a wrong one: test_arguments. */
	is_covered[ASH_MANIFEST_ERROR_VARIANT] = true;
	for (size_t i = 0; i < G_N_ELEMENTS(is_covered); i++)
		g_assert_true(is_covered[i]);
}

static void test_arguments(Fixture *fixture, gconstpointer data)
{
	static const char *const misspelt[] = {"suiet=sid", NULL};
	static const char *const no_value[] = {"suite", NULL};
	static const char *const set[] = {"suite=sid", NULL};
	static const char text[] = "variables: {suite: trixie}\nsuite: ${suite}\n"
				   "variants: {debug: {}, small: }\n";
	g_autoptr(AshManifest) manifest = NULL;
	g_autoptr(GError) error = NULL;
	AshManifest *none = NULL;

	g_assert_false(load(fixture, text, "deubg", NULL, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_VARIANT);
	g_assert_nonnull(strstr(error->message, "debug, small (did you mean 'debug'?)"));
	g_clear_error(&error);
	g_assert_false(load(fixture, "{}", "debug", NULL, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_VARIANT);
	g_clear_error(&error);
	g_assert_false(load(fixture, text, "../x", NULL, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_VARIANT);
	g_clear_error(&error);
	g_assert_false(load(fixture, text, NULL, misspelt, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_VARIABLE);
	g_assert_nonnull(strstr(error->message, "(did you mean 'suite'?)"));
	g_clear_error(&error);
	g_assert_false(load(fixture, text, NULL, no_value, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_VARIABLE);
	g_clear_error(&error);
	g_assert_false(ash_manifest_load("host.yaml", "AMD64", NULL, NULL, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_ARCH);
	g_clear_error(&error);
	g_assert_false(ash_manifest_load("/missing/host.yaml", NULL, NULL, NULL, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_INCLUDE);
	g_assert_true(g_str_has_prefix(error->message, "/missing/host.yaml:1:1: "));
	g_clear_error(&error);

	load(fixture, text, "small", set, &manifest, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(manifest->suite, ==, "sid");
	g_auto(GStrv) variants = NULL;
	g_assert_true(ash_manifest_list_variants(manifest->path, &variants, &error));
	g_autofree char *joined = g_strjoinv(" ", variants);
	g_assert_cmpstr(joined, ==, "debug small");
}

/* ---- accepted ------------------------------------------------------------------------------------ */

static void test_defaults(Fixture *fixture, gconstpointer data)
{
	g_autoptr(AshManifest) manifest = must_load(fixture, "");

	g_assert_cmpint(manifest->kind, ==, ASH_MANIFEST_HOST);
	g_assert_cmpstr(manifest->name, ==, "host");
	g_assert_cmpstr(manifest->version, ==, "0");
	g_assert_cmpstr(manifest->suite, ==, "trixie");
	g_assert_cmpstr(manifest->arch, ==, "amd64");
	g_assert_cmpstr(manifest->dir, ==, fixture->dir->path);
	g_assert_false(manifest->recommends);
	g_assert_null(manifest->summary);
	g_assert_null(manifest->hostname);
	g_assert_null(manifest->default_target);
	g_assert_cmpint(manifest->initramfs, ==, ASH_MANIFEST_INITRAMFS_NATIVE);
	g_assert_cmpuint(manifest->packages->len, ==, 0);
	g_assert_cmpuint(manifest->inputs->len, ==, 1);

	g_autoptr(AshManifest) workload = must_load(fixture, "kind: workload");
	g_assert_cmpint(workload->initramfs, ==, ASH_MANIFEST_INITRAMFS_NONE);
	g_assert_cmpuint(strlen(ash_manifest_native_arch()), >, 2);
}

static void test_packages(Fixture *fixture, gconstpointer data)
{
	static const struct {
		const char *name;
		const char *relation;
		const char *version;
	} expected[] = {
			{"systemd", NULL, NULL},
			{"libstdc++6", NULL, NULL},
			{"nginx", "=", "1:1.26.3-2+deb13u1~x"},
			{"nginx", ">=", "1.26"},
			{"a2ps", "<<", "2"},
	};
	g_autoptr(AshManifest) manifest = must_load(fixture,
			"packages: [systemd, libstdc++6, 'nginx=1:1.26.3-2+deb13u1~x',\n"
			"  nginx (>= 1.26), a2ps(<<2)]");

	g_assert_cmpuint(manifest->packages->len, ==, G_N_ELEMENTS(expected));
	for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
		const AshManifestPackage *package = manifest->packages->pdata[i];
		g_assert_cmpstr(package->name, ==, expected[i].name);
		g_assert_cmpstr(package->relation, ==, expected[i].relation);
		g_assert_cmpstr(package->version, ==, expected[i].version);
	}
	const AshManifestPackage *last = manifest->packages->pdata[4];
	g_assert_true(g_str_has_suffix(last->mark, "/host.yaml:2:20"));
}

static void test_repositories(Fixture *fixture, gconstpointer data)
{
	put_companions(fixture);
	g_autoptr(AshManifest) manifest = must_load(fixture,
			"suite: sid\n"
			"repositories:\n"
			"  - {uri: http://localhost/debian, keyring: keys/extra.gpg}\n"
			"  - {uri: file:///srv, suites: [./], trusted: true, priority: 600}\n"
			"  - {uri: file:///srv, suites: [sub/]}\n"
			"  - {name: local, path: ./debs}\n");
	const AshManifestRepository *plain = manifest->repositories->pdata[0];
	const AshManifestRepository *flat = manifest->repositories->pdata[1];
	const AshManifestRepository *sub = manifest->repositories->pdata[2];
	const AshManifestRepository *local = manifest->repositories->pdata[3];

	g_assert_cmpstr(plain->id, ==, "repo1");
	g_assert_cmpstr(plain->suites[0], ==, "sid");
	g_assert_cmpstr(plain->components[0], ==, "main");
	g_assert_cmpuint(plain->priority, ==, 500);
	g_assert_true(g_path_is_absolute(plain->keyring));
	g_assert_true(flat->is_flat && flat->is_trusted && flat->suites[0] == NULL);
	g_assert_cmpuint(flat->priority, ==, 600);
	g_assert_true(sub->is_flat && !sub->is_trusted);
	g_assert_cmpstr(sub->suites[0], ==, "sub/");
	g_assert_null(local->uri);
	g_autofree char *debs = g_build_filename(fixture->dir->path, "debs", NULL);
	g_assert_cmpstr(local->path, ==, debs);
	g_assert_cmpstr(local->id, ==, "local");
}

static void test_files(Fixture *fixture, gconstpointer data)
{
	put_companions(fixture);
	g_autofree char *tool = put(fixture, "files/tool", "#!/bin/sh\n");
	g_assert_cmpint(chmod(tool, 0755), ==, 0);
	g_autoptr(AshManifest) manifest = must_load(fixture,
			"files:\n"
			"  - {path: /a, content: \"\"}\n"
			"  - {path: /b, source: files/tool}\n"
			"  - {path: /c, source: files/example, mode: 04750, user: \"990\", group: app}\n"
			"  - {path: /d, link: ../x}\n"
			"  - {path: /e, directory: true}\n"
			"  - {path: /f, directory: true, mode: \"0700\"}\n"
			"  - {path: /g, mode: \"0755\"}\n");
	static const struct {
		AshManifestFileKind kind;
		uint32_t mode;
		const char *content;
	} expected[] = {
			{ASH_MANIFEST_FILE_REGULAR, 0644, ""},
			{ASH_MANIFEST_FILE_REGULAR, 0755, "#!/bin/sh\n"},
			{ASH_MANIFEST_FILE_REGULAR, 04750, "content of a companion\n"},
			{ASH_MANIFEST_FILE_LINK, 0777, NULL},
			{ASH_MANIFEST_FILE_DIRECTORY, 0755, NULL},
			{ASH_MANIFEST_FILE_DIRECTORY, 0700, NULL},
			{ASH_MANIFEST_FILE_MODE, 0755, NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
		const AshManifestFile *file = manifest->files->pdata[i];
		g_assert_cmpint(file->kind, ==, expected[i].kind);
		g_assert_cmpuint(file->mode, ==, expected[i].mode);
		g_assert_true((file->content != NULL) == (expected[i].content != NULL));
		if (file->content != NULL)
			g_assert_cmpstr(g_bytes_get_data(file->content, NULL), ==,
					expected[i].content);
	}
	const AshManifestFile *owned = manifest->files->pdata[2];
	g_assert_cmpstr(owned->user, ==, "990");
	g_assert_cmpstr(owned->group, ==, "app");
	const AshManifestFile *link = manifest->files->pdata[3];
	g_assert_cmpstr(link->target, ==, "../x");
	g_assert_cmpstr(link->user, ==, "root");
	g_assert_cmpuint(manifest->inputs->len, ==, 3);
}

static void test_variables(Fixture *fixture, gconstpointer data)
{
	g_autoptr(AshManifest) manifest = must_load(fixture,
			"variables: {a: x, b: \"${a}y\", c: \"${b}${b}\", yes: \"true\", n: 7}\n"
			"recommends: ${yes}\n"
			"summary: \"$${a} $a $$ ${c}\"\n"
			"repositories: [{uri: \"file:///${a}\", priority: \"${n}\"}]\n");
	const AshManifestRepository *repository = manifest->repositories->pdata[0];

	g_assert_cmpstr(manifest->summary, ==, "${a} $a $$ xyxy");
	g_assert_true(manifest->recommends);
	g_assert_cmpstr(repository->uri, ==, "file:///x");
	g_assert_cmpuint(repository->priority, ==, 7);
}

/* Text that doubles at each level, and a chain that is just too long. */
static void test_variable_limits(Fixture *fixture, gconstpointer data)
{
	g_autoptr(GString) doubling = g_string_new("summary: ${v7}\nvariables:\n  v0: ");
	g_autoptr(GString) chain = g_string_new("variables:\n  v0: x\n");
	g_autoptr(GString) many = g_string_new(NULL);
	g_autoptr(AshManifest) manifest = NULL;
	g_autoptr(GError) error = NULL;
	AshManifest *none = NULL;

	for (int i = 0; i < 1000; i++)
		g_string_append_c(doubling, 'x');
	for (int i = 1; i < 8; i++)
		g_string_append_printf(doubling, "\n  v%d: ${v%d}${v%d}${v%d}${v%d}", i, i - 1,
				i - 1, i - 1, i - 1);
	g_assert_false(load(fixture, doubling->str, NULL, NULL, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_VARIABLE);
	g_assert_nonnull(strstr(error->message, "longer than 65536 bytes"));
	g_clear_error(&error);

	for (int i = 1; i < 9; i++)
		g_string_append_printf(chain, "  v%d: ${v%d}\n", i, i - 1);
	g_autofree char *deep_enough = g_strconcat(chain->str, "summary: ${v7}\n", NULL);
	g_autofree char *too_deep = g_strconcat(chain->str, "summary: ${v7} ${v8}\n", NULL);
	load(fixture, deep_enough, NULL, NULL, &manifest, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(manifest->summary, ==, "x");
	g_assert_false(load(fixture, too_deep, NULL, NULL, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_VARIABLE);
	g_clear_error(&error);

	g_string_append(many, "variables: {v: ");
	for (int i = 0; i < 60000; i++)
		g_string_append_c(many, 'x');
	g_string_append(many, "}\nkernel-modules:\n");
	for (int i = 0; i < 2000; i++)
		g_string_append(many, "  - ${v}\n");
	g_string_append(many, "x");
	many->str[many->len - 1] = '\n';
	g_assert_false(load(fixture, many->str, NULL, NULL, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_VARIABLE);
	g_assert_nonnull(strstr(error->message, "67108864 bytes"));
}

static void test_too_many(Fixture *fixture, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	AshManifest *none = NULL;

	for (int i = 0; i < 20; i++) {
		g_autofree char *name = g_strdup_printf("deep%d.yaml", i);
		g_autofree char *text = g_strdup_printf("include: [deep%d.yaml]\n", i + 1);
		g_autofree char *path = put(fixture, name, text);
		g_assert_nonnull(path);
	}
	g_assert_false(load(fixture, "include: [deep0.yaml]", NULL, NULL, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_INCLUDE);
	g_assert_nonnull(strstr(error->message, "more than 16 deep"));
	g_clear_error(&error);

	g_autoptr(GString) wide = g_string_new("include:\n");
	for (int i = 0; i < ASH_MANIFEST_MAX_INCLUDES + 1; i++) {
		g_autofree char *name = g_strdup_printf("wide%d.yaml", i);
		g_autofree char *path = put(fixture, name, "{}");
		g_string_append_printf(wide, "  - %s\n", name);
		g_assert_nonnull(path);
	}
	g_assert_false(load(fixture, wide->str, NULL, NULL, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_INCLUDE);
	g_assert_nonnull(strstr(error->message, "more than 64 in all"));
	g_clear_error(&error);

	g_autofree char *big = g_strnfill(ASH_MANIFEST_MAX_BYTES + 1, ' ');
	g_assert_false(load(fixture, big, NULL, NULL, &none, &error));
	g_assert_error(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_INCLUDE);
}

/* ---- digests ------------------------------------------------------------------------------------- */

static char *digest_of(Fixture *fixture, const char *text, char **out_solve)
{
	g_autoptr(AshManifest) manifest = must_load(fixture, text);
	g_autoptr(GError) error = NULL;

	if (out_solve != NULL)
		g_assert_true(ash_manifest_solve_digest(manifest, out_solve, &error));
	return ash_manifest_digest(manifest);
}

/* What hosts without `health` are built from has the digest that it had before there was the key. */
static void test_health_digest(Fixture *fixture, gconstpointer data)
{
	g_autofree char *without_solve = NULL;
	g_autofree char *with_solve = NULL;
	g_autofree char *without = digest_of(
			fixture, "{name: x, variables: {a: b}, hostname: h}", &without_solve);

	if (g_str_equal(ash_manifest_native_arch(), "amd64"))
		g_assert_cmpstr(without, ==,
				"5b47c541a74e58705ae73bc8c8f1a79d4bb8936ab22d7414ffe6b25db57e3a04");
	g_autofree char *with = digest_of(
			fixture, "{name: x, hostname: h, health: {checks: []}}", &with_solve);
	g_autofree char *same = digest_of(fixture,
			"{name: x, hostname: h, health: {soak: 1min, deadline: 600s}}", NULL);
	g_autofree char *other =
			digest_of(fixture, "{name: x, hostname: h, health: {soak: 59s}}", NULL);

	g_assert_cmpstr(with, !=, without);
	g_assert_cmpstr(with, ==, same);
	g_assert_cmpstr(with, !=, other);
	g_assert_cmpstr(with_solve, ==, without_solve);
}

static void test_digest(Fixture *fixture, gconstpointer data)
{
	g_autofree char *solve_a = NULL;
	g_autofree char *solve_b = NULL;
	g_autofree char *solve_c = NULL;
	g_autofree char *a = digest_of(fixture,
			"name: x\npackages: [a1, b1]\nfiles: [{path: /a, content: b, mode: 0644}]\n",
			&solve_a);
	g_autofree char *other_order = digest_of(fixture,
			"# moved\nfiles: [{mode: 0644, content: b, path: /a}]\npackages: [a1, b1]\n"
			"name: x\n",
			&solve_b);
	g_autofree char *other_list = digest_of(fixture,
			"name: x\npackages: [b1, a1]\nfiles: [{path: /a, content: b}]\n", &solve_c);

	g_assert_cmpuint(strlen(a), ==, 64);
	g_assert_cmpstr(a, ==, other_order);
	g_assert_cmpstr(solve_a, ==, solve_b);
	g_assert_cmpstr(a, !=, other_list);
	g_assert_cmpstr(solve_a, !=, solve_c);

	/* Where the files are does not count, what is in them does. */
	Fixture elsewhere;
	set_up(&elsewhere, NULL);
	static const char text[] = "debs: [local_1.0_amd64.deb]\nrepositories: [{path: debs}]\n"
				   "files: [{path: /a, source: files/example}]\n";
	put_companions(fixture);
	put_companions(&elsewhere);
	g_autofree char *solve_here = NULL;
	g_autofree char *solve_there = NULL;
	g_autofree char *solve_changed = NULL;
	g_autofree char *here = digest_of(fixture, text, &solve_here);
	g_autofree char *there = digest_of(&elsewhere, text, &solve_there);
	g_assert_cmpstr(here, ==, there);
	g_assert_cmpstr(solve_here, ==, solve_there);
	g_autofree char *deb = put(&elsewhere, "debs/a_1_all.deb", "another");
	g_autofree char *same = digest_of(&elsewhere, text, &solve_changed);
	g_assert_nonnull(deb);
	g_assert_cmpstr(here, ==, same);
	g_assert_cmpstr(solve_here, !=, solve_changed);
	g_autofree char *source = put(&elsewhere, "files/example", "another");
	g_autofree char *changed = digest_of(&elsewhere, text, NULL);
	g_assert_nonnull(source);
	g_assert_cmpstr(here, !=, changed);
	tear_down(&elsewhere, NULL);
}

/* ---- the table ----------------------------------------------------------------------------------- */

/* Is written by people, so it is tried: each example must be a manifest, and one that counts. */
static void test_examples(Fixture *fixture, gconstpointer data)
{
	static const char *const no_effect[] = {
			"variables", "architectures", "variants", "kind", NULL};
	g_autofree char *empty = digest_of(fixture, "name: host", NULL);

	put_companions(fixture);
	for (const AshSchemaKey *key = ash_schema_manifest; key->name != NULL; key++) {
		g_test_message("%s", key->name);
		g_assert_nonnull(key->doc);
		g_assert_nonnull(key->example);
		g_autofree char *digest = digest_of(fixture, key->example, NULL);
		if (!g_strv_contains(no_effect, key->name))
			g_assert_cmpstr(digest, !=, empty);
	}
}

static void test_forms(void)
{
	for (AshForm form = ASH_FORM_LINE; form <= ASH_FORM_LAST; form++) {
		g_autofree char *endless = g_strnfill(5000, 'a');
		g_assert_nonnull(ash_form_pattern(form)->regex);
		g_assert_nonnull(ash_form_expected(form));
		g_assert_false(ash_form_matches(form, ""));
		g_assert_false(ash_form_matches(form, "a\n"));
		g_assert_false(ash_form_matches(form, endless));
	}
	g_assert_true(ash_form_matches(ASH_FORM_ANY, ""));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define ADD(name, test) g_test_add("/manifest/" name, Fixture, NULL, set_up, test, tear_down)
	ADD("refused", test_refused);
	ADD("arguments", test_arguments);
	ADD("defaults", test_defaults);
	ADD("packages", test_packages);
	ADD("repositories", test_repositories);
	ADD("files", test_files);
	ADD("variables", test_variables);
	ADD("variable-limits", test_variable_limits);
	ADD("too-many", test_too_many);
	ADD("health-digest", test_health_digest);
	ADD("digest", test_digest);
	ADD("examples", test_examples);
	g_test_add_func("/manifest/forms", test_forms);
	return g_test_run();
}
