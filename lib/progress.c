/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/progress.h"

#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/text.h"

enum {
	UPDATE_INTERVAL_US = 100000,
	STEP_WIDTH = 10,
	BAR_WIDTH = 24,
	DEFAULT_COLUMNS = 80,
};

struct AshProgress {
	GMutex lock;
	AshProgressMode mode;
	bool is_terminal;
	bool has_line; /* a bar stands on the current terminal line */
	char *step;    /* NULL between steps */
	char *text;
	gint64 begin_us;
	gint64 update_us;
};

AshProgress *ash_progress_new(AshProgressMode mode)
{
	AshProgress *progress = g_new0(AshProgress, 1);

	g_mutex_init(&progress->lock);
	progress->mode = mode;
	progress->is_terminal = mode == ASH_PROGRESS_AUTO && isatty(STDERR_FILENO) != 0;
	if (mode == ASH_PROGRESS_AUTO && g_strcmp0(g_getenv("TERM"), "dumb") == 0)
		progress->is_terminal = false;
	return progress;
}

static void clear_line(AshProgress *progress)
{
	if (progress->has_line)
		fputs("\r\033[K", stderr);
	progress->has_line = false;
}

void ash_progress_free(AshProgress *progress)
{
	if (progress == NULL)
		return;
	clear_line(progress);
	g_free(progress->step);
	g_free(progress->text);
	g_mutex_clear(&progress->lock);
	g_free(progress);
}

bool ash_progress_is_json(const AshProgress *progress)
{
	return progress != NULL && progress->mode == ASH_PROGRESS_JSON;
}

/* Takes the builder's open object, closes it, prints it on a line of its own. */
static void print_json(JsonBuilder *builder)
{
	g_autoptr(JsonGenerator) generator = json_generator_new();

	json_builder_end_object(builder);
	g_autoptr(JsonNode) root = json_builder_get_root(builder);
	json_generator_set_root(generator, root);
	g_autofree char *line = json_generator_to_data(generator, NULL);
	fprintf(stderr, "%s\n", line);
}

static JsonBuilder *begin_json(const char *event)
{
	JsonBuilder *builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_string(builder, "event", event);
	return builder;
}

static void end_locked(AshProgress *progress, const char *result)
{
	if (progress->step == NULL)
		return;
	gint64 took_us = g_get_monotonic_time() - progress->begin_us;
	if (progress->mode == ASH_PROGRESS_JSON) {
		g_autoptr(JsonBuilder) builder = begin_json("done");
		ash_json_add_string(builder, "step", progress->step);
		ash_json_add_string(builder, "result", result);
		json_builder_set_member_name(builder, "seconds");
		json_builder_add_double_value(builder, (double) took_us / 1e6);
		print_json(builder);
	} else if (progress->mode != ASH_PROGRESS_QUIET) {
		g_autofree char *took = ash_text_duration(took_us);
		clear_line(progress);
		fprintf(stderr, "%-*s %s (%s)\n", STEP_WIDTH, progress->step, result, took);
	}
	g_clear_pointer(&progress->step, g_free);
	g_clear_pointer(&progress->text, g_free);
}

static void draw_bar(AshProgress *progress, uint64_t done, uint64_t total, AshProgressUnit unit)
{
	struct winsize size = {0};
	int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0
				      ? size.ws_col
				      : DEFAULT_COLUMNS;
	g_autofree char *tail = NULL;

	if (total > 0) {
		int filled = (int) (MIN(done, total) * BAR_WIDTH / total);
		g_autofree char *bar = g_strnfill(BAR_WIDTH, ' ');
		memset(bar, '#', (size_t) filled);
		g_autofree char *a = unit == ASH_PROGRESS_UNIT_BYTES
						     ? ash_text_size(done)
						     : g_strdup_printf("%" G_GUINT64_FORMAT, done);
		g_autofree char *b = unit == ASH_PROGRESS_UNIT_BYTES
						     ? ash_text_size(total)
						     : g_strdup_printf("%" G_GUINT64_FORMAT, total);
		tail = g_strdup_printf(" [%s] %s/%s", bar, a, b);
	} else {
		tail = g_strdup("");
	}
	g_autofree char *line =
			g_strdup_printf("%-*s %s", STEP_WIDTH, progress->step, progress->text);
	int room = columns - 1 - (int) strlen(tail);
	if (room < STEP_WIDTH)
		room = STEP_WIDTH;
	clear_line(progress);
	fprintf(stderr, "%.*s%s", room, line, tail);
	fflush(stderr);
	progress->has_line = true;
}

