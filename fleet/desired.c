/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/desired.h"

#include <string.h>

#include "fleet/selector.h"
#include "lib/version.h"
#include "lib/window.h"

typedef struct {
	char *name;
	int64_t rank;
	AshSelector *selector;
	char **windows;
	GPtrArray *parsed; /* AshWindow */
	int64_t poll_s;
} Policy;

typedef struct {
	char **windows;
	GPtrArray *parsed;
} Rollout;

struct AshDesiredBook {
	gatomicrefcount references;
	GHashTable *releases; /* id → AshDesiredRelease, owned */
	GHashTable *commits;  /* commit → AshDesiredRelease */
	GHashTable *lines; /* "name/variant/arch" → GPtrArray of AshDesiredRelease, by version */
	GHashTable *channels; /* name → id */
	GHashTable *rollouts; /* id → Rollout */
	GPtrArray *policies;  /* by rank and name */
	AshAssignmentBook *assignments;
};

enum {
	MAX_LINE_NAME = 512,
};

/* ---- the book ------------------------------------------------------------------------------------ */

/* The book's own copy. */
static void free_release(AshDesiredRelease *release)
{
	const char *const texts[] = {release->name, release->variant, release->arch,
			release->version, release->commit, release->replaces_min, release->dead_end,
			release->withdrawn};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		g_free((gpointer) (uintptr_t) texts[i]);
	g_free(release);
}

static void free_policy(Policy *policy)
{
	g_free(policy->name);
	ash_selector_unref(policy->selector);
	g_strfreev(policy->windows);
	g_clear_pointer(&policy->parsed, g_ptr_array_unref);
	g_free(policy);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Policy, free_policy)

static void free_rollout(Rollout *rollout)
{
	g_strfreev(rollout->windows);
	g_ptr_array_unref(rollout->parsed);
	g_free(rollout);
}

