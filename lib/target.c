/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/target.h"

#include <string.h>

#include "lib/error.h"
#include "lib/json.h"
#include "lib/text.h"
#include "lib/version.h"

G_DEFINE_QUARK(ash_target_error, ash_target_error)

/* JSON has no larger integer that every reader takes, and four of them still fit in 64 bits. */
#define MAX_NUMBER (UINT64_C(1) << 53)

enum {
	FORMAT = 1,
	MAX_DEPTH = 8,
	MAX_NAME_BYTES = 64,
	MAX_PATH_BYTES = 255,
};

static bool is_made_of(const char *text, size_t min, size_t max, const char *others)
{
	size_t length = strlen(text);

	if (length < min || length > max)
		return false;
	for (; *text != '\0'; text++)
		if (!g_ascii_islower(*text) && !g_ascii_isdigit(*text) &&
				strchr(others, *text) == NULL)
			return false;
	return true;
}

/* As manifest(5) has names, variants and architectures: each is one component of a path. */
static bool is_name(const char *text)
{
	return g_ascii_isalnum(*text) && is_made_of(text, 1, MAX_NAME_BYTES, "._-");
}

static bool is_variant(const char *text)
{
	return *text == '\0' || (*text != '-' && is_made_of(text, 1, MAX_NAME_BYTES, "-"));
}

static bool is_arch(const char *text)
{
	return *text != '-' && is_made_of(text, 2, 32, "-");
}

static bool is_version_or_none(const char *text)
{
	return *text == '\0' || ash_version_is_valid(text);
}

/* "2026-11-22T10:00:00Z", always in UTC. */
static bool is_time(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:ddZ";

	if (strlen(text) != strlen(form))
		return false;
	for (size_t i = 0; form[i] != '\0'; i++)
		if (form[i] == 'd' ? !g_ascii_isdigit(text[i]) : form[i] != text[i])
			return false;
	return true;
}

/* Never leaves the directory "deltas", whoever joins it to a URL or a path. */
static bool is_delta_path(const char *text)
{
	if (!g_str_has_prefix(text, "deltas/") || strlen(text) > MAX_PATH_BYTES)
		return false;
	for (const char *p = text; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && strchr("+_./-", *p) == NULL)
			return false;
	g_auto(GStrv) parts = g_strsplit(text, "/", -1);
	for (char **part = parts; *part != NULL; part++)
		if (**part == '\0' || **part == '.')
			return false;
	return true;
}

void ash_target_delta_free(AshTargetDelta *delta)
{
	if (delta == NULL)
		return;
	g_free(delta->from);
	g_free(delta->path);
	g_free(delta->sha256);
	g_free(delta);
}

void ash_release_free(AshRelease *release)
{
	if (release == NULL)
		return;
	g_free(release->name);
	g_free(release->variant);
	g_free(release->arch);
	g_free(release->version);
	g_free(release->commit);
	g_free(release->replaces_min);
	g_free(release->created);
	g_clear_pointer(&release->deltas, g_ptr_array_unref);
	g_free(release->notes);
	g_free(release);
}

void ash_recall_free(AshRecall *recall)
{
	if (recall == NULL)
		return;
	g_free(recall->name);
	g_free(recall->variant);
	g_free(recall->arch);
	g_free(recall->version);
	g_free(recall->to);
	g_free(recall->reason);
	g_free(recall->created);
	g_free(recall);
}

/* ---- reading ----------------------------------------------------------------------------------- */

typedef struct {
	const char *key;
	bool (*is_valid)(const char *text);
	char **out;
	bool is_optional; /* then missing is "" */
} Text;

static gboolean read_text(JsonObject *object, const Text *text, GError **error)
{
	const char *value = "";

	if (!(text->is_optional ? ash_json_text_opt : ash_json_text)(
			    object, text->key, &value, error))
		return FALSE;
	if (!text->is_valid(value))
		return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_SYNTAX,
				"'%s' has an impossible value", text->key);
	*text->out = g_strdup(value);
	return TRUE;
}

static gboolean read_texts(JsonObject *object, const Text *texts, size_t n, GError **error)
{
	for (size_t i = 0; i < n; i++)
		if (!read_text(object, &texts[i], error))
			return FALSE;
	return TRUE;
}

typedef struct {
	const char *key;
	uint64_t *out;
} Number;

static gboolean read_numbers(JsonObject *object, const Number *numbers, size_t n, GError **error)
{
	for (size_t i = 0; i < n; i++)
		if (!ash_json_uint(object, numbers[i].key, MAX_NUMBER, numbers[i].out, error))
			return FALSE;
	return TRUE;
}

static bool is_any(const char *text)
{
	return strlen(text) <= ASH_TARGET_MAX_NOTES_BYTES;
}

