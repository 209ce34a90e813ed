/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "fleet/http.h"
#include "fleet/route.h"

/* The page: what fleet/web/ holds and what it stands on (Preact, htm, uPlot), embedded in the program by tools/web.sh.
 *
 *	/ and each address the page knows (/hosts, /rollouts/{id}, …)   index.html: asked for anew each time, by ETag
 *	/web/BUILD/FILE    everything else. BUILD is a digest of it all, so that browsers may keep it for ever
 *
 * Each file is there twice, as it is and by gzip, each with a strong ETag of its own. All answers carry a policy that
 * lets the page load from this server alone, and nothing inline.
 */

typedef struct {
	GBytes *bytes;    /* borrowed; lives as long as the program */
	const char *type; /* of Content-Type */
	const char *etag; /* with its quotes */
	bool is_gzip;     /* bytes are of Content-Encoding gzip */
	bool is_forever;  /* never changes below this path */
} AshWebFile;

/* @path as it was asked for, "/" and "/web/BUILD/FILE". false: nothing of the page is there. */
bool ash_web_find(const char *path, bool takes_gzip, AshWebFile *out_file);

/* Answers GET and HEAD of the call's path with one of the files, 304 or 404; of another path below none of /web/ with
 * index.html. Does not block.
 */
void ash_web_reply(AshHttpCall *call);

/* For fleet/routes.c. */
extern const AshRoute ash_web_routes[];
