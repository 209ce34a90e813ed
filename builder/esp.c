/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/esp.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "lib/error.h"
#include "lib/file.h"
#include "lib/spawn.h"

enum {
	SECTOR_BYTES = 512,
	MIN_CLUSTERS = 70000,    /* 65525, and room for the tables */
	FAT_EPOCH_S = 315532800, /* 1980-01-01 */
};

AshEspFile *ash_esp_file_new(const char *path, const char *source, GBytes *content)
{
	AshEspFile *file = g_new0(AshEspFile, 1);

	g_assert((source == NULL) != (content == NULL));
	file->path = g_strdup(path);
	file->source = g_strdup(source);
	file->content = content != NULL ? g_bytes_ref(content) : NULL;
	return file;
}

void ash_esp_file_free(AshEspFile *file)
{
	if (file == NULL)
		return;
	g_free(file->path);
	g_free(file->source);
	g_clear_pointer(&file->content, g_bytes_unref);
	g_free(file);
}

typedef struct {
	const AshEspOptions *options;
	char *image; /* as mtools names a file system in a file */
	char *epoch;
} Esp;

static void esp_clear(Esp *esp)
{
	g_free(esp->image);
	g_free(esp->epoch);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Esp, esp_clear)

static gboolean run(const Esp *esp, const char *const *argv, GError **error)
{
	/* The machine's own mtools.conf is no business of ours, nor is mtools' doubt about file
	 * systems that are smaller than the file they are in.
	 */
	const char *env[] = {esp->epoch, "MTOOLSRC=/dev/null", "MTOOLS_SKIP_CHECK=1", NULL};
	AshSpawn spawn = {.argv = argv, .env = env, .timeout_ms = 60000};

	return ash_spawn_run(&spawn, NULL, error);
}

/* The number of clusters is what makes it FAT32 to a reader: mkfs.vfat's own choice is too large for
 * 256 MiB. Large clusters make for fewer reads by the firmware.
 */
static unsigned cluster_sectors(uint64_t size_bytes)
{
	unsigned sectors = 1;

	while (sectors < 64 && size_bytes / (2 * sectors * SECTOR_BYTES) > MIN_CLUSTERS)
		sectors *= 2;
	return sectors;
}

static gboolean make_empty(const Esp *esp, GError **error)
{
	const AshEspOptions *options = esp->options;
	g_autofree char *sector = g_strdup_printf("%" PRIu64, options->offset_bytes / SECTOR_BYTES);
	g_autofree char *blocks = g_strdup_printf("%" PRIu64, options->size_bytes / 1024);
	g_autofree char *volume_id = g_strdup_printf("%08" PRIX32, options->volume_id);
	g_autofree char *cluster = g_strdup_printf("%u", cluster_sectors(options->size_bytes));
	const char *argv[] = {"mkfs.vfat", "--invariant", "-F", "32", "-S", "512", "-s", cluster,
			"-h", sector, "-i", volume_id, "-n", "ASHLAR", "--offset", sector,
			options->path, blocks, NULL};

	return run(esp, argv, error);
}

/* All parents of all files, each once, parents first. */
static gboolean make_dirs(const Esp *esp, const GPtrArray *files, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);

	g_ptr_array_add(argv, g_strdup("mmd"));
	g_ptr_array_add(argv, g_strdup("-i"));
	g_ptr_array_add(argv, g_strdup(esp->image));
	for (guint i = 0; i < files->len; i++) {
		const char *path = ((const AshEspFile *) files->pdata[i])->path;
		for (const char *slash = strchr(path + 1, '/'); slash != NULL;
				slash = strchr(slash + 1, '/')) {
			g_autofree char *dir = g_strndup(path, (gsize) (slash - path));
			if (g_hash_table_contains(seen, dir))
				continue;
			g_ptr_array_add(argv, g_strconcat("::", dir, NULL));
			g_hash_table_add(seen, g_steal_pointer(&dir));
		}
	}
	g_ptr_array_add(argv, NULL);
	return argv->len == 4 || run(esp, (const char *const *) argv->pdata, error);
}

static gboolean put(const Esp *esp, const AshEspFile *file, GError **error)
{
	g_autofree char *target = g_strconcat("::", file->path, NULL);
	g_autofree char *temporary = g_build_filename(esp->options->scratch, "esp-file", NULL);
	const char *argv[] = {"mcopy", "-i", esp->image, file->source, target, NULL};

	ASH_PREFIX("%s", file->path);
	if (file->content != NULL) {
		gsize size = 0;
		const void *data = g_bytes_get_data(file->content, &size);
		if (!ash_file_replace(AT_FDCWD, temporary, data, size, 0644, error))
			return FALSE;
		argv[3] = temporary;
	}
	return run(esp, argv, error);
}

gboolean ash_esp_write(const AshEspOptions *options, const GPtrArray *files, GError **error)
{
	g_auto(Esp) esp = {.options = options};

	ASH_PREFIX("EFI system partition");
	esp.image = g_strdup_printf("%s@@%" PRIu64, options->path, options->offset_bytes);
	esp.epoch = g_strdup_printf(
			"SOURCE_DATE_EPOCH=%" PRIu64, MAX(options->time_s, (uint64_t) FAT_EPOCH_S));
	if (!make_empty(&esp, error) || !make_dirs(&esp, files, error))
		return FALSE;
	for (guint i = 0; i < files->len; i++)
		if (!put(&esp, files->pdata[i], error))
			return FALSE;
	return TRUE;
}
