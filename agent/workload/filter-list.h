/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The lists of filter.h. NULL-terminated; names that a kernel or libseccomp does not know are left out. */

/* Changes with every change of lists or conditions: programs are kept under it. */
#define ASH_FILTER_PROFILE "2"

extern const char *const ash_filter_allowed[];
extern const char *const ash_filter_always[];
extern const char *const ash_filter_booted[];
extern const char *const ash_filter_refused[]; /* by EPERM */

typedef struct {
	const char *capability;
	const char *calls[8];
} AshFilterBring;
extern const AshFilterBring ash_filter_brings[]; /* ends with NULL */
