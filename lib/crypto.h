/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

/* Hashes, by GnuTLS (which uses the processor's own SHA instructions; GLib's GChecksum does not and
 * is four times slower). The one file that may include gnutls headers.
 */

enum {
	ASH_SHA256_BYTES = 32,
	ASH_SHA256_HEX = 64,
};

typedef struct AshSha256 AshSha256;

AshSha256 *ash_sha256_new(void);
void ash_sha256_update(AshSha256 *hash, const void *data, size_t size);
/* Ends the computation and frees @hash. */
void ash_sha256_finish(AshSha256 *hash, uint8_t out_digest[ASH_SHA256_BYTES]);
void ash_sha256_free(AshSha256 *hash);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshSha256, ash_sha256_free)

void ash_sha256(const void *data, size_t size, uint8_t out_digest[ASH_SHA256_BYTES]);

/* 64 lower-case digits, newly allocated. */
char *ash_sha256_hex(const void *data, size_t size);
char *ash_sha256_format(const uint8_t digest[ASH_SHA256_BYTES]);

/* Reads from the descriptor's position to its end. */
gboolean ash_sha256_fd(int fd, char **out_hex, uint64_t *out_size, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
