/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/lock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"
#include "lib/yaml.h"

G_DEFINE_QUARK(ash_lock_error, ash_lock_error)

enum {
	FORMAT_VERSION = 1,
	MAX_ORIGINS = 1000,
	MAX_TEXT_BYTES = 4096,      /* of any one value */
	MAX_PACKAGE_SIZE_BITS = 40, /* a .deb is smaller than a terabyte */
};

static const char *const kinds[] = {"inherited", "repository", "flat", "file", NULL};

/* ---- life ---------------------------------------------------------------------------------------- */

static void origin_free(gpointer data)
{
	AshLockOrigin *origin = data;

	g_free(origin->id);
	g_free(origin->kind);
	g_free(origin->label);
	g_free(origin->uri);
	g_free(origin->suite);
	g_free(origin);
}

static void package_free(gpointer data)
{
	AshLockPackage *package = data;

	g_free(package->name);
	g_free(package->version);
	g_free(package->arch);
	g_free(package->sha256);
	g_free(package->path);
	g_free(package);
}

AshLock *ash_lock_new(void)
{
	AshLock *lock = g_new0(AshLock, 1);

	lock->origins = g_ptr_array_new_with_free_func(origin_free);
	lock->packages = g_ptr_array_new_with_free_func(package_free);
	return lock;
}

void ash_lock_free(AshLock *lock)
{
	if (lock == NULL)
		return;
	g_free(lock->file);
	g_free(lock->suite);
	g_free(lock->arch);
	g_free(lock->variant);
	g_free(lock->inputs);
	g_ptr_array_unref(lock->origins);
	g_ptr_array_unref(lock->packages);
	g_free(lock);
}

int ash_lock_add_origin(AshLock *lock, const AshLockOrigin *origin)
{
	AshLockOrigin *copy = g_new0(AshLockOrigin, 1);

	copy->id = g_strdup(origin->id);
	copy->kind = g_strdup(origin->kind);
	copy->label = g_strdup(origin->label);
	copy->uri = g_strdup(origin->uri);
	copy->suite = g_strdup(origin->suite);
	g_ptr_array_add(lock->origins, copy);
	return (int) lock->origins->len - 1;
}

void ash_lock_add_package(AshLock *lock, const AshLockPackage *package)
{
	AshLockPackage *copy = g_new0(AshLockPackage, 1);

	copy->name = g_strdup(package->name);
	copy->version = g_strdup(package->version);
	copy->arch = g_strdup(package->arch);
	copy->sha256 = g_strdup(package->sha256);
	copy->size = package->size;
	copy->origin = package->origin;
	copy->path = g_strdup(package->path);
	g_ptr_array_add(lock->packages, copy);
}

/* ---- what a value must look like ----------------------------------------------------------------- */

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool is_of(const char *text, const char *first, const char *rest)
{
	return *text != '\0' && strchr(first, *text) != NULL &&
	       strspn(text + 1, rest) == strlen(text + 1);
}

/* These become parts of URIs and file names, hence the care. */
static bool is_name(const char *text)
{
	return is_of(text, DIGITS LOWER, DIGITS LOWER "+.-");
}

static bool is_version(const char *text)
{
	return is_of(text, DIGITS LOWER UPPER, DIGITS LOWER UPPER ".+~:-");
}

static bool is_arch(const char *text)
{
	return is_of(text, DIGITS LOWER, DIGITS LOWER "-");
}

static bool is_id(const char *text)
{
	return is_of(text, DIGITS LOWER, DIGITS LOWER "._-");
}

static bool is_suite(const char *text)
{
	return strstr(text, "..") == NULL &&
	       is_of(text, DIGITS LOWER UPPER ".", DIGITS LOWER UPPER "._+~/-");
}

static bool is_digest(const char *text)
{
	return strlen(text) == ASH_SHA256_HEX && strspn(text, DIGITS "abcdef") == ASH_SHA256_HEX;
}

static bool is_line(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			return false;
	return *text != '\0';
}

static bool is_uri(const char *text)
{
	return is_line(text) && strchr(text, ' ') == NULL &&
	       (g_str_has_prefix(text, "http://") || g_str_has_prefix(text, "https://") ||
			       g_str_has_prefix(text, "file:///"));
}

