/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/stat.h>

#include "builder/manifest-load.h"

/* The items of a manifest's lists: their keys, and what is checked across keys. */

enum {
	MAX_PRIORITY = 1000000,
	MAX_ID = 4294967294, /* 2^32 - 1 means "no id" to the kernel */
};

/* ---- shared -------------------------------------------------------------------------------------- */

gboolean ash_manifest_take_content(AshManifestLoader *loader, const AshYamlNode *node,
		const char *noun, GBytes **out_content, bool *out_is_executable, GError **error)
{
	const AshYamlNode *content = ash_yaml_get(node, "content");
	const AshYamlNode *source = ash_yaml_get(node, "source");

	if (content != NULL && source != NULL)
		return ash_manifest_throw(source, error, ASH_MANIFEST_ERROR_VALUE,
				"a %s has either 'content' or 'source', not both", noun);
	*out_is_executable = false;
	if (source != NULL)
		return ash_manifest_read_source(
				loader, source, out_content, out_is_executable, error);
	if (content != NULL)
		*out_content = g_bytes_new_take(g_strdup(content->scalar), strlen(content->scalar));
	return TRUE;
}

/* ---- packages, debs ------------------------------------------------------------------------------ */

void ash_manifest_package_free(gpointer data)
{
	AshManifestPackage *package = data;

	if (package == NULL)
		return;
	g_free(package->name);
	g_free(package->relation);
	g_free(package->version);
	g_free(package);
}

/* The text is of ASH_FORM_PACKAGE, of which a mere name is one case. */
gpointer ash_manifest_make_package(
		AshManifestLoader *loader, const AshYamlNode *node, GError **error)
{
	g_auto(GStrv) fields = ash_form_split(ASH_FORM_PACKAGE, node->scalar);
	AshManifestPackage *package = g_new0(AshManifestPackage, 1);

	/* 1 name, 2 and 3 "=version", 4 and 5 "(relation version)"; unused ones are "" or absent. */
	guint n = g_strv_length(fields);
	guint at = n > 5 ? 4 : 2;
	package->mark = ash_manifest_mark(node);
	package->name = g_strdup(fields[1]);
	if (n > 3) {
		package->relation = g_strdup(fields[at]);
		package->version = g_strdup(fields[at + 1]);
	}
	return package;
}

gpointer ash_manifest_make_deb(AshManifestLoader *loader, const AshYamlNode *node, GError **error)
{
	if (!g_str_has_suffix(node->scalar, ".deb")) {
		ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_VALUE, "'%s' is not a .deb file",
				node->scalar);
		return NULL;
	}
	g_autofree char *path = ash_manifest_resolve(node, node->scalar);
	struct stat st;
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode)) {
		ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_VALUE, "there is no file '%s'",
				node->scalar);
		return NULL;
	}
	g_ptr_array_add(loader->manifest->inputs, g_strdup(path));
	return g_steal_pointer(&path);
}

/* ---- repositories -------------------------------------------------------------------------------- */

#define IN(field) .offset = offsetof(AshManifestRepository, field)
static const AshSchemaKey repository_keys[] = {
		{.name = "name",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_DEFAULT_IS_WORDS,
				.form = ASH_FORM_NAME,
				IN(id),
				.default_text = "repo1, repo2, …",
				.doc = "Names the repository in the lock and in pins.",
				.example = "name: extra"},
		{.name = "uri",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_URI,
				IN(uri),
				.doc = "Where the repository is: what stands before 'dists' or, for a "
				       "flat one, before the suite.",
				.example = "uri: file:///srv/debian"},
		{.name = "path",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_LOCAL_PATH,
				IN(path),
				.doc = "Instead of 'uri': a directory of .deb files without an index, "
				       "relative to this manifest. No signature is asked for.",
				.example = "path: ./debs"},
		{.name = "suites",
				.type = ASH_SCHEMA_WORDS,
				.flags = ASH_SCHEMA_DEFAULT_IS_WORDS,
				.form = ASH_FORM_REPOSITORY_SUITE,
				IN(suites),
				.default_text = "the manifest's suite",
				.doc = "The suites to use. One that ends in '/' is the directory of a "
				       "flat repository, \"./\" the repository itself.",
				.example = "suites: [trixie, trixie-backports]"},
		{.name = "components",
				.type = ASH_SCHEMA_WORDS,
				.flags = ASH_SCHEMA_DEFAULT_IS_WORDS,
				.form = ASH_FORM_COMPONENT,
				IN(components),
				.default_text = "[main]",
				.doc = "The components to use.",
				.example = "components: [main, contrib]"},
		{.name = "keyring",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_DEFAULT_IS_WORDS,
				.form = ASH_FORM_LOCAL_PATH,
				IN(keyring),
				.default_text = "Debian's own",
				.doc = "The OpenPGP keys that may sign the repository, relative to this "
				       "manifest.",
				.example = "keyring: keys/extra.gpg"},
		{.name = "trusted",
				.type = ASH_SCHEMA_BOOL,
				IN(is_trusted),
				.default_text = "false",
				.doc = "Asks for no signature. For repositories on this machine.",
				.example = "trusted: true"},
		{.name = "priority",
				.type = ASH_SCHEMA_NUMBER,
				.max = MAX_PRIORITY,
				IN(priority),
				.default_text = "500",
				.doc = "A package comes from the repository with the largest priority "
				       "that has it, whatever the versions.",
				.example = "priority: 600"},
		{0},
};
#undef IN

