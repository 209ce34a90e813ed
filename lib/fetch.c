/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/fetch-part.h"
#include "lib/fetch-session.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/text.h"

/* One thread drives a curl multi handle. An item is a Transfer, which goes through
 *
 *	QUEUED ──start──▸ RUNNING ──all bytes, right hash──▸ RECEIVED ──commit──▸ DONE
 *	   ▴                 │ may pass, or a next URI
 *	   └──── pause ◂─────┘
 *
 * Syncing. A file must not be seen under its name before its bytes are on the disk, or a power cut
 * leaves an empty file that looks whole. Done for each of 180 small files that is 180 waits for the
 * disk's cache. So received files wait, at most BATCH_MAX of them or BATCH_US long, and are then
 * committed together: writing is started for all, then each is synced (the first sync commits the
 * journal for the others, whose syncs find little left to do), and only then are they renamed. The
 * directory is not synced: a rename that is lost in a power cut leaves a whole .part file, from which
 * the next run goes on.
 */

G_DEFINE_QUARK(ash_fetch_error, ash_fetch_error)

enum {
	MAX_REDIRECTS = 5,
	BATCH_MAX = 16,
	BATCH_US = 100000,
	REPORT_US = 250000,
};

typedef enum {
	QUEUED,
	RUNNING,
	RECEIVED,
	DONE,
} TransferState;

typedef struct {
	AshFetchSession *session;
	const AshFetchItem *item; /* borrowed */
	size_t index;
	TransferState state;
	CURL *easy;                 /* RUNNING */
	struct curl_slist *headers; /* of easy */
	char curl_text[CURL_ERROR_SIZE];
	AshPart part;
	bool has_restarted; /* a resumed file was wrong once already */
	bool has_data;      /* this attempt's first byte came */
	bool is_paused;     /* until the pace allows more */
	size_t uri;         /* which of item->uris */
	unsigned tries;     /* at this URI */
	int64_t not_before_us;
	GError *error; /* why the write callback stopped */
} Transfer;

typedef struct {
	AshFetchSession *session;
	Transfer *transfers;
	size_t count;
	size_t done_count;
	size_t running_count;
	size_t received_count;
	int64_t received_since_us;
	unsigned parallel;
	AshFetchDone done;
	gpointer data;
	AshProgress *progress;
	uint64_t total_bytes; /* 0 when a size is unknown */
	bool keeps_received;  /* commits what is whole when another item failed */
} Run;

static const char *transfer_uri(const Transfer *t)
{
	return t->item->uris[t->uri];
}

static const char *transfer_what(const Transfer *t)
{
	return t->item->what != NULL ? t->item->what : "file";
}

static uint64_t transfer_max(const AshFetchItem *item)
{
	return item->size != 0 ? item->size : item->max_bytes;
}

static bool is_http(const Transfer *t)
{
	return g_ascii_strncasecmp(transfer_uri(t), "http", 4) == 0;
}

static void close_easy(Transfer *t)
{
	g_clear_pointer(&t->easy, curl_easy_cleanup);
	g_clear_pointer(&t->headers, curl_slist_free_all);
}

static void transfer_clear(Transfer *t)
{
	close_easy(t);
	ash_part_clear(&t->part);
	g_clear_error(&t->error);
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* The status is known when the first byte of the body comes. */
static gboolean check_first_byte(Transfer *t, GError **error)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (!is_http(t) || status == 206)
		return TRUE;
	if (status != 200)
		return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_HTTP, "HTTP status %ld",
				status);
	/* 200 in answer to a range request: the server sends all of it again. */
	return t->part.offset == 0 || ash_part_start_over(&t->part, error);
}

static gboolean throw_too_long(const Transfer *t, GError **error)
{
	g_autofree char *limit = ash_text_size(t->part.max_bytes);

	if (t->item->size != 0)
		return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_MISMATCH,
				"the server has more than the expected %" G_GUINT64_FORMAT " bytes",
				t->item->size);
	return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_TOO_BIG,
			"larger than the %s that are allowed", limit);
}

