/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/publish.h"

#include <string.h>

#include "builder/commit.h"
#include "builder/content.h"
#include "builder/draft.h"
#include "builder/inventory.h"
#include "builder/publish-workload.h"
#include "builder/repo.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/json.h"
#include "lib/text.h"
#include "lib/version.h"

/* ---- release ------------------------------------------------------------------------------------- */

static char *dup_text(const char *text)
{
	return g_strdup(text != NULL ? text : "");
}

static gboolean check_version(const char *version, const char *what, GError **error)
{
	if (ash_version_is_valid(version))
		return TRUE;
	return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
			"'%s' is no %s of a release: at most %d letters, digits, '.', '+', '~', '-', "
			"the first a letter or digit (--version gives another)",
			version, what, ASH_VERSION_MAX_BYTES);
}

static gboolean describe(const AshCommit *commit, const AshReleaseOptions *options,
		AshRelease *release, GError **error)
{
	const char *version = options->version != NULL ? options->version : commit->version;

	if (g_strcmp0(commit->kind, "host") != 0 || commit->name == NULL || commit->arch == NULL)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
				"commit %.12s is no host that 'ashlar build' made", commit->commit);
	if (version == NULL)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
				"commit %.12s has no version: write 'version:' in its manifest, or "
				"give one with --version",
				commit->commit);
	if (!check_version(version, "version", error) ||
			(options->replaces_min != NULL && !check_version(options->replaces_min,
									  "lowest version", error)))
		return FALSE;
	if (options->replaces_min != NULL &&
			ash_version_compare(options->replaces_min, version) >= 0)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
				"release %s cannot replace %s and later only: nothing below it could "
				"be replaced",
				version, options->replaces_min);
	release->name = g_strdup(commit->name);
	release->variant = dup_text(commit->variant);
	release->arch = g_strdup(commit->arch);
	release->version = g_strdup(version);
	release->commit = g_strdup(commit->commit);
	release->replaces_min = dup_text(options->replaces_min);
	release->notes = dup_text(options->notes);
	release->created = ash_signing_time(0);
	return TRUE;
}

static AshPublicationHost host_of(const AshRelease *release)
{
	return (AshPublicationHost){release->name, release->variant, release->arch};
}

/* No version gets a second commit, and no two spellings of one version ("1.0", "1.00") come to be. */
static gboolean check_published(const AshPublication *publication, const AshRelease *release,
		bool *out_is_known, GError **error)
{
	const AshPublicationHost host = host_of(release);
	g_autoptr(GPtrArray) releases = ash_publication_releases(publication, &host);

	*out_is_known = false;
	for (guint i = 0; i < releases->len; i++) {
		const AshPublicationTarget *other = releases->pdata[i];
		if (ash_version_compare(other->version, release->version) != 0)
			continue;
		*out_is_known = strcmp(other->version, release->version) == 0 &&
				strcmp(other->commit, release->commit) == 0;
		if (!*out_is_known)
			return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_EXISTS,
					"release %s of %s for %s is published with commit %.12s, and "
					"hosts may run it: give %.12s another version (--version, or "
					"'version:' in the manifest)",
					other->version, release->name, release->arch, other->commit,
					release->commit);
	}
	return TRUE;
}

static void warn_if_lower(
		const AshPublication *publication, const AshRelease *release, AshProgress *progress)
{
	const AshPublicationHost host = host_of(release);
	g_autoptr(GPtrArray) releases = ash_publication_releases(publication, &host);
	const AshPublicationTarget *newest = releases->len > 0 ? releases->pdata[0] : NULL;

	if (newest != NULL && ash_version_compare(newest->version, release->version) > 0)
		ash_progress_warn(progress,
				"%s is lower than %s, which is published: hosts that run that will not "
				"take it",
				release->version, newest->version);
}

