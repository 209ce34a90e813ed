/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "tests/lib/tuf-attack.h"

/* TUF repositories for shell tests: tests/lib/tuf-attack.h as directories.
 *
 *	tuf-make                a line "NAME WORD TARGET" for each attack; "-" for none
 *	tuf-make NAME DIR       DIR/before and DIR/after: files at the top and below targets/
 */

static void write_files(TufRepo *repo, const char *dir, const char *name)
{
	GHashTableIter iter;
	gpointer key = NULL;
	gpointer value = NULL;

	g_hash_table_iter_init(&iter, repo->files);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		g_autoptr(GError) error = NULL;
		g_autofree char *path = g_build_filename(dir, name, key, NULL);
		g_autofree char *parent = g_path_get_dirname(path);
		gsize size = 0;
		const char *data = g_bytes_get_data(value, &size);

		g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
		g_file_set_contents(path, data, (gssize) size, &error);
		g_assert_no_error(error);
	}
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < G_N_ELEMENTS(tuf_attacks); i++) {
		if (argc != 3) {
			const char *word = tuf_attacks[i].word;
			const char *target = tuf_attacks[i].target;
			printf("%s %s %s\n", tuf_attacks[i].name, *word != '\0' ? word : "-",
					target != NULL ? target : "-");
			continue;
		}
		if (strcmp(argv[1], tuf_attacks[i].name) != 0)
			continue;
		g_autoptr(TufRepo) repo = tuf_attack_before(i);
		write_files(repo, argv[2], "before");
		tuf_attacks[i].attack(repo);
		write_files(repo, argv[2], "after");
		return 0;
	}
	return argc == 3;
}
