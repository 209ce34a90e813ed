/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/image-ahead.h"

#include <stdbool.h>
#include <string.h>

enum {
	PIECES = 8,
	PIECE_BYTES = ASH_IMAGE_AHEAD_BYTES / PIECES,
};

struct AshImageAhead {
	AshArchiveSource source;
	gpointer data;
	GThread *thread;
	/* Of the source's last buffer: what did not go into a piece yet. The thread's alone. */
	const char *rest;
	size_t rest_size;
	/* All below is under the lock; pieces that are counted are the reader's, others the thread's. */
	GMutex lock;
	GCond changed;
	char *pieces[PIECES];
	size_t sizes[PIECES];
	unsigned first, count;
	bool is_held; /* the reader has the first piece in its hands */
	bool is_ended, is_stopped;
	GError *error;
};

/* ---- the thread ---------------------------------------------------------------------------------- */

/* *out_is_last: nothing comes behind it. */
static size_t fill(AshImageAhead *ahead, char *piece, bool *out_is_last, GError **error)
{
	size_t size = 0;

	*out_is_last = false;
	while (size < PIECE_BYTES) {
		if (ahead->rest_size == 0) {
			const void *data = NULL;
			if (!ahead->source(ahead->data, &data, &ahead->rest_size, error)) {
				ahead->rest_size = 0;
				*out_is_last = true;
				break;
			}
			ahead->rest = data;
		}
		if (ahead->rest_size == 0) {
			*out_is_last = true;
			break;
		}
		size_t n = MIN(ahead->rest_size, PIECE_BYTES - size);
		memcpy(piece + size, ahead->rest, n);
		ahead->rest += n;
		ahead->rest_size -= n;
		size += n;
	}
	return size;
}

static gpointer run(gpointer data)
{
	AshImageAhead *ahead = data;

	g_mutex_lock(&ahead->lock);
	while (!ahead->is_ended && !ahead->is_stopped) {
		if (ahead->count == PIECES) {
			g_cond_wait(&ahead->changed, &ahead->lock);
			continue;
		}
		unsigned at = (ahead->first + ahead->count) % PIECES;
		GError *error = NULL;
		bool is_last = false;
		g_mutex_unlock(&ahead->lock);
		size_t size = fill(ahead, ahead->pieces[at], &is_last, &error);
		g_mutex_lock(&ahead->lock);
		ahead->sizes[at] = size;
		ahead->count += size > 0;
		ahead->is_ended = is_last;
		ahead->error = error;
		g_cond_signal(&ahead->changed);
	}
	g_mutex_unlock(&ahead->lock);
	return NULL;
}

/* ---- the reader ---------------------------------------------------------------------------------- */

gboolean ash_image_ahead_new(
		AshArchiveSource source, gpointer data, AshImageAhead **out_ahead, GError **error)
{
	AshImageAhead *ahead = g_new0(AshImageAhead, 1);

	ahead->source = source;
	ahead->data = data;
	for (unsigned i = 0; i < PIECES; i++)
		ahead->pieces[i] = g_malloc(PIECE_BYTES);
	g_mutex_init(&ahead->lock);
	g_cond_init(&ahead->changed);
	ahead->thread = g_thread_try_new("ahead", run, ahead, error);
	if (ahead->thread == NULL) {
		ash_image_ahead_free(ahead);
		return FALSE;
	}
	*out_ahead = ahead;
	return TRUE;
}

void ash_image_ahead_free(AshImageAhead *ahead)
{
	if (ahead == NULL)
		return;
	if (ahead->thread != NULL) {
		g_mutex_lock(&ahead->lock);
		ahead->is_stopped = true;
		g_cond_signal(&ahead->changed);
		g_mutex_unlock(&ahead->lock);
		g_thread_join(ahead->thread);
	}
	for (unsigned i = 0; i < PIECES; i++)
		g_free(ahead->pieces[i]);
	g_clear_error(&ahead->error);
	g_mutex_clear(&ahead->lock);
	g_cond_clear(&ahead->changed);
	g_free(ahead);
}

/* Under the lock. */
static gboolean next_piece(
		AshImageAhead *ahead, const void **out_data, size_t *out_size, GError **error)
{
	if (ahead->is_held) {
		ahead->is_held = false;
		ahead->first = (ahead->first + 1) % PIECES;
		ahead->count--;
		g_cond_signal(&ahead->changed);
	}
	while (ahead->count == 0 && !ahead->is_ended)
		g_cond_wait(&ahead->changed, &ahead->lock);
	*out_size = 0;
	if (ahead->count > 0) {
		ahead->is_held = true;
		*out_data = ahead->pieces[ahead->first];
		*out_size = ahead->sizes[ahead->first];
	} else if (ahead->error != NULL) {
		g_propagate_error(error, g_error_copy(ahead->error));
		return FALSE;
	}
	return TRUE;
}

gboolean ash_image_ahead_source(
		gpointer data, const void **out_data, size_t *out_size, GError **error)
{
	AshImageAhead *ahead = data;

	g_mutex_lock(&ahead->lock);
	gboolean ok = next_piece(ahead, out_data, out_size, error);
	g_mutex_unlock(&ahead->lock);
	return ok;
}
