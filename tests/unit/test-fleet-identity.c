/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fleet-identity.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/file.h"
#include "lib/x509.h"

typedef struct {
	AshTempDir *dir;
	char *path, *ca_key, *ca_pem;
	AshX509Authority *ca;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;
	int64_t now_s = g_get_real_time() / G_USEC_PER_SEC;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "identity", &f->dir, &error));
	f->path = g_build_filename(f->dir->path, "fleet", NULL);
	g_assert_true(ash_x509_ca_make(
			"test", now_s - 10, now_s + 1000, &f->ca_key, &f->ca_pem, &error));
	g_assert_true(ash_x509_authority_new(f->ca_pem, f->ca_key, &f->ca, &error));
}

static void tear_down(Fixture *f, gconstpointer data)
{
	ash_temp_dir_free(f->dir);
	ash_x509_authority_free(f->ca);
	g_free(f->path);
	g_free(f->ca_key);
	g_free(f->ca_pem);
}

static AshFleetIdentity *open_identity(Fixture *f, const char *epoch)
{
	g_autoptr(GError) error = NULL;
	AshFleetIdentity *identity = NULL;

	g_assert_true(ash_fleet_identity_open(f->path, epoch, &identity, &error));
	g_assert_no_error(error);
	return identity;
}

static char *certify(Fixture *f, const AshFleetIdentity *identity)
{
	g_autofree char *csr = NULL;
	char *pem = NULL;
	int64_t now_s = g_get_real_time() / G_USEC_PER_SEC;
	const AshX509Wish wish = {
			.common_name = "x", .not_before_s = now_s - 10, .not_after_s = now_s + 500};

	g_assert_true(ash_x509_csr_make(identity->key_pem, "x", &csr, NULL));
	g_assert_true(ash_x509_issue(f->ca, csr, &wish, &pem, NULL, NULL));
	return pem;
}

static void test_made_once(Fixture *f, gconstpointer data)
{
	g_autofree char *instance = NULL, *id = NULL, *pem = NULL;
	struct stat st;

	AshFleetIdentity *first = open_identity(f, "e1");
	instance = g_strdup(first->instance);
	id = g_strdup(first->id);
	g_assert_cmpuint(strlen(instance), ==, 32);
	g_assert_null(first->certificate_pem);
	pem = certify(f, first);
	g_assert_true(ash_fleet_identity_set_certificate(first, pem, NULL));
	g_assert_cmpint(first->not_after_s, >, first->not_before_s);
	/* One at a time. */
	AshFleetIdentity *other = NULL;
	g_assert_false(ash_fleet_identity_open(f->path, "e1", &other, NULL));
	ash_fleet_identity_free(first);

	g_autoptr(AshFleetIdentity) second = open_identity(f, "e1");
	g_assert_cmpstr(second->instance, ==, instance);
	g_assert_cmpstr(second->id, ==, id);
	g_assert_cmpstr(second->certificate_pem, ==, pem);
	g_autofree char *file = g_build_filename(f->path, "identity.json", NULL);
	g_assert_cmpint(stat(file, &st), ==, 0);
	g_assert_cmpuint(st.st_mode & 0777, ==, 0600);
	g_assert_cmpint(stat(f->path, &st), ==, 0);
	g_assert_cmpuint(st.st_mode & 0777, ==, 0700);
}

static void test_another_fleet(Fixture *f, gconstpointer data)
{
	AshFleetIdentity *first = open_identity(f, "e1");
	g_autofree char *id = g_strdup(first->id);
	g_autofree char *pem = certify(f, first);
	g_autofree char *old = g_build_filename(f->path, "identity.json.old", NULL);

	g_assert_true(ash_fleet_identity_set_certificate(first, pem, NULL));
	ash_fleet_identity_free(first);
	AshFleetIdentity *second = open_identity(f, "e2");
	g_assert_cmpstr(second->id, !=, id);
	g_assert_null(second->certificate_pem);
	g_assert_true(g_file_test(old, G_FILE_TEST_EXISTS));
	/* One of another key is none, and is not kept. */
	g_assert_false(ash_fleet_identity_set_certificate(second, pem, NULL));
	ash_fleet_identity_free(second);
	g_assert_true(ash_fleet_identity_leave(f->path, NULL));
	g_autoptr(AshFleetIdentity) third = open_identity(f, "e2");
	g_assert_cmpstr(third->id, !=, id);
}

/* The power went between the key and the certificate, in either order. */
static void test_halves(Fixture *f, gconstpointer data)
{
	AshFleetIdentity *first = open_identity(f, "e1");
	g_autofree char *pem = certify(f, first);
	g_autofree char *file = g_build_filename(f->path, "certificate.pem", NULL);
	g_autofree char *identity = g_build_filename(f->path, "identity.json", NULL);

	g_assert_true(ash_fleet_identity_set_certificate(first, pem, NULL));
	ash_fleet_identity_free(first);
	g_assert_true(g_file_set_contents(identity, "{\"epoch\":\"e1\"", -1, NULL));
	g_assert_true(g_file_set_contents(file, pem, -1, NULL));
	g_autoptr(AshFleetIdentity) second = open_identity(f, "e1");
	g_assert_null(second->certificate_pem);
	g_assert_nonnull(second->key_pem);
}

static void test_numbers(Fixture *f, gconstpointer data)
{
	uint64_t first = 0, limit = 0, next = 0, end = 0;
	AshFleetIdentity *one = open_identity(f, "e1");

	g_assert_true(ash_fleet_identity_reserve(one, 0, &first, &limit, NULL));
	g_assert_cmpuint(first, ==, 1);
	g_assert_cmpuint(limit, ==, 1 + ASH_FLEET_IDENTITY_SEQ_BLOCK);
	ash_fleet_identity_free(one);
	/* Another process, which knows nothing of how far the first one came. */
	g_autoptr(AshFleetIdentity) two = open_identity(f, "e1");
	g_assert_true(ash_fleet_identity_reserve(two, 0, &next, &end, NULL));
	g_assert_cmpuint(next, ==, limit);
	g_assert_true(ash_fleet_identity_reserve(two, 1000000, &next, &end, NULL));
	g_assert_cmpuint(next, ==, 1000000);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add("/fleet-identity/made-once", Fixture, NULL, set_up, test_made_once, tear_down);
	g_test_add("/fleet-identity/another-fleet", Fixture, NULL, set_up, test_another_fleet,
			tear_down);
	g_test_add("/fleet-identity/halves", Fixture, NULL, set_up, test_halves, tear_down);
	g_test_add("/fleet-identity/numbers", Fixture, NULL, set_up, test_numbers, tear_down);
	return g_test_run();
}
