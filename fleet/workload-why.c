/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/workload-why.h"

#include <string.h>

#include "fleet/workload-said.h"

/* Each asks one thing; false: that blocks, or nothing is left to wait for. */

typedef struct {
	const AshWorkloadWhyFacts *facts;
	AshWhy *why;
	AshWorkloadSaid said;
	const char *version; /* that it is to run */
} Chain;

static bool ask_reported(Chain *chain)
{
	const AshHost *host = chain->facts->of.host;

	if ((host->said & ASH_HOST_SAID_WORKLOADS) == 0) {
		ash_why_blocked(chain->why, "reported", ASH_WHY_WAITING, 0,
				g_strdup("it has not said what workloads it has: its agent may be "
					 "older than workloads of a fleet"));
		return false;
	}
	ash_why_met(chain->why, "reported",
			chain->said.version[0] != '\0'
					? g_strdup_printf("it says that it has %s %s, %sready",
							  chain->facts->name, chain->said.version,
							  chain->said.is_ready ? "" : "not ")
					: g_strdup_printf("it says that it has no %s",
							  chain->facts->name));
	return true;
}

static bool ask_assigned(Chain *chain)
{
	const AshWorkloadWhyFacts *facts = chain->facts;

	if (facts->assignment == NULL && chain->said.version[0] != '\0' && !chain->said.is_signed) {
		ash_why_met(chain->why, "assigned",
				g_strdup("it is the host's own: no assignment is about it"));
		chain->version = chain->said.version;
		return true;
	}
	if (facts->assignment == NULL) {
		ash_why_blocked(chain->why, "assigned", ASH_WHY_WAITING, 0,
				g_strdup_printf("no assignment of %s matches it", facts->name));
		return false;
	}
	if (*facts->rollout_version != '\0')
		ash_why_met(chain->why, "assigned",
				g_strdup_printf("rollout '%s' brings %s", facts->of.rollout_name,
						facts->rollout_version));
	else if (*facts->wanted != '\0')
		ash_why_met(chain->why, "assigned",
				g_strdup_printf("assignment '%s' counts, and %s is wanted",
						facts->assignment->id, facts->wanted));
	else
		ash_why_blocked(chain->why, "assigned", ASH_WHY_WAITING, 0,
				*facts->assignment->version == '\0'
						? g_strdup_printf("assignment '%s' has no version yet: "
								  "a rollout brings one",
								  facts->assignment->id)
						: g_strdup_printf("assignment '%s' brings %s, which is "
								  "not given to it",
								  facts->assignment->id,
								  facts->assignment->version));
	chain->version = *facts->rollout_version != '\0' ? facts->rollout_version : facts->wanted;
	return *chain->version != '\0';
}

static bool ask_withdrawn(Chain *chain)
{
	const AshWorkloadWhyFacts *facts = chain->facts;
	const AshAssignmentBook *book = ash_desired_book_assignments(facts->of.book);
	const char *version = facts->assignment != NULL && *facts->rollout_version == '\0' &&
							      *facts->assignment->version != '\0'
					      ? facts->assignment->version
					      : chain->version;

	if (!ash_assignment_is_withdrawn(book, facts->name, version) ||
			strcmp(chain->said.version, version) == 0) {
		ash_why_met(chain->why, "not withdrawn", g_strdup("it is not withdrawn"));
		return true;
	}
	ash_why_blocked(chain->why, "not withdrawn", ASH_WHY_REFUSED, 0,
			g_strdup_printf("%s is withdrawn: assign another version", version));
	return false;
}

static bool ask_failed(Chain *chain)
{
	const char *reason = chain->facts->failed_reason;

	if (!ash_workload_said_has_failed(&chain->said, chain->version)) {
		ash_why_met(chain->why, "not failed here",
				g_strdup("it has not failed on this host"));
		return true;
	}
	ash_why_blocked(chain->why, "not failed here", ASH_WHY_STUCK, 0,
			g_strdup_printf("%s failed on this host%s%s: see its logs, then order "
					"'forgive'",
					chain->version, *reason != '\0' ? ": " : "", reason));
	return false;
}

