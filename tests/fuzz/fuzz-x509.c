/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "lib/text.h"
#include "lib/x509.h"

/* Certificates and requests that hosts send: the first byte says whether it is DER. What an authority signs is its. */

enum {
	NOW_S = 1800000000,
	YEAR_S = 365 * 86400,
};

static AshX509Authority *authority;
static char *ca;

static void begin(void)
{
	g_autofree char *key = NULL;

	g_assert_true(ash_x509_ca_make("fuzz", NOW_S, NOW_S + YEAR_S, &key, &ca, NULL));
	g_assert_true(ash_x509_authority_new(ca, key, &authority, NULL));
}

static void check_info(const AshX509Info *info)
{
	g_assert_true(ash_text_is_sha256(info->fingerprint));
	g_assert_true(ash_text_is_sha256(info->sha256));
	g_assert_cmpuint(g_strv_length(info->names), <=, ASH_X509_MAX_NAMES);
	/* It goes into answers, which are JSON. */
	g_assert_true(g_utf8_validate(info->common_name, -1, NULL));
	for (char **name = info->names; *name != NULL; name++)
		g_assert_true(g_utf8_validate(*name, -1, NULL));
}

static void try_request(const char *pem)
{
	const AshX509Wish wish = {
			.common_name = "h", .not_before_s = NOW_S, .not_after_s = NOW_S + YEAR_S};
	g_autofree char *fingerprint = NULL, *certificate = NULL, *serial = NULL;
	g_auto(AshX509Info) info = {0};

	if (!ash_x509_csr_check(pem, &fingerprint, NULL))
		return;
	g_assert_true(ash_text_is_sha256(fingerprint));
	g_assert_true(ash_x509_issue(authority, pem, &wish, &certificate, &serial, NULL));
	g_assert_true(ash_x509_is_client_of(certificate, ca, NOW_S + 1));
	/* Nothing of the request but its key. */
	g_assert_true(ash_x509_info_parse(certificate, &info, NULL));
	g_assert_cmpstr(info.fingerprint, ==, fingerprint);
	g_assert_cmpstr(info.common_name, ==, "h");
	g_assert_cmpuint(g_strv_length(info.names), ==, 0);
	g_assert_false(info.is_ca);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_auto(AshX509Info) info = {0};

	if (ca == NULL)
		begin();
	if (size == 0)
		return 0;
	if (data[0] == 0) {
		/* A copy of this very size, so that reading behind it is seen. */
		g_autofree uint8_t *der = g_memdup2(data + 1, size - 1);
		if (ash_x509_info_parse_der(der, size - 1, &info, NULL))
			check_info(&info);
		return 0;
	}
	g_autofree char *pem = g_strndup((const char *) data, size);
	if (ash_x509_info_parse(pem, &info, NULL))
		check_info(&info);
	(void) ash_x509_is_signed_by(pem, ca);
	g_assert_false(ash_x509_is_client_of(pem, ca, NOW_S + 1));
	try_request(pem);
	return 0;
}
