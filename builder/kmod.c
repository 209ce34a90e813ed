/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/kmod.h"

#include <stdint.h>
#include <string.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_kmod_error, ash_kmod_error)

enum {
	/* Soft dependencies may name each other; hard ones cannot. */
	MAX_SOFTDEP_DEPTH = 8,
};

typedef struct {
	char *pattern;
	char *module; /* with '_' */
} Alias;

struct AshKmod {
	GHashTable *by_name;  /* name → AshKmodModule, owned */
	GHashTable *by_path;  /* path → AshKmodModule, borrowed */
	GHashTable *builtin;  /* set of names */
	GHashTable *softdeps; /* name → GPtrArray of names or aliases, "pre" and "post" alike */
	GPtrArray *aliases;   /* of Alias, in the order of the file */
};

typedef void (*ParseLine)(AshKmod *kmod, char *line);

static void module_free(AshKmodModule *module)
{
	g_free(module->name);
	g_free(module->path);
	g_ptr_array_unref(module->deps);
	g_free(module);
}

static void alias_free(Alias *alias)
{
	g_free(alias->pattern);
	g_free(alias->module);
	g_free(alias);
}

static AshKmod *kmod_new(void)
{
	AshKmod *kmod = g_new0(AshKmod, 1);

	kmod->by_name = g_hash_table_new_full(
			g_str_hash, g_str_equal, NULL, (GDestroyNotify) module_free);
	kmod->by_path = g_hash_table_new(g_str_hash, g_str_equal);
	kmod->builtin = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	kmod->softdeps = g_hash_table_new_full(
			g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
	kmod->aliases = g_ptr_array_new_with_free_func((GDestroyNotify) alias_free);
	return kmod;
}

void ash_kmod_free(AshKmod *kmod)
{
	if (kmod == NULL)
		return;
	g_hash_table_unref(kmod->by_path);
	g_hash_table_unref(kmod->by_name);
	g_hash_table_unref(kmod->builtin);
	g_hash_table_unref(kmod->softdeps);
	g_ptr_array_unref(kmod->aliases);
	g_free(kmod);
}

char *ash_kmod_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = g_strdup(slash != NULL ? slash + 1 : path);
	char *suffix = strstr(name, ".ko");

	if (suffix != NULL)
		*suffix = '\0';
	return g_strdelimit(name, "-", '_');
}

/* "PATH: PATH PATH…" */
static void parse_dep(AshKmod *kmod, char *line)
{
	char *colon = strchr(line, ':');

	if (colon == NULL || colon == line || g_hash_table_size(kmod->by_name) == G_MAXUINT)
		return;
	*colon = '\0';
	g_autofree char *name = ash_kmod_name(line);
	if (name[0] == '\0' || g_hash_table_contains(kmod->by_name, name))
		return;

	AshKmodModule *module = g_new0(AshKmodModule, 1);
	module->name = g_steal_pointer(&name);
	module->path = g_strdup(line);
	module->deps = g_ptr_array_new_with_free_func(g_free);
	g_auto(GStrv) deps = g_strsplit(colon + 1, " ", -1);
	for (size_t i = 0; deps[i] != NULL; i++)
		if (deps[i][0] != '\0')
			g_ptr_array_add(module->deps, g_strdup(deps[i]));
	g_hash_table_insert(kmod->by_name, module->name, module);
	g_hash_table_insert(kmod->by_path, module->path, module);
}

/* "alias PATTERN MODULE" */
static void parse_alias(AshKmod *kmod, char *line)
{
	g_auto(GStrv) words = g_strsplit(line, " ", 3);

	if (g_strv_length(words) != 3 || strcmp(words[0], "alias") != 0 || words[2][0] == '\0')
		return;
	Alias *alias = g_new0(Alias, 1);
	alias->pattern = g_strdup(words[1]);
	alias->module = g_strdelimit(g_strdup(words[2]), "-", '_');
	g_ptr_array_add(kmod->aliases, alias);
}

static void parse_builtin(AshKmod *kmod, char *line)
{
	if (line[0] != '\0')
		g_hash_table_add(kmod->builtin, ash_kmod_name(line));
}

/* "softdep MODULE pre: A B post: C"; without a keyword kmod takes them for nothing, and so do we. */
static void parse_softdep(AshKmod *kmod, char *line)
{
	g_auto(GStrv) words = g_strsplit(line, " ", -1);
	bool is_dep = false;

	if (g_strv_length(words) < 3 || strcmp(words[0], "softdep") != 0)
		return;
	g_autofree char *name = g_strdelimit(g_strdup(words[1]), "-", '_');
	GPtrArray *deps = g_hash_table_lookup(kmod->softdeps, name);
	if (deps == NULL) {
		deps = g_ptr_array_new_with_free_func(g_free);
		g_hash_table_insert(kmod->softdeps, g_steal_pointer(&name), deps);
	}
	for (size_t i = 2; words[i] != NULL; i++) {
		if (strcmp(words[i], "pre:") == 0 || strcmp(words[i], "post:") == 0)
			is_dep = true;
		else if (is_dep && words[i][0] != '\0')
			g_ptr_array_add(deps, g_strdup(words[i]));
	}
}

