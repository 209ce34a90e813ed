/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/deployment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/esp.h"
#include "agent/job.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"

enum {
	MAX_DEPLOYMENTS = 256,
};

void ash_deployment_free(AshDeployment *deployment)
{
	if (deployment == NULL)
		return;
	g_free(deployment->name);
	g_free(deployment->commit);
	g_free(deployment);
}

bool ash_deployment_is_commit(const char *commit)
{
	return ash_text_is_sha256(commit);
}

bool ash_deployment_parse_name(const char *name, char **out_commit, unsigned *out_serial)
{
	/* The form that the kernel's command line has it in. */
	g_autofree char *word = g_strconcat("ostree=/ostree/by-commit/", name, NULL);

	return ash_boot_entry_parse_link(word, out_commit, out_serial);
}

char *ash_deployment_esp_path(const char *commit, const char *file)
{
	return g_strdup_printf(ASH_DEPLOYMENT_ESP "/%.16s/%s", commit, file);
}

static bool is_dir(int dirfd, const char *path, int flags)
{
	struct stat st;

	return fstatat(dirfd, path, &st, flags) == 0 && S_ISDIR(st.st_mode);
}

static AshDeployment *deployment_new(const AshWorker *worker, const char *name)
{
	g_autofree char *tree = g_strdup_printf(ASH_DEPLOYMENT_TREES "/%s", name);
	g_autofree char *link = g_strdup_printf(ASH_DEPLOYMENT_LINKS "/%s", name);
	char *commit;
	unsigned serial;

	if (!ash_deployment_parse_name(name, &commit, &serial))
		return NULL;
	if (!is_dir(worker->sysroot_fd, tree, AT_SYMLINK_NOFOLLOW)) {
		g_free(commit);
		return NULL;
	}
	AshDeployment *deployment = g_new0(AshDeployment, 1);
	deployment->name = g_strdup(name);
	deployment->commit = commit;
	deployment->serial = serial;
	deployment->is_booted =
			strcmp(commit, worker->booted) == 0 && serial == worker->booted_serial;
	deployment->has_link = is_dir(worker->sysroot_fd, link, 0);
	return deployment;
}

static bool is_listed(const GPtrArray *deployments, const char *name)
{
	for (guint i = 0; i < deployments->len; i++)
		if (strcmp(((const AshDeployment *) deployments->pdata[i])->name, name) == 0)
			return true;
	return false;
}

gboolean ash_deployment_list(const AshWorker *worker, const GPtrArray *entries,
		GPtrArray **out_deployments, GError **error)
{
	ASH_PREFIX("listing the deployments");
	g_autoptr(GPtrArray) deployments =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_deployment_free);
	ash_autofd int fd = openat(worker->sysroot_fd, ASH_DEPLOYMENT_TREES,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "%s/" ASH_DEPLOYMENT_TREES, worker->sysroot);
	for (guint i = 0; i < entries->len; i++) {
		const AshBootEntry *entry = entries->pdata[i];
		g_autofree char *name = entry->commit == NULL
							? NULL
							: g_strdup_printf("%s.%u", entry->commit,
									  entry->serial);
		AshDeployment *deployment = NULL;
		if (name != NULL && !is_listed(deployments, name) &&
				(deployment = deployment_new(worker, name)) != NULL) {
			deployment->entry = entry;
			g_ptr_array_add(deployments, deployment);
		}
	}
	g_autoptr(AshDir) dir = fdopendir(g_steal_fd(&fd));
	if (dir == NULL)
		return ash_throw_errno(error, "%s/" ASH_DEPLOYMENT_TREES, worker->sysroot);
	for (struct dirent *file; (file = readdir(dir)) != NULL;) {
		AshDeployment *deployment = NULL;
		if (is_listed(deployments, file->d_name) ||
				(deployment = deployment_new(worker, file->d_name)) == NULL)
			continue;
		g_ptr_array_add(deployments, deployment);
		if (deployments->len > MAX_DEPLOYMENTS)
			return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_FAILED,
					"more than %d deployments", MAX_DEPLOYMENTS);
	}
	*out_deployments = g_steal_pointer(&deployments);
	return TRUE;
}

