/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A changed host document is tried, as a release is: a host that had contact before it, and has none with it, goes back
 * to the document before. Contact: its fleet answered, or its source of releases was verified.
 *
 * PURE but for load and save. ashlar-provision puts documents in force and leaves those that this says, at boot and
 * before the network; ashlard sees whether there is contact, and decides. Documents are known by their SHA-256.
 *
 *	            in force      meanwhile                        after ASH_HOST_TRIAL_S without contact
 *	  SETTLED   proven, or    contact: it is proven            -
 *	            none ever was
 *	  TRIED     new, the one  contact: it is proven            `left` is set; the host restarts, into the document
 *	            before proven                                  before
 *	  RETURNED  the proven    contact: the new one was the     it was not the document: `left` and `proven` are
 *	            one again     reason, and stays left           cleared; the host restarts into the new one, for good
 *
 * What is left is refused as a bad document is, until another one comes or it is forgiven.
 */

enum {
	ASH_HOST_TRIAL_S = 600, /* from the start of ashlard */
	ASH_HOST_TRIAL_MAX_BYTES = 4096,
};

typedef struct {
	char *proven; /* of the document under which the host had contact last; NULL: none */
	char *left;   /* of the one that it had none with; NULL: none */
	int64_t left_s;
	bool is_final; /* there was contact again without it */
} AshHostTrial;

typedef enum {
	ASH_HOST_TRIAL_SETTLED,
	ASH_HOST_TRIAL_TRIED,
	ASH_HOST_TRIAL_RETURNED,
} AshHostTrialState;

/* @digest, @previous: of host.yaml and host.yaml.previous; NULL: there is none */
AshHostTrialState ash_host_trial_state(
		const AshHostTrial *trial, const char *digest, const char *previous);
/* Is this the document that is not to be used? */
bool ash_host_trial_is_left(const AshHostTrial *trial, const char *digest);

/* TRUE: something is to be saved. */
bool ash_host_trial_contact(AshHostTrial *trial, const char *digest, const char *previous);
/* Without contact in time. TRUE: to be saved, and then the host is to restart. */
bool ash_host_trial_late(
		AshHostTrial *trial, const char *digest, const char *previous, int64_t now_s);
bool ash_host_trial_forgive(AshHostTrial *trial);

void ash_host_trial_clear(AshHostTrial *trial);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshHostTrial, ash_host_trial_clear)

/* ASH_PATH_STATE/host-trial.json. One that is missing or broken is an empty one: nothing is tried then until there was
 * contact.
 */
void ash_host_trial_load(const char *root, AshHostTrial *out_trial);
gboolean ash_host_trial_save(const char *root, const AshHostTrial *trial, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
