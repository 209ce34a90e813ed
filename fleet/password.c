/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/password.h"

#include <argon2.h>
#include <stdint.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_password_error, ash_password_error)

enum {
	SALT_BYTES = 16,
	HASH_BYTES = 32,
	MAX_RUNNING = 2,
	MAX_WAITING = 2,
};

static GMutex lock;
static GCond ended;
static unsigned running, waiting;

static gboolean enter(GError **error)
{
	g_mutex_lock(&lock);
	if (running >= MAX_RUNNING && waiting >= MAX_WAITING) {
		g_mutex_unlock(&lock);
		return ash_throw(error, ASH_PASSWORD_ERROR, ASH_PASSWORD_ERROR_BUSY,
				"many log in at this moment: try again in a second");
	}
	waiting++;
	while (running >= MAX_RUNNING)
		g_cond_wait(&ended, &lock);
	waiting--;
	running++;
	g_mutex_unlock(&lock);
	return TRUE;
}

static void leave(void)
{
	g_mutex_lock(&lock);
	running--;
	g_cond_signal(&ended);
	g_mutex_unlock(&lock);
}

gboolean ash_password_hash(const char *password, char **out_kept, GError **error)
{
	uint8_t salt[SALT_BYTES];
	size_t size = argon2_encodedlen(ASH_PASSWORD_PASSES, ASH_PASSWORD_MEMORY_KIB, 1, SALT_BYTES,
			HASH_BYTES, Argon2_id);
	g_autofree char *kept = g_malloc0(size);

	ash_crypto_random(salt, sizeof salt);
	if (!enter(error))
		return FALSE;
	int result = argon2id_hash_encoded(ASH_PASSWORD_PASSES, ASH_PASSWORD_MEMORY_KIB, 1,
			password, strlen(password), salt, sizeof salt, HASH_BYTES, kept, size);
	leave();
	if (result != ARGON2_OK)
		return ash_throw(error, ASH_PASSWORD_ERROR, ASH_PASSWORD_ERROR_FAILED, "argon2: %s",
				argon2_error_message(result));
	*out_kept = g_steal_pointer(&kept);
	return TRUE;
}

/* The work of a check whose answer is known. */
static int spend(const char *password)
{
	static const uint8_t salt[SALT_BYTES];
	uint8_t hash[HASH_BYTES];

	return argon2id_hash_raw(ASH_PASSWORD_PASSES, ASH_PASSWORD_MEMORY_KIB, 1, password,
			strlen(password), salt, sizeof salt, hash, sizeof hash);
}

gboolean ash_password_verify(
		const char *kept, const char *password, bool *out_is_right, GError **error)
{
	bool is_somebody = kept != NULL && *kept != '\0';

	if (!enter(error))
		return FALSE;
	int result = is_somebody ? argon2id_verify(kept, password, strlen(password))
				 : spend(password);
	leave();
	if (result != ARGON2_OK && result != ARGON2_VERIFY_MISMATCH)
		return ash_throw(error, ASH_PASSWORD_ERROR, ASH_PASSWORD_ERROR_FAILED, "argon2: %s",
				argon2_error_message(result));
	*out_is_right = is_somebody && result == ARGON2_OK;
	return TRUE;
}
