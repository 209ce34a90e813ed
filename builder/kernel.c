/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/kernel.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "builder/glob.h"
#include "builder/sandbox.h"
#include "lib/archive.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"

G_DEFINE_QUARK(ash_kernel_error, ash_kernel_error)

enum {
	THREADS = 2,
	MAX_LIST_BYTES = 64 << 20,
};

#define MODULES_DIR "usr/lib/modules"

/* One module of the kernel package. */
typedef struct {
	char *path;          /* "kernel/fs/ext4/ext4.ko.xz" */
	char *plain_path;    /* without ".xz" */
	char *name;          /* "ext4", '-' turned to '_' */
	const AshNode *node; /* borrowed */
	bool is_kept;
	bool is_done;
} Module;

typedef struct {
	AshRepo *repo;
	GHashTable *by_name; /* name → Module, owned by the array */
	GPtrArray *modules;
	AshTree *tree; /* what is made: the directory RELEASE is its root */
	const char *root_dir;
	GMutex lock;
	GPtrArray *queue; /* of Module: kept, not done */
	GError *error;    /* the first */
} Prepare;

static void module_free(Module *module)
{
	g_free(module->path);
	g_free(module->plain_path);
	g_free(module->name);
	g_free(module);
}

gboolean ash_kernel_find_release(const AshTree *tree, char **out_release, GError **error)
{
	const AshNode *dir = ash_tree_find(tree, MODULES_DIR);
	g_autofree char *release = NULL;

	*out_release = NULL;
	if (dir == NULL || dir->kind != ASH_NODE_DIR)
		return TRUE;
	g_autoptr(GPtrArray) names = ash_node_sorted_names(dir);
	for (guint i = 0; i < names->len; i++) {
		const AshNode *child = ash_node_child(dir, names->pdata[i]);
		if (ash_node_child(child, "kernel") == NULL)
			continue;
		if (release != NULL)
			return ash_throw(error, ASH_KERNEL_ERROR, ASH_KERNEL_ERROR_SEVERAL,
					"the packages bring two kernels, %s and %s, expected one (exclude the other's package)",
					release, (const char *) names->pdata[i]);
		release = g_strdup(names->pdata[i]);
	}
	*out_release = g_steal_pointer(&release);
	return TRUE;
}

/* "kernel/fs/ext4/ext4.ko.xz" → "ext4"; NULL for what is no module. */
static char *module_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	const char *end = strstr(base, ".ko");

	if (end == NULL)
		return NULL;
	return g_strdelimit(g_strndup(base, (gsize) (end - base)), "-", '_');
}

static void collect(Prepare *prepare, const AshNode *dir, GString *path)
{
	g_autoptr(GPtrArray) names = ash_node_sorted_names(dir);
	gsize len = path->len;

	for (guint i = 0; i < names->len; i++) {
		const AshNode *child = ash_node_child(dir, names->pdata[i]);
		if (len > 0)
			g_string_append_c(path, '/');
		g_string_append(path, names->pdata[i]);
		char *name = child->kind == ASH_NODE_FILE ? module_name(path->str) : NULL;
		if (child->kind == ASH_NODE_DIR) {
			collect(prepare, child, path);
		} else if (name != NULL) {
			Module *module = g_new0(Module, 1);
			module->path = g_strdup(path->str);
			module->plain_path = g_strndup(path->str,
					(gsize) (strstr(path->str, ".ko") - path->str) + 3);
			module->name = name;
			module->node = child;
			g_ptr_array_add(prepare->modules, module);
			g_hash_table_insert(prepare->by_name, module->name, module);
		}
		g_string_truncate(path, len);
	}
}

static bool matches(const char *pattern, const Module *module)
{
	if (strchr(pattern, '/') != NULL)
		return ash_glob_match(pattern, module->plain_path) ||
		       ash_glob_match(pattern, module->path);
	g_autofree char *name = g_strdelimit(g_strdup(pattern), "-", '_');
	return ash_glob_match(name, module->name);
}

static void keep_module(Prepare *prepare, Module *module)
{
	if (module->is_kept)
		return;
	module->is_kept = true;
	g_ptr_array_add(prepare->queue, module);
}

