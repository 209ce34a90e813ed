/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "agent/job.h"
#include "lib/json.h"

#define COMMIT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char *format(const AshJobSystem *system)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_job_system_format(system, builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

static void test_round_trip(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshJobSystem) system = ash_job_system_new();
	g_autoptr(AshJobSystem) same = NULL;
	AshJobDeployment *deployment = g_new0(AshJobDeployment, 1);

	g_free(system->booted);
	system->booted = g_strdup(COMMIT);
	system->root_free_bytes = 5000000000;
	system->esp_bytes = 7;
	deployment->commit = g_strdup(COMMIT);
	deployment->version = g_strdup("1.2");
	deployment->name = g_strdup("host");
	deployment->variant = g_strdup("");
	deployment->arch = g_strdup("amd64");
	deployment->serial = 3;
	deployment->is_booted = true;
	deployment->entry = g_strdup("a+2-1.conf");
	deployment->tries_left = 2;
	deployment->tries_done = 1;
	deployment->generation = 99999999;
	g_ptr_array_add(system->deployments, deployment);
	g_autofree char *text = format(system);
	gboolean ok = ash_job_system_parse(text, &same, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	g_autofree char *again = format(same);
	g_assert_cmpstr(again, ==, text);
	const AshJobDeployment *got = same->deployments->pdata[0];
	g_assert_true(got->is_booted);
	g_assert_cmpstr(got->variant, ==, "");
	g_assert_cmpstr(got->entry, ==, "a+2-1.conf");
	g_assert_cmpuint(got->generation, ==, 99999999);
	g_assert_cmpuint(same->root_free_bytes, ==, 5000000000);
}

static void test_missing(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshJobSystem) system = NULL;
	gboolean ok = ash_job_system_parse(
			"{\"deployments\":[{\"commit\":\"" COMMIT
			"\",\"serial\":0}],\"root\":{\"free_bytes\":1,"
			"\"free_inodes\":2,\"bytes\":3},\"esp\":{\"free_bytes\":4,"
			"\"bytes\":5}}",
			&system, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	g_assert_cmpstr(system->booted, ==, "");
	const AshJobDeployment *got = system->deployments->pdata[0];
	g_assert_null(got->entry);
	g_assert_cmpint(got->tries_left, ==, -1);
	g_assert_cmpstr(got->version, ==, "");
}

static void test_errors(void)
{
	static const char *const rows[] = {
			"",
			"[]",
			"{}",
			"{\"deployments\":{}}",
			"{\"deployments\":[1],\"root\":{},\"esp\":{}}",
			"{\"deployments\":[{}],\"root\":{},\"esp\":{}}",
			"{\"deployments\":[{\"commit\":\"x\",\"serial\":-1}],\"root\":{},\"esp\":{}}",
			"{\"deployments\":[{\"commit\":\"x\",\"serial\":1,\"tries_left\":-2}]}",
			"{\"deployments\":[],\"root\":{\"free_bytes\":\"1\"},\"esp\":{}}",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		AshJobSystem *system = NULL;
		g_assert_false(ash_job_system_parse(rows[i], &system, &error));
		g_assert_true(error->domain == ASH_JSON_ERROR);
		g_assert_null(system);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/job/round-trip", test_round_trip);
	g_test_add_func("/job/missing", test_missing);
	g_test_add_func("/job/errors", test_errors);
	return g_test_run();
}
