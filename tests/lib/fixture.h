/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "builder/package.h"
#include "builder/repo.h"
#include "builder/tree.h"
#include "lib/error.h"
#include "lib/file.h"

/* For unit tests that need a repository, trees and packages: a temporary repository with an open
 * transaction, and .deb files made in memory.
 *
 * Repositories are "bare", so what is stored has its true owner: all of it needs root
 * (fixture_may_run).
 */

typedef struct {
	AshTempDir *dir;
	AshRepo *repo; /* with an open transaction */
	AshTree *tree;
	GPtrArray *packages; /* AshPackage */
	GPtrArray *locked;   /* AshLockPackage, of the above */
} Fixture;

static inline bool fixture_may_run(void)
{
	if (geteuid() == 0)
		return true;
	g_test_skip("needs root: objects get their true owners");
	return false;
}

static inline void fixture_locked_free(gpointer data)
{
	AshLockPackage *locked = data;

	g_free(locked->name);
	g_free(locked->version);
	g_free(locked->arch);
	g_free(locked->sha256);
	g_free(locked->path);
	g_free(locked);
}

static inline void fixture_clear(Fixture *fixture)
{
	g_clear_pointer(&fixture->packages, g_ptr_array_unref);
	g_clear_pointer(&fixture->locked, g_ptr_array_unref);
	g_clear_pointer(&fixture->tree, ash_tree_free);
	g_clear_pointer(&fixture->repo, ash_repo_free);
	g_clear_pointer(&fixture->dir, ash_temp_dir_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static inline void fixture_init(Fixture *fixture)
{
	g_autoptr(GError) error = NULL;
	gboolean ok = ash_temp_dir_new(g_get_tmp_dir(), "ash-fixture", &fixture->dir, &error);

	g_assert_no_error(error);
	g_autofree char *path = g_build_filename(fixture->dir->path, "repo", NULL);
	ok = ok && ash_repo_open(path, true, &fixture->repo, &error) &&
	     ash_repo_begin(fixture->repo, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	fixture->tree = ash_tree_new();
	fixture->packages = g_ptr_array_new_with_free_func((GDestroyNotify) ash_package_free);
	fixture->locked = g_ptr_array_new_with_free_func(fixture_locked_free);
}

static inline AshNode *fixture_file(
		Fixture *fixture, AshTree *tree, const char *path, uint32_t mode, const char *text)
{
	g_autoptr(GError) error = NULL;
	AshNode *node = ash_node_new(ASH_NODE_FILE, mode);

	gboolean ok = ash_repo_write_file(fixture->repo, node, text, strlen(text), &error) &&
		      ash_tree_insert(tree, path, node, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	return node;
}

static inline AshNode *fixture_link(AshTree *tree, const char *path, const char *target)
{
	g_autoptr(GError) error = NULL;
	AshNode *node = ash_node_new(ASH_NODE_LINK, 0777);

	node->target = g_strdup(target);
	gboolean ok = ash_tree_insert(tree, path, node, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	return node;
}

static inline AshNode *fixture_dir(AshTree *tree, const char *path)
{
	g_autoptr(GError) error = NULL;
	AshNode *node = NULL;
	gboolean ok = ash_tree_ensure_dir(tree, path, &node, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	return node;
}

/* The text of a file, links followed; NULL when there is none. */
static inline char *fixture_text(Fixture *fixture, const AshTree *tree, const char *path)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = NULL;

	if (!ash_repo_read_file(fixture->repo, tree, path, 1 << 20, &bytes, &error)) {
		g_assert_error(error, ASH_REPO_ERROR, ASH_REPO_ERROR_NOT_FOUND);
		return NULL;
	}
	return g_strdup(g_bytes_get_data(bytes, NULL));
}

static inline const char *fixture_target(const AshTree *tree, const char *path)
{
	const AshNode *node = ash_tree_find(tree, path);

	return node != NULL && node->kind == ASH_NODE_LINK ? node->target : NULL;
}

/* A package without files; its data is ash_tree_find(package->tree, "data"). @fields: the lines of the
 * control file that follow the first three, or NULL.
 */
static inline AshPackage *fixture_package(
		Fixture *fixture, const char *name, const char *version, const char *fields)
{
	AshLockPackage *locked = g_new0(AshLockPackage, 1);
	AshPackage *package = g_new0(AshPackage, 1);
	g_autofree char *control =
			g_strdup_printf("Package: %s\nVersion: %s\nArchitecture: all\n%s", name,
					version, fields != NULL ? fields : "");

	locked->name = g_strdup(name);
	locked->version = g_strdup(version);
	locked->arch = g_strdup("all");
	locked->sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, control, -1);
	package->locked = locked;
	package->tree = ash_tree_new();
	fixture_dir(package->tree, "data");
	fixture_dir(package->tree, "control");
	fixture_file(fixture, package->tree, "control/control", 0644, control);
	package->control = g_bytes_new(control, strlen(control) + 1);
	package->fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_auto(GStrv) lines = g_strsplit(control, "\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		g_auto(GStrv) parts = g_strsplit(*line, ": ", 2);
		if (g_strv_length(parts) == 2)
			g_hash_table_insert(package->fields, g_ascii_strdown(parts[0], -1),
					g_strdup(parts[1]));
	}
	package->info_name = g_strdup(name);
	g_ptr_array_add(fixture->locked, locked);
	g_ptr_array_add(fixture->packages, package);
	return package;
}

/* ---- archives in memory ----------------------------------------------------------------------- */

/* One tar entry, ustar; @type: '0' file, '1' hard link, '2' link, '3' character device, '5' directory,
 * '6' pipe. @size: of the content, which follows; 0 for all but files.
 */
static inline void tar_add(GByteArray *tar, const char *path, char type, uint32_t mode,
		const char *target, const void *content, gsize size)
{
	static const guint8 zeroes[512];
	char header[512] = {0};
	unsigned sum = 0;

	g_assert_cmpuint(strlen(path), <, 100);
	memcpy(header, path, strlen(path));
	g_snprintf(header + 100, 8, "%07o", mode);
	g_snprintf(header + 108, 8, "%07o", 0U);
	g_snprintf(header + 116, 8, "%07o", 0U);
	if (size >> 33 == 0)
		g_snprintf(header + 124, 12, "%011" G_GINT64_MODIFIER "o", (guint64) size);
	else
		/* GNU tar's base 256: 0x80, then big-endian. */
		for (int i = 0; i < 12; i++)
			header[124 + i] = (char) (i == 0  ? 0x80
						  : i < 4 ? 0
							  : size >> (8 * (11 - i)) & 0xff);
	g_snprintf(header + 136, 12, "%011o", 1700000000U);
	header[156] = type;
	if (target != NULL)
		g_strlcpy(header + 157, target, 100);
	memcpy(header + 257, "ustar\00000", 8);
	memset(header + 148, ' ', 8);
	for (size_t i = 0; i < sizeof header; i++)
		sum += (unsigned char) header[i];
	g_snprintf(header + 148, 7, "%06o", sum);
	g_byte_array_append(tar, (const guint8 *) header, sizeof header);
	if (content != NULL && size > 0) {
		g_byte_array_append(tar, content, (guint) size);
		g_byte_array_append(tar, zeroes, (guint) ((512 - size % 512) % 512));
	}
}

static inline void tar_file(GByteArray *tar, const char *path, const char *text)
{
	tar_add(tar, path, '0', 0644, NULL, text, strlen(text));
}

static inline void tar_end(GByteArray *tar)
{
	static const guint8 zeroes[1024];

	g_byte_array_append(tar, zeroes, sizeof zeroes);
}

static inline void ar_begin(GByteArray *ar)
{
	g_byte_array_append(ar, (const guint8 *) "!<arch>\n", 8);
}

static inline void ar_add(GByteArray *ar, const char *name, const void *data, gsize size)
{
	char header[61];

	g_snprintf(header, sizeof header, "%-16s%-12d%-6d%-6d%-8s%-10" G_GSIZE_FORMAT "`\n", name,
			0, 0, 0, "100644", size);
	g_byte_array_append(ar, (const guint8 *) header, 60);
	g_byte_array_append(ar, data, (guint) size);
	if (size % 2 != 0)
		g_byte_array_append(ar, (const guint8 *) "\n", 1);
}

/* A .deb with this data.tar and a control file of "Package: NAME", version 1, for all architectures. */
static inline GByteArray *fixture_deb(const char *name, const void *data_tar, gsize size)
{
	GByteArray *deb = g_byte_array_new();
	g_autoptr(GByteArray) control = g_byte_array_new();
	g_autofree char *text = g_strdup_printf(
			"Package: %s\nVersion: 1\nArchitecture: all\nDescription: test\n", name);

	tar_file(control, "./control", text);
	tar_end(control);
	ar_begin(deb);
	ar_add(deb, "debian-binary", "2.0\n", 4);
	ar_add(deb, "control.tar", control->data, control->len);
	ar_add(deb, "data.tar", data_tar, size);
	return deb;
}
