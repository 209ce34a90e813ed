/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "lib/cli.h"

/* The verbs of `ashlar`, one builder/cmd-VERB.c each; main.c has the table. */
extern const AshCliCommand ash_cmd_build;
extern const AshCliCommand ash_cmd_cache;
extern const AshCliCommand ash_cmd_diff;
extern const AshCliCommand ash_cmd_image;
extern const AshCliCommand ash_cmd_key;
extern const AshCliCommand ash_cmd_lint;
extern const AshCliCommand ash_cmd_lock;
extern const AshCliCommand ash_cmd_run;
extern const AshCliCommand ash_cmd_sbom;
extern const AshCliCommand ash_cmd_schema;
extern const AshCliCommand ash_cmd_verify;
