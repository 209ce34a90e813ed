/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Who this host is in its fleet: a key, made once, and the certificate for it. ashlar-checkin's own, in a directory that
 * only the user ashlar-link can read (/var/lib/ashlar-link/fleet).
 *
 *	identity.json      {"epoch","instance","key"}: one file, so that after a power cut there is all of it or nothing
 *	certificate.pem    of that key; one of another key counts as none
 *	seq                check-ins have numbers below it, also those of processes before this one
 *	*.old              of the fleet before, when the host document named another one
 */

#define ASH_FLEET_IDENTITY_ERROR (ash_fleet_identity_error_quark())
GQuark ash_fleet_identity_error_quark(void);

typedef enum {
	ASH_FLEET_IDENTITY_ERROR_FAILED, /* the certificate is not one of this key */
} AshFleetIdentityError;

enum {
	ASH_FLEET_IDENTITY_SEQ_BLOCK = 1024, /* numbers for one write */
};

typedef struct {
	int dir_fd, lock_fd;
	char *instance; /* 32 hexadecimal digits */
	char *key_pem, *id;
	char *certificate_pem; /* NULL: none */
	int64_t not_before_s, not_after_s;
} AshFleetIdentity;

/* Reads it, or makes it; waits for nobody: one process at a time. An identity of another epoch is put aside. */
gboolean ash_fleet_identity_open(const char *dir, const char *epoch,
		AshFleetIdentity **out_identity, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_fleet_identity_free(AshFleetIdentity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshFleetIdentity, ash_fleet_identity_free)

gboolean ash_fleet_identity_set_certificate(AshFleetIdentity *identity, const char *pem,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Numbers from *out_first up to below *out_limit belong to the caller, and to nobody after a power cut.
 * @least: not below it
 */
gboolean ash_fleet_identity_reserve(AshFleetIdentity *identity, uint64_t least, uint64_t *out_first,
		uint64_t *out_limit, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Puts the identity aside; fine when there is none. */
gboolean ash_fleet_identity_leave(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
