/* SPDX-License-Identifier: Apache-2.0 */
/* fleet-identities DIR FILE COUNT: makes COUNT hosts in the fleet of DIR (of its server, which does not run), as if each
 * had joined, and writes their keys and certificates to FILE for fleet-load: for each the length of the key's PEM and of
 * the certificate's, 32 bits of this machine, and the two.
 *
 * fleet-identities --rows DIR COUNT: COUNT hosts that have said much and whose keys nobody has, for a start with many.
 */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/ca.h"
#include "fleet/store/db.h"
#include "lib/crypto.h"
#include "lib/x509.h"

enum {
	GROUP = 5000, /* hosts in one transaction */
	LIFE_S = 30 * 86400,
};

static gboolean write_text(FILE *file, const char *key, const char *certificate)
{
	uint32_t sizes[2] = {(uint32_t) strlen(key), (uint32_t) strlen(certificate)};

	return fwrite(sizes, sizeof sizes, 1, file) == 1 && fwrite(key, sizes[0], 1, file) == 1 &&
	       fwrite(certificate, sizes[1], 1, file) == 1;
}

static gboolean make_one(AshDb *db, AshCa *ca, FILE *file, unsigned number, GError **error)
{
	g_autofree char *key = NULL;
	g_autofree char *csr = NULL;
	g_autofree char *id = NULL;
	g_autofree char *certificate = NULL;
	g_autofree char *serial = NULL;
	g_autofree char *name = g_strdup_printf("load-%06u", number);
	int64_t now_s = g_get_real_time() / G_USEC_PER_SEC;
	int64_t from_s = 0;
	int64_t to_s = 0;

	if (!ash_x509_key_make(&key, error) || !ash_x509_csr_make(key, "load", &csr, error) ||
			!ash_x509_key_fingerprint(key, &id, error) ||
			!ash_ca_issue_host(ca, csr, id, now_s, LIFE_S, &certificate, &serial,
					&from_s, &to_s, error))
		return FALSE;
	if (!ash_db_exec(db,
			    "INSERT INTO host (id, name, state, labels, enrolled_at) VALUES "
			    "($1, $2, 'active', '{\"channel\":\"load\",\"site\":\"bench\"}', $3)",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_T(name), ASH_DB_I(now_s)), NULL,
			    error) ||
			!ash_db_exec(db,
					"INSERT INTO certificate (serial, host, not_before, not_after) "
					"VALUES ($1, $2, $3, $4)",
					ASH_DB_VALUES(ASH_DB_T(serial), ASH_DB_T(id),
							ASH_DB_I(from_s), ASH_DB_I(to_s)),
					NULL, error))
		return FALSE;
	g_assert_true(write_text(file, key, certificate));
	return TRUE;
}

static gboolean make_all(const char *dir, FILE *file, unsigned count, GError **error)
{
	g_autofree char *address = g_strdup_printf("sqlite:%s/fleet.db", dir);
	g_autoptr(AshCa) ca = NULL;
	g_autoptr(AshDbPool) pool = NULL;
	AshDb *db = NULL;
	gboolean ok = ash_ca_open(dir, g_get_real_time() / G_USEC_PER_SEC, &ca, error) &&
		      ash_db_pool_open(address, 4, &pool, error) &&
		      ash_db_pool_take(pool, &db, error) && ash_db_migrate(db, error);

	for (unsigned i = 0; ok && i < count; i++) {
		if (i % GROUP == 0)
			ok = ash_db_begin(db, true, error);
		ok = ok && make_one(db, ca, file, i, error);
		if (ok && (i % GROUP == GROUP - 1 || i + 1 == count))
			ok = ash_db_commit(db, error);
	}
	ash_db_give(db);
	return ok;
}

/* What a host that runs for a while has in the table; ids are hashes, as real ones. */
static gboolean make_row(AshDb *db, unsigned number, const char *report, GError **error)
{
	g_autofree char *id = ash_sha256_hex(&number, sizeof number);
	g_autofree char *name = g_strdup_printf("edge-%u", number);
	g_autofree char *boot = g_strdup_printf("b3f1c6a0-0000-4000-8000-%012u", number);
	g_autofree char *facts = g_strdup_printf(
			"{\"address\":\"10.%u.%u.2\",\"arch\":\"amd64\",\"booted_at\":\"%u\",\"cpus\":\"4\","
			"\"disk.root\":\"32000000000\",\"disk.root_free\":\"%u\",\"hostname\":\"edge-%u\","
			"\"kernel\":\"6.12.43+deb13-amd64\",\"machine\":\"%032x\","
			"\"memory\":\"8589934592\",\"product\":\"Standard PC\",\"virt\":\"kvm\"}",
			number >> 8 & 255, number & 255, 1790000000 + number, number * 7, number,
			number);

	return ash_db_exec(db,
			"INSERT INTO host (id, name, state, health_word, agent_state, verdict, \"commit\", "
			"version, image, arch, boot, said, seq, enrolled_at, last_seen, instance, labels, "
			"facts, report) VALUES ($1, $2, 'active', 'good', 'idle', 'good', "
			"'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', '1.0.0', "
			"'host', 'amd64', $3, 7, 1, 1, $6, $3, '{\"channel\":\"stable\",\"site\":\"bern\"}', "
			"$4, $5)",
			ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_T(name), ASH_DB_T(boot), ASH_DB_T(facts),
					ASH_DB_T(report),
					ASH_DB_I(g_get_real_time() / G_USEC_PER_SEC)),
			NULL, error);
}

static gboolean make_rows(const char *dir, unsigned count, GError **error)
{
	g_autofree char *address = g_strdup_printf("sqlite:%s/fleet.db", dir);
	g_autofree char *filler = g_strnfill(700, 'x');
	g_autofree char *report = g_strdup_printf("{\"state\":\"idle\",\"detail\":\"%s\"}", filler);
	g_autoptr(AshDbPool) pool = NULL;
	AshDb *db = NULL;
	gboolean ok = ash_db_pool_open(address, 4, &pool, error) &&
		      ash_db_pool_take(pool, &db, error) && ash_db_migrate(db, error) &&
		      ash_db_begin(db, true, error);

	for (unsigned i = 0; ok && i < count; i++)
		ok = make_row(db, i, report, error);
	ok = ok && ash_db_commit(db, error);
	ash_db_give(db);
	return ok;
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;

	if (argc == 4 && g_str_equal(argv[1], "--rows")) {
		if (make_rows(argv[2], (unsigned) atoi(argv[3]), &error))
			return 0;
		fprintf(stderr, "fleet-identities: %s\n", error->message);
		return 1;
	}
	if (argc != 4) {
		fprintf(stderr, "usage: fleet-identities DIR FILE COUNT\n");
		return 2;
	}
	FILE *file = fopen(argv[2], "we");
	if (file == NULL) {
		perror(argv[2]);
		return 1;
	}
	gboolean ok = make_all(argv[1], file, (unsigned) atoi(argv[3]), &error);
	if (fclose(file) != 0 && ok) {
		perror(argv[2]);
		return 1;
	}
	if (!ok)
		fprintf(stderr, "fleet-identities: %s\n", error->message);
	return ok ? 0 : 1;
}
