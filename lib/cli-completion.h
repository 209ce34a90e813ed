/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "lib/cli.h"

/* Completion of a program's verbs and options for shells, from its table: "PROGRAM completion bash", zsh or fish. */

/* On standard output; @common: the options of all verbs. Is @shell one that we know? */
bool ash_cli_completion_print(
		const AshCliProgram *program, const GOptionEntry *common, const char *shell);