static bool is_kind(const char *text)
{
	return g_strv_contains(kinds, text);
}

/* Relative, without empty parts, "." and "..". */
static bool is_path(const char *text)
{
	if (!is_line(text))
		return false;
	for (const char *part = text; part != NULL;) {
		size_t length = strcspn(part, "/");
		if (length == 0 || (length == 1 && part[0] == '.') ||
				(length == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		part = part[length] == '/' ? part + length + 1 : NULL;
	}
	return true;
}

/* ---- parsing ------------------------------------------------------------------------------------- */

typedef struct {
	const char *key;
	bool is_required;
	bool (*matches)(const char *text);
	const char *expected;
	size_t offset; /* of a char * */
} Field;

static const Field lock_fields[] = {
		{"inputs", true, is_digest, "64 hexadecimal digits", offsetof(AshLock, inputs)},
		{"suite", true, is_suite, "the name of a suite", offsetof(AshLock, suite)},
		{"architecture", true, is_arch, "the name of an architecture",
				offsetof(AshLock, arch)},
		{"variant", false, is_id, "the name of a variant", offsetof(AshLock, variant)},
		{0},
};

static const Field origin_fields[] = {
		{"id", true, is_id, "a name", offsetof(AshLockOrigin, id)},
		{"kind", true, is_kind, "inherited, repository, flat or file",
				offsetof(AshLockOrigin, kind)},
		{"label", false, is_line, "a line of text", offsetof(AshLockOrigin, label)},
		{"uri", false, is_uri, "a URI that begins with http://, https:// or file:///",
				offsetof(AshLockOrigin, uri)},
		{"suite", false, is_suite, "the name of a suite", offsetof(AshLockOrigin, suite)},
		{0},
};

static const Field package_fields[] = {
		{"name", true, is_name, "the name of a package", offsetof(AshLockPackage, name)},
		{"version", true, is_version, "a version", offsetof(AshLockPackage, version)},
		{"arch", true, is_arch, "the name of an architecture",
				offsetof(AshLockPackage, arch)},
		{"sha256", true, is_digest, "64 hexadecimal digits",
				offsetof(AshLockPackage, sha256)},
		{"path", true, is_path, "a relative path without '.', '..' and '//'",
				offsetof(AshLockPackage, path)},
		{0},
};

G_GNUC_PRINTF(3, 4)
static gboolean throw_at(const AshYamlNode *node, GError **error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	return ash_yaml_throw(node, error, ASH_LOCK_ERROR, ASH_LOCK_ERROR_SYNTAX, "%s", text);
}

static gboolean rethrow(const GError *local, GError **error)
{
	return ash_throw(error, ASH_LOCK_ERROR, ASH_LOCK_ERROR_SYNTAX, "%s", local->message);
}

static const char *const extra_lock_keys[] = {"ashlar-lock", "origins", "packages", NULL};
static const char *const extra_origin_keys[] = {NULL};
static const char *const extra_package_keys[] = {"origin", "size", NULL};

static const Field *find_field(const Field *fields, const char *key)
{
	for (; fields->key != NULL; fields++)
		if (strcmp(fields->key, key) == 0)
			return fields;
	return NULL;
}

static gboolean throw_unknown(const AshYamlNode *map, const AshYamlPair *pair, const Field *fields,
		const char *const *extra, GError **error)
{
	AshYamlNode at = {.file = map->file, .line = pair->line, .column = pair->column};
	const char *known[16];
	size_t n = 0;

	for (; fields->key != NULL; fields++)
		known[n++] = fields->key;
	for (; *extra != NULL; extra++)
		known[n++] = *extra;
	known[n] = NULL;
	g_assert(n < G_N_ELEMENTS(known));
	g_autofree char *suggestion = ash_text_suggestion(pair->key, known);
	return throw_at(&at, error, "unknown key '%s'%s", pair->key, suggestion);
}

static gboolean read_field(
		const Field *field, const AshYamlNode *value, gpointer base, GError **error)
{
	g_autoptr(GError) local = NULL;
	char **slot = G_STRUCT_MEMBER_P(base, field->offset);

	if (!ash_yaml_string(value, field->key, slot, &local))
		return rethrow(local, error);
	if (strlen(*slot) > MAX_TEXT_BYTES || !field->matches(*slot))
		return throw_at(value, error, "'%s' is '%.80s', expected %s", field->key, *slot,
				field->expected);
	return TRUE;
}

/* Fills the texts of the struct at @base; on failure it is half filled and still to be freed. */
static gboolean read_fields(const AshYamlNode *map, const Field *fields, const char *const *extra,
		gpointer base, GError **error)
{
	if (map->kind != ASH_YAML_MAP)
		return throw_at(map, error, "expected a map of keys and values here");
	for (guint i = 0; i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		const Field *field = find_field(fields, pair->key);
		if (field == NULL && !g_strv_contains(extra, pair->key))
			return throw_unknown(map, pair, fields, extra, error);
		if (field != NULL && !read_field(field, pair->value, base, error))
			return FALSE;
	}
	for (; fields->key != NULL; fields++)
		if (fields->is_required && G_STRUCT_MEMBER(char *, base, fields->offset) == NULL)
			return throw_at(map, error, "key '%s' is missing here", fields->key);
	return TRUE;
}

static gboolean get_list(const AshYamlNode *map, const char *key, guint max, AshYamlNode **out_list,
		GError **error)
{
	AshYamlNode *list = ash_yaml_get(map, key);

	if (list == NULL)
		return throw_at(map, error, "key '%s' is missing here", key);
	if (list->kind != ASH_YAML_LIST)
		return throw_at(list, error, "'%s' is not a list", key);
	if (list->items->len > max)
		return throw_at(list, error, "'%s' has more than %u items", key, max);
	*out_list = list;
	return TRUE;
}

/* What each kind of origin has beside its id. */
static gboolean check_origin(const AshYamlNode *node, const AshLockOrigin *origin, GError **error)
{
	bool is_file = strcmp(origin->kind, "file") == 0;
	bool is_inherited = strcmp(origin->kind, "inherited") == 0;
	bool needs_uri = !is_file && !is_inherited;

	if ((origin->uri != NULL) != needs_uri)
		return throw_at(node, error, "an origin of kind '%s' has %s 'uri'", origin->kind,
				needs_uri ? "a" : "no");
	if (is_inherited && (origin->label == NULL || origin->suite == NULL))
		return throw_at(node, error, "an inherited origin has 'label' and 'suite'");
	return TRUE;
}

/* @ids: id → index + 1, keys borrowed from the lock. */
static gboolean parse_origins(
		const AshYamlNode *root, AshLock *lock, GHashTable *ids, GError **error)
{
	AshYamlNode *list;

	if (!get_list(root, "origins", MAX_ORIGINS, &list, error))
		return FALSE;
	for (guint i = 0; i < list->items->len; i++) {
		const AshYamlNode *node = list->items->pdata[i];
		AshLockOrigin *origin = g_new0(AshLockOrigin, 1);
		g_ptr_array_add(lock->origins, origin);
		if (!read_fields(node, origin_fields, extra_origin_keys, origin, error) ||
				!check_origin(node, origin, error))
			return FALSE;
		if (!g_hash_table_insert(ids, origin->id, GUINT_TO_POINTER(i + 1)))
			return throw_at(node, error, "origin '%s' is here for the second time",
					origin->id);
	}
	return TRUE;
}

static gboolean parse_package(
		const AshYamlNode *node, AshLockPackage *package, GHashTable *ids, GError **error)
{
	g_autoptr(GError) local = NULL;

	if (!read_fields(node, package_fields, extra_package_keys, package, error))
		return FALSE;
	const AshYamlNode *size = ash_yaml_get(node, "size");
	const AshYamlNode *origin = ash_yaml_get(node, "origin");
	if (size == NULL || origin == NULL)
		return throw_at(node, error, "key '%s' is missing here",
				size == NULL ? "size" : "origin");
	if (!ash_yaml_uint(size, "size", UINT64_C(1) << MAX_PACKAGE_SIZE_BITS, &package->size,
			    &local))
		return rethrow(local, error);
	if (package->size == 0)
		return throw_at(size, error, "a package of 0 bytes cannot be");
	gpointer index = origin->kind == ASH_YAML_SCALAR ? g_hash_table_lookup(ids, origin->scalar)
							 : NULL;
	if (index == NULL)
		return throw_at(origin, error, "'origin' is none of the ids in 'origins'");
	package->origin = (int) GPOINTER_TO_UINT(index) - 1;
	return TRUE;
}

static gboolean parse_packages(
		const AshYamlNode *root, AshLock *lock, GHashTable *ids, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	AshYamlNode *list;

	if (!get_list(root, "packages", ASH_LOCK_MAX_PACKAGES, &list, error))
		return FALSE;
	for (guint i = 0; i < list->items->len; i++) {
		const AshYamlNode *node = list->items->pdata[i];
		AshLockPackage *package = g_new0(AshLockPackage, 1);
		g_ptr_array_add(lock->packages, package);
		if (!parse_package(node, package, ids, error))
			return FALSE;
		char *name = g_strdup_printf("%s:%s", package->name, package->arch);
		if (!g_hash_table_add(seen, name))
			return throw_at(node, error, "package '%s:%s' is here for the second time",
					package->name, package->arch);
	}
	return TRUE;
}

/* The version first, as a newer format may differ in all the rest. */
static gboolean check_version(const AshYamlNode *root, GError **error)
{
	const AshYamlNode *node = ash_yaml_get(root, "ashlar-lock");
	g_autoptr(GError) local = NULL;
	uint64_t version;

	if (node == NULL)
		return throw_at(root, error, "this is not a lock: key 'ashlar-lock' is missing");
	if (!ash_yaml_uint(node, "ashlar-lock", 1000000, &version, &local))
		return rethrow(local, error);
	if (version == 0 || version > FORMAT_VERSION)
		return ash_yaml_throw(node, error, ASH_LOCK_ERROR, ASH_LOCK_ERROR_VERSION,
				"the lock's format is %" PRIu64 ", this ashlar knows up to %d; "
				"use a newer ashlar or run 'ashlar lock'",
				version, FORMAT_VERSION);
	return TRUE;
}

static int compare_packages(gconstpointer a, gconstpointer b)
{
	const AshLockPackage *left = *(const AshLockPackage *const *) a;
	const AshLockPackage *right = *(const AshLockPackage *const *) b;
	int order = strcmp(left->name, right->name);

	return order != 0 ? order : strcmp(left->arch, right->arch);
}

gboolean ash_lock_parse(const char *file, GBytes *text, AshLock **out_lock, GError **error)
{
	g_autoptr(AshLock) lock = ash_lock_new();
	g_autoptr(AshYaml) root = NULL;
	g_autoptr(GHashTable) ids = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GError) local = NULL;

	if (!ash_yaml_parse(file, text, &root, &local))
		return rethrow(local, error);
	if (!check_version(root, error) ||
			!read_fields(root, lock_fields, extra_lock_keys, lock, error) ||
			!parse_origins(root, lock, ids, error) ||
			!parse_packages(root, lock, ids, error))
		return FALSE;
	/* A merge by hand may have left them in another order. */
	g_ptr_array_sort(lock->packages, compare_packages);
	lock->file = g_strdup(file);
	*out_lock = g_steal_pointer(&lock);
	return TRUE;
}

/* ---- formatting ---------------------------------------------------------------------------------- */

/* "key: value, " when there is a value; pads behind the comma so that the next key stands at least
 * @width columns further, for people who read diffs.
 */
static void put(GString *out, const char *key, const char *value, size_t width)
{
	if (value == NULL)
		return;
	g_autofree char *quoted = ash_yaml_quote(value);
	g_string_append_printf(out, "%s: %s, ", key, quoted);
	for (size_t length = strlen(quoted); length < width; length++)
		g_string_append_c(out, ' ');
}

static void end_item(GString *out)
{
	while (out->len > 0 && strchr(", ", out->str[out->len - 1]) != NULL)
		g_string_truncate(out, out->len - 1);
	g_string_append(out, "}\n");
}

static void put_line(GString *out, const char *key, const char *value)
{
	if (value == NULL)
		return;
	g_autofree char *quoted = ash_yaml_quote(value);
	g_string_append_printf(out, "%s: %s\n", key, quoted);
}

static void put_package(GString *out, const AshLock *lock, const AshLockPackage *package)
{
	const AshLockOrigin *origin = lock->origins->pdata[package->origin];
	g_autofree char *size = g_strdup_printf("%" PRIu64, package->size);

	g_string_append(out, "  - {");
	put(out, "name", package->name, 24);
	put(out, "version", package->version, 18);
	put(out, "arch", package->arch, 5);
	put(out, "origin", origin->id, 6);
	g_string_append_printf(out, "size: %s, ", size);
	for (size_t length = strlen(size); length < 8; length++)
		g_string_append_c(out, ' ');
	put(out, "sha256", package->sha256, 0);
	put(out, "path", package->path, 0);
	end_item(out);
}

char *ash_lock_format(AshLock *lock)
{
	GString *out = g_string_new("# Written by 'ashlar lock'. Commit it beside the manifest; "
				    "'ashlar lock --update' moves it on.\n");

	g_ptr_array_sort(lock->packages, compare_packages);
	g_string_append_printf(out, "ashlar-lock: %d\n", FORMAT_VERSION);
	put_line(out, "inputs", lock->inputs);
	put_line(out, "suite", lock->suite);
	put_line(out, "architecture", lock->arch);
	put_line(out, "variant", lock->variant);
	g_string_append(out, lock->origins->len > 0 ? "origins:\n" : "origins: []\n");
	for (guint i = 0; i < lock->origins->len; i++) {
		const AshLockOrigin *origin = lock->origins->pdata[i];
		g_string_append(out, "  - {");
		put(out, "id", origin->id, 0);
		put(out, "kind", origin->kind, 0);
		put(out, "label", origin->label, 0);
		put(out, "uri", origin->uri, 0);
		put(out, "suite", origin->suite, 0);
		end_item(out);
	}
	g_string_append(out, lock->packages->len > 0 ? "packages:\n" : "packages: []\n");
	for (guint i = 0; i < lock->packages->len; i++)
		put_package(out, lock, lock->packages->pdata[i]);
	return g_string_free(out, FALSE);
}

/* ---- disk ---------------------------------------------------------------------------------------- */

gboolean ash_lock_load(const char *path, AshLock **out_lock, GError **error)
{
	g_autoptr(GBytes) text = NULL;

	if (!ash_file_read(AT_FDCWD, path, ASH_LOCK_MAX_BYTES, &text, error))
		return FALSE;
	return ash_lock_parse(path, text, out_lock, error);
}

gboolean ash_lock_save(AshLock *lock, const char *path, GError **error)
{
	g_autofree char *text = ash_lock_format(lock);

	return ash_file_replace(AT_FDCWD, path, text, strlen(text), 0644, error);
}

/* ---- questions ----------------------------------------------------------------------------------- */

const AshLockPackage *ash_lock_find(const AshLock *lock, const char *name)
{
	for (guint i = 0; i < lock->packages->len; i++) {
		const AshLockPackage *package = lock->packages->pdata[i];
		if (strcmp(package->name, name) == 0)
			return package;
	}
	return NULL;
}

char *ash_lock_digest(const AshLock *lock)
{
	g_autoptr(GPtrArray) sorted = g_ptr_array_copy(lock->packages, NULL, NULL);
	AshSha256 *hash = ash_sha256_new();
	uint8_t digest[ASH_SHA256_BYTES];

	/* The array that was copied frees its elements, this one must not. */
	g_ptr_array_set_free_func(sorted, NULL);
	g_ptr_array_sort(sorted, compare_packages);
	for (guint i = 0; i < sorted->len; i++) {
		const AshLockPackage *package = sorted->pdata[i];
		g_autofree char *line = g_strdup_printf("%s %s %s %s\n", package->name,
				package->version, package->arch, package->sha256);
		ash_sha256_update(hash, line, strlen(line));
	}
	ash_sha256_finish(hash, digest);
	return ash_sha256_format(digest);
}
