/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/paths.h"
#include "agent/source.h"
#include "agent/staging.h"
#include "agent/verify-workload.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/target.h"
#include "lib/tuf.h"

enum {
	DOCUMENT_DEPTH = 8,
};

/* What the job's input says; all borrowed from it. */
typedef struct {
	AshTargetHost host;
	const char *wanted; /* NULL: the newest */
	JsonObject *bad;    /* NULL: none */
	int64_t now_s;
} Input;

typedef struct {
	Input input;
	int staging_fd;
	bool is_bundle;
	AshTuf *tuf;
	GPtrArray *targets; /* AshTufTarget */
	GPtrArray *entries; /* AshTargetEntry: those that concern this host, … */
	GPtrArray *sources; /* … and of which of @targets each is */
	int64_t newest_s;   /* the latest "created" of a document that was read */
} Verify;

gboolean ash_verify_staging(
		const AshWorker *worker, JsonObject *input, char **out_path, GError **error)
{
	const char *path = ASH_PATH_STAGING;

	if (!ash_json_text_opt(input, "staging", &path, error))
		return FALSE;
	if (!g_str_equal(path, ASH_PATH_STAGING) && !g_str_equal(path, ASH_PATH_BUNDLE))
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_FAILED,
				"'%s' is no staging directory", path);
	*out_path = ash_worker_path(worker, path);
	return TRUE;
}

static gboolean parse_input(JsonObject *object, Input *out_input, GError **error)
{
	Input input = {.host = {"", "", "", "", ""}};

	if (!ash_json_int_opt(object, "now", &input.now_s, error) ||
			!ash_json_text_opt(object, "name", &input.host.name, error) ||
			!ash_json_text_opt(object, "variant", &input.host.variant, error) ||
			!ash_json_text_opt(object, "arch", &input.host.arch, error) ||
			!ash_json_text_opt(object, "version", &input.host.version, error) ||
			!ash_json_text_opt(object, "commit", &input.host.commit, error))
		return FALSE;
	if (json_object_has_member(object, "wanted") &&
			!json_object_get_null_member(object, "wanted") &&
			!ash_json_text(object, "wanted", &input.wanted, error))
		return FALSE;
	if (g_strcmp0(input.wanted, "") == 0)
		input.wanted = NULL;
	if (json_object_has_member(object, "bad") &&
			!ash_json_object(object, "bad", &input.bad, error))
		return FALSE;
	*out_input = input;
	return TRUE;
}

static const char *is_bad(const char *commit, gconstpointer data)
{
	const Input *input = data;
	const char *kind = NULL;

	if (input->bad == NULL || !json_object_has_member(input->bad, commit))
		return NULL;
	return ash_json_text(input->bad, commit, &kind, NULL) ? kind : "bad";
}

/* ---- metadata -------------------------------------------------------------------------------- */

/* AshTufFetch: what the downloader left. Whatever is wrong with a file, as a link or a pipe in its
 * place, is as if a server had no such file, but for its size.
 */
gboolean ash_verify_read_metadata(const char *name, size_t max_bytes, gpointer data,
		GBytes **out_bytes, GError **error)
{
	const int *staging_fd = data;
	g_autofree char *path = g_strconcat("metadata/", name, NULL);
	g_autoptr(GError) local = NULL;

	if (strchr(name, '/') == NULL &&
			ash_staging_read(*staging_fd, path, max_bytes, out_bytes, &local))
		return TRUE;
	if (g_error_matches(local, ASH_STAGING_ERROR, ASH_STAGING_ERROR_TOO_BIG))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_TOO_BIG, "%s", local->message);
	return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_FETCH_NOT_FOUND, "%s",
			local != NULL ? local->message : "no metadata file has such a name");
}

/* See verify.h; ash_tuf_init takes a root only over a lower one, or over one that is damaged. */
static gboolean open_trust(const AshWorker *worker, int64_t now_s, AshTuf **out_tuf, GError **error)
{
	g_autofree char *root_path = ash_worker_path(worker, ASH_PATH_ROOT_JSON);
	g_autofree char *dir = g_build_filename(worker->state, "tuf", NULL);
	g_autoptr(GBytes) root = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_file_read(AT_FDCWD, root_path, ASH_TUF_MAX_ROOT_BYTES, &root, &local))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_NO_ROOT,
				"this image trusts nobody: %s", local->message);
	return ash_file_ensure_dir(AT_FDCWD, worker->state, 0700, error) &&
	       ash_file_ensure_dir(AT_FDCWD, dir, 0700, error) && ash_tuf_init(dir, root, error) &&
	       ash_tuf_open(dir, now_s, out_tuf, error);
}

