/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/deploy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot-kernel.h"
#include "agent/clean.h"
#include "agent/deployment.h"
#include "agent/esp.h"
#include "agent/etc.h"
#include "agent/fault.h"
#include "agent/import.h"
#include "agent/plan.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

static const char *const boot_files[] = {"vmlinuz", "initramfs.img"};

static gboolean get_commit(JsonObject *input, const char **out_commit, GError **error)
{
	if (!ash_json_text(input, "commit", out_commit, error))
		return FALSE;
	if (!ash_deployment_is_commit(*out_commit))
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE,
				"'commit' is not 64 hexadecimal digits");
	return TRUE;
}

static gboolean sync_root(const AshWorker *worker, GError **error)
{
	if (syncfs(worker->sysroot_fd) < 0)
		return ash_throw_errno(error, "syncing the root");
	return TRUE;
}

static bool is_of(const AshBootEntry *entry, const char *commit)
{
	return g_strcmp0(entry->commit, commit) == 0;
}

static uint32_t next_generation(const GPtrArray *entries)
{
	uint32_t highest = 0;

	for (guint i = 0; i < entries->len; i++)
		highest = MAX(highest, ((const AshBootEntry *) entries->pdata[i])->generation);
	return highest + 1;
}

/* ---- kernel and initramfs -------------------------------------------------------------------- */

/* Opens the deployment's own copy and hashes it. */
static gboolean open_boot_file(const AshWorker *worker, const char *tree, const char *release,
		const char *file, int *out_fd, char **out_hex, GError **error)
{
	g_autofree char *path = g_strdup_printf("%s/usr/lib/modules/%s/%s", tree, release, file);
	uint64_t size;
	ash_autofd int fd = openat(worker->sysroot_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (*release == '\0' || *release == '.' || strchr(release, '/') != NULL)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_FAILED,
				"the commit names no kernel: it is not a host's");
	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	if (!ash_sha256_fd(fd, out_hex, &size, error))
		return FALSE;
	*out_fd = g_steal_fd(&fd);
	return TRUE;
}

static gboolean check_kernel(int fd, const char *release, GError **error)
{
	guint8 head[ASH_BOOT_KERNEL_HEAD_BYTES];
	struct stat st;
	ssize_t n = pread(fd, head, sizeof head, 0);

	ASH_PREFIX("the kernel %s", release);
	if (n < 0 || fstat(fd, &st) < 0)
		return ash_throw_errno(error, "reading it");
	return ash_boot_kernel_check(head, (gsize) n, (uint64_t) st.st_size, error);
}

static gboolean put_boot_files(const AshWorker *worker, const char *tree, const char *commit,
		const char *release, GError **error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(boot_files); i++) {
		g_autofree char *path = ash_deployment_esp_path(commit, boot_files[i]);
		g_autofree char *hex = NULL;
		ash_autofd int fd = -1;
		if (!open_boot_file(worker, tree, release, boot_files[i], &fd, &hex, error) ||
				(i == 0 && !check_kernel(fd, release, error)) ||
				!ash_esp_put(worker->esp_fd, path, fd, hex, error))
			return FALSE;
		ash_worker_progress("boot", i + 1, G_N_ELEMENTS(boot_files));
	}
	return TRUE;
}

