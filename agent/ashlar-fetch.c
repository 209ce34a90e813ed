/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/order.h"
#include "agent/paths.h"
#include "agent/pull-object.h"
#include "agent/pull.h"
#include "agent/source.h"
#include "agent/staging.h"
#include "agent/workload/registry-auth.h"
#include "agent/workload/registry.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/fetch.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/json.h"
#include "lib/oci.h"
#include "lib/tuf.h"

/* ashlar-fetch(8), run by ashlar-link: carries out one order (agent/order.h) and ends. With the argument `image` it
 * brings an image for a workload (agent/workload/registry-order.h), for ashlar-workloadd.
 */

enum {
	CHECK_DEADLINE_S = 600,
	FETCH_DEADLINE_S =
			1800, /* and the time that all bytes need at the least rate that is fine: */
	FINE_BYTES_PER_S = 4096,
	LOW_SPEED_S = 20, /* with two tries, 60 s until a server that is too slow is left */
	TRIES = 2,
	PROGRESS_US = G_USEC_PER_SEC,
	EXIT_USAGE = 2,
};

static char *staging_path = NULL;
static char *sysroot_path = NULL;
static char *root_json_path = NULL;
static gboolean wants_version = FALSE;
static bool wants_image = false;

typedef struct {
	uint64_t total;
	int64_t printed_us;
} Progress;

static void print_line(char *take_line)
{
	g_autofree char *line = take_line;

	fputs(line, stdout);
	fflush(stdout);
}

static void on_bytes(uint64_t received, gpointer data)
{
	Progress *progress = data;
	int64_t now_us = g_get_monotonic_time();

	if (now_us - progress->printed_us < PROGRESS_US)
		return;
	progress->printed_us = now_us;
	print_line(ash_order_format_progress(received, MAX(progress->total, received)));
}

/* ---- results --------------------------------------------------------------------------------- */

typedef struct {
	const char *word;
	bool may_pass;
} Verdict;

static Verdict judge_fetch(AshFetchError code)
{
	switch (code) {
	case ASH_FETCH_ERROR_OFFLINE:
		return (Verdict){"offline", true};
	case ASH_FETCH_ERROR_TIMEOUT:
		return (Verdict){"slow", true};
	case ASH_FETCH_ERROR_DEADLINE:
		return (Verdict){"timeout", true};
	case ASH_FETCH_ERROR_HTTP:
		return (Verdict){"http", true};
	case ASH_FETCH_ERROR_GONE:
		return (Verdict){"gone", true};
	case ASH_FETCH_ERROR_TLS:
		return (Verdict){"tls", true};
	case ASH_FETCH_ERROR_TOO_BIG:
		return (Verdict){"too-big", false};
	case ASH_FETCH_ERROR_MISMATCH:
		return (Verdict){"mismatch", true};
	case ASH_FETCH_ERROR_FAILED:
		break;
	}
	return (Verdict){"failed", true};
}

static Verdict judge(const GError *error)
{
	if (error->domain == ASH_FETCH_ERROR)
		return judge_fetch((AshFetchError) error->code);
	if (g_error_matches(error, ASH_TUF_ERROR, ASH_TUF_ERROR_MISSING))
		return (Verdict){"gone", true};
	if (error->domain == ASH_TUF_ERROR || error->domain == ASH_TARGET_ERROR)
		return (Verdict){"untrusted", true};
	if (g_error_matches(error, ASH_REGISTRY_AUTH_ERROR, ASH_REGISTRY_AUTH_ERROR_DENIED))
		return (Verdict){"denied", false};
	/* JSON that is none is the registry's when an image is asked for, else the order's own. */
	if (error->domain == ASH_OCI_ERROR || (wants_image && error->domain == ASH_JSON_ERROR))
		return (Verdict){"image", false};
	if (error->domain == ASH_PULL_ERROR ||
			g_error_matches(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_TOO_BIG))
		return (Verdict){"too-big", false};
	if (error->domain == ASH_OBJECT_ERROR)
		return (Verdict){"mismatch", true};
	if (g_error_matches(error, ASH_STAGING_ERROR, ASH_STAGING_ERROR_SPACE) ||
			g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE))
		return (Verdict){"space", true};
	return (Verdict){"failed", true};
}