static void repository_free(gpointer data)
{
	AshManifestRepository *repository = data;

	g_free(repository->id);
	g_free(repository->uri);
	g_free(repository->path);
	g_strfreev(repository->suites);
	g_strfreev(repository->components);
	g_free(repository->keyring);
	g_free(repository);
}

static gboolean check_flat(
		AshManifestRepository *repository, const AshYamlNode *node, GError **error)
{
	for (char **suite = repository->suites; suite != NULL && *suite != NULL; suite++)
		repository->is_flat = repository->is_flat || g_str_has_suffix(*suite, "/");
	if (!repository->is_flat)
		return TRUE;
	if (repository->suites[1] != NULL)
		return ash_manifest_throw(ash_yaml_get(node, "suites"), error,
				ASH_MANIFEST_ERROR_VALUE,
				"a flat repository (a suite that ends in '/') has one suite only");
	if (repository->components != NULL)
		return ash_manifest_throw(ash_yaml_get(node, "components"), error,
				ASH_MANIFEST_ERROR_VALUE,
				"a flat repository (a suite that ends in '/') has no components");
	if (strcmp(repository->suites[0], "./") == 0)
		g_clear_pointer(&repository->suites[0], g_free);
	repository->components = g_new0(char *, 1);
	return TRUE;
}

static gboolean check_directory(
		AshManifestRepository *repository, const AshYamlNode *node, GError **error)
{
	static const char *const forbidden[] = {"suites", "components", "keyring"};
	const AshYamlNode *path = ash_yaml_get(node, "path");

	for (size_t i = 0; i < G_N_ELEMENTS(forbidden); i++) {
		const AshYamlNode *value = ash_yaml_get(node, forbidden[i]);
		if (value != NULL)
			return ash_manifest_throw(value, error, ASH_MANIFEST_ERROR_VALUE,
					"a directory of .deb files ('path') has no '%s'",
					forbidden[i]);
	}
	g_autofree char *resolved = ash_manifest_resolve(path, repository->path);
	if (!g_file_test(resolved, G_FILE_TEST_IS_DIR))
		return ash_manifest_throw(path, error, ASH_MANIFEST_ERROR_VALUE,
				"there is no directory '%s'", repository->path);
	g_free(repository->path);
	repository->path = g_steal_pointer(&resolved);
	repository->suites = g_new0(char *, 1);
	repository->components = g_new0(char *, 1);
	return TRUE;
}

static gboolean finish_repository(
		AshManifestLoader *loader, const AshYamlNode *node, gpointer item, GError **error)
{
	AshManifestRepository *repository = item;

	if (repository->uri != NULL && repository->path != NULL)
		return ash_manifest_throw(ash_yaml_get(node, "path"), error,
				ASH_MANIFEST_ERROR_VALUE,
				"a repository has either 'uri' or 'path', not both");
	if (repository->uri == NULL && repository->path == NULL)
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_MISSING,
				"a repository needs 'uri' or 'path'");
	if (repository->path != NULL)
		return check_directory(repository, node, error);
	if (repository->keyring != NULL) {
		const AshYamlNode *keyring = ash_yaml_get(node, "keyring");
		g_autofree char *resolved = ash_manifest_resolve(keyring, repository->keyring);
		if (!g_file_test(resolved, G_FILE_TEST_IS_REGULAR))
			return ash_manifest_throw(keyring, error, ASH_MANIFEST_ERROR_VALUE,
					"there is no file '%s'", repository->keyring);
		g_free(repository->keyring);
		repository->keyring = g_steal_pointer(&resolved);
		g_ptr_array_add(loader->manifest->inputs, g_strdup(repository->keyring));
	}
	return check_flat(repository, node, error);
}

