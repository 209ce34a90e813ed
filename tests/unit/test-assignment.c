/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/assignment.h"
#include "fleet/workload-said.h"
#include "lib/json.h"

/* What hosts say of workloads in short, and what assignments, rollouts and withdrawn versions come to for one host. */

static char *said_of(const char *json)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new_static(json, strlen(json));
	g_autoptr(JsonNode) node = NULL;
	char *said = NULL;

	g_assert_true(ash_json_parse(bytes, 4096, 8, &node, &error));
	g_assert_true(ash_workload_said_parse(json_node_get_object(node), &said, &error));
	return said;
}

static void test_said(void)
{
	g_autofree char *said = said_of(
			"{\"items\":[{\"name\":\"web\",\"version\":\"1.2\",\"origin\":\"signed\","
			"\"ready\":true,\"failed\":[{\"version\":\"1.3\"},{\"version\":\"1.4\"}]},"
			"{\"name\":\"db\",\"version\":\"1\",\"state\":\"failed\"}],\"missing\":[{\"name\":"
			"\"web\",\"version\":\"1.5\",\"word\":\"untrusted\"},{\"name\":\"mail\",\"word\":"
			"\"No Word\"}]}");
	g_autofree char *none = said_of("{}");
	AshWorkloadSaid line;

	g_assert_cmpstr(said, ==,
			"db 1 !\nmail - - m=/other\nweb 1.2 +s f=1.3,1.4 m=1.5/untrusted");
	g_assert_cmpstr(none, ==, "");
	g_assert_false(ash_workload_said_find(said, "we", &line));
	g_assert_false(ash_workload_said_find(said, "1.2", &line));
	g_assert_true(ash_workload_said_find(said, "mail", &line));
	g_assert_cmpstr(line.version, ==, "");
	g_assert_cmpstr(line.word, ==, "other");
	g_assert_true(ash_workload_said_find(said, "web", &line));
	g_assert_true(line.is_ready && line.is_signed && !line.is_failed);
	g_assert_true(ash_workload_said_has_failed(&line, "1.4"));
	g_assert_false(ash_workload_said_has_failed(&line, "1.2"));
	g_assert_cmpstr(line.missing, ==, "1.5");
}

static void test_said_to_rollouts(void)
{
	static const struct {
		const char *said, *version;
		AshRolloutSaid wanted;
	} cases[] = {
			{"", "1.0", ASH_ROLLOUT_SAID_OTHER},
			{"web 1.0 +s", "1.0", ASH_ROLLOUT_SAID_GOOD},
			{"web 1.0 -s", "1.0", ASH_ROLLOUT_SAID_TRIAL},
			{"web 1.0 +s", "1.1", ASH_ROLLOUT_SAID_OTHER},
			{"web 1.0 +s f=1.1", "1.1", ASH_ROLLOUT_SAID_FAILED},
			{"web 1.0 +s m=1.1/untrusted", "1.1", ASH_ROLLOUT_SAID_FAILED},
			{"web 1.0 +s m=1.1/refused", "1.1", ASH_ROLLOUT_SAID_FAILED},
			/* That may change by itself. */
			{"web 1.0 +s m=1.1/image", "1.1", ASH_ROLLOUT_SAID_OTHER},
			{"web 1.0 +s m=1.2/untrusted", "1.1", ASH_ROLLOUT_SAID_OTHER},
			{"web2 1.1 +s", "1.1", ASH_ROLLOUT_SAID_OTHER},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		g_assert_cmpint(ash_workload_said_rollout(cases[i].said, "web", cases[i].version),
				==, cases[i].wanted);
}

static void note(const AshWorkloadChange *change, gpointer data)
{
	g_string_append_printf(data, "%s %s %s;", change->word, change->name, change->version);
}

static void test_changes(void)
{
	static const struct {
		const char *before, *after, *wanted;
	} cases[] = {
			{"", "web 1.0 -s", "not-ready web 1.0;"},
			{"web 1.0 -s", "web 1.0 +s", "ready web 1.0;"},
			{"web 1.0 +s", "web 1.1 +s", "ready web 1.1;"},
			{"web 1.0 +s", "web 1.0 +s f=1.1", "rolled-back web 1.1;"},
			{"web 1.0 -s", "web 1.0 !s", "failed web 1.0;"},
			{"web 1.0 +s", "", "removed web 1.0;"},
			{"", "web - - m=1.0/image", "missing web 1.0;"},
			{"db 1 +\nweb 1.0 +s", "db 1 +\nweb 1.0 +s", ""},
			{"web 1.0 +s f=1.1", "web 1.0 +s", ""},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GString) changes = g_string_new(NULL);
		ash_workload_said_compare(cases[i].before, cases[i].after, note, changes);
		g_assert_cmpstr(changes->str, ==, cases[i].wanted);
	}
}

static AshAssignmentBook *book_of(
		const char *version, int64_t serial, const char *moved_by, bool is_withdrawn)
{
	g_autoptr(GError) error = NULL;
	AshAssignmentBook *book = ash_assignment_book_new();
	const AshAssignment all = {"all", "web", version, "all", "{}", "", moved_by, 100, serial};
	const AshAssignment one = {"one", "web", "9.0", "name = edge-9", "{}", "", "", 10, 0};

	g_assert_true(ash_assignment_book_add(book, &all, &error));
	g_assert_true(ash_assignment_book_add(book, &one, &error));
	if (is_withdrawn)
		ash_assignment_book_withdraw(book, "web", version);
	ash_assignment_book_sort(book);
	return book;
}