static gboolean parse_lines(
		AshKmod *kmod, const char *what, GBytes *bytes, ParseLine parse, GError **error)
{
	gsize size = 0;
	const char *text = bytes != NULL ? g_bytes_get_data(bytes, &size) : NULL;
	unsigned n_lines = 0;

	while (size > 0) {
		const char *newline = memchr(text, '\n', size);
		gsize length = newline != NULL ? (gsize) (newline - text) : size;
		gsize step = newline != NULL ? length + 1 : length;
		if (++n_lines > ASH_KMOD_MAX_LINES)
			return ash_throw(error, ASH_KMOD_ERROR, ASH_KMOD_ERROR_TOO_MANY,
					"modules.%s has more than %d lines", what,
					ASH_KMOD_MAX_LINES);
		g_autofree char *line = g_strndup(text, length);
		if (line[0] != '#')
			parse(kmod, line);
		text += step;
		size -= step;
	}
	return TRUE;
}

gboolean ash_kmod_parse(GBytes *dep, GBytes *alias, GBytes *builtin, GBytes *softdep,
		AshKmod **out_kmod, GError **error)
{
	g_autoptr(AshKmod) kmod = kmod_new();

	if (!parse_lines(kmod, "dep", dep, parse_dep, error) ||
			!parse_lines(kmod, "alias", alias, parse_alias, error) ||
			!parse_lines(kmod, "builtin", builtin, parse_builtin, error) ||
			!parse_lines(kmod, "softdep", softdep, parse_softdep, error))
		return FALSE;
	*out_kmod = g_steal_pointer(&kmod);
	return TRUE;
}

const AshKmodModule *ash_kmod_find(const AshKmod *kmod, const char *name)
{
	g_autofree char *plain = g_strdelimit(g_strdup(name), "-", '_');
	return g_hash_table_lookup(kmod->by_name, plain);
}

const AshKmodModule *ash_kmod_find_path(const AshKmod *kmod, const char *path)
{
	return g_hash_table_lookup(kmod->by_path, path);
}

bool ash_kmod_is_builtin(const AshKmod *kmod, const char *name)
{
	g_autofree char *plain = g_strdelimit(g_strdup(name), "-", '_');
	return g_hash_table_contains(kmod->builtin, plain);
}

const GPtrArray *ash_kmod_softdeps(const AshKmod *kmod, const char *name)
{
	g_autofree char *plain = g_strdelimit(g_strdup(name), "-", '_');
	return g_hash_table_lookup(kmod->softdeps, plain);
}

static void add_module(GPtrArray *modules, const AshKmodModule *module)
{
	/* The array only borrows; GPtrArray has no const. */
	gpointer pointer = (gpointer) (uintptr_t) module;

	if (!g_ptr_array_find(modules, pointer, NULL))
		g_ptr_array_add(modules, pointer);
}

static bool add_closure(const AshKmod *kmod, const char *name, GPtrArray *modules, unsigned depth);

static void add_with_softdeps(const AshKmod *kmod, const AshKmodModule *module, GPtrArray *modules,
		unsigned depth)
{
	const GPtrArray *softdeps = ash_kmod_softdeps(kmod, module->name);

	for (guint i = 0; softdeps != NULL && depth < MAX_SOFTDEP_DEPTH && i < softdeps->len; i++)
		add_closure(kmod, g_ptr_array_index(softdeps, i), modules, depth + 1);
	add_module(modules, module);
}

static void add_with_deps(const AshKmod *kmod, const AshKmodModule *module, GPtrArray *modules,
		unsigned depth)
{
	for (guint i = module->deps->len; i > 0; i--) {
		const AshKmodModule *dep =
				ash_kmod_find_path(kmod, g_ptr_array_index(module->deps, i - 1));
		if (dep != NULL)
			add_with_softdeps(kmod, dep, modules, depth);
	}
	add_with_softdeps(kmod, module, modules, depth);
}

static bool add_closure(const AshKmod *kmod, const char *name, GPtrArray *modules, unsigned depth)
{
	const AshKmodModule *module = ash_kmod_find(kmod, name);
	bool found = module != NULL;

	if (module != NULL)
		add_with_deps(kmod, module, modules, depth);
	for (guint i = 0; module == NULL && i < kmod->aliases->len; i++) {
		const Alias *alias = g_ptr_array_index(kmod->aliases, i);
		if (strcmp(alias->pattern, name) != 0)
			continue;
		const AshKmodModule *target = g_hash_table_lookup(kmod->by_name, alias->module);
		if (target != NULL)
			add_with_deps(kmod, target, modules, depth);
		found = found || target != NULL;
	}
	return found;
}

bool ash_kmod_closure(const AshKmod *kmod, const char *name, GPtrArray *modules)
{
	return add_closure(kmod, name, modules, 0);
}

void ash_kmod_each_alias(const AshKmod *kmod, AshKmodVisitAlias visit, gpointer data)
{
	for (guint i = 0; i < kmod->aliases->len; i++) {
		const Alias *alias = g_ptr_array_index(kmod->aliases, i);
		visit(alias->pattern, alias->module, data);
	}
}

static int compare_names(gconstpointer a, gconstpointer b, gpointer unused)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

const char **ash_kmod_names(const AshKmod *kmod)
{
	guint n = 0;
	const char **names = g_new0(const char *, g_hash_table_size(kmod->by_name) + 1);
	GHashTableIter iter;
	gpointer name = NULL;

	g_hash_table_iter_init(&iter, kmod->by_name);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		names[n++] = name;
	g_qsort_with_data(names, (int) n, sizeof names[0], compare_names, NULL);
	return names;
}
