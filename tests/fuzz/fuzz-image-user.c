/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/workload/image.h"

/* Who an image runs as: three parts with a NUL between them, "user:group" of its config, its passwd and its group. */

static GBytes *part(const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size > 0 ? memchr(*data, '\0', *size) : NULL;
	size_t length = end ? (size_t) (end - *data) : *size;
	/* A copy of this very size, so that reading behind it is seen. */
	GBytes *bytes = g_bytes_new(*data, length);

	*data += end ? length + 1 : length;
	*size -= end ? length + 1 : length;
	return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) who = part(&data, &size);
	g_autoptr(GBytes) passwd = part(&data, &size);
	g_autoptr(GBytes) group = part(&data, &size);
	size_t length = 0;
	const char *text = g_bytes_get_data(who, &length);
	/* No bytes are NULL. */
	g_autofree char *user = g_strndup(text ? text : "", length);
	g_autoptr(GError) error = NULL;
	uint32_t uid = UINT32_MAX, gid = UINT32_MAX;

	if (!ash_image_find_user(passwd, group, user, &uid, &gid, &error)) {
		g_assert_nonnull(error);
		return 0;
	}
	/* -1 would be "as it is" to the kernel. */
	g_assert_cmpuint(uid, !=, UINT32_MAX);
	g_assert_cmpuint(gid, !=, UINT32_MAX);
	if (ash_image_find_user(NULL, NULL, user, &uid, &gid, NULL))
		g_assert_true(uid != UINT32_MAX && gid != UINT32_MAX);
	return 0;
}
