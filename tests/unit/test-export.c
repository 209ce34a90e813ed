/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/export.h"

#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

static AshExport *parse(const char *text)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	AshExport *all = NULL;

	MUST(ash_export_parse(bytes, &all, &error));
	return all;
}

static void test_defaults(void)
{
	g_autoptr(AshExport) all = parse("format: 1\nlocks:\n  - name: a\npolicies: []\n");

	g_assert_true(all->has[ASH_EXPORT_LOCK]);
	g_assert_true(all->has[ASH_EXPORT_POLICY]);
	g_assert_false(all->has[ASH_EXPORT_OPERATOR]);
	g_autofree char *text = ash_export_format(all, "# head\n");
	g_assert_cmpstr(text, ==,
			"# head\nformat: 1\npolicies: []\nlocks:\n  - name: a\n    slots: 1\n    lease: "
			"3600\n    frees_late: false\n    paused: \"\"\n");
}

/* What was written is read to the same. */
static void test_round(void)
{
	static const char text[] =
			"format: 1\n"
			"channels:\n  - {name: stable, release: host/1.0, arch: amd64, note: \"a: b # c\"}\n"
			"policies:\n  - {name: night, selector: 'site = bern', windows: [\"Sat 02:00-05:00\", "
			"\"01:00-02:00 UTC\"], poll: 60, rank: 7}\n"
			"operators:\n  - {name: ada, role: admin}\n  - {name: bob, scope: 'has gpu', "
			"disabled: true}\n"
			"webhooks:\n  - {url: 'https://hooks.example/x?y=z', kinds: [\"rollout.*\"]}\n"
			"hosts:\n  - {id: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, "
			"labels: {z: \"yes\", a: \"1.0\"}}\n";
	g_autoptr(AshExport) first = parse(text);
	g_autofree char *written = ash_export_format(first, "");
	g_autoptr(AshExport) second = parse(written);
	g_autofree char *again = ash_export_format(second, "");
	unsigned unknown = 0;

	g_assert_cmpstr(written, ==, again);
	g_assert_cmpuint(second->items->len, ==, 6);
	g_autoptr(GArray) changes = ash_export_diff(first, second, &unknown);
	g_assert_cmpuint(changes->len, ==, 0);
	g_assert_cmpuint(unknown, ==, 0);
}

static void test_diff(void)
{
	g_autoptr(AshExport) now =
			parse("format: 1\nlocks:\n  - name: a\n  - name: b\n  - name: c\n"
			      "operators:\n  - name: ada\n");
	g_autoptr(AshExport) wanted =
			parse("format: 1\nlocks:\n  - name: d\n  - {name: b, slots: 2}\n  "
			      "- name: c\nhosts:\n  - id: "
			      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd"
			      "ef\n");
	g_autoptr(GString) text = g_string_new(NULL);
	unsigned unknown = 0;

	g_autoptr(GArray) changes = ash_export_diff(now, wanted, &unknown);
	for (guint i = 0; i < changes->len; i++) {
		const AshExportChange *change = &g_array_index(changes, AshExportChange, i);
		g_string_append_printf(text, "%s-%s ",
				change->before != NULL ? change->before->name : "",
				change->after != NULL ? change->after->name : "");
	}
	/* Operators are not mentioned, so they stay. */
	g_assert_cmpstr(text->str, ==, "b-b -d a- ");
	g_assert_cmpuint(unknown, ==, 1);
}

