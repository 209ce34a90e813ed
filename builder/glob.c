/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/glob.h"

#include <stdint.h>
#include <string.h>

/* A state is a position in the pattern: all before it has matched what was read of the path. */
typedef struct {
	uint16_t at[ASH_GLOB_MAX_BYTES + 1];
	size_t n;
} States;

typedef struct {
	const char *pattern;
	size_t length;
	/* The round in which a position was last added, so that none is in a set twice. */
	uint32_t seen[ASH_GLOB_MAX_BYTES + 1];
	uint32_t entered[ASH_GLOB_MAX_BYTES + 1];
	uint32_t round;
} Glob;

/* The length of the set "[…]" that begins at @set, 0 when it is never closed. */
static size_t set_length(const char *set)
{
	size_t i = 1;

	if (set[i] == '!' || set[i] == '^')
		i++;
	if (set[i] == ']')
		i++;
	while (set[i] != '\0' && set[i] != ']')
		i++;
	return set[i] == ']' ? i + 1 : 0;
}

static bool set_has(const char *set, size_t length, unsigned char byte)
{
	const unsigned char *p = (const unsigned char *) set + 1;
	const unsigned char *end = (const unsigned char *) set + length - 1;
	bool is_negated = *p == '!' || *p == '^';
	bool is_in = false;

	for (p += is_negated; p < end; p++) {
		if (p + 2 < end && p[1] == '-') {
			is_in = is_in || (byte >= p[0] && byte <= p[2]);
			p += 2;
		} else {
			is_in = is_in || byte == *p;
		}
	}
	return byte != '/' && is_in != is_negated;
}

static size_t stars_at(const Glob *glob, size_t at)
{
	return strspn(glob->pattern + at, "*");
}

/* Adds @at, and what can be reached from it without reading anything. @is_entered: @at was reached by what
 * stands before it, not by "**" reading one more byte.
 */
static void add(Glob *glob, States *states, size_t at, bool is_entered)
{
	for (;;) {
		size_t n = stars_at(glob, at);
		/* "**" as a whole component may stand for none, as long as it has read nothing: its slash
		 * goes with it. */
		if (is_entered && glob->entered[at] != glob->round) {
			glob->entered[at] = glob->round;
			if (n > 1 && glob->pattern[at + n] == '/' &&
					(at == 0 || glob->pattern[at - 1] == '/'))
				add(glob, states, at + n + 1, true);
		}
		if (glob->seen[at] == glob->round)
			return;
		glob->seen[at] = glob->round;
		states->at[states->n++] = (uint16_t) at;
		if (n == 0)
			return;
		at += n;
	}
}

static void step(Glob *glob, size_t at, char byte, States *next)
{
	const char *item = glob->pattern + at;
	size_t length = 1;
	bool matches;

	if (*item == '*') {
		if (byte != '/' || stars_at(glob, at) > 1)
			add(glob, next, at, false);
		return;
	}
	if (*item == '?') {
		matches = byte != '/';
	} else if (*item == '[' && set_length(item) > 0) {
		length = set_length(item);
		matches = set_has(item, length, (unsigned char) byte);
	} else {
		if (*item == '\\' && item[1] != '\0')
			length = 2;
		matches = item[length - 1] == byte;
	}
	if (matches)
		add(glob, next, at + length, true);
}

static bool run(const char *pattern, size_t length, const char *path)
{
	Glob glob = {.pattern = pattern, .length = length, .round = 1};
	States sets[2];
	States *now = &sets[0], *next = &sets[1];

	now->n = next->n = 0;
	add(&glob, now, 0, true);
	for (; *path != '\0' && now->n > 0; path++) {
		States *last = now;
		glob.round++;
		next->n = 0;
		for (size_t i = 0; i < now->n; i++)
			if (now->at[i] < length)
				step(&glob, now->at[i], *path, next);
		now = next;
		next = last;
	}
	/* A set in which nothing survives is empty; positions at the end were reached just now. */
	for (size_t i = 0; *path == '\0' && i < now->n; i++)
		if (now->at[i] == length)
			return true;
	return false;
}

bool ash_glob_match(const char *pattern, const char *path)
{
	size_t length = strlen(pattern);
	size_t plain = strcspn(pattern, "*?[\\");

	/* Nearly all pairs of pattern and path end here. */
	if (strncmp(pattern, path, plain) != 0 || length > ASH_GLOB_MAX_BYTES)
		return false;
	if (plain == length)
		return path[plain] == '\0';
	/* One byte back, so that "**" sees whether it begins a component. */
	plain -= plain > 0;
	return run(pattern + plain, length - plain, path + plain);
}

bool ash_glob_match_any(const GPtrArray *patterns, const char *path)
{
	for (guint i = 0; i < patterns->len; i++)
		if (ash_glob_match(patterns->pdata[i], path))
			return true;
	return false;
}
