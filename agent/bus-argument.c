/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/bus-private.h"
#include "lib/error.h"

typedef enum {
	TEXT_NONE,
	TEXT_LIMIT,   /* a number, or "" */
	TEXT_RELEASE, /* a version or a commit */
	TEXT_RELEASE_OR_NOTHING,
	TEXT_PATH,
	TEXT_RESULT, /* JSON, ashlar-link's; agent/order.h */
} TextKind;

typedef enum {
	CALLER_ANYBODY,
	CALLER_ROOT,
	CALLER_LINK, /* or root */
} Caller;

typedef struct {
	const char *method;
	TextKind text;
	Caller caller;
	bool has_answer;
} Method;

/* As agent/org.ashlar.Host1.xml; tests/lint/dbus.sh compares. */
static const Method methods[] = {
		{"GetStatus", TEXT_NONE, CALLER_ANYBODY, true},
		{"GetHealth", TEXT_NONE, CALLER_ANYBODY, true},
		{"GetHistory", TEXT_LIMIT, CALLER_ANYBODY, true},
		{"Why", TEXT_NONE, CALLER_ANYBODY, true},
		{"Check", TEXT_NONE, CALLER_ROOT, true},
		{"Update", TEXT_RELEASE_OR_NOTHING, CALLER_ROOT, true},
		{"Rollback", TEXT_RELEASE_OR_NOTHING, CALLER_ROOT, true},
		{"Bundle", TEXT_PATH, CALLER_ROOT, true},
		{"Pin", TEXT_RELEASE, CALLER_ROOT, false},
		{"Unpin", TEXT_RELEASE, CALLER_ROOT, false},
		{"Forgive", TEXT_RELEASE, CALLER_ROOT, false},
		{"OrderDone", TEXT_RESULT, CALLER_LINK, false},
		{"OrderProgress", TEXT_NONE, CALLER_LINK, false},
		{"FleetReport", TEXT_NONE, CALLER_LINK, true},
		{"FleetAnswer", TEXT_RESULT, CALLER_LINK, false},
};

static const Method *find_method(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
		if (strcmp(methods[i].method, name) == 0)
			return &methods[i];
	return NULL;
}

bool ash_bus_may_call(const char *method, uint32_t uid, uint32_t link_uid)
{
	const Method *found = find_method(method);

	if (found == NULL)
		return false;
	return found->caller == CALLER_ANYBODY || uid == 0 ||
	       (found->caller == CALLER_LINK && uid == link_uid);
}

bool ash_bus_has_answer(const char *method)
{
	const Method *found = find_method(method);

	return found != NULL && found->has_answer;
}

static gboolean refuse(const char *what, GError **error)
{
	return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT, "%s", what);
}

static gboolean check_limit(const char *text, size_t size, GError **error)
{
	unsigned value = 0;

	if (size == 0)
		return TRUE;
	for (size_t i = 0; i < size && i < 6; i++) {
		if (!g_ascii_isdigit(text[i]))
			return refuse("the limit is not a decimal number", error);
		value = value * 10 + (unsigned) (text[i] - '0');
	}
	if (size > 5 || value < 1 || value > ASH_BUS_MAX_HISTORY)
		return refuse("the limit is not in the range of 1 to 10000", error);
	return TRUE;
}

static gboolean check_release(const char *text, size_t size, GError **error)
{
	if (size < 1 || size > 64)
		return refuse("a version or commit has 1 to 64 characters", error);
	if (!g_ascii_isalnum(text[0]))
		return refuse("a version or commit begins with a digit or letter", error);
	for (size_t i = 0; i < size; i++)
		if (!g_ascii_isalnum(text[i]) && strchr(".+~-", text[i]) == NULL)
			return refuse("a version or commit is made of letters, digits, '.', '+', '~' and '-'",
					error);
	return TRUE;
}

static gboolean check_path(const char *text, size_t size, GError **error)
{
	if (size < 2 || text[0] != '/')
		return refuse("the path is not absolute", error);
	if (size > ASH_BUS_MAX_PATH_BYTES)
		return refuse("the path is longer than 4095 bytes", error);
	for (size_t i = 0; i < size; i++)
		if (g_ascii_iscntrl(text[i]))
			return refuse("the path has control characters", error);
	if (strstr(text, "/../") != NULL || g_str_has_suffix(text, "/.."))
		return refuse("the path has '..' in it", error);
	return TRUE;
}

gboolean ash_bus_argument_check(const char *method, const char *text, size_t size, GError **error)
{
	const Method *found = find_method(method);

	if (found == NULL)
		return refuse("there is no such method", error);
	size_t max_bytes = found->text == TEXT_RESULT ? ASH_BUS_MAX_ANSWER_BYTES
						      : ASH_BUS_MAX_TEXT_BYTES;
	if (size > max_bytes)
		return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT,
				"the argument is longer than %zu bytes", max_bytes);
	if (strlen(text) != size || !g_utf8_validate(text, (gssize) size, NULL))
		return refuse("the argument is not UTF-8", error);
	switch (found->text) {
	case TEXT_NONE:
		return size == 0 ? TRUE : refuse("this takes no argument", error);
	case TEXT_LIMIT:
		return check_limit(text, size, error);
	case TEXT_RELEASE_OR_NOTHING:
		return size == 0 ? TRUE : check_release(text, size, error);
	case TEXT_RELEASE:
		return check_release(text, size, error);
	case TEXT_PATH:
		return check_path(text, size, error);
	case TEXT_RESULT:
		return text[0] == '{' ? TRUE : refuse("the result is not an object", error);
	}
	g_assert_not_reached();
}