static void test_refused(void)
{
	static const char *const texts[] = {
			"",
			"format: 1\nformat: 1\n",
			"locks: []\n",
			"format: 2\n",
			"format: 1\nlocks: {}\n",
			"format: 1\nlocks:\n  - a\n",
			"format: 1\nlocks:\n  - slots: 1\n",
			"format: 1\nlocks:\n  - {name: a, slots: -1}\n",
			"format: 1\nlocks:\n  - {name: a, lease: 0}\n",
			"format: 1\nlocks:\n  - {name: 'a b'}\n",
			"format: 1\nlocks:\n  - {name: a, colour: red}\n",
			"format: 1\nlocks:\n  - {name: a}\n  - {name: a}\n",
			"format: 1\noperators:\n  - {name: a, role: root}\n",
			"format: 1\noperators:\n  - {name: a, role: admin, scope: all}\n",
			"format: 1\noperators:\n  - {name: a, scope: '= ='}\n",
			"format: 1\noperators:\n  - {name: a, password: x}\n",
			"format: 1\npolicies:\n  - {name: a, selector: 'x ='}\n",
			"format: 1\npolicies:\n  - {name: a, windows: ['25:00-26:00']}\n",
			"format: 1\npolicies:\n  - {name: a, windows: [[]]}\n",
			"format: 1\nwebhooks:\n  - {url: 'file:///etc/passwd'}\n",
			"format: 1\nwebhooks:\n  - {url: 'http://a', kinds: ['A']}\n",
			"format: 1\nhosts:\n  - {id: 12}\n",
			"format: 1\nhosts:\n  - {id: "
			"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, labels: [x]}\n",
			"format: 1\nhosts:\n  - {id: "
			"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, labels: {'': "
			"x}}\n",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) bytes = g_bytes_new_static(texts[i], strlen(texts[i]));
		g_autoptr(AshExport) all = NULL;
		if (ash_export_parse(bytes, &all, &error))
			g_error("accepted: %s", texts[i]);
		g_assert_true(g_str_has_prefix(error->message, "import"));
	}
}

static void test_load(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshExport) some = NULL;
	g_autoptr(AshExport) all = NULL;

	store_run(db, "DELETE FROM lock_group");
	store_run(db, "INSERT INTO release (name, variant, arch, version, \"commit\", document, added_at) "
		      "VALUES ('host', 'debug', 'amd64', '1.0', 'c', '{}', 1)");
	store_run(db, "INSERT INTO channel (name, release) SELECT 'stable', id FROM release");
	store_run(db, "INSERT INTO operator (name, password, role, created_at) VALUES ('ada', "
		      "'$argon2id$kept', 'admin', 1)");
	store_run(db, "INSERT INTO webhook (id, url, secret, created_at, created_by, cursor) VALUES ('i', "
		      "'http://a/', 'signing', 1, 'x', 0)");
	store_run(db, "INSERT INTO host (id, name, state, enrolled_at, labels) VALUES ('h1', 'a', "
		      "'active', 1, '{}')");
	store_run(db, "INSERT INTO host (id, name, state, enrolled_at, labels) VALUES ('h2', 'b', "
		      "'active', 1, '{\"z\":\"1\",\"a\":\"2\"}')");
	MUST(ash_export_load(db, false, &some, &error));
	g_autofree char *text = ash_export_format(some, "");
	g_assert_cmpstr(text, ==,
			"format: 1\nchannels:\n  - name: stable\n    release: host-debug/1.0\n    arch: "
			"amd64\n    note: \"\"\npolicies: []\nlocks: []\noperators:\n  - name: ada\n    "
			"role: admin\n    scope: \"\"\n    disabled: false\nwebhooks:\n  - url: "
			"\"http://a/\"\n    kinds: []\n    note: \"\"\nassignments: []\nhosts:\n"
			"  - id: h2\n    labels:\n      a: \"2\"\n      z: \"1\"\n");
	g_assert_null(strstr(text, "argon2"));
	g_assert_null(strstr(text, "signing"));
	MUST(ash_export_load(db, true, &all, &error));
	g_assert_cmpuint(all->items->len, ==, some->items->len + 1);
}

int main(int argc, char **argv)
{
	static const StoreCase cases[] = {{"load", test_load}, {NULL, NULL}};

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/export/defaults", test_defaults);
	g_test_add_func("/export/round", test_round);
	g_test_add_func("/export/diff", test_diff);
	g_test_add_func("/export/refused", test_refused);
	store_add("export", cases);
	return g_test_run();
}
