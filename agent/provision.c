/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/provision.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>

#include "agent/host-trial.h"
#include "agent/hostdoc-value.h"
#include "agent/paths.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	MACHINE_ID_DIGITS = 32,
	NAME_DIGITS = 8,
	MAX_SMALL_BYTES = 4096,
	MAX_OUTPUT_BYTES = 1 << 20,
};

#define IN_FORCE ASH_PATH_STATE "/host.yaml"
#define PREVIOUS ASH_PATH_STATE "/host.yaml.previous"
#define NETWORK_DIR "/run/systemd/network"
#define NETWORK_PREFIX "40-ashlar-"
#define TIME_FILE "/run/systemd/timesyncd.conf.d/40-ashlar.conf"
#define SSH_FILE ASH_PATH_RUN "/ssh/authorized_keys"

static void file_free(gpointer data)
{
	AshProvisionFile *file = data;

	g_free(file->path);
	g_free(file->text);
	g_free(file);
}

static AshProvision *provision_new(void)
{
	AshProvision *provision = g_new0(AshProvision, 1);

	provision->source = "none";
	provision->files = g_ptr_array_new_with_free_func(file_free);
	provision->warnings = g_ptr_array_new_with_free_func(g_free);
	return provision;
}

void ash_provision_free(AshProvision *provision)
{
	if (provision == NULL)
		return;
	ash_hostdoc_free(provision->doc);
	g_free(provision->where);
	g_free(provision->digest);
	g_free(provision->hostname);
	g_ptr_array_unref(provision->files);
	g_ptr_array_unref(provision->warnings);
	g_clear_error(&provision->refused);
	g_free(provision);
}

/* The file's text, NULL when it cannot be read. */
static GBytes *read_file(const char *root, const char *path, size_t max_bytes)
{
	g_autofree char *full = g_strconcat(root, path, NULL);
	GBytes *bytes = NULL;

	return ash_file_read(AT_FDCWD, full, max_bytes, &bytes, NULL) ? bytes : NULL;
}

/* ---- the document -------------------------------------------------------------------------- */

static void use(AshProvision *provision, const char *source, const char *where, GBytes *text,
		AshHostdoc *taken_doc)
{
	provision->source = source;
	provision->where = g_strdup(where);
	provision->digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, text);
	provision->doc = taken_doc;
}

static bool is_left(const AshHostTrial *trial, GBytes *text)
{
	g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, text);

	return ash_host_trial_is_left(trial, digest);
}

static bool is_proven(const AshHostTrial *trial, GBytes *text)
{
	g_autofree char *digest =
			text != NULL ? g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, text) : NULL;

	return digest != NULL && g_strcmp0(trial->proven, digest) == 0;
}

static gboolean judge(const char *where, GBytes *text, const AshHostTrial *trial,
		AshHostdoc **out_doc, GError **error)
{
	/* What is written is a string. */
	if (strlen(g_bytes_get_data(text, NULL)) != g_bytes_get_size(text))
		return ash_throw(error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_VALUE,
				"%s: holds a NUL byte", where);
	if (is_left(trial, text))
		return ash_throw(error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_LEFT,
				"%s: was tried, and the host had no contact with it: change it, or run 'ashlarctl forgive document'",
				where);
	return ash_hostdoc_parse(where, text, out_doc, error);
}

/* A document of an earlier boot. What is refused is said, and left where it is: the other version of
 * this program may know what this one does not. */
static bool use_kept(const char *root, const char *source, const char *path,
		const AshHostTrial *trial, AshProvision *provision)
{
	g_autofree char *full = g_strconcat(root, path, NULL);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(AshHostdoc) doc = NULL;
	g_autoptr(GError) error = NULL;

	if (ash_file_read(AT_FDCWD, full, ASH_HOSTDOC_MAX_BYTES, &text, &error) &&
			judge(path, text, trial, &doc, &error)) {
		use(provision, source, path, text, g_steal_pointer(&doc));
		return true;
	}
	if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
		return false;
	if (provision->refused == NULL)
		provision->refused = g_steal_pointer(&error);
	else
		g_ptr_array_add(provision->warnings, g_strdup(error->message));
	return false;
}

