/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "agent/boot-entry.h"

#define COMMIT_A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define COMMIT_B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static AshBootEntry *parse(const char *file, const char *text)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	AshBootEntry *entry = NULL;

	gboolean ok = ash_boot_entry_parse(file, bytes, &entry, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	return entry;
}

static void test_parse(void)
{
	g_autoptr(AshBootEntry) entry = parse("ashlar-00000003-01234567+2-1.conf",
			"# a comment\r\n"
			"title\tAshlar host 1.2\n"
			"version 1.2\n"
			"sort-key ashlar-99999996\n"
			"  architecture x64  \n"
			"linux /ashlar/0123456789abcdef/vmlinuz\n"
			"initrd /ashlar/0123456789abcdef/initramfs.img\n"
			"nonsense\n"
			"options root=PARTLABEL=ashlar-root ro\n"
			"options quiet ostree=/ostree/by-commit/" COMMIT_A ".7\n");

	g_assert_cmpstr(entry->title, ==, "Ashlar host 1.2");
	g_assert_cmpstr(entry->version, ==, "1.2");
	g_assert_cmpstr(entry->architecture, ==, "x64");
	g_assert_cmpstr(entry->linux_path, ==, "/ashlar/0123456789abcdef/vmlinuz");
	g_assert_cmpstr(entry->initrd_path, ==, "/ashlar/0123456789abcdef/initramfs.img");
	g_assert_cmpstr(entry->options, ==,
			"root=PARTLABEL=ashlar-root ro quiet ostree=/ostree/by-commit/" COMMIT_A
			".7");
	g_assert_cmpint(entry->tries_left, ==, 2);
	g_assert_cmpint(entry->tries_done, ==, 1);
	g_assert_cmpuint(entry->generation, ==, 3);
	g_assert_cmpstr(entry->commit, ==, COMMIT_A);
	g_assert_cmpuint(entry->serial, ==, 7);
}

static void test_round_trip(void)
{
	static const char text[] = "title Ashlar host 1.2\n"
				   "version 1.2\n"
				   "sort-key ashlar-99999996\n"
				   "architecture x64\n"
				   "linux /ashlar/0123456789abcdef/vmlinuz\n"
				   "initrd /ashlar/0123456789abcdef/initramfs.img\n"
				   "options ro ostree=/ostree/by-commit/" COMMIT_A ".0\n";
	g_autoptr(AshBootEntry) entry = parse("any.conf", text);
	g_autofree char *same = ash_boot_entry_format(entry);

	g_assert_cmpstr(same, ==, text);
	/* Without a sort key of its own the generation makes it; a line break cannot make a line. */
	g_clear_pointer(&entry->sort_key, g_free);
	g_free(entry->title);
	entry->title = g_strdup("a\noptions init=/evil");
	entry->generation = 41;
	g_autofree char *other = ash_boot_entry_format(entry);
	g_assert_true(g_str_has_prefix(other, "title a_options init=/evil\nversion 1.2\n"
					      "sort-key ashlar-99999958\n"));
}

static void test_errors(void)
{
	static const struct {
		const char *file;
		const char *text;
		gsize size;
		int code;
	} rows[] = {
			{"a.txt", "title x\n", 8, ASH_BOOT_ENTRY_ERROR_NAME},
			{".conf", "title x\n", 8, ASH_BOOT_ENTRY_ERROR_NAME},
			{".a.conf", "title x\n", 8, ASH_BOOT_ENTRY_ERROR_NAME},
			{"auto-a.conf", "title x\n", 8, ASH_BOOT_ENTRY_ERROR_NAME},
			{"a/b.conf", "title x\n", 8, ASH_BOOT_ENTRY_ERROR_NAME},
			{"a.conf", "title \0x\n", 9, ASH_BOOT_ENTRY_ERROR_SYNTAX},
			{"a.conf", "title \xff\n", 8, ASH_BOOT_ENTRY_ERROR_SYNTAX},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) bytes = g_bytes_new(rows[i].text, rows[i].size);
		AshBootEntry *entry = NULL;
		g_assert_false(ash_boot_entry_parse(rows[i].file, bytes, &entry, &error));
		g_assert_error(error, ASH_BOOT_ENTRY_ERROR, rows[i].code);
		g_assert_null(entry);
	}
	g_autoptr(GError) error = NULL;
	g_autofree char *big = g_strnfill(ASH_BOOT_ENTRY_MAX_BYTES + 1, '#');
	g_autoptr(GBytes) bytes = g_bytes_new(big, ASH_BOOT_ENTRY_MAX_BYTES + 1);
	g_autoptr(GBytes) fits = g_bytes_new(big, ASH_BOOT_ENTRY_MAX_BYTES);
	g_autoptr(AshBootEntry) entry = NULL;
	g_assert_false(ash_boot_entry_parse("a.conf", bytes, &entry, &error));
	g_assert_error(error, ASH_BOOT_ENTRY_ERROR, ASH_BOOT_ENTRY_ERROR_SYNTAX);
	g_assert_true(ash_boot_entry_parse("a.conf", fits, &entry, NULL));
}

