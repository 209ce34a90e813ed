/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/route.h"

/* /content/…: the publication (TUF metadata, OSTree repository, workloads) as plain files, as any web server could
 * serve them. Nothing outside of the directory, whatever links are in it; no listings; no names that begin with a dot.
 */
extern const AshRoute ash_content_routes[];

/* What may be kept how long, by name: objects, deltas and targets are named by what is in them. PURE. */
const char *ash_content_cache(const char *path);
const char *ash_content_type(const char *path);
/* Is @path a relative path of plain names? PURE. */
bool ash_content_path_is_valid(const char *path);