static bool is_there(const Chain *chain)
{
	return strcmp(chain->said.version, chain->version) == 0;
}

static bool ask_rollout(Chain *chain)
{
	return *chain->facts->rollout_version == '\0' || is_there(chain) ||
	       ash_why_ask_rollout(&chain->facts->of, chain->why);
}

static bool ask_believed(Chain *chain)
{
	static const struct {
		const char *word, *text;
		AshWhyAnswer answer;
	} words[] = {
			{"not-found", "the host does not find its definition in the publication",
					ASH_WHY_WAITING},
			{"untrusted", "the host does not believe its definition", ASH_WHY_REFUSED},
			{"lower", "the host has a higher version of its definition",
					ASH_WHY_REFUSED},
			{"refused", "the host refuses its definition", ASH_WHY_REFUSED},
			{"image", "the host cannot get its image", ASH_WHY_WAITING},
			{"owner", "the host's owner keeps it from the fleet", ASH_WHY_REFUSED},
			{"source", "the host cannot look into the publication", ASH_WHY_WAITING},
			{"runtime", "nothing on the host runs workloads", ASH_WHY_STUCK},
	};
	const char *text = "the host has not got it";
	const char *more = chain->facts->missing_text;
	AshWhyAnswer answer = ASH_WHY_WAITING;

	/* What is missing may be the version before. */
	if (chain->said.word[0] == '\0' ||
			(chain->said.missing[0] != '\0' &&
					strcmp(chain->said.missing, chain->version) != 0)) {
		ash_why_met(chain->why, "believed", g_strdup("the host has nothing against it"));
		return true;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if (strcmp(chain->said.word, words[i].word) == 0) {
			text = words[i].text;
			answer = words[i].answer;
		}
	ash_why_blocked(chain->why, strcmp(chain->said.word, "image") == 0 ? "fetched" : "believed",
			answer, 0,
			g_strdup_printf("%s%s%s", text, *more != '\0' ? ": " : "", more));
	return false;
}

static bool ask_fetched(Chain *chain)
{
	const AshWorkloadWhyFacts *facts = chain->facts;

	if (is_there(chain)) {
		ash_why_met(chain->why, "fetched", g_strdup("it is on the host"));
		return true;
	}
	if (strcmp(facts->target, chain->version) == 0)
		ash_why_blocked(chain->why, "fetched", ASH_WHY_WORKING, 0,
				g_strdup_printf("the host is at it: %s",
						*facts->phase != '\0' ? facts->phase
								      : facts->state));
	else
		ash_why_blocked(chain->why, "fetched", ASH_WHY_WAITING, facts->of.now_s,
				g_strdup("the host is told with its next check-in, or has not "
					 "begun yet"));
	return false;
}

static bool ask_ready(Chain *chain)
{
	const AshWorkloadWhyFacts *facts = chain->facts;

	if (chain->said.is_ready)
		ash_why_met(chain->why, "ready", g_strdup_printf("%s is ready", chain->version));
	else
		ash_why_blocked(chain->why, "ready",
				chain->said.is_failed ? ASH_WHY_STUCK : ASH_WHY_WORKING, 0,
				g_strdup_printf("%s is there and not ready (%s)%s%s",
						chain->version,
						*facts->state != '\0' ? facts->state : "starting",
						*facts->text != '\0' ? ": " : "", facts->text));
	return chain->said.is_ready;
}

void ash_workload_why(const AshWorkloadWhyFacts *facts, AshWhy *out_why)
{
	static bool (*const questions[])(Chain *) = {ask_reported, ask_assigned, ask_withdrawn,
			ask_failed, ask_rollout, ask_believed, ask_fetched, ask_ready};
	AshWhy why = {0};
	Chain chain = {.facts = facts, .why = &why, .version = ""};

	ash_why_begin(&why);
	ash_why_met(&why, "known", g_strdup("the fleet knows it"));
	ash_workload_said_find(facts->of.host->workloads, facts->name, &chain.said);
	bool goes_on = ash_why_ask_host(&facts->of, &why);
	for (size_t i = 0; i < G_N_ELEMENTS(questions) && goes_on; i++)
		goes_on = questions[i](&chain);
	*out_why = why;
}
