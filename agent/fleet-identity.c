/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fleet-identity.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/x509.h"

G_DEFINE_QUARK(ash_fleet_identity_error, ash_fleet_identity_error)

#define IDENTITY "identity.json"
#define CERTIFICATE "certificate.pem"
#define SEQ "seq"

enum {
	MAX_BYTES = 128 << 10,
	INSTANCE_BYTES = 16,
};

void ash_fleet_identity_free(AshFleetIdentity *identity)
{
	if (identity == NULL)
		return;
	ash_close_fd(&identity->dir_fd);
	ash_close_fd(&identity->lock_fd);
	g_free(identity->instance);
	g_free(identity->key_pem);
	g_free(identity->id);
	g_free(identity->certificate_pem);
	g_free(identity);
}

/* ---- reading ------------------------------------------------------------------------------------- */

/* FALSE without an error, *out_text NULL: there is none. */
static gboolean read_text(int dir_fd, const char *name, char **out_text, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GError) local = NULL;

	*out_text = NULL;
	if (ash_file_read(dir_fd, name, MAX_BYTES, &bytes, &local)) {
		*out_text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
		return TRUE;
	}
	if (g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

/* Is @text an identity of @epoch? Fills in @identity if so. */
static bool take_identity(AshFleetIdentity *identity, const char *text, const char *epoch)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(bytes, MAX_BYTES, 2, &node, NULL) || !JSON_NODE_HOLDS_OBJECT(node))
		return false;
	JsonObject *object = json_node_get_object(node);
	const char *key = ash_json_find_text(object, "key");
	const char *instance = ash_json_find_text(object, "instance");
	if (g_strcmp0(ash_json_find_text(object, "epoch"), epoch) != 0 || key == NULL ||
			instance == NULL || strlen(instance) != 2 * INSTANCE_BYTES ||
			!ash_x509_key_fingerprint(key, &identity->id, NULL))
		return false;
	identity->key_pem = g_strdup(key);
	identity->instance = g_strdup(instance);
	return true;
}

static void take_certificate(AshFleetIdentity *identity, const char *pem)
{
	g_auto(AshX509Info) info = {0};

	if (!ash_x509_info_parse(pem, &info, NULL) ||
			g_strcmp0(info.fingerprint, identity->id) != 0)
		return;
	g_free(identity->certificate_pem);
	identity->certificate_pem = g_strdup(pem);
	identity->not_before_s = info.not_before_s;
	identity->not_after_s = info.not_after_s;
}

/* ---- making -------------------------------------------------------------------------------------- */

static gboolean put_aside(int dir_fd, const char *name, GError **error)
{
	g_autofree char *old = g_strconcat(name, ".old", NULL);

	if (renameat(dir_fd, name, dir_fd, old) == 0 || errno == ENOENT)
		return TRUE;
	return ash_throw_errno(error, "renaming %s", name);
}

static gboolean make_identity(AshFleetIdentity *identity, const char *epoch, GError **error)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	identity->instance = ash_crypto_random_hex(INSTANCE_BYTES);
	if (!ash_x509_key_make(&identity->key_pem, error) ||
			!ash_x509_key_fingerprint(identity->key_pem, &identity->id, error))
		return FALSE;
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "epoch", epoch);
	ash_json_add_text(builder, "instance", identity->instance);
	ash_json_add_text(builder, "key", identity->key_pem);
	json_builder_end_object(builder);
	g_autofree char *text = ash_json_format(builder, false);
	return ash_file_replace(identity->dir_fd, IDENTITY, text, strlen(text), 0600, error);
}

static gboolean open_dir(AshFleetIdentity *identity, const char *dir, GError **error)
{
	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0700, error))
		return FALSE;
	identity->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (identity->dir_fd < 0)
		return ash_throw_errno(error, "%s", dir);
	identity->lock_fd = openat(
			identity->dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (identity->lock_fd < 0 || flock(identity->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return ash_throw_errno(error, "locking %s", dir);
	return TRUE;
}

gboolean ash_fleet_identity_open(
		const char *dir, const char *epoch, AshFleetIdentity **out_identity, GError **error)
{
	g_autoptr(AshFleetIdentity) identity = g_new0(AshFleetIdentity, 1);
	g_autofree char *text = NULL;
	g_autofree char *certificate = NULL;

	ASH_PREFIX("the host's identity");
	identity->dir_fd = identity->lock_fd = -1;
	if (!open_dir(identity, dir, error) ||
			!read_text(identity->dir_fd, IDENTITY, &text, error) ||
			!read_text(identity->dir_fd, CERTIFICATE, &certificate, error))
		return FALSE;
	if (text == NULL || !take_identity(identity, text, epoch)) {
		/* The certificate first: without its key it is none. */
		if (!put_aside(identity->dir_fd, CERTIFICATE, error) ||
				!put_aside(identity->dir_fd, IDENTITY, error) ||
				!make_identity(identity, epoch, error))
			return FALSE;
	} else if (certificate != NULL) {
		take_certificate(identity, certificate);
	}
	*out_identity = g_steal_pointer(&identity);
	return TRUE;
}

gboolean ash_fleet_identity_set_certificate(
		AshFleetIdentity *identity, const char *pem, GError **error)
{
	if (!ash_x509_key_is_of(pem, identity->key_pem))
		return ash_throw(error, ASH_FLEET_IDENTITY_ERROR, ASH_FLEET_IDENTITY_ERROR_FAILED,
				"the fleet's certificate is not one of this host's key");
	if (!ash_file_replace(identity->dir_fd, CERTIFICATE, pem, strlen(pem), 0600, error))
		return FALSE;
	take_certificate(identity, pem);
	return TRUE;
}

gboolean ash_fleet_identity_reserve(AshFleetIdentity *identity, uint64_t least, uint64_t *out_first,
		uint64_t *out_limit, GError **error)
{
	g_autofree char *text = NULL;

	ASH_PREFIX("the number of check-ins");
	if (!read_text(identity->dir_fd, SEQ, &text, error))
		return FALSE;
	uint64_t first = text != NULL ? g_ascii_strtoull(text, NULL, 10) : 1;
	first = MAX(MAX(first, least), 1);
	uint64_t limit = first + ASH_FLEET_IDENTITY_SEQ_BLOCK;
	g_autofree char *after = g_strdup_printf("%" G_GUINT64_FORMAT "\n", limit);
	if (!ash_file_replace(identity->dir_fd, SEQ, after, strlen(after), 0600, error))
		return FALSE;
	*out_first = first;
	*out_limit = limit;
	return TRUE;
}

gboolean ash_fleet_identity_leave(const char *dir, GError **error)
{
	ash_autofd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return TRUE;
	if (fd < 0)
		return ash_throw_errno(error, "%s", dir);
	return put_aside(fd, CERTIFICATE, error) && put_aside(fd, IDENTITY, error) &&
	       (fsync(fd) == 0 || ash_throw_errno(error, "syncing %s", dir));
}
