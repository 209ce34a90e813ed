/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/join.h"

#include <string.h>

#include "fleet/host.h"
#include "fleet/token.h"
#include "lib/json.h"
#include "lib/x509.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

enum {
	NOW = 1800000000,
};

typedef struct {
	AshDb *db;
	AshCa *ca;
	AshJoinPlace place;
	char *csr, *id;
	AshJoin join;
} Scene;

static void scene_init(Scene *scene, Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *key = NULL;

	memset(scene, 0, sizeof *scene);
	scene->db = store_take(store);
	MUST(ash_ca_open(store->dir->path, NOW, &scene->ca, &error));
	MUST(ash_x509_key_make(&key, &error));
	MUST(ash_x509_csr_make(key, "x", &scene->csr, &error));
	MUST(ash_x509_key_fingerprint(key, &scene->id, &error));
	scene->place = (AshJoinPlace){.ca = scene->ca,
			.address = "a",
			.now_s = NOW,
			.life_s = 86400,
			.max_hosts = 10};
	scene->join = (AshJoin){.token = "",
			.csr = scene->csr,
			.name = "edge-1",
			.instance = "0123456789abcdef0123456789abcdef",
			.id = scene->id};
}

static void scene_clear(Scene *scene)
{
	ash_db_give(scene->db);
	ash_ca_free(scene->ca);
	g_free(scene->csr);
	g_free(scene->id);
}

static char *make_token(Scene *scene, const AshToken *token)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *id = NULL;
	char *secret = NULL;

	MUST(ash_db_begin(scene->db, true, &error));
	MUST(ash_token_make(scene->db, token, NOW, &id, &secret, &error));
	MUST(ash_db_commit(scene->db, &error));
	return secret;
}

/* The code it was refused with; -1: it was not. */
static int join(Scene *scene, const char *token, AshJoinResult *result)
{
	g_autoptr(GError) error = NULL;

	ash_join_result_clear(result);
	scene->join.token = token;
	MUST(ash_db_begin(scene->db, true, &error));
	if (ash_join_run(scene->db, &scene->join, &scene->place, result, &error)) {
		MUST(ash_db_commit(scene->db, &error));
		return -1;
	}
	ash_db_rollback(scene->db);
	g_assert_true(error->domain == ASH_JOIN_ERROR);
	return error->code;
}

static const AshToken once = {.note = "", .created_by = "x", .labels = "{\"a\":\"1\"}", .uses = 1};

static void test_tokens(Store *store)
{
	Scene scene;
	g_auto(AshJoinResult) result = {0};

	scene_init(&scene, store);
	g_autofree char *secret = make_token(&scene, &once);
	g_autofree char *wrong = g_strdup(secret);
	size_t last = strlen(wrong) - 1;
	wrong[last] = wrong[last] == '0' ? '1' : '0';
	g_assert_cmpint(join(&scene, "", &result), ==, ASH_JOIN_ERROR_TOKEN);
	g_assert_cmpint(join(&scene, wrong, &result), ==, ASH_JOIN_ERROR_TOKEN);
	AshToken ended = once;
	ended.expires_at = NOW;
	g_autofree char *late = make_token(&scene, &ended);
	g_assert_cmpint(join(&scene, late, &result), ==, ASH_JOIN_ERROR_TOKEN);
	/* What comes to nothing uses nothing up. */
	scene.place.max_hosts = 0;
	g_assert_cmpint(join(&scene, secret, &result), ==, ASH_JOIN_ERROR_FULL);
	g_assert_cmpint(store_int(scene.db, "SELECT SUM(uses) FROM join_token"), ==, 0);
	scene.place.max_hosts = 1;
	g_assert_cmpint(join(&scene, secret, &result), ==, -1);
	g_assert_true(result.is_new);
	g_assert_true(ash_x509_is_client_of(
			result.certificate, ash_ca_certificate(scene.ca), NOW + 1));
	g_assert_cmpint(store_int(scene.db, "SELECT uses_left FROM join_token WHERE uses = 1"), ==,
			0);
	g_assert_cmpint(store_int(scene.db, "SELECT COUNT(*) FROM host WHERE labels = "
					    "'{\"a\":\"1\"}' AND state = 'active'"),
			==, 1);
	g_assert_cmpint(store_int(scene.db, "SELECT COUNT(*) FROM certificate"), ==, 1);
	/* The same key: the same host, whatever it has in its hand. */
	g_assert_cmpint(join(&scene, "", &result), ==, -1);
	g_assert_false(result.is_new);
	g_assert_cmpint(store_int(scene.db, "SELECT COUNT(*) FROM host"), ==, 1);
	scene_clear(&scene);
}

