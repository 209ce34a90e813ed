/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/oci.h"

#include <string.h>

#include "agent/workload/registry-auth.h"
#include "agent/workload/registry-order.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ENTRY(hex, rest) "{\"digest\":\"sha256:" hex "\",\"size\":3" rest "}"
#define PLATFORM(arch, variant)                                                                    \
	",\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\",\"variant\":\"" variant "\"}"
#define TAG(tag) ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"" tag "\"}"
#define INDEX(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"

static GBytes *bytes_of(const char *text)
{
	return g_bytes_new_static(text, strlen(text));
}

static void test_choose(void)
{
	static const struct {
		const char *index, *tag, *arch;
		char first; /* of the digest that is taken; 0: none */
	} rows[] = {
			{INDEX(ENTRY(A, PLATFORM("amd64", "")) "," ENTRY(
					 B, PLATFORM("arm64", "v8"))),
					"", "arm64", 'b'},
			{INDEX(ENTRY(A, PLATFORM("amd64", "v3")) "," ENTRY(
					 B, PLATFORM("amd64", ""))),
					"", "amd64", 'b'},
			{INDEX(ENTRY(A, PLATFORM("s390x", ""))), "", "amd64", 0},
			{INDEX(ENTRY(A, "")), "", "amd64", 'a'},
			{INDEX(ENTRY(A, "") "," ENTRY(B, "")), "", "amd64", 0},
			{INDEX(ENTRY(A, TAG("one")) "," ENTRY(B, TAG("two"))), "two", "amd64", 'b'},
			{INDEX(ENTRY(A, TAG("one"))), "none", "amd64", 0},
			{INDEX(""), "", "amd64", 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GBytes) text = bytes_of(rows[i].index);
		g_autoptr(AshOciIndex) index = NULL;
		g_autoptr(GError) error = NULL;
		const AshOciDescriptor *entry = NULL;
		g_assert_true(ash_oci_index_parse(text, &index, &error));
		gboolean is_ok = ash_oci_index_choose(
				index, rows[i].tag, rows[i].arch, &entry, &error);
		if (rows[i].first == 0) {
			g_assert_error(error, ASH_OCI_ERROR, ASH_OCI_ERROR_NOT_FOUND);
			continue;
		}
		g_assert_no_error(error);
		g_assert_true(is_ok);
		g_assert_cmpint(entry->sha256[0], ==, rows[i].first);
	}
}

#define LAYER "\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:" B "\""
#define CONFIG                                                                                          \
	"\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:" A \
	"\",\"size\":3}"

static void test_manifest(void)
{
	static const struct {
		const char *text;
		int code; /* -1: fine */
	} rows[] = {
			{"{" CONFIG ",\"layers\":[{" LAYER ",\"size\":9}]}", -1},
			{"{" CONFIG ",\"layers\":null}", -1},
			{"{" CONFIG ",\"layers\":[],\"manifests\":[]}", ASH_OCI_ERROR_SYNTAX},
			{"{\"schemaVersion\":1,\"fsLayers\":[]}", ASH_OCI_ERROR_UNSUPPORTED},
			{"{\"layers\":[]}", ASH_OCI_ERROR_SYNTAX},
			{"{\"mediaType\":\"application/x\"," CONFIG ",\"layers\":[]}",
					ASH_OCI_ERROR_UNSUPPORTED},
			{"{" CONFIG ",\"layers\":[{" LAYER ",\"size\":99999999999999}]}",
					ASH_OCI_ERROR_LIMIT},
			{"{" CONFIG ",\"layers\":[" ENTRY(B, "") "]}", ASH_OCI_ERROR_UNSUPPORTED},
			{"{\"config\":" ENTRY(A, "") ",\"layers\":[]}", ASH_OCI_ERROR_UNSUPPORTED},
			{"{\"config\":{\"digest\":\"md5:a\",\"size\":1},\"layers\":[]}",
					ASH_OCI_ERROR_SYNTAX},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GBytes) text = bytes_of(rows[i].text);
		g_autoptr(AshOciManifest) manifest = NULL;
		g_autoptr(GError) error = NULL;
		gboolean is_ok = ash_oci_manifest_parse(text, &manifest, &error);
		if (rows[i].code < 0)
			g_assert_no_error(error);
		else
			g_assert_error(error, ASH_OCI_ERROR, rows[i].code);
		g_assert_cmpint(is_ok, ==, rows[i].code < 0);
	}
}

