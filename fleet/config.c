/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/config.h"

#include <fcntl.h>
#include <string.h>

#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"
#include "lib/yaml.h"

G_DEFINE_QUARK(ash_fleet_config_error, ash_fleet_config_error)

enum {
	MINUTE_S = 60,
	HOUR_S = 60 * MINUTE_S,
	DAY_S = 24 * HOUR_S,
	MAX_NAMES = 32,
	MIN_TOKEN_CHARS = 16,
};

static gboolean throw_value(const AshYamlNode *node, GError **error, const char *text)
{
	return ash_yaml_throw(node, error, ASH_FLEET_CONFIG_ERROR, ASH_FLEET_CONFIG_ERROR_SYNTAX,
			"%s", text);
}

/* lib/yaml.h's errors say the same in another domain. */
static gboolean as_syntax(GError **error, GError *take_inner)
{
	gboolean result = ash_throw(error, ASH_FLEET_CONFIG_ERROR, ASH_FLEET_CONFIG_ERROR_SYNTAX,
			"%s", take_inner->message);

	g_error_free(take_inner);
	return result;
}

/* ---- kinds of values: each reads @node into what it points to ---- */

static gboolean read_text(const AshYamlNode *node, const char *key, void *slot, GError **error)
{
	char **text = slot;
	char *value = NULL;
	GError *inner = NULL;

	if (!ash_yaml_string(node, key, &value, &inner))
		return as_syntax(error, inner);
	g_free(*text);
	*text = value;
	return TRUE;
}

static gboolean read_bool(const AshYamlNode *node, const char *key, void *slot, GError **error)
{
	GError *inner = NULL;

	return ash_yaml_bool(node, key, slot, &inner) || as_syntax(error, inner);
}

static gboolean read_count(const AshYamlNode *node, const char *key, void *slot, GError **error)
{
	GError *inner = NULL;

	return ash_yaml_uint(node, key, 1000 * 1000 * 1000, slot, &inner) ||
	       as_syntax(error, inner);
}

static gboolean read_sha256(const AshYamlNode *node, const char *key, void *slot, GError **error)
{
	char **text = slot;

	if (!read_text(node, key, slot, error))
		return FALSE;
	g_autofree char *digits = *text;
	*text = g_ascii_strdown(digits, -1);
	if (!ash_text_is_sha256(*text))
		return throw_value(node, error, "expected the SHA-256 of a certificate, 64 digits");
	return TRUE;
}

static gboolean read_token(const AshYamlNode *node, const char *key, void *slot, GError **error)
{
	char **text = slot;

	if (!read_text(node, key, slot, error))
		return FALSE;
	if (strlen(*text) < MIN_TOKEN_CHARS)
		return throw_value(node, error, "a token has 16 characters at least");
	return TRUE;
}

static bool parse_duration(const char *text, int64_t *out_s)
{
	static const struct {
		const char *unit;
		int64_t seconds;
	} units[] = {{"s", 1}, {"min", MINUTE_S}, {"h", HOUR_S}, {"d", DAY_S}};
	char *end = NULL;
	guint64 value = g_ascii_strtoull(text, &end, 10);

	if (!g_ascii_isdigit(text[0]) || value > 100000)
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
		if (strcmp(end, units[i].unit) == 0) {
			*out_s = (int64_t) value * units[i].seconds;
			return true;
		}
	return false;
}

/* As it is written: "5s", "1h", "36500d" */
static char *format_duration(int64_t seconds)
{
	if (seconds % DAY_S == 0)
		return g_strdup_printf("%" G_GINT64_FORMAT "d", seconds / DAY_S);
	if (seconds % HOUR_S == 0)
		return g_strdup_printf("%" G_GINT64_FORMAT "h", seconds / HOUR_S);
	return g_strdup_printf("%" G_GINT64_FORMAT "s", seconds);
}

static gboolean read_between(const AshYamlNode *node, int64_t min_s, int64_t max_s, int64_t *slot,
		GError **error)
{
	int64_t value = 0;

	if (node->kind == ASH_YAML_SCALAR && parse_duration(node->scalar, &value) &&
			value >= min_s && value <= max_s) {
		*slot = value;
		return TRUE;
	}
	g_autofree char *min = format_duration(min_s);
	g_autofree char *max = format_duration(max_s);
	g_autofree char *text = g_strdup_printf(
			"expected a time from %s to %s, as in 30s, 5min, 12h or 90d", min, max);
	return throw_value(node, error, text);
}

static gboolean read_poll(const AshYamlNode *node, const char *key, void *slot, GError **error)
{
	return read_between(node, 5, DAY_S, slot, error);
}

