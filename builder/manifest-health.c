/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/manifest-load.h"
#include "lib/error.h"

/* `health:`: the table says what it looks like, for the manual and editors; lib/health-spec.c reads it,
 * as it does on the host, so that the two cannot differ.
 */

static const char *const classes[] = {"required", "wanted", NULL};

static const AshSchemaKey space_keys[] = {
		{.name = "path",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_REQUIRED,
				.form = ASH_FORM_PATH,
				.doc = "A path on the file system that is meant.",
				.example = "path: /var"},
		{.name = "bytes",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_SIZE,
				.doc = "So many bytes are free for users other than root.",
				.example = "bytes: 100MiB"},
		{.name = "inodes",
				.type = ASH_SCHEMA_NUMBER,
				.max = INT64_MAX,
				.doc = "So many more files can be made.",
				.example = "inodes: 1000"},
		{0},
};

static const AshSchemaObject space_object = {.noun = "space", .keys = space_keys, .identity = -1};

static const AshSchemaKey check_keys[] = {
		{.name = "name",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_REQUIRED,
				.form = ASH_FORM_CHECK,
				.doc = "Names the check in reports; a later one of the same name "
				       "replaces it.",
				.example = "name: web"},
		{.name = "class",
				.type = ASH_SCHEMA_CHOICE,
				.choices = classes,
				.default_text = "required",
				.doc = "Whether an update is taken back when the check fails, or the "
				       "host is only called degraded.",
				.example = "class: wanted"},
		{.name = "timeout",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_DURATION,
				.default_text = "10s",
				.doc = "How long one run may take: 1s to 10min.",
				.example = "timeout: 3s"},
		{.name = "interval",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_DURATION,
				.default_text = "10s",
				.doc = "The time between runs in a trial, 1s to 24h; in service it is at "
				       "least 5min, and 60s after a failure.",
				.example = "interval: 30s"},
		{.name = "failures",
				.type = ASH_SCHEMA_NUMBER,
				.max = 100,
				.default_text = "3",
				.doc = "So many failures in a row, 1 to 100, count as one.",
				.example = "failures: 1"},
		{.name = "unit",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_UNIT,
				.doc = "This unit is active. A check has one of this key and those that "
				       "follow.",
				.example = "unit: nginx.service"},
		{.name = "command",
				.type = ASH_SCHEMA_TEXTS,
				.form = ASH_FORM_ANY,
				.doc = "This program, by its absolute path, with these arguments, ends "
				       "with exit code 0. No shell is involved.",
				.example = "command: [/usr/bin/probe, --fast]"},
		{.name = "tcp",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_ADDRESS,
				.doc = "Something accepts a connection there.",
				.example = "tcp: 127.0.0.1:8080"},
		{.name = "http",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_HTTP,
				.doc = "The answer has a status of 200 to 299. No redirect is followed.",
				.example = "http: \"http://127.0.0.1:8080/health\""},
		{.name = "dns",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_HOST,
				.doc = "The system's resolver has an address for this name.",
				.example = "dns: time.example"},
		{.name = "file",
				.type = ASH_SCHEMA_TEXT,
				.form = ASH_FORM_PATH,
				.doc = "This path exists.",
				.example = "file: /run/ready"},
		{.name = "space",
				.type = ASH_SCHEMA_OBJECT,
				.object = &space_object,
				.doc = "That much is free.",
				.example = "space: {path: /var, bytes: 100MiB, inodes: 1000}"},
		{.name = "disable",
				.type = ASH_SCHEMA_BOOL,
				.default_text = "false",
				.doc = "Takes away the check of this name that an earlier layer brought.",
				.example = "disable: true"},
		{0},
};

static const AshSchemaObject check_object = {.noun = "check", .keys = check_keys, .identity = -1};

static const AshSchemaKey health_keys[] = {
		{.name = "soak",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_NOT_STORED,
				.form = ASH_FORM_DURATION,
				.default_text = "60s",
				.doc = "The required checks of a trial must hold for so long, without "
				       "interruption: 0s to 1h.",
				.example = "soak: 2min"},
		{.name = "deadline",
				.type = ASH_SCHEMA_TEXT,
				.flags = ASH_SCHEMA_NOT_STORED,
				.form = ASH_FORM_DURATION,
				.default_text = "10min",
				.doc = "And that before so much time is over since the agent's start: "
				       "10s to 6h, longer than the soak time.",
				.example = "deadline: 15min"},
		{.name = "checks",
				.type = ASH_SCHEMA_ITEMS,
				.flags = ASH_SCHEMA_NOT_STORED,
				.object = &check_object,
				.doc = "At most 64.",
				.example = "checks:\n"
					   "  - {name: web, unit: nginx.service}\n"
					   "  - {name: var, class: wanted, space: {path: /var, bytes: 1GiB}}"},
		{0},
};

static gboolean finish_health(
		AshManifestLoader *loader, const AshYamlNode *node, gpointer item, GError **error)
{
	AshManifest *manifest = loader->manifest;
	g_autoptr(GError) local = NULL;

	if (manifest->health == NULL)
		manifest->health = ash_health_spec_new();
	if (ash_health_spec_merge(manifest->health, node, &local))
		return TRUE;
	/* Its messages say where already. */
	return ash_throw(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_VALUE, "%s", local->message);
}

const AshSchemaObject ash_manifest_object_health = {
		.noun = "health",
		.keys = health_keys,
		.finish = finish_health,
		.identity = -1,
};