static gboolean choose(Prepare *prepare, const GPtrArray *keep, GError **error)
{
	for (guint i = 0; i < prepare->modules->len && keep->len == 0; i++)
		keep_module(prepare, prepare->modules->pdata[i]);
	for (guint k = 0; k < keep->len; k++) {
		const char *pattern = keep->pdata[k];
		bool is_used = false;
		for (guint i = 0; i < prepare->modules->len; i++) {
			if (!matches(pattern, prepare->modules->pdata[i]))
				continue;
			is_used = true;
			keep_module(prepare, prepare->modules->pdata[i]);
		}
		/* A name without wildcards may be built in; a pattern that fits nothing is a mistake. */
		if (!is_used && strpbrk(pattern, "*?[/") != NULL)
			return ash_throw(error, ASH_KERNEL_ERROR, ASH_KERNEL_ERROR_PATTERN,
					"kernel-modules: no module of this kernel matches '%s'",
					pattern);
	}
	return TRUE;
}

/* The modules that .modinfo names: "depends=a,b" and "softdep=pre: a b post: c". The entries are
 * strings that end in NUL, so the whole file is searched for them. With the lock held.
 */
static void queue_needed(Prepare *prepare, const char *data, size_t size, const char *key)
{
	const char *end = data + size;
	size_t key_len = strlen(key);

	for (const char *p = data; (p = memmem(p, (size_t) (end - p), key, key_len)) != NULL;) {
		bool is_entry = p > data && p[-1] == '\0';
		p += key_len;
		const char *stop = memchr(p, '\0', (size_t) (end - p));
		if (!is_entry || stop == NULL || stop - p > 4096)
			continue;
		g_auto(GStrv) names = g_strsplit_set(p, ", ", -1);
		for (char **name = names; *name != NULL; name++) {
			g_strdelimit(*name, "-", '_');
			Module *needed = g_hash_table_lookup(prepare->by_name, *name);
			if (needed != NULL)
				keep_module(prepare, needed);
		}
	}
}

static gboolean unpack_module(
		Prepare *prepare, const Module *module, GBytes **out_bytes, GError **error)
{
	ASH_PREFIX("module %s", module->path);
	ash_autofd int fd = -1;
	g_autoptr(GBytes) packed = NULL;

	if (!ash_repo_open_file(prepare->repo, module->node, &fd, error))
		return FALSE;
	g_autofree char *name = g_strdup_printf("/proc/self/fd/%d", fd);
	if (!ash_file_read(AT_FDCWD, name, ASH_KERNEL_MAX_MODULE_BYTES, &packed, error))
		return FALSE;
	if (g_str_has_suffix(module->path, ".ko")) {
		*out_bytes = g_steal_pointer(&packed);
		return TRUE;
	}
	gsize size;
	const void *data = g_bytes_get_data(packed, &size);
	g_autoptr(GError) cause = NULL;
	if (!ash_archive_decompress(data, size, ASH_KERNEL_MAX_MODULE_BYTES, out_bytes, &cause))
		return ash_throw(error, ASH_KERNEL_ERROR, ASH_KERNEL_ERROR_MODULE, "%s",
				cause->message);
	return TRUE;
}

/* Stores a module, and writes it to where depmod will look. */
static gboolean store_module(Prepare *prepare, const Module *module, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(AshNode) node = ash_node_new(ASH_NODE_FILE, 0644);
	g_autofree char *path = g_build_filename(prepare->root_dir, module->plain_path, NULL);
	g_autofree char *dir = g_path_get_dirname(path);

	if (!ash_interrupt_check(error) || !unpack_module(prepare, module, &bytes, error))
		return FALSE;
	gsize size;
	const char *data = g_bytes_get_data(bytes, &size);
	if (!ash_repo_write_file(prepare->repo, node, data, size, error) ||
			!ash_file_ensure_dir(AT_FDCWD, dir, 0755, error))
		return FALSE;
	ash_autofd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	if (!ash_file_write_all(fd, data, size, error))
		return FALSE;
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&prepare->lock);
	queue_needed(prepare, data, size, "depends=");
	queue_needed(prepare, data, size, "softdep=");
	return ash_tree_insert(prepare->tree, module->plain_path, g_steal_pointer(&node), error);
}

static gpointer work(gpointer data)
{
	Prepare *prepare = data;

	for (;;) {
		g_autoptr(GError) error = NULL;
		g_mutex_lock(&prepare->lock);
		Module *module = prepare->error != NULL || prepare->queue->len == 0
						 ? NULL
						 : g_ptr_array_steal_index(prepare->queue,
								   prepare->queue->len - 1);
		g_mutex_unlock(&prepare->lock);
		if (module == NULL)
			return NULL;
		if (store_module(prepare, module, &error))
			continue;
		g_mutex_lock(&prepare->lock);
		if (prepare->error == NULL)
			prepare->error = g_steal_pointer(&error);
		g_mutex_unlock(&prepare->lock);
	}
}

