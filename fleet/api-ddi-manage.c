/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/change.h"
#include "fleet/ddi.h"
#include "fleet/page.h"
#include "fleet/server.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/window.h"

/* What operators do for devices that speak DDI: modules (with files that lie in CONTENT/ddi/upload), targets, actions.
 * Not hawkBit's own management API.
 */

enum {
	TOKEN_BYTES = 16,
	MAX_ARTIFACT_BYTES = 1 << 30,
	CHUNK_BYTES = 1 << 20,
};

static void add_json(JsonBuilder *json, const char *key, const char *text)
{
	JsonNode *node = json_from_string(*text != '\0' ? text : "{}", NULL);

	json_builder_set_member_name(json, key);
	json_builder_add_value(json, node != NULL ? node : json_node_new(JSON_NODE_NULL));
}

static gboolean audit(AshRequest *request, const char *action, const char *object, const char *text,
		GError **error)
{
	return ash_db_lock_events(request->db, error) &&
	       ash_route_audit(request, action, object, NULL, NULL, error) &&
	       ash_change_event(request, "ddi.changed", text, NULL, error);
}

static gboolean answer_for(GError **error)
{
	ash_change_answer(error, ASH_DDI_ERROR, ASH_DDI_ERROR_NOT_FOUND, ASH_ROUTE_ERROR_NOT_FOUND);
	ash_change_answer(error, ASH_DDI_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
	return FALSE;
}

/* ---- targets ---- */

#define TARGET "id, attributes, installed, created_at, last_seen, address, auto_confirm"

static void add_target(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	ash_json_add_string(json, "id", ash_db_row_text(row, 0));
	add_json(json, "attributes", ash_db_row_text(row, 1));
	add_json(json, "installed", ash_db_row_text(row, 2));
	ash_json_add_int(json, "created_at", ash_db_row_int(row, 3));
	ash_json_add_int(json, "last_seen", ash_db_row_int(row, 4));
	ash_json_add_string(json, "address", ash_db_row_text(row, 5));
	ash_json_add_bool(json, "auto_confirm", *ash_db_row_text(row, 6) != '\0');
}

/* A device is no host, but for one whose id is a host's: who may see some hosts only is told of no other. */
static bool may_see_target(const AshDbRow *row, gpointer data)
{
	return ash_route_may_host(data, ash_db_row_text(row, 0));
}

static gboolean need_target(AshRequest *request, GError **error)
{
	const char *id = ash_route_part(request, 0);
	int64_t count = 0;
	bool is_found = false;

	if (!ash_db_query_int(request->db, "SELECT count(*) FROM ddi_target WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), &is_found, &count, error))
		return FALSE;
	return (count > 0 && ash_route_may_host(request, id)) ||
	       ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
			       "there is no target '%.64s'", id);
}

static gboolean list_targets(AshRequest *request, GError **error)
{
	const AshPage page = {
			.sql = "SELECT " TARGET
			       " FROM ddi_target WHERE id > $1 ORDER BY id LIMIT $2",
			.values = ASH_DB_VALUES(ASH_DB_T(ash_route_after(request)),
					ASH_DB_I(ash_page_rows(request))),
			.add = add_target,
			.may_see = may_see_target,
			.data = request,
	};

	return ash_page_reply(request, &page, error);
}

static gboolean show_target(AshRequest *request, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	bool is_found = false;
	const AshPage page = {
			.sql = "SELECT " TARGET " FROM ddi_target WHERE id = $1",
			.values = ASH_DB_VALUES(ASH_DB_T(ash_route_part(request, 0))),
			.add = add_target,
	};

	json_builder_begin_object(json);
	return need_target(request, error) &&
	       ash_page_find(request->db, &page, json, &is_found, error) &&
	       ash_route_reply(request, json);
}

typedef struct {
	const char *id;
	char *token;
} NewTarget;

static gboolean write_target(AshRequest *request, gpointer data, GError **error)
{
	NewTarget *new = data;
	int64_t made = 0;
	g_autofree char *object = g_strconcat("ddi-target:", new->id, NULL);
	g_autofree char *text = g_strdup_printf("the DDI target %s was made", new->id);

	if (!ash_db_exec(request->db,
			    "INSERT INTO ddi_target (id, token, created_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
			    ASH_DB_VALUES(ASH_DB_T(new->id), ASH_DB_T(new->token),
					    ASH_DB_I(request->server->now())),
			    &made, error))
		return FALSE;
	if (made == 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"there is a target '%.64s' already", new->id);
	return audit(request, "ddi-target.create", object, text, error);
}

static gboolean make_target(AshRequest *request, GError **error)
{
	NewTarget new = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_change_text(request, "id", ASH_DDI_MAX_ID_BYTES, "", &new.id, error))
		return FALSE;
	if (!ash_ddi_is_id(new.id))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'id' has 1 to %d bytes", ASH_DDI_MAX_ID_BYTES);
	new.token = ash_crypto_random_hex(TOKEN_BYTES);
	gboolean ok = ash_change_run(request, write_target, &new, error);
	g_autofree char *token = new.token;
	if (!ok)
		return FALSE;
	json_builder_begin_object(json);
	ash_json_add_text(json, "id", new.id);
	ash_json_add_text(json, "token", token);
	ash_http_add_header(request->call, "Cache-Control", "no-store");
	return ash_route_reply(request, json);
}

static gboolean erase_target(AshRequest *request, gpointer data, GError **error)
{
	const char *id = data;
	int64_t gone = 0;
	g_autofree char *object = g_strconcat("ddi-target:", id, NULL);
	g_autofree char *text = g_strdup_printf("the DDI target %s was removed", id);

	if (!ash_db_exec(request->db,
			    "DELETE FROM ddi_status WHERE action IN (SELECT id FROM ddi_action WHERE target = $1)",
			    ASH_DB_VALUES(ASH_DB_T(id)), NULL, error) ||
			!ash_db_exec(request->db, "DELETE FROM ddi_action WHERE target = $1",
					ASH_DB_VALUES(ASH_DB_T(id)), NULL, error) ||
			!ash_db_exec(request->db, "DELETE FROM ddi_target WHERE id = $1",
					ASH_DB_VALUES(ASH_DB_T(id)), &gone, error))
		return FALSE;
	if (gone == 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no target '%.64s'", id);
	return audit(request, "ddi-target.remove", object, text, error);
}

static gboolean remove_target(AshRequest *request, GError **error)
{
	gpointer id = (gpointer) (uintptr_t) ash_route_part(request, 0);

	return ash_change_run(request, erase_target, id, error) && ash_route_reply_empty(request);
}

/* ---- modules ---- */

#define MODULE "id, name, version, type"

static void add_module(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	ash_json_add_int(json, "id", ash_db_row_int(row, 0));
	ash_json_add_string(json, "name", ash_db_row_text(row, 1));
	ash_json_add_string(json, "version", ash_db_row_text(row, 2));
	ash_json_add_string(json, "type", ash_db_row_text(row, 3));
}

static gboolean list_modules(AshRequest *request, GError **error)
{
	int64_t after = 0;

	if (!ash_change_parse(ash_route_after(request), 0, &after, error))
		return FALSE;
	const AshPage page = {
			.sql = "SELECT " MODULE
			       " FROM ddi_module WHERE id > $1 ORDER BY id LIMIT $2",
			.values = ASH_DB_VALUES(ASH_DB_I(after), ASH_DB_I(ash_page_rows(request))),
			.add = add_module,
	};
	return ash_page_reply(request, &page, error);
}

static gboolean take_artifact(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;

	json_builder_begin_object(json);
	ash_json_add_string(json, "filename", ash_db_row_text(row, 0));
	ash_json_add_int(json, "size", ash_db_row_int(row, 1));
	ash_json_add_string(json, "sha256", ash_db_row_text(row, 2));
	json_builder_end_object(json);
	return TRUE;
}

static gboolean show_module(AshRequest *request, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	int64_t id = 0;
	bool is_found = false;

	if (!ash_change_parse(ash_route_part(request, 0), -1, &id, error))
		return FALSE;
	const AshPage page = {
			.sql = "SELECT " MODULE " FROM ddi_module WHERE id = $1",
			.values = ASH_DB_VALUES(ASH_DB_I(id)),
			.add = add_module,
	};
	json_builder_begin_object(json);
	if (!ash_page_find(request->db, &page, json, &is_found, error))
		return FALSE;
	if (!is_found)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no such module");
	ash_json_begin_array(json, "artifacts");
	if (!ash_db_query(request->db,
			    "SELECT filename, size, sha256 FROM ddi_artifact WHERE module = $1 ORDER BY filename LIMIT 1000",
			    ASH_DB_VALUES(ASH_DB_I(id)), take_artifact, json, error))
		return FALSE;
	json_builder_end_array(json);
	return ash_route_reply(request, json);
}

typedef struct {
	const char *name, *version, *type;
	int64_t id;
} NewModule;

static gboolean write_module(AshRequest *request, gpointer data, GError **error)
{
	NewModule *new = data;
	bool is_found = false;

	if (!ash_db_query_int(request->db,
			    "INSERT INTO ddi_module (name, version, type) VALUES ($1, $2, $3) "
			    "ON CONFLICT (name, version, type) DO NOTHING RETURNING id",
			    ASH_DB_VALUES(ASH_DB_T(new->name), ASH_DB_T(new->version),
					    ASH_DB_T(new->type)),
			    &is_found, &new->id, error))
		return FALSE;
	if (!is_found)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"there is such a module already");
	g_autofree char *object = g_strdup_printf("ddi-module:%" PRId64, new->id);
	g_autofree char *text =
			g_strdup_printf("the DDI module %s %s was made", new->name, new->version);
	return audit(request, "ddi-module.create", object, text, error);
}

static gboolean make_module(AshRequest *request, GError **error)
{
	NewModule new = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_change_text(request, "name", ASH_DDI_MAX_NAME_BYTES, "", &new.name, error) ||
			!ash_change_text(request, "version", ASH_DDI_MAX_NAME_BYTES, "",
					&new.version, error) ||
			!ash_change_text(request, "type", ASH_DDI_MAX_NAME_BYTES, "os", &new.type,
					error))
		return FALSE;
	if (*new.name == '\0' || *new.version == '\0' || *new.type == '\0')
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'name', 'version' and 'type' must not be empty");
	if (!ash_change_run(request, write_module, &new, error))
		return FALSE;
	json_builder_begin_object(json);
	ash_json_add_int(json, "id", new.id);
	return ash_route_reply(request, json);
}

