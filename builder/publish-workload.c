/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/publish-workload.h"

#include <fcntl.h>
#include <string.h>

#include "builder/commit.h"
#include "builder/content.h"
#include "builder/draft.h"
#include "builder/inventory.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/target.h"
#include "lib/version.h"
#include "lib/workload-report.h"
#include "lib/workload-target.h"

/* ---- the image ----------------------------------------------------------------------------------- */

/* "ostree:REF" becomes "ostree:REF@COMMIT". */
static gboolean pin(AshWorkload *workload, AshRepo *source, GError **error)
{
	AshWorkloadImage *image = &workload->image;
	char *commit = NULL;

	if (image->kind != ASH_WORKLOAD_IMAGE_OSTREE || *image->digest != '\0')
		return TRUE;
	if (source == NULL || !ash_repo_resolve(source, image->location, &commit, error))
		return source != NULL ? FALSE
				      : ash_throw(error, ASH_PUBLICATION_ERROR,
							ASH_PUBLICATION_ERROR_NOT_FOUND,
							"there is no repository to pin '%s' by",
							image->text);
	g_free(image->digest);
	image->digest = commit;
	g_free(image->text);
	image->text = g_strdup_printf("ostree:%s@%s", image->location, commit);
	return TRUE;
}

static gboolean throw_unpinned(const AshWorkload *workload, GError **error)
{
	const AshWorkloadImage *image = &workload->image;

	if (image->kind == ASH_WORKLOAD_IMAGE_OSTREE)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
				"image '%s' names no commit, and what a ref means may change: write "
				"%s@COMMIT, or give --pin for what it is in the repository now",
				image->text, image->text);
	if (image->kind == ASH_WORKLOAD_IMAGE_OCI)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
				"image '%s' names no digest, and what a tag means is the registry's "
				"choice: write oci:%s@sha256:HEX",
				image->text, image->location);
	return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
			"image '%s' is a path, and means something else on each host: a signed "
			"definition names an image of a registry or a commit",
			image->text);
}

/* What hosts need to know of an image of ours before they fetch it: a release document of its commit. */
static gboolean describe_image(AshRepo *source, AshRepo *archive, const AshCommit *commit,
		char **out_text, GError **error)
{
	g_autoptr(AshRelease) release = g_new0(AshRelease, 1);
	g_autoptr(AshTree) tree = NULL;
	AshContentSize size = {0};

	if (!ash_repo_load_tree(source, commit->commit, &tree, error) ||
			!ash_content_measure(archive, commit->commit, NULL, &size, error))
		return FALSE;
	ash_content_measure_tree(tree, release);
	release->archive_bytes = size.bytes;
	release->largest_object_bytes = size.largest_bytes;
	release->name = g_strdup(commit->name);
	release->variant = g_strdup(commit->variant != NULL ? commit->variant : "");
	release->arch = g_strdup(commit->arch);
	release->version = g_strdup(commit->version);
	release->commit = g_strdup(commit->commit);
	release->replaces_min = g_strdup("");
	release->created = ash_signing_time(0);
	release->notes = g_strdup("");
	release->deltas = g_ptr_array_new_with_free_func((GDestroyNotify) ash_target_delta_free);
	*out_text = ash_release_format(release);
	return TRUE;
}

static gboolean check_commit(const AshCommit *commit, GError **error)
{
	if (g_strcmp0(commit->kind, "workload") != 0)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
				"commit %.12s is no workload that 'ashlar build' made: its manifest "
				"says 'kind: %s'",
				commit->commit, commit->kind != NULL ? commit->kind : "");
	if (commit->name == NULL || commit->arch == NULL || commit->version == NULL)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
				"commit %.12s has no name, architecture or version: make it with "
				"'ashlar build', from a manifest with 'version:'",
				commit->commit);
	return TRUE;
}