/* What another method can make good. */
static bool is_of_delta(const GError *error)
{
	return g_error_matches(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_GONE) ||
	       g_error_matches(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_MISMATCH) ||
	       g_error_matches(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_TOO_BIG);
}

static void print_failure(const AshOrder *order, const GError *error)
{
	Verdict verdict = judge(error);
	const char *why = NULL;

	if (order != NULL && order->delta != NULL && is_of_delta(error))
		verdict = (Verdict){"delta", false};
	if (g_str_equal(verdict.word, "untrusted"))
		why = error->domain == ASH_TUF_ERROR ? ash_tuf_error_word(error) : "document";
	print_line(ash_order_format_failure(verdict.word, why, error->message, verdict.may_pass));
}

/* ---- the work -------------------------------------------------------------------------------- */

/* One at a time: what an earlier one left half-done must not change under this one. */
static gboolean open_staging(int *out_fd, GError **error)
{
	ash_autofd int fd = -1;

	if (!ash_staging_open(staging_path, &fd, error))
		return FALSE;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return ash_throw_errno(error, "another download is at work in %s", staging_path);
	*out_fd = g_steal_fd(&fd);
	return TRUE;
}

static uint64_t deadline_s(const AshOrder *order)
{
	if (order->verb != ASH_ORDER_FETCH)
		return CHECK_DEADLINE_S;
	uint64_t rate = FINE_BYTES_PER_S;
	if (order->rate_limit != 0)
		rate = MIN(rate, MAX(order->rate_limit / 2, 1));
	return FETCH_DEADLINE_S + ash_pull_estimate(order) / rate;
}

static gboolean carry_out(const AshOrder *order, uint64_t *out_bytes, GError **error)
{
	g_autoptr(AshFetchSession) session = NULL;
	ash_autofd int staging_fd = -1;
	Progress progress = {.printed_us = g_get_monotonic_time()};

	if (order->verb == ASH_ORDER_NONE) {
		*out_bytes = 0;
		return TRUE;
	}
	if (order->verb == ASH_ORDER_FETCH)
		progress.total = ash_pull_estimate(order);
	const AshFetchOptions options = {.ca_pem = order->ca,
			.proxy = order->proxy,
			.is_http_only = true,
			.rate_limit = order->rate_limit,
			.low_speed_s = LOW_SPEED_S,
			.tries = TRIES,
			.deadline_s = deadline_s(order),
			.on_bytes = on_bytes,
			.data = &progress};
	if (!open_staging(&staging_fd, error) || !ash_fetch_session_new(&options, &session, error))
		return FALSE;
	AshSource source = {.order = order,
			.session = session,
			.staging = staging_path,
			.staging_fd = staging_fd,
			.sysroot = sysroot_path,
			.root_json = root_json_path};
	gboolean is_ok = order->verb == ASH_ORDER_CHECK ? ash_source_check(&source, error)
							: ash_pull(&source, error);
	if (is_ok)
		*out_bytes = ash_fetch_session_received(session);
	return is_ok;
}

/* ---- images -------------------------------------------------------------------------------------- */

static void on_image_bytes(uint64_t received, uint64_t total, gpointer data)
{
	Progress *progress = data;

	progress->total = total;
	on_bytes(received, progress);
}

static void print_image(const char *digest, uint64_t bytes, int64_t seconds)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_begin_object(builder, "result");
	ash_json_add_bool(builder, "ok", true);
	ash_json_add_uint(builder, "bytes", bytes);
	ash_json_add_int(builder, "seconds", seconds);
	ash_json_add_text(builder, "digest", digest);
	json_builder_end_object(builder);
	json_builder_end_object(builder);
	print_line(ash_json_format(builder, false));
}