/* A question: has the ESP what the tree has? */
static gboolean has_boot_files(const AshWorker *worker, const char *tree, const char *commit,
		const char *release, bool *out_has, GError **error)
{
	*out_has = true;
	for (size_t i = 0; i < G_N_ELEMENTS(boot_files) && *out_has; i++) {
		g_autofree char *path = ash_deployment_esp_path(commit, boot_files[i]);
		g_autofree char *hex = NULL;
		ash_autofd int fd = -1;
		if (!open_boot_file(worker, tree, release, boot_files[i], &fd, &hex, error) ||
				!ash_esp_matches(worker->esp_fd, path, hex, out_has, error))
			return FALSE;
	}
	return TRUE;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* The entry for a deployment, from one that boots this machine now. */
static AshBootEntry *make_entry(const AshBootEntry *base, const AshOstreeInfo *base_info,
		const AshOstreeInfo *info, const char *commit, unsigned serial, uint32_t generation)
{
	AshBootEntry *entry = g_new0(AshBootEntry, 1);

	entry->tries_left = -1;
	entry->title = g_strdup_printf("Ashlar %s %s", info->name, info->version);
	entry->version = g_strdup(info->version);
	entry->machine_id = g_strdup(base->machine_id);
	entry->architecture = g_strdup(base->architecture);
	entry->linux_path = ash_deployment_esp_path(commit, "vmlinuz");
	entry->initrd_path = ash_deployment_esp_path(commit, "initramfs.img");
	entry->options = ash_boot_entry_options(base->options,
			(const char *const *) base_info->kernel_arguments,
			(const char *const *) info->kernel_arguments, commit, serial);
	entry->generation = generation;
	entry->commit = g_strdup(commit);
	entry->serial = serial;
	return entry;
}

/* Writes the entry and proves that it is what boots next. */
static gboolean put_first_entry(const AshWorker *worker, AshBootEntry *entry, int tries_left,
		char **out_file, GError **error)
{
	g_autofree char *file =
			ash_boot_entry_name(entry->generation, entry->commit, tries_left, 0);
	g_autoptr(GPtrArray) entries = NULL;

	if (!ash_esp_put_entry(worker->esp_fd, entry, file, error) ||
			!ash_esp_list(worker->esp_fd, &entries, NULL, error))
		return FALSE;
	const AshBootEntry *first = entries->len > 0 ? entries->pdata[0] : NULL;
	if (first == NULL || strcmp(first->file, file) != 0)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_ESP,
				"entry %s is there, but '%s' would boot before it", file,
				first != NULL ? first->file : "nothing");
	*out_file = g_steal_pointer(&file);
	return TRUE;
}

/* What would boot if @except were not there: the first entry with all that it needs, or NULL. */
static const AshBootEntry *find_fallback(
		const AshWorker *worker, const GPtrArray *entries, const char *except)
{
	for (guint i = 0; i < entries->len; i++) {
		const AshBootEntry *entry = entries->pdata[i];
		if (!is_of(entry, except) && ash_deployment_is_bootable(worker, entry))
			return entry;
	}
	return NULL;
}

/* ---- deploy ---------------------------------------------------------------------------------- */

typedef struct {
	const AshWorker *worker;
	AshOstree *repo;
	const char *commit;
	int tries;
	GPtrArray *entries;          /* before */
	const AshBootEntry *running; /* its entry, of entries */
	AshOstreeInfo *info, *running_info;
	char *tree, *temp, *link; /* below sysroot */
} Deploy;

static void deploy_clear(Deploy *deploy)
{
	g_clear_pointer(&deploy->repo, ash_ostree_free);
	g_clear_pointer(&deploy->entries, g_ptr_array_unref);
	g_clear_pointer(&deploy->info, ash_ostree_info_free);
	g_clear_pointer(&deploy->running_info, ash_ostree_info_free);
	g_free(deploy->tree);
	g_free(deploy->temp);
	g_free(deploy->link);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Deploy, deploy_clear)

