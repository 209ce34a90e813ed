/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

#include "fleet/store/db.h"

/* What operators decided, as a YAML document that people keep in version control: channels, policies, groups of locks,
 * operators without passwords, webhooks without secrets, assignments of workloads, labels of hosts.
 *
 *	format: 1
 *	channels:
 *	  - {name: stable, release: host/1.4.0, arch: amd64, note: ""}
 *	policies:
 *	  - {name: night, rank: 100, selector: "site = bern", windows: ["02:00-05:00"], poll: 0, note: ""}
 *	locks:
 *	  - {name: default, slots: 1, lease: 3600, frees_late: false, paused: ""}
 *	operators:
 *	  - {name: ada, role: operator, scope: "", disabled: false}
 *	webhooks:
 *	  - {url: "https://hooks.example/fleet", kinds: ["rollout.*"], note: ""}
 *	assignments:
 *	  - {id: edge-web, workload: web, version: 1.2.0, selector: "site = bern", rank: 100, parameters: {}, note: ""}
 *	hosts:
 *	  - {id: 64 digits, labels: {site: bern}}
 *
 * A section that is there is how it is to be: what the fleet has beyond it goes. One that is not there stays as it is.
 * Of hosts those alone that are named are looked at. All but ash_export_load is PURE.
 */

#define ASH_EXPORT_ERROR (ash_export_error_quark())
GQuark ash_export_error_quark(void);
typedef enum {
	ASH_EXPORT_ERROR_INVALID, /* "import:LINE:COLUMN: …" */
} AshExportError;

enum {
	ASH_EXPORT_MAX_BYTES = 8 << 20,
	ASH_EXPORT_MAX_ITEMS = 200000,
};

typedef enum {
	ASH_EXPORT_CHANNEL,
	ASH_EXPORT_POLICY,
	ASH_EXPORT_LOCK,
	ASH_EXPORT_OPERATOR,
	ASH_EXPORT_WEBHOOK,
	ASH_EXPORT_ASSIGNMENT,
	ASH_EXPORT_HOST,
	ASH_EXPORT_KINDS,
} AshExportKind;

typedef struct {
	AshExportKind kind;
	char *name;        /* a webhook's is its url, a host's its id */
	JsonObject *value; /* every member of its kind, in one order */
} AshExportItem;

typedef struct {
	bool has[ASH_EXPORT_KINDS]; /* the section is there */
	GPtrArray *items;           /* AshExportItem, by kind, then name */
} AshExport;

void ash_export_free(AshExport *all);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshExport, ash_export_free)

gboolean ash_export_parse(GBytes *yaml, AshExport **out_export, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* @head: comment lines, each with its "# "; "" for none. */
char *ash_export_format(const AshExport *all, const char *head);
/* @labels_of_all: hosts without labels too, to be compared with. */
gboolean ash_export_load(AshDb *db, bool labels_of_all, AshExport **out_export, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

const char *ash_export_kind_text(AshExportKind kind); /* "channel" */

typedef struct {
	AshExportKind kind;
	const AshExportItem *before, *after; /* NULL: added, removed; borrowed from the two */
} AshExportChange;
/* Additions and changes, then removals. @out_unknown: hosts that @wanted names and the fleet does not know. */
GArray *ash_export_diff(const AshExport *now, const AshExport *wanted, unsigned *out_unknown);

/* ---- for fleet/export*.c ---- */

typedef enum {
	ASH_EXPORT_TEXT,
	ASH_EXPORT_NUMBER,
	ASH_EXPORT_BOOL,
	ASH_EXPORT_TEXTS, /* an array */
	ASH_EXPORT_MAP,   /* of texts, sorted */
} AshExportType;
typedef struct {
	const char *name;
	AshExportType type;
	unsigned max; /* bytes, value, count */
	const char *otherwise;
} AshExportMember;
typedef struct {
	const char *section, *kind, *key;
	const char *sql; /* key, then the members */
	gboolean (*check)(const char *name, JsonObject *value, GError **error);
	AshExportMember members[7];
} AshExportTable;
extern const AshExportTable ash_export_tables[ASH_EXPORT_KINDS];
AshExport *ash_export_new(void);
void ash_export_add(AshExport *all, AshExportKind kind, const char *name, JsonObject *take_value);
void ash_export_sort(AshExport *all);