/* Objects first, then the draft that speaks of them. */
static gboolean bring(AshPublication *publication, AshRepo *source, AshRelease *release,
		AshProgress *progress, GError **error)
{
	g_autofree char *path = ash_publication_repo(publication);
	g_autofree char *ref = ash_draft_ref(release);
	g_autoptr(AshRepo) archive = NULL;
	g_autoptr(AshTree) tree = NULL;
	AshContentSize size = {0};

	ash_progress_begin(progress, "objects", "copying objects");
	if (!ash_repo_load_tree(source, release->commit, &tree, error) ||
			!ash_repo_open_archive(path, true, &archive, error) ||
			!ash_repo_pull_local(archive, source, release->commit, ref, error) ||
			!ash_content_measure(archive, release->commit, NULL, &size, error))
		return FALSE;
	ash_content_measure_tree(tree, release);
	release->archive_bytes = size.bytes;
	release->largest_object_bytes = size.largest_bytes;
	g_autofree char *text = ash_text_size(size.bytes);
	ash_progress_end(progress, "%" G_GUINT64_FORMAT " objects, %s", size.objects, text);
	return ash_draft_save(publication, release, error);
}

gboolean ash_publish_release(AshPublication *publication, AshRepo *source, const char *rev,
		const AshReleaseOptions *options, AshProgress *progress, AshRelease **out_release,
		bool *out_is_known, GError **error)
{
	g_autoptr(AshCommit) commit = NULL;
	g_autoptr(AshRelease) release = g_new0(AshRelease, 1);
	bool is_known = false;

	if (!ash_commit_load(source, rev, &commit, error) ||
			!describe(commit, options, release, error) ||
			!check_published(publication, release, &is_known, error) ||
			!ash_inventory_save(publication, commit, error))
		return FALSE;
	if (!is_known) {
		warn_if_lower(publication, release, progress);
		if (!bring(publication, source, release, progress, error))
			return FALSE;
	}
	*out_is_known = is_known;
	*out_release = g_steal_pointer(&release);
	return TRUE;
}

/* ---- deltas --------------------------------------------------------------------------------------- */

/* The commits that deltas to @release begin with. */
static gboolean choose_from(const AshPublication *publication, const AshPublishOptions *options,
		AshRepo *archive, const AshRelease *release, GPtrArray *commits, GError **error)
{
	const AshPublicationHost host = host_of(release);
	g_autoptr(GPtrArray) releases = ash_publication_releases(publication, &host);

	if (options->no_deltas)
		return TRUE;
	if (options->from == NULL) {
		/* What is lower, the newest first; recalled ones too: hosts run them and want to leave. */
		for (guint i = 0; i < releases->len && commits->len < ASH_PUBLISH_DELTAS; i++) {
			const AshPublicationTarget *other = releases->pdata[i];
			if (ash_version_compare(other->version, release->version) < 0)
				g_ptr_array_add(commits, g_strdup(other->commit));
		}
		return TRUE;
	}
	for (const char *const *from = options->from; *from != NULL; from++) {
		char *commit = NULL;
		for (guint i = 0; i < releases->len && commit == NULL; i++) {
			const AshPublicationTarget *other = releases->pdata[i];
			if (strcmp(other->version, *from) == 0)
				commit = g_strdup(other->commit);
		}
		if (commit == NULL && !ash_repo_resolve(archive, *from, &commit, NULL))
			return ash_throw(error, ASH_PUBLICATION_ERROR,
					ASH_PUBLICATION_ERROR_NOT_FOUND,
					"there is neither a release '%s' of %s for %s nor such a "
					"commit in '%s'",
					*from, release->name, release->arch,
					ash_repo_path(archive));
		g_ptr_array_add(commits, commit);
	}
	return TRUE;
}

