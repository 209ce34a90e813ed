/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host-trial.h"

#include <fcntl.h>
#include <string.h>

#include "agent/paths.h"
#include "lib/file.h"
#include "lib/json.h"

AshHostTrialState ash_host_trial_state(
		const AshHostTrial *trial, const char *digest, const char *previous)
{
	if (digest == NULL || trial->proven == NULL)
		return ASH_HOST_TRIAL_SETTLED;
	if (strcmp(trial->proven, digest) == 0)
		return trial->left != NULL && !trial->is_final ? ASH_HOST_TRIAL_RETURNED
							       : ASH_HOST_TRIAL_SETTLED;
	return g_strcmp0(trial->proven, previous) == 0 ? ASH_HOST_TRIAL_TRIED
						       : ASH_HOST_TRIAL_SETTLED;
}

bool ash_host_trial_is_left(const AshHostTrial *trial, const char *digest)
{
	return trial->left != NULL && g_strcmp0(trial->left, digest) == 0;
}

bool ash_host_trial_contact(AshHostTrial *trial, const char *digest, const char *previous)
{
	if (digest == NULL || ash_host_trial_is_left(trial, digest))
		return false;
	if (ash_host_trial_state(trial, digest, previous) == ASH_HOST_TRIAL_RETURNED) {
		trial->is_final = true;
		return true;
	}
	if (g_strcmp0(trial->proven, digest) == 0)
		return false;
	/* Another document came than the one that was left. */
	ash_host_trial_clear(trial);
	trial->proven = g_strdup(digest);
	return true;
}

bool ash_host_trial_late(
		AshHostTrial *trial, const char *digest, const char *previous, int64_t now_s)
{
	switch (ash_host_trial_state(trial, digest, previous)) {
	case ASH_HOST_TRIAL_TRIED:
		g_free(trial->left);
		trial->left = g_strdup(digest);
		trial->left_s = now_s;
		trial->is_final = false;
		return true;
	case ASH_HOST_TRIAL_RETURNED:
		ash_host_trial_clear(trial);
		return true;
	case ASH_HOST_TRIAL_SETTLED:
		break;
	}
	return false;
}

bool ash_host_trial_forgive(AshHostTrial *trial)
{
	bool is_left = trial->left != NULL;

	g_clear_pointer(&trial->left, g_free);
	trial->left_s = 0;
	trial->is_final = false;
	return is_left;
}

void ash_host_trial_clear(AshHostTrial *trial)
{
	ash_host_trial_forgive(trial);
	g_clear_pointer(&trial->proven, g_free);
}

/* ---- disk ---------------------------------------------------------------------------------------- */

#define STORE ASH_PATH_STATE "/host-trial.json"

void ash_host_trial_load(const char *root, AshHostTrial *out_trial)
{
	g_autofree char *path = g_strconcat(root, STORE, NULL);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(JsonNode) node = NULL;

	*out_trial = (AshHostTrial){0};
	if (!ash_file_read(AT_FDCWD, path, ASH_HOST_TRIAL_MAX_BYTES, &text, NULL) ||
			!ash_json_parse(text, ASH_HOST_TRIAL_MAX_BYTES, 2, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node))
		return;
	JsonObject *object = json_node_get_object(node);
	out_trial->proven = g_strdup(ash_json_find_text(object, "proven"));
	out_trial->left = g_strdup(ash_json_find_text(object, "left"));
	out_trial->left_s = (int64_t) ash_json_find_uint(object, "left_at");
	out_trial->is_final = ash_json_find_bool(object, "final");
}

gboolean ash_host_trial_save(const char *root, const AshHostTrial *trial, GError **error)
{
	g_autofree char *path = g_strconcat(root, STORE, NULL);
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "proven", trial->proven);
	ash_json_add_text(builder, "left", trial->left);
	ash_json_add_int(builder, "left_at", trial->left_s);
	ash_json_add_bool(builder, "final", trial->is_final);
	json_builder_end_object(builder);
	g_autofree char *text = ash_json_format(builder, false);
	return ash_file_replace(AT_FDCWD, path, text, strlen(text), 0600, error);
}
