/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/workload/machine.h"
#include "agent/workload/state.h"

/* The machine of a workload as ashlar-workloadd drives it: each step is saved and read again, as if the power had
 * gone. Whatever happens in whatever order, what machine.h promises holds.
 */

enum {
	N_VERSIONS = 4,
	N_INSTANCES = 3,
	BUDGET = 3,
};

typedef struct {
	AshState *state;
	AshMachineWorld world;
	GPtrArray *notes;
	unsigned boots;
	/* What runs: the version that each process was started of, -1 for none. */
	int process[N_INSTANCES];
	unsigned started[N_INSTANCES]; /* since the last budget, by itself */
} Host;

static char digests[N_VERSIONS][65];

static AshMachine *machine_of(const Host *host)
{
	return host->state->machines->pdata[0];
}

static void save_and_load(Host *host)
{
	g_autofree char *text = ash_state_format(host->state);
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	g_autoptr(GError) error = NULL;
	AshState *loaded = NULL;

	g_assert_true(ash_state_parse(bytes, &loaded, &error));
	g_assert_no_error(error);
	g_autofree char *again = ash_state_format(loaded);
	g_assert_cmpstr(text, ==, again);
	ash_state_free(host->state);
	host->state = loaded;
}

static bool try(Host *host, AshMachineEvent event)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *before = ash_state_format(host->state);
	bool done = ash_machine_step(machine_of(host), &host->world, &event, host->notes, &error);

	if (!done) {
		g_autofree char *after = ash_state_format(host->state);
		g_assert_true(error->domain == ASH_MACHINE_ERROR);
		g_assert_cmpstr(before, ==, after);
	}
	save_and_load(host);
	return done;
}

static AshMachineInstance *instance_of(const Host *host, guint index)
{
	return machine_of(host)->instances->pdata[index];
}

static int version_of(const AshMachineRef *ref)
{
	for (int i = 0; ref != NULL && ref->digest != NULL && i < N_VERSIONS; i++)
		if (strcmp(digests[i], ref->digest) == 0)
			return i;
	return -1;
}

static bool define(Host *host, int version)
{
	g_autofree char *text = g_strdup_printf("%d.0", version + 1);
	AshMachineRef ref = {.version = text,
			.digest = digests[version],
			.instances = 1 + (unsigned) version % N_INSTANCES};

	return try(host, (AshMachineEvent){.kind = ASH_MACHINE_EVENT_DEFINED, .ref = &ref});
}

static bool boot(Host *host, bool is_new)
{
	bool alive[N_INSTANCES];
	g_autofree char *id = NULL;

	host->boots += is_new;
	id = g_strdup_printf("boot-%u", host->boots);
	for (int i = 0; i < N_INSTANCES; i++) {
		if (is_new)
			host->process[i] = -1;
		alive[i] = host->process[i] >= 0;
	}
	return try(host, (AshMachineEvent){.kind = ASH_MACHINE_EVENT_BOOT,
					 .boot_id = id,
					 .alive = alive});
}

static void host_init(Host *host)
{
	*host = (Host){.state = ash_state_new(), .boots = 1};
	host->notes = g_ptr_array_new_with_free_func((GDestroyNotify) ash_machine_note_free);
	host->world = (AshMachineWorld){.now_us = 1000000,
			.now_s = 1,
			.restart = {ASH_RESTART_ALWAYS, 100, 1000, BUDGET, 60 * 1000}};
	memset(host->process, -1, sizeof host->process);
	g_ptr_array_add(host->state->machines, ash_machine_new("web"));
	boot(host, false);
}

static void host_clear(Host *host)
{
	ash_state_free(host->state);
	g_ptr_array_unref(host->notes);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Host, host_clear)

static bool simple(Host *host, AshMachineEventKind kind)
{
	return try(host, (AshMachineEvent){.kind = kind});
}

