/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fleet-member.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/fleet-workload.h"
#include "agent/link-fleet.h"
#include "agent/paths.h"
#include "lib/checkin.h"
#include "lib/file.h"
#include "lib/workload.h"

#define COMMIT "1111111111111111111111111111111111111111111111111111111111111111"
#define WISH(verb)                                                                                        \
	"{\"name\":\"host\",\"variant\":\"\",\"arch\":\"amd64\",\"version\":\"2.0\",\"commit\":\"" COMMIT \
	"\",\"verb\":\"" verb "\"}"

#define WORKLOAD(name, version) "{\"name\":\"" name "\",\"version\":\"" version "\"}"

static AshFleetAnswer *parse(const char *json)
{
	g_autoptr(GError) error = NULL;
	AshFleetAnswer *answer = NULL;

	g_assert_true(ash_fleet_answer_parse(json, &answer, &error));
	g_assert_no_error(error);
	return answer;
}

static AshFleetAnswer *answered(const char *members)
{
	g_autofree char *json = g_strdup_printf(
			"{\"outcome\":\"joined\",\"id\":\"" COMMIT "\",\"answer\":{%s}}", members);

	return parse(json);
}

static AshFleetMember *member_new(void)
{
	AshFleetMember *member = ash_fleet_member_new();

	ash_fleet_member_set_fleet(member, "https://fleet.example", "a.b");
	return member;
}

/* The ids of the orders that are to be carried out. */
static char *take(AshFleetMember *member, const char *members, uint64_t serial, bool *out_has_news)
{
	g_autoptr(AshFleetAnswer) answer = answered(members);
	g_autoptr(GPtrArray) orders = NULL;
	GString *text = g_string_new(NULL);

	ash_fleet_member_take(member, answer, serial, 1000, &orders, out_has_news);
	for (guint i = 0; i < orders->len; i++)
		g_string_append_printf(
				text, "%d ", (int) ((const AshFleetOrder *) orders->pdata[i])->id);
	return g_string_free(text, FALSE);
}

/* ---- what is refused ----------------------------------------------------------------------------- */

static const char *const refused[] = {
		"",
		"[]",
		"{}",
		"{\"outcome\":\"happy\"}",
		"{\"outcome\":\"joined\"}",
		"{\"outcome\":\"joined\",\"answer\":{}}",
		"{\"outcome\":\"pending\",\"text\":\"a\\u0007b\"}",
		"{\"outcome\":\"pending\",\"id\":\"../../x\"}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":-1}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"event\":-1}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"release\":{}}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"release\":" WISH(
				"remove") "}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"windows\":[\"25:00-26:00\"]}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"windows\":[1]}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"hold\":\"a\\u001b[2J\"}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"hold\":7}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"orders\":{}}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"orders\":[{\"verb\":\"check\"}]}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"orders\":[{\"id\":1,\"verb\":\"a b\"}]}}",
		("{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"orders\":[{\"id\":1,\"verb\":"
		 "\"forgive\",\"argument\":\"../x\"}]}}"),
		("{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"orders\":[{\"id\":1,\"verb\":"
		 "\"workload-logs\",\"argument\":\"web 1\\n2\"}]}}"),
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"workloads\":{}}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"workloads\":[7]}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"workloads\":[{\"name\":\"web\"}]}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"workloads\":[" WORKLOAD(
				"../web", "1") "]}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"workloads\":[" WORKLOAD(
				"web", "../1") "]}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"workloads\":[" WORKLOAD(
				"web", "") "]}}",
		"{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"workloads\":[" WORKLOAD(
				"web", "1") "," WORKLOAD("web", "2") "]}}",
		("{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"workloads\":[{\"name\":\"web\","
		 "\"version\":\"1\",\"parameters\":{\"A\":7}}]}}"),
		("{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"workloads\":[{\"name\":\"web\","
		 "\"version\":\"1\",\"parameters\":{\"A b\":\"c\"}}]}}"),
		("{\"outcome\":\"joined\",\"answer\":{\"desired\":1,\"workloads\":[{\"name\":\"web\","
		 "\"version\":\"1\",\"parameters\":{\"A\":\"\\u001b[2J\"}}]}}"),
};

