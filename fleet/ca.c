/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/ca.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/file.h"
#include "lib/x509.h"

G_DEFINE_QUARK(ash_ca_error, ash_ca_error)

enum {
	DAY_S = 24 * 60 * 60,
	CA_LIFE_DAYS = 20 * 365,
	SERVER_LIFE_DAYS = 397, /* browsers take no longer one */
	CRL_LIFE_DAYS = 7,
	EARLY_S = 60 * 60, /* for hosts whose clock is behind */
	MAX_FILE_BYTES = 64 << 10,
};

typedef struct {
	char *serial;
	int64_t at_s;
} Revoked;

struct AshCa {
	char *dir, *certificate_pem, *fingerprint;
	AshX509Authority *authority;
	GMutex lock;         /* of what follows */
	GHashTable *revoked; /* serial → Revoked */
	AshDbPool *pool;
	AshEvents *events;
	uint64_t listener;
	int64_t (*now)(void);
};

static void free_revoked(gpointer data)
{
	Revoked *revoked = data;

	g_free(revoked->serial);
	g_free(revoked);
}

/* NULL: it is not there. */
static gboolean load_text(const char *dir, const char *name, char **out_text, GError **error)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autoptr(GBytes) bytes = NULL;
	bool is_there = false;

	if (!ash_file_exists(AT_FDCWD, path, &is_there, error))
		return FALSE;
	if (is_there && !ash_file_read(AT_FDCWD, path, MAX_FILE_BYTES, &bytes, error))
		return FALSE;
	*out_text = is_there ? g_strdup(g_bytes_get_data(bytes, NULL)) : NULL;
	return TRUE;
}

static gboolean save_text(
		const char *dir, const char *name, const char *text, mode_t mode, GError **error)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);

	return ash_file_replace(AT_FDCWD, path, text, strlen(text), mode, error);
}

/* The key before the certificate: a certificate is only there when its key is. */
static gboolean make(const char *dir, int64_t now_s, char **out_certificate, char **out_key,
		GError **error)
{
	g_autofree char *certificate = NULL;
	g_autofree char *key = NULL;
	g_autofree char *id = g_uuid_string_random();
	g_autofree char *name = g_strdup_printf("Ashlar fleet %.8s", id);

	if (!ash_x509_ca_make(name, now_s - EARLY_S, now_s + (int64_t) CA_LIFE_DAYS * DAY_S, &key,
			    &certificate, error) ||
			!save_text(dir, "ca.key", key, 0600, error) ||
			!save_text(dir, "ca.pem", certificate, 0644, error))
		return FALSE;
	*out_certificate = g_steal_pointer(&certificate);
	*out_key = g_steal_pointer(&key);
	return TRUE;
}

/* A copy that somebody made without thinking of its mode. */
static gboolean check_private(const char *dir, GError **error)
{
	g_autofree char *path = g_build_filename(dir, "ca.key", NULL);
	struct stat st;

	if (stat(path, &st) != 0)
		return ash_throw_errno(error, "stat(%s)", path);
	return (st.st_mode & S_IRWXO) == 0 ||
	       ash_throw(error, ASH_CA_ERROR, ASH_CA_ERROR_OPEN,
			       "everybody may read ca.key, and who has it can make hosts: 'chmod 600 "
			       "%s', and think of who has read it",
			       path);
}

gboolean ash_ca_open(const char *dir, int64_t now_s, AshCa **out_ca, GError **error)
{
	g_autoptr(AshCa) ca = g_new0(AshCa, 1);
	g_autofree char *key = NULL;
	g_auto(AshX509Info) info = {0};

	ASH_PREFIX("the certificate authority in %s", dir);
	ca->dir = g_strdup(dir);
	g_mutex_init(&ca->lock);
	ca->revoked = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_revoked);
	if (!load_text(dir, "ca.pem", &ca->certificate_pem, error) ||
			!load_text(dir, "ca.key", &key, error))
		return FALSE;
	if (ca->certificate_pem != NULL && key == NULL)
		return ash_throw(error, ASH_CA_ERROR, ASH_CA_ERROR_MISSING,
				"there is ca.pem, but not its key ca.key; restore it from a backup");
	if (key != NULL && !check_private(dir, error))
		return FALSE;
	if (ca->certificate_pem == NULL) {
		g_clear_pointer(&key, g_free);
		if (!make(dir, now_s, &ca->certificate_pem, &key, error))
			return FALSE;
	}
	if (!ash_x509_authority_new(ca->certificate_pem, key, &ca->authority, error) ||
			!ash_x509_info_parse(ca->certificate_pem, &info, error))
		return FALSE;
	ca->fingerprint = g_steal_pointer(&info.sha256);
	*out_ca = g_steal_pointer(&ca);
	return TRUE;
}

