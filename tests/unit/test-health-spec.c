/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/health-spec.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#include "lib/file.h"

static AshYamlNode *parse_yaml(const char *file, const char *text)
{
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text) + 1);
	g_autoptr(GBytes) cut = g_bytes_new_from_bytes(bytes, 0, strlen(text));
	g_autoptr(GError) error = NULL;
	AshYamlNode *node = NULL;

	bool is_parsed = ash_yaml_parse(file, cut, &node, &error);
	g_assert_no_error(error);
	g_assert_true(is_parsed);
	return node;
}

static gboolean merge(AshHealthSpec *spec, const char *text, GError **error)
{
	g_autoptr(AshYaml) node = parse_yaml("web.yaml", text);

	return ash_health_spec_merge(spec, node, error);
}

static void merge_good(AshHealthSpec *spec, const char *text)
{
	g_autoptr(GError) error = NULL;
	bool is_merged = merge(spec, text, &error);

	g_assert_no_error(error);
	g_assert_true(is_merged);
}

static const AshHealthCheck *get(const AshHealthSpec *spec, const char *name)
{
	for (guint i = 0; i < spec->checks->len; i++) {
		const AshHealthCheck *check = spec->checks->pdata[i];
		if (g_str_equal(check->name, name))
			return check;
	}
	g_error("there is no check '%s'", name);
}

/* ---- durations ----------------------------------------------------------------------------------- */

static void test_duration(void)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: not a duration */
	} cases[] = {
			{"10s", 10000},
			{"0s", 0},
			{"250ms", 250},
			{"5min", 300000},
			{"1h", 3600000},
			{"4294967295ms", 4294967295},
			{"4294967296ms", -1},
			{"1193h", 4294800000},
			{"1194h", -1},
			{"99999999999999999999s", -1},
			{"", -1},
			{"10", -1},
			{"s", -1},
			{"010s", -1},
			{"-1s", -1},
			{"+1s", -1},
			{" 1s", -1},
			{"1 s", -1},
			{"1.5s", -1},
			{"1s ", -1},
			{"1m", -1},
			{"1d", -1},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		uint32_t ms = 7;
		g_test_message("'%s'", cases[i].text);
		g_assert_cmpint(ash_health_parse_duration(cases[i].text, &ms), ==,
				cases[i].ms >= 0);
		g_assert_cmpint(ms, ==, cases[i].ms >= 0 ? cases[i].ms : 7);
	}
}

/* ---- what is written ----------------------------------------------------------------------------- */

static const char all_kinds[] = "soak: 2min\n"
				"deadline: 1h\n"
				"checks:\n"
				"  - name: web\n"
				"    class: wanted\n"
				"    timeout: 3s\n"
				"    interval: 1500ms\n"
				"    failures: 5\n"
				"    unit: \"nginx@a\\\\x2db.service\"\n"
				"  - name: probe\n"
				"    class: required\n"
				"    timeout: 10s\n"
				"    failures: 3\n"
				"    command:\n"
				"      - /usr/bin/probe\n"
				"      - \"--text=two words\\n$HOME \\\"x\\\"\"\n"
				"      - \"\"\n"
				"  - name: port\n"
				"    class: required\n"
				"    timeout: 10s\n"
				"    failures: 3\n"
				"    tcp: \"[::1]:80\"\n"
				"  - name: page\n"
				"    class: required\n"
				"    timeout: 10s\n"
				"    failures: 3\n"
				"    http: \"http://127.0.0.1:8080/health?deep=1\"\n"
				"  - name: name\n"
				"    class: required\n"
				"    timeout: 10s\n"
				"    failures: 3\n"
				"    dns: deb.example\n"
				"  - name: ready\n"
				"    class: required\n"
				"    timeout: 10s\n"
				"    failures: 3\n"
				"    file: /run/ready\n"
				"  - name: var\n"
				"    class: required\n"
				"    timeout: 10s\n"
				"    failures: 3\n"
				"    space:\n"
				"      path: /var\n"
				"      bytes: 100MiB\n"
				"      inodes: 1000\n";