static void test_refused(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
		g_autoptr(GError) error = NULL;
		AshFleetAnswer *answer = NULL;
		if (ash_fleet_answer_parse(refused[i], &answer, &error))
			g_error("taken: %s", refused[i]);
		g_assert_nonnull(error);
		g_assert_null(answer);
	}
}

static bool takes_repeated(const char *head, const char *one, const char *tail, unsigned count)
{
	g_autoptr(GString) text =
			g_string_new("{\"outcome\":\"joined\",\"answer\":{\"desired\":1,");
	AshFleetAnswer *answer = NULL;

	g_string_append(text, head);
	for (unsigned i = 0; i < count; i++)
		g_string_append_printf(text, "%s%s", i > 0 && *tail == ']' ? "," : "", one);
	g_string_append_printf(text, "%s}}", tail);
	bool is_taken = ash_fleet_answer_parse(text->str, &answer, NULL);
	ash_fleet_answer_free(answer);
	return is_taken;
}

static void test_maxima(void)
{
	const char *order = "{\"id\":1,\"verb\":\"check\"}";

	g_assert_true(takes_repeated("\"orders\":[", order, "]", ASH_FLEET_ANSWER_MAX_ORDERS));
	g_assert_false(takes_repeated("\"orders\":[", order, "]", ASH_FLEET_ANSWER_MAX_ORDERS + 1));
	g_assert_true(takes_repeated(
			"\"windows\":[", "\"02:00-03:00\"", "]", ASH_FLEET_ANSWER_MAX_WINDOWS));
	g_assert_false(takes_repeated(
			"\"windows\":[", "\"02:00-03:00\"", "]", ASH_FLEET_ANSWER_MAX_WINDOWS + 1));
	g_assert_true(takes_repeated("\"hold\":\"", "x", "\"", ASH_CHECKIN_MAX_TEXT));
	g_assert_false(takes_repeated("\"hold\":\"", "x", "\"", ASH_CHECKIN_MAX_TEXT + 1));
	g_autoptr(GString) workloads = g_string_new(NULL);
	for (int i = 0; i < ASH_FLEET_WORKLOAD_MAX; i++)
		g_string_append_printf(workloads, "%s{\"name\":\"w%d\",\"version\":\"1\"}",
				i > 0 ? "," : "", i);
	g_assert_true(takes_repeated("\"workloads\":[", workloads->str, "]", 1));
	g_string_append(workloads, ",{\"name\":\"more\",\"version\":\"1\"}");
	g_assert_false(takes_repeated("\"workloads\":[", workloads->str, "]", 1));
	const char *value =
			"\"workloads\":[{\"name\":\"web\",\"version\":\"1\",\"parameters\":{\"A\":\"";
	g_assert_true(takes_repeated(value, "x", "\"}}]", ASH_WORKLOAD_MAX_TEXT_BYTES));
	g_assert_false(takes_repeated(value, "x", "\"}}]", ASH_WORKLOAD_MAX_TEXT_BYTES + 1));
	g_assert_false(takes_repeated("\"more\":\"", "x", "\"", ASH_FLEET_ANSWER_MAX_BYTES));
}

/* ---- what the fleet wants ------------------------------------------------------------------------ */