static void test_states(Store *store)
{
	g_autoptr(GError) error = NULL;
	Scene scene;
	g_auto(AshJoinResult) result = {0};
	g_autofree char *certificate = NULL;

	scene_init(&scene, store);
	AshToken approving = once;
	approving.needs_approval = true;
	g_autofree char *secret = make_token(&scene, &approving);
	g_assert_cmpint(join(&scene, secret, &result), ==, -1);
	g_assert_true(result.is_pending);
	g_assert_null(result.certificate);
	MUST(ash_db_begin(scene.db, true, &error));
	g_assert_false(ash_join_renew(
			scene.db, scene.id, scene.csr, &scene.place, &certificate, &error));
	g_assert_error(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_HELD);
	g_clear_error(&error);
	ash_db_rollback(scene.db);
	store_run(scene.db, "UPDATE host SET state = 'active'");
	g_assert_cmpint(join(&scene, secret, &result), ==, -1);
	g_assert_nonnull(result.certificate);
	MUST(ash_db_begin(scene.db, true, &error));
	MUST(ash_join_renew(scene.db, scene.id, scene.csr, &scene.place, &certificate, &error));
	g_assert_false(ash_join_renew(
			scene.db, "another", scene.csr, &scene.place, &certificate, &error));
	g_assert_error(error, ASH_JOIN_ERROR, ASH_JOIN_ERROR_KEY);
	g_clear_error(&error);
	MUST(ash_db_commit(scene.db, &error));
	store_run(scene.db, "UPDATE host SET state = 'held'");
	g_assert_cmpint(join(&scene, secret, &result), ==, ASH_JOIN_ERROR_HELD);
	const AshHostBy by = {.actor = "ada", .reason = "sold", .now_s = NOW};
	MUST(ash_db_begin(scene.db, true, &error));
	MUST(ash_host_retire(scene.db, scene.id, &by, &error));
	MUST(ash_db_commit(scene.db, &error));
	g_assert_cmpint(join(&scene, secret, &result), ==, ASH_JOIN_ERROR_RETIRED);
	g_assert_cmpint(store_int(scene.db,
					"SELECT COUNT(*) FROM certificate WHERE revoked_at = 0"),
			==, 0);
	scene_clear(&scene);
}

static void test_parse(void)
{
	static const char *const bad[] = {
			"{}",
			"{\"csr\":\"x\",\"name\":\"a\",\"instance\":\"0123456789abcdef0123456789abcdef\"}",
			"{\"csr\":\"x\",\"name\":\"a b\",\"instance\":\"0123456789abcdef0123456789abcdef\"}",
			"{\"csr\":\"x\",\"name\":\"a\",\"instance\":\"0\"}",
			"{\"csr\":1,\"name\":\"a\",\"instance\":\"0123456789abcdef0123456789abcdef\"}",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) bytes = g_bytes_new_static(bad[i], strlen(bad[i]));
		g_autoptr(JsonNode) node = NULL;
		AshJoin parsed = {0};
		MUST(ash_json_parse(bytes, 4096, 4, &node, &error));
		g_assert_false(ash_join_parse(json_node_get_object(node), &parsed, &error));
		g_assert_nonnull(error);
		g_assert_null(parsed.id);
	}
}

static const StoreCase cases[] = {
		{"tokens", test_tokens},
		{"states", test_states},
		{NULL},
};

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/join/parse", test_parse);
	store_add("join", cases);
	return g_test_run();
}