/* A thread that finds the queue empty ends, while the other may still add to it: the last one does
 * the rest, at worst alone.
 */
static gboolean store_modules(Prepare *prepare, GError **error)
{
	GThread *threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		threads[i] = g_thread_new("modules", work, prepare);
	for (int i = 0; i < THREADS; i++)
		g_thread_join(threads[i]);
	work(prepare);
	if (prepare->error == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&prepare->error));
	return FALSE;
}

/* Lists that depmod reads: modules.order, modules.builtin, modules.builtin.modinfo. */
static gboolean copy_lists(Prepare *prepare, const AshNode *modules, GError **error)
{
	static const char *const lists[] = {
			"modules.order", "modules.builtin", "modules.builtin.modinfo", NULL};

	for (const char *const *list = lists; *list != NULL; list++) {
		const AshNode *node = ash_node_child(modules, *list);
		ash_autofd int from = -1;
		if (node == NULL || node->kind != ASH_NODE_FILE)
			continue;
		g_autofree char *path = g_build_filename(prepare->root_dir, *list, NULL);
		if (!ash_repo_open_file(prepare->repo, node, &from, error))
			return FALSE;
		ash_autofd int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (to < 0)
			return ash_throw_errno(error, "%s", path);
		if (!ash_file_copy_fd(from, to, error) ||
				!ash_tree_insert(prepare->tree, *list, ash_node_copy(node), error))
			return FALSE;
	}
	return TRUE;
}

/* Takes the modules.* files that depmod made. */
static gboolean take_lists(Prepare *prepare, GError **error)
{
	g_autoptr(AshDir) dir = opendir(prepare->root_dir);

	if (dir == NULL)
		return ash_throw_errno(error, "%s", prepare->root_dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (!g_str_has_prefix(entry->d_name, "modules."))
			continue;
		g_autoptr(AshNode) node = ash_node_new(ASH_NODE_FILE, 0644);
		ash_autofd int fd = openat(
				dirfd(dir), entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return ash_throw_errno(error, "%s", entry->d_name);
		if (!ash_repo_write_file_fd(prepare->repo, node, fd, error) ||
				!ash_tree_insert(prepare->tree, entry->d_name,
						g_steal_pointer(&node), error))
			return FALSE;
	}
	return TRUE;
}

static gboolean run_depmod(
		const char *release, const char *checkout, const char *scratch, GError **error)
{
	ASH_PREFIX("listing the kernel's modules");
	const char *const argv[] = {"/usr/sbin/depmod", "-b", "/ashlar-kernel", release, NULL};
	g_autofree char *outside = g_build_filename(scratch, "kernel", NULL);
	g_autofree char *bind = g_strconcat(outside, ":/ashlar-kernel", NULL);
	g_autofree char *lib = g_build_filename(outside, "lib", NULL);
	AshSandbox sandbox = {
			.lower = checkout, .scratch = scratch, .argv = argv, .writable_bind = bind};

	if (symlink("usr/lib", lib) < 0)
		return ash_throw_errno(error, "%s", lib);
	return ash_sandbox_run(&sandbox, NULL, error);
}

gboolean ash_kernel_prepare(AshRepo *repo, const AshNode *modules, const char *release,
		const GPtrArray *keep, const char *checkout, const char *scratch,
		AshNode **out_modules, GError **error)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify) module_free);
	g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) queue = g_ptr_array_new();
	g_autoptr(AshTree) tree = ash_tree_new();
	g_autoptr(GString) path = g_string_new("");
	g_autofree char *root_dir = g_build_filename(scratch, "kernel", MODULES_DIR, release, NULL);
	Prepare prepare = {.repo = repo,
			.by_name = by_name,
			.modules = list,
			.tree = tree,
			.root_dir = root_dir,
			.queue = queue};

	if (!ash_file_ensure_dir(AT_FDCWD, root_dir, 0755, error))
		return FALSE;
	collect(&prepare, modules, path);
	g_mutex_init(&prepare.lock);
	gboolean ok = choose(&prepare, keep, error) && store_modules(&prepare, error);
	g_clear_error(&prepare.error);
	g_mutex_clear(&prepare.lock);
	if (!ok || !copy_lists(&prepare, modules, error) ||
			!run_depmod(release, checkout, scratch, error) ||
			!take_lists(&prepare, error))
		return FALSE;
	*out_modules = g_steal_pointer(&tree->root);
	return TRUE;
}