static gboolean fetch_image(GError **error)
{
	g_autoptr(GBytes) text = NULL;
	g_autoptr(AshRegistryOrder) order = NULL;
	g_autofree char *digest = NULL;
	ash_autofd int staging_fd = -1;
	int64_t began_us = g_get_monotonic_time();
	Progress progress = {.printed_us = began_us};
	struct utsname machine;
	uint64_t bytes = 0;

	uname(&machine);
	if (!ash_file_read(AT_FDCWD, "/dev/stdin", ASH_REGISTRY_MAX_ORDER_BYTES, &text, error) ||
			!ash_registry_order_parse(text, &order, error) ||
			!open_staging(&staging_fd, error))
		return FALSE;
	const AshRegistryPull pull = {.order = order,
			.staging = staging_path,
			.staging_fd = staging_fd,
			.sysroot = sysroot_path,
			.arch = ash_oci_architecture(machine.machine),
			.on_bytes = on_image_bytes,
			.data = &progress};
	if (!ash_registry_pull(&pull, &digest, &bytes, error))
		return FALSE;
	print_image(digest, bytes, (g_get_monotonic_time() - began_us) / G_USEC_PER_SEC);
	return TRUE;
}

static gboolean read_order(AshOrder **out_order, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;

	return ash_file_read(AT_FDCWD, "/dev/stdin", ASH_ORDER_MAX_BYTES, &bytes, error) &&
	       ash_order_parse(g_bytes_get_data(bytes, NULL), out_order, error);
}

static gboolean parse_options(int argc, char **argv, GError **error)
{
	const GOptionEntry entries[] = {
			{"staging", 0, 0, G_OPTION_ARG_FILENAME, &staging_path,
					"where to put it [" ASH_PATH_STAGING "]", "DIR"},
			{"sysroot", 0, 0, G_OPTION_ARG_FILENAME, &sysroot_path,
					"the host's own, for what is there [" ASH_PATH_SYSROOT "]",
					"DIR"},
			{"root-json", 0, 0, G_OPTION_ARG_FILENAME, &root_json_path,
					"what trust begins with [" ASH_PATH_ROOT_JSON "]", "FILE"},
			{"version", 0, 0, G_OPTION_ARG_NONE, &wants_version, "print the version",
					NULL},
			{NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
	};
	g_autoptr(GOptionContext) options = g_option_context_new("[image]");

	g_option_context_set_summary(options,
			"Carries out one order, read as JSON from standard input, and ends. Run by\n"
			"ashlar-link; with 'image', for an image of a workload, by ashlar-workloadd.");
	g_option_context_add_main_entries(options, entries, NULL);
	if (!g_option_context_parse(options, &argc, &argv, error))
		return FALSE;
	wants_image = argc == 2 && strcmp(argv[1], "image") == 0;
	if (argc > 1 && !wants_image)
		return ash_throw(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
				"the only argument is 'image'");
	if (staging_path == NULL)
		staging_path = g_strdup(ASH_PATH_STAGING);
	if (sysroot_path == NULL)
		sysroot_path = g_strdup(ASH_PATH_SYSROOT);
	if (root_json_path == NULL)
		root_json_path = g_strdup(ASH_PATH_ROOT_JSON);
	return TRUE;
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshOrder) order = NULL;
	int64_t began_us = g_get_monotonic_time();
	uint64_t bytes = 0;

	if (!parse_options(argc, argv, &error)) {
		fprintf(stderr, "ashlar-fetch: %s\n", error->message);
		return EXIT_USAGE;
	}
	if (wants_version) {
		puts("ashlar-fetch " ASH_VERSION);
		return 0;
	}
	ash_interrupt_install();
	if (wants_image) {
		if (fetch_image(&error))
			return 0;
		print_failure(NULL, error);
		return g_error_matches(error, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_ORDER)
				       ? EXIT_USAGE
				       : 1;
	}
	if (!read_order(&order, &error)) {
		print_failure(NULL, error);
		return EXIT_USAGE;
	}
	if (!carry_out(order, &bytes, &error)) {
		print_failure(order, error);
		return 1;
	}
	print_line(ash_order_format_ok(
			bytes, (g_get_monotonic_time() - began_us) / G_USEC_PER_SEC));
	return 0;
}
