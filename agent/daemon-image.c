/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/daemon.h"
#include "agent/paths.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/text.h"

/* An image of the publication comes as a release does: ashlar-link fetches its objects, ashlar-worker proves and imports
 * them. Its one order and the one job are the update machine's first: this goes on when that rests, and what it
 * interrupts is begun again.
 */

/* ---- which --------------------------------------------------------------------------------------- */

static bool is_here(const AshDaemon *daemon, const char *commit)
{
	/* Of `import` and of `image-import`: objects that no ref leads to may be half of it. */
	static const char *const refs[] = {"ashlar/deployed", "ashlar/oci/image"};
	bool is_there = false;

	for (size_t i = 0; !is_there && i < G_N_ELEMENTS(refs); i++) {
		g_autofree char *path = g_strdup_printf("%s" ASH_PATH_SYSROOT
							"/ostree/repo/refs/heads/%s/%s",
				daemon->root, refs[i], commit);
		if (!ash_file_exists(AT_FDCWD, path, &is_there, NULL))
			is_there = false;
	}
	return is_there;
}

static void take_one(AshDaemon *daemon, JsonObject *object, bool is_bundle)
{
	JsonObject *document = ash_json_find_object(object, "image");
	const char *commit = ash_json_find_text(document, "commit");
	const char *name = ash_json_find_text(object, "name");
	const char *version = ash_json_find_text(object, "version");

	if (commit == NULL || name == NULL || version == NULL || !ash_text_is_sha256(commit) ||
			is_here(daemon, commit))
		return;
	AshDaemonImage *image = g_new0(AshDaemonImage, 1);
	image->is_bundled = is_bundle;
	image->workload = g_strdup(name);
	image->version = g_strdup(version);
	image->commit = g_strdup(commit);
	image->document = json_to_string(json_object_get_member(object, "image"), FALSE);
	g_ptr_array_add(daemon->workloads.images, image);
}

void ash_daemon_image_take(AshDaemon *daemon, JsonArray *workloads, bool is_bundle)
{
	AshDaemonWorkloads *own = &daemon->workloads;

	/* No job of ours runs: one of the update machine has brought this. */
	if (!is_bundle)
		g_ptr_array_set_size(own->images, 0);
	/* One of the list before was begun just now: its answer would be nobody's. */
	if (own->is_fetching) {
		own->is_fetching = false;
		ash_daemon_drop_order(daemon);
	}
	for (guint i = 0; workloads != NULL && i < json_array_get_length(workloads); i++)
		take_one(daemon, json_array_get_object_element(workloads, i), is_bundle);
}

static AshDaemonImage *find_next(const AshDaemon *daemon)
{
	for (guint i = 0; i < daemon->workloads.images->len; i++) {
		AshDaemonImage *image = daemon->workloads.images->pdata[i];
		if (!image->has_failed)
			return image;
	}
	return NULL;
}

/* ---- fetching and importing ---------------------------------------------------------------------- */

static bool is_quiet(const AshDaemon *daemon)
{
	AshUpdateState state = daemon->update->state;

	return daemon->has_started && daemon->job == NULL && !daemon->must_inspect &&
	       daemon->order_deadline_us == INT64_MAX &&
	       (state == ASH_UPDATE_IDLE || state == ASH_UPDATE_READY);
}

static void fail(AshDaemon *daemon, const char *text)
{
	AshDaemonImage *image = find_next(daemon);
	AshDaemonRefusal *refusal = g_new0(AshDaemonRefusal, 1);

	if (image == NULL) {
		g_free(refusal);
		return;
	}
	g_message("workload %s %s: its image: %s", image->workload, image->version, text);
	image->has_failed = true;
	refusal->name = g_strdup(image->workload);
	refusal->version = g_strdup(image->version);
	refusal->word = g_strdup("image");
	refusal->text = g_strdup(text);
	g_ptr_array_add(daemon->workloads.unverified, refusal);
	ash_daemon_fleet_news(daemon);
	ash_daemon_image_next(daemon);
}

static void import(AshDaemon *daemon, const AshDaemonImage *image)
{
	daemon->workloads.is_importing =
			ash_daemon_begin_image_job(daemon, image->document, image->is_bundled);
	if (!daemon->workloads.is_importing)
		fail(daemon, "it cannot be imported now");
}

void ash_daemon_image_next(AshDaemon *daemon)
{
	const AshDaemonImage *image = find_next(daemon);

	if (image == NULL || !is_quiet(daemon))
		return;
	if (image->is_bundled) {
		import(daemon, image);
		return;
	}
	if (daemon->settings->updates.url == NULL)
		return;
	g_message("workload %s %s: fetching its image %.12s", image->workload, image->version,
			image->commit);
	ash_daemon_give_image_order(daemon, image->document);
	daemon->workloads.is_fetching = true;
	ash_daemon_set_timer(daemon);
}

void ash_daemon_image_fetched(AshDaemon *daemon, const char *word, const char *text)
{
	const AshDaemonImage *image = find_next(daemon);

	daemon->workloads.is_fetching = false;
	if (word != NULL || image == NULL) {
		fail(daemon, text);
		return;
	}
	/* Nothing is in its way: the order was standing, so the machine rests. */
	import(daemon, image);
}

void ash_daemon_image_imported(AshDaemon *daemon, const char *failure)
{
	AshDaemonImage *image = find_next(daemon);

	daemon->workloads.is_importing = false;
	if (failure != NULL || image == NULL) {
		fail(daemon, failure != NULL ? failure : "nobody wants it any more");
		return;
	}
	g_ptr_array_remove(daemon->workloads.images, image);
	ash_daemon_workload_tell(daemon);
	ash_daemon_image_next(daemon);
}
