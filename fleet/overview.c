/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/overview.h"

#include <string.h>

#include "fleet/published.h"
#include "fleet/server.h"
#include "lib/error.h"

enum {
	TURN_S = 60,
	MAX_CERTIFICATES = 50,
};

struct AshOverview {
	AshServer *server;
	GThread *thread;
	GMutex lock;
	GCond wake;
	bool is_ending;
	GArray *certificates; /* AshOverviewCertificate */
	uint64_t certificate_count;
	char *publication;
};

/* ---- counts ---- */

typedef struct {
	const AshScope *scope;
	AshOverviewCounts *counts;
	GHashTable *versions; /* text → index + 1 of counts->versions */
} Counting;

static bool count_host(const AshHost *host, gpointer data)
{
	Counting *counting = data;
	AshOverviewCounts *counts = counting->counts;

	if (counting->scope != NULL && !ash_scope_has(counting->scope, host))
		return true;
	counts->by_state[host->state]++;
	if (host->state != ASH_HOST_RETIRED)
		counts->hosts++;
	if (host->state != ASH_HOST_ACTIVE)
		return true;
	counts->by_health[host->health]++;
	guint index = GPOINTER_TO_UINT(g_hash_table_lookup(counting->versions, host->version));
	if (index == 0) {
		const AshOverviewVersion version = {ash_live_intern(host->version), 0};
		g_array_append_val(counts->versions, version);
		index = counts->versions->len;
		g_hash_table_insert(counting->versions, (gpointer) (uintptr_t) version.version,
				GUINT_TO_POINTER(index));
	}
	g_array_index(counts->versions, AshOverviewVersion, index - 1).count++;
	return true;
}

static int compare_versions(gconstpointer a, gconstpointer b)
{
	const AshOverviewVersion *va = a;
	const AshOverviewVersion *vb = b;

	if (va->count != vb->count)
		return va->count > vb->count ? -1 : 1;
	return strcmp(va->version, vb->version);
}

void ash_overview_count(AshServer *server, const AshScope *scope, AshOverviewCounts *out_counts)
{
	g_autoptr(GHashTable) versions = g_hash_table_new(g_str_hash, g_str_equal);
	Counting counting = {scope, out_counts, versions};

	*out_counts = (AshOverviewCounts){0};
	out_counts->versions = g_array_new(FALSE, FALSE, sizeof(AshOverviewVersion));
	ash_live_each(server->live, count_host, &counting);
	g_array_sort(out_counts->versions, compare_versions);
}

void ash_overview_counts_clear(AshOverviewCounts *counts)
{
	g_clear_pointer(&counts->versions, g_array_unref);
}

void ash_overview_counts_shorten(AshOverviewCounts *counts, unsigned max)
{
	AshOverviewVersion other = {"other", 0};

	if (counts->versions->len <= max)
		return;
	for (guint i = max - 1; i < counts->versions->len; i++)
		other.count += g_array_index(counts->versions, AshOverviewVersion, i).count;
	g_array_set_size(counts->versions, max - 1);
	g_array_append_val(counts->versions, other);
}

/* ---- samples ---- */

static gboolean write_sample(AshServer *server, AshDb *db, int64_t at, GError **error)
{
	g_auto(AshOverviewCounts) counts = {0};

	ash_overview_count(server, NULL, &counts);
	ash_overview_counts_shorten(&counts, ASH_OVERVIEW_MAX_VERSIONS);
	for (guint i = 0; i < counts.versions->len; i++) {
		const AshOverviewVersion *version =
				&g_array_index(counts.versions, AshOverviewVersion, i);
		/* Two servers may sample at once. */
		if (!ash_db_exec(db,
				    "INSERT INTO version_sample (at, version, count) VALUES ($1, $2, "
				    "$3) ON CONFLICT (at, version) DO NOTHING",
				    ASH_DB_VALUES(ASH_DB_I(at), ASH_DB_T(version->version),
						    ASH_DB_I(version->count)),
				    NULL, error))
			return FALSE;
	}
	return ash_db_exec(db,
			"DELETE FROM version_sample WHERE at < $1 OR (at < $2 AND at % 3600 <> 0)",
			ASH_DB_VALUES(ASH_DB_I(at - ASH_OVERVIEW_KEEP_S),
					ASH_DB_I(at - ASH_OVERVIEW_FINE_S)),
			NULL, error);
}

gboolean ash_overview_sample(AshServer *server, AshDb *db, GError **error)
{
	int64_t now = server->now();
	int64_t at = now - now % ASH_OVERVIEW_SAMPLE_S;
	int64_t count = 0;

	if (!ash_db_query_int(db, "SELECT COUNT(*) FROM version_sample WHERE at = $1",
			    ASH_DB_VALUES(ASH_DB_I(at)), NULL, &count, error))
		return FALSE;
	if (count > 0)
		return TRUE;
	if (!ash_db_begin(db, true, error))
		return FALSE;
	if (!write_sample(server, db, at, error) || !ash_db_commit(db, error)) {
		ash_db_rollback(db);
		return FALSE;
	}
	return TRUE;
}

/* ---- what takes longer ---- */

typedef struct {
	GArray *certificates;
	uint64_t count;
} Ending;