static gboolean make_deltas(AshPublication *publication, const AshPublishOptions *options,
		AshRepo *archive, AshRelease *release, AshProgress *progress, GError **error)
{
	g_autoptr(GPtrArray) commits = g_ptr_array_new_with_free_func(g_free);

	if (!choose_from(publication, options, archive, release, commits, error))
		return FALSE;
	for (guint i = 0; i < commits->len; i++) {
		AshTargetDelta *delta = NULL;
		const char *from = commits->pdata[i];
		g_autofree char *text = g_strdup_printf(
				"making a delta from %.12s to %s", from, release->version);
		if (strcmp(from, release->commit) == 0)
			continue;
		if (!ash_interrupt_check(error))
			return FALSE;
		ash_progress_begin(progress, "delta", text);
		if (!ash_content_make_delta(archive, from, release->commit, &delta, error))
			return FALSE;
		if (delta == NULL) {
			ash_progress_end(progress, "none: plain objects are smaller");
			continue;
		}
		g_ptr_array_add(release->deltas, delta);
		g_autofree char *size = ash_text_size(delta->bytes);
		g_autofree char *plain = ash_text_size(delta->object_bytes);
		ash_progress_end(progress, "%s instead of %s", size, plain);
	}
	return TRUE;
}

/* ---- publish -------------------------------------------------------------------------------------- */

/* What lib/target.h has of it, and the host's words for our own later runs. */
static char *make_custom(const char *kind, const char *name, const char *variant, const char *arch,
		const char *version, const char *const *more)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_string(json, "kind", kind);
	ash_json_add_string(json, "name", name);
	ash_json_add_string(json, "variant", variant);
	ash_json_add_string(json, "architecture", arch);
	ash_json_add_string(json, "version", version);
	for (; *more != NULL; more += 2)
		ash_json_add_string(json, more[0], more[1]);
	json_builder_end_object(json);
	return ash_json_format(json, false);
}

static gboolean add_release(AshPublication *publication, const AshRelease *release, GError **error)
{
	const char *const more[] = {
			"commit", release->commit, "replaces-min", release->replaces_min, NULL};
	g_autofree char *path = ash_release_path(
			release->name, release->variant, release->arch, release->version);
	g_autofree char *text = ash_release_format(release);
	g_autofree char *custom = make_custom("release", release->name, release->variant,
			release->arch, release->version, more);
	g_autoptr(GBytes) document = g_bytes_new(text, strlen(text));

	return ash_publication_add(publication, path, document, custom, error);
}

static gboolean publish_drafts(AshPublication *publication, const AshPublishOptions *options,
		GPtrArray *drafts, AshProgress *progress, GError **error)
{
	g_autofree char *path = ash_publication_repo(publication);
	g_autoptr(AshRepo) archive = NULL;

	if (!ash_repo_open_archive(path, false, &archive, error))
		return FALSE;
	for (guint i = 0; i < drafts->len; i++) {
		AshRelease *draft = drafts->pdata[i];
		ASH_PREFIX("the draft of release %s (removing its file from '%s/pending' gives it up)",
				draft->version, publication->dir);
		bool is_known = false;
		/* Known: published by a run that was interrupted before it removed the draft. */
		if (!check_published(publication, draft, &is_known, error) ||
				(!is_known && (!make_deltas(publication, options, archive, draft,
							       progress, error) ||
							      !add_release(publication, draft,
									      error))))
			return FALSE;
	}
	return TRUE;
}

static gboolean save(AshPublication *publication, const AshPublicationLifetimes *lifetimes,
		AshProgress *progress, GError **error)
{
	bool is_late = false;

	if (!ash_publication_save(publication, lifetimes, &is_late, error))
		return FALSE;
	if (is_late)
		ash_progress_warn(progress,
				"the list of releases expires in %" G_GINT64_FORMAT
				" days, that of workloads in %" G_GINT64_FORMAT
				": publish with the keys of the roles targets and workloads before "
				"that",
				publication->targets_left_s / (24 * 60 * 60),
				publication->workloads_left_s / (24 * 60 * 60));
	return TRUE;
}

/* What is for other readers, once all is published; done again by the next run if cut short: the drafts go
 * last.
 */