typedef struct {
	int64_t module, size;
	const char *filename;
	char *sha1, *md5, *sha256;
} NewArtifact;

static gboolean hash_file(int fd, NewArtifact *new, GError **error)
{
	g_autoptr(GChecksum) sha1 = g_checksum_new(G_CHECKSUM_SHA1);
	g_autoptr(GChecksum) md5 = g_checksum_new(G_CHECKSUM_MD5);
	g_autoptr(GChecksum) sha256 = g_checksum_new(G_CHECKSUM_SHA256);
	g_autofree guint8 *chunk = g_malloc(CHUNK_BYTES);

	for (;;) {
		ssize_t n = read(fd, chunk, CHUNK_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "reading %s", new->filename);
		if (n == 0)
			break;
		g_checksum_update(sha1, chunk, n);
		g_checksum_update(md5, chunk, n);
		g_checksum_update(sha256, chunk, n);
		new->size += n;
	}
	new->sha1 = g_strdup(g_checksum_get_string(sha1));
	new->md5 = g_strdup(g_checksum_get_string(md5));
	new->sha256 = g_strdup(g_checksum_get_string(sha256));
	return TRUE;
}

/* The file gets a second name, by its content: what is registered stays what it was although somebody puts another file
 * in its place. (A link: nothing is copied. Who writes into the same file breaks it; the client sees that by the hash.)
 */
