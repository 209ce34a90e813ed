/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <string.h>

#include "builder/sbom.h"
#include "lib/json.h"

#define IMAGE "SPDXRef-Image"
#define DOCUMENT "SPDXRef-DOCUMENT"

/* Identifiers may have letters, digits, '.' and '-'. Debian's names and versions have no upper case
 * behind a dot, so ".2B" for '+' keeps different things different.
 */
static void append_id(GString *id, const char *text)
{
	for (const unsigned char *p = (const unsigned char *) text; *p != '\0'; p++)
		if (g_ascii_isalnum(*p) || *p == '.' || *p == '-')
			g_string_append_c(id, (char) *p);
		else
			g_string_append_printf(id, ".%02X", *p);
}

static char *package_id(const AshCommit *commit, guint index)
{
	GString *id = g_string_new("SPDXRef-Package-");

	append_id(id, ash_commit_package(commit, index, "name"));
	g_string_append_c(id, '-');
	append_id(id, ash_commit_package(commit, index, "arch"));
	return g_string_free(id, FALSE);
}

static char *source_id(const AshCommit *commit, guint index)
{
	GString *id = g_string_new("SPDXRef-Source-");

	append_id(id, ash_sbom_source(commit, index));
	g_string_append_c(id, '-');
	append_id(id, ash_sbom_source_version(commit, index));
	return g_string_free(id, FALSE);
}

/* "Organization: …" or "Person: …", which SPDX wants to know. Debian does not say which; a team has
 * one of these words in its name.
 */
static char *supplier(const char *maintainer)
{
	static const char *const words[] = {
			"team", "maintainer", "developer", "group", "project", "packag", "debian "};
	g_autofree char *name = NULL, *address = NULL;
	const char *kind = "Person";

	if (*maintainer == '\0')
		return g_strdup("NOASSERTION");
	ash_sbom_split_maintainer(maintainer, &name, &address);
	g_autofree char *lower = g_ascii_strdown(name, -1);
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if (strstr(lower, words[i]) != NULL)
			kind = "Organization";
	return address != NULL ? g_strdup_printf("%s: %s (%s)", kind, name, address)
			       : g_strdup_printf("%s: %s", kind, name);
}

static void add_reference(
		JsonBuilder *json, const char *category, const char *type, const char *locator)
{
	json_builder_begin_object(json);
	ash_json_add_text(json, "referenceCategory", category);
	ash_json_add_text(json, "referenceType", type);
	ash_json_add_text(json, "referenceLocator", locator);
	json_builder_end_object(json);
}

/* What every package of a document has. */
static void add_common(JsonBuilder *json, const char *id, const char *name, const char *version,
		const char *license, const char *from)
{
	ash_json_add_text(json, "SPDXID", id);
	ash_json_add_text(json, "name", name);
	ash_json_add_text(json, "versionInfo", version);
	ash_json_add_text(json, "supplier", from);
	ash_json_add_text(json, "downloadLocation", "NOASSERTION");
	ash_json_add_bool(json, "filesAnalyzed", false);
	ash_json_add_text(json, "licenseConcluded", "NOASSERTION");
	ash_json_add_text(json, "licenseDeclared", license);
	ash_json_add_text(json, "copyrightText", "NOASSERTION");
}

static void add_image(JsonBuilder *json, const AshCommit *commit)
{
	g_autofree char *name = ash_sbom_name(commit);
	g_autofree char *comment = g_strdup_printf("OSTree commit %s", commit->commit);

	json_builder_begin_object(json);
	add_common(json, IMAGE, commit->name != NULL ? commit->name : name, commit->version,
			"NOASSERTION", "NOASSERTION");
	ash_json_add_text(json, "primaryPackagePurpose",
			g_strcmp0(commit->kind, "workload") == 0 ? "CONTAINER"
								 : "OPERATING_SYSTEM");
	ash_json_add_text(json, "comment", comment);
	json_builder_end_object(json);
}

static void add_package(JsonBuilder *json, const AshCommit *commit, guint index)
{
	const char *name = ash_commit_package(commit, index, "name");
	const char *version = ash_commit_package(commit, index, "version");
	const char *license = ash_commit_package(commit, index, "licenses");
	const char *sha256 = ash_commit_package(commit, index, "sha256");
	g_autofree char *id = package_id(commit, index);
	g_autofree char *from = supplier(ash_commit_package(commit, index, "maintainer"));
	g_autofree char *purl = ash_sbom_purl(name, version,
			ash_commit_package(commit, index, "arch"), commit->suite, NULL);

	json_builder_begin_object(json);
	add_common(json, id, name, version, *license != '\0' ? license : "NOASSERTION", from);
	ash_json_add_text(json, "homepage", ash_sbom_homepage(commit, index));
	ash_json_add_text(json, "summary", ash_commit_package(commit, index, "summary"));
	if (*ash_commit_package(commit, index, "removed") != '\0')
		ash_json_add_text(json, "comment",
				"Its files were taken out of the image after building.");
	if (*sha256 != '\0') {
		ash_json_begin_array(json, "checksums");
		json_builder_begin_object(json);
		ash_json_add_text(json, "algorithm", "SHA256");
		ash_json_add_text(json, "checksumValue", sha256);
		json_builder_end_object(json);
		json_builder_end_array(json);
	}
	ash_json_begin_array(json, "externalRefs");
	add_reference(json, "PACKAGE-MANAGER", "purl", purl);
	json_builder_end_array(json);
	json_builder_end_object(json);
}

