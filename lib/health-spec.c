/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/health-spec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_health_spec_error, ash_health_spec_error)

#define SECOND_MS ((uint32_t) 1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)

/* The names that a message about an unknown key may suggest. */
static const char *const top_keys[] = {"soak", "deadline", "checks", NULL};
static const char *const check_keys[] = {"name", "class", "timeout", "interval", "failures",
		"disable", "unit", "command", "tcp", "http", "dns", "file", "space", NULL};
static const char *const space_keys[] = {"path", "bytes", "inodes", NULL};

/* ---- life ---------------------------------------------------------------------------------------- */

static void check_free(gpointer data)
{
	AshHealthCheck *check = data;

	if (check == NULL)
		return;
	g_free(check->name);
	g_free(check->target);
	g_strfreev(check->command);
	g_free(check->error);
	g_free(check);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshHealthCheck, check_free)

static AshHealthCheck *check_new(void)
{
	AshHealthCheck *check = g_new0(AshHealthCheck, 1);

	check->is_required = true;
	check->timeout_ms = 10 * SECOND_MS;
	check->interval_ms = 10 * SECOND_MS;
	check->failures = 3;
	check->mark = "";
	return check;
}

static AshHealthCheck *check_copy(const AshHealthCheck *check)
{
	AshHealthCheck *copy = g_new(AshHealthCheck, 1);

	*copy = *check;
	copy->name = g_strdup(check->name);
	copy->target = g_strdup(check->target);
	copy->command = g_strdupv(check->command);
	copy->error = g_strdup(check->error);
	return copy;
}

AshHealthSpec *ash_health_spec_new(void)
{
	AshHealthSpec *spec = g_new0(AshHealthSpec, 1);

	spec->soak_ms = MINUTE_MS;
	spec->deadline_ms = 10 * MINUTE_MS;
	spec->checks = g_ptr_array_new_with_free_func(check_free);
	return spec;
}

void ash_health_spec_free(AshHealthSpec *spec)
{
	if (spec == NULL)
		return;
	g_ptr_array_unref(spec->checks);
	g_free(spec);
}

AshHealthSpec *ash_health_spec_copy(const AshHealthSpec *spec)
{
	AshHealthSpec *copy = ash_health_spec_new();

	copy->soak_ms = spec->soak_ms;
	copy->deadline_ms = spec->deadline_ms;
	for (guint i = 0; i < spec->checks->len; i++)
		g_ptr_array_add(copy->checks, check_copy(spec->checks->pdata[i]));
	return copy;
}

static int find_check(const AshHealthSpec *spec, const char *name)
{
	for (guint i = 0; i < spec->checks->len; i++)
		if (strcmp(((const AshHealthCheck *) spec->checks->pdata[i])->name, name) == 0)
			return (int) i;
	return -1;
}

/* ---- messages ------------------------------------------------------------------------------------ */

G_GNUC_PRINTF(3, 4)
static gboolean throw_value(const AshYamlNode *node, GError **error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	return ash_yaml_throw(node, error, ASH_HEALTH_SPEC_ERROR, ASH_HEALTH_SPEC_ERROR_VALUE, "%s",
			text);
}

static gboolean check_map(
		const AshYamlNode *map, const char *what, const char *const *keys, GError **error)
{
	if (map->kind != ASH_YAML_MAP)
		return throw_value(map, error, "%s: expected a map of keys and values", what);
	for (guint i = 0; i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		if (g_strv_contains(keys, pair->key))
			continue;
		AshYamlNode at = {.file = map->file, .line = pair->line, .column = pair->column};
		g_autofree char *hint = ash_text_suggestion(pair->key, keys);
		return throw_value(
				&at, error, "unknown key '%.80s' in %s%s", pair->key, what, hint);
	}
	return TRUE;
}

/* ---- forms of text ------------------------------------------------------------------------------- */

