/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/target.h"

#include <string.h>

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

#define RELEASE                                                                                    \
	"{\"type\":\"ashlar-release\",\"format\":1,\"name\":\"host\",\"variant\":\"\","            \
	"\"architecture\":\"amd64\",\"version\":\"1.4.0\",\"commit\":\"" HEX_A "\","               \
	"\"replaces-min\":\"1.0.0\",\"created\":\"2026-11-22T10:00:00Z\","                         \
	"\"size\":{\"bytes\":1000,\"inodes\":10,\"boot-bytes\":500,\"archive-bytes\":600,"         \
	"\"largest-object-bytes\":400},"                                                           \
	"\"deltas\":[{\"from\":\"" HEX_B "\",\"path\":\"deltas/ab/cd_e+f-gh/superblock\","         \
	"\"sha256\":\"" HEX_B "\",\"bytes\":5,\"objects\":2,\"object-bytes\":9}],"                 \
	"\"notes\":\"n\"}"

#define RECALL                                                                                     \
	"{\"type\":\"ashlar-recall\",\"format\":1,\"name\":\"host\",\"variant\":\"lab\","          \
	"\"architecture\":\"arm64\",\"version\":\"1.5.0\",\"to\":\"1.4.0\",\"reason\":\"r\","      \
	"\"created\":\"2026-11-22T10:00:00Z\"}"

/* Text that a member which is not const may point to. */
#define TEXT(text) ((char[]){text})

static GBytes *bytes_of(const char *text)
{
	return g_bytes_new(text, strlen(text));
}