/* @out_text: NULL for an image of a registry */
static gboolean bring_image(AshPublication *publication, AshRepo *source,
		const AshWorkload *workload, AshProgress *progress, char **out_text, GError **error)
{
	const char *digest = workload->image.digest;
	g_autofree char *path = ash_publication_repo(publication);
	g_autofree char *ref = ash_draft_workload_ref(workload);
	g_autoptr(AshRepo) archive = NULL;
	g_autoptr(AshCommit) commit = NULL;

	if (workload->image.kind != ASH_WORKLOAD_IMAGE_OSTREE)
		return TRUE;
	if (source == NULL)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND,
				"there is no repository that holds commit %.12s", digest);
	if (!ash_commit_load(source, digest, &commit, error) || !check_commit(commit, error))
		return FALSE;
	ash_progress_begin(progress, "objects", "copying objects");
	if (!ash_repo_open_archive(path, true, &archive, error) ||
			!ash_repo_pull_local(archive, source, digest, ref, error) ||
			!ash_inventory_save(publication, commit, error) ||
			!describe_image(source, archive, commit, out_text, error))
		return FALSE;
	ash_progress_end(progress, "commit %.12s", digest);
	return TRUE;
}

/* ---- release ------------------------------------------------------------------------------------- */

static gboolean read_definition(int dir_fd, const char *file, const char *shown,
		AshWorkload **out_workload, GError **error)
{
	g_autoptr(GBytes) text = NULL;

	return ash_file_read(dir_fd, file, ASH_WORKLOAD_MAX_BYTES, &text, error) &&
	       ash_workload_parse(shown, text, out_workload, error);
}

static char *hash_of(const AshWorkload *workload)
{
	g_autofree char *text = ash_workload_format(workload);

	return ash_sha256_hex(text, strlen(text));
}

/* No version gets a second content, published or withdrawn, and no two spellings of one version come to
 * be. @out_newest: the highest version below; borrowed, NULL: none
 */
static gboolean check_published(const AshPublication *publication, const AshWorkload *workload,
		bool *out_is_known, const AshPublicationTarget **out_newest, GError **error)
{
	g_autofree char *path = ash_workload_target_path(workload->name, workload->version);
	g_autofree char *sha256 = hash_of(workload);

	*out_is_known = false;
	*out_newest = NULL;
	if (ash_publication_is_withdrawn(publication, path))
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_EXISTS,
				"version %s of workload '%s' was recalled, for ever: give it another",
				workload->version, workload->name);
	for (guint i = 0; i < publication->workloads->len; i++) {
		const AshPublicationTarget *other = publication->workloads->pdata[i];
		if (strcmp(other->name, workload->name) != 0)
			continue;
		int order = ash_version_compare(other->version, workload->version);
		*out_is_known = *out_is_known || strcmp(other->sha256, sha256) == 0;
		if (order == 0 && (strcmp(other->path, path) != 0 ||
						  strcmp(other->sha256, sha256) != 0))
			return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_EXISTS,
					"version %s of workload '%s' is published with another "
					"content, and hosts may run it: give this one another version",
					other->version, workload->name);
		if (order < 0 && (*out_newest == NULL || ash_version_compare((*out_newest)->version,
									 other->version) < 0))
			*out_newest = other;
	}
	return TRUE;
}

/* What may it touch more than @older? */
static gboolean compare(const AshPublication *publication, const AshPublicationTarget *older,
		const AshWorkload *workload, bool *out_is_wider, GError **error)
{
	g_autofree char *location = ash_publication_location(older);
	g_autofree char *file = g_build_filename("targets", location, NULL);
	g_autoptr(AshWorkload) old = NULL;

	if (!read_definition(publication->fd, file, older->path, &old, error))
		return FALSE;
	g_autoptr(AshWorkloadReport) from = ash_workload_report(old, old->isolation);
	g_autoptr(AshWorkloadReport) to = ash_workload_report(workload, workload->isolation);
	g_ptr_array_unref(ash_workload_report_diff(from, to, out_is_wider));
	return TRUE;
}

