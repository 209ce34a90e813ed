/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-rollout.h"
#include "fleet/api-webhook.h"
#include "fleet/assignment.h"
#include "fleet/export.h"
#include "fleet/live.h"
#include "fleet/operator.h"
#include "fleet/selector.h"
#include "fleet/webhook.h"
#include "lib/error.h"
#include "lib/version.h"
#include "lib/window.h"
#include "lib/workload.h"

/* What each kind of thing is made of, how it is read, and what it may be. */

static gboolean throw_invalid(GError **error, const char *text)
{
	return ash_throw(error, ASH_EXPORT_ERROR, ASH_EXPORT_ERROR_INVALID, "%s", text);
}

static gboolean check_name(const char *name, JsonObject *value, GError **error)
{
	if (*name != '\0' && strlen(name) <= 64 && g_ascii_isalnum(*name) &&
			strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				     "._-") == strlen(name))
		return TRUE;
	return throw_invalid(error,
			"a name has 1 to 64 letters, digits and . _ -, a letter or digit "
			"first");
}

static gboolean check_policy(const char *name, JsonObject *value, GError **error)
{
	g_autoptr(AshSelector) selector = NULL;
	JsonArray *windows = json_object_get_array_member(value, "windows");

	if (!check_name(name, value, error) ||
			!ash_selector_parse(json_object_get_string_member(value, "selector"),
					&selector, error))
		return FALSE;
	for (guint i = 0; i < json_array_get_length(windows); i++) {
		g_autoptr(AshWindow) window = NULL;
		if (!ash_window_parse(json_array_get_string_element(windows, i), &window, error))
			return FALSE;
	}
	const char *trouble =
			ash_api_policy_poll_trouble(json_object_get_int_member(value, "poll"));
	return trouble == NULL || throw_invalid(error, trouble);
}

static gboolean check_lock(const char *name, JsonObject *value, GError **error)
{
	if (json_object_get_int_member(value, "lease") < 1)
		return throw_invalid(error, "'lease' is 1 second at least");
	return check_name(name, value, error);
}

static gboolean check_operator(const char *name, JsonObject *value, GError **error)
{
	const char *scope = json_object_get_string_member(value, "scope");
	g_autoptr(AshSelector) selector = NULL;
	AshRole role = ASH_ROLE_NONE;

	if (!ash_operator_name_is_valid(name))
		return throw_invalid(error,
				"an operator's name has 1 to 64 letters, digits and . _ @ "
				"-");
	if (!ash_role_parse(json_object_get_string_member(value, "role"), &role))
		return throw_invalid(error, "'role' is viewer, operator or admin");
	if (role == ASH_ROLE_ADMIN && *scope != '\0')
		return throw_invalid(error, "an admin has no 'scope'");
	return ash_selector_parse(scope, &selector, error);
}

static gboolean check_webhook(const char *name, JsonObject *value, GError **error)
{
	return ash_api_webhook_check_url(name, error) &&
	       ash_api_webhook_check_kinds(json_object_get_array_member(value, "kinds"), error);
}

static gboolean check_host(const char *name, JsonObject *value, GError **error)
{
	uint8_t id[ASH_HOST_ID_BYTES];
	AshPair *pairs = NULL;
	uint32_t count = 0;
	bool is_short = true;

	if (!ash_host_id_parse(name, id))
		return throw_invalid(error, "a host's 'id' has 64 digits");
	g_autofree char *text = json_to_string(json_object_get_member(value, "labels"), FALSE);
	if (!ash_pairs_parse(text, ASH_LIVE_MAX_LABELS, &pairs, &count, error))
		return FALSE;
	for (uint32_t i = 0; i < count; i++)
		is_short = is_short && strlen(pairs[i].key) <= ASH_LIVE_MAX_LABEL_BYTES &&
			   strlen(pairs[i].value) <= ASH_LIVE_MAX_LABEL_BYTES;
	ash_pairs_unref(pairs, count);
	return is_short || throw_invalid(error, "a label's key and value have 128 bytes at most");
}