static gboolean receive(Transfer *t, const void *data, size_t size, GError **error)
{
	if (!t->has_data && !check_first_byte(t, error))
		return FALSE;
	t->has_data = true;
	if (size > t->part.max_bytes - t->part.offset)
		return throw_too_long(t, error);
	return ash_part_append(&t->part, data, size, error);
}

static size_t on_data(char *data, size_t size, size_t count, void *closure)
{
	Transfer *t = closure;
	AshFetchSession *session = t->session;

	size *= count;
	if (ash_fetch_pace_wait_us(&session->pace, g_get_monotonic_time()) > 0) {
		t->is_paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	ash_fetch_pace_take(&session->pace, size);
	session->received += size;
	if (size > session->budget) {
		ash_throw(&t->error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_TOO_BIG,
				"more bytes than all that was asked for can have");
		return 0;
	}
	session->budget -= session->budget == UINT64_MAX ? 0 : size;
	return receive(t, data, size, &t->error) ? size : 0;
}

#define SET(easy, option, value)                                                                   \
	do {                                                                                       \
		CURLcode set_code = curl_easy_setopt(easy, option, value);                         \
		g_assert(set_code == CURLE_OK);                                                    \
	} while (0)

static void set_rules(const AshFetchSession *session, const Transfer *t)
{
	CURL *easy = t->easy;
	bool is_https = g_ascii_strncasecmp(transfer_uri(t), "https:", 6) == 0;

	SET(easy, CURLOPT_PROTOCOLS_STR, session->is_http_only ? "http,https" : "http,https,file");
	SET(easy, CURLOPT_FOLLOWLOCATION, 1L);
	SET(easy, CURLOPT_REDIR_PROTOCOLS_STR, is_https ? "https" : "http,https");
	SET(easy, CURLOPT_MAXREDIRS, (long) MAX_REDIRECTS);
	SET(easy, CURLOPT_CONNECTTIMEOUT,
			MIN((long) ASH_FETCH_CONNECT_TIMEOUT_S, session->limits.stall_s));
	SET(easy, CURLOPT_LOW_SPEED_LIMIT, session->limits.stall_bytes_per_s);
	SET(easy, CURLOPT_LOW_SPEED_TIME, session->limits.stall_s);
	/* Refused by its header, before a byte of the body is read. */
	SET(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t) MIN(t->part.max_bytes, G_MAXINT64));
	ash_fetch_session_set_rules(session, easy);
}

static void set_options(Transfer *t)
{
	CURL *easy = t->easy;

	SET(easy, CURLOPT_URL, transfer_uri(t));
	SET(easy, CURLOPT_PRIVATE, t);
	SET(easy, CURLOPT_WRITEFUNCTION, on_data);
	SET(easy, CURLOPT_WRITEDATA, t);
	SET(easy, CURLOPT_ERRORBUFFER, t->curl_text);
	SET(easy, CURLOPT_FAILONERROR, 1L);
	set_rules(t->session, t);
	if (t->item->authorization != NULL) {
		/* curl keeps a header of this name to the first host, unless CURLOPT_UNRESTRICTED_AUTH. */
		g_autofree char *header =
				g_strconcat("Authorization: ", t->item->authorization, NULL);
		g_assert(strpbrk(header, "\r\n") == NULL);
		t->headers = curl_slist_append(NULL, header);
		SET(easy, CURLOPT_HTTPHEADER, t->headers);
	}
	if (t->part.offset > 0) {
		/* Not CURLOPT_RESUME_FROM, which fails where the server sends all of it. */
		g_autofree char *range = g_strdup_printf("%" G_GUINT64_FORMAT "-", t->part.offset);
		SET(easy, CURLOPT_RANGE, range);
	}
}

/* ---- outcome --------------------------------------------------------------------------------- */

