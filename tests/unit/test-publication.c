/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/publication.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builder/content.h"
#include "builder/draft.h"
#include "builder/publish.h"
#include "lib/file.h"

static const AshPublicationLifetimes lifetimes = {90 * 86400, 14 * 86400, 7 * 86400};

typedef struct {
	AshTempDir *temp;
	char *dir, *keys_dir;
	AshKeys *keys;
} Fixture;

static AshKeys *make_keys(const char *dir, int64_t expiry_s)
{
	const AshKeysMake make = {.root_keys = 1, .root_threshold = 1, .expiry_s = expiry_s};
	const char *const dirs[] = {dir, NULL};
	AshKeys *keys = NULL;

	g_assert_true(ash_keys_make(dir, &make, NULL));
	g_assert_true(ash_keys_open(dirs, NULL, false, &keys, NULL));
	return keys;
}

static void set_up(Fixture *fixture, gconstpointer data)
{
	g_assert_true(ash_temp_dir_new("/var/tmp", "test-publication", &fixture->temp, NULL));
	fixture->dir = g_build_filename(fixture->temp->path, "pub", NULL);
	fixture->keys_dir = g_build_filename(fixture->temp->path, "keys", NULL);
	fixture->keys = make_keys(fixture->keys_dir, 86400);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
	ash_keys_free(fixture->keys);
	ash_temp_dir_free(fixture->temp);
	g_free(fixture->dir);
	g_free(fixture->keys_dir);
}

static AshPublication *open_publication(const Fixture *fixture, AshKeys *keys)
{
	AshPublication *publication = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_publication_open(fixture->dir, keys, &publication, &error));
	g_assert_no_error(error);
	return publication;
}

static void assert_open_fails(const Fixture *fixture, AshKeys *keys, GQuark domain, int code)
{
	g_autoptr(AshPublication) publication = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_false(ash_publication_open(fixture->dir, keys, &publication, &error));
	g_assert_error(error, domain, code);
}

static void add_release(AshPublication *publication, const char *name, const char *version)
{
	g_autofree char *path = ash_release_path(name, "", "amd64", version);
	g_autofree char *custom = g_strdup_printf(
			"{\"kind\":\"release\",\"name\":\"%s\",\"variant\":\"\",\"architecture\":"
			"\"amd64\",\"version\":\"%s\",\"commit\":\"%064d\"}",
			name, version, 1);
	g_autoptr(GBytes) document = g_bytes_new(version, strlen(version));

	g_assert_true(ash_publication_add(publication, path, document, custom, NULL));
}

static void save(AshPublication *publication)
{
	bool is_late = false;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_publication_save(publication, &lifetimes, &is_late, &error));
	g_assert_no_error(error);
	g_assert_false(is_late);
}

static bool exists(const Fixture *fixture, const char *name)
{
	g_autofree char *path = g_build_filename(fixture->dir, name, NULL);

	return access(path, F_OK) == 0;
}

