/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk may hold after a power cut, from a log of its writes and flushes.
 *
 *	crash-states LOG BASE [--from N] [--to N] [--states N] [--focus AT:SIZE [--alone]] [--seed N] [--jobs N] [--scratch DIR] -- CHECK…
 *
 * LOG is what QEMU's blklogwrites driver wrote (the format of Linux's dm-log-writes,
 * Documentation/admin-guide/device-mapper/log-writes.rst), BASE the disk as it was when the log began.
 * For each state a fresh file is made and `CHECK… FILE` is run; it prints "old", "new" or "bad: why" as
 * its last line; when it does neither, that is no verdict, and the end of all with status 2. States:
 *
 *   - each flush prefix: all that was written before a flush, nothing after it;
 *   - random ones: a prefix, and of what was written between that flush and the next any subset, in any
 *     order, some writes torn at a sector of 512 bytes or a page of 4096.
 *
 * They are laid over the log from entry --from to entry --to (numbers that --count prints at some instant;
 * default: its end); with --focus, two thirds of them where the log writes to these bytes of the disk; with
 * --alone, all of them, and of what is elsewhere either all or nothing comes. A bad state is made again twice
 * from its seed before it is believed. At the end one line of JSON: how many were old, new and bad, and the 95 % bound on the rate of bad ones (3/N when none was).
 *
 *	crash-states --count LOG        the number of entries so far
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	FLUSH = 1,
	FUA = 2,
	DISCARD = 4,
	MANY_SECTORS = 2048,
	SECTOR = 512,
	PAGE = 4096,
	BELIEVED_AFTER = 2,
};
static const uint64_t magic = 0x6a736677736872;

typedef struct {
	uint64_t sector, sectors, flags;
	const uint8_t *data;
	bool is_zero; /* what the guest had zeroed, which may be gigabytes */
} Entry;

typedef struct {
	uint64_t prefix; /* entries [0, prefix) are on the disk */
	uint64_t end;    /* of [prefix, end) a subset */
	uint64_t seed;   /* 0: none of them */
} State;

static Entry *entries;
static uint64_t n_entries;
static uint64_t focus, focus_size; /* the bytes that matter most */
static gboolean is_alone;
static const char *base_path, *scratch = "/dev/shm";
static char **check;

static void fail(const char *format, ...) G_GNUC_PRINTF(1, 2) G_GNUC_NORETURN;
static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return GUINT64_FROM_LE(value);
}

static void load_log(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat about;

	if (fd < 0 || fstat(fd, &about) != 0 || about.st_size < SECTOR)
		fail("%s: no log", path);
	uint8_t *log = mmap(NULL, (size_t) about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (log == MAP_FAILED || get64(log) != magic)
		fail("%s: not a log of writes", path);
	uint64_t block = get64(log + 24) & 0xffffffff;
	uint64_t most = get64(log + 16), size = (uint64_t) about.st_size, at = block;
	entries = g_new0(Entry, most + 1);
	/* The count in the head is written now and then; the log itself goes further, or is cut. */
	for (n_entries = 0; n_entries < most && at + block <= size; n_entries++) {
		Entry *entry = &entries[n_entries];
		entry->sector = get64(log + at) * (block / SECTOR);
		entry->sectors = get64(log + at + 8) * (block / SECTOR);
		entry->flags = get64(log + at + 16);
		entry->data = log + at + block;
		at += block;
		if (entry->flags & DISCARD)
			continue;
		if (at + entry->sectors * SECTOR > size)
			break;
		at += entry->sectors * SECTOR;
	}
	close(fd);
}

static void look_for_zeros(void)
{
	for (uint64_t i = 0; i < n_entries; i++) {
		Entry *entry = &entries[i];
		entry->is_zero = entry->sectors >= MANY_SECTORS && !(entry->flags & DISCARD) &&
				 entry->data[0] == 0 &&
				 memcmp(entry->data, entry->data + 1,
						 entry->sectors * SECTOR - 1) == 0;
	}
}

/* Data only; what is a hole stays one. */
static void copy_sparse(int from, int to, off_t size)
{
	off_t at = 0;

	if (ftruncate(to, size) != 0)
		fail("%s: %m", scratch);
	while (at < size) {
		off_t data = lseek(from, at, SEEK_DATA);
		if (data < 0)
			break;
		off_t hole = lseek(from, data, SEEK_HOLE), out = data;
		while (data < hole) {
			ssize_t done = copy_file_range(
					from, &data, to, &out, (size_t) (hole - data), 0);
			if (done <= 0) {
				char buffer[1 << 16];
				done = pread(from, buffer,
						MIN(sizeof buffer, (size_t) (hole - data)), data);
				if (done <= 0 || pwrite(to, buffer, (size_t) done, out) != done)
					fail("copying: %m");
				data += done;
				out += done;
			}
		}
		at = hole;
	}
}

static void apply(int fd, const Entry *entry, uint64_t first, uint64_t count)
{
	off_t at = (off_t) ((entry->sector + first) * SECTOR);

	if (count == 0)
		return;
	if (entry->is_zero || (entry->flags & DISCARD)) {
		/* Of what was discarded a disk may give back anything; zeros are what it mostly does. */
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
				    (off_t) (count * SECTOR)) != 0)
			fail("punching: %m");
		return;
	}
	if (pwrite(fd, entry->data + first * SECTOR, count * SECTOR, at) !=
			(ssize_t) (count * SECTOR))
		fail("writing: %m");
}

