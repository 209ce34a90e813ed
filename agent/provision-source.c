/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/provision-source.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <linux/magic.h>
#include <mntent.h>
#include <string.h>
#include <sys/vfs.h>

#include "agent/hostdoc-value.h"
#include "agent/hostdoc.h"
#include "agent/paths.h"
#include "agent/provision-disk.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/yaml.h"

enum {
	MAX_META_BYTES = 256 << 10,
};

#define MARK "#ashlar"
#define SYSTEM_CREDENTIALS "/run/credentials/@system"

void ash_provision_source_free(AshProvisionSource *source)
{
	if (source == NULL)
		return;
	g_free(source->where);
	g_clear_pointer(&source->text, g_bytes_unref);
	g_ptr_array_unref(source->warnings);
	g_free(source);
}

static bool is_missing(const GError *error)
{
	return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) ||
	       g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_DIRECTORY);
}

/* ---- the seed disk ------------------------------------------------------------------------- */

GBytes *ash_provision_source_add_hostname(GBytes *document, const char *name)
{
	g_autoptr(AshYaml) root = NULL;
	gsize size;
	const char *text = g_bytes_get_data(document, &size);

	if (!ash_yaml_parse("document", document, &root, NULL) ||
			(root->kind != ASH_YAML_MAP && root->kind != ASH_YAML_NULL) ||
			ash_yaml_get(root, "hostname") != NULL)
		return g_bytes_ref(document);
	g_autoptr(GString) named = g_string_new_len(text, (gssize) size);
	if (root->kind == ASH_YAML_NULL || size == 0) {
		g_string_append_printf(named, "\nhostname: %s\n", name);
		return g_string_free_to_bytes(g_steal_pointer(&named));
	}
	/* Before the first key stand only blanks, comments and "---", so that columns are bytes. */
	gsize at = 0;
	for (unsigned line = 1; line < root->line; line++)
		at += strcspn(text + at, "\n") + 1;
	at = MIN(at + root->column - 1, size);
	g_autofree char *key = NULL;
	if (text[at] == '{')
		key = g_strdup_printf(" hostname: %s, ", name);
	else
		key = g_strdup_printf("hostname: %s\n%*s", name, (int) root->column - 1, "");
	g_string_insert(named, (gssize) (text[at] == '{' ? at + 1 : at), key);
	return g_string_free_to_bytes(g_steal_pointer(&named));
}

/* The two layouts of seeds. */
typedef struct {
	const char *user_data, *meta_data;
	const char *name_key; /* of meta_data */
} Layout;

static const Layout layouts[] = {
		{"user-data", "meta-data", "local-hostname"},
		{"openstack/latest/user_data", "openstack/latest/meta_data.json", "hostname"},
};

/* The name that the hypervisor has for this machine, NULL when it has none. It is not the document, so
 * what is wrong here is only said. (JSON is YAML.)
 */
static char *read_meta_name(int dirfd, const Layout *layout, GPtrArray *warnings)
{
	g_autoptr(GBytes) text = NULL;
	g_autoptr(AshYaml) root = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *name = NULL;

	if (!ash_provision_disk_read(dirfd, layout->meta_data, MAX_META_BYTES, &text, &error) ||
			!ash_yaml_parse(layout->meta_data, text, &root, &error)) {
		if (!is_missing(error))
			g_ptr_array_add(warnings, g_strdup(error->message));
		return NULL;
	}
	const AshYamlNode *node = ash_yaml_get(root, layout->name_key);
	if (node == NULL)
		return NULL;
	g_autofree char *problem = NULL;
	if (!ash_yaml_string(node, layout->name_key, &name, &error) ||
			(problem = ash_hostdoc_check_hostname(name)) != NULL) {
		g_ptr_array_add(warnings,
				g_strdup_printf("%s: the %s is left out: %s", layout->meta_data,
						layout->name_key,
						error != NULL ? error->message : problem));
		return NULL;
	}
	return g_steal_pointer(&name);
}