static bool is_of(const char *text, size_t max_bytes, const char *others)
{
	size_t length = strlen(text);

	for (const char *p = text; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && strchr(others, *p) == NULL)
			return false;
	return length >= 1 && length <= max_bytes;
}

static bool is_name(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (g_ascii_isupper(*p))
			return false;
	return is_of(text, ASH_HEALTH_SPEC_MAX_NAME_BYTES, "-") && *text != '-';
}

static bool is_unit(const char *text)
{
	static const char *const suffixes[] = {".service", ".socket", ".target", ".timer", ".mount",
			".automount", ".path", ".slice", ".swap", ".device", ".scope"};

	for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++)
		if (g_str_has_suffix(text, suffixes[i]))
			return is_of(text, 255, ":_.\\@-") && strlen(text) > strlen(suffixes[i]);
	return false;
}

static bool is_host(const char *text)
{
	return is_of(text, 253, ".-_") && *text != '-' && *text != '.' &&
	       strstr(text, "..") == NULL;
}

/* One line that may stand in a message, without blanks at which a person would be misled. */
static bool is_line(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (g_ascii_iscntrl(*p))
			return false;
	return *text != '\0' && strlen(text) <= ASH_HEALTH_SPEC_MAX_TARGET_BYTES;
}

static bool is_path(const char *text)
{
	g_autofree char *padded = g_strconcat(text, "/", NULL);

	return is_line(text) && *text == '/' && strstr(padded, "/../") == NULL &&
	       strstr(padded, "/./") == NULL;
}

/* "80", 1 to 65535. */
static bool is_port(const char *text)
{
	guint64 port;

	return strspn(text, "0123456789") == strlen(text) && *text != '0' &&
	       g_ascii_string_to_unsigned(text, 10, 1, 65535, &port, NULL);
}

/* "host", "127.0.0.1", "[::1]", each with ":80" behind it. */
static bool is_authority(const char *text, bool needs_port)
{
	g_autofree char *copy = g_strdup(text);
	char *end = *copy == '[' ? strchr(copy, ']') : strrchr(copy, ':');

	if (*copy == '[') {
		if (end == NULL || end - copy > 46)
			return false;
		*end++ = '\0';
		if (strspn(copy + 1, "0123456789abcdefABCDEF:.") != strlen(copy + 1) ||
				strchr(copy, ':') == NULL)
			return false;
		return *end == '\0' ? !needs_port : *end == ':' && is_port(end + 1);
	}
	if (end == NULL)
		return !needs_port && is_host(copy);
	*end = '\0';
	return is_host(copy) && is_port(end + 1);
}

static bool is_address(const char *text)
{
	return is_authority(text, true);
}

static bool is_url(const char *text)
{
	const char *rest = g_str_has_prefix(text, "http://")    ? text + strlen("http://")
			   : g_str_has_prefix(text, "https://") ? text + strlen("https://")
								: NULL;

	if (rest == NULL || !is_line(text) || strpbrk(text, " \"<>\\^`{|}#") != NULL)
		return false;
	for (const char *p = text; *p != '\0'; p++)
		if (!g_ascii_isprint(*p))
			return false;
	g_autofree char *authority = g_strndup(rest, strcspn(rest, "/?"));
	return is_authority(authority, false);
}

static const struct {
	const char *name;
	bool (*is_target)(const char *text); /* of kinds that are one text */
	const char *expected;
} kinds[] = {
		[ASH_HEALTH_UNIT] = {"unit", is_unit, "a unit with its suffix, as in web.service"},
		[ASH_HEALTH_COMMAND] = {"command", NULL, NULL},
		[ASH_HEALTH_TCP] = {"tcp", is_address, "HOST:PORT, as in 127.0.0.1:80 or [::1]:80"},
		[ASH_HEALTH_HTTP] = {"http", is_url, "a URL that begins with http:// or https://"},
		[ASH_HEALTH_DNS] = {"dns", is_host, "the name of a host"},
		[ASH_HEALTH_FILE] = {"file", is_path, "an absolute path without '.' and '..'"},
		[ASH_HEALTH_SPACE] = {"space", NULL, NULL},
};

