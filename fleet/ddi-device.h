/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/ddi.h"
#include "fleet/route.h"

/* One request of a device that speaks DDI: who it is, what it asks about, and what all answers have in common. */

typedef struct {
	AshRequest *request;
	const char *target;
	AshDdiAction *action;
	AshDdiFeedback feedback;
	bool may_add;
} AshDdiDevice;

void ash_ddi_device_clear(AshDdiDevice *device);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshDdiDevice, ash_ddi_device_clear)

/* By target token, gateway token or a certificate of this fleet. false: answered (401), or @error. */
bool ash_ddi_device_begin(AshRequest *request, AshDdiDevice *device, GError **error);
/* The path's action into device->action. */
gboolean ash_ddi_device_find(AshDdiDevice *device, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Gives errors of ASH_DDI_ERROR their answer; returns FALSE. */
gboolean ash_ddi_device_fail(GError **error);
/* 404: the action is in another state. */
gboolean ash_ddi_device_not_now(GError **error);

/* "https://HOST/DEFAULT/controller/v1/ID" */
char *ash_ddi_device_url(const AshDdiDevice *device);
/* A member {"href":@base…} of the open object. */
void ash_ddi_device_link(JsonBuilder *json, const char *name, const char *base, const char *format,
		...) G_GNUC_PRINTF(4, 5);
gboolean ash_ddi_device_reply(AshDdiDevice *device, JsonBuilder *json);
gboolean ash_ddi_device_reply_done(AshDdiDevice *device);

/* ---- ddi-deployment.c: what is to be installed ---- */

typedef struct {
	JsonBuilder *json;
	const char *base;
	int64_t module;
	unsigned count;
} AshDdiArtifacts;

/* The array that is open. */
gboolean ash_ddi_device_add_artifacts(AshDb *db, AshDdiArtifacts *to, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* @member: "deployment" or "confirmation" */
gboolean ash_ddi_device_reply_deployment(AshDdiDevice *device, const char *member, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
