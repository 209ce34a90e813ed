/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builder/bundle-image.h"
#include "builder/content.h"
#include "builder/repo.h"
#include "lib/archive.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/oci.h"
#include "lib/target.h"
#include "lib/version.h"
#include "lib/workload.h"

#define FORMAT "1\n"

typedef struct {
	const AshPublication *publication;
	AshArchiveWriter *writer;
	GHashTable *objects; /* names of those that are in it */
	AshBundleResult result;
} Bundle;

/* @from below the publication, as @path in the bundle. */
static gboolean add(Bundle *bundle, const char *from, const char *path, GError **error)
{
	ash_autofd int fd = openat(bundle->publication->fd, from, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "%s/%s", bundle->publication->dir, from);
	return ash_interrupt_check(error) && ash_archive_add_fd(bundle->writer, path, fd, error);
}

static gboolean add_version(Bundle *bundle, uint64_t version, const char *role, GError **error)
{
	g_autofree char *name = ash_publication_metadata(version, role);

	return add(bundle, name, name, error);
}

static gboolean add_metadata(Bundle *bundle, GError **error)
{
	const AshPublication *publication = bundle->publication;

	for (uint64_t version = 1; version <= publication->roots; version++)
		if (!add_version(bundle, version, "root", error))
			return FALSE;
	return add(bundle, "metadata/timestamp.json", "metadata/timestamp.json", error) &&
	       add_version(bundle, publication->published.snapshot, "snapshot", error) &&
	       add_version(bundle, publication->published.targets, "targets", error) &&
	       add_version(bundle, publication->published.workloads, "workloads", error);
}

