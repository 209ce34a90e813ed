/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include <unistd.h>

#include "lib/error.h"

enum {
	READ_CHUNK_BYTES = 1 << 18,
};

struct AshSha256 {
	gnutls_hash_hd_t handle;
};

AshSha256 *ash_sha256_new(void)
{
	AshSha256 *hash = g_new0(AshSha256, 1);

	/* Fails only when memory is out or SHA-256 is forbidden by policy: nothing to go on with. */
	if (gnutls_hash_init(&hash->handle, GNUTLS_DIG_SHA256) != 0)
		g_error("GnuTLS has no SHA-256 here");
	return hash;
}

void ash_sha256_update(AshSha256 *hash, const void *data, size_t size)
{
	int result = gnutls_hash(hash->handle, data, size);

	g_assert(result == 0);
}

void ash_sha256_finish(AshSha256 *hash, uint8_t out_digest[ASH_SHA256_BYTES])
{
	gnutls_hash_deinit(hash->handle, out_digest);
	g_free(hash);
}

void ash_sha256_free(AshSha256 *hash)
{
	if (hash == NULL)
		return;
	gnutls_hash_deinit(hash->handle, NULL);
	g_free(hash);
}

void ash_sha256(const void *data, size_t size, uint8_t out_digest[ASH_SHA256_BYTES])
{
	int result = gnutls_hash_fast(GNUTLS_DIG_SHA256, data, size, out_digest);

	g_assert(result == 0);
}

char *ash_sha256_format(const uint8_t digest[ASH_SHA256_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	char *hex = g_malloc(ASH_SHA256_HEX + 1);

	for (size_t i = 0; i < ASH_SHA256_BYTES; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[ASH_SHA256_HEX] = '\0';
	return hex;
}

char *ash_sha256_hex(const void *data, size_t size)
{
	uint8_t digest[ASH_SHA256_BYTES];

	ash_sha256(data, size, digest);
	return ash_sha256_format(digest);
}

gboolean ash_sha256_fd(int fd, char **out_hex, uint64_t *out_size, GError **error)
{
	g_autoptr(AshSha256) hash = ash_sha256_new();
	g_autofree char *chunk = g_malloc(READ_CHUNK_BYTES);
	uint64_t size = 0;

	for (;;) {
		ssize_t n = read(fd, chunk, READ_CHUNK_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "read");
		if (n == 0)
			break;
		ash_sha256_update(hash, chunk, (size_t) n);
		size += (uint64_t) n;
	}
	uint8_t digest[ASH_SHA256_BYTES];
	ash_sha256_finish(g_steal_pointer(&hash), digest);
	*out_hex = ash_sha256_format(digest);
	if (out_size != NULL)
		*out_size = size;
	return TRUE;
}
