/* SPDX-License-Identifier: Apache-2.0 */
#include <glib/gstdio.h>
#include <string.h>

#include "builder/manifest.h"

/* Each tests/golden/manifest/CASE/NAME.args is a run: "MANIFEST ARCH VARIANT [SETTING…]", '-' for no
 * variant. What it makes, or the error, is in NAME.expected beside it; with ASH_GOLDEN_UPDATE=1 it is
 * written anew, to be looked at with git diff.
 */

static void put_list(GString *out, const char *name, const GPtrArray *texts)
{
	for (guint i = 0; i < texts->len; i++)
		g_string_append_printf(out, "%s: %s\n", name, (const char *) texts->pdata[i]);
}

static void put(GString *out, const char *name, const char *text)
{
	if (text != NULL)
		g_string_append_printf(out, " %s=%s", name, text);
}

static void put_words(GString *out, const char *name, char **words)
{
	if (words == NULL)
		return;
	g_autofree char *joined = g_strjoinv(",", words);
	g_string_append_printf(out, " %s=[%s]", name, joined);
}

static void put_content(GString *out, GBytes *content)
{
	if (content == NULL)
		return;
	g_autofree char *escaped = g_strescape(g_bytes_get_data(content, NULL), NULL);
	g_string_append_printf(out, " content=\"%s\"", escaped);
}

static void put_packages(GString *out, const char *name, const GPtrArray *packages)
{
	for (guint i = 0; i < packages->len; i++) {
		const AshManifestPackage *package = packages->pdata[i];
		g_string_append_printf(out, "%s: %s", name, package->name);
		put(out, "relation", package->relation);
		put(out, "version", package->version);
		g_string_append_printf(out, " (%s)\n", package->mark);
	}
}

static void put_repositories(GString *out, const AshManifest *manifest)
{
	for (guint i = 0; i < manifest->repositories->len; i++) {
		const AshManifestRepository *repository = manifest->repositories->pdata[i];
		g_string_append_printf(out, "repository: %s", repository->id);
		put(out, "uri", repository->uri);
		put_words(out, "suites", repository->suites);
		put_words(out, "components", repository->components);
		g_string_append_printf(out, " priority=%u%s%s (%s)\n", repository->priority,
				repository->is_flat ? " flat" : "",
				repository->is_trusted ? " trusted" : "", repository->mark);
	}
	for (guint i = 0; i < manifest->pins->len; i++) {
		const AshManifestPin *pin = manifest->pins->pdata[i];
		g_string_append_printf(out, "pin: %s", pin->package);
		put(out, "version", pin->version);
		put(out, "suite", pin->suite);
		g_string_append_printf(out, " (%s)\n", pin->mark);
	}
}

static void put_files(GString *out, const AshManifest *manifest)
{
	static const char *const kinds[] = {"file", "link", "directory"};

	for (guint i = 0; i < manifest->files->len; i++) {
		const AshManifestFile *file = manifest->files->pdata[i];
		g_string_append_printf(out, "%s: %s %04o %s:%s", kinds[file->kind], file->path,
				file->mode, file->user, file->group);
		put(out, "target", file->target);
		put_content(out, file->content);
		g_string_append_printf(out, " (%s)\n", file->mark);
	}
}

static void put_users(GString *out, const char *name, const GPtrArray *users)
{
	for (guint i = 0; i < users->len; i++) {
		const AshManifestUser *user = users->pdata[i];
		g_string_append_printf(out, "%s: %s id=%d", name, user->name, (int) user->id);
		put(out, "gecos", user->gecos);
		put(out, "home", user->home);
		put(out, "shell", user->shell);
		put_words(out, "groups", user->groups);
		g_string_append_printf(out, " (%s)\n", user->mark);
	}
}

static void put_units(GString *out, const AshManifest *manifest)
{
	for (guint i = 0; i < manifest->units->len; i++) {
		const AshManifestUnit *unit = manifest->units->pdata[i];
		g_string_append_printf(out, "unit: %s%s%s%s", unit->name,
				unit->enable ? " enable" : "", unit->disable ? " disable" : "",
				unit->mask ? " mask" : "");
		put_content(out, unit->content);
		g_string_append_printf(out, " (%s)\n", unit->mark);
		for (guint j = 0; j < unit->dropins->len; j++) {
			const AshManifestDropin *dropin = unit->dropins->pdata[j];
			g_string_append_printf(out, "  drop-in: %s", dropin->name);
			put_content(out, dropin->content);
			g_string_append_printf(out, " (%s)\n", dropin->mark);
		}
	}
	for (guint i = 0; i < manifest->postprocess->len; i++) {
		const AshManifestScript *script = manifest->postprocess->pdata[i];
		g_string_append_printf(out, "script: %s", script->name);
		put_content(out, script->content);
		g_string_append_printf(out, " (%s)\n", script->mark);
	}
}