static gboolean deploy_init(Deploy *deploy, const AshRelease *release, GError **error)
{
	const AshWorker *worker = deploy->worker;
	bool is_done = false;

	deploy->commit = release->commit;
	deploy->tree = g_strdup_printf(ASH_DEPLOYMENT_TREES "/%s.0", deploy->commit);
	deploy->temp = g_strdup_printf(ASH_DEPLOYMENT_TREES "/.%s.0.tmp", deploy->commit);
	deploy->link = g_strdup_printf(ASH_DEPLOYMENT_LINKS "/%s.0", deploy->commit);
	if (*worker->booted == '\0' || strcmp(worker->booted, deploy->commit) == 0)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_FAILED, "%s",
				*worker->booted == '\0' ? "it is not known which deployment runs"
							: "this commit is the one that runs");
	if (!ash_ostree_open(worker->sysroot_fd, &deploy->repo, error) ||
			!ash_import_is_done(deploy->repo, deploy->commit, &is_done, error))
		return FALSE;
	if (!is_done)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_MISSING,
				"commit %.12s was not imported", deploy->commit);
	if (!ash_ostree_load_info(deploy->repo, deploy->commit, &deploy->info, error) ||
			!ash_ostree_load_info(deploy->repo, worker->booted, &deploy->running_info,
					error) ||
			!ash_import_compare(deploy->info, release, error) ||
			!ash_esp_list(worker->esp_fd, &deploy->entries, NULL, error))
		return FALSE;
	for (guint i = 0; i < deploy->entries->len && deploy->running == NULL; i++) {
		const AshBootEntry *entry = deploy->entries->pdata[i];
		if (is_of(entry, worker->booted) && entry->serial == worker->booted_serial)
			deploy->running = entry;
	}
	/* Without it a trial that fails would have nothing to fall back to. */
	if (deploy->running == NULL || !ash_deployment_is_bootable(worker, deploy->running))
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_ESP,
				"the ESP has no whole entry for the deployment that runs (%.12s)",
				worker->booted);
	return TRUE;
}

static gboolean count(
		const char *path, const char *object, bool is_dir, gpointer data, GError **error)
{
	AshSpacePlan *plan = data;

	if (is_dir)
		plan->dirs++;
	else
		plan->files++;
	return TRUE;
}

/* As the plan did before the objects came, now with what they say. */
static gboolean check_space(Deploy *deploy, const AshRelease *release, GError **error)
{
	AshSpacePlan plan = {.boot_bytes = release->boot_bytes};
	AshSpace free_now;
	bool has_boot_files = false;

	for (size_t i = 0; i < G_N_ELEMENTS(boot_files); i++) {
		g_autofree char *path = ash_deployment_esp_path(deploy->commit, boot_files[i]);
		if (!ash_file_exists(deploy->worker->esp_fd, path + 1, &has_boot_files, error))
			return FALSE;
		if (!has_boot_files)
			break;
	}
	if (has_boot_files)
		plan.boot_bytes = 0;
	if (!ash_ostree_walk(deploy->repo, deploy->commit, count, &plan, error) ||
			!ash_plan_measure(deploy->worker, &plan, &free_now, error) ||
			!ash_plan_etc(deploy->worker, &plan, error))
		return FALSE;
	AshSpace need = ash_space_need(&plan);
	return ash_space_check(&need, &free_now, error);
}

/* A question: did a run before this one come to its end? */
static gboolean is_deployed(Deploy *deploy, char **out_file, GError **error)
{
	const AshBootEntry *first = deploy->entries->len > 0 ? deploy->entries->pdata[0] : NULL;
	bool has = false;

	*out_file = NULL;
	if (first == NULL || !is_of(first, deploy->commit) || first->serial != 0 ||
			first->tries_left != deploy->tries || first->tries_done != 0 ||
			!ash_deployment_is_bootable(deploy->worker, first))
		return TRUE;
	if (!has_boot_files(deploy->worker, deploy->tree, deploy->commit,
			    deploy->info->kernel_release, &has, error))
		return FALSE;
	if (has)
		*out_file = g_strdup(first->file);
	return TRUE;
}

/* An older deployment of the same commit, and what a run that was cut off has left. */
static gboolean remove_old(Deploy *deploy, GError **error)
{
	g_autoptr(GPtrArray) deployments = NULL;

	if (!ash_deployment_list(deploy->worker, deploy->entries, &deployments, error))
		return FALSE;
	for (guint i = 0; i < deployments->len; i++) {
		const AshDeployment *old = deployments->pdata[i];
		if (strcmp(old->commit, deploy->commit) == 0 &&
				!ash_clean_deployment(
						deploy->worker, old->commit, old->serial, error))
			return FALSE;
	}
	return ash_clean_tree(deploy->worker, deploy->temp, error);
}

