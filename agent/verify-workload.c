/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/verify-workload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/paths.h"
#include "agent/staging.h"
#include "agent/verify.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/target.h"
#include "lib/version.h"
#include "lib/workload-target.h"
#include "lib/workload.h"

enum {
	MAX_SEEN_BYTES = ASH_VERSION_MAX_BYTES + 1,
	CUSTOM_DEPTH = 8,
};

typedef struct {
	int staging_fd;
	int signed_fd;      /* ASH_PATH_SIGNED */
	GPtrArray *targets; /* AshTufTarget: all that the role "workloads" names */
} Verify;

/* What was asked for; borrowed from the input. */
typedef struct {
	const char *name, *version; /* "" for the newest */
} Wanted;

/* Why one of them is not taken; "lower" and "not-found" are no errors of a domain. */
typedef struct {
	const char *word;
	char *text;
} Refusal;

static void refusal_clear(Refusal *refusal)
{
	g_free(refusal->text);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Refusal, refusal_clear)

/* ---- what is signed ------------------------------------------------------------------------------ */

/* "image" of the signed custom, when it is of the commit that the definition names; NULL: none. */
static JsonNode *find_image(const AshTufTarget *target, const char *digest)
{
	const char *text = target->custom != NULL ? target->custom : "";
	g_autoptr(GBytes) custom = g_bytes_new_static(text, strlen(text));
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshRelease) release = NULL;

	if (!ash_json_parse(custom, ASH_TARGET_MAX_BYTES, CUSTOM_DEPTH, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node))
		return NULL;
	JsonNode *image = json_object_get_member(json_node_get_object(node), "image");
	if (image == NULL)
		return NULL;
	g_autofree char *document = json_to_string(image, FALSE);
	g_autoptr(GBytes) bytes = g_bytes_new_static(document, strlen(document));
	if (!ash_release_parse(bytes, &release, NULL) || strcmp(release->commit, digest) != 0)
		return NULL;
	return json_node_copy(image);
}

/* The document has to say what its path says, and what may be signed at all. */
static gboolean check_document(const AshTufTarget *target, GBytes *bytes, const char *name,
		const char *version, JsonNode **out_image, GError **error)
{
	g_autoptr(AshWorkload) workload = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_workload_parse(target->path, bytes, &workload, &local))
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_UNTRUSTED, "%s",
				local->message);
	if (strcmp(workload->name, name) != 0 || strcmp(workload->version, version) != 0)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_UNTRUSTED,
				"%s: the document is of '%s' %s", target->path, workload->name,
				workload->version);
	if (!ash_workload_is_pinned(workload))
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_UNTRUSTED,
				"%s: its image '%s' is not pinned", target->path,
				workload->image.text);
	*out_image = find_image(target, workload->image.digest);
	return TRUE;
}

/* ---- what is here -------------------------------------------------------------------------------- */

/* The highest version that was ever taken; "" for none. */
static gboolean read_seen(const Verify *verify, const char *name, char **out_seen, GError **error)
{
	g_autofree char *path = g_strconcat(name, "/seen", NULL);
	g_autoptr(GBytes) bytes = NULL;
	bool is_there = false;

	if (!ash_file_exists(verify->signed_fd, path, &is_there, error) ||
			(is_there && !ash_file_read(verify->signed_fd, path, MAX_SEEN_BYTES, &bytes,
						     error)))
		return FALSE;
	g_autofree char *seen = g_strdup(bytes != NULL ? g_bytes_get_data(bytes, NULL) : "");
	g_strchomp(seen);
	/* Damaged: as if nothing had been seen, and the next one is written. */
	if (!ash_version_is_valid(seen))
		*seen = '\0';
	*out_seen = g_steal_pointer(&seen);
	return TRUE;
}

static bool is_signed(const Verify *verify, const char *path)
{
	for (guint i = 0; i < verify->targets->len; i++)
		if (strcmp(((const AshTufTarget *) verify->targets->pdata[i])->path, path) == 0)
			return true;
	return false;
}