static void assert_wanted(const AshAssignmentBook *book, const char *name, const char *said,
		char **inout_wanted, const AshAssignmentHold *hold, const char *version)
{
	g_auto(AshHost) host = {0};

	ash_host_init(&host);
	ash_host_set_text(&host.name, name);
	ash_host_set_text(&host.workloads, said);
	g_autofree char *before = *inout_wanted;
	*inout_wanted = ash_assignment_wanted(book, &host, before, hold, 1);
	g_autoptr(GPtrArray) all = ash_wanted_parse(*inout_wanted);
	const AshWanted *item = ash_wanted_find(all, "web");
	g_assert_cmpstr(item != NULL ? item->version : "", ==, version);
}

static void test_wanted(void)
{
	g_autoptr(AshAssignmentBook) book = book_of("1.0", 1, "", false);
	g_autoptr(AshAssignmentBook) empty = ash_assignment_book_new();
	g_autofree char *wanted = g_strdup("");

	assert_wanted(empty, "edge-1", "", &wanted, NULL, "");
	g_assert_cmpstr(wanted, ==, ""); /* the fleet manages none */
	assert_wanted(book, "edge-1", "", &wanted, NULL, "1.0");
	assert_wanted(book, "edge-9", "", &wanted, NULL, "9.0");
	assert_wanted(empty, "edge-1", "", &wanted, NULL, "");
	g_assert_cmpstr(wanted, ==, "[]"); /* it manages, and wants none */
}

/* A rollout holds a host until something else moves the pointer. */
static void test_hold(void)
{
	g_autoptr(AshAssignmentBook) before = book_of("1.0", 1, "", false);
	g_autoptr(AshAssignmentBook) finished = book_of("1.1", 2, "r1", false);
	g_autoptr(AshAssignmentBook) sent_back = book_of("1.0", 2, "r1", false);
	g_autoptr(AshAssignmentBook) moved = book_of("1.2", 3, "", false);
	const AshAssignmentHold hold = {"all", "r1", "1.1"}, end = {"all", "r1", NULL};
	const AshAssignmentHold other = {"all", "r2", NULL};
	g_autofree char *wanted = g_strdup("");

	assert_wanted(before, "edge-1", "", &wanted, &hold, "1.1");
	assert_wanted(before, "edge-1", "", &wanted, NULL, "1.1");
	assert_wanted(before, "edge-1", "", &wanted, &other, "1.1");
	assert_wanted(finished, "edge-1", "", &wanted, NULL, "1.1");
	assert_wanted(sent_back, "edge-1", "", &wanted, NULL, "1.1");
	g_autofree char *held = g_strdup(wanted);
	assert_wanted(sent_back, "edge-1", "", &wanted, &end, "1.0");
	assert_wanted(sent_back, "edge-1", "", &wanted, NULL, "1.0");
	assert_wanted(moved, "edge-1", "", &held, NULL, "1.2");
	assert_wanted(before, "edge-1", "", &held, NULL, "1.0");
}

static void test_withdrawn(void)
{
	g_autoptr(AshAssignmentBook) book = book_of("1.1", 1, "", true);
	g_autofree char *wanted = g_strdup("");

	assert_wanted(book, "edge-1", "", &wanted, NULL, "");
	assert_wanted(book, "edge-1", "web 1.0 +s", &wanted, NULL, "1.0");
	assert_wanted(book, "edge-1", "web 1.1 +s", &wanted, NULL, "1.1");
	assert_wanted(book, "edge-1", "web 1.0 +", &wanted, NULL, ""); /* the owner's own */
}

/* To the host the rollout's number is nothing. */
static void test_answer(void)
{
	g_autoptr(GPtrArray) held = ash_wanted_parse(
			"[{\"name\":\"web\",\"version\":\"1.1\",\"parameters\":{\"a\":\"b\"},"
			"\"assignment\":\"all\",\"rollout\":\"r1\",\"serial\":3,\"otherwise\":\"1.0\"}]");
	g_autoptr(GPtrArray) plain = ash_wanted_parse("[{\"name\":\"web\",\"version\":\"1.1\","
						      "\"parameters\":{\"a\":\"b\"},"
						      "\"assignment\":\"all\"}]");
	g_autoptr(GPtrArray) none = ash_wanted_parse("nonsense");
	g_autofree char *answer = ash_wanted_answer(held);
	g_autofree char *text = ash_wanted_format(held);
	g_autoptr(GPtrArray) again = ash_wanted_parse(text);
	g_autofree char *twice = ash_wanted_format(again);

	g_assert_cmpstr(text, ==, twice);
	g_assert_null(strstr(answer, "serial"));
	g_assert_null(strstr(answer, "otherwise"));
	g_assert_true(ash_wanted_is_same(held, plain));
	g_assert_false(ash_wanted_is_same(held, none));
	g_assert_cmpuint(none->len, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/assignment/said", test_said);
	g_test_add_func("/assignment/said-to-rollouts", test_said_to_rollouts);
	g_test_add_func("/assignment/changes", test_changes);
	g_test_add_func("/assignment/wanted", test_wanted);
	g_test_add_func("/assignment/hold", test_hold);
	g_test_add_func("/assignment/withdrawn", test_withdrawn);
	g_test_add_func("/assignment/answer", test_answer);
	return g_test_run();
}