static char *format_time(int64_t time_s)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(time_s);

	return time != NULL ? g_date_time_format(time, "%Y-%m-%d %H:%M UTC") : g_strdup("nothing");
}

static gboolean refresh(AshTuf *tuf, int *staging_fd, int64_t now_s, GError **error)
{
	g_autoptr(GError) local = NULL;

	if (ash_tuf_refresh(tuf, ash_verify_read_metadata, staging_fd, &local))
		return TRUE;
	if (g_error_matches(local, ASH_TUF_ERROR, ASH_TUF_ERROR_EXPIRED)) {
		g_autofree char *now = format_time(now_s);
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_EXPIRED,
				"%s; this host's clock says %s: either nobody signs any more, or "
				"the clock is wrong",
				local->message, now);
	}
	/* Nothing was fetched, or it was taken away. */
	if (g_error_matches(local, ASH_TUF_ERROR, ASH_TUF_ERROR_MISSING))
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_MISSING, "%s",
				local->message);
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

gboolean ash_verify_open(const AshWorker *worker, int *staging_fd, int64_t now_s, AshTuf **out_tuf,
		GError **error)
{
	g_autoptr(AshTuf) tuf = NULL;

	if (!open_trust(worker, now_s, &tuf, error) || !refresh(tuf, staging_fd, now_s, error))
		return FALSE;
	*out_tuf = g_steal_pointer(&tuf);
	return TRUE;
}

/* ---- documents ------------------------------------------------------------------------------- */

static char *document_path(const AshTufTarget *target)
{
	g_autofree char *location = ash_tuf_target_location(target);

	return g_strconcat("targets/", location, NULL);
}

/* A bundle holds what somebody put into it; its metadata names all that is published. What it does not hold is for
 * another bundle: a release is none of its candidates, a recall counts as the metadata signs it.
 */
static bool is_left_out(const Verify *verify, const AshTufTarget *target)
{
	g_autofree char *path = document_path(target);
	struct stat about;

	return verify->is_bundle &&
	       fstatat(verify->staging_fd, path, &about, AT_SYMLINK_NOFOLLOW) != 0 &&
	       errno == ENOENT;
}

static void find_candidates(Verify *verify)
{
	for (guint i = 0; i < verify->targets->len; i++) {
		AshTufTarget *target = g_ptr_array_index(verify->targets, i);
		AshTargetEntry *entry = ash_target_entry_new(
				&verify->input.host, target->path, target->custom);
		if (entry == NULL)
			continue;
		if (!entry->is_recall && is_left_out(verify, target)) {
			ash_target_entry_free(entry);
			continue;
		}
		g_ptr_array_add(verify->entries, entry);
		g_ptr_array_add(verify->sources, target);
	}
}

gboolean ash_verify_read_document(int staging_fd, const AshTufTarget *target, size_t max_bytes,
		GBytes **out_bytes, GError **error)
{
	g_autofree char *path = document_path(target);
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_staging_read(staging_fd, path, max_bytes, &bytes, &local)) {
		bool is_missing = g_error_matches(
				local, ASH_STAGING_ERROR, ASH_STAGING_ERROR_MISSING);
		return ash_throw(error, ASH_WORKER_ERROR,
				is_missing ? ASH_WORKER_ERROR_MISSING : ASH_WORKER_ERROR_UNTRUSTED,
				"%s", local->message);
	}
	if (!ash_tuf_target_verify(target, bytes, error))
		return FALSE;
	*out_bytes = g_steal_pointer(&bytes);
	return TRUE;
}

static gboolean read_document(const Verify *verify, guint index, GBytes **out_bytes, GError **error)
{
	return ash_verify_read_document(verify->staging_fd,
			g_ptr_array_index(verify->sources, index), ASH_TARGET_MAX_BYTES, out_bytes,
			error);
}

