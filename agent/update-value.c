/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/update.h"

#include <string.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_update_error_quark, ash_update_error)

static const struct {
	const char *text, *public;
} state_words[] = {
		[ASH_UPDATE_IDLE] = {"idle", "idle"},
		[ASH_UPDATE_CHECKING] = {"checking", "checking"},
		[ASH_UPDATE_BUNDLING] = {"bundling", "checking"},
		[ASH_UPDATE_VERIFYING] = {"verifying", "checking"},
		[ASH_UPDATE_PLANNING] = {"planning", "fetching"},
		[ASH_UPDATE_FETCHING] = {"fetching", "fetching"},
		[ASH_UPDATE_IMPORTING] = {"importing", "fetching"},
		[ASH_UPDATE_READY] = {"ready", "ready"},
		[ASH_UPDATE_DEPLOYING] = {"deploying", "deploying"},
		[ASH_UPDATE_SWITCHING] = {"switching", "deploying"},
		[ASH_UPDATE_REBOOTING] = {"rebooting", "rebooting"},
		[ASH_UPDATE_TRIAL] = {"trial", "trial"},
		[ASH_UPDATE_BLESSING] = {"blessing", "trial"},
		[ASH_UPDATE_CONDEMNING] = {"condemning", "returning"},
		[ASH_UPDATE_RETURNING] = {"returning", "returning"},
		[ASH_UPDATE_CLEANING] = {"cleaning", "cleaning"},
};

const char *ash_update_state_text(AshUpdateState state)
{
	return state_words[state].text;
}

const char *ash_update_state_public(AshUpdateState state)
{
	return state_words[state].public;
}

gboolean ash_update_state_parse(const char *text, AshUpdateState *out_state, GError **error)
{
	for (guint i = 0; i < G_N_ELEMENTS(state_words); i++)
		if (strcmp(text, state_words[i].text) == 0) {
			*out_state = (AshUpdateState) i;
			return TRUE;
		}
	return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NOT_FOUND,
			"'%.40s' is no state of the update machine", text);
}

/* ---- values -------------------------------------------------------------------------------------- */

void ash_update_ref_set(AshUpdateRef *ref, const char *commit, const char *version)
{
	char *new_commit = g_strdup(commit), *new_version = g_strdup(version);

	g_free(ref->commit);
	g_free(ref->version);
	ref->commit = new_commit;
	ref->version = new_version;
}

static AshUpdateRef *ref_new(const char *commit, const char *version)
{
	AshUpdateRef *ref = g_new0(AshUpdateRef, 1);

	ash_update_ref_set(ref, commit, version);
	return ref;
}

void ash_update_ref_free(AshUpdateRef *ref)
{
	if (ref == NULL)
		return;
	ash_update_ref_set(ref, NULL, NULL);
	g_free(ref);
}

void ash_update_failed_free(AshUpdateFailed *failed)
{
	if (failed == NULL)
		return;
	g_free(failed->commit);
	g_free(failed->version);
	g_free(failed->reason);
	g_free(failed);
}

void ash_update_note_free(AshUpdateNote *note)
{
	if (note == NULL)
		return;
	g_free(note->commit);
	g_free(note->version);
	g_free(note->text);
	g_free(note);
}

AshUpdate *ash_update_new(void)
{
	AshUpdate *update = g_new0(AshUpdate, 1);

	update->failed = g_ptr_array_new_with_free_func((GDestroyNotify) ash_update_failed_free);
	update->told = g_ptr_array_new_with_free_func((GDestroyNotify) ash_update_note_free);
	update->good = g_ptr_array_new_with_free_func((GDestroyNotify) ash_update_ref_free);
	update->pinned = g_ptr_array_new_with_free_func((GDestroyNotify) ash_update_ref_free);
	return update;
}

void ash_update_free(AshUpdate *update)
{
	if (update == NULL)
		return;
	g_free(update->boot_id);
	ash_update_ref_set(&update->booted, NULL, NULL);
	ash_update_ref_set(&update->target, NULL, NULL);
	ash_update_ref_set(&update->from, NULL, NULL);
	g_free(update->document);
	g_free(update->method);
	g_free(update->delta);
	g_free(update->wanted);
	g_free(update->bundle);
	g_free(update->bad_reason);
	g_free(update->degraded);
	g_ptr_array_unref(update->told);
	g_ptr_array_unref(update->failed);
	g_ptr_array_unref(update->good);
	g_ptr_array_unref(update->pinned);
	g_free(update);
}