static void add_file(AshProvision *provision, const char *path, const char *text, unsigned mode)
{
	AshProvisionFile *file = g_new0(AshProvisionFile, 1);

	file->path = g_strdup(path);
	file->text = g_strdup(text);
	file->mode = mode;
	g_ptr_array_add(provision->files, file);
}

/* Unless it is there with that text. */
static void change_file(const char *root, AshProvision *provision, const char *path,
		const char *text, unsigned mode)
{
	g_autoptr(GBytes) old = read_file(root, path, MAX_OUTPUT_BYTES);

	if (old == NULL ? text != NULL
			: text == NULL || strcmp(text, g_bytes_get_data(old, NULL)) != 0)
		add_file(provision, path, text, mode);
}

/* The one in force becomes the previous one before it is replaced, so that at each instant both names
 * hold whole documents, and the same twice after a power cut in between; the next boot goes on from
 * there. A broken one is not worth to be kept in the place of a good one, nor is one that was left or never came to
 * be proven in the place of one that is.
 */
static void keep_document(
		const char *root, GBytes *text, const AshHostTrial *trial, AshProvision *provision)
{
	g_autoptr(GBytes) old = read_file(root, IN_FORCE, ASH_HOSTDOC_MAX_BYTES);
	g_autoptr(GBytes) previous = read_file(root, PREVIOUS, ASH_HOSTDOC_MAX_BYTES);
	g_autoptr(AshHostdoc) old_doc = NULL;

	if (old != NULL && g_bytes_equal(old, text))
		return;
	provision->is_changed = true;
	if (old != NULL && !(is_proven(trial, previous) && !is_proven(trial, old)) &&
			judge(IN_FORCE, old, trial, &old_doc, NULL))
		change_file(root, provision, PREVIOUS, g_bytes_get_data(old, NULL), 0600);
	add_file(provision, IN_FORCE, g_bytes_get_data(text, NULL), 0600);
}

/* In force is what was left: the one before it is in force again. */
static void put_back(const char *root, const AshHostTrial *trial, AshProvision *provision)
{
	g_autoptr(GBytes) old = read_file(root, IN_FORCE, ASH_HOSTDOC_MAX_BYTES);
	g_autoptr(GBytes) previous = read_file(root, PREVIOUS, ASH_HOSTDOC_MAX_BYTES);

	if (old == NULL || previous == NULL || !is_left(trial, old))
		return;
	provision->is_changed = true;
	add_file(provision, IN_FORCE, g_bytes_get_data(previous, NULL), 0600);
}

static void choose_document(const AshProvisionPlaces *places, AshProvision *provision)
{
	g_autoptr(AshProvisionSource) source = NULL;
	g_autoptr(AshHostdoc) doc = NULL;
	g_auto(AshHostTrial) trial = {0};

	ash_host_trial_load(places->root, &trial);
	gboolean found = ash_provision_source_find(places, &source, &provision->refused);
	for (guint i = 0; i < source->warnings->len; i++)
		g_ptr_array_add(provision->warnings, g_strdup(source->warnings->pdata[i]));
	if (found && source->text != NULL &&
			judge(source->where, source->text, &trial, &doc, &provision->refused)) {
		use(provision, source->source, source->where, source->text, g_steal_pointer(&doc));
		keep_document(places->root, source->text, &trial, provision);
		return;
	}
	if (use_kept(places->root, "last", IN_FORCE, &trial, provision))
		return;
	if (use_kept(places->root, "previous", PREVIOUS, &trial, provision))
		put_back(places->root, &trial, provision);
	else
		provision->doc = ash_hostdoc_new();
}

/* ---- what follows from it ------------------------------------------------------------------ */