static void apply_torn(int fd, const Entry *entry, GRand *random)
{
	uint64_t unit = g_rand_boolean(random) ? 1 : PAGE / SECTOR;
	uint64_t units = (entry->sectors + unit - 1) / unit;
	uint64_t cut = units > 1 ? (uint64_t) g_rand_int_range(
						   random, 0, (gint32) MIN(units, 1 << 20))
				 : 0;

	if (g_rand_boolean(random))
		apply(fd, entry, 0, MIN(cut * unit, entry->sectors)); /* the head came */
	else
		apply(fd, entry, MIN(cut * unit, entry->sectors),
				entry->sectors - MIN(cut * unit, entry->sectors)); /* the tail */
}

static bool is_focused(const Entry *entry)
{
	uint64_t at = entry->sector * SECTOR, size = entry->sectors * SECTOR;

	return size > 0 && at < focus + focus_size && at + size > focus;
}

static void apply_subset(int fd, const State *state)
{
	g_autoptr(GRand) random = g_rand_new_with_seed((guint32) state->seed);
	uint64_t count = state->end - state->prefix;
	g_autofree uint64_t *order = g_new(uint64_t, count + 1);
	double chance = g_rand_double(random);
	bool has_rest = g_rand_boolean(random);

	for (uint64_t i = state->prefix; is_alone && has_rest && i < state->end; i++)
		if (!is_focused(&entries[i]) && entries[i].sectors > 0)
			apply(fd, &entries[i], 0, entries[i].sectors);
	for (uint64_t i = 0; i < count; i++)
		order[i] = state->prefix + i;
	for (uint64_t i = count; i > 1; i--) {
		uint64_t j = (uint64_t) g_rand_int_range(random, 0, (gint32) i);
		uint64_t other = order[j];
		order[j] = order[i - 1];
		order[i - 1] = other;
	}
	for (uint64_t i = 0; i < count; i++) {
		const Entry *entry = &entries[order[i]];
		if (entry->sectors == 0 || (is_alone && !is_focused(entry)) ||
				g_rand_double(random) > chance)
			continue;
		if (g_rand_int_range(random, 0, 8) == 0 && !(entry->flags & DISCARD))
			apply_torn(fd, entry, random);
		else
			apply(fd, entry, 0, entry->sectors);
	}
}

/* ---- one worker: a share of the states, in the order of the log ------------------------------------ */

typedef struct {
	int rolling; /* the disk with entries [0, applied) */
	uint64_t applied;
	off_t size;
	unsigned number;
	uint64_t made;
} Worker;

static void make_state(Worker *worker, const State *state, const char *path)
{
	for (; worker->applied < state->prefix; worker->applied++) {
		const Entry *entry = &entries[worker->applied];
		if (entry->sectors > 0)
			apply(worker->rolling, entry, 0, entry->sectors);
	}
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		fail("%s: %m", path);
	copy_sparse(worker->rolling, fd, worker->size);
	if (state->seed != 0)
		apply_subset(fd, state);
	close(fd);
}

