/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/image.h"

#include <string.h>

#define COMMIT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_users(void)
{
	static const struct {
		const char *user;
		uint32_t uid, gid;
		int code; /* -1: fine */
	} rows[] = {
			{"", 0, 0, -1},
			{"root", 0, 0, -1},
			{"web", 1000, 1001, -1},
			{"1000", 1000, 1001, -1},
			{"4711", 4711, 0, -1},
			{"web:adm", 1000, 4, -1},
			{"web:77", 1000, 77, -1},
			{"4711:adm", 4711, 4, -1},
			{"1000:", 1000, 1001, -1},
			/* A name of digits is a name first. */
			{"42", 7, 8, -1},
			{"nobody", 0, 0, ASH_IMAGE_USER_ERROR_UNKNOWN},
			{"web:nothing", 0, 0, ASH_IMAGE_USER_ERROR_UNKNOWN},
			{"4294967295", 0, 0, ASH_IMAGE_USER_ERROR_UNKNOWN},
			{"-1", 0, 0, ASH_IMAGE_USER_ERROR_UNKNOWN},
			{"bad", 0, 0, ASH_IMAGE_USER_ERROR_FILE},
	};
	g_autoptr(GBytes) passwd = g_bytes_new_static(
			"root:x:0:0::/root:/bin/sh\nshort:x\nweb:x:1000:1001::/:/bin/sh\n"
			"42:x:7:8::/:\nbad:x:1e3:0::/:\n",
			88);
	g_autoptr(GBytes) group = g_bytes_new_static("root:x:0:\nadm:x:4:web", 21);

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		uint32_t uid = 99, gid = 99;
		gboolean is_ok = ash_image_find_user(
				passwd, group, rows[i].user, &uid, &gid, &error);
		if (rows[i].code >= 0) {
			g_assert_error(error, ASH_IMAGE_USER_ERROR, rows[i].code);
			g_assert_cmpuint(uid, ==, 99);
			continue;
		}
		g_assert_no_error(error);
		g_assert_true(is_ok);
		g_assert_cmpuint(uid, ==, rows[i].uid);
		g_assert_cmpuint(gid, ==, rows[i].gid);
	}
	g_autoptr(GError) error = NULL;
	uint32_t uid, gid;
	g_assert_true(ash_image_find_user(NULL, NULL, "12:13", &uid, &gid, &error));
	g_assert_cmpuint(gid, ==, 13);
	g_assert_false(ash_image_find_user(NULL, NULL, "root", &uid, &gid, &error));
}

static AshImage *parse(const char *json)
{
	g_autoptr(GError) error = NULL;
	AshImage *image = NULL;

	g_assert_true(ash_image_parse(json, &image, &error));
	g_assert_no_error(error);
	return image;
}

static void test_defaults(void)
{
	g_autoptr(AshImage) image = parse(
			"{\"commit\":\"" COMMIT "\",\"digest\":\"sha256:" COMMIT
			"\",\"bytes\":7,\"config\":{\"entrypoint\":[\"/e\"],\"command\":[\"c\"],"
			"\"environment\":[\"A=1\",\"AB=2\"],\"user\":\"web\"}}");
	const char *own[] = {"/own", NULL};
	const char *over[] = {"A=3", "C=4", NULL};
	const char *none[] = {NULL};

	g_auto(GStrv) command = ash_image_fill_command(image, NULL);
	g_autofree char *line = g_strjoinv(" ", command);
	g_assert_cmpstr(line, ==, "/e c");
	g_auto(GStrv) empty = ash_image_fill_command(image, (char *const *) (gpointer) none);
	g_assert_cmpstr(empty[0], ==, "/e");
	g_auto(GStrv) replaced = ash_image_fill_command(image, (char *const *) (gpointer) own);
	g_assert_cmpuint(g_strv_length(replaced), ==, 1);
	g_auto(GStrv) environment =
			ash_image_fill_environment(image, (char *const *) (gpointer) over);
	g_autofree char *lines = g_strjoinv(" ", environment);
	g_assert_cmpstr(lines, ==,
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin A=3 AB=2 C=4");
	g_autofree char *again = ash_image_format(image);
	g_autoptr(AshImage) copy = parse(again);
	g_assert_cmpstr(copy->user, ==, "web");
	g_assert_cmpuint(copy->bytes, ==, 7);
	g_assert_cmpstr(copy->environment[1], ==, "AB=2");
}

static void test_refused(void)
{
	static const char *const texts[] = {"[]", "{}", "{\"commit\":\"x\",\"config\":{}}",
			"{\"commit\":\"" COMMIT "\",\"config\":{\"command\":[1]}}"};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(AshImage) image = NULL;
		g_assert_false(ash_image_parse(texts[i], &image, &error));
		g_assert_nonnull(error);
	}
}

static void test_orders(void)
{
	char location[] = "/srv/img", tag[] = "1", digest[] = "";
	const AshWorkloadImage image = {.kind = ASH_WORKLOAD_IMAGE_OCI_DIR,
			.location = location,
			.tag = tag,
			.digest = digest};
	g_autofree char *order = ash_image_import_order(&image, "");
	g_autofree char *pinned = ash_image_import_order(&image, "sha256:ab");
	g_autoptr(GPtrArray) keep = g_ptr_array_new();

	g_assert_cmpstr(order, ==,
			"{\"kind\":\"oci-dir\",\"location\":\"/srv/img\",\"tag\":\"1\"}\n");
	g_assert_nonnull(strstr(pinned, "\"digest\":\"sha256:ab\""));
	g_autofree char *clean = ash_image_clean_order(keep);
	g_assert_cmpstr(clean, ==, "{\"keep\":[]}\n");
	g_autofree char *path = ash_image_path("/sysroot", COMMIT);
	g_assert_cmpstr(path, ==, "/sysroot/ostree/workload/" COMMIT);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/image/users", test_users);
	g_test_add_func("/image/defaults", test_defaults);
	g_test_add_func("/image/refused", test_refused);
	g_test_add_func("/image/orders", test_orders);
	return g_test_run();
}
