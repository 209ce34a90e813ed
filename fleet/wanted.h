/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/store/db.h"

/* What the fleet wants to run on one host, as table host_workload and memory have it: a JSON array by name, "" where
 * the fleet never wanted any. All but ash_wanted_write is PURE.
 *
 *	[{"name":"web","version":"1.2.0","parameters":{"greeting":"hello"},"assignment":"edge-web"}]
 *
 * A rollout holds a host at a version, whatever its assignment says: then there are "rollout", its id, "serial", the
 * assignment's when it was so (fleet/assignment.h), and "otherwise", the assignment's version, which the host gets as
 * long as it has not been offered the rollout's ("": left out).
 */

typedef struct {
	char *name, *version, *parameters; /* JSON */
	char *assignment, *rollout, *otherwise;
	int64_t serial;
} AshWanted;

/* AshWanted *; empty for "" and for what is none. */
GPtrArray *ash_wanted_parse(const char *text);
/* "[]" without any. */
char *ash_wanted_format(const GPtrArray *wanted);
AshWanted *ash_wanted_find(const GPtrArray *wanted, const char *name); /* borrowed; NULL */
/* For the host: "workloads" of an answer (lib/checkin.h). */
char *ash_wanted_answer(const GPtrArray *wanted);
/* Is it the same to the host? */
bool ash_wanted_is_same(const GPtrArray *a, const GPtrArray *b);
/* One more, of texts that are copied. @rollout "": of the assignment alone. */
void ash_wanted_add(GPtrArray *wanted, const AshWanted *item);
GPtrArray *ash_wanted_new(void);

/* "web 1.2.0, db 1.0", for people; "none". */
char *ash_wanted_text(const GPtrArray *wanted);

/* In the open writing transaction of @db, with ash_db_lock_events held: @text in place of @before. When that is something
 * else to the host, its "desired" grows and host.desired is appended.
 */
gboolean ash_wanted_write(AshDb *db, const char *host, const char *before, const char *text,
		const char *rollout, int64_t now_s, GError **error) G_GNUC_WARN_UNUSED_RESULT;