/* Source packages; several packages come from one. */
static void add_source(JsonBuilder *json, const AshCommit *commit, guint index, GHashTable *seen)
{
	g_autofree char *id = source_id(commit, index);
	const char *name = ash_sbom_source(commit, index);
	const char *version = ash_sbom_source_version(commit, index);
	g_autofree char *purl = ash_sbom_purl(name, version, "source", commit->suite, NULL);

	if (!g_hash_table_add(seen, g_strdup(id)))
		return;
	json_builder_begin_object(json);
	add_common(json, id, name, version, "NOASSERTION", "NOASSERTION");
	ash_json_add_text(json, "primaryPackagePurpose", "SOURCE");
	ash_json_begin_array(json, "externalRefs");
	add_reference(json, "PACKAGE-MANAGER", "purl", purl);
	json_builder_end_array(json);
	json_builder_end_object(json);
}

static void add_relationship(JsonBuilder *json, const char *a, const char *type, const char *b)
{
	json_builder_begin_object(json);
	ash_json_add_text(json, "spdxElementId", a);
	ash_json_add_text(json, "relationshipType", type);
	ash_json_add_text(json, "relatedSpdxElement", b);
	json_builder_end_object(json);
}

static void add_relationships(JsonBuilder *json, const AshCommit *commit)
{
	ash_json_begin_array(json, "relationships");
	add_relationship(json, DOCUMENT, "DESCRIBES", IMAGE);
	for (guint i = 0; i < commit->packages->len; i++) {
		g_autofree char *id = package_id(commit, i);
		g_autofree char *source = source_id(commit, i);
		if (*ash_commit_package(commit, i, "removed") != '\0')
			add_relationship(json, id, "BUILD_DEPENDENCY_OF", IMAGE);
		else
			add_relationship(json, IMAGE, "CONTAINS", id);
		add_relationship(json, id, "GENERATED_FROM", source);
	}
	json_builder_end_array(json);
}

static int compare_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Licences outside of SPDX's list have to be declared. Their texts are in the packages. */
static void add_references(JsonBuilder *json, const AshCommit *commit)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) references = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; i < commit->packages->len; i++) {
		const char *license = ash_commit_package(commit, i, "licenses");
		g_auto(GStrv) words = g_strsplit_set(license, " ()", -1);
		for (char **word = words; *word != NULL; word++) {
			if (!g_str_has_prefix(*word, "LicenseRef-") ||
					g_hash_table_contains(seen, *word))
				continue;
			g_ptr_array_add(references, g_strdup(*word));
			g_hash_table_add(seen, references->pdata[references->len - 1]);
		}
	}
	if (references->len == 0)
		return;
	g_ptr_array_sort(references, compare_text);
	ash_json_begin_array(json, "hasExtractedLicensingInfos");
	for (guint i = 0; i < references->len; i++) {
		const char *id = references->pdata[i];
		json_builder_begin_object(json);
		ash_json_add_text(json, "licenseId", id);
		ash_json_add_text(json, "name", id + strlen("LicenseRef-"));
		ash_json_add_text(json, "extractedText",
				"The text is in debian/copyright of the packages that declare it.");
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
}

static void add_creation(JsonBuilder *json, const AshCommit *commit)
{
	g_autofree char *time = ash_sbom_timestamp(commit);

	ash_json_begin_object(json, "creationInfo");
	ash_json_add_text(json, "created", time);
	ash_json_begin_array(json, "creators");
	json_builder_add_string_value(json, "Tool: ashlar-" ASH_VERSION);
	json_builder_end_array(json);
	json_builder_end_object(json);
}

char *ash_sbom_format_spdx(const AshCommit *commit)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autoptr(GHashTable) sources =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autofree char *name = ash_sbom_name(commit);
	g_autofree char *uuid = ash_sbom_uuid(commit);
	g_autofree char *space = g_strconcat("urn:uuid:", uuid, NULL);

	json_builder_begin_object(json);
	ash_json_add_text(json, "spdxVersion", "SPDX-2.3");
	ash_json_add_text(json, "dataLicense", "CC0-1.0");
	ash_json_add_text(json, "SPDXID", DOCUMENT);
	ash_json_add_text(json, "name", name);
	ash_json_add_text(json, "documentNamespace", space);
	add_creation(json, commit);
	ash_json_begin_array(json, "packages");
	add_image(json, commit);
	for (guint i = 0; i < commit->packages->len; i++)
		add_package(json, commit, i);
	for (guint i = 0; i < commit->packages->len; i++)
		add_source(json, commit, i, sources);
	json_builder_end_array(json);
	add_relationships(json, commit);
	add_references(json, commit);
	json_builder_end_object(json);
	return ash_json_format(json, true);
}