static void test_names(void)
{
	static const struct {
		const char *file;
		int left, done;
		const char *as_good, *as_bad;
	} rows[] = {
			{"a.conf", -1, 0, "a.conf", "a+0.conf"},
			{"a+3.conf", 3, 0, "a.conf", "a+0.conf"},
			{"a+2-1.conf", 2, 1, "a.conf", "a+0.conf"},
			{"a+0-3.CONF", 0, 3, "a.conf", "a+0.conf"},
			{"1+b+2-1.conf", 2, 1, "1+b.conf", "1+b+0.conf"},
			/* systemd-boot counts none of these. */
			{"a+.conf", -1, 0, "a+.conf", "a++0.conf"},
			{"a+3-.conf", -1, 0, "a+3-.conf", "a+3-+0.conf"},
			{"a+3x.conf", -1, 0, "a+3x.conf", "a+3x+0.conf"},
			{"a+99999999999.conf", -1, 0, "a+99999999999.conf", "a+99999999999+0.conf"},
	};
	g_autofree char *name = ash_boot_entry_name(3, COMMIT_A, 3, 0);
	g_autofree char *tried = ash_boot_entry_name(99999999, COMMIT_A, 1, 2);
	g_autofree char *good = ash_boot_entry_name(0, COMMIT_A, -1, 0);

	g_assert_cmpstr(name, ==, "ashlar-00000003-01234567+3.conf");
	g_assert_cmpstr(tried, ==, "ashlar-99999999-01234567+1-2.conf");
	g_assert_cmpstr(good, ==, "ashlar-00000000-01234567.conf");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(AshBootEntry) entry = parse(rows[i].file, "");
		g_autofree char *as_good = ash_boot_entry_rename(rows[i].file, -1, 0);
		g_autofree char *as_bad = ash_boot_entry_rename(rows[i].file, 0, 0);
		g_assert_cmpint(entry->tries_left, ==, rows[i].left);
		g_assert_cmpint(entry->tries_done, ==, rows[i].done);
		g_assert_cmpstr(as_good, ==, rows[i].as_good);
		g_assert_cmpstr(as_bad, ==, rows[i].as_bad);
	}
}