static gboolean keep_file(AshRequest *request, NewArtifact *new, GError **error)
{
	g_autofree char *dir = g_build_filename(request->server->config->content, "ddi", NULL);
	g_autofree char *from = g_build_filename(dir, "upload", new->filename, NULL);
	ash_autofd int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_ARTIFACT_BYTES)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"put a file '%.64s' of 1 GiB at most into the server's content/ddi/upload first",
				new->filename);
	if (!hash_file(fd, new, error))
		return FALSE;
	g_autofree char *to = g_build_filename(dir, new->sha256, NULL);
	if (link(from, to) < 0 && errno != EEXIST)
		return ash_throw_errno(error, "linking %s", new->filename);
	return ash_file_sync_parent(AT_FDCWD, to, error);
}

static gboolean write_artifact(AshRequest *request, gpointer data, GError **error)
{
	NewArtifact *new = data;
	int64_t count = 0, made = 0;
	bool is_found = false;
	g_autofree char *object = g_strdup_printf("ddi-module:%" PRId64, new->module);
	g_autofree char *text = g_strdup_printf("the artifact %s was added", new->filename);

	if (!ash_db_query_int(request->db, "SELECT count(*) FROM ddi_module WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_I(new->module)), &is_found, &count, error))
		return FALSE;
	if (count == 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no such module");
	if (!ash_db_exec(request->db,
			    "INSERT INTO ddi_artifact (module, filename, size, sha1, md5, sha256) VALUES ($1, $2, $3, $4, "
			    "$5, $6) ON CONFLICT (module, filename) DO NOTHING",
			    ASH_DB_VALUES(ASH_DB_I(new->module), ASH_DB_T(new->filename),
					    ASH_DB_I(new->size), ASH_DB_T(new->sha1),
					    ASH_DB_T(new->md5), ASH_DB_T(new->sha256)),
			    &made, error))
		return FALSE;
	if (made == 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"the module has an artifact of that name already");
	return audit(request, "ddi-artifact.create", object, text, error);
}

static gboolean make_artifact(AshRequest *request, GError **error)
{
	NewArtifact new = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_change_parse(ash_route_part(request, 0), -1, &new.module, error) ||
			!ash_change_text(request, "filename", ASH_DDI_MAX_NAME_BYTES, "",
					&new.filename, error))
		return FALSE;
	/* Devices ask for the sum of FILE as FILE.MD5SUM. */
	if (*new.filename == '\0' || *new.filename == '.' || strchr(new.filename, '/') != NULL ||
			g_str_has_suffix(new.filename, ".MD5SUM"))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'filename' is a name without slashes that does not begin with a dot "
				"and does not end in .MD5SUM");
	gboolean ok = keep_file(request, &new, error) &&
		      ash_change_run(request, write_artifact, &new, error);
	g_autofree char *sha1 = new.sha1;
	g_autofree char *md5 = new.md5;
	g_autofree char *sha256 = new.sha256;
	if (!ok)
		return FALSE;
	json_builder_begin_object(json);
	ash_json_add_text(json, "filename", new.filename);
	ash_json_add_int(json, "size", new.size);
	ash_json_add_text(json, "sha1", sha1);
	ash_json_add_text(json, "md5", md5);
	ash_json_add_text(json, "sha256", sha256);
	return ash_route_reply(request, json);
}

/* ---- actions ---- */

#define ACTION                                                                                     \
	"id, target, name, version, modules, kind, state, is_active, weight, schedule, created_at, created_by"

static void add_action(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	ash_json_add_int(json, "id", ash_db_row_int(row, 0));
	ash_json_add_string(json, "target", ash_db_row_text(row, 1));
	ash_json_add_string(json, "name", ash_db_row_text(row, 2));
	ash_json_add_string(json, "version", ash_db_row_text(row, 3));
	add_json(json, "modules", ash_db_row_text(row, 4));
	ash_json_add_string(json, "kind", ash_db_row_text(row, 5));
	ash_json_add_string(json, "state", ash_db_row_text(row, 6));
	ash_json_add_bool(json, "active", ash_db_row_int(row, 7) != 0);
	ash_json_add_int(json, "weight", ash_db_row_int(row, 8));
	ash_json_add_string(json, "schedule", ash_db_row_text(row, 9));
	ash_json_add_int(json, "created_at", ash_db_row_int(row, 10));
	ash_json_add_string(json, "created_by", ash_db_row_text(row, 11));
}

static gboolean list_actions(AshRequest *request, GError **error)
{
	int64_t after = 0;

	if (!need_target(request, error) ||
			!ash_change_parse(ash_route_after(request), 0, &after, error))
		return FALSE;
	const AshPage page = {
			.sql = "SELECT " ACTION
			       " FROM ddi_action WHERE target = $1 AND id > $2 ORDER BY id LIMIT $3",
			.values = ASH_DB_VALUES(ASH_DB_T(ash_route_part(request, 0)),
					ASH_DB_I(after), ASH_DB_I(ash_page_rows(request))),
			.add = add_action,
	};
	return ash_page_reply(request, &page, error);
}

static gboolean take_status(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;

	json_builder_begin_object(json);
	ash_json_add_int(json, "at", ash_db_row_int(row, 0));
	ash_json_add_string(json, "state", ash_db_row_text(row, 1));
	add_json(json, "messages", ash_db_row_text(row, 2));
	json_builder_end_object(json);
	return TRUE;
}

static gboolean show_action(AshRequest *request, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	int64_t id = 0;
	bool is_found = false;

	if (!need_target(request, error) ||
			!ash_change_parse(ash_route_part(request, 1), -1, &id, error))
		return FALSE;
	const AshPage page = {
			.sql = "SELECT " ACTION " FROM ddi_action WHERE id = $1 AND target = $2",
			.values = ASH_DB_VALUES(ASH_DB_I(id), ASH_DB_T(ash_route_part(request, 0))),
			.add = add_action,
	};
	json_builder_begin_object(json);
	if (!ash_page_find(request->db, &page, json, &is_found, error))
		return FALSE;
	if (!is_found)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"the target has no such action");
	ash_json_begin_array(json, "statuses");
	if (!ash_db_query(request->db,
			    "SELECT at, state, messages FROM ddi_status WHERE action = $1 ORDER BY id LIMIT 1000",
			    ASH_DB_VALUES(ASH_DB_I(id)), take_status, json, error))
		return FALSE;
	json_builder_end_array(json);
	return ash_route_reply(request, json);
}