static void take_created(Verify *verify, const char *created)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(created, NULL);

	if (time != NULL)
		verify->newest_s = MAX(verify->newest_s, g_date_time_to_unix(time));
}

static gboolean throw_disagree(const char *member, const char *signed_value, const char *value,
		AshTargetError code, GError **error)
{
	return ash_throw(error, ASH_TARGET_ERROR, (int) code,
			"the document says %s '%s', the metadata '%s'", member, value,
			signed_value);
}

static gboolean check_host(const AshTargetHost *host, const char *name, const char *variant,
		const char *arch, GError **error)
{
	if (!g_str_equal(name, host->name))
		return throw_disagree("name", host->name, name, ASH_TARGET_ERROR_WRONG_NAME, error);
	if (!g_str_equal(variant, host->variant))
		return throw_disagree("variant", host->variant, variant,
				ASH_TARGET_ERROR_WRONG_VARIANT, error);
	if (!g_str_equal(arch, host->arch))
		return throw_disagree("architecture", host->arch, arch, ASH_TARGET_ERROR_WRONG_ARCH,
				error);
	return TRUE;
}

static gboolean check_member(const char *member, const char *in_metadata, const char *in_document,
		GError **error)
{
	if (g_strcmp0(in_metadata, in_document) == 0)
		return TRUE;
	return throw_disagree(member, in_metadata != NULL ? in_metadata : "", in_document,
			ASH_TARGET_ERROR_WRONG_NAME, error);
}

static gboolean read_release(Verify *verify, guint index, GBytes **out_bytes, GError **error)
{
	const AshTargetEntry *entry = g_ptr_array_index(verify->entries, index);
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(AshRelease) release = NULL;

	ASH_PREFIX("%s", entry->path);
	if (!read_document(verify, index, &bytes, error) ||
			!ash_release_parse(bytes, &release, error) ||
			!check_host(&verify->input.host, release->name, release->variant,
					release->arch, error) ||
			!check_member("version", entry->version, release->version, error) ||
			!check_member("commit", entry->commit, release->commit, error) ||
			!check_member("replaces-min", entry->replaces_min, release->replaces_min,
					error))
		return FALSE;
	g_autofree char *path = ash_release_path(
			release->name, release->variant, release->arch, release->version);
	if (!check_member("path", entry->path, path, error))
		return FALSE;
	take_created(verify, release->created);
	*out_bytes = g_steal_pointer(&bytes);
	return TRUE;
}

static gboolean read_recall(Verify *verify, guint index, GError **error)
{
	const AshTargetEntry *entry = g_ptr_array_index(verify->entries, index);
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(AshRecall) recall = NULL;

	ASH_PREFIX("%s", entry->path);
	if (!read_document(verify, index, &bytes, error) ||
			!ash_recall_parse(bytes, &recall, error) ||
			!check_host(&verify->input.host, recall->name, recall->variant,
					recall->arch, error) ||
			!check_member("version", entry->version, recall->version, error) ||
			!check_member("to", entry->to, recall->to, error))
		return FALSE;
	take_created(verify, recall->created);
	return TRUE;
}

/* Later in the list is newer, as a rule; the downloader fetches them in the same order. */
static gboolean read_recalls(Verify *verify, GError **error)
{
	guint count = 0;

	for (guint i = verify->entries->len; i-- > 0 && count < ASH_SOURCE_MAX_RECALLS;) {
		const AshTargetEntry *entry = g_ptr_array_index(verify->entries, i);
		if (!entry->is_recall)
			continue;
		count++;
		if (!is_left_out(verify, g_ptr_array_index(verify->sources, i)) &&
				!read_recall(verify, i, error))
			return FALSE;
	}
	return TRUE;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static gboolean add_release(JsonBuilder *result, GBytes *document, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(document, ASH_TARGET_MAX_BYTES, DOCUMENT_DEPTH, &node, error))
		return FALSE;
	json_builder_set_member_name(result, "release");
	json_builder_add_value(result, g_steal_pointer(&node));
	return TRUE;
}

