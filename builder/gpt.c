/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/gpt.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/spawn.h"

enum {
	SECTOR_BYTES = 512,
};

char *ash_gpt_uuid(const char *seed, const char *purpose)
{
	g_autofree char *text = g_strdup_printf("ashlar image 1\n%s\n%s\n", seed, purpose);
	uint8_t d[ASH_SHA256_BYTES];

	ash_sha256(text, strlen(text), d);
	d[6] = (uint8_t) ((d[6] & 0x0f) | 0x80);
	d[8] = (uint8_t) ((d[8] & 0x3f) | 0x80);
	return g_strdup_printf(
			"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11],
			d[12], d[13], d[14], d[15]);
}

char *ash_gpt_script(const char *disk_uuid, const AshGptPartition *partitions, size_t count)
{
	GString *script = g_string_new(NULL);

	g_string_append_printf(script,
			"label: gpt\nlabel-id: %s\nunit: sectors\nsector-size: %d\nfirst-lba: 2048\n\n",
			disk_uuid, SECTOR_BYTES);
	for (size_t i = 0; i < count; i++)
		g_string_append_printf(script,
				"start=%" PRIu64 ", size=%" PRIu64
				", type=%s, uuid=%s, name=\"%s\"\n",
				partitions[i].start_bytes / SECTOR_BYTES,
				partitions[i].size_bytes / SECTOR_BYTES, partitions[i].type,
				partitions[i].uuid, partitions[i].label);
	return g_string_free(script, FALSE);
}

gboolean ash_gpt_write(const char *path, const char *disk_uuid, const AshGptPartition *partitions,
		size_t count, GError **error)
{
	g_autofree char *script = ash_gpt_script(disk_uuid, partitions, count);
	ash_autofd int fd = memfd_create("sfdisk", MFD_CLOEXEC);

	ASH_PREFIX("partition table");
	if (fd < 0)
		return ash_throw_errno(error, "memfd_create");
	if (!ash_file_write_all(fd, script, strlen(script), error))
		return FALSE;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return ash_throw_errno(error, "lseek");
	const char *argv[] = {"sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--wipe",
			"never", "--wipe-partitions", "never", path, NULL};
	AshSpawn spawn = {.argv = argv, .stdin_fd = fd, .timeout_ms = 60000};
	return ash_spawn_run(&spawn, NULL, error);
}