static void write_file(const Fixture *fixture, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(fixture->dir, name, NULL);

	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* One digit of it becomes another. */
static void damage(const Fixture *fixture, const char *name, const char *behind)
{
	g_autofree char *path = g_build_filename(fixture->dir, name, NULL);
	g_autofree char *text = NULL;

	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	char *at = strstr(text, behind);
	g_assert_nonnull(at);
	at[strlen(behind)] = at[strlen(behind)] == '1' ? '2' : '1';
	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void test_save(Fixture *fixture, gconstpointer data)
{
	g_autoptr(AshPublication) publication = open_publication(fixture, fixture->keys);
	struct stat st;

	g_assert_cmpint(fstatat(publication->fd, "pending", &st, 0), ==, 0);
	g_assert_cmpint(st.st_mode & 07777, ==, 0700);
	add_release(publication, "host", "1.0");
	g_assert_false(exists(fixture, "metadata/timestamp.json"));
	save(publication);
	/* Renewal: the lists stay. */
	save(publication);
	g_assert_true(exists(fixture, "metadata/1.root.json"));
	g_assert_true(exists(fixture, "metadata/2.snapshot.json"));
	g_assert_false(exists(fixture, "metadata/2.targets.json"));
	g_assert_false(exists(fixture, "metadata/2.workloads.json"));
	add_release(publication, "host", "1.1");
	save(publication);
	g_clear_pointer(&publication, ash_publication_free);

	g_autoptr(AshPublication) again = open_publication(fixture, NULL);
	g_assert_cmpuint(again->published.timestamp, ==, 3);
	g_assert_cmpuint(again->published.snapshot, ==, 3);
	g_assert_cmpuint(again->published.targets, ==, 2);
	g_assert_cmpuint(again->published.workloads, ==, 1);
	g_assert_cmpuint(again->targets->len, ==, 2);
	const AshPublicationTarget *target =
			ash_publication_find(again, "host/host/amd64/1.1.json");
	g_autofree char *location = ash_publication_location(target);
	g_autofree char *file = g_build_filename("targets", location, NULL);
	g_assert_true(exists(fixture, file));
	g_assert_cmpstr(target->version, ==, "1.1");
}

/* What an interrupted run left is never overwritten: a reader's cache may have it. */
static void test_leftovers(Fixture *fixture, gconstpointer data)
{
	g_autoptr(AshPublication) publication = open_publication(fixture, fixture->keys);

	save(publication);
	write_file(fixture, "metadata/7.targets.json", "left");
	write_file(fixture, "metadata/9.snapshot.json", "left");
	write_file(fixture, "metadata/99.snapshot.json.tmp", "not one");
	add_release(publication, "host", "1.0");
	save(publication);
	g_assert_cmpuint(publication->published.targets, ==, 8);
	g_assert_cmpuint(publication->published.snapshot, ==, 10);
	g_assert_cmpuint(publication->published.timestamp, ==, 2);
}

static void test_refused(Fixture *fixture, gconstpointer data)
{
	g_autofree char *other_dir = g_build_filename(fixture->temp->path, "other", NULL);
	g_autoptr(AshKeys) other = make_keys(other_dir, 86400);

	assert_open_fails(fixture, NULL, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND);
	AshPublication *publication = open_publication(fixture, fixture->keys);
	ash_publication_free(publication);
	assert_open_fails(fixture, NULL, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND);
	publication = open_publication(fixture, fixture->keys);
	save(publication);
	ash_publication_free(publication);
	assert_open_fails(fixture, other, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_OTHER_ROOT);

	/* Keys of an older state than what is published. */
	const char *const dirs[] = {fixture->keys_dir, NULL};
	g_autoptr(AshKeys) newer = NULL;
	g_assert_true(ash_keys_open(dirs, NULL, false, &newer, NULL));
	g_assert_true(ash_keys_rotate(newer, ASH_ROLE_ROOT, 86400, NULL, NULL));
	publication = open_publication(fixture, newer);
	save(publication);
	ash_publication_free(publication);
	assert_open_fails(fixture, fixture->keys, ASH_PUBLICATION_ERROR,
			ASH_PUBLICATION_ERROR_OTHER_ROOT);

	damage(fixture, "metadata/1.targets.json", "\"expires\":\"2");
	assert_open_fails(fixture, newer, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_DAMAGED);
	damage(fixture, "metadata/timestamp.json", "\"sha256\":\"");
	assert_open_fails(fixture, newer, ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SIGNATURE);
}

static void test_expired_root(Fixture *fixture, gconstpointer data)
{
	g_autofree char *dir = g_build_filename(fixture->temp->path, "expired", NULL);
	g_autoptr(AshKeys) keys = make_keys(dir, 0);

	assert_open_fails(fixture, keys, ASH_KEYS_ERROR, ASH_KEYS_ERROR_EXPIRED);
}

/* Lists are renewed when half of their life is over, by who can. */
static void test_late(Fixture *fixture, gconstpointer data)
{
	const AshPublicationLifetimes longer = {300 * 86400, 14 * 86400, 7 * 86400};
	g_autoptr(AshPublication) publication = open_publication(fixture, fixture->keys);
	bool is_late = true;

	save(publication);
	g_clear_pointer(&publication, ash_publication_free);
	publication = open_publication(fixture, fixture->keys);
	g_assert_true(ash_publication_save(publication, &longer, &is_late, NULL));
	g_assert_false(is_late);
	g_assert_cmpuint(publication->published.targets, ==, 2);
	g_assert_cmpuint(publication->published.workloads, ==, 2);
	g_clear_pointer(&publication, ash_publication_free);

	const AshPublicationLifetimes longest = {3000 * (int64_t) 86400, 86400, 86400};
	const AshSigningRole *role = ash_keys_role(fixture->keys, ASH_ROLE_TARGETS);
	g_autofree char *path =
			ash_keys_find_private(fixture->keys, ASH_ROLE_TARGETS, role->ids->pdata[0]);
	g_assert_cmpint(unlink(path), ==, 0);
	publication = open_publication(fixture, fixture->keys);
	g_assert_true(ash_publication_save(publication, &longest, &is_late, NULL));
	g_assert_true(is_late);
	g_assert_cmpuint(publication->published.targets, ==, 2);
}

static void test_hosts(Fixture *fixture, gconstpointer data)
{
	static const char *const order[] = {"1.10", "1.9", "1.9~rc1"};
	g_autoptr(AshPublication) publication = open_publication(fixture, fixture->keys);
	AshPublicationHost any = {0};
	AshPublicationHost other = {.name = "nobody"};
	AshPublicationTarget *target = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_false(ash_publication_find_host(publication, &any, &error));
	g_assert_error(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND);
	g_clear_error(&error);
	for (size_t i = 0; i < G_N_ELEMENTS(order); i++)
		add_release(publication, "host", order[i]);
	g_assert_true(ash_publication_find_host(publication, &any, NULL));
	g_assert_cmpstr(any.name, ==, "host");
	g_assert_cmpstr(any.variant, ==, "");
	g_assert_cmpstr(any.arch, ==, "amd64");
	g_autoptr(GPtrArray) releases = ash_publication_releases(publication, &any);
	g_assert_cmpuint(releases->len, ==, G_N_ELEMENTS(order));
	for (guint i = 0; i < releases->len; i++)
		g_assert_cmpstr(((AshPublicationTarget *) releases->pdata[i])->version, ==,
				order[i]);
	g_assert_true(ash_publication_get_release(publication, &any, "1.9", &target, NULL));
	g_assert_false(ash_publication_get_release(publication, &any, "1.8", &target, &error));
	g_assert_error(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND);
	g_clear_error(&error);
	g_assert_false(ash_publication_find_host(publication, &other, NULL));

	add_release(publication, "guest", "1.0");
	any = (AshPublicationHost){0};
	g_assert_false(ash_publication_find_host(publication, &any, &error));
	g_assert_error(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_AMBIGUOUS);
	any.name = "guest";
	g_assert_true(ash_publication_find_host(publication, &any, NULL));
}

static void test_recall(Fixture *fixture, gconstpointer data)
{
	static const struct {
		const char *version, *to;
		int code; /* -1: published */
	} cases[] = {
			{"1.2", "", ASH_PUBLICATION_ERROR_NOT_FOUND},
			{"1.1", "0.9", ASH_PUBLICATION_ERROR_NOT_FOUND},
			{"1.1", "1.1", ASH_PUBLICATION_ERROR_VERSION},
			{"1.1", "1.0", -1},
			{"1.1", "", -1},
			{"1.0", "1.1", ASH_PUBLICATION_ERROR_VERSION},
	};
	const AshPublicationHost host = {"host", "", "amd64"};
	g_autoptr(AshPublication) publication = open_publication(fixture, fixture->keys);

	add_release(publication, "host", "1.0");
	add_release(publication, "host", "1.1");
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		bool ok = ash_publish_recall(publication, &host, cases[i].version, cases[i].to,
				"because", &lifetimes, NULL, &error);
		g_assert_cmpint(ok, ==, cases[i].code < 0);
		if (!ok) {
			g_assert_error(error, ASH_PUBLICATION_ERROR, cases[i].code);
			continue;
		}
		const AshPublicationTarget *target = ash_publication_find(
				publication, "host/host/amd64/recall/1.1.json");
		g_assert_true(target->is_recall);
		g_assert_cmpstr(target->to, ==, cases[i].to);
	}
	g_assert_cmpuint(publication->published.timestamp, ==, 2);
}

static void test_drafts(Fixture *fixture, gconstpointer data)
{
	static const char *const versions[] = {"1.10", "1.9~rc1+b", "1.9"};
	static const char *const sorted[] = {"1.9~rc1+b", "1.9", "1.10"};
	g_autoptr(AshPublication) publication = open_publication(fixture, fixture->keys);
	g_autoptr(GPtrArray) drafts = NULL;
	g_autoptr(GPtrArray) none = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(versions); i++) {
		g_autoptr(AshRelease) release = g_new0(AshRelease, 1);
		release->name = g_strdup("host");
		release->variant = g_strdup("lab");
		release->arch = g_strdup("amd64");
		release->version = g_strdup(versions[i]);
		release->commit = g_strdup_printf("%064d", (int) i);
		release->created = ash_signing_time(0);
		g_assert_true(ash_draft_save(publication, release, NULL));
		g_assert_true(ash_draft_save(publication, release, NULL));
	}
	g_assert_true(ash_draft_list(publication, &drafts, NULL));
	g_assert_cmpuint(drafts->len, ==, G_N_ELEMENTS(sorted));
	for (guint i = 0; i < drafts->len; i++)
		g_assert_cmpstr(((AshRelease *) drafts->pdata[i])->version, ==, sorted[i]);
	g_autofree char *ref = ash_draft_ref(drafts->pdata[0]);
	g_assert_cmpstr(ref, ==, "host/host-lab/amd64/1.9_7erc1_2bb");
	for (guint i = 0; i < drafts->len; i++) {
		g_assert_true(ash_draft_remove(publication, drafts->pdata[i], NULL));
		g_assert_true(ash_draft_remove(publication, drafts->pdata[i], NULL));
	}
	g_assert_true(ash_draft_list(publication, &none, NULL));
	g_assert_cmpuint(none->len, ==, 0);
}

