/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/yaml.h"

/* Health checks as a person writes them: the manifest's `health:` (the builder writes it to
 * /usr/lib/ashlar/health.d/manifest.yaml) and drop-ins in the same form.
 *
 *	soak: 60s            required checks must hold for this long        (default 60s, 0s to 1h)
 *	deadline: 10min      …before this, counted from the agent's start   (default 10min, 10s to 6h)
 *	checks:
 *	  - name: web                    [a-z0-9-], at most 48; a later file replaces the same name
 *	    class: required              or wanted (default: required)
 *	    timeout: 10s                 (default 10s, 1s to 10min)
 *	    interval: 10s                between runs in a trial; in service at least 5min (default 10s,
 *	                                 1s to 24h)
 *	    failures: 3                  in a row, until a check that passed counts as broken (default 3,
 *	                                 1 to 100)
 *	    unit: nginx.service          is active; or one of:
 *	    command: [/usr/bin/probe, --fast]      exit code 0
 *	    tcp: 127.0.0.1:8080                    accepts a connection ([::1]:80, name:80)
 *	    http: http://127.0.0.1:8080/health     status 200 to 299 (https too; no redirect)
 *	    dns: deb.example                       the system's resolver has an address for it
 *	    file: /run/ready                       exists
 *	    space: {path: /var, bytes: 100MiB, inodes: 1000}     that much is free
 *	  - {name: old, disable: true}   takes away what an earlier file brought
 *
 * Durations are whole numbers of ms, s, min or h; bytes are whole numbers, of KiB, MiB, GiB or TiB where
 * that is said. The soak time must end before the deadline. health(5) repeats this for people.
 */

#define ASH_HEALTH_SPEC_ERROR (ash_health_spec_error_quark())
GQuark ash_health_spec_error_quark(void);

typedef enum {
	ASH_HEALTH_SPEC_ERROR_VALUE, /* FILE:LINE:COLUMN: … */
	ASH_HEALTH_SPEC_ERROR_LIMIT, /* too many checks or arguments, too large as a whole */
} AshHealthSpecError;

#define ASH_HEALTH_SPEC_DIR_USR "/usr/lib/ashlar/health.d"
#define ASH_HEALTH_SPEC_DIR_ETC "/etc/ashlar/health.d"

enum {
	ASH_HEALTH_SPEC_MAX_CHECKS = 64,
	ASH_HEALTH_SPEC_MAX_FILE_BYTES = 256 << 10,
	ASH_HEALTH_SPEC_MAX_FILES = 64, /* those after them, in order of name, are not read */
	ASH_HEALTH_SPEC_MAX_ARGUMENTS = 64,
	ASH_HEALTH_SPEC_MAX_NAME_BYTES = 48,
	ASH_HEALTH_SPEC_MAX_TARGET_BYTES = 2048, /* of a URL, a path, one argument of a command */
};

typedef enum {
	ASH_HEALTH_UNIT,
	ASH_HEALTH_COMMAND,
	ASH_HEALTH_TCP,
	ASH_HEALTH_HTTP,
	ASH_HEALTH_DNS,
	ASH_HEALTH_FILE,
	ASH_HEALTH_SPACE,
} AshHealthKind;

typedef struct {
	char *name;
	AshHealthKind kind;
	bool is_required;
	uint32_t timeout_ms, interval_ms;
	bool has_interval; /* it was given, not the default */
	unsigned failures;
	char *target;           /* unit, address, URL, name, path */
	char **command;         /* COMMAND */
	uint64_t bytes, inodes; /* SPACE */
	char *error; /* NULL, or why the file `target` could not be used: such a check always fails */
	const char *mark; /* "FILE:LINE:COLUMN", interned */
} AshHealthCheck;

const char *ash_health_kind_name(AshHealthKind kind); /* "unit", … */
/* Questions: which kind has this name; is @text something that a check of this kind may look at (of
 * SPACE: the path; of COMMAND: the program).
 */
bool ash_health_kind_find(const char *name, AshHealthKind *out_kind);
bool ash_health_is_target(AshHealthKind kind, const char *text);

typedef struct {
	uint32_t soak_ms, deadline_ms;
	GPtrArray *checks; /* AshHealthCheck */
} AshHealthSpec;

/* Defaults and no checks. */
AshHealthSpec *ash_health_spec_new(void);
AshHealthSpec *ash_health_spec_copy(const AshHealthSpec *spec);
void ash_health_spec_free(AshHealthSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshHealthSpec, ash_health_spec_free)

/* Adds what @map says to @spec; on failure @spec is as it was. A NULL node (an empty file) adds nothing.
 * Of wrong types and duplicate keys lib/yaml.h's errors are passed on.
 */
gboolean ash_health_spec_merge(AshHealthSpec *spec, const AshYamlNode *map, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ash_health_spec_load: NAME.yaml of both directories below @root ("": of the host), merged in order of
 * NAME, a file in /etc standing for one of the same name in /usr/lib. A broken file is left out, and
 * becomes a required check that fails with its error ("health.d/web.yaml"), so that it cannot go
 * unnoticed; so does a directory that cannot be read ("health.d"). One that is not there is empty. Fails
 * when @root is not a directory.
 */
gboolean ash_health_spec_load(const char *root, AshHealthSpec **out_spec, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* "10s", "5min", "1h", "250ms"; a question. */
bool ash_health_parse_duration(const char *text, uint32_t *out_ms);
/* The file's text again, for the builder: the same bytes for the same checks. Checks with an `error` are
 * left out.
 */
char *ash_health_spec_format(const AshHealthSpec *spec);