/* Type and format come first: of a later format nothing else may be judged. */
static gboolean read_head(GBytes *json, const char *type, JsonNode **out_node,
		JsonObject **out_object, GError **error)
{
	g_autoptr(JsonNode) node = NULL;
	const char *found = NULL;
	uint64_t format = 0;

	if (!ash_json_parse(json, ASH_TARGET_MAX_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_SYNTAX,
				"this is no JSON object");
	JsonObject *object = json_node_get_object(node);
	if (!ash_json_text(object, "type", &found, error))
		return FALSE;
	if (strcmp(found, type) != 0)
		return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_SYNTAX,
				"the type is not '%s'", type);
	if (!ash_json_uint(object, "format", MAX_NUMBER, &format, error))
		return FALSE;
	if (format != FORMAT)
		return ash_throw(error, ASH_TARGET_ERROR,
				format > FORMAT ? ASH_TARGET_ERROR_FORMAT : ASH_TARGET_ERROR_SYNTAX,
				"the document has format %" G_GUINT64_FORMAT
				", this program knows %d (update it)",
				format, FORMAT);
	*out_object = object;
	*out_node = g_steal_pointer(&node);
	return TRUE;
}

static gboolean read_delta(JsonNode *node, GPtrArray *deltas, GError **error)
{
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_SYNTAX,
				"'deltas' has what is no object");
	AshTargetDelta *delta = g_new0(AshTargetDelta, 1);
	g_ptr_array_add(deltas, delta);
	const Text texts[] = {
			{"from", ash_text_is_sha256, &delta->from, false},
			{"path", is_delta_path, &delta->path, false},
			{"sha256", ash_text_is_sha256, &delta->sha256, false},
	};
	const Number numbers[] = {
			{"bytes", &delta->bytes},
			{"objects", &delta->objects},
			{"object-bytes", &delta->object_bytes},
	};
	JsonObject *object = json_node_get_object(node);

	return read_texts(object, texts, G_N_ELEMENTS(texts), error) &&
	       read_numbers(object, numbers, G_N_ELEMENTS(numbers), error);
}

static gboolean read_deltas(JsonObject *object, AshRelease *release, GError **error)
{
	JsonArray *array = NULL;

	release->deltas = g_ptr_array_new_with_free_func((GDestroyNotify) ash_target_delta_free);
	if (!json_object_has_member(object, "deltas"))
		return TRUE;
	if (!ash_json_array(object, "deltas", &array, error))
		return FALSE;
	guint n = json_array_get_length(array);
	if (n > ASH_TARGET_MAX_DELTAS)
		return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_SYNTAX,
				"%u deltas, more than %d", n, ASH_TARGET_MAX_DELTAS);
	for (guint i = 0; i < n; i++)
		if (!read_delta(json_array_get_element(array, i), release->deltas, error))
			return FALSE;
	return TRUE;
}

static gboolean read_release(GBytes *json, AshRelease *release, GError **error)
{
	const Text texts[] = {
			{"name", is_name, &release->name, false},
			{"variant", is_variant, &release->variant, true},
			{"architecture", is_arch, &release->arch, false},
			{"version", ash_version_is_valid, &release->version, false},
			{"commit", ash_text_is_sha256, &release->commit, false},
			{"replaces-min", is_version_or_none, &release->replaces_min, true},
			{"created", is_time, &release->created, false},
			{"notes", is_any, &release->notes, true},
	};
	const Number sizes[] = {
			{"bytes", &release->bytes},
			{"inodes", &release->inodes},
			{"boot-bytes", &release->boot_bytes},
			{"archive-bytes", &release->archive_bytes},
			{"largest-object-bytes", &release->largest_object_bytes},
	};
	g_autoptr(JsonNode) node = NULL;
	JsonObject *object, *size;

	return read_head(json, "ashlar-release", &node, &object, error) &&
	       read_texts(object, texts, G_N_ELEMENTS(texts), error) &&
	       ash_json_object(object, "size", &size, error) &&
	       read_numbers(size, sizes, G_N_ELEMENTS(sizes), error) &&
	       read_deltas(object, release, error);
}

static gboolean read_recall(GBytes *json, AshRecall *recall, GError **error)
{
	const Text texts[] = {
			{"name", is_name, &recall->name, false},
			{"variant", is_variant, &recall->variant, true},
			{"architecture", is_arch, &recall->arch, false},
			{"version", ash_version_is_valid, &recall->version, false},
			{"to", is_version_or_none, &recall->to, true},
			{"reason", is_any, &recall->reason, true},
			{"created", is_time, &recall->created, false},
	};
	g_autoptr(JsonNode) node = NULL;
	JsonObject *object;

	if (!read_head(json, "ashlar-recall", &node, &object, error) ||
			!read_texts(object, texts, G_N_ELEMENTS(texts), error))
		return FALSE;
	if (strcmp(recall->version, recall->to) == 0)
		return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_SYNTAX,
				"a recall of %s to itself", recall->version);
	return TRUE;
}