static void test_config(void)
{
	static const struct {
		const char *text;
		int code; /* -1: fine */
	} rows[] = {
			{"{\"rootfs\":{\"diff_ids\":[\"sha256:" A "\"]}}", -1},
			{"{\"rootfs\":{},\"config\":{\"WorkingDir\":\"/srv/proc\",\"Env\":[\"A=\"]}}",
					-1},
			{"{}", ASH_OCI_ERROR_SYNTAX},
			{"{\"rootfs\":{\"diff_ids\":[null]}}", ASH_OCI_ERROR_SYNTAX},
			{"{\"rootfs\":{},\"config\":{\"Env\":[\"A\"]}}", ASH_OCI_ERROR_SYNTAX},
			{"{\"rootfs\":{},\"config\":{\"Cmd\":\"sh -c x\"}}", ASH_OCI_ERROR_SYNTAX},
			{"{\"rootfs\":{},\"config\":{\"WorkingDir\":\"//proc/self/fd/8\"}}",
					ASH_OCI_ERROR_UNSUPPORTED},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GBytes) text = bytes_of(rows[i].text);
		g_autoptr(AshOciConfig) config = NULL;
		g_autoptr(GError) error = NULL;
		gboolean is_ok = ash_oci_config_parse(text, &config, &error);
		if (rows[i].code < 0)
			g_assert_no_error(error);
		else
			g_assert_error(error, ASH_OCI_ERROR, rows[i].code);
		g_assert_cmpint(is_ok, ==, rows[i].code < 0);
	}
}

static void test_challenge(void)
{
	g_autoptr(AshRegistryChallenge) both = NULL;
	g_autoptr(AshRegistryChallenge) bad = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_registry_challenge_parse(
			"Basic realm=\"a, b\", Bearer realm=\"https://t/x\",service=\"s s\"", &both,
			&error));
	g_assert_no_error(error);
	g_autofree char *url = ash_registry_challenge_url(both, "repository:a/b:pull");
	g_assert_cmpstr(url, ==, "https://t/x?service=s%20s&scope=repository:a/b:pull");
	g_assert_false(ash_registry_challenge_parse("Negotiate", &bad, &error));
	g_assert_error(error, ASH_REGISTRY_AUTH_ERROR, ASH_REGISTRY_AUTH_ERROR_UNSUPPORTED);
	g_clear_error(&error);
	g_assert_false(ash_registry_challenge_parse("Bearer realm=\"x", &bad, &error));
	g_assert_error(error, ASH_REGISTRY_AUTH_ERROR, ASH_REGISTRY_AUTH_ERROR_SYNTAX);
	g_clear_error(&error);
	g_autoptr(GBytes) answer = bytes_of("{\"token\":\"a\\nb: c\"}");
	g_autofree char *token = NULL;
	g_assert_false(ash_registry_token_parse(answer, &token, &error));
	g_assert_error(error, ASH_REGISTRY_AUTH_ERROR, ASH_REGISTRY_AUTH_ERROR_SYNTAX);
}

static void test_registries(void)
{
	static const char *const refused[] = {"registries: [{host: 'a/b'}]",
			"registries: [{username: u}]",
			"registries: [{host: r.example.org, plain-http: true}]",
			"registries: [{host: r, mirrors: ['http://m.example.org']}]",
			"registries: [{host: r, secret: x}]", "regs: []",
			"registries: [{host: r, password: a, password-file: /b}]"};
	char location[] = "r.example.org/a/b", tag[] = "1", digest[] = "";
	const AshWorkloadImage image = {.location = location, .tag = tag, .digest = digest};
	g_autoptr(GBytes) text = bytes_of(
			"registries:\n"
			"  - {host: r.example.org, username: u, password: p, mirrors: ['https://m.example.org/x']}\n"
			"  - {host: m.example.org, username: mu, password: mp}\n");
	g_autoptr(AshRegistries) registries = NULL;
	g_autoptr(AshRegistryOrder) order = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_registries_parse("f", text, &registries, &error));
	g_assert_no_error(error);
	g_autofree char *json = ash_registry_order(&image, registries);
	g_autoptr(GBytes) written = bytes_of(json);
	g_assert_true(ash_registry_order_parse(written, &order, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(order->endpoints->len, ==, 2);
	const AshRegistryEndpoint *mirror = order->endpoints->pdata[0];
	const AshRegistryEndpoint *home = order->endpoints->pdata[1];
	/* Each is told its own password. */
	g_assert_cmpstr(mirror->url, ==, "https://m.example.org/x");
	g_assert_cmpstr(mirror->password, ==, "mp");
	g_assert_cmpstr(home->url, ==, "https://r.example.org");
	g_assert_cmpstr(home->password, ==, "p");
	for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
		g_autoptr(GBytes) bad = bytes_of(refused[i]);
		g_autoptr(AshRegistries) none = NULL;
		g_autoptr(GError) why = NULL;
		g_assert_false(ash_registries_parse("f", bad, &none, &why));
		g_assert_error(why, ASH_REGISTRY_ERROR, ASH_REGISTRY_ERROR_FILE);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/oci/choose", test_choose);
	g_test_add_func("/oci/manifest", test_manifest);
	g_test_add_func("/oci/config", test_config);
	g_test_add_func("/registry/challenge", test_challenge);
	g_test_add_func("/registry/registries", test_registries);
	return g_test_run();
}