/* As libostree 2022.7 named one. */
static void test_delta_path(void)
{
	g_autofree char *path = ash_content_delta_path(
			"d67109e2452078b82560830d299fcc12913e890fdd67d4f5118e2742aa108a81",
			"61a89c3630abbce3c7272aa4fb20c2ed0610bffe752d407ab2a8326b0dd1f1ec");

	g_assert_cmpstr(path, ==,
			"deltas/1n/EJ4kUgeLglYIMNKZ_MEpE+iQ_dZ9T1EY4nQqoQioE-"
			"YaicNjCrvOPHJyqk+yDC7QYQv_51LUB6sqgyaw3R8ew/superblock");
}

static AshNode *add_file(AshTree *tree, const char *path, uint8_t csum, uint64_t size)
{
	AshNode *node = ash_node_new(ASH_NODE_FILE, 0644);

	node->csum[0] = csum;
	node->has_csum = true;
	node->size = size;
	g_assert_true(ash_tree_insert(tree, path, node, NULL));
	return node;
}

static void test_measure_tree(void)
{
	g_autoptr(AshTree) tree = ash_tree_new();
	g_autoptr(AshRelease) release = g_new0(AshRelease, 1);
	AshNode *link = ash_node_new(ASH_NODE_LINK, 0777);

	link->target = g_strdup("a");
	g_assert_true(ash_tree_insert(tree, "/link", link, NULL));
	add_file(tree, "/a", 1, 1);
	add_file(tree, "/same", 1, 1);
	add_file(tree, "/b", 2, 4097);
	add_file(tree, "/empty", 3, 0);
	add_file(tree, "/usr/lib/modules/6.1/vmlinuz", 4, 8192);
	add_file(tree, "/usr/lib/modules/6.1/initramfs.img", 5, 4096);
	ash_content_measure_tree(tree, release);
	/* /, usr, lib, modules, 6.1; link; a, b, empty, vmlinuz, initramfs.img */
	g_assert_cmpuint(release->inodes, ==, 11);
	g_assert_cmpuint(release->bytes, ==, (5 + 1 + 2 + 0 + 2 + 1) * 4096);
	g_assert_cmpuint(release->boot_bytes, ==, 12288);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define ADD(name, function)                                                                        \
	g_test_add("/publication/" name, Fixture, NULL, set_up, function, tear_down)
	ADD("save", test_save);
	ADD("leftovers", test_leftovers);
	ADD("refused", test_refused);
	ADD("expired-root", test_expired_root);
	ADD("late", test_late);
	ADD("hosts", test_hosts);
	ADD("recall", test_recall);
	ADD("drafts", test_drafts);
	g_test_add_func("/publication/delta-path", test_delta_path);
	g_test_add_func("/publication/measure-tree", test_measure_tree);
	return g_test_run();
}