static void test_wish(void)
{
	g_autoptr(AshFleetMember) member = member_new();
	bool has_news = false;

	g_free(take(member,
			"\"desired\":5,\"event\":3,\"release\":" WISH(
					"update") ",\"hold\":\"freeze\","
						  "\"windows\":[\"02:00-05:00\"]",
			1, &has_news));
	g_assert_true(has_news);
	g_assert_cmpint(member->standing, ==, ASH_FLEET_JOINED);
	g_assert_cmpint(member->contact_s, ==, 1000);
	g_assert_cmpuint(member->have, ==, 5);
	g_assert_cmpuint(member->event, ==, 3);
	g_assert_cmpstr(member->release->version, ==, "2.0");
	g_assert_cmpstr(member->hold, ==, "freeze");
	g_assert_cmpstr(member->windows[0], ==, "02:00-05:00");
	/* The same number: whatever else is there has not changed. */
	g_free(take(member, "\"desired\":5,\"event\":1", 2, &has_news));
	g_assert_false(has_news);
	g_assert_nonnull(member->release);
	g_assert_cmpuint(member->event, ==, 3);
	/* Taken back. */
	g_free(take(member, "\"desired\":6,\"release\":null", 3, &has_news));
	g_assert_true(has_news);
	g_assert_null(member->release);
	g_assert_null(member->hold);
	g_assert_null(member->windows);
	/* A return is done again when it is said again. */
	g_free(take(member, "\"desired\":7,\"release\":" WISH("return"), 4, &has_news));
	g_free(take(member, "\"desired\":8,\"release\":" WISH("return"), 5, &has_news));
	g_assert_true(has_news);
}

static void test_workloads(void)
{
	g_autoptr(AshFleetMember) member = member_new();
	bool has_news = false;

	g_free(take(member, "\"desired\":5", 1, &has_news));
	g_assert_null(member->workloads);
	/* To want none is something else than to say nothing. */
	g_free(take(member, "\"desired\":6,\"workloads\":[]", 2, &has_news));
	g_assert_true(has_news);
	g_assert_cmpuint(member->workloads->len, ==, 0);
	g_free(take(member,
			"\"desired\":7,\"workloads\":[" WORKLOAD("web",
					"1.0") ",{\"name\":\"db\","
					       "\"version\":\"2\",\"parameters\":{\"B\":\"2\",\"A\":\"1\\n\"}}]",
			3, &has_news));
	g_assert_true(has_news);
	const AshFleetWorkload *db = ash_fleet_workload_find(member->workloads, "db");
	g_assert_cmpstr(db->version, ==, "2");
	g_assert_cmpstr(g_hash_table_lookup(db->parameters, "A"), ==, "1\n");
	g_assert_null(ash_fleet_workload_find(member->workloads, "other"));
	/* Over a restart. */
	g_autofree char *text = ash_fleet_member_format(member, true);
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	g_autoptr(AshFleetMember) again = NULL;
	g_assert_true(ash_fleet_member_parse(bytes, &again, NULL));
	g_assert_true(ash_fleet_workload_is_same_list(member->workloads, again->workloads));
	/* The same in other words; then another parameter; then nothing any more. */
	g_free(take(member,
			"\"desired\":8,\"workloads\":[" WORKLOAD("web",
					"1.0") ",{\"name\":\"db\","
					       "\"version\":\"2\",\"parameters\":{\"A\":\"1\\n\",\"B\":\"2\"}}]",
			4, &has_news));
	g_assert_false(has_news);
	g_free(take(member,
			"\"desired\":9,\"workloads\":[" WORKLOAD("web",
					"1.0") ",{\"name\":\"db\","
					       "\"version\":\"2\",\"parameters\":{\"A\":\"2\"}}]",
			5, &has_news));
	g_assert_true(has_news);
	g_free(take(member, "\"desired\":10,\"workloads\":null", 6, &has_news));
	g_assert_true(has_news);
	g_assert_null(member->workloads);
}

