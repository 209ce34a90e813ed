/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

#include "lib/cli.h"

/* What the verbs of ashlar-fleet have in common: lists as tables, one thing as a page, changes, questions. With --json
 * the server's answer is printed as it is (of lists: all pages as one). What comes from hosts is printed without its
 * control characters.
 */

typedef enum {
	ASH_CLI_TEXT,
	ASH_CLI_TIME,   /* seconds since 1970: "2026-11-22 10:00:00", local; 0: - */
	ASH_CLI_AGO,    /* the same as a distance: "3 min ago" */
	ASH_CLI_BOOL,   /* yes, - */
	ASH_CLI_SHORT,  /* the first 12 characters: ids, commits */
	ASH_CLI_LIST,   /* of texts */
	ASH_CLI_MAP,    /* {"a":"b"}: a=b */
	ASH_CLI_NUMBER, /* right-aligned */
} AshCliCell;

typedef struct {
	const char *title; /* NULL ends */
	const char *member; /* "certificate.not_after": of a member that is an object; "a|b": a, or else b */
	AshCliCell cell;
} AshCliColumn;

/* GET @path (with or without a query), all pages up to @max items (0: all). @nothing: what an empty list is, for people. */
gboolean ash_cli_list(AshCliContext *context, const char *path, unsigned max,
		const AshCliColumn *columns, const char *nothing, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The newest @max, the oldest of them first; of a list that knows "order". */
gboolean ash_cli_list_newest(AshCliContext *context, const char *path, unsigned max,
		const AshCliColumn *columns, const char *nothing, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_cli_show(AshCliContext *context, const char *path, const AshCliColumn *columns,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* GET @path, an object. With --json it is printed, and there is no more to say. */
gboolean ash_cli_get(AshCliContext *context, const char *path, JsonNode **out_node, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The body that a change sends: an object that is open; consumed. NULL: none. @out_node may be NULL; then @done (a
 * sentence, NULL: none) is printed, or the answer with --json.
 */
gboolean ash_cli_change(AshCliContext *context, const char *method, const char *path,
		JsonBuilder *take_body, const char *done, JsonNode **out_node, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
JsonBuilder *ash_cli_body(void);
/* --reason, of every verb that changes something: ash_cli_change sends it along. */
extern char *ash_cli_reason;
extern const GOptionEntry ash_cli_reason_options[];
#define ASH_CLI_REASON                                                                             \
	{                                                                                          \
		"reason", 'r', 0, G_OPTION_ARG_STRING, &ash_cli_reason, "Why, for the audit log",  \
				"TEXT"                                                             \
	}

void ash_cli_print_table(JsonArray *items, const AshCliColumn *columns);
/* Titles of tables do as well: they are written small. */
void ash_cli_print_page(JsonObject *object, const AshCliColumn *columns);
/* The list @member of @object, if there is something in it, as a table below an empty line. */
void ash_cli_print_list(JsonObject *object, const char *member, const AshCliColumn *columns);
void ash_cli_print_json(JsonNode *node);
/* What was made with a secret: that alone, so that it can be piped; or all of it with --json. */
void ash_cli_print_secret(AshCliContext *context, JsonNode *node);
/* One value for people; "-" for none. */
char *ash_cli_cell(JsonObject *object, const char *member, AshCliCell cell);
/* Without control characters. */
char *ash_cli_plain(const char *text);

/* "/v1/hosts/" + escaped @id + @rest. */
char *ash_cli_path(const char *start, const char *id, const char *rest);
/* @path?key=value or @path&key=value; NULL or "" adds nothing. @path is consumed. */
char *ash_cli_argument(char *take_path, const char *key, const char *value);

/* How many hosts @selector means now: what a change of many is asked about. */
gboolean ash_cli_count_hosts(const char *selector, guint64 *out_count, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Asks for the number when somebody can be asked; otherwise --yes is needed. */
gboolean ash_cli_confirm(bool is_sure, guint64 count, const char *what, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* A line of standard input; on a terminal it is asked for, and not shown. */
gboolean ash_cli_password(const char *what, char **out_password, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Of an option of G_OPTION_ARG_INT: is it from @min to @max, or was it not given? */
enum {
	ASH_CLI_NOT_GIVEN = G_MININT,
	ASH_CLI_MAX_ITEMS = 1000000, /* of a list's --limit */
};
gboolean ash_cli_count(const char *option, int value, int min, int max, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* "90", "90s", "15m", "2h", "30d" into seconds. */
gboolean ash_cli_seconds(const char *option, const char *text, int64_t *out_seconds, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* "a=b" into "set", "a-" into "remove" of the open object. */
gboolean ash_cli_add_labels(JsonBuilder *builder, char **words, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_cli_need(const char *option, const char *value, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Of an assignment, in two lists. */
extern const AshCliColumn ash_cli_assignment_columns[];

/* The verbs, by file. */
extern const AshCliCommand ash_fleet_cmd_login[];
extern const AshCliCommand ash_fleet_cmd_host[];
extern const AshCliCommand ash_fleet_cmd_host_change[];
extern const AshCliCommand ash_fleet_cmd_join[];
extern const AshCliCommand ash_fleet_cmd_release[];
extern const AshCliCommand ash_fleet_cmd_channel[];
extern const AshCliCommand ash_fleet_cmd_rollout[];
extern const AshCliCommand ash_fleet_cmd_rollout_start[];
extern const AshCliCommand ash_fleet_cmd_rollout_watch[];
extern const AshCliCommand ash_fleet_cmd_event[];
extern const AshCliCommand ash_fleet_cmd_lock[];
extern const AshCliCommand ash_fleet_cmd_operator[];
extern const AshCliCommand ash_fleet_cmd_webhook[];
extern const AshCliCommand ash_fleet_cmd_ddi[];
extern const AshCliCommand ash_fleet_cmd_workload[];
extern const AshCliCommand ash_fleet_cmd_assignment[];
extern const AshCliCommand ash_fleet_cmd_export[];
extern const AshCliCommand ash_fleet_cmd_simulate[];
