/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "agent/workload/broker.h"
#include "agent/workload/call-frame.h"
#include "agent/workload/call-policy.h"

static GPtrArray *parse(const char *text)
{
	g_autoptr(GError) error = NULL;
	GPtrArray *rules = ash_call_policy_new();

	g_assert_true(ash_call_policy_parse("p", text, rules, &error));
	g_assert_no_error(error);
	return rules;
}

static void check(const GPtrArray *rules, const char *service, const char *argument,
		const char *source, const char *target, AshCallVerdict wanted, const char *to)
{
	const AshCallQuestion question = {service, argument, source, target};
	const AshCallRule *rule;
	const char *found;

	g_assert_cmpint(ash_call_policy_decide(rules, &question, &found, &rule), ==, wanted);
	g_assert_cmpstr(found, ==, to);
}

static void test_policy(void)
{
	g_autoptr(GPtrArray) rules = parse("# comment\n"
					   "sign.Text+mail mailer * allow target=signer\n"
					   "sign.Text+ * signer deny # the empty argument\n"
					   "sign.Text web signer allow\n"
					   "sign.Text * @default allow target=signer\n"
					   "\tlog.Append  *\t* ask\r\n"
					   "sign.Text evil * deny\n"
					   "* root * allow\n");

	check(rules, "sign.Text", "mail", "mailer", "other", ASH_CALL_ALLOW, "signer");
	check(rules, "sign.Text", "mail", "mailer", "", ASH_CALL_ALLOW, "signer");
	check(rules, "sign.Text", "", "web", "signer", ASH_CALL_DENY, NULL);
	check(rules, "sign.Text", "x", "web", "signer", ASH_CALL_ALLOW, "signer");
	check(rules, "sign.Text", "x", "web", "other", ASH_CALL_DENY, NULL);
	check(rules, "sign.Text", "x", "evil", "", ASH_CALL_ALLOW, "signer");
	check(rules, "sign.Text", "x", "evil", "signer", ASH_CALL_DENY, NULL);
	check(rules, "log.Append", "", "a", "b", ASH_CALL_ASK, "b");
	check(rules, "any", "", "root", "b", ASH_CALL_ALLOW, "b");
	/* Allowed to everybody is not sent to anybody. */
	check(rules, "any", "", "root", "", ASH_CALL_DENY, NULL);
	check(rules, "any", "", "other", "b", ASH_CALL_DENY, NULL);
}

static void test_policy_errors(void)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
			{"a b c\n", "p:1: 3 words"},
			{"\na b c d\n", "p:2: action 'd'"},
			{"a b @default allow\n", "p:1: target '@default'"},
			{"a b c deny target=x\n", "p:1: option"},
			{"a b c allow to=x\n", "p:1: option 'to=x'"},
			{"-a b c allow\n", "p:1: service '-a'"},
			{"a+b/c b c allow\n", "p:1: argument"},
			{"a @default c allow\n", "p:1: source"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GPtrArray) rules = parse("x y z allow\n");
		g_assert_false(ash_call_policy_parse("p", cases[i].text, rules, &error));
		g_assert_error(error, ASH_CALL_POLICY_ERROR, ASH_CALL_POLICY_ERROR_SYNTAX);
		g_assert_nonnull(strstr(error->message, cases[i].message));
		/* What was there stays, and nothing of the broken one came. */
		g_assert_cmpuint(rules->len, ==, 1);
	}
}

/* Against a model that is too simple to be wrong: the first line whose four patterns all match. */
static void test_policy_property(void)
{
	static const char *const names[] = {"*", "a", "b"};
	static const char *const verdicts[] = {"deny", "allow", "ask"};
	g_autoptr(GRand) random = g_rand_new_with_seed(7);

	for (int round = 0; round < 500; round++) {
		int picks[8][4];
		int n = g_rand_int_range(random, 1, 8);
		g_autoptr(GString) text = g_string_new(NULL);
		for (int i = 0; i < n; i++) {
			for (int j = 0; j < 4; j++)
				picks[i][j] = g_rand_int_range(random, 0, 3);
			g_string_append_printf(text, "%s %s %s %s\n", names[picks[i][0]],
					names[picks[i][1]], names[picks[i][2]],
					verdicts[picks[i][3]]);
		}
		g_autoptr(GPtrArray) rules = parse(text->str);
		for (int q = 0; q < 8; q++) {
			int asked[] = {1 + (q & 1), 1 + (q >> 1 & 1), 1 + (q >> 2 & 1)};
			int wanted = 0;
			for (int i = n - 1; i >= 0; i--) {
				bool fits = true;
				for (int j = 0; j < 3; j++)
					fits &= picks[i][j] == 0 || picks[i][j] == asked[j];
				wanted = fits ? picks[i][3] : wanted;
			}
			check(rules, names[asked[0]], "", names[asked[1]], names[asked[2]],
					(AshCallVerdict) wanted,
					wanted == ASH_CALL_DENY ? NULL : names[asked[2]]);
		}
	}
}