/* Nothing that is known goes when the server does. */
static void test_unreached(void)
{
	g_autoptr(AshFleetMember) member = member_new();
	g_autoptr(AshFleetAnswer) lost = parse("{\"outcome\":\"unreached\",\"text\":\"no route\"}");
	g_autoptr(AshFleetAnswer) held = parse("{\"outcome\":\"held\",\"text\":\"a copy\"}");
	g_autoptr(GPtrArray) none = NULL, orders = NULL;
	bool has_news = false;

	g_free(take(member, "\"desired\":5,\"release\":" WISH("update"), 1, &has_news));
	g_autofree char *before = ash_fleet_member_format(member, true);
	ash_fleet_member_take(member, lost, 2, 2000, &none, &has_news);
	g_autofree char *after = ash_fleet_member_format(member, true);
	g_assert_cmpstr(before, ==, after);
	g_assert_cmpstr(member->trouble, ==, "no route");
	g_assert_false(has_news);
	ash_fleet_member_take(member, held, 3, 3000, &orders, &has_news);
	g_assert_cmpint(member->standing, ==, ASH_FLEET_HELD);
	g_assert_cmpstr(member->text, ==, "a copy");
	g_assert_null(member->trouble);
	g_assert_true(has_news);
	g_assert_nonnull(member->release);
}

/* ---- orders -------------------------------------------------------------------------------------- */

static void test_orders_once(void)
{
	g_autoptr(AshFleetMember) member = member_new();
	const char *orders =
			"\"desired\":1,\"orders\":[{\"id\":7,\"verb\":\"reboot\"},{\"id\":8,\"verb\":\"sing\"}]";
	bool has_news = false;
	g_autofree char *first = take(member, orders, 10, &has_news);
	g_assert_cmpstr(first, ==, "7 8 ");

	/* Open, ended, reported, acknowledged: never again. */
	g_autofree char *second = take(member, orders, 11, &has_news);
	g_assert_cmpstr(second, ==, "");
	g_assert_false(ash_fleet_member_has_unsaid(member));
	ash_fleet_member_end_order(member, 7, true, "rebooting");
	g_assert_true(ash_fleet_member_has_unsaid(member));
	AshFleetResult *result = member->results->pdata[0];
	result->sent = 12; /* as a report does */
	g_free(take(member, "\"desired\":1", 11, &has_news));
	g_assert_true(ash_fleet_member_has_unsaid(member));
	g_free(take(member, "\"desired\":1", 12, &has_news));
	g_assert_false(ash_fleet_member_has_unsaid(member));
	/* The server has lost our answer: it gets it again, and no reboot happens. */
	g_autofree char *third = take(member, orders, 13, &has_news);
	g_assert_cmpstr(third, ==, "");
	g_assert_true(ash_fleet_member_has_unsaid(member));

	/* Over a restart too; what was open then is answered. */
	g_autofree char *text = ash_fleet_member_format(member, true);
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	g_autoptr(AshFleetMember) again = NULL;
	g_assert_true(ash_fleet_member_parse(bytes, &again, NULL));
	ash_fleet_member_end_open(again, "it ended");
	g_autofree char *fourth = take(again, orders, 14, &has_news);
	g_assert_cmpstr(fourth, ==, "");
	const AshFleetResult *open = again->results->pdata[1];
	g_assert_false(open->is_open || open->is_ok);
	g_assert_cmpstr(open->text, ==, "it ended");
}

static void test_many_orders(void)
{
	g_autoptr(AshFleetMember) member = member_new();
	bool has_news = false;

	for (int i = 1; i <= ASH_FLEET_MEMBER_MAX_RESULTS + 5; i++) {
		g_autofree char *order = g_strdup_printf(
				"\"desired\":1,\"orders\":[{\"id\":%d,\"verb\":\"check\"}]", i);
		g_free(take(member, order, 1, &has_news));
	}
	g_assert_cmpuint(member->results->len, ==, ASH_FLEET_MEMBER_MAX_RESULTS);
	g_assert_cmpuint(((const AshFleetResult *) member->results->pdata[0])->id, ==, 6);
}

/* ---- which fleet --------------------------------------------------------------------------------- */

