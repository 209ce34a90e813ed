/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/event.h"
#include "fleet/store/db.h"

/* The fleet's own certificate authority: which hosts belong to it, and the certificate of this server.
 *
 *	DIR/ca.key (0600)  DIR/ca.pem        made once; several servers of one fleet have the same
 *	DIR/server.key (0600) DIR/server.pem made anew by itself at two thirds of its life, or when its names change
 *
 * Whose certificate was withdrawn is in memory: asked with each request.
 */

#define ASH_CA_ERROR (ash_ca_error_quark())
GQuark ash_ca_error_quark(void);
typedef enum {
	ASH_CA_ERROR_MISSING, /* certificate without key, or the reverse */
	ASH_CA_ERROR_OPEN,    /* everybody may read ca.key */
	ASH_CA_ERROR_OTHER,   /* the database belongs to another authority */
} AshCaError;

typedef struct AshCa AshCa;

/* Makes them in a directory that has neither. */
gboolean ash_ca_open(const char *dir, int64_t now_s, AshCa **out_ca, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_ca_free(AshCa *ca);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshCa, ash_ca_free)

const char *ash_ca_certificate(const AshCa *ca); /* PEM */
const char *ash_ca_fingerprint(
		const AshCa *ca); /* SHA-256 of the certificate: what hosts may pin */

/* A client certificate for the key of @csr_pem, which the caller has checked to be @host_id's
 * (ash_x509_csr_check). Any thread. Errors: ASH_X509_ERROR.
 */
gboolean ash_ca_issue_host(AshCa *ca, const char *csr_pem, const char *host_id, int64_t now_s,
		int64_t life_s, char **out_certificate_pem, char **out_serial,
		int64_t *out_not_before_s, int64_t *out_not_after_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Of this server: @names beside the hostname, localhost and the loopback addresses. *out_is_new: it was made now. */
gboolean ash_ca_server_certificate(AshCa *ca, char *const *names, const char *crl_url,
		int64_t now_s, char **out_certificate_pem, char **out_key_pem, bool *out_is_new,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- withdrawn certificates: rows of table certificate with revoked_at ---- */

/* After a commit that withdrew some. */
gboolean ash_ca_load_revoked(AshCa *ca, AshDb *db, int64_t now_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Follows other servers' changes; ended by ash_ca_free, which comes before ash_events_free. */
void ash_ca_listen(AshCa *ca, AshDbPool *pool, AshEvents *events, int64_t (*now)(void));
bool ash_ca_is_revoked(AshCa *ca, const char *serial);
/* The list of them (DER), for programs that look at it. */
gboolean ash_ca_crl(AshCa *ca, int64_t now_s, GBytes **out_der, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