static void test_generation(void)
{
	static const struct {
		const char *text;
		uint32_t generation;
	} rows[] = {
			{"sort-key ashlar-99999999\n", 0},
			{"sort-key ashlar-99999998\n", 1},
			{"sort-key ashlar-00000000\n", 99999999},
			{"sort-key ashlar\n", 0},
			{"sort-key ashlar-1\n", 0},
			{"sort-key ashlar--0000001\n", 0},
			{"sort-key ashlar-000000011\n", 0},
			{"sort-key debian\n", 0},
			{"", 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(AshBootEntry) entry = parse("a.conf", rows[i].text);
		g_assert_cmpuint(entry->generation, ==, rows[i].generation);
	}
}

static void test_deployment(void)
{
	static const struct {
		const char *options;
		const char *commit;
		unsigned serial;
	} rows[] = {
			{"ostree=/ostree/by-commit/" COMMIT_A ".0", COMMIT_A, 0},
			{"a ostree=/ostree/by-commit/" COMMIT_A ".12 b", COMMIT_A, 12},
			{"ostree=/ostree/by-commit/" COMMIT_A
			 ".0 ostree=/ostree/by-commit/" COMMIT_B ".1",
					COMMIT_B, 1},
			{"ostree=/ostree/boot.0/ashlar/x/0", NULL, 0},
			{"ostree=/ostree/by-commit/" COMMIT_A, NULL, 0},
			{"ostree=/ostree/by-commit/" COMMIT_A ".", NULL, 0},
			{"ostree=/ostree/by-commit/" COMMIT_A ".-1", NULL, 0},
			{"ostree=/ostree/by-commit/" COMMIT_A ".0/../../evil", NULL, 0},
			{"ostree=/ostree/by-commit/0123.0", NULL, 0},
			{"\"x ostree=/ostree/by-commit/" COMMIT_A ".0\"", NULL, 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = g_strdup_printf("options %s\n", rows[i].options);
		g_autoptr(AshBootEntry) entry = parse("a.conf", text);
		g_assert_cmpstr(entry->commit, ==, rows[i].commit);
		g_assert_cmpuint(entry->serial, ==, rows[i].serial);
	}
}

/* boot_entry_compare() of systemd 257: each row is an order of two that its source decides. */
static void test_order(void)
{
	static const struct {
		const char *first, *first_text;
		const char *second, *second_text;
	} rows[] = {
			/* a higher generation */
			{"z.conf", "sort-key ashlar-99999990\n", "a.conf",
					"sort-key ashlar-99999999\n"},
			/* ... on trial as well, whatever the version */
			{"a+3.conf", "sort-key ashlar-99999990\nversion 1\n", "b.conf",
					"sort-key ashlar-99999991\nversion 2\n"},
			{"a+1-2.conf", "sort-key ashlar-99999990\n", "b.conf",
					"sort-key ashlar-99999991\n"},
			/* no tries left: last, whatever its sort key */
			{"b.conf", "sort-key ashlar-99999999\n", "a+0-3.conf",
					"sort-key ashlar-00000001\n"},
			{"b.conf", "", "a+0.conf", "sort-key ashlar-00000001\n"},
			{"a+0-1.conf", "sort-key ashlar-00000001\n", "b+0-3.conf",
					"sort-key ashlar-00000002\n"},
			/* a sort key before none */
			{"a.conf", "sort-key zzz\n", "b.conf", "version 9\n"},
			/* a shorter key is lower: why the image's entry has the digits too */
			{"a.conf", "sort-key ashlar\n", "b.conf", "sort-key ashlar-00000001\n"},
			{"a.conf", "sort-key Ashlar-99999999\n", "b.conf",
					"sort-key ashlar-00000001\n"},
			/* the same key: machine-id up, then version down */
			{"a.conf", "sort-key k\nversion 1\n", "b.conf",
					"sort-key k\nmachine-id 1\nversion 2\n"},
			{"a.conf", "sort-key k\nmachine-id 1\n", "b.conf",
					"sort-key k\nmachine-id 2\n"},
			{"a.conf", "sort-key k\nversion 10\n", "b.conf", "sort-key k\nversion 9\n"},
			{"a.conf", "sort-key k\nversion 1.10\n", "b.conf",
					"sort-key k\nversion 1.9\n"},
			{"a.conf", "sort-key k\nversion 1.0\n", "b.conf",
					"sort-key k\nversion 1.0~rc1\n"},
			{"a.conf", "sort-key k\nversion 1.0.1\n", "b.conf",
					"sort-key k\nversion 1.0-2\n"},
			{"a.conf", "sort-key k\nversion 1.0^1\n", "b.conf",
					"sort-key k\nversion 1.0\n"},
			{"a.conf", "sort-key k\nversion 1.0.1\n", "b.conf",
					"sort-key k\nversion 1.0^1\n"},
			{"a.conf", "sort-key k\nversion 1\n", "b.conf", "sort-key k\n"},
			{"a.conf", "sort-key k\nversion 1a\n", "b.conf", "sort-key k\nversion 1\n"},
			{"a.conf", "sort-key k\nversion 2\n", "b.conf", "sort-key k\nversion a\n"},
			{"a.conf", "sort-key k\nversion b\n", "b.conf", "sort-key k\nversion B\n"},
			{"a.conf", "sort-key k\nversion 99999999999999999999\n", "b.conf",
					"sort-key k\nversion 9999999999999999999\n"},
			/* without keys the version does not matter: names, downwards */
			{"b.conf", "version 1\n", "a.conf", "version 2\n"},
			{"a-10.conf", "", "a-9.conf", ""},
			{"B.conf", "", "a.conf", ""},
			/* the name without its counter; then more tries left, then fewer done */
			{"b+1-2.conf", "", "a+3.conf", ""},
			{"a+3.conf", "", "a+2-1.conf", ""},
			{"a+2.conf", "", "a+2-1.conf", ""},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(AshBootEntry) first = parse(rows[i].first, rows[i].first_text);
		g_autoptr(AshBootEntry) second = parse(rows[i].second, rows[i].second_text);
		g_test_message("%s before %s", rows[i].first, rows[i].second);
		g_assert_cmpint(ash_boot_entry_compare(first, second), <, 0);
		g_assert_cmpint(ash_boot_entry_compare(second, first), >, 0);
		g_assert_cmpint(ash_boot_entry_compare(first, first), ==, 0);
	}
	g_autoptr(AshBootEntry) a = parse("a+3.conf", "sort-key k\nversion 01\n");
	g_autoptr(AshBootEntry) b = parse("A.conf", "sort-key k\nversion 1\n");
	g_assert_cmpint(ash_boot_entry_compare(a, b), ==, 0);
}

static void test_options(void)
{
	static const struct {
		const char *old_options;
		const char *old_arguments, *new_arguments; /* blanks between */
		const char *wanted;
	} rows[] = {
			{"root=PARTLABEL=r ro quiet console=ttyS0 ostree=/ostree/by-commit/x",
					"quiet", "quiet lsm=a",
					"root=PARTLABEL=r ro quiet lsm=a console=ttyS0 "},
			{"root=PARTLABEL=r ro a b console=tty0", "a b", "",
					"root=PARTLABEL=r ro console=tty0 "},
			/* What the owner added stays, twice the same included. */
			{"root=r quiet mine quiet", "quiet", "loud", "root=r loud mine quiet "},
			/* None of the old arguments is there: the owner took them out. */
			{"root=r mine", "quiet", "loud", "root=r mine loud "},
			{"root=r x=\"a b\" y", "x=\"a b\"", "z", "root=r z y "},
			{"", "", "", ""},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(GStrv) old_arguments = NULL;
		g_auto(GStrv) new_arguments = NULL;
		/* One argument holds a blank. */
		if (strchr(rows[i].old_arguments, '"') != NULL)
			old_arguments = g_strsplit(rows[i].old_arguments, "\n", -1);
		else
			old_arguments = g_strsplit(rows[i].old_arguments, " ", -1);
		new_arguments = g_strsplit(rows[i].new_arguments, " ", -1);
		g_autofree char *options = ash_boot_entry_options(rows[i].old_options,
				(const char *const *) old_arguments,
				(const char *const *) new_arguments, COMMIT_B, 2);
		g_autofree char *wanted = g_strconcat(
				rows[i].wanted, "ostree=/ostree/by-commit/" COMMIT_B ".2", NULL);
		g_assert_cmpstr(options, ==, wanted);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/boot-entry/parse", test_parse);
	g_test_add_func("/boot-entry/round-trip", test_round_trip);
	g_test_add_func("/boot-entry/errors", test_errors);
	g_test_add_func("/boot-entry/names", test_names);
	g_test_add_func("/boot-entry/generation", test_generation);
	g_test_add_func("/boot-entry/deployment", test_deployment);
	g_test_add_func("/boot-entry/order", test_order);
	g_test_add_func("/boot-entry/options", test_options);
	return g_test_run();
}