char *ash_provision_default_hostname(const char *machine_id)
{
	size_t length = strspn(machine_id, "0123456789abcdef");

	if (length != MACHINE_ID_DIGITS ||
			strspn(machine_id + length, "\n") != strlen(machine_id + length))
		return NULL;
	/* As machine-id(5) asks: the id keys a hash, and does not appear itself. */
	g_autofree char *hash = g_compute_hmac_for_string(G_CHECKSUM_SHA256,
			(const guchar *) machine_id, length, "ashlar hostname", -1);
	return g_strdup_printf("ashlar-%.*s", NAME_DIGITS, hash);
}

static char *choose_hostname(const char *root, const AshHostdoc *doc)
{
	if (doc->hostname != NULL)
		return g_strdup(doc->hostname);
	g_autoptr(GBytes) etc = read_file(root, "/etc/hostname", MAX_SMALL_BYTES);
	if (etc != NULL) {
		g_autofree char *name = g_strstrip(g_strdup(g_bytes_get_data(etc, NULL)));
		g_autofree char *problem = ash_hostdoc_check_hostname(name);
		if (problem == NULL && strcmp(name, "localhost") != 0)
			return g_steal_pointer(&name);
	}
	g_autoptr(GBytes) id = read_file(root, "/etc/machine-id", MAX_SMALL_BYTES);
	return id != NULL ? ash_provision_default_hostname(g_bytes_get_data(id, NULL)) : NULL;
}

static void plan_hostname(const char *root, AshProvision *provision)
{
	provision->hostname = choose_hostname(root, provision->doc);
	g_autofree char *line = g_strconcat(provision->hostname, "\n", NULL);
	g_autoptr(GBytes) old = read_file(root, ASH_PROVISION_HOSTNAME, MAX_SMALL_BYTES);
	/* It is the kernel's; where it cannot be read there is none to be set. */
	if (provision->hostname != NULL && old != NULL)
		change_file(root, provision, ASH_PROVISION_HOSTNAME, line, 0644);
}

/* Units that an earlier run of this boot left for networks that are gone. */
static void plan_stale_networks(const char *root, AshProvision *provision)
{
	g_autofree char *path = g_strconcat(root, NETWORK_DIR, NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
		if (!g_str_has_prefix(name, NETWORK_PREFIX))
			continue;
		guint64 number = g_ascii_strtoull(name + strlen(NETWORK_PREFIX), NULL, 10);
		g_autofree char *stale = g_build_filename(NETWORK_DIR, name, NULL);
		if (number >= provision->doc->networks->len)
			add_file(provision, stale, NULL, 0);
	}
}

static void plan_networks(const char *root, AshProvision *provision)
{
	for (guint i = 0; i < provision->doc->networks->len; i++) {
		g_autofree char *path =
				g_strdup_printf(NETWORK_DIR "/" NETWORK_PREFIX "%02u.network", i);
		g_autofree char *unit =
				ash_hostdoc_network_unit(provision->doc->networks->pdata[i]);
		change_file(root, provision, path, unit, 0644);
	}
	plan_stale_networks(root, provision);
}

static void plan_time(const char *root, AshProvision *provision)
{
	g_autofree char *servers = g_strjoinv(" ", provision->doc->ntp);
	g_autofree char *text = g_strdup_printf(
			"# Written at boot from the host document.\n[Time]\nNTP=%s\n", servers);

	change_file(root, provision, TIME_FILE, *servers != '\0' ? text : NULL, 0644);
}

static void plan_ssh(const char *root, AshProvision *provision)
{
	g_autofree char *keys = g_strjoinv("\n", provision->doc->ssh_keys);
	g_autofree char *text = g_strconcat(keys, "\n", NULL);

	change_file(root, provision, SSH_FILE, *keys != '\0' ? text : NULL, 0644);
}

AshProvision *ash_provision_plan(const AshProvisionPlaces *places)
{
	AshProvision *provision = provision_new();

	choose_document(places, provision);
	plan_hostname(places->root, provision);
	plan_networks(places->root, provision);
	plan_time(places->root, provision);
	plan_ssh(places->root, provision);
	return provision;
}