const AshSchemaObject ash_manifest_object_repository = {
		.noun = "repository",
		.size = sizeof(AshManifestRepository),
		.keys = repository_keys,
		.free = repository_free,
		.finish = finish_repository,
		.identity = offsetof(AshManifestRepository, id),
};

/* ---- pins ---------------------------------------------------------------------------------------- */

#define IN(field) .offset = offsetof(AshManifestPin, field)
static const AshSchemaKey pin_keys[] = {
		{.name = "package",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_REQUIRED,
				.form = ASH_FORM_PACKAGE_GLOB,
				IN(package),
				.doc = "The package, or a glob of packages.",
				.example = "package: \"nginx*\""},
		{.name = "version",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_VERSION_GLOB,
				IN(version),
				.doc = "The only version that may be installed, or a glob of versions.",
				.example = "version: \"1.26.*\""},
		{.name = "suite",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_NAME,
				IN(suite),
				.doc = "The only suite, or name of a repository, that it may come from.",
				.example = "suite: trixie-backports"},
		{0},
};
#undef IN

static void pin_free(gpointer data)
{
	AshManifestPin *pin = data;

	g_free(pin->package);
	g_free(pin->version);
	g_free(pin->suite);
	g_free(pin);
}

static gboolean finish_pin(
		AshManifestLoader *loader, const AshYamlNode *node, gpointer item, GError **error)
{
	const AshManifestPin *pin = item;

	if (pin->version == NULL && pin->suite == NULL)
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_MISSING,
				"a pin needs 'version' or 'suite'");
	return TRUE;
}

const AshSchemaObject ash_manifest_object_pin = {
		.noun = "pin",
		.size = sizeof(AshManifestPin),
		.keys = pin_keys,
		.free = pin_free,
		.finish = finish_pin,
		.identity = -1,
};

/* ---- files --------------------------------------------------------------------------------------- */

#define IN(field) .offset = offsetof(AshManifestFile, field)
static const AshSchemaKey file_keys[] = {
		{.name = "path",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_REQUIRED,
				.form = ASH_FORM_PATH,
				IN(path),
				.doc = "Where it goes.",
				.example = "path: /etc/motd"},
		ASH_MANIFEST_CONTENT_KEYS("file"),
		{.name = "link",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_LINK_TARGET,
				IN(target),
				.doc = "Makes a symbolic link that points here.",
				.example = "link: ../usr/lib/os-release"},
		{.name = "directory",
				.type = ASH_SCHEMA_BOOL,
				.flags = ASH_SCHEMA_NOT_STORED,
				.default_text = "false",
				.doc = "Makes a directory.",
				.example = "directory: true"},
		{.name = "mode",
				.type = ASH_SCHEMA_MODE,
				.flags = ASH_SCHEMA_DEFAULT_IS_WORDS,
				.form = ASH_FORM_MODE,
				IN(mode),
				.default_text = "0644; 0755 for directories and when 'source' is "
						"executable",
				.doc = "Permissions, in octal. Alone with 'path', it changes those of "
				       "what a package brings there.",
				.example = "mode: 0755"},
		{.name = "user",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_OWNER,
				IN(user),
				.default_text = "root",
				.doc = "The owner, by name or number.",
				.example = "user: app"},
		{.name = "group",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_OWNER,
				IN(group),
				.default_text = "root",
				.doc = "The group, by name or number.",
				.example = "group: adm"},
		{0},
};
#undef IN

static void file_free(gpointer data)
{
	AshManifestFile *file = data;

	g_free(file->path);
	g_clear_pointer(&file->content, g_bytes_unref);
	g_free(file->target);
	g_free(file->user);
	g_free(file->group);
	g_free(file);
}

static gboolean finish_file(
		AshManifestLoader *loader, const AshYamlNode *node, gpointer item, GError **error)
{
	AshManifestFile *file = item;
	const AshYamlNode *directory = ash_yaml_get(node, "directory");
	const AshYamlNode *mode = ash_yaml_get(node, "mode");
	bool is_directory = directory != NULL && strcmp(directory->scalar, "true") == 0;
	bool is_executable;

	if (!ash_manifest_take_content(loader, node, "file", &file->content, &is_executable, error))
		return FALSE;
	int n_kinds = (file->content != NULL) + (file->target != NULL) + is_directory;
	if (n_kinds == 0 && mode == NULL)
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_MISSING,
				"a file needs 'content', 'source', 'link', 'directory: true' or 'mode'");
	if (n_kinds == 0 &&
			(ash_yaml_get(node, "user") != NULL || ash_yaml_get(node, "group") != NULL))
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_VALUE,
				"only the mode of a package's file can be changed, not its owner");
	if (n_kinds > 1)
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_VALUE,
				"a file has only one of 'content', 'source', 'link' and 'directory'");
	if (file->target != NULL && mode != NULL)
		return ash_manifest_throw(mode, error, ASH_MANIFEST_ERROR_VALUE,
				"a symbolic link has no mode");
	file->kind = n_kinds == 0           ? ASH_MANIFEST_FILE_MODE
		     : is_directory         ? ASH_MANIFEST_FILE_DIRECTORY
		     : file->target != NULL ? ASH_MANIFEST_FILE_LINK
					    : ASH_MANIFEST_FILE_REGULAR;
	if (file->kind == ASH_MANIFEST_FILE_LINK)
		file->mode = 0777;
	else if (mode == NULL)
		file->mode = is_directory || is_executable ? 0755 : 0644;
	return TRUE;
}