/* The release's document (NULL: none), and those of all recalls: small, and a host needs to see them. */
static gboolean add_documents(Bundle *bundle, const AshPublicationHost *host,
		const AshPublicationTarget *release, GError **error)
{
	const GPtrArray *targets = bundle->publication->targets;

	for (guint i = 0; i < targets->len; i++) {
		const AshPublicationTarget *target = targets->pdata[i];
		g_autofree char *location = ash_publication_location(target);
		g_autofree char *name = g_build_filename("targets", location, NULL);
		bool is_recall = target->is_recall && strcmp(target->name, host->name) == 0 &&
				 strcmp(target->variant, host->variant) == 0 &&
				 strcmp(target->arch, host->arch) == 0;
		if ((target == release || is_recall) && !add(bundle, name, name, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean load_release(Bundle *bundle, const AshPublicationTarget *target,
		AshRelease **out_release, GError **error)
{
	g_autofree char *location = ash_publication_location(target);
	g_autofree char *name = g_build_filename("targets", location, NULL);
	g_autoptr(GBytes) bytes = NULL;

	return ash_publication_read(bundle->publication, name, &bytes, error) &&
	       ash_release_parse(bytes, out_release, error);
}

static gboolean add_delta(
		Bundle *bundle, const AshRelease *release, const char *from, GError **error)
{
	for (guint i = 0; i < release->deltas->len; i++) {
		const AshTargetDelta *delta = release->deltas->pdata[i];
		g_autofree char *file = g_build_filename("repo", delta->path, NULL);
		g_autofree char *path =
				g_strdup_printf("deltas/%s-%s.delta", release->commit, from);
		if (strcmp(delta->from, from) != 0)
			continue;
		bundle->result.deltas++;
		return add(bundle, file, path, error);
	}
	return TRUE;
}

/* Those of @commit that @from (NULL: nothing) does not have. */
static gboolean add_objects(Bundle *bundle, const char *commit, const char *from, GError **error)
{
	g_autofree char *path = ash_publication_repo(bundle->publication);
	g_autoptr(AshRepo) archive = NULL;
	g_autoptr(GPtrArray) names = NULL;
	g_autoptr(GPtrArray) had = NULL;
	g_autoptr(GHashTable) skip = g_hash_table_new(g_str_hash, g_str_equal);

	if (!ash_repo_open_archive(path, false, &archive, error) ||
			!ash_repo_list_objects(archive, commit, &names, error) ||
			(from != NULL && !ash_repo_list_objects(archive, from, &had, error)))
		return FALSE;
	for (guint i = 0; had != NULL && i < had->len; i++)
		g_hash_table_add(skip, had->pdata[i]);
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *object = ash_content_object_path(names->pdata[i]);
		g_autofree char *name = g_build_filename("repo", object, NULL);
		if (g_hash_table_contains(skip, names->pdata[i]) ||
				!g_hash_table_add(bundle->objects, g_strdup(names->pdata[i])))
			continue;
		if (!add(bundle, name, name, error))
			return FALSE;
		bundle->result.objects++;
	}
	return TRUE;
}

static gboolean add_content(Bundle *bundle, const AshPublicationHost *host,
		const AshRelease *release, const AshBundleOptions *options, GError **error)
{
	AshPublicationTarget *from = NULL;

	if (options->from != NULL && !ash_publication_get_release(bundle->publication, host,
						     options->from, &from, error))
		return FALSE;
	if (from != NULL && !add_delta(bundle, release, from->commit, error))
		return FALSE;
	if (from == NULL || options->is_full)
		return add_objects(bundle, release->commit, NULL, error);
	if (bundle->result.deltas == 0)
		return add_objects(bundle, release->commit, from->commit, error);
	return TRUE;
}

static gboolean add_release(Bundle *bundle, const AshPublicationHost *host, const char *version,
		const AshBundleOptions *options, GError **error)
{
	g_autoptr(AshRelease) release = NULL;
	AshPublicationTarget *target = NULL;

	return ash_publication_get_release(bundle->publication, host, version, &target, error) &&
	       load_release(bundle, target, &release, error) &&
	       add_documents(bundle, host, target, error) &&
	       add_content(bundle, host, release, options, error);
}

/* ---- workloads ---- */

/* The newest, when @wanted is "". */
static AshPublicationTarget *find_workload(
		const AshPublication *publication, const char *name, const char *wanted)
{
	AshPublicationTarget *best = NULL;

	for (guint i = 0; i < publication->workloads->len; i++) {
		AshPublicationTarget *target = publication->workloads->pdata[i];
		if (strcmp(target->name, name) == 0 &&
				(*wanted == '\0' ? best == NULL || ash_version_compare(
										   target->version,
										   best->version) >
												0
						 : strcmp(target->version, wanted) == 0))
			best = target;
	}
	return best;
}

/* Of a registry: it is what the signed definition says, and comes from where somebody put it. */
static gboolean add_image(Bundle *bundle, const char *file, const AshPublicationHost *host,
		const char *const *dirs, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(AshWorkload) workload = NULL;
	AshBundleImages images = {.writer = bundle->writer,
			.added = bundle->objects,
			.dirs = dirs,
			.arch = host->arch};

	if (!ash_publication_read(bundle->publication, file, &bytes, error) ||
			!ash_workload_parse(file, bytes, &workload, error))
		return FALSE;
	ASH_PREFIX("%s %s, image '%s'", workload->name, workload->version, workload->image.text);
	const char *sha256 = ash_oci_digest_find(workload->image.digest);
	if (sha256 == NULL || dirs == NULL) {
		bundle->result.elsewhere++;
		return TRUE;
	}
	bundle->result.images++;
	return ash_bundle_images_add(&images, sha256, error);
}

static gboolean add_workload(Bundle *bundle, const char *text, const AshPublicationHost *host,
		const AshBundleOptions *options, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(text, "=", 2);
	const char *version = parts[0] != NULL && parts[1] != NULL ? parts[1] : "";
	AshPublicationTarget *target =
			parts[0] != NULL ? find_workload(bundle->publication, parts[0], version)
					 : NULL;

	if (target == NULL)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND,
				"no workload '%s' is published", text);
	g_autofree char *location = ash_publication_location(target);
	g_autofree char *name = g_build_filename("targets", location, NULL);
	bundle->result.workloads++;
	if (!add(bundle, name, name, error))
		return FALSE;
	if (*target->commit != '\0')
		return add_objects(bundle, target->commit, NULL, error);
	return add_image(bundle, name, host, options->images, error);
}

static gboolean add_workloads(Bundle *bundle, const AshPublicationHost *host,
		const AshBundleOptions *options, GError **error)
{
	const char *const *workload = options->workloads;

	for (; workload != NULL && *workload != NULL; workload++)
		if (!add_workload(bundle, *workload, host, options, error))
			return FALSE;
	return TRUE;
}

/* ---- the file ---- */

static gboolean fill(Bundle *bundle, const AshPublicationHost *host, const char *version,
		const AshBundleOptions *options, GError **error)
{
	g_autoptr(GBytes) format = g_bytes_new_static(FORMAT, strlen(FORMAT));

	return ash_archive_add_bytes(bundle->writer, "ashlar-bundle", format, error) &&
	       add_metadata(bundle, error) &&
	       (version == NULL || add_release(bundle, host, version, options, error)) &&
	       add_workloads(bundle, host, options, error) &&
	       ash_archive_finish(bundle->writer, error);
}

/* Written under another name in the same directory, and renamed when it is whole. */
static gboolean write_file(Bundle *bundle, const AshPublicationHost *host, const char *version,
		const AshBundleOptions *options, const char *temp, const char *path, GError **error)
{
	ash_autofd int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	g_autoptr(AshArchiveWriter) writer = NULL;
	struct stat st;

	if (fd < 0)
		return ash_throw_errno(error, "%s", temp);
	if (!ash_archive_writer_new(fd, &writer, error))
		return FALSE;
	bundle->writer = writer;
	if (!fill(bundle, host, version, options, error))
		return FALSE;
	if (fstat(fd, &st) < 0 || fsync(fd) < 0 || rename(temp, path) < 0)
		return ash_throw_errno(error, "%s", path);
	bundle->result.bytes = (uint64_t) st.st_size;
	return ash_file_sync_parent(AT_FDCWD, path, error);
}

gboolean ash_bundle_write(const AshPublication *publication, const AshPublicationHost *host,
		const char *version, const AshBundleOptions *options, const char *path,
		AshBundleResult *out_result, GError **error)
{
	ASH_PREFIX("writing the bundle '%s'", path);
	if (!ash_file_check_place(AT_FDCWD, path, error))
		return FALSE;
	g_autofree char *temp = g_strconcat(path, ".new", NULL);
	Bundle bundle = {.publication = publication};

	bundle.objects = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	gboolean is_ok = write_file(&bundle, host, version, options, temp, path, error);
	g_hash_table_unref(bundle.objects);
	if (!is_ok) {
		unlink(temp);
		return FALSE;
	}
	*out_result = bundle.result;
	return TRUE;
}