void ash_progress_begin(AshProgress *progress, const char *step, const char *text)
{
	if (progress == NULL)
		return;
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&progress->lock);
	end_locked(progress, "done");
	progress->step = g_strdup(step);
	progress->text = g_strdup(text);
	progress->begin_us = g_get_monotonic_time();
	progress->update_us = 0;
	if (progress->mode == ASH_PROGRESS_JSON) {
		g_autoptr(JsonBuilder) builder = begin_json("step");
		ash_json_add_string(builder, "step", step);
		ash_json_add_string(builder, "text", text);
		print_json(builder);
	} else if (progress->is_terminal) {
		draw_bar(progress, 0, 0, ASH_PROGRESS_UNIT_ITEMS);
	}
}

void ash_progress_update(AshProgress *progress, uint64_t done, uint64_t total, AshProgressUnit unit)
{
	if (progress == NULL)
		return;
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&progress->lock);
	gint64 now_us = g_get_monotonic_time();
	if (progress->step == NULL || now_us - progress->update_us < UPDATE_INTERVAL_US)
		return;
	progress->update_us = now_us;
	if (progress->mode == ASH_PROGRESS_JSON) {
		g_autoptr(JsonBuilder) builder = begin_json("progress");
		ash_json_add_string(builder, "step", progress->step);
		ash_json_add_int(builder, "done", (gint64) done);
		ash_json_add_int(builder, "total", (gint64) total);
		ash_json_add_string(builder, "unit",
				unit == ASH_PROGRESS_UNIT_BYTES ? "bytes" : "items");
		print_json(builder);
	} else if (progress->is_terminal) {
		draw_bar(progress, done, total, unit);
	}
}

void ash_progress_end(AshProgress *progress, const char *format, ...)
{
	va_list args;

	if (progress == NULL)
		return;
	va_start(args, format);
	g_autofree char *result = g_strdup_vprintf(format, args);
	va_end(args);
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&progress->lock);
	end_locked(progress, result);
}

static void say(AshProgress *progress, const char *kind, const char *prefix, const char *text)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&progress->lock);
	if (progress->mode == ASH_PROGRESS_JSON) {
		g_autoptr(JsonBuilder) builder = begin_json(kind);
		ash_json_add_string(builder, "text", text);
		print_json(builder);
		return;
	}
	clear_line(progress);
	fprintf(stderr, "%s%s\n", prefix, text);
}

void ash_progress_note(AshProgress *progress, const char *format, ...)
{
	va_list args;

	if (progress == NULL || progress->mode == ASH_PROGRESS_QUIET)
		return;
	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	say(progress, "note", "", text);
}

void ash_progress_warn(AshProgress *progress, const char *format, ...)
{
	va_list args;

	if (progress == NULL)
		return;
	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	say(progress, "warning", "warning: ", text);
}

void ash_progress_error(
		AshProgress *progress, const char *program, const GError *error, int exit_code)
{
	if (!ash_progress_is_json(progress)) {
		if (progress != NULL)
			clear_line(progress);
		fprintf(stderr, "%s: %s\n", program, error->message);
		return;
	}
	g_autoptr(JsonBuilder) builder = begin_json("error");
	ash_json_add_string(builder, "domain", g_quark_to_string(error->domain));
	ash_json_add_int(builder, "code", error->code);
	ash_json_add_string(builder, "text", error->message);
	ash_json_add_int(builder, "exit", exit_code);
	print_json(builder);
}