const char *ash_health_kind_name(AshHealthKind kind)
{
	return kinds[kind].name;
}

bool ash_health_kind_find(const char *name, AshHealthKind *out_kind)
{
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		if (strcmp(kinds[i].name, name) != 0)
			continue;
		*out_kind = (AshHealthKind) i;
		return true;
	}
	return false;
}

bool ash_health_is_target(AshHealthKind kind, const char *text)
{
	return kinds[kind].is_target != NULL ? kinds[kind].is_target(text) : is_path(text);
}

/* ---- numbers with a unit ------------------------------------------------------------------------- */

typedef struct {
	const char *name;
	uint64_t factor;
} Unit;

/* From the smallest. */
static const Unit duration_units[] = {
		{"ms", 1}, {"s", SECOND_MS}, {"min", MINUTE_MS}, {"h", HOUR_MS}};
static const Unit size_units[] = {{"", 1}, {"KiB", UINT64_C(1) << 10}, {"MiB", UINT64_C(1) << 20},
		{"GiB", UINT64_C(1) << 30}, {"TiB", UINT64_C(1) << 40}};

static bool parse_number(const char *text, const Unit *units, size_t n_units, uint64_t max,
		uint64_t *out_value)
{
	size_t n_digits = strspn(text, "0123456789");
	guint64 number;

	g_autofree char *digits = g_strndup(text, n_digits);
	if (n_digits == 0 || (n_digits > 1 && *text == '0') ||
			!g_ascii_string_to_unsigned(digits, 10, 0, max, &number, NULL))
		return false;
	for (size_t i = 0; i < n_units; i++) {
		if (strcmp(text + n_digits, units[i].name) != 0)
			continue;
		if (number > max / units[i].factor)
			return false;
		*out_value = number * units[i].factor;
		return true;
	}
	return false;
}

static char *format_number(uint64_t value, const Unit *units, size_t n_units)
{
	size_t i = n_units - 1;

	while (i > 0 && (value == 0 || value % units[i].factor != 0))
		i--;
	return g_strdup_printf("%" PRIu64 "%s", value / units[i].factor, units[i].name);
}

bool ash_health_parse_duration(const char *text, uint32_t *out_ms)
{
	uint64_t value;

	if (!parse_number(text, duration_units, G_N_ELEMENTS(duration_units), UINT32_MAX, &value))
		return false;
	*out_ms = (uint32_t) value;
	return true;
}

static char *format_duration(uint32_t ms)
{
	/* "0s" reads better than "0ms". */
	return ms == 0 ? g_strdup("0s")
		       : format_number(ms, duration_units, G_N_ELEMENTS(duration_units));
}

/* Sets *@slot when @map has @key. */
static gboolean parse_duration(const AshYamlNode *map, const char *key, uint32_t min_ms,
		uint32_t max_ms, uint32_t *slot, GError **error)
{
	const AshYamlNode *node = ash_yaml_get(map, key);
	uint32_t ms;

	if (node == NULL)
		return TRUE;
	if (node->kind == ASH_YAML_SCALAR && ash_health_parse_duration(node->scalar, &ms) &&
			ms >= min_ms && ms <= max_ms) {
		*slot = ms;
		return TRUE;
	}
	g_autofree char *min = format_duration(min_ms);
	g_autofree char *max = format_duration(max_ms);
	return throw_value(node, error,
			"'%s': expected a duration from %s to %s, as in 500ms, 10s, 5min or 1h",
			key, min, max);
}

/* ---- what a check looks at ----------------------------------------------------------------------- */

static gboolean parse_text(const AshYamlNode *node, AshHealthCheck *check, GError **error)
{
	if (node->kind != ASH_YAML_SCALAR || !kinds[check->kind].is_target(node->scalar))
		return throw_value(node, error, "'%s': expected %s", kinds[check->kind].name,
				kinds[check->kind].expected);
	check->target = g_strdup(node->scalar);
	return TRUE;
}

