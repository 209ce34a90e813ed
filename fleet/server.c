/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fleet/audit.h"
#include "fleet/ca.h"
#include "fleet/operator.h"
#include "fleet/overview.h"
#include "fleet/route.h"
#include "fleet/scheduler.h"
#include "fleet/webhook.h"
#include "fleet/workload-log.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"
#include "lib/x509.h"

G_DEFINE_QUARK(ash_server_error, ash_server_error)

enum {
	WORKERS = 6,
	/* libmicrohttpd looks at all sleeping connections of a thread when one is woken, and hosts that wait sleep: a
	 * hundred thousand of them, and a thread has 1,600 to look at. Each costs 90 kB.
	 */
	THREADS = 64,
	/* Workers, the writer and its tidier, the stream's reader, the scheduler, webhooks and what listens. */
	CONNECTIONS = WORKERS + 11,
	PATIENCE_S = 10,
	MAX_PEM_BYTES = 256 << 10,
	MAX_BODY_BYTES = 64 << 10,
	FLEET_ID_DIGITS = 16,
};

static int64_t now_s(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

static int64_t steady_s(void)
{
	return g_get_monotonic_time() / G_USEC_PER_SEC;
}

/* ---- the directory ---- */

gboolean ash_server_lock(const char *dir, int *out_fd, GError **error)
{
	g_autofree char *path = g_build_filename(dir, "lock", NULL);
	ash_autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
		return ash_throw(error, ASH_SERVER_ERROR, ASH_SERVER_ERROR_RUNNING,
				"another ashlar-fleetd has %s", dir);
	*out_fd = g_steal_fd(&fd);
	return TRUE;
}

static gboolean ensure_meta(
		AshDb *db, const char *key, const char *value, char **out_value, GError **error)
{
	if (!ash_db_exec(db,
			    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
			    ASH_DB_VALUES(ASH_DB_T(key), ASH_DB_T(value)), NULL, error))
		return FALSE;
	return ash_db_query_string(db, "SELECT value FROM meta WHERE key = $1",
			ASH_DB_VALUES(ASH_DB_T(key)), out_value, error);
}

/* Of several servers that start on one empty database, the first one's word stays. */
static gboolean know_fleet(AshServer *server, AshDb *db, GError **error)
{
	g_autofree char *ca = NULL;
	g_autofree char *id = g_strdup_printf("%08x%08x", g_random_int(), g_random_int());

	G_STATIC_ASSERT(FLEET_ID_DIGITS == 2 * 8);
	if (!ensure_meta(db, "fleet.id", id, &server->fleet_id, error) ||
			!ensure_meta(db, "fleet.ca", ash_ca_fingerprint(server->ca), &ca, error))
		return FALSE;
	if (strcmp(ca, ash_ca_fingerprint(server->ca)) != 0)
		return ash_throw(error, ASH_SERVER_ERROR, ASH_SERVER_ERROR_OTHER,
				"the database belongs to the authority %.16s…, and %s/ca.pem is "
				"%.16s…; copy ca.pem and ca.key from a server of this fleet",
				ca, server->dir, ash_ca_fingerprint(server->ca));
	return TRUE;
}

static gboolean open_pool(const AshFleetConfig *config, AshDbPool **out_pool, GError **error)
{
	g_autoptr(AshDbPool) pool = NULL;
	g_autoptr(AshDb) db = NULL;

	if (!ash_db_pool_open(config->database, CONNECTIONS, &pool, error) ||
			!ash_db_pool_take(pool, &db, error) || !ash_db_migrate(db, error))
		return FALSE;
	ash_db_give(g_steal_pointer(&db));
	*out_pool = g_steal_pointer(&pool);
	return TRUE;
}

gboolean ash_server_open_database(
		const char *dir, AshFleetConfig **out_config, AshDbPool **out_pool, GError **error)
{
	g_autoptr(AshFleetConfig) config = NULL;

	if (!ash_fleet_config_load(dir, &config, error) || !open_pool(config, out_pool, error))
		return FALSE;
	*out_config = g_steal_pointer(&config);
	return TRUE;
}

gboolean ash_server_make_token(const char *dir, const char *note, char **out_token, GError **error)
{
	g_autoptr(AshFleetConfig) config = NULL;
	g_autoptr(AshDbPool) pool = NULL;
	g_autoptr(AshDb) db = NULL;
	g_autofree char *id = NULL;
	g_autofree char *token = NULL;
	const AshOperatorToken wish = {
			.role = "admin", .scope = "", .note = note, .created_by = "ashlar-fleetd"};

	if (!ash_server_open_database(dir, &config, &pool, error) ||
			!ash_db_pool_take(pool, &db, error) || !ash_db_begin(db, true, error) ||
			!ash_operator_make_token(db, &wish, now_s(), &id, &token, error))
		return FALSE;
	const AshAudit audit = {.at_s = now_s(),
			.actor = "ashlar-fleetd",
			.role = "admin",
			.action = "token.create",
			.object = id,
			.reason = note};
	if (!ash_audit_append(db, &audit, error) || !ash_db_commit(db, error))
		return FALSE;
	ash_db_give(g_steal_pointer(&db));
	*out_token = g_steal_pointer(&token);
	return TRUE;
}

/* ---- certificates ---- */

static gboolean read_pem(const char *path, char **out_text, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;

	if (!ash_file_read(AT_FDCWD, path, MAX_PEM_BYTES, &bytes, error))
		return FALSE;
	*out_text = g_strdup(g_bytes_get_data(bytes, NULL));
	return TRUE;
}

static unsigned port_of(const AshServer *server, const AshFleetConfig *config)
{
	const char *listen = server->listen != NULL ? server->listen : config->listen;
	const char *colon = strrchr(listen, ':');

	if (server->http != NULL)
		return ash_http_port(server->http);
	return colon != NULL ? (unsigned) g_ascii_strtoull(colon + 1, NULL, 10) : 0;
}

static gboolean server_certificate(AshServer *server, const AshFleetConfig *config,
		char **out_certificate, char **out_key, bool *out_is_new, GError **error)
{
	*out_is_new = true;
	if (config->certificate != NULL)
		return read_pem(config->certificate, out_certificate, error) &&
		       read_pem(config->key, out_key, error);
	const char *name = config->names[0] != NULL ? config->names[0] : g_get_host_name();
	unsigned port = port_of(server, config);
	/* A port that is another each time is no address to write down. */
	g_autofree char *crl =
			port != 0 ? g_strdup_printf("https://%s:%u/v1/crl", name, port) : NULL;
	return ash_ca_server_certificate(server->ca, config->names, crl, server->now(),
			out_certificate, out_key, out_is_new, error);
}

gboolean ash_server_renew(AshServer *server, GError **error)
{
	g_autofree char *certificate = NULL;
	g_autofree char *key = NULL;
	bool is_new = false;

	if (!server_certificate(server, server->config, &certificate, &key, &is_new, error))
		return FALSE;
	return !is_new || ash_http_set_certificate(server->http, certificate, key, error);
}

gboolean ash_server_reload(AshServer *server, GError **error)
{
	g_autoptr(AshFleetConfig) config = NULL;
	g_autofree char *certificate = NULL;
	g_autofree char *key = NULL;
	bool is_new = false;

	if (!ash_fleet_config_load(server->dir, &config, error) ||
			!server_certificate(server, config, &certificate, &key, &is_new, error) ||
			!ash_http_set_certificate(server->http, certificate, key, error))
		return FALSE;
	/* Calls that run still read the old ones. */
	union {
		const AshFleetConfig *ours;
		gpointer theirs;
	} old = {.ours = server->config};
	g_ptr_array_add(server->old_configs, old.theirs);
	__atomic_store_n(&server->config, g_steal_pointer(&config), __ATOMIC_SEQ_CST);
	return TRUE;
}

/* ---- start ---- */

static void free_config(gpointer config)
{
	ash_fleet_config_free(config);
}

/* Each connection is an open file. */
static void raise_files(void)
{
	struct rlimit files = {0};

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		g_debug("RLIMIT_NOFILE: %s", g_strerror(errno));
}

static gboolean open_directory(AshServer *server, GError **error)
{
	g_autoptr(AshFleetConfig) config = NULL;

	if (!ash_file_ensure_dir(AT_FDCWD, server->dir, 0700, error) ||
			!ash_server_lock(server->dir, &server->lock_fd, error) ||
			!ash_fleet_config_load(server->dir, &config, error))
		return FALSE;
	bool is_own = g_str_has_prefix(config->content, server->dir);
	if (is_own && !ash_file_ensure_dir(AT_FDCWD, config->content, 0755, error))
		return FALSE;
	server->config = g_steal_pointer(&config);
	return TRUE;
}

static gboolean open_data(AshServer *server, GError **error)
{
	g_autoptr(AshDb) db = NULL;

	if (!ash_ca_open(server->dir, server->now(), &server->ca, error) ||
			!open_pool(server->config, &server->pool, error) ||
			!ash_db_pool_take(server->pool, &db, error) ||
			!know_fleet(server, db, error) ||
			!ash_ca_load_revoked(server->ca, db, server->now(), error))
		return FALSE;
	ash_db_give(g_steal_pointer(&db));
	return TRUE;
}

/* Last, for it is told once: nothing may fail behind it. */
static gboolean make_first_token(AshServer *server, char **out_token, GError **error)
{
	g_autoptr(AshDb) db = NULL;

	if (!ash_db_pool_take(server->pool, &db, error) ||
			!ash_operator_make_first(db, server->now(), out_token, error))
		return FALSE;
	ash_db_give(g_steal_pointer(&db));
	return TRUE;
}

static gboolean start_parts(AshServer *server, GError **error)
{
	if (!ash_writer_start(server->pool, &server->writer, error) ||
			!ash_live_load(server->pool, &server->live, error) ||
			!ash_events_start(server->pool, &server->events, error))
		return FALSE;
	ash_live_follow(server->live, server->pool, server->events);
	ash_ca_listen(server->ca, server->pool, server->events, server->now);
	server->operators = ash_operators_new(server->pool, server->now);
	ash_operators_listen(server->operators, server->events);
	server->logs = ash_workload_logs_start(server);
	return ash_scheduler_start(server, false, &server->scheduler, error) &&
	       ash_overview_start(server, &server->overview, error) &&
	       ash_webhooks_start(server, &server->webhooks, error);
}

static gboolean start_http(AshServer *server, GError **error)
{
	const AshFleetConfig *config = server->config;
	g_autofree char *certificate = NULL;
	g_autofree char *key = NULL;
	bool is_new = false;

	if (!server_certificate(server, config, &certificate, &key, &is_new, error))
		return FALSE;
	ash_route_prepare(server);
	const AshHttpOptions options = {
			.address = server->listen != NULL ? server->listen : config->listen,
			.certificate_pem = certificate,
			.key_pem = key,
			.client_ca_pem = ash_ca_certificate(server->ca),
			.proxy_certificate_sha256 = config->proxy_certificate,
			.threads = THREADS,
			.workers = WORKERS,
			.max_connections = (unsigned) config->max_connections,
			.max_body_bytes = MAX_BODY_BYTES,
			/* Hosts that poll keep their connection from one time to the next. */
			.idle_s = (unsigned) MIN(config->poll_s + config->poll_s / 4 + 30, 3600),
			.admit = ash_route_admit,
			.handle = ash_route_handle,
			.ended = ash_route_ended,
			.data = server,
	};
	return ash_http_start(&options, &server->http, error);
}

gboolean ash_server_start(const char *dir, const char *listen, AshServer **out_server,
		char **out_token, GError **error)
{
	g_autoptr(AshServer) server = g_new0(AshServer, 1);

	server->lock_fd = -1;
	server->now = now_s;
	server->steady = steady_s;
	server->started_at = now_s();
	server->dir = g_canonicalize_filename(dir, NULL);
	server->listen = g_strdup(listen);
	server->old_configs = g_ptr_array_new_with_free_func(free_config);
	umask(0077);
	raise_files();
	if (!open_directory(server, error) || !open_data(server, error) ||
			!start_parts(server, error) || !start_http(server, error) ||
			!make_first_token(server, out_token, error))
		return FALSE;
	*out_server = g_steal_pointer(&server);
	return TRUE;
}

void ash_server_stop(AshServer *server)
{
	if (server == NULL)
		return;
	/* Hosts that wait are answered, and what they sent is written, before their connections go. */
	if (server->live != NULL)
		ash_live_wake_all(server->live);
	if (server->http != NULL)
		ash_http_stop(server->http, PATIENCE_S);
	g_clear_pointer(&server->http, ash_http_free);
	ash_route_finish();
	g_clear_pointer(&server->scheduler, ash_scheduler_free);
	g_clear_pointer(&server->webhooks, ash_webhooks_free);
	g_clear_pointer(&server->overview, ash_overview_free);
	g_clear_pointer(&server->logs, ash_workload_logs_free);
	g_clear_pointer(&server->operators, ash_operators_free);
	g_clear_pointer(&server->ca, ash_ca_free);
	g_clear_pointer(&server->live, ash_live_free);
	g_clear_pointer(&server->events, ash_events_free);
	g_clear_pointer(&server->writer, ash_writer_free);
	g_clear_pointer(&server->pool, ash_db_pool_free);
	g_clear_pointer(&server->old_configs, g_ptr_array_unref);
	union {
		const AshFleetConfig *ours;
		AshFleetConfig *theirs;
	} config = {.ours = server->config};
	ash_fleet_config_free(config.theirs);
	if (server->lock_fd >= 0)
		close(server->lock_fd);
	g_free(server->fleet_id);
	g_free(server->listen);
	g_free(server->dir);
	g_free(server);
}
