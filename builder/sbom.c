/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/sbom.h"

#include <stdbool.h>
#include <string.h>

#include "builder/gpt.h"
#include "lib/text.h"

char *ash_sbom_format(const AshCommit *commit, AshSbomFormat format)
{
	return format == ASH_SBOM_SPDX ? ash_sbom_format_spdx(commit)
				       : ash_sbom_format_cyclonedx(commit);
}

/* The purl specification: letters, digits and ".-_~" stand for themselves, a colon too. */
static void append_encoded(GString *text, const char *value)
{
	for (const unsigned char *p = (const unsigned char *) value; *p != '\0'; p++)
		if (g_ascii_isalnum(*p) || strchr(".-_~:", *p) != NULL)
			g_string_append_c(text, (char) *p);
		else
			g_string_append_printf(text, "%%%02X", *p);
}

char *ash_sbom_purl(const char *name, const char *version, const char *arch, const char *distro,
		const char *upstream)
{
	/* Sorted by name, as the specification wants. */
	const struct {
		const char *name;
		const char *value;
	} qualifiers[] = {{"arch", arch}, {"distro", distro}, {"upstream", upstream}};
	GString *text = g_string_new("pkg:deb/debian/");
	char separator = '?';

	append_encoded(text, name);
	if (version != NULL && *version != '\0') {
		g_string_append_c(text, '@');
		append_encoded(text, version);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(qualifiers); i++) {
		if (qualifiers[i].value == NULL || *qualifiers[i].value == '\0')
			continue;
		g_string_append_printf(text, "%c%s=", separator, qualifiers[i].name);
		append_encoded(text, qualifiers[i].value);
		separator = '&';
	}
	return g_string_free(text, FALSE);
}

void ash_sbom_split_maintainer(const char *maintainer, char **out_name, char **out_address)
{
	const char *begin = strrchr(maintainer, '<');
	const char *end = begin != NULL ? strchr(begin, '>') : NULL;

	*out_address = NULL;
	if (end == NULL) {
		*out_name = g_strstrip(g_strdup(maintainer));
		return;
	}
	*out_name = g_strstrip(g_strndup(maintainer, (size_t) (begin - maintainer)));
	if (end > begin + 1)
		*out_address = g_strndup(begin + 1, (size_t) (end - begin - 1));
}

const char *ash_sbom_source(const AshCommit *commit, guint index)
{
	const char *source = ash_commit_package(commit, index, "source");

	return *source != '\0' ? source : ash_commit_package(commit, index, "name");
}

const char *ash_sbom_source_version(const AshCommit *commit, guint index)
{
	const char *version = ash_commit_package(commit, index, "source-version");

	return *version != '\0' ? version : ash_commit_package(commit, index, "version");
}

const char *ash_sbom_homepage(const AshCommit *commit, guint index)
{
	const char *url = ash_commit_package(commit, index, "homepage");

	if (!g_str_has_prefix(url, "http://") && !g_str_has_prefix(url, "https://"))
		return NULL;
	for (const char *p = url; *p != '\0'; p++)
		if (!g_ascii_isgraph(*p) || strchr("<>\"{}|\\^`", *p) != NULL)
			return NULL;
	return g_uri_is_valid(url, G_URI_FLAGS_NONE, NULL) ? url : NULL;
}

char *ash_sbom_timestamp(const AshCommit *commit)
{
	char *time = ash_text_utc((int64_t) commit->timestamp_s);

	return time != NULL ? time : ash_text_utc(0);
}

char *ash_sbom_uuid(const AshCommit *commit)
{
	return ash_gpt_uuid(commit->commit, "sbom");
}

char *ash_sbom_name(const AshCommit *commit)
{
	const char *parts[] = {commit->name, commit->version, commit->arch};
	GString *text = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
		if (parts[i] != NULL)
			g_string_append_printf(text, "%s%s", text->len > 0 ? "-" : "", parts[i]);
	if (text->len == 0)
		g_string_append(text, commit->commit);
	return g_string_free(text, FALSE);
}
