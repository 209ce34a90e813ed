/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/deb-release.h"

#include <fcntl.h>
#include <string.h>

#include "builder/source.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/spawn.h"

#define SIGNED_MESSAGE "-----BEGIN PGP SIGNED MESSAGE-----\n"
#define SIGNATURE_BEGIN "\n-----BEGIN PGP SIGNATURE-----\n"

enum {
	GPGV_TIMEOUT_MS = 60000
};

/* OpenPGP's hash numbers (RFC 4880, 9.4). */
enum {
	HASH_MD5 = 1,
	HASH_SHA1 = 2,
	HASH_RIPEMD160 = 3,
};

/* ---- what gpgv says -------------------------------------------------------------------------- */

typedef struct {
	unsigned good;      /* GOODSIG with its VALIDSIG and a strong hash */
	bool is_good;       /* between the two */
	char *bad_key;      /* BADSIG */
	char *missing_keys; /* NO_PUBKEY, joined */
	const char *weak;   /* why a signature that fits is no good; a literal */
} Verdict;

static void verdict_clear(Verdict *verdict)
{
	g_free(verdict->bad_key);
	g_free(verdict->missing_keys);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Verdict, verdict_clear)

/* VALIDSIG fingerprint date timestamp expires version reserved key-algorithm hash-algorithm … */
static void judge_valid(Verdict *verdict, char **words)
{
	if (!verdict->is_good || g_strv_length(words) < 9)
		return;
	verdict->is_good = false;
	guint64 hash = g_ascii_strtoull(words[8], NULL, 10);
	if (hash == HASH_MD5 || hash == HASH_SHA1 || hash == HASH_RIPEMD160)
		verdict->weak = "its signature uses a hash that is broken";
	else
		verdict->good++;
}

static void judge_line(Verdict *verdict, char **words)
{
	const char *keyword = words[0];
	const char *key = words[0] != NULL && words[1] != NULL ? words[1] : "?";

	if (keyword == NULL)
		return;
	if (g_str_equal(keyword, "NEWSIG")) {
		verdict->is_good = false;
	} else if (g_str_equal(keyword, "GOODSIG")) {
		verdict->is_good = true;
	} else if (g_str_equal(keyword, "VALIDSIG")) {
		judge_valid(verdict, words);
	} else if (g_str_equal(keyword, "BADSIG")) {
		g_free(verdict->bad_key);
		verdict->bad_key = g_strdup(key);
	} else if (g_str_equal(keyword, "EXPKEYSIG")) {
		verdict->weak = "the key that signed it has expired";
	} else if (g_str_equal(keyword, "REVKEYSIG")) {
		verdict->weak = "the key that signed it was revoked";
	} else if (g_str_equal(keyword, "EXPSIG")) {
		verdict->weak = "its signature has expired";
	} else if (g_str_equal(keyword, "NO_PUBKEY")) {
		char *old = verdict->missing_keys;
		verdict->missing_keys =
				old == NULL ? g_strdup(key) : g_strconcat(old, ", ", key, NULL);
		g_free(old);
	}
}

gboolean ash_deb_release_judge_status(
		const char *what, const char *status, const char *keyring, GError **error)
{
	static const char prefix[] = "[GNUPG:] ";
	g_auto(GStrv) lines = g_strsplit(status, "\n", -1);
	g_auto(Verdict) verdict = {0};

	for (char **line = lines; *line != NULL; line++) {
		if (!g_str_has_prefix(*line, prefix))
			continue;
		g_auto(GStrv) words = g_strsplit(*line + strlen(prefix), " ", -1);
		judge_line(&verdict, words);
	}
	if (verdict.bad_key != NULL)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SIGNATURE,
				"%s: the signature of key %s is wrong: the file was altered", what,
				verdict.bad_key);
	if (verdict.good > 0)
		return TRUE;
	if (verdict.weak != NULL)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SIGNATURE, "%s: %s",
				what, verdict.weak);
	if (verdict.missing_keys != NULL)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SIGNATURE,
				"%s: signed by %s, which is not in the keyring '%s'", what,
				verdict.missing_keys, keyring);
	return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SIGNATURE, "%s: not signed",
			what);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* ASCII armour (RFC 4880, 6.2) to bytes; gpgv reads only these. Several blocks are joined. The
 * checksum is not looked at: keys with a flipped bit verify nothing.
 */
static GBytes *dearmour(const char *text)
{
	static const char begin[] = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
	static const char end[] = "-----END PGP PUBLIC KEY BLOCK-----";
	g_autoptr(GByteArray) keys = g_byte_array_new();

	for (const char *block = strstr(text, begin); block != NULL; block = strstr(block, begin)) {
		block += strlen(begin);
		const char *stop = strstr(block, end);
		if (stop == NULL)
			break;
		g_autofree char *body = g_strndup(block, (gsize) (stop - block));
		g_auto(GStrv) lines = g_strsplit(body, "\n", -1);
		g_autoptr(GString) base64 = g_string_new(NULL);
		for (char **line = lines; *line != NULL; line++) {
			/* Headers ("Version: …") have a colon, the checksum begins with '='; a
			 * lone "." is an empty line in deb822.
			 */
			g_strstrip(*line);
			if (strchr(*line, ':') == NULL && **line != '=' && **line != '.')
				g_string_append(base64, *line);
		}
		gsize size = 0;
		g_autofree guchar *bytes = g_base64_decode(base64->str, &size);
		g_byte_array_append(keys, bytes, (guint) size);
		block = stop;
	}
	return g_byte_array_free_to_bytes(g_steal_pointer(&keys));
}

