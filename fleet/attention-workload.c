/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/overview.h"
#include "fleet/server.h"
#include "fleet/wanted.h"
#include "fleet/workload-said.h"
#include "lib/json.h"

/* Workloads that are failed, or wanted and missing, on hosts: a line for each workload and version, and a way to it. */

typedef struct {
	char *workload, *version, *word;
	unsigned hosts;
} Trouble;

typedef struct {
	const AshScope *scope;
	const AshHost *host;
	GHashTable *troubles; /* "NAME VERSION WORD" → Trouble */
} Search;

static void trouble_free(gpointer data)
{
	Trouble *trouble = data;

	g_free(trouble->workload);
	g_free(trouble->version);
	g_free(trouble->word);
	g_free(trouble);
}

static void note(const Search *search, const char *workload, const char *version, const char *word)
{
	g_autofree char *key = g_strdup_printf("%s %s %s", workload, version, word);
	Trouble *trouble = g_hash_table_lookup(search->troubles, key);

	if (trouble == NULL) {
		trouble = g_new0(Trouble, 1);
		trouble->workload = g_strdup(workload);
		trouble->version = g_strdup(version);
		trouble->word = g_strdup(word);
		g_hash_table_insert(search->troubles, g_steal_pointer(&key), trouble);
	}
	trouble->hosts++;
}

/* What failed once and is not wanted any more is history. */
static bool look_at_line(const AshWorkloadSaid *said, gpointer data)
{
	const Search *search = data;

	if (*said->word != '\0')
		note(search, said->name, said->missing, said->word);
	else if (said->is_failed)
		note(search, said->name, said->version, "failed");
	else if (said->failed_count > 0) {
		g_autoptr(GPtrArray) all = ash_wanted_parse(search->host->wanted);
		const AshWanted *wanted = ash_wanted_find(all, said->name);
		if (wanted != NULL && ash_workload_said_has_failed(said, wanted->version))
			note(search, said->name, wanted->version, "failed");
	}
	return true;
}

static bool look_at(const AshHost *host, gpointer data)
{
	Search *search = data;

	if (*host->workloads == '\0' || host->state != ASH_HOST_ACTIVE ||
			!ash_scope_has(search->scope, host))
		return true;
	search->host = host;
	ash_workload_said_each(host->workloads, look_at_line, search);
	return true;
}

static int compare(gconstpointer a, gconstpointer b)
{
	const Trouble *x = *(Trouble *const *) a, *y = *(Trouble *const *) b;

	if (x->hosts != y->hosts)
		return x->hosts > y->hosts ? -1 : 1;
	int order = strcmp(x->workload, y->workload);
	return order != 0 ? order : strcmp(x->version, y->version);
}

static void add(JsonBuilder *json, const char *text, const char *link, unsigned count)
{
	json_builder_begin_object(json);
	ash_json_add_text(json, "kind", "workload");
	ash_json_add_text(json, "text", text);
	ash_json_add_text(json, "link", link);
	ash_json_add_uint(json, "count", count);
	json_builder_end_object(json);
}

static void add_trouble(JsonBuilder *json, const Trouble *trouble)
{
	bool has_failed = strcmp(trouble->word, "failed") == 0;
	g_autofree char *hosts = g_strdup_printf(
			trouble->hosts == 1 ? "%u host" : "%u hosts", trouble->hosts);
	g_autofree char *name = g_strconcat(trouble->workload, *trouble->version != '\0' ? " " : "",
			trouble->version, NULL);
	g_autofree char *text =
			has_failed ? g_strdup_printf("Workload %s failed on %s.", name, hosts)
				   : g_strdup_printf("Workload %s is missing on %s: %s.", name,
						     hosts, trouble->word);
	g_autofree char *link = g_strconcat("/workloads/", trouble->workload, NULL);

	add(json, text, link, trouble->hosts);
}

void ash_overview_add_workloads(AshServer *server, const AshScope *scope, JsonBuilder *json)
{
	g_autoptr(GHashTable) troubles =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, trouble_free);
	g_autoptr(GPtrArray) sorted = g_ptr_array_new();
	Search search = {.scope = scope, .troubles = troubles};
	GHashTableIter iter;
	gpointer value;

	ash_live_each(server->live, look_at, &search);
	g_hash_table_iter_init(&iter, troubles);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		g_ptr_array_add(sorted, value);
	g_ptr_array_sort(sorted, compare);
	for (guint i = 0; i < sorted->len && i < ASH_OVERVIEW_MAX_ATTENTION; i++)
		add_trouble(json, sorted->pdata[i]);
	if (sorted->len > ASH_OVERVIEW_MAX_ATTENTION) {
		unsigned rest = sorted->len - ASH_OVERVIEW_MAX_ATTENTION;
		g_autofree char *text = g_strdup_printf(
				"%u more versions of workloads failed or are missing.", rest);
		add(json, text, "/workloads", rest);
	}
}
