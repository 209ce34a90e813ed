/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/etc.h"
#include "lib/auto.h"
#include "lib/file.h"

typedef struct {
	AshTempDir *dir;
	char *old_defaults, *old_etc, *new_defaults, *new_etc;
} Host;

static void host_clear(Host *host)
{
	g_free(host->old_defaults);
	g_free(host->old_etc);
	g_free(host->new_defaults);
	g_free(host->new_etc);
	ash_temp_dir_free(host->dir);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Host, host_clear)

static void host_init(Host *host)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_temp_dir_new("/var/tmp", "ash-etc", &host->dir, &error));
	host->old_defaults = g_build_filename(host->dir->path, "old/usr/etc", NULL);
	host->old_etc = g_build_filename(host->dir->path, "old/etc", NULL);
	host->new_defaults = g_build_filename(host->dir->path, "new/usr/etc", NULL);
	host->new_etc = g_build_filename(host->dir->path, "new/etc", NULL);
	g_assert_cmpint(g_mkdir_with_parents(host->old_defaults, 0755), ==, 0);
	g_assert_cmpint(g_mkdir_with_parents(host->old_etc, 0755), ==, 0);
	g_assert_cmpint(g_mkdir_with_parents(host->new_defaults, 0755), ==, 0);
}

/* @what: "=TEXT" a file, ">TARGET" a link, "/" a directory, "|" a pipe, NULL nothing. A following "@MODE"
 * (octal) of a file or directory.
 */
static void make(const char *root, const char *name, const char *what)
{
	g_autofree char *path = g_build_filename(root, name, NULL);
	g_autofree char *parent = g_path_get_dirname(path);

	if (what == NULL)
		return;
	g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
	g_autofree char *text = g_strdup(what + 1);
	char *mode = strchr(text, '@');
	if (mode != NULL)
		*mode++ = '\0';
	if (*what == '=')
		g_assert_true(g_file_set_contents(path, text, -1, NULL));
	else if (*what == '>')
		g_assert_cmpint(symlink(text, path), ==, 0);
	else if (*what == '|')
		g_assert_cmpint(mkfifo(path, 0600), ==, 0);
	else
		g_assert_cmpint(g_mkdir_with_parents(path, 0755), ==, 0);
	if (*what == '=' || *what == '/')
		g_assert_cmpint(chmod(path, mode != NULL       ? (mode_t) strtoul(mode, NULL, 8)
						: *what == '=' ? 0644
							       : 0755),
				==, 0);
}

static void expect(const char *root, const char *name, const char *what)
{
	g_autofree char *path = g_build_filename(root, name, NULL);
	struct stat st;
	bool is_there = lstat(path, &st) == 0;

	g_test_message("%s: %s", name, what != NULL ? what : "nothing");
	g_assert_cmpint(is_there, ==, what != NULL);
	if (what == NULL)
		return;
	g_autofree char *text = g_strdup(what + 1);
	char *mode = strchr(text, '@');
	if (mode != NULL)
		*mode++ = '\0';
	if (*what == '=') {
		g_autofree char *got = NULL;
		g_assert_true(S_ISREG(st.st_mode));
		g_assert_true(g_file_get_contents(path, &got, NULL, NULL));
		g_assert_cmpstr(got, ==, text);
	} else if (*what == '>') {
		g_autofree char *got = g_file_read_link(path, NULL);
		g_assert_cmpstr(got, ==, text);
	} else {
		g_assert_true(*what == '|' ? S_ISFIFO(st.st_mode) : S_ISDIR(st.st_mode));
	}
	if (mode != NULL)
		g_assert_cmpuint(st.st_mode & 07777, ==, strtoul(mode, NULL, 8));
}