static gboolean parse_command(const AshYamlNode *node, AshHealthCheck *check, GError **error)
{
	if (node->kind != ASH_YAML_LIST || node->items->len == 0)
		return throw_value(node, error,
				"'command': expected a list, as in [/usr/bin/probe, --fast]");
	if (node->items->len > ASH_HEALTH_SPEC_MAX_ARGUMENTS)
		return ash_yaml_throw(node, error, ASH_HEALTH_SPEC_ERROR,
				ASH_HEALTH_SPEC_ERROR_LIMIT, "'command' has more than %d words",
				ASH_HEALTH_SPEC_MAX_ARGUMENTS);
	g_autoptr(GStrvBuilder) words = g_strv_builder_new();
	for (guint i = 0; i < node->items->len; i++) {
		const AshYamlNode *item = node->items->pdata[i];
		if (item->kind != ASH_YAML_SCALAR ||
				strlen(item->scalar) > ASH_HEALTH_SPEC_MAX_TARGET_BYTES)
			return throw_value(item, error,
					"'command': expected text of at most %d bytes",
					ASH_HEALTH_SPEC_MAX_TARGET_BYTES);
		if (i == 0 && !is_path(item->scalar))
			return throw_value(item, error,
					"'command': expected the absolute path of a program");
		g_strv_builder_add(words, item->scalar);
	}
	check->command = g_strv_builder_end(words);
	check->target = g_strdup(check->command[0]);
	return TRUE;
}

static gboolean parse_space(const AshYamlNode *node, AshHealthCheck *check, GError **error)
{
	if (!check_map(node, "'space'", space_keys, error))
		return FALSE;
	const AshYamlNode *path = ash_yaml_get(node, "path");
	const AshYamlNode *bytes = ash_yaml_get(node, "bytes");
	const AshYamlNode *inodes = ash_yaml_get(node, "inodes");
	if (path == NULL || (bytes == NULL && inodes == NULL))
		return throw_value(node, error, "'space' needs 'path', and 'bytes' or 'inodes'");
	if (path->kind != ASH_YAML_SCALAR || !is_path(path->scalar))
		return throw_value(path, error, "'path': expected %s",
				kinds[ASH_HEALTH_FILE].expected);
	if (bytes != NULL && (bytes->kind != ASH_YAML_SCALAR ||
					     !parse_number(bytes->scalar, size_units,
							     G_N_ELEMENTS(size_units), INT64_MAX,
							     &check->bytes)))
		return throw_value(bytes, error,
				"'bytes': expected a size, as in 4096, 100MiB or 2GiB");
	if (inodes != NULL && !ash_yaml_uint(inodes, "'inodes'", INT64_MAX, &check->inodes, error))
		return FALSE;
	check->target = g_strdup(path->scalar);
	return TRUE;
}

static gboolean parse_kind(const AshYamlNode *map, AshHealthCheck *check, GError **error)
{
	const AshYamlNode *found = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		const AshYamlNode *node = ash_yaml_get(map, kinds[i].name);
		if (node == NULL)
			continue;
		if (found != NULL)
			return throw_value(node, error, "check '%s' has both '%s' and '%s'",
					check->name, kinds[check->kind].name, kinds[i].name);
		found = node;
		check->kind = (AshHealthKind) i;
	}
	if (found == NULL)
		return throw_value(map, error,
				"check '%s' needs one of unit, command, tcp, http, dns, file, space",
				check->name);
	if (check->kind == ASH_HEALTH_COMMAND)
		return parse_command(found, check, error);
	if (check->kind == ASH_HEALTH_SPACE)
		return parse_space(found, check, error);
	return parse_text(found, check, error);
}

/* ---- checks -------------------------------------------------------------------------------------- */