static bool at(Host *host, guint index, AshMachineEventKind kind, bool is_good)
{
	return try(host, (AshMachineEvent){.kind = kind,
					 .instance = index,
					 .is_good = is_good,
					 .text = "ended with code 3"});
}

static bool staged(Host *host)
{
	return try(host, (AshMachineEvent){.kind = ASH_MACHINE_EVENT_STAGED, .text = "c0ffee"});
}

/* What the daemon does with an instance, when all goes well; false: there is nothing to do. */
static bool tend(Host *host, guint i)
{
	int active = version_of(ash_machine_active(machine_of(host)));

	switch (instance_of(host, i)->state) {
	case ASH_INSTANCE_WAITING:
		return at(host, i, ASH_MACHINE_EVENT_GO, false);
	case ASH_INSTANCE_STARTING:
		if (host->process[i] < 0)
			host->process[i] = active;
		else
			at(host, i, ASH_MACHINE_EVENT_READY, true);
		return true;
	case ASH_INSTANCE_STOPPING:
		host->process[i] = -1;
		return at(host, i, ASH_MACHINE_EVENT_EXITED, true);
	case ASH_INSTANCE_RUNNING:
		return host->process[i] < 0 && at(host, i, ASH_MACHINE_EVENT_EXITED, false);
	case ASH_INSTANCE_BACKOFF:
		host->world.now_us = MAX(host->world.now_us, instance_of(host, i)->until_us);
		return at(host, i, ASH_MACHINE_EVENT_TIMER, false);
	case ASH_INSTANCE_DOWN:
	case ASH_INSTANCE_FAILED:
	case ASH_INSTANCE_DONE:
		break;
	}
	return false;
}

/* Everything that is to be done is done, and well; it must come to rest. */
static void settle(Host *host, bool is_good)
{
	for (unsigned rounds = 0;; rounds++) {
		AshMachine *machine = machine_of(host);
		bool is_busy = false;

		g_assert_cmpuint(rounds, <, 200);
		if (machine->state == ASH_MACHINE_FETCHING || machine->state == ASH_MACHINE_STAGING)
			is_busy = staged(host);
		for (guint i = 0; i < machine_of(host)->instances->len; i++)
			is_busy |= tend(host, i);
		machine = machine_of(host);
		if (!is_busy && machine->state == ASH_MACHINE_TRIAL)
			is_busy = try(host, (AshMachineEvent){.kind = ASH_MACHINE_EVENT_VERDICT,
							    .is_good = is_good,
							    .text = "web: 503"});
		if (!is_busy)
			return;
	}
}

static void assert_runs(const Host *host, int version)
{
	const AshMachine *machine = machine_of(host);

	g_assert_cmpstr(ash_machine_state_text(machine->state), ==, "up");
	g_assert_cmpint(version_of(&machine->current), ==, version);
	g_assert_true(ash_machine_is_ready(machine));
	g_assert_cmpuint(machine->instances->len, ==, machine->current.instances);
	for (guint i = 0; i < machine->instances->len; i++)
		g_assert_cmpint(host->process[i], ==, version);
}

static void bring_up(Host *host, int version)
{
	g_assert_true(define(host, version));
	simple(host, ASH_MACHINE_EVENT_START);
	settle(host, true);
	assert_runs(host, version);
}

/* ---- what machine.h says ---- */

static void test_life(void)
{
	g_auto(Host) host = {0};

	host_init(&host);
	bring_up(&host, 0);
	g_assert_cmpstr(ash_machine_word(machine_of(&host)), ==, "running");
	g_assert_true(simple(&host, ASH_MACHINE_EVENT_STOP));
	settle(&host, true);
	g_assert_cmpstr(ash_machine_word(machine_of(&host)), ==, "stopped");
	g_assert_cmpint(host.process[0], ==, -1);
	g_assert_true(simple(&host, ASH_MACHINE_EVENT_START));
	settle(&host, true);
	assert_runs(&host, 0);
	g_assert_true(simple(&host, ASH_MACHINE_EVENT_UNDEFINED));
	settle(&host, true);
	g_assert_cmpint(machine_of(&host)->state, ==, ASH_MACHINE_ABSENT);
}