static gboolean read_life(const AshYamlNode *node, const char *key, void *slot, GError **error)
{
	return read_between(node, HOUR_S, 3650LL * DAY_S, slot, error);
}

static gboolean read_silence(const AshYamlNode *node, const char *key, void *slot, GError **error)
{
	return read_between(node, 10, 30LL * DAY_S, slot, error);
}

static gboolean read_keep(const AshYamlNode *node, const char *key, void *slot, GError **error)
{
	int64_t *keep_s = slot;

	if (node->kind == ASH_YAML_SCALAR && strcmp(node->scalar, "0") == 0) {
		*keep_s = 0;
		return TRUE;
	}
	return read_between(node, DAY_S, 36500LL * DAY_S, slot, error);
}

static bool is_name(const char *name)
{
	size_t size = strlen(name);

	return size > 0 && size <= 253 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789.-:*") == size;
}

static gboolean read_names(const AshYamlNode *node, const char *key, void *slot, GError **error)
{
	char ***names = slot;
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);

	if (node->kind != ASH_YAML_LIST || node->items->len > MAX_NAMES)
		return throw_value(
				node, error, "expected a list of 32 names and addresses at most");
	for (guint i = 0; i < node->items->len; i++) {
		const AshYamlNode *item = g_ptr_array_index(node->items, i);
		g_autofree char *name = NULL;
		if (!read_text(item, key, &name, error))
			return FALSE;
		if (!is_name(name))
			return throw_value(item, error, "expected a name or an address");
		g_ptr_array_add(list, g_steal_pointer(&name));
	}
	g_ptr_array_add(list, NULL);
	g_strfreev(*names);
	*names = (char **) g_ptr_array_free(g_steal_pointer(&list), FALSE);
	return TRUE;
}

/* ---- the keys ---- */

typedef gboolean (*Read)(const AshYamlNode *node, const char *key, void *slot, GError **error);

typedef struct {
	const char *group; /* NULL: at the top */
	const char *name;
	Read read;
	size_t offset;
} Key;

#define AT(member) offsetof(AshFleetConfig, member)
static const Key keys[] = {
		{NULL, "listen", read_text, AT(listen)},
		{NULL, "names", read_names, AT(names)},
		{NULL, "database", read_text, AT(database)},
		{NULL, "certificate", read_text, AT(certificate)},
		{NULL, "key", read_text, AT(key)},
		{"proxy", "certificate", read_sha256, AT(proxy_certificate)},
		{NULL, "content", read_text, AT(content)},
		{NULL, "poll", read_poll, AT(poll_s)},
		{NULL, "certificate_life", read_life, AT(certificate_life_s)},
		{NULL, "silent_after", read_silence, AT(silent_after_s)},
		{NULL, "max_hosts", read_count, AT(max_hosts)},
		{NULL, "max_connections", read_count, AT(max_connections)},
		{"rate", "hosts", read_count, AT(rate_hosts)},
		{"rate", "operators", read_count, AT(rate_operators)},
		{"retention", "events", read_keep, AT(keep_events_s)},
		{"retention", "ledgers", read_keep, AT(keep_ledgers_s)},
		{"retention", "audit", read_keep, AT(keep_audit_s)},
		{"metrics", "open", read_bool, AT(metrics_open)},
		{"ddi", "enabled", read_bool, AT(ddi_enabled)},
		{"ddi", "gateway_token", read_token, AT(ddi_gateway_token)},
		{"fleetlock", "open", read_bool, AT(fleetlock_open)},
};

static gboolean throw_unknown(
		const AshYamlNode *map, const AshYamlPair *pair, const char *group, GError **error)
{
	const char *names[2 * G_N_ELEMENTS(keys) + 1] = {NULL};
	size_t count = 0;
	AshYamlNode at = {.file = map->file, .line = pair->line, .column = pair->column};

	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		if (g_strcmp0(keys[i].group, group) == 0)
			names[count++] = keys[i].name;
		else if (group == NULL)
			names[count++] = keys[i].group;
	}
	g_autofree char *hint = ash_text_suggestion(pair->key, names);
	g_autofree char *text = g_strdup_printf("unknown key '%s%s%s'%s",
			group != NULL ? group : "", group != NULL ? "." : "", pair->key, hint);
	return throw_value(&at, error, text);
}

static gboolean read_map(
		AshFleetConfig *config, const AshYamlNode *map, const char *group, GError **error);

static gboolean read_pair(AshFleetConfig *config, const AshYamlNode *map, const AshYamlPair *pair,
		const char *group, GError **error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		const Key *key = &keys[i];
		if (g_strcmp0(key->group, group) == 0 && strcmp(key->name, pair->key) == 0)
			return key->read(pair->value, key->name,
					G_STRUCT_MEMBER_P(config, key->offset), error);
		if (group == NULL && key->group != NULL && strcmp(key->group, pair->key) == 0)
			return read_map(config, pair->value, key->group, error);
	}
	return throw_unknown(map, pair, group, error);
}