static bool is_marked(GBytes *text)
{
	const char *line = g_bytes_get_data(text, NULL);
	size_t length = strcspn(line, "\r\n");

	while (length > strlen(MARK) && g_ascii_isspace(line[length - 1]))
		length--;
	return length == strlen(MARK) && strncmp(line, MARK, length) == 0;
}

/* user-data of this layout, where it is ours, and the name. NULL: nothing for us. */
static gboolean read_layout(int dirfd, const Layout *layout, AshProvisionSource *source,
		GBytes **out_text, GError **error)
{
	g_autoptr(GError) local = NULL;
	g_autoptr(GBytes) text = NULL;

	if (!ash_provision_disk_read(
			    dirfd, layout->user_data, ASH_HOSTDOC_MAX_BYTES, &text, &local)) {
		/* What is for others may be of any size. */
		if (!is_missing(local) && !g_error_matches(local, ASH_PROVISION_DISK_ERROR,
							  ASH_PROVISION_DISK_ERROR_TOO_BIG)) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
	} else if (!is_marked(text)) {
		g_ptr_array_add(source->warnings,
				g_strdup_printf("%s is not used: its first line is not '" MARK "'",
						layout->user_data));
		g_clear_pointer(&text, g_bytes_unref);
	}
	g_autofree char *name = read_meta_name(dirfd, layout, source->warnings);
	if (name != NULL) {
		g_autoptr(GBytes) document =
				text != NULL ? g_steal_pointer(&text) : g_bytes_new_static("", 0);
		text = ash_provision_source_add_hostname(document, name);
	}
	*out_text = g_steal_pointer(&text);
	return TRUE;
}

static gboolean read_seed(
		int dirfd, AshProvisionSource *source, const char **out_file, GError **error)
{
	g_autoptr(GError) local = NULL;

	if (ash_provision_disk_read(
			    dirfd, "ashlar.yaml", ASH_HOSTDOC_MAX_BYTES, &source->text, &local)) {
		*out_file = "ashlar.yaml";
		return TRUE;
	}
	if (!is_missing(local)) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(layouts) && source->text == NULL; i++) {
		if (!read_layout(dirfd, &layouts[i], source, &source->text, error))
			return FALSE;
		*out_file = layouts[i].user_data;
	}
	return TRUE;
}

/* ---- the sources --------------------------------------------------------------------------- */

/* Each sets source->where when it is there, and source->text when it has a document. */
typedef gboolean (*ReadSource)(
		const AshProvisionPlaces *places, AshProvisionSource *source, GError **error);

