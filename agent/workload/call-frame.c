/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/call-frame.h"

#include <string.h>

#include "agent/workload/call-policy.h"

static uint32_t get_u32(const uint8_t *data)
{
	return data[0] | (uint32_t) data[1] << 8 | (uint32_t) data[2] << 16 |
	       (uint32_t) data[3] << 24;
}

static void add_u32(GByteArray *buffer, uint32_t value)
{
	guint8 bytes[] = {(guint8) value, (guint8) (value >> 8), (guint8) (value >> 16),
			(guint8) (value >> 24)};

	g_byte_array_append(buffer, bytes, sizeof bytes);
}

void ash_call_frame_add(GByteArray *buffer, AshCallFrameKind kind, const void *data, size_t size)
{
	g_assert(size <= ASH_CALL_FRAME_MAX_BYTES);
	add_u32(buffer, kind);
	add_u32(buffer, (uint32_t) size);
	if (size > 0)
		g_byte_array_append(buffer, data, (guint) size);
}

AshCallFrameState ash_call_frame_take(const uint8_t *data, size_t size, AshCallFrame *out_frame)
{
	if (size < ASH_CALL_FRAME_HEADER_BYTES)
		return ASH_CALL_FRAME_MORE;
	uint32_t kind = get_u32(data);
	uint32_t length = get_u32(data + 4);
	if (kind < ASH_CALL_FRAME_CALL || kind > ASH_CALL_FRAME_EXIT ||
			length > ASH_CALL_FRAME_MAX_BYTES)
		return ASH_CALL_FRAME_WRONG;
	if (size - ASH_CALL_FRAME_HEADER_BYTES < length)
		return ASH_CALL_FRAME_MORE;
	*out_frame = (AshCallFrame){.kind = (AshCallFrameKind) kind,
			.data = data + ASH_CALL_FRAME_HEADER_BYTES,
			.size = length};
	return ASH_CALL_FRAME_WHOLE;
}

/* The text that @at begins with, up to its NUL; NULL when that is missing. */
static const char *take_text(const uint8_t **at, const uint8_t *end)
{
	const char *text = (const char *) *at;
	const uint8_t *nul = *at < end ? memchr(*at, '\0', (size_t) (end - *at)) : NULL;

	if (!nul)
		return NULL;
	*at = nul + 1;
	return text;
}

bool ash_call_frame_read_call(const AshCallFrame *frame, const char **out_service,
		const char **out_argument, const char **out_target)
{
	const uint8_t *at = frame->data;
	const uint8_t *end = frame->data + frame->size;

	const char *service = take_text(&at, end);
	const char *argument = service ? take_text(&at, end) : NULL;
	const char *target = argument ? take_text(&at, end) : NULL;
	if (frame->kind != ASH_CALL_FRAME_CALL || !target || at != end ||
			!ash_call_is_name(service) ||
			(argument[0] != '\0' && !ash_call_is_name(argument)) ||
			(target[0] != '\0' && !ash_call_is_name(target)))
		return false;
	*out_service = service;
	*out_argument = argument;
	*out_target = target;
	return true;
}
