/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "builder/publication.h"
#include "lib/cli.h"

/* The verbs of `ashlar`, one builder/cmd-VERB.c each; main.c has the table. */
extern const AshCliCommand ash_cmd_build;
extern const AshCliCommand ash_cmd_bundle;
extern const AshCliCommand ash_cmd_cache;
extern const AshCliCommand ash_cmd_diff;
extern const AshCliCommand ash_cmd_image;
extern const AshCliCommand ash_cmd_key;
extern const AshCliCommand ash_cmd_lint;
extern const AshCliCommand ash_cmd_lock;
extern const AshCliCommand ash_cmd_publish;
extern const AshCliCommand ash_cmd_recall;
extern const AshCliCommand ash_cmd_release;
extern const AshCliCommand ash_cmd_run;
extern const AshCliCommand ash_cmd_sbom;
extern const AshCliCommand ash_cmd_schema;
extern const AshCliCommand ash_cmd_verify;
extern const AshCliCommand ash_cmd_workload;

/* For the verbs that publish (builder/cmd-publish.c): @dirs of --keys, which must be there, and the
 * lifetimes of its options or their defaults (NULL).
 */
gboolean ash_cmd_open_keys(char **dirs, const char *passphrase_file, AshKeys **out_keys,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_cmd_parse_lifetimes(const char *targets, const char *snapshot, const char *timestamp,
		AshPublicationLifetimes *out_lifetimes, GError **error) G_GNUC_WARN_UNUSED_RESULT;