static gboolean parse_class(const AshYamlNode *map, AshHealthCheck *check, GError **error)
{
	const AshYamlNode *node = ash_yaml_get(map, "class");
	const char *text = node != NULL && node->kind == ASH_YAML_SCALAR ? node->scalar : "";

	if (node == NULL)
		return TRUE;
	check->is_required = strcmp(text, "required") == 0;
	if (!check->is_required && strcmp(text, "wanted") != 0)
		return throw_value(node, error, "'class': expected required or wanted");
	return TRUE;
}

static gboolean parse_failures(const AshYamlNode *map, AshHealthCheck *check, GError **error)
{
	const AshYamlNode *node = ash_yaml_get(map, "failures");
	uint64_t failures;

	if (node == NULL)
		return TRUE;
	if (!ash_yaml_uint(node, "'failures'", 100, &failures, error))
		return FALSE;
	if (failures == 0)
		return throw_value(node, error, "'failures': expected a number from 1 to 100");
	check->failures = (unsigned) failures;
	return TRUE;
}

static gboolean parse_check(const AshYamlNode *map, AshHealthCheck **out_check, bool *out_disabled,
		GError **error)
{
	g_autoptr(AshHealthCheck) check = check_new();
	bool is_disabled = false;

	if (!check_map(map, "a check", check_keys, error))
		return FALSE;
	const AshYamlNode *name = ash_yaml_get(map, "name");
	const AshYamlNode *disable = ash_yaml_get(map, "disable");
	if (name == NULL)
		return throw_value(map, error, "key 'name' is missing here");
	if (name->kind != ASH_YAML_SCALAR || !is_name(name->scalar))
		return throw_value(name, error,
				"'name': expected lower-case letters, digits and '-', at most %d",
				ASH_HEALTH_SPEC_MAX_NAME_BYTES);
	check->name = g_strdup(name->scalar);
	g_autofree char *mark = g_strdup_printf("%s:%u:%u", map->file, map->line, map->column);
	check->mark = g_intern_string(mark);
	if (disable != NULL && !ash_yaml_bool(disable, "'disable'", &is_disabled, error))
		return FALSE;
	if (is_disabled && map->pairs->len > 2)
		return throw_value(map, error, "a check with 'disable: true' has only a 'name'");
	if (!is_disabled &&
			(!parse_class(map, check, error) || !parse_failures(map, check, error) ||
					!parse_duration(map, "timeout", SECOND_MS, 10 * MINUTE_MS,
							&check->timeout_ms, error) ||
					!parse_duration(map, "interval", SECOND_MS, 24 * HOUR_MS,
							&check->interval_ms, error) ||
					!parse_kind(map, check, error)))
		return FALSE;
	check->has_interval = ash_yaml_get(map, "interval") != NULL;
	*out_check = g_steal_pointer(&check);
	*out_disabled = is_disabled;
	return TRUE;
}

static void apply_check(AshHealthSpec *spec, AshHealthCheck *take_check, bool is_disabled)
{
	int index = find_check(spec, take_check->name);

	if (is_disabled) {
		if (index >= 0)
			g_ptr_array_remove_index(spec->checks, (guint) index);
		check_free(take_check);
	} else if (index >= 0) {
		check_free(spec->checks->pdata[index]);
		spec->checks->pdata[index] = take_check;
	} else {
		g_ptr_array_add(spec->checks, take_check);
	}
}

static gboolean merge_checks(AshHealthSpec *spec, const AshYamlNode *list, GError **error)
{
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	if (list->kind != ASH_YAML_LIST)
		return throw_value(list, error, "'checks': expected a list ([] for an empty one)");
	for (guint i = 0; i < list->items->len; i++) {
		const AshYamlNode *map = list->items->pdata[i];
		AshHealthCheck *check = NULL;
		bool is_disabled = false;
		if (!parse_check(map, &check, &is_disabled, error))
			return FALSE;
		g_assert(check != NULL);
		bool is_new = g_hash_table_add(names, g_strdup(check->name));
		apply_check(spec, check, is_disabled);
		if (!is_new)
			return throw_value(ash_yaml_get(map, "name"), error,
					"another check of this list has the same name");
		if (spec->checks->len > ASH_HEALTH_SPEC_MAX_CHECKS)
			return ash_yaml_throw(map, error, ASH_HEALTH_SPEC_ERROR,
					ASH_HEALTH_SPEC_ERROR_LIMIT, "more than %d checks",
					ASH_HEALTH_SPEC_MAX_CHECKS);
	}
	return TRUE;
}

