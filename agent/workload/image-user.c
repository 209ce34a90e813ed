/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/workload/image.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

G_DEFINE_QUARK(ash_image_user_error, ash_image_user_error)

/* A number of at most 32 bits, and not the one that means "none". */
static bool parse_id(const char *text, uint32_t *out_id)
{
	guint64 id = 0;

	if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32 - 1, &id, NULL))
		return false;
	*out_id = (uint32_t) id;
	return true;
}

/* The first line of passwd or group whose field @key is @value; of its fields, which are at least @count. */
static char **find_line(GBytes *text, guint key, const char *value, guint count)
{
	if (text == NULL)
		return NULL;
	gsize size = 0;
	const char *data = g_bytes_get_data(text, &size);
	for (gsize at = 0; at < size;) {
		const char *end = memchr(data + at, '\n', size - at);
		gsize length = end != NULL ? (gsize) (end - data) - at : size - at;
		g_autofree char *line = g_strndup(data + at, length);
		g_auto(GStrv) fields = g_strsplit(line, ":", -1);
		if (g_strv_length(fields) >= count && strcmp(fields[key], value) == 0)
			return g_steal_pointer(&fields);
		at += length + 1;
	}
	return NULL;
}

static gboolean find_group(GBytes *group, const char *name, uint32_t *out_gid, GError **error)
{
	g_auto(GStrv) fields = find_line(group, 0, name, 3);

	if (fields != NULL && parse_id(fields[2], out_gid))
		return TRUE;
	if (parse_id(name, out_gid))
		return TRUE;
	return ash_throw(error, ASH_IMAGE_USER_ERROR, ASH_IMAGE_USER_ERROR_UNKNOWN,
			"the image has no group '%.64s'", name);
}

gboolean ash_image_find_user(GBytes *passwd, GBytes *group, const char *user, uint32_t *out_uid,
		uint32_t *out_gid, GError **error)
{
	const char *colon = strchr(user, ':');
	g_autofree char *name =
			g_strndup(user, colon != NULL ? (gsize) (colon - user) : strlen(user));
	uint32_t uid = 0, gid = 0;

	g_auto(GStrv) by_name = find_line(passwd, 0, name, 4);
	if (*name != '\0' && by_name != NULL) {
		if (!parse_id(by_name[2], &uid) || !parse_id(by_name[3], &gid))
			return ash_throw(error, ASH_IMAGE_USER_ERROR, ASH_IMAGE_USER_ERROR_FILE,
					"the image's passwd says nothing useful of '%.64s'", name);
	} else if (*name != '\0') {
		if (!parse_id(name, &uid))
			return ash_throw(error, ASH_IMAGE_USER_ERROR, ASH_IMAGE_USER_ERROR_UNKNOWN,
					"the image has no user '%.64s'", name);
		g_auto(GStrv) by_id = find_line(passwd, 2, name, 4);
		if (by_id != NULL && !parse_id(by_id[3], &gid))
			gid = 0;
	}
	if (colon != NULL && colon[1] != '\0' && !find_group(group, colon + 1, &gid, error))
		return FALSE;
	*out_uid = uid;
	*out_gid = gid;
	return TRUE;
}

/* NULL when it is not there. Links of the image, absolute ones too, end inside it. */
static gboolean read_inside(int root_fd, const char *path, GBytes **out_bytes, GError **error)
{
	struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	struct stat st;
	g_autoptr(GError) cause = NULL;
	ash_autofd int fd = (int) syscall(SYS_openat2, root_fd, path, &how, sizeof how);

	*out_bytes = NULL;
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return TRUE;
	if (fd < 0 || fstat(fd, &st) < 0)
		return ash_throw_errno(error, "the image's %s", path);
	g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", fd);
	if (!S_ISREG(st.st_mode) || !ash_file_read(AT_FDCWD, self, ASH_IMAGE_MAX_PASSWD_BYTES,
						    out_bytes, &cause))
		return ash_throw(error, ASH_IMAGE_USER_ERROR, ASH_IMAGE_USER_ERROR_FILE,
				"the image's %s: %s", path,
				cause != NULL ? cause->message : "not a file");
	return TRUE;
}

gboolean ash_image_load_user(const char *path, const char *user, uint32_t *out_uid,
		uint32_t *out_gid, GError **error)
{
	g_autoptr(GBytes) passwd = NULL;
	g_autoptr(GBytes) group = NULL;
	ash_autofd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	return read_inside(fd, "etc/passwd", &passwd, error) &&
	       read_inside(fd, "etc/group", &group, error) &&
	       ash_image_find_user(passwd, group, user, out_uid, out_gid, error);
}