AshDesiredBook *ash_desired_book_new(void)
{
	AshDesiredBook *book = g_new0(AshDesiredBook, 1);

	g_atomic_ref_count_init(&book->references);
	book->releases = g_hash_table_new_full(
			g_int64_hash, g_int64_equal, NULL, (GDestroyNotify) free_release);
	book->commits = g_hash_table_new(g_str_hash, g_str_equal);
	book->lines = g_hash_table_new_full(
			g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
	book->channels = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	book->rollouts = g_hash_table_new_full(
			g_str_hash, g_str_equal, g_free, (GDestroyNotify) free_rollout);
	book->policies = g_ptr_array_new_with_free_func((GDestroyNotify) free_policy);
	book->assignments = ash_assignment_book_new();
	return book;
}

AshDesiredBook *ash_desired_book_ref(AshDesiredBook *book)
{
	g_atomic_ref_count_inc(&book->references);
	return book;
}

void ash_desired_book_unref(AshDesiredBook *book)
{
	if (book == NULL || !g_atomic_ref_count_dec(&book->references))
		return;
	g_hash_table_unref(book->commits);
	g_hash_table_unref(book->lines);
	g_hash_table_unref(book->releases);
	g_hash_table_unref(book->channels);
	g_hash_table_unref(book->rollouts);
	g_ptr_array_unref(book->policies);
	ash_assignment_book_free(book->assignments);
	g_free(book);
}

void ash_desired_book_take_assignments(AshDesiredBook *book, AshAssignmentBook *take_assignments)
{
	ash_assignment_book_free(book->assignments);
	book->assignments = take_assignments;
}

const AshAssignmentBook *ash_desired_book_assignments(const AshDesiredBook *book)
{
	return book->assignments;
}

static const char *line_name(
		char buffer[MAX_LINE_NAME], const char *name, const char *variant, const char *arch)
{
	g_snprintf(buffer, MAX_LINE_NAME, "%s/%s/%s", name, variant, arch);
	return buffer;
}

static int compare_versions(gconstpointer a, gconstpointer b)
{
	return ash_version_compare((*(AshDesiredRelease *const *) a)->version,
			(*(AshDesiredRelease *const *) b)->version);
}

void ash_desired_book_add_release(AshDesiredBook *book, const AshDesiredRelease *release)
{
	AshDesiredRelease *copy = g_new0(AshDesiredRelease, 1);
	char buffer[MAX_LINE_NAME];

	*copy = (AshDesiredRelease){
			.id = release->id,
			.name = g_strdup(release->name),
			.variant = g_strdup(release->variant),
			.arch = g_strdup(release->arch),
			.version = g_strdup(release->version),
			.commit = g_strdup(release->commit),
			.replaces_min = g_strdup(release->replaces_min),
			.dead_end = g_strdup(release->dead_end),
			.withdrawn = g_strdup(release->withdrawn),
			.is_barrier = release->is_barrier,
	};
	g_hash_table_insert(book->releases, &copy->id, copy);
	g_hash_table_insert(book->commits, (gpointer) (uintptr_t) copy->commit, copy);
	const char *name = line_name(buffer, copy->name, copy->variant, copy->arch);
	GPtrArray *line = g_hash_table_lookup(book->lines, name);
	if (line == NULL) {
		line = g_ptr_array_new();
		g_hash_table_insert(book->lines, g_strdup(name), line);
	}
	g_ptr_array_add(line, copy);
	g_ptr_array_sort(line, compare_versions);
}

void ash_desired_book_add_channel(AshDesiredBook *book, const char *name, int64_t release)
{
	int64_t *id = g_new(int64_t, 1);

	*id = release;
	g_hash_table_insert(book->channels, g_strdup(name), id);
}

/* What does not parse any more (a time zone that went) is left out: it was checked when it was set. */
static GPtrArray *parse_windows(const char *const *windows)
{
	GPtrArray *parsed = g_ptr_array_new_with_free_func((GDestroyNotify) ash_window_free);

	for (; windows != NULL && *windows != NULL; windows++) {
		AshWindow *window = NULL;
		if (ash_window_parse(*windows, &window, NULL))
			g_ptr_array_add(parsed, window);
	}
	return parsed;
}

void ash_desired_book_add_rollout(AshDesiredBook *book, const char *id, const char *const *windows)
{
	Rollout *rollout = g_new0(Rollout, 1);

	rollout->windows = g_strdupv((char **) (uintptr_t) windows);
	rollout->parsed = parse_windows(windows);
	g_hash_table_insert(book->rollouts, g_strdup(id), rollout);
}

static int compare_policies(gconstpointer a, gconstpointer b)
{
	const Policy *x = *(Policy *const *) a, *y = *(Policy *const *) b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp(x->name, y->name);
}

gboolean ash_desired_book_add_policy(AshDesiredBook *book, const char *name, int64_t rank,
		const char *selector, const char *const *windows, int64_t poll_s, GError **error)
{
	g_autoptr(Policy) policy = g_new0(Policy, 1);

	policy->name = g_strdup(name);
	policy->rank = rank;
	policy->poll_s = poll_s;
	if (!ash_selector_parse(selector, &policy->selector, error))
		return FALSE;
	for (const char *const *text = windows; text != NULL && *text != NULL; text++) {
		g_autoptr(AshWindow) window = NULL;
		if (!ash_window_parse(*text, &window, error))
			return FALSE;
	}
	policy->windows = g_strdupv((char **) (uintptr_t) windows);
	policy->parsed = parse_windows(windows);
	g_ptr_array_add(book->policies, g_steal_pointer(&policy));
	g_ptr_array_sort(book->policies, compare_policies);
	return TRUE;
}

const AshDesiredRelease *ash_desired_book_release(const AshDesiredBook *book, int64_t id)
{
	return g_hash_table_lookup(book->releases, &id);
}

const AshDesiredRelease *ash_desired_book_commit(const AshDesiredBook *book, const char *commit)
{
	return g_hash_table_lookup(book->commits, commit);
}

bool ash_desired_book_channel(const AshDesiredBook *book, const char *name, int64_t *out_release)
{
	const int64_t *id = g_hash_table_lookup(book->channels, name);

	if (id == NULL)
		return false;
	*out_release = *id;
	return true;
}

static const GPtrArray *line_of(const AshDesiredBook *book, const AshHost *host, const char *name)
{
	char buffer[MAX_LINE_NAME];

	return g_hash_table_lookup(book->lines, line_name(buffer, name, host->variant, host->arch));
}

static bool fits(const AshDesiredRelease *release, const AshHost *host)
{
	return g_str_equal(release->name, host->image) &&
	       g_str_equal(release->variant, host->variant) &&
	       g_str_equal(release->arch, host->arch);
}

const AshDesiredRelease *ash_desired_book_fitting(
		const AshDesiredBook *book, const AshDesiredRelease *release, const AshHost *host)
{
	const GPtrArray *line = NULL;

	if (fits(release, host))
		return release;
	if (!g_str_equal(release->name, host->image))
		return NULL;
	line = line_of(book, host, release->name);
	for (unsigned i = 0; line != NULL && i < line->len; i++) {
		const AshDesiredRelease *other = g_ptr_array_index(line, i);
		if (g_str_equal(other->version, release->version))
			return other;
	}
	return NULL;
}

/* ---- towards a release --------------------------------------------------------------------------- */

/* The target, or the lowest barrier that lies between. A withdrawn barrier still is one: who waits behind it is told
 * so, instead of passing it by.
 */
static const AshDesiredRelease *next_hop(
		const AshDesiredBook *book, const AshHost *host, const AshDesiredRelease *target)
{
	const GPtrArray *line = line_of(book, host, target->name);

	for (unsigned i = 0; line != NULL && i < line->len; i++) {
		const AshDesiredRelease *release = g_ptr_array_index(line, i);
		if (release->is_barrier &&
				ash_version_compare(release->version, host->version) > 0 &&
				ash_version_compare(release->version, target->version) < 0)
			return release;
	}
	return target;
}

AshDesiredStep ash_desired_towards(const AshDesiredBook *book, const AshHost *host,
		const AshDesiredRelease *target, const AshDesiredRelease **out_hop)
{
	const AshDesiredRelease *now = ash_desired_book_commit(book, host->commit);

	*out_hop = NULL;
	if (*host->commit == '\0' || !ash_version_is_valid(host->version))
		return ASH_DESIRED_UNKNOWN;
	if (!fits(target, host))
		return ASH_DESIRED_MISFIT;
	if (g_str_equal(host->commit, target->commit))
		return ASH_DESIRED_HAS;
	if (ash_version_compare(host->version, target->version) > 0)
		return ASH_DESIRED_NEWER;
	if (now != NULL && *now->dead_end != '\0') {
		*out_hop = now;
		return ASH_DESIRED_DEAD_END;
	}
	const AshDesiredRelease *hop = next_hop(book, host, target);
	*out_hop = hop;
	if (*hop->withdrawn != '\0')
		return ASH_DESIRED_WITHDRAWN;
	if (g_str_equal(host->failed_commit, hop->commit))
		return ASH_DESIRED_FAILED;
	if (*hop->replaces_min != '\0' && ash_version_compare(host->version, hop->replaces_min) < 0)
		return ASH_DESIRED_TOO_OLD;
	return ASH_DESIRED_TAKE;
}

AshDesiredStep ash_desired_route(const AshDesiredBook *book, const AshHost *host,
		const AshDesiredRelease *target, const AshDesiredRelease **out_hop)
{
	const AshDesiredRelease *hop = NULL, *first = NULL;
	AshHost there = *host; /* borrows its texts */

	for (;;) {
		AshDesiredStep step = ash_desired_towards(book, &there, target, &hop);
		if (first == NULL || step != ASH_DESIRED_TAKE)
			first = hop;
		if (step != ASH_DESIRED_TAKE || hop == target) {
			*out_hop = first;
			return step;
		}
		/* Versions only rise, so this ends. */
		there.commit = hop->commit;
		there.version = hop->version;
	}
}

static char *describe_line(const char *name, const char *variant, const char *arch)
{
	return *variant != '\0' ? g_strdup_printf("'%s-%s' for %s", name, variant, arch)
				: g_strdup_printf("'%s' for %s", name, arch);
}

char *ash_desired_step_text(AshDesiredStep step, const AshDesiredBook *book, const AshHost *host,
		const AshDesiredRelease *target, const AshDesiredRelease *hop)
{
	switch (step) {
	case ASH_DESIRED_TAKE:
		if (hop == target)
			return g_strdup_printf("%s can follow %s", target->version, host->version);
		return g_strdup_printf("%s is a barrier before %s: it comes first", hop->version,
				target->version);
	case ASH_DESIRED_HAS:
		return g_strdup_printf("runs %s", target->version);
	case ASH_DESIRED_UNKNOWN:
		return g_strdup("has not said yet what it runs; its next check-in will");
	case ASH_DESIRED_MISFIT: {
		g_autofree char *theirs =
				describe_line(target->name, target->variant, target->arch);
		g_autofree char *its = describe_line(host->image, host->variant, host->arch);
		return g_strdup_printf(
				"%s is %s, and the host runs %s", target->version, theirs, its);
	}
	case ASH_DESIRED_NEWER:
		return g_strdup_printf("runs %s, which is newer than %s; only a recall or an "
				       "operator's 'return' leads back",
				host->version, target->version);
	case ASH_DESIRED_TOO_OLD:
		return g_strdup_printf(
				"%s replaces %s and later, and the host runs %s: roll out one "
				"between them first",
				hop->version, hop->replaces_min, host->version);
	case ASH_DESIRED_DEAD_END:
		return g_strdup_printf("%s is a dead end: %s", hop->version, hop->dead_end);
	case ASH_DESIRED_WITHDRAWN:
		return g_strdup_printf("%s is withdrawn: %s", hop->version, hop->withdrawn);
	case ASH_DESIRED_FAILED:
		return g_strdup_printf(
				"%s failed on this host and is not given to it again; see its "
				"history, then order 'forgive'",
				hop->version);
	}
	g_assert_not_reached();
}

const AshDesiredRelease *ash_desired_by_channel(const AshDesiredBook *book, const AshHost *host)
{
	const char *channel = ash_pairs_get(host->labels, host->label_count, "channel");
	const AshDesiredRelease *target = NULL, *hop = NULL;
	int64_t id = 0;

	if (channel == NULL || !ash_desired_book_channel(book, channel, &id) || id == 0)
		return NULL;
	target = ash_desired_book_release(book, id);
	if (target != NULL)
		target = ash_desired_book_fitting(book, target, host);
	if (target == NULL || ash_desired_towards(book, host, target, &hop) != ASH_DESIRED_TAKE)
		return NULL;
	return hop;
}

/* ---- when ---------------------------------------------------------------------------------------- */

static const Policy *policy_of(const AshDesiredBook *book, const AshHost *host, int64_t now_s)
{
	for (unsigned i = 0; i < book->policies->len; i++) {
		const Policy *policy = g_ptr_array_index(book->policies, i);
		if (ash_selector_matches(policy->selector, host, now_s))
			return policy;
	}
	return NULL;
}

static const Rollout *rollout_with_windows(const AshDesiredBook *book, const char *id)
{
	const Rollout *rollout = *id != '\0' ? g_hash_table_lookup(book->rollouts, id) : NULL;

	return rollout != NULL && rollout->parsed->len > 0 ? rollout : NULL;
}

void ash_desired_when(const AshDesiredBook *book, const AshHost *host, const char *rollout,
		int64_t now_s, AshDesiredWhen *out_when)
{
	const Policy *policy = policy_of(book, host, now_s);
	const Rollout *own = rollout_with_windows(book, rollout);

	*out_when = (AshDesiredWhen){.policy = ""};
	if (policy != NULL) {
		out_when->policy = policy->name;
		out_when->windows = (const char *const *) policy->windows;
		out_when->poll_s = policy->poll_s;
	}
	if (own != NULL)
		out_when->windows = (const char *const *) own->windows;
}

void ash_desired_windows(const AshDesiredBook *book, const AshHost *host, const char *rollout,
		int64_t now_s, bool *out_open, int64_t *out_change_s)
{
	const Policy *policy = policy_of(book, host, now_s);
	const Rollout *own = rollout_with_windows(book, rollout);
	const GPtrArray *windows = own != NULL      ? own->parsed
				   : policy != NULL ? policy->parsed
						    : NULL;

	*out_open = true;
	*out_change_s = INT64_MAX;
	if (windows != NULL && windows->len > 0)
		ash_window_next(windows, now_s, out_open, out_change_s);
}