/* One is stopped and started, the other goes on. */
static void test_again(void)
{
	g_auto(Host) host = {0};

	host_init(&host);
	bring_up(&host, 1);
	g_assert_cmpuint(machine_of(&host)->instances->len, ==, 2);
	g_assert_true(at(&host, 1, ASH_MACHINE_EVENT_AGAIN, false));
	g_assert_cmpint(instance_of(&host, 0)->state, ==, ASH_INSTANCE_RUNNING);
	g_assert_cmpint(instance_of(&host, 1)->state, ==, ASH_INSTANCE_STOPPING);
	settle(&host, true);
	assert_runs(&host, 1);
	g_assert_cmpuint(instance_of(&host, 1)->restarts, ==, 0);
	/* What is not wanted does not run. */
	g_assert_true(simple(&host, ASH_MACHINE_EVENT_STOP));
	settle(&host, true);
	g_assert_false(at(&host, 0, ASH_MACHINE_EVENT_AGAIN, false));
}

static void test_budget(void)
{
	g_auto(Host) host = {0};
	int64_t pause_us = 100 * 1000;

	host_init(&host);
	bring_up(&host, 0);
	for (unsigned i = 0; i < BUDGET; i++) {
		g_assert_true(at(&host, 0, ASH_MACHINE_EVENT_EXITED, false));
		host.process[0] = -1;
		g_assert_cmpint(instance_of(&host, 0)->state, ==, ASH_INSTANCE_BACKOFF);
		g_assert_cmpint(instance_of(&host, 0)->until_us - host.world.now_us, ==, pause_us);
		pause_us *= 2;
		settle(&host, true);
	}
	g_assert_true(at(&host, 0, ASH_MACHINE_EVENT_EXITED, false));
	host.process[0] = -1;
	settle(&host, true);
	g_assert_cmpstr(ash_machine_word(machine_of(&host)), ==, "failed");
	g_assert_true(simple(&host, ASH_MACHINE_EVENT_START));
	settle(&host, true);
	assert_runs(&host, 0);
	/* What is long ago does not count. */
	for (unsigned i = 0; i < 3 * BUDGET; i++) {
		host.world.now_us += 61 * G_USEC_PER_SEC;
		g_assert_true(at(&host, 0, ASH_MACHINE_EVENT_EXITED, false));
		host.process[0] = -1;
		settle(&host, true);
		assert_runs(&host, 0);
	}
}

static void test_update(void)
{
	g_auto(Host) host = {0};

	host_init(&host);
	bring_up(&host, 0);
	g_assert_true(define(&host, 1));
	settle(&host, true);
	assert_runs(&host, 1);
	/* A bad one. */
	g_assert_true(define(&host, 2));
	settle(&host, false);
	assert_runs(&host, 1);
	g_assert_nonnull(ash_machine_find_failed(machine_of(&host), digests[2]));
	g_assert_false(define(&host, 2));
	g_assert_true(ash_machine_forgive(machine_of(&host), "3.0"));
	g_assert_true(define(&host, 2));
	settle(&host, true);
	assert_runs(&host, 2);
	/* One that ends in its trial. */
	g_assert_true(define(&host, 3));
	g_assert_true(staged(&host));
	while (machine_of(&host)->state != ASH_MACHINE_TRIAL ||
			instance_of(&host, 0)->state != ASH_INSTANCE_RUNNING)
		for (guint i = 0; i < machine_of(&host)->instances->len; i++)
			tend(&host, i);
	g_assert_true(at(&host, 0, ASH_MACHINE_EVENT_EXITED, true));
	host.process[0] = -1;
	settle(&host, true);
	assert_runs(&host, 2);
}