/* Removes what is no longer signed, and names it. */
static gboolean drop_gone(
		const Verify *verify, const char *name, JsonBuilder *result, GError **error)
{
	int fd = openat(verify->signed_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	g_autoptr(AshDir) dir = fd >= 0 ? fdopendir(fd) : NULL;

	ash_json_begin_array(result, "gone");
	for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
		g_autofree char *version = g_strdup(entry->d_name);
		if (!g_str_has_suffix(version, ".json"))
			continue;
		version[strlen(version) - strlen(".json")] = '\0';
		g_autofree char *path = ash_workload_target_path(name, version);
		if (!ash_version_is_valid(version) || is_signed(verify, path))
			continue;
		json_builder_add_string_value(result, version);
		if (unlinkat(dirfd(dir), entry->d_name, 0) < 0 && errno != ENOENT)
			return ash_throw_errno(error, "removing %s", path);
	}
	json_builder_end_array(result);
	return TRUE;
}

/* The file first: whoever finds the version "seen" may count on it having been whole. */
static gboolean keep(const Verify *verify, const char *name, const char *version, GBytes *bytes,
		const char *seen, bool *out_is_new, GError **error)
{
	g_autofree char *file = g_strdup_printf("%s/%s.json", name, version);
	g_autofree char *seen_file = g_strconcat(name, "/seen", NULL);
	g_autofree char *line = g_strconcat(version, "\n", NULL);
	g_autoptr(GBytes) old = NULL;

	*out_is_new = !ash_file_read(verify->signed_fd, file, ASH_WORKLOAD_MAX_BYTES, &old, NULL) ||
		      !g_bytes_equal(old, bytes);
	return ash_file_ensure_dir(verify->signed_fd, name, 0700, error) &&
	       (!*out_is_new || ash_file_replace(verify->signed_fd, file,
						g_bytes_get_data(bytes, NULL),
						g_bytes_get_size(bytes), 0600, error)) &&
	       (ash_version_compare(version, seen) <= 0 ||
			       ash_file_replace(verify->signed_fd, seen_file, line, strlen(line),
					       0600, error));
}

/* ---- one of them --------------------------------------------------------------------------------- */

static void refuse(Refusal *refusal, const char *word, char *take_text)
{
	refusal->word = word;
	refusal->text = take_text;
}

/* The word of an error that concerns this document alone; NULL: it concerns the host. */
static const char *word_of(const GError *error)
{
	if (g_error_matches(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_MISSING))
		return "missing";
	if (g_error_matches(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_UNTRUSTED) ||
			error->domain == ASH_TUF_ERROR)
		return "untrusted";
	return NULL;
}

static void add_taken(JsonBuilder *result, const AshTufTarget *target, const char *version,
		bool is_new, JsonNode *take_image)
{
	if (take_image != NULL) {
		json_builder_set_member_name(result, "image");
		json_builder_add_value(result, take_image);
	}
	ash_json_add_text(result, "version", version);
	ash_json_add_text(result, "sha256", target->sha256);
	ash_json_add_bool(result, "is_new", is_new);
}

/* Sets @refusal when it is not taken. */
static gboolean take(const Verify *verify, const Wanted *wanted, JsonBuilder *result,
		Refusal *refusal, GError **error)
{
	g_autofree char *version = NULL;
	g_autofree char *seen = NULL;
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(JsonNode) image = NULL;
	g_autoptr(GError) local = NULL;
	const AshTufTarget *target = ash_workload_target_choose(
			verify->targets, wanted->name, wanted->version, &version);
	bool is_new = false;

	if (target == NULL) {
		refuse(refusal, "not-found",
				g_strdup_printf("nobody signed workload '%s'%s%s", wanted->name,
						*wanted->version != '\0' ? " " : "",
						wanted->version));
		return TRUE;
	}
	if (!read_seen(verify, wanted->name, &seen, error))
		return FALSE;
	if (*wanted->version == '\0' && ash_version_compare(version, seen) < 0) {
		refuse(refusal, "lower",
				g_strdup_printf("the newest that is signed of '%s' is %s, and %s was "
						"here: to go back, name the version",
						wanted->name, version, seen));
		return TRUE;
	}
	if (!ash_verify_read_document(
			    verify->staging_fd, target, ASH_WORKLOAD_MAX_BYTES, &bytes, &local) ||
			!check_document(target, bytes, wanted->name, version, &image, &local)) {
		const char *word = word_of(local);
		if (word == NULL) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
		refuse(refusal, word, g_strdup(local->message));
		return TRUE;
	}
	if (!keep(verify, wanted->name, version, bytes, seen, &is_new, error))
		return FALSE;
	add_taken(result, target, version, is_new, g_steal_pointer(&image));
	return TRUE;
}

