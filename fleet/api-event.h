/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <json-glib/json-glib.h>

#include "fleet/event.h"
#include "fleet/live.h"
#include "fleet/route.h"

extern const AshRoute ash_api_event_routes[];
extern const AshRoute ash_api_stream_routes[];
extern const AshRoute ash_api_audit_routes[];

/* Members of an event into the open object; @name: of its host, or "". */
void ash_api_event_add(JsonBuilder *json, const AshEvent *event, const char *name);
/* The name of the host with this id in hexadecimal, interned or borrowed from @out_host; "" for none. */
const char *ash_api_event_host_name(AshLive *live, const char *id, AshHost *out_host);
