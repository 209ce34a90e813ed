/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/worker.h"
#include "lib/tuf.h"

/* The verb `workload-verify` of ashlar-worker: which definitions of workloads, of all that lie in staging,
 * may this host believe? The same trust as agent/verify.h's; then the targets that the role "workloads"
 * was given, "workload/NAME/VERSION.json". The verb `verify` does the same by the way, when its input has
 * "workloads", so that one check brings both.
 *
 * Input {"now":S,"wanted":[{"name":"web","version":V|""}]}, at most ASH_VERIFY_MAX_WORKLOADS; "" is the
 * newest that is signed. Result {"workloads":[…],"expires":S}, in the order of "wanted":
 *
 *	{"name":"web","version":"1.2","sha256":H,"is_new":B,"gone":[V…]}
 *	        is in ASH_PATH_SIGNED/web/1.2.json now, byte for byte as it was signed. "is_new": it was
 *	        not there before. With an image "ostree:…" of the publication there is "image":<document>,
 *	        signed: what to give as "release", with the method "objects", to ashlar-fetch and to the
 *	        worker's `import`, after which `image-import` finds the commit.
 *	{"name":"web","word":W,"text":T,"gone":[V…]}      nothing was written. Words:
 *	        not-found   no such version is signed (any more)
 *	        lower       the newest that is signed is lower than one that was here before; that is taken
 *	                    only when its version is named
 *	        missing     signed, but the document is not in staging: fetch it
 *	        untrusted   other bytes than signed, or a document that says something else than its name
 *
 * "gone" names versions that were here and are no longer signed: withdrawn. Their files were removed, so
 * that nothing starts them anew; who runs one has a copy of its own.
 *
 * A failure of one of "wanted" is no failure of the verb; that is only what concerns all: metadata.
 * May be killed at any instant: a file is written whole, and the version "seen" after it.
 */

enum {
	ASH_VERIFY_MAX_WORKLOADS = 256,
};

gboolean ash_verify_workload_run(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The array "workloads" of the result; @tuf was refreshed from @staging_fd. */
gboolean ash_verify_workload_take(const AshWorker *worker, int *staging_fd, AshTuf *tuf,
		JsonArray *wanted, JsonNode **out_workloads, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