/* What the builder writes is what the agent reads, to the byte. */
static void test_round(void)
{
	g_autoptr(AshHealthSpec) spec = ash_health_spec_new();

	merge_good(spec, all_kinds);
	g_autofree char *text = ash_health_spec_format(spec);
	g_assert_cmpstr(text, ==, all_kinds);
	g_assert_cmpuint(spec->soak_ms, ==, 120000);
	g_assert_cmpuint(spec->deadline_ms, ==, 3600000);
	g_assert_cmpuint(spec->checks->len, ==, 7);
	const AshHealthCheck *web = get(spec, "web");
	g_assert_false(web->is_required);
	g_assert_cmpint(web->kind, ==, ASH_HEALTH_UNIT);
	g_assert_cmpstr(web->target, ==, "nginx@a\\x2db.service");
	g_assert_cmpuint(web->timeout_ms, ==, 3000);
	g_assert_cmpuint(web->interval_ms, ==, 1500);
	g_assert_cmpuint(web->failures, ==, 5);
	g_assert_cmpstr(web->mark, ==, "web.yaml:4:5");
	const AshHealthCheck *probe = get(spec, "probe");
	g_assert_cmpstr(probe->command[1], ==, "--text=two words\n$HOME \"x\"");
	g_assert_cmpuint(g_strv_length(probe->command), ==, 3);
	const AshHealthCheck *var = get(spec, "var");
	g_assert_cmpuint(var->bytes, ==, 100 << 20);
	g_assert_cmpuint(var->inodes, ==, 1000);
}

static void test_defaults(void)
{
	g_autoptr(AshHealthSpec) spec = ash_health_spec_new();

	g_assert_cmpuint(spec->soak_ms, ==, 60000);
	g_assert_cmpuint(spec->deadline_ms, ==, 600000);
	merge_good(spec, "");
	merge_good(spec, "checks:\n  - {name: a, file: /a}\n");
	const AshHealthCheck *check = get(spec, "a");
	g_assert_true(check->is_required);
	g_assert_cmpuint(check->timeout_ms, ==, 10000);
	g_assert_cmpuint(check->interval_ms, ==, 10000);
	g_assert_cmpuint(check->failures, ==, 3);
	merge_good(spec, "checks: [{name: a, disable: true}, {name: never, disable: true}]");
	g_autofree char *text = ash_health_spec_format(spec);
	g_assert_cmpstr(text, ==, "soak: 1min\ndeadline: 10min\nchecks: []\n");
}

/* A later file replaces a check whole, in its place; the rest stays. */
static void test_merge(void)
{
	g_autoptr(AshHealthSpec) spec = ash_health_spec_new();

	merge_good(spec, "soak: 5s\n"
			 "checks: [{name: a, class: wanted, file: /a}, {name: b, file: /b}]");
	merge_good(spec, "checks: [{name: a, tcp: \"localhost:80\"}, {name: c, file: /c}]");
	g_assert_cmpuint(spec->soak_ms, ==, 5000);
	g_assert_cmpuint(spec->checks->len, ==, 3);
	const AshHealthCheck *first = spec->checks->pdata[0];
	g_assert_cmpstr(first->name, ==, "a");
	g_assert_cmpint(first->kind, ==, ASH_HEALTH_TCP);
	g_assert_true(first->is_required);
	g_assert_cmpstr(get(spec, "b")->target, ==, "/b");

	/* On failure nothing has changed. */
	g_autofree char *before = ash_health_spec_format(spec);
	g_autoptr(GError) error = NULL;
	g_assert_false(merge(spec,
			"soak: 1s\nchecks: [{name: a, disable: true}, {name: d, file: d}]",
			&error));
	g_assert_error(error, ASH_HEALTH_SPEC_ERROR, ASH_HEALTH_SPEC_ERROR_VALUE);
	g_autofree char *after = ash_health_spec_format(spec);
	g_assert_cmpstr(after, ==, before);
}

/* ---- what is refused ----------------------------------------------------------------------------- */