typedef struct {
	AshDdiAssignment assignment;
	int64_t id;
} NewAction;

static gboolean write_action(AshRequest *request, gpointer data, GError **error)
{
	NewAction *new = data;

	if (!ash_db_lock_events(request->db, error) ||
			!ash_ddi_assign(request->db, &new->assignment, request->server->now(),
					&new->id, error))
		return FALSE;
	g_autofree char *object = g_strdup_printf(
			"ddi-target:%s/action:%" PRId64, new->assignment.target, new->id);
	return ash_route_audit(request, "ddi-action.create", object, NULL, NULL, error);
}

/* The ids as one canonical text; every module is there. */
static gboolean take_modules(AshRequest *request, char **out_text, GError **error)
{
	g_autoptr(GString) text = g_string_new("[");
	JsonArray *array = NULL;

	if (!ash_json_array(request->body, "modules", &array, error))
		return FALSE;
	guint count = json_array_get_length(array);
	if (count == 0 || count > ASH_DDI_MAX_MODULES)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'modules' are 1 to %d ids", ASH_DDI_MAX_MODULES);
	for (guint i = 0; i < count; i++) {
		JsonNode *node = json_array_get_element(array, i);
		int64_t found = 0;
		bool is_found = false;
		bool is_number = JSON_NODE_HOLDS_VALUE(node) &&
				 json_node_get_value_type(node) == G_TYPE_INT64;
		if (!is_number)
			return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
					"'modules' are whole numbers");
		int64_t id = json_node_get_int(node);
		if (!ash_db_query_int(request->db, "SELECT count(*) FROM ddi_module WHERE id = $1",
				    ASH_DB_VALUES(ASH_DB_I(id)), &is_found, &found, error))
			return FALSE;
		if (found == 0)
			return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
					"there is no module %" PRId64, id);
		g_string_append_printf(text, "%s%" PRId64, i > 0 ? "," : "", id);
	}
	g_string_append_c(text, ']');
	*out_text = g_string_free(g_steal_pointer(&text), FALSE);
	return TRUE;
}

