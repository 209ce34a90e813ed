/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "lib/progress.h"

/* A program with verbs ("ashlar build …"): one table makes --help, parsing, suggestions for
 * misspelt verbs and options, and bash completion.
 *
 *	static const AshCliCommand commands[] = {
 *		{.name = "build", .synopsis = "MANIFEST", .summary = "…", .options = …, .run = …}, {0}};
 *	int main(int argc, char **argv) { return ash_cli_main(&program, argc, argv); }
 *
 * Options common to all verbs: --help, --json, --quiet, --version.
 */

/* Exit codes; exit-codes are documented in each program's man page. */
typedef enum {
	ASH_EXIT_OK = 0,
	ASH_EXIT_FAILED = 1,      /* anything without a code of its own */
	ASH_EXIT_USAGE = 2,       /* unknown verb, option, argument */
	ASH_EXIT_INPUT = 3,       /* manifest, lock, image or other input is not valid */
	ASH_EXIT_UNSOLVABLE = 4,  /* the packages cannot be had together */
	ASH_EXIT_UNTRUSTED = 5,   /* signature, expiry, hash: what was fetched cannot be believed */
	ASH_EXIT_UNREACHABLE = 6, /* archive or server does not answer, or has it no more */
	ASH_EXIT_ENVIRONMENT = 7, /* not root, program missing, disk full, lock held too long */
	ASH_EXIT_NEGATIVE = 8,    /* it ran and the answer is no: differs, findings, not up */
	ASH_EXIT_INTERRUPTED = 130,
} AshExit;

typedef struct {
	AshProgress *progress; /* owned by ash_cli_main */
	bool json;             /* results on stdout as JSON too */
} AshCliContext;

typedef struct {
	/* NULL ends the table. A verb may have two words ("rollouts start"), when there is one of its first word
	 * alone too. */
	const char *name;
	const char *synopsis; /* "MANIFEST [PACKAGE…]" */
	const char *summary;  /* one line */
	const char *details;  /* paragraphs below the options, or NULL */
	/* arg_data must point to static variables of the verb's file; NULL-terminated, or NULL */
	const GOptionEntry *options;
	int min_args;
	int max_args; /* -1: any number */
	/* @args: NULL-terminated. Sets *out_exit only on success, where it stands at ASH_EXIT_OK
	 * (for ASH_EXIT_NEGATIVE); on failure the code follows from the error, see exit_for.
	 */
	gboolean (*run)(AshCliContext *context, char **args, int *out_exit, GError **error);
} AshCliCommand;

typedef struct {
	const char *name;    /* "ashlar" */
	const char *summary; /* one line */
	const AshCliCommand *commands;
	/* The exit code for an error of the program's own domains; 0 when it has no opinion. */
	int (*exit_for)(const GError *error);
} AshCliProgram;

#define ASH_CLI_ERROR (ash_cli_error_quark())
GQuark ash_cli_error_quark(void);

typedef enum {
	ASH_CLI_ERROR_USAGE,
	ASH_CLI_ERROR_ENVIRONMENT, /* not root, a program is missing */
} AshCliError;

/* Never returns to anything but main(): `return ash_cli_main(…)`. */
int ash_cli_main(const AshCliProgram *program, int argc, char **argv);

/* Fails with ASH_CLI_ERROR_ENVIRONMENT unless the effective user is root; @why completes
 * "needs root: …".
 */
gboolean ash_cli_need_root(const char *why, GError **error) G_GNUC_WARN_UNUSED_RESULT;