/* May another try at the same URI do better? */
static bool may_pass(const GError *error, long status)
{
	if (error->domain != ASH_FETCH_ERROR)
		return false;
	switch ((AshFetchError) error->code) {
	case ASH_FETCH_ERROR_OFFLINE:
	case ASH_FETCH_ERROR_TIMEOUT:
		return true;
	case ASH_FETCH_ERROR_HTTP:
		return status >= 500 || status == 429 || status == 408;
	case ASH_FETCH_ERROR_GONE:
	case ASH_FETCH_ERROR_TLS:
	case ASH_FETCH_ERROR_TOO_BIG:
	case ASH_FETCH_ERROR_MISMATCH:
	case ASH_FETCH_ERROR_FAILED:
	case ASH_FETCH_ERROR_DEADLINE:
		break;
	}
	return false;
}

static gboolean throw_curl(const Transfer *t, CURLcode code, long status, GError **error)
{
	AshFetchError kind = ash_fetch_translate((int) code, status);
	curl_off_t connect_us = 0;

	curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
	if (kind == ASH_FETCH_ERROR_TIMEOUT && connect_us == 0)
		return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_OFFLINE,
				"no connection came about in time");
	if (kind == ASH_FETCH_ERROR_TOO_BIG && t->item->size != 0)
		return throw_too_long(t, error);
	if (kind == ASH_FETCH_ERROR_TIMEOUT)
		return ash_throw(error, ASH_FETCH_ERROR, (int) kind,
				"the server stalled (%s), after %" G_GUINT64_FORMAT " bytes",
				t->curl_text[0] != '\0' ? t->curl_text : curl_easy_strerror(code),
				t->part.offset);
	if (code == CURLE_HTTP_RETURNED_ERROR)
		return ash_throw(error, ASH_FETCH_ERROR, (int) kind, "HTTP status %ld%s", status,
				kind == ASH_FETCH_ERROR_GONE ? " (not there)" : "");
	return ash_throw(error, ASH_FETCH_ERROR, (int) kind, "%s",
			t->curl_text[0] != '\0' ? t->curl_text : curl_easy_strerror(code));
}

/* All bytes that the server wanted to send are there. */
static gboolean check_whole(Transfer *t, GError **error)
{
	curl_off_t length = 0;

	/* Only a server that says no length can end early without curl's noticing. */
	if (t->easy != NULL)
		curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (length < 0 && t->item->size != 0 && t->part.offset < t->item->size)
		return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_OFFLINE,
				"the connection ended after %" G_GUINT64_FORMAT
				" of %" G_GUINT64_FORMAT " bytes",
				t->part.offset, t->item->size);
	if (t->item->size != 0 && t->part.offset != t->item->size)
		return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_MISMATCH,
				"has %" G_GUINT64_FORMAT " bytes instead of %" G_GUINT64_FORMAT,
				t->part.offset, t->item->size);
	if (t->part.hash == NULL)
		return TRUE;
	uint8_t digest[ASH_SHA256_BYTES];
	ash_sha256_finish(g_steal_pointer(&t->part.hash), digest);
	g_autofree char *hex = ash_sha256_format(digest);
	if (g_ascii_strcasecmp(hex, t->item->sha256) == 0)
		return TRUE;
	return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_MISMATCH,
			"has the SHA-256 %s instead of %s", hex, t->item->sha256);
}

static void mark_received(Run *run, Transfer *t)
{
	t->state = RECEIVED;
	if (run->received_count++ == 0)
		run->received_since_us = g_get_monotonic_time();
}

/* A half that was left here may be of another file, or the range of another version. */
static bool blame_resumption(const Transfer *t, const GError *error, long status)
{
	if (t->part.resumed_at == 0 || t->has_restarted)
		return false;
	return g_error_matches(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_MISMATCH) || status == 416 ||
	       g_error_matches(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_FAILED);
}