static gboolean take_certificate(const AshDbRow *row, gpointer data, GError **error)
{
	Ending *ending = data;
	AshOverviewCertificate certificate = {.not_after = ash_db_row_int(row, 1)};

	g_strlcpy(certificate.host, ash_db_row_text(row, 0), sizeof certificate.host);
	if (ending->count++ < MAX_CERTIFICATES)
		g_array_append_val(ending->certificates, certificate);
	return TRUE;
}

static gboolean find_certificates(AshOverview *overview, AshDb *db, GError **error)
{
	Ending ending = {g_array_new(FALSE, FALSE, sizeof(AshOverviewCertificate)), 0};
	gboolean ok = ash_db_query(db,
			"SELECT certificate.host, MAX(not_after) FROM certificate JOIN host ON host.id = "
			"certificate.host WHERE revoked_at = 0 AND host.state = 'active' GROUP BY certificate.host "
			"HAVING MAX(not_after) < $1 ORDER BY 2, 1",
			ASH_DB_VALUES(ASH_DB_I(
					overview->server->now() + ASH_OVERVIEW_CERTIFICATE_S)),
			take_certificate, &ending, error);

	g_mutex_lock(&overview->lock);
	if (ok) {
		GArray *old = overview->certificates;
		overview->certificates = ending.certificates;
		overview->certificate_count = ending.count;
		ending.certificates = old;
	}
	g_mutex_unlock(&overview->lock);
	g_array_unref(ending.certificates);
	return ok;
}

static char *say_left(int64_t left_s)
{
	if (left_s <= 0)
		return g_strdup("has expired");
	if (left_s < 2 * 60 * 60)
		return g_strdup_printf("expires in %" G_GINT64_FORMAT " minutes", left_s / 60);
	return g_strdup_printf("expires in %" G_GINT64_FORMAT " hours", left_s / 3600);
}

static void look_at_publication(AshOverview *overview)
{
	AshServer *server = overview->server;
	g_autoptr(AshPublished) published = NULL;
	g_autoptr(GError) error = NULL;
	char *text = NULL;

	if (!ash_published_open(server->config->content, &published, &error)) {
		if (!g_error_matches(error, ASH_PUBLISHED_ERROR, ASH_PUBLISHED_ERROR_NONE))
			text = g_strdup(error->message);
	} else if (published->expires_at - server->now() < ASH_OVERVIEW_METADATA_S) {
		g_autofree char *left = say_left(published->expires_at - server->now());
		text = g_strdup_printf("The publication's %s %s: run 'ashlar publish'. Without it "
				       "hosts take nothing new.",
				published->expires_first, left);
	}
	g_mutex_lock(&overview->lock);
	g_free(overview->publication);
	overview->publication = text;
	g_mutex_unlock(&overview->lock);
}

GArray *ash_overview_certificates(AshOverview *overview, uint64_t *out_count)
{
	g_mutex_lock(&overview->lock);
	GArray *copy = g_array_copy(overview->certificates);
	*out_count = overview->certificate_count;
	g_mutex_unlock(&overview->lock);
	return copy;
}

char *ash_overview_publication(AshOverview *overview)
{
	g_mutex_lock(&overview->lock);
	char *text = g_strdup(overview->publication);
	g_mutex_unlock(&overview->lock);
	return text;
}

/* ---- the thread ---- */

static void turn(AshOverview *overview)
{
	g_autoptr(AshDb) db = NULL;
	g_autoptr(GError) error = NULL;

	look_at_publication(overview);
	if (!ash_db_pool_take(overview->server->pool, &db, &error) ||
			!find_certificates(overview, db, &error) ||
			!ash_overview_sample(overview->server, db, &error))
		g_warning("overview: %s", error->message);
}

static gpointer run(gpointer data)
{
	AshOverview *overview = data;

	g_mutex_lock(&overview->lock);
	while (!overview->is_ending) {
		g_mutex_unlock(&overview->lock);
		turn(overview);
		g_mutex_lock(&overview->lock);
		int64_t until = g_get_monotonic_time() + TURN_S * G_TIME_SPAN_SECOND;
		while (!overview->is_ending &&
				g_cond_wait_until(&overview->wake, &overview->lock, until))
			;
	}
	g_mutex_unlock(&overview->lock);
	return NULL;
}

gboolean ash_overview_start(AshServer *server, AshOverview **out_overview, GError **error)
{
	AshOverview *overview = g_new0(AshOverview, 1);

	overview->server = server;
	overview->certificates = g_array_new(FALSE, FALSE, sizeof(AshOverviewCertificate));
	g_mutex_init(&overview->lock);
	g_cond_init(&overview->wake);
	overview->thread = g_thread_new("overview", run, overview);
	*out_overview = overview;
	return TRUE;
}

void ash_overview_free(AshOverview *overview)
{
	if (overview == NULL)
		return;
	g_mutex_lock(&overview->lock);
	overview->is_ending = true;
	g_cond_signal(&overview->wake);
	g_mutex_unlock(&overview->lock);
	g_thread_join(overview->thread);
	g_mutex_clear(&overview->lock);
	g_cond_clear(&overview->wake);
	g_array_unref(overview->certificates);
	g_free(overview->publication);
	g_free(overview);
}