static gboolean read_map(
		AshFleetConfig *config, const AshYamlNode *map, const char *group, GError **error)
{
	if (map->kind == ASH_YAML_NULL)
		return TRUE;
	if (map->kind != ASH_YAML_MAP)
		return throw_value(map, error, "expected keys with values");
	for (guint i = 0; i < map->pairs->len; i++)
		if (!read_pair(config, map, g_ptr_array_index(map->pairs, i), group, error))
			return FALSE;
	return TRUE;
}

static void below(char **slot, const char *dir, const char *fallback)
{
	g_autofree char *given = *slot;

	*slot = NULL;
	if (given != NULL && g_path_is_absolute(given))
		*slot = g_steal_pointer(&given);
	else if (given != NULL || fallback != NULL)
		*slot = g_build_filename(dir, given != NULL ? given : fallback, NULL);
}

static gboolean finish(AshFleetConfig *config, const AshYamlNode *root, GError **error)
{
	static const char sqlite[] = "sqlite:";

	if ((config->certificate == NULL) != (config->key == NULL))
		return throw_value(root, error, "'certificate' and 'key' come together");
	below(&config->certificate, config->dir, NULL);
	below(&config->key, config->dir, NULL);
	below(&config->content, config->dir, "content");
	if (config->database == NULL)
		config->database = g_strdup("sqlite:fleet.db");
	if (g_str_has_prefix(config->database, sqlite)) {
		g_autofree char *path = g_strdup(config->database + strlen(sqlite));
		below(&path, config->dir, NULL);
		g_free(config->database);
		config->database = g_strconcat(sqlite, path, NULL);
	} else if (!g_str_has_prefix(config->database, "postgres:")) {
		return throw_value(ash_yaml_get(root, "database"), error,
				"'database' begins with 'sqlite:' or 'postgres:'");
	}
	return TRUE;
}

gboolean ash_fleet_config_parse(const char *file, GBytes *text, const char *dir,
		AshFleetConfig **out_config, GError **error)
{
	g_autoptr(AshFleetConfig) config = g_new0(AshFleetConfig, 1);
	g_autoptr(AshYaml) root = NULL;
	GError *inner = NULL;

	if (g_bytes_get_size(text) > ASH_FLEET_CONFIG_MAX_BYTES)
		return ash_throw(error, ASH_FLEET_CONFIG_ERROR, ASH_FLEET_CONFIG_ERROR_SYNTAX,
				"%s: more than %d bytes", file, ASH_FLEET_CONFIG_MAX_BYTES);
	if (!ash_yaml_parse(file, text, &root, &inner))
		return as_syntax(error, inner);
	config->dir = g_strdup(dir);
	config->listen = g_strdup("[::]:8443");
	config->names = g_new0(char *, 1);
	config->poll_s = 5 * MINUTE_S;
	config->certificate_life_s = 90LL * DAY_S;
	config->silent_after_s = 15 * MINUTE_S;
	config->keep_events_s = 90LL * DAY_S;
	config->keep_ledgers_s = 365LL * DAY_S;
	config->keep_audit_s = 730LL * DAY_S;
	config->max_hosts = 1000000;
	config->rate_operators = 50;
	if (!read_map(config, root, NULL, error) || !finish(config, root, error))
		return FALSE;
	*out_config = g_steal_pointer(&config);
	return TRUE;
}

gboolean ash_fleet_config_load(const char *dir, AshFleetConfig **out_config, GError **error)
{
	g_autofree char *path = g_build_filename(dir, "fleetd.yaml", NULL);
	g_autoptr(GBytes) text = NULL;
	bool is_there = false;

	if (!ash_file_exists(AT_FDCWD, path, &is_there, error))
		return FALSE;
	if (!is_there)
		text = g_bytes_new_static("", 0);
	else if (!ash_file_read(AT_FDCWD, path, ASH_FLEET_CONFIG_MAX_BYTES, &text, error))
		return FALSE;
	return ash_fleet_config_parse(path, text, dir, out_config, error);
}

void ash_fleet_config_free(AshFleetConfig *config)
{
	if (config == NULL)
		return;
	g_free(config->dir);
	g_free(config->listen);
	g_free(config->database);
	g_free(config->certificate);
	g_free(config->key);
	g_free(config->proxy_certificate);
	g_free(config->content);
	g_strfreev(config->names);
	g_free(config->ddi_gateway_token);
	g_free(config);
}