/* Decides what follows a failed attempt: another one, from the same or the next URI, or the end. */
static gboolean attempt_failed(
		Run *run, Transfer *t, long status, GError *take_failure, GError **error)
{
	g_autoptr(GError) failure = take_failure;
	bool is_mismatch = g_error_matches(failure, ASH_FETCH_ERROR, ASH_FETCH_ERROR_MISMATCH);

	t->state = QUEUED;
	t->not_before_us = 0;
	if (blame_resumption(t, failure, status)) {
		t->has_restarted = true;
		return ash_part_start_over(&t->part, error);
	}
	if (may_pass(failure, status) && ++t->tries < run->session->limits.max_tries) {
		t->not_before_us = g_get_monotonic_time() +
				   (run->session->limits.first_pause_us << (2 * (t->tries - 1)));
	} else if (failure->domain == ASH_FETCH_ERROR && t->item->uris[t->uri + 1] != NULL) {
		t->uri++;
		t->tries = 0;
	} else {
		if (is_mismatch)
			ash_part_remove(&t->part);
		g_autofree char *uri = ash_fetch_printable_uri(transfer_uri(t));
		g_propagate_prefixed_error(error, g_steal_pointer(&failure),
				"fetching %s from '%s': ", transfer_what(t), uri);
		return FALSE;
	}
	if (is_mismatch || t->item->sha256 == NULL)
		return ash_part_start_over(&t->part, error);
	t->part.resumed_at = t->part.offset;
	return TRUE;
}