static void test_release(void)
{
	g_autoptr(GBytes) json = bytes_of(RELEASE);
	g_autoptr(AshRelease) release = NULL;
	g_autoptr(AshRelease) again = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_release_parse(json, &release, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(release->name, ==, "host");
	g_assert_cmpstr(release->variant, ==, "");
	g_assert_cmpstr(release->arch, ==, "amd64");
	g_assert_cmpstr(release->version, ==, "1.4.0");
	g_assert_cmpstr(release->commit, ==, HEX_A);
	g_assert_cmpstr(release->replaces_min, ==, "1.0.0");
	g_assert_cmpstr(release->notes, ==, "n");
	g_assert_cmpuint(release->bytes, ==, 1000);
	g_assert_cmpuint(release->inodes, ==, 10);
	g_assert_cmpuint(release->boot_bytes, ==, 500);
	g_assert_cmpuint(release->archive_bytes, ==, 600);
	g_assert_cmpuint(release->largest_object_bytes, ==, 400);
	g_assert_cmpuint(release->deltas->len, ==, 1);
	const AshTargetDelta *delta = release->deltas->pdata[0];
	g_assert_cmpstr(delta->from, ==, HEX_B);
	g_assert_cmpstr(delta->path, ==, "deltas/ab/cd_e+f-gh/superblock");
	g_assert_cmpuint(delta->bytes, ==, 5);
	g_assert_cmpuint(delta->objects, ==, 2);
	g_assert_cmpuint(delta->object_bytes, ==, 9);

	/* What is written is read as the same. */
	g_autofree char *text = ash_release_format(release);
	g_autoptr(GBytes) written = bytes_of(text);
	g_assert_true(ash_release_parse(written, &again, &error));
	g_autofree char *text2 = ash_release_format(again);
	g_assert_cmpstr(text, ==, text2);
}

static void test_recall(void)
{
	g_autoptr(GBytes) json = bytes_of(RECALL);
	g_autoptr(AshRecall) recall = NULL;
	g_autoptr(AshRecall) again = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_recall_parse(json, &recall, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(recall->variant, ==, "lab");
	g_assert_cmpstr(recall->version, ==, "1.5.0");
	g_assert_cmpstr(recall->to, ==, "1.4.0");
	g_autofree char *text = ash_recall_format(recall);
	g_autoptr(GBytes) written = bytes_of(text);
	g_assert_true(ash_recall_parse(written, &again, &error));
	g_autofree char *text2 = ash_recall_format(again);
	g_assert_cmpstr(text, ==, text2);
}

/* One place of a good document replaced by another text. */
typedef struct {
	const char *from, *to;
	int code; /* -1: is accepted */
} Case;

static char *replace(const char *text, const Case *c)
{
	const char *at = strstr(text, c->from);

	g_assert_nonnull(at);
	return g_strdup_printf("%.*s%s%s", (int) (at - text), text, c->to, at + strlen(c->from));
}

static void test_refused(void)
{
	static const Case releases[] = {
			{"{", "", ASH_TARGET_ERROR_SYNTAX},
			{"{", "[{", ASH_TARGET_ERROR_SYNTAX},
			{"ashlar-release", "ashlar-recall", ASH_TARGET_ERROR_SYNTAX},
			{"\"type\"", "\"kind\"", ASH_TARGET_ERROR_SYNTAX},
			{"\"format\":1", "\"format\":2", ASH_TARGET_ERROR_FORMAT},
			{"\"format\":1", "\"format\":0", ASH_TARGET_ERROR_SYNTAX},
			{"\"format\":1", "\"format\":\"1\"", ASH_TARGET_ERROR_SYNTAX},
			{"\"name\":\"host\"", "\"name\":\"../x\"", ASH_TARGET_ERROR_SYNTAX},
			{"\"name\":\"host\"", "\"name\":\"\"", ASH_TARGET_ERROR_SYNTAX},
			{"\"name\":\"host\"", "\"name\":1", ASH_TARGET_ERROR_SYNTAX},
			{"amd64", "a/b", ASH_TARGET_ERROR_SYNTAX},
			{"1.4.0", "1_4", ASH_TARGET_ERROR_SYNTAX},
			{"1.4.0", "", ASH_TARGET_ERROR_SYNTAX},
			{HEX_A, "AAAA", ASH_TARGET_ERROR_SYNTAX},
			{"1.0.0", "", -1},
			{"\"replaces-min\":\"1.0.0\",", "", -1},
			{"10:00:00Z", "10:00:00+01:00", ASH_TARGET_ERROR_SYNTAX},
			{"\"bytes\":1000", "\"bytes\":-1", ASH_TARGET_ERROR_SYNTAX},
			{"\"bytes\":1000", "\"bytes\":1.5", ASH_TARGET_ERROR_SYNTAX},
			{"\"bytes\":1000", "\"bytes\":9007199254740993", ASH_TARGET_ERROR_SYNTAX},
			{"\"inodes\":10,", "", ASH_TARGET_ERROR_SYNTAX},
			{"\"size\":{", "\"size\":[],\"x\":{", ASH_TARGET_ERROR_SYNTAX},
			{"deltas/ab", "deltas/..", ASH_TARGET_ERROR_SYNTAX},
			{"deltas/ab", "/deltas/ab", ASH_TARGET_ERROR_SYNTAX},
			{"deltas/ab", "deltas//ab", ASH_TARGET_ERROR_SYNTAX},
			{"deltas/ab", "objects/ab", ASH_TARGET_ERROR_SYNTAX},
			{"deltas/ab", "deltas/%2e%2e", ASH_TARGET_ERROR_SYNTAX},
			{"\"deltas\":[", "\"deltas\":[1,", ASH_TARGET_ERROR_SYNTAX},
			{"\"notes\":\"n\"", "\"new-member\":[{}]", -1},
	};
	static const Case recalls[] = {
			{"ashlar-recall", "ashlar-release", ASH_TARGET_ERROR_SYNTAX},
			{"\"to\":\"1.4.0\"", "\"to\":\"1.5.0\"", ASH_TARGET_ERROR_SYNTAX},
			{"\"to\":\"1.4.0\"", "\"to\":\"/\"", ASH_TARGET_ERROR_SYNTAX},
			{"\"to\":\"1.4.0\"", "\"to\":\"\"", -1},
			{"\"lab\"", "\"-lab\"", ASH_TARGET_ERROR_SYNTAX},
			{"\"format\":1", "\"format\":7", ASH_TARGET_ERROR_FORMAT},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(releases); i++) {
		g_autofree char *text = replace(RELEASE, &releases[i]);
		g_autoptr(GBytes) json = bytes_of(text);
		g_autoptr(AshRelease) release = NULL;
		g_autoptr(GError) error = NULL;
		g_test_message("%s -> %s", releases[i].from, releases[i].to);
		g_assert_cmpint(ash_release_parse(json, &release, &error), ==,
				releases[i].code < 0);
		if (releases[i].code >= 0)
			g_assert_error(error, ASH_TARGET_ERROR, releases[i].code);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(recalls); i++) {
		g_autofree char *text = replace(RECALL, &recalls[i]);
		g_autoptr(GBytes) json = bytes_of(text);
		g_autoptr(AshRecall) recall = NULL;
		g_autoptr(GError) error = NULL;
		g_test_message("%s -> %s", recalls[i].from, recalls[i].to);
		g_assert_cmpint(ash_recall_parse(json, &recall, &error), ==, recalls[i].code < 0);
		if (recalls[i].code >= 0)
			g_assert_error(error, ASH_TARGET_ERROR, recalls[i].code);
	}
}

static void test_limits(void)
{
	g_autofree char *blanks = g_strnfill(ASH_TARGET_MAX_BYTES, ' ');
	g_autofree char *long_text = g_strconcat(RELEASE, blanks, NULL);
	g_autoptr(GBytes) json = bytes_of(long_text);
	g_autoptr(AshRelease) release = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_false(ash_release_parse(json, &release, &error));
	g_assert_error(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_SYNTAX);

	for (int extra = 0; extra < 2; extra++) {
		g_autoptr(GBytes) good = bytes_of(RELEASE);
		g_autoptr(AshRelease) base = NULL;
		g_autoptr(AshRelease) parsed = NULL;
		g_assert_true(ash_release_parse(good, &base, NULL));
		while (base->deltas->len < (guint) (ASH_TARGET_MAX_DELTAS + extra)) {
			AshTargetDelta *delta = g_new0(AshTargetDelta, 1);
			delta->from = g_strdup(HEX_A);
			delta->path = g_strdup("deltas/x");
			delta->sha256 = g_strdup(HEX_A);
			g_ptr_array_add(base->deltas, delta);
		}
		g_autofree char *text = ash_release_format(base);
		g_autoptr(GBytes) many = bytes_of(text);
		g_assert_cmpint(ash_release_parse(many, &parsed, NULL), ==, extra == 0);
	}
	for (int extra = 0; extra < 2; extra++) {
		g_autoptr(GBytes) good = bytes_of(RELEASE);
		g_autoptr(AshRelease) base = NULL;
		g_autoptr(AshRelease) parsed = NULL;
		g_assert_true(ash_release_parse(good, &base, NULL));
		g_free(base->notes);
		base->notes = g_strnfill((gsize) (ASH_TARGET_MAX_NOTES_BYTES + extra), 'n');
		g_autofree char *text = ash_release_format(base);
		g_autoptr(GBytes) long_notes = bytes_of(text);
		g_assert_cmpint(ash_release_parse(long_notes, &parsed, NULL), ==, extra == 0);
	}
}

static const AshTargetHost host = {.name = "host", .variant = "", .arch = "amd64"};

static void test_paths(void)
{
	g_autofree char *plain = ash_release_path("host", "", "amd64", "1.0");
	g_autofree char *variant = ash_release_path("host", "lab", "arm64", "1.0");
	g_autofree char *recall = ash_recall_path("host", NULL, "amd64", "1.0");

	g_assert_cmpstr(plain, ==, "host/host/amd64/1.0.json");
	g_assert_cmpstr(variant, ==, "host/host-lab/arm64/1.0.json");
	g_assert_cmpstr(recall, ==, "host/host/amd64/recall/1.0.json");
}

static void test_entries(void)
{
	static const struct {
		const char *path, *custom;
		bool is_accepted;
	} cases[] = {
#define CUSTOM "{\"kind\":\"release\",\"version\":\"1.0\",\"commit\":\"" HEX_A "\"}"
			{"host/host/amd64/1.0.json", CUSTOM, true},
			{"host/host/amd64/1.0.json", NULL, false},
			{"host/host/amd64/1.0.json", "", false},
			{"host/host/amd64/1.0.json", "[]", false},
			{"host/host/amd64/1.1.json", CUSTOM, false},
			{"host/host/arm64/1.0.json", CUSTOM, false},
			{"host/host-lab/amd64/1.0.json", CUSTOM, false},
			{"host/hos/amd64/1.0.json", CUSTOM, false},
			{"host/host/amd64/1.0", CUSTOM, false},
			{"host/host/amd64/x/1.0.json", CUSTOM, false},
			{"host/host/amd64/.json", CUSTOM, false},
			{"host/host/amd64/json", CUSTOM, false},
			{"host/host/amd64/", CUSTOM, false},
			{"host/host/amd64/recall/1.0.json", CUSTOM, false},
			{"workload/host/amd64/1.0.json", CUSTOM, false},
			{"host/host/amd64/1.0.json",
					"{\"kind\":\"release\",\"version\":\"1.0\",\"commit\":\"1\"}",
					false},
			{"host/host/amd64/1.0.json", "{\"kind\":\"recall\",\"version\":\"1.0\"}",
					false},
			{"host/host/amd64/recall/1.0.json",
					"{\"kind\":\"recall\",\"version\":\"1.0\",\"to\":\"0.9\"}",
					true},
			{"host/host/amd64/recall/1.0.json",
					"{\"kind\":\"recall\",\"version\":\"1.0\"}", true},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		AshTargetEntry *entry = ash_target_entry_new(&host, cases[i].path, cases[i].custom);
		g_test_message("%s %s", cases[i].path, cases[i].custom);
		g_assert_cmpint(entry != NULL, ==, cases[i].is_accepted);
		ash_target_entry_free(entry);
	}
}

static void test_check(void)
{
	g_autoptr(GBytes) json = bytes_of(RELEASE);
	g_autoptr(AshRelease) release = NULL;
	char *path = TEXT("host/host/amd64/1.4.0.json");
	const AshTargetEntry good = {.path = path,
			.version = TEXT("1.4.0"),
			.replaces_min = TEXT("1.0.0"),
			.commit = TEXT(HEX_A)};
	AshTargetEntry other_commit = good, other_version = good, other_min = good;
	AshTargetHost other_name = host, other_variant = host, other_arch = host;

	other_commit.commit = TEXT(HEX_B);
	other_version.version = TEXT("1.4.1");
	other_min.replaces_min = TEXT("");
	other_name.name = "guest";
	other_variant.variant = "lab";
	other_arch.arch = "arm64";
	const struct {
		const AshTargetHost *host;
		const AshTargetEntry *entry;
		int code;
	} cases[] = {
			{&host, &good, -1},
			{&host, &other_commit, ASH_TARGET_ERROR_WRONG_NAME},
			{&host, &other_version, ASH_TARGET_ERROR_WRONG_NAME},
			{&host, &other_min, ASH_TARGET_ERROR_WRONG_NAME},
			{&other_name, &good, ASH_TARGET_ERROR_WRONG_NAME},
			{&other_variant, &good, ASH_TARGET_ERROR_WRONG_VARIANT},
			{&other_arch, &good, ASH_TARGET_ERROR_WRONG_ARCH},
	};

	g_assert_true(ash_release_parse(json, &release, NULL));
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		bool ok = ash_release_check(release, cases[i].host, cases[i].entry, &error);
		g_assert_cmpint(ok, ==, cases[i].code < 0);
		if (cases[i].code >= 0)
			g_assert_error(error, ASH_TARGET_ERROR, cases[i].code);
	}
}

static void test_check_recall(void)
{
	g_autoptr(GBytes) json = bytes_of(RECALL);
	g_autoptr(AshRecall) recall = NULL;
	g_autoptr(GError) error = NULL;
	const AshTargetHost lab = {.name = "host", .variant = "lab", .arch = "arm64"};
	AshTargetEntry entry = {.is_recall = true, .version = TEXT("1.5.0"), .to = TEXT("1.4.0")};

	g_assert_true(ash_recall_parse(json, &recall, NULL));
	g_assert_true(ash_recall_check(recall, &lab, &entry, NULL));
	g_assert_false(ash_recall_check(recall, &host, &entry, NULL));
	entry.to = TEXT("1.3.0");
	g_assert_false(ash_recall_check(recall, &lab, &entry, &error));
	g_assert_error(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_WRONG_NAME);
}

/* ---- choosing ----------------------------------------------------------------------------------- */

/* The commit of version V is V here: what choosing compares is text. */
static GPtrArray *parse_entries(const char *text)
{
	GPtrArray *entries = g_ptr_array_new_with_free_func((GDestroyNotify) ash_target_entry_free);
	g_auto(GStrv) words = g_strsplit(text, " ", -1);

	for (char **word = words; *word != NULL && **word != '\0'; word++) {
		AshTargetEntry *entry = g_new0(AshTargetEntry, 1);
		bool is_recall = **word == '!';
		const char *separator = is_recall ? ">" : ">=";
		g_auto(GStrv) parts = g_strsplit(*word + is_recall, separator, 2);
		entry->is_recall = is_recall;
		entry->version = g_strdup(parts[0]);
		if (is_recall) {
			entry->to = g_strdup(parts[1] != NULL ? parts[1] : "");
		} else {
			entry->replaces_min = g_strdup(parts[1] != NULL ? parts[1] : "");
			entry->commit = g_strdup(parts[0]);
		}
		g_ptr_array_add(entries, entry);
	}
	return entries;
}

static const char *is_bad(const char *commit, gconstpointer data)
{
	g_auto(GStrv) words = g_strsplit(data, " ", -1);

	for (char **word = words; *word != NULL; word++) {
		if (strcmp(*word, commit) == 0)
			return "bad";
		if (**word == '@' && strcmp(*word + 1, commit) == 0)
			return "held";
	}
	return NULL;
}

static char *format_refusals(const GPtrArray *refusals)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < refusals->len; i++) {
		const AshTargetRefusal *refusal = refusals->pdata[i];
		g_assert_nonnull(strstr(refusal->text, refusal->version));
		g_string_append_printf(text, "%s%s:%s", i > 0 ? " " : "", refusal->version,
				refusal->reason);
	}
	return g_string_free(text, FALSE);
}