/* The last line that the check printed. */
static char *run_check(const char *path)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autoptr(GError) error = NULL;
	g_autofree char *output = NULL;
	int status = 0;

	for (char **word = check; *word != NULL; word++)
		g_ptr_array_add(argv, *word);
	g_autofree char *last = g_strdup(path);
	g_ptr_array_add(argv, last);
	g_ptr_array_add(argv, NULL);
	if (!g_spawn_sync(NULL, (char **) argv->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
			    &output, NULL, &status, &error))
		fail("%s: %s", check[0], error->message);
	g_strchomp(output);
	char *line = strrchr(output, '\n');
	line = line != NULL ? line + 1 : output;
	/* A check that is broken says nothing of any disk. */
	if (!g_str_has_prefix(line, status != 0 ? "bad" : "old") &&
			(status != 0 || !g_str_has_prefix(line, "new")))
		return g_strdup_printf("broken: the check ended with status %d: %s", status, line);
	return g_strdup(line);
}

static char *judge(Worker *worker, const State *state)
{
	g_autofree char *path = g_strdup_printf("%s/crash-%d-%u-%" G_GUINT64_FORMAT ".raw", scratch,
			(int) getpid(), worker->number, worker->made++);

	make_state(worker, state, path);
	char *verdict = run_check(path);
	unlink(path);
	if (g_str_has_prefix(verdict, "broken"))
		fail("%s", verdict);
	return verdict;
}

static void work(unsigned number, unsigned jobs, const State *states, uint64_t n_states, FILE *out)
{
	Worker worker = {.number = number};
	g_autofree char *path = g_strdup_printf("%s/crash-%d-rolling.raw", scratch, (int) getpid());
	int base = open(base_path, O_RDONLY | O_CLOEXEC);
	struct stat about;

	worker.rolling = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (base < 0 || worker.rolling < 0 || fstat(base, &about) != 0)
		fail("%s: %m", base_path);
	unlink(path);
	worker.size = about.st_size;
	copy_sparse(base, worker.rolling, worker.size);
	for (uint64_t i = number; i < n_states; i += jobs) {
		g_autofree char *verdict = judge(&worker, &states[i]);
		/* Believed when it comes again from the same seed. */
		for (int again = 0; again < BELIEVED_AFTER && g_str_has_prefix(verdict, "bad");
				again++) {
			char *second = judge(&worker, &states[i]);
			g_free(verdict);
			verdict = second;
		}
		g_strdelimit(verdict, "\"\\\n", '\'');
		fprintf(out,
				"{\"prefix\":%" G_GUINT64_FORMAT ",\"end\":%" G_GUINT64_FORMAT
				",\"seed\":%" G_GUINT64_FORMAT ",\"verdict\":\"%s\"}\n",
				states[i].prefix, states[i].end, states[i].seed, verdict);
		fflush(out);
	}
}

/* ---- which states ---------------------------------------------------------------------------------- */

static int by_prefix(gconstpointer a, gconstpointer b)
{
	const State *x = a, *y = b;

	return x->prefix < y->prefix ? -1 : x->prefix > y->prefix;
}

/* Does an epoch, or what was just before it, write to the bytes that matter most? */
static bool is_in_focus(const State *epoch)
{
	uint64_t begin = epoch->prefix;

	while (begin > 0 && epoch->prefix - begin < 3)
		begin--;
	for (uint64_t i = begin; i < epoch->end; i++) {
		if (is_focused(&entries[i]))
			return true;
	}
	return false;
}

/* @count of @epochs: half of them as flush prefixes spread evenly, half at random with a subset. */
static void add_states(GArray *states, const GArray *epochs, uint64_t count, GRand *random)
{
	uint64_t prefixes = MIN((count + 1) / 2, epochs->len);

	for (uint64_t i = 0; i < prefixes; i++) {
		State state = g_array_index(epochs, State,
				(guint) (prefixes == epochs->len ? i : i * epochs->len / prefixes));
		state.end = state.prefix;
		g_array_append_val(states, state);
	}
	for (uint64_t i = prefixes; i < count && epochs->len > 0; i++) {
		State state = g_array_index(
				epochs, State, g_rand_int_range(random, 0, (gint32) epochs->len));
		state.seed = 1 + (uint64_t) g_rand_int(random);
		g_array_append_val(states, state);
	}
}