static gboolean finish(AshPublication *publication, const GPtrArray *drafts,
		const GPtrArray *workloads, GError **error)
{
	g_autofree char *path = ash_publication_repo(publication);
	g_autoptr(AshRepo) archive = NULL;
	bool has_repo = false;

	if (!ash_file_exists(publication->fd, "repo", &has_repo, error))
		return FALSE;
	if (has_repo && drafts->len + workloads->len > 0 &&
			(!ash_repo_open_archive(path, false, &archive, error) ||
					!ash_repo_write_summary(archive, error)))
		return FALSE;
	for (guint i = 0; i < drafts->len; i++)
		if (!ash_draft_remove(publication, drafts->pdata[i], error))
			return FALSE;
	for (guint i = 0; i < workloads->len; i++)
		if (!ash_draft_remove_workload(publication, workloads->pdata[i], error))
			return FALSE;
	return TRUE;
}

gboolean ash_publish(AshPublication *publication, const AshPublishOptions *options,
		AshProgress *progress, GPtrArray **out_releases, GPtrArray **out_workloads,
		GError **error)
{
	g_autoptr(GPtrArray) drafts = NULL;
	g_autoptr(GPtrArray) workloads = NULL;

	if (!ash_draft_list(publication, &drafts, error) ||
			(drafts->len > 0 && !publish_drafts(publication, options, drafts, progress,
							    error)) ||
			!ash_publish_workload_drafts(publication, &workloads, error) ||
			!save(publication, &options->lifetimes, progress, error) ||
			!finish(publication, drafts, workloads, error))
		return FALSE;
	*out_releases = g_steal_pointer(&drafts);
	*out_workloads = g_steal_pointer(&workloads);
	return TRUE;
}

/* ---- recall --------------------------------------------------------------------------------------- */

static gboolean check_recall(const AshPublication *publication, const AshPublicationHost *host,
		const char *version, const char *to, GError **error)
{
	AshPublicationTarget *target;

	if (!ash_publication_get_release(publication, host, version, &target, error) ||
			(*to != '\0' && !ash_publication_get_release(
							publication, host, to, &target, error)))
		return FALSE;
	if (strcmp(version, to) == 0)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
				"a recall cannot lead from %s to itself", version);
	g_autofree char *path = ash_recall_path(host->name, host->variant, host->arch, to);
	if (*to != '\0' && ash_publication_find(publication, path) != NULL)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
				"%s is recalled itself, so no host would go there", to);
	return TRUE;
}

gboolean ash_publish_recall(AshPublication *publication, const AshPublicationHost *host,
		const char *version, const char *to, const char *reason,
		const AshPublicationLifetimes *lifetimes, AshProgress *progress, GError **error)
{
	const char *const more[] = {"to", to, NULL};
	g_autofree char *created = ash_signing_time(0);
	g_autoptr(AshRecall) recall = g_new0(AshRecall, 1);

	if (!check_recall(publication, host, version, to, error))
		return FALSE;
	recall->name = g_strdup(host->name);
	recall->variant = g_strdup(host->variant);
	recall->arch = g_strdup(host->arch);
	recall->version = g_strdup(version);
	recall->to = g_strdup(to);
	recall->reason = g_strdup(reason);
	recall->created = g_steal_pointer(&created);
	g_autofree char *path = ash_recall_path(host->name, host->variant, host->arch, version);
	g_autofree char *text = ash_recall_format(recall);
	g_autofree char *custom =
			make_custom("recall", host->name, host->variant, host->arch, version, more);
	g_autoptr(GBytes) document = g_bytes_new(text, strlen(text));
	return ash_publication_add(publication, path, document, custom, error) &&
	       save(publication, lifetimes, progress, error);
}

gboolean ash_publish_recall_workload(AshPublication *publication, const char *name,
		const char *version, const AshPublicationLifetimes *lifetimes,
		AshProgress *progress, GError **error)
{
	return ash_publish_workload_withdraw(publication, name, version, error) &&
	       save(publication, lifetimes, progress, error);
}