static void test_trials(void)
{
	g_auto(Host) host = {0};

	host_init(&host);
	bring_up(&host, 0);
	g_assert_true(define(&host, 1));
	g_assert_true(staged(&host));
	for (unsigned i = 0; i < 10 && machine_of(&host)->state != ASH_MACHINE_TRIAL; i++)
		tend(&host, 0);
	for (unsigned i = 0; i < ASH_MACHINE_MAX_TRIALS; i++) {
		g_assert_cmpint(machine_of(&host)->state, ==, ASH_MACHINE_TRIAL);
		boot(&host, true);
	}
	settle(&host, true);
	assert_runs(&host, 0);
}

static void test_image_refused(void)
{
	g_auto(Host) host = {0};

	host_init(&host);
	g_assert_true(define(&host, 0));
	g_assert_true(simple(&host, ASH_MACHINE_EVENT_START));
	g_assert_true(try(&host, (AshMachineEvent){.kind = ASH_MACHINE_EVENT_STAGE_FAILED,
						 .text = "no network"}));
	g_assert_cmpint(ash_machine_next_us(machine_of(&host)), ==,
			host.world.now_us + ASH_MACHINE_RETRY_US);
	g_assert_true(try(&host, (AshMachineEvent){.kind = ASH_MACHINE_EVENT_STAGE_FAILED,
						 .text = "no image",
						 .is_forced = true}));
	g_assert_cmpstr(ash_machine_word(machine_of(&host)), ==, "failed");
	/* Another one is taken at once. */
	g_assert_true(define(&host, 1));
	settle(&host, true);
	assert_runs(&host, 1);
}

/* ---- whatever happens ---- */

static void check(
		const Host *host, const char *current_before, bool was_trial_good, bool had_current)
{
	const AshMachine *machine = machine_of(host);
	int seen = -1;

	/* (1) */
	for (int i = 0; i < N_INSTANCES; i++) {
		if (host->process[i] < 0)
			continue;
		g_assert_true(seen < 0 || seen == host->process[i]);
		seen = host->process[i];
	}
	/* (2) */
	if (machine->target.digest != NULL)
		g_assert_null(ash_machine_find_failed(machine, machine->target.digest));
	/* (3) */
	if (g_strcmp0(current_before, machine->current.digest) != 0)
		g_assert_true(was_trial_good || !had_current);
	/* (4) */
	if (machine->state == ASH_MACHINE_STOPPED || machine->state == ASH_MACHINE_ABSENT)
		for (int i = 0; i < N_INSTANCES; i++)
			g_assert_cmpint(host->process[i], ==, -1);
	/* (5) */
	for (guint i = 0; i < machine->instances->len; i++)
		g_assert_cmpuint(instance_of(host, i)->n_crashes, <=, BUDGET);
}

