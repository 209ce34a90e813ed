/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

#include "builder/sbom.h"
#include "lib/json.h"

#define IMAGE "image"

static void add_property(JsonBuilder *json, const char *name, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	json_builder_begin_object(json);
	ash_json_add_text(json, "name", name);
	ash_json_add_text(json, "value", value);
	json_builder_end_object(json);
}

static void add_metadata(JsonBuilder *json, const AshCommit *commit)
{
	g_autofree char *time = ash_sbom_timestamp(commit);
	g_autofree char *name = ash_sbom_name(commit);
	bool is_workload = g_strcmp0(commit->kind, "workload") == 0;

	ash_json_begin_object(json, "metadata");
	ash_json_add_text(json, "timestamp", time);
	ash_json_begin_object(json, "tools");
	ash_json_begin_array(json, "components");
	json_builder_begin_object(json);
	ash_json_add_text(json, "type", "application");
	ash_json_add_text(json, "name", "ashlar");
	ash_json_add_text(json, "version", ASH_VERSION);
	json_builder_end_object(json);
	json_builder_end_array(json);
	json_builder_end_object(json);
	ash_json_begin_object(json, "component");
	ash_json_add_text(json, "type", is_workload ? "container" : "operating-system");
	ash_json_add_text(json, "bom-ref", IMAGE);
	ash_json_add_text(json, "name", commit->name != NULL ? commit->name : name);
	ash_json_add_text(json, "version", commit->version);
	ash_json_begin_array(json, "properties");
	add_property(json, "ashlar:architecture", commit->arch);
	add_property(json, "ashlar:commit", commit->commit);
	add_property(json, "ashlar:lock-digest", commit->lock_digest);
	add_property(json, "ashlar:manifest-digest", commit->manifest_digest);
	add_property(json, "ashlar:suite", commit->suite);
	add_property(json, "ashlar:variant", commit->variant);
	json_builder_end_array(json);
	json_builder_end_object(json);
	json_builder_end_object(json);
}

static char *package_purl(const AshCommit *commit, guint index)
{
	const char *name = ash_commit_package(commit, index, "name");
	const char *version = ash_commit_package(commit, index, "version");
	const char *source = ash_sbom_source(commit, index);
	const char *source_version = ash_sbom_source_version(commit, index);
	/* Left out when they say nothing that name and version do not. */
	bool is_own_version = g_strcmp0(source_version, version) == 0;
	g_autofree char *upstream =
			is_own_version ? g_strdup(g_strcmp0(source, name) == 0 ? "" : source)
				       : g_strconcat(source, "@", source_version, NULL);

	return ash_sbom_purl(name, version, ash_commit_package(commit, index, "arch"),
			commit->suite, upstream);
}

static void add_supplier(JsonBuilder *json, const char *maintainer)
{
	g_autofree char *name = NULL, *address = NULL;

	ash_sbom_split_maintainer(maintainer, &name, &address);
	if (*name == '\0')
		return;
	ash_json_begin_object(json, "supplier");
	ash_json_add_text(json, "name", name);
	if (address != NULL) {
		ash_json_begin_array(json, "contact");
		json_builder_begin_object(json);
		ash_json_add_text(json, "email", address);
		json_builder_end_object(json);
		json_builder_end_array(json);
	}
	json_builder_end_object(json);
}

/* An array of one object with two members, of which CycloneDX has many. */
static void add_single(JsonBuilder *json, const char *array, const char *key, const char *value,
		const char *key2, const char *value2)
{
	if (value2 == NULL || *value2 == '\0')
		return;
	ash_json_begin_array(json, array);
	json_builder_begin_object(json);
	ash_json_add_text(json, key, value);
	ash_json_add_text(json, key2, value2);
	json_builder_end_object(json);
	json_builder_end_array(json);
}

static void add_pedigree(JsonBuilder *json, const AshCommit *commit, guint index)
{
	const char *name = ash_sbom_source(commit, index);
	const char *version = ash_sbom_source_version(commit, index);
	g_autofree char *purl = ash_sbom_purl(name, version, "source", commit->suite, NULL);

	ash_json_begin_object(json, "pedigree");
	ash_json_begin_array(json, "ancestors");
	json_builder_begin_object(json);
	ash_json_add_text(json, "type", "library");
	ash_json_add_text(json, "name", name);
	ash_json_add_text(json, "version", version);
	ash_json_add_text(json, "purl", purl);
	json_builder_end_object(json);
	json_builder_end_array(json);
	json_builder_end_object(json);
}

static void add_component(JsonBuilder *json, const AshCommit *commit, guint index)
{
	g_autofree char *purl = package_purl(commit, index);
	bool is_removed = *ash_commit_package(commit, index, "removed") != '\0';

	json_builder_begin_object(json);
	ash_json_add_text(json, "type", "library");
	ash_json_add_text(json, "bom-ref", purl);
	add_supplier(json, ash_commit_package(commit, index, "maintainer"));
	ash_json_add_text(json, "name", ash_commit_package(commit, index, "name"));
	ash_json_add_text(json, "version", ash_commit_package(commit, index, "version"));
	ash_json_add_text(json, "description", ash_commit_package(commit, index, "summary"));
	ash_json_add_text(json, "scope", is_removed ? "excluded" : "required");
	add_single(json, "hashes", "alg", "SHA-256", "content",
			ash_commit_package(commit, index, "sha256"));
	add_single(json, "licenses", "acknowledgement", "declared", "expression",
			ash_commit_package(commit, index, "licenses"));
	ash_json_add_text(json, "purl", purl);
	add_single(json, "externalReferences", "type", "website", "url",
			ash_sbom_homepage(commit, index));
	add_pedigree(json, commit, index);
	json_builder_end_object(json);
}

/* What depends on what among packages is not known here: all are there because the image wants them. */
static void add_dependencies(JsonBuilder *json, const AshCommit *commit)
{
	ash_json_begin_array(json, "dependencies");
	json_builder_begin_object(json);
	ash_json_add_text(json, "ref", IMAGE);
	ash_json_begin_array(json, "dependsOn");
	for (guint i = 0; i < commit->packages->len; i++) {
		g_autofree char *purl = package_purl(commit, i);
		if (*ash_commit_package(commit, i, "removed") == '\0')
			json_builder_add_string_value(json, purl);
	}
	json_builder_end_array(json);
	json_builder_end_object(json);
	json_builder_end_array(json);
}

char *ash_sbom_format_cyclonedx(const AshCommit *commit)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *uuid = ash_sbom_uuid(commit);
	g_autofree char *serial = g_strconcat("urn:uuid:", uuid, NULL);

	json_builder_begin_object(json);
	ash_json_add_text(json, "bomFormat", "CycloneDX");
	ash_json_add_text(json, "specVersion", "1.6");
	ash_json_add_text(json, "serialNumber", serial);
	ash_json_add_int(json, "version", 1);
	add_metadata(json, commit);
	ash_json_begin_array(json, "components");
	for (guint i = 0; i < commit->packages->len; i++)
		add_component(json, commit, i);
	json_builder_end_array(json);
	add_dependencies(json, commit);
	json_builder_end_object(json);
	return ash_json_format(json, true);
}