static const struct {
	const char *text, *message; /* behind "web.yaml:" */
} wrong[] = {
		{"[]", "1:1: health checks: expected a map of keys and values"},
		{"sock: 1s", "1:1: unknown key 'sock' in health checks (did you mean 'soak'?)"},
		{"soak: 2h", "1:7: 'soak': expected a duration from 0s to 1h, as in 500ms, 10s, 5min "
			     "or 1h"},
		{"soak: 60", "1:7: 'soak': expected a duration from 0s to 1h, as in 500ms, 10s, 5min "
			     "or 1h"},
		{"deadline: 9s",
				"1:11: 'deadline': expected a duration from 10s to 6h, as in 500ms, "
				"10s, 5min or 1h"},
		{"deadline: 1min",
				"1:1: the soak time (60s) must be shorter than the deadline (60s)"},
		{"checks: {}", "1:9: 'checks': expected a list ([] for an empty one)"},
		{"checks: [web]", "1:10: a check: expected a map of keys and values"},
		{"checks: [{file: /a}]", "1:10: key 'name' is missing here"},
		{"checks: [{name: a}]",
				"1:10: check 'a' needs one of unit, command, tcp, http, dns, "
				"file, space"},
		{"checks: [{name: Web, file: /a}]", "1:17: 'name': expected lower-case letters, "
						    "digits and '-', at most 48"},
		{"checks: [{name: -a, file: /a}]", "1:17: 'name': expected lower-case letters, "
						   "digits and '-', at most 48"},
		{"checks: [{name: a/b, file: /a}]", "1:17: 'name': expected lower-case letters, "
						    "digits and '-', at most 48"},
		{"checks: [{name: a, file: /a, failure: 3}]",
				"1:30: unknown key 'failure' in a check (did you mean 'failures'?)"},
		{"checks: [{name: a, file: /a, dns: a}]",
				"1:26: check 'a' has both 'dns' and 'file'"},
		{"checks: [{name: a, file: /a}, {name: a, file: /b}]",
				"1:38: another check of this list has the same name"},
		{"checks: [{name: a, file: /a}, {name: a, disable: true}]",
				"1:38: another check of this list has the same name"},
		{"checks: [{name: a, disable: true, file: /a}]",
				"1:10: a check with 'disable: true' has only a 'name'"},
		{"checks: [{name: a, disable: maybe}]", NULL},
		{"checks: [{name: a, class: high, file: /a}]",
				"1:27: 'class': expected required or wanted"},
		{"checks: [{name: a, class: [], file: /a}]",
				"1:27: 'class': expected required or wanted"},
		{"checks: [{name: a, failures: 0, file: /a}]",
				"1:30: 'failures': expected a number from 1 to 100"},
		{"checks: [{name: a, failures: 101, file: /a}]", NULL},
		{"checks: [{name: a, timeout: 999ms, file: /a}]",
				"1:29: 'timeout': expected a duration from 1s to 10min, as in 500ms, "
				"10s, 5min or 1h"},
		{"checks: [{name: a, timeout: 11min, file: /a}]", NULL},
		{"checks: [{name: a, interval: 0s, file: /a}]", NULL},
		{"checks: [{name: a, interval: 25h, file: /a}]", NULL},
		{"checks: [{name: a, unit: nginx}]",
				"1:26: 'unit': expected a unit with its suffix, as in web.service"},
		{"checks: [{name: a, unit: .service}]", NULL},
		{"checks: [{name: a, unit: a b.service}]", NULL},
		{"checks: [{name: a, unit: ../a.service}]", NULL},
		{"checks: [{name: a, command: /bin/true}]",
				"1:29: 'command': expected a list, as in [/usr/bin/probe, --fast]"},
		{"checks: [{name: a, command: []}]", NULL},
		{"checks: [{name: a, command: [probe]}]",
				"1:30: 'command': expected the absolute path of a program"},
		{"checks: [{name: a, command: [/bin/../x]}]", NULL},
		{"checks: [{name: a, command: [/bin/x, []]}]", NULL},
		{"checks: [{name: a, tcp: localhost}]",
				"1:25: 'tcp': expected HOST:PORT, as in 127.0.0.1:80 or [::1]:80"},
		{"checks: [{name: a, tcp: \"localhost:0\"}]", NULL},
		{"checks: [{name: a, tcp: \"localhost:080\"}]", NULL},
		{"checks: [{name: a, tcp: \"localhost:65536\"}]", NULL},
		{"checks: [{name: a, tcp: \"::1:80\"}]", NULL},
		{"checks: [{name: a, tcp: \"[::1]\"}]", NULL},
		{"checks: [{name: a, tcp: \"[::1:80\"}]", NULL},
		{"checks: [{name: a, tcp: \"[localhost]:80\"}]", NULL},
		{"checks: [{name: a, tcp: \":80\"}]", NULL},
		{"checks: [{name: a, tcp: \"-a:80\"}]", NULL},
		{"checks: [{name: a, http: \"localhost:80\"}]",
				"1:26: 'http': expected a URL that begins with http:// or https://"},
		{"checks: [{name: a, http: \"ftp://localhost/\"}]", NULL},
		{"checks: [{name: a, http: \"http:///x\"}]", NULL},
		{"checks: [{name: a, http: \"http://u:p@localhost/\"}]", NULL},
		{"checks: [{name: a, http: \"http://localhost/a b\"}]", NULL},
		{"checks: [{name: a, http: \"http://localhost/\\r\\nX: y\"}]", NULL},
		{"checks: [{name: a, http: \"http://localhost/#a\"}]", NULL},
		{"checks: [{name: a, dns: \"a..b\"}]", "1:25: 'dns': expected the name of a host"},
		{"checks: [{name: a, dns: \"\"}]", NULL},
		{"checks: [{name: a, file: run/ready}]",
				"1:26: 'file': expected an absolute path without '.' and '..'"},
		{"checks: [{name: a, file: /run/../x}]", NULL},
		{"checks: [{name: a, file: /run/..}]", NULL},
		{"checks: [{name: a, file: \"/run\\n\"}]", NULL},
		{"checks: [{name: a, space: /var}]",
				"1:27: 'space': expected a map of keys and values"},
		{"checks: [{name: a, space: {path: /var}}]",
				"1:27: 'space' needs 'path', and 'bytes' or 'inodes'"},
		{"checks: [{name: a, space: {bytes: 1}}]",
				"1:27: 'space' needs 'path', and 'bytes' or 'inodes'"},
		{"checks: [{name: a, space: {path: var, bytes: 1}}]", NULL},
		{"checks: [{name: a, space: {path: /var, bytes: 1MB}}]",
				"1:47: 'bytes': expected a size, as in 4096, 100MiB or 2GiB"},
		{"checks: [{name: a, space: {path: /var, bytes: 9999999TiB}}]", NULL},
		{"checks: [{name: a, space: {path: /var, inodes: many}}]", NULL},
		{"checks: [{name: a, space: {path: /var, byte: 1}}]",
				"1:40: unknown key 'byte' in 'space' (did you mean 'bytes'?)"},
};