void ash_ca_free(AshCa *ca)
{
	if (ca == NULL)
		return;
	if (ca->events != NULL)
		ash_events_leave(ca->events, ca->listener);
	ash_x509_authority_free(ca->authority);
	g_clear_pointer(&ca->revoked, g_hash_table_unref);
	g_mutex_clear(&ca->lock);
	g_free(ca->fingerprint);
	g_free(ca->certificate_pem);
	g_free(ca->dir);
	g_free(ca);
}

const char *ash_ca_certificate(const AshCa *ca)
{
	return ca->certificate_pem;
}

const char *ash_ca_fingerprint(const AshCa *ca)
{
	return ca->fingerprint;
}

gboolean ash_ca_issue_host(AshCa *ca, const char *csr_pem, const char *host_id, int64_t now_s,
		int64_t life_s, char **out_certificate_pem, char **out_serial,
		int64_t *out_not_before_s, int64_t *out_not_after_s, GError **error)
{
	AshX509Wish wish = {.common_name = host_id,
			.not_before_s = now_s - EARLY_S,
			.not_after_s = now_s + life_s};

	if (!ash_x509_issue(ca->authority, csr_pem, &wish, out_certificate_pem, out_serial, error))
		return FALSE;
	*out_not_before_s = wish.not_before_s;
	*out_not_after_s = wish.not_after_s;
	return TRUE;
}

/* ---- this server's ---- */

static void add_name(GPtrArray *names, const char *name)
{
	for (guint i = 0; i < names->len; i++)
		if (g_ascii_strcasecmp(g_ptr_array_index(names, i), name) == 0)
			return;
	if (name[0] != '\0' && names->len < ASH_X509_MAX_NAMES - 1)
		g_ptr_array_add(names, g_strdup(name));
}

/* The configured ones first: the first is the certificate's common name. */
static GPtrArray *all_names(char *const *configured)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	static const char *const own[] = {"localhost", "127.0.0.1", "::1"};

	for (size_t i = 0; configured != NULL && configured[i] != NULL; i++)
		add_name(names, configured[i]);
	add_name(names, g_get_host_name());
	for (size_t i = 0; i < G_N_ELEMENTS(own); i++)
		add_name(names, own[i]);
	g_ptr_array_add(names, NULL);
	return names;
}

static bool is_fit(AshCa *ca, const char *certificate, const char *key, const GPtrArray *names,
		int64_t now_s)
{
	g_auto(AshX509Info) info = {0};

	if (certificate == NULL || key == NULL || !ash_x509_key_is_of(certificate, key) ||
			!ash_x509_info_parse(certificate, &info, NULL) ||
			!ash_x509_is_signed_by(certificate, ca->certificate_pem))
		return false;
	int64_t life_s = info.not_after_s - info.not_before_s;
	return g_strv_equal((const gchar *const *) info.names,
			       (const gchar *const *) names->pdata) &&
	       now_s >= info.not_before_s && now_s < info.not_before_s + life_s / 3 * 2;
}

