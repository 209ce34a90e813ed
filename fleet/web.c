/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/web.h"

#include <gio/gio.h>
#include <string.h>

/* From build/FLAVOR/fleet/web-data.c, which glib-compile-resources writes. */
GResource *ash_web_data_get_resource(void);
void ash_web_data_register_resource(void);

#define PREFIX "/org/ashlar/web"

static const struct {
	const char *suffix, *type;
} types[] = {
		{".html", "text/html; charset=utf-8"},
		{".mjs", "text/javascript; charset=utf-8"},
		{".js", "text/javascript; charset=utf-8"},
		{".css", "text/css; charset=utf-8"},
		{".svg", "image/svg+xml"},
};

typedef struct {
	GBytes *bytes;
	char *etag;
} Content;

typedef struct {
	const char *type;
	Content plain, gzip;
} Entry;

typedef struct {
	char *build;     /* of the paths of all but index.html */
	GHashTable *set; /* char *NAME → Entry */
} Table;

static Content load(GResource *resource, const char *name)
{
	g_autofree char *path = g_strconcat(PREFIX "/", name, NULL);
	/* They were put there when this program was made. */
	GBytes *bytes = g_resource_lookup_data(resource, path, G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
	g_assert(bytes);
	g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
	return (Content){bytes, g_strdup_printf("\"%.32s\"", digest)};
}

static const char *type_of(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
		if (g_str_has_suffix(name, types[i].suffix))
			return types[i].type;
	g_assert_not_reached();
}

static gpointer make_table(gpointer unused)
{
	ash_web_data_register_resource();
	GResource *resource = ash_web_data_get_resource();
	Table *table = g_new0(Table, 1);
	table->set = g_hash_table_new(g_str_hash, g_str_equal);

	g_auto(GStrv) names = g_resource_enumerate_children(
			resource, PREFIX, G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
	g_assert(names);
	for (char **name = names; *name; name++) {
		if (g_str_has_suffix(*name, ".gz") || strcmp(*name, "build") == 0)
			continue;
		g_autofree char *gzip = g_strconcat(*name, ".gz", NULL);
		Entry *entry = g_new0(Entry, 1);
		entry->type = type_of(*name);
		entry->plain = load(resource, *name);
		entry->gzip = load(resource, gzip);
		g_hash_table_insert(table->set, g_strdup(*name), entry);
	}

	Content build = load(resource, "build");
	gsize size;
	const char *text = g_bytes_get_data(build.bytes, &size);
	table->build = g_strndup(text, size);
	g_strchomp(table->build);
	g_bytes_unref(build.bytes);
	g_free(build.etag);
	return table;
}

static const Table *get_table(void)
{
	static GOnce once = G_ONCE_INIT;
	return g_once(&once, make_table, NULL);
}

bool ash_web_find(const char *path, bool takes_gzip, AshWebFile *out_file)
{
	const Table *table = get_table();
	const char *name = NULL;
	size_t length = strlen(table->build);

	if (strcmp(path, "/") == 0)
		name = "index.html";
	else if (g_str_has_prefix(path, "/web/") && strncmp(path + 5, table->build, length) == 0 &&
			path[5 + length] == '/')
		name = path + 5 + length + 1;
	const Entry *entry = name ? g_hash_table_lookup(table->set, name) : NULL;
	if (!entry)
		return false;

	const Content *content = takes_gzip ? &entry->gzip : &entry->plain;
	*out_file = (AshWebFile){
			.bytes = content->bytes,
			.type = entry->type,
			.etag = content->etag,
			.is_gzip = takes_gzip,
			.is_forever = path[1] != '\0',
	};
	return true;
}