static void test_wrong(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_autoptr(AshHealthSpec) spec = ash_health_spec_new();
		g_autoptr(GError) error = NULL;
		g_test_message("%s", wrong[i].text);
		g_assert_false(merge(spec, wrong[i].text, &error));
		g_assert_nonnull(error);
		g_assert_true(g_str_has_prefix(error->message, "web.yaml:1:"));
		if (wrong[i].message != NULL) {
			g_assert_error(error, ASH_HEALTH_SPEC_ERROR, ASH_HEALTH_SPEC_ERROR_VALUE);
			g_assert_cmpstr(error->message + strlen("web.yaml:"), ==, wrong[i].message);
		}
		g_assert_cmpuint(spec->checks->len, ==, 0);
	}
}

static void test_right(void)
{
	static const char *const right[] = {
			"checks: [{name: a, tcp: \"localhost:80\"}]",
			"checks: [{name: a, tcp: \"127.0.0.1:65535\"}]",
			"checks: [{name: a, tcp: \"[fe80::1]:1\"}]",
			"checks: [{name: a, http: \"http://localhost\"}]",
			"checks: [{name: a, http: \"https://[::1]:8443/x\"}]",
			"checks: [{name: a, http: \"http://localhost?x=1\"}]",
			"checks: [{name: 1, file: /a}]",
			"checks: [{name: a, unit: dev-disk-by\\x2dlabel.device}]",
			"checks: [{name: a, space: {path: /, inodes: 1}}]",
			"checks: [{name: a, disable: false, file: /a}]",
			"soak: 0s",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(right); i++) {
		g_autoptr(AshHealthSpec) spec = ash_health_spec_new();
		g_autoptr(AshHealthSpec) again = ash_health_spec_new();
		merge_good(spec, right[i]);
		g_autofree char *text = ash_health_spec_format(spec);
		merge_good(again, text);
		g_autofree char *same = ash_health_spec_format(again);
		g_assert_cmpstr(same, ==, text);
	}
}