static gboolean make_etc(Deploy *deploy, GError **error)
{
	const AshWorker *worker = deploy->worker;
	g_autofree char *old = ash_plan_booted_tree(worker);
	ash_autofd int new_fd = openat(worker->sysroot_fd, deploy->temp,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	ash_autofd int old_fd = openat(
			worker->sysroot_fd, old, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (new_fd < 0)
		return ash_throw_errno(error, "%s", deploy->temp);
	if (old_fd < 0)
		return ash_throw_errno(error, "%s", old);
	return ash_etc_make(new_fd, old_fd, NULL, error);
}

/* The link never changes once it is there; a temporary name shows one that is not. */
static gboolean make_link(
		const AshWorker *worker, const char *commit, unsigned serial, GError **error)
{
	g_autofree char *link = g_strdup_printf(ASH_DEPLOYMENT_LINKS "/%s.%u", commit, serial);
	g_autofree char *temp = g_strdup_printf(ASH_DEPLOYMENT_LINKS "/.%s.%u.tmp", commit, serial);
	g_autofree char *target = g_strdup_printf("../deploy/ashlar/deploy/%s.%u", commit, serial);

	if (!ash_file_ensure_dir(worker->sysroot_fd, ASH_DEPLOYMENT_LINKS, 0755, error))
		return FALSE;
	if (unlinkat(worker->sysroot_fd, temp, 0) < 0 && errno != ENOENT)
		return ash_throw_errno(error, "%s", temp);
	if (symlinkat(target, worker->sysroot_fd, temp) < 0)
		return ash_throw_errno(error, "%s", temp);
	ASH_FAULT("deploy-link-temp");
	if (renameat(worker->sysroot_fd, temp, worker->sysroot_fd, link) < 0)
		return ash_throw_errno(error, "rename(%s)", link);
	return ash_file_sync_parent(worker->sysroot_fd, link, error);
}

/* The order is what this file is for; each comment says what a power cut would leave. */
static gboolean deploy_steps(Deploy *deploy, char **out_file, GError **error)
{
	const AshWorker *worker = deploy->worker;
	uint32_t generation = next_generation(deploy->entries);
	g_autoptr(AshBootEntry) entry = NULL;

	/* 1. What is in the way goes, its entry first. The running deployment is whole and has an
	 * entry, so that it boots from now until the last step. */
	if (!remove_old(deploy, error))
		return FALSE;
	ASH_FAULT("deploy-removed-old");

	/* 2. The tree, under a name that is no deployment's. */
	ash_worker_progress("checkout", 0, 1);
	if (!ash_ostree_checkout(
			    deploy->repo, deploy->commit, worker->sysroot_fd, deploy->temp, error))
		return FALSE;
	ash_worker_progress("checkout", 1, 1);
	ASH_FAULT("deploy-checkout");

	/* 3. Its /etc. All of it is on the disk before it gets its name. */
	if (!make_etc(deploy, error))
		return FALSE;
	ASH_FAULT("deploy-etc");
	if (!sync_root(worker, error))
		return FALSE;
	ASH_FAULT("deploy-tree-synced");

	/* 4. Left from here on: a whole tree that nothing leads to. The mark comes after the name, for
	 * what is immutable cannot be renamed. */
	if (renameat(worker->sysroot_fd, deploy->temp, worker->sysroot_fd, deploy->tree) < 0)
		return ash_throw_errno(error, "rename(%s)", deploy->tree);
	ASH_FAULT("deploy-tree-renamed");
	if (!ash_clean_set_immutable(worker->sysroot_fd, deploy->tree, true, error) ||
			!ash_file_sync_parent(worker->sysroot_fd, deploy->tree, error))
		return FALSE;
	ASH_FAULT("deploy-tree");

	/* 5. The link that an entry may name. All of root is on the disk before the ESP changes. */
	if (!make_link(worker, deploy->commit, 0, error) || !sync_root(worker, error))
		return FALSE;
	ASH_FAULT("deploy-link");

	/* 6. Kernel and initramfs, each whole under its name; no entry asks for them yet. */
	if (!put_boot_files(worker, deploy->tree, deploy->commit, deploy->info->kernel_release,
			    error))
		return FALSE;
	ASH_FAULT("deploy-boot-files");

	/* 7. The switch: one file. Before it the old deployment boots, after it the new one, and if that
	 * does not come up, `tries` times, the old one again. */
	entry = make_entry(deploy->running, deploy->running_info, deploy->info, deploy->commit, 0,
			generation);
	if (!put_first_entry(worker, entry, deploy->tries, out_file, error))
		return FALSE;
	ASH_FAULT("deploy-entry");
	return TRUE;
}

gboolean ash_deploy_run(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autoptr(AshRelease) release = NULL;
	g_auto(Deploy) deploy = {.worker = worker};
	g_autofree char *file = NULL;
	uint64_t tries = 3;

	if (!ash_import_get_release(input, &release, error) ||
			!ash_json_uint_opt(input, "tries", ASH_BOOT_ENTRY_MAX_TRIES, &tries, error))
		return FALSE;
	ASH_PREFIX("deploying %s (%.12s)", release->version, release->commit);
	deploy.tries = (int) MAX(tries, (uint64_t) 1);
	if (!deploy_init(&deploy, release, error) || !is_deployed(&deploy, &file, error))
		return FALSE;
	if (file == NULL && (!check_space(&deploy, release, error) ||
					    !deploy_steps(&deploy, &file, error)))
		return FALSE;
	ash_json_add_text(result, "entry", file);
	return TRUE;
}

/* ---- switch ---------------------------------------------------------------------------------- */

/* The entry that shows how this machine is booted: the deployment's own, the running one's, any. */
static const AshBootEntry *find_base(
		const AshWorker *worker, const GPtrArray *entries, const AshDeployment *deployment)
{
	const AshBootEntry *any = deployment->entry;

	for (guint i = 0; i < entries->len && any == NULL; i++)
		if (is_of(entries->pdata[i], worker->booted))
			any = entries->pdata[i];
	for (guint i = 0; i < entries->len && any == NULL; i++)
		if (((const AshBootEntry *) entries->pdata[i])->commit != NULL)
			any = entries->pdata[i];
	return any;
}

/* Older entries of the deployment: only now, for what boots instead is there. */
static gboolean remove_others(const AshWorker *worker, const GPtrArray *entries,
		const AshDeployment *deployment, const char *file, GError **error)
{
	for (guint i = 0; i < entries->len; i++) {
		const AshBootEntry *entry = entries->pdata[i];
		g_autofree char *path = g_strconcat("/loader/entries/", entry->file, NULL);
		if (is_of(entry, deployment->commit) && entry->serial == deployment->serial &&
				strcmp(entry->file, file) != 0 &&
				!ash_esp_remove(worker->esp_fd, path, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean switch_to(const AshWorker *worker, const GPtrArray *entries,
		const AshDeployment *deployment, char **out_file, GError **error)
{
	const AshBootEntry *base = find_base(worker, entries, deployment);
	const AshBootEntry *first = entries->len > 0 ? entries->pdata[0] : NULL;
	g_autofree char *tree = g_strdup_printf(ASH_DEPLOYMENT_TREES "/%s", deployment->name);
	g_autofree char *file = NULL;
	g_autoptr(AshOstree) repo = NULL;
	g_autoptr(AshOstreeInfo) info = NULL;
	g_autoptr(AshOstreeInfo) base_info = NULL;
	g_autoptr(AshBootEntry) entry = NULL;

	if (base == NULL)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_ESP,
				"the ESP has no entry of a deployment");
	if (!ash_ostree_open(worker->sysroot_fd, &repo, error) ||
			!ash_ostree_load_info(repo, deployment->commit, &info, error) ||
			!ash_ostree_load_info(repo, base->commit, &base_info, error))
		return FALSE;
	/* 1. All that the entry will lead to; mostly it is there. */
	if ((!deployment->has_link &&
			    (!make_link(worker, deployment->commit, deployment->serial, error) ||
					    !sync_root(worker, error))) ||
			!put_boot_files(worker, tree, deployment->commit, info->kernel_release,
					error))
		return FALSE;
	ASH_FAULT("switch-files");
	/* 2. The switch. */
	if (first != NULL && first == deployment->entry && first->tries_left < 0) {
		file = g_strdup(first->file);
	} else {
		entry = make_entry(base, base_info, info, deployment->commit, deployment->serial,
				next_generation(entries));
		if (!put_first_entry(worker, entry, -1, &file, error))
			return FALSE;
	}
	ASH_FAULT("switch-entry");
	/* 3. What is left: two entries of one deployment until the older is gone. */
	if (!remove_others(worker, entries, deployment, file, error))
		return FALSE;
	ASH_FAULT("switch-removed");
	*out_file = g_steal_pointer(&file);
	return TRUE;
}

gboolean ash_deploy_switch(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autoptr(GPtrArray) entries = NULL;
	g_autoptr(GPtrArray) deployments = NULL;
	g_autofree char *file = NULL;
	const char *commit;

	if (!get_commit(input, &commit, error))
		return FALSE;
	ASH_PREFIX("switching to %.12s", commit);
	if (!ash_esp_list(worker->esp_fd, &entries, NULL, error) ||
			!ash_deployment_list(worker, entries, &deployments, error))
		return FALSE;
	const AshDeployment *deployment = ash_deployment_find(deployments, commit);
	if (deployment == NULL || (deployment->entry == NULL && !deployment->has_link))
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_MISSING,
				"it is not deployed here");
	if (!switch_to(worker, entries, deployment, &file, error))
		return FALSE;
	ash_json_add_text(result, "entry", file);
	return TRUE;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

/* Gives each entry of @commit that has tries this counter. */
static gboolean set_tries(const AshWorker *worker, const GPtrArray *entries, const char *commit,
		int tries_left, GError **error)
{
	for (guint i = 0; i < entries->len; i++) {
		const AshBootEntry *entry = entries->pdata[i];
		if (!is_of(entry, commit) || entry->tries_left == tries_left)
			continue;
		g_autofree char *to =
				ash_boot_entry_rename(entry->file, tries_left, entry->tries_done);
		if (!ash_esp_rename_entry(worker->esp_fd, entry->file, to, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_deploy_bless(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autoptr(GPtrArray) entries = NULL;
	const char *commit;
	bool has = false;

	if (!get_commit(input, &commit, error))
		return FALSE;
	ASH_PREFIX("blessing %.12s", commit);
	if (!ash_esp_list(worker->esp_fd, &entries, NULL, error))
		return FALSE;
	for (guint i = 0; i < entries->len; i++)
		has = has || is_of(entries->pdata[i], commit);
	if (!has)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_ESP,
				"the ESP has no entry for it");
	return set_tries(worker, entries, commit, -1, error);
}

gboolean ash_deploy_condemn(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autoptr(GPtrArray) entries = NULL;
	const char *commit;

	if (!get_commit(input, &commit, error))
		return FALSE;
	ASH_PREFIX("condemning %.12s", commit);
	if (!ash_esp_list(worker->esp_fd, &entries, NULL, error))
		return FALSE;
	if (find_fallback(worker, entries, commit) == NULL)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_NO_FALLBACK,
				"no other deployment could boot: it stays as it is");
	return set_tries(worker, entries, commit, 0, error);
}
