/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

/* The table of lib/workload-key.c for others: as JSON Schema for editors, as the key reference of workload(5)
 * in scdoc.
 */

char *ash_workload_schema_json(void);
char *ash_workload_schema_scdoc(void);