static void test_limits(void)
{
	g_autoptr(GString) many = g_string_new("checks:\n");
	g_autoptr(AshHealthSpec) spec = ash_health_spec_new();
	g_autoptr(GError) error = NULL;

	for (int i = 0; i < ASH_HEALTH_SPEC_MAX_CHECKS; i++)
		g_string_append_printf(many, "- {name: c%d, file: /a}\n", i);
	merge_good(spec, many->str);
	g_assert_false(merge(spec, "checks: [{name: more, file: /a}]", &error));
	g_assert_error(error, ASH_HEALTH_SPEC_ERROR, ASH_HEALTH_SPEC_ERROR_LIMIT);
	g_clear_error(&error);
	merge_good(spec, "checks: [{name: c0, disable: true}, {name: more, file: /a}]");

	g_autoptr(GString) words = g_string_new("checks: [{name: c1, command: [/bin/x");
	for (int i = 1; i < ASH_HEALTH_SPEC_MAX_ARGUMENTS; i++)
		g_string_append(words, ", x");
	g_autofree char *most = g_strconcat(words->str, "]}]", NULL);
	g_autofree char *too_many = g_strconcat(words->str, ", x]}]", NULL);
	merge_good(spec, most);
	g_assert_false(merge(spec, too_many, &error));
	g_assert_error(error, ASH_HEALTH_SPEC_ERROR, ASH_HEALTH_SPEC_ERROR_LIMIT);
	g_clear_error(&error);

	/* Each check within its limits, all of them too large for one file. */
	g_autofree char *word = g_strnfill(ASH_HEALTH_SPEC_MAX_TARGET_BYTES, 'x');
	g_autoptr(GString) large = g_string_new("checks:\n");
	for (int i = 0; i < 3; i++) {
		g_string_append_printf(large, "- {name: l%d, command: [/bin/x", i);
		for (int j = 1; j < ASH_HEALTH_SPEC_MAX_ARGUMENTS; j++)
			g_string_append_printf(large, ", %s", word);
		g_string_append(large, "]}\n");
	}
	g_autoptr(AshHealthSpec) empty = ash_health_spec_new();
	g_assert_false(merge(empty, large->str, &error));
	g_assert_error(error, ASH_HEALTH_SPEC_ERROR, ASH_HEALTH_SPEC_ERROR_LIMIT);

	g_autofree char *name = g_strnfill(ASH_HEALTH_SPEC_MAX_NAME_BYTES, 'x');
	g_autofree char *longest = g_strdup_printf("checks: [{name: %s, file: /a}]", name);
	g_autofree char *longer = g_strdup_printf("checks: [{name: %sx, file: /a}]", name);
	merge_good(empty, longest);
	g_assert_false(merge(empty, longer, NULL));
	g_autofree char *path = g_strdup_printf("checks: [{name: a, file: \"/%sx\"}]", word);
	g_assert_false(merge(empty, path, NULL));
}

/* ---- files --------------------------------------------------------------------------------------- */

static void write_file(const char *root, const char *dir, const char *name, const char *text)
{
	g_autofree char *parent = g_strconcat(root, dir, NULL);
	g_autofree char *path = g_build_filename(parent, name, NULL);

	g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void test_load(void)
{
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(AshHealthSpec) spec = NULL;
	g_autoptr(AshHealthSpec) none = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "health", &dir, NULL));
	g_assert_true(ash_health_spec_load(dir->path, &none, NULL));
	g_assert_cmpuint(none->checks->len, ==, 0);

	write_file(dir->path, ASH_HEALTH_SPEC_DIR_USR, "manifest.yaml",
			"checks: [{name: a, file: /a}, {name: b, file: /b}, {name: c, file: /c}]");
	write_file(dir->path, ASH_HEALTH_SPEC_DIR_ETC, "zz.yaml",
			"checks: [{name: b, disable: true}]");
	write_file(dir->path, ASH_HEALTH_SPEC_DIR_ETC, "aa.yaml",
			"checks: [{name: c, file: /too-early}]");
	write_file(dir->path, ASH_HEALTH_SPEC_DIR_USR, "web.yaml",
			"checks: [{name: usr, file: /usr}]");
	write_file(dir->path, ASH_HEALTH_SPEC_DIR_ETC, "web.yaml",
			"checks: [{name: etc, file: /etc}]");
	write_file(dir->path, ASH_HEALTH_SPEC_DIR_USR, "off.yaml",
			"checks: [{name: off, file: /off}]");
	g_autofree char *off = g_strconcat(dir->path, ASH_HEALTH_SPEC_DIR_ETC "/off.yaml", NULL);
	g_assert_no_errno(symlink("/dev/null", off));
	write_file(dir->path, ASH_HEALTH_SPEC_DIR_ETC, "notes.txt", "not: [yaml");
	write_file(dir->path, ASH_HEALTH_SPEC_DIR_ETC, ".hidden.yaml", "not: [yaml");
	write_file(dir->path, ASH_HEALTH_SPEC_DIR_ETC, "bad\n.yaml",
			"soak: 1s\nchecks: [{name: late, file: late}]");

	bool is_loaded = ash_health_spec_load(dir->path, &spec, &error);
	g_assert_no_error(error);
	g_assert_true(is_loaded);
	g_assert_cmpuint(spec->checks->len, ==, 4);
	g_assert_cmpstr(get(spec, "a")->target, ==, "/a");
	g_assert_cmpstr(get(spec, "c")->target, ==, "/c");
	g_assert_cmpstr(get(spec, "etc")->target, ==, "/etc");
	const AshHealthCheck *bad = get(spec, "health.d/bad?.yaml");
	g_assert_true(bad->is_required);
	g_assert_nonnull(strstr(bad->error, "2:29: 'file': expected an absolute path"));
	/* Nothing of a broken file counts. */
	g_assert_cmpuint(spec->soak_ms, ==, 60000);
}