/* What lib/json.h found wrong is a syntax error of this document. */
static gboolean fail(GError **error, GError *take_cause, const char *what)
{
	g_autoptr(GError) cause = take_cause;
	int code = cause->domain == ASH_TARGET_ERROR ? cause->code : ASH_TARGET_ERROR_SYNTAX;

	return ash_throw(error, ASH_TARGET_ERROR, code, "%s: %s", what, cause->message);
}

gboolean ash_release_parse(GBytes *json, AshRelease **out_release, GError **error)
{
	g_autoptr(AshRelease) release = g_new0(AshRelease, 1);
	g_autoptr(GError) cause = NULL;

	if (!read_release(json, release, &cause))
		return fail(error, g_steal_pointer(&cause), "release document");
	*out_release = g_steal_pointer(&release);
	return TRUE;
}

gboolean ash_recall_parse(GBytes *json, AshRecall **out_recall, GError **error)
{
	g_autoptr(AshRecall) recall = g_new0(AshRecall, 1);
	g_autoptr(GError) cause = NULL;

	if (!read_recall(json, recall, &cause))
		return fail(error, g_steal_pointer(&cause), "recall document");
	*out_recall = g_steal_pointer(&recall);
	return TRUE;
}

/* ---- writing ----------------------------------------------------------------------------------- */

static void add_head(JsonBuilder *json, const char *type, const char *name, const char *variant,
		const char *arch, const char *version)
{
	json_builder_begin_object(json);
	ash_json_add_string(json, "type", type);
	ash_json_add_uint(json, "format", FORMAT);
	ash_json_add_string(json, "name", name);
	ash_json_add_string(json, "variant", variant);
	ash_json_add_string(json, "architecture", arch);
	ash_json_add_string(json, "version", version);
}

char *ash_release_format(const AshRelease *release)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	add_head(json, "ashlar-release", release->name, release->variant, release->arch,
			release->version);
	ash_json_add_string(json, "commit", release->commit);
	ash_json_add_string(json, "replaces-min", release->replaces_min);
	ash_json_add_string(json, "created", release->created);
	ash_json_begin_object(json, "size");
	ash_json_add_uint(json, "bytes", release->bytes);
	ash_json_add_uint(json, "inodes", release->inodes);
	ash_json_add_uint(json, "boot-bytes", release->boot_bytes);
	ash_json_add_uint(json, "archive-bytes", release->archive_bytes);
	ash_json_add_uint(json, "largest-object-bytes", release->largest_object_bytes);
	json_builder_end_object(json);
	ash_json_begin_array(json, "deltas");
	for (guint i = 0; release->deltas != NULL && i < release->deltas->len; i++) {
		const AshTargetDelta *delta = release->deltas->pdata[i];
		json_builder_begin_object(json);
		ash_json_add_string(json, "from", delta->from);
		ash_json_add_string(json, "path", delta->path);
		ash_json_add_string(json, "sha256", delta->sha256);
		ash_json_add_uint(json, "bytes", delta->bytes);
		ash_json_add_uint(json, "objects", delta->objects);
		ash_json_add_uint(json, "object-bytes", delta->object_bytes);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	ash_json_add_string(json, "notes", release->notes);
	json_builder_end_object(json);
	return ash_json_format(json, false);
}

char *ash_recall_format(const AshRecall *recall)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	add_head(json, "ashlar-recall", recall->name, recall->variant, recall->arch,
			recall->version);
	ash_json_add_string(json, "to", recall->to);
	ash_json_add_string(json, "reason", recall->reason);
	ash_json_add_string(json, "created", recall->created);
	json_builder_end_object(json);
	return ash_json_format(json, false);
}

char *ash_release_path(const char *name, const char *variant, const char *arch, const char *version)
{
	bool has_variant = variant != NULL && *variant != '\0';

	return g_strdup_printf("host/%s%s%s/%s/%s.json", name, has_variant ? "-" : "",
			has_variant ? variant : "", arch, version);
}

char *ash_recall_path(const char *name, const char *variant, const char *arch, const char *version)
{
	bool has_variant = variant != NULL && *variant != '\0';

	return g_strdup_printf("host/%s%s%s/%s/recall/%s.json", name, has_variant ? "-" : "",
			has_variant ? variant : "", arch, version);
}

/* ---- entries of the metadata -------------------------------------------------------------------- */

void ash_target_entry_free(AshTargetEntry *entry)
{
	if (entry == NULL)
		return;
	g_free(entry->path);
	g_free(entry->version);
	g_free(entry->replaces_min);
	g_free(entry->commit);
	g_free(entry->to);
	g_free(entry);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshTargetEntry, ash_target_entry_free)