const AshSchemaObject ash_manifest_object_file = {
		.noun = "file",
		.size = sizeof(AshManifestFile),
		.keys = file_keys,
		.free = file_free,
		.finish = finish_file,
		.identity = offsetof(AshManifestFile, path),
};

/* ---- users, groups ------------------------------------------------------------------------------- */

#define IN(field) .offset = offsetof(AshManifestUser, field)
static const AshSchemaKey user_keys[] = {
		{.name = "name",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_REQUIRED,
				.form = ASH_FORM_USER,
				IN(name),
				.doc = "The user's name. A group of that name and number is made too.",
				.example = "name: app"},
		{.name = "uid",
				.type = ASH_SCHEMA_ID,
				.flags = ASH_SCHEMA_DEFAULT_IS_WORDS,
				.max = MAX_ID,
				IN(id),
				.default_text = "a free one below 1000",
				.doc = "The user's number.",
				.example = "uid: 990"},
		{.name = "summary",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_GECOS,
				IN(gecos),
				.doc = "What the user is for.",
				.example = "summary: Runs the web server"},
		{.name = "home",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_DEFAULT_IS_WORDS,
				.form = ASH_FORM_PATH,
				IN(home),
				.default_text = "/",
				.doc = "The home directory. It is not made.",
				.example = "home: /var/lib/app"},
		{.name = "shell",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_DEFAULT_IS_WORDS,
				.form = ASH_FORM_PATH,
				IN(shell),
				.default_text = "/usr/sbin/nologin",
				.doc = "The login shell.",
				.example = "shell: /bin/sh"},
		{.name = "groups",
				.type = ASH_SCHEMA_WORDS,
				.form = ASH_FORM_USER,
				IN(groups),
				.doc = "More groups that the user belongs to.",
				.example = "groups: [systemd-journal]"},
		{0},
};

static const AshSchemaKey group_keys[] = {
		{.name = "name",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_REQUIRED,
				.form = ASH_FORM_USER,
				IN(name),
				.doc = "The group's name.",
				.example = "name: app"},
		{.name = "gid",
				.type = ASH_SCHEMA_ID,
				.flags = ASH_SCHEMA_DEFAULT_IS_WORDS,
				.max = MAX_ID,
				IN(id),
				.default_text = "a free one below 1000",
				.doc = "The group's number.",
				.example = "gid: 990"},
		{0},
};
#undef IN

static void user_free(gpointer data)
{
	AshManifestUser *user = data;

	g_free(user->name);
	g_free(user->gecos);
	g_free(user->home);
	g_free(user->shell);
	g_strfreev(user->groups);
	g_free(user);
}

static gboolean finish_user(
		AshManifestLoader *loader, const AshYamlNode *node, gpointer item, GError **error)
{
	AshManifestUser *user = item;
	const AshYamlNode *id = ash_yaml_get(node, "uid");

	if (id == NULL)
		id = ash_yaml_get(node, "gid");
	if (id == NULL)
		user->id = -1;
	else if (user->id == 0 && strcmp(user->name, "root") != 0)
		return ash_manifest_throw(id, error, ASH_MANIFEST_ERROR_VALUE,
				"number 0 is root's, '%s' needs another", user->name);
	else if (user->id == 65535)
		return ash_manifest_throw(
				id, error, ASH_MANIFEST_ERROR_VALUE, "number 65535 is reserved");
	return TRUE;
}

const AshSchemaObject ash_manifest_object_user = {
		.noun = "user",
		.size = sizeof(AshManifestUser),
		.keys = user_keys,
		.free = user_free,
		.finish = finish_user,
		.identity = offsetof(AshManifestUser, name),
};

const AshSchemaObject ash_manifest_object_group = {
		.noun = "group",
		.size = sizeof(AshManifestUser),
		.keys = group_keys,
		.free = user_free,
		.finish = finish_user,
		.identity = offsetof(AshManifestUser, name),
};