static gboolean check_schedule(const char *schedule, GError **error)
{
	g_autoptr(AshWindow) window = NULL;

	if (*schedule == '\0' || ash_window_parse(schedule, &window, error))
		return TRUE;
	return ash_change_answer(error, ASH_WINDOW_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
}

static gboolean make_action(AshRequest *request, GError **error)
{
	static const char *const kinds[] = {"soft", "forced", "download-only", NULL};
	NewAction new = {.assignment = {.target = ash_route_part(request, 0),
					 .created_by = request->actor}};
	AshDdiAssignment *to = &new.assignment;
	g_autofree char *modules = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!need_target(request, error) ||
			!ash_change_text(request, "name", ASH_DDI_MAX_NAME_BYTES, "", &to->name,
					error) ||
			!ash_change_text(request, "version", ASH_DDI_MAX_NAME_BYTES, "",
					&to->version, error) ||
			!ash_change_text(request, "kind", 16, "forced", &to->kind, error) ||
			!ash_change_text(request, "schedule", 256, "", &to->schedule, error) ||
			!ash_change_number(request, "weight", 1000, 1000, &to->weight, error) ||
			!check_schedule(to->schedule, error) ||
			!take_modules(request, &modules, error))
		return FALSE;
	if (!g_strv_contains(kinds, to->kind))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'kind' is soft, forced or download-only");
	to->modules = modules;
	to->needs_confirmation = ash_json_find_bool(request->body, "needs_confirmation");
	to->beside = ash_json_find_bool(request->body, "beside");
	if (!ash_change_run(request, write_action, &new, error))
		return answer_for(error);
	json_builder_begin_object(json);
	ash_json_add_int(json, "id", new.id);
	return ash_route_reply(request, json);
}

