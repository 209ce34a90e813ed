/* SPDX-License-Identifier: Apache-2.0 */
#include <gio/gio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/published.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says which file of a publication the rest is; those that lead to it are right. */
enum {
	TARGETS,
	SNAPSHOT,
	TIMESTAMP,
	PACKAGES,
	PARTS,
};

static AshTempDir *dir;

static void end(void)
{
	ash_temp_dir_free(dir);
}

static void begin(void)
{
	g_autoptr(GError) error = NULL;

	if (!ash_temp_dir_new(g_get_tmp_dir(), "ash-published", &dir, &error))
		g_error("%s", error->message);
	atexit(end);
	g_autofree char *metadata = g_build_filename(dir->path, "metadata", NULL);
	g_autofree char *sbom = g_build_filename(dir->path, "sbom", NULL);
	if (g_mkdir_with_parents(metadata, 0700) < 0 || g_mkdir_with_parents(sbom, 0700) < 0)
		g_error("no directory");
}

static void put(const char *name, const void *data, size_t size)
{
	g_autofree char *path = g_build_filename(dir->path, name, NULL);
	g_autoptr(GError) error = NULL;

	if (!g_file_set_contents_full(
			    path, data, (gssize) size, G_FILE_SET_CONTENTS_NONE, 0600, &error))
		g_error("%s", error->message);
}

/* What @role says of the file behind it. */
static void put_metadata(const char *name, const char *role, const void *data, size_t size)
{
	g_autofree char *hash = ash_sha256_hex(data, size);
	g_autofree char *text = g_strdup_printf(
			"{\"signed\":{\"expires\":\"2030-01-01T00:00:00Z\",\"meta\":{\"%s.json\":{"
			"\"version\":1,\"hashes\":{\"sha256\":\"%s\"}}}}}",
			role, hash);

	put(name, text, strlen(text));
	if (strcmp(role, "targets") == 0)
		put_metadata("metadata/timestamp.json", "snapshot", text, strlen(text));
}

static void look_at(const AshPublished *published)
{
	for (guint i = 0; i < published->entries->len; i++) {
		const AshPublishedEntry *entry = published->entries->pdata[i];
		g_autoptr(GBytes) document = NULL;
		g_autoptr(GError) error = NULL;

		/* Nothing outside of the publication is opened, whatever it is called. */
		g_assert_true(g_str_has_prefix(entry->file, "targets/"));
		g_assert_null(strstr(entry->file, "/../"));
		g_assert_false(ash_published_read(published, entry, &document, &error));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char commit[] =
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	static const char empty[] =
			"{\"signed\":{\"expires\":\"2030-01-01T00:00:00Z\",\"targets\":{}}}";
	g_autoptr(AshPublished) published = NULL;
	g_autoptr(GError) error = NULL;

	if (dir == NULL)
		begin();
	if (size == 0)
		return 0;
	unsigned part = data[0] % PARTS;
	data++;
	size--;
	const void *targets = part == TARGETS ? (const void *) data : empty;
	size_t targets_size = part == TARGETS ? size : strlen(empty);
	put("metadata/1.targets.json", targets, targets_size);
	put_metadata("metadata/1.snapshot.json", "targets", targets, targets_size);
	if (part == SNAPSHOT) {
		put("metadata/1.snapshot.json", data, size);
		put_metadata("metadata/timestamp.json", "snapshot", data, size);
	} else if (part == TIMESTAMP) {
		put("metadata/timestamp.json", data, size);
	} else if (part == PACKAGES) {
		put("sbom/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.packages.json",
				data, size);
	}
	if (!ash_published_open(dir->path, &published, &error)) {
		g_assert_nonnull(error);
		return 0;
	}
	look_at(published);
	if (part == PACKAGES) {
		g_autoptr(JsonNode) packages = NULL;
		g_autofree char *spdx = NULL, *cyclonedx = NULL;
		if (ash_published_read_contents(
				    published, commit, &packages, &spdx, &cyclonedx, &error))
			g_assert_true(packages != NULL && JSON_NODE_HOLDS_OBJECT(packages));
	}
	return 0;
}