const AshDeployment *ash_deployment_find(const GPtrArray *deployments, const char *commit)
{
	for (guint i = 0; i < deployments->len; i++) {
		const AshDeployment *deployment = deployments->pdata[i];
		if (strcmp(deployment->commit, commit) == 0)
			return deployment;
	}
	return NULL;
}

static bool has_content(int dirfd, const char *path)
{
	struct stat st;

	return path != NULL && fstatat(dirfd, path + strspn(path, "/"), &st, 0) == 0 &&
	       S_ISREG(st.st_mode) && st.st_size > 0;
}

bool ash_deployment_is_bootable(const AshWorker *worker, const AshBootEntry *entry)
{
	if (entry->commit == NULL || entry->tries_left == 0)
		return false;
	g_autofree char *usr = g_strdup_printf(
			ASH_DEPLOYMENT_LINKS "/%s.%u/usr", entry->commit, entry->serial);
	return has_content(worker->esp_fd, entry->linux_path) &&
	       has_content(worker->esp_fd, entry->initrd_path) &&
	       is_dir(worker->sysroot_fd, usr, 0);
}

/* ---- the verb -------------------------------------------------------------------------------- */

static AshJobDeployment *describe(AshOstree *repo, const AshDeployment *deployment)
{
	AshJobDeployment *job = g_new0(AshJobDeployment, 1);
	g_autoptr(AshOstreeInfo) info = NULL;

	job->commit = g_strdup(deployment->commit);
	job->serial = deployment->serial;
	job->is_booted = deployment->is_booted;
	job->tries_left = -1;
	if (deployment->entry != NULL) {
		job->entry = g_strdup(deployment->entry->file);
		job->tries_left = deployment->entry->tries_left;
		job->tries_done = deployment->entry->tries_done;
		job->generation = deployment->entry->generation;
	}
	/* A commit that is gone or broken has a deployment all the same. */
	if (repo == NULL || !ash_ostree_load_info(repo, deployment->commit, &info, NULL))
		info = g_new0(AshOstreeInfo, 1);
	job->version = g_strdup(info->version != NULL ? info->version : "");
	job->name = g_strdup(info->name != NULL ? info->name : "");
	job->variant = g_strdup(info->variant != NULL ? info->variant : "");
	job->arch = g_strdup(info->arch != NULL ? info->arch : "");
	return job;
}

static gboolean measure(int fd, const char *what, uint64_t *out_free, uint64_t *out_inodes,
		uint64_t *out_bytes, GError **error)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) < 0)
		return ash_throw_errno(error, "measuring %s", what);
	*out_free = (uint64_t) fs.f_bavail * fs.f_frsize;
	*out_inodes = fs.f_favail;
	*out_bytes = (uint64_t) fs.f_blocks * fs.f_frsize;
	return TRUE;
}

gboolean ash_deployment_inspect(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autoptr(AshJobSystem) system = ash_job_system_new();
	g_autoptr(GPtrArray) entries = NULL;
	g_autoptr(GPtrArray) deployments = NULL;
	g_autoptr(AshOstree) repo = NULL;
	uint64_t esp_inodes;

	if (!ash_esp_list(worker->esp_fd, &entries, NULL, error) ||
			!ash_deployment_list(worker, entries, &deployments, error) ||
			!ash_ostree_open(worker->sysroot_fd, &repo, error) ||
			!measure(worker->sysroot_fd, "the root", &system->root_free_bytes,
					&system->root_free_inodes, &system->root_bytes, error) ||
			!measure(worker->esp_fd, "the ESP", &system->esp_free_bytes, &esp_inodes,
					&system->esp_bytes, error))
		return FALSE;
	g_free(system->booted);
	system->booted = g_strdup(worker->booted);
	for (guint i = 0; i < deployments->len; i++)
		g_ptr_array_add(system->deployments, describe(repo, deployments->pdata[i]));
	ash_job_system_format(system, result);
	return TRUE;
}