static void test_load_limits(void)
{
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(AshHealthSpec) spec = NULL;
	g_autofree char *large = g_strnfill(ASH_HEALTH_SPEC_MAX_FILE_BYTES + 1, '#');
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "health", &dir, NULL));
	write_file(dir->path, ASH_HEALTH_SPEC_DIR_USR, "00.yaml", large);
	for (int i = 0; i < ASH_HEALTH_SPEC_MAX_FILES; i++) {
		g_autofree char *name = g_strdup_printf("f%02d.yaml", i);
		write_file(dir->path, ASH_HEALTH_SPEC_DIR_ETC, name, "soak: 5s");
	}
	g_assert_true(ash_health_spec_load(dir->path, &spec, NULL));
	g_assert_cmpuint(spec->checks->len, ==, 2);
	g_assert_nonnull(strstr(get(spec, "health.d/00.yaml")->error, "larger than"));
	g_assert_nonnull(strstr(get(spec, "health.d/f63.yaml")->error, "too many files"));

	/* A place that is no directory is not the same as none. */
	g_autoptr(AshTempDir) odd = NULL;
	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "health", &odd, NULL));
	write_file(odd->path, "/usr/lib/ashlar", "health.d", "");
	g_autoptr(AshHealthSpec) broken = NULL;
	g_assert_true(ash_health_spec_load(odd->path, &broken, &error));
	g_assert_cmpuint(broken->checks->len, ==, 1);
	g_assert_nonnull(strstr(get(broken, "health.d")->error, "Not a directory"));
	g_assert_true(get(broken, "health.d")->is_required);
	g_autofree char *nowhere = g_build_filename(odd->path, "nowhere", NULL);
	g_autoptr(AshHealthSpec) nothing = NULL;
	g_assert_false(ash_health_spec_load(nowhere, &nothing, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_DIRECTORY);
}

static void test_kinds(void)
{
	AshHealthKind kind = ASH_HEALTH_UNIT;

	g_assert_true(ash_health_kind_find("http", &kind));
	g_assert_cmpint(kind, ==, ASH_HEALTH_HTTP);
	g_assert_false(ash_health_kind_find("https", &kind));
	g_assert_cmpstr(ash_health_kind_name(ASH_HEALTH_DNS), ==, "dns");
	g_assert_true(ash_health_is_target(ASH_HEALTH_TCP, "localhost:80"));
	g_assert_false(ash_health_is_target(ASH_HEALTH_TCP, "localhost"));
	g_assert_true(ash_health_is_target(ASH_HEALTH_SPACE, "/var"));
	g_assert_false(ash_health_is_target(ASH_HEALTH_SPACE, "var"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/health-spec/duration", test_duration);
	g_test_add_func("/health-spec/round", test_round);
	g_test_add_func("/health-spec/defaults", test_defaults);
	g_test_add_func("/health-spec/merge", test_merge);
	g_test_add_func("/health-spec/wrong", test_wrong);
	g_test_add_func("/health-spec/right", test_right);
	g_test_add_func("/health-spec/limits", test_limits);
	g_test_add_func("/health-spec/load", test_load);
	g_test_add_func("/health-spec/load-limits", test_load_limits);
	g_test_add_func("/health-spec/kinds", test_kinds);
	return g_test_run();
}
