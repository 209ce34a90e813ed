/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What ashlard, which has no network, asks of ashlar-link, which has nothing else. One order at a
 * time, as JSON in the property Order of org.ashlar.Host1; link carries it out with `ashlar-fetch`,
 * a process that ends, and answers with OrderDone(id, result). An order stands until it is answered or
 * replaced; link, restarted, begins with the one that it finds.
 *
 *	{"id":N,"verb":"none"}
 *	{"id":N,"verb":"check", <source>, <host>}            newest metadata, and the documents that
 *	                                                     this host may need, into staging
 *	{"id":N,"verb":"fetch", <source>, <host>, "release":<document>,
 *	        "method":"delta"|"objects","delta":<delta>|null}
 *
 * <source>: "url":"https://…" (the published directory: metadata/, targets/, repo/ below it),
 *	"ca":PEM|"" , "rate_limit":bytes/s (0: none), "proxy":""
 * <host>: "name","variant","arch","version","commit", "bad":{…}, "wanted":V|null, as for the worker's
 *	verify; "now":S
 *
 * Results: {"ok":true,"bytes":N,"seconds":N} or {"ok":false,"word":W,"text":T,"retry":B}. Words:
 * offline, timeout, slow, http, tls, gone, too-big, mismatch, untrusted (with "why"), space, failed.
 * Progress: OrderProgress(id, done, total), at most once a second.
 *
 * `ashlar-fetch --staging DIR --sysroot DIR --root-json FILE` reads one order from stdin, and prints
 * {"progress":…} lines and one result line.
 */

enum {
	ASH_ORDER_MAX_BYTES = 2 << 20,
};