const AshUpdateFailed *ash_update_find_failed(const AshUpdate *update, const char *commit)
{
	for (guint i = 0; i < update->failed->len; i++) {
		const AshUpdateFailed *failed = update->failed->pdata[i];
		if (g_strcmp0(failed->commit, commit) == 0)
			return failed;
	}
	return NULL;
}

static int find_ref(const GPtrArray *refs, const char *commit)
{
	for (guint i = 0; i < refs->len; i++)
		if (g_strcmp0(((const AshUpdateRef *) refs->pdata[i])->commit, commit) == 0)
			return (int) i;
	return -1;
}

bool ash_update_is_good(const AshUpdate *update, const char *commit)
{
	return find_ref(update->good, commit) >= 0;
}

bool ash_update_is_pinned(const AshUpdate *update, const char *commit)
{
	return find_ref(update->pinned, commit) >= 0;
}

void ash_update_add_good(AshUpdate *update, const char *commit, const char *version)
{
	int at = find_ref(update->good, commit);

	if (at >= 0)
		g_ptr_array_remove_index(update->good, (guint) at);
	g_ptr_array_add(update->good, ref_new(commit, version));
	if (update->good->len > ASH_UPDATE_MAX_GOOD)
		g_ptr_array_remove_index(update->good, 0);
}

void ash_update_remove_good(AshUpdate *update, const char *commit)
{
	int at = find_ref(update->good, commit);

	if (at >= 0)
		g_ptr_array_remove_index(update->good, (guint) at);
}

void ash_update_add_failed(AshUpdate *update, const AshUpdateRef *ref, bool is_held,
		const char *reason, int64_t now_s)
{
	AshUpdateFailed *failed = NULL;

	for (guint i = 0; i < update->failed->len; i++)
		if (g_strcmp0(((AshUpdateFailed *) update->failed->pdata[i])->commit,
				    ref->commit) == 0) {
			g_ptr_array_remove_index(update->failed, i);
			break;
		}
	failed = g_new0(AshUpdateFailed, 1);
	failed->commit = g_strdup(ref->commit);
	failed->version = g_strdup(ref->version);
	failed->is_held = is_held;
	failed->reason = g_strdup(reason);
	failed->at_s = now_s;
	g_ptr_array_add(update->failed, failed);
	if (update->failed->len > ASH_UPDATE_MAX_FAILED)
		g_ptr_array_remove_index(update->failed, 0);
}

bool ash_update_forgive(AshUpdate *update, const char *what)
{
	bool found = false;

	for (guint i = update->failed->len; i-- > 0;) {
		const AshUpdateFailed *failed = update->failed->pdata[i];
		if (strcmp(what, "all") != 0 && g_strcmp0(what, failed->commit) != 0 &&
				g_strcmp0(what, failed->version) != 0)
			continue;
		g_ptr_array_remove_index(update->failed, i);
		found = true;
	}
	return found;
}

GPtrArray *ash_update_keep(const AshUpdate *update, unsigned keep)
{
	GPtrArray *commits = g_ptr_array_new_with_free_func(g_free);
	unsigned good = 0;

	if (update->booted.commit != NULL)
		g_ptr_array_add(commits, g_strdup(update->booted.commit));
	/* Counted with the booted one, if that is good: keep 2 is the present and the one before. */
	for (guint i = update->good->len; i-- > 0 && good < keep;) {
		const AshUpdateRef *ref = update->good->pdata[i];
		good++;
		if (!g_ptr_array_find_with_equal_func(commits, ref->commit, g_str_equal, NULL))
			g_ptr_array_add(commits, g_strdup(ref->commit));
	}
	for (guint i = 0; i < update->pinned->len; i++) {
		const AshUpdateRef *ref = update->pinned->pdata[i];
		if (!g_ptr_array_find_with_equal_func(commits, ref->commit, g_str_equal, NULL))
			g_ptr_array_add(commits, g_strdup(ref->commit));
	}
	/* What is on its way; what was bad here goes. */
	if (update->target.commit != NULL &&
			ash_update_find_failed(update, update->target.commit) == NULL &&
			!g_ptr_array_find_with_equal_func(
					commits, update->target.commit, g_str_equal, NULL))
		g_ptr_array_add(commits, g_strdup(update->target.commit));
	return commits;
}
