/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/content.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fleet/server.h"
#include "lib/auto.h"
#include "lib/error.h"

bool ash_content_path_is_valid(const char *path)
{
	g_auto(GStrv) names = g_strsplit(path, "/", -1);

	for (size_t i = 0; names[i] != NULL; i++)
		if (names[i][0] == '\0' || names[i][0] == '.')
			return false;
	return names[0] != NULL;
}

/* "…/12.root.json", "…/<64 digits>.json.gz": a number or a digest leads the name, so other content has another name. */
static bool is_named_by_content(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	size_t digits = strspn(name, "0123456789");
	size_t hex = strspn(name, "0123456789abcdef");

	return (digits > 0 && name[digits] == '.') || (hex == 64 && name[hex] == '.');
}

const char *ash_content_cache(const char *path)
{
	if (strstr(path, "objects/") != NULL || strstr(path, "deltas/") != NULL ||
			is_named_by_content(path))
		return "public, max-age=31536000, immutable";
	return "no-cache";
}

const char *ash_content_type(const char *path)
{
	if (g_str_has_suffix(path, ".json"))
		return "application/json";
	if (g_str_has_suffix(path, ".txt"))
		return "text/plain; charset=utf-8";
	return "application/octet-stream";
}

/* RESOLVE_BENEATH: neither ".." nor any link leads out. */
static int open_below(const char *dir, const char *path)
{
	ash_autofd int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};

	if (dirfd < 0)
		return -1;
	return (int) syscall(SYS_openat2, dirfd, path, &how, sizeof how);
}

static gboolean run(AshRequest *request, GError **error)
{
	const char *path = ash_route_part(request, 0);
	ash_autofd int fd = -1;

	if (ash_content_path_is_valid(path))
		fd = open_below(request->server->config->content, path);
	if (fd < 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no such file");
	ash_http_reply_file(request->call, g_steal_fd(&fd), ash_content_type(path), NULL,
			ash_content_cache(path));
	return TRUE;
}

/* A file's size and time cost no more than a system call each: it is opened on the network thread, as nginx does. */
const AshRoute ash_content_routes[] = {
		{"GET", "/content/{path*}", ASH_ROLE_NONE, "A file of the publication", run,
				.is_direct = true},
		{NULL},
};
