/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/target.h"

/* What ashlard, which has no network, asks of ashlar-link, which has nothing else. One order at a
 * time, as JSON in the property Order of org.ashlar.Host1; link carries it out with `ashlar-fetch`,
 * a process that ends, and answers with OrderDone(id, result). An order stands until it is answered or
 * replaced; link, restarted, begins with the one that it finds.
 *
 *	{"id":N,"verb":"none"}
 *	{"id":N,"verb":"check", <source>, <host>}            newest metadata, and the documents that
 *	                                                     this host may need, into staging
 *	                                                     "workloads":[{"name":N,"version":V|""}] may
 *	                                                     be there too: the signed definitions of
 *	                                                     these ("": the newest) come along, and are
 *	                                                     no reason to fail
 *	{"id":N,"verb":"fetch", <source>, <host>, "release":<document>,
 *	        "method":"delta"|"objects","delta":<delta>|null}
 *
 * <source>: "url":"https://…" (the published directory: metadata/, targets/, repo/ below it),
 *	"ca":PEM|"" , "rate_limit":bytes/s (0: none), "proxy":"",
 *	"root_version":N (the root that the worker trusts, 0 or left out: the image's; the chain in
 *	staging begins behind it)
 * <host>: "name","variant","arch","version","commit", "bad":{…}, "wanted":V|null, as for the worker's
 *	verify; "now":S
 * <delta>: one of the release's, told by its "from"
 *
 * Results: {"ok":true,"bytes":N,"seconds":N} or {"ok":false,"word":W,"text":T,"retry":B}, where retry
 * says whether the same order may do better later. Words:
 *
 *	offline    no name, no connection            slow       below the least rate, or silent
 *	timeout    longer than the order may take    http       a status that says neither
 *	tls        certificate or protocol           gone       not there (404)
 *	too-big    more bytes or objects than signed mismatch   other bytes than signed
 *	untrusted  metadata refused; "why" has lib/tuf.h's word, or "document"
 *	space      less than 5 % would stay free     delta      with method delta: gone, mismatch or
 *	failed     anything else                                too-big; objects may do
 *
 * Progress: OrderProgress(id, done, total), at most once a second.
 *
 * `ashlar-fetch --staging DIR --sysroot DIR --root-json FILE` reads one order from stdin, and prints
 * {"progress":{"done":N,"total":N}} lines and one line {"result":{…}} with a result as above. Exit code
 * 0 when it is ok, 1 when it is not, 2 when the order cannot be understood.
 */

#define ASH_ORDER_ERROR (ash_order_error_quark())
GQuark ash_order_error_quark(void);

typedef enum {
	ASH_ORDER_ERROR_SYNTAX, /* not an order */
	ASH_ORDER_ERROR_DELTA,  /* the release has no delta from there */
} AshOrderError;

enum {
	ASH_ORDER_MAX_BYTES = 2 << 20,
	ASH_ORDER_MAX_DEPTH = 16,
	ASH_ORDER_MAX_LINE_BYTES = 64 << 10, /* of what ashlar-fetch prints */
	ASH_ORDER_MAX_URL_BYTES = 2048,
	ASH_ORDER_MAX_WORKLOADS = 256,
};

typedef enum {
	ASH_ORDER_NONE,
	ASH_ORDER_CHECK,
	ASH_ORDER_FETCH,
} AshOrderVerb;

typedef struct {
	char *name, *version; /* version "" for the newest */
} AshOrderWorkload;

typedef struct {
	uint64_t id;
	AshOrderVerb verb;
	/* source */
	char *url; /* without a slash at its end */
	char *ca, *proxy;
	uint64_t rate_limit, root_version;
	/* host */
	char *name, *variant, *arch, *version, *commit;
	char *wanted;    /* NULL: the newest */
	GHashTable *bad; /* commit → "bad" or "held" */
	int64_t now_s;
	GPtrArray *workloads; /* AshOrderWorkload; never NULL but for ASH_ORDER_NONE */
	/* fetch */
	AshRelease *release;
	const AshTargetDelta *delta; /* of @release; NULL: objects */
} AshOrder;

/* Untrusted nowhere (ashlard writes it), but checked like everything that comes from outside. */
gboolean ash_order_parse(const char *json, AshOrder **out_order, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_order_free(AshOrder *order);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshOrder, ash_order_free)

/* Who only passes it on needs no more; links little. */
gboolean ash_order_peek(const char *json, uint64_t *out_id, AshOrderVerb *out_verb, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Borrowed views, for lib/target.h. */
AshTargetHost ash_order_host(const AshOrder *order);
const char *ash_order_is_bad(const char *commit, gconstpointer order);

/* What a line of ashlar-fetch says. @out_result: the result's JSON text, newly allocated, or NULL when
 * the line is progress.
 */
gboolean ash_order_parse_line(const char *line, uint64_t *out_done, uint64_t *out_total,
		char **out_result, GError **error) G_GNUC_WARN_UNUSED_RESULT;

char *ash_order_format_progress(uint64_t done, uint64_t total);
char *ash_order_format_ok(uint64_t bytes, int64_t seconds);
/* @why: NULL or a word */
char *ash_order_format_failure(const char *word, const char *why, const char *text, bool may_pass);