static gboolean write_act(AshRequest *request, gpointer data, GError **error)
{
	static const struct {
		const char *name;
		gboolean (*act)(AshDb *db, const AshDdiAction *action, int64_t now_s,
				GError **error);
	} acts[] = {{"cancel", ash_ddi_cancel}, {"quit", ash_ddi_quit}, {"force", ash_ddi_force}};
	const char *target = ash_route_part(request, 0), *name = data;
	g_autoptr(AshDdiAction) action = NULL;
	int64_t id = 0;

	if (!ash_change_parse(ash_route_part(request, 1), -1, &id, error) ||
			!ash_db_lock_events(request->db, error) ||
			!ash_ddi_action_get(request->db, target, id, &action, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(acts); i++)
		if (strcmp(acts[i].name, name) == 0 &&
				!acts[i].act(request->db, action, request->server->now(), error))
			return FALSE;
	g_autofree char *verb = g_strconcat("ddi-action.", name, NULL);
	g_autofree char *object = g_strdup_printf("ddi-target:%s/action:%" PRId64, target, id);
	return ash_route_audit(request, verb, object, NULL, NULL, error);
}

static gboolean act_on(AshRequest *request, GError **error)
{
	const char *name = strrchr(ash_http_path(request->call), '/') + 1;

	if (!need_target(request, error))
		return FALSE;
	if (!ash_change_run(request, write_act, (gpointer) (uintptr_t) name, error))
		return answer_for(error);
	return ash_route_reply_empty(request);
}

/* ---- routes ---- */

static const AshRouteMember target_members[] = {
		{"id", "string", true, "the controller's id, 1 to 256 bytes"},
		{0},
};
static const AshRouteMember module_members[] = {
		{"name", "string", true, "what it is"},
		{"version", "string", true, "its version"},
		{"type", "string", false,
				"os (default), application, runtime, or the client's own"},
		{0},
};
static const AshRouteMember artifact_members[] = {
		{"filename", "string", true, "of a file in the server's content/ddi/upload"},
		{0},
};
static const AshRouteMember action_members[] = {
		{"name", "string", true, "of what is installed, for people"},
		{"version", "string", true, "its version"},
		{"modules", "array", true, "ids, 1 to 32"},
		{"kind", "string", false, "soft, forced (default) or download-only"},
		{"schedule", "string", false,
				"a window: \"Sat 02:00-05:00 Europe/Zurich\"; \"\": any time"},
		{"weight", "integer", false, "0 to 1000 (default): the highest goes first"},
		{"needs_confirmation", "boolean", false, "somebody at the device must agree"},
		{"beside", "boolean", false, "the target's other actions go on"},
		{0},
};

#define A "/v1/ddi/targets/{id}/actions/{action}"

const AshRoute ash_api_ddi_manage_routes[] = {
		{"GET", "/v1/ddi/targets", ASH_ROLE_VIEWER, "Devices that speak DDI", list_targets,
				.answer = "{\"items\":[{\"id\":\"dev1\",\"attributes\":{},\"installed\":{},"
					  "\"created_at\":1,\"last_seen\":1,\"address\":"
					  "\"192.0.2.1\",\"auto_confirm\":false}]}"},
		{"POST", "/v1/ddi/targets", ASH_ROLE_ADMIN, "Make one; its token is told this once",
				make_target, .members = target_members,
				.answer = "{\"id\":\"dev1\",\"token\":\"0123456789abcdef0123456789abcdef\"}"},
		{"GET", "/v1/ddi/targets/{id}", ASH_ROLE_VIEWER, "One device", show_target,
				.answer = "{\"id\":\"dev1\",\"attributes\":{},\"installed\":{},"
					  "\"created_at\":1,\"last_seen\":1,\"address\":"
					  "\"192.0.2.1\",\"auto_confirm\":false}"},
		{"DELETE", "/v1/ddi/targets/{id}", ASH_ROLE_ADMIN, "Remove one, with its history",
				remove_target},
		{"GET", "/v1/ddi/modules", ASH_ROLE_VIEWER, "What can be installed", list_modules,
				.answer = "{\"items\":[{\"id\":1,\"name\":\"firmware\",\"version\":\"1\",\"type\":\"os\"}]}"},
		{"POST", "/v1/ddi/modules", ASH_ROLE_ADMIN, "Make a module", make_module,
				.members = module_members, .answer = "{\"id\":1}"},
		{"GET", "/v1/ddi/modules/{id}", ASH_ROLE_VIEWER, "One module, with its files",
				show_module,
				.answer = "{\"id\":1,\"name\":\"firmware\",\"version\":\"1\",\"type\":\"os\","
					  "\"artifacts\":[{\"filename\":\"a.raucb\",\"size\":13,\"sha256\":\"…\"}]}"},
		{"POST", "/v1/ddi/modules/{id}/artifacts", ASH_ROLE_ADMIN,
				"Add a file that lies in content/ddi/upload", make_artifact,
				.members = artifact_members,
				.answer = "{\"filename\":\"a.raucb\",\"size\":13}"},
		{"GET", "/v1/ddi/targets/{id}/actions", ASH_ROLE_VIEWER,
				"What was and is to be installed on one", list_actions,
				.answer = "{\"items\":[{\"id\":1,\"state\":\"running\"}]}"},
		{"POST", "/v1/ddi/targets/{id}/actions", ASH_ROLE_OPERATOR,
				"Install something; what was under way is cancelled", make_action,
				.members = action_members, .answer = "{\"id\":1}"},
		{"GET", A, ASH_ROLE_VIEWER, "One, with what the device said", show_action,
				.answer = "{\"id\":1,\"state\":\"finished\",\"statuses\":[]}"},
		{"POST", A "/cancel", ASH_ROLE_OPERATOR, "Ask the device to stop", act_on},
		{"POST", A "/quit", ASH_ROLE_OPERATOR, "End it without asking the device", act_on},
		{"POST", A "/force", ASH_ROLE_OPERATOR, "soft becomes forced", act_on},
		{0},
};