static void test_choose(void)
{
	/* Entries: "1.1>=1.0" replaces 1.0 and later; "!1.1>1.0" recalls 1.1 to 1.0, "!1.1" only
	 * recalls it. Bad: "1.1" failed, "@1.1" was left by an operator.
	 */
	static const struct {
		const char *running, *entries, *bad, *wanted;
		const char *chosen; /* "-" for none, "<" before one that a recall leads down to */
		const char *refusals;
	} cases[] = {
			/* up, and nothing else by itself */
			{"1.0", "", "", NULL, "-", ""},
			{"1.0", "1.0", "", NULL, "-", "1.0:same"},
			{"1.0", "1.0 1.1", "", NULL, "1.1", "1.0:same"},
			{"1.0", "1.2 1.1 1.0", "", NULL, "1.2", "1.0:same"},
			{"1.9", "1.9 1.10", "", NULL, "1.10", "1.9:same"},
			{"1.1", "1.0 1.1", "", NULL, "-", "1.1:same 1.0:lower"},
			{"2.0", "1.0 1.1", "", NULL, "-", "1.1:lower 1.0:lower"},
			{"1.0", "1.0~rc1", "", NULL, "-", "1.0~rc1:lower"},
			{"1.0~rc1", "1.0", "", NULL, "1.0", ""},
			{"1.00", "1.0", "", NULL, "-", "1.0:same"},
			/* a host that does not know its version */
			{"", "1.0 1.1", "", NULL, "1.1", ""},
			{NULL, "1.0 1.1", "", NULL, "1.1", ""},
			{"not/valid", "1.0", "", NULL, "1.0", ""},
			{"", "1.1>=1.0", "", NULL, "-", "1.1:replaces-min"},
			/* stepping stones */
			{"1.0", "1.1 2.0>=1.1", "", NULL, "1.1", "2.0:replaces-min"},
			{"1.1", "1.1 2.0>=1.1", "", NULL, "2.0", "1.1:same"},
			{"1.0", "2.0>=1.1", "", NULL, "-", "2.0:replaces-min"},
			{"1.1~rc1", "2.0>=1.1", "", NULL, "-", "2.0:replaces-min"},
			/* what failed or was left */
			{"1.0", "1.1 1.2", "1.2", NULL, "1.1", "1.2:bad"},
			{"1.0", "1.1 1.2", "1.1 1.2", NULL, "-", "1.2:bad 1.1:bad"},
			{"1.0", "1.1 1.2", "@1.2", NULL, "1.1", "1.2:held"},
			{"1.0", "1.1", "1.1 @1.2", NULL, "-", "1.1:bad"},
			/* recalled: not taken */
			{"1.0", "1.1 !1.1", "", NULL, "-", "1.1:recalled"},
			{"1.0", "1.1 1.2 !1.2", "", NULL, "1.1", "1.2:recalled"},
			{"1.0", "1.1 !1.1>1.0 1.0", "", NULL, "-", "1.1:recalled 1.0:same"},
			{"1.0", "1.1 !1.1", "1.1", NULL, "-", "1.1:recalled"},
			/* recalled: left, downwards too */
			{"1.1", "1.0 1.1 !1.1>1.0", "", NULL, "<1.0", "1.1:same"},
			{"1.1", "0.9 1.0 1.1 !1.1>0.9", "", NULL, "<0.9", "1.1:same 1.0:lower"},
			{"1.1", "1.0 1.1 1.2 !1.1>1.0", "", NULL, "<1.0", "1.1:same"},
			{"1.1", "1.1 1.2 1.3 !1.1>1.2", "", NULL, "1.2", "1.1:same"},
			{"1.10", "1.9 !1.10>1.9", "", NULL, "<1.9", ""},
			/* recalled, and no way said or none there: only up */
			{"1.1", "1.0 1.1 !1.1", "", NULL, "-", "1.1:same 1.0:lower"},
			{"1.1", "1.0 1.1 1.2 !1.1", "", NULL, "1.2", "1.1:same 1.0:lower"},
			{"1.1", "1.1 !1.1>1.0", "", NULL, "-", "1.1:same"},
			{"1.1", "1.1 1.2 !1.1>1.0", "", NULL, "1.2", "1.1:same"},
			{"1.1", "1.0 1.1 !1.1>1.0", "1.0", NULL, "-", "1.1:same 1.0:bad"},
			{"1.1", "1.0 1.1 1.2 !1.1>1.0", "1.0", NULL, "1.2", "1.1:same 1.0:bad"},
			{"1.1", "1.0 1.1 !1.1>1.0", "@1.0", NULL, "-", "1.1:same 1.0:held"},
			/* a recall of another version gives no leave to go down */
			{"1.1", "1.0 1.1 1.2 !1.2>1.0", "", NULL, "-",
					"1.2:recalled 1.1:same 1.0:lower"},
			{"1.1", "0.9 1.0 !1.0>0.9", "", NULL, "-", "1.0:recalled 0.9:lower"},
			/* two recalls never send a host round */
			{"1.1", "1.0 1.1 !1.1>1.0 !1.0>1.1", "", NULL, "-",
					"1.1:same 1.0:recalled"},
			{"1.1", "1.0 1.1 !1.1>1.1", "", NULL, "-", "1.1:same 1.0:lower"},
			/* one version that is wanted */
			{"1.0", "1.1 1.2", "", "1.1", "1.1", ""},
			{"1.0", "1.1 1.2", "", "1.3", "-", ""},
			{"1.0", "1.1 1.2", "1.1", "1.1", "-", "1.1:bad"},
			{"1.2", "1.1 1.2", "", "1.1", "-", "1.1:lower"},
			{"1.2", "1.1 1.2", "", "1.2", "-", "1.2:same"},
			{"1.2", "1.0 1.1 1.2 !1.2>1.1", "", "1.1", "<1.1", ""},
			{"1.2", "1.0 1.1 1.2 !1.2>1.1", "", "1.0", "-", "1.0:lower"},
			{"1.2", "1.1 1.2 1.3 !1.2>1.1", "", "1.3", "1.3", ""},
			{"1.0", "1.1 !1.1", "", "1.1", "-", "1.1:recalled"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		AshTargetHost running = host;
		g_autoptr(GPtrArray) entries = parse_entries(cases[i].entries);
		g_autoptr(GPtrArray) refusals = NULL;
		int index = -2;
		bool is_recall = true;

		running.version = cases[i].running;
		ash_target_choose(&running, entries, is_bad, cases[i].bad, cases[i].wanted, &index,
				&is_recall, &refusals);
		const AshTargetEntry *entry = index < 0 ? NULL : entries->pdata[index];
		g_autofree char *chosen = g_strconcat(
				is_recall ? "<" : "", entry != NULL ? entry->version : "-", NULL);
		g_autofree char *told = format_refusals(refusals);
		g_test_message("case %zu: %s with %s", i, cases[i].running, cases[i].entries);
		g_assert_cmpstr(chosen, ==, cases[i].chosen);
		g_assert_cmpstr(told, ==, cases[i].refusals);

		/* The order of the metadata decides nothing. */
		for (guint a = 0, b = entries->len; a + 1 < b; a++, b--) {
			gpointer swap = entries->pdata[a];
			entries->pdata[a] = entries->pdata[b - 1];
			entries->pdata[b - 1] = swap;
		}
		ash_target_choose(&running, entries, is_bad, cases[i].bad, cases[i].wanted, &index,
				&is_recall, NULL);
		entry = index < 0 ? NULL : entries->pdata[index];
		g_autofree char *again = g_strconcat(
				is_recall ? "<" : "", entry != NULL ? entry->version : "-", NULL);
		g_assert_cmpstr(again, ==, cases[i].chosen);
	}
}

static void test_choose_without_bad(void)
{
	g_autoptr(GPtrArray) entries = parse_entries("1.1");
	AshTargetHost running = host;
	int index = -1;
	bool is_recall = true;

	running.version = "1.0";
	ash_target_choose(&running, entries, NULL, NULL, NULL, &index, &is_recall, NULL);
	g_assert_cmpint(index, ==, 0);
	g_assert_false(is_recall);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/target/release", test_release);
	g_test_add_func("/target/recall", test_recall);
	g_test_add_func("/target/refused", test_refused);
	g_test_add_func("/target/limits", test_limits);
	g_test_add_func("/target/paths", test_paths);
	g_test_add_func("/target/entries", test_entries);
	g_test_add_func("/target/check", test_check);
	g_test_add_func("/target/check-recall", test_check_recall);
	g_test_add_func("/target/choose", test_choose);
	g_test_add_func("/target/choose-without-bad", test_choose_without_bad);
	return g_test_run();
}