static void test_epoch(void)
{
	g_autoptr(AshFleetMember) member = member_new();
	bool has_news = false;

	g_free(take(member, "\"desired\":5", 1, &has_news));
	g_autofree char *epoch = g_strdup(member->epoch);
	ash_fleet_member_set_fleet(member, "https://fleet.example", "a.b");
	g_assert_cmpstr(member->epoch, ==, epoch);
	/* The token was taken out of the document: nothing to join with is nothing new. */
	ash_fleet_member_set_fleet(member, "https://fleet.example", NULL);
	g_assert_cmpstr(member->epoch, ==, epoch);
	g_assert_cmpuint(member->have, ==, 5);
	ash_fleet_member_set_fleet(member, "https://fleet.example", "c.d");
	g_assert_cmpstr(member->epoch, !=, epoch);
	g_assert_cmpuint(member->have, ==, 0);
	g_assert_cmpstr(member->id, ==, "");
	g_assert_cmpint(member->standing, ==, ASH_FLEET_UNREACHED);
	ash_fleet_member_set_fleet(member, NULL, NULL);
	g_assert_null(member->url);
	g_autofree char *text = ash_fleet_member_format(member, true);
	g_assert_null(strstr(text, "c.d"));
}

static void test_disk(void)
{
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(AshFleetMember) member = member_new(), same = NULL, fresh = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *last = NULL, *warning = NULL;
	bool has_news = false;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "fleet", &dir, &error));
	g_autofree char *state = g_build_filename(dir->path, ASH_PATH_STATE, NULL);
	g_autofree char *file = g_build_filename(state, "fleet.json", NULL);
	g_assert_true(ash_file_ensure_dir(AT_FDCWD, state, 0700, &error));
	g_free(take(member, "\"desired\":5,\"release\":" WISH("update"), 1, &has_news));
	g_assert_true(ash_fleet_member_save(dir->path, member, &last, &error));
	g_assert_true(ash_fleet_member_load(dir->path, &same, &warning, &error));
	g_assert_null(warning);
	g_assert_cmpuint(same->have, ==, 5);
	g_assert_cmpint(same->contact_s, ==, 1000);
	/* A check-in with nothing new is not worth a write. */
	g_assert_cmpint(unlink(file), ==, 0);
	member->contact_s = 5000;
	g_assert_true(ash_fleet_member_save(dir->path, member, &last, &error));
	g_assert_false(g_file_test(file, G_FILE_TEST_EXISTS));
	g_assert_true(g_file_set_contents(file, "{\"have\":", -1, NULL));
	g_assert_true(ash_fleet_member_load(dir->path, &fresh, &warning, &error));
	g_assert_nonnull(warning);
	g_assert_cmpuint(fresh->have, ==, 0);
}

enum {
	STEPS = 4,
};

/* What ashlard does with an answer that has an order: each step is written before the next. */
static void step(AshFleetMember *member, unsigned number)
{
	static const char order[] = "\"desired\":6,\"orders\":[{\"id\":7,\"verb\":\"reboot\"}]";
	bool has_news = false;

	if (number == 0)
		g_free(take(member, "\"desired\":5,\"release\":" WISH("update"), 1, &has_news));
	else if (number == 1)
		g_free(take(member, order, 2, &has_news));
	else if (number == 2)
		ash_fleet_member_end_order(member, 7, true, "rebooting");
	else
		g_free(take(member, "\"desired\":7,\"hold\":\"freeze\"", 3, &has_news));
}

static void write_all(const char *dir, unsigned steps)
{
	AshFleetMember *member = member_new();
	g_autofree char *last = NULL;

	for (unsigned i = 0; i < steps; i++) {
		step(member, i);
		if (!ash_fleet_member_save(dir, member, &last, NULL))
			_exit(1);
	}
	ash_fleet_member_free(member);
}

/* SIGKILL at the @count-th begin or end of a system call; false: it had ended before. */
static bool kill_at(const char *dir, unsigned count)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(1);
		raise(SIGSTOP);
		write_all(dir, STEPS);
		_exit(0);
	}
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	for (unsigned i = 0; i < count && WIFSTOPPED(status); i++) {
		g_assert_cmpint(ptrace(PTRACE_SYSCALL, child, NULL, NULL), ==, 0);
		g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	}
	if (WIFEXITED(status)) {
		g_assert_cmpint(WEXITSTATUS(status), ==, 0);
		return false;
	}
	g_assert_cmpint(kill(child, SIGKILL), ==, 0);
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	return true;
}