static char *dump(const AshManifest *manifest)
{
	static const char *const generators[] = {"native", "dracut", "none"};
	GString *out = g_string_new(NULL);

	g_string_append_printf(out, "%s: %s %s arch=%s suite=%s recommends=%s initramfs=%s",
			manifest->kind == ASH_MANIFEST_HOST ? "host" : "workload", manifest->name,
			manifest->version, manifest->arch, manifest->suite,
			manifest->recommends ? "yes" : "no", generators[manifest->initramfs]);
	put(out, "variant", manifest->variant);
	put(out, "hostname", manifest->hostname);
	put(out, "target", manifest->default_target);
	put(out, "summary", manifest->summary);
	g_string_append_c(out, '\n');
	put_repositories(out, manifest);
	put_packages(out, "package", manifest->packages);
	put_packages(out, "exclude", manifest->exclude);
	put_files(out, manifest);
	put_users(out, "user", manifest->users);
	put_users(out, "group", manifest->groups);
	put_units(out, manifest);
	put_list(out, "preset", manifest->presets);
	put_list(out, "kernel-argument", manifest->kernel_arguments);
	put_list(out, "remove-package", manifest->remove_packages);
	put_list(out, "remove-path", manifest->remove_paths);
	put_list(out, "keep", manifest->keep_paths);
	put_list(out, "initramfs-module", manifest->initramfs_modules);
	put_list(out, "kernel-module", manifest->kernel_modules);
	if (manifest->health != NULL) {
		g_autofree char *health = ash_health_spec_format(manifest->health);
		g_string_append_printf(out, "health:\n%s", health);
	}
	/* Directories differ from machine to machine. */
	for (guint i = 0; i < manifest->inputs->len; i++) {
		const char *input = manifest->inputs->pdata[i];
		g_string_append_printf(out, "input: %s\n", input + strlen(manifest->dir) + 1);
	}
	return g_string_free(out, FALSE);
}

static char *run(const char *args)
{
	g_auto(GStrv) words = g_strsplit(args, " ", -1);
	g_autoptr(AshManifest) manifest = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_cmpuint(g_strv_length(words), >=, 3);
	const char *variant = strcmp(words[2], "-") == 0 ? NULL : words[2];
	const char *const *set = words[3] != NULL ? (const char *const *) words + 3 : NULL;
	if (ash_manifest_load(words[0], words[1], variant, set, &manifest, &error))
		return dump(manifest);
	g_assert_error(error, ASH_MANIFEST_ERROR, error->code);
	return g_strconcat(error->message, "\n", NULL);
}

static void test_golden(gconstpointer data)
{
	const char *args_path = data;
	g_autofree char *dir = g_path_get_dirname(args_path);
	g_autofree char *stem = g_strndup(args_path, strlen(args_path) - strlen(".args"));
	g_autofree char *expected_path = g_strconcat(stem, ".expected", NULL);
	g_autofree char *args = NULL;
	g_autofree char *expected = NULL;
	g_autofree char *cwd = g_get_current_dir();
	g_autoptr(GError) error = NULL;

	g_file_get_contents(args_path, &args, NULL, &error);
	g_assert_no_error(error);
	/* Messages begin with the path as given: stand where the manifest is. */
	g_assert_cmpint(g_chdir(dir), ==, 0);
	g_autofree char *got = run(g_strchomp(args));
	g_assert_cmpint(g_chdir(cwd), ==, 0);
	if (g_getenv("ASH_GOLDEN_UPDATE") != NULL) {
		g_file_set_contents(expected_path, got, -1, &error);
		g_assert_no_error(error);
	}
	g_file_get_contents(expected_path, &expected, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(got, ==, expected);
}

static void add_cases(const char *root, const char *name)
{
	g_autofree char *path = g_build_filename(root, name, NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

	for (const char *file; dir != NULL && (file = g_dir_read_name(dir)) != NULL;) {
		if (!g_str_has_suffix(file, ".args"))
			continue;
		g_autofree char *test = g_strdup_printf("/golden/%s/%s", name, file);
		g_test_add_data_func_full(
				test, g_build_filename(path, file, NULL), test_golden, g_free);
	}
}

int main(int argc, char **argv)
{
	const char *top = g_getenv("ASH_ROOT");
	g_autofree char *relative =
			g_build_filename(top != NULL ? top : ".", "tests/golden/manifest", NULL);
	g_autofree char *root = g_canonicalize_filename(relative, NULL);
	g_autoptr(GDir) dir = g_dir_open(root, 0, NULL);

	g_test_init(&argc, &argv, NULL);
	g_assert_nonnull(dir);
	for (const char *name; (name = g_dir_read_name(dir)) != NULL;)
		add_cases(root, name);
	return g_test_run();
}