gboolean ash_ca_server_certificate(AshCa *ca, char *const *names, const char *crl_url,
		int64_t now_s, char **out_certificate_pem, char **out_key_pem, bool *out_is_new,
		GError **error)
{
	g_autofree char *certificate = NULL;
	g_autofree char *key = NULL;
	g_autofree char *csr = NULL;
	g_autoptr(GPtrArray) all = all_names(names);
	AshX509Wish wish = {.common_name = g_ptr_array_index(all, 0),
			.names = (const char *const *) all->pdata,
			.crl_url = crl_url,
			.not_before_s = now_s - EARLY_S,
			.not_after_s = now_s + (int64_t) SERVER_LIFE_DAYS * DAY_S};

	ASH_PREFIX("the server's certificate in %s", ca->dir);
	if (!load_text(ca->dir, "server.pem", &certificate, error) ||
			!load_text(ca->dir, "server.key", &key, error))
		return FALSE;
	*out_is_new = !is_fit(ca, certificate, key, all, now_s);
	if (*out_is_new) {
		g_clear_pointer(&certificate, g_free);
		g_clear_pointer(&key, g_free);
		if (!ash_x509_key_make(&key, error) ||
				!ash_x509_csr_make(key, wish.common_name, &csr, error) ||
				!ash_x509_issue(ca->authority, csr, &wish, &certificate, NULL,
						error) ||
				!save_text(ca->dir, "server.key", key, 0600, error) ||
				!save_text(ca->dir, "server.pem", certificate, 0644, error))
			return FALSE;
	}
	*out_certificate_pem = g_steal_pointer(&certificate);
	*out_key_pem = g_steal_pointer(&key);
	return TRUE;
}

/* ---- withdrawn certificates ---- */

static gboolean take_revoked(const AshDbRow *row, gpointer data, GError **error)
{
	GHashTable *table = data;
	Revoked *revoked = g_new(Revoked, 1);

	*revoked = (Revoked){.serial = g_strdup(ash_db_row_text(row, 0)),
			.at_s = ash_db_row_int(row, 1)};
	g_hash_table_replace(table, revoked->serial, revoked);
	return TRUE;
}

gboolean ash_ca_load_revoked(AshCa *ca, AshDb *db, int64_t now_s, GError **error)
{
	g_autoptr(GHashTable) table =
			g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_revoked);

	/* One that has ended counts for nothing anyway. */
	if (!ash_db_query(db,
			    "SELECT serial, revoked_at FROM certificate "
			    "WHERE revoked_at > 0 AND not_after > $1",
			    ASH_DB_VALUES(ASH_DB_I(now_s)), take_revoked, table, error))
		return FALSE;
	g_mutex_lock(&ca->lock);
	GHashTable *old = ca->revoked;
	ca->revoked = g_steal_pointer(&table);
	g_mutex_unlock(&ca->lock);
	g_hash_table_unref(old);
	return TRUE;
}

static void on_event(const AshEvent *event, gpointer data)
{
	AshCa *ca = data;
	static const char *const kinds[] = {
			"host.retired", "host.forgotten", "host.held", "host.clone", NULL};
	g_autoptr(AshDb) db = NULL;
	g_autoptr(GError) error = NULL;

	if (event->kind == NULL || !g_strv_contains(kinds, event->kind))
		return;
	if (!ash_db_pool_take(ca->pool, &db, &error) ||
			!ash_ca_load_revoked(ca, db, ca->now(), &error))
		g_warning("which certificates are withdrawn: %s; will ask at the next change",
				error->message);
}

void ash_ca_listen(AshCa *ca, AshDbPool *pool, AshEvents *events, int64_t (*now)(void))
{
	ca->pool = pool;
	ca->events = events;
	ca->now = now;
	ca->listener = ash_events_listen(events, -1, on_event, ca);
}

bool ash_ca_is_revoked(AshCa *ca, const char *serial)
{
	g_mutex_lock(&ca->lock);
	bool is_revoked = g_hash_table_contains(ca->revoked, serial);
	g_mutex_unlock(&ca->lock);
	return is_revoked;
}

gboolean ash_ca_crl(AshCa *ca, int64_t now_s, GBytes **out_der, GError **error)
{
	g_autoptr(GPtrArray) serials = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(int64_t));
	GHashTableIter iter;
	gpointer value = NULL;

	g_mutex_lock(&ca->lock);
	g_hash_table_iter_init(&iter, ca->revoked);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		Revoked *revoked = value;
		g_ptr_array_add(serials, g_strdup(revoked->serial));
		g_array_append_val(times, revoked->at_s);
	}
	g_mutex_unlock(&ca->lock);
	return ash_x509_crl_make(ca->authority, (const char *const *) serials->pdata,
			(const int64_t *) (const void *) times->data, serials->len, now_s, now_s,
			now_s + (int64_t) CRL_LIFE_DAYS * DAY_S, out_der, error);
}