static gboolean attempt_ended(Run *run, Transfer *t, CURLcode code, GError **error)
{
	g_autoptr(GError) failure = NULL;
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (t->error != NULL)
		failure = g_steal_pointer(&t->error);
	else if (code != CURLE_OK ? throw_curl(t, code, status, &failure)
				  : check_whole(t, &failure))
		mark_received(run, t);
	curl_multi_remove_handle(run->session->multi, t->easy);
	close_easy(t);
	run->running_count--;
	if (failure == NULL)
		return TRUE;
	return attempt_failed(run, t, status, g_steal_pointer(&failure), error);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static gboolean start(Run *run, Transfer *t, GError **error)
{
	if (!ash_part_open(&t->part, error))
		return FALSE;
	if (t->item->size != 0 && t->part.offset == t->item->size) {
		g_autoptr(GError) local = NULL;
		if (check_whole(t, &local)) {
			mark_received(run, t);
			return TRUE;
		}
		if (!ash_part_start_over(&t->part, error))
			return FALSE;
	}
	t->easy = curl_easy_init();
	g_assert(t->easy != NULL);
	t->has_data = false;
	t->is_paused = false;
	t->curl_text[0] = '\0';
	set_options(t);
	CURLMcode code = curl_multi_add_handle(run->session->multi, t->easy);
	g_assert(code == CURLM_OK);
	t->state = RUNNING;
	run->running_count++;
	return TRUE;
}

static gboolean start_due(Run *run, GError **error)
{
	int64_t now_us = g_get_monotonic_time();

	for (size_t i = 0; i < run->count && run->running_count < run->parallel; i++) {
		Transfer *t = &run->transfers[i];
		if (t->state == QUEUED && t->not_before_us <= now_us && !start(run, t, error))
			return FALSE;
	}
	return TRUE;
}

/* When the next queued transfer may start; 0: at once. */
static int64_t next_start_us(const Run *run)
{
	int64_t next_us = G_MAXINT64;

	for (size_t i = 0; i < run->count && run->running_count < run->parallel; i++)
		if (run->transfers[i].state == QUEUED)
			next_us = MIN(next_us, run->transfers[i].not_before_us);
	return next_us;
}

static gboolean collect(Run *run, GError **error)
{
	int left = 0;
	CURLMsg *message = NULL;

	while ((message = curl_multi_info_read(run->session->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;
		char *private = NULL;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		if (!attempt_ended(run, (Transfer *) (void *) private, code, error))
			return FALSE;
	}
	return TRUE;
}

/* See "Syncing" above for the order. */
static gboolean commit_received(Run *run, GError **error)
{
	for (size_t i = 0; i < run->count; i++) {
		Transfer *t = &run->transfers[i];
		/* Only a beginning; a file system without it loses nothing. */
		if (t->state == RECEIVED && t->part.fd >= 0 &&
				sync_file_range(t->part.fd, 0, 0, SYNC_FILE_RANGE_WRITE) < 0)
			break;
	}
	for (size_t i = 0; i < run->count; i++) {
		Transfer *t = &run->transfers[i];
		if (t->state == RECEIVED && t->part.fd >= 0 && fdatasync(t->part.fd) < 0)
			return ash_throw_errno(error, "%s", t->part.path);
	}
	for (size_t i = 0; i < run->count; i++) {
		Transfer *t = &run->transfers[i];
		if (t->state != RECEIVED)
			continue;
		if (t->part.fd >= 0 && rename(t->part.path, t->item->dest) < 0)
			return ash_throw_errno(error, "rename(%s)", t->part.path);
		ash_part_close(&t->part);
		t->state = DONE;
		run->received_count--;
		run->done_count++;
		if (run->done != NULL && !run->done(t->index, run->data, error))
			return FALSE;
	}
	return TRUE;
}

static bool batch_is_due(const Run *run)
{
	if (run->received_count == 0)
		return false;
	return run->running_count == 0 || run->received_count >= BATCH_MAX ||
	       g_get_monotonic_time() - run->received_since_us >= BATCH_US;
}

/* Lets those go on that had to wait for the pace; some may have to wait again at once. */
static void resume_paused(Run *run)
{
	if (ash_fetch_pace_wait_us(&run->session->pace, g_get_monotonic_time()) > 0)
		return;
	for (size_t i = 0; i < run->count; i++) {
		Transfer *t = &run->transfers[i];
		if (!t->is_paused || t->easy == NULL)
			continue;
		t->is_paused = false;
		curl_easy_pause(t->easy, CURLPAUSE_CONT);
	}
}

static void report(const Run *run)
{
	AshFetchSession *session = run->session;
	int64_t now_us = g_get_monotonic_time();
	uint64_t bytes = 0;

	if (session->on_bytes != NULL && now_us - session->reported_us >= REPORT_US) {
		session->reported_us = now_us;
		session->on_bytes(session->received, session->data);
	}
	if (run->progress == NULL)
		return;
	for (size_t i = 0; i < run->count; i++) {
		const Transfer *t = &run->transfers[i];
		bytes += t->state == DONE && t->item->size != 0 ? t->item->size : t->part.offset;
	}
	if (run->total_bytes != 0)
		ash_progress_update(
				run->progress, bytes, run->total_bytes, ASH_PROGRESS_UNIT_BYTES);
	else
		ash_progress_update(run->progress, run->done_count, run->count,
				ASH_PROGRESS_UNIT_ITEMS);
}

static void wait_for_something(const Run *run)
{
	struct curl_waitfd interrupt = {.fd = ash_interrupt_fd(), .events = CURL_WAIT_POLLIN};
	int64_t now_us = g_get_monotonic_time();
	int64_t until_us = now_us + G_USEC_PER_SEC;
	int64_t pace_us = ash_fetch_pace_wait_us(&run->session->pace, now_us);

	if (pace_us > 0)
		until_us = MIN(until_us, now_us + pace_us);
	if (run->received_count > 0)
		until_us = MIN(until_us, run->received_since_us + BATCH_US);
	until_us = MIN(until_us, next_start_us(run));
	int64_t wait_ms = (until_us - g_get_monotonic_time() + 999) / 1000;
	curl_multi_poll(run->session->multi, &interrupt, interrupt.fd >= 0 ? 1 : 0,
			(int) MAX(wait_ms, 0), NULL);
}

static gboolean check_deadline(const AshFetchSession *session, GError **error)
{
	if (g_get_monotonic_time() < session->deadline_us)
		return TRUE;
	return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_DEADLINE,
			"not all was there after %" G_GINT64_FORMAT " s",
			(session->deadline_us - session->started_us) / G_USEC_PER_SEC);
}

static gboolean loop(Run *run, GError **error)
{
	while (run->done_count < run->count) {
		int running = 0;
		if (!ash_interrupt_check(error) || !check_deadline(run->session, error) ||
				!start_due(run, error))
			return FALSE;
		resume_paused(run);
		CURLMcode code = curl_multi_perform(run->session->multi, &running);
		g_assert(code == CURLM_OK);
		if (!collect(run, error))
			return FALSE;
		if (batch_is_due(run) && !commit_received(run, error))
			return FALSE;
		report(run);
		if (run->done_count < run->count)
			wait_for_something(run);
	}
	return TRUE;
}

static gboolean run_transfers(Run *run, GError **error)
{
	gboolean is_ok = loop(run, error);
	/* What is whole is not lost with what failed. */
	g_autoptr(GError) local = NULL;
	if (!is_ok && run->keeps_received && !commit_received(run, &local))
		g_debug("%s", local->message);
	for (size_t i = 0; i < run->count; i++) {
		Transfer *t = &run->transfers[i];
		if (t->easy != NULL)
			curl_multi_remove_handle(run->session->multi, t->easy);
		transfer_clear(t);
	}
	return is_ok;
}

/* ---- runs ----------------------------------------------------------------------------------- */

static gboolean run_items(AshFetchSession *session, const AshFetchItem *items, size_t count,
		unsigned parallel, AshFetchDone done, gpointer data, AshProgress *progress,
		bool keeps_received, GError **error)
{
	g_autofree Transfer *transfers = g_new0(Transfer, count);
	Run run = {.session = session,
			.transfers = transfers,
			.count = count,
			.parallel = parallel != 0 ? parallel : ASH_FETCH_PARALLEL,
			.done = done,
			.data = data,
			.progress = progress,
			.keeps_received = keeps_received};
	bool has_all_sizes = true;

	for (size_t i = 0; i < count; i++) {
		g_assert(items[i].uris != NULL && items[i].uris[0] != NULL);
		g_assert(items[i].size != 0 || items[i].max_bytes != 0);
		transfers[i] = (Transfer){.session = session,
				.item = &items[i],
				.index = i,
				.part = {.dest = items[i].dest,
						.sha256 = items[i].sha256,
						.max_bytes = transfer_max(&items[i]),
						.fd = -1}};
		has_all_sizes = has_all_sizes && items[i].size != 0;
		run.total_bytes += items[i].size;
	}
	if (!has_all_sizes)
		run.total_bytes = 0;
	return run_transfers(&run, error);
}

gboolean ash_fetch_session_run(AshFetchSession *session, const AshFetchItem *items, size_t count,
		unsigned parallel, AshFetchDone done, gpointer data, GError **error)
{
	return run_items(session, items, count, parallel, done, data, NULL, true, error);
}

gboolean ash_fetch_run(const AshFetchItem *items, size_t count, unsigned parallel,
		AshFetchDone done, gpointer data, AshProgress *progress, GError **error)
{
	g_autoptr(AshFetchSession) session = NULL;

	if (!ash_fetch_session_new(&(AshFetchOptions){0}, &session, error))
		return FALSE;
	return run_items(session, items, count, parallel, done, data, progress, false, error);
}

gboolean ash_fetch_session_bytes(AshFetchSession *session, const char *uri, size_t max_bytes,
		GBytes **out_bytes, GError **error)
{
	g_autoptr(GByteArray) memory = g_byte_array_new();
	const char *const uris[] = {uri, NULL};
	const AshFetchItem item = {.uris = uris, .max_bytes = MIN(max_bytes, G_MAXINT32)};
	Transfer transfer = {.session = session,
			.item = &item,
			.part = {.memory = memory, .max_bytes = item.max_bytes, .fd = -1}};
	Run run = {.session = session, .transfers = &transfer, .count = 1, .parallel = 1};

	if (!run_transfers(&run, error))
		return FALSE;
	/* Text is NUL-terminated behind its end, as ash_file_read has it. */
	g_byte_array_append(memory, (const guint8 *) "", 1);
	memory->len--;
	*out_bytes = g_byte_array_free_to_bytes(g_steal_pointer(&memory));
	return TRUE;
}

gboolean ash_fetch_bytes(const char *uri, size_t max_bytes, GBytes **out_bytes, GError **error)
{
	g_autoptr(AshFetchSession) session = NULL;

	if (!ash_fetch_session_new(&(AshFetchOptions){0}, &session, error))
		return FALSE;
	return ash_fetch_session_bytes(session, uri, max_bytes, out_bytes, error);
}