static AshCallFrameState take(const char *bytes, size_t size, AshCallFrame *frame)
{
	return ash_call_frame_take((const uint8_t *) bytes, size, frame);
}

static void test_frames(void)
{
	g_autoptr(GByteArray) buffer = g_byte_array_new();
	AshCallFrame frame;
	const char *service, *argument, *target;

	ash_call_frame_add(buffer, ASH_CALL_FRAME_CALL, "sign.Text\0\0signer", 18);
	for (guint size = 0; size < buffer->len; size++)
		g_assert_cmpint(ash_call_frame_take(buffer->data, size, &frame), ==,
				ASH_CALL_FRAME_MORE);
	g_assert_cmpint(ash_call_frame_take(buffer->data, buffer->len, &frame), ==,
			ASH_CALL_FRAME_WHOLE);
	g_assert_true(ash_call_frame_read_call(&frame, &service, &argument, &target));
	g_assert_cmpstr(service, ==, "sign.Text");
	g_assert_cmpstr(argument, ==, "");
	g_assert_cmpstr(target, ==, "signer");
	g_assert_cmpint(take("\0\0\0\0\0\0\0\0", 8, &frame), ==, ASH_CALL_FRAME_WRONG);
	g_assert_cmpint(take("\7\0\0\0\0\0\0\0", 8, &frame), ==, ASH_CALL_FRAME_WRONG);
	g_assert_cmpint(take("\2\0\0\0\1\0\1\0", 8, &frame), ==, ASH_CALL_FRAME_WRONG);
	g_assert_cmpint(take("\2\0\0\0\0\0\1\0", 8, &frame), ==, ASH_CALL_FRAME_MORE);
}

static void test_frame_calls(void)
{
	static const struct {
		const char *bytes;
		size_t size;
	} wrong[] = {{"a\0b\0c", 5}, {"\0\0\0", 3}, {"a\0\0", 3}, {"a\0\0\0x", 5}, {"a/b\0\0\0", 6},
			{"a\0../b\0\0", 8}, {"a\0\0-x\0", 6}};
	const char *service, *argument, *target;

	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		const AshCallFrame frame = {ASH_CALL_FRAME_CALL, (const uint8_t *) wrong[i].bytes,
				wrong[i].size};
		g_assert_false(ash_call_frame_read_call(&frame, &service, &argument, &target));
	}
}

static void test_table(void)
{
	static const char text[] =
			"{\"instances\":[{\"instance\":\"web\",\"workload\":\"web\",\"dir\":\"/d\","
			"\"requires\":[\"sign.Text\"],\"provides\":[]},"
			"{\"instance\":\"signer\",\"workload\":\"signer\",\"dir\":\"/s\",\"requires\":[],"
			"\"provides\":[{\"name\":\"sign.Text\",\"command\":[\"/bin/sign\",\"-v\"]}]}]}";
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	g_autoptr(GBytes) broken = g_bytes_new_static(text, strlen(text) - 1);
	g_autoptr(GPtrArray) instances = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_broker_table_parse(bytes, &instances, &error));
	g_assert_cmpuint(instances->len, ==, 2);
	const AshBrokerInstance *signer = ash_broker_table_find(instances, "signer", "sign.Text");
	g_assert_nonnull(signer);
	g_assert_cmpstr(((AshBrokerService *) signer->provides->pdata[0])->argv[1], ==, "-v");
	g_assert_null(ash_broker_table_find(instances, "web", "sign.Text"));
	g_assert_null(ash_broker_table_find(instances, "signer", "other"));
	g_assert_false(ash_broker_table_parse(broken, &instances, &error));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/call/policy", test_policy);
	g_test_add_func("/call/policy-errors", test_policy_errors);
	g_test_add_func("/call/policy-property", test_policy_property);
	g_test_add_func("/call/frames", test_frames);
	g_test_add_func("/call/frame-calls", test_frame_calls);
	g_test_add_func("/call/table", test_table);
	return g_test_run();
}