static void act_at_random(Host *host, GRand *rand)
{
	guint count = machine_of(host)->instances->len;
	guint i = count > 0 ? (guint) g_rand_int_range(rand, 0, (gint32) count) : 0;

	switch (g_rand_int_range(rand, 0, 17)) {
	case 16:
		at(host, i, ASH_MACHINE_EVENT_AGAIN, false);
		break;
	case 0:
		define(host, g_rand_int_range(rand, 0, N_VERSIONS));
		break;
	case 1:
		simple(host, ASH_MACHINE_EVENT_START);
		break;
	case 2:
		simple(host, g_rand_boolean(rand) ? ASH_MACHINE_EVENT_STOP
						  : ASH_MACHINE_EVENT_RESTART);
		break;
	case 3:
		boot(host, g_rand_boolean(rand));
		break;
	case 4:
		try(host, (AshMachineEvent){.kind = ASH_MACHINE_EVENT_STAGE_FAILED,
					  .text = "why",
					  .is_forced = g_rand_boolean(rand)});
		break;
	case 5:
	case 6:
		staged(host);
		break;
	case 7:
		try(host, (AshMachineEvent){.kind = ASH_MACHINE_EVENT_VERDICT,
					  .is_good = g_rand_boolean(rand),
					  .text = "why"});
		break;
	case 8: /* it ends by itself */
		if (count > 0 && host->process[i] >= 0) {
			host->process[i] = -1;
			at(host, i, ASH_MACHINE_EVENT_EXITED, g_rand_boolean(rand));
		}
		break;
	case 9:
		if (count > 0)
			at(host, i, ASH_MACHINE_EVENT_BROKEN, false);
		break;
	case 10: /* an event that comes too late, or for nobody */
		try(host, (AshMachineEvent){.kind = (AshMachineEventKind) g_rand_int_range(rand,
							    ASH_MACHINE_EVENT_GO,
							    ASH_MACHINE_EVENT_TIMER + 1),
					  .instance = (guint) g_rand_int_range(
							  rand, (gint32) count, N_INSTANCES + 2),
					  .text = "late"});
		break;
	case 11:
		host->world.now_us += g_rand_int_range(rand, 0, 90) * G_USEC_PER_SEC;
		break;
	default:
		if (count > 0)
			tend(host, i);
		break;
	}
}

static void test_random(void)
{
	for (guint32 seed = 0; seed < 400; seed++) {
		g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
		g_auto(Host) host = {0};

		host_init(&host);
		for (unsigned n = 0; n < 120; n++) {
			g_autofree char *before = g_strdup(machine_of(&host)->current.digest);
			bool was_trial = machine_of(&host)->state == ASH_MACHINE_TRIAL;
			act_at_random(&host, rand);
			check(&host, before, was_trial, before != NULL);
		}
		/* From wherever it is, it comes to rest; and what is wanted runs. */
		boot(&host, true);
		settle(&host, true);
		if (!machine_of(&host)->is_removed && machine_of(&host)->current.digest != NULL) {
			simple(&host, ASH_MACHINE_EVENT_START);
			settle(&host, true);
			assert_runs(&host, version_of(&machine_of(&host)->current));
		}
		/* (4) what was removed leaves nothing */
		simple(&host, ASH_MACHINE_EVENT_UNDEFINED);
		settle(&host, true);
		g_assert_cmpint(machine_of(&host)->state, ==, ASH_MACHINE_ABSENT);
		for (int i = 0; i < N_INSTANCES; i++)
			g_assert_cmpint(host.process[i], ==, -1);
	}
}

static void test_uids(void)
{
	g_autoptr(AshState) state = ash_state_new();
	g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
	g_autoptr(GError) error = NULL;
	uint32_t base = 0, again = 0;
	unsigned n = 0;

	for (;; n++) {
		g_autofree char *name = g_strdup_printf("w%u", n);
		if (!ash_state_uid_base(state, name, &base, &error))
			break;
		g_assert_cmpuint(base % 65536, ==, 0);
		g_assert_true(g_hash_table_add(seen, GUINT_TO_POINTER(base)));
		g_assert_true(ash_state_uid_base(state, name, &again, &error));
		g_assert_cmpuint(base, ==, again);
	}
	g_assert_error(error, ASH_STATE_ERROR, ASH_STATE_ERROR_FULL);
	g_assert_cmpuint(n, >, 4000);
}

int main(int argc, char **argv)
{
	for (int i = 0; i < N_VERSIONS; i++)
		memset(digests[i], 'a' + i, 64);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/machine/life", test_life);
	g_test_add_func("/machine/again", test_again);
	g_test_add_func("/machine/budget", test_budget);
	g_test_add_func("/machine/update", test_update);
	g_test_add_func("/machine/trials", test_trials);
	g_test_add_func("/machine/image-refused", test_image_refused);
	g_test_add_func("/machine/random", test_random);
	g_test_add_func("/machine/uids", test_uids);
	return g_test_run();
}