gboolean ash_health_spec_merge(AshHealthSpec *spec, const AshYamlNode *map, GError **error)
{
	g_autoptr(AshHealthSpec) merged = NULL;

	if (map->kind == ASH_YAML_NULL)
		return TRUE;
	merged = ash_health_spec_copy(spec);
	if (!check_map(map, "health checks", top_keys, error) ||
			!parse_duration(map, "soak", 0, HOUR_MS, &merged->soak_ms, error) ||
			!parse_duration(map, "deadline", 10 * SECOND_MS, 6 * HOUR_MS,
					&merged->deadline_ms, error))
		return FALSE;
	if (merged->soak_ms >= merged->deadline_ms)
		return throw_value(map, error,
				"the soak time (%us) must be shorter than the deadline (%us)",
				merged->soak_ms / SECOND_MS, merged->deadline_ms / SECOND_MS);
	const AshYamlNode *checks = ash_yaml_get(map, "checks");
	if (checks != NULL && !merge_checks(merged, checks, error))
		return FALSE;
	/* What is written must be readable where it is read. */
	g_autofree char *text = ash_health_spec_format(merged);
	if (strlen(text) > ASH_HEALTH_SPEC_MAX_FILE_BYTES)
		return ash_yaml_throw(map, error, ASH_HEALTH_SPEC_ERROR,
				ASH_HEALTH_SPEC_ERROR_LIMIT,
				"all checks together are larger than %d KiB",
				ASH_HEALTH_SPEC_MAX_FILE_BYTES >> 10);
	AshHealthSpec old = *spec;
	*spec = *merged;
	*merged = old;
	return TRUE;
}

/* ---- text ---------------------------------------------------------------------------------------- */

static void put_text(GString *out, const char *key, const char *value)
{
	g_autofree char *quoted = ash_yaml_quote(value);

	g_string_append_printf(out, "    %s: %s\n", key, quoted);
}

static void put_command(GString *out, char *const *command)
{
	g_string_append(out, "    command:\n");
	for (char *const *word = command; *word != NULL; word++) {
		g_autofree char *quoted = ash_yaml_quote(*word);
		g_string_append_printf(out, "      - %s\n", quoted);
	}
}

static void put_space(GString *out, const AshHealthCheck *check)
{
	g_autofree char *path = ash_yaml_quote(check->target);
	g_autofree char *bytes = format_number(check->bytes, size_units, G_N_ELEMENTS(size_units));

	g_string_append_printf(out,
			"    space:\n      path: %s\n      bytes: %s\n      inodes: %" PRIu64 "\n",
			path, bytes, check->inodes);
}

static void put_check(GString *out, const AshHealthCheck *check)
{
	g_autofree char *timeout = format_duration(check->timeout_ms);
	g_autofree char *interval = format_duration(check->interval_ms);
	/* A name may look like a number. */
	g_autofree char *name = ash_yaml_quote(check->name);

	g_string_append_printf(out, "  - name: %s\n    class: %s\n    timeout: %s\n", name,
			check->is_required ? "required" : "wanted", timeout);
	if (check->has_interval)
		g_string_append_printf(out, "    interval: %s\n", interval);
	g_string_append_printf(out, "    failures: %u\n", check->failures);
	if (check->kind == ASH_HEALTH_COMMAND)
		put_command(out, check->command);
	else if (check->kind == ASH_HEALTH_SPACE)
		put_space(out, check);
	else
		put_text(out, kinds[check->kind].name, check->target);
}

