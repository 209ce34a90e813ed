/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/update-store.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/paths.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_update_store_error_quark, ash_update_store_error)

enum {
	FORMAT = 1,
	MAX_DEPTH = 8,
	RESERVE_BYTES = 128 << 10,
	RESERVE_LEAST_BYTES = 8 << 10,
};

/* ---- text ---------------------------------------------------------------------------------------- */

static void add_ref(JsonBuilder *builder, const char *key, const AshUpdateRef *ref)
{
	if (ref->commit == NULL)
		return;
	ash_json_begin_object(builder, key);
	ash_json_add_text(builder, "commit", ref->commit);
	ash_json_add_text(builder, "version", ref->version);
	json_builder_end_object(builder);
}

static void add_refs(JsonBuilder *builder, const char *key, const GPtrArray *refs)
{
	ash_json_begin_array(builder, key);
	for (guint i = 0; i < refs->len; i++) {
		const AshUpdateRef *ref = refs->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "commit", ref->commit);
		ash_json_add_text(builder, "version", ref->version);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

static void add_failed(JsonBuilder *builder, const GPtrArray *list)
{
	ash_json_begin_array(builder, "failed");
	for (guint i = 0; i < list->len; i++) {
		const AshUpdateFailed *failed = list->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "commit", failed->commit);
		ash_json_add_text(builder, "version", failed->version);
		ash_json_add_text(builder, "kind", failed->is_held ? "held" : "bad");
		ash_json_add_text(builder, "reason", failed->reason);
		ash_json_add_int(builder, "at", failed->at_s);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

static void add_told(JsonBuilder *builder, const AshUpdate *update)
{
	ash_json_add_uint(builder, "told_id", update->told_id);
	ash_json_begin_array(builder, "told");
	for (guint i = 0; i < update->told->len; i++) {
		const AshUpdateNote *note = update->told->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "event", note->event);
		ash_json_add_text(builder, "commit", note->commit);
		ash_json_add_text(builder, "version", note->version);
		ash_json_add_text(builder, "text", note->text);
		ash_json_add_text(builder, "word", note->word);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

/* A check that nobody asked for is not worth a write: after a restart it is simply due again. */
AshUpdateState ash_update_settled_state(const AshUpdate *update)
{
	bool is_check = update->state == ASH_UPDATE_CHECKING ||
			(update->state == ASH_UPDATE_VERIFYING && update->bundle == NULL);

	if (!is_check || update->is_forced)
		return update->state;
	return update->document != NULL ? ASH_UPDATE_READY : ASH_UPDATE_IDLE;
}

char *ash_update_format(const AshUpdate *update)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	AshUpdateState state = ash_update_settled_state(update);
	bool is_same = state == update->state;

	json_builder_begin_object(builder);
	ash_json_add_int(builder, "format", FORMAT);
	ash_json_add_text(builder, "state", ash_update_state_text(state));
	ash_json_add_int(builder, "since",
			is_same && state != ASH_UPDATE_IDLE ? update->since_s : 0);
	ash_json_add_text(builder, "boot_id", update->boot_id);
	add_ref(builder, "booted", &update->booted);
	add_ref(builder, "target", &update->target);
	add_ref(builder, "from", &update->from);
	ash_json_add_text(builder, "document", update->document);
	ash_json_add_text(builder, "method", update->method);
	ash_json_add_text(builder, "delta", update->delta);
	ash_json_add_uint(builder, "bytes", update->bytes);
	ash_json_add_bool(builder, "is_recall", update->is_recall);
	ash_json_add_bool(builder, "is_switch", update->is_switch);
	ash_json_add_bool(builder, "is_forced", update->is_forced);
	ash_json_add_text(builder, "wanted", is_same ? update->wanted : NULL);
	ash_json_add_text(builder, "bundle", update->bundle);
	ash_json_add_uint(builder, "attempts", update->attempts);
	ash_json_add_text(builder, "bad_reason", update->bad_reason);
	ash_json_add_int(builder, "clock_floor", update->clock_floor_s);
	ash_json_add_text(builder, "degraded", update->degraded);
	add_told(builder, update);
	add_failed(builder, update->failed);
	add_refs(builder, "good", update->good);
	add_refs(builder, "pinned", update->pinned);
	json_builder_end_object(builder);
	return ash_json_format(builder, true);
}

/* ---- parsing ------------------------------------------------------------------------------------- */

static gboolean read_ref(JsonObject *object, const char **out_commit, const char **out_version,
		GError **error)
{
	*out_version = NULL;
	if (!ash_json_text(object, "commit", out_commit, error) ||
			!ash_json_text_opt(object, "version", out_version, error))
		return FALSE;
	return ash_text_is_sha256(*out_commit) ||
	       ash_throw(error, ASH_UPDATE_STORE_ERROR, ASH_UPDATE_STORE_ERROR_SYNTAX,
			       "'%.70s' is no commit", *out_commit);
}

static gboolean parse_ref(JsonObject *root, const char *key, AshUpdateRef *ref, GError **error)
{
	JsonObject *object = NULL;
	const char *commit = NULL, *version = NULL;

	if (!json_object_has_member(root, key))
		return TRUE;
	if (!ash_json_object(root, key, &object, error) ||
			!read_ref(object, &commit, &version, error))
		return FALSE;
	ash_update_ref_set(ref, commit, version);
	return TRUE;
}

/* The object at @index; NULL with an error when it is none. */
static JsonObject *element(JsonArray *array, guint index, GError **error)
{
	JsonNode *node = json_array_get_element(array, index);

	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw_null(error, ASH_UPDATE_STORE_ERROR, ASH_UPDATE_STORE_ERROR_SYNTAX,
				"a list holds something that is no object");
	return json_node_get_object(node);
}

static gboolean list_of(
		JsonObject *root, const char *key, guint max, JsonArray **out_array, GError **error)
{
	*out_array = NULL;
	if (!json_object_has_member(root, key))
		return TRUE;
	if (!ash_json_array(root, key, out_array, error))
		return FALSE;
	return json_array_get_length(*out_array) <= max ||
	       ash_throw(error, ASH_UPDATE_STORE_ERROR, ASH_UPDATE_STORE_ERROR_SYNTAX,
			       "'%s' has more than %u entries", key, max);
}

static gboolean parse_refs(
		JsonObject *root, const char *key, guint max, GPtrArray *refs, GError **error)
{
	JsonArray *array = NULL;

	if (!list_of(root, key, max, &array, error))
		return FALSE;
	for (guint i = 0; array != NULL && i < json_array_get_length(array); i++) {
		JsonObject *object = element(array, i, error);
		const char *commit = NULL, *version = NULL;

		if (object == NULL || !read_ref(object, &commit, &version, error))
			return FALSE;
		AshUpdateRef *ref = g_new0(AshUpdateRef, 1);
		ash_update_ref_set(ref, commit, version);
		g_ptr_array_add(refs, ref);
	}
	return TRUE;
}

static gboolean parse_failed(JsonObject *root, AshUpdate *update, GError **error)
{
	JsonArray *array = NULL;

	if (!list_of(root, "failed", ASH_UPDATE_MAX_FAILED, &array, error))
		return FALSE;
	for (guint i = 0; array != NULL && i < json_array_get_length(array); i++) {
		JsonObject *object = element(array, i, error);
		const char *commit = NULL, *version = NULL, *kind = NULL, *reason = "";
		int64_t at_s = 0;

		if (object == NULL || !read_ref(object, &commit, &version, error) ||
				!ash_json_text(object, "kind", &kind, error) ||
				!ash_json_text_opt(object, "reason", &reason, error) ||
				!ash_json_int_opt(object, "at", &at_s, error))
			return FALSE;
		AshUpdateFailed *failed = g_new0(AshUpdateFailed, 1);
		failed->commit = g_strdup(commit);
		failed->version = g_strdup(version);
		failed->is_held = strcmp(kind, "held") == 0;
		failed->reason = g_strdup(reason);
		failed->at_s = at_s;
		g_ptr_array_add(update->failed, failed);
	}
	return TRUE;
}

static gboolean parse_told(JsonObject *root, AshUpdate *update, GError **error)
{
	JsonArray *array = NULL;

	if (!ash_json_uint_opt(root, "told_id", G_MAXINT32, &update->told_id, error) ||
			!list_of(root, "told", ASH_UPDATE_MAX_TOLD, &array, error))
		return FALSE;
	for (guint i = 0; array != NULL && i < json_array_get_length(array); i++) {
		JsonObject *object = element(array, i, error);
		const char *event = NULL, *commit = NULL, *version = NULL, *text = "", *word = NULL;

		if (object == NULL || !ash_json_text(object, "event", &event, error) ||
				!ash_json_text_opt(object, "commit", &commit, error) ||
				!ash_json_text_opt(object, "version", &version, error) ||
				!ash_json_text_opt(object, "text", &text, error) ||
				!ash_json_text_opt(object, "word", &word, error))
			return FALSE;
		AshUpdateNote *note = g_new0(AshUpdateNote, 1);
		note->event = g_intern_string(event);
		note->commit = g_strdup(commit);
		note->version = g_strdup(version);
		note->text = g_strdup(text);
		note->word = g_intern_string(word);
		g_ptr_array_add(update->told, note);
	}
	return TRUE;
}

static gboolean parse_text(JsonObject *root, const char *key, char **out_text, GError **error)
{
	const char *text = NULL;

	if (!ash_json_text_opt(root, key, &text, error))
		return FALSE;
	*out_text = g_strdup(text);
	return TRUE;
}

static gboolean parse_target(JsonObject *root, AshUpdate *update, GError **error)
{
	uint64_t attempts = 0;

	if (!parse_ref(root, "booted", &update->booted, error) ||
			!parse_ref(root, "target", &update->target, error) ||
			!parse_ref(root, "from", &update->from, error) ||
			!parse_text(root, "document", &update->document, error) ||
			!parse_text(root, "method", &update->method, error) ||
			!parse_text(root, "delta", &update->delta, error) ||
			!parse_text(root, "wanted", &update->wanted, error) ||
			!parse_text(root, "bundle", &update->bundle, error) ||
			!parse_text(root, "bad_reason", &update->bad_reason, error) ||
			!ash_json_uint_opt(root, "bytes", G_MAXINT64, &update->bytes, error) ||
			!ash_json_bool_opt(root, "is_recall", &update->is_recall, error) ||
			!ash_json_bool_opt(root, "is_switch", &update->is_switch, error) ||
			!ash_json_bool_opt(root, "is_forced", &update->is_forced, error) ||
			!ash_json_uint_opt(root, "attempts", 1000, &attempts, error))
		return FALSE;
	update->attempts = (unsigned) attempts;
	return TRUE;
}

/* A state without what it needs cannot be gone on with: the machine begins anew from idle. */
static bool is_whole(const AshUpdate *update)
{
	switch (update->state) {
	case ASH_UPDATE_PLANNING:
	case ASH_UPDATE_READY:
	case ASH_UPDATE_DEPLOYING:
		return update->target.commit != NULL && update->document != NULL;
	case ASH_UPDATE_FETCHING:
	case ASH_UPDATE_IMPORTING:
		return update->target.commit != NULL && update->document != NULL &&
		       update->method != NULL;
	case ASH_UPDATE_SWITCHING:
	case ASH_UPDATE_REBOOTING:
	case ASH_UPDATE_TRIAL:
	case ASH_UPDATE_CONDEMNING:
	case ASH_UPDATE_RETURNING:
		return update->target.commit != NULL;
	case ASH_UPDATE_BUNDLING:
		return update->bundle != NULL;
	case ASH_UPDATE_IDLE:
	case ASH_UPDATE_CHECKING:
	case ASH_UPDATE_VERIFYING:
	case ASH_UPDATE_BLESSING:
	case ASH_UPDATE_CLEANING:
		break;
	}
	return true;
}

gboolean ash_update_parse(GBytes *json, AshUpdate **out_update, GError **error)
{
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshUpdate) update = ash_update_new();
	const char *state = NULL;
	uint64_t format = 0;

	if (!ash_json_parse(json, ASH_UPDATE_STORE_MAX_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_UPDATE_STORE_ERROR, ASH_UPDATE_STORE_ERROR_SYNTAX,
				"expected an object");
	JsonObject *root = json_node_get_object(node);

	if (!ash_json_uint(root, "format", G_MAXINT32, &format, error) ||
			!ash_json_text(root, "state", &state, error) ||
			!ash_json_int_opt(root, "since", &update->since_s, error) ||
			!parse_text(root, "boot_id", &update->boot_id, error) ||
			!parse_target(root, update, error) ||
			!ash_json_int_opt(root, "clock_floor", &update->clock_floor_s, error) ||
			!parse_text(root, "degraded", &update->degraded, error) ||
			!parse_told(root, update, error) || !parse_failed(root, update, error) ||
			!parse_refs(root, "good", ASH_UPDATE_MAX_GOOD, update->good, error) ||
			!parse_refs(root, "pinned", ASH_UPDATE_MAX_PINNED, update->pinned, error))
		return FALSE;
	/* A later agent's word for a state: what booted says the rest. */
	if (!ash_update_state_parse(state, &update->state, format > FORMAT ? NULL : error)) {
		if (format <= FORMAT)
			return FALSE;
		update->state = ASH_UPDATE_IDLE;
	}
	if (!is_whole(update))
		return ash_throw(error, ASH_UPDATE_STORE_ERROR, ASH_UPDATE_STORE_ERROR_SYNTAX,
				"'%s' without what it is about", state);
	*out_update = g_steal_pointer(&update);
	return TRUE;
}

/* ---- disk ---------------------------------------------------------------------------------------- */

static char *store_path(const char *root)
{
	return g_build_filename(root, ASH_PATH_STATE, "state.json", NULL);
}

static gboolean put_aside(const char *path, GError **error)
{
	g_autofree char *broken = g_strconcat(path, ".broken", NULL);

	if (rename(path, broken) != 0)
		return ash_throw_errno(error, "renaming %s", path);
	return ash_file_sync_parent(AT_FDCWD, path, error);
}

gboolean ash_update_load(
		const char *root, AshUpdate **out_update, char **out_warning, GError **error)
{
	g_autofree char *path = store_path(root);
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GError) local = NULL;

	*out_warning = NULL;
	if (ash_file_read(AT_FDCWD, path, ASH_UPDATE_STORE_MAX_BYTES, &bytes, &local) &&
			ash_update_parse(bytes, out_update, &local))
		return TRUE;
	if (!g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
		/* What cannot be read for want of a working disk is no broken file. */
		if (local->domain == G_IO_ERROR) {
			g_propagate_prefixed_error(error, g_steal_pointer(&local), "%s: ", path);
			return FALSE;
		}
		if (!put_aside(path, error))
			return FALSE;
		*out_warning = g_strdup_printf(
				"%s was broken and is put aside: %s", path, local->message);
	}
	*out_update = ash_update_new();
	return TRUE;
}

/* Room that nobody else can have: as much as there is, up to the most. Without any a full /var is what it would be
 * anyway.
 */
static void make_reserve(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && st.st_size > 0)
		return;
	ash_autofd int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	for (off_t bytes = RESERVE_BYTES; bytes >= RESERVE_LEAST_BYTES; bytes /= 2)
		if (fallocate(fd, 0, 0, bytes) == 0)
			return;
	unlink(path);
}

/* A full /var, which the release on trial may have filled, must not cost the host its memory. */
static gboolean save(const char *root, const char *path, const char *text, GError **error)
{
	g_autofree char *reserve = g_build_filename(root, ASH_PATH_STATE, "state.reserve", NULL);
	g_autoptr(GError) local = NULL;
	gboolean is_saved = ash_file_replace(AT_FDCWD, path, text, strlen(text), 0600, &local);

	if (!is_saved && g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NO_SPACE) &&
			unlink(reserve) == 0) {
		g_clear_error(&local);
		is_saved = ash_file_replace(AT_FDCWD, path, text, strlen(text), 0600, &local);
	}
	if (!is_saved) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	make_reserve(reserve);
	return TRUE;
}

gboolean ash_update_save(
		const char *root, const AshUpdate *update, char **inout_last, GError **error)
{
	g_autofree char *path = store_path(root);
	g_autofree char *text = ash_update_format(update);

	if (g_strcmp0(*inout_last, text) == 0)
		return TRUE;
	if (!save(root, path, text, error))
		return FALSE;
	g_free(*inout_last);
	*inout_last = g_steal_pointer(&text);
	return TRUE;
}
