/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

/* Partition tables, by sfdisk, into a plain file. Nothing is left to chance: disk and partition
 * identifiers are given, sizes are whole MiB.
 */

enum {
	ASH_GPT_MIB = 1 << 20,
	/* Before the first partition, and behind the last for the second copy of the table. */
	ASH_GPT_MARGIN_BYTES = ASH_GPT_MIB,
};

#define ASH_GPT_TYPE_ESP "C12A7328-F81F-11D2-BA4B-00C04FC93EC5"

typedef struct {
	const char *type; /* GUID */
	char *uuid;
	const char *label;
	uint64_t start_bytes;
	uint64_t size_bytes;
} AshGptPartition;

/* ash_gpt_uuid: a UUID (version 8, RFC 9562) that follows from @seed and @purpose. PURE. */
char *ash_gpt_uuid(const char *seed, const char *purpose);

/* What sfdisk reads. PURE. */
char *ash_gpt_script(const char *disk_uuid, const AshGptPartition *partitions, size_t count);

/* @path: a file that has the disk's size */
gboolean ash_gpt_write(const char *path, const char *disk_uuid, const AshGptPartition *partitions,
		size_t count, GError **error) G_GNUC_WARN_UNUSED_RESULT;