static gboolean parse_wanted(JsonNode *node, Wanted *out_wanted, GError **error)
{
	Wanted wanted = {.version = ""};

	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE,
				"'wanted' is no list of objects");
	if (!ash_json_text(json_node_get_object(node), "name", &wanted.name, error) ||
			!ash_json_text_opt(json_node_get_object(node), "version", &wanted.version,
					error))
		return FALSE;
	if (!ash_workload_is_name(wanted.name) ||
			(*wanted.version != '\0' && !ash_version_is_valid(wanted.version)))
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE,
				"no workload can be called so");
	*out_wanted = wanted;
	return TRUE;
}

static gboolean run(
		const Verify *verify, JsonArray *wanted_list, JsonBuilder *result, GError **error)
{
	json_builder_begin_array(result);
	for (guint i = 0; i < json_array_get_length(wanted_list); i++) {
		g_auto(Refusal) refusal = {0};
		Wanted wanted = {"", ""};
		if (!parse_wanted(json_array_get_element(wanted_list, i), &wanted, error))
			return FALSE;
		json_builder_begin_object(result);
		ash_json_add_text(result, "name", wanted.name);
		if (!take(verify, &wanted, result, &refusal, error))
			return FALSE;
		ash_json_add_text(result, "word", refusal.word);
		ash_json_add_text(result, "text", refusal.text);
		if (!drop_gone(verify, wanted.name, result, error))
			return FALSE;
		json_builder_end_object(result);
	}
	json_builder_end_array(result);
	return TRUE;
}

static gboolean open_signed(const AshWorker *worker, int *out_fd, GError **error)
{
	g_autofree char *path = ash_worker_path(worker, ASH_PATH_SIGNED);

	if (!ash_file_ensure_dir(AT_FDCWD, path, 0700, error))
		return FALSE;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	*out_fd = fd;
	return TRUE;
}

static gboolean list_signed(AshTuf *tuf, int *staging_fd, GPtrArray **out_targets, GError **error)
{
	g_autoptr(GError) local = NULL;
	uint64_t version;

	if (ash_tuf_list_delegated(tuf, "workloads", "workload/", ash_verify_read_metadata,
			    staging_fd, &version, out_targets, &local))
		return TRUE;
	/* It was not fetched, or it was taken away. */
	if (g_error_matches(local, ASH_TUF_ERROR, ASH_TUF_ERROR_MISSING))
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_MISSING, "%s",
				local->message);
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

gboolean ash_verify_workload_take(const AshWorker *worker, int *staging_fd, AshTuf *tuf,
		JsonArray *wanted, JsonNode **out_workloads, GError **error)
{
	g_autoptr(JsonBuilder) workloads = json_builder_new();
	g_autoptr(GPtrArray) targets = NULL;
	ash_autofd int signed_fd = -1;

	if (json_array_get_length(wanted) > ASH_VERIFY_MAX_WORKLOADS)
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_LIMIT,
				"more than %d workloads", ASH_VERIFY_MAX_WORKLOADS);
	if (!open_signed(worker, &signed_fd, error) ||
			!list_signed(tuf, staging_fd, &targets, error))
		return FALSE;
	const Verify verify = {
			.staging_fd = *staging_fd, .signed_fd = signed_fd, .targets = targets};
	if (!run(&verify, wanted, workloads, error))
		return FALSE;
	*out_workloads = json_builder_get_root(workloads);
	return TRUE;
}

gboolean ash_verify_workload_run(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autofree char *staging = NULL;
	ash_autofd int staging_fd = -1;
	g_autoptr(AshTuf) tuf = NULL;
	JsonNode *workloads = NULL;
	JsonArray *wanted = NULL;
	int64_t now_s = 0;
	AshTufInfo info;

	if (!ash_json_int_opt(input, "now", &now_s, error) ||
			!ash_json_array(input, "wanted", &wanted, error) ||
			!ash_verify_staging(worker, input, &staging, error) ||
			!ash_staging_open(staging, &staging_fd, error) ||
			!ash_verify_open(worker, &staging_fd, now_s, &tuf, error) ||
			!ash_verify_workload_take(
					worker, &staging_fd, tuf, wanted, &workloads, error))
		return FALSE;
	json_builder_set_member_name(result, "workloads");
	json_builder_add_value(result, workloads);
	ash_tuf_get_info(tuf, &info);
	ash_json_add_int(result, "expires",
			MIN(MIN(info.root_expires_s, info.timestamp_expires_s),
					MIN(info.snapshot_expires_s, info.targets_expires_s)));
	return TRUE;
}
