/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/space.h"

#include "agent/worker.h"
#include "lib/error.h"
#include "lib/text.h"

enum {
	BLOCK = 4096,
	NAME_BYTES = 64,       /* of a directory, for one name, seldom reached */
	SLACK_BYTES = 4 << 20, /* journal, refs, links, bitmaps */
	SLACK_INODES = 64,
	RESERVE_PERCENT = 3, /* that libostree keeps free itself (min-free-space-percent) */
	ESP_CLUSTERS = 8,    /* two files rounded up, directory, entry, and its temporary name */
};

/* Figures come from documents: none may wrap. */
static uint64_t add(uint64_t a, uint64_t b)
{
	return a > INT64_MAX - MIN(b, (uint64_t) INT64_MAX) ? INT64_MAX : a + b;
}

static uint64_t times(uint64_t a, uint64_t b)
{
	return b != 0 && a > INT64_MAX / b ? INT64_MAX : a * b;
}

uint64_t ash_space_unpacked(uint64_t packed, uint64_t archive_bytes, uint64_t tree_bytes)
{
	if (archive_bytes == 0 || packed >= archive_bytes / 2)
		return tree_bytes;
	double ratio = (double) tree_bytes / (double) archive_bytes;
	double bytes = 2 * ratio * (double) packed;

	return bytes >= (double) tree_bytes ? tree_bytes : (uint64_t) bytes;
}

AshSpace ash_space_need(const AshSpacePlan *plan)
{
	uint64_t bytes = add(plan->object_bytes, plan->copy_bytes);
	AshSpace need = {0};

	/* An object takes half a block more than its bytes at the mean; one is counted. */
	bytes = add(bytes, times(plan->objects, BLOCK));
	bytes = add(bytes, times(plan->dirs, BLOCK));
	bytes = add(bytes, times(plan->files, NAME_BYTES));
	bytes = add(bytes, plan->etc_bytes);
	bytes = add(bytes, MAX(SLACK_BYTES, plan->root_bytes / 100 * RESERVE_PERCENT));
	need.root_bytes = bytes;
	need.root_inodes = add(add(plan->objects, plan->dirs), add(plan->etc_inodes, SLACK_INODES));
	need.esp_bytes = plan->boot_bytes == 0 ? 0 : plan->boot_bytes;
	need.esp_bytes = add(need.esp_bytes, times(plan->esp_cluster, ESP_CLUSTERS));
	return need;
}

static void shortage(GString *text, const char *where, uint64_t need_bytes, uint64_t free_bytes,
		uint64_t need_inodes, uint64_t free_inodes)
{
	g_autofree char *need = ash_text_size(need_bytes);
	g_autofree char *has = ash_text_size(free_bytes);

	if (need_bytes <= free_bytes && need_inodes <= free_inodes)
		return;
	g_string_append_printf(text, "%s%s needs %s (%" G_GUINT64_FORMAT " bytes)",
			text->len > 0 ? "; " : "", where, need, need_bytes);
	if (need_inodes > 0)
		g_string_append_printf(text, " and %" G_GUINT64_FORMAT " inodes", need_inodes);
	g_string_append_printf(text, ", has %s", has);
	if (need_inodes > 0)
		g_string_append_printf(text, " and %" G_GUINT64_FORMAT " inodes", free_inodes);
	g_string_append(text, ": free");
	if (need_bytes > free_bytes) {
		g_autofree char *more = ash_text_size(need_bytes - free_bytes);
		g_string_append_printf(text, " %s", more);
	}
	if (need_inodes > free_inodes)
		g_string_append_printf(text, "%s %" G_GUINT64_FORMAT " inodes",
				need_bytes > free_bytes ? " and" : "", need_inodes - free_inodes);
}

gboolean ash_space_check(const AshSpace *need, const AshSpace *free, GError **error)
{
	GString *text = g_string_new(NULL);

	shortage(text, "root", need->root_bytes, free->root_bytes, need->root_inodes,
			free->root_inodes);
	shortage(text, "the ESP", need->esp_bytes, free->esp_bytes, 0, 0);
	if (text->len > 0)
		ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_SPACE,
				"%s ('ashlarctl status' shows deployments that may go)", text->str);
	gboolean ok = text->len == 0;
	g_string_free(text, TRUE);
	return ok;
}