static gboolean read_credential(
		const AshProvisionPlaces *places, AshProvisionSource *source, GError **error)
{
	g_autofree char *path =
			places->credentials != NULL
					? g_build_filename(places->credentials, "ashlar.host", NULL)
					: g_strconcat(places->root,
							  SYSTEM_CREDENTIALS "/ashlar.host", NULL);
	g_autoptr(GError) local = NULL;

	if (ash_file_read(AT_FDCWD, path, ASH_HOSTDOC_MAX_BYTES, &source->text, &local)) {
		source->where = g_strdup("credential ashlar.host");
		return TRUE;
	}
	if (is_missing(local))
		return TRUE;
	source->where = g_strdup("credential ashlar.host");
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

static gboolean read_disk(
		const AshProvisionPlaces *places, AshProvisionSource *source, GError **error)
{
	g_autoptr(AshProvisionDisk) disk = NULL;
	ash_autofd int fd = -1;
	const char *file = "";

	if (places->seed != NULL) {
		source->where = g_strdup(places->seed);
		fd = open(places->seed, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return ash_throw_errno(error, "%s", places->seed);
	} else {
		disk = ash_provision_disk_find_seed(places->root);
		if (disk == NULL && places->wait_for_disks != NULL) {
			places->wait_for_disks();
			disk = ash_provision_disk_find_seed(places->root);
		}
		if (disk == NULL)
			return TRUE;
		source->where = g_strdup_printf("%s (%s)", disk->path, disk->label);
		if (!ash_provision_disk_mount(places->root, disk->path, disk->type, &fd, error))
			return FALSE;
	}
	ASH_PREFIX("%s", source->where);
	if (!read_seed(fd, source, &file, error))
		return FALSE;
	g_autofree char *where = g_strdup_printf("%s: %s", source->where, file);
	g_free(source->where);
	source->where = g_steal_pointer(&where);
	return TRUE;
}

/* What fstab says of /efi, "ashlar-esp" when it says nothing of it. */
static char *esp_partition(const char *root)
{
	g_autofree char *path = g_strconcat(root, "/etc/fstab", NULL);
	g_autoptr(AshStream) stream = setmntent(path, "re");
	char *name = NULL;

	for (struct mntent *entry; stream != NULL && (entry = getmntent(stream)) != NULL;)
		if (strcmp(entry->mnt_dir, ASH_PATH_ESP) == 0 && name == NULL &&
				g_str_has_prefix(entry->mnt_fsname, "PARTLABEL="))
			name = g_strdup(entry->mnt_fsname + strlen("PARTLABEL="));
	return name != NULL ? name : g_strdup("ashlar-esp");
}

/* A mount of its own, so that the ESP is not opened for writing at each boot. @out_fd -1: none. */
static gboolean open_esp(const char *root, int *out_fd, GError **error)
{
	g_autofree char *mounted = g_strconcat(root, ASH_PATH_ESP, NULL);
	g_autofree char *name = esp_partition(root);
	g_autofree char *device = ash_provision_disk_find_partition(root, name);
	g_autoptr(GError) local = NULL;
	struct statfs fs;

	if (device != NULL && ash_provision_disk_mount(root, device, "vfat", out_fd, &local))
		return TRUE;
	if (local != NULL && !g_error_matches(local, ASH_PROVISION_DISK_ERROR,
					     ASH_PROVISION_DISK_ERROR_BUSY)) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	/* Without the partition an automount would wait for it until its time-out. */
	if (device == NULL && (statfs(mounted, &fs) < 0 || fs.f_type == AUTOFS_SUPER_MAGIC))
		return TRUE;
	*out_fd = open(mounted, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *out_fd >= 0 || errno == ENOENT ? TRUE : ash_throw_errno(error, "%s", mounted);
}

static gboolean read_esp(
		const AshProvisionPlaces *places, AshProvisionSource *source, GError **error)
{
	g_autoptr(GError) local = NULL;
	ash_autofd int fd = -1;

	if (!open_esp(places->root, &fd, &local)) {
		/* Damaged, and so without a document as far as anybody can tell; the host goes on. */
		g_ptr_array_add(source->warnings, g_strdup(local->message));
		return TRUE;
	}
	if (fd < 0)
		return TRUE;
	if (ash_provision_disk_read(
			    fd, "ashlar/host.yaml", ASH_HOSTDOC_MAX_BYTES, &source->text, &local)) {
		source->where = g_strdup("ESP: /ashlar/host.yaml");
		return TRUE;
	}
	if (is_missing(local))
		return TRUE;
	source->where = g_strdup("ESP: /ashlar/host.yaml");
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

gboolean ash_provision_source_find(
		const AshProvisionPlaces *places, AshProvisionSource **out_source, GError **error)
{
	static const struct {
		const char *name;
		ReadSource read;
	} sources[] = {{"credential", read_credential}, {"disk", read_disk}, {"esp", read_esp}};
	g_autoptr(AshProvisionSource) source = g_new0(AshProvisionSource, 1);
	gboolean ok = TRUE;

	source->warnings = g_ptr_array_new_with_free_func(g_free);
	source->source = "none";
	for (size_t i = 0; ok && source->text == NULL && i < G_N_ELEMENTS(sources); i++) {
		g_clear_pointer(&source->where, g_free);
		ok = sources[i].read(places, source, error);
		if (!ok || source->text != NULL)
			source->source = sources[i].name;
	}
	if (ok && source->text == NULL)
		g_clear_pointer(&source->where, g_free);
	*out_source = g_steal_pointer(&source);
	return ok;
}