static gboolean check_assignment(const char *name, JsonObject *value, GError **error)
{
	g_autoptr(AshSelector) selector = NULL;

	if (!ash_workload_is_name(json_object_get_string_member(value, "workload")))
		return throw_invalid(error, "an assignment has the name of a 'workload'");
	return check_name(name, value, error) &&
	       ash_selector_parse(
			       json_object_get_string_member(value, "selector"), &selector, error);
}

const AshExportTable ash_export_tables[ASH_EXPORT_KINDS] = {
		[ASH_EXPORT_CHANNEL] = {"channels", "channel", "name",
				"SELECT channel.name, coalesce(release.name || CASE WHEN "
				"release.variant = '' THEN '' ELSE '-' || release.variant END || '/' || "
				"release.version, ''), coalesce(release.arch, ''), note FROM channel LEFT "
				"JOIN release ON release.id = channel.release ORDER BY channel.name",
				check_name,
				{{"release", ASH_EXPORT_TEXT, 256, ""},
						{"arch", ASH_EXPORT_TEXT, 64, ""},
						{"note", ASH_EXPORT_TEXT, 1024, ""}}},
		[ASH_EXPORT_POLICY] = {"policies", "policy", "name",
				"SELECT name, rank, selector, windows, poll_s, note FROM policy ORDER BY "
				"name",
				check_policy,
				{{"rank", ASH_EXPORT_NUMBER, 1000000, "100"},
						{"selector", ASH_EXPORT_TEXT,
								ASH_SELECTOR_MAX_BYTES, ""},
						{"windows", ASH_EXPORT_TEXTS, 16, ""},
						{"poll", ASH_EXPORT_NUMBER, 86400, "0"},
						{"note", ASH_EXPORT_TEXT, 1024, ""}}},
		[ASH_EXPORT_LOCK] = {"locks", "lock", "name",
				"SELECT name, slots, lease_s, frees_late, paused FROM lock_group ORDER BY "
				"name",
				check_lock,
				{{"slots", ASH_EXPORT_NUMBER, 100000, "1"},
						{"lease", ASH_EXPORT_NUMBER, 30 * 86400, "3600"},
						{"frees_late", ASH_EXPORT_BOOL, 0, "false"},
						{"paused", ASH_EXPORT_TEXT, 1024, ""}}},
		[ASH_EXPORT_OPERATOR] = {"operators", "operator", "name",
				"SELECT name, role, scope, CASE WHEN disabled_at = 0 THEN 0 ELSE 1 END "
				"FROM operator ORDER BY name",
				check_operator,
				{{"role", ASH_EXPORT_TEXT, 16, "viewer"},
						{"scope", ASH_EXPORT_TEXT, ASH_SELECTOR_MAX_BYTES,
								""},
						{"disabled", ASH_EXPORT_BOOL, 0, "false"}}},
		[ASH_EXPORT_WEBHOOK] = {"webhooks", "webhook", "url",
				"SELECT url, kinds, note FROM webhook ORDER BY url, id",
				check_webhook,
				{{"kinds", ASH_EXPORT_TEXTS, ASH_WEBHOOK_MAX_KINDS, ""},
						{"note", ASH_EXPORT_TEXT, 1024, ""}}},
		[ASH_EXPORT_ASSIGNMENT] = {"assignments", "assignment", "id",
				"SELECT id, workload, version, selector, rank, parameters, note FROM "
				"assignment ORDER BY id",
				check_assignment,
				{{"workload", ASH_EXPORT_TEXT, ASH_WORKLOAD_MAX_NAME_BYTES, ""},
						{"version", ASH_EXPORT_TEXT, ASH_VERSION_MAX_BYTES,
								""},
						{"selector", ASH_EXPORT_TEXT,
								ASH_SELECTOR_MAX_BYTES, ""},
						{"rank", ASH_EXPORT_NUMBER, ASH_ASSIGNMENT_MAX_RANK,
								"100"},
						{"parameters", ASH_EXPORT_MAP,
								ASH_WORKLOAD_MAX_ITEMS, ""},
						{"note", ASH_EXPORT_TEXT, ASH_ASSIGNMENT_MAX_NOTE,
								""}}},
		[ASH_EXPORT_HOST] = {"hosts", "host", "id",
				"SELECT id, labels FROM host ORDER BY id", check_host,
				{{"labels", ASH_EXPORT_MAP, ASH_LIVE_MAX_LABELS, ""}}},
};