/* The version that the path names, or NULL when the path is not below the host's directory. */
static char *parse_path(const AshTargetHost *host, const char *path, bool *out_is_recall)
{
	/* Behind it, "x.json" is taken away again: the directory of this host. */
	g_autofree char *any = ash_release_path(host->name, host->variant, host->arch, "");
	g_autofree char *dir = g_strndup(any, strlen(any) - strlen(".json"));

	if (!g_str_has_prefix(path, dir) || !g_str_has_suffix(path, ".json"))
		return NULL;
	const char *rest = path + strlen(dir);
	*out_is_recall = g_str_has_prefix(rest, "recall/");
	if (*out_is_recall)
		rest += strlen("recall/");
	if (strlen(rest) < strlen(".json"))
		return NULL;
	g_autofree char *version = g_strndup(rest, strlen(rest) - strlen(".json"));
	return ash_version_is_valid(version) ? g_steal_pointer(&version) : NULL;
}

static gboolean read_custom(JsonObject *custom, AshTargetEntry *entry, GError **error)
{
	const Text version = {"version", ash_version_is_valid, &entry->version, false};
	const Text release[] = {
			{"replaces-min", is_version_or_none, &entry->replaces_min, true},
			{"commit", ash_text_is_sha256, &entry->commit, false},
	};
	const Text recall[] = {{"to", is_version_or_none, &entry->to, true}};
	const char *kind = NULL;

	if (!ash_json_text(custom, "kind", &kind, error))
		return FALSE;
	if (strcmp(kind, entry->is_recall ? "recall" : "release") != 0)
		return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_WRONG_NAME,
				"the kind is another than the path's");
	if (!read_text(custom, &version, error))
		return FALSE;
	return entry->is_recall ? read_texts(custom, recall, G_N_ELEMENTS(recall), error)
				: read_texts(custom, release, G_N_ELEMENTS(release), error);
}

AshTargetEntry *ash_target_entry_new(
		const AshTargetHost *host, const char *path, const char *custom_json)
{
	g_autoptr(AshTargetEntry) entry = g_new0(AshTargetEntry, 1);
	g_autofree char *version = parse_path(host, path, &entry->is_recall);

	if (version == NULL || custom_json == NULL)
		return NULL;
	g_autoptr(GBytes) bytes = g_bytes_new_static(custom_json, strlen(custom_json));
	g_autoptr(JsonNode) node = NULL;
	if (!ash_json_parse(bytes, ASH_TARGET_MAX_BYTES, MAX_DEPTH, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node) ||
			!read_custom(json_node_get_object(node), entry, NULL) ||
			strcmp(entry->version, version) != 0)
		return NULL;
	entry->path = g_strdup(path);
	return g_steal_pointer(&entry);
}

static gboolean check_host(const AshTargetHost *host, const char *name, const char *variant,
		const char *arch, GError **error)
{
	if (g_strcmp0(name, host->name) != 0)
		return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_WRONG_NAME,
				"it is for hosts called '%s', and this is one called '%s'", name,
				host->name);
	if (strcmp(variant, host->variant != NULL ? host->variant : "") != 0)
		return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_WRONG_VARIANT,
				"it is for the variant '%s', and this host is of the variant '%s'",
				variant, host->variant != NULL ? host->variant : "");
	if (g_strcmp0(arch, host->arch) != 0)
		return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_WRONG_ARCH,
				"it is for %s, and this host is %s", arch, host->arch);
	return TRUE;
}

static gboolean check_same(
		const char *what, const char *document, const char *custom, GError **error)
{
	if (g_strcmp0(document, custom) == 0)
		return TRUE;
	return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_WRONG_NAME,
			"the %s is '%s' in the document and '%s' in the metadata", what, document,
			custom);
}

gboolean ash_release_check(const AshRelease *release, const AshTargetHost *host,
		const AshTargetEntry *entry, GError **error)
{
	ASH_PREFIX("release %s", release->version);

	return check_host(host, release->name, release->variant, release->arch, error) &&
	       check_same("version", release->version, entry->version, error) &&
	       check_same("commit", release->commit, entry->commit, error) &&
	       check_same("lowest version to replace", release->replaces_min, entry->replaces_min,
			       error);
}

gboolean ash_recall_check(const AshRecall *recall, const AshTargetHost *host,
		const AshTargetEntry *entry, GError **error)
{
	ASH_PREFIX("recall of %s", recall->version);

	return check_host(host, recall->name, recall->variant, recall->arch, error) &&
	       check_same("version", recall->version, entry->version, error) &&
	       check_same("version to go to", recall->to, entry->to, error);
}