/* Wherever ashlard is killed: the file is what one of the steps wrote, and an order that was taken is not taken again. (In
 * which order they come cannot be asked: sanitizers make calls of their own, not always as many.)
 */
static void test_killed(void)
{
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(GError) error = NULL;
	unsigned seen = 0;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "fleet", &dir, &error));
	g_autofree char *state = g_build_filename(dir->path, ASH_PATH_STATE, NULL);
	g_assert_true(ash_file_ensure_dir(AT_FDCWD, state, 0700, &error));
	for (unsigned count = 1;; count++) {
		g_autoptr(AshFleetMember) found = NULL;
		g_autofree char *warning = NULL;
		write_all(dir->path, 1);
		bool is_killed = kill_at(dir->path, count);
		g_assert_true(ash_fleet_member_load(dir->path, &found, &warning, &error));
		g_assert_null(warning);
		bool has_order = found->results->len == 1;
		bool is_open = has_order &&
			       ((const AshFleetResult *) found->results->pdata[0])->is_open;
		unsigned at = found->have == 7 ? 3 : found->have == 5 ? 0 : is_open ? 1 : 2;
		g_assert_cmpuint(found->have, >=, 5);
		g_assert_cmpint(has_order, ==, at > 0);
		g_assert_cmpint(found->hold != NULL, ==, at == 3);
		seen |= 1U << at;
		if (at > 0) {
			bool has_news = false;
			g_autofree char *again = take(found,
					"\"desired\":8,\"orders\":[{\"id\":7,\"verb\":\"reboot\"}]",
					9, &has_news);
			g_assert_cmpstr(again, ==, "");
		}
		if (!is_killed)
			break;
	}
	g_assert_cmpuint(seen, ==, (1U << STEPS) - 1);
}

/* ---- pauses -------------------------------------------------------------------------------------- */

static void test_pause(void)
{
	const int64_t second = G_USEC_PER_SEC;

	g_assert_cmpint(ash_link_fleet_pause_us(1, 0, 0, 900), ==, 5 * second / 2);
	g_assert_cmpint(ash_link_fleet_pause_us(1, 1, 0, 900), ==, 5 * second);
	g_assert_cmpint(ash_link_fleet_pause_us(3, 1, 0, 900), ==, 20 * second);
	g_assert_cmpint(ash_link_fleet_pause_us(1000, 1, 0, 900), ==, 900 * second);
	g_assert_cmpint(ash_link_fleet_pause_us(1000, 0, 0, 900), ==, 450 * second);
	/* What the server asks for is the least. */
	g_assert_cmpint(ash_link_fleet_pause_us(1, 0, 60, 900), ==, 60 * second);
	g_assert_cmpint(ash_link_fleet_pause_us(1, 1, 60, 900), ==, 66 * second);
	g_assert_cmpint(ash_link_fleet_pause_us(1, 0, 3600, 900), ==, 3600 * second);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/fleet-answer/refused", test_refused);
	g_test_add_func("/fleet-answer/maxima", test_maxima);
	g_test_add_func("/fleet-member/wish", test_wish);
	g_test_add_func("/fleet-member/workloads", test_workloads);
	g_test_add_func("/fleet-member/unreached", test_unreached);
	g_test_add_func("/fleet-member/orders-once", test_orders_once);
	g_test_add_func("/fleet-member/many-orders", test_many_orders);
	g_test_add_func("/fleet-member/epoch", test_epoch);
	g_test_add_func("/fleet-member/disk", test_disk);
	g_test_add_func("/fleet-member/killed", test_killed);
	g_test_add_func("/link-fleet/pause", test_pause);
	return g_test_run();
}