static gboolean run(Host *host, GError **error)
{
	ash_autofd int new_fd = openat(host->dir->fd, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ash_autofd int old_fd = openat(host->dir->fd, "old", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return ash_etc_make(new_fd, old_fd, NULL, error);
}

/* Every case of the header's table, and its corners. */
static void test_merge(void)
{
	static const struct {
		const char *name;
		const char *old_default, *mine, *new_default, *result;
	} rows[] = {
			{"same", "=a", "=a", "=a", "=a"},
			{"release-changed", "=a", "=a", "=b", "=b"},
			{"release-removed", "=a", "=a", NULL, NULL},
			{"release-added", NULL, NULL, "=b", "=b"},
			{"host-changed", "=a", "=m", "=a", "=m"},
			{"both-changed", "=a", "=m", "=b", "=m"},
			{"changed-and-removed", "=a", "=m", NULL, "=m"},
			{"host-added", NULL, "=m", NULL, "=m"},
			{"both-added", NULL, "=m", "=b", "=m"},
			{"host-removed", "=a", NULL, "=a", NULL},
			{"removed-and-changed", "=a", NULL, "=b", NULL},
			{"both-removed", "=a", NULL, NULL, NULL},
			{"mode", "=a@644", "=a@600", "=b@644", "=a@600"},
			{"same-size", "=abc", "=abd", "=abc", "=abd"},
			{"link-to-file", ">x", "=m", ">x", "=m"},
			{"file-to-link", "=a", ">nowhere/m", "=b", ">nowhere/m"},
			{"link-changed", ">a", ">m", ">b", ">m"},
			{"link-kept", ">a", ">a", ">b", ">b"},
			{"pipe", NULL, "|", NULL, "|"},
			{"setuid", NULL, "=m@4755", NULL, "=m@4755"},
			/* directories */
			{"dir/a", "=a", "=a", "=b", "=b"},
			{"dir/mine", NULL, "=m", NULL, "=m"},
			{"gone-dir/a", "=a", "=a", NULL, NULL},
			{"gone-dir/changed", "=a", "=m", NULL, "=m"},
			{"new-dir/deep/mine", NULL, "=m@600", NULL, "=m@600"},
			{"empty-dir", NULL, "/@700", NULL, "/@700"},
			{"dir-mode", "/@755", "/@700", "/@755", "/@700"},
			{"dir-mode-gone", "/@755", "/@700", NULL, NULL},
			{"removed-dir", "/", NULL, "/", NULL},
			/* a directory on one side, a file on the other */
			{"file-to-dir", "=a", "/", "=b", "/"},
			{"file-to-dir/mine", NULL, "=m", NULL, "=m"},
			{"dir-to-file", "/", "=m", "/", "=m"},
			{"release-dir-to-file/a", "=a", "=m", NULL, "=m"},
			/* ... and what the release made a link is not written through */
			{"trap/a", "=a", "=m", NULL, "=m"},
	};
	g_auto(Host) host = {0};
	g_autoptr(GError) error = NULL;

	host_init(&host);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (!g_str_has_prefix(rows[i].name, "file-to-dir/"))
			make(host.old_defaults, rows[i].name, rows[i].old_default);
		make(host.old_etc, rows[i].name, rows[i].mine);
		make(host.new_defaults, rows[i].name, rows[i].new_default);
	}
	make(host.new_defaults, "release-dir-to-file", "=b");
	make(host.dir->path, "victim/x", "=untouched");
	g_autofree char *victim = g_build_filename(host.dir->path, "victim", NULL);
	g_autofree char *trap = g_build_filename(host.new_defaults, "trap", NULL);
	g_assert_cmpint(symlink(victim, trap), ==, 0);

	gboolean ok = run(&host, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		expect(host.new_etc, rows[i].name, rows[i].result);
	g_autofree char *written = g_build_filename(victim, "a", NULL);
	g_assert_false(g_file_test(written, G_FILE_TEST_EXISTS));
	/* The defaults themselves are as they were. */
	expect(host.new_defaults, "both-changed", "=b");
}

/* Owner, attributes and time come along; a default is a copy, no hard link. */
static void test_meta(void)
{
	g_auto(Host) host = {0};
	g_autoptr(GError) error = NULL;
	struct stat st, copy;
	struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};

	host_init(&host);
	make(host.old_etc, "mine", "=m");
	make(host.new_defaults, "default", "=d");
	g_autofree char *mine = g_build_filename(host.old_etc, "mine", NULL);
	g_autofree char *result = g_build_filename(host.new_etc, "mine", NULL);
	g_autofree char *fallback = g_build_filename(host.new_defaults, "default", NULL);
	g_autofree char *fallback_copy = g_build_filename(host.new_etc, "default", NULL);
	bool is_root = geteuid() == 0;
	if (is_root)
		g_assert_cmpint(chown(mine, 12, 34), ==, 0);
	bool has_xattrs = setxattr(mine, "user.note", "x\0y", 3, 0) == 0;
	g_assert_cmpint(utimensat(AT_FDCWD, mine, times, 0), ==, 0);
	g_assert_true(run(&host, &error));
	g_assert_cmpint(stat(result, &st), ==, 0);
	if (is_root) {
		g_assert_cmpuint(st.st_uid, ==, 12);
		g_assert_cmpuint(st.st_gid, ==, 34);
	}
	g_assert_cmpint(st.st_mtime, ==, 1000000);
	if (has_xattrs) {
		char value[8];
		g_assert_cmpint(getxattr(result, "user.note", value, sizeof value), ==, 3);
		g_assert_cmpint(memcmp(value, "x\0y", 3), ==, 0);
	}
	g_assert_cmpint(stat(fallback, &st), ==, 0);
	g_assert_cmpint(stat(fallback_copy, &copy), ==, 0);
	g_assert_cmpuint(st.st_ino, !=, copy.st_ino);
}

/* An attribute alone is a change. */
static void test_xattr_changed(void)
{
	g_auto(Host) host = {0};
	g_autoptr(GError) error = NULL;

	host_init(&host);
	make(host.old_defaults, "a", "=a");
	make(host.old_etc, "a", "=a");
	make(host.new_defaults, "a", "=b");
	g_autofree char *mine = g_build_filename(host.old_etc, "a", NULL);
	if (setxattr(mine, "user.note", "x", 1, 0) < 0) {
		g_test_skip("the file system has no extended attributes");
		return;
	}
	g_assert_true(run(&host, &error));
	expect(host.new_etc, "a", "=a");
}

static void test_depth(void)
{
	g_auto(Host) host = {0};
	g_autoptr(GError) error = NULL;
	GString *path = g_string_new("d");

	host_init(&host);
	for (int i = 0; i < ASH_ETC_MAX_DEPTH + 1; i++)
		g_string_append(path, "/d");
	make(host.old_etc, path->str, "/");
	g_string_free(path, TRUE);
	g_assert_false(run(&host, &error));
	g_assert_error(error, ASH_ETC_ERROR, ASH_ETC_ERROR_LIMIT);
}

static void test_measure(void)
{
	g_auto(Host) host = {0};
	g_autoptr(GError) error = NULL;
	uint64_t bytes = 0;
	uint64_t inodes = 0;

	host_init(&host);
	make(host.old_etc, "a", "=a");
	make(host.old_etc, "d/empty", "=");
	g_assert_true(ash_etc_measure(host.dir->fd, "old/etc", &bytes, &inodes, &error));
	/* Two directories, two files, one of them with a block. */
	g_assert_cmpuint(inodes, ==, 4);
	g_assert_cmpuint(bytes, ==, 3 * 4096);
	g_assert_true(ash_etc_measure(host.dir->fd, "nowhere", &bytes, &inodes, &error));
	g_assert_cmpuint(inodes, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/etc/merge", test_merge);
	g_test_add_func("/etc/meta", test_meta);
	g_test_add_func("/etc/xattr-changed", test_xattr_changed);
	g_test_add_func("/etc/depth", test_depth);
	g_test_add_func("/etc/measure", test_measure);
	return g_test_run();
}