char *ash_health_spec_format(const AshHealthSpec *spec)
{
	g_autofree char *soak = format_duration(spec->soak_ms);
	g_autofree char *deadline = format_duration(spec->deadline_ms);
	g_autoptr(GString) checks = g_string_new(NULL);

	for (guint i = 0; i < spec->checks->len; i++) {
		const AshHealthCheck *check = spec->checks->pdata[i];
		if (check->error == NULL)
			put_check(checks, check);
	}
	return g_strdup_printf("soak: %s\ndeadline: %s\nchecks:%s\n%s", soak, deadline,
			checks->len == 0 ? " []" : "", checks->str);
}

/* ---- files --------------------------------------------------------------------------------------- */

static void add_broken(GPtrArray *broken, const char *name, const char *path, const char *text)
{
	AshHealthCheck *check = check_new();

	check->kind = ASH_HEALTH_FILE;
	/* It goes to the bus and to terminals, and nothing has judged it yet. */
	g_autofree char *shown = g_strndup(name, ASH_HEALTH_SPEC_MAX_NAME_BYTES);
	g_strcanon(shown, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-", '?');
	check->name = g_strconcat("health.d", *shown != '\0' ? "/" : "", shown, NULL);
	check->target = g_strdup(path);
	check->error = g_strdup(text);
	check->mark = g_intern_string(path);
	g_ptr_array_add(broken, check);
}

/* Adds the file names in @dir to @files: name to path; a later directory's path wins. */
static void list_files(const char *dir, GHashTable *files, GPtrArray *broken)
{
	g_autoptr(GError) local = NULL;
	g_autoptr(GDir) handle = g_dir_open(dir, 0, &local);

	if (handle == NULL) {
		if (!g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
			add_broken(broken, "", dir, local->message);
		return;
	}
	for (const char *name; (name = g_dir_read_name(handle)) != NULL;)
		if (g_str_has_suffix(name, ".yaml") && *name != '.')
			g_hash_table_replace(
					files, g_strdup(name), g_build_filename(dir, name, NULL));
}

static gboolean merge_file(AshHealthSpec *spec, const char *path, GError **error)
{
	g_autoptr(GBytes) text = NULL;
	g_autoptr(AshYaml) map = NULL;

	return ash_file_read(AT_FDCWD, path, ASH_HEALTH_SPEC_MAX_FILE_BYTES, &text, error) &&
	       ash_yaml_parse(path, text, &map, error) && ash_health_spec_merge(spec, map, error);
}

gboolean ash_health_spec_load(const char *root, AshHealthSpec **out_spec, GError **error)
{
	g_autoptr(AshHealthSpec) spec = ash_health_spec_new();
	g_autoptr(GHashTable) files =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autoptr(GPtrArray) broken = g_ptr_array_new_with_free_func(check_free);
	g_autofree char *usr = g_strconcat(root, ASH_HEALTH_SPEC_DIR_USR, NULL);
	g_autofree char *etc = g_strconcat(root, ASH_HEALTH_SPEC_DIR_ETC, NULL);

	if (*root != '\0' && !g_file_test(root, G_FILE_TEST_IS_DIR)) {
		errno = ENOTDIR;
		return ash_throw_errno(error, "%s", root);
	}
	list_files(usr, files, broken);
	list_files(etc, files, broken);
	g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(files), (GCompareFunc) strcmp);
	unsigned n_files = 0;
	for (const GList *name = names; name != NULL; name = name->next) {
		const char *path = g_hash_table_lookup(files, name->data);
		g_autoptr(GError) local = NULL;
		if (++n_files > ASH_HEALTH_SPEC_MAX_FILES) {
			add_broken(broken, name->data, path, "there are too many files beside it");
			break;
		}
		if (!merge_file(spec, path, &local))
			add_broken(broken, name->data, path, local->message);
	}
	/* Behind all others, so that no later file can take them away. */
	while (broken->len > 0)
		g_ptr_array_add(spec->checks, g_ptr_array_steal_index(broken, 0));
	*out_spec = g_steal_pointer(&spec);
	return TRUE;
}