/* Puts the keys into @dir as gpgv wants them. */
static gboolean prepare_keyring(AshTempDir *dir, const char *keyring, const char *inline_key,
		char **out_path, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;

	if (inline_key != NULL) {
		bytes = dearmour(inline_key);
	} else {
		ASH_PREFIX("keyring");
		if (!ash_file_read(AT_FDCWD, keyring, ASH_DEB_RELEASE_MAX_KEYRING_BYTES, &bytes,
				    error))
			return FALSE;
		const char *text = g_bytes_get_data(bytes, NULL);
		if (g_str_has_prefix(text, "-----BEGIN PGP")) {
			g_autoptr(GBytes) binary = dearmour(text);
			g_bytes_unref(bytes);
			bytes = g_steal_pointer(&binary);
		}
	}
	gsize size = 0;
	const void *data = g_bytes_get_data(bytes, &size);
	*out_path = g_build_filename(dir->path, "keyring.gpg", NULL);
	return ash_file_replace(dir->fd, "keyring.gpg", data, size, 0600, error);
}

/* ---- verification ---------------------------------------------------------------------------- */

/* gpgv hands out what was signed and is silent about the rest; a file in which other text stands
 * before, or that holds a second message, would look like something else to another reader.
 */
static gboolean check_shape(const char *what, GBytes *text, GError **error)
{
	gsize size = 0;
	const char *data = g_bytes_get_data(text, &size);

	if (size == 0 || memchr(data, '\0', size) != NULL ||
			!g_str_has_prefix(data, SIGNED_MESSAGE))
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SIGNATURE,
				"%s: not signed", what);
	if (strstr(data + 1, "\n" SIGNED_MESSAGE) != NULL)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SIGNATURE,
				"%s: more than one signed message", what);
	return TRUE;
}

static gboolean write_bytes(AshTempDir *dir, const char *name, GBytes *bytes, GError **error)
{
	gsize size = 0;
	const void *data = g_bytes_get_data(bytes, &size);

	return ash_file_replace(dir->fd, name, data, size, 0600, error);
}

static gboolean run_gpgv(AshTempDir *dir, const char *keyring_path, bool is_detached,
		GBytes **out_status, GError **error)
{
	const char *const inline_argv[] = {"gpgv", "--status-fd", "1", "--keyring", keyring_path,
			"--output", "signed", "text", NULL};
	const char *const detached_argv[] = {"gpgv", "--status-fd", "1", "--keyring", keyring_path,
			"signature", "text", NULL};
	const AshSpawn spawn = {.argv = is_detached ? detached_argv : inline_argv,
			.cwd = dir->path,
			.timeout_ms = GPGV_TIMEOUT_MS};
	int code = 0;

	/* The exit code says less than the status lines: it is not 0 as soon as one of several
	 * signatures is by an unknown key.
	 */
	return ash_spawn_run_status(&spawn, out_status, &code, error);
}

gboolean ash_deb_release_verify(const char *what, GBytes *text, GBytes *signature,
		const char *keyring, const char *inline_key, GBytes **out_text, GError **error)
{
	g_autoptr(AshTempDir) dir = NULL;
	g_autofree char *keyring_path = NULL;
	g_autoptr(GBytes) status = NULL;

	if (signature == NULL && !check_shape(what, text, error))
		return FALSE;
	if (!ash_temp_dir_new(g_get_tmp_dir(), "ashlar-release", &dir, error) ||
			!prepare_keyring(dir, keyring, inline_key, &keyring_path, error) ||
			!write_bytes(dir, "text", text, error) ||
			(signature != NULL && !write_bytes(dir, "signature", signature, error)) ||
			!run_gpgv(dir, keyring_path, signature != NULL, &status, error))
		return FALSE;
	if (!ash_deb_release_judge_status(what, g_bytes_get_data(status, NULL),
			    inline_key != NULL ? "of its source" : keyring, error))
		return FALSE;
	if (signature != NULL) {
		*out_text = g_bytes_ref(text);
		return TRUE;
	}
	return ash_file_read(dir->fd, "signed", ASH_DEB_RELEASE_MAX_BYTES, out_text, error);
}

gboolean ash_deb_release_strip_signature(
		const char *what, GBytes *text, GBytes **out_text, GError **error)
{
	if (!check_shape(what, text, error))
		return FALSE;
	const char *data = g_bytes_get_data(text, NULL);
	const char *body = strstr(data, "\n\n");
	const char *end = body != NULL ? strstr(body, SIGNATURE_BEGIN) : NULL;
	if (end == NULL)
		return ash_throw(error, ASH_SOURCE_ERROR, ASH_SOURCE_ERROR_SYNTAX,
				"%s: a signed message without an end", what);
	/* A line that began with '-' begins with "- " now; Release files have none. */
	*out_text = g_bytes_new(body + 2, (gsize) (end - body) - 1);
	return TRUE;
}
