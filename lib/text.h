/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Small helpers for what people read. */

/* ash_text_nearest:
 * @candidates: NULL-terminated
 *
 * The candidate that a person most likely meant by @word (edit distance with transpositions), or
 * NULL when none is near. Borrowed from @candidates.
 */
const char *ash_text_nearest(const char *word, const char *const *candidates);

/* Edit distance (insert, delete, replace, swap of neighbours); stops counting above @limit and
 * returns @limit + 1.
 */
unsigned ash_text_distance(const char *a, const char *b, unsigned limit);

/* " (did you mean 'x'?)" or "", for the end of a message. */
char *ash_text_suggestion(const char *word, const char *const *candidates);

/* "1.4 GB", "23.4 MB", "912 kB", "12 B": powers of 1000. */
char *ash_text_size(uint64_t bytes);

/* "0.4 s", "12 s", "3 min 20 s". */
char *ash_text_duration(int64_t us);

/* A SHA-256 as everything here writes it, also the name of a commit: 64 lower-case digits. NULL is none. */
bool ash_text_is_sha256(const char *text);

/* "2026-11-22T10:00:00Z"; NULL for a year that cannot be written. */
char *ash_text_utc(int64_t unix_s);

/* g_utf8_next_char() of text that stays const. */
const char *ash_text_next_char(const char *at);

/* Breaks lines longer than @columns characters at blanks. What follows is indented as the line was,
 * or under the description where the line is one of an option's help.
 */
char *ash_text_wrap(const char *text, size_t columns);
