/* SPDX-License-Identifier: Apache-2.0 */
/* parse-index FILE: reads a plain Packages file with libsolv's own reader and makes it searchable. What
 * solving from a cache saves is measured against this.
 */
#include <errno.h>
#include <solv/pool.h>
#include <solv/repo.h>
#include <solv/repo_deb.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "re") : NULL;

	if (file == NULL) {
		fprintf(stderr, "parse-index: %s: %s\n", argc == 2 ? argv[1] : "FILE",
				argc == 2 ? strerror(errno) : "is missing");
		return 2;
	}
	Pool *pool = pool_create();
	pool_setdisttype(pool, DISTTYPE_DEB);
	Repo *repo = repo_create(pool, "index");
	int code = repo_add_debpackages(repo, file, 0);
	pool_createwhatprovides(pool);
	printf("%d packages\n", repo->nsolvables);
	pool_free(pool);
	fclose(file);
	return code == 0 ? 0 : 1;
}
