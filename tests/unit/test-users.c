/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/users.h"

#include "tests/lib/fixture.h"

/* What a manifest says; the lists own nothing. */
typedef struct {
	AshManifestUser rows[4];
	GPtrArray *list;
} Accounts;

static void accounts_clear(Accounts *accounts)
{
	g_clear_pointer(&accounts->list, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Accounts, accounts_clear)

static char *literal(const char *text)
{
	return (char *) (uintptr_t) text;
}

static AshManifestUser *add(Accounts *accounts, const char *name, int64_t id)
{
	if (accounts->list == NULL)
		accounts->list = g_ptr_array_new();
	AshManifestUser *user = &accounts->rows[accounts->list->len];
	*user = (AshManifestUser){.mark = "host.yaml:3:1", .name = literal(name), .id = id};
	g_ptr_array_add(accounts->list, user);
	return user;
}

static void set_up(Fixture *fixture)
{
	fixture_init(fixture);
	fixture_file(fixture, fixture->tree, "etc/passwd", 0644,
			"root:x:0:0:root:/root:/bin/sh\nold:x:999:998::/:/bin/false\n");
	fixture_file(fixture, fixture->tree, "etc/group", 0644,
			"root:x:0:\nadm:x:4:\nshared:x:50:root\nold:x:998:\n");
	fixture_file(fixture, fixture->tree, "etc/shadow", 0640, "root:*:::::::\n");
	fixture_file(fixture, fixture->tree, "etc/gshadow", 0640,
			"root:*::\nadm:*::\nshared:*::root\n");
}

static gboolean run(Fixture *fixture, const Accounts *groups, const Accounts *users, GError **error)
{
	g_autoptr(AshUsers) loaded = NULL;
	g_autoptr(GPtrArray) none = g_ptr_array_new();

	return ash_users_load(fixture->repo, fixture->tree, &loaded, error) &&
	       ash_users_add(loaded, fixture->repo, groups != NULL ? groups->list : none,
			       users != NULL ? users->list : none, fixture->tree, error);
}

static void check_line(Fixture *fixture, const char *path, const char *line)
{
	g_autofree char *text = fixture_text(fixture, fixture->tree, path);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	if (!g_strv_contains((const char *const *) lines, line))
		g_error("%s has no line '%s':\n%s", path, line, text);
}

static void test_add(void)
{
	if (!fixture_may_run())
		return;
	static const char *const app_groups[] = {"adm", "shared", "made", NULL};
	g_auto(Fixture) fixture = {0};
	g_auto(Accounts) groups = {0};
	g_auto(Accounts) users = {0};
	g_autoptr(GError) error = NULL;

	set_up(&fixture);
	add(&groups, "made", 300);
	add(&groups, "chosen", -1);
	add(&groups, "adm", -1); /* there already, and as wanted */
	AshManifestUser *app = add(&users, "app", 990);
	app->groups = (char **) (uintptr_t) app_groups;
	app->home = literal("/var/lib/app");
	app->shell = literal("/bin/sh");
	app->gecos = literal("An app");
	add(&users, "helper", -1);
	add(&users, "made", 301); /* has its group already */
	gboolean ok = run(&fixture, &groups, &users, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	check_line(&fixture, "etc/passwd", "app:x:990:990:An app:/var/lib/app:/bin/sh");
	/* 999 and 998 are taken by one or the other. */
	check_line(&fixture, "etc/group", "chosen:x:997:");
	check_line(&fixture, "etc/passwd", "helper:x:996:996::/:/usr/sbin/nologin");
	check_line(&fixture, "etc/passwd", "made:x:301:300::/:/usr/sbin/nologin");
	check_line(&fixture, "etc/group", "adm:x:4:app");
	check_line(&fixture, "etc/group", "shared:x:50:root,app");
	check_line(&fixture, "etc/group", "made:x:300:app");
	check_line(&fixture, "etc/gshadow", "shared:*::root,app");
	check_line(&fixture, "etc/shadow", "app:!*:::::::");
	check_line(&fixture, "etc/shadow", "root:*:::::::");
	static const char sysusers[] = "usr/lib/sysusers.d/50-ashlar-manifest.conf";
	check_line(&fixture, sysusers, "g made 300");
	check_line(&fixture, sysusers, "u app 990:990 \"An app\" /var/lib/app /bin/sh");
	check_line(&fixture, sysusers, "m app shared");
	g_assert_cmpuint(ash_tree_find(fixture.tree, "etc/shadow")->mode, ==, 0640);
}

static void test_none(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;

	set_up(&fixture);
	g_assert_true(run(&fixture, NULL, NULL, &error));
	g_assert_null(ash_tree_find(fixture.tree, "usr"));
}

static void check_error(
		Fixture *fixture, Accounts *groups, Accounts *users, int code, const char *words)
{
	g_autoptr(GError) error = NULL;

	g_assert_false(run(fixture, groups, users, &error));
	g_assert_error(error, ASH_USERS_ERROR, code);
	if (!g_str_has_prefix(error->message, "host.yaml:3:1: ") ||
			strstr(error->message, words) == NULL)
		g_error("the message is: %s", error->message);
	/* The tree is as it was. */
	g_autofree char *passwd = fixture_text(fixture, fixture->tree, "etc/passwd");
	g_assert_cmpstr(passwd, ==, "root:x:0:0:root:/root:/bin/sh\nold:x:999:998::/:/bin/false\n");
	g_assert_null(ash_tree_find(fixture->tree, "usr"));
}

static void test_conflicts(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_auto(Accounts) taken = {0};
	g_auto(Accounts) there = {0};
	g_auto(Accounts) group = {0};
	g_auto(Accounts) number = {0};
	g_auto(Accounts) member = {0};
	static const char *const groups[] = {"amd", NULL};

	set_up(&fixture);
	add(&taken, "new", 999);
	check_error(&fixture, NULL, &taken, ASH_USERS_ERROR_CONFLICT, "it is 'old'");
	add(&there, "old", -1);
	check_error(&fixture, NULL, &there, ASH_USERS_ERROR_CONFLICT, "has a user 'old' already");
	add(&group, "adm", 5);
	check_error(&fixture, &group, NULL, ASH_USERS_ERROR_CONFLICT, "with the number 4");
	add(&number, "new", 4);
	check_error(&fixture, &number, NULL, ASH_USERS_ERROR_CONFLICT, "it is 'adm'");
	add(&member, "new", 700)->groups = (char **) (uintptr_t) groups;
	check_error(&fixture, NULL, &member, ASH_USERS_ERROR_UNKNOWN, "did you mean 'adm'");
}

static void test_full(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_auto(Accounts) users = {0};
	g_autoptr(GString) passwd = g_string_new("");
	g_autoptr(GError) error = NULL;

	set_up(&fixture);
	for (int id = 100; id <= 999; id++)
		g_string_append_printf(passwd, "u%d:x:%d:%d::/:/bin/false\n", id, id, id);
	fixture_file(&fixture, fixture.tree, "etc/passwd", 0644, passwd->str);
	add(&users, "more", -1);
	g_assert_false(run(&fixture, NULL, &users, &error));
	g_assert_error(error, ASH_USERS_ERROR, ASH_USERS_ERROR_FULL);
}

static void test_find(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(AshUsers) users = NULL;
	g_autoptr(AshUsers) nobody = NULL;
	g_autoptr(AshTree) empty = ash_tree_new();
	g_autoptr(GError) error = NULL;
	uint32_t id = 77;

	set_up(&fixture);
	g_assert_true(ash_users_load(fixture.repo, fixture.tree, &users, &error));
	g_assert_true(ash_users_find_uid(users, "old", "m", &id, &error));
	g_assert_cmpuint(id, ==, 999);
	g_assert_true(ash_users_find_gid(users, "old", "m", &id, &error));
	g_assert_cmpuint(id, ==, 998);
	g_assert_true(ash_users_find_uid(users, "4294967294", "m", &id, &error));
	g_assert_cmpuint(id, ==, 4294967294U);
	g_assert_false(ash_users_find_uid(users, "4294967295", "m", &id, &error));
	g_assert_error(error, ASH_USERS_ERROR, ASH_USERS_ERROR_UNKNOWN);
	g_clear_error(&error);
	g_assert_false(ash_users_find_gid(users, "rot", "m", &id, &error));
	g_assert_error(error, ASH_USERS_ERROR, ASH_USERS_ERROR_UNKNOWN);
	g_assert_cmpstr(error->message, ==,
			"m: the image has no group 'rot' (did you mean 'root'?)");
	g_assert_cmpuint(id, ==, 4294967294U);
	g_clear_error(&error);
	g_assert_true(ash_users_load(fixture.repo, empty, &nobody, &error));
	g_assert_true(ash_users_find_uid(nobody, "root", "m", &id, &error));
	g_assert_cmpuint(id, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/users/add", test_add);
	g_test_add_func("/users/none", test_none);
	g_test_add_func("/users/conflicts", test_conflicts);
	g_test_add_func("/users/full", test_full);
	g_test_add_func("/users/find", test_find);
	return g_test_run();
}