gboolean ash_publish_workload_release(AshPublication *publication, AshRepo *source,
		const char *file, const AshWorkloadReleaseOptions *options, AshProgress *progress,
		AshWorkload **out_workload, bool *out_is_known, char **out_widens, GError **error)
{
	g_autoptr(AshWorkload) workload = NULL;
	g_autofree char *image = NULL;
	const AshPublicationTarget *newest = NULL;
	bool is_known = false;
	bool is_wider = false;

	if (!read_definition(AT_FDCWD, file, file, &workload, error) ||
			(options->wants_pin && !pin(workload, source, error)))
		return FALSE;
	if (!ash_workload_is_pinned(workload))
		return throw_unpinned(workload, error);
	if (!check_published(publication, workload, &is_known, &newest, error) ||
			(newest != NULL &&
					!compare(publication, newest, workload, &is_wider, error)))
		return FALSE;
	/* Objects first, then the draft that speaks of them. */
	if (!is_known && (!bring_image(publication, source, workload, progress, &image, error) ||
					 !ash_draft_save_workload(
							 publication, workload, image, error)))
		return FALSE;
	*out_widens = is_wider ? g_strdup(newest->version) : NULL;
	*out_is_known = is_known;
	*out_workload = g_steal_pointer(&workload);
	return TRUE;
}

/* ---- publish ------------------------------------------------------------------------------------- */

static gboolean read_image(const AshPublication *publication, const AshWorkload *workload,
		JsonNode **out_node, GError **error)
{
	g_autoptr(GBytes) text = NULL;

	return ash_draft_read_image(publication, workload, &text, error) &&
	       ash_json_parse(text, ASH_TARGET_MAX_BYTES, 8, out_node, error);
}

static gboolean add_draft(AshPublication *publication, const AshWorkload *workload, GError **error)
{
	JsonNode *image = NULL;

	if (workload->image.kind == ASH_WORKLOAD_IMAGE_OSTREE &&
			!read_image(publication, workload, &image, error))
		return FALSE;
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *path = ash_workload_target_path(workload->name, workload->version);
	g_autofree char *text = ash_workload_format(workload);
	g_autoptr(GBytes) document = g_bytes_new(text, strlen(text));

	json_builder_begin_object(json);
	ash_json_add_text(json, "kind", "workload");
	ash_json_add_text(json, "name", workload->name);
	ash_json_add_text(json, "version", workload->version);
	if (image != NULL) {
		/* For 'publish --prune': the repository keeps it as long as this is published. */
		ash_json_add_text(json, "commit", workload->image.digest);
		json_builder_set_member_name(json, "image");
		json_builder_add_value(json, image);
	}
	json_builder_end_object(json);
	g_autofree char *custom = ash_json_format(json, false);
	return ash_publication_add_workload(publication, path, document, custom, error);
}

gboolean ash_publish_workload_drafts(
		AshPublication *publication, GPtrArray **out_workloads, GError **error)
{
	g_autoptr(GPtrArray) drafts = NULL;

	if (!ash_draft_list_workloads(publication, &drafts, error))
		return FALSE;
	for (guint i = 0; i < drafts->len; i++) {
		const AshWorkload *draft = drafts->pdata[i];
		const AshPublicationTarget *newest = NULL;
		bool is_known = false;
		ASH_PREFIX("the draft of workload '%s' %s (removing its file from '%s/pending' gives "
			   "it up)",
				draft->name, draft->version, publication->dir);
		if (!ash_workload_is_pinned(draft))
			return throw_unpinned(draft, error);
		/* Known: published by a run that was interrupted before it removed the draft. */
		if (!check_published(publication, draft, &is_known, &newest, error) ||
				(!is_known && !add_draft(publication, draft, error)))
			return FALSE;
	}
	*out_workloads = g_steal_pointer(&drafts);
	return TRUE;
}

gboolean ash_publish_workload_withdraw(
		AshPublication *publication, const char *name, const char *version, GError **error)
{
	g_autofree char *path = ash_workload_target_path(name, version);
	g_autoptr(GString) known = g_string_new(NULL);

	if (ash_publication_find_workload(publication, path) != NULL) {
		ash_publication_withdraw(publication, path);
		return TRUE;
	}
	for (guint i = 0; i < publication->workloads->len; i++) {
		const AshPublicationTarget *target = publication->workloads->pdata[i];
		if (strcmp(target->name, name) == 0)
			g_string_append_printf(
					known, "%s%s", known->len > 0 ? ", " : "", target->version);
	}
	return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND,
			"there is no version %s of workload '%s'; there are: %s", version, name,
			known->len > 0 ? known->str : "none");
}