static GArray *choose(uint64_t from, uint64_t wanted, uint64_t seed)
{
	GArray *states = g_array_new(FALSE, FALSE, sizeof(State));
	g_autoptr(GArray) near = g_array_new(FALSE, FALSE, sizeof(State));
	g_autoptr(GArray) far = g_array_new(FALSE, FALSE, sizeof(State));
	g_autoptr(GRand) random = g_rand_new_with_seed((guint32) seed);
	uint64_t begin = from;

	for (uint64_t i = from; i <= n_entries; i++) {
		if (i < n_entries && !(entries[i].flags & FLUSH))
			continue;
		State epoch = {begin, i, 0};
		if (epoch.end > epoch.prefix || i == n_entries)
			g_array_append_vals(is_in_focus(&epoch) ? near : far, &epoch, 1);
		begin = i + 1;
	}
	State last = {n_entries, n_entries, 0};
	g_array_append_val(states, last);
	uint64_t nears = near->len > 0 ? (far->len > 0 && !is_alone ? wanted * 2 / 3 : wanted) : 0;
	add_states(states, near, nears, random);
	add_states(states, far, far->len > 0 ? wanted - nears : 0, random);
	g_array_sort(states, by_prefix);
	return states;
}

static int summarise(FILE *out)
{
	unsigned old = 0, new = 0, bad = 0;
	char *line = NULL;
	size_t size = 0;

	rewind(out);
	while (getline(&line, &size, out) > 0) {
		if (strstr(line, "\"verdict\":\"old") != NULL)
			old++;
		else if (strstr(line, "\"verdict\":\"new") != NULL)
			new ++;
		else
			bad++;
		if (strstr(line, "\"verdict\":\"bad") != NULL || getenv("CRASH_STATES_ALL") != NULL)
			fputs(line, stdout);
	}
	free(line);
	unsigned all = old + new + bad;
	printf("{\"states\":%u,\"old\":%u,\"new\":%u,\"bad\":%u,\"bound\":%.6f}\n", all, old, new,
			bad, all > 0 ? (bad > 0 ? (double) bad / all : 3.0 / all) : 1.0);
	return bad > 0;
}

int main(int argc, char **argv)
{
	static gint64 from, to = G_MAXINT64, wanted = 100, seed = 1;
	static int jobs = 2;
	static char *focus_text;
	static gboolean only_count;
	static const GOptionEntry options[] = {
			{"from", 0, 0, G_OPTION_ARG_INT64, &from, "", "N"},
			{"to", 0, 0, G_OPTION_ARG_INT64, &to, "", "N"},
			{"states", 0, 0, G_OPTION_ARG_INT64, &wanted, "", "N"},
			{"focus", 0, 0, G_OPTION_ARG_STRING, &focus_text, "", "AT:SIZE"},
			{"alone", 0, 0, G_OPTION_ARG_NONE, &is_alone, "", NULL},
			{"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "", "N"},
			{"jobs", 0, 0, G_OPTION_ARG_INT, &jobs, "", "N"},
			{"scratch", 0, 0, G_OPTION_ARG_FILENAME, &scratch, "", "DIR"},
			{"count", 0, 0, G_OPTION_ARG_NONE, &only_count, "", NULL},
			{NULL},
	};
	g_autoptr(GOptionContext) context = g_option_context_new("LOG [BASE] -- CHECK…");
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, options, NULL);
	g_option_context_set_strict_posix(context, FALSE);
	if (!g_option_context_parse(context, &argc, &argv, &error))
		fail("%s", error->message);
	if (argc < 2)
		fail("crash-states LOG BASE -- CHECK…");
	load_log(argv[1]);
	if (only_count) {
		printf("%" G_GUINT64_FORMAT "\n", n_entries);
		return 0;
	}
	n_entries = MIN(n_entries, (uint64_t) to);
	look_for_zeros();
	int at = argc > 3 && strcmp(argv[3], "--") == 0 ? 4 : 3;
	if (argc <= at)
		fail("crash-states LOG BASE -- CHECK…");
	base_path = argv[2];
	check = argv + at;
	if (focus_text != NULL && sscanf(focus_text, "%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT,
						  &focus, &focus_size) != 2)
		fail("--focus AT:SIZE, in bytes");
	g_autoptr(GArray) states = choose((uint64_t) from, (uint64_t) wanted, (uint64_t) seed);
	FILE *out = tmpfile();
	if (out == NULL)
		fail("a temporary file: %m");
	int descriptor = fileno(out);
	fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_APPEND);
	for (int i = 0; i < jobs; i++)
		if (fork() == 0) {
			work((unsigned) i, (unsigned) jobs, (State *) (void *) states->data,
					states->len, out);
			_exit(0);
		}
	bool failed = false;
	for (int status = 0; wait(&status) > 0;)
		failed = failed || status != 0;
	int result = summarise(out);
	return failed ? 2 : result;
}