static void add_refusals(JsonBuilder *result, const GPtrArray *refusals)
{
	ash_json_begin_array(result, "refusals");
	for (guint i = 0; refusals != NULL && i < refusals->len; i++) {
		const AshTargetRefusal *refusal = g_ptr_array_index(refusals, i);
		json_builder_begin_object(result);
		ash_json_add_text(result, "version", refusal->version);
		ash_json_add_text(result, "commit", refusal->commit);
		ash_json_add_text(result, "reason", refusal->reason);
		ash_json_add_text(result, "text", refusal->text);
		json_builder_end_object(result);
	}
	json_builder_end_array(result);
}

static void add_info(JsonBuilder *result, const AshTuf *tuf)
{
	AshTufInfo info;

	ash_tuf_get_info(tuf, &info);
	ash_json_begin_object(result, "tuf");
	ash_json_add_uint(result, "root", info.root_version);
	ash_json_add_uint(result, "timestamp", info.timestamp_version);
	ash_json_add_uint(result, "snapshot", info.snapshot_version);
	ash_json_add_uint(result, "targets", info.targets_version);
	json_builder_end_object(result);
	ash_json_add_int(result, "expires",
			MIN(MIN(info.root_expires_s, info.timestamp_expires_s),
					MIN(info.snapshot_expires_s, info.targets_expires_s)));
}

static gboolean choose(Verify *verify, JsonBuilder *result, GError **error)
{
	g_autoptr(GPtrArray) refusals = NULL;
	g_autoptr(GBytes) document = NULL;
	bool is_recall = false;
	int chosen = -1;

	ash_target_choose(&verify->input.host, verify->entries, is_bad, &verify->input,
			verify->input.wanted, &chosen, &is_recall, &refusals);
	if (!read_recalls(verify, error) ||
			(chosen >= 0 && !read_release(verify, (guint) chosen, &document, error)))
		return FALSE;
	if (document == NULL) {
		json_builder_set_member_name(result, "release");
		json_builder_add_null_value(result);
	} else if (!add_release(result, document, error)) {
		return FALSE;
	}
	ash_json_add_bool(result, "is_recall", is_recall);
	add_refusals(result, refusals);
	add_info(result, verify->tuf);
	ash_json_add_int(result, "newest_signed", verify->newest_s);
	return TRUE;
}

/* Workloads of the same check. What is wrong with them is said, and keeps no release back. */
static gboolean take_workloads(Verify *verify, const AshWorker *worker, JsonObject *input,
		JsonBuilder *result, GError **error)
{
	g_autoptr(GError) local = NULL;
	JsonArray *wanted = NULL;
	JsonNode *workloads = NULL;

	if (!json_object_has_member(input, "workloads"))
		return TRUE;
	if (!ash_json_array(input, "workloads", &wanted, error))
		return FALSE;
	if (ash_verify_workload_take(
			    worker, &verify->staging_fd, verify->tuf, wanted, &workloads, &local)) {
		json_builder_set_member_name(result, "workloads");
		json_builder_add_value(result, workloads);
	} else {
		ash_json_add_text(result, "workloads_error", local->message);
	}
	return TRUE;
}

static gboolean run(Verify *verify, const AshWorker *worker, JsonBuilder *result, GError **error)
{
	if (!ash_verify_open(worker, &verify->staging_fd, verify->input.now_s, &verify->tuf,
			    error) ||
			!ash_tuf_list_targets(verify->tuf, "host/", &verify->targets, error))
		return FALSE;
	find_candidates(verify);
	return choose(verify, result, error);
}

gboolean ash_verify_run(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autofree char *staging = NULL;
	ash_autofd int staging_fd = -1;
	Verify verify = {0};

	if (!parse_input(input, &verify.input, error) ||
			!ash_verify_staging(worker, input, &staging, error) ||
			!ash_staging_open(staging, &staging_fd, error))
		return FALSE;
	verify.staging_fd = staging_fd;
	verify.is_bundle = g_str_has_suffix(staging, ASH_PATH_BUNDLE);
	verify.entries = g_ptr_array_new_with_free_func((GDestroyNotify) ash_target_entry_free);
	verify.sources = g_ptr_array_new();
	gboolean is_ok = run(&verify, worker, result, error) &&
			 take_workloads(&verify, worker, input, result, error);
	g_ptr_array_unref(verify.sources);
	g_ptr_array_unref(verify.entries);
	g_clear_pointer(&verify.targets, g_ptr_array_unref);
	g_clear_pointer(&verify.tuf, ash_tuf_free);
	return is_ok;
}
